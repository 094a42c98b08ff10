"""The verdict on networks whose law is known: independent spins, and the 4×4 torus written as a network.

One hidden unit a bond, with weights (w, w) to its two spins, sums to 2 cosh(w (s_i + s_j)): the Boltzmann factor of
K s_i s_j, up to a constant, for ½ ln cosh 2w = K.
"""

import dataclasses
import json
import math

import enumeration
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import ising_network

import rgstep as rg
from rgstep import RBM, InputError
from rgstep.estimates import autocorrelation_time
from rgstep.ising import energy, magnetisation
from rgstep.nets.equilibrium import (
    LARGEST_Z,
    ChainsFromStarts,
    Equilibrium,
    distance,
    equilibrium,
    logarithmic_times,
    observable_names,
    observables_of_each,
    plain_values,
    rank_sum_scores,
    run_sweeps,
    starting_states,
)

CHAINS, SWEEPS = 48, 1024  # enough for the networks here: less time, same rule
K3 = 1 / 3


def independent(visible, hidden=3, bias=0.0):
    """A network whose visible units are independent."""
    return RBM(np.zeros((visible, hidden)), np.full(visible, bias), np.zeros(hidden))


def draws(coupling, n=4000, seed=0):
    """Independent configurations of the 4×4 torus from the enumerated law."""
    law = enumeration.probabilities(4, coupling)
    return enumeration.states(4)[np.random.default_rng(seed).choice(len(law), n, p=law)]


def exact(coupling):
    """The means of the observables over all states."""
    s = enumeration.states(4)
    m = magnetisation(s)
    values = {"u": energy(s), "m": m, "abs_m": np.abs(m), "chi": 16 * m**2}
    for r in (1, 2):
        values[f"G{r}"] = ((s * np.roll(s, r, 1)).mean(axis=(1, 2)) + (s * np.roll(s, r, 2)).mean(axis=(1, 2))) / 2
    return {name: float(enumeration.expectation(value, 4, coupling)) for name, value in values.items()}


def off_by(result, coupling):
    """Standard errors between the stationary means and enumeration, the largest."""
    known = exact(coupling)
    return max(abs(e.value - known[name]) / e.error for name, e in result.stationary.items())


@pytest.fixture(scope="module")
def warm():
    """The exact network at T = 3 on data of its own law."""
    return equilibrium(ising_network(4, K3, origin={"k": 5, "method": "cd"}), draws(K3), 1, chains=CHAINS, sweeps=4096)


# --- networks in equilibrium


def test_the_bond_network_is_the_ising_model():
    states = enumeration.states(4)
    log_p = -ising_network(4, K3).free_energy(states)
    log_p -= np.log(np.exp(log_p - log_p.max()).sum()) + log_p.max()
    np.testing.assert_allclose(log_p, np.log(enumeration.probabilities(4, K3)), atol=1e-5)


def test_an_exact_network_is_an_equilibrium_model(warm):
    assert warm.verdict == "equilibrium model"
    assert "all starts agree" in warm.reason
    assert "and with the data" in warm.reason
    assert off_by(warm, K3) < 4
    assert off_by(warm, K3 * 1.1) > 4  # the same comparison sees 10 % of the coupling
    assert all(tau.value > 1 and tau.error < 0.2 * tau.value for tau in warm.tau.values())
    assert warm.sweeps >= 50 * max(tau.value for tau in warm.tau.values())
    assert warm.k == 5
    assert warm.k_over_tau == pytest.approx(5 / warm.tau["m"].value)
    assert "5 = 0." in str(warm)
    assert "(cd)" in str(warm)


