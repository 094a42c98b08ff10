"""Energy and magnetisation against loops; what the model accepts."""

import math

import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep.errors import InputError
from rgstep.ising import energy, ising, magnetisation


@pytest.mark.parametrize("size", [4, 6, 8])
def test_energy_is_that_of_the_loops(rng, size):
    v = reference.random_spins(rng, 20, size)
    assert energy(v).dtype == np.float64
    np.testing.assert_allclose(energy(v), [reference.energy(one) for one in v], rtol=0, atol=1e-14)
    np.testing.assert_allclose(magnetisation(v), [sum(map(int, one.ravel())) / size**2 for one in v], atol=1e-14)


def test_energy_of_known_states():
    up = np.ones((1, 16, 16), np.int8)
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 2 - 1).astype(np.int8)[None]
    one = up.copy()
    one[0, 3, 5] = -1
    assert energy(up).item() == -2.0
    assert energy(board).item() == 2.0
    assert energy(one).item() == -2.0 + 8.0 / 256  # four bonds turned over
    assert (magnetisation(up).item(), magnetisation(board).item(), magnetisation(one).item()) == (1.0, 0.0, 1 - 2 / 256)


def test_sums_beyond_int8_do_not_overflow():
    assert magnetisation(-np.ones((1, 64, 64), np.int8)).item() == -1.0
    assert energy(-np.ones((1, 64, 64), np.int8)).item() == -2.0


def test_temperature_and_coupling():
    model = ising(8, 2.0)
    assert (model.size, model.coupling, model.temperature, model.is_critical) == (8, 0.5, 2.0, False)
    assert ising(8, 0.0).coupling == math.inf
    assert ising(8, 0.0).temperature == 0.0
    assert ising(8, math.inf).coupling == 0.0
    assert ising(8, math.inf).temperature == math.inf


def test_the_critical_temperature():
    assert pytest.approx(2 / math.log1p(math.sqrt(2)), rel=1e-15) == rg.CRITICAL_TEMPERATURE
    assert ising(8, rg.CRITICAL_TEMPERATURE).is_critical
    assert ising(8, rg.CRITICAL_TEMPERATURE) == ising(8, math.nextafter(rg.CRITICAL_TEMPERATURE, 3.0))
    assert not ising(8, 2.269).is_critical


@pytest.mark.parametrize(
    ("size", "nearest"),
    [(7, 8), (5, 6), (2, 4), (0, 4), (-8, 4), (True, 4), (8.5, 10), (8.0, 8), (math.nan, 4), (math.inf, 4)],
)
def test_sizes_that_are_refused(size, nearest):
    with pytest.raises(InputError, match=rf"size = {size}: .*even whole number ≥ 4; try {nearest}$"):
        ising(size, 2.0)


@pytest.mark.parametrize("temperature", [-1.0, -1e-300, -math.inf, math.nan])
def test_temperatures_that_are_refused(temperature):
    with pytest.raises(InputError, match=rf"temperature = {temperature}: must be between 0 and infinity"):
        ising(8, temperature)
