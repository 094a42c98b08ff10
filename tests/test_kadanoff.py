"""The Kadanoff gap against networks whose law is exactly an Ising model's, and against all states of a 4×4 torus."""

from dataclasses import replace

import enumeration
import numpy as np
import pytest
from networks import ising_network, network
from subjects import subject

import rgstep as rg
from rgstep.instruments import kadanoff
from rgstep.nets.assessment import ASSESSMENT_KEY

K_C = 1 / rg.CRITICAL_TEMPERATURE
SIGMAS = 4.5


def biased(sites=16):
    """A network with weights of 0.4 and biases of 0.1."""
    return network(sites, 6, 0.4, biases=0.25)


def exact_gap(rbm, size, coupling):
    """The quantities of `kadanoff.gap` over all states of the 4×4 torus."""
    p = enumeration.probabilities(size, coupling)
    x = -coupling * enumeration.energies(size).astype(np.float64)
    d = -rbm.free_energy(enumeration.states(size)) - x
    x, d = x - p @ x, d - p @ d
    means = np.array([p @ x, p @ d, p @ x**2, p @ (x * d), p @ d**2])
    return kadanoff.summary(means, size**2, varies=coupling > 0)


@pytest.mark.parametrize("coupling", [K_C, 0.2])
def test_a_network_that_is_the_ising_model_has_no_gap(critical8, coupling):
    """On critical configurations: slope K/K_c, and no residual but that of float32 weights."""
    found = kadanoff.gap(ising_network(8, coupling), critical8)
    assert float(found["slope"].value) == pytest.approx(coupling / K_C, abs=1e-5)
    assert float(found["residual_sd"].value) < 1e-5
    assert float(found["explained"].value) == pytest.approx(1.0, abs=1e-9)
    if coupling == K_C:
        assert float(found["gap_sd"].value) < 1e-5


def test_a_bond_that_is_missing_is_seen(critical8):
    """The twin: one of 128 bonds less, and neither slope nor residual is that of the model."""
    whole = ising_network(8, K_C)
    cut = replace(whole, weights=np.delete(whole.weights, 0, axis=1), hidden_bias=whole.hidden_bias[1:])
    found = kadanoff.gap(cut, critical8)
    assert float(found["slope"].value) < 1 - 5e-3
    assert float(found["residual_sd"].value) > 0.02


def test_the_exact_gap_is_that_of_weighted_least_squares():
    rbm, p = biased(), enumeration.probabilities(4, K_C)
    x = -K_C * enumeration.energies(4).astype(float)
    log_weight = -rbm.free_energy(enumeration.states(4))
    (slope, _), *_ = np.linalg.lstsq(
        np.stack([x, np.ones_like(x)], 1) * np.sqrt(p)[:, None], log_weight * np.sqrt(p), rcond=None
    )
    residual = log_weight - slope * x
    found = exact_gap(rbm, 4, K_C)
    assert found["slope"] == pytest.approx(slope, abs=1e-10)
    assert found["residual_sd"] ** 2 * 16 == pytest.approx(p @ residual**2 - (p @ residual) ** 2, rel=1e-9)
    difference = log_weight - x
    assert found["gap_sd"] ** 2 * 16 == pytest.approx(p @ difference**2 - (p @ difference) ** 2, rel=1e-9)
    spread_f = p @ log_weight**2 - (p @ log_weight) ** 2
    spread_x = p @ x**2 - (p @ x) ** 2
    assert found["explained"] == pytest.approx(slope**2 * spread_x / spread_f, rel=1e-9)


def worst(found, exact):
    return max(abs(float(e.value) - exact[name]) / float(e.error) for name, e in found.items())


def test_samples_agree_with_all_states(critical4):
    rbm = biased()
    found = kadanoff.gap(rbm, critical4)
    assert worst(found, exact_gap(rbm, 4, K_C)) < SIGMAS
    assert worst(found, exact_gap(replace(rbm, weights=1.05 * rbm.weights), 4, K_C)) > SIGMAS


