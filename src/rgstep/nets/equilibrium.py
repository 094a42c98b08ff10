"""Does a trained RBM have the law it is used for, or does it only generate well after some number of Gibbs steps?

A network trained with k below its mixing time can give good samples k steps from a random start while its own
equilibrium law is wrong (Decelle, Furtlehner, Seoane 2021, arXiv:2105.13889). Four groups of chains start from
independent fair spins, all up, all down, and held-out data, and run the same Gibbs sweeps v → h → v. Measured in each
configuration of N visible units, for the periodic square lattice with nearest-neighbour bonds and J = 1, are

    u = −(1/N) Σ_<ij> s_i s_j,  m = (1/N) Σ_i s_i,  |m|,  χ = N m²,  G(r) = (1/2N) Σ_x s_x (s_{x+(r,0)} + s_{x+(0,r)})

at r = 1, 2, 4, … and L/2, so that G(1) = −u/2; χ has neither ⟨|m|⟩² subtracted nor 1/T in front. Where N is no square
of side ≥ 3, the free energy F(v) of `rbm` stands in place of u, and there is no G(r). They are measured on a
logarithmic grid of times, and at regular times in the second half of a run.

The number of sweeps T doubles until it spans 50 autocorrelation times. The second half counts as stationary; each
chain's average over it is one independent number. The verdict is "out of equilibrium" if

 1. the groups differ: a rank-sum |z| > 4 between two of them in any observable, so that the start is remembered; or
 2. they agree, but off the data, and random starts come much closer to the data on their way there: with D the mean
    squared distance from the data, in their standard deviations, over all observables but m,
    D(T) > ¼², D(T) > 4 D(t*) and D(T) − D(t*) > 4 errors, t* the earliest t within an error of the smallest D(t).

All else is an "equilibrium model", even one that is no model of the data: `reason` says by how much it is off.
Of 195 runs on an exact network of the 4×4 torus at T = 3, each with its own seed and data, one was called out of
equilibrium, at z = 4.02.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import InputError, is_whole, require_positive, require_seed
from rgstep.certificate import Check
from rgstep.ensemble import Ensemble
from rgstep.estimates import GROUPS, Estimate, autocorrelation_time, group_bounds, grouped_mean, rank_sum_score
from rgstep.lattice import as_spins, as_vectors
from rgstep.nets.curves import axis_distances
from rgstep.nets.localisation import square_side
from rgstep.nets.rbm import RBM, Weights, gibbs_steps, inputs_h_from_v, log_2cosh
from rgstep.types import Progress, Rng, Samples

STARTS = ("random", "up", "down", "data")
SHORTEST_RUN = 50  # autocorrelation times that a run should span
TIMES_IN_HALF = 256  # regular times in the second half of a run
FEWEST = 16  # chains, sweeps and configurations below which no comparison means anything
LARGEST_DATA = 20_000  # configurations of the data that are used, at most
SITES_AT_ONCE = 2**22  # of the data, in one call to the device
LARGEST_Z = 4.0  # standard errors beyond which two means differ; some 60 are compared
LARGEST_DISTANCE = 0.25**2  # D above which the stationary state is off the data
PASSING_FACTOR = 4.0  # by which a passing state must have a smaller D than the stationary one
DECIMALS = 5  # relative to the largest, to which chains are told apart: the observables are float32
SYMBOLS = {"abs_m": "|m|", "chi": "χ", "m2": "m²"}
UNIT_OF_DISTANCE = "standard deviations (rms)"


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Whether a network is an equilibrium model, why, and the curves behind it; printed as a few lines.

    Attributes:
        k: Gibbs steps of the training, None if unknown; `method` likewise ("cd", "pcd").
        tau: integrated autocorrelation times in sweeps, of all chains about one mean: of u (or F), m and m².
        sweeps: T. `chains`: the number in each group. `seed`: what they were drawn with.
        times: sweeps at which the curves were measured, on a logarithmic grid.
        curves: start → observable → mean over the chains of that start at each time.
        distance: D(t) of the random starts at these times; `distance_at_end`: D(T) of all chains' second half.
        z: "up − down" and so on → observable → standard errors between the two groups over the second half.
        stationary: mean of each observable over the second half of all chains. `data`: over the data.
        z_data: stationary − data in standard errors.
        ends: where all chains ended, int8 ±1, `(4 · chains, visible)`; not part of `to_dict`.
    """

    k: int | None
    method: str | None
    tau: Mapping[str, Estimate]
    sweeps: int
    chains: int
    seed: int
    times: np.ndarray
    curves: Mapping[str, Mapping[str, Estimate]]
    distance: Estimate
    distance_at_end: Estimate
    z: Mapping[str, Mapping[str, float]]
    stationary: Mapping[str, Estimate]
    data: Mapping[str, Estimate]
    z_data: Mapping[str, float]
    ends: np.ndarray

    @property
    def in_equilibrium(self) -> bool:
        """The answer, by the rule of the module."""
        return not self.remembers_start and not self.passed_closer

    @property
    def verdict(self) -> str:
        """The answer in words."""
        if self.in_equilibrium:
            return "equilibrium model"
        return f"out of equilibrium: generates at k = {self.generates_at} steps only"

    @property
    def remembers_start(self) -> bool:
        """Whether the groups of chains differ in the second half."""
        return max(abs(z) for row in self.z.values() for z in row.values()) > LARGEST_Z

    @property
    def passed_closer(self) -> bool:
        """Whether random starts come much closer to the data on their way than where they end."""
        near, far = self.distance[self.nearest], self.distance_at_end
        gain, error = float(far.value - near.value), math.hypot(float(far.error), float(near.error))
        return bool(far.value > max(LARGEST_DISTANCE, PASSING_FACTOR * float(near.value)) and gain > LARGEST_Z * error)

    @property
    def nearest(self) -> int:
        """The place in `times` of t*: the earliest at which D(t) is within one error of its smallest."""
        values, errors = np.asarray(self.distance.value), np.asarray(self.distance.error)
        best = int(values.argmin())
        return int(np.flatnonzero(values <= values[best] + errors[best])[0])

    @property
    def generates_at(self) -> int:
        """t*, the number of steps after which random starts are closest to the data."""
        return int(self.times[self.nearest])

    @property
    def k_over_tau(self) -> float | None:
        """k in units of the longest τ: far below 1, the gradients of CD-k were biased; those of PCD need not be."""
        return None if self.k is None else self.k / longest(self.tau)

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        z, pair, name = max((abs(z), pair, name) for pair, row in self.z.items() for name, z in row.items())
        if self.remembers_start:
            others = max(abs(z) for row in self.z.values() for name, z in row.items() if name != "m")
            alone = ", with no other difference" if name == "m" and others <= LARGEST_Z else ""
            still = f"chains from {pair.replace('−', 'and')} still differ in {symbol(name)} by {z:.1f} standard errors"
            return f"{still} after {self.sweeps} sweeps (τ ≥ {longest(self.tau):.3g}){alone}; {self.on_the_way}"
        spans = self.sweeps / longest(self.tau)
        short = "" if spans >= SHORTEST_RUN else f", short of {SHORTEST_RUN} τ"
        agree = f"all starts agree, |z| ≤ {z:.1f}, after {self.sweeps} sweeps ({spans:.3g} τ{short})"
        score, name = max((abs(z), name) for name, z in self.z_data.items())
        off = f"but not with the data: {symbol(name)} is off by {score:.1f} standard errors"
        if self.passed_closer:
            return f"{agree}, {off}; {self.on_the_way}"
        if score > LARGEST_Z:
            return f"{agree}, {off}, all observables by {rms(self.distance_at_end)} of the data's {UNIT_OF_DISTANCE}"
        return f"{agree}, and with the data, |z| ≤ {score:.1f}"

    @property
    def on_the_way(self) -> str:
        """How close to the data random starts came, and when, in words."""
        near, far = rms(self.distance[self.nearest]), rms(self.distance_at_end)
        closest = f"random starts are closest to the data after {self.generates_at} steps"
        return f"{closest}, {near} of the data's {UNIT_OF_DISTANCE} away; all starts together are {far} away at the end"

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return everything as plain_values values, numbers to six digits, None for what is not finite."""
        derived = ("verdict", "reason", "in_equilibrium", "generates_at", "k_over_tau")
        fields = {name: value for name, value in vars(self).items() if name != "ends"}
        return {**{name: plain_values(getattr(self, name)) for name in derived}, **plain_values(fields)}

    def __str__(self) -> str:
        """Return verdict, reason, times, and a table of the stationary observables."""
        times = ", ".join(f"τ({symbol(name)}) = {tau}" for name, tau in self.tau.items())
        trained = "unknown" if self.k_over_tau is None else f"{self.k} = {self.k_over_tau:.2g} τ"
        lines = [
            self.verdict,
            self.reason,
            f"{len(STARTS)} × {self.chains} chains, {self.sweeps} sweeps; {times}",
            f"k of the training: {trained}" + (f" ({self.method})" if self.method else ""),
            f"{'':6}{'stationary':>16}{'data':>16}{'z':>8}{'largest |z| between starts':>30}",
        ]
        for name, mean in self.stationary.items():
            between = max(abs(row[name]) for row in self.z.values())
            left = f"{symbol(name):6}{mean!s:>16}{self.data[name]!s:>16}{self.z_data[name]:>+8.1f}"
            lines.append(f"{left}{between:>30.1f}")
        return "\n".join(lines)

    __repr__ = __str__


def equilibrium(
    rbm: RBM,
    data: Ensemble | ArrayLike,
    seed: int,
    *,
    k: int | None = None,
    chains: int = 64,
    sweeps: int = 16_384,
    progress: Progress | None = None,
) -> Equilibrium:
    """Return whether a network is an equilibrium model of anything, and of the data; see the module for the rule.

    If τ asks for all sweeps, the defaults take some 50 s on one core for 1024 → 256.

    Args:
        rbm: the network.
        data: configurations it was not trained on, an `Ensemble` or ±1, `(sample, ...)`; at most 20,000 are used.
        seed: decides every draw.
        k: Gibbs steps of the training; what `rbm.origin` records by default.
        chains: chains in each of the four groups, at least 16.
        sweeps: the largest T allowed, at least 16; T is 512 (or this, if less) times a power of two.
        progress: called after each time of measurement.

    Raises:
        InputError: if the data are no configurations of the network's visible units, or fewer than 16; for a k,
            chains or sweeps out of range, or a negative seed.
    """
    require_seed(seed)
    for name, value in (("chains", chains), ("sweeps", sweeps)):
        if require_positive(name, value) < FEWEST:
            message = f"{name} = {value}: too few to tell groups of chains apart, use at least {FEWEST}"
            raise InputError(message)
    recorded = rbm.origin.get("k") if k is None else require_positive("k", k)
    rng = np.random.default_rng(int(seed))
    rows = data_rows(data, rbm.visible, rng)
    states, key = starting_states(rows, int(chains), rng), jax.random.key(int(rng.integers(2**32)))
    run = ChainsFromStarts(rbm.parameters, states, key, int(recorded) if is_whole(recorded) else None)
    run.until_long_enough(int(sweeps), progress)
    return conclusions(rbm, run, observables_of_rows(rbm, rows), int(seed))


# --- the chains


class ChainsFromStarts:
    """The chains on their way; `curves` on the logarithmic grid, `last` at the regular times of the second half."""

    def __init__(self, weights: Weights, states: jax.Array, key: jax.Array, k: int | None) -> None:
        """Stand at the starts; the curves have a point at k."""
        self.weights, self.v, self.key, self.k, self.t = weights, states, key, k, 0
        self.curves: dict[int, np.ndarray] = {}  # time → (start, chain, observable)
        self.last: np.ndarray = np.empty(0)  # (start, chain, time, observable)
        self.tau: dict[str, Estimate] = {}

    def until_long_enough(self, sweeps: int, progress: Progress | None) -> None:
        """Run until T spans 50 τ or doubling it would exceed `sweeps`."""
        half, note = min(TIMES_IN_HALF, sweeps // 2), "compiling"
        for t in logarithmic_times(0, half, self.k):
            self.measure_at(t)
        while True:
            stride = max(1, half // TIMES_IN_HALF)
            regular = range(half + stride, 2 * half + 1, stride)
            measured = {}
            for t in sorted({*regular, *logarithmic_times(half, 2 * half, self.k)}):
                measured[t] = self.measure_at(t)
                if progress:
                    progress("equilibrium", t, sweeps, note)
            self.last = np.stack([measured[t] for t in regular], axis=2)
            self.measure_tau(stride)
            note = f"τ = {longest(self.tau):.3g}"
            if self.t >= SHORTEST_RUN * longest(self.tau) or 2 * self.t > sweeps:
                if progress:
                    progress("equilibrium", self.t, self.t, note)
                return
            half *= 2

    def measure_tau(self, stride: int) -> None:
        """Measure τ in sweeps at times `stride` apart; one too short for them keeps its last value.

        All chains share one mean, so that groups that never meet have a long τ. A constant has τ = ½.
        """
        for name, column in ((observable_names(self.v.shape[1])[0], 0), ("m", 1), ("m2", 3)):
            pooled = self.last[..., column].reshape(-1, self.last.shape[2])
            tau = autocorrelation_time(pooled)
            if tau.value >= 1 or name not in self.tau:
                self.tau[name] = Estimate(stride * tau.value, stride * tau.error)
            elif tau.error == 0:
                self.tau[name] = tau

    def measure_at(self, t: int) -> np.ndarray:
        """Go on to time t; return the observables there, kept for the curves if t is on their grid."""
        sweeps, key = jnp.int32(t - self.t), jax.random.fold_in(self.key, t)
        self.v, values = run_sweeps(self.weights, self.v, sweeps, key)
        self.t = t
        result = np.asarray(values, dtype=np.float64).reshape(len(STARTS), -1, values.shape[1])
        if logarithmic_times(t - 1, t, self.k):
            self.curves[t] = result
        return result


def logarithmic_times(start: int, stop: int, k: int | None) -> list[int]:
    """Return the times 1, 2, 3, 4, 6, 8, 12, … and k that lie in (start, stop]."""
    times = {factor * 2**i for factor in (1, 3) for i in range(stop.bit_length())} | ({k} if k else set())
    return sorted(t for t in times if start < t <= stop)


def longest(tau: Mapping[str, Estimate]) -> float:
    """Return the longest of the autocorrelation times."""
    return max(float(estimate.value) for estimate in tau.values())


# --- data and observables


def data_rows(data: Ensemble | ArrayLike, visible: int, rng: Rng) -> Samples:
    """Return at most 20,000 of the configurations, in their order, ±1 `(sample, visible)`."""
    array = data.packed.bits if isinstance(data, Ensemble) else as_vectors(as_spins(data, "data"))
    n, sites = len(array), data.system.size**2 if isinstance(data, Ensemble) else array.shape[1]
    if sites != visible or n < FEWEST:
        message = (
            f"data of {n} configurations of {sites} sites given for {visible} visible units: "
            f"at least {FEWEST} of {visible} sites are needed"
        )
        raise InputError(message)
    rows = np.sort(rng.choice(n, min(n, LARGEST_DATA), replace=False))
    return as_vectors(data.packed.take(rows).unpack()) if isinstance(data, Ensemble) else array[rows]


def starting_states(rows: Samples, chains: int, rng: Rng) -> jax.Array:
    """Return the starts of all chains, group after group in the order of `STARTS`."""
    shape = (chains, rows.shape[1])
    fair = 2 * rng.integers(0, 2, shape) - 1
    held_out = rows[rng.choice(len(rows), chains, replace=len(rows) < chains)]
    return jnp.asarray(np.concatenate([fair, np.ones(shape), -np.ones(shape), held_out]), jnp.float32)


def lattice_side(visible: int) -> int:
    """Return L if the units make a square lattice of side L ≥ 3, otherwise 0; at L = 2 each bond would count twice."""
    side = square_side(visible)
    return side if side >= 3 else 0


def observable_names(visible: int) -> list[str]:
    """Return the names of the observables, in the order of `observables_of_each`."""
    side = lattice_side(visible)
    return ["u" if side else "F", "m", "abs_m", "chi", *(f"G{r}" for r in (axis_distances(side) if side else ()))]


@jax.jit
def observables_of_each(weights: Weights, v: jax.Array) -> jax.Array:
    """Return the observables of configurations, `(n, visible)` → `(n, observable)`.

    Sums of ±1 are exact in float32. F is only compared between groups, for which its six digits are enough.
    """
    sites, side = v.shape[1], lattice_side(v.shape[1])
    m = v.sum(axis=1) / sites
    same = [m, jnp.abs(m), sites * m**2]
    if not side:
        energy = -v @ weights.a - log_2cosh(inputs_h_from_v(weights, v), jnp).sum(axis=1)
        return jnp.stack([energy, *same], axis=1)
    s = v.reshape(-1, side, side)
    pairs = [(s * (jnp.roll(s, r, 1) + jnp.roll(s, r, 2))).mean(axis=(1, 2)) / 2 for r in axis_distances(side)]
    return jnp.stack([-2 * pairs[0], *same, *pairs], axis=1)


@jax.jit
def run_sweeps(weights: Weights, v: jax.Array, sweeps: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the chains some sweeps later and their observables; one compilation serves every number of sweeps."""
    v = gibbs_steps(weights, v, sweeps, key)
    return v, observables_of_each(weights, v)


