"""The page: the answer before everything else, nothing empty, nothing that only some readers can see."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import rgstep as rg
from rgstep import page, words
from rgstep.drawing import COLOURS, Plate, sheet
from rgstep.estimates import Estimate
from rgstep.glossary import NUMBERS, SYMBOLS
from rgstep.instruments import INSTRUMENTS, coherence, drift, gain, mcrg, two_point, vh_pattern
from rgstep.report import Report
from rgstep.results import FEATURES, LOCAL, RG_STEP, Diagnostic, MapReport, Quantity

ROOT = Path(__file__).parent.parent
CSS = (ROOT / "src/rgstep/templates/report.css").read_text(encoding="utf-8")
RULE, NULL = "Majority(block=2, ties='random')", "RBM(64 visible, 16 hidden, preset=untrained, steps=0, seed=0)"
NETWORK = "RBM(64 visible, 16 hidden, preset=default, steps=100, seed=0)"
ORIGIN = {
    "size": 8,
    "temperature": rg.CRITICAL_TEMPERATURE,
    "samples": 1000,
    "seed": 0,
    "version": "0",
    "started": "now",
    "seconds": 1.0,
    "command": "rgstep compare",
}
PICTURED = ("vh_pattern", "coherence", "gain")


def entry(verdict, kind, about, extended, omega=-0.5):
    side = "outside" if extended > 0.1 else "inside"
    rows = {
        "vh_pattern": Diagnostic(
            extended <= 0.1,
            f"extended_units = {extended}(10), {side} (−∞, 0.1] by 9 σ; tiles by the coefficients",
            {
                "extended_units": Quantity(Estimate(extended, 0.01)),
                "core_share": Quantity(Estimate(0.5, np.nan)),
                "local_units": Quantity(Estimate(1 - extended, 0.01)),
                "crowded_units": Quantity(Estimate(0.0, 0.0)),
            },
        ),
        "coherence": Diagnostic(True, "coherence", {"omega_1": Quantity(Estimate(omega, 0.1), -0.4)}),
        "tangent": Diagnostic(None, "checks operators and configurations, not the map", {}),
    }
    return MapReport(verdict, kind, about, rows, reason="vh_pattern: extended_units")


def report(rule=RG_STEP, name="rbm"):
    maps = {
        "majority": entry(rule, "control", RULE, 0.0),
        "null": entry(FEATURES, "control", NULL, 1.0),
        name: entry(FEATURES, "judged", NETWORK, 0.9),
    }
    return Report(ORIGIN, maps)


def written(given, figures=True):
    """The page of a report, its figures made up."""
    picture = "data:image/webp;base64,AA=="
    one = page.Drawn("toy_figure", "What is seen. And more of it.", "What is seen.", picture, group="", curves=True)
    sections = []
    for name in INSTRUMENTS:
        said = {m: e.diagnostics[name].why for m, e in given.maps.items() if name in e.diagnostics}
        drawn = [[one._replace(name=f"{name}_figure")]] if figures and name in PICTURED and said else []
        sections.append(page.Section(name, page.heading(name), INSTRUMENTS[name], drawn, said))
    return page.page_of(given, sections, one._replace(name="why") if figures else None)


class Reader(HTMLParser):
    """Headings with whether anything stands under them, anchors, links, and the attributes of some elements."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.ids, self.links, self.found, self.inside = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.found.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        if tag in ("h1", "h2", "h3"):
            self.headings.append([tag, "", False])
            self.inside = tag
        elif tag == "img" and self.headings:
            self.headings[-1][2] = True

    def handle_endtag(self, tag):
        self.inside = None if tag == self.inside else self.inside

    def handle_data(self, data):
        if self.inside:
            self.headings[-1][1] += data
        elif self.headings and data.strip():
            self.headings[-1][2] = True

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def empty_headings(text):
    """Headings with nothing before the next of the same level or above; h2 may have h3 below."""
    found = Reader(text).headings
    return [
        said
        for i, (tag, said, filled) in enumerate(found)
        if not filled and not (tag == "h2" and i + 1 < len(found) and found[i + 1][0] == "h3")
    ]


