"""The answer: per map, per diagnostic, the estimates, whether they pass, and why.

`to_dict()` is `report.json`; the arrays behind the figures lie beside it in `data/`, one `.npz` file per map, named
`row/array`. Reports of schema 1, whose arrays had no row in their names, are read too.
"""

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rgstep.arguments import (
    COUNT,
    FLAG,
    PATH,
    PLAIN,
    InputError,
    checked,
    instance,
    mapping,
    one_of,
    optional,
    printable,
    read_text,
    unknown_name,
)
from rgstep.drawing import Figure
from rgstep.estimates import Estimate
from rgstep.files import clashing, file_name, read_sealed, reading, write_arrays
from rgstep.folders import output_folder, settle, verify
from rgstep.instruments import DECIDING, INSTRUMENTS
from rgstep.labelled import arrays_table, table_of, tree_of
from rgstep.notebook import table
from rgstep.plates import drawn_rows, plates_of_row
from rgstep.report_schema import SCHEMA, WITHOUT_CHECKSUM, checked_document, read_document
from rgstep.results import NOT_JUDGED, Diagnostic, Forecast, MapReport, Quantity
from rgstep.roles import controls, judged
from rgstep.schema import sealed
from rgstep.words import answer, on_controls
from rgstep.words import headline as headline_of

WIDTH, LINE = 80, 26  # columns of a terminal that a printed report takes, and of a verdict in its table
IN_TABLE = ("training", *DECIDING, "information")  # diagnostics that the printed table shows
ARRAYS_OF_SCHEMA_1 = {  # what its arrays are called now
    **{name: f"sampling/{name}" for name in ("energies", "magnetisations")},
    **{name: f"spatial_correlator/{name}" for name in ("distance", "C_weights", "momentum_spectrum_w")},
    **{name: f"spatial_correlator/{name}" for kind in ("C", "C_plain", "C_pooled") for name in (kind, f"{kind}_error")},
    "two_point_own": "two_point/unit_amplitudes",
    "unit_entropy": "conditional_entropy/unit_entropy",
}
PREFIXES_OF_SCHEMA_1 = {  # of the others; what has none of these belongs to vh_pattern
    "two_point_": "two_point/G_",
    "hamiltonian_": "hidden_hamiltonian/",
    "mcrg_": "mcrg/",
    "drift_": "drift/",
    "information_": "information/",
    "sharpening_": "conditional_entropy/sharpening_",
    "decoy_": "decoy/",
    "history_": "training/",
    "": "vh_pattern/",
}
ROW = one_of(INSTRUMENTS, "row")
ROWS = mapping("give the rows of each map by its name", instance(MapReport, "give what rgstep.judge returned"))


