"""Figures show the numbers they are given under labelled axes; the page holds all of them in one file."""

import html
import os
import re
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import scripts
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import rgstep as rg
from rgstep import drawing, page
from rgstep.commands import redraw
from rgstep.estimates import Estimate
from rgstep.instruments import INSTRUMENTS, sampling, training, vh_pattern
from rgstep.instruments import spatial_correlator as correlator
from rgstep.page import plates_of, write_page
from rgstep.results import Diagnostic, MapReport, Quantity

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
NAMES = ["majority", "rbm_untrained", "mine"]
ORDER = ["average", *NAMES]


def panels(figure):
    """The axes that are drawn on, without colour bars."""
    assert isinstance(figure, Figure)
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def labelled(axes):
    return bool(axes.get_xlabel()) and bool(axes.get_ylabel())


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def script(name):
    """A script of docs/ as a module; what it sets in the environment is put back."""
    before = dict(os.environ)
    module = scripts.script(name)
    os.environ.clear()
    os.environ.update(before)
    return module


# --- style


def test_a_sheet_has_the_style_and_leaves_that_of_others_alone():
    before = dict(mpl.rcParams)
    with drawing.sheet(2, 3, size=(6.0, 4.0)) as (figure, axes):
        assert len(axes) == 6
        assert not axes[0].spines["top"].get_visible()
        assert mpl.rcParams["svg.hashsalt"] == "rgstep"
    assert tuple(figure.get_size_inches()) == (6.0, 4.0)
    assert dict(mpl.rcParams) == before


def test_one_legend_names_each_map_once():
    with drawing.sheet(1, 2, size=(6.0, 4.0)) as (figure, panels):
        for axes in panels:
            for name in NAMES:
                axes.plot([0, 1], label=name)
        panels[1].plot([0, 1], label="more")
        drawing.legend_above(figure, panels)
    (one,) = figure.legends
    assert [text.get_text() for text in one.get_texts()] == [*NAMES, "more"]


def test_points_of_maps_stand_beside_each_other():
    places = [drawing.aside(i, 4, 0.4) for i in range(4)]
    np.testing.assert_allclose(places, [-0.15, -0.05, 0.05, 0.15])
    assert drawing.aside(0, 1, 0.4) == 0
    np.testing.assert_array_equal(drawing.bars(np.array([0.1, np.nan])), [0.1, 0])


def test_ticks_between_decades_are_plain_numbers():
    with drawing.sheet(size=(4.0, 4.0)) as (figure, (axes,)):
        axes.plot([1, 2], [0.03, 7])
        axes.set_yscale("log")
        drawing.plain_log_labels(axes)
    figure.canvas.draw()
    labels = [tick.get_text() for tick in (*axes.get_yticklabels(), *axes.get_yticklabels(minor=True))]
    assert {"0.1", "1"} <= set(labels)
    assert not any("e" in label or "^" in label for label in labels)


# --- pictures


def tile_pictures(side, size=8, order=None):
    """Pictures of units that see one tile each, in some order, with the centres that were found for them."""
    block = size // side
    corners = [(block * row, block * column) for row in range(side) for column in range(side)]
    vh = np.full((side * side, size, size), 0.1)
    for unit, (row, column) in enumerate(corners):
        vh[unit, row : row + block, column : column + block] = 0.5
    centre = np.array(corners) + (block - 1) / 2
    order = np.arange(side * side) if order is None else order
    return {"vh": vh[order], "unit_tile_centre": centre[order]}


@pytest.mark.parametrize("known", [True, False])
def test_units_stand_at_their_places_whatever_their_order(known):
    """The twin: by the order of the units they would not."""
    order = RNG.permutation(16)
    arrays = tile_pictures(4, order=order)
    if not known:
        arrays["unit_tile_centre"] = np.full((16, 2), np.nan)
    found = vh_pattern.order_of(arrays)
    np.testing.assert_array_equal(order[found].ravel(), np.arange(16))
    assert not np.array_equal(np.arange(16), order)


