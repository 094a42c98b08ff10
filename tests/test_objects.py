"""Objects behave as what they look like: containers, arrays, figures, tables, cards of a notebook."""

import html.parser
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

import rgstep as rg
from rgstep import battery, notebook, progress
from rgstep.controls import KNOWN, STANDARD, UNTRAINED
from rgstep.estimates import Estimate
from rgstep.results import Diagnostic, MapReport, Quantity

MARKUP = "<b>[/red]&\n😀"


@pytest.fixture(scope="module")
def small(critical8):
    """A rule and a network with a name of markup, on 100 configurations."""
    return rg.judge(critical8[:100], {"majority": rg.Majority(), MARKUP: rg.untrained_rbm(64, 16)})


# --- a report


def test_a_report_is_a_container_of_maps(small):
    assert small["majority"] is small.maps["majority"]
    assert small["majority"].verdict in rg.Report.__repr__(small)
    assert list(small) == ["majority", MARKUP]
    assert len(small) == 2
    assert "majority" in small
    assert "minority" not in small
    assert {name: small[name].kind for name in small} == {"majority": "control", MARKUP: "control"}


@pytest.mark.parametrize(("name", "message"), [("majorty", "did you mean 'majority'"), ("", "known:")])
def test_an_unknown_map_is_one_line_with_the_nearest(small, name, message):
    with pytest.raises(rg.InputError, match=message) as caught:
        small[name]
    assert "\n" not in str(caught.value).replace(MARKUP, "")


def test_every_figure_that_is_named_is_drawn(small):
    rows = small.figures()
    assert {"drift", "vh_pattern", "gain"} <= set(rows)
    assert "symmetry" not in rows
    for row in rows:
        assert isinstance(small.figure(row), Figure), row
    names = small.figures("vh_pattern")
    assert {"vh_majority", "range_against_participation"} <= set(names)
    assert small.figure("vh_pattern", "range_against_participation").axes
    assert small.figure("drift").axes[0].get_xlabel() == "level n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("drfit",), "did you mean 'drift'"),
        (("drift", "drfit"), "did you mean 'drift'"),
        (("symmetry",), "nothing to draw; there are figures of sampling"),
        ((3,), "must be one of the names"),
    ],
)
def test_an_unknown_figure_is_one_line(small, asked, message):
    with pytest.raises(rg.InputError, match=message):
        small.figure(*asked)


def test_numbers_behind_a_figure_are_those_that_it_draws(small):
    table = small.numbers("drift")
    arrays = small["majority"].arrays["drift"]
    mine = table[(table["map"] == "majority") & (table["array"] == "U4")]
    np.testing.assert_array_equal(mine["value"], arrays["U4"])
    np.testing.assert_array_equal(mine["error"], arrays["U4_error"])
    assert list(mine["i"]) == list(range(len(arrays["U4"])))
    assert not (table["array"] == "U4_error").any()
    pictures = small.numbers("vh_pattern")
    unit = pictures[(pictures["map"] == "majority") & (pictures["array"] == "vh") & (pictures["i"] == 3)]
    values = unit["value"].to_numpy().reshape(8, 8)
    np.testing.assert_allclose(values, small["majority"].arrays["vh_pattern"]["vh"][3])


def test_rows_without_arrays_have_their_numbers(small):
    table = small.numbers("gain")
    (gain,) = table[(table["map"] == "majority") & (table["array"] == "gain")]["value"]
    assert gain == 1.5
    assert len(small.numbers("decoy")) == 0


def test_every_row_has_a_table(small):
    for row in small.figures():
        table = small.numbers(row)
        assert len(table), row
        assert list(table.columns) == ["map", "array", "i", "j", "k", "value", "error"]


# --- configurations


def test_one_configuration_of_a_set_and_a_part_of_it(critical8):
    spins = critical8.spins
    for number in (0, 7, -1, np.int64(3), np.array(2)):
        one = critical8[number]
        assert one.dtype == np.int8
        np.testing.assert_array_equal(one, spins[int(number)])
        assert not one.flags.writeable
    mask = np.arange(len(critical8)) % 3 == 0
    for index in (slice(10, 20), slice(None, None, -7), [5, 1, 1], np.array([2, -1]), mask):
        part = critical8[index]
        assert isinstance(part, rg.Ensemble)
        np.testing.assert_array_equal(part.spins, spins[index])
        assert part.system == critical8.system
        assert part.origin == critical8.origin
        assert part.independent == critical8.independent


