"""Mutual information between h and the spins around its tile: against enumeration, loops, and laws that must hold."""

import math
from itertools import pairwise, product

import enumeration
import numpy as np
import pytest
from exact_information import information as exact
from exact_information import of_subject
from scipy.special import exp1
from scipy.stats import hypergeom, poisson
from subjects import subject

import rgstep as rg
from rgstep.arguments import InputError
from rgstep.blocking import RandomTiling, Scrambled
from rgstep.instruments import information as inf
from rgstep.results import MapReport

K_C = 1 / rg.CRITICAL_TEMPERATURE
MAPS = {  # with the draws that they make: ±1 of a mean, or the mean itself
    "majority": (rg.Majority(), True),
    "decimation": (rg.Decimation(), True),
    "average": (rg.Average(), False),
    "bernoulli": (rg.BernoulliBlock(0.5), True),
}


def within(estimate, truth, errors=4.0):
    return abs(estimate.value - truth) < errors * estimate.error + 1e-12


@pytest.fixture(scope="module")
def critical32():
    """400 critical configurations of side 32: 102,400 tiles."""
    return rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=400, seed=32)


def row_of(ensemble, coarse):
    return inf.measure(subject(ensemble, coarse))


# --- the witness


def naive(law, tile, ring, v, p):
    """I(h:E), I(V:E), I(h:E | V) from dictionaries of patterns; law gives p(h | v) by value for each state."""
    joint = {}
    for k, weight in enumerate(p):
        V, E = tuple(v[k][tile]), tuple(v[k][ring])
        for value, probability in law[k].items():
            joint[value, V, E] = joint.get((value, V, E), 0.0) + weight * probability

    def entropy(*kept):
        marginal = {}
        for key, weight in joint.items():
            part = tuple(key[i] for i in kept)
            marginal[part] = marginal.get(part, 0.0) + weight
        return -sum(w * math.log(w) for w in marginal.values() if w > 0)

    h, V, E = 0, 1, 2
    given_tile = entropy(h, V) + entropy(V, E) - entropy(h, V, E) - entropy(V)
    return entropy(h) + entropy(E) - entropy(h, E), entropy(V) + entropy(E) - entropy(V, E), given_tile


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("ring", [[2, 3, 6, 7, 8, 9, 12, 13], [2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]])
def test_the_witness_agrees_with_dictionaries(name, ring):
    coarse, drawn = MAPS[name]
    v, p = enumeration.states(4).reshape(-1, 16), enumeration.probabilities(4, K_C)
    mean = coarse.mean_h(enumeration.states(4))[:, 0, 0].astype(float)
    law = [{1: (1 + m) / 2, -1: (1 - m) / 2} if drawn else {m: 1.0} for m in mean]
    found = exact(coarse.mean_h, K_C, drawn=drawn, bonded=len(ring) == 8)
    expected = naive(law, [0, 1, 4, 5], ring, v, p)
    np.testing.assert_allclose([found.h_E, found.V_E, found.h_E_given_V], expected, atol=1e-9)


def test_the_witness_has_the_known_values():
    majority, decimation = (exact(m.mean_h, K_C) for m in (rg.Majority(), rg.Decimation()))
    np.testing.assert_allclose([majority.h_E, decimation.h_E], [0.53507, 0.45398], atol=5e-6)
    np.testing.assert_allclose([majority.V_E, decimation.V_E], 0.70203, atol=5e-6)


@pytest.mark.parametrize("name", MAPS)
def test_spins_without_a_bond_to_the_tile_add_nothing_for_block_maps(name):
    coarse, drawn = MAPS[name]
    every, bonded = (exact(coarse.mean_h, K_C, drawn=drawn, bonded=b) for b in (False, True))
    np.testing.assert_allclose(every, bonded, atol=1e-9)
    assert abs(every.h_E_given_V) < 1e-9
    assert 0 < every.h_E < every.V_E


