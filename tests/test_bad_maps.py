"""Maps that are not what they say: each is one clear line; arrays of h and maps with channels are judged."""

import numpy as np
import pytest

import rgstep as rg
from rgstep import blocking
from rgstep.adapters import as_map
from rgstep.controls import HAND_MADE
from rgstep.instruments.draws import drawn

MAJORITY = rg.Majority(ties="first")


class Map:
    """Two methods put together."""

    def __init__(self, mean, sample):
        self.mean, self.sample = mean, sample

    def mean_h(self, v):
        return self.mean(v)

    def sample_h(self, v, rng):
        return self.sample(v, rng)


class Counting:
    """A map that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, v):
        self.calls += 1
        return MAJORITY.mean_h(v.astype(np.int8)) * (-1) ** self.calls


def unseeded(v, rng):
    return blocking.signs_with_mean(rg.BernoulliBlock(0.5).mean_h(v), np.random.default_rng())


def flips_all(v, rng):
    return MAJORITY.sample_h(v, rng) * np.where(rng.random((len(v), 1, 1)) < 0.1, -1, 1)


def of_batch(v):
    h = rg.Average().mean_h(v.astype(np.int8))
    return h - h.mean(axis=0)


BAD = {
    "shape by the number of samples": (lambda v: np.ones((len(v), 4 if len(v) > 40 else 9)), "must have one shape"),
    "draws of another shape": (Map(MAJORITY.mean_h, lambda v, rng: np.ones((len(v), 5), np.int8)), "mean_h of shape"),
    "0 and 1 beside ±1": (
        Map(MAJORITY.mean_h, lambda v, rng: (1 + MAJORITY.sample_h(v, rng)) // 2),
        "not between them",
    ),
    "counts its calls": (Counting(), "in two ways"),
    "statistics of the batch": (of_batch, "in two ways"),
    "random numbers of its own": (Map(rg.BernoulliBlock(0.5).mean_h, unseeded), "same random numbers"),
    "another law": (Map(MAJORITY.mean_h, flips_all), "does not draw from a law of mean mean_h"),
    "another scale": (Map(lambda v: 0.5 * MAJORITY.mean_h(v), MAJORITY.sample_h), "does not draw from a law"),
    "the sign in place of a draw": (
        Map(rg.BernoulliBlock(0.5).mean_h, lambda v, rng: np.where(rg.Majority().sample_h(v, rng) > 0, 1, -1)),
        "does not draw from a law",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_map_that_is_none_is_one_line_that_names_it(critical8, name):
    given, rule = BAD[name]
    with pytest.raises(rg.InputError, match=rule) as caught:
        rg.judge(critical8, {"mine": given})
    assert "'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", [*HAND_MADE, "network"])
def test_maps_that_are_what_they_say_are_never_refused(critical8, name, seed):
    """The twin: 95 times five standard errors would be seen once in 20,000."""
    given = rg.untrained_rbm(64, 16, seed=seed) if name == "network" else HAND_MADE[name](2)
    drawn(critical8, as_map(given, name), np.random.default_rng(seed), name)


def test_coins_for_whole_samples_have_their_mean(critical8):
    """Shared noise is no contradiction between the methods, however few of the samples it strikes."""
    for p in (0.001, 0.01, 0.3):
        given = Map(
            lambda v, p=p: (1 - 2 * p) * MAJORITY.mean_h(v),
            lambda v, rng, p=p: MAJORITY.sample_h(v, rng) * np.where(rng.random((len(v), 1, 1)) < p, -1, 1),
        )
        for seed in range(5):
            drawn(critical8, as_map(given, "coin"), np.random.default_rng(seed), "coin")


def test_what_rare_events_that_were_missed_explain_is_no_contradiction():
    """A coin of 0.06 % for all of h that has not struck yet: the mean is off by less than two strikes make up."""
    ensemble = rg.sample(size=8, samples=8192, seed=4)
    missed = Map(lambda v: 0.9988 * MAJORITY.mean_h(v), MAJORITY.sample_h)
    drawn(ensemble, as_map(missed, "missed"), np.random.default_rng(0), "missed")
    off = Map(lambda v: 0.98 * MAJORITY.mean_h(v), MAJORITY.sample_h)  # the twin: some 80 strikes
    with pytest.raises(rg.InputError, match="does not draw"):
        drawn(ensemble, as_map(off, "off"), np.random.default_rng(0), "off")


def test_an_array_of_h_gets_the_rows_that_need_no_map(critical8):
    h = MAJORITY.sample_h(critical8.spins, np.random.default_rng(0))
    report = rg.judge(critical8, {"h": h, "flat": h.reshape(len(h), -1), "majority": MAJORITY})
    for name in ("h", "flat"):
        entry = report.maps[name]
        assert entry.verdict == "undecided"
        assert "needs the map" in entry.diagnostics["gain"].why
        assert entry.diagnostics["conditional_law"].estimates == {}
        assert entry.diagnostics["coherence"].passed
        assert entry.fate is None
    for row in ("two_point", "mcrg", "hidden_hamiltonian"):
        own, rule = (report.maps[name].diagnostics[row].estimates for name in ("h", "majority"))
        for quantity in ("y_h[0]", "K_nn[1]", "shape_deviation"):
            if quantity in rule:
                assert own[quantity].estimate.value == pytest.approx(rule[quantity].estimate.value, rel=1e-6)


def test_an_array_of_h_can_fail(critical8):
    h = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (len(critical8), 4, 4))
    assert rg.judge(critical8, {"h": h}).maps["h"].verdict == "feature extractor, not RG"


@pytest.mark.parametrize(
    ("cut", "rule"),
    [
        (lambda h: h[:10], "h of 'h' has 10 rows for 640 configurations"),
        (lambda h: h[:, :, :3], r"shape \(640, 4, 3\)"),
        (lambda h: h.astype(object), "type object"),
        (lambda h: np.where(h > 0, np.nan, h), "nan"),
    ],
)
def test_arrays_that_are_no_h_are_refused(critical8, cut, rule):
    h = MAJORITY.sample_h(critical8.spins, np.random.default_rng(0)).astype(np.float32)
    with pytest.raises(rg.InputError, match=rule):
        rg.judge(critical8, {"h": cut(h)})


def test_channels_are_judged_one_by_one(critical8):
    both = rg.judge(critical8, {"two": lambda v: np.stack([MAJORITY.mean_h(v), rg.Decimation().mean_h(v)], axis=1)})
    assert list(both.maps) == ["two[0]", "two[1]"]
    for name, rule in (("two[0]", MAJORITY), ("two[1]", rg.Decimation())):
        alone = rg.judge(critical8, {name: rule}).maps[name]
        assert both.maps[name].diagnostics["two_point"].to_dict() == alone.diagnostics["two_point"].to_dict()
