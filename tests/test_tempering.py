"""Parallel tempering against enumerated networks: laws that stay, exchanges, travel along the ladder, its choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import network, states
from scipy.special import logsumexp
from scipy.stats import chi2

from rgstep import RBM, InputError, memory
from rgstep.estimates import autocorrelation_time
from rgstep.nets import tempering
from rgstep.nets.rbm import Weights, gibbs_steps
from rgstep.nets.tempering import (
    LadderState,
    Tempered,
    attempts,
    exchange,
    free_energies,
    ladder_state,
    run_steps,
    stacked,
    temper,
    temperature_ladder,
    tempering_step,
    trajectory_ladder,
    with_exchanged,
)

REJECT = 1e-4
CHAINS = 20_000
BETAS = (0.0, 0.4, 0.7, 1.0)

run_exchange = jax.jit(exchange)


def two_modes(visible=16, coupling=2.0):
    """One hidden unit coupled to all visible ones: all up or all down; a Gibbs step flips one time in 10¹⁰."""
    return RBM(np.full((visible, 1), coupling), np.zeros(visible), np.zeros(1))


def law(rbm):
    """p(v) of every state, from the free energies in float64."""
    log_p = -rbm.free_energy(states(rbm.visible))
    return np.exp(log_p - logsumexp(log_p))


def levels_of(rbm, betas):
    return [RBM(b * rbm.weights, b * rbm.visible_bias, b * rbm.hidden_bias) for b in betas]


def exact_draws(rbms, chains, seed=0):
    """Independent exact draws at every level, `(level, chain, visible)`."""
    rng = np.random.default_rng(seed)
    every = states(rbms[0].visible)
    return np.stack([every[rng.choice(len(every), size=chains, p=law(rbm))] for rbm in rbms])


def p_value(v, p):
    """χ² of configurations against a law; states expected fewer than five times count together."""
    codes = ((np.asarray(v) > 0) @ (1 << np.arange(v.shape[1]))).astype(int)
    seen, expected = np.bincount(codes, minlength=len(p)), len(v) * p
    rare = expected < 5
    seen, expected = (np.append(x[~rare], x[rare].sum()) for x in (seen, expected))
    if expected[-1] < 5:
        seen, expected = (np.append(x[:-2], x[-2:].sum()) for x in (seen, expected))
    return chi2.sf(((seen - expected) ** 2 / expected).sum(), len(seen) - 1)


def lowest_p_value(v, rbms):
    return min(p_value(at, law(rbm)) for at, rbm in zip(np.asarray(v), rbms, strict=True))


# --- stationarity

STRONG = network(10, 5, 0.8)
RUNGS = levels_of(STRONG, BETAS)
RIGHT = (1.0, 1.0, -1.0, -1.0)


@jax.jit
def steps_by_the_package(ladder, v, steps):
    def step(i, v):
        return tempering_step(ladder, v, jax.random.fold_in(jax.random.key(5), i), 1, i % 2)[0]

    return jax.lax.fori_loop(0, steps, step, v)


@jax.jit
def steps_of_the_twin(ladder, v, steps, log_chance, factor):
    """Gibbs steps with weights off by a factor; exchanges with another sum of the four free energies."""
    easy, hard = (Weights(*(x[part] for x in ladder)) for part in (np.s_[:-1], np.s_[1:]))

    def step(i, v):
        key_gibbs, key_exchange = jax.random.split(jax.random.fold_in(jax.random.key(5), i))
        wrong = ladder._replace(w=factor * ladder.w)
        v = jax.vmap(gibbs_steps, (0, 0, None, 0))(wrong, v, jnp.int32(1), jax.random.split(key_gibbs, len(v)))
        pairs = [(easy, v[:-1]), (hard, v[1:]), (easy, v[1:]), (hard, v[:-1])]
        total = sum(c * free_energies(*pair) for c, pair in zip(log_chance, pairs, strict=True))
        tried = (jnp.arange(len(v) - 1) % 2 == i % 2)[:, None]
        return with_exchanged(v, tried & (jnp.log(jax.random.uniform(key_exchange, total.shape)) < total))

    return jax.lax.fori_loop(0, steps, step, v)


@pytest.mark.slow
@pytest.mark.parametrize("ladder", [temperature_ladder(STRONG, BETAS), trajectory_ladder(RUNGS)], ids=["β", "run"])
def test_every_level_keeps_its_law(ladder):
    """Exact draws stay exact after 1, 4 and 16 steps: no mixing is asked for, only that the law does not move."""
    v = jnp.asarray(exact_draws(RUNGS, CHAINS), jnp.float32)
    for steps in (1, 4, 16):
        assert lowest_p_value(steps_by_the_package(ladder, v, steps), RUNGS) > REJECT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("log_chance", "factor", "good"),
    [
        (RIGHT, 1.0, True),
        ((-1.0, -1.0, 1.0, 1.0), 1.0, False),  # the wrong sign
        ((1.0, 0.0, -1.0, 0.0), 1.0, False),  # the free energies of one network only
        ((0.0, 1.0, 0.0, -1.0), 1.0, False),
        ((0.0, 0.0, 0.0, 0.0), 1.0, False),  # always
        ((0.8, 0.8, -0.8, -0.8), 1.0, False),
        (RIGHT, 0.95, False),
        (RIGHT, 1.1, False),
    ],
)
def test_other_exchanges_and_other_weights_are_found(log_chance, factor, good):
    v = jnp.asarray(exact_draws(RUNGS, CHAINS), jnp.float32)
    v = steps_of_the_twin(temperature_ladder(STRONG, BETAS), v, 4, log_chance, factor)
    assert (lowest_p_value(v, RUNGS) > REJECT) == good


@pytest.mark.slow
def test_a_parity_drawn_at_random_keeps_the_laws_too():
    v = jnp.asarray(exact_draws(RUNGS, CHAINS), jnp.float32)
    ladder, step = temperature_ladder(STRONG, BETAS), jax.jit(tempering_step)
    tried = np.zeros(3, bool)
    for i in range(4):
        v, accepted = step(ladder, v, jax.random.key(i), 1)
        tried |= np.asarray(accepted.any(axis=1))
    assert tried.all()
    assert lowest_p_value(v, RUNGS) > REJECT


@pytest.mark.slow
def test_temper_keeps_the_laws_and_its_samples_are_those_of_the_last_level():
    start = ladder_state(exact_draws(RUNGS, CHAINS))
    run = temper(temperature_ladder(STRONG, BETAS), 3, chains=CHAINS, steps=4, start=start, keep=4)
    assert lowest_p_value(run.state.v, RUNGS) > REJECT
    np.testing.assert_array_equal(run.samples, np.asarray(run.state.v[-1]))
    assert p_value(run.samples, law(levels_of(STRONG, [0.9])[0])) < REJECT


def test_a_level_without_weights_is_drawn_afresh_at_every_step():
    first = RBM(np.zeros((10, 5)), STRONG.visible_bias, np.zeros(5))
    drawn = jax.jit(gibbs_steps)(first.parameters, jnp.ones((CHAINS, 10)), jnp.int32(1), jax.random.key(0))
    assert p_value(drawn, law(first)) > REJECT
    assert p_value(drawn, law(RBM(first.weights, 0.9 * first.visible_bias, np.zeros(5)))) < REJECT


# --- the exchange


def test_an_exchange_permutes_the_levels_of_each_chain():
    v = jnp.asarray(exact_draws(RUNGS, CHAINS), jnp.float32)
    for parity in (0, 1):
        after, accepted = run_exchange(temperature_ladder(STRONG, BETAS), v, jax.random.key(1), parity)
        assert not accepted[1 - parity :: 2].any()
        assert accepted.any()
        expected = np.array(v)
        for level, chain in np.argwhere(accepted):
            expected[[level, level + 1], chain] = expected[[level + 1, level], chain]
        np.testing.assert_array_equal(after, expected)
        np.testing.assert_array_equal(with_exchanged(v, accepted), expected)


def exact_acceptance(easy, hard):
    """Σ p₁(v) p₂(v') min(1, exp(D(v') − D(v))) over all pairs of states."""
    difference = hard.free_energy(states(easy.visible)) - easy.free_energy(states(easy.visible))
    return law(easy) @ np.exp(np.minimum(difference[None, :] - difference[:, None], 0.0)) @ law(hard)


def test_the_acceptance_is_that_of_the_enumerated_networks():
    v = jnp.asarray(exact_draws(RUNGS, CHAINS), jnp.float32)
    for parity in (0, 1):
        _, accepted = run_exchange(temperature_ladder(STRONG, BETAS), v, jax.random.key(2), parity)
        for pair in range(parity, len(RUNGS) - 1, 2):
            exact = exact_acceptance(RUNGS[pair], RUNGS[pair + 1])
            sigma = np.sqrt(exact * (1 - exact) / CHAINS)
            assert abs(float(accepted[pair].mean()) - exact) < 4 * sigma
            assert abs(float(accepted[pair].mean()) - exact_acceptance(RUNGS[pair], RUNGS[pair])) > 4 * sigma


def test_float32_free_energies_are_good_enough_to_exchange_with():
    """1024 × 256, |F| above 1000: the chance of an exchange within 10⁻³ of that in float64, its mean within 10⁻⁵."""
    easy, hard = levels_of(network(1024, 256, 0.1), (0.97, 1.0))
    v = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 200, 1024))
    v = np.asarray(
        jax.jit(jax.vmap(gibbs_steps, (0, 0, None, 0)))(
            stacked([easy, hard]), jnp.asarray(v, jnp.float32), jnp.int32(5), jax.random.split(jax.random.key(0))
        )
    )
    exact = np.array([[rbm.free_energy(at) for at in v] for rbm in (easy, hard)])
    single = np.array(
        [[free_energies(stacked([rbm]), jnp.asarray(at, jnp.float32)[None])[0] for at in v] for rbm in (easy, hard)]
    )
    assert abs(exact).min() > 1000

    def chance(f):
        return np.exp(np.minimum(f[0, 0] + f[1, 1] - f[0, 1] - f[1, 0], 0.0))

    difference = chance(single.astype(np.float64)) - chance(exact)
    assert 0.1 < chance(exact).mean() < 0.95
    assert abs(difference).max() < 1e-3
    assert abs(difference.mean()) < 5e-5
    half = np.float16(exact).astype(np.float64)
    assert abs(chance(half) - chance(exact)).max() > 1e-3


# --- travel


def travel_by_hand(accepted):
    """Round trips per chain from the exchanges accepted, `(step, pair, chain)`, following every configuration."""
    steps, pairs, chains = accepted.shape
    trips = np.zeros(chains, int)
    for chain in range(chains):
        at = list(range(pairs + 1))  # which configuration is at each level
        goal = ["last" if level == 0 else "first, not yet out" for level in at]
        for step in range(steps):
            for pair in np.flatnonzero(accepted[step, :, chain]):
                at[pair], at[pair + 1] = at[pair + 1], at[pair]
            if goal[at[0]] == "first":
                trips[chain] += 1
            goal[at[0]] = "last"
            if goal[at[-1]] == "last":
                goal[at[-1]] = "first"
    return trips


def test_round_trips_and_acceptances_are_those_counted_by_hand():
    ladder, chains, steps = temperature_ladder(STRONG, BETAS), 5, 120
    run = temper(ladder, 7, chains=chains, steps=steps)
    key, state, accepted = tempering.as_key(7), tempering.fair_spins(ladder, chains, tempering.as_key(7)), []
    for _ in range(steps):
        state, seen = run_steps(ladder, state, key, jnp.int32(1), jnp.int32(1))
        accepted.append(np.asarray(seen.accepted))
    np.testing.assert_array_equal(state.v, run.state.v)
    by_hand = travel_by_hand(np.array(accepted))
    assert by_hand.sum() == run.round_trips > 10
    assert run.trip_rate.value == pytest.approx(1000 * by_hand.mean() / steps)
    np.testing.assert_allclose(run.acceptances.value, np.sum(accepted, axis=(0, 2)) / (chains * steps / 2))


@pytest.mark.parametrize("levels", [2, 5])
def test_equal_networks_carry_configurations_at_full_speed(levels):
    """Every exchange is accepted: a configuration is back after 2 · levels steps, one arrives every second step."""
    steps = 30 * levels
    run = temper(stacked([network(4, 2, 0.5)] * levels), chains=3, steps=steps)
    np.testing.assert_array_equal(run.acceptances.value, 1.0)
    assert abs(run.round_trips / 3 - steps / 2) <= levels + 1


def test_attempts_are_counted():
    for begun in (0, 1, 4):
        for steps in (1, 2, 7):
            parity = np.arange(begun, begun + steps) % 2
            expected = [(parity == pair % 2).sum() or np.nan for pair in range(3)]
            np.testing.assert_array_equal(attempts(3, begun, steps)[:, 0], expected)


# --- mixing


@pytest.mark.slow
def test_tempering_finds_the_second_mode_and_gibbs_does_not():
    rbm = two_modes()
    chains, steps = 400, 400
    ladder = temperature_ladder(rbm, np.linspace(0, 1, 7))
    up = ladder_state(np.ones((7, chains, 16)))
    plain = temper(stacked([rbm]), 0, chains=chains, steps=steps, start=ladder_state(np.ones((1, chains, 16))))
    assert (plain.samples.sum(axis=1) > 0).all()
    settled = temper(ladder, 0, chains=chains, steps=steps, start=up)
    ends = np.asarray(settled.state.v[-1]).sum(axis=1) > 0
    assert abs(ends.mean() - 0.5) < 4 * 0.5 / np.sqrt(chains)
    run = temper(ladder, 0, chains=chains, steps=steps, start=settled.state)
    m = run.samples.mean(axis=1)
    assert abs((m > 0).mean() - 0.5) < 4 * 0.5 * np.sqrt(2 * run.tau["m"].value / (chains * steps))
    assert 1 < run.tau["m"].value < 60
    exact = law(rbm) @ abs(states(16).mean(axis=1))
    assert abs(m).mean() == pytest.approx(exact, abs=3e-3)


def test_tau_is_of_every_step_of_the_last_level():
    """Of all configurations of that level, kept one by one; of every second one it is another."""
    rbm = network(6, 3, 1.0, seed=2)
    run = temper(stacked([rbm]), 5, chains=30, steps=120, keep=1)
    v = run.samples.reshape(30, 120, 6)
    m, energy = v.mean(axis=2), rbm.free_energy(run.samples).reshape(30, 120)
    for name, series in (("m", m), ("abs_m", abs(m)), ("free_energy", energy)):
        tau = autocorrelation_time(series)
        assert run.tau[name].value == pytest.approx(tau.value, rel=1e-4)
        assert run.tau[name].error == pytest.approx(tau.error, rel=1e-4)
    assert run.tau["m"].value > 1.5 * autocorrelation_time(m[:, ::2]).value


def exact_tau(rbm, f):
    """τ = ½ + Σ ρ(t) of f(v) under v → h → v, from the enumerated transition matrix."""
    v, h, p = states(rbm.visible), states(rbm.hidden), law(rbm)

    def conditional(mean, units):
        return np.prod((1 + mean[:, None, :] * units[None, :, :]) / 2, axis=2)

    step = conditional(rbm.mean_h(v).astype(float), h) @ conditional(rbm.mean_v(h).astype(float), v)
    f = f - p @ f
    resolvent = np.linalg.solve(np.eye(len(p)) - step + np.outer(np.ones(len(p)), p), f)
    return (p * f) @ resolvent / ((p * f) @ f) - 0.5


@pytest.mark.slow
def test_autocorrelation_times_are_those_of_the_transition_matrix():
    rbm = network(6, 3, 0.5, seed=2)
    run = temper(stacked([rbm]), 0, chains=64, steps=4000)
    v = states(6)
    exact = {
        "m": exact_tau(rbm, v.mean(axis=1)),
        "abs_m": exact_tau(rbm, abs(v.mean(axis=1))),
        "free_energy": exact_tau(rbm, rbm.free_energy(v)),
    }
    assert set(run.tau) == set(exact)
    for name, tau in run.tau.items():
        assert abs(tau.value - exact[name]) < 4 * tau.error
    assert abs(run.tau["m"].value - exact["abs_m"]) > 4 * run.tau["m"].error


# --- seeds, goings on, text


def test_the_same_seed_gives_the_same_numbers_in_one_run_or_two():
    ladder = temperature_ladder(network(6, 3, 0.5), (0, 0.5, 1))
    whole, again, other = (temper(ladder, seed, chains=8, steps=30) for seed in (1, 1, 2))
    np.testing.assert_array_equal(whole.samples, again.samples)
    assert (whole.samples != other.samples).any()
    first = temper(ladder, 1, chains=8, steps=13)
    second = temper(ladder, 1, chains=8, steps=17, start=first.state)
    for one, two in zip(whole.state, second.state, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.round_trips + second.round_trips == whole.round_trips
    drawn = [temper(ladder, seed, chains=8, steps=30).samples for seed in (np.random.default_rng(1), jax.random.key(3))]
    np.testing.assert_array_equal(drawn[0], whole.samples)
    assert (drawn[1] != whole.samples).any()


def test_samples_of_a_chain_stand_together():
    ladder = temperature_ladder(network(6, 3, 0.5), (0, 0.5, 1))
    run = temper(ladder, 1, chains=8, steps=35, keep=10)
    parts = [temper(ladder, 1, chains=8, steps=steps).state.v[-1] for steps in (10, 20, 30)]
    np.testing.assert_array_equal(run.samples.reshape(8, 3, 6), np.stack(parts, axis=1))
    assert run.samples.dtype == np.int8


def test_one_compilation_serves_all_numbers_of_steps():
    ladder = temperature_ladder(network(6, 3, 0.5), (0, 0.5, 1))
    temper(ladder, chains=8, steps=7)
    before = run_steps._cache_size()
    state = temper(ladder, chains=8, steps=23, sweeps=3, keep=4).state
    temper(ladder, chains=8, steps=2, start=state)
    assert run_steps._cache_size() == before
    temper(ladder, chains=10, steps=2)
    assert run_steps._cache_size() == before + 1


def test_a_result_prints_in_four_lines():
    run = temper(temperature_ladder(network(6, 3, 0.5), (0, 0.5, 1)), chains=8, steps=40)
    lines = str(run).splitlines()
    assert isinstance(run, Tempered)
    assert isinstance(run.state, LadderState)
    assert len(lines) == 4
    assert lines[0] == "tempering: 3 levels, 8 chains, 40 steps"
    pair = int(np.argmin(run.acceptances.value))
    assert f"{run.acceptances[pair]} between levels {pair} and {pair + 1}" in lines[1]
    assert lines[2].startswith(f"round trips: {run.round_trips}, ")
    assert f"abs_m {run.tau['abs_m']}" in lines[3]


def test_progress_reaches_the_last_step():
    calls = []
    ladder = temperature_ladder(network(6, 3, 0.5), (0, 0.5, 1))
    temper(ladder, chains=8, steps=25, progress=lambda *call: calls.append(call))
    assert [call[:3] for call in calls] == [("tempering", done, 25) for done in (10, 20, 25)]


# --- ladders and their choice


def test_ladders_hold_the_networks_given():
    rbm = network(6, 3, 0.5)
    ladder = temperature_ladder(rbm, (0, 0.5, 1))
    for level, beta in enumerate((0, 0.5, 1)):
        np.testing.assert_array_equal(ladder.w[level], np.float32(beta) * rbm.weights)
        np.testing.assert_array_equal(ladder.a[level], np.float32(beta) * rbm.visible_bias)
        np.testing.assert_array_equal(ladder.b[level], np.float32(beta) * rbm.hidden_bias)
    other = network(6, 3, 0.5, seed=1)
    run = trajectory_ladder([rbm, other])
    np.testing.assert_array_equal(run.w, np.stack([0 * rbm.weights, rbm.weights, other.weights]))
    np.testing.assert_array_equal(run.a, np.stack([rbm.visible_bias, rbm.visible_bias, other.visible_bias]))
    assert len(trajectory_ladder(levels_of(rbm, (0, 1))).w) == 2


# --- what is refused


@pytest.mark.parametrize(
    "betas", [(0, 0.5), (0.5, 0.2, 1), (-0.1, 1), (0, 0.5, 0.5, 1), (1,), np.ones((1, 1)), (0, np.nan, 1)]
)
def test_betas_that_do_not_rise_to_one_are_refused(betas):
    with pytest.raises(InputError, match=r"betas = .*increase from 0 or more to 1"):
        temperature_ladder(network(4, 2, 0.1), betas)


def test_networks_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"level 1 has weights \(4, 3\), level 0 \(4, 2\)"):
        trajectory_ladder([RBM(np.zeros((4, 2)), np.zeros(4), np.zeros(2)), network(4, 3, 0.1)])
    with pytest.raises(InputError, match="0 networks"):
        trajectory_ladder([])


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    rbm = network(64, 16, 0.1)
    ladder = temperature_ladder(rbm, (0, 1))
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    with pytest.raises(InputError, match=r"a ladder of 100 networks .* at most 11 levels fit"):
        temperature_ladder(rbm, np.linspace(0, 1, 100))
    with pytest.raises(InputError, match=r"a ladder of 100 networks"):
        stacked([rbm] * 100)
    with pytest.raises(InputError, match=r"a run of 1000 chains, 2 levels and 10 steps .* chains fit"):
        temper(ladder, chains=1000, steps=10)
    assert len(temper(ladder, chains=5, steps=10).samples) == 5


def test_a_ladder_that_is_cut_is_refused():
    weak, strong = network(64, 16, 0.02), network(64, 16, 2.0)
    ladder = stacked([weak, weak, strong, strong])
    with pytest.raises(InputError, match="0 exchanges between levels 1 and 2"):
        temper(ladder, chains=50, steps=20)
    run = temper(ladder, chains=50, steps=20, allow_cut=True)
    assert np.asarray(run.acceptances.value)[1] == 0


@pytest.mark.parametrize("name", ["chains", "steps", "sweeps", "keep"])
def test_numbers_that_are_not_above_zero_are_refused(name):
    numbers = {"chains": 2, "steps": 2} | {name: 0}
    with pytest.raises(InputError, match=f"{name} = 0"):
        temper(temperature_ladder(network(4, 2, 0.1), (0, 1)), **numbers)


def test_a_start_of_another_shape_and_a_bad_seed_are_refused():
    ladder = temperature_ladder(network(4, 2, 0.1), (0, 1))
    with pytest.raises(InputError, match=r"start of shape \(2, 3, 4\).* \(2, 5, 4\)"):
        temper(ladder, chains=5, steps=2, start=ladder_state(np.ones((2, 3, 4))))
    with pytest.raises(InputError, match="seed = -1"):
        temper(ladder, -1, chains=5, steps=2)


@pytest.mark.parametrize("acceptance", [0, 1, 1.5, "high", float("nan")])
def test_an_acceptance_out_of_range_is_refused(acceptance):
    with pytest.raises(InputError, match="acceptance = "):
        tempering.require_acceptance(acceptance)
