"""How do small changes of the couplings grow from one level to the next? The linearised RG matrix (Swendsen 1979).

With S_α^(n) the operators (`rgstep.operators`) of level n and ⟨ ⟩_c connected averages,

    T = ⟨S^(n+1) S^(n+1)⟩_c⁻¹ ⟨S^(n+1) S^(n)⟩_c = ∂K^(n+1)/∂K^(n),        y = ln |λ| / ln b,

λ the eigenvalue of T of largest modulus, b the ratio of the sides: y_t from the even operators, y_h from the odd ones,
whose means are zero by symmetry and are not subtracted. At the fixed point of the Ising model y_t = 1 and y_h = 15/8.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from rgstep.blocking import Average
from rgstep.correlators import Source
from rgstep.diagnostics.subject import SMALLEST_SIDE, STREAM, Row, Subject, is_spin, signs
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, grouped_mean, jackknife, with_rest
from rgstep.exact import enumeration
from rgstep.operators import EVEN_SPINS, ODD_SPINS, Sums, sums
from rgstep.report import Diagnostic, Quantity
from rgstep.types import CoarseGraining, Samples, Spins

TELLS = (
    "Whether couplings grow by b^y_t and b^y_h from each level to the next, as at the Ising fixed point (1 and 15/8), "
    "once transients have died out. It does not tell whether h lives on tiles, and a single step can have any exponent."
)
GROUPS = 64
ROUNDING = 1e-12
SINGULAR = 1e10  # condition number of the operators' correlation matrix; 10³ … 10⁵ at T_c
REAL = 1e-9  # imaginary part, in units of |λ|, below which λ is real
FEW = 200  # samples; with so many the errors are right within a tenth, with 50 y_t is off by a fifth of its error
LOPSIDED = 4.0  # standard errors
Sector = Literal["even", "odd"]
SPINS = {"even": EVEN_SPINS, "odd": ODD_SPINS}
SYMBOLS: Mapping[Sector, str] = {"even": "y_t", "odd": "y_h"}


class Step(NamedTuple):
    """One sector of one step with 1, 2, … operators: exponents, leading eigenvalues, condition numbers."""

    y: Estimate  # (operators,)
    eigenvalue: np.ndarray  # (operators,) complex
    condition: np.ndarray  # (operators,) of the correlations of the coarse operators


def exponent(fine: Source, coarse: Source, sector: Sector = "even", operators: int | None = None) -> Estimate:
    """Return y = ln |λ| / ln b between two levels with its jackknife error; not a number where T cannot be had.

    Where λ is complex or negative, ln |λ| / ln b is no exponent and its error not a number.

    Args:
        fine: the level before, an `Ensemble` or `(sample, row, column)`.
        coarse: the level after, sample by sample, on a smaller lattice.
        sector: "even" for y_t, "odd" for y_h.
        operators: how many, in the order of `operators.EVEN` and `operators.ODD`; by default all.

    Raises:
        InputError: if the levels do not belong together, or there are not so many operators.
    """
    if len(fine) != len(coarse):
        message = f"{len(coarse)} coarse configurations of {len(fine)} fine ones: one for each is needed"
        raise InputError(message)
    operators = len(SPINS[sector]) if operators is None else operators
    if not 1 <= operators <= len(SPINS[sector]):
        message = f"operators = {operators}: the {sector} sector has 1 to {len(SPINS[sector])}"
        raise InputError(message)
    before, after = sums(fine), sums(coarse)
    if after.side >= before.side:
        message = f"sides {before.side} and {after.side}: an exponent needs a change of scale, the smaller lattice last"
        raise InputError(message)
    return step(before, after, sector, operators=operators).y[operators - 1]


def step(fine: Sums, coarse: Sums, sector: Sector, unit: bool = False, operators: int | None = None) -> Step:
    """Return one sector of a step with 1, 2, … operators, by default all; `unit` scales both levels to ⟨h²⟩ = 1."""
    operators = getattr(coarse, sector).shape[1] if operators is None else operators
    columns = np.concatenate([getattr(coarse, sector)[:, :operators], getattr(fine, sector)[:, :operators]], axis=1)
    moments = without_each_group(columns, centred=sector == "even")
    if unit:  # an operator of k variables is divided by the k-th power of their root mean square
        powers = SPINS[sector][:operators] / 2
        squares = [mean_square(level)[:, None] for level in (coarse, fine)]
        scales = [np.where(square > 0, square, 1.0) ** -powers for square in squares]  # h that is 0 stays 0
        factors = np.concatenate(scales, axis=1)
        moments *= factors[:, :, None] * factors[:, None, :]
    ratio = math.log(fine.side / coarse.side) if fine.side != coarse.side else math.nan
    found = [leading(moments, k) for k in range(1, operators + 1)]
    values, conditions = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    size = np.abs(values)
    y = np.log(size, where=size > 0, out=np.full(size.shape, np.nan)) / ratio
    estimate = jackknife(y[0], y[1:])
    exact = np.abs(estimate.error) < ROUNDING * np.abs(estimate.value)  # where h is a sum of v, S^(n+1) is one of S^(n)
    error = np.where(turns(values[0]), np.nan, np.where(exact, 0.0, estimate.error))
    return Step(Estimate(estimate.value, error), values[0], conditions[0])


def turns(eigenvalue: np.ndarray) -> np.ndarray:
    """Return where λ is complex or negative: ln |λ| / ln b is no exponent then, and has no error."""
    return np.asarray((np.abs(eigenvalue.imag) > REAL * np.abs(eigenvalue)) | (eigenvalue.real <= 0))


def without_each_group(columns: np.ndarray, centred: bool) -> np.ndarray:
    """Return the second moments of columns `(sample, column)`: of all samples, then of those outside each group.

    Where `centred`, connected ones. What is below rounding is set to zero, so that constants have no variance.
    """
    noise = 1e-14 * (columns**2).mean(axis=0)
    if centred:
        columns = columns - columns.mean(axis=0)
    bounds = group_bounds(len(columns), GROUPS)
    counts = with_rest(np.array([float(b - a) for a, b in bounds]))[:, None]
    means = with_rest(np.stack([columns[a:b].sum(axis=0) for a, b in bounds])) / counts
    moments = with_rest(np.stack([columns[a:b].T @ columns[a:b] for a, b in bounds])) / counts[:, None]
    if centred:
        moments -= means[:, :, None] * means[:, None, :]
    constant = np.einsum("gii->gi", moments) <= noise
    moments[constant[:, :, None] | constant[:, None, :]] = 0.0
    return np.asarray(moments)


def mean_square(level: Sums) -> np.ndarray:
    """Return ⟨h²⟩ of a level from all samples, then without each group."""
    bounds = group_bounds(len(level.square), GROUPS)
    square = with_rest(np.array([level.square[a:b].sum() for a, b in bounds]))
    counts = with_rest(np.array([float(b - a) for a, b in bounds]))
    return np.asarray(square / counts / level.side**2)


def leading(moments: np.ndarray, operators: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalue of largest modulus of T, and the condition of the correlations that T divides by.

    Not a number where these are singular.

    Args:
        moments: `(set, 2k, 2k)`, second moments of the k coarse operators, then of the k fine ones.
        operators: how many of each to use.
    """
    every = moments.shape[1] // 2
    own, cross = moments[:, :operators, :operators], moments[:, :operators, every : every + operators]
    scale = np.sqrt(np.einsum("gii->gi", own))
    scale = np.where(scale > 0, scale, 1.0)
    correlations = own / (scale[:, :, None] * scale[:, None, :])
    correlations = np.where(np.isfinite(correlations).all(axis=(1, 2), keepdims=True), correlations, 0.0)
    condition = np.linalg.cond(correlations)
    usable = condition < SINGULAR
    correlations = np.where(usable[:, None, None], correlations, np.eye(operators))
    # T in operators of unit variance has the same eigenvalues up to a similarity
    matrix = np.linalg.solve(correlations, cross / (scale[:, :, None] * scale[:, None, :]))
    values = np.linalg.eigvals(matrix).astype(np.complex128)
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(usable, largest, np.nan), condition


