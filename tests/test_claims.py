"""What findings say of a report: nearer to the majority rule than the untrained network, or not, in one sentence."""

import dataclasses
import math

import pytest

import rgstep as rg
from rgstep.claims import CLAIMS, findings, nearer, of_block_spins
from rgstep.estimates import Estimate
from rgstep.report import Report
from rgstep.results import Diagnostic, MapReport, Quantity

RG, NULL = "Majority(block=2, ties='random')", "RBM(1024 visible, 256 hidden, preset=untrained, steps=0, seed=0)"
TRAINED = "RBM(1024 visible, 256 hidden, preset=koch2020, steps=10000, seed=0)"
ROLES = {"majority": ("control", RG), "rbm_untrained": ("control", NULL)}  # kind, and what `judge` says of such a map
PATCHES, CORRELATORS = CLAIMS["P2"][1], CLAIMS["P3"][1]


def synthetic(values, trained=("rbm_x",), error=0.01, quantities=(*PATCHES, *CORRELATORS), roles=ROLES):
    """A report in which every quantity of a map has one value (a number, or one for each quantity)."""
    maps = {}
    for name, value in values.items():
        each = dict.fromkeys(quantities, value) if not isinstance(value, dict) else value
        rows = {
            row: Diagnostic(
                None, "why", {q: Quantity(Estimate(float(x), error)) for q, x in each.items() if belongs(q)}
            )
            for row, belongs in (
                ("vh_pattern", lambda q: not q.startswith("C")),
                ("spatial_correlator", lambda q: q.startswith("C")),
            )
        }
        if name in trained:
            rows["training"] = Diagnostic(None, "why", {})
        maps[name] = MapReport("not judged", *roles.get(name.partition("~")[0], ("judged", TRAINED)), rows)
    return Report({}, maps)


BASE = {"majority": 1.0, "rbm_untrained": 0.0}


@pytest.mark.parametrize(
    ("trained", "untrained", "gain", "error"),
    [
        (1.2, 1.5, 0.3, 0.05),  # both above the majority rule: its own error drops out, √(0.03² + 0.04²)
        (0.9, 0.4, 0.5, 0.05),  # both below
        (1.3, 1.2, -0.1, 0.05),  # farther
        (0.8, 1.5, 0.3, 0.13),  # on two sides: 1.5 − r and r − 0.8 move against each other, √(0.05² + (2 · 0.06)²)
        (1.2, 0.5, 0.3, 0.13),
    ],
)
def test_how_much_nearer_in_standard_errors(trained, untrained, gain, error):
    """By hand, for a majority rule at 1.00(6)."""
    found = nearer(Estimate(trained, 0.03), Estimate(untrained, 0.04), Estimate(1.0, 0.06))
    assert found == pytest.approx(gain / error)


def test_a_network_like_block_spins_supports_both_claims():
    for value in (1.0, 0.95, 1.1):
        found = findings(synthetic({**BASE, "rbm_x": value, "rbm_x~2": value}))
        assert [(f.claim, f.network, f.supported) for f in found] == [("P2", "rbm_x", True), ("P3", "rbm_x", True)]
        assert [f.outcome for f in found] == ["supported"] * 2


@pytest.mark.parametrize("value", [0.0, 0.02, -1.0, 2.0, 5.0])
def test_a_network_no_nearer_than_the_untrained_one_supports_nothing(value):
    found = findings(synthetic({**BASE, "rbm_x": value, "rbm_x~2": value}))
    assert [f.supported for f in found] == [False, False]
    assert [f.outcome for f in found] == ["not supported"] * 2


def test_one_network_is_one_network():
    """Its outcome is said of it alone; of a map that is no network of ours nothing is said of a training."""
    for finding in findings(synthetic({**BASE, "rbm_x": 1.0})):
        assert finding.outcome == "supported"
        assert "this one trained network" in finding.of_training
        assert "--seeds 5" in finding.of_training
    roles = ROLES | {"rbm_x": ("judged", "user's Encoder")}
    for finding in findings(synthetic({**BASE, "rbm_x": 1.0}, roles=roles)):
        assert "does not know" in finding.of_training


@pytest.mark.parametrize(
    ("local", "crowded", "outcome"),
    [(1.0, 0.0, "supported"), (0.95, 0.5, "mixed"), (0.2, 0.6, "not supported")],
)
def test_p1_is_asked_of_the_majority_rule(local, crowded, outcome):
    units = {"local_units": local, "crowded_units": crowded}
    found = of_block_spins(synthetic({"majority": units}, quantities=()))
    assert (found.claim, found.network, found.outcome, found.supported) == ("P1", "majority", outcome, local == 1.0)
    assert of_block_spins(synthetic({"majority": 1.0})) is None  # nothing is known of its units
    assert of_block_spins(synthetic({"rbm_x": units})) is None


