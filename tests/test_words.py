"""The answer in words: what the rows of a report say, in sentences that page, print and notebooks share."""

import math
from dataclasses import replace

import pytest

import rgstep as rg
from rgstep import words
from rgstep.controls import HAND_MADE, KNOWN, expected
from rgstep.estimates import Estimate
from rgstep.glossary import NUMBERS, SYMBOLS, said_of
from rgstep.instruments import DECIDING, INSTRUMENTS
from rgstep.results import (
    FATES,
    FEATURES,
    LOCAL,
    NOT_JUDGED,
    RG_STEP,
    UNDECIDED,
    Diagnostic,
    Forecast,
    MapReport,
    Outcome,
    Quantity,
)

RULE, NULL = "Majority(block=2, ties='random')", "RBM(64 visible, 16 hidden, preset=untrained, steps=0, seed=0)"
NETWORK = "RBM(64 visible, 16 hidden, preset=default, steps=100, seed=0)"
ROW_OF = {
    "extended_units": "vh_pattern",
    "crowded_units": "vh_pattern",
    "noise_ratio_rows": "coherence",
    "shape_deviation": "two_point",
    "y_t[1]": "mcrg",
    "gain_margin": "gain",
}


def entry(verdict, *outcomes, kind="judged", about=NETWORK, fate=None, reason="why"):
    """A map of which some numbers were held against their bands: (name, value, error, low, high)."""
    rows = {}
    for quantity, value, error, low, high in outcomes:
        one = Outcome(quantity, Estimate(value, error), low, high)
        row = rows.setdefault(ROW_OF[quantity], ([], {}, []))
        row[0].append(one.sentence(1000))
        row[1][quantity] = Quantity(one.estimate)
        row[2].append(one.passed)
    made = {
        name: Diagnostic(
            False if False in p else None if None in p else True, "; ".join([*said, "more; words: [1, 2]"]), q
        )
        for name, (said, q, p) in rows.items()
    }
    return MapReport(verdict, kind, about, made, reason=reason, fate=fate)


SPREAD = ("extended_units", 0.94, 0.01, -math.inf, 0.1)
REDDENED = ("noise_ratio_rows", 5.0, 0.5, 0.7, 1.5)
GAIN = ("gain_margin", -0.22, 0.0, 0.5, math.inf)
FINE = (
    ("extended_units", 0.0, 0.0, -math.inf, 0.1),
    ("noise_ratio_rows", 1.0, 0.01, 0.7, 1.5),
    ("y_t[1]", 0.99, 0.02, 0.85, 1.15),
)
CONTROLS = {
    "majority": entry(RG_STEP, *FINE, kind="control", about=RULE, fate=FATES[0]),
    "null": entry(FEATURES, ("extended_units", 1.0, 0.0, -math.inf, 0.1), kind="control", about=NULL),
}


@pytest.mark.parametrize(
    ("verdicts", "begins"),
    [
        ([FEATURES], "The trained network rbm_0 is not an RG step: "),
        ([FEATURES, FEATURES], "Neither trained network is an RG step: "),
        ([FEATURES] * 3, "None of the three trained networks is an RG step: "),
        ([RG_STEP], "The trained network rbm_0 is an RG step: "),
        ([RG_STEP, RG_STEP], "Both trained networks are RG steps: "),
        ([UNDECIDED], "Whether the trained network rbm_0 is an RG step is undecided: "),
        (
            [RG_STEP, FEATURES, UNDECIDED],
            "Of three trained networks one is an RG step (rbm_0), one is not (rbm_1), ",
        ),
    ],
)
def test_one_sentence_answers_the_title(verdicts, begins):
    numbers = {
        FEATURES: (SPREAD,),
        RG_STEP: FINE,
        UNDECIDED: (("extended_units", 0.09, 0.02, -math.inf, 0.1),),
    }
    maps = {f"rbm_{i}": entry(verdict, *numbers[verdict]) for i, verdict in enumerate(verdicts)}
    said = words.headline({**CONTROLS, **maps})
    assert said.startswith(begins)
    assert said.endswith(".")
    if FEATURES in verdicts:
        assert "units are not local" in said
        assert "94.0(1.0) %" in said
        assert "an RG step has at most 10 %, the majority rule 0 %, an untrained network 100 %" in said


