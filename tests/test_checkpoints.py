"""A training that is stopped, by an error or by the system, and goes on: to the bits of one that never was."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import enumeration
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from rgstep import CRITICAL_TEMPERATURE, InputError, IsingStream, train_rbm
from rgstep.files import write_arrays
from rgstep.nets import training
from rgstep.nets.batches import batch_source
from rgstep.nets.checkpoints import checkpoint_path, checkpoint_steps, next_checkpoint, read_checkpoint
from rgstep.nets.presets import settings
from rgstep.nets.training import load_checkpoints

LAW = enumeration.probabilities(4, 1 / CRITICAL_TEMPERATURE)
DATA = enumeration.states(4)[np.random.default_rng(0).choice(len(LAW), 5000, p=LAW)]
PCD = reference.QUICK_TRAINING
GRID = [0, 1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 63, 94, 141, 211, 230]
CUT = 150  # a run is stopped at the first report from here on: its last checkpoint is of step 141


class Stopped(Exception):
    """What the progress callback raises."""


def stop(stage, done, total, note=""):
    if done >= CUT:
        raise Stopped


def train(folder=None, data=DATA, seed=1, **changes):
    return train_rbm(data, seed=seed, checkpoints=folder, **{**PCD, **changes})


def cut_and_resumed(folder, data=DATA, seed=1, **changes):
    """The network of a run that was stopped and went on; and of one that never was, without checkpoints."""
    with pytest.raises(Stopped):
        train_rbm(data, seed=seed, checkpoints=folder, progress=stop, **{**PCD, **changes})
    assert checkpoint_steps(folder) == GRID[:-2]
    begun = []
    resumed = train_rbm(
        data, seed=seed, checkpoints=folder, progress=lambda *a, **_: begun.append(a[1]), **{**PCD, **changes}
    )
    assert begun[0] == 141
    assert checkpoint_steps(folder) == GRID
    return resumed, train(None, data, seed, **changes)


def assert_same(one, other):
    """Bit for bit, the curves too."""
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert set(one.history) == set(other.history)
    for name, curve in other.history.items():
        np.testing.assert_array_equal(one.history[name], curve)
    assert dict(one.origin) == dict(other.origin)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with checkpoints: its folder and its network."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(folder)


@pytest.fixture
def half(finished, tmp_path):
    """The folder of the same run as it was at step 141."""
    for step in GRID[:-2]:
        shutil.copy(checkpoint_path(finished[0], step), tmp_path)
    return tmp_path


# --- the bits of a run that was never cut


def test_checkpoints_change_no_number(finished):
    folder, network = finished
    assert checkpoint_steps(folder) == GRID
    assert_same(network, train())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"method": "cd"}, marks=pytest.mark.slow),
        pytest.param({"optimiser": "adam"}, marks=pytest.mark.slow),
        pytest.param({"centred": True, "units": "binary", "gradient_h": "sampled"}, marks=pytest.mark.slow),
    ],
    ids=["PCD", "CD", "Adam", "centred 0/1"],
)
def test_a_run_that_was_cut_ends_on_the_same_bits(tmp_path, changes):
    assert_same(*cut_and_resumed(tmp_path, **changes))


@pytest.mark.slow
def test_several_networks_go_on_together(tmp_path):
    resumed, whole = cut_and_resumed(tmp_path, seed=[3, 1])
    for one, other in zip(resumed, whole, strict=True):
        assert_same(one, other)
    for i in (0, 1):
        last = load_checkpoints(tmp_path, network=i)[-1]
        np.testing.assert_array_equal(last.weights, whole[i].weights)
        np.testing.assert_array_equal(last.history["step"], whole[i].history["step"])
        assert last.origin["seed"] == [3, 1][i]
    with pytest.raises(InputError, match="network = 2: the run has 2"):
        load_checkpoints(tmp_path, network=2)


def test_a_ladder_goes_on_with_its_frozen_networks(tmp_path):
    """At the cut the ladder has taken a network, so that more than the start is in it."""
    changes = {"tempering": "trajectory", "levels": 4}
    assert_same(*cut_and_resumed(tmp_path, **changes))
    for step in GRID[-2:]:
        checkpoint_path(tmp_path, step).unlink()
    settings_ = {name: value for name, value in {**PCD, **changes}.items() if name != "hidden"}
    begun = training.TrainingRun(batch_source(DATA, 50, [1]), 4, settings("default", settings_), [1], tmp_path)
    assert begun.step == 141
    assert int(begun.state.frozen) >= 1
    assert (np.asarray(begun.state.ladder.w[-1]) != np.asarray(begun.state.ladder.w[0])).any()


def test_a_stream_goes_on_where_it_was(tmp_path):
    """A new stream of the same name, as after a restart; T = ∞ needs no chains."""
    resumed, whole = cut_and_resumed(tmp_path, IsingStream(4, np.inf, seed=2))
    assert_same(resumed, whole)
    assert_same(train(tmp_path, IsingStream(4, np.inf, seed=2)), whole)
    with pytest.raises(InputError, match="other data"):
        train(tmp_path, IsingStream(4, np.inf, seed=3))


def test_a_lost_chain_is_noticed(half):
    """The twin: the last checkpoint with its chains turned over gives other bits."""
    path = checkpoint_path(half, 141)
    meta, arrays = read_checkpoint(path)
    (chains,) = (name for name, array in arrays.items() if array.shape == (20, 16))
    write_arrays(path, {"meta": np.array(json.dumps(meta)), **arrays, chains: -arrays[chains]})
    assert (train(half).weights != train().weights).any()


def test_a_finished_run_is_read_not_trained_again(finished, monkeypatch):
    monkeypatch.setattr(training.TrainingRun, "advance", None)
    assert_same(train(finished[0]), finished[1])


def test_a_resumed_run_compiles_nothing_new(half):
    train()
    before = training.run_updates._cache_size()
    train(half)
    assert training.run_updates._cache_size() == before


CHILD = """
import json, sys, time
import numpy as np
from rgstep import train_rbm
data, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
train_rbm(data, seed=1, checkpoints=sys.argv[3], progress=lambda *a, **_: time.sleep(0.1), **settings)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path, finished):
    """SIGKILL, which no handler sees, as soon as the second checkpoint is there; the child sleeps between updates."""
    folder = tmp_path / "run"
    np.save(tmp_path / "data.npy", DATA)
    arguments = [str(tmp_path / "data.npy"), json.dumps(PCD), str(folder)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stderr=subprocess.PIPE)
    try:
        while len(list(folder.glob("checkpoint-*.npz"))) < 2:
            assert child.poll() is None, child.stderr.read().decode()
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    steps = checkpoint_steps(folder)
    assert 2 <= len(steps) < len(GRID) / 2
    assert_same(train(folder), finished[1])


