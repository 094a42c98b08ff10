"""The conditional entropy against all states of a 4×4 torus, and the ladder against the maps that it passes."""

import math
from dataclasses import replace

import enumeration
import numpy as np
import pytest
from networks import network
from subjects import subject

import rgstep as rg
from rgstep.adapters import as_map
from rgstep.estimates import grouped_mean
from rgstep.instruments import entropy, pseudolikelihood
from rgstep.lattice import block_sums
from rgstep.results import Diagnostic, MapReport, Quantity

K_C = 1 / rg.CRITICAL_TEMPERATURE
SIGMAS = 4.5


def row(ensemble, given):
    return entropy.measure(subject(ensemble, given))


def exact(given, coupling=K_C):
    """H(h | v) per unit over all states: by definition, from the probabilities of both values."""
    up = (1 + as_map(given, "mine").mean_h(enumeration.states(4)).reshape(65536, -1).astype(float)) / 2
    terms = sum(np.where(p > 0, -p * np.log(np.where(p > 0, p, 1)), 0) for p in (up, 1 - up))
    return float(enumeration.expectation(terms.mean(axis=1), 4, coupling))


def score(quantity, value):
    return abs(quantity.estimate.value - value) / quantity.estimate.error


@pytest.mark.parametrize("given", [rg.Majority(), rg.BernoulliBlock(0.5), network(16, 4, 0.3, seed=1)])
def test_the_entropy_is_that_of_all_states(critical4, given):
    quantity = row(critical4, given)[0].estimates["entropy"]
    assert score(quantity, exact(given)) < SIGMAS
    assert score(quantity, exact(given, 0.9 * K_C)) > SIGMAS


def test_the_majority_rule_has_the_entropy_of_its_ties(critical8):
    ties = grouped_mean((block_sums(critical8.unpack(), 2) == 0).mean(axis=(1, 2)))
    found = row(critical8, rg.Majority())[0]
    assert found.estimates["entropy"].estimate.value == pytest.approx(math.log(2) * ties.value, rel=1e-6)
    assert found.estimates["entropy"].estimate.error == pytest.approx(math.log(2) * ties.error, rel=1e-6)
    assert "0.0591" in found.why
    assert row(critical8, rg.Majority(ties="first"))[0].estimates["entropy"].estimate.value == 0


