"""Bad input at the border: whatever a public function is given, it works or says in one line what is wrong.

For every public callable there is a call that works, and each of its arguments in turn is replaced by values that no
one should give. Nothing but `InputError` may come out, also no warning; its message is one short line that names the
argument. A fixed part of the calls is made every time, all of them in the slow test.
"""

import datetime
import decimal
import fractions
import functools
import importlib.util
import inspect
import pathlib
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

import rgstep as rg
from rgstep import jobs, reproduction
from rgstep.ising import ising
from rgstep.nets.conversion import load_rbms, save_rbms
from rgstep.nets.presets import Training
from rgstep.nets.training import load_checkpoints
from rgstep.parts import Part, write_part
from rgstep.patterns import pattern_correlator, pattern_statistics
from rgstep.report import load_report
from rgstep.results import MapReport
from rgstep.store import load_ensemble, load_rbm, save_ensemble, save_rbm
from rgstep.studies import run
from rgstep.studies.plan import TASK, plan_of

LONGEST = 500  # characters of a message
QUICK = 1500  # calls of the fast test


# --- what no one should give


class Rude:
    """An object that raises wherever it is touched."""

    def __repr__(self):
        raise RuntimeError

    def __array__(self, *_, **__):
        raise RuntimeError

    def __fspath__(self):
        raise RuntimeError


class Names:
    """A path object whose name is no text."""

    def __fspath__(self):
        return b"x"


HOSTILE = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "1.5": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e300": lambda: 1e300,
    "2**63": lambda: 2**63,
    "10**400": lambda: 10**400,
    "-10**5000": lambda: -(10**5000),
    "a third": lambda: fractions.Fraction(1, 3),
    "a large fraction": lambda: fractions.Fraction(10**400, 3),
    "a decimal": lambda: decimal.Decimal(2),
    "1j": lambda: 1j,
    "np.float32(nan)": lambda: np.float32("nan"),
    "np.float64(inf)": lambda: np.float64("inf"),
    "np.int64(-3)": lambda: np.int64(-3),
    "np.bool_": lambda: np.True_,
    "no text": lambda: "",
    "text": lambda: "x",
    "text with a NUL": lambda: "a\0b",
    "text of two lines": lambda: "a\nb",
    "long text": lambda: "x" * 10_000,
    "bytes": lambda: b"x",
    "a missing file": lambda: pathlib.Path("missing") / "file.npz",
    "a folder": lambda: pathlib.Path(),
    "a path of bytes": Names,
    "[]": list,
    "()": tuple,
    "[1, 2]": lambda: [1, 2],
    "[None]": lambda: [None],
    "[10**400]": lambda: [10**400],
    "a long list": lambda: [*[1.0] * 100_000, "x"],
    "a ragged list": lambda: [[1], [1, -1]],
    "a list of texts": lambda: ["a", "b"],
    "{}": dict,
    "{'a': 1}": lambda: {"a": 1},
    "{1: 2}": lambda: {1: 2},
    "a set": lambda: {1, 2},
    "range": lambda: range(3),
    "a generator": lambda: (x for x in (1, -1)),
    "object()": object,
    "an object that raises": Rude,
    "a class": lambda: int,
    "a class of ours": lambda: rg.Majority,
    "lambda: 0": lambda: lambda: 0,
    "lambda x: x": lambda: lambda x: x,
    "a day": lambda: datetime.date(2020, 1, 1),
    "np.array(8)": lambda: np.array(8),
    "np.array(nan)": lambda: np.array(np.nan),
    "np.array([1, 2])": lambda: np.array([1, 2]),
    "nan of a shape": lambda: np.full((3, 8, 8), np.nan),
    "1e300 of a shape": lambda: np.full((3, 8, 8), 1e300),
    "no sample": lambda: np.zeros((0, 8, 8)),
    "one configuration": lambda: np.ones((16, 16), np.int8),
    "four axes": lambda: np.ones((2, 3, 4, 5)),
    "not square": lambda: np.ones((3, 8, 6)),
    "0 and 1": lambda: np.eye(8, dtype=np.uint8)[None],
    "booleans": lambda: np.eye(8, dtype=bool)[None],
    "complex": lambda: np.ones((3, 8, 8), complex),
    "objects": lambda: np.array([[None, 1], [2, 3]], dtype=object),
    "texts": lambda: np.full((3, 8, 8), "a"),
    "days": lambda: np.zeros((3, 8, 8), "datetime64[s]"),
    "records": lambda: np.zeros((3, 8), [("a", int)]),
    "masked": lambda: np.ma.masked_all((3, 8, 8)),
    "a matrix of jax": lambda: importlib.import_module("jax.numpy").ones((3, 4)),
}
if importlib.util.find_spec("torch"):
    HOSTILE |= {
        "a tensor": lambda: importlib.import_module("torch").ones(3, 8, 8),
        "a tensor with gradients": lambda: importlib.import_module("torch").ones(3, 8, 8, requires_grad=True),
        "a number with gradients": lambda: importlib.import_module("torch").tensor(1.0, requires_grad=True),
        "a tensor on meta": lambda: importlib.import_module("torch").ones(3, 8, 8, device="meta"),
        "a number on meta": lambda: importlib.import_module("torch").tensor(1, device="meta"),
        "a module": lambda: importlib.import_module("torch").nn.Linear(3, 2),
    }


