"""Ratios of partition functions along a ladder against exact ln Z; the choice of checkpoints by overlap."""

import numpy as np
import pytest
from networks import network
from scipy.stats import chi2

from rgstep import RBM, InputError
from rgstep.nets.annealing import log_partition
from rgstep.nets.bennett import (
    acceptance_between,
    bennett_log_partition,
    differences,
    draws,
    independent_log_partition,
    log_ratio,
    networks_of,
    summed,
    thin_trajectory,
)
from rgstep.nets.tempering import temper, temperature_ladder, trajectory_ladder

BETAS = (0.0, 0.35, 0.65, 1.0)
NETWORKS = 24


def training_like(visible, hidden, sd, seed):
    """Four networks whose weights grow one singular vector after the other while the biases move: like checkpoints."""
    last = network(visible, hidden, sd, seed)
    u, scale, vt = np.linalg.svd(last.weights, full_matrices=False)
    grown = np.clip(np.linspace(0, 2, 4)[:, None] - np.linspace(0, 1, len(scale)), 0, 1)
    return [
        RBM((u * (scale * part)) @ vt, last.visible_bias * (1 - 0.3 * (3 - i) / 3), last.hidden_bias * i / 3)
        for i, part in enumerate(grown)
    ]


def critical(strength=1.2, noise=0.02):
    """64 × 16 on an 8×8 torus: each hidden unit sees a patch; the mean-field transition is at singular value 1."""
    places = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), -1).reshape(-1, 2)
    centres = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), -1).reshape(-1, 2) * 2 + 0.5
    apart = np.abs(places[:, None] - centres[None])
    w = np.exp(-(np.minimum(apart, 8 - apart) ** 2).sum(axis=-1) / (2 * 1.5**2))
    w *= strength / np.linalg.svd(w, compute_uv=False)[0]
    return RBM(w + noise * np.random.default_rng(0).standard_normal(w.shape), np.zeros(64), np.zeros(16))


# --- the ratio


def test_the_ratio_of_gaussians_is_that_in_closed_form():
    """D normal of variance s² with mean s²/2 − x under the lower law has mean −s²/2 − x under the upper one."""
    rng = np.random.default_rng(0)
    x, s, n = 3.7, 1.5, 40_000
    z = []
    for share in (1, 4):  # equal numbers, and four times as many of the upper
        lower, upper = rng.normal(s**2 / 2 - x, s, n), rng.normal(-(s**2) / 2 - x, s, n * share)
        z.append((log_ratio(lower, upper) - x) / (s / np.sqrt(n)))
        assert abs(log_ratio(lower, lower) - x) > 1  # one law only
        assert abs(np.log(np.exp(-lower).mean()) - x) < 0.1  # the definition, from the lower law alone
    assert np.abs(z).max() < 4


def test_equal_networks_have_the_difference_itself():
    assert log_ratio(np.full(5, -2.5), np.full(7, -2.5)) == pytest.approx(2.5, abs=1e-10)
    assert log_ratio(np.full(5, 1e4), np.full(5, 1e4)) == pytest.approx(-1e4, rel=1e-12)


def test_the_ratio_is_odd_under_exchange_of_the_networks():
    rng = np.random.default_rng(1)
    lower, upper = rng.normal(0, 2, 300), rng.normal(-3, 2, 500)
    assert log_ratio(-upper, -lower) == pytest.approx(-log_ratio(lower, upper), abs=1e-9)


