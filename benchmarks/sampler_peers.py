"""Other Ising samplers, each by the fastest way its public interface offers, on one core.

    pip install mcising peapods dwave-samplers
    python benchmarks/sampler_peers.py

Periodic L×L lattice, J = 1, no field. A sweep is N attempts, one decomposition into clusters (Swendsen–Wang), or one
cluster (Wolff). Lattices start all up, except those of peapods, which can only start at random: below T_c stripes
survive in them. τ = ½ + Σ ρ(t) is that of the slower of e and m². Two minutes; compare within one run.
"""

import one_core  # noqa: F401  # first, before anything starts threads

# isort: split
import importlib.metadata
import math
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit

import rgstep.exact.torus as torus
from rgstep.estimates import Estimate, autocorrelation_time, grouped_mean
from rgstep.ising import CRITICAL_TEMPERATURE, energy

WORK, WARM_UP, REPEATS = 2**22, 1000, 4  # spin updates in one timed call; sweeps before any; calls after the first
TEMPERATURES = (1.5, CRITICAL_TEMPERATURE, 3.0, 5.0)
SIZE, SAMPLES, FULL = 32, 1024, 50_000
TEN_TAU = {  # measured at L = 32 and the four temperatures, in sweeps (Wolff: clusters)
    "metropolis": (8, 400, 16, 16),
    "swendsen_wang": (17, 39, 12, 8),
    "wolff": (6, 39, 580, 1300),
}


class Thinned(NamedTuple):
    """Seconds for the configurations asked for, their mean energy per site, and they as int8 where they are public."""

    seconds: float
    energy: Estimate
    configurations: np.ndarray | None


@dataclass(frozen=True)
class Peer:
    """A sampler: (size, temperature) → rate; (size, temperature, samples, sweeps_between, burn_in) → configurations."""

    package: str
    updates_per_ns: Callable[[int, float], float]
    thinned: Callable[[int, float, int, int, int], Thinned] | None = None
    effective_per_second: Callable[[int, float], Estimate] | None = None

    @property
    def version(self) -> str | None:
        """The version installed, or None."""
        return next((found.version for found in importlib.metadata.distributions(name=self.package)), None)


def best_rate(run: Callable[[], object], work: int) -> float:
    """Return units of work per nanosecond, best of several calls, of which the first is a warm-up."""
    return work / min(timeit.repeat(run, number=1, repeat=1 + REPEATS)) / 1e9


def chain(advance: Callable[[int], np.ndarray], size: int, samples: int, sweeps_between: int, burn_in: int) -> Thinned:
    """Time one chain, of which `advance` returns the configuration after so many sweeps."""
    v = np.empty((samples, size, size), np.int8)
    start = time.perf_counter()
    advance(burn_in)
    for i in range(samples):
        v[i] = advance(sweeps_between)
    return Thinned(time.perf_counter() - start, grouped_mean(energy(v)), v)


def mcising_started(algorithm: str, size: int, temperature: float, sweeps: int) -> Any:
    """Return mcising's compiled core `IsingSimulation`, which is public and has the least overhead, after a burn-in."""
    import mcising

    simulation = mcising.IsingSimulation(size, 1.0, 0.0, 0.0, 0.0, 1, algorithm)
    simulation.set_spins(np.ones((size, size), np.int8))
    simulation.sweep(sweeps, temperature=temperature)
    return simulation


def mcising_rate(algorithm: str, size: int, temperature: float) -> float:
    """Return what `sweep` counts per ns: attempts, sites, or the spins that Wolff flips."""
    simulation = mcising_started(algorithm, size, temperature, WARM_UP)
    sweeps = math.ceil(WARM_UP * WORK / simulation.sweep(WARM_UP, temperature=temperature)[1])
    _, updates, _ = simulation.sweep(sweeps, temperature=temperature)
    return best_rate(lambda: simulation.sweep(sweeps, temperature=temperature), updates)


def mcising_thinned(algorithm: str, size: int, temperature: float, *plan: int) -> Thinned:
    """Time `sweep` and `get_spins`: 2 µs a configuration; `run` and `production_sweeps` also measure, 5 µs (L = 32)."""
    simulation = mcising_started(algorithm, size, temperature, 0)

    def advance(sweeps: int) -> np.ndarray:
        simulation.sweep(sweeps, temperature=temperature)
        return simulation.get_spins()

    return chain(advance, size, *plan)


