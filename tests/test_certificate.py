"""Certificates: what was measured stands there, what was not says so, and bad sets are not called good."""

import json
import math

import numpy as np
import pytest

import rgstep as rg
from rgstep.certificate import Certificate, Check
from rgstep.ising import ising

CRITICAL = ising(32, rg.CRITICAL_TEMPERATURE)
CHECKS = {
    "u": Check(rg.Estimate(-1.4340, 0.0012), -1.4341),
    "sign_balance": Check(rg.Estimate(0.004, 0.008), 0.0),
    "c": Check(rg.Estimate(1.83, 0.02), 1.84),
}
MADE = {
    "source": "rgstep.sample",
    "seed": 3,
    "mode": "thin",
    "kernel": "multi-spin Metropolis",
    "random_numbers": "xoshiro",
    "chains": 64,
    "tau_e": [12.5, 0.4],
    "tau_m2": [50.0, 2.0],
    "tau_unit": "sweeps",
    "burn_in_sweeps": 1000,
    "spacing_sweeps": 100,
    "n_eff": 17_000.0,
    "hot_cold": {"e": 0.5, "m2": -1.25},
}


def certificate(changes=None, checks=CHECKS, system=CRITICAL, without=()):
    """Return a good certificate of 20,000 samples with some entries changed or left out."""
    origin = {key: value for key, value in {**MADE, **(changes or {})}.items() if key not in without}
    return Certificate(system, 20_000, checks, origin)


def table(given):
    """Return a printed certificate as text by label, and its last line."""
    *rows, verdict = str(given).splitlines()
    labels = [row[: len("hot − cold start  ")].rstrip() for row in rows]
    return dict(zip(labels, (row[len("hot − cold start  ") :] for row in rows), strict=True)), verdict


# --- z


def test_a_check_counts_in_standard_errors():
    assert Check(rg.Estimate(1.3, 0.1), 1.0).z == pytest.approx(3.0)
    assert Check(rg.Estimate(0.7, 0.1), 1.0).z == pytest.approx(-3.0)
    assert Check(rg.Estimate(1.0 + 1e-12, 0.0), 1.0).z == 0.0
    assert Check(rg.Estimate(1.1, 0.0), 1.0).z == math.inf
    assert Check(rg.Estimate(0.9, 0.0), 1.0).z == -math.inf


# --- what is printed


def test_all_that_is_known_is_printed():
    rows, verdict = table(certificate())
    assert rows == {
        "size": "32 × 32",
        "temperature": "2.26919 J/k_B (critical)",
        "samples": "20000",
        "source": "rgstep.sample, seed 3",
        "kernel": "multi-spin Metropolis",
        "mode": "thinned, 64 chains",
        "random numbers": "xoshiro",
        "τ of e": "12.50(40) sweeps",
        "τ of m²": "50.0(2.0) sweeps",
        "burn-in": "1000 sweeps = 20 τ",
        "spacing": "100 sweeps = 2 τ",
        "n_eff": "17000",
        "hot − cold start": "z(e) = +0.5, z(m²) = -1.2",
        "u": "-1.4340(12), exact -1.4341, z = +0.1",
        "c": "1.830(20), exact 1.84, z = -0.5",
        "sign balance": "0.0040(80), exact 0, z = +0.5",
    }
    assert verdict == "good: every |z| ≤ 4"
    assert repr(certificate()) == str(certificate())
    assert max(map(len, str(certificate()).splitlines())) <= 80


