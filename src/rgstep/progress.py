"""Progress of long functions: bars on a terminal and in a notebook, a line on standard error now and then elsewhere.

with rgstep.progress_bars() as progress:
    ensemble = rgstep.sample(32, progress=progress)
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column

from rgstep.arguments import FLAG, checked, printable
from rgstep.types import Progress

LINE_EVERY = 10.0  # seconds between lines where there is no terminal


@checked(quiet=FLAG)
@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Progress]:
    """Yield a `Progress` that shows each stage; a stage of total 0 is a spinner that goes when the next one starts.

    Examples:
        >>> with rg.progress_bars(quiet=True) as progress:
        ...     ensemble = rg.sample(8, samples=100, seed=0, progress=progress)
    """
    if quiet:
        yield lambda stage, done, total, note="": None
    elif sys.stderr.isatty() or in_notebook():
        with bars() as progress:
            yield progress
    else:
        yield Lines()


def in_notebook() -> bool:
    """Whether this is a notebook that can show bars: rich draws them by ipywidgets."""
    return Console().is_jupyter and find_spec("ipywidgets") is not None


@contextmanager
def bars() -> Iterator[Progress]:
    """Yield a `Progress` of one bar for each stage, another for one that starts again; a thread keeps them moving."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=12),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=11)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Bars(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}
        waiting: set[str] = set()
        finished: set[str] = set()

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stage in finished and done < total:  # the same work on something else: its own bar
                finished.discard(stage)
                del tasks[stage]
            if stage not in tasks:
                for name in waiting:
                    shown.remove_task(tasks[name])
                waiting.clear()
                tasks[stage] = shown.add_task(printable(stage), total=total or None, note=note)
                if total == 0:
                    waiting.add(stage)
            elif stage not in waiting:
                shown.update(tasks[stage], completed=done, total=total, note=note)
            if total and done >= total:
                finished.add(stage)

        try:
            yield report
        finally:
            for name in waiting:
                shown.remove_task(tasks[name])


class Lines:
    """A `Progress` for logs: a line when a stage ends, and every ten seconds."""

    def __init__(self) -> None:
        """Start the clock."""
        self.last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Print a line if it is time for one."""
        if total and (done == total or time.monotonic() - self.last > LINE_EVERY):
            self.last = time.monotonic()
            sys.stderr.write(f"{printable(stage)}: {done}/{total} {note}".rstrip() + "\n")


def renamed(progress: Progress | None, name: Callable[[str], str]) -> Progress | None:
    """Return a progress whose stages have other names, so that work that is done again has a bar of its own."""
    if progress is None:
        return None

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progress(name(stage), done, total, note)

    return report


def spoken(seconds: float) -> str:
    """Return a time as a person says it."""
    for unit, length in (("years", 3.15e7), ("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
