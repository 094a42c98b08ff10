"""How many samples would decide: ranges that are right as often as they say, and none where none helps."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scripts

import rgstep as rg
from rgstep.battery import judge_map, reference_on
from rgstep.estimates import Estimate
from rgstep.forecast import DRAWS, factors_that_decide, forecast, rounded, scale
from rgstep.instruments import DECIDING
from rgstep.report import Report, load_report
from rgstep.report_schema import checked_document
from rgstep.results import LOCAL, RG_STEP, UNDECIDED, Diagnostic, Forecast, MapReport, Outcome, Quantity, Verdict

ROOT = Path(__file__).parent.parent
OPEN = Verdict(UNDECIDED, (), "")


def number(value, error, low=-1.0, high=1.0, **options):
    return Outcome(options.pop("name", "x"), Estimate(value, error), low, high, **options)


def outlook(*numbers, samples=1000):
    return forecast(OPEN, {"row": list(numbers)}, samples)


@pytest.fixture(scope="module")
def script():
    return scripts.script("measure_forecast")


# --- one number, and several


def test_only_an_undecided_verdict_has_a_forecast():
    assert forecast(Verdict(RG_STEP, (), ""), {"row": [number(0.9, 0.1)]}, 1000) is None
    assert outlook(number(0.9, 0.1)).likely > 1000


def test_a_number_nearer_to_its_edge_needs_more():
    """With errors far below the scale of the band, N goes as (error/room)², up to what the value's own error does."""
    near, far = outlook(number(0.99, 0.01)), outlook(number(0.985, 0.01))
    assert far.low <= far.likely <= far.high
    assert near.likely > far.likely
    assert 1000 < far.likely < 10_000


def test_outside_four_standard_errors_are_needed_and_inside_two():
    assert outlook(number(1.015, 0.01)).likely > 1.5 * outlook(number(0.985, 0.01)).likely


def test_all_numbers_must_decide_and_one_that_fails_does_it_alone():
    early, late = number(0.2, 0.45), number(0.97, 0.03)
    assert outlook(early, late).likely > outlook(early).likely
    failing = number(1.3, 0.1)
    assert outlook(failing, number(math.nan, math.nan)).likely == outlook(failing).likely
    assert outlook(number(0.2, 0.45), number(math.nan, math.nan)).likely is None  # it passes, but not alone


def test_numbers_that_have_decided_count_too():
    """Inside by two standard errors and a bit: with more samples it may come out again."""
    just = number(0.79, 0.1)
    assert just.passed is True
    assert (
        factors_that_decide({"row": [just, number(0.2, 0.45)]}) > factors_that_decide({"row": [number(0.2, 0.45)]})
    ).any()


def test_the_forecast_is_the_same_each_time_and_scales_with_the_samples():
    one, two = outlook(number(0.9, 0.1), samples=1000), outlook(number(0.9, 0.1), samples=2000)
    assert one == outlook(number(0.9, 0.1), samples=1000)
    assert two.likely == pytest.approx(2 * one.likely, rel=0.06)


def test_scales_of_bands():
    assert scale(number(0, 1, -0.5, 0.5)) == 0.5
    assert scale(number(0, 1, -math.inf, 0.1)) == 0.1
    assert scale(number(0, 1, 0.9, math.inf)) == 0.9
    assert scale(number(0, 0.2, 0.0, math.inf)) == 0.2


def test_two_digits():
    assert rounded(12_345) == 12_000
    assert rounded(707.1) == 710


# --- none where none helps


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ([number(0.49, 0.02, 0.5, math.inf, sampled=False, name="gain_margin")], "error of gain_margin is not of the"),
        ([number(0.0, 0.0, 0.9, math.inf, doubt=True, name="local_units")], "how many, local_units cannot tell"),
        ([number(math.nan, math.nan, name="locality_q[1]")], "how many, locality_q[1] cannot tell"),
        ([number(0.5, math.nan, name="y_h[1]")], "how many, y_h[1] cannot tell"),
        ([], "nothing that a criterion looks at is measured in row"),
    ],
)
def test_none_where_none_helps(numbers, why):
    found = outlook(*numbers)
    assert (found.low, found.likely, found.high) == (None, None, None)
    assert why in found.why
    assert found.sentence == found.why


def test_the_same_numbers_with_errors_that_shrink_have_one():
    """The twin of the test above."""
    assert outlook(number(0.49, 0.02, 0.5, math.inf)).likely is not None
    assert outlook(number(0.85, 0.04, 0.9, math.inf)).likely is not None


def test_an_edge_that_no_thousandfold_set_tells_has_none(monkeypatch):
    at_the_edge = number(1.0, 0.01)
    assert outlook(at_the_edge).likely is not None  # a value is as uncertain as its error: it will not stay there
    monkeypatch.setattr("rgstep.forecast.room", lambda value, outcome: np.full(np.shape(value), 1e-9))
    assert "may be at an edge" in outlook(at_the_edge).why


