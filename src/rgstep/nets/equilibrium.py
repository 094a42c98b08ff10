"""Does a trained RBM have the law it is used for, or does it only generate well after some number of Gibbs steps?

A machine trained with k below its mixing time can give good samples k steps from a random start while its own
equilibrium law is wrong (Decelle, Furtlehner, Seoane 2021, arXiv:2105.13889). Four groups of chains start from
independent fair spins, all up, all down, and held-out data, and run the same Gibbs sweeps v → h → v. Read are

    u (energy per site),  m,  |m|,  χ = N⟨m²⟩,  G(r) = ⟨s_x s_{x+r}⟩ along the axes

as `rgstep.nets.starts` defines them; χ has neither ⟨|m|⟩² subtracted nor 1/T in front.

The number of sweeps T doubles until it spans 50 autocorrelation times. The second half counts as stationary; each
chain's average over it is one independent number. The verdict is "out of equilibrium" if

 1. the groups differ: a rank-sum |z| > 4 between two of them in any observable, so that the start is remembered; or
 2. they agree, but off the data, and random starts come much closer to the data on their way there: with D the mean
    squared distance from the data, in their standard deviations, over all observables but m,
    D(T) > ¼², D(T) > 4 D(t*) and D(T) − D(t*) > 4 errors, t* the earliest t within an error of the smallest D(t).

All else is an "equilibrium model", even one that is no model of the data: `reason` says by how much it is off.
Of 195 runs on an exact machine of the 4×4 torus at T = 3, each with its own seed and data, one was called out of
equilibrium, at z = 4.02.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import is_whole, require_positive, require_seed
from rgstep.certificate import Check
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, grouped_mean, rank_sum_score
from rgstep.nets.rbm import RBM
from rgstep.nets.starts import (
    FEWEST,
    LONG_ENOUGH,
    STARTS,
    Run,
    configurations,
    first_states,
    longest,
    names_of,
    read_all,
)
from rgstep.types import Progress

SHOWN = {"abs_m": "|m|", "chi": "χ", "m2": "m²"}
DIFFERENT = 4.0  # standard errors beyond which two means differ; some 60 are compared
OFF = 0.25**2  # D above which the stationary state is off the data
CLOSER = 4.0  # the factor by which a passing state must have a smaller D
SPREAD = "standard deviations (rms)"
RESOLUTION = 5  # decimals, relative to the largest, to which chains are told apart: the readings are float32


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Whether a machine is an equilibrium model, why, and the curves behind it; printed as a few lines.

    Attributes:
        k: Gibbs steps of the training, None if unknown; `method` likewise ("cd", "pcd").
        tau: integrated autocorrelation times in sweeps, of all chains about one mean: of u (or F), m and m².
        sweeps: T. `chains`: the number in each group. `seed`: what they were drawn with.
        times: sweeps at which the curves were read, on a logarithmic grid.
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
        return max(abs(z) for row in self.z.values() for z in row.values()) > DIFFERENT

    @property
    def passed_closer(self) -> bool:
        """Whether random starts come much closer to the data on their way than where they end."""
        near, far = self.distance[self.nearest], self.distance_at_end
        gain, error = float(far.value - near.value), math.hypot(float(far.error), float(near.error))
        return bool(far.value > max(OFF, CLOSER * float(near.value)) and gain > DIFFERENT * error)

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
            alone = ", with no other difference" if name == "m" and others <= DIFFERENT else ""
            still = f"chains from {pair.replace('−', 'and')} still differ in {shown(name)} by {z:.1f} standard errors"
            return f"{still} after {self.sweeps} sweeps (τ ≥ {longest(self.tau):.3g}){alone}; {self.on_the_way}"
        spans = self.sweeps / longest(self.tau)
        short = "" if spans >= LONG_ENOUGH else f", short of {LONG_ENOUGH} τ"
        agree = f"all starts agree, |z| ≤ {z:.1f}, after {self.sweeps} sweeps ({spans:.3g} τ{short})"
        score, name = max((abs(z), name) for name, z in self.z_data.items())
        off = f"but not with the data: {shown(name)} is off by {score:.1f} standard errors"
        if self.passed_closer:
            return f"{agree}, {off}; {self.on_the_way}"
        if score > DIFFERENT:
            return f"{agree}, {off}, all observables by {rms(self.distance_at_end)} of the data's {SPREAD}"
        return f"{agree}, and with the data, |z| ≤ {score:.1f}"

    @property
    def on_the_way(self) -> str:
        """How close to the data random starts came, and when, in words."""
        near, far = rms(self.distance[self.nearest]), rms(self.distance_at_end)
        closest = f"random starts are closest to the data after {self.generates_at} steps"
        return f"{closest}, {near} of the data's {SPREAD} away; all starts together are {far} away at the end"

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return everything as plain values, numbers to six digits, None for what is not finite."""
        derived = ("verdict", "reason", "in_equilibrium", "generates_at", "k_over_tau")
        fields = {name: value for name, value in vars(self).items() if name != "ends"}
        return {**{name: plain(getattr(self, name)) for name in derived}, **plain(fields)}

    def __str__(self) -> str:
        """Return verdict, reason, times, and a table of the stationary observables."""
        times = ", ".join(f"τ({shown(name)}) = {tau}" for name, tau in self.tau.items())
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
            left = f"{shown(name):6}{mean!s:>16}{self.data[name]!s:>16}{self.z_data[name]:>+8.1f}"
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
    """Return whether a machine is an equilibrium model of anything, and of the data; see the module for the rule.

    If τ asks for all sweeps, the defaults take some 50 s on one core for 1024 → 256.

    Args:
        rbm: the machine.
        data: configurations it was not trained on, an `Ensemble` or ±1, `(sample, ...)`; at most 20,000 are read.
        seed: decides every draw.
        k: Gibbs steps of the training; what `rbm.origin` records by default.
        chains: chains in each of the four groups, at least 16.
        sweeps: the largest T allowed, at least 16; T is 512 (or this, if less) times a power of two.
        progress: called after each reading.

    Raises:
        InputError: if the data are no configurations of the machine's visible units, or fewer than 16; for a k,
            chains or sweeps out of range, or a negative seed.
    """
    require_seed(seed)
    for name, value in (("chains", chains), ("sweeps", sweeps)):
        if require_positive(name, value) < FEWEST:
            message = f"{name} = {value}: too few to tell groups of chains apart, use at least {FEWEST}"
            raise InputError(message)
    recorded = rbm.origin.get("k") if k is None else require_positive("k", k)
    rng = np.random.default_rng(int(seed))
    rows = configurations(data, rbm.visible, rng)
    states, key = first_states(rows, int(chains), rng), jax.random.key(int(rng.integers(2**32)))
    run = Run(rbm.parameters, states, key, int(recorded) if is_whole(recorded) else None)
    run.until_long_enough(int(sweeps), progress)
    return judged(rbm, run, read_all(rbm, rows), int(seed))


