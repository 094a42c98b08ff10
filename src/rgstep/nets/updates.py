"""The updates of a training, many in one compiled loop.

The gradient of the mean log-likelihood is a difference of two averages of the same statistics,

    ∂ ln p / ∂W_ia = ⟨v_i h_a⟩_data − ⟨v_i h_a⟩_model,    and ⟨v_i⟩, ⟨h_a⟩ for the biases.

The model's average is taken over chains that ran k Gibbs steps from the data (CD-k, Hinton 2002) or from where the last
update left them (PCD-k, Tieleman 2008), at one temperature or on a ladder of networks that exchange their
configurations (`tempering`). The centred gradient is that of an RBM whose units have their mean values taken off
(Melchior, Fischer and Wiskott 2016). Units 0 and 1 are the same network in other parameters (`conversion`); descent
takes other steps in them.

Every random number of update t comes from (key, t), so that a run may stop and go on anywhere.
"""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rgstep.nets.batches import spins_of_bits
from rgstep.nets.conversion import gradient_in_binary, to_spin
from rgstep.nets.devices import by_share
from rgstep.nets.presets import Training
from rgstep.nets.products import outer
from rgstep.nets.rbm import Weights, mean_h_from_v, sample_v_from_h, signs
from rgstep.nets.tempering import tempering_step

LONGEST_LOOP = 500  # updates in one compiled loop: the array of rows that it takes has this length
LARGEST_WEIGHT = 1e3  # beyond it the hidden units are signs and no likelihood is left
BATCH_SHARE = 0.01  # share of a new batch in the running means of the centred gradient
UPDATES_PER_COUNT = 50  # updates over which exchanges are counted
LOWEST_ACCEPTANCE = 0.3  # of exchanges tried with the trained network; below, a copy of it joins the ladder


class TrainingState(NamedTuple):
    """What one update hands to the next."""

    step: jax.Array  # updates done, int32
    parameters: Weights  # in the units of the training
    optimiser: optax.OptState
    chains: jax.Array  # ([level,] chain, visible), float32 ±1; for CD one row that nothing reads
    means: tuple[jax.Array, jax.Array]  # running means of v and h, ±1, for the centred gradient
    ladder: Weights  # ([level − 1,] …): the frozen networks below the trained one, for trajectory tempering
    frozen: jax.Array  # how often the trained network was taken into the ladder, int32
    accepted: jax.Array  # (level − 1,) exchanges accepted a chain, since the last step divisible by `UPDATES_PER_COUNT`
    exploded: jax.Array  # the first step after which a weight was beyond `LARGEST_WEIGHT`, or −1
    key: jax.Array


def first_state(weights: Weights, training: Training, seed: int) -> TrainingState:
    """Return the state before the first update, from first weights in the units of the training.

    Chains start half up and half down, or as independent fair spins. A training on data whose sign is symmetric must
    not begin on one side of it: of persistent chains that start all down none may come up before the two modes part.
    """
    visible, hidden = weights.w.shape
    key = jax.random.key(int(np.random.SeedSequence([seed, visible, hidden, 1]).generate_state(1)[0]))
    count = training.chains if training.method == "pcd" else 1
    shape = (training.levels, count, visible) if training.levels > 1 else (count, visible)
    if training.chains_start == "fair":
        chains = signs(jax.random.fold_in(key, 2**31 - 1), jnp.zeros(shape))
    else:
        alternating = jnp.where(jnp.arange(count) % 2 == 0, jnp.float32(1), jnp.float32(-1))
        chains = jnp.broadcast_to(alternating[:, None], shape)
    frozen = training.levels - 1 if training.tempering == "trajectory" else 0
    return TrainingState(
        step=jnp.int32(0),
        parameters=weights,
        optimiser=training.transformation().init(weights),
        chains=jnp.array(chains, jnp.float32),
        means=(jnp.zeros(visible), jnp.zeros(hidden)),
        ladder=Weights(*(jnp.tile(x, (frozen, *[1] * x.ndim)) for x in spin_weights(weights, training))),
        frozen=jnp.int32(0),
        accepted=jnp.zeros(training.levels - 1),
        exploded=jnp.int32(-1),
        key=key,
    )


def spin_weights(parameters: Weights, training: Training) -> Weights:
    """Return the parameters on ±1 units."""
    return Weights(*to_spin(*parameters)) if training.units == "binary" else parameters


