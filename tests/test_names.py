"""Names that users give and names that are made never meet, failures that are none of ours say what to do."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

import rgstep as rg
from rgstep import cli, jobs
from rgstep.files import clashing
from rgstep.nets import training
from rgstep.report import Report
from rgstep.results import MapReport

pytestmark = pytest.mark.usefixtures("as_users_run")


def comparison(*maps):
    return jobs.Comparison(8, 2.5, 100, 2, 0, maps, 1, None, 3, (), False)


def network(path, seed=0):
    """A file with a network that counts as trained."""
    rbm = rg.untrained_rbm(64, 16, seed)
    rg.save(path, rg.RBM(rbm.weights, rbm.visible_bias, rbm.hidden_bias, {"preset": "mine", "seed": seed}))
    return str(path)


def test_a_given_name_is_never_that_of_a_null(tmp_path):
    given = [network(tmp_path / name, seed) for seed, name in enumerate(("foo.npz", "foo@untrained.npz"))]
    user_maps = jobs.check(comparison(*given))
    assert sorted(user_maps) == sorted(["foo", given[1]])
    maps = jobs.with_nulls(user_maps, 0)
    assert maps[given[1]] is user_maps[given[1]]
    assert maps["foo@untrained"].origin["preset"] == "untrained"
    assert len(maps) == 4


def test_where_names_are_taken_as_they_come_one_is_lost(tmp_path, monkeypatch):
    """The twin: what was done before."""
    given = [network(tmp_path / name) for name in ("foo.npz", "foo@untrained.npz")]
    monkeypatch.setattr(jobs, "generated", lambda label: False)
    user_maps = jobs.check(comparison(*given))
    assert jobs.with_nulls(user_maps, 0)["foo@untrained"] is not user_maps["foo@untrained"]


@pytest.mark.parametrize("name", ["rbm_default~2.npz", "a~b.npz", "Majority.npz", "majority.npz", "x@permuted.npz"])
def test_a_file_named_like_what_is_made_keeps_its_whole_name(tmp_path, name):
    given = network(tmp_path / name)
    assert list(jobs.check(comparison(given))) == [given]
    assert f"{given}@untrained" in jobs.with_nulls(jobs.check(comparison(given)), 0)  # and its null


def test_two_files_that_differ_by_capitals_have_two_files(tmp_path):
    given = [network(tmp_path / name) for name in ("foo.npz", "FOO.npz")]
    assert len(jobs.check(comparison(*given))) == 2
    with pytest.raises(rg.InputError, match="rename one"):
        jobs.check(comparison(*given, network(tmp_path / "Foo.npz")))


def test_names_of_one_file_are_refused_before_they_are_written(tmp_path):
    rows = MapReport("not judged", "judged", "", {}, {"row": {"x": np.zeros(3)}})
    report = Report({"temperature": 2.0, "size": 4}, {"foo": rows, "Foo": rows})
    with pytest.raises(rg.InputError, match="one file"):
        rg.save(tmp_path / "out", report)
    assert not (tmp_path / "out").exists()
    assert clashing(["a", "b"], ["c"]) is None
    assert clashing(["a"], ["A"]) == "A"
    long = "x" * 200
    assert clashing([long], [importlib.import_module("rgstep.files").file_name(long)])  # a name made to coincide


def test_a_training_of_years_is_refused_within_seconds(monkeypatch):
    with pytest.raises(rg.InputError, match=r"steps = 2000000000 would take about .* days.*steps = 25920 would fit"):
        training.require_time(0, 2 * 10**9, 0.01)
    training.require_time(0, 2 * 10**4, 0.01)
    with pytest.raises(rg.InputError, match="steps = "):
        rg.train_rbm(rg.sample(4, 2.5, 100), 4, steps=10**20)
    monkeypatch.setattr(training, "TIMED_AFTER", 0.0)
    monkeypatch.setattr(training, "LONGEST_TRAINING", 1.0)
    with pytest.raises(rg.InputError, match="would take about"):
        rg.train_rbm(rg.sample(4, 2.5, 100), 4, steps=2 * 10**9)
    monkeypatch.setattr(training, "LONGEST_TRAINING", np.inf)
    assert rg.train_rbm(rg.sample(4, 2.5, 100), 4, steps=3).origin["steps"] == 3


def fails_in(path, error):
    """Return an exception raised in a function whose file has a name."""
    code = compile("def load(self):\n    raise self.error", path, "exec")
    space = {}
    exec(code, space)
    try:
        space["load"](SimpleNamespace(error=error, _cache_path="/somewhere/__pycache__"))
    except Exception as caught:
        return caught


def test_failures_of_others_say_what_to_do():
    damaged = fails_in("/lib/numba/core/caching.py", EOFError("Ran out of input"))
    assert "'/somewhere/__pycache__' is damaged: delete its files *.nbi and *.nbc" in cli.remedy_of(damaged)
    assert cli.remedy_of(fails_in("/lib/numba/core/other.py", EOFError())) == ""
    assert "memory of this machine is used up" in cli.remedy_of(MemoryError())
    assert cli.remedy_of(RuntimeError("a bug")) == ""
