"""What does one task of a study do? It trains, or makes, a map, and judges it by the rows that decide a verdict.

Configurations that several tasks use are sampled once and stored. A training that several tasks read at different
lengths is done once, from checkpoint to checkpoint. Every seed is a hash of the settings that it serves (`plan`).
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgstep.arguments import InputError
from rgstep.battery import about, judge_map, reference_on
from rgstep.controls import HAND_MADE
from rgstep.ensemble import Ensemble
from rgstep.files import check_folder
from rgstep.instruments import DECIDING
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.learned import train_kernel
from rgstep.nets.rbm import RBM, untrained_rbm
from rgstep.nets.training import train_rbm
from rgstep.parts import Measurement, Settings, Values, key_of, stored
from rgstep.results import MapReport
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.stack import Stack, train_stack
from rgstep.store import load_ensemble, save_ensemble
from rgstep.studies.plan import TRAINED, UNTRAINED, can_go_on, number_of, overrides, training_of

INPUT = Measurement("inputs")
TRAINING = Measurement("trainings")
BLOCK = 2  # of a rule made by hand


def training_data(settings: Settings) -> dict[str, Any]:
    """Return what decides the configurations that a task trains on."""
    names = {"size": "size", "temperature": "temperature", "samples": "samples", "data_seed": "seed"}
    return {plain: settings[name] for name, plain in names.items()}


def judged_data(settings: Settings) -> dict[str, Any]:
    """Return what decides the configurations that a task judges on, always critical."""
    names = {"size": "size", "judged_samples": "samples", "judged_seed": "seed"}
    return {"temperature": CRITICAL_TEMPERATURE, **{plain: settings[name] for name, plain in names.items()}}


def needs_data(settings: Settings) -> bool:
    """Whether a task trains on a stored set."""
    return settings["map"] in TRAINED and not settings["fresh"]


def inputs_of(settings: Settings) -> list[dict[str, Any]]:
    """Return the sets of configurations that a task reads."""
    return [judged_data(settings), *([training_data(settings)] if needs_data(settings) else [])]


def path_of_input(folder: Path, given: Settings) -> Path:
    """Return where a set of configurations is kept."""
    return folder / INPUT.name / f"{key_of(INPUT, given)}.npz"


def make_input(folder: Path, given: Settings) -> None:
    """Sample a set of configurations into its file, if it is not there or damaged."""
    path = path_of_input(folder, given)
    try:
        load_ensemble(path)
    except InputError:
        check_folder(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        law = given["size"], float(given["temperature"]), given["samples"], given["seed"]
        save_ensemble(path, sample(*law, mode="thin", threads=1))


@functools.lru_cache(maxsize=4)
def read_input(path: Path) -> Ensemble:
    """Return a stored set of configurations; a process keeps the last few."""
    return load_ensemble(path)


@functools.lru_cache(maxsize=4)
def judged_on(path: Path) -> tuple[Ensemble, Any]:
    """Return a set to judge on and the rows of the majority rule on it, which do not depend on the task."""
    ensemble = read_input(path)
    return ensemble, reference_on(ensemble, 0)


def checkpoints_of(folder: Path, settings: Settings) -> Path | None:
    """Return where the checkpoints of a task's training are kept, None for one that cannot be cut."""
    if not can_go_on(settings):
        return None
    return folder / TRAINING.name / key_of(TRAINING, training_of(settings))


def made(folder: Path, settings: Settings) -> object:
    """Return the map of a task."""
    size, kind, seed = settings["size"], settings["map"], number_of(training_of(settings))
    hidden = settings["hidden"]
    if kind in HAND_MADE:
        return HAND_MADE[kind](BLOCK)
    if kind == UNTRAINED:
        return untrained_rbm(size**2, hidden or size**2 // 4, seed)
    data: Ensemble | IsingStream
    if settings["fresh"]:
        data = IsingStream(size, float(settings["temperature"]), seed)
    else:
        data = read_input(path_of_input(folder, training_data(settings)))
    rest = overrides(settings)
    if kind == "kernel":
        return train_kernel(data, settings["preset"], seed, **rest)
    if kind == "stack":
        return train_stack(data, settings["levels"], seed, preset=settings["preset"], **rest)
    return train_rbm(
        data, hidden, seed, preset=settings["preset"], checkpoints=checkpoints_of(folder, settings), **rest
    )


def measure(folder: Path, settings: Settings) -> Values:
    """Return verdict, fate and every number of the deciding rows of a task's map, plain values."""
    given = made(folder, settings)
    path = path_of_input(folder, judged_data(settings))
    ensemble, reference = judged_on(path)
    entry = judge_map(ensemble, settings["map"], given, number_of(settings), reference, None, DECIDING)
    return {**of_entry(entry), "about": about(given), "training": last_readings(given)}


def of_entry(entry: MapReport) -> dict[str, Any]:
    """Return what is said of a map, plain values."""
    return {
        "verdict": entry.verdict,
        "reason": entry.reason,
        "fate": entry.fate,
        "passed": {row: found.passed for row, found in entry.diagnostics.items()},
        "rows": {
            row: {name: stored(quantity.estimate) for name, quantity in found.estimates.items()}
            for row, found in entry.diagnostics.items()
        },
    }


def last_readings(given: object) -> Mapping[str, float]:
    """Return the last reading of every training curve of a network, of the first of a stack."""
    rbm = given.first if isinstance(given, Stack) else given
    curves = getattr(rbm, "history", {})
    return {name: float(curve[-1]) for name, curve in curves.items() if len(curve)} if isinstance(rbm, RBM) else {}
