"""One function per figure: numbers in, a matplotlib `Figure` out. Computes no physics; alone imports matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogFormatter

# Okabe and Ito (2008): distinguishable without full colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
STYLE: Any = {  # matplotlib types the keys one by one
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "rgstep",
    "svg.fonttype": "path",
}
TIGHT = ConstrainedLayoutEngine(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
ABOVE: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 8, "fontsize": "x-small", "columnspacing": 0.9}
PICTURES = "RdBu_r"
PANELS = 64  # h_1 … h_64, as in the post


def pictures(vh: np.ndarray, title: str, limit: float) -> Figure:
    """Draw the first 64 pictures ⟨v h_a⟩ `(hidden, row, column)` on one symmetric scale of ± limit."""
    with rc_context(STYLE):
        shown = vh[:PANELS]
        side = int(np.ceil(np.sqrt(len(shown))))
        figure = Figure(figsize=(6.4, 6.0), layout=TIGHT)
        grid = np.atleast_1d(figure.subplots(side, side, squeeze=False)).ravel()
        scale = Normalize(-limit, limit)
        image = None
        for a, axes in enumerate(grid):
            axes.set_axis_off()
            if a < len(shown):
                image = axes.imshow(shown[a], cmap=PICTURES, norm=scale, interpolation="nearest")
        if image is not None:
            figure.colorbar(image, ax=list(grid), shrink=0.6, label=r"$\langle v_i h_a\rangle$")
        figure.suptitle(f"{text(title)}: $h_1 … h_{{{len(shown)}}}$ of {len(vh)}")
        return figure


def gallery(maps: Mapping[str, np.ndarray], limit: float) -> Figure:
    """Draw the first pictures of several maps, sixteen at most, one mosaic each, on one symmetric scale of ± limit."""
    with rc_context(STYLE):
        figure = Figure(figsize=(2.7 * len(maps) + 0.6, 2.9), layout="constrained")
        grid = figure.subplots(1, len(maps), squeeze=False)[0]
        for axes, (name, vh) in zip(grid, maps.items(), strict=True):
            side = min(4, int(np.sqrt(len(vh))))
            framed = np.pad(vh[: side**2], ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
            rows = framed.reshape(side, side, *framed.shape[1:]).transpose(0, 2, 1, 3)
            mosaic = rows.reshape(side * framed.shape[1], -1)
            image = axes.imshow(mosaic, cmap=PICTURES, vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set_title(text(name))
            axes.set_axis_off()
        figure.colorbar(image, ax=list(grid), shrink=0.8, label=r"$\langle v_i h_a\rangle$")
        return figure


def enlarged(vh: np.ndarray, weights: np.ndarray, title: str) -> Figure:
    """Draw one picture ⟨v h⟩ beside the weights of its unit, each on its own symmetric scale."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        for axes, values, label in zip(
            figure.subplots(1, 2), (vh, weights), (r"$\langle v_i h_a\rangle$", r"$W_{ia}$"), strict=True
        ):
            limit = float(np.abs(values).max()) or 1.0
            image = axes.imshow(values, cmap=PICTURES, vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set(xlabel="column", ylabel="row", title=label)
            figure.colorbar(image, ax=axes)
        figure.suptitle(text(title))
        return figure


def spatial_correlators(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], size: int, ylabel: str, order: Sequence[str]
) -> Figure:
    """Draw (distance, value, error) of every map on one axis, up to half the lattice, with one-σ bands."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.subplots()
        for name, (distance, value, error) in curves.items():
            near = distance <= size / 2
            style = look(name, order)
            whole = np.flatnonzero(np.isclose(distance[near], np.round(distance[near])))
            axes.plot(
                distance[near], value[near], label=text(name), markersize=4, linewidth=1.2, markevery=whole, **style
            )
            axes.fill_between(
                distance[near],
                (value - error)[near],
                (value + error)[near],
                color=style["color"],
                alpha=0.25,
                lw=0,
            )
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.set(xlabel="periodic distance r (lattice spacings)", ylabel=ylabel)
        axes.legend()
        return figure


def range_against_participation(points: Mapping[str, tuple[np.ndarray, np.ndarray]], order: Sequence[str]) -> Figure:
    """Draw every unit's in-pattern range against the participation ratio of its picture, one colour per map."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.subplots()
        for name, (participation, spread) in points.items():
            style = look(name, order)
            axes.scatter(
                participation,
                spread,
                s=14,
                alpha=0.6,
                label=text(name),
                color=style["color"],
                marker=style["marker"],
                lw=0,
            )
        axes.set(
            xlabel=r"participation ratio of $\langle v_i h_a\rangle$ (sites)",
            ylabel=r"range max − min of $\langle v_i h_a\rangle$",
            ylim=(0, None),
        )
        axes.legend()
        return figure


