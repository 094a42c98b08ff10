"""The cluster algorithms of Swendsen and Wang (1987) and of Wolff (1989), compiled.

Between equal neighbours a bond is opened with probability p = 1 − exp(−2K). Swendsen and Wang give every connected
cluster a fair coin for its sign; Wolff flips the cluster of one random site. At T_c their autocorrelation times grow
like L^0.3 and L^0.25, those of local updates like L^2.17.

Bonds of a row: one 64-bit word of xoshiro256+ (Blackman and Vigna 2021) a site, 32 bits for each of its two bonds. All
else: a SplitMix64 counter (Steele, Lea and Flood 2014) for each chain. Kernels and their helpers stay in this one file:
numba's cache looks at nothing else.
"""

import math
import typing

import numpy as np

from rgstep.compiled import helper, kernel
from rgstep.ising import Ising
from rgstep.packed import PackedSpins, pack
from rgstep.samplers import streams

WEYL = np.uint64(0x9E3779B97F4A7C15)


def bond_threshold(coupling: float) -> np.uint64:
    """Return p·2³² for p = 1 − exp(−2K): a 32-bit draw below it opens a bond; at K = ∞ every draw is below it."""
    return np.uint64(-math.expm1(-2.0 * coupling) * 2.0**32)


class Clusters:
    """Chains of a cluster algorithm; see `rgstep.samplers.chains.Chains`."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains from the ordered state, or from independent fair spins."""
        size = system.size
        self.lattices = streams.fair_spins(source, chains, size) if hot else np.ones((chains, size, size), np.int8)
        self.source = source
        self.threshold = bond_threshold(system.coupling)
        self.counters = streams.words(source, chains)

    def read(self) -> PackedSpins:
        """Return the configurations, each with a fair global flip."""
        return pack(self.lattices * streams.fair_signs(self.source, len(self.lattices))[:, None, None])


class SwendsenWang(Clusters):
    """Chains of Swendsen–Wang sweeps."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains, and a generator for each site of a row."""
        super().__init__(system, source, hot, chains)
        self.lanes = streams.words(source, chains, 4, system.size)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        swendsen_wang(self.lattices, self.lanes, self.counters, self.threshold, sweeps)


class Wolff(Clusters):
    """Chains of Wolff's single clusters; a sweep is as many of them as flip L² spins in the mean."""

    def __init__(
        self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int, clusters_a_sweep: int
    ) -> None:
        """Start chains."""
        super().__init__(system, source, hot, chains)
        self.clusters_a_sweep = clusters_a_sweep

    def advance(self, sweeps: int) -> None:
        """Flip whole sweeps of clusters in every chain."""
        wolff(self.lattices, self.counters, self.threshold, sweeps * self.clusters_a_sweep)


def clusters_a_sweep(system: Ising, source: np.random.SeedSequence) -> int:
    """Return how many of Wolff's clusters flip L² spins in the mean, from a short run; at least one."""
    trial = Clusters(system, source, False, 4)
    wolff(trial.lattices, trial.counters, trial.threshold, 100)
    flipped, clusters = 0, 0
    while flipped < 20 * system.size**2 and clusters < 20 * system.size**2:
        flipped += int(wolff(trial.lattices, trial.counters, trial.threshold, 100))
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
def draw_row(lanes, words):
    """Fill a row with random words: one step of xoshiro256+ for each."""
    lane0, lane1, lane2, lane3 = lanes[0], lanes[1], lanes[2], lanes[3]
    for x in range(words.size):
        s0, s1, s2, s3 = lane0[x], lane1[x], lane2[x], lane3[x]
        words[x] = s0 + s3
        t = s1 << np.uint64(17)
        s2 ^= s0
        s3 ^= s1
        lane1[x] = s1 ^ s2
        lane0[x] = s0 ^ s3
        lane2[x] = s2 ^ t
        lane3[x] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))


