"""Every public name is in the API reference and has an example that runs and prints what it says.

In the examples `np` is NumPy and `rg` is rgstep; each runs in a folder of its own.
"""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import rgstep as rg

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"
PAGE = REFERENCE.read_text(encoding="utf-8")
VALUES = {"CRITICAL_TEMPERATURE"}  # a number has no docstring: its example is on the page
SLOW = {"compare", "reproduce", "run_study", "study_status", "collect_study"}  # over two seconds
SLOW |= {"explore", "judge", "Report"}
SLOW |= {"flow", "Flow", "thermometers", "Temperatures", "assess", "collapse", "crossings"}
SLOW |= {"train_rbm", "train_kernel", "train_stack", "IsingStream"}  # what they compile takes seconds
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(name, docstring):
    """The examples of a docstring, as one test."""
    return doctest.DocTestParser().get_doctest(docstring, {"np": np, "rg": rg}, name, None, 0)


def failures(test):
    """How many examples of a test print something else than they say."""
    printed = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(test, out=printed.append)
    return "".join(printed)


def docstring(name):
    return PAGE.replace("```", "") if name in VALUES else getattr(rg, name).__doc__


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in sorted(rg.__all__)]
)
def test_the_example_of_a_public_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = examples(name, docstring(name))
    assert failures(test) == ""


@pytest.mark.parametrize("name", sorted(rg.__all__))
def test_every_public_name_has_an_example_that_uses_it(name):
    source = "".join(example.source for example in examples(name, docstring(name)).examples)
    assert re.search(rf"\brg\.{name}\b|\b{name.lower()} = rg\.|= rg\.", source), name
    assert name in source or name in {"Ensemble", "Report", "Flow", "Temperatures"}, name  # what functions return


def test_an_example_that_says_something_else_is_found_out():
    """The twin."""
    assert "Expected" in failures(examples("broken", "\n>>> rg.Estimate(1.0, 0.1).value\n2.0\n"))


def test_the_reference_holds_every_public_name_once():
    documented = re.findall(r"\.\. auto\w+:: rgstep\.(\w+)\s*$", PAGE, flags=re.MULTILINE)
    assert sorted(documented) == sorted(rg.__all__)
