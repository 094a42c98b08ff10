"""Sign, life, origin and site of units: what was scrambled is put back, what has no places shows."""

import functools
import math

import enumeration
import numpy as np
import pytest

import rgstep as rg
from rgstep import gauge, patterns
from rgstep.arguments import InputError
from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority, RandomTiling, Scrambled, permutation
from rgstep.correlators import measure
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.nets.rbm import RBM, untrained_rbm

SAMPLES = {8: 640, 16: 1000, 32: 1000}
SMALL = 0.4  # lattice spacings, of tiles of side 2: a third of what random centres have
NEAR_RANDOM = 0.7  # of what is expected of random centres


@functools.cache
def critical(size):
    """Critical configurations, few: centres must be found in noise."""
    return rg.sample(size, rg.CRITICAL_TEMPERATURE, SAMPLES[size], seed=size)


def scrambled(size, rule, seed=5):
    """Return h of a rule with places, the same scrambled, and the gauge found from the scrambled pictures."""
    v, given = critical(size).spins, np.random.default_rng(1)
    placed = rule.sample_h(v, given)
    h = Scrambled(rule, seed).sample_h(v, np.random.default_rng(1))
    return placed, h, gauge.find(rg.visible_hidden(v, h).value)


def shift_of(placed, found):
    """Return the translation of the coarse lattice after which two fields agree, None if there is none."""
    side = placed.shape[1]
    shifts = [(x, y) for x in range(side) for y in range(side)]
    return next((s for s in shifts if np.array_equal(np.roll(found, s, axis=(1, 2)), placed)), None)


def blobs(centres, size, width=1.0, sign=1.0):
    """Return pictures with a Gaussian spot at each centre, `(unit, row, column)`."""
    away = gauge.torus(np.arange(size)[None, None] - np.asarray(centres, float)[..., None], size)
    bell = np.exp(-((away / width) ** 2) / 2)
    return sign * bell[:, 0, :, None] * bell[:, 1, None, :]


def tiles(side, size):
    """Return the centres of the tiles, rows put end to end."""
    along = (np.arange(side) + 0.5) * size / side - 0.5
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)


# --- what was scrambled is put back


@pytest.mark.parametrize("size", SAMPLES)
@pytest.mark.parametrize("rule", [Majority(), BernoulliBlock(0.25)])
def test_order_and_signs_come_back(size, rule):
    placed, h, found = scrambled(size, rule)
    assert h.dtype == found.apply(h).dtype == np.int8
    np.testing.assert_array_equal(found.apply(h), placed)
    np.testing.assert_array_equal(found.sign, Scrambled(rule, 5).signs(h.shape[1]))
    assert found.residual < SMALL
    assert np.abs(found.offset).max() < 0.25
    assert found.constant == ()


def test_order_site_and_side_say_the_same():
    placed, h, found = scrambled(16, Majority())
    side = placed.shape[1]
    assert found.side == side
    assert sorted(found.order) == list(range(side**2))
    np.testing.assert_array_equal(found.order.reshape(side, side)[tuple(found.site.T)], np.arange(side**2))
    for unit in (0, 17, 63):
        row, column = found.site[unit]
        np.testing.assert_array_equal(placed[:, row, column], found.sign[unit] * h[:, unit])
    real = h.astype(np.float32) / 3
    assert found.apply(real).dtype == np.float32
    np.testing.assert_array_equal(found.apply(real), placed.astype(np.float32) / 3)


