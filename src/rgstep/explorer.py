"""The pictures of a report, to be touched: all units of all maps, as data for a page that needs no server.

A report holds ⟨v_i h_a⟩ of every spin and every unit with its error. `templates/explorer.js` shows them: in the page
of a report, in a notebook as a widget, or as plain HTML. What it is given is made here, and is small:

    ⟨v h⟩     whole multiples of a step, of which half is 0.001 or a tenth of the error at most, as differences from
              what the sites before and the unit before foretell
    errors    ε² = α_a − γ_a ⟨v h⟩², the form that they have for independent configurations, fitted to the jackknife's;
              for connected and mean subtracted pictures the same times one factor a unit
    β         nothing but C⁻¹: the page divides ⟨v h⟩ by the two-point function of the spins
    weights   multiples of a step, one standard deviation in a page and an eighth of one elsewhere

Noise does not compress, so that a page has room for some 1,500 pictures of 32×32 sites: of maps under judgement all
units are there, of others as many as fit. `explore(report)` has no such limit.
"""

import functools
import html
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from rgstep.arguments import FLAG, InputError, checked, instance, optional
from rgstep.blocking import Majority
from rgstep.controls import UNTRAINED
from rgstep.correlators import visible_hidden
from rgstep.patterns import partial_correlations
from rgstep.report import Report
from rgstep.results import MapReport
from rgstep.roles import OF_NULL, family

PAGE_LETTERS = 1_000_000  # of the data in a page
SMALL = 0.1  # largest |⟨v h⟩| of pictures that are told more finely
LETTERS = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"&<\\')  # 91 that need no escape anywhere
BITS = 13  # in two letters: 2¹³ ≤ 91²
FIXED = 4096  # one, of the coefficients of a forecast
OWN = ((0, -1), (0, -2), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-2, 0))  # sites before, of the same unit
BESIDE = ((0, 0), (0, -1), (-1, 0), (0, 1), (1, 0))  # sites of the unit before
LEADERS, GAIN = 12, 256  # units whose misses tell those of others, and one, of the gains
FITTED = 37  # every so many entries tell the coefficients of a forecast
PER_E = 200  # steps of a logarithm: half a percent
NO_NUMBER, ZERO = -32000, -31000  # among logarithms and facts

EXAMPLE_V = (  # the two configurations of sixteen spins of the post on arXiv:1906.05212, and four h for each
    (1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, -1, 1, 1, 1, 1),
    (1, -1, -1, -1, -1, 1, -1, 1, 1, 1, 1, -1, 1, -1, -1, -1),
)
EXAMPLE_H = ((1, -1, -1, -1), (1, 1, 1, -1))


class Grain(NamedTuple):
    """How finely numbers are told.

    Attributes:
        value: half a step of ⟨v h⟩, for pictures that are not small.
        share: half a step as a share of the error, where that is more.
        weights: the step of weights in units of their rms.
    """

    value: float
    share: float
    weights: float


EXACT = Grain(0.0, 0.0, 0.0)  # as finely as 15 bits can
FINE = Grain(0.001, 0.1, 0.125)
OF_PAGES = (  # with how many units of a map there are where there is no room for all; the first that serve are taken
    (Grain(0.001, 0.1, 1.25), (64, 49, 36, 25, 20, 16)),
    (Grain(0.002, 0.2, 1.5), (64, 49, 36, 25, 16, 9, 4, 1)),
)


class Pictures(NamedTuple):
    """The pictures of one map or of one of its levels, and what is known of its units."""

    name: str
    entry: MapReport
    level: int
    arrays: Mapping[str, np.ndarray]

    @property
    def units(self) -> int:
        """How many hidden units there are."""
        return len(self.arrays["vh"])

    @property
    def network(self) -> bool:
        """Whether the units have weights."""
        return "weights" in self.arrays

    @property
    def untrained(self) -> bool:
        """Whether it is a network that saw no data."""
        return family(self.name) == UNTRAINED or self.name.endswith(OF_NULL)


