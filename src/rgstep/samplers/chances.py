"""Bits that are set with a given probability, sixty-four at a time.

A mask whose bits are set with probability p is made of nine random words w_1 … w_9, from the last of nine binary digits
of p to the first,

    mask ← w & mask  (digit 0),        mask ← w | mask  (digit 1),

and what is missing, less than 2^−9, is set at rare places: p is exact to the rounding of a double, at a quarter of the
random words that forty digits would take. Two masks may share the words, and are nested where the same words count the
same in both.

Rare places are few: on a row of n bits Poisson(nλ) darts land anywhere. Each bit is hit with probability ε = 1 − e^−λ,
independently of every other (a Poisson process cut into n equal pieces).

Nine digits: with eight the rare places cost more than a digit saves, with ten less (docs/design-notes.md).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import pdtrc

DIGITS = 9  # as many as the loops of `multispin.draw_masks` and `cluster.draw_bonds` have
ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


class Chances(NamedTuple):
    """Two probabilities p ≥ q for `draw_masks`: digits as words of zeros or ones, and mean darts on a bit."""

    wide_start: np.uint64
    wide: tuple[np.uint64, ...]
    wide_rate: float
    narrow_start: np.uint64
    narrow: tuple[np.uint64, ...]
    narrow_rate: float
    turn: tuple[np.uint64, ...]  # where the digits differ: nests the masks
    inverted: bool = False  # the masks stand for their complements


def chances(p: float, q: float) -> Chances:
    """Return the digits and rare places of two probabilities 1 ≥ p ≥ q ≥ 0.

    A rare place of `narrow` is set in `wide` too: 1 − q = (1 − q₉)(1 − ε_q) and 1 − p = (1 − p₉)(1 − ε_q)(1 − ε_p).
    """
    q_digits, q_rare = split(q, 0.0)
    p_digits, p_rare = split(p, q_rare)
    (p_start, p_words), (q_start, q_words) = words(p_digits), words(q_digits)
    turn = tuple(word(bool(step)) for step in digits_of(p_digits) ^ digits_of(q_digits))
    return Chances(p_start, p_words, darts_a_bit(p_rare), q_start, q_words, darts_a_bit(q_rare), turn)


def split(p: float, already: float) -> tuple[int, float]:
    """Return the digits of p (an integer, of 2^9) and the chance of a rare place that makes up for the rest."""
    wanted = 1.0 if p >= 1.0 else 1.0 - (1.0 - p) / (1.0 - already)
    digits = min(max(0, math.floor(wanted * 2**DIGITS)), 2**DIGITS)
    if digits == 2**DIGITS or already >= 1.0:
        return 2**DIGITS, 0.0
    kept = digits / 2**DIGITS
    return digits, max(0.0, (p - kept - already * (1.0 - kept)) / ((1.0 - kept) * (1.0 - already)))


def words(digits: int) -> tuple[np.uint64, tuple[np.uint64, ...]]:
    """Return the start and the words d_j such that mask ← (w_j & mask) ^ d_j does all digits, least first.

    The update of the docstring is (w & (mask ^ m)) ^ m for digit m (the complement of a random word is one too); the
    exclusive-or with the next digit is drawn into the step before. 2^9 itself is 2^9 − 1 with a start of ones.
    """
    bits = digits_of(digits)
    steps = bits ^ np.append(bits[1:], False)
    return word(bool(bits[0]) ^ (digits == 2**DIGITS)), tuple(word(bool(step)) for step in steps)


def digits_of(digits: int) -> np.ndarray:
    """Return the binary digits of a number, least first; 2^9 counts as 2^9 − 1."""
    return np.asarray(min(digits, 2**DIGITS - 1) >> np.arange(DIGITS) & 1, bool)


def word(bit: bool) -> np.uint64:
    """Return 64 copies of a bit."""
    return ONES if bit else np.uint64(0)


def darts_a_bit(chance: float) -> float:
    """Return λ, the mean number of darts on a bit that is hit with a given chance: −ln(1 − chance)."""
    return -math.log1p(-min(chance, 1.0 - 2.0**-53))


def darts(law: Chances, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for both masks the chances of more than 0, 1, 2, … darts on a row of so many bits, as 64-bit fractions."""
    return poisson_tail(bits * law.wide_rate), poisson_tail(bits * law.narrow_rate)


def poisson_tail(mean: float) -> np.ndarray:
    """Return P(n > k) · 2^64 for k = 0, 1, … until it vanishes, n a Poisson number."""
    tail = pdtrc(np.arange(math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)), mean) * 2.0**64
    fractions: np.ndarray = np.minimum(tail, 2.0**64 - 2.0**11).astype(np.uint64)  # the largest double below 2^64
    return fractions


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
