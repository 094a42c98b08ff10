"""What does h keep of what its block knows of the rest? Real-space mutual information.

With V the b-by-b tile of a unit, E the spins that have a bond with it and h the unit's draw, in nats,

    I(h:E) = H(h) + H(E) − H(h, E),      I(V:E),      I(h:E | V) = H(h, V) + H(V, E) − H(h, V, E) − H(V).

A map that reads its tile alone has I(h:E | V) = 0 and I(h:E) ≤ I(V:E); the share it keeps was proposed as the measure
of a good block spin (Koch-Janusz and Ringel 2018). Of Ising spins V is independent of all others given E, so that for
such a map these two are exactly what h and V know of the whole rest of the lattice.

The pairs are counted over samples and units, up to the global flip, which makes tables of a few thousand cells for
millions of pairs; `mutual` takes the entropies and corrects what bias is left.
"""

import math
import typing
from collections.abc import Mapping
from typing import Literal

import numpy as np

from rgstep import gauge
from rgstep.arguments import require_positive
from rgstep.compiled import kernel
from rgstep.correlators import BLOCK_SITES, Source, given, read
from rgstep.diagnostics.mutual import NAMES, Counts
from rgstep.diagnostics.subject import Row, Subject
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, grouped_mean
from rgstep.exact import information as exact
from rgstep.lattice import as_lattice, as_spins
from rgstep.report import Diagnostic, Quantity
from rgstep.types import Samples

