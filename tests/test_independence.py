"""Copies and correlated samples are noticed, legitimate repeats and independent samples are not."""

import math
import re

import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep.independence import GROUP_TAUS, copies_of, independence, keys, memory_of
from rgstep.ising import ising
from rgstep.packed import pack

TC = rg.CRITICAL_TEMPERATURE
EVERYWHERE = (0.0, 1.0, 1.5, TC, 3.0, math.inf)


def of(spins, temperature):
    """Return what is found in a user's array."""
    return rg.ensemble_from_array(spins, temperature).independence


def ar1(rng, alpha, length, chains=1):
    """Return chains `(chain, time)` of an AR(1) process in equilibrium: τ = ½ (1 + α)/(1 − α)."""
    x = np.empty((chains, length))
    x[:, 0] = rng.normal(size=chains)
    for t in range(1, length):
        x[:, t] = alpha * x[:, t - 1] + math.sqrt(1 - alpha**2) * rng.normal(size=chains)
    return x


# --- copies


@pytest.mark.parametrize("size", [4, 5, 6, 8, 10, 16])
def test_a_key_is_that_of_a_configuration_and_its_flip(rng, size):
    """Of random spins, of one flipped spin each, and of two in the highest bits of two words: all differ."""
    ground = np.ones((size**2, size, size), np.int8)
    ground.reshape(size**2, -1)[np.arange(size**2), np.arange(size**2)] = -1
    v = np.concatenate([reference.random_spins(rng, 300, size), ground, np.ones((1, size, size), np.int8)])
    distinct = len({min(one.tobytes(), (-one).tobytes()) for one in v})
    np.testing.assert_array_equal(keys(pack(v)), keys(pack(-v)))
    assert len(np.unique(keys(pack(v)))) == distinct
    if size == 16:
        two = ground[[0, 64, 128]] * ground[[64, 128, 192]]
        assert len(np.unique(keys(pack(two)))) == 3


@pytest.mark.parametrize("temperature", [1.5, TC, 4.0, math.inf])
@pytest.mark.parametrize("size", [4, 6])
def test_equal_pairs_are_as_many_as_expected(size, temperature):
    """Over 40 sets; those in which every fifth is given twice have more."""
    sets = np.split(rg.sample(size, temperature, 40_000, seed=3, mode="thin").spins, 40)
    found = [of(v, temperature).copies for v in sets]
    pairs, expected = sum(c.pairs for c in found), sum(c.expected for c in found)
    assert abs(pairs - expected) < 4 * math.sqrt(3 * expected) + 4
    assert not any(c.clear for c in found)
    wrong = [of(np.concatenate([v, v[:200]]), temperature).copies for v in sets]
    pairs, expected = sum(c.pairs for c in wrong), sum(c.expected for c in wrong)
    assert pairs - expected > 4 * math.sqrt(3 * expected) + 4


@pytest.mark.parametrize("size", [6, 8, 16, 32])
@pytest.mark.parametrize("temperature", [1.5, TC, math.inf])
def test_each_configuration_ten_times_is_noticed(size, temperature):
    """In a row, one set after another, or shuffled and flipped; the twin is the set itself."""
    v, rng = rg.sample(size, temperature, 2000, seed=1, mode="thin").spins, np.random.default_rng(0)
    assert of(v, temperature).faults() == []
    tiled = np.tile(v, (10, 1, 1))
    for spins in (np.repeat(v, 10, axis=0), tiled, reference.fair(rng.permutation(tiled), rng)):
        found = of(spins, temperature)
        assert found.copies.clear
        assert found.n_eff == pytest.approx(2000, rel=0.1)
        (fault,) = found.faults()
        assert f"are worth n_eff = {found.n_eff:.0f}" in fault or f"is worth n_eff = {found.n_eff:.0f}" in fault
        assert "repeated" in fault


def test_the_remedy_of_repeated_configurations_works():
    spins = np.repeat(rg.sample(16, TC, 1000, seed=1).spins, 3, axis=0)
    (fault,) = of(spins, TC).faults()
    once = eval(fault.rpartition("once, ")[2], {"spins": spins, "np": np})
    assert of(once, TC).faults() == []
    np.testing.assert_array_equal(once, rg.sample(16, TC, 1000, seed=1).spins)


@pytest.mark.parametrize(("size", "temperature"), [(4, 0.0), (4, 0.5), (4, 1.0), (8, 0.0), (8, 0.5), (32, 0.0)])
def test_ground_states_may_be_repeated(size, temperature):
    """Some thousand times each, and no one can tell copies of them, in random order, from independent ones."""
    found = of(rg.sample(size, temperature, 5000, seed=1).spins, temperature)
    assert found.copies.rare < 60
    assert found.faults() == []


def test_a_single_repeat_is_no_matter():
    v = rg.sample(16, TC, 1000, seed=1).spins
    for repeats, clear in ((1, False), (20, False), (80, True)):
        found = of(np.concatenate([v, v[:repeats]]), TC).copies
        assert (found.pairs, found.repeated, found.clear) == (repeats, 2 * repeats, clear)


# --- order


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 0.98])
def test_the_memory_of_a_known_process(rng, alpha):
    exact = 0.5 * (1 + alpha) / (1 - alpha)
    found = memory_of(ar1(rng, alpha, 40_000)[0])
    assert (found.turns, found.clear) == (1, alpha > 0)
    assert float(found.tau.value) == pytest.approx(exact, abs=4 * float(found.tau.error) + 0.02)
    assert found.inflation == (2 * float(found.tau.value) if alpha else 1.0)


