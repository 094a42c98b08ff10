"""The command line: what each verb writes and prints, and the one line that says what is wrong."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jaxtyping
import numpy as np
import pytest
import scipy.io
import typer
from typer.testing import CliRunner

import rgstep as rg
from rgstep import cli

VERBS = sorted(typer.main.get_command(cli.app).commands)
TINY = ["--size", "8", "--samples", "200", "--steps", "100"]
LIGHT = [*TINY, "--map", "majority"]  # no network to train but the untrained one
LIGHT_MAPS = ("average", "majority", "decimation", "rbm_untrained")
MAPS = """
import numpy as np

def corner(v):
    return v[:, ::2, ::2]

def broken(v):
    raise ZeroDivisionError("this map is broken")

def half(v):
    return v[: len(v) // 2, ::2, ::2]

class Unmade:
    def mean_h(self, v):
        return v
    def sample_h(self, v, rng):
        return v
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in this process, in an empty folder, as a user would: without checks of types at run time."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    jaxtyping.config.update("jaxtyping_disable", True)
    yield lambda *arguments: CliRunner().invoke(cli.app, [str(a) for a in arguments])
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def no_work(monkeypatch):
    """Let whatever samples, trains or writes fail: what is checked before work starts never comes to it."""
    for module in map(importlib.import_module, ("rgstep.jobs", "rgstep.commands")):
        for name in {"sample", "train_rbm", "train_stack", "train_kernel", "output_folder", "judge"} & vars(
            module
        ).keys():
            monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("work started"))


@pytest.fixture
def no_page(monkeypatch):
    """Leave the drawing out: most of the time of a tiny comparison."""
    for module in ("rgstep.jobs", "rgstep.commands"):
        monkeypatch.setattr(importlib.import_module(module), "write_page", lambda *arguments: None)


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the figures out of the page."""
    monkeypatch.setattr(importlib.import_module("rgstep.page"), "plates_of", lambda report, row: iter(()))


def files(folder):
    """Every path below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def says(result, rule):
    """The result of bad input: status 2, one line on standard error, nothing on standard output."""
    lines = result.stderr.splitlines()
    assert result.exit_code == 2, result.output
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("rgstep: ")
    assert rule in lines[0], lines[0]
    assert result.stdout == ""


# --- help


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help(run, verb):
    command = typer.main.get_command(cli.app).commands[verb]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{verb} {parameter.name}"
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert command.help.splitlines()[0][:40] in result.stdout.replace("\n", " ")


@pytest.mark.parametrize("verb", [v for v in VERBS if v != "info"])
def test_every_verb_takes_json_and_quiet(verb):
    names = {option for p in typer.main.get_command(cli.app).commands[verb].params for option in p.opts}
    assert {"--json", "--quiet"} <= names


