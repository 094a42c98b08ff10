"""Metropolis on one lattice at a time, for lattices so large that a few configurations are all that is wanted.

The sites of each colour of the checkerboard lie side by side in bytes, so that a row is updated by vector instructions.
A spin s flips with probability min(1, e^−2Kh), h = s Σ s' over its neighbours s'. Random numbers have 32 bits, which
cuts probabilities below 2^−32 to nothing: at most one flip in 4,000 sweeps at L = 1024.

xoshiro256+ (Blackman and Vigna 2021), one generator for every two spins of a row. Kernel and helper stay in this one
file: numba's cache looks at nothing else.
"""

import typing

import numpy as np

from rgstep.compiled import helper, kernel
from rgstep.ising import Ising
from rgstep.packed import PackedSpins, pack
from rgstep.samplers import rng


class SingleLattices:
    """Chains of single-lattice Metropolis; see `rgstep.samplers.chains.Chains`."""

    def __init__(self, system: Ising, source: np.random.SeedSequence, hot: bool, chains: int) -> None:
        """Start chains from the ordered state, or from independent fair spins."""
        size = system.size
        start = rng.fair_spins(source, chains, size) if hot else np.ones((chains, size, size), np.int8)
        self.source = source
        self.columns = columns(size)
        self.lattices = np.stack([np.take_along_axis(start, at[None], 2) for at in self.columns], axis=1)
        self.lanes = rng.words(source, chains, 4, -(-size // 4))
        thresholds = np.exp(-4.0 * system.coupling * np.array([1.0, 2.0])) * 2.0**32
        self.thresholds = np.minimum(thresholds, 2.0**32 - 1).astype(np.uint32)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        metropolis(self.lattices, self.lanes, self.thresholds, sweeps)

    def read(self) -> PackedSpins:
        """Return the configurations, each with a fair global flip."""
        size = self.lattices.shape[2]
        spins = np.empty((len(self.lattices), size, size), np.int8)
        for colour, at in enumerate(self.columns):
            np.put_along_axis(spins, at[None], self.lattices[:, colour], 2)
        return pack(spins * rng.fair_signs(self.source, len(spins))[:, None, None])


def columns(size: int) -> np.ndarray:
    """Return the columns of each colour's sites, `(colour, row, place)`: colour is (row + column) mod 2."""
    place, row = np.arange(size // 2), np.arange(size)[:, None]
    return np.stack([2 * place + ((row + colour) & 1) for colour in range(2)])


@helper
@typing.no_type_check
def draw(lanes, words):
    """Fill a row with random words: one step of xoshiro256+ for each."""
    lane0, lane1, lane2, lane3 = lanes[0], lanes[1], lanes[2], lanes[3]
    for x in range(words.size):
        s0, s1, s2, s3 = lane0[x], lane1[x], lane2[x], lane3[x]
        words[x] = s0 + s3
        s2 ^= s0
        s3 ^= s1
        lane0[x], lane1[x], lane2[x] = s0 ^ s3, s1 ^ s2, s2 ^ (s1 << np.uint64(17))
        lane3[x] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))


@kernel
@typing.no_type_check
def metropolis(lattices, lanes, thresholds, sweeps):
    """Sweep lattices `(chain, 2, L, L/2)` int8 in place.

    Cost, one core: 1.5 ns a spin at L = 128, 1.4 at 512 (AVX2, AMD Zen 1 at 2 GHz), half of it random numbers.
    """
    L, half = lattices.shape[2:]
    one, none = thresholds
    other, allowed = np.empty(half, np.int8), np.empty(half, np.int8)
    words = np.empty((half + 1) // 2, np.uint64)
    u = words.view(np.uint32)
    for chain in range(len(lattices)):
        for _ in range(sweeps):
            for colour in range(2):
                for i in range(L):
                    here = lattices[chain, colour, i]
                    above = lattices[chain, 1 - colour, i - 1 if i > 0 else L - 1]
                    below = lattices[chain, 1 - colour, i + 1 if i + 1 < L else 0]
                    side = lattices[chain, 1 - colour, i]
                    if (i + colour) & 1:
                        for x in range(half - 1):
                            other[x] = side[x + 1]
                        other[half - 1] = side[0]
                    else:
                        for x in range(1, half):
                            other[x] = side[x - 1]
                        other[0] = side[half - 1]
                    draw(lanes[chain], words)
                    for x in range(half):  # two loops, so that the second handles bytes alone
                        allowed[x] = np.int8(u[x] < one) + np.int8(u[x] < none)
                    for x in range(half):
                        s = here[x]
                        h = np.int8(s * np.int8(np.int8(above[x] + below[x]) + np.int8(side[x] + other[x])))
                        here[x] = -s if h <= np.int8(allowed[x] + allowed[x]) else s
