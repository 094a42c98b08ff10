"""What does each hidden unit take of each spin, and where? Does it live on a compact tile of its own?

At T_c the pictures ⟨v h⟩ fall only as r^(−1/4), whatever the map. The coefficients of the linear reading of h_a,

    β_a = C⁻¹ ⟨v h_a⟩ = argmin ⟨(h_a − β_a · v)²⟩,        C = ⟨v vᵀ⟩,

do not: 1/b² on the tile of the average rule and 0 elsewhere. C is a convolution, so that β is a division in Fourier
space (`patterns.partial_correlations`), but with noise of 0.012 a site at 20,000 samples, over 1024 sites as much as a
tile has. Almost all of it is noise in what β itself explains, and a control variate removes it: with β⁰ the
coefficients that stand out of the noise,

    β_a = β⁰_a + C⁻¹ ⟨v (h_a − β⁰_a · v)⟩,

which has the same expectation for every fixed β⁰. Of the noise of a linear map next to nothing is left, of the majority
rule's a quarter.

Where a unit reads, its weights q_a(x) = β_a(x)² say: on the b×b tile that holds most of them. From G groups of samples
Σ_{g≠g′} β_g β_g′ / G(G − 1) is q without bias; products of two q take one from the even groups, one from the odd ones.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import fft, sparse
from scipy.spatial import cKDTree
from scipy.special import ndtr

from rgstep import patterns
from rgstep.arguments import InputError
from rgstep.correlators import Moments, correlation_sums
from rgstep.correlators import two_point as two_point_of
from rgstep.ensemble import Source, pieces
from rgstep.estimates import Estimate, estimated, group_bounds, scalar
from rgstep.gauge import Gauge, torus
from rgstep.lattice import as_vectors

GROUPS = 32  # of coefficients: each a picture a unit, as large as the moments
ROUGH_GROUPS = 8  # that tell the noise of a coefficient while β⁰ is found
ONE_ROUND = 10_000  # samples, above which the noise that one round of β⁰ leaves is a hundredth of the rest
SPARSE_SHARE = 0.1  # of β⁰ that is not 0, below which it is multiplied as a sparse matrix
FEWEST_SAMPLES = 8  # groups: each half keeps three when one is left out
SEEN = 3.0  # standard errors of Σβ² below which a unit has no picture
SEEN_SHARE = 0.1  # of units that must be seen to speak for all: of a few that noise lifts out, none is typical
CHUNK_BYTES = 2**27  # room for the coefficients of some units in all groups
LOCAL_SHARE = 0.75  # of its weights that a local unit has in its core: more than three sites of four thrown at random
ROUNDING = 1e-5  # errors below are those of float32


Sums: TypeAlias = Mapping[str, np.ndarray]


class Places(NamedTuple):
    """Where the weights of some units are: sites as indices of the lattice's rows put end to end."""

    tile: np.ndarray  # (unit, b²)
    core: np.ndarray  # (unit, sites within two coarse spacings)
    centre: np.ndarray  # (unit, 2)
    shifted: np.ndarray  # (unit, site) which site comes to each when the tile is put at the origin
    sign: np.ndarray  # (unit,)


@dataclass(frozen=True, eq=False)
class Geometry:
    """What the coefficients of all units look like.

    Attributes:
        quantities: over units: see `geometry`.
        beta: the coefficients, `(unit, L, L)`.
        radius: rms distance of a unit's weights from its centre in lattice spacings, `(unit,)`.
        share: share of its weights on its best b×b tile, `(unit,)`.
        core: share of them within two coarse spacings of the tile's centre, `(unit,)`.
        participation: (Σq)²/Σq², sites, `(unit,)`.
        centre: row and column, `(unit, 2)`.
        coverage: Σ_a q_a(x) over its mean, `(L, L)`.
        constant: units whose h does not depend on v.
        faint: further units whose weights do not stand out of the noise; their entries are NaN.
    """

    quantities: Mapping[str, Estimate]
    beta: np.ndarray
    radius: Estimate
    share: Estimate
    core: Estimate
    participation: Estimate
    centre: np.ndarray
    coverage: np.ndarray
    constant: tuple[int, ...]
    faint: tuple[int, ...]


