"""Bits that are set with a given probability, sixty-four at a time.

A mask whose bits are set with probability p is made of ten random words w_1 … w_10, from the last of ten binary digits
of p to the first,

    mask ← w & mask  (digit 0),        mask ← w | mask  (digit 1),

and what is missing, less than 2^−10, is set at rare places, a geometric number of bits apart: p is exact to the
rounding of a double, at a quarter of the random words that forty digits would take. Two masks may share the words, and
are nested where the same words count the same in both.

Ten digits: with nine the rare places cost as much as a digit saves, with more LLVM no longer unrolls the loop
(docs/design-notes.md).
"""

import math
from typing import NamedTuple

import numpy as np

DIGITS = 10  # as many as the loop of `multispin.draw_masks` has
ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
NEVER = -(2.0**57)  # mean gap between rare places that do not occur; 37 of them still fit in 63 bits


class Chances(NamedTuple):
    """Two probabilities p ≥ q for `draw_masks`: digits as words of zeros or ones, rare places as mean gaps."""

    wide_start: np.uint64
    wide: tuple[np.uint64, ...]
    wide_gap: float
    narrow_start: np.uint64
    narrow: tuple[np.uint64, ...]
    narrow_gap: float
    turn: tuple[np.uint64, ...]  # where the digits differ: nests the masks
    inverted: bool = False  # the masks stand for their complements

    @property
    def gaps(self) -> tuple[float, float]:
        """The mean gaps of both masks."""
        return self.wide_gap, self.narrow_gap


def chances(p: float, q: float) -> Chances:
    """Return the digits and rare places of two probabilities 1 ≥ p ≥ q ≥ 0.

    A rare place of `narrow` is set in `wide` too: 1 − q = (1 − q₁₀)(1 − ε_q) and 1 − p = (1 − p₁₀)(1 − ε_q)(1 − ε_p).
    """
    q_digits, q_rare = split(q, 0.0)
    p_digits, p_rare = split(p, q_rare)
    (p_start, p_words), (q_start, q_words) = words(p_digits), words(q_digits)
    turn = tuple(word(bool(step)) for step in digits_of(p_digits) ^ digits_of(q_digits))
    return Chances(p_start, p_words, gap(p_rare), q_start, q_words, gap(q_rare), turn)


def split(p: float, already: float) -> tuple[int, float]:
    """Return the digits of p (an integer, of 2^10) and the chance of a rare place that makes up for the rest."""
    wanted = 1.0 if p >= 1.0 else 1.0 - (1.0 - p) / (1.0 - already)
    digits = min(max(0, math.floor(wanted * 2**DIGITS)), 2**DIGITS)
    if digits == 2**DIGITS or already >= 1.0:
        return 2**DIGITS, 0.0
    kept = digits / 2**DIGITS
    return digits, max(0.0, (p - kept - already * (1.0 - kept)) / ((1.0 - kept) * (1.0 - already)))


def words(digits: int) -> tuple[np.uint64, tuple[np.uint64, ...]]:
    """Return the start and the words d_j such that mask ← (w_j & mask) ^ d_j does all digits, least first.

    The update of the docstring is (w & (mask ^ m)) ^ m for digit m (the complement of a random word is one too); the
    exclusive-or with the next digit is drawn into the step before. 2^10 itself is 2^10 − 1 with a start of ones.
    """
    bits = digits_of(digits)
    steps = bits ^ np.append(bits[1:], False)
    return word(bool(bits[0]) ^ (digits == 2**DIGITS)), tuple(word(bool(step)) for step in steps)


def digits_of(digits: int) -> np.ndarray:
    """Return the binary digits of a number, least first; 2^10 counts as 2^10 − 1."""
    return np.asarray(min(digits, 2**DIGITS - 1) >> np.arange(DIGITS) & 1, bool)


def word(bit: bool) -> np.uint64:
    """Return 64 copies of a bit."""
    return ONES if bit else np.uint64(0)


def gap(chance: float) -> float:
    """Return g such that floor(g ln u) places lie between two that are set, u uniform: 1/ln(1 − chance)."""
    return NEVER if chance <= 1.0 / -NEVER else 1.0 / math.log1p(-min(chance, 1.0 - 2.0**-53))


def metropolis_chances(coupling: float) -> Chances:
    """Return the chances of Metropolis et al. (1953): e^−4K for one neighbour against, e^−8K for none."""
    return chances(math.exp(-4.0 * coupling), math.exp(-8.0 * coupling))


def heat_bath_chances(coupling: float) -> Chances:
    """Return the chances of the heat bath, tanh 4K and tanh 2K, or of their complements where these are smaller.

    A rare place is lost where digits have set the bit already, so that large probabilities need many of them.
    """
    p, q = math.tanh(4.0 * coupling), math.tanh(2.0 * coupling)
    if p <= 1.0 - q:
        return chances(p, q)
    low, lower = math.exp(-4.0 * coupling), math.exp(-8.0 * coupling)
    return chances(2.0 * low / (1.0 + low), 2.0 * lower / (1.0 + lower))._replace(inverted=True)


def first_place(draw: np.uint64, mean_gap: float) -> np.uint64:
    """Return how many bits lie before the first rare place, from one random word."""
    return np.uint64(math.floor(math.log((int(draw >> np.uint64(11)) + 0.5) * 2.0**-53) * mean_gap))