def exact_eigenvalue(coarse: CoarseGraining, coupling: float, sector: Sector = "even", operators: int = 1) -> complex:
    """Return the leading eigenvalue of T for the step from 4×4 to h, by enumeration of p(v) and p(h|v).

    The units of h, given v, are independent ±1 of mean E[h|v]; a map that draws real values must not be random.

    Args:
        coarse: a map to 2×2 or fewer sites, or, if it is not random, to any lattice.
        coupling: K = J/k_BT.
        sector: "even" or "odd".
        operators: how many, in the order of `operators.EVEN` and `operators.ODD`.

    Raises:
        InputError: if h is not lattice-valued.
    """
    v = enumeration.states(enumeration.LARGEST_SIZE)
    p = enumeration.probabilities(enumeration.LARGEST_SIZE, coupling)
    law, h = outcomes(coarse, v)
    fine, after = getattr(sums(v), sector)[:, :operators], getattr(sums(h), sector)[:, :operators]
    of_h = p if law is None else p @ law
    if sector == "even":
        fine, after = fine - p @ fine, after - of_h @ after
    given_v = after if law is None else law @ after
    own, cross = after.T @ (of_h[:, None] * after), given_v.T @ (p[:, None] * fine)
    values = np.linalg.eigvals(np.linalg.solve(own, cross))
    return complex(values[np.abs(values).argmax()])


