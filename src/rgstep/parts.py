"""Where is what long work measured kept, piece by piece, and which of the pieces count?

A *part* is what was measured with some settings. It is one small JSON file, written whole or not at all when it is
measured, named by a hash of what it is a measurement of: its settings, the name and edition of the measurement, and
`FORMAT`. A file that cannot be read, whose content does not belong to its name or whose checksum is wrong is never
counted: it is said so, and the part is measured again. Published claims (`experiments`) and studies (`studies`) are
made of parts.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rgstep.arguments import InputError
from rgstep.estimates import Estimate, scalar
from rgstep.files import check_folder, file_name, replacing
from rgstep.schema import parse

FORMAT = 1  # of the files; changes when they are written in another way

Settings: TypeAlias = Mapping[str, Any]  # plain values, which name a part
Values: TypeAlias = Mapping[str, Any]  # plain values, measured


@dataclass(frozen=True)
class Part:
    """What was measured with some settings, and how many seconds it took."""

    settings: Settings
    values: Values
    seconds: float

    def estimate(self, name: str) -> Estimate:
        """Return a value that was stored by `stored`."""
        return as_estimate(self.values[name])


@dataclass(frozen=True)
class Measurement:
    """What parts are measurements of: a name, and an edition that changes when the same settings give other values."""

    name: str
    edition: int = 1


def stored(estimate: Estimate) -> list[Any]:
    """Return an estimate as plain values, [value, error]; what is not finite as None."""
    return [plain_numbers(estimate.value), plain_numbers(estimate.error)]


def as_estimate(pair: Any) -> Estimate:
    """Return the estimate that `stored` made plain."""
    value, error = (np.array(x, dtype=float) for x in pair)  # None becomes NaN
    return Estimate(scalar(value), scalar(error))


def plain_numbers(value: float | np.ndarray) -> Any:
    """Return numbers as JSON has them."""
    if np.ndim(value):
        return [plain_numbers(one) for one in np.asarray(value)]
    return float(value) if math.isfinite(value) else None


def key_of(measurement: Measurement, settings: Settings) -> str:
    """Return the name of a part: a hash of its settings, of the measurement and its edition, and of the format."""
    named = [FORMAT, measurement.name, measurement.edition, dict(settings)]
    return hashlib.sha256(canonical(named).encode()).hexdigest()[:16]


def path_of(out: Path, measurement: Measurement, settings: Settings) -> Path:
    """Return where a part is kept."""
    return out / file_name(measurement.name) / f"{key_of(measurement, settings)}.json"


def canonical(value: Any) -> str:
    """Return plain values as JSON in one way only; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def checksum(settings: Settings, values: Any, seconds: float) -> str:
    """Return a hash of all that a part says."""
    return hashlib.sha256(canonical([dict(settings), values, seconds]).encode()).hexdigest()


def write_part(out: Path, measurement: Measurement, part: Part) -> Path:
    """Write a part, whole or not at all.

    Raises:
        InputError: if the folder cannot be written.
    """
    path = path_of(out, measurement, part.settings)
    check_folder(path.parent)
    content = {
        "format": FORMAT,
        "measurement": measurement.name,
        "edition": measurement.edition,
        "settings": dict(part.settings),
        "values": part.values,
        "seconds": part.seconds,
        "checksum": checksum(part.settings, part.values, part.seconds),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        message = f"part {str(path)!r} cannot be written: {error.strerror}; make room, or choose another folder"
        raise InputError(message) from error
    return path


def read_content(path: Path) -> tuple[Measurement, Part]:
    """Return what the file of a part holds, by itself.

    Raises:
        InputError: if it does not hold what was written, by its checksum, or has not the name of its content.
        OSError, ValueError, KeyError, TypeError, RecursionError: for what is no part.
    """
    content = parse(path.read_text(encoding="utf-8"))
    measurement = Measurement(content["measurement"], content["edition"])
    part = Part(content["settings"], content["values"], float(content["seconds"]))
    intact = content["checksum"] == checksum(part.settings, part.values, part.seconds)
    if not intact or content["format"] != FORMAT:
        message = "was changed after it was written"
        raise InputError(message)
    if key_of(measurement, part.settings) != path.stem:
        message = "is of other settings"
        raise InputError(message)
    return measurement, part


def read_part(out: Path, measurement: Measurement, settings: Settings) -> tuple[Part | None, str]:
    """Return a stored part, or None and, where a file is there that does not count, a line that says why."""
    path = path_of(out, measurement, settings)
    try:
        return read_content(path)[1], ""
    except FileNotFoundError:
        return None, ""
    except InputError as error:
        return None, f"part {str(path)!r} {error} and does not count"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return None, f"part {str(path)!r} is damaged ({type(error).__name__}) and does not count"
