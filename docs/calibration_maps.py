"""The maps that the verdict is calibrated on: some hundred, in kinds, each with the verdicts that are right and why.

    python docs/calibration_maps.py          print the kinds, and how many maps each has

A kind has a ladder of strengths, so that the smallest that is found can be read off. Maps are made for a lattice of
side L; those without places ("dense") have their units in a fixed order with fixed signs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import rgstep as rg
from rgstep import blocking
from rgstep.controls import HAND_MADE
from rgstep.results import FEATURES, LOCAL, RG_STEP

Maker = Callable[[int, int], Any]  # of a side L and a ratio b
NOT_RG = (FEATURES, LOCAL)
ERROR = ("error",)


@dataclass(frozen=True)
class Known:
    """A map of a side L and a ratio b, the verdicts that are right, and its kind."""

    make: Maker
    right: tuple[str, ...]
    kind: str


class Law:
    """Two functions as a map, E[h | v] and a draw, both of lattices; `dense` takes the places away."""

    def __init__(self, mean: Callable[..., Any], drawn: Callable[..., Any], dense: bool = False) -> None:
        """Take the mean and the draw."""
        self.mean, self.drawn, self.dense = mean, drawn, dense

    def shaped(self, h: np.ndarray) -> np.ndarray:
        """Return h without places where it is to have none: in another order, with signs."""
        if not self.dense:
            return h
        units = h[0].size
        sign = np.where(blocking.permutation(units, 3, "signs") % 2, 1, -1).astype(h.dtype)
        return h.reshape(len(h), -1)[:, blocking.permutation(units, 3)] * sign

    def mean_h(self, v: np.ndarray) -> np.ndarray:
        """Return E[h | v]."""
        return self.shaped(np.asarray(self.mean(v), np.float32))

    def sample_h(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw h."""
        return self.shaped(np.asarray(self.drawn(v, rng), np.int8))


def coins(v: np.ndarray, rng: np.random.Generator, p: float) -> np.ndarray:
    """Return which samples a coin of chance p chose, `(sample, 1, 1)`."""
    return (rng.random(len(v)) < p)[:, None, None]