def test_help_names_every_verb_and_loads_nothing_heavy():
    code = (
        "import sys\nsys.argv = ['rgstep', '--help']\nfrom rgstep.cli import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'jax', 'numba', 'matplotlib', 'scipy', 'optax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for verb in VERBS:
        assert verb in done.stdout


def test_without_a_verb_there_is_help(run):
    result = run()
    assert "compare" in result.output


# --- compare, in full, once


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One comparison with everything: a network of each kind, a user's function, the page; printed as JSON."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "maps.py").write_text(MAPS)
    arguments = ["compare", *TINY, "--seed", "3", "--map", "rbm_koch2020", "--map", "maps.py:corner"]
    done = subprocess.run(
        [script(), *arguments, "--out", "out", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def script():
    return str(Path(sys.executable).with_name("rgstep"))


def test_compare_writes_the_report_the_figures_and_the_data(compared):
    folder, _ = compared
    written = files(folder / "out")
    assert {"report.html", "report.json", "data", "figures", "data/ensemble.npz"} <= set(written)
    names = ["average", "majority", "decimation", "rbm_untrained", "rbm_koch2020", "corner"]
    assert {f"data/maps/{name}.npz" for name in names} <= set(written)
    assert {f"figures/vh_{name}.png" for name in names} <= set(written)
    assert "figures/spatial_correlator.svg" in written
    assert not [name for name in written if "/." in f"/{name}"]
    assert {path.partition("/")[0] for path in files(folder)} - {"__pycache__"} == {"maps.py", "out"}
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


def test_printed_json_is_the_file_s(compared):
    folder, done = compared
    assert json.loads(done.stdout) == json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))


def test_the_report_says_how_to_repeat_it(compared):
    _, done = compared
    origin = json.loads(done.stdout)["origin"]
    assert origin["command"].split()[0] == "rgstep"
    assert "--map maps.py:corner" in origin["command"]
    assert (origin["size"], origin["samples"], origin["seed"]) == (8, 200, 3)
    assert {"numpy", "jax", "rgstep"} <= set(origin["versions"])


def test_the_ensemble_and_the_networks_are_kept(compared):
    folder, _ = compared
    ensemble = rg.load(folder / "out" / "data" / "ensemble.npz")
    np.testing.assert_array_equal(ensemble.spins, rg.sample(8, samples=200, seed=3).spins)
    network = rg.load(folder / "out" / "data" / "networks" / "rbm_koch2020.npz")
    assert network.origin["steps"] == 100
    np.testing.assert_array_equal(
        rg.load(folder / "out" / "data" / "networks" / "rbm_untrained.npz").weights,
        rg.untrained_rbm(64, 16, seed=3).weights,
    )


def test_the_table_in_the_terminal(run, no_page):
    result = run("compare", *LIGHT, "--out", "out")
    assert result.exit_code == 0, result.stderr
    for word in ("average", "majority", "decimation", "rbm_untrained", "undecided", "report.html"):
        assert word in result.stdout


def numbers(folder):
    report = json.loads((Path(folder) / "report.json").read_text())
    for name in ("command", "started", "seconds"):
        del report["origin"][name]
    del report["checksum"]  # of the origin, too
    return report


def test_the_same_seed_gives_the_same_numbers(compared, run, no_page):
    """In another process, of user's maps too."""
    Path("maps.py").write_text(MAPS)
    assert run("compare", *LIGHT, "--seed", 3, "--map", "maps.py:corner", "--out", "out", "--quiet").exit_code == 0
    maps, others = (numbers(folder)["maps"] for folder in ("out", compared[0] / "out"))
    assert {*LIGHT_MAPS, "corner"} <= set(maps) <= set(others)
    assert all(maps[name] == others[name] for name in maps)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_of_networks(compared, run, no_page):
    Path("maps.py").write_text(MAPS)
    arguments = [*TINY, "--seed", 3, "--map", "rbm_koch2020", "--map", "maps.py:corner"]
    assert run("compare", *arguments, "--out", "out", "--quiet").exit_code == 0
    assert numbers("out") == numbers(compared[0] / "out")


def test_another_seed_gives_other_numbers(compared, run, no_page):
    """Of the configurations, and of what is drawn from the same ones."""
    assert run("compare", *LIGHT, "--seed", 4, "--out", "out", "--quiet").exit_code == 0
    maps, others = (numbers(folder)["maps"] for folder in ("out", compared[0] / "out"))
    assert set(LIGHT_MAPS) <= set(maps) <= set(others)
    assert all(maps[name] != others[name] for name in maps)


@pytest.mark.slow
def test_several_seeds_train_several_networks(run, no_page):
    result = run("compare", *TINY, "--map", "koch2020", "--seeds", 2, "--out", "out", "--json", "--quiet")
    maps = json.loads(result.stdout)["maps"]
    assert [name.partition("~")[0] for name in maps].count("rbm_koch2020") == 2
    assert [name.partition("~")[0] for name in maps].count("rbm_untrained") == 2


@pytest.mark.slow
def test_two_maps_of_one_name_are_both_measured(run, no_page):
    """Also a user's map called like one of ours, or like a file of the report."""
    Path("deep").mkdir()
    for place in ("one.py", "deep/two.py"):
        Path(place).write_text("def corner(v):\n    return v[:, ::2, ::2]\nmajority = ensemble = corner\n")
    maps = ["one.py:corner", "deep/two.py:corner", "one.py:majority", "one.py:ensemble"]
    result = run("compare", *LIGHT, *(x for m in maps for x in ("--map", m)), "--out", "out", "--quiet")
    assert result.exit_code == 0, result.stderr
    report = rg.load("out")
    assert len(report.maps) == 5 + len(maps)
    pictures = [entry.arrays["vh_pattern"]["vh"] for entry in report.maps.values() if "user" in entry.about]
    assert len(pictures) == len(maps)
    for picture in pictures:
        np.testing.assert_array_equal(picture, report.maps["decimation"].arrays["vh_pattern"]["vh"])
    assert len(rg.load("out/data/ensemble.npz")) == 200


def page_at(run, temperature):
    """Run a comparison with its page at one temperature."""
    result = run("compare", *LIGHT, "--temperature", temperature, "--out", "out", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout, parse_constant=pytest.fail)
    assert (Path("out") / "report.html").exists()


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("temperature", ["0", "inf", "2.5"])
def test_any_temperature_gives_a_page(run, temperature):
    """At both ends of the scale, too."""
    page_at(run, temperature)


@pytest.mark.usefixtures("no_figures")
def test_the_smallest_lattice_gives_a_page(run):
    tiny = ["--size", "4", "--samples", "200", "--map", "majority"]
    result = run("compare", *tiny, "--out", "out", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert without_nan(Path("out") / "report.html")


def without_nan(page):
    """Whether no number on a page is none."""
    shown = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)  # letters of pictures
    return "nan" not in re.sub(r"data:image/[^\"]*", "", shown).lower().replace("nanometre", "")


@pytest.mark.slow
@pytest.mark.parametrize("temperature", ["0", "inf", "2.5"])
def test_any_temperature_gives_figures(run, temperature):
    page_at(run, temperature)
    assert (Path("out") / "figures" / "two_point.png").exists()


def test_force_replaces_results_and_nothing_else(run, no_page):
    """Without a word, if so asked."""
    Path("out").mkdir()
    (Path("out") / "notes.txt").write_text("mine")
    says(run("compare", *LIGHT, "--out", "out"), "--force")
    assert files(".") == ["out", "out/notes.txt"]
    quiet = run("compare", *LIGHT, "--out", "out", "--force", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    assert (Path("out") / "notes.txt").read_text() == "mine"
    assert (Path("out") / "report.json").exists()


# --- bad input

BAD = {
    "odd size": (["--size", "7"], "size = 7"),
    "size 2": (["--size", "2"], "size = 2"),
    "size 0": (["--size", "0"], "size = 0"),
    "negative size": (["--size", "-8"], "size = -8"),
    "blocks that do not tile": (["--block", "3"], "blocks of side 3 do not tile a lattice of side 8"),
    "block 0": (["--block", "0"], "block = 0"),
    "negative temperature": (["--temperature", "-1"], "temperature = -1"),
    "temperature nan": (["--temperature", "nan"], "temperature = nan"),
    "temperature of words": (["--temperature", "warm"], "temperature = 'warm'"),
    "no samples": (["--samples", "0"], "samples = 0"),
    "negative samples": (["--samples", "-5"], "samples = -5"),
    "no hidden units": (["--hidden", "0"], "hidden = 0"),
    "no steps": (["--map", "koch2020", "--steps", "0"], "steps = 0"),
    "no steps for no network": (["--steps", "0"], "steps = 0"),
    "no seeds": (["--seeds", "0"], "seeds = 0"),
    "negative seed": (["--seed", "-1"], "seed = -1"),
    "unknown map": (["--map", "majorty"], "did you mean 'majority'"),
    "unknown network": (["--map", "rbm_koch2021"], "did you mean 'rbm_koch2020'"),
    "no such file": (["--map", "absent.py:f"], "no file 'absent.py'"),
    "no such object": (["--map", "maps.py:absent"], "has no 'absent'"),
    "no object": (["--map", "maps.py"], "file.py:object"),
    "a class": (["--map", "maps.py:Unmade"], "give an instance"),
    "a module": (["--map", "maps.py:np"], "is a module"),
    "a file that fails": (["--map", "fails.py:f"], "ZeroDivisionError"),
    "an output that is there": (["--out", "full"], "--force"),
    "an output that is a file": (["--out", "maps.py"], "is a file"),
    "an output under a file": (["--out", "maps.py/out"], "maps.py"),
    "too many samples": (["--samples", "1000000000000"], "disk"),
    "too large": (["--size", "1000000"], "memory"),
    "too many hidden units": (["--hidden", "1000000000000"], "memory"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_before_any_work(run, no_work, case):
    Path("maps.py").write_text(MAPS)
    Path("fails.py").write_text("1 / 0\n")
    Path("full").mkdir()
    (Path("full") / "report.json").write_text("old")
    before = files("..")
    arguments, rule = BAD[case]
    result = run("compare", "--size", 8, "--samples", 200, "--map", "majority", "--out", "new", *arguments)
    says(result, rule)
    assert [f for f in files("..") if "__pycache__" not in f] == before
    assert (Path("full") / "report.json").read_text() == "old"


def test_no_size_is_too_large_to_be_refused_at_once(run, no_work, monkeypatch):
    """Smaller sizes first: who looks for one that fits by trying them all is caught before the memory is full."""
    jobs, tried = importlib.import_module("rgstep.jobs"), []
    needed = jobs.bytes_needed
    monkeypatch.setattr(jobs, "bytes_needed", lambda comparison: tried.append(comparison.size) or needed(comparison))
    for size in (10**4, 10**5, 10**6, 10**12):
        tried.clear()
        says(run("compare", "--size", size, "--out", "new"), "memory")
        assert 1 <= len(tried) < 100, size


def test_a_word_for_a_number_is_status_2(run):
    """typer's own message, in its own form: it names the option."""
    result = run("compare", "--samples", "many", "--out", "new")
    assert result.exit_code == 2
    assert "--samples" in result.stderr
    assert files(".") == []


@pytest.mark.parametrize(
    ("name", "rule"),
    [("broken", "'broken' raised ZeroDivisionError (maps.py, line 8)"), ("half", "'half' returned")],
)
def test_a_map_that_fails_at_work_is_status_2_and_leaves_nothing(run, no_page, name, rule):
    Path("maps.py").write_text(MAPS)
    result = run("compare", *LIGHT, "--map", f"maps.py:{name}", "--out", "deep/out", "--quiet")
    says(result, rule)
    assert [f for f in files(".") if "__pycache__" not in f] == ["maps.py"]


def test_a_failure_of_ours_is_status_1_and_one_line(run, monkeypatch):
    def fails(*arguments):
        message = "a bug\nof two lines"
        raise RuntimeError(message)

    monkeypatch.setattr(importlib.import_module("rgstep.jobs"), "write_page", fails)
    result = run("compare", *LIGHT, "--out", "out", "--quiet")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("rgstep: failed: RuntimeError: a bug; the numbers are in 'out'")
    assert set(rg.load("out").maps) >= set(LIGHT_MAPS)  # what was measured is not thrown away with the page


# --- interrupts


def interrupt(tmp_path, arguments, delay):
    """Start a comparison, send SIGINT once its hidden folder is there, and return how it ended."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits only that it is ignored
    process = subprocess.Popen(
        [script(), "compare", *arguments, "--out", "deep/out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        while not list(tmp_path.glob("deep/out/.*")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_leaves_nothing(tmp_path):
    code, out, err = interrupt(tmp_path, ["--size", "32", "--samples", "200000"], 0.3)
    assert code == 130
    assert err.splitlines()[-1].startswith("rgstep: interrupted")
    assert "Traceback" not in err
    assert out == ""
    assert files(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 1.0, 2.5, 3.0, 4.5, 6.0])
def test_an_interrupt_at_any_stage_leaves_nothing(tmp_path, delay):
    """While sampling, compiling, training: always the same end; earlier results stay as they were."""
    (tmp_path / "deep" / "out").mkdir(parents=True)
    (tmp_path / "deep" / "out" / "report.json").write_text("old")
    code, _, err = interrupt(tmp_path, ["--size", "16", "--samples", "2000", "--steps", "2000000", "--force"], delay)
    assert code == 130, err
    assert "Traceback" not in err
    assert files(tmp_path) == ["deep", "deep/out", "deep/out/report.json"]
    assert (tmp_path / "deep" / "out" / "report.json").read_text() == "old"


# --- the other verbs


def test_sample_and_train(run):
    """A file of configurations, and a network from it."""
    sampled = run("sample", "e.npz", "--size", 8, "--samples", 100, "--temperature", 2.5, "--seed", 4, "--json")
    assert sampled.exit_code == 0, sampled.stderr
    assert json.loads(sampled.stdout)["samples"] == 100
    np.testing.assert_array_equal(rg.load("e.npz").spins, rg.sample(8, 2.5, 100, seed=4).spins)
    trained = run("train", "e.npz", "r.npz", "--hidden", 4, "--steps", 100, "--preset", "koch2020", "--json", "--quiet")
    assert trained.exit_code == 0, trained.stderr
    summary = json.loads(trained.stdout)
    assert (summary["preset"], summary["steps"]) == ("koch2020", 100)
    assert rg.load("r.npz").hidden == 4


def test_configurations_of_another_program_are_trained_on_and_compared(run, no_page):
    """0/1 in a .npy, which has no temperature, and an .npz that has; the same bits come out."""
    v = rg.sample(8, samples=200, seed=3).spins
    np.save("conf.npy", (v > 0).astype(np.uint8))
    np.savez("data.npz", C=v, T=np.full(200, rg.CRITICAL_TEMPERATURE))
    short = ["--hidden", 4, "--steps", 100, "--preset", "koch2020", "--quiet"]
    says(run("train", "conf.npy", "r.npz", *short), "file 'conf.npy' has no temperatures: give one with --temperature")
    for file, T in (("conf.npy", ["--temperature", "critical"]), ("data.npz", [])):
        assert run("train", file, f"{file}.npz", *short, *T).exit_code == 0
    np.testing.assert_array_equal(rg.load("conf.npy.npz").weights, rg.load("data.npz.npz").weights)
    done = run("compare", "--data", "data.npz", "--map", "majority", "--seed", 3, "--json")
    assert done.exit_code == 0, done.stderr
    origin = json.loads(done.stdout)["origin"]
    assert (origin["size"], origin["samples"], origin["ensemble"]["file"]) == (8, 200, "data.npz")
    np.testing.assert_array_equal(rg.load("runs/compare/data/ensemble.npz").spins, v)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--data", "absent.npy"], "no file 'absent.npy'"),
        (["--configurations", "absent.npy"], "no file 'absent.npy'"),  # the old name
        (["--array", "a"], "array = 'a' without a file: give its configurations with --data"),
        (["--data", "two.npz"], "each of which may be the configurations: choose one with --array a"),
        (["--data", "two.npz:c"], "has no array 'c'"),
        (["--data", "ours.npz", "--array", "a"], "is an ensemble of rgstep and has no arrays"),
        (["--data", "v.txt", "--temperature", "2"], "say which with --size"),
        (["--data", "ours.npz", "--size", "8"], "size = 8: the configurations in 'ours.npz' have 4"),
        (["--data", "ours.npz", "--samples", "8"], "samples = 8: the configurations in 'ours.npz' have 30"),
        (["--data", "ours.npz", "--temperature", "critical"], "temperature = 2.26919: the configurations"),
        (["--data", "bad.npy"], "holds bad float64 (3, 4, 4): expected one array of ±1 or 0/1"),
        (["--data", "one.npy", "--temperature", "2"], "give it a sample axis"),
    ],
)
def test_given_configurations_that_do_not_fit_are_one_line(run, no_work, arguments, rule):
    rg.save("ours.npz", rg.ensemble_from_array(np.ones((30, 4, 4), np.int8), 2.0))
    np.save("bad.npy", np.full((3, 4, 4), 0.5))
    np.save("one.npy", np.ones((4, 4), np.int8))
    np.savez("two.npz", a=np.ones((3, 4, 4)), b=np.ones((3, 4, 4)), T=2.0)
    Path("v.txt").write_text(("1 " * 16 + "\n") * 16)
    says(run("compare", "--map", "majority", *arguments), rule)


def test_kinds_of_files_are_compared_alike(run, no_page):
    """One array of several, MATLAB's, HDF5 and text give the numbers of one report; another seed is the twin."""
    v, T = rg.sample(8, samples=60, seed=3).spins, rg.CRITICAL_TEMPERATURE
    np.savez("a.npz", mine=v, theirs=-v, T=T)
    scipy.io.savemat("a.mat", {"spins": np.moveaxis(v, 0, -1), "T": T})
    np.savetxt("a.txt", v.reshape(60, 64), fmt="%d")
    with h5py.File("a.h5", "w") as file:
        file["spins"], file["T"] = v, T
    ways = [["a.npz:mine"], ["a.npz", "--array", "mine"], ["a.mat"], ["a.h5"], ["a.txt", "--temperature", "critical"]]
    found = []
    for seed, way in enumerate([*ways, ["a.h5"]]):
        light = ["--map", "majority", "--seed", seed // len(ways), "--quiet", "--json", "--force"]
        done = run("compare", "--data", *way, *light)
        assert done.exit_code == 0, done.stderr
        found.append(json.loads(done.stdout)["maps"])
    assert all(maps == found[0] for maps in found[:-1])
    assert found[-1] != found[0]
    with pytest.raises(rg.InputError, match=r"data = 'a' and configurations = 'b': these are one setting"):
        rg.compare("out", data="a", configurations="b")


def test_default_networks_are_trained_on_given_configurations(run, no_page, monkeypatch):
    """And on fresh ones where none are given."""
    jobs, seen = importlib.import_module("rgstep.jobs"), []
    monkeypatch.setattr(jobs, "assessed", lambda maps, *arguments: maps)
    train = jobs.train_rbm
    monkeypatch.setattr(
        jobs, "train_rbm", lambda data, *a, **k: (seen.append(type(data).__name__), train(data, *a, **k))[1]
    )
    rg.save("ours.npz", rg.sample(4, 3.0, 100, seed=1))
    quick = ["--map", "default", "--steps", 100, "--quiet", "--force"]
    assert run("compare", "--configurations", "ours.npz", *quick).exit_code == 0
    assert run("compare", "--size", 4, "--samples", 100, "--temperature", 3, *quick).exit_code == 0
    assert seen == ["Ensemble", "IsingStream"]


@pytest.mark.usefixtures("no_figures")
def test_a_page_is_drawn_again(run, critical8):
    rg.judge(critical8, {"majority": rg.Majority()}).save("out")
    drawn = run("report", "out")
    assert drawn.exit_code == 0, drawn.stderr
    assert "majority" in drawn.stdout
    assert (Path("out") / "report.html").exists()
    assert json.loads(run("report", "out", "--json", "--quiet").stdout) == json.loads(
        Path("out/report.json").read_text()
    )


def test_a_network_goes_on_where_it_was(run):
    """Trained on fresh configurations with checkpoints."""
    assert run("sample", "e.npz", "--size", 4, "--samples", 50, "--temperature", 3, "--quiet").exit_code == 0
    train = ("train", "e.npz", "r.npz", "--hidden", 4, "--steps", 60, "--fresh", "--checkpoints", "ck", "--quiet")
    assert run(*train, "--preset", "veiga2020").exit_code == 0
    first = rg.load("r.npz")
    assert first.origin["samples"] == "stream"
    assert [rbm.origin["steps"] for rbm in rg.load("ck")][-1] == 60
    assert run(*train, "--preset", "veiga2020", "--force").exit_code == 0
    np.testing.assert_array_equal(rg.load("r.npz").weights, first.weights)
    other = run(*train, "--force")
    assert other.exit_code == 2
    assert "another folder" in other.stderr


@pytest.mark.slow
def test_a_network_is_assessed_and_measured(run, no_page):
    """And then a map of a comparison."""
    rg.save("r.npz", rg.train_rbm(rg.sample(4, 3.0, 50), 4, preset="veiga2020", steps=20))
    answer = run("assess", "r.npz", "--temperature", 3, "--samples", 200)
    assert answer.exit_code == 0, answer.stderr
    assert "KL(Ising ‖ RBM)" in answer.stdout
    assert rg.load("r.npz").origin["assessment"]["equilibrium"]["verdict"] in answer.stdout
    measured = run("compare", "--size", 4, "--samples", 50, "--map", "r.npz", "--json", "--quiet")
    assert measured.exit_code == 0, measured.stderr
    assert "kl_per_spin" in json.loads(measured.stdout)["maps"]["r"]["diagnostics"]["training"]["estimates"]
    larger = run("compare", "--size", 8, "--samples", 50, "--map", "r.npz")
    assert larger.exit_code == 2
    assert "16 visible units" in larger.stderr


def test_info_lists_maps_and_presets(run):
    answer = json.loads(run("info", "--json").stdout)
    assert {"average", "majority", "rbm_koch2020"} <= set(answer["maps"])
    assert {"default", "koch2020"} <= set(answer["presets"])
    assert all(answer[package] for package in ("rgstep", "numpy", "jax"))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["sample", "e.txt"], "must end in .npz"),
        (["sample", "there.npz"], "--force"),
        (["sample", "there.npz/e.npz"], "there.npz"),
        (["sample", "e.npz", "--temperature", "hot"], "temperature = 'hot'"),
        (["train", "absent.npz", "r.npz"], "no file 'absent.npz'"),
        (["train", "there.npz", "r.npz"], "expected numbers"),
        (["train", "good.npz", "there.npz"], "--force"),
        (["train", "good.npz", "r.npz", "--preset", "koch"], "did you mean 'koch2020'"),
        (["train", "good.npz", "r.npz", "--steps", "0"], "steps = 0"),
        (["train", "good.npz", "r.txt", "--steps", "1"], "must end in .npz"),
        (["train", "good.npz", "r.npz", "--hidden", "0"], "hidden = 0"),
        (["train", "good.npz", "r.npz", "--seed", "-2"], "seed = -2"),
        (["train", "good.npz", "r.npz", "--checkpoints", "there.npz"], "'there.npz' is a file"),
        (["assess", "absent.npz"], "no file 'absent.npz'"),
        (["assess", "good.npz"], "expected rbm"),
        (["compare", "--map", "absent.npz"], "no file 'absent.npz'"),
        (["compare", "--map", "absent.h5"], "absent.h5"),
        (["report", "absent"], "no report in 'absent'"),
        (["report", "."], "no report in '.'"),
    ],
)
def test_bad_input_of_the_other_verbs(run, arguments, rule):
    Path("there.npz").write_text("there")
    rg.save("good.npz", rg.ensemble_from_array(np.ones((3, 4, 4), np.int8), 2.0))
    before = files(".")
    says(run(*arguments, *(["--size", "4", "--samples", "20"] if arguments[0] == "sample" else [])), rule)
    assert files(".") == before


@pytest.mark.parametrize(
    ("typed", "rule"),
    [(["compair"], "compare"), (["compare", "--sizee", "8"], "--sizee"), (["info", "--seed", "x"], "--seed")],
)
def test_wrong_usage_is_one_line_of_the_command_itself(typed, rule):
    """Through the installed command, as a user types it."""
    done = subprocess.run(
        [sys.executable, "-c", "from rgstep.cli import main; main()", *typed],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("rgstep: ")
    assert rule in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_controls_of_the_training_and_decoys_stand_beside_the_network(run, no_figures):
    """On the smallest lattice, whose page shows no number that is none."""
    flags = ["--control", "permuted", "--control", "gaussian", "--decoy", "--map", "koch2020", "--quiet"]
    result = run("compare", "--size", "4", "--samples", "200", "--steps", "20", *flags, "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert without_nan(Path("out") / "report.html")
    maps = rg.load("out").maps
    kinds = {name: maps[f"rbm_koch2020{name}"].kind for name in ("", "@permuted", "@gaussian", "@untrained")}
    assert kinds == {"": "judged", "@permuted": "control", "@gaussian": "control", "@untrained": "control"}
    assert "decoy" in maps["rbm_koch2020"].diagnostics
    assert "decoy" not in maps["rbm_koch2020@gaussian"].diagnostics
    trained, null = rg.load("out/data/networks/rbm_koch2020.npz"), "out/data/networks/rbm_koch2020%40untrained.npz"
    assert np.linalg.norm(rg.load(null).weights) == pytest.approx(np.linalg.norm(trained.weights), rel=1e-5)


def test_an_unknown_training_control_is_one_line(run):
    says(run("compare", "--control", "gauss", "--out", "out"), "gaussian")
