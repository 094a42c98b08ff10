"""Figure of the linearised RG: y_t and y_h of every map, step by step."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rgstep.figures import STYLE, look, text
from rgstep.page.plate import Plate
from rgstep.report import MapReport

PANELS = {"y_t": (1.0, 0.4, 1.6, r"$y_t$, even operators"), "y_h": (15 / 8, 1.78, 2.02, r"$y_h$, odd operators")}
SPREAD = 0.5  # of the abscissa that the maps of one level share
CAPTION = (
    "Exponents of the linearised RG, step by step, all operators of each sector; bars: one standard error; faint: "
    "fewer of them. Dashed: the Ising fixed point, y_t = 1 and y_h = 15/8. An RG step comes close after a step "
    "or two and stays. Dotted lines, open symbols: the majority rule applied from level 1 on, for maps that are not "
    "applied to their own h. Real h are shown by their signs. Triangles at an edge: numbers beyond it. No "
    "bar: λ is complex or negative."
)


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return the exponents of all maps against the level that the step starts from, None if no map has any."""
    shown = [name for name, entry in maps.items() if any(key in entry.arrays for key in keys("y_t"))]
    if not shown:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.3), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, 2)
        for axes, (y, (exact, low, high, label)) in zip(panels, PANELS.items(), strict=True):
            axes.axhline(exact, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
            for i, name in enumerate(shown):
                shift = SPREAD * ((i + 0.5) / len(shown) - 0.5)
                for key in keys(y):
                    if key in maps[name].arrays and not (key == y and f"{y}_sign" in maps[name].arrays):
                        curve(axes, maps[name].arrays, key, shift, (low, high), text(name), look(name, list(maps)))
            axes.set(xlabel="step from level n to n + 1: n", ylabel=label, ylim=(low, high))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
        return Plate("mcrg", "mcrg", CAPTION, figure)


def keys(y: str) -> tuple[str, str]:
    """Return the names of the arrays that are drawn for an exponent: the map's own, and the continuation."""
    return f"mcrg_{y}", f"mcrg_{y}_majority"


def curve(
    axes: Axes,
    arrays: Mapping[str, np.ndarray],
    key: str,
    shift: float,
    limits: tuple[float, float],
    label: str,
    style: Mapping[str, str],
) -> None:
    """Draw one exponent of one map: all operators with errors, fewer of them faint, what is outside as triangles."""
    real = f"{key}_sign" in arrays
    key = f"{key}_sign" if real else key
    level, values, errors = arrays[f"{key}_level"] + shift, arrays[key], arrays[f"{key}_error"]
    y, further = values[:, -1], key.endswith("_majority")
    low, high = limits
    inside = (y >= low) & (y <= high)
    colour, marker, face = style["color"], style["marker"], "white" if further else style["color"]
    axes.plot(level, np.clip(y, low, high), ":" if further else "-", color=colour, alpha=0.6, linewidth=1.0)
    axes.errorbar(
        level[inside],
        y[inside],
        errors[inside, -1],
        color=colour,
        marker=marker,
        markerfacecolor=face,
        linestyle="none",
        markersize=5,
        capsize=2,
        label=None if further else label,
    )
    for count in range(values.shape[1] - 1):
        axes.plot(level, values[:, count], marker, color=colour, alpha=0.3, markersize=3)
    for beyond, triangle, edge in ((y > high, "^", high), (y < low, "v", low)):
        if beyond.any():  # an empty line that is not clipped would upset the layout
            axes.plot(level[beyond], y[beyond] * 0 + edge, triangle, color=colour, markersize=8, clip_on=False)
