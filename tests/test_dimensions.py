"""Δ_σ and Δ_ε: the torus function of the energy against exact energies, fits against known functions and samples."""

import math

import numpy as np
import pytest

import rgstep as rg
from rgstep import dimensions
from rgstep.estimates import estimated
from rgstep.exact import torus
from rgstep.instruments.two_point import distances
from rgstep.ising import CRITICAL_COUPLING, Ising

LATTICE_UNIT = (
    2 / math.pi
)  # of the energy per site in units of the fermions' ε: ⟨ε ε⟩ of a bond is (1/πr)² (Hecht 1967)


# --- the torus function of the energy


def test_near_the_origin_it_is_that_of_the_plane():
    z = np.array([1e-3, 2e-3])
    for row, column in ((z, 0 * z), (0 * z, z), (z, z)):
        F = torus.energy_two_point_shape(row, column, connected=False)
        np.testing.assert_allclose(F * (row**2 + column**2), 1, rtol=1e-4)


def test_it_has_the_symmetries_of_the_square_torus():
    x, y = 0.17, 0.31
    images = [(x, y), (y, x), (-x, y), (x + 1, y - 2), (1 - y, x)]
    values = [float(torus.energy_two_point_shape(*image)) for image in images]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_it_is_built_of_weierstrass_functions():
    """S_ν² = ℘ − e_ν, ℘ by its lattice sum; at half a period the ν of that period does not count."""
    n = np.arange(-60, 61)
    lattice = (n[:, None] + 1j * n).ravel()
    lattice = lattice[lattice != 0]

    def weierstrass(z):
        return 1 / z**2 + (1 / (z - lattice) ** 2 - 1 / lattice**2).sum()

    e = [weierstrass(half) for half in (0.5, 0.5 + 0.5j, 0.5j)]  # of ν = 2, 3, 4
    theta = np.abs(torus._thetas(np.zeros((), complex)))[1:]
    for z in (0.2 + 0.1j, 0.5, 0.4 + 0.35j):
        expected = (theta * np.abs(weierstrass(z) - np.array(e))).sum() / theta.sum()
        assert float(torus.energy_two_point_shape(z.imag, z.real, connected=False)) == pytest.approx(expected, rel=1e-3)


def test_its_mean_is_that_of_the_exact_energy():
    """−u − √2 = (2/π) ⟨ε⟩/L, from Kaufman's energy."""
    for L, within in ((16, 2e-3), (64, 1e-4), (256, 1e-5)):
        excess = -torus.energy(L, CRITICAL_COUPLING) - math.sqrt(2)
        assert excess * L / LATTICE_UNIT == pytest.approx(torus.energy_shape(), rel=within)


def test_its_integral_is_that_of_the_exact_specific_heat():
    """N Var u − (2/π)² Σ_d F(d/L)/L² tends to a constant, made at short distance; other amplitudes run off."""

    def rest(L, amplitude=LATTICE_UNIT):
        fraction = np.arange(L) / L
        F = torus.energy_two_point_shape(fraction[:, None], fraction[None, :])
        F[0, 0] = 0
        return Ising(L, CRITICAL_COUPLING).energy_variance * L**2 - amplitude**2 * F.sum() / L**2

    sides = (64, 128, 256)
    step, next_step = np.abs(np.diff([rest(L) for L in sides]))
    assert step < 0.01
    assert step / next_step == pytest.approx(2, abs=0.05)  # a correction of order 1/L
    step, next_step = np.abs(np.diff([rest(L, 1.01 * LATTICE_UNIT) for L in sides]))
    assert next_step > 0.01
    assert step / next_step != pytest.approx(2, abs=0.05)


@pytest.fixture(scope="module")
def critical32():
    return rg.sample(32, samples=12_000, seed=5, mode="thin")


def test_it_is_that_of_samples_amplitude_and_all(critical32):
    """The energies of samples against (1/π)² F/L², nothing fitted; the unconnected function is found out."""
    G = dimensions.correlations(critical32, dimensions.energy_sums, subtracted=True)
    d, fraction = distances(32), np.arange(32) / 32
    for connected in (True, False):
        F = torus.energy_two_point_shape(fraction[:, None], fraction[None, :], connected)
        z = []
        for low, high in ((4, 6), (6, 9), (9, 14), (14, 23)):
            ring = (d >= low) & (d < high)
            measured = estimated(G[:, ring].mean(axis=1))
            z.append((measured.value - F[ring].mean() / (math.pi * 32) ** 2) / measured.error)
        assert bool(max(map(abs, z)) < 3.5) is connected, z


