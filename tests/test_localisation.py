"""Localisation of weights: against pictures whose extent and place are known, and under shifts of the lattice."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgstep as rg
from rgstep import RBM, InputError, jobs, untrained_rbm
from rgstep.battery import about
from rgstep.lattice import shells
from rgstep.nets import localisation as module
from rgstep.nets.assessment import stored_assessment
from rgstep.nets.localisation import (
    Localisation,
    localisation,
    localisation_curves,
    participation_ratio,
)
from rgstep.patterns import momentum_spectrum

compiled = jax.jit(localisation_curves)
CORNERS = [(0.0, 0.0), (15.6, 0.3), (7.5, 15.9), (3.25, 8.0)]


def uniform_spread(size: int) -> float:
    """Return the spread of equal weights on all sites, about a site: √((L² + 2)/6) for even L, √((L² − 1)/6) for odd.

    At L = 32 it is 13.08.
    """
    return math.sqrt((size**2 + 2 if size % 2 == 0 else size**2 - 1) / 6)


def spectrum(rbm):
    """|k| and the power per mode of the weights."""
    size = int(rbm.visible**0.5)
    return shells(size).distance, momentum_spectrum(rbm.weights.astype(float).T.reshape(-1, size, size))


def network(pictures):
    """An RBM whose unit a has the picture `(unit, row, column)` for weights."""
    w = np.asarray(pictures, float).reshape(len(pictures), -1).T
    return RBM(w, np.zeros(len(w)), np.zeros(w.shape[1]))


def site(size, row, column, value=1.0):
    picture = np.zeros((size, size))
    picture[row, column] = value
    return picture


def blob(size, centre, width):
    """W with W² a Gaussian of the given width (standard deviation along an axis) about a centre, wrapped round."""
    squares = 1.0
    for c in centre:
        images = np.arange(size)[:, None] + size * np.arange(-3, 4) - c
        squares = np.multiply.outer(squares, np.exp(-(images**2) / (2 * width**2)).sum(axis=1))
    return np.sqrt(squares)


def apart(one, other, size):
    """The shortest distance on the torus between two places."""
    step = np.abs(np.asarray(one) - np.asarray(other)) % size
    return np.hypot(*np.minimum(step, size - step).T)


def brute_force(picture):
    """Participation, centroid, resultant and spread of one picture, site by site."""
    size = len(picture)
    total = fourth = 0.0
    phasor = [0j, 0j]
    for x in np.ndindex(size, size):
        total += picture[x] ** 2
        fourth += picture[x] ** 4
        for axis in (0, 1):
            phasor[axis] += picture[x] ** 2 * np.exp(2j * np.pi * x[axis] / size)
    centre = [np.angle(z) * size / (2 * np.pi) % size for z in phasor]
    spread = sum(picture[x] ** 2 * apart(x, centre, size) ** 2 for x in np.ndindex(size, size)) / total
    return total**2 / fourth, centre, min(abs(z) for z in phasor) / total, np.sqrt(spread)


# --- pictures whose answer is known


@pytest.mark.parametrize(("row", "column", "value"), [(0, 0, 1.0), (7, 0, -3.0), (5, 6, 1e-25), (2, 7, 1e20)])
def test_one_site_has_participation_1_and_no_spread(row, column, value):
    """Whatever its size: squares and fourth powers of float32 would leave their range."""
    found = localisation(network([site(8, row, column, value)]))
    np.testing.assert_allclose(found.participation, 1, rtol=1e-12)
    assert apart(found.centroid, [(row, column)], 8) == pytest.approx(0, abs=1e-12)
    assert ((found.centroid >= 0) & (found.centroid < 8)).all()
    np.testing.assert_allclose(found.resultant, 1, rtol=1e-12)
    np.testing.assert_allclose(found.spread, 0, atol=1e-12)
    assert float(compiled(network([site(8, row, column, value)]).parameters)["participation_w"]) == pytest.approx(1)


@pytest.mark.parametrize("size", [4, 5, 8, 32])
def test_equal_weights_have_participation_n_and_the_uniform_spread(size):
    found = localisation(network([np.full((size, size), -0.3)]))
    step = np.minimum(np.arange(size), size - np.arange(size))
    expected = np.sqrt((step[:, None] ** 2 + step[None, :] ** 2).mean())
    np.testing.assert_allclose(found.participation, size**2, rtol=1e-12)
    np.testing.assert_allclose(found.resultant, 0, atol=1e-12)
    np.testing.assert_array_equal(found.centroid, 0)
    np.testing.assert_allclose(found.spread, expected, rtol=1e-12)
    assert uniform_spread(size) == pytest.approx(expected, rel=1e-12)


def test_a_two_by_two_block_across_the_corner():
    picture = np.roll(np.pad(np.ones((2, 2)), (0, 6)), (-1, -1), axis=(0, 1))
    found = localisation(network([picture]))
    assert found.participation[0] == pytest.approx(4)
    np.testing.assert_allclose(found.centroid, [[7.5, 7.5]], atol=1e-9)
    assert found.spread[0] == pytest.approx(np.sqrt(0.5))


def test_a_row_of_sites_has_a_row_but_no_column():
    """The resultant is the smaller of the two axes': a stripe is not localised."""
    stripe = np.zeros((8, 8))
    stripe[3] = 1
    found = localisation(network([stripe]))
    np.testing.assert_allclose(found.centroid, [[3, 0]], atol=1e-9)
    np.testing.assert_allclose(found.resultant, 0, atol=1e-12)


