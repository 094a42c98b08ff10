"""Long arrays on disk: the bits are those in memory, damage is seen, memory does not grow with the samples."""

import errno
import json
import mmap
import os
import tracemalloc

import numpy as np
import pytest

import rgstep as rg
from rgstep import ensemble as ensembles
from rgstep import estimates, independence, packed, scratch
from rgstep.battery import judge_map, reference_on
from rgstep.estimates import autocovariance
from rgstep.files import write_arrays
from rgstep.independence import equal_among
from rgstep.instruments import sampling
from rgstep.nets.batches import FixedSet
from rgstep.samplers import chains
from rgstep.streams import stream

EVERYWHERE = 2**40  # bytes: nothing lies on disk
ROWS = ("sampling", "coherence", "conditional_law", "mcrg", "drift", "symmetry", "conditional_entropy", "information")


@pytest.fixture
def on_disk(monkeypatch):
    """Everything above a kilobyte lies on disk."""
    monkeypatch.setattr(scratch, "LONGEST", 2**10)


@pytest.fixture
def in_small_pieces(monkeypatch):
    """Samples are handled some hundred at a time."""
    for module in (ensembles, packed):
        monkeypatch.setattr(module, "PIECE_SITES", 2**14)
    monkeypatch.setattr(scratch, "PIECE", 2**12)


def configurations(samples=500, seed=1, size=8):
    rng = stream(seed, "tests of scratch")
    spins = 2 * rng.integers(0, 2, (samples, size, size), dtype=np.int8) - 1
    return rg.ensemble_from_array(spins, np.inf, {"source": "test"})


