"""Do the levels of a critical configuration look alike? Observables that a fixed point keeps from level to level.

    U₄ = 1 − ⟨m⁴⟩ / (3⟨m²⟩²),    ⟨|m|⟩,    ⟨h h'⟩ of nearest neighbours,        m the mean of h over the lattice,

and how the magnetisation is rescaled from a level to the next, Δ_m = ln(⟨m²⟩'/⟨m²⟩) / (2 ln b): a fixed point takes the
same field of spins to the same one on a lattice smaller by b, and ⟨m²⟩ ∝ L^(−2Δ_σ) at T_c, so that Δ_m → Δ_σ = 1/8.
U₄ of the critical Ising model on a square torus tends to 0.61069 (Kamieniarz and Blöte 1993).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from rgstep.diagnostics.subject import Row, Subject
from rgstep.estimates import Estimate, group_bounds, jackknife, with_rest
from rgstep.exact import torus
from rgstep.operators import EVEN_TERMS, Sums
from rgstep.report import Diagnostic, Quantity

TELLS = (
    "Whether h stays critical while the map is iterated: U₄ and the product of nearest neighbours settle at a fixed "
    "point and run off away from it; the magnetisation is rescaled by the same factor at each step. It does not see "
    "a change of the couplings that leaves these where they are, and every level is smaller than the one before, so "
    "compare with the majority rule at the same level."
)
GROUPS = 64
BINDER = 0.61069  # the critical torus in the limit of large L
FEW = 200  # samples


def observables(level: Sums) -> dict[str, Estimate]:
    """Return U₄, ⟨|m|⟩, ⟨h h'⟩ of nearest neighbours and ⟨h²⟩ per site of a level, with jackknife errors."""
    return {name: jackknife(values[0], values[1:]) for name, values in without_each_group(level).items()}


def without_each_group(level: Sums) -> dict[str, np.ndarray]:
    """Return the observables of all samples, then of those outside each group, `(1 + groups,)`."""
    m = level.odd[:, 0] / level.side**2
    readings = np.stack([m**2, m**4, np.abs(m), level.even[:, 0], level.square], axis=1)
    bounds = group_bounds(len(readings), GROUPS)
    counts = with_rest(np.array([float(b - a) for a, b in bounds]))[:, None]
    means = with_rest(np.stack([readings[a:b].sum(axis=0) for a, b in bounds])) / counts
    m2, m4, abs_m, bonds, square = means.T
    nn, square = bonds / (EVEN_TERMS[0] * level.side**2), square / level.side**2

    def over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        return np.asarray(np.divide(top, bottom, where=bottom > 0, out=np.full(top.shape, np.nan)))

    return {
        "m2": m2,
        "U4": 1 - over(m4, 3 * m2**2),
        "abs_m": abs_m,
        "nn": nn,
        "square": square,
        "abs_m_unit": over(abs_m, np.sqrt(square)),
        "nn_unit": over(nn, square),
    }


def row(subject: Subject) -> Row:
    """U₄, ⟨|m|⟩ and the nearest neighbours' product, level by level."""
    if subject.placed is None:
        why = "not measured: h has no places; return (sample, l, l), or as many units as fill a square lattice"
        return Diagnostic(None, why, {}), {}
    quantities: dict[str, Quantity] = {}
    arrays: dict[str, np.ndarray] = {}
    system = subject.ensemble.system
    levels = [without_each_group(level) for level in subject.sums]
    names = ["U4", "abs_m", "nn", *(["abs_m_unit", "nn_unit"] if subject.real else [])]
    further = [without_each_group(level) for level in subject.sums_by_majority]
    for name in names:
        keep(name, levels, quantities, arrays)
    for name in names[:3] if further else []:
        keep(name, further, quantities, arrays, first=1, suffix="_majority")
        del quantities[f"{name}_majority[1]"]  # its own sign, in the arrays as the start of the curve
    for suffix, later in (("", list(enumerate(levels))[1:]), ("_majority", list(enumerate(further, start=1))[1:])):
        for n, level in later:  # of the same configurations: known better than either
            change = level["U4"] - levels[0]["U4"]
            quantities[f"U4_drift{suffix}[{n}]"] = Quantity(jackknife(change[0], change[1:]))
    rescaled = [] if subject.real else rescalings(subject, levels)  # real h would give that of its unit
    quantities |= {f"delta_m[{n}]": Quantity(estimate) for n, estimate in enumerate(rescaled)}
    if rescaled:
        arrays["drift_delta_m"] = np.array([float(estimate.value) for estimate in rescaled])
        arrays["drift_delta_m_error"] = np.array([float(estimate.error) for estimate in rescaled])
    quantities["nn[0]"] = Quantity(quantities["nn[0]"].estimate, torus.nn_correlation(system.size, system.coupling))
    return Diagnostic(None, "; ".join(said(subject, bool(further))), quantities), arrays


def rescalings(subject: Subject, levels: Sequence[dict[str, np.ndarray]]) -> list[Estimate]:
    """Return Δ_m of every step; none of a step that does not change the scale."""
    found = []
    for (before, after), (fine, coarse) in zip(pairwise(levels), pairwise(subject.sums), strict=True):
        if fine.side != coarse.side:
            values = growth(before, after) / (2 * math.log(fine.side / coarse.side))
            found.append(jackknife(values[0], values[1:]))
    return found


def growth(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return ln(⟨m²⟩ after / ⟨m²⟩ before) of all samples, then without each group."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(after["m2"] / before["m2"]))


def keep(
    name: str,
    levels: Sequence[dict[str, np.ndarray]],
    quantities: dict[str, Quantity],
    arrays: dict[str, np.ndarray],
    first: int = 0,
    suffix: str = "",
) -> None:
    """Add one observable of all levels to the quantities and to the arrays of the figure."""
    found = [jackknife(level[name][0], level[name][1:]) for level in levels]
    quantities |= {f"{name}{suffix}[{n}]": Quantity(estimate) for n, estimate in enumerate(found, start=first)}
    arrays[f"drift_{name}{suffix}"] = np.array([float(estimate.value) for estimate in found])
    arrays[f"drift_{name}{suffix}_error"] = np.array([float(estimate.error) for estimate in found])
    arrays[f"drift_level{suffix}"] = np.arange(first, first + len(levels))


def said(subject: Subject, further: bool) -> list[str]:
    """Return what the numbers are, in clauses."""
    says = ["U₄, ⟨|m|⟩ and nearest neighbours of h as drawn, level by level"]
    if len(subject.levels) == 1:
        says.append("h is below 4×4, so that only the configurations are shown; use a larger lattice")
    if subject.real:
        says.append("h is real: abs_m and nn shrink with its scale, _unit divides by that of h at unit variance")
    if subject.gauge is not None:
        says.append("h has no given places: those found from its pictures")
    if further:
        says.append("_majority: the majority rule applied from level 1 on")
    if len(subject.ensemble) < FEW:
        says.append(f"only {len(subject.ensemble)} samples: the errors are guesses, use {FEW} or more")
    return says
