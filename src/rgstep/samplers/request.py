"""What is asked of the sampler: arguments checked, a kind of chain chosen, and refused if it would take too much."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rgstep import memory
from rgstep.arguments import one_of, real
from rgstep.errors import InputError
from rgstep.ising import CRITICAL_COUPLING, CRITICAL_TEMPERATURE, Ising, even_side, ising
from rgstep.samplers import perfect
from rgstep.samplers.chains import KINDS, Chains, Kind, measured_nanoseconds
from rgstep.samplers.rng import Purpose, seed_sequence

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
        return perfect.expected_seconds(system, samples)
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
    """Raise `InputError` if the configurations would not fit in memory, as bits."""
    size, samples = requests[0].system.size, requests[0].samples
    row = -(-(size**2) // 8) + 24  # energies and magnetisations lie beside
    chains = 2 * max(request.kind.group(size) for request in requests) * size**2 * threads  # a byte or a bit a spin
    fits = (memory.available() - chains) // (row * len(requests))
    several = f" at {len(requests)} temperatures" if len(requests) > 1 else ""
    memory.require(
        samples * row * len(requests) + chains,
        f"{samples} samples of {size}×{size} spins{several}",
        f"at most samples = {fits} fit, or a smaller size" if fits > 0 else "use a smaller size",
    )


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


def spoken(seconds: float) -> str:
    """Return a time as a person says it."""
    for unit, length in (("years", 3.15e7), ("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
