"""The report: what judge measures, its document and table, and files that are whole or not there."""

import io
import json
import math
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import closed_forms
import enumeration
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.errors import MarkupError
from rich.table import Table

import rgstep as rg
from rgstep import patterns
from rgstep.estimates import Estimate
from rgstep.files import write_arrays
from rgstep.folders import check_output, output_folder
from rgstep.instruments import INSTRUMENTS
from rgstep.instruments.training import ising_pseudo_likelihood
from rgstep.report import IN_TABLE, WIDTH, Report, headline, load_report
from rgstep.results import Diagnostic, MapReport, Quantity

COUPLING = 1 / rg.CRITICAL_TEMPERATURE
U4 = -1.5656237876383  # sampling.md section 4: energy per site, L = 4, T_c
ABS_M4 = 0.8438604448  # and ⟨|m|⟩
C4 = 0.783266825929
SIGMAS = 4.5  # of some thirty numbers with fixed seeds

ROOTS = {"tile_radius", "tile_radius_mean"}  # of numbers with the rounding of float32
SAMPLING = {"u", "c", "abs_m"}
PLACED = {"own_block", "adjacent", "farthest"}
PICTURE = {"pattern_mean_abs", "pattern_sd", "pattern_range", "participation_vh"}


def tiny_rbm(ensemble):
    return rg.train_rbm(
        ensemble, 4, method="cd", batch=50, steps=100, optimiser="sgd", learning_rate=0.05, schedule="constant"
    )


RULES = {
    "average": rg.Average(),
    "majority": rg.Majority(),
    "decimation": rg.Decimation(),
    "bernoulli": rg.BernoulliBlock(0.5),
}


@pytest.fixture(scope="module")
def report4(critical4):
    """Maps of every kind on the 4×4 torus."""
    maps = {
        **RULES,
        "rbm_untrained": rg.untrained_rbm(16, 4),
        "rbm_mine": tiny_rbm(critical4),
        "function": lambda v: v.reshape(len(v), -1)[:, :3],
        "every site": lambda v: v + 0.2 * np.roll(v, 1, axis=1),
    }
    return rg.judge(critical4, maps, seed=3)


# --- what judge measures


def test_every_map_has_the_rows_and_names_of_the_contract(report4):
    for name, entry in report4.maps.items():
        rows = entry.diagnostics
        network, trained = name.startswith("rbm"), name == "rbm_mine"
        left_out = {"decoy"} | (set() if network else {"kadanoff_gap"}) | (set() if trained else {"training"})
        assert set(rows) == set(INSTRUMENTS) - left_out
        assert set(rows["sampling"].estimates) >= SAMPLING
        assert set(rows["vh_pattern"].estimates) >= PICTURE
        assert (set(rows["vh_pattern"].estimates) >= PLACED) == (not name.startswith("rbm") and name != "function")
        assert ("participation_w" in rows["vh_pattern"].estimates) == name.startswith("rbm")
        assert {"C[1]", "C[2]"} <= set(rows["spatial_correlator"].estimates)
        assert entry.verdict in {
            "undecided",
            "local coarse graining, not near a fixed point",
            "feature extractor, not RG",
        }
        assert entry.reason
        assert all(row.why for row in rows.values())
    kinds = {name: entry.kind for name, entry in report4.maps.items()}
    controls = {"average", "majority", "decimation", "bernoulli", "rbm_untrained"}
    assert kinds == {name: "control" if name in controls else "judged" for name in report4.maps}


def test_the_origin_says_where_the_numbers_come_from(report4):
    origin = report4.to_dict()["origin"]
    assert {"version", "command", "seed", "size", "temperature", "samples", "started", "seconds"} <= set(origin)
    assert (origin["size"], origin["samples"], origin["seed"]) == (4, 20_000, 3)
    assert origin["temperature"] == pytest.approx(rg.CRITICAL_TEMPERATURE)


def exact_numbers(report):
    for name, entry in report.maps.items():
        for row, diagnostic in entry.diagnostics.items():
            for quantity, q in diagnostic.estimates.items():
                if q.exact is not None:
                    yield (name, row, quantity), float(q.estimate.value), float(q.estimate.error), q.exact


