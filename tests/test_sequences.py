"""Sequences of maps: each further map is asked what the first is, of the level that it reads."""

import numpy as np
import pytest

import rgstep as rg
from rgstep import blocking
from rgstep.adapters import as_maps
from rgstep.battery import judged, measure_map
from rgstep.instruments import INSTRUMENTS, LOCALITY
from rgstep.instruments.base import prepare
from rgstep.nets.rbm import RBM
from rgstep.results import FEATURES, LOCAL, RG_STEP, UNDECIDED, Diagnostic, Quantity, Scale, apply, conclusion

ASKED = ("vh_pattern", "coherence", "conditional_law", "symmetry", "gain")
MAJORITY = rg.Majority()


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=4000, seed=771)


def block_network(size, seed, weight=0.8):
    """A Bernoulli block as a dense network, its units in another order and with signs."""
    units = (size // 2) ** 2
    row, column = np.divmod(np.arange(size**2), size)
    w = np.zeros((size**2, units), np.float32)
    w[np.arange(size**2), row // 2 * (size // 2) + column // 2] = weight
    sign = np.where(blocking.permutation(units, seed, "signs") % 2, 1, -1)
    return RBM(w[:, blocking.permutation(units, seed)] * sign, np.zeros(size**2), np.zeros(units))


class Flipped:
    """The majority rule, all of whose h one coin flips with a probability."""

    def __init__(self, chance):
        self.chance = chance

    def mean_h(self, v):
        return (1 - 2 * self.chance) * MAJORITY.mean_h(v)

    def sample_h(self, v, rng):
        coins = np.where(rng.random(len(v)) < self.chance, -1, 1)[:, None, None]
        return (coins * MAJORITY.sample_h(v, rng)).astype(np.int8)


class Biased:
    """A Bernoulli block in a field."""

    def mean_h(self, v):
        return np.tanh(4 * rg.Average().mean_h(v) + 0.3)

    def sample_h(self, v, rng):
        return blocking.signs_with_mean(self.mean_h(v), rng)


def first_of(v):
    """The majority rule, ties by the first spin."""
    return rg.Majority(ties="first").mean_h(v)


def copies(v):
    """Decimation without places, half of whose units repeat others."""
    h = v[:, ::2, ::2].reshape(len(v), -1)
    units = h.shape[1]
    return h[:, np.where(np.arange(units) % 2, blocking.permutation(units, 5), np.arange(units))]


def said(ensemble, given, seed=0, rows=ASKED):
    """Return the verdict on these rows alone, and the rows with their criteria applied."""
    subject = prepare(ensemble, as_maps(given, "m"), given, "m", seed)
    found = {name: INSTRUMENTS[name].measure(subject)[0] for name in rows}
    decided, _ = judged(found, subject, lambda block: {})
    locality = [name for name in rows if name in LOCALITY]
    return conclusion(decided, locality, [name for name in rows if name not in locality]), decided


@pytest.fixture(scope="module")
def said_of_first(critical16):
    return said(critical16, MAJORITY, 32)[0].name


STEPS = {
    "majority": MAJORITY,
    "ties by the first": first_of,
    "bernoulli": rg.BernoulliBlock(1.0),
    "cross": rg.CrossMajority(),
    "window": rg.WindowMajority(4),
    "average": rg.Average(),
    "without places": rg.Scrambled(MAJORITY),
    "a network of blocks": block_network(8, 3),
}
OTHERS = {
    "random tiling": (rg.RandomTiling(seed=9), FEATURES),
    "far majority": (rg.FarMajority(), FEATURES),
    "untrained": (rg.untrained_rbm(64, 16, seed=9, weights_sd=0.5), FEATURES),
    "copies": (copies, FEATURES),
    "flipped": (Flipped(0.1), FEATURES),
    "flipped seldom": (Flipped(0.02), FEATURES),
    "decimation": (rg.Decimation(), LOCAL),
    "washes out": (rg.BernoulliBlock(0.25), LOCAL),
    "makes a field": (Biased(), LOCAL),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_second_map_that_is_a_step_passes(critical16, name):
    """8×8 to 4×4 units: windows half as wide as the lattice are at the edge of what can be told."""
    verdict, rows = said(critical16, [MAJORITY, STEPS[name]], 31)
    assert verdict.name == (UNDECIDED if name == "window" and rows["vh_pattern"].passed is None else RG_STEP), verdict


@pytest.mark.parametrize("name", OTHERS)
def test_a_second_map_that_is_none_is_named_by_what_it_is(critical16, said_of_first, name):
    """The twins: the same first map alone passes, and what fails is a number of level 2."""
    second, right = OTHERS[name]
    verdict, _ = said(critical16, [MAJORITY, second], 32)
    assert verdict.name == right, verdict
    assert "[2]" in verdict.reason
    assert said_of_first == RG_STEP


def test_a_first_map_that_is_none_still_fails(critical16):
    for given, right in (([rg.RandomTiling(seed=3), MAJORITY], FEATURES), ([rg.Decimation(), MAJORITY], LOCAL)):
        verdict, _ = said(critical16, given)
        assert verdict.name == right
        assert "[2]" not in verdict.reason


def test_networks_of_blocks_are_steps_one_after_another(critical16):
    assert said(critical16, [block_network(16, 1), block_network(8, 2)])[0].name == RG_STEP


def test_a_map_that_cannot_be_asked_leaves_the_sequence_undecided(critical16):
    """16, 8, 4, and no third step: a verdict on all maps would be said of two."""
    verdict, rows = said(critical16, [MAJORITY, MAJORITY, rg.RandomTiling()])
    assert verdict.name == UNDECIDED
    assert "rho_0[3] could not be measured" in rows["coherence"].why
    assert "map 3 of 3 is not asked: h of map 2 fills a lattice of 4×4" in rows["coherence"].why
    gone = said(critical16, [lambda v: first_of(v).reshape(len(v), -1)[:, :60], MAJORITY], rows=("coherence",))[1]
    assert "h of map 1 fills no square lattice" in gone["coherence"].why


def test_what_a_second_map_is_asked_is_what_it_would_be_asked_of_its_own_input(critical16):
    """Its numbers are those of the map by itself on h of the first as configurations."""
    given = [rg.Majority(ties="first"), rg.BernoulliBlock(1.0)]
    h = given[0].sample_h(critical16.unpack(), np.random.default_rng(0))
    level = rg.Ensemble(h, rg.ising.ising(8, critical16.system.temperature))
    whole = measure_map(critical16, "m", given, 4, ("vh_pattern", "coherence", "conditional_law", "gain"))
    alone = measure_map(level, "m", given[1], 5, tuple(whole))
    for row, quantity in (
        ("vh_pattern", "tile_radius"),
        ("vh_pattern", "coverage"),
        ("coherence", "noise_0"),
        ("coherence", "noise_ratio_rows"),
        ("conditional_law", "shared_0"),
        ("gain", "gain"),
    ):
        a, b = whole[row].estimates[f"{quantity}[2]"].estimate, alone[row].estimates[quantity].estimate
        assert abs(a.value - b.value) <= 4 * np.hypot(a.error, b.error), quantity
    other = measure_map(critical16, "m", [given[0], rg.Decimation()], 4, ("coherence",))["coherence"].estimates
    a, b = other["noise_0[2]"].estimate, alone["coherence"].estimates["noise_0"].estimate
    assert abs(a.value - b.value) > 8 * np.hypot(a.error, b.error)  # the twin


def test_one_map_is_asked_once(critical16):
    """A map that is iterated has no names of further maps, and its one step is its first."""
    rows = measure_map(critical16, "m", MAJORITY, 0, ASKED)
    named = [name for name, row in rows.items() for quantity in row.estimates if quantity.endswith("[2]")]
    assert set(named) == {"symmetry"}  # the field of level 2, as before
    subject = prepare(critical16, as_maps(MAJORITY, "m"), MAJORITY, "m", 0)
    assert len(subject.steps) == 1
    assert subject.sides == ()
    assert len(subject.levels) == 3


def test_the_first_map_has_the_numbers_that_it_has_alone(critical16):
    alone, first = (measure_map(critical16, "m", given, 3, ASKED[:3]) for given in (MAJORITY, [MAJORITY, copies]))
    for row, diagnostic in alone.items():
        for name, quantity in diagnostic.estimates.items():
            one, other = first[row].estimates[name].estimate, quantity.estimate
            np.testing.assert_allclose((one.value, one.error), (other.value, other.error), rtol=1e-5, atol=1e-9)


def test_an_extended_unit_of_4x4_is_in_doubt_and_of_8x8_fails():
    """Two coarse spacings about a unit are half of the lattice from which 4×4 units are made."""
    criteria = INSTRUMENTS["vh_pattern"].criteria
    spread = Diagnostic(
        None,
        "",
        {
            f"{name}[2]": Quantity(rg.Estimate(x, 0.01))
            for name, x in {"extended_units": 0.5, "crowded_units": 0.0}.items()
        },
    )
    answers = {
        side: apply(criteria, spread, None, 4000, Scale(4 * side, 2, maps=2, sides=(4 * side, 2 * side, side))).passed
        for side in (8, 4)
    }
    assert answers == {8: False, 4: None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("second", "right"),
    [
        (MAJORITY, RG_STEP),
        (block_network(16, 4), RG_STEP),
        (rg.RandomTiling(seed=4), FEATURES),
        (Flipped(0.02), FEATURES),
    ],
)
def test_at_32(second, right):
    """16×16 to 8×8 units, all rows."""
    data = rg.sample(size=32, samples=4000, seed=772)
    assert rg.judge(data, {"m": [MAJORITY, second]}, 33).maps["m"].verdict == right


@pytest.mark.parametrize("maps", [(rg.Majority(), rg.Average()), (rg.Average(), rg.Majority())])
def test_real_h_of_any_map_is_read_by_its_signs(critical16, maps):
    """Whichever map is real: the average has y_h = 2 and its sign, the majority rule, 15/8; the whole battery."""
    entry = rg.judge(critical16, {"m": list(maps)}, 33).maps["m"]
    assert entry.verdict == RG_STEP, entry.reason
    assert "y_h_sign[1]" in entry.estimates("mcrg")
