"""One update of a training: its gradient against differences of the exact likelihood, units, chains, the ladder."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_parameters, states
from scipy.special import expit, logsumexp

from rgstep.nets import conversion
from rgstep.nets import updates as core
from rgstep.nets.presets import Training
from rgstep.nets.rbm import Weights, mean_h_from_v
from rgstep.nets.tempering import tempering_step
from rgstep.nets.updates import (
    TrainingState,
    centred,
    compiled_settings,
    first_state,
    grow_ladder,
    level_to_drop,
    loss_gradient,
    outer,
    run_chains,
    tempering_ladder,
)

SPIN, BINARY = (-1, 1), (0, 1)
update = jax.jit(core.one_update, static_argnames="training")
after_k_steps, stepped, taken = jax.jit(run_chains), jax.jit(tempering_step), jax.jit(grow_ladder)


def jax_weights(arrays):
    return Weights(*(jnp.asarray(x, jnp.float32) for x in arrays))


def to_binary(weights):
    return Weights(*conversion.to_binary(*weights))


def to_spin(weights):
    return Weights(*conversion.to_spin(*weights))


def numpy_weights(weights):
    return [np.asarray(x, float) for x in weights]


def log_joint(w, a, b, values=SPIN, mu=0.0, lam=0.0):
    """−E = (v − μ)ᵀ W (h − λ) + aᵀ (v − μ) + bᵀ (h − λ) of every pair of states."""
    v, h = states(len(a), values) - mu, states(len(b), values) - lam
    return v @ w @ h.T + (v @ a)[:, None] + h @ b


def mean_log_likelihood(rows, arrays, **law):
    joint = log_joint(*arrays, **law)
    return logsumexp(joint, axis=1)[rows].mean() - logsumexp(joint)


def numerical_gradient(function, arrays, step=1e-4):
    """Central differences of a function of [w, a, b] in every parameter."""
    gradient = []
    for which, array in enumerate(arrays):
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = [x.copy() for x in arrays]
                moved[which][index] += sign * step
                ends.append(function(moved))
            slope[index] = (ends[0] - ends[1]) / (2 * step)
        gradient.append(slope)
    return gradient


@partial(jax.jit, static_argnames="gradient")
def gradients(weights, v, every, gradient):
    """The gradient with each state in turn as the only sample of the model."""
    h = mean_h_from_v(weights, v)
    return jax.vmap(lambda s: gradient(v, h, s[None], mean_h_from_v(weights, s[None])))(every)


def exact_gradient(arrays, rows, gradient=loss_gradient):
    """Σ_s p(s) of the package's gradient with state s alone for the model: its model average, enumerated."""
    weights, every = jax_weights(arrays), jnp.asarray(states(len(arrays[1])), jnp.float32)
    of_each = gradients(weights, every[rows], every, gradient)
    joint = log_joint(*arrays)
    p = np.exp(logsumexp(joint, axis=1) - logsumexp(joint))
    return [np.tensordot(p, np.asarray(x, float), 1) for x in of_each]


def largest_difference(one, other):
    return max(np.abs(np.asarray(x, float) - y).max() for x, y in zip(one, other, strict=True))


# --- the gradient


def wrong_sign(v, h, model_v, model_h):
    """The visible bias of both phases exchanged."""
    right = loss_gradient(v, h, model_v, model_h)
    return right._replace(a=-right.a)


def data_forgotten(v, h, model_v, model_h):
    """The negative phase alone."""
    return loss_gradient(jnp.zeros_like(v), jnp.zeros_like(h), model_v, model_h)


@pytest.mark.parametrize(("visible", "hidden", "sd"), [(9, 4, 0.1), (9, 4, 1.0), (8, 3, 0.5), (5, 5, 0.5)])
def test_the_gradient_is_that_of_the_log_likelihood(visible, hidden, sd):
    arrays = random_parameters(visible, hidden, sd)
    rows = np.random.default_rng(1).integers(0, 1 << visible, 64)
    slope = numerical_gradient(lambda x: -mean_log_likelihood(rows, x), arrays)
    assert min(np.abs(x).max() for x in slope) > 0.01
    assert largest_difference(exact_gradient(arrays, rows), slope) < 1e-6
    for broken in (wrong_sign, data_forgotten):
        assert largest_difference(exact_gradient(arrays, rows, broken), slope) > 0.01