def test_a_corner_is_half_a_spacing_from_the_centre_of_its_tile():
    placed, h, found = scrambled(16, Decimation())
    np.testing.assert_allclose(found.offset, -0.5, atol=0.1)
    np.testing.assert_array_equal(found.apply(h), placed)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_map_with_other_places_is_not_put_back(size):
    """The twin: scattered blocks have no places, and a wrong order is no translation of the right one."""
    placed, h, found = scrambled(size, RandomTiling())
    assert found.residual > NEAR_RANDOM * found.expected_at_random
    assert shift_of(placed, found.apply(h)) is None
    untrained = untrained_rbm(size**2, size**2 // 4)
    assert gauge.find(rg.visible_hidden(critical(size), untrained).value).residual > (
        NEAR_RANDOM * found.expected_at_random
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (3, 2), (5, 7)])
def test_a_tiling_that_begins_elsewhere_is_the_same_up_to_a_translation(rows, columns):
    """Blocks that begin at row and column 1: the offset says so, and the coarse lattice is right but for its origin."""
    v = critical(16).spins
    moved = np.roll(v, (-rows, -columns), axis=(1, 2))
    placed = Majority().sample_h(moved, np.random.default_rng(1))
    h = Scrambled(Majority(), 5).sample_h(moved, np.random.default_rng(1))
    found = gauge.find(rg.visible_hidden(v, h).value)
    half = [abs(abs(x) - n % 2) for x, n in zip(found.offset, (rows, columns), strict=True)]
    assert max(half) < 0.25
    assert shift_of(placed, found.apply(h)) is not None
    assert found.residual < SMALL


