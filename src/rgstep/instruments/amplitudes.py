"""How strongly does each unit of a dense network follow the field it reads? Amplitudes of the two-point function.

Units of a dense network are not all alike. With A_x for the one on site x, ⟨h_x h_y⟩ ≈ A_x A_y F(x − y) if they read a
critical field, F the torus function. The A_x are fitted to all pairs by least squares, and the best A² of each
displacement,

    G(d) = Σ_x A_x A_{x+d} ⟨h_x h_{x+d}⟩ / Σ_x A_x² A_{x+d}²,        Σ_x A_x² = N,

takes the place of the mean over pairs: the same thing for equal units. A unit that follows nothing has A_x = 0 and does
not count; in the mean it is a hole that the two-point function shows.
"""

import math
from functools import lru_cache

import numpy as np

from rgstep.correlators import BLOCK_SITES, Source, read
from rgstep.exact import torus
from rgstep.types import Samples

TURNS = 50  # of the fit, which halves its error in each
NOTHING = 1e-12  # rms amplitude below which nothing correlates


def own_amplitudes(field: Samples, nearest: float, alive: np.ndarray | None = None) -> np.ndarray:
    """Return A_x of the least squares Σ (⟨h_x h_y⟩/F − A_x A_y)² over all pairs at least `nearest` apart.

    Cost: a product of matrices, l⁴ operations a sample.

    Args:
        field: `(sample, l, l)`.
        nearest: in lattice spacings.
        alive: which sites take part, rows put end to end, the others get 0; None: all.

    Returns:
        `(l, l)`, mean square 1. All 1 where no pair is that far apart, or nothing correlates.
    """
    side = field.shape[1]
    away = displacements(side)
    alive = np.ones(side**2, bool) if alive is None else alive
    far = (distances(side).ravel()[away] >= nearest) & alive & alive[:, None]
    products, _ = pair_sums(field, 0, len(field))
    ratio = np.where(far, products / len(field), 0) / torus_function(side).ravel()[away]
    found = alive.astype(np.float64)
    for _ in range(TURNS):
        square = far @ found**2
        found = (found + np.divide(ratio @ found, square, out=np.zeros_like(found), where=square > 0)) / 2
    scale = math.sqrt(float((found**2).mean()))
    return np.ones((side, side)) if scale < NOTHING else np.asarray(found / scale).reshape(side, side)


def pair_weights(amplitudes: np.ndarray) -> np.ndarray:
    """Return A_x A_y over the sum of its square over all pairs with the displacement of x and y, `(site, site)`."""
    away, weight = displacements(len(amplitudes)), np.outer(amplitudes, amplitudes)
    below = np.bincount(away.ravel(), weight.ravel() ** 2)[away]
    return np.asarray(np.divide(weight, below, out=np.zeros_like(weight), where=below > 0))


def weighted_sums(field: Source, start: int, stop: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return G(d), `(row, column)` of d, and the mean of h over sites, both summed over samples start … stop.

    Args:
        field: `(sample, l, l)`.
        start: the first sample.
        stop: the sample after the last.
        weights: `pair_weights`.
    """
    products, total = pair_sums(field, start, stop)
    side = math.isqrt(len(weights))
    G = np.bincount(displacements(side).ravel(), (products * weights).ravel())
    return G.reshape(side, side), np.asarray(total)


def pair_sums(field: Source, start: int, stop: int) -> tuple[np.ndarray, float]:
    """Return h_x h_y, `(site, site)`, and the mean of h over sites, both summed over samples start … stop."""
    sites = read(field, 0, 1).size
    products, total, block = np.zeros((sites, sites)), 0.0, max(1, BLOCK_SITES // sites)
    for a in range(start, stop, block):
        flat = read(field, a, min(a + block, stop)).reshape(-1, sites).astype(np.float32)
        products += flat.T @ flat
        total += float(flat.sum(dtype=np.float64)) / sites
    return products, total


@lru_cache(maxsize=1)  # a third of the time of a curve
def displacements(side: int) -> np.ndarray:
    """Return which displacement leads from each site to each other, rows put end to end, `(site, site)`, read-only."""
    row, column = np.divmod(np.arange(side**2), side)
    found = np.asarray((row - row[:, None]) % side * side + (column - column[:, None]) % side)
    found.flags.writeable = False
    return found


def distances(side: int) -> np.ndarray:
    """Return |d| of every displacement on the torus, `(row, column)`."""
    step = np.minimum(np.arange(side), side - np.arange(side))
    return np.asarray(np.hypot(step[:, None], step[None, :]))


def torus_function(side: int) -> np.ndarray:
    """Return F(d/L) of every displacement of an L-by-L torus, `(row, column)`; infinite at 0."""
    fraction = np.arange(side) / side
    return np.asarray(torus.two_point_shape(fraction[:, None], fraction[None, :]))
