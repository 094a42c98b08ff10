"""Training one shared kernel as an RBM that commutes with translations, by contrastive divergence of its free energy.

    F(v) = −Σ_a ln 2 cosh(Σ_x w_x v_{b a + x}),        −∂F/∂w_x = Σ_a v_{b a + x} ⟨h_a⟩_v,

w descends along ⟨∂F/∂w⟩_data − ⟨∂F/∂w⟩_model, the model's average over configurations k Gibbs steps v → h → v from the
data (CD-k, Hinton 2002), h and v all drawn. There are no biases, so that −h is as good as h. As published by Chung and
Kao (Phys. Rev. Research 3, 023230, 2021; arXiv:2010.05703).

On the lattice the kernel is written out as the matrix W_ia of a dense network: at L = 32 a product with it takes 0.4 ms
for 50 configurations, a convolution with its periodic border 1.6 ms forward and 2.3 ms back. The gradient is that of
W_ia, summed over the places where each weight stands. Every random number of update t comes from (seed, t).
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rgstep import memory
from rgstep.arguments import LARGEST_PARAMETER, SCALE, InputError, checked, real, whole
from rgstep.lattice import check_tiling
from rgstep.nets.batches import BatchSource, Data, batch_source, spins_of_bits
from rgstep.nets.checkpoints import Checkpoints
from rgstep.nets.kernel import WIDEST_KERNEL, SharedKernel, sites_of
from rgstep.nets.presets import STEPS
from rgstep.nets.rbm import signs
from rgstep.streams import stream
from rgstep.types import Progress

UPDATES_AT_ONCE = 100  # in one compiled loop, between two reports of progress
LARGEST_SHARED_WEIGHT = 1e3  # beyond it every unit is a sign and nothing is left to learn
POSITIVE = real("must be a finite number above 0", lambda x: 0 < x <= LARGEST_PARAMETER)


@checked(
    kernel=whole(1, WIDEST_KERNEL, floats=True),
    **dict.fromkeys(("block", "k", "batch", "steps"), STEPS),
    learning_rate=POSITIVE,
    start=SCALE,
)
@dataclass(frozen=True)
class SharedTraining:
    """Everything that decides the training of a shared RBM but the data and the seed.

    Attributes:
        kernel: the side of the kernel, in sites.
        block: the stride.
        k: Gibbs steps v → h → v in the negative phase.
        batch: configurations in each phase of an update.
        steps: updates.
        learning_rate: of Adam.
        start: weights start uniform on ± this.
    """

    kernel: int = 8
    block: int = 2
    k: int = 3
    batch: int = 50
    steps: int = 20_000
    learning_rate: float = 1e-3
    start: float = 1e-5


class SharedState(NamedTuple):
    """What one update hands to the next."""

    step: jax.Array
    weights: jax.Array  # (k²,)
    optimiser: optax.OptState


def dense(weights: jax.Array, sites: jax.Array, visible: int) -> jax.Array:
    """Return the matrix `(visible, unit)` of weights `(k²,)`; a site that is met twice has the sum."""
    units = jnp.arange(len(sites))[:, None]
    empty = jnp.zeros((visible, len(sites)), weights.dtype)
    return empty.at[sites, units].add(jnp.broadcast_to(weights, sites.shape))


def gathered(v: jax.Array, h: jax.Array, sites: jax.Array) -> jax.Array:
    """Return ⟨Σ_a v_{b a + x} h_a⟩ for each weight, `(k²,)`."""
    pairs = v.T @ h / len(v)
    return pairs[sites, jnp.arange(len(sites))[:, None]].sum(axis=0)


def cd_gradient(weights: jax.Array, v: jax.Array, sites: jax.Array, k: int, key: jax.Array) -> jax.Array:
    """Return ⟨∂F/∂w⟩_data − ⟨∂F/∂w⟩ over configurations k Gibbs steps away, `(k²,)`, for v `(n, visible)`."""
    matrix = dense(weights, sites, v.shape[1])
    mean = jnp.tanh(v @ matrix)
    data = gathered(v, mean, sites)
    for i in range(k):
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        v = signs(key_v, jnp.tanh(signs(key_h, mean) @ matrix.T))
        mean = jnp.tanh(v @ matrix)
    return gathered(v, mean, sites) - data


@partial(jax.jit, static_argnames=("training", "visible"))
def run_shared_updates(
    state: SharedState,
    data: jax.Array,
    rows: jax.Array,
    sites: jax.Array,
    key: jax.Array,
    *,
    training: SharedTraining,
    visible: int,
) -> SharedState:
    """Do an update with each row of `rows`, int32 `(update, batch)`, of bits `data`."""
    adam = optax.adam(training.learning_rate)

    def update(now: SharedState, batch: jax.Array) -> tuple[SharedState, None]:
        v = spins_of_bits(data[batch], visible)
        gradient = cd_gradient(now.weights, v, sites, training.k, jax.random.fold_in(key, now.step))
        change, optimiser = adam.update(gradient, now.optimiser, now.weights)
        return SharedState(now.step + 1, optax.apply_updates(now.weights, change), optimiser), None

    return jax.lax.scan(update, state, rows)[0]


def train_shared(
    data: Data, training: SharedTraining, seed: int, progress: Progress | None, folder: Path | None = None
) -> SharedKernel:
    """Return a kernel trained on configurations of one L, by `training`, with checkpoints if there is a folder.

    Raises:
        InputError: if the data are on no square lattice that blocks tile, weights grow beyond all bounds, or the
            checkpoints are of another training.
    """
    source = batch_source(data, training.batch, [seed])
    sites = jnp.asarray(sites_of(side_of(source.visible, training.block), training.kernel, training.block))
    room = 4 * source.visible * len(sites)
    memory.require(8 * room, f"a kernel written out on {source.visible} sites", "train it on a smaller lattice")
    first = stream(seed, "first weights of a shared kernel", training.kernel).uniform(-1, 1, training.kernel**2)
    weights = jnp.asarray(training.start * first, jnp.float32)
    state = SharedState(jnp.int32(0), weights, optax.adam(training.learning_rate).init(weights))
    key = jax.random.key(int(stream(seed, "Gibbs steps of a shared kernel").integers(2**31)))
    run = partial(run_shared_updates, training=training, visible=source.visible)
    checkpoints = Checkpoints(folder, without_steps(training), seed, source.visible, source.digest)
    state, curve = checkpoints.begin(state, [reading(0, np.asarray(weights))], training.steps)
    step = int(state.step)
    while step < training.steps:
        count = min(UPDATES_AT_ONCE, training.steps - step, source.available(step))
        bits, rows = source.batches(step, count)
        state = run(state, bits, jnp.asarray(rows[0]), sites, key)
        step += count
        curve.append(reading(step, np.asarray(state.weights)))
        require_bounded(curve[-1], training)
        checkpoints.save(step, state, curve, training.steps)
        if progress:
            progress("training a shared kernel", step, training.steps, f"largest weight {curve[-1]['largest']:.3f}")
    return made(np.asarray(state.weights), training, source, curve)


def without_steps(training: Any) -> dict[str, Any]:
    """Return the settings of a training whose length decides nothing on the way, so that it may be lengthened."""
    return {name: value for name, value in vars(training).items() if name != "steps"}


def side_of(visible: int, block: int) -> int:
    """Return the side of the lattice that so many sites make.

    Raises:
        InputError: if they make none, or blocks do not tile it.
    """
    side = math.isqrt(visible)
    if side**2 != visible:
        message = f"data of {visible} sites: a shared kernel needs configurations on a square lattice, (sample, L, L)"
        raise InputError(message)
    check_tiling(side, block)
    return side


def reading(step: int, weights: np.ndarray) -> dict[str, float]:
    """Return a point of the training curves: the largest weight, and how many weights carry the kernel's power."""
    power = weights.astype(np.float64) ** 2
    return {
        "step": step,
        "largest": float(np.abs(weights).max()),
        "participation": float(power.sum() ** 2 / np.maximum((power**2).sum(), 1e-300)),
    }


def require_bounded(at: dict[str, float], training: SharedTraining) -> None:
    """Raise `InputError` if a weight is not finite, or absurdly large."""
    if not at["largest"] <= LARGEST_SHARED_WEIGHT:
        when = f"the weights exploded by step {at['step']:.0f}"
        message = f"learning_rate = {training.learning_rate}: {when}; try a smaller rate"
        raise InputError(message)


def made(
    weights: np.ndarray, training: SharedTraining, source: BatchSource, curve: list[dict[str, float]]
) -> SharedKernel:
    """Return the kernel with its settings and training curves."""
    samples = source.samples if source.samples is not None else "stream"
    origin = {"data": source.digest, "samples": samples, **vars(training)}
    history = {name: np.array([entry[name] for entry in curve]) for name in curve[0]}
    side = training.kernel
    return SharedKernel(weights.reshape(side, side), training.block, origin=origin, history=history)
