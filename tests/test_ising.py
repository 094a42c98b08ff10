"""Energy and magnetisation against loops; what the model knows exactly against enumeration; what it accepts."""

import math

import closed_forms
import enumeration
import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep.arguments import InputError
from rgstep.exact import torus
from rgstep.ising import CRITICAL_COUPLING, LARGEST_COUNTED, M2_AMPLITUDE, Ising, energy, ising, magnetisation


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


@pytest.mark.parametrize(("size", "critical"), [(4, True), (16, True), (64, True), (128, False), (1024, False)])
def test_what_a_lattice_cannot_tell_from_critical_is_critical(size, critical):
    """T = 2.269, which most codes type: t = 8.2e-5, and t L is 0.0052 at L = 64."""
    model = ising(size, 2.269)
    assert model.is_critical is critical
    assert model.critical_distance == pytest.approx(8.16e-5 * size, rel=1e-3)
    assert ising(size, rg.CRITICAL_TEMPERATURE).critical_distance == 0.0
    assert not ising(size, 2.27).is_critical or size <= 27  # t = 3.6e-4
    assert not ising(size, 2.3).is_critical  # the twin: t = 0.0136


def test_no_lattice_is_critical_at_the_ends():
    for temperature, distance in ((0.0, 1.0), (math.inf, math.inf)):
        assert ising(4, temperature).critical_distance == 4 * distance
        assert not ising(4, temperature).is_critical


# --- what the model knows


@pytest.mark.parametrize("temperature", [1.5, rg.CRITICAL_TEMPERATURE, 5.0])
def test_the_thermodynamics_of_the_torus_by_enumeration(temperature):
    """ln Z, u, its variance, c, ⟨nn⟩ and ⟨|m|⟩ from all 65536 states of side 4; those of another T are others."""
    model, other = ising(4, temperature), ising(4, 1.05 * temperature)
    v, p = enumeration.states(4), enumeration.probabilities(4, model.coupling)
    e, m = energy(v), magnetisation(v)
    variance = p @ (e - p @ e) ** 2
    neighbours = (v * np.roll(v, 1, axis=1)).mean(axis=(1, 2))
    for name, expected in {
        "log_partition": math.log(np.exp(-16 * model.coupling * e).sum()),
        "energy": p @ e,
        "energy_variance": variance,
        "specific_heat": model.coupling**2 * 16 * variance,
        "nn_correlation": p @ neighbours,
        "mean_abs_m": p @ np.abs(m),
    }.items():
        assert getattr(model, name) == pytest.approx(expected, rel=1e-9), name
        assert getattr(other, name) != pytest.approx(expected, rel=1e-3), name


def test_known_numbers_of_large_lattices():
    """Kaufman's u and c at L = 32, T_c (mpmath, 40 digits); ⟨|m|⟩ at L = 8."""
    model = ising(32, rg.CRITICAL_TEMPERATURE)
    assert model.energy == pytest.approx(-1.4336584661462, abs=1e-12)
    assert model.nn_correlation == pytest.approx(1.4336584661462 / 2, abs=1e-12)
    assert model.specific_heat == pytest.approx(1.846767590040, abs=1e-10)
    assert model.energy_variance == pytest.approx(1.846767590040 / (32 * model.coupling) ** 2, rel=1e-10)
    assert model.log_partition == pytest.approx(952.6480795485427, rel=1e-14)
    assert ising(8, rg.CRITICAL_TEMPERATURE).mean_abs_m == pytest.approx(0.7773310928, abs=1e-10)


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_the_ends_of_the_temperature_axis(temperature):
    model = ising(6, temperature)
    ordered = temperature == 0
    assert (model.energy, model.nn_correlation) == ((-2.0, 1.0) if ordered else (0.0, 0.0))
    assert model.specific_heat == 0
    assert model.energy_variance == pytest.approx(0 if ordered else 2 / 36)
    walk = sum(math.comb(36, k) * abs(36 - 2 * k) for k in range(37)) / 2**36 / 36
    assert model.mean_abs_m == pytest.approx(1 if ordered else walk)


def test_the_mean_magnetisation_is_known_up_to_side_eight():
    assert LARGEST_COUNTED == 8
    assert ising(8, 2.0).mean_abs_m == torus.magnetisation_moments(8, 0.5).abs_m
    assert ising(10, 2.0).mean_abs_m is None


