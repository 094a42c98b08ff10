"""Files that are whole or not there: written beside their place in a hidden folder, brought to the disk, then renamed.

An interrupted run leaves nothing under a final name and replaces nothing; what one that was killed leaves beside it is
removed by the next that writes the file. How a folder of many files is written is in `folders`.
"""

import hashlib
import math
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from rgstep import locks, scratch
from rgstep.arguments import InputError, first_line
from rgstep.memory import readable
from rgstep.schema import hash_of_arrays

SEAL = "rgstep_checksum"  # the member of an `.npz` file that holds the hash of all others
NAME_LENGTHS = 26  # bytes into a member's header, where those of its name and of its extra field stand
FLOOR, MOST_PER_BYTE = 2**26, 100  # what a file holds may take 64 MiB, or 100 bytes for each byte of the file
NOT_OURS = "is not an rgstep file, or is damaged"

LOCK = "lock"  # in the hidden folder that a file is written in
LONGEST = 40  # letters of a file's name in that of its hidden folder


def check_folder(directory: Path) -> None:
    """Raise `InputError` if a folder, or the nearest one above it that exists, cannot be written."""
    existing = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        message = f"output folder {str(directory)!r} cannot be written: no permission in {str(existing)!r}"
        raise InputError(message)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays and their checksum as one compressed `.npz` file, whole or not at all.

    What compresses so well that `read_arrays` would take it for a bomb is written as it is, and so are spins that are
    too many to lie in memory: they can be mapped where they are.
    """
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    sealed = {**plain, SEAL: np.array(hash_of_arrays(plain))}
    with replacing(path) as beside:
        if any(is_long(array.shape, array.dtype) for array in plain.values()):
            write_stored(beside, sealed)
            return
        with beside.open("wb") as file:
            np.savez_compressed(file, **sealed)  # type: ignore[arg-type]  # numpy types **kwds with allow_pickle
        if sum(array.nbytes for array in plain.values()) > allowance(beside.stat().st_size) // 2:
            write_stored(beside, sealed)


def write_stored(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` file that is not compressed, as np.savez does, a piece of an array at a time."""
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                plain = np.asarray(array, order="C")
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(plain))
                flat = plain.reshape(-1)
                for a, b in scratch.ranges(len(flat)):
                    member.write(flat[a:b].tobytes())


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


# --- reading


@contextmanager
def reading(path: str | Path, wrong: str = NOT_OURS, what: str = "file") -> Iterator[None]:
    """Turn whatever a library raises about the contents of a file into one `InputError` that names the file.

    Of what may come out of a file that someone else has made, or that was damaged, no list is complete: MemoryError,
    RecursionError and the errors of NumPy's tokenizer are among them. What raised it stays as the cause.
    """
    try:
        yield
    except FileNotFoundError as error:
        message = f"no {what} {str(path)!r}: check the name, or make it with 'rgstep sample' or 'rgstep train'"
        raise InputError(message) from error
    except Exception as error:
        if isinstance(error, InputError) and str(path) in str(error):
            raise
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}, {first_line(error)[:150]}"
        message = f"{what} {str(path)!r}{' ' if wrong else ''}{wrong}: {reason}"
        raise InputError(message) from error


def allowance(size: int) -> int:
    """Return how many bytes what is read from a file of so many bytes may take."""
    return max(FLOOR, MOST_PER_BYTE * size)


def require_modest(declared: int, size: int) -> None:
    """Raise `InputError` if a file declares more than its own size accounts for, before anything is allocated."""
    if declared > allowance(size):
        message = (
            f"it declares {declared:,} bytes of values in {size:,} bytes of file: at most {MOST_PER_BYTE} for each, or "
            f"{FLOOR:,} in all, are read"
        )
        raise InputError(message)


def read_arrays(path: Path, single: bool = False) -> dict[str, np.ndarray]:
    """Read the named arrays of an `.npz` file; with `single`, also the one of an `.npy` file, by the file's name.

    Raises:
        InputError: if the file is missing, or is not one, or is damaged.
    """
    return read_sealed(path, single)[0]


def read_sealed(path: Path, single: bool = False) -> tuple[dict[str, np.ndarray], bool]:
    """Return the arrays of `read_arrays`, and whether they came with a checksum; a wrong one is an error."""
    with reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if single and file.read(6) == b"\x93NUMPY":
            file.seek(0)
            return {path.stem: one_array(file, size)}, False
        arrays = members(file, size)
        seal = arrays.pop(SEAL, None)
        if seal is not None and str(seal) != hash_of_arrays(arrays):
            message = "it does not hold what was written, by its checksum"
            raise InputError(message)
        return arrays, seal is not None


def members(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    """Return the arrays of an archive of NumPy; nothing is unpickled, nothing read that it does not account for."""
    with ZipFile(file) as archive:
        entries = archive.infolist()
        require_modest(sum(entry.file_size for entry in entries), size)
        found: dict[str, np.ndarray] = {}
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if name in found or entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                message = f"its member {name[:60]!r} is there twice, or packed in another way than NumPy's"
                raise InputError(message)
            with archive.open(entry) as member:
                found[name] = one_array(member, entry.file_size, (file, entry))
        return found


def is_long(shape: tuple[int, ...], kind: np.dtype[Any]) -> bool:
    """Whether an array is of spins, packed or not, and of more than lie in memory."""
    return kind.itemsize == 1 and scratch.on_disk(shape, kind)


def stored_at(file: IO[bytes], entry: ZipInfo) -> int:
    """Return where in an archive the bytes of a member begin, after its own header."""
    file.seek(entry.header_offset + NAME_LENGTHS)
    of_name, of_extra = struct.unpack("<HH", file.read(4))
    return entry.header_offset + NAME_LENGTHS + 4 + int(of_name) + int(of_extra)


def long_array(
    file: BufferedIOBase | IO[bytes],
    shape: tuple[int, ...],
    kind: np.dtype[Any],
    member_of: tuple[IO[bytes], ZipInfo] | None,
) -> np.ndarray:
    """Return the array that is left of an open file, on disk: where it lies in an archive, or else in a copy.

    It is read to its end a piece at a time: there a member's own checksum is compared.
    """
    place = file.tell()
    in_place = member_of is not None and member_of[1].compress_type == ZIP_STORED
    array = np.empty(0, kind) if in_place else scratch.empty(shape, kind)
    flat = array.reshape(-1)
    for a, b in scratch.ranges(math.prod(shape)):
        part = file.read(b - a)
        if not in_place:
            flat[a:b] = np.frombuffer(part, kind)
    file.read()
    if member_of is None or not in_place:
        return array
    return scratch.mapped(member_of[0], stored_at(*member_of) + place, shape, kind)


def one_array(
    file: BufferedIOBase | IO[bytes], size: int, member_of: tuple[IO[bytes], ZipInfo] | None = None
) -> np.ndarray:
    """Return the array in an open `.npy` file of so many bytes, whose header is held to that number first."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        message = f"arrays of version {version} of NumPy's format are none of plain numbers"
        raise InputError(message)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = header(file)
    if kind.kind not in "biufcUS" or any(length < 0 for length in shape):
        message = f"an array of type {kind} and shape {shape} is none of plain numbers"
        raise InputError(message)
    if math.prod(shape) * kind.itemsize != size - file.tell():
        message = f"an array of type {kind} and shape {shape} does not fit its {size - file.tell()} bytes"
        raise InputError(message)
    if is_long(shape, kind) and not by_columns:
        return long_array(file, shape, kind, member_of)
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    file.read()  # to the end, where a member's own checksum is compared
    return array


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
