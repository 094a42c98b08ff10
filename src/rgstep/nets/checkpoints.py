"""A training run on disk: its state on a logarithmic grid of steps, from which it goes on to the same bits.

A checkpoint holds all that a run is made of: parameters, optimiser, chains, means, ladder, key and step of every
network, the training curves so far, the settings, and a hash of the data. Files are written whole, so that a run that
is killed leaves its last checkpoint.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rgstep.arguments import PATH, checked, whole
from rgstep.errors import InputError
from rgstep.files import check_folder, read_arrays, write_arrays
from rgstep.nets.rbm import RBM, Weights
from rgstep.nets.updates import State, to_spin

FORMAT = 1
GROWTH = 1.5  # from one checkpoint's step to the next
Curves = list[list[dict[str, float]]]  # for every network, reading by reading


@dataclass(frozen=True)
class Run:
    """What a folder of checkpoints belongs to, in plain values: two runs that differ in it are not the same run."""

    settings: Mapping[str, Any]
    seeds: Sequence[int]
    visible: int
    hidden: int
    data: str

    def plain(self) -> dict[str, Any]:
        """Return it as JSON gives it back; without the number of steps where no schedule depends on it."""
        settings = {name: value for name, value in self.settings.items() if name != "steps" or self.scheduled}
        plain: dict[str, Any] = json.loads(json.dumps({**vars(self), "settings": settings}))
        return plain

    @property
    def scheduled(self) -> bool:
        """Whether the number of steps decides the steps on the way, so that more of them are another run."""
        return bool(self.settings["schedule"] != "constant")


def next_checkpoint(step: int, last: int) -> int:
    """Return the step of the next checkpoint: 1, 2, 3, 4, 6, 9, … and the last."""
    return min(max(step + 1, int(step * GROWTH)), last)


def path_of(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint after so many updates."""
    return folder / f"checkpoint-{step:09d}.npz"


def save(folder: Path, run: Run, state: State, curves: Curves) -> None:
    """Write the checkpoint of a run as it stands."""
    key = jax.random.key_data(state.key)
    leaves = jax.tree.leaves(state._replace(key=key))
    step = int(np.asarray(state.step).flat[0])
    meta = json.dumps({"kind": "checkpoint", "format": FORMAT, "run": run.plain(), "curves": curves})
    arrays = {f"leaf_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(path_of(folder, step), {"meta": np.array(meta), **arrays})
    except OSError as error:
        message = f"checkpoint in {str(folder)!r} cannot be written: {error.strerror}"
        raise InputError(message) from error


def saved_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder, in order."""
    numbers = (path.stem.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*.npz"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def resume(folder: Path, run: Run, start: State) -> tuple[State, Curves] | None:
    """Return the last state of a run, no later than its end, and its curves, or None if the folder holds none.

    Raises:
        InputError: if the folder cannot be used, or its checkpoints are of another run: what differs is named.
    """
    if folder.exists() and not folder.is_dir():
        message = f"checkpoints = {str(folder)!r} is a file: name a folder"
        raise InputError(message)
    check_folder(folder)
    steps = [step for step in saved_steps(folder) if step <= run.settings["steps"]] if folder.is_dir() else []
    if not steps:
        return None
    path = path_of(folder, steps[-1])
    try:
        meta, arrays = read_checkpoint(path)
    except InputError as error:
        message = f"{error}: delete it to go on from the one before"
        raise InputError(message) from error
    require_same(path, meta["run"], run.plain())
    leaves, structure = jax.tree.flatten(start._replace(key=jax.random.key_data(start.key)))
    stored = [arrays[f"leaf_{i:03d}"] for i in range(len(leaves)) if f"leaf_{i:03d}" in arrays]
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in stored]:
        message = f"checkpoint {str(path)!r} is damaged, or of another version: delete it to go on from the one before"
        raise InputError(message)
    state: State = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored])
    return state._replace(key=jax.random.wrap_key_data(state.key)), meta["curves"]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the plain values and the arrays of a checkpoint, or raise `InputError` if it is none."""
    arrays = read_arrays(path)
    try:
        meta = json.loads(str(arrays.pop("meta", "")))
    except json.JSONDecodeError:
        meta = None
    if not isinstance(meta, dict) or meta.get("kind") != "checkpoint" or meta.get("format") != FORMAT:
        message = f"file {str(path)!r} is no checkpoint of format {FORMAT}"
        raise InputError(message)
    return meta, arrays


def require_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise `InputError` unless a checkpoint belongs to the run, naming the first thing that differs."""
    flat_found, flat_wanted = ({**run, **run["settings"]} for run in (found, wanted))
    for name, value in flat_wanted.items():
        if name != "settings" and flat_found.get(name) != value:
            what = "other data" if name == "data" else f"{name} = {flat_found.get(name)!r}, not {value!r}"
            message = f"checkpoint {str(path)!r} is of {what}: choose another folder, or empty this one"
            raise InputError(message)


@checked(folder=PATH, network=whole(0))
def load_checkpoints(folder: str | Path, network: int = 0) -> list[RBM]:
    """Return the networks of a training run at all its checkpoints, the first (before any update) first.

    Args:
        folder: what `train_rbm` was given as `checkpoints`.
        network: which, of a run of several seeds.

    Raises:
        InputError: if there are none, a file is damaged, or the run has no such network.
    """
    steps = saved_steps(Path(folder)) if Path(folder).is_dir() else []
    if not steps:
        message = f"folder {str(folder)!r} holds no checkpoints: give one that train_rbm(…, checkpoints=…) filled"
        raise InputError(message)
    return [as_rbm(path_of(Path(folder), step), network) for step in steps]


def as_rbm(path: Path, network: int) -> RBM:
    """Return the network of one checkpoint."""
    meta, arrays = read_checkpoint(path)
    run = meta["run"]
    if network not in range(len(run["seeds"])):
        message = f"network = {network!r}: the run has {len(run['seeds'])}, numbered from 0"
        raise InputError(message)
    several = len(run["seeds"]) > 1
    step, w, a, b = (arrays[f"leaf_{i:03d}"][network] if several else arrays[f"leaf_{i:03d}"] for i in range(4))
    if run["settings"]["units"] == "binary":
        w, a, b = (np.asarray(x) for x in to_spin(Weights(jnp.asarray(w), jnp.asarray(a), jnp.asarray(b))))
    origin = {**run["settings"], "seed": run["seeds"][network], "steps": int(step), "data": run["data"]}
    curves = meta["curves"][network]
    return RBM(w, a, b, origin, {name: np.array([reading[name] for reading in curves]) for name in curves[0]})
