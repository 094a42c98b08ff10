"""How a set of configurations is made: which chains, how long, and whether it came out right.

T = 0 is a fair coin between the ground states, T = ∞ independent fair spins. Between them, one of three modes:

    iid      each configuration is the end of a chain of its own: independent by construction
    thin     two groups of chains, a configuration every 10 τ: what one mode alone leaves of its correlation is e^−10
    exact    coupling from the past (`perfect`): draws from the law itself, for T ≥ T_c

Chains start from the ordered state (from a random one, local updates below T_c end in stripes). A pilot measures the
autocorrelation times of e and m²; the slower one, with twice its error, sets the burn-in of 20 τ. Each configuration
takes a fair global flip, an exact symmetry of the model. Chains started hot are held against those started cold, and
the finished set against Kaufman's exact energy and specific heat at its L; all of it is in its `Certificate`.

Kind and length of the chains are functions of (L, T, mode), from L = 256 on of the number of samples too; random
numbers have names (`streams`). So the same seed gives the same bits for any number of threads and in any company, and n
samples are the first n of any longer set of the same kind.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, overload

import numpy as np

from rgstep.arguments import COUNT, PROGRESS, SEED, broken, checked, number_in, optional
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.ising import CRITICAL_TEMPERATURE, TEMPERATURE
from rgstep.packed import PackedSpins
from rgstep.samplers import perfect
from rgstep.samplers.chains import Chains
from rgstep.samplers.jobs import Job, Maker, run_all
from rgstep.samplers.request import (
    BURN_IN,
    EXTRA_SWEEPS,
    KERNEL,
    MODE,
    SPACING,
    THIN_GROUPS,
    TIME_LIMIT,
    Request,
    check,
    check_room,
    check_time,
    sampled_side,
    start,
)
from rgstep.samplers.streams import Purpose, fair_signs, fair_spins, stream
from rgstep.samplers.trial import hot_against_cold, hot_chains, pilot
from rgstep.types import Progress

JOB_SECONDS = 0.3  # aimed at between two reports of progress
COMPARED = 1024  # configurations of a set held against the hot chains
HOUR = 3600.0


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
    """
    temperatures = tuple(temperature) if isinstance(temperature, Iterable) else (temperature,)
    requests = [check(size, t, samples, seed, mode, kernel) for t in temperatures]
    workers = threads if threads is not None else os.cpu_count() or 1
    check_room(requests, workers)
    check_time(requests, workers, time_limit)
    ensembles = tuple(run_all([make(request, progress) for request in requests], workers))
    for ensemble in ensembles:
        for fault in ensemble.faults():
            warnings.warn(f"{fault} (seed={seed}): do not trust this set", stacklevel=3)
    return ensembles if isinstance(temperature, Iterable) else ensembles[0]


