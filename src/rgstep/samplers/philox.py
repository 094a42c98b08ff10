"""Multi-spin Metropolis with another random number generator and another comparison: the cross-check of `multispin`.

The words come from Philox4x32-10 (Salmon et al. 2011), a pure function of (seed of the block, sweep, row, word, digit);
u < p is decided digit by digit from the first one until every replica is decided, so that p has all 64 digits and no
rare places. Nothing is shared with `multispin` but the layout of the spins. Twenty times slower.
"""

import math
import typing
from fractions import Fraction

import numpy as np

from rgstep.compiled import helper, kernel
from rgstep.ising import Ising
from rgstep.samplers import streams
from rgstep.samplers.chances import ONES, metropolis_chances
from rgstep.samplers.multispin import Block

LOW = np.uint64(0xFFFFFFFF)


class PhiloxMetropolis(Block):
    """Chains of Metropolis et al. (1953) on Philox."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, metropolis_chances(system.coupling))
        self.key = streams.words(source, 1)
        self.digits = np.stack([digits(math.exp(-4.0 * power * system.coupling)) for power in (1, 2)])
        self.swept = 0

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        metropolis(self.spins, self.key[0], np.uint64(self.swept), self.digits, sweeps, self.width)
        self.swept += sweeps


def digits(p: float) -> np.ndarray:
    """Return the first 64 binary digits of p < 1 as words of zeros or ones; p = 1 as sixty-four ones."""
    number = min(int(Fraction(p) * 2**64), 2**64 - 1)
    return np.array([ONES if number >> (63 - j) & 1 else 0 for j in range(64)], np.uint64)


@helper
@typing.no_type_check
def philox(key, high, low):
    """Return two random 64-bit words at a place of 128 bits: ten rounds of Philox4x32 (Salmon et al. 2011)."""
    c0, c1 = low & np.uint64(0xFFFFFFFF), low >> np.uint64(32)
    c2, c3 = high & np.uint64(0xFFFFFFFF), high >> np.uint64(32)
    k0, k1 = key & np.uint64(0xFFFFFFFF), key >> np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (b >> np.uint64(32)) ^ c1 ^ k0,
            b & np.uint64(0xFFFFFFFF),
            (a >> np.uint64(32)) ^ c3 ^ k1,
            a & np.uint64(0xFFFFFFFF),
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
        k1 = (k1 + np.uint64(0xBB67AE85)) & np.uint64(0xFFFFFFFF)
    return c0 | (c1 << np.uint64(32)), c2 | (c3 << np.uint64(32))


@helper
@typing.no_type_check
def below(key, high, low, wanted, digits):
    """Return a word whose bits are u < p where `wanted` is set, with fresh u for each; zeros elsewhere."""
    less, open_bits = np.uint64(0), wanted
    for pair in range(32):
        words = philox(key, high, low + np.uint64(pair))
        for half in range(2):
            digit = digits[2 * pair + half]
            less |= open_bits & digit & ~words[half]
            open_bits &= ~(digit ^ words[half])
        if open_bits == 0:
            break
    return less


@kernel
@typing.no_type_check
def metropolis(spins, key, swept, digits, sweeps, W):
    """Sweep a block `(2, L, L/2 · W)` in place; `swept` sweeps were made before. Cost: 2 to 4 ns a spin."""
    L, n = spins.shape[1:]
    for t in range(sweeps):
        for colour in range(2):
            for i in range(L):
                here = spins[colour, i]
                above = spins[1 - colour, i - 1 if i > 0 else L - 1]
                beneath = spins[1 - colour, i + 1 if i + 1 < L else 0]
                side = spins[1 - colour, i]
                step = W if (i + colour) & 1 else n - W
                for x in range(n):
                    s = here[x]
                    other = side[(x + step) % n]
                    a, b, c, d = s ^ above[x], s ^ beneath[x], s ^ side[x], s ^ other
                    some = a | b | c | d
                    always = (a & b) | (c & d) | ((a | b) & (c | d))
                    high = swept + np.uint64(t)
                    low = (np.uint64((colour * L + i) * n + x)) << np.uint64(8)
                    flip = always | below(key, high, low, some & ~always, digits[0])
                    flip |= below(key, high, low + np.uint64(64), ~some, digits[1])
                    here[x] = s ^ flip