@checked(origin=PLAIN, maps=ROWS)
@dataclass(frozen=True, eq=False)
class Report:
    """The whole answer: where it comes from, and the rows of each map by name.

    Examples:
        >>> ensemble = rg.sample(8, samples=1_000, seed=0)
        >>> report = rg.judge(ensemble, {"majority": rg.Majority()})
        >>> report.maps["majority"].verdict
        'RG step'
    """

    origin: Mapping[str, Any]
    maps: Mapping[str, MapReport]

    def __getitem__(self, name: str) -> MapReport:
        """Return what is said of one map: `report["rbm"].verdict`.

        Raises:
            InputError: for a name that is not in the report.
        """
        if name not in self.maps:
            kind = "map of this report"
            raise unknown_name(kind, str(name), self.maps)
        return self.maps[name]

    def __contains__(self, name: object) -> bool:
        """Whether the report has a map of this name."""
        return name in self.maps

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the maps, as a mapping does."""
        return iter(self.maps)

    def __len__(self) -> int:
        """Return the number of maps."""
        return len(self.maps)

    def __repr__(self) -> str:
        """Return where the report comes from in a line, and a line with the verdict of each map."""
        lines = [f"  {name}: {entry.verdict}" for name, entry in self.maps.items()]
        return "\n".join([f"Report({self.title})", *lines])

    @property
    def title(self) -> str:
        """How many maps on which configurations, in a few words."""
        parts = {"size": "L = {}", "temperature": "T = {:.6g}", "samples": "{:,} samples"}
        found = [text.format(self.origin[name]) for name, text in parts.items() if name in self.origin]
        return f"{len(self)} maps{', ' if found else ''}{', '.join(found)}"

    def _repr_html_(self) -> str:
        """Return the verdicts as a notebook shows them."""
        rows = [
            (
                name,
                entry.kind,
                entry.verdict,
                entry.fate or "–",
                entry.forecast.sentence if entry.forecast else entry.reason,
            )
            for name, entry in self.maps.items()
        ]
        return table(f"Report: {self.title}", ("map", "kind", "verdict", "fate", "why"), rows)

    @checked(row=optional(ROW))
    def figures(self, row: str | None = None) -> list[str]:
        """Return the names of the rows that have figures, or of the figures of one row, which are drawn to know them.

        Raises:
            InputError: for an unknown row.
        """
        return drawn_rows(self.maps) if row is None else [plate.name for plate in plates_of_row(self.maps, row)]

    @checked(row=ROW, name=optional(read_text))
    def figure(self, row: str, name: str | None = None) -> Figure:
        """Return a figure of a row as a Matplotlib `Figure`: the one of a name, or the first.

        `report.figure("drift").savefig("drift.pdf")`; `report.figure("vh_pattern", "vh_majority")`.

        Raises:
            InputError: for an unknown row or name, or a row that has nothing to draw.
        """
        names = []
        for plate in plates_of_row(self.maps, row):
            if name in (None, plate.name):
                return plate.figure
            names.append(plate.name)
        if name is None or not names:
            message = (
                f"row {row!r} of this report has nothing to draw; there are figures of {', '.join(self.figures())}"
            )
            raise InputError(message)
        kind = f"figure of the row {row!r}"
        raise unknown_name(kind, name, names)

    @checked(row=ROW)
    def numbers(self, row: str) -> Any:
        """Return the numbers behind the figures of a row as a `pandas.DataFrame`, one line each.

        Columns: map, array, i, j, k (where in the array), value, error. What the row concludes from them is in
        `to_pandas()`.

        Raises:
            InputError: for an unknown row, or if pandas is not installed.
        """
        return arrays_table(self.maps, row)

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds."""
        maps = {name: entry.to_dict() for name, entry in self.maps.items()}
        return sealed({"schema": SCHEMA, "origin": plain(dict(self.origin)), "maps": maps})

    @checked(directory=PATH, force=FLAG)
    def save(self, directory: str | Path, force: bool = False) -> None:
        """Write `report.json` and `data/` into a folder; `rgstep report` draws the page from them.

        Raises:
            InputError: if the folder holds something and `force` is not set, or cannot be written.
        """
        out = Path(directory)
        try:
            with output_folder(out, force, older=files_without_manifest(out)) as folder:
                self.write(folder)
        except OSError as error:
            message = f"report {str(directory)!r} cannot be written: {error.strerror}; nothing there was changed"
            raise InputError(message) from error

    def write(self, folder: Path) -> None:
        """Write `report.json` and `data/` into an existing folder."""
        if clash := clashing(list(self.maps), ()):
            message = f"map {clash!r} and another would have one file {file_name(clash)!r}: rename one of them"
            raise InputError(message)
        (folder / "data" / "maps").mkdir(parents=True, exist_ok=True)
        for name, entry in self.maps.items():
            arrays = {f"{row}/{key}": values for row, more in entry.arrays.items() for key, values in more.items()}
            write_arrays(folder / arrays_of(name), arrays)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        checked_document(folder / "report.json", text)  # what is written can be read
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")

    def to_xarray(self) -> Any:
        """Return the numbers as an `xarray.DataTree`: a node for each row, (map, quantity, level) with errors.

        `report.to_xarray()["mcrg"]["value"].sel(map="majority", quantity="y_t", level=0)`; level −1 holds the
        quantities that have none.

        Raises:
            InputError: if xarray is not installed.
        """
        return tree_of(self.origin, self.maps)

    def to_pandas(self) -> Any:
        """Return the numbers as a `pandas.DataFrame`, a line each: map, row, quantity, level, value, error, …

        Raises:
            InputError: if pandas is not installed.
        """
        return table_of(self.maps)

    def table(self) -> Table:
        """Return one row per map: the verdict, and one column per diagnostic."""
        return self.tables(sys.maxsize)[0]

    @checked(width=COUNT)
    def tables(self, width: int = WIDTH) -> list[Table]:
        """Return the verdict of each map and a column per diagnostic, in tables no wider than so many letters."""
        maps = {**judged(self.maps), **controls(self.maps)}
        columns = [("verdict", [verdict_cell(entry) for entry in maps.values()])]
        for name in IN_TABLE:
            if any(name in entry.diagnostics for entry in maps.values()):
                cells = [cell(name, entry.diagnostics.get(name), entry.verdict) for entry in maps.values()]
                columns.append((name.replace("_", "\n") + lone_label(name), cells))
        first = ("map", [name_cell(name, width // 2) for name in maps])
        parts, used = [[first]], breadth(first)
        for column in columns:
            if used + breadth(column) > width and len(parts[-1]) > 1:
                parts, used = [*parts, [first]], breadth(first)
            parts[-1].append(column)
            used += breadth(column)
        return [tabled(part) for part in parts]

    def sentences(self) -> str:
        """Return what the first screen of the page says: on all maps, on each that is judged, on the controls."""
        said = [headline_of(self.maps)]
        for name in judged(self.maps):
            found = answer(name, self.maps)
            said.append(" ".join(filter(None, (found.sentence, found.leads, found.change))))
        return "\n\n".join(map(printable, [*said, on_controls(self.maps).sentence]))

    def reasons(self) -> str:
        """Return a line for each map: its verdict, the numbers that decided it, and what iteration leads to."""
        return "\n".join(
            f"{name}: {entry.verdict}; {entry.reason}; {f'{entry.forecast.sentence}; ' if entry.forecast else ''}"
            f"fate: {entry.fate or 'none'}, {entry.fate_reason}"
            for name, entry in self.maps.items()
        )

    def __str__(self) -> str:
        """Return the tables and the sentences as text of 80 columns."""
        text = io.StringIO()
        self.show(Console(file=text, width=WIDTH, color_system=None))
        return text.getvalue()

    def show(self, console: Console) -> None:
        """Print the tables and the sentences on a console of rich, as wide as that is."""
        console.print(*self.tables(console.width))
        console.print(Text(self.sentences()))


Column = tuple[str, list[str]]  # its head, and a cell for each map


def tabled(columns: Sequence[Column]) -> Table:
    """Return columns as one table."""
    table = Table(*(escape(head) for head, _ in columns), box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, row), end_section=True)  # a name like net[adam] is text, not markup
    return table


def breadth(column: Column) -> int:
    """Return how many columns of a terminal a column takes, with the space beside it."""
    head, cells = column
    return max(cell_len(line) for text in (head, *cells) for line in text.split("\n")) + 2


def verdict_cell(entry: MapReport) -> str:
    """Return a verdict, and below it what iteration leads to, in short lines."""
    return shortened(entry.verdict) + (f"\n({shortened(entry.fate)})" if entry.fate else "")


def shortened(text: str) -> str:
    """Return a text in lines of at most `LINE` letters, words kept whole."""
    return "\n".join(wrap(text, LINE, break_long_words=False, break_on_hyphens=False))


def name_cell(name: str, most: int) -> str:
    """Return a map's name in lines, its words kept whole unless one is longer than `most`, which no table holds."""
    text = printable(name)
    lines = shortened(text if len(text) <= LINE else text.replace("@", " @")).split("\n")
    return "\n".join(part for line in lines for part in chop_cells(line, max(2, most)))


def cell(name: str, diagnostic: Diagnostic | None, verdict: str) -> str:
    """Return the headline quantities of one row, a line each, and whether it passed."""
    if diagnostic is None:
        return "–"
    shown = headline(name, diagnostic).items()
    lines = [f"{'' if lone_label(name) else label + ' '}{quantity.estimate}" for label, quantity in shown]
    return "\n".join([*lines, *filter(None, [mark(name, diagnostic, verdict != NOT_JUDGED)])])


def headline(name: str, diagnostic: Diagnostic) -> dict[str, Quantity]:
    """Return the quantities of a row that tables show, by label; of real h those of its sign, which are judged."""
    found: dict[str, Quantity] = {}
    for quantity, label in INSTRUMENTS[name].headline.items():
        for choice in (quantity, quantity.replace("[", "_sign[")):
            if choice in diagnostic.estimates:
                found[label] = diagnostic.estimates[choice]
    return found


def lone_label(name: str) -> str:
    """Return a second line for the head of a diagnostic that shows one quantity: its label, nothing for the others."""
    labels = list(INSTRUMENTS[name].headline.values())
    return f"\n{labels[0]}" if len(labels) == 1 else ""


def mark(name: str, diagnostic: Diagnostic, judged: bool) -> str:
    """Return whether a row passed, in words; "undecided" for the rows that a verdict needs, nothing for the others."""
    if diagnostic.passed is None:
        return ("undecided" if diagnostic.asked else "not asked") if name in DECIDING and judged else ""
    return "pass" if diagnostic.passed else "fail"


def plain(value: Any) -> Any:
    """Return nested plain values with what JSON cannot say (an infinite temperature) as words."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def arrays_of(name: str) -> str:
    """Return where the arrays of a map are kept, within the folder of a report."""
    return f"data/maps/{file_name(name)}.npz"


def files_without_manifest(folder: Path) -> list[str]:
    """Return the files with the data of an older report, by the names of its maps; none if it cannot be read."""
    try:
        names = list(json.loads((folder / "report.json").read_text(encoding="utf-8"))["maps"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    networks = [f"data/networks/{file_name(name)}.npz" for name in names]
    return ["report.json", "report.html", "data/ensemble.npz", *map(arrays_of, names), *networks]


@checked(directory=PATH)
def load_report(directory: str | Path) -> Report:
    """Read a report that `Report.save` or `rgstep compare` wrote.

    Raises:
        InputError: if the folder holds no report, or a damaged one, or one of another schema, or files of two reports.
    """
    folder = Path(directory)
    settle(folder)
    if not (folder / "report.json").is_file():
        message = f"no report in {str(directory)!r}: report.json is missing"
        raise InputError(message)
    text = read_document(folder / "report.json")
    maps = {}
    for name, entry in text["maps"].items():
        path = folder / arrays_of(name)
        if not path.is_file():
            message = (
                f"report {str(directory)!r} is not whole: {arrays_of(name)!r} is missing, the arrays of map {name!r}; "
                "copy the whole folder, or make the report again"
            )
            raise InputError(message)
        with reading(path, "is damaged"):
            arrays, intact = read_sealed(path)
            if text["schema"] not in WITHOUT_CHECKSUM and not intact:
                message = "it has lost its checksum"
                raise InputError(message)
            maps[name] = map_report(entry, by_row(arrays, text["schema"], text["origin"]))
    verify(folder, ["report.json", *map(arrays_of, maps)])
    return Report(text["origin"], maps)


def map_report(entry: Mapping[str, Any], arrays: Mapping[str, Mapping[str, np.ndarray]]) -> MapReport:
    """Return what is said of one map, from its checked plain values and its arrays."""
    if unknown := [row for row in arrays if row not in INSTRUMENTS]:
        kind = "row with arrays"
        raise unknown_name(kind, unknown[0], INSTRUMENTS)
    return MapReport(
        verdict=entry["verdict"],
        kind=entry["kind"],
        about=entry["about"],
        diagnostics=read_rows(entry["diagnostics"]),
        arrays=arrays,
        reason=entry.get("reason", ""),
        fate=entry.get("fate"),
        fate_reason=entry.get("fate_reason", ""),
        forecast=Forecast(**entry["forecast"]) if "forecast" in entry else None,
    )


def by_row(
    arrays: Mapping[str, np.ndarray], schema: int, origin: Mapping[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of a map's file by row and name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    named = arrays.items() if schema > 1 else of_schema_1(arrays, int(origin["size"]))
    for name, values in named:
        row, _, key = name.partition("/")
        found.setdefault(row, {})[key] = values
    return found


def of_schema_1(arrays: Mapping[str, np.ndarray], size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a file of schema 1 under the names of schema 2."""
    yield "sampling/sites", np.array(size**2)
    for name, values in arrays.items():
        prefix = next(p for p in PREFIXES_OF_SCHEMA_1 if name.startswith(p))
        yield ARRAYS_OF_SCHEMA_1.get(name, PREFIXES_OF_SCHEMA_1[prefix] + name.removeprefix(prefix)), values


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