@pytest.mark.parametrize("visible", [1, 7, 12, 36, 64])
def test_the_product_of_statistics(visible):
    """Whole numbers, so that no rounding hides a mistake; with and without a common factor with the pieces."""
    rng = np.random.default_rng(visible)
    v, h = (rng.integers(-3, 4, (20, n)).astype(np.float32) for n in (visible, 5))
    np.testing.assert_array_equal(outer(jnp.asarray(v), jnp.asarray(h)), v.T @ h)
    if visible > 1:
        assert (np.asarray(outer(jnp.asarray(v[:, ::-1]), jnp.asarray(h))) != v.T @ h).any()


def test_sampled_statistics_have_the_same_mean():
    """With h drawn, each entry is a mean of ±1 numbers; with the h of other weights it is another mean."""
    arrays, chains = random_parameters(9, 4, 0.5), 40_000
    weights = jax_weights(arrays)
    v = jnp.asarray(np.repeat(states(9)[[3, 77, 300]], chains, axis=0), jnp.float32)
    h = mean_h_from_v(weights, v)
    drawn = core.signs(jax.random.key(0), h)
    wrong = core.signs(jax.random.key(0), mean_h_from_v(Weights(0.9 * weights.w, *weights[1:]), v))
    mean, sampled, off = (numpy_weights(loss_gradient(v, x, v[:1], h[:1])) for x in (h, drawn, wrong))
    bound = 4.5 / np.sqrt(3 * chains)
    assert 0 < largest_difference(mean, sampled) < bound < largest_difference(mean, off)
    np.testing.assert_array_equal(mean[1], sampled[1])


# --- the centred gradient


def from_centred(arrays, mu, lam):
    """(W, a', b') of E = −(v − μ)ᵀ W (h − λ) − a'ᵀ (v − μ) − b'ᵀ (h − λ) as (W, a, b) of the plain energy."""
    w, a, b = arrays
    return [w, a - w @ lam, b - w.T @ mu]


@pytest.mark.parametrize("seed", range(3))
def test_the_centred_gradient_is_that_in_the_centred_parameters(seed):
    """Derived by differences in (W, a', b'), carried back to (W, a, b) by a step along it; for any μ and λ."""
    rng = np.random.default_rng(seed)
    inside, mu, lam = random_parameters(5, 5, 0.5, seed), rng.uniform(-1, 1, 5), rng.uniform(-1, 1, 5)
    rows = rng.integers(0, 32, 20)
    plain = from_centred(inside, mu, lam)
    assert mean_log_likelihood(rows, inside, mu=mu, lam=lam) == pytest.approx(mean_log_likelihood(rows, plain))

    slope = numerical_gradient(lambda x: -mean_log_likelihood(rows, x, mu=mu, lam=lam), inside)
    step = from_centred([x + s for x, s in zip(inside, slope, strict=True)], mu, lam)
    expected = [x - y for x, y in zip(step, plain, strict=True)]
    gradient = exact_gradient(plain, rows)
    means = jnp.asarray(mu, jnp.float32), jnp.asarray(lam, jnp.float32)
    measured = numpy_weights(centred(jax_weights(gradient), means))
    assert largest_difference(measured, expected) < 2e-6
    swapped = centred(jax_weights(gradient), means[::-1])
    assert largest_difference(swapped, expected) > 0.01
    assert largest_difference(gradient, expected) > 0.01

    assert sum((x * y).sum() for x, y in zip(measured, gradient, strict=True)) > 0
    lower = [x - 1e-3 * y for x, y in zip(plain, measured, strict=True)]
    assert mean_log_likelihood(rows, lower) > mean_log_likelihood(rows, plain)


def test_centring_with_zero_means_changes_nothing():
    gradient = jax_weights(random_parameters(6, 3, 1.0))
    for x, y in zip(centred(gradient, (jnp.zeros(6), jnp.zeros(3))), gradient, strict=True):
        np.testing.assert_array_equal(x, y)


# --- units 0 and 1


