"""Make a set of configurations: which chains, how long they run, and whether the set came out right.

T = 0 is a fair coin between the ground states, T = ∞ independent fair spins. Between them, one of three modes:

    iid      each configuration is the end of a chain of its own: independent by construction
    thin     two groups of chains, a configuration every 10 τ: what one mode alone leaves of its correlation is e^−10
    exact    coupling from the past (`perfect`): draws from the law itself, for T ≥ T_c

Chains start from the ordered state (from a random one, local updates below T_c end in stripes). A pilot measures the
autocorrelation times of e and m²; the slower one, with twice its error, sets the burn-in of 20 τ, which leaves e^−20 of
where a chain started if τ is right. Each configuration takes a fair global flip, an exact symmetry of the model.

Two checks follow. Chains started hot, from independent fair spins, are compared with the set: if a slow mode hides from
e and m², they differ, so this check needs no τ. And the set is compared with Kaufman's exact energy and specific heat
at its L. Both are in its `Certificate`.

Kind and length of the chains are functions of (L, T, mode), from L = 256 on of the number of samples too; random
numbers have names (`rng`). So the same seed gives the same bits for any number of threads and whatever else is sampled,
and n samples are the first n of any longer set of the same kind.

The work for a temperature is a generator that yields lists of jobs and is sent their results. It never waits: while its
jobs run, those of other temperatures fill the other threads. Only jobs run in threads, in kernels that hold no
interpreter lock; generators, progress and errors stay in the thread of the caller, so that an interrupt stops
everything at the next job.
"""

import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, overload

import numpy as np

from rgstep import scratch
from rgstep.arguments import COUNT, PROGRESS, SEED, InputError, broken, checked, number_in, optional
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, autocorrelation_time, rank_sum_score
from rgstep.ising import CRITICAL_COUPLING, CRITICAL_TEMPERATURE, TEMPERATURE, Ising
from rgstep.packed import PackedSpins
from rgstep.samplers import perfect
from rgstep.samplers.chains import (
    BURN_IN_TAUS,
    EXTRA_SWEEPS,
    KERNEL,
    KINDS,
    MODE,
    PILOT_READS,
    SPACING_TAUS,
    THIN_GROUPS,
    TIME_LIMIT,
    Chains,
    Request,
    check,
    check_room,
    check_time,
    sampled_side,
)
from rgstep.samplers.rng import Purpose, fair_signs, fair_spins, seed_sequence
from rgstep.types import Progress

JOB_SECONDS = 0.3  # aimed at between two reports of progress
COMPARED_SAMPLES = 1024  # of a set, held against the hot chains
FEWEST_EXCITATIONS = 20.0  # flipped spins among the hot chains below which the comparison says nothing
EXTRA_HOT_SWEEPS = 100  # of Swendsen–Wang, for hot chains below T_c
HOUR = 3600.0

T = TypeVar("T")


def read_temperatures(name: str, value: Any) -> float | tuple[float, ...]:
    """Check a temperature, or several."""
    value = number_in(value)
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        return float(TEMPERATURE(name, value))
    try:
        several = tuple(value)
    except Exception:  # a tensor without axes
        raise broken(name, value, "give a temperature or several") from None
    if not several:
        message = "no temperatures: at least one is needed"
        raise InputError(message)
    return tuple(TEMPERATURE(name, one) for one in several)


@overload
def sample(
    size: int,
    temperature: float = CRITICAL_TEMPERATURE,
    samples: int = 20_000,
    seed: int = 0,
    *,
    mode: str = "iid",
    kernel: str = "auto",
    threads: int | None = None,
    time_limit: float = HOUR,
    progress: Progress | None = None,
) -> Ensemble: ...


@overload
def sample(
    size: int,
    temperature: Iterable[float],
    samples: int = 20_000,
    seed: int = 0,
    *,
    mode: str = "iid",
    kernel: str = "auto",
    threads: int | None = None,
    time_limit: float = HOUR,
    progress: Progress | None = None,
) -> tuple[Ensemble, ...]: ...


