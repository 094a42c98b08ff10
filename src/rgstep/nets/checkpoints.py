"""What does a training that was cut go on from? Checkpoints: the state of a run in a folder, on a logarithmic grid.

A checkpoint holds the arrays of a run's state, its training curves so far, and what run it is of: settings, seeds and a
hash of the data, in plain values. Files are written whole, so that a run that is killed leaves its last checkpoint.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from rgstep import schema
from rgstep.arguments import PLAIN, InputError, whole
from rgstep.files import check_folder, read_sealed, reading, write_arrays

CHECKPOINT_FORMAT = 2  # those of format 1 have no checksum
READABLE_CHECKPOINTS = (1, 2)
CHECKPOINT_SPACING = 1.5  # ratio of the steps of neighbouring checkpoints
RECORD = schema.record({"kind": schema.text, "format": whole(1), "run": PLAIN, "curves": lambda name, value: value})
T = TypeVar("T")


def next_checkpoint(step: int, last: int) -> int:
    """Return the step of the next checkpoint: 1, 2, 3, 4, 6, 9, … and the last."""
    return min(max(step + 1, int(step * CHECKPOINT_SPACING)), last)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint after so many updates."""
    return folder / f"checkpoint-{step:09d}.npz"


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder, in order."""
    numbers = (path.stem.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*.npz"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def write_leaves(folder: Path, step: int, run: Mapping[str, Any], leaves: Sequence[Any], curves: object) -> None:
    """Write the checkpoint of a run as it stands: the arrays of its state, and its curves in plain values."""
    meta = json.dumps({"kind": "checkpoint", "format": CHECKPOINT_FORMAT, "run": run, "curves": curves})
    arrays = {f"leaf_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(checkpoint_path(folder, step), {"meta": np.array(meta), **arrays})
    except OSError as error:
        message = f"checkpoint in {str(folder)!r} cannot be written: {error.strerror}"
        raise InputError(message) from error


def last_leaves(
    folder: Path, run: Mapping[str, Any], last: int, leaves: Sequence[Any]
) -> tuple[int, list[np.ndarray], Any] | None:
    """Return step, arrays and curves of a run's last checkpoint no later than its end, or None if there is none.

    Args:
        folder: of the checkpoints.
        run: what they must be of, in plain values.
        last: the end of the run.
        leaves: arrays of the state before the run, whose shapes those of a checkpoint have.

    Raises:
        InputError: if the folder cannot be used, or its checkpoints are of another run: what differs is named.
    """
    if folder.exists() and not folder.is_dir():
        message = f"checkpoints = {str(folder)!r} is a file: name a folder"
        raise InputError(message)
    check_folder(folder)
    every = checkpoint_steps(folder) if folder.is_dir() else []
    if not every:
        return None
    steps = [step for step in every if step <= last]
    path = checkpoint_path(folder, (steps or every)[-1])
    try:
        meta, arrays = read_checkpoint(path)
    except InputError as error:
        message = f"{error}: delete it to go on from the one before"
        raise InputError(message) from error
    require_same_run(path, meta["run"], run)
    if not steps:
        return None  # a longer training, of which none is early enough
    stored = [arrays[f"leaf_{i:03d}"] for i in range(len(leaves)) if f"leaf_{i:03d}" in arrays]
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in stored]:
        message = f"checkpoint {str(path)!r} is damaged, or of another version: delete it to go on from the one before"
        raise InputError(message)
    return steps[-1], stored, meta["curves"]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the plain values and the arrays of a checkpoint, or raise `InputError` if it is none."""
    with reading(path, "is no checkpoint, or is damaged"):
        arrays, sealed = read_sealed(path)
        meta = schema.parse(str(arrays.pop("meta", "")), constants=True)
        if not isinstance(meta, dict) or meta.get("kind") != "checkpoint":
            message = "it has no record of a run"
            raise InputError(message)
        if meta.get("format") not in READABLE_CHECKPOINTS or (meta["format"] > 1 and not sealed):
            message = f"format {meta.get('format')} without its checksum, or not of {READABLE_CHECKPOINTS}"
            raise InputError(message)
        RECORD("record", meta)
        if wrong := [name for name in arrays if not name.startswith("leaf_")]:
            message = f"its array {wrong[0]!r} is none of a run"
            raise InputError(message)
        return meta, arrays


def require_same_run(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `InputError` unless a checkpoint belongs to the run, naming the first thing that differs."""
    flat_found, flat_wanted = ({**run, **run["settings"]} for run in (found, wanted))
    for name in flat_wanted.keys() | flat_found.keys():
        if name not in flat_found or name not in flat_wanted:
            message = f"checkpoint {str(path)!r} is of another kind of training: choose another folder"
            raise InputError(message)
    for name, value in flat_wanted.items():
        if name != "settings" and flat_found.get(name) != value:
            what = "other data" if name == "data" else f"{name} = {flat_found.get(name)!r}, not {value!r}"
            message = f"checkpoint {str(path)!r} is of {what}: choose another folder, or empty this one"
            raise InputError(message)


class Checkpoints:
    """The checkpoints of the training of one kernel: in a folder, or nowhere."""

    def __init__(self, folder: Path | None, settings: Mapping[str, Any], seed: int, visible: int, data: str) -> None:
        """Take what the run is: its settings, its seed, the number of sites and the hash of its data."""
        run = {"settings": settings, "seeds": [seed], "visible": visible, "data": data}
        self.folder, self.run = folder, json.loads(json.dumps(run))
        self.due = 0

    def begin(self, state: T, curves: Any, last: int) -> tuple[T, Any]:
        """Return the state and the curves that the run goes on from: those given unless a checkpoint is there.

        Raises:
            InputError: if the folder cannot be used, or is of another run, or its last checkpoint is damaged.
        """
        if self.folder is None:
            return state, curves
        leaves, structure = jax.tree.flatten(state)
        found = last_leaves(self.folder, self.run, last, leaves)
        if found is None:
            return state, curves
        self.due = next_checkpoint(found[0], last)
        return jax.tree.unflatten(structure, found[1]), found[2]

    def save(self, step: int, state: object, curves: object, last: int) -> None:
        """Write a checkpoint, if there is a folder and the next one of the grid is due, or this is the end."""
        if self.folder is not None and (step >= self.due or step == last):
            write_leaves(self.folder, step, self.run, jax.tree.leaves(state), curves)
            self.due = next_checkpoint(step, last)
