"""Gibbs chains of an RBM from four starts: independent fair spins, all up, all down, and configurations of the data.

All run the same sweeps v → h → v, and are read on a logarithmic grid of times, and at regular times in the second half
of a run for as long as 50 autocorrelation times. Read from a configuration of N visible units are

    u = −(1/N) Σ_<ij> s_i s_j,  m = (1/N) Σ_i s_i,  |m|,  χ = N m²,  G(r) = (1/2N) Σ_x s_x (s_{x+(r,0)} + s_{x+(0,r)})

at r = 1, 2, 4, … and L/2, for the periodic square lattice with nearest-neighbour bonds, J = 1; so G(1) = −u/2. Where
N is no square of side ≥ 3, the free energy F(v) of `rgstep.nets.rbm` stands in place of u, and there is no G(r).
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, autocorrelation_time
from rgstep.lattice import as_spins, as_vectors
from rgstep.nets.gibbs import gibbs
from rgstep.nets.monitor import distances
from rgstep.nets.rbm import RBM, Weights
from rgstep.types import Progress, Rng, Samples

STARTS = ("random", "up", "down", "data")
LONG_ENOUGH = 50  # autocorrelation times in a run
READINGS = 256  # regular readings in the second half of it
FEWEST = 16  # chains, sweeps and configurations below which no comparison means anything
MOST_DATA = 20_000  # configurations read
BLOCK_SITES = 2**22  # sites of them read at once


def configurations(data: Ensemble | ArrayLike, visible: int, rng: Rng) -> Samples:
    """Return at most 20,000 of the configurations, in their order, ±1 `(sample, visible)`."""
    array = data.packed.bits if isinstance(data, Ensemble) else as_vectors(as_spins(data, "data"))
    n, sites = len(array), data.system.size**2 if isinstance(data, Ensemble) else array.shape[1]
    if sites != visible or n < FEWEST:
        message = (
            f"data of {n} configurations of {sites} sites given for {visible} visible units: "
            f"at least {FEWEST} of {visible} sites are needed"
        )
        raise InputError(message)
    rows = np.sort(rng.choice(n, min(n, MOST_DATA), replace=False))
    return as_vectors(data.packed.take(rows).unpack()) if isinstance(data, Ensemble) else array[rows]


def first_states(rows: Samples, chains: int, rng: Rng) -> jax.Array:
    """Return the starts of all chains, group after group in the order of `STARTS`."""
    shape = (chains, rows.shape[1])
    fair = 2 * rng.integers(0, 2, shape) - 1
    held_out = rows[rng.choice(len(rows), chains, replace=len(rows) < chains)]
    return jnp.asarray(np.concatenate([fair, np.ones(shape), -np.ones(shape), held_out]), jnp.float32)


def side_of(visible: int) -> int | None:
    """Return L if the units make a square lattice of side L ≥ 3; at L = 2 each bond would count twice."""
    side = math.isqrt(visible)
    return side if side >= 3 and side**2 == visible else None


def names_of(visible: int) -> list[str]:
    """Return the names of the observables, in the order of the readings."""
    side = side_of(visible)
    return ["u" if side else "F", "m", "abs_m", "chi", *(f"G{r}" for r in (distances(side) if side else ()))]


@jax.jit
def read(weights: Weights, v: jax.Array) -> jax.Array:
    """Return the observables of configurations, `(n, visible)` → `(n, observable)`.

    Sums of ±1 are exact in float32. F is only compared between groups, for which its six digits are enough.
    """
    sites, side = v.shape[1], side_of(v.shape[1])
    m = v.sum(axis=1) / sites
    same = [m, jnp.abs(m), sites * m**2]
    if side is None:
        inputs = v @ weights.w + weights.b
        free_energy = -v @ weights.a - jnp.logaddexp(inputs, -inputs).sum(axis=1)
        return jnp.stack([free_energy, *same], axis=1)
    s = v.reshape(-1, side, side)
    pairs = [(s * (jnp.roll(s, r, 1) + jnp.roll(s, r, 2))).mean(axis=(1, 2)) / 2 for r in distances(side)]
    return jnp.stack([-2 * pairs[0], *same, *pairs], axis=1)


@jax.jit
def advance(weights: Weights, v: jax.Array, steps: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the chains some sweeps later and their observables; one compilation serves every number of sweeps."""
    v = gibbs(weights, v, steps, key)
    return v, read(weights, v)


