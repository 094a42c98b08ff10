"""Does h correlate over distance as critical spins on a torus do? The hidden two-point function.

At T_c, in the scaling limit, the spins of an L-by-L torus have (Di Francesco, Saleur and Zuber 1987)

    G(d) = (1/N) Σ_x ⟨h_x h_{x+d}⟩ = A F(d/L),        F(z) → |z|^(−2Δ) as z → 0, Δ_σ = 1/8,

with one amplitude A (`Ising.two_point_shape`), and so has every local coarse graining of them, beyond a few lattice
spacings. Three numbers are taken from G: the ratio G(½, 0)/G(½, ½) = 1.02437; Δ from ln G = ln A + 8Δ ln F, which has
the power and the period right for every Δ, and the torus function itself for Δ = 1/8; and how far the shape is from
A F. ⟨h⟩ = 0 by symmetry at T_c, so that nothing is subtracted.

Units of a dense network are not all alike. With A_x for the one on site x, ⟨h_x h_y⟩ ≈ A_x A_y F(x − y) if they read a
critical field. The A_x are fitted to all pairs by least squares, and the best A² of each displacement,

    G(d) = Σ_x A_x A_{x+d} ⟨h_x h_{x+d}⟩ / Σ_x A_x² A_{x+d}²,        Σ_x A_x² = N,

takes the place of the mean over pairs: the same thing for equal units. A unit that follows nothing has A_x = 0 and does
not count; in the mean over pairs it is a hole that the two-point function shows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from rgstep.arguments import InputError
from rgstep.correlators import correlation_sums
from rgstep.drawing import (
    Axes,
    Plate,
    aside,
    bars,
    legend_above,
    look,
    null_band,
    parted,
    plain_log_labels,
    sheet,
    text,
)
from rgstep.ensemble import Source, pieces, read
from rgstep.estimates import Estimate, Groups, estimated
from rgstep.instruments.base import NO_PLACES, Instrument, Row, Subject
from rgstep.ising import Ising
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured

NEAREST_FITTED = 2.0  # lattice spacings of h: nearer, the lattice shows (docs/diagnostics/two_point.md)
SMALLEST_FITTED_SIDE = 4  # on 2×2 there is nothing beyond `NEAREST_FITTED`
MEAN_BEYOND_NOISE = 4.0  # standard errors of ⟨h⟩ from 0 that are worth a remark
FEWEST_SAMPLES = 100  # of fewer, most are all up or all down, and the spread of the groups is no error
ERROR_RESOLVED = 1e-12  # smaller errors are rounding
AMPLITUDE_RESOLVED = 1e-12  # rms amplitude below which nothing correlates
FIT_TURNS = 50  # of the fit of amplitudes, which halves its error in each
NUMBERS = ("g_half_ratio", "delta_sigma", "shape_deviation")
PANELS = {"along an axis": 1.0, "along the diagonal": math.sqrt(2.0)}
SPREAD = 0.35  # of the abscissa that the maps of one distance share
LONGEST_BAR = 0.9  # of the value, so that it ends on a logarithmic axis
CAPTION = (
    "Two-point function of h as drawn, nothing subtracted, divided by the amplitude A of its fit to the torus function "
    "F of critical spins (dashed, Δ_σ = 1/8, scaling limit); bars: one standard error. All points of a map fluctuate "
    "together, their ratios less. A local coarse graining follows F beyond a spacing or two; a random tiling is flat. "
    "Away from T_c there is no F to compare with, and curves are divided by their value at distance 1."
)


@dataclass(frozen=True, eq=False)
class Curve:
    """A two-point function and its comparison with the torus.

    Attributes:
        value: G(d), `(row, column)` of d, and its error.
        mean: ⟨h⟩ over sites and samples.
        numbers: `g_half_ratio`, `delta_sigma`, `shape_deviation`, those that can be had.
        amplitude: A of the fit with Δ = 1/8; NaN where there is nothing to fit.
    """

    value: Estimate
    mean: Estimate
    numbers: Mapping[str, Estimate]
    amplitude: float

    @property
    def side(self) -> int:
        """The side of the lattice."""
        return len(np.asarray(self.value.value))


def curve(field: Source, nearest: float = NEAREST_FITTED, amplitudes: np.ndarray | None = None) -> Curve:
    """Return the two-point function of a lattice-valued field and its comparison with the torus.

    `g_half_ratio` is the mean of G(½, 0) and G(0, ½) over G(½, ½), sides halved and rounded down; `delta_sigma` the
    slope of ln G on ln F over all displacements with |d| ≥ `nearest`, over 8; `shape_deviation` the rms of
    G/(A F) − 1 over the same, A the mean of G/F, its noise subtracted. Errors by jackknife over groups of samples.

    Cost: a Fourier transform a sample: 10 μs for 32×32; with amplitudes l⁴ operations.

    Args:
        field: an `Ensemble`, a `Level`, or `(sample, row, column)`.
        nearest: the shortest displacement in the fits, in lattice spacings.
        amplitudes: of each site, `(row, column)`, where sites are not alike (`amplitudes_by_site`).

    Raises:
        InputError: if the field is not on a square lattice, or the amplitudes are not those of its sites.
    """
    one = read(field, 0, 1)
    if one.ndim != 3 or one.shape[1] != one.shape[2] or not len(field):
        message = f"a field of shape {(len(field), *one.shape[1:])}: expected (sample, l, l), h with places"
        raise InputError(message)
    if amplitudes is not None and amplitudes.shape != one.shape[1:]:
        message = f"amplitudes of shape {amplitudes.shape}: expected {one.shape[1:]}, one for each site"
        raise InputError(message)
    sums_of = correlation_sums if amplitudes is None else partial(weighted_sums, weights=pair_weights(amplitudes))
    groups = Groups.of(len(field))
    products, sums = (np.stack(part) for part in zip(*(sums_of(field, *g) for g in groups.bounds), strict=True))
    G = groups.over_counts(products)
    found = {name: sets for name, sets in comparison(G, nearest).items() if np.isfinite(sets[0])}
    return Curve(
        estimated(G),
        estimated(groups.over_counts(sums)),
        {name: number(name, sets) for name, sets in found.items() if name in NUMBERS},
        float(found["amplitude"][0]) if "amplitude" in found else math.nan,
    )


def comparison(G: np.ndarray, nearest: float = NEAREST_FITTED) -> dict[str, np.ndarray]:
    """Return the ratio, Δ, mean square deviation and amplitude of each of several G(d), `(set, row, column)`."""
    size = G.shape[1]
    half = size // 2
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        found["g_half_ratio"] = np.asarray((G[:, half, 0] + G[:, 0, half]) / 2 / G[:, half, half])
    if size < SMALLEST_FITTED_SIDE:
        return found
    far = distances(size) >= max(nearest, 1e-9)  # never d = 0
    if len(np.unique(np.round(distances(size)[far], 9))) < 2:
        return found
    G, F = G[:, far], torus_function(size)[far]
    x = np.log(F) - np.log(F).mean()
    amplitude = (G / F).mean(axis=1)
    found["amplitude"] = amplitude
    if (amplitude != 0).all():
        found["shape_deviation"] = np.asarray(((G / F / amplitude[:, None] - 1) ** 2).mean(axis=1))
    if (G > 0).all():
        found["delta_sigma"] = np.asarray(np.log(G) @ x / (x @ x) / 8)
    return found


def number(name: str, sets: np.ndarray) -> Estimate:
    """Return one of `NUMBERS` with its jackknife error; of the deviation the root, without the part that noise adds."""
    if not np.isfinite(sets).all():  # a group decides whether there is a number at all
        return Estimate(math.nan, math.nan)
    if name != "shape_deviation":
        estimate = estimated(sets)
        return Estimate(estimate.value, 0.0 if estimate.error < ERROR_RESOLVED else estimate.error)
    squared = estimated(sets, correct_bias=True)
    value, error = max(float(squared.value), 0.0), float(squared.error)
    return Estimate(math.sqrt(value), error / (math.sqrt(value) + math.sqrt(value + error)) if error else 0.0)


def amplitudes_by_site(field: Source, nearest: float = NEAREST_FITTED, alive: np.ndarray | None = None) -> np.ndarray:
    """Return A_x of the least squares Σ (⟨h_x h_y⟩/F − A_x A_y)² over all pairs at least `nearest` apart.

    Cost: a product of matrices, l⁴ operations a sample.

    Args:
        field: `(sample, l, l)`.
        nearest: in lattice spacings.
        alive: which sites take part, rows put end to end, the others get 0; None: all.

    Returns:
        `(l, l)`, mean square 1. All 1 where no pair is that far apart, or nothing correlates.
    """
    side = read(field, 0, 1).shape[1]
    displacement = displacements(side)
    alive = np.ones(side**2, bool) if alive is None else alive
    far = (distances(side).ravel()[displacement] >= nearest) & alive & alive[:, None]
    products, _ = pair_sums(field, 0, len(field))
    ratio = np.where(far, products / len(field), 0) / torus_function(side).ravel()[displacement]
    found = alive.astype(np.float64)
    for _ in range(FIT_TURNS):
        square = far @ found**2
        found = (found + np.divide(ratio @ found, square, out=np.zeros_like(found), where=square > 0)) / 2
    scale = math.sqrt(float((found**2).mean()))
    return np.ones((side, side)) if scale < AMPLITUDE_RESOLVED else np.asarray(found / scale).reshape(side, side)


def pair_weights(amplitudes: np.ndarray) -> np.ndarray:
    """Return A_x A_y over the sum of its square over all pairs with the displacement of x and y, `(site, site)`."""
    displacement, weight = displacements(len(amplitudes)), np.outer(amplitudes, amplitudes)
    below = np.bincount(displacement.ravel(), weight.ravel() ** 2)[displacement]
    return np.asarray(np.divide(weight, below, out=np.zeros_like(weight), where=below > 0))


def weighted_sums(field: Source, start: int, stop: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return G(d), `(row, column)` of d, and the mean of h over sites, both summed over samples start … stop.

    Args:
        field: `(sample, l, l)`.
        start: the first sample.
        stop: the sample after the last.
        weights: `pair_weights`.
    """
    products, total = pair_sums(field, start, stop)
    side = math.isqrt(len(weights))
    G = np.bincount(displacements(side).ravel(), (products * weights).ravel())
    return G.reshape(side, side), np.asarray(total)