def test_independent_spins_are_summed_exactly():
    rbm = network(8, 5, 0.7)
    first = RBM(0 * rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    assert independent_log_partition(first) == pytest.approx(log_partition(first), abs=1e-10)
    with pytest.raises(InputError, match=r"weights up to .* begin with beta = 0"):
        independent_log_partition(rbm)


# --- along a ladder


def ladders(kind):
    """Ladders of one shape whose last networks differ, and exact ln Z of these."""
    for seed in range(NETWORKS):
        sd = (0.2, 0.4, 0.6)[seed % 3]
        if kind == "temperature":
            last = network(12, 6, sd, seed)
            yield temperature_ladder(last, BETAS), log_partition(last)
        else:
            run = training_like(12, 6, sd, seed)
            yield trajectory_ladder(run), log_partition(run[-1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["temperature", "trajectory"])
def test_log_partition_agrees_with_the_exact_one(kind):
    z = []
    for seed, (ladder, exact) in enumerate(ladders(kind)):
        estimate = bennett_log_partition(ladder, seed, chains=64, steps=100, settle=50)
        assert estimate.error < 0.2
        z.append((estimate.value - exact) / estimate.error)
    z = np.array(z)
    assert np.abs(z).max() < 4
    assert 1e-3 < chi2.sf((z**2).sum(), NETWORKS) < 1 - 1e-3


@pytest.mark.slow
def test_broken_samples_are_found():
    """Levels in another order, one level in place of two, or samples of other weights do not give ln Z."""
    last = network(12, 6, 0.6, 2)
    ladder = temperature_ladder(last, BETAS)
    levels, exact = networks_of(ladder), log_partition(last) - independent_log_partition(networks_of(ladder)[0])

    def z(source, order=(0, 1, 2, 3), ends=(0, 1)):
        v = draws(source, 0, 64, 100, 100, 5, 1, None)
        estimate = summed(np.stack([differences(levels, at[list(order)])[:, list(ends)] for at in v], axis=2))
        return abs(estimate.value - exact) / estimate.error

    assert z(ladder) < 4
    assert z(ladder, order=(0, 2, 1, 3)) > 5
    assert z(ladder, ends=(0, 0)) > 5
    assert z(ladder._replace(w=0.9 * ladder.w)) > 5


@pytest.mark.slow
def test_a_critical_network_of_64_units_is_within_a_hundredth():
    rbm = critical()
    exact = log_partition(rbm)
    ladder = temperature_ladder(rbm, (0, 0.6, 0.85, 1))
    m = temper(ladder, chains=64, steps=300).samples.mean(axis=1)
    assert 0.2 < np.abs(m).mean() < 0.7  # neither ordered nor disordered
    estimate = bennett_log_partition(ladder, 0, chains=128, steps=3000, settle=200, spacing=5)
    assert estimate.error < 6e-3
    assert abs(estimate.value - exact) < min(4 * estimate.error, 1e-2)


def test_the_same_seed_gives_the_same_number():
    ladder = temperature_ladder(network(12, 6, 0.3), BETAS)
    values = [bennett_log_partition(ladder, seed, chains=64, steps=20).value for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_draws_are_those_of_one_run():
    ladder = temperature_ladder(network(12, 6, 0.3), BETAS)
    v = list(draws(ladder, 4, 64, 7, 3, 5, 1, None))
    for i, at in enumerate(v):
        np.testing.assert_array_equal(at, temper(ladder, 4, chains=64, steps=7 + 5 * (i + 1)).state.v)
    assert len(v) == 3


def test_progress_counts_draws():
    calls = []
    ladder = temperature_ladder(network(12, 6, 0.3), BETAS)
    bennett_log_partition(ladder, chains=64, steps=30, settle=0, progress=lambda *call: calls.append(call))
    assert [call[:3] for call in calls] == [("Bennett ratios", done, 3) for done in (1, 2, 3)]


# --- the choice of checkpoints


@pytest.mark.slow
def test_thinning_keeps_few_checkpoints_that_exchange():
    full = [RBM(t * critical().weights, np.zeros(64), np.zeros(16)) for t in np.linspace(0.05, 1, 12)]
    kept = thin_trajectory(full, 0.3, seed=0, steps=100)
    assert not kept[0].weights.any()
    assert kept[-1] is full[-1]
    assert len(kept) < 8
    rates = np.asarray(temper(trajectory_ladder(kept), 1, chains=64, steps=400).acceptances.value)
    assert rates.min() > 0.25
    beyond = [kept[0], *kept[2:]]
    assert np.asarray(temper(trajectory_ladder(beyond), 1, chains=64, steps=400).acceptances.value).min() < 0.3


def test_the_acceptance_of_equal_networks_is_one():
    rbm, rng = network(12, 6, 0.3), np.random.default_rng(0)
    v, u = (rng.choice(np.array([-1, 1], np.int8), (50, 12)) for _ in range(2))
    assert acceptance_between(rbm, rbm, v, u) == 1.0
    other = network(12, 6, 0.3, seed=1)
    by_hand = [
        min(
            1.0,
            np.exp(float((rbm.free_energy(a) + other.free_energy(b) - rbm.free_energy(b) - other.free_energy(a))[0])),
        )
        for a in v[:, None]
        for b in u[:, None]
    ]
    assert acceptance_between(rbm, other, v, u) == pytest.approx(np.mean(by_hand), rel=1e-12)


# --- what is refused


def test_checkpoints_too_far_apart_are_refused():
    with pytest.raises(InputError, match=r"acceptance .* between levels 0 and 1, below 0.3"):
        thin_trajectory([network(64, 16, 2.0)], 0.3, steps=10)
    with pytest.raises(InputError, match=r"acceptance = 1\.5"):
        thin_trajectory([network(12, 6, 0.3)], 1.5)


def test_levels_that_hardly_overlap_are_refused():
    ladder = trajectory_ladder([network(64, 16, 2.0)])
    with pytest.raises(InputError, match=r"levels 0 and 1: .* exchanges would be accepted"):
        bennett_log_partition(ladder, chains=64, steps=20)


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"chains": 4}, "chains = 4: .* at least 8"),
        ({"settle": -1}, "settle = -1"),
        ({"steps": 0}, "steps = 0"),
        ({"spacing": 0}, "spacing = 0"),
    ],
)
def test_bad_numbers_are_refused(numbers, match):
    with pytest.raises(InputError, match=match):
        bennett_log_partition(temperature_ladder(network(12, 6, 0.3), BETAS), **numbers)


def test_a_ladder_that_begins_with_weights_is_refused():
    with pytest.raises(InputError, match="the first level has weights"):
        bennett_log_partition(temperature_ladder(network(12, 6, 0.3), (0.2, 1)))
