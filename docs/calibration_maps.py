"""The maps that the verdict is calibrated on: some hundred, in kinds, each with the verdicts that are right and why.

    python docs/calibration_maps.py          print the kinds, and how many maps each has

A kind has a ladder of strengths, so that the smallest that is found can be read off. Maps are made for a lattice of side
L; those without places ("dense") have their units in a fixed order with fixed signs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import rgstep as rg
from rgstep import blocking
from rgstep.results import FEATURES, LOCAL, RG_STEP

Maker = Callable[[int], Any]
NOT_RG = (FEATURES, LOCAL)
ERROR = ("error",)
majority, average = rg.Majority(), rg.Average()


@dataclass(frozen=True)
class Known:
    """A map of a side L, the verdicts that are right, and its kind."""

    make: Maker
    right: tuple[str, ...]
    kind: str


class Law:
    """Two functions as a map, E[h | v] and a draw, both of lattices; `dense` takes the places away."""

    def __init__(self, mean: Callable[..., Any], drawn: Callable[..., Any], dense: bool = False) -> None:
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


def flipped(p: float, dense: bool = False) -> Law:
    """One coin flips all of h with probability p."""
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


def shifted(p: float, dense: bool = False) -> Law:
    """With probability p all of h is moved by a random coarse vector."""

    def mean(v: np.ndarray) -> np.ndarray:
        m = majority.mean_h(v)
        return (1 - p) * m + p * m.mean(axis=(1, 2), keepdims=True)

    return Law(
        mean, lambda v, rng: moved(majority.sample_h(v, rng), coins(v, rng, p).ravel(), rng), dense
    )


def turned(p: float, dense: bool = False) -> Law:
    """With probability p all of h is turned by a right angle."""

    def turn(h: np.ndarray) -> np.ndarray:
        return np.rot90(h, axes=(1, 2))

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(coins(v, rng, p), turn(h), h)

    return Law(lambda v: (1 - p) * majority.mean_h(v) + p * turn(majority.mean_h(v)), drawn, dense)


_pool: dict[int, np.ndarray] = {}


def others(side: int) -> np.ndarray:
    """Return h of other configurations."""
    if side not in _pool:
        if side >= 4:
            spins = rg.sample(2 * side, samples=20_000, seed=9_001).spins
        else:
            spins = rg.sample(8, samples=20_000, seed=9_001).spins[:, : 2 * side, : 2 * side]
        _pool[side] = majority.sample_h(spins, np.random.default_rng(5))
    return _pool[side]


def mixed(p: float, dense: bool = False) -> Law:
    """With probability p all of h is that of another configuration."""

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        pool = others(h.shape[1])
        return np.where(coins(v, rng, p), pool[rng.integers(0, len(pool), len(h))], h)

    return Law(lambda v: (1 - p) * majority.mean_h(v), drawn, dense)


def striped(p: float, dense: bool = False) -> Law:
    """Each row of h has a coin of its own that flips it with probability p."""

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(rng.random((len(h), h.shape[1], 1)) < p, -h, h)

    return Law(lambda v: (1 - 2 * p) * majority.mean_h(v), drawn, dense)


def first(v: np.ndarray) -> np.ndarray:
    """Return the majority rule, ties by the first spin."""
    s = average.mean_h(v)
    return np.where(s == 0, v[:, ::2, ::2], np.sign(s)).astype(np.float32)


def hashed(p: float, dense: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """A function of v whose h is flipped where a hash of the configuration, up to its sign, is below p."""

    def function(v: np.ndarray) -> np.ndarray:
        bits = np.packbits((v * v[:, :1, :1]).reshape(len(v), -1) > 0, axis=1).astype(np.uint64)
        number = np.zeros(len(v), np.uint64)
        for column in bits.T:
            number = (number ^ column) * np.uint64(0x100000001B3)
            number ^= number >> np.uint64(29)
        low = (number >> np.uint64(11)).astype(np.float64) / 2**53 < p
        h = np.where(low[:, None, None], -first(v), first(v))
        return h.reshape(len(h), -1) if dense else h

    return function


def far_product(v: np.ndarray) -> np.ndarray:
    """Return h times the product of two neighbouring spins in a corner: a deterministic coin."""
    return first(v) * (v[:, :1, :1] * v[:, :1, 1:2])


def noisy(p: float, dense: bool = False) -> Law:
    """Each unit of the majority rule flips on its own with probability p."""

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(rng.random(h.shape) < p, -h, h)

    return Law(lambda v: (1 - 2 * p) * majority.mean_h(v), drawn, dense)


def copied(fraction: float, seed: int = 4) -> Callable[[np.ndarray], np.ndarray]:
    """A fraction of the units repeats the value of units elsewhere; no places."""

    def function(v: np.ndarray) -> np.ndarray:
        h = first(v).reshape(len(v), -1)
        rng = np.random.default_rng([seed, h.shape[1]])
        some = rng.choice(h.shape[1], round(fraction * h.shape[1]), replace=False)
        out = h.copy()
        out[:, some] = h[:, rng.integers(0, h.shape[1], len(some))]
        return out

    return function


class Redrawn:
    """A fraction of the units of a noisy block reads the blocks of other units, and draws by itself; no places."""

    def __init__(self, fraction: float, weight: float = 1.0) -> None:
        self.fraction, self.block = fraction, rg.BernoulliBlock(weight)

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


def sums(v: np.ndarray) -> np.ndarray:
    """Return the sums over 2×2 blocks."""
    return 4 * average.mean_h(v)


def biased(field: float, weight: float = 1.0, dense: bool = False) -> Law:
    """A Bernoulli block in a field: mean tanh(w S + field)."""

    def mean(v: np.ndarray) -> np.ndarray:
        return np.tanh(weight * sums(v) + field)

    return Law(mean, lambda v, rng: blocking.signs_with_mean(mean(v), rng), dense)


def ties_up(v: np.ndarray) -> np.ndarray:
    """Return the majority rule, ties up."""
    return np.where(sums(v) >= 0, 1.0, -1.0).astype(np.float32)


def relu(v: np.ndarray) -> np.ndarray:
    """Return the positive part of the block's mean."""
    return np.maximum(average.mean_h(v), 0)


