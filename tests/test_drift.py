"""Observables level by level: against exact values of small lattices, and maps that leave the fixed point."""

import math

import enumeration
import numpy as np
import pytest
from exact_mcrg import outcomes
from subjects import subject

import rgstep as rg
from rgstep.estimates import estimated
from rgstep.exact import torus
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.instruments import drift, mcrg
from rgstep.operators import sums
from rgstep.results import MapReport


def dense(v):
    """The majority rule without places; the first spin breaks ties."""
    return rg.Majority(ties="first").mean_h(v.astype(np.int8)).reshape(len(v), -1)


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=4000, seed=16)


def scores(levels, size):
    """How many standard errors U₄, ⟨|m|⟩ and nn are off the exact values of the torus."""
    exact = torus.magnetisation_moments(size, CRITICAL_COUPLING)
    known = {"U4": exact.binder, "abs_m": exact.abs_m, "nn": torus.nn_correlation(size, CRITICAL_COUPLING)}
    return [(float(levels[name].value) - value) / float(levels[name].error) for name, value in known.items()]


def test_the_spins_have_the_exact_values(critical4, critical8):
    for ensemble in (critical4, critical8):
        assert max(np.abs(scores(drift.observables(sums(ensemble)), ensemble.system.size))) < 3.5


def test_wrong_configurations_are_seen(critical8):
    hot = rg.sample(size=8, temperature=2.6, samples=2000, seed=1)
    assert min(np.abs(scores(drift.observables(sums(hot)), 8))) > 5


def test_the_first_level_on_4_by_4(critical4):
    """U₄ of the four majority spins of a 4×4 torus by enumeration."""
    v, p = enumeration.states(4), enumeration.probabilities(4, CRITICAL_COUPLING)
    law, h = outcomes(rg.Majority(), v)
    m = h.mean(axis=(1, 2))
    exact = 1 - (p @ law @ m**4) / (3 * (p @ law @ m**2) ** 2)
    found = drift.observables(sums(rg.Majority().sample_h(critical4.spins, np.random.default_rng(0))))
    assert abs(found["U4"].value - exact) < 3.5 * found["U4"].error
    assert found["U4"].error < 0.002


def rescaled_exactly(coarse):
    """Δ_m of the step from 4×4 to 2×2 at T_c by enumeration."""
    v, p = enumeration.states(4), enumeration.probabilities(4, CRITICAL_COUPLING)
    law, h = outcomes(coarse, v)
    before, after = p @ v.mean(axis=(1, 2)) ** 2, p @ law @ h.mean(axis=(1, 2)) ** 2
    return math.log(after / before) / (2 * math.log(2))


@pytest.mark.parametrize("coarse", [rg.Majority(), rg.Decimation(), rg.BernoulliBlock(0.5)])
def test_how_the_magnetisation_is_rescaled_on_4_by_4(critical4, coarse):
    h = coarse.sample_h(critical4.spins, np.random.default_rng(1))
    before, after = (drift.of_sets(sums(source))["m2"] for source in (critical4, h))
    found = estimated(np.log(after / before) / (2 * math.log(2)))
    assert abs(found.value - rescaled_exactly(coarse)) < 4 * found.error < 0.02
    assert abs(found.value - rescaled_exactly(rg.BernoulliBlock(0.25))) > 5 * found.error  # the twin: another map


def test_decimation_does_not_rescale_the_magnetisation(critical16):
    """⟨m²⟩ is kept by decimation, but for the share of a site with itself; the majority rule takes it to L^(−1/4)."""
    kept, blocked = (
        drift.measure(subject(critical16, given))[0].estimates for given in (rg.Decimation(), rg.Majority())
    )
    own = float((critical16.spins.mean(axis=(1, 2)) ** 2).mean())
    pairs = own - 1 / 256  # of different sites, and at 1/64 of the sites as strong
    expected = math.log((pairs + 1 / 64) / own) / (2 * math.log(2))
    assert abs(kept["delta_m[0]"].estimate.value) < 2 * expected
    for n in (0, 1):
        assert abs(blocked[f"delta_m[{n}]"].estimate.value - 0.12) < 0.01
    assert (
        "delta_m[0]" not in drift.measure(subject(critical16, rg.Average()))[0].estimates
    )  # it would be that of a unit


