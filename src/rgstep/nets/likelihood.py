"""The exact likelihood of a small RBM, by summing over the states of its smaller layer.

    Z = Σ_h exp(bᵀh) Π_i 2 cosh(Σ_a W_ia h_a + a_i),        ln p(v) = −F(v) − ln Z,

or the same with the layers exchanged; 2^m terms for m units in the smaller layer, in float64.
"""

import numpy as np
from scipy.special import logsumexp

from rgstep.errors import InputError
from rgstep.nets.rbm import RBM, log_2cosh
from rgstep.types import Field, Samples

LARGEST_LAYER = 25
BLOCK_BITS = 14  # states summed at once: 2^14


def log_partition(rbm: RBM) -> float:
    """Return ln Z exactly.

    Raises:
        InputError: if the smaller layer has more than 25 units.
    """
    w, a, b = (np.asarray(x, dtype=np.float64) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    if rbm.visible < rbm.hidden:
        w, a, b = w.T, b, a
    units = w.shape[1]
    if units > LARGEST_LAYER:
        message = (
            f"the exact ln Z sums over 2^{units} states of the smaller layer: at most {LARGEST_LAYER} units, use fewer"
        )
        raise InputError(message)
    block = min(1 << units, 1 << BLOCK_BITS)
    terms = []
    for start in range(0, 1 << units, block):
        codes = np.arange(start, start + block)
        h = 2.0 * ((codes[:, None] >> np.arange(units)) & 1) - 1.0
        terms.append(logsumexp(h @ b + log_2cosh(h @ w.T + a).sum(axis=1)))
    return float(logsumexp(terms))


def log_likelihood(rbm: RBM, v: Samples) -> Field:
    """Return ln p(v) of each configuration exactly, float64 `(sample,)`; see `log_partition` for the limit."""
    return -rbm.free_energy(v) - log_partition(rbm)
