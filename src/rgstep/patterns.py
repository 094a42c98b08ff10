"""What the picture of a hidden unit looks like: locality, contrast, place, likeness to its neighbours.

The picture of unit a is P_a(x) = ⟨v_x h_a⟩ over the lattice; the same questions are asked of the weights W_a(x). With
sums over the N sites of one picture,

    participation ratio   (Σ P²)² / Σ P⁴        how many sites carry the picture: 4 for a 2×2 tile, N/3 for noise
    spatial correlator    C_a(d) = Σ_x P_a(x) P_a(x+d) / Σ_x P_a(x)², averaged over units and over |d| = r
    momentum spectrum     |Σ_x W_a(x) e^{−ikx}|² / N, averaged over units and over |k|
    partial correlation   Σ_y C⁻¹(x − y) P_a(y), C = ⟨v v⟩: what unit a takes of site x itself, not through x's like
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from rgstep.arguments import FLAG, InputError, checked
from rgstep.correlators import MapLike, Means, measure
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate
from rgstep.lattice import shells
from rgstep.nets import localisation

ROUNDING = 1e-25  # Σ(P − P̄)² below this share of ΣP² is rounding noise of a flat picture
NO_POWER = 1e-5  # a Fourier mode of the spins with less than this share of the mean power tells nothing about h


class Masks(NamedTuple):
    """Which sites lie in, beside and farthest from each unit's block, bool `(hidden, site)`."""

    own_block: np.ndarray
    adjacent: np.ndarray
    farthest: np.ndarray


def pattern_statistics(v: Ensemble | ArrayLike, h: MapLike | ArrayLike) -> dict[str, Estimate]:
    """Return the statistics of every unit's picture with jackknife errors, one array `(unit,)` for each name.

    The names are those of `statistics`, and `centroid_row`, `centroid_column`: the circular centroid of P² in lattice
    units (its error means nothing for pictures that have no centre). Arguments as in `visible_hidden`.
    """
    moments = measure(v, h)

    def everything(means: Means) -> dict[str, np.ndarray]:
        row, column = centroid(means.vh.reshape(-1, moments.size, moments.size)).T
        return {**statistics(means), "centroid_row": row, "centroid_column": column}

    return moments.estimates(everything)


@checked(mean_subtracted=FLAG)
def pattern_correlator(
    v: Ensemble | ArrayLike, h: MapLike | ArrayLike, mean_subtracted: bool = True
) -> tuple[np.ndarray, Estimate]:
    """Return the distances and the spatial correlator C(r) of the pictures ⟨v h⟩ with jackknife errors.

    Arguments as in `visible_hidden`; `mean_subtracted` subtracts each picture's mean over sites first.
    """
    moments = measure(v, h)
    size = moments.size
    estimate = moments.estimate(lambda m: correlator_by_distance(m.vh.reshape(-1, size, size), mean_subtracted))
    return shells(size).distance, estimate


def participation_ratio(pictures: np.ndarray) -> np.ndarray:
    """Return (Σ P²)² / Σ P⁴ over the sites of each picture, `(unit, site)` → `(unit,)`; 0 for an empty picture."""
    return np.asarray(localisation.participation_ratio(pictures.T))


def statistics(means: Means) -> dict[str, np.ndarray]:
    """Return what each picture looks like, one array `(unit,)` for each name.

    mean, sd, range (largest minus smallest) over the sites; peak_over_background: largest modulus over the median
    modulus; sign of the mean; participation ratio; correlation of the unit with the total magnetisation M.
    """
    p = means.vh
    size = np.abs(p)
    background = np.maximum(np.median(size, axis=1), 1e-12)
    covariance = means.connected.sum(axis=1)
    variance_h = means.hh - means.h**2
    variance_m = means.mm - means.v.sum() ** 2
    scale = np.sqrt(np.maximum(variance_h * variance_m, 0))
    return {
        "mean": p.mean(axis=1),
        "sd": p.std(axis=1),
        "range": np.ptp(p, axis=1),
        "peak_over_background": size.max(axis=1) / background,
        "sign": np.sign(p.mean(axis=1)),
        "participation": participation_ratio(p),
        "correlation_m": np.divide(covariance, scale, out=np.zeros(len(p)), where=scale > 1e-12),
    }


def summary(means: Means) -> dict[str, np.ndarray]:
    """Return the pictures' statistics over units: means, and the median of the participation ratio."""
    each = statistics(means)
    over_units = {
        "pattern_mean_abs": np.abs(each["mean"]).mean(),
        "pattern_sd": each["sd"].mean(),
        "pattern_range": each["range"].mean(),
        "peak_over_background": each["peak_over_background"].mean(),
        "participation_vh": np.median(each["participation"]),
        "correlation_m_abs": np.abs(each["correlation_m"]).mean(),
    }
    return {name: np.asarray(value) for name, value in over_units.items()}