@dataclass(frozen=True, eq=False)
class Explorer:
    """The explorer of a report as plain HTML: the last line of a notebook shows it, `save` writes it.

    Attributes:
        data: what the script shows, JSON without < and &.
    """

    data: str

    @property
    def script(self) -> str:
        """The script that shows the data."""
        return asset("explorer.js")

    @property
    def style(self) -> str:
        """The style of what it shows."""
        return asset("explorer.css")

    def to_html(self) -> str:
        """Return a page of its own that fetches nothing."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>rgstep: the pictures</title>'
            "<style>body{margin:1rem;font:16px/1.5 system-ui,'DejaVu Sans',sans-serif;color-scheme:light dark}"
            f"</style></head><body>{self.block()}</body></html>\n"
        )

    def block(self) -> str:
        """Return the part of a page that holds it: hidden until the script runs."""
        return (
            f'<div id="explorer" class="rgx" hidden></div>\n<style>{self.style}</style>\n'
            f'<script type="application/json" id="explorer-data">{self.data}</script>\n'
            f"<script>{self.script}\nrgstepExplorer(document.getElementById('explorer'), "
            "document.getElementById('explorer-data').textContent);</script>"
        )

    def _repr_html_(self) -> str:
        """Return a frame with the page in it, so that its style and the notebook's do not meet."""
        frame = 'style="width:100%;height:56rem;border:0"'
        return f'<iframe title="Pictures of a report" {frame} srcdoc="{html.escape(self.to_html())}"></iframe>'


@checked(report=instance(Report, "give what rgstep.judge or rgstep.load returned"), widget=optional(FLAG))
def explore(report: Report, widget: bool | None = None) -> Any:
    """Return the pictures of a report, to be touched: the last line of a notebook shows them.

    Args:
        report: what `judge`, `compare` or `load` returned.
        widget: True for a widget of anywidget, False for plain HTML (an `Explorer`, whose `to_html` can be written to
            a file), None for the widget where anywidget is installed.

    Raises:
        InputError: if the report holds no pictures, or a widget is asked for and anywidget is not installed.

    Examples:
        >>> report = rg.judge(rg.sample(8, samples=1_000, seed=0), {"majority": rg.Majority()})
        >>> page = rg.explore(report, widget=False).to_html()
        >>> "majority" in page
        True
    """
    found = page_explorer(report, letters=None)
    if found is None:
        message = "the report holds no pictures ⟨v h⟩ to explore: judge maps with the row vh_pattern"
        raise InputError(message)
    if widget is False:
        return found
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        if widget is None:
            return found
        message = "the explorer as a widget needs anywidget: pip install 'rgstep[notebook]', or leave widget out"
        raise InputError(message) from error
    return as_widget(found, anywidget.AnyWidget, traitlets.Unicode)


def as_widget(explorer: Explorer, base: Any, unicode: Any) -> Any:
    """Return an explorer as a widget; `base` is anywidget's class, `unicode` the trait of a text that is sent."""
    module = (
        f"{explorer.script}\nexport default {{ render({{ model, el }}) {{ "
        "const root = document.createElement('div'); root.className = 'rgx'; el.append(root); "
        "rgstepExplorer(root, model.get('data')); } };"
    )
    made = type("ExplorerWidget", (base,), {"_esm": module, "_css": explorer.style, "data": unicode().tag(sync=True)})
    return made(data=explorer.data)


@functools.cache
def asset(name: str) -> str:
    """Return a file of the templates."""
    return (resources.files("rgstep") / "templates" / name).read_text(encoding="utf-8").strip()


def page_explorer(report: Report, letters: int | None = PAGE_LETTERS) -> Explorer | None:
    """Return the explorer of a report, its data no longer than so many letters; None where it holds no pictures.

    Further seeds of a network are left out, as in the figures.
    """
    found = list(pictures_of(report))
    if not found:
        return None
    example = [
        {**encoded(pictures, pictures.units, EXACT), **of_spins(pictures.arrays)} for pictures in worked_example()
    ]
    common = {
        "size": len(found[0].arrays["vh"][0]),
        "samples": report.origin["samples"],
        "letters": LETTERS,
        "own": OWN,
        "beside": BESIDE,
        "fixed": FIXED,
        "leaders": LEADERS,
        "gain": GAIN,
        "perE": PER_E,
        "noNumber": NO_NUMBER,
        "zero": ZERO,
        "inverse": inverse_of(found),
        "example": example,
        **of_spins(found[0].arrays),
    }
    if letters is None:
        maps = [encoded(pictures, pictures.units, FINE) for pictures in found]
    else:
        maps = fitting(found, letters - len(dumped(common)))
    return Explorer(dumped({**common, "maps": maps}))


