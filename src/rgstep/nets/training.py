"""Training an RBM: batches, updates, readings of the training curves, and the checkpoints that it goes on from.

Compiled loops of up to 500 updates (`updates`) run between the points where the host has something to do: a reading of
the training curves, a checkpoint, a look whether the weights are finite, a new chunk of a stream. The loops are of
about half a second; how they are cut changes no number.

A checkpoint holds all that a run is made of: parameters, optimiser, chains, means, ladder, key and step of every
network, the training curves so far, the settings, and a hash of the data (`nets.checkpoints` writes and reads them).
From it the run goes on to the same bits; on another number of devices, to the same numbers but for rounding.

On several devices batches and chains are split among them, and the data, as bits, and all that belongs to the networks
are whole on each (`devices`). Readings are taken on the first.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from rgstep import memory, schema
from rgstep.arguments import COUNT, PATH, PLAIN, PROGRESS, SEED, SEEDS, InputError, Rule, checked, each, optional, whole
from rgstep.files import reading
from rgstep.nets.batches import BatchSource, Data, batch_source, spins_of_bits
from rgstep.nets.checkpoints import (
    checkpoint_path,
    checkpoint_steps,
    last_leaves,
    next_checkpoint,
    read_checkpoint,
    write_leaves,
)
from rgstep.nets.conversion import to_spin
from rgstep.nets.curves import CurveReader, next_reading
from rgstep.nets.devices import at_work, mesh_of, on_each, on_one, require_shares, split
from rgstep.nets.presets import Training, settings
from rgstep.nets.rbm import RBM, Weights, gibbs_steps, require_room, untrained_rbm
from rgstep.nets.updates import (
    LONGEST_LOOP,
    TrainingState,
    compiled_settings,
    first_state,
    run_updates,
    run_updates_of_many,
    spin_weights,
)
from rgstep.progress import spoken
from rgstep.types import Progress

SECONDS_OF_LOOP = 0.5  # that a compiled loop takes, about: long beside its call, short for a user who watches
LONGEST_TRAINING = 30 * 86400.0  # seconds
TIMED_AFTER = 5.0  # seconds, most of them for compiling in the worst case
UPDATES_OF_FIRST_LOOP = 10  # before any speed is known
MODEL_SAMPLES = 500  # samples of the model in a reading
Curves = list[list[dict[str, float]]]  # for every network, reading by reading
RUN: Rule = schema.record(
    {"settings": PLAIN, "seeds": each(SEED), "visible": COUNT, "hidden": COUNT, "data": schema.text}
)
CURVES: Rule = each(each(schema.by_name(schema.reading)))


@overload
def train_rbm(
    data: Data,
    hidden: int | None = None,
    seed: int = 0,
    *,
    preset: str = "default",
    checkpoints: str | Path | None = None,
    devices: int = 1,
    progress: Progress | None = None,
    **overrides: Any,
) -> RBM: ...


@overload
def train_rbm(
    data: Data,
    hidden: int | None = None,
    *,
    seed: Sequence[int],
    preset: str = "default",
    checkpoints: str | Path | None = None,
    devices: int = 1,
    progress: Progress | None = None,
    **overrides: Any,
) -> list[RBM]: ...


@checked(hidden=optional(COUNT), seed=SEEDS, checkpoints=optional(PATH), devices=COUNT, progress=PROGRESS)
def train_rbm(
    data: Data,
    hidden: int | None = None,
    seed: int | Sequence[int] = 0,
    *,
    preset: str = "default",
    checkpoints: str | Path | None = None,
    devices: int = 1,
    progress: Progress | None = None,
    **overrides: Any,  # the fields of `Training`
) -> RBM | list[RBM]:
    """Return an RBM trained on configurations, or one for each of several seeds.

    Args:
        data: an `Ensemble`, an array of ±1, sample axis first, or an `IsingStream` of fresh configurations.
        hidden: the number of hidden units; a quarter of the visible ones by default.
        seed: decides the first weights, the order of the data and every draw; the same seed gives the same network.
            Several seeds are trained side by side.
        preset: a name of `PRESETS`.
        checkpoints: a folder for the state of the run on a logarithmic grid of steps. If it holds checkpoints of the
            same run, training goes on from the last one, to the bits of a run that was never cut.
        devices: how many of JAX's devices share each batch, and the chains; both must make equal shares. Another number
            of them gives the same network but for rounding, until that turns a spin of a chain.
        progress: called after each block of updates with the reconstruction error and the speed.
        **overrides: settings of `Training` that replace the preset's.

    Raises:
        InputError: for bad settings or data, a network too large for memory, weights that stop being finite,
            checkpoints of another run, or devices that JAX does not show.

    Examples:
        >>> ensemble = rg.sample(8, samples=500, seed=0)
        >>> rbm = rg.train_rbm(ensemble, hidden=16, seed=0, steps=20)
        >>> rbm.weights.shape, rbm.origin["preset"]
        ((64, 16), 'default')
    """
    training = settings(preset, overrides)
    seeds = as_seeds(seed)
    mesh = mesh_of(devices)
    source = batch_source(data, training.batch, seeds)
    require_shares(devices, **shared_samples(training, source))
    hidden = hidden if hidden is not None else max(1, source.visible // 4)
    require_room(source.visible, hidden, copies=len(seeds) * (8 + 2 * training.levels))
    require_room_for_chains(training, source.visible + hidden, len(seeds))
    run = TrainingRun(source, hidden, training, seeds, Path(checkpoints) if checkpoints is not None else None, mesh)
    run.go(progress, stage=f"training {preset}" + (f" on {devices} devices" if mesh else ""))
    rbms = [run.network(i, preset) for i in range(len(seeds))]
    return rbms if isinstance(seed, Sequence) else rbms[0]


def shared_samples(training: Training, source: BatchSource) -> dict[str, int]:
    """Return the numbers of samples that devices share in each update, by the names of their settings."""
    batch = min(training.batch, source.samples or training.batch)
    return {"batch": batch, **({"chains": training.chains} if training.method == "pcd" else {})}


def require_room_for_chains(training: Training, units: int, networks: int) -> None:
    """Raise `InputError` unless the persistent chains fit in memory, float32 and once more while they are updated."""
    each = 8 * units * training.levels * networks
    if training.method == "pcd":
        memory.require(
            each * training.chains,
            f"chains = {training.chains} of {units} units",
            f"at most chains = {memory.available() // each} fit",
        )


def require_time(begun: int, last: int, speed: float) -> None:
    """Raise `InputError` if a training would take more than `LONGEST_TRAINING`, by the speed of its first seconds.

    Args:
        begun: the step that this run goes on from.
        last: the last step.
        speed: updates a second so far, the time of compiling included.
    """
    expected = (last - begun) / speed
    if expected > LONGEST_TRAINING:
        fits = begun + int(speed * LONGEST_TRAINING)
        message = (
            f"steps = {last} would take about {spoken(expected)} at {speed:.3g} updates a second, more than "
            f"{spoken(LONGEST_TRAINING)}; about steps = {fits} would fit, or go on from checkpoints in parts"
        )
        raise InputError(message)


def as_seeds(seed: object) -> list[int]:
    """Return one or several seeds as a list, checked."""
    found = SEEDS("seed", seed)
    return found if isinstance(found, list) else [found]


class TrainingRun:
    """One training run of one or several networks."""

    def __init__(
        self,
        source: BatchSource,
        hidden: int,
        training: Training,
        seeds: list[int],
        folder: Path | None,
        mesh: Mesh | None = None,
    ) -> None:
        """Start, or go on from the last checkpoint in the folder, on one device or on those of a mesh."""
        self.source, self.training, self.seeds, self.folder, self.mesh = source, training, seeds, folder, mesh
        self.compiled = compiled_settings(training)
        starts = [
            first_state(untrained_rbm(source.visible, hidden, s, training.weights_sd).parameters, training, s)
            for s in seeds
        ]
        self.state: TrainingState = starts[0] if len(seeds) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *starts)
        streams = (np.random.default_rng([s, source.visible, hidden, 3]) for s in seeds)
        self.readers = [CurveReader(source.sample, source.visible, rng) for rng in streams]
        self.curves: Curves = [[] for _ in seeds]
        self.record = RunRecord(training.plain(), seeds, source.visible, hidden, source.digest)
        self.length = UPDATES_OF_FIRST_LOOP
        self.good = -1  # the step of the last checkpoint on disk
        if folder is not None and (found := last_checkpoint(folder, self.record, self.state)):
            self.state, self.curves = found
            self.good = self.step
        self.state = self.on_devices(self.state)
        self.data: tuple[Any, Any] = None, None  # as the source gave it, and as the devices have it

    def on_devices(self, state: TrainingState) -> TrainingState:
        """Return a state as updates need it: on several devices the persistent chains split among them."""
        chains = state.chains
        state = on_each(state, self.mesh)
        return state._replace(chains=split(chains, self.mesh, axis=-2)) if self.training.method == "pcd" else state

    @property
    def step(self) -> int:
        """How many updates are done."""
        return int(np.asarray(self.state.step).flat[0])

    def state_of(self, i: int) -> TrainingState:
        """Return the state of the i-th network."""
        state = on_one(self.state, self.mesh)
        return state if len(self.seeds) == 1 else jax.tree.map(lambda x: x[i], state)

    def go(self, progress: Progress | None, stage: str) -> None:
        """Do all updates that are left."""
        last, begun, started = self.training.steps, self.step, time.perf_counter()
        if progress:
            progress(stage, begun, last, f"goes on from step {begun}; compiling" if begun else "compiling")
        if not self.curves[0]:
            self.take_readings()
            self.save_checkpoint()
        step = begun
        reading = next_reading(int(self.curves[0][-1]["step"]), last)  # the grid of a run that was never cut
        checkpoint = next_checkpoint(step, last)
        timed = False
        while step < last:
            until = min(reading, checkpoint, last)
            step = self.advance(step, min(self.length, self.source.available(step), until - step, LONGEST_LOOP))
            if step == reading:
                self.take_readings()
                reading = next_reading(step, last)
            if step == checkpoint:
                self.save_checkpoint()
                checkpoint = next_checkpoint(step, last)
            speed = (step - begun) / (time.perf_counter() - started)
            if not timed and time.perf_counter() - started > TIMED_AFTER:
                require_time(begun, last, speed)
                timed = True
            if progress:
                left = spoken((last - step) / speed)
                note = f"reconstruction {self.curves[0][-1]['reconstruction']:.3f}, {speed:.0f} updates/s, {left} left"
                progress(stage, step, last, note)

    def advance(self, step: int, count: int) -> int:
        """Do `count` updates in one compiled loop, and choose the length of the next one."""
        data, rows = self.source.batches(step, count)
        padded = np.zeros((len(self.seeds), LONGEST_LOOP, rows.shape[2]), np.int32)
        padded[:, :count] = rows
        if data is not self.data[0]:
            self.data = data, on_each(data, self.mesh)
        update, order = (run_updates, padded[0]) if len(self.seeds) == 1 else (run_updates_of_many, padded)
        started = time.perf_counter()
        rest = (jnp.int32(count), jnp.int32(self.training.k), self.compiled)
        with at_work(self.mesh):
            self.state = update(self.state, self.data[1], split(order, self.mesh, axis=-1), *rest)
        self.require_finite()
        seconds = time.perf_counter() - started
        self.length = int(np.clip(count * SECONDS_OF_LOOP / seconds, max(1, self.length // 2), 2 * self.length))
        return step + count

    def require_finite(self) -> None:
        """Raise `InputError` if an update made a weight NaN, infinite or absurdly large."""
        at = np.atleast_1d(np.asarray(self.state.exploded))
        if (at >= 0).any():
            kept = f"; the last good checkpoint is of step {self.good} in {str(self.folder)!r}" if self.folder else ""
            message = (
                f"learning_rate = {self.record.settings['learning_rate']}: the weights exploded at step "
                f"{at[at >= 0].min()}; try a smaller rate{kept}"
            )
            raise InputError(message)

    def take_readings(self) -> None:
        """Take a reading of the training curves of every network."""
        for i, (reader, curve) in enumerate(zip(self.readers, self.curves, strict=True)):
            state = self.state_of(i)
            weights = spin_weights(state.parameters, self.training)
            curve.append(reader.read(weights, self.step, self.model_samples(state, weights)))

    def model_samples(self, state: TrainingState, weights: Weights) -> jax.Array:
        """Return samples of the model: its chains, or configurations k steps from the data where there are none."""
        if self.training.method == "pcd" and self.training.levels == 1:
            return state.chains[:MODEL_SAMPLES]
        if self.training.method == "pcd":
            return state.chains[-1, :MODEL_SAMPLES]
        v = spins_of_bits(jnp.asarray(self.source.sample[:MODEL_SAMPLES]), self.source.visible)
        key = jax.random.fold_in(state.key, -1 - state.step)
        samples: jax.Array = compiled_gibbs_steps(weights, v, jnp.int32(self.training.k), key)
        return samples

    def save_checkpoint(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self.folder is not None:
            write_checkpoint(self.folder, self.record, self.state, self.curves)
            self.good = self.step

    def network(self, i: int, preset: str) -> RBM:
        """Return the i-th network with its record and training curves."""
        weights = spin_weights(self.state_of(i).parameters, self.training)
        origin = {
            "preset": preset,
            "seed": self.seeds[i],
            "samples": self.source.samples if self.source.samples is not None else "stream",
            "data": self.source.digest,
            **self.training.plain(),
        }
        w, a, b = (np.asarray(x) for x in weights)
        return RBM(w, a, b, origin, curves_by_name(self.curves[i]))


compiled_gibbs_steps = jax.jit(gibbs_steps)


def curves_by_name(readings: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Return the readings of a network as arrays, one for each curve."""
    return {name: np.array([reading[name] for reading in readings]) for name in readings[0]}


