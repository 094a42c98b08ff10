"""Which translation-invariant couplings do ±1 variables on a torus obey? By pseudolikelihood.

For translation-invariant couplings, H = −Σ_α K_α S_α over pairs (1,0), (1,1), (2,0), (2,1), (2,2) and the plaquette,

    ln p(s_i | rest) = −ln(1 + exp(−2 Σ_α K_α u_α,i)),        u_α,i = s_i φ_α,i,

φ_α,i the field that the terms α put on site i, and K is where the sum over sites and samples is largest (Besag 1975;
couplings of block spins: Swendsen 1984). The u take 28,125 values in all: they are counted once, a group of
samples at a time, and Newton's method works on the counts; leaving a group out is a subtraction.

An RG step keeps the couplings short-ranged, Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r| over pairs with n_r bonds a site,
and at T_c brings them to a fixed point, |K^{(n+1)} − K^{(n)}| → 0. On a side of 4 the displacements (±2,0), (±2,±2)
and half of (2,1) lead to the same site: each image counts, as for a lattice wrapped onto the torus, so that n_r and
K_r mean the same at every size.
"""

import math
import typing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from rgstep.compiled import kernel
from rgstep.correlators import BLOCK_SITES, Source, given, read
from rgstep.diagnostics.subject import SMALLEST_SIDE, signs
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, jackknife
from rgstep.types import Rng, Samples

KINDS = ("nn", "nnn", "20", "21", "22", "plaquette")
DISTANCES = np.sqrt([1.0, 2.0, 4.0, 5.0, 8.0])  # of the pairs
BONDS = np.array([2.0, 2.0, 2.0, 4.0, 2.0])  # of each distance, a site
FAR = np.array([False, False, True, True, True])
GROUPS = 64
SIZES = (5, 5, 5, 9, 5, 5)  # the values that each u may take: −4, −2, …, 4, and to 8 for (2,1)
BINS = int(np.prod(SIZES))
FIELDS = 2 * np.stack(np.unravel_index(np.arange(BINS), SIZES[::-1]))[::-1].T - (np.array(SIZES) - 1)  # u of each bin
NEWTON_STEPS = 60
LONGEST_STEP = 1.0
SINGULAR = 1e-11  # smallest over largest eigenvalue of the Hessian: the couplings cannot be told apart
OFTEN = 20  # flips of a typical unit that make one without any no accident


@dataclass(frozen=True, eq=False)
class Couplings:
    """The six couplings K of `KINDS` with jackknife errors; NaN where the samples do not determine them."""

    estimate: Estimate
    left_out: np.ndarray  # (group, 6): K without each group
    side: int
    zeros: int = 0  # values of 0 that a fair coin made ±1
    constant: int = 0  # units that never change, left out as centres

    @cached_property
    def covariance(self) -> np.ndarray:
        """The jackknife covariance of the six couplings, `(6, 6)`."""
        return covariance(self.left_out)

    def locality(self) -> Estimate:
        """Return Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r| of the pairs; NaN where all couplings may be noise.

        The modulus of a noisy K is too large. So |K_r| is read as `modulus(K_r, error)`, 0 on average without a
        coupling; one of one to three errors is read some 0.3 to 0.5 errors too small.
        """
        value, sigma = np.asarray(self.estimate.value)[:5], np.asarray(self.estimate.error)[:5]
        if len(self.left_out) < 2 or not np.isfinite(self.left_out).all() or not (sigma > 0).all():
            return Estimate(np.nan, np.nan)
        sizes, slopes = modulus(value, sigma)

        def sums(K: np.ndarray) -> np.ndarray:
            terms = BONDS * (sizes + slopes * (K - value))  # to first order about the full samples
            return np.array([terms[FAR].sum(), terms.sum()])

        full, rest = sums(value), [sums(K) for K in self.left_out[:, :5]]
        if not full[1] > 4 * float(jackknife(full[1], (s[1] for s in rest)).error):
            return Estimate(np.nan, np.nan)
        return jackknife(full[0] / full[1], (s[0] / s[1] for s in rest))

    def change(self, other: "Couplings") -> tuple[np.ndarray, np.ndarray]:
        """Return K of `other` − K, and its covariance; both measured on the same groups of samples."""
        if self.left_out.shape != other.left_out.shape:
            message = f"{len(self.left_out)} and {len(other.left_out)} groups: compare couplings from the same groups"
            raise InputError(message)
        difference = np.asarray(other.estimate.value) - np.asarray(self.estimate.value)
        return difference, covariance(other.left_out - self.left_out)

    def distance(self, other: "Couplings") -> Estimate:
        """Return |K of `other` − K|: the expected square of the noise is subtracted, and what is negative is 0."""
        d, spread = self.change(other)
        length = float(d @ d)
        if not np.isfinite(spread).all() or not np.isfinite(length):
            return Estimate(np.sqrt(length), np.nan)
        error = np.sqrt(d @ spread @ d / length) if length > 0 else np.sqrt(np.trace(spread))
        return Estimate(float(np.sqrt(max(length - np.trace(spread), 0.0))), float(error))

    def relative_change(self, other: "Couplings") -> Estimate:
        """Return |K of `other` − K| / |K|; NaN where K may be noise."""
        moved, K = self.distance(other), np.asarray(self.estimate.value)
        length = float(np.linalg.norm(K))
        error = float(np.sqrt(K @ self.covariance @ K)) / length if length else np.nan
        if not length > 4 * error:
            return Estimate(np.nan, np.nan)
        return Estimate(moved.value / length, math.hypot(moved.error / length, moved.value * error / length**2))