def test_they_add_something_for_a_map_that_reads_them():
    far = lambda v: v[:, 2:3, 2:3].astype(np.float32)  # noqa: E731
    every, bonded = (exact(far, K_C, bonded=b, places=[(0, 0)]) for b in (False, True))
    assert every.h_E == pytest.approx(math.log(2))
    assert bonded.h_E < 0.6
    assert every.h_E_given_V > 0.1


@pytest.mark.parametrize(("coupling", "information"), [(0.0, 0.0), (math.inf, math.log(2))])
def test_the_witness_at_infinite_and_at_zero_temperature(coupling, information):
    found = exact(rg.Majority().mean_h, coupling)
    np.testing.assert_allclose(found[:2], information, atol=1e-9)


def test_the_witness_takes_one_place_and_sign_a_unit():
    mean = lambda v: -v[:, 1:2, 3].astype(np.float32)  # noqa: E731
    alike = exact(rg.Decimation().mean_h, K_C)
    np.testing.assert_allclose(exact(mean, K_C, places=[(1, 3)], signs=[-1]), alike, atol=1e-9)


# --- the estimator against the witness


@pytest.mark.parametrize("name", MAPS)
def test_the_estimator_finds_the_exact_values(critical4, name):
    coarse, drawn = MAPS[name]
    truth = exact(coarse.mean_h, K_C, drawn=drawn)
    found = inf.information(critical4, coarse.sample_h(critical4.spins, np.random.default_rng(1)))
    for quantity, value in zip(inf.NAMES, (truth.h_E, truth.V_E, truth.ratio, truth.h_E_given_V), strict=True):
        assert within(found[quantity], value), (quantity, found[quantity], value)
    assert 0.0005 < found["I_hE"].error < 0.01  # the test above means something


def test_the_estimator_fails_where_another_map_made_h(critical4):
    truth = exact(rg.Majority().mean_h, K_C)
    found = inf.information(critical4, rg.Decimation().sample_h(critical4.spins, np.random.default_rng(1)))
    assert not within(found["I_hE"], truth.h_E)


def test_the_whole_ring_gives_the_same_as_the_spins_with_a_bond(critical32):
    h = rg.Majority().sample_h(critical32.spins, np.random.default_rng(2))
    bonds, full = (inf.information(critical32, h, ring=ring) for ring in ("bonds", "full"))
    assert abs(bonds["I_hE"].value - full["I_hE"].value) < 2 * full["I_hE"].error
    assert 0.44 < bonds["I_hE"].value < 0.51


def test_places_and_signs_bring_scattered_units_together(critical32):
    h = rg.BernoulliBlock(1.0).sample_h(critical32.spins, np.random.default_rng(3))
    expected = inf.information(critical32, h)
    order = np.random.default_rng(4).permutation(256)
    places = np.stack(np.divmod(order, 16), axis=1) * 2
    found = inf.information(critical32, h.reshape(len(h), -1)[:, order], places=places)
    assert {q: e.value for q, e in found.items()} == {q: e.value for q, e in expected.items()}


def test_a_large_lattice_against_the_law_of_the_tile_given_its_neighbours(critical32):
    """I(V:E) = H(V) − ⟨H(V | E)⟩, with p(V | E) ∝ e^(K bonds) known exactly: no counting of pairs, no bias."""
    tiles = np.array(list(product([-1, 1], repeat=4)))  # sites in the order of `seen_sites`: row by row
    seen = inf.seen_sites(32, inf.tiles_of(16, 2), 2, "bonds")
    s = critical32.spins.reshape(len(critical32), -1)[:, seen].reshape(-1, 12).astype(float)
    # the ring row by row: two above, left and right of each row, two below
    field = np.stack([s[:, 4] + s[:, 6], s[:, 5] + s[:, 7], s[:, 8] + s[:, 10], s[:, 9] + s[:, 11]], axis=1)
    bonds = (tiles[:, [0, 2, 0, 1]] * tiles[:, [1, 3, 2, 3]]).sum(axis=1)
    weights = np.exp(K_C * (field @ tiles.T + bonds))
    p = weights / weights.sum(axis=1, keepdims=True)
    conditional = -(p * np.log(p)).sum(axis=1).mean()
    law = p.mean(axis=0)
    law = (law + law[::-1]) / 2
    expected = -(law * np.log(law)).sum() - conditional
    found = inf.information(critical32, rg.Decimation().sample_h(critical32.spins, np.random.default_rng(0)))["I_VE"]
    assert within(found, expected, 2.0), (found, expected)


