"""Block-spin rules: one check for all, the worked example of the post, ⟨v h⟩ against enumeration."""

import itertools
import math

import closed_forms
import enumeration
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import rgstep as rg
from rgstep.arguments import InputError
from rgstep.blocking import (
    Average,
    BernoulliBlock,
    CrossMajority,
    Decimation,
    FarMajority,
    Majority,
    WindowMajority,
    signs_with_mean,
)
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.lattice import block_sums

BLOCKS = (2, 4)
RULES = {
    "average": (Average, None),
    "majority": (Majority, (-1, 1)),
    "majority, first": (lambda block: Majority(block, ties="first"), (-1, 1)),
    "majority, zero": (lambda block: Majority(block, ties="zero"), (-1, 0, 1)),
    "decimation": (Decimation, (-1, 1)),
    "cross": (CrossMajority, (-1, 1)),
    "window": (lambda block: WindowMajority(block + 2, block), (-1, 1)),
    "window of three": (lambda block: WindowMajority(3, block), (-1, 1)),
    "bernoulli": (lambda block: BernoulliBlock(1.0, block), (-1, 1)),
    "bernoulli, weak": (lambda block: BernoulliBlock(weight=0.2, block=block), (-1, 1)),
    "bernoulli, inverted": (lambda block: BernoulliBlock(weight=-0.7, block=block), (-1, 1)),
}
CASES = [(name, block) for name in RULES for block in BLOCKS]


def rule(name, block=2):
    return RULES[name][0](block)


# --- the shared check


@pytest.mark.parametrize(("name", "block"), CASES)
def test_a_rule_is_a_coarse_graining(name, block, critical8):
    reference.check_map(rule(name, block), critical8, block=block, values=RULES[name][1])


class Broken:
    """The majority rule with one fault."""

    def __init__(self, fault):
        self.fault = fault
        self.right = Decimation() if fault == "a view of its input" else Majority()
        self.own = np.random.default_rng(0)

    def mean_h(self, v):
        if self.fault == "writes into its input" and v.flags.writeable:
            v *= -1
        mean = self.right.mean_h(v)
        if self.fault == "transposed":
            return np.ascontiguousarray(mean.transpose(0, 2, 1))
        if self.fault == "breaks the flip":
            return np.where(mean == 0, np.float32(0.1), mean)
        if self.fault == "forgets a sample":
            return mean[:-1]
        if self.fault == "double precision":
            return mean.astype(np.float64)
        return mean

    def sample_h(self, v, rng):
        h = self.right.sample_h(v, self.own if self.fault == "its own generator" else rng)
        if self.fault == "ignores the generator":
            return self.right.sample_h(v, np.random.default_rng(len(v)))
        if self.fault == "unfair ties":
            return np.where(h == 0, h, np.where(rng.random(h.shape) < 0.05, np.int8(1), h))
        if self.fault == "always up on ties":
            return np.where(self.right.mean_h(v) == 0, np.int8(1), h)
        if self.fault == "zeros":
            return Majority(ties="zero").sample_h(v, rng)
        if self.fault == "int64":
            return h.astype(np.int64)
        if self.fault == "noise":
            return np.where(rng.random(h.shape) < 0.01, -h, h).astype(np.int8)
        if self.fault == "a view of its input":
            return v[:, ::2, ::2]
        return h


