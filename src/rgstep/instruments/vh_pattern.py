"""What do the pictures ⟨v_i h_a⟩ look like, and does each unit read a compact tile of its own?

The pictures themselves describe (`patterns`); what decides is the geometry of the coefficients behind them (`tiles`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from rgstep import correlators, patterns
from rgstep.correlators import Means, Moments
from rgstep.drawing import PICTURES, UNTRAINED, Axes, Figure, Plate, legend_above, look, parted, sheet, text
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate
from rgstep.files import file_name
from rgstep.gauge import centres, torus
from rgstep.instruments.base import Instrument, Row, Step, Subject, by_step, connected_pictures, of_all
from rgstep.instruments.tiles import (
    FEWEST_SAMPLES,
    LOCAL_SHARE,
    SEEN_SHARE,
    Geometry,
    block_of,
    common_geometry,
    core_radius,
    crowded,
    geometry,
)
from rgstep.results import FAILS, PASSES, Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import RG, coloured, control, is_null, judged, null_of
from rgstep.types import Samples

MOST_OTHERS = 0.1  # share of units that may be other than local tiles of their own
WHOLE_CORE = 8  # side of h from which on two coarse spacings about a unit are less than half of the lattice
ALIKE = 0.01  # of the power of E[h | v] that a translation may leave over, for one picture to stand for all
NAMED_UNITS = 6  # in a remark
EXAMPLES = 3  # configurations that are kept beside their h, for the explorer of the page
MARKERS_ON_CURVE = 10
EVEN_SPREAD = 1 / math.sqrt(6)  # radius of a picture spread evenly over the lattice, in units of L
PLAIN, CONNECTED = r"$\langle v_i h_a\rangle$", r"$\langle v_i h_a\rangle - \langle v_i\rangle\langle h_a\rangle$"
FLATTENED = r"$\langle v_i h_a\rangle$ less its mean over $i$"
MOST_COMPARED = 7  # judged maps in the figure beside block spins and the untrained network
FEW = 4  # pictures along a side there
OF_COMPARISON = (
    "⟨v_i h_a⟩ of block spins, of {} and of an untrained network, on one colour scale: sixteen units each, evenly over "
    "the coarse lattice, each picture the whole lattice of spins. To be seen: a unit of an RG step has one spot, at "
    "its own place; an untrained network has clouds. Below each name: the share of its units that are not "
    "local, with more than ¼ of their input beyond two coarse spacings; an RG step has at most 10 %. A unit's sign is "
    "turned so that it follows the spins. {}"
)
OF_PICTURES = (
    "⟨v_i h_a⟩ of {}, {} units, each picture at the place of its unit on the coarse lattice. {} Left: plain, on the "
    "scale that all maps share. Right: the mean of each picture taken off, on a scale of its own. A unit's sign is "
    "turned so that it follows the spins."
)
OF_CONNECTED = "⟨v_i h_a⟩ − ⟨v_i⟩⟨h_a⟩ of {}, on the scale that all maps share: at T_c nearly the plain picture."
OF_UNIT = (
    "The unit of {} whose picture varies most, beside its weights (each on its own scale). The picture is roughly the "
    "weights smeared by the spins' own correlation."
)
OF_CONTRAST = (
    "Contrast against extent, one point per hidden unit. Block spins lie together at the upper end of contrast; a unit "
    "that only follows the total magnetisation has a flat picture, at the lower right. Sampling noise alone gives a "
    "flat picture a range of some six standard errors."
)
OF_TILES = (
    "Each unit's coefficients β = C⁻¹⟨v h⟩, what it takes of each spin itself, one point a unit. Left: rms distance of "
    "β² from the unit's centre, units in order of it, with one standard error; dashed: a 2×2 tile, 0.71; dotted: a "
    "picture spread over the lattice, 0.41 L. Right: the share of β² within two coarse spacings of the centre against "
    "the number of sites that carry it; a local unit is above the grey line. Units without coefficients above the "
    "noise, as those that follow the magnetisation, are not drawn."
)


def measure(subject: Subject) -> Row:
    """Return what the pictures look like, and the geometry of the coefficients behind them."""
    quantities, arrays = of_pictures(subject)
    arrays |= {**of_means(subject.moments), **examples(subject), **of_levels(subject)}
    of_tiles, behind, says = of_coefficients(subject.first)
    of_tiles |= by_step(subject.steps[1:], lambda step: of_coefficients(step)[0])
    remarks = [*says, *of_writing(subject), "the pictures ⟨v h⟩ beside the tiles decide nothing"]
    remarks += [*of_small(subject), *subject.not_read]
    if masks_of(subject) is None:
        remarks.append("the units have no given places, so own block, adjacent and farthest are not defined")
    return Diagnostic(None, "; ".join(remarks), {**quantities, **of_tiles}), {**arrays, **behind}


def of_pictures(subject: Subject) -> tuple[dict[str, Quantity], dict[str, np.ndarray]]:
    """Return contrast and extent of the pictures, at given places their values at known sites, and the pictures."""
    moments, masks = subject.moments, masks_of(subject)

    def summary(means: Means) -> dict[str, np.ndarray]:
        upright = means._replace(vh=subject.gauge.sign[:, None] * means.vh)
        placed = patterns.over_masks(upright, masks) if masks else {}
        return {**placed, **patterns.summary(means)}

    quantities = of_all(moments.estimates(summary))
    arrays = {f"unit_{name}": values for name, values in patterns.statistics(moments.all()).items()}
    errors = moments.estimate(lambda m: m.vh).error
    arrays["vh"] = subject.pictures.astype(np.float32)
    arrays["vh_error"] = np.reshape(errors, subject.pictures.shape).astype(np.float32)
    weights = subject.weight_pictures
    if weights is not None:
        ratio = patterns.participation_ratio(weights.reshape(len(weights), -1))
        quantities["participation_w"] = Quantity(Estimate(float(np.median(ratio)), 0.0))
        arrays |= {"weights": weights, "unit_participation_w": ratio}
    return quantities, arrays


def of_means(moments: Moments) -> dict[str, np.ndarray]:
    """Return ⟨v⟩, ⟨h⟩, and the rms error over the sites of each connected and of each mean subtracted picture."""
    every = moments.all()
    arrays = {"mean_v": every.v.reshape(moments.size, moments.size).astype(np.float32), "unit_mean_h": every.h}
    for name, picture in (
        ("connected", lambda m: m.connected),
        ("flattened", lambda m: m.vh - m.vh.mean(axis=1, keepdims=True)),
    ):
        arrays[f"unit_{name}_error"] = np.sqrt(np.mean(np.square(moments.estimate(picture).error), axis=1))
    return arrays


def examples(subject: Subject) -> dict[str, np.ndarray]:
    """Return a few configurations and their h, `(example, row, column)` and `(example, unit)`."""
    count = min(EXAMPLES, len(subject.ensemble))
    return {
        "example_v": subject.ensemble.unpack(0, count),
        "example_h": compact_h(subject.hidden[:count]),
    }


def compact_h(h: Samples) -> np.ndarray:
    """Return draws of h as `(sample, unit)`, ±1 in a byte, others as float32."""
    flat = h.reshape(len(h), -1)
    return np.asarray(flat if flat.dtype == np.int8 else flat.astype(np.float32))


def of_levels(subject: Subject) -> dict[str, np.ndarray]:
    """Return the pictures ⟨v h⟩ of the levels from 2 on, v the configurations: `level_2_vh`, `level_2_vh_error`, ….

    These are the levels of a map that can be iterated, or of a sequence of maps, on their lattices.
    """
    arrays: dict[str, np.ndarray] = {}
    for number, level in enumerate(subject.levels[2:], 2):
        h = level.unpack()
        moments = correlators.measure(subject.ensemble, h, name=f"h of level {number}")
        estimate = moments.estimate(lambda m: m.vh)
        shape = (-1, moments.size, moments.size)
        found = {
            "vh": np.reshape(estimate.value, shape).astype(np.float32),
            "vh_error": np.reshape(estimate.error, shape).astype(np.float32),
            "unit_correlation_m": patterns.statistics(moments.all())["correlation_m"],
            "example_h": compact_h(h[:EXAMPLES]),
            **{name: values for name, values in of_means(moments).items() if name != "mean_v"},
        }
        arrays |= {f"level_{number}_{name}": values for name, values in found.items()}
    return arrays


def masks_of(subject: Subject) -> patterns.Masks | None:
    """Return the masks of a map whose units sit on a coarse lattice that tiles the fine one, None for any other."""
    gauge = subject.gauge
    if gauge.site is None or not gauge.tiles:
        return None
    of_unit = gauge.site[:, 0] * gauge.side + gauge.site[:, 1]
    return patterns.Masks(*(mask[of_unit] for mask in patterns.block_masks(gauge.size, gauge.side)))


def of_coefficients(step: Step) -> tuple[dict[str, Quantity], dict[str, np.ndarray], list[str]]:
    """Return the quantities of `tiles.geometry`, the arrays behind its figure, and remarks for the row."""
    source, gauge = step.source, step.gauge
    if len(source) < FEWEST_SAMPLES:
        return {}, {}, [f"tiles not measured: {len(source)} samples, at least {FEWEST_SAMPLES} are needed"]
    if not gauge.alive.any():
        every = {"constant_units": Quantity(Estimate(1.0, 0.0))}
        return every, {}, ["tiles not measured: every unit is constant, nothing of v is in h"]
    found = geometry(source, step.moments, gauge)
    arrays = {
        "beta": found.beta,
        "unit_tile_centre": found.centre,
        "coverage_map": found.coverage,
        "unit_participation_beta": np.asarray(found.participation.value),
    }
    for name, estimate in (
        ("unit_tile_radius", found.radius),
        ("unit_tile_share", found.share),
        ("unit_core_share", found.core),
    ):
        arrays |= {name: np.asarray(estimate.value), f"{name}_error": np.asarray(estimate.error)}
    quantities = {**found.quantities, "crowded_units": crowding(step)}
    alike = of_all_alike(step)
    if "tile_radius" in quantities:
        alike.pop("tile_radius", None)  # known better from the units that are seen one by one
    return of_all({**quantities, **alike}), arrays, list(of_geometry(found, step))


def crowding(step: Step) -> Estimate:
    """Return the share of units that sit where another does, with the error of centres found on half of the samples."""
    gauge, size = step.gauge, step.moments.size
    halves = [Means(*(part[k::2].mean(axis=0) for part in step.moments.groups)) for k in (0, 1)]
    spacing = size / math.sqrt(len(gauge.sign))
    found = [crowded(centres(connected_pictures(half, size), spacing)[0], gauge.alive, size) for half in halves]
    share = crowded(gauge.centre, gauge.alive, gauge.size)
    return Estimate(share, abs(found[0] - found[1]) / 2)


def of_all_alike(step: Step) -> dict[str, Estimate]:
    """Return what the mean picture says of all units of a map that commutes with translations; nothing for others."""
    if step.recorded or not step.gauge.tiles or step.translation > ALIKE:
        return {}
    found = common_geometry(step.source, step.moments, step.gauge)
    core = found["core_share"]
    if not np.isfinite(core.value):
        return {"faint_units": Estimate(1.0, 0.0), "crowded_units": Estimate(0.0, 0.0)}
    room = (float(core.value) - LOCAL_SHARE) / max(float(core.error), 1e-300)
    shares = {  # all units or none
        "local_units": float(room > PASSES),
        "extended_units": float(room < -FAILS),
        "faint_units": 0.0,
        "crowded_units": 0.0,  # each sits a block from its neighbours
    }
    return {**found, **{name: Estimate(share, 0.0) for name, share in shares.items()}}


def of_geometry(found: Geometry, step: Step) -> Iterator[str]:
    """Yield what the numbers of the tiles are and what is to be minded, in clauses."""
    moments, samples = step.moments, len(step.source)
    side = block_of(moments)
    yield (
        f"tiles by the coefficients β = C⁻¹⟨v h⟩ of E[h|v], {side}×{side} sites a tile; a picture spread over the "
        f"lattice has radius {moments.size * EVEN_SPREAD:.1f}; core: within {core_radius(side, moments.size):.3g} of "
        f"the tile's centre, and a local unit has more than ¾ of β² there"
    )
    for units, what in (
        (found.constant, "constant"),
        (found.faint, "without coefficients above the noise, as one that follows the magnetisation,"),
    ):
        if units:
            named = ", ".join(str(unit) for unit in units[:NAMED_UNITS]) + (", …" if len(units) > NAMED_UNITS else "")
            yield f"{len(units)} of {len(found.beta)} units {what} and left out ({named})"
    if isinstance(step.source, Ensemble) and math.isinf(step.source.system.coupling):
        yield "at T = 0 all spins are one, and every reading of them does as well: β is the one that is spread evenly"
    if not step.gauge.tiles:
        yield "no given places: equivariance shifts each picture by its own tile, found from it, its sign put right"
    if "core_share" not in found.quantities:
        yield f"fewer than {SEEN_SHARE:.0%} of the units have coefficients above the noise: take more samples"
    elif samples < 4 * moments.size**2:
        yield f"only {samples} samples for {moments.size**2} coefficients a unit: radii are noisy, shares are not"


def of_writing(subject: Subject) -> Iterator[str]:
    """Yield in what way h was written other than as ±1 with origin 0 in the order of its lattice, in clauses."""
    origin, gauge = subject.coarse.origin, subject.gauge
    if not origin.trivial:
        middle, half = np.unique(np.round(origin.centre, 6)), np.unique(np.round(origin.scale, 6))
        middles = f"{middle[0]:g}" if len(middle) == 1 else f"{middle[0]:g} to {middle[-1]:g}"
        unit = f" in units of {half[0]:g}" if len(half) == 1 and half[0] != 1 else ""
        yield f"h is written from its origin, {middles}{unit}"
    if gauge.given and (gauge.sign[gauge.alive] < 0).any():
        yield f"{int((gauge.sign < 0).sum())} of {len(gauge.sign)} units follow −v and are taken with the other sign"
    if gauge.turn:
        yield "the lattice of h came reflected or transposed and is turned back"
    if origin.flip_breaking:
        yield (
            f"the map breaks the global flip: ½(h(v) + h(−v)) varies with v, by {origin.flip_breaking:.2g} of the "
            f"variation of h"
        )


def of_small(subject: Subject) -> Iterator[str]:
    """Yield which later maps make lattices too small for an extended unit to fail, in a clause."""
    for step in subject.steps[1:]:
        if (side := step.moments.size / step.ratio) < WHOLE_CORE:
            yield (
                f"extended units do not fail map {step.number}: two coarse spacings about a unit of {side:.3g}×"
                f"{side:.3g} are half of its lattice and more, and the core is within {step.moments.size / 4:.3g} sites"
            )


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the pictures of every map, a network's unit beside its weights, contrast and extent, and the tiles."""
    shown = arrays_of(maps, "vh_pattern", "vh")
    if not shown:
        return
    limit = common_limit(shown)
    controls = [name for name in shown if name not in judged(maps)]
    nulls = [name for name in controls if is_null(maps[name])]
    inlaid = {control(maps, RG), *nulls[:1]}  # of the controls: the explorer has the others, and figures/ has all
    for name, arrays in shown.items():
        inline = name not in controls or name in inlaid
        caption = OF_PICTURES.format(name, len(arrays["vh"]), seen(maps[name]))
        figure = pictures(arrays, name, limit)
        yield Plate(f"vh_{file_name(name)}", caption, figure, bitmap=True, inline=inline)
    for name, arrays in arrays_of(maps, "vh_pattern", "mean_v").items():
        caption = OF_CONNECTED.format(name)
        figure = one_mosaic(connected(arrays), order_of(arrays), name, limit, CONNECTED)
        yield Plate(f"connected_{file_name(name)}", caption, figure, bitmap=True, inline=False)
    for name, arrays in arrays_of(maps, "vh_pattern", "weights").items():
        unit = int(np.argmax(arrays["unit_range"]))
        figure = enlarged(arrays["vh"][unit], arrays["weights"][unit], f"{name}, unit {unit}")
        yield Plate(f"unit_{file_name(name)}", OF_UNIT.format(name), figure, bitmap=True, group="units", inline=False)
    figure = range_against_participation(shown, coloured(maps))
    yield Plate("range_against_participation", OF_CONTRAST, figure)
    radii = arrays_of(maps, "vh_pattern", "unit_tile_radius")
    radii = {name: arrays for name, arrays in radii.items() if np.isfinite(arrays["unit_tile_radius"]).any()}
    if radii:
        yield Plate("tiles", OF_TILES, tiles(radii, coloured(maps)))


