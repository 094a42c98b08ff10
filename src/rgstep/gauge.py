"""Sign and site of hidden units without places, found from their pictures P_a(x) = ⟨v_x h_a⟩.

A dense network gives its units in any order and with any sign; only after both are fixed is its h a lattice. With
l² units on an L×L torus and the coarse spacing a = L/l:

    sign       s_a = sign Σ_x P_a(x)
    centre     c_a = argmax p_a², p_a = P_a − P̄_a smoothed by a Gaussian of width a/2, between sites by a parabola
    weight     w_a ∝ p_a(c_a)²: the error of a centre that noise moves goes as 1/p_a(c_a)
    site       the one-to-one assignment of the units to the sites S_k + o, S_k the centres of the a×a tiles, that
               minimises Σ_a w_a d(c_a, S_k(a) + o)², d on the torus (Kuhn 1955), by turns with the offset o of all
    residual   √(Σ_a w_a d² / Σ_a w_a), in lattice spacings

At T_c pictures fall only as r^(−1/4): the centroid of P², the textbook's centre, is pulled about by the background,
six times as far as the peak is. Without weights, units that follow no spins push whole rows of good ones aside: of
256, a tenth of them misplace a sixth of the rest; with weights none (docs/diagnostics/gauge.md).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.optimize import linear_sum_assignment

from rgstep.errors import InputError
from rgstep.types import Samples

WIDTH = 0.5  # of the smoothing, in coarse spacings: 0.3 takes noise for a peak, 0.7 blunts the peak
MOVES = 1e-6  # the variance of E[h | v], in units of the largest, that float32 moments resolve
SMALLEST = float(np.finfo(np.float64).tiny)
THROWN = 1024  # centres, in all, for what random ones give
LEAST = 1e-12  # of the largest weight: of a centre without height
TURNS = 2  # of assignment and offset: 8 lower the mean square of random centres by 0.2 %


@dataclass(frozen=True, eq=False)
class Gauge:
    """Sign and site of each hidden unit on a coarse l-by-l lattice.

    Attributes:
        sign: ±1, int8 `(unit,)`; +1 for constant units.
        site: coarse row and column of each unit, `(unit, 2)`.
        order: the unit on each coarse site, rows put end to end, `(l²,)`.
        residual: weighted rms distance of centre and site over the units that are not constant, in lattice spacings;
            NaN if all are constant.
        expected_at_random: what the residual would be for as many centres of the same weights thrown at random.
        constant: the units whose h does not depend on v; they have no sign and are put on the sites that are left.
        offset: how far the tiles are shifted from those that begin at the first row and column, row and column in
            lattice spacings, −L/2l ≤ offset < L/2l.
        centre: row and column of each unit's centre in lattice spacings, `(unit, 2)`.
        weight: how much each centre counts, mean 1, `(unit,)`; 0 for constant units.
        distance: of each unit's centre from its site, in lattice spacings, `(unit,)`; NaN for constant units.
    """

    sign: np.ndarray
    site: np.ndarray
    order: np.ndarray
    residual: float
    expected_at_random: float
    constant: tuple[int, ...]
    offset: np.ndarray
    centre: np.ndarray
    weight: np.ndarray
    distance: np.ndarray

    @property
    def side(self) -> int:
        """The side l of the coarse lattice."""
        return math.isqrt(len(self.order))

    def apply(self, h: Samples) -> Samples:
        """Return h `(sample, unit)` as `(sample, l, l)`, signs put right; int8 stays int8.

        Raises:
            InputError: if h has another number of units.
        """
        if h.ndim != 2 or h.shape[1] != len(self.order):
            message = f"h of shape {h.shape}: the gauge is that of {len(self.order)} units, expected (sample, unit)"
            raise InputError(message)
        placed = h[:, self.order] * self.sign[self.order]
        return np.asarray(placed.reshape(len(h), self.side, self.side))


def fills_a_lattice(units: int) -> bool:
    """Whether so many units fill a square lattice."""
    return units > 0 and math.isqrt(units) ** 2 == units


def find(pictures: np.ndarray, variance: np.ndarray | None = None) -> Gauge:
    """Return the gauge of units with these pictures ⟨v_x h_a⟩, `(unit, L, L)`.

    Args:
        pictures: of E[h | v], or of h as drawn.
        variance: the variance over v of E[h_a | v], `(unit,)`. A constant unit has a picture h_a ⟨v_x⟩, small but not
            0 in a finite sample; without `variance` only units with a flat picture count as constant.

    Raises:
        InputError: if the pictures are no finite `(unit, L, L)`, or the units fill no square lattice.
    """
    check(pictures, variance)
    units, size = len(pictures), pictures.shape[1]
    side = math.isqrt(units)
    contrast = np.ptp(pictures.reshape(units, -1), axis=1)
    moves = contrast > MOVES * contrast.max(initial=0.0)
    if variance is not None:
        moves &= variance > MOVES * variance.max(initial=0.0)
    total = pictures.sum(axis=(1, 2), dtype=np.float64)
    sign = np.where(moves & (total < 0), -1, 1).astype(np.int8)
    centre, height = centres(pictures, size / side)
    moving, constant = np.flatnonzero(moves), np.flatnonzero(~moves)
    weight = np.where(moves, height / max(float(height.max()), SMALLEST) + LEAST, 0)
    weight = weight / max(float(weight.mean()), SMALLEST)
    distance = np.full(units, np.nan)
    taken, offset, distance[moving] = fit(centre[moving], weight[moving], side, size)
    order = np.full(units, -1)
    order[taken] = moving
    order[order < 0] = constant
    site = np.empty((units, 2), dtype=np.int64)
    site[order] = np.stack(np.divmod(np.arange(units), side), axis=1)
    squared = (weight[moving] * distance[moving] ** 2).sum() / units
    return Gauge(
        sign=sign,
        site=site,
        order=order,
        residual=math.sqrt(squared) if len(moving) else math.nan,
        expected_at_random=residual_at_random(weight[moving], side, size),
        constant=tuple(int(unit) for unit in constant),
        offset=offset,
        centre=centre,
        weight=weight,
        distance=distance,
    )


def check(pictures: np.ndarray, variance: np.ndarray | None) -> None:
    """Raise `InputError` unless pictures and variances are those of units that fill a square lattice."""
    if pictures.ndim != 3 or pictures.shape[1] != pictures.shape[2] or not pictures.size:
        message = f"pictures of shape {pictures.shape}: expected (unit, L, L), as visible_hidden returns them"
        raise InputError(message)
    if not fills_a_lattice(len(pictures)):
        near = max(1, round(len(pictures) ** 0.5)) ** 2
        message = f"{len(pictures)} units fill no square lattice: a network of {near} would"
        raise InputError(message)
    if variance is not None and variance.shape != pictures.shape[:1]:
        message = f"variance of shape {variance.shape} for {len(pictures)} units: expected one number for each"
        raise InputError(message)
    if not np.isfinite(pictures).all():
        unit = int(np.flatnonzero(~np.isfinite(pictures).all(axis=(1, 2)))[0])
        message = f"the picture of unit {unit} holds {pictures[unit][~np.isfinite(pictures[unit])][0]}: must be finite"
        raise InputError(message)


def centres(pictures: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where each picture stands out most, row and column in lattice spacings `(unit, 2)`, and how high squared.

    The picture less its mean is smoothed by a Gaussian of width `WIDTH` · spacing on the torus; the vertex of the
    parabola through the square at the highest site and its neighbours gives the place between sites.
    """
    size = pictures.shape[1]
    step = np.minimum(np.arange(size), size - np.arange(size))
    bell = np.exp(-((step / (WIDTH * spacing)) ** 2) / 2)
    filters = fft.rfft2(np.outer(bell, bell) / bell.sum() ** 2)
    filters[0, 0] = 0
    height = fft.irfft2(fft.rfft2(pictures) * filters, s=(size, size)) ** 2
    unit = np.arange(len(pictures))
    row, column = np.divmod(height.reshape(len(pictures), -1).argmax(axis=1), size)
    top = height[unit, row, column]
    down, up = height[unit, row - 1, column], height[unit, (row + 1) % size, column]
    left, right = height[unit, row, column - 1], height[unit, row, (column + 1) % size]
    place = np.stack([row + vertex(down, top, up), column + vertex(left, top, right)], axis=1)
    return np.asarray(place % size), top.astype(np.float64)


