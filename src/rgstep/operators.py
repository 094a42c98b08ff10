"""Sums of products of neighbouring spins: the short-ranged operators of a Hamiltonian, counted in bits.

Sums over the torus of products of neighbouring spins, over all sites and all orientations (terms a site in brackets):

    even    nn Σ s(0,0) s(1,0) [2]         nnn Σ s(0,0) s(1,1) [2]       plaquette Σ s(0,0) s(1,0) s(0,1) s(1,1) [1]
            20 Σ s(0,0) s(2,0) [2]         21  Σ s(0,0) s(2,1) [4]       22 Σ s(0,0) s(2,2) [2]
            sublattice Σ s(1,0) s(−1,0) s(0,1) s(0,−1) [1]
    odd     field Σ s(0,0) [1]             corner Σ of three spins of a plaquette [4]
            line  Σ s(0,0) s(1,0) s(2,0) [2]                             diagonal Σ s(0,0) s(1,1) s(2,2) [2]

the operators S_α that couplings K_α multiply in a Hamiltonian Σ_α K_α S_α (Swendsen 1979, 1984). `ising.OPERATORS` is
the table of their shapes; what the kernels count is compared with it, term by term, in the tests.
Spins ±1 are counted in bits, a row of the lattice in a word: a product of spins is an exclusive or, a sum over a row is
a count of bits. Real variables are multiplied. Kernels and their helpers stay in this one file: numba's cache looks at
nothing else.
"""

import typing
from typing import NamedTuple

import numpy as np

from rgstep import scratch
from rgstep.arguments import InputError
from rgstep.compiled import count_bits, helper, kernel
from rgstep.ensemble import Source, pieces
from rgstep.ising import OPERATORS
from rgstep.lattice import first_not_unit
from rgstep.packed import PackedSpins, pack
from rgstep.types import Samples

EVEN, ODD = ([operator.name for operator in OPERATORS[sector]] for sector in ("even", "odd"))
EVEN_TERMS, ODD_TERMS = (np.array([o.terms for o in OPERATORS[sector]]) for sector in ("even", "odd"))
EVEN_SPINS, ODD_SPINS = (np.array([o.spins for o in OPERATORS[sector]]) for sector in ("even", "odd"))


class Sums(NamedTuple):
    """The operators of each sample, summed over its lattice."""

    even: np.ndarray  # (sample, operator) in the order of EVEN
    odd: np.ndarray  # (sample, operator) in the order of ODD
    square: np.ndarray  # (sample,) Σ h², the number of sites for ±1
    side: int


def sums(source: Source) -> Sums:
    """Return the operators of every sample, float64, reading a piece at a time.

    Cost, one core: 0.8 ns a site and sample for bits of side 64, 4 for arrays of ±1, 13 for real variables.

    Args:
        source: an `Ensemble` or a `Level`, or variables `(sample, row, column)`, ±1 or real.

    Raises:
        InputError: for an array that is not of square lattices, or holds what is not finite.
    """
    if isinstance(source, np.ndarray):
        check_lattices(source)
        packed = pack(source) if first_not_unit(source) is None else None
    else:
        packed = source.packed
    return sums_of_bits(packed) if packed is not None else sums_of_reals(source)


def sums_of_bits(spins: PackedSpins) -> Sums:
    """Return the operators of ±1 spins."""
    n, side, _ = spins.shape
    even, odd = scratch.empty((n, len(EVEN))), scratch.empty((n, len(ODD)))
    for a, b in spins.bounds():
        count(spins.bits[a:b], side, even[a:b], odd[a:b])
        even[a:b] = side**2 * EVEN_TERMS - 2 * even[a:b]  # an odd number of an even number of spins up: −1
        odd[a:b] = 2 * odd[a:b] - side**2 * ODD_TERMS  # of an odd number: +1
    return Sums(even, odd, np.broadcast_to(float(side**2), n), side)


def sums_of_reals(source: Source) -> Sums:
    """Return the operators of real variables."""
    n = len(source)
    even, odd, square, side = scratch.empty((n, len(EVEN))), scratch.empty((n, len(ODD))), scratch.empty(n), 0
    for start, values in pieces(source):
        part, side = slice(start, start + len(values)), values.shape[1]
        copied = np.array(values, np.float64, order="C")  # one type, writable: one compilation
        multiply(copied, even[part], odd[part], square[part])
    if not all(np.isfinite(square[a:b]).all() for a, b in scratch.ranges(n)):
        message = "the variables contain values that are not finite: leave those samples out"
        raise InputError(message)
    return Sums(even, odd, square, side)


def check_lattices(array: Samples) -> None:
    """Raise `InputError` unless an array holds square lattices."""
    if array.ndim != 3 or array.shape[1] != array.shape[2] or not array.size:
        message = f"variables of shape {array.shape}: operators need (sample, row, column), rows = columns"
        raise InputError(message)