def test_the_shape_of_the_two_point_function_is_that_of_the_torus():
    x = np.linspace(0.1, 0.9, 5)
    found = Ising.two_point_shape(x[:, None], x)
    np.testing.assert_array_equal(found, torus.two_point_shape(x[:, None], x))
    assert ising(8, 2.0).two_point_shape(0.5, 0.0) / Ising.two_point_shape(0.5, 0.5) == pytest.approx(1.02437, abs=5e-6)


def test_the_numbers_of_the_fixed_point():
    """Onsager, Yang, Kamieniarz and Blöte; the ties of 2×2 blocks from Kaufman and Onsager's short distances."""
    assert (Ising.Y_T, Ising.Y_H, Ising.DELTA_SIGMA, Ising.DELTA_EPSILON) == (1, 15 / 8, 1 / 8, 1)
    assert Ising.BINDER == 0.61069
    assert pytest.approx(closed_forms.TIE_PROBABILITY, rel=1e-14) == Ising.TIES
    assert pytest.approx(0.0853099, abs=5e-8) == Ising.TIES


def test_exponents_and_binder_are_those_of_exact_small_tori():
    """From 4 to 8 sites ⟨m²⟩ falls as L^(−2Δ_σ) and U₄ nears its limit; c grows by as much at each doubling, y_t = 1.

    Off T_c, the twin, neither holds.
    """
    falls, steps = [], []
    for coupling in (1 / rg.CRITICAL_TEMPERATURE, 0.9 / rg.CRITICAL_TEMPERATURE):
        small, large = (torus.magnetisation_moments(size, coupling) for size in (4, 8))
        falls.append(-math.log2(large.m2 / small.m2) - 2 * Ising.DELTA_SIGMA)
        c = [Ising(size, coupling).specific_heat for size in (32, 64, 128)]
        steps.append((c[2] - c[1]) / (c[1] - c[0]) - 1)
        if coupling == 1 / rg.CRITICAL_TEMPERATURE:
            assert 0 < large.binder - Ising.BINDER < 0.003
    assert abs(falls[0]) < 0.02 < 0.1 < abs(falls[1])
    assert abs(steps[0]) < 0.01 < 0.1 < abs(steps[1])


# --- what it accepts


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


def test_m2_at_criticality(monkeypatch):
    """The formula against the exact law at L = 8 and 10, at T_c and beside it; without E or the slope it is wrong."""
    monkeypatch.setattr("rgstep.ising.LARGEST_COUNTED", 4)
    for size, t in ((8, 0.0), (8, 9e-4), (10, 0.0), (10, -9e-4)):
        model = Ising(size, CRITICAL_COUPLING / (1 + t))
        exact = torus.magnetisation_moments(size, model.coupling).m2
        assert model.critical_m2 == pytest.approx(exact, rel=1e-4)
        assert model.critical_m2 != pytest.approx(exact, rel=1e-6)
    assert ising(10, 2.3).critical_m2 is None
    monkeypatch.setattr("rgstep.ising.M2_CORRECTION", 0.0)
    assert model.critical_m2 != pytest.approx(exact, rel=5e-4)


def test_m2_of_small_lattices_is_exact():
    model = ising(4, 2.269)
    v, p = enumeration.states(4), enumeration.probabilities(4, model.coupling)
    assert model.critical_m2 == pytest.approx(p @ magnetisation(v) ** 2, rel=1e-9)


def test_the_amplitude_of_m2_is_the_mean_of_the_torus_function():
    """Midpoint sums, extrapolated by the r^(−1/4) at the origin; 0.70338 = e^(1/4) 2^(1/12) A^(−3), A Glaisher's."""
    means = []
    for sites in (128, 256):
        x = (np.arange(sites) + 0.5) / sites
        means.append(Ising.two_point_shape(*np.meshgrid(x, x)).mean())
    mean = (2**1.75 * means[1] - means[0]) / (2**1.75 - 1)
    assert 0.70338016 * mean == pytest.approx(M2_AMPLITUDE, abs=1e-5)
    assert float(Ising.two_point_shape(1e-5, 0.0)) * 1e-5**0.25 == pytest.approx(1.0, abs=1e-5)
