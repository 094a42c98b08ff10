"""Which couplings do coarse variables without places obey? All pairs at once, by pseudolikelihood.

For ±1 units with p(h) ∝ exp(Σ_{a<b} J_ab h_a h_b + Σ_a θ_a h_a) the law of one unit given the others is logistic,

    p(h_a | rest) = 1 / (1 + exp(−2 h_a z_a)),        z_a = θ_a + Σ_{b≠a} J_ab h_b,

and J is where the product of these over samples and units is largest (Besag 1975; Ravikumar, Wainwright and Lafferty
2010, arXiv:0804.4202). Every unit has its own convex problem; J is the mean of the two values that each pair gets. A
normal prior of unit variance on each coupling keeps it finite where one unit follows from the others. The bias, some
m/n of J for m units and n samples, is taken off by comparing with the two halves of the samples.

All units are solved together by conjugate gradients, from J = −C⁻¹ (mean field; Kappen and Rodríguez 1998), with
ū_a C as the Hessian of unit a, C = ⟨h hᵀ⟩ and ū_a the mean of sech² z_a. A step costs two matrix products.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import InputError
from rgstep.estimates import Estimate, Groups, jackknife
from rgstep.lattice import shells

GROUPS = 32  # each keeps a matrix of all pairs: 32 MB for 512 units
MOST_STEPS = 40  # of conjugate gradients
STEP_RESOLVED = 0.05  # in standard errors of a coupling: shorter steps are the end
LARGEST_UNITS = 512  # 20,000 samples of them take 7 s, of 256 units 2 s


@dataclass(frozen=True, eq=False)
class Pairs:
    """J_ab between the units that vary, and what each group of samples moves it by when left out."""

    J: np.ndarray  # (unit, unit), symmetric, zero on the diagonal
    halves: np.ndarray  # (2, unit, unit): J from either half of the samples, whose noise is independent
    shifts: np.ndarray  # (group, unit, unit): J without the group − J, to first order
    units: np.ndarray  # the numbers of the units that vary, in the order of J
    constant: np.ndarray  # the numbers of those that do not
    converged: bool

    def estimate(self, statistic: Callable[[np.ndarray], np.ndarray | float]) -> Estimate:
        """Return a function of J with its jackknife error."""
        rest = (statistic(self.J + shift) for shift in self.shifts if len(self.shifts) > 1)
        return jackknife(statistic(self.J), rest)

    def estimate_of_halves(self, statistic: Callable[[np.ndarray], float]) -> Estimate:
        """Return a function of the two halves' J with its jackknife error."""
        first = np.arange(len(self.shifts)) < len(self.shifts) // 2
        moves = (np.stack([shift * half, shift * ~half]) * 2.0 for shift, half in zip(self.shifts, first, strict=True))
        rest = (statistic(self.halves + move) for move in moves if len(self.shifts) > 1)
        return jackknife(statistic(self.halves), rest)

    @cached_property
    def error(self) -> np.ndarray:
        """The standard error of each J_ab, `(unit, unit)`."""
        return np.asarray(self.estimate(lambda J: J).error)