@helper
@typing.no_type_check
def open_bonds(spins, lanes, threshold, words, right, down):
    """Open bonds between equal neighbours, 1 = open: the first 32-bit halves of a row go right, the others down."""
    L = spins.shape[0]
    some = np.uint8(threshold > 0)
    last = np.uint32(max(threshold, np.uint64(1)) - np.uint64(1))  # a draw up to here opens: 2³² has no 32 bits
    u = words.view(np.uint32)
    for i in range(L):
        here = spins[i]
        below = spins[i + 1 if i + 1 < L else 0]
        draw_row(lanes, words)
        for j in range(L - 1):
            right[i, j] = np.uint8(here[j] == here[j + 1]) & np.uint8(u[j] <= last) & some
        right[i, L - 1] = np.uint8(here[L - 1] == here[0]) & np.uint8(u[L - 1] <= last) & some
        for j in range(L):
            down[i, j] = np.uint8(here[j] == below[j]) & np.uint8(u[L + j] <= last) & some


@helper
@typing.no_type_check
def root(parent, x):
    """Return the root of x, halving the path on the way."""
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@helper
@typing.no_type_check
def join(parent, x, y):
    """Unite two clusters; the smaller site index becomes the root."""
    x = root(parent, x)
    y = root(parent, y)
    if x < y:
        parent[y] = x
    else:
        parent[x] = y


@helper
@typing.no_type_check
def label_clusters(right, down, parent, pending):
    """Link every site to its cluster: runs along rows, without a search or a branch, then the bonds between rows.

    A bond between rows beside one that joins the same two runs adds nothing and is not followed.
    """
    L = right.shape[0]
    waiting = 0
    for i in range(L):
        across, across_below, downward = right[i], right[i + 1 if i + 1 < L else 0], down[i]
        label = np.int32(i * L)
        parent[label] = label
        pending[waiting] = label
        waiting += downward[0]
        for j in range(1, L):
            x = np.int32(i * L + j)
            label = label if across[j - 1] else x
            parent[x] = label
            pending[waiting] = x
            waiting += downward[j] & (np.uint8(1) ^ (across[j - 1] & across_below[j - 1] & downward[j - 1]))
    for i in range(L):
        if right[i, L - 1]:
            join(parent, np.int32(i * L), np.int32(i * L + L - 1))
    for k in range(waiting):
        x = pending[k]
        y = x + L
        join(parent, x, np.int32(y if y < L * L else y - L * L))


@helper
@typing.no_type_check
def toss_clusters(flat, parent, signs, z):
    """Multiply each cluster by a fair coin: bit x of a stream of words, at the cluster's root x."""
    for start in range(0, flat.size, 64):
        word = draw(z)
        z += WEYL
        for x in range(start, min(start + 64, flat.size)):
            signs[x] = np.int8(2 * np.int64((word >> np.uint64(x & 63)) & np.uint64(1)) - 1)
    for x in range(flat.size):  # roots precede their members, so a parent already points to its root
        top = parent[parent[x]]
        parent[x] = top
        flat[x] *= signs[top]
    return z


@kernel
@typing.no_type_check
def swendsen_wang(lattices, lanes, counters, threshold, sweeps):
    """Sweep lattices `(chain, L, L)` int8 in place.

    Cost: 17 ns a site at T_c, one core (AMD Zen 1 at 2 GHz), for any L.
    """
    L = lattices.shape[1]
    parent, pending = np.empty(L * L, np.int32), np.empty(L * L + 1, np.int32)
    right, down = np.empty((L, L), np.uint8), np.empty((L, L), np.uint8)
    words, signs = np.empty(L, np.uint64), np.empty(L * L, np.int8)
    for chain in range(len(lattices)):
        flat = lattices[chain].reshape(L * L)
        for _ in range(sweeps):
            open_bonds(lattices[chain], lanes[chain], threshold, words, right, down)
            label_clusters(right, down, parent, pending)
            counters[chain] = toss_clusters(flat, parent, signs, counters[chain])


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
