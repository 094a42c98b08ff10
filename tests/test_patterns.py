"""What pictures look like: against constructed pictures, loops, and the block spins' known values."""

import math

import closed_forms
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgstep as rg
from rgstep import patterns
from rgstep.correlators import Means, measure
from rgstep.estimates import grouped_mean
from rgstep.exact import torus
from rgstep.ising import energy
from rgstep.lattice import shells

# --- participation ratio


def tile(size, block=2, value=1.0, corner=(0, 0)):
    picture = np.zeros((size, size))
    picture[:block, :block] = value
    return np.roll(picture, corner, axis=(0, 1))


def test_participation_of_a_tile_is_its_area():
    pictures = np.stack([tile(8), -0.3 * tile(8, 3), tile(8, 1), np.full((8, 8), 0.7)]).reshape(4, -1)
    np.testing.assert_allclose(patterns.participation_ratio(pictures), [4, 9, 1, 64])


def test_participation_of_an_empty_picture_is_zero():
    np.testing.assert_array_equal(patterns.participation_ratio(np.zeros((2, 16))), [0, 0])


def test_participation_of_noise_is_a_third_of_the_sites(rng):
    ratio = patterns.participation_ratio(rng.standard_normal((400, 1024))) / 1024
    # ⟨(Σx²)²/Σx⁴⟩/N = ⅓ (1 + O(1/N)); the standard error is the measured spread over 400 rows
    assert abs(ratio.mean() - 1 / 3) < 5 * ratio.std() / 20 + 3 / 1024
    assert ratio.std() / 20 < 0.002


# --- masks


def naive_masks(size, block):
    """Own block, sites one step from it, sites farthest from its centre, from distances to every site of the block."""
    coarse = size // block
    own, adjacent, farthest = (np.zeros((coarse, coarse, size, size), bool) for _ in range(3))

    def step(a, b):
        return min(abs(a - b), size - abs(a - b))

    for X in range(coarse):
        for Y in range(coarse):
            inside = [(X * block + i, Y * block + j) for i in range(block) for j in range(block)]
            centre = [c * block + (block - 1) / 2 for c in (X, Y)]
            distance = np.zeros((size, size))
            for x in range(size):
                for y in range(size):
                    if (x, y) in inside:
                        own[X, Y, x, y] = True
                    elif any(step(x, i) + step(y, j) == 1 for i, j in inside):
                        adjacent[X, Y, x, y] = True
                    distance[x, y] = math.hypot(step(x, centre[0]), step(y, centre[1]))
            farthest[X, Y] = distance > distance.max() - 1e-9
    return [m.reshape(coarse**2, size**2) for m in (own, adjacent, farthest)]


