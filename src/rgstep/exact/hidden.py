"""Which Hamiltonian do a few coarse variables obey exactly, with interactions of every order?

For a map on a 3×3 or 4×4 torus whose units are ±1 and independent of one another given v,

    p(h) = Σ_v p(v) Π_a ½ (1 + h_a E[h_a | v]),        ln p(h) = Σ_S K_S Π_{a∈S} h_a,
    K_S = 2^−m Σ_h ln p(h) Π_{a∈S} h_a,

over all subsets S of the m units: a Walsh–Hadamard transform (Walsh 1923). Nothing is truncated: the witness for the
couplings that are estimated from samples. State and subset k have unit a up, or in, where bit a of k is 1.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from rgstep.errors import InputError
from rgstep.exact import enumeration
from rgstep.types import Samples, Spins

LARGEST_UNITS = 8
BLOCK = 4096  # configurations at once: 8 MB of probabilities for 8 units


def law(mean_h: Callable[[Spins], Samples], size: int, coupling: float) -> Float[np.ndarray, " state"]:
    """Return p(h) of all 2^m states of a map's units, m ≤ 8, which are independent given v.

    Args:
        mean_h: takes configurations `(sample, row, column)`, returns E[h | v] with the sample axis first.
        size: the side L, 3 or 4.
        coupling: K = J/k_BT.

    Raises:
        InputError: for more than 8 units, or means outside [−1, 1].
    """
    v, p = enumeration.states(size), enumeration.probabilities(size, coupling)
    total: np.ndarray | float = 0.0
    for start in range(0, len(v), BLOCK):
        part = v[start : start + BLOCK]
        mean = np.asarray(mean_h(part)).reshape(len(part), -1).astype(np.float64)
        _check_means(mean)
        given_v = np.ones((len(part), 1))
        for unit in mean.T:  # each doubles the states: its bit is the highest so far
            up = (0.5 + 0.5 * unit)[:, None]
            given_v = np.concatenate([given_v * (1.0 - up), given_v * up], axis=1)
        total = total + p[start : start + BLOCK] @ given_v
    return np.asarray(total)


def couplings(probabilities: Float[np.ndarray, " state"]) -> Float[np.ndarray, " subset"]:
    """Return K_S for every subset S of the units; entry 0, the empty set, is −ln Z.

    Raises:
        InputError: unless 2^m positive probabilities are given: a state that never occurs has no finite couplings.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 1 or p.size < 2 or p.size & (p.size - 1):
        message = f"probabilities of shape {p.shape}: one for each of the 2^m states is needed"
        raise InputError(message)
    if not (p > 0).all():
        message = f"{int((p <= 0).sum())} of {p.size} states have probability 0: their couplings are infinite"
        raise InputError(message)
    return transform(np.log(p)) / p.size


def transform(values: Float[np.ndarray, "*states"]) -> Float[np.ndarray, "*subsets"]:
    """Return Σ_h f(h) Π_{a∈S} h_a for every subset S, along the last axis, whose length is a power of 2."""
    result = np.array(values, dtype=np.float64)
    length = result.shape[-1]
    half = 1
    while half < length:
        pairs = result.reshape(*result.shape[:-1], length // (2 * half), 2, half)
        down, up = pairs[..., 0, :].copy(), pairs[..., 1, :].copy()
        pairs[..., 0, :], pairs[..., 1, :] = up + down, up - down
        half *= 2
    return result


def _check_means(mean: np.ndarray) -> None:
    """Raise `InputError` unless there are at most 8 units, with means in [−1, 1]."""
    if mean.shape[1] > LARGEST_UNITS:
        message = f"{mean.shape[1]} units: their 2^{mean.shape[1]} states are too many; at most {LARGEST_UNITS} units"
        raise InputError(message)
    if not (np.abs(mean) <= 1.0 + 1e-6).all():
        message = f"E[h | v] reaches {float(np.abs(mean).max()):.6g}: units of ±1 have means between -1 and 1"
        raise InputError(message)
