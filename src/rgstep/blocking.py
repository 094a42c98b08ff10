"""Coarse graining made by hand: block-spin rules, and maps that look like them and are not.

A block rule replaces every b-by-b block B of spins by one variable. With S_B = Σ_{i∈B} s_i,

    average      h_B = S_B / b²
    majority     h_B = sign S_B, and a tie broken by the rule named (Swendsen 1979)
    decimation   h_B = the spin in the block's first corner
    Bernoulli    p(h_B = ±1 | s) ∝ exp(± w S_B), a majority with noise (Swendsen 1984)
    cross        h_x = sign of the sum over a site and its four neighbours, at every b-th site
    window       h_B = sign of the sum over a larger square about the block: windows that overlap

Each commutes with translations by b, and with the global flip in law. The maps whose known answer is "no":

    random tiling  the majority rule after a fixed permutation of all sites: its blocks are scattered
    far majority   h_x = sign Σ s_{x+d}, d ∈ {0, L/b, …}²: it commutes with every translation, and is not local
    scrambled      any map, its units in another order and with other signs, as a dense network gives them
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from rgstep.arguments import CONFIGURATIONS, COUNT, GENERATOR, SEED, broken, checked, one_of, real, whole
from rgstep.lattice import block_sums, check_blocks
from rgstep.streams import stream
from rgstep.types import CoarseGraining, Field, Rng, Samples, Spins

TIES = ("random", "first", "zero")
LARGEST_WEIGHT = 20.0  # tanh is ±1 to rounding beyond; ∞ · 0 on a tie would be no number
WIDEST = 1024  # sites of a window: the side of the largest lattice that is sampled
WEIGHT = real("must be a finite number; Majority is the limit of large weights", math.isfinite)


def signs_with_mean(mean: Field, rng: Rng) -> Spins:
    """Draw ±1 variables of given means, one uniform number each."""
    uniform = rng.random(mean.shape, dtype=np.float32)
    return np.where(2 * uniform - 1 < mean, np.int8(1), np.int8(-1))


def fair_ties(mean: Field, rng: Rng) -> Field:
    """Return signs with every 0 replaced by a fair coin."""
    return np.where(mean == 0, 2 * rng.integers(0, 2, mean.shape, dtype=np.int8) - 1, mean)


@lru_cache(maxsize=64)
def permutation(units: int, seed: int, purpose: str = "order") -> np.ndarray:
    """Return a fixed order of so many units, read-only; another one for each seed and purpose."""
    order = stream(seed, f"permutation: {purpose}", units).permutation(units)
    order.setflags(write=False)
    return order


@checked(block=COUNT)
@dataclass(frozen=True, slots=True)
class Average:
    """The mean of each b-by-b block.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, 0, :2] = -1
        >>> rg.Average().mean_h(v)
        array([[[0., 1.],
                [1., 1.]]], dtype=float32)
    """

    block: int = 2

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return S_B / b², `(sample, L/b, L/b)`."""
        return block_sums(v, self.block) / np.float32(self.block**2)

    def sample_h(self, v: Samples, rng: Rng) -> Field:
        """Return S_B / b²: nothing is random."""
        return self.mean_h(v)


@checked(block=COUNT, ties=one_of(TIES, "rule for ties"))
@dataclass(frozen=True, slots=True)
class Majority:
    """The sign of the sum over each b-by-b block.

    Ties (8.5 % of the 2×2 blocks at T_c) take a fair coin (`ties="random"`), the block's first spin (`"first"`), or
    the value 0 (`"zero"`, the one rule whose h is not ±1).

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, :2, :2] = [[-1, -1], [-1, 1]]
        >>> rg.Majority().mean_h(v)
        array([[[-1.,  1.],
                [ 1.,  1.]]], dtype=float32)
        >>> rg.Majority().sample_h(v, np.random.default_rng(0)).dtype
        dtype('int8')
    """

    block: int = 2
    ties: Literal["random", "first", "zero"] = "random"

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return E[h | v], `(sample, L/b, L/b)`: the sign of each sum; a tie gives 0 or the first spin."""
        mean = np.sign(block_sums(v, self.block))
        if self.ties == "first":
            mean = np.where(mean == 0, v[:, :: self.block, :: self.block], mean)
        return np.asarray(mean, dtype=np.float32)

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Draw h, int8 ±1 (0 too where ties give zero)."""
        mean = self.mean_h(v)
        if self.ties == "random":
            mean = fair_ties(mean, rng)
        return mean.astype(np.int8)