# --- checkpoints


@dataclass(frozen=True)
class RunRecord:
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


def write_checkpoint(folder: Path, run: RunRecord, state: TrainingState, curves: Curves) -> None:
    """Write the checkpoint of a run as it stands."""
    leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
    write_leaves(folder, int(np.asarray(state.step).flat[0]), run.plain(), leaves, curves)


def last_checkpoint(folder: Path, run: RunRecord, start: TrainingState) -> tuple[TrainingState, Curves] | None:
    """Return the last state of a run, no later than its end, and its curves, or None if the folder holds none.

    Raises:
        InputError: if the folder cannot be used, or its checkpoints are of another run: what differs is named.
    """
    leaves, structure = jax.tree.flatten(start._replace(key=jax.random.key_data(start.key)))
    found = last_leaves(folder, run.plain(), run.settings["steps"], leaves)
    if found is None:
        return None
    state: TrainingState = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in found[1]])
    return state._replace(key=jax.random.wrap_key_data(state.key)), read_curves(found[2])


@checked(folder=PATH, network=whole(0))
def load_checkpoints(folder: str | Path, network: int = 0) -> list[RBM]:
    """Return the networks of a training run at all its checkpoints, the first (before any update) first.

    Args:
        folder: what `train_rbm` was given as `checkpoints`.
        network: which, of a run of several seeds.

    Raises:
        InputError: if there are none, a file is damaged, or the run has no such network.
    """
    steps = checkpoint_steps(Path(folder)) if Path(folder).is_dir() else []
    if not steps:
        message = f"folder {str(folder)!r} holds no checkpoints: give one that train_rbm(…, checkpoints=…) filled"
        raise InputError(message)
    return [network_of_checkpoint(checkpoint_path(Path(folder), step), network) for step in steps]


