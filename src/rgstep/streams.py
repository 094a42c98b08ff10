"""Random streams by name: what is drawn for one purpose is independent of what is drawn for another.

A stream is named by a seed, a purpose in words and, where one purpose has several streams, further values. The name is
hashed, so that no two names share a stream: a list of numbers is not enough, since NumPy takes [3] and [3, 0] for the
same seed.
"""

import hashlib

import numpy as np


def stream(seed: int, purpose: str, *which: int | str) -> np.random.Generator:
    """Return the random stream of a name: `stream(seed, "sign coins", level)`.

    Args:
        seed: the user's, a whole number ≥ 0.
        purpose: what is drawn, in words.
        which: one of several streams of that purpose.
    """
    plain = (str(one) if isinstance(one, str) else int(one) for one in which)  # NumPy's numbers print in another way
    name = repr((int(seed), purpose, *plain)).encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(name, digest_size=16).digest()))