def test_curves_go_from_their_starts_to_the_same_end(warm):
    """After one sweep the mean of m from all up is the exact ½-step law; long after, enumeration's."""
    assert list(warm.times[:8]) == [1, 2, 3, 4, 5, 6, 8, 12]  # 5 is the k of the training
    assert warm.times[-1] == warm.sweeps
    known = exact(K3)
    for curve in warm.curves.values():
        for name, e in curve.items():
            assert np.shape(e.value) == warm.times.shape
            assert abs(e.value[-1] - known[name]) < 4.5 * e.error[-1]
    up = warm.curves["up"]["m"]
    w = math.acosh(math.exp(2 * K3)) / 2
    h = math.tanh(2 * w)
    after_one = sum(
        math.comb(4, j) * (1 + h) ** j * (1 - h) ** (4 - j) / 16 * math.tanh(w * (2 * j - 4)) for j in range(5)
    )
    assert abs(up.value[0] - after_one) < 4 * up.error[0]
    assert abs(up.value[0] - known["m"]) > 4 * up.error[0]


def test_independent_spins_are_an_equilibrium_model_of_infinite_temperature():
    data = rg.sample(size=4, temperature=math.inf, samples=2000, seed=3)
    result = equilibrium(independent(16), data, 0, chains=CHAINS, sweeps=SWEEPS)
    assert result.verdict == "equilibrium model"
    assert "and with the data" in result.reason
    assert result.sweeps == 512
    for tau in result.tau.values():
        assert abs(tau.value - 0.5) < 4 * tau.error
    assert abs(result.stationary["chi"].value - 1) < 4 * result.stationary["chi"].error
    assert result.k_over_tau is None
    assert "unknown" in str(result)


def test_a_hot_network_is_in_equilibrium_but_no_model_of_the_data():
    result = equilibrium(ising_network(4, 1 / 6), draws(K3), 0, chains=CHAINS, sweeps=SWEEPS)
    assert result.verdict == "equilibrium model"
    assert off_by(result, 1 / 6) < 4
    assert abs(result.z_data["u"]) > 50
    assert f"not with the data: u is off by {abs(result.z_data['u']):.1f} standard errors" in result.reason
    far = math.sqrt(
        np.mean([((exact(1 / 6)[n] - exact(K3)[n]) / spread) ** 2 for n, spread in spreads(draws(K3)).items()])
    )
    assert abs(math.sqrt(result.distance_at_end.value) - far) < 0.1 * far


def spreads(v):
    """The standard deviation of each observable but m over configurations."""
    values = np.asarray(observables_of_each(independent(16).parameters, jnp.asarray(v.reshape(-1, 16), jnp.float32)))
    return {name: values[:, i].std() for i, name in enumerate(observable_names(16)) if name != "m"}


@pytest.mark.parametrize("size", [4, 5, 6, 12])
def test_observables_are_those_of_the_lattice(size):
    v = np.random.default_rng(size).choice([-1, 1], (50, size, size)).astype(np.int8)
    rows = jnp.asarray(v.reshape(50, -1), jnp.float32)
    values = np.asarray(observables_of_each(independent(size**2).parameters, rows))
    columns = dict(zip(observable_names(size**2), values.T, strict=True))
    m = magnetisation(v)
    np.testing.assert_allclose(columns["u"], energy(v), atol=1e-6)
    np.testing.assert_allclose(columns["m"], m, atol=1e-6)
    np.testing.assert_allclose(columns["abs_m"], np.abs(m), atol=1e-6)
    np.testing.assert_allclose(columns["chi"], size**2 * m**2, rtol=1e-5)
    assert (
        list(columns)[4:]
        == {4: ["G1", "G2"], 5: ["G1", "G2"], 6: ["G1", "G2", "G3"], 12: ["G1", "G2", "G4", "G6"]}[size]
    )
    for name in list(columns)[4:]:
        full = np.asarray(rg.two_point(v).value)
        r = int(name[1:])
        assert columns[name].mean() == pytest.approx((full[r, 0] + full[0, r]) / 2, abs=1e-6)


# --- networks out of equilibrium


