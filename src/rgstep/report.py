"""The answer: per map, per diagnostic, the estimates, whether they pass, and why.

`to_dict()` is `report.json`; the arrays behind the figures lie beside it in `data/`, one `.npz` file per map.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rgstep.arguments import FLAG, PATH, PLAIN, checked, instance, mapping
from rgstep.errors import InputError
from rgstep.estimates import Estimate
from rgstep.files import output_folder, read_arrays, write_arrays

SCHEMA = 1
NOT_JUDGED = "not judged"
DECIDING = ("vh_pattern", "two_point", "hidden_hamiltonian", "mcrg", "drift")
HEADLINES = {  # the quantities of each diagnostic that the table shows, with short labels
    "sampling": {"u": "u"},
    "training": {"kl_per_spin": "KL"},
    "vh_pattern": {"core_share": "core"},
    "two_point": {"shape_deviation": "δ"},
    "hidden_hamiltonian": {"K_nn[1]": "K", "locality_q[1]": "Q"},
    "mcrg": {"y_t[0]": "y_t", "y_h[0]": "y_h"},
    "drift": {"delta_m[0]": "Δ_m", "U4_drift[1]": "ΔU₄"},
    "information": {"I_ratio": "I"},
    "conditional_entropy": {"entropy": "H"},
}


@dataclass(frozen=True)
class Quantity:
    """A measured number, and the exact value where one is known."""

    estimate: Estimate
    exact: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return value, error and exact; what is not finite is null."""
        return {
            "value": finite(self.estimate.value),
            "error": finite(self.estimate.error),
            "exact": finite(self.exact),
        }


@dataclass(frozen=True)
class Diagnostic:
    """One row of the battery for one map: `passed` is None where no criterion applies, or where it is undecided."""

    passed: bool | None
    why: str
    estimates: Mapping[str, Quantity]

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        quantities = {name: quantity.to_dict() for name, quantity in self.estimates.items()}
        return {"passed": self.passed, "why": self.why, "estimates": quantities}


@dataclass(frozen=True, eq=False)
class MapReport:
    """All rows for one map; `kind` is "control" or "judged", `about` says what the map is in a few words.

    `reason` says which rows decided the verdict, and how. `arrays` holds what the figures show.
    """

    verdict: str
    kind: str
    about: str
    diagnostics: Mapping[str, Diagnostic]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the map's rows as plain values."""
        rows = {name: row.to_dict() for name, row in self.diagnostics.items()}
        words = {"verdict": self.verdict, "reason": self.reason, "kind": self.kind, "about": self.about}
        return {**words, "diagnostics": rows}


ROWS = mapping("give the rows of each map by its name", instance(MapReport, "give what rgstep.judge returned"))