def exact_vh(rule, coarse=2):
    """⟨v h⟩ in, beside and far from the own block, by enumeration of all states of the 4×4 torus at T_c."""
    vh = enumeration.visible_hidden(rule.mean_h, 4, COUPLING).reshape(-1, 16)
    return {name: vh[mask].mean() for name, mask in patterns.block_masks(4, coarse)._asdict().items() if mask.any()}


def test_measured_numbers_agree_with_exact_ones(report4):
    """All that is known exactly at L = 4: u, c, ⟨|m|⟩, and ⟨v h⟩ in, beside and far from the own block."""
    known = list(exact_numbers(report4))
    for key, value, error, exact in known:
        rounding = 1e-3 if key[2] in ROOTS else 1e-5 if key[1] == "vh_pattern" else 1e-7  # float32 pictures
        assert abs(value - exact) <= SIGMAS * error + rounding, key
    for name, rule in RULES.items():
        assert {q for (m, _, q), *_ in known if m == name} >= SAMPLING
        found = report4.maps[name].diagnostics["vh_pattern"].estimates
        exact = exact_vh(rule)
        assert exact.keys() == PLACED
        for quantity, value in exact.items():
            e = found[quantity].estimate
            assert abs(float(e.value) - value) <= SIGMAS * float(e.error) + 1e-5, (name, quantity)


def test_exact_numbers_are_the_literature_s(report4):
    exact = {key: value for key, _, _, value in exact_numbers(report4)}
    assert exact["majority", "sampling", "u"] == pytest.approx(U4, abs=1e-10)
    assert exact["majority", "sampling", "c"] == pytest.approx(C4, abs=1e-9)
    assert exact["majority", "sampling", "abs_m"] == pytest.approx(ABS_M4, abs=1e-9)
    s, p = enumeration.states(4).astype(float), enumeration.probabilities(4, COUPLING)
    diagonal = p @ (s[:, 0, 0] * s[:, 1, 1])
    assert exact_vh(rg.Average())["own_block"] == pytest.approx(
        closed_forms.average_own_block(-U4 / 2, diagonal), abs=1e-6
    )
    majority = p @ np.abs(np.sign(s[:, :2, :2].sum(axis=(1, 2))) * s[:, :2, :2].mean(axis=(1, 2)))
    assert exact_vh(rg.Majority())["own_block"] == pytest.approx(majority, abs=1e-6)


def test_configurations_of_another_temperature_are_noticed(critical4):
    """The twin: samples of T = 2 under the label T_c fail the check and lie far from the exact numbers."""
    wrong = rg.ensemble_from_array(rg.sample(4, 2.0, 2000, seed=1).spins, rg.CRITICAL_TEMPERATURE)
    report = rg.judge(wrong, {"majority": rg.Majority()})
    row = report.maps["majority"].diagnostics["sampling"]
    assert row.passed is False
    assert "standard errors" in row.why
    away = [abs(value - exact) / error for _, value, error, exact in exact_numbers(report) if error > 0]
    assert max(away) > 10
    own = report.maps["majority"].diagnostics["vh_pattern"].estimates["own_block"].estimate
    assert abs(float(own.value) - exact_vh(rg.Majority())["own_block"]) > 10 * float(own.error)
    right = rg.judge(critical4, {"majority": rg.Majority()}).maps["majority"].diagnostics["sampling"]
    assert right.passed is True


def test_a_block_may_be_the_whole_lattice(critical4):
    """Nothing is adjacent then, and that is no number and no warning; ⟨v h⟩ is ⟨m²⟩ everywhere."""
    whole = rg.Average(block=4)
    row = rg.judge(critical4, {"all": whole}).to_dict()["maps"]["all"]["diagnostics"]["vh_pattern"]
    s, p = enumeration.states(4).astype(float), enumeration.probabilities(4, COUPLING)
    own = row["estimates"]["own_block"]
    assert exact_vh(whole, 1)["own_block"] == pytest.approx(p @ s.mean(axis=(1, 2)) ** 2, abs=1e-6)
    assert abs(own["value"] - exact_vh(whole, 1)["own_block"]) < SIGMAS * own["error"]
    assert "adjacent" not in exact_vh(whole, 1)
    assert row["estimates"].get("adjacent", {"value": None})["value"] is None