def test_a_deep_double_well_remembers_its_start():
    result = equilibrium(ising_network(4, 1.5), draws(1.5), 0, chains=CHAINS, sweeps=SWEEPS)
    assert result.verdict.startswith("out of equilibrium: generates at k = ")
    assert result.verdict.endswith(" steps only")
    assert "chains from up and down still differ in m by" in result.reason
    assert "no other difference" in result.reason
    assert f"τ ≥ {result.tau['m'].value:.3g}" in result.reason
    assert result.z["up − down"]["m"] > LARGEST_Z
    assert abs(result.z["up − down"]["abs_m"]) < LARGEST_Z
    assert result.tau["m"].value > 100  # τ of m²: 2, or hundreds if one chain stands in a stripe


def test_frozen_chains_remember_their_start():
    """One hidden unit of weights so large that all spins follow it for ever; the data are those of T = 0."""
    frozen = RBM(np.full((16, 1), 50.0), np.zeros(16), np.zeros(1))
    data = rg.sample(size=4, temperature=0, samples=200, seed=2)
    result = equilibrium(frozen, data, 0, chains=CHAINS, sweeps=SWEEPS)
    assert not result.in_equilibrium
    assert "chains from up and down still differ in m" in result.reason
    assert result.tau["u"].value == 0.5
    assert result.z_data["u"] == 0
    assert result.stationary["u"].value == -2
    assert result.generates_at == 1  # random starts are ordered after one step, as the data are
    json.dumps(result.to_dict(), allow_nan=False)


def test_what_is_exact_in_one_and_frozen_in_the_other_is_infinitely_far():
    frozen = RBM(np.full((16, 1), 50.0), np.full(16, 1.0), np.zeros(1))
    data = np.ones((50, 16), np.int8)
    data[:, 0] = -1
    result = equilibrium(frozen, data, 0, chains=CHAINS, sweeps=64)
    assert math.isinf(result.z_data["abs_m"])
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["z_data"]["abs_m"] is None


def test_a_cold_network_generates_on_the_way_only():
    """At T = 2.4 random starts pass the state of T = 3 after some steps, and end elsewhere."""
    result = equilibrium(ising_network(4, 1 / 2.4), draws(K3), 0, chains=CHAINS, sweeps=8192)
    assert result.verdict == f"out of equilibrium: generates at k = {result.generates_at} steps only"
    assert not result.remembers_start
    assert result.passed_closer
    assert "all starts agree" in result.reason
    assert f"closest to the data after {result.generates_at} steps" in result.reason
    assert 2 <= result.generates_at <= 16
    assert off_by(result, 1 / 2.4) < 4
    near = result.distance[result.nearest]
    assert near.value < result.distance_at_end.value / 4
    assert "short of 50 τ" not in result.reason


def test_a_run_too_short_for_its_tau_says_so():
    result = equilibrium(ising_network(4, 1 / 2.4), draws(1 / 2.4), 0, chains=CHAINS, sweeps=SWEEPS)
    assert result.sweeps == SWEEPS
    assert "short of 50 τ" in result.reason


# --- autocorrelation times