@pytest.mark.parametrize("chains", [2, 10, 64])
def test_chains_by_turns_are_noticed(rng, chains):
    """τ is that within a chain; the twin is as many chains without memory."""
    found = memory_of(ar1(rng, 0.9, 40_000 // chains, chains).T.ravel())
    assert found.clear
    if chains > 2:
        assert found.turns == chains
        assert float(found.tau.value) == pytest.approx(9.5, rel=0.2)
    assert not memory_of(ar1(rng, 0.0, 40_000 // chains, chains).T.ravel()).clear


def test_few_samples_far_out_are_no_memory(rng):
    """Two neighbours of five excited samples among 20,000 are chance; half of 2,000 in pairs are not."""
    rare = np.zeros(20_000)
    rare[[100, 101, 5000, 9000, 15_000]] = 1
    assert float(memory_of(rare).tau.value) > 0.6
    assert not memory_of(rare).clear
    assert memory_of(np.repeat(rng.random(1000) < 0.3, 2)).clear


def test_a_constant_remembers_nothing():
    assert memory_of(np.ones(1000)).inflation == 1.0
    assert memory_of(np.full(1000, 1 / 3)).inflation == 1.0
    assert memory_of(np.arange(10.0)).inflation == 1.0  # too few


@pytest.fixture(scope="module")
def chain():
    """Every sweep of one chain at T_c on 6×6, each configuration flipped by a fair coin."""
    return reference.fair(reference.chains_of_metropolis(1, 6, TC, 8000)[0], np.random.default_rng(2))


def test_a_short_chain_is_refused_and_its_remedies_work(chain):
    """With the thinning that the message names it is accepted, and with as many samples as it names."""
    short = of(chain[:1000], TC)
    (fault,) = short.faults()
    tau = float(short.memories["m2"].tau.value)
    assert short.slowest == "m2"
    assert short.n_eff == pytest.approx(1000 / (2 * tau))
    assert "τ of m²" in fault
    assert f"n_eff = {short.n_eff:.0f}" in fault
    step = fault.partition("spins[::")[2].partition("]")[0]
    assert of(chain[:: int(step)], TC).faults() == []
    assert 1000 < short.needed < 6000
    long = of(chain, TC)
    assert long.faults() == []
    assert long.memories["m2"].clear
    assert long.n_eff < len(chain) / 2


def test_a_chain_without_flips_is_told_what_they_do():
    """m of a chain at T_c remembers longest; flipped and thinned as the message says, the chain is accepted."""
    spins = reference.chains_of_metropolis(3, 8, TC, 2000)[0]
    (fault,) = of(spins, TC).faults()
    assert "τ of m =" in fault
    code, every = re.search(
        r"or first (.*), an exact symmetry, which leaves τ = .*, so that every (\d+)th does", fault
    ).groups()
    flipped = eval(code, {"spins": spins, "rng": np.random.default_rng(0)})
    assert of(flipped, TC).slowest == "m2"
    assert of(flipped[:: int(every)], TC).faults() == []


def test_chains_by_turns_are_told_to_be_thinned_each():
    kept = reference.chains_of_metropolis(4, 8, TC, 200, chains=20)
    found = of(reference.fair(kept.transpose(1, 0, 2, 3).reshape(-1, 8, 8), np.random.default_rng(0)), TC)
    (fault,) = found.faults()
    assert "of these 20 chains by turns keep every" in fault
    assert "20 chains by turns" in found.lines()["order of samples"]


def test_groups_of_twenty_tau_carry_the_error(rng):
    """The jackknife's error of the mean of 400 processes is within 5 % of the true one; groups of 2 τ miss a third."""
    tau = 9.5
    for groups_of, low, high in ((GROUP_TAUS * tau, 0.94, 1.02), (2 * tau, 0.5, 0.85)):
        x = ar1(rng, 0.9, int(64 * groups_of), 200)
        errors = np.sqrt(np.mean([float(rg.estimates.grouped_mean(one).error) ** 2 for one in x]))
        assert low < errors / math.sqrt(2 * tau / x.shape[1]) < high


# --- the sampler's own sets


@pytest.mark.parametrize("temperature", EVERYWHERE)
@pytest.mark.parametrize("mode", ["iid", "thin"])
def test_sampled_sets_are_not_refused(mode, temperature):
    """docs/measuring.md has the rate over more of them."""
    for size, samples in ((4, 3000), (8, 2000), (16, 500)):
        ensemble = rg.sample(size, temperature, samples, seed=5, mode=mode)
        assert ensemble.independence.faults() == []
        assert ensemble.certificate.good


def test_what_is_told_of_a_set():
    ensemble = rg.sample(8, TC, 2000, seed=1)
    found = independence(ensemble.packed, ensemble.system, ensemble.energies, ensemble.magnetisations)
    assert found.lines() == ensemble.independence.lines()
    assert found.summary() == []
    lines = found.lines()
    assert lines["order of samples"].startswith("τ of m, m², e = 0.5")
    assert f"among {found.copies.rare} rare configurations" in lines["repeats"]
    assert copies_of(ensemble.packed, ising(8, 0.0), ensemble.energies).rare == 0