def test_half_the_square_of_the_gap_is_the_divergence_of_a_good_model():
    """KL = Var(d)/2 to second order: within 10 % for a coupling 2 % off, and far off for another network."""
    p = enumeration.probabilities(4, K_C)

    def divergence(rbm):
        log_q = -rbm.free_energy(enumeration.states(4))
        log_q -= np.log(np.exp(log_q - log_q.max()).sum()) + log_q.max()
        return float(p @ (np.log(p) - log_q)) / 16

    near, far = ising_network(4, 1.02 * K_C), biased()
    assert exact_gap(near, 4, K_C)["gap_sd"] ** 2 / 2 == pytest.approx(divergence(near), rel=0.1)
    assert exact_gap(far, 4, K_C)["gap_sd"] ** 2 / 2 != pytest.approx(divergence(far), rel=0.1)


def test_the_row_agrees_with_all_states(critical4):
    diagnostic, arrays = kadanoff.measure(subject(critical4, biased()))
    assert (diagnostic.passed, arrays) == (None, {})
    assert set(diagnostic.estimates) == {"slope", "residual_sd", "gap_sd", "explained"}
    assert worst({name: q.estimate for name, q in diagnostic.estimates.items()}, exact_gap(biased(), 4, K_C)) < SIGMAS
    assert "covariate" in diagnostic.why
    assert "no KL" in diagnostic.why


def test_the_row_shows_a_stored_divergence_of_its_temperature_alone(critical8):
    record = {"temperature": rg.CRITICAL_TEMPERATURE, "kl_per_spin": [0.02, 0.001]}
    rbm = biased(64)
    assessed = replace(rbm, origin={ASSESSMENT_KEY: record})
    shown = kadanoff.measure(subject(critical8, assessed))[0].estimates["kl_per_spin"]
    assert (shown.estimate.value, shown.estimate.error) == (0.02, 0.001)
    other = replace(rbm, origin={ASSESSMENT_KEY: {**record, "temperature": 3.0}})
    assert "kl_per_spin" not in kadanoff.measure(subject(critical8, other))[0].estimates


@pytest.mark.slow
def test_the_row_says_whether_the_network_has_seen_the_configurations(critical8):
    assert "no record" in kadanoff.on_what(biased(64), critical8)
    rbm = rg.train_rbm(critical8, 4, steps=1, chains=4)
    assert "very configurations" in kadanoff.on_what(rbm, critical8)
    assert "other than its training set" in kadanoff.on_what(rbm, rg.sample(8, samples=10, seed=99))


@pytest.mark.parametrize("temperature", [0.0, float("inf")])
def test_without_variation_of_the_energy_there_is_no_slope(temperature):
    """A network without weights is the law at T = ∞, and even in both ground states."""
    ensemble = rg.sample(4, temperature, 50, seed=1)
    diagnostic, _ = kadanoff.measure(subject(ensemble, rg.untrained_rbm(16, 4, weights_sd=0.0)))
    assert set(diagnostic.estimates) == {"residual_sd", "gap_sd"}
    assert all(q.estimate.value < 1e-6 for q in diagnostic.estimates.values())
    assert "no slope" in diagnostic.why
    other, _ = kadanoff.measure(subject(ensemble, biased()))
    assert all(q.estimate.value > 1e-3 for q in other.estimates.values())


def test_maps_without_a_model_have_no_row(critical8):
    assert kadanoff.measure(subject(critical8, rg.Majority())) is None


@pytest.mark.parametrize(
    ("samples", "word"), [(1, "too few configurations"), (3, "too few configurations for an error")]
)
def test_few_samples_give_a_row(samples, word):
    ensemble = rg.sample(4, samples=samples, seed=1)
    assert word in kadanoff.measure(subject(ensemble, biased()))[0].why


def test_what_cannot_be_compared_is_refused(critical8):
    with pytest.raises(rg.InputError, match="64 sites given to a network of 16 visible"):
        kadanoff.gap(biased(), critical8)
    with pytest.raises(rg.InputError, match="at least 3"):
        kadanoff.gap(biased(), rg.sample(4, samples=2, seed=1))
