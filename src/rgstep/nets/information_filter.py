"""A filter that keeps what its window knows of the rest: real-space mutual information, maximised.

With V the k-by-k window of a unit, E the ring of spins beyond a buffer about it, and p(h | V) of `nets.kernel`, I(h:E)
is maximised (Koch-Janusz and Ringel, Nature Physics 14, 578, 2018; arXiv:1704.06279) through the lower bound

    I(h:E) ≥ ⟨ Σ_h p(h | V_i) ( f(h, E_i) − ln (1/B) Σ_j e^{f(h, E_j)} ) ⟩_i

over a batch of B pairs (InfoNCE: van den Oord, Li and Vinyals 2018; for block spins Gökmen, Ringel, Huber and
Koch-Janusz 2021). h takes two values, which are summed over: nothing is drawn, and the slopes of the bound in w are
exact. The critic f(h, E) = h g(E), g odd, shares the symmetry of the model:

    g(E) = u·E + z·tanh(A E).

The bound is at most ln B and, in a finite batch, up to the noise of its batches. A sharper filter keeps more, so that w
grows as long as it is trained; its direction is what is learnt.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rgstep.arguments import COUNT, SCALE, InputError, checked, whole
from rgstep.lattice import check_tiling
from rgstep.nets.batches import Data, batch_source, spins_of_bits
from rgstep.nets.checkpoints import Checkpoints
from rgstep.nets.kernel import WIDEST_KERNEL, SharedKernel
from rgstep.nets.presets import STEPS
from rgstep.nets.shared_rbm import POSITIVE, UPDATES_AT_ONCE, side_of, without_steps
from rgstep.streams import stream
from rgstep.types import Progress


@checked(
    kernel=whole(1, WIDEST_KERNEL, floats=True),
    buffer=whole(0, WIDEST_KERNEL, floats=True),
    **dict.fromkeys(("block", "ring", "hidden"), COUNT),
    **dict.fromkeys(("batch", "windows", "steps"), STEPS),
    learning_rate=POSITIVE,
    start=SCALE,
)
@dataclass(frozen=True)
class InformationTraining:
    """Everything that decides the training of a filter but the data and the seed.

    Attributes:
        kernel: the side of the window V, in sites.
        block: the stride of the map that is returned.
        buffer: width of the ring between V and E that is left out.
        ring: width of E.
        batch: configurations in an update.
        windows: windows in each of them, at random places: pairs (V, E) in an update are so many times as many.
        hidden: units of the critic.
        steps: updates.
        learning_rate: of Adam, for filter and critic.
        start: weights start uniform on ± this.
    """

    kernel: int = 2
    block: int = 2
    buffer: int = 1
    ring: int = 1
    batch: int = 64
    windows: int = 8
    hidden: int = 32
    steps: int = 3_000
    learning_rate: float = 0.01
    start: float = 0.1


class Filter(NamedTuple):
    """The filter and its critic."""

    weights: jax.Array  # w, (k²,)
    u: jax.Array  # (ring,)
    A: jax.Array  # (ring, hidden)
    z: jax.Array  # (hidden,)


def displacements(training: InformationTraining) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacements (row, column) of the sites of V, `(k², 2)`, and of E, from the first site of V."""
    width = training.buffer + training.ring
    at = np.arange(-width, training.kernel + width)
    row, column = (x.ravel() for x in np.meshgrid(at, at, indexing="ij"))
    away = np.maximum(np.maximum(-row, row - training.kernel + 1), np.maximum(-column, column - training.kernel + 1))
    every = np.stack([row, column], axis=1)
    return every[away <= 0], every[away > training.buffer]


def critic(parameters: Filter, ring: jax.Array) -> jax.Array:
    """Return g(E), `(pair,)`, for E `(pair, ring)`."""
    return ring @ parameters.u + jnp.tanh(ring @ parameters.A) @ parameters.z


def bound(parameters: Filter, window: jax.Array, ring: jax.Array) -> jax.Array:
    """Return the lower bound on I(h:E), in nats, from pairs V `(pair, k²)` and E `(pair, ring)`."""
    mean, g = jnp.tanh(window @ parameters.weights), critic(parameters, ring)
    norms = [jax.nn.logsumexp(h * g) - jnp.log(len(g)) for h in (1.0, -1.0)]
    return (mean * g).mean() - ((1 + mean).mean() * norms[0] + (1 - mean).mean() * norms[1]) / 2