@checked(block=COUNT)
@dataclass(frozen=True, slots=True)
class Decimation:
    """The spin in the first corner of each b-by-b block.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, 2, 0] = -1
        >>> rg.Decimation().mean_h(v)
        array([[[ 1.,  1.],
                [-1.,  1.]]], dtype=float32)
    """

    block: int = 2

    def mean_h(self, v: Samples) -> Field:
        """Return the kept spins as floats, `(sample, L/b, L/b)`."""
        return self.kept(v).astype(np.float32)

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Return the kept spins: nothing is random."""
        return self.kept(v).copy()

    @checked(v=CONFIGURATIONS)
    def kept(self, v: Samples) -> Samples:
        """Return every b-th spin of every b-th row."""
        check_blocks(v, self.block)
        return v[:, :: self.block, :: self.block]


@checked(block=COUNT)
@dataclass(frozen=True, slots=True)
class CrossMajority:
    """The sign of the sum over a site and its four neighbours, at every b-th site of every b-th row.

    Five spins have no ties. The windows touch but do not tile, so that its fixed point is another than that of the
    majority rule of blocks, of the same universality class.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, 0, 0] = -1
        >>> rg.CrossMajority().mean_h(v)  # one of five spins is down: the others decide
        array([[[1., 1.],
                [1., 1.]]], dtype=float32)
    """

    block: int = 2

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return the sign of each sum, `(sample, L/b, L/b)`."""
        check_blocks(v, self.block)
        total = v.astype(np.float32)
        for axis in (1, 2):
            for shift in (1, -1):
                total += np.roll(v, shift, axis)
        return np.sign(total[:, :: self.block, :: self.block])

    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Return the signs, int8: nothing is random."""
        return self.mean_h(v).astype(np.int8)


@checked(width=whole(1, WIDEST, floats=True), block=COUNT)
@dataclass(frozen=True, slots=True)
class WindowMajority:
    """The sign of the sum over a square window about each b-by-b block, wider than the block; ties take a fair coin.

    The windows overlap, so that neighbouring h share spins: the couplings of its fixed point are stronger and reach
    further than the majority rule's, and the first steps go further to get there. On a torus that is smaller than the
    window a site counts as often as it is met.

    Examples:
        >>> v = np.ones((1, 8, 8))
        >>> v[0, :2, :2] = -1
        >>> float(rg.WindowMajority(width=4).mean_h(v)[0, 0, 0])  # twelve of the sixteen spins about the block are up
        1.0
    """

    width: int = 4
    block: int = 2

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return the sign of each sum, 0 for a tie, `(sample, L/b, L/b)`."""
        check_blocks(v, self.block)
        first = -((self.width - self.block) // 2)
        total = v.astype(np.float32)
        for axis in (1, 2):
            along = np.zeros_like(total)
            for shift in range(first, first + self.width):
                along += np.roll(total, -shift, axis)
            total = along
        return np.sign(total[:, :: self.block, :: self.block])

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Draw h, int8 ±1."""
        return fair_ties(self.mean_h(v), rng).astype(np.int8)


@checked(weight=WEIGHT, block=COUNT)
@dataclass(frozen=True, slots=True)
class BernoulliBlock:
    """A block variable drawn as h = ±1 with probability ∝ exp(±w S_B): the RBM whose weights are w on each tile.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, 0, :2] = -1
        >>> rg.BernoulliBlock(weight=0.5).mean_h(v).round(3)  # tanh(w S)
        array([[[0.   , 0.964],
                [0.964, 0.964]]], dtype=float32)
    """

    weight: float = 1.0
    block: int = 2

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return tanh(w S_B), `(sample, L/b, L/b)`."""
        weight = np.clip(self.weight, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        return np.tanh(np.float32(weight) * block_sums(v, self.block))

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Draw h, int8 ±1."""
        return signs_with_mean(self.mean_h(v), rng)


@checked(block=COUNT, seed=SEED)
@dataclass(frozen=True, slots=True)
class RandomTiling:
    """The majority rule after a fixed permutation of all sites: a feature extractor, not RG.

    Its h has the law of h of b² spins thrown together from anywhere: two units are correlated alike whatever their
    distance, and a critical two-point function becomes flat. Ties take fair coins. Each lattice size has its own
    permutation, drawn from the seed, so that the map can be applied to its own h.

    Examples:
        >>> v = rg.sample(8, samples=100, seed=0).spins
        >>> rg.RandomTiling(seed=1).mean_h(v).shape
        (100, 4, 4)
    """

    block: int = 2
    seed: int = 0

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return the sign of each sum of b² scattered spins, 0 for a tie, `(sample, L/b, L/b)`."""
        check_blocks(v, self.block)
        sites = v.shape[1] * v.shape[2]
        shuffled = v.reshape(len(v), sites)[:, permutation(sites, self.seed)]
        return Majority(self.block).mean_h(shuffled.reshape(v.shape))

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Draw h, int8 ±1."""
        return fair_ties(self.mean_h(v), rng).astype(np.int8)


@checked(block=COUNT)
@dataclass(frozen=True, slots=True)
class FarMajority:
    """The sign of the sum over b² sites L/b apart, h_x for x in the first L/b rows and columns: not RG.

    Equivariance without locality: translating v by one site translates h by one, on a torus of side L/b, but each h
    reads spins from all over the lattice. Ties take fair coins.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> v[0, :2, :2] = -1  # one of the four spins that each unit reads
        >>> rg.FarMajority().mean_h(v)
        array([[[1., 1.],
                [1., 1.]]], dtype=float32)
    """

    block: int = 2

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return the sign of each sum, 0 for a tie, `(sample, L/b, L/b)`."""
        check_blocks(v, self.block)
        coarse = v.shape[1] // self.block
        total = np.zeros((len(v), coarse, coarse), dtype=np.float32)
        for row in range(0, v.shape[1], coarse):
            for column in range(0, v.shape[1], coarse):
                total += v[:, row : row + coarse, column : column + coarse]
        return np.sign(total)

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Draw h, int8 ±1."""
        return fair_ties(self.mean_h(v), rng).astype(np.int8)


def a_map(name: str, value: object) -> CoarseGraining:
    """Check a map with both methods."""
    if isinstance(value, type) or not isinstance(value, CoarseGraining):
        raise broken(name, value, "give a map with mean_h(v) and sample_h(v, rng), Scrambled(Majority())")
    return value


@checked(coarse=a_map, seed=SEED)
@dataclass(frozen=True, slots=True)
class Scrambled:
    """A map whose units are put in another order and given other signs; places are lost, `(sample, unit)`.

    What `gauge.find` must undo: the verdict on a scrambled map is that on the map. Unit a is unit `permutation(m,
    seed)[a]` of the map; ties and draws are the map's own.

    Examples:
        >>> v = np.ones((1, 4, 4))
        >>> rg.Scrambled(rg.Average(), seed=3).mean_h(v)
        array([[-1., -1.,  1.,  1.]], dtype=float32)
    """

    coarse: CoarseGraining
    seed: int = 0

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> Field:
        """Return E[h | v], `(sample, unit)`."""
        return self.scrambled(self.coarse.mean_h(v))

    @checked(v=CONFIGURATIONS)
    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Draw h, `(sample, unit)`, of the type that the map draws."""
        return self.scrambled(self.coarse.sample_h(v, rng))

    def scrambled(self, h: Samples) -> Samples:
        """Return h in the order and with the signs of the seed."""
        units = math.prod(h.shape[1:])
        return np.asarray(h.reshape(len(h), units)[:, permutation(units, self.seed)] * self.signs(units))

    def signs(self, units: int) -> np.ndarray:
        """Return the sign given to each unit, int8."""
        return np.where(permutation(units, self.seed, "signs") % 2, np.int8(1), np.int8(-1))
