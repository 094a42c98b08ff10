"""What are the couplings of translation-invariant ±1 variables on a torus? By pseudolikelihood, with jackknife errors.

H = −Σ_α K_α S_α over pairs (1,0), (1,1), (2,0), (2,1), (2,2), the
plaquette and the sublattice plaquette (the four sites next to one),

    ln p(s_i | rest) = −ln(1 + exp(−2 Σ_α K_α u_α,i)),        u_α,i = s_i φ_α,i,

φ_α,i the field that the terms α put on site i, and K is where the sum over sites and samples is largest (Besag 1975;
couplings of block spins: Swendsen 1984). The u take 50,625 values in all: they are counted once, a group of samples
at a time, and Newton's method works on those that occur; leaving a group out is a subtraction. On a side of 4 the
displacements (±2,0), (±2,±2) and half of (2,1) lead to the same site: each image counts, as for a lattice wrapped onto
the torus, so that K_r and the number n_r of pairs a site at distance r mean the same at every size.

Couplings beyond these seven are ascribed to them. How much that may be, the *truncation* says: K minus K of a fit
without the sublattice plaquette, from the same counts; no number of samples reduces it.
"""

import math
import typing
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from scipy import special

from rgstep.arguments import InputError
from rgstep.compiled import kernel
from rgstep.correlators import given
from rgstep.ensemble import Ensemble, Level, Source, pieces, read
from rgstep.estimates import GROUPS, Estimate, Groups, estimated, jackknife
from rgstep.instruments.base import SMALLEST_SIDE
from rgstep.instruments.draws import signs
from rgstep.ising import OPERATORS
from rgstep.types import Rng, Samples