# --- bias: what is zero must come out as zero


def dealt(h, v, rng):
    """Deal out the h of a lattice among all tiles and samples alike."""
    return rng.permutation(h.ravel()).reshape(h.shape)


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.BernoulliBlock(0.5), rg.Average()])
def test_shuffled_h_knows_nothing(critical32, rng, coarse):
    h = dealt(coarse.sample_h(critical32.spins, rng), critical32, rng)
    counts = inf.count(critical32, h)
    found = counts.estimates()
    assert within(found["I_hE"], 0.0, 3.0)
    assert within(found["I_hE_given_V"], 0.0, 3.0)
    plain = inf.entropies(counts.total, True, inf.plain_log)
    assert plain[0] > 4 * found["I_hE"].error  # the twin: counts taken as they are
    assert plain[3] > 4 * found["I_hE_given_V"].error


@pytest.mark.parametrize("samples", [10, 40])
def test_nothing_is_found_beyond_the_tile_however_few_the_samples(critical32, samples):
    rng, coarse = np.random.default_rng(7), rg.BernoulliBlock(0.25)
    values, plain = [], []
    for start in range(0, 400, samples):
        v = critical32.unpack(start, start + samples)
        counts = inf.count(v, coarse.sample_h(v, rng))
        values.append(counts.corrected()[3])
        plain.append(inf.entropies(counts.total, True, inf.plain_log)[3])
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    assert np.mean(plain) > 20 * error


@pytest.mark.slow
def test_errors_are_those_of_repetition():
    rng = np.random.default_rng(8)
    v = rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=4000, seed=9).spins
    h = rg.Majority().sample_h(v, rng)
    parts = [inf.information(v[a:b], h[a:b]) for a, b in pairwise(range(0, 4001, 200))]
    for name in ("I_hE", "I_VE", "I_ratio"):
        values, errors = ([getattr(part[name], what) for part in parts] for what in ("value", "error"))
        assert 0.6 < np.mean(errors) / np.std(values, ddof=1) < 1.7, name


@pytest.mark.parametrize(("k", "n"), [(3, 7), (40, 100), (500, 2000), (7, 7)])
def test_the_mean_of_chance_counts(k, n):
    m = np.array([1, 2, 5, 7])
    x = np.arange(0, 8)
    expected = [(hypergeom.pmf(x, n, k, draws) * inf.plain_log(x)).sum() for draws in m]
    np.testing.assert_allclose(inf.mean_term(m, k, n), expected, atol=1e-9)


def test_the_mean_of_many_chance_counts_is_good_to_second_order():
    m, x = np.array([399, 401, 1500]), np.arange(2001)
    expected = [(hypergeom.pmf(x, 2000, 500, draws) * inf.plain_log(x)).sum() for draws in m]
    np.testing.assert_allclose(inf.mean_term(m, 500, 2000), expected, atol=2e-4)


@pytest.mark.parametrize("mean", [1.0, 3.0, 20.0, 32.0, 60.0, 1000.0])
def test_grassberger_is_nearly_unbiased_for_poisson_counts(mean):
    x = np.arange(2000)
    law = poisson.pmf(x, mean)
    bias, plain = (law @ term(x) - mean * math.log(mean) for term in (inf.grassberger, inf.plain_log))
    assert abs(bias - mean * exp1(2 * mean)) < 0.02  # his own bias, λ E₁(2λ); the rest: G is smoothed from 32 on
    assert plain > 0.4  # the twin


