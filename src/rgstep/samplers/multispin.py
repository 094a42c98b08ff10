"""Metropolis and heat bath of many lattices at once, one bit of a machine word each (multi-spin coding).

A group holds 64 W replicas of the L-by-L lattice. Bit r of word w of a site is the spin of replica 64 w + r, 1 = up.
The sites of one colour of the checkerboard are updated together, a row at a time; with the words of a row side by side
a compiler turns every loop below into vector instructions, so one core does hundreds of spins in a few cycles.

Every spin of every replica has random numbers of its own. Replicas at one temperature that share them move together
and are worth a handful of samples (damage spreading: Stanley et al. 1987; measured in docs/sampling.md). Each site's
row of words needs two masks whose bits are set with given probabilities p ≥ q (`rng`):

    Metropolis    p = e^−4K, q = e^−8K: a spin flips where the first mask is set if one neighbour is against it, where
                  the second is if none is, and always with two or more.
    heat bath     p = tanh 4K, q = tanh 2K, the second mask within the first, and a fair coin: see `heat_bath`. It is
                  monotone: of two states, one nowhere above the other, none overtakes if both see the same random
                  numbers; what `perfect` builds on.

The random words come from one xoshiro256+ generator (Blackman and Vigna 2021) for each word of a row; the rare places
and the global flips from a SplitMix64 counter (Steele, Lea and Flood 2014). All start from a hash of the group's name.

The cross-check, `philox_metropolis`, shares nothing with the other kernels but the layout of the spins. Its words come
from Philox4x32-10 (Salmon et al. 2011), a pure function of (seed of the group, sweep, row, word, digit); u < p is
decided digit by digit from the first one until every replica is decided, so that p has all 64 digits and no rare
places. Twenty times slower.

Kernels and their helpers stay in this one file: numba's cache looks at nothing else.
"""

import math
import typing
from fractions import Fraction

import numpy as np

from rgstep.compiled import helper, kernel
from rgstep.ising import Ising
from rgstep.packed import PackedSpins
from rgstep.samplers import rng
from rgstep.samplers.rng import ONES, MaskLaw, heat_bath_law, metropolis_law

WORD = 64  # replicas in a word, and sites in a word of a packed configuration
WEYL = np.uint64(0x9E3779B97F4A7C15)
LOW = np.uint64(0xFFFFFFFF)


class Replicas:
    """64 W chains side by side; see `rgstep.samplers.chains.Chains`."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int, law: MaskLaw) -> None:
        """Start chains from the ordered state, or from independent fair spins."""
        self.size, self.width, self.law = system.size, chains // WORD, law
        row = self.size // 2 * self.width
        self.spins = rng.words(source, 2, self.size, row) if hot else np.full((2, self.size, row), ONES)
        self.lanes = rng.words(source, 4, row)
        self.tails = rng.hit_tails(law, WORD * row)
        self.counter = rng.words(source, 1)

    def read(self) -> PackedSpins:
        """Return the configurations, each with a fair global flip."""
        out = np.empty((WORD * self.width, -(-(self.size**2) // WORD)), np.uint64)
        pack_replicas(self.spins, self.counter, self.width, out)
        return PackedSpins(out.view(np.uint8)[:, : -(-(self.size**2) // 8)], self.size)


class Metropolis(Replicas):
    """Chains of Metropolis et al. (1953)."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, metropolis_law(system.coupling))

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        metropolis(self.spins, self.lanes, self.counter, self.law, self.tails, sweeps, self.width)


class HeatBath(Replicas):
    """Chains of the heat bath."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, heat_bath_law(system.coupling))

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        heat_bath(self.spins[None], self.lanes, self.counter, self.law, self.tails, sweeps, self.width)


class PhiloxMetropolis(Replicas):
    """Chains of Metropolis et al. (1953), with the random numbers of the cross-check."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, metropolis_law(system.coupling))
        self.key = rng.words(source, 1)
        self.digits = np.stack([all_digits(math.exp(-4.0 * power * system.coupling)) for power in (1, 2)])
        self.swept = 0

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        philox_metropolis(self.spins, self.key[0], np.uint64(self.swept), self.digits, sweeps, self.width)
        self.swept += sweeps


def all_digits(p: float) -> np.ndarray:
    """Return the first 64 binary digits of p < 1 as words of zeros or ones, uint64; p = 1 as sixty-four ones."""
    number = min(int(Fraction(p) * 2**64), 2**64 - 1)
    return np.array([rng.repeated(bool(number >> (63 - j) & 1)) for j in range(64)], np.uint64)