@pytest.mark.parametrize("centre", CORNERS)
@pytest.mark.parametrize("width", [1.2, 1.6])
def test_a_blob_across_the_boundary_has_its_centre_and_width(centre, width):
    """W² a wrapped Gaussian: its Fourier coefficients are those of the Gaussian, spread √2 s, |z| = exp(−(2πs/L)²/2).

    Sums over sites stand for integrals, to within the coefficient of W⁴ at 2π: 2 exp(−(2πs)²/4) < 2e-6.
    """
    size = 16
    found = localisation(network([blob(size, centre, width)]))
    assert apart(found.centroid, [centre], size)[0] < 1e-4
    assert found.spread[0] == pytest.approx(np.sqrt(2) * width, rel=1e-4)
    assert found.resultant[0] == pytest.approx(np.exp(-((2 * np.pi * width / size) ** 2) / 2), rel=1e-5)
    expected_participation = 4 * np.pi * width**2  # (∫g)² / ∫g² of a Gaussian g in the plane
    assert found.participation[0] == pytest.approx(expected_participation, rel=1e-5)


@pytest.mark.parametrize("centre", [c for c in CORNERS if max(c) > 15 or min(c) < 1])
def test_without_the_torus_the_blob_is_misplaced(centre):
    """The twin: the plain mean of the coordinates, and distances that do not wrap, fail at the boundary."""
    size, width = 16, 1.5
    share = blob(size, centre, width) ** 2
    share /= share.sum()
    place = np.arange(size)
    plain = np.array([share.sum(axis=1) @ place, share.sum(axis=0) @ place])
    squared = (place[:, None] - plain[0]) ** 2 + (place[None, :] - plain[1]) ** 2
    assert apart(plain, centre, size) > 1
    assert np.sqrt((share * squared).sum()) > 1.2 * np.sqrt(2) * width


@pytest.mark.parametrize("size", [4, 5, 8])
def test_noise_against_a_loop_over_sites(rng, size):
    pictures = rng.standard_normal((5, size, size)).astype(np.float32).astype(float)
    found = localisation(network(pictures))
    for a, picture in enumerate(pictures):
        participation, centre, resultant, spread = brute_force(picture)
        assert found.participation[a] == pytest.approx(participation, rel=1e-10)
        assert apart(found.centroid[a], centre, size) < 1e-8
        assert found.resultant[a] == pytest.approx(resultant, abs=1e-12)
        assert found.spread[a] == pytest.approx(spread, rel=1e-8)


def test_a_unit_without_weights_has_zeros():
    found = localisation(network([np.zeros((4, 4)), site(4, 1, 1)]))
    for values in (found.participation, found.resultant, found.spread):
        assert values[0] == 0
        assert np.isfinite(values).all()
    assert all(np.isfinite(value) for value in compiled(network(np.zeros((2, 4, 4))).parameters).values())


# --- shifts of the lattice


