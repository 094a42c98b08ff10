"""Measured numbers and their errors.

A measured number is never bare: it is an `Estimate`. Errors come from the delete-a-group jackknife (Efron 1982):
with the samples cut into G contiguous groups and θ_g the estimate without group g,

    error² = (G−1)/G Σ_g (θ_g − θ̄)²,        bias = (G−1)(θ̄ − θ).

The integrated autocorrelation time is τ = ½ + Σ_{t≥1} ρ(t), so that the error of a mean of N readings is
error² = 2τσ²/N (Sokal 1997; the sum is cut at the first window W ≥ 6τ).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from rgstep import scratch
from rgstep.notebook import card

SOKAL_WINDOW = 6.0  # in units of τ: what is cut off is e^(−6) of ρ, the noise that is let in grows with the window
LAGS = 2**17  # at which an autocorrelation is looked at, at most: a longer series needs no more memory
GROUPS = 64  # of samples: an error from G groups is itself known within 1/√(2(G − 1)) = 9 %


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its standard error, scalar or array; prints as `0.9961(21)`.

    `tau` is the integrated autocorrelation time in units of one reading, where it was measured.

    Examples:
        >>> print(rg.Estimate(0.9961, 0.0021))
        0.9961(21)
    """

    value: float | np.ndarray
    error: float | np.ndarray
    tau: float | None = None
    __array_ufunc__ = None  # arithmetic would lose the error: NumPy refuses it

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return the value without its error, for `np.asarray`."""
        return np.array(self.value, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        """Return the value of a scalar without its error."""
        return float(self.value)

    def __getitem__(self, index: Any) -> "Estimate":  # whatever NumPy takes as an index
        """Return one entry, or a sub-array, of an array estimate."""
        return Estimate(np.asarray(self.value)[index], np.asarray(self.error)[index])

    def __str__(self) -> str:
        """Return `value(error)` for a scalar, a summary for an array."""
        if np.ndim(self.value) == 0:
            return bracket(float(self.value), float(self.error))
        return f"Estimate of shape {np.shape(self.value)}, median error {typical(np.asarray(self.error))}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the estimate as a notebook shows it."""
        facts: list[tuple[str, object]] = [("value(error)", self)]
        if np.ndim(self.value):
            value, error = np.asarray(self.value), np.asarray(self.error)
            first = tuple(0 for _ in value.shape)
            known = value[np.isfinite(value)]
            facts = [("shape", value.shape), ("median error", typical(error))]
            facts += [("from … to", f"{known.min():.4g} … {known.max():.4g}")] if known.size else []
            facts += [("first entry", self[first])] if value.size else []
        return card("Estimate", [*facts, *([] if self.tau is None else [("τ", f"{self.tau:.3g}")])])


def typical(error: np.ndarray) -> str:
    """Return the median of the errors that are known."""
    return f"{np.nanmedian(error):.2g}" if np.isfinite(error).any() else "unknown"