@pytest.mark.parametrize(("units", "side"), [(1, 1), (4, 2), (5, 3), (100, 10)])
def test_pictures_are_those_given_plain_on_the_common_scale_and_flattened_on_their_own(units, side):
    vh = RNG.uniform(0, 1, (units, 4, 4))
    figure = vh_pattern.pictures({"vh": vh}, "mine", 0.7)
    left, right = panels(figure)
    places = vh_pattern.order_of({"vh": vh})
    assert places.shape == (side, side)
    assert sorted(places[places >= 0]) == list(range(units))
    for axes, shown in ((left, vh), (right, vh - vh.mean(axis=(1, 2), keepdims=True))):
        mosaic = np.ma.filled(axes.images[0].get_array(), np.nan)
        assert mosaic.shape == (5 * side - 1, 5 * side - 1)
        for (row, column), unit in np.ndenumerate(places):
            cell = mosaic[5 * row : 5 * row + 4, 5 * column : 5 * column + 4]
            np.testing.assert_array_equal(cell, shown[unit] if unit >= 0 else np.nan)
    assert left.images[0].get_clim() == (-0.7, 0.7)
    low, high = right.images[0].get_clim()
    assert 0 < high == -low < 0.7
    assert "mine" in figure.get_suptitle()
    labels = [a.get_xlabel() for a in figure.axes if a.get_label() == "<colorbar>"]
    assert all("langle" in label for label in labels)
    assert "mean" in labels[1]


def test_a_unit_that_follows_the_opposite_of_the_spins_is_turned():
    vh = np.stack([np.full((4, 4), 0.3), np.full((4, 4), -0.3)])
    np.testing.assert_array_equal(vh_pattern.standing(vh), 0.3)


def test_one_picture_is_enlarged_beside_its_weights():
    vh, weights = RNG.uniform(-1, 1, (4, 4)), 5 * RNG.uniform(-1, 1, (4, 4))
    figure = vh_pattern.enlarged(vh, weights, "mine, unit 3")
    axes = panels(figure)
    assert len(axes) == 2
    for a, values in zip(axes, (vh, weights), strict=True):
        assert labelled(a)
        np.testing.assert_array_equal(a.images[0].get_array(), values)
        low, high = a.images[0].get_clim()
        assert high == -low == pytest.approx(np.abs(values).max())
    assert figure.get_suptitle() == "mine, unit 3"


def test_an_empty_picture_can_be_enlarged():
    vh_pattern.enlarged(np.zeros((4, 4)), np.zeros((4, 4)), "nothing").canvas.draw()