def test_the_network_on_units_0_and_1_has_the_same_law():
    arrays = random_parameters(5, 4, 0.7)
    binary = numpy_weights(to_binary(jax_weights(arrays)))
    laws = [log_joint(*x, values=values) for x, values in ((arrays, SPIN), (binary, BINARY))]
    log_p = [joint - logsumexp(joint) for joint in laws]
    np.testing.assert_allclose(*log_p, atol=5e-6)
    unshifted = log_joint(binary[0], 2 * arrays[1], 2 * arrays[2], values=BINARY)
    assert np.abs(unshifted - logsumexp(unshifted) - log_p[0]).max() > 0.1


def test_conversion_there_and_back():
    weights = jax_weights(random_parameters(7, 5, 1.3))
    for one, other in ((to_spin(to_binary(weights)), weights), (to_binary(to_spin(weights)), weights)):
        assert largest_difference(one, numpy_weights(other)) < 1e-5
    assert largest_difference(to_binary(to_binary(weights)), numpy_weights(weights)) > 1


def test_the_gradient_in_binary_units():
    """Differences of the likelihood of a 0/1 network, and JAX's transpose of `to_spin`."""
    arrays, rows = random_parameters(6, 4, 0.5), np.random.default_rng(2).integers(0, 64, 40)
    binary = numpy_weights(to_binary(jax_weights(arrays)))
    slope = numerical_gradient(lambda x: -mean_log_likelihood(rows, x, values=BINARY), binary)
    spin = jax_weights(exact_gradient(arrays, rows))
    measured = Weights(*conversion.gradient_in_binary(*spin))
    assert largest_difference(measured, slope) < 1e-6
    (transposed,) = jax.vjp(to_spin, jax_weights(binary))[1](spin)
    assert largest_difference(measured, numpy_weights(transposed)) < 1e-6
    factor_forgotten = measured._replace(w=4 * measured.w)
    biases_forgotten = measured._replace(w=spin.w / 4)
    for broken in (factor_forgotten, biases_forgotten, spin):
        assert largest_difference(broken, slope) > 0.01


# --- whole updates

BATCH = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], (12, 6), p=[0.3, 0.7]), jnp.float32)
PLAIN = Training(method="cd", chains=30, batch=12, steps=5, optimiser="sgd", learning_rate=0.5, weights_sd=0.3)


def begun(training, seed=3, visible=6, hidden=4):
    return first_state(jax_weights(random_parameters(visible, hidden, 0.3, seed)), training, seed)


def phases(state, training, k=2):
    """v and ⟨h⟩ of both phases of the next update, made again from its key."""
    weights = core.spin_weights(state.parameters, training)
    _, key, _ = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
    start = BATCH if training.method == "cd" else state.chains
    h = mean_h_from_v(weights, BATCH)
    return (BATCH, h, *after_k_steps(weights, start, mean_h_from_v(weights, start), jnp.int32(k), key))


def explicit_binary_step(state, training, mu=0.0, lam=0.0):
    """A step of contrastive divergence of an RBM on units 0 and 1, written out; centred at μ and λ."""
    w, a, b = numpy_weights(state.parameters)
    x, _, model_x, _ = ((1 + np.asarray(z, float)) / 2 for z in phases(state, training))
    y, model_y = (expit(z @ w + b) for z in (x, model_x))
    gradient_w = (x - mu).T @ (y - lam) / len(x) - (model_x - mu).T @ (model_y - lam) / len(model_x)
    gradient_a = x.mean(axis=0) - model_x.mean(axis=0) - gradient_w @ lam * np.ones(len(a))
    gradient_b = y.mean(axis=0) - model_y.mean(axis=0) - mu @ gradient_w * np.ones(len(b))
    return [p + 0.5 * g for p, g in zip((w, a, b), (gradient_w, gradient_a, gradient_b), strict=True)]


def test_an_update_in_binary_units_is_that_of_a_0_1_network():
    training = core.replace(PLAIN, units="binary")
    state = begun(training)
    after = update(state, BATCH, jnp.int32(2), training)
    zero = (np.zeros(6), np.zeros(4))
    assert largest_difference(after.parameters, explicit_binary_step(state, training, *zero)) < 1e-6
    other = update(begun(PLAIN), BATCH, jnp.int32(2), PLAIN)
    assert largest_difference(to_binary(other.parameters), explicit_binary_step(state, training, *zero)) > 0.01


