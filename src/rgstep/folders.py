"""An output folder is one result: how is it written so that it is the old one whole or the new one whole?

Everything is written into a hidden folder inside it and brought to the disk. One rename of that folder, to `.finished`,
makes it the result; only then are its files moved to their places and those of the older result removed. Whoever comes
next, a reader too, finishes what a process that died on the way had begun (`settle`), and removes what it had not.
`manifest.json` has the hash of every file, so that files of two results are never read as one.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from rgstep import locks
from rgstep.arguments import InputError
from rgstep.files import check_folder, sync

MANIFEST = "manifest.json"
FORMAT = 1  # of the manifest
RUNNING, FINISHED = ".running", ".finished"  # who is at work here; what has only to be moved to its places
REPLACES = ".replaces"  # in the hidden folder: the files of the older result that go
UNFINISHED = ".unfinished-"
LEFTOVER = re.compile(rf"{re.escape(UNFINISHED)}[a-z0-9_]{{8}}")
PATIENCE = 10.0  # seconds that a reader waits for the files of a run that has just finished


def check_output(directory: Path, force: bool, files: Collection[str] = (), folders: Collection[str] = ()) -> None:
    """Raise `InputError` unless results may be written into a folder: it holds no result, or `force` is set.

    Args:
        directory: the folder. What runs that died have left in it is no result.
        force: whether what is there is replaced.
        files: what will be written, as far as it is known: none may be a folder.
        folders: those inside that will be written, none may be a file.
    """
    if directory.exists() and not directory.is_dir():
        message = f"output {str(directory)!r} is a file: name a folder"
        raise InputError(message)
    if directory.is_dir() and any(not is_leftover(path) for path in directory.iterdir()) and not force:
        message = f"output folder {str(directory)!r} exists: choose another, or replace its results with --force"
        raise InputError(message)
    check_folder(directory)
    for name in files:
        require_file(directory, name)
    for name in folders:
        require_folder(directory, name)


def require_file(directory: Path, name: str) -> None:
    """Raise `InputError` if a folder stands where a file is to be written."""
    if (directory / name).is_dir():
        message = f"{str(directory / name)!r} is a folder, where a file is to be written: move it, or choose another"
        raise InputError(message)


def require_folder(directory: Path, name: str) -> None:
    """Raise `InputError` if a file stands where a folder is to be written."""
    if (directory / name).exists() and not (directory / name).is_dir():
        message = f"{str(directory / name)!r} is a file, where a folder is to be written: move it, or choose another"
        raise InputError(message)


def is_leftover(path: Path) -> bool:
    """Return whether a path inside an output folder is the unfinished work, or the lock, of a run."""
    return path.name == RUNNING or (LEFTOVER.fullmatch(path.name) is not None and path.is_dir())


@contextmanager
def output_folder(
    directory: Path, force: bool = False, *, whole: bool = True, older: Collection[str] = ()
) -> Iterator[Path]:
    """Yield a hidden folder to fill; on success it is the result in `directory`, on any failure it vanishes.

    Args:
        directory: the output folder; whatever else a user keeps in it stays.
        force: replace a result that is there.
        whole: what is written is the whole result, so that the files of the older one go; otherwise it adds to it.
        older: files of an older result that has no manifest.

    Raises:
        InputError: if `directory` holds a result and `force` is not set, cannot be written, or another run is at work
            in it.
        OSError: if the disk is full at the end; what was there is then as it was.
    """
    check_output(directory, force)
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    lock = enter(directory)
    hidden = None
    try:
        put_in_place(directory)
        sweep(directory)
        hidden = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=directory))
        yield hidden
        finish(hidden, directory, whole, older)
    finally:
        try:
            if hidden is not None:
                shutil.rmtree(hidden, ignore_errors=True)
            put_in_place(directory)
        finally:
            lock.release()
            for folder in missing:  # innermost first: those made above, if nothing came into them
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def enter(directory: Path) -> locks.Lock:
    """Make an output folder and return the lock on it, or raise `InputError` if another run is at work there."""
    problem: OSError | None = None
    for _ in range(locks.TRIES):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = locks.take(directory / RUNNING)
        except OSError as error:
            problem = error
            if isinstance(error, FileNotFoundError):  # another run has failed, and removed the folder it had made
                continue
            break
        if lock is None:
            who = locks.holder(directory / RUNNING)
            message = f"output folder {str(directory)!r} is in use by {who}: wait for it, or choose another"
            raise InputError(message)
        return lock
    message = f"output folder {str(directory)!r} cannot be written: {problem and problem.strerror}; choose another"
    raise InputError(message) from problem


def finish(hidden: Path, directory: Path, whole: bool, older: Collection[str]) -> None:
    """Make what the hidden folder holds the result, by one rename once all of it is on the disk."""
    new = {str(PurePosixPath(path.relative_to(hidden))): path for path in files_in(hidden)}
    for name in new:
        require_file(directory, name)
        for parent in list(PurePosixPath(name).parents)[:-1]:
            require_folder(directory, str(parent))
    try:
        before = read_manifest(directory)
    except InputError:  # a damaged one says nothing of what is there, and is replaced
        before = None
    written = {name: {"bytes": path.stat().st_size, "sha256": digest(path)} for name, path in new.items()}
    if whole or before is not None:
        held = written if whole else {**(before or {}), **written}
        text = json.dumps({"format": FORMAT, "files": dict(sorted(held.items()))}, indent=1, ensure_ascii=False)
        (hidden / MANIFEST).write_text(text + "\n", encoding="utf-8")
    gone = {*(before if before is not None else older)} - written.keys() if whole else set()
    (hidden / REPLACES).write_text(json.dumps(sorted(gone)), encoding="utf-8")
    for path in (*hidden.rglob("*"), hidden):
        sync(path)
    hidden.rename(directory / FINISHED)
    sync(directory)


def put_in_place(directory: Path) -> None:
    """Move the files of a result that is finished to their places; the manifest comes last. Safe to do again."""
    finished = directory / FINISHED
    if not finished.is_dir():
        return
    if (finished / REPLACES).exists():
        for name in json.loads((finished / REPLACES).read_text(encoding="utf-8")):
            remove(directory, name)
    moved = [path for path in files_in(finished) if path.name != REPLACES]
    for source in sorted(moved, key=lambda path: (path == finished / MANIFEST, path)):
        target = directory / source.relative_to(finished)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    for folder in {directory / path.relative_to(finished).parent for path in moved} | {directory}:
        sync(folder)
    shutil.rmtree(finished)


def sweep(directory: Path) -> None:
    """Remove the unfinished work of runs that died; this process holds the lock, so that no other is at work."""
    for path in directory.iterdir():
        if is_leftover(path) and path.name != RUNNING:
            shutil.rmtree(path, ignore_errors=True)


def remove(directory: Path, name: str) -> None:
    """Remove a file of an older result, and folders that it leaves empty; never anything outside of the folder."""
    path, inside = directory / name, directory.resolve()
    if inside not in (path.parent.resolve(), *path.parent.resolve().parents):
        return
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    for parent in path.parents[: len(PurePosixPath(name).parents) - 1]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def settle(directory: Path) -> None:
    """Finish, before a result is read, what a run that died had left to be moved; wait for one that is moving it.

    What it had not finished is removed.

    Raises:
        InputError: if the folder cannot be written, or the other run takes too long.
    """
    limit = time.monotonic() + PATIENCE
    while (directory / FINISHED).is_dir():
        try:
            lock = locks.take(directory / RUNNING)
            if lock is not None:
                try:
                    put_in_place(directory)
                finally:
                    lock.release()
        except OSError as error:
            message = (
                f"the result in {str(directory)!r} has still to be moved out of {FINISHED}, as its run died: "
                f"{error.strerror}; read it again where you may write"
            )
            raise InputError(message) from error
        if time.monotonic() > limit:
            message = f"the result in {str(directory)!r} is being written by {locks.holder(directory / RUNNING)}"
            raise InputError(message)
        time.sleep(0.02)
    if directory.is_dir() and any(map(is_leftover, directory.iterdir())):
        with suppress(OSError):  # where nothing can be removed, nothing is in the way of reading
            if lock := locks.take(directory / RUNNING):
                sweep(directory)
                lock.release()


def holds(directory: Path, name: str) -> bool:
    """Return whether a result is in a folder, by one of its files, at its place or still to be moved there."""
    return (directory / name).exists() or (directory / FINISHED / name).exists()


def verify(directory: Path, names: Collection[str]) -> None:
    """Raise `InputError` unless files are those of one result, by its manifest; older results have none."""
    listed = read_manifest(directory)
    for name in names if listed is not None else ():
        entry: Any = (listed or {}).get(name)
        if not isinstance(entry, Mapping) or entry.get("sha256") != digest(directory / name):
            message = (
                f"{str(directory / name)!r} is not the file that {MANIFEST} lists: it was changed, or is of another "
                "run; make the result again, or restore the file"
            )
            raise InputError(message)


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Return the files that a result consists of by name, or None if it has no manifest.

    Raises:
        InputError: for a manifest that cannot be read.
    """
    path = directory / MANIFEST
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        if text["format"] != FORMAT or not isinstance(text["files"], dict):
            raise ValueError(text["format"])
        return dict(text["files"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"file {str(path)!r} is no manifest of format {FORMAT}, or is damaged"
        raise InputError(message) from error


def files_in(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