@given(
    seed=st.integers(0, 2**31), size=st.sampled_from([4, 5, 8]), shift=st.tuples(st.integers(-9, 9), st.integers(-9, 9))
)
def test_a_shift_moves_the_centroid_and_nothing_else(seed, size, shift):
    pictures = np.random.default_rng(seed).standard_normal((3, size, size))
    pictures[1] = blob(size, (seed % size, 0.7), 0.9)
    still, moved = (localisation(network(p)) for p in (pictures, np.roll(pictures, shift, axis=(1, 2))))
    for name in ("participation", "resultant", "spread"):
        np.testing.assert_allclose(getattr(moved, name), getattr(still, name), rtol=1e-7, atol=1e-12)
    clear = still.resultant > 1e-4  # below, the place is decided by rounding
    assert (apart(moved.centroid, still.centroid + shift, size)[clear] < 1e-6).all()
    np.testing.assert_allclose(
        spectrum(network(np.roll(pictures, shift, axis=(1, 2))))[1], spectrum(network(pictures))[1], atol=1e-10
    )


def test_transposing_the_lattice_exchanges_the_coordinates(rng):
    pictures = rng.standard_normal((4, 8, 8))
    still, turned = localisation(network(pictures)), localisation(network(pictures.transpose(0, 2, 1)))
    np.testing.assert_allclose(turned.centroid, still.centroid[:, ::-1], atol=1e-9)
    assert np.abs(still.centroid[:, 0] - still.centroid[:, 1]).min() > 1e-3


# --- untrained networks


def noise_z(inverse, sites):
    """The z-score of the mean of 1/PR against 3/(N + 2), exact for Gaussian noise: W/|W| is uniform on the sphere."""
    return (inverse.mean() - 3 / (sites + 2)) / (inverse.std() / np.sqrt(len(inverse)))


def test_gaussian_weights_take_a_third_of_the_sites():
    found = localisation(untrained_rbm(1024, 400, seed=1))
    assert abs(noise_z(1 / found.participation, 1024)) < 4
    assert found.median_participation == pytest.approx(1024 / 3, rel=0.01)
    assert found.localised == 0
    assert 0.97 < np.median(found.spread) / uniform_spread(32) < 1
    assert np.median(found.resultant) < 0.1


@pytest.mark.parametrize("broken", ["heavier tails", "a place"])
def test_weights_that_are_not_gaussian_are_noticed(broken):
    rbm = untrained_rbm(1024, 400, seed=1)
    w = rbm.weights * (1 + 0.1 * np.abs(rbm.weights / 0.05) if broken == "heavier tails" else 1)
    if broken == "a place":
        w = w * (1 + 0.3 * np.cos(2 * np.pi * np.arange(32) / 32)).repeat(32)[:, None]
    assert abs(noise_z(1 / participation_ratio(w), 1024)) > 4


def test_the_share_of_localised_units_counts_those_below_a_tenth_of_the_sites():
    pictures = [site(8, 0, 0), np.pad(np.ones((2, 3)), ((0, 6), (0, 5))), np.pad(np.ones((1, 7)), ((0, 7), (0, 1)))]
    found = localisation(network(pictures))
    np.testing.assert_allclose(found.participation, [1, 6, 7])
    assert found.localised == pytest.approx(2 / 3)  # N/10 = 6.4
    assert found.median_participation == pytest.approx(6)


# --- spectrum


def test_a_wave_has_its_power_in_its_own_mode():
    """cos(k·x) with k = (3, 4)·2π/L and amplitude 2: N at |k| = 5, shared by the modes of that length."""
    size, x = 16, np.arange(16)
    wave = 2 * np.cos(2 * np.pi / size * (3 * x[:, None] + 4 * x))
    momentum, power = spectrum(network([wave]))
    modes = sum(1 for k in np.ndindex(size, size) if apart(k, (0, 0), size) == pytest.approx(5))
    assert modes == 12
    here = np.isclose(momentum, 5)
    np.testing.assert_allclose(power[here], 2 * size**2 / modes, rtol=1e-6)
    np.testing.assert_allclose(power[~here], 0, atol=1e-9)


