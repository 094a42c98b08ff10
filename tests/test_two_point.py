"""The hidden two-point function: against the torus and against enumeration; a random tiling must be found out."""

import math

import enumeration
import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep.instruments import two_point
from rgstep.instruments.draws import draw
from rgstep.results import MapReport

RATIO = 1.02437  # of the square torus in the scaling limit (reference values, section 2)


class RandomTiling:
    """The majority rule after a fixed permutation of the sites."""

    def __init__(self, size):
        self.order = np.random.default_rng(5).permutation(size**2)

    def mean_h(self, v):
        return rg.Majority().mean_h(v.reshape(len(v), -1)[:, self.order].reshape(v.shape))

    def sample_h(self, v, rng):
        return rg.Majority().sample_h(v.reshape(len(v), -1)[:, self.order].reshape(v.shape), rng)


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(16, temperature=rg.CRITICAL_TEMPERATURE, samples=10_000, seed=6)


def z(estimate, truth):
    return abs(estimate.value - truth) / estimate.error


# --- readings of known functions


@pytest.mark.parametrize("size", [4, 8, 16, 15])
@pytest.mark.parametrize("delta", [0.05, 0.125, 0.3])
def test_delta_of_powers_of_the_torus_function(size, delta):
    """G = A F^(8Δ) gives Δ, and no deviation for Δ = 1/8 alone."""
    with np.errstate(divide="ignore"):
        shape = two_point.torus_function(size)
    correlation = 0.7 * np.where(np.isfinite(shape), shape, 2) ** (8 * delta)
    found = two_point.comparison(correlation[None])
    assert found["delta_sigma"][0] == pytest.approx(delta)
    assert (found["shape_deviation"][0] < 1e-20) == (delta == 0.125)
    if delta == 0.125:
        assert found["amplitude"][0] == pytest.approx(0.7)
        assert found["g_half_ratio"][0] == pytest.approx(two_point.half_ratio(size))


def test_the_nearest_neighbours_are_left_out():
    """Displacements shorter than two spacings feel the lattice and may have any G; those of two may not."""
    shape, distance = two_point.torus_function(8), two_point.distances(8)
    for changed, passes in ((distance < 1.5, True), (distance == 2, False)):
        correlation = np.where(np.isfinite(shape), shape, 2) * np.where(changed, 1.1, 1.0)
        found = two_point.comparison(correlation[None])
        assert bool(found["shape_deviation"][0] < 1e-20) is passes
        assert bool(found["delta_sigma"][0] == pytest.approx(0.125)) is passes


def test_half_ratio_of_the_torus():
    assert two_point.half_ratio(32) == pytest.approx(RATIO, abs=5e-6)
    assert 1e-5 < abs(two_point.half_ratio(15) - RATIO) < 2e-3  # of 7/15 and not of ½


def test_the_mean_of_both_axes_is_taken():
    correlation = np.ones((1, 4, 4))
    correlation[0, 2, 0], correlation[0, 0, 2] = 1.2, 1.4
    assert two_point.comparison(correlation)["g_half_ratio"][0] == pytest.approx(1.3)


def test_what_cannot_be_read_is_left_out():
    correlation = np.ones((1, 4, 4))
    assert set(two_point.comparison(correlation, nearest=9)) == {"g_half_ratio"}
    assert set(two_point.comparison(correlation[:, :2, :2])) == {"g_half_ratio"}
    correlation[0, 2, 2] = -1
    assert "delta_sigma" not in two_point.comparison(correlation)


# --- against enumeration


def exact_ratio(h, size, coupling):
    """The ratio from all pairs of sites of all states, no Fourier transform."""
    p, l = enumeration.probabilities(size, coupling), h.shape[1]
    half, axis, corner = l // 2, 0.0, 0.0
    for r in range(l):
        for c in range(l):
            here = p * h[:, r, c]
            axis += here @ (h[:, (r + half) % l, c] + h[:, r, (c + half) % l]) / 2
            corner += here @ h[:, (r + half) % l, (c + half) % l]
    return axis / corner


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.BernoulliBlock(0.5)], ids=str)
def test_ratio_by_enumeration(critical4, coarse):
    row, _ = two_point.measure(subject(critical4, coarse))
    states = enumeration.states(4)
    for name, h in (("g_half_ratio_v", states.astype(float)), ("g_half_ratio", coarse.mean_h(states).astype(float))):
        exact = exact_ratio(h, 4, critical4.system.coupling)
        assert z(row.estimates[name].estimate, exact) < 4
        assert z(row.estimates[name].estimate, RATIO) > 4 or name == "g_half_ratio"  # 4×4 is not the scaling limit
    broken, _ = two_point.measure(subject(critical4, RandomTiling(4)))
    assert z(broken.estimates["g_half_ratio"].estimate, exact) > 4


# --- against the torus


@pytest.mark.usefixtures("as_users_run")  # the average rule is iterated on its own, real h
@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.Decimation()], ids=str)
def test_local_maps_follow_the_torus(critical16, coarse):
    row, arrays = two_point.measure(subject(critical16, coarse))
    assert row.passed is None
    for suffix in ("", "_v"):
        q = {name: row.estimates[name + suffix].estimate for name in two_point.NUMBERS}
        assert z(q["g_half_ratio"], RATIO) < 4
        assert q["g_half_ratio"].error < 0.004
        assert z(q["delta_sigma"], 0.125) < 4
        assert q["delta_sigma"].error < 0.01
        assert q["shape_deviation"].value < 0.003
    assert arrays["G_1"].shape == (8, 8)
    assert {"g_half_ratio[2]", "delta_sigma[2]"} <= set(row.estimates)


