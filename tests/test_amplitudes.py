"""Amplitudes of units that are not alike: found again, and dead units do not spoil the two-point function."""

import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep import results
from rgstep.instruments import two_point
from rgstep.instruments.two_point import amplitudes_by_site, displacements, pair_weights, torus_function, weighted_sums

DEAD = (3, 20, 41)  # units


def decided(row):
    """Return whether the row passes its own criteria at L = 16, b = 2."""
    return results.apply(two_point.INSTRUMENT.criteria, row, None, 20_000, results.Scale(16, 2)).passed


def field_with(amplitudes):
    """As many samples as sites whose ⟨h_x h_y⟩ is A_x A_y F for x ≠ y, to rounding."""
    side = len(amplitudes)
    F = torus_function(side).ravel()[displacements(side)]
    np.fill_diagonal(F, 20.0)
    root = np.linalg.cholesky(F).T * np.sqrt(side**2)
    return (root * amplitudes.ravel()).reshape(side**2, side, side).astype(np.float32)


class WithDeadUnits:
    """A map with some units that say the same to every v."""

    def __init__(self, inner):
        self.inner = inner

    def mean_h(self, v):
        return self.kill(self.inner.mean_h(v))

    def sample_h(self, v, rng):
        return self.kill(self.inner.sample_h(v, rng))

    def kill(self, h):
        h = h.copy()
        h[:, list(DEAD)] = 1
        return h


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(16, temperature=rg.CRITICAL_TEMPERATURE, samples=20_000, seed=6)


@pytest.mark.parametrize("side", [4, 6, 8])
def test_amplitudes_are_found_again(side):
    rng = np.random.default_rng(side)
    A = rng.uniform(0.3, 1.5, (side, side)) * np.where(rng.random((side, side)) < 0.1, -1, 1)
    found = amplitudes_by_site(field_with(A), 2.0)
    assert np.mean(found**2) == pytest.approx(1)
    np.testing.assert_allclose(abs(found), abs(A) / np.sqrt(np.mean(A**2)), rtol=1e-5)
    np.testing.assert_array_equal(np.sign(found * A), np.sign(found * A)[0, 0])  # −A is as good as A


def test_the_curve_of_unlike_sites_follows_the_torus_with_their_amplitudes_alone():
    A = np.random.default_rng(0).uniform(0.3, 1.5, (8, 8))
    field = field_with(A)
    amplitudes = amplitudes_by_site(field, 2.0), np.ones((8, 8))
    both = [weighted_sums(field, 0, 64, pair_weights(each))[0] for each in amplitudes]
    with_own, without = np.sqrt(two_point.comparison(np.stack(both))["shape_deviation"])
    assert with_own < 1e-5
    assert without > 0.01


def test_equal_amplitudes_give_the_mean_over_pairs(critical16):
    h = rg.Majority().sample_h(critical16.unpack(0, 500), np.random.default_rng(0))
    one, other = two_point.curve(h), two_point.curve(h, amplitudes=np.ones((8, 8)))
    np.testing.assert_allclose(other.value.value, one.value.value, atol=1e-6)
    np.testing.assert_allclose(other.value.error, one.value.error, atol=1e-6)
    assert other.mean.value == pytest.approx(one.mean.value)


def test_dead_sites_are_left_out_and_nothing_gives_ones():
    A = np.random.default_rng(0).uniform(0.3, 1.5, (6, 6))
    found = amplitudes_by_site(field_with(A), 2.0, ~np.isin(np.arange(36), [0, 7])).ravel()
    assert not found[[0, 7]].any()
    assert (found[[1, 2, 35]] > 0).all()
    assert (amplitudes_by_site(np.zeros((5, 4, 4), np.float32), 2.0) == 1).all()
    assert (amplitudes_by_site(np.ones((5, 2, 2), np.float32), 2.0) == 1).all()  # no pair is far apart


def test_dead_units_do_not_make_a_block_rule_a_feature_extractor(critical16):
    """Three of 64 units say nothing: the mean over pairs sees three holes, and fails."""
    broken = subject(critical16, WithDeadUnits(rg.Scrambled(rg.Majority(), seed=1)))
    row, arrays = two_point.measure(broken)
    assert decided(row) is True
    assert (arrays["unit_amplitudes"] == 0).sum() == len(DEAD)
    assert "3 constant units do not count" in row.why
    assert "amplitudes of their own, from 0.00 to" in row.why
    mean = two_point.curve(broken.placed).numbers["shape_deviation"]
    assert mean.value - 4 * mean.error > 0.006  # outside the band


def test_units_that_follow_no_tile_are_still_far_from_the_torus(critical16):
    """The twin: amplitudes of their own do not make a random tiling, or an untrained network, critical."""
    for coarse in (rg.Scrambled(rg.RandomTiling(2, seed=1), seed=1), rg.untrained_rbm(256, 64, seed=0)):
        deviation = two_point.measure(subject(critical16, coarse))[0].estimates["shape_deviation"].estimate
        assert deviation.value - 4 * deviation.error > 0.01  # a majority rule of this size: below 0.002


def test_errors_are_the_spread_over_repetitions():
    """The jackknife keeps the amplitudes of all samples in every group; their noise does not show in the readings."""
    ensemble, count = rg.sample(8, temperature=rg.CRITICAL_TEMPERATURE, samples=24 * 500, seed=3), 500
    found = []
    for a in range(0, 24 * count, count):
        h = rg.BernoulliBlock(0.5).sample_h(ensemble.unpack(a, a + count), np.random.default_rng(a))
        found.append(two_point.curve(h, amplitudes=amplitudes_by_site(h, 2.0)).numbers)
    for name in ("g_half_ratio", "delta_sigma"):
        values, errors = (np.array([getattr(f[name], part) for f in found]) for part in ("value", "error"))
        assert 0.6 < values.std(ddof=1) / np.median(errors) < 1.6, name


def test_amplitudes_of_other_sites_are_refused():
    with pytest.raises(rg.InputError, match="one for each site"):
        two_point.curve(np.ones((5, 4, 4), np.int8), amplitudes=np.ones((2, 2)))
