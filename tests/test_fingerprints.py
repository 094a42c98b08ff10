"""Fingerprints of what `sample`, `train_rbm` and `judge` return for small inputs: a change of any number is seen.

They say that a change of the code changed nothing, and nothing about what is right; the other tests do that. Samples
are bits and are hashed. Weights and estimates are floating-point numbers, whose last digits may differ between
processors and releases of the libraries: a hash of rounded ones would flip at a rounding edge, so a weighted sum of
their logarithms, which a relative change of 1e-3 of any one number moves, is compared with a tolerance.
"""

import hashlib

import numpy as np
import pytest

import rgstep as rg
from rgstep.results import Diagnostic

# A new value is legitimate where numbers were meant to change (a stream of random numbers, a kernel, a quantity or row
# added or removed, a band) and CHANGELOG.md says so. Names of quantities do not enter. The new values are in the
# message of the failing test.
EXPECTED = {
    "sample": {
        "metropolis iid": "9f41dab381b4",
        "heat-bath iid": "de1f56f591ff",
        "single iid": "c492def5783d",
        "swendsen-wang iid": "ce963a450ac5",
        "wolff iid": "5d8eb8aaab83",
        "metropolis-philox iid": "27d0e58243fd",
        "metropolis thin": "dca802ac5075",
        "heat-bath thin": "0fc202bea650",
        "single thin": "ddfbf876f912",
        "swendsen-wang thin": "aa661b8ac777",
        "wolff thin": "4c7681595f03",
        "exact": "5880c64f5d6a",
        "auto, L = 16": "053e1ea26a08",
        "auto, T = 1.5": "a6fc290aa18d",
        "auto, T = 10": "a9821bc82689",
        "T = 0": "3a1bd9ffc058",
        "T = ∞": "7d6eeb50b6ce",
    },
    "train_rbm": {
        "koch2020": [-42.973398, 0.405413, 2.443848],
        "veiga2020": [-37.141138, -11.991497, 7.046906],
        "mehta2014": [256.651797, -38.884902, 28.434056],
        "default": [434.439298, 40.352074, 1.504262],
        "default, sampled h, centred": [-458.222708, 16.866639, 1.531499],
        "default, tempered": [430.146048, -11.084757, -1.138862],
        "default, trajectory": [430.726039, -16.904743, -1.355974],
    },
    "judge": {
        "majority": {
            "verdict": "undecided",
            "rows": {
                "sampling": (True, 12, 107.898197),
                "vh_pattern": (True, 54, 524.478497),
                "spatial_correlator": (None, 24, 163.886572),
                "coherence": (True, 16, 180.839297),
                "conditional_law": (None, 4, 25.986194),
                "two_point": (True, 12, 99.572195),
                "hidden_hamiltonian": (True, 42, 252.848665),
                "mcrg": (None, 8, 71.266559),
                "drift": (None, 16, 160.817275),
                "symmetry": (True, 6, 0.0),
                "gain": (True, 6, 39.900255),
                "information": (None, 10, 96.274651),
                "conditional_entropy": (None, 2, 13.443189),
                "tangent": (None, 18, 216.481885),
            },
        },
        "bernoulli": {
            "verdict": "local coarse graining, not near a fixed point",
            "rows": {
                "sampling": (True, 12, 107.898197),
                "vh_pattern": (True, 54, 510.46313),
                "spatial_correlator": (None, 24, 161.898529),
                "coherence": (True, 16, 190.059702),
                "conditional_law": (None, 4, 38.625635),
                "two_point": (True, 12, 99.721381),
                "hidden_hamiltonian": (True, 42, 249.777235),
                "mcrg": (None, 8, 74.327407),
                "drift": (None, 16, 149.501869),
                "symmetry": (True, 6, 0.0),
                "gain": (False, 6, 38.476944),
                "information": (None, 10, 95.634777),
                "conditional_entropy": (None, 16, 151.530272),
                "tangent": (None, 18, 216.504814),
            },
        },
        "average": {
            "verdict": "RG step",
            "rows": {
                "sampling": (True, 12, 107.898197),
                "vh_pattern": (True, 54, 452.177614),
                "spatial_correlator": (None, 24, 159.723841),
                "coherence": (True, 16, 123.112355),
                "conditional_law": (True, 4, 0.0),
                "two_point": (True, 12, 96.62815),
                "hidden_hamiltonian": (True, 42, 245.672572),
                "mcrg": (None, 14, 135.763069),
                "drift": (None, 22, 219.568156),
                "symmetry": (True, 6, 0.0),
                "gain": (True, 6, 39.900255),
                "information": (None, 10, 90.240771),
                "conditional_entropy": (None, 2, 0.0),
                "tangent": (None, 18, 213.782936),
            },
        },
        "untrained": {
            "verdict": "feature extractor, not RG",
            "rows": {
                "sampling": (True, 12, 107.898197),
                "vh_pattern": (False, 50, 502.266366),
                "spatial_correlator": (None, 24, 170.552004),
                "coherence": (True, 16, 229.348817),
                "conditional_law": (None, 4, 40.113883),
                "two_point": (None, 12, 118.903825),
                "hidden_hamiltonian": (None, 50, 330.862918),
                "mcrg": (None, 8, 41.258926),
                "drift": (None, 16, 124.448926),
                "symmetry": (True, 4, 0.0),
                "gain": (False, 6, 27.017766),
                "information": (None, 10, 78.384675),
                "conditional_entropy": (None, 16, 134.671922),
                "kadanoff_gap": (None, 8, 61.486539),
                "tangent": (None, 18, 233.653296),
            },
        },
        "scrambled": {
            "verdict": "undecided",
            "rows": {
                "sampling": (True, 12, 107.898197),
                "vh_pattern": (True, 48, 448.35335),
                "spatial_correlator": (None, 24, 163.886572),
                "coherence": (True, 16, 180.839297),
                "conditional_law": (None, 4, 25.986194),
                "two_point": (True, 12, 99.57797),
                "hidden_hamiltonian": (True, 50, 346.684776),
                "mcrg": (None, 8, 71.266559),
                "drift": (None, 16, 160.817275),
                "symmetry": (True, 4, 0.0),
                "gain": (True, 6, 39.900255),
                "information": (None, 10, 96.339096),
                "conditional_entropy": (None, 2, 13.443189),
                "tangent": (None, 18, 216.481885),
            },
        },
    },
}

