"""Configurations of other programs: MATLAB, HDF5, mcising, arrays by name; text is in test_spin_text.py."""

import json
import pickle
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import io

import rgstep as rg
from rgstep.foreign import parted
from rgstep.store import load_configurations

DATA = Path(__file__).parent / "data"
pytestmark = pytest.mark.usefixtures("as_users_run")


@pytest.fixture(scope="module")
def v():
    """Thirty configurations of side 6."""
    return np.array(rg.sample(6, 2.5, 30, seed=6).spins)


def refused(path, rule, T=2.5, **more):
    """One line that names the file."""
    with pytest.raises(rg.InputError, match=rule) as caught:
        load_configurations(path, T, **more)
    assert Path(path).name.partition(":")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


# --- MATLAB


@pytest.mark.parametrize("last", [True, False], ids=["samples last", "samples first"])
@pytest.mark.parametrize("version", ["4", "5", "7.3"])
def test_matlab_files_of_every_version(tmp_path, v, version, last):
    """Doubles and 0/1; the temperature is a 1×1 array, as every number of MATLAB is."""
    path = tmp_path / "run.mat"
    spins = np.moveaxis(v, 0, -1) if last else v
    arrays = {"spins": spins.astype(float), "T": np.array([[2.5]]), "seed": np.array([[1.0]])}
    if version == "7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, array in arrays.items():
                file[key] = array.T
        with path.open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    elif version == "4":
        arrays["spins"] = v.reshape(30, 36).astype(float)  # version 4 has two axes at most
        io.savemat(path, arrays, format="4")
    else:
        io.savemat(path, arrays, do_compression=True)
    found = load_configurations(path)
    np.testing.assert_array_equal(found.spins, v)
    assert found.system.temperature == 2.5


def test_matlab_arrays_that_leave_it_open_are_refused(tmp_path, v):
    """As many samples as rows and columns; and the twin, one less, is read."""
    path = tmp_path / "run.mat"
    io.savemat(path, {"x": np.moveaxis(v[:6], 0, -1)})
    refused(path, "does not say which axis is the samples")
    io.savemat(path, {"x": np.moveaxis(v[:5], 0, -1)})
    np.testing.assert_array_equal(load_configurations(path, 2.5).spins, v[:5])


def test_matlab_files_without_spins_or_damaged(tmp_path, v):
    path = tmp_path / "run.mat"
    io.savemat(path, {"words": "up down", "cell": np.array([{}, 1], dtype=object), "half": v * 0.5})
    refused(path, r"holds half float64 \(30, 6, 6\): expected one array")
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "run.mat")
    path.write_bytes(b"not of MATLAB at all")
    refused(path, "run.mat")


# --- HDF5


def test_a_file_of_mcising_is_read_at_each_of_its_temperatures():
    """Written by mcising 1.1.0; its energies are those of the configurations that are read."""
    path = DATA / "mcising-1.1.0.h5"
    with h5py.File(path) as file:
        energies = {T: file[f"T={T:.6f}/energy"][()] for T in (2.0, 2.269)}
    for T, energy in energies.items():
        found = load_configurations(path, T)
        np.testing.assert_allclose(found.energies, energy, atol=1e-12)
        assert found.system.temperature == T
    refused(path, "has 2 temperatures, 2 to 2.269: choose one with --temperature", None)
    refused(path, r"temperature = 2\.1: the configurations in .* are of T = 2$", 2.1)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"lattice_type": "triangular"}, "lattice_type = 'triangular': the model here is the square lattice, J = 1"),
        ({"j1": -1.0}, "j1 = -1.0"),
        ({"h": 0.5}, "h = 0.5"),
        ({}, ""),
    ],
)
def test_other_models_of_mcising_are_refused(tmp_path, v, change, rule):
    """The shape of the array alone would not tell; the last is the twin."""
    lattice = {"lattice_type": "square", "size": 6, "j1": 1.0, "j2": 0.0, "j3": 0.0, "h": 0.0}
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        file.create_group("metadata").attrs["config_json"] = json.dumps({"lattice": {**lattice, **change}})
        file["T=2.500000/configurations"] = v
        file["T=2.500000"].attrs["temperature"] = 2.5
    if rule:
        refused(path, rule, None)
    else:
        np.testing.assert_array_equal(load_configurations(path).spins, v)


def test_any_hdf5_file_with_one_array_of_spins(tmp_path, v):
    """Its temperature from the nearest place: the dataset, its group, or the file."""
    path = tmp_path / "run.hdf5"
    with h5py.File(path, "w") as file:
        file["deep/spins"], file["deep/energy"] = v, np.arange(30.0)
        file["T"] = 1.0
        file["deep"].attrs["T"] = 2.5
    assert load_configurations(path).system.temperature == 2.5
    with h5py.File(path, "a") as file:
        file["deep/spins"].attrs["temperature"] = 2.25
    found = load_configurations(path)
    assert found.system.temperature == 2.25
    np.testing.assert_array_equal(found.spins, v)