def test_the_spectrum_of_noise_is_flat_and_that_of_a_blob_is_not():
    momentum, power = spectrum(untrained_rbm(1024, 256, seed=2, weights_sd=0.05))
    modes = np.array([sum(np.isclose(apart(np.argwhere(np.ones((32, 32))), (0, 0), 32), k)) for k in momentum])
    # |Ŵ|²/N over σ² is a mean of modes·units/2 pairs of squares: relative error √(2/(modes·units)) at most
    z = (power / 0.05**2 - 1) / np.sqrt(2 / (256 * modes))
    assert np.abs(z).max() < 5
    assert momentum[0] == 0
    assert momentum[-1] == pytest.approx(16 * np.sqrt(2))
    assert power @ modes / 1024 == pytest.approx((untrained_rbm(1024, 256, seed=2).weights.astype(float) ** 2).mean())
    _, of_blob = spectrum(network([blob(32, (3, 30), 1.5)]))
    assert of_blob[1] > 1e3 * of_blob[-1]


# --- NumPy and JAX, shapes


@pytest.mark.parametrize(("size", "units"), [(4, 1), (5, 7), (16, 64)])
def test_compiled_readings_are_those_of_numpy(size, units):
    pictures = np.random.default_rng(size).standard_normal((units, size, size))
    pictures[0] = blob(size, (0.2, size - 0.4), 0.8)
    rbm = network(pictures)
    found, read = localisation(rbm), compiled(rbm.parameters)
    assert set(read) == {"participation_w", "participation_w_25", "participation_w_75", "spread_w"}
    for name, share in (("_25", 0.25), ("", 0.5), ("_75", 0.75)):
        assert float(read[f"participation_w{name}"]) == pytest.approx(np.quantile(found.participation, share), rel=1e-5)
    assert float(read["spread_w"]) == pytest.approx(np.median(found.spread), rel=1e-4)


def test_readings_off_the_lattice_are_participation_only():
    rbm = untrained_rbm(24, 6)
    read = compiled(rbm.parameters)
    assert set(read) == {"participation_w", "participation_w_25", "participation_w_75"}
    expected = np.median(participation_ratio(rbm.weights.astype(float)))
    assert float(read["participation_w"]) == pytest.approx(expected, rel=1e-5)
    assert read["participation_w"].dtype == jnp.float32


@pytest.mark.parametrize("function", [localisation])
@pytest.mark.parametrize("visible", [1, 24])
def test_places_need_a_square_lattice(function, visible):
    with pytest.raises(InputError, match=rf"{visible} visible units make no square lattice"):
        function(untrained_rbm(visible, 4))


def test_the_result_is_frozen_with_one_entry_per_unit():
    found = localisation(untrained_rbm(16, 3))
    assert isinstance(found, Localisation)
    assert (found.participation.shape, found.centroid.shape) == ((3,), (3, 2))
    assert (found.resultant.shape, found.spread.shape, found.sites) == ((3,), (3,), 16)
    assert found.spread.dtype == np.float64
    with pytest.raises(AttributeError):
        found.sites = 4


def test_the_centroid_is_rounded_into_the_lattice():
    """A phase of −1e−17 is at 0, not at L."""
    marginal = np.zeros((8, 1))
    marginal[0], marginal[1], marginal[7] = 0.8, 0.1, 0.1 + 1e-17
    assert module.along(marginal, np)[0][0] < 8


# --- the network that comes with the package


def test_the_stored_network_is_localised_assessed_and_says_how_it_was_made():
    stored = rg.load(jobs.LOCALISED_FILE)
    assert (stored.visible, stored.hidden) == (1024, 256)
    assert stored.origin["made_by"].startswith("rgstep sample critical.npz --size 32")
    assert stored_assessment(stored, rg.CRITICAL_TEMPERATURE) is not None
    sites = {name: np.median(participation_ratio(rbm.weights)) for name, rbm in networks_beside(stored).items()}
    assert sites["stored"] < 40 < 200 < sites["untrained"]
    assert "comes with rgstep; made by: rgstep sample" in about(stored)
    assert "comes with" not in about(networks_beside(stored)["untrained"])


def networks_beside(stored):
    """The stored network, and an untrained one as large: the twin."""
    return {"stored": stored, "untrained": rg.untrained_rbm(1024, 256, 0)}


def test_it_is_judged_by_default_where_it_belongs():
    critical = rg.CRITICAL_TEMPERATURE
    assert jobs.LOCALISED in jobs.default_maps(32, critical, 2)
    for other in ((16, critical, 2), (32, 3.0, 2), (32, critical, 4)):
        assert jobs.LOCALISED not in jobs.default_maps(*other)
    with pytest.raises(rg.InputError, match="'localised' is a network of 1024 visible units"):
        rg.compare("out", size=16, maps=["localised"])