def test_a_trained_network_is_held_against_the_law_of_its_data(report4):
    row = report4.maps["rbm_mine"].diagnostics["training"].estimates
    assert float(row["steps"].estimate.value) == 100
    assert -math.log(2) < float(row["pseudo_likelihood"].estimate.value) < 0
    assert 0 < float(row["weights_sd"].estimate.value) < 1


def test_the_pseudo_likelihood_of_the_law_by_enumeration(critical4):
    """⟨ln p(s_i | all others)⟩ from the probabilities of each state and of the state with s_i flipped."""
    p = enumeration.probabilities(4, COUPLING)
    state = np.arange(65536)
    flips = [p @ np.log(p / (p + p[state ^ (1 << site)])) for site in range(16)]
    found = ising_pseudo_likelihood(critical4)
    assert abs(found.value - np.mean(flips)) < SIGMAS * found.error < 0.01


def test_larger_lattices_have_distances_and_no_enumeration(critical8):
    report = rg.judge(critical8, {"majority": rg.Majority()})
    rows = report.maps["majority"].diagnostics
    assert {"C[1]", "C[2]", "C[3]", "C[4]"} <= set(rows["spatial_correlator"].estimates)
    assert "C[8]" not in rows["spatial_correlator"].estimates
    assert rows["vh_pattern"].estimates["own_block"].exact is None
    assert rows["sampling"].estimates["abs_m"].exact == pytest.approx(0.7773310928, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_both_ends_of_temperature_work(temperature, tmp_path):
    """T = 0: flat pictures; T = ∞: none but noise. The file is JSON all the same."""
    ensemble = rg.sample(4, temperature, 100, seed=2)
    report = rg.judge(ensemble, {"majority": rg.Majority(), "rbm_untrained": rg.untrained_rbm(16, 4)})
    report.save(tmp_path / "out")
    assert plain(load_report(tmp_path / "out")) == plain(report)
    own = float(report.maps["majority"].diagnostics["vh_pattern"].estimates["own_block"].estimate.value)
    if temperature == 0:
        assert own == pytest.approx(1, abs=1e-12)
    else:  # ⟨v sign S⟩ of fair spins: P(|S|=4) + P(|S|=2)/2 = 1/8 + 1/4
        assert own == pytest.approx(0.375, abs=SIGMAS * 0.4 / np.sqrt(100 * 4 * 4))


@pytest.mark.parametrize(
    "odd",
    [
        lambda v: np.zeros((len(v), 3)),
        lambda v: np.ones((len(v), 2, 2)),
        lambda v: np.sign(v.sum(axis=(1, 2), keepdims=True)),
        lambda v: v.reshape(len(v), -1)[:, :1],
        lambda v: np.repeat(np.repeat(v, 2, axis=1), 2, axis=2),
        lambda v: v[:, :3, :3],
    ],
    ids=["nothing", "a constant", "one unit for the lattice", "one spin", "finer than the lattice", "not tiling"],
)
def test_odd_maps_are_measured_without_a_warning(critical8, odd):
    report = rg.judge(rg.ensemble_from_array(critical8.spins[:130], rg.CRITICAL_TEMPERATURE), {"odd": odd})
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report)


def test_one_sample_is_enough(critical4):
    one = rg.ensemble_from_array(critical4.spins[:1], rg.CRITICAL_TEMPERATURE)
    entry = rg.judge(one, {"majority": rg.Majority()}).to_dict()["maps"]["majority"]
    assert entry["diagnostics"]["vh_pattern"]["estimates"]["own_block"]["error"] is None


def test_judging_nothing_is_refused(critical4):
    for maps in ({}, rg.Majority(), [rg.Majority()], {1: rg.Majority()}, {"": rg.Majority()}):
        with pytest.raises(rg.InputError, match="give a name for each map"):
            rg.judge(critical4, maps)
    with pytest.raises(rg.InputError, match="ensemble is a ndarray"):
        rg.judge(critical4.spins, {"majority": rg.Majority()})
    with pytest.raises(rg.InputError, match="'broken' is a float"):
        rg.judge(critical4, {"broken": 1.0})
    with pytest.raises(rg.InputError, match="seed = -1"):
        rg.judge(critical4, {"majority": rg.Majority()}, seed=-1)