def pictures_of(report: Report) -> Iterator[Pictures]:
    """Yield the pictures of every map and level, of a network that of its first seed."""
    seen: set[str] = set()
    for name, entry in report.maps.items():
        arrays = entry.arrays.get("vh_pattern", {})
        if "vh" not in arrays or family(name) in seen:
            continue
        seen.add(family(name))
        yield Pictures(name, entry, 1, arrays)
        level = 2
        while f"level_{level}_vh" in arrays:
            head = f"level_{level}_"
            own = {key.removeprefix(head): values for key, values in arrays.items() if key.startswith(head)}
            yield Pictures(name, entry, level, own)
            level += 1


def worked_example() -> Iterator[Pictures]:
    """Yield the pictures of the example of the post, and those of the majority rule on its configurations."""
    v = np.array(EXAMPLE_V, np.int8).reshape(-1, 4, 4)
    given = np.array(EXAMPLE_H, np.int8)
    ruled = np.asarray(Majority().mean_h(v)).reshape(len(v), -1)
    for name, about, h in (
        ("worked example", "two configurations of 4×4 spins with four h each, as in the post", given),
        ("worked example, majority rule", "the same configurations, h the sign of each 2×2 block, 0 for a tie", ruled),
    ):
        estimate = visible_hidden(v, h)
        arrays = {
            "vh": np.asarray(estimate.value),
            "vh_error": np.asarray(estimate.error),
            "example_v": v,
            "example_h": h,
            "mean_v": v.mean(axis=0),
            "unit_mean_h": h.mean(axis=0),
        }
        yield Pictures(name, MapReport("", "example", about, {}), 1, arrays)


def inverse_of(found: Sequence[Pictures]) -> list[list[float]] | None:
    """Return C⁻¹(d), the inverse of the spins' two-point function, `(row, column)` of d; None where that is unknown."""
    for pictures in found:
        two_point = pictures.entry.arrays.get("two_point", {}).get("G_0")
        if two_point is not None:
            one = np.zeros((1, *two_point.shape))
            one[0, 0, 0] = 1.0
            inverse = np.asarray(partial_correlations(one, two_point)[0], np.float64)
            return [[float(f"{value:.4g}") for value in row] for row in inverse]
    return None


def fitting(found: Sequence[Pictures], room: int) -> list[dict[str, Any]]:
    """Return the encoded pictures, in their order: of the foremost all units, of others as many as there is room for.

    Foremost are the maps under judgement and the majority rule; then come the first network that saw no data, the
    other controls, and the levels. The first choice of grain and number of units is taken that has room for all units
    of the foremost, or the one with room for most of them.
    """
    foremost = [i for i, pictures in enumerate(found) if rank(pictures) <= 1]
    best: tuple[int, list[dict[str, Any]]] = -1, []
    for grain, parts in OF_PAGES:
        few = [cut(pictures, parts[-1], grain) for pictures in found]
        least = sum(len(dumped(one)) + 1 for one in few)
        for units in parts:
            if units > parts[-1] and least * units / parts[-1] > 1.3 * room:  # sure to be too long: not tried
                continue
            chosen = filled(found, grain, units, room)
            full = sum(chosen[i]["shown"] == found[i].units for i in foremost) if chosen else -1
            if full > best[0]:
                best = full, chosen
            if full == len(foremost):
                return chosen
    return best[1]


def cut(pictures: Pictures, units: int, grain: Grain) -> dict[str, Any]:
    """Return the encoded pictures of the first units."""
    return encoded(pictures, min(units, pictures.units), grain)


