"""Training an RBM by contrastive divergence, persistent or not.

The gradient of the mean log-likelihood is a difference of two averages of the same statistics,

    ∂ ln p / ∂W_ia = ⟨v_i h_a⟩_data − ⟨v_i h_a⟩_model,    and ⟨v_i⟩, ⟨h_a⟩ for the biases.

The model's average is taken over chains that ran k Gibbs steps from the data (CD-k, Hinton 2002) or from where the
last update left them (PCD-k, Tieleman 2008). One compiled scan does a block of updates; between blocks the host
shuffles the data, checks that the weights are finite and reads the training curves.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import UInt8
from numpy.typing import ArrayLike

from rgstep.ensemble import Ensemble
from rgstep.errors import InputError, require_positive
from rgstep.estimates import Estimate, grouped_mean
from rgstep.lattice import as_spins, as_vectors
from rgstep.nets.presets import Training, settings
from rgstep.nets.rbm import RBM, Weights, mean_h_from_v, mean_v_from_h, require_room, untrained_rbm
from rgstep.packed import SPINS_OF_BYTE
from rgstep.types import Progress, Rng

BLOCK = 100  # updates in one compiled scan
READINGS = 1000  # configurations in a reading of the training curves
SITES = 8  # sites of each of them at which the pseudo-likelihood is read
EXPLODED = 1e6  # a weight beyond which the hidden units are signs and no likelihood is left
READING_GROWTH = 1.05  # readings follow a logarithmic grid of steps, at least one block apart

Bits: TypeAlias = UInt8[np.ndarray, "n byte"]


class State(NamedTuple):
    """What one update hands to the next."""

    weights: Weights
    optimiser: optax.OptState
    chains: jax.Array  # (chains, visible), float32 ±1
    key: jax.Array


def train_rbm(
    data: Ensemble | ArrayLike,
    hidden: int | None = None,
    seed: int = 0,
    *,
    preset: str = "default",
    progress: Progress | None = None,
    **overrides: Any,  # the fields of `Training`
) -> RBM:
    """Return an RBM trained on configurations.

    Args:
        data: an `Ensemble`, or an array of ±1, sample axis first.
        hidden: the number of hidden units; a quarter of the visible ones by default.
        seed: decides the first weights, the order of the data and every draw; the same seed gives the same network.
        preset: a name of `PRESETS`.
        progress: called after each block of updates with the reconstruction error and the speed.
        **overrides: settings of `Training` that replace the preset's: method, k, chains, batch, steps, optimiser,
            learning_rate, schedule, epsilon, weights_sd, gradient_h, l1, l2.

    Raises:
        InputError: for bad settings or data, a network too large for memory, or weights that stop being finite.
    """
    training = settings(preset, overrides)
    bits, visible = as_bits(data)
    hidden = require_positive("hidden", hidden if hidden is not None else max(1, visible // 4))
    require_room(visible, hidden, copies=8)
    start = untrained_rbm(visible, hidden, seed, training.weights_sd)
    weights, history = run(bits, start.parameters, training, seed, progress, stage=f"training {preset}")
    origin = {"preset": preset, "seed": int(seed), "samples": len(bits), **training.plain()}
    return RBM(np.asarray(weights.w), np.asarray(weights.a), np.asarray(weights.b), origin, history)


def as_bits(data: Ensemble | ArrayLike) -> tuple[Bits, int]:
    """Return configurations as bits `(sample, byte)`, and the number of visible units they are for.

    Raises:
        InputError: if an entry of an array is not ±1.
    """
    if isinstance(data, Ensemble):
        return data.packed.bits, data.system.size**2
    v = as_vectors(as_spins(data, "data"))  # of any number of sites, not only of a square
    return np.packbits(v > 0, axis=1), v.shape[1]


def unpacked(bits: jax.Array, visible: int) -> jax.Array:
    """Return bits as ±1 on the device, float32 `(n, visible)`, by looking up the eight spins of each byte.

    An epoch takes 0.96–0.99 of its time with int8 data, and 1.04 with `jnp.unpackbits`.
    """
    spins = jnp.asarray(SPINS_OF_BYTE[np.dtype(np.float32)])[bits]
    return spins.reshape(len(bits), -1)[:, :visible]


def run(
    bits: Bits, weights: Weights, training: Training, seed: int, progress: Progress | None, stage: str
) -> tuple[Weights, dict[str, np.ndarray]]:
    """Do all updates; returns the parameters and the training curves."""
    rng = np.random.default_rng([int(seed), *weights.w.shape, 1])
    reader = Reader(bits, weights.w.shape[0], rng)
    if progress:
        progress(stage, 0, training.steps, "compiling")
    state = first_state(weights, training, rng)
    data = jnp.asarray(bits)
    curves = [reader.read(state.weights, 0)]
    compiled = replace(training, k=1, chains=1, batch=1)  # one compilation serves all of these
    started, done = time.perf_counter(), 0
    for rows in batches(len(bits), training, rng):
        state = updates(state, data, jnp.asarray(rows), jnp.int32(training.k), compiled)
        done += len(rows)
        check_finite(state.weights, done, training)
        if done >= READING_GROWTH * curves[-1]["step"] or done == training.steps:
            curves.append(reader.read(state.weights, done))
        if progress:
            speed = done / (time.perf_counter() - started)
            note = f"reconstruction {curves[-1]['reconstruction']:.3f}, {speed:.0f} updates/s"
            progress(stage, done, training.steps, note)
    return state.weights, {name: np.array([c[name] for c in curves]) for name in curves[0]}


def check_finite(weights: Weights, done: int, training: Training) -> None:
    """Raise `InputError` if the last block of updates made a weight NaN, infinite or absurdly large."""
    if not bool((jnp.abs(weights.w) < EXPLODED).all()):
        message = (
            f"learning_rate = {training.learning_rate}: the weights exploded between "
            f"steps {max(0, done - BLOCK)} and {done}; try a smaller rate"
        )
        raise InputError(message)


def first_state(weights: Weights, training: Training, rng: Rng) -> State:
    """Return the state before the first update: chains are independent fair spins."""
    key = jax.random.key(int(rng.integers(2**32)))
    apart = rng.spawn(1)[0]  # so that the number of chains changes no other draw
    chains = 2 * apart.integers(0, 2, (training.chains, weights.w.shape[0])) - 1
    return State(weights, training.transformation().init(weights), jnp.asarray(chains, jnp.float32), key)


def batches(samples: int, training: Training, rng: Rng) -> Iterator[np.ndarray]:
    """Yield the data's row numbers `(updates, batch)` for one block after the other: each epoch a fresh shuffle.

    Whole batches only; a data set smaller than a batch is one batch.
    """
    size = min(training.batch, samples)
    epoch = np.empty((0, size), dtype=np.int32)
    left = training.steps
    while left:
        take = min(BLOCK, left)
        while len(epoch) < take:
            order = rng.permutation(samples)[: samples // size * size].astype(np.int32)
            epoch = np.concatenate([epoch, order.reshape(-1, size)])
        yield epoch[:take]
        epoch = epoch[take:]
        left -= take


def signs(key: jax.Array, mean: jax.Array) -> jax.Array:
    """Draw ±1 units of given means: one uniform number compared with each."""
    return jnp.where(jax.random.uniform(key, mean.shape, minval=-1.0) < mean, 1.0, -1.0)


def gibbs(weights: Weights, v: jax.Array, k: jax.Array, key: jax.Array) -> jax.Array:
    """Return v after k steps v → h → v, every unit sampled."""

    def step(i: jax.Array, v: jax.Array) -> jax.Array:
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        h = signs(key_h, mean_h_from_v(weights, v))
        return signs(key_v, mean_v_from_h(weights, h))

    result: jax.Array = jax.lax.fori_loop(0, k, step, v)
    return result


def statistics(weights: Weights, v: jax.Array, key: jax.Array | None = None) -> Weights:
    """Return ⟨v_i h_a⟩, ⟨v_i⟩, ⟨h_a⟩ over configurations `(n, visible)`; h is sampled if a key is given."""
    h = mean_h_from_v(weights, v)
    if key is not None:
        h = signs(key, h)
    return Weights(v.T @ h / len(v), v.mean(axis=0), h.mean(axis=0))


@partial(jax.jit, static_argnames="training", donate_argnums=0)
def updates(state: State, data: jax.Array, rows: jax.Array, k: jax.Array, training: Training) -> State:
    """Do a block of updates, one batch of `rows` each, in one compiled scan; k is traced, so one serves all k."""
    optimiser = training.transformation()
    sampled = training.gradient_h == "sampled"

    def update(state: State, batch_rows: jax.Array) -> tuple[State, None]:
        weights, key = state.weights, state.key
        key, key_data, key_chains, key_model = jax.random.split(key, 4)
        v = unpacked(data[batch_rows], weights.w.shape[0])
        chains = gibbs(weights, state.chains if training.method == "pcd" else v, k, key_chains)
        positive = statistics(weights, v, key_data if sampled else None)
        negative = statistics(weights, chains, key_model if sampled else None)
        loss_gradient = jax.tree.map(lambda model, data: model - data, negative, positive)
        penalty = training.l1 * jnp.sign(weights.w) + training.l2 * weights.w
        loss_gradient = loss_gradient._replace(w=loss_gradient.w + penalty)
        change, optimiser_state = optimiser.update(loss_gradient, state.optimiser, weights)
        weights = optax.apply_updates(weights, change)
        kept = chains if training.method == "pcd" else state.chains
        return State(weights, optimiser_state, kept, key), None

    return jax.lax.scan(update, state, rows)[0]


class Reader:
    """Reads the training curves on fixed configurations and sites, so that successive readings compare.

    reconstruction      mean of (v − ⟨v⟩_⟨h⟩)² per site, ⟨h⟩ = ⟨h⟩_v
    pseudo_likelihood   mean of ln p(v_i | all other v) per site, −ln 2 for independent fair spins (Besag 1975)
    participation_w     median over hidden units of (Σ W²)² / Σ W⁴, in sites
    weights_sd          root mean square of W
    """

    def __init__(self, bits: Bits, visible: int, rng: Rng) -> None:
        """Choose the configurations and, in each, the sites."""
        rows = rng.choice(len(bits), size=min(READINGS, len(bits)), replace=False)
        self.v = unpacked(jnp.asarray(bits[rows]), visible)
        self.sites = jnp.asarray(rng.integers(0, visible, (len(rows), SITES)))

    def read(self, weights: Weights, step: int) -> dict[str, float]:
        """Return the readings after `step` updates."""
        values = readings(weights, self.v, self.sites)
        return {"step": step, **{name: float(value) for name, value in values.items()}}


@jax.jit
def readings(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return the four readings of `Reader`."""
    each = fit_of_each(weights, v, sites)
    squares = (weights.w**2).sum(axis=0)
    return {
        **{name: values.mean() for name, values in each.items()},
        "participation_w": jnp.median(squares**2 / jnp.maximum((weights.w**4).sum(axis=0), 1e-30)),
        "weights_sd": jnp.sqrt((weights.w**2).mean()),
    }