def pairwise(h: ArrayLike, *, groups: int = GROUPS) -> Pairs:
    """Return the couplings between all pairs of ±1 units, `(sample, unit)`, or places flattened row by row.

    Constant units are left out and named. Errors come from groups of samples through the approximate Hessian, which
    weighs all samples of a unit alike: at T_c they are too large, by 1.1 for weak and 1.7 for strong couplings.

    Args:
        h: int8 or float ±1.
        groups: contiguous groups of samples for the jackknife.

    Raises:
        InputError: for values other than ±1, fewer than 2 samples, or more than 512 units that vary.
    """
    values = np.asarray(h)
    if values.ndim < 2 or len(values) < 2 or not (np.abs(values) == 1).all():
        message = (
            f"h of shape {values.shape}: pairwise couplings need two samples or more of ±1 units; take signs first"
        )
        raise InputError(message)
    flat = values.reshape(len(values), -1)
    varies = (flat != flat[0]).any(axis=0)
    if varies.sum() > LARGEST_UNITS:
        message = f"{int(varies.sum())} units: pairwise couplings are fitted for at most {LARGEST_UNITS}"
        raise InputError(message)
    x = np.ones((len(flat), int(varies.sum()) + 1), np.float32)  # the last column carries θ
    x[:, :-1] = flat[:, varies]
    inverse = inverse_of(x)
    beta, converged = maximise(x, inverse, mean_field(inverse))
    halves = [symmetric(maximise(part, inverse, beta)[0]) for part in (x[: len(x) // 2], x[len(x) // 2 :])]
    shifts = left_out(x, beta, inverse, groups)
    units = np.flatnonzero(varies)
    J = 2.0 * symmetric(beta) - 0.5 * (halves[0] + halves[1])  # without the bias of order 1/n (Quenouille 1956)
    return Pairs(J, np.stack(halves), shifts, units, np.flatnonzero(~varies), converged)


def inverse_of(x: np.ndarray) -> np.ndarray:
    """Return C⁻¹, float64; the prior's 1/n keeps it finite."""
    second = (x.T @ x).astype(np.float64) / len(x)
    return np.asarray(np.linalg.inv(second + np.eye(x.shape[1]) / len(x)))


def mean_field(inverse: np.ndarray) -> np.ndarray:
    """Return −C⁻¹ without its diagonal, `(unit + 1, unit)`: what the mean-field approximation gives."""
    m = len(inverse) - 1
    beta = -inverse[:, :m]
    beta[np.arange(m), np.arange(m)] = 0.0
    return np.asarray(beta)


def maximise(x: np.ndarray, inverse: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return J and θ of every unit as columns `(unit + 1, unit)`, and whether the steps became small."""
    n, m = len(x), x.shape[1] - 1
    own = np.arange(m)
    beta, z = start.copy(), x @ start.astype(np.float32)
    direction, last, norm = np.zeros_like(beta), np.zeros_like(beta), np.ones(m)
    for _ in range(MOST_STEPS):
        t = np.tanh(z)
        slope = (x.T @ (x[:, :m] - t)).astype(np.float64) / n - beta / n
        slope[own, own] = 0.0
        t *= -t
        t += 1.0  # sech² z
        newton = solve(inverse, slope) / np.maximum(t.mean(axis=0, dtype=np.float64), 1.0 / n)
        turn = np.einsum("ba,ba->a", slope - last, newton) / norm  # Polak and Ribière 1969
        direction = newton + np.maximum(turn, 0.0) * direction
        last, norm = slope, np.maximum(np.einsum("ba,ba->a", slope, newton), 1e-300)
        if float(np.sqrt(n * np.max(norm))) < STEP_RESOLVED:
            return beta, True
        along = x @ direction.astype(np.float32)
        t *= along
        curvature = np.einsum("na,na->a", t, along).astype(np.float64) / n + (direction**2).sum(axis=0) / n
        step = np.einsum("ba,ba->a", slope, direction) / np.maximum(curvature, 1e-300)
        beta += step * direction
        along *= step.astype(np.float32)
        z += along
    return beta, False


def solve(inverse: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return C⁻¹ of the other units times the slope of each unit; entry (a, a) of the result is 0."""
    m = slope.shape[-1]
    own = np.arange(m)
    result = inverse @ slope
    return np.asarray(result - inverse[:, :m] * (result[..., own, own] / inverse[own, own])[..., None, :])


def left_out(x: np.ndarray, beta: np.ndarray, inverse: np.ndarray, groups: int) -> np.ndarray:
    """Return what leaving out each group changes J by, to first order, `(group, unit, unit)` in float32."""
    n, m = len(x), x.shape[1] - 1
    own = np.arange(m)
    slopes, weights = [], np.zeros(m)
    for a, b in Groups.of(n, groups).bounds:
        t = np.tanh(x[a:b] @ beta.astype(np.float32))
        slopes.append(x[a:b].T @ (x[a:b, :m] - t))
        weights += (1.0 - t * t).sum(axis=0, dtype=np.float64)
    mean = np.mean(slopes, axis=0)  # the prior's share
    shifts = np.empty((len(slopes), m, m), np.float32)
    for g, slope in enumerate(slopes):
        move = slope.astype(np.float64) - mean
        move[own, own] = 0.0
        shifts[g] = symmetric(-solve(inverse, move) / np.maximum(weights, 1.0))
    return shifts


def symmetric(beta: np.ndarray) -> np.ndarray:
    """Return J of every pair, the mean of the two values its units give it."""
    m = beta.shape[1]
    J = 0.5 * (beta[:m] + beta[:m].T)
    J[np.arange(m), np.arange(m)] = 0.0
    return np.asarray(J)


def strength(halves: np.ndarray) -> float:
    """Return the root mean square of J over pairs from both halves, √⟨J₁ J₂⟩, in which noise averages out."""
    m = halves.shape[1]
    return float(np.sqrt(max(float((halves[0] * halves[1]).sum()) / max(m * (m - 1), 1), 0.0)))


def partners(halves: np.ndarray) -> float:
    """Return how many units a unit is coupled to: the median over a of (Σ_b J_ab²)² / Σ_b J_ab⁴, J² from both halves.

    Four for nearest neighbours on a square lattice, all units where the couplings are alike; NaN without couplings.
    """
    squares = halves[0] * halves[1]
    second, fourth = np.maximum(squares.sum(axis=1), 0.0), (squares**2).sum(axis=1)
    return float(np.median(second**2 / fourth)) if (fourth > 0).all() else float("nan")


def against_distance(pairs: Pairs, side: int) -> dict[str, np.ndarray]:
    """Return mean and spread of J over the pairs at each distance of a coarse torus, with errors.

    The spread is √cov(J₁, J₂) over pairs, J₁ and J₂ from the two halves of the samples, in which noise averages out;
    its error is that of the covariance of independent noises.

    Args:
        pairs: of units that are numbered by their sites, row by row.
        side: of the torus.

    Returns:
        `distance`, `mean`, `error`, `spread` and `spread_error`, each `(distance,)`.
    """
    shell = shells(side)
    row, column = np.divmod(pairs.units, side)
    index = shell.index[(row[:, None] - row) % side, (column[:, None] - column) % side]
    count = np.bincount(index.ravel(), minlength=len(shell.distance))
    seen = np.flatnonzero((count > 0) & (shell.distance > 0))

    def mean(J: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(index.ravel(), J.ravel(), len(count))[seen] / count[seen])

    curve = pairs.estimate(mean)
    first, second = pairs.halves
    both = mean(first * second) - mean(first) * mean(second)
    noise = np.sqrt((mean(first**2) - mean(first) ** 2) * (mean(second**2) - mean(second) ** 2) / (count[seen] / 2))
    spread = np.sqrt(np.maximum(both, 0.0))
    return {
        "distance": shell.distance[seen],
        "mean": np.asarray(curve.value),
        "error": np.asarray(curve.error),
        "spread": spread,
        "spread_error": noise / np.maximum(2.0 * spread, np.sqrt(noise)),
    }
