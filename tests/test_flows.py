"""Flows of maps whose end is known, and of some that never end."""

import importlib
import json

import jaxtyping
import numpy as np
import pytest
from networks import ising_network, network, states
from typer.testing import CliRunner

import rgstep as rg
from rgstep import cli
from rgstep.flows import EARLIEST, Flows, shown_steps
from rgstep.temperatures import NAMES, columns_of

STARTS = ("zero", "infinite")


def copying(weight, side=4):
    """Return a network in which each hidden unit copies one spin: a spin turns over at a rate that the weight sets."""
    sites = side**2
    return rg.RBM(weight * np.eye(sites), np.zeros(sites), np.zeros(sites))


# --- v → h → v


@pytest.mark.parametrize(
    ("side", "temperature"),
    [(4, 2.6), (4, 4.0), *(pytest.param(8, T, marks=pytest.mark.slow) for T in (1.8, 2.6))],
)
def test_the_network_that_is_the_model_flows_to_its_temperature_from_everywhere(side, temperature):
    rbm = ising_network(side, 1 / temperature)
    flows = [rg.flow(rbm, start, steps=800, samples=600, seed=3) for start in STARTS]
    assert flows[0].same_end(flows[1])
    for one in flows:
        assert one.converged_at is not None
        assert one.temperatures.is_equilibrium
        assert one.temperatures.best == pytest.approx(temperature, rel=0.05)
        assert "converged after" in one.verdict
        assert "T_c = 2.2692" in one.verdict


def test_the_end_has_the_law_of_the_network():
    rbm, v = network(16, 4, 0.4), states(16)
    p = np.exp(rbm.free_energy(v).min() - rbm.free_energy(v))
    exact = (p / p.sum()) @ columns_of(v.reshape(-1, 4, 4))[:, [0, 4]]

    def off(flowed):
        found = [flowed.observables[name][-1] for name in ("abs_m", "u")]
        return max(abs(float(e.value) - x) / float(e.error) for e, x in zip(found, exact, strict=True))

    assert off(rg.flow(rbm, "zero", steps=60, seed=1)) < 4
    assert off(rg.flow(network(16, 4, 0.4, seed=1), "zero", steps=60, seed=1)) > 4


def test_without_weights_one_step_is_infinite_temperature():
    rbm = rg.RBM(np.zeros((16, 4)), np.zeros(16), np.zeros(4))
    one = rg.flow(rbm, "zero", steps=50)
    u = one.observables["u"]
    assert u.value[0] == -2
    assert np.abs(u.value[1:] / u.error[1:]).max() < 4.5
    assert one.converged_at == EARLIEST


def test_signs_of_a_copying_network_stay_where_they_are():
    a, b = (rg.flow(copying(5.0), start, steps=60, sampled=False) for start in STARTS)
    assert np.ptp(np.asarray(a.observables["abs_m"].value)) == 0
    assert np.ptp(np.asarray(b.observables["abs_m"].value)) == 0
    assert a.converged_at == b.converged_at == EARLIEST
    assert not a.same_end(b)
    assert a.z(b)["abs_m"] > 10


def test_signs_of_zero_are_fair_coins():
    one = rg.flow(copying(0.0), "zero", steps=3, sampled=False, samples=4000)
    assert abs(float(np.asarray(one.observables["u"].value)[-1])) < 0.05


def test_chains_that_remember_have_not_converged_though_nothing_moves():
    """Half of the chains up, half down, and no way from one to the other: all means are constant."""
    v = np.random.default_rng(0).choice([-1, 1], (400, 1, 1)) * np.ones((400, 4, 4), np.int8)
    v[:200, :2] *= -1  # half of them in stripes
    one = rg.flow(copying(8.0), rg.ensemble_from_array(v, 1.0), steps=48)
    assert not one.moving
    assert one.converged_at is None
    assert one.remembered["u"] > 0.9
    assert "the chains remember |m| of half time" in one.reason


def test_a_flow_that_still_moves_says_what():
    one = rg.flow(copying(2.0), "zero", steps=40)
    assert one.converged_at is None
    assert "abs_m" in one.moving
    assert "not converged after 40 steps: in the second half still moving |m| by" in one.reason
    assert rg.flow(copying(0.3), "zero", steps=40).converged_at == 40


def test_too_few_steps_are_said():
    assert "fewer than 8" in rg.flow(copying(1.0), "zero", steps=2).reason


def test_restarts_have_the_law_of_the_continued_chain_and_other_draws():
    rbm = copying(1.2)
    chain, restarted = (rg.flow(rbm, "zero", steps=8, samples=2000, restart=restart) for restart in (False, True))
    for name in ("abs_m", "u"):
        a, b = chain.observables[name], restarted.observables[name]
        z = (np.asarray(a.value) - b.value)[1:] / np.hypot(a.error, b.error)[1:]
        assert np.abs(z).max() < 4
        assert (z != 0).all()
        late = (np.asarray(a.value)[2:] - np.asarray(b.value)[1:-1]) / np.hypot(a.error[2:], b.error[1:-1])
        assert np.abs(late).max() > 4  # a step out of place is noticed