def vertex(before: np.ndarray, top: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return where the parabola through the values at −1, 0 and 1 is highest, between −½ and ½; 0 where it is flat."""
    bend = before - 2 * top + after
    place = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    return np.asarray(np.clip(place, -0.5, 0.5), dtype=np.float64)


def fit(centre: np.ndarray, weight: np.ndarray, side: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coarse site of each centre, how far all sites are shifted, and each centre's distance from its site.

    The offset starts at the phase of Σ_a w_a e^{2πi c_a/a}, exact where the centres are a shifted lattice; assignment
    and mean displacement then improve it by turns. Cost: 0.3 s for 1024 units, 0.01 s for 256.
    """
    spacing = size / side
    along = (np.arange(side) + 0.5) * spacing - 0.5  # sites are points: a tile of two has its centre at ½
    sites = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    if not len(centre):
        return np.zeros(0, np.int64), np.zeros(2), np.zeros(0)
    share = weight[:, None] / weight.sum()
    waves = np.exp(2j * np.pi * (centre - sites[0]) / spacing)
    offset = np.angle((share * waves).sum(axis=0)) * spacing / (2 * np.pi)
    for _ in range(TURNS):
        squares = (torus(centre[:, None] - (sites + offset), size) ** 2).sum(axis=-1)
        _, taken = linear_sum_assignment(weight[:, None] * squares)
        offset = offset + (share * torus(centre - (sites + offset)[taken], size)).sum(axis=0)
    distance = np.hypot(*torus(centre - (sites + offset)[taken], size).T)
    whole = np.floor(offset / spacing + 0.5)  # a shift by whole tiles renames the sites
    row, column = (np.array(np.divmod(taken, side)) + whole.astype(np.int64)[:, None]) % side
    return np.asarray(row * side + column), offset - whole * spacing, distance


def torus(displacement: np.ndarray, size: int) -> np.ndarray:
    """Return the shortest of the displacements that lead to the same place on the torus."""
    return np.asarray(displacement - size * np.round(displacement / size))


def residual_at_random(weight: np.ndarray, side: int, size: int) -> float:
    """Return the residual of centres thrown at random that have these weights, in lattice spacings; NaN for none.

    The root of the mean square over a few fixed throws, fitted alike. For n = l² centres of equal weight that is about
    (L/l) √(ln n/4π + 0.184 − ¼ l^(−3/2)); the logarithm is exact for many (Ambrosio, Stra and Trevisan 2019). Cost:
    that of `fit` once for 1024 units, four times for 256.
    """
    if not len(weight):
        return math.nan
    rng = np.random.default_rng([len(weight), side, size])
    squares = 0.0
    for _ in range(draws := max(1, THROWN // len(weight))):
        _, _, distance = fit(size * rng.random((len(weight), 2)), weight, side, size)
        squares += float(weight @ distance**2 / weight.sum()) / draws
    return math.sqrt(squares)