def observables_of_rows(rbm: RBM, rows: Samples) -> np.ndarray:
    """Return the observables of configurations, float64 `(sample, observable)`, many at a time."""
    block = max(1, SITES_AT_ONCE // rbm.visible)
    pieces = (jnp.asarray(rows[a : a + block], jnp.float32) for a in range(0, len(rows), block))
    return np.concatenate([np.asarray(observables_of_each(rbm.parameters, v), dtype=np.float64) for v in pieces])


# --- conclusions


def conclusions(rbm: RBM, run: ChainsFromStarts, known: np.ndarray, seed: int) -> Equilibrium:
    """Return what a finished run says, given the observables of the data `(sample, observable)`."""
    names = observable_names(rbm.visible)
    averages = run.last.mean(axis=2)  # (start, chain, observable)
    pooled, of_start = averages.reshape(-1, len(names)), dict(zip(STARTS, averages, strict=True))
    curves = np.stack(list(run.curves.values()), axis=2)  # (start, chain, time, observable)
    unit = natural_units(known, pooled)
    passing = [distance(curves[0, :, t], known, unit) for t in range(curves.shape[2])]
    stationary, data = by_name(names, over_chains(pooled)), by_name(names, grouped_mean(known))
    return Equilibrium(
        k=run.k,
        method=str(rbm.origin["method"]) if "method" in rbm.origin else None,
        tau=run.tau,
        sweeps=run.t,
        chains=averages.shape[1],
        seed=seed,
        times=np.array(list(run.curves)),
        curves={start: by_name(names, over_chains(curves[i])) for i, start in enumerate(STARTS)},
        distance=Estimate(np.array([d.value for d in passing]), np.array([d.error for d in passing])),
        distance_at_end=distance(pooled, known, unit),
        z={f"{x} − {y}": rank_sum_scores(names, a, b) for (x, a), (y, b) in combinations(of_start.items(), 2)},
        stationary=stationary,
        data=data,
        z_data={name: z_between(stationary[name], data[name]) for name in names},
        ends=np.asarray(run.v).reshape(-1, rbm.visible).astype(np.int8),
    )


def over_chains(values: np.ndarray) -> Estimate:
    """Return the mean over the first axis, of independent values."""
    return Estimate(values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values)))


