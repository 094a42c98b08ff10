"""Figures and page of a report: from its numbers to `figures/` and one self-contained `report.html`."""

import base64
import io
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import jinja2

from rgstep.claims import findings
from rgstep.drawing import Plate
from rgstep.explorer import page_explorer
from rgstep.instruments import FIXED_POINT, INSTRUMENTS, LOCALITY
from rgstep.plates import plates_of_row
from rgstep.report import Report, headline, mark
from rgstep.results import Quantity
from rgstep.types import Progress


def write_page(report: Report, folder: Path, progress: Progress | None = None) -> None:
    """Write `figures/*` and `report.html` into an existing folder."""
    (folder / "figures").mkdir(exist_ok=True)
    shown: dict[str, list[list[dict[str, str]]]] = {}
    for done, name in enumerate(INSTRUMENTS):
        if progress:
            progress("drawing", done, len(INSTRUMENTS), name)
        shown[name] = drawn(report, name, folder / "figures")
    html = template().render(
        report=report,
        origin=report.origin,
        headline=headline,
        shown=[
            name
            for name, instrument in INSTRUMENTS.items()
            if instrument.headline and any(name in entry.diagnostics for entry in report.maps.values())
        ],
        mark=mark,
        instruments=INSTRUMENTS.values(),
        locality=LOCALITY,
        fixed_point=FIXED_POINT,
        plates=shown,
        findings=findings(report),
        explorer=page_explorer(report),
    )
    (folder / "report.html").write_text(html, encoding="utf-8")
    if progress:
        progress("drawing", len(INSTRUMENTS), len(INSTRUMENTS), "report.html")


def drawn(report: Report, name: str, folder: Path) -> list[list[dict[str, str]]]:
    """Write the figures of one instrument; return them for the page, in their order, those of one group together."""
    figures = (
        {"name": plate.name, "caption": plate.caption, "group": plate.group, "image": save(plate, folder)}
        for plate in plates_of(report, name)
    )
    return [list(group) for _, group in groupby(figures, key=itemgetter("group"))]


def plates_of(report: Report, name: str) -> Iterator[Plate]:
    """Yield the figures of one instrument."""
    yield from plates_of_row(report.maps, name)


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
        loader=jinja2.PackageLoader("rgstep", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"z": score, "heading": heading}
    return environment.get_template("report.html.j2")


def heading(row: str) -> str:
    """Return the name of a row as a heading: "Two point", "MCRG", "⟨v h⟩ pattern"."""
    words = row.replace("_", " ").replace("mcrg", "MCRG").replace("vh", "⟨v h⟩").replace("hamiltonian", "Hamiltonian")
    return words[0].upper() + words[1:]


def score(quantity: Quantity) -> str:
    """Return how many standard errors a number is from its exact value, empty where one is not known."""
    return "" if quantity.z is None else f"{quantity.z:+.1f}"