def test_it_is_walked_through_and_is_an_array(critical8):
    assert len(list(critical8)) == len(critical8) == 640
    np.testing.assert_array_equal(list(critical8)[-1], critical8[-1])
    assert np.asarray(critical8).dtype == np.int8
    np.testing.assert_array_equal(np.asarray(critical8), critical8.spins)
    assert np.asarray(critical8, dtype=np.float32).dtype == np.float32
    again = rg.ensemble_from_array(critical8, rg.CRITICAL_TEMPERATURE)
    np.testing.assert_array_equal(again.spins, critical8.spins)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (640, "there are 640"),
        (-641, "there are 640"),
        (slice(0, 0), "none of the 640"),
        ([], "none of the 640"),
        ([640], "out of bounds"),
        (np.ones(3, bool), "boolean index"),
        ((0, 1), r"ensemble\.spins"),
        (np.zeros((2, 2), int), r"ensemble\.spins"),
        ("0", r"ensemble\.spins"),
        (1.5, "only integers"),
        (None, r"ensemble\.spins"),
        (True, r"ensemble\.spins"),
    ],
)
def test_a_bad_index_is_one_line(critical8, index, message):
    with pytest.raises(rg.InputError, match=message) as caught:
        critical8[index]
    assert "\n" not in str(caught.value)


# --- estimates


def test_an_estimate_is_its_value_as_an_array():
    scalar, several = Estimate(0.5, 0.1), Estimate(np.arange(3.0), np.ones(3))
    assert np.asarray(scalar) == 0.5
    assert np.asarray(scalar).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(several), [0, 1, 2])
    np.testing.assert_array_equal(np.asarray([scalar, scalar]), [0.5, 0.5])
    assert float(scalar) == 0.5
    with pytest.raises(TypeError):
        float(several)
    assert np.asarray(several, dtype=np.float32).dtype == np.float32


LOSSY = {
    "sqrt": np.sqrt,
    "number": lambda e: np.float64(2) * e,
    "array": lambda e: np.ones(3) + e,
    "minus": lambda e: e - np.ones(3),
}


@pytest.mark.parametrize("lossy", LOSSY.values(), ids=LOSSY)
def test_arithmetic_that_would_lose_the_error_is_refused(lossy):
    estimate = Estimate(np.arange(3.0), np.ones(3))
    lossy(np.asarray(estimate))  # the twin: of the numbers alone it works
    with pytest.raises(TypeError):
        lossy(estimate)


# --- notebooks