def transition(rbm):
    """p(v' | v) of one Gibbs step, from the enumeration of both layers."""

    def states(n):
        return 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) - 1

    def law(mean, s):
        return np.prod((1 + mean[:, None, :] * s) / 2, axis=2)

    v, h = states(rbm.visible), states(rbm.hidden)
    w, a, b = (x.astype(float) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    return v, law(np.tanh(v @ w + b), h) @ law(np.tanh(h @ w.T + a), v)


def exact_tau(rbm, observable):
    """½ + Σ ρ(t) up to Sokal's window, W ≥ 6 times the sum, from the transition probabilities: no sampling."""
    v, step = transition(rbm)
    law = np.linalg.matrix_power(step, 1 << 20)[0]
    x = observable(v) - law @ observable(v)
    tau, later, window = 0.5, x, 0
    while window < 6 * tau:
        later, window = step @ later, window + 1
        tau += law @ (x * later) / (law @ x**2)
    return tau


def small_network(factor=1.0):
    rng = np.random.default_rng(5)
    draw = [rng.standard_normal(shape) for shape in ((6, 3), 6, 3)]
    return RBM(factor * 0.9 * draw[0], 0.2 * draw[1], 0.2 * draw[2])


def test_tau_is_that_of_the_transition_probabilities():
    """On a network without a lattice: F, m and m² within 4 errors; weights 10 % larger are noticed."""
    rbm = small_network()
    v, step = transition(rbm)
    law = np.linalg.matrix_power(step, 1 << 20)[0]
    data = v[np.random.default_rng(0).choice(64, 2000, p=law / law.sum())].astype(np.int8)
    result = equilibrium(rbm, data, 4, chains=256, sweeps=SWEEPS)
    assert list(result.stationary) == ["F", "m", "abs_m", "chi"]
    assert result.verdict == "equilibrium model"
    assert "and with the data" in result.reason

    def z(network):
        known = {
            "F": exact_tau(network, network.free_energy),
            "m": exact_tau(network, lambda v: v.mean(axis=1)),
            "m2": exact_tau(network, lambda v: v.mean(axis=1) ** 2),
        }
        return [(result.tau[name].value - tau) / result.tau[name].error for name, tau in known.items()]

    assert np.abs(z(rbm)).max() < 4
    assert np.abs(z(small_network(1.1))).max() > 4
    assert result.tau["F"].value > 2


# --- the statistics


def test_groups_of_one_law_agree_and_shifted_ones_do_not(rng):
    x, y = rng.exponential(size=(2, 64, 3))
    same = rank_sum_scores(["u", "m", "chi"], x, y)
    shifted = rank_sum_scores(["u", "m", "chi"], x + np.array([0, 1, 0]), y)
    assert max(map(abs, same.values())) < LARGEST_Z
    assert shifted["m"] > LARGEST_Z
    assert shifted["u"] == same["u"]
    constant = np.full((64, 3), 0.3)
    assert set(rank_sum_scores(["u", "m", "chi"], constant, constant * (1 + 1e-7)).values()) == {0.0}


@pytest.mark.parametrize("delta", [0.0, 0.3])
def test_the_distance_is_unbiased_and_its_error_right(rng, delta):
    """Of normal chains and data: the mean of D is δ², its scatter what its error says; noise kept would be seen."""
    truth = np.array([1.0, 0.0, 1.0, 1.0]) * delta  # the second column is m, and does not count
    chains, known = (
        rng.standard_normal((400, 32, 4)) + truth,
        rng.standard_normal((400, 128, 4)) + np.array([0, 9, 0, 0]),
    )
    results = [distance(x, y, np.ones(4)) for x, y in zip(chains, known, strict=True)]
    values, errors = (np.array([getattr(d, name) for d in results]) for name in ("value", "error"))
    standard = values.std() / 20
    assert abs(values.mean() - delta**2) < 4 * standard
    assert values.mean() + 1 / 32 + 1 / 128 - delta**2 > 4 * standard
    assert 0.7 < values.std() / np.sqrt((errors**2).mean()) < 1.1  # at δ = 0 the error is on the safe side


def test_the_grid_is_logarithmic_with_k():
    assert logarithmic_times(0, 16, None) == [1, 2, 3, 4, 6, 8, 12, 16]
    assert logarithmic_times(8, 24, 13) == [12, 13, 16, 24]
    assert logarithmic_times(0, 4, 100) == [1, 2, 3, 4]


def test_starts_are_what_they_say():
    rows = draws(K3, 300).reshape(300, 16)
    states = np.asarray(starting_states(rows, 100, np.random.default_rng(0))).reshape(4, 100, 16)
    assert abs(states[0].mean()) < 4 / 40
    assert (np.abs(states[0].sum(axis=1)) < 16).all()  # rows are not all up or all down
    assert (states[1] == 1).all()
    assert (states[2] == -1).all()
    assert {tuple(row) for row in states[3]} <= {tuple(row) for row in rows.astype(float)}


def test_one_compilation_serves_a_whole_run():
    rbm = independent(25)
    states = starting_states(np.ones((16, 25), np.int8), 16, np.random.default_rng(0))
    run = ChainsFromStarts(rbm.parameters, states, jax.random.key(0), None)
    run.measure_at(1)
    run.measure_at(3)
    before = run_sweeps._cache_size()
    run.until_long_enough(64, None)
    assert run_sweeps._cache_size() == before


def test_tau_and_its_error_are_in_sweeps():
    """Of an AR(1) series with ρ = 0.8, τ = ½ (1 + ρ) / (1 − ρ) = 4.5, taken as measured every third sweep."""
    rng, rho = np.random.default_rng(0), 0.8
    x = [rng.standard_normal((4, 16, 5))]
    for _ in range(1999):
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * rng.standard_normal((4, 16, 5)))
    run = ChainsFromStarts(independent(24).parameters, jnp.ones((64, 24)), jax.random.key(0), None)
    run.last = np.stack(x, axis=2)
    run.measure_tau(3)
    assert list(run.tau) == ["F", "m", "m2"]
    for name, column in (("F", 0), ("m", 1), ("m2", 3)):
        measured = autocorrelation_time(run.last[..., column].reshape(64, 2000))
        assert abs(run.tau[name].value - 3 * 4.5) < 4 * run.tau[name].error
        assert run.tau[name].value == 3 * measured.value
        assert run.tau[name].error == 3 * measured.error
        assert 0.01 < run.tau[name].error / run.tau[name].value < 0.1