def flipped(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """One coin flips all of h with probability p."""
    majority = rg.Majority(b)
    return Law(
        lambda v: (1 - 2 * p) * majority.mean_h(v),
        lambda v, rng: np.where(coins(v, rng, p), -1, 1) * majority.sample_h(v, rng),
        dense,
    )


def moved(h: np.ndarray, which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return h, some samples of it rolled by a random vector."""
    out = h.copy()
    for n in np.flatnonzero(which):
        out[n] = np.roll(h[n], tuple(rng.integers(0, h.shape[1], 2)), (0, 1))
    return out


def shifted(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """With probability p all of h is moved by a random coarse vector."""
    majority = rg.Majority(b)

    def mean(v: np.ndarray) -> np.ndarray:
        m = majority.mean_h(v)
        return (1 - p) * m + p * m.mean(axis=(1, 2), keepdims=True)

    return Law(mean, lambda v, rng: moved(majority.sample_h(v, rng), coins(v, rng, p).ravel(), rng), dense)


def turned(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """With probability p all of h is turned by a right angle."""
    majority = rg.Majority(b)

    def turn(h: np.ndarray) -> np.ndarray:
        return np.rot90(h, axes=(1, 2))

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(coins(v, rng, p), turn(h), h)

    return Law(lambda v: (1 - p) * majority.mean_h(v) + p * turn(majority.mean_h(v)), drawn, dense)


_pool: dict[tuple[int, int], np.ndarray] = {}


def others(side: int, b: int) -> np.ndarray:
    """Return h of other configurations; where the side is odd, of a piece of a larger lattice."""
    if (side, b) not in _pool:
        fine = side * b
        spins = rg.sample(max(fine + fine % 2, 8), samples=20_000, seed=9_001).spins[:, :fine, :fine]
        _pool[side, b] = rg.Majority(b).sample_h(spins, np.random.default_rng(5))
    return _pool[side, b]


def mixed(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """With probability p all of h is that of another configuration."""
    majority = rg.Majority(b)

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        pool = others(h.shape[1], b)
        return np.where(coins(v, rng, p), pool[rng.integers(0, len(pool), len(h))], h)

    return Law(lambda v: (1 - p) * majority.mean_h(v), drawn, dense)


def striped(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """Each row of h has a coin of its own that flips it with probability p."""
    majority = rg.Majority(b)

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(rng.random((len(h), h.shape[1], 1)) < p, -h, h)

    return Law(lambda v: (1 - 2 * p) * majority.mean_h(v), drawn, dense)


def first(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the majority rule, ties by the first spin."""
    s = rg.Average(b).mean_h(v)
    return np.where(s == 0, v[:, ::b, ::b], np.sign(s)).astype(np.float32)


def hashed(p: float, dense: bool = False, *, b: int = 2) -> Callable[[np.ndarray], np.ndarray]:
    """A function of v whose h is flipped where a hash of the configuration, up to its sign, is below p."""

    def function(v: np.ndarray) -> np.ndarray:
        bits = np.packbits((v * v[:, :1, :1]).reshape(len(v), -1) > 0, axis=1).astype(np.uint64)
        number = np.zeros(len(v), np.uint64)
        for column in bits.T:
            number = (number ^ column) * np.uint64(0x100000001B3)
            number ^= number >> np.uint64(29)
        low = (number >> np.uint64(11)).astype(np.float64) / 2**53 < p
        h = np.where(low[:, None, None], -1, 1) * first(v, b)
        return h.reshape(len(h), -1) if dense else h

    return function


def far_product(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return h times the product of two neighbouring spins in a corner: a deterministic coin."""
    return first(v, b) * (v[:, :1, :1] * v[:, :1, 1:2])


def noisy(p: float, dense: bool = False, *, b: int = 2) -> Law:
    """Each unit of the majority rule flips on its own with probability p."""
    majority = rg.Majority(b)

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(rng.random(h.shape) < p, -h, h)

    return Law(lambda v: (1 - 2 * p) * majority.mean_h(v), drawn, dense)


def copied(fraction: float, seed: int = 4, *, b: int = 2) -> Callable[[np.ndarray], np.ndarray]:
    """A fraction of the units repeats the value of units elsewhere; no places."""

    def function(v: np.ndarray) -> np.ndarray:
        h = first(v, b).reshape(len(v), -1)
        rng = np.random.default_rng([seed, h.shape[1]])
        some = rng.choice(h.shape[1], round(fraction * h.shape[1]), replace=False)
        out = h.copy()
        out[:, some] = h[:, rng.integers(0, h.shape[1], len(some))]
        return out

    return function


class Redrawn:
    """A fraction of the units of a noisy block reads the blocks of other units, and draws by itself; no places."""

    def __init__(self, fraction: float, weight: float = 1.0, *, b: int = 2) -> None:
        """Take the fraction and the weight of the block."""
        self.fraction, self.block = fraction, rg.BernoulliBlock(weight, b)

    def mean_h(self, v: np.ndarray) -> np.ndarray:
        """Return E[h | v]."""
        h = self.block.mean_h(v).reshape(len(v), -1)
        rng = np.random.default_rng([7, h.shape[1]])
        some = rng.choice(h.shape[1], round(self.fraction * h.shape[1]), replace=False)
        out = h.copy()
        out[:, some] = h[:, rng.integers(0, h.shape[1], len(some))]
        return out

    def sample_h(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw h."""
        return blocking.signs_with_mean(self.mean_h(v), rng)


def sums(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the sums over blocks."""
    return b * b * rg.Average(b).mean_h(v)


def biased(field: float, *, places: bool = True, b: int = 2) -> Law:
    """A Bernoulli block in a field: mean tanh(S + field)."""

    def mean(v: np.ndarray) -> np.ndarray:
        return np.tanh(sums(v, b) + field)

    return Law(mean, lambda v, rng: blocking.signs_with_mean(mean(v), rng), not places)


def ties_up(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the majority rule with ties, of which an odd block has none, and sums of −1 up."""
    return np.where(sums(v, b) >= -(b % 2), 1.0, -1.0).astype(np.float32)


def relu(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the positive part of the block's mean."""
    return np.maximum(rg.Average(b).mean_h(v), 0)


def wide(kernel: np.ndarray, soft: float = math.inf, *, b: int = 2) -> Any:
    """The sign of a weighted sum over a window about each block, or a draw of mean tanh(soft · sum)."""
    starts = [-((length - b) // 2) for length in kernel.shape]
    left, sizes, right = np.linalg.svd(kernel)
    parts = [(left[:, r] * size, right[r]) for r, size in enumerate(sizes) if size > 1e-9]  # rows times columns

    def along(v: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
        moved = (np.float32(w) * np.roll(v, -(starts[axis - 1] + i), axis) for i, w in enumerate(weights))
        return np.asarray(sum(moved))

    def total(v: np.ndarray) -> np.ndarray:
        fine = v.astype(np.float32)
        return np.asarray(sum(along(along(fine, down, 1)[:, ::b], across, 2) for down, across in parts))[:, :, ::b]

    if soft < math.inf:
        return Law(
            lambda v: np.tanh(soft * total(v)),
            lambda v, rng: blocking.signs_with_mean(np.tanh(soft * total(v)), rng),
        )

    def tied(v: np.ndarray) -> np.ndarray:
        t = total(v)
        return np.where(np.abs(t) < 1e-5, 0.0, np.sign(t))

    return Law(tied, lambda v, rng: blocking.fair_ties(tied(v), rng))


def gaussian(sd: float, width: int) -> np.ndarray:
    """Return a normalised Gaussian of a standard deviation on a square window."""
    x = np.arange(width) - (width - 1) / 2
    bell = np.exp(-(x**2) / (2 * sd**2))
    return np.outer(bell, bell) / bell.sum() ** 2


def random_h(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the mean of fair coins."""
    return np.zeros((len(v), v.shape[1] // b, v.shape[1] // b))


def fair(dense: bool = False, *, b: int = 2) -> Law:
    """Fair coins, whatever v is."""
    return Law(lambda v: random_h(v, b), lambda v, rng: 2 * rng.integers(0, 2, random_h(v, b).shape) - 1, dense)


def global_sign(v: np.ndarray, b: int = 2) -> np.ndarray:
    """Return the sign of the whole magnetisation at every site."""
    m = v.sum(axis=(1, 2), keepdims=True)
    m = np.where(m == 0, v[:, :1, :1], m)
    return np.sign(m) * np.ones((1, v.shape[1] // b, v.shape[1] // b), np.float32)


def half_blind(share: float, seed: int = 3, *, b: int = 2) -> Law:
    """A share of the units, at fixed places, throws fair coins."""
    majority = rg.Majority(b)

    def blind(h: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([seed, h.shape[1]])
        return rng.random(h.shape[1:]) < share

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(blind(h), 2 * rng.integers(0, 2, h.shape) - 1, h)

    return Law(lambda v: np.where(blind(majority.mean_h(v)), 0, majority.mean_h(v)), drawn)


def scattered(share: float, seed: int = 6, *, b: int = 2) -> Callable[[np.ndarray], np.ndarray]:
    """A share of the units reads four spins thrown anywhere in place of its block; no places."""

    def function(v: np.ndarray) -> np.ndarray:
        h = first(v, b).reshape(len(v), -1).copy()
        rng = np.random.default_rng([seed, h.shape[1]])
        some = rng.choice(h.shape[1], round(share * h.shape[1]), replace=False)
        flat = v.reshape(len(v), -1)
        sites = rng.integers(0, flat.shape[1], (len(some), 5))
        h[:, some] = np.sign(flat[:, sites].astype(np.float32).sum(axis=2))
        return h

    return function


def zero_one(coarse: Any) -> Any:
    """A ±1 map written in 0 and 1."""

    class ZeroOne:
        def mean_h(self, v: np.ndarray) -> np.ndarray:
            return (1 + coarse.mean_h(v)) / 2

        def sample_h(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return (1 + coarse.sample_h(v, rng)) // 2

    return ZeroOne()


Ladder = Mapping[str, Maker]


def of(make: Callable[..., Any], *given: Any, **named: Any) -> Maker:
    """Return a maker of maps of this file."""
    return lambda side, b: make(*given, **named, b=b)


def plain(function: Callable[..., np.ndarray]) -> Maker:
    """Return a maker of a function of v and b as a map."""
    return lambda side, b: lambda v: function(v, b)


def ladder(name: str, make: Callable[..., Any], strengths: tuple[float, ...], *, both: bool = False) -> Ladder:
    """Return a map for each strength, and one without places for each where `both`."""
    found: dict[str, Maker] = {f"{name}_{p:g}": of(make, p) for p in strengths}
    return found | ({f"{name}_{p:g}_dense": of(make, p, True) for p in strengths} if both else {})


def controls(*names: str) -> Ladder:
    """Return controls of the package by their names."""
    return {name: control(name) for name in names}


def control(name: str) -> Maker:
    """Return a maker of a control."""
    return lambda side, b: HAND_MADE[name](b)


def bernoulli(*weights: float) -> Ladder:
    """Return Bernoulli blocks of some weights."""
    return {f"bernoulli_{w:g}": block(w) for w in weights}


def block(weight: float) -> Maker:
    """Return a maker of a Bernoulli block."""
    return lambda side, b: rg.BernoulliBlock(weight, b)


def window(width: int) -> Maker:
    """Return a maker of majorities of a window."""
    return lambda side, b: rg.WindowMajority(width, b)


def dense(make: Maker) -> Maker:
    """Take the places of a map away."""
    return lambda side, b: blocking.Scrambled(make(side, b))


STEPS: Ladder = {
    **controls("average", "majority", "cross_majority", "window_majority", "scrambled_majority"),
    **controls("bernoulli_1.0", "bernoulli_2.0"),
}
RENAMED: Ladder = {
    "minus_majority": plain(lambda v, b: -first(v, b)),
    "majority_first": plain(first),
    "majority_01": lambda side, b: zero_one(rg.Majority(b)),
    "bernoulli_01": lambda side, b: zero_one(rg.BernoulliBlock(1.0, b)),
    "average_shifted": plain(lambda v, b: rg.Average(b).mean_h(v) + 0.1),
    "average_half": plain(lambda v, b: (1 + rg.Average(b).mean_h(v)) / 2),
    "average_1000": plain(lambda v, b: 1000 + rg.Average(b).mean_h(v)),
    "average_scaled": plain(lambda v, b: 3 * rg.Average(b).mean_h(v)),
    "reflected": plain(lambda v, b: first(v, b)[:, :, ::-1]),
    "offset_majority": plain(lambda v, b: first(np.roll(v, (1, 1), (1, 2)), b)),
    "bernoulli_dense": dense(block(1.0)),
    "cross_dense": dense(control("cross_majority")),
}
NOISY: Ladder = {
    **ladder("noise", noisy, (0.01, 0.02, 0.04)),
    "noise_dense": of(noisy, 0.02, True),
    **bernoulli(0.7, 0.8),
}
SQUARES: Ladder = {  # windows about blocks of 2×2
    "window_3": window(3),
    "window_5": window(5),
    "window_3_dense": dense(window(3)),
    "gaussian_0.7": of(wide, gaussian(0.7, 4)),
    "gaussian_1": of(wide, gaussian(1.0, 6)),
    "gaussian_1.5": of(wide, gaussian(1.5, 8)),
    "gaussian_0.7_soft": of(wide, gaussian(0.7, 4), 4.0),
    "gaussian_1_soft": of(wide, gaussian(1.0, 6), 4.0),
    "gaussian_1.5_soft": of(wide, gaussian(1.5, 8), 4.0),
    "uneven": of(wide, np.array([[1.0, 0.9], [0.8, 0.7]])),
    "uneven_3": of(wide, np.array([[0.2, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 0.2]])),
    "rows_4": of(wide, np.ones((2, 4))),
    "round": of(wide, np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], np.float64)),
}
NINES: Ladder = {  # windows about blocks of 3×3
    "window_4": window(4),
    "window_5": window(5),
    "window_5_dense": dense(window(5)),
    "gaussian_1": of(wide, gaussian(1.0, 5)),
    "gaussian_1.5": of(wide, gaussian(1.5, 9)),
    "gaussian_1_soft": of(wide, gaussian(1.0, 5), 4.0),
    "gaussian_1.5_soft": of(wide, gaussian(1.5, 9), 4.0),
    "uneven": of(wide, np.array([[1.0, 0.9, 0.8], [0.8, 1.0, 0.7], [0.7, 0.9, 0.6]])),
    "rows_5": of(wide, np.ones((3, 5))),
}
SWITCHES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
BY_V: Ladder = {
    "hashed_0.05": of(hashed, 0.05),
    "hashed_0.2": of(hashed, 0.2),
    "hashed_0.2_dense": of(hashed, 0.2, True),
    "far_product": plain(far_product),
}
COPIED: Ladder = {**ladder("copied", copied, (0.1, 0.2, 0.3, 0.5)), **ladder("redrawn", Redrawn, (0.2, 0.3))}
SCATTERED: Ladder = {**ladder("scattered", scattered, (0.2, 0.4)), **ladder("blind", half_blind, (0.3, 0.6))}
FIELDS: Ladder = {
    **ladder("field", biased, (0.03, 0.1, 0.3, 1.0)),
    "field_dense": of(biased, 0.3, places=False),
    "ties_up": plain(ties_up),
    "relu": plain(relu),
}
NOTHING: Ladder = {
    "fair": of(fair),
    "fair_dense": of(fair, True),
    "other": of(mixed, 1.0),
    "other_dense": of(mixed, 1.0, True),
    "global_sign": plain(global_sign),
    "random_tiling_2": lambda side, b: blocking.RandomTiling(b, seed=2),
}
TWO_METHODS: Ladder = {
    "two_methods": lambda side, b: Law(rg.Majority(b).mean_h, shifted(1.0, b=b).drawn),
    "two_methods_flip": lambda side, b: Law(rg.Majority(b).mean_h, flipped(0.1, b=b).drawn),
    "two_methods_dense": lambda side, b: Law(rg.Majority(b).mean_h, mixed(0.3, b=b).drawn, True),
    "wrong_scale": lambda side, b: Law(lambda v: 0.5 * rg.Majority(b).mean_h(v), rg.Majority(b).sample_h),
    "other_units": lambda side, b: Law(rg.BernoulliBlock(1.0, b).mean_h, zero_one(rg.BernoulliBlock(1.0, b)).sample_h),
}
UNTRAINED: Ladder = {"rbm_untrained": lambda side, b: rg.untrained_rbm(side * side, (side // b) ** 2, 1)}
Kinds = tuple[tuple[str, tuple[str, ...], Ladder], ...]  # kind, the verdicts that are right, maps
WRONG: Kinds = (  # whatever the ratio
    ("flipped as a whole", NOT_RG, ladder("flipped", flipped, SWITCHES[:5], both=True)),
    ("shifted as a whole", NOT_RG, ladder("shifted", shifted, SWITCHES, both=True)),
    ("mixed as a whole", NOT_RG, ladder("mixed", mixed, SWITCHES, both=True)),
    ("turned as a whole", NOT_RG, ladder("turned", turned, SWITCHES, both=True)),
    ("rows flipped", NOT_RG, ladder("striped", striped, (0.05, 0.2))),
    ("flipped by a function of v", NOT_RG, BY_V),
    ("copied units", NOT_RG, COPIED),
    ("some units elsewhere or blind", NOT_RG, SCATTERED),
    ("makes a field", NOT_RG, FIELDS),
    ("nothing of v, or no place", NOT_RG, NOTHING),
    ("two methods that disagree", ERROR, TWO_METHODS),
)
FEATURE_CONTROLS: Ladder = {**controls("random_tiling", "far_majority"), **UNTRAINED}
DECIMATION: Ladder = {"decimation_dense": dense(control("decimation"))}
KINDS: Mapping[int, Kinds] = {  # by the ratio; what noise the field stands follows from the exact gain
    2: (
        ("control, a step", (RG_STEP,), STEPS),
        ("control, local", (LOCAL,), controls("decimation", "bernoulli_0.5", "bernoulli_0.25", "bernoulli_0.1")),
        ("control, features", (FEATURES,), FEATURE_CONTROLS),
        ("a step, written otherwise", (RG_STEP,), RENAMED),
        ("a step with noise", (RG_STEP,), NOISY),
        ("on its way", (RG_STEP, LOCAL), {**ladder("noise", noisy, (0.07, 0.1)), **bernoulli(0.6, 0.42)}),
        (
            "washes out",
            (LOCAL,),
            {
                **ladder("noise", noisy, (0.2, 0.3, 0.4)),
                **bernoulli(0.3, 0.2),
                **DECIMATION,
                "bernoulli_0.3_dense": dense(block(0.3)),
            },
        ),
        ("window", (RG_STEP,), SQUARES),
        (
            "very wide window",
            (RG_STEP,),
            {
                "window_6": window(6),
                "window_8": window(8),
                "gaussian_2": of(wide, gaussian(2.0, 10)),
                "gaussian_2_soft": of(wide, gaussian(2.0, 10), 4.0),
            },
        ),
        *WRONG,
    ),
    3: (
        ("control, a step", (RG_STEP,), {**STEPS, **controls("bernoulli_0.5")}),
        ("control, local", (LOCAL,), controls("decimation", "bernoulli_0.1")),
        ("control, features", (FEATURES,), FEATURE_CONTROLS),
        ("a step, written otherwise", (RG_STEP,), RENAMED),
        ("a step with noise", (RG_STEP,), {**NOISY, **ladder("noise", noisy, (0.07,))}),
        ("on its way", (RG_STEP, LOCAL), {**ladder("noise", noisy, (0.13, 0.2)), **bernoulli(0.35, 0.25, 0.2)}),
        (
            "washes out",
            (LOCAL,),
            {
                **ladder("noise", noisy, (0.3, 0.4)),
                **bernoulli(0.07),
                **DECIMATION,
                "bernoulli_0.1_dense": dense(block(0.1)),
            },
        ),
        ("window", (RG_STEP,), NINES),
        ("very wide window", (RG_STEP,), {"window_7": window(7), "window_9": window(9)}),
        *WRONG,
    ),
}
MAPS = {
    b: {name: Known(make, right, kind) for kind, right, maps in kinds for name, make in maps.items()}
    for b, kinds in KINDS.items()
}

if __name__ == "__main__":
    for b, kinds in KINDS.items():
        for kind, right, maps in kinds:
            print(f"b = {b}, {kind} ({' or '.join(right)}): {', '.join(maps)}")
        print(f"b = {b}: {len(MAPS[b])} maps")