@checked(
    size=sampled_side,
    temperature=read_temperatures,
    samples=COUNT,
    seed=SEED,
    mode=MODE,
    kernel=KERNEL,
    threads=optional(COUNT),
    time_limit=TIME_LIMIT,
    progress=PROGRESS,
)
def sample(
    size: int,
    temperature: float | Iterable[float] = CRITICAL_TEMPERATURE,
    samples: int = 20_000,
    seed: int = 0,
    *,
    mode: str = "iid",
    kernel: str = "auto",
    threads: int | None = None,
    time_limit: float = HOUR,
    progress: Progress | None = None,
) -> Ensemble | tuple[Ensemble, ...]:
    """Return independent configurations of the periodic L-by-L Ising model, with their certificate.

    Args:
        size: the even lattice side L, 4 to 1024.
        temperature: T in units of J/k_B, in [0, ∞]; several give one `Ensemble` each and share the threads.
        samples: how many configurations.
        seed: a whole number ≥ 0; the same seed gives the same configurations for any number of threads.
        mode: "iid", each configuration from a chain of its own; "thin", every 10 τ of two groups of chains; "exact",
            coupling from the past, for T ≥ T_c.
        kernel: "auto", or "metropolis", "heat-bath", "single", "swendsen-wang", "wolff", "metropolis-philox". "auto"
            takes the cheapest by a table of costs, the same on every machine; "fastest" times the kernels here first,
            so that another machine may choose, and draw, differently.
        threads: how many threads work; all cores by default.
        time_limit: seconds that the work may take by the estimate made before it starts.
        progress: called as the work goes on.

    Raises:
        InputError: if an argument is out of range, the mode cannot serve, or the set would not fit in memory or would
            take longer than `time_limit`.

    Examples:
        >>> ensemble = rg.sample(8, temperature=2.5, samples=1_000, seed=0)
        >>> ensemble.spins.shape, ensemble.spins.dtype
        ((1000, 8, 8), dtype('int8'))
        >>> cold, hot = rg.sample(8, temperature=[1.0, 4.0], samples=100, seed=0)
        >>> bool(cold.energies.mean() < hot.energies.mean())
        True
    """
    temperatures = tuple(temperature) if isinstance(temperature, Iterable) else (temperature,)
    requests = [check(size, t, samples, seed, mode, kernel) for t in temperatures]
    workers = threads if threads is not None else os.cpu_count() or 1
    check_room(requests, workers)
    check_time(requests, workers, time_limit)
    ensembles = tuple(run_all([make_set(request, progress) for request in requests], workers))
    for ensemble in ensembles:
        for fault in ensemble.faults():
            warnings.warn(f"{fault} (seed={seed}): do not trust this set", stacklevel=3)
    return ensembles if isinstance(temperature, Iterable) else ensembles[0]


@dataclass(frozen=True)
class Job:
    """A call for a thread; `when_done` is called in the caller's thread afterwards."""

    run: Callable[[], Any]
    when_done: Callable[[], None] | None = None


Work = Generator[list[Job], list[Any], T]


