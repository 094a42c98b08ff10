"""Where every random number of a sampler comes from: a hash of its name.

    (seed, L, K, what, purpose, block)  →  64-bit words

A block of chains starts its generators from these words alone, so that no number depends on how many threads work, in
which order, or what else a call asks for. The name is hashed by NumPy's `SeedSequence` into the key of a counter-based
generator, Philox4x64-10 (Salmon et al. 2011), which makes the words; within a block the generators of `multispin`,
`cluster` and `single` run on from there.
"""

from enum import IntEnum
from zlib import crc32

import numpy as np

from rgstep.ising import Ising

Words = np.ndarray  # uint64


class Purpose(IntEnum):
    """What a stream is for; part of its name."""

    DATA = 0
    PILOT = 1
    HOT = 2
    STREAM = 3


def stream(
    system: Ising, seed: int, purpose: Purpose = Purpose.DATA, block: int = 0, what: str = ""
) -> np.random.SeedSequence:
    """Return the stream of one block of chains; `what` names their kind and mode, so that no two sets share one."""
    bits = int(np.float64(system.coupling).view(np.uint64))
    entropy = [int(seed), system.size, bits & 0xFFFFFFFF, bits >> 32]
    return np.random.SeedSequence(entropy, spawn_key=(crc32(what.encode()), int(purpose), block))


def words(source: np.random.SeedSequence, *shape: int) -> Words:
    """Return fresh words of a stream; successive calls go on along it."""
    (child,) = source.spawn(1)
    return np.random.Philox(child).random_raw(int(np.prod(shape))).reshape(shape)


def fair_signs(source: np.random.SeedSequence, count: int) -> np.ndarray:
    """Return ±1 with even chances, int8 `(count,)`."""
    bits = np.unpackbits(words(source, -(-count // 64)).view(np.uint8))[:count]
    return (2 * bits.view(np.int8) - 1).astype(np.int8)


def fair_spins(source: np.random.SeedSequence, chains: int, size: int) -> np.ndarray:
    """Return independent fair spins, int8 `(chain, row, column)`."""
    return fair_signs(source, chains * size * size).reshape(chains, size, size)
