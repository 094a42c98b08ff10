"""Studies: what a task is depends on its settings alone, and what is done stays done."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import dying
import numpy as np
import pytest
from typer.testing import CliRunner

import rgstep as rg
from rgstep import cli
from rgstep.arguments import InputError
from rgstep.parts import Part, path_of
from rgstep.studies import measure, run
from rgstep.studies.collect import Collected, collect_study, write_collected
from rgstep.studies.engines import engine, processes
from rgstep.studies.plan import DEFAULTS, TASK, chains, plan_of, read_plan, task, training_of

TINY = {
    "title": "tiny",
    "show": ["vh_pattern/crowded_units", "mcrg/y_h[0]"],
    "fixed": {"size": 8, "preset": "mehta2014", "samples": 400, "judged_samples": 400},
    "grid": {"temperature": ["critical", 3.0], "steps": [20, 60], "seed": [0, 1]},
}
RULES = {"title": "rules", "fixed": {"size": 8, "judged_samples": 200}, "grid": {"map": ["majority", "decimation"]}}


GONE, BAD, CLOSED = ("the disk\nis gone",), ("seed = 5: no",), ("scheduler closed",)


class Inline(ThreadPoolExecutor):
    """One thread of this process."""

    def __init__(self):
        super().__init__(1)


def toml(plan):
    lines = [f"title = {json.dumps(plan['title'])}", f"show = {json.dumps(plan.get('show', []))}"]
    for name in ("fixed", "grid"):
        lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in plan.get(name, {}).items())]
    return "\n".join(lines) + "\n"


@pytest.fixture
def no_work(monkeypatch):
    """Tasks that take no time; the numbers are those of the settings."""

    def measured(_, settings):
        rows = {"mcrg": {"y_h[0]": [settings["seed"] + settings["judged_samples"], 0.1], "none": [None, None]}}
        return {"verdict": "RG step", "reason": "", "fate": None, "passed": {}, "rows": rows}

    monkeypatch.setattr(measure, "measure", measured)
    monkeypatch.setattr(measure, "make_input", lambda folder, given: None)


def contents(folder):
    """Return all that tasks say but how long they took."""
    found = {}
    for path in sorted((folder / "tasks").glob("*.json")):
        one = json.loads(path.read_text())
        found[path.stem] = (one["settings"], one["values"])
    return found


# --- the plan


def test_a_task_is_its_settings_with_every_default():
    one = task({"seed": 3})
    assert one == {**dict(sorted(DEFAULTS.items())), "seed": 3}
    assert task({"temperature": "critical"})["temperature"] == rg.CRITICAL_TEMPERATURE
    assert task({"temperature": float("inf")})["temperature"] == "inf"


def test_the_grid_is_every_combination():
    plan = plan_of(TINY)
    assert len(plan.tasks) == 8
    assert {(t["temperature"], t["steps"], t["seed"]) for t in plan.tasks} == {
        (T, steps, seed) for T in (rg.CRITICAL_TEMPERATURE, 3.0) for steps in (20, 60) for seed in (0, 1)
    }


def test_tasks_of_one_training_are_one_chain_the_shortest_first():
    found = chains(plan_of(TINY).tasks)
    assert [[t["steps"] for t in chain] for chain in found] == [[20, 60]] * 4
    scheduled = {**TINY, "fixed": {**TINY["fixed"], "preset": "default"}}  # its rate decays over the run
    assert len(chains(plan_of(scheduled).tasks)) == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grid": {}}, "no tasks"),
        ({"grid": {"stepps": [1, 2]}}, "did you mean 'steps'"),
        ({"grid": {"preset": ["mehta2015"]}}, "did you mean 'mehta2014'"),
        ({"grid": {"map": ["majorty"]}}, "did you mean 'majority'"),
        ({"grid": {"steps": 5}}, "must be a list"),
        ({"grid": {"steps": []}}, "must be a list"),
        ({"grid": {"steps": [5, 5]}}, "different"),
        ({"grid": {"steps": [5, -1]}}, "steps = -1"),
        ({"grid": {"seed": [0], "temperature": ["critical", rg.CRITICAL_TEMPERATURE]}}, "same task"),
        ({"fixed": {"seed": 0}}, "both fixed and an axis"),
        ({"grid": {"temperature": ["warm"]}}, "'critical' or 'inf'"),
        ({"grid": {"seed": [{}]}}, "one plain value"),
        ({"grid": {"seed": list(range(1001)), "data_seed": list(range(1001))}}, "1,000,000"),
        ({"grids": {}}, "did you mean 'grid'"),
        ({"title": ""}, "title"),
        ({"fixed": 5}, "must be a table"),
        ({"show": ["y_h"]}, "row/quantity"),
        ({"grid": {"map": ["rbm", "stack"], "hidden": [4]}}, "only rbm has it"),
        ({"grid": {"levels": [2], "map": ["rbm"]}}, "only stack has it"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_before_anything_runs(change, said):
    fixed = {name: value for name, value in TINY["fixed"].items() if name not in change.get("grid", {})}
    with pytest.raises(InputError, match=said):
        plan_of({**TINY, "fixed": fixed, **change})


def test_a_bad_file_leaves_no_folder(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(toml({**TINY, "grid": {"stepps": [1, 2]}}))
    with pytest.raises(InputError, match="did you mean 'steps'"):
        rg.run_study(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "title = ", "\0", "[grid", "a" * 10_000, "x = " + "[" * 5_000])
def test_files_that_are_no_study(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError):
        read_plan(tmp_path / "a.toml")
    with pytest.raises(InputError, match="no file"):
        read_plan(tmp_path / "b.toml")


# --- the run


def test_a_study_of_real_tasks_is_the_same_in_any_order_and_when_it_was_cut(tmp_path):
    """In one go; and in another order with a stop between: the same values, bit by bit."""
    plan = plan_of({**TINY, "grid": {"temperature": [3.0], "steps": [20, 60], "seed": [0]}})
    status = rg.run_study(plan, tmp_path / "a", executor=Inline())
    assert (status.done, status.total, status.alive, dict(status.failed)) == (2, 2, False, {})
    folder = tmp_path / "b"
    only = plan_of({**TINY, "grid": {"seed": [0], "steps": [20], "temperature": [3.0]}})
    rg.run_study(only, folder, executor=Inline())
    turned = plan_of({**TINY, "grid": {"seed": [0], "steps": [60, 20], "temperature": [3.0]}})
    rg.run_study(turned, folder, executor=Inline())
    assert contents(tmp_path / "a") == contents(folder)
    assert not list((folder / "trainings").iterdir())
    values = [part.values["rows"]["mcrg"]["y_h[0]"][0] for part in collect_study(folder).parts]
    assert len(set(values)) == 2  # they are not one network


def test_a_task_that_is_done_is_not_done_again(tmp_path, no_work, monkeypatch):
    rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    monkeypatch.setattr(measure, "measure", lambda *_: pytest.fail("done again"))
    assert rg.run_study(plan_of(RULES), tmp_path, executor=Inline()).done == 2


def test_a_study_may_grow(tmp_path, no_work):
    rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    more = {**RULES, "grid": {"map": ["majority", "decimation", "average"]}}
    assert rg.run_study(plan_of(more), tmp_path, executor=Inline()).done == 3


def test_a_damaged_task_does_not_count_and_is_done_again(tmp_path, no_work):
    plan = plan_of(RULES)
    rg.run_study(plan, tmp_path, executor=Inline())
    path = path_of(tmp_path, TASK, plan.tasks[0])
    for broken in (path.read_text().replace("[200,", "[201,"), path.read_text()[:50], ""):
        path.write_text(broken)
        status = rg.study_status(tmp_path)
        assert status.done == 1
        assert "does not count" in status.notes[0]
    assert rg.run_study(plan, tmp_path, executor=Inline()).done == 2


def test_failures_are_tried_again_reported_and_block_nothing(tmp_path, no_work, monkeypatch):
    tries = []
    good = measure.measure

    def failing(folder, settings):
        if settings["map"] == "majority":
            tries.append(1)
            raise OSError(*GONE)
        return good(folder, settings)

    monkeypatch.setattr(measure, "measure", failing)
    status = rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    assert (status.done, len(tries)) == (1, run.TRIES)
    assert "map majority" in str(status)
    assert "OSError: the disk" in str(status)
    monkeypatch.setattr(measure, "measure", good)
    status = rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    assert (status.done, dict(status.failed)) == (2, {})


def test_bad_input_is_not_tried_again(tmp_path, no_work, monkeypatch):
    tries = []

    def failing(folder, settings):
        tries.append(1)
        raise InputError(*BAD)

    monkeypatch.setattr(measure, "measure", failing)
    status = rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    assert len(tries) == len(status.failed) == 2


def test_configurations_that_cannot_be_had_are_the_reason(tmp_path, no_work, monkeypatch):
    def failing(folder, given):
        if given["temperature"] == 3.0:
            raise InputError(*BAD)

    monkeypatch.setattr(measure, "make_input", failing)
    status = rg.run_study(plan_of(TINY), tmp_path, executor=Inline())
    assert (status.done, len(status.failed)) == (4, 4)
    assert {(one["settings"]["temperature"], one["reason"]) for one in status.failed.values()} == {(3.0, BAD[0])}


def test_damaged_configurations_are_sampled_again(tmp_path):
    given = {"size": 4, "temperature": 2.0, "samples": 50, "seed": 1}
    measure.make_input(tmp_path, given)
    path = measure.path_of_input(tmp_path, given)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    measure.make_input(tmp_path, given)
    assert rg.load(path).unpack().tobytes() == rg.sample(4, 2.0, 50, 1, mode="thin").unpack().tobytes()


def test_a_job_that_kills_its_worker_fails_alone(tmp_path):
    """Real processes: of three jobs that kill their workers two never end, one does at its second try."""

    def was_begun(name):
        return (tmp_path / name).exists()

    with processes(2) as start:
        one = run.Run(tmp_path, plan_of(RULES), start, None)
        jobs = ["once", "always", "always too", *(f"plain {n}" for n in range(12))]
        ended = dict(one.results(dying.job, jobs, was_begun))
    assert isinstance(ended.pop("always"), BrokenProcessPool)
    assert isinstance(ended.pop("always too"), BrokenProcessPool)
    assert ended == dict.fromkeys(["once", *(f"plain {n}" for n in range(12))])


def test_workers_that_die_before_they_begin_are_not_started_for_ever(tmp_path):
    with processes(2) as start:
        one = run.Run(tmp_path, plan_of(RULES), start, None)
        ended = dict(one.results(dying.job, ["always", "always too"], lambda _: False))
    assert all(isinstance(error, BrokenProcessPool) for error in ended.values())
    assert len(ended) == 2


class Gone(ThreadPoolExecutor):
    """An engine whose workers are lost after the first job."""

    def __init__(self):
        super().__init__(1)
        self.taken = 0

    def submit(self, *job):
        self.taken += 1
        if self.taken > 1:
            raise RuntimeError(*CLOSED)
        return super().submit(*job)


def test_an_engine_that_is_lost_leaves_what_is_done(tmp_path, no_work):
    with pytest.raises(InputError, match="the workers are lost"):
        rg.run_study(plan_of(RULES), tmp_path, executor=Gone())
    assert rg.run_study(plan_of(RULES), tmp_path, executor=Inline()).done == 2


class Silent(ThreadPoolExecutor):
    """An engine that never answers, as that of a client of Dask whose scheduler died."""

    def __init__(self, status):
        super().__init__(1)
        self._client = SimpleNamespace(status=status)

    def submit(self, *_):
        return Future()


def test_a_scheduler_that_is_gone_is_one_line(tmp_path, no_work, monkeypatch):
    monkeypatch.setattr(run, "LOOK_EVERY", 0.01)
    with pytest.raises(InputError, match="the scheduler is gone"):
        rg.run_study(plan_of(RULES), tmp_path, executor=Silent("closed"))


def test_workers_that_take_long_are_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOOK_EVERY", 0.01)
    one = run.Run(tmp_path, plan_of(RULES), lambda: Silent("running"), None)
    late: Future = Future()
    timer = threading.Timer(0.2, late.set_result, [None])
    timer.start()
    assert one.ended([late]) == {late}
    timer.join()


class Cancelling(ThreadPoolExecutor):
    """An engine that cancels every job."""

    def submit(self, *_):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_cancelled_jobs_count_as_failed(tmp_path, no_work):
    status = rg.run_study(plan_of(RULES), tmp_path, executor=Cancelling(1))
    assert len(status.failed) == 2
    assert "CancelledError" in str(status)


# --- the folder


def test_a_folder_of_something_else_is_refused(tmp_path, no_work):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        rg.run_study(plan_of(RULES), tmp_path / "a", executor=Inline())
    rg.run_study(plan_of(RULES), tmp_path / "b", executor=Inline())
    with pytest.raises(InputError, match="another study, 'rules'"):
        rg.run_study(plan_of(TINY), tmp_path / "b", executor=Inline())
    file = tmp_path / "b" / run.STUDY
    file.write_text(file.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="format 99"):
        rg.study_status(tmp_path / "b")
    file.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        rg.study_status(tmp_path / "b")
    assert rg.run_study(plan_of(RULES), tmp_path / "b", executor=Inline()).done == 2
    with pytest.raises(InputError, match="holds no study"):
        rg.study_status(tmp_path / "c")


def test_a_folder_of_another_version_is_refused_by_a_run_too(tmp_path, no_work):
    rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    file = tmp_path / run.STUDY
    file.write_text(file.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="format 99"):
        rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    assert "99" in file.read_text()


def test_one_run_at_a_time(tmp_path, no_work):
    rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
    assert not rg.study_status(tmp_path).alive
    with run.only_run(tmp_path):
        code = (
            f"import fcntl; f = open({str(tmp_path / run.LOCK)!r}, 'a+'); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0
        with pytest.raises(InputError, match=f"in use by another run .process {os.getpid()}"):
            rg.run_study(plan_of(RULES), tmp_path, executor=Inline())
        assert rg.study_status(tmp_path).alive


# --- kills: the driver, at random moments, of tasks that only write

DRIVER = """
import sys, time
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from rgstep.studies import measure, run
from rgstep.studies.engines import processes
from rgstep.studies.plan import plan_of
def measured(folder, settings):
    time.sleep(0.002)
    rows = {"mcrg": {"y_h[0]": [settings["seed"] * 1.5, 0.1]}}
    return {"verdict": "RG step", "reason": "", "fate": None, "passed": {}, "rows": rows}
