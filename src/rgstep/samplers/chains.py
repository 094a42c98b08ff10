"""The kinds of Markov chain that a set can be made of, and the choice among them for what is asked.

Every kind does the same three things: start a group of chains from a source of random numbers, advance them by sweeps,
read their configurations. How many chains go together is a function of L alone, so that no bit depends on how many
samples or threads a call asks for.

The autocorrelation times below are models, fitted to measured ones (docs/design-notes.md). They choose a kind and say
beforehand how long a set will take; what would take too long is refused. The burn-in and spacing of a set come from
the τ measured in its pilot run.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol, runtime_checkable

import numpy as np

from rgstep import memory, scratch
from rgstep.arguments import InputError, one_of, real
from rgstep.ising import CRITICAL_COUPLING, CRITICAL_TEMPERATURE, Ising, even_side, ising
from rgstep.packed import PackedSpins
from rgstep.progress import spoken
from rgstep.samplers import perfect
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


# --- the choice for a request

MODES = ("iid", "thin", "exact")
LARGEST_SIZE = 1024
BURN_IN_TAUS = 20.0  # e^−20 of where a chain started is left
SPACING_TAUS = 10.0  # of a thinned set
EXTRA_SWEEPS = 10  # of every burn-in
PILOT_READS = 128  # how often a pilot measures e and m² of each chain
THIN_GROUPS = 2  # groups of chains of a thinned set: as many threads share it; more would burn in longer
FIRST_SIZE_BY_SAMPLES = 256  # from this L on the kernel depends on how many samples are asked for
ASSUMED_SAMPLES = 10_000  # for which the kernel is chosen on smaller lattices
METROPOLIS_LIMIT = 8.0  # the temperature above which Metropolis flips whole sublattices back and forth


@dataclass(frozen=True)
class Request:
    """One temperature of a call to `sample`."""

    system: Ising
    samples: int
    seed: int
    mode: str
    kernel: str  # a name of `KINDS`

    @property
    def kind(self) -> Kind:
        """The kind of chain."""
        return KINDS[self.kernel]

    @property
    def closed(self) -> bool:
        """Whether the set has a closed form, at T = 0 or ∞."""
        return self.system.coupling in (0.0, math.inf)

    def source(self, purpose: Purpose, group: int) -> np.random.SeedSequence:
        """Return where a group of chains has its random numbers from: no kernel or mode shares any."""
        return seed_sequence(self.system, self.seed, purpose, group, f"{self.kernel} {self.mode}")

    def start(self, purpose: Purpose, group: int, chains: int | None = None) -> Chains:
        """Start a group of chains in the ordered state; as many as usual for this L, or `chains`."""
        count = chains or self.kind.group(self.system.size)
        return self.kind.start(self.system, self.source(purpose, group), False, count)


def sampled_side(name: str, value: object) -> int:
    """Check a lattice side that is sampled."""
    size = even_side(name, value)
    if size > LARGEST_SIZE:
        message = f"{name} = {size}: the largest side that is sampled is {LARGEST_SIZE}"
        raise InputError(message)
    return size


MODE = one_of(MODES)
KERNEL = one_of((*KINDS, "auto", "fastest"))
TIME_LIMIT = real("must be a number of seconds above 0", lambda seconds: seconds > 0)


def check(size: int, temperature: float, samples: int, seed: int, mode: str, kernel: str) -> Request:
    """Return the request for one temperature, its kernel chosen; raises `InputError` where the mode cannot serve."""
    request = Request(ising(size, temperature), samples, seed, mode, kernel)
    if mode == "exact":
        return check_exact(request)
    if kernel in KINDS:
        return request
    return choose(request, partial(measured_nanoseconds, size=size) if kernel == "fastest" else None)


def check_exact(request: Request) -> Request:
    """Return the request with its kernel; raise `InputError` where perfect samples are not to be had."""
    if request.kernel not in ("auto", "fastest", "heat-bath"):
        message = (
            f"kernel = {request.kernel!r}: mode 'exact' runs the heat bath; leave the kernel out, or use mode 'iid'"
        )
        raise InputError(message)
    coupling = request.system.coupling
    if coupling > CRITICAL_COUPLING * (1 + 1e-9) and coupling != math.inf:
        message = (
            f"mode = 'exact' at T = {request.system.temperature:.6g}: below T_c = {CRITICAL_TEMPERATURE:.6f} "
            "the all-up and all-down states take e^(2σL/T) sweeps to meet; "
            "use mode = 'iid', whose certificate says how good it is"
        )
        raise InputError(message)
    return replace(request, kernel="heat-bath")


def choose(request: Request, cost: Callable[[str], float] | None = None) -> Request:
    """Return the request with the kernel that a model of its cost finds cheapest.

    Candidates are multi-spin Metropolis (the heat bath above T = 8, where it forgets faster), Swendsen–Wang, and
    Metropolis on single lattices. Below L = 256 the number of samples plays no part, so that few are the first of many.

    Args:
        request: what is asked for.
        cost: nanoseconds for a sweep of a site by name; the table's by default, which is the same on every machine.
    """
    if request.closed:
        return replace(request, kernel="metropolis")
    local = "metropolis" if request.system.temperature <= METROPOLIS_LIMIT else "heat-bath"
    by_samples = request.system.size >= FIRST_SIZE_BY_SAMPLES
    usual = request if by_samples else replace(request, samples=ASSUMED_SAMPLES)
    candidates = {name: replace(usual, kernel=name) for name in (local, "swendsen-wang", "single")}
    return replace(request, kernel=min(candidates, key=lambda name: expected_seconds(candidates[name], cost)))


def expected_seconds(request: Request, cost: Callable[[str], float] | None = None) -> float:
    """Return the model's estimate of the seconds that one core takes; `cost` as in `choose`."""
    if request.closed:
        return 0.0
    system, samples = request.system, request.samples
    if request.mode == "exact":
        return perfect.expected_seconds(system, samples, request.kind.tau(system))
    kind, sites, tau = request.kind, system.size**2, request.kind.tau(system)
    group = kind.group(system.size)
    groups = -(-samples // group)
    if request.mode == "thin" and groups > THIN_GROUPS:
        sweeps = THIN_GROUPS * (EXTRA_SWEEPS + BURN_IN_TAUS * tau) + groups * math.ceil(SPACING_TAUS * tau)
    else:
        sweeps = groups * (EXTRA_SWEEPS + BURN_IN_TAUS * tau)
    pilot = math.prod(kind.pilot(system.size)) * max(PILOT_READS, 2 * BURN_IN_TAUS * tau)
    nanoseconds = cost(request.kernel) if cost else kind.nanoseconds
    return (group * sweeps + pilot) * sites * nanoseconds * 1e-9


def check_room(requests: list[Request], threads: int) -> None:
    """Raise `InputError` if the configurations would not fit, as bits, in memory or, where they are many, on disk."""
    size, samples = requests[0].system.size, requests[0].samples
    row = (-(-(size**2) // 8), 8, 8, 8, 8)  # energies, magnetisations and what is compared of them lie beside
    chains = 2 * max(request.kind.group(size) for request in requests) * size**2 * threads  # a byte or a bit a spin
    in_memory, on_disk = (len(requests) * part for part in scratch.parted(samples * each for each in row))
    several = f" at {len(requests)} temperatures" if len(requests) > 1 else ""
    what = f"{samples} samples of {size}×{size} spins{several}"
    memory.require(in_memory + chains, what, "take fewer samples or a smaller size")
    scratch.require(on_disk, what, f"at most samples = {scratch.available() // (sum(row) * len(requests))} fit")


def check_time(requests: list[Request], threads: int, time_limit: float) -> None:
    """Raise `InputError` if the work would take longer than the limit; kernels are timed only where it is close."""
    seconds = sum(expected_seconds(request) for request in requests) / threads
    if time_limit / 10 < seconds < 10 * time_limit:
        speeds = {name: measured_nanoseconds(name, requests[0].system.size) for name in {r.kernel for r in requests}}
        scale = {name: value / KINDS[name].nanoseconds for name, value in speeds.items()}
        seconds = sum(expected_seconds(request) * scale[request.kernel] for request in requests) / threads
    if seconds > time_limit:
        raise InputError(too_long(requests, seconds, time_limit))


def too_long(requests: list[Request], seconds: float, time_limit: float) -> str:
    """Say that the work would take too long, and what would not."""
    slowest = max(requests, key=expected_seconds)
    size, fewer = slowest.system.size, int(slowest.samples * time_limit / seconds)
    several = len(requests) > 1
    thinned = expected_seconds(replace(slowest, mode="thin"))
    return (
        f"{slowest.samples} samples of {size}×{size} spins at "
        + (f"{len(requests)} temperatures" if several else f"T = {slowest.system.temperature:.6g}")
        + f" would take about {spoken(seconds)} with mode = {slowest.mode!r} ({slowest.kind.title}), "
        f"more than time_limit = {time_limit:g} s; "
        + (f"about samples = {fewer} would fit, " if fewer > 0 else "use a smaller size, ")
        + ("mode = 'thin' takes less, " if thinned < 0.9 * expected_seconds(slowest) else "")
        + "or raise time_limit"
    )
