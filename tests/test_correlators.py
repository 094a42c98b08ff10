"""⟨v h⟩ and two-point functions against loops, their errors against what errors mean."""

import re

import numpy as np
import pytest

from rgstep import (
    Average,
    Decimation,
    InputError,
    Majority,
    ensemble,
    ensemble_from_array,
    two_point,
    visible_hidden,
)
from rgstep.correlators import measure
from rgstep.ensemble import Level
from rgstep.estimates import group_bounds

SETS = 200
SAMPLES = 512  # 8 in each of the 64 groups


def spins(rng, *shape):
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)


def standard_error_of_groups(values, groups=64):
    """The standard error of the mean from equal contiguous groups of samples."""
    means = np.stack([part.mean(axis=0) for part in np.split(values, groups)])
    return means.std(axis=0, ddof=1) / np.sqrt(groups)


# --- the worked example of the post (reference.md section 1)

POST_V = np.array(
    [
        [[1, 1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, -1], [1, 1, 1, 1]],
        [[1, -1, -1, -1], [-1, 1, -1, 1], [1, 1, 1, -1], [1, -1, -1, -1]],
    ]
)
POST_H = np.array([[[1, -1], [-1, -1]], [[1, 1], [1, -1]]])


def test_the_worked_example_of_the_post():
    estimate = visible_hidden(POST_V, POST_H)
    assert np.shape(estimate.value) == (4, 4, 4)
    assert estimate.value[0, 0, 0] == 1
    assert estimate.value[3, 3, 3] == 0
    for a in range(4):
        for i in range(16):
            expected = sum(POST_V[k].ravel()[i] * POST_H[k].ravel()[a] for k in range(2)) / 2
            assert estimate.value[a].ravel()[i] == expected


# --- values and errors


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize(("v_shape", "h_shape"), [((4, 4), (5,)), ((16,), (5,)), ((4, 4), (2, 2)), ((16,), (3, 3))])
def test_visible_hidden_is_the_mean_of_products(rng, v_shape, h_shape, connected):
    """Values against an einsum, errors against the spread of 64 equal groups, for all accepted shapes."""
    v = spins(rng, 640, *v_shape)
    h = rng.standard_normal((640, *h_shape)) + v.reshape(640, -1)[:, :1].reshape(-1, *[1] * len(h_shape)) + 0.3
    estimate = visible_hidden(v, h, connected)
    x, y = v.reshape(640, 16).astype(float), h.reshape(640, -1)
    expected = np.einsum("ki,ka->ai", x, y) / 640 - connected * np.outer(y.mean(axis=0), x.mean(axis=0))
    assert np.shape(estimate.value) == np.shape(estimate.error) == (y.shape[1], 4, 4)
    np.testing.assert_allclose(estimate.value, expected.reshape(-1, 4, 4), atol=1e-12)
    if connected:  # to leading order the error of the mean of (v − v̄)(h − h̄)
        products = (x - x.mean(axis=0))[:, None, :] * (y - y.mean(axis=0))[:, :, None]
        np.testing.assert_allclose(estimate.error, standard_error_of_groups(products).reshape(-1, 4, 4), rtol=0.05)
    else:
        products = x[:, None, :] * y[:, :, None]
        np.testing.assert_allclose(estimate.error, standard_error_of_groups(products).reshape(-1, 4, 4), rtol=1e-6)


