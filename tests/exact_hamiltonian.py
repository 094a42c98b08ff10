"""Which Hamiltonian do a few coarse variables obey exactly, with interactions of every order?

For a map on a 3×3 or 4×4 torus whose units are ±1 and independent of one another given v,

    p(h) = Σ_v p(v) Π_a ½ (1 + h_a E[h_a | v]),        ln p(h) = Σ_S K_S Π_{a∈S} h_a,
    K_S = 2^−m Σ_h ln p(h) Π_{a∈S} h_a,

over all subsets S of the m units: a Walsh–Hadamard transform (Walsh 1923). Nothing is truncated: the witness for the
couplings that are estimated from samples. State and subset k have unit a up, or in, where bit a of k is 1.
"""

import enumeration
import numpy as np

PIECE = 4096  # configurations at once: 8 MB of probabilities for 8 units


def law(mean_h, size, coupling):
    """Return p(h) of all 2^m states of a map's units, m ≤ 8, which are independent given v.

    Args:
        mean_h: takes configurations `(sample, row, column)`, returns E[h | v] with the sample axis first.
        size: the side L, 3 or 4.
        coupling: K = J/k_BT.
    """
    v, p = enumeration.states(size), enumeration.probabilities(size, coupling)
    total = 0.0
    for start in range(0, len(v), PIECE):
        part = v[start : start + PIECE]
        mean = np.asarray(mean_h(part)).reshape(len(part), -1).astype(np.float64)
        given_v = np.ones((len(part), 1))
        for unit in mean.T:  # each doubles the states: its bit is the highest so far
            up = (0.5 + 0.5 * unit)[:, None]
            given_v = np.concatenate([given_v * (1.0 - up), given_v * up], axis=1)
        total = total + p[start : start + PIECE] @ given_v
    return total


def couplings(probabilities):
    """Return K_S for every subset S of the units; entry 0, the empty set, is −ln Z."""
    assert (probabilities > 0).all(), "a state that never occurs has no finite couplings"
    result, half = np.log(probabilities), 1
    while half < len(result):
        pairs = result.reshape(-1, 2, half)
        down, up = pairs[:, 0].copy(), pairs[:, 1].copy()
        pairs[:, 0], pairs[:, 1] = up + down, up - down
        half *= 2
    return result / len(result)
