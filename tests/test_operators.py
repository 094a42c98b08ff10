"""Sums of local operators: against the table's shapes on shifted lattices, by hand, and by symmetry."""

import enumeration
import numpy as np
import pytest

import rgstep as rg
from rgstep import ensemble, operators
from rgstep.ising import OPERATORS, Operator
from rgstep.operators import EVEN, EVEN_TERMS, ODD, ODD_TERMS, sums

SIDES = (2, 3, 4, 6, 8, 10, 16, 64, 65, 72)


def naive(h):
    """All operators from shifted copies of the lattice: every image of every shape of the table once a site."""
    h = h.astype(np.float64)

    def total(operator):
        return sum(
            np.prod([np.roll(h, (-i, -j), axis=(1, 2)) for i, j in image], axis=0).sum(axis=(1, 2))
            for image in operator.images
        )

    return tuple(np.stack([total(operator) for operator in OPERATORS[sector]], axis=1) for sector in ("even", "odd"))


def spins(rng, side, samples=5):
    return rng.choice(np.array([-1, 1], np.int8), (samples, side, side))


@pytest.mark.parametrize("side", SIDES)
def test_of_spins(rng, side):
    v = spins(rng, side)
    found, (even, odd) = sums(v), naive(v)
    np.testing.assert_array_equal(found.even, even)
    np.testing.assert_array_equal(found.odd, odd)
    np.testing.assert_array_equal(found.square, side**2)
    assert found.side == side


@pytest.mark.parametrize("side", SIDES)
def test_of_real_variables(rng, side):
    h = rng.standard_normal((3, side, side)).astype(np.float32)
    found, (even, odd) = sums(h), naive(h)
    np.testing.assert_allclose(found.even, even, atol=1e-9 * side**2)
    np.testing.assert_allclose(found.odd, odd, atol=1e-9 * side**2)
    np.testing.assert_allclose(found.square, (h.astype(np.float64) ** 2).sum(axis=(1, 2)))


@pytest.mark.parametrize("name", [o.name for sector in OPERATORS.values() for o in sector])
def test_the_check_sees_an_operator_that_forgets_an_orientation(rng, name):
    v = spins(rng, 8)
    found, sector = sums(v), "even" if name in EVEN else "odd"
    index = {"even": EVEN, "odd": ODD}[sector].index(name)
    image = OPERATORS[sector][index].images[0]
    forgotten = np.prod([np.roll(v, (-i, -j), axis=(1, 2)) for i, j in image], axis=0).sum(axis=(1, 2))
    forgetful = naive(v)[("even", "odd").index(sector)][:, index] - forgotten
    assert (forgetful != getattr(found, sector)[:, index]).any()


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64])
def test_the_ordered_state_has_every_term(dtype):
    for up in (1, -1):
        found = sums(np.full((1, 10, 10), up, dtype))
        np.testing.assert_array_equal(found.even[0], 100 * EVEN_TERMS)
        np.testing.assert_array_equal(found.odd[0], 100 * up * ODD_TERMS)


def test_flips_and_the_symmetries_of_the_square(rng):
    v = spins(rng, 12)
    found = sums(v)
    np.testing.assert_array_equal(sums(-v).even, found.even)
    np.testing.assert_array_equal(sums(-v).odd, -found.odd)
    for moved in (np.rot90(v, axes=(1, 2)), v[:, ::-1], v.transpose(0, 2, 1), np.roll(v, (3, 5), axis=(1, 2))):
        np.testing.assert_array_equal(sums(moved).even, found.even)
        np.testing.assert_array_equal(sums(moved).odd, found.odd)


def test_the_powers_of_a_scale():
    h = np.random.default_rng(0).standard_normal((4, 6, 6))
    np.testing.assert_allclose(sums(2 * h).even, sums(h).even * 2.0**operators.EVEN_SPINS)
    np.testing.assert_allclose(sums(2 * h).odd, sums(h).odd * 2.0**operators.ODD_SPINS)


@pytest.mark.parametrize("side", [4, 6, 8, 12])
def test_an_ensemble_is_read_without_unpacking(side):
    critical = rg.sample(size=side, temperature=rg.CRITICAL_TEMPERATURE, samples=300, seed=1)
    found = sums(critical)
    assert "spins" not in vars(critical)
    even, odd = naive(critical.spins)
    np.testing.assert_array_equal(found.even, even)
    np.testing.assert_array_equal(found.odd, odd)
    np.testing.assert_array_equal(found.even[:, 0], -(side**2) * critical.energies)
    np.testing.assert_array_equal(found.odd[:, 0], side**2 * critical.magnetisations)


