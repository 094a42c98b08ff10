"""Is a map what it says it is? One draw of h for each sample, held against the mean that the map states.

A map answers each v for itself and always alike, draws from the random numbers that it is given and from nothing else,
and its draws have the mean that it states. Whatever breaks one of these is an error that names the map, before anything
is measured.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from rgstep import gauge, scratch
from rgstep.adapters import as_floats, require_shape
from rgstep.arguments import InputError
from rgstep.ensemble import Source, in_pieces, is_spin, pieces, read
from rgstep.gauge import Written
from rgstep.lattice import as_vectors
from rgstep.types import CoarseGraining, Rng, Samples

ORIGIN_SAMPLES = 64  # configurations whose E[h | v] and E[h | −v] tell the origin of h
CONSISTENT_SAMPLES = 8192  # on which draws are held against their mean
INCONSISTENT = 5.0  # standard errors
UNSEEN = 2.0  # events that may have been missed by chance
ANSWERS_AGREE = 1e-3  # of the largest h: what a network may differ by when it is asked the same twice


def drawn(source: Source, coarse: CoarseGraining, rng: Rng, name: str) -> tuple[Written, Samples]:
    """Return a map and a draw of its h for each sample, both written from the origin of h; int8 where all are ±1.

    Raises:
        InputError: for a map that raises, answers nonsense, or does not answer each v for itself and always alike, or
            whose draws are not of the mean that it states.
    """
    v = read(source, 0, ORIGIN_SAMPLES)
    of_v, of_flipped = np.split(asked_twice(coarse, np.concatenate([v, -v]), name), 2)
    drawn_twice(coarse, v, of_v.shape[1:], rng, name)
    raw = draw(source, coarse, rng, name)
    origin = gauge.origin_of(raw, of_v, of_flipped)
    written = Written(coarse, origin)
    hidden = raw if raw.dtype == np.int8 else in_pieces(origin.apply_to_draws, raw)
    require_consistent(source, written, hidden, name)
    return written, hidden


def draw(source: Source, coarse: CoarseGraining, rng: Rng, name: str = "h") -> Samples:
    """Return a draw of h for each configuration, a piece at a time; int8 where every value is ±1, floats elsewhere."""
    shape: list[tuple[int, ...]] = []

    def part_of(v: Samples) -> Samples:
        part = coarse.sample_h(v, rng)
        shape.append(part.shape[1:])
        part = require_shape(part, shape[0], name)
        return part.astype(np.int8, copy=False) if is_spin(part) else as_floats(part)

    return in_pieces(part_of, source)  # a piece of ±1 among others becomes floats as they are


def signs(h: Samples, rng: Rng) -> Samples:
    """Return the signs of h, a fair coin for each 0, int8; ±1 spins as they are."""
    if h.dtype == np.int8 and is_spin(h):
        return h
    out = scratch.empty(h.shape, np.int8)
    for start, part in pieces(h):
        signed = out[start : start + len(part)]
        signed[:] = np.sign(part)
        signed[part == 0] = 2 * rng.integers(0, 2, int((part == 0).sum()), dtype=np.int8) - 1
    return out


def asked_twice(coarse: CoarseGraining, v: Samples, name: str) -> np.ndarray:
    """Return E[h | v], asked for all samples, and again for one and for the rest: each v is to be answered for itself.

    Raises:
        InputError: if the answers differ, in shape or in value.
    """
    h = coarse.mean_h(v)
    parts = [require_shape(coarse.mean_h(part), h.shape[1:], name) for part in (v[:1], v[1:])]
    if not np.allclose(h, np.concatenate(parts), rtol=0, atol=ANSWERS_AGREE * float(np.abs(h).max())):
        message = (
            f"map {name!r} answers the same v in two ways: draw h in sample_h(v, rng), return E[h | v] in mean_h(v), "
            "and let the answer depend on nothing but v (no counters, no statistics of the batch)"
        )
        raise InputError(message)
    return h


def drawn_twice(coarse: CoarseGraining, v: Samples, shape: tuple[int, ...], rng: Rng, name: str) -> None:
    """Ask for draws of the same v with the same random numbers twice.

    Raises:
        InputError: if they differ, or have another shape than the mean.
    """
    first, second = (coarse.sample_h(v, deepcopy(rng)) for _ in range(2))
    if first.shape[1:] != shape:
        message = (
            f"map {name!r}: sample_h returns h of shape {first.shape[1:]}, mean_h of shape {shape}: both must be those "
            "of the same units"
        )
        raise InputError(message)
    if first.shape != second.shape or not np.array_equal(first, second):
        message = (
            f"map {name!r} draws the same v in two ways from the same random numbers: sample_h(v, rng) must draw from "
            "rng alone, and keep nothing from one call to the next"
        )
        raise InputError(message)


def require_consistent(source: Source, written: Written, hidden: Samples, name: str) -> None:
    """Check that the draws of h have the mean that the map states: E[(h − E[h|v]) f(v)] = 0 for f = 1 and f = E[h|v].

    Raises:
        InputError: where that is off by more than five standard errors over all units, or, allowing for their number,
            for one of them.
    """
    sums = [Off(), Off()]
    for start, v in pieces(source, 0, min(len(hidden), CONSISTENT_SAMPLES)):
        mean = as_vectors(written.mean_h(v)).astype(np.float64)
        if not written.real and float(np.abs(mean).max()) > 1 + ANSWERS_AGREE:
            low, high = written.origin.centre - written.origin.scale, written.origin.centre + written.origin.scale
            message = (
                f"map {name!r}: sample_h draws {low.flat[0]:g} and {high.flat[0]:g}, and mean_h is not between them: "
                "return the mean of what is drawn"
            )
            raise InputError(message)
        off = as_vectors(hidden[start : start + len(v)]) - mean
        off[np.abs(off) < ANSWERS_AGREE * float(np.abs(mean).max())] = 0.0  # rounding
        variance = off**2 if written.real else np.maximum(1 - mean**2, 0.0)
        largest = np.abs(off) if written.real else np.full_like(mean, 2.0)  # what one more draw could add
        for f, total in zip((np.ones_like(mean), mean), sums, strict=True):
            total.add(off * f, variance * f**2, largest * np.abs(f))
    for said, total in zip(("1", "E[h|v]"), sums, strict=True):
        if (sigmas := total.sigmas()) > INCONSISTENT:
            message = (
                f"map {name!r}: sample_h does not draw from a law of mean mean_h: E[(h − E[h|v]) f(v)] with f = {said} "
                f"is {sigmas:.0f} standard errors from 0; let both methods speak of the same p(h | v)"
            )
            raise InputError(message)


@dataclass
class Off:
    """Σ (h − E[h|v]) f(v) of each unit, and what its square is expected to be, piece after piece.

    Attributes:
        each: of each unit, `(unit,)`.
        variance: of each unit, if its draws are of the law, `(unit,)`.
        square: Σ over samples of the square of the sum over units: noise that units share counts.
        largest: what one unit adds at most in a sample.
        largest_total: what all units add at most in a sample.
    """

    each: np.ndarray = field(default_factory=lambda: np.zeros(1))
    variance: np.ndarray = field(default_factory=lambda: np.zeros(1))
    square: float = 0.0
    largest: float = 0.0
    largest_total: float = 0.0

    def add(self, off: np.ndarray, variance: np.ndarray, largest: np.ndarray) -> None:
        """Add the samples of a piece, `(sample, unit)` each."""
        self.each = self.each + off.sum(axis=0)
        self.variance = self.variance + variance.sum(axis=0)
        self.square += float((off.sum(axis=1) ** 2).sum())
        self.largest = max(self.largest, float(largest.max()))
        self.largest_total = max(self.largest_total, float(largest.sum(axis=1).max()))

    def sigmas(self) -> float:
        """Return how many standard errors the sum is from 0, of all units or of one, less the most of many by chance.

        As many events as `UNSEEN` may have been missed by chance, however large.
        """
        if not self.each.any():
            return 0.0
        one = np.abs(self.each) / np.sqrt(self.variance + (UNSEEN * self.largest) ** 2)
        noise = max(self.square, float(self.variance.sum())) + (UNSEEN * self.largest_total) ** 2
        by_chance = 2 * math.log(2 * len(self.each))
        return max(
            abs(float(self.each.sum())) / math.sqrt(noise), math.sqrt(max(float(one.max()) ** 2 - by_chance, 0.0))
        )