def filled(found: Sequence[Pictures], grain: Grain, units: int, room: int) -> list[dict[str, Any]]:
    """Return the maps with so many units each, made whole one by one as room allows; none if they have no room."""
    chosen = [cut(pictures, units, grain) for pictures in found]
    free = room - sum(len(dumped(one)) + 1 for one in chosen)
    if free < 0:
        return []
    for i in sorted(range(len(found)), key=lambda i: (rank(found[i]), i)):
        length, share = len(dumped(chosen[i])), found[i].units / chosen[i]["shown"]
        if share == 1 or 0.75 * length * share - length > free:  # sure to be too long
            continue
        every = cut(found[i], found[i].units, grain)
        if (more := len(dumped(every)) - length) <= free:
            free, chosen[i] = free - more, every
    return chosen


def rank(pictures: Pictures) -> int:
    """Return how early a map gets all its units: 0 is first."""
    if pictures.level > 1:
        return 4
    if pictures.entry.kind != "control":
        return 0
    return 1 if family(pictures.name) == "majority" else 2 if family(pictures.name) == UNTRAINED else 3


def chosen_units(pictures: Pictures, shown: int) -> np.ndarray:
    """Return which units are shown where not all are: a corner of the lattice of h, of a network the first."""
    side, part = math.isqrt(pictures.units), math.isqrt(shown)
    if shown == pictures.units or pictures.network or side**2 != pictures.units:
        return np.arange(shown)
    return np.concatenate([row * side + np.arange(part) for row in range(part)])


def encoded(pictures: Pictures, shown: int, grain: Grain) -> dict[str, Any]:
    """Return what the page is told of a map, of so many of its units."""
    units = chosen_units(pictures, shown)
    arrays = {
        key: values[units] if key.startswith(("unit_", "vh")) or key in ("beta", "weights") else values
        for key, values in pictures.arrays.items()
    }
    vh = np.nan_to_num(np.asarray(arrays["vh"], np.float64))
    errors = np.nan_to_num(np.asarray(arrays["vh_error"], np.float64))
    step = step_of(vh, errors, grain)
    noise, roughness = error_forms(np.rint(vh / step) * step, errors, arrays)
    entry = pictures.entry
    return {
        "name": pictures.name,
        "level": pictures.level,
        "about": entry.about,
        "kind": entry.kind,
        "verdict": entry.verdict,
        "untrained": pictures.untrained,
        "units": pictures.units,
        "shown": len(units),
        "which": None if units[-1] == len(units) - 1 else units.tolist(),
        "size": vh.shape[1],
        "step": step,
        "roughness": round(roughness, 3),
        "dead": np.flatnonzero(arrays["unit_correlation_m"] == 0).tolist() if "unit_correlation_m" in arrays else [],
        **forecast(np.rint(vh / step).astype(np.int64)),
        **noise,
        **facts(arrays),
        **of_hidden(arrays, step),
        **(weights(arrays["weights"], grain.weights) if "weights" in arrays else {}),
    }


def step_of(vh: np.ndarray, errors: np.ndarray, grain: Grain) -> float:
    """Return the step of ⟨v h⟩: half of it is a tenth of the typical error, or 0.001 where that is more."""
    largest, typical = float(np.abs(vh).max(initial=0.0)), float(np.median(errors)) if errors.size else 0.0
    if largest == 0.0:
        return 1.0
    half = max(grain.share * typical, grain.value * min(1.0, largest / SMALL))
    return 2 * max(half, largest / 30_000)


