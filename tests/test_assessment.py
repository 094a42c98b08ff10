"""Is a network that is the Ising model called one, and one that is not, not?"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from networks import ising_network

import rgstep as rg
from rgstep import InputError
from rgstep.exact import torus
from rgstep.nets.annealing import annealed_log_partition
from rgstep.nets.assessment import stored_assessment, sweeps_in, with_assessment
from rgstep.store import load_rbm, save_rbm

TEMPERATURE = 3.0
SIZE = 4


@pytest.fixture(scope="module")
def held_out():
    return rg.sample(SIZE, TEMPERATURE, 4_000, seed=3)


@pytest.fixture(scope="module")
def right(held_out):
    return rg.assess(ising_network(SIZE, 1 / TEMPERATURE), held_out, seed=1, seconds=1)


def test_the_ising_model_as_a_network_is_called_one(held_out, right):
    assert right.equilibrium.verdict == "equilibrium model"
    assert right.log_partition.method == "exact"
    # every hidden unit multiplies Z by 2 cosh 2w / e^K at aligned ends: ln Z = ln Z_Ising + 2N (ln 2 + ½ ln cosh 2w)
    gain = 2 * SIZE**2 * (math.log(2) + 1 / TEMPERATURE)
    assert right.log_partition.low == pytest.approx(torus.log_partition(SIZE, 1 / TEMPERATURE) + gain, abs=1e-4)
    assert abs(float(right.divergence.per_spin.value)) < 1e-5
    assert float(right.couplings.visible.at(1, 0).value) == pytest.approx(1 / TEMPERATURE, abs=1e-6)
    assert float(right.couplings.visible.rest.value) < 1e-6
    assert right.localisation.median_participation == pytest.approx(2)


def test_a_network_at_another_temperature_is_not(held_out):
    wrong = rg.assess(ising_network(SIZE, 1 / 2.7), held_out, seed=1, seconds=1)
    assert wrong.divergence.low > 5 * float(wrong.divergence.per_spin.error)
    assert abs(wrong.equilibrium.z_data["u"]) > 6
    assert float(wrong.couplings.visible.at(1, 0).value) == pytest.approx(1 / 2.7, abs=1e-6)


def test_it_is_stored_with_the_network_and_printed(right, tmp_path):
    rbm = ising_network(SIZE, 1 / TEMPERATURE)
    assert stored_assessment(rbm, TEMPERATURE) is None
    save_rbm(tmp_path / "r.npz", with_assessment(rbm, right))
    found = stored_assessment(load_rbm(tmp_path / "r.npz"), TEMPERATURE)
    assert stored_assessment(load_rbm(tmp_path / "r.npz"), 2.5) is None
    assert found == json.loads(json.dumps(right.to_dict()))
    assert found["equilibrium"]["verdict"] == "equilibrium model"
    for words in ("equilibrium model", "ln Z = ", "KL(Ising ‖ RBM)", "participation ratio", "true K = 0.333333"):
        assert words in str(right)


@pytest.mark.slow
def test_the_report_shows_what_is_stored(held_out, right):
    bare = replace(ising_network(SIZE, 1 / TEMPERATURE), history={"step": np.array([0.0])})
    assessed = with_assessment(bare, right)
    rows = rg.judge(held_out, {"bare": bare, "assessed": assessed}).to_dict()["maps"]
    training = {name: rows[name]["diagnostics"]["training"] for name in rows}
    assert "kl_per_spin" not in training["bare"]["estimates"]
    assert training["assessed"]["estimates"]["kl_per_spin"]["value"] == right.to_dict()["kl_per_spin"][0]
    assert "(equilibrium model: " in training["assessed"]["why"]
    assert training["bare"]["why"].startswith("not assessed at this temperature")


@pytest.mark.slow
def test_three_ways_to_ln_z_agree(tmp_path):
    """The sum over all states, annealing both ways, and Bennett's ratios along the checkpoints of the training."""
    data = rg.sample(SIZE, TEMPERATURE, 2_000, seed=1)
    rbm = rg.train_rbm(data, hidden=6, seed=0, steps=300, checkpoints=tmp_path)
    trajectory = rg.load(tmp_path)
    found = rg.assess(rbm, data, seed=1, seconds=0.1, trajectory=trajectory)
    assert found.log_partition.method == "exact"
    assert found.bennett is not None
    assert 0 < float(found.bennett.error) < 0.05
    exact = found.log_partition.low
    assert abs(float(found.bennett.value) - exact) < 4.5 * float(found.bennett.error)
    annealed = annealed_log_partition(rbm, 1, temperatures=500, chains=200, start=found.equilibrium.ends)
    assert annealed.low <= exact <= annealed.high
    assert annealed.width < 0.1
    other = replace(rbm, weights=1.2 * rbm.weights)
    off = rg.assess(other, data, seed=1, seconds=0.1).log_partition.low
    assert not annealed.low <= off <= annealed.high
    assert abs(float(found.bennett.value) - off) > 4.5 * float(found.bennett.error)


@pytest.mark.slow
def test_checkpoints_too_far_apart_are_a_note(tmp_path):
    data = rg.sample(SIZE, 1.5, 500, seed=1)
    near, far = rg.untrained_rbm(16, 6), replace(rg.untrained_rbm(16, 6, seed=1, weights_sd=3.0), origin={"steps": 5})
    found = rg.assess(far, data, seed=1, seconds=0.1, trajectory=[near])
    assert found.bennett is None
    assert "no ln Z along the checkpoints, which lie too far apart" in str(found)


def test_the_same_seed_gives_the_same_numbers(held_out):
    rbm = rg.untrained_rbm(16, 4)
    once, again = (rg.assess(rbm, held_out, seed=2, seconds=0.1).to_dict() for _ in range(2))
    assert once == again


def test_sweeps_depend_on_the_size_of_the_network_alone():
    small, large = rg.untrained_rbm(16, 4), rg.untrained_rbm(1024, 256)
    assert sweeps_in(60, small) >= 16 * sweeps_in(60, large) > 512
    assert sweeps_in(1e-9, large) == 512


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [({"seconds": 0}, "seconds = 0"), ({"seed": -1}, "seed = -1"), ({"temperatures": 0}, "temperatures = 0")],
)
def test_values_out_of_range_are_refused(held_out, arguments, rule):
    with pytest.raises(InputError, match=rule):
        rg.assess(rg.untrained_rbm(256, 64), rg.sample(16, samples=64), **{"seconds": 1e-9, **arguments})


@pytest.mark.usefixtures("as_users_run")
def test_what_is_no_network_or_no_ensemble_is_refused(held_out):
    with pytest.raises(InputError, match="held_out is a ndarray"):
        rg.assess(rg.untrained_rbm(16, 4), held_out.spins)
    with pytest.raises(InputError, match="rbm is a str"):
        rg.assess("r.npz", held_out)


def test_a_network_of_another_size_is_refused(held_out):
    with pytest.raises(InputError, match="16 sites, the network 64 visible"):
        rg.assess(rg.untrained_rbm(64, 16), held_out)
