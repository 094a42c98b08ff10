"""Random streams by name: other names, other streams; and a judgement never uses a name twice."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import rgstep as rg
from rgstep import battery, blocking, gauge, streams
from rgstep.blocking import Scrambled
from rgstep.instruments import base, decoy
from rgstep.streams import stream

ASKING = (base, blocking, decoy, gauge)  # the modules that draw from streams in a judgement


def first_draws(rng):
    """Return the first words of a stream: equal for equal streams only, but for one chance in 2^256."""
    return tuple(rng.integers(0, 2**63, 4).tolist())


NAMES = [
    (0, "h"),
    (1, "h"),
    (0, "H"),
    (0, "h", 1),
    (0, "h", 0),
    (0, "h", 1, 0),
    (0, "h", "1"),
    (0, "h", 11),
    (0, "h", 1, 1),
    (0, "h, 1"),
    (0, "h 1"),
    (10, "h"),
    (2**32, "h"),
    (2**64, "h"),
    (3, "h"),
    (3, "h", 0),
    (0, ""),
]


def test_streams_of_different_names_differ():
    """[3] and [3, 0], 1 and "1", 1, 1 and 11, and a purpose that holds what another has beside it."""
    drawn = {name: first_draws(stream(*name)) for name in NAMES}
    assert len(set(drawn.values())) == len(NAMES)


def test_lists_of_numbers_would_not_do():
    """The twin: NumPy takes a list with a zero at its end for the shorter one, which names do not."""
    assert first_draws(np.random.default_rng([3])) == first_draws(np.random.default_rng([3, 0]))
    assert first_draws(stream(3, "h")) != first_draws(stream(3, "h", 0))


def test_equal_names_give_equal_streams():
    for name in NAMES:
        assert first_draws(stream(*name)) == first_draws(stream(*name))


def test_numbers_of_numpy_name_the_same_streams(as_users_run):
    """A level counted by NumPy prints as np.int64(2), which is no other name."""
    assert first_draws(stream(np.int64(3), "h", np.int64(2))) == first_draws(stream(3, "h", 2))
    assert first_draws(stream(3, "h", np.str_("2"))) == first_draws(stream(3, "h", "2"))


def test_a_stream_is_the_same_on_every_machine():
    """The numbers of a name do not change from one version or Python to the next: reports are made again by them."""
    assert first_draws(stream(7, "h", 1))[0] == 8589984903718897432


def test_streams_of_different_names_are_uncorrelated():
    """Fifty purposes and levels: all pairs within five standard errors."""
    x = np.stack([stream(0, purpose, level).normal(size=10_000) for purpose in "abcdefghij" for level in range(5)])
    pairs = np.array([a @ b / 100 for a, b in itertools.combinations(x, 2)])
    assert np.abs(pairs).max() < 5
    assert pairs.std() == pytest.approx(1, abs=0.1)
    same = stream(0, "a", 0).normal(size=10_000) @ x[0] / 100  # the twin: a name used twice
    assert same > 90


# --- what a judgement draws


def test_no_module_draws_from_a_stream_that_is_not_recorded():
    """Who imports `stream` is in `ASKING`, so that the tests below see every name."""
    source = Path(streams.__file__).parent
    asking = {
        path.relative_to(source).with_suffix("").as_posix().replace("/", ".")
        for path in source.rglob("*.py")
        if "from rgstep.streams import stream" in path.read_text(encoding="utf-8")
    }
    of_data = {"controls", "nets.states"}  # before a judgement: to train on, to tell the order of weights
    of_training = {"stack", "stationary", "nets.shared_rbm", "nets.information_filter", "learned"}
    of_other_work = {"flows", "temperatures", "classifier", "sizes", "scaling", "data_collapse"}
    of_other_work |= {"experiments.base", "experiments.veiga_vicente"}
    of_words = {"forecast"}  # after a judgement, from its numbers
    asking -= of_training | of_other_work | of_words  # none of them is part of a judgement
    assert asking == {module.__name__.removeprefix("rgstep.") for module in ASKING} | of_data


@pytest.fixture
def drawn_by_map(monkeypatch):
    """For each map that is made ready, in turn, the names that are asked for and the first draws of their streams."""
    maps = []

    def recorded(*name):
        maps[-1].append((name, first_draws(stream(*name))))
        return stream(*name)

    def prepared(*args):
        maps.append([])
        return base.prepare(*args)

    for module in ASKING:
        monkeypatch.setattr(module, "stream", recorded)
    monkeypatch.setattr(battery, "prepare", prepared)
    blocking.permutation.cache_clear()  # drawn once in a process
    return maps


@pytest.fixture(scope="module")
def critical16():
    """300 critical configurations of side 16: nothing need be decided, only drawn."""
    return rg.sample(16, rg.CRITICAL_TEMPERATURE, 300, seed=16)


def networks():
    """Maps of side 8 whose places are found, beside one whose are given."""
    network = rg.untrained_rbm(visible=64, hidden=16, seed=0)
    return {"majority": rg.Majority(), "network": network, "scrambled": Scrambled(rg.Majority())}


def rules():
    """Maps of side 16 with several levels: of ±1, of real h and of two maps one after the other."""
    return {"majority": rg.Majority(), "average": rg.Average(), "sequence": [rg.Majority(), rg.BernoulliBlock()]}


def used_twice(drawn):
    """Return the names that one map draws from more than once."""
    return {name for name, times in Counter(name for name, _ in drawn).items() if times > 1}


def of_judgement(drawn):
    """Leave out the fixed throws of the residual by chance, which are the same for every placing of the units."""
    return [(name, draws) for name, draws in drawn if name[:2] != (0, "random centres")]


@pytest.mark.parametrize(("ensemble", "maps"), [("critical8", networks), ("critical16", rules)])
def test_a_judgement_uses_no_name_twice_for_one_map(request, drawn_by_map, ensemble, maps):
    """Majority, a network and a scrambled map; maps of several levels: all streams of each of them differ."""
    rg.judge(request.getfixturevalue(ensemble), maps())
    assert len(drawn_by_map) == len(maps()) + 1  # the majority rule beside them is one more
    for drawn in map(of_judgement, drawn_by_map):
        assert (0, "h", 1) in dict(drawn)
        assert used_twice(drawn) == set()
        assert len({draws for _, draws in drawn}) == len(drawn)
    of_name = dict(itertools.chain(*drawn_by_map))
    assert len(set(of_name.values())) == len(of_name) > 3


def test_another_seed_draws_from_other_streams(critical16, drawn_by_map):
    for seed in (0, 1):
        rg.judge(critical16, {"average": rg.Average()}, seed=seed)
    first, _, second, _ = drawn_by_map
    assert len(first) == len(second)
    assert not {draws for _, draws in first} & {draws for _, draws in second}


def test_a_name_used_twice_is_found_out(critical16, drawn_by_map, monkeypatch):
    """The twin: a judgement that forgets which level it draws for uses a name twice, and draws the same again."""
    rng = base.Subject.rng
    monkeypatch.setattr(base.Subject, "rng", lambda self, purpose, *which: rng(self, purpose))
    rg.judge(critical16, {"average": rg.Average()})
    assert used_twice(drawn_by_map[0])
    assert len({draws for _, draws in drawn_by_map[0]}) < len(drawn_by_map[0])