def test_a_centred_update_in_binary_units_is_centred_there():
    """μ and λ of the first update are a hundredth of the mean of both phases, as ±1; 0/1 units take (1 + μ)/2."""
    training = core.replace(PLAIN, units="binary", centred=True)
    state = begun(training)
    v, h, model_v, model_h = (np.asarray(x, float) for x in phases(state, training))
    mu, lam = ((x.mean(axis=0) + y.mean(axis=0)) / 2 * core.BATCH_SHARE for x, y in ((v, model_v), (h, model_h)))
    after = update(state, BATCH, jnp.int32(2), training)
    np.testing.assert_allclose(after.means[0], mu, atol=1e-7)
    np.testing.assert_allclose(after.means[1], lam, atol=1e-7)
    expected = explicit_binary_step(state, training, (1 + mu) / 2, (1 + lam) / 2)
    assert largest_difference(after.parameters, expected) < 1e-6
    assert largest_difference(after.parameters, explicit_binary_step(state, training, mu, lam)) > 0.01


def test_a_centred_update_takes_the_running_means():
    training = core.replace(PLAIN, centred=True)
    state = begun(training)._replace(means=(jnp.linspace(-1, 1, 6), jnp.linspace(0, 1, 4)))
    gradient = loss_gradient(*phases(state, training))
    after = update(state, BATCH, jnp.int32(2), training)
    for means, right in ((after.means, True), (state.means, False)):
        step = [x - 0.5 * y for x, y in zip(state.parameters, centred(gradient, means), strict=True)]
        assert (largest_difference(after.parameters, numpy_weights(step)) < 1e-6) == right


def test_without_biases_they_stay_where_they_are():
    """At 0 in the units of the training, under Adam too, which moves whatever has a gradient by the whole rate."""
    training = core.replace(PLAIN, units="binary", biases=False, optimiser="adam")
    state = begun(training)
    state = state._replace(parameters=state.parameters._replace(a=jnp.zeros(6), b=jnp.zeros(4)))
    after = update(state, BATCH, jnp.int32(1), training)
    assert np.abs(np.asarray(after.parameters.w - state.parameters.w)).min() > 0.01
    assert not np.asarray(after.parameters.a).any()
    assert not np.asarray(after.parameters.b).any()


def test_persistent_chains_go_on_and_those_of_cd_start_at_the_batch():
    training = core.replace(PLAIN, method="pcd")
    state = begun(training)
    *_, model_v, _ = phases(state, training)
    after = update(state, BATCH, jnp.int32(2), training)
    np.testing.assert_array_equal(after.chains, model_v)
    assert int(after.step) == 1
    again = update(after, BATCH, jnp.int32(2), training)
    assert (np.asarray(again.chains) != np.asarray(after.chains)).any()
    contrast = begun(PLAIN)
    np.testing.assert_array_equal(update(contrast, BATCH, jnp.int32(2), PLAIN).chains, contrast.chains)


LADDER = core.replace(PLAIN, method="pcd", tempering="trajectory", levels=4)


@pytest.mark.parametrize(
    ("tempering", "factors"), [("temperature", (0, 1 / 3, 2 / 3, 1)), ("trajectory", (0.5, 0.5, 0.5, 1))]
)
def test_the_networks_of_a_ladder(tempering, factors):
    """β = 0 … 1 times the trained one, or those frozen, here at the start, and the trained one: twice the start."""
    training = core.replace(LADDER, tempering=tempering)
    state = begun(training)
    trained = Weights(*(2 * x for x in state.parameters))
    ladder = tempering_ladder(state, trained, training)
    for level, factor in enumerate(factors):
        assert largest_difference([x[level] for x in ladder], [factor * x for x in numpy_weights(trained)]) < 1e-6


