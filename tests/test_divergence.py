"""The divergence of the Ising law from an RBM's, against sums over all states of the 4×4 torus."""

import math

import enumeration
import numpy as np
import pytest
from networks import ising_network, network
from scipy.special import logsumexp

import rgstep as rg
from rgstep import RBM, InputError, ensemble_from_array
from rgstep.estimates import Estimate
from rgstep.exact import torus
from rgstep.ising import Ising, ising
from rgstep.nets.annealing import LogPartition, log_partition_interval
from rgstep.nets.assessment import Divergence, kl_to_ising, log_likelihood_optimum

SITES = 16
DRAWS = 4000
CRITICAL = rg.CRITICAL_TEMPERATURE


def random_network(sd=0.15, visible=SITES, hidden=6, seed=0):
    return network(visible, hidden, sd, seed)


def near_network(temperature, seed=0):
    """The Ising model's RBM with weights off by 10 % at random, and biases: as a trained one, close to the law."""
    rng, rbm = np.random.default_rng(seed), ising_network(4, 1 / temperature)
    weights = rbm.weights * (1 + 0.1 * rng.standard_normal(rbm.weights.shape))
    return RBM(weights, 0.2 * rng.standard_normal(rbm.visible), 0.05 * rng.standard_normal(rbm.hidden))


def log_z(rbm):
    """ln Z by the sum over all visible states, as a result of width 0."""
    value = float(logsumexp(-rbm.free_energy(enumeration.states(4))))
    return LogPartition(value, value, Estimate(value, 0.0), Estimate(value, 0.0), 0, 0, "exact")


def exact_kl(rbm, temperature):
    """KL per spin by the sum over all 65,536 states."""
    p = enumeration.probabilities(4, 1 / temperature)
    log_p_network = -rbm.free_energy(enumeration.states(4)) - log_z(rbm).low
    return float(p @ (np.log(p) - log_p_network)) / SITES


def draws(temperature, n=DRAWS, seed=0):
    """Independent configurations of the exact 4×4 law."""
    rows = np.random.default_rng(seed).choice(1 << SITES, n, p=enumeration.probabilities(4, 1 / temperature))
    return ensemble_from_array(enumeration.states(4)[rows], temperature)


def relabelled(ensemble, temperature):
    """The same configurations, said to be of another temperature."""
    return ensemble_from_array(ensemble.spins, temperature)


def z_score(found, exact):
    return (found.per_spin.value - exact) / found.per_spin.error


# --- the value