class Reader(html.parser.HTMLParser):
    """What tags a text has, and what is written in them."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def things(small, ensemble):
    """An object of every kind that notebooks show, with a word that must be there."""
    rbm = rg.untrained_rbm(64, 16)
    layers = (rg.Majority(), rg.Majority())
    yield small, small["majority"].verdict
    yield small["majority"], "vh_pattern"
    yield small["majority"].diagnostics["drift"], "U4[0]"
    yield ensemble, "640"
    yield Estimate(0.5, 0.01), "0.500(10)"
    yield Estimate(np.arange(4.0).reshape(2, 2), np.ones((2, 2))), "(2, 2)"
    yield Estimate(np.full(3, np.nan), np.full(3, np.nan)), "unknown"
    yield Estimate(np.empty(0), np.empty(0)), "(0,)"
    yield rbm, "64 visible, 16 hidden"
    yield rg.Stack(layers), "level 2"


def test_objects_show_themselves_in_a_small_table(small, critical8):
    for thing, word in things(small, critical8):
        card = thing._repr_html_()
        assert len(card) < 12_000, type(thing)
        assert 'class="rgstep"' in card
        assert word in read(card).text, type(thing)
        assert set(read(card).tags) <= {"style", "table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_a_line_of_each_is_short(small, critical8):
    for thing, _ in things(small, critical8):
        assert len(repr(thing)) < 400, type(thing)
        assert "array(" not in repr(thing)


def test_names_are_text_whatever_they_are(small):
    card = small._repr_html_()
    assert MARKUP in read(card).text
    assert "<b>" not in card
    entry = MapReport(
        "<i>", "judged", MARKUP, {MARKUP: Diagnostic(None, MARKUP, {MARKUP: Quantity(Estimate(1.0, 0.1))})}
    )
    for text in (
        entry._repr_html_(),
        entry.diagnostics[MARKUP]._repr_html_(),
        notebook.card(MARKUP, [(MARKUP, MARKUP)]),
    ):
        assert not re.search(r"<(b|i)>", text)
        assert MARKUP in read(text).text


def test_markup_that_is_not_escaped_is_found(monkeypatch):
    """The twin of the test above."""
    monkeypatch.setattr(notebook, "escape", str)
    assert "b" in read(notebook.card(MARKUP, [])).tags


def test_long_texts_are_cut():
    assert len(notebook.cell("x" * 1000)) == notebook.LONGEST + 1


def test_bars_in_a_notebook_and_lines_without_widgets(monkeypatch):
    shown = []

    class Bars:
        def __enter__(self):
            shown.append("bars")

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(progress, "bars", Bars)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(progress, "find_spec", lambda name: object())
    with rg.progress_bars():
        assert shown == ["bars"]
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with rg.progress_bars() as report:
        assert isinstance(report, progress.Lines)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: False)
    with rg.progress_bars() as report:
        assert isinstance(report, progress.Lines)
    assert shown == ["bars"]


# --- controls beside a map


@pytest.fixture
def unmeasured(monkeypatch):
    """`judge` without the measuring: what maps it is to judge is all that counts here."""

    def judge_map(ensemble, name, given, *others):
        return MapReport("undecided", battery.kind(given), battery.about(given), {})

    monkeypatch.setattr(battery, "judge_map", judge_map)


@pytest.mark.usefixtures("unmeasured")
def test_controls_of_the_command_beside_one_s_own_maps(critical8):
    rbm = rg.RBM(np.ones((64, 16), np.float32), np.zeros(64, np.float32), np.zeros(16, np.float32))
    assert list(rg.judge(critical8, {"mine": rbm})) == ["mine"]
    assert list(rg.judge(critical8, {"mine": rbm}, controls=False)) == ["mine"]
    assert list(rg.judge(critical8, {"mine": rbm}, controls=True)) == [*STANDARD, "mine", "mine@untrained"]
    assert list(rg.judge(critical8, {"mine": rbm}, controls=["far_majority"])) == ["far_majority", "mine"]
    assert len(rg.judge(critical8, {"majority": rg.Majority()}, controls=True)) == len(STANDARD)
    assert set(STANDARD) <= set(KNOWN)


@pytest.mark.usefixtures("unmeasured")
def test_controls_are_those_of_the_command(critical8):
    report = rg.judge(critical8, {"mine": rg.CrossMajority()}, controls=["majority", UNTRAINED], block=4)
    assert report["majority"].about == repr(rg.Majority(4))
    assert report[UNTRAINED].about == repr(rg.untrained_rbm(64, 4))
    assert report["majority"].kind == report[UNTRAINED].kind == "control"


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        ({"mine": rg.Majority()}, {"controls": ["majorty"]}, "did you mean 'majority'"),
        ({"mine": rg.Majority()}, {"controls": "majority"}, "True, False or a list"),
        ({"mine": rg.Majority()}, {"controls": 1}, "must be a list"),
        ({"mine": rg.Majority()}, {"controls": True, "block": 3}, "block"),
        ({"majority": lambda v: v}, {"controls": True}, "has the name of a control and is none"),
        (
            {
                "a": rg.RBM(np.ones((64, 16), np.float32), np.zeros(64, np.float32), np.zeros(16, np.float32)),
                "a@untrained": rg.Majority(),
            },
            {"controls": True},
            "has the name of the null",
        ),
    ],
)
@pytest.mark.usefixtures("unmeasured")
def test_bad_controls_are_one_line(critical8, maps, options, message):
    with pytest.raises(rg.InputError, match=message):
        rg.judge(critical8, maps, **options)