def test_unequal_groups_give_the_jackknife_of_their_own_weights(rng):
    """100 samples make 64 groups of one or two: the delete-a-group formula, written out."""
    v, h = spins(rng, 100, 4, 4), rng.standard_normal((100, 2))
    products = v.reshape(100, 1, 16) * h[:, :, None]
    left_out = np.stack([np.delete(products, np.s_[a:b], axis=0).mean(axis=0) for a, b in group_bounds(100, 64)])
    expected = np.sqrt(63 / 64 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(visible_hidden(v, h).error, expected.reshape(2, 4, 4), rtol=1e-9)


def test_units_count_row_by_row():
    """Unit a of a placed h is site (a // l, a % l): decimation's picture is 1 at its own corner, whatever the data."""
    v = spins(np.random.default_rng(0), 64, 8, 8)
    pictures = visible_hidden(v, Decimation()).value
    for a in range(16):
        assert pictures[a, 2 * (a // 4), 2 * (a % 4)] == 1
        assert (pictures[a] == 1).sum() == 1


def test_maps_functions_and_their_values_agree(rng):
    v = spins(rng, 200, 4, 4)
    reference = visible_hidden(v, Average().mean_h(v))
    for data in (v, v.reshape(200, 16), ensemble_from_array(v, temperature=2.0), v.astype(float)):
        for h in (Average(), lambda s: s.reshape(-1, 2, 2, 2, 2).mean(axis=(2, 4))):
            other = visible_hidden(data, h)
            np.testing.assert_allclose(other.value, reference.value, atol=1e-7)
            np.testing.assert_allclose(other.error, reference.error, atol=1e-7)


def test_the_mean_of_h_is_used_not_a_draw(rng):
    """A tie of the majority counts 0, so two runs agree to the last bit."""
    v = spins(rng, 200, 4, 4)
    first, again = visible_hidden(v, Majority()), visible_hidden(v, Majority())
    np.testing.assert_array_equal(first.value, again.value)
    np.testing.assert_allclose(first.value, visible_hidden(v, Majority(ties="zero")).value)


@pytest.mark.parametrize("sites", [1, 16, 16 * 7])
def test_the_result_does_not_depend_on_the_pieces(rng, monkeypatch, sites):
    v, h = spins(rng, 300, 4, 4), rng.standard_normal((300, 3))
    whole, whole_g = visible_hidden(v, h), two_point(v)
    monkeypatch.setattr(ensemble, "PIECE_SITES", sites)
    parts, parts_g = visible_hidden(v, h), two_point(v)
    for one, other in ((whole, parts), (whole_g, parts_g)):
        np.testing.assert_allclose(one.value, other.value, atol=1e-12)
        np.testing.assert_allclose(one.error, other.error, atol=1e-12)


def test_the_value_does_not_depend_on_the_number_of_groups(rng):
    v, h = spins(rng, 300, 4, 4), rng.standard_normal((300, 3))
    means = [measure(v, h, groups=g).all() for g in (1, 7, 64, 300, 1000)]
    for other in means[1:]:
        for name, part, reference in zip(other._fields, other, means[0], strict=True):
            np.testing.assert_allclose(part, reference, atol=1e-12, err_msg=name)


def test_the_moments_are_those_of_the_samples(rng):
    v, h = spins(rng, 130, 4, 4), rng.standard_normal((130, 3))
    moments = measure(v, h)
    means = moments.all()
    np.testing.assert_allclose(means.v, v.reshape(130, 16).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(means.h, h.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(means.hh, (h**2).mean(axis=0), atol=1e-12)
    assert float(means.mm) == pytest.approx((v.sum(axis=(1, 2)) ** 2).mean())
    start, stop = group_bounds(130, 64)[5]
    fifth = list(moments.left_out())[5]
    np.testing.assert_allclose(fifth.h, np.delete(h, np.s_[start:stop], axis=0).mean(axis=0), atol=1e-12)


def test_float64_keeps_its_precision(rng):
    """v h = 1 + 1e-10 x: the difference is lost in float32."""
    v = spins(rng, 64, 4, 4)
    h = v.reshape(64, 16)[:, :1] * (1 + 1e-10)
    for given in (h, lambda s: s.reshape(len(s), -1)[:, :1].astype(np.float64) * (1 + 1e-10)):
        value = visible_hidden(v, given).value[0, 0, 0]
        assert value - 1 == pytest.approx(1e-10, rel=1e-4)
    assert visible_hidden(v, h.astype(np.float32)).value[0, 0, 0] == 1


def test_integer_h_is_welcome(rng):
    v, h = spins(rng, 64, 4, 4), spins(rng, 64, 3)
    for kind in (np.int8, np.int64, np.float16):
        np.testing.assert_allclose(
            visible_hidden(v, h.astype(kind)).value, visible_hidden(v, h.astype(float)).value, atol=1e-6
        )


def test_one_sample_has_a_value_and_no_error():
    v = np.ones((1, 4, 4), np.int8)
    for estimate in (visible_hidden(v, np.array([[0.5, -1.0]])), two_point(v)):
        assert np.isfinite(estimate.value).all()
        assert np.isnan(estimate.error).all()


# --- do the errors mean what they say?


def scores(rng, repeat=1, shuffle=False):
    """z = (measured − exact)/error of ⟨v_i h_a⟩ on 2×2 data with ⟨v_i h_i⟩ = 0.6 and 0 elsewhere, set after set.

    The modulus of h varies, so that z is continuous. Each sample comes `repeat` times in a row; shuffled, the copies
    hide from the groups.
    """
    exact = 0.6 * np.eye(4)
    z = np.empty((SETS, 4, 4))
    for s in range(SETS):
        v = spins(rng, SAMPLES // repeat, 4)
        h = np.where(rng.random(v.shape) < 0.8, v, -v) * rng.uniform(0.5, 1.5, v.shape)
        rows = np.repeat(np.arange(len(v)), repeat)
        rows = rng.permutation(rows) if shuffle else rows
        estimate = visible_hidden(v[rows], h[rows])
        z[s] = (estimate.value.reshape(4, 4) - exact) / estimate.error.reshape(4, 4)
    return z


def coverage(z):
    return (np.abs(z) < 1).mean()


# 200 sets of 16 values each, correlation between those of one set below 0.1: σ of the fraction ≈ 0.009 (binomial)
EXPECTED, ALLOWED = 0.679, 4 * 0.009  # Student's t with 63 degrees of freedom


def test_jackknife_errors_cover_the_truth(rng):
    z = scores(rng)
    assert coverage(z) == pytest.approx(EXPECTED, abs=ALLOWED)
    assert np.abs(z).max() > 2.5


def test_groups_see_correlations_shorter_than_themselves(rng):
    """Eight copies in a row fill one group: the error grows with them and still covers."""
    assert coverage(scores(rng, repeat=8)) == pytest.approx(EXPECTED, abs=ALLOWED)


def test_coverage_notices_samples_that_are_not_independent(rng):
    """Four copies scattered over all groups: errors are half of what they should be, P(|z| < 1) ≈ 0.38."""
    assert coverage(scores(rng, repeat=4, shuffle=True)) < EXPECTED - 4 * ALLOWED


# --- two-point functions


def naive_two_point(field, connected):
    L = field.shape[1]
    g = np.zeros((L, L))
    for x in range(L):
        for y in range(L):
            for dx in range(L):
                for dy in range(L):
                    g[dx, dy] += (field[:, x, y] * field[:, (x + dx) % L, (y + dy) % L]).mean() / L**2
    return g - connected * field.mean() ** 2


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("block", [None, Average(), Majority()])
def test_two_point_is_the_average_over_the_torus(critical8, block, connected):
    field = critical8.spins[:200] if block is None else block.mean_h(critical8.spins[:200])
    estimate = two_point(field, connected)
    np.testing.assert_allclose(estimate.value, naive_two_point(field.astype(float), connected), atol=1e-6)
    assert np.shape(estimate.error) == field.shape[1:]


def test_two_point_of_unequal_directions(rng):
    """Stripes along the columns' direction: rows and columns of d are not exchanged, and asymmetric fields stay so."""
    field = rng.standard_normal((3, 6, 6)) * np.array([1, 2, 0, 0, 0, 1.0])[:, None]
    np.testing.assert_allclose(two_point(field).value, naive_two_point(field, False), atol=1e-6)


def test_a_level_is_measured_as_its_values(rng):
    """Bits and floats: moments and two-point functions of a level are those of the array it was made of."""
    v, h = spins(rng, 200, 6, 6), rng.standard_normal((200, 6, 6)).astype(np.float32)
    for values in (v, h):
        of_level, of_array = two_point(Level.of(values)), two_point(values)
        np.testing.assert_array_equal(of_level.value, of_array.value)
        np.testing.assert_array_equal(of_level.error, of_array.error)
    for part, expected in zip(measure(Level.of(v), h).groups, measure(v, h).groups, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_two_point_errors_are_those_of_groups(critical8):
    spins_ = critical8.spins.astype(float)
    d = (1, 2)
    each = (spins_ * np.roll(spins_, (-1, -2), axis=(1, 2))).mean(axis=(1, 2))
    assert two_point(critical8).error[d] == pytest.approx(standard_error_of_groups(each), rel=1e-5)
    assert two_point(critical8).value[0, 0] == pytest.approx(1)


@pytest.mark.parametrize("shape", [(10, 5), (10,), (10, 4, 5), (2, 3, 4, 4)])
def test_two_point_needs_places(rng, shape):
    with pytest.raises(InputError, match=re.escape(str(shape))):
        two_point(rng.standard_normal(shape))


@pytest.mark.parametrize(
    "field",
    [np.zeros((0, 4, 4)), np.full((3, 4, 4), np.nan), np.ones((3, 4, 4)) * 1j, np.full((3, 4, 4), "a")],
    ids=["empty", "nan", "complex", "strings"],
)
def test_two_point_refuses_what_is_no_field(field):
    with pytest.raises(InputError):
        two_point(field)


# --- bad input

GOOD_V = np.ones((6, 4, 4), np.int8)
GOOD_H = np.ones((6, 3))


@pytest.mark.parametrize(
    ("v", "rule"),
    [
        (np.zeros((6, 4, 4)), r"0.0: spins must be \+1 or -1; for 0/1 arrays use 2 \* v - 1"),
        (np.tile([0, 1], (6, 8)), r"2 \* v - 1"),
        (np.ones((6, 4, 4), bool), "booleans"),
        (np.full((6, 4, 4), 0.5), "contains 0.5"),
        (np.full((6, 4, 4), np.nan), "contains nan"),
        (np.full((6, 4, 4), "up"), "type"),
        (np.ones(16), "shape"),
        (np.ones((6, 4, 5)), r"\(6, 4, 5\)"),
        (np.ones((6, 15)), r"\(6, 15\)"),
        (np.ones((6, 2, 4, 4)), r"\(6, 2, 4, 4\)"),
        (np.ones((0, 4, 4)), r"\(0, 4, 4\)"),
        (1.0, r"\(\)"),
    ],
)
def test_configurations_that_are_not_spins_are_refused(v, rule):
    with pytest.raises(InputError, match=rule):
        visible_hidden(v, GOOD_H)


@pytest.mark.parametrize(
    ("h", "rule"),
    [
        (np.ones((5, 3)), "5 rows for 6"),
        (np.ones(6), r"\(6,\)"),
        (np.ones((6, 2, 3)), r"\(6, 2, 3\)"),
        (np.ones((6, 2, 2, 2)), r"\(6, 2, 2, 2\)"),
        (np.ones((6, 0)), r"\(6, 0\)"),
        (np.where(np.eye(6, 3), np.nan, 1), "nan"),
        (np.where(np.eye(6, 3), np.inf, 1), "inf"),
        (np.ones((6, 3), bool), "bool"),
        (np.ones((6, 3), complex), "complex"),
        (np.full((6, 3), "a"), "U1"),
        ([[1.0, 2.0], [1.0]], "shape|inhomogeneous"),
    ],
)
def test_hidden_variables_that_make_no_sense_are_refused(h, rule):
    with pytest.raises(InputError, match=rule):
        visible_hidden(GOOD_V, h)


def test_room_for_the_group_means_is_asked_for_first():
    with pytest.raises(InputError, match="memory"):
        visible_hidden(np.ones((1, 512, 512), np.int8), np.zeros((1, 2_000_000), np.int8))