def by_name(names: list[str], estimate: Estimate) -> dict[str, Estimate]:
    """Return an estimate `(..., observable)` as one for each name, scalars as floats."""
    value, error = np.asarray(estimate.value), np.asarray(estimate.error)
    return {name: Estimate(value[..., i], error[..., i]) for i, name in enumerate(names)}


def rank_sum_scores(names: list[str], x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the rank-sum z of x above y for each observable, `(chain, observable)` each.

    Ranks, since averages over few τ are skewed or have two peaks.
    """
    size = np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
    x, y = (np.round(values / np.where(size > 0, size, 1.0), DECIMALS) for values in (x, y))
    return {name: rank_sum_score(x[:, i], y[:, i]) for i, name in enumerate(names)}


def z_between(x: Estimate, y: Estimate) -> float:
    """Return how many standard errors x lies above y."""
    difference = float(x.value) - float(y.value)
    return Check(Estimate(difference, math.hypot(float(x.error), float(y.error))), 0.0).z


def natural_units(known: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each observable among the data; where it is 0, among the chains, or 1."""
    own, other = known.std(axis=0), pooled.std(axis=0)
    return np.where(own > 1e-9, own, np.where(other > 1e-9, other, 1.0))


def distance(x: np.ndarray, known: np.ndarray, unit: np.ndarray) -> Estimate:
    """Return D, the mean over observables but m of ((⟨x⟩ − ⟨known⟩) / unit)², less what noise adds to it.

    For a difference δ of p means with covariance C, D = (|δ|² − tr C) / p; its variance is (4 ⟨δ⟩ᵀC⟨δ⟩ + 2 tr C²) / p²,
    and δᵀCδ has the mean ⟨δ⟩ᵀC⟨δ⟩ + tr C².
    """
    but_m = np.arange(x.shape[1]) != 1
    x, y = ((values / unit)[:, but_m] for values in (x, known))
    groups = np.stack([y[a:b].mean(axis=0) for a, b in group_bounds(len(y), GROUPS)])
    noise = np.cov(x.T) / len(x) + np.cov(groups.T) / len(groups)
    delta = x.mean(axis=0) - y.mean(axis=0)
    squares = float((noise**2).sum())
    error = math.sqrt(4 * max(float(delta @ noise @ delta) - squares, 0.0) + 2 * squares)
    return Estimate(float(delta @ delta - np.trace(noise)) / len(delta), error / len(delta))


def symbol(name: str) -> str:
    """Return an observable's name as it is printed."""
    return SYMBOLS.get(name, name)


def rms(squared: Estimate) -> str:
    """Return the root of a distance D as text; one that noise made negative is 0."""
    return f"{math.sqrt(max(0.0, float(squared.value))):.2f}"


def plain_values(value: Any) -> Any:  # whatever a field of `Equilibrium` holds, as JSON values
    """Return floats to six digits, None where not finite, arrays as lists, an `Estimate` as its value and error."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {name: plain_values(entry) for name, entry in value.items()}
    if isinstance(value, Estimate):
        return {"value": plain_values(value.value), "error": plain_values(value.error)}
    if isinstance(value, np.ndarray):
        return [plain_values(entry) for entry in value.tolist()] if value.ndim else plain_values(value.item())
    return float(f"{float(value):.6g}") if math.isfinite(value) else None
