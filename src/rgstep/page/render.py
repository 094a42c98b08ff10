"""Figures and page of a report: from its numbers to `figures/` and `report.html`."""

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2
import numpy as np

from rgstep import figures
from rgstep.battery import TELLS
from rgstep.findings import family, findings
from rgstep.page.plate import Plate
from rgstep.page.plates import drift, entropy, hamiltonian, information, mcrg, tiles, two_point
from rgstep.report import HEADLINES, MapReport, Report, file_name, headline, mark
from rgstep.types import Progress

ROWS = (tiles, two_point, hamiltonian, mcrg, drift, information, entropy)  # the battery's figures, in this order


def write_page(report: Report, folder: Path, progress: Progress | None = None) -> None:
    """Write `figures/*` and `report.html` into an existing folder."""
    (folder / "figures").mkdir(exist_ok=True)
    maps = leading(report).values()
    total = len(maps) + sum("weights" in entry.arrays for entry in maps) + sum(map(monitored, maps)) + 7 + len(ROWS)
    shown = []
    for i, plate in enumerate(attempts(report)):
        if progress:
            progress("drawing", i, total, plate.name if plate else "")
        if plate is None:
            continue
        image = save(plate, folder / "figures")
        shown.append({"section": plate.section, "caption": plate.caption, "name": plate.name, "image": image})
    html = template().render(
        report=report,
        origin=report.origin,
        headline=headline,
        shown=[
            name
            for name in HEADLINES
            if name != "sampling" and any(name in entry.diagnostics for entry in report.maps.values())
        ],
        mark=mark,
        battery=TELLS,
        plates=shown,
        findings=findings(report),
        leading=leading(report),
    )
    (folder / "report.html").write_text(html, encoding="utf-8")
    if progress:
        progress("drawing", total, total, "report.html")


def save(plate: Plate, folder: Path) -> str:
    """Write a figure as PNG, curves as SVG too, and return it as a data address for the page."""
    bitmap = io.BytesIO()
    plate.figure.savefig(bitmap, format="png", dpi=150)
    (folder / f"{plate.name}.png").write_bytes(bitmap.getvalue())
    if plate.bitmap:
        return f"data:image/png;base64,{base64.b64encode(bitmap.getvalue()).decode()}"
    drawing = io.BytesIO()
    plate.figure.savefig(drawing, format="svg", metadata={"Date": None})
    (folder / f"{plate.name}.svg").write_bytes(drawing.getvalue())
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.getvalue()).decode()}"


