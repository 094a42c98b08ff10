"""The periodic lattice against loops."""

import itertools
import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from rgstep import lattice
from rgstep.arguments import InputError


def test_rows_are_put_end_to_end(rng):
    v = reference.random_spins(rng, 3, 4)
    vectors = lattice.as_vectors(v)
    assert vectors.shape == (3, 16)
    for x, y in itertools.product(range(4), repeat=2):
        np.testing.assert_array_equal(vectors[:, 4 * x + y], v[:, x, y])
    np.testing.assert_array_equal(lattice.as_lattice(vectors), v)
    assert lattice.as_lattice(v) is v


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 15), (16,), (1, 2, 4, 4)])
def test_sites_that_make_no_square(shape):
    with pytest.raises(InputError, match=r"shape .*expected \(sample, L, L\)"):
        lattice.as_lattice(np.ones(shape, np.int8))


def test_spins_of_any_number_type():
    v = np.array([[1, -1], [-1, 1]])
    for dtype in (np.int64, np.float32, np.float64):
        spins = lattice.as_spins(v.astype(dtype))
        assert spins.dtype == np.int8
        np.testing.assert_array_equal(spins, v)
    assert lattice.as_spins([[1, -1]]).dtype == np.int8
    already = v.astype(np.int8)
    assert lattice.as_spins(already) is already


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, 1]], r"data contains 0\.0: spins must be \+1 or -1; for 0/1 arrays use 2 \* np\.asarray\(data\) - 1"),
        ([[1, -3]], r"data contains -3\.0: spins must be \+1 or -1$"),
        ([[1.0, math.nan]], r"data contains nan: spins must be"),
        ([[True, False]], r"type bool: .*use 2 \* np\.asarray\(data\)\.astype\('int8'\) - 1"),
        ([["a", "b"]], r"type <U1: spins are numbers"),
        ([1, -1], r"shape \(2,\): expected at least one configuration"),
        (np.ones((0, 4, 4)), r"shape \(0, 4, 4\): expected at least one configuration"),
    ],
)
def test_what_is_no_spin(values, message):
    with pytest.raises(InputError, match=message):
        lattice.as_spins(values, "data")


def test_a_wrong_spin_far_down_is_found():
    v = np.ones((2**15, 32, 32), np.int8)  # two blocks of the search
    assert lattice.first_not_unit(v) is None
    v[-1, -1, -1] = 7
    assert lattice.first_not_unit(v) == 7.0


@given(seed=st.integers(0, 2**32), coarse=st.integers(1, 4), block=st.integers(1, 4), n=st.integers(0, 3))
def test_block_sums_are_those_of_the_loops(seed, coarse, block, n):
    v = reference.random_spins(np.random.default_rng(seed), n, coarse * block)
    sums = lattice.block_sums(v, block)
    assert (sums.dtype, sums.shape) == (np.float32, (n, coarse, coarse))
    for one, expected in zip(sums, v, strict=True):
        np.testing.assert_array_equal(one, reference.block_sums(expected, block))


def test_large_blocks_do_not_overflow():
    assert lattice.block_sums(np.ones((1, 32, 32), np.int8), 32).item() == 1024.0


@pytest.mark.parametrize("block", [-2, 0, 3, 16])
def test_blocks_that_do_not_tile(block):
    message = rf"blocks of side {block} do not tile a lattice of side 8; sides that do: \[2, 4, 8\]"
    with pytest.raises(InputError, match=message):
        lattice.block_sums(np.ones((1, 8, 8), np.int8), block)


@pytest.mark.parametrize("size", [1, 4, 5, 8])
def test_distances_are_the_shortest_over_all_images(size):
    grid = lattice.shells(size)
    lengths = grid.distance[grid.index]
    for x, y in itertools.product(range(size), repeat=2):
        images = itertools.product((x - size, x), (y - size, y))
        assert lengths[x, y] == pytest.approx(min(math.hypot(*image) for image in images), abs=1e-12)


def test_shells_average_over_equal_lengths(rng):
    size = 6
    grid, values = lattice.shells(size), rng.normal(size=(2, 3, size, size))
    assert grid.distance[0] == 0
    assert (np.diff(grid.distance) > 0).all()
    averages, lengths = grid.average(values), grid.distance[grid.index]
    assert averages.shape == (2, 3, len(grid.distance))
    for shell, distance in enumerate(grid.distance):
        expected = values[..., lengths == distance].mean(axis=-1)
        np.testing.assert_allclose(averages[..., shell], expected, atol=1e-14)
