"""The classifier reads equilibrium states where it can, saturates where it cannot, and is fooled by what is none."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import rgstep as rg
from rgstep import classifier as module
from rgstep import cli
from rgstep.classifier import CLASSES, Layers, answers, classified, classifier, first_layers, trained

SIDE = 8


@pytest.fixture(autouse=True, scope="module")
def quick():
    """A shorter training, enough at L = 8, and none kept for other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CONFIGURATIONS", 200)
        patch.setattr(module, "STEPS", 1_000)
        patch.setattr(module, "CLASSIFIERS", {})
        yield


def equilibrium(temperature, samples=1_000, seed=5):
    return rg.sample(SIDE, temperature, samples, seed)


def test_the_published_classes():
    assert len(CLASSES) == 60
    assert (CLASSES[0], CLASSES[1], CLASSES[-1]) == (0.0, 0.1, 5.9)


def test_it_tells_temperatures_near_the_transition_and_an_untrained_one_does_not():
    means = [float(classified(equilibrium(T)).mean.value) for T in (2.0, 2.3, 2.6)]
    assert abs(means[1] - 2.3) < 0.25
    assert means[1] - means[0] > 0.3
    assert means[2] - means[1] > 0.3
    untrained = first_layers(SIDE**2, np.random.default_rng(0))
    found = [float((answers(untrained, equilibrium(T).unpack()) @ CLASSES).mean()) for T in (2.0, 2.3, 2.6)]
    assert np.ptp(found) < 0.3


def test_it_saturates_at_both_ends():
    """At T = 0 and at T = 0.5 nearly all spins are equal, and far above T_c all sets look alike."""
    cold, cool = (classified(equilibrium(T)) for T in (0.0, 0.5))
    assert abs(float(cold.mean.value) - float(cool.mean.value)) < 0.02
    assert float(cold.mean.value) > 0.5
    assert float(classified(equilibrium(np.inf)).mean.value) < 5.5


def test_what_is_no_equilibrium_state_gets_a_temperature_all_the_same():
    both = np.concatenate([equilibrium(T, 500).unpack() for T in (1.0, 4.0)])
    mixed = np.random.default_rng(0).permutation(both)
    read = rg.thermometers(mixed, classifier=True)
    assert read.is_equilibrium is False
    assert 1.5 < float(read.classified.mean.value) < 3.5


def test_it_is_asked_by_name_and_decides_nothing():
    critical = equilibrium(rg.CRITICAL_TEMPERATURE)
    without, with_it = (rg.thermometers(critical, classifier=asked) for asked in (False, True))
    assert without.classified is None
    assert "classifier" not in without.to_dict()
    assert with_it.verdict == without.verdict
    assert with_it.p_value == without.p_value
    assert "it decides nothing" in str(with_it)
    said = with_it.to_dict()["classifier"]
    assert set(said) == {"mean", "likely", "share"}
    json.dumps(said)


@pytest.mark.slow
def test_a_classifier_is_its_seed():
    again, other = trained(SIDE, 0, None), trained(SIDE, 1, None)
    for one, same, different in zip(classifier(SIDE), again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (np.asarray(one) != np.asarray(different)).any()


def test_its_probabilities_are_the_softmax_written_out():
    rng = np.random.default_rng(0)
    layers = Layers(*(rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,), (3, 5), (5,))))
    v = rng.choice([-1, 1], (6, 2, 2)).astype(np.int8)
    weights = np.exp(np.tanh(v.reshape(6, 4) @ layers.A + layers.a) @ layers.B + layers.b)
    np.testing.assert_allclose(answers(layers, v), weights / weights.sum(axis=1, keepdims=True), rtol=1e-4)


def test_odd_sides_have_none():
    with pytest.raises(rg.InputError, match="even"):
        rg.thermometers(np.ones((100, 5, 5), np.int8), classifier=True)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rg.save("n.npz", rg.untrained_rbm(visible=SIDE**2, hidden=16, seed=0))
    line = ["flow", "n.npz", "--start", "zero", "--steps", "8", "--samples", "100", "--quiet", "--json"]
    found = CliRunner().invoke(cli.app, [*line, "--classifier"])
    assert found.exit_code == 0, found.output
    flow = json.loads(found.stdout)["flows"][0]
    assert "the classifier says T = " in flow["verdict"]
    assert flow["temperatures"]["classifier"]["mean"]["error"] > 0
    without = json.loads(CliRunner().invoke(cli.app, line).stdout)["flows"][0]
    assert "classifier" not in without["verdict"]