@pytest.mark.parametrize(("size", "block"), [(8, 2), (4, 2), (6, 3), (6, 2), (8, 4), (6, 1)])
def test_masks_by_distance(size, block):
    for mask, expected in zip(patterns.block_masks(size, size // block), naive_masks(size, block), strict=True):
        np.testing.assert_array_equal(mask, expected)


def test_masks_of_two_by_two_blocks_have_4_8_4_sites():
    masks = patterns.block_masks(8, 4)
    for mask, count in zip(masks, (4, 8, 4), strict=True):
        np.testing.assert_array_equal(mask.sum(axis=1), count)
    assert not (masks.own_block & masks.adjacent).any()
    np.testing.assert_array_equal(masks.own_block.sum(axis=0), 1)  # the blocks tile the lattice


# --- centroid


@given(st.integers(0, 7), st.integers(0, 7))
def test_centroid_follows_a_shifted_blob(row, column):
    """A 2×2 tile at (row, column) has its centre half a site further, across the boundary too."""
    place = patterns.centroid(-3 * tile(8, corner=(row, column))[None])[0]
    away = (place - np.array([row + 0.5, column + 0.5]) + 4) % 8 - 4
    np.testing.assert_allclose(away, 0, atol=1e-9)
    assert ((place >= 0) & (place < 8)).all()


def test_centroid_axes_are_row_and_column():
    picture = np.zeros((1, 6, 6))
    picture[0, 1, 4] = -1.0
    np.testing.assert_allclose(patterns.centroid(picture), [[1, 4]], atol=1e-12)


# --- spatial correlators


def naive_correlator(picture):
    size = len(picture)
    c = np.zeros((size, size))
    for dx in range(size):
        for dy in range(size):
            c[dx, dy] = (picture * np.roll(picture, (-dx, -dy), axis=(0, 1))).sum()
    return c / c[0, 0]


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("size", [4, 5, 6])
def test_spatial_correlator_is_the_sum_over_sites(rng, size, subtract):
    pictures = rng.standard_normal((3, size, size)) + 0.5
    means = subtract * pictures.mean(axis=(1, 2), keepdims=True)
    expected = np.mean([naive_correlator(p) for p in pictures - means], axis=0)
    np.testing.assert_allclose(patterns.spatial_correlator(pictures, subtract), expected, atol=1e-12)


@pytest.mark.parametrize("subtract", [False, True])
def test_spatial_correlator_does_not_see_place_sign_or_scale(rng, subtract):
    pictures = rng.standard_normal((3, 6, 6)) + 0.5
    reference = patterns.spatial_correlator(pictures, subtract)
    moved = np.stack([2 * np.roll(pictures[0], (2, 5), (0, 1)), -pictures[1], 0.1 * pictures[2]])
    np.testing.assert_allclose(patterns.spatial_correlator(moved, subtract), reference, atol=1e-12)
    assert reference[0, 0] == pytest.approx(1)
    np.testing.assert_allclose(reference, np.roll(reference[::-1, ::-1], (1, 1), (0, 1)), atol=1e-12)  # C(d) = C(−d)


def test_pooled_correlator_weighs_by_contrast(rng):
    """Σ_a C_a(d) / Σ_a C_a(0): a picture a hundred times weaker does not count."""
    pictures = rng.standard_normal((2, 6, 6))
    c = [naive_correlator(p) * (p**2).sum() for p in pictures]
    pooled = patterns.spatial_correlator(pictures, False, pooled=True)
    np.testing.assert_allclose(pooled, sum(c) / sum(x[0, 0] for x in c), atol=1e-12)
    weak = pictures * np.array([1, 0.01])[:, None, None]
    np.testing.assert_allclose(
        patterns.spatial_correlator(weak, False, pooled=True), naive_correlator(pictures[0]), atol=1e-3
    )


def test_a_plain_correlator_of_a_flat_picture_is_one():
    np.testing.assert_allclose(patterns.spatial_correlator(np.full((2, 4, 4), 0.3), False), 1)


@pytest.mark.parametrize("pictures", [np.full((2, 4, 4), 0.3), np.zeros((2, 4, 4)), np.full((2, 6, 6), 0.1)])
@pytest.mark.parametrize("pooled", [False, True])
def test_pictures_without_contrast_have_no_correlator(pictures, pooled):
    """0/0 is not a number; neither rounding noise divided by itself nor a warning may come of it."""
    correlator = patterns.spatial_correlator(pictures, True, pooled)
    assert correlator.shape == pictures.shape[1:]
    assert np.isnan(correlator).all()


def test_flat_pictures_do_not_enter_the_average(rng):
    contrast = rng.standard_normal((1, 6, 6))
    both = np.concatenate([contrast, np.full((1, 6, 6), 0.1)])
    np.testing.assert_allclose(
        patterns.spatial_correlator(both, True), patterns.spatial_correlator(contrast, True), atol=1e-12
    )


def test_correlator_by_distance_averages_shells(rng):
    pictures = rng.standard_normal((2, 4, 4))
    full, grid = patterns.spatial_correlator(pictures, True), shells(4)
    curve = patterns.correlator_by_distance(pictures, True)
    for i, r in enumerate(grid.distance):
        at = [full[x, y] for x in range(4) for y in range(4) if math.hypot(min(x, 4 - x), min(y, 4 - y)) == r]
        assert curve[i] == pytest.approx(np.mean(at))


# --- momentum spectrum


def test_momentum_spectrum_obeys_parseval(rng):
    """Σ_k P(k) = Σ_x W²: the shells' means times their sizes."""
    weights = rng.standard_normal((5, 6, 6))
    counts = np.bincount(shells(6).index.ravel())
    total = (patterns.momentum_spectrum(weights) * counts).sum()
    assert total == pytest.approx((weights**2).sum() / 5)


def test_momentum_spectrum_of_one_mode():
    """cos(2π·2x/8) has its power N/4 at each of k = (±2, 0), one half of the shell |k| = 2 each way."""
    wave = np.cos(2 * np.pi * 2 * np.arange(8) / 8)[:, None] * np.ones(8)
    spectrum = patterns.momentum_spectrum(wave[None])
    expected = np.where(shells(8).distance == 2, 64 / 4 / 2, 0)
    np.testing.assert_allclose(spectrum, expected, atol=1e-12)


def test_momentum_spectrum_of_noise_is_flat(rng):
    spectrum = patterns.momentum_spectrum(rng.standard_normal((2000, 4, 4)))
    counts = np.bincount(shells(4).index.ravel())
    np.testing.assert_allclose(spectrum, 1, atol=5 * np.sqrt(2 / 2000 / counts.min()))


# --- statistics


def constructed(vh, v, h, hh, mm):
    return Means(*(np.asarray(x, float) for x in (vh, v, h, hh, mm)))


def test_statistics_of_constructed_means():
    vh = np.array([[0.5, -0.1, 0.2, 0.2], [-0.4, -0.4, -0.4, -0.4], [0.0, 0.0, 0.0, 0.0]])
    means = constructed(vh, [0.0] * 4, [0.0] * 3, [1.0, 0.25, 0.0], 4.0)
    each = patterns.statistics(means)
    np.testing.assert_allclose(each["mean"], [0.2, -0.4, 0])
    np.testing.assert_allclose(each["sd"], [np.sqrt((0.09 + 0.09) / 4), 0, 0], atol=1e-12)
    np.testing.assert_allclose(each["range"], [0.6, 0, 0], atol=1e-12)
    np.testing.assert_allclose(each["sign"], [1, -1, 0])
    np.testing.assert_allclose(each["peak_over_background"], [2.5, 1, 0])
    np.testing.assert_allclose(each["participation"], [0.34**2 / (0.5**4 + 0.1**4 + 2 * 0.2**4), 4, 0])
    np.testing.assert_allclose(each["correlation_m"], [0.8 / 2, -1.6 / 1, 0])
    both = patterns.summary(means)
    assert both["pattern_mean_abs"] == pytest.approx(0.2)
    assert both["pattern_range"] == pytest.approx(0.2)
    assert both["participation_vh"] == pytest.approx(np.median(each["participation"]))
    assert both["correlation_m_abs"] == pytest.approx(2 / 3)


def test_correlation_with_m_is_pearsons(rng):
    """Of h = sign M with sign M, and of anything else: against np.corrcoef; connected, so a bias does not enter."""
    v = (2 * (rng.random((500, 4, 4)) < 0.6) - 1).astype(np.int8)
    m = v.sum(axis=(1, 2))
    h = np.stack([np.sign(m), -2.0 * m + 7, rng.standard_normal(500) + 3, np.full(500, 1.0)], axis=1)
    measured = patterns.statistics(measure(v, h).all())["correlation_m"]
    expected = [np.corrcoef(h[:, a], m)[0, 1] for a in range(3)]
    np.testing.assert_allclose(measured[:3], expected, atol=1e-6)
    assert measured[1] == pytest.approx(-1, abs=1e-6)
    assert measured[3] == 0


def test_over_masks_averages_over_units_and_sites(rng):
    vh = rng.standard_normal((16, 64))
    means = constructed(vh, np.zeros(64), np.zeros(16), np.ones(16), 64.0)
    for (name, value), mask in zip(
        patterns.over_masks(means, patterns.block_masks(8, 4)).items(), naive_masks(8, 2), strict=True
    ):
        assert value == pytest.approx(vh[mask].mean()), name


# --- block spins


def test_average_own_block_is_that_of_its_own_samples(critical8):
    """(1 + 2⟨nn⟩ + ⟨diagonal⟩)/4 with both read inside the blocks of the same samples: exactly."""
    tiles = critical8.spins.astype(float).reshape(-1, 4, 2, 4, 2)
    nn = np.mean([(tiles[:, :, 0] * tiles[:, :, 1]).mean(), (tiles[..., 0] * tiles[..., 1]).mean()])
    diagonal = np.mean(
        [(tiles[:, :, 0, :, i] * tiles[:, :, 1, :, 1 - i]).mean() for i in (0, 1)],
    )
    own = patterns.over_masks(measure(critical8, rg.Average()).all(), patterns.block_masks(8, 4))["own_block"]
    assert own == pytest.approx(closed_forms.average_own_block(nn, diagonal), abs=1e-6)
    assert own != pytest.approx(closed_forms.average_own_block(1.01 * nn, diagonal), abs=1e-6)


# L = 32, periodic, T_c: figures measured elsewhere, with a tolerance for their last digit and our noise. The average's
# own block was quoted as 0.770(1); Kaufman's energy and the measured diagonal give 0.7711, so a band of 0.001 would cut
# the true value and 0.002 is used. The tight check of that number is the one against Kaufman below.
P1 = {
    "majority": {"own_block": (0.8205, 0.0010), "adjacent": (0.695, 0.002), "farthest": (0.470, 0.006)},
    "average": {"own_block": (0.770, 0.0020), "adjacent": (0.642, 0.002), "farthest": (0.433, 0.006)},
}


@pytest.mark.slow
def test_block_spins_at_the_critical_point_show_one_blob_each():
    """P1: ⟨v h⟩ in, beside and far from the own block, and the average's own block against Kaufman's energy."""
    ensemble = rg.sample(size=32, samples=20_000, seed=11)
    masks = patterns.block_masks(32, 16)
    measured = {}
    for name, rule in (("majority", rg.Majority()), ("average", rg.Average())):
        moments = measure(ensemble, rule)
        measured[name] = moments.estimates(lambda means: patterns.over_masks(means, masks))
        for quantity, (value, tolerance) in P1[name].items():
            assert float(measured[name][quantity].value) == pytest.approx(value, abs=tolerance), (name, quantity)
    spins = ensemble.spins
    diagonals = [(spins * np.roll(spins, (1, step), axis=(1, 2))).mean(axis=(1, 2)) for step in (1, -1)]
    diagonal = grouped_mean(np.mean(diagonals, axis=0))
    nn = grouped_mean(-energy(spins) / 2)
    expected = closed_forms.average_own_block(torus.nn_correlation(32, ensemble.system.coupling), float(diagonal.value))
    own = measured["average"]["own_block"]
    # The diagonal is read from the same samples and all sites, so what is left is mostly the noise of nn: (2/4) σ.
    error = math.hypot(float(nn.error) / 2, float(own.error) / 4)
    assert abs(float(own.value) - expected) < 3 * error
    assert abs(float(own.value) - closed_forms.AVERAGE_OWN_BLOCK) > 3 * error  # the infinite lattice's value is another