# --- calls that work


@dataclass
class Good:
    """A call that works; `also` are other words that a message may use for an argument, `slow` takes seconds."""

    name: str
    function: Callable
    arguments: Mapping[str, object]
    also: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False


QUICK_TRAINING = {"hidden": 4, "steps": 3, "batch": 5, "chains": 4}
PATHS = "file|folder|archive|report|checkpoint|output"


@functools.cache
def ensemble():
    """Return 40 configurations of side 8."""
    return rg.sample(8, np.inf, 40, seed=1)


@functools.cache
def network():
    """Return a small network on a lattice of side 8."""
    return rg.untrained_rbm(64, 4)


@functools.cache
def report():
    """Return a report of one map without rows."""
    return rg.Report({"size": 8, "temperature": 2.0}, {"a": MapReport("not judged", "judged", "", {})})


def silent(stage, done, total, note=""):
    """Take progress and say nothing."""


def rules() -> Iterator[Good]:
    """The maps made by hand, and what they are given."""
    v, rng = ensemble().unpack(), np.random.default_rng(0)
    for kind in (rg.Average, rg.Decimation, rg.CrossMajority, rg.FarMajority):
        yield Good(kind.__name__, kind, {"block": 2})
    yield Good("Majority", rg.Majority, {"block": 2, "ties": "first"})
    yield Good("WindowMajority", rg.WindowMajority, {"width": 4, "block": 2})
    yield Good("BernoulliBlock", rg.BernoulliBlock, {"weight": 1.0, "block": 2})
    yield Good("RandomTiling", rg.RandomTiling, {"block": 2, "seed": 0})
    shared = {"weights": np.ones((2, 2)), "block": 2, "bias": 0.0, "temperature": 1.0}
    yield Good("SharedKernel", rg.SharedKernel, {**shared, "origin": {"a": 1}, "history": {"step": np.arange(3)}})
    yield Good("Output", rg.Output, {"encoder": lambda v: (v, v[:, ::2, ::2]), "which": 1})
    yield Good("Scrambled", rg.Scrambled, {"coarse": rg.Majority(), "seed": 0})
    made = [
        rg.Average(),
        rg.Majority(),
        rg.Majority(ties="zero"),
        rg.Decimation(),
        rg.CrossMajority(),
        rg.FarMajority(),
    ]
    made += [rg.WindowMajority(), rg.BernoulliBlock(), rg.RandomTiling(), rg.Scrambled(rg.Majority()), network()]
    made += [rg.SharedKernel(np.ones((2, 2)))]
    for one in made:
        kind = type(one).__name__
        yield Good(f"{kind}.mean_h", one.mean_h, {"v": v}, {"v": "configurations"})
        yield Good(f"{kind}.sample_h", one.sample_h, {"v": v, "rng": rng}, {"v": "configurations"})


