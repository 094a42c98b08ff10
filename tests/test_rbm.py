"""The RBM against the enumeration of all its states: conditionals, ln Z, Gibbs sampling, pseudo-likelihood."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import network, states
from scipy.special import logsumexp
from scipy.stats import chi2, chisquare

from rgstep import RBM, CoarseGraining, InputError, untrained_rbm
from rgstep.nets import annealing
from rgstep.nets.curves import pseudo_likelihood
from rgstep.nets.rbm import Weights, gibbs_steps, log_2cosh

NETWORKS = [(9, 4, 0.1), (9, 4, 1.0), (4, 9, 0.5), (12, 6, 0.3)]  # visible, hidden, sd of all parameters
CHAINS = 40_000
REJECT = 1e-4

run_gibbs = jax.jit(gibbs_steps)


def parameters(rbm):
    return tuple(x.astype(np.float64) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))


def log_joint(w, a, b):
    """−E(v, h) of every pair of states, `(2^visible, 2^hidden)`, as the module's docstring writes it."""
    v, h = states(len(a)).astype(float), states(len(b)).astype(float)
    return v @ w @ h.T + (v @ a)[:, None] + h @ b


def law(rbm):
    """p(v) of every visible state."""
    joint = log_joint(*parameters(rbm))
    return np.exp(logsumexp(joint, axis=1) - logsumexp(joint))


def off(rbm, factor):
    """The same network with its weights off by a factor: the broken twin."""
    return RBM(factor * rbm.weights, rbm.visible_bias, rbm.hidden_bias)