def mapped(array):
    """Whether an array lies in a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", array), mmap.mmap)


# --- arrays


@pytest.mark.usefixtures("on_disk")
def test_long_arrays_lie_in_files_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    found = scratch.empty((1000, 3))
    found[:] = 7.0
    assert mapped(found)
    assert found.flags.writeable
    assert not any(tmp_path.iterdir())
    assert not mapped(scratch.empty(10))
    np.testing.assert_array_equal(found, 7.0)


@pytest.mark.usefixtures("on_disk")
def test_a_full_disk_is_an_error_that_says_what_to_do(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch.os, "posix_fallocate", full, raising=False)
    with pytest.raises(rg.InputError, match=r"find no room in '.*' \(No space left on device\): set TMPDIR"):
        scratch.empty(1000)
    scratch.empty(10)  # the twin


@pytest.mark.parametrize("kinds", ["bb", "bf", "fb", "fd", "df", "bbfb"])
def test_parts_are_joined_as_numpy_joins_them(kinds, monkeypatch):
    monkeypatch.setattr(scratch, "LONGEST", 8)
    monkeypatch.setattr(scratch, "PIECE", 4)
    parts = [np.arange(6 + i, dtype=kind).reshape(-1, 1) - 3 for i, kind in enumerate(kinds)]
    expected = np.concatenate(parts)
    found = scratch.joined(iter(parts), len(expected))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# --- files


@pytest.mark.usefixtures("on_disk")
def test_spins_are_read_where_they_lie(tmp_path):
    ensemble, path = configurations(), tmp_path / "x.npz"
    rg.save(path, ensemble)
    found = rg.load(path)
    assert mapped(found.packed.bits)
    assert not found.packed.bits.flags.writeable
    np.testing.assert_array_equal(found.packed.bits, ensemble.packed.bits)
    with np.load(path) as file:  # by NumPy alone, too
        np.testing.assert_array_equal(file["bits"], ensemble.packed.bits)


def test_spins_that_are_packed_again_are_read_into_a_copy(tmp_path, monkeypatch):
    ensemble, path = configurations(), tmp_path / "x.npz"
    rg.save(path, ensemble)
    monkeypatch.setattr(scratch, "LONGEST", 2**10)
    found = rg.load(path)
    assert mapped(found.packed.bits)
    np.testing.assert_array_equal(found.packed.bits, ensemble.packed.bits)


@pytest.mark.usefixtures("on_disk")
def test_zarr_is_read_chunk_by_chunk(tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    pytest.importorskip("xarray")
    monkeypatch.setattr("rgstep.zarr_files.CHUNK", 700)
    ensemble, path = configurations(), tmp_path / "x.zarr"
    rg.save(path, ensemble)
    found = rg.load(path)
    assert mapped(found.packed.bits)
    np.testing.assert_array_equal(found.packed.bits, ensemble.packed.bits)


def tried(path):
    """What a file holds, or None and what is said of it."""
    try:
        return rg.load(path), ""
    except rg.InputError as error:
        return None, str(error)


@pytest.mark.parametrize("written_on_disk", [True, False])
def test_one_flipped_bit_anywhere_is_an_error_or_changes_nothing(tmp_path, monkeypatch, written_on_disk):
    ensemble, path = configurations(200), tmp_path / "x.npz"
    monkeypatch.setattr(scratch, "LONGEST", 2**10 if written_on_disk else EVERYWHERE)
    rg.save(path, ensemble)
    monkeypatch.setattr(scratch, "LONGEST", 2**10)
    whole, refused = path.read_bytes(), 0
    for place in np.linspace(0, len(whole) - 1, 211).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found, said = tried(path)
        if found is None:
            assert "x.npz" in said
            refused += 1
        else:  # the time in an entry of the archive
            np.testing.assert_array_equal(found.packed.bits, ensemble.packed.bits)
            assert (found.origin, found.system) == (ensemble.origin, ensemble.system)
    assert refused > 180
    path.write_bytes(whole)
    rg.load(path)  # the twin


@pytest.mark.usefixtures("on_disk")
def test_a_header_that_declares_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, {"bits": np.zeros((4000, 8), np.uint8)})
    whole = path.read_bytes()
    assert whole.count(b"(4000, 8)") == 1
    path.write_bytes(whole.replace(b"(4000, 8)", b"(9000, 8)"))
    with pytest.raises(rg.InputError, match=r"x\.npz"):
        rg.load(path)


# --- the same numbers


def numbers(samples, seed=1):
    """All that judging a map, one that is real, and a network says."""
    ensemble = configurations(samples, seed)
    maps = {"majority": rg.Majority(), "average": rg.Average(), "rbm": rg.untrained_rbm(64, 16)}
    said = []
    for name, given in maps.items():
        entry = judge_map(ensemble, name, given, 0, reference_on(ensemble, 0), None, ROWS)
        arrays = {row: {key: values.tolist() for key, values in more.items()} for row, more in entry.arrays.items()}
        said.append({row: str(dict(one.estimates)) for row, one in entry.diagnostics.items()} | arrays)
    return json.dumps(said)


@pytest.mark.usefixtures("in_small_pieces")
def test_judging_from_disk_gives_the_numbers_of_judging_in_memory(monkeypatch):
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    expected = numbers(700)
    monkeypatch.setattr(scratch, "LONGEST", 2**8)
    assert numbers(700) == expected
    assert numbers(700, seed=2) != expected  # the twin


def test_sampling_to_disk_gives_the_bits_of_sampling_in_memory(monkeypatch):
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    expected = rg.sample(8, 3.0, samples=2000, seed=4, mode="thin")
    monkeypatch.setattr(scratch, "LONGEST", 2**8)
    found = rg.sample(8, 3.0, samples=2000, seed=4, mode="thin")
    assert mapped(found.packed.bits)
    assert not mapped(expected.packed.bits)
    np.testing.assert_array_equal(found.packed.bits, expected.packed.bits)
    assert found.certificate.to_dict() == expected.certificate.to_dict()
    other = rg.sample(8, 3.0, samples=2000, seed=5, mode="thin")
    assert (other.packed.bits != expected.packed.bits).any()  # the twin


def test_training_from_disk_gives_the_bits_of_training_in_memory(monkeypatch):
    ensemble = configurations()
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    expected = rg.train_rbm(ensemble, 4, seed=[0, 1], steps=130, batch=20)
    monkeypatch.setattr(scratch, "LONGEST", 2**8)
    found = rg.train_rbm(ensemble, 4, seed=[0, 1], steps=130, batch=20)
    for here, there in zip(found, expected, strict=True):
        np.testing.assert_array_equal(here.weights, there.weights)
        assert here.origin["data"] == there.origin["data"]
    assert (found[0].weights != found[1].weights).any()  # the twin


@pytest.mark.usefixtures("on_disk")
def test_batches_from_disk_are_those_of_an_epoch(monkeypatch):
    bits = configurations().packed.bits
    some = FixedSet(bits, 64, 30, [3, 4])
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    every = FixedSet(bits, 64, 30, [3, 4])
    assert some.data is None
    for first in (0, 10, 90):
        (data, rows), (all_data, all_rows) = (source.batches(first, 12) for source in (some, every))
        np.testing.assert_array_equal(np.asarray(data)[rows], np.asarray(all_data)[all_rows])
        assert data.shape == some.batches(0, 1)[0].shape  # one shape, so that a loop is compiled once
    order = np.random.default_rng([3, 500, 30, 2, 0]).permutation(500)
    np.testing.assert_array_equal(every.batches(0, 1)[1][0, 0], order[:30])


# --- what is looked at in parts


def test_autocovariance_in_parts_is_that_of_the_whole(monkeypatch):
    x = stream(0, "series").standard_normal((3, 1000)).cumsum(axis=1) / 30
    expected = autocovariance(x, float(x.mean()))
    monkeypatch.setattr(estimates, "LAGS", 128)
    for lags in (128, 100):
        found = autocovariance(x, float(x.mean()), lags)
        np.testing.assert_allclose(found, expected[:lags], rtol=0, atol=1e-12 * expected[0])
    cut = sum(autocovariance(x[:, a : a + 100], float(x.mean()), 100) for a in range(0, 1000, 100)) / 10
    assert np.abs(cut - expected[:100]).max() > 0.01 * expected[0]  # the twin: parts that do not see the next


def test_equal_numbers_are_counted_in_shares(monkeypatch):
    values = stream(0, "keys").integers(0, 300, 1000).astype(np.uint64)
    expected = equal_among(values)
    monkeypatch.setattr(independence, "SORTED", 70)
    assert equal_among(values) == expected
    values[np.flatnonzero(values == values[0])[0]] = 999
    assert equal_among(values) != expected  # the twin


# --- memory


def peak_of_judging(samples):
    """The peak of what is allocated in memory, without the libraries."""
    ensemble = configurations(samples)
    judge_map(ensemble, "majority", rg.Majority(), 0, reference_on(ensemble, 0), None, ROWS[:6])
    tracemalloc.start()
    try:
        ensemble = rg.ensemble_from_array(ensemble.spins, np.inf)
        tracemalloc.reset_peak()
        judge_map(ensemble, "majority", rg.Majority(), 0, reference_on(ensemble, 0), None, ROWS[:6])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("in_small_pieces")
def test_memory_does_not_grow_with_the_samples(monkeypatch):
    for module, name in ((estimates, "LAGS"), (independence, "LAGS"), (independence, "SORTED")):
        monkeypatch.setattr(module, name, 2**10)
    # the histogram behind the couplings of the spins fills up to its own size as samples come, at any number of them
    monkeypatch.setattr(sampling, "further_checks", lambda ensemble: {})

    def growth():
        return (peak_of_judging(32_000) - peak_of_judging(8_000)) / 24_000

    monkeypatch.setattr(scratch, "LONGEST", 2**12)
    assert growth() < 16  # bytes a sample: groups of samples are a 64th of them
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    assert growth() > 150  # the twin


def test_the_guard_knows_what_lies_on_disk(monkeypatch):
    requests = [chains.check(32, 4.0, 10**8, 0, "thin", "auto")]
    monkeypatch.setattr(chains.memory, "available", lambda: 10**9)
    monkeypatch.setattr(scratch, "available", lambda: 10**12)
    chains.check_room(requests, 1)
    monkeypatch.setattr(scratch, "available", lambda: 10**9)
    with pytest.raises(
        rg.InputError, match=r"would take 16 GB on the disk of '.*', 1 GB is free; at most samples = 62"
    ):
        chains.check_room(requests, 1)
    monkeypatch.setattr(scratch, "LONGEST", EVERYWHERE)
    with pytest.raises(rg.InputError, match="would take 16 GB of memory"):  # the twin
        chains.check_room(requests, 1)
