"""Is the Hamiltonian of the coarse variables local, and does it stay the same from level to level?

**Couplings by pseudolikelihood.** For translation-invariant couplings of ±1 variables on a torus, H = −Σ_α K_α S_α over
pairs (1,0), (1,1), (2,0), (2,1), (2,2), the plaquette and the sublattice plaquette (the four sites next to one),

    ln p(s_i | rest) = −ln(1 + exp(−2 Σ_α K_α u_α,i)),        u_α,i = s_i φ_α,i,

φ_α,i the field that the terms α put on site i, and K is where the sum over sites and samples is largest (Besag 1975;
couplings of block spins: Swendsen 1984). The u take 50,625 values in all: they are counted once, a group of samples
at a time, and Newton's method works on those that occur; leaving a group out is a subtraction. On a side of 4 the
displacements (±2,0), (±2,±2) and half of (2,1) lead to the same site: each image counts, as for a lattice wrapped onto
the torus, so that K_r and the number n_r of pairs a site at distance r mean the same at every size.

**What is asked of them**, for the spins and for h level by level:

    locality       Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r|,
    stationarity   |K^{(n+1)} − K^{(n)}| / |K^{(n)}|, over the seven couplings (Swendsen 1984).

Couplings beyond these seven are ascribed to them. How much that may be, the *truncation* says: K minus K of a fit
without the sublattice plaquette, from the same counts; no number of samples reduces it.

An RG step gives short-ranged couplings, and at T_c the same ones at each level after the first. Networks without given
places also get the couplings of all pairs of units (`pairwise`); four units on a 2×2 lattice get every coupling.
"""

import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from scipy import special

from rgstep.arguments import InputError
from rgstep.compiled import kernel
from rgstep.correlators import given
from rgstep.drawing import Axes, Plate, aside, legend_above, look, null_band, parted, sheet, text
from rgstep.ensemble import Ensemble, Level, Source, in_pieces, pieces, read
from rgstep.estimates import GROUPS, Estimate, Groups, estimated, jackknife, with_rest
from rgstep.instruments import pairwise
from rgstep.instruments.base import SMALLEST_SIDE, Instrument, Row, Subject
from rgstep.instruments.draws import signs
from rgstep.ising import OPERATORS
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured
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
FLIPS_EXPECTED = 20  # of a site that never flips, by the typical one: so that it is no accident
LARGEST_COUNTED = 8  # units whose states are counted, 256
PAIRED = 2**24  # values of h, at most, from which the couplings of all pairs are fitted: 0.4 GB as it works
SAMPLES_A_UNIT = 10  # fewer do not determine the couplings of all pairs
TRUNCATED = ("nn", "nnn")  # kinds whose truncation is quoted; the others' are in the arrays
COINCIDE = "(2,0), (2,1) and (2,2) are met by their own images, each counted"
SUBSETS_OF_FOUR = {"J_nn": (3, 5, 10, 12), "J_diagonal": (6, 9), "J_four": (15,)}  # units 0 1 / 2 3 of the 2×2 lattice

LINEAR_BELOW = 0.01  # the axis of K is linear up to here, logarithmic beyond
FARTHEST_PAIRS = 4.0  # shown of the couplings of a network's pairs of units
SPREAD = {"distance": 0.18, "level": 0.3}  # of the abscissa that the points of all maps share
TICKS = np.array([-0.1, -0.01, 0.0, 0.01, 0.1, 0.5])
TICK_LABELS = ("1", r"$\sqrt{2}$", "2", r"$\sqrt{5}$", r"$\sqrt{8}$")
CAPTION = (
    "The couplings of the coarse variables. Above: pair couplings K against distance after one step (circles and other "
    "marks, one-σ bars), the spins' own as crosses, their exact values dashed; thin dash-dotted lines: the mean of a "
    "network's couplings between pairs of units. Below: the nearest-neighbour (solid) and diagonal (dotted) coupling "
    "at each level; an RG step at T_c brings them to rest. The axis of the upper panel is linear below "
    f"{LINEAR_BELOW}. The points of different maps are set side by side."
)


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