@helper
@typing.no_type_check
def mix(z):
    """Return the random 64-bit word at a place of the Weyl sequence (SplitMix64)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
@typing.no_type_check
def draw_masks(lanes, wide, narrow, law, turn, coin):
    """Fill two rows with bits that are set with the digits of p and q, and one with fair bits.

    Without `turn` the masks are not nested, without `coin` there are no fair bits; both are resolved at compile time.
    The steps of xoshiro256+ are written out: with a helper that returns the new state the loop over x stays scalar.
    """
    lane0, lane1, lane2, lane3 = lanes[0], lanes[1], lanes[2], lanes[3]
    wide_digits, narrow_digits = law.wide, law.narrow
    wide_start, narrow_start = law.wide_start, law.narrow_start
    for x in range(wide.size):
        s0, s1, s2, s3 = lane0[x], lane1[x], lane2[x], lane3[x]
        a, b = wide_start, narrow_start
        for j in range(9):  # `rng.DIGITS`; unrolled by the compiler, which vectorises the loop over x
            w = s0 + s3
            t = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= t
            s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
            a = (w & a) ^ wide_digits[j]
            if turn is not None:
                w ^= turn[j]
            b = (w & b) ^ narrow_digits[j]
        if coin is not None:
            coin[x] = s0 + s3
            t = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= t
            s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
        lane0[x], lane1[x], lane2[x], lane3[x] = s0, s1, s2, s3
        wide[x], narrow[x] = a, b


@helper
@typing.no_type_check
def set_rare_bits(wide, narrow, tail, counter):
    """Set a Poisson number of bits of a row, anywhere in it, in the second mask too if it is given."""
    z = counter[0]
    draw = mix(z)
    hits = 0
    for more in tail:
        hits += draw < more
    scale = wide.size * 64 * 2.0**-53
    for _ in range(hits):
        z += WEYL
        place = np.int64((mix(z) >> np.uint64(11)) * scale)
        bit = np.uint64(1) << np.uint64(place & 63)
        wide[place >> 6] |= bit
        if narrow is not None:
            narrow[place >> 6] |= bit
    counter[0] = z + WEYL


@helper
@typing.no_type_check
def rows(spins, colour, i):
    """Return a row of one colour, and those of the other colour above, below and beside it."""
    L = spins.shape[1]
    other = spins[1 - colour]
    return spins[colour, i], other[i - 1 if i > 0 else L - 1], other[i + 1 if i + 1 < L else 0], other[i]


@helper
@typing.no_type_check
def metropolis_row(here, above, below, side, other, wide, narrow):
    """Update some words of a row by the rule of Metropolis et al., given those of its neighbours and the masks."""
    for x in range(here.size):
        s = here[x]
        a, b, c, d = s ^ above[x], s ^ below[x], s ^ side[x], s ^ other[x]  # set: against s
        one = a | b
        two = c | d
        some = one | two
        here[x] = s ^ ((a & b) | (c & d) | (one & two) | (some & wide[x]) | (~some & narrow[x]))


@kernel
@typing.no_type_check
def metropolis(spins, lanes, counter, law, tails, sweeps, W):
    """Sweep a group `(2, L, L/2 · W)` in place; `lanes` `(4, L/2 · W)` and `counter` are its random numbers.

    Cost, one core: 0.043 ns a spin at L = 32, 1024 chains (AVX-512, AMD Zen 4).
    """
    L, n = spins.shape[1:]
    wide, narrow = np.empty(n, np.uint64), np.empty(n, np.uint64)
    for _ in range(sweeps):
        for colour in range(2):
            for i in range(L):
                here, above, below, side = rows(spins, colour, i)
                draw_masks(lanes, wide, narrow, law, None, None)
                set_rare_bits(wide, None, tails[0], counter)
                set_rare_bits(wide, narrow, tails[1], counter)
                # A site's second neighbour in its row is the next group of words on odd rows, else the last one.
                cut = n - W if (i + colour) & 1 else W
                metropolis_row(
                    here[:cut], above[:cut], below[:cut], side[:cut], side[n - cut :], wide[:cut], narrow[:cut]
                )
                metropolis_row(
                    here[cut:], above[cut:], below[cut:], side[cut:], side[: n - cut], wide[cut:], narrow[cut:]
                )


@helper
@typing.no_type_check
def heat_bath_row(here, above, below, side, other, fourth, third, coin, invert):
    """Update some words of a row by the heat bath, given those of its neighbours, the masks and the coins."""
    for x in range(here.size):
        a, b, c, d = above[x], below[x], side[x], other[x]
        any_ab, all_ab, any_cd, all_cd = a | b, a & b, c | d, c & d
        two = all_ab | all_cd | (any_ab & any_cd)
        three = (all_ab & any_cd) | (all_cd & any_ab)
        p, q = fourth[x] ^ invert, third[x] ^ invert
        if_heads = two | ((any_ab | any_cd) & ~q) | ~p
        if_tails = (three & q) | (all_ab & all_cd & p)
        here[x] = (coin[x] & if_heads) | (~coin[x] & if_tails)


@kernel
@typing.no_type_check
def heat_bath(states, lanes, counter, law, tails, sweeps, W):
    """Sweep copies of a group `(copy, 2, L, L/2 · W)` in place with the same random numbers.

    With n of four neighbours up, a spin is set up with probability 1/(1 + e^{−4K(n−2)}). The masks q within p have
    probabilities tanh 2K and tanh 4K. If the coin shows heads, the spin is set up where n ≥ 2, or n = 1 outside q, or
    n = 0 outside p; with tails where n = 3 within q, or n = 4 within p.

    Cost, one core: 0.052 ns a spin at L = 32, one copy, 1024 chains (AVX-512, AMD Zen 4).
    """
    L, n = states.shape[2:]
    wide, narrow, coin = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    fourth, third, invert = (narrow, wide, ONES) if law.inverted else (wide, narrow, np.uint64(0))
    for _ in range(sweeps):
        for colour in range(2):
            for i in range(L):
                draw_masks(lanes, wide, narrow, law, law.turn, coin)
                set_rare_bits(wide, None, tails[0], counter)
                set_rare_bits(wide, narrow, tails[1], counter)
                cut = n - W if (i + colour) & 1 else W
                for copy in range(len(states)):
                    here, above, below, side = rows(states[copy], colour, i)
                    heat_bath_row(
                        *(here[:cut], above[:cut], below[:cut], side[:cut], side[n - cut :]),
                        *(fourth[:cut], third[:cut], coin[:cut], invert),
                    )
                    heat_bath_row(
                        *(here[cut:], above[cut:], below[cut:], side[cut:], side[: n - cut]),
                        *(fourth[cut:], third[cut:], coin[cut:], invert),
                    )


@kernel
@typing.no_type_check
def pack_replicas(spins, counter, W, out):
    """Write each replica's configuration as bits, `(64 W, words)` uint64, each with a fair global flip.

    Sites run row by row; site s of a word of 64 is its bit s ^ 7, which is `numpy.packbits` on a little-endian machine.
    Cost: 0.1 ns a spin.
    """
    L = spins.shape[1]
    sites = L * L
    bits = np.empty((64, W), np.uint64)
    turn = np.empty(W, np.uint64)
    for w in range(W):
        turn[w] = mix(counter[0])
        counter[0] += WEYL
    for group in range(out.shape[1]):
        for s in range(64):
            site = group * 64 + s
            if site < sites:
                i = site // L
                j = site - i * L
                row = spins[(i + j) & 1, i]
                first = (j >> 1) * W
                for w in range(W):
                    bits[s ^ 7, w] = row[first + w] ^ turn[w]
            else:
                for w in range(W):
                    bits[s ^ 7, w] = np.uint64(0)
        transpose(bits)
        for w in range(W):
            for r in range(64):
                out[64 * w + r, group] = bits[r, w]


@helper
@typing.no_type_check
def transpose(bits):
    """Transpose W bit matrices of 64×64 at once, `(row, matrix)`: bit b of row a goes to bit a of row b.

    Six rounds exchange the off-diagonal squares of side 32, 16, … 1 (Warren 2012, section 7-3).
    """
    low = np.uint64(0x00000000FFFFFFFF)
    step = 32
    while step:
        shift = np.uint64(step)
        for a in range(64):
            if a & step == 0:
                for w in range(bits.shape[1]):
                    t = ((bits[a, w] >> shift) ^ bits[a + step, w]) & low
                    bits[a, w] ^= t << shift
                    bits[a + step, w] ^= t
        step >>= 1
        low ^= low << np.uint64(step)


@helper
@typing.no_type_check
def philox(key, high, low):
    """Return two random 64-bit words at a place of 128 bits: ten rounds of Philox4x32."""
    c0, c1 = low & LOW, low >> np.uint64(32)
    c2, c3 = high & LOW, high >> np.uint64(32)
    k0, k1 = key & LOW, key >> np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (b >> np.uint64(32)) ^ c1 ^ k0,
            b & LOW,
            (a >> np.uint64(32)) ^ c3 ^ k1,
            a & LOW,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & LOW
        k1 = (k1 + np.uint64(0xBB67AE85)) & LOW
    return c0 | (c1 << np.uint64(32)), c2 | (c3 << np.uint64(32))


@helper
@typing.no_type_check
def philox_below(key, high, low, wanted, digits):
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
def philox_metropolis(spins, key, swept, digits, sweeps, W):
    """Sweep a group `(2, L, L/2 · W)` in place; `swept` sweeps were made before. Cost: 2 to 4 ns a spin."""
    L, n = spins.shape[1:]
    for t in range(sweeps):
        for colour in range(2):
            for i in range(L):
                here, above, below, side = rows(spins, colour, i)
                step = W if (i + colour) & 1 else n - W
                for x in range(n):
                    s = here[x]
                    other = side[(x + step) % n]
                    a, b, c, d = s ^ above[x], s ^ below[x], s ^ side[x], s ^ other
                    some = a | b | c | d
                    always = (a & b) | (c & d) | ((a | b) & (c | d))
                    high = swept + np.uint64(t)
                    low = (np.uint64((colour * L + i) * n + x)) << np.uint64(8)
                    flip = always | philox_below(key, high, low, some & ~always, digits[0])
                    flip |= philox_below(key, high, low + np.uint64(64), ~some, digits[1])
                    here[x] = s ^ flip
