"""The row `sampling`: data that are not what they say are not judged, with the number; others are."""

import re

import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep.battery import conclude, measure_map
from rgstep.certificate import Check
from rgstep.controls import dichotomised_gaussian
from rgstep.instruments.sampling import further_checks, said_of

TC = rg.CRITICAL_TEMPERATURE


def row(ensemble):
    """Return the row of any map: it does not depend on it."""
    return measure_map(ensemble, "majority", rg.Majority(), 0, ("sampling",))["sampling"]


def judged(ensemble):
    """Return the verdict on any map, of which nothing else was measured: undecided where the row does not forbid it."""
    return conclude({"sampling": row(ensemble)})


@pytest.fixture(scope="module")
def at8():
    """20,000 configurations of side 8 at T = 3."""
    return rg.sample(8, 3.0, 20_000, seed=2)


@pytest.mark.parametrize(("size", "temperature"), [(4, TC), (6, TC), (8, 2.0), (8, TC), (8, np.inf), (16, 3.0)])
def test_couplings_of_the_model_pass(size, temperature):
    """z of 10 sets of 2,000 has rms 1 and none is refused; a K that is 8 errors off is, in nearly every set."""
    sets = np.split(rg.sample(size, temperature, 20_000, seed=1, mode="thin").spins, 10)
    found = [further_checks(rg.ensemble_from_array(v, temperature)) for v in sets]
    assert 0.75 < np.sqrt(np.mean([check.z**2 for checks in found for check in checks.values()])) < 1.3
    assert not any(said_of(checks, 2000)[1] for checks in found)
    assert ("m2" in found[0]) == (temperature == TC)
    for checks in found:
        shifted = checks["K_nn"].exact + 8 * float(checks["K_nn"].measured.error)
        checks["K_nn"] = Check(checks["K_nn"].measured, shifted)
    wrong = [said_of(checks, 2000)[1] for checks in found]
    assert sum(said.startswith("K_nn = ") for said in wrong) >= 9


def test_a_wrong_two_point_function_is_refused():
    """Of two neighbours in the order of e the one with the larger |m|: u and c are right, correlations too long."""
    v = rg.sample(16, TC, 4000, seed=1)
    pairs = np.argsort(v.energies, kind="stable").reshape(-1, 2)
    larger = np.abs(v.magnetisations)[pairs].argmax(axis=1)
    for kept, biased in ((pairs[np.arange(2000), larger], True), (pairs[:, 0], False)):
        ensemble = rg.ensemble_from_array(v.spins[np.random.default_rng(0).permutation(kept)], TC)
        assert ensemble.certificate.good
        assert row(ensemble).passed is not biased
        if biased:
            assert re.search(
                r"m² = 0\.\d+\(\d+\) the mean of G\(r\) over all distances, is \+\d", judged(ensemble).reason
            )


def test_a_law_with_other_interactions_is_refused(at8):
    """Signs of a Gaussian field with the same ⟨s_x s_y⟩: u is right, the plaquette coupling is not."""
    gaussian = rg.ensemble_from_array(dichotomised_gaussian(at8, 1).spins, 3.0)
    found = row(gaussian)
    assert found.passed is False
    assert abs(gaussian.checks["u"].z) < 4
    assert re.search(r"K_(plaquette|sublattice) = 0\.0\d+\(\d+\) by pseudolikelihood is \+\d", found.why)
    fine = row(at8)
    assert fine.passed
    assert "the farthest of " in fine.why
    assert fine.estimates["K_nn"].exact == 1 / 3
    assert abs(fine.estimates["K_nn"].z) < 4


@pytest.mark.parametrize("temperature", [2.2, 2.35])
def test_configurations_of_another_temperature_are_not_judged(temperature):
    spins = rg.sample(8, temperature, 5000, seed=2).spins
    entry = judged(rg.ensemble_from_array(spins, TC))
    assert entry.name == "not judged"
    assert "u = " in entry.reason
    assert "standard errors from the exact" in entry.reason
    assert judged(rg.ensemble_from_array(rg.sample(8, TC, 5000, seed=2).spins, TC)).name == "undecided"


def test_too_few_excitations_are_not_held_against_couplings():
    found = row(rg.sample(8, 1.0, 2000, seed=1))
    assert found.passed
    assert "couplings not looked at" in found.why
    assert "K_nn" not in found.estimates


@pytest.mark.parametrize("copies", [2, 10])
def test_repeated_configurations_are_not_judged(copies):
    spins = np.tile(rg.sample(16, TC, 1000, seed=1).spins, (copies, 1, 1))
    entry = judged(rg.ensemble_from_array(np.random.default_rng(0).permutation(spins), TC))
    assert entry.name == "not judged"
    assert f"{1000 * copies} of {1000 * copies} configurations are repeated" in entry.reason
    assert "n_eff = 1000" in entry.reason


