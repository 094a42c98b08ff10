"""How a set of configurations is made: which method, how long, and whether it came out right.

Every set runs a fixed number of Swendsen–Wang chains from the ordered state. A pilot measures the autocorrelation
times of e and m², the slower one τ sets burn-in (≥ 20 τ) and spacing (10 τ, so that the correlation left between
neighbours is of order e^−10), and each configuration takes a fair global flip (the exact Z₂ symmetry of H). T = 0 is
a fair coin between the two ground states, T = ∞ independent fair spins. The finished set's energy and specific heat
are compared with Kaufman's exact values at its L, and the record stays with it.

The random stream of a set comes from (seed, L, T) alone and each chain has its own, so neither the number of threads
nor the other temperatures of a call change a bit of it; n samples are the first n of any longer set.
"""

import math
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, overload

import numpy as np

from rgstep import memory
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError, require_positive, require_seed
from rgstep.estimates import Estimate, autocorrelation_time
from rgstep.ising import CRITICAL_TEMPERATURE, Ising, ising
from rgstep.samplers import cluster
from rgstep.types import Progress, Spins

BURN_IN = 20.0  # in units of τ
SPACING = 10.0  # in units of τ
CHUNK = 2**20  # sites swept per chain between two reports of progress


@overload
def sample(
    size: int,
    temperature: float = CRITICAL_TEMPERATURE,
    samples: int = 20_000,
    seed: int = 0,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Ensemble: ...


@overload
def sample(
    size: int,
    temperature: Iterable[float],
    samples: int = 20_000,
    seed: int = 0,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Ensemble, ...]: ...


def sample(
    size: int,
    temperature: float | Iterable[float] = CRITICAL_TEMPERATURE,
    samples: int = 20_000,
    seed: int = 0,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Ensemble | tuple[Ensemble, ...]:
    """Return independent configurations of the periodic L-by-L Ising model.

    Args:
        size: the even lattice side L ≥ 4.
        temperature: T in units of J/k_B, in [0, ∞]; several give one `Ensemble` each.
        samples: how many configurations.
        seed: a whole number ≥ 0; the same seed gives the same configurations for any number of threads.
        threads: how many threads work; all cores by default.
        progress: called as the work goes on.

    Raises:
        InputError: if an argument is out of range or the set would not fit in memory.
    """
    several = isinstance(temperature, Iterable) and not isinstance(temperature, str)
    temperatures: tuple[Any, ...] = tuple(temperature) if several else (temperature,)  # type: ignore[arg-type]
    if not temperatures:
        message = "no temperatures: at least one is needed"
        raise InputError(message)
    systems = [ising(size, t) for t in temperatures]
    samples = require_positive("samples", samples)
    require_seed(seed)
    site_bytes = size * size * len(systems)
    memory.require(
        samples * site_bytes,
        f"{samples} samples of {size}×{size} spins" + (f" at {len(systems)} temperatures" if several else ""),
        f"at most samples = {memory.available() // site_bytes} fit, or a smaller size",
    )
    workers = require_positive("threads", threads if threads is not None else os.cpu_count() or 1)
    ensembles = tuple(one_temperature(system, samples, seed, workers, progress) for system in systems)
    return ensembles if several else ensembles[0]


def stream(system: Ising, seed: int) -> np.random.SeedSequence:
    """Return the random stream of a set: a function of (seed, L, T) alone."""
    bits = int(np.float64(system.coupling).view(np.uint64))
    return np.random.SeedSequence([int(seed), system.size, bits & 0xFFFFFFFF, bits >> 32])


def one_temperature(system: Ising, samples: int, seed: int, threads: int, progress: Progress | None) -> Ensemble:
    """Sample one temperature by the method that fits it, and check the result."""
    source = stream(system, seed)
    if system.coupling in (0.0, math.inf):
        spins, made = closed_form(system, samples, source), dict[str, object](method="closed form")
    else:
        spins, made = swendsen_wang(system, samples, source, threads, progress)
    ensemble = Ensemble(spins, system, {"source": "rgstep.sample", "seed": int(seed), **made}, independent=True)
    for fault in ensemble.faults():
        warnings.warn(f"{fault} (seed={seed}): do not trust this set", stacklevel=3)
    return ensemble


def closed_form(system: Ising, samples: int, source: np.random.SeedSequence) -> Spins:
    """Return T = 0 (a fair coin between the ground states) or T = ∞ (independent fair spins)."""
    rng = np.random.Generator(np.random.Philox(source))
    L = system.size
    if system.coupling == 0:
        return 2 * rng.integers(0, 2, (samples, L, L), dtype=np.int8) - 1
    coins = 2 * rng.integers(0, 2, (samples, 1, 1), dtype=np.int8) - 1
    return np.ascontiguousarray(np.broadcast_to(coins, (samples, L, L)))


def number_of_chains(size: int) -> int:
    """Return how many chains a set runs: a function of L only, so that threads cannot matter."""
    return int(np.clip(2**18 // size**2, 8, 64))


def swendsen_wang(
    system: Ising, samples: int, source: np.random.SeedSequence, threads: int, progress: Progress | None
) -> tuple[Spins, dict[str, object]]:
    """Run the pilot and then the chains; returns the configurations and how they were made."""
    L, chains = system.size, number_of_chains(system.size)
    lattices = np.ones((chains, L, L), dtype=np.int8)
    counters = source.generate_state(chains, np.uint64).reshape(chains, 1)
    threshold = cluster.bond_threshold(system.coupling)
    stage = f"sampling L={L} T={system.temperature:.5g}"
    with ThreadPoolExecutor(threads) as pool:
        if progress:
            progress(stage, 0, samples, "compiling, then a pilot run")
        burn_in, tau_e, tau_m2 = pilot(lattices, counters, threshold, pool)
        tau = max(float(tau_e.value), float(tau_m2.value))
        spacing = math.ceil(SPACING * tau)
        rounds = -(-samples // chains)
        out = np.empty((rounds, chains, L, L), dtype=np.int8)
        chunk = max(1, CHUNK // (spacing * L * L))
        for start in range(0, rounds, chunk):
            part = out[start : start + chunk]
            filled = np.empty((chains, len(part), L, L), dtype=np.int8)  # contiguous per chain: one compiled kernel
            jobs = [
                pool.submit(cluster.emit, lattices[c], threshold, counters[c], spacing, filled[c])
                for c in range(chains)
            ]
            for job in jobs:
                job.result()
            part[:] = filled.swapaxes(0, 1)
            if progress:
                progress(stage, min(samples, (start + len(part)) * chains), samples, f"τ = {tau:.2f} sweeps")
    made: dict[str, object] = {
        "method": "Swendsen-Wang",
        "chains": chains,
        "tau_e": [float(tau_e.value), float(tau_e.error)],
        "tau_m2": [float(tau_m2.value), float(tau_m2.error)],
        "burn_in_sweeps": burn_in,
        "spacing_sweeps": spacing,
    }
    return out.reshape(-1, L, L)[:samples], made


def pilot(
    lattices: Spins, counters: np.ndarray, threshold: np.uint64, pool: ThreadPoolExecutor
) -> tuple[int, Estimate, Estimate]:
    """Sweep all chains until half of the run is ≥ 20 τ; returns its length and τ of e and m² from the second half.

    The whole run is burn-in for what follows, so that it is at least 40 τ of the τ it measured.
    """
    chains = len(lattices)
    readings = np.empty((2, chains, 0))
    length = 64
    while True:
        new = np.empty((2, chains, length - readings.shape[2]))
        jobs = [
            pool.submit(cluster.record, lattices[c], threshold, counters[c], new[0, c], new[1, c])
            for c in range(chains)
        ]
        for job in jobs:
            job.result()
        readings = np.concatenate([readings, new], axis=2)
        tau_e, tau_m2 = (autocorrelation_time(series[:, length // 2 :]) for series in readings)
        if length / 2 >= BURN_IN * max(float(tau_e.value), float(tau_m2.value)):
            return length, tau_e, tau_m2
        length *= 2