def geometry(v: Source, moments: Moments, gauge: Gauge, two_point: np.ndarray | None = None) -> Geometry:
    """Return the geometry of a map's coefficients β with jackknife errors.

    Quantities: `tile_radius`, `tile_share`, `core_share` (within two coarse spacings of the centre, at most L/4) and
    `participation_beta`, medians over the units that are not faint, `_mean` the ratio of their sums over these units;
    `tile_amplitude`, the mean of ±β on the best tile; `coverage` = (Σ_x Q)²/(N Σ_x Q²) with Q = Σ_a q_a, and
    `coverage_min`, the smallest Q over the mean, found in one half of the samples and read in the other; `overlap` =
    1 − Σ_a Σ_x q_a²/Σ_x Q², how often two weights on one site are of different units; `equivariance` =
    √(Σ_a |β_a − β̄|²/Σ_a |β_a|²), β̄ the mean of all pictures shifted to one place; `local_units`, the share of units of
    whose weights more than ¾, by two standard errors, are in the core, `extended_units` those with less;
    `constant_units`, those whose h never changes, and `faint_units`, of the others those whose Σq is less than three
    standard errors: they are in no other number of units.

    Args:
        v: the configurations, `(sample, L, L)`.
        moments: of (v, h), as `correlators.measure` returns them for the same configurations.
        gauge: of the units of h.
        two_point: ⟨v_x v_{x+d}⟩, `(L, L)`, measured where it is not given.

    Raises:
        InputError: for fewer than 8 samples, or moments of other configurations.
    """
    if len(v) < FEWEST_SAMPLES or len(v) != int(moments.counts.sum()):
        message = (
            f"{len(v)} configurations and moments of {int(moments.counts.sum())}: at least {FEWEST_SAMPLES} of each"
        )
        raise InputError(message)
    moving = np.flatnonzero(gauge.alive)
    if not len(moving):
        message = "every hidden unit is constant: nothing of v is in h"
        raise InputError(message)
    correlation = np.asarray(two_point_of(v).value) if two_point is None else two_point
    step = max(1, CHUNK_BYTES // (4 * GROUPS * moments.size**2))
    units, sites, centres, betas = [], [], [], []
    for start in range(0, len(moving), step):
        chunk = moving[start : start + step]
        beta = coefficients(v, moments, correlation, chunk)
        places = placed(beta, moments, chunk, gauge)
        each, over_units = sums_of(beta, places)
        units.append(each)
        sites.append(over_units)
        centres.append(places.centre)
        betas.append(beta.mean(axis=0))
    of_units = {name: np.concatenate([part[name] for part in units], axis=1) for name in units[0]}
    of_sites = {name: np.asarray(sum(part[name] for part in sites)) for name in sites[0]}
    return concluded(of_units, of_sites, np.concatenate(centres), np.concatenate(betas), gauge.alive)


def common_geometry(v: Source, moments: Moments, gauge: Gauge) -> dict[str, Estimate]:
    """Return `core_share` and `tile_radius` of the mean of all units' coefficients, each shifted to one place.

    For a map that commutes with translations all units are one, and what is said of the mean is said of each, with as
    many times more samples: a window of 8×8 sites, which no unit shows, is seen at once. NaN where even that is noise.

    Args:
        v: the configurations.
        moments: of (v, h), for the same configurations.
        gauge: of units that came with places.
    """
    size, site = moments.size, gauge.site
    if site is None:
        message = "units without places have no common picture"
        raise InputError(message)
    row, column = np.divmod(np.arange(size**2), size)
    corner = site * (size // gauge.side)
    moved = (row + corner[:, :1]) % size * size + (column + corner[:, 1:]) % size
    weight = gauge.sign * gauge.alive / gauge.alive.sum()
    edges = np.concatenate([[0], np.cumsum(moments.counts)]).astype(int)
    parts = []
    for which in merged(moments, GROUPS):
        picture = np.zeros(size**2)
        for g in which:
            picture += moments.counts[g] * (weight @ np.take_along_axis(moments.groups.vh[g], moved, axis=1))
        start, stop = int(edges[which[0]]), int(edges[which[-1] + 1])
        own = correlation_sums(v, start, stop)[0]  # of the same samples: the noise of v cancels
        parts.append(patterns.partial_correlations(picture.reshape(1, size, size), own))
    beta = np.stack(parts).astype(np.float32)
    each, _ = sums_of(beta, placed(beta, moments, np.array([0]), lone(gauge)))
    total = without_rounding(each["total"][:, 0])
    if not total.value > SEEN * total.error:
        return {name: Estimate(math.nan, math.nan) for name in ("core_share", "tile_radius")}
    share, second = (without_rounding(each[name][:, 0] / each["total"][:, 0]) for name in ("core", "second"))
    return {"core_share": share, "tile_radius": root(second)}


def lone(gauge: Gauge) -> Gauge:
    """Return the gauge of one unit on the first site."""
    return replace(gauge, sign=np.ones(1, np.int8), site=np.zeros((1, 2), np.int64))


def crowded(centre: np.ndarray, alive: np.ndarray, size: int) -> float:
    """Return the share of units that are alive whose centre is within half a coarse spacing of another's.

    Units of a tiling repel each other; of n centres thrown at random 1 − e^(−π/4) = 0.54 are crowded, and where a share
    f of the units copies others about 2f.
    """
    at = centre[alive]
    if len(at) < 2:
        return 0.0
    spacing = size / math.sqrt(len(alive))
    tree = cKDTree(at % size, boxsize=size)
    nearest = tree.query(at % size, k=2)[0][:, 1]
    return float((nearest < spacing / 2).mean())


def sums_of(beta: np.ndarray, places: Places) -> tuple[Sums, Sums]:
    """Return the sums that all quantities are made of, from β `(group, unit, L, L)` of all groups and without each.

    The set of groups is the first axis. Of each unit, `(set, unit)`: `total` Σq, `second` Σ q d², `tile` and `core` Σq
    there, `even` and `odd` Σq of half the groups, `product` Σ_x of q of both halves, `amplitude` the mean of ±β on the
    tile. Of each site, `(set, site)`: `even` and `odd` Σ_a q_a, and, `(group, site)`, `common`, Σ_a β_a shifted to one
    place.
    """
    groups, units, size, _ = beta.shape
    unit = np.arange(units)[:, None]
    away = torus(np.arange(size)[None, :, None] - places.centre[:, None, :], size) ** 2  # (unit, site along, axis)
    halves = [(beta[h::2].sum(axis=0, dtype=np.float64), squares(beta[h::2])) for h in (0, 1)]
    counts = [len(beta[h::2]) for h in (0, 1)]
    whole = [weights(*halves[h], counts[h]) for h in (0, 1)]
    each: dict[str, list[np.ndarray]] = {}
    over: dict[str, list[np.ndarray]] = {}
    for g in range(-1, groups):
        q_half, sums, power, left = list(whole), halves[0][0] + halves[1][0], halves[0][1] + halves[1][1], groups
        if g >= 0:
            out = beta[g].astype(np.float64)
            h = g % 2
            q_half[h] = weights(halves[h][0] - out, halves[h][1] - out**2, counts[h] - 1)
            sums, power, left = sums - out, power - out**2, groups - 1
        q = weights(sums, power, left)
        down, across, flat = q.sum(axis=2), q.sum(axis=1), q.reshape(units, -1)
        found = {
            "total": down.sum(axis=1),
            "second": (down * away[:, :, 0]).sum(axis=1) + (across * away[:, :, 1]).sum(axis=1),
            "tile": flat[unit, places.tile].sum(axis=1),
            "core": flat[unit, places.core].sum(axis=1),
            "even": q_half[0].sum(axis=(1, 2)),
            "odd": q_half[1].sum(axis=(1, 2)),
            "product": np.einsum("urc,urc->u", q_half[0], q_half[1]),
            "amplitude": places.sign * (sums.reshape(units, -1)[unit, places.tile].mean(axis=1) / left),
        }
        for name, values in found.items():
            each.setdefault(name, []).append(values)
        for name, half in zip(("even", "odd"), q_half, strict=True):
            over.setdefault(name, []).append(half.sum(axis=0).ravel())
    over["common"] = [places.sign @ b.reshape(units, -1)[unit, places.shifted] for b in beta]
    stacked = [{name: np.stack(values) for name, values in part.items()} for part in (each, over)]
    return stacked[0], stacked[1]


def concluded(of_units: Sums, of_sites: Sums, centre: np.ndarray, beta: np.ndarray, alive: np.ndarray) -> Geometry:
    """Return the quantities and the units' own numbers, with those of constant and faint units as NaN."""
    size, moving = beta.shape[1], np.flatnonzero(alive)
    total = without_rounding(of_units["total"])
    seen = np.asarray(total.value) > SEEN * np.asarray(total.error)
    enough = seen.mean() >= SEEN_SHARE

    def each(values: np.ndarray | float) -> np.ndarray:
        full = np.full((len(alive), *np.shape(values)[1:]), np.nan)
        full[moving[seen]] = np.asarray(values)[seen]
        return full

    quantities: dict[str, Estimate] = {}
    numbers: dict[str, Estimate] = {}
    for name, (above, below) in ratios(of_units).items():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.divide(above, below)
        own = without_rounding(ratio)
        estimates = {"": own}
        if enough:
            estimates["_median"] = without_rounding(np.median(ratio[:, seen], axis=1))
            estimates["_mean"] = without_rounding(above[:, seen].sum(axis=1) / below[:, seen].sum(axis=1))
            if name == "core_share":
                quantities |= {"local_units": share_above(own[seen], 1), "extended_units": share_above(own[seen], -1)}
        if name == "tile_radius":  # so far its square
            estimates = {suffix: root(estimate) for suffix, estimate in estimates.items()}
        numbers[name] = Estimate(each(estimates[""].value), each(estimates.pop("").error))
        quantities |= {f"{name}{suffix}".removesuffix("_median"): found for suffix, found in estimates.items()}
    quantities["constant_units"] = Estimate(float((~alive).mean()), 0.0)
    quantities["faint_units"] = Estimate(float((~seen).mean()), 0.0)
    if enough:
        quantities["tile_amplitude"] = without_rounding(of_units["amplitude"][:, seen].mean(axis=1))
        quantities |= over_sites(of_units, of_sites)
    pictures = np.zeros((len(alive), size, size), np.float32)
    pictures[moving] = beta
    covered = (of_sites["even"][0] + of_sites["odd"][0]).reshape(size, size)
    return Geometry(
        quantities,
        pictures,
        radius=numbers["tile_radius"],
        share=numbers["tile_share"],
        core=numbers["core_share"],
        participation=numbers["participation_beta"],
        centre=each(centre),
        coverage=covered / (covered.mean() or 1.0),
        constant=tuple(map(int, np.flatnonzero(~alive))),
        faint=tuple(map(int, moving[~seen])),
    )


def ratios(of_units: Sums) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return numerator and denominator, `(set, unit)`, of what each unit has; of the radius, those of its square."""
    total = of_units["total"]
    return {
        "tile_radius": (of_units["second"], total),
        "tile_share": (of_units["tile"], total),
        "core_share": (of_units["core"], total),
        "participation_beta": (of_units["even"] * of_units["odd"], of_units["product"]),
    }


def over_sites(of_units: Sums, of_sites: Sums) -> dict[str, Estimate]:
    """Return coverage, overlap and equivariance."""
    even, odd, common = of_sites["even"], of_sites["odd"], of_sites["common"]
    units = of_units["total"].shape[1]
    together = (even * odd).sum(axis=1)
    least = [
        half[:, other[0].argmin()] / half.mean(axis=1)  # found in one half and read in the other: no minimum of noise
        for half, other in ((even, odd), (odd, even))
    ]
    coverage = even.sum(axis=1) * odd.sum(axis=1) / (even.shape[1] * together)
    groups, sums, power = len(common), common.sum(axis=0), squares(common)
    norm = [weights(sums, power, groups).sum()]
    norm += [weights(sums - out, power - out**2, groups - 1).sum() for out in common]
    differ = 1 - np.array(norm) / (units * of_units["total"].sum(axis=1))
    return {
        "coverage": without_rounding(coverage),
        "coverage_min": without_rounding((least[0] + least[1]) / 2),
        "overlap": without_rounding(1 - of_units["product"].sum(axis=1) / together),
        "equivariance": root(estimated(differ * units / max(1, units - 1))),
    }


def without_rounding(sets: np.ndarray) -> Estimate:
    """Return an estimate from the values of all groups, then without each; errors of rounding are 0."""
    estimate = estimated(sets)
    error = np.where(np.asarray(estimate.error) < ROUNDING, 0.0, estimate.error)
    return Estimate(estimate.value, scalar(error))


def root(squared: Estimate) -> Estimate:
    """Return the root of an estimate that noise may take below zero: 0 there, with the root of its error."""
    value, error = np.maximum(squared.value, 0.0), np.asarray(squared.error)
    size = np.sqrt(value) + np.sqrt(value + error)
    spread = np.divide(error, size, out=np.zeros_like(size), where=size > 0)
    return Estimate(scalar(np.sqrt(value)), scalar(spread))


def share_above(core: Estimate, sign: int) -> Estimate:
    """Return the share of units of whose weights more than ¾ (sign −1: less), by two standard errors, are in the core.

    Its error is that of as many independent units, each above with the chance that a normal error gives it.
    """
    room, error = sign * (np.asarray(core.value) - LOCAL_SHARE), np.maximum(core.error, 1e-300)
    chance, units = ndtr(room / error), len(error)
    spread = math.sqrt(float((chance * (1 - chance)).sum())) / units
    return Estimate(float((room > 2 * error).sum() / units), spread if spread > ROUNDING else 0.0)


def merged(moments: Moments, groups: int) -> list[np.ndarray]:
    """Return which of the groups of the moments make each of at most so many larger ones."""
    return [np.arange(a, b) for a, b in group_bounds(len(moments.counts), groups)]


def coefficients(v: Source, moments: Moments, two_point: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return β of some units from each group of samples, float32 `(group, unit, L, L)`, by control variates."""
    first = np.zeros((len(units), moments.size, moments.size), np.float32)  # β⁰
    level = 2 * math.log(moments.size**2)  # one site or so of pure noise is above (Donoho and Johnstone 1994)
    for _ in range(1 if len(v) > ONE_ROUND else 2):
        rough = gathered(
            improved(v, moments, two_point, units, first, ROUGH_GROUPS), len(merged(moments, ROUGH_GROUPS))
        )
        mean = rough.mean(axis=0)
        variance = rough.var(axis=0, ddof=1).mean(axis=(1, 2), keepdims=True)  # nearly the same at all sites
        first = np.where(mean**2 > level * variance / len(rough), mean, np.float32(0))
    return gathered(improved(v, moments, two_point, units, first, GROUPS), len(merged(moments, GROUPS)))


def gathered(parts: Iterator[np.ndarray], count: int) -> np.ndarray:
    """Return so many arrays as one, without room for them twice."""
    first = next(parts)
    out = np.empty((count, *first.shape), first.dtype)
    out[0] = first
    for g, part in enumerate(parts, start=1):
        out[g] = part
    return out


def improved(
    v: Source, moments: Moments, two_point: np.ndarray, units: np.ndarray, first: np.ndarray, groups: int
) -> Iterator[np.ndarray]:
    """Yield β⁰ + C⁻¹⟨v (h − β⁰·v)⟩ of each group of samples, float32 `(unit, L, L)`, from β⁰ = `first`."""
    edges = np.concatenate([[0], np.cumsum(moments.counts)]).astype(int)
    point = np.zeros((1, *first.shape[1:]))
    point[0, 0, 0] = 1
    inverse = fft.rfft2(patterns.partial_correlations(point, two_point)).real.astype(np.float32)  # C⁻¹ of each mode
    for which in merged(moments, groups):
        left = np.zeros(first.shape, np.float32)
        for g in which:
            left += moments.groups.vh[g, units].reshape(first.shape) * (moments.counts[g] / moments.counts[which].sum())
        if first.any():
            left -= explained(v, int(edges[which[0]]), int(edges[which[-1] + 1]), first)
        yield first + fft.irfft2(fft.rfft2(left) * inverse, s=first.shape[1:])


def explained(v: Source, start: int, stop: int, first: np.ndarray) -> np.ndarray:
    """Return ⟨(β⁰·v) v⟩ over samples start … stop, float32 `(unit, L, L)`.

    Cost: a matrix product of 2 · unit · site operations a sample, as much as `correlators.measure`; twice that where
    more than a tenth of β⁰ is not 0.
    """
    flat = first.reshape(len(first), -1)
    total = np.zeros(flat.shape, np.float32)
    used = np.flatnonzero(flat.any(axis=0))
    reading = sparse.csr_array(flat[:, used]) if np.count_nonzero(flat) < SPARSE_SHARE * flat.size else flat[:, used]
    for _, part in pieces(v, start, stop):
        spins = as_vectors(part)
        read_off = np.ascontiguousarray(spins[:, used].T).astype(np.float32)
        total += np.asarray(reading @ read_off) @ spins.astype(np.float32)
    return np.asarray(total / np.float32(stop - start)).reshape(first.shape)


def squares(beta: np.ndarray) -> np.ndarray:
    """Return Σ_g β_g² in float64, a group at a time."""
    total = np.zeros(beta.shape[1:])
    for part in beta:
        total += part.astype(np.float64) ** 2
    return total


def weights(total: np.ndarray, power: np.ndarray, groups: int) -> np.ndarray:
    """Return Σ_{g≠g′} β_g β_g′ / G(G − 1) from Σ_g β_g and Σ_g β_g²: β² without bias."""
    return np.asarray((total * total - power) / (groups * (groups - 1)))


def placed(beta: np.ndarray, moments: Moments, units: np.ndarray, gauge: Gauge) -> Places:
    """Return the best b×b tile of each unit, its centre, and how its picture is shifted to the origin.

    The centre is the centroid of the weights within b of the tile's. Maps with given places are shifted by those.
    """
    size, b = beta.shape[2], block_of(moments)
    q = weights(beta.sum(axis=0, dtype=np.float64), squares(beta), len(beta))
    sums = sum(np.roll(q, (-i, -j), axis=(1, 2)) for i in range(b) for j in range(b))
    corner = np.stack(np.divmod(np.asarray(sums).reshape(len(q), -1).argmax(axis=1), size), axis=1)
    tile = sites(corner, np.indices((b, b)).reshape(2, -1).T, size)
    middle = corner + (b - 1) / 2
    along = torus(np.arange(size)[None, :, None] - middle[:, None, :], size)
    near = np.abs(along) <= b + 0.5 * (b % 2 == 0)
    window = np.where(near[:, :, None, 0] & near[:, None, :, 1], q, 0)
    mass = np.maximum(window.sum(axis=(1, 2)), 1e-300)
    pull = [np.einsum("ur,ur->u", window.sum(axis=3 - axis), along[:, :, axis - 1]) for axis in (1, 2)]
    centre = middle + np.clip(np.stack(pull, axis=1) / mass[:, None], -b, b)
    reach = np.indices((size, size)).reshape(2, -1).T
    core = sites(corner, reach[(torus(reach - (b - 1) / 2, size) ** 2).sum(axis=1) <= core_radius(b, size) ** 2], size)
    if gauge.site is not None and gauge.tiles:
        corner = gauge.site[units] * (size // gauge.side)
    return Places(tile, core, centre % size, sites(corner, reach, size), gauge.sign[units].astype(np.float64))


def core_radius(block: int, size: int) -> float:
    """Return the radius of the core of a unit: two coarse spacings, a quarter of a small lattice."""
    return min(2.0 * block, size / 4)


def sites(corner: np.ndarray, steps: np.ndarray, size: int) -> np.ndarray:
    """Return the sites at some steps from each corner, `(unit, step)`, as indices of rows put end to end."""
    row, column = ((corner[:, None, :] + steps[None]) % size).transpose(2, 0, 1)
    return np.asarray(row * size + column)


def block_of(moments: Moments) -> int:
    """Return b, the side of a unit's tile if all units share the lattice, to the nearest whole number."""
    return max(1, round(moments.size / math.sqrt(math.prod(moments.hidden_shape))))
