"""Shared kernels: the map against block rules, trainings against enumeration and closed forms, files and command."""

import json
import math
from pathlib import Path

import enumeration
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference
from subjects import subject
from typer.testing import CliRunner

import rgstep as rg
from rgstep import cli, jobs
from rgstep.controls import infinite_temperature, permuted
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.files import write_arrays
from rgstep.instruments.gain import exact_gain
from rgstep.instruments.pseudolikelihood import couplings
from rgstep.learned import KERNEL_PRESETS
from rgstep.nets import information_filter, shared_rbm
from rgstep.nets.checkpoints import checkpoint_path, checkpoint_steps, read_checkpoint
from rgstep.nets.information_filter import Filter, InformationTraining, bound, displacements
from rgstep.nets.kernel import SharedKernel, compactness, sites_along, sites_of
from rgstep.nets.rbm import log_2cosh
from rgstep.nets.shared_rbm import cd_gradient, dense, gathered
from rgstep.nets.training import load_checkpoints
from rgstep.stationary import StationaryTraining, Trial, rings

BOX = np.ones((2, 2))
SHORT = {"steps": 250, "learning_rate": 0.02}  # of chung2020 at L = 16: the spot is there, its weights still grow


def kernel_of(side, seed=0, **settings):
    return SharedKernel(np.random.default_rng(seed).normal(size=(side, side)), **settings)


def draws(one, v, seed=1):
    return one.sample_h(v, np.random.default_rng(seed))


# --- the map


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_a_kernel_is_a_coarse_graining(side, temperature, critical8):
    reference.check_map(kernel_of(side, temperature=temperature), critical8, block=2)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 11])