def networks() -> Iterator[Good]:
    """Networks: made from numbers, and what they are given."""
    rbm, rng = network(), np.random.default_rng(0)
    v, h = ensemble().unpack(), np.ones((3, 4), np.int8)
    made = {"visible": 16, "hidden": 4, "seed": 0, "weights_sd": 0.05}
    yield Good("untrained_rbm", rg.untrained_rbm, made)
    given = {"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
    yield Good("RBM", rg.RBM, {**given, "origin": {"a": 1}, "history": {"step": np.arange(3)}})
    yield Good("RBM.mean_v", rbm.mean_v, {"h": h}, {"h": "hidden variables"})
    yield Good("RBM.sample_v", rbm.sample_v, {"h": h, "rng": rng}, {"h": "hidden variables"})
    yield Good("RBM.free_energy", rbm.free_energy, {"v": v}, {"v": "configurations"})
    held_out = {"rbm": rbm, "held_out": ensemble(), "seed": 0, "temperatures": 10, "seconds": 1e-9}
    also = {"held_out": "temperature", "rbm": "network"}
    yield Good("assess", rg.assess, {**held_out, "trajectory": [rbm], "progress": silent}, also, slow=True)
    trained = {"data": ensemble(), **QUICK_TRAINING, "seed": 0, "preset": "default", "checkpoints": None, "devices": 1}
    also = {"checkpoints": PATHS, "batch": "configurations|memory", "levels": "network|tempering"}
    also |= dict.fromkeys(("chains", "hidden"), "network|ladder")
    yield Good("train_rbm", rg.train_rbm, {**trained, "progress": silent}, also, slow=True)
    asked = {"data": ensemble(), "preset": "chung2020", "seed": 0, "checkpoints": None, "progress": silent}
    also = {"checkpoints": PATHS, "batch": "configurations|memory"} | dict.fromkeys(
        ("learning_rate", "start"), "weights exploded"
    )
    yield Good("train_kernel", rg.train_kernel, {**asked, "steps": 2, "kernel": 2, "batch": 5}, also, slow=True)
    also = {"checkpoints": PATHS, "batch": "configurations|memory", "levels": "network|tempering"}
    also |= dict.fromkeys(("chains", "hidden"), "network|ladder")
    others = {name: value for name, value in vars(Training()).items() if name not in trained}
    yield Good("Training", Training, {**others, "steps": 3, "batch": 5, "chains": 4}, {"levels": "tempering"})
    other_network = {name: value for name, value in others.items() if name != "levels"}
    also |= dict.fromkeys(("learning_rate", "weights_sd", "momentum", "epsilon", "l1", "l2"), "weights exploded")
    yield Good("train_rbm with settings", rg.train_rbm, {**trained, **other_network}, also, slow=True)


def stacks() -> Iterator[Good]:
    """Stacks of networks: made of maps, trained, and asked."""
    v, rng = ensemble().unpack(), np.random.default_rng(0)
    yield Good("Stack", rg.Stack, {"layers": (rg.Majority(),), "origin": {"a": 1}})
    stack = rg.Stack((rg.Majority(),))
    yield Good("Stack.mean_h", stack.mean_h, {"v": v}, {"v": "configurations"})
    yield Good("Stack.sample_h", stack.sample_h, {"v": v, "rng": rng}, {"v": "configurations"})
    trained = {"data": ensemble(), "levels": 1, "seed": 0, "preset": "default", "checkpoints": None, "progress": silent}
    also = {"checkpoints": PATHS, "levels": "levels|stack"}
    settings = {"steps": 3, "batch": 5, "chains": 4}
    yield Good("train_stack", rg.train_stack, {**trained, **settings}, also, slow=True)


def configurations() -> Iterator[Good]:
    """What makes configurations, holds and measures them."""
    v, h, spins = ensemble(), rg.Majority(), ensemble().unpack()
    asked = {"size": 8, "temperature": 3.0, "samples": 20, "seed": 0, "mode": "iid", "kernel": "auto", "threads": 1}
    asked |= {"time_limit": 60.0, "progress": silent}
    also = {"temperature": "temperatures", "threads": "memory"}
    yield Good("sample", rg.sample, {**asked, "temperature": np.inf}, also)
    yield Good("sample with chains", rg.sample, asked, also, slow=True)
    yield Good("IsingStream", rg.IsingStream, {"size": 8, "temperature": np.inf, "seed": 0, "spacing": 2.0})
    yield Good(
        "IsingStream.bits", rg.IsingStream(8, np.inf).bits, {"first": 3, "count": 5}, {"count": "configurations"}
    )
    yield Good("ensemble_from_array", rg.ensemble_from_array, {"spins": spins, "temperature": 2.0, "origin": {}})
    made = {"spins": spins, "system": ising(8, 2.0), "origin": {"a": 1}, "independent": True}
    yield Good("Ensemble", rg.Ensemble, made)
    yield Good("Ensemble.unpack", v.unpack, {"start": 0, "stop": 3, "dtype": np.int8})
    yield Good("Ensemble.pieces", v.pieces, {"dtype": np.int8})
    yield Good("visible_hidden", rg.visible_hidden, {"v": v, "h": h, "connected": True, "devices": 1})
    yield Good("two_point", rg.two_point, {"field": v, "connected": True})
    yield Good("scaling_dimensions", rg.scaling_dimensions, {"field": np.tile(spins, (16, 1, 1)), "nearest": 1.0})
    yield Good("pattern_statistics", pattern_statistics, {"v": v, "h": h})
    yield Good("pattern_correlator", pattern_correlator, {"v": v, "h": h, "mean_subtracted": True})
    judged = {"ensemble": v, "maps": {"m": h}, "seed": 0, "progress": silent, "controls": ["majority"], "block": 2}
    yield Good("judge", rg.judge, judged, {"maps": "map"}, slow=True)
    report = rg.judge(v, {"m": h})
    yield Good("explore", rg.explore, {"report": report, "widget": False}, slow=True)
    yield Good("progress_bars", lambda quiet: rg.progress_bars(quiet).__enter__(), {"quiet": True})


def sizes() -> Iterator[Good]:
    """Finite-size scaling of tables and configurations."""
    L, T = np.repeat([8.0, 16.0], 6), np.tile(np.linspace(2.2, 2.34, 6), 2)
    table = {"sizes": L, "temperatures": T, "values": np.tanh((2.27 - T) * L), "errors": np.full(12, 0.01)}
    also = dict.fromkeys(table, "points|temperatures|values|sizes")
    yield Good("crossings", rg.crossings, {**table, "degree": 2, "shift": 2.75, "seed": 0}, also)
    yield Good("collapse", rg.collapse, {**table, "exponent": 0.0, "in_coupling": True}, also)
    law = {"sizes": [8, 16, 32], "values": [1.0, 2.0, 4.0], "errors": [0.1, 0.1, 0.1], "window": (8, 32)}
    yield Good("power_law", rg.power_law, law, {**also, "window": "window|sizes"})
    sets = [np.tile(ensemble().unpack(), (4, 1, 1))] * 2
    yield Good("size_tables", rg.size_tables, {"sets": sets, "temperatures": 2.3}, {"temperatures": "temperature|sets"})
    asked = {"data": sets, "temperature": 2.3, "window": (4, 32), "seed": 0}
    yield Good("exponents", rg.exponents, asked, {"data": "data|sets"})


def flows() -> Iterator[Good]:
    """Flows, and temperatures."""
    asked = {"coarse": network(), "start": "zero", "kind": "reconstruction", "sampled": True, "steps": 2}
    asked |= {"restart": False, "classifier": False, "samples": 70, "size": 8, "seed": 0, "progress": silent}
    also = {"samples": "memory", "size": "start|lattice", "kind": "coarse", "start": "coarse"}
    yield Good("flow", rg.flow, asked, also)
    by_levels = {**asked, "coarse": rg.Majority(), "kind": "coarse"}
    yield Good("flow by levels", rg.flow, by_levels, {**also, "coarse": "map"}, slow=True)
    v = rg.sample(8, np.inf, 80, seed=1)
    yield Good("thermometers", rg.thermometers, {"state": v, "classifier": False, "progress": silent}, slow=True)


@functools.wraps(load_checkpoints)
def of_a_run(folder, network):
    """Load checkpoints where there is a run, trained when first asked for."""
    if not pathlib.Path("run").exists():
        rg.train_rbm(ensemble(), method="cd", checkpoints="run", **QUICK_TRAINING)
    return load_checkpoints(folder, network)


def files() -> Iterator[Good]:
    """What is stored, in the folder where the calls are made."""
    save_ensemble("e.npz", ensemble())
    save_rbm("r.npz", network())
    report().save("report", force=True)
    for name, load in (("e.npz", load_ensemble), ("r.npz", load_rbm)):
        yield Good(load.__name__, load, {"path": name}, {"path": PATHS})
    yield Good("load_report", load_report, {"directory": "report"}, {"directory": PATHS})
    also = {"folder": PATHS, "path": PATHS, "directory": PATHS}
    yield Good("load_checkpoints", of_a_run, {"folder": "run", "network": 0}, also, slow=True)
    for name in ("e.npz", "r.npz", "report"):
        yield Good("load", rg.load, {"path": name}, also)
        yield Good("info", rg.info, {"path": name}, also)
    yield Good("save", rg.save, {"path": "new.npz", "thing": network(), "force": True}, also)
    yield Good("save_ensemble", save_ensemble, {"path": "new.npz", "ensemble": ensemble()}, also)
    yield Good("save_rbm", save_rbm, {"path": "new.npz", "rbm": network()}, also)
    yield Good("Report", rg.Report, {"origin": {"size": 8}, "maps": {}})
    yield Good("Report.save", report().save, {"directory": "new", "force": True}, also)
    yield Good("Report.tables", report().tables, {"width": 80})
    if importlib.util.find_spec("h5py"):
        save_rbms("r.h5", network())
        yield Good("load_rbms", load_rbms, {"path": "r.h5", "update": None}, also)


def comparisons() -> Iterator[Good]:
    """The whole job, which is checked and not done."""
    asked = {"size": 8, "temperature": 3.0, "samples": 20, "block": 2, "seed": 0, "maps": ["koch2020"], "seeds": 1}
    asked |= {"hidden": 4, "steps": 3, "controls": ["permuted"], "decoy": False, "force": True, "command": "test"}
    also = {
        "out": PATHS,
        "maps": "map",
        "controls": "control",
        "block": "blocks",
        "hidden": "memory|⟨v h⟩",
        "seeds": "memory|comparing",
    }
    yield Good("compare", rg.compare, {"out": "compared", **asked, "progress": silent}, also)
    save_ensemble("given.npz", ensemble())
    given = {"out": "compared", "configurations": "given.npz", "maps": ["koch2020"], "steps": 3}
    yield Good("compare given", rg.compare, given, {"configurations": PATHS, "out": PATHS, "maps": "map"})
    np.savez("arrays.npz", one=ensemble().unpack(), T=3.0)
    named = {"out": "compared", "data": "arrays.npz", "array": "one", "maps": ["koch2020"], "steps": 3}
    yield Good("compare data", rg.compare, named, {"data": PATHS, "out": PATHS, "maps": "map", "array": "arrays"})


def claims() -> Iterator[Good]:
    """Published claims, which are checked and not measured."""
    asked = {"name": "p1", "quick": True, "seed": 0, "out": "claims", "force": False, "progress": silent}
    yield Good("reproduce", rg.reproduce, asked, {"out": PATHS, "name": "claim"})


def study_calls() -> Iterator[Good]:
    """A study that is done, so that nothing is left to run."""
    plan = plan_of({"title": "done", "grid": {"map": ["majority"]}})
    pathlib.Path("study.toml").write_text('title = "done"\n[grid]\nmap = ["majority"]\n')
    pathlib.Path("study").mkdir()
    run.write_plan(pathlib.Path("study"), plan)
    values = {"verdict": "RG step", "reason": "", "fate": None, "passed": {}, "rows": {}}
    write_part(pathlib.Path("study"), TASK, Part(plan.tasks[0], values, 1.0))
    asked = {"out": "study", "workers": 1, "executor": None, "dask": None, "progress": silent}
    also = {"plan": PATHS, "out": f"{PATHS}|study", "executor": "engine|executor", "dask": "executor|scheduler"}
    yield Good("run_study", rg.run_study, {"plan": "study.toml", **asked}, also)
    yield Good("study_status", rg.study_status, {"out": "study"}, {"out": f"{PATHS}|study"})
    yield Good("collect_study", rg.collect_study, {"out": "study"}, {"out": f"{PATHS}|study"})


def everything() -> list[Good]:
    """Every call that works; files are written into the working folder."""
    kinds = (rules, networks, stacks, configurations, sizes, flows, files, comparisons, claims, study_calls)
    return [good for kind in kinds for good in kind()]


# --- the harness


def fault(good: Good, argument: str, value: object) -> str | None:
    """Return what is wrong with the answer to a call with one argument replaced; None if it works or says so well."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            good.function(**{**good.arguments, argument: value})
    except rg.InputError as error:
        text, words = str(error), "|".join(filter(None, (argument, good.also.get(argument))))
        if "\n" in text or len(text) >= LONGEST:
            return f"a message of {len(text)} characters, {text.count(chr(10)) + 1} lines: {text[:80]!r}"
        return None if re.search(rf"\b({words})\b", text) else f"a message that does not name it: {text[:200]!r}"
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {str(error)[:120]!r}"
    return None


OWN = {("progress", "a module")}  # takes any arguments and then raises: the caller's own function


def crossed(goods: list[Good], slow: bool) -> list[tuple[Good, str, str]]:
    """Return every (call, argument, name of a value)."""
    return [
        (good, argument, name)
        for good in goods
        if slow or not good.slow
        for argument in good.arguments
        for name in HOSTILE
        if (argument, name) not in OWN
    ]


def faults(calls: list[tuple[Good, str, str]]) -> list[str]:
    """Return a line for each call that goes wrong."""
    found = []
    for good, argument, name in calls:
        if said := fault(good, argument, HOSTILE[name]()):
            found.append(f"{good.name}({argument} = {name}): {said}")
    return found


@pytest.fixture
def goods(tmp_path, monkeypatch):
    """Every call that works, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "run", lambda comparison, *_, **__: jobs.check(comparison))
    monkeypatch.setattr(reproduction, "one_by_one", lambda *_, **__: ())
    monkeypatch.setattr(run.Run, "go", lambda *_: None)
    return everything()