@pytest.mark.parametrize("temperature", [1.5, CRITICAL, 5.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_divergence_is_that_of_the_enumeration(temperature, seed):
    rbm = random_network(seed=seed)
    exact = exact_kl(rbm, temperature)
    found = kl_to_ising(rbm, draws(temperature, seed=seed), log_z(rbm))
    assert abs(z_score(found, exact)) < 4
    assert found.per_spin.error < 0.05 * exact
    assert found.low < exact < found.high
    assert found.samples == DRAWS


def off(rbm, factor):
    """The same network with its weights off by a factor."""
    return RBM(factor * rbm.weights, rbm.visible_bias, rbm.hidden_bias)


def shuffled(rbm):
    """The same network with its sites in another order, which leaves ln Z alone."""
    order = np.random.default_rng(0).permutation(rbm.visible)
    return RBM(rbm.weights[order], rbm.visible_bias[order], rbm.hidden_bias)


def without_bias(rbm):
    return RBM(rbm.weights, np.zeros(rbm.visible), rbm.hidden_bias)


@pytest.mark.parametrize(
    "broken",
    [
        lambda rbm: kl_to_ising(off(rbm, 0.95), draws(CRITICAL), log_z(rbm)),
        lambda rbm: kl_to_ising(rbm, draws(CRITICAL), log_z(off(rbm, 0.95))),
        lambda rbm: kl_to_ising(shuffled(rbm), draws(CRITICAL), log_z(rbm)),
        lambda rbm: kl_to_ising(rbm, draws(CRITICAL), log_z(without_bias(rbm))),
        lambda rbm: kl_to_ising(rbm, relabelled(draws(0.8 * CRITICAL), CRITICAL), log_z(rbm)),
        lambda rbm: kl_to_ising(rbm, relabelled(draws(CRITICAL), 0.8 * CRITICAL), log_z(rbm)),
    ],
    ids=["weights in F", "weights in ln Z", "sites of F", "no bias in ln Z", "draws too cold", "law too cold"],
)
def test_a_broken_divergence_is_noticed(broken):
    rbm = near_network(CRITICAL)
    exact = exact_kl(rbm, CRITICAL)
    assert 1e-4 < exact < 0.05
    assert abs(z_score(kl_to_ising(rbm, draws(CRITICAL), log_z(rbm)), exact)) < 4
    assert abs(z_score(broken(rbm), exact)) > 4


def test_errors_are_those_of_repeated_draws():
    rbm = random_network()
    exact, whole, known = exact_kl(rbm, CRITICAL), draws(CRITICAL, 60 * 500).spins, log_z(rbm)
    parts = [ensemble_from_array(v, CRITICAL) for v in np.split(whole, 60)]
    z = np.array([z_score(kl_to_ising(rbm, part, known), exact) for part in parts])
    assert abs(z.mean()) * np.sqrt(60) < 4
    assert 0.75 < z.std() < 1.3


@pytest.mark.parametrize("temperature", [1.2, CRITICAL, 4.0])
def test_the_network_that_is_the_model_has_no_divergence(temperature):
    """F − K E is then one constant: 0 in every configuration, to the rounding of float32 weights."""
    rbm = ising_network(4, 1 / temperature)
    found = kl_to_ising(rbm, draws(temperature), log_z(rbm))
    assert found.per_spin.value == pytest.approx(0, abs=2e-7)
    assert found.per_spin.error < 2e-7


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_the_network_at_another_temperature_is_rejected(factor):
    rbm = ising_network(4, 1 / (factor * CRITICAL))
    exact = exact_kl(rbm, CRITICAL)
    found = kl_to_ising(rbm, draws(CRITICAL), log_z(rbm))
    assert exact > 1e-4
    assert abs(found.per_spin.value - exact) < 4 * found.per_spin.error
    right = ising_network(4, 1 / CRITICAL)
    assert abs(found.per_spin.value) > 100 * abs(kl_to_ising(right, draws(CRITICAL), log_z(right)).per_spin.value)


def test_configurations_of_the_library_give_the_same(critical4):
    rbm = random_network()
    found = kl_to_ising(rbm, critical4, log_partition_interval(rbm))
    assert abs(z_score(found, exact_kl(rbm, CRITICAL))) < 4


def test_the_interval_of_log_z_is_in_that_of_the_divergence():
    rbm = random_network()
    sharp = log_z(rbm)
    wide = LogPartition(sharp.low - 0.8, sharp.low + 1.6, sharp.forward, sharp.reverse, 10, 10, "AIS")
    one, other = (kl_to_ising(rbm, draws(CRITICAL), z) for z in (sharp, wide))
    assert other.low == pytest.approx(one.low - 0.8 / SITES)
    assert other.high == pytest.approx(one.high + 1.6 / SITES)
    assert other.per_spin.value == pytest.approx(one.per_spin.value + 0.4 / SITES)
    assert other.per_spin.error == one.per_spin.error
    assert one.high - one.low == pytest.approx(2 * 1.96 * one.per_spin.error, rel=1e-3)


# --- the log-likelihood and its optimum


@pytest.mark.parametrize("temperature", [0.5, 1.5, CRITICAL, 5.0, math.inf])
def test_the_optimum_is_minus_the_entropy(temperature):
    p = enumeration.probabilities(4, 1 / temperature)
    expected = (p[p > 0] * np.log(p[p > 0])).sum() / SITES
    assert log_likelihood_optimum(ising(4, temperature)) == pytest.approx(expected, abs=1e-12)


def test_the_log_likelihood_is_that_of_the_enumeration():
    rbm = random_network()
    exact = float(enumeration.probabilities(4, 1 / CRITICAL) @ -rbm.free_energy(enumeration.states(4)))
    exact = (exact - log_z(rbm).low) / SITES
    found = kl_to_ising(rbm, draws(CRITICAL), log_z(rbm))
    assert abs(found.log_likelihood.value - exact) < 4 * found.log_likelihood.error
    assert found.log_likelihood.value < found.optimum


# --- the ends of the temperature scale


def test_at_infinite_temperature_the_free_network_is_right():
    """W = 0 without biases is the law itself; with biases a, KL per spin is the mean of ln cosh a_i."""
    spins = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (DRAWS, 4, 4))
    hot = ensemble_from_array(spins, math.inf)
    free = RBM(np.zeros((SITES, 2)), np.zeros(SITES), np.zeros(2))
    assert kl_to_ising(free, hot, log_partition_interval(free)).per_spin.value == pytest.approx(0, abs=1e-12)
    a = np.linspace(-1, 1, SITES, dtype=np.float32)
    biased = RBM(np.zeros((SITES, 2)), a, np.zeros(2))
    found = kl_to_ising(biased, hot, log_partition_interval(biased))
    assert abs(z_score(found, np.log(np.cosh(a.astype(float))).mean())) < 4
    assert abs(z_score(found, 0.0)) > 4


def test_at_zero_temperature_the_law_is_two_states():
    up = np.ones((1, 4, 4), np.int8)
    cold = ensemble_from_array(np.concatenate([up, -up, up, -up]), 0.0)
    rbm = random_network(sd=0.5)
    both = rbm.free_energy(np.concatenate([up, -up])).mean() + log_z(rbm).low
    found = kl_to_ising(rbm, cold, log_z(rbm))
    assert found.per_spin.value == pytest.approx((both - math.log(2)) / SITES, abs=1e-12)
    assert found.optimum == pytest.approx(-math.log(2) / SITES)


def test_zero_temperature_is_the_limit_of_low_ones():
    up = np.ones((1, 4, 4), np.int8)
    pairs, rbm = np.concatenate([up, -up]), random_network(sd=0.5)
    cold, colder = (kl_to_ising(rbm, ensemble_from_array(pairs, t), log_z(rbm)) for t in (0.1, 0.0))
    assert cold.per_spin.value == pytest.approx(colder.per_spin.value, abs=1e-12)
    assert cold.optimum == pytest.approx(colder.optimum, abs=1e-12)


def test_excited_configurations_at_zero_temperature_are_refused():
    with pytest.raises(InputError, match=r"\d+ of 4000 configurations are not ground states: at T = 0"):
        kl_to_ising(random_network(), ensemble_from_array(draws(CRITICAL).spins, 0.0), log_z(random_network()))


# --- bad input, and what it says


def test_an_ensemble_of_another_size_is_refused():
    rbm = random_network(visible=36)
    with pytest.raises(InputError, match=r"4×4 = 16 sites given to a network of 36 visible"):
        kl_to_ising(rbm, draws(CRITICAL, 10), log_partition_interval(rbm))


def test_a_single_configuration_is_refused():
    rbm = random_network()
    with pytest.raises(InputError, match="at least 2"):
        kl_to_ising(rbm, draws(CRITICAL, 1), log_z(rbm))


def test_the_result_is_a_line():
    rbm = random_network()
    found = kl_to_ising(rbm, draws(CRITICAL), log_z(rbm))
    assert isinstance(found, Divergence)
    assert "\n" not in str(found)
    assert str(found).startswith(f"KL(Ising ‖ RBM) = {found.per_spin} per spin, in [")  # ln Z is exact
    assert f"log-likelihood {found.log_likelihood} per spin, at best {found.optimum:.6g}" in str(found)
    wide = Divergence(Estimate(0.01, 1e-6), -0.0392, 0.0592, -0.28, 500)
    assert str(wide).startswith("KL(Ising ‖ RBM) = 0.010(25) per spin, in [-0.0392, 0.0592] at 95 % (500 conf")


def test_pieces_and_progress(monkeypatch):
    """Many blocks give the number that one gives, and are counted."""
    rbm, ensemble, seen = random_network(), draws(CRITICAL), []
    whole = kl_to_ising(rbm, ensemble, log_z(rbm))
    monkeypatch.setattr("rgstep.packed.PIECE_SITES", 16 * 1500)
    parts = kl_to_ising(rbm, ensemble, log_z(rbm), lambda stage, done, total, note="": seen.append((done, total)))
    assert parts.per_spin.value == pytest.approx(whole.per_spin.value, abs=1e-14)
    assert seen == [(1500, 4000), (3000, 4000), (4000, 4000)]


def test_the_optimum_of_a_large_lattice_is_that_of_kaufman():
    system = Ising(32, 1 / CRITICAL)
    step = 1e-5  # −entropy = −K u N − ln Z, with u = −d ln Z / dK / N by differences
    slope = (torus.log_partition(32, 1 / CRITICAL + step) - torus.log_partition(32, 1 / CRITICAL - step)) / (2 * step)
    expected = (slope / CRITICAL - torus.log_partition(32, 1 / CRITICAL)) / 1024
    assert log_likelihood_optimum(system) == pytest.approx(expected, abs=1e-8)
