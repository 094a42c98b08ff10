"""Files: what is written is read back, whatever it is; what is damaged, missing or something else is refused."""

import itertools
import json
import math

import h5py
import numpy as np
import pytest

import rgstep as rg
from rgstep.nets.batches import as_bits
from rgstep.nets.conversion import save_rbms
from rgstep.store import load_configurations, load_ensemble, load_rbm, save_ensemble, save_rbm

PARAMETERS = ("weights", "visible_bias", "hidden_bias")


def tiny_rbm(ensemble, **options):
    return rg.train_rbm(
        ensemble,
        4,
        method="cd",
        batch=50,
        steps=100,
        optimiser="sgd",
        learning_rate=0.05,
        schedule="constant",
        **options,
    )


# --- ensembles and networks on disk


def test_nothing_unpacks_all_configurations(critical8, tmp_path):
    """Training, judging, two-point functions and files read a block at a time; `spins` is for users."""
    ensemble = rg.Ensemble(critical8.packed, critical8.system, critical8.origin, critical8.independent)
    assert as_bits(ensemble)[0] is ensemble.packed.bits  # all that training and its readings see
    rg.judge(ensemble, {"majority": rg.Majority()})
    rg.two_point(ensemble)
    save_ensemble(tmp_path / "e.npz", ensemble)
    back = load_ensemble(tmp_path / "e.npz")
    assert "spins" not in vars(ensemble) | vars(back)
    np.testing.assert_array_equal(back.packed.bits, ensemble.packed.bits)
    assert ensemble.spins is vars(ensemble)["spins"]  # where they would have been seen


@pytest.mark.parametrize(("size", "temperature"), [(4, 0.0), (6, 2.5), (4, math.inf)])
def test_an_ensemble_survives_the_disk(tmp_path, size, temperature):
    ensemble = rg.sample(size, temperature, 33, seed=5)
    save_ensemble(tmp_path / "deep" / "e.npz", ensemble)
    back = load_ensemble(tmp_path / "deep" / "e.npz")
    np.testing.assert_array_equal(back.spins, ensemble.spins)
    assert back.spins.dtype == np.int8
    assert not back.spins.flags.writeable
    assert back.system == ensemble.system
    assert dict(back.origin) == dict(ensemble.origin)
    assert back.independent == ensemble.independent


def test_a_network_survives_the_disk(tmp_path, critical4):
    rbm = tiny_rbm(critical4)
    save_rbm(tmp_path / "r.npz", rbm)
    back = load_rbm(tmp_path / "r.npz")
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(back, name), getattr(rbm, name))
    assert dict(back.origin) == dict(rbm.origin)
    assert set(back.history) == set(rbm.history)
    for name, curve in rbm.history.items():
        np.testing.assert_array_equal(back.history[name], curve)
    np.testing.assert_array_equal(back.mean_h(critical4.spins), rbm.mean_h(critical4.spins))


@pytest.fixture
def saved(tmp_path):
    save_ensemble(tmp_path / "e.npz", rg.sample(4, math.inf, 20, seed=0))
    save_rbm(tmp_path / "r.npz", rg.untrained_rbm(16, 4))
    return tmp_path


def test_files_are_not_mistaken_for_each_other(saved):
    with pytest.raises(rg.InputError, match="holds rbm of format 2; expected ensemble"):
        load_ensemble(saved / "r.npz")
    with pytest.raises(rg.InputError, match="holds ensemble of format 2; expected rbm"):
        load_rbm(saved / "e.npz")
    with pytest.raises(rg.InputError, match="no file"):
        load_rbm(saved / "absent.npz")
    with pytest.raises(rg.InputError):
        load_rbm(saved)
    np.savez(saved / "other.npz", weights=np.ones(3))
    np.save(saved / "array.npy", np.ones(3))
    (saved / "empty.npz").write_bytes(b"")
    (saved / "text.npz").write_text("weights")
    for name in ("other.npz", "array.npy", "empty.npz", "text.npz"):
        with pytest.raises(rg.InputError, match=name):
            load_rbm(saved / name)


META = {"kind": "ensemble", "format": 1, "size": 4, "coupling": 0.4, "origin": {}, "independent": True}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "rbm"},
        {"size": None},
        {"size": 6},
        {"size": 5},
        {"coupling": None},
        {"coupling": "warm"},
        {"origin": None},
        {"independent": None},
        {"bits": np.zeros(3, np.uint8)},
        {"bits": np.zeros((3, 2), np.float64)},
        {"bits": None},
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_an_ensemble_file_that_contradicts_itself_is_refused(tmp_path, change):
    """None takes the entry away."""
    bits = {"bits": np.zeros((3, 2), np.uint8)}
    entries = {key: value for key, value in {**META, **bits, **change}.items() if value is not None}
    arrays = {"bits": entries.pop("bits")} if "bits" in entries else {}
    np.savez(tmp_path / "e.npz", meta=np.array(json.dumps(entries)), **arrays)
    with pytest.raises(rg.InputError, match=r"e\.npz"):
        load_ensemble(tmp_path / "e.npz")