def test_the_row(critical16):
    row, arrays = drift.measure(subject(critical16, rg.Majority()))
    assert row.passed is None
    names = [f"{name}[{n}]" for name in ("U4", "abs_m", "nn") for n in range(3)]
    assert sorted(row.estimates) == sorted([*names, "U4_drift[1]", "U4_drift[2]", "delta_m[0]", "delta_m[1]"])
    assert row.estimates["nn[0]"].exact == pytest.approx(torus.nn_correlation(16, CRITICAL_COUPLING))
    assert (
        abs(row.estimates["nn[0]"].estimate.value - row.estimates["nn[0]"].exact)
        < 4 * row.estimates["nn[0]"].estimate.error
    )
    np.testing.assert_array_equal(arrays["level"], [0, 1, 2])
    assert arrays["U4"].shape == arrays["nn_error"].shape == (3,)


def test_decimation_drifts_and_majority_does_not(critical16):
    """The neighbours of the kept spins are two apart: nn falls at once, and U₄ by the second level."""
    kept, blocked = (
        drift.measure(subject(critical16, given))[0].estimates for given in (rg.Decimation(), rg.Majority())
    )
    for name in ("nn[1]", "nn[2]", "U4[2]"):
        a, b = kept[name].estimate, blocked[name].estimate
        assert a.value < b.value - 5 * math.hypot(a.error, b.error)
    change = blocked["U4[2]"].estimate
    assert abs(change.value - blocked["U4[0]"].estimate.value) < 0.015


def test_changes_of_binder_are_known_better_than_its_values(critical16):
    """The levels come from the same configurations: the error of a difference is not the root of the squares."""
    row, _ = drift.measure(subject(critical16, rg.Majority()))
    found = {name: q.estimate for name, q in row.estimates.items()}
    for n in (1, 2):
        change = found[f"U4_drift[{n}]"]
        assert change.value == pytest.approx(found[f"U4[{n}]"].value - found["U4[0]"].value)
        assert 0 < change.error < math.hypot(found[f"U4[{n}]"].error, found["U4[0]"].error) / 2
    row, _ = drift.measure(subject(critical16, dense))
    change = row.estimates["U4_drift_majority[2]"].estimate
    assert abs(change.value - found["U4_drift[2]"].value) < 4 * math.hypot(change.error, found["U4_drift[2]"].error)
    assert "U4_drift_majority[1]" not in row.estimates


def test_a_map_without_places_goes_on_by_majority(critical16):
    row, arrays = drift.measure(subject(critical16, dense))
    own = drift.measure(subject(critical16, rg.Majority()))[0].estimates
    assert "U4_majority[2]" in row.estimates
    assert "U4_majority[1]" not in row.estimates
    for name in ("U4", "abs_m", "nn"):
        a, b = row.estimates[f"{name}_majority[2]"].estimate, own[f"{name}[2]"].estimate
        assert abs(a.value - b.value) < 4 * math.hypot(a.error, b.error)
    np.testing.assert_array_equal(arrays["level_majority"], [1, 2])


def test_real_h_is_scaled(critical16, as_users_run):
    """Averages keep m, so U₄ too; at unit variance neighbours are ⟨hh'⟩/⟨h²⟩."""
    row, _ = drift.measure(subject(critical16, rg.Average()))
    found = {name: q.estimate.value for name, q in row.estimates.items()}
    assert found["U4[1]"] == pytest.approx(found["U4[0]"], abs=1e-6)
    h = rg.Average().mean_h(critical16.spins).astype(np.float64)
    nn = (h * np.roll(h, 1, 1)).mean() / 2 + (h * np.roll(h, 1, 2)).mean() / 2
    assert found["nn_unit[1]"] == pytest.approx(nn / (h**2).mean(), abs=1e-6)
    assert found["abs_m_unit[1]"] == pytest.approx(np.abs(h.mean(axis=(1, 2))).mean() / math.sqrt((h**2).mean()))