@pytest.mark.parametrize(("units", "side"), [(16, 4), (20, 4), (4, 2), (3, 1)])
def test_the_gallery_shows_the_first_pictures_of_each_map(units, side):
    """In a square mosaic, four by four at most, each picture in a frame one site wide."""
    maps = {name: RNG.uniform(-1, 1, (units, 4, 4)) for name in NAMES}
    axes = panels(script("draw_pictures").gallery(maps, 0.9))
    assert [a.get_title() for a in axes] == NAMES
    for a, vh in zip(axes, maps.values(), strict=True):
        mosaic = np.ma.filled(a.images[0].get_array(), np.nan)
        assert a.images[0].get_clim() == (-0.9, 0.9)
        assert mosaic.shape == (6 * side, 6 * side)
        for unit in range(side**2):
            row, column = 6 * (unit // side) + 1, 6 * (unit % side) + 1
            np.testing.assert_array_equal(mosaic[row : row + 4, column : column + 4], vh[unit])


# --- curves


def curves():
    distance = np.sqrt(np.arange(9.0))
    return {name: (distance, RNG.standard_normal(9), np.full(9, 0.1)) for name in NAMES}


def test_spatial_correlators_up_to_half_the_lattice_with_bands():
    given = curves()
    (axes,) = panels(correlator.spatial_correlators(given, "C(r)", ORDER))
    assert labelled(axes)
    assert axes.get_ylabel() == "C(r)"
    assert {one.get_text() for one in axes.texts} == set(NAMES)
    lines = {line.get_label(): line for line in axes.lines}
    for (name, (distance, value, error)), band in zip(given.items(), axes.collections, strict=True):
        near = distance <= 2
        np.testing.assert_array_equal(lines[name].get_xdata(), distance[near])
        np.testing.assert_array_equal(lines[name].get_ydata(), value[near])
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx((value + error)[near].max())
        assert heights.min() == pytest.approx((value - error)[near].min())


def test_range_against_participation_has_a_point_for_each_unit():
    points = {name: {"unit_participation": RNG.uniform(0, 16, 7), "unit_range": RNG.uniform(0, 1, 7)} for name in NAMES}
    figure = vh_pattern.range_against_participation(points, ORDER)
    (axes,) = panels(figure)
    assert labelled(axes)
    (names,) = figure.legends
    assert [one.get_text() for one in names.get_texts()] == NAMES
    for cloud, arrays in zip(axes.collections, points.values(), strict=True):
        at = np.stack([arrays["unit_participation"], arrays["unit_range"]], axis=1)
        np.testing.assert_array_equal(cloud.get_offsets(), at)
    assert axes.get_ylim()[0] == 0


def test_training_curves_from_the_first_update_on():
    steps = np.array([0, 100, 200])
    names = ("pseudo_likelihood", "reconstruction", "participation_w")
    histories = {"rbm_a": {"step": steps, **{q: RNG.uniform(0, 1, 3) for q in names}}}
    axes = panels(training.training_curves(histories, -0.21, ORDER))
    assert len(axes) == 3
    for a, quantity in zip(axes, names, strict=True):
        assert labelled(a)
        assert a.get_xscale() == "log"
        (line,) = [line for line in a.lines if line.get_label() == "rbm_a"]
        np.testing.assert_array_equal(line.get_xdata(), [100, 200])
        np.testing.assert_array_equal(line.get_ydata(), histories["rbm_a"][quantity][1:])
    (truth,) = [line for line in axes[0].lines if "Ising" in line.get_label()]
    np.testing.assert_array_equal(truth.get_ydata(), [-0.21, -0.21])


def history(steps=(0, 100, 300, 900), distances=(1, 2, 4)):
    """Made-up readings of a training run, every name that a monitored run has."""
    names = [f"{name}_{kind}" for name in ("u", "abs_m", "chi", "xi") for kind in ("model", "data")]
    names += [f"G{r}_{kind}" for r in distances for kind in ("model", "data")]
    names += ["pseudo_likelihood", "reconstruction", "weights_sd", "sv_1", "sv_2", "sv_median", "spread_w"]
    middle = RNG.uniform(10, 20, len(steps))
    quartiles = {"participation_w_25": middle - 3, "participation_w": middle, "participation_w_75": middle + 4}
    return {"step": np.array(steps), **{name: RNG.uniform(1, 2, len(steps)) for name in names}, **quartiles}


def test_a_training_history_shows_the_model_solid_and_the_data_dashed():
    given = history()
    figure = training.training_history(given, "mine", -0.21)
    axes = panels(figure)
    assert len(axes) == 8
    assert figure.get_suptitle() == "mine"
    drawn = {}
    for a in axes:
        assert labelled(a)
        assert a.get_xscale() == "log"
        for line in a.lines:
            if line.get_label() == "true law":
                np.testing.assert_array_equal(line.get_ydata(), [-0.21, -0.21])
                continue
            np.testing.assert_array_equal(line.get_xdata(), [100, 300, 900])
            (name,) = [name for name, curve in given.items() if np.array_equal(curve[1:], line.get_ydata())]
            assert name not in drawn
            drawn[name] = line
    assert drawn.keys() == given.keys() - {
        *("step", "reconstruction", "weights_sd", "spread_w", "participation_w_25", "participation_w_75")
    }
    pairs = [name for name in drawn if name.endswith("_model")]
    assert len(pairs) == 7
    for name in pairs:
        model, data = drawn[name], drawn[name.replace("_model", "_data")]
        assert (model.get_linestyle(), data.get_linestyle()) == ("-", "--")
        assert model.get_color() == data.get_color()
    assert legend(axes[1]) == ["model", "data"]
    assert legend(axes[5]) == ["r = 1", "2", "4"]
    assert len({drawn[f"G{r}_model"].get_color() for r in (1, 2, 4)}) == 3
    heights = axes[7].collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(given["participation_w_75"][1:].max())
    assert heights.min() == pytest.approx(given["participation_w_25"][1:].min())
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("kept", "count"),
    [
        (["step", "pseudo_likelihood", "reconstruction", "participation_w"], 2),  # before runs were monitored
        (["step", "abs_m_model", "abs_m_data", "sv_1", "sv_median", "participation_w"], 3),  # off the lattice
        (["step"], 0),
    ],
)
def test_a_training_history_draws_what_is_there(kept, count):
    given = history()
    figure = training.training_history({name: given[name] for name in kept}, "a$b")
    figure.canvas.draw()
    assert len([axes for axes in panels(figure) if axes.lines]) == count


