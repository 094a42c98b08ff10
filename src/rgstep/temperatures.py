"""At which temperature would an equilibrium state of the same side look like this, asked of one observable at a time?

Configurations of any origin, N = L² spins each, have with e the energy and m the magnetisation per site

    |m|,    u = ⟨e⟩,    N var e (the specific heat times T²),    U₄ = 1 − ⟨m⁴⟩/(3⟨m²⟩²),
    ξ/L = √(S(0)/S(k) − 1) / (2L sin(π/L)),  S the structure factor, k = 2π/L along either axis,
    K_nn, the one coupling that best predicts each spin from its neighbours (pseudolikelihood, Besag 1975).

An equilibrium state of the nearest-neighbour model has one T for all of them. Curves at the same L give T: u and var e
by Kaufman (1949), K_nn = 1/T by what it is, |m|, U₄ and ξ/L from configurations of our sampler at couplings K_j so
close that their energies overlap, all of them used for every K with weights

    w_s(K) = exp(−K E_s) / Σ_j n_j exp(−K_j E_s) / Z(K_j),        Z exact,

which is the multi-histogram method (Ferrenberg and Swendsen 1989) without its iteration for Z.

**Is it an equilibrium state at all?** At the right K the means of |m| − M₁(K), m² − M₂(K), m⁴ − M₄(K), S(k) − S_k(K),
e − u(K), (e − u(K))² − var e(K) and the slope of the pseudolikelihood in K are all 0. With ḡ these seven means and C
their covariance (of the sample, from groups, and of the table),

    χ² = min over K of ḡᵀ C⁻¹ ḡ,        as many degrees of freedom as C has directions, less one (Hansen 1982),

and p by the F distribution that the finite number of groups asks for (Hotelling 1931). Directions of C are those of its
correlations' eigenvectors; those of small eigenvalues are left out, since at low T all seven count the same few
excitations, and what is left of them is far from normal.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate, optimize, stats

from rgstep.arguments import FLAG, PROGRESS, InputError, checked
from rgstep.classifier import Classified, classified
from rgstep.ensemble import Ensemble, Level, Source, pieces
from rgstep.estimates import Estimate, Groups, binder, estimated, with_rest
from rgstep.instruments.pseudolikelihood import newton
from rgstep.ising import SMALLEST_SIZE, Ising
from rgstep.lattice import as_lattice, as_spins
from rgstep.samplers.sample import sample
from rgstep.types import Progress, Samples

NAMES = ("abs_m", "u", "K_nn", "fluctuation", "xi", "U4")
SYMBOLS = {"abs_m": "|m|", "u": "u", "K_nn": "K_nn", "fluctuation": "N var e", "xi": "ξ/L", "U4": "U₄"}
FIELDS = np.array([[-4.0], [-2.0], [0.0], [2.0], [4.0]])  # a spin times the sum of its neighbours
BASE = 11  # |m|, m², m⁴, S(k), e, e², and the five shares of sites
TABULATED = 4  # the first of them, which the sampler's table gives
LARGEST_COUPLING = 1.25  # of the table: T = 0.8, where one spin in 20,000 is turned over
LARGEST_BY_ENERGY = 2.5  # of u and var e: T = 0.4
OVERLAP = 1.5  # between couplings of the table, in units of 1/√var E
LARGEST_STEP = 0.15  # between them
FINER = 8  # couplings of the curves for one of the table
TABLE_SAMPLES, TABLE_GROUPS = 1000, 20  # at each coupling
TABLE_SEED = 0x7AB1E  # of nothing else: a user's own configurations are not those of the table
FEWEST = 64  # configurations, so that errors mean something
CLEAR = 3.0  # errors from the value at T = ∞ within which there is no temperature
NO_WAVE = 1e-12  # S(k) that is rounding
UNLIKELY = 1e-3  # p below which no temperature fits
RESOLVED = 1e-3  # of the largest eigenvalue of the correlations of ḡ: smaller ones are left out


@dataclass(frozen=True, eq=False)
class Observed:
    """What configurations show.

    Attributes:
        means: of what `columns_of` returns, over all samples, then without each group, `(set, BASE)`.
        groups: the means over each group, `(group, BASE)`.
        side: L.
        samples: their number.
    """

    means: np.ndarray
    groups: np.ndarray
    side: int
    samples: int

    @functools.cached_property
    def sets(self) -> Mapping[str, np.ndarray]:
        """Each observable of `NAMES`, of all samples, then without each group, `(set,)`."""
        abs_m, m2, m4, s_k, e, e2 = self.means[:, :6].T
        K = newton(self.means[:, 6:], FIELDS, np.zeros((1, 1)))[:, 0]
        fluctuation = self.side**2 * np.maximum(e2 - e**2, 0) * self.samples / max(self.samples - 1, 1)
        xi, U4 = length_of(m2, s_k, self.side), binder(m2, m4)
        return {"abs_m": abs_m, "u": e, "K_nn": K, "fluctuation": fluctuation, "xi": xi, "U4": U4}

    def estimates(self) -> dict[str, Estimate]:
        """Return each observable with its jackknife error; NaN where the configurations do not determine it."""
        return {name: estimate_of(values) for name, values in self.sets.items()}


def length_of(m2: np.ndarray, s_k: np.ndarray, side: int) -> np.ndarray:
    """Return ξ/L from ⟨m²⟩ and S(k), negative where noise makes S(0) < S(k), NaN where S(k) is 0."""
    known = s_k > NO_WAVE
    ratio = np.divide(side**2 * m2, s_k, where=known, out=np.full(m2.shape, np.nan)) - 1
    return np.asarray(np.sign(ratio) * np.sqrt(np.abs(ratio)) / (2 * side * math.sin(math.pi / side)))


def estimate_of(values: np.ndarray) -> Estimate:
    """Return the jackknife estimate of a statistic of the sets; NaN with the value where one of them is not finite."""
    return estimated(values) if np.isfinite(values).all() else Estimate(np.nan, np.nan)


def observed(source: Source) -> Observed:
    """Return the observables of ±1 configurations on a square lattice, read a piece at a time; about 15 ns a spin."""
    columns = np.concatenate([columns_of(v) for _, v in pieces(source)])
    side = next(pieces(source, 0, 1))[1].shape[1]
    groups = Groups.of(len(columns))
    sums = np.stack([columns[a:b].sum(axis=0) for a, b in groups.bounds])
    return Observed(groups.over_counts(sums), sums / groups.counts[:, None], side, len(columns))


def columns_of(v: Samples) -> np.ndarray:
    """Return |m|, m², m⁴, S(k), e, e² and the shares of sites by s_i Σ_j s_j of each configuration, `(n, BASE)`."""
    n, side = len(v), v.shape[1]
    around = sum(np.roll(v, shift, axis) for shift in (1, -1) for axis in (1, 2))
    by_field = (v * around).reshape(n, -1)
    shares = np.stack([(by_field == u).mean(axis=1) for u in FIELDS[:, 0]], axis=1)
    wave = np.exp(2j * np.pi * np.arange(side) / side)
    lines = [v.sum(axis=axis, dtype=np.float64) @ wave for axis in (1, 2)]
    s_k = sum(np.abs(line) ** 2 for line in lines) / (2 * side**2)
    m, e = np.abs(v.mean(axis=(1, 2), dtype=np.float64)), -0.5 * shares @ FIELDS[:, 0]
    return np.column_stack([m, m**2, m**4, s_k, e, e**2, shares])


# --- the curves


@dataclass(frozen=True, eq=False)
class Curve:
    """One branch of an equilibrium curve: an observable that only rises, or only falls, with K.

    Attributes:
        couplings: K, ascending, `(k,)`.
        values, errors: of the observable, `(k,)`; errors are 0 where it is known exactly.
    """

    couplings: np.ndarray
    values: np.ndarray
    errors: np.ndarray

    @functools.cached_property
    def inverse(self) -> interpolate.PchipInterpolator:
        """K as a function of the observable."""
        rising = self.values[-1] > self.values[0]
        values = np.maximum.accumulate(self.values if rising else -self.values)
        kept = np.append(True, np.diff(values) > 0)
        return interpolate.PchipInterpolator(values[kept], self.couplings[kept])

    def coupling(self, value: float) -> float:
        """Return K at a value, NaN beyond the ends of the curve."""
        sign = 1.0 if self.values[-1] > self.values[0] else -1.0
        x = self.inverse.x
        return float(self.inverse(sign * value)) if x[0] <= sign * value <= x[-1] else math.nan

    def reading(self, value: float, error: float) -> Estimate | None:
        """Return K with the error that the observable's and the curve's own errors make.

        None beyond the ends of the curve, and where the observable cannot be told from its value at K = 0.
        """
        K = self.coupling(value)
        if math.isnan(K):
            return None
        sigma = math.hypot(error, float(np.interp(K, self.couplings, self.errors)))
        if self.couplings[0] == 0 and abs(value - self.values[0]) < CLEAR * sigma:
            return None
        shifts = [abs(self.coupling(value + way * sigma) - K) for way in (-1, 1)]
        return Estimate(K, float(np.nanmax(shifts)) if np.isfinite(shifts).any() else math.nan)


@dataclass(frozen=True, eq=False)
class Table:
    """The equilibrium curves at one side, on one grid of couplings.

    Attributes:
        side: L.
        couplings: K, from 0, `(k,)`.
        sets: of the means of |m|, m², m⁴, S(k): all samples first, then without each group, `(set, k, TABULATED)`.
    """

    side: int
    couplings: np.ndarray
    sets: np.ndarray

    @functools.cached_property
    def curves(self) -> Mapping[str, tuple[Curve, ...]]:
        """Every branch of every observable's curve but K_nn's."""
        K, L = self.couplings, self.side
        abs_m, m2, m4, s_k = np.moveaxis(self.sets, -1, 0)
        of_sets = {"abs_m": abs_m, "xi": length_of(m2, s_k, L), "U4": binder(m2, m4)}
        found = {}
        for name, values in of_sets.items():
            estimate = estimated(values)
            found[name] = (Curve(K, np.asarray(estimate.value), np.asarray(estimate.error)),)
        return {**found, **by_energy(L)}

    @functools.cached_property
    def between(self) -> interpolate.CubicSpline:
        """The four means, the energy and its variance as smooth functions of K."""
        models = [Ising(self.side, K) for K in self.couplings]
        exact = np.array([(model.energy, model.energy_variance) for model in models])
        return interpolate.CubicSpline(self.couplings, np.column_stack([self.sets[0], exact]))

    def at(self, K: float) -> np.ndarray:
        """Return the means of |m|, m², m⁴, S(k), e and (e − u)² at a coupling."""
        return np.asarray(self.between(K))

    def covariance(self, K: float) -> np.ndarray:
        """Return their jackknife covariance there, which changes little from one coupling of the grid to the next."""
        left_out = self.sets[1:, int(np.abs(self.couplings - K).argmin())]
        deviation = left_out - left_out.mean(axis=0)
        return np.asarray((len(left_out) - 1) / len(left_out) * deviation.T @ deviation)


def by_energy(side: int) -> dict[str, tuple[Curve, ...]]:
    """Return the exact curves of u and of N var e, the latter on both sides of its maximum, hot one first."""
    peak = peak_of(side, lambda K: side**2 * Ising(side, K).energy_variance)
    hot, cold = np.linspace(0, peak, 200), np.linspace(peak, LARGEST_BY_ENERGY, 400)
    K = np.append(hot, cold[1:])
    u, variance = np.array([(Ising(side, k).energy, side**2 * Ising(side, k).energy_variance) for k in K]).T
    exact = np.zeros(len(K))
    first = slice(0, len(hot))
    rest = slice(len(hot) - 1, None)
    branches = tuple(Curve(K[part], variance[part], exact[part]) for part in (first, rest))
    return {"u": (Curve(K, u, exact),), "fluctuation": branches}


def peak_of(side: int, of_coupling: Any) -> float:
    """Return K at the maximum of a function of K that has one near the critical coupling."""
    found = optimize.minimize_scalar(lambda K: -of_coupling(K), bounds=(0.2, 0.8), method="bounded")
    return float(found.x)


@functools.cache
def peak_temperature(side: int) -> float:
    """Return the temperature at which the exact specific heat of the L-by-L torus is largest."""
    return 1.0 / peak_of(side, lambda K: Ising(side, K).specific_heat)


def couplings_of_table(side: int) -> np.ndarray:
    """Return couplings from 0 on whose energies overlap."""
    K = [0.0]
    while K[-1] < LARGEST_COUPLING:
        sigma = side**2 * math.sqrt(Ising(side, K[-1]).energy_variance)
        K.append(K[-1] + min(OVERLAP / sigma, LARGEST_STEP))
    return np.array(K)


def tabulates(side: int) -> bool:
    """Whether there are equilibrium curves of a side: the sampler takes even ones."""
    return side >= SMALLEST_SIZE and side % 2 == 0


TABLES: dict[int, Table] = {}  # by side: sampled once in a process


def table(side: int, progress: Progress | None = None) -> Table:
    """Return the curves of a side, sampled when first asked for: seconds up to L = 16, a minute at L = 64.

    Raises:
        InputError: for a side that the sampler does not take.
    """
    if side not in TABLES:
        if not tabulates(side):
            message = f"a lattice of side {side}: equilibrium curves are sampled for even sides ≥ {SMALLEST_SIZE}"
            raise InputError(message)
        TABLES[side] = tabulated(side, progress)
    return TABLES[side]


def tabulated(side: int, progress: Progress | None = None) -> Table:
    """Sample the table of a side."""
    K = couplings_of_table(side)
    temperatures = [math.inf if k == 0 else 1 / k for k in K]
    ensembles = sample(side, temperatures, TABLE_SAMPLES, TABLE_SEED, progress=progress)
    columns = np.concatenate([np.concatenate([columns_of(v) for _, v in pieces(e)]) for e in ensembles])
    group = np.tile(np.arange(TABLE_SAMPLES) * TABLE_GROUPS // TABLE_SAMPLES, len(K))
    finer = np.interp(np.arange(FINER * (len(K) - 1) + 1) / FINER, np.arange(len(K)), K)
    energies = side**2 * columns[:, 4]
    log_z = np.array([Ising(side, k).log_partition for k in K])
    log_mixture = np.logaddexp.reduce(-K * energies[:, None] - log_z, axis=1)
    sets = np.stack([reweighted(k, energies, log_mixture, columns[:, :TABULATED], group) for k in finer], axis=1)
    return Table(side, finer, sets)


def reweighted(
    K: float, energies: np.ndarray, log_mixture: np.ndarray, values: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """Return the means at one coupling, of all samples and without each group, `(set, column)`."""
    log_w = -K * energies - log_mixture
    w = np.exp(log_w - log_w.max())
    sums = np.stack([np.bincount(group, w * column, TABLE_GROUPS) for column in values.T], axis=1)
    return np.asarray(with_rest(sums) / with_rest(np.bincount(group, w, TABLE_GROUPS))[:, None])


# --- the readings


@dataclass(frozen=True)
class Reading:
    """What one thermometer says: its observable, no, one or two temperatures, and why none, in a line."""

    name: str
    observable: Estimate
    temperatures: tuple[Estimate, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        """Return the temperatures, and the line that says why there are no others."""
        return " or ".join([*map(str, self.temperatures), *filter(None, [self.note])])


@dataclass(frozen=True, eq=False)
class Temperatures:
    """The temperatures of a set of configurations by each thermometer, and whether one temperature explains them all.

    Attributes:
        size: L.
        samples: how many configurations.
        readings: of each thermometer, by the names of `NAMES`.
        chi2, dof, p_value: of the best temperature; NaN where no test can be made, `note` says why.
        best: that temperature.
        classified: what the classifier of arXiv:1906.05212 says, where it was asked for; it decides nothing.

    Examples:
        >>> found = rg.thermometers(rg.sample(4, 3.0, samples=2_000, seed=0))
        >>> sorted(found.readings)
        ['K_nn', 'U4', 'abs_m', 'fluctuation', 'u', 'xi']
        >>> abs(found.best - 3.0) < 0.2
        True
    """

    size: int
    samples: int
    readings: Mapping[str, Reading]
    chi2: float
    dof: int
    p_value: float
    best: float
    note: str = ""
    classified: Classified | None = None

    @property
    def is_equilibrium(self) -> bool | None:
        """Whether the configurations may be an equilibrium state; None where that cannot be told."""
        return None if math.isnan(self.p_value) else self.p_value >= UNLIKELY

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if self.is_equilibrium is None:
            return self.note
        test = f"χ² = {self.chi2:.3g} for {self.dof} degrees of freedom, p = {self.p_value:.2g}"
        if self.is_equilibrium:
            return f"an equilibrium state at T = {self.best:.3f} explains all thermometers ({test})"
        return f"no equilibrium state at any temperature ({test}, at best at T = {self.best:.3g})"

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return everything as plain values, None for what is not finite."""
        readings = {
            name: {
                "observable": plain(r.observable),
                "temperatures": [plain(t) for t in r.temperatures],
                "note": r.note,
            }
            for name, r in self.readings.items()
        }
        test = {"chi2": finite(self.chi2), "dof": self.dof, "p_value": finite(self.p_value), "best": finite(self.best)}
        rest: dict[str, Any] = {"equilibrium": self.is_equilibrium, "verdict": self.verdict}
        rest |= {"classifier": self.classified.to_dict()} if self.classified else {}
        return {"size": self.size, "samples": self.samples, "readings": readings, **test, **rest}

    def __str__(self) -> str:
        """Return a line for each thermometer, then the verdict."""
        lines = [
            f"{SYMBOLS[name]:8} {r.observable!s:>14}   {'T = ' if r.temperatures else ''}{r}"
            for name, r in self.readings.items()
        ]
        lines += [f"classifier: {self.classified}"] if self.classified else []
        return "\n".join([*lines, self.verdict])

    __repr__ = __str__


