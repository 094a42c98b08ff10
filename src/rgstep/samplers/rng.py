"""Random numbers of the samplers: where they come from, and bits that are set with a given probability.

Every random number comes from a hash of its name,

    (seed, L, K, what, purpose, group)  →  64-bit words,

and a group of chains starts its generators from these words alone. So no number depends on how many threads work, in
which order, or what else a call asks for. NumPy's `SeedSequence` hashes the name into the key of a counter-based
generator, Philox4x64-10 (Salmon et al. 2011), which makes the words; within a group the generators of `multispin`,
`cluster` and `single` run on from there.

A mask, a row of bits that are set with probability p, takes nine random words w_1 … w_9 for each of its words, from the
last of nine binary digits of p to the first,

    mask ← w & mask  (digit 0),        mask ← w | mask  (digit 1).

This sets a bit with the probability of the nine digits. What is missing, less than 2^−9, is made up for at rare places:
a Poisson number of hits with mean nλ, uniform on the n bits of a row, hits each bit with probability ε = 1 − e^−λ,
independently of every other (a Poisson process cut into n equal pieces). p is exact to the rounding of a double, at a
quarter of the random words that forty digits would take. Two masks may share their words, and are nested where a word
counts the same in both.

Nine digits: with eight the rare places cost more than a digit saves, with ten less (docs/design-notes.md).
"""

import math
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

import numpy as np
from scipy.special import pdtrc

from rgstep.ising import Ising

DIGITS = 9  # as many as the loops of `multispin.draw_masks` and `cluster.draw_bonds` have
ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


class Purpose(IntEnum):
    """What random numbers are for; part of their name."""

    DATA = 0
    PILOT = 1
    HOT = 2
    STREAM = 3


def seed_sequence(
    system: Ising, seed: int, purpose: Purpose = Purpose.DATA, group: int = 0, what: str = ""
) -> np.random.SeedSequence:
    """Return the source of one group of chains; `what` names their kind and mode, so that no two sets share one."""
    bits = int(np.float64(system.coupling).view(np.uint64))
    entropy = [int(seed), system.size, bits & 0xFFFFFFFF, bits >> 32]
    return np.random.SeedSequence(entropy, spawn_key=(crc32(what.encode()), int(purpose), group))


def words(source: np.random.SeedSequence, *shape: int) -> np.ndarray:
    """Return fresh random words, uint64 of this shape; each call goes on where the last one ended."""
    (child,) = source.spawn(1)
    return np.random.Philox(child).random_raw(int(np.prod(shape))).reshape(shape)


