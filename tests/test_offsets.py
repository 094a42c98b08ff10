"""Constants added to h, maps that write into what they are given, maps whose h changes its shape."""

import numpy as np
import pytest

import rgstep as rg
from rgstep import correlators, patterns
from rgstep.correlators import measure

pytestmark = pytest.mark.usefixtures("as_users_run")
OFFSETS = (0.0, 0.3, 30.0, 1e3, 1e5)


def correlation(ensemble, c, dtype=np.float32):
    """`correlation_m` of the average of blocks plus a constant, from h in one precision."""
    h = rg.Average().mean_h(ensemble.unpack()).reshape(len(ensemble), -1).astype(dtype) + dtype(c)
    return measure(ensemble, h).estimate(lambda means: patterns.statistics(means)["correlation_m"]).value


def exact(ensemble):
    """The same from float64 and two passes: the correlation of each unit with M."""
    v = ensemble.unpack().astype(np.float64)
    m = v.sum(axis=(1, 2))
    h = rg.Average().mean_h(ensemble.unpack()).reshape(len(v), -1).astype(np.float64)
    return np.array([np.corrcoef(unit, m)[0, 1] for unit in h.T])


@pytest.mark.parametrize("c", OFFSETS)
def test_a_constant_in_h_changes_no_correlation(critical8, c):
    near = 1e-5 + 1e-6 * c / 30  # what float32 has left of h itself
    np.testing.assert_allclose(correlation(critical8, c), exact(critical8), atol=near)
    np.testing.assert_allclose(correlation(critical8, c, np.float64), exact(critical8), atol=1e-5)


def test_without_the_second_origin_they_cancel(critical8, monkeypatch):
    monkeypatch.setattr(correlators, "far_origin", lambda source, mean_h: None)
    assert np.abs(correlation(critical8, 1e3) - exact(critical8)).max() > 1e-2


def test_the_moments_themselves_keep_the_constant(critical8):
    h = rg.Average().mean_h(critical8.unpack())
    plain, far = rg.visible_hidden(critical8, h), rg.visible_hidden(critical8, h + np.float32(64))
    mean_v = critical8.unpack().mean(axis=0)
    np.testing.assert_allclose(far.value, plain.value + 64 * mean_v, atol=1e-4)


class Writes:
    """A map that spoils what it is given."""

    def mean_h(self, v):
        v[:] = 1
        return v[:, ::2, ::2]

    def sample_h(self, v, rng):
        return self.mean_h(v)


def test_a_map_cannot_write_into_the_callers_array(critical8):
    v = np.array(critical8.unpack())
    before = v.copy()
    with pytest.raises(rg.InputError, match="read-only"):
        rg.visible_hidden(v, Writes())
    np.testing.assert_array_equal(v, before)
    rg.visible_hidden(v, lambda v: Writes().mean_h(v))  # a function has a copy of its own
    np.testing.assert_array_equal(v, before)
    Writes().mean_h(v)  # the twin: asked without us, it does
    assert (v == 1).all()


class Changes:
    """A map with another number of units each time."""

    def __init__(self, units):
        self.units = iter(units)

    def mean_h(self, v):
        return np.ones((len(v), next(self.units)), np.float32)

    def sample_h(self, v, rng):
        return self.mean_h(v)


@pytest.mark.parametrize("units", [(1, 4, 4, 4), (4, 4, 1, 1), (4, 4, 4, 1), (4, 1, 1, 1)])
def test_a_changing_number_of_units_is_refused(critical8, monkeypatch, units):
    monkeypatch.setattr("rgstep.ensemble.PIECE_SITES", 64 * 320)  # two pieces
    with pytest.raises(rg.InputError, match="must have one shape"):
        measure(critical8, Changes(units), groups=1)
    measure(critical8, Changes((4,) * 9), groups=1)
