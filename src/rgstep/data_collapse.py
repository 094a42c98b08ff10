"""Which T_c, 1/ν and exponent bring the curves of all sizes onto one? Data collapse by Gaussian process regression.

With X = (K_c − K) L^{1/ν}, K = 1/T, and Y = O L^{−a}, all points lie on one curve Y = f(X) of which nothing is known
but that it is smooth. So f is drawn from a Gaussian process (Harada 2011, Phys. Rev. E 84, 056704), and with the errors
e of the points

    O ~ Normal(0, C),    C_ij = (L_i L_j)^a [θ₀² (10 + exp(−(X_i − X_j)²/2θ₁²)) + δ_ij θ₂²] + δ_ij e_i².

The 10 is the variance of a constant in f. The likelihood is that of the numbers O as measured: that of Y would lack the
factor Π L^{−a} and prefer large a. T_c (not far out of the range of T), 1/ν, a and the logarithms of θ₀, θ₁ have flat
priors; θ₂, a scatter beyond the errors, is 0 unless the fit without it is bad, as it is where corrections to scaling
are seen. Estimates are the maximum of the likelihood, errors the Laplace approximation of the posterior there: the
inverse matrix of second derivatives, in which the uncertainty of f and of the θ is contained.

X is made of K rather than of T, since there the curves of the Ising model collapse over a wider range
(docs/scaling.md); where T is no temperature, X = (T − T_c) L^{1/ν}.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, optimize, special

from rgstep.arguments import FLAG, InputError, checked, optional, real
from rgstep.estimates import Estimate
from rgstep.sizes import columns

FEWEST_POINTS = 12  # five parameters and a curve
FEWEST_SIZES = 2
CONSTANT = 10.0  # variance of the constant in units of θ₀²
ROUNDING = 1e-12
IMPROBABLE = 0.01  # p of χ² below which θ₂ is fitted too
LEAST_FREE = 1 / 3  # degrees of freedom a point below which the curve follows the noise: θ₂ is fitted too
START_T_C = (-1.0, -0.5, 0.0, 0.5, 1.0)  # in standard deviations of T from its mean
START_INVERSE_NU = (0.4, 0.7, 1.0, 1.4, 2.0)
START_WIDTHS = (0.5, 1.0, 2.0)  # θ₁ in standard deviations of X
START_SCATTER = (1e-3, 1e-2, 1e-1)  # θ₂ in units of the largest O
TRIED = 4  # of the starts, the best, from which the search goes on
STEP = 1e-4  # of the second derivatives, in standard deviations
LARGEST_SHIFT = 1.0  # of T_c out of the range of T, in standard deviations: farther away no sizes overlap in X
LARGEST_PARAMETER = 50.0  # exponents and logarithms beyond have run away
IMPOSSIBLE = 1e12  # −ln of the likelihood where there is none


@dataclass(frozen=True)
class Collapse:
    """A data collapse.

    Attributes:
        critical_temperature: T_c.
        inverse_nu: 1/ν.
        exponent: a of O = L^a f; without error where it was given.
        chi2: squared deviations from the curve in units of the errors.
        dof: points, less the effective number of parameters of the curve and those of the collapse.
        scatter: θ₂, a scatter beyond the errors that the curve needs, in units of Y at the largest size; 0 if none.
        remark: why the numbers are not to be trusted; empty if nothing speaks against them.
    """

    critical_temperature: Estimate
    inverse_nu: Estimate
    exponent: Estimate
    chi2: float
    dof: float
    scatter: float
    remark: str


class Points(NamedTuple):
    """Points to be collapsed, T from 0 in units of its spread, O in units of its own, L of the largest."""

    L: np.ndarray
    T: np.ndarray  # or −K
    O: np.ndarray
    error: np.ndarray
    exponent: float | None
    scattered: bool

    def read(self, parameters: np.ndarray) -> tuple[float, float, float, float, float, float]:
        """Return T_c, 1/ν, a, θ₀, θ₁, θ₂ from the parameters of the search."""
        rest = [float(x) for x in parameters]
        if self.exponent is not None:
            rest.insert(2, self.exponent)
        return rest[0], rest[1], rest[2], math.exp(rest[3]), math.exp(rest[4]), math.exp(rest[5]) if rest[5:] else 0.0


@checked(exponent=optional(real("must be a number between -10 and 10", lambda x: abs(x) <= 10)), in_coupling=FLAG)
def collapse(
    sizes: ArrayLike,
    temperatures: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    *,
    exponent: float | None = None,
    in_coupling: bool = True,
) -> Collapse:
    """Collapse the curves O(T) of all sizes onto one curve.

    Cost: n³ operations for n points, some hundred times: a second for 100 points.

    Args:
        sizes: L, `(point,)`.
        temperatures: T, near T_c.
        values: O.
        errors: standard errors of independent points.
        exponent: a where it is known, 0 for Binder's cumulant; None to fit it.
        in_coupling: whether X is made of K = 1/T; else of T, which may then be any parameter.

    Raises:
        InputError: for fewer than twelve points or two sizes, or if the likelihood has no maximum with T_c near the
            temperatures.

    Examples:
        >>> points = [(size, t) for size in (4, 8) for t in (2.1, 2.2, 2.25, 2.3, 2.35, 2.4)]
        >>> sets = [rg.sample(size, t, samples=500, seed=0) for size, t in points]
        >>> found = rg.collapse(*rg.size_tables(sets)["U4"], exponent=0.0)
        >>> abs(found.inverse_nu.value - 1) < 4 * found.inverse_nu.error
        True
    """
    L, T, O, error = columns(sizes=sizes, temperatures=temperatures, values=values, errors=errors)
    check_points(L, T, O)
    if in_coupling and T.min() <= 0:
        message = f"temperatures contains {T.min():g}: K = 1/T needs T above 0; in_coupling=False takes any parameter"
        raise InputError(message)
    t = -1 / T if in_coupling else T  # grows with T
    centre, width, spread = float(t.mean()), float(t.std()), float(np.abs(O).max())
    points = Points(L / float(L.max()), (t - centre) / width, O / spread, error / spread, exponent, False)
    points, best, chi2, dof, remarks = best_of(points)
    each = np.sqrt(np.diag(posterior_covariance(points, best)))
    t_c, inverse_nu, a, _, _, scatter = points.read(best)
    return Collapse(
        as_temperature(centre + width * t_c, float(width * each[0]), in_coupling),
        Estimate(inverse_nu, float(each[1])),
        Estimate(a, float(each[2]) if exponent is None else 0.0),
        chi2,
        dof,
        scatter * spread,
        "; ".join(remarks),
    )


def best_of(points: Points) -> tuple[Points, np.ndarray, float, float, list[str]]:
    """Return the points, with a scatter of the curve if it needs one, the best parameters, χ², its dof, and remarks."""
    best, chi2, dof = fit(points)
    remarks = []
    if special.gammaincc(dof / 2, chi2 / 2) < IMPROBABLE or dof < LEAST_FREE * len(points.O):
        remarks.append(f"χ²/dof = {chi2:.1f}/{dof:.0f} within the errors alone: the curve has a scatter of its own")
        points = points._replace(scattered=True)
        best = search(points, with_scatter(best))
    if beyond(points, float(best[0])) > 0:
        remarks.append("T_c lies outside the range of the temperatures")
    return points, best, chi2, dof, remarks


def as_temperature(t: float, error: float, in_coupling: bool) -> Estimate:
    """Return T_c from t = −K_c, or from T_c itself."""
    return Estimate(-1 / t, error / t**2) if in_coupling else Estimate(t, error)


def check_points(L: np.ndarray, T: np.ndarray, O: np.ndarray) -> None:
    """Raise `InputError` if there are too few points for a collapse, or nothing in them that could be collapsed."""
    if len(L) < FEWEST_POINTS:
        message = f"sizes, temperatures and values have {len(L)} points: a collapse needs at least {FEWEST_POINTS}"
        raise InputError(message)
    if len(np.unique(L)) < FEWEST_SIZES:
        message = f"sizes has {len(np.unique(L))} different one: a collapse needs at least {FEWEST_SIZES}"
        raise InputError(message)
    for name, column in (("temperatures", T), ("values", O)):
        if np.ptp(column) <= ROUNDING * np.abs(column).max():
            message = f"{name} are all the same: there is no curve to collapse"
            raise InputError(message)


def fit(points: Points) -> tuple[np.ndarray, float, float]:
    """Return the best parameters without extra scatter, χ² and its degrees of freedom."""
    exponent = [] if points.exponent is not None else [guess_of_exponent(points)]
    starts = [
        np.array([T_c, inverse_nu, *exponent, 0.0, math.log(width * np.std((points.T - T_c) * points.L**inverse_nu))])
        for T_c, inverse_nu, width in product(START_T_C, START_INVERSE_NU, START_WIDTHS)
    ]
    best = search(points, starts)
    return best, *deviations(points, best)


def guess_of_exponent(points: Points) -> float:
    """Return the slope of ln |O| on ln L over all points, between −3 and 3."""
    if not (points.O != 0).all():
        return 0.0
    return float(np.clip(np.polyfit(np.log(points.L), np.log(np.abs(points.O)), 1)[0], -3.0, 3.0))


def with_scatter(best: np.ndarray) -> list[np.ndarray]:
    """Return where to look for θ₂, with all else as it is."""
    return [np.append(best, math.log(scatter)) for scatter in START_SCATTER]


def search(points: Points, starts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the parameters of the largest likelihood that is found from several starts.

    Raises:
        InputError: if there is none.
    """
    ranked = sorted(starts, key=lambda start: minus_log_likelihood(start, points)[0])
    found = [
        optimize.minimize(minus_log_likelihood, start, (points,), "BFGS", jac=True, options={"gtol": 1e-4})
        for start in ranked[:TRIED]
    ]
    best = min(found, key=lambda one: float(one.fun))
    if not best.fun < IMPOSSIBLE:
        message = "values: no parameters of a collapse have a likelihood: no minimum; give more points near T_c"
        raise InputError(message)
    return np.asarray(best.x)


