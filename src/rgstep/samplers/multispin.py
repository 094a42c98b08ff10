"""Metropolis and heat bath of many lattices at once, one bit of a machine word each (multi-spin coding).

A block holds 64 W replicas of the L-by-L lattice. Bit r of word w of a site is the spin of replica 64 w + r, 1 = up.
The sites of one colour of the checkerboard are updated together, a row at a time; with the words of a row side by side
a compiler turns every loop below into vector instructions, so one core does hundreds of spins in a few cycles.

Every spin of every replica has random numbers of its own. Replicas at one temperature that share them move together
and are worth a handful of samples (damage spreading: Stanley et al. 1987; measured in docs/sampling.md). Each site's
row of words needs two masks whose bits are set with given probabilities p ≥ q (`chances`):

    Metropolis    p = e^−4K, q = e^−8K: a spin flips where the first mask is set if one neighbour is against it, where
                  the second is if none is, and always with two or more.
    heat bath     p = tanh 4K, q = tanh 2K, the second mask within the first, and a fair coin: see `heat_bath`. It is
                  monotone: of two states, one nowhere above the other, none overtakes if both see the same random
                  numbers; what `perfect` builds on.

The random words come from one xoshiro256+ generator (Blackman and Vigna 2021) for each word of a row; the rare places
and the global flips from a SplitMix64 counter (Steele, Lea and Flood 2014). All start from a hash of the block's name
(`streams`). Kernels and their helpers stay in this one file: numba's cache looks at nothing else.
"""

import typing

import numpy as np

from rgstep.compiled import helper, kernel
from rgstep.ising import Ising
from rgstep.packed import PackedSpins
from rgstep.samplers import streams
from rgstep.samplers.chances import ONES, Chances, darts, heat_bath_chances, metropolis_chances

GROUP = 64  # replicas in a word, and sites in a word of a packed configuration
WEYL = np.uint64(0x9E3779B97F4A7C15)


class Block:
    """64 W chains side by side; see `rgstep.samplers.chains.Chains`."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int, law: Chances) -> None:
        """Start chains from the ordered state, or from independent fair spins."""
        self.size, self.width, self.law = system.size, chains // GROUP, law
        row = self.size // 2 * self.width
        self.spins = streams.words(source, 2, self.size, row) if hot else np.full((2, self.size, row), ONES)
        self.lanes = streams.words(source, 4, row)
        self.darts = darts(law, GROUP * row)
        self.counter = streams.words(source, 1)

    def read(self) -> PackedSpins:
        """Return the configurations, each with a fair global flip."""
        out = np.empty((GROUP * self.width, -(-(self.size**2) // GROUP)), np.uint64)
        read(self.spins, self.counter, self.width, out)
        return PackedSpins(out.view(np.uint8)[:, : -(-(self.size**2) // 8)], self.size)


class Metropolis(Block):
    """Chains of Metropolis et al. (1953)."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, metropolis_chances(system.coupling))

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        metropolis(self.spins, self.lanes, self.counter, self.law, self.darts, sweeps, self.width)


class HeatBath(Block):
    """Chains of the heat bath."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains, heat_bath_chances(system.coupling))

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        heat_bath(self.spins[None], self.lanes, self.counter, self.law, self.darts, sweeps, self.width)


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
    """
    lane0, lane1, lane2, lane3 = lanes[0], lanes[1], lanes[2], lanes[3]
    wide_digits, narrow_digits = law.wide, law.narrow
    wide_start, narrow_start = law.wide_start, law.narrow_start
    for x in range(wide.size):
        s0, s1, s2, s3 = lane0[x], lane1[x], lane2[x], lane3[x]
        a, b = wide_start, narrow_start
        for j in range(9):  # `chances.DIGITS`; unrolled by the compiler, which vectorises the loop over x
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
def throw(wide, narrow, tail, counter):
    """Set the bits of a row that darts hit, in the second mask too if it is given."""
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
def flip(here, above, below, side, other, wide, narrow):
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
def metropolis(spins, lanes, counter, law, darts, sweeps, W):
    """Sweep a block `(2, L, L/2 · W)` in place; `lanes` `(4, L/2 · W)` and `counter` are its random numbers.

    Cost, one core: 0.043 ns a spin at L = 32, 1024 chains (AVX-512, AMD Zen 4).
    """
    L, n = spins.shape[1:]
    wide, narrow = np.empty(n, np.uint64), np.empty(n, np.uint64)
    for _ in range(sweeps):
        for colour in range(2):
            for i in range(L):
                here = spins[colour, i]
                above = spins[1 - colour, i - 1 if i > 0 else L - 1]
                below = spins[1 - colour, i + 1 if i + 1 < L else 0]
                side = spins[1 - colour, i]
                draw_masks(lanes, wide, narrow, law, None, None)
                throw(wide, None, darts[0], counter)
                throw(wide, narrow, darts[1], counter)
                # A site's second neighbour in its row is the next group of words on odd rows, else the last one.
                cut = n - W if (i + colour) & 1 else W
                turn = n - cut
                flip(here[:cut], above[:cut], below[:cut], side[:cut], side[turn:], wide[:cut], narrow[:cut])
                flip(here[cut:], above[cut:], below[cut:], side[cut:], side[:turn], wide[cut:], narrow[cut:])


