"""The gain on fair spins: exact for block rules, measured for others; and the fates that follow."""

import itertools
import math

import enumeration
import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep.controls import HAND_MADE, KNOWN
from rgstep.estimates import Estimate
from rgstep.fate import fate
from rgstep.instruments import LOCALITY
from rgstep.instruments.gain import exact_gain, margin, measure, of_majority
from rgstep.results import FATES, LOCAL, Diagnostic, Quantity

REACHES, WASHES_OUT, ELSEWHERE = FATES
CRITICAL_WEIGHT = 0.376797


def of_block(mean, block):
    """Σ_i E[v_i h] of a rule of one block, over all its states in float64."""
    states = np.array(list(itertools.product((-1.0, 1.0), repeat=block**2)))
    return float((states.sum(axis=1) * mean(states)).mean())


@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("weight", [0.25, 0.3, 0.34, CRITICAL_WEIGHT, 0.42, 0.5, 0.7, 1.0])
def test_bernoulli_blocks_are_exact(weight, block):
    found = exact_gain(rg.BernoulliBlock(weight, block))
    assert found == pytest.approx(of_block(lambda s: np.tanh(weight * s.sum(axis=1)), block), abs=1e-12)
    if block == 2:
        assert found == pytest.approx(math.tanh(4 * weight) / 2 + math.tanh(2 * weight), abs=1e-12)


@pytest.mark.parametrize("block", [2, 3, 4])
def test_majority_and_decimation_are_exact(block):
    assert exact_gain(rg.Majority(block)) == pytest.approx(of_block(lambda s: np.sign(s.sum(axis=1)), block), abs=1e-12)
    assert exact_gain(rg.Decimation(block)) == pytest.approx(of_block(lambda s: s[:, 0], block), abs=1e-12)
    assert float(margin(exact_gain(rg.Majority(block)), block)) == pytest.approx(1)


def test_published_numbers():
    assert exact_gain(rg.Majority()) == 1.5
    assert exact_gain(rg.CrossMajority()) == 1.875
    assert float(margin(exact_gain(rg.BernoulliBlock(CRITICAL_WEIGHT)), 2)) == pytest.approx(0, abs=2e-6)
    assert exact_gain(lambda v: v) is None


def test_blocks_of_two_sites_are_held_against_three():
    """A majority of two spins washes out, 1 < 2^(1/16), and cannot be the measure; that of five is a step."""
    root2 = math.sqrt(2)
    assert of_majority(2) == 1 < root2 ** (1 / 8)
    assert margin(of_majority(2), root2) < 0
    assert margin(of_majority(5), root2) > 1
    assert margin(of_majority(3), root2) == pytest.approx(1)


def test_windows_by_enumeration_of_all_states():
    v = enumeration.states(4).astype(np.float32)
    h = rg.CrossMajority().mean_h(v).reshape(len(v), -1)
    summed = (v.reshape(len(v), -1).sum(axis=1)[:, None] * h).mean()
    assert exact_gain(rg.CrossMajority()) == pytest.approx(float(summed), abs=1e-6)


class Same:
    """A rule without its class."""

    def __init__(self, rule):
        self.mean_h, self.sample_h = rule.mean_h, rule.sample_h


@pytest.mark.parametrize("name", ["majority", "decimation", "bernoulli_0.25", "window_majority", "scrambled_majority"])
def test_measured_gains_are_the_exact_ones(critical8, name):
    rule = HAND_MADE[name](2)
    found = measure(subject(critical8, Same(rule)))[0].estimates["gain"]
    assert found.exact is None
    assert abs(found.estimate.value - exact_gain(rule)) < 4 * found.estimate.error
    other = exact_gain(rg.BernoulliBlock(0.1))  # the twin: another rule's
    assert abs(found.estimate.value - other) > 4 * found.estimate.error


def rows(weight):
    """The rows that a fate is told from, of a Bernoulli block."""
    gain = exact_gain(rg.BernoulliBlock(weight))
    numbers = {"gain": gain, "gain_edge": 2**0.125, "gain_margin": float(margin(gain, 2))}
    return {"gain": Diagnostic(None, "", {name: Quantity(Estimate(x, 0.0)) for name, x in numbers.items()})}


@pytest.mark.parametrize("weight", [0.25, 0.3, 0.34, 0.42, 0.5, 0.7])
def test_fates_of_the_bernoulli_block(weight):
    assert fate(rows(weight), LOCALITY).name == (WASHES_OUT if weight < CRITICAL_WEIGHT else REACHES)


def test_a_broken_symmetry_leads_elsewhere_and_no_place_nowhere():
    broken = {**rows(0.7), "symmetry": Diagnostic(False, "field[1] = 0.04", {})}
    assert fate(broken, LOCALITY).name == ELSEWHERE
    scattered = {**rows(0.7), "coherence": Diagnostic(False, "", {})}
    assert fate(scattered, LOCALITY).name is None
    assert "coherence" in fate(scattered, LOCALITY).reason
    noisy = {"gain": Diagnostic(None, "", {**rows(0.7)["gain"].estimates, "gain_margin": Quantity(Estimate(0.1, 0.1))})}
    assert fate(noisy, LOCALITY).name is None
    assert fate({}, LOCALITY).name is None


@pytest.mark.parametrize(
    ("steps", "expected"),
    [((0.11, 0.12), REACHES), ((0.02, 0.06), REACHES), ((0.3, 0.14), REACHES), ((0.1, 0.3), ELSEWHERE)],
)
def test_levels_that_move_away_lead_elsewhere_whatever_the_gain(steps, expected):
    levels = {f"delta_m[{n}]": Quantity(Estimate(x, 1e-3)) for n, x in enumerate(steps)}
    assert fate({**rows(0.7), "drift": Diagnostic(None, "", levels)}, LOCALITY).name == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in KNOWN if name in HAND_MADE])
def test_fates_of_the_controls(name):
    ensemble = rg.sample(size=16, samples=4000, seed=31)
    entry = rg.judge(ensemble, {name: HAND_MADE[name](2)}).maps[name]
    if KNOWN[name] == LOCAL:
        assert entry.fate == (REACHES if name == "bernoulli_0.5" else WASHES_OUT), entry.fate_reason
    else:
        assert entry.fate == (REACHES if KNOWN[name] == "RG step" else None), entry.fate_reason
