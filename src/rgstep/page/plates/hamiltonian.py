"""The hidden Hamiltonian: couplings against distance after one step, and the first two level by level."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rgstep.figures import ABOVE, STYLE, look, text
from rgstep.page.plate import Plate

from rgstep.report import MapReport

SECTION = "hidden_hamiltonian"
LINEAR = 0.01  # the axis of K is linear up to here, logarithmic beyond
FARTHEST = 4.0  # of the couplings of a network's pairs of units
WIDTH = 0.3  # over which the points of all maps at one distance or level are spread, so that none hides another
LABELS = ("1", r"$\sqrt{2}$", "2", r"$\sqrt{5}$", r"$\sqrt{8}$")


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return K against |r| at level 1 for every map, beside K_nn and K_nnn by level; None where none has it."""
    shown = {name: entry.arrays for name, entry in maps.items() if len(entry.arrays.get("hamiltonian_K", ())) > 1}
    if not shown:
        return None
    first = maps[next(iter(shown))].diagnostics[SECTION]
    exact = first.estimates["K_nn[0]"].exact
    caption = (
        "The couplings of the coarse variables. Left: pair couplings K against distance after one step (circles and "
        "other marks, one-σ bars), the spins' own as crosses, their exact values dashed; thin lines: the mean of a "
        "network's couplings between pairs of units. Right: the nearest-neighbour (solid) and diagonal (dotted) "
        "coupling at each level; an RG step at T_c brings them to rest. The axis of the left panel is linear below "
        f"{LINEAR}. The points of different maps are set side by side."
    )
    return Plate("hidden_hamiltonian", SECTION, caption, draw(shown, exact, list(maps)))


def draw(shown: Mapping[str, Mapping[str, np.ndarray]], exact: float | None, order: Sequence[str]) -> Figure:
    """Draw both panels."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.2, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
        by_distance(left, shown, exact, order)
        by_level(right, shown, exact, order)
        return figure


def aside(i: int, count: int) -> float:
    """Return how far the points of one of several maps are moved aside."""
    return WIDTH * ((i + 0.5) / count - 0.5)


def by_distance(
    axes: Axes, shown: Mapping[str, Mapping[str, np.ndarray]], exact: float | None, order: Sequence[str]
) -> None:
    """Draw the pair couplings of level 1 against distance, and those of the spins."""
    raw = next(iter(shown.values()))
    distance = raw["hamiltonian_distance"]
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    if exact is not None:
        axes.plot(distance, exact * (distance < 1.2), "--", color="0.4", linewidth=1.0, zorder=1, label="spins, exact")
    axes.errorbar(
        distance,
        raw["hamiltonian_K"][0, :5],
        raw["hamiltonian_K_error"][0, :5],
        fmt="x",
        color="0.4",
        label="spins",
        markersize=5,
    )
    for i, (name, arrays) in enumerate(shown.items()):
        style, shift = look(name, order), 0.6 * aside(i, len(shown))
        axes.errorbar(
            distance + shift,
            arrays["hamiltonian_K"][1, :5],
            arrays["hamiltonian_K_error"][1, :5],
            label=text(name),
            linewidth=0.9,
            markersize=5,
            **style,
        )
        if "hamiltonian_J_mean" in arrays:
            near = arrays["hamiltonian_J_distance"] <= FARTHEST
            at, mean = arrays["hamiltonian_J_distance"][near], arrays["hamiltonian_J_mean"][near]
            axes.plot(at + shift, mean, color=style["color"], linewidth=0.7, linestyle="-.")
    axes.set_yscale("symlog", linthresh=LINEAR)
    ticks = np.array([-0.1, -0.01, 0.0, 0.01, 0.1, 0.5])
    low, high = axes.get_ylim()
    kept = ticks[(ticks >= low) & (ticks <= high)]
    axes.set_yticks(kept, [f"{tick:g}" for tick in kept])
    pairs = any("hamiltonian_J_mean" in arrays for arrays in shown.values())
    axes.set_xticks([*distance, *[FARTHEST] * pairs], [*LABELS, *[f"{FARTHEST:g}"] * pairs])
    axes.set(xlabel="distance |r| on the lattice of each level (lattice spacings)", ylabel="pair coupling K = J/k_BT")
    axes.legend(**{**ABOVE, "ncols": 5})


def by_level(
    axes: Axes, shown: Mapping[str, Mapping[str, np.ndarray]], exact: float | None, order: Sequence[str]
) -> None:
    """Draw K_nn and K_nnn of every map against the level."""
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    if exact is not None:
        axes.axhline(exact, color="0.4", linestyle="--", linewidth=1.0)
    for i, (name, arrays) in enumerate(shown.items()):
        levels = np.arange(len(arrays["hamiltonian_K"])) + aside(i, len(shown))
        style = look(name, order)
        for column, line in ((0, "-"), (1, ":")):
            axes.errorbar(
                levels,
                arrays["hamiltonian_K"][:, column],
                arrays["hamiltonian_K_error"][:, column],
                linestyle=line,
                linewidth=1.0,
                markersize=4,
                **style,
            )
    axes.set_xticks(range(max(len(arrays["hamiltonian_K"]) for arrays in shown.values())))
    axes.set(xlabel="level (coarse-graining steps)", ylabel=r"$K_{nn}$ (solid), $K_{nnn}$ (dotted)")