def measure(subject: Subject) -> Row:
    """Return the couplings of the spins and of h level by level, their locality and change; pairs for networks."""
    measured, remarks = by_level(subject)
    quantities = of_levels(measured, subject.system.coupling)
    arrays: dict[str, np.ndarray] = {
        "distance": DISTANCES,
        "K": np.stack([np.asarray(m.estimate.value) for m in measured]),
        "K_error": np.stack([np.asarray(m.estimate.error) for m in measured]),
        "K_left_out": np.stack([m.left_out for m in measured]),
        "K_truncation": np.stack([np.asarray(m.truncation.value) for m in measured]),
        "K_truncation_error": np.stack([np.asarray(m.truncation.error) for m in measured]),
    }
    if len(measured) == 1:
        remarks.append(why_no_lattice(subject))
    if subject.gauge.given and subject.placed is not None and subject.gauge.side == 2:
        four = of_four(signs(subject.placed, subject.rng("coins for the signs of four units")))
        quantities |= four
        remarks.append("J_nn[1], J_diagonal[1] and J_four[1] count the 16 states of four units")
        if not all(np.isfinite(quantity.estimate.error) for quantity in four.values()):
            remarks[-1] += ", of which some occur too rarely for couplings or their errors"
    if not subject.gauge.given:
        h = subject.hidden if subject.placed is None else subject.placed
        more, drawn, remark = of_pairs(signs(h, subject.rng("coins for the signs of pairs of units")))
        quantities, arrays = quantities | more, arrays | drawn
        remarks.append(remark)
    return Diagnostic(None, "; ".join(remarks), quantities), arrays


OF_SPINS: WeakKeyDictionary[Ensemble, Couplings] = WeakKeyDictionary()  # kept as long as the configurations are


def of_spins(ensemble: Ensemble) -> Couplings:
    """Return the couplings of the configurations themselves, measured once: two rows of every map ask for them."""
    if ensemble not in OF_SPINS:
        OF_SPINS[ensemble] = couplings(ensemble)
    return OF_SPINS[ensemble]


def by_level(subject: Subject) -> tuple[list[Couplings], list[str]]:
    """Return the couplings of every level, the spins first, and what must be said about them."""
    measured, remarks = [], []
    for n, level in enumerate(subject.levels):
        frozen = sites_that_never_flip(level) if n else np.zeros((level.side, level.side), bool)
        rng = subject.rng("coins for the signs of a level", n)
        found = couplings(level, rng, keep=~frozen) if n else of_spins(subject.ensemble)
        measured.append(found)
        remarks += warnings(n, found, frozen)
    sides = ", ".join(str(m.side) for m in measured)
    what = f"K by pseudolikelihood at levels 0 to {len(measured) - 1} (sides {sides})"
    if len(measured) > 1:
        what += f"; h is read as {'its sign, a 0 by a fair coin' if subject.real else 'sampled'}"
        what += ", on found places, averaged over sites" if subject.found else ""
    what += "; truncation: K less K of a fit without the sublattice plaquette"
    return measured, [what, *remarks]


def sites_that_never_flip(level: Source) -> np.ndarray:
    """Return which sites never change their sign though a typical site does so often, bool `(l, l)`.

    Where the typical site has changed less than some 20 times, one that never did may be an accident, and none counts.
    """
    up = sum((part > 0).sum(axis=0) for _, part in pieces(level)) / len(level)
    rarer = np.minimum(up, 1.0 - up)
    never = rarer == 0
    often = np.median(rarer[~never]) * len(level) > FLIPS_EXPECTED if (~never).any() else True
    return np.asarray(never & often)


def warnings(n: int, found: Couplings, frozen: np.ndarray) -> list[str]:
    """Return what is wrong with the couplings of level n, in words."""
    lines = []
    if not np.isfinite(found.estimate.value).all():
        lines.append(f"level {n}: the samples determine no couplings (too few, or all spins alike)")
    elif not np.isfinite(found.estimate.error).all():
        lines.append(f"level {n}: no error bars, too few samples")
    elif not np.isfinite(found.locality().value):
        lines.append(f"level {n}: no locality, the couplings are within their noise or the samples too few")
    if found.side == SMALLEST_SIDE:
        lines.append(f"level {n}: on a side of {SMALLEST_SIDE} {COINCIDE}")
    if frozen.any():
        lines.append(f"level {n}: left out as centres, {constant_ones(np.flatnonzero(frozen), frozen.size, 'sites')}")
    return lines


def constant_ones(units: np.ndarray, total: int, what: str = "units") -> str:
    """Return how many units, or sites, never change, and the numbers of the first few."""
    names = ", ".join(str(unit) for unit in units[:8]) + (", …" if len(units) > 8 else "")
    return f"{len(units)} of {total} {what} are constant ({names})"


def of_levels(measured: Sequence[Couplings], coupling: float) -> dict[str, Quantity]:
    """Return the couplings, localities and changes by their names in the report; the spins' own are known exactly."""
    quantities = {}
    for n, found in enumerate(measured):
        known = n == 0 and np.isfinite(coupling)
        for i, kind in enumerate(KINDS):
            quantities[f"K_{kind}[{n}]"] = Quantity(found.estimate[i], coupling * (kind == "nn") if known else None)
        for i, kind in enumerate(TRUNCATED):
            quantities[f"K_{kind}_truncation[{n}]"] = Quantity(found.truncation[i], 0.0 if known else None)
        exact_locality = 0.0 if n == 0 and coupling > 0 else None
        quantities[f"locality_q[{n}]"] = Quantity(found.locality(), exact_locality)
        if n + 1 < len(measured):
            quantities[f"stationarity[{n}]"] = Quantity(found.relative_change(measured[n + 1]))
    return quantities


