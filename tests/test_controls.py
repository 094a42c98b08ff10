"""The maps and the data whose answer is known: they are what their names say, and lack what they should lack."""

import functools
import math

import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep import controls, results
from rgstep.arguments import InputError
from rgstep.blocking import (
    Average,
    BernoulliBlock,
    Decimation,
    FarMajority,
    Majority,
    RandomTiling,
    Scrambled,
    permutation,
)
from rgstep.correlators import two_point
from rgstep.nets.batches import as_bits
from rgstep.nets.rbm import RBM, untrained_rbm

SIGMAS = 4.0


@functools.cache
def critical(size, samples):
    return rg.sample(size, rg.CRITICAL_TEMPERATURE, samples, seed=size)


# --- every map is a coarse graining


@pytest.mark.parametrize("block", [2, 4])
@pytest.mark.parametrize("rule", [RandomTiling, FarMajority])
def test_a_map_without_tiles_is_a_coarse_graining(rule, block, critical8):
    coarse = rule(block)
    reference.check_map(coarse, critical8)
    side = 8 // block
    assert coarse.mean_h(critical8.spins[:3]).shape == (3, side, side)


@pytest.mark.parametrize("rule", [Majority(), Decimation(), BernoulliBlock(0.3), RandomTiling()])
def test_a_scrambled_map_is_a_coarse_graining(rule, critical8):
    reference.check_map(Scrambled(rule, 3), critical8)