# --- fits


def correlated_sets(side, delta, shape, exact, rng, error=0.01):
    """G of a given Δ for all samples and 64 sets, with independent errors in each displacement, 1 + 64 sets."""
    F = dimensions.torus(shape, side)
    F[0, 0] = 1.0
    G = 2.0 * side ** (-2 * delta) * F ** (delta / exact)
    groups = G * (1 + error * 8 * rng.normal(size=(64, side, side)))  # each of 64 groups
    total = groups.mean(axis=0)
    return np.concatenate([total[None], (64 * total - groups) / 63])


@pytest.mark.parametrize("delta", [0.05, 0.125, 0.3])
def test_any_delta_of_the_spins_is_found(delta, rng):
    G = correlated_sets(16, delta, Ising.two_point_shape, 1 / 8, rng)
    found = dimensions.dimension(
        "σ", G, dimensions.rings_of(16, 2), 1 / 8, dimensions.torus(Ising.two_point_shape, 16), ""
    )
    assert abs(found.estimate.value - delta) < 4 * found.estimate.error
    assert abs(found.amplitude.value - 2) < 4 * found.amplitude.error
    assert found.p > 0.001


def test_errors_of_delta_cover():
    rng, shape = np.random.default_rng(9), dimensions.torus(Ising.energy_two_point_shape, 16)
    rings, z, chi2 = dimensions.rings_of(16, 3), [], []
    for _ in range(60):
        G = correlated_sets(16, 1.0, Ising.energy_two_point_shape, 1.0, rng)
        found = dimensions.dimension("ε", G, rings, 1.0, shape, "")
        z.append((found.estimate.value - 1) / found.estimate.error)
        chi2.append(found.chi2 / found.dof)
    assert abs(np.mean(z)) < 3.5 / math.sqrt(60)
    assert abs(np.mean(np.square(z)) - 1) < 3.5 * math.sqrt(2 / 60) + 0.1  # the covariance is an estimate
    assert np.mean(chi2) == pytest.approx(1, abs=0.3)
    wrong = dimensions.dimension("ε", G, rings, 1.0, dimensions.torus(Ising.two_point_shape, 16), "")  # the twin
    assert wrong.remark == "no power of the distance fits its correlation"


def test_critical_spins_and_their_blocks_have_both_dimensions(critical32):
    h = rg.Majority().sample_h(critical32.unpack(), np.random.default_rng(0))
    for field in (critical32, h):
        found = rg.scaling_dimensions(field)
        for each, largest in ((found.sigma, 0.005), (found.epsilon, 0.08)):
            assert abs(each.estimate.value - each.exact) < 4 * each.estimate.error
            assert each.estimate.error < largest
            assert each.p > 1e-4
    assert "Δ_ε = " in str(found)


def test_a_random_tiling_and_shuffled_sites_have_neither(critical32):
    v = critical32.unpack()
    shuffled = np.random.default_rng(0).permuted(v.reshape(len(v), -1), axis=1).reshape(v.shape)
    for field in (rg.RandomTiling().sample_h(v, np.random.default_rng(0)), shuffled):
        found = rg.scaling_dimensions(field)
        assert abs(found.sigma.estimate.value) < 0.01
        assert "not that of critical spins" in found.epsilon.remark
        assert math.isnan(found.epsilon.estimate.error)
        assert found.to_dict()["epsilon"]["error"] is None


def test_independent_spins_have_nothing_to_fit():
    found = rg.scaling_dimensions(rg.sample(16, math.inf, 2_000, seed=1))
    for each in (found.sigma, found.epsilon):
        assert math.isnan(each.estimate.value)
        assert "nowhere 4 standard errors above 0" in each.remark
        assert "T = inf is not critical" in each.remark
    same = rg.scaling_dimensions(np.ones((640, 16, 16), np.int8))
    assert same.sigma.remark == "all samples are alike"


@pytest.mark.parametrize(
    ("field", "nearest", "says"),
    [
        (np.ones((639, 8, 8)), None, "field has 639 samples"),
        (np.ones((640, 64)), None, "rows = columns"),
        (np.ones((640, 4, 4)), 2, "field of side 4 has 2 rings"),
        (np.ones((640, 8, 8)), 0.5, "nearest = 0.5: must be a distance of at least 1"),
    ],
)
def test_bad_fields_are_refused(field, nearest, says):
    with pytest.raises(rg.InputError, match=says):
        rg.scaling_dimensions(field, nearest)
