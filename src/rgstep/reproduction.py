"""What does `rgstep reproduce` do? Measures what is missing of the parts of experiments, concludes, and writes it up.

    out/NAME/HASH.json       a part (`parts`)
    out/claims.json, .md     what all experiments say whose parts are complete, as plain values and as a page
    out/NAME.html            the page of one experiment

A run that is killed goes on where it was: the parts that are there count.
"""

import json
import math
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from rgstep.arguments import FLAG, PATH, PROGRESS, SEED, InputError, checked, read_text, unknown_name
from rgstep.estimates import Estimate
from rgstep.experiments import EXPERIMENTS
from rgstep.experiments.base import Conclusion, Experiment, Row
from rgstep.files import check_folder, file_name, replacing
from rgstep.parts import Measurement, Part, plain_numbers, read_part, write_part
from rgstep.progress import renamed
from rgstep.types import Progress

EVERY = "all"
FOLDER = "runs/reproduce"
WIDTH = 125  # of a line of prose


@dataclass(frozen=True)
class Outcome:
    """What an experiment says, from which parts.

    Attributes:
        parts: how many parts it rests on, `reused` of them stored before.
        seconds: that all of them took when they were measured.
        notes: a line for each stored part that does not count.
    """

    experiment: Experiment
    conclusion: Conclusion
    quick: bool
    seed: int
    parts: int
    reused: int
    seconds: float
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def verdict(self) -> str:
        """Return "confirmed", "refuted" or "undecided"."""
        return self.conclusion.verdict

    @property
    def extent(self) -> str:
        """Return how it was run, in words."""
        length = "quick" if self.quick else "full"
        return f"{length}, {self.parts} parts from seed {self.seed}, {self.seconds:.0f} s"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        one = self.experiment
        return {
            "name": one.name,
            "claim": one.claim,
            "source": one.source,
            "rule": one.rule,
            "verdict": self.verdict,
            "why": self.conclusion.why,
            "rows": [row_values(row) for row in self.conclusion.rows],
            "quick": self.quick,
            "seed": self.seed,
            "parts": self.parts,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Return the table of its rows as text, with claim and verdict."""
        return markdown(self)


def row_values(row: Row) -> dict[str, Any]:
    """Return a row as plain values; what is not finite is None."""

    def both(estimate: Estimate | None) -> dict[str, Any] | None:
        if estimate is None:
            return None
        return {"value": plain_numbers(estimate.value), "error": plain_numbers(estimate.error)}

    return {
        "quantity": row.quantity,
        "published": both(row.published),
        "ours": both(row.ours),
        "beside": {name: both(estimate) for name, estimate in row.beside.items()},
        "z": None if row.z is None else plain_numbers(row.z),
        "verdict": row.verdict,
    }


def read_name(name: str, value: object) -> str:
    """Check the name of an experiment, or "all"."""
    text = str(read_text(name, value))
    if text != EVERY and text not in EXPERIMENTS:
        kind = "claim"
        raise unknown_name(kind, text, [*EXPERIMENTS, EVERY])
    return text


@checked(name=read_name, quick=FLAG, seed=SEED, out=PATH, force=FLAG, progress=PROGRESS)
def reproduce(
    name: str = EVERY,
    *,
    quick: bool = False,
    seed: int = 0,
    out: str | Path = FOLDER,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Test published claims and return what each experiment says, in the order of the table.

    Parts are stored in `out` one by one as they are measured. Those that are there already are not measured again, and
    those that are damaged do not count; the pages of all that is complete are written into `out` as well.

    Args:
        name: an experiment, or "all".
        quick: fewer seeds and samples, larger errors.
        seed: of the first part; the others take the next ones.
        out: the folder for parts and pages.
        force: measure again what is stored.
        progress: called as the work goes on.

    Raises:
        InputError: for an unknown name (the nearest is suggested) or a folder that cannot be written.

    Examples:
        >>> found = rg.reproduce("p1", quick=True, out="parts")
        >>> [(one.experiment.name, one.verdict) for one in found]
        [('p1', 'confirmed')]
    """
    folder = Path(out)
    check_folder(folder)
    if folder.exists() and not folder.is_dir():
        message = f"output {str(folder)!r} is a file: name a folder"
        raise InputError(message)
    return list(one_by_one(name, folder, quick=quick, seed=seed, force=force, progress=progress))


def one_by_one(
    name: str, out: Path, *, quick: bool, seed: int, force: bool, progress: Progress | None
) -> Iterator[Outcome]:
    """Yield the outcome of one experiment after the other, its pages written."""
    measured: set[Measurement] = set()  # in this run: experiments that share parts measure them once
    for one in EXPERIMENTS.values() if name == EVERY else [EXPERIMENTS[name]]:
        again = force and one.measurement not in measured
        outcome = run(one, out, quick=quick, seed=seed, force=again, progress=progress)
        measured.add(one.measurement)
        write_pages(out, seed, outcome)
        yield outcome


def run(
    one: Experiment, out: Path, *, quick: bool, seed: int, force: bool = False, progress: Progress | None = None
) -> Outcome:
    """Measure what is missing of an experiment, store it part by part, and conclude."""
    found, notes, reused = [], [], 0
    every = one.parts(seed, quick)
    for number, settings in enumerate(every):
        if progress:
            progress(one.name, number, len(every))
        part, note = (None, "") if force else read_part(out, one.measurement, settings)
        if note:
            notes.append(f"{note}; measured again")
        reused += part is not None
        named = renamed(progress, partial("{}: {}".format, f"{one.name} {number + 1}"))
        found.append(part or measured_now(one, out, settings, named))
    if progress:
        progress(one.name, len(every), len(every))
    return concluded(one, found, quick, seed, reused, notes)


def measured_now(one: Experiment, out: Path, settings: Mapping[str, Any], progress: Progress | None) -> Part:
    """Measure a part, store it, and return it as it will be read again."""
    clock = time.perf_counter()
    values = json.loads(json.dumps(one.measure(settings, progress), allow_nan=False))
    part = Part(dict(settings), values, round(time.perf_counter() - clock, 1))
    write_part(out, one.measurement, part)
    return part


def concluded(
    one: Experiment, found: Sequence[Part], quick: bool, seed: int, reused: int, notes: Sequence[str] = ()
) -> Outcome:
    """Return what the parts of an experiment say."""
    seconds = sum(part.seconds for part in found)
    return Outcome(one, one.conclude(found), quick, seed, len(found), reused, seconds, tuple(notes))


def from_stored(out: Path, seed: int = 0) -> list[Outcome]:
    """Return the outcomes of all experiments whose parts are stored, the full run of each before the quick one."""
    outcomes = []
    for one in EXPERIMENTS.values():
        for quick in (False, True):
            read = [read_part(out, one.measurement, settings)[0] for settings in one.parts(seed, quick)]
            parts = [part for part in read if part is not None]
            if parts and len(parts) == len(read):
                outcomes.append(concluded(one, parts, quick, seed, len(parts)))
    return outcomes


# --- what is shown


def table_of_experiments() -> list[dict[str, Any]]:
    """Return name, claim, source and times of every experiment."""
    return [
        {
            "name": one.name,
            "claim": one.claim,
            "source": one.source,
            "quick_seconds": one.seconds[0],
            "full_seconds": one.seconds[1],
        }
        for one in EXPERIMENTS.values()
    ]


def in_words(seconds: float) -> str:
    """Return a time to the nearest second or minute."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def listed() -> str:
    """Return a line for each experiment: name, quick and full time, claim."""
    width = max(map(len, EXPERIMENTS))
    return "\n".join(
        f"{one.name:{width}}  quick {in_words(one.seconds[0]):>6}, full {in_words(one.seconds[1]):>6}  {one.claim}"
        for one in EXPERIMENTS.values()
    )


def columns_beside(rows: Sequence[Row]) -> list[str]:
    """Return the names of all controls and nulls of some rows, in order."""
    return list(dict.fromkeys(name for row in rows for name in row.beside))


def table_of(conclusion: Conclusion) -> tuple[list[str], list[list[str]]]:
    """Return the heads of an experiment's table and its cells, row by row; columns without an entry are left out."""
    rows, beside = conclusion.rows, columns_beside(conclusion.rows)
    head = ["quantity", "published", "ours", conclusion.distances, *beside, "verdict"]
    columns = [
        [row.quantity for row in rows],
        ["" if row.published is None else str(row.published) for row in rows],
        [str(row.ours) for row in rows],
        ["" if row.z is None or math.isnan(row.z) else f"{row.z:+.1f}" for row in rows],
        *([str(row.beside[name]) if name in row.beside else "" for row in rows] for name in beside),
        [row.verdict for row in rows],
    ]
    kept = [(name, column) for name, column in zip(head, columns, strict=True) if any(column)]
    return [name for name, _ in kept], [list(cells) for cells in zip(*(column for _, column in kept), strict=True)]


def markdown(outcome: Outcome) -> str:
    """Return an experiment as a section of a Markdown page."""
    one, conclusion = outcome.experiment, outcome.conclusion
    head, cells = table_of(conclusion)
    lines = [
        f"## {one.name}: {outcome.verdict}",
        "",
        filled(f"{one.claim} ({one.source})"),
        "",
        filled(one.rule),
        "",
        filled(f"**{outcome.verdict.capitalize()}**: {conclusion.why} ({outcome.extent})."),
        "",
        line_of(head),
        "|---" * len(head) + "|",
    ]
    lines += map(line_of, cells)
    return "\n".join(lines)


def line_of(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table; a stroke within a cell, as of |m|, ends none."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def filled(text: str) -> str:
    """Return a paragraph in lines of at most `WIDTH` letters."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the table of verdicts as Markdown; each line leads to the one section of its claim, of the longest run."""
    lines = ["| claim | verdict | run | source |", "|---|---|---|---|"]
    section = {outcome.experiment.name: outcome.verdict for outcome in reversed(outcomes)}
    for outcome in outcomes:
        name, source, verdict = outcome.experiment.name, outcome.experiment.source, outcome.verdict
        lines.append(f"| [{name}](#{name}-{section[name]}) | {verdict} | {outcome.extent} | {source} |")
    return "\n".join(lines)


def page(outcomes: Sequence[Outcome], head: str = "# Published claims, one by one") -> str:
    """Return the page of all claims as Markdown: a table of all runs, then the longest one of each experiment."""
    longest: dict[str, Outcome] = {}
    for outcome in outcomes:
        longest.setdefault(outcome.experiment.name, outcome)
    left = [f"{one.name} ({in_words(one.seconds[1])})" for one in EXPERIMENTS.values() if is_missing(one, longest)]
    said = [f"Not run in full: {', '.join(left)}."] if left else []
    return "\n\n".join([head, summary(outcomes), *map(filled, said), *map(markdown, longest.values())]) + "\n"


def is_missing(one: Experiment, longest: Mapping[str, Outcome]) -> bool:
    """Whether an experiment has no full run."""
    return one.name not in longest or longest[one.name].quick


def write_pages(out: Path, seed: int, outcome: Outcome) -> None:
    """Write the page of one experiment, and the pages of all whose parts are stored."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rgstep", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    head, cells = table_of(outcome.conclusion)
    html = environment.get_template("claim.html.j2").render(
        outcome=outcome, experiment=outcome.experiment, head=head, cells=cells
    )
    every = from_stored(out, seed)
    plain = json.dumps([one.to_dict() for one in every], indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / f"{file_name(outcome.experiment.name)}.html", html)
    write_text(out / "claims.md", page(every))
    write_text(out / "claims.json", plain + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