def pair_sums(field: Source, start: int, stop: int) -> tuple[np.ndarray, float]:
    """Return h_x h_y, `(site, site)`, and the mean of h over sites, both summed over samples start … stop."""
    sites = read(field, 0, 1).size
    products, total = np.zeros((sites, sites)), 0.0
    for _, h in pieces(field, start, stop):
        flat = h.reshape(-1, sites).astype(np.float32)
        products += flat.T @ flat
        total += float(flat.sum(dtype=np.float64)) / sites
    return products, total


@lru_cache(maxsize=1)  # a third of the time of a curve
def displacements(side: int) -> np.ndarray:
    """Return which displacement leads from each site to each other, rows put end to end, `(site, site)`, read-only."""
    row, column = np.divmod(np.arange(side**2), side)
    found = np.asarray((row - row[:, None]) % side * side + (column - column[:, None]) % side)
    found.flags.writeable = False
    return found


def distances(side: int) -> np.ndarray:
    """Return |d| of every displacement on the torus, `(row, column)`."""
    step = np.minimum(np.arange(side), side - np.arange(side))
    return np.asarray(np.hypot(step[:, None], step[None, :]))


def torus_function(side: int) -> np.ndarray:
    """Return F(d/L) of every displacement of an L-by-L torus, `(row, column)`; infinite at 0."""
    fraction = np.arange(side) / side
    return Ising.two_point_shape(fraction[:, None], fraction[None, :])


