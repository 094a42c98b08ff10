"""The memory that a comparison is said to need is what it takes, by the peak of a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from rgstep import jobs

DRIVER = Path(__file__).parent / "peak_memory.py"
FEW, MANY = 20_000, 120_000
AT_MOST = 1.25  # times what the guard says; it may say more, up to
AT_LEAST = 0.25  # as it must hold for maps that keep more


def peak(job, size, samples, *where):
    """The peak of the resident memory of one job, in bytes."""
    command = [sys.executable, str(DRIVER), job, str(size), str(samples), *where]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def within(measured, said):
    return AT_LEAST < measured / said < AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 16])
def test_each_sample_takes_what_the_guard_says(size):
    where = "all in memory"
    measured = (peak("judge", size, MANY, where) - peak("judge", size, FEW, where)) / (MANY - FEW)
    assert within(measured, jobs.bytes_per_sample(size)), measured
    assert not within(measured, 0.5 * size**2 + 50)  # the twin: what was said before, eight times too little


@pytest.mark.slow
@pytest.mark.parametrize("job", ["sample", "train"])
def test_other_jobs_take_less(job):
    measured = (peak(job, 8, MANY) - peak(job, 8, FEW)) / (MANY - FEW)
    assert measured < AT_MOST * jobs.bytes_per_sample(8), measured