def test_a_file_half_written_is_never_under_its_name(half, monkeypatch):
    """A crash in the middle of a write leaves the checkpoints there were, and no other file."""

    def torn(file, **arrays):
        file.write(b"half a file")
        raise Stopped

    monkeypatch.setattr(np, "savez_compressed", torn)
    before = sorted(half.iterdir())
    with pytest.raises(Stopped):
        train(half)
    assert sorted(half.iterdir()) == before


def test_a_constant_schedule_may_be_given_more_steps_or_fewer(half, finished):
    """The weights are those of one long run; its curves have one reading more, at the end of the shorter one."""
    shorter = train(half, steps=150)
    assert shorter.history["step"][-1] == 150
    longer = train(half, steps=230)
    np.testing.assert_array_equal(longer.weights, finished[1].weights)
    assert set(longer.history["step"]) >= {150, 230}
    assert checkpoint_steps(half) == sorted([*GRID[:-2], 150, 225, 230])
    np.testing.assert_array_equal(train(half, steps=141).history["step"], load_checkpoints(half)[13].history["step"])


def test_another_length_of_a_cosine_schedule_is_another_run(tmp_path):
    train(tmp_path, steps=4, schedule="cosine")
    with pytest.raises(InputError, match="is of steps = 4, not 5"):
        train(tmp_path, steps=5, schedule="cosine")


# --- what is read back


def test_checkpoints_are_networks_in_order(finished):
    folder, network = finished
    networks = load_checkpoints(str(folder))
    assert [rbm.origin["steps"] for rbm in networks] == GRID
    np.testing.assert_array_equal(networks[-1].weights, network.weights)
    np.testing.assert_array_equal(networks[-1].visible_bias, network.visible_bias)
    for rbm, step in zip(networks, GRID, strict=True):
        assert rbm.history["step"][-1] <= step
        assert rbm.origin["seed"] == 1
        spread = np.sqrt((rbm.weights.astype(float) ** 2).mean())
        at = np.flatnonzero(network.history["step"] == step)
        assert not at.size or network.history["weights_sd"][at[0]] == pytest.approx(spread, rel=1e-5)
    assert np.abs(networks[0].weights - networks[-1].weights).max() > 0.1