def training_curves(histories: Mapping[str, Mapping[str, np.ndarray]], truth: float, order: Sequence[str]) -> Figure:
    """Draw pseudo-likelihood (`truth`: the Ising law's), reconstruction error and localisation of W against updates."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.2, 3.4), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, 3)
        names = ("pseudo_likelihood", "reconstruction", "participation_w")
        labels = (
            "ln pseudo-likelihood per site",
            "reconstruction error per site",
            "median participation of W (sites)",
        )
        for axes, quantity, label in zip(panels, names, labels, strict=True):
            for name, history in histories.items():
                later = history["step"] > 0
                axes.plot(
                    history["step"][later],
                    history[quantity][later],
                    label=text(name),
                    color=look(name, order)["color"],
                )
            axes.set(xlabel="updates", ylabel=label, xscale="log")
        panels[0].axhline(truth, color="0.4", linestyle="--", label="true Ising law")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return figure


def training_history(history: Mapping[str, np.ndarray], title: str, truth: float | None = None) -> Figure:
    """Draw the readings of one training run against updates: model solid, data dashed in the same colour.

    Args:
        history: the curves of `RBM.history`, those of `rgstep.nets.curves` among them; what is not there is not drawn.
        title: what was trained.
        truth: the pseudo-likelihood per site of the law that made the data.
    """
    shown = [
        (label, kept)
        for label, curves in history_panels(history)
        if (kept := {name: curve for name, curve in curves.items() if curve in history})
    ]
    with rc_context(STYLE):
        columns = min(4, max(1, len(shown)))
        rows = -(-len(shown) // columns) or 1
        figure = Figure(figsize=(2.75 * columns, 2.5 * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (label, curves) in zip(grid, shown, strict=False):
            history_panel(axes, history, curves)
            axes.set_xlabel("updates", size="small")
            axes.set_ylabel(label, size="small")
            if truth is not None and "pseudo_likelihood" in curves.values():
                axes.axhline(truth, color="0.4", linestyle="--", linewidth=1.0, label="true law")
            if len(axes.get_legend_handles_labels()[0]) > 1:
                axes.legend(handlelength=1.1, borderpad=0.1, handletextpad=0.4, **ABOVE)
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        figure.suptitle(text(title))
        return figure


def history_panels(history: Mapping[str, np.ndarray]) -> list[tuple[str, dict[str, str]]]:
    """Return what `training_history` may draw: per panel the label of its axis, and names of curves by their legend."""
    distances = sorted(int(d) for name in history if (d := name.removeprefix("G").removesuffix("_model")).isdigit())
    both = [("model", "_model"), ("data", "_data")]
    return [
        ("ln pseudo-likelihood per site", {"model": "pseudo_likelihood"}),
        *(
            (label, {legend: name + suffix for legend, suffix in both})
            for label, name in (
                ("energy per site u (J)", "u"),
                ("magnetisation |m|", "abs_m"),
                (r"susceptibility χ = N⟨$m^2$⟩", "chi"),
                ("ξ (lattice spacings)", "xi"),
            )
        ),
        (
            "G(r) along the axes",
            {  # matplotlib keeps what begins with _ out of the legend
                ("_" if suffix == "_data" else "r = " if r == 1 else "") + str(r): f"G{r}{suffix}"
                for r in distances
                for _, suffix in both
            },
        ),
        ("singular values of W", {"largest": "sv_1", "second": "sv_2", "median": "sv_median"}),
        ("participation of W (sites)", {"median": "participation_w"}),
    ]


def history_panel(axes: Axes, history: Mapping[str, np.ndarray], curves: Mapping[str, str]) -> None:
    """Draw named curves of a history in one panel: data dashed in the colour of the model, quartiles as a band."""
    later = history["step"] > 0
    step = history["step"][later]
    colours = list(dict.fromkeys(curve.removesuffix("_model").removesuffix("_data") for curve in curves.values()))
    for label, curve in curves.items():
        colour = COLOURS[colours.index(curve.removesuffix("_model").removesuffix("_data")) % len(COLOURS)]
        line = "--" if curve.endswith("_data") else "-"
        axes.plot(step, history[curve][later], line, color=colour, linewidth=1.2, label=label)
        if (low := f"{curve}_25") in history:
            axes.fill_between(step, history[low][later], history[f"{curve}_75"][later], color=colour, alpha=0.25, lw=0)
    axes.set_xscale("log")
    if next(iter(curves.values())).startswith(("sv_", "participation", "xi")):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PlainLogFormatter())
        axes.yaxis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.0, 0.3)))


class PlainLogFormatter(LogFormatter):
    """Labels the ticks of a logarithmic axis that matplotlib would label, but as 0.2, not as 2e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of the tick at x, empty for one without."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def localisation_curves(
    runs: Mapping[int, Mapping[str, Sequence[Mapping[str, np.ndarray]]]], order: Sequence[str]
) -> Figure:
    """Draw the median participation ratio of W against updates, one panel for each L, one colour for each preset.

    A thin line for each seed; a thick line for their median where there are several; the quartiles over units, their
    median over seeds, as a band. References: N/3 for Gaussian weights, 4 for a 2×2 block.

    Args:
        runs: by L and by preset the histories of all seeds: `step`, `participation_w` and its quartiles `…_25`, `…_75`.
        order: the names of all presets, which decides their colours.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(3.6 * len(runs) + 0.6, 3.9), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
        for axes, (size, presets) in zip(panels, runs.items(), strict=True):
            for name, histories in presets.items():
                localisation_of_seeds(axes, histories, name, look(name, order)["color"])
            for height, label in ((size**2 / 3, "N/3"), (4, "2×2")):
                axes.axhline(height, color="0.4", linestyle=":", linewidth=1.0)
                axes.text(1.01, height, label, transform=axes.get_yaxis_transform(), va="center", size="small")
            axes.set(xlabel="updates", title=f"L = {size}", xscale="log", yscale="log")
        panels[0].set_ylabel("participation of W, median over units (sites)")
        handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
        return figure


def localisation_of_seeds(axes: Axes, histories: Sequence[Mapping[str, np.ndarray]], name: str, colour: str) -> None:
    """Draw the runs of one preset in one panel, over the readings that all of them have."""
    steps = [h["step"][h["step"] > 0] for h in histories]
    common = steps[0][np.all([np.isin(steps[0], other) for other in steps], axis=0)]

    def over_seeds(quantity: str) -> np.ndarray:
        return np.asarray(np.median([h[quantity][np.isin(h["step"], common)] for h in histories], axis=0))

    if len(histories) > 1:
        for history, step in zip(histories, steps, strict=True):
            axes.plot(step, history["participation_w"][history["step"] > 0], color=colour, linewidth=0.6, alpha=0.6)
    axes.plot(common, over_seeds("participation_w"), color=colour, linewidth=1.8, label=text(name))
    low, high = (over_seeds(f"participation_w_{q}") for q in (25, 75))
    axes.fill_between(common, low, high, color=colour, alpha=0.2, lw=0)


def sampler_check(
    energies: np.ndarray, magnetisations: np.ndarray, scores: Mapping[str, float], energy: float, sites: int
) -> Figure:
    """Draw the distributions of u and m of the configurations, and the z-scores of the checks."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.2, 3.2), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        left.hist(energies, bins=energy_bins(energies, sites), density=True, color=COLOURS[5])
        left.axvline(energy, color=COLOURS[1])
        left.set(xlabel="energy per site u (J)", ylabel="density", title=f"line: exact mean {energy:.5f}")
        left.title.set_size("medium")
        middle.hist(magnetisations, bins=np.linspace(-1, 1, 62), density=True, color=COLOURS[5])
        middle.set(xlabel="magnetisation per site m", ylabel="density")
        right.axvspan(-4, 4, color="0.93")
        right.plot(list(scores.values()), list(scores), "o", color=COLOURS[0])
        right.axvline(0, color="0.6", linewidth=0.8)
        right.set(xlabel="z = (measured − exact) / error", xlim=(-5.5, 5.5), ylim=(-0.6, len(scores) - 0.4))
        right.set_title("grey: accepted", size="medium")
        return figure