def test_infinite_and_vanishing_readings_can_be_drawn():
    given = history()
    given["xi_model"][1:] = np.inf
    given["xi_data"][2:] = 0
    given["sv_median"][1:] = 0
    figure = training.training_history(given, "ordered")
    figure.canvas.draw()
    lengths = [line.get_ydata() for line in panels(figure)[4].lines]
    np.testing.assert_array_equal(lengths[1], [given["xi_data"][1], np.nan, np.nan])  # a gap, not a line to 0


def test_localisation_has_a_line_for_each_seed_and_their_median():
    seeds = [history(), history(), history((0, 100, 300, 900, 1200))]
    runs = {8: {"majority": seeds, "mine": [history()]}, 16: {"mine": [history()]}}
    figure = script("measure_networks").localisation_curves(runs, ORDER)
    axes = panels(figure)
    assert [a.get_title() for a in axes] == ["L = 8", "L = 16"]
    for a, size in zip(axes, runs, strict=True):
        assert (a.get_xscale(), a.get_yscale()) == ("log", "log")
        assert a.get_xlabel() == "updates"
        levels = [line.get_ydata()[0] for line in a.lines if line.get_linestyle() == ":"]
        assert levels == [pytest.approx(size**2 / 3), 4]
        assert {text.get_text() for text in a.texts} == {"N/3", "2×2"}
    assert axes[0].get_ylabel()
    (names,) = [[text.get_text() for text in one.get_texts()] for one in figure.legends]
    assert names == ["majority", "mine"]
    mine = to_hex(drawing.look("majority", ORDER)["color"])
    lines = [line for line in axes[0].lines if to_hex(line.get_color()) == mine and line.get_linestyle() == "-"]
    *thin, thick = lines
    assert len(thin) == 3
    for line, seed in zip(thin, seeds, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), seed["participation_w"][1:])
        assert line.get_linewidth() < thick.get_linewidth()
    np.testing.assert_array_equal(thick.get_xdata(), [100, 300, 900])  # the readings that all have
    middle = {q: np.median([s[f"participation_w{q}"][1:4] for s in seeds], axis=0) for q in ("_25", "", "_75")}
    np.testing.assert_allclose(thick.get_ydata(), middle[""])
    heights = axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(middle["_75"].max())
    assert heights.min() == pytest.approx(middle["_25"].min())
    assert len([line for line in axes[1].lines if line.get_linestyle() == "-"]) == 1
    figure.canvas.draw()


def sampler_check(u, m, scores, exact):
    """The figure of the configurations: `scores` standard errors from exact values, that of u given."""
    quantities = {
        name: Quantity(Estimate(at + 0.01 * z, 0.01), at)
        for (name, z), at in zip(scores.items(), (exact, 2.0), strict=True)
    }
    arrays = {"sampling": {"energies": u, "magnetisations": m, "sites": np.array(64)}}
    entry = MapReport("not judged", "judged", "mine", {"sampling": Diagnostic(True, "fine", quantities)}, arrays)
    (plate,) = sampling.figures({"mine": entry})
    assert plate.name == "sampling"
    assert "fine" in plate.caption
    return plate.figure


