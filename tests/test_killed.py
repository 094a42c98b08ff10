"""A run that is killed leaves the old result whole or the new one whole, and nothing in the way of the next."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kill_writes import found, report

import rgstep as rg
from rgstep import folders, locks
from rgstep.files import replacing, write_arrays
from rgstep.folders import FINISHED, MANIFEST, RUNNING, check_output, output_folder
from rgstep.report import load_report

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
HERE = Path(__file__).parent


def kills(*arguments):
    """Run the driver; returns how often it found what."""
    driver = [sys.executable, str(HERE / "kill_writes.py"), *map(str, arguments)]
    done = subprocess.run(driver, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_killed_write_leaves_the_old_report_or_the_new_one():
    counts = kills(4)
    assert set(counts) == {"none", "old", "new"}, counts
    assert sum(counts.values()) >= 60


@pytest.mark.slow
def test_so_it_is_at_every_file_that_is_touched():
    counts = kills(1)
    assert set(counts) == {"none", "old", "new"}, counts
    assert sum(counts.values()) >= 240


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["one by one", "manifest alone"])
def test_other_ways_of_writing_are_found_out(broken):
    """The twins: many renames with no commit, and a manifest that protects the reader but keeps neither result."""
    wrong = {what for what in kills(2, broken) if what not in ("none", "old", "new")}
    assert any("arrays of {0.0, 1.0}" in what if broken == "one by one" else "refused" in what for what in wrong), wrong


COMMAND = ["--size", "8", "--samples", "300", "--map", "majority", "--out", "deep/out", "--quiet"]


def started(folder, *arguments):
    """Start a comparison and return its process once it is at work in its folder."""
    command = [sys.executable, "-c", "from rgstep.cli import main; main()", "compare", *arguments]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    while not list(folder.glob("deep/out/.unfinished-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_killed_compare_is_no_result_and_the_same_command_starts_again(tmp_path):
    for delay in (0.0, 0.7, 2.0):
        process = started(tmp_path, *COMMAND, "--samples", "200000", "--size", "32")  # minutes of work
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert (tmp_path / "deep" / "out" / RUNNING).exists(), "killed too late"
    process = started(tmp_path, *COMMAND)
    error = process.communicate()[1]
    assert process.returncode == 0, error
    assert list(load_report(tmp_path / "deep" / "out").maps)
    assert not list((tmp_path / "deep" / "out").glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_clean_up(tmp_path, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("these tests run under nohup, and so does what they start")
    process = started(tmp_path, *COMMAND, "--samples", "200000", "--size", "32")
    process.send_signal(number)
    error = process.communicate()[1]
    assert process.returncode == 128 + number
    assert error.splitlines()[-1].startswith("rgstep: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_one_folder_is_refused(tmp_path):
    with output_folder(tmp_path / "out") as folder:
        (folder / "report.json").write_text("first")
        holder = f"process {os.getpid()} on "
        with pytest.raises(rg.InputError, match=f"in use by {holder}.*wait for it"), output_folder(tmp_path / "out"):
            pytest.fail("let in")
        with pytest.raises(rg.InputError, match="in use by"):
            report("new").save(tmp_path / "out", force=True)
        assert (folder / "report.json").read_text() == "first"  # what the first one is at work on is not removed
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [MANIFEST, "report.json"]


def test_the_second_run_destroys_the_first_where_nothing_holds_the_lock(tmp_path, monkeypatch):
    """The twin: without the lock both are let in, and the second removes what the first is at work on."""
    monkeypatch.setattr(locks, "locked", lambda handle, path: True)
    with pytest.raises(FileNotFoundError), output_folder(tmp_path / "out"):
        report("new").save(tmp_path / "out", force=True)


def test_without_locks_of_the_system_pid_and_start_decide(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    lock = locks.take(tmp_path / "lock")
    assert lock is not None
    assert locks.take(tmp_path / "lock") is None
    pid, host, start = locks.read(tmp_path / "lock")
    (tmp_path / "lock").write_text(f"{pid} {host} {start - 100}")  # the pid belongs to another process by now
    assert locks.take(tmp_path / "lock") is not None
    (tmp_path / "lock").write_text(f"{pid} elsewhere {start - 100}")  # not to be known from here
    assert locks.take(tmp_path / "lock") is None
    (tmp_path / "lock").write_text("nonsense")
    assert locks.take(tmp_path / "lock") is not None


def test_leftovers_are_no_result(tmp_path):
    """Those of earlier versions as well, which had no lock; the twin, a folder of the user's, is one."""
    (tmp_path / "out" / ".unfinished-ab12cd_9" / "data").mkdir(parents=True)
    (tmp_path / "out" / RUNNING).write_text("")
    report("new").save(tmp_path / "out")
    assert found(tmp_path / "out") == "new"
    assert not list((tmp_path / "out").glob(".*"))
    for name in (".unfinished-thoughts on Ising", ".hidden", "data"):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(rg.InputError, match="exists"):
            check_output(tmp_path / name, force=False)