def why_no_lattice(subject: Subject) -> str:
    """Return why h has no couplings by distance, and what would give it some."""
    if subject.placed is None:
        units = len(subject.gauge.alive)
        return f"{units} units without places do not fill a square lattice: a square number of units would"
    side = subject.gauge.side
    return f"the coarse side {side} is below {SMALLEST_SIDE}, where couplings coincide: use a larger lattice"


def of_four(h: Samples) -> dict[str, Quantity]:
    """Return the couplings of ±1 units on a 2×2 lattice from how often their 16 states occur.

    `J_nn`, `J_diagonal` and `J_four` belong to a pair of neighbours, a diagonal pair and all four, each met once.
    """
    K = counted(h)
    return {f"{name}[1]": Quantity(estimated(K[:, own].mean(axis=1))) for name, own in SUBSETS_OF_FOUR.items()}


def counted(h: Samples) -> np.ndarray:
    """Return the couplings of every subset of at most 8 units by counting states, K_S = 2^−m Σ_h ln p(h) Π_{a∈S} h_a.

    State and subset k have unit a up, or in, where bit a of k is 1.

    Args:
        h: ±1, `(sample, unit)`, or places flattened row by row.

    Returns:
        K of all samples, then without each group, `(set, subset)`; NaN where a state has not occurred.

    Raises:
        InputError: for more than 8 units.
    """
    flat = h.reshape(len(h), -1)
    units = flat.shape[1]
    if units > LARGEST_COUNTED:
        message = f"{units} units: counting 2^{units} states is for at most {LARGEST_COUNTED}; use pairwise()"
        raise InputError(message)
    states = in_pieces(lambda part: (part > 0) @ (1 << np.arange(units)), flat)
    bounds = Groups.of(len(h)).bounds
    counts = with_rest(np.stack([np.bincount(states[a:b], minlength=2**units) for a, b in bounds])).astype(np.float64)
    counts[counts == 0] = np.nan
    up = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    products = 1.0 - 2.0 * ((up @ (1 - up).T) & 1)  # (subset, state): −1 for an odd number of units that are down
    log_p = np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))
    return np.asarray(log_p @ products.T / 2**units)