def test_hdf5_files_that_are_refused(tmp_path, v):
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = v, v
    refused(path, r"holds a int8 \(30, 6, 6\), b int8 \(30, 6, 6\), each of which may be .*--array a .*'.*run\.h5:a'")
    with h5py.File(path, "w") as file:
        file.create_dataset("bomb", (10**5, 64, 64), "i1", chunks=(100, 64, 64), compression="gzip", fillvalue=1)
    refused(path, "declares")
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "/a")
    refused(path, "holds no arrays: expected one array")
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    refused(path, "run.h5")


# --- arrays by name


def test_one_of_several_arrays_is_chosen_by_its_name(tmp_path, v):
    path = tmp_path / "two.npz"
    np.savez(path, a=v, b=-v, half=v * 0.5, T=2.5)
    for array, expected in (("a", v), ("b", -v)):
        np.testing.assert_array_equal(load_configurations(path, array=array).spins, expected)
        np.testing.assert_array_equal(load_configurations(f"{path}:{array}").spins, expected)
    refused(path, "each of which may be the configurations: choose one with --array a")
    refused(path, r"has no array 'c'; it holds a int8 \(30, 6, 6\), b int8", array="c")
    refused(path, r"array 'half' holds -0\.5, 0\.5: expected spins, ±1 or 0/1 alone", array="half")
    refused(path, r"array 'T' holds 2\.5", array="T")
    assert parted(path) == (path, None)
    assert parted("a.npz:x/y") == (Path("a.npz"), "x/y")
    assert parted("a:b") == (Path("a:b"), None)


def test_a_file_with_a_colon_in_its_name_is_that_file(tmp_path, v):
    path = tmp_path / "run.npy:2.npy"
    np.save(path, v)
    np.testing.assert_array_equal(load_configurations(path, 2.5).spins, v)


def test_ensembles_have_no_arrays_to_choose(tmp_path, v):
    rg.save(tmp_path / "e.npz", rg.ensemble_from_array(v, 2.5))
    refused(tmp_path / "e.npz", "is an ensemble of rgstep and has no arrays", array="bits")
    np.testing.assert_array_equal(load_configurations(tmp_path / "e.npz").spins, v)


# --- shapes, alphabets, kinds


def test_a_channel_of_one_is_no_obstacle(tmp_path, v):
    np.save(tmp_path / "v.npy", v[:, None])
    np.testing.assert_array_equal(load_configurations(tmp_path / "v.npy", 2.5).spins, v)


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        (lambda v: np.moveaxis(v, 0, -1), r"shape \(6, 6, 30\): .*the samples last, give np\.moveaxis\(spins, -1, 0\)"),
        (lambda v: v[:, :, :4], r"shape \(30, 6, 4\): expected"),
        (lambda v: v[:, :5, :5], "5"),
        (lambda v: v[0], r"shape \(6, 6\): give it a sample axis"),
        (lambda v: np.where(v > 0, 2, 1), r"holds v int64 \(30, 6, 6\): expected one array of ±1 or 0/1"),
        (lambda v: v * (np.arange(30) % 2)[:, None, None], "expected one array of ±1 or 0/1"),
        (lambda v: v[:0], r"\(0, 6, 6\)"),
        (lambda v: np.stack([v, v], axis=1), r"\(30, 2, 6, 6\)"),
    ],
    ids=["samples last", "not square", "odd side", "no samples", "1 and 2", "-1, 0, 1", "none", "two channels"],
)
def test_other_shapes_and_alphabets_are_one_line(tmp_path, v, array, rule):
    np.save(tmp_path / "v.npy", array(v))
    refused(tmp_path / "v.npy", rule)


def test_nothing_is_unpickled(tmp_path, v):
    class Armed:
        def __reduce__(self):
            return Path.touch, (tmp_path / "fired",)

    (tmp_path / "v.pkl").write_bytes(pickle.dumps(Armed()))
    refused(tmp_path / "v.pkl", "is a pickle, which runs code when it is read: give .npy")
    np.save(tmp_path / "v.npy", np.array([Armed()], dtype=object), allow_pickle=True)
    refused(tmp_path / "v.npy", "none of plain numbers")
    assert not (tmp_path / "fired").exists()
    pickle.loads((tmp_path / "v.pkl").read_bytes())  # the twin: it was armed
    assert (tmp_path / "fired").exists()


@pytest.mark.parametrize("content", [b"", struct.pack("<8d", *range(8))], ids=["empty", "bare numbers"])
def test_files_of_no_kind_say_which_kinds_there_are(tmp_path, content):
    (tmp_path / "v.dat").write_bytes(content)
    refused(tmp_path / "v.dat", r"(is empty|is of no kind known): give \.npy, \.npz, \.mat, \.h5 or text")


def test_an_infinite_temperature_is_not_that_of_finite_ones(tmp_path, v):
    np.savez(tmp_path / "v.npz", v=v, T=2.5)
    refused(tmp_path / "v.npz", "temperature = inf: the configurations .* are of T = 2.5", np.inf)
    np.savez(tmp_path / "v.npz", v=v, T=np.inf)
    assert load_configurations(tmp_path / "v.npz", np.inf).system.coupling == 0