def half_ratio(side: int) -> float:
    """Return the torus's G(½, 0)/G(½, ½), the sides halved and rounded down."""
    half = (side // 2) / side
    return float(Ising.two_point_shape(half, 0.0) / Ising.two_point_shape(half, half))


def measure(subject: Subject) -> Row:
    """Return G of h as drawn at all levels against the torus, and that of the spins beside it."""
    if subject.placed is None:
        return Diagnostic(None, NO_PLACES, {}), {}
    fields: list[Source] = [subject.levels[0], subject.placed, *subject.levels[2:]]
    amplitudes = amplitudes_of(subject)
    curves = [curve(field, amplitudes=amplitudes if n == 1 else None) for n, field in enumerate(fields)]
    arrays: dict[str, np.ndarray] = {} if amplitudes is None else {"unit_amplitudes": amplitudes}
    for n, found in enumerate(curves):
        arrays |= {f"G_{n}": np.asarray(found.value.value), f"G_{n}_error": np.asarray(found.value.error)}
        arrays[f"G_{n}_amplitude"] = np.asarray(found.amplitude)
    if not subject.system.is_critical:
        why = "curves only: the torus function is that of T_c, and the configurations are not critical"
        return Diagnostic(None, "; ".join([why, *remarks(subject, curves)]), {}), arrays
    quantities = {}
    for n, found in enumerate(curves):
        suffix = {0: "_v", 1: ""}.get(n, f"[{n}]")
        for name, estimate in found.numbers.items():
            trusted = estimate if len(subject.ensemble) >= FEWEST_SAMPLES else Estimate(estimate.value, math.nan)
            quantities[name + suffix] = Quantity(trusted)
    why = "; ".join([explanation(curves, amplitudes), *remarks(subject, curves)])
    return Diagnostic(None, why, quantities), arrays


def amplitudes_of(subject: Subject) -> np.ndarray | None:
    """Return the amplitude of the unit on each coarse site, `(l, l)`; None where h came with places or T is not T_c."""
    if not subject.found or subject.placed is None or not subject.system.is_critical:
        return None
    return amplitudes_by_site(subject.placed, alive=subject.gauge.alive[subject.gauge.order])


def explanation(curves: Sequence[Curve], amplitudes: np.ndarray | None) -> str:
    """Return what the numbers are, and what they would be in the scaling limit."""
    sides = sorted({found.side for found in curves[:2] if found.side > 1})
    expected = " and ".join(f"{half_ratio(side):.5f} on {side}×{side}" for side in sides)
    says = (
        f"G of h as drawn, nothing subtracted, against the critical torus with one amplitude; G(½,0)/G(½,½) would be "
        f"{expected} in the scaling limit, Δ_σ 1/8 and the deviation 0, both over distances of at least "
        f"{NEAREST_FITTED:g}; _v: the spins themselves, [n]: h after n steps"
    )
    if amplitudes is not None:
        says += f"; units have amplitudes of their own, from {amplitudes.min():.2f} to {amplitudes.max():.2f} (rms 1)"
    return says


def remarks(subject: Subject, curves: Sequence[Curve]) -> list[str]:
    """Return what limits the numbers, in clauses."""
    says = []
    if subject.found:
        off, by_chance = subject.gauge.residual, subject.gauge.expected_at_random
        says.append(f"places found from the pictures, units off by {off:.2f} spacings rms, {by_chance:.2f} by chance")
        if subject.gauge.constant:
            says.append(f"{len(subject.gauge.constant)} constant units do not count")
    for n, found in enumerate(curves):
        mean, error = float(found.mean.value), float(found.mean.error)
        if abs(mean) > MEAN_BEYOND_NOISE * error and abs(mean) > 1e-9:
            says.append(f"⟨h⟩ = {found.mean} at level {n}, not 0 as the symmetry has it, and G holds its square")
        if subject.system.is_critical and n < 2 and "delta_sigma" not in found.numbers:
            small = found.side < SMALLEST_FITTED_SIDE
            reason = "the lattice is too small" if small else "G is not positive everywhere"
            says.append(f"no fit at level {n}: {reason}")
    if len(subject.ensemble) < FEWEST_SAMPLES:
        says.append(
            f"only {len(subject.ensemble)} samples, most of them all up or all down: no errors, give "
            f"{FEWEST_SAMPLES} or more"
        )
    return says


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the two-point functions of all maps' h along axis and diagonal, beside the torus function at T_c."""
    shown = arrays_of(maps, "two_point", "G_1")
    if not shown:
        return
    critical = any(f"g_half_ratio{s}" in maps[name].estimates("two_point") for name in shown for s in ("", "_v"))
    largest = max(len(arrays["G_1"]) for arrays in shown.values())
    order = coloured(maps)
    own, nulls = parted(shown, order)
    with sheet(1, 2, size=(7.2, 4.2), sharey=True) as (figure, panels):
        for axes, (where, step) in zip(panels, PANELS.items(), strict=True):
            null_band(axes, [points_of(arrays, step, 0.0, critical) for arrays in nulls.values()])
            for i, (name, arrays) in enumerate(own.items()):
                points = points_of(arrays, step, aside(i, len(own), SPREAD), critical)
                style = {"label": text(name), "markersize": 4.5, "capsize": 2, "linewidth": 1.0, **look(name, order)}
                axes.errorbar(*points, linestyle="none", **style)
            if critical:
                draw_torus_function(axes, largest, step)
            axes.set(xlabel=f"distance {where} (spacings of h)", yscale="log")
            plain_log_labels(axes)
        panels[0].set_ylabel("$G_h(r) / A$" if critical else "$G_h(r) / G_h(1)$")
        legend_above(figure, panels[:1], fontsize="small")
        yield Plate("two_point", CAPTION, figure)


def points_of(
    arrays: Mapping[str, np.ndarray], step: float, shift: float, critical: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one map's points from distance 1 to half the lattice, along an axis or the diagonal by the step's length.

    Distance, height over the amplitude, and error; heights that a logarithmic axis has no place for are left out.
    """
    value, error = arrays["G_1"], bars(arrays["G_1_error"])
    scale = float(arrays["G_1_amplitude"]) if critical else float(value[1, 0])
    if not (np.isfinite(scale) and scale):
        scale = 1.0
    at = np.arange(1, len(value) // 2 + 1)
    other = at if step > 1 else 0
    height, bar = value[at, other] / scale, error[at, other] / abs(scale)
    positive = height > 0
    bar = np.minimum(bar, LONGEST_BAR * np.abs(height))
    return ((at + shift) * step)[positive], height[positive], bar[positive]


def draw_torus_function(axes: Axes, side: int, step: float) -> None:
    """Draw the torus function from distance 1 to half of an l-by-l lattice."""
    along = np.linspace(0.8, max(side / 2, 1), 200)
    shape = Ising.two_point_shape(along / side, along / side if step > 1 else 0.0)
    label = "torus, Δ = 1/8"
    axes.plot(along * step, shape, color="0.2", linestyle="--", linewidth=1.0, zorder=0, label=label)


INSTRUMENT = Instrument(
    name="two_point",
    question=(
        "It tells whether h correlates with itself as critical spins do, at all distances with one amplitude, as every "
        "local coarse graining of them must. It does not tell on which tiles h lives or where it flows: decimation "
        "keeps the function exactly, and is no step to the fixed point."
    ),
    measure=measure,
    by_place=lambda subject: measure(subject)[0].estimates,
    headline={"shape_deviation": "δ"},
    legend="δ: relative deviation of h's two-point function from the torus function of the critical point",
    criteria=(Criterion("shape_deviation", -math.inf, 0.2, shrinking=True),),
    decides="locality",
    figures=figures,
)