def test_a_random_tiling_does_not(critical16):
    """The twin: its two-point function is flat."""
    row, _ = two_point.measure(subject(critical16, RandomTiling(16)))
    q = {name: row.estimates[name].estimate for name in two_point.NUMBERS}
    assert z(q["g_half_ratio"], RATIO) > 8
    assert z(q["delta_sigma"], 0.125) > 20
    assert q["shape_deviation"].value > 0.01
    assert q["shape_deviation"].value > 20 * q["shape_deviation"].error


def test_noise_does_not_count_as_deviation(critical16):
    """From a hundredth of the samples the deviation is larger before its noise is taken off, and not after."""
    h = draw(critical16, rg.Majority(), np.random.default_rng(0))
    few = two_point.curve(h[::100]).numbers["shape_deviation"]
    raw = two_point.comparison(np.asarray(two_point.curve(h[::100]).value.value)[None])["shape_deviation"][0] ** 0.5
    assert few.value < 3 * few.error + 0.003
    assert raw > few.value


def test_errors_are_the_spread_over_repetitions():
    """The jackknife error of each reading against the spread over 24 independent sets."""
    ensemble = rg.sample(8, temperature=rg.CRITICAL_TEMPERATURE, samples=24 * 500, seed=3)
    found = [two_point.curve(ensemble.unpack(a, a + 500)).numbers for a in range(0, 24 * 500, 500)]
    for name in ("g_half_ratio", "delta_sigma"):
        values, errors = (np.array([getattr(f[name], part) for f in found]) for part in ("value", "error"))
        assert 0.6 < values.std(ddof=1) / np.median(errors) < 1.6, name


# --- what is to be minded


def test_away_from_the_critical_point_there_are_curves_only():
    ensemble = rg.sample(8, temperature=3.0, samples=200, seed=3)
    row, arrays = two_point.measure(subject(ensemble, rg.Majority()))
    assert not row.estimates
    assert "not critical" in row.why
    assert np.isfinite(arrays["G_1"]).all()


def test_networks_are_placed_and_others_told_what_they_lack(critical8):
    row, _ = two_point.measure(subject(critical8, rg.untrained_rbm(visible=64, hidden=16, seed=0)))
    assert "g_half_ratio" in row.estimates
    assert "places found" in row.why
    row, arrays = two_point.measure(subject(critical8, rg.untrained_rbm(visible=64, hidden=15, seed=0)))
    assert not row.estimates
    assert not arrays
    assert "fill a square lattice" in row.why


def test_a_biased_map_is_warned_of(critical8):
    def biased(v):
        h = rg.Majority(ties="first").mean_h(v.astype(np.int8))
        h[:, ::2, ::2] = 1
        return h

    assert "⟨h⟩ = " in two_point.measure(subject(critical8, biased))[0].why
    assert "⟨h⟩ = " not in two_point.measure(subject(critical8, rg.Majority()))[0].why


@pytest.mark.parametrize("samples", [1, 2, 10])
@pytest.mark.parametrize("size", [4, 6, 8])
def test_few_samples_give_rows(size, samples):
    ensemble = rg.sample(size, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=1)
    row, _ = two_point.measure(subject(ensemble, rg.Majority()))
    assert "no errors" in row.why
    assert all(math.isnan(q.estimate.error) for q in row.estimates.values())


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_both_ends_of_temperature_give_rows(temperature):
    ensemble = rg.sample(8, temperature=temperature, samples=100, seed=1)
    row, arrays = two_point.measure(subject(ensemble, rg.untrained_rbm(visible=64, hidden=16, seed=0)))
    assert "not critical" in row.why
    assert np.isfinite(arrays["G_1"]).all()


def test_other_shapes_are_refused():
    with pytest.raises(rg.InputError, match="expected"):
        two_point.curve(np.ones((5, 4, 3), np.int8))


# --- figure


def test_figure_shows_points_and_torus(critical16):
    row, arrays = two_point.measure(subject(critical16, rg.Majority()))
    maps = {"majority": MapReport("not judged", "control", "", {"two_point": row}, {"two_point": arrays})}
    (plate,) = two_point.figures(maps)
    left, right = plate.figure.axes
    assert {line.get_linestyle() for line in left.lines} >= {"--"}
    assert "spacings" in left.get_xlabel()
    points = left.containers[0].lines[0].get_ydata()
    expected = arrays["G_1"][1:5, 0] / arrays["G_1_amplitude"]
    np.testing.assert_allclose(points, expected)
    assert len(right.containers) == 1
    assert list(two_point.figures({"none": MapReport("", "", "", {}, {})})) == []


def test_figure_away_from_the_critical_point():
    ensemble = rg.sample(8, temperature=math.inf, samples=100, seed=1)
    row, arrays = two_point.measure(subject(ensemble, rg.Majority()))
    entry = MapReport("", "control", "", {"two_point": row}, {"two_point": arrays})
    (plate,) = two_point.figures({"majority": entry})
    assert "G_h(1)" in plate.figure.axes[0].get_ylabel()
    plate.figure.canvas.draw()