# --- the tests


@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_one_line_that_names_the_argument(goods):
    """A fixed sample of the quick calls."""
    calls = random.Random(1).sample(crossed(goods, slow=False), QUICK)
    assert len({(good.name, argument) for good, argument, _ in calls}) > 100
    assert faults(calls) == []


@pytest.mark.slow
@pytest.mark.usefixtures("as_users_run")
def test_all_bad_input_is_one_line_that_names_the_argument(goods):
    """Every value in the place of every argument, also where a call takes seconds."""
    calls = crossed(goods, slow=True)
    assert len(calls) > 12_000
    assert faults(calls) == []


@pytest.mark.usefixtures("as_users_run")
def test_the_calls_that_should_work_do(goods):
    for good in goods:
        if not good.slow:
            good.function(**good.arguments)


@pytest.mark.usefixtures("as_users_run")
def test_what_is_not_checked_is_reported():
    """The same functions without their rules, and answers that break the form."""
    unchecked = rg.untrained_rbm.__wrapped__
    good = Good("unchecked", unchecked, {"visible": 16, "hidden": 4, "weights_sd": 0.05})
    tried = [call for call in crossed([good], slow=False) if call[1] == "weights_sd"]
    assert 30 < len(faults(tried)) < len(tried)

    def says(message):
        def function(size):
            raise rg.InputError(message)

        return fault(Good("says", function, {"size": 1}), "size", None)

    assert says("size = None: must be whole") is None
    assert "does not name it" in says("it must be whole")
    assert "2 lines" in says("size\nmust be whole")
    assert "500 characters" in says("size" + "e" * 496)

    def warns(size):
        warnings.warn("size", stacklevel=2)

    assert "UserWarning" in fault(Good("warns", warns, {"size": 1}), "size", None)