class Covariance(NamedTuple):
    """The covariance of O that the curve makes, `(point, point)`, and what its derivatives need."""

    curve: np.ndarray
    own: np.ndarray  # (point,) the variance of each point about the curve
    scatter: np.ndarray  # (point,) the part of θ₂ in it
    bend: np.ndarray  # curve without its constant
    D: np.ndarray  # (X_i − X_j)/θ₁
    X: np.ndarray


def beyond(points: Points, T_c: float) -> float:
    """Return how far T_c is out of the range of T; negative inside."""
    return max(T_c - float(points.T.max()), float(points.T.min()) - T_c)


def covariance_of(points: Points, parameters: np.ndarray) -> Covariance:
    """Return the covariance of O at some parameters."""
    T_c, inverse_nu, a, t0, t1, t2 = points.read(parameters)
    X, scale = (points.T - T_c) * points.L**inverse_nu, points.L**a
    D = (X[:, None] - X) / t1
    amplitude = t0**2 * np.outer(scale, scale)
    bend = amplitude * np.exp(-(D**2) / 2)
    scatter = (scale * t2) ** 2
    return Covariance(bend + CONSTANT * amplitude, scatter + points.error**2, scatter, bend, D, X)


def minus_log_likelihood(parameters: np.ndarray, points: Points) -> tuple[float, np.ndarray]:
    """Return −ln p(O | parameters) up to a constant, and its gradient; a large number where there is no likelihood."""
    lost = IMPOSSIBLE, np.zeros_like(parameters)
    if not np.abs(parameters).max() < LARGEST_PARAMETER or beyond(points, parameters[0]) > LARGEST_SHIFT:
        return lost
    C = covariance_of(points, parameters)
    try:
        factor = linalg.cholesky(C.curve + np.diag(C.own), lower=True)
    except (linalg.LinAlgError, ValueError):
        return lost
    weight = linalg.cho_solve((factor, True), points.O)
    value = float(np.log(np.diag(factor)).sum() + points.O @ weight / 2)
    pull = (linalg.cho_solve((factor, True), np.eye(len(weight))) - np.outer(weight, weight)) / 2
    return (value, gradient(points, parameters, C, pull)) if math.isfinite(value) else lost


