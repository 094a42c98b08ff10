"""Two draws for the same v: zero for units drawn one by one, the share of a common coin for all others."""

import numpy as np
import pytest
from subjects import subject
from test_coherence import Switched

import rgstep as rg
from rgstep.instruments import conditional_law
from rgstep.instruments.coherence import EXPONENT


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=4000, seed=17)


def row(ensemble, given):
    return {name: q.estimate for name, q in conditional_law.measure(subject(ensemble, given))[0].estimates.items()}


class Neighbours:
    """Pairs of neighbouring units share their noise: of short range, and no coin for the whole."""

    def mean_h(self, v):
        return 0.8 * rg.Majority(ties="first").mean_h(v)

    def sample_h(self, v, rng):
        h = rg.Majority(ties="first").sample_h(v, rng)
        coins = rng.random((len(h), h.shape[1], h.shape[2] // 2)) < 0.1
        return np.where(np.repeat(coins, 2, axis=2), -h, h)


@pytest.mark.parametrize("given", [rg.Majority(), rg.BernoulliBlock(0.5), rg.untrained_rbm(256, 64, seed=1)])
def test_units_drawn_one_by_one_share_nothing(critical16, given):
    for name, found in row(critical16, given).items():
        assert abs(found.value) < 4 * found.error, name
        assert found.error > 0


def test_a_map_that_draws_nothing_has_exactly_nothing(critical16):
    assert all(found.value == found.error == 0 for found in row(critical16, rg.Decimation()).values())


def test_noise_of_short_range_counts_little_at_the_longest_wave(critical16):
    found = row(critical16, Neighbours())["shared_0"]
    assert abs(found.value) < 0.5 * row(critical16, Switched(0.02, move=False))["shared_0"].value
    assert abs(found.value) < conditional_law.MOST_SHARED


@pytest.mark.parametrize("p", [0.02, 0.2])
def test_a_coin_for_all_has_its_share(critical16, p):
    """Flips with probability p: φ = 4p(1 − p), since two draws differ with probability 2p(1 − p) and then by 2h."""
    found = row(critical16, Switched(p, move=False))["shared_0"]
    assert found.value / 8**EXPONENT == pytest.approx(4 * p * (1 - p), abs=4 * found.error / 8**EXPONENT + 0.05 * p)
    assert found.value - 5 * found.error > conditional_law.MOST_SHARED


def test_moves_of_two_percent_are_found(critical16):
    found = row(critical16, Switched(0.05, move=True))["shared_1"]
    assert found.value - 5 * found.error > conditional_law.MOST_SHARED


def test_units_without_places(critical16):
    class Dense(Switched):
        def mean_h(self, v):
            return super().mean_h(v).reshape(len(v), -1)[:, :60]

        def sample_h(self, v, rng):
            return super().sample_h(v, rng).reshape(len(v), -1)[:, :60]

    class Noisy:
        def mean_h(self, v):
            return rg.BernoulliBlock(0.5).mean_h(v).reshape(len(v), -1)[:, :60]

        def sample_h(self, v, rng):
            return rg.BernoulliBlock(0.5).sample_h(v, rng).reshape(len(v), -1)[:, :60]

    alone = row(critical16, Noisy())["shared_0"]
    assert abs(alone.value) < 4 * alone.error < 0.5
    assert row(critical16, Dense(0.2, move=False))["shared_0"].value > 10
    assert abs(row(critical16, Dense(0.0, move=False))["shared_0"].value) < 0.2