@helper
@typing.no_type_check
def fill(rows, bits, size):
    """Write the rows of a packed lattice into words, and each row moved by one and by two sites along itself.

    Whole bytes, where they fit, put a row back to front: the operators do not see reflections.
    """
    words = rows.shape[2]
    last, top = (size - 1) >> 6, np.uint64((size - 1) & 63)
    for i in range(size):
        here = rows[i]
        here[0, :] = 0
        if size % 8 == 0:
            for j in range(0, size, 8):
                place = size - 8 - j
                here[0, place >> 6] |= np.uint64(bits[(i * size + j) >> 3]) << np.uint64(place & 63)
        else:
            for j in range(size):
                k = i * size + j
                bit = (np.uint64(bits[k >> 3]) >> np.uint64(7 - (k & 7))) & np.uint64(1)
                here[0, j >> 6] |= bit << np.uint64(j & 63)
        for move in range(1, 3):
            before, after = here[move - 1], here[move]
            for w in range(words):
                after[w] = before[w] >> np.uint64(1)
                if w < last:
                    after[w] |= before[w + 1] << np.uint64(63)
            after[last] |= (before[0] & np.uint64(1)) << top


@kernel
@typing.no_type_check
def count(bits, size, even, odd):
    """Write how many products of each operator have an odd number of spins up; 0.8 ns a site at L = 64, 1.2 at 32."""
    words = (size + 63) >> 6
    rows = np.zeros((size, 3, words), np.uint64)
    for n in range(len(bits)):
        fill(rows, bits[n], size)
        nn = nnn = plaquette = third = knight = fifth = sublattice = np.uint64(0)
        field = corner = line = diagonal = np.uint64(0)
        for i in range(size):
            a, b, c = rows[i], rows[(i + 1) % size], rows[(i + 2) % size]
            for w in range(words):
                a0, a1, a2, b0, b1, b2 = a[0, w], a[1, w], a[2, w], b[0, w], b[1, w], b[2, w]
                c0, c1, c2 = c[0, w], c[1, w], c[2, w]
                four = a0 ^ a1 ^ b0 ^ b1
                nn += count_bits(a0 ^ a1) + count_bits(a0 ^ b0)
                nnn += count_bits(a0 ^ b1) + count_bits(a1 ^ b0)
                plaquette += count_bits(four)
                third += count_bits(a0 ^ a2) + count_bits(a0 ^ c0)
                knight += count_bits(a0 ^ b2) + count_bits(a2 ^ b0) + count_bits(a0 ^ c1) + count_bits(a1 ^ c0)
                fifth += count_bits(a0 ^ c2) + count_bits(a2 ^ c0)
                sublattice += count_bits(a1 ^ b0 ^ b2 ^ c1)
                field += count_bits(a0)
                corner += count_bits(four ^ a0) + count_bits(four ^ a1) + count_bits(four ^ b0) + count_bits(four ^ b1)
                line += count_bits(a0 ^ a1 ^ a2) + count_bits(a0 ^ b0 ^ c0)
                diagonal += count_bits(a0 ^ b1 ^ c2) + count_bits(a2 ^ b1 ^ c0)
        even[n, 0], even[n, 1], even[n, 2], even[n, 3], even[n, 4] = nn, nnn, plaquette, third, knight
        even[n, 5], even[n, 6] = fifth, sublattice
        odd[n, 0], odd[n, 1], odd[n, 2], odd[n, 3] = field, corner, line, diagonal


@kernel
@typing.no_type_check
def multiply(h, even, odd, square):
    """Write the operators of real variables `(sample, row, column)`, and the sums of their squares; 13 ns a site."""
    size = h.shape[1]
    p = np.empty((size + 2, size + 2))
    for n in range(len(h)):
        for i in range(size + 2):
            row = h[n, i % size]
            p[i, :size] = row
            p[i, size], p[i, size + 1] = row[0], row[1 % size]
        nn = nnn = plaquette = third = knight = fifth = sublattice = 0.0
        field = corner = line = diagonal = power = 0.0
        for i in range(size):
            a, b, c = p[i], p[i + 1], p[i + 2]
            for j in range(size):
                a0, a1, a2, b0, b1, b2 = a[j], a[j + 1], a[j + 2], b[j], b[j + 1], b[j + 2]
                c0, c1, c2 = c[j], c[j + 1], c[j + 2]
                upper, lower, rising, falling = a0 * a1, b0 * b1, a2 * c0, a0 * c2
                nn += upper + a0 * b0
                nnn += a0 * b1 + a1 * b0
                plaquette += upper * lower
                third += a0 * a2 + a0 * c0
                knight += a0 * b2 + a2 * b0 + a0 * c1 + a1 * c0
                fifth += falling + rising
                sublattice += a1 * c1 * b0 * b2
                field += a0
                power += a0 * a0
                corner += upper * (b0 + b1) + lower * (a0 + a1)
                line += upper * a2 + a0 * b0 * c0
                diagonal += b1 * (falling + rising)
        even[n, 0], even[n, 1], even[n, 2], even[n, 3], even[n, 4] = nn, nnn, plaquette, third, knight
        even[n, 5], even[n, 6] = fifth, sublattice
        odd[n, 0], odd[n, 1], odd[n, 2], odd[n, 3] = field, corner, line, diagonal
        square[n] = power
