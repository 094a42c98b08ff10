"""Are the units drawn one by one, given v? Two draws of h for the same v.

For two draws h, h' of the same v, d = (h − h')/√2 has the covariance of h given v,

    ⟨d_a d_b⟩ = ⟨Cov(h_a, h_b | v)⟩ = 0        for a ≠ b, exactly, where units are drawn independently given v,

whatever the map and its windows. So is the spectrum C(k) = ⟨|Σ_a d_a e^{ikx_a}|²⟩/N_h − ⟨d_a²⟩ for every k. A coin that
flips, moves or exchanges all of h with probability p makes C(k) = φ S(k), S(k) the spectrum of h itself and
φ = 4p(1 − p), 2p, …; noise that neighbouring units share makes C level at small k. Two numbers are taken:

    shared_0 = l^{7/4} (C(0) − C(2π/l)) / (S(0) − S(2π/l)),
    shared_1 = l^{7/4} × the slope of C on S over all k ≠ 0,

both 0 for independent draws; noise of a range r that neighbours share adds a part of the order (r/l)² to the second.
l^{7/4} makes them noise for one unit in place of a share: S(0) is about l^{7/4}, and noise that exceeds half the
variance of a unit has to be shared by many of them.
"""

import math

import numpy as np
from scipy import fft

from rgstep.ensemble import pieces
from rgstep.estimates import Groups, estimated
from rgstep.gauge import Gauge
from rgstep.instruments.base import Instrument, Row, Step, Subject, by_step
from rgstep.instruments.coherence import EXPONENT
from rgstep.results import Criterion, Diagnostic, Quantity
from rgstep.types import Rng, Samples

MOST_SHARED = 0.5  # of the variance of a unit


def spectrum(x: Samples) -> np.ndarray:
    """Return Σ over samples of |Σ_a x_a e^{ikx_a}|²/N_h, `(row, half the columns)`, of `(sample, l, l)`."""
    power = np.abs(fft.rfft2(x.astype(np.float32))) ** 2
    return np.asarray(power.sum(axis=0, dtype=np.float64) / x[0].size)


def numbers(C: np.ndarray, S: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shared parts from the spectra C and S of all sets, `(set, row, half the columns)`."""
    side = C.shape[1]
    scale = side**EXPONENT
    twice = np.full(C.shape[2], 2.0)  # waves that the half spectrum stands for twice
    twice[0] = 1.0
    if side % 2 == 0:
        twice[-1] = 1.0
    weight = np.tile(twice, (side, 1)).ravel()[1:]
    flat_C, flat_S = C.reshape(len(C), -1)[:, 1:], S.reshape(len(S), -1)[:, 1:]
    centred = flat_S - (flat_S @ weight / weight.sum())[:, None]
    longest = [(x[:, 0, 1] + x[:, 1, 0]) / 2 for x in (C, S)]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = ((flat_C * centred) @ weight) / ((centred**2) @ weight)
        at_zero = (C[:, 0, 0] - longest[0]) / (S[:, 0, 0] - longest[1])
    return {"shared_0": scale * at_zero, "shared_1": scale * slope}


def power_of(x: Samples, gauge: Gauge) -> np.ndarray:
    """Return the spectrum of x, summed over samples; that at k = 0 alone, `()`, where the units have no places."""
    if gauge.side > 1:
        return spectrum(gauge.apply(x))
    total = x.reshape(len(x), -1) @ gauge.sign.astype(np.float32)
    return np.asarray(total @ total / len(gauge.sign))


def of_sets(step: Step, rng: Rng) -> dict[str, np.ndarray]:
    """Return the row's numbers of all samples, then without each group."""
    groups, gauge = Groups.of(len(step.source)), step.gauge
    kept: tuple[list[np.ndarray], ...] = ([], [], [])
    for bounds in groups.bounds:
        sums: list[np.ndarray] = []
        for start, v in pieces(step.source, *bounds):
            h = step.hidden[start : start + len(v)]
            d = (h.astype(np.float32) - step.coarse.sample_h(v, rng)) / np.float32(math.sqrt(2))
            own = np.asarray((d.astype(np.float64) ** 2).sum() / d[0].size)
            part = [power_of(d, gauge), power_of(h, gauge), own]
            sums = [x + y for x, y in zip(sums, part, strict=True)] if sums else part
        for parts, total in zip(kept, sums, strict=True):
            parts.append(total)
    C, S, alone = (groups.over_counts(np.stack(parts)) for parts in kept)
    C = C - alone.reshape(-1, *(1,) * (C.ndim - 1))
    if gauge.side <= 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"shared_0": len(gauge.sign) ** (EXPONENT / 2) * C / S}
    return numbers(C, S)


def measure(subject: Subject) -> Row:
    """Return what units share beyond what they read, from a second draw of h of each map for every configuration."""
    if not subject.gauge.alive.any():
        return Diagnostic(None, "not measured: every unit is constant", {}), {}

    def of_step(step: Step) -> dict[str, Quantity]:
        if not step.gauge.alive.any():
            return {}
        sets = of_sets(step, subject.rng("h again", step.number))
        return {name: Quantity(estimated(each), 0.0) for name, each in sets.items() if np.isfinite(each).all()}

    quantities = by_step(subject.steps, of_step)
    says = "h drawn twice for every v: what units share of the difference, at k = 0 and over all waves, times l^(7/4)"
    return Diagnostic(None, "; ".join([says, *subject.not_read]), quantities), {}


SHARED = (
    Criterion("shared_0", -MOST_SHARED, MOST_SHARED),
    Criterion("shared_1", -MOST_SHARED, MOST_SHARED, needed=False),
)
INSTRUMENT = Instrument(
    name="conditional_law",
    question=(
        "Whether the units of h are drawn one by one given v. Two draws for the same v differ by what each unit throws "
        "for itself, and a coin thrown for the whole lattice shows at once, exactly and whatever the units read. A map "
        "that draws nothing passes: what it does to a whole lattice, row coherence sees."
    ),
    measure=measure,
    needs_map=True,
    criteria=(*SHARED, *(criterion.of_maps() for criterion in SHARED)),
    decides="locality",
)
