"""The figure of the conditional entropy: how noisy each map is, and what sharpening it does."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rgstep.figures import STYLE, look, text
from rgstep.page.plate import Plate

from rgstep.exact.blocks import TIE_PROBABILITY
from rgstep.report import MapReport

ROW = "conditional_entropy"
MAJORITY = float(np.log(2) * TIE_PROBABILITY)
SHARPENED = {  # label of the axis by what is drawn
    "entropy": "H(h | v) per unit (nats)",
    "K_nn": r"hidden coupling $K_{nn}$",
    "K_nnn": r"hidden coupling $K_{nnn}$",
}


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return the entropy of every map, and entropy and couplings along the ladder where there is one; None without."""
    shown = {name: entry for name, entry in maps.items() if "entropy" in estimates(entry)}
    if not shown:
        return None
    ladders = {name: entry.arrays for name, entry in shown.items() if "sharpening_s" in entry.arrays}
    drawn = [q for q in SHARPENED if any(f"sharpening_{q}" in arrays for arrays in ladders.values())]
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 + 2.5 * len(drawn), 3.6), layout="constrained")
        first, *others = figure.subplots(1, 1 + len(drawn), squeeze=False)[0]
        entropies(first, shown, list(maps))
        for axes, quantity in zip(others, drawn, strict=True):
            ladder(axes, ladders, quantity, list(maps))
            if quantity != "entropy":
                block_spins(axes, maps, quantity)
        if others:
            handles = {label: h for axes in others for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
            figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, fontsize="small")
    caption = (
        "Noise of the maps themselves. Left: conditional entropy per unit of h as drawn, at most ln 2 = 0.693; dotted: "
        "the majority rule with random ties on the infinite lattice at T_c, 0.0591. Right: the same networks and "
        "Bernoulli blocks with their inputs s times as large, ∞ their sign. If sharpening were all that a network "
        "lacked, its couplings would reach those of the majority rule (dashed)."
    )
    return Plate("conditional_entropy", ROW, caption, figure)


def estimates(entry: MapReport) -> Mapping[str, tuple[float, float]]:
    """Return value and error of each quantity of a map's row, none where it has no such row."""
    row = entry.diagnostics.get(ROW)
    found = {} if row is None else row.estimates
    return {name: (float(q.estimate.value), float(q.estimate.error)) for name, q in found.items()}


def entropies(axes: Axes, maps: Mapping[str, MapReport], order: Sequence[str]) -> None:
    """Draw the entropy of each map on a line of its own, the first map on top."""
    for place, (name, entry) in enumerate(maps.items()):
        value, error = estimates(entry)["entropy"]
        style = look(name, order)
        axes.errorbar(value, -place, xerr=np.nan_to_num(error), color=style["color"], fmt=style["marker"], markersize=5)
    axes.axvline(MAJORITY, color="0.4", linestyle=":", linewidth=1.0)
    axes.set_yticks(-np.arange(len(maps)), [text(name) for name in maps])
    axes.set(xlabel=SHARPENED["entropy"], xlim=(-0.03, 0.72), ylim=(-len(maps) + 0.4, 0.6))


def ladder(axes: Axes, ladders: Mapping[str, Mapping[str, np.ndarray]], quantity: str, order: Sequence[str]) -> None:
    """Draw one quantity against s, at equal steps."""
    scales = next(iter(ladders.values()))["sharpening_s"]
    for name, arrays in ladders.items():
        if f"sharpening_{quantity}" in arrays:
            value, error = arrays[f"sharpening_{quantity}"], arrays[f"sharpening_{quantity}_error"]
            places = np.arange(len(value))
            axes.errorbar(
                places, value, np.nan_to_num(error), label=text(name), markersize=4, linewidth=1.2, **look(name, order)
            )
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xticks(np.arange(len(scales)), ["∞" if np.isinf(s) else f"{s:g}" for s in scales])
    axes.set(xlabel="inputs times s", ylabel=SHARPENED[quantity])


def block_spins(axes: Axes, maps: Mapping[str, MapReport], quantity: str) -> None:
    """Draw the coupling that the hidden Hamiltonian's row found for the majority rule, if it is in the report."""
    row = maps["majority"].diagnostics.get("hidden_hamiltonian") if "majority" in maps else None
    if row is not None and f"{quantity}[1]" in row.estimates:
        value = float(row.estimates[f"{quantity}[1]"].estimate.value)
        axes.axhline(value, color="0.4", linestyle="--", linewidth=1.0, label="majority rule")