# --- maps that read other spins


def test_a_random_tiling_knows_what_its_tile_does_not(critical32):
    h = RandomTiling(2).sample_h(critical32.spins, np.random.default_rng(1))
    found = inf.information(critical32, h)
    assert found["I_hE_given_V"].value > 20 * found["I_hE_given_V"].error
    assert found["I_ratio"].value < 0.5


def test_the_lower_bound_lies_just_below(critical32):
    h = rg.Majority().sample_h(critical32.spins, np.random.default_rng(1))
    counted, bound = inf.information(critical32, h)["I_hE"], inf.lower_bound(critical32, h, np.random.default_rng(0))
    assert counted.value - 0.03 < bound.value < counted.value + 3 * bound.error
    rng = np.random.default_rng(2)
    nothing = inf.lower_bound(critical32, dealt(h, critical32, rng), rng)
    assert -0.01 < nothing.value < 3 * nothing.error


def test_the_lower_bound_is_none_of_its_own_fit():
    """Coins know nothing: 33 weights fitted to 600 of them are worth 0.02 on these, and less than 0 on others."""
    rng = np.random.default_rng(3)
    v, h = (rng.choice(np.array([-1, 1], np.int8), (50, side, side)) for side in (8, 4))
    assert inf.lower_bound(v, h, np.random.default_rng(0)).value < 0


def test_the_lower_bound_sees_far_spins_that_the_count_does_not():
    v = rg.sample(size=16, temperature=math.inf, samples=500, seed=3)
    h = np.roll(v.spins, (-3, -3), axis=(1, 2))[:, ::2, ::2]  # two sites diagonally off the tile: in the second ring
    assert within(inf.information(v, h)["I_hE"], 0.0)
    assert inf.lower_bound(v, h, np.random.default_rng(0)).value > 0.6


def test_places_are_found():
    rng = np.random.default_rng(5)
    ensemble = rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=1000, seed=5)
    corners, signs = rng.integers(0, 16, (64, 2)), rng.choice([-1, 1], 64)
    weights = np.zeros((64, 16, 16), np.float32)
    for picture, (x, y), sign in zip(weights, corners, signs, strict=True):
        picture[np.ix_([x, (x + 1) % 16], [y, (y + 1) % 16])] = sign
    network = rg.RBM(weights.reshape(64, -1).T, np.zeros(256), np.zeros(64))
    gauge = subject(ensemble, network).gauge
    np.testing.assert_array_equal(inf.corners(gauge, 2), corners)
    np.testing.assert_array_equal(gauge.sign, signs)


# --- the row


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.untrained_rbm(16, 4, weights_sd=0.3)])
def test_the_row_agrees_with_the_exact_values_at_side_4(critical4, coarse):
    measured = subject(critical4, coarse)
    (diagnostic, _), truth = inf.measure(measured), of_subject(measured)
    assert diagnostic.passed is None
    assert list(diagnostic.estimates) == list(inf.NAMES)
    for name, quantity in diagnostic.estimates.items():
        assert within(quantity.estimate, truth[name], 4.5), name


def test_the_row_of_a_scrambled_map_is_that_of_the_map(critical32):
    straight, scrambled = (row_of(critical32, m)[0] for m in (rg.Majority(), Scrambled(rg.Majority())))
    for name in inf.NAMES:
        a, b = straight.estimates[name].estimate, scrambled.estimates[name].estimate
        assert abs(a.value - b.value) < 3 * math.hypot(a.error, b.error) + 1e-12, name
    assert "through its tile alone" in straight.why
    assert "nearest its centre" in scrambled.why


def test_the_row_says_that_a_map_reads_elsewhere(critical32):
    diagnostic, arrays = row_of(critical32, rg.untrained_rbm(1024, 256, weights_sd=0.2))
    assert "reads spins elsewhere" in diagnostic.why
    assert arrays["places"].shape == (256, 2)