def test_the_negative_phase_of_a_ladder_is_its_last_level():
    state = begun(LADDER)
    state = state._replace(parameters=Weights(*(2 * x for x in state.parameters)))
    _, key, _ = jax.random.split(jax.random.fold_in(state.key, 0), 3)
    ladder = tempering_ladder(state, state.parameters, LADDER)
    chains, swapped = stepped(ladder, state.chains, key, jnp.int32(2), jnp.int32(0))
    after = update(state, BATCH, jnp.int32(2), LADDER)
    np.testing.assert_array_equal(after.chains, chains)
    np.testing.assert_allclose(after.accepted, swapped.mean(axis=1), rtol=1e-6)
    assert np.asarray(after.accepted).any()
    h = mean_h_from_v(state.parameters, BATCH)
    for level, right in ((-1, True), (0, False)):
        gradient = loss_gradient(BATCH, h, chains[level], mean_h_from_v(state.parameters, chains[level]))
        step = [x - 0.5 * y for x, y in zip(state.parameters, gradient, strict=True)]
        assert (largest_difference(after.parameters, numpy_weights(step)) < 1e-6) == right


def test_every_draw_depends_on_the_seed_and_the_step():
    state = begun(PLAIN)
    same, later, other = (
        update(s, BATCH, jnp.int32(2), PLAIN).parameters.w
        for s in (begun(PLAIN), state._replace(step=jnp.int32(1)), state._replace(key=jax.random.key(9)))
    )
    first = update(state, BATCH, jnp.int32(2), PLAIN).parameters.w
    np.testing.assert_array_equal(first, same)
    assert (np.asarray(first) != np.asarray(later)).any()
    assert (np.asarray(first) != np.asarray(other)).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e6])
def test_the_first_step_with_an_absurd_weight_is_noted(value):
    state = begun(PLAIN)
    assert int(update(state, BATCH, jnp.int32(1), PLAIN).exploded) == -1
    w = state.parameters.w.at[1, 2].set(value)
    bad = state._replace(step=jnp.int32(6), parameters=state.parameters._replace(w=w))
    after = update(bad, BATCH, jnp.int32(1), PLAIN)
    assert int(after.exploded) == 7
    assert int(update(after, BATCH, jnp.int32(1), PLAIN).exploded) == 7


# --- the first state


@pytest.mark.parametrize("levels", [1, 3])
def test_ordered_chains_are_half_up_and_half_down(levels):
    tempering = "temperature" if levels > 1 else "none"
    training = Training(chains=10, chains_start="ordered", levels=levels, tempering=tempering)
    chains = np.asarray(begun(training).chains).reshape(-1, 10, 6)
    assert len(chains) == levels
    assert (np.abs(chains.sum(axis=2)) == 6).all()
    assert not chains.sum(axis=(1, 2)).any()


def test_fair_chains_are_independent_fair_spins():
    """Means and products of neighbours are within 4.5 standard errors of 0; those of ordered chains are not."""
    scores = {}
    for start in ("fair", "ordered"):
        v = np.asarray(begun(Training(chains=2000, chains_start=start)).chains)
        assert set(np.unique(v)) == {-1, 1}
        means = np.concatenate([v.mean(axis=0), (v[:, 1:] * v[:, :-1]).mean(axis=0), (v[1:] * v[:-1]).mean(axis=0)])
        scores[start] = np.abs(means).max() * np.sqrt(2000)
    assert scores["fair"] < 4.5 < scores["ordered"]
    one, other = (np.asarray(begun(Training(chains_start="fair"), seed=s).chains) for s in (1, 2))
    assert (one != other).any()


def test_one_program_serves_every_k_batch_and_number_of_steps():
    one = Training(k=1, steps=10, batch=5, chains=7)
    assert compiled_settings(one) == compiled_settings(Training(k=9, steps=99, batch=55, chains=70))
    assert compiled_settings(one) != compiled_settings(Training(k=1, steps=10, batch=5, chains=7, learning_rate=0.5))
    cosine = [compiled_settings(Training(schedule="cosine", steps=n)) for n in (10, 99)]
    assert cosine[0] != cosine[1]


# --- the ladder of trajectory tempering