def bracket(value: float, error: float) -> str:
    """Write a value with its error in the last digits: 0.9961(21); two digits of the error are kept."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return str(value)
    if not math.isfinite(error):
        return f"{value:.6g}(?)"
    if error <= max(1e-15 * abs(value), 1e-300):  # rounding
        return f"{value:.6g}"
    digits = 1 - math.floor(math.log10(error))
    if digits > 0 and round(error * 10**digits) >= 100:
        digits -= 1
    if digits <= 0:
        return f"{value:.0f}({error:.0f})"
    shown = error * 10**digits if error < 1 else error
    return f"{value:.{digits}f}({shown:.0f})" if error < 1 else f"{value:.{digits}f}({shown:.{digits}f})"


def jackknife(full: np.ndarray | float, left_out: Iterable[np.ndarray | float], correct_bias: bool = False) -> Estimate:
    """Return the estimate and its delete-a-group jackknife error.

    The left-out estimates are taken one at a time, so that a generator of large arrays needs room for one.

    Args:
        full: the estimate from all samples.
        left_out: the estimates with one group left out.
        correct_bias: subtract the jackknife's estimate of the O(1/n) bias.
    """
    value = np.asarray(full, dtype=np.float64)
    first, second, groups = np.zeros_like(value), np.zeros_like(value), 0
    for estimate in left_out:
        deviation = estimate - value
        first += deviation
        second += deviation**2
        groups += 1
    if groups < 2:
        return Estimate(scalar(value), scalar(np.full(value.shape, np.nan)))
    spread = np.maximum(second - first**2 / groups, 0.0)
    if correct_bias:
        value = value - (groups - 1) / groups * first
    return Estimate(scalar(value), scalar(np.sqrt((groups - 1) / groups * spread)))


def scalar(array: np.ndarray | np.float64) -> float | np.ndarray:
    """Return a zero-dimensional array as a float, any other unchanged."""
    return float(array) if array.ndim == 0 else array


def estimated(sets: np.ndarray, correct_bias: bool = False) -> Estimate:
    """Return the jackknife estimate of a statistic, `(set, …)`: that of all samples first, then without each group."""
    return jackknife(sets[0], sets[1:], correct_bias)


@dataclass(frozen=True)
class Groups:
    """Contiguous, nearly equal groups of samples, from which every error here is a jackknife.

    `bounds` are the ranges [start, stop) of the groups. A *set* is all samples, or all but one group; statistics of
    all sets have the set axis first, all samples before the rest. One group has no rest, and gives no error.
    """

    bounds: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, samples: int, groups: int = GROUPS) -> "Groups":
        """Return so many groups of so many samples; as many as there are samples if these are fewer."""
        return cls(tuple(group_bounds(samples, groups)))

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.bounds)

    @cached_property
    def counts(self) -> np.ndarray:
        """How many samples each group has, float64 `(group,)`."""
        return np.array([float(b - a) for a, b in self.bounds])

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over the samples of each set, from values `(sample, …)`."""
        return self.means_of(lambda a, b: values[a:b])

    def means_of(self, values: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """Return `means` of values that are made a group at a time, by a function of its bounds."""
        sums = []
        for a, b in self.bounds:
            sums.append(values(a, b).sum(axis=0, dtype=np.float64))
            scratch.release()
        return self.over_counts(np.stack(sums))

    def over_counts(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over the samples of each set, from the sums over each group, `(group, …)`."""
        total = with_rest(sums)
        return np.asarray(total / with_rest(self.counts).reshape(-1, *(1,) * (sums.ndim - 1)))


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation of values `(sample,)`, read a group at a time."""
    mean = values.mean()
    return math.sqrt(float(Groups.of(len(values)).means_of(lambda a, b: (values[a:b] - mean) ** 2)[0]))


def grouped_mean(values: np.ndarray, groups: int = GROUPS) -> Estimate:
    """Return the mean over the first axis with its error from contiguous groups of samples."""
    return estimated(Groups.of(len(values), groups).means(values))


def group_bounds(samples: int, groups: int) -> list[tuple[int, int]]:
    """Return `groups` contiguous, nearly equal ranges [start, stop) that cover the samples (fewer if samples are)."""
    edges = np.linspace(0, samples, min(groups, samples) + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def with_rest(groups: np.ndarray) -> np.ndarray:
    """Return sums over each group as the sum over all groups, then over all but each (if there are two)."""
    total = groups.sum(axis=0)[None]
    return np.concatenate([total, total - groups]) if len(groups) > 1 else total


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return top/bottom, NaN where the bottom is not above 0."""
    return np.asarray(np.divide(top, bottom, where=bottom > 0, out=np.full(np.shape(top), np.nan)))


def binder(m2: np.ndarray, m4: np.ndarray) -> np.ndarray:
    """Return U₄ = 1 − ⟨m⁴⟩/(3⟨m²⟩²) (Binder 1981), NaN where ⟨m²⟩ is 0."""
    return 1 - ratio(m4, 3 * m2**2)


def autocovariance(x: np.ndarray, mean: float, lags: int | None = None) -> np.ndarray:
    """Return C(t) = ⟨(x_i − mean)(x_{i+t} − mean)⟩ over all chains `(chain, reading)`, for t below `lags`, or `LAGS`.

    Several chains are transformed together. One of more than `lags` readings is cut into parts of so many, each against
    itself and the part after it: room for one part is needed, whatever the length.
    """
    chains, length = x.shape
    lags = min(lags or LAGS, length)
    together, total = max(1, LAGS // length), np.zeros(lags)
    for first in range(0, chains, together):
        power: np.ndarray | float = 0.0
        for start in range(0, length, lags):
            here = x[first : first + together, start : start + 2 * lags] - mean
            both = np.fft.rfft(here, 2 * lags, axis=1)  # no lag below `lags` wraps around
            own = both if length == lags else np.fft.rfft(here[:, :lags], 2 * lags, axis=1)
            power = power + (np.abs(both) ** 2 if length == lags else own.conj() * both)
        total += np.fft.irfft(power, axis=1)[:, :lags].sum(axis=0)
    return np.asarray(total / (chains * np.arange(length, length - lags, -1)))


def autocorrelation_time(series: np.ndarray) -> Estimate:
    """Return τ = ½ + Σ ρ(t) of readings `(time,)` or `(chain, time)`, pooled over chains that share one mean.

    The window is Sokal's (1997), the error Madras and Sokal's (1988): error² = 2(2W+1)/N τ². A series without
    variance has τ = ½.
    """
    x = np.atleast_2d(np.asarray(series, dtype=np.float64))
    chains, length = x.shape
    rounding = (
        1e-12 * max(-float(x.min(initial=0.0)), float(x.max(initial=0.0)))
    ) ** 2  # of the variance of a constant
    covariance = autocovariance(x, float(x.mean()))
    if covariance[0] <= rounding or length < 3:
        return Estimate(0.5, 0.0)
    tau = 0.5 + np.cumsum(covariance[1:] / covariance[0])
    window = np.arange(1, len(covariance))
    enough = np.flatnonzero(window >= SOKAL_WINDOW * np.maximum(tau, 0.5))
    last = int(enough[0]) if enough.size else len(covariance) - 2
    value = max(float(tau[last]), 0.5)
    return Estimate(value, value * math.sqrt(2 * (2 * window[last] + 1) / (chains * length)))


def rank_sum_score(x: np.ndarray, y: np.ndarray) -> float:
    """Return how many standard errors the ranks of x lie above those of y, if both have one law (Wilcoxon 1945).

    With N values in all, of which t_k are equal: Var ΣR = n_x n_y/12 · [N + 1 − Σ (t³ − t)/(N (N − 1))].
    """
    _, place, ties = np.unique(np.round(np.append(x, y), 12), return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - (ties - 1) / 2  # of the ranks of equal values
    n, m, N = len(x), len(y), len(x) + len(y)
    variance = n * m / 12 * (N + 1 - float((ties**3.0 - ties).sum()) / (N * (N - 1)))
    excess = float(middle[place[:n]].sum()) - n * (N + 1) / 2
    return excess / math.sqrt(variance) if variance > 0 else 0.0