def test_binary_entropy_is_its_definition():
    m = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1 + 1e-7])
    expected = [math.log(2), *2 * [-0.75 * math.log(0.75) - 0.25 * math.log(0.25)], 0, 0, 0]
    np.testing.assert_allclose(entropy.binary_entropy(m), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_sharpened_units_keep_their_digits(scale):
    """Against the definition in 64 bits, and in the tail against 2s|x| e^{−2s|x|}, where 32 bits of m have none."""
    x = np.linspace(-2, 2, 41)
    mean, found = entropy.sharpened(x.astype(np.float32), scale)
    np.testing.assert_allclose(mean, np.tanh(scale * x), atol=1e-6)
    np.testing.assert_allclose(found, entropy.binary_entropy(np.tanh(scale * x)), rtol=1e-5)
    _, tail = entropy.sharpened(np.array([-20 / scale, 20 / scale], dtype=np.float32), scale)
    np.testing.assert_allclose(tail, 41 * math.exp(-40), rtol=1e-5)


def test_the_limit_of_sharpening_is_the_sign():
    mean, found = entropy.sharpened(np.array([-0.1, 0.0, 2.0], np.float32), math.inf)
    np.testing.assert_array_equal(mean, [-1, 0, 1])
    np.testing.assert_allclose(found, [0, math.log(2), 0], rtol=1e-6)


def test_the_ladder_of_a_bernoulli_block_ends_at_the_majority_rule(critical4):
    found = row(critical4, rg.BernoulliBlock(0.5))[0].estimates
    steps = {
        "0.5": rg.BernoulliBlock(0.25),
        "2": rg.BernoulliBlock(1.0),
        "4": rg.BernoulliBlock(2.0),
        "inf": rg.Majority(),
    }
    for s, given in steps.items():
        assert score(found[f"entropy_sharp[{s}]"], exact(given)) < SIGMAS
    assert score(found["entropy_sharp[2]"], exact(rg.BernoulliBlock(0.97))) > SIGMAS


def test_the_ladder_of_a_network_passes_networks_with_larger_weights(critical8):
    """On the same configurations, all of them here, to rounding."""
    rbm = network(64, 16, 0.3)
    found = row(critical8, rbm)[0].estimates
    for s in (0.5, 2.0, 4.0):
        larger = replace(rbm, weights=s * rbm.weights, hidden_bias=s * rbm.hidden_bias)
        expected = row(critical8, larger)[0].estimates["entropy"].estimate
        assert found[f"entropy_sharp[{s:g}]"].estimate.value == pytest.approx(expected.value, rel=1e-5)
        assert found[f"entropy_sharp[{s:g}]"].estimate.error == pytest.approx(expected.error, rel=1e-4)


def test_the_couplings_at_the_end_of_the_ladder_are_those_of_block_spins(critical8):
    diagnostic, arrays = row(critical8, rg.BernoulliBlock(0.25))
    K = pseudolikelihood.couplings(subject(critical8, rg.Majority()).hidden).estimate
    for i, name in enumerate(("K_nn", "K_nnn")):
        found = diagnostic.estimates[f"{name}_sharp[inf]"].estimate
        assert abs(found.value - K.value[i]) < SIGMAS * math.hypot(found.error, K.error[i])
        assert arrays[f"sharpening_{name}"][-1] == found.value
    noisy, error = arrays["sharpening_K_nn"][0], arrays["sharpening_K_nn_error"][0]
    assert abs(noisy - K.value[0]) > SIGMAS * math.hypot(error, K.error[0])


def test_neighbours_are_those_of_the_lattice(rng):
    h = rng.choice(np.array([-1, 1], np.int8), (40, 6, 6))
    h[:, :, 1::2] = h[:, :, ::2]  # pairs along rows: half of the bonds along rows are 1
    product = np.mean([(h * np.roll(h, -1, axis)).mean(axis=(1, 2)) for axis in (1, 2)], axis=0)
    found = entropy.neighbours(h)["nn"]
    assert found.value == pytest.approx(product.mean())
    assert found.error == pytest.approx(product.std(ddof=1) / math.sqrt(40))


def test_units_that_do_not_vary_are_left_out_and_counted(critical8):
    rbm = network(64, 6, 0.3)
    weights, bias = rbm.weights.copy(), rbm.hidden_bias.copy()
    weights[:, :2] = 0
    bias[:2] = 0, 50  # a coin, and a unit that is always up
    blind = replace(rbm, weights=weights, hidden_bias=bias)
    seeing = replace(rbm, weights=weights[:, 2:], hidden_bias=bias[2:])
    found, arrays = row(critical8, blind)
    assert "2 of 6 units do not vary" in found.why
    expected = row(critical8, seeing)[0].estimates["entropy"].estimate
    assert found.estimates["entropy"].estimate.value == pytest.approx(expected.value, rel=1e-6)
    assert found.estimates["entropy"].estimate.error == pytest.approx(expected.error, rel=1e-4)
    np.testing.assert_allclose(arrays["unit_entropy"][:2], [math.log(2), 0], atol=1e-6)
    nothing, _ = row(critical8, rg.untrained_rbm(64, 4, weights_sd=0.0))
    assert "no unit varies" in nothing.why
    assert nothing.estimates["entropy"].estimate.value == pytest.approx(math.log(2), rel=1e-6)


class Noisy:
    """A block average with Gaussian noise."""

    def mean_h(self, v):
        return rg.Average().mean_h(v)

    def sample_h(self, v, rng):
        return self.mean_h(v) + rng.standard_normal((len(v), v.shape[1] // 2, v.shape[2] // 2)).astype(np.float32)


class WrongMean(Noisy):
    """±1 draws with a mean of ±3."""

    def mean_h(self, v):
        return 3 * rg.Majority().mean_h(v)

    def sample_h(self, v, rng):
        return rg.Majority().sample_h(v, rng)


def test_values_other_than_signs_have_no_noise_or_no_entropy(critical8):
    for given in (rg.Average(), rg.Majority(ties="zero")):
        quantity = row(critical8, given)[0].estimates["entropy"]
        assert (quantity.estimate.value, quantity.estimate.error, quantity.exact) == (0, 0, 0)
    drawn, _ = row(critical8, Noisy())
    assert drawn.estimates == {}
    assert "needs the law" in drawn.why
    with pytest.raises(rg.InputError, match="mean_h is not between them"):
        row(critical8, WrongMean())


@pytest.mark.parametrize("samples", [1, 2, 10])
@pytest.mark.parametrize("temperature", [0.0, rg.CRITICAL_TEMPERATURE, math.inf])
def test_few_samples_give_a_row(samples, temperature):
    ensemble = rg.sample(8, temperature, samples, seed=1)
    for given in (rg.Majority(), rg.BernoulliBlock(), network(64, 16, 0.3), network(64, 3, 0.3)):
        diagnostic, _ = row(ensemble, given)
        assert math.isfinite(diagnostic.estimates["entropy"].estimate.value)
        assert ("too few configurations for an error" in diagnostic.why) == (samples == 1)


def test_a_map_without_places_has_entropies_alone(critical8):
    diagnostic, arrays = row(critical8, network(64, 3, 0.3))
    assert "no places" in diagnostic.why
    assert not [name for name in diagnostic.estimates if name.startswith(("K_", "nn"))]
    assert set(arrays) == {"unit_entropy", "sharpening_s", "sharpening_entropy", "sharpening_entropy_error"}


class OfZeroAndOne:
    """Another map of ±1, written as 0 and 1."""

    def __init__(self, inner):
        self.inner = inner

    def mean_h(self, v):
        return (1 + self.inner.mean_h(v)) / 2

    def sample_h(self, v, rng):
        return (1 + self.inner.sample_h(v, rng)) / 2


def test_draws_of_zero_and_one_have_the_entropy_of_draws_of_signs(critical8):
    for given in (rg.Decimation(), rg.BernoulliBlock(0.5)):
        found, expected = (row(critical8, m)[0].estimates["entropy"].estimate for m in (OfZeroAndOne(given), given))
        assert found.value == pytest.approx(expected.value, rel=1e-5)
        assert found.error == pytest.approx(expected.error, rel=1e-4)


def report(ensemble, given, **more):
    diagnostic, arrays = row(ensemble, given)
    rows = {"conditional_entropy": diagnostic, **more}
    return MapReport("not judged", "judged", "", rows, {"conditional_entropy": arrays})


def test_the_figure_draws_what_there_is(critical8):
    reference = Diagnostic(None, "", {"K_nn[1]": Quantity(rg.Estimate(0.36, 0.01))})
    maps = {
        "majority": report(critical8, rg.Majority(), hidden_hamiltonian=reference),
        "bernoulli": report(critical8, rg.BernoulliBlock(0.25)),
        "other": MapReport("not judged", "judged", "", {}),
    }
    figure = next(entropy.figures(maps)).figure
    assert [axes.get_xlabel() for axes in figure.axes] == ["H(h | v) per unit (nats)", *3 * ["inputs times s"]]
    left, middle, coupling, _ = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["majority", "bernoulli"]
    np.testing.assert_array_equal(
        middle.lines[0].get_ydata(), maps["bernoulli"].arrays["conditional_entropy"]["sharpening_entropy"]
    )
    assert [line.get_ydata()[0] for line in coupling.lines if line.get_linestyle() == "--"] == [0.36]
    (alone,) = entropy.figures({"majority": maps["majority"]})
    assert len(alone.figure.axes) == 1
    assert not list(entropy.figures({"other": maps["other"]}))