def test_a_constant_h_and_a_vanishing_one(critical8):
    row, _ = drift.measure(subject(critical8, lambda v: np.ones((len(v), 4, 4), np.float32)))
    assert row.estimates["U4[1]"].estimate.value == pytest.approx(2 / 3)
    row, _ = drift.measure(subject(critical8, lambda v: np.zeros((len(v), 4, 4), np.float32)))
    assert np.isnan(row.estimates["U4[1]"].estimate.value)


def test_what_cannot_be_measured_says_why(critical4, critical8):
    row, arrays = drift.measure(subject(critical8, lambda v: v.reshape(len(v), -1)[:, :3]))
    assert (row.estimates, arrays) == ({}, {})
    assert "no places" in row.why
    row, _ = drift.measure(subject(critical4, rg.Majority()))
    assert sorted(row.estimates) == ["U4[0]", "abs_m[0]", "nn[0]"]
    assert "below 4×4" in row.why


@pytest.mark.parametrize("samples", [1, 2, 10])
def test_few_samples_make_a_row(samples):
    ensemble = rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=2)
    for given in (rg.Majority(), dense):
        assert f"only {samples} samples" in drift.measure(subject(ensemble, given))[0].why


# --- the figures


def reports(ensemble, maps, module):
    found = {name: module.measure(subject(ensemble, given)) for name, given in maps.items()}
    row = module.INSTRUMENT.name
    return {name: MapReport("not judged", "judged", "", {}, {row: arrays}) for name, (_, arrays) in found.items()}


@pytest.mark.parametrize("module", [mcrg, drift])
def test_the_figures(critical16, module):
    maps = {"majority": rg.Majority(), "_dense $h$": dense, "no places": lambda v: v.reshape(len(v), -1)[:, :3]}
    (plate,) = module.figures(reports(critical16, maps, module))
    assert (plate.name, plate.bitmap) == (module.INSTRUMENT.name, False)
    plate.figure.draw_without_rendering()
    assert len(plate.figure.axes) == (3 if module is drift else 2)
    for axes in plate.figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.lines
    (legend,) = plate.figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["majority", r" _dense \$h\$"]


def test_no_figure_without_arrays(critical8):
    for module in (mcrg, drift):
        assert list(module.figures(reports(critical8, {"three": lambda v: v.reshape(len(v), -1)[:, :3]}, module))) == []
        assert list(module.figures({})) == []


def test_numbers_beyond_the_axes_are_named_in_the_caption():
    arrays = {
        "y_t": np.array([[0.9, 1.0, -1.3]]),
        "y_h": np.array([[0.9, 1.0, 2.5]]),
        **{f"{y}_error": np.full((1, 3), 0.1) for y in ("y_t", "y_h")},
        **{f"{y}_level": np.array([0]) for y in ("y_t", "y_h")},
    }
    (plate,) = mcrg.figures({"tiling": MapReport("not judged", "judged", "", {}, {"mcrg": arrays})})
    assert plate.caption.endswith(" Beyond the axes: tiling y_t = −1.30 at n = 0; tiling y_h = 2.50 at n = 0.")
    markers = {line.get_marker() for axes in plate.figure.axes for line in axes.lines}
    assert not markers & {"v", "^"}
    inside = {**arrays, "y_t": np.array([[0.9, 1.0, 1.1]]), "y_h": np.array([[0.9, 1.0, 1.9]])}
    (plate,) = mcrg.figures({"tiling": MapReport("not judged", "judged", "", {}, {"mcrg": inside})})
    assert "Beyond" not in plate.caption