def test_a_network_for_another_lattice_is_refused(critical4):
    with pytest.raises(rg.InputError, match=r"16 sites .* 64 visible"):
        rg.judge(critical4, {"rbm": rg.untrained_rbm(64, 4)})


# --- the document


def check_schema(document):
    """The structure of design.md section 3, key by key."""
    assert set(document) == {"schema", "origin", "maps", "checksum"}
    assert document["schema"] == 3
    assert {"version", "command", "seed", "size", "temperature", "samples", "started", "seconds"} <= set(
        document["origin"]
    )
    for entry in document["maps"].values():
        assert {"verdict", "kind", "diagnostics"} <= set(entry)
        assert isinstance(entry["verdict"], str)
        assert entry["kind"] in ("control", "judged")
        for row in entry["diagnostics"].values():
            assert set(row) == {"passed", "why", "estimates"}
            assert row["passed"] in (True, False, None)
            assert isinstance(row["why"], str)
            for quantity in row["estimates"].values():
                assert set(quantity) == {"value", "error", "exact"}
                assert all(x is None or (isinstance(x, float) and math.isfinite(x)) for x in quantity.values())


def test_the_document_is_json_of_the_documented_schema(report4):
    text = json.dumps(report4.to_dict(), allow_nan=False)
    check_schema(json.loads(text))


def test_the_table_names_every_map(report4, critical4):
    text = str(rg.judge(critical4, {name: rg.Majority() for name in ("majority", "mine", "δεκα")}))
    for word in ("majority", "mine", "δεκα", "drift", "vh", "pattern", "undecided"):
        assert word in text
    for name in report4.maps:
        assert name in str(report4).replace("\n", " ")


NAMES = ["net[adam]", "[/red]", "a/b", 'q"q', "two\nlines", "\x1b[31mred", "😀 日本語", "x" * 60]


def test_names_are_text_everywhere(report4, tmp_path):
    """None is taken for markup or sent to the terminal as it is, each has its file, and all are read back."""
    entry = report4.maps["majority"]
    report = Report(report4.origin, {name: replace(entry, kind="judged") for name in NAMES})
    text = str(report)
    for name in NAMES[:4]:
        assert name in text
    assert r"two\nlines" in text
    assert r"\x1b[31mred" in text
    assert "\x1b" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= WIDTH
    report.save(tmp_path / "out")
    assert list(load_report(tmp_path / "out").maps) == NAMES
    stored = [path.name for path in (tmp_path / "out" / "data" / "maps").iterdir()]
    assert len(stored) == len(NAMES)
    assert all(name.isascii() and name.isprintable() and "/" not in name for name in stored)


def test_a_table_that_takes_names_for_markup_fails(report4):
    """The twin: what was done before."""
    table = Table("map")
    for name in NAMES[:2]:
        table.add_row(name)
    out = Console(file=io.StringIO(), width=80)
    with pytest.raises(MarkupError):
        out.print(table)


def test_a_printed_report_has_80_columns_and_the_sentences(report4):
    lines = str(report4).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for said in report4.sentences().split("\n\n"):
        assert said in text
    first = next(line for line in lines if line.startswith(" rbm_mine"))
    assert first.split()[1] == report4.maps["rbm_mine"].verdict.split()[0]  # beside the name


def test_a_report_that_is_not_whole_names_the_file(report4, tmp_path):
    Report(report4.origin, {name: report4.maps[name] for name in ("majority", "average")}).save(tmp_path / "out")
    load_report(tmp_path / "out")  # the twin
    (tmp_path / "out" / "data" / "maps" / "average.npz").unlink()
    with pytest.raises(rg.InputError, match=r"out' is not whole: 'data/maps/average\.npz' is missing") as caught:
        load_report(tmp_path / "out")
    assert "\n" not in str(caught.value)
    (tmp_path / "out" / "report.json").unlink()
    with pytest.raises(rg.InputError, match=r"no report in .*: report\.json is missing"):
        load_report(tmp_path / "out")