RESULTS = ("Estimate", "Flow", "Temperatures")  # what functions return: no one makes one by hand
OF_USERS = {"Output"}  # its methods call a function of the user, whose own errors are its answer
SILENT = {"InputError", "CoarseGraining", *RESULTS}
METHODS = ("mean_h", "sample_h", "mean_v", "sample_v", "free_energy", "unpack", "pieces", "bits", "save", "tables")
OPEN = {"data", "overrides"}  # arguments without a rule of their own: read inside


def test_every_public_callable_is_given_bad_input(goods):
    tried = {good.name.partition(" ")[0]: set() for good in goods}
    for good in goods:
        tried[good.name.partition(" ")[0]] |= good.arguments.keys()
    public = {name: getattr(rg, name) for name in rg.__all__ if callable(getattr(rg, name))}
    assert public.keys() - tried.keys() == SILENT
    for name, function in public.items():
        if name not in SILENT:
            assert set(inspect.signature(function).parameters) - {"overrides"} <= tried[name], name
    for name, kind in public.items():
        methods = [m for m in METHODS if isinstance(kind, type) and hasattr(kind, m) and name not in SILENT | OF_USERS]
        assert all(f"{name}.{method}" in tried for method in methods), name


# --- what used to pass in silence


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rg.untrained_rbm(16, 4, weights_sd=float("nan")), "weights_sd = nan: must be a finite number"),
        (lambda: rg.visible_hidden(ensemble(), rg.Majority(), connected=2), "connected = 2: must be True or False"),
        (lambda: rg.two_point(ensemble(), connected="no"), "connected = 'no': must be True or False"),
        (lambda: rg.RBM(["1"], [1.0], [1.0]), "weights has values of type <U1: expected real numbers"),
        (lambda: rg.sample(8, b"x", 4), "temperature = b'x': must be between 0 and infinity"),
        (lambda: rg.Majority().mean_h(np.eye(4, dtype=bool)[None]), "v has type bool: spins are numbers"),
        (lambda: rg.ensemble_from_array(np.ones((16, 16)), 2.0), r"spins has shape \(16, 16\): give it a sample axis"),
    ],
    ids=["weights", "switch", "word", "texts", "bytes", "booleans", "one configuration"],
)
@pytest.mark.usefixtures("as_users_run")
def test_what_used_to_be_taken(call, says):
    with pytest.raises(rg.InputError, match=says):
        call()