def mcising_effective(algorithm: str, size: int, temperature: float) -> Estimate:
    """Return sweeps per second over 2τ, with τ in sweeps; measuring and storing are left out."""
    length = 2**15 if algorithm == "swendsen_wang" else 2**18
    simulation = mcising_started(algorithm, size, temperature, 5 * WARM_UP)
    series = simulation.production_sweeps(length, 1, temperature=temperature, store_configs=False)
    times = [autocorrelation_time(x) for x in (series["energies"], series["magnetizations"] ** 2)]
    tau, error = max((float(x.value), float(x.error)) for x in times)
    rate = best_rate(lambda: simulation.sweep(length // 16, temperature=temperature), length // 16) * 1e9
    return Estimate(rate / (2 * tau), rate / (2 * tau) * error / tau, tau=tau)


def peapods_run(model: Any, sweeps: int, cluster: str | None = None) -> None:
    """Sweep all chains; measuring slows it by 15 %, so that all but the last sweep are called warm-up."""
    every, ratio = 1 if cluster else None, 1 - 1 / sweeps
    model.sample(sweeps, cluster_update_interval=every, cluster_mode=cluster, warmup_ratio=ratio, sequential=True)


def peapods_rate(cluster: str | None, size: int, temperature: float) -> float:
    """Return attempts per ns; a sweep with its cluster step (no step comes without a sweep) counts as N."""
    import peapods

    model, sweeps = peapods.Ising((size, size), temperatures=np.array([temperature])), math.ceil(WORK / size**2)
    peapods_run(model, WARM_UP, cluster)
    return best_rate(lambda: peapods_run(model, sweeps, cluster), sweeps * size**2)


def peapods_thinned(size: int, temperature: float, samples: int, sweeps_between: int, burn_in: int) -> Thinned:
    """Time the sweeps alone, of 16 chains: configurations are not public; the energy is of the chains' last sweeps."""
    import peapods

    model = peapods.Ising((size, size), temperatures=np.full(16, temperature))  # one chain for each entry
    start = time.perf_counter()
    peapods_run(model, burn_in + math.ceil(samples / 16) * sweeps_between)
    return Thinned(time.perf_counter() - start, grouped_mean(-model.energies_avg.astype(np.float64)), None)


def dwave_sampler(size: int, temperature: float) -> Callable[[np.ndarray, int], tuple[np.ndarray, int]]:
    """Return a function from states `(chain, site)` and sweeps at one β to new states and the ns spent on sampling."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    site = np.arange(size**2).reshape(size, size)
    ends = np.concatenate([np.roll(site, -1, axis).ravel() for axis in (0, 1)])
    bonds = (np.tile(site.ravel(), 2), ends, np.full(2 * size**2, -1.0))  # it minimises Σ J s s
    model = dimod.BinaryQuadraticModel.from_numpy_vectors(np.zeros(size**2), bonds, 0.0, dimod.SPIN)
    how = {"beta_schedule_type": "custom", "beta_schedule": [1 / temperature]}
    sampler, rng = SimulatedAnnealingSampler(), np.random.default_rng(1)

    def run(states: np.ndarray, sweeps: int) -> tuple[np.ndarray, int]:
        how.update(initial_states=(states, site.ravel()), seed=int(rng.integers(2**31)))
        result = sampler.sample(model, num_sweeps_per_beta=sweeps, **how)
        return result.record.sample, result.info["timing"]["sampling_ns"]

    return run


def dwave_rate(size: int, temperature: float) -> float:
    """Return num_reads × num_sweeps × N attempts over the sampling time that the package reports."""
    run, sweeps = dwave_sampler(size, temperature), math.ceil(WORK / size**2)
    states, _ = run(np.ones((1, size**2), np.int8), WARM_UP)
    return max(sweeps * size**2 / run(states, sweeps)[1] for _ in range(1 + REPEATS))


def dwave_thinned(size: int, temperature: float, samples: int, sweeps_between: int, burn_in: int) -> Thinned:
    """Time chains (reads) that go on from their last states; a call costs as much as 180 sweeps, hence their number."""
    run = dwave_sampler(size, temperature)
    calls = min(samples, max(1, round(math.sqrt(samples * burn_in / 180))))
    v = np.empty((math.ceil(samples / calls), calls, size**2), np.int8)
    start = time.perf_counter()
    states, _ = run(np.ones_like(v[:, 0]), burn_in)
    for i in range(calls):
        v[:, i] = states = run(states, sweeps_between)[0]
    seconds, v = time.perf_counter() - start, v.reshape(-1, size, size)[:samples]
    return Thinned(seconds, grouped_mean(energy(v)), v)


@njit
def tutorial(spins, temperature, sweeps):
    """Sweep one lattice in order as tutorials do: branches, and NumPy's random numbers."""
    size, p4, p8 = len(spins), math.exp(-4 / temperature), math.exp(-8 / temperature)
    for _ in range(sweeps):
        for i in range(size):
            up, down = i - 1 if i > 0 else size - 1, i + 1 if i < size - 1 else 0
            for j in range(size):
                left, right = j - 1 if j > 0 else size - 1, j + 1 if j < size - 1 else 0
                half = spins[i, j] * (spins[up, j] + spins[down, j] + spins[i, left] + spins[i, right])  # ΔE/2
                if half <= 0 or np.random.random() < (p4 if half == 2 else p8):  # noqa: NPY002
                    spins[i, j] = -spins[i, j]
    return spins


def tutorial_rate(size: int, temperature: float) -> float:
    """Return attempts per ns."""
    spins, sweeps = tutorial(np.ones((size, size), np.int8), temperature, WARM_UP), math.ceil(WORK / size**2)
    return best_rate(lambda: tutorial(spins, temperature, sweeps), sweeps * size**2)


def tutorial_thinned(size: int, temperature: float, *plan: int) -> Thinned:
    """Time one chain; compiling is left out."""
    spins = tutorial(np.ones((size, size), np.int8), temperature, 0)
    return chain(lambda sweeps: tutorial(spins, temperature, sweeps), size, *plan)


MCISING = (mcising_rate, mcising_thinned, mcising_effective)
PEERS = {f"mcising {name}": Peer("mcising", *(partial(f, name) for f in MCISING)) for name in TEN_TAU} | {
    "peapods metropolis": Peer("peapods", partial(peapods_rate, None), peapods_thinned),
    "peapods metropolis + sw": Peer("peapods", partial(peapods_rate, "sw")),
    "dwave-samplers metropolis": Peer("dwave-samplers", dwave_rate, dwave_thinned),
    "plain numba metropolis": Peer("numba", tutorial_rate, tutorial_thinned),
}


def print_table(title: str, measure: str, cell: Callable[[str, float], str]) -> None:
    """Print a row for every installed peer that has the measure, at the temperatures."""
    print(f"\n{title}, L = {SIZE}\n{'':28s}" + "".join(f"{f'T = {t:.4g}':>20s}" for t in TEMPERATURES))
    for name, peer in PEERS.items():
        if peer.version and getattr(peer, measure):
            print(f"{name:28s}" + "".join(f"{cell(name, t):>20s}" for t in TEMPERATURES))


def job(name: str, temperature: float) -> str:
    """Return the seconds for the full number of configurations, and how far the energy is from Kaufman's."""
    sweeps = TEN_TAU[name.split()[-1]][TEMPERATURES.index(temperature)]
    seconds, e, _ = PEERS[name].thinned(SIZE, temperature, SAMPLES, sweeps, 2 * sweeps)
    z = (e.value - torus.energy(SIZE, 1 / temperature)) / e.error
    assert temperature != 3.0 or abs(z) < 5, f"{name}: energy {e} is {z:.1f} σ off"
    return f"{seconds * FULL / SAMPLES:.1f} (z = {z:+.1f})"


def main() -> None:
    """Print versions, raw rates, effective rates, and the time of the job."""
    for package, version in sorted({peer.package: peer.version for peer in PEERS.values()}.items()):
        print(f"{package} {version}" if version else f"{package} is skipped: pip install {package}")
    print_table("spin updates per ns", "updates_per_ns", lambda name, t: f"{PEERS[name].updates_per_ns(SIZE, t):.4f}")
    print_table(
        "effective configurations per second (τ in sweeps)",
        "effective_per_second",
        lambda name, t: f"{(e := PEERS[name].effective_per_second(SIZE, t)).value:,.0f} (τ = {e.tau:.3g})",
    )
    print_table(f"seconds for {FULL:,} configurations 10 τ apart (from {SAMPLES:,}); z of their energy", "thinned", job)


if __name__ == "__main__":
    main()
