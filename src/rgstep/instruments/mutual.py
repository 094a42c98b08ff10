"""Mutual information of what was counted, in nats, corrected for the bias of few counts.

From counts n_x of a pattern, n in all, the entropy is ln n − (1/n) Σ n_x ln n_x; the bias of that, −(cells − 1)/2n, is
that of no mutual information taken from it. Here

- G(n) of Grassberger (2003) stands in the place of ln n. Its bias dies as e^(−2λ) in a cell of mean λ;
- from I(h:E | V) its mean over all ways to deal out the h among equal V is subtracted (as Vinh, Epps and Bailey 2010 do
  for I(h:E)). That leaves no bias at all where h depends on E through V alone, however few the counts, and too small a
  number where V and E together all but decide h and h differs among equal V.

Both suppose that the h are independent given (V, E); fluctuations that all values of h share drop out. Errors are
jackknife errors over groups of samples, and suppose nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, psi

from rgstep.estimates import Estimate, jackknife

LARGEST_EXACT = 32  # counts up to here take G(n) itself, those above its mean over even and odd n, which scatters less
ROUNDING = 1e-12  # nats: what the sums of entropies leave where there is nothing
FEW_ON_AVERAGE = 100  # up to this mean a chance count is summed over its law, above taken to second order: 2e-4 off
NAMES = ("I_hE", "I_VE", "I_ratio", "I_hE_given_V")


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each value of h met each pattern of its tile and its ring, up to the global flip.

    `tables` is int32 `(group of samples, value, tile, ring)`; a pattern whose first spin is down is counted as its
    image under the flip. Tiles with too many patterns are not counted: `with_tile` is False, their axis has length 1,
    and the first spin is the ring's. `values` are those of h, ascending and symmetric about 0, `by_sign` those of its
    sign.
    """

    tables: np.ndarray
    values: np.ndarray
    with_tile: bool
    by_sign: bool = False

    @cached_property
    def total(self) -> np.ndarray:
        """The counts of all samples, int64 `(value, tile, ring)`."""
        return np.asarray(self.tables.sum(axis=0, dtype=np.int64))

    @property
    def met_once(self) -> float:
        """Which share of the pairs (V, E) was met once: about the share of the law not yet seen (Good 1953)."""
        patterns = self.total.sum(axis=0) if self.with_tile else self.total
        return float(np.count_nonzero(patterns == 1) / patterns.sum())

    def estimates(self) -> Mapping[str, Estimate]:
        """Return I_hE, and where tiles were counted I_VE, I_ratio and I_hE_given_V, in nats, with jackknife errors.

        Values are corrected for bias; the errors are those of the uncorrected ones, whose spread is the same.
        """
        value = self.corrected()
        plain = entropies(self.total, self.with_tile, plain_log)
        several = len(self.tables) > 1
        rest = [entropies(self.total - part, self.with_tile, plain_log) for part in self.tables if several]
        errors = np.atleast_1d(jackknife(plain, rest).error)
        errors = np.where(errors < ROUNDING, 0.0, errors)
        return {name: Estimate(float(v), float(e)) for name, v, e in zip(NAMES, value, errors, strict=False)}

    def corrected(self) -> np.ndarray:
        """Return the values of `estimates`."""
        values = entropies(self.total, self.with_tile, grassberger)
        if self.with_tile:
            values[3] = entropies(self.total, True, plain_log)[3] - by_chance(self.total)
        return np.where(np.abs(values) < ROUNDING, 0.0, values)