@pytest.mark.parametrize(
    ("origin", "words", "labels"),
    [
        ({"source": "array"}, "unknown: from an array", ("kernel", "mode", "random numbers", "n_eff")),
        (
            {"source": "array"},
            "unknown: from an array",
            ("τ of e", "τ of m²", "burn-in", "spacing", "hot − cold start"),
        ),
        ({}, "unknown: not recorded", ("source", "kernel", "mode", "τ of e", "burn-in", "n_eff", "hot − cold start")),
        (
            {"source": "rgstep.sample", "mode": "exact", "kernel": "coupling from the past"},
            "not needed: perfect samples",
            ("τ of e", "τ of m²", "burn-in", "spacing", "hot − cold start"),
        ),
        (
            {"source": "rgstep.sample", "mode": "closed form", "kernel": "closed form"},
            "not needed: perfect samples",
            ("τ of e", "τ of m²", "burn-in", "spacing", "hot − cold start"),
        ),
        ({"mode": "iid"}, "not needed: one sample a start", ("spacing",)),
        ({"tau_e": "long", "tau_m2": math.nan, "n_eff": None}, "unknown: not recorded", ("τ of e", "τ of m²", "n_eff")),
    ],
)
def test_what_was_not_measured_says_so(origin, words, labels):
    given = Certificate(CRITICAL, 20_000, CHECKS, origin)
    rows, verdict = table(given)
    assert {label: rows[label] for label in labels} == dict.fromkeys(labels, words)
    assert "nan" not in str(given).lower()
    assert "None" not in str(given)
    assert verdict.startswith("good")
    assert words in given.to_dict()["missing"].values()


def test_perfect_and_independent_samples_are_worth_their_number():
    for mode in ("exact", "closed form", "iid"):
        assert certificate({"mode": mode}, without=["n_eff"]).n_eff == 20_000
    assert certificate(without=["n_eff"]).n_eff is None


@pytest.mark.parametrize(("temperature", "said"), [(math.inf, "∞ J/k_B"), (0.0, "0 J/k_B")])
def test_extreme_temperatures(temperature, said):
    made = rg.sample(4, temperature, samples=200, seed=1).certificate
    rows, _ = table(made)
    assert rows["temperature"] == said
    assert rows["kernel"] == "closed form"
    assert rows["c"] == "not checked: " + ("0 at T = ∞" if temperature else "too few excitations")
    assert rows["n_eff"] == "200"
    assert made.good
    assert made.to_dict()["temperature"] == ("inf" if temperature else 0.0)


def test_records_of_older_files_are_read():
    old = {
        "source": "rgstep.sample",
        "seed": 8,
        "method": "Swendsen-Wang",
        "chains": 64,
        "tau_e": [2.9, 0.4],
        "tau_m2": [2.5, 0.4],
        "burn_in_sweeps": 116,
        "spacing_sweeps": 29,
    }
    rows, _ = table(Certificate(CRITICAL, 640, CHECKS, old))
    assert (rows["kernel"], rows["mode"]) == ("Swendsen-Wang", "thinned, 64 chains")
    assert (rows["burn-in"], rows["spacing"]) == ("116 sweeps = 40 τ", "29 sweeps = 10 τ")
    assert rows["random numbers"] == rows["hot − cold start"] == "unknown: not recorded"
    rows, _ = table(Certificate(ising(4, 0.0), 640, CHECKS, {"source": "rgstep.sample", "method": "closed form"}))
    assert rows["burn-in"] == "not needed: perfect samples"


# --- the verdict


def off(z, name):
    """Return the good checks with one of them z standard errors from its exact value."""
    exact, error = CHECKS[name].exact, float(CHECKS[name].measured.error)
    return {**CHECKS, name: Check(rg.Estimate(exact + z * error, error), exact)}


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ["u", "c", "sign_balance"])
def test_a_bad_check_condemns_the_set(name, sign):
    assert certificate(checks=off(3.9 * sign, name)).good
    bad = certificate(checks=off(4.1 * sign, name))
    assert not bad.good
    (fault,) = bad.faults()
    assert fault.startswith(f"{name} = ")
    assert f"is {4.1 * sign:+.1f} standard errors from the exact" in fault
    assert str(bad).splitlines()[-1] == f"NOT GOOD: {name.replace('_', ' ')} (z = {4.1 * sign:+.1f})"


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("key", "name"), [("e", "e"), ("m2", "m²")])
def test_hot_and_cold_starts_apart_condemn_the_set(key, name, sign):
    assert certificate({"hot_cold": {key: 3.9 * sign}}).good
    bad = certificate({"hot_cold": {key: 4.1 * sign}})
    assert not bad.good
    assert "the burn-in is too short" in bad.faults()[0]
    assert str(bad).splitlines()[-1] == f"NOT GOOD: hot − cold {name} (z = {4.1 * sign:+.1f})"