def gradient(points: Points, parameters: np.ndarray, C: Covariance, pull: np.ndarray) -> np.ndarray:
    """Return Σ pull · ∂C/∂parameter for each parameter of the search."""
    _, inverse_nu, _, _, t1, _ = points.read(parameters)
    log_L, power = np.log(points.L), points.L**inverse_nu
    along = -(pull * C.bend * C.D).sum(axis=1) / t1 * 2  # ∂/∂X_i, both indices of C
    found = [float(along @ -power), float(along @ (C.X * log_L))]
    of_scatter = np.diag(pull) * C.scatter
    if points.exponent is None:
        found.append(float(2 * log_L @ (pull * C.curve).sum(axis=1) + 2 * of_scatter @ log_L))
    found += [2 * float((pull * C.curve).sum()), float((pull * C.bend * C.D**2).sum())]
    return np.array([*found, *([2 * float(of_scatter.sum())] if points.scattered else [])])


def deviations(points: Points, parameters: np.ndarray) -> tuple[float, float]:
    """Return χ² about the curve and its degrees of freedom: points less the trace of what smooths them, less theirs."""
    C = covariance_of(points, parameters)
    smoother = linalg.solve(C.curve + np.diag(C.own), C.curve, assume_a="pos").T
    chi2 = float(((points.O - smoother @ points.O) ** 2 / C.own).sum())
    return chi2, max(len(points.O) - float(np.trace(smoother)) - (2 + (points.exponent is None)), 1.0)


def posterior_covariance(points: Points, best: np.ndarray) -> np.ndarray:
    """Return the inverse matrix of second derivatives of −ln of the likelihood at its maximum.

    Raises:
        InputError: if it is singular or the point is no maximum: the data do not fix the parameters.
    """

    def slopes(shift: np.ndarray) -> np.ndarray:
        return minus_log_likelihood(best + shift, points)[1]

    unit = STEP * np.eye(len(best))
    hessian = np.stack([(slopes(step) - slopes(-step)) / (2 * STEP) for step in unit])
    hessian = (hessian + hessian.T) / 2
    try:
        return np.asarray(linalg.cho_solve(linalg.cho_factor(hessian), np.eye(len(best))))
    except (linalg.LinAlgError, ValueError):
        message = (
            "values do not fix T_c, 1/ν and exponent: there is no minimum with a regular matrix of second derivatives; "
            "give more points around T_c, or an exponent that is known"
        )
        raise InputError(message) from None
