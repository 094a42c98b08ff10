"""What does h keep of what its block knows of the rest? Real-space mutual information.

With V the b-by-b tile of a unit, E the spins that have a bond with it and h the unit's draw, in nats,

    I(h:E) = H(h) + H(E) − H(h, E),      I(V:E),      I(h:E | V) = H(h, V) + H(V, E) − H(h, V, E) − H(V).

A map that reads its tile alone has I(h:E | V) = 0 and I(h:E) ≤ I(V:E); the share it keeps was proposed as the measure
of a good block spin (Koch-Janusz and Ringel 2018). Of Ising spins V is independent of all others given E, so that for
such a map these two are exactly what h and V know of the whole rest of the lattice.

The pairs are counted over samples and units, up to the global flip, which makes tables of a few thousand cells for
millions of pairs.

**The bias of few counts.** From counts n_x of a pattern, n in all, the entropy is ln n − (1/n) Σ n_x ln n_x; the bias
of that, −(cells − 1)/2n, is that of no mutual information taken from it. Here

- G(n) of Grassberger (2003) stands in the place of ln n. Its bias dies as e^(−2λ) in a cell of mean λ;
- from I(h:E | V) its mean over all ways to deal out the h among equal V is subtracted (as Vinh, Epps and Bailey 2010 do
  for I(h:E)). That leaves no bias at all where h depends on E through V alone, however few the counts, and too small a
  number where V and E together all but decide h and h differs among equal V.

Both suppose that the h are independent given (V, E); fluctuations that all values of h share drop out. Errors are
jackknife errors over groups of samples, and suppose nothing.
"""

import math
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, psi

from rgstep.arguments import InputError, require_positive
from rgstep.compiled import kernel
from rgstep.correlators import given
from rgstep.drawing import ABOVE, COLOURS, Axes, Plate, bars, null_span, parted, sheet, text
from rgstep.ensemble import Ensemble, Level, Source, in_pieces, pieces, read
from rgstep.estimates import Estimate, Groups, grouped_mean, jackknife
from rgstep.gauge import Gauge
from rgstep.instruments.base import Instrument, Row, Subject, of_all
from rgstep.lattice import as_lattice, as_spins
from rgstep.results import Diagnostic, MapReport
from rgstep.roles import coloured
from rgstep.types import Rng, Samples

MOST_VALUES = 9  # distinct values of h that are counted, with their negatives; of an h with more the sign is read
MOST_BITS = 16  # spins of a pattern: 2^15 cells up to the flip for each value and group of samples
RING_WIDTH = 2  # of the ring whose spins the lower bound reads one by one: 32 of them around a tile of 2×2
PAIRS_READ = 2**16  # pairs (h, E) that the lower bound is fitted to and taken from: its error is some 0.002 nats
FOLDS = 4  # of these pairs: each fourth is judged by weights from the other three
NEWTON_STEPS = 20  # at most, for the weights; from 0 it takes about six
ERRORS_FROM_ZERO = 4.0  # from which on a number is said to differ from 0
FEW_SAMPLES = 200  # below, the errors of errors are too large to be quoted without a word
MOST_MET_ONCE = 0.01  # share of the patterns; beyond, I_hE and I_VE are too large by their errors or more
LARGEST_EXACT = 32  # counts up to here take G(n) itself, those above its mean over even and odd n, which scatters less
ROUNDING = 1e-12  # nats: what the sums of entropies leave where there is nothing
FEW_ON_AVERAGE = 100  # up to this mean a chance count is summed over its law, above taken to second order: 2e-4 off
NAMES = ("I_hE", "I_VE", "I_ratio", "I_hE_given_V")
CAPTION = (
    "Left: mutual information in nats with E, the spins that have a bond with a unit's tile: filled, that of the "
    "unit's draw h; hollow, that of the whole tile V, which a block map cannot exceed. The number at the right is the "
    "share that h keeps. Right: what h knows of E that its tile does not; a map that reads its tile alone lies at 0 "
    "within errors. The axis is linear in the grey strip of ±10⁻⁴. Error bars: one standard error."
)
LINEAR_NATS = 1e-4  # up to which the axis of I(h:E | V) is linear: the errors of 20,000 samples are below
TICKS = (-0.1, -0.01, -0.001, 0, 1e-4, 0.001, 0.01, 0.1, 1)


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


