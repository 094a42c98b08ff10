"""The kinds of Markov chain that a set can be made of: by name, with their cost and a model of their τ.

Every kind does the same three things: start a group of chains from a source of random numbers, advance them by sweeps,
read their configurations. How many chains go together is a function of L alone, so that no bit depends on how many
samples or threads a call asks for.

The autocorrelation times below are models, fitted to measured ones (docs/design-notes.md). They choose a kind and say
beforehand how long a set will take; the burn-in and spacing of a set come from the τ measured in its pilot run.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol, runtime_checkable

import numpy as np

from rgstep.ising import CRITICAL_COUPLING, CRITICAL_TEMPERATURE, Ising, ising
from rgstep.packed import PackedSpins
from rgstep.samplers.cluster import SwendsenWang, Wolff, clusters_per_sweep
from rgstep.samplers.multispin import WORD, HeatBath, Metropolis, PhiloxMetropolis
from rgstep.samplers.rng import Purpose, seed_sequence
from rgstep.samplers.single import SingleLattices

CORRELATION_LENGTHS = 4.0  # over which spins must be decorrelated, in the models of τ


@runtime_checkable
class Chains(Protocol):
    """A group of chains, started from the ordered state or hot (independent fair spins)."""

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        ...

    def read(self) -> PackedSpins:
        """Return the configuration of every chain, each with a fair global flip."""
        ...


Start = Callable[[Ising, np.random.SeedSequence, bool, int], Chains]


@dataclass(frozen=True)
class Kind:
    """A kind of chain.

    Attributes:
        title: what it is called in a certificate.
        start: (system, source, hot, number of chains) → `Chains`.
        group: L → how many chains go together.
        pilot: L → how many groups of how many chains a pilot has, and the chains started hot have.
        nanoseconds: of one core for a sweep of one site: AVX2, AMD Zen 1 at 2 GHz. Ratios matter more than values.
        tau: the model of τ, the slower one of e and m², in sweeps.
        random_numbers: the generator.
    """

    title: str
    start: Start
    group: Callable[[int], int]
    pilot: Callable[[int], tuple[int, int]]
    nanoseconds: float
    tau: Callable[[Ising], float]
    random_numbers: str = "xoshiro256+"


def correlated_length(system: Ising) -> float:
    """Return ℓ, the length over which spins must be decorrelated: L, or four correlation lengths ξ where that is less.

    1/ξ = ln coth K − 2K above T_c, twice its negative below (Onsager 1944; McCoy and Wu 1973).
    """
    if system.coupling in (0.0, math.inf):
        return 1.0
    inverse = -math.log(math.tanh(system.coupling)) - 2.0 * system.coupling
    inverse = inverse if system.coupling < CRITICAL_COUPLING else -2.0 * inverse
    return max(1.0, min(float(system.size), CORRELATION_LENGTHS / max(inverse, 1e-9)))


def tau_model(at_32: float, exponent: float, hot: float = 0.0) -> Callable[[Ising], float]:
    """Return the model τ = ½ + τ_32 (ℓ/32)^z + hot · T; the last for Metropolis, which nearly always flips when hot."""

    def tau(system: Ising) -> float:
        slow = hot * system.temperature if system.coupling > 0 else 0.0
        return float(0.5 + at_32 * (correlated_length(system) / 32.0) ** exponent + slow)

    return tau


def start_wolff(system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> Chains:
    """Start chains of Wolff's clusters; how many make a sweep is counted in a short run."""
    return Wolff(system, source, hot, chains, usual_clusters(system))


@cache
def usual_clusters(system: Ising) -> int:
    """Return how many clusters make a sweep: the same for every group, seed and process."""
    return clusters_per_sweep(system, seed_sequence(system, 0, Purpose.PILOT, 2**31))


def in_bits(size: int) -> int:
    """Return 1024 chains up to L = 32, fewer on larger lattices, 64 from L = 512 on: rows stay in the first cache."""
    return WORD * int(np.clip(512 // size, 1, 16))


def pilot_in_bits(size: int) -> tuple[int, int]:
    """Return two groups of 512 chains up to L = 8, two of 64 at L = 64, one from L = 128 on."""
    return 1 if size >= 128 else 2, WORD * int(np.clip(64 // size, 1, 8))


def in_bytes(size: int) -> int:
    """Return 64 chains up to L = 32, 4 at L = 128, 1 from L = 256 on."""
    return int(np.clip(2**16 // size**2, 1, 64))


def pilot_in_bytes(size: int) -> tuple[int, int]:
    """Return two groups of 32 chains up to L = 64, 8 at L = 128, 4 from L = 256 on."""
    return 2, int(np.clip(2**17 // size**2, 4, 32))


KINDS: Mapping[str, Kind] = {
    "metropolis": Kind("multi-spin Metropolis", Metropolis, in_bits, pilot_in_bits, 0.2, tau_model(38.0, 2.15, 0.1)),
    "heat-bath": Kind("multi-spin heat bath", HeatBath, in_bits, pilot_in_bits, 0.27, tau_model(116.0, 2.15)),
    "single": Kind(
        "single-lattice Metropolis", SingleLattices, in_bytes, pilot_in_bytes, 1.5, tau_model(38.0, 2.15, 0.1)
    ),
    "swendsen-wang": Kind("Swendsen-Wang", SwendsenWang, in_bytes, pilot_in_bytes, 9.0, tau_model(3.4, 0.3)),
    "wolff": Kind("Wolff", start_wolff, in_bytes, pilot_in_bytes, 36.0, tau_model(1.4, 0.35)),
    "metropolis-philox": Kind(
        "multi-spin Metropolis, cross-check",
        PhiloxMetropolis,
        in_bits,
        pilot_in_bits,
        3.0,
        tau_model(38.0, 2.15, 0.1),
        "Philox4x32-10",
    ),
}


def measured_nanoseconds(name: str, size: int) -> float:
    """Return what a sweep of a site costs on this machine, one core: the best of three short runs at T_c.

    Cost: some 50 ms, and the compilation of the kernel where it is not cached.
    """
    kind, system = KINDS[name], ising(size, CRITICAL_TEMPERATURE)
    chains = kind.start(system, seed_sequence(system, 0, Purpose.PILOT, 1), False, kind.group(size))
    chains.advance(1)  # compiles
    sites = kind.group(size) * size**2
    sweeps = max(1, int(10e6 / (sites * kind.nanoseconds)))
    return min(timed(partial(chains.advance, sweeps)) for _ in range(3)) * 1e9 / (sweeps * sites)


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
