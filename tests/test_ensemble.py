"""Ensembles: read-only, and held against exact facts that bad ones fail."""

import math
import pickle
from dataclasses import FrozenInstanceError, replace

import enumeration
import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep import ensemble as ensemble_module
from rgstep import memory
from rgstep.arguments import InputError
from rgstep.certificate import DISTRUST
from rgstep.ensemble import Ensemble, Level, compact, ensemble_from_array, is_spin, pieces, read, specific_heat
from rgstep.exact import torus
from rgstep.ising import Ising, energy, ising, magnetisation
from rgstep.packed import PIECE_SITES, PackedSpins, pack

TC = rg.CRITICAL_TEMPERATURE


@pytest.fixture(scope="module")
def honest():
    """10,000 critical configurations of side 8."""
    return rg.sample(size=8, temperature=TC, samples=10_000, seed=2)


# --- what it holds


def test_spins_are_read_only(critical8):
    assert not critical8.spins.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        critical8.spins[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        critical8.system = ising(8, 2.0)
    assert all(not piece.flags.writeable for piece in critical8.pieces())


def test_its_facts(critical8):
    assert len(critical8) == 640
    assert critical8.spins.shape == (640, 8, 8)
    assert critical8.spins.dtype == np.int8
    assert critical8.system == ising(8, TC)
    assert critical8.independent
    assert (critical8.origin["source"], critical8.origin["seed"]) == ("rgstep.sample", 8)
    np.testing.assert_allclose(critical8.energies[:9], [reference.energy(v) for v in critical8.spins[:9]], atol=1e-14)
    np.testing.assert_allclose(critical8.magnetisations, critical8.spins.mean(axis=(1, 2)))


def test_pieces_put_together_are_the_whole():
    spins = np.ones((PIECE_SITES // 256**2 + 1, 256, 256), np.int8)
    found = list(Ensemble(spins, ising(256, 2.0)).pieces())
    assert [len(piece) for piece in found] == [len(spins) - 1, 1]


def test_the_old_name_of_pieces_works_and_warns(critical8):
    with pytest.warns(DeprecationWarning, match=r"Ensemble\.blocks is now called Ensemble\.pieces"):
        old = list(critical8.blocks(np.float32))
    for piece, same in zip(critical8.pieces(np.float32), old, strict=True):
        assert same.dtype == np.float32
        np.testing.assert_array_equal(same, piece)


def test_it_holds_bits_and_unpacks_when_asked(rng):
    v = reference.random_spins(rng, 100, 8)
    ensemble = Ensemble(v, ising(8, 2.0))
    for same in (ensemble, Ensemble(pack(v), ising(8, 2.0)), Ensemble(v.reshape(100, 64), ising(8, 2.0))):
        assert same.packed.bits.nbytes == v.nbytes / 8
        np.testing.assert_array_equal(same.energies, energy(v))
        np.testing.assert_array_equal(same.magnetisations, magnetisation(v))
        assert "spins" not in vars(same)  # nothing above unpacked them
        np.testing.assert_array_equal(same.unpack(3, 7), v[3:7])
        np.testing.assert_array_equal(np.concatenate(list(same.pieces(np.float32))), v.astype(np.float32))
        np.testing.assert_array_equal(same.spins, v)
        assert same.spins is same.spins
    assert repr(ensemble) == repr(same)


def test_what_it_hands_out_cannot_be_changed(critical8):
    values = (critical8.energies, critical8.magnetisations, critical8.unpack(0, 3), critical8.packed.bits)
    assert not any(array.flags.writeable for array in values)
    with pytest.raises(FrozenInstanceError):
        critical8.independent = False
    with pytest.raises(FrozenInstanceError):
        critical8.packed = critical8.packed


def test_a_pickle_holds_the_bits_only(critical8):
    bare = Ensemble(critical8.packed, critical8.system, critical8.origin, critical8.independent)
    before = len(pickle.dumps(bare))
    assert bare.spins.nbytes > 8 * 640
    bare.checks  # noqa: B018  # to be kept
    assert len(pickle.dumps(bare)) == before < 8 * 640 + 2000
    back = pickle.loads(pickle.dumps(bare))
    np.testing.assert_array_equal(back.spins, bare.spins)
    assert (back.system, back.origin, back.independent) == (bare.system, bare.origin, bare.independent)
    assert not back.packed.bits.flags.writeable
    assert back.checks["u"].z == bare.checks["u"].z


def test_a_changed_copy(critical8):
    other = replace(critical8, spins=critical8.packed, independent=False)
    assert not other.independent
    assert other.packed is critical8.packed


def test_spins_that_do_not_fit_are_not_unpacked(critical8, monkeypatch):
    ensemble = Ensemble(critical8.packed, critical8.system)
    monkeypatch.setattr(memory, "available", lambda: 640 * 64 - 1)
    with pytest.raises(InputError, match=r"640 configurations of 8×8 spins.*ensemble\.pieces\(\)"):
        ensemble.spins  # noqa: B018
    assert len(ensemble.energies) == 640
    monkeypatch.setattr(memory, "available", lambda: 640 * 64)
    assert ensemble.spins.shape == (640, 8, 8)


def test_bits_of_another_side_are_refused():
    with pytest.raises(InputError, match="spins of side 8 given for a system of size 10"):
        Ensemble(PackedSpins(np.zeros((3, 8), np.uint8), 8), ising(10, 2.0))


def test_print_names_size_temperature_and_checks(critical8):
    line = repr(critical8)
    assert line.startswith("Ensemble(640 samples, L=8, T=2.26919, z(u)=")
    assert "z(sign_balance)=" in line
    assert "z(c)=" in line


# --- levels, and how all of them are read


def levels(rng):
    """A level of bits and one of floats, each with the array that it was made of."""
    spins, h = reference.random_spins(rng, 23, 6), rng.normal(size=(23, 3, 3)).astype(np.float32)
    return [(Level.of(spins), spins), (Level.of(h), h)]


def test_a_level_holds_bits_where_all_are_spins(rng):
    (of_bits, spins), (of_floats, h) = levels(rng)
    assert isinstance(of_bits.packed, PackedSpins)
    assert of_bits.packed.bits.nbytes == 23 * 5  # 36 spins in 5 bytes
    assert of_floats.packed is None
    assert [level.side for level in (of_bits, of_floats)] == [6, 3]
    assert [len(level) for level in (of_bits, of_floats)] == [23, 23]
    for level, values in ((of_bits, spins), (of_floats, h)):
        assert level.unpack().dtype == values.dtype
        np.testing.assert_array_equal(level.unpack(), values)
        np.testing.assert_array_equal(level.unpack(3, 9), values[3:9])
        np.testing.assert_array_equal(level.unpack(20), values[20:])
    with pytest.raises(FrozenInstanceError):
        of_bits.values = h


def test_the_configurations_are_a_level(critical8):
    level = Level(critical8.packed)
    assert level.packed is critical8.packed
    assert (level.side, len(level)) == (8, 640)
    np.testing.assert_array_equal(level.unpack(), critical8.spins)


def test_values_of_a_level_of_whole_numbers_must_be_spins():
    """The twin of `compact`: int8 says ±1, and what is not is no level of bits."""
    with pytest.raises(InputError, match="contains 0"):
        Level.of(np.zeros((3, 4, 4), np.int8))


@pytest.mark.parametrize(("sites", "lengths"), [(1, [1] * 23), (8 * 9, [8, 8, 7]), (23 * 9, [23]), (1000 * 9, [23])])
def test_pieces_hold_so_many_variables(rng, monkeypatch, sites, lengths):
    """Ensembles, levels and arrays, whole or from one sample to another, are read alike."""
    monkeypatch.setattr(ensemble_module, "PIECE_SITES", sites)
    h = rng.normal(size=(23, 3, 3)).astype(np.float32)
    for source in (h, Level.of(h)):
        found = list(pieces(source))
        assert [len(part) for _, part in found] == lengths
        assert [start for start, _ in found] == np.cumsum([0, *lengths[:-1]]).tolist()
        np.testing.assert_array_equal(np.concatenate([part for _, part in found]), h)
        for start, stop in ((0, 5), (4, 23), (7, 7), (22, None)):
            parts = list(pieces(source, start, stop))
            together = np.concatenate([h[:0], *(part for _, part in parts)])
            np.testing.assert_array_equal(together, h[start:stop])
            assert [a for a, _ in parts] == [start + sum(len(p) for _, p in parts[:k]) for k in range(len(parts))]


def test_pieces_of_bits_are_those_of_their_spins(rng, monkeypatch):
    monkeypatch.setattr(ensemble_module, "PIECE_SITES", 5 * 64)
    v = reference.random_spins(rng, 23, 8)
    for source in (v, Ensemble(v, ising(8, 2.0)), Level.of(v)):
        found = list(pieces(source, 1, 22))
        assert [start for start, _ in found] == [1, 6, 11, 16, 21]
        for start, part in found:
            assert part.dtype == np.int8
            np.testing.assert_array_equal(part, v[start : min(start + 5, 22)])
            np.testing.assert_array_equal(part, read(source, start, min(start + 5, 22)))
        np.testing.assert_array_equal(read(source, 20, None), v[20:])


def test_what_is_spin_is_kept_in_a_byte():
    for values in ([1.0, -1.0], [1, 1], [-1.0, -1.0]):
        h = np.array([values])
        assert is_spin(h)
        assert compact(h).dtype == np.int8
        np.testing.assert_array_equal(compact(h), h)
    for values in ([1.0, 0.0], [1.0, -1.0000001], [0.5, 2.0]):
        h = np.array([values])
        assert not is_spin(h)
        assert compact(h).dtype == np.float32
        np.testing.assert_allclose(compact(h), h)
    already = np.ones((2, 3, 3), np.int8)
    assert compact(already) is already


# --- from an array


def test_an_array_is_copied(rng):
    v = reference.random_spins(rng, 50, 4)
    ensemble = ensemble_from_array(v, math.inf)
    np.testing.assert_array_equal(ensemble.spins, v)
    assert v.flags.writeable
    v[0] *= -1
    assert (ensemble.spins[0] == -v[0]).all()
    assert ensemble.origin == {"source": "array"}
    assert not ensemble.independent
    assert ensemble_from_array(v, 2.0, {"who": "me"}).origin == {"who": "me"}


def test_vectors_and_lists_are_read(rng):
    v = reference.random_spins(rng, 5, 4)
    for same in (v.reshape(5, 16), v.tolist(), v.astype(float)):
        np.testing.assert_array_equal(ensemble_from_array(same, 2.0).spins, v)


@pytest.mark.parametrize(
    ("spins", "temperature", "message"),
    [
        (np.zeros((3, 4, 4)), 2.0, r"spins contains 0\.0: spins must be \+1 or -1; for 0/1 arrays use 2 \* spins - 1"),
        (np.full((3, 4, 4), np.nan), 2.0, "spins contains nan"),
        (np.ones((3, 4, 6)), 2.0, r"shape \(3, 4, 6\): expected \(sample, L, L\)"),
        (np.ones((3, 15)), 2.0, r"shape \(3, 15\): expected"),
        (np.ones((3, 5, 5)), 2.0, "size = 5: the lattice side must be an even"),
        (np.ones((3, 2, 2)), 2.0, "size = 2: the lattice side must be an even"),
        (np.ones((0, 4, 4)), 2.0, "at least one configuration"),
        (np.ones((3, 4, 4)), -2.0, r"temperature = -2\.0: must be between 0 and infinity"),
        (np.ones((3, 4, 4)), math.nan, "temperature = nan"),
    ],
)
def test_arrays_that_are_refused(spins, temperature, message):
    with pytest.raises(InputError, match=message):
        ensemble_from_array(spins, temperature)


# --- the checks


@pytest.mark.parametrize("temperature", [0.0, 1e-200, 1.0, TC, 4.0, 1e200, math.inf])
def test_the_error_of_u_is_that_of_independent_samples(temperature):
    """Var(E/N) by enumeration."""
    system = ising(4, temperature)
    energies = enumeration.energies(4) / 16
    moments = [enumeration.expectation(energies**power, 4, system.coupling) for power in (1, 2)]
    spins = np.ones((400, 4, 4), np.int8)
    error = Ensemble(spins, system, independent=True).checks["u"].measured.error
    assert error == pytest.approx(math.sqrt(max(moments[1] - moments[0] ** 2, 0.0) / 400), rel=1e-9, abs=1e-9)


def test_exact_values_are_kaufmans(honest):
    K = honest.system.coupling
    assert set(honest.checks) == {"u", "c", "sign_balance"}
    assert honest.checks["u"].exact == torus.energy(8, K)
    assert honest.checks["c"].exact == torus.specific_heat(8, K)
    assert honest.checks["sign_balance"].exact == 0.0
    assert honest.faults() == []


def test_specific_heat_of_all_states(rng):
    """Every state once is K = 0: Var(E/N) = 2/N, so c/K² = 2."""
    energies = rng.permutation(enumeration.energies(4) / 16)
    assert specific_heat(energies, 4, 0.5).value == pytest.approx(0.25 * 2.0, rel=1e-3)
    assert math.isnan(specific_heat(energies[:1], 4, 0.5).error)


def test_specific_heat_has_no_bias_of_order_one_over_n(rng):
    """By single samples the jackknife's correction is exact: K² N times the variance with n − 1."""
    energies = rng.normal(size=30)
    assert specific_heat(energies, 4, 0.5).value == pytest.approx(0.25 * 16 * energies.var(ddof=1))


def test_c_is_checked_from_a_hundred_excitations_on():
    """At T = 1 on 4×4: n N (u + 2)/8 flipped spins are expected in all samples, whatever these are."""
    up = 2 + enumeration.expectation(enumeration.energies(4) / 16, 4, 1.0)
    for excitations, checked in ((90, False), (110, True)):
        samples = int(excitations * 8 / (16 * up))
        spins = np.ones((samples, 4, 4), np.int8)
        assert ("c" in ensemble_from_array(spins, 1.0).checks) is checked
    assert "c" not in ensemble_from_array(np.ones((99, 16, 16), np.int8), TC).checks  # a hundred samples, too


def test_c_is_left_out_where_nothing_is_excited():
    assert "c" not in rg.sample(size=4, temperature=0.3, samples=200, seed=0).checks
    assert "c" not in rg.sample(size=4, temperature=2.0, samples=50, seed=0).checks


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_a_coupling_two_percent_off_is_a_fault(honest, factor, independent):
    """du/dK = −c/K²: z = 0.02 √(c N n), 17 for 10,000 samples."""
    wrong = Ising(8, honest.system.coupling * factor)
    ensemble = Ensemble(honest.spins, wrong, independent=independent)
    assert abs(ensemble.checks["u"].z) == pytest.approx(17, abs=4)
    (fault,) = [line for line in ensemble.faults() if line.startswith("u = ")]
    assert (
        f"is {ensemble.checks['u'].z:+.1f} standard errors from the exact {torus.energy(8, wrong.coupling):.6f}"
        in fault
    )
    assert "at L=8, T=" in fault


def test_copies_claimed_independent_are_faults(honest):
    """Each configuration 20 times: z is √20 = 4.5 times too large, 1 where nothing is claimed. All are repeated."""

    def sets(copies, independent):
        parts = np.split(np.asarray(honest.spins), 20)
        return [Ensemble(np.repeat(v, copies, axis=0), honest.system, independent=independent) for v in parts]

    def rms(ensembles):
        return math.sqrt(np.mean([e.checks[name].z ** 2 for e in ensembles for name in ("u", "sign_balance")]))

    fair, copied, unclaimed = sets(1, True), sets(20, True), sets(20, False)
    assert 0.7 < rms(fair) < 1.3
    assert 0.7 * 20**0.5 < rms(copied) < 1.3 * 20**0.5
    assert 0.7 < rms(unclaimed) < 1.35
    assert sum(bool(ensemble.faults()) for ensemble in fair) == 0
    assert all("are repeated" in fault for ensemble in unclaimed for fault in ensemble.faults())
    assert all("are repeated" in ensemble.faults()[0] for ensemble in (*copied, *unclaimed))
    beyond = [e for e in copied if any(abs(e.checks[name].z) > DISTRUST for name in ("u", "sign_balance"))]
    assert len(beyond) >= 6  # each 37 % beyond 4: 12(2) expected
    assert max(abs(e.checks["u"].z) for e in copied) > 1.5 * DISTRUST


def test_hot_and_cold_starts_apart_are_a_fault(honest):
    good = replace(honest, spins=honest.packed, origin={"hot_cold": {"e": 3.9, "m2": -3.9}})
    bad = replace(honest, spins=honest.packed, origin={"hot_cold": {"e": 0.1, "m2": -4.1}})
    assert good.faults() == []
    assert good.certificate.good
    (fault,) = bad.faults()
    assert fault.startswith("m2 of chains started hot and cold is -4.1 standard errors apart at L=8")
    assert not bad.certificate.good


def test_one_sign_is_a_fault(honest):
    up = np.where(honest.magnetisations < 0, -1, 1).astype(np.int8)[:, None, None] * honest.spins
    (fault,) = Ensemble(up, honest.system, independent=True).faults()
    assert fault.startswith("sign_balance = ")


def test_another_size_is_a_fault(honest):
    """Blocks of side 4 cut from side 8 are no 4×4 torus."""
    cut = np.ascontiguousarray(honest.spins[:, :4, :4])
    assert Ensemble(cut, ising(4, TC), independent=True).faults()