def test_same_seed_same_flow():
    a, b, c = (rg.flow(network(16, 4, 0.4), "infinite", steps=3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.end.unpack(), b.end.unpack())
    assert not np.array_equal(a.end.unpack(), c.end.unpack())


def test_flows_from_two_starts_share_no_random_numbers():
    """Chains that do would meet, and agree better than two independent ones."""
    rbm = rg.RBM(np.zeros((16, 4)), np.zeros(16), np.zeros(4))
    a, b = (rg.flow(rbm, start, steps=2, seed=1).end.unpack() for start in STARTS)
    assert abs(float((a == b).mean()) - 0.5) < 0.02
    assert np.array_equal(a, rg.flow(rbm, "zero", steps=2, seed=1).end.unpack())


# --- v → h


def test_levels_of_a_rule():
    start = rg.sample(16, rg.CRITICAL_TEMPERATURE, 200, seed=2)
    one = rg.flow(rg.Decimation(), start, kind="coarse")
    assert [seen.side for seen in one.seen] == [16, 8, 4]
    assert np.array_equal(one.end.unpack(), start.unpack()[:, ::4, ::4])
    assert "16 → 8 → 4" in one.reason
    assert rg.flow(rg.Decimation(), start, kind="coarse", steps=1).end.side == 8


def test_levels_of_a_sequence():
    start = rg.sample(16, 2.5, 200, seed=2)
    one = rg.flow([rg.Decimation(), rg.Decimation(4)], start, kind="coarse", sampled=False)
    assert [seen.side for seen in one.seen] == [16, 8]  # the second leaves 2×2
    two = rg.flow([rg.Decimation(), rg.Majority(ties="first")], start, kind="coarse", sampled=False)
    first = start.unpack()[:, ::2, ::2]
    assert np.array_equal(two.end.unpack(), rg.Majority(ties="first").mean_h(first))


def test_blocks_flow_away_from_the_critical_point():
    cold, hot = (
        np.asarray(rg.flow(rg.Majority(), rg.sample(16, T, 400, seed=1), kind="coarse").observables["abs_m"].value)
        for T in (2.0, 2.8)
    )
    assert cold[-1] > cold[0]
    assert hot[-1] < 0.5
    T = rg.flow(rg.Majority(), rg.sample(16, 2.8, 400, seed=1), kind="coarse", steps=1).temperatures.best
    assert T > 3.0


def test_real_units_go_on_by_their_sign():
    start = rg.sample(8, rg.CRITICAL_TEMPERATURE, 200, seed=2)
    for sampled in (True, False):
        one = rg.flow(rg.Average(), start, kind="coarse", sampled=sampled)
        assert set(np.unique(one.end.unpack())) == {-1, 1}


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"coarse": rg.Majority()}, "needs a network"),
        ({"coarse": rg.Majority(), "kind": "coarse"}, "size = None"),
        ({"coarse": rg.Majority(), "kind": "coarse", "size": 8, "restart": True}, "restart"),
        ({"coarse": np.ones((100, 4, 4)), "kind": "coarse", "size": 8}, "needs the map"),
        ({"kind": "both"}, "unknown kind"),
        ({"start": "hot"}, "unknown start"),
        ({"start": 2.0}, "start = 2.0"),
        ({"samples": 20}, "at least 64"),
        ({"size": 8}, "16 visible units"),
        ({"steps": 0}, "steps = 0"),
        ({"coarse": rg.untrained_rbm(15, 4)}, "square"),
        ({"coarse": rg.untrained_rbm(16, 4), "kind": "coarse", "size": 4}, "no lattice of side 4"),
    ],
)
def test_bad_input(arguments, words, as_users_run):
    with pytest.raises(rg.InputError, match=words):
        rg.flow(**{"coarse": rg.untrained_rbm(16, 4), "steps": 2, **arguments})


# --- the command


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in an empty folder, as a user would."""
    monkeypatch.chdir(tmp_path)
    rg.save("network.npz", copying(0.5))
    rg.save("start.npz", rg.sample(4, 2.0, 100, seed=1))
    jaxtyping.config.update("jaxtyping_disable", True)
    yield lambda *arguments: CliRunner().invoke(cli.app, ["flow", *map(str, arguments)])
    jaxtyping.config.update("jaxtyping_disable", False)


def test_the_command_prints_steps_temperatures_and_a_verdict(run):
    result = run("network.npz", "--steps", 40, "--samples", 200)
    assert result.exit_code == 0, result.output
    for words in ("seen from", "zero", "T from infinite", "converged after 40 steps", "end at the same state", "T_c ="):
        assert words in result.stdout
    plain = json.loads(run("network.npz", "--start", "start.npz", "--steps", 4, "--json", "--signs").stdout)
    assert plain["flows"][0]["start"] == "ensemble"
    assert len(plain["flows"][0]["steps"]) == 5
    assert set(NAMES) < set(plain["flows"][0]["steps"][0])


def test_the_command_takes_rules(run):
    result = run("majority", "--kind", "coarse", "--size", 8, "--samples", 100, "--start", "infinite")
    assert result.exit_code == 0, result.output
    assert "levels of side 8 → 4" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.npz"], "missing.npz"),
        (["majorit"], "majority"),
        (["majority"], "needs a network"),
        (["network.npz", "--start", "zeroo"], "'zero'"),
        (["network.npz", "--start", "missing.npz"], "missing.npz"),
        (["network.npz", "--kind", "both"], "kind"),
        (["network.npz", "--samples", 3], "at least 64"),
    ],
)
def test_the_command_says_what_is_wrong(run, arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_flows_of_one_start_are_not_compared():
    one = rg.flow(copying(0.5), "zero", steps=4)
    assert "end at" not in Flows([one]).verdict
    assert shown_steps(10) == [0, 1, 2, 3, 4, 6, 9, 10]


def test_the_name_is_the_function_whatever_was_imported():
    importlib.import_module("rgstep.jobs")
    assert callable(rg.flow)
    assert callable(rg.thermometers)