def block_masks(size: int, coarse: int) -> Masks:
    """Return the sites in each unit's own block, those that share an edge with it, and those farthest from it.

    Units sit on a coarse-by-coarse lattice whose blocks tile the L-by-L one. For 2×2 blocks 8 sites are adjacent.
    """
    block = size // coarse
    site = np.arange(size)
    tile = site // block
    inside = np.arange(coarse)[:, None] == tile
    beside = np.arange(coarse)[:, None] == np.stack([np.roll(tile, 1), np.roll(tile, -1)])[:, None]
    near = (beside[0] | beside[1]) & ~inside
    centre = np.arange(coarse)[:, None] * block + (block - 1) / 2
    step = np.abs(site - centre)
    step = np.minimum(step, size - step)
    squared = step[:, None, :, None] ** 2 + step[None, :, None, :] ** 2

    def flat(mask: np.ndarray) -> np.ndarray:
        return mask.reshape(coarse**2, size**2)

    rows, columns = inside[:, None, :, None], inside[None, :, None, :]
    adjacent = (near[:, None, :, None] & columns) | (rows & near[None, :, None, :])
    return Masks(flat(rows & columns), flat(adjacent), flat(np.isclose(squared, squared.max())))


def over_masks(means: Means, masks: Masks) -> dict[str, np.ndarray]:
    """Return ⟨v h⟩ averaged over the units and over each mask that has sites: own_block, adjacent, farthest."""
    return {name: np.asarray(means.vh[mask].mean()) for name, mask in masks._asdict().items() if mask.any()}


def centroid(pictures: np.ndarray) -> np.ndarray:
    """Return the circular centroid of P² on the torus, `(unit, row, column)` → `(unit, 2)` in lattice units."""
    shares = localisation.shares_of(pictures.reshape(len(pictures), -1).T, np)
    return np.stack([localisation.along(m, np)[0] for m in localisation.marginals(shares, pictures.shape[1])], axis=1)


def spatial_correlator(pictures: np.ndarray, mean_subtracted: bool, pooled: bool = False) -> np.ndarray:
    """Return C(d) averaged over units: `(unit, row, column)` → `(row, column)` of d.

    Each picture counts alike, after division by its own C(0); `pooled` divides the sum over units by its value at 0
    instead, so that pictures without contrast (little but sampling noise) do not count. A picture without any contrast
    has no correlator and is left out; NaN if that is all of them.
    """
    return correlator_of_power(power_spectra(pictures), mean_subtracted, pooled)


def power_spectra(pictures: np.ndarray) -> np.ndarray:
    """Return |Σ_x P_a(x) e^{−ikx}|² of every mode, `(unit, row, column)` of k: what all correlators are made of."""
    return np.asarray(np.abs(fft.fft2(pictures)) ** 2)


def correlator_of_power(power: np.ndarray, mean_subtracted: bool, pooled: bool = False) -> np.ndarray:
    """Return `spatial_correlator` from the power spectra of the pictures: without k = 0 no picture has a mean."""
    total = power.sum(axis=(1, 2))
    rounding = ROUNDING * total
    if mean_subtracted:
        power = power.copy()
        power[:, 0, 0] = 0
        total = power.sum(axis=(1, 2))
    if pooled:
        power, total, rounding = (part.sum(axis=0, keepdims=True) for part in (power, total, rounding))
    usable = total > rounding
    if not usable.any():
        return np.full(power.shape[1:], np.nan)
    shares = np.tensordot(1 / total[usable], power[usable], axes=1) / np.count_nonzero(usable)
    return np.asarray(fft.ifft2(shares).real * shares.size)


def correlator_by_distance(pictures: np.ndarray, mean_subtracted: bool, pooled: bool = False) -> np.ndarray:
    """Return `spatial_correlator` averaged over displacements of equal length: one value per `lattice.shells`."""
    return shells(pictures.shape[1]).average(spatial_correlator(pictures, mean_subtracted, pooled))


def momentum_spectrum(pictures: np.ndarray) -> np.ndarray:
    """Return the power per mode averaged over units and over |k|: one value per shell, |k| in units of 2π/L."""
    power = np.abs(fft.fft2(pictures)) ** 2 / pictures[0].size
    return shells(pictures.shape[1]).average(power.mean(axis=0))


def partial_correlations(pictures: np.ndarray, two_point: np.ndarray) -> np.ndarray:
    """Return the coefficients of the best linear reading of h_a from the spins, `(unit, row, column)`, float64.

        D_a(k) = P_a(k) / G(k),        D_a = argmin ⟨(h_a − Σ_x D_a(x) v_x)²⟩

    for translation-invariant ⟨v_x v_{x+d}⟩ = G(d). For `Average` D is 1/b² on the tile and 0 elsewhere, where P itself
    falls at T_c only as r^(−1/4). Modes in which the spins (nearly) do not move are 0 in D: the shortest of the
    coefficients that do equally well. Sampling noise in P is amplified most where G(k) is smallest.

    Args:
        pictures: ⟨v_x h_a⟩, `(unit, row, column)`.
        two_point: G(d) averaged over the lattice, `(row, column)` of d, as `correlators.two_point` returns it.

    Raises:
        InputError: if the shapes do not belong together.
    """
    if pictures.ndim != 3 or pictures.shape[1:] != two_point.shape:
        message = (
            f"pictures of shape {pictures.shape} with a two-point function of shape {two_point.shape}: "
            f"expected (unit, L, L) and (L, L)"
        )
        raise InputError(message)
    power = fft.rfft2(two_point.astype(np.float64)).real  # G(d) = G(−d)
    moves = power > NO_POWER * two_point[0, 0]  # G(0) is the mean over modes
    inverse = np.divide(1, power, out=np.zeros_like(power), where=moves)
    return np.asarray(fft.irfft2(fft.rfft2(pictures.astype(np.float64)) * inverse, s=two_point.shape))