@checked(origin=PLAIN, maps=ROWS)
@dataclass(frozen=True, eq=False)
class Report:
    """The whole answer: where it comes from, and the rows of each map by name."""

    origin: Mapping[str, Any]
    maps: Mapping[str, MapReport]

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds."""
        maps = {name: entry.to_dict() for name, entry in self.maps.items()}
        return {"schema": SCHEMA, "origin": plain(dict(self.origin)), "maps": maps}

    @checked(directory=PATH, force=FLAG)
    def save(self, directory: str | Path, force: bool = False) -> None:
        """Write `report.json` and `data/` into a folder; `rgstep report` draws the page from them.

        Raises:
            InputError: if the folder holds something and `force` is not set, or cannot be written.
        """
        with output_folder(Path(directory), force) as folder:
            self.write(folder)

    def write(self, folder: Path) -> None:
        """Write `report.json` and `data/` into an existing folder."""
        (folder / "data" / "maps").mkdir(parents=True, exist_ok=True)
        for name, entry in self.maps.items():
            write_arrays(folder / "data" / "maps" / f"{file_name(name)}.npz", entry.arrays)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")

    @checked(narrow=FLAG)
    def table(self, narrow: bool = False) -> Table:
        """Return one row per map, one column per diagnostic, the verdict last; `narrow`: those that decide alone."""
        of_interest = DECIDING if narrow else ("training", *DECIDING, "information")
        shown = [name for name in of_interest if any(name in entry.diagnostics for entry in self.maps.values())]
        heads = [name.replace("_", "\n") + lone_label(name) for name in shown]
        table = Table("map", *heads, "verdict", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in table.columns:
            column.overflow = "fold"
        table.columns[-1].max_width = 13 if narrow else 16
        for name, entry in self.maps.items():
            judged = entry.verdict != NOT_JUDGED
            cells = [cell(diagnostic, entry.diagnostics.get(diagnostic), judged) for diagnostic in shown]
            table.add_row(name, *cells, entry.verdict, end_section=True)
        return table

    def reasons(self) -> str:
        """Return a line for each map: its verdict, and the numbers that decided it."""
        return "\n".join(f"{name}: {entry.verdict}; {entry.reason}" for name, entry in self.maps.items())

    def __str__(self) -> str:
        """Return the table and the reasons as text."""
        text = io.StringIO()
        Console(file=text, width=120, color_system=None).print(self.table())
        return f"{text.getvalue()}{self.reasons()}\n"


def cell(name: str, diagnostic: Diagnostic | None, judged: bool) -> str:
    """Return the headline quantities of one row, a line each, and whether it passed."""
    if diagnostic is None:
        return "–"
    shown = headline(name, diagnostic).items()
    lines = [f"{'' if lone_label(name) else label + ' '}{quantity.estimate}" for label, quantity in shown]
    return "\n".join([*lines, *filter(None, [mark(name, diagnostic, judged)])])


def headline(name: str, diagnostic: Diagnostic) -> dict[str, Quantity]:
    """Return the quantities of a row that tables show, by label; of real h those of its sign, which are judged."""
    found: dict[str, Quantity] = {}
    for quantity, label in HEADLINES[name].items():
        for choice in (quantity, quantity.replace("[", "_sign[")):
            if choice in diagnostic.estimates:
                found[label] = diagnostic.estimates[choice]
    return found


def lone_label(name: str) -> str:
    """Return a second line for the head of a diagnostic that shows one quantity: its label, nothing for the others."""
    labels = list(HEADLINES[name].values())
    return f"\n{labels[0]}" if len(labels) == 1 else ""


def mark(name: str, diagnostic: Diagnostic, judged: bool) -> str:
    """Return whether a row passed, in a word; "undecided" for the rows that a verdict needs, nothing for the others."""
    if diagnostic.passed is None:
        return "undecided" if name in DECIDING and judged else ""
    return "pass" if diagnostic.passed else "fail"


def finite(value: Any) -> float | None:
    """Return a finite number as a float, everything else as None (JSON has no NaN)."""
    return float(value) if value is not None and math.isfinite(value) else None


def plain(value: Any) -> Any:
    """Return nested plain values with what JSON cannot say (an infinite temperature) as words."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def file_name(name: str) -> str:
    """Return a map's name as part of a file name: different names stay different, long ones end in a hash."""
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= 100 else f"{quoted[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@checked(directory=PATH)
def load_report(directory: str | Path) -> Report:
    """Read a report that `Report.save` or `rgstep compare` wrote.

    Raises:
        InputError: if the folder holds no report, or a damaged one, or one of another schema.
    """
    folder = Path(directory)
    try:
        text = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if not isinstance(text, dict) or text.get("schema") != SCHEMA:
            found = text.get("schema") if isinstance(text, dict) else None
            message = f"report {str(directory)!r} has schema {found}: this version reads schema {SCHEMA}"
            raise InputError(message)
        origin = {**text["origin"], "temperature": float(text["origin"]["temperature"])}
        rows = {name: (entry, read_rows(entry["diagnostics"])) for name, entry in text["maps"].items()}
    except FileNotFoundError as error:
        message = f"no report in {str(directory)!r}: report.json is missing"
        raise InputError(message) from error
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        message = f"report {str(directory)!r} is damaged: {type(error).__name__}: {error}"
        raise InputError(message) from error
    maps = {
        name: MapReport(
            str(entry.get("verdict")),
            str(entry.get("kind")),
            str(entry.get("about")),
            diagnostics,
            read_arrays(folder / "data" / "maps" / f"{file_name(name)}.npz"),
            str(entry.get("reason", "")),
        )
        for name, (entry, diagnostics) in rows.items()
    }
    return Report(origin, maps)


def read_rows(rows: Mapping[str, Any]) -> dict[str, Diagnostic]:
    """Return the diagnostics of one map from their plain values."""

    def number(value: float | None) -> float:
        return math.nan if value is None else float(value)

    def quantity(entry: Mapping[str, Any]) -> Quantity:
        exact = entry["exact"]
        return Quantity(
            Estimate(number(entry["value"]), number(entry["error"])), None if exact is None else float(exact)
        )

    return {
        name: Diagnostic(row["passed"], str(row["why"]), {q: quantity(x) for q, x in row["estimates"].items()})
        for name, row in rows.items()
    }