def outcomes(coarse: CoarseGraining, v: Spins) -> tuple[np.ndarray | None, np.ndarray]:
    """Return p(h | v), `(state, outcome)`, and the outcomes h; for h without randomness None, and h of every state."""
    mean = np.asarray(coarse.mean_h(v), np.float64)
    if mean.ndim != 3:
        message = f"the map returned shape {mean.shape}: operators need h with places, (sample, l, l)"
        raise InputError(message)
    if not is_spin(coarse.sample_h(v, np.random.default_rng(0))):
        return None, mean
    units = mean[0].size
    h = (2 * ((np.arange(2**units)[:, None] >> np.arange(units)) & 1) - 1).astype(np.int8)
    chances = (1 + h[None] * mean.reshape(len(mean), 1, units)) / 2
    return chances.prod(axis=2), h.reshape(-1, *mean.shape[1:])


def row(subject: Subject) -> Row:
    """y_t and y_h of every step: with 1, 2, … operators in the arrays, with all in the row."""
    missing = hindrance(subject)
    if missing:
        return Diagnostic(None, missing, {}), {}
    quantities: dict[str, Quantity] = {}
    arrays: dict[str, np.ndarray] = {}
    results: dict[str, Step] = {}
    found = readings(subject)
    for reading, (first, levels) in found.items():
        for sector, y in SYMBOLS.items():
            steps = [step(*pair, sector, unit=reading == "_unit") for pair in pairwise(levels)]
            results |= {f"{y}{reading}[{n}]": result for n, result in enumerate(steps, start=first)}
            arrays |= {f"mcrg_{y}{reading}{name}": values for name, values in curves(steps, first).items()}
    for name, result in results.items():
        if np.isfinite(np.asarray(result.y.value)[-1]):
            summed = isinstance(subject.original, Average) and name.startswith("y_h[")
            quantities[name] = Quantity(result.y[-1], 2.0 if summed else None)
    warnings = [*warned(results), *(asymmetry(found[""][1]) if "" in found else [])]
    return Diagnostic(None, "; ".join([*said(subject, found), *warnings]), quantities), arrays


def curves(steps: Sequence[Step], first: int) -> dict[str, np.ndarray]:
    """Return y, its error and the condition numbers, `(step, operators)`, and the steps' first levels."""
    return {
        "": np.stack([np.asarray(result.y.value) for result in steps]),
        "_error": np.stack([np.asarray(result.y.error) for result in steps]),
        "_condition": np.stack([result.condition for result in steps]),
        "_level": np.arange(first, first + len(steps)),
    }