KINDS = ("nn", "nnn", "20", "21", "22", "plaquette", "sublattice")  # pairs by distance first
FITTED = [operator for kind in KINDS for operator in OPERATORS["even"] if operator.name == kind]
PAIRS = [operator for operator in FITTED if operator.spins == 2]
DISTANCES = np.array([math.dist(*pair.shape) for pair in PAIRS])
BONDS = np.array([float(pair.terms) for pair in PAIRS])  # of each distance, a site
FAR = DISTANCES > 1.5
U_VALUES = tuple(len(operator.around) + 1 for operator in FITTED)  # how many each u may take: −4, −2, …, 4, or to 8
PAIR_BINS = math.prod(U_VALUES[: len(PAIRS)])
# The product of the four terms of u_plaquette is that of the four of u_nnn, and likewise of u_sublattice and u_20. So
# the digits (u + 4)/2 of the two plaquettes are even where those of their partners are, and half of each is counted.
HALVES = 3
PARTNERS = {"plaquette": "nnn", "sublattice": "20"}
BINS = PAIR_BINS * HALVES**2
CODES = np.arange(25)  # of both plaquettes, digits 0 … 4, that of the sublattice plaquette five times
FIRST_BINS = (
    PAIR_BINS * (CODES % 5 // 2 + HALVES * (CODES // 5 // 2)) + PAIR_BINS // 2
)  # of a code, pairs in the middle
NEWTON_STEPS = 60  # at most
LONGEST_STEP = 1.0  # in |K|: far from the maximum Newton's steps may overshoot
STEP_RESOLVED = 1e-6  # in |K|: after such a step K is right to some 1e-11, for the next would be of its square
SMALLEST_EIGENVALUE = 1e-11  # of the Hessian over its largest: below, the couplings cannot be told apart
ABOVE_NOISE = 4.0  # standard errors: a sum or length of couplings below that may be noise, and divides nothing


@dataclass(frozen=True, eq=False)
class Couplings:
    """The seven couplings K of `KINDS` with jackknife errors; NaN where the samples do not determine them.

    Attributes:
        estimate: K, `(7,)`.
        left_out: K without each group of samples, `(group, 7)`.
        side: of the lattice.
        truncation: K minus K of a fit that lacks the last kind, `(6,)`.
        zeros: values of 0 that a fair coin made ±1.
    """

    estimate: Estimate
    left_out: np.ndarray
    side: int
    truncation: Estimate
    zeros: int = 0

    @cached_property
    def covariance(self) -> np.ndarray:
        """The jackknife covariance of the seven couplings, `(7, 7)`."""
        return covariance(self.left_out)

    def locality(self) -> Estimate:
        """Return Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r| of the pairs; NaN where all couplings may be noise.

        The modulus of a noisy K is too large. So |K_r| is taken as `modulus(K_r, error)`, 0 on average without a
        coupling; one of one to three errors comes out some 0.3 to 0.5 errors too small.
        """
        value, sigma = np.asarray(self.estimate.value)[: len(PAIRS)], np.asarray(self.estimate.error)[: len(PAIRS)]
        if len(self.left_out) < 2 or not np.isfinite(self.left_out).all() or not (sigma > 0).all():
            return Estimate(np.nan, np.nan)
        sizes, slopes = modulus(value, sigma)
        sets = np.concatenate([value[None], self.left_out[:, : len(PAIRS)]])
        terms = BONDS * (sizes + slopes * (sets - value))  # to first order about the full samples
        far, all_pairs = terms[:, FAR].sum(axis=1), terms.sum(axis=1)
        if not all_pairs[0] > ABOVE_NOISE * float(estimated(all_pairs).error):
            return Estimate(np.nan, np.nan)
        return estimated(far / all_pairs)

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
        if not length > ABOVE_NOISE * error:
            return Estimate(np.nan, np.nan)
        return Estimate(moved.value / length, math.hypot(moved.error / length, moved.value * error / length**2))


def couplings(
    field: Source, rng: Rng | None = None, *, groups: int = GROUPS, keep: np.ndarray | None = None
) -> Couplings:
    """Return the seven translation-invariant couplings of ±1 variables on a torus of side ≥ 4.

    Args:
        field: an `Ensemble`, a `Level` or `(sample, l, l)`; of real values the sign is taken.
        rng: gives values of 0 a sign; needed only if there are any.
        groups: contiguous groups of samples for the jackknife.
        keep: bool `(l, l)`, the sites whose law given the others is used; all by default.

    Raises:
        InputError: for a side below 4, values that are not finite, or zeros without `rng`.

    Cost: 2 to 3 ns a site.
    """
    source = field if isinstance(field, Ensemble | Level) else given(field, "the field", places=True)
    side = read(source, 0, 1).shape[1]
    if side < SMALLEST_SIDE:
        message = f"a lattice of side {side}: below {SMALLEST_SIDE} couplings of different range coincide"
        raise InputError(message)
    keep = np.ones((side, side), bool) if keep is None else keep
    counts, zeros = histogram(source, Groups.of(len(source), groups), keep, rng)
    occupied = np.flatnonzero(counts.any(axis=0))
    parts, u = counts[:, occupied].astype(np.float64), u_of(occupied)
    value, left_out = fit(parts, u)
    fewer, fewer_left_out = fit(parts, u[:, :-1])  # bins that differ by the last u alone count as one
    truncation = jackknife(value[:-1] - fewer, left_out[:, :-1] - fewer_left_out)
    return Couplings(jackknife(value, left_out), left_out, side, truncation, zeros)


def histogram(source: Source, groups: Groups, keep: np.ndarray, rng: Rng | None) -> tuple[np.ndarray, int]:
    """Return how often each u occurs in each group, `(group, bin)`, and how many values were 0."""
    side = len(keep)
    counts = np.zeros((len(groups), BINS), np.uint32)
    padded, pairs, more = np.empty((side + 4, side + 4), np.int16), np.empty(side, np.int16), np.empty(side, np.int16)
    once, zeros = keep.astype(np.uint32), 0
    for row, group in zip(counts, groups.bounds, strict=True):
        for _, part in pieces(source, *group):
            known = part.dtype == np.int8 and not isinstance(source, np.ndarray)  # bits: nothing but ±1
            spins, ties = (part, 0) if known else with_coins(part, rng)
            count(spins, once, row, padded, pairs, more, FIRST_BINS)
            zeros += ties
    return counts, zeros


def with_coins(h: Samples, rng: Rng | None) -> tuple[Samples, int]:
    """Return the signs of h, a fair coin for each 0, and how many of these there are.

    Raises:
        InputError: if there are any, and nothing to throw coins with.
    """
    ties = int((h == 0).sum())
    if rng is None and ties:
        message = f"{ties} values are 0, which have no sign: give `rng` for a fair coin"
        raise InputError(message)
    return (np.sign(h).astype(np.int8) if rng is None else signs(h, rng)), ties


def u_of(bins: np.ndarray) -> np.ndarray:
    """Return the u of bins, `(bin, 7)`."""
    shape = (*U_VALUES[: len(PAIRS)], HALVES, HALVES)
    digits = np.stack(np.unravel_index(bins, shape[::-1]))[::-1].T
    for kind, partner in PARTNERS.items():
        digits[:, KINDS.index(kind)] = 2 * digits[:, KINDS.index(kind)] + digits[:, KINDS.index(partner)] % 2
    return np.asarray(2.0 * digits - (np.array(U_VALUES) - 1))


def fit(parts: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return K from all groups' counts of u, `(kinds,)`, and without each group, `(group, kinds)`; NaN if undetermined.

    Args:
        parts: how often each bin occurs in each group, `(group, bin)`.
        u: of each bin, of as many kinds as are fitted, `(bin, kinds)`.
    """
    total, kinds = parts.sum(axis=0), u.shape[1]
    value = newton(total[None], u, np.zeros((1, kinds)))
    if len(parts) < 2:
        return value[0], np.empty((0, kinds))
    if not np.isfinite(value).all():
        return value[0], np.full((len(parts), kinds), np.nan)
    return value[0], newton(total - parts, u, value)


def newton(weights: np.ndarray, u: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Maximise −Σ_bin weight · ln(1 + exp(−2 K·u)) over K for every row of weights `(row, bin)` at once.

    Args:
        weights: of the bins, `(row, bin)`.
        u: of each bin, `(bin, kinds)`.
        start: where all rows start from, `(1, kinds)`.
    """
    rows, columns = np.triu_indices(u.shape[1])
    products = u[:, rows] * u[:, columns]
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    K, lost = start, np.zeros(len(weights), bool)
    hessian = np.empty((len(weights), u.shape[1], u.shape[1]))
    for _ in range(NEWTON_STEPS):
        wrong = 0.5 - 0.5 * np.tanh(K @ u.T)  # the chance of −s_i given the rest; one row for all at the start
        missed = weights * wrong
        hessian[:, rows, columns] = hessian[:, columns, rows] = (missed * (1.0 - wrong)) @ products
        spectrum = np.linalg.eigvalsh(hessian)
        lost |= ~(spectrum[:, 0] > SMALLEST_EIGENVALUE * spectrum[:, -1])
        hessian[lost] = np.eye(u.shape[1])
        step = 0.5 * np.linalg.solve(hessian, (missed @ u)[..., None])[..., 0]
        length = np.where(lost, 0.0, np.linalg.norm(step, axis=1))
        K = K + step * (np.minimum(length, LONGEST_STEP) / np.maximum(length, 1e-300))[:, None]
        if length.max() < STEP_RESOLVED:
            break
    K[lost | (length > STEP_RESOLVED)] = np.nan
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


@kernel
@typing.no_type_check
def count(spins, keep, counts, padded, pairs, plaquettes, first_bins):
    """Add each kept site to the bin of its u; `padded` `(l+4, l+4)`, `pairs`, `plaquettes` `(l,)`: int16 working space.

    The digits of a bin are the (u + 4)/2 of `KINDS`, nn the lowest, of plaquettes half. Sums of all of them would not
    stay within int16: pairs and plaquettes have codes of their own, in arrays of their own (rows of one array take four
    times as long). Cost: 2 to 2.5 ns a site.
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
                higher = b[j + 1] * (b[j + 3] * a[j + 2] + d[j + 1] * c[j])
                sublattice = higher + d[j + 3] * (d[j + 1] * e[j + 2] + b[j + 3] * c[j + 4])
                pairs[j] = c[j + 2] * (nn + 5 * (nnn + 5 * (f20 + 5 * (f21 + 9 * f22))))
                plaquettes[j] = c[j + 2] * (plaquette + 5 * sublattice)
            for j in range(L):
                counts[first_bins[(plaquettes[j] >> 1) + 12] + (pairs[j] >> 1)] += keep[i, j]


OF_SPINS: WeakKeyDictionary[Ensemble, Couplings] = WeakKeyDictionary()  # kept as long as the configurations are


def of_spins(ensemble: Ensemble) -> Couplings:
    """Return the couplings of the configurations themselves, measured once: two rows of every map ask for them."""
    if ensemble not in OF_SPINS:
        OF_SPINS[ensemble] = couplings(ensemble)
    return OF_SPINS[ensemble]