TELLS = (
    "It tells how much of what a tile of spins knows about its surroundings its unit keeps, and whether the unit knows "
    "anything about them that its tile does not, which no block map does. It cannot tell a good block spin from one "
    "that keeps as much and makes it non-local afterwards, nor whether the coarse model is near a fixed point."
)
GROUPS = 64
MOST_VALUES = 9  # distinct values of h, counted with their negatives; beyond, its sign is read
MOST_BITS = 16  # of a pattern that is counted
ROWS = 2**16  # pairs (h, E) of the lower bound
FOLDS = 4
WIDTH = 2  # of the ring whose spins the lower bound reads one by one
STANDS_OUT = 4.0  # errors
SINGLES = 0.01  # patterns seen once, among all: beyond, the entropies are not to be trusted


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
        v: configurations, an `Ensemble` or ±1 `(sample, row, column)`.
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
    source = v if isinstance(v, Ensemble) else as_lattice(as_spins(v))
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
    bounds = group_bounds(len(units), GROUPS)
    tables = np.zeros((len(bounds), len(values), 2 ** (sites.shape[1] - 1)), np.int32)
    step = max(1, BLOCK_SITES // size**2)
    for table, (start, stop) in zip(tables, bounds, strict=True):
        for a in range(start, stop, step):
            b = min(a + step, stop)
            spins = np.ascontiguousarray(read(source, a, b)).reshape(b - a, -1)
            tally(spins, coded(units[a:b], values), sites, table)
    shape = (len(bounds), len(values), 2 ** max(tile - 1, 0), -1)
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
    step = max(1, BLOCK_SITES // h.shape[1])
    for start in range(0, len(h), step):
        if len(known) > MOST_VALUES:
            break
        part = h[start : start + step].ravel()
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
    v: Source, h: Samples, *, block: int | None = None, places: np.ndarray | None = None, width: int = WIDTH
) -> Estimate:
    """Return a lower bound on I(h:E), E all spins outside the tile: ln 2 + ⟨ln q(h | E)⟩ (Barber and Agakov 2003).

        q(h | E) = 1/(1 + e^(−2hz)),      z = Σ w_x E_x over the ring of a width + w_0 Σ E_x/L over all beyond

    The weights are fitted by Newton's method to three quarters of the samples and q evaluated on the fourth, in turn.
    Of h the sign is read, of 0 a coin's; at most 65,536 pairs are. Arguments and errors as in `information`.
    """
    source = v if isinstance(v, Ensemble) else as_lattice(as_spins(v))
    units, size, block, places = checked(source, h, block, places)
    sites = seen_sites(size, places, block, "full", width)
    n, rows = len(units), min(ROWS, units.size)
    sample, unit = np.arange(rows) * n // rows, np.random.default_rng(0).integers(0, units.shape[1], rows)
    x, step = np.empty((rows, sites.shape[1] - block**2 + 1)), max(1, BLOCK_SITES // size**2)
    for start in range(0, n, step):
        at = slice(*np.searchsorted(sample, (start, start + step)))
        spins = read(source, start, min(start + step, n)).reshape(-1, size**2)
        seen = spins[sample[at, None] - start, sites[unit[at]]]
        beyond = spins.sum(axis=1, dtype=np.int64)[sample[at] - start] - seen.sum(axis=1, dtype=np.int64)
        x[at] = np.column_stack([seen[:, block**2 :], beyond / size])
    y, fold, gain = np.sign(units[sample, unit]).astype(np.float64), sample * FOLDS // n, np.empty(rows)
    for f in range(FOLDS):
        z = x[fold == f] @ fitted(x[fold != f], y[fold != f])
        gain[fold == f] = math.log(2) + y[fold == f] * z - np.logaddexp(z, -z)
    return grouped_mean(gain, GROUPS)


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return w that maximises Σ ln q(y | x) − |w|²/2, q(±1 | x) ∝ e^(±w·x)."""
    w = np.zeros(x.shape[1])
    for _ in range(20):
        mean = np.tanh(x @ w)
        step = np.linalg.solve((x * (1 - mean**2)[:, None]).T @ x + np.eye(len(w)), x.T @ (y - mean) - w)
        w = w + step
        if np.abs(step).max() < 1e-5:
            break
    return w


def row(subject: Subject) -> Row:
    """Return what draws of h and tiles know of the spins around the tiles."""
    ensemble, shape, size = subject.ensemble, subject.moments.hidden_shape, subject.moments.size
    h = subject.hidden.reshape(len(ensemble), -1)
    block = max(1, round(size / math.sqrt(h.shape[1])))
    live = (h != h[:1]).any(axis=0) if len(h) > 1 else np.ones(h.shape[1], bool)
    if why := lacking(size, shape, block, live):
        return Diagnostic(None, why, {}), {}
    places, signs = (part[live] for part in placed(subject, block))
    h = (h if live.all() else h[:, live]) * signs
    counts = count(ensemble, h, block=block, places=places)
    estimates = dict(counts.estimates())
    if size >= block + 2 * WIDTH:
        estimates["I_hE_wide"] = lower_bound(ensemble, h, block=block, places=places)
    remarks = [*about(subject, block, counts), *findings(estimates, counts), *warnings(h, live, counts, estimates)]
    if "I_ratio" in estimates and not stands_out(estimates["I_VE"]):
        del estimates["I_ratio"]
    exactly = size == exact.SIZE and block == exact.TILE
    truth = exact_values(subject, live, places, signs) if exactly else {}
    quantities = {name: Quantity(e, truth.get(name)) for name, e in estimates.items()}
    return Diagnostic(None, "; ".join(remarks), quantities), {"information_places": places.astype(np.int32)}


def lacking(size: int, shape: tuple[int, ...], block: int, live: np.ndarray) -> str:
    """Return why nothing can be counted, empty if something can."""
    if len(shape) == 2 and (shape[0] != shape[1] or size % shape[0]):
        return f"units on a lattice of {shape} have no tiles on the {size}×{size} spins: the side must divide {size}"
    if 4 * block > MOST_BITS or size < block + 2:
        return (
            f"h has tiles of side {block} at L = {size}: what is around a tile is counted up to side {MOST_BITS // 4}, "
            f"and L must be two more; give a map with more units"
        )
    return "" if live.any() else f"all {live.size} hidden units are constant: they know nothing"


def placed(subject: Subject, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first corner of each unit's tile and its sign, as given or as its picture has them.

    A unit's tile is the nearest to its centre, wherever its site on the coarse lattice is: a layer whose units lie as
    they like is not thought the less of here.
    """
    if subject.given_places:
        side = subject.moments.hidden_shape[0]
        return tiles_of(side, block), subject.given_sign.ravel()
    pictures, size = subject.pictures, subject.moments.size
    centre, _ = gauge.centres(pictures, size / math.sqrt(len(pictures)))
    corners = np.floor(centre - (block - 1) / 2 + 0.5).astype(np.int64) % size
    return corners, np.where(pictures.sum(axis=(1, 2)) < 0, -1, 1).astype(np.int8)


def exact_values(subject: Subject, live: np.ndarray, places: np.ndarray, signs: np.ndarray) -> Mapping[str, float]:
    """Return the exact values on the 4×4 torus; none for an h that is neither ±1 nor its own mean, or read by sign."""
    coarse, hidden = subject.coarse, subject.hidden
    few = subject.ensemble.unpack(0, BLOCK_SITES // exact.SIZE**2)
    drawn = hidden.dtype == np.int8
    if not drawn and (
        len(values_of(hidden.reshape(len(hidden), -1))) > MOST_VALUES or differ(coarse.mean_h(few), hidden)
    ):
        return {}
    known = exact.information(
        lambda v: coarse.mean_h(v).reshape(len(v), -1)[:, live],
        subject.ensemble.system.coupling,
        drawn=drawn,
        bonded=True,
        places=[(int(x), int(y)) for x, y in places],
        signs=[int(s) for s in signs],
    )
    return dict(zip(NAMES, (known.h_E, known.V_E, known.ratio, known.h_E_given_V), strict=True))


def differ(mean: np.ndarray, drawn: np.ndarray) -> bool:
    """Whether draws are not their mean."""
    return not np.array_equal(mean, drawn[: len(mean)])


def about(subject: Subject, block: int, counts: Counts) -> list[str]:
    """Return what was counted."""
    size, units = f"{block}×{block}", "the tile of each unit"
    lines = [
        f"nats, h as drawn; V is the {size} tile of a unit, E the {4 * block} spins with a bond to it, units pooled"
    ]
    if not subject.given_places:
        lines.append(
            f"a unit's tile is the {size} nearest its centre (the peak of its smoothed picture), its sign that of its "
            f"picture; units that differ know more one by one than pooled"
        )
    if counts.by_sign:
        lines.append(f"h has more than {MOST_VALUES} values: its sign is read")
    if not counts.with_tile:
        lines.append(f"{units} has too many patterns to be counted: no I_VE, I_ratio, I_hE_given_V")
    return lines


def findings(estimates: Mapping[str, Estimate], counts: Counts) -> list[str]:
    """Return in words whether h knows more of the rest than its tile does."""
    lines = []
    if "I_hE_wide" in estimates:
        of_what = ", for the sign of h" if len(counts.values) > 2 else ""
        lines.append(
            f"I_hE_wide is a lower bound{of_what}, E all spins outside the tile, those beyond {WIDTH} by their sum"
        )
    if (given_tile := estimates.get("I_hE_given_V")) is not None and math.isfinite(float(given_tile.error)):
        if stands_out(given_tile):
            lines.append(f"h knows of E what its tile does not, I_hE_given_V = {given_tile}: it reads spins elsewhere")
        else:
            lines.append("within errors h knows of E through its tile alone (I_hE_given_V = 0)")
    if "I_VE" in estimates and not stands_out(estimates["I_VE"]):
        lines.append("I_VE does not stand out from its error: no I_ratio")
    return lines


def warnings(h: np.ndarray, live: np.ndarray, counts: Counts, estimates: Mapping[str, Estimate]) -> list[str]:
    """Return what makes the numbers less than they seem."""
    lines = []
    if not live.all():
        dead = np.flatnonzero(~live)
        named = ", ".join(str(a) for a in dead[:8]) + (", …" if len(dead) > 8 else "")
        lines.append(f"{len(dead)} of {live.size} units are constant and left out: {named}")
    mean = grouped_mean(h.mean(axis=1, dtype=np.float64), GROUPS)
    if stands_out(mean):
        lines.append(
            f"h does not flip with the spins, ⟨h⟩ = {mean}: these are what h up to a common flip knows, or less"
        )
    if counts.singles > SINGLES:
        lines.append(
            f"{counts.singles:.1%} of patterns were met once: too few samples, I_hE and I_VE come out too large"
        )
    if not math.isfinite(float(estimates["I_hE"].error)):
        lines.append("too few samples for an error")
    return lines


def stands_out(estimate: Estimate) -> bool:
    """Whether a number is more than 4 errors from 0."""
    return abs(float(estimate.value)) > STANDS_OUT * float(estimate.error)
