"""Packed spins: the bits are NumPy's, nothing is lost, and what is counted in them is the energy."""

import pickle

import enumeration
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from rgstep import InputError, ising, packed
from rgstep.packed import PackedSpins, pack

TYPES = (np.int8, np.float32, np.float64)


@st.composite
def configurations(draw):
    """Draw ±1 configurations of any side from 1 to 20, (sample, row, column)."""
    size, n = draw(st.integers(1, 20)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return np.where(rng.random((n, size, size)) < draw(st.floats(0, 1)), 1, -1).astype(np.int8)


def every_state_of_side_4():
    """Return all 65536 states, as NumPy writes their numbers in bits."""
    return PackedSpins(np.arange(2**16, dtype=">u2").view(np.uint8).reshape(-1, 2), 4)


# --- bits and spins


@given(configurations())
def test_there_and_back(v):
    bits = pack(v)
    assert len(bits) == len(v)
    assert bits.shape == v.shape
    assert bits.bits.shape == (len(v), (v[0].size + 7) // 8)
    for dtype in TYPES:
        back = bits.unpack(dtype=dtype)
        assert back.dtype == dtype
        assert back.flags.c_contiguous
        np.testing.assert_array_equal(back, v)
        np.testing.assert_array_equal(np.concatenate([bits.unpack(a, b, dtype) for a, b in bits.bounds()]), v)
    np.testing.assert_array_equal(pack(bits.unpack()).bits, bits.bits)


def test_the_first_site_is_the_highest_bit():
    v = -np.ones((1, 4, 4), np.int8)
    v[0, 0, 0] = v[0, 2, 3] = 1  # sites 0 and 11
    np.testing.assert_array_equal(pack(v).bits, [[0b1000_0000, 0b0001_0000]])
    np.testing.assert_array_equal(pack(np.ones((2, 6, 6), np.int8)).bits, [[255, 255, 255, 255, 0b1111_0000]] * 2)


@given(configurations(), st.integers(-12, 12), st.none() | st.integers(-12, 12))
def test_a_part_is_a_slice(v, start, stop):
    np.testing.assert_array_equal(pack(v).unpack(start, stop), v[start:stop])


def test_some_are_taken(rng):
    v = reference.random_spins(rng, 20, 6)
    rows = [3, 3, 0, 19]
    np.testing.assert_array_equal(pack(v).take(rows).unpack(), v[rows])


def test_vectors_lists_and_other_numbers_are_packed(rng):
    v = reference.random_spins(rng, 5, 6)
    for same in (v.reshape(5, 36), v.tolist(), v.astype(float), v[:, ::-1, ::-1][:, ::-1, ::-1]):
        np.testing.assert_array_equal(pack(same).bits, pack(v).bits)


@pytest.mark.parametrize("size", [4, 6, 8])
def test_the_result_does_not_depend_on_the_pieces(rng, monkeypatch, size):
    v = reference.random_spins(rng, 50, size)
    whole = pack(v)
    for name in ("PIECE_SITES", "CACHED_SITES"):
        monkeypatch.setattr(packed, name, 7 * size**2 + 1)
    parts = pack(v)
    np.testing.assert_array_equal(parts.bits, whole.bits)
    np.testing.assert_array_equal(parts.unpack(), v)
    assert list(parts.bounds()) == [(7 * k, min(7 * k + 7, 50)) for k in range(8)]
    np.testing.assert_array_equal(parts.energies(), ising.energy(v))
    np.testing.assert_array_equal(parts.magnetisations(), ising.magnetisation(v))


# --- what is counted


@pytest.mark.parametrize("size", [4, 6, 8, 10, 12, 16, 24, 32, 40])
def test_counts_are_the_energies_and_magnetisations_of_the_spins(rng, size):
    """To the last bit, on fair spins, on domains and on the ground states."""
    fair = reference.random_spins(rng, 40, size)
    domains = np.where(np.cumsum(rng.random((40, size, size)) < 0.1, axis=2) % 2, 1, -1).astype(np.int8)
    v = np.concatenate([fair, domains, fair[:1] * 0 + 1, fair[:1] * 0 - 1])
    bits = pack(v)
    np.testing.assert_array_equal(bits.energies(), ising.energy(v))
    np.testing.assert_array_equal(bits.magnetisations(), ising.magnetisation(v))
    assert bits.energies().dtype == bits.magnetisations().dtype == np.float64
    slow = [reference.energy(s) for s in v[35:45]]
    np.testing.assert_allclose(bits.energies()[35:45], slow, atol=1e-14)


def test_every_state_has_its_energy():
    """All 65536 states of side 4, whose energies the enumeration knows."""
    states = every_state_of_side_4()
    assert sorted(states.energies() * 16) == sorted(enumeration.energies(4))
    np.testing.assert_array_equal(states.magnetisations() * 8 + 8, np.bitwise_count(np.arange(2**16)))


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_bond_across_any_edge_is_counted(size, axis):
    """A single flipped spin costs 8 wherever it sits; a bond lost at the end of a row or of a byte would show."""
    v = np.repeat(np.ones((1, size, size), np.int8), size, axis=0)
    at = np.arange(size)
    v[(at, at, 0 * at) if axis == 1 else (at, 0 * at, at)] = -1
    np.testing.assert_allclose(pack(v).energies(), -2 + 8 / size**2, rtol=1e-15)


@pytest.mark.parametrize("size", [24, 32])  # with one byte a row, or two, the mirrored bytes meet at the same sites
def test_the_order_of_the_bits_matters(rng, size):
    """The twin: sites written from the lowest bit up give other energies, at the same magnetisations."""
    v = reference.random_spins(rng, 50, size)
    swapped = PackedSpins(np.packbits(v.reshape(50, -1) > 0, axis=1, bitorder="little"), size)
    np.testing.assert_array_equal(swapped.magnetisations(), ising.magnetisation(v))
    assert (swapped.energies() != ising.energy(v)).mean() > 0.5
    assert (swapped.unpack() != v).any()


# --- what it is


def test_bits_are_read_only():
    given_ = np.zeros((2, 8), np.uint8)
    bits = PackedSpins(given_, 8)
    with pytest.raises(ValueError, match="read-only"):
        bits.bits[0, 0] = 1
    assert given_.flags.writeable
    back = pickle.loads(pickle.dumps(bits))
    np.testing.assert_array_equal(back.bits, bits.bits)
    assert not back.bits.flags.writeable
    with pytest.raises(AttributeError):
        bits.size = 4
    assert repr(bits) == "PackedSpins(2 configurations of side 8)"


def test_bits_are_not_copied():
    given_ = np.zeros((3, 8), np.uint8)
    assert np.shares_memory(PackedSpins(given_, 8).bits, given_)


@pytest.mark.parametrize(
    ("bits", "size", "message"),
    [
        (np.zeros((3, 7), np.uint8), 8, r"shape \(3, 7\) for a lattice of side 8: expected uint8 \(sample, 8\)"),
        (np.zeros((0, 8), np.uint8), 8, "at least one sample"),
        (np.full((2, 5), 1, np.uint8), 6, "set beyond the last of the 36 spins"),
        (np.full((2, 5), 0b1000, np.uint8), 6, "set beyond the last of the 36 spins"),
    ],
)
def test_bits_that_are_refused(bits, size, message):
    with pytest.raises(InputError, match=message):
        PackedSpins(bits, size)
    PackedSpins(np.full((2, 5), 0b1111_0000, np.uint8), 6)


@pytest.mark.parametrize("dtype", [np.int16, bool, "float16"])
def test_types_that_are_refused(dtype):
    with pytest.raises(InputError, match="spins unpack to int8, float32 or float64"):
        PackedSpins(np.zeros((2, 8), np.uint8), 8).unpack(dtype=dtype)


@pytest.mark.parametrize(
    ("spins", "message"),
    [
        (np.zeros((2, 4, 4)), r"v contains 0\.0: spins must be"),
        (np.ones((2, 15)), r"expected \(sample, L, L\)"),
        (np.ones((0, 4, 4)), "at least one configuration"),
    ],
)
def test_spins_that_are_refused(spins, message):
    with pytest.raises(InputError, match=message):
        pack(spins, "v")
