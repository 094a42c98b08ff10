"""The criteria on 2,160 stored measurements: every verdict and every row as in the table, and every band by hand.

Nothing is sampled. The numbers are those of docs/calibration.jsonl.gz; the table is made from them by
`python docs/calibrate_verdict.py outcomes > tests/data/calibration_outcomes.txt`. It changes when a criterion does:
look at the difference, and say in docs/verdict.md why the new answers are better.
"""

import importlib.util
import math
from pathlib import Path
from typing import NamedTuple

import pytest

from rgstep import battery, results
from rgstep.estimates import Estimate
from rgstep.instruments import INSTRUMENTS
from rgstep.results import Diagnostic, Quantity

ROOT = Path(__file__).parent.parent
STORED = (Path(__file__).parent / "data/calibration_outcomes.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def calibration():
    """The script docs/calibrate_verdict.py, as a module."""
    spec = importlib.util.spec_from_file_location("calibrate_verdict", ROOT / "docs/calibrate_verdict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stored_measurement_is_judged_as_in_the_table(calibration, as_users_run):
    found = list(calibration.outcomes())
    assert sum(len(line.split(": ")[1].split()) for line in found) == 2160
    changed = [f"was {old}\nnow {new}" for old, new in zip(STORED, found, strict=True) if old != new]
    assert not changed, "\n".join(changed)


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


INF = math.inf
BANDS = [  # written out by hand
    Band("vh_pattern", "core_share", 0.7, INF),
    Band("vh_pattern", "extended_units", -INF, 0.1),
    Band("vh_pattern", "local_units", 0.9, INF, doubt=True),
    Band("vh_pattern", "constant_units", -INF, 0.5),
    Band("vh_pattern", "faint_units", -INF, 0.1, doubt=True),
    Band("vh_pattern", "coverage", 0.1, INF),
    Band("two_point", "shape_deviation", -INF, 0.006),
    Band("hidden_hamiltonian", "locality_q[1]", -INF, 0.3),
    Band("hidden_hamiltonian", "stationarity[n]", -INF, 0.2, first=1, side=16, of_real=""),
    Band("mcrg", "y_h[0]", -INF, 1.92, of_real="y_h_sign[0]"),
    Band("mcrg", "y_h[n]", 1.84, 1.895, first=1, of_real="y_h_sign[n]"),
    Band("mcrg", "y_t[0]", 0.8, 1.1, of_real="y_t_sign[0]"),
    Band("mcrg", "y_t[n]", 0.9, 1.1, first=1, side=16, of_real="y_t_sign[n]"),
    Band("drift", "U4_drift[n]", -0.006, 0.03, about="majority", first=1, side=8),
    Band("drift", "delta_m[0]", 0.05, INF, of_real=""),
    Band("drift", "delta_m[n]", 0.095, 0.16, first=1, side=16, of_real=""),
]
SIDE = 64  # level 5 has side 2
LEVELS = range(6)
MAJORITY = 0.5  # U4_drift of the majority rule in these made-up rows
INSIDE = {  # numbers that every criterion lets pass
    "vh_pattern": {
        "core_share": 0.9,
        "extended_units": 0.0,
        "local_units": 1.0,
        "constant_units": 0.0,
        "faint_units": 0.0,
        "coverage": 1.0,
    },
    "two_point": {"shape_deviation": 0.0},
    "hidden_hamiltonian": {"locality_q[1]": 0.1, **{f"stationarity[{n}]": 0.1 for n in LEVELS}},
    "mcrg": {
        f"{name}{sign}[{n}]": y for n in LEVELS for sign in ("", "_sign") for name, y in (("y_h", 1.875), ("y_t", 1))
    },
    "drift": {f"{name}[{n}]": x for n in LEVELS for name, x in (("U4_drift", MAJORITY), ("delta_m", 0.125))},
}
LITTLE = 1e-9


def passed(row: str, changed: dict[str, float], real: bool = False) -> bool | None:
    """Return whether a made-up row passes, some of its numbers changed, none with an error."""
    numbers, beside = {**INSIDE[row], **changed}, INSIDE[row]
    measured, majority = (
        Diagnostic(None, "", {name: Quantity(Estimate(float(x), 0.0)) for name, x in one.items()})
        for one in (numbers, beside)
    )
    return battery.decide(row, measured, majority, 1000, results.Scale(SIDE, 2, real)).passed


def levels(band: Band) -> list[int]:
    """Return the levels that a band is for; level n has side 64 / 2ⁿ."""
    return [n for n in LEVELS if n >= band.first and SIDE / 2**n >= band.side] if "[n]" in band.quantity else [0]


@pytest.mark.parametrize("row", INSIDE)
@pytest.mark.parametrize("real", [False, True])
def test_numbers_inside_every_band_pass(row, real):
    assert passed(row, {}, real) is True


@pytest.mark.parametrize("band", BANDS, ids=lambda band: f"{band.row}-{band.quantity}")
def test_edges_of_a_band_are_where_the_docs_say(band):
    """A little inside passes and a little outside does not, at each edge and each level, for h of ±1 and for real h."""
    centre = MAJORITY if band.about == "majority" else 0.0
    outside = None if band.doubt else False
    for real in (False, True):
        quantity = band.of_real if real and band.of_real is not None else band.quantity
        for level in levels(band) if quantity else []:
            name = quantity.replace("[n]", f"[{level}]")
            for edge, inwards in ((band.low, LITTLE), (band.high, -LITTLE)):
                if math.isfinite(edge):
                    assert passed(band.row, {name: centre + edge + inwards}, real) is True, (name, edge)
                    assert passed(band.row, {name: centre + edge - inwards}, real) is outside, (name, edge)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: f"{band.row}-{band.quantity}")
def test_nothing_else_is_looked_at(band):
    """Levels before the first or too small, and for real h the number that another stands for, may be anything."""
    others = {
        band.quantity.replace("[n]", f"[{n}]") for n in LEVELS if "[n]" in band.quantity and n not in levels(band)
    }
    others -= {other.quantity for other in BANDS}  # level 0 has a band of its own
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
                assert passed(band.row, {band.quantity.replace("[n]", f"[{max(1, band.first)}]"): far}) is True, band


def test_there_is_no_criterion_but_these():
    for row, instrument in INSTRUMENTS.items():
        quantities = {q for band in BANDS if band.row == row for q in (band.quantity, band.of_real)}
        assert len(instrument.criteria) == sum(band.row == row for band in BANDS)
        assert {criterion.quantity for criterion in instrument.criteria} <= quantities
