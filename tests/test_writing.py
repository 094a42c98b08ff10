"""What is said of a map does not depend on how its h is written: signs, order, origin, scale, reflections."""

import math

import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep import gauge
from rgstep.battery import measure_map
from rgstep.controls import HAND_MADE, UNTRAINED
from rgstep.ensemble import compact
from rgstep.gauge import Written, origin_of, two_values
from rgstep.instruments import DECIDING, vh_pattern
from rgstep.results import FEATURES
from rgstep.streams import stream

pytestmark = pytest.mark.usefixtures("as_users_run")  # the checks of types take most of the time here

SIZE = 8
READ_ELSEWHERE = ("random_tiling", "far_majority")  # their units read spins that are not about their places
LATTICE_IS_CHANCE = ("random_tiling", "far_majority")  # their centres say nothing of the lattice, which is not turned


@pytest.fixture(scope="module")
def ensemble():
    """640 critical configurations of side 8."""
    return rg.sample(SIZE, samples=640, seed=8)


class Rewritten:
    """A map whose h is written in another way."""

    def __init__(self, inner, change):
        self.inner, self.change = inner, change

    def mean_h(self, v):
        return self.change(self.inner.mean_h(v))

    def sample_h(self, v, rng):
        return self.change(self.inner.sample_h(v, rng))


def some_signs(h):
    return 2 * stream(1, "signs in a test", h[0].size).integers(0, 2, h.shape[1:]) - 1


def some_constants(h):
    return stream(2, "constants in a test", h[0].size).normal(0, 3, h.shape[1:])


def some_order(h):
    return stream(3, "order in a test", h[0].size).permutation(h[0].size)


WRITTEN = {
    "h + 0.1": lambda h: h + 0.1,
    "1000 + h": lambda h: 1000.0 + h,
    "(1 + h) / 2": lambda h: (1 + h) / 2,
    "-h": lambda h: -h,
    "h + c": lambda h: h + some_constants(h),
    "s h": lambda h: h * some_signs(h),
    "reflected": lambda h: h[:, ::-1],
    "transposed": lambda h: h.transpose(0, 2, 1),
    "turned": lambda h: h.transpose(0, 2, 1)[:, ::-1],
    "all of it": lambda h: h[:, :, ::-1].transpose(0, 2, 1) * some_signs(h) + some_constants(h),
}
OF_UNITS = {
    "h + c": WRITTEN["h + c"],
    "(1 - h) / 2": lambda h: (1 - h) / 2,
    "s π(h) + c": lambda h: (h * some_signs(h) + some_constants(h))[:, some_order(h)],
}


