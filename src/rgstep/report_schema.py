"""What must a `report.json` say? Its schema, rule by rule, with the version and the checksum.

A report is read as strictly as it is written: names, types and ranges, each entry there and none beside them. Schemas
1 and 2 had no checksum; schema 1 had no `reason`, no fate and rows of fewer names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgstep import schema
from rgstep.arguments import PLAIN, InputError, broken, mapping, one_of, optional, real, shown, whole
from rgstep.files import reading
from rgstep.instruments import INSTRUMENTS
from rgstep.results import FATES, FEATURES, LOCAL, NOT_JUDGED, RG_STEP, UNDECIDED

SCHEMA = 3
READABLE, WITHOUT_CHECKSUM = (1, 2, SCHEMA), (1, 2)
VERDICTS = (RG_STEP, LOCAL, FEATURES, UNDECIDED, NOT_JUDGED)
KINDS = ("control", "judged")


def flag(name: str, value: object) -> bool:
    """Check true or false as JSON has them."""
    if not isinstance(value, bool):
        raise broken(name, value, "must be true, false or null")
    return value


FINITE = optional(real("must be a finite number, or null", lambda x: abs(x) < float("inf")))
ERROR = optional(real("must be a finite number ≥ 0, or null", lambda x: 0 <= x < float("inf")))
QUANTITY = schema.record({"value": FINITE, "error": ERROR, "exact": FINITE})
ROW = schema.record({"passed": optional(flag), "why": schema.text, "estimates": schema.by_name(QUANTITY)})
WORDS = {"verdict": one_of(VERDICTS), "kind": one_of(KINDS), "about": schema.text}
LATER = {"reason": schema.text, "fate": optional(one_of(FATES)), "fate_reason": schema.text}
NUMBER = optional(whole(1))
FORECAST = {"forecast": schema.record({**dict.fromkeys(("low", "likely", "high"), NUMBER), "why": schema.text})}
ROWS = {"diagnostics": schema.by_name(ROW, lambda: INSTRUMENTS)}
MAP_OF_SCHEMA_1 = schema.record({**WORDS, **ROWS}, LATER)
MAP = schema.record({**WORDS, **LATER, **ROWS}, FORECAST)
TEMPERATURE = real("must be a temperature ≥ 0", lambda x: x >= 0)


def read_document(path: Path) -> dict[str, Any]:
    """Return what a `report.json` says, every entry checked.

    Raises:
        InputError: that names the file, for whatever is wrong with it.
    """
    with reading(path, "is damaged"):
        return checked_document(path, path.read_text(encoding="utf-8"))


def checked_document(path: str | Path, text: str) -> dict[str, Any]:
    """Return a report's document from its JSON; `path` is what messages name."""
    document = schema.parse(text)
    found = document.get("schema") if isinstance(document, Mapping) else None
    if found not in READABLE or isinstance(found, bool):
        made = document.get("origin") if isinstance(document, Mapping) else None
        by = f", made by rgstep {shown(made['version'])}" if isinstance(made, Mapping) and "version" in made else ""
        message = f"report {str(path)!r} has schema {shown(found)}{by}: this version reads {READABLE[0]} to {SCHEMA}"
        raise InputError(message)
    if found not in WITHOUT_CHECKSUM:
        schema.check_seal(document)
    one_map = MAP_OF_SCHEMA_1 if found == 1 else MAP
    rules = {"schema": whole(1), "origin": origin, "maps": mapping("must be the maps by name", one_map)}
    checked: dict[str, Any] = schema.record(rules, {schema.CHECKSUM: schema.text})("report", document)
    if not checked["maps"]:
        message = "it has no maps"
        raise InputError(message)
    return checked


def origin(name: str, value: object) -> dict[str, Any]:
    """Check where a report comes from: plain values, among them the temperature; an infinite one is a word there."""
    found: Mapping[str, Any] = PLAIN(name, value)
    if "temperature" not in found:
        message = f"{name} has no entry 'temperature'"
        raise InputError(message)
    given = found["temperature"]
    temperature = TEMPERATURE(f"{name}.temperature", float("inf") if given == "inf" else given)
    if "size" in found:
        whole(1)(f"{name}.size", found["size"])
    if "samples" in found:
        whole(1)(f"{name}.samples", found["samples"])
    return {**found, "temperature": temperature}