def ladder_of(levels):
    """A state whose ladder has so many levels, all network number 0, due to take the next one at every call."""
    training = Training(tempering="trajectory", levels=levels + 1, chains=2)
    zero = Weights(jnp.zeros((2, 1)), jnp.zeros(2), jnp.zeros(1))
    return first_state(zero, training, 0)._replace(step=jnp.int32(core.UPDATES_PER_COUNT))


def number(n):
    """The network whose every parameter is n."""
    return Weights(jnp.full((2, 1), n, jnp.float32), jnp.full(2, n, jnp.float32), jnp.full(1, n, jnp.float32))


def numbers(state):
    w, a, b = (np.asarray(x)[:, ...].reshape(len(x), -1) for x in state.ladder)
    assert (w == w[:, :1]).all()
    np.testing.assert_array_equal(w[:, 0], a[:, 0])
    np.testing.assert_array_equal(w[:, 0], b[:, 0])
    return [int(x) for x in w[:, 0]]


def fill(levels, count):
    """The ladder after each of the first `count` tempering_ladder."""
    state, history = ladder_of(levels), []
    for n in range(1, count + 1):
        state = taken(state, number(n))
        history.append(numbers(state))
        assert int(state.frozen) == n
    return history


def test_the_ladder_fills_and_then_thins_by_hand():
    assert fill(5, 13) == [
        [0, 1, 1, 1, 1],
        [0, 1, 2, 2, 2],
        [0, 1, 2, 3, 3],
        [0, 1, 2, 3, 4],
        [0, 2, 3, 4, 5],
        [0, 2, 4, 5, 6],
        [0, 2, 4, 6, 7],
        [0, 2, 4, 6, 8],
        [0, 4, 6, 8, 9],
        [0, 4, 6, 8, 10],
        [0, 4, 8, 10, 11],
        [0, 4, 8, 10, 12],
        [0, 4, 8, 12, 13],
    ]


def is_even(ladder):
    """Whether no gap but the newest is over twice another one, nor that one over the widest."""
    *gaps, newest = np.diff(ladder)
    return max(gaps) <= 2 * min(gaps) and 0 < newest <= max(gaps)


@pytest.mark.parametrize("levels", [3, 4, 8])
def test_the_ladder_stays_even_from_the_start_to_the_newest(levels):
    for n, ladder in enumerate(fill(levels, 100), start=1):
        assert (ladder[0], ladder[-1]) == (0, n)
        assert n < levels or is_even(ladder)
    assert not is_even([0, 93, 95, 97, 99, 100])  # what dropping the second and the fourth in turn level_to_drop


def test_a_ladder_of_one_or_two_levels_takes_the_newest():
    assert fill(1, 3) == [[1], [2], [3]]
    assert fill(2, 3) == [[0, 1], [0, 2], [0, 3]]


def test_a_network_is_taken_only_where_exchanges_are_few():
    """Every `WINDOW` steps, if fewer than 0.3 of the tries with the last level (one in two steps) succeeded."""
    state, few = ladder_of(3), core.LOWEST_ACCEPTANCE * core.UPDATES_PER_COUNT / 2
    accepted = jnp.array([0.0, 0.0, few + 0.1])
    kept = taken(state._replace(accepted=accepted), number(1))
    assert numbers(kept) == [0, 0, 0]
    assert int(kept.frozen) == 0
    assert not np.asarray(kept.accepted).any()
    fresh = taken(state._replace(accepted=jnp.array([9.0, 9.0, few - 0.1])), number(1))
    assert numbers(fresh) == [0, 1, 1]
    assert not np.asarray(fresh.accepted).any()
    between = state._replace(step=jnp.int32(core.UPDATES_PER_COUNT + 1), accepted=jnp.array([1.0, 2.0, 3.0]))
    after = taken(between, number(1))
    assert numbers(after) == [0, 0, 0]
    np.testing.assert_array_equal(after.accepted, between.accepted)
    assert isinstance(after, TrainingState)


def test_which_level_leaves_never_is_the_start_or_beyond_the_last():
    for levels in (2, 3, 7, 20):
        gone = np.asarray(level_to_drop(jnp.arange(10_000), levels))
        assert (gone[: levels - 1] == levels).all()
        assert gone[levels - 1 :].min() == 1
        assert gone[levels - 1 :].max() == levels - 1