class FilterState(NamedTuple):
    """What one update hands to the next."""

    step: jax.Array
    parameters: Filter
    optimiser: optax.OptState


@partial(jax.jit, static_argnames=("training", "side"))
def run_filter_updates(
    state: FilterState, data: jax.Array, rows: jax.Array, key: jax.Array, *, training: InformationTraining, side: int
) -> tuple[FilterState, jax.Array]:
    """Do an update with each row of `rows`, int32 `(update, batch)`, of bits `data`; returns the bound before each."""
    adam, (inner, outer) = optax.adam(training.learning_rate), displacements(training)

    def update(now: FilterState, batch: jax.Array) -> tuple[FilterState, jax.Array]:
        v = spins_of_bits(data[batch], side**2)
        shape = (len(v), training.windows, 1, 2)
        corners = jax.random.randint(jax.random.fold_in(key, now.step), shape, 0, side)
        window, ring = (seen(v, (corners + around) % side, side) for around in (inner, outer))
        value, slopes = jax.value_and_grad(lambda p: -bound(p, window, ring))(now.parameters)
        change, optimiser = adam.update(slopes, now.optimiser, now.parameters)
        return FilterState(now.step + 1, optax.apply_updates(now.parameters, change), optimiser), -value

    return jax.lax.scan(update, state, rows)


def seen(v: jax.Array, at: jax.Array, side: int) -> jax.Array:
    """Return the spins at places (row, column) `(sample, window, site, 2)`, as `(sample · window, site)`."""
    sites = (at[..., 0] * side + at[..., 1]).reshape(len(v), -1)
    return jnp.take_along_axis(v, sites, axis=1).reshape(-1, at.shape[2])


def train_filter(
    data: Data, training: InformationTraining, seed: int, progress: Progress | None, folder: Path | None = None
) -> SharedKernel:
    """Return the filter that keeps most of what its window knows of the ring beyond the buffer.

    Raises:
        InputError: if the data are on no square lattice that blocks tile, window and ring do not fit on it, or the
            checkpoints in the folder are of another training.
    """
    source = batch_source(data, training.batch, [seed])
    side = side_of(source.visible, training.block)
    check_tiling(side, training.block)
    wide = training.kernel + 2 * (training.buffer + training.ring)
    if wide > side:
        message = (
            f"a window of {training.kernel} with buffer and ring is {wide} wide, data are of L = {side}: give less"
        )
        raise InputError(message)
    state, key = first_filter(training, seed), stream(seed, "windows of a filter").integers(2**31)
    run = partial(run_filter_updates, key=jax.random.key(int(key)), training=training, side=side)
    checkpoints = Checkpoints(folder, without_steps(training), seed, source.visible, source.digest)
    state, (steps, values) = checkpoints.begin(state, ([0], [0.0]), training.steps)
    step = int(state.step)
    while step < training.steps:
        count = min(UPDATES_AT_ONCE, training.steps - step, source.available(step))
        bits, rows = source.batches(step, count)
        state, found = run(state, bits, jnp.asarray(rows[0]))
        step += count
        steps.append(step)
        values.append(float(found.mean()))
        checkpoints.save(step, state, (steps, values), training.steps)
        if progress:
            progress("training a filter", step, training.steps, f"I(h:E) ≥ {values[-1]:.4f} nats")
    weights = np.asarray(state.parameters.weights).reshape(training.kernel, training.kernel)
    origin = {"data": source.digest, "samples": source.samples or "stream", **vars(training)}
    history = {"step": np.array(steps), "information": np.array(values)}
    sign = 1.0 if weights.sum() >= 0 else -1.0
    return SharedKernel(sign * weights, training.block, origin=origin, history=history)


def first_filter(training: InformationTraining, seed: int) -> FilterState:
    """Return the state before the first update."""
    rng = stream(seed, "first weights of a filter", training.kernel)
    sites, ring = training.kernel**2, len(displacements(training)[1])
    drawn = [
        training.start * rng.uniform(-1, 1, sites),
        0.01 * rng.standard_normal(ring),
        rng.standard_normal((ring, training.hidden)) / np.sqrt(ring),
        0.01 * rng.standard_normal(training.hidden),
    ]
    parameters = Filter(*(jnp.asarray(x, jnp.float32) for x in drawn))
    return FilterState(jnp.int32(0), parameters, optax.adam(training.learning_rate).init(parameters))
