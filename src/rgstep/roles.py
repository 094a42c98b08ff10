"""Who is who in a report: which maps are judged, which are controls, which of these is the majority rule or the null.

Majority rule and untrained network are known by what they are, whatever they are called: the first control of the
report that is a `Majority`, and the first that is a network without training, with its further seeds.
"""

import re
from collections.abc import Mapping

from rgstep.results import MapReport

Maps = Mapping[str, MapReport]
RG = re.compile(r"Majority\(")  # how a report describes the majority rule, of any block, however ties are broken
NULL = re.compile(r"RBM\(.*preset=untrained\b")  # and a network that saw no data
NETWORK = re.compile(r"RBM\(")
CONTROL, JUDGED = "control", "judged"  # kinds of maps in a report
OF_NULL = "@untrained"  # ends the name of the untrained network of a trained one's size and norm


def family(name: str) -> str:
    """Return a map's name without its seed: networks that differ only by seed are one family."""
    return re.sub(r"~[0-9]+$", "", name)


def members(maps: Maps, name: str) -> list[str]:
    """Return the maps of one family."""
    return [other for other in maps if family(other) == name]


def control(maps: Maps, role: re.Pattern[str]) -> str | None:
    """Return the family of the first control of the report that is of some kind, None if none is."""
    found = (name for name, entry in maps.items() if entry.kind == CONTROL and role.match(entry.about))
    return next((family(name) for name in found), None)


def null_of(maps: Maps, name: str) -> str | None:
    """Return the untrained network that a map stands beside: the one of its own size and norm, else the report's."""
    own = name + OF_NULL
    return own if own in maps and is_null(maps[own]) else control(maps, NULL)


def is_null(entry: MapReport) -> bool:
    """Whether a map is a network that saw no data, given as a control."""
    return entry.kind == CONTROL and NULL.match(entry.about) is not None


def is_trained(entry: MapReport) -> bool:
    """Whether a map is a network of this package that saw data."""
    return NETWORK.match(entry.about) is not None and NULL.match(entry.about) is None


def judged(maps: Maps) -> dict[str, MapReport]:
    """Return the maps under judgement, in their order."""
    return {name: entry for name, entry in maps.items() if entry.kind == JUDGED}


def controls(maps: Maps) -> dict[str, MapReport]:
    """Return the maps whose answer is known, in their order."""
    return {name: entry for name, entry in maps.items() if entry.kind == CONTROL}


def coloured(maps: Maps) -> list[str]:
    """Return the maps that have a colour of their own in figures: all but the untrained networks, which look alike."""
    return [name for name, entry in maps.items() if not is_null(entry)]