def forecast(levels: np.ndarray) -> dict[str, Any]:
    """Return whole numbers `(unit, row, column)` as differences from a linear forecast of whole coefficients.

    The forecast of a site reads sites before it and the unit before, with the same coefficients everywhere; what it
    misses is in part what it missed of the first `LEADERS` units at the same site, with gains of each unit's own:
    units of networks have their noise in common, that of the total magnetisation first.
    """
    before = terms(levels)
    rows = before.reshape(len(before), -1).T
    some = rows[::FITTED] if len(rows) > FITTED * len(before) * 10 else rows
    target = levels.ravel()[::FITTED] if some is not rows else levels.ravel()
    solved, *_ = np.linalg.lstsq(some.astype(np.float64), target.astype(np.float64), rcond=None)
    coefficients = np.rint(FIXED * np.clip(solved, -8, 8)).astype(np.int64)
    told = (rows @ coefficients).reshape(len(levels), -1)
    missed = FIXED * levels.reshape(told.shape) - told
    gains = np.zeros((len(levels), LEADERS), np.int64)
    for unit in range(1, len(levels)):
        leaders = missed[: min(unit, LEADERS)]
        shares, *_ = np.linalg.lstsq(leaders.T.astype(np.float64), missed[unit].astype(np.float64), rcond=None)
        gains[unit, : len(leaders)] = np.rint(GAIN * np.clip(shares, -8, 8))
        told[unit] += gains[unit, : len(leaders)] @ leaders // GAIN
    rest = levels.reshape(told.shape) - (told + FIXED // 2) // FIXED
    return {"coefficients": coefficients.tolist(), "gains": packed(gains.ravel()), "vh": packed(rest.ravel())}


def terms(levels: np.ndarray) -> np.ndarray:
    """Return what a forecast reads, `(term, unit, row, column)`: columns go round, rows before the first are 0."""
    found = []
    for rows, columns in OWN:
        moved = np.zeros_like(levels)
        if rows == 0:
            moved[:, :, -columns:] = levels[:, :, :columns]
        else:
            moved[:, -rows:] = np.roll(levels, -columns, axis=2)[:, :rows]
        found.append(moved)
    previous = np.zeros_like(levels)
    previous[1:] = levels[:-1]
    found += [np.roll(previous, (-rows, -columns), axis=(1, 2)) for rows, columns in BESIDE]
    return np.stack(found)


def error_forms(vh: np.ndarray, errors: np.ndarray, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], float]:
    """Return the fitted form of the errors unit by unit, and the rms relative difference of form and jackknife.

    ε² = α_a − γ_a ⟨v h⟩² with 0 ≤ γ_a ⟨v h⟩² ≤ 0.9 α_a; `connected` and `flattened` are the factors of the other two
    kinds of pictures.
    """
    p, e = np.square(vh).reshape(len(vh), -1), np.square(errors).reshape(len(vh), -1)
    p_mean, e_mean = p.mean(axis=1), e.mean(axis=1)
    spread = np.square(p - p_mean[:, None]).sum(axis=1)
    slope = -((p - p_mean[:, None]) * (e - e_mean[:, None])).sum(axis=1)
    gamma = np.divide(slope, spread, out=np.zeros(len(vh)), where=spread > 0)
    steepest = 0.9 * e_mean / np.maximum(p.max(axis=1) - 0.9 * p_mean, 1e-300)
    gamma = np.clip(gamma, 0, steepest)
    alpha = e_mean + gamma * p_mean
    form = np.sqrt(np.maximum(alpha[:, None] - gamma[:, None] * p, 0))
    known = e > 0
    off = np.divide(form, np.sqrt(e), out=np.ones_like(form), where=known) - 1
    found = {"alpha": logarithms(alpha), "gamma": logarithms(gamma)}
    for name in ("connected", "flattened"):
        if (scale := arrays.get(f"unit_{name}_error")) is not None:
            rms = np.sqrt(e_mean)
            found[name] = logarithms(np.divide(scale, rms, out=np.ones(len(vh)), where=rms > 0))
    return found, float(np.sqrt(np.square(off).mean())) if off.size else 0.0


