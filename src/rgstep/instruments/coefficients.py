"""What does each hidden unit take of each spin, and where? The best linear reading of h, with little noise.

At T_c the pictures ⟨v h⟩ fall only as r^(−1/4), whatever the map. The coefficients of the linear reading of h_a,

    β_a = C⁻¹ ⟨v h_a⟩ = argmin ⟨(h_a − β_a · v)²⟩,        C = ⟨v vᵀ⟩,

do not: 1/b² on the tile of the average rule and 0 elsewhere. C is a convolution, so that β is a division in Fourier
space (`patterns.partial_correlations`), but with noise of 0.012 a site at 20,000 samples, over 1024 sites as much as a
tile has. Almost all of it is noise in what β itself explains, and a control variate removes it: with β⁰ the
coefficients that stand out of the noise,

    β_a = β⁰_a + C⁻¹ ⟨v (h_a − β⁰_a · v)⟩,

which has the same expectation for every fixed β⁰. Of the noise of a linear map next to nothing is left, of the majority
rule's a quarter. Where a unit is, its weights q_a(x) = β_a(x)² say: on the b×b tile that holds most of them.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import fft, sparse

from rgstep import patterns
from rgstep.correlators import BLOCK_SITES, Moments, Source, read
from rgstep.estimates import group_bounds
from rgstep.gauge import torus
from rgstep.lattice import as_vectors

GROUPS = 32
ROUGH = 8  # groups that tell the noise of a coefficient while β⁰ is found
MANY = 10_000  # samples: the noise that one round leaves is a hundredth of that of the rest
THIN = 0.1  # share of β⁰ that is not 0, below which it is multiplied as a sparse matrix


class Places(NamedTuple):
    """Where the weights of some units are: sites as indices of the lattice's rows put end to end."""

    tile: np.ndarray  # (unit, b²)
    core: np.ndarray  # (unit, sites within two coarse spacings)
    centre: np.ndarray  # (unit, 2)
    shifted: np.ndarray  # (unit, site) which site comes to each when the tile is put at the origin
    sign: np.ndarray  # (unit,)


def merged(moments: Moments, groups: int) -> list[np.ndarray]:
    """Return which of the groups of the moments make each of at most so many larger ones."""
    return [np.arange(a, b) for a, b in group_bounds(len(moments.counts), groups)]