def control(name):
    return rg.untrained_rbm(SIZE**2, SIZE**2 // 4, 0) if name == UNTRAINED else HAND_MADE[name](2)


def cases():
    for name in [*HAND_MADE, UNTRAINED]:
        dense = name in (UNTRAINED, "scrambled_majority")
        for written in OF_UNITS if dense else WRITTEN:
            fast = written in ("all of it", "s π(h) + c") or name in ("majority", "average")
            yield pytest.param(name, written, marks=[] if fast else pytest.mark.slow)


@pytest.fixture(scope="module")
def as_it_is(ensemble):
    """The judgement on a control as it is, each made once."""
    found = {}

    def judged(name):
        if name not in found:
            found[name] = rg.judge(ensemble, {"h": control(name)}).maps["h"]
        return found[name]

    return judged


@pytest.mark.parametrize(("name", "written"), list(cases()))
def test_a_control_written_otherwise_is_judged_alike(ensemble, as_it_is, name, written):
    change = {**WRITTEN, **OF_UNITS}[written]
    expected = as_it_is(name)
    found = rg.judge(ensemble, {"h": Rewritten(control(name), change)}).maps["h"]
    assert found.verdict == expected.verdict
    if name in LATTICE_IS_CHANCE and written in ("reflected", "transposed", "turned", "all of it"):
        return  # iterated, such a map reads its own reflected h: the same in law, not sample by sample
    for row in DECIDING:
        if row == "gain" and name in READ_ELSEWHERE:
            continue  # exact for a rule of ours; of another's it is read about its units' places
        assert found.diagnostics[row].passed == expected.diagnostics[row].passed, row
        if name == "average" and written == "(1 + h) / 2":
            continue  # half the average: what is in units of h is halved
        before, after = expected.diagnostics[row].estimates, found.diagnostics[row].estimates
        assert before.keys() - {"participation_w"} == after.keys(), row  # weights are seen where h is an RBM's own
        for quantity, expected_of in ((name, before[name]) for name in after):
            value, error = float(expected_of.estimate.value), float(expected_of.estimate.error)
            near = 1e-3 * (abs(value) + (error if math.isfinite(error) else 0)) + 1e-5
            if row == "gain" and expected_of.estimate.error == 0:  # the law of a rule of ours, not of another's
                near = 4 * float(after[quantity].estimate.error) + 1e-9
            assert float(after[quantity].estimate.value) == pytest.approx(value, abs=near, nan_ok=True), quantity


def test_what_is_not_a_renaming_is_seen(ensemble):
    """The twin: signs that differ from sample to sample, and constants that do, are not put right."""

    class Restless(Rewritten):
        def mean_h(self, v):
            return 0 * self.inner.mean_h(v)

        def sample_h(self, v, rng):
            return self.inner.sample_h(v, rng) * (2 * rng.integers(0, 2, (len(v), 1, 1)) - 1)

    assert rg.judge(ensemble, {"h": Restless(rg.Majority(), None)}).maps["h"].verdict == FEATURES


@pytest.mark.parametrize("name", ["bernoulli_1.0", "bernoulli_0.25", "majority"])
def test_draws_of_zero_and_one_are_the_same_law(ensemble, as_it_is, name):
    class ZeroOne(Rewritten):
        def mean_h(self, v):
            return (1 + self.inner.mean_h(v)) / 2

        def sample_h(self, v, rng):
            return ((1 + self.inner.sample_h(v, rng)) // 2).astype(np.uint8)

    found, expected = rg.judge(ensemble, {"h": ZeroOne(control(name), None)}).maps["h"], as_it_is(name)
    assert found.verdict == expected.verdict
    for row in expected.diagnostics:
        if row not in ("kadanoff_gap", "training"):
            assert found.diagnostics[row].passed == expected.diagnostics[row].passed
            for quantity, q in expected.diagnostics[row].estimates.items():
                if "sharp" not in quantity:  # the ladder is for maps whose inputs are known
                    other = found.diagnostics[row].estimates[quantity].estimate
                    near = 4 * float(other.error) if row == "gain" and q.estimate.error == 0 else 1e-4
                    expect = pytest.approx(float(q.estimate.value), rel=1e-3, abs=near, nan_ok=True)
                    assert float(other.value) == expect, quantity


def origin(function, v):
    h, flipped = function(v), function(-v)
    return origin_of(h, h, flipped)


def test_origins_in_closed_form(ensemble):
    v = ensemble.unpack()
    average, first = rg.Average().mean_h, rg.Decimation().mean_h
    plain = origin(average, v)
    assert plain.trivial
    assert not plain.spins
    half = origin(lambda v: 1 / (1 + np.exp(-3 * average(v))), v)
    np.testing.assert_allclose(half.centre, 0.5, atol=1e-6)
    assert half.flip_breaking == 0
    sevens = origin(lambda v: 5 + 2 * first(v), v)
    np.testing.assert_array_equal(sevens.centre, 5)
    np.testing.assert_array_equal(sevens.scale, 2)
    assert sevens.spins
    np.testing.assert_array_equal(sevens.apply(5 + 2 * first(v)), first(v))


def test_a_field_is_not_taken_for_an_origin(ensemble):
    """A ±1 h with ⟨h⟩ ≠ 0 stays as it is, and what breaks the flip is said."""
    v, average = ensemble.unpack(), rg.Average().mean_h
    up = origin(lambda v: np.where(average(v) >= 0, 1.0, -1.0), v)
    assert up.trivial
    assert up.spins
    ties = (average(v) == 0).mean()
    assert up.flip_breaking == pytest.approx(math.sqrt(ties * (1 - ties)), rel=0.2)  # c is 1 where there is a tie
    rectified = origin(lambda v: np.maximum(average(v), 0), v)
    assert rectified.flip_breaking > 0.1
    moved = origin(lambda v: np.maximum(average(v), 0) + 7, v)
    np.testing.assert_allclose(moved.centre - rectified.centre, 7, atol=1e-5)
    row, _ = vh_pattern.INSTRUMENT.measure(subject(ensemble, lambda v: np.maximum(average(v), 0)))
    assert "breaks the global flip" in row.why
    row, _ = vh_pattern.INSTRUMENT.measure(subject(ensemble, rg.Average()))
    assert "breaks the global flip" not in row.why


def test_two_values_or_more():
    rng = np.random.default_rng(0)
    h = rng.choice([0.0, 1.0], (50, 3, 3))
    h[:, 0, 0] = 1.0  # a constant unit is one of the two values
    centre, scale = two_values(h)
    np.testing.assert_array_equal(centre, 0.5)
    np.testing.assert_array_equal(scale, 0.5)
    assert two_values(rng.choice([-1.0, 0.0, 1.0], (50, 3, 3))) is None
    assert two_values(np.full((50, 2), 3.0)) is None
    assert two_values(rng.normal(size=(2, 20))) is None  # two samples of anything are two values
    centre, _ = two_values(np.stack([rng.choice([0.0, 1.0], 50), np.full(50, 7.0)], axis=1))
    np.testing.assert_array_equal(centre, [0.5, 6.5])  # +1 of a unit that never is anything else


def test_values_near_the_origin_are_on_it(ensemble):
    v, average = ensemble.unpack(), rg.Average().mean_h
    written = Written(
        Rewritten(rg.Average(), lambda h: np.float32(0.1) + h), origin(lambda v: np.float32(0.1) + average(v), v)
    )
    assert ((written.mean_h(v) == 0) == (average(v) == 0)).all()


def test_eight_symmetries_are_told_from_each_other():
    size, side = 16, 8
    centre = np.stack(np.divmod(np.arange(side**2), side), axis=1) * 2.0 + 0.5
    weight, alive = np.ones(side**2), np.ones(side**2, bool)
    for view in gauge.symmetries(side):
        turn, offset, distance = gauge.turned(centre[view], weight, alive, size)  # unit j reads what site view[j] has
        np.testing.assert_array_equal(view[gauge.symmetries(side)[turn]], np.arange(side**2))
        assert np.abs(offset).max() < 1e-9
        assert distance.max() < 1e-9
    rng = np.random.default_rng(0)
    turn, _, _ = gauge.turned(rng.random((side**2, 2)) * size, weight, alive, size)
    assert turn == 0  # random centres say nothing


def test_compact_keeps_what_is_not_spin():
    assert compact(np.array([[1.0, -1.0]])).dtype == np.int8
    assert compact(np.array([[1.0, 0.0]])).dtype == np.float32


def test_signs_at_given_places_need_five_standard_errors():
    total, alive = np.array([3.0, -2.0, -0.1, 1.0]), np.ones(4, bool)
    clear = np.array([True, True, False, False])
    assert gauge.signs_of(total, alive, clear).tolist() == [1, -1, 1, 1]
    assert gauge.signs_of(-total, alive, clear).tolist() == [-1, 1, 1, 1]
    assert gauge.signs_of(np.array([-3.0, -2.0, -0.1, 1.0]), alive, clear).tolist() == [-1, -1, -1, -1]
    assert gauge.signs_of(np.array([-3.0, -2.0, -0.1, 1.0]), np.array([1, 1, 1, 0], bool), clear).tolist() == [
        -1,
        -1,
        -1,
        1,
    ]


def test_a_sequence_is_its_maps_one_after_the_other():
    """The same rule twice is that rule on its own h; the twin, another second rule, agrees at the first level alone."""
    larger, first = rg.sample(16, samples=300, seed=16), rg.Majority(ties="first")
    rows = ["mcrg", "drift", "hidden_hamiltonian"]
    one, two, other = (
        measure_map(larger, "m", given, rows=rows) for given in (first, [first, first], [first, rg.Decimation()])
    )

    def value(found, row, name):
        return float(found[row].estimates[name].estimate.value)

    for row, name in (("mcrg", "y_h[1]"), ("drift", "U4[2]"), ("hidden_hamiltonian", "K_nn[2]")):
        before = name.replace("[1]", "[0]").replace("[2]", "[1]")
        assert value(two, row, name) == value(one, row, name)
        assert value(other, row, name) != value(one, row, name)
        assert value(other, row, before) == value(one, row, before)