def test_nearer_here_and_farther_there_is_mixed():
    quantities = [*PATCHES, *CORRELATORS]
    values = {q: 1.0 if q in (PATCHES[0], CORRELATORS[0]) else -1.0 for q in quantities}
    found = findings(synthetic({**BASE, "rbm_x": values, "rbm_x~2": values}))
    assert all(f.outcome == "mixed" and not f.supported and " 0 farther" not in f.sentence for f in found)


def test_one_quantity_of_many_is_not_enough():
    quantities = [*PATCHES, *CORRELATORS]
    values = {q: 1.0 if q in (PATCHES[0], CORRELATORS[0]) else 0.0 for q in quantities}
    found = findings(synthetic({**BASE, "rbm_x": values, "rbm_x~2": values}))
    assert [f.supported for f in found] == [False, False]
    assert all(f.outcome == "mixed" and "1 are nearer" in f.sentence for f in found)
    assert all("0 farther" in f.sentence for f in found)


def test_a_difference_within_the_errors_supports_nothing():
    """0.9 with errors of 0.5: nearer by less than 3σ."""
    assert not any(f.supported for f in findings(synthetic({**BASE, "rbm_x": 0.9}, error=0.5)))
    assert all(f.supported for f in findings(synthetic({**BASE, "rbm_x": 0.9}, error=0.1)))


def test_seeds_are_one_family_whose_spread_is_the_error():
    """Mean 0.5 over seeds that scatter by 0.5: too uncertain; four that scatter little: support."""
    scattered = {**BASE, "rbm_x": 0.0, "rbm_x~2": 1.0}
    assert not any(f.supported for f in findings(synthetic(scattered, trained=scattered.keys() - BASE.keys())))
    steady = {**BASE, "rbm_untrained~2": 0.01, "rbm_x": 0.9, "rbm_x~2": 0.92, "rbm_x~3": 0.91}
    found = findings(synthetic(steady, trained=steady.keys() - BASE.keys() - {"rbm_untrained~2"}))
    assert [(f.network, f.supported) for f in found] == [("rbm_x", True)] * 2
    assert all("3 trainings" in f.of_training for f in found)


@pytest.mark.parametrize("missing", ["majority", "rbm_untrained", "rbm_x"])
def test_without_controls_or_networks_nothing_is_said(missing):
    values = {**BASE, "rbm_x": 1.0}
    del values[missing]
    assert findings(synthetic(values)) == []


OTHER_NAMES = {"tiles": ("control", "Majority(block=3, ties='first')"), "before": ("control", NULL)}


@pytest.mark.parametrize(("value", "supported"), [(0.95, True), (-1.0, False)])
def test_controls_are_known_by_what_they_are_and_not_by_name(value, supported):
    values = {"before": 0.0, "before~2": 0.0, "after": value, "after~2": value, "tiles": 1.0}
    found = findings(synthetic(values, roles=OTHER_NAMES))
    assert [(f.network, f.supported) for f in found] == [("after", supported)] * 2


def test_a_name_makes_no_control():
    """The twin: maps called as the controls are, that are something else."""
    values = {**BASE, "rbm_x": 1.0}
    assert findings(synthetic(values)) != []
    for wrong in (
        {"majority": ("judged", "user's Majority")},
        {"majority": ("control", "Decimation(block=2)")},
        {"rbm_untrained": ("control", TRAINED)},
        {"rbm_untrained": ("judged", NULL)},
    ):
        assert findings(synthetic(values, roles=ROLES | wrong)) == []


def test_small_lattices_lack_some_distances(critical4):
    """At L = 4 there is no C[4]: what is missing is left out, not a warning and not a NaN; the maps have any names."""
    quantities = [q for q in (*PATCHES, *CORRELATORS) if "[4]" not in q]
    found = findings(synthetic({**BASE, "rbm_x": 1.0}, quantities=quantities))
    assert [f.supported for f in found] == [True, True]
    maps = {"a": rg.Majority(ties="first"), "mine": lambda v: v[:, ::2, ::2], "null": rg.untrained_rbm(16, 4)}
    measured = findings(rg.judge(critical4, maps))
    assert [f.network for f in measured] == ["mine", "mine"]
    for finding in (*found, *measured):
        assert "nan" not in finding.sentence
        assert not any(math.isnan(float(r.trained.value)) for r in finding.likenesses)


def test_numbers_that_are_none_support_nothing():
    """Flat pictures have no correlator: NaN is not near anything."""
    assert not any(f.supported for f in findings(synthetic({**BASE, "rbm_x": math.nan})))
    assert not any(f.supported for f in findings(synthetic({"majority": math.nan, "rbm_untrained": 0.0, "rbm_x": 0.0})))


def test_findings_are_frozen():
    (first, _) = findings(synthetic({**BASE, "rbm_x": 1.0}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.supported = False