def facts(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what the row has found of each unit and its picture does not show: correlation with M, place, extent."""
    found = {}
    for key, name, scale in (
        ("unit_correlation_m", "corr", 1000),
        ("unit_tile_radius", "radius", 100),
        ("unit_core_share", "core", 1000),
    ):
        if key in arrays:
            found[name] = packed(whole(arrays[key], scale))
    if "unit_tile_centre" in arrays:
        found["row"], found["column"] = (packed(whole(arrays["unit_tile_centre"][:, axis], 10)) for axis in (0, 1))
    return found


def of_spins(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what is said of the spins once for all maps: ⟨v⟩, and the configurations that the row keeps."""
    found: dict[str, Any] = {}
    if "mean_v" in arrays:
        found["meanV"] = packed(whole(arrays["mean_v"], 1e4).ravel())
    if "example_v" in arrays:
        v = np.asarray(arrays["example_v"], np.int64)
        found |= {"examples": len(v), "exampleV": packed(v.ravel())}
    return found


def of_hidden(arrays: Mapping[str, np.ndarray], step: float) -> dict[str, Any]:
    """Return ⟨h⟩ in tenths of a step, for connected pictures, and h of the configurations that the row keeps."""
    found: dict[str, Any] = {}
    if "unit_mean_h" in arrays:
        fine = max(step / 10, float(np.abs(arrays["unit_mean_h"]).max(initial=0.0)) / 30_000)
        found |= {"meanUnit": fine, "meanH": packed(whole(arrays["unit_mean_h"], 1 / fine))}
    if "example_h" in arrays:
        h = np.asarray(arrays["example_h"], np.float64)
        unit = max(float(np.abs(h).max(initial=0.0)), 1e-12) / 100
        found |= {"exampleUnit": unit, "exampleH": packed(whole(h, 1 / unit).ravel())}
    return found


def weights(values: np.ndarray, fine: float) -> dict[str, Any]:
    """Return weights as multiples of a share of their rms."""
    rms = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
    step = max(fine * rms, float(np.abs(values).max(initial=0.0)) / 30_000) or 1.0
    return {"weightStep": step, "weights": packed(whole(values, 1 / step).ravel())}


def whole(values: np.ndarray, scale: float) -> np.ndarray:
    """Return numbers as whole multiples of 1/scale, what is not finite as `NO_NUMBER`."""
    finite = np.isfinite(values)
    return np.where(finite, np.rint(np.where(finite, values, 0) * scale), NO_NUMBER).astype(np.int64)


def logarithms(values: np.ndarray) -> dict[str, Any]:
    """Return numbers ≥ 0 by their logarithms, to a quarter of a percent."""
    known = np.isfinite(values)
    some = known & (values > 0)
    rounded = np.rint(PER_E * np.log(np.where(some, values, 1.0)))
    return packed(np.where(some, rounded, np.where(known, ZERO, NO_NUMBER)).astype(np.int64))


def packed(values: np.ndarray) -> dict[str, Any]:
    """Return whole numbers below 2¹⁵ in size as text: folded to ≥ 0, deflated, low bytes and high bytes apart."""
    folded = np.where(values < 0, -2 * values - 1, 2 * values)
    low, high = (folded & 255).astype(np.uint8), (folded >> 8).astype(np.uint8)
    return {"count": len(folded), "low": text_of(low), **({"high": text_of(high)} if high.any() else {})}


def text_of(data: np.ndarray) -> list[Any]:
    """Return bytes as how many their deflated form has, and its text; noise is best not searched for repetitions."""
    shortest = deflated(data, zlib.Z_HUFFMAN_ONLY)
    if 3 * len(shortest) < len(data):  # much of it is alike
        shortest = min(shortest, deflated(data, zlib.Z_DEFAULT_STRATEGY), key=len)
    return [len(shortest), as_letters(shortest)]


def deflated(data: np.ndarray, strategy: int) -> bytes:
    """Return bytes deflated, without a header."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy)
    return deflate.compress(data.tobytes()) + deflate.flush()


def as_letters(data: bytes) -> str:
    """Return bytes as text, thirteen bits in two of `LETTERS`: 23 % longer, where base64 is 33 %."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    padded = np.zeros(-(-len(bits) // BITS) * BITS, np.uint8)
    padded[: len(bits)] = bits
    numbers = padded.reshape(-1, BITS) @ (1 << np.arange(BITS - 1, -1, -1))
    alphabet = np.frombuffer(LETTERS.encode(), np.uint8)
    two = np.stack([numbers // len(LETTERS), numbers % len(LETTERS)], axis=1)
    return bytes(alphabet[two].tobytes()).decode()


def dumped(value: Any) -> str:
    """Return plain values as JSON that can stand in a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")