def template() -> jinja2.Template:
    """Return the page's template."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rgstep", "page"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["z"] = lambda q: (
        ""
        if q.exact is None or not q.estimate.error > 0
        else (f"{(float(q.estimate.value) - q.exact) / float(q.estimate.error):+.1f}")
    )
    return environment.get_template("report.html.j2")


def leading(report: Report) -> Mapping[str, MapReport]:
    """Return the maps without the further seeds of a network: the ones whose pictures are drawn."""
    first: dict[str, MapReport] = {}
    for name, entry in report.maps.items():
        if family(name) not in {family(other) for other in first}:
            first[name] = entry
    return first


def plates(report: Report) -> Iterator[Plate]:
    """Yield every figure of the report in the order of the page."""
    yield from (plate for plate in attempts(report) if plate is not None)


def attempts(report: Report) -> Iterator[Plate | None]:
    """Yield every figure, and None for each row of the battery that has nothing to draw."""
    maps = leading(report)
    size = int(report.origin["size"])
    yield sampler_plate(report)
    limit = max(float(np.abs(entry.arrays["vh"]).max()) for entry in maps.values())
    for name, entry in maps.items():
        caption = (
            f"⟨v_i h_a⟩ of {name} ({entry.about}): one picture of the lattice per hidden unit, row a of the table of "
            f"all pairs; the colour scale is the same for every map."
        )
        figure = figures.pictures(entry.arrays["vh"], name, limit)
        yield Plate(f"vh_{file_name(name)}", "pictures", caption, figure, bitmap=True)
    for name, entry in maps.items():
        if "weights" in entry.arrays:
            yield enlarged_plate(name, entry)
    yield range_plate(maps)
    yield from correlator_plates(report, maps, size)
    for module in ROWS:
        yield module.plate(maps)
    yield from network_plates(maps, size)


def sampler_plate(report: Report) -> Plate:
    """Return the check of the configurations."""
    entry = next(iter(report.maps.values()))
    row = entry.diagnostics["sampling"]
    scores = {
        name: (float(q.estimate.value) - q.exact) / float(q.estimate.error)
        for name, q in row.estimates.items()
        if q.exact is not None and q.estimate.error > 0
    }
    exact = row.estimates["u"].exact
    figure = figures.sampler_check(
        entry.arrays["energies"],
        entry.arrays["magnetisations"],
        scores,
        exact if exact is not None else np.nan,
        int(report.origin["size"]) ** 2,
    )
    caption = f"The configurations against exact results at this size: {row.why}."
    return Plate("sampling", "sampling", caption, figure)


def enlarged_plate(name: str, entry: MapReport) -> Plate:
    """Return the unit of a network whose picture has the largest range, beside its weights."""
    unit = int(np.argmax(entry.arrays["unit_range"]))
    title = f"{name}, unit {unit}"
    caption = (
        f"The unit of {name} whose picture varies most, beside its weights (each on its own scale). The picture is "
        f"roughly the weights smeared by the spins' own correlation."
    )
    figure = figures.enlarged(entry.arrays["vh"][unit], entry.arrays["weights"][unit], title)
    return Plate(f"unit_{file_name(name)}", "units", caption, figure, bitmap=True)


def range_plate(maps: Mapping[str, MapReport]) -> Plate:
    """Return contrast against extent of every unit of every map."""
    points = {name: (e.arrays["unit_participation"], e.arrays["unit_range"]) for name, e in maps.items()}
    caption = (
        "Contrast against extent, one point per hidden unit. Block spins lie together at the upper end of contrast; a "
        "unit that only follows the total magnetisation has a flat picture, at the lower right. Sampling noise alone "
        "gives a flat picture a range of some six standard errors."
    )
    return Plate("range_against_participation", "vh", caption, figures.range_against_participation(points, list(maps)))


def correlator_plates(report: Report, maps: Mapping[str, MapReport], size: int) -> Iterator[Plate]:
    """Yield the spatial correlators of the pictures, with and without their means."""
    for label, name, ylabel, remark in (
        (
            "C",
            "spatial_correlator",
            "C(r), picture's mean subtracted",
            "Each picture's mean is subtracted first.",
        ),
        (
            "C_plain",
            "spatial_correlator_plain",
            "C(r), plain",
            "Nothing is subtracted: flat pictures give 1 everywhere.",
        ),
    ):
        curves = {m: (e.arrays["distance"], e.arrays[label], e.arrays[f"{label}_error"]) for m, e in maps.items()}
        caption = (
            f"Autocorrelation of the pictures ⟨v h_a⟩, averaged over units; one-σ bands where wider than the line. "
            f"{remark} Compare each network with the untrained one: the data's own correlation, smeared by any filter, "
            f"already gives a decaying curve."
        )
        yield Plate(name, "correlators", caption, figures.spatial_correlators(curves, size, ylabel, list(maps)))


def monitored(entry: MapReport) -> bool:
    """Whether the samples and singular values of a network were read while it trained."""
    return "training" in entry.diagnostics and "history_sv_1" in entry.arrays


def monitor_plate(name: str, history: Mapping[str, np.ndarray], truth: float) -> Plate:
    """Return what one network's samples were like while it trained, beside the data."""
    caption = (
        f"{name} while it trained. Solid: its samples, from the chains of the training; dashed: the data. Chains "
        f"that follow the weights too slowly swing about the data; chains restarted from the data stay closer to them "
        f"than the network's own law is. ξ is the second-moment correlation length. A singular value of W that leaves "
        f"the bulk is a mode learnt. Band: quartiles over hidden units."
    )
    return Plate(f"training_{file_name(name)}", "networks", caption, figures.training_history(history, name, truth))


def network_plates(maps: Mapping[str, MapReport], size: int) -> Iterator[Plate]:
    """Yield training curves, and the momentum spectra and spatial correlators of the weights."""
    trained = {
        name: {key.removeprefix("history_"): v for key, v in e.arrays.items() if key.startswith("history_")}
        for name, e in maps.items()
        if "training" in e.diagnostics
    }
    if trained:
        truth = maps[next(iter(trained))].diagnostics["training"].estimates["pseudo_likelihood_ising"].estimate
        caption = (
            "Training: pseudo-likelihood of the data (dashed: the Ising law that made them), reconstruction error, and "
            "the median participation ratio of the weights of a unit; a third of the sites is an unlocalised unit."
        )
        figure = figures.training_curves(trained, float(truth.value), list(maps))
        yield Plate("training", "networks", caption, figure)
        for name in (name for name in trained if monitored(maps[name])):
            yield monitor_plate(name, trained[name], float(truth.value))
    curves = {
        name: (e.arrays["distance"], e.arrays["C_weights"], np.zeros_like(e.arrays["distance"]))
        for name, e in maps.items()
        if "C_weights" in e.arrays
    }
    if curves:
        caption = (
            "Autocorrelation of the weights of a unit over the lattice, mean subtracted, averaged over units: a local "
            "filter has a peak of its own width, an untrained network none."
        )
        figure = figures.spatial_correlators(curves, size, "C(r) of the weights", list(maps))
        yield Plate("spatial_correlator_weights", "networks", caption, figure)
    spectra = {
        name: (e.arrays["distance"], e.arrays["momentum_spectrum_w"])
        for name, e in maps.items()
        if "momentum_spectrum_w" in e.arrays
    }
    if spectra:
        caption = (
            "Power of the weights per Fourier mode, averaged over units and directions: flat for an untrained network."
        )
        yield Plate("momentum_spectrum", "networks", caption, figures.momentum_spectra(spectra, list(maps)))
