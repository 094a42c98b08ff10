"""The decoy test: pairs as they should be, shares of known weights, trainings that take the pairs and that do not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep.instruments import decoy
from rgstep.ising import Ising
from rgstep.lattice import as_vectors

K_C = 1 / rg.CRITICAL_TEMPERATURE
SIGMAS = 4.5


def exact_network(size, coupling, pair_coupling):
    """A hidden unit for each bond and each pair of decoys."""
    N = size**2
    sites = np.arange(N).reshape(size, size)
    bonds = np.concatenate([np.stack([sites, np.roll(sites, -1, axis)], axis=2).reshape(-1, 2) for axis in (0, 1)])
    pairs = np.arange(N, 3 * N // 2).reshape(-1, 2)
    ends = np.concatenate([bonds, pairs])
    weights = np.zeros((3 * N // 2, len(ends)))
    strength = [0.5 * math.acosh(math.exp(2 * K)) for K in (coupling, pair_coupling)]
    weights[ends.T, np.arange(len(ends))] = np.repeat(strength, [len(bonds), len(pairs)])
    return rg.RBM(weights, np.zeros(len(weights)), np.zeros(len(ends)))


def result(size=4, temperature=rg.CRITICAL_TEMPERATURE, seeds=(0, 1)):
    e = [rg.Estimate(value, 0.01) for value in (0.2, 0.5, 0.1)]
    curve = {name: np.array([0.0, 1.0]) for name in ("step", "share", "share_error", "per_site")}
    record = {"preset": "default", "steps": 10, "size": size, "temperature": temperature, "seeds": list(seeds)}
    return decoy.DecoyTest(*e, curve, {**record, "pair_coupling": 2.0})


def scores(vectors, sites, pair_coupling):
    """z of the correlation within pairs, between pairs, and of decoys with the lattice, each the largest in modulus."""
    n, decoys = len(vectors), vectors[:, sites:].astype(float)
    pairs = (decoys[:, ::2] * decoys[:, 1::2]).mean() - math.tanh(pair_coupling)
    within = pairs / math.sqrt((1 - math.tanh(pair_coupling) ** 2) / (n * sites / 4))
    others = decoys[:, ::2].T @ np.concatenate([vectors[:, :sites].astype(float), decoys[:, 2::2]], axis=1) / n
    others[np.arange(len(others))[1:], sites + np.arange(len(others))[1:] - 1] = 0  # a decoy with itself
    return abs(within), np.abs(others).max() * math.sqrt(n)


def test_decoys_are_pairs_that_know_of_nothing_else(critical4, rng):
    vectors = decoy.with_decoys(critical4, rng)
    assert vectors.shape == (len(critical4), 24)
    assert vectors.dtype == np.int8
    np.testing.assert_array_equal(vectors[:, :16], as_vectors(critical4.unpack()))
    assert max(scores(vectors, 16, 2.0)) < SIGMAS
    assert scores(vectors, 16, 1.9)[0] > SIGMAS
    mixed = np.roll(vectors, 1, axis=1)
    assert scores(mixed, 16, 2.0)[1] > SIGMAS


def test_decoys_come_beside_a_stream_too(rng):
    stream = rg.IsingStream(4, math.inf, seed=1)
    vectors = decoy.with_decoys(stream, rng)
    assert vectors.shape == (decoy.SAMPLES, 24)
    assert set(np.unique(vectors)) == {-1, 1}


@pytest.mark.parametrize("pair_coupling", [0.5, 2.0])
def test_the_exact_model_has_the_law_of_the_data(critical4, rng, pair_coupling):
    rbm = exact_network(4, K_C, pair_coupling)
    vectors = decoy.with_decoys(critical4, rng, pair_coupling)[:500]
    pairs = (vectors[:, 16::2] * vectors[:, 17::2]).sum(axis=1)
    log_law = -16 * K_C * critical4.energies[:500] + pair_coupling * pairs
    assert np.ptp(-rbm.free_energy(vectors) - log_law) < 1e-4
    assert np.ptp(-rbm.free_energy(vectors) - 1.01 * log_law) > 1e-2


@pytest.mark.parametrize(("coupling", "pair_coupling"), [(K_C, 2.0), (0.3, 1.0)])
def test_shares_of_the_exact_model_are_its_formula(coupling, pair_coupling):
    rbm, exact = exact_network(4, coupling, pair_coupling), decoy.exact_model(Ising(4, coupling), pair_coupling)
    assert decoy.share(rbm, 16) == pytest.approx(exact["share"], rel=1e-6)
    assert decoy.per_site(rbm, 16) == pytest.approx(exact["per_site"], rel=1e-6)
    assert decoy.units_on_decoys(rbm, 16) == 4 / 36


def test_the_numbers_of_the_module():
    exact = decoy.exact_model(Ising(8, K_C))
    assert (round(exact["share"], 3), round(exact["per_site"], 2)) == (0.541, 2.36)
    assert decoy.exact_model(Ising(8, 0.0)) == {"share": 1.0, "per_site": math.inf}
    assert decoy.exact_model(Ising(8, math.inf)) == {"share": 0.0, "per_site": 0.0}


def test_weights_that_learnt_nothing_share_by_number():
    rbm = rg.untrained_rbm(96, 400)
    assert decoy.share(rbm, 64) == pytest.approx(1 / 3, abs=0.01)
    assert decoy.per_site(rbm, 64) == pytest.approx(1.0, abs=0.04)
    nothing = rg.untrained_rbm(96, 4, weights_sd=0.0)
    assert decoy.share(nothing, 64) == 0
    assert math.isnan(decoy.per_site(nothing, 64))


@pytest.mark.slow
def test_a_training_takes_strong_pairs_and_leaves_weak_ones():
    """At T = 4 the pairs take most of the weights; at K_pair = 0 they have nothing to teach, and the share falls."""
    ensemble = rg.sample(8, 4.0, 2_000, seed=1)
    options = {"steps": 3_000, "schedule": "constant", "learning_rate": 0.05}
    strong = decoy.decoy_test(ensemble, seed=[0, 1], **options)
    weak = decoy.decoy_test(ensemble, seed=[0, 1], pair_coupling=0.0, **options)
    assert strong.share.value - 4 * strong.share.error > 0.6
    assert weak.share.value + 4 * weak.share.error < 0.3
    assert strong.curve["step"][0] == 0
    assert strong.curve["share"][0] == pytest.approx(1 / 3, abs=0.03)
    assert strong.curve["share"][-1] == strong.share.value


@pytest.mark.slow
def test_one_seed_has_an_error_over_hidden_units_and_is_repeatable():
    ensemble = rg.sample(4, 3.0, 200, seed=1)
    one, again = (decoy.decoy_test(ensemble, 3, seed=5, method="cd", steps=20) for _ in range(2))
    assert one.to_dict() == again.to_dict()
    assert one.share.error > 0
    assert "seeds [5]" in str(one)


def test_the_jackknife_over_units_leaves_out_each():
    rbm = rg.untrained_rbm(24, 5)
    found = decoy.last(rg.Estimate(np.array([decoy.share(rbm, 16)]), np.array([np.nan])), [rbm], "share", 16)
    shares = [decoy.share(rg.RBM(np.delete(rbm.weights, a, 1), np.zeros(24), np.zeros(4)), 16) for a in range(5)]
    assert found.error == pytest.approx(math.sqrt(0.8 * ((shares - np.mean(shares)) ** 2).sum()))


def test_errors_over_seeds_are_standard_errors():
    found = decoy.over_seeds([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]])
    np.testing.assert_allclose(found.value, [2, 2])
    np.testing.assert_allclose(found.error, [1 / math.sqrt(3), 0])


def test_a_result_is_stored_with_the_network_and_shown(critical4, tmp_path):
    rbm = decoy.with_decoy(rg.untrained_rbm(16, 4), result())
    rg.save(tmp_path / "rbm.npz", rbm)
    diagnostic, arrays = decoy.measure(subject(critical4, rg.load(tmp_path / "rbm.npz")))
    assert diagnostic.passed is None
    assert {name: q.estimate.value for name, q in diagnostic.estimates.items()} == {
        "share": 0.2,
        "per_site": 0.5,
        "units_on_decoys": 0.1,
    }
    assert "over 2 seeds" in diagnostic.why
    assert set(arrays) == {"step", "share", "share_error", "per_site"}
    alone = decoy.with_decoy(rg.untrained_rbm(16, 4), result(seeds=(3,)))
    assert "over hidden units" in decoy.measure(subject(critical4, alone))[0].why


def test_without_a_result_of_this_temperature_there_is_no_row(critical4):
    rbm = rg.untrained_rbm(16, 4)
    assert decoy.measure(subject(critical4, rbm)) is None
    assert decoy.measure(subject(critical4, rg.Majority())) is None
    assert decoy.measure(subject(critical4, decoy.with_decoy(rbm, result(temperature=3.0)))) is None
    assert decoy.stored(decoy.with_decoy(rbm, result(temperature="inf")), math.inf) is not None
    assert decoy.stored(replace(rbm, origin={decoy.KEY: "no record"}), 1.0) is None


def test_what_cannot_be_tested_is_refused(critical4):
    with pytest.raises(rg.InputError, match="at size 8 given to a network of 16 visible"):
        decoy.with_decoy(rg.untrained_rbm(16, 4), result(size=8))
    with pytest.raises(rg.InputError, match="pair_coupling = -1"):
        decoy.decoy_test(critical4, pair_coupling=-1.0)
    with pytest.raises(rg.InputError, match="hidden = 0"):
        decoy.decoy_test(critical4, 0)
    with pytest.raises(rg.InputError, match="unknown preset 'defualt'"):
        decoy.decoy_test(critical4, preset="defualt")