def test_a_report_of_a_later_version_says_what_made_it(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"schema": 9, "origin": {"version": "7.1"}, "maps": {}}))
    with pytest.raises(rg.InputError, match=r"has schema 9, made by rgstep '7\.1': this version reads 1 to 3"):
        load_report(tmp_path)


def test_tables_show_what_is_judged(critical8):
    """Of real h the exponents of its sign; of ±1 its own."""
    report = rg.judge(critical8, {"average": rg.Average(), "majority": rg.Majority()})
    rows = {name: entry.diagnostics["mcrg"] for name, entry in report.maps.items()}
    assert headline("mcrg", rows["average"])["y_h"] is rows["average"].estimates["y_h_sign[0]"]
    assert headline("mcrg", rows["majority"])["y_h"] is rows["majority"].estimates["y_h[0]"]
    assert list(headline("vh_pattern", report.maps["majority"].diagnostics["vh_pattern"])) == ["core"]
    text = str(report)
    for name, entry in report.maps.items():
        assert f"{name}: {entry.verdict}; {entry.reason}" in report.reasons()
        assert f"fate: {entry.fate or 'none'}, {entry.fate_reason}" in report.reasons()
    assert report.sentences().splitlines()[0] in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120, 400])
def test_printed_tables_fit_their_width_and_break_no_word(report4, width):
    """Every number of the table stands whole in a line; at a width that holds all columns there is one table."""
    text = io.StringIO()
    tables = report4.tables(width)
    Console(file=text, width=width, color_system=None).print(*tables)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert (len(tables) == 1) == (width == 400)
    words = {word for line in lines for word in line.split()}
    for name, entry in report4.maps.items():
        assert {*name.split(), *entry.verdict.split()} <= words
        for row in INSTRUMENTS:
            if row in IN_TABLE and row in entry.diagnostics:
                assert {str(quantity.estimate) for quantity in headline(row, entry.diagnostics[row]).values()} <= words


# --- files


def plain(report):
    """The document with one NaN equal to another."""
    return json.dumps(report.to_dict(), sort_keys=True)


def small_report(names):
    rows = {"sampling": Diagnostic(True, "why", {"u": Quantity(Estimate(-1.5, np.nan), -1.4)})}
    maps = {
        name: MapReport("not judged", "judged", "about", rows, {"vh_pattern": {"vh": np.full((1, 2, 2), i)}})
        for i, name in enumerate(names)
    }
    origin = {"version": "0", "command": "test", "seed": 0, "size": 4, "temperature": 2.0, "samples": 1}
    return Report({**origin, "started": "now", "seconds": 0.0}, maps)


def test_a_report_survives_the_disk(report4, tmp_path):
    report4.save(tmp_path / "deep" / "down")
    back = load_report(tmp_path / "deep" / "down")
    assert plain(back) == plain(report4)
    for name, entry in report4.maps.items():
        assert set(back.maps[name].arrays) == set(entry.arrays)
        for row, arrays in entry.arrays.items():
            assert set(back.maps[name].arrays[row]) == set(arrays)
            for key, array in arrays.items():
                np.testing.assert_array_equal(back.maps[name].arrays[row][key], array)
    check_schema(json.loads((tmp_path / "deep" / "down" / "report.json").read_text()))


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4, unique=True))
def test_any_names_of_maps_survive_the_disk(names):
    report = small_report(names)
    with tempfile.TemporaryDirectory() as folder:
        report.save(Path(folder) / "out")
        back = load_report(Path(folder) / "out")
        assert {p.name for p in Path(folder).iterdir()} == {"out"}
    assert list(back.maps) == names
    assert plain(back) == plain(report)
    for i, name in enumerate(names):
        assert back.maps[name].arrays["vh_pattern"]["vh"][0, 0, 0] == i