@pytest.mark.parametrize("side", [4, 6, 8])
def test_a_level_has_the_operators_of_its_values(rng, side):
    """Bits are counted, floats multiplied: both as for the array."""
    v, h = spins(rng, side, 40), rng.standard_normal((40, side, side)).astype(np.float32)
    for values in (v, h):
        for part, expected in zip(sums(ensemble.Level.of(values)), sums(values), strict=True):
            np.testing.assert_array_equal(part, expected)


def test_what_the_model_says_of_the_operators_is_what_is_counted():
    """Terms a site and spins a term of `ising.OPERATORS`: on a lattice of 3s, term by term 3 to their number."""
    for names, terms, powers, sector in (
        (EVEN, EVEN_TERMS, operators.EVEN_SPINS, "even"),
        (ODD, ODD_TERMS, operators.ODD_SPINS, "odd"),
    ):
        assert [(o.name, o.terms, o.spins) for o in OPERATORS[sector]] == list(zip(names, terms, powers, strict=True))
        of_three = getattr(sums(np.full((1, 10, 10), 3.0)), sector)[0]
        np.testing.assert_allclose(of_three, 100 * terms * 3.0**powers)


BY_HAND = {  # spins, terms a site
    **{
        "nn": (2, 2),
        "nnn": (2, 2),
        "plaquette": (4, 1),
        "20": (2, 2),
        "21": (2, 4),
        "22": (2, 2),
        "sublattice": (4, 1),
    },
    **{"field": (1, 1), "corner": (3, 4), "line": (3, 2), "diagonal": (3, 2)},
}


def test_the_table_against_counts_made_by_hand():
    found = {o.name: (o.spins, o.terms) for sector in ("even", "odd") for o in OPERATORS[sector]}
    assert list(found.items()) == list(BY_HAND.items())  # in this order too
    for sector, parity in (("even", 0), ("odd", 1)):
        for operator in OPERATORS[sector]:
            assert operator.spins % 2 == parity
            assert len(operator.around) == operator.terms * operator.spins
            assert all(len(others) == operator.spins - 1 for others in operator.around)
            assert len({frozenset(others) for others in operator.around}) == len(operator.around)
    lopsided = Operator("lopsided", ((0, 0), (1, 0), (3, 1)))  # the twin: without a symmetry all eight images differ
    assert lopsided.terms == 8


def test_the_images_of_a_diagonal_and_the_field_of_a_sublattice():
    (diagonal,), (sublattice,) = (
        [o for sector in OPERATORS.values() for o in sector if o.name == name] for name in ("diagonal", "sublattice")
    )
    assert set(diagonal.images) == {((0, 0), (1, 1), (2, 2)), ((0, 0), (1, -1), (2, -2))}
    expected = {
        frozenset(((2 * x, 2 * y), (x + y, y + x), (x - y, y - x))) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))
    }
    assert {frozenset(others) for others in sublattice.around} == expected


def test_pieces_do_not_matter(rng, monkeypatch):
    v, h = spins(rng, 6, 40), rng.standard_normal((40, 6, 6))
    whole = [sums(v), sums(h)]
    monkeypatch.setattr(ensemble, "PIECE_SITES", 7 * 36)
    for found, expected in zip([sums(v), sums(h)], whole, strict=True):
        for part, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, other)


def test_values_between_the_spins_are_multiplied(rng):
    h = rng.integers(-1, 2, (6, 5, 5)).astype(np.int8)  # majority with ties left at zero
    np.testing.assert_allclose(sums(h).even, naive(h)[0])
    np.testing.assert_array_equal(sums(h).square, np.abs(h).sum(axis=(1, 2)))


def test_known_averages_of_the_4_by_4_torus():
    """ln Z of the 4×4 torus by enumeration: energy per bond 0.782811894 at K_c; no odd operator has a mean."""
    p = enumeration.probabilities(4, 1 / rg.CRITICAL_TEMPERATURE)
    found = sums(enumeration.states(4))
    assert p @ found.even[:, 0] / 32 == pytest.approx(0.782811894, abs=1e-9)
    np.testing.assert_allclose(p @ found.odd, 0, atol=1e-12)


@pytest.mark.parametrize("wrong", [np.ones((3, 16), np.int8), np.ones((3, 4, 5)), np.ones((0, 4, 4))])
def test_what_is_no_lattice(wrong):
    with pytest.raises(rg.InputError, match="rows = columns"):
        sums(wrong)


def test_what_is_not_finite():
    h = np.ones((3, 4, 4))
    h[1, 2, 2] = np.nan
    with pytest.raises(rg.InputError, match="not finite"):
        sums(h)
