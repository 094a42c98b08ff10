"""Flip and translations: exactly zero for maps that commute, enumeration on 4×4 for one that does not."""

import enumeration
import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep import blocking
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.instruments import symmetry


class Biased:
    """A Bernoulli block in a field."""

    def __init__(self, field):
        self.field = field

    def mean_h(self, v):
        return np.tanh(4 * rg.Average().mean_h(v) + self.field)

    def sample_h(self, v, rng):
        return blocking.signs_with_mean(self.mean_h(v), rng)


def row(ensemble, given):
    return {name: q.estimate for name, q in symmetry.measure(subject(ensemble, given))[0].estimates.items()}


@pytest.mark.parametrize(
    "given", [rg.Majority(), rg.Decimation(), rg.BernoulliBlock(0.7), rg.WindowMajority(3), rg.Average()]
)
def test_maps_that_commute_have_zeros(critical8, given):
    found = row(critical8, given)
    assert found["field[1]"].value == found["flip_breaking"].value == found["translation"].value == 0


def test_the_field_by_enumeration(critical4):
    """⟨m⟩ of h is E[½ (μ(v) + μ(−v))], and at later levels it is that of h as drawn."""
    v, p = enumeration.states(4), enumeration.probabilities(4, CRITICAL_COUPLING)
    exact = float(p @ Biased(0.3).mean_h(v.astype(np.float32)).mean(axis=(1, 2)))
    given = subject(critical4, Biased(0.3))
    rms = np.sqrt((given.placed.mean(axis=(1, 2)) ** 2).mean())
    found = row(critical4, Biased(0.3))["field[1]"]
    assert abs(found.value * rms - exact) < 4 * found.error * rms
    assert abs(exact) > 10 * found.error * rms  # not so of a map that commutes


@pytest.mark.parametrize("field", [0.01, 0.03, 0.3])
def test_a_field_fails(field):
    ensemble = rg.sample(size=16, samples=2000, seed=5)
    found = row(ensemble, Biased(field))["field[1]"]
    assert found.value - 3 * found.error > symmetry.MOST_FIELD
    assert row(ensemble, Biased(0.0))["field[1]"].value == 0


def test_positive_parts_break_the_flip_and_constants_do_not(critical8):
    assert row(critical8, lambda v: np.maximum(rg.Average().mean_h(v), 0))["flip_breaking"].value > 0.1
    assert row(critical8, lambda v: rg.Average().mean_h(v) + 3)["flip_breaking"].value < 1e-6


def test_units_that_do_different_things_do_not_commute_with_translations(critical8):
    def half(v):
        h = rg.Majority(ties="first").mean_h(v)
        h[:, :2] = rg.Decimation().mean_h(v)[:, ::-1][:, :2]
        return h

    assert row(critical8, half)["translation"].value > 0.1
    assert row(critical8, lambda v: rg.Majority(ties="first").mean_h(v)[:, ::-1])["translation"].value == 0