@jax.jit
def fit_of_each(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return reconstruction error and pseudo-likelihood of each configuration, `(n,)`."""
    inputs = v @ weights.w + weights.b
    rebuilt = mean_v_from_h(weights, jnp.tanh(inputs))
    return {
        "reconstruction": ((v - rebuilt) ** 2).mean(axis=1),
        "pseudo_likelihood": pseudo_likelihood(weights, v, inputs, sites),
    }


def goodness_of_fit(rbm: RBM, data: Ensemble | ArrayLike, rng: Rng) -> dict[str, Estimate]:
    """Return reconstruction error and pseudo-likelihood per site with their errors, from 1000 of the configurations."""
    reader = Reader(*as_bits(data), rng)
    each = fit_of_each(rbm.parameters, reader.v, reader.sites)
    return {name: grouped_mean(np.asarray(values, dtype=np.float64)) for name, values in each.items()}


def pseudo_likelihood(weights: Weights, v: jax.Array, inputs: jax.Array, sites: jax.Array) -> jax.Array:
    """Return ln p(v_i | rest) of each configuration, averaged over the sites `(n, sites)` chosen in it.

    With F the free energy, p(v_i | rest) = 1 / (1 + exp(F(v) − F(v with i flipped))).
    """

    def log_2cosh(x: jax.Array) -> jax.Array:
        return jnp.logaddexp(x, -x)

    def at(column: jax.Array) -> jax.Array:
        spin = jnp.take_along_axis(v, column[:, None], axis=1)[:, 0]
        flipped = inputs - 2 * spin[:, None] * weights.w[column]
        gain = 2 * spin * weights.a[column] + (log_2cosh(inputs) - log_2cosh(flipped)).sum(axis=1)
        return -jnp.logaddexp(0.0, -gain)

    columns: jax.Array = jax.lax.map(at, sites.T)
    return columns.mean(axis=0)