def hindrance(subject: Subject) -> str:
    """Return why a map has no step whose exponents could be measured, and what would give it one; empty if it has."""
    if subject.placed is None:
        return "not measured: h has no places; return (sample, l, l), or as many units as fill a square lattice"
    side = subject.placed.shape[1]
    if side < SMALLEST_SIDE:
        return f"not measured: h is {side}×{side}, and couplings cannot be told apart below 4×4; use a larger lattice"
    return ""


def readings(subject: Subject) -> dict[str, tuple[int, list[Sums]]]:
    """Return for each reading of h, named by the suffix of its quantities, its first level and all its levels."""
    own = list(subject.sums)
    found = {}
    if own[1].side < own[0].side:
        found[""] = (0, own)
        if subject.real:
            found |= {"_unit": (0, own), "_sign": (0, [own[0], *map(sums, iterated_signs(subject))])}
    if subject.sums_by_majority:
        found["_majority"] = (1, list(subject.sums_by_majority))
    return found


def iterated_signs(subject: Subject) -> list[Samples]:
    """Return the levels from 1 on of the map v → sign(h), as far as it can be iterated."""
    rng = np.random.default_rng([STREAM, subject.seed, 3])
    h, found = subject.placed, []
    while h is not None:
        found.append(signs(h, rng))
        h = subject.iterate(found[-1], len(found)) if subject.given_places and not subject.mixed_signs else None
    return found


def said(subject: Subject, found: Mapping[str, object]) -> list[str]:
    """Return what the numbers of these readings are, in clauses."""
    says = [f"y = ln λ/ln b of h as drawn, {len(EVEN_SPINS)} even and {len(ODD_SPINS)} odd operators"]
    if "" not in found:
        says = ["not measured: h has as many sites as v or more, no change of scale; use fewer units"]
    if not subject.ensemble.system.is_critical:
        says.append("the configurations are not critical: the numbers are no exponents of the fixed point")
    if subject.gauge is not None:
        residual = f"{subject.gauge.residual:.2f} lattice spacings off (rms)"
        says.append(f"one step, since h has no given places: those found from its pictures, {residual}")
    if subject.mixed_signs:
        says.append("one step, since units have both signs, which their pictures put right")
    if "_unit" in found:
        says.append(
            "h is real: y_h = 2 for any sum without rescaling, _unit scales h to unit variance, _sign is the map to "
            "sign(h), a fair coin for 0; y_t of real h lacks operators of single sites, read it from _sign"
        )
    if "_majority" in found:
        says.append("_majority: the majority rule applied from level 1 on, since the map is not applied to its own h")
    if len(subject.ensemble) < FEW:
        says.append(f"only {len(subject.ensemble)} samples: the errors are guesses, use {FEW} or more")
    return says


def warned(results: Mapping[str, Step]) -> list[str]:
    """Return what is wrong with the numbers that the row quotes."""
    singular, turning, bare = [], [], []
    for name, result in results.items():
        value = complex(result.eigenvalue[-1])
        if not result.condition[-1] < SINGULAR:
            singular.append(name)
        elif turns(result.eigenvalue)[-1]:
            pair = f" ± {abs(value.imag):.3g}i" if abs(value.imag) > REAL * abs(value) else ""
            turning.append(f"{name} ({value.real:.3g}{pair})")
        elif not np.isfinite(np.asarray(result.y.error)[-1]):
            bare.append(name)
    says = []
    if singular:
        says.append(f"not given, since the correlations of the operators are singular: {', '.join(singular)}")
    if turning:
        says.append(
            f"no error bars, since ln |λ|/ln b is no exponent where λ is complex or negative: {', '.join(turning)}"
        )
    if bare:
        says.append(f"no error bars, since a few samples decide: {', '.join(bare)}")
    return says


def asymmetry(levels: Sequence[Sums]) -> list[str]:
    """Return a warning for each level whose mean magnetisation does not vanish, as that of unbiased maps does."""
    says = []
    for n, level in enumerate(levels[1:], start=1):
        mean = grouped_mean(level.odd[:, 0] / level.side**2)
        if abs(float(mean.value)) > LOPSIDED * float(mean.error):
            says.append(f"⟨h⟩ = {mean} at level {n}: y_h assumes the symmetry h → −h")
    return says
