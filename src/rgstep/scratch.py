"""Long arrays on disk: what has an entry for each configuration, and would not fit in memory for ten million of them.

An array of more than `LONGEST` bytes lies in a nameless file in the folder for temporary files (TMPDIR) and is mapped:
it is read and written like any other, and its pages leave the memory after each piece (`release`). The file goes with
the array, however the process ends. Room for all of it is taken first, so that a full disk is an error and no crash.

Whoever makes an array of all samples asks `empty` for it, and fills it a piece at a time (`joined`): the values are the
same wherever it lies.
"""

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import IO
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from rgstep.arguments import InputError
from rgstep.memory import readable

LONGEST = 2**24  # bytes of an array that lies in memory
PIECE = 2**20  # numbers handled at once
MAPPED: WeakSet[mmap.mmap] = WeakSet()  # the files of all long arrays
LOCK = Lock()  # threads add to it and go through it


def on_disk(shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    """Whether an array of this shape and type lies in a file."""
    return math.prod(shape) * np.dtype(dtype).itemsize > LONGEST


def available() -> int:
    """Return the bytes that are free on the disk of the folder for temporary files."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def require(needed: int, what: str, remedy: str) -> None:
    """Raise `InputError` if arrays of `needed` bytes in all find no room on the disk; see `memory.require`."""
    free = available()
    if needed > free:
        message = (
            f"{what} would take {readable(needed)} on the disk of {tempfile.gettempdir()!r}, {readable(free)} is free; "
            f"{remedy}, or set TMPDIR to a folder on a larger disk"
        )
        raise InputError(message)


def parted(sizes: Iterable[int]) -> tuple[int, int]:
    """Return how many bytes of arrays of these sizes lie in memory, and how many on disk."""
    sizes = tuple(sizes)
    in_memory = sum(size for size in sizes if size <= LONGEST)
    return in_memory, sum(sizes) - in_memory


def empty(shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> np.ndarray:
    """Return an array to be filled, in a file if it is long.

    Raises:
        InputError: if the disk of the folder for temporary files has no room for it.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    if not on_disk(shape, dtype):
        return np.empty(shape, dtype)
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), needed)
            pages = mmap.mmap(file.fileno(), needed)  # keeps the file for as long as it is there itself
    except OSError as error:
        message = (
            f"numbers of all samples, {readable(needed)}, find no room in {folder!r} ({error.strerror or error}): set "
            "TMPDIR to a folder on a larger disk, or take fewer samples"
        )
        raise InputError(message) from error
    note(pages)
    return np.frombuffer(pages, dtype).reshape(shape)


def reserve(handle: int, size: int) -> None:
    """Take room for a file, or raise OSError if the disk has none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.truncate(handle, size)


def mapped(file: IO[bytes], offset: int, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return the array that lies in an open file from an offset on, read-only; pages are read when needed."""
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    note(pages)
    return np.frombuffer(pages, dtype, math.prod(shape), offset).reshape(shape)


def note(pages: mmap.mmap) -> None:
    """Keep in mind that a file is mapped, for as long as it is."""
    with LOCK:
        MAPPED.add(pages)


def release() -> None:
    """Let the pages of all long arrays leave the memory of this process; what was written goes on to the files.

    Who goes through samples a piece at a time calls it after each. The system would take the pages when it needs them;
    so what is resident is what is in use.
    """
    if hasattr(mmap, "MADV_DONTNEED"):
        with LOCK:
            live = tuple(MAPPED)
        for pages in live:
            pages.madvise(mmap.MADV_DONTNEED)


def ranges(rows: int, width: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the ranges [start, stop) of the pieces in which so many rows of so many numbers are handled."""
    step = max(1, PIECE // max(1, width))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)
        release()


def joined(parts: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Return arrays end to end, `rows` rows in all, of the type that holds all of them, like np.concatenate."""
    out, filled = np.empty(0), 0
    for part in parts:
        if not filled:
            out = empty((rows, *part.shape[1:]), part.dtype)
        elif (kind := np.result_type(out.dtype, part.dtype)) != out.dtype:
            before, out = out, empty(out.shape, kind)
            for a, b in ranges(filled, out[0].size):
                out[a:b] = before[a:b]
        out[filled : filled + len(part)] = part
        filled += len(part)
    return out