def test_the_answer_stands_before_every_heading_but_the_title():
    given = report()
    text = written(given)
    said = words.headline(given.maps)
    assert said.startswith("The trained network rbm is not an RG step: ")
    at = text.index(said.split(":")[0])
    assert text.index("<h1>") < at < text.index("<h2")
    order = [
        text.index(f'id="{one}"') for one in ("judged", "controls", "why", "contents", "question", "table", "claims")
    ]
    assert order == sorted(order)
    assert text.index('<th scope="row">rbm<br>') < text.index('<th scope="row">majority<br>')
    assert "What would change it." in text


def test_the_place_of_the_explorer_is_kept():
    template = (ROOT / "src/rgstep/templates/report.html.j2").read_text(encoding="utf-8")
    assert "pictures: the explorer" in template or "explorer" in template
    assert template.index("explorer") > template.index('id="why"')


def test_controls_are_folded_unless_one_came_out_otherwise():
    text = written(report())
    assert '<details id="controls"><summary>2 of 2 controls as expected.' in text
    odd = written(report(rule=LOCAL))
    assert '<details id="controls" open><summary>1 of 2 controls as expected: majority should be' in odd
    assert "(not as expected)" in odd


def test_no_heading_has_nothing_under_it():
    assert empty_headings(written(report())) == []
    assert empty_headings(written(report(), figures=False)) == []
    assert "Tangent" in written(report())
    assert "Kadanoff" not in re.sub(r"<dl.*?</dl>", "", written(report()), flags=re.S)  # no map has it
    assert empty_headings("<h2>a</h2><h2>b</h2><p>text</p>") == ["a"]


def test_contents_lead_somewhere_and_no_anchor_is_given_twice():
    found = Reader(written(report()))
    within = {link[1:] for link in found.links if link.startswith("#")}
    assert len(within) > 8
    assert within <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert page.PAPER in found.links


def test_tables_have_captions_and_scopes():
    text = written(report())
    found = Reader(text)
    assert len(found.all("table")) == len(found.all("caption")) > 3
    assert all(attrs.get("scope") in ("col", "row") for attrs in found.all("th"))
    assert all(attrs.get("tabindex") == "0" for attrs in found.all("div") if "wide" in attrs.get("class", ""))
    assert "position: sticky" in CSS


def sentence(text):
    return bool(re.match(r"\S.{15,}[.]$", text, flags=re.S)) and len(text.split()) >= 3


def test_alternative_texts_are_sentences():
    assert all(attrs["alt"] == "What is seen." for attrs in Reader(written(report())).all("img"))
    captions = [vh_pattern.OF_PICTURES, vh_pattern.OF_UNIT, vh_pattern.OF_CONTRAST, vh_pattern.OF_TILES]
    captions += [one.CAPTION for one in (mcrg, drift, gain, coherence, two_point)]
    for caption in captions:
        assert sentence(Plate("x", caption.replace("{}", "majority"), None).alt)
    assert not sentence("vh_rbm_default%40untrained")


def test_every_headline_symbol_has_its_meaning_at_hand():
    text = written(report())
    for attrs in Reader(text).all("abbr"):
        assert attrs["tabindex"] == "0"
        assert len(attrs["title"]) > 10
    for instrument in INSTRUMENTS.values():
        for label in instrument.headline.values():
            assert "<abbr" in page.symbol(label), label
    assert "<abbr" not in page.symbol("no symbol")
    glossary = text[text.index('id="glossary"') :]
    assert all(page.typeset(meaning) in glossary for meaning in SYMBOLS.values())
    assert all(f"<code>{name}</code>" in glossary for name in NUMBERS)
    assert re.search(r'title="the error of this number is not known[^"]*">\(\?\)</abbr>', text)


def test_powers_are_typeset():
    assert page.typeset("b^y_t, l^(7/4), b^Δ_m, J/k_B") == (
        "b<sup>y<sub>t</sub></sup>, l<sup>7/4</sup>, b<sup>Δ<sub>m</sub></sup>, J/k<sub>B</sub>"
    )
    assert page.typeset("2^n <b>") == "2<sup>n</sup> &lt;b&gt;"


def test_the_table_of_all_maps_names_the_number_that_failed():
    """Where the headline of the row does not show it; a row that passes names none."""
    given = report()
    assert {name: list(rows) for name, rows in page.outside(given.maps).items()} == {
        "majority": [],
        "null": ["vh_pattern"],
        "rbm": ["vh_pattern"],
    }
    shown = next(iter(page.headline("vh_pattern", given["rbm"].diagnostics["vh_pattern"])))
    assert shown != "extended_units"
    assert written(given).count(": units that are not local 90.0(1.0)") == 1