@pytest.mark.usefixtures("as_users_run")
def test_one_configuration_needs_its_sample_axis():
    """An (L, L) array could be one configuration or L of them; the message's own remedies read it either way."""
    spins = ensemble().unpack(0, 16).reshape(16, 64)[:, :16]  # 16 of 4×4, or one of 16×16
    with pytest.raises(rg.InputError, match="give it a sample axis") as caught:
        rg.ensemble_from_array(spins, 2.0)
    one, several = re.search(r"axis, (.*) if it is one .*, (np\.reshape.*) if 16 of 4×4", str(caught.value)).groups()
    names = {"spins": spins, "np": np}
    for code, shape in ((one, (1, 16, 16)), (several, (16, 4, 4))):
        assert rg.ensemble_from_array(eval(code, names), 2.0).spins.shape == shape
    assert len(rg.ensemble_from_array(spins[:15], 2.0)) == 15  # (sample, L²) is read as before
    with pytest.raises(rg.InputError, match=r"sample axis, np\.asarray\(v\)\[None\] if it is one configuration"):
        rg.visible_hidden(np.ones((8, 8)), rg.Majority())


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float32])
def test_the_remedy_for_zeros_and_ones_can_be_followed(dtype):
    spins = ensemble().unpack()
    given = ((spins + 1) // 2).astype(dtype)
    with pytest.raises(rg.InputError, match="use ") as caught:
        rg.ensemble_from_array(given, 2.0)
    code = re.search(r"use (.*)$", str(caught.value)).group(1)
    turned = eval(code, {"spins": given, "np": np})
    np.testing.assert_array_equal(rg.ensemble_from_array(turned, 2.0).spins, spins)


def test_minus_one_in_a_type_without_signs_has_a_remedy_too():
    spins = ensemble().unpack()
    given = spins.astype(np.uint8)  # 1 and 255
    with pytest.raises(rg.InputError, match=r"spins contains 255\.0") as caught:
        rg.ensemble_from_array(given, 2.0)
    turned = eval(re.search(r"use (.*)$", str(caught.value)).group(1), {"spins": given, "np": np})
    np.testing.assert_array_equal(turned, spins)