def test_the_sentence_follows_the_numbers_and_not_the_verdict_alone():
    """The twin: another number fails, and another reason is given."""
    said = words.headline({**CONTROLS, "mine": entry(FEATURES, REDDENED)})
    assert "far from any one block" not in said
    assert "noise in h" in said
    both = words.headline({"a": entry(FEATURES, SPREAD), "b": entry(FEATURES, REDDENED)})
    assert "of a too many of its units" in both
    assert "of b the noise" in both


def test_reports_without_a_map_or_without_a_verdict_say_so():
    assert words.headline(CONTROLS).startswith("No map is under judgement")
    assert words.headline({}).startswith("No map is under judgement")
    cold = entry(NOT_JUDGED, reason="T = 2: a verdict needs configurations at T_c")
    assert words.headline({"mine": cold}) == "No map is judged: T = 2: a verdict needs configurations at T_c."
    assert words.answer("mine", {"mine": cold}).change.startswith("Configurations at the critical temperature")


def test_a_user_s_map_is_no_trained_network():
    said = words.headline({"mine": entry(FEATURES, SPREAD, about="user's Encoder")})
    assert said.startswith("The map mine is not an RG step")


def test_three_numbers_carry_a_verdict_each_beside_its_controls():
    maps = {**CONTROLS, "rbm": entry(FEATURES, SPREAD, REDDENED, ("shape_deviation", 0.03, 0.001, -math.inf, 0.01))}
    said = words.answer("rbm", maps)
    assert [n.quantity for n in said.numbers] == ["extended_units", "noise_ratio_rows", "shape_deviation"]
    first = said.numbers[0]
    assert (first.value, first.band, first.where) == ("94.0(1.0) %", "at most 10 %", "> 20 σ outside")
    assert first.beside == {"majority": "0 %", "untrained": "100 %"}
    assert said.numbers[2].beside == {"majority": "–", "untrained": "–"}
    assert said.numbers[1].band == "0.7 to 1.5"


def test_the_untrained_network_of_the_same_size_comes_first():
    own = entry(FEATURES, ("extended_units", 0.97, 0.01, -math.inf, 0.1), kind="control", about=NULL)
    maps = {**CONTROLS, "rbm": entry(FEATURES, SPREAD), "rbm@untrained": own}
    assert words.answer("rbm", maps).numbers[0].beside["untrained"] == "97.0(1.0) %"
    impostor = {**maps, "rbm@untrained": entry(FEATURES, SPREAD, kind="judged")}
    assert words.answer("rbm", impostor).numbers[0].beside["untrained"] == "100 %"


def test_numbers_that_failed_come_before_those_that_passed():
    """A row each at first; where fewer than three failed, those nearest to an edge."""
    crowd = ("crowded_units", 0.5, 0.01, -math.inf, 0.1)
    maps = {"rbm": entry(FEATURES, FINE[2], SPREAD, crowd, GAIN)}
    numbers = words.answer("rbm", maps).numbers
    assert [n.quantity for n in numbers] == ["extended_units", "crowded_units", "y_t[1]"]
    assert [n.passed for n in numbers] == [False, False, True]


def test_what_would_change_the_verdict():
    failed = words.answer("rbm", {"rbm": entry(FEATURES, SPREAD, GAIN)}).change
    assert "units that are not local from 94 % to at most 10 %" in failed
    assert "if this number moved" in failed
    assert "More samples are not expected to change it: it is more than 20 σ outside its band" in failed
    both = words.answer("rbm", {"rbm": entry(FEATURES, SPREAD, ("crowded_units", 0.5, 0.01, -math.inf, 0.1))}).change
    assert "if both of these numbers moved" in both
    assert "each is more than 20 σ outside its band" in both
    assert "To be an RG step it must pass the row gain too, which fails." in failed
    local = words.answer("rbm", {"rbm": entry(LOCAL, GAIN)}).change
    assert "from −0.22 to at least 0.5" in local
    assert "no noise" in local
    step = words.answer("rbm", {"rbm": entry(RG_STEP, *FINE)}).change
    assert "thermal exponent y_t (level 1) from 0.99 to below 0.85 (7 σ inside now)" in step