@pytest.mark.parametrize("names", [["a b", "a_b", "a/b", "../a"], ["", ".", ".."], ["Ω" * 70], ["x" * 300]])
def test_odd_names_of_maps_survive_the_disk(names, tmp_path):
    small_report(names).save(tmp_path / "out")
    back = load_report(tmp_path / "out")
    assert [int(back.maps[name].arrays["vh_pattern"]["vh"][0, 0, 0]) for name in names] == list(range(len(names)))
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_results_are_not_replaced_unless_asked(tmp_path):
    small_report(["a"]).save(tmp_path / "out")
    before = (tmp_path / "out" / "report.json").read_bytes()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(rg.InputError, match=r"exists: .*--force"):
        small_report(["b"]).save(tmp_path / "out")
    assert (tmp_path / "out" / "report.json").read_bytes() == before
    small_report(["b"]).save(tmp_path / "out", force=True)
    assert list(load_report(tmp_path / "out").maps) == ["b"]
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(rg.InputError, match="output"):
            small_report(["a"]).save(out)
    with pytest.raises(rg.InputError, match="cannot be written"):
        small_report(["a"]).save("/proc/rgstep/out")
    assert {p.name for p in tmp_path.iterdir()} == {"file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(rg.InputError, match="no permission"):
        check_output(tmp_path / "out", force=False)
    tmp_path.chmod(0o700)


def fail_while_writing(out, failure, force=False):
    with output_folder(out, force) as folder:
        (folder / "data").mkdir()
        (folder / "data" / "half.npz").write_text("half")
        (folder / "report.json").write_text("new")
        raise failure


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("out", ["out", "deep/down/out"])
def test_a_failed_run_leaves_nothing(tmp_path, failure, out):
    with pytest.raises(failure):
        fail_while_writing(tmp_path / out, failure)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_run_leaves_old_results_alone(tmp_path, failure):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("old")
    with pytest.raises(failure):
        fail_while_writing(tmp_path / "out", failure, force=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.json"]
    assert (tmp_path / "out" / "report.json").read_text() == "old"


def test_a_folder_that_was_there_and_empty_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError):
        fail_while_writing(tmp_path / "out", RuntimeError)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_arrays_are_written_whole_or_not_at_all(tmp_path):
    class Explodes:
        def __array__(self, dtype=None, copy=None):
            raise KeyboardInterrupt

    write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a.npz", {"x": np.arange(4), "y": Explodes()})
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["x"], np.arange(3))