measure.measure, measure.make_input = measured, lambda folder, given: None
plan = plan_of({"title": "kill", "grid": {"seed": list(range(150))}, "fixed": {"map": "majority"}})
print("begun", flush=True)
while True:
    status = run.run_study(plan, sys.argv[1], executor=ThreadPoolExecutor(2))
    if "once" in sys.argv:
        break
    for path in (Path(sys.argv[1]) / "tasks").glob("*.json"):
        path.unlink()
print(status.done)
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_sixty_times_loses_nothing(tmp_path):
    """Each kill hits another moment of the writing; each time what is there counts or is not there."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        with subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.5)))
            child.send_signal(signal.SIGKILL)
        if (tmp_path / run.STUDY).exists():
            status = rg.study_status(tmp_path)
            assert not status.alive
            assert not status.notes
    done = subprocess.run([sys.executable, "-c", DRIVER, str(tmp_path), "once"], capture_output=True, check=True)
    assert done.stdout.split()[-1] == b"150"
    values = {p.settings["seed"]: p.values["rows"]["mcrg"]["y_h[0]"][0] for p in collect_study(tmp_path).parts}
    assert values == {seed: 1.5 * seed for seed in range(150)}


# --- what is collected


def made_up(plan):
    """A study that is done, whose numbers are known."""
    parts = []
    for one in plan.tasks:
        step = one["steps"] == 60
        rows = {"mcrg": {"y_h[0]": [1.8 + 0.1 * one["seed"], 0.01]}}
        values = {"verdict": "RG step" if step else "feature extractor, not RG", "fate": None, "rows": rows}
        parts.append(Part(one, values, 1.0))
    return Collected(plan, parts)


def test_the_table_has_means_over_seeds():
    found = made_up(plan_of(TINY))
    groups = list(found.groups())
    assert len(groups) == 4
    assert "1.850(50)" in str(found)
    lines = found.to_csv().splitlines()
    assert len(lines) == 9
    assert lines[
        0
    ] == "temperature,steps,seed,verdict,fate,vh_pattern/crowded_units,vh_pattern/crowded_units error," + (
        "mcrg/y_h[0],mcrg/y_h[0] error"
    )
    assert lines[1].endswith(",,,1.8,0.01")


def test_the_data_set_is_labelled():
    pytest.importorskip("xarray")
    data = made_up(plan_of(TINY)).to_xarray()
    one = data.sel(temperature=3.0, steps=60, seed=1)
    assert one["value"].sel(quantity="mcrg/y_h[0]").item() == pytest.approx(1.9)
    assert one["verdict"].item() == "RG step"
    assert data["error"].dims == ("temperature", "steps", "seed", "quantity")


def test_the_data_set_opens_without_us(tmp_path):
    xarray = pytest.importorskip("xarray")
    plan = plan_of({**TINY, "grid": {"temperature": ["inf", 3.0], "steps": [20, 60], "seed": [0, 1]}})
    write_collected(made_up(plan), tmp_path)
    data = xarray.open_zarr(tmp_path / "collected.zarr").load()
    assert data["value"].sel(temperature=np.inf, steps=20, seed=1, quantity="mcrg/y_h[0]").item() == pytest.approx(1.9)
    assert data["verdict"].sel(temperature=3.0, steps=60, seed=0).item() == "RG step"


def test_figures_are_drawn(tmp_path):
    found = made_up(plan_of(TINY))
    files = write_collected(found, tmp_path)
    assert {path.name for path in files} == {
        "collected.csv",
        "collected.md",
        "axis-temperature.png",
        "axis-steps.png",
        "phases.png",
        "collected.zarr",
    }
    assert all(path.is_dir() or path.stat().st_size > 100 for path in files)
    with pytest.raises(InputError, match="axis = 'l1'"):
        found.figure("l1")


def test_networks_of_one_training_share_their_seed_and_others_do_not():
    short, long, other = (task({"preset": "mehta2014", "steps": s, "seed": i}) for s, i in ((1, 0), (2, 0), (1, 1)))
    assert training_of(short) == training_of(long) != training_of(other)


# --- the command


def test_the_command_runs_says_and_collects(tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text(toml(RULES))
    out = tmp_path / "out"
    done = CliRunner().invoke(cli.app, ["study", "run", str(file), "--out", str(out), "--workers", "1", "--quiet"])
    assert done.exit_code == 0, done.output
    said = CliRunner().invoke(cli.app, ["study", "status", str(out), "--json"])
    assert json.loads(said.stdout)["done"] == 2
    said = CliRunner().invoke(cli.app, ["study", "collect", str(out)])
    assert "| majority | 1 |" in said.stdout.replace("  ", " ")
    wrong = CliRunner().invoke(cli.app, ["study", "colect", str(out)])
    assert wrong.exit_code == 2
    assert "collect" in wrong.output


@pytest.mark.parametrize("address", [pytest.param("127.0.0.1:1", marks=pytest.mark.slow), "no such place"])
def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, address):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="no scheduler answers"):
        rg.run_study(plan_of(RULES), tmp_path, dask=address)


@pytest.mark.slow
def test_a_scheduler_that_is_killed_ends_the_run_with_one_line(tmp_path):
    """What is done counts: the next run goes on."""
    distributed = pytest.importorskip("distributed")
    plan = plan_of({**TINY, "grid": {"steps": [20, 60], "seed": list(range(40))}})
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    file = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen([*command, "--no-dashboard", "--scheduler-file", str(file)])
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1"]
    )
    try:
        with distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(1)
            address = client.scheduler.address

        def kill(stage, done, total, note=""):
            if stage == "tasks" and done >= 2:
                scheduler.kill()

        with pytest.raises(InputError, match="the workers are lost"):
            rg.run_study(plan, tmp_path / "study", dask=address, progress=kill)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    done = rg.study_status(tmp_path / "study").done
    assert 2 <= done < 80
    assert rg.run_study(plan, tmp_path / "study", workers=1).done == 80


@pytest.mark.slow
def test_dask_gives_the_same_bits(tmp_path):
    pytest.importorskip("distributed")
    plan = plan_of({**TINY, "grid": {"steps": [20, 60], "seed": [0, 1]}})
    rg.run_study(plan, tmp_path / "a", workers=1)
    rg.run_study(plan, tmp_path / "b", dask="local", workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_workers_of_dask_keep_their_memory_and_are_not_profiled():
    """By a threshold in the environment of workers, which Dask alone sets: the twin."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    with engine(None, "local", 1) as start:
        assert start().submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result() is None
        assert start().submit(dask.config.get, "distributed.worker.profile.enabled").result() is False
    with distributed.LocalCluster(n_workers=1) as cluster, distributed.Client(cluster) as client:
        assert client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result() is not None


def test_examples_are_studies():
    for path in (Path(__file__).parent.parent / "examples").glob("*.toml"):
        assert read_plan(path).tasks