@pytest.mark.parametrize("name", ["e.npz", "r.npz"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_anywhere_is_noticed(saved, name, damage):
    """Cut short or with one byte wrong: refused, or (a byte that carries nothing) read without a change."""
    whole = (saved / name).read_bytes()
    load = load_ensemble if name == "e.npz" else load_rbm
    reference = load(saved / name)
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 80).astype(int):
        changed = bytes([whole[place] ^ 0x55])
        (saved / name).write_bytes(whole[:place] + (changed + whole[place + 1 :] if damage == "flip" else b""))
        try:
            back = load(saved / name)
        except rg.InputError:
            refused += 1
            continue
        values = ("spins",) if name == "e.npz" else ("weights", "visible_bias", "hidden_bias")
        for value in values:
            np.testing.assert_array_equal(getattr(back, value), getattr(reference, value))
    assert refused > 40


def test_files_need_the_right_name_and_a_place(saved):
    with pytest.raises(rg.InputError, match=r"must end in \.npz"):
        save_rbm(saved / "r.npy", rg.untrained_rbm(16, 4))
    with pytest.raises(rg.InputError, match="cannot be written"):
        save_rbm(saved / "e.npz" / "r.npz", rg.untrained_rbm(16, 4))
    assert {p.name for p in saved.iterdir()} == {"e.npz", "r.npz"}


# --- save and load, whatever it is


def same_network(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in PARAMETERS)


def test_an_ensemble_is_what_it_was(critical8, tmp_path):
    rg.save(tmp_path / "e.npz", critical8)
    back = rg.load(tmp_path / "e.npz")
    assert isinstance(back, rg.Ensemble)
    assert back.system == critical8.system
    np.testing.assert_array_equal(back.spins, critical8.spins)
    np.testing.assert_array_equal(load_ensemble(tmp_path / "e.npz").spins, back.spins)


def test_a_network_is_what_it_was(critical4, tmp_path):
    rbm = tiny_rbm(critical4)
    rg.save(str(tmp_path / "r.npz"), rbm)
    back = rg.load(str(tmp_path / "r.npz"))
    assert isinstance(back, rg.RBM)
    assert same_network(back, rbm)
    assert same_network(load_rbm(tmp_path / "r.npz"), rbm)
    assert set(back.history) == set(rbm.history)


def test_a_report_is_what_it_was(critical4, tmp_path):
    report = rg.judge(critical4, {"majority": rg.Majority()})
    rg.save(tmp_path / "out", report)
    back = rg.load(tmp_path / "out")
    assert isinstance(back, rg.Report)
    assert back.to_dict() == report.to_dict()
    assert str(back) == str(report)


def test_files_are_replaced_and_reports_only_when_asked(critical4, tmp_path):
    one, other = rg.untrained_rbm(16, 4, seed=1), rg.untrained_rbm(16, 4, seed=2)
    for rbm in (one, other):
        rg.save(tmp_path / "r.npz", rbm)
    assert same_network(rg.load(tmp_path / "r.npz"), other)
    few = rg.ensemble_from_array(critical4.spins[:50], rg.CRITICAL_TEMPERATURE)
    for name in ("majority", "decimation"):
        report = rg.judge(few, {name: rg.Majority() if name == "majority" else rg.Decimation()})
        if name == "decimation":
            with pytest.raises(rg.InputError, match="exists"):
                rg.save(tmp_path / "out", report)
            assert list(rg.load(tmp_path / "out").maps) == ["majority"]
        rg.save(tmp_path / "out", report, force=name == "decimation")
    assert list(rg.load(tmp_path / "out").maps) == ["decimation"]


def test_checkpoints_are_a_list_of_networks(critical4, tmp_path):
    rbm = tiny_rbm(critical4, checkpoints=tmp_path / "ck")
    found = rg.load(tmp_path / "ck")
    steps = [one.origin["steps"] for one in found]
    assert (steps[0], steps[-1], steps) == (0, 100, sorted(set(steps)))
    assert same_network(found[-1], rbm)
    assert not same_network(found[0], rbm)


def test_an_archive_of_rbms_is_a_network(tmp_path):
    for name in ("r.h5", "r.hdf5"):
        save_rbms(tmp_path / name, rg.untrained_rbm(16, 4, seed=3))
        back = rg.load(tmp_path / name)
        assert isinstance(back, rg.RBM)
        np.testing.assert_allclose(back.weights, rg.untrained_rbm(16, 4, seed=3).weights, atol=1e-6)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("thing", [np.ones((3, 4, 4), np.int8), {"majority": rg.Majority()}, rg.Majority(), None])
def test_other_things_are_not_saved(tmp_path, thing):
    with pytest.raises(
        rg.InputError,
        match=f"thing is a {type(thing).__name__}: .* an Ensemble, an RBM, a Stack, a SharedKernel or a Report",
    ):
        rg.save(tmp_path / "x.npz", thing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("as_users_run")
def test_a_path_to_nothing_or_to_something_else_is_refused(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("weights")
    (tmp_path / "text.h5").write_text("weights")
    h5py.File(tmp_path / "none.h5", "w").close()
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    np.savez(tmp_path / "kind.npz", meta=np.array(json.dumps({"kind": "sonata", "format": 1})))
    np.savez(tmp_path / "list.npz", meta=np.array("[1]"))
    whole = (saved / "r.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    names = ("absent.npz", "absent.h5", "absent", "empty", "text.npz", "text.h5", "none.h5", "other.npz", "kind.npz")
    for name in (*names, "list.npz", "half.npz"):
        with pytest.raises(rg.InputError, match=name) as caught:
            rg.load(tmp_path / name)
        assert "\n" not in str(caught.value)


# --- configurations of other programs


@pytest.fixture
def foreign(tmp_path, critical8):
    """A folder, 640 configurations, and a function that writes arrays by name into a new file."""
    number = itertools.count()

    def write(**arrays):
        path = tmp_path / f"data{next(number)}.npz"
        np.savez(path, **arrays)
        return path

    return tmp_path, np.array(critical8.spins), write


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32])
def test_arrays_of_spins_are_read(foreign, kind):
    folder, v, write = foreign
    np.save(folder / "v.npy", v.astype(kind))
    for path in (folder / "v.npy", write(C=v.astype(kind)), write(x=v.reshape(640, 64), seeds=np.arange(640))):
        found = load_configurations(path, 2.5)
        np.testing.assert_array_equal(found.spins, v)
        assert (found.system.temperature, found.independent) == (2.5, False)
        assert dict(found.origin) == {"source": "array", "file": path.name}


@pytest.mark.parametrize("kind", [np.uint8, np.int32, bool, np.float64])
def test_arrays_of_0_and_1_are_read(foreign, kind):
    folder, v, _ = foreign
    np.save(folder / "v.npy", (v > 0).astype(kind))
    np.testing.assert_array_equal(load_configurations(folder / "v.npy", 2.5).spins, v)
    np.save(folder / "v.npy", np.ones((3, 8, 8), kind))
    np.testing.assert_array_equal(load_configurations(folder / "v.npy", 2.5).spins, 1)  # all up in either way


def test_temperatures_are_read_and_chosen(foreign):
    _, v, write = foreign
    for T in (2.5, np.float32(2.5), np.full(640, 2.5)):
        for name in ("T", "temperature", "Temps"):
            assert load_configurations(write(C=v, **{name: T})).system.temperature == 2.5
    one = write(C=v, T=2.5)
    assert load_configurations(one, 2.500001).system.temperature == 2.500001
    many = write(C=v, T=np.tile([2.0, 2.25], 320))
    assert len(load_configurations(many, 2.25)) == 320
    np.testing.assert_array_equal(load_configurations(many, 2.25).spins, v[1::2])
    for path, T, message in (
        (one, 2.4, r"temperature = 2\.4: the configurations in '.*' are of T = 2\.5"),
        (write(C=v), None, "has no temperatures: give one"),
        (write(C=v, t=np.arange(640)), None, "has no temperatures: give one"),  # of a clock
        (many, None, "has 2 temperatures, 2 to 2.25: choose one"),
        (many, 2.1, r"temperature = 2\.1: "),
    ):
        with pytest.raises(rg.InputError, match=message):
            load_configurations(path, T)


def test_files_without_one_array_of_spins_say_what_they_hold(foreign):
    folder, v, write = foreign
    for arrays, held in (
        ({"a": v, "b": v}, r"holds a int8 \(640, 8, 8\), b int8 \(640, 8, 8\), each of which may be .*--array a"),
        ({"a": v * 0.5}, r"holds a float64 \(640, 8, 8\): expected one array of ±1 or 0/1"),
        ({"T": 2.5}, r"holds T float64 \(\): expected"),
        ({"a": v + 0j}, r"holds a complex"),
        ({"a": v[:, :, :6]}, r"array 'a': spins has shape \(640, 8, 6\)"),
        ({"a": v[:8, 0]}, r"array 'a': spins has shape \(8, 8\): give it a sample axis"),
    ):
        with pytest.raises(rg.InputError, match=held):
            load_configurations(write(**arrays), 2.5)
    np.save(folder / "objects.npy", np.array([{}, 1], dtype=object))
    for name in ("objects.npy", "absent.npy"):
        with pytest.raises(rg.InputError, match=name):
            load_configurations(folder / name, 2.5)


def test_our_own_files_are_configurations_too(tmp_path, critical8):
    save_ensemble(tmp_path / "e.npz", critical8)
    for T in (None, critical8.system.temperature, 2.269185):
        found = load_configurations(tmp_path / "e.npz", T)
        assert (found.system, dict(found.origin)) == (critical8.system, dict(critical8.origin))
    with pytest.raises(rg.InputError, match="temperature = 2: the configurations"):
        load_configurations(tmp_path / "e.npz", 2.0)