@pytest.mark.parametrize("size", [16, 32])
def test_units_that_follow_nothing_do_not_push_the_others_aside(size, monkeypatch):
    """A tenth are fair coins; with neither weights nor a reach they would displace a sixth of the rest."""
    v, rule = critical(size).spins, BernoulliBlock(0.5)
    rng = np.random.default_rng(2)
    h = Scrambled(rule, 5).sample_h(v, rng)
    coins = rng.permutation(h.shape[1])[: h.shape[1] // 10]
    h[:, coins] = rng.choice(np.array([-1, 1], np.int8), (len(h), len(coins)))
    pictures = rg.visible_hidden(v, h).value
    order = permutation(h.shape[1], 5)
    true = np.stack(np.divmod(order, size // 2), axis=1)  # unit a is unit order[a] of the rule
    good = np.setdiff1d(np.arange(h.shape[1]), coins)
    found = gauge.find(pictures)
    np.testing.assert_array_equal(found.site[good], true[good])
    assert found.weight[coins].max() < 0.3 * found.weight[good].min()
    assert found.residual < 0.5 * found.expected_at_random
    centre, _ = gauge.centres(pictures, 2.0)
    monkeypatch.setattr(gauge, "REACH", math.inf)
    taken, _, _ = gauge.fit(centre, np.ones(len(h[0])), size // 2, size)
    assert (np.stack(np.divmod(taken, size // 2), axis=1)[good] != true[good]).any(axis=1).mean() > 0.02


@pytest.mark.parametrize(("size", "share"), [(16, 0.3), (32, 0.1), (32, 0.3)])
def test_copies_do_not_push_the_others_aside(size, share, monkeypatch):
    """Some units repeat others: the rest are at home but for a tenth, where all squares count a fifth is not."""
    v = critical(size).spins
    h = Majority(ties="first").sample_h(v, np.random.default_rng(0)).reshape(len(v), -1)
    rng = np.random.default_rng(5)
    copies = rng.permutation(h.shape[1])[: round(share * h.shape[1])]
    h[:, copies] = h[:, rng.integers(0, h.shape[1], len(copies))]
    pictures = rg.visible_hidden(v, h).value
    assert at_home(gauge.find(pictures), copies) > 0.85
    monkeypatch.setattr(gauge, "REACH", math.inf)
    assert at_home(gauge.find(pictures), copies) < 0.85


def at_home(found, others):
    """Return the share of the units but some that have the site of their number, up to a shift of all."""
    side = found.side
    shift = (found.site - np.stack(np.divmod(np.arange(side**2), side), axis=1)) % side
    good = np.setdiff1d(np.arange(side**2), others)
    return np.bincount(shift[good] @ [side, 1]).max() / len(good)


def test_centres_may_jitter():
    rng = np.random.default_rng(3)
    sites, order = tiles(8, 16), np.random.default_rng(4).permutation(64)
    jitter = 0.25 * rng.normal(size=sites.shape)
    pictures = blobs((sites + jitter)[order], 16, sign=-1.0)
    found = gauge.find(pictures)
    np.testing.assert_array_equal(found.order, np.argsort(order))
    assert (found.sign == -1).all()
    np.testing.assert_allclose(gauge.torus(found.centre - (sites + jitter)[order], 16), 0, atol=0.05)
    assert found.residual == pytest.approx(math.sqrt((jitter**2).sum(axis=1).mean()), rel=0.1)
    np.testing.assert_allclose(found.distance, np.hypot(*jitter[order].T), atol=0.1)


@pytest.mark.parametrize(("side", "size"), [(3, 8), (5, 12), (6, 8), (8, 8), (5, 16)])
def test_the_spacing_need_not_be_whole(side, size):
    sites, order = tiles(side, size), np.random.default_rng(4).permutation(side**2)
    shift = np.array([0.3, -0.4]) * size / side
    found = gauge.find(blobs((sites + shift)[order], size, width=0.5 * size / side + 0.3))
    np.testing.assert_array_equal(found.order, np.argsort(order))
    np.testing.assert_allclose(found.offset, shift, atol=0.15)
    assert found.residual < 0.15


def test_one_unit_has_one_place():
    found = gauge.find(blobs([(1.0, 2.0)], 4))
    assert found.side == 1
    assert [found.residual, found.expected_at_random] == pytest.approx([0, 0], abs=1e-9)


# --- where a unit looks


def test_centres_are_found_between_sites():
    rng = np.random.default_rng(6)
    places = 16 * rng.random((40, 2))
    found, height = gauge.centres(blobs(places, 16, width=1.0), 2.0)
    assert np.abs(gauge.torus(found - places, 16)).max() < 0.05
    assert height.min() > 0.2 * height.max()
    moved, _ = gauge.centres(np.roll(blobs(places, 16), (3, 5), axis=(1, 2)) + 7, 2.0)
    np.testing.assert_allclose(gauge.torus(moved - found - (3, 5), 16), 0, atol=1e-9)


def test_the_peak_is_nearer_than_the_centroid():
    """The documented factor: P² has its background too, and its centroid is pulled about."""
    v = critical(32)
    pictures = rg.visible_hidden(v, Majority()).value
    true = tiles(16, 32)
    peak, _ = gauge.centres(pictures, 2.0)
    rms = [math.sqrt((gauge.torus(c - true, 32) ** 2).sum(axis=1).mean()) for c in (peak, patterns.centroid(pictures))]
    assert rms[0] < 0.25
    assert rms[1] > 4 * rms[0]


def test_sign_is_that_of_the_sum():
    pictures = blobs([(1, 1), (5, 5), (1, 5), (5, 1)], 8)
    pictures[1] *= -1
    pictures[2] -= pictures[2].mean() + 0.01  # the peak is up, the sum is not
    np.testing.assert_array_equal(gauge.find(pictures).sign, [1, -1, -1, 1])


# --- constant units


def biased_rbm(dead):
    """Return a scrambled block RBM of 64 units whose `dead` ones see nothing and lean on their biases."""
    weights = np.zeros((256, 64), np.float32)
    for unit, (row, column) in enumerate(np.ndindex(8, 8)):
        for site in np.ndindex(2, 2):
            weights[np.ravel_multi_index((2 * row + site[0], 2 * column + site[1]), (16, 16)), unit] = 0.8
    bias = np.zeros(64, np.float32)
    weights[:, list(dead)], bias[list(dead)] = 0, 3.0
    return RBM(weights, np.zeros(256, np.float32), bias)


def test_constant_units_are_named_and_put_on_what_is_left():
    dead = (3, 40)
    rbm = biased_rbm(dead)
    moments = measure(critical(16), rbm)
    means = moments.all()
    pictures = means.vh.reshape(-1, 16, 16)
    assert np.abs(pictures[3]).max() > 1e-3  # a finite sample is magnetised a little
    found = gauge.find(pictures, means.hh - means.h**2)
    assert found.constant == dead
    np.testing.assert_array_equal(found.order, np.arange(64))
    assert np.isnan(found.distance[list(dead)]).all()
    assert not found.weight[list(dead)].any()
    assert found.weight.mean() == pytest.approx(1)
    assert found.residual < SMALL
    assert gauge.find(pictures).constant == ()  # the twin: pictures alone do not tell


def test_flat_pictures_are_constant_without_being_told():
    pictures = blobs(tiles(4, 8), 8)
    pictures[[2, 9]] = 0
    pictures[5] = -0.25
    found = gauge.find(pictures)
    assert found.constant == (2, 5, 9)
    np.testing.assert_array_equal(np.delete(found.order, [2, 5, 9]), np.delete(np.arange(16), [2, 5, 9]))
    assert sorted(found.order) == list(range(16))
    assert (found.sign == 1).all()


def test_if_all_units_are_constant_there_is_no_residual():
    found = gauge.find(np.zeros((16, 8, 8)))
    assert found.constant == tuple(range(16))
    assert math.isnan(found.residual)
    np.testing.assert_array_equal(found.order, np.arange(16))
    np.testing.assert_array_equal(found.apply(np.ones((3, 16), np.int8)), np.ones((3, 4, 4)))


def test_few_samples_give_a_gauge_not_an_error():
    v = critical(8).spins[:3]
    found = gauge.find(rg.visible_hidden(v, Scrambled(Majority()).sample_h(v, np.random.default_rng(0))).value)
    assert sorted(found.order) == list(range(16))
    assert np.isfinite([found.residual, found.expected_at_random]).all()


def test_at_zero_temperature_units_are_alive_that_follow_the_spins():
    """All pictures are flat there; what h does is in its variance."""
    up = np.where(np.arange(40) % 2, -1, 1).astype(np.int8)
    v = np.broadcast_to(up[:, None, None], (40, 8, 8)).copy()
    h = Majority().mean_h(v).reshape(40, -1) * np.where(np.arange(16) == 3, -1, 1)
    h[:, 7] = 1
    means = measure(v, h).all()
    found = gauge.find(means.vh.reshape(-1, 8, 8), means.hh - means.h**2)
    assert found.constant == (7,)
    np.testing.assert_array_equal(found.sign, np.where(np.arange(16) == 3, -1, 1))
    assert gauge.find(means.vh.reshape(-1, 8, 8)).constant == tuple(range(16))  # the twin: pictures alone do not tell


def test_the_residual_is_that_of_the_units_that_are_alive():
    pictures = blobs(tiles(4, 8) + np.random.default_rng(8).normal(0, 0.3, (16, 2)), 8)
    pictures[5] = 0
    found = gauge.find(pictures)
    assert found.constant == tuple(np.flatnonzero(~found.alive)) == (5,)
    kept = found.alive
    weighted = (found.weight[kept] * found.distance[kept] ** 2).sum() / found.weight[kept].sum()
    assert found.residual == pytest.approx(math.sqrt(weighted))
    assert 0.2 < found.residual < 0.6


# --- units that come as a lattice


@pytest.mark.parametrize("size", SAMPLES)
def test_a_given_lattice_stays_as_it_came(size):
    v = critical(size)
    h = Majority().sample_h(v.spins, np.random.default_rng(1))
    found = gauge.find(rg.visible_hidden(v, h).value, given=True)
    assert (found.given, found.turn, found.side) == (True, 0, size // 2)
    np.testing.assert_array_equal(found.order, np.arange(len(found.order)))
    np.testing.assert_array_equal(found.site, np.stack(np.divmod(np.arange(len(found.order)), size // 2), axis=1))
    np.testing.assert_array_equal(found.apply(h), h)
    assert np.shares_memory(found.apply(h), h)
    assert found.residual < SMALL


@pytest.mark.parametrize("which", range(8))
def test_a_lattice_that_came_turned_is_turned_back(which):
    """Its eight views, one unit in three with the other sign."""
    v = critical(16)
    placed = Majority().sample_h(v.spins, np.random.default_rng(1))
    view = gauge.symmetries(8)[which]
    sign = np.where(np.arange(64) % 3, 1, -1).astype(np.int8)
    h = (placed.reshape(-1, 64)[:, view] * sign).reshape(placed.shape)
    found = gauge.find(rg.visible_hidden(v, h).value, given=True)
    np.testing.assert_array_equal(found.sign, sign)
    np.testing.assert_array_equal(found.order, gauge.symmetries(8)[found.turn])
    np.testing.assert_array_equal(found.apply(h), placed)
    assert (found.turn == 0) == (which == 0)
    assert found.residual < SMALL
    assert found.apply(h).dtype == np.int8


def test_a_given_lattice_of_scattered_blocks_stays_as_it_came():
    """The twin: its centres lie anywhere, and no view of it is nearer to them than half of what random ones are."""
    v = critical(16)
    h = RandomTiling().sample_h(v.spins, np.random.default_rng(1))
    found = gauge.find(rg.visible_hidden(v, h).value, given=True)
    assert found.turn == 0
    np.testing.assert_array_equal(found.apply(h), h)
    assert found.residual > NEAR_RANDOM * found.expected_at_random


def test_a_given_lattice_may_lie_between_the_sites():
    """Decimation keeps the corner, half a spacing from the middle of its tile; a shift by whole tiles is no offset."""
    v = critical(16)
    for moved, offset in ((0, -0.5), (1, 0.5), (2, -0.5), (3, 0.5)):
        spins = np.roll(v.spins, -moved, axis=(1, 2))
        found = gauge.find(rg.visible_hidden(v, Decimation().mean_h(spins)).value, given=True)
        away = (found.offset - offset + 1) % 2 - 1  # ±1, half a tile, is on the edge
        np.testing.assert_allclose(away, 0, atol=0.1)
        assert (np.abs(found.offset) <= 1).all()
        assert found.turn == 0
        assert found.residual < SMALL


def test_units_of_a_given_lattice_without_a_clear_sign_take_that_of_the_rest():
    pictures = -blobs(tiles(4, 8), 8)
    pictures[[2, 6]] *= -0.1
    clear = np.ones(16, bool)
    np.testing.assert_array_equal(np.flatnonzero(gauge.find(pictures, given=True).sign == 1), [2, 6])
    clear[2] = False
    np.testing.assert_array_equal(np.flatnonzero(gauge.find(pictures, given=True, clear=clear).sign == 1), [6])
    found = gauge.find(pictures, clear=clear)  # the twin: places that are found have signs of their own
    np.testing.assert_array_equal(np.flatnonzero(found.sign == 1), [2, 6])


def test_lattices_are_told_from_each_other_by_where_their_units_look():
    """`turned` on centres that jitter: each of the eight views of a lattice is brought back."""
    jitter = np.random.default_rng(9).normal(0, 0.2, (25, 2))
    centre, weight, alive = tiles(5, 15) + jitter, np.ones(25), np.ones(25, bool)
    alive[[3, 11]] = False
    for view in gauge.symmetries(5):
        turn, offset, distance = gauge.turned(centre[view], weight[view], alive[view], 15)
        np.testing.assert_array_equal(view[gauge.symmetries(5)[turn]], np.arange(25))
        mean = jitter[alive].mean(axis=0)
        np.testing.assert_allclose(offset, mean, atol=0.02)
        np.testing.assert_allclose(np.sort(distance), np.sort(np.hypot(*(jitter[alive] - offset).T)), atol=1e-6)


# --- origin and scale


def of_all_states(function):
    """Return the origin of a function of all states of the 4×4 torus, its expectations those at K = 0."""
    v = enumeration.states(4)
    return gauge.origin_of(function(v), function(v), function(-v))


def test_how_far_a_map_breaks_the_flip_in_closed_form():
    """h = v₀ + ε v₀v₁ + 7: the middle of ±v is 7 + ε v₀v₁, ε is what is left of it and √(1 + ε²) the variation."""
    for eps in (0.0, 0.1, 0.5):
        origin = of_all_states(lambda v, eps=eps: v[:, :1, 0] * (1.0 + eps * v[:, :1, 1]) + 7)
        np.testing.assert_allclose(origin.centre, 7)
        assert origin.flip_breaking == pytest.approx(eps / math.sqrt(1 + eps**2), abs=1e-7)
        assert origin.spins is (eps == 0)  # 6 and 8 are two values


def test_what_is_written_from_an_origin_keeps_its_type():
    h = enumeration.states(4).reshape(-1, 16)[:, :4]
    spins = gauge.origin_of(h, h.astype(np.float32), -h.astype(np.float32))
    assert spins.trivial
    assert spins.apply(h) is h
    real = gauge.Origin(np.full(4, 0.5), np.full(4, 0.5), 1e-6, True, 0.0)
    assert not real.trivial
    for dtype, expected in ((np.int8, np.float32), (np.float32, np.float32), (np.float64, np.float64)):
        found = real.apply(((1 + h) // 2).astype(dtype))
        assert found.dtype == expected
        np.testing.assert_array_equal(found, h)
    assert real.apply(np.full((1, 4), 0.5 + 1e-7)).tolist() == [[0, 0, 0, 0]]  # rounding is no sign
    assert real.apply(np.full((1, 4), 0.5 + 1e-5)).min() > 0  # the twin


def test_a_map_written_from_its_origin_draws_spins():
    class Bits:
        def mean_h(self, v):
            return (1 + Majority().mean_h(v)) / 2

        def sample_h(self, v, rng):
            return ((1 + Majority().sample_h(v, rng)) // 2).astype(np.uint8)

    v = critical(8).spins
    raw = Bits().sample_h(v, np.random.default_rng(3))
    written = gauge.Written(Bits(), gauge.origin_of(raw, Bits().mean_h(v), Bits().mean_h(-v)))
    drawn = written.sample_h(v, np.random.default_rng(3))
    assert drawn.dtype == np.int8
    np.testing.assert_array_equal(drawn, Majority().sample_h(v, np.random.default_rng(3)))
    np.testing.assert_array_equal(written.mean_h(v), Majority().mean_h(v))


# --- what random centres give


def formula(side):
    """Return ln n/4π + 0.184 − ¼ l^(−3/2), in coarse spacings squared."""
    return math.log(side**2) / (4 * math.pi) + 0.184 - 0.25 * side**-1.5


@pytest.mark.parametrize(("side", "repeats"), [(2, 800), (4, 300), (8, 60)])
def test_random_centres_have_the_residual_expected(side, repeats, monkeypatch):
    """The formula to 3 % and 4 errors of many throws, the few of the package to 15 %; jittered sites have less.

    The formula is that of the least Σ d², units farther than a spacing from their sites as dear as their distance.
    """
    monkeypatch.setattr(gauge, "REACH", math.inf)
    ones, size = np.ones(side**2), 2 * side
    squares, near = [], []
    for i in range(repeats):
        rng = np.random.default_rng([7, side, i])
        squares.append((gauge.fit(size * rng.random((side**2, 2)), ones, side, size)[2] ** 2).mean() / 4)
        jittered = tiles(side, size) + 0.4 * rng.normal(size=(side**2, 2))
        near.append((gauge.fit(jittered, ones, side, size)[2] ** 2).mean() / 4)
    error = np.std(squares) / math.sqrt(repeats)
    assert abs(np.mean(squares) - formula(side)) < 0.03 * formula(side) + 4 * error
    assert (gauge.residual_at_random(ones, side, size) / 2) ** 2 == pytest.approx(np.mean(squares), rel=0.15)
    assert np.mean(near) < 0.6 * formula(side)


def test_few_centres_that_count_fit_better_at_random():
    weight = np.full(64, 1e-6)
    weight[:8] = 1
    assert gauge.residual_at_random(weight, 8, 16) < 0.7 * gauge.residual_at_random(np.ones(64), 8, 16)


# --- what is refused


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (np.zeros((4, 16)), r"pictures of shape \(4, 16\): expected \(unit, L, L\)"),
        (np.zeros((4, 4, 8)), r"pictures of shape \(4, 4, 8\)"),
        (np.zeros((0, 4, 4)), r"pictures of shape \(0, 4, 4\)"),
        (np.full((4, 4, 4), np.nan), "the picture of unit 0 holds nan: must be finite"),
    ],
)
def test_wrong_pictures_are_refused(pictures, message):
    with pytest.raises(InputError, match=message):
        gauge.find(pictures)


def test_wrong_variances_and_h_are_refused():
    pictures = blobs(tiles(2, 8), 8)
    with pytest.raises(InputError, match=r"variance of shape \(3,\) for 4 units"):
        gauge.find(pictures, np.ones(3))
    found = gauge.find(pictures)
    for shape in ((7, 5), (7, 3, 3), (7, 2, 2, 1), (7,)):
        with pytest.raises(InputError, match="the gauge is that of 4 units"):
            found.apply(np.ones(shape, np.int8))
    assert found.apply(np.ones((7, 2, 2), np.int8)).shape == found.apply(np.ones((7, 4), np.int8)).shape == (7, 2, 2)


def test_units_that_fill_no_lattice_have_sign_and_life_and_no_site():
    pictures = blobs([(1, 1), (5, 5), (1, 5), (5, 1), (3, 3)], 8)
    pictures[1] *= -1
    pictures[4] = 0
    found = gauge.find(pictures)
    np.testing.assert_array_equal(found.sign, [1, -1, 1, 1, 1])
    np.testing.assert_array_equal(found.alive, [True] * 4 + [False])
    assert found.constant == (4,)
    np.testing.assert_allclose(found.centre[:4], [(1, 1), (5, 5), (1, 5), (5, 1)], atol=0.05)
    assert found.weight[:4].min() > 0.9
    assert (found.site, found.order, found.side, found.turn, found.given) == (None, None, 0, 0, False)
    assert np.isnan([found.residual, found.expected_at_random, *found.distance]).all()
    with pytest.raises(InputError, match=r"h of shape \(7, 5\): the gauge is that of 5 units"):
        found.apply(np.ones((7, 5), np.int8))
    assert gauge.find(pictures[:4]).side == 2  # the twin: four of them do


def test_which_numbers_of_units_fill_a_lattice():
    assert [n for n in range(30) if gauge.fills_a_lattice(n)] == [1, 4, 9, 16, 25]


# --- partial correlations of pictures


def exact_two_point(coupling):
    """Return G(d) of the 4×4 torus."""
    first = enumeration.states(4)[:, :1, :1].astype(float)
    return enumeration.expectation(first * enumeration.states(4), 4, coupling)


@pytest.mark.parametrize("rule", [Average(), Decimation()])
@pytest.mark.parametrize("coupling", [0.2, CRITICAL_COUPLING, 1.0])
def test_partial_correlations_of_a_linear_map_are_its_coefficients(rule, coupling):
    pictures = enumeration.visible_hidden(rule.mean_h, 4, coupling)
    partial = patterns.partial_correlations(pictures, exact_two_point(coupling))
    one = np.zeros((16, 4, 4), np.int8)  # E[h] of one spin up and all others 0
    np.put(one, np.arange(16) * 17, 1)
    coefficients = rule.mean_h(one).reshape(16, 4).T.reshape(4, 4, 4)
    np.testing.assert_allclose(partial, coefficients, atol=1e-9)
    assert np.abs(pictures - coefficients).max() > 0.03  # the twin: what is not divided


def test_partial_correlations_are_the_least_squares_fit():
    p = enumeration.probabilities(4, CRITICAL_COUPLING)
    v = enumeration.states(4).reshape(-1, 16).astype(float)
    h = np.tanh(0.7 * v[:, 0] * v[:, 1] * v[:, 5] + 0.5 * v[:, 9] - 0.2 * v[:, 2])
    fit = np.linalg.lstsq(np.sqrt(p)[:, None] * v, np.sqrt(p) * h, rcond=None)[0]
    picture = ((p * h) @ v).reshape(1, 4, 4)
    partial = patterns.partial_correlations(picture, exact_two_point(CRITICAL_COUPLING))
    np.testing.assert_allclose(partial.ravel(), fit, atol=1e-9)


def test_modes_that_do_not_move_are_left_out():
    """At T = 0 only the mean moves: of all coefficients with sum 1 the shortest are 1/N."""
    partial = patterns.partial_correlations(np.ones((3, 4, 4)), np.ones((4, 4)))
    np.testing.assert_allclose(partial, 1 / 16)
    few = critical(8).spins[:2]
    two_point = rg.two_point(few).value
    assert np.isfinite(patterns.partial_correlations(rg.visible_hidden(few, Majority()).value, two_point)).all()
    with pytest.raises(InputError, match=r"pictures of shape \(3, 4, 4\) with a two-point function of shape \(8, 8\)"):
        patterns.partial_correlations(np.ones((3, 4, 4)), two_point)