@pytest.mark.parametrize("samples", [1, 2, 10])
@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Average(), rg.untrained_rbm(64, 16), rg.untrained_rbm(64, 7)])
def test_few_samples_give_a_row(samples, coarse):
    diagnostic, _ = row_of(rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=1), coarse)
    assert "constant" in diagnostic.why or "met once" in diagnostic.why or "error" in diagnostic.why


def real(v):
    """Sixteen values, one for each pattern of the tile."""
    return sum(w * v[:, i::2, j::2] for w, i, j in ((1, 0, 0), (1.1, 0, 1), (1.3, 1, 0), (1.7, 1, 1)))


@pytest.mark.parametrize(
    ("coarse", "said"),
    [
        (rg.Majority(3), "too many patterns"),
        (rg.Majority(6), "more units"),
        (lambda v: np.ones((len(v), 6, 6)), "constant"),
        (lambda v: v[:, :5, :5], "must divide 12"),
        (real, "its sign is read"),
        (lambda v: np.where(v.reshape(len(v), 6, 2, 6, 2).sum(axis=(2, 4)) > 3, 1, -1), "does not flip"),
        (lambda v: np.concatenate([v[:, ::2, ::2].reshape(-1, 36)[:, :35], 0 * v[:, 0, :1]], axis=1), "1 of 36 units"),
    ],
)
def test_the_row_says_what_it_lacks(coarse, said):
    ensemble = rg.sample(size=12, temperature=rg.CRITICAL_TEMPERATURE, samples=200, seed=1)
    diagnostic, _ = row_of(ensemble, coarse)
    assert said in diagnostic.why
    assert bool(diagnostic.estimates) == (said not in {"more units", "constant", "must divide 12"})


@pytest.mark.parametrize(("temperature", "information"), [(0, math.log(2)), (math.inf, 0.0)])
def test_the_row_at_zero_and_at_infinite_temperature(temperature, information):
    diagnostic, _ = row_of(rg.sample(size=8, temperature=temperature, samples=2000, seed=1), rg.Majority())
    for name in ("I_hE", "I_VE"):
        assert abs(diagnostic.estimates[name].estimate.value - information) < 5e-3
    assert ("I_ratio" in diagnostic.estimates) == (temperature == 0)


@pytest.mark.parametrize(
    ("h", "arguments", "said"),
    [
        (np.ones((10, 7)), {}, "places"),
        (np.ones((10, 3, 3)), {}, "divisor of 8"),
        (np.ones((10, 5)), {"places": np.zeros((4, 2), int)}, r"shape \(4, 2\)"),
        (np.ones((10, 4, 4)), {"block": 7}, "does not fit"),
        (np.ones((10, 4, 4)), {"block": 5}, "at most 16"),
        (np.ones((10, 4, 4)), {"block": -1}, "block = -1"),
    ],
)
def test_bad_input_is_named(critical8, h, arguments, said):
    with pytest.raises(InputError, match=said):
        inf.information(critical8.unpack(0, 10), h, **arguments)


@pytest.mark.usefixtures("as_users_run")
def test_every_configuration_needs_a_draw(critical8):
    with pytest.raises(InputError, match="9 draws"):
        inf.information(critical8, np.ones((9, 4, 4)))


def test_the_figure_draws_what_was_measured(critical8):
    maps = {}
    for name, coarse in {"majority": rg.Majority(), "large": rg.Majority(4), "average": rg.Average()}.items():
        diagnostic, arrays = row_of(critical8, coarse)
        maps[name] = MapReport("not judged", "control", name, {"information": diagnostic}, {"information": arrays})
    (drawn,) = inf.figures(maps)
    assert drawn.name == "information"
    labels = [tick.get_text() for tick in drawn.figure.axes[0].get_yticklabels()]
    assert labels == ["majority", "large", "average"]
    assert not list(inf.figures({"x": MapReport("", "", "", {}, {})}))
