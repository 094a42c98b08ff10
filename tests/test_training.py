"""Does training raise the likelihood, and does every setting do what its name says?"""

import dataclasses
import json
from itertools import pairwise

import enumeration
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rgstep import CRITICAL_TEMPERATURE, InputError, ensemble_from_array, train_rbm, untrained_rbm
from rgstep.nets import training
from rgstep.nets.annealing import log_likelihood
from rgstep.nets.batches import FixedSet, as_bits, spins_of_bits
from rgstep.nets.curves import CurveReader
from rgstep.nets.presets import PRESETS, Training, settings
from rgstep.nets.rbm import RBM
from rgstep.nets.updates import first_state, run_updates, run_updates_of_many

COUPLING = 1 / CRITICAL_TEMPERATURE
LAW = enumeration.probabilities(4, COUPLING)
STATES = enumeration.states(4)
ENTROPY = -(LAW * np.log(LAW)).sum()  # 4.4827: no network's mean log-likelihood exceeds −ENTROPY

# Every setting written out, so that no change of a preset moves these tests; one compiled program serves most of them.
SHORT = {
    "hidden": 4,
    "method": "cd",
    "k": 1,
    "chains": 20,
    "chains_start": "ordered",
    "tempering": "none",
    "levels": 1,
    "batch": 50,
    "steps": 230,
    "optimiser": "sgd",
    "learning_rate": 0.05,
    "schedule": "constant",
    "momentum": 0.9,
    "epsilon": 1e-8,
    "weights_sd": 0.01,
    "units": "spin",
    "biases": True,
    "gradient_h": "mean",
    "centred": False,
    "l1": 0.0,
    "l2": 0.0,
}
BOUND = 0.12  # nats of KL; of three seeds each measured 0.057 … 0.076, in 0/1 units 0.078 … 0.089
LONG = {**SHORT, "hidden": 16, "chains": 200, "batch": 100, "steps": 3000, "schedule": "cosine"}


@pytest.fixture(scope="module")
def data():
    """5000 exact draws of the 4×4 critical Ising model."""
    return STATES[np.random.default_rng(0).choice(len(LAW), 5000, p=LAW)]


@pytest.fixture(scope="module")
def short(data):
    """One short run, to be compared with others."""
    return train_rbm(data, seed=1, **SHORT)


def train(data, seed=1, **changes):
    return train_rbm(data, seed=seed, **{**SHORT, **changes})


def divergence(rbm):
    """KL(Ising | rbm) = −ENTROPY − Σ p ln q, over all 65,536 states."""
    return -ENTROPY - (LAW * log_likelihood(rbm, STATES)).sum()


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("weights", "visible_bias", "hidden_bias")
    )


# --- does it learn?


METHODS = {
    "CD-1": {},
    "CD-4": {"k": 4},
    "PCD-1": {"method": "pcd"},
    "centred": {"method": "pcd", "centred": True},
    "binary": {"method": "pcd", "units": "binary", "learning_rate": 1.0},
    "temperature": {"method": "pcd", "tempering": "temperature", "levels": 4, "chains": 50},
    "trajectory": {"method": "pcd", "tempering": "trajectory", "levels": 4, "chains": 50},
    "without biases": {"method": "pcd", "biases": False},
}
SLOW = ("CD-1", "CD-4", "centred", "temperature", "trajectory", "without biases")


@pytest.mark.parametrize("name", [pytest.param(m, marks=pytest.mark.slow if m in SLOW else ()) for m in METHODS])
def test_learning_brings_the_likelihood_near_its_bound(data, name):
    """From KL = 6.6 nats (fair spins) to less than 0.12."""
    learned = train(data, **{**LONG, **METHODS[name]})
    assert 0 < divergence(learned) < BOUND
    assert learned.visible_bias.any() == (name != "without biases")


@pytest.mark.parametrize("name", ["CD-1", "PCD-1"])
def test_spins_shuffled_between_the_samples_teach_nothing(data, name):
    start = untrained_rbm(16, 16, weights_sd=0.01)
    shuffled = np.random.default_rng(1).permuted(data.reshape(-1, 16), axis=0)
    assert divergence(start) == pytest.approx(16 * np.log(2) - ENTROPY, abs=0.01)
    assert divergence(train(shuffled, **{**LONG, **METHODS[name]})) > 6


