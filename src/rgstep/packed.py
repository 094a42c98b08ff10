"""Configurations as bits, eight spins a byte: 128 bytes each at L = 32.

Configuration k is row k of a table of bytes, its lattice rows end to end, the first site in the highest bit, 1 = up;
what is left of the last byte is 0. That is NumPy's `packbits`, and what the files hold. Energy and magnetisation are
counts of bits,

    e = −2 + (2/N) #(unequal neighbours),        m = −1 + (2/N) #(up),

and need no unpacking where L is a multiple of 8. Everything here works a piece of the set at a time.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike, DTypeLike

from rgstep import scratch
from rgstep.arguments import InputError, checked, optional, shown, whole
from rgstep.lattice import as_lattice, as_spins, as_vectors
from rgstep.types import Field, Samples

PIECE_SITES = 2**22  # spins handled at once: 4 MB unpacked, half a MB packed
CACHED_SITES = 2**20  # spins unpacked in one call of NumPy: its indices, 1 byte a spin, stay in the cache

# Byte → its eight spins: 0.25 ns a spin, where unpackbits and arithmetic take 0.3 and fancy indexing 0.6.
SPINS_OF_BYTE = {
    dtype: 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(dtype) - dtype.type(1)
    for dtype in map(np.dtype, (np.int8, np.float32, np.float64))
}


def spin_type(name: str, value: Any) -> np.dtype[Any]:  # whatever NumPy takes for a type
    """Check a type that spins unpack to."""
    found: np.dtype[Any] | None = None
    if value is not None and not isinstance(value, np.generic | np.ndarray):  # whose own type NumPy would take
        with suppress(Exception):
            found = np.dtype(value)
    if found is None or found not in SPINS_OF_BYTE:
        message = f"{name} = {found or shown(value)}: spins unpack to int8, float32 or float64"
        raise InputError(message)
    return found


@dataclass(frozen=True, eq=False, slots=True)
class PackedSpins:
    """Configurations of side `size` as bits, read-only, `(sample, byte)`; see the module for their order.

    Raises:
        InputError: if there is no configuration, the bytes do not fit the side, or one is set beyond the last spin.
    """

    bits: UInt8[np.ndarray, "n byte"]
    size: int

    def __post_init__(self) -> None:
        """Check the bytes and keep a read-only view of them."""
        bits = np.ascontiguousarray(self.bits).view()
        expected = -(-(self.size**2) // 8)
        if bits.dtype != np.uint8 or bits.ndim != 2 or len(bits) == 0 or bits.shape[1] != expected:
            message = (
                f"bits of type {bits.dtype} and shape {bits.shape} for a lattice of side {self.size}: "
                f"expected uint8 (sample, {expected}), at least one sample"
            )
            raise InputError(message)
        padding = 8 * expected - self.size**2
        last = ((1 << padding) - 1) if padding else 0
        if last and any((bits[a:b, -1] & last).any() for a, b in scratch.ranges(len(bits))):
            message = f"bits are set beyond the last of the {self.size**2} spins: the padding of a row must be 0"
            raise InputError(message)
        bits.setflags(write=False)
        object.__setattr__(self, "bits", bits)

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(self.bits)

    def __repr__(self) -> str:
        """Return a line with the number of configurations and their side."""
        return f"PackedSpins({len(self)} configurations of side {self.size})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the bits; what is read back is read-only again."""
        return type(self), (self.bits, self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape unpacked, `(sample, row, column)`."""
        return len(self), self.size, self.size

    def take(self, rows: ArrayLike) -> "PackedSpins":
        """Return some of the configurations, by their numbers."""
        return PackedSpins(self.bits[np.asarray(rows)], self.size)

    @checked(start=whole(None), stop=optional(whole(None)), dtype=spin_type)
    def unpack(self, start: int = 0, stop: int | None = None, dtype: DTypeLike = np.int8) -> Samples:
        """Return configurations start … stop as ±1, `(sample, row, column)`, in int8, float32 or float64.

        Cost: 0.25 ns a spin for int8.

        Raises:
            InputError: for another type.
        """
        table = SPINS_OF_BYTE[np.dtype(dtype)]
        bits, sites = self.bits[start:stop], self.size**2
        padded = np.empty((len(bits), bits.shape[1], 8), table.dtype)
        step = per_piece(self.size, CACHED_SITES)
        for a in range(0, len(bits), step):  # clip: no index is out of bounds, and "raise" would buffer
            np.take(table, bits[a : a + step], axis=0, out=padded[a : a + step], mode="clip")
        flat = padded.reshape(len(bits), 8 * bits.shape[1])
        flat = np.ascontiguousarray(flat[:, :sites])  # a copy only where a row has padding
        return flat.reshape(len(bits), self.size, self.size)

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges [start, stop) of the pieces in which the configurations are handled."""
        step = per_piece(self.size, PIECE_SITES)
        for start in range(0, len(self), step):
            yield start, min(start + step, len(self))
            scratch.release()

    def energies(self) -> Field:
        """Return the energy per site of each configuration in units of J, float64 `(sample,)`.

        Cost: 0.2 ns a spin, 2 ns where L is not a multiple of 8.
        """
        count = unequal_in_bytes if self.size % 8 == 0 else unequal_in_sites
        sites, out = self.size**2, scratch.empty(len(self))
        for a, b in self.bounds():
            out[a:b] = (2 * sites - 2 * count(self.bits[a:b], self.size)) / np.float64(-sites)
        return out

    def magnetisations(self) -> Field:
        """Return the magnetisation per site of each configuration, float64 `(sample,)`."""
        sites, out = self.size**2, scratch.empty(len(self))
        for a, b in self.bounds():
            out[a:b] = (2 * ones(self.bits[a:b]) - sites) / np.float64(sites)
        return out


def pack(spins: ArrayLike, name: str = "spins") -> PackedSpins:
    """Return configurations of ±1, `(sample, row, column)` or `(sample, site)`, as bits.

    Raises:
        InputError: if an entry is not ±1 or the sites make no square.
    """
    lattice = as_lattice(as_spins(spins, name), name)
    size = lattice.shape[1]
    bits = scratch.empty((len(lattice), -(-(size**2) // 8)), np.uint8)
    step = per_piece(size, PIECE_SITES)
    for a in range(0, len(lattice), step):
        up = as_vectors(lattice[a : a + step]) > 0
        whole = np.packbits(up) if size**2 % 8 == 0 else np.packbits(up, axis=1)  # one long row is faster
        bits[a : a + step] = whole.reshape(len(up), -1)
    return PackedSpins(bits, size)


def per_piece(size: int, sites: int) -> int:
    """Return how many configurations of a side are handled at once."""
    return max(1, sites // size**2)


def ones(bits: UInt8[np.ndarray, "n byte"]) -> np.ndarray:
    """Return the number of bits set in each row."""
    words = bits.view(np.uint64) if bits.shape[1] % 8 == 0 else bits
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64))


def unequal_in_bytes(bits: UInt8[np.ndarray, "n byte"], size: int) -> np.ndarray:
    """Return the number of unequal neighbours in each configuration, eight bonds at once; L is a multiple of 8."""
    below, right = neighbours(bits, size // 8)
    right >>= 7  # the first site of the next byte is right of the last of this
    right |= bits << 1
    below ^= bits
    right ^= bits
    counts = np.bitwise_count(below.view(np.uint64))
    counts += np.bitwise_count(right.view(np.uint64))  # at most 128
    return np.asarray(counts.sum(axis=1, dtype=np.int64))


def unequal_in_sites(bits: UInt8[np.ndarray, "n byte"], size: int) -> np.ndarray:
    """Return the number of unequal neighbours in each configuration, for any L."""
    sites = np.unpackbits(bits, axis=1, count=size**2)
    below, right = neighbours(sites, size)
    below ^= sites
    right ^= sites
    below += right
    return np.asarray(below.sum(axis=1, dtype=np.int64))


def neighbours(cells: UInt8[np.ndarray, "n cell"], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each cell of rows of `width` the one in the row below and the one to the right, on the torus."""
    below, right = np.empty_like(cells), np.empty_like(cells)
    below[:, :-width], below[:, -width:] = cells[:, width:], cells[:, :width]
    flat = cells.reshape(-1)
    right.reshape(-1)[:-1] = flat[1:]  # one long shift, then the last column: short rows are slow in NumPy
    right.reshape(-1, width)[:, -1] = cells.reshape(-1, width)[:, 0]
    return below, right