def test_symbols_and_minus_signs_are_typeset():
    assert (
        page.typeset("y_t and Δ_m, not rbm_default or <i>")
        == "y<sub>t</sub> and Δ<sub>m</sub>, not rbm_default or &lt;i&gt;"
    )
    assert page.minus("-0.5(1), L-shaped") == "−0.5(1), L-shaped"
    cells = re.findall(r'<td class="n[^"]*">(.*?)</td>', written(report()), flags=re.S)
    assert any("−" in cell for cell in cells)
    assert not any(re.search(r"-\d", re.sub(r"<[^>]*>", "", cell)) for cell in cells)


def test_names_are_text_everywhere():
    name = '<script>alert("x")</script> & 🦆'
    text = written(report(name=name))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "🦆" in text


def test_claims_end_in_an_outcome():
    text = written(report())
    assert re.search(r'<b>P1, majority: <span class="pass">supported</span>', text)
    assert not re.search(r"nothing follows about a training", text)


# --- colours and size


def variables(block):
    return dict(re.findall(r"--(\w+): (#[0-9a-fA-F]{6})", block))


def contrast(one, other):
    """The contrast of two colours, by WCAG 2."""

    def luminance(colour):
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05

    low, high = sorted((luminance(one), luminance(other)))
    return high / low


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_of_text_can_be_read(dark):
    light, night = (variables(block) for block in re.findall(r":root \{(.*?)\}", CSS, flags=re.S))
    colours = night if dark else light
    assert light.keys() == night.keys()
    for text in ("text", "quiet", "link", "pass", "fail", "open"):
        for ground in ("ground", "shade"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast("#777777", "#ffffff") < 4.5
    assert not re.search(r"color: #(?!fff)", CSS)  # all text by these variables


def test_print_loses_nothing():
    printed = CSS[CSS.index("@media print") :]
    assert "details-content" in printed
    assert "overflow: visible" in printed
    assert "prefers-color-scheme: dark" in CSS
    assert "screen and (prefers-color-scheme: dark)" in CSS  # and paper is white


def test_figures_on_the_page_are_small():
    """A plate of 256 noisy pictures of 32×32, and one of curves."""
    rng = np.random.default_rng(0)
    clouds = np.cumsum(np.cumsum(rng.standard_normal((256, 32, 32)), axis=1), axis=2) / 100
    figure = vh_pattern.pictures({"vh": clouds}, "mine", 1.0)
    with sheet(size=(7.2, 4.0)) as (curves, (axes,)):
        for _ in range(7):
            axes.plot(np.cumsum(rng.standard_normal(200)))
    for plate in (Plate("a", "b.", figure, bitmap=True), Plate("c", "d.", curves)):
        bitmap = io.BytesIO()
        plate.figure.savefig(bitmap, format="png", dpi=page.DPI)
        address = page.data_address(bitmap, plate.bitmap)
        assert address.startswith("data:image/webp;base64,UklGR")
        assert len(address) < 160_000


@pytest.mark.parametrize("kept", [True, False])
def test_thin_lines_keep_the_colours_of_their_maps(monkeypatch, kept):
    """Some pixel is nearer to each than half of what parts it from the next; the twin is median cut in 32."""
    if not kept:
        quantize = page.Image.Image.quantize
        monkeypatch.setattr(page.Image.Image, "quantize", lambda image, *_: quantize(image, 32))
    with sheet(size=(7.2, 4.6)) as (figure, (axes,)):
        axes.imshow(np.linspace(0, 1, 300)[None], aspect="auto", extent=(0, 1, -1, 0), cmap="gray")
        for i, colour in enumerate(COLOURS):
            axes.plot([0, 1], [i, i + 0.5], color=colour, linewidth=0.8)
        bitmap = io.BytesIO()
        figure.savefig(bitmap, format="png", dpi=page.DPI)
    address = page.data_address(bitmap, pictures=False)
    pixels = np.asarray(page.Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB"), int)
    wanted = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS])
    apart = np.abs(wanted[:, None] - wanted).sum(axis=2) + 765 * np.eye(len(COLOURS), dtype=int)
    missed = np.array([np.abs(pixels - colour).sum(axis=2).min() for colour in wanted])
    assert (missed < apart.min(axis=1) / 2).all() == kept
