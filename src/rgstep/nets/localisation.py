"""Where the weights of each hidden unit sit on the periodic lattice.

Column a of W is a picture W_a(x) on the L×L torus, N = L² sites, x = (row, column). With the share of a site
w_a(x) = W_a(x)² / Σ_y W_a(y)², and along either axis the phasor z = Σ_x w_a(x) e^{2πi x/L},

    participation ratio   1 / Σ_x w_a(x)² = (Σ W²)² / Σ W⁴, in sites: 1 for one site, N/3 for Gaussian noise, N at most
    centroid              arg(z) L/2π along each axis, the circular mean (Mardia and Jupp, Directional Statistics, 2000)
    resultant             |z|, the smaller of the two axes': 1 for one site, 0 where there is no centroid to speak of
    spread                √(Σ_x w_a(x) d(x, centroid)²) in lattice spacings, d the shortest distance on the torus

The participation ratio of an RBM's weights: Tubiana and Monasson, Phys. Rev. Lett. 118, 138301 (2017). The formulas are
written once, for NumPy in float64 and for JAX inside the compiled training curves.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rgstep.arguments import InputError
from rgstep.nets.rbm import RBM, Weights

LOCALISED_SHARE = 0.1  # a unit is localised if its participation ratio is below this share of the sites
SHORTEST_RESULTANT = 1e-6  # a shorter phasor is rounding, of float32 too: there is no centroid


@dataclass(frozen=True, eq=False)
class Localisation:
    """Where each hidden unit sits; one entry per unit, float64.

    Attributes:
        participation: `(hidden,)`, in sites; 0 for a unit without weights.
        centroid: `(hidden, 2)`, row and column in lattice spacings, 0 ≤ centroid < L; 0 along an axis without one.
        resultant: `(hidden,)`, between 0 and 1: how much the centroid means.
        spread: `(hidden,)`, in lattice spacings; √((L² + 2)/6) for equal weights on an even lattice.
        sites: the number N of sites.
    """

    participation: np.ndarray
    centroid: np.ndarray
    resultant: np.ndarray
    spread: np.ndarray
    sites: int

    @property
    def median_participation(self) -> float:
        """The median over units of the participation ratio, in sites."""
        return float(np.median(self.participation))

    @property
    def localised(self) -> float:
        """The share of units whose participation ratio is below N/10.

        Gaussian noise has N/3 with a relative spread of √(8/3N) from unit to unit, so that at N ≥ 64 fewer than one
        unit in a thousand is below N/10 by chance.
        """
        return float(np.mean(self.participation < LOCALISED_SHARE * self.sites))


def localisation(rbm: RBM) -> Localisation:
    """Return where each hidden unit of a network sits.

    Raises:
        InputError: unless the visible units make a square lattice; `participation_ratio` needs none.
    """
    size = require_square(rbm)
    w = rbm.weights.astype(np.float64)
    shares = shares_of(w, np)
    centroids, resultants, spreads = zip(*(along(marginal, np) for marginal in marginals(shares, size)), strict=True)
    return Localisation(
        participation=participation_ratio(w),
        centroid=np.stack(centroids, axis=1),
        resultant=np.minimum(*resultants),
        spread=np.sqrt(np.add(*spreads)),
        sites=rbm.visible,
    )


def localisation_curves(weights: Weights) -> dict[str, jax.Array]:
    """Return what the training curves say of it, scalars, for use inside a compiled function.

    participation_w                      median over units of the participation ratio, in sites
    participation_w_25, participation_w_75   its quartiles over units
    spread_w                             median over units of the spread, in lattice spacings; on square lattices only
    """
    quartiles = jnp.quantile(participation_ratio(weights.w, jnp), jnp.array([0.25, 0.5, 0.75]))
    names = ("participation_w_25", "participation_w", "participation_w_75")
    curves = dict(zip(names, quartiles, strict=True))
    if size := square_side(weights.w.shape[0]):
        squared = [along(marginal, jnp)[2] for marginal in marginals(shares_of(weights.w, jnp), size)]
        curves["spread_w"] = jnp.median(jnp.sqrt(squared[0] + squared[1]))
    return curves


def participation_ratio(w: Any, xp: Any = np) -> Any:
    """Return (Σ W²)² / Σ W⁴ of each column, `(visible, hidden)` → `(hidden,)`, in sites; 0 for a column of zeros.

    `xp` is the module that computes, `numpy` or `jax.numpy`; so too below.
    """
    fourth = (shares_of(w, xp) ** 2).sum(axis=0)
    return xp.where(fourth > 0, 1 / xp.where(fourth > 0, fourth, 1), 0)


def shares_of(w: Any, xp: Any) -> Any:
    """Return W² / Σ W² of each column; zeros for a column of zeros, and no underflow for small weights."""
    largest = xp.abs(w).max(axis=0)
    squares = (w / xp.where(largest > 0, largest, 1)) ** 2
    total = squares.sum(axis=0)
    return squares / xp.where(total > 0, total, 1)


def marginals(shares: Any, size: int) -> tuple[Any, Any]:
    """Return the shares summed over columns and over rows of the lattice, each `(L, hidden)`."""
    pictures = shares.reshape(size, size, -1)
    return pictures.sum(axis=1), pictures.sum(axis=0)


def along(marginal: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return centroid, resultant and mean squared distance from the centroid along one axis, `(hidden,)` each."""
    size = len(marginal)
    place = np.arange(size)
    angle = 2 * math.pi / size * place
    x, y = ((wave(angle)[:, None] * marginal).sum(axis=0) for wave in (np.cos, np.sin))
    resultant = xp.hypot(x, y)
    centroid = xp.where(resultant > SHORTEST_RESULTANT, xp.arctan2(y, x) * (size / (2 * math.pi)), 0)
    centroid = centroid % size % size  # −1e−17 % L is L
    step = place[:, None] - centroid
    step = step - size * xp.round(step / size)
    return centroid, resultant, (marginal * step**2).sum(axis=0)


def square_side(visible: int) -> int:
    """Return L if the visible units make an L×L lattice with L ≥ 2, otherwise 0."""
    size = math.isqrt(visible)
    return size if size >= 2 and size**2 == visible else 0


def require_square(rbm: RBM) -> int:
    """Return L, or raise `InputError` unless the visible units make an L×L lattice."""
    size = square_side(rbm.visible)
    if not size:
        message = f"{rbm.visible} visible units make no square lattice: places on it need L² units, L ≥ 2"
        raise InputError(message)
    return size