def entropies(counts: np.ndarray, with_tile: bool, term: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return I(h:E), I(V:E), their ratio and I(h:E | V) from counts up to the flip, with n ln n written as term(n).

    A class of two images carries ln 2 more entropy than it is counted with; h = 0 is its own image.
    """
    n = counts.sum()

    def entropy(table: np.ndarray) -> float:
        return math.log(n) - float(term(table).sum()) / float(n)

    pairs, ring = counts.sum(axis=1), counts.shape[2]
    if with_tile:
        pairs = (pairs + pairs[::-1, ::-1])[:, : ring // 2]
    h = counts.sum(axis=(1, 2))
    h = (h + h[::-1])[: (len(h) + 1) // 2]
    if len(counts) % 2:
        h[-1] //= 2
    zero = h[-1] / n if len(counts) % 2 else 0.0
    own, outer = entropy(h) + math.log(2) * (1 - zero), entropy(pairs.sum(axis=0))
    known = own + outer - entropy(pairs)
    if not with_tile:
        return np.array([known])
    tiles = counts.sum(axis=0)
    inner, both = entropy(tiles.sum(axis=1)), entropy(tiles)
    available = inner + math.log(2) + outer - both
    beyond = entropy(counts.sum(axis=2)) + both - entropy(counts) - inner
    return np.array([known, available, known / available if available else math.nan, beyond])


def plain_log(counts: ArrayLike) -> np.ndarray:
    """Return n ln n, 0 at 0."""
    n = np.asarray(counts, dtype=np.float64)
    return np.asarray(n * np.log(np.maximum(n, 1)))


def grassberger(counts: np.ndarray) -> np.ndarray:
    """Return n G(n), G(n) = ψ(n) + ½ (−1)ⁿ [ψ((n+1)/2) − ψ(n/2)]: its mean over a Poisson law is near λ ln λ."""
    smooth = plain_log(counts) - 0.5 - 1 / (12 * np.maximum(counts, 1))
    return np.asarray(np.where(counts <= LARGEST_EXACT, OF_SMALL_COUNTS[np.minimum(counts, LARGEST_EXACT)], smooth))


def of_small_counts() -> np.ndarray:
    """Return n G(n) for n = 0 … `LARGEST_EXACT`."""
    n = np.arange(1, LARGEST_EXACT + 1)
    return np.append(0.0, n * (psi(n) + 0.5 * (-1.0) ** n * (psi((n + 1) / 2) - psi(n / 2))))


OF_SMALL_COUNTS = of_small_counts()


def by_chance(counts: np.ndarray) -> float:
    """Return the mean of the uncorrected I(h:E | V) over all ways to deal out the h among tiles of equal pattern.

    The number of a value of h among m pairs (V, E) is then hypergeometric; above a mean of 100, to second order.
    """
    excess = 0.0
    for tile in range(counts.shape[1]):
        of_ring, of_value = counts[:, tile].sum(axis=0), counts[:, tile].sum(axis=1)
        m, times = np.unique(of_ring[of_ring > 0], return_counts=True)
        n = int(of_ring.sum())
        for k in of_value[of_value > 0]:
            excess += float(times @ mean_term(m, int(k), n)) - float(plain_log(k))
        excess -= float(times @ plain_log(m)) - float(plain_log(n))
    return excess / float(counts.sum())


def mean_term(m: np.ndarray, k: int, n: int) -> np.ndarray:
    """Return the mean of x ln x of a hypergeometric x, the number of k marked among m of n."""
    mean = m * (k / n)
    if k == n:
        return plain_log(m)
    variance = mean * (1 - k / n) * (n - m) / max(n - 1, 1)
    third = variance * (1 - 2 * k / n) * (n - 2 * m) / max(n - 2, 1)
    result = mean * np.log(mean) + variance / (2 * mean) - third / (6 * mean**2) + variance**2 / (4 * mean**3)
    few = mean < FEW_ON_AVERAGE
    if few.any():
        most = int(np.ceil(mean[few].max() + 15 * np.sqrt(variance[few].max()) + 15))
        x, some = np.arange(most + 1), m[few, None]
        possible = (x <= np.minimum(some, k)) & (x >= some + k - n)
        y, z = np.where(possible, x, np.maximum(some + k - n, 0)), gammaln
        log_p = z(k + 1) - z(y + 1) - z(k - y + 1) + z(n - k + 1) - z(some - y + 1) - z(n - k - some + y + 1)
        log_p += z(some + 1) + z(n - some + 1) - z(n + 1)
        result[few] = (np.where(possible, np.exp(log_p), 0) * plain_log(x)).sum(axis=1)
    return np.asarray(result)
