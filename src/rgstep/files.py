"""Files that are whole or not there: written beside their place in a hidden folder, brought to the disk, then renamed.

An interrupted run leaves nothing under a final name and replaces nothing; what one that was killed leaves beside it is
removed by the next that writes the file. How a folder of many files is written is in `folders`.
"""

import hashlib
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from rgstep import locks
from rgstep.arguments import InputError
from rgstep.memory import readable

LOCK = "lock"  # in the hidden folder that a file is written in
LONGEST = 40  # letters of a file's name in that of its hidden folder


def check_folder(directory: Path) -> None:
    """Raise `InputError` if a folder, or the nearest one above it that exists, cannot be written."""
    existing = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        message = f"output folder {str(directory)!r} cannot be written: no permission in {str(existing)!r}"
        raise InputError(message)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as one compressed `.npz` file, whole or not at all."""
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types **kwds with allow_pickle


def check_space(directory: Path, needed: int, what: str) -> None:
    """Raise `InputError` if the disk of a folder, or of the nearest one above it, has not so many bytes free."""
    existing = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        message = f"{what} takes {readable(needed)} in {str(directory)!r}, {readable(free)} of its disk is free"
        raise InputError(message)


def write_or_keep(write: Callable[[Path], None], path: Path) -> None:
    """Write finished work, or keep it beside its place, or in the folder for temporary files, if that fails.

    Args:
        write: writes it to a path, whole or not at all.
        path: where.

    Raises:
        InputError: if it could not be written there; the message says where it is kept.
    """
    try:
        write(path)
    except (OSError, InputError) as error:
        message = f"{said_of(error, path)}; {kept(write, path)}"
        raise InputError(message) from error


def said_of(error: OSError | InputError, path: Path) -> str:
    """Return what went wrong as a sentence."""
    return (
        str(error) if isinstance(error, InputError) else f"{str(path)!r} cannot be written: {error.strerror or error}"
    )


def kept(write: Callable[[Path], None], path: Path) -> str:
    """Write finished work elsewhere than at its path, and say where."""
    beside = [p for p in path.absolute().parents if p.is_dir()][:1]
    for place in (*beside, Path(tempfile.gettempdir())):
        with suppress(OSError, InputError):
            folder = Path(tempfile.mkdtemp(prefix=f"{path.stem[:LONGEST]}-kept-", dir=place))
            try:
                write(folder / path.name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return f"the finished work is kept in {str(folder / path.name)!r}"
    return f"nor could it be kept in {tempfile.gettempdir()!r}, so that it is lost: make room first"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name in a hidden folder beside a file: what is written there takes the file's place, or all is as it was.

    Nobody else can guess the name of that folder or write into it, so that no link leads astray what is written.
    """
    remove_leftovers(path)
    hidden, lock = hidden_beside(path)
    try:
        yield hidden / path.name
        sync(hidden / path.name)
        (hidden / path.name).replace(path)
        sync(path.parent)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if lock is not None:
            lock.release()


def hidden_beside(path: Path) -> tuple[Path, locks.Lock | None]:
    """Make a hidden folder beside a file, and lock it for as long as this process writes there."""
    for _ in range(locks.TRIES):
        hidden = Path(tempfile.mkdtemp(prefix=f".{path.name[:LONGEST]}.", dir=path.parent))
        try:
            return hidden, locks.take(hidden / LOCK)
        except FileNotFoundError:  # taken for a leftover in the moment before it had its lock
            continue
    message = "the folder to write in vanishes again and again"
    raise OSError(None, message)


def remove_leftovers(path: Path) -> None:
    """Remove the hidden folders beside a file of runs that died as they wrote it; those of live runs stay."""
    name = re.compile(rf"\.{re.escape(path.name[:LONGEST])}\.[a-z0-9_]{{8}}")
    for hidden in path.parent.glob(".*"):
        if name.fullmatch(hidden.name) and hidden.is_dir() and not hidden.is_symlink():
            with suppress(OSError):  # of another user: not ours to remove
                if not (hidden / LOCK).exists():
                    hidden.rmdir()  # if it is empty
                elif lock := locks.take(hidden / LOCK):
                    shutil.rmtree(hidden, ignore_errors=True)
                    lock.release()


def sync(path: Path) -> None:
    """Bring a file to the disk, or the names in a folder, where the file system can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # many file systems have it for files alone
            raise
    finally:
        os.close(handle)


def read_arrays(path: Path, single: bool = False) -> dict[str, np.ndarray]:
    """Read the named arrays of an `.npz` file; with `single`, also the one of an `.npy` file, by the file's name.

    Raises:
        InputError: if the file is missing, or is not one, or is damaged.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                if single:
                    return {path.stem: archive}
                message = f"file {str(path)!r} is not an rgstep file, or is damaged: no .npz archive"
                raise InputError(message)
            with archive:
                return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        message = f"no file {str(path)!r}: check the name, or make it with 'rgstep sample' or 'rgstep train'"
        raise InputError(message) from error
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        message = f"file {str(path)!r} is not an rgstep file, or is damaged"
        raise InputError(message) from error


def file_name(name: str) -> str:
    """Return a map's name as part of a file name: different names stay different, long ones end in a hash."""
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= 100 else f"{quoted[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def clashing(names: Collection[str], others: Collection[str]) -> str | None:
    """Return the first of some names whose file would be that of another name, with or without capitals, or None."""
    files = {file_name(other).casefold(): other for other in others}
    for name in names:
        other = files.setdefault(file_name(name).casefold(), name)
        if other != name or name in others:
            return other
    return None