BROKEN_REPORTS = {
    "no folder": lambda folder: (folder / "report.json").unlink(),
    "no JSON": lambda folder: (folder / "report.json").write_text("{"),
    "not text": lambda folder: (folder / "report.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda folder: (folder / "report.json").write_text("[]"),
    "another schema": lambda folder: (folder / "report.json").write_text('{"schema": 99}'),
    "no maps": lambda folder: (folder / "report.json").write_text('{"schema": 1, "origin": {}}'),
    "numbers as maps": lambda folder: (folder / "report.json").write_text(
        '{"schema": 1, "origin": {}, "maps": {"a": 1}}'
    ),
    "no size": lambda folder: (folder / "report.json").write_text(
        '{"schema": 1, "origin": {"temperature": 2}, "maps": {"a": {"diagnostics": {}}}}'
    ),
    "no arrays": lambda folder: (folder / "data" / "maps" / "a.npz").unlink(),
    "no archive": lambda folder: (folder / "data" / "maps" / "a.npz").write_bytes(b"no archive"),
    "half an archive": lambda folder: (folder / "data" / "maps" / "a.npz").write_bytes(
        (folder / "data" / "maps" / "a.npz").read_bytes()[:100]
    ),
}


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("damage", BROKEN_REPORTS)
def test_a_damaged_report_is_one_line(tmp_path, damage):
    small_report(["a"]).save(tmp_path / "out")
    load_report(tmp_path / "out")
    BROKEN_REPORTS[damage](tmp_path / "out")
    with pytest.raises(rg.InputError) as caught:
        load_report(tmp_path / "out")
    assert "out" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- reports of the schema before this one

OLD = Path(__file__).parent / "data/report_schema_1"
NEEDED = {  # by the figures of each row, of a map that has all of it
    "sampling": {"energies", "magnetisations", "sites"},
    "training": {"step", "pseudo_likelihood", "reconstruction", "participation_w", "u_model", "sv_1", "G4_data"},
    "vh_pattern": {"vh", "weights", "unit_range", "unit_participation", "beta", "unit_tile_radius", "unit_core_share"},
    "spatial_correlator": {"distance", "C", "C_error", "C_plain", "C_weights", "momentum_spectrum_w"},
    "two_point": {"G_0", "G_1", "G_1_error", "G_1_amplitude", "unit_amplitudes"},
    "hidden_hamiltonian": {"distance", "K", "K_error", "J", "J_distance", "J_mean", "J_error", "K_left_out"},
    "mcrg": {"y_t", "y_t_error", "y_t_level", "y_h_sign", "y_h_sign_condition"},
    "drift": {"U4", "U4_error", "nn", "nn_unit", "abs_m", "level", "delta_m", "delta_m_error"},
    "information": {"places"},
    "conditional_entropy": {"unit_entropy", "sharpening_s", "sharpening_entropy", "sharpening_nn_error"},
}


def test_a_report_of_schema_1_opens_with_its_arrays_under_their_rows():
    report = rg.load(OLD)
    text = json.loads((OLD / "report.json").read_text(encoding="utf-8"))
    assert text["schema"] == 1
    fates = {"fate": None, "fate_reason": ""}  # it had none
    assert {name: {**entry, **fates} for name, entry in text["maps"].items()} == report.to_dict()["maps"]
    found = {}
    for name, entry in report.maps.items():
        with np.load(OLD / "data/maps" / f"{name}.npz") as file:
            stored = {key: file[key] for key in file.files}
        arrays = {(row, key): a for row, more in entry.arrays.items() for key, a in more.items()}
        assert len(arrays) == len(stored) + 1  # none hides another; the number of sites is new
        assert entry.arrays["sampling"]["sites"] == 64
        for values in stored.values():
            assert any(values is a or np.array_equal(values, a, equal_nan=True) for a in arrays.values())
        np.testing.assert_array_equal(entry.arrays["vh_pattern"]["vh"], stored["vh"])
        np.testing.assert_array_equal(entry.arrays["two_point"]["G_1"], stored["two_point_1"])
        for row, more in entry.arrays.items():
            assert row in entry.diagnostics
            found.setdefault(row, set()).update(more)
    assert found.keys() == NEEDED.keys()
    for row, names in NEEDED.items():
        assert names <= found[row], row


@pytest.mark.slow
def test_names_of_schema_1_are_those_of_today(critical8):
    """What is measured today has every name that a figure may look for: an old name without a new one shows here."""
    ensemble = rg.ensemble_from_array(critical8.spins[:200], rg.CRITICAL_TEMPERATURE)
    network = rg.train_rbm(ensemble, 4, preset="koch2020", steps=20)
    today = rg.judge(ensemble, {"average": rg.Average(), "majority": rg.Majority(), "rbm": network})
    retired = {("vh_pattern", "unit_centroid")}  # no figure showed them
    for name, entry in rg.load(OLD).maps.items():
        old = {(row, key) for row, more in entry.arrays.items() for key in more}
        new = {(row, key) for row, more in today.maps[name].arrays.items() for key in more}
        assert old - new <= retired, name


def test_a_decoy_test_of_schema_1_is_found_too(tmp_path):
    shutil.copytree(OLD, tmp_path / "old")
    path = tmp_path / "old/data/maps/rbm.npz"
    with np.load(path) as file:
        stored = {key: file[key] for key in file.files}
    write_arrays(path, {**stored, "decoy_step": np.arange(3.0), "decoy_share_error": np.ones(3)})
    arrays = rg.load(tmp_path / "old").maps["rbm"].arrays["decoy"]
    assert arrays.keys() == {"step", "share_error"}


def test_a_report_of_schema_1_is_written_as_one_of_today(tmp_path):
    report = rg.load(OLD)
    report.save(tmp_path / "new")
    check_schema(json.loads((tmp_path / "new/report.json").read_text(encoding="utf-8")))
    back = rg.load(tmp_path / "new")
    assert plain(back) == plain(report)
    for name, entry in report.maps.items():
        assert {row: set(more) for row, more in back.maps[name].arrays.items()} == {
            row: set(more) for row, more in entry.arrays.items()
        }
