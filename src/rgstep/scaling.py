"""Which exponents follow from how quantities change with the size of the lattice? Finite-size scaling.

At T_c a quantity follows a power of the size once corrections are small, and near T_c a function of one variable,

    O(L, T_c) = A L^a,        O(L, T) = L^a f((T − T_c) L^{1/ν}),

a = −β/ν for ⟨|m|⟩, γ/ν for N⟨m²⟩, 1/ν for dU₄/dK and 0 for U₄ (Fisher and Barber 1972; Binder 1981). So the curves
U₄(T) of two sizes cross near T_c, at T_c + c L^{−w}, and all curves collapse onto one (`data_collapse`). A power law is
fitted in a window of sizes; that of several windows is taken which is the widest that the errors allow.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rgstep.arguments import SEED, InputError, broken, checked, is_number, optional, real, whole
from rgstep.data_collapse import Collapse, collapse
from rgstep.ensemble import Ensemble, Level
from rgstep.estimates import Estimate
from rgstep.ising import CRITICAL_TEMPERATURE, TEMPERATURE, Ising
from rgstep.sizes import Table, columns, read_sets, size_tables
from rgstep.streams import stream

FEWEST_SIZES = 2  # a line has two parameters
IMPROBABLE = 0.01  # p of χ² below which a fit does not describe its points
LARGE_ERROR = 0.1  # relative: the logarithm of such a number is not Gaussian any more
DRAWS = 400  # of every crossing: its error is known within 4 %
FEWEST_CROSSING = 0.9  # share of the draws that must cross
LARGEST_DEGREE = 8
DEGREE = 3  # of the polynomials through U₄(T) near the crossing
POINTS_TO_SPARE = 2  # points more than coefficients, by which the polynomial can be tested
SHIFT = 2.75  # w = 1/ν + 7/4: the background of the susceptibility is the leading correction to U₄


@dataclass(frozen=True)
class PowerLaw:
    """A fit of A L^a.

    Attributes:
        exponent: a.
        amplitude: A.
        chi2: the weighted sum of squared deviations.
        dof: points minus two.
        window: the smallest and the largest size fitted.
        remark: why the numbers are not to be trusted; empty if nothing speaks against them.
    """

    exponent: Estimate
    amplitude: Estimate
    chi2: float
    dof: int
    window: tuple[float, float]
    remark: str

    @property
    def p(self) -> float:
        """How probable a χ² as large is; NaN without a degree of freedom."""
        return p_of(self.chi2, self.dof)


def p_of(chi2: float, dof: int) -> float:
    """Return how probable a χ² as large is; NaN without a degree of freedom."""
    return float(special.gammaincc(dof / 2, chi2 / 2)) if dof > 0 else math.nan


def read_window(name: str, value: Any) -> tuple[float, float]:
    """Check a range of sizes."""
    must = "must be two sizes, the smallest and the largest, 0 < smallest < largest"
    pair = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
    if len(pair) != 2 or not all(map(is_number, pair)) or not 0 < pair[0] < pair[1]:
        raise broken(name, value, must)
    return float(pair[0]), float(pair[1])


@checked(window=optional(read_window))
def power_law(
    sizes: ArrayLike, values: ArrayLike, errors: ArrayLike, window: tuple[float, float] | None = None
) -> PowerLaw:
    """Fit A L^a by least squares in ln L and ln O, each point weighted by its error.

    Args:
        sizes: L, `(point,)`.
        values: O, all of one sign.
        errors: standard errors of independent points.
        window: the smallest and the largest size to fit; None for all.

    Raises:
        InputError: for fewer than two sizes in the window, or values of both signs.

    Examples:
        >>> fit = rg.power_law([8, 16, 32], [8**1.75, 16**1.75, 32**1.75], [0.1, 0.3, 1.0])
        >>> round(fit.exponent.value, 6)
        1.75
    """
    L, O, error = columns(sizes=sizes, values=values, errors=errors)
    low, high = window or (0.0, math.inf)
    inside = (low <= L) & (high >= L)
    L, O, error = L[inside], O[inside], error[inside]
    if len(np.unique(L)) < FEWEST_SIZES:
        where = f"in the window {low:g} … {high:g}" if window else "in all"
        message = f"sizes has {len(np.unique(L))} different ones {where}: a power law needs at least {FEWEST_SIZES}"
        raise InputError(message)
    if not ((O > 0).all() or (O < 0).all()):
        message = f"values has {O.min():.3g} and {O.max():.3g}: a power law needs values of one sign, none of them 0"
        raise InputError(message)
    sign, relative = np.sign(O[0]), np.maximum(error / np.abs(O), 1e-15)
    beta, covariance, chi2 = least_squares(np.stack([np.ones_like(L), np.log(L)], axis=1), np.log(np.abs(O)), relative)
    A, spread = sign * math.exp(min(beta[0], 700.0)), np.sqrt(np.diag(covariance))
    dof = len(L) - 2
    remarks = [] if dof > 0 else ["two points: nothing tests whether they follow a power law"]
    if dof > 0 and p_of(chi2, dof) < IMPROBABLE:
        remarks.append(f"χ²/dof = {chi2 / dof:.1f}: the points do not follow a power law within their errors")
    if relative.max() > LARGE_ERROR:
        remarks.append(f"the largest error is {relative.max():.0%} of its value: the fit in logarithms is rough")
    estimates = Estimate(float(beta[1]), float(spread[1])), Estimate(float(A), float(abs(A) * spread[0]))
    return PowerLaw(*estimates, chi2, dof, (float(L.min()), float(L.max())), "; ".join(remarks))


def least_squares(design: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return coefficients, their covariance and χ² of a weighted linear fit; design `(point, coefficient)`."""
    scaled = design / error[:, None]
    q, r = np.linalg.qr(scaled)
    inverse = np.linalg.inv(r)
    beta = inverse @ (q.T @ (y / error))
    chi2 = float((((y - design @ beta) / error) ** 2).sum())
    return beta, inverse @ inverse.T, chi2