def test_all_that_is_bad_is_named():
    bad = certificate({"hot_cold": {"e": 5.0, "m2": -6.0}}, checks=off(math.inf, "u") | {"c": off(-9, "c")["c"]})
    assert len(bad.faults()) == 4
    assert str(bad).splitlines()[-1].count("z = ") == 4


@pytest.mark.parametrize("z", [math.nan, math.inf, -math.inf])
def test_a_comparison_that_failed_is_not_good(z):
    bad = certificate({"hot_cold": {"e": z, "m2": 0.0}})
    assert not bad.good
    assert len(bad.faults()) == 1
    assert "nan" not in str(bad).lower()
    json.dumps(bad.to_dict(), allow_nan=False)


def test_a_check_that_is_no_number_is_not_good():
    """Neither in the faults nor in the last line; the twin is within four errors."""
    for value, good in ((math.nan, False), (-1.4340, True)):
        given = certificate(checks={**CHECKS, "u": Check(rg.Estimate(value, 0.0012), -1.4341)})
        assert given.good is good
        assert ("NOT GOOD" in table(given)[1]) is not good


def test_starts_that_were_not_compared_are_no_fault():
    for hot_cold in (None, {}, {"e": None, "m2": None}):
        given = certificate({"hot_cold": hot_cold})
        assert given.good
        assert table(given)[0]["hot − cold start"] == "unknown: not recorded"


# --- as values


def test_as_plain_values():
    values = json.loads(json.dumps(certificate({"n_eff": np.float64(17_000)}).to_dict(), allow_nan=False))
    assert {key: values[key] for key in MADE} == MADE
    assert (values["size"], values["temperature"], values["samples"]) == (32, CRITICAL.temperature, 20_000)
    assert values["burn_in_tau"] == 20.0
    assert values["checks"]["u"] == {
        "measured": -1.4340,
        "error": 0.0012,
        "exact": -1.4341,
        "z": pytest.approx(0.0833, abs=1e-3),
    }
    assert (values["good"], values["faults"], values["missing"]) == (True, [], {})


@pytest.mark.parametrize(
    "origin", [{}, {"source": "array"}, {"mode": "exact"}, {"tau_e": 5.0, "hot_cold": {"e": math.inf}}]
)
def test_any_record_gives_json(origin):
    given = Certificate(ising(4, math.inf), 10, {"u": off(math.inf, "u")["u"]}, origin)
    values = given.to_dict()
    json.dumps(values, allow_nan=False)
    assert not values["good"]
    unmeasured = {key for key, value in values.items() if value is None and key != "seed"}
    assert unmeasured | {"c"} == set(values["missing"])


def test_the_certificate_of_an_ensemble(critical8, tmp_path):
    made = critical8.certificate
    assert made.good
    assert made is critical8.certificate
    assert made.checks is critical8.checks
    assert critical8.faults() == made.faults() == []
    rg.save(tmp_path / "e.npz", critical8)
    assert str(rg.load(tmp_path / "e.npz").certificate) == str(made)
    array = rg.ensemble_from_array(critical8.spins, rg.CRITICAL_TEMPERATURE).certificate
    assert table(array)[0]["source"] == "array"
    assert array.good
    wrong = rg.ensemble_from_array(critical8.spins, 1.5).certificate
    assert str(wrong).splitlines()[-1].startswith("NOT GOOD: u (z = ")