@helper
@typing.no_type_check
def settle(here, above, below, side, other, fourth, third, coin, invert):
    """Update some words of a row by the heat bath, given those of its neighbours, the masks and the coins."""
    for x in range(here.size):
        a, b, c, d = above[x], below[x], side[x], other[x]
        any_ab, all_ab, any_cd, all_cd = a | b, a & b, c | d, c & d
        two = all_ab | all_cd | (any_ab & any_cd)
        three = (all_ab & any_cd) | (all_cd & any_ab)
        p, q = fourth[x] ^ invert, third[x] ^ invert
        heads = two | ((any_ab | any_cd) & ~q) | ~p
        tails = (three & q) | (all_ab & all_cd & p)
        here[x] = (coin[x] & heads) | (~coin[x] & tails)


@kernel
@typing.no_type_check
def heat_bath(states, lanes, counter, law, darts, sweeps, W):
    """Sweep several blocks `(copies, 2, L, L/2 · W)` in place with the same random numbers.

    With n of four neighbours up, a spin is set up with probability 1/(1 + e^{−4K(n−2)}). The masks q within p have
    chances tanh 2K and tanh 4K: with heads it is set up where n ≥ 2, or n = 1 outside q, or n = 0 outside p; with tails
    where n = 3 within q, or n = 4 within p.

    Cost, one core: 0.052 ns a spin at L = 32, one copy, 1024 chains (AVX-512, AMD Zen 4).
    """
    L, n = states.shape[2:]
    wide, narrow, coin = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    fourth, third, invert = (narrow, wide, ONES) if law.inverted else (wide, narrow, np.uint64(0))
    for _ in range(sweeps):
        for colour in range(2):
            for i in range(L):
                draw_masks(lanes, wide, narrow, law, law.turn, coin)
                throw(wide, None, darts[0], counter)
                throw(wide, narrow, darts[1], counter)
                cut = n - W if (i + colour) & 1 else W
                turn = n - cut
                for copy in range(len(states)):
                    here = states[copy, colour, i]
                    above = states[copy, 1 - colour, i - 1 if i > 0 else L - 1]
                    below = states[copy, 1 - colour, i + 1 if i + 1 < L else 0]
                    side = states[copy, 1 - colour, i]
                    settle(
                        *(here[:cut], above[:cut], below[:cut], side[:cut], side[turn:]),
                        *(fourth[:cut], third[:cut], coin[:cut], invert),
                    )
                    settle(
                        *(here[cut:], above[cut:], below[cut:], side[cut:], side[:turn]),
                        *(fourth[cut:], third[cut:], coin[cut:], invert),
                    )


@kernel
@typing.no_type_check
def read(spins, counter, W, out):
    """Write each replica's configuration as bits, `(64 W, words)` uint64, each with a fair global flip.

    Sites run row by row; site s of a word of 64 is its bit s ^ 7, which is `numpy.packbits` on a little-endian machine.
    Cost: 0.1 ns a spin.
    """
    L = spins.shape[1]
    sites = L * L
    block = np.empty((64, W), np.uint64)
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
                    block[s ^ 7, w] = row[first + w] ^ turn[w]
            else:
                for w in range(W):
                    block[s ^ 7, w] = np.uint64(0)
        transpose(block)
        for w in range(W):
            for r in range(64):
                out[64 * w + r, group] = block[r, w]


@helper
@typing.no_type_check
def transpose(block):
    """Transpose W bit matrices of 64×64 at once, `(row, matrix)`: bit b of row a goes to bit a of row b.

    Six rounds exchange the off-diagonal squares of side 32, 16, … 1 (Warren 2012, section 7-3).
    """
    low = np.uint64(0x00000000FFFFFFFF)
    step = 32
    while step:
        shift = np.uint64(step)
        for a in range(64):
            if a & step == 0:
                for w in range(block.shape[1]):
                    t = ((block[a, w] >> shift) ^ block[a + step, w]) & low
                    block[a, w] ^= t << shift
                    block[a + step, w] ^= t
        step >>= 1
        low ^= low << np.uint64(step)