# --- conditionals and free energy


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_conditional_means_are_those_of_the_joint_law(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    joint = np.exp(log_joint(*parameters(rbm)))
    mean_h = joint @ states(hidden) / joint.sum(axis=1, keepdims=True)
    mean_v = joint.T @ states(visible) / joint.sum(axis=0)[:, None]
    np.testing.assert_allclose(rbm.mean_h(states(visible)), mean_h, atol=2e-6)
    np.testing.assert_allclose(rbm.mean_v(states(hidden)), mean_v, atol=2e-6)


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_free_energy_sums_over_hidden_states(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    expected = -logsumexp(log_joint(*parameters(rbm)), axis=1)
    measured = rbm.free_energy(states(visible))
    assert measured.dtype == np.float64
    np.testing.assert_allclose(measured, expected, atol=1e-10)


def test_lattices_and_vectors_give_the_same():
    rbm = network(9, 4, 0.5)
    v = states(9)
    lattice = v.reshape(-1, 3, 3)
    np.testing.assert_array_equal(rbm.mean_h(lattice), rbm.mean_h(v))
    np.testing.assert_array_equal(rbm.free_energy(lattice), rbm.free_energy(v))


def test_global_flip_is_a_symmetry_without_biases_only():
    v = states(9)
    symmetric, biased = network(9, 4, 0.5, biases=0), network(9, 4, 0.5)
    np.testing.assert_array_equal(symmetric.mean_h(-v), -symmetric.mean_h(v))
    np.testing.assert_allclose(symmetric.free_energy(-v), symmetric.free_energy(v), atol=1e-12)
    assert np.abs(biased.free_energy(-v) - biased.free_energy(v)).max() > 0.1


def test_log_2cosh_does_not_overflow():
    x = np.array([0.0, 1.0, -1.0, 800.0, -1e6])
    np.testing.assert_allclose(log_2cosh(x), [np.log(2), *[np.log(2 * np.cosh(1))] * 2, 800, 1e6], rtol=1e-15)


# --- ln Z


@pytest.mark.parametrize(("visible", "hidden", "sd"), [*NETWORKS, (6, 12, 1.0), (12, 8, 0.5)])
def test_log_partition_is_the_sum_over_all_pairs(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    assert annealing.log_partition(rbm) == pytest.approx(logsumexp(log_joint(*parameters(rbm))), abs=1e-10)


def test_log_partition_does_not_depend_on_the_block(monkeypatch):
    rbm = network(12, 6, 0.3)
    whole = annealing.log_partition(rbm)
    monkeypatch.setattr(annealing, "STATES_AT_ONCE", 4)
    assert annealing.log_partition(rbm) == pytest.approx(whole, abs=1e-12)


def test_log_partition_of_large_weights_does_not_overflow():
    rbm = RBM(np.full((9, 4), 100.0), np.zeros(9), np.zeros(4))
    assert annealing.log_partition(rbm) == pytest.approx(3600 + np.log(2), abs=1e-10)


def test_log_partition_refuses_more_than_25_units():
    with pytest.raises(InputError, match=r"2\^26.*at most 25"):
        annealing.log_partition(untrained_rbm(27, 26))


def test_log_partition_takes_the_smaller_layer():
    """64 visible units are no obstacle: independent units have ln Z = Σ ln 2 cosh a_i + Σ ln 2 cosh b_a."""
    a, b = np.linspace(-1, 1, 64, dtype=np.float32), np.linspace(0, 2, 5, dtype=np.float32)
    expected = log_2cosh(a.astype(float)).sum() + log_2cosh(b.astype(float)).sum()
    for x, y in ((a, b), (b, a)):
        assert annealing.log_partition(RBM(np.zeros((len(x), len(y))), x, y)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_likelihood_is_normalised_and_right(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    log_p = annealing.log_likelihood(rbm, states(visible))
    assert logsumexp(log_p) == pytest.approx(0, abs=1e-10)
    np.testing.assert_allclose(np.exp(log_p), law(rbm), rtol=1e-9)


# --- sampling


def gibbs_p_value(rbm, kernel, k, seed=0):
    """χ² of visible states after k steps of a kernel's Gibbs sampler from exact draws of `rbm`."""
    p = law(rbm)
    start = np.random.default_rng(seed).choice(len(p), CHAINS, p=p)
    v = jnp.asarray(states(rbm.visible)[start], jnp.float32)
    end = np.asarray(run_gibbs(kernel.parameters, v, jnp.int32(k), jax.random.key(seed)))
    codes = ((end > 0) @ (1 << np.arange(rbm.visible))).astype(int)
    counts = np.bincount(codes, minlength=len(p))
    assert CHAINS * p.min() > 5
    return chisquare(counts, CHAINS * p).pvalue


@pytest.mark.parametrize("k", [1, 4])
def test_gibbs_leaves_the_law_alone(k):
    rbm = network(5, 4, 0.35)
    assert gibbs_p_value(rbm, rbm, k) > REJECT


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(
    "broken",
    [
        lambda rbm: off(rbm, 0.9),
        lambda rbm: RBM(rbm.weights, -rbm.visible_bias, rbm.hidden_bias),
        lambda rbm: RBM(rbm.weights, rbm.visible_bias, np.zeros(4)),
        lambda rbm: RBM(rbm.weights[::-1], rbm.visible_bias, rbm.hidden_bias),
    ],
    ids=["weights 10 % off", "visible bias of wrong sign", "hidden bias forgotten", "weights in wrong order"],
)
def test_a_broken_gibbs_sampler_is_noticed(broken, k):
    rbm = network(5, 4, 0.35)
    assert gibbs_p_value(rbm, broken(rbm), k) < REJECT


def test_gibbs_steps_compose_and_depend_on_the_key():
    """No step leaves v alone; another key is another draw; every state is ±1."""
    rbm = network(5, 4, 0.35)
    v = jnp.asarray(states(5)[np.arange(CHAINS) % 32], jnp.float32)
    run = [
        np.asarray(run_gibbs(rbm.parameters, v, jnp.int32(k), jax.random.key(s))) for k, s in ((0, 0), (1, 0), (1, 1))
    ]
    np.testing.assert_array_equal(run[0], v)
    assert (run[1] != run[2]).any()
    assert set(np.unique(run[1])) == {-1.0, 1.0}


def draw_p_value(draws, mean):
    """χ² of the means of independent ±1 draws `(draw, unit)`, and of the products of neighbouring units."""
    n = len(draws)
    z = (draws.mean(axis=0) - mean) / np.sqrt((1 - mean**2) / n)
    pair = mean[1:] * mean[:-1]
    z_pair = ((draws[:, 1:] * draws[:, :-1]).mean(axis=0) - pair) / np.sqrt((1 - pair**2) / n)
    return min(chi2.sf((x**2).sum(), len(x)) for x in (z, z_pair))


@pytest.mark.parametrize("layer", ["h", "v"])
def test_samples_have_the_conditional_law(layer):
    rbm = network(9, 6, 0.4)
    given = states(9 if layer == "h" else 6)[[21]]
    mean = (rbm.mean_h if layer == "h" else rbm.mean_v)(given)[0].astype(float)
    wrong = (off(rbm, 0.9).mean_h if layer == "h" else off(rbm, 0.9).mean_v)(given)[0].astype(float)
    draw = rbm.sample_h if layer == "h" else rbm.sample_v
    draws = draw(np.repeat(given, CHAINS, axis=0), np.random.default_rng(0))
    assert draws.dtype == np.int8
    assert set(np.unique(draws)) == {-1, 1}
    assert draw_p_value(draws, mean) > REJECT
    assert draw_p_value(draws, wrong) < REJECT


def test_the_same_rng_draws_the_same():
    rbm, v = network(9, 4, 0.4), states(9)
    first, again, other = (rbm.sample_h(v, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# --- pseudo-likelihood


@pytest.mark.parametrize("sd", [0.1, 1.0])
def test_pseudo_likelihood_is_that_of_the_conditional_law(sd):
    """ln p(v_i | rest) = ln p(v) − ln (p(v) + p(v with i flipped)), from the enumerated p."""
    rbm = network(9, 4, sd)
    log_p = np.log(law(rbm))
    codes = np.arange(512)
    sites = np.random.default_rng(0).integers(0, 9, (512, 3))
    expected = log_p[:, None] - np.logaddexp(log_p[:, None], log_p[codes[:, None] ^ (1 << sites)])
    v = jnp.asarray(states(9), jnp.float32)
    inputs = v @ rbm.weights + rbm.hidden_bias
    sites = jnp.asarray(sites)
    measured = pseudo_likelihood(rbm.parameters, v, inputs, sites)
    assert measured.shape == (512,)
    np.testing.assert_allclose(measured, expected.mean(axis=1), atol=2e-5)
    assert float(measured.mean()) == pytest.approx(expected.mean(), abs=2e-6)
    wrong = pseudo_likelihood(off(rbm, 0.99).parameters, v, 0.99 * (v @ rbm.weights) + rbm.hidden_bias, sites)
    assert abs(float(wrong.mean()) - expected.mean()) > 2e-6


# --- construction


def test_an_rbm_is_a_coarse_graining_with_read_only_arrays():
    weights = np.ones((4, 2))
    rbm = RBM(weights, np.zeros(4), np.zeros(2), {"preset": "mine", "seed": 7})
    assert isinstance(rbm, CoarseGraining)
    assert (rbm.visible, rbm.hidden) == (4, 2)
    for array in (rbm.weights, rbm.visible_bias, rbm.hidden_bias):
        assert array.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    weights[0, 0] = 5.0
    assert rbm.weights[0, 0] == 1.0
    assert "4 visible" in repr(rbm)
    assert "seed=7" in repr(rbm)
    assert isinstance(rbm.parameters, Weights)


@pytest.mark.parametrize(
    ("w", "a", "b"), [((4, 2), 2, 4), ((4, 2), 4, 3), ((4, 2), 3, 2), ((8,), 8, 1), ((2, 2, 2), 2, 2)]
)
def test_shapes_that_do_not_belong_together_are_refused(w, a, b):
    with pytest.raises(InputError, match=r"expected \(n, m\), \(n,\), \(m,\)"):
        RBM(np.zeros(w), np.zeros(a), np.zeros(b))


@pytest.mark.parametrize("call", ["mean_h", "free_energy", "sample_h"])
def test_configurations_of_another_size_are_refused(call):
    rest = (np.random.default_rng(0),) if call == "sample_h" else ()
    with pytest.raises(InputError, match=r"16 sites .* 9 visible"):
        getattr(network(9, 4, 0.1), call)(np.ones((3, 4, 4), np.int8), *rest)


@pytest.mark.parametrize("call", ["mean_v", "sample_v"])
def test_hidden_variables_of_another_number_are_refused(call):
    rest = (np.random.default_rng(0),) if call == "sample_v" else ()
    with pytest.raises(InputError, match=r"5 .* 4 hidden"):
        getattr(network(9, 4, 0.1), call)(np.ones((3, 5), np.int8), *rest)


# --- the untrained network


def test_untrained_weights_are_normal_with_zero_biases():
    rbm = untrained_rbm(256, 64, seed=3)
    n = rbm.weights.size
    scaled = rbm.weights.astype(float) / 0.05
    assert abs(scaled.mean()) < 4.5 / np.sqrt(n)
    assert abs(scaled.var() - 1) < 4.5 * np.sqrt(2 / n)
    assert abs((scaled**4).mean() - 3) < 4.5 * np.sqrt(96 / n)
    assert not rbm.visible_bias.any()
    assert not rbm.hidden_bias.any()
    assert rbm.origin["preset"] == "untrained"
    assert rbm.origin["steps"] == 0
    assert not rbm.history


def test_untrained_weights_come_from_the_seed():
    first, again, other = (untrained_rbm(16, 4, seed).weights for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    np.testing.assert_allclose(untrained_rbm(16, 4, 0, weights_sd=0.1).weights, 2 * first, rtol=1e-6)


@pytest.mark.parametrize(("visible", "hidden", "names"), [(0, 4, "visible = 0"), (16, -1, "hidden = -1")])
def test_sizes_that_are_not_above_zero_are_refused(visible, hidden, names):
    with pytest.raises(InputError, match=names):
        untrained_rbm(visible, hidden)


def test_a_network_too_large_for_memory_is_refused_before_it_is_made():
    with pytest.raises(InputError, match=r"a network of 10000000 visible .* memory"):
        untrained_rbm(10_000_000, 10_000_000)


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed = -1"):
        untrained_rbm(16, 4, seed=-1)
