"""How does the spatial correlator of each picture ⟨v h_a⟩, and of each unit's weights, decay with distance?

C_a(d) = Σ_x P_a(x) P_a(x+d) / Σ_x P_a(x)², averaged over units and directions (`patterns`), as drawn in
arXiv:1906.05212.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rgstep import patterns
from rgstep.correlators import Means
from rgstep.drawing import Figure, Plate, look, name_lines, null_band, parted, sheet, text
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.lattice import shells
from rgstep.results import Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured

CORRELATORS = {"C": (True, False), "C_plain": (False, False), "C_pooled": (True, True)}  # mean subtracted, pooled
QUOTED = (1, 2, 3, 4, 8, 16)  # distances in the table
WHY = (
    "describes; decides nothing by itself; C subtracts each picture's mean and weighs all units alike, C_plain "
    "subtracts nothing, C_pooled weighs each unit by its contrast and is corrected for sampling noise"
)
CAPTION = (
    "Autocorrelation of the pictures ⟨v h_a⟩, averaged over units; one-σ bands where wider than the line. {} Compare "
    "each network with the untrained one: the data's own correlation, smeared by any filter, already gives a decaying "
    "curve."
)
OF_WEIGHTS = (
    "Autocorrelation of the weights of a unit over the lattice, mean subtracted, averaged over units: a local filter "
    "has a peak of its own width, an untrained network none."
)
SPECTRUM = "Power of the weights per Fourier mode, averaged over units and directions: flat for an untrained network."


def measure(subject: Subject) -> Row:
    """Return the autocorrelation of each picture, averaged over units, against periodic distance; the same for W."""
    size = subject.moments.size
    grid = shells(size)

    def curves(means: Means) -> dict[str, np.ndarray]:
        power = patterns.power_spectra(means.vh.reshape(-1, size, size))
        return {
            label: grid.average(patterns.correlator_of_power(power, mean_subtracted, pooled))
            for label, (mean_subtracted, pooled) in CORRELATORS.items()
        }

    arrays: dict[str, np.ndarray] = {"distance": grid.distance}
    quantities = {}
    for label, estimate in subject.moments.estimates(curves, corrected=["C_pooled"]).items():
        arrays |= {label: np.asarray(estimate.value), f"{label}_error": np.asarray(estimate.error)}
        for r in (r for r in QUOTED if r <= size // 2):
            at = int(np.flatnonzero(np.isclose(grid.distance, r))[0])
            quantities[f"{label}[{r}]"] = Quantity(estimate[at])
    weights = subject.weight_pictures
    if weights is not None:
        arrays["C_weights"] = patterns.correlator_by_distance(weights, mean_subtracted=True)
        arrays["momentum_spectrum_w"] = patterns.momentum_spectrum(weights)
    return Diagnostic(None, WHY, quantities), arrays


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the correlators of the pictures, with and without their means, and those of the weights."""
    for label, name, ylabel, remark in (
        ("C", "spatial_correlator", "C(r), picture's mean subtracted", "Each picture's mean is subtracted first."),
        (
            "C_plain",
            "spatial_correlator_plain",
            "C(r), plain",
            "Nothing is subtracted: flat pictures give 1 everywhere.",
        ),
    ):
        found = arrays_of(maps, "spatial_correlator", label)
        curves = {m: (a["distance"], a[label], a[f"{label}_error"]) for m, a in found.items()}
        yield Plate(name, CAPTION.format(remark), spatial_correlators(curves, ylabel, coloured(maps)))
    networks = arrays_of(maps, "spatial_correlator", "C_weights")
    if networks:
        curves = {m: (a["distance"], a["C_weights"], np.zeros_like(a["distance"])) for m, a in networks.items()}
        figure = spatial_correlators(curves, "C(r) of the weights", coloured(maps))
        yield Plate("spatial_correlator_weights", OF_WEIGHTS, figure)
        spectra = {m: (a["distance"], a["momentum_spectrum_w"]) for m, a in networks.items()}
        yield Plate("momentum_spectrum", SPECTRUM, momentum_spectra(spectra, coloured(maps)))


def spatial_correlators(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], ylabel: str, order: Sequence[str]
) -> Figure:
    """Draw (distance, value, error) of every map on one axis, up to half the lattice, with one-σ bands."""
    with sheet(size=(7.2, 4.6)) as (figure, (axes,)):
        near_of = {  # the farthest site is at (L/2, L/2)
            name: [part[curve[0] <= curve[0][-1] / np.sqrt(2) + 1e-9] for part in curve]
            for name, curve in curves.items()
        }
        own, nulls = parted(near_of, order)
        null_band(axes, [(r, y, e) for r, y, e in nulls.values()])
        for name, (r, y, e) in own.items():
            style = look(name, order)
            whole = np.flatnonzero(np.isclose(r, np.round(r)))
            axes.plot(r, y, label=text(name), markersize=4, linewidth=1.2, markevery=whole, **style)
            axes.fill_between(r, y - e, y + e, color=style["color"], alpha=0.25, lw=0)
        if any((y < 0).any() for _, y, _ in near_of.values()):  # else the line would leave most of the axis empty
            axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.set(xlabel="periodic distance r (lattice spacings)", ylabel=ylabel)
        name_lines(axes)
        return figure


def momentum_spectra(spectra: Mapping[str, tuple[np.ndarray, np.ndarray]], order: Sequence[str]) -> Figure:
    """Draw the power per mode of the weights against |k| (units 2π/L), averaged over hidden units."""
    with sheet(size=(7.2, 4.0)) as (figure, (axes,)):
        own, nulls = parted(spectra, order)
        null_band(axes, [(k, power, np.zeros_like(power)) for k, power in nulls.values()])
        for name, (momentum, power) in own.items():
            axes.plot(momentum, power, label=text(name), markersize=3, linewidth=1.0, **look(name, order))
        axes.set(xlabel=r"|k| (units of $2\pi/L$)", ylabel=r"$|\hat W_a(k)|^2/N$, mean over units", yscale="log")
        name_lines(axes)
        return figure


INSTRUMENT = Instrument(
    name="spatial_correlator",
    question=(
        "How alike a picture and the same picture shifted by some distance are. It describes what a picture looks "
        "like; any filter of critical data has a decaying curve."
    ),
    measure=measure,
    figures=figures,
)