def make(request: Request, progress: Progress | None) -> Maker[Ensemble]:
    """Make the set of one temperature."""
    system = request.system
    origin: dict[str, object] = {"source": "rgstep.sample", "seed": request.seed}
    out = np.empty((request.samples, -(-(system.size**2) // 8)), np.uint8)
    said = Said(request, progress)
    if request.closed:
        closed_form(request, out)
        said.done(request.samples)
        origin |= {"mode": "closed form", "kernel": "closed form", "n_eff": float(request.samples)}
    elif request.mode == "exact":
        origin |= yield from make_perfect(request, out, said)
    else:
        origin |= yield from make_with_chains(request, out, said)
    return Ensemble(PackedSpins(out, system.size), system, origin, independent=True)


class Said:
    """What a maker has told its user: how many samples are done."""

    def __init__(self, request: Request, progress: Progress | None) -> None:
        """Nothing yet."""
        self.request, self.progress, self.count, self.note = request, progress, 0, "pilot run"
        self.stage = f"sampling L={request.system.size} T={request.system.temperature:.5g}"
        self.done(0)

    def done(self, samples: int, more: bool = False) -> None:
        """Say that so many samples are done, or so many more."""
        self.count = min(self.request.samples, samples + (self.count if more else 0))
        if self.progress:
            self.progress(self.stage, self.count, self.request.samples, self.note)

    def more(self, samples: int) -> Callable[[], None]:
        """Return a call that says so many more are done."""
        return partial(self.done, samples, True)


def closed_form(request: Request, out: np.ndarray) -> None:
    """Write T = 0 (a fair coin between the ground states) or T = ∞ (independent fair spins)."""
    size, samples = request.system.size, len(out)
    source = stream(request.system, request.seed)
    if request.system.coupling == math.inf:
        up = fair_signs(source, samples) > 0
        out[:] = np.where(up[:, None], np.packbits(np.ones(size**2, np.uint8)), 0)
        return
    step = max(1, 2**22 // size**2)
    for block, first in enumerate(range(0, samples, step)):
        spins = fair_spins(stream(request.system, request.seed, block=block), step, size)[: samples - first]
        out[first : first + step] = np.packbits(spins.reshape(len(spins), -1) > 0, axis=1)


def make_perfect(request: Request, out: np.ndarray, said: Said) -> Maker[dict[str, object]]:
    """Fill `out` with perfect samples."""
    system, seed = request.system, request.seed
    (sweeps,) = yield [Job(partial(perfect.sweeps_a_map, system, stream(system, seed, Purpose.PILOT, what="exact")))]
    said.note = f"maps of {sweeps} sweeps"
    rows = perfect.block_samples(system.size)
    parts = [out[start : start + rows] for start in range(0, len(out), rows)]
    yield [
        Job(
            partial(perfect.sample_block, system, stream(system, seed, block=b, what="exact"), sweeps, part),
            said.more(len(part)),
        )
        for b, part in enumerate(parts)
    ]
    return {
        "mode": "exact",
        "kernel": perfect.TITLE,
        "random_numbers": request.kind.random_numbers,
        "sweeps_a_map": sweeps,
        "n_eff": float(len(out)),
    }


def make_with_chains(request: Request, out: np.ndarray, said: Said) -> Maker[dict[str, object]]:
    """Fill `out` from chains: pilot, burn-in, samples, and chains started hot to compare with."""
    tau_e, tau_m2 = yield from pilot(request)
    slow = max((tau_e, tau_m2), key=lambda tau: float(tau.value))
    tau = float(slow.value)
    burn_in = EXTRA_SWEEPS + math.ceil(BURN_IN * (tau + 2 * float(slow.error)))
    spacing = math.ceil(SPACING * tau)
    said.note = f"τ = {tau:.2f} sweeps"
    if request.mode == "thin":
        chains = yield from thinned(request, burn_in, spacing, out, said)
        left = math.exp(-spacing / tau)
        made: dict[str, object] = {"spacing_sweeps": spacing, "n_eff": len(out) * (1 - left) / (1 + left)}
    else:
        group = request.kind.group(request.system.size)
        parts = [out[start : start + group] for start in range(0, len(out), group)]
        yield [
            Job(partial(independent, request, burn_in, b, part), said.more(len(part))) for b, part in enumerate(parts)
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
        "hot_cold": hot_against_cold(request.system, hot, PackedSpins(out[:COMPARED], request.system.size)),
    }


def independent(request: Request, burn_in: int, group: int, out: np.ndarray) -> None:
    """Write the ends of a group of chains."""
    chains = start(request, Purpose.DATA, group)
    chains.advance(burn_in)
    out[:] = chains.read().bits[: len(out)]


def thinned(request: Request, burn_in: int, spacing: int, out: np.ndarray, said: Said) -> Maker[int]:
    """Write configurations round by round, each round one of every chain; returns the number of chains."""
    system, size = request.system, request.kind.group(request.system.size)
    groups = min(THIN_GROUPS, -(-len(out) // size))
    chains = yield [Job(partial(start, request, Purpose.DATA, g)) for g in range(groups)]
    yield [Job(partial(chains[g].advance, burn_in)) for g in range(groups)]
    seconds = spacing * size * system.size**2 * request.kind.nanoseconds * 1e-9
    rounds = max(1, int(JOB_SECONDS / seconds))
    for first in range(0, len(out), rounds * groups * size):
        part = out[first : first + rounds * groups * size]
        yield [Job(partial(read_rounds, chains[g], spacing, part, g, groups * size)) for g in range(groups)]
        said.done(len(part), more=True)
    return min(groups * size, len(out))


def read_rounds(chains: Chains, spacing: int, out: np.ndarray, group: int, stride: int) -> None:
    """Write one configuration of every chain of a group in each round, every `spacing` sweeps."""
    for first in range(0, len(out), stride):
        chains.advance(spacing)
        bits = chains.read().bits
        place = first + group * len(bits)
        out[place : place + len(bits)] = bits[: max(0, len(out) - place)]