def make_set(request: Request, progress: Progress | None) -> Work[Ensemble]:
    """Make the set of one temperature."""
    system = request.system
    origin: dict[str, object] = {"source": "rgstep.sample", "seed": request.seed}
    out = scratch.empty((request.samples, -(-(system.size**2) // 8)), np.uint8)
    report = Reporter(request, progress)
    if request.closed:
        closed_form(request, out)
        report.add(request.samples)
        origin |= {"mode": "closed form", "kernel": "closed form", "n_eff": float(request.samples)}
    elif request.mode == "exact":
        origin |= yield from make_perfect(request, out, report)
    else:
        origin |= yield from make_with_chains(request, out, report)
    return Ensemble(PackedSpins(out, system.size), system, origin, independent=True)


class Reporter:
    """Reports to the user how many samples of one temperature are done."""

    def __init__(self, request: Request, progress: Progress | None) -> None:
        """Report that none is."""
        self.request, self.progress, self.count, self.note = request, progress, 0, "pilot run"
        self.stage = f"sampling L={request.system.size} T={request.system.temperature:.5g}"
        self.add(0)

    def add(self, samples: int) -> None:
        """Report that so many more are done."""
        self.count = min(self.request.samples, self.count + samples)
        scratch.release()
        if self.progress:
            self.progress(self.stage, self.count, self.request.samples, self.note)


def closed_form(request: Request, out: np.ndarray) -> None:
    """Write T = 0 (a fair coin between the ground states) or T = ∞ (independent fair spins)."""
    system, seed = request.system, request.seed
    if system.coupling == math.inf:
        up = fair_signs(seed_sequence(system, seed), len(out)) > 0
        for a, b in scratch.ranges(len(out), out.shape[1]):
            out[a:b] = np.where(up[a:b, None], np.packbits(np.ones(system.size**2, np.uint8)), 0)
        return
    count = max(1, 2**22 // system.size**2)
    for group, part in enumerate(in_groups(out, count)):
        spins = fair_spins(seed_sequence(system, seed, group=group), count, system.size)[: len(part)]
        part[:] = np.packbits(spins.reshape(len(spins), -1) > 0, axis=1)


def in_groups(out: np.ndarray, size: int) -> list[np.ndarray]:
    """Return views of so many rows each, the last one of what is left."""
    return [out[first : first + size] for first in range(0, len(out), size)]


def make_perfect(request: Request, out: np.ndarray, report: Reporter) -> Work[dict[str, object]]:
    """Fill `out` with perfect samples."""
    system, seed = request.system, request.seed
    source = seed_sequence(system, seed, Purpose.PILOT, what="exact")
    (sweeps,) = yield [Job(partial(perfect.sweeps_per_map, system, source, request.kind.tau(system)))]
    report.note = f"maps of {sweeps} sweeps"
    jobs = []
    for group, part in enumerate(in_groups(out, perfect.samples_per_group(system.size))):
        source = seed_sequence(system, seed, group=group, what="exact")
        fill = partial(perfect.sample_group, system, source, sweeps, part)
        jobs.append(Job(fill, partial(report.add, len(part))))
    yield jobs
    return {
        "mode": "exact",
        "kernel": perfect.TITLE,
        "random_numbers": request.kind.random_numbers,
        "sweeps_a_map": sweeps,
        "n_eff": float(len(out)),
    }


def make_with_chains(request: Request, out: np.ndarray, report: Reporter) -> Work[dict[str, object]]:
    """Fill `out` from chains: pilot, burn-in, samples, and chains started hot to compare with."""
    tau_e, tau_m2 = yield from pilot(request)
    slow = max((tau_e, tau_m2), key=lambda tau: float(tau.value))
    tau = float(slow.value)
    burn_in = EXTRA_SWEEPS + math.ceil(BURN_IN_TAUS * (tau + 2 * float(slow.error)))
    report.note = f"τ = {tau:.2f} sweeps"
    if request.mode == "thin":
        spacing = math.ceil(SPACING_TAUS * tau)
        chains = yield from thinned(request, burn_in, spacing, out, report)
        left = math.exp(-spacing / tau)
        made: dict[str, object] = {"spacing_sweeps": spacing, "n_eff": len(out) * (1 - left) / (1 + left)}
    else:
        yield [
            Job(partial(independent, request, burn_in, group, part), partial(report.add, len(part)))
            for group, part in enumerate(in_groups(out, request.kind.group(request.system.size)))
        ]
        chains = len(out)
        made = {"n_eff": float(len(out))}
    hot = yield from hot_chains(request, burn_in)
    return {
        "mode": request.mode,
        "kernel": request.kind.title,
        "random_numbers": request.kind.random_numbers,
        "chains": chains,
        "tau_e": [float(tau_e.value), float(tau_e.error)],
        "tau_m2": [float(tau_m2.value), float(tau_m2.error)],
        "tau_unit": "sweeps",
        "burn_in_sweeps": burn_in,
        **made,
        "hot_cold": hot_against_cold(request.system, hot, PackedSpins(out[:COMPARED_SAMPLES], request.system.size)),
    }


def independent(request: Request, burn_in: int, group: int, out: np.ndarray) -> None:
    """Write the ends of a group of chains."""
    chains = request.start(Purpose.DATA, group)
    chains.advance(burn_in)
    out[:] = chains.read().bits[: len(out)]


def thinned(request: Request, burn_in: int, spacing: int, out: np.ndarray, report: Reporter) -> Work[int]:
    """Write configurations round by round, each round one of every chain; returns the number of chains."""
    system, size = request.system, request.kind.group(request.system.size)
    groups = min(THIN_GROUPS, -(-len(out) // size))
    chains = yield [Job(partial(request.start, Purpose.DATA, g)) for g in range(groups)]
    yield [Job(partial(chains[g].advance, burn_in)) for g in range(groups)]
    seconds = spacing * size * system.size**2 * request.kind.nanoseconds * 1e-9
    rounds = max(1, int(JOB_SECONDS / seconds))
    for part in in_groups(out, rounds * groups * size):
        yield [Job(partial(read_rounds, chains[g], spacing, part, g, groups * size)) for g in range(groups)]
        report.add(len(part))
    return min(groups * size, len(out))


def read_rounds(chains: Chains, spacing: int, out: np.ndarray, group: int, stride: int) -> None:
    """Write one configuration of every chain of a group in each round, every `spacing` sweeps."""
    for first in range(0, len(out), stride):
        chains.advance(spacing)
        bits = chains.read().bits
        place = first + group * len(bits)
        out[place : place + len(bits)] = bits[: max(0, len(out) - place)]


def pilot(request: Request) -> Work[tuple[Estimate, Estimate]]:
    """Return τ of e and of m², in sweeps, of one or two groups of chains; runs until its reads span 20 τ."""
    expected = request.kind.tau(request.system)
    number, size = request.kind.pilot(request.system.size)
    stride = 2 ** max(0, math.floor(math.log2(BURN_IN_TAUS * expected / PILOT_READS)))  # small beside both τ
    groups = yield [Job(partial(request.start, Purpose.PILOT, g, chains=size)) for g in range(number)]
    yield [Job(partial(chains.advance, EXTRA_SWEEPS + math.ceil(BURN_IN_TAUS * expected / 2))) for chains in groups]
    while True:
        series = yield [Job(partial(follow, chains, stride)) for chains in groups]
        tau_e, tau_m2 = (autocorrelation_time(values) for values in np.concatenate(series, axis=1))
        if BURN_IN_TAUS * max(float(tau_e.value), float(tau_m2.value)) <= PILOT_READS:
            return in_sweeps(tau_e, stride), in_sweeps(tau_m2, stride)
        stride *= 2


def in_sweeps(tau: Estimate, stride: int) -> Estimate:
    """Return τ in sweeps, given in reads so many sweeps apart."""
    return Estimate(float(tau.value) * stride, float(tau.error) * stride)


def follow(chains: Chains, stride: int) -> np.ndarray:
    """Return e and m² of each chain at each of a pilot's reads, `(2, chain, read)`."""
    values = []
    for _ in range(PILOT_READS):
        chains.advance(stride)
        packed = chains.read()
        values.append((packed.energies(), packed.magnetisations() ** 2))
    return np.stack(values, axis=-1)


def hot_chains(request: Request, burn_in: int) -> Work[PackedSpins]:
    """Return the ends of chains that started from independent fair spins, after the same burn-in.

    Below T_c, where local updates would leave them in stripes, they are Swendsen–Wang chains: another algorithm, too.
    """
    system, kind, sweeps = request.system, request.kind, burn_in
    if system.coupling > CRITICAL_COUPLING:
        kind = KINDS["swendsen-wang"]
        sweeps = EXTRA_HOT_SWEEPS + math.ceil(BURN_IN_TAUS * kind.tau(system))
    number, size = kind.pilot(system.size)

    def run(group: int) -> PackedSpins:
        chains = kind.start(system, request.source(Purpose.HOT, group), True, size)
        chains.advance(sweeps)
        return chains.read()

    parts = yield [Job(partial(run, group)) for group in range(number)]
    return PackedSpins(np.concatenate([part.bits for part in parts]), system.size)


def hot_against_cold(system: Ising, hot: PackedSpins, cold: PackedSpins) -> dict[str, float]:
    """Return z of the rank sums of e and of m², positive where hot chains are higher; nothing where nothing is excited.

    Ranks, since the hot chains are few and m² is skewed: with its own variance, one good set in 300 had |z| > 4.
    """
    u = system.energy
    if len(hot) * system.size**2 * (u + 2) / 8 < FEWEST_EXCITATIONS:
        return {}
    squares = (hot.magnetisations() ** 2, cold.magnetisations() ** 2)
    return {"e": rank_sum_score(hot.energies(), cold.energies()), "m2": rank_sum_score(*squares)}


def run_all(works: Sequence[Work[T]], threads: int) -> list[T]:
    """Return what each generator returns; their jobs share so many threads."""
    pool = ThreadPoolExecutor(threads)
    results: dict[int, T] = {}
    answers: dict[int, list[Any]] = {}
    missing: dict[int, int] = {}
    running: dict[Future[Any], tuple[int, int, Job]] = {}

    def go_on(k: int, answer: list[Any] | None) -> None:
        try:
            while not (jobs := works[k].send(answer)):  # type: ignore[arg-type]  # None starts a generator
                answer = []
        except StopIteration as end:
            results[k] = end.value
            return
        answers[k], missing[k] = [None] * len(jobs), len(jobs)
        running.update((pool.submit(job.run), (k, place, job)) for place, job in enumerate(jobs))

    try:
        for k in range(len(works)):
            go_on(k, None)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                k, place, job = running.pop(future)
                answers[k][place] = future.result()
                missing[k] -= 1
                if job.when_done:
                    job.when_done()
                if missing[k] == 0:
                    go_on(k, answers[k])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [results[k] for k in range(len(works))]
