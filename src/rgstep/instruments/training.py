"""How well did a network learn its data, and what were its samples like while it did?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rgstep.drawing import ABOVE, COLOURS, Axes, Figure, Plate, legend_above, look, plain_log_labels, sheet, text
from rgstep.ensemble import Ensemble, in_pieces
from rgstep.estimates import Estimate, grouped_mean
from rgstep.files import file_name
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.nets.assessment import stored_assessment
from rgstep.nets.curves import goodness_of_fit
from rgstep.nets.rbm import RBM
from rgstep.results import Diagnostic, MapReport, Quantity
from rgstep.roles import coloured
from rgstep.types import Spins

CURVES = {
    "pseudo_likelihood": "ln pseudo-likelihood per site",
    "reconstruction": "reconstruction error per site",
    "participation_w": "median participation of W (sites)",
}
CAPTION = (
    "Training: pseudo-likelihood of the data (dashed: the Ising law that made them), reconstruction error, and the "
    "median participation ratio of the weights of a unit; a third of the sites is an unlocalised unit."
)


def measure(subject: Subject) -> Row | None:
    """Return reconstruction error and pseudo-likelihood of a network beside the true law's."""
    network = subject.original
    if not isinstance(network, RBM) or not network.history:
        return None
    fit = goodness_of_fit(network, subject.ensemble, subject.rng("goodness of fit"))
    truth = ising_pseudo_likelihood(subject.ensemble)
    quantities = {
        "reconstruction": Quantity(fit["reconstruction"]),
        "pseudo_likelihood": Quantity(fit["pseudo_likelihood"]),
        "pseudo_likelihood_ising": Quantity(truth),
        "weights_sd": Quantity(Estimate(float(network.weights.std()), 0.0)),
        "steps": Quantity(Estimate(float(network.history["step"][-1]), 0.0)),
    }
    why = f"a perfect network would reach the pseudo-likelihood of the Ising law itself, {truth}"
    if found := stored_assessment(network, subject.system.temperature):
        more, verdict = from_assessment(found)
        quantities, why = {**quantities, **more}, f"{verdict}; {why}"
    else:
        why = f"not assessed at this temperature: no likelihood, no equilibrium; {why}"
    return Diagnostic(None, why, quantities), network.history


def from_assessment(found: Mapping[str, Any]) -> tuple[dict[str, Quantity], str]:
    """Return the numbers and the verdict of a network's stored assessment."""
    balance = found["equilibrium"]
    names = ("kl_per_spin", "log_z", "log_z_bennett", "K_nn_visible")
    quantities = {name: Quantity(Estimate(*found[name])) for name in names if found[name]}
    quantities |= {f"tau_{name}": Quantity(Estimate(t["value"], t["error"])) for name, t in balance["tau"].items()}
    return quantities, f"{plainly(balance['verdict'])} ({balance['verdict']}: {balance['reason']})"


def plainly(verdict: str) -> str:
    """Return what the verdict on a network's equilibrium means, in a sentence a physicist reads once."""
    steps = re.search(r"generates at k = (\d+)", verdict)
    if steps is None:
        return "run long enough, the network's samples no longer depend on what they were started from"
    return (
        f"the network's law is not that of its data: started from noise, its samples come closest to the data after "
        f"{int(steps[1]):,} Gibbs step{'' if steps[1] == '1' else 's'} and move away from them after that"
    )


def ising_pseudo_likelihood(ensemble: Ensemble) -> Estimate:
    """Return the mean of ln p(s_i | its neighbours) per site under the true law: −ln(1 + exp(−2K s_i Σ_nn s_j))."""

    def per_sample(v: Spins) -> np.ndarray:
        field = sum(np.roll(v, shift, axis) for axis in (1, 2) for shift in (1, -1))
        log_p = -np.logaddexp(0.0, -2 * ensemble.system.coupling * (v * field))
        return np.asarray(log_p.mean(axis=(1, 2)))

    return grouped_mean(in_pieces(per_sample, ensemble))


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the training curves of all networks together, and of each what its samples were like meanwhile."""
    shown = {name: entry for name, entry in maps.items() if entry.arrays.get("training")}
    if not shown:
        return
    histories = {name: entry.arrays["training"] for name, entry in shown.items()}
    truth = float(next(iter(shown.values())).estimates("training")["pseudo_likelihood_ising"].estimate.value)
    yield Plate("training", CAPTION, training_curves(histories, truth, coloured(maps)))
    for name, history in histories.items():
        if "sv_1" in history:
            caption = (
                f"{name} while it trained: readings of its samples and weights. Solid: its samples, from the chains of "
                f"the training; dashed: the data. Chains that follow the weights too slowly swing about the data; "
                f"chains restarted from the data stay closer to them than the network's own law is. ξ is the "
                f"second-moment correlation length. A singular value of W that leaves the bulk is a mode learnt. Band: "
                f"quartiles over hidden units."
            )
            figure = training_history(history, name, truth)
            yield Plate(f"training_{file_name(name)}", caption, figure, inline=False)


def training_curves(histories: Mapping[str, Mapping[str, np.ndarray]], truth: float, order: list[str]) -> Figure:
    """Draw pseudo-likelihood (`truth`: the Ising law's), reconstruction error and localisation of W against updates."""
    with sheet(1, 3, size=(7.2, 3.2)) as (figure, panels):
        for axes, (quantity, label) in zip(panels, CURVES.items(), strict=True):
            for name, history in histories.items():
                later, colour = history["step"] > 0, look(name, order)["color"]
                axes.plot(history["step"][later], history[quantity][later], label=text(name), color=colour)
            axes.set(xlabel="updates", ylabel=label, xscale="log")
        panels[0].axhline(truth, color="0.4", linestyle="--", label="true Ising law")
        legend_above(figure, panels[:1])
        return figure


def training_history(history: Mapping[str, np.ndarray], title: str, truth: float | None = None) -> Figure:
    """Draw the curves of one training run against updates: model solid, data dashed in the same colour.

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
    columns = min(2, max(1, len(shown)))
    rows = -(-len(shown) // columns) or 1
    with sheet(rows, columns, size=(3.6 * columns, 2.3 * rows + 0.5)) as (figure, grid):
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
    decades = next(iter(curves.values())).startswith(("sv_", "participation", "xi"))
    for label, curve in curves.items():
        colour = COLOURS[colours.index(curve.removesuffix("_model").removesuffix("_data")) % len(COLOURS)]
        line = "--" if curve.endswith("_data") else "-"
        values = history[curve][later]
        values = np.where(values > 0, values, np.nan) if decades else values  # no length has no place on a log axis
        axes.plot(step, values, line, color=colour, linewidth=1.2, label=label)
        if (low := f"{curve}_25") in history:
            axes.fill_between(step, history[low][later], history[f"{curve}_75"][later], color=colour, alpha=0.25, lw=0)
    axes.set_xscale("log")
    if decades:
        axes.set_yscale("log")
        plain_log_labels(axes)


INSTRUMENT = Instrument(
    name="training",
    question=(
        "How well each network learned its data, and whether its samples were those of its own law while it trained."
    ),
    measure=measure,
    headline={"kl_per_spin": "KL"},
    legend="KL: divergence of the network's law from the exact Ising law per spin",
    figures=figures,
)
