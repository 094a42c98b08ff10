"""What are ⟨v h⟩ and the coefficients β = C⁻¹⟨v h⟩ of a map exactly? On the 4×4 torus by summing over all its states.

Of `Average` and `Decimation` β is known on any lattice: 1/b² on the tile, or 1 on its first site, and 0 elsewhere.
"""

import math

import enumeration
import numpy as np

from rgstep import patterns
from rgstep.blocking import Average
from rgstep.instruments import tiles, vh_pattern

SIZE = 4
SAME_GROUPS = 8  # copies of the exact coefficients, as many as `tiles` needs
NOISY = ("coverage_min", "local_units", "extended_units", "faint_units", "tile_amplitude")
# read with the sample's noise, or with a bias of order 1/n: no exact value to compare with


def coefficients(mean_h, coupling):
    """Return C⁻¹⟨v h⟩ of every unit with the full matrix C of all pairs, no Fourier transform, `(unit, 4, 4)`."""
    v, p = enumeration.states(SIZE), enumeration.probabilities(SIZE, coupling)
    flat = v.reshape(len(v), -1).astype(float)
    h = np.asarray(mean_h(v)).reshape(len(v), -1)
    return np.linalg.solve(flat.T @ (p[:, None] * flat), flat.T @ (p[:, None] * h)).T.reshape(-1, SIZE, SIZE)


def at_known_sites(subject):
    """Return ⟨v h⟩ in, beside and far from the own block of a map with given places on 4×4."""
    masks = vh_pattern.masks_of(subject)
    pictures = enumeration.visible_hidden(subject.coarse.mean_h, SIZE, subject.system.coupling)
    flat = subject.gauge.sign[:, None] * pictures.reshape(len(pictures), -1)
    return {name: float(flat[mask].mean()) for name, mask in masks._asdict().items() if mask.any()}


def geometry(subject):
    """Return the geometry of a map's exact coefficients on 4×4, T above 0."""
    v, p = enumeration.states(SIZE), enumeration.probabilities(SIZE, subject.system.coupling)
    two_point = np.tensordot(p, v[:, :1, :1] * v, axes=1)  # of the corner with each site
    pictures = enumeration.visible_hidden(subject.coarse.mean_h, SIZE, subject.system.coupling)
    beta = patterns.partial_correlations(pictures, two_point)
    alive = subject.gauge.alive
    same = np.repeat(beta[alive][None], SAME_GROUPS, axis=0)  # no noise: all groups alike
    places = tiles.placed(same, subject.moments, np.flatnonzero(alive), subject.gauge)
    return tiles.concluded(*tiles.sums_of(same, places), places.centre, beta[alive], alive)


def of_tiles(subject):
    """Return the exact quantities of the tiles on 4×4: those that have a value without noise."""
    values = {name: float(estimate.value) for name, estimate in geometry(subject).quantities.items()}
    found_places = () if subject.gauge.tiles else ("equivariance",)  # a unit may fit several tiles alike
    return {name: value for name, value in values.items() if name not in {*NOISY, *found_places}}


def of_linear(coarse, size):
    """Return the exact quantities of the tiles of `Average` and `Decimation` on any lattice, at any T above 0."""
    b = coarse.block
    area = b**2 if isinstance(coarse, Average) else 1
    values = {"tile_radius": math.sqrt((area - 1) / 6), "tile_share": 1.0, "participation_beta": float(area)}
    values |= {f"{name}_mean": value for name, value in values.items()}
    if tiles.core_radius(b, size) >= (b - 1) / math.sqrt(2):
        values |= {"core_share": 1.0, "core_share_mean": 1.0}
    return {**values, "coverage": area / b**2, "overlap": 0.0, "equivariance": 0.0}