@pytest.mark.parametrize("name", controls.HAND_MADE)
def test_every_name_makes_a_map(name, critical8):
    for block in (2, 4):
        coarse = controls.HAND_MADE[name](block)
        values = None if name == "average" else (-1, 1)
        reference.check_call(coarse, critical8.spins[:7], None, values)
        assert coarse.mean_h(critical8.spins[:2]).size == 2 * (8 // block) ** 2
        assert controls.is_control(coarse)


# --- what each does


def test_a_random_tiling_is_the_majority_of_scattered_sites(rng):
    """Each unit reads b² sites of its own, every site belongs to one unit, and blocks are torn apart."""
    v, coarse = reference.random_spins(rng, 400, 8), RandomTiling(2, seed=1)
    picture = np.abs(np.einsum("nij,nxy->xyij", v, coarse.mean_h(v)) / 400) > 0.2
    assert (picture.sum(axis=(2, 3)) == 4).all()
    assert (picture.sum(axis=(0, 1)) == 1).all()
    whole = Majority()
    tiles = np.abs(np.einsum("nij,nxy->xyij", v, whole.mean_h(v)) / 400) > 0.2
    assert (picture & tiles).sum() < 16  # of 64: by chance one in sixteen


def test_a_random_tiling_goes_on_at_other_sizes_and_seeds(critical8, rng):
    coarse = RandomTiling(2, seed=4)
    h = coarse.sample_h(critical8.spins, rng)
    assert coarse.sample_h(h, rng).shape == (640, 2, 2)
    assert not np.array_equal(coarse.mean_h(critical8.spins), RandomTiling(2, seed=5).mean_h(critical8.spins))
    np.testing.assert_array_equal(coarse.mean_h(critical8.spins), RandomTiling(2, seed=4).mean_h(critical8.spins))


def test_a_random_tiling_forgets_distance():
    """Its two-point function is flat, that of the majority rule is not."""
    v = critical(16, 2000).spins
    flat, falling = (two_point(rule.sample_h(v, np.random.default_rng(0))) for rule in (RandomTiling(), Majority()))
    ratio = [g.value[0, 1] / g.value[4, 4] for g in (flat, falling)]
    assert abs(ratio[0] - 1) < 0.02
    assert ratio[1] > 1.15


def test_far_majority_commutes_with_every_translation(critical8):
    v, coarse = critical8.spins[:50], FarMajority(2)
    mean = coarse.mean_h(v)
    for shift in ((1, 0), (0, 3), (5, 6)):
        np.testing.assert_array_equal(coarse.mean_h(np.roll(v, shift, axis=(1, 2))), np.roll(mean, shift, axis=(1, 2)))
    sums = sum(v[:, x : x + 4, y : y + 4].astype(int) for x in (0, 4) for y in (0, 4))
    np.testing.assert_array_equal(mean, np.sign(sums))
    with pytest.raises(AssertionError):  # the twin: tiles do not
        np.testing.assert_array_equal(
            Majority().mean_h(np.roll(v, 1, axis=1)), np.roll(Majority().mean_h(v), 1, axis=1)
        )


def test_scrambling_changes_order_and_sign_and_nothing_else(critical8):
    v, coarse = critical8.spins[:40], Scrambled(BernoulliBlock(0.4), seed=2)
    plain = BernoulliBlock(0.4).sample_h(v, np.random.default_rng(7)).reshape(40, -1)
    h = coarse.sample_h(v, np.random.default_rng(7))
    order = permutation(16, 2)
    np.testing.assert_array_equal(h * coarse.signs(16), plain[:, order])
    assert not np.array_equal(order, np.arange(16))
    assert set(coarse.signs(16)) == {-1, 1}
    assert Scrambled(BernoulliBlock(0.4), seed=2) == coarse


def test_bad_settings_are_refused(critical8):
    with pytest.raises(InputError, match=r"seed = -1: must be a whole number"):
        RandomTiling(seed=-1)
    with pytest.raises(InputError, match="block = 0: must be a whole number above 0"):
        FarMajority(0)
    for rule in (RandomTiling(3), FarMajority(3)):
        with pytest.raises(InputError, match="blocks of side 3 do not tile a lattice of side 8"):
            rule.mean_h(critical8.spins)


def test_what_is_no_map_cannot_be_scrambled(as_users_run):
    for wrong in (Majority, 3, lambda v: v):
        with pytest.raises(InputError, match="give a map with mean_h"):
            Scrambled(wrong)


# --- names and answers


def test_the_table_of_answers_speaks_the_words_of_the_verdict():
    assert set(controls.KNOWN.values()) == {results.RG_STEP, results.LOCAL, results.FEATURES}
    assert set(controls.KNOWN) == {*controls.HAND_MADE, controls.UNTRAINED}
    assert set(controls.SHOWN) <= set(controls.HAND_MADE)
    assert controls.KNOWN["majority"] == results.RG_STEP
    assert controls.HAND_MADE["bernoulli_0.25"](4) == BernoulliBlock(0.25, 4)


def test_which_maps_are_controls():
    rbm = untrained_rbm(16, 4)
    trained = RBM(rbm.weights, rbm.visible_bias, rbm.hidden_bias, {"preset": "default"})
    for control in (Average(4), FarMajority(), rbm, Scrambled(Majority()), controls.untrained_like(trained)):
        assert controls.is_control(control)
    for judged in (trained, Scrambled(trained), lambda v: v, 3):
        assert not controls.is_control(judged)


def test_an_untrained_network_may_have_the_norm_of_a_trained_one(rng):
    weights = rng.normal(0.1, 0.7, (64, 16)).astype(np.float32)
    rbm = RBM(weights, np.ones(64, np.float32), np.ones(16, np.float32), {"preset": "default"})
    null = controls.untrained_like(rbm, seed=3)
    assert np.linalg.norm(null.weights) == pytest.approx(np.linalg.norm(weights), rel=1e-5)
    assert not null.visible_bias.any()
    assert not null.hidden_bias.any()
    assert abs(np.corrcoef(null.weights.ravel(), weights.ravel())[0, 1]) < 4 / 32
    assert null.origin["preset"] == "untrained"
    assert null.origin["weights_sd"] == pytest.approx(null.weights.std(), rel=0.01)
    assert not np.array_equal(null.weights, controls.untrained_like(rbm, seed=4).weights)
    nothing = RBM(0 * weights, np.zeros(64, np.float32), np.zeros(16, np.float32))
    assert not controls.untrained_like(nothing).weights.any()


# --- data to train on: permuted


def test_a_network_trained_on_permuted_pixels_is_put_back(critical8, rng):
    data, order = controls.permuted(critical8, seed=3)
    assert data.shape == critical8.spins.shape
    np.testing.assert_array_equal(data.reshape(640, -1), critical8.spins.reshape(640, -1)[:, order])
    rbm = RBM(
        rng.normal(0, 0.3, (64, 9)), rng.normal(0, 0.1, 64), rng.normal(0, 0.1, 9), {"preset": "default", "seed": 1}
    )
    back = controls.unpermuted(rbm, order)
    np.testing.assert_allclose(back.free_energy(critical8.spins), rbm.free_energy(data), rtol=1e-12)
    np.testing.assert_allclose(back.mean_h(critical8.spins), rbm.mean_h(data), atol=1e-5)
    assert back.origin == {"preset": "default", "seed": 1, "unpermuted": True}
    wrong = controls.unpermuted(rbm, np.argsort(order))  # the twin
    assert np.abs(wrong.free_energy(critical8.spins) - rbm.free_energy(data)).max() > 0.1


def test_permuted_pixels_are_no_ising_configurations(critical8):
    """Pairs that were far apart are neighbours: the energy is ten errors off, whatever the order; M stays."""
    assert abs(critical8.checks["u"].z) < SIGMAS
    for seed in range(4):
        data, _ = controls.permuted(critical8, seed)
        shuffled = rg.ensemble_from_array(data, rg.CRITICAL_TEMPERATURE)
        assert shuffled.checks["u"].z == pytest.approx(10, abs=1)
        np.testing.assert_allclose(shuffled.magnetisations, critical8.magnetisations)


def test_an_order_that_is_no_permutation_is_refused():
    with pytest.raises(InputError, match="is no permutation of 16 sites"):
        controls.unpermuted(untrained_rbm(16, 4), np.zeros(16, int))
    with pytest.raises(InputError, match="is no permutation of 16 sites"):
        controls.unpermuted(untrained_rbm(16, 4), np.arange(9))


def test_the_training_takes_the_data(critical8):
    data, _ = controls.permuted(critical8)
    bits, visible = as_bits(data)
    assert visible == 64
    np.testing.assert_array_equal(bits, as_bits(rg.ensemble_from_array(data, 2.0))[0])


@pytest.mark.slow
def test_a_network_learns_the_same_from_permuted_pixels(critical8):
    """W of the permuted pixels, put back, gives the real lattice free energies like those of the real pixels."""
    data, order = controls.permuted(critical8)
    settings = reference.QUICK_TRAINING | {"steps": 2000, "hidden": 16}
    plain, back = rg.train_rbm(critical8, **settings), controls.unpermuted(rg.train_rbm(data, **settings), order)
    fresh = rg.sample(8, rg.CRITICAL_TEMPERATURE, 2000, seed=99).spins
    f = [rbm.free_energy(fresh) for rbm in (plain, back, controls.unpermuted(back, order))]
    right, wrong = (np.corrcoef(f[0], other)[0, 1] for other in f[1:])
    assert right > 0.92  # 0.938 and 0.946 of two seeds
    assert wrong < 0.89  # the twin, put back twice: 0.860 and 0.872


# --- T = 0 and T = ∞


def test_infinite_temperature_has_no_energy():
    hot = controls.infinite_temperature(16, 2000, seed=1)
    assert hot.system.temperature == math.inf
    error = math.sqrt(2 / 256 / 2000)  # Var e = 2/N at K = 0
    assert abs(hot.energies.mean()) < SIGMAS * error
    assert abs(rg.sample(16, 50.0, 2000, seed=1).energies.mean()) > SIGMAS * error  # the twin: T = 50


def test_half_is_frozen_and_half_is_free():
    v = controls.zero_and_infinite(8, 1001, seed=2)
    assert (v.shape, v.dtype) == ((1001, 8, 8), np.int8)
    frozen = np.abs(v.mean(axis=(1, 2))) == 1
    assert frozen.sum() == 500
    assert abs(v[frozen, 0, 0].mean()) < SIGMAS / math.sqrt(500)
    free = v[~frozen]
    assert abs(rg.ensemble_from_array(free, math.inf).energies.mean()) < SIGMAS * math.sqrt(2 / 64 / 501)
    assert 0.3 < frozen[:100].mean() < 0.7  # in random order
    np.testing.assert_array_equal(v, controls.zero_and_infinite(8, 1001, seed=2))
    with pytest.raises(InputError, match="two temperatures need two samples"):
        controls.zero_and_infinite(8, 1)


# --- signs of a Gaussian field


DISTANCES = [(0, 1), (1, 1), (0, 2), (0, 4), (4, 4)]


def gaussian_scores(spins, target):
    """Return (G − target)/error at a few distances."""
    g = two_point(spins)
    return np.array([(g.value[d] - target[d]) / g.error[d] for d in DISTANCES])


@pytest.mark.parametrize("temperature", [rg.CRITICAL_TEMPERATURE, 3.0])
def test_signs_of_the_gaussian_field_have_the_same_two_point_function(temperature):
    ensemble = rg.sample(8, temperature, 4000, seed=3)
    target = two_point(ensemble).value
    spins, clipped = controls.dichotomised_gaussian(ensemble, seed=1)
    assert (spins.shape, spins.dtype) == ((4000, 8, 8), np.int8)
    assert clipped < 1e-6
    assert np.abs(gaussian_scores(spins, target)).max() < SIGMAS
    spectrum = np.fft.fft2(target).real  # the twin: without the sine, G becomes (2/π) arcsin G
    wrong = controls.signs_of_field(np.maximum(spectrum, 0) / spectrum.mean(), 4000, 1)
    assert np.abs(gaussian_scores(wrong, target)).max() > 2 * SIGMAS
    np.testing.assert_allclose(two_point(wrong).value[0, 1], 2 / np.pi * np.arcsin(target[0, 1]), atol=0.03)


def test_signs_of_the_gaussian_field_lack_what_pairs_do_not_say():
    """Same susceptibility, other law of the magnetisation: Binder's U₄ of the critical torus is lost."""
    ensemble = critical(16, 4000)
    spins, _ = controls.dichotomised_gaussian(ensemble)
    m = {"ising": ensemble.magnetisations, "gauss": spins.mean(axis=(1, 2))}
    binder = {name: 1 - (x**4).mean() / (3 * (x**2).mean() ** 2) for name, x in m.items()}
    assert binder["ising"] == pytest.approx(0.611, abs=0.01)
    assert binder["gauss"] < 0.56
    assert (m["gauss"] ** 2).mean() == pytest.approx((m["ising"] ** 2).mean(), rel=0.05)


def test_what_no_gaussian_field_has_is_clipped_and_said():
    target = np.full((4, 4), -0.3)
    target[0, 0] = 1
    spectrum, clipped = controls.gaussian_spectrum(target)
    flat = 1 + math.sin(0.15 * math.pi)  # all modes but k = 0, which has 1 − 15 sin(0.15 π) < 0
    negative = 15 * math.sin(0.15 * math.pi) - 1
    assert clipped == pytest.approx(negative / (negative + 15 * flat))
    assert spectrum.min() == 0
    assert spectrum.mean() == pytest.approx(1)


def test_frozen_configurations_stay_frozen():
    spins, clipped = controls.dichotomised_gaussian(rg.sample(8, 0.0, 100, seed=1))
    assert clipped < 1e-12
    assert (np.abs(spins.mean(axis=(1, 2))) == 1).all()


def test_seeds_of_data_are_checked(critical8):
    for make in (controls.permuted, controls.dichotomised_gaussian):
        with pytest.raises(InputError, match="seed = -1"):
            make(critical8, seed=-1)
    one, two = (controls.dichotomised_gaussian(critical8, seed=s).spins for s in (0, 1))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("control", controls.TRAINING_DATA)
def test_a_network_is_trained_on_data_of_known_answer(critical8, control):
    """It is a control; on permuted pixels it is that of `permuted`, put back; another seed gives another network."""
    rbm = controls.trained_on(control, critical8, 4, seed=1, preset="koch2020", steps=20)
    assert controls.is_control(rbm)
    assert (rbm.visible, rbm.hidden, rbm.origin["control"]) == (64, 4, control)
    assert (
        rbm.weights != controls.trained_on(control, critical8, 4, seed=2, preset="koch2020", steps=20).weights
    ).any()
    if control == "permuted":
        data, order = controls.permuted(critical8, 1)
        again = controls.unpermuted(rg.train_rbm(data, 4, 1, preset="koch2020", steps=20), order)
        np.testing.assert_array_equal(rbm.weights, again.weights)


def test_the_training_controls_have_the_names_of_their_data(critical8):
    """The names that stored networks and command lines use; each gives as many configurations of the same side."""
    assert list(controls.TRAINING_DATA) == ["permuted", "infinite", "zero_and_infinite", "gaussian"]
    for name, make in controls.TRAINING_DATA.items():
        data, _ = make(critical8, 1)
        v = data if isinstance(data, np.ndarray) else data.unpack()
        assert (v.shape, v.dtype, np.unique(v).tolist()) == ((640, 8, 8), np.int8, [-1, 1]), name
        other, _ = make(critical8, 2)
        assert not np.array_equal(v, other if isinstance(other, np.ndarray) else other.unpack()), name


def test_only_permuted_pixels_are_put_back(critical8, rng):
    rbm = RBM(rng.normal(0, 0.3, (64, 9)), rng.normal(0, 0.1, 64), rng.normal(0, 0.1, 9))
    for name, make in controls.TRAINING_DATA.items():
        _, undo = make(critical8, 1)
        assert np.array_equal(undo(rbm).weights, rbm.weights) == (name != "permuted")


def test_an_unknown_training_control_is_named(critical8):
    with pytest.raises(InputError, match="did you mean 'permuted'"):
        controls.trained_on("permute", critical8, 4)
