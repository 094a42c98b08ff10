"""The cluster algorithms of Swendsen and Wang (1987) and of Wolff (1989), compiled.

Between equal neighbours a bond is opened with probability p = 1 − exp(−2K). Swendsen and Wang give every connected
cluster a fair coin for its sign; Wolff flips the cluster of one random site. At T_c their autocorrelation times grow
like L^0.3 and L^0.25, those of local updates like L^2.17.

Swendsen–Wang works on bits, 64 sites of a row at once, until clusters must be linked. Sites of a row that are joined by
open bonds make a *run*; runs are numbered from 0 through the lattice. Runs are linked, not sites, and only along bonds
that can add something: a bond between two rows is passed over if its neighbour joins the same two runs. Each run takes
the coin of its cluster's root. Where the coins change along a row a bit is set, and a prefix sum modulo 2 over these
bits is the mask of spins to flip.

Bonds are masks of nine digits and rare places, as in `multispin` (xoshiro256+, Blackman and Vigna 2021); coins, rare
places, and all of Wolff's draws come from a SplitMix64 counter (Steele, Lea and Flood 2014) for each chain. Kernels and
their helpers stay in this one file: numba's cache looks at nothing else.
"""

import math
import typing

import numpy as np

from rgstep.compiled import count_bits, first_bit, helper, kernel
from rgstep.ising import Ising
from rgstep.packed import PackedSpins, pack
from rgstep.samplers import rng
from rgstep.samplers.rng import ONES, bond_law

WEYL = np.uint64(0x9E3779B97F4A7C15)
MAX_LANES = 256  # generators of a chain, 8 kB; longer rows of bonds take them in turns


def bond_threshold(coupling: float) -> np.uint64:
    """Return p·2³² for p = 1 − exp(−2K): a 32-bit draw below it opens a bond; at K = ∞ every draw is below it."""
    return np.uint64(-math.expm1(-2.0 * coupling) * 2.0**32)


class Clusters:
    """Chains of a cluster algorithm; see `rgstep.samplers.chains.Chains`."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains from the ordered state, or from independent fair spins."""
        size = system.size
        self.lattices = rng.fair_spins(source, chains, size) if hot else np.ones((chains, size, size), np.int8)
        self.source = source
        self.threshold = bond_threshold(system.coupling)
        self.counters = rng.words(source, chains)

    def read(self) -> PackedSpins:
        """Return the configurations, each with a fair global flip."""
        return pack(self.lattices * rng.fair_signs(self.source, len(self.lattices))[:, None, None])


class SwendsenWang(Clusters):
    """Chains of Swendsen–Wang sweeps."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains, and generators for up to 256 words of bonds."""
        super().__init__(system, source, hot, chains)
        words = system.size * -(-system.size // 64)
        self.lanes = rng.words(source, chains, 4, min(words, MAX_LANES))
        self.law = bond_law(system.coupling)
        self.tail = rng.hit_tails(self.law, 64 * words)[0]

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        swendsen_wang(self.lattices, self.lanes, self.counters, self.law, self.tail, sweeps)


class Wolff(Clusters):
    """Chains of Wolff's single clusters; a sweep is as many of them as flip L² spins in the mean."""

    def __init__(
        self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int, clusters_per_sweep: int
    ) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains)
        self.clusters_per_sweep = clusters_per_sweep

    def advance(self, sweeps: int) -> None:
        """Flip whole sweeps of clusters in every chain."""
        wolff(self.lattices, self.counters, self.threshold, sweeps * self.clusters_per_sweep)


def clusters_per_sweep(system: Ising, source: np.random.SeedSequence) -> int:
    """Return how many of Wolff's clusters flip L² spins in the mean, from a short run; at least one."""
    chains = Clusters(system, source, False, 4)
    wolff(chains.lattices, chains.counters, chains.threshold, 100)
    flipped, clusters = 0, 0
    while flipped < 20 * system.size**2 and clusters < 20 * system.size**2:
        flipped += int(wolff(chains.lattices, chains.counters, chains.threshold, 100))
        clusters += 400
    return max(1, round(clusters * system.size**2 / flipped))


