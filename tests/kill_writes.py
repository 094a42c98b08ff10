"""Write reports in processes that are killed, and count what is left: `kill_writes.py STEP [BROKEN]` prints JSON.

A process is killed as it is about to open, rename, make or remove its n-th file, for every STEP-th n, and as often at
random times. After each kill the folder is read, then the same command is given again. BROKEN names a way of writing
that must be found out.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from rgstep import folders
from rgstep.arguments import InputError
from rgstep.report import Report, load_report
from rgstep.results import MapReport

TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # what Python tells its audit hooks
MAPS = {"old": ("a", "b", "gone"), "new": ("a", "b", "more")}


def report(which):
    """A report whose numbers say which it is."""
    mark = np.full(2000, sorted(MAPS).index(which), np.float64)
    rows = {name: MapReport("not judged", "judged", which, {}, {"mcrg": {"x": mark}}) for name in MAPS[which]}
    return Report({"temperature": 2.0, "size": 4, "which": which}, rows)


def in_a_child(out, force, end):
    """Save the new report in another process, which `end` may kill; returns how it ended and the seconds it took."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            if callable(end):
                sys.addaudithook(end)
            report("new").save(out, force=force)
        except BaseException as error:  # not the driver's to go on with
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    if isinstance(end, float):
        time.sleep(end)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), time.perf_counter() - start


def killed_at(number):
    """A hook that kills its own process as it touches the n-th file."""
    count = 0

    def hook(event, arguments):
        nonlocal count
        if event in TOUCHES:
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def found(out):
    """Which report is read: "old", "new", "none"; else what is wrong with it."""
    try:
        read = load_report(out)
    except InputError as error:
        return "none" if "no report in" in str(error) else f"refused: {error}"
    which = read.origin["which"]
    held = {p.stem for p in (out / "data" / "maps").iterdir()}
    marks = {float(x) for entry in read.maps.values() for x in entry.arrays["mcrg"]["x"]}
    if held != set(MAPS[which]) or marks != {float(sorted(MAPS).index(which))}:
        return f"{which} with the files {sorted(held)} and the arrays of {marks}"
    return which


def one(base, force, end):
    """Kill one write; returns whether it was killed, and what was there, or what is wrong."""
    out = base / "out"
    shutil.rmtree(out, ignore_errors=True)
    if force:
        shutil.copytree(base / "before", out)
    code, _ = in_a_child(out, force, end)
    return code == -signal.SIGKILL, what_is_left(out, force)


def what_is_left(out, force):
    """Return which report is there after a kill, or what is wrong, then and after the same command again."""
    first = found(out)
    if first not in (("old", "new") if force else ("none", "new")):
        return first
    try:
        report("new").save(out, force=force)
    except InputError as error:
        if force or first != "new" or "exists" not in str(error):
            return f"the same command again: {error}"
    if found(out) != "new" or (force and (out / "notes.txt").read_text() != "mine"):
        return f"after the same command: {found(out)}"
    hidden = [path.name for path in out.iterdir() if path.name.startswith(".")]
    return f"left: {hidden}" if hidden else first


def moved_one_by_one(hidden, directory, whole, older):
    """The broken twin: how it was done before, a rename for each file and no manifest."""
    for source in sorted(folders.files_in(hidden)):
        target = directory / source.relative_to(hidden)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def manifest_without_commit(hidden, directory, whole, older):
    """Another twin: a manifest, so that nothing wrong is read, but no single rename, so that nothing at all is."""
    written = {str(p.relative_to(hidden)): {"sha256": folders.digest(p)} for p in folders.files_in(hidden)}
    moved_one_by_one(hidden, directory, whole, older)
    (directory / folders.MANIFEST).write_text(json.dumps({"format": folders.FORMAT, "files": written}))


BROKEN = {"one by one": moved_one_by_one, "manifest alone": manifest_without_commit}


def main():
    """Kill and count."""
    step = int(sys.argv[1])
    if sys.argv[2:]:
        folders.finish = BROKEN[sys.argv[2]]
    counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        report("old").save(base / "before")
        (base / "before" / "notes.txt").write_text("mine")
        times = random.Random(5)
        for force in (False, True):
            for number in range(1, 1000, step):
                killed, left = one(base, force, killed_at(number))
                if not killed:
                    break
                counts[left] += 1
            seconds = max(in_a_child(base / f"timed{force}{n}", False, None)[1] for n in range(3))
            for _ in range(number // step // 2):
                counts[one(base, force, times.uniform(0, seconds))[1]] += 1
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
