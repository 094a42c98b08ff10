"""Training an RBM: batches to updates to readings to checkpoints.

Compiled loops of up to 500 updates (`updates`) run between the points where the host has something to do: a reading of
the training curves, a checkpoint, a look whether the weights are finite, a new chunk of a stream. The loops are of
about half a second; how they are cut changes no number.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from rgstep import memory
from rgstep.arguments import COUNT, PATH, PROGRESS, SEEDS, checked, optional
from rgstep.errors import InputError
from rgstep.nets import checkpoints as disk
from rgstep.nets.gibbs import gibbs
from rgstep.nets.presets import Training, settings
from rgstep.nets.rbm import RBM, Weights, require_room, untrained_rbm
from rgstep.nets.readings import Reader, next_reading
from rgstep.nets.sources import Data, Source, as_source
from rgstep.nets.updates import (
    MOST,
    State,
    compiled_settings,
    first_state,
    spin_weights,
    unpacked,
    updates,
    updates_of_many,
)
from rgstep.types import Progress

SECONDS = 0.5  # that a compiled loop takes, about
FIRST = 10  # updates in the first one
SAMPLED = 500  # samples of the model in a reading


@overload
def train_rbm(
    data: Data,
    hidden: int | None = None,
    seed: int = 0,
    *,
    preset: str = "default",
    checkpoints: str | Path | None = None,
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
    progress: Progress | None = None,
    **overrides: Any,
) -> list[RBM]: ...


@checked(hidden=optional(COUNT), seed=SEEDS, checkpoints=optional(PATH), progress=PROGRESS)
def train_rbm(
    data: Data,
    hidden: int | None = None,
    seed: int | Sequence[int] = 0,
    *,
    preset: str = "default",
    checkpoints: str | Path | None = None,
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
        progress: called after each block of updates with the reconstruction error and the speed.
        **overrides: settings of `Training` that replace the preset's.

    Raises:
        InputError: for bad settings or data, a network too large for memory, weights that stop being finite, or
            checkpoints of another run.
    """
    training = settings(preset, overrides)
    seeds = as_seeds(seed)
    source = as_source(data, training.batch, seeds)
    hidden = hidden if hidden is not None else max(1, source.visible // 4)
    require_room(source.visible, hidden, copies=len(seeds) * (8 + 2 * training.levels))
    require_room_for_chains(training, source.visible + hidden, len(seeds))
    run = Run(source, hidden, training, seeds, Path(checkpoints) if checkpoints is not None else None)
    run.go(progress, stage=f"training {preset}")
    rbms = [run.network(i, preset) for i in range(len(seeds))]
    return rbms if isinstance(seed, Sequence) else rbms[0]


def require_room_for_chains(training: Training, units: int, networks: int) -> None:
    """Raise `InputError` unless the persistent chains fit in memory, float32 and once more while they are updated."""
    each = 8 * units * training.levels * networks
    if training.method == "pcd":
        memory.require(
            each * training.chains,
            f"chains = {training.chains} of {units} units",
            f"at most chains = {memory.available() // each} fit",
        )


def as_seeds(seed: object) -> list[int]:
    """Return one or several seeds as a list, checked."""
    found = SEEDS("seed", seed)
    return found if isinstance(found, list) else [found]


class Run:
    """One training run of one or several networks."""

    def __init__(self, source: Source, hidden: int, training: Training, seeds: list[int], folder: Path | None) -> None:
        """Start, or go on from the last checkpoint in the folder."""
        self.source, self.training, self.seeds, self.folder = source, training, seeds, folder
        self.compiled = compiled_settings(training)
        starts = [
            first_state(untrained_rbm(source.visible, hidden, s, training.weights_sd).parameters, training, s)
            for s in seeds
        ]
        self.state: State = stack(starts) if len(seeds) > 1 else starts[0]
        self.readers = [
            Reader(source.sample, source.visible, np.random.default_rng([s, source.visible, hidden, 3])) for s in seeds
        ]
        self.curves: disk.Curves = [[] for _ in seeds]
        self.record = disk.Run(training.plain(), seeds, source.visible, hidden, source.digest)
        self.length = FIRST
        self.good = -1  # the step of the last checkpoint on disk
        if folder is not None and (found := disk.resume(folder, self.record, self.state)):
            self.state, self.curves = found
            self.good = self.step

    @property
    def step(self) -> int:
        """How many updates are done."""
        return int(np.asarray(self.state.step).flat[0])

    def one(self, i: int) -> State:
        """Return the state of the i-th network."""
        if len(self.seeds) == 1:
            return self.state
        one: State = jax.tree.map(lambda x: x[i], self.state)
        return one

    def go(self, progress: Progress | None, stage: str) -> None:
        """Do all updates that are left."""
        last, begun, started = self.training.steps, self.step, time.perf_counter()
        if progress:
            progress(stage, begun, last, f"goes on from step {begun}; compiling" if begun else "compiling")
        if not self.curves[0]:
            self.read()
            self.save()
        step = begun
        reading = next_reading(int(self.curves[0][-1]["step"]), last)  # the grid of a run that was never cut
        checkpoint = disk.next_checkpoint(step, last)
        while step < last:
            until = min(reading, checkpoint, last)
            step = self.advance(step, min(self.length, self.source.room(step), until - step, MOST))
            if step == reading:
                self.read()
                reading = next_reading(step, last)
            if step == checkpoint:
                self.save()
                checkpoint = disk.next_checkpoint(step, last)
            if progress:
                speed = (step - begun) / (time.perf_counter() - started)
                note = f"reconstruction {self.curves[0][-1]['reconstruction']:.3f}, {speed:.0f} updates/s"
                progress(stage, step, last, note)

    def advance(self, step: int, count: int) -> int:
        """Do `count` updates in one compiled loop, and choose the length of the next one."""
        data, rows = self.source.batches(step, count)
        padded = np.zeros((len(self.seeds), MOST, rows.shape[2]), np.int32)
        padded[:, :count] = rows
        started = time.perf_counter()
        rest = (jnp.int32(count), jnp.int32(self.training.k), self.compiled)
        if len(self.seeds) == 1:
            self.state = updates(self.state, data, jnp.asarray(padded[0]), *rest)
        else:
            self.state = updates_of_many(self.state, data, jnp.asarray(padded), *rest)
        self.check_finite(step, count)
        seconds = time.perf_counter() - started
        self.length = int(np.clip(count * SECONDS / seconds, max(1, self.length // 2), 2 * self.length))
        return step + count

    def check_finite(self, step: int, count: int) -> None:
        """Raise `InputError` if an update made a weight NaN, infinite or absurdly large."""
        at = np.atleast_1d(np.asarray(self.state.exploded))
        if (at >= 0).any():
            kept = f"; the last good checkpoint is of step {self.good} in {str(self.folder)!r}" if self.folder else ""
            message = (
                f"learning_rate = {self.record.settings['learning_rate']}: the weights exploded at step "
                f"{at[at >= 0].min()}; try a smaller rate{kept}"
            )
            raise InputError(message)

    def read(self) -> None:
        """Take a reading of every network."""
        for i, (reader, curve) in enumerate(zip(self.readers, self.curves, strict=True)):
            state = self.one(i)
            weights = spin_weights(state.parameters, self.training)
            curve.append(reader.read(weights, self.step, self.samples(state, weights)))

    def samples(self, state: State, weights: Weights) -> jax.Array:
        """Return samples of the model: its chains, or configurations k steps from the data where there are none."""
        if self.training.method == "pcd" and self.training.levels == 1:
            return state.chains[:SAMPLED]
        if self.training.method == "pcd":
            return state.chains[-1, :SAMPLED]
        v = unpacked(jnp.asarray(self.source.sample[:SAMPLED]), self.source.visible)
        key = jax.random.fold_in(state.key, -1 - state.step)
        samples: jax.Array = gibbs_steps(weights, v, jnp.int32(self.training.k), key)
        return samples

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self.folder is not None:
            disk.save(self.folder, self.record, self.state, self.curves)
            self.good = self.step

    def network(self, i: int, preset: str) -> RBM:
        """Return the i-th network with its record and training curves."""
        weights = spin_weights(self.one(i).parameters, self.training)
        origin = {
            "preset": preset,
            "seed": self.seeds[i],
            "samples": self.source.samples if self.source.samples is not None else "stream",
            "data": self.source.digest,
            **self.training.plain(),
        }
        curves = self.curves[i]
        history = {name: np.array([reading[name] for reading in curves]) for name in curves[0]}
        return RBM(np.asarray(weights.w), np.asarray(weights.a), np.asarray(weights.b), origin, history)


def stack(states: list[State]) -> State:
    """Return states as one with a leading axis on every array."""
    stacked: State = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return stacked


@jax.jit
def gibbs_steps(weights: Weights, v: jax.Array, k: jax.Array, key: jax.Array) -> jax.Array:
    """Return v after k Gibbs steps, compiled."""
    return gibbs(weights, v, k, key)
