"""With which powers of the distance do spin and energy of a field correlate? The scaling dimensions Δ_σ and Δ_ε.

On a critical L-by-L torus in the scaling limit, with the functions F_σ and F_ε of free fermions (Di Francesco, Saleur
and Zuber 1987; `Ising.two_point_shape`, `Ising.energy_two_point_shape`),

    ⟨h_x h_{x+d}⟩ = A L^{−2Δ} F_σ(d/L)^{Δ/Δ_σ},            Δ_σ = 1/8,
    ⟨e_x e_{x+d}⟩ − ⟨e⟩² = A L^{−2Δ} F_ε(d/L)^{Δ/Δ_ε},     Δ_ε = 1,

e_x = ½(h_x h_{x+right} + h_x h_{x+below}). For every Δ the right side has the power r^{−2Δ} at short distance and the
period of the torus, and it is the exact function for the exact Δ: a power of the chord distance would be exact for no
Δ on a torus. ⟨h⟩ is 0 by symmetry and nothing is subtracted from the first. ⟨e⟩ is not 0 on a finite torus, and what is
subtracted is the square of the mean over the whole set, sites and samples, so that F_ε is that of the torus, too, less
its own ⟨ε⟩².

Displacements are gathered into rings of about equal width in ln |d|; A and Δ follow from the means of the rings by
least squares with their full covariance, which a jackknife over 64 groups of samples gives, as it gives the error of Δ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft, optimize

from rgstep.arguments import InputError, checked, optional, real
from rgstep.correlators import correlation_sums, given
from rgstep.ensemble import Ensemble, Level, Source, pieces, read
from rgstep.estimates import Estimate, Groups, estimated
from rgstep.instruments.two_point import distances
from rgstep.ising import Ising
from rgstep.scaling import IMPROBABLE, p_of

NEAREST = 4.0  # lattice spacings: nearer, the lattice shows (docs/scaling.md)
NEAREST_OF_SIDE = 1 / 4  # of small lattices
RINGS = 8
FEWEST_RINGS = 3
FEWEST_SAMPLES = 640  # ten in each group of the jackknife
NO_FIT = 1e-6  # p of χ² below which the numbers of the fit have no error
CORRELATED = 4.0  # standard errors of G in some ring below which there is nothing to fit
LARGEST_DELTA = 20.0
LARGEST_REACH = 1e6  # of `nearest`
ROUNDING = 1e-12


@dataclass(frozen=True)
class Dimension:
    """A scaling dimension by a fit.

    Attributes:
        name: σ or ε.
        estimate: Δ; NaN where there is nothing to fit, without error where the fit fails, and `remark` says why.
        amplitude: A, so that the correlation is A r^{−2Δ} where r is small against L.
        exact: Δ of the critical Ising model.
        chi2: squared deviations of the rings, with their covariance.
        dof: rings minus two.
        window: the shortest and the longest distance fitted, in lattice spacings.
        remark: what speaks against the number; empty if nothing does.
    """

    name: str
    estimate: Estimate
    amplitude: Estimate
    exact: float
    chi2: float
    dof: int
    window: tuple[float, float]
    remark: str

    @property
    def p(self) -> float:
        """How probable a χ² as large is; NaN where there is no fit."""
        return p_of(self.chi2, self.dof)

    def __str__(self) -> str:
        """Return a line."""
        fitted = f"χ²/dof {self.chi2:.1f}/{self.dof}, |d| = {self.window[0]:g} … {self.window[1]:.3g}"
        line = f"Δ_{self.name} = {self.estimate} (Ising {self.exact:g}), {fitted}"
        return f"{line}; {self.remark}" if self.remark else line

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; a number that does not exist is null."""
        value, error = float(self.estimate.value), float(self.estimate.error)
        finite = {"value": value, "error": error, "chi2": self.chi2}
        return {
            **{"name": self.name, "exact": self.exact, "dof": self.dof, "window": list(self.window)},
            **{name: number if math.isfinite(number) else None for name, number in finite.items()},
            "remark": self.remark,
        }


@dataclass(frozen=True)
class Dimensions:
    """Δ_σ and Δ_ε of one field."""

    sigma: Dimension
    epsilon: Dimension

    def __str__(self) -> str:
        """Return a line for each."""
        return f"{self.sigma}\n{self.epsilon}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"sigma": self.sigma.to_dict(), "epsilon": self.epsilon.to_dict()}