def test_the_sampler_check_shows_distributions_and_scores():
    u, m = RNG.normal(-1.4, 0.1, 500), RNG.uniform(-1, 1, 500)
    figure = sampler_check(u, m, {"u": 1.5, "c": -2.0}, -1.43)
    left, middle, right = panels(figure)
    assert all(a.get_xlabel() for a in (left, middle, right))
    for axes, values in ((left, u), (middle, m)):
        area = sum(bar.get_height() * bar.get_width() for bar in axes.patches)
        mean = sum((bar.get_x() + bar.get_width() / 2) * bar.get_height() * bar.get_width() for bar in axes.patches)
        assert area == pytest.approx(1)
        assert mean == pytest.approx(values.mean(), abs=0.02)
    (scores,) = [line for line in right.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(scores.get_xdata(), [1.5, -2.0])
    assert [tick.get_text() for tick in right.get_yticklabels()][:2] == ["u", "c"]
    assert "−1.43" in left.get_title()
    widths = {round(bar.get_width() / (4 / 64), 9) for bar in left.patches}
    assert len(widths) == 1
    assert widths.pop() % 1 == 0  # whole numbers of the energies that exist, 4/N apart


def test_momentum_spectra_on_a_logarithmic_axis():
    spectra = {name: (np.arange(5.0), RNG.uniform(0.1, 1, 5)) for name in NAMES}
    (axes,) = panels(correlator.momentum_spectra(spectra, ORDER))
    assert labelled(axes)
    assert axes.get_yscale() == "log"
    for line, (momentum, power) in zip(axes.lines, spectra.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), momentum)
        np.testing.assert_array_equal(line.get_ydata(), power)


def test_a_map_has_one_colour_in_every_figure():
    """The colour follows the order of all maps, not the place among those shown; eight differ."""
    some = {name: curve for name, curve in curves().items() if name != "majority"}
    for figure in (
        correlator.spatial_correlators(some, "C", ORDER),
        correlator.spatial_correlators(curves(), "C", ORDER),
    ):
        lines = {line.get_label(): line for line in panels(figure)[0].lines}
        for name in some:
            assert to_hex(lines[name].get_color()) == drawing.COLOURS[ORDER.index(name)].lower()


def test_no_two_maps_have_one_colour_or_one_marker():
    order = [str(i) for i in range(64)]
    looks = [drawing.look(name, order) for name in order]
    assert len({to_hex(one["color"]) for one in looks}) == len({one["marker"] for one in looks}) == 64
    assert not {drawing.NULL["marker"]} & {one["marker"] for one in looks}
    assert to_hex(drawing.NULL["color"]) not in {to_hex(one["color"]) for one in looks}
    with drawing.sheet(size=(3.0, 3.0)) as (figure, (axes,)):
        for one in looks:
            axes.plot([0, 1], **one)
    figure.canvas.draw()