def test_an_array_of_h_is_never_decided_by_more_samples(critical8):
    h = rg.Majority().sample_h(critical8.spins, np.random.default_rng(1))
    entry = rg.judge(critical8, {"mine": h}).maps["mine"]
    assert entry.verdict == UNDECIDED
    assert "conditional_law" in entry.forecast.why
    assert entry.forecast.likely is None


# --- how often it is right


@pytest.mark.parametrize(("law", "least"), [("as assumed", 0.6), ("evenly", 0.5)])
def test_two_times_in_three_made_up_verdicts_decide_within_the_range(script, monkeypatch, law, least):
    monkeypatch.setattr(script, "SYNTHETIC", 60)
    cases = list(script.synthetic_cases(law))
    assert least < np.mean([c.low * 0.97 <= c.decided <= c.high * 1.03 for c in cases]) < 0.85


def test_forecasts_from_wrong_errors_are_wrong(script, monkeypatch):
    """The twin: errors that are three times too small, and the range is missed."""
    monkeypatch.setattr(script, "SYNTHETIC", 60)
    honest = script.case

    def boasting(where, rows, decided, end):
        small = {
            row: [number(float(o.estimate.value), float(o.estimate.error) / 3, o.low, o.high) for o in found]
            for row, found in rows.items()
        }
        return honest(where, small, decided, end)

    monkeypatch.setattr(script, "case", boasting)
    cases = list(script.synthetic_cases("as assumed"))
    assert np.mean([c.low * 0.97 <= c.decided <= c.high * 1.03 for c in cases]) < 0.5


def test_measured_verdicts_were_forecast_as_the_table_says(script):
    """The table follows from the stored numbers, and holds at least 200 verdicts with a forecast."""
    with (ROOT / "docs/forecast.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["source"] == "measured"]
    named = [line for line in lines if line["likely"] != "0"]
    assert len(named) >= 200
    near = [1 / 3 <= float(line["decided"]) / float(line["likely"]) <= 3 for line in named]
    assert np.mean(near) > 0.7
    again = list(script.measured_cases(script.records()[:5]))
    assert again
    for case, line in zip(again, lines, strict=False):
        assert [str(value) for value in case] == list(line.values())


# --- in the report


def test_an_undecided_map_has_it_in_its_report(critical8, tmp_path):
    reference = reference_on(critical8, 0)
    entry = judge_map(critical8, "noisy", rg.BernoulliBlock(0.6), 0, reference, None, DECIDING)
    decided = judge_map(critical8, "decimation", rg.Decimation(), 0, reference, None, DECIDING)
    assert entry.verdict == UNDECIDED
    assert entry.forecast.likely > len(critical8)
    assert decided.verdict == LOCAL
    assert decided.forecast is None
    report = Report({"temperature": 2.0}, {"noisy": entry, "decimation": decided})
    assert entry.forecast.sentence in report.reasons()
    report.save(tmp_path / "r")
    again = load_report(tmp_path / "r")
    assert again.maps["noisy"].forecast == entry.forecast
    assert again.maps["decimation"].forecast is None
    assert "forecast" not in again.maps["decimation"].to_dict()


def test_no_number_says_how_many_samples_it_needs_by_itself():
    assert "samples" not in number(0.95, 0.1).sentence(1000)
    assert number(0.95, 0.1).sentence(1000).endswith("inside by 0.5 σ of 2")
    assert number(1.2, 0.1).sentence(1000).endswith("outside by 2.0 σ of 4")


def test_sentences():
    assert Forecast(1000, 3000, 9000).sentence == "about 3,000 samples would decide, two times in three 1,000 to 9,000"
    assert Forecast(1000, 3000, None).sentence.endswith("1,000 or more, without end")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"low": 1, "likely": 2, "high": 3}, "has no entry 'why'"),
        ({"low": 0, "likely": 2, "high": 3, "why": ""}, "must be a whole number above 0"),
        ({"low": 1, "likely": 2, "high": 3, "why": "", "more": 1}, "unknown entry"),
        ("soon", "must be a mapping"),
    ],
)
def test_a_broken_forecast_is_one_line(broken, message):
    row = {"x": Diagnostic(None, "", {"x": Quantity(Estimate(0.0, 1.0))})}
    rows = {"drift": row["x"]}
    text = Report({"temperature": 2.0}, {"a": MapReport(UNDECIDED, "judged", "x", rows, forecast=Forecast(1, 2, 3))})
    document = text.to_dict()
    checked_document("report.json", json.dumps(document))
    document["maps"]["a"]["forecast"] = broken
    from rgstep.schema import sealed

    with pytest.raises(rg.InputError, match=message):
        checked_document("report.json", json.dumps(sealed(document)))


def test_enough_draws():
    assert DRAWS >= 1000