def information(
    v: Source,
    h: Samples,
    *,
    block: int | None = None,
    places: np.ndarray | None = None,
    ring: Literal["bonds", "full"] = "bonds",
) -> Mapping[str, Estimate]:
    """Return I_hE, I_VE, I_ratio = I_hE/I_VE and I_hE_given_V in nats; the last three only for tiles of side 1 and 2.

    Units are pooled: the result is that of each unit where they are alike up to shifts, less than their mean where not.
    It belongs to pairs up to a common flip; for an h that does not flip with the spins it is less than without.

    Args:
        v: configurations, an `Ensemble`, a `Level` or ±1 `(sample, row, column)`.
        h: one draw for each; `(sample, l, l)`, or `(sample, unit)` with `places`. More than 9 values: its sign is read.
        block: side of the tiles, L/l by default.
        places: the first corner (row, column) of each unit's tile, whole numbers `(unit, 2)`.
        ring: what E is: the 4b spins that have a bond with the tile, or the whole ring of 4b + 4 with its corners.

    Raises:
        InputError: if shapes do not belong together, or the ring is too large to be counted or does not fit.
    """
    return count(v, h, block=block, places=places, ring=ring).estimates()


def count(
    v: Source,
    h: Samples,
    *,
    block: int | None = None,
    places: np.ndarray | None = None,
    ring: Literal["bonds", "full"] = "bonds",
) -> Counts:
    """Return the counts that `information` is computed from; see there for the arguments."""
    source = v if isinstance(v, Ensemble | Level) else as_lattice(as_spins(v))
    units, size, block, places = checked(source, h, block, places)
    sites = seen_sites(size, places, block, ring)
    tile = block**2 if sites.shape[1] <= MOST_BITS else 0
    sites = sites if tile else sites[:, block**2 :]
    if sites.shape[1] > MOST_BITS:
        message = f"a tile of side {block} has a ring of {sites.shape[1]} spins: at most {MOST_BITS} are counted"
        raise InputError(message)
    values, by_sign = values_of(units), False
    if len(values) > MOST_VALUES:
        values, by_sign = np.array([-1.0, 0.0, 1.0] if (units == 0).any() else [-1.0, 1.0]), True
    groups = Groups.of(len(units))
    tables = np.zeros((len(groups), len(values), 2 ** (sites.shape[1] - 1)), np.int32)
    for table, (first, last) in zip(tables, groups.bounds, strict=True):
        for start, part in pieces(source, first, last):
            spins = np.ascontiguousarray(part).reshape(len(part), -1)
            tally(spins, coded(units[start : start + len(part)], values), sites, table)
    shape = (len(groups), len(values), 2 ** max(tile - 1, 0), -1)
    return Counts(tables.reshape(shape), values, tile > 0, by_sign)