def fair_signs(source: np.random.SeedSequence, count: int) -> np.ndarray:
    """Return fair ±1, int8 `(count,)`."""
    bits = np.unpackbits(words(source, -(-count // 64)).view(np.uint8))[:count]
    return (2 * bits.view(np.int8) - 1).astype(np.int8)


def fair_spins(source: np.random.SeedSequence, chains: int, size: int) -> np.ndarray:
    """Return independent fair spins, int8 `(chain, row, column)`."""
    return fair_signs(source, chains * size * size).reshape(chains, size, size)


class MaskLaw(NamedTuple):
    """The probabilities p ≥ q of two masks: their digits, as words of zeros or ones, and λ, the mean hits on a bit."""

    wide_start: np.uint64
    wide: tuple[np.uint64, ...]
    wide_rate: float
    narrow_start: np.uint64
    narrow: tuple[np.uint64, ...]
    narrow_rate: float
    turn: tuple[np.uint64, ...]  # where the digits differ: nests the masks
    inverted: bool = False  # the masks stand for their complements


def mask_law(p: float, q: float) -> MaskLaw:
    """Return the digits and rare places of two probabilities 1 ≥ p ≥ q ≥ 0.

    A rare place of `narrow` is set in `wide` too: 1 − q = (1 − q₉)(1 − ε_q) and 1 − p = (1 − p₉)(1 − ε_q)(1 − ε_p).
    """
    q_digits, q_rare = split(q, 0.0)
    p_digits, p_rare = split(p, q_rare)
    (p_start, p_words), (q_start, q_words) = digit_words(p_digits), digit_words(q_digits)
    turn = tuple(repeated(bool(step)) for step in binary(p_digits) ^ binary(q_digits))
    return MaskLaw(p_start, p_words, hit_rate(p_rare), q_start, q_words, hit_rate(q_rare), turn)


def metropolis_law(coupling: float) -> MaskLaw:
    """Return the law of Metropolis et al. (1953): e^−4K for one neighbour against, e^−8K for none."""
    return mask_law(math.exp(-4.0 * coupling), math.exp(-8.0 * coupling))


def heat_bath_law(coupling: float) -> MaskLaw:
    """Return the law of the heat bath, tanh 4K and tanh 2K, or of their complements where these are smaller.

    A rare place is lost where digits have set the bit already, so that large probabilities need many of them.
    """
    p, q = math.tanh(4.0 * coupling), math.tanh(2.0 * coupling)
    if p <= 1.0 - q:
        return mask_law(p, q)
    low, lower = math.exp(-4.0 * coupling), math.exp(-8.0 * coupling)
    return mask_law(2.0 * low / (1.0 + low), 2.0 * lower / (1.0 + lower))._replace(inverted=True)


def bond_law(coupling: float) -> MaskLaw:
    """Return as `wide` the law of an open bond, 1 − exp(−2K), or of its complement where that is less."""
    p = -math.expm1(-2.0 * coupling)
    return mask_law(p, 0.0) if p <= 0.5 else mask_law(math.exp(-2.0 * coupling), 0.0)._replace(inverted=True)


def split(p: float, already: float) -> tuple[int, float]:
    """Return the digits of p, an integer in units of 2^−9, and the probability ε of a rare place, which is the rest.

    `already` is the probability that the rare places of the other mask set a bit.
    """
    wanted = 1.0 if p >= 1.0 else 1.0 - (1.0 - p) / (1.0 - already)
    digits = min(max(0, math.floor(wanted * 2**DIGITS)), 2**DIGITS)
    if digits == 2**DIGITS or already >= 1.0:
        return 2**DIGITS, 0.0
    kept = digits / 2**DIGITS
    return digits, max(0.0, (p - kept - already * (1.0 - kept)) / ((1.0 - kept) * (1.0 - already)))


def digit_words(digits: int) -> tuple[np.uint64, tuple[np.uint64, ...]]:
    """Return the start and the words d_j such that mask ← (w_j & mask) ^ d_j does all digits, least first.

    The update at the top of this file is (w & (mask ^ m)) ^ m for digit m (the complement of a random word is one too);
    the exclusive-or with the next digit is drawn into the step before. 2^9 itself is 2^9 − 1 with a start of ones.
    """
    bits = binary(digits)
    steps = bits ^ np.append(bits[1:], False)
    return repeated(bool(bits[0]) ^ (digits == 2**DIGITS)), tuple(repeated(bool(step)) for step in steps)


def binary(digits: int) -> np.ndarray:
    """Return the binary digits of a number, least first; 2^9 counts as 2^9 − 1."""
    return np.asarray(min(digits, 2**DIGITS - 1) >> np.arange(DIGITS) & 1, bool)


def repeated(bit: bool) -> np.uint64:
    """Return 64 copies of a bit."""
    return ONES if bit else np.uint64(0)


def hit_rate(chance: float) -> float:
    """Return λ, the mean number of hits on a bit that is hit at all with a given probability: −ln(1 − chance)."""
    return -math.log1p(-min(chance, 1.0 - 2.0**-53))


def hit_tails(law: MaskLaw, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for both masks the probabilities of more than 0, 1, 2, … hits on a row of so many bits, times 2^64."""
    return poisson_tail(bits * law.wide_rate), poisson_tail(bits * law.narrow_rate)


def poisson_tail(mean: float) -> np.ndarray:
    """Return P(n > k) · 2^64 for k = 0, 1, … until it vanishes, n a Poisson number, uint64."""
    tail = pdtrc(np.arange(math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)), mean) * 2.0**64
    fractions: np.ndarray = np.minimum(tail, 2.0**64 - 2.0**11).astype(np.uint64)  # the largest double below 2^64
    return fractions