def test_colours_can_be_read_as_text_on_white():
    """By the formula of WCAG 2, written again; the twin: the yellow and orange of before cannot."""

    def contrast(colour):
        rgb = np.array([int(to_hex(colour)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)

    assert all(contrast(drawing.colour(i)) >= 4.45 for i in range(64))
    assert contrast("#F0E442") < 2
    assert contrast("#E69F00") < 3


def test_untrained_networks_are_one_grey_band():
    given = {**curves(), "null_a": curves()["mine"], "null_b": curves()["mine"]}
    (axes,) = panels(correlator.spatial_correlators(given, "C(r)", NAMES))
    near = given["mine"][0] <= 2
    ends = [[sign * e + y for _, y, e in (given["null_a"], given["null_b"]) for sign in (s,)] for s in (-1, 1)]
    (band,) = [one for one in axes.collections if to_hex(one.get_facecolor()[0][:3]) == to_hex("0.7")]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(np.min(ends[0], axis=0)[near].min())
    assert heights.max() == pytest.approx(np.max(ends[1], axis=0)[near].max())
    names = {one.get_text() for one in axes.texts}
    assert names == {*NAMES, drawing.UNTRAINED}


def test_names_on_lines_do_not_cover_each_other():
    places = drawing.spread(np.array([0.0, 1.0, 1.0, 50.0]), 10.0)
    assert np.diff(places).min() >= 10.0 - 1e-9
    assert places[-1] == 50.0
    np.testing.assert_allclose(places[:3].mean(), 2 / 3, atol=1e-9)
    np.testing.assert_array_equal(drawing.spread(np.array([0.0, 30.0]), 10.0), [0.0, 30.0])


@pytest.mark.parametrize("name", ["a$b", r"$\frac$", "_hidden", r"\frac", "100 %", "<b>", "δ/ε"])
def test_any_name_can_be_drawn(name):
    """A dollar sign is not mathematics and a leading underscore does not hide a map from the legend."""
    vh_pattern.pictures({"vh": np.ones((1, 4, 4))}, name, 1.0).canvas.draw()
    vh_pattern.enlarged(np.ones((4, 4)), np.ones((4, 4)), f"{name}, unit 1").canvas.draw()
    distance = np.arange(3.0)
    for figure in (
        correlator.spatial_correlators({name: (distance, distance, distance)}, "C", [name]),
        vh_pattern.range_against_participation(
            {name: {"unit_participation": distance, "unit_range": distance}}, [name]
        ),
        correlator.momentum_spectra({name: (distance, distance + 1)}, [name]),
    ):
        figure.canvas.draw()
        assert len(panels(figure)[0].texts) + len(figure.legends) == 1


# --- the page


@pytest.fixture(scope="module")
def small(critical8):
    data = rg.ensemble_from_array(critical8.spins[:64], rg.CRITICAL_TEMPERATURE, {"source": "<test>"})
    maps = {
        "majority": rg.Majority(),
        "rbm_untrained": rg.untrained_rbm(64, 4),
        "mine & <b>/ours": lambda v: v[:, :, 0],
    }
    return rg.judge(data, maps)


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    calls = []
    write_page(small, folder, lambda stage, done, total, note="": calls.append((stage, done, total)))
    return folder, (folder / "report.html").read_text(encoding="utf-8"), calls


def test_the_page_is_one_file_that_fetches_nothing(written):
    _, text, _ = written
    scripts = re.findall(r"<script\b([^>]*)>", text)  # the explorer's data and code, which tests/test_explorer.py reads
    assert not any("src" in script for script in scripts)
    text = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href|srcset|data)\s*=\s*["']?([^"'\s>]+)""", text) + re.findall(
        r"url\((.*?)\)", text
    )
    assert addresses
    assert all(address.startswith(("data:", "#", page.PAPER)) for address in addresses)
    assert not re.search(r"src=\S*https?:", text)
    assert not re.search(r"<(link|iframe|object|embed)\b", text)
    assert "@import" not in text


def test_the_page_names_every_map_escaped(written, small):
    _, text, _ = written
    for name in small.maps:
        assert html.escape(name) in text
    assert "<b>/ours" not in text
    for quantity in ("own_block", "participation_w", "abs_m"):
        assert quantity in text
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert {"Sampling", "⟨v h⟩ pattern", "Hidden Hamiltonian", "MCRG", "Drift"} <= set(headings)
    assert headings[-3:] == ["Every number", "Glossary", "How to repeat it"]


def test_every_figure_is_on_the_page_and_in_the_folder(written):
    folder, text, _ = written
    shown = set(re.findall(r'<figure id="figure-([^"]+)"', text))
    named = {page.anchor(name) for name in re.findall(r"<code>([^<]+)\.png</code>", text)}
    bitmaps = {path.stem for path in (folder / "figures").glob("*.png")}
    drawings = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert shown | named == {page.anchor(name) for name in bitmaps}
    assert len(re.findall(r'src="data:image/webp;base64,[A-Za-z0-9+/=]+"', text)) == len(shown)
    assert {"sampling", "range_against_participation", "spatial_correlator", "momentum_spectrum"} <= drawings
    assert sum(name.startswith("vh_") for name in bitmaps) == 3
    assert sum(name.startswith("unit_") for name in bitmaps) == 1
    for path in (folder / "figures").iterdir():
        assert path.read_bytes()[:4] == b"\x89PNG" or path.read_text().lstrip().startswith("<?xml")
    assert {path.name for path in folder.iterdir()} == {"figures", "report.html"}


def test_drawing_reports_its_progress_to_the_end(written):
    _, _, calls = written
    done = [d for _, d, _ in calls]
    (total,) = {t for *_, t in calls}
    assert done == sorted(done)
    assert done[-1] == total
    assert max(done[:-1]) < total


def test_a_monitored_network_has_its_own_plate(critical8):
    """One without readings of its samples has the overview only; the count of plates is never passed."""
    data = rg.ensemble_from_array(critical8.spins[:64], rg.CRITICAL_TEMPERATURE, {"source": "<test>"})
    start, readings = rg.untrained_rbm(64, 4), history()
    plain = {name: readings[name] for name in ("step", "pseudo_likelihood", "reconstruction", "participation_w")}
    networks = {
        name: rg.RBM(start.weights, start.visible_bias, start.hidden_bias, {}, curves)
        for name, curves in (("rbm_a", readings), ("rbm_b", plain), ("rbm_a~2", readings))
    }
    report = rg.judge(data, networks)
    plates = {plate.name: plate for plate in plates_of(report, "training")}
    assert set(plates) == {"training", "training_rbm_a"}
    plate = plates["training_rbm_a"]
    assert plate.figure.get_suptitle() == "rbm_a"
    (line,) = [line for line in panels(plate.figure)[1].lines if line.get_linestyle() == "-"]
    np.testing.assert_array_equal(line.get_ydata(), readings["u_model"][1:])


@pytest.mark.slow
def test_drawing_reports_its_progress_with_many_networks(critical8, tmp_path, monkeypatch):
    data = rg.ensemble_from_array(critical8.spins[:64], rg.CRITICAL_TEMPERATURE, {"source": "<test>"})
    start = rg.untrained_rbm(64, 4)
    networks = {f"rbm_{c}": rg.RBM(start.weights, start.visible_bias, start.hidden_bias, {}, history()) for c in "abcd"}
    drawn = page.Drawn("name", "caption", "alt", "data:,", "", False)
    monkeypatch.setattr(page, "save", lambda plate, folder: drawn)
    calls = []
    write_page(rg.judge(data, networks), tmp_path, lambda stage, done, total, note="": calls.append((done, total)))
    assert [done for done, _ in calls] == list(range(len(calls)))
    assert {total for _, total in calls} == {len(calls) - 1}


def test_a_saved_report_gives_the_same_page(small, tmp_path, monkeypatch):
    """Its text, that is: the figures are left out here."""
    monkeypatch.setattr(page, "plates_of", lambda report, row: iter(()))
    monkeypatch.setattr(page, "why", lambda report, folder: None)
    small.save(tmp_path / "saved")
    for folder, report in (("one", small), ("other", rg.load(tmp_path / "saved"))):
        (tmp_path / folder).mkdir()
        write_page(report, tmp_path / folder)
    texts = [(tmp_path / folder / "report.html").read_text(encoding="utf-8") for folder in ("one", "other")]
    assert texts[0] == texts[1]


def test_figures_stand_beside_the_measurement_and_headlines_have_a_legend():
    drawn = {name: instrument.figures for name, instrument in INSTRUMENTS.items() if instrument.figures}
    assert drawn.keys() == INSTRUMENTS.keys() - {"kadanoff_gap", "decoy", "tangent", "conditional_law", "symmetry"}
    for instrument in INSTRUMENTS.values():
        assert all(label in instrument.legend for label in instrument.headline.values())
    for name, draw in drawn.items():
        assert draw.__module__ == INSTRUMENTS[name].measure.__module__
        if name not in ("sampling", "spatial_correlator"):  # which every map has
            assert list(draw({})) == []


def test_maps_without_the_arrays_of_a_row_draw_nothing():
    """A row that was not measured, for want of places or samples, has no figure and is no failure."""
    rows = {name: Diagnostic(None, "not measured", {}) for name in INSTRUMENTS}
    report = rg.Report({"size": 4}, {"mine": MapReport("not judged", "judged", "mine", rows)})
    for name in INSTRUMENTS.keys() - {"sampling", "spatial_correlator"}:
        assert list(plates_of(report, name)) == [], name


OLD = ROOT / "tests/data/report_schema_1"
OF_OLD = {  # every figure that the version which wrote it drew
    *("sampling", "training", "training_rbm", "vh_average", "vh_majority", "vh_rbm", "unit_rbm"),
    *("range_against_participation", "tiles", "spatial_correlator", "spatial_correlator_plain"),
    *("spatial_correlator_weights", "momentum_spectrum", "two_point", "hidden_hamiltonian", "mcrg", "drift"),
    *("information", "conditional_entropy", "why"),
}


@pytest.mark.slow
def test_the_page_of_a_report_of_schema_1_is_drawn_again(tmp_path):
    """`rgstep report` on a folder that the version before wrote: all its figures, and the numbers as they were."""
    shutil.copytree(OLD, tmp_path / "old")
    before = (tmp_path / "old/report.json").read_bytes()
    report = redraw(tmp_path / "old")
    assert list(report.maps) == ["average", "majority", "rbm"]
    assert {path.stem for path in (tmp_path / "old/figures").iterdir()} == OF_OLD
    text = (tmp_path / "old/report.html").read_text(encoding="utf-8")
    on_page = {name for name in OF_OLD if f'id="figure-{page.anchor(name)}"' in text}
    assert all(f"{name}.png" in text for name in OF_OLD - on_page)  # named as one of the folder
    assert {"why", "vh_majority", "vh_rbm", "mcrg", "drift"} <= on_page
    assert (tmp_path / "old/report.json").read_bytes() == before


def test_the_page_of_a_report_of_schema_1_is_written_again(tmp_path, monkeypatch):
    """Without the figures, which take seconds."""
    monkeypatch.setattr(page, "plates_of", lambda report, row: iter(()))
    monkeypatch.setattr(page, "why", lambda report, folder: None)
    shutil.copytree(OLD, tmp_path / "old")
    report = redraw(tmp_path / "old")
    text = (tmp_path / "old/report.html").read_text(encoding="utf-8")
    assert all(entry.verdict in text and name in text for name, entry in report.maps.items())


def test_figures_of_a_report_of_schema_1_show_its_numbers():
    report = rg.load(OLD)
    with np.load(OLD / "data/maps/majority.npz") as file:
        stored = {name: file[name] for name in file.files}
    for row, panel, heights in (
        ("two_point", 0, stored["two_point_1"][[1, 2], 0] / stored["two_point_1_amplitude"]),
        ("hidden_hamiltonian", 0, stored["hamiltonian_K"][1, :5]),
        ("drift", 0, stored["drift_U4"]),
        ("mcrg", 1, stored["mcrg_y_h"][:, -1]),
    ):
        (plate,) = plates_of(report, row)
        axes = panels(plate.figure)[panel]
        drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
        assert any(len(y) == len(heights) and np.allclose(y, heights) for y in drawn), row


def test_figures_stand_on_the_page_in_the_order_in_which_they_are_drawn(written, small):
    _, text, _ = written
    shown = re.findall(r'<figure id="figure-([^"]+)"', text)
    inline = [plate.name for name in INSTRUMENTS for plate in plates_of(small, name) if plate.inline]
    assert shown == ["why", *map(page.anchor, inline)]


def test_lines_that_end_at_one_height_are_both_named():
    with drawing.sheet(size=(4.0, 3.0)) as (figure, (axes,)):
        for name in ("one", "other", "far"):
            axes.plot([0, 1], [0, 1.0 if name != "far" else 0.2], label=name)
        drawing.name_lines(axes)
    heights = {note.get_text(): note.xy[1] * figure.dpi + note.get_position()[1] for note in axes.texts}
    assert set(heights) == {"one", "other", "far"}
    apart = axes.texts[-1].get_position()[1] - axes.texts[-2].get_position()[1]
    assert apart >= 9.5 - 1e-6  # the two that end alike, which stand last, by one letter's height at least