def test_biases_are_learned():
    """Independent spins of means m: the network's means agree within the data's noise."""
    rng = np.random.default_rng(2)
    v = np.where(rng.random((5000, 16)) < np.linspace(0.1, 0.9, 16), 1, -1)
    rbm = train(v, **LONG)
    p = np.exp(log_likelihood(rbm, STATES))
    np.testing.assert_allclose(p @ STATES.reshape(-1, 16), v.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(p.sum(), 1)


def test_without_biases_the_symmetry_of_the_data_is_exact():
    """⟨m⟩ = 0 by enumeration. At T = 1.5, with biases, chains that leave a mode take the model with them."""
    law = enumeration.probabilities(4, 1 / 1.5)
    half = STATES[np.random.default_rng(0).choice(len(law), 2500, p=law)]
    symmetric = np.concatenate([half, -half])
    m = {}
    for biases in (False, True):
        rbm = train(symmetric, method="pcd", biases=biases)
        m[biases] = float(np.exp(log_likelihood(rbm, STATES)) @ STATES.mean(axis=(1, 2)))
        assert (rbm.visible_bias.any(), rbm.hidden_bias.any()) == (biases, biases)
    assert abs(m[False]) < 1e-9
    assert abs(m[True]) > 0.1


def test_hidden_units_may_be_sampled_in_the_gradient(data, short):
    noisy = train(data, gradient_h="sampled")
    assert not same(noisy, short)
    assert divergence(noisy) < 5 > divergence(short)


# --- the seed


def test_the_same_seed_gives_the_same_network(data, short):
    np.random.seed(5)  # noqa: NPY002  # a global seed must not matter
    again, ensemble = train(data), train(ensemble_from_array(data, CRITICAL_TEMPERATURE))
    assert same(again, short)
    assert same(ensemble, short)
    for name, curve in short.history.items():
        np.testing.assert_array_equal(again.history[name], curve)
    assert not same(train(data, seed=2), short)


# --- settings


def test_chains_belong_to_pcd():
    """PCD keeps as many as asked; on CD their number has no effect: every later draw is the same."""
    weights = untrained_rbm(16, 4).parameters
    states = {m: [first_state(weights, Training(method=m, chains=n), 0) for n in (3, 50)] for m in ("pcd", "cd")}
    assert [state.chains.shape for state in states["pcd"]] == [(3, 16), (50, 16)]
    assert [state.chains.shape for state in states["cd"]] == [(1, 16), (1, 16)]
    np.testing.assert_array_equal(*(jax.random.key_data(state.key) for state in states["cd"]))


@pytest.mark.parametrize(("samples", "batch"), [(30, 10), (35, 10), (30, 10_000), (1, 50)])
def test_every_epoch_visits_every_configuration_once(samples, batch):
    """Whole batches only; a batch larger than the data is all of it; each epoch has its own order."""
    size, seeds = min(samples, batch), (0, 5)
    source = FixedSet(np.arange(samples, dtype=np.uint8)[:, None], 8, batch, seeds)
    shown, rows = source.batches(0, 230)
    np.testing.assert_array_equal(shown, source.sample)
    assert rows.shape == (2, 230, size)
    per_epoch = samples // size
    epochs = rows[:, : 230 // per_epoch * per_epoch].reshape(2, -1, per_epoch * size)
    for epoch in epochs.reshape(-1, per_epoch * size):
        assert len(set(epoch)) == per_epoch * size
    assert rows.min() == 0
    assert rows.max() == samples - 1
    assert samples == 1 or (epochs[:, 0] != epochs[:, 1]).any()
    assert samples == 1 or (epochs[0] != epochs[1]).any()
    parts = [source.batches(first, count)[1] for first, count in ((7, 4), (0, 7), (11, 219))]
    np.testing.assert_array_equal(np.concatenate([parts[1], parts[0], parts[2]], axis=1), rows)


def test_one_configuration_is_enough_data():
    up = np.ones((1, 16), np.int8)
    assert (train(up, learning_rate=0.5).visible_bias > 0.5).all()


def test_penalties_pull_weights_towards_zero(data):
    """In one update of plain descent, by rate · (l1 sign W + l2 W) beside the same gradient."""
    start = untrained_rbm(16, 4, seed=1, weights_sd=0.01).weights.astype(float)
    free, held = train(data, steps=1), train(data, steps=1, l1=0.02, l2=3.0)
    pull = 0.05 * (0.02 * np.sign(start) + 3.0 * start)
    np.testing.assert_allclose(free.weights - held.weights, pull, atol=1e-8)
    np.testing.assert_array_equal(free.visible_bias, held.visible_bias)


GRADIENT = np.array([2.0, -0.5])


def changes(training, steps):
    """What a constant gradient does to two parameters, update after update."""
    optimiser = training.transformation()
    parameters = jnp.zeros(2)
    state, path = optimiser.init(parameters), []
    for _ in range(steps):
        change, state = optimiser.update(jnp.asarray(GRADIENT, jnp.float32), state, parameters)
        path.append(np.asarray(change))
    return np.stack(path)


def test_optimisers_are_what_their_names_say():
    sgd = changes(Training(optimiser="sgd", learning_rate=0.1), 3)
    np.testing.assert_allclose(sgd, np.tile(-0.1 * GRADIENT, (3, 1)), rtol=1e-6)
    for momentum, sizes in ((0.9, (1, 1.9, 2.71)), (0.5, (1, 1.5, 1.75))):
        path = changes(Training(optimiser="momentum", learning_rate=0.1, momentum=momentum), 3)
        np.testing.assert_allclose(path, -0.1 * GRADIENT * np.array(sizes)[:, None], rtol=1e-6)
    adam = changes(Training(optimiser="adam", learning_rate=0.1, epsilon=0.5), 1)
    np.testing.assert_allclose(adam, [-0.1 * GRADIENT / (np.abs(GRADIENT) + 0.5)], rtol=1e-5)


def test_the_cosine_schedule_decays_to_zero_over_the_run():
    sizes = changes(Training(optimiser="sgd", learning_rate=0.1, schedule="cosine", steps=8), 9)[:, 0] / -GRADIENT[0]
    np.testing.assert_allclose(sizes, 0.05 * (1 + np.cos(np.pi * np.arange(9) / 8)), atol=1e-7)


@pytest.mark.parametrize(
    "setting",
    [{"optimiser": optax.sgd(0.05)}, {"learning_rate": optax.constant_schedule(0.05)}],
    ids=["optimiser", "schedule"],
)
def test_optax_transformations_and_schedules_are_settings(data, short, setting):
    rbm = train(data, **setting)
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_allclose(getattr(rbm, name), getattr(short, name), atol=1e-6)
    record = json.dumps(dict(rbm.origin))
    assert "function" in record
    assert " at 0x" not in record  # an address would make two records of one run differ


def test_an_optax_schedule_is_the_rate_of_each_update():
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    sizes = changes(Training(optimiser="sgd", learning_rate=schedule), 5)[:, 0] / -GRADIENT[0]
    np.testing.assert_allclose(sizes, [0.1, 0.075, 0.05, 0.025, 0], atol=1e-7)


# Adds one to every parameter, whatever the gradient: it counts updates.
COUNTER = optax.GradientTransformation(
    lambda parameters: (), lambda gradient, state, parameters=None: (jax.tree.map(jnp.ones_like, gradient), state)
)


@pytest.mark.parametrize("steps", [1, 230])
def test_exactly_as_many_updates_as_asked(data, steps):
    """Counted by the optimiser, from the untrained network's weights on."""
    calls = []
    rbm = train(data, steps=steps, optimiser=COUNTER, progress=lambda *a, **k: calls.append((a, k)))
    start = untrained_rbm(16, 4, seed=1, weights_sd=0.01)
    np.testing.assert_allclose(rbm.weights - steps, start.weights, atol=2e-5 * steps**0.5)
    np.testing.assert_array_equal(rbm.visible_bias, steps)
    np.testing.assert_array_equal(rbm.hidden_bias, steps)
    assert rbm.history["step"][0] == 0
    assert rbm.history["step"][-1] == steps
    assert rbm.origin["steps"] == steps
    done = [args[1] for args, _ in calls]
    assert done[0] == 0
    assert done[-1] == steps
    assert done == sorted(done)
    assert {args[2] for args, _ in calls} == {steps}
    assert len({args[0] for args, _ in calls}) == 1


# --- how the work is cut


def test_how_loops_are_cut_changes_no_number(data, short, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_OF_LOOP", 1e-9)  # loops of one update
    monkeypatch.setattr(training, "UPDATES_OF_FIRST_LOOP", 1)
    one_by_one = train(data)
    assert same(one_by_one, short)
    for name, curve in short.history.items():
        np.testing.assert_array_equal(one_by_one.history[name], curve)
    monkeypatch.setattr(training, "SECONDS_OF_LOOP", 1e9)
    monkeypatch.setattr(training, "UPDATES_OF_FIRST_LOOP", 10**6)
    monkeypatch.setattr(training, "next_reading", lambda step, last: last)
    monkeypatch.setattr(training, "next_checkpoint", lambda step, last: last)
    counts, advance = [], training.TrainingRun.advance
    monkeypatch.setattr(
        training.TrainingRun, "advance", lambda run, step, n: (counts.append(n), advance(run, step, n))[1]
    )
    whole = train(data)
    assert counts == [230]
    assert same(whole, short)


@pytest.mark.slow
def test_a_smaller_block_of_updates_changes_no_number(data, short, monkeypatch):
    monkeypatch.setattr(training, "LONGEST_LOOP", 7)
    monkeypatch.setattr(training, "UPDATES_OF_FIRST_LOOP", 7)
    assert same(train(data), short)


def test_several_seeds_at_once_are_the_single_ones(data, short):
    several = train(data, seed=[4, 1])
    assert [rbm.origin["seed"] for rbm in several] == [4, 1]
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_allclose(getattr(several[1], name), getattr(short, name), atol=1e-6)
    for name, curve in short.history.items():
        np.testing.assert_allclose(several[1].history[name], curve, rtol=1e-3, atol=1e-5)
    assert np.abs(several[0].weights - several[1].weights).max() > 0.01


@pytest.mark.parametrize("seeds", [[], [1, 1], [0, -1], "12"])
@pytest.mark.usefixtures("as_users_run")
def test_bad_lists_of_seeds_are_refused(data, seeds):
    with pytest.raises(InputError, match="seed = "):
        train(data, seed=seeds)


@pytest.mark.slow
def test_one_program_serves_k_steps_and_seed(data):
    """Compiled once in a run, in particular: what goes out of a compiled loop has the types of what goes in."""
    for settings_ in ({"chains": 21, "method": "pcd"}, {"batch": 49}):
        before = run_updates._cache_size()
        train(data, steps=30, **settings_)
        assert run_updates._cache_size() == before + 1
        train(data, steps=47, k=3, seed=8, **settings_)
        assert run_updates._cache_size() == before + 1
    before = run_updates._cache_size(), run_updates_of_many._cache_size()
    train(data, steps=30, batch=49, chains=77)  # of CD
    assert (run_updates._cache_size(), run_updates_of_many._cache_size()) == before
    train(data, steps=30, batch=49, learning_rate=0.06)  # a constant of the program
    assert run_updates._cache_size() == before[0] + 1


def test_the_training_curves_belong_together(data, short):
    names = {"step", "reconstruction", "pseudo_likelihood", "participation_w", "weights_sd"}
    names |= {"u_model", "u_data", "abs_m_model", "chi_model", "xi_data", "G1_model", "sv_1", "sv_median", "spread_w"}
    assert set(short.history) >= names
    assert len({len(curve) for curve in short.history.values()}) == 1
    steps = list(short.history["step"])
    assert steps[:10] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert all(later == min(230, max(step + 1, int(1.15 * step))) for step, later in pairwise(steps))
    assert steps[-1] == 230
    assert short.history["weights_sd"][-1] == pytest.approx(
        np.sqrt((short.weights.astype(float) ** 2).mean()), rel=1e-5
    )
    start = untrained_rbm(16, 4, seed=1, weights_sd=0.01).weights.astype(float)
    assert short.history["weights_sd"][0] == pytest.approx(np.sqrt((start**2).mean()), rel=1e-5)
    rows = short.weights.astype(float)
    ratio = np.median((rows**2).sum(axis=0) ** 2 / (rows**4).sum(axis=0))
    assert short.history["participation_w"][-1] == pytest.approx(ratio, rel=1e-4)
    assert short.history["pseudo_likelihood"][0] == pytest.approx(-np.log(2), abs=1e-3)
    assert short.history["reconstruction"][0] == pytest.approx(1, abs=1e-2)
    assert short.history["pseudo_likelihood"][-1] > -0.6
    assert short.history["reconstruction"][-1] < 0.9
    assert all(np.isfinite(curve).all() for curve in short.history.values())


def test_the_record_says_how_the_network_was_made(data, short):
    assert short.origin["seed"] == 1
    assert short.origin["samples"] == len(data)
    for name, value in SHORT.items():
        if name != "hidden":
            assert short.origin[name] == value
    assert json.loads(json.dumps(dict(short.origin))) == dict(short.origin)


def test_a_quarter_as_many_hidden_units_by_default(data):
    assert train(data, hidden=None).hidden == 4


def test_the_pseudo_likelihood_of_a_known_model():
    """Two spins and one hidden unit are an Ising bond, J = ½ ln cosh(w₁+w₂)/cosh(w₁−w₂): −ln(1 + e^(−2J v₁v₂))."""
    w = np.array([[0.8], [1.1]])
    J = 0.5 * np.log(np.cosh(w.sum()) / np.cosh(w[0, 0] - w[1, 0]))
    v = np.array([[1, 1]] * 5 + [[-1, -1]] * 4 + [[1, -1]] * 3, np.int8)
    expected = (9 * -np.log1p(np.exp(-2 * J)) + 3 * -np.log1p(np.exp(2 * J))) / 12
    rbm = RBM(w, np.zeros(2), np.zeros(1))
    reader = CurveReader(*as_bits(v), np.random.default_rng(0))
    reading = reader.read(rbm.parameters, 0, jnp.asarray(v, jnp.float32))
    assert reading["pseudo_likelihood"] == pytest.approx(expected, abs=1e-6)
    rebuilt = np.tanh(np.tanh(v @ w) @ w.T)
    assert reading["reconstruction"] == pytest.approx(((v - rebuilt) ** 2).mean(), abs=1e-5)


@pytest.mark.parametrize("visible", [1, 7, 8, 36, 64])
def test_the_device_unpacks_what_was_packed(visible):
    v = np.random.default_rng(visible).choice(np.array([-1, 1], np.int8), (50, visible))
    bits, units = as_bits(v)
    assert (units, bits.shape) == (visible, (50, -(-visible // 8)))
    back = spins_of_bits(jnp.asarray(bits), visible)
    assert back.dtype == jnp.float32
    np.testing.assert_array_equal(back, v)


# --- presets and what is refused


def test_the_published_preset():
    """reference.md section 1: the authors' scripts."""
    expected = {
        "method": "pcd",
        "k": 1,
        "chains": 1,
        "batch": 100,
        "steps": 10_000,
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "epsilon": 1e-2,
        "weights_sd": 0.05,
        "gradient_h": "sampled",
        "schedule": "constant",
        "chains_start": "fair",
        "tempering": "none",
        "levels": 1,
        "momentum": 0.9,
        "units": "spin",
        "biases": True,
        "centred": False,
        "l1": 0.0,
        "l2": 0.0,
    }
    assert dataclasses.asdict(PRESETS["koch2020"]) == expected


def test_overrides_replace_settings_and_none_keeps_them():
    changed = settings("koch2020", {"steps": 7, "k": None})
    assert dataclasses.replace(changed, steps=10_000) == PRESETS["koch2020"]
    assert changed.steps == 7


def test_the_preset_is_recorded(data):
    """With the one setting that is not replaced: the chains, which the program that others compiled does not know."""
    rbm = train_rbm(data, preset="koch2020", **{**SHORT, "steps": 1, "chains": None})
    assert rbm.origin["preset"] == "koch2020"
    assert rbm.origin["chains"] == 1
    assert "koch2020" in repr(rbm)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ({"preset": "koch2002"}, "did you mean 'koch2020'"),
        ({"learning_rte": 0.1}, "did you mean 'learning_rate'"),
        ({"optimiser": "adma"}, "did you mean 'adam'"),
        ({"method": "pdc"}, "did you mean 'pcd'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"gradient_h": "sample"}, "did you mean 'sampled'"),
        ({"tempering": "trajectroy"}, "did you mean 'trajectory'"),
        ({"chains_start": "order"}, "did you mean 'ordered'"),
        ({"units": "spins"}, "did you mean 'spin'"),
        ({"levls": 3}, "did you mean 'levels'"),
        ({"bias": True}, "did you mean 'biases'"),
        ({"optimiser": "xyz"}, "known: adam, momentum, sgd"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_unknown_names_suggest_the_nearest(data, call, hint):
    with pytest.raises(InputError, match=hint):
        train_rbm(data, 4, **call)


@pytest.mark.parametrize(
    "call",
    [
        {"steps": 0},
        {"steps": -5},
        {"steps": 2.5},
        {"k": 0},
        {"chains": 0},
        {"batch": 0},
        {"batch": True},
        {"hidden": 0},
        {"hidden": -3},
        {"learning_rate": 0.0},
        {"learning_rate": -0.1},
        {"learning_rate": np.nan},
        {"learning_rate": np.inf},
        {"epsilon": -1.0},
        {"momentum": -0.5},
        {"momentum": np.nan},
        {"levels": 0},
        {"levels": 1.5},
        {"weights_sd": -0.1},
        {"l1": -1.0},
        {"l2": np.nan},
        {"seed": -1},
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_values_out_of_range_are_refused_by_name(data, call):
    ((name, value),) = call.items()
    with pytest.raises(InputError, match=f"{name} = {value}"):
        train_rbm(data, **call)


@pytest.mark.parametrize("name", ["biases", "centred"])
@pytest.mark.parametrize("value", ["yes", 1, None])
@pytest.mark.usefixtures("as_users_run")
def test_switches_are_true_or_false(name, value):
    with pytest.raises(InputError, match=f"{name} = {value!r}: must be True or False"):
        Training(**{name: value})


def test_the_centred_gradient_needs_biases():
    with pytest.raises(InputError, match="centred = True with biases = False"):
        Training(centred=True, biases=False)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tempering": "temperature"}, "levels = 1: give levels = 2 or more"),
        ({"tempering": "trajectory"}, "levels = 1: give levels = 2 or more"),
        ({"levels": 3}, "levels = 3: name 'temperature' or 'trajectory'"),
        ({"tempering": "temperature", "levels": 3, "method": "cd"}, "method = 'cd': it needs the chains of 'pcd'"),
    ],
)
def test_tempering_levels_and_method_belong_together(data, changes, rule):
    with pytest.raises(InputError, match=rule):
        train_rbm(data, 4, **{"method": "pcd", **changes})
    Training(method="pcd", tempering="temperature", levels=3)


@pytest.mark.usefixtures("as_users_run")
def test_whole_numbers_may_be_written_as_powers_of_ten(data):
    """1e2 steps are 100, and are recorded as 100."""
    origin = train(data, steps=2e1, chains=np.int64(20), k=1.0).origin
    assert (origin["steps"], origin["chains"], origin["k"]) == (20, 20, 1)
    assert all(type(origin[name]) is int for name in ("steps", "chains", "k"))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (np.tile([0, 1], (5, 8)), r"2 \* data - 1"),
        (np.zeros((0, 4, 4)), "shape"),
        (np.ones(16), "shape"),
        (np.full((5, 16), 0.5), "0.5"),
        (np.full((5, 16), np.nan), "nan"),
        (np.ones((5, 16), bool), "booleans"),
    ],
)
def test_data_that_are_not_spins_are_refused(data, rule):
    with pytest.raises(InputError, match=rule):
        train_rbm(data, 4, steps=1)


@pytest.mark.parametrize("optimiser", ["sgd", pytest.param("adam", marks=pytest.mark.slow)])
def test_weights_that_explode_are_an_error_that_names_the_rate(data, optimiser):
    with pytest.raises(InputError, match="learning_rate = "):
        train(data, learning_rate=1e30, optimiser=optimiser)


def test_a_network_too_large_for_memory_is_refused(data):
    with pytest.raises(InputError, match="memory"):
        train_rbm(data, hidden=10**12)