def test_an_undecided_map_says_how_many_samples_or_that_none_help():
    near = entry(UNDECIDED, ("extended_units", 0.09, 0.02, -math.inf, 0.1))
    sooner = replace(near, forecast=Forecast(9_000, 20_000, 50_000))
    assert "About 20,000 samples would decide" in words.answer("rbm", {"rbm": sooner}).change
    never = replace(near, forecast=Forecast(None, None, None, "no number of samples helps"))
    assert "No number of samples helps." in words.answer("rbm", {"rbm": never}).change
    assert "does not say how many" in words.answer("rbm", {"rbm": near}).change


@pytest.mark.parametrize("fate", FATES)
def test_a_fate_has_its_sentence(fate):
    assert words.answer("rbm", {"rbm": entry(RG_STEP, *FINE, fate=fate)}).leads == words.OF_FATE[fate]


def test_what_a_row_writes_is_read_again():
    """Every kind of sentence that `results.Outcome` writes, and nothing in what follows it."""
    for value, error, passed in ((0.5, 0.01, False), (0.05, 0.001, True), (0.11, 0.02, None), (0.3, 0.0, False)):
        maps = {"rbm": entry(UNDECIDED, ("extended_units", value, error, -math.inf, 0.1))}
        (found,) = words.carriers("rbm", maps)
        assert (found.passed, found.low, found.high) == (passed, -math.inf, 0.1)
        assert float(found.estimate.value) == value
    unseen = Diagnostic(None, "faint_units = 1, outside (−∞, 0.1]: not enough is seen of the units", {})
    assert list(words.carriers("rbm", {"rbm": MapReport(UNDECIDED, "judged", NETWORK, {"vh_pattern": unseen})})) == []


# --- controls


def test_controls_are_counted_and_the_odd_one_is_named():
    said = words.on_controls(CONTROLS)
    assert said.sentence == "2 of 2 controls as expected."
    assert said.unexpected == ()
    odd = {**CONTROLS, "majority": entry(LOCAL, kind="control", about=RULE)}
    said = words.on_controls(odd)
    assert said.sentence.startswith("1 of 2 controls as expected: majority should be “RG step” and is “local")
    assert said.unexpected == ("majority",)


def test_a_control_without_a_known_verdict_counts_in_neither():
    trained = entry(FEATURES, kind="control", about=NETWORK)
    said = words.on_controls({**CONTROLS, "permuted": trained})
    assert said.sentence == "2 of 2 controls as expected."
    assert said.verdicts["permuted"] == (None, FEATURES)
    assert "no controls" in words.on_controls({"rbm": MapReport(FEATURES, "judged", NETWORK, {})}).sentence


@pytest.mark.parametrize("block", [2, 3])
def test_the_verdict_of_every_control_is_known_by_what_it_is(block):
    for name, make in HAND_MADE.items():
        assert expected(repr(make(block))) == KNOWN[name]
    assert expected(repr(rg.Majority(block, ties="first"))) == RG_STEP
    assert expected(repr(rg.untrained_rbm(16, 4))) == FEATURES
    assert expected("user's Majority") is None
    assert expected("BernoulliBlock(weight=0.37, block=2)") is None


# --- the glossary


def test_the_glossary_covers_every_headline_symbol_and_every_number_that_decides():
    plain = str.maketrans({digit: f"_{i}" for i, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")})
    labels = {label for instrument in INSTRUMENTS.values() for label in instrument.headline.values()}
    assert {label.translate(plain) for label in labels} <= SYMBOLS.keys()
    decide = {c.quantity.replace("[n]", "").partition("[")[0] for row in DECIDING for c in INSTRUMENTS[row].criteria}
    assert decide <= NUMBERS.keys()
    assert not {"no_such_number"} <= NUMBERS.keys()
    assert "(?)" in SYMBOLS
    for meaning in (*SYMBOLS.values(), *(number.meaning for number in NUMBERS.values())):
        assert len(meaning) > 10


def test_a_number_is_named_with_its_level():
    assert said_of("y_t_sign[2]").name == "thermal exponent y_t (level 2)"
    assert said_of("locality_q[1]").name == NUMBERS["locality_q"].name
    assert said_of("of_a_user").name == "of a user"


def test_all_or_none_have_no_error_of_counting():
    assert words.shown("extended_units", Estimate(1.0, 0.00015)) == "100 %"
    assert words.shown("extended_units", Estimate(0.0, 0.01)) == "0 %"
    assert words.shown("extended_units", Estimate(0.99, 0.01)) == "99.0(1.0) %"  # the twin
