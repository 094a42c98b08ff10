"""Figures and page of a report: from its numbers to `figures/` and one self-contained `report.html`.

The page answers its title first, in the sentences of `words`; then why, in one figure; then everything else, behind a
list of contents. Symbols have their meaning at hand, from `glossary`.
"""

import base64
import io
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from rgstep import words
from rgstep.claims import CLAIMS, Finding, findings, of_block_spins
from rgstep.drawing import Plate
from rgstep.explorer import page_explorer
from rgstep.glossary import NUMBERS, SYMBOLS
from rgstep.instruments import FIXED_POINT, INSTRUMENTS, LOCALITY, vh_pattern
from rgstep.instruments.base import Instrument
from rgstep.plates import leading, plates_of_row
from rgstep.report import Report, headline, mark
from rgstep.results import MapReport, Quantity
from rgstep.roles import is_trained, judged
from rgstep.types import Progress

DPI = 150  # of figures, most of them 7.2 inches wide
WIDEST = 1100  # pixels of a figure on the page
QUALITY = 70  # of bitmaps on the page, of 100
SHADES = 96  # of the picture of curves on the page
SUBSCRIPT = r"(?<![\w@])([A-Za-zΔωξχτνΓβ]{1,2})_([a-zB0-9σε]{1,2})\b"
SUPERSCRIPT = r"\^(?:\(([^()]{1,9})\)|([A-Za-zΔ]{1,2}(?:<sub>[a-z]</sub>)?))"
PAPER = "https://arxiv.org/abs/1906.05212"
DETAILS = {  # pages of the documentation whose names are not those of their rows
    "vh_pattern": "tiles",
    "hidden_hamiltonian": "hamiltonian",
    "training": "../networks",
    "sampling": "../sampling",
    "spatial_correlator": "../measuring",
}


class Drawn(NamedTuple):
    """A figure as the page shows it: its name, caption and alternative text, and its picture as a data address."""

    name: str
    caption: str
    alt: str
    image: str  # "" for one that lies in figures/ alone
    group: str
    curves: bool  # lines and letters, not pictures


class Section(NamedTuple):
    """What the page says of one instrument: figures, those of one group together, and what was found for each map."""

    name: str
    title: str
    instrument: Instrument
    figures: list[list[Drawn]]
    said: dict[str, str]


def write_page(report: Report, folder: Path, progress: Progress | None = None) -> None:
    """Write `figures/*` and `report.html` into an existing folder."""
    (folder / "figures").mkdir(exist_ok=True)
    sections = []
    for done, name in enumerate(INSTRUMENTS):
        if progress:
            progress("drawing", done, len(INSTRUMENTS), name)
        sections.append(section(report, name, folder / "figures"))
    (folder / "report.html").write_text(page_of(report, sections, why(report, folder / "figures")), encoding="utf-8")
    if progress:
        progress("drawing", len(INSTRUMENTS), len(INSTRUMENTS), "report.html")


def page_of(report: Report, sections: list[Section], first: Drawn | None) -> str:
    """Return the page as text, from a report and its figures."""
    maps, told = report.maps, on_claims(report)
    own = judged(maps)
    measured = {name: i for name, i in INSTRUMENTS.items() if any(name in entry.diagnostics for entry in maps.values())}
    return template().render(
        report=report,
        origin=report.origin,
        sentence=words.headline(maps),
        answers=[words.answer(name, maps) for name in own],
        controls=words.on_controls(maps),
        first=first,
        ordered={**own, **{name: entry for name, entry in maps.items() if name not in own}},
        headline=headline,
        outside=outside(maps),
        shown=[name for name, instrument in measured.items() if instrument.headline],
        mark=mark,
        locality=LOCALITY,
        fixed_point=FIXED_POINT,
        pictured=[one for one in sections if one.figures],
        further=[one for one in sections if one.said and not one.figures],
        claims=told,
        trained=any(is_trained(entry) for entry in own.values()),
        symbols=SYMBOLS,
        numbers=NUMBERS,
        paper=PAPER,
        explorer=page_explorer(report),
    )


def outside(maps: Mapping[str, MapReport]) -> dict[str, dict[str, words.Carrier]]:
    """Return by map and row the first number outside its band, where the table of all maps would not show it."""
    found: dict[str, dict[str, words.Carrier]] = {name: {} for name in maps}
    for name, entry in maps.items():
        for number in words.carriers(name, maps):
            row = entry.diagnostics[number.row]
            quantity = row.estimates[number.quantity]
            if number.passed is False and not any(quantity is shown for shown in headline(number.row, row).values()):
                found[name].setdefault(number.row, number)
    return found


def on_claims(report: Report) -> list[Finding]:
    """Return the findings on P1, P2 and P3."""
    first = of_block_spins(report)
    return [*([first] if first else []), *findings(report)]