# --- what is returned


def test_the_same_seed_gives_the_same_numbers():
    rbm, data = ising_network(4, K3), draws(K3, 500)
    first, again, other = (equilibrium(rbm, data, seed, chains=16, sweeps=256).to_dict() for seed in (7, 7, 8))
    assert first == again
    assert first["z"] != other["z"]


def test_plain_values_hold_everything(warm):
    stored = json.loads(json.dumps(warm.to_dict(), allow_nan=False))
    assert stored["verdict"] == "equilibrium model"
    assert stored["times"] == list(warm.times)
    assert {field.name for field in dataclasses.fields(Equilibrium)} - {"ends"} <= set(stored)
    assert set(np.unique(warm.ends)) == {-1, 1}
    assert warm.ends.shape == (4 * warm.chains, 16)
    assert stored["tau"]["m"]["value"] == pytest.approx(warm.tau["m"].value, rel=1e-5)
    assert len(stored["curves"]["up"]["chi"]["error"]) == len(warm.times)
    assert plain_values(math.nan) is None
    assert plain_values(np.float32(1.5)) == 1.5


def test_it_prints_verdict_reason_and_a_row_for_each_observable(warm):
    lines = str(warm).splitlines()
    assert lines[0] == warm.verdict
    assert lines[1] == warm.reason
    assert [line.split()[0] for line in lines[5:]] == ["u", "m", "|m|", "χ", "G1", "G2"]


def test_progress_reaches_its_end():
    calls = []
    equilibrium(independent(16), draws(0.0, 100), 0, chains=16, sweeps=4096, progress=lambda *c, **_: calls.append(c))
    assert [call[1] for call in calls] == sorted(call[1] for call in calls)
    assert calls[-1][1:3] == (512, 512)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chains": 8}, "chains = 8: .* at least 16"),
        ({"sweeps": 2}, "sweeps = 2: .* at least 16"),
        ({"k": 0}, "k = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"data": np.ones((20, 9), np.int8)}, "20 configurations of 9 sites given for 16 visible units"),
        ({"data": np.ones((5, 16), np.int8)}, "5 configurations of 16 sites .* at least 16 of 16 sites"),
        ({"data": np.zeros((20, 16), np.int8)}, "contains 0.*: spins must be"),
    ],
)
def test_what_cannot_be_judged_is_refused(changes, says):
    arguments = {"data": np.ones((20, 16), np.int8), "seed": 0, **changes}
    with pytest.raises(InputError, match=says):
        equilibrium(independent(16), **arguments)