def read_curves(value: object) -> Curves:
    """Check the training curves of a checkpoint."""
    return [list(one) for one in CURVES("curves", value)]


def network_of_checkpoint(path: Path, network: int) -> RBM:
    """Return the network of one checkpoint."""
    meta, arrays = read_checkpoint(path)
    run = meta["run"]
    if "hidden" not in run:
        message = f"checkpoint {str(path)!r} is of the training of a shared kernel: it holds no network"
        raise InputError(message)
    with reading(path, "is no checkpoint, or is damaged"):
        run, curves = RUN("run", run), read_curves(meta["curves"])
    if network not in range(len(run["seeds"])):
        message = f"network = {network!r}: the run has {len(run['seeds'])}, numbered from 0"
        raise InputError(message)
    with reading(path, "is no checkpoint, or is damaged"):
        several = len(run["seeds"]) > 1
        step, w, a, b = (arrays[f"leaf_{i:03d}"][network] if several else arrays[f"leaf_{i:03d}"] for i in range(4))
        if run["settings"]["units"] == "binary":
            w, a, b = (np.asarray(x) for x in to_spin(*map(jnp.asarray, (w, a, b))))
        origin = {**run["settings"], "seed": run["seeds"][network], "steps": int(step), "data": run["data"]}
        return RBM(w, a, b, origin, curves_by_name(curves[network]))
