"""Effective couplings against sums over all states, closed forms and the network that is the Ising model."""

import math

import numpy as np
import pytest
from networks import ising_network, network
from numpy.polynomial.hermite_e import hermegauss
from scipy.stats import binom

from rgstep import RBM, Estimate, InputError
from rgstep.nets import couplings
from rgstep.nets.couplings import (
    couplings_by_displacement,
    couplings_by_distance,
    hidden_couplings,
    network_couplings,
    visible_couplings,
)
from rgstep.nets.localisation import localisation
from rgstep.nets.rbm import log_2cosh

NETWORKS = [(9, 4, 0.1), (9, 4, 1.0), (12, 6, 0.3), (13, 3, 3.0), (4, 9, 0.5), (2, 3, 1.0)]  # visible, hidden, sd
EXACT = 1e-9  # agreement with an enumeration, for a few hidden units
K = 0.44


def turned(rbm):
    """The network with its layers exchanged."""
    return RBM(rbm.weights.T, rbm.hidden_bias, rbm.visible_bias)


def enumerated(rbm):
    """2^−n Σ_v v_i v_j (−F(v)), zero on the diagonal."""
    v = 2 * ((np.arange(1 << rbm.visible)[:, None] >> np.arange(rbm.visible)) & 1) - 1
    result = (v * -rbm.free_energy(v)[:, None]).T @ v / len(v)
    return result * ~np.eye(rbm.visible, dtype=bool)


def log_ratio(x, p, q):
    """¼ ln [cosh(x+p+q) cosh(x−p−q) / (cosh(x+p−q) cosh(x−p+q))]."""
    plus, minus = log_2cosh(x + p + q) + log_2cosh(x - p - q), log_2cosh(x + p - q) + log_2cosh(x - p + q)
    return (plus - minus) / 4


def quadrature(rbm, left_out=True, nodes=120):
    """J with x normal, by Gauss–Hermite; `left_out` subtracts the pair's own weights from its variance, as it must."""
    z, weight = hermegauss(nodes)
    weight = weight / weight.sum()
    w, b = rbm.weights.astype(float), rbm.hidden_bias.astype(float)
    result = np.zeros((rbm.visible, rbm.visible))
    for i, j in zip(*np.triu_indices(rbm.visible, 1), strict=True):
        variance = (w**2).sum(axis=0) - left_out * (w[i] ** 2 + w[j] ** 2)
        x = b + np.sqrt(np.maximum(variance, 0)) * z[:, None]
        result[i, j] = result[j, i] = (weight @ log_ratio(x, w[i], w[j])).sum()
    return result


def relative_error(values, expected):
    """Root mean square of the difference over that of the couplings."""
    return math.sqrt(((values - expected) ** 2).sum() / (expected**2).sum())


