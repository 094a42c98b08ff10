"""The figure of the two-point functions: those of every map's h along axis and diagonal beside the torus."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rgstep.figures import STYLE, PlainLogFormatter, look, text
from rgstep.page.plate import Plate

from rgstep.exact.torus import two_point_shape
from rgstep.report import MapReport

ROW = "two_point"
CURVE = "two_point_1"  # of h; 0 is that of the spins
PANELS = {"along an axis": 1.0, "along the diagonal": np.sqrt(2.0)}
SPREAD = 0.35  # of the abscissa that the maps of one distance share
CAPTION = (
    "Two-point function of h as drawn, nothing subtracted, divided by the amplitude A of its fit to the torus function "
    "F of critical spins (dashed, Δ_σ = 1/8, scaling limit); bars: one standard error. All points of a map fluctuate "
    "together, their ratios less. A local coarse graining follows F beyond a spacing or two; a random tiling is flat. "
    "Away from T_c there is no F to compare with, and curves are divided by their value at distance 1."
)


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return the two-point functions of all maps against distance, None if no map has one."""
    shown = {name: entry.arrays for name, entry in maps.items() if CURVE in entry.arrays}
    if not shown:
        return None
    critical = any(f"g_half_ratio{s}" in rows(maps[name]) for name in shown for s in ("", "_v"))
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.3), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
        for axes, (where, step) in zip(panels, PANELS.items(), strict=True):
            for i, (name, arrays) in enumerate(shown.items()):
                shift = SPREAD * ((i + 0.5) / len(shown) - 0.5) * (len(shown) > 1)
                curve(axes, arrays, step, shift, critical, text(name), look(name, list(maps)))
            if critical:
                torus(axes, max(len(arrays[CURVE]) for arrays in shown.values()), step)
            axes.set(xlabel=f"distance {where} (spacings of h)", yscale="log")
            if critical and step == 1.0:
                axes.plot([], [], color="0.2", linestyle="--", label="torus, Δ = 1/8")
            axes.yaxis.set_major_formatter(PlainLogFormatter())
            axes.yaxis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.0, 0.3)))
        panels[0].set_ylabel("$G_h(r) / A$" if critical else "$G_h(r) / G_h(1)$")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return Plate("two_point", ROW, CAPTION, figure)


def rows(entry: MapReport) -> Mapping[str, object]:
    """Return the quantities of a map's row, none where it has no such row."""
    row = entry.diagnostics.get(ROW)
    return {} if row is None else row.estimates


def curve(
    axes: Axes,
    arrays: Mapping[str, np.ndarray],
    step: float,
    shift: float,
    critical: bool,
    label: str,
    style: Mapping[str, str],
) -> None:
    """Draw one map's points from distance 1 to half the lattice."""
    value, error = arrays[CURVE], np.nan_to_num(arrays[f"{CURVE}_error"])
    scale = float(arrays[f"{CURVE}_amplitude"]) if critical else float(value[1, 0])
    if not (np.isfinite(scale) and scale):
        scale = 1.0
    at = np.arange(1, len(value) // 2 + 1)
    other = at if step > 1 else 0
    height, bar = value[at, other] / scale, error[at, other] / abs(scale)
    positive = height > 0  # the rest has no place on a logarithmic axis
    bar = np.minimum(bar, 0.9 * np.abs(height))
    axes.errorbar(
        (at * step + shift * step)[positive],
        height[positive],
        bar[positive],
        color=style["color"],
        marker=style["marker"],
        linestyle="none",
        markersize=4.5,
        capsize=2,
        linewidth=1.0,
        label=label,
    )


def torus(axes: Axes, size: int, step: float) -> None:
    """Draw the torus function from distance 1 to half of an l-by-l lattice."""
    along = np.linspace(0.8, max(size / 2, 1), 200)
    shape = two_point_shape(along / size, along / size if step > 1 else 0.0)
    axes.plot(along * step, shape, color="0.2", linestyle="--", linewidth=1.0, zorder=0)
