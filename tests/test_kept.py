"""Finished work is never thrown away because the last write fails: that is known before, or it is kept elsewhere."""

import errno
import importlib
import resource
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

import rgstep as rg
from rgstep import commands, files, jobs
from rgstep.files import check_space, write_arrays, write_or_keep

pytestmark = pytest.mark.usefixtures("as_users_run")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The folder for temporary files, in this test's own folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def full(places):
    """A `write` for which the disk of some folders is full."""

    def write(path):
        if any(place in path.parents for place in places):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_arrays(path, {"x": np.arange(3)})

    return write


def test_a_file_that_cannot_be_written_is_kept_beside_or_in_the_temporary_folder(tmp_path, elsewhere):
    (tmp_path / "runs" / "a.npz").mkdir(parents=True)  # a folder named like the output
    with pytest.raises(rg.InputError, match=r"a\.npz' cannot be written.*kept in '(.*runs/a-kept-.*/a.npz)'") as found:
        write_or_keep(full([]), tmp_path / "runs" / "a.npz")
    assert np.load(str(found.value).split("kept in ")[1].strip("'"))["x"].tolist() == [0, 1, 2]
    with pytest.raises(rg.InputError, match=r"No space left on device; .* kept in '.*temporary/b-kept-"):
        write_or_keep(full([tmp_path / "runs"]), tmp_path / "runs" / "b.npz")
    assert len(list(elsewhere.iterdir())) == 1
    with pytest.raises(rg.InputError, match=r"nor could it be kept.*it is lost"):
        write_or_keep(full([tmp_path]), tmp_path / "runs" / "c.npz")
    assert len(list(elsewhere.iterdir())) == 1


def test_a_file_on_a_disk_that_is_full_is_as_it_was(tmp_path):
    """The system's own limit on the size of a file stands for the full disk."""
    write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_arrays(tmp_path / "a.npz", {"x": np.random.default_rng(0).random(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    assert np.load(tmp_path / "a.npz")["x"].tolist() == [0, 1, 2]


def compared(out, **more):
    return rg.compare(out, size=8, samples=200, maps=["majority"], **more)


def test_a_comparison_whose_folder_cannot_be_filled_is_kept(tmp_path, monkeypatch, elsewhere):
    monkeypatch.setattr(jobs, "write_page", lambda *arguments: None)
    write = jobs.save_inputs

    def fails_in_runs(folder, *rest):
        if tmp_path / "runs" in folder.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder, *rest)

    monkeypatch.setattr(jobs, "save_inputs", fails_in_runs)
    (tmp_path / "runs").mkdir()
    with pytest.raises(rg.InputError, match=r"No space left on device; the finished work is kept in '.*temporary") as e:
        compared(tmp_path / "runs" / "out")
    kept = Path(str(e.value).split("kept in ")[1].strip("'"))
    assert "majority" in rg.load(kept).maps
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_can_be_known_before_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "work", lambda *arguments: pytest.fail("work started"))
    monkeypatch.setattr(commands, "sample", lambda *arguments, **more: pytest.fail("work started"))
    (tmp_path / "out" / "report.json").mkdir(parents=True)
    with pytest.raises(rg.InputError, match=r"report\.json' is a folder"):
        compared(tmp_path / "out", force=True)
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "data").write_text("")
    with pytest.raises(rg.InputError, match="data' is a file"):
        compared(tmp_path / "file", force=True)
    (tmp_path / "e.npz").mkdir()
    with pytest.raises(rg.InputError, match=r"e\.npz' is a folder"):
        commands.sample_to_file(tmp_path / "e.npz", 8, 2.5, 10, 0, force=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(rg.InputError, match="1 B of its disk is free"):
        compared(tmp_path / "new")
    check_space(tmp_path, 1, "a byte")
    assert not (tmp_path / "new").exists()


def test_without_keeping_the_work_is_lost(tmp_path, elsewhere, monkeypatch):
    """The twin."""
    monkeypatch.setattr(files, "kept", lambda write, path: "")
    with pytest.raises(rg.InputError):
        write_or_keep(full([tmp_path / "runs"]), tmp_path / "runs" / "b.npz")
    assert list(elsewhere.iterdir()) == []
    assert importlib.import_module("rgstep.jobs").kept is not files.kept