def couplings(
    field: Source, rng: Rng | None = None, *, groups: int = GROUPS, keep: np.ndarray | None = None
) -> Couplings:
    """Return the six translation-invariant couplings of ±1 variables on a torus of side ≥ 4.

    Args:
        field: an `Ensemble` or `(sample, l, l)`; of real values the sign is taken.
        rng: breaks the ties of values 0; needed only if there are any.
        groups: contiguous groups of samples for the jackknife.
        keep: bool `(l, l)`, the sites whose law given the others is used; all by default.

    Raises:
        InputError: for a side below 4, values that are not finite, or zeros without `rng`.

    Cost: 2 to 3 ns a site.
    """
    source = field if isinstance(field, Ensemble) else given(field, "the field", places=True)
    side = read(source, 0, 1).shape[1]
    if side < SMALLEST_SIDE:
        message = f"a lattice of side {side}: below {SMALLEST_SIDE} couplings of different range coincide"
        raise InputError(message)
    keep = np.ones((side, side), bool) if keep is None else keep
    counts, zeros = histogram(source, group_bounds(len(source), groups), keep, rng)
    value, left_out = fit(counts)
    return Couplings(jackknife(value, left_out), left_out, side, zeros, int((~keep).sum()))


def histogram(
    source: Source, bounds: list[tuple[int, int]], keep: np.ndarray, rng: Rng | None
) -> tuple[np.ndarray, int]:
    """Return how often each u occurs in each group, `(group, bin)`, and how many values were 0."""
    side = len(keep)
    counts = np.zeros((len(bounds), BINS), np.uint32)
    padded, codes = np.empty((side + 4, side + 4), np.int16), np.empty(side, np.int16)
    once = keep.astype(np.uint32)
    block, zeros = max(1, BLOCK_SITES // side**2), 0
    for row, (start, stop) in zip(counts, bounds, strict=True):
        for a in range(start, stop, block):
            values = read(source, a, min(a + block, stop))
            if not isinstance(source, Ensemble):
                ties = 0 if values.dtype == np.int8 else int((values == 0).sum())
                if ties and rng is None:
                    message = f"{ties} values are 0, which have no sign: give `rng` for a fair coin"
                    raise InputError(message)
                values, zeros = signs(values, rng or np.random.default_rng(0)), zeros + ties
            count(values, once, row, padded, codes)
    return counts, zeros


def fit(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return K from all groups' counts of u, `(6,)`, and without each group, `(group, 6)`; NaN where undetermined."""
    occupied = np.flatnonzero(counts.any(axis=0))
    parts, u = counts[:, occupied].astype(np.float64), FIELDS[occupied].astype(np.float64)
    total = parts.sum(axis=0)
    value = newton(total[None], u, np.zeros((1, len(KINDS))))
    if len(parts) < 2:
        return value[0], np.empty((0, len(KINDS)))
    if not np.isfinite(value).all():
        return value[0], np.full((len(parts), len(KINDS)), np.nan)
    return value[0], newton(total - parts, u, np.repeat(value, len(parts), axis=0))


def newton(weights: np.ndarray, u: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Maximise −Σ_bin weight · ln(1 + exp(−2 K·u)) over K for every row of weights `(row, bin)` at once."""
    rows, columns = np.triu_indices(u.shape[1])
    products = u[:, rows] * u[:, columns]
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    K, lost = start.copy(), np.zeros(len(start), bool)
    hessian = np.empty((len(K), u.shape[1], u.shape[1]))
    for _ in range(NEWTON_STEPS):
        wrong = 0.5 - 0.5 * np.tanh(K @ u.T)  # the chance of −s_i given the rest
        missed = weights * wrong
        hessian[:, rows, columns] = hessian[:, columns, rows] = (missed * (1.0 - wrong)) @ products
        spectrum = np.linalg.eigvalsh(hessian)
        lost |= ~(spectrum[:, 0] > SINGULAR * spectrum[:, -1])
        hessian[lost] = np.eye(u.shape[1])
        step = 0.5 * np.linalg.solve(hessian, (missed @ u)[..., None])[..., 0]
        length = np.where(lost, 0.0, np.linalg.norm(step, axis=1))
        K += step * (np.minimum(length, LONGEST_STEP) / np.maximum(length, 1e-300))[:, None]
        if length.max() < 1e-10:
            break
    K[lost | (length > 1e-10)] = np.nan
    return K


def modulus(K: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |K| of normal estimates K without the bias that their noise gives it, and the slope for its error.

    The sign from one half of the samples times K from the other, averaged over all ways of halving them,

        ⟨sign(K + ε)(K − ε)⟩ = K erf(x/√2) − σ √(2/π) exp(−x²/2),        ε normal with deviation σ, x = K/σ,

    whose mean is |K| erf(|K|/2σ): 0 where K is noise, |K| where it is not. The slope is at least 1, so that errors at
    x = 0, where this is flat, are not too small.
    """
    x = K / error
    bell = np.exp(-0.5 * x**2) * np.sqrt(2.0 / np.pi)
    rise = special.erf(x / np.sqrt(2.0))
    return K * rise - error * bell, np.copysign(np.maximum(np.abs(rise + 2.0 * x * bell), 1.0), x)


def covariance(left_out: np.ndarray) -> np.ndarray:
    """Return the jackknife covariance of estimates with one group left out, `(group, k)`; NaN for one group."""
    G = len(left_out)
    if G < 2:
        return np.full((left_out.shape[1], left_out.shape[1]), np.nan)
    deviation = left_out - left_out.mean(axis=0)
    return np.asarray((G - 1) / G * deviation.T @ deviation)


def constant_units(h: Samples) -> np.ndarray:
    """Return which units never change their sign though a typical unit does so often, bool `(l, l)`.

    Where the typical unit has changed less than some 20 times, one that never did may be an accident, and none counts.
    """
    up = (h > 0).mean(axis=0)
    rarer = np.minimum(up, 1.0 - up)
    never = rarer == 0
    often = np.median(rarer[~never]) * len(h) > OFTEN if (~never).any() else True
    return np.asarray(never & often)


@kernel
@typing.no_type_check
def count(spins, keep, counts, padded, codes):
    """Add each kept site to the bin of its u; `padded` `(l+4, l+4)` and `codes` `(l,)` are int16 working space.

    The digits of a bin are the (u + 4)/2 of `KINDS`, nn the lowest; the sums stay within int16. Cost: 2 ns a site.
    """
    n, L, _ = spins.shape
    for k in range(n):
        for i in range(L):
            row, wide = spins[k, i], padded[i + 2]
            for j in range(L):
                wide[j + 2] = row[j]
            wide[0], wide[1] = row[L - 2], row[L - 1]
            wide[L + 2], wide[L + 3] = row[0], row[1]
        padded[0], padded[1] = padded[L], padded[L + 1]
        padded[L + 2], padded[L + 3] = padded[2], padded[3]
        for i in range(L):
            a, b, c, d, e = padded[i], padded[i + 1], padded[i + 2], padded[i + 3], padded[i + 4]
            for j in range(L):
                nn = b[j + 2] + c[j + 1] + c[j + 3] + d[j + 2]
                nnn = b[j + 1] + b[j + 3] + d[j + 1] + d[j + 3]
                f20 = a[j + 2] + c[j] + c[j + 4] + e[j + 2]
                f21 = a[j + 1] + a[j + 3] + b[j] + b[j + 4] + d[j] + d[j + 4] + e[j + 1] + e[j + 3]
                f22 = a[j] + a[j + 4] + e[j] + e[j + 4]
                above = b[j + 2] * (b[j + 1] * c[j + 1] + b[j + 3] * c[j + 3])
                plaquette = above + d[j + 2] * (d[j + 1] * c[j + 1] + d[j + 3] * c[j + 3])
                codes[j] = c[j + 2] * (nn + 5 * (nnn + 5 * (f20 + 5 * (f21 + 9 * (f22 + 5 * plaquette)))))
            for j in range(L):
                counts[(codes[j] >> 1) + 14062] += keep[i, j]
