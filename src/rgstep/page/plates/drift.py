"""Figure of the drift: U₄, the product of nearest neighbours and Δ_m of every map, level by level."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rgstep.diagnostics.drift import BINDER
from rgstep.figures import STYLE, look, text
from rgstep.page.plate import Plate
from rgstep.report import MapReport

PANELS = {"U4": r"$U_4 = 1 - \langle m^4\rangle / 3\langle m^2\rangle^2$", "nn": r"$\langle h h'\rangle$, neighbours"}
RESCALED = (-0.1, 0.4)  # Δ_m shown; feature extractors may be far below
SPREAD = 0.4  # of the abscissa that the maps of one level share
CAPTION = (
    "What iterating each map does to critical configurations; bars: one standard error. Dashed: U₄ of large critical "
    "lattices, 0.61069. Levels become smaller, and U₄ and the product of neighbours rise a little on the smallest: "
    "compare with the majority rule at the same level. A map that leaves the critical surface bends away. Right: how "
    "each step rescales the magnetisation, 1/8 at the Ising fixed point, 0 where it is kept; below −0.1 and above 0.4 "
    "nothing is shown. Dotted lines, open symbols: the majority rule applied from level 1 on. Real h are scaled to "
    "unit variance."
)


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return U₄ and the product of neighbours of all maps against the level, None if no map has them."""
    shown = [name for name, entry in maps.items() if "drift_U4" in entry.arrays]
    if not shown:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.9), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, 3)
        panels[0].axhline(BINDER, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
        for axes, (quantity, label) in zip(panels[:2], PANELS.items(), strict=True):
            for i, name in enumerate(shown):
                arrays = maps[name].arrays
                shift = SPREAD * ((i + 0.5) / len(shown) - 0.5)
                own = f"drift_{quantity}_unit" if f"drift_{quantity}_unit" in arrays else f"drift_{quantity}"
                curve(axes, arrays, own, shift, text(name), look(name, list(maps)))
                if f"drift_{quantity}_majority" in arrays:
                    curve(axes, arrays, f"drift_{quantity}_majority", shift, None, look(name, list(maps)))
            axes.set(xlabel="level n", ylabel=label)
        for i, name in enumerate(shown):
            if "drift_delta_m" in maps[name].arrays:
                shift = SPREAD * ((i + 0.5) / len(shown) - 0.5)
                curve(panels[2], maps[name].arrays, "drift_delta_m", shift, text(name), look(name, list(maps)))
        panels[2].axhline(1 / 8, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
        panels[2].set(xlabel="step from level n", ylabel=r"$\Delta_m$, rescaling of $m$", ylim=RESCALED)
        for axes in panels:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return Plate("drift", "drift", CAPTION, figure)


def curve(
    axes: Axes, arrays: Mapping[str, np.ndarray], key: str, shift: float, label: str | None, style: Mapping[str, str]
) -> None:
    """Draw one observable of one map; without a label as a continuation."""
    level = np.arange(len(arrays[key])) + (0 if label else 1) + shift
    axes.errorbar(
        level,
        arrays[key],
        arrays[f"{key}_error"],
        color=style["color"],
        marker=style["marker"],
        linestyle="-" if label else ":",
        markerfacecolor=style["color"] if label else "white",
        linewidth=1.0,
        markersize=5,
        capsize=2,
        label=label,
    )