def widest_window(table: Table) -> PowerLaw:
    """Return the power law of the sizes from the smallest one on, that may be left out, at which χ² is probable.

    Windows end at the largest size and keep three sizes; if none fits, the narrowest is returned, with its remark.
    """
    sides = np.unique(table.sizes)
    starts = sides[: max(1, len(sides) - 2)]
    fits = [power_law(table.sizes, table.values, table.errors, (low, sides[-1] + 0.5)) for low in starts]
    return next((fit for fit in fits if not fit.p < IMPROBABLE), fits[-1])


# --- crossings


@dataclass(frozen=True)
class Crossing:
    """Where the curves of two sizes cross: `temperature` and the `value` there."""

    sizes: tuple[float, float]
    temperature: Estimate
    value: Estimate


@dataclass(frozen=True)
class Crossings:
    """The crossings of neighbouring sizes, and the temperature that they tend to.

    Attributes:
        pairs: a crossing for each two neighbouring sizes.
        critical_temperature: T_c of T_× = T_c + c L^{−w}; of one pair the crossing itself.
        chi2: of that fit, all correlations of the pairs included.
        dof: pairs minus two; 0 of one or two pairs.
        remark: why the numbers are not to be trusted; empty if nothing speaks against them.
    """

    pairs: tuple[Crossing, ...]
    critical_temperature: Estimate
    chi2: float
    dof: int
    remark: str


@checked(
    degree=whole(1, LARGEST_DEGREE, must=f"must be a whole number, 1 to {LARGEST_DEGREE}"),
    shift=real("must be a number above 0 and at most 10", lambda x: 0 < x <= 10),
    seed=SEED,
)
def crossings(
    sizes: ArrayLike,
    temperatures: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    *,
    degree: int = DEGREE,
    shift: float = SHIFT,
    seed: int = 0,
) -> Crossings:
    """Find where the curves O(T) of neighbouring sizes cross, and what temperature the crossings tend to.

    A polynomial in T is fitted to each size; errors are the spread of 400 repetitions with values drawn anew from
    their errors, joint for all pairs, since two pairs share a size.

    Args:
        sizes: L, `(point,)`.
        temperatures: T.
        values: Binder's cumulant, or another quantity without dimension.
        errors: standard errors of independent points.
        degree: of the polynomials; use points near the crossing.
        shift: w, how fast the crossings approach T_c.
        seed: of the repetitions.

    Raises:
        InputError: for one size, too few temperatures at a size, or curves that do not cross.

    Examples:
        >>> sets = [rg.sample(size, t, samples=2_000, seed=0) for size in (4, 8) for t in (2.1, 2.2, 2.3, 2.4)]
        >>> found = rg.crossings(*rg.size_tables(sets)["U4"])
        >>> abs(found.critical_temperature.value - rg.CRITICAL_TEMPERATURE) < 0.1
        True
    """
    table = Table(*columns(sizes=sizes, temperatures=temperatures, values=values, errors=errors))
    sides = np.unique(table.sizes)
    if len(sides) < 2:
        message = f"sizes has {len(sides)} different one: curves of two sizes at least are needed to cross"
        raise InputError(message)
    rng = stream(seed, "crossings")
    curves = {L: local_fit(table, L, degree, rng) for L in sides}
    found = [crossing_of(curves[a], curves[b], (float(a), float(b))) for a, b in pairwise(sides)]
    draws = np.stack([each for _, each in found])
    kept = np.isfinite(draws).all(axis=0)
    if kept.mean() < FEWEST_CROSSING:
        message = f"values: the curves cross in {kept.mean():.0%} of the repetitions: the errors are too large for it"
        raise InputError(message)
    pairs = tuple(pair for pair, _ in found)
    remarks = [curve.remark for curve in curves.values() if curve.remark]
    T, chi2, dof, remark = extrapolated(pairs, draws[:, kept], shift)
    return Crossings(pairs, T, chi2, dof, "; ".join([*remarks, *([remark] if remark else [])]))


