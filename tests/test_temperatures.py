"""Thermometers read the temperature of equilibrium states, say when there is none, and notice what is no such state."""

import math

import numpy as np
import pytest
from enumeration import probabilities, states

import rgstep as rg
from rgstep.estimates import Estimate
from rgstep.exact import torus
from rgstep.instruments.pseudolikelihood import newton
from rgstep.ising import Ising
from rgstep.temperatures import (
    FIELDS,
    NAMES,
    columns_of,
    observed,
    peak_temperature,
    reading_of,
    table,
    tabulates,
)

SIDE, SAMPLES = 8, 2000


def equilibrium(temperature, seed=1, samples=SAMPLES, side=SIDE):
    """Return configurations of an equilibrium state."""
    return rg.sample(side, temperature, samples, seed)


def two_temperatures():
    """Return half T = 2 and half T = 3, in random order: each half is an equilibrium state, the whole is not."""
    both = np.concatenate([equilibrium(T, samples=SAMPLES // 2).unpack() for T in (2.0, 3.0)])
    return np.random.default_rng(0).permutation(both)


def shuffled_sites():
    """Return critical configurations, the sites of each in an order of its own: the same m, no bonds."""
    rng, v = np.random.default_rng(0), equilibrium(rg.CRITICAL_TEMPERATURE).unpack()
    return rng.permuted(v.reshape(len(v), -1), axis=1).reshape(v.shape)


# --- what is observed


def test_columns_are_what_they_say():
    v = equilibrium(2.5, samples=20).unpack()
    abs_m, m2, m4, s_k, e, e2, *shares = columns_of(v).T
    m = v.mean(axis=(1, 2))
    assert np.allclose([abs_m, m2, m4], [np.abs(m), m**2, m**4])
    power = np.abs(np.fft.fft2(v.astype(float))) ** 2 / SIDE**2
    assert np.allclose(s_k, (power[:, 1, 0] + power[:, 0, 1]) / 2)
    bonds = sum((v * np.roll(v, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    assert np.allclose(e, -bonds / SIDE**2)
    assert np.allclose(e2, e**2)
    assert np.allclose(np.sum(shares, axis=0), 1)


@pytest.mark.parametrize("coupling", [0.1, 0.44, 0.8])
def test_pseudolikelihood_of_the_exact_law_is_the_coupling(coupling):
    shares = probabilities(4, coupling) @ columns_of(states(4))[:, 6:]
    found = newton(shares[None], FIELDS, np.zeros((1, 1)))
    assert found[0, 0] == pytest.approx(coupling, abs=1e-9)
    wrong = newton(shares[None, [0, 1, 2, 4, 3]], FIELDS, np.zeros((1, 1)))
    assert abs(wrong[0, 0] - coupling) > 0.01


# --- the curves


@pytest.mark.parametrize("temperature", [1.2, 2.0, 2.3, 3.0, 6.0])
def test_tabulated_means_are_those_of_the_exact_law(temperature):
    K = 1 / temperature
    exact, curves = torus.magnetisation_moments(SIDE, K), table(SIDE)
    errors = np.sqrt(np.diag(curves.covariance(K)))[:3]
    z = (curves.at(K)[:3] - [exact.abs_m, exact.m2, exact.m4]) / errors
    assert np.abs(z).max() < 4
    wrong = torus.magnetisation_moments(SIDE, K * 1.25)
    assert np.abs((curves.at(K)[:3] - [wrong.abs_m, wrong.m2, wrong.m4]) / errors).max() > 4
    assert curves.at(K)[4:] == pytest.approx([Ising(SIDE, K).energy, Ising(SIDE, K).energy_variance], rel=1e-3)


@pytest.mark.parametrize("temperature", [0.8, 1.5, 2.2, 2.27, 2.6, 5.0, 30.0])
def test_exact_curves_are_inverted(temperature):
    model = Ising(SIDE, 1 / temperature)
    by_energy = reading_of("u", Estimate(model.energy, 1e-9), table(SIDE)).temperatures
    assert float(by_energy[0].value) == pytest.approx(temperature, rel=1e-4)
    fluctuation = Estimate(SIDE**2 * model.energy_variance, 1e-9)
    branches = [float(t.value) for t in reading_of("fluctuation", fluctuation, table(SIDE)).temperatures]
    assert min(abs(t - temperature) for t in branches) < 2e-3 * temperature


def test_the_maximum_of_the_specific_heat_goes_to_the_critical_temperature():
    found = [peak_temperature(side) for side in (8, 16, 32, 64)]
    assert found == sorted(found, reverse=True)
    for side, T in zip((8, 16, 32, 64), found, strict=True):
        c = [Ising(side, 1 / x).specific_heat for x in (T - 0.01, T, T + 0.01)]
        assert c[1] > max(c[0], c[2])
    assert 0 < found[-1] - rg.CRITICAL_TEMPERATURE < 0.05


# --- equilibrium states


@pytest.mark.parametrize("temperature", [1.0, 1.6, 2.0, rg.CRITICAL_TEMPERATURE, 2.6, 3.5])
def test_every_thermometer_reads_the_temperature(temperature):
    found = rg.thermometers(equilibrium(temperature))
    for name in NAMES:
        reading = found.readings[name]
        z = [abs(float(t.value) - temperature) / float(t.error) for t in reading.temperatures]
        assert z, (name, reading.note)
        assert min(z) < 4, (name, reading)
    assert found.is_equilibrium
    assert found.best == pytest.approx(temperature, rel=0.06)
    assert "explains all thermometers" in found.verdict


def test_infinite_temperature_is_an_equilibrium_state_and_no_number():
    found = rg.thermometers(equilibrium(math.inf))
    assert found.is_equilibrium
    assert found.best > 30
    for name in ("abs_m", "u", "K_nn", "xi", "U4"):
        assert not found.readings[name].temperatures
        assert "T = ∞" in found.readings[name].note or "no temperature" in found.readings[name].note


def test_ground_states_are_at_zero_and_nothing_is_tested():
    found = rg.thermometers(equilibrium(0.0))
    assert found.is_equilibrium is None
    assert "T = 0" in found.verdict
    assert all(not reading.temperatures and reading.note for reading in found.readings.values())


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 1.8, 2.3, 3.0, math.inf])
def test_false_alarms_are_rare(temperature):
    v = equilibrium(temperature, seed=9, samples=60 * 500).unpack()
    p = np.array([rg.thermometers(part).p_value for part in np.split(v, 60)])
    assert (p < 1e-3).sum() == 0
    assert (p < 0.05).sum() <= 10


# --- what is no equilibrium state


@pytest.mark.parametrize("make", [two_temperatures, shuffled_sites])
def test_what_is_no_equilibrium_state_is_found_out(make):
    found = rg.thermometers(make())
    assert found.is_equilibrium is False
    assert found.p_value < 1e-6
    assert "no equilibrium state at any temperature" in found.verdict


def test_shuffled_sites_keep_what_the_magnetisation_says():
    before, after = rg.thermometers(equilibrium(rg.CRITICAL_TEMPERATURE)), rg.thermometers(shuffled_sites())
    assert str(before.readings["abs_m"]) == str(after.readings["abs_m"])
    low, high = (float(found.readings["K_nn"].temperatures[0].value) for found in (before, after))
    assert high > low + 0.5


def test_two_temperatures_fluctuate_more_than_any():
    reading = rg.thermometers(two_temperatures()).readings["fluctuation"]
    assert not reading.temperatures
    assert "above the largest of all temperatures" in reading.note


def test_an_antiferromagnet_has_no_temperature():
    v = equilibrium(2.5).unpack()
    found = rg.thermometers(v * (1 - 2 * (np.indices((SIDE, SIDE)).sum(axis=0) % 2)).astype(np.int8))
    assert found.is_equilibrium is False
    assert "not above 0" in found.readings["K_nn"].note
    assert "above the largest of all temperatures, 0 at T = ∞" in found.readings["u"].note


def test_specific_heat_has_two_branches():
    reading = rg.thermometers(equilibrium(3.0)).readings["fluctuation"]
    cold, hot = sorted(float(t.value) for t in reading.temperatures)
    assert cold < 2.3 < hot
    assert hot == pytest.approx(3.0, rel=0.1)
    assert " or " in str(reading)


def test_plain_values_and_lines():
    found = rg.thermometers(equilibrium(2.3, samples=200))
    plain = found.to_dict()
    assert plain["equilibrium"] is True
    assert plain["readings"]["u"]["temperatures"][0]["error"] > 0
    assert len(str(found).splitlines()) == len(NAMES) + 1


def test_observed_takes_any_side():
    v = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (100, 5, 5))
    assert abs(float(observed(v).estimates()["u"].value)) < 0.2
    assert not tabulates(5)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (np.zeros((100, 8, 8)), "±1|\\+1 or -1"),
        (np.ones((100, 5, 5)), "even sides"),
        (np.ones((10, 8, 8)), "at least 64"),
        (np.ones((100, 8, 7)), "rows end to end"),
    ],
)
def test_bad_states(state, words):
    with pytest.raises(rg.InputError, match=words):
        rg.thermometers(state)