def test_what_was_finished_and_not_moved_is_read(tmp_path, monkeypatch):
    report("old").save(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(folders, "put_in_place", lambda directory: None)
        report("new").save(tmp_path / "out", force=True)
    assert (tmp_path / "out" / FINISHED).is_dir()
    assert rg.load(tmp_path / "out").origin["which"] == "new"
    assert found(tmp_path / "out") == "new"


def test_files_of_two_reports_are_never_read_as_one(tmp_path):
    for which in ("old", "new"):
        report(which).save(tmp_path / which)
    (tmp_path / "new" / "data" / "maps" / "a.npz").replace(tmp_path / "old" / "data" / "maps" / "a.npz")
    with pytest.raises(rg.InputError, match=r"a\.npz' is not the file that manifest\.json lists"):
        load_report(tmp_path / "old")
    (tmp_path / "old" / MANIFEST).unlink()  # the twin: what an earlier version wrote has none, and is read
    assert load_report(tmp_path / "old").origin["which"] == "old"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 9, "files": {}}', '{"format": 1}', "[" * 10_000])
def test_a_damaged_manifest_is_one_line_and_is_replaced(tmp_path, text):
    report("old").save(tmp_path / "out")
    (tmp_path / "out" / MANIFEST).write_text(text)
    with pytest.raises(rg.InputError, match=r"manifest\.json' is no manifest"):
        load_report(tmp_path / "out")
    report("new").save(tmp_path / "out", force=True)
    assert found(tmp_path / "out") in ("new", "new with the files ['a', 'b', 'gone', 'more'] and the arrays of {0.0}")


def test_what_a_manifest_does_not_list_is_not_read(tmp_path):
    report("old").save(tmp_path / "out")
    text = json.loads((tmp_path / "out" / MANIFEST).read_text())
    del text["files"]["report.json"]
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(text))
    with pytest.raises(rg.InputError, match=r"report\.json' is not the file"):
        load_report(tmp_path / "out")


def test_a_manifest_removes_nothing_elsewhere(tmp_path):
    """A hand-made one may name any file: those outside of the folder stay, through links too."""
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "mine.txt").write_text("mine")
    report("old").save(tmp_path / "out")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "else")
    (tmp_path / "out" / "here.txt").write_text("listed")
    names = ["../mine.txt", str(tmp_path / "mine.txt"), "link/mine.txt", "data/../../mine.txt", "here.txt"]
    (tmp_path / "out" / MANIFEST).write_text(json.dumps({"format": 1, "files": {name: {} for name in names}}))
    report("new").save(tmp_path / "out", force=True)
    assert (tmp_path / "mine.txt").exists()
    assert (tmp_path / "else" / "mine.txt").exists()
    assert not (tmp_path / "out" / "here.txt").exists()  # the twin: a file that the folder's own list names goes


def test_the_files_of_an_older_report_go_with_it(tmp_path):
    """One without a manifest, as earlier versions wrote them; what a user keeps there stays."""
    report("old").save(tmp_path / "out")
    (tmp_path / "out" / MANIFEST).unlink()
    (tmp_path / "out" / "data" / "maps" / "mine.npz").write_bytes(b"mine")
    report("new").save(tmp_path / "out", force=True)
    assert {p.stem for p in (tmp_path / "out" / "data" / "maps").iterdir()} == {"a", "b", "more", "mine"}


DIES = """
import os, signal, sys
from pathlib import Path
from rgstep.files import replacing
with replacing(Path(sys.argv[1])) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die_while_writing(path):
    """Let another process be killed as it writes a file."""
    ended = subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_a_file_whose_writer_was_killed_is_as_it_was_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(3)})
    die_while_writing(path)
    assert len(list(tmp_path.iterdir())) == 2
    with np.load(path) as file:
        assert file["x"].tolist() == [0, 1, 2]
    with replacing(tmp_path / "b.npz") as live:
        live.write_text("another file, being written")
        write_arrays(path, {"x": np.arange(4)})
        assert live.exists()
    with replacing(path) as live:
        live.write_text("the same file, by two at once")
        write_arrays(path, {"x": np.arange(5)})
        assert live.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_link_put_in_the_way_is_not_followed(tmp_path):
    """Names beside a file cannot be guessed: 50 links under the name that earlier versions used lead nowhere."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / f".a.npz.{os.getpid()}").symlink_to(victim)
    with replacing(tmp_path / "a.npz") as beside:
        assert beside.parent.stat().st_mode & 0o777 == 0o700
        assert str(os.getpid()) not in beside.parent.name or len(beside.parent.name) > 8
        beside.write_text("mine")
    assert victim.read_text() == "untouched"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RUNNING).symlink_to(victim)
    with pytest.raises(rg.InputError, match="cannot be written"):
        report("new").save(tmp_path / "out")
    assert victim.read_text() == "untouched"


def test_a_written_file_has_the_rights_that_the_user_asks_for(tmp_path):
    before = os.umask(0o027)
    write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    os.umask(before)
    assert (tmp_path / "a.npz").stat().st_mode & 0o777 == 0o640