def loss_gradient(v: jax.Array, h: jax.Array, model_v: jax.Array, model_h: jax.Array) -> Weights:
    """Return the gradient of −ln p, v of ±1 and h or its mean: statistics of the model less those of the data."""
    product = by_share(outer_of_both, [True] * 4, summed=True)(v, h / -len(h), model_v, model_h / len(model_h))
    return Weights(product, model_v.mean(axis=0) - v.mean(axis=0), model_h.mean(axis=0) - h.mean(axis=0))


def outer_of_both(v: jax.Array, h: jax.Array, model_v: jax.Array, model_h: jax.Array) -> jax.Array:
    """Return vᵀh of both phases, in one product."""
    return outer(jnp.concatenate([v, model_v]), jnp.concatenate([h, model_h]))


def centred(gradient: Weights, means: tuple[jax.Array, jax.Array]) -> Weights:
    """Return the gradient of the network with v − μ and h − λ for v and h, in the parameters without them."""
    (w, a, b), (mu, lam) = gradient, means
    w = w - mu[:, None] * b - a[:, None] * lam
    return Weights(w, a - w @ lam, b - mu @ w)


def run_chains(
    weights: Weights, v: jax.Array, mean_h: jax.Array, k: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return v and ⟨h⟩_v after k steps v → h → v, given both before."""

    def step(i: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        v = sample_v_from_h(weights, signs(key_h, now[1]), key_v)
        return v, mean_h_from_v(weights, v)

    result: tuple[jax.Array, jax.Array] = jax.lax.fori_loop(0, k, step, (v, mean_h))
    return result


def tempering_ladder(state: TrainingState, weights: Weights, training: Training) -> Weights:
    """Return the ladder of networks that exchange configurations, the trained one last: β W, or the frozen and W."""
    if training.tempering == "trajectory":
        return Weights(*(jnp.concatenate([low, x[None]]) for low, x in zip(state.ladder, weights, strict=True)))
    betas = jnp.linspace(0.0, 1.0, training.levels)
    return Weights(*(betas.reshape(-1, *[1] * x.ndim) * x for x in weights))


def one_update(state: TrainingState, v: jax.Array, k: jax.Array, training: Training) -> TrainingState:
    """Do one update from a batch v `(n, visible)` of float32 ±1."""
    weights = spin_weights(state.parameters, training)
    key_data, key_chains, key_model = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
    h = mean_h_from_v(weights, v)
    chains, accepted = state.chains, state.accepted
    if training.method == "cd":
        model_v, model_h = run_chains(weights, v, h, k, key_chains)
    elif training.levels == 1:
        model_v, model_h = run_chains(weights, chains, mean_h_from_v(weights, chains), k, key_chains)
        chains = model_v
    else:
        ladder = tempering_ladder(state, weights, training)
        chains, swapped = tempering_step(ladder, chains, key_chains, k, state.step % 2)
        model_v, model_h = chains[-1], mean_h_from_v(weights, chains[-1])
        accepted = accepted + swapped.mean(axis=1)
    if training.gradient_h == "sampled":
        h, model_h = signs(key_data, h), signs(key_model, model_h)
    gradient, means = loss_gradient(v, h, model_v, model_h), state.means
    binary = training.units == "binary"
    if binary:
        gradient = Weights(*gradient_in_binary(*gradient))
    if training.centred:  # in the units of the training, where the gradient belongs to the parameters
        both = ((v.mean(axis=0) + model_v.mean(axis=0)) / 2, (h.mean(axis=0) + model_h.mean(axis=0)) / 2)
        means = jax.tree.map(lambda old, new: (1 - BATCH_SHARE) * old + BATCH_SHARE * new, means, both)
        gradient = centred(gradient, jax.tree.map(lambda mean: (1 + mean) / 2, means) if binary else means)
    parameters, optimiser = descend(state, gradient, training)
    fine = (jnp.abs(parameters.w) < LARGEST_WEIGHT).all()
    exploded = jnp.where(fine | (state.exploded >= 0), state.exploded, state.step + 1)
    state = TrainingState(
        *(state.step + 1, parameters, optimiser, chains, means, state.ladder, state.frozen),
        *(accepted, exploded, state.key),
    )
    return grow_ladder(state, weights) if training.tempering == "trajectory" else state


def grow_ladder(state: TrainingState, weights: Weights) -> TrainingState:
    """Take the trained network into the ladder where it has moved too far from the last one there.

    It fills all levels from the first free one on. Where none is free another gives way, see `level_to_drop`, so that
    the ladder thins evenly.
    """
    levels = state.ladder.w.shape[0]
    level = jnp.arange(levels)
    gone = level_to_drop(state.frozen, levels)
    kept = jnp.minimum(jnp.where(level < gone, level, level + 1), levels - 1)
    fresh = (level > state.frozen) | (level == levels - 1)
    due = (state.step % UPDATES_PER_COUNT == 0) & (2 * state.accepted[-1] < LOWEST_ACCEPTANCE * UPDATES_PER_COUNT)

    def taken(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where((due & fresh).reshape(-1, *[1] * new.ndim), new, jnp.where(due, old[kept], old))

    return state._replace(
        ladder=Weights(*(taken(old, new) for old, new in zip(state.ladder, weights, strict=True))),
        frozen=state.frozen + due,
        accepted=jnp.where(state.step % UPDATES_PER_COUNT == 0, 0.0, state.accepted),
    )


def level_to_drop(frozen: jax.Array, levels: int) -> jax.Array:
    """Return which of the levels, numbered from 0, makes room for the next network; `levels` where one is free.

    With the start as number 0 and g a power of two, numbers 0, g, 2g, … fill the ladder when number (levels − 1) g has
    come. From there on every g-th newcomer stays and pushes an odd multiple of g out, the lowest first, until they are
    0, 2g, 4g, …; the others give way to the next one. So gaps are g or 2g, less below the newest.
    """
    gaps = max(1, levels - 1)
    g = jnp.int32(1) << (31 - jax.lax.clz(jnp.maximum(frozen // gaps, 1)))
    place = frozen - gaps * g
    gone = jnp.where(place % g == 0, 1 + place // g, levels - 1)
    result: jax.Array = jnp.where(frozen < gaps, levels, gone)
    return result


def descend(state: TrainingState, gradient: Weights, training: Training) -> tuple[Weights, optax.OptState]:
    """Return the parameters and the optimiser's state after a step along a gradient and the penalties on W."""
    w = state.parameters.w
    if training.l1 or training.l2:
        gradient = gradient._replace(w=gradient.w + training.l1 * jnp.sign(w) + training.l2 * w)
    if not training.biases:
        gradient = Weights(gradient.w, jnp.zeros_like(gradient.a), jnp.zeros_like(gradient.b))
    change, optimiser = training.transformation().update(gradient, state.optimiser, state.parameters)
    if not training.biases:
        change = Weights(change.w, jnp.zeros_like(gradient.a), jnp.zeros_like(gradient.b))
    parameters: Any = optax.apply_updates(state.parameters, change)
    return parameters, optimiser


def compiled_settings(training: Training) -> Training:
    """Return what `run_updates` is compiled for: one program serves every k and number of steps of one schedule."""
    steps = training.steps if training.schedule != "constant" else 1
    return replace(training, k=1, batch=1, chains=1, steps=steps)


@partial(jax.jit, static_argnames="training", donate_argnums=0)
def run_updates(
    state: TrainingState, data: jax.Array, rows: jax.Array, count: jax.Array, k: jax.Array, training: Training
) -> TrainingState:
    """Do `count` updates, the j-th from the batch `rows[j]` of the packed `data`; count and k are traced."""
    visible = state.parameters.w.shape[0]

    def step(j: jax.Array, state: TrainingState) -> TrainingState:
        return one_update(state, spins_of_bits(data[rows[j]], visible), k, training)

    result: TrainingState = jax.lax.fori_loop(0, count, step, state)
    return result


@partial(jax.jit, static_argnames="training", donate_argnums=0)
def run_updates_of_many(
    states: TrainingState, data: jax.Array, rows: jax.Array, count: jax.Array, k: jax.Array, training: Training
) -> TrainingState:
    """Do the same for several states at once, with rows `(state, update, batch)` for each."""
    visible = states.parameters.w.shape[1]

    def step(j: jax.Array, states: TrainingState) -> TrainingState:
        batches = jax.vmap(lambda chosen: spins_of_bits(data[chosen], visible))(rows[:, j])
        return jax.vmap(lambda state, v: one_update(state, v, k, training))(states, batches)

    result: TrainingState = jax.lax.fori_loop(0, count, step, states)
    return result