def comparison(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return pictures of the majority rule, of the judged maps and of an untrained network, side by side on one scale.

    None where no judged map has pictures. Sixteen units of each, evenly over the coarse lattice.
    """
    found = arrays_of(maps, "vh_pattern", "vh")
    own = [name for name in judged(maps) if name in found][:MOST_COMPARED]
    if not own:
        return None
    rule, null = control(maps, RG), null_of(maps, own[0])
    names = [name for name in (rule, *own, null) if name in found]
    limit = common_limit({name: found[name] for name in names})
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with sheet(rows, columns, size=(7.2, 2.62 * rows)) as (figure, grid):
        for axes, name in zip(grid, names, strict=False):
            upright, order = standing(found[name]["vh"]), order_of(found[name])
            image = draw_mosaic(axes, upright, few(order), limit)
            axes.set_title(f"{text(name)}\n{under_name(name, maps, null, rule)}", size="small")
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        figure.colorbar(image, ax=grid, shrink=0.8, label=PLAIN)
    which = ", ".join(own)
    return Plate("why", OF_COMPARISON.format(which, seen(maps[own[0]]) if len(own) == 1 else ""), figure, bitmap=True)


def under_name(name: str, maps: Mapping[str, MapReport], null: str | None, rule: str | None) -> str:
    """Return what stands below the name of a map in the comparison: what it is, and its share of units not local."""
    what = "untrained" if name == null else "block spins" if name == rule else "judged"
    share = maps[name].estimates("vh_pattern").get("extended_units")
    value = math.nan if share is None else float(share.estimate.value)
    return f"{what}; {100 * value:.0f} % not local" if math.isfinite(value) else what


def common_limit(shown: Mapping[str, Mapping[str, np.ndarray]]) -> float:
    """Return the largest |⟨v h⟩| of all maps, for one scale."""
    return max(float(np.abs(arrays["vh"]).max()) for arrays in shown.values()) or 1.0


def seen(entry: MapReport) -> str:
    """Return what there is to be seen in the pictures of a map, in one sentence, by its own numbers."""
    found = {name: float(q.estimate.value) for name, q in entry.estimates("vh_pattern").items()}
    if is_null(entry):
        return "To be seen: clouds without a centre, or flat colour; so much any network shows that saw no data."
    faint, extended = found.get("faint_units", 0.0), found.get("extended_units", math.nan)
    flat = (
        f", and {faint:.0%} are flat, as of a unit that follows the total magnetisation" if faint > MOST_OTHERS else ""
    )
    if extended <= MOST_OTHERS:
        return f"To be seen: one spot for each unit, about its place on the coarse lattice{flat}."
    if math.isfinite(extended):
        return (
            f"To be seen: {extended:.0%} of the units that can be placed have no spot of their own but a cloud{flat}."
        )
    return "To be seen: whether each unit has one spot, about its place on the coarse lattice."


def connected(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return ⟨v h⟩ − ⟨v⟩⟨h⟩, `(unit, row, column)`."""
    return np.asarray(arrays["vh"] - arrays["mean_v"] * np.asarray(arrays["unit_mean_h"])[:, None, None])


def standing(vh: np.ndarray) -> np.ndarray:
    """Return pictures with the sign of each unit turned so that it follows the spins and not their opposite."""
    sign = np.where(vh.sum(axis=(1, 2)) < 0, -1.0, 1.0)
    return np.asarray(vh * sign[:, None, None])


def order_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return which unit stands at each place of the coarse lattice, `(row, column)`; −1 where none does.

    Units go to the places that are nearest to the centres of their pictures, all distances squared together as small
    as can be. Of units whose centre is not known it is the site where the picture differs most from its mean.
    """
    vh = arrays["vh"]
    units, size = vh.shape[:2]
    side = math.ceil(math.sqrt(units))
    away = np.abs(vh - vh.mean(axis=(1, 2), keepdims=True)).reshape(units, -1).argmax(axis=1)
    centre = np.stack(np.divmod(away, size), axis=1).astype(float)
    if "unit_tile_centre" in arrays and len(arrays["unit_tile_centre"]) == units:
        found = np.asarray(arrays["unit_tile_centre"], dtype=float)
        centre = np.where(np.isfinite(found), found, centre)
    middle = (np.arange(side) + 0.5) * size / side - 0.5
    along = [torus(centre[:, axis, None] - middle[None, :], size) ** 2 for axis in (0, 1)]
    cost = (along[0][:, :, None] + along[1][:, None, :]).reshape(units, -1)
    unit, place = linear_sum_assignment(cost)
    order = np.full(side * side, -1)
    order[place] = unit
    return order.reshape(side, side)


def few(order: np.ndarray) -> np.ndarray:
    """Return the units at four by four places, evenly over the coarse lattice; all of a smaller one."""
    side = len(order)
    kept = np.unique(np.round((np.arange(FEW) + 0.5) * side / FEW - 0.5).astype(int)) if side > FEW else range(side)
    return np.asarray(order[np.ix_(list(kept), list(kept))])


def draw_mosaic(axes: Axes, vh: np.ndarray, order: np.ndarray, limit: float) -> Any:
    """Draw pictures at the places of their units, a line of white between them; return the image."""
    size, frame = vh.shape[1], max(1, vh.shape[1] // 16)
    step = size + frame
    whole = np.full((step * len(order) - frame, step * len(order) - frame), np.nan)
    for (row, column), unit in np.ndenumerate(order):
        if unit >= 0:
            whole[step * row : step * row + size, step * column : step * column + size] = vh[unit]
    axes.set_axis_off()
    values = np.ma.masked_invalid(whole)
    return axes.imshow(values, cmap=PICTURES, vmin=-limit, vmax=limit, interpolation="nearest")


def pictures(arrays: Mapping[str, np.ndarray], title: str, limit: float) -> Figure:
    """Draw ⟨v h⟩ of all units at their places: plain on a scale of ± limit, and less its mean on a scale of its own."""
    upright, order = standing(arrays["vh"]), order_of(arrays)
    flat = upright - upright.mean(axis=(1, 2), keepdims=True)
    own = float(np.quantile(np.abs(flat), 0.999)) or 1.0
    with sheet(1, 2, size=(7.2, 4.0)) as (figure, panels):
        for axes, values, most, label in ((panels[0], upright, limit, PLAIN), (panels[1], flat, own, FLATTENED)):
            image = draw_mosaic(axes, values, order, most)
            figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, label=label)
        figure.suptitle(f"{text(title)}: {len(upright)} units at their places")
        return figure


def one_mosaic(vh: np.ndarray, order: np.ndarray, title: str, limit: float, label: str) -> Figure:
    """Draw pictures of all units at their places on one scale of ± limit."""
    with sheet(size=(6.0, 5.4)) as (figure, (axes,)):
        image = draw_mosaic(axes, standing(vh), order, limit)
        figure.colorbar(image, ax=axes, shrink=0.7, label=label)
        figure.suptitle(text(title))
        return figure


def enlarged(vh: np.ndarray, weights: np.ndarray, title: str) -> Figure:
    """Draw one picture ⟨v h⟩ beside the weights of its unit, each on its own symmetric scale."""
    with sheet(1, 2, size=(7.2, 3.3)) as (figure, panels):
        labelled = ((vh, PLAIN), (weights, r"$W_{ia}$"))
        for axes, (values, label) in zip(panels, labelled, strict=True):
            limit = float(np.abs(values).max()) or 1.0
            image = axes.imshow(values, cmap=PICTURES, vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set(xlabel="column", ylabel="row", title=label)
            figure.colorbar(image, ax=axes)
        figure.suptitle(text(title))
        return figure


def range_against_participation(shown: Mapping[str, Mapping[str, np.ndarray]], order: Sequence[str]) -> Figure:
    """Draw every unit's in-pattern range against the participation ratio of its picture, one colour per map."""
    with sheet(size=(7.2, 4.6)) as (figure, (axes,)):
        own, nulls = parted(shown, order)
        for i, (name, arrays) in enumerate((*nulls.items(), *own.items())):
            at, of_null = (arrays["unit_participation"], arrays["unit_range"]), name in nulls
            label = ("_" * bool(i) + UNTRAINED) if of_null else text(name)
            axes.scatter(*at, s=14, alpha=0.6, label=label, lw=0, **look(name, order))
        axes.set(
            xlabel=r"participation ratio of $\langle v_i h_a\rangle$ (sites)",
            ylabel=r"range max − min of $\langle v_i h_a\rangle$",
            ylim=(0, None),
        )
        legend_above(figure, [axes], fontsize="small")
        return figure


def tiles(shown: Mapping[str, Mapping[str, np.ndarray]], order: Sequence[str]) -> Figure:
    """Draw radius, core share and participation of every unit of every map."""
    size = max(arrays["beta"].shape[1] for arrays in shown.values())
    own, nulls = parted(shown, order)
    with sheet(1, 2, size=(7.2, 4.2)) as (figure, (left, right)):
        points = {"linestyle": "none", "markersize": 4, "alpha": 0.6, "markeredgewidth": 0}
        for i, (name, arrays) in enumerate((*nulls.items(), *own.items())):
            style = look(name, order)
            label = ("_" * bool(i) + UNTRAINED) if name in nulls else text(name)
            curve_of_radii(left, arrays, label, style)
            right.plot(arrays["unit_participation_beta"], arrays["unit_core_share"], **points, **style)
        left.axhline(math.sqrt(0.5), color="0.3", linestyle="--", linewidth=1.0, zorder=0)
        left.axhline(EVEN_SPREAD * size, color="0.3", linestyle=":", linewidth=1.0, zorder=0)
        right.axhline(LOCAL_SHARE, color="0.75", linewidth=1.0, zorder=0)
        left.set(xlabel="share of the units", ylabel="radius of a unit (lattice spacings)", ylim=(-0.02 * size, None))
        right.set(xlabel="participation of β² (sites)", ylabel="share of β² within two coarse spacings", xscale="log")
        right.set(xlim=(0.7, 1.5 * size**2), ylim=(-0.04, 1.08))
        legend_above(figure, [left], columns=4, fontsize="small")
        return figure


def curve_of_radii(axes: Axes, arrays: Mapping[str, np.ndarray], label: str, style: Mapping[str, str]) -> None:
    """Draw the radii of one map's units in ascending order against the share of the units."""
    radius, error = arrays["unit_tile_radius"], arrays["unit_tile_radius_error"]
    order = [int(unit) for unit in np.argsort(radius) if np.isfinite(radius[unit])]
    rank = (np.arange(len(order)) + 0.5) / len(radius)
    value, bar = radius[order], np.nan_to_num(error[order])
    marks = max(1, len(order) // MARKERS_ON_CURVE)
    axes.plot(rank, value, markevery=marks, markersize=5, linewidth=1.4, label=label, **style)
    axes.fill_between(rank, np.maximum(value - bar, 0), value + bar, color=style["color"], alpha=0.25, lw=0)


EXTENDED = Criterion("extended_units", -math.inf, MOST_OTHERS)
OF_UNITS = (
    Criterion("local_units", 1 - MOST_OTHERS, math.inf, doubt=True),
    Criterion("crowded_units", -math.inf, MOST_OTHERS),
    Criterion("constant_units", -math.inf, 0.5),
    Criterion("faint_units", -math.inf, MOST_OTHERS, doubt=True),
)
INSTRUMENT = Instrument(
    name="vh_pattern",
    question=(
        "It tells whether each hidden unit reads a compact tile of its own, whether the tiles cover the lattice, and "
        "whether all units do the same thing in their places. It sees only what is linear in the spins, and a perfect "
        "tiling does not make a fixed point: decimation passes. For each hidden unit a, a picture ⟨v_i h_a⟩ is the "
        "average over configurations of v_i h_a, drawn over the sites i; errors come from a jackknife over groups of "
        "samples."
    ),
    measure=measure,
    headline={"core_share": "core"},
    legend="core: share of a unit's inputs within two coarse spacings of their centre",
    criteria=(
        EXTENDED,
        *OF_UNITS,
        EXTENDED.of_maps(side=WHOLE_CORE),
        EXTENDED.of_maps(below=WHOLE_CORE, doubt=True),
        *(criterion.of_maps() for criterion in OF_UNITS),
    ),
    decides="locality",
    figures=figures,
)