def why(report: Report, folder: Path) -> Drawn | None:
    """Write the figure of the first screen and return it, None for a report without judged pictures."""
    plate = vh_pattern.comparison(leading(report.maps))
    return save(plate, folder) if plate else None


def section(report: Report, name: str, folder: Path) -> Section:
    """Write the figures of one instrument; return what the page says of it."""
    figures = [save(plate, folder) for plate in plates_of(report, name)]
    said = {one: entry.diagnostics[name].why for one, entry in report.maps.items() if name in entry.diagnostics}
    parted = [list(group) for _, group in groupby(figures, key=attrgetter("group"))]
    return Section(name, heading(name), INSTRUMENTS[name], parted, said)


def plates_of(report: Report, name: str) -> Iterator[Plate]:
    """Yield the figures of one instrument."""
    yield from plates_of_row(report.maps, name)


def save(plate: Plate, folder: Path) -> Drawn:
    """Write a figure as PNG, curves as SVG too, and return it with a smaller picture as a data address."""
    bitmap = io.BytesIO()
    plate.figure.savefig(bitmap, format="png", dpi=DPI)
    (folder / f"{plate.name}.png").write_bytes(bitmap.getvalue())
    plate.figure.set_layout_engine("none")  # it is laid out
    if not plate.bitmap:
        plate.figure.savefig(folder / f"{plate.name}.svg", format="svg", metadata={"Date": None})
    image = data_address(bitmap, plate.bitmap) if plate.inline else ""
    return Drawn(plate.name, plate.caption, plate.alt, image, plate.group, not plate.bitmap)


def data_address(bitmap: io.BytesIO, pictures: bool) -> str:
    """Return a figure as WebP in a data address: pictures with small losses, curves in a palette and without any.

    The octree keeps the colours of thin lines; median cut, which shares out its colours by area, does not
    (docs/design-notes.md).
    """
    image = Image.open(bitmap).convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    if pictures:
        image.save(small, format="webp", quality=QUALITY)
    else:
        few = image.quantize(SHADES, Image.Quantize.FASTOCTREE)
        few.convert("RGB").save(small, format="webp", lossless=True, method=2)
    return f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"


def template() -> jinja2.Template:
    """Return the page's template."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rgstep", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "z": score,
        "heading": heading,
        "symbol": symbol,
        "typeset": typeset,
        "minus": minus,
        "anchor": anchor,
        "claimed": claimed,
        "about_row": about_row,
    }
    return environment.get_template("report.html.j2")


def heading(row: str) -> str:
    """Return the name of a row as a heading: "Two point", "MCRG", "⟨v h⟩ pattern"."""
    text = row.replace("_", " ").replace("mcrg", "MCRG").replace("vh", "⟨v h⟩").replace("hamiltonian", "Hamiltonian")
    return text[0].upper() + text[1:]


def anchor(name: str) -> str:
    """Return the anchor of a section: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def claimed(claim: str) -> str:
    """Return what a claim says, in a clause."""
    return CLAIMS[claim][0] if claim in CLAIMS else "one spot in the picture of each block spin, at its own place"


def about_row(row: str) -> str:
    """Return the page of the documentation on a row, as a path within the source."""
    path = DETAILS.get(row, row)
    return f"docs/{path.removeprefix('../')}.md" if path.startswith("../") else f"docs/diagnostics/{path}.md"


def typeset(text: str) -> Markup:
    """Return text with subscripts and superscripts set: y_t, Δ_m, k_B T, b^y_t, l^(7/4); everything else escaped."""
    lower = re.sub(SUBSCRIPT, r"\1<sub>\2</sub>", str(escape(text)))
    return Markup(re.sub(SUPERSCRIPT, lambda found: f"<sup>{found[1] or found[2]}</sup>", lower))


def symbol(label: str) -> Markup:
    """Return the label of a number with its meaning at hand: on hover, on focus, and in the printed glossary."""
    plain = re.sub(r"([₀-₉])", lambda match: "_" + str("₀₁₂₃₄₅₆₇₈₉".index(match[1])), label)
    if plain not in SYMBOLS:
        return typeset(label)
    meaning = escape(SYMBOLS[plain])
    return Markup(f'<abbr tabindex="0" title="{meaning}">{typeset(plain)}</abbr>')


def minus(text: object) -> Markup:
    """Return a number with a true minus sign; "(?)" for an error that is not known says so."""
    shown = re.sub(r"-(?=[\d∞.])", "−", str(text)).replace(" %", "\u00a0%").replace(" σ", "\u00a0σ")
    unknown = f'<abbr tabindex="0" title="{escape(SYMBOLS["(?)"])}">(?)</abbr>'
    return Markup(str(escape(shown)).replace("(?)", unknown))


def score(quantity: Quantity) -> str:
    """Return how many standard errors a number is from its exact value, empty where one is not known."""
    return "" if quantity.z is None else f"{quantity.z:+.1f}"
