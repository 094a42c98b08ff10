"""What does a study say? Its tasks as one labelled data set, a table over seeds, and figures of its axes."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rgstep.arguments import PATH, InputError, checked
from rgstep.drawing import COLOURS, Figure, sheet, text
from rgstep.estimates import Estimate
from rgstep.files import replacing
from rgstep.labelled import texts
from rgstep.parts import Part, as_estimate
from rgstep.results import FEATURES, LOCAL, RG_STEP, UNDECIDED
from rgstep.studies.plan import Plan, read_temperature
from rgstep.studies.run import parts_of, plan_in
from rgstep.zarr_files import library, write_store

SEED = "seed"
SHORT = {RG_STEP: "RG step", LOCAL: "local", FEATURES: "features", UNDECIDED: "undecided"}
COLOUR_OF = {RG_STEP: COLOURS[2], LOCAL: "#E69F00", FEATURES: COLOURS[0], UNDECIDED: "#BBBBBB"}
TABLE, PAGE, PHASES, DATA = "collected.csv", "collected.md", "phases.png", "collected.zarr"


@dataclass(frozen=True)
class Collected:
    """The tasks of a study that are done.

    Attributes:
        plan: the study.
        parts: what was measured, task by task.
        notes: a line for each file that does not count.
    """

    plan: Plan
    parts: Sequence[Part]
    notes: Sequence[str] = ()

    @cached_property
    def values(self) -> dict[str, list[Any]]:
        """The values of each axis as tasks have them, in the order of the grid."""
        return {name: [as_in_tasks(name, one) for one in values] for name, values in self.plan.grid.items()}

    @property
    def shown(self) -> list[str]:
        """The quantities that the study shows."""
        return list(self.plan.show)

    @cached_property
    def quantities(self) -> list[str]:
        """All quantities that any task has, as row/quantity."""
        names = dict.fromkeys(f"{row}/{q}" for part in self.parts for row, of_row in rows(part).items() for q in of_row)
        return list(names)

    def select(self, **where: Any) -> list[Part]:
        """Return the tasks with these settings."""
        return [part for part in self.parts if all(part.settings[name] == value for name, value in where.items())]

    def to_csv(self) -> str:
        """Return a line for each task: axes, verdict, fate, and the quantities that are shown with their errors."""
        columns = [*self.plan.axes, "verdict", "fate", *(c for q in self.shown for c in (q, f"{q} error"))]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for part in self.parts:
            estimates = [number(part, q) for q in self.shown]
            numbers = [f"{x:.6g}" if math.isfinite(x) else "" for e in estimates for x in (e.value, e.error)]
            axes = [part.settings[name] for name in self.plan.axes]
            writer.writerow([*axes, part.values["verdict"], part.values["fate"] or "", *numbers])
        return out.getvalue()

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` of `value`, `error`, `verdict` and `fate` over the axes and all quantities.

        Raises:
            InputError: if xarray is not installed.
        """
        xarray = library("xarray", "a study's data set")
        shape = [len(values) for values in self.values.values()]
        value = np.full((*shape, len(self.quantities)), np.nan)
        error, words = value.copy(), {name: np.full(shape, "", dtype=object) for name in ("verdict", "fate")}
        for part in self.parts:
            place = tuple(values.index(part.settings[name]) for name, values in self.values.items())
            for i, q in enumerate(self.quantities):
                found = number(part, q)
                value[(*place, i)], error[(*place, i)] = found.value, found.error
            for name, array in words.items():
                array[place] = part.values[name] or ""
        axes = list(self.values)
        return xarray.Dataset(
            {
                "value": ([*axes, "quantity"], value),
                "error": ([*axes, "quantity"], error),
                **{name: (axes, array) for name, array in words.items()},
            },
            {
                **{name: labels(name, values) for name, values in self.values.items()},
                "quantity": texts(self.quantities),
            },
            {"title": self.plan.title, **{name: str(one) for name, one in self.plan.fixed.items()}},
        )

    def groups(self) -> Iterator[tuple[dict[str, Any], list[Part]]]:
        """Yield the tasks that differ in their seed alone, with what they share."""
        found: dict[tuple[Any, ...], list[Part]] = {}
        names = [name for name in self.plan.axes if name != SEED]
        for part in self.parts:
            found.setdefault(tuple(part.settings[name] for name in names), []).append(part)
        for values, group in found.items():
            yield dict(zip(names, values, strict=True)), group

    def __str__(self) -> str:
        """Return the table over seeds as Markdown: how often each verdict, and the mean of what is shown."""
        names = [name for name in self.plan.axes if name != SEED]
        head = [*names, "networks", *SHORT.values(), *self.shown]
        lines = [f"# {self.plan.title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for shared, group in self.groups():
            said = [part.values["verdict"] for part in group]
            means = [str(over(group, q)) for q in self.shown]
            cells = [*map(in_short, shared.values()), len(group), *(said.count(v) or "" for v in SHORT), *means]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        return "\n".join([*lines, *self.notes]) + "\n"

    def figure(self, axis: str) -> Figure:
        """Return verdicts and the quantities that are shown against one axis, over all tasks; bars: over seeds.

        Raises:
            InputError: for a name that is no axis.
        """
        if axis not in self.values:
            message = f"axis = {axis!r}: the study has {', '.join(self.values)}"
            raise InputError(message)
        return against(self, axis)

    def phases(self) -> Figure:
        """Return the phase diagram: verdicts over the last two axes, a panel for each value of the others."""
        return phase_diagram(self)


def as_in_tasks(name: str, value: Any) -> Any:
    """Return a value of an axis as the settings of tasks have it."""
    return read_temperature(name, value) if name == "temperature" else value


def labels(name: str, values: Sequence[Any]) -> np.ndarray:
    """Return the values of an axis as labels: texts as files hold them, an infinite temperature as a number."""
    if name == "temperature":
        return np.array([float(value) for value in values])
    return texts(values) if any(isinstance(value, str) for value in values) else np.array(values)


def in_short(value: Any) -> str:
    """Return a value of an axis in few letters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rows(part: Part) -> Mapping[str, Mapping[str, Any]]:
    """Return what a task measured, row by row."""
    found: Mapping[str, Mapping[str, Any]] = part.values["rows"]
    return found


def number(part: Part, quantity: str) -> Estimate:
    """Return a quantity of a task, NaN where it has none."""
    row, name = quantity.split("/")
    pair = rows(part).get(row, {}).get(name)
    return as_estimate(pair) if pair is not None else Estimate(math.nan, math.nan)


def over(group: Sequence[Part], quantity: str) -> Estimate:
    """Return the mean of a quantity over tasks, its error that of the mean over them."""
    found = np.array([float(number(part, quantity).value) for part in group])
    found = found[np.isfinite(found)]
    if len(found) == 0:
        return Estimate(math.nan, math.nan)
    error = found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return Estimate(float(found.mean()), float(error))


def by_seed(group: Sequence[Part], of: Any) -> Estimate:
    """Return the mean over seeds of a mean over tasks, and its error from the differences of seeds."""
    seeds: dict[Any, list[float]] = {}
    for part in group:
        x = of(part)
        if math.isfinite(x):
            seeds.setdefault(part.settings[SEED], []).append(x)
    means = np.array([np.mean(found) for found in seeds.values()])
    error = means.std(ddof=1) / math.sqrt(len(means)) if len(means) > 1 else 0.0
    return Estimate(float(means.mean()) if len(means) else math.nan, float(error))


def against(found: Collected, axis: str) -> Figure:
    """Draw the shares of verdicts, and each quantity, against one axis."""
    values = found.values[axis]
    panels = 1 + len(found.shown)
    with sheet(1, panels, size=(2.6 * panels, 2.8)) as (figure, axes):
        at = np.arange(len(values))
        groups = [found.select(**{axis: value}) for value in values]
        for verdict in SHORT:
            shares = [by_seed(group, lambda part, v=verdict: float(part.values["verdict"] == v)) for group in groups]
            y, e = [float(s.value) for s in shares], [float(s.error) for s in shares]
            if any(share > 0 for share in y):
                axes[0].errorbar(at, y, e, marker="o", color=COLOUR_OF[verdict], label=SHORT[verdict], capsize=2)
        axes[0].set_ylabel("share of networks")
        axes[0].set_ylim(-0.03, 1.03)
        for panel, quantity in zip(axes[1:], found.shown, strict=True):
            means = [by_seed(group, lambda part, q=quantity: float(number(part, q).value)) for group in groups]
            panel.errorbar(at, [m.value for m in means], [m.error for m in means], marker="o", color="k", capsize=2)
            panel.set_ylabel(text(quantity.replace("/", "\n")))
        for panel in axes:
            panel.set_xticks(at, [in_short(value) for value in values])
            panel.set_xlabel(axis)
        figure.legend(loc="outside upper center", ncols=4, fontsize="small")
    return figure


def phase_diagram(found: Collected) -> Figure:
    """Draw verdicts as shares of each cell, over the last two axes but the seed."""
    names = [name for name in found.plan.axes if name != SEED]
    if len(names) < 2:
        message = f"the study has the axes {', '.join(found.plan.axes)}: a phase diagram needs two besides the seed"
        raise InputError(message)
    *others, down, across = names
    first, second = ([None] if len(others) <= i else found.values[others[i]] for i in (0, 1))
    beyond = {name: found.values[name][0] for name in others[2:]}  # further axes at their first value
    with sheet(len(second), len(first), size=(2.4 * len(first) + 0.8, 1.7 * len(second) + 0.9)) as (figure, axes):
        for i, (y, x) in enumerate((y, x) for y in second for x in first):
            where = {name: v for name, v in zip(others, (x, y), strict=False) if v is not None} | beyond
            draw_cells(axes[i], found, down, across, where)
            said = ", ".join(f"{name} {in_short(v)}" for name, v in where.items())
            axes[i].set_title(text(said), fontsize="small")
        handles = [axes[0].barh([0], [0], color=COLOUR_OF[v], label=SHORT[v]) for v in SHORT]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize="small")
    return figure


def draw_cells(panel: Any, found: Collected, down: str, across: str, where: Mapping[str, Any]) -> None:
    """Draw one panel: a cell for each pair of values, cut into the shares of the verdicts, with the number of steps."""
    rows_of, columns = found.values[down], found.values[across]
    for j, y in enumerate(rows_of):
        for i, x in enumerate(columns):
            said = [part.values["verdict"] for part in found.select(**where, **{down: y, across: x})]
            left = i - 0.46
            for verdict in SHORT:
                share = 0.92 * said.count(verdict) / max(1, len(said))
                panel.barh(j, share, left=left, height=0.86, color=COLOUR_OF[verdict], linewidth=0)
                left += share
            if said:
                panel.text(i, j, f"{said.count(RG_STEP)}/{len(said)}", ha="center", va="center", fontsize=7)
    panel.set_xticks(range(len(columns)), [in_short(x) for x in columns], fontsize=7)
    panel.set_yticks(range(len(rows_of)), [in_short(y) for y in rows_of], fontsize=7)
    panel.set_xlim(-0.5, len(columns) - 0.5)
    panel.set_ylim(-0.5, len(rows_of) - 0.5)
    panel.set_xlabel(across, fontsize="small")
    panel.set_ylabel(down, fontsize="small")


@checked(out=PATH)
def collect_study(out: str | Path) -> Collected:
    r"""Return the tasks of a study that are done, from its folder.

    Raises:
        InputError: if the folder holds no study, or no task of it is done.

    Examples:
        >>> from pathlib import Path
        >>> lines = ['title = "Two sets"', "[fixed]", 'map = "majority"', "size = 8", "judged_samples = 500"]
        >>> size = Path("study.toml").write_text("\n".join([*lines, "[grid]", "judged_seed = [0, 1]"]))
        >>> status = rg.run_study("study.toml", "out", workers=1)
        >>> len(rg.collect_study("out").parts)
        2
    """
    folder = Path(out)
    plan = plan_in(folder)
    parts, notes = parts_of(folder, plan)
    if not parts:
        message = f"no task of the study in {str(folder)!r} is done: 'rgstep study run' does them"
        raise InputError(message)
    return Collected(plan, parts, notes)


def write_collected(found: Collected, folder: Path) -> list[Path]:
    """Write table, page and figures into a folder; the whole data set, too, where xarray and zarr are installed."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {TABLE: found.to_csv(), PAGE: str(found)}
    figures = {f"axis-{name}.png": found.figure(name) for name in found.plan.axes if name != SEED}
    if len([name for name in found.plan.axes if name != SEED]) > 1:
        figures[PHASES] = found.phases()
    for name, content in pages.items():
        with replacing(folder / name) as beside:
            beside.write_text(content, encoding="utf-8")
    for name, figure in figures.items():
        with replacing(folder / name) as beside:
            figure.savefig(beside, format="png", dpi=150)
    return [*(folder / name for name in (*pages, *figures)), *write_data(found, folder)]


def write_data(found: Collected, folder: Path) -> list[Path]:
    """Write every number of every task as one zarr store, if its packages are installed."""
    if find_spec("xarray") is None or find_spec("zarr") is None:
        return []
    write_store(folder / DATA, library("xarray", "a study's data set").DataTree(found.to_xarray()))
    return [folder / DATA]