def energy_bins(energies: np.ndarray, sites: int) -> np.ndarray:
    """Return edges of about 50 bins, each of equally many of the energies that exist, 4/N apart."""
    step = 4 / sites
    first, last = np.round(energies.min() / step), np.round(energies.max() / step)
    width = max(1, round((last - first) / 50))
    return np.asarray((np.arange(first, last + width + 1, width) - 0.5) * step)


def momentum_spectra(spectra: Mapping[str, tuple[np.ndarray, np.ndarray]], order: Sequence[str]) -> Figure:
    """Draw the power per mode of the weights against |k| (units 2π/L), averaged over hidden units."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for name, (momentum, power) in spectra.items():
            axes.plot(momentum, power, label=text(name), markersize=3, linewidth=1.0, **look(name, order))
        axes.set(xlabel=r"|k| (units of $2\pi/L$)", ylabel=r"$|\hat W_a(k)|^2/N$, mean over units", yscale="log")
        axes.legend()
        return figure


def look(name: str, order: Sequence[str]) -> dict[str, Any]:
    """Return the colour and marker of a map: the same in every figure that is given the same order of maps.

    The ninth map has the first colour with the second marker, so that 64 maps look different.
    """
    turn, i = divmod(list(order).index(name) if name in order else 0, len(COLOURS))
    return {"color": COLOURS[i], "marker": MARKERS[(i + turn) % len(MARKERS)]}


def text(name: str) -> str:
    """Return a map's name as matplotlib must be given it: no mathematics, and shown though it begins with _."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