def coefficients(v: Source, moments: Moments, two_point: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return β of some units from each group of samples, float32 `(group, unit, L, L)`, by control variates."""
    first = np.zeros((len(units), moments.size, moments.size), np.float32)  # β⁰
    level = 2 * math.log(moments.size**2)  # noise passes at a site or less of a picture (Donoho and Johnstone 1994)
    for _ in range(1 if len(v) > MANY else 2):
        rough = gathered(improved(v, moments, two_point, units, first, ROUGH), len(merged(moments, ROUGH)))
        mean = rough.mean(axis=0)
        variance = rough.var(axis=0, ddof=1).mean(axis=(1, 2), keepdims=True)  # nearly the same at all sites
        first = np.where(mean**2 > level * variance / len(rough), mean, np.float32(0))
    return gathered(improved(v, moments, two_point, units, first, GROUPS), len(merged(moments, GROUPS)))


def gathered(parts: Iterator[np.ndarray], count: int) -> np.ndarray:
    """Return so many arrays as one, without room for them twice."""
    first = next(parts)
    out = np.empty((count, *first.shape), first.dtype)
    out[0] = first
    for g, part in enumerate(parts, start=1):
        out[g] = part
    return out


def improved(
    v: Source, moments: Moments, two_point: np.ndarray, units: np.ndarray, first: np.ndarray, groups: int
) -> Iterator[np.ndarray]:
    """Yield β⁰ + C⁻¹⟨v (h − β⁰·v)⟩ of each group of samples, float32 `(unit, L, L)`, from β⁰ = `first`."""
    edges = np.concatenate([[0], np.cumsum(moments.counts)]).astype(int)
    point = np.zeros((1, *first.shape[1:]))
    point[0, 0, 0] = 1
    inverse = fft.rfft2(patterns.partial_correlations(point, two_point)).real.astype(np.float32)  # C⁻¹ of each mode
    for which in merged(moments, groups):
        left = np.zeros(first.shape, np.float32)
        for g in which:
            left += moments.groups.vh[g, units].reshape(first.shape) * (moments.counts[g] / moments.counts[which].sum())
        if first.any():
            left -= explained(v, int(edges[which[0]]), int(edges[which[-1] + 1]), first)
        yield first + fft.irfft2(fft.rfft2(left) * inverse, s=first.shape[1:])


def explained(v: Source, start: int, stop: int, first: np.ndarray) -> np.ndarray:
    """Return ⟨(β⁰·v) v⟩ over samples start … stop, float32 `(unit, L, L)`.

    Cost: a matrix product of 2 · unit · site operations a sample, as much as `correlators.measure`; twice that where
    more than a tenth of β⁰ is not 0.
    """
    flat = first.reshape(len(first), -1)
    total = np.zeros(flat.shape, np.float32)
    used = np.flatnonzero(flat.any(axis=0))
    reading = sparse.csr_array(flat[:, used]) if np.count_nonzero(flat) < THIN * flat.size else flat[:, used]
    block = max(1, BLOCK_SITES // flat.shape[1])
    for a in range(start, stop, block):
        spins = as_vectors(read(v, a, min(a + block, stop)))
        read_off = np.ascontiguousarray(spins[:, used].T).astype(np.float32)
        total += np.asarray(reading @ read_off) @ spins.astype(np.float32)
    return np.asarray(total / np.float32(stop - start)).reshape(first.shape)


def squares(beta: np.ndarray) -> np.ndarray:
    """Return Σ_g β_g² in float64, a group at a time."""
    total = np.zeros(beta.shape[1:])
    for part in beta:
        total += part.astype(np.float64) ** 2
    return total


def weights(total: np.ndarray, power: np.ndarray, groups: int) -> np.ndarray:
    """Return Σ_{g≠g′} β_g β_g′ / G(G − 1) from Σ_g β_g and Σ_g β_g²: β² without bias."""
    return np.asarray((total * total - power) / (groups * (groups - 1)))


def placed(beta: np.ndarray, moments: Moments, units: np.ndarray) -> Places:
    """Return the best b×b tile of each unit, its centre, and how its picture is shifted to the origin.

    The centre is the centroid of the weights within b of the tile's. Maps with given places are shifted by those.
    """
    size, b = beta.shape[2], block_of(moments)
    q = weights(beta.sum(axis=0, dtype=np.float64), squares(beta), len(beta))
    sums = sum(np.roll(q, (-i, -j), axis=(1, 2)) for i in range(b) for j in range(b))
    corner = np.stack(np.divmod(np.asarray(sums).reshape(len(q), -1).argmax(axis=1), size), axis=1)
    tile = sites(corner, np.indices((b, b)).reshape(2, -1).T, size)
    middle = corner + (b - 1) / 2
    near = np.abs(torus(np.arange(size)[None, :, None] - middle[:, None, :], size)) <= b + 0.5 * (b % 2 == 0)
    window = np.where(near[:, :, None, 0] & near[:, None, :, 1], q, 0)
    mass = np.maximum(window.sum(axis=(1, 2)), 1e-300)
    along = torus(np.arange(size)[None, :, None] - middle[:, None, :], size)
    pull = [
        np.einsum(f"u{x},u{x}->u", window.sum(axis=3 - axis), along[:, :, axis - 1]) for axis, x in ((1, "r"), (2, "c"))
    ]
    centre = middle + np.clip(np.stack(pull, axis=1) / mass[:, None], -b, b)
    reach = np.indices((size, size)).reshape(2, -1).T
    core = sites(corner, reach[(torus(reach - (b - 1) / 2, size) ** 2).sum(axis=1) <= core_radius(b, size) ** 2], size)
    unit = np.arange(len(q))[:, None]
    on_tile = beta.mean(axis=0).reshape(len(q), -1)[unit, tile].sum(axis=1)
    sign = np.where(on_tile < 0, -1.0, 1.0)
    if given_block(moments):
        side = moments.hidden_shape[0]
        corner, sign = np.stack(np.divmod(units, side), axis=1) * (size // side), np.ones(len(q))
    return Places(tile, core, centre % size, sites(corner, reach, size), sign)


def core_radius(block: int, size: int) -> float:
    """Return the radius of the core of a unit: two coarse spacings, a quarter of a small lattice."""
    return min(2.0 * block, size / 4)


def sites(corner: np.ndarray, steps: np.ndarray, size: int) -> np.ndarray:
    """Return the sites at some steps from each corner, `(unit, step)`, as indices of rows put end to end."""
    row, column = ((corner[:, None, :] + steps[None]) % size).transpose(2, 0, 1)
    return np.asarray(row * size + column)


def block_of(moments: Moments) -> int:
    """Return b, the side of a unit's tile if all units share the lattice, to the nearest whole number."""
    return max(1, round(moments.size / math.sqrt(math.prod(moments.hidden_shape))))


def given_block(moments: Moments) -> bool:
    """Whether the units come as a square lattice that tiles the fine one."""
    shape = moments.hidden_shape
    return len(shape) == 2 and shape[0] == shape[1] and moments.size % shape[0] == 0