def finite(value: float) -> float | None:
    """Return a number, None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as plain values."""
    return {"value": finite(float(estimate.value)), "error": finite(float(estimate.error))}


@checked(classifier=FLAG, progress=PROGRESS)
def thermometers(
    state: Ensemble | Level | ArrayLike, *, classifier: bool = False, progress: Progress | None = None
) -> Temperatures:
    """Return the temperature of configurations by each of six observables, and whether one temperature explains all.

    Args:
        state: an `Ensemble`, or ±1 of any origin, `(sample, row, column)` or `(sample, site)`, of an even side ≥ 4. The
            temperature that an ensemble is said to have is not looked at.
        classifier: also ask a network trained to tell temperatures, as published (arXiv:1906.05212), for comparison: it
            gives everything a temperature, and the verdict does not hear it. Trained when first asked for, in seconds
            up to L = 16.
        progress: called while the equilibrium curves of this side are sampled, the first time they are needed.

    Returns:
        `Temperatures`, in units of J/k_B: `readings["u"].temperatures` and so on, `is_equilibrium`, `verdict`.

    Raises:
        InputError: for anything but ±1 on a square lattice, an odd side, or fewer than 64 configurations.

    Examples:
        >>> found = rg.thermometers(rg.sample(4, 3.0, samples=2_000, seed=0))
        >>> found.is_equilibrium
        True
    """
    source = state if isinstance(state, Ensemble | Level) else as_lattice(as_spins(state, "state"), "state")
    if len(source) < FEWEST:
        message = f"state of {len(source)} configurations: at least {FEWEST} are needed for errors"
        raise InputError(message)
    seen = observed(source)
    curves = table(seen.side, progress)
    chi2, dof, p_value, best, note = consistency(seen, curves)
    also = classified(source, progress=progress) if classifier else None
    readings = readings_of(seen.estimates(), curves)
    return Temperatures(seen.side, seen.samples, readings, chi2, dof, p_value, best, note, also)


