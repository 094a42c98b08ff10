"""Coarse graining made by hand: block-spin rules.

A block rule replaces every b-by-b block B of spins by one variable. With S_B = Σ_{i∈B} s_i,

    average      h_B = S_B / b²
    majority     h_B = sign S_B, and a tie broken by the rule named (Swendsen 1979)
    decimation   h_B = the spin in the block's first corner
    Bernoulli    p(h_B = ±1 | s) ∝ exp(± w S_B), a majority with noise (Swendsen 1984)

Each commutes with translations by b, and with the global flip in law.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rgstep.errors import InputError, require_positive, unknown_name
from rgstep.lattice import block_sums, check_blocks
from rgstep.types import Field, Rng, Samples, Spins

TIES = ("random", "first", "zero")
LARGEST_WEIGHT = 20.0  # tanh is ±1 to rounding beyond; ∞ · 0 on a tie would be no number


def signs_with_mean(mean: Field, rng: Rng) -> Spins:
    """Draw ±1 variables of given means, one uniform number each."""
    uniform = rng.random(mean.shape, dtype=np.float32)
    return np.where(2 * uniform - 1 < mean, np.int8(1), np.int8(-1))


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of each b-by-b block."""

    block: int = 2

    def __post_init__(self) -> None:
        """Check the block side."""
        object.__setattr__(self, "block", require_positive("block", self.block))

    def mean_h(self, v: Spins) -> Field:
        """Return S_B / b², `(sample, L/b, L/b)`."""
        return block_sums(v, self.block) / np.float32(self.block**2)

    def sample_h(self, v: Spins, rng: Rng) -> Field:
        """Return S_B / b²: nothing is random."""
        return self.mean_h(v)


@dataclass(frozen=True, slots=True)
class Majority:
    """The sign of the sum over each b-by-b block.

    Ties (8.5 % of the 2×2 blocks at T_c) take a fair coin (`ties="random"`), the block's first spin (`"first"`), or
    the value 0 (`"zero"`, the one rule whose h is not ±1).
    """

    block: int = 2
    ties: Literal["random", "first", "zero"] = "random"

    def __post_init__(self) -> None:
        """Check the block side and the rule for ties."""
        object.__setattr__(self, "block", require_positive("block", self.block))
        if self.ties not in TIES:
            kind = "rule for ties"
            raise unknown_name(kind, self.ties, TIES)

    def mean_h(self, v: Spins) -> Field:
        """Return E[h | v], `(sample, L/b, L/b)`: the sign of each sum; a tie gives 0 or the first spin."""
        mean = np.sign(block_sums(v, self.block))
        if self.ties == "first":
            mean = np.where(mean == 0, v[:, :: self.block, :: self.block], mean)
        return np.asarray(mean, dtype=np.float32)

    def sample_h(self, v: Spins, rng: Rng) -> Samples:
        """Draw h, int8 ±1 (0 too where ties give zero)."""
        mean = self.mean_h(v)
        if self.ties == "random":
            mean = np.where(mean == 0, 2 * rng.integers(0, 2, mean.shape, dtype=np.int8) - 1, mean)
        return mean.astype(np.int8)


@dataclass(frozen=True, slots=True)
class Decimation:
    """The spin in the first corner of each b-by-b block."""

    block: int = 2

    def __post_init__(self) -> None:
        """Check the block side."""
        object.__setattr__(self, "block", require_positive("block", self.block))

    def mean_h(self, v: Spins) -> Field:
        """Return the kept spins as floats, `(sample, L/b, L/b)`."""
        return self.kept(v).astype(np.float32)

    def sample_h(self, v: Spins, rng: Rng) -> Spins:
        """Return the kept spins: nothing is random."""
        return self.kept(v).copy()

    def kept(self, v: Spins) -> Spins:
        """Return every b-th spin of every b-th row."""
        check_blocks(v, self.block)
        return v[:, :: self.block, :: self.block]


@dataclass(frozen=True, slots=True)
class BernoulliBlock:
    """A block variable drawn as h = ±1 with probability ∝ exp(±w S_B): the RBM whose weights are w on each tile."""

    weight: float = 1.0
    block: int = 2

    def __post_init__(self) -> None:
        """Check the block side and the weight."""
        object.__setattr__(self, "block", require_positive("block", self.block))
        if not np.isfinite(self.weight):
            message = f"weight = {self.weight}: must be a finite number; Majority is the limit of large weights"
            raise InputError(message)

    def mean_h(self, v: Spins) -> Field:
        """Return tanh(w S_B), `(sample, L/b, L/b)`."""
        weight = np.clip(self.weight, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        return np.tanh(np.float32(weight) * block_sums(v, self.block))

    def sample_h(self, v: Spins, rng: Rng) -> Spins:
        """Draw h, int8 ±1."""
        return signs_with_mean(self.mean_h(v), rng)