def checked(
    source: Source, h: Samples, block: int | None, places: np.ndarray | None
) -> tuple[np.ndarray, int, int, np.ndarray]:
    """Return h as `(sample, unit)`, the side L, that of the tiles, and their first corners; see `information`."""
    size, h = read(source, 0, 1).shape[1], given(h, "h")
    units = h.reshape(len(h), -1)
    lattice = h.ndim == 3 and h.shape[1] == h.shape[2] and size % h.shape[1] == 0
    if places is None and not lattice:
        message = f"h has shape {h.shape}: give (sample, l, l) with l a divisor of {size}, or places, a corner a unit"
        raise InputError(message)
    block = require_positive("block", block or max(1, round(size / math.sqrt(units.shape[1]))))
    if places is None:
        places = tiles_of(h.shape[1], size // h.shape[1])
    if len(units) != len(source) or np.shape(places) != (units.shape[1], 2):
        message = (
            f"{len(units)} draws of {units.shape[1]} units with places of shape {np.shape(places)} for {len(source)} "
            f"configurations: give one draw for each configuration and one corner (row, column) for each unit"
        )
        raise InputError(message)
    return units, size, block, np.asarray(places)


def tiles_of(side: int, block: int) -> np.ndarray:
    """Return the first corners of the tiles of a coarse lattice, row by row, `(unit, 2)`."""
    return np.stack(np.divmod(np.arange(side**2), side), axis=1) * block


def seen_sites(size: int, places: np.ndarray, block: int, ring: str, width: int = 1) -> np.ndarray:
    """Return the sites of each unit's tile, then those of its ring, int32 `(unit, site)`; a row's sites end to end."""
    if size < block + 2 * width:
        message = f"a ring of width {width} around a tile of side {block} does not fit on a lattice of side {size}"
        raise InputError(message)
    at = np.arange(-width, block + width)
    row, column = (x.ravel() for x in np.meshgrid(at, at, indexing="ij"))
    inside = [(x >= 0) & (x < block) for x in (row, column)]
    tile = inside[0] & inside[1]
    around = inside[0] ^ inside[1] if ring == "bonds" else ~tile
    order = np.append(np.flatnonzero(tile), np.flatnonzero(around))
    rows, columns = (places[:, :1] + row[order]) % size, (places[:, 1:] + column[order]) % size
    return np.asarray(rows * size + columns, dtype=np.int32)


def values_of(h: np.ndarray) -> np.ndarray:
    """Return the distinct values of h and their negatives, ascending; some of them where there are too many."""
    known = np.unique(h[:1])
    for _, part in pieces(h):
        if len(known) > MOST_VALUES:
            break
        known = np.union1d(known, part[~np.isin(part, known)])
    return np.unique(np.append(known, -known)).astype(np.float64) + 0.0


def coded(h: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the place of each h, or of its sign, among the values, uint8."""
    if 2 <= len(values) <= 3:
        return np.asarray(h > 0, np.uint8) if len(values) == 2 else (np.sign(h) + 1).astype(np.uint8)
    return np.searchsorted(values, h).astype(np.uint8)


@kernel
@typing.no_type_check
def tally(spins, codes, sites, table):
    """Count (value, pattern) of all samples and units into `table`, patterns whose first spin is down as flipped."""
    bits, last = sites.shape[1], table.shape[0] - 1
    half = 1 << (bits - 1)
    for k in range(len(spins)):
        row = spins[k]
        for a in range(len(sites)):
            word = 0
            for j in range(bits):
                word = (word << 1) | (row[sites[a, j]] > 0)
            if word >= half:
                table[codes[k, a], word - half] += 1
            else:
                table[last - codes[k, a], half - 1 - word] += 1


def lower_bound(
    v: Source,
    h: Samples,
    rng: Rng,
    *,
    block: int | None = None,
    places: np.ndarray | None = None,
    width: int = RING_WIDTH,
) -> Estimate:
    """Return a lower bound on I(h:E), E all spins outside the tile: ln 2 + ⟨ln q(h | E)⟩ (Barber and Agakov 2003).

        q(h | E) = 1/(1 + e^(−2hz)),      z = Σ w_x E_x over the ring of a width + w_0 Σ E_x/L over all beyond

    The weights are fitted by Newton's method to three quarters of the samples and q evaluated on the fourth, in turn.
    Of h the sign is read, of 0 a coin's; at most 65,536 pairs are, their units drawn with `rng`. Other arguments and
    errors as in `information`.
    """
    source = v if isinstance(v, Ensemble | Level) else as_lattice(as_spins(v))
    units, size, block, places = checked(source, h, block, places)
    sites = seen_sites(size, places, block, "full", width)
    n, pairs = len(units), min(PAIRS_READ, units.size)
    sample, unit = np.arange(pairs) * n // pairs, rng.integers(0, units.shape[1], pairs)
    x = np.empty((pairs, sites.shape[1] - block**2 + 1))
    for start, part in pieces(source):
        at = slice(*np.searchsorted(sample, (start, start + len(part))))
        spins = part.reshape(-1, size**2)
        seen = spins[sample[at, None] - start, sites[unit[at]]]
        beyond = spins.sum(axis=1, dtype=np.int64)[sample[at] - start] - seen.sum(axis=1, dtype=np.int64)
        x[at] = np.column_stack([seen[:, block**2 :], beyond / size])
    y, fold, gain = np.sign(units[sample, unit]).astype(np.float64), sample * FOLDS // n, np.empty(pairs)
    for f in range(FOLDS):
        z = x[fold == f] @ fitted(x[fold != f], y[fold != f])
        gain[fold == f] = math.log(2) + y[fold == f] * z - np.logaddexp(z, -z)
    return grouped_mean(gain)


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return w that maximises Σ ln q(y | x) − |w|²/2, q(±1 | x) ∝ e^(±w·x)."""
    w = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        mean = np.tanh(x @ w)
        step = np.linalg.solve((x * (1 - mean**2)[:, None]).T @ x + np.eye(len(w)), x.T @ (y - mean) - w)
        w = w + step
        if np.abs(step).max() < 1e-5:
            break
    return w


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


def measure(subject: Subject) -> Row:
    """Return what draws of h and tiles know of the spins around the tiles."""
    ensemble, gauge, size = subject.ensemble, subject.gauge, subject.moments.size
    h = subject.hidden.reshape(len(ensemble), -1)
    block = max(1, round(size / math.sqrt(h.shape[1])))
    if why := lacking(size, subject.moments.hidden_shape, block, gauge.alive):
        return Diagnostic(None, why, {}), {}
    places = corners(gauge, block)[gauge.alive]
    alive, sign = gauge.alive, gauge.sign[gauge.alive]
    h = h if alive.all() and (sign == 1).all() else in_pieces(lambda part: part[:, alive] * sign, h)
    counts = count(ensemble, h, block=block, places=places)
    estimates = dict(counts.estimates())
    if size >= block + 2 * RING_WIDTH:
        rng = subject.rng("units that the lower bound on the information reads")
        estimates["I_hE_wide"] = lower_bound(ensemble, h, rng, block=block, places=places)
    remarks = [*about(subject, block, counts), *in_words(estimates, counts), *warnings(h, gauge, counts, estimates)]
    if "I_ratio" in estimates and not stands_out(estimates["I_VE"]):
        del estimates["I_ratio"]
    return Diagnostic(None, "; ".join(remarks), of_all(estimates)), {"places": places.astype(np.int32)}


def lacking(size: int, shape: tuple[int, ...], block: int, alive: np.ndarray) -> str:
    """Return why nothing can be counted, empty if something can."""
    if len(shape) == 2 and (shape[0] != shape[1] or size % shape[0]):
        return f"units on a lattice of {shape} have no tiles on the {size}×{size} spins: the side must divide {size}"
    if 4 * block > MOST_BITS or size < block + 2:
        return (
            f"h has tiles of side {block} at L = {size}: what is around a tile is counted up to side {MOST_BITS // 4}, "
            f"and L must be two more; give a map with more units"
        )
    return "" if alive.any() else f"all {alive.size} hidden units are constant: they know nothing"


def corners(gauge: Gauge, block: int) -> np.ndarray:
    """Return the first corner (row, column) of each unit's tile, `(unit, 2)`.

    Units that come as a lattice have the tiles of their sites. Of others the tile is the nearest to the unit's centre,
    wherever its site on the coarse lattice is: a layer whose units lie as they like is not thought the less of here.
    """
    if gauge.given and gauge.regular and gauge.site is not None:
        return gauge.site * block
    return np.asarray(np.floor(gauge.centre - (block - 1) / 2 + 0.5).astype(np.int64) % gauge.size)


def about(subject: Subject, block: int, counts: Counts) -> list[str]:
    """Return what was counted."""
    size, units = f"{block}×{block}", "the tile of each unit"
    lines = [
        f"nats, h as drawn; V is the {size} tile of a unit, E the {4 * block} spins with a bond to it, units pooled"
    ]
    if not subject.gauge.given:
        lines.append(
            f"a unit's tile is the {size} nearest its centre (the peak of its smoothed picture), its sign that of its "
            f"picture; units that differ know more one by one than pooled"
        )
    if counts.by_sign:
        lines.append(f"h has more than {MOST_VALUES} values: its sign is read")
    if not counts.with_tile:
        lines.append(f"{units} has too many patterns to be counted: no I_VE, I_ratio, I_hE_given_V")
    return lines


def in_words(estimates: Mapping[str, Estimate], counts: Counts) -> list[str]:
    """Return in words whether h knows more of the rest than its tile does."""
    lines = []
    if "I_hE_wide" in estimates:
        of_what = ", for the sign of h" if len(counts.values) > 2 else ""
        lines.append(
            f"I_hE_wide is a lower bound{of_what}, E all spins outside the tile, those beyond {RING_WIDTH} by their sum"
        )
    if (given_tile := estimates.get("I_hE_given_V")) is not None and math.isfinite(float(given_tile.error)):
        if stands_out(given_tile):
            lines.append(f"h knows of E what its tile does not, I_hE_given_V = {given_tile}: it reads spins elsewhere")
        else:
            lines.append("within errors h knows of E through its tile alone (I_hE_given_V = 0)")
    if "I_VE" in estimates and not stands_out(estimates["I_VE"]):
        lines.append("I_VE does not stand out from its error: no I_ratio")
    return lines


def warnings(h: np.ndarray, gauge: Gauge, counts: Counts, estimates: Mapping[str, Estimate]) -> list[str]:
    """Return what makes the numbers less than they seem."""
    lines = []
    if constant := gauge.constant:
        named = ", ".join(str(a) for a in constant[:8]) + (", …" if len(constant) > 8 else "")
        lines.append(f"{len(constant)} of {len(gauge.alive)} units are constant and left out: {named}")
    mean = grouped_mean(in_pieces(lambda part: part.mean(axis=1, dtype=np.float64), h))
    if stands_out(mean):
        lines.append(
            f"h does not flip with the spins, ⟨h⟩ = {mean}: these are what h up to a common flip knows, or less"
        )
    if counts.met_once > MOST_MET_ONCE:
        lines.append(
            f"{counts.met_once:.1%} of patterns were met once: too few samples, I_hE and I_VE come out too large"
        )
    if not math.isfinite(float(estimates["I_hE"].error)):
        lines.append("too few samples for an error")
    elif len(h) < FEW_SAMPLES:
        lines.append(f"only {len(h)} samples: the errors are guesses, use {FEW_SAMPLES} or more")
    return lines


def stands_out(estimate: Estimate) -> bool:
    """Whether a number is more than 4 errors from 0."""
    return abs(float(estimate.value)) > ERRORS_FROM_ZERO * float(estimate.error)


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield I(h:E), I(V:E), their ratio and I(h:E | V) of every map that has them, each map on a line of its own."""
    rows = {name: dict(entry.estimates("information")) for name, entry in maps.items()}
    rows = {name: quantities for name, quantities in rows.items() if quantities}
    if not rows:
        return
    rows, nulls = parted(rows, coloured(maps))
    found = [{name: quantity.estimate for name, quantity in quantities.items()} for quantities in rows.values()]
    with sheet(1, 2, size=(7.2, 1.5 + 0.34 * len(rows)), sharey=True, width_ratios=(3, 2)) as (figure, (left, right)):
        for axes, name in ((left, "I_hE"), (right, "I_hE_given_V")):
            null_span(axes, [float(q[name].estimate.value) for q in nulls.values() if name in q])
        points(left, found, "I_VE", "I(V:E)", COLOURS[0], "none")
        points(left, found, "I_hE", "I(h:E)", COLOURS[1], COLOURS[1])
        points(right, found, "I_hE_given_V", None, COLOURS[1], COLOURS[1])
        for line, estimates in enumerate(found):
            if "I_ratio" in estimates:
                share = f"{float(estimates['I_ratio'].value):.1%}"
                left.text(1.01, line, share, transform=left.get_yaxis_transform(), va="center", size="small")
        left.text(1.01, 1.02, "kept", transform=left.transAxes, size="small")
        left.set_yticks(range(len(rows)), [text(name) for name in rows])
        left.set(xlabel="mutual information with E (nats)", ylim=(len(rows) - 0.6, -0.4))
        left.set_xlim(min(0.0, left.get_xlim()[0]), None)
        left.legend(**ABOVE)
        beyond = [estimates["I_hE_given_V"] for estimates in found if "I_hE_given_V" in estimates]
        lowest = min((float(e.value) - float(np.nan_to_num(e.error)) for e in beyond), default=0.0)
        right.set_xscale("symlog", linthresh=LINEAR_NATS)
        right.axvspan(-LINEAR_NATS, LINEAR_NATS, color="0.93", zorder=0)
        right.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        right.tick_params(axis="x", labelsize="small")
        right.set(xlabel="I(h:E | V) (nats)", xticks=TICKS, xlim=(min(-3 * LINEAR_NATS, 2 * lowest), 1.0))
        yield Plate("information", CAPTION, figure)


def points(
    axes: Axes, rows: Sequence[Mapping[str, Estimate]], name: str, label: str | None, colour: str, inside: str
) -> None:
    """Draw one quantity of each map with its error, a map to a line."""
    lines = [line for line, estimates in enumerate(rows) if name in estimates]
    if not lines:
        return
    values, errors = (
        np.array([float(getattr(rows[line][name], part)) for line in lines]) for part in ("value", "error")
    )
    axes.errorbar(
        *(values, lines),
        xerr=bars(errors),
        fmt="o",
        color=colour,
        mfc=inside,
        markersize=5,
        capsize=2,
        label=label,
    )


INSTRUMENT = Instrument(
    name="information",
    question=(
        "It tells how much of what a tile of spins knows about its surroundings its unit keeps, and whether the unit "
        "knows anything about them that its tile does not, which no block map does. It cannot tell a good block spin "
        "from one that keeps as much and makes it non-local afterwards, nor whether the coarse model is near a fixed "
        "point."
    ),
    measure=measure,
    headline={"I_ratio": "I"},
    legend="I: I(h:E)/I(V:E)",
    figures=figures,
)
