"""What does any observable average to, summed over every state of a 3×3 or 4×4 torus?

    ⟨O⟩ = Σ_s O(s) e^{−K E(s)} / Σ_s e^{−K E(s)},        E(s) = −Σ_<ij> s_i s_j,

512 or 65,536 states: the witness for everything that has no formula, down to any map's ⟨v h⟩. Zero
temperature, K = ∞, is a fair coin between the two ground states.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int8, Int64, Shaped

from rgstep.arguments import InputError
from rgstep.exact.onsager import check_coupling, check_size
from rgstep.types import Samples, Spins

LARGEST_SIZE = 4
BLOCK = 8192  # states handed to a map at once


@functools.cache
def states(size: int) -> Int8[np.ndarray, "state row column"]:
    """Return all 2^(L²) configurations, read-only; state k has its up spins at the binary ones of k.

    Raises:
        InputError: unless L is 3 or 4.
    """
    _check_size(size)
    sites = size * size
    bits = (np.arange(2**sites)[:, None] >> np.arange(sites)) & 1
    return _frozen((2 * bits - 1).astype(np.int8).reshape(-1, size, size))


@functools.cache
def energies(size: int) -> Int64[np.ndarray, " state"]:
    """Return the total energy −Σ_<ij> s_i s_j of every state, read-only."""
    s = states(size)
    bonds = sum((s * np.roll(s, 1, axis)).sum(axis=(1, 2), dtype=np.int64) for axis in (1, 2))
    return _frozen(-np.asarray(bonds, dtype=np.int64))


def probabilities(size: int, coupling: float) -> Float[np.ndarray, " state"]:
    """Return the Boltzmann probability of every state."""
    weights = _weights(size, coupling)
    return np.asarray(weights / weights.sum())


def log_partition(size: int, coupling: float) -> float:
    """Return ln Z: N ln 2 at K = 0, infinite at K = ∞."""
    weights = _weights(size, coupling)
    return math.log(weights.sum()) - coupling * float(energies(size).min())


def expectation(observable: Shaped[np.ndarray, "state ..."], size: int, coupling: float) -> Float[np.ndarray, "..."]:
    """Return ⟨O⟩ for an observable known on every state, the state axis first, in the order of `states`.

    Raises:
        InputError: if the first axis does not run over all states.
    """
    _check_axis("observable", observable, len(states(size)))
    return np.asarray(np.tensordot(probabilities(size, coupling), observable.astype(np.float64), axes=1))


def visible_hidden(
    mean_h: Callable[[Spins], Samples], size: int, coupling: float
) -> Float[np.ndarray, "hidden row column"]:
    """Return the exact ⟨v_i h_a⟩ of a map given by E[h | v], one L×L picture per hidden unit.

    Args:
        mean_h: takes configurations `(sample, row, column)`, returns E[h | v] with the sample axis first.
        size: the side L, 3 or 4.
        coupling: K = J/k_BT.
    """
    v, p = states(size), probabilities(size, coupling)
    total: np.ndarray | float = 0.0
    for start in range(0, len(v), BLOCK):
        part = v[start : start + BLOCK]
        h = np.asarray(mean_h(part))
        _check_axis("the map's result", h, len(part))
        weighted = part.reshape(len(part), -1) * p[start : start + BLOCK, None]
        total = total + h.reshape(len(part), -1).astype(np.float64).T @ weighted
    return np.asarray(total).reshape(-1, size, size)


def _weights(size: int, coupling: float) -> Float[np.ndarray, " state"]:
    """Return e^{−K (E − E_min)}."""
    check_coupling(coupling)
    excitation = energies(size) - energies(size).min()
    if coupling == math.inf:  # ∞ · 0 is no number; the limit is
        return np.asarray(excitation == 0, dtype=np.float64)
    return np.asarray(np.exp(-coupling * excitation))


def _check_size(size: int) -> None:
    """Raise `InputError` unless L is 3 or 4."""
    if size == 2:
        message = "size = 2: a torus of side 2 counts each bond twice; use size = 3 or 4"
        raise InputError(message)
    check_size(size, smallest=3)
    if size > LARGEST_SIZE:
        message = (
            f"size = {size}: enumeration would visit 2^{size * size} states; use size = 3 or 4, or the "
            "formulas of rgstep.exact.torus"
        )
        raise InputError(message)


def _check_axis(name: str, array: np.ndarray, states_expected: int) -> None:
    """Raise `InputError` unless the first axis runs over the expected number of states."""
    if array.ndim == 0 or len(array) != states_expected:
        message = (
            f"{name} has shape {array.shape}: its first axis must run over {states_expected} states, "
            "in the order of enumeration.states"
        )
        raise InputError(message)


def _frozen(array: np.ndarray) -> np.ndarray:
    """Return the array, made read-only: it is shared by all callers."""
    array.flags.writeable = False
    return array