@dataclass(frozen=True, eq=False)
class LocalFit:
    """A polynomial in (T − centre)/width through the points of one size, and its repetitions."""

    range: tuple[float, float]
    coefficients: np.ndarray  # (1 + draw, coefficient): the fit itself first
    remark: str

    def at(self, T: np.ndarray) -> np.ndarray:
        """Return all curves at temperatures, `(1 + draw, T)`."""
        return np.asarray(self.coefficients @ np.vander(self.scaled(T), self.coefficients.shape[1]).T)

    def scaled(self, T: np.ndarray) -> np.ndarray:
        """Return temperatures on the scale −1 … 1 of the range."""
        low, high = self.range
        return np.asarray((2 * T - low - high) / (high - low))


def local_fit(table: Table, L: float, degree: int, rng: np.random.Generator) -> LocalFit:
    """Return the polynomial through the points of one size, with its repetitions."""
    T, O, error = (column[table.sizes == L] for column in table[1:])
    needed = degree + 1
    if len(np.unique(T)) < needed:
        message = (
            f"temperatures has {len(np.unique(T))} different ones at L = {L:g}: a polynomial of degree {degree} "
            f"needs {needed}"
        )
        raise InputError(message)
    low, high = float(T.min()), float(T.max())
    design = np.vander((2 * T - low - high) / (high - low), needed)
    beta, covariance, chi2 = least_squares(design, O, error)
    dof = len(T) - needed
    remark = ""
    if dof < POINTS_TO_SPARE:
        remark = f"L = {L:g} has {len(T)} temperatures: too few to test a polynomial of degree {degree}"
    elif p_of(chi2, dof) < IMPROBABLE:
        remark = (
            f"χ²/dof = {chi2 / dof:.1f} of the polynomial at L = {L:g}: take a narrower range of T, or a degree more"
        )
    draws = rng.multivariate_normal(beta, covariance, size=DRAWS, method="eigh")
    return LocalFit((low, high), np.concatenate([beta[None], draws]), remark)


def crossing_of(one: LocalFit, other: LocalFit, sides: tuple[float, float]) -> tuple[Crossing, np.ndarray]:
    """Return the crossing of two curves, and the temperatures at which their repetitions cross, NaN where they do not.

    Of several crossings that is taken at which the curves differ most in slope.
    """
    low, high = max(one.range[0], other.range[0]), min(one.range[1], other.range[1])
    name = f"L = {sides[0]:g} and {sides[1]:g}"
    if not low < high:
        message = f"temperatures of {name} have no range in common: give both curves the same"
        raise InputError(message)
    grid = np.linspace(low, high, 201)
    T = steepest_roots(grid, one.at(grid) - other.at(grid))
    if not np.isfinite(T[0]):
        message = f"values of {name} do not cross between T = {low:.6g} and {high:.6g}: give temperatures around T_c"
        raise InputError(message)
    safe = np.where(np.isfinite(T), T, T[0])
    values = np.einsum("dc,dc->d", one.coefficients, np.vander(one.scaled(safe), one.coefficients.shape[1]))
    spread = [float(np.nanstd(T[1:])), float(values[1:][np.isfinite(T[1:])].std())]
    return Crossing(sides, Estimate(float(T[0]), spread[0]), Estimate(float(values[0]), spread[1])), T[1:]