# --- the exact couplings


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_visible_couplings_are_the_sum_over_all_states(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    np.testing.assert_allclose(visible_couplings(rbm), enumerated(rbm), atol=EXACT)


@pytest.mark.parametrize(("visible", "hidden", "sd"), [(9, 4, 1.0), (6, 12, 0.3), (40, 9, 0.5)])
def test_hidden_couplings_are_those_of_the_network_turned_round(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    np.testing.assert_allclose(hidden_couplings(rbm), enumerated(turned(rbm)), atol=EXACT * visible)


def signs_of_one_unit(rbm):
    return RBM(rbm.weights * np.where(np.arange(rbm.visible) == 0, -1, 1)[:, None], rbm.visible_bias, rbm.hidden_bias)


def without_biases(rbm):
    return RBM(rbm.weights, rbm.visible_bias, 0 * rbm.hidden_bias)


def one_percent_off(rbm):
    return RBM(1.01 * rbm.weights, rbm.visible_bias, rbm.hidden_bias)


@pytest.mark.parametrize(
    "broken",
    [
        lambda rbm: -visible_couplings(rbm),
        lambda rbm: 4 * visible_couplings(rbm),
        lambda rbm: visible_couplings(signs_of_one_unit(rbm)),
        lambda rbm: visible_couplings(without_biases(rbm)),
        lambda rbm: visible_couplings(one_percent_off(rbm)),
        quadrature,
    ],
    ids=["sign", "¼ missing", "a weight's sign", "biases forgotten", "weights 1 % off", "x taken as normal"],
)
def test_broken_couplings_are_noticed(broken):
    rbm = network(9, 4, 1.0)
    assert np.abs(broken(rbm) - enumerated(rbm)).max() > 1e-3


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_couplings_of_a_thousand_spins_are_a_binomial_sum(bias):
    """Equal weights: x = b + w (2m − n + 2) with m of n − 2 fair spins up."""
    n, w = 1024, np.float32(0.07)
    rbm = RBM(np.full((n, 1), w), np.zeros(n), np.array([bias]))
    up = np.arange(n - 1)
    terms = log_ratio(float(np.float32(bias)) + float(w) * (2 * up - n + 2), float(w), float(w))
    expected = binom.pmf(up, n - 2, 0.5) @ terms
    measured = visible_couplings(rbm)
    np.testing.assert_allclose(measured[~np.eye(n, dtype=bool)], expected, atol=EXACT)
    wrong = binom.pmf(up, n - 2, 0.5) @ log_ratio(float(w) * (2 * up - n + 3), float(w), float(w))  # one weight off
    assert abs(wrong - expected) > EXACT


def test_units_without_weights_change_nothing():
    """A network of 8 spins among 392 others that are connected to nothing."""
    small = network(8, 4, 0.6)
    weights = np.zeros((400, 4))
    weights[::50] = small.weights
    large = visible_couplings(RBM(weights, np.zeros(400), small.hidden_bias))
    np.testing.assert_allclose(large[::50, ::50], enumerated(small), atol=EXACT)
    large[::50, ::50] = 0
    assert not large.any()


def test_strong_weights_have_the_limit_of_a_sign():
    """½ ln cosh 2w = w − ½ ln 2 for two equal strong weights, and no overflow."""
    rbm = RBM(np.array([[20.0, 300.0], [20.0, 300.0]]), np.zeros(2), np.zeros(2))
    assert visible_couplings(rbm)[0, 1] == pytest.approx(320 - math.log(2), rel=1e-9)


def test_the_largest_frequency_and_the_margin_are_large_enough(monkeypatch):
    """The stated accuracy does not hold with half of either, so that the test above would notice."""
    for name in ("LARGEST_FREQUENCY", "GAP_BETWEEN_IMAGES"):
        rbm = network(9, 4, 0.1)
        with monkeypatch.context() as patch:
            patch.setattr(couplings, name, 0.5 * getattr(couplings, name))
            assert np.abs(visible_couplings(rbm) - enumerated(rbm)).max() > EXACT


@pytest.mark.parametrize(("factor", "right"), [(1.0, True), (0.5, False)])
def test_the_largest_deviation_is_large_enough(factor, right, monkeypatch):
    """256 equal weights of 1: x reaches far beyond the gap between its images; half of the deviation falls short."""
    n = 256
    monkeypatch.setattr(couplings, "LARGEST_DEVIATION", factor * couplings.LARGEST_DEVIATION)
    up = np.arange(n - 1)
    expected = binom.pmf(up, n - 2, 0.5) @ log_ratio(2.0 * up - n + 2, 1.0, 1.0)
    measured = visible_couplings(RBM(np.ones((n, 1)), np.zeros(n), np.zeros(1)))
    assert (np.abs(measured[~np.eye(n, dtype=bool)] - expected).max() < EXACT) == right


def test_the_largest_deviation_is_no_larger_than_it_must_be():
    """By Hoeffding's bound x lies farther from b with a chance of 1e-9; more would cost time for nothing."""
    w = np.linspace(0.01, 0.1, 400)
    reach = couplings._period(w, 0.7) - 0.7 - 2 * 0.1 - couplings.GAP_BETWEEN_IMAGES
    assert 5e-10 < 2 * math.exp(-(reach**2) / (2 * w @ w)) < 2e-9


# --- the approximations


@pytest.mark.parametrize(("visible", "hidden", "sd"), [(9, 4, 0.1), (12, 6, 0.3), (10, 4, 0.6)])
def test_gaussian_couplings_are_a_gauss_hermite_sum(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    measured = visible_couplings(rbm, "gaussian")
    np.testing.assert_allclose(measured, quadrature(rbm), atol=1e-7)
    assert np.abs(measured - quadrature(rbm, left_out=False)).max() > 1e-5


def test_gaussian_couplings_of_a_single_bond_are_exact():
    """No other spin: the variance of x is 0."""
    rbm = RBM(np.array([[0.8], [-1.3]]), np.zeros(2), np.array([0.4]))
    np.testing.assert_allclose(visible_couplings(rbm, "gaussian"), enumerated(rbm), atol=EXACT)


def test_leading_couplings_are_the_lowest_order():
    """The difference from the exact ones falls as the fourth power of the weights."""
    rbm = network(9, 4, 1.0)
    errors = []
    for scale in (0.02, 0.01):
        small = RBM(scale * rbm.weights, rbm.visible_bias, 0 * rbm.hidden_bias)
        errors.append(np.abs(visible_couplings(small, "leading") - enumerated(small)).max())
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)
    biased = RBM(0.01 * rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    np.testing.assert_allclose(visible_couplings(biased, "leading"), enumerated(biased), atol=1e-6)
    assert np.abs(visible_couplings(biased, "leading") - enumerated(without_biases(biased))).max() > 1e-5


@pytest.mark.parametrize(
    ("weights", "gaussian", "leading"),
    [("weak", (0.001, 0.004), (0.05, 0.2)), ("strong", (0.02, 0.05), (1, 2)), ("localised", (0.03, 0.05), (0.8, 1.5))],
)
def test_how_good_the_approximations_are(weights, gaussian, leading):
    """Relative errors of 14 spins and 8 units: many weak weights, many strong ones, four strong among weak."""
    rng = np.random.default_rng(0)
    sd = {"weak": 0.1, "strong": 0.5, "localised": 0.1}[weights]
    w = sd * rng.standard_normal((14, 8))
    if weights == "localised":
        for unit in range(8):
            w[[unit, unit + 1, unit + 2, unit + 3], unit] += 0.8
    rbm = RBM(w, np.zeros(14), np.zeros(8))
    expected = enumerated(rbm)
    for method, (low, high) in {"gaussian": gaussian, "leading": leading, "exact": (0, 1e-8)}.items():
        error = relative_error(visible_couplings(rbm, method), expected)
        assert low < error < high, method


def test_gaussian_couplings_of_a_dominant_weight_are_refused():
    rbm = RBM(np.array([[6.0], [0.1], [0.1]]), np.zeros(3), np.zeros(1))
    with pytest.raises(InputError, match=r"weight of 6 .* use method 'exact'"):
        visible_couplings(rbm, "gaussian")


# --- on the lattice


@pytest.mark.parametrize("size", [4, 8])
def test_the_network_that_is_the_ising_model_has_its_couplings(size):
    table = couplings_by_displacement(visible_couplings(ising_network(size, K)), size, K)
    assert table.at(1, 0).value == pytest.approx(K, abs=1e-7)  # its weights are float32
    assert table.at(1, 0).error < 1e-12
    assert not np.asarray(table.couplings.value)[1:].any()
    assert table.rest.value == 0
    wrong = couplings_by_displacement(visible_couplings(one_percent_off(ising_network(size, K))), size, K)
    assert abs(wrong.at(1, 0).value - K) > 1e-3
    leading = couplings_by_displacement(visible_couplings(ising_network(size, K), "leading"), size)
    assert leading.at(1, 0).value > 1.2 * K


@pytest.mark.parametrize("size", [2, 4, 5, 8])
def test_lattice_averages_are_over_all_equivalent_pairs(size):
    """A random J: means and spreads over the pairs of each displacement, found one pair at a time."""
    j = np.random.default_rng(size).standard_normal((size**2, size**2))
    j = j + j.T
    found = {}
    for a in range(size**2):
        for b in range(a):
            step = [abs(x - y) for x, y in zip(divmod(a, size), divmod(b, size), strict=True)]
            found.setdefault(tuple(sorted((min(d, size - d) for d in step), reverse=True)), []).append(j[a, b])
    table = couplings_by_displacement(j, size)
    assert {tuple(d) for d in table.displacements} == set(found)
    for (dx, dy), values in found.items():
        for estimate in (table.at(dx, dy), table.at(-dy, size + dx)):
            assert estimate.value == pytest.approx(np.mean(values))
            assert estimate.error == pytest.approx(np.std(values) / math.sqrt(len(values)))
    assert table.pairs.sum() == size**2 * (size**2 - 1) / 2
    lengths = (table.displacements**2).sum(axis=1)
    assert (np.diff(lengths) >= 0).all()
    beyond = np.concatenate([values for step, values in found.items() if step != (1, 0)])
    assert table.rest.value == pytest.approx(math.sqrt((beyond**2).mean()))


def test_the_error_of_a_root_mean_square_is_its_spread():
    """Of 400 draws, their own spread is what each states on average; half of it would be noticed."""
    draws = [couplings._rms(x) for x in np.random.default_rng(0).standard_normal((400, 300))]
    spread = np.std([e.value for e in draws])
    stated = np.mean([e.error for e in draws])
    assert 0.85 < stated / spread < 1.15
    medians = [couplings._median(np.abs(x)) for x in np.random.default_rng(1).standard_normal((400, 300))]
    assert 0.85 < np.mean([e.error for e in medians]) / np.std([e.value for e in medians]) < 1.15


def patches(size, hidden_per_side, width, strength=0.5):
    """Hidden units with equal weights on width×width patches, evenly placed; units side by side share sites."""
    step = size // hidden_per_side
    weights = np.zeros((size, size, hidden_per_side**2))
    for unit in range(hidden_per_side**2):
        rows, columns = (np.arange(step * k, step * k + width) % size for k in divmod(unit, hidden_per_side))
        weights[np.ix_(rows, columns, [unit])] = strength
    return RBM(weights.reshape(size**2, -1), np.zeros(size**2), np.zeros(hidden_per_side**2))


def test_hidden_couplings_fall_off_with_the_distance_of_the_patches():
    """3×3 patches at a distance of 2 share sites with the neighbours only: no coupling beyond distance 2√2."""
    rbm = patches(8, 4, 3)
    j = hidden_couplings(rbm)
    table = couplings_by_distance(rbm, j)
    where = localisation(rbm)
    place, concentration = where.centroid, np.median(where.resultant)
    np.testing.assert_allclose(place[:6], [[1, 1], [1, 3], [1, 5], [1, 7], [3, 1], [3, 3]], atol=1e-12)
    assert table.concentration == concentration == pytest.approx((1 + math.sqrt(2)) / 3)
    np.testing.assert_allclose(table.edges[:3], [0, 2, 4])
    assert table.pairs.sum() == 16 * 15 / 2
    near, far = np.asarray(table.rms.value)[[0, -1]]
    assert table.distance[0] == pytest.approx((2 * 2 + 2 * 2 * math.sqrt(2)) / 4)
    nearest = [j[0, 1]] * 2 + [j[0, 5]] * 2  # by symmetry
    assert near == pytest.approx(math.sqrt(np.mean(np.square(nearest))))
    assert far == 0
    assert np.asarray(table.median.value)[-1] == 0
    shuffled = couplings_by_distance(RBM(rbm.weights[np.random.default_rng(0).permutation(64)], *rbm_biases(rbm)), j)
    assert np.asarray(shuffled.rms.value)[-1] > 0  # the distances are those of W², not of the units' numbers


def rbm_biases(rbm):
    return rbm.visible_bias, rbm.hidden_bias


def test_places_are_on_the_torus():
    weights = np.zeros((16, 2))
    weights[[0, 3], 0] = 1, -1  # the first row: columns 0 and 3 are neighbours
    weights[5, 1] = 2
    place = localisation(RBM(weights, np.zeros(16), np.zeros(2))).centroid
    np.testing.assert_allclose(place, [[0, 3.5], [1, 1]], atol=1e-12)


def test_the_table_prints_what_it_holds():
    rbm = ising_network(4, K)
    table = network_couplings(rbm, K)
    text = str(table)
    assert "true K = 0.44" in text
    assert "(1, 0)" in text
    assert "root mean square beyond (1, 0)" in text
    assert "method exact" in text
    assert repr(table) == text
    assert len(text.splitlines()) < 25
    assert isinstance(table.visible.at(1, 1), Estimate)
    assert network_couplings(rbm, method="leading").visible.coupling is None


def test_one_hidden_unit_has_no_pairs():
    table = network_couplings(network(16, 1, 0.3))
    assert len(table.hidden.pairs) == 0
    assert "distance" in str(table)


# --- what is asked


def test_progress_is_told_after_each_unit():
    told = []
    visible_couplings(network(4, 3, 0.1), progress=lambda stage, done, total, note="": told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_results_are_symmetric_and_the_network_is_left_alone():
    rbm = network(30, 5, 0.5)
    before = rbm.weights.copy()
    for method in couplings.METHODS:
        j = visible_couplings(rbm, method)
        assert j.dtype == np.float64
        np.testing.assert_array_equal(j, j.T)
        assert not np.diag(j).any()
    np.testing.assert_array_equal(rbm.weights, before)


def test_bad_requests_are_refused(monkeypatch):
    rbm = network(9, 4, 0.1)
    with pytest.raises(InputError, match="unknown method 'gausian'; did you mean 'gaussian'"):
        visible_couplings(rbm, "gausian")
    with pytest.raises(InputError, match="not finite"):
        hidden_couplings(RBM(np.full((9, 4), np.nan), np.zeros(9), np.zeros(4)))
    with pytest.raises(InputError, match="12 visible units make no square lattice"):
        network_couplings(network(12, 4, 0.1))
    with pytest.raises(InputError, match=r"shape \(9, 9\) for size = 4"):
        couplings_by_displacement(np.zeros((9, 9)), 4)
    with pytest.raises(InputError, match="size = 0"):
        couplings_by_displacement(np.zeros((0, 0)), 0)
    with pytest.raises(InputError, match=r"shape \(9, 9\) for 4 hidden units"):
        couplings_by_distance(rbm, np.zeros((9, 9)))
    with pytest.raises(InputError, match=r"displacement \(4, 0\) .* no pair"):
        couplings_by_displacement(np.zeros((16, 16)), 4).at(4, 0)
    with pytest.raises(InputError, match=r"couplings of 4 units with weights up to 1e\+0?8 .* memory"):
        visible_couplings(RBM(np.full((4, 1), 1e8), np.zeros(4), np.zeros(1)))