def of_pairs(h: Samples) -> tuple[dict[str, Quantity], dict[str, np.ndarray], str]:
    """Return the couplings of all pairs of ±1 units, against distance where they have places; arrays; a remark."""
    flat = h.reshape(len(h), -1)
    varying = int(np.count_nonzero(flat.min(axis=0) != flat.max(axis=0)))
    if varying < 2 or varying > pairwise.LARGEST_UNITS or len(h) < SAMPLES_A_UNIT * varying:
        need = f"needs 2 to {pairwise.LARGEST_UNITS} units that vary and {SAMPLES_A_UNIT} samples for each"
        return {}, {}, f"no couplings of all pairs of units: {need}, here {varying} and {len(h)}"
    every = -(-flat.size // PAIRED)
    pairs = pairwise.pairwise(flat[::every])
    quantities = {
        "J_rms": Quantity(pairs.estimate_of_halves(pairwise.strength)),
        "J_partners": Quantity(pairs.estimate_of_halves(pairwise.partners)),
    }
    arrays = {"J": pairs.J.astype(np.float32), "J_units": pairs.units}
    remark = "J between all pairs of units by pseudolikelihood"
    if every > 1:
        remark += f", from every {every}th configuration"
    if len(pairs.constant):
        remark += f", without those of which {constant_ones(pairs.constant, flat.shape[1])}"
    if not pairs.converged:
        remark += ", NOT converged"
    if h.ndim == 3:
        curve = pairwise.against_distance(pairs, h.shape[1])
        arrays |= {f"J_{name}": values for name, values in curve.items()}
        if h.shape[1] > 2:  # a nearest pair there is
            at = int(np.argmin(np.abs(curve["distance"] - 1.0)))
            for name, part, error in (("J_nn", "mean", "error"), ("J_nn_spread", "spread", "spread_error")):
                quantities[name] = Quantity(Estimate(float(curve[part][at]), float(curve[error][at])))
            remark += "; J_nn and J_nn_spread are its mean and its spread from pair to pair of nearest neighbours"
    return quantities, arrays, remark


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield K against |r| at level 1 for every map, beside K_nn and K_nnn by level."""
    found = arrays_of(maps, "hidden_hamiltonian", "K")
    shown = {name: arrays for name, arrays in found.items() if len(arrays["K"]) > 1}
    if not shown:
        return
    exact = maps[next(iter(shown))].estimates("hidden_hamiltonian")["K_nn[0]"].exact
    order = coloured(maps)
    own, nulls = parted(shown, order)
    with sheet(2, 1, size=(7.2, 7.4), height_ratios=(1.3, 1.0)) as (figure, (left, right)):
        for axes in (left, right):
            axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        draw_spins(left, right, next(iter(shown.values())), exact)
        pairs = len(PAIRS)
        null_band(left, [(a["distance"], a["K"][1, :pairs], a["K_error"][1, :pairs]) for a in nulls.values()])
        null_band(right, [(np.arange(len(a["K"])), a["K"][:, 0], a["K_error"][:, 0]) for a in nulls.values()])
        for i, (name, arrays) in enumerate(own.items()):
            style = look(name, order)
            draw_by_distance(left, arrays, aside(i, len(own), SPREAD["distance"]), text(name), style)
            draw_by_level(right, arrays, aside(i, len(own), SPREAD["level"]), style)
        label_distances(left, pairs=any("J_mean" in arrays for arrays in own.values()))
        legend_above(figure, [left], fontsize="small")
        right.set_xticks(range(max(len(arrays["K"]) for arrays in shown.values())))
        right.set(xlabel="level (coarse-graining steps)", ylabel=r"$K_{nn}$ (solid), $K_{nnn}$ (dotted)")
        yield Plate("hidden_hamiltonian", CAPTION, figure)


def draw_spins(left: Axes, right: Axes, arrays: Mapping[str, np.ndarray], exact: float | None) -> None:
    """Draw the couplings of the spins against distance, and what they are exactly in both panels."""
    distance = arrays["distance"]
    if exact is not None:
        left.plot(distance, exact * (distance < 1.2), "--", color="0.4", linewidth=1.0, zorder=1, label="spins, exact")
        right.axhline(exact, color="0.4", linestyle="--", linewidth=1.0)
    points = distance, arrays["K"][0, : len(PAIRS)], arrays["K_error"][0, : len(PAIRS)]
    left.errorbar(*points, fmt="x", color="0.4", label="spins", markersize=5)


def draw_by_distance(
    axes: Axes, arrays: Mapping[str, np.ndarray], shift: float, label: str, style: Mapping[str, str]
) -> None:
    """Draw the pair couplings of level 1 of one map, and the mean of those between all pairs of a network's units."""
    points = arrays["distance"] + shift, arrays["K"][1, : len(PAIRS)], arrays["K_error"][1, : len(PAIRS)]
    axes.errorbar(*points, label=label, linewidth=0.9, markersize=5, **style)
    if "J_mean" in arrays:
        near = arrays["J_distance"] <= FARTHEST_PAIRS
        line = arrays["J_distance"][near] + shift, arrays["J_mean"][near]
        axes.plot(*line, color=style["color"], linewidth=0.7, linestyle="-.")


def draw_by_level(axes: Axes, arrays: Mapping[str, np.ndarray], shift: float, style: Mapping[str, str]) -> None:
    """Draw K_nn and K_nnn of one map against the level."""
    levels = np.arange(len(arrays["K"])) + shift
    for column, line in ((0, "-"), (1, ":")):
        points = levels, arrays["K"][:, column], arrays["K_error"][:, column]
        axes.errorbar(*points, linestyle=line, linewidth=1.0, markersize=4, **style)


def label_distances(axes: Axes, pairs: bool) -> None:
    """Scale and label the panel of couplings against distance."""
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
    low, high = axes.get_ylim()
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([*DISTANCES, *[FARTHEST_PAIRS] * pairs], [*TICK_LABELS, *[f"{FARTHEST_PAIRS:g}"] * pairs])
    axes.set(xlabel="distance |r| on the lattice of each level (lattice spacings)", ylabel="pair coupling K = J/k_BT")


INSTRUMENT = Instrument(
    name="hidden_hamiltonian",
    question=(
        "The couplings between the coarse variables say whether they are again a short-ranged Ising model, and whether "
        "further steps leave it as it is: the two things that an RG step at T_c must do. They are fitted with seven "
        "kinds of terms and averaged over sites, so that a long-ranged or uneven Hamiltonian shows only by its part in "
        "these seven, and a map that leaves a local model far from any fixed point can still pass the test of locality."
    ),
    measure=measure,
    by_place=lambda subject: of_levels(by_level(subject)[0], subject.system.coupling),
    headline={"K_nn[1]": "K", "locality_q[1]": "Q"},
    legend="K, Q: nearest-neighbour coupling of h, and the share of its pair couplings beyond the diagonal",
    criteria=(
        Criterion("locality_q[1]", -math.inf, 0.5),
        Criterion("stationarity[n]", -math.inf, 1 / 3, first=1, side=16, last=True, of_real=""),
    ),
    decides="fixed point",
    figures=figures,
)