def test_the_checkpoints_of_binary_units_are_on_spins(tmp_path):
    network = train(tmp_path, units="binary", steps=9)
    last = load_checkpoints(tmp_path)[-1]
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(last, name), getattr(network, name))
    start = load_checkpoints(tmp_path)[0]
    assert start.history["weights_sd"][0] == pytest.approx(float(np.sqrt((start.weights.astype(float) ** 2).mean())))


def test_the_grid_of_checkpoints_is_logarithmic():
    steps = list(itertools.accumulate(range(len(GRID) - 1), lambda step, _: next_checkpoint(step, 230), initial=0))
    assert steps == GRID
    assert next_checkpoint(1000, 10_000) == 1500


def test_other_files_in_the_folder_do_no_harm(half, finished):
    (half / "checkpoint-best.npz").write_bytes(b"mine")
    (half / ".checkpoint-000000211.npz.77").write_bytes(b"half of a file")
    assert checkpoint_steps(half) == GRID[:-2]
    assert_same(train(half), finished[1])


# --- what is refused


@pytest.mark.parametrize("damage", ["truncated", "empty", "an array missing", "another file"])
def test_a_damaged_checkpoint_is_named_with_the_remedy(half, finished, damage):
    """And following it, deleting the file, goes on from the one before."""
    path = checkpoint_path(half, 141)
    if damage == "an array missing":
        meta, arrays = read_checkpoint(path)
        arrays.popitem()
        write_arrays(path, {"meta": np.array(json.dumps(meta)), **arrays})
    elif damage == "another file":
        write_arrays(path, {"meta": np.array("no JSON"), "weights": np.zeros(3)})
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else 1000])
    with pytest.raises(InputError, match=r"checkpoint-000000141\.npz.*delete it to go on from the one before"):
        train(half)
    path.unlink()
    assert_same(train(half), finished[1])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data": DATA[::-1].copy()}, "is of other data"),
        ({"data": DATA[:-1]}, "is of other data"),
        ({"data": DATA[:, :3]}, "is of visible = 16, not 12"),
        ({"hidden": 5}, "is of hidden = 4, not 5"),
        ({"seed": 2}, r"is of seeds = \[1\], not \[2\]"),
        ({"seed": [1, 2]}, r"is of seeds = \[1\], not \[1, 2\]"),
        ({"k": 2}, "is of k = 1, not 2"),
        ({"learning_rate": 0.06}, "is of learning_rate = 0.05, not 0.06"),
        ({"method": "cd"}, "is of method = 'pcd', not 'cd'"),
        ({"units": "binary"}, "is of units = 'spin', not 'binary'"),
        ({"chains": 21}, "is of chains = 20, not 21"),
    ],
)
def test_checkpoints_of_another_run_are_refused(finished, changes, what):
    with pytest.raises(InputError, match=f"{what}: choose another folder, or empty this one"):
        train(finished[0], **changes)


def test_folders_that_cannot_be_used_are_refused_before_work_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(training.TrainingRun, "go", None)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file' is a file: name a folder"):
        train(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        train(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc")
def test_a_folder_that_cannot_be_made_is_refused():
    with pytest.raises(InputError, match="cannot be written"):
        train(Path("/proc/rgstep/checkpoints"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"):
        train(tmp_path)


def test_no_checkpoints_to_load(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoints"):
        load_checkpoints(tmp_path)
    with pytest.raises(InputError, match="holds no checkpoints"):
        load_checkpoints(tmp_path / "missing")


# --- divergence


def test_a_run_that_diverges_says_when_and_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    """The rate jumps at update 101: seen in the loop that holds it, with checkpoint 94 the last on disk."""
    loops, advance = [], training.TrainingRun.advance

    def counted(run, step, count):
        loops.append((step, count))
        return advance(run, step, count)

    monkeypatch.setattr(training.TrainingRun, "advance", counted)
    with pytest.raises(InputError, match=r"exploded at step 101; .*last good checkpoint is of step 94 in .*") as caught:
        train(tmp_path, learning_rate=lambda update: jnp.where(update < 100, 0.05, 1e30))
    assert str(tmp_path) in str(caught.value)
    step, count = loops[-1]
    assert step < 101 <= step + count
    assert checkpoint_steps(tmp_path) == GRID[:13]
    for rbm in load_checkpoints(tmp_path):
        assert np.isfinite(rbm.weights).all()
        assert np.abs(rbm.weights).max() < 10
