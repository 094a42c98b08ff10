"""Where are the parts of experiments kept, and which of them count?

A part is one small JSON file, written whole or not at all when it is measured, named by a hash of what it is a
measurement of: its settings, the edition of the measurement, and `FORMAT`. A file that cannot be read, whose content
does not belong to its name or whose checksum is wrong is never counted: it is said so, and the part is measured again.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from rgstep.arguments import InputError
from rgstep.experiments.base import Experiment, Part, Settings
from rgstep.files import check_folder, file_name, replacing

FORMAT = 1  # of the files; changes when they are written in another way


def key_of(experiment: Experiment, settings: Settings) -> str:
    """Return the name of a part: a hash of its settings, of the measurement's edition, and of the format."""
    named = [FORMAT, experiment.folder, experiment.edition, dict(settings)]
    return hashlib.sha256(canonical(named).encode()).hexdigest()[:16]


def path_of(out: Path, experiment: Experiment, settings: Settings) -> Path:
    """Return where a part is kept."""
    return out / file_name(experiment.folder) / f"{key_of(experiment, settings)}.json"


def canonical(value: Any) -> str:
    """Return plain values as JSON in one way only; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def checksum(settings: Settings, values: Any, seconds: float) -> str:
    """Return a hash of all that a part says."""
    return hashlib.sha256(canonical([dict(settings), values, seconds]).encode()).hexdigest()


def write_part(out: Path, experiment: Experiment, part: Part) -> Path:
    """Write a part, whole or not at all.

    Raises:
        InputError: if the folder cannot be written.
    """
    path = path_of(out, experiment, part.settings)
    check_folder(path.parent)
    content = {
        "format": FORMAT,
        "measurement": experiment.folder,
        "edition": experiment.edition,
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


def read_part(out: Path, experiment: Experiment, settings: Settings) -> tuple[Part | None, str]:
    """Return a stored part, or None and, where a file is there that does not count, a line that says why."""
    path = path_of(out, experiment, settings)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        part = Part(content["settings"], content["values"], float(content["seconds"]))
        intact = content["checksum"] == checksum(part.settings, part.values, part.seconds)
        belongs = canonical(part.settings) == canonical(dict(settings))
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"part {str(path)!r} is damaged ({type(error).__name__}) and does not count"
    if not intact or not belongs:
        wrong = "was changed after it was written" if not intact else "is of other settings"
        return None, f"part {str(path)!r} {wrong} and does not count"
    return part, ""