def steepest_roots(grid: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Return where each curve `(curve, T)` passes 0 most steeply, on a line between two points; NaN if it does not."""
    before, rise = curves[:, :-1], np.diff(curves, axis=1)
    crossing = (np.sign(before) * np.sign(curves[:, 1:]) <= 0) & (rise != 0)
    i = np.argmax(np.where(crossing, np.abs(rise), -1.0), axis=1)
    each = np.arange(len(curves))
    with np.errstate(divide="ignore", invalid="ignore"):
        T = grid[i] - before[each, i] / rise[each, i] * (grid[1] - grid[0])
    return np.where(crossing.any(axis=1), T, np.nan)


def extrapolated(pairs: Sequence[Crossing], draws: np.ndarray, shift: float) -> tuple[Estimate, float, int, str]:
    """Return T_c of T_× = T_c + c L^{−w} with L the geometric mean of a pair, χ², its degrees of freedom, a remark."""
    T = np.array([float(pair.temperature.value) for pair in pairs])
    if len(pairs) == 1:
        return pairs[0].temperature, 0.0, 0, "one pair of sizes: its crossing is shifted from T_c by an unknown amount"
    x = np.array([math.sqrt(a * b) for a, b in (pair.sizes for pair in pairs)]) ** -shift
    factor = np.linalg.cholesky(np.cov(draws))
    design = np.linalg.solve(factor, np.stack([np.ones_like(x), x], axis=1))
    beta, covariance, chi2 = least_squares(design, np.linalg.solve(factor, T), np.ones_like(T))
    dof = len(pairs) - 2
    remark = "" if dof else "two pairs of sizes: nothing tests the extrapolation"
    if dof and p_of(chi2, dof) < IMPROBABLE:
        remark = f"χ²/dof = {chi2 / dof:.1f}: the crossings do not approach T_c as L^(−{shift:g}) within their errors"
    return Estimate(float(beta[0]), float(np.sqrt(covariance[0, 0]))), chi2, dof, remark


# --- all together


@dataclass(frozen=True)
class Exponent:
    """One number of the summary: the estimate, the exact value of the 2D Ising model, and where it comes from.

    `estimate` is None where there is none; `remark` then says why, else what speaks against the number.
    """

    name: str
    estimate: Estimate | None
    exact: float
    source: str
    remark: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; a number that does not exist is null."""
        value, error = (None, None) if self.estimate is None else (self.estimate.value, self.estimate.error)
        return {
            **{"name": self.name, "value": value, "error": error, "exact": self.exact},
            **{"source": self.source, "remark": self.remark},
        }


@dataclass(frozen=True)
class Exponents:
    """The exponents that tables of several sizes give, each with its source."""

    rows: tuple[Exponent, ...]

    def __getitem__(self, name: str) -> Estimate:
        """Return the first estimate of a name: "β/ν", "γ/ν", "1/ν" or "T_c".

        Raises:
            InputError: if there is none.
        """
        of_name = [row for row in self.rows if row.name == name]
        for row in of_name:
            if row.estimate is not None:
                return row.estimate
        why = (
            "; ".join(row.remark for row in of_name) or f"known: {', '.join(dict.fromkeys(r.name for r in self.rows))}"
        )
        message = f"no {name} here: {why}"
        raise InputError(message)

    def __str__(self) -> str:
        """Return a line for each number."""
        lines = []
        for row in self.rows:
            number = "–" if row.estimate is None else str(row.estimate)
            remark = f"; {row.remark}" if row.remark else ""
            lines.append(f"{row.name:<4} {number:<14} Ising {row.exact:<9.7g} {row.source}{remark}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"exponents": [row.to_dict() for row in self.rows]}


@checked(temperature=TEMPERATURE, window=optional(read_window), seed=SEED)
def exponents(
    data: Mapping[str, Table] | Sequence[Ensemble | Level | ArrayLike],
    temperature: float = CRITICAL_TEMPERATURE,
    *,
    window: tuple[float, float] | None = None,
    seed: int = 0,
) -> Exponents:
    """Return β/ν, γ/ν, 1/ν and T_c from configurations or tables of several sizes, as far as they can be had.

    β/ν from ⟨|m|⟩, γ/ν from N⟨m²⟩ and 1/ν from dU₄/dK at one temperature, by power laws; T_c from the crossings of U₄
    and 1/ν and T_c from its collapse, where there are several temperatures. What cannot be had says why.

    Args:
        data: sets of configurations (`sizes.size_tables`), or tables by the name of their quantity: abs_m, chi, U4,
            U4_slope.
        temperature: of the power laws, and of sets that do not know theirs, in units of J/k_B.
        window: sizes to fit; None for all in crossings, and else for the widest window from some size on in which χ² is
            probable (p > 0.01).
        seed: of the repetitions that give the errors of crossings.

    Raises:
        InputError: if the data are neither.

    Examples:
        >>> found = rg.exponents([rg.sample(size, samples=2_000, seed=0) for size in (4, 8)])
        >>> abs(found["β/ν"].value - 1 / 8) < 0.03
        True
    """
    tables = data if isinstance(data, Mapping) else size_tables(read_sets("data", data), temperature)
    if not tables or not all(isinstance(table, Table) for table in tables.values()):
        message = "data: expected sets of configurations, or tables by name, {'U4': sizes.Table(…)}"
        raise InputError(message)
    laws = [("β/ν", Ising.DELTA_SIGMA, "abs_m", -1), ("γ/ν", 2 - 2 * Ising.DELTA_SIGMA, "chi", 1)]
    laws += [("1/ν", Ising.Y_T, "U4_slope", 1)]
    rows = [of_power_law(*law, tables, temperature, window) for law in laws]
    return Exponents((*rows, *of_binder(tables, window, seed)))


def of_power_law(
    name: str,
    exact: float,
    quantity: str,
    sign: int,
    tables: Mapping[str, Table],
    temperature: float,
    window: tuple[float, float] | None,
) -> Exponent:
    """Return an exponent from the power law of a quantity at one temperature."""
    source = f"{quantity} at T = {temperature:.7g}"
    if quantity not in tables:
        return Exponent(name, None, exact, source, f"no {quantity} in the data")
    table = tables[quantity].at(temperature)
    try:
        if not len(table.sizes):
            known = ", ".join(f"{T:.6g}" for T in np.unique(tables[quantity].temperatures)[:8])
            message = f"no {quantity} at this temperature; there are {known}"
            raise InputError(message)
        found = power_law(*points_of(table), window) if window else widest_window(table)
    except InputError as error:
        return Exponent(name, None, exact, source, str(error))
    source += f", L = {found.window[0]:g} … {found.window[1]:g}, χ²/dof {found.chi2:.1f}/{found.dof}"
    return Exponent(
        name, Estimate(sign * float(found.exponent.value), found.exponent.error), exact, source, found.remark
    )


def points_of(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sizes, values and errors."""
    return table.sizes, table.values, table.errors


def of_binder(tables: Mapping[str, Table], window: tuple[float, float] | None, seed: int) -> list[Exponent]:
    """Return T_c from the crossings of U₄, and T_c and 1/ν from its collapse."""
    both = [("T_c", CRITICAL_TEMPERATURE, "crossings of U4")]
    both += [("T_c", CRITICAL_TEMPERATURE, "collapse of U4"), ("1/ν", Ising.Y_T, "collapse of U4")]
    if "U4" not in tables:
        return [Exponent(name, None, exact, source, "no U4 in the data") for name, exact, source in both]
    table = tables["U4"]
    if window:
        inside = (table.sizes >= window[0]) & (table.sizes <= window[1])
        table = Table(*(column[inside] for column in table))
    if len(np.unique(table.temperatures)) < 2:
        return [Exponent(name, None, exact, source, "one temperature only") for name, exact, source in both]
    sides = np.unique(table.sizes)
    span = f", L = {sides.min():g} … {sides.max():g}, {len(table.sizes)} points"

    def crossed() -> tuple[tuple[Estimate, ...], str, str]:
        found = crossings(*table, seed=seed)
        return (found.critical_temperature,), f"{span}, χ²/dof {found.chi2:.1f}/{found.dof}", found.remark

    def collapsed() -> tuple[tuple[Estimate, ...], str, str]:
        start, found = next((each for each in collapsing(table) if not each[1].scatter), (sides[0], None))
        found = found or collapse(*table, exponent=0.0)
        fitted = f", L = {start:g} … {sides[-1]:g}, χ²/dof {found.chi2:.1f}/{found.dof:.0f}"
        return (found.critical_temperature, found.inverse_nu), fitted, found.remark

    return [*attempted(both[:1], crossed), *attempted(both[1:], collapsed)]


def collapsing(table: Table) -> Iterator[tuple[float, Collapse]]:
    """Yield the collapse of U₄ with ever more of the small sizes left out, three or more remaining."""
    sides = np.unique(table.sizes)
    for start in sides[: max(1, len(sides) - 2)]:
        yield float(start), collapse(*(column[table.sizes >= start] for column in table), exponent=0.0)


def attempted(
    named: Sequence[tuple[str, float, str]], work: Callable[[], tuple[tuple[Estimate, ...], str, str]]
) -> list[Exponent]:
    """Return the numbers of a fit, or why it failed."""
    try:
        estimates, details, remark = work()
    except InputError as error:
        return [Exponent(name, None, exact, source, str(error)) for name, exact, source in named]
    return [
        Exponent(name, estimate, exact, source + details, remark)
        for (name, exact, source), estimate in zip(named, estimates, strict=True)
    ]