@checked(nearest=optional(real("must be a distance of at least 1 lattice spacing", lambda x: 1 <= x <= LARGEST_REACH)))
def scaling_dimensions(field: Ensemble | Level | ArrayLike, nearest: float | None = None) -> Dimensions:
    """Return Δ_σ and Δ_ε of a field by fits to its spin–spin and energy–energy correlations.

    Compare with equilibrium configurations of the same side: what the fit makes of these is the baseline.

    Args:
        field: an `Ensemble`, a `Level`, or variables on a lattice such as h of a block rule or the states of a flow,
            `(sample, row, column)`, independent samples.
        nearest: the shortest displacement in both fits, in lattice spacings; None: 4, or a quarter of a side below 16.

    Raises:
        InputError: if the field is not on a square lattice, has fewer than 640 samples, or the lattice has too few
            distances from `nearest` on.

    Examples:
        >>> found = rg.scaling_dimensions(rg.sample(16, samples=2_000, seed=0))
        >>> abs(found.sigma.estimate.value - 1 / 8) < 0.05
        True
    """
    source = field if isinstance(field, Ensemble | Level) else given(field, "field", places=True)
    side = read(source, 0, 1).shape[1] if len(source) else 0
    if len(source) < FEWEST_SAMPLES:
        message = f"field has {len(source)} samples: the covariance of the fit needs at least {FEWEST_SAMPLES}"
        raise InputError(message)
    remark = ""
    if isinstance(field, Ensemble) and not field.system.is_critical:
        remark = f"T = {field.system.temperature:.6g} is not critical: there is no scaling dimension to find"
    rings = rings_of(side, min(NEAREST, NEAREST_OF_SIDE * side) if nearest is None else nearest)
    found = []
    for name, sums, exact, shape in (
        ("σ", correlation_sums, Ising.DELTA_SIGMA, Ising.two_point_shape),
        ("ε", energy_sums, Ising.DELTA_EPSILON, Ising.energy_two_point_shape),
    ):
        G = correlations(source, sums, subtracted=name == "ε")
        found.append(dimension(name, G, rings, exact, np.asarray(torus(shape, side)), remark))
    return Dimensions(*found)


def torus(shape: Callable[[Any, Any], np.ndarray], side: int) -> np.ndarray:
    """Return a function of the torus at every displacement, `(row, column)`."""
    fraction = np.arange(side) / side
    return shape(fraction[:, None], fraction[None, :])