@helper
@typing.no_type_check
def draw(counter):
    """Return the random 64-bit word at a place of the Weyl sequence (SplitMix64)."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
@typing.no_type_check
def draw_bonds(lanes, mask, law, tail, counter):
    """Fill words with bits that are set with probability `wide`: digits from xoshiro256+, then the rare places."""
    lane0, lane1, lane2, lane3 = lanes[0], lanes[1], lanes[2], lanes[3]
    digits, begin = law.wide, law.wide_start
    for first in range(0, mask.size, lane0.size):
        part = mask[first : first + lane0.size]
        for x in range(part.size):
            s0, s1, s2, s3 = lane0[x], lane1[x], lane2[x], lane3[x]
            a = begin
            for j in range(9):  # `rng.DIGITS`; unrolled by the compiler, which vectorises the loop over x
                a = ((s0 + s3) & a) ^ digits[j]
                t = s1 << np.uint64(17)
                s2 ^= s0
                s3 ^= s1
                s1 ^= s2
                s0 ^= s3
                s2 ^= t
                s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
            lane0[x], lane1[x], lane2[x], lane3[x] = s0, s1, s2, s3
            part[x] = a
    z = counter[0]
    word = draw(z)
    hits = 0
    for more in tail:
        hits += word < more
    scale = mask.size * 64 * 2.0**-53
    for _ in range(hits):
        z += WEYL
        place = np.int64((draw(z) >> np.uint64(11)) * scale)
        mask[place >> 6] |= np.uint64(1) << np.uint64(place & 63)
    counter[0] = z + WEYL
    if law.inverted:
        for x in range(mask.size):
            mask[x] = ~mask[x]


@helper
@typing.no_type_check
def keep_equal(spins, right, down, used):
    """Close the bonds between unequal spins; rows are `(L, words)`, `used` the bits of the last word in use."""
    L, W = spins.shape
    last = np.uint64(L - 64 * (W - 1) - 1)
    for i in range(L):
        here, below = spins[i], spins[i + 1 if i + 1 < L else 0]
        for w in range(W):
            s = here[w]
            if w + 1 < W:
                beside = (s >> np.uint64(1)) | (here[w + 1] << np.uint64(63))
            else:
                beside = (s >> np.uint64(1)) | ((here[0] & np.uint64(1)) << last)
            valid = used if w + 1 == W else ONES
            right[i, w] &= ~(s ^ beside) & valid
            down[i, w] &= ~(s ^ below[w]) & valid


@helper
@typing.no_type_check
def number_runs(right, starts, before, parent, used):
    """Mark the first site of every run, count the runs before each word; each is its own root. Returns how many."""
    L, W = right.shape
    runs = 0
    for i in range(L):
        carry = np.uint64(0)  # a row begins a run
        for w in range(W):
            first = ~((right[i, w] << np.uint64(1)) | carry) & (used if w + 1 == W else ONES)
            carry = right[i, w] >> np.uint64(63)
            starts[i, w] = first
            before[i, w] = runs
            runs += count_bits(first)
    for run in range(runs):
        parent[run] = run
    return runs


@helper
@typing.no_type_check
def run_at(starts, before, x):
    """Return the run that holds bit x of a word."""
    return before + np.int32(count_bits(starts << (np.uint64(63) - x))) - np.int32(1)


@helper
@typing.no_type_check
def join(parent, x, y):
    """Unite two clusters, climbing both trees at once (Rem, in Dijkstra 1976); a parent has the smaller number."""
    while parent[x] != parent[y]:
        if parent[x] < parent[y]:
            x, y = y, x
        above = parent[x]
        parent[x] = parent[y]
        if above == x:
            break
        x = above


@helper
@typing.no_type_check
def link_runs(right, down, starts, before, parent):
    """Unite runs around the torus and along the bonds between rows that can add to what is united."""
    L, W = right.shape
    last = np.uint64(L - 64 * (W - 1) - 1)
    for i in range(L):
        if (right[i, W - 1] >> last) & np.uint64(1):
            join(parent, before[i, 0], run_at(starts[i, W - 1], before[i, W - 1], last))
        k = i + 1 if i + 1 < L else 0
        carry = np.uint64(0)
        for w in range(W):
            same = down[i, w] & right[i, w] & right[k, w]  # the next bond down joins the same two runs
            bonds = down[i, w] & ~((same << np.uint64(1)) | carry)
            carry = same >> np.uint64(63)
            while bonds:
                x = first_bit(bonds)
                bonds &= bonds - np.uint64(1)
                join(parent, run_at(starts[i, w], before[i, w], x), run_at(starts[k, w], before[k, w], x))


@helper
@typing.no_type_check
def flip_clusters(spins, starts, before, parent, coins, runs, used, counter):
    """Give each cluster the coin of its root r, bit r of a stream of words, and flip the spins of those with heads."""
    L, W = spins.shape
    for first in range(0, runs, 64):
        word = draw(counter[0])
        counter[0] += WEYL
        for r in range(first, min(first + 64, runs)):  # roots precede their members
            top = parent[parent[r]]
            parent[r] = top
            coins[r] = (word >> np.uint64(r & 63)) & np.uint64(1)
            coins[r] = coins[top]
    for i in range(L):
        for w in range(W):
            r = before[i, w]
            heads = coins[r - 1] if w > 0 else np.uint64(0)  # of the run that goes on into this word
            change = heads
            todo = starts[i, w]
            while todo:
                x = first_bit(todo)
                todo &= todo - np.uint64(1)
                change ^= (coins[r] ^ heads) << x
                heads = coins[r]
                r += 1
            for shift in (1, 2, 4, 8, 16, 32):
                change ^= change << np.uint64(shift)
            spins[i, w] ^= change & (used if w + 1 == W else ONES)


@kernel
@typing.no_type_check
def swendsen_wang(lattices, lanes, counters, law, tail, sweeps):
    """Sweep lattices `(chain, L, L)` int8 in place; `lanes` and `counters` are the random numbers of each chain.

    Cost: 8 ns a site at T_c from L = 64 on, 11 at L = 32, one core (AMD Zen 1 at 2 GHz).
    """
    L = lattices.shape[1]
    W = (L + 63) // 64
    used = ONES >> np.uint64(64 * W - L)
    spins, right, down = np.empty((L, W), np.uint64), np.empty((L, W), np.uint64), np.empty((L, W), np.uint64)
    starts, before = np.empty((L, W), np.uint64), np.empty((L, W), np.int32)
    parent, coins = np.empty(L * L, np.int32), np.empty(L * L, np.uint64)
    for chain in range(len(lattices)):
        counter = counters[chain : chain + 1]
        for i in range(L):
            for w in range(W):
                word = np.uint64(0)
                for x in range(min(64, L - 64 * w)):
                    word |= np.uint64(lattices[chain, i, 64 * w + x] > 0) << np.uint64(x)
                spins[i, w] = word
        for _ in range(sweeps):
            draw_bonds(lanes[chain], right.reshape(L * W), law, tail, counter)
            draw_bonds(lanes[chain], down.reshape(L * W), law, tail, counter)
            keep_equal(spins, right, down, used)
            runs = number_runs(right, starts, before, parent, used)
            link_runs(right, down, starts, before, parent)
            flip_clusters(spins, starts, before, parent, coins, runs, used, counter)
        for i in range(L):
            for w in range(W):
                word = spins[i, w]
                for x in range(min(64, L - 64 * w)):
                    lattices[chain, i, 64 * w + x] = 2 * np.int8((word >> np.uint64(x)) & np.uint64(1)) - 1


@kernel
@typing.no_type_check
def wolff(lattices, counters, threshold, clusters):
    """Flip clusters of lattices `(chain, L, L)` int8 in place, so many in each; returns how many spins flipped.

    Cost: 36 ns a flipped spin at T_c, one core (AMD Zen 1 at 2 GHz).
    """
    L = lattices.shape[1]
    N = L * L
    stack = np.empty(N, np.int32)
    flipped = 0
    for chain in range(len(lattices)):
        spins = lattices[chain].reshape(N)
        z = counters[chain]
        for _ in range(clusters):
            x = np.int32(((draw(z) >> np.uint64(32)) * np.uint64(N)) >> np.uint64(32))
            z += WEYL
            s = spins[x]
            spins[x] = -s
            stack[0] = x
            height = 1
            flipped += 1
            while height:
                height -= 1
                x = stack[height]
                i = x // L
                j = x - i * L
                for y in (
                    x - L if i > 0 else x + N - L,
                    x + L if i < L - 1 else x - N + L,
                    x - 1 if j > 0 else x + L - 1,
                    x + 1 if j < L - 1 else x - L + 1,
                ):
                    if spins[y] == s:
                        if (draw(z) >> np.uint64(32)) < threshold:
                            spins[y] = -s
                            stack[height] = y
                            height += 1
                            flipped += 1
                        z += WEYL
        counters[chain] = z
    return flipped