FAULTS = [
    "writes into its input",
    "transposed",
    "breaks the flip",
    "forgets a sample",
    "double precision",
    "its own generator",
    "ignores the generator",
    "unfair ties",
    "always up on ties",
    "zeros",
    "int64",
    "noise",
    "a view of its input",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_finds_the_fault(fault, critical8):
    with pytest.raises((AssertionError, ValueError, IndexError)):
        reference.check_map(Broken(fault), critical8, block=2)


def test_the_check_passes_what_has_no_fault(critical8):
    reference.check_map(Broken("none"), critical8, block=2)


# --- what each rule does


@pytest.mark.parametrize("block", BLOCKS)
def test_a_cross_against_loops(rng, block):
    """The site in the block's first corner and its four neighbours."""
    v = reference.random_spins(rng, 5, 8)
    mean = CrossMajority(block).mean_h(v)
    for row, column in np.ndindex(mean.shape[1:]):
        around = [v[:, row * block, column * block]]
        around += [v[:, (row * block + step) % 8, column * block] for step in (-1, 1)]
        around += [v[:, row * block, (column * block + step) % 8] for step in (-1, 1)]
        np.testing.assert_array_equal(mean[:, row, column], np.sign(np.sum(around, axis=0)))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_far_majority_against_loops(rng, block):
    """b² sites, L/b apart along rows and columns."""
    v, far = reference.random_spins(rng, 5, 8), 8 // block
    mean = FarMajority(block).mean_h(v)
    for row, column in np.ndindex(mean.shape[1:]):
        total = sum(v[:, row + far * r, column + far * c].astype(int) for r, c in np.ndindex(block, block))
        np.testing.assert_array_equal(mean[:, row, column], np.sign(total))


@given(
    seed=st.integers(0, 2**32),
    case=st.sampled_from(CASES),
    coarse=st.integers(1, 3),
    shift=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_rules_commute_with_flip_and_translations(seed, case, coarse, shift):
    name, block = case
    v, coarse_graining = reference.random_spins(np.random.default_rng(seed), 3, coarse * block), rule(name, block)
    mean = coarse_graining.mean_h(v)
    np.testing.assert_array_equal(coarse_graining.mean_h(-v), -mean)
    moved = np.roll(v, np.multiply(shift, block), axis=(1, 2))
    np.testing.assert_array_equal(coarse_graining.mean_h(moved), np.roll(mean, shift, axis=(1, 2)))


@pytest.mark.parametrize("block", [1, 2, 3, 4, 6, 12])
def test_rules_against_loops(rng, block):
    v = reference.random_spins(rng, 20, 12)
    sums = np.array([reference.block_sums(one, block) for one in v])
    corners = v[:, ::block, ::block]
    np.testing.assert_allclose(Average(block).mean_h(v), sums / block**2, rtol=1e-6)
    np.testing.assert_array_equal(Majority(block).mean_h(v), np.sign(sums))
    np.testing.assert_array_equal(Majority(block, ties="zero").sample_h(v, rng), np.sign(sums))
    first = np.where(sums == 0, corners, np.sign(sums))
    np.testing.assert_array_equal(Majority(block, ties="first").mean_h(v), first)
    np.testing.assert_array_equal(Majority(block, ties="first").sample_h(v, rng), first)
    np.testing.assert_array_equal(Decimation(block).sample_h(v, rng), corners)
    np.testing.assert_allclose(BernoulliBlock(0.3, block).mean_h(v), np.tanh(0.3 * sums), rtol=1e-5)


@pytest.mark.parametrize(("width", "block"), [(3, 2), (4, 2), (5, 2), (3, 4), (6, 4)])
def test_windows_against_loops(rng, width, block):
    """A window of w×w sites begins ⌊(w − b)/2⌋ before its block, on the torus."""
    v = rng.choice(np.array([-1, 1], np.int8), (5, 8, 8))
    found = WindowMajority(width, block).mean_h(v)
    start = -((width - block) // 2)
    for row, column in itertools.product(range(8 // block), repeat=2):
        rows, columns = (np.arange(start, start + width) + block * x for x in (row, column))
        total = v[:, rows[:, None] % 8, columns % 8].sum(axis=(1, 2))
        np.testing.assert_array_equal(found[:, row, column], np.sign(total))
    np.testing.assert_array_equal(WindowMajority(block, block).mean_h(v), Majority(block).mean_h(v))


def test_a_window_has_a_width():
    with pytest.raises(InputError, match="width"):
        WindowMajority(0)


def test_random_ties_are_fair_and_their_own(rng):
    tied = np.tile(np.array([[1, 1], [-1, -1]], np.int8), (10_000, 2, 2))
    h = Majority().sample_h(tied, rng).reshape(10_000, 4).astype(float)
    assert np.abs(h.mean(axis=0)).max() < 0.045
    assert np.abs(np.corrcoef(h.T) - np.eye(4)).max() < 0.045
    assert not Majority().mean_h(tied).any()


def test_zero_is_allowed_for_ties_only(critical8):
    h = Majority(ties="zero").sample_h(critical8.spins, np.random.default_rng(0))
    sums = np.array([reference.block_sums(v, 2) for v in critical8.spins])
    assert 0 < (h == 0).mean() < 0.2
    np.testing.assert_array_equal(h == 0, sums == 0)


@pytest.mark.parametrize("weight", [20.0, 1e6, 1e38, 1e39, 1e308])
def test_a_large_weight_is_the_majority_rule(rng, weight):
    v = reference.random_spins(rng, 200, 8)
    strong, majority = BernoulliBlock(weight), Majority()
    np.testing.assert_array_equal(strong.mean_h(v), majority.mean_h(v))
    ties = majority.mean_h(v) == 0
    h = strong.sample_h(v, rng)
    np.testing.assert_array_equal(h[~ties], majority.mean_h(v)[~ties])
    assert abs(h[ties].mean()) < 4 / math.sqrt(ties.sum())


def test_no_weight_is_no_rule(rng):
    v = np.ones((5000, 4, 4), np.int8)
    assert not BernoulliBlock(0.0).mean_h(v).any()
    assert abs(BernoulliBlock(0.0).sample_h(v, rng).mean()) < 4 / math.sqrt(v.size / 4)


def test_bernoulli_probabilities_are_the_gibbs_weights(rng):
    """p(h = 1 | s) = e^{wS} / (e^{wS} + e^{−wS}) for S = −4, −2, 0, 2, 4."""
    n, w = 20_000, 0.4
    for ups in range(5):
        v = np.array([1] * ups + [-1] * (4 - ups), np.int8).reshape(1, 2, 2)
        total = 2 * ups - 4
        p = math.exp(w * total) / (math.exp(w * total) + math.exp(-w * total))
        up = (BernoulliBlock(w).sample_h(np.repeat(v, n, axis=0), rng) == 1).mean()
        assert abs(up - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_signs_with_mean(rng):
    means = np.array([-1.0, -0.5, 0.0, 0.3, 1.0], np.float32)
    h = signs_with_mean(np.tile(means, (20_000, 1)), rng)
    assert h.dtype == np.int8
    assert (h[:, 0] == -1).all()
    assert (h[:, -1] == 1).all()
    np.testing.assert_allclose(h.mean(axis=0), means, atol=4 / math.sqrt(20_000))


@pytest.mark.parametrize("make", [Average, Majority, Decimation, lambda block: BernoulliBlock(block=block)])
def test_bad_blocks(make):
    for block in (0, -2):
        with pytest.raises(InputError, match=f"block = {block}: must be a whole number above 0"):
            make(block)
    v = np.ones((1, 8, 8), np.int8)
    with pytest.raises(
        InputError, match=r"blocks of side 3 do not tile a lattice of side 8; sides that do: \[2, 4, 8\]"
    ):
        make(3).mean_h(v)
    with pytest.raises(InputError, match="blocks of side 16 do not tile"):
        make(16).sample_h(v, np.random.default_rng(0))


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_bad_weights(weight):
    with pytest.raises(InputError, match=f"weight = {weight}: must be a finite number; Majority is the limit"):
        BernoulliBlock(weight)


def test_rules_are_values():
    assert Majority() == Majority(2, "random")
    assert Majority() != Majority(ties="zero")
    with pytest.raises(AttributeError):
        Majority().block = 4


# --- the worked example of the post (reference.md, section 1)

POST_V = [
    [[1, 1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, -1], [1, 1, 1, 1]],
    [[1, -1, -1, -1], [-1, 1, -1, 1], [1, 1, 1, -1], [1, -1, -1, -1]],
]
POST_H = [[[1, -1], [-1, -1]], [[1, 1], [1, -1]]]


@pytest.mark.parametrize("as_vectors", [False, True])
def test_the_worked_example(as_vectors):
    v, h = np.array(POST_V), np.array(POST_H)
    given_v, given_h = (v.reshape(2, 16), h.reshape(2, 4)) if as_vectors else (v, h)
    pictures = rg.visible_hidden(given_v, given_h)
    assert pictures.value.shape == pictures.error.shape == (4, 4, 4)
    assert pictures.value[0, 0, 0] == 1.0  # ⟨v_1 h_1⟩
    assert pictures.value[3, 3, 3] == 0.0  # ⟨v_16 h_4⟩
    np.testing.assert_array_equal(pictures.value, reference.visible_hidden(POST_V, POST_H))
    np.testing.assert_array_equal(pictures.value[0], (v[0] + v[1]) / 2)  # h_1 = 1, 1
    np.testing.assert_array_equal(pictures.value[1], (-v[0] + v[1]) / 2)
    np.testing.assert_array_equal(pictures.value[2], (-v[0] + v[1]) / 2)
    np.testing.assert_array_equal(pictures.value[3], -(v[0] + v[1]) / 2)


def test_visible_hidden_against_loops(rng, critical8):
    v = critical8.spins[:30]
    for h in (Majority().sample_h(v, rng), Average().mean_h(v), rng.normal(size=(30, 5))):
        np.testing.assert_allclose(rg.visible_hidden(v, h).value, reference.visible_hidden(v, h), atol=1e-6)


# --- ⟨v h⟩ at T_c on 4×4, by enumeration


def vh_scores(ensemble, coarse, exact):
    """Return (measured − exact)/error for the 64 entries of ⟨v h⟩; entries without noise must agree."""
    measured = rg.visible_hidden(ensemble, coarse)
    noisy = measured.error > 1e-6
    np.testing.assert_allclose(measured.value[~noisy], exact[~noisy], atol=1e-6)
    return ((measured.value - exact)[noisy] / measured.error[noisy]).ravel()


APART = (
    4.0  # rms z; all entries follow m², so that it is about |z| of one number: 0.8–1.9 of six seeds, 6.6–11 off by 3 %
)
EXACT_RULES = [name for name in RULES if name != "bernoulli, inverted"]


@pytest.mark.parametrize("name", EXACT_RULES)
def test_vh_is_that_of_enumeration(name, critical4):
    exact = enumeration.visible_hidden(rule(name).mean_h, 4, CRITICAL_COUPLING)
    z = vh_scores(critical4, rule(name), exact)
    assert len(z) >= 60  # decimation: a spin and itself have no noise
    assert np.sqrt(np.mean(z**2)) < APART
    assert np.abs(z).max() < 5


@pytest.mark.parametrize("name", EXACT_RULES)
def test_vh_at_another_temperature_is_not(name, critical4):
    exact = enumeration.visible_hidden(rule(name).mean_h, 4, 0.97 * CRITICAL_COUPLING)
    measured = rg.visible_hidden(critical4, rule(name))
    noisy = measured.error > 1e-6
    z = (measured.value - exact)[noisy] / measured.error[noisy]
    assert np.sqrt(np.mean(z**2)) > APART
    assert np.abs(z).max() > 5


def test_vh_of_another_rule_is_not(critical4):
    """Each pair of rules whose E[h | v] differ by more than the 1e-3 that 20,000 samples resolve."""
    exact = {name: enumeration.visible_hidden(rule(name).mean_h, 4, CRITICAL_COUPLING) for name in EXACT_RULES}
    np.testing.assert_array_equal(exact["majority"], exact["majority, zero"])
    distinct = ["average", "majority", "majority, first", "decimation", "bernoulli, weak"]
    for mine, other in itertools.permutations(distinct, 2):
        measured = rg.visible_hidden(critical4, rule(mine))
        z = (measured.value - exact[other]) / (measured.error + 1e-6)
        assert np.abs(z).max() > 5, (mine, other)


def test_sampled_h_has_the_same_vh(critical4, rng):
    for name in ("majority", "bernoulli, weak"):
        exact = enumeration.visible_hidden(rule(name).mean_h, 4, CRITICAL_COUPLING)
        z = vh_scores(critical4, rule(name).sample_h(critical4.spins, rng), exact)
        assert np.sqrt(np.mean(z**2)) < APART
        assert np.abs(z).max() < 5


# --- the infinite lattice


@pytest.mark.slow
def test_own_block_approaches_the_infinite_lattice():
    """L = 32, measured before (reference.md, section 3): 0.770(1) and 0.8205(5); the rest to infinity falls as 1/L."""
    closed = {
        "average": closed_forms.AVERAGE_OWN_BLOCK,
        "majority": closed_forms.MAJORITY_OWN_BLOCK,
        "decimation": np.mean(closed_forms.DECIMATION_OWN_BLOCK),
    }
    own, error = {}, {}
    for size in (16, 32):
        v = rg.sample(size, rg.CRITICAL_TEMPERATURE, 20_000, seed=32).spins
        for name in closed:
            vh = (rule(name).mean_h(v) * block_sums(v, 2)).mean(axis=(1, 2), dtype=np.float64) / 4
            own[name, size], error[name, size] = vh.mean(), vh.std() / math.sqrt(len(vh))
    assert abs(own["average", 32] - 0.770) < 4 * math.hypot(error["average", 32], 0.001)
    assert abs(own["majority", 32] - 0.8205) < 4 * math.hypot(error["majority", 32], 0.0005)
    for name, limit in closed.items():
        large, small = (own[name, size] - limit for size in (16, 32))
        assert small > 4 * error[name, 32], name
        assert abs(small - large / 2) < 4 * (error[name, 16] / 2 + error[name, 32]) + 0.1 * small, name