def wide(kernel: np.ndarray, soft: float = math.inf, block: int = 2) -> Any:
    """The sign of a weighted sum over a window about each block, or a draw of mean tanh(soft · sum)."""
    first_site = -((len(kernel) - block) // 2)

    def total(v: np.ndarray) -> np.ndarray:
        out = np.zeros(v.shape, np.float32)
        for i, row in enumerate(kernel):
            for j, weight in enumerate(row):
                if weight:
                    out += weight * np.roll(v, (-(first_site + i), -(first_site + j)), (1, 2))
        return out[:, ::block, ::block]

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


def dense(coarse: Any) -> Any:
    """Take the places of a map away."""
    return blocking.Scrambled(coarse)


def random_h(v: np.ndarray) -> np.ndarray:
    """Return the mean of fair coins."""
    return np.zeros((len(v), v.shape[1] // 2, v.shape[1] // 2))


def fair(dense: bool = False) -> Law:
    """Fair coins, whatever v is."""
    return Law(random_h, lambda v, rng: 2 * rng.integers(0, 2, random_h(v).shape) - 1, dense)


def global_sign(v: np.ndarray) -> np.ndarray:
    """Return the sign of the whole magnetisation at every site."""
    m = v.sum(axis=(1, 2), keepdims=True)
    m = np.where(m == 0, v[:, :1, :1], m)
    return np.sign(m) * np.ones((1, v.shape[1] // 2, v.shape[1] // 2), np.float32)


def half_blind(share: float, seed: int = 3) -> Law:
    """A share of the units, at fixed places, throws fair coins."""

    def blind(h: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([seed, h.shape[1]])
        return rng.random(h.shape[1:]) < share

    def drawn(v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h = majority.sample_h(v, rng)
        return np.where(blind(h), 2 * rng.integers(0, 2, h.shape) - 1, h)

    return Law(lambda v: np.where(blind(majority.mean_h(v)), 0, majority.mean_h(v)), drawn)


def scattered(share: float, seed: int = 6) -> Callable[[np.ndarray], np.ndarray]:
    """A share of the units reads four spins thrown anywhere in place of its block; no places."""

    def function(v: np.ndarray) -> np.ndarray:
        h = first(v).reshape(len(v), -1).copy()
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


def build() -> Mapping[str, Known]:
    """Return all maps by name."""
    found: dict[str, Known] = {}

    def add(kind: str, right: tuple[str, ...], **makers: Maker) -> None:
        for name, make in makers.items():
            found[name] = Known(make, right, kind)

    step, local, features = (RG_STEP,), (LOCAL,), (FEATURES,)
    add("control", step, **{n: (lambda L, n=n: blocking_of(n)) for n in (
        "average", "majority", "cross_majority", "window_majority", "scrambled_majority", "bernoulli_1.0", "bernoulli_2.0")})
    add("control", local, **{n: (lambda L, n=n: blocking_of(n)) for n in ("decimation", "bernoulli_0.5", "bernoulli_0.25", "bernoulli_0.1")})
    add("control", features, **{n: (lambda L, n=n: blocking_of(n)) for n in ("random_tiling", "far_majority")})
    add("control", features, rbm_untrained=lambda L: rg.untrained_rbm(L * L, L * L // 4, 1))

    add("renamed step", step,
        minus_majority=lambda L: lambda v: -first(v),
        majority_first=lambda L: first,
        majority_01=lambda L: zero_one(majority),
        bernoulli_01=lambda L: zero_one(rg.BernoulliBlock(1.0)),
        average_shifted=lambda L: lambda v: average.mean_h(v) + 0.1,
        average_half=lambda L: lambda v: (1 + average.mean_h(v)) / 2,
        average_1000=lambda L: lambda v: 1000 + average.mean_h(v),
        average_scaled=lambda L: lambda v: 3 * average.mean_h(v),
        reflected=lambda L: lambda v: first(v)[:, :, ::-1],
        transposed_dense=lambda L: dense(rg.BernoulliBlock(1.0)),
        offset_majority=lambda L: lambda v: first(np.roll(v, (1, 1), (1, 2))),
        scrambled_cross=lambda L: dense(rg.CrossMajority()),
    )
    add("noisy step", step, **{f"noise_{p:g}": (lambda L, p=p: noisy(p)) for p in (0.01, 0.02, 0.04)},
        noise_dense=lambda L: noisy(0.02, True), bernoulli_07=lambda L: rg.BernoulliBlock(0.7), bernoulli_08=lambda L: rg.BernoulliBlock(0.8))
    add("noisy, on its way", (RG_STEP, LOCAL), **{f"noise_{p:g}": (lambda L, p=p: noisy(p)) for p in (0.07, 0.1)},
        bernoulli_06=lambda L: rg.BernoulliBlock(0.6), bernoulli_042=lambda L: rg.BernoulliBlock(0.42))
    add("washes out", local, **{f"noise_{p:g}": (lambda L, p=p: noisy(p)) for p in (0.2, 0.3, 0.4)},
        bernoulli_03=lambda L: rg.BernoulliBlock(0.3), bernoulli_02=lambda L: rg.BernoulliBlock(0.2), decimation_dense=lambda L: dense(rg.Decimation()),
        bernoulli_03_dense=lambda L: dense(rg.BernoulliBlock(0.3)))
    add("window", step,
        window_3=lambda L: rg.WindowMajority(3), window_5=lambda L: blocking.WindowMajority(5), window_3_dense=lambda L: dense(rg.WindowMajority(3)),
        gaussian_07=lambda L: wide(gaussian(0.7, 4)), gaussian_1=lambda L: wide(gaussian(1.0, 6)), gaussian_15=lambda L: wide(gaussian(1.5, 8)),
        gaussian_1_soft=lambda L: wide(gaussian(1.0, 6), 4.0), gaussian_15_soft=lambda L: wide(gaussian(1.5, 8), 4.0), gaussian_07_soft=lambda L: wide(gaussian(0.7, 4), 4.0),
        uneven=lambda L: wide(np.array([[1.0, 0.9], [0.8, 0.7]])), uneven_3=lambda L: wide(np.array([[0.2, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 0.2]])),
        rows_4=lambda L: wide(np.ones((2, 4))), ring=lambda L: wide(np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0.0]])))
    add("very wide window", step, window_6=lambda L: blocking.WindowMajority(6), gaussian_2=lambda L: wide(gaussian(2.0, 10)),
        gaussian_2_soft=lambda L: wide(gaussian(2.0, 10), 4.0), window_8=lambda L: blocking.WindowMajority(8))
    for name, make in (("flipped", flipped), ("shifted", shifted), ("mixed", mixed), ("turned", turned)):
        for p in (0.02, 0.05, 0.1, 0.2, 0.4, 0.7) if name != "flipped" else (0.02, 0.05, 0.1, 0.2, 0.4):
            for places in (False, True):
                add(f"{name} whole", NOT_RG, **{f"{name}_{p:g}{'_dense' if places else ''}": (lambda L, make=make, p=p, places=places: make(p, places))})
    add("striped", NOT_RG, **{f"striped_{p:g}": (lambda L, p=p: striped(p)) for p in (0.05, 0.2)})
    add("flipped by a function of v", NOT_RG, hashed_5=lambda L: hashed(0.05), hashed_20=lambda L: hashed(0.2), hashed_20_dense=lambda L: hashed(0.2, True), far_product=lambda L: far_product)
    add("copied", NOT_RG, **{f"copied_{f:g}": (lambda L, f=f: copied(f)) for f in (0.1, 0.2, 0.3, 0.5)}, redrawn_20=lambda L: Redrawn(0.2), redrawn_30=lambda L: Redrawn(0.3))
    add("scattered", NOT_RG, scattered_20=lambda L: scattered(0.2), scattered_40=lambda L: scattered(0.4), blind_30=lambda L: half_blind(0.3), blind_60=lambda L: half_blind(0.6))
    add("field", NOT_RG, **{f"field_{f:g}": (lambda L, f=f: biased(f)) for f in (0.03, 0.1, 0.3, 1.0)}, field_dense=lambda L: biased(0.3, dense=True),
        ties_up=lambda L: ties_up, relu=lambda L: relu)
    add("nothing of v", NOT_RG, fair=lambda L: fair(), fair_dense=lambda L: fair(True), other=lambda L: mixed(1.0), other_dense=lambda L: mixed(1.0, True),
        global_sign=lambda L: global_sign, tiling_2=lambda L: blocking.RandomTiling(seed=2))
    add("two methods", ERROR, two_methods=lambda L: Law(majority.mean_h, shifted(1.0).drawn), two_methods_flip=lambda L: Law(majority.mean_h, flipped(0.1).drawn),
        two_methods_dense=lambda L: Law(majority.mean_h, mixed(0.3).drawn, True), wrong_scale=lambda L: Law(lambda v: 0.5 * majority.mean_h(v), majority.sample_h),
        other_units=lambda L: Law(rg.BernoulliBlock(1.0).mean_h, lambda v, rng: (1 + rg.BernoulliBlock(1.0).sample_h(v, rng)) // 2))
    return found


def blocking_of(name: str) -> Any:
    """Return a control by its name."""
    from rgstep.controls import HAND_MADE

    return HAND_MADE[name](2)


MAPS = build()

if __name__ == "__main__":
    kinds: dict[str, list[str]] = {}
    for name, known in MAPS.items():
        kinds.setdefault(known.kind, []).append(name)
    for kind, names in kinds.items():
        print(f"{kind} ({len(names)}): {', '.join(names)}")
    print(len(MAPS))
