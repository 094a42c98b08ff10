"""The criteria on the stored measurements: every verdict and every row as in the table, and every band by hand.

Nothing is sampled. The numbers are those of docs/calibration.jsonl.gz; the table is made from them by
`python docs/calibrate_verdict.py outcomes > tests/data/calibration_outcomes.txt`. It changes when a criterion does:
look at the difference, and say in docs/verdict.md why the new answers are better.
"""

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import scripts

from rgstep import battery, results
from rgstep.estimates import Estimate
from rgstep.instruments import INSTRUMENTS
from rgstep.results import Diagnostic, Quantity

ROOT = Path(__file__).parent.parent
STORED = (Path(__file__).parent / "data/calibration_outcomes.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def calibration():
    """The script docs/calibrate_verdict.py, as a module."""
    return scripts.script("calibrate_verdict")


def test_every_stored_measurement_is_judged_as_in_the_table(calibration, as_users_run):
    found = list(calibration.outcomes())
    changed = [f"was {old}\nnow {new}" for old, new in zip(STORED, found, strict=True) if old != new]
    assert not changed, "\n".join(changed)


def test_no_stored_verdict_is_wrong_and_few_are_undecided(calibration, as_users_run):
    """With 20,000 samples at most one in ten may be undecided; with 2,000 any number, but none may be wrong."""
    undecided, total = {}, {}
    for record, majority in calibration.beside_majority(calibration.records()):
        found, known = calibration.verdict(record, majority).name, calibration.known(record)
        samples = record["samples"]
        total[samples] = total.get(samples, 0) + 1
        if found not in known.right:
            assert found == results.UNDECIDED, record
            undecided[samples] = undecided.get(samples, 0) + 1
    assert total.keys() == {2000, 20000}
    assert undecided.get(20000, 0) <= 0.1 * total[20000]


class Band(NamedTuple):
    """One criterion, as docs/verdict.md has it."""

    row: str
    quantity: str
    low: float
    high: float
    about: str = "value"
    first: int = 0
    side: int = 0
    doubt: bool = False
    of_real: str | None = None
    last: bool = False
    over_side: bool = False
    below: int = 0


def named(band: Band) -> str:
    """Return the name of a band in the list of tests."""
    return f"{band.row}-{band.quantity}" + (f"-below-{band.below}" if band.below else "")


INF = math.inf
BANDS = [  # written out by hand
    Band("vh_pattern", "extended_units", -INF, 0.1),
    Band("vh_pattern", "local_units", 0.9, INF, doubt=True),
    Band("vh_pattern", "crowded_units", -INF, 0.1),
    Band("vh_pattern", "constant_units", -INF, 0.5),
    Band("vh_pattern", "faint_units", -INF, 0.1, doubt=True),
    Band("vh_pattern", "extended_units[n]", -INF, 0.1, first=2, side=8),
    Band("vh_pattern", "extended_units[n]", -INF, 0.1, first=2, below=8, doubt=True),
    Band("vh_pattern", "local_units[n]", 0.9, INF, first=2, doubt=True),
    Band("vh_pattern", "crowded_units[n]", -INF, 0.1, first=2),
    Band("vh_pattern", "constant_units[n]", -INF, 0.5, first=2),
    Band("vh_pattern", "faint_units[n]", -INF, 0.1, first=2, doubt=True),
    Band("coherence", "rho_0", 0.5, INF),
    Band("coherence", "noise_ratio_rows", 0.7, 1.5, side=16),
    Band("coherence", "noise_ratio_columns", 0.7, 1.5, side=16),
    Band("coherence", "rho_0[n]", 0.5, INF, first=2),
    Band("coherence", "noise_ratio_rows[n]", 0.7, 1.5, first=2, side=8),
    Band("coherence", "noise_ratio_rows[n]", 0.7, 3, first=2, side=4, below=8),
    Band("coherence", "noise_ratio_columns[n]", 0.7, 1.5, first=2, side=8),
    Band("coherence", "noise_ratio_columns[n]", 0.7, 3, first=2, side=4, below=8),
    Band("conditional_law", "shared_0", -0.5, 0.5),
    Band("conditional_law", "shared_1", -0.5, 0.5),
    Band("conditional_law", "shared_0[n]", -0.5, 0.5, first=2),
    Band("conditional_law", "shared_1[n]", -0.5, 0.5, first=2),
    Band("two_point", "shape_deviation", -INF, 0.2, over_side=True),
    Band("hidden_hamiltonian", "locality_q[1]", -INF, 0.5),
    Band("hidden_hamiltonian", "stationarity[n]", -INF, 1 / 3, first=1, side=16, of_real="", last=True),
    Band("mcrg", "y_h[n]", 1.8, 1.95, first=1, side=8, of_real="y_h_sign[n]", last=True),
    Band("mcrg", "y_t[n]", 0.85, 1.15, first=1, side=16, of_real="y_t_sign[n]", last=True),
    Band("drift", "U4_drift[n]", -0.04, 0.04, about="majority", first=1, side=8, last=True),
    Band("drift", "delta_m[n]", 0.075, 0.175, first=1, side=16, of_real="", last=True),
    Band("symmetry", "field[1]", -(2**-11) / 0.6, 2**-11 / 0.6),
    Band("symmetry", "field[n]", -0.03, 0.03, first=2),
    Band("symmetry", "flip_breaking", -INF, 0.1),
    Band("symmetry", "translation", -INF, 0.1),
    Band("symmetry", "own_field[n]", -(2**-11) / 0.6, 2**-11 / 0.6, first=2),
    Band("symmetry", "flip_breaking[n]", -INF, 0.1, first=2),
    Band("symmetry", "translation[n]", -INF, 0.1, first=2),
    Band("gain", "gain_margin", 0.5, INF),
    Band("gain", "gain_margin[n]", 0.5, INF, first=2),
]
SIDE = 64  # level 5 has side 2
LEVELS = range(6)
MAJORITY = 0.5  # U4_drift of the majority rule in these made-up rows
INSIDE = {  # numbers that every criterion lets pass
    "vh_pattern": {
        **dict.fromkeys(("extended_units", "crowded_units", "constant_units", "faint_units"), 0.0),
        "local_units": 1.0,
    },
    "coherence": {"rho_0": 1.0, "noise_ratio_rows": 1.0, "noise_ratio_columns": 1.0},
    "conditional_law": {"shared_0": 0.0, "shared_1": 0.0},
    "two_point": {"shape_deviation": 0.0},
    "hidden_hamiltonian": {"locality_q[1]": 0.1, **{f"stationarity[{n}]": 0.1 for n in LEVELS}},
    "mcrg": {
        f"{name}{sign}[{n}]": y for n in LEVELS for sign in ("", "_sign") for name, y in (("y_h", 1.875), ("y_t", 1))
    },
    "drift": {f"{name}[{n}]": x for n in LEVELS for name, x in (("U4_drift", MAJORITY), ("delta_m", 0.125))},
    "symmetry": {**{f"field[{n}]": 0.0 for n in LEVELS if n}, "flip_breaking": 0.0, "translation": 0.0},
    "gain": {"gain_margin": 1.0},
}
for of_row in INSIDE.values():  # the further maps of a sequence
    of_row.update({f"{name}[{n}]": x for name, x in list(of_row.items()) if "[" not in name for n in LEVELS if n > 1})
INSIDE["symmetry"].update({f"own_field[{n}]": 0.0 for n in LEVELS if n > 1})
LITTLE = 1e-9


def passed(row: str, changed: dict[str, float], real: bool = False) -> bool | None:
    """Return whether a made-up row passes, some of its numbers changed, none with an error."""
    numbers, beside = {**INSIDE[row], **changed}, INSIDE[row]
    measured, majority = (
        Diagnostic(None, "", {name: Quantity(Estimate(float(x), 0.0)) for name, x in one.items()})
        for one in (numbers, beside)
    )
    return battery.decide(row, measured, majority, 1000, results.Scale(SIDE, 2, real, steps=5)).passed


def levels(band: Band) -> list[int]:
    """Return the levels that a band is for; level n has side 64 / 2ⁿ."""
    if "[n]" not in band.quantity:
        return [0]
    found = [n for n in LEVELS if n >= band.first and band.side <= SIDE / 2**n < (band.below or INF)]
    return found[-1:] if band.last else found


@pytest.mark.parametrize("row", INSIDE)
@pytest.mark.parametrize("real", [False, True])
def test_numbers_inside_every_band_pass(row, real):
    assert passed(row, {}, real) is True


@pytest.mark.parametrize("band", BANDS, ids=named)
def test_edges_of_a_band_are_where_the_docs_say(band):
    """A little inside passes and a little outside does not, at each edge and each level, for h of ±1 and for real h."""
    centre = MAJORITY if band.about == "majority" else 0.0
    outside = None if band.doubt else False
    for real in (False, True):
        quantity = band.of_real if real and band.of_real is not None else band.quantity
        for level in levels(band) if quantity else []:
            name = quantity.replace("[n]", f"[{level}]")
            unit = 2 / SIDE if band.over_side else 1  # of the side of the first coarse lattice
            for edge, inwards in ((band.low * unit, LITTLE), (band.high * unit, -LITTLE)):
                if math.isfinite(edge):
                    assert passed(band.row, {name: centre + edge + inwards}, real) is True, (name, edge)
                    assert passed(band.row, {name: centre + edge - inwards}, real) is outside, (name, edge)


@pytest.mark.parametrize("band", BANDS, ids=named)
def test_nothing_else_is_looked_at(band):
    """Levels before the first or too small, and for real h the number that another stands for, may be anything."""
    others = {
        band.quantity.replace("[n]", f"[{n}]") for n in LEVELS if "[n]" in band.quantity and n not in levels(band)
    }
    others -= {other.quantity.replace("[n]", f"[{n}]") for other in BANDS for n in levels(other)}  # have their own
    for anything in (-1e3, 1e3):
        assert passed(band.row, dict.fromkeys(others, anything)) is True
        if band.of_real is not None:
            quantities = {band.quantity.replace("[n]", f"[{n}]") for n in levels(band)}
            assert passed(band.row, dict.fromkeys(quantities, anything), real=True) is True


def test_a_band_without_limit_has_none():
    """Where an edge is infinite, a number far beyond the other edge passes."""
    for band in BANDS:
        for edge, far in ((band.low, -1e3), (band.high, 1e3)):
            if not math.isfinite(edge):
                assert passed(band.row, {band.quantity.replace("[n]", f"[{levels(band)[-1]}]"): far}) is True, band


def test_there_is_no_criterion_but_these():
    for row, instrument in INSTRUMENTS.items():
        quantities = {q for band in BANDS if band.row == row for q in (band.quantity, band.of_real)}
        assert len(instrument.criteria) == sum(band.row == row for band in BANDS)
        assert {criterion.quantity for criterion in instrument.criteria} <= quantities