def readings_of(observables: Mapping[str, Estimate], curves: Table) -> dict[str, Reading]:
    """Return what each thermometer says of observables with errors."""
    return {name: reading_of(name, observables[name], curves) for name in NAMES}


def reading_of(name: str, observable: Estimate, curves: Table) -> Reading:
    """Return what one thermometer says."""
    value, error = float(observable.value), float(observable.error)
    if not math.isfinite(value):
        return Reading(name, observable, note=f"{SYMBOLS[name]} is not determined: the spins do not fluctuate")
    if name == "K_nn":
        found = [observable] if value > CLEAR * error else []
    else:
        branches = curves.curves[name]
        found = [K for branch in branches if (K := branch.reading(value, error))]
    temperatures = tuple(Estimate(1 / float(K.value), float(K.error) / float(K.value) ** 2) for K in found)
    if name == "fluctuation" and len(found) == 1 and value < float(branches[0].values[-1]):
        hot = abs(value - float(branches[0].values[0])) < CLEAR * error
        return Reading(name, observable, temperatures, "a T that cannot be told from ∞" if hot else "")
    return Reading(name, observable, temperatures, "" if found else outside(name, observable, curves))


def outside(name: str, observable: Estimate, curves: Table) -> str:
    """Return in a line why an observable has no temperature."""
    start = f"{SYMBOLS[name]} = {observable}"
    if name == "K_nn":
        return f"{start} is not above 0 by {CLEAR:g} errors: no temperature"
    value = float(observable.value)
    ends = [
        (float(v), float(K))
        for branch in curves.curves[name]
        for v, K in zip(branch.values[[0, -1]], branch.couplings[[0, -1]], strict=True)
    ]
    (low, at_low), (high, at_high) = min(ends), max(ends)
    if low <= value <= high:
        return f"{start} cannot be told from its value at T = ∞"
    way, end, K = ("below", low, at_low) if value < low else ("above", high, at_high)
    last = "at T = ∞" if K == 0 else f"at T = {1 / K:.3g}"
    return (
        f"{start} is {way} the {'smallest' if value < low else 'largest'} of all temperatures, {end + 0.0:.4g} {last}"
    )