SAMPLED = {
    "metropolis iid": {"kernel": "metropolis"},
    "heat-bath iid": {"kernel": "heat-bath"},
    "single iid": {"kernel": "single"},
    "swendsen-wang iid": {"kernel": "swendsen-wang"},
    "wolff iid": {"kernel": "wolff"},
    "metropolis-philox iid": {"kernel": "metropolis-philox"},
    "metropolis thin": {"kernel": "metropolis", "mode": "thin"},
    "heat-bath thin": {"kernel": "heat-bath", "mode": "thin"},
    "single thin": {"kernel": "single", "mode": "thin"},
    "swendsen-wang thin": {"kernel": "swendsen-wang", "mode": "thin"},
    "wolff thin": {"kernel": "wolff", "mode": "thin"},
    "exact": {"mode": "exact"},
    "auto, L = 16": {"size": 16},
    "auto, T = 1.5": {"temperature": 1.5},
    "auto, T = 10": {"temperature": 10.0},
    "T = 0": {"temperature": 0.0},
    "T = ∞": {"temperature": np.inf},
}
TRAINED = {
    "koch2020": {},
    "veiga2020": {},
    "mehta2014": {},
    "default": {},
    "default, sampled h, centred": {"gradient_h": "sampled", "centred": True},
    "default, tempered": {"tempering": "temperature", "levels": 3},
    "default, trajectory": {"tempering": "trajectory", "levels": 3},
}
JUDGED = {
    "majority": lambda: rg.Majority(),
    "bernoulli": lambda: rg.BernoulliBlock(0.5),
    "average": lambda: rg.Average(),
    "untrained": lambda: rg.untrained_rbm(64, 16, seed=3),
    "scrambled": lambda: rg.Scrambled(rg.Majority()),
}
TOLERANCE = 1e-3  # four times what another instruction set makes (SSE for AVX-512)


def of_bits(array: np.ndarray) -> str:
    """Return the first digits of the hash of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def of_numbers(numbers: np.ndarray, noise: float) -> float:
    """Return a weighted sum of arsinh(x/noise), so that every x much above the noise counts by its relative change."""
    x = np.asarray(numbers, np.float64).ravel()
    weights = 1 + np.sqrt(2) * np.arange(x.size) % 1
    return float(np.round(weights @ np.arcsinh(np.nan_to_num(x, posinf=0, neginf=0) / noise), 6))


def of_row(diagnostic: Diagnostic) -> tuple[bool | None, int, float]:
    """Return whether a row passed, how many numbers it has, and the fingerprint of all, whatever their names."""
    pairs = [q.estimate for q in diagnostic.estimates.values()]
    numbers = np.sort([x for e in pairs for x in (float(e.value), float(e.error))])
    return diagnostic.passed, int(np.isfinite(numbers).sum()), of_numbers(numbers, noise=1e-4)


@pytest.fixture(scope="module")
def small():
    """640 critical configurations of side 8, always these."""
    return rg.sample(8, rg.CRITICAL_TEMPERATURE, 640, seed=8, kernel="metropolis", threads=1)


@pytest.mark.parametrize("name", SAMPLED)
def test_the_same_seed_gives_the_same_configurations(name):
    asked = {"size": 8, "temperature": rg.CRITICAL_TEMPERATURE, **SAMPLED[name]}
    found = of_bits(rg.sample(**asked, samples=100, seed=5, threads=1).spins)
    assert found == EXPECTED["sample"][name]


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_network(name, small):
    rbm = rg.train_rbm(small, 8, seed=6, preset=name.partition(",")[0], steps=20, **TRAINED[name])
    found = [of_numbers(x, noise=1e-2) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias)]
    assert found == pytest.approx(EXPECTED["train_rbm"][name], abs=TOLERANCE)


@pytest.mark.parametrize("name", JUDGED)
def test_the_same_map_is_judged_by_the_same_numbers(name, small):
    report = rg.judge(small, {name: JUDGED[name]()}, seed=7).maps[name]
    found = {row: of_row(diagnostic) for row, diagnostic in report.diagnostics.items()}
    expected = EXPECTED["judge"][name]
    near = {row: (*rest, pytest.approx(x, abs=TOLERANCE)) for row, (*rest, x) in expected["rows"].items()}
    assert (report.verdict, found) == (expected["verdict"], near)