def energy_sums(field: Source, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (1/N) Σ_x e_x e_{x+d}, `(row, column)` of d, and (1/N) Σ_x e_x, summed over samples start … stop."""
    side = read(field, 0, 1).shape[1]
    power, total = np.zeros((side, side // 2 + 1)), np.zeros(())
    for _, values in pieces(field, start, stop):
        h = values.astype(np.float32)
        e = h * (np.roll(h, -1, axis=1) + np.roll(h, -1, axis=2)) / 2
        power += (np.abs(fft.rfft2(e)) ** 2).sum(axis=0, dtype=np.float64)
        total += e.sum(dtype=np.float64) / side**2
    return np.asarray(fft.irfft2(power / side**2, s=(side, side))), total


def correlations(
    field: Source, sums: Callable[[Source, int, int], tuple[np.ndarray, np.ndarray]], subtracted: bool
) -> np.ndarray:
    """Return G(d) of all samples, then of those outside each group, `(set, row, column)`."""
    groups = Groups.of(len(field))
    products, totals = (np.stack(part) for part in zip(*(sums(field, *g) for g in groups.bounds), strict=True))
    G, mean = groups.over_counts(products), groups.over_counts(totals)
    return np.asarray(G - mean[:, None, None] ** 2 if subtracted else G)


def rings_of(side: int, nearest: float) -> list[np.ndarray]:
    """Return the displacements of each ring, `(row, column)` of bool, from `nearest` to the corner of the torus.

    Raises:
        InputError: if there are too few.
    """
    d = distances(side)
    lengths = np.unique(np.round(d[d >= nearest - ROUNDING], 9))
    count = min(RINGS, len(lengths))
    edges = np.geomspace(nearest, max(float(d.max(initial=0.0)), nearest) * (1 + 1e-9), count + 1)
    rings = [(d >= low - ROUNDING) & (d < high - ROUNDING) for low, high in pairwise(edges)]
    rings = [ring for ring in rings if ring.any()]
    if len(rings) < FEWEST_RINGS:
        message = (
            f"field of side {side} has {len(rings)} rings of distances from nearest = {nearest:g} on: a fit needs "
            f"{FEWEST_RINGS}; use a larger lattice or a smaller nearest"
        )
        raise InputError(message)
    return rings


def dimension(
    name: str, G: np.ndarray, rings: list[np.ndarray], exact: float, shape: np.ndarray, remark: str
) -> Dimension:
    """Return Δ of the correlations of several sets, `(set, row, column)`; the first set is that of all samples."""
    d = distances(len(shape))
    means = np.stack([G[:, ring].mean(axis=1) for ring in rings], axis=1)
    window = (float(min(d[ring].min() for ring in rings)), float(max(d[ring].max() for ring in rings)))
    spread, dof, nothing = np.asarray(estimated(means).error), len(rings) - 2, Estimate(math.nan, math.nan)
    delta, amplitude, chi2 = nothing, nothing, math.nan
    remarks = [remark] if remark else []
    if not spread.all():
        remarks.append("all samples are alike")
    elif not (means[0] > CORRELATED * spread).any():
        remarks.append("its correlation is nowhere 4 standard errors above 0")
    else:
        fits, chi2 = fit(means, [np.log(shape[ring]) / exact - 2 * math.log(len(shape)) for ring in rings], exact)
        amplitude, delta = (estimated(column) for column in fits.T)
    if abs(float(delta.value)) > LARGEST_DELTA:
        delta, amplitude, chi2 = nothing, nothing, math.nan
        remarks.append("no power of the distance fits its correlation")
    if p_of(chi2, dof) < IMPROBABLE:
        remarks.append(f"χ²/dof = {chi2 / dof:.1f}: the shape is not that of critical spins on a torus")
    if p_of(chi2, dof) < NO_FIT:
        delta, amplitude = (Estimate(each.value, math.nan) for each in (delta, amplitude))
    return Dimension(name, delta, amplitude, exact, chi2, dof, window, "; ".join(remarks))


def fit(means: np.ndarray, logs: list[np.ndarray], exact: float) -> tuple[np.ndarray, float]:
    """Return A and Δ of each set, `(set, 2)`, and χ² of all samples.

    Args:
        means: of the rings, `(set, ring)`.
        logs: l(d) of each displacement of each ring, so that the correlation is A exp(Δ l).
        exact: Δ at which the search starts, with A from the nearest ring, where G is known best.
    """
    inverse, factor = whitening(means)

    def model(parameters: np.ndarray) -> np.ndarray:
        delta = float(np.clip(parameters[1], -2 * LARGEST_DELTA, 2 * LARGEST_DELTA))
        return np.array([parameters[0] * float(np.exp(delta * each).mean()) for each in logs])

    start = np.array([means[0, 0] / float(np.exp(exact * logs[0]).mean()), exact])
    best = optimize.least_squares(lambda p: inverse @ (model(p) - means[0]), start, x_scale=np.abs(start))
    to_parameters = np.linalg.pinv(best.jac) @ inverse
    fits = best.x + (means - model(best.x)) @ to_parameters.T  # of the other sets one step from there: all are near
    residual = inverse @ (model(best.x) - means[0])
    return np.asarray(fits), float(residual @ residual) * factor


def whitening(means: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the matrix that makes the rings independent of unit variance, and the factor that is due to χ².

    The inverse of a covariance from g groups is too large by (g − 1)/(g − p − 2) for p rings (Hartlap et al. 2007).
    """
    deviations = means[1:] - means[1:].mean(axis=0)
    groups, rings = deviations.shape
    covariance = (groups - 1) / groups * deviations.T @ deviations
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale) + 1e-9 * np.eye(rings)  # no more digits than float32 gives
    inverse = np.linalg.inv(np.linalg.cholesky(correlation)) / scale
    return inverse, (groups - rings - 2) / (groups - 1)
