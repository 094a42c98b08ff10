"""Files that are whole or not there: written beside their place under another name, then renamed.

An output folder is filled in a hidden folder on the same disk and its files are moved into place at the end, one
rename each, so that an interrupted run leaves nothing under a final name and replaces nothing.
"""

import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from rgstep.arguments import InputError


def check_output(directory: Path, force: bool) -> None:
    """Raise `InputError` unless results may be written into a folder: it is new or empty, or `force` is set."""
    if directory.exists() and not directory.is_dir():
        message = f"output {str(directory)!r} is a file: name a folder"
        raise InputError(message)
    if directory.is_dir() and any(directory.iterdir()) and not force:
        message = f"output folder {str(directory)!r} exists: choose another, or replace its results with --force"
        raise InputError(message)
    check_folder(directory)


def check_folder(directory: Path) -> None:
    """Raise `InputError` if a folder, or the nearest one above it that exists, cannot be written."""
    existing = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        message = f"output folder {str(directory)!r} cannot be written: no permission in {str(existing)!r}"
        raise InputError(message)


@contextmanager
def output_folder(directory: Path, force: bool = False) -> Iterator[Path]:
    """Yield a hidden folder to fill; on success its files move into `directory`, on any failure they vanish.

    Raises:
        InputError: if `directory` holds something and `force` is not set, or cannot be written.
    """
    check_output(directory, force)
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=directory))
    except OSError as error:
        message = f"output folder {str(directory)!r} cannot be written: {error.strerror}; choose another"
        raise InputError(message) from error
    try:
        yield hidden
        for source in sorted(p for p in hidden.rglob("*") if p.is_file()):
            target = directory / source.relative_to(hidden)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        for folder in missing:  # innermost first: those made above, if nothing came into them
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as one compressed `.npz` file, whole or not at all."""
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types **kwds with allow_pickle


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden name beside a file: what is written there takes the file's place, and nothing on any failure."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


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
