"""Leading eigenvalues of the linearised RG matrix of one step from 4×4, by enumeration of p(v) and p(h | v)."""

import enumeration
import numpy as np

from rgstep.arguments import InputError
from rgstep.ensemble import is_spin
from rgstep.operators import sums


def exact_eigenvalue(coarse, coupling, sector="even", operators=1):
    """Return the leading eigenvalue of T for the step from 4×4 to h, by enumeration of p(v) and p(h|v).

    The units of h, given v, are independent ±1 of mean E[h|v]; a map that draws real values must not be random.

    Args:
        coarse: a map to 2×2 or fewer sites, or, if it is not random, to any lattice.
        coupling: K = J/k_BT.
        sector: "even" or "odd".
        operators: how many, in the order of `ising.OPERATORS`.

    Raises:
        InputError: if h is not lattice-valued.
    """
    v = enumeration.states(enumeration.LARGEST_SIZE)
    p = enumeration.probabilities(enumeration.LARGEST_SIZE, coupling)
    law, h = outcomes(coarse, v)
    fine, after = getattr(sums(v), sector)[:, :operators], getattr(sums(h), sector)[:, :operators]
    of_h = p if law is None else p @ law
    if sector == "even":
        fine, after = fine - p @ fine, after - of_h @ after
    given_v = after if law is None else law @ after
    own, cross = after.T @ (of_h[:, None] * after), given_v.T @ (p[:, None] * fine)
    values = np.linalg.eigvals(np.linalg.solve(own, cross))
    return complex(values[np.abs(values).argmax()])


def outcomes(coarse, v):
    """Return p(h | v), `(state, outcome)`, and the outcomes h; for h without randomness None, and h of every state."""
    mean = np.asarray(coarse.mean_h(v), np.float64)
    if mean.ndim != 3:
        message = f"the map returned shape {mean.shape}: operators need h with places, (sample, l, l)"
        raise InputError(message)
    if not is_spin(coarse.sample_h(v, np.random.default_rng(0))):
        return None, mean
    units = mean[0].size
    h = (2 * ((np.arange(2**units)[:, None] >> np.arange(units)) & 1) - 1).astype(np.int8)
    chances = (1 + h[None] * mean.reshape(len(mean), 1, units)) / 2
    return chances.prod(axis=2), h.reshape(-1, *mean.shape[1:])