# --- the test


def consistency(seen: Observed, curves: Table) -> tuple[float, int, float, float, str]:
    """Return χ² of the best temperature, its degrees of freedom, p, that temperature, and why there is no test."""
    groups, e = seen.groups, float(seen.means[0, 4])
    if np.ptp(groups[:, 4]) <= NO_WAVE:
        words = "all are ground states, T = 0" if e == -2 else f"all have one energy, {e:.4g}, as at no T above 0"
        return math.nan, 0, math.nan, 0.0 if e == -2 else math.nan, f"no test of equilibrium: {words}"
    base = groups.copy()
    base[:, 5] = groups[:, 5] - 2 * e * groups[:, 4] + e**2  # (e − ē)² without cancellation
    K = curves.couplings
    tries = [score(base, e, curves, k)[0] for k in K]
    near = int(np.argmin(tries))  # the curves' couplings are some ten errors apart: look between them
    bounds = (float(K[max(near - 1, 0)]), float(K[min(near + 1, len(K) - 1)]))
    found = optimize.minimize_scalar(lambda k: score(base, e, curves, k)[0], bounds=bounds, method="bounded")
    best = float(found.x) if found.fun < tries[near] else float(K[near])
    chi2, rank = score(base, e, curves, best)
    dof, free = max(rank - 1, 1), len(groups) - 1
    ratio = chi2 * (free - dof + 1) / (free * dof)
    p_value = float(stats.f.sf(ratio, dof, free - dof + 1))
    return chi2, dof, p_value, 1 / best if best > 0 else math.inf, ""


def score(base: np.ndarray, e: float, curves: Table, K: float) -> tuple[float, int]:
    """Return ḡᵀ C⁻¹ ḡ at one coupling and the rank of C; `base` are means of groups, its e² about ē."""
    expected, u_s = curves.at(K), FIELDS[:, 0]
    u = expected[TABULATED]
    g = base[:, : TABULATED + 3].copy()
    g[:, : TABULATED + 1] -= expected[: TABULATED + 1]
    g[:, TABULATED + 1] += 2 * (e - u) * (base[:, TABULATED] - e) + (e - u) ** 2 - expected[TABULATED + 1]
    g[:, TABULATED + 2] = base[:, TABULATED + 2 :] @ (u_s * (1 - np.tanh(K * u_s)))
    C = np.cov(g.T) / len(g)
    C[:TABULATED, :TABULATED] += curves.covariance(K)
    scale = np.sqrt(np.maximum(np.diag(C), 1e-300))
    values, vectors = np.linalg.eigh(C / np.outer(scale, scale))
    kept = values > RESOLVED * values[-1]
    along = vectors.T[kept] @ (g.mean(axis=0) / scale)
    return float((along**2 / values[kept]).sum()), int(kept.sum())