def test_a_correlated_chain_is_not_judged():
    """Every sweep of one Metropolis chain; the twin is as many independent configurations."""
    chain = reference.fair(reference.chains_of_metropolis(1, 8, TC, 2000)[0], np.random.default_rng(2))
    entry = judged(rg.ensemble_from_array(chain, TC))
    assert entry.name == "not judged"
    assert "the samples are correlated in their order: τ of " in entry.reason
    assert not re.search(r"u = |c = |K_|sign", entry.reason)  # these have the errors of a chain
    assert judged(rg.ensemble_from_array(rg.sample(8, TC, 2000, seed=1).spins, TC)).name == "undecided"


def test_what_is_taken_as_critical_is_judged_and_said_to_be():
    ensemble = rg.sample(8, 2.269, 200, seed=1)
    entry = rg.judge(ensemble, {"average": rg.Average()}).maps["average"]
    assert entry.verdict != "not judged"
    assert "T = 2.269 is taken as critical: |t| L = 0.00065" in entry.diagnostics["sampling"].why
    assert "2.269 J/k_B (taken as critical: |t| L = 0.00065)" in str(ensemble.certificate)
    for T in (TC, 2.3):
        assert "taken as critical" not in row(rg.sample(8, T, 200, seed=1)).why


def test_one_phase_is_named_below_and_not_at_the_critical_temperature():
    """All m > 0, or all < 0; a fair flip mends it, as the message says."""
    v = rg.sample(16, 1.8, 1000, seed=0).spins
    signs = np.where(v.sum(axis=(1, 2), dtype=int) < 0, -1, 1).astype(np.int8)[:, None, None]
    for sign, word in ((1, "> 0"), (-1, "< 0")):
        one = rg.ensemble_from_array(sign * signs * v, 1.8)
        assert one.certificate.verdict().startswith(f"ONE PHASE: every m {word}; ⟨m⟩, ⟨v⟩ and ⟨h⟩")
        assert "NOT GOOD" not in str(one.certificate)
        (fault,) = one.faults()
        assert fault.startswith(f"one phase: all 1000 magnetisations are {word} at L=16, T=1.8")
        assert "a fair global flip" in fault
        assert row(one).passed is False
    code = fault.rpartition("mends it: ")[2]
    mended = eval(code, {"spins": one.spins, "rng": np.random.default_rng(0)})
    assert rg.ensemble_from_array(mended, 1.8).certificate.good
    assert rg.ensemble_from_array(v, 1.8).certificate.good
    w = rg.sample(16, TC, 1000, seed=0).spins
    up = w * np.where(w.sum(axis=(1, 2), dtype=int) < 0, -1, 1).astype(np.int8)[:, None, None]
    (fault,) = rg.ensemble_from_array(up, TC).faults()
    assert fault.startswith("sign_balance = 0.999(32) is +31.6 standard errors")
    assert fault.endswith(code)


def test_one_phase_and_another_temperature_are_both_said():
    v = rg.sample(16, 1.9, 2000, seed=0).spins
    up = v * np.where(v.sum(axis=(1, 2), dtype=int) < 0, -1, 1).astype(np.int8)[:, None, None]
    text = rg.ensemble_from_array(up, 1.8).certificate.verdict()
    assert text.startswith("ONE PHASE")
    assert "; NOT GOOD: u (z = " in text


# --- arrays without a sample axis, and types


@pytest.mark.parametrize("name", ["ensemble_from_array", "visible_hidden"])
def test_a_square_array_is_asked_for_its_sample_axis(name):
    """One 16×16 configuration might be read as sixteen of 4×4: 33 of 40 passed as such."""
    one = rg.sample(16, TC, 1, seed=3).spins[0]

    def read(v):
        return getattr(rg, name)(v, TC if name == "ensemble_from_array" else rg.Majority())

    with pytest.raises(rg.InputError, match=r"shape \(16, 16\): give it a sample axis, .*\[None\] if it is one"):
        read(one)
    with pytest.raises(rg.InputError, match=r"\(16, 4, 4\)\) if 16 of 4×4"):
        read(one)
    with pytest.raises(rg.InputError, match="sample axis first"):
        read(one.ravel())
    read(one[None])


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.int8, np.int64, np.float32])
def test_the_remedy_for_0_and_1_works_for_their_type(kind):
    v = rg.sample(8, TC, 50, seed=3).spins
    zeros_and_ones = (v > 0).astype(kind)
    with pytest.raises(rg.InputError) as caught:
        rg.ensemble_from_array(zeros_and_ones, TC)
    code = str(caught.value).rpartition(" use ")[2]
    mended = eval(code, {"spins": zeros_and_ones, "np": np})
    np.testing.assert_array_equal(rg.ensemble_from_array(mended, TC).spins, v)


def test_the_remedy_for_signs_without_a_sign_works():
    v = rg.sample(8, TC, 50, seed=3).spins
    with pytest.raises(rg.InputError, match=r"contains 255.*astype\('int8'\)") as caught:
        rg.ensemble_from_array(v.astype(np.uint8), TC)
    mended = eval(str(caught.value).rpartition(" use ")[2], {"spins": v.astype(np.uint8), "np": np})
    np.testing.assert_array_equal(rg.ensemble_from_array(mended, TC).spins, v)
