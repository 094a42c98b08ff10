"""The figures of a report, row by row: drawn by the instruments, of the maps whose pictures are shown."""

from collections.abc import Iterator, Mapping

from rgstep.drawing import Plate
from rgstep.instruments import INSTRUMENTS
from rgstep.results import MapReport
from rgstep.roles import family


def leading(maps: Mapping[str, MapReport]) -> Mapping[str, MapReport]:
    """Return the maps without the further seeds of a network: the ones whose pictures are drawn."""
    first: dict[str, str] = {}
    for name in maps:
        first.setdefault(family(name), name)
    return {name: maps[name] for name in first.values()}


def drawn_rows(maps: Mapping[str, MapReport]) -> list[str]:
    """Return the rows that have figures, and numbers to draw them from."""
    rows = (name for name, instrument in INSTRUMENTS.items() if instrument.figures is not None)
    return [name for name in rows if any(entry.arrays.get(name) or entry.estimates(name) for entry in maps.values())]


def plates_of_row(maps: Mapping[str, MapReport], row: str) -> Iterator[Plate]:
    """Yield the figures of one row, each drawn when it is asked for."""
    figures = INSTRUMENTS[row].figures
    if figures is not None and any(row in entry.diagnostics for entry in maps.values()):
        yield from figures(leading(maps))