def read_all(rbm: RBM, rows: Samples) -> np.ndarray:
    """Return the observables of configurations, float64 `(sample, observable)`, a block at a time."""
    block = max(1, BLOCK_SITES // rbm.visible)
    parts = [read(rbm.parameters, jnp.asarray(rows[a : a + block], jnp.float32)) for a in range(0, len(rows), block)]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


class Run:
    """The chains on their way; `curves` on the logarithmic grid, `last` the regular readings of the second half."""

    def __init__(self, weights: Weights, states: jax.Array, key: jax.Array, k: int | None) -> None:
        """Stand at the starts; the curves have a point at k."""
        self.weights, self.v, self.key, self.k, self.t = weights, states, key, k, 0
        self.curves: dict[int, np.ndarray] = {}  # time → (start, chain, observable)
        self.last: np.ndarray = np.empty(0)  # (start, chain, reading, observable)
        self.tau: dict[str, Estimate] = {}

    def until_long_enough(self, sweeps: int, progress: Progress | None) -> None:
        """Run until T spans 50 τ or doubling it would exceed `sweeps`."""
        half, note = min(READINGS, sweeps // 2), "compiling"
        for t in grid(0, half, self.k):
            self.read(t)
        while True:
            stride = max(1, half // READINGS)
            regular = range(half + stride, 2 * half + 1, stride)
            readings = {}
            for t in sorted({*regular, *grid(half, 2 * half, self.k)}):
                readings[t] = self.read(t)
                if progress:
                    progress("equilibrium", t, sweeps, note)
            self.last = np.stack([readings[t] for t in regular], axis=2)
            self.measure_tau(stride)
            note = f"τ = {longest(self.tau):.3g}"
            if self.t >= LONG_ENOUGH * longest(self.tau) or 2 * self.t > sweeps:
                if progress:
                    progress("equilibrium", self.t, self.t, note)
                return
            half *= 2

    def measure_tau(self, stride: int) -> None:
        """Measure τ in sweeps on readings `stride` apart; one too short for them keeps its last value.

        All chains share one mean, so that groups that never meet have a long τ. A constant has τ = ½.
        """
        for name, column in ((names_of(self.v.shape[1])[0], 0), ("m", 1), ("m2", 3)):
            pooled = self.last[..., column].reshape(-1, self.last.shape[2])
            tau = autocorrelation_time(pooled)
            if tau.value >= 1 or name not in self.tau:
                self.tau[name] = Estimate(stride * tau.value, stride * tau.error)
            elif tau.error == 0:
                self.tau[name] = tau

    def read(self, t: int) -> np.ndarray:
        """Go on to time t; return the observables there, kept for the curves if t is on their grid."""
        steps, key = jnp.int32(t - self.t), jax.random.fold_in(self.key, t)
        self.v, values = advance(self.weights, self.v, steps, key)
        self.t = t
        result = np.asarray(values, dtype=np.float64).reshape(len(STARTS), -1, values.shape[1])
        if grid(t - 1, t, self.k):
            self.curves[t] = result
        return result


def grid(start: int, stop: int, k: int | None) -> list[int]:
    """Return the times 1, 2, 3, 4, 6, 8, 12, … and k that lie in (start, stop]."""
    times = {factor * 2**i for factor in (1, 3) for i in range(stop.bit_length())} | ({k} if k else set())
    return sorted(t for t in times if start < t <= stop)


def longest(tau: Mapping[str, Estimate]) -> float:
    """Return the longest of the autocorrelation times."""
    return max(float(estimate.value) for estimate in tau.values())
