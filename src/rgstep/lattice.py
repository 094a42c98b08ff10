"""The periodic square lattice: rows and vectors, blocks, shifts, distances.

A configuration becomes a vector by concatenating its rows. Distances are the shortest ones on the torus.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rgstep import scratch
from rgstep.arguments import InputError, as_signed, read_array
from rgstep.types import Field, Samples


def as_lattice(v: Samples, name: str = "v") -> Samples:
    """Return configurations as `(sample, row, column)`; `(sample, site)` is read as rows put end to end.

    An `(n, n)` array is refused, also where n is a square: nothing in it says whether it is one n-by-n configuration
    or n of √n by √n, and the wrong guess gives plausible numbers.

    Raises:
        InputError: if the sites do not make a square, or the sample axis may be missing.
    """
    if v.ndim == 3 and v.shape[1] == v.shape[2]:
        return v
    side = math.isqrt(v.shape[1]) if v.ndim == 2 else 0
    if v.ndim == 2 and v.shape[0] == v.shape[1] > 1:
        one = f"np.asarray({name})[None] if it is one configuration of {len(v)}×{len(v)}"
        several = f", np.reshape({name}, ({len(v)}, {side}, {side})) if {len(v)} of {side}×{side}"
        message = f"{name} has shape {v.shape}: give it a sample axis, {one}{several if side**2 == len(v) else ''}"
        raise InputError(message)
    if v.ndim == 2 and side * side == v.shape[1]:
        return v.reshape(len(v), side, side)
    last = v.ndim == 3 and v.shape[0] == v.shape[1]
    remedy = f"; if it has the samples last, give np.moveaxis({name}, -1, 0)" if last else ""
    message = f"{name} has shape {v.shape}: expected (sample, L, L) or (sample, L²) with rows end to end{remedy}"
    raise InputError(message)


def as_vectors(v: Samples) -> Samples:
    """Return `(sample, ...)` as `(sample, site)`, rows put end to end."""
    return v.reshape(len(v), math.prod(v.shape[1:]))


def as_spins(values: ArrayLike, name: str = "v") -> Samples:
    """Return any array of ±1 as int8 spins, without a copy where it is int8 already.

    Raises:
        InputError: if an entry is not ±1; 0/1 arrays are told the remedy, which works for their type.
    """
    found = read_array(name, values)
    if found.ndim < 2 or found.size == 0:
        message = f"{name} has shape {found.shape}: expected at least one configuration, sample axis first"
        raise InputError(message)
    if found.dtype.kind not in "fiu":
        remedy = f"; for booleans use {as_signed(name, values)}" if found.dtype == bool else ""
        message = f"{name} has type {found.dtype}: spins are numbers ±1{remedy}"
        raise InputError(message)
    wrong = first_not_unit(found)
    if wrong is not None:
        remedy = f"; for 0/1 arrays use {as_signed(name, values)}" if wrong == 0 else ""
        if found.dtype.kind == "u" and wrong == float(np.iinfo(found.dtype).max):
            remedy = f"; for -1 in a type without signs use np.asarray({name}).astype('int8')"
        message = f"{name} contains {wrong}: spins must be +1 or -1{remedy}"
        raise InputError(message)
    return found.astype(np.int8, copy=False)


def first_not_unit(array: np.ndarray) -> float | None:
    """Return the first entry whose modulus is not 1, looking at a piece at a time; `None` if there is none."""
    for start, stop in scratch.ranges(len(array), array[0].size):
        part = array[start:stop]
        wrong = part[(part != 1) & (part != -1)]
        if wrong.size:
            return float(wrong.flat[0].real)
    return None


def check_tiling(size: int, block: int) -> None:
    """Raise `InputError` unless b-by-b blocks tile an L-by-L lattice."""
    if block < 1 or size % block:
        fits = [b for b in range(2, size + 1) if size % b == 0]
        message = f"blocks of side {block} do not tile a lattice of side {size}; sides that do: {fits}"
        raise InputError(message)


def check_blocks(v: Samples, block: int) -> None:
    """Raise `InputError` unless v is `(sample, row, column)` and b-by-b blocks tile its lattice."""
    if v.ndim != 3 or v.shape[1] != v.shape[2]:
        message = f"v has shape {v.shape}: a block rule needs (sample, row, column) on a square lattice"
        raise InputError(message)
    check_tiling(v.shape[1], block)


def block_sums(v: Samples, block: int) -> Field:
    """Return the sum over each block-by-block tile, `(sample, coarse row, coarse column)`, in float32."""
    check_blocks(v, block)
    coarse = v.shape[1] // block
    total = np.zeros((len(v), coarse, coarse), dtype=np.float32)
    for row in range(block):  # one strided pass a site of the block: 6 times faster than a sum over two axes
        for column in range(block):
            total += v[:, row::block, column::block]
    return total


@dataclass(frozen=True, eq=False)
class Shells:
    """The displacements of an L-by-L torus grouped by length.

    `distance` has one entry per shell, ascending from 0; `index` gives each displacement (row, column) its shell.
    """

    distance: np.ndarray
    index: np.ndarray

    def average(self, values: np.ndarray) -> np.ndarray:
        """Average `(..., row, column)` over each shell: `(..., shell)`."""
        flat = values.reshape(-1, self.index.size)
        sums = np.stack([np.bincount(self.index.ravel(), weights=row) for row in flat])
        counts = np.bincount(self.index.ravel())
        return (sums / counts).reshape(*values.shape[:-2], -1)


def shells(size: int) -> Shells:
    """Return the distance shells of an L-by-L torus."""
    step = np.minimum(np.arange(size), size - np.arange(size))
    squared = step[:, None] ** 2 + step[None, :] ** 2
    values, index = np.unique(squared, return_inverse=True)
    return Shells(distance=np.sqrt(values), index=index.reshape(size, size))
