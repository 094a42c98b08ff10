"""The figure of the tiles: how far each unit's coefficients spread, and on how many sites they are."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgstep.diagnostics.tiles import LOCAL
from rgstep.figures import STYLE, look, text
from rgstep.page.plate import Plate
from rgstep.report import MapReport

MARKED = 10  # markers on a curve, about
ROW = "vh_pattern"  # where the report shows these numbers
SPREAD_OUT = 1 / np.sqrt(6)  # radius of a picture spread evenly over the lattice, in units of L
CAPTION = (
    "Each unit's coefficients β = C⁻¹⟨v h⟩, what it takes of each spin itself, one point a unit. Left: rms distance of "
    "β² from the unit's centre, units in order of it, with one standard error; dashed: a 2×2 tile, 0.71; dotted: a "
    "picture spread over the lattice, 0.41 L. Right: the share of β² within two coarse spacings of the centre against "
    "the number of sites that carry it; a local unit is above the grey line. Units without coefficients above the "
    "noise, as those that follow the magnetisation, are not drawn."
)


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return radius, tile share and participation of every unit of every map, None if no map has them."""
    shown = {
        name: entry.arrays
        for name, entry in maps.items()
        if "unit_tile_radius" in entry.arrays and np.isfinite(entry.arrays["unit_tile_radius"]).any()
    }
    if not shown:
        return None
    size = max(arrays["beta"].shape[1] for arrays in shown.values())
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, arrays in shown.items():
            radii(left, arrays, text(name), look(name, list(maps)))
            right.plot(
                arrays["unit_participation_beta"],
                arrays["unit_core_share"],
                linestyle="none",
                markersize=4,
                alpha=0.6,
                markeredgewidth=0,
                **look(name, list(maps)),
            )
        lines(left, size)
        right.axhline(LOCAL, color="0.75", linewidth=1.0, zorder=0)
        left.set(xlabel="share of the units", ylabel="radius of a unit (lattice spacings)", ylim=(-0.02 * size, None))
        right.set(xlabel="participation of β² (sites)", ylabel="share of β² within two coarse spacings", xscale="log")
        right.set(xlim=(0.7, 1.5 * size**2), ylim=(-0.04, 1.08))
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=5)
        return Plate("tiles", ROW, CAPTION, figure)


def radii(axes: Axes, arrays: Mapping[str, np.ndarray], label: str, style: Mapping[str, str]) -> None:
    """Draw the radii of one map's units in ascending order against the share of the units."""
    radius, error = arrays["unit_tile_radius"], arrays["unit_tile_radius_error"]
    order: Sequence[int] = [int(unit) for unit in np.argsort(radius) if np.isfinite(radius[unit])]
    rank = (np.arange(len(order)) + 0.5) / len(radius)
    value, bar = radius[order], np.nan_to_num(error[order])
    marks = max(1, len(order) // MARKED)
    colour, marker = style["color"], style["marker"]
    axes.plot(rank, value, color=colour, marker=marker, markevery=marks, markersize=5, linewidth=1.4, label=label)
    axes.fill_between(rank, np.maximum(value - bar, 0), value + bar, color=colour, alpha=0.25, lw=0)


def lines(axes: Axes, size: int) -> None:
    """Draw the radii that are known."""
    axes.axhline(np.sqrt(0.5), color="0.3", linestyle="--", linewidth=1.0, zorder=0)
    axes.axhline(SPREAD_OUT * size, color="0.3", linestyle=":", linewidth=1.0, zorder=0)