@pytest.mark.parametrize("block", [2, 4])
def test_inputs_are_the_sum_written_out(side, block, critical8):
    """Also where the kernel is wider than the lattice: sites are then met more than once."""
    one, v = kernel_of(side, block=block, bias=0.3), critical8.spins[:3]
    first = -((side - block) // 2)
    expected = np.full((3, 8 // block, 8 // block), 0.3)
    for a, b, i, j in np.ndindex(8 // block, 8 // block, side, side):
        expected[:, a, b] += one.weights[i, j] * v[:, (block * a + first + i) % 8, (block * b + first + j) % 8]
    np.testing.assert_allclose(one.inputs(v), expected, atol=1e-4)


@pytest.mark.parametrize("block", [2, 4])
@pytest.mark.parametrize("weight", [0.3, 1.0, 7.0])
def test_a_box_is_the_bernoulli_block(weight, block, critical8):
    v, box = critical8.spins, SharedKernel(np.full((block, block), weight), block)
    rule = rg.BernoulliBlock(weight, block)
    np.testing.assert_allclose(box.mean_h(v), rule.mean_h(v), atol=1e-6)
    np.testing.assert_array_equal(draws(box, v), draws(rule, v))
    moved = SharedKernel(np.pad(box.weights, ((0, 2), (0, 2))), block)  # the same box, a site away
    assert np.abs(moved.mean_h(v) - rule.mean_h(v)).max() > 0.1


def test_a_sharp_box_is_the_majority_rule(critical8):
    """At T = 0 to the draw; at large weights but for ties, which are drawn by other numbers."""
    v = critical8.spins
    np.testing.assert_array_equal(draws(SharedKernel(BOX, temperature=0.0), v), draws(rg.Majority(), v))
    sharp = SharedKernel(50 * BOX)
    np.testing.assert_array_equal(sharp.mean_h(v), rg.Majority(ties="zero").mean_h(v))
    np.testing.assert_array_equal(SharedKernel(BOX, temperature=1e-9).mean_h(v), sharp.mean_h(v))
    wide = SharedKernel(np.ones((4, 4)), temperature=0.0)
    np.testing.assert_array_equal(draws(wide, v), draws(rg.WindowMajority(4), v))


def test_temperature_and_bias_of_the_draw(critical8):
    v = critical8.spins[:9]
    np.testing.assert_allclose(
        SharedKernel(BOX, bias=0.5, temperature=2.0).mean_h(v),
        SharedKernel(BOX / 2, bias=0.25).mean_h(v),
        atol=1e-6,
    )
    assert (SharedKernel(BOX, bias=100.0).mean_h(v) == 1).all()


def test_what_a_kernel_is_made_of_is_kept():
    given = np.ones((2, 2))
    one = SharedKernel(given, origin={"preset": "mine", "seed": 3})
    given[:] = 7
    assert (one.weights == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        one.weights[0, 0] = 2
    assert repr(one) == "SharedKernel(2×2, block=2, preset=mine, seed=3)"
    assert len(repr(SharedKernel(np.ones((40, 40))))) < 40


@pytest.mark.parametrize(
    ("weights", "settings", "says"),
    [
        (np.ones((2, 3)), {}, r"weights of shape \(2, 3\): a kernel is square"),
        (np.ones(4), {}, r"weights of shape \(4,\): a kernel is square"),
        (np.ones((65, 65)), {}, "k from 1 to 64"),
        (np.full((2, 2), np.nan), {}, "weights contain nan: every weight of a kernel must be a finite number"),
        (BOX, {"temperature": -1.0}, "temperature = -1.0: must be a finite number"),
        (BOX, {"bias": math.inf}, "bias = inf: must be a finite number"),
        (BOX, {"block": 0}, "block = 0: must be a whole number above 0"),
    ],
)
def test_what_is_no_kernel(weights, settings, says):
    with pytest.raises(rg.InputError, match=says):
        SharedKernel(weights, **settings)


def test_blocks_must_tile(critical8):
    with pytest.raises(rg.InputError, match="blocks of side 3 do not tile a lattice of side 8"):
        SharedKernel(np.ones((3, 3)), 3).mean_h(critical8.spins)


@pytest.mark.parametrize("weight", [0.2, 0.5, 2.0])
def test_the_gain_is_exact_for_small_kernels(weight):
    assert exact_gain(SharedKernel(weight * BOX)) == pytest.approx(exact_gain(rg.BernoulliBlock(weight)), abs=1e-6)
    padded = np.pad(weight * BOX, 3)  # sites without weight are not summed over
    assert exact_gain(SharedKernel(padded)) == pytest.approx(exact_gain(rg.BernoulliBlock(weight)), abs=1e-6)
    assert exact_gain(SharedKernel(np.ones((4, 4)), temperature=0.0)) == pytest.approx(
        exact_gain(rg.WindowMajority(4)), abs=1e-9
    )
    assert exact_gain(kernel_of(5)) is None


def test_a_kernel_is_iterated_as_a_lattice_map():
    ensemble = rg.sample(16, samples=200, seed=1)
    levels = subject(ensemble, kernel_of(3)).levels
    assert [level.side for level in levels] == [16, 8, 4]


# --- contrastive divergence


def free_energy(weights, v, sites):
    """F(v) = −Σ_a ln 2 cosh, from the sums written out by `sites`."""
    return -log_2cosh((v[:, sites] * weights).sum(axis=2), jnp).sum(axis=1)


def mean_descent(weights, v, sites):
    """−⟨∂F/∂w⟩ over configurations `(n, visible)`, as each phase of a CD update has it."""
    return gathered(v, jnp.tanh(v @ dense(weights, sites, v.shape[1])), sites)


@pytest.mark.parametrize("side", [2, 3, 6])
def test_the_gradient_is_that_of_the_free_energy(side, critical8):
    """For a kernel of 6 on the 4×4 torus, too, where sites are met twice."""
    weights = jnp.asarray(np.random.default_rng(1).normal(size=side**2), jnp.float32)
    for v, size in ((critical8.spins[:50], 8), (enumeration.states(4)[::977], 4)):
        sites = jnp.asarray(sites_of(size, side, 2))
        rows = jnp.asarray(v.reshape(len(v), -1), jnp.float32)
        expected = -jax.grad(lambda w: free_energy(w, rows, sites).mean())(weights)  # noqa: B023
        np.testing.assert_allclose(mean_descent(weights, rows, sites), expected, atol=2e-4)
        wrong = mean_descent(weights, rows, jnp.roll(sites, 1, axis=1))
        assert np.abs(wrong - expected).max() > 0.05


def exact_descent(weights, sites, probability):
    """−Σ_v p(v) ∂F/∂w over all states of the 4×4 torus, in float64."""
    v, sites = enumeration.states(4).reshape(-1, 16).astype(np.float64), np.asarray(sites)
    h = np.tanh((v[:, sites] * weights).sum(axis=2))
    return np.einsum("n,na,nax->x", probability, h, v[:, sites])


def test_the_positive_phase_averages_to_the_exact_one(critical4):
    weights, sites = np.array([0.4, 0.3, -0.2, 0.5]), jnp.asarray(sites_of(4, 2, 2))
    expected = exact_descent(weights, sites, enumeration.probabilities(4, CRITICAL_COUPLING))
    rows = critical4.spins.reshape(-1, 16).astype(np.float32)
    start = jnp.asarray(weights, jnp.float32)
    parts = np.array([mean_descent(start, jnp.asarray(part), sites) for part in np.split(rows, 20)])
    error = parts.std(axis=0, ddof=1) / math.sqrt(len(parts))
    assert np.abs((parts.mean(axis=0) - expected) / error).max() < 4.5
    elsewhere = exact_descent(weights, sites, enumeration.probabilities(4, 0.9 * CRITICAL_COUPLING))
    assert np.abs((parts.mean(axis=0) - elsewhere) / error).max() > 8


@pytest.mark.slow
def test_many_gibbs_steps_give_the_gradient_of_the_likelihood():
    """CD-30 from all spins up against enumeration of p(v) ∝ e^(−F); CD-1 has not come so far."""
    weights, sites = np.linspace(0.1, 0.25, 16), jnp.asarray(sites_of(4, 4, 2))  # windows overlap: chains take time
    every = jnp.asarray(enumeration.states(4).reshape(-1, 16), jnp.float32)
    F = np.asarray(free_energy(jnp.asarray(weights, jnp.float32), every, sites), np.float64)
    p = np.exp(-F) / np.exp(-F).sum()
    up = np.zeros(len(p))
    up[-1] = 1.0  # the last state
    expected = exact_descent(weights, sites, p) - exact_descent(weights, sites, up)
    parts, v = {}, jnp.ones((1000, 16))
    for k in (1, 30):
        one = jax.jit(lambda key: cd_gradient(jnp.asarray(weights, jnp.float32), v, sites, k, key))  # noqa: B023
        found = np.array([one(jax.random.key(i)) for i in range(20)])
        parts[k] = (found.mean(axis=0) - expected) / (found.std(axis=0, ddof=1) / math.sqrt(len(found)))
    assert np.abs(parts[30]).max() < 4.5
    assert np.abs(parts[1]).max() > 10


def test_the_dense_matrix_is_the_kernel(critical8):
    one = kernel_of(5)
    sites = jnp.asarray(sites_of(8, 5, 2))
    matrix = np.asarray(dense(jnp.asarray(one.weights.ravel()), sites, 64))
    inputs = critical8.spins[:5].reshape(5, 64).astype(np.float32) @ matrix
    np.testing.assert_allclose(inputs.reshape(5, 4, 4), one.inputs(critical8.spins[:5]), atol=1e-5)
    assert sites_along(8, 2, 2).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def in_a_spot(one):
    """Return the share of the kernel's power in its best 4×4 spot; spots may go around, as translations do."""
    power = np.pad(one.weights.astype(np.float64) ** 2, ((0, 3), (0, 3)), mode="wrap")
    spots = np.lib.stride_tricks.sliding_window_view(power, (4, 4)).sum(axis=(2, 3))
    return float(spots.max() / (one.weights.astype(np.float64) ** 2).sum())


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(16, samples=2_000, seed=16)


def test_a_trained_kernel_is_a_compact_spot_and_of_broken_data_is_not(critical16):
    trained = rg.train_kernel(critical16, "chung2020", 0, **SHORT)
    assert in_a_spot(trained) > 0.9
    assert trained.history["participation"][-1] < 16
    without_places = rg.train_kernel(permuted(critical16, 0)[0], "chung2020", 0, **SHORT)
    assert in_a_spot(without_places) < 0.6
    without_structure = rg.train_kernel(infinite_temperature(16, 2_000, 0), "chung2020", 0, **SHORT)
    assert np.abs(without_structure.weights).max() < 0.3 * np.abs(trained.weights).max()


@pytest.mark.parametrize("preset", list(KERNEL_PRESETS))
def test_a_training_is_its_seed(preset, critical8):
    short = {"steps": 2 if preset == "stationary" else 30}
    short |= {"kernel": 2} if preset == "kochjanusz2018" else {"kernel": 4}
    first, again, other = (rg.train_kernel(critical8, preset, seed, **short) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (first.weights != other.weights).any()
    assert first.origin["preset"] == preset
    assert first.origin["seed"] == 3


def test_how_the_loops_are_cut_changes_no_number(critical8, monkeypatch):
    whole = rg.train_kernel(critical8, steps=30)
    monkeypatch.setattr(shared_rbm, "UPDATES_AT_ONCE", 7)
    cut = rg.train_kernel(critical8, steps=30)
    np.testing.assert_array_equal(whole.weights, cut.weights)
    assert cut.history["step"].tolist() == [0, 7, 14, 21, 28, 30]


def test_a_stream_of_fresh_configurations():
    one = rg.train_kernel(rg.IsingStream(8, 2.5, 1), steps=20, kernel=4)
    assert one.origin["samples"] == "stream"


def test_the_published_settings():
    published = KERNEL_PRESETS["chung2020"]
    assert (published.kernel, published.block, published.k, published.batch) == (8, 2, 3, 50)
    assert published.steps == 100 * 10_000 // 50
    assert (published.learning_rate, published.start) == (1e-3, 1e-5)


@pytest.mark.parametrize(
    ("preset", "settings", "says"),
    [
        ("chung", {}, "unknown preset 'chung'; did you mean 'chung2020'"),
        ("chung2020", {"kernl": 3}, "unknown training setting 'kernl'; did you mean 'kernel'"),
        ("chung2020", {"steps": 0}, "steps = 0: must be a whole number above 0"),
        (
            "chung2020",
            {"learning_rate": 1e9, "steps": 5},
            "learning_rate = 1000000000.0: the weights exploded by step 5",
        ),
        ("chung2020", {"block": 3}, "blocks of side 3 do not tile"),
        ("stationary", {"levels": 2}, "levels = 2 of stride 2 from data of L = 8"),
        ("stationary", {"starts": ()}, r"starts = \(\): give at least one weight to start from"),
        ("stationary", {"starts": 0.5}, "starts = 0.5: must be a list or tuple"),
        ("stationary", {"samples": 1}, "data of 1 configurations do not determine seven couplings"),
        ("kochjanusz2018", {"buffer": 3}, "a window of 2 with buffer and ring is 10 wide, data are of L = 8"),
    ],
)
def test_bad_settings(preset, settings, says, critical8):
    with pytest.raises(rg.InputError, match=says):
        rg.train_kernel(critical8, preset, **settings)


def test_data_of_no_lattice():
    with pytest.raises(rg.InputError, match="data of 12 sites: a shared kernel needs configurations on a square"):
        rg.train_kernel(np.ones((5, 12), np.int8))
    with pytest.raises(rg.InputError, match=r"data of T = 3: couplings can stay at T_c = 2\.269185 alone"):
        rg.train_kernel(rg.sample(8, 3.0, 20), "stationary")


# --- checkpoints

CUT = {  # settings, after how many reports the training is stopped, and the checkpoints that are there then
    "chung2020": ({"steps": 60, "kernel": 4}, 5, [7, 14, 21, 35]),
    "kochjanusz2018": ({"steps": 60}, 5, [7, 14, 21, 35]),
    "stationary": ({"steps": 2, "kernel": 2, "starts": (1.5, 1.0, 0.5)}, 2, [1]),
}


class Stopped(Exception):
    """What the progress callback raises."""


def stopping_after(reports):
    """A callback that stops a training at a report: in the middle of the second start, or beyond a checkpoint."""
    left = iter(range(reports))

    def stop(*_, **__):
        if next(left, None) is None:
            raise Stopped

    return stop


def assert_same(one, other):
    np.testing.assert_array_equal(one.weights, other.weights)
    assert dict(one.origin) == dict(other.origin)
    assert set(one.history) == set(other.history)
    for name, curve in other.history.items():
        np.testing.assert_array_equal(one.history[name], curve)


@pytest.fixture
def cut(request, critical8, tmp_path, monkeypatch):
    """A training that was stopped: its preset and settings, its folder, and the kernel of one that never was."""
    for module in (shared_rbm, information_filter):
        monkeypatch.setattr(module, "UPDATES_AT_ONCE", 7)
    preset = request.param
    settings, reports, steps = CUT[preset]
    whole = rg.train_kernel(critical8, preset, 1, **settings)
    asked = {**settings, "checkpoints": tmp_path, "progress": stopping_after(reports)}
    with pytest.raises(Stopped):
        rg.train_kernel(critical8, preset, 1, **asked)
    assert checkpoint_steps(tmp_path) == steps
    return preset, settings, tmp_path, whole


@pytest.mark.parametrize("cut", list(CUT), indirect=True)
def test_a_training_that_was_cut_ends_on_the_same_bits(cut, critical8):
    """And the twin: a checkpoint whose weights are others gives others."""
    preset, settings, folder, whole = cut
    path = checkpoint_path(folder, checkpoint_steps(folder)[-1])
    untouched = path.read_bytes()
    assert_same(rg.train_kernel(critical8, preset, 1, checkpoints=folder, **settings), whole)
    assert_same(rg.train_kernel(critical8, preset, 1, checkpoints=folder, **settings), whole)  # finished: read
    for later in checkpoint_steps(folder):
        checkpoint_path(folder, later).unlink()
    path.write_bytes(untouched)
    meta, arrays = read_checkpoint(path)
    weights = "leaf_000" if preset == "stationary" else "leaf_001"
    if preset == "stationary":  # the weights of a start count if its χ is the least
        meta["curves"][0][-1] = 0.0
    write_arrays(path, {"meta": np.array(json.dumps(meta)), **arrays, weights: -arrays[weights]})
    other = rg.train_kernel(critical8, preset, 1, checkpoints=folder, **settings)
    assert (other.weights != whole.weights).any()


@pytest.mark.parametrize("cut", ["chung2020"], indirect=True)
def test_a_damaged_checkpoint_is_named_and_deleting_it_helps(cut, critical8):
    preset, settings, folder, whole = cut
    path = checkpoint_path(folder, 35)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(rg.InputError, match=r"checkpoint-000000035\.npz.*delete it to go on from the one before"):
        rg.train_kernel(critical8, preset, 1, checkpoints=folder, **settings)
    path.unlink()
    assert_same(rg.train_kernel(critical8, preset, 1, checkpoints=folder, **settings), whole)


@pytest.mark.parametrize("cut", ["chung2020"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 2}, r"is of seeds = \[1\], not \[2\]: choose another folder"),
        ({"k": 2}, "is of k = 3, not 2: choose another folder"),
        ({"preset": "stationary"}, "is of another kind of training: choose another folder"),
        ({"preset": "kochjanusz2018"}, "is of another kind of training: choose another folder"),
    ],
)
def test_checkpoints_of_another_training_are_refused(cut, changes, says, critical8):
    preset, settings, folder, _ = cut
    asked = {"preset": preset, "seed": 1, **settings, **changes}
    with pytest.raises(rg.InputError, match=says):
        rg.train_kernel(critical8, checkpoints=folder, **asked)


@pytest.mark.parametrize("cut", ["chung2020"], indirect=True)
def test_checkpoints_of_kernels_and_of_networks_are_told_apart(cut, critical8, tmp_path):
    preset, settings, folder, _ = cut
    with pytest.raises(rg.InputError, match="is of other data: choose another folder"):
        rg.train_kernel(critical8.spins[::-1].copy(), preset, 1, checkpoints=folder, **settings)
    with pytest.raises(rg.InputError, match="is of another kind of training: choose another folder"):
        rg.train_rbm(critical8, 4, seed=1, steps=50, checkpoints=folder)
    with pytest.raises(rg.InputError, match="is of the training of a shared kernel: it holds no network"):
        load_checkpoints(folder)


# --- couplings that stay


def test_rings_have_the_symmetry_of_the_square():
    assert [rings(side).max() + 1 for side in (1, 2, 3, 4, 5, 6, 8)] == [1, 1, 3, 3, 6, 6, 10]
    for side in (3, 6):
        ring = rings(side)
        np.testing.assert_array_equal(ring, ring.T)
        np.testing.assert_array_equal(ring, ring[::-1])
        assert ring[side // 2, side // 2] == 0
        assert ring[0, 0] == ring.max()


def test_a_trial_is_the_map(critical8):
    """The changes are those of the couplings of h, drawn by the numbers of the trial; the start is the block rule."""
    training = StationaryTraining(kernel=4)
    uniform = 2 * np.random.default_rng(1).random((len(critical8), 4, 4), np.float32) - 1
    trial = Trial(training, critical8.spins, [uniform])
    np.testing.assert_array_equal(trial.block_rule, [1, 0, 0])
    h = np.where(uniform < rg.BernoulliBlock(1.0).mean_h(critical8.spins), 1, -1).astype(np.int8)
    before = couplings(critical8)
    moved = np.asarray(couplings(h, groups=1).estimate.value) - np.asarray(before.estimate.value)
    errors = trial.changes(trial.block_rule)
    assert errors @ errors == pytest.approx(moved @ np.linalg.solve(4 * before.covariance, moved), rel=1e-6)


def test_the_best_start_is_kept_and_the_history_says_all(critical8):
    short = {"kernel": 2, "steps": 2}
    both = rg.train_kernel(critical8, "stationary", **short, starts=(3.0, 1.0))
    alone = {start: rg.train_kernel(critical8, "stationary", **short, starts=[start]) for start in (3.0, 1.0)}
    best, worse = sorted(alone, key=lambda start: alone[start].history["changes"][-1])
    np.testing.assert_array_equal(both.weights, alone[best].weights)
    assert (both.weights != alone[worse].weights).any()
    for name in ("start", "step", "changes"):
        curves = [alone[start].history[name] for start in (worse, best)]
        np.testing.assert_array_equal(both.history[name], np.concatenate(curves))


@pytest.mark.slow
def test_couplings_stay_where_the_majority_rule_moves_them():
    """On configurations that the search has not seen."""
    settings = {"steps": 6, "kernel": 6, "starts": (0.5,)}
    one = rg.train_kernel(rg.sample(16, samples=6_000, seed=1), "stationary", **settings)
    fresh = rg.sample(16, samples=4_000, seed=2)
    before = couplings(fresh)
    moved = {
        name: before.distance(couplings(draws(rule, fresh.spins))).value
        for name, rule in {"majority": rg.Majority(), "stationary": one}.items()
    }
    assert moved["majority"] > 0.1
    assert moved["stationary"] < 0.2 * moved["majority"]


# --- information


def pairs(correlation):
    """Return V and E, one spin each, `(10000, 1)`, with ⟨V E⟩ as given, exactly."""
    equal = round(10_000 * (1 + correlation) / 4)
    table = {(1, 1): equal, (-1, -1): equal, (1, -1): 5_000 - equal, (-1, 1): 5_000 - equal}
    both = np.concatenate([np.tile(spins, (number, 1)) for spins, number in table.items()])
    return jnp.asarray(both[:, :1], jnp.float32), jnp.asarray(both[:, 1:], jnp.float32)


def of_two_values(m):
    """I of two fair ±1 variables of correlation m, in nats."""
    p = np.array([1 + m, 1 - m]) / 2
    return math.log(2) + float((p * np.log(p)).sum())


@pytest.mark.parametrize("weight", [0.5, 2.0])
@pytest.mark.parametrize("correlation", [0.2, 0.8])
def test_the_bound_is_the_information_for_the_best_critic_and_less_for_others(weight, correlation):
    window, ring = pairs(correlation)
    m = correlation * math.tanh(weight)

    def found(u):
        none = jnp.zeros((1, 1)), jnp.zeros(1)
        return float(bound(Filter(jnp.array([weight]), jnp.array([u]), *none), window, ring))

    best = math.atanh(m)
    assert found(best) == pytest.approx(of_two_values(m), abs=1e-5)
    assert found(0.0) == pytest.approx(0, abs=1e-6)
    assert max(found(0.6 * best), found(1.5 * best)) < found(best) - 1e-4


def test_window_buffer_and_ring():
    inner, outer = displacements(InformationTraining(kernel=2, buffer=1, ring=1))
    assert sorted(map(tuple, inner.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(outer) == 6 * 6 - 4 * 4
    assert (np.abs(2 * outer - 1).max(axis=1) == 5).all()
    assert len(displacements(InformationTraining(kernel=3, buffer=0, ring=2))[1]) == 7 * 7 - 3 * 3


def test_a_filter_keeps_information_where_there_is_some():
    kept = rg.train_kernel(rg.sample(8, samples=2_000, seed=1), "kochjanusz2018", steps=400)
    assert (kept.weights > 0.3).all()
    assert kept.history["information"][-1] > 0.2
    nothing = rg.train_kernel(infinite_temperature(8, 2_000, 0), "kochjanusz2018", steps=400)
    assert abs(nothing.history["information"][-1]) < 0.03


# --- files and the command


def test_saved_and_loaded(tmp_path):
    one = kernel_of(3, block=2, bias=0.1, temperature=0.5, origin={"a": [1]}, history={"step": np.arange(3)})
    rg.save(tmp_path / "k.npz", one)
    found = rg.load(tmp_path / "k.npz")
    assert isinstance(found, SharedKernel)
    np.testing.assert_array_equal(found.weights, one.weights)
    assert (found.block, found.bias, found.temperature, found.origin) == (2, 0.1, 0.5, {"a": [1]})
    np.testing.assert_array_equal(found.history["step"], [0, 1, 2])
    name, again = jobs.map_from_file(str(tmp_path / "k.npz"))
    assert name == "k"
    assert isinstance(again, SharedKernel)


def test_files_that_hold_no_kernel(tmp_path, critical8):
    rg.save(tmp_path / "e.npz", critical8)
    with pytest.raises(rg.InputError, match="holds ensemble of format 2; expected rbm"):
        jobs.map_from_file(str(tmp_path / "e.npz"))
    rg.save(tmp_path / "k.npz", kernel_of(2))
    (tmp_path / "k.npz").write_bytes((tmp_path / "k.npz").read_bytes()[:200])
    with pytest.raises(rg.InputError, match=r"k\.npz"):
        rg.load(tmp_path / "k.npz")


@pytest.fixture
def run(tmp_path, monkeypatch, critical8):
    """Run the command in a folder that holds e.npz, as a user would."""
    monkeypatch.chdir(tmp_path)
    rg.save("e.npz", critical8)
    jaxtyping.config.update("jaxtyping_disable", True)
    yield lambda *arguments: CliRunner().invoke(cli.app, [str(a) for a in arguments])
    jaxtyping.config.update("jaxtyping_disable", False)


def test_the_command_trains_a_kernel(run):
    short = ("train", "e.npz", "k.npz", "--kernel", "chung2020", "--steps", 20, "--quiet")
    done = run(*short, "--json")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["preset"] == "chung2020"
    assert np.shape(summary["weights"]) == (8, 8)
    assert isinstance(rg.load("k.npz"), SharedKernel)
    assert "exists" in run(*short).stderr
    shown = run(*short[:-1], "--force").stdout
    assert "next: rgstep compare --map k.npz" in shown


def test_the_command_keeps_checkpoints(run):
    short = ("train", "e.npz", "k.npz", "--kernel", "chung2020", "--steps", 20, "--quiet", "--checkpoints", "c")
    assert run(*short).exit_code == 0
    first = rg.load("k.npz")
    assert checkpoint_steps(Path("c")) == [20]
    assert run(*short, "--force").exit_code == 0
    assert_same(rg.load("k.npz"), first)
    failed = run(*short, "--force", "--seed", 2)
    assert failed.exit_code == 2
    assert "is of seeds = [0], not [2]: choose another folder" in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (("--kernel", "chung"), "unknown preset 'chung'; did you mean 'chung2020'"),
        (("--kernel", "chung2020", "--hidden", 3), "hidden = 3: a shared kernel has no such setting"),
        (("--kernel", "chung2020", "--preset", "default"), "preset = default: a shared kernel has no such setting"),
    ],
)
def test_bad_options(run, extra, says):
    failed = run("train", "e.npz", "k.npz", "--quiet", *extra)
    assert failed.exit_code == 2
    assert says in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_compare_says_where_a_stride_does_not_fit(run):
    rg.save("k.npz", SharedKernel(np.ones((3, 3)), 3))
    failed = run("compare", "--size", 8, "--map", "k.npz", "--quiet")
    assert failed.exit_code == 2
    assert "blocks of side 3 do not tile a lattice of side 8" in failed.stderr


@pytest.mark.slow
def test_compare_takes_a_kernel(run, monkeypatch):
    rg.save("k.npz", SharedKernel(BOX))
    monkeypatch.setattr(jobs, "write_page", lambda *arguments: None)
    done = run("compare", "--size", 8, "--samples", 100, "--map", "k.npz", "--quiet", "--json")
    assert done.exit_code == 0, done.stderr
    assert "k" in json.loads(done.stdout)["maps"]
    assert isinstance(rg.load("runs/compare/data/networks/k.npz"), SharedKernel)


def test_the_most_compact_spot_is_found_wherever_it_is():
    """Of equal weights a spot has its share of sites; one that lies across the edge is found, too."""
    assert compactness(np.ones((8, 8)), 4) == pytest.approx(16 / 64)
    spot = np.zeros((8, 8))
    spot[2:6, 3:7] = -2.0
    assert compactness(spot, 4) == pytest.approx(1.0)
    assert compactness(np.roll(spot, (3, 4), (0, 1)), 4) == pytest.approx(1.0)
    spot[7, 0] = 4.0  # far from the others, with a fifth of the power
    assert compactness(spot, 4) == pytest.approx(0.8)