def judged(rbm: RBM, run: Run, known: np.ndarray, seed: int) -> Equilibrium:
    """Return what a finished run says, given the observables of the data `(sample, observable)`."""
    names = names_of(rbm.visible)
    averages = run.last.mean(axis=2)  # (start, chain, observable)
    pooled = averages.reshape(-1, len(names))
    curves = np.stack(list(run.curves.values()), axis=2)  # (start, chain, time, observable)
    unit = units(known, pooled)
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
        z={f"{STARTS[i]} − {STARTS[j]}": scores(names, *averages[[i, j]]) for i, j in combinations(range(4), 2)},
        stationary=stationary,
        data=data,
        z_data={name: apart(stationary[name], data[name]) for name in names},
        ends=np.asarray(run.v).reshape(-1, rbm.visible).astype(np.int8),
    )


def over_chains(values: np.ndarray) -> Estimate:
    """Return the mean over the first axis, of independent values."""
    return Estimate(values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values)))


def by_name(names: list[str], estimate: Estimate) -> dict[str, Estimate]:
    """Return an estimate `(..., observable)` as one for each name, scalars as floats."""
    value, error = np.asarray(estimate.value), np.asarray(estimate.error)
    return {name: Estimate(value[..., i], error[..., i]) for i, name in enumerate(names)}


def scores(names: list[str], x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the rank-sum z of x above y for each observable, `(chain, observable)` each.

    Ranks, since averages over few τ are skewed or have two peaks.
    """
    size = np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
    x, y = (np.round(values / np.where(size > 0, size, 1.0), RESOLUTION) for values in (x, y))
    return {name: rank_sum_score(x[:, i], y[:, i]) for i, name in enumerate(names)}


def apart(x: Estimate, y: Estimate) -> float:
    """Return how many standard errors x lies above y."""
    difference = float(x.value) - float(y.value)
    return Check(Estimate(difference, math.hypot(float(x.error), float(y.error))), 0.0).z


def units(known: np.ndarray, pooled: np.ndarray) -> np.ndarray:
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
    groups = np.stack([y[a:b].mean(axis=0) for a, b in group_bounds(len(y), 64)])
    noise = np.cov(x.T) / len(x) + np.cov(groups.T) / len(groups)
    delta = x.mean(axis=0) - y.mean(axis=0)
    squares = float((noise**2).sum())
    error = math.sqrt(4 * max(float(delta @ noise @ delta) - squares, 0.0) + 2 * squares)
    return Estimate(float(delta @ delta - np.trace(noise)) / len(delta), error / len(delta))


def shown(name: str) -> str:
    """Return an observable's name as it is printed."""
    return SHOWN.get(name, name)


def rms(squared: Estimate) -> str:
    """Return the root of a distance D as text; one that noise made negative is 0."""
    return f"{math.sqrt(max(0.0, float(squared.value))):.2f}"


def plain(value: Any) -> Any:  # whatever a field of `Equilibrium` holds, as JSON values
    """Return floats to six digits, None where not finite, arrays as lists, an `Estimate` as its value and error."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, Estimate):
        return {"value": plain(value.value), "error": plain(value.error)}
    if isinstance(value, np.ndarray):
        return [plain(entry) for entry in value.tolist()] if value.ndim else plain(value.item())
    return float(f"{float(value):.6g}") if math.isfinite(value) else None
