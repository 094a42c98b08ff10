"""What the terminal shows: bars and their names, the version, usage, and what is not loaded for it."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from rgstep import cli, jobs, progress
from rgstep.progress import Lines


@pytest.fixture
def shown(monkeypatch):
    """The bars that are shown, with what is reported to them."""
    made = []

    class Kept(progress.Bars):
        def __init__(self, *columns, console):
            super().__init__(*columns, console=Console(file=io.StringIO(), width=100))
            made.append(self)

    monkeypatch.setattr(progress, "Bars", Kept)
    return made


def test_a_bar_is_not_used_for_another_job(shown):
    """A stage that starts again gets its own; one that goes on keeps its own."""
    with progress.bars() as report:
        for done in (0, 1, 2, 0, 1, 2):
            report("equilibrium", done, 2)
        report("battery of net[adam] [/red]\n", 1, 2)
        tasks = list(shown[0].tasks)
    assert [(task.description, task.completed) for task in tasks] == [
        ("equilibrium", 2),
        ("equilibrium", 1 + 1),
        ("battery of net[adam] [/red]\\n", 0),
    ]


def test_stages_begin_with_the_network_that_they_work_on():
    seen = []
    for name in ("rbm_default", "rbm_koch2020~2"):
        jobs.labelled(lambda stage, done, total, note="": seen.append(stage), name)("equilibrium", 0, 1)
    assert seen == ["rbm_default: equilibrium", "rbm_koch2020~2: equilibrium"]
    assert jobs.labelled(None, "x") is None


def test_lines_of_a_log_are_one_line_each(capsys):
    Lines()("battery of two\nlines", 3, 3)
    assert capsys.readouterr().err == "battery of two\\nlines: 3/3\n"


def typed(monkeypatch, capsys, *words):
    """What the command prints, and its exit status."""
    monkeypatch.setattr(sys, "argv", ["rgstep", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return capsys.readouterr(), end.value.code


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(monkeypatch, capsys, option):
    said, status = typed(monkeypatch, capsys, option)
    assert (said.out.split()[0], said.err, status or 0) == ("rgstep", "", 0)


@pytest.mark.parametrize("words", [["-h"], ["compare", "-h"]])
def test_help_has_a_short_name(monkeypatch, capsys, words):
    said, status = typed(monkeypatch, capsys, *words)
    assert "Usage" in said.out
    assert not status


@pytest.mark.parametrize("words", [["compare", "--size", "abc"], ["sample"], ["compare", "--absent"]])
def test_usage_is_one_line_without_what_no_variable_sets(monkeypatch, capsys, words):
    said, status = typed(monkeypatch, capsys, *words)
    assert status == 2
    assert len(said.err.splitlines()) == 1
    assert "None" not in said.err
    assert f"(rgstep {words[0]} --help shows what there is)" in said.err


def test_sampling_loads_no_matplotlib(tmp_path):
    """And the probe sees what is loaded."""
    code = (
        "import sys\nsys.argv = ['rgstep', 'sample', 'x.npz', '--size', '4', '--samples', '20', '--quiet']\n"
        "from rgstep.cli import app\ntry:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "['numba']"
