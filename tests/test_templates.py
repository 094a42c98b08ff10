"""The templates of docs/templates work as they are, and say what is known exactly."""

from pathlib import Path

import numpy as np
import pytest
import reference
import subjects
from scripts import module_of

import rgstep as rg
from rgstep.results import MapReport

FOLDER = Path(__file__).parent.parent / "docs" / "templates"
MAPS = {
    "majority": rg.Majority(),
    "decimation": rg.Decimation(),
    "without places": lambda v: v.reshape(len(v), -1)[:, :7],
}


def template(name):
    """A template, as a module."""
    return module_of(FOLDER / f"{name}.py")


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_map_is_a_coarse_graining(noise, critical8):
    reference.check_map(template("map_template").Corner(noise=noise), critical8, block=2, values=(-1, 1))


def test_the_instrument_measures_and_draws(critical8):
    instrument = template("instrument_template").INSTRUMENT
    rows = {name: instrument.measure(subjects.subject(critical8, m)) for name, m in MAPS.items()}
    assert rows["without places"] is None
    reports = {
        name: MapReport("not judged", "judged", "", {instrument.name: row[0]}, {instrument.name: row[1]})
        for name, row in rows.items()
        if row
    }
    assert [plate.name for plate in instrument.figures(reports)] == [instrument.name]
    found = rows["decimation"][0].estimates["like"].estimate
    at_distance_2 = rg.two_point(critical8).value[0, 2]  # h of decimation is v at every second site
    assert abs(found.value - (1 + at_distance_2) / 2) < 4 * found.error


def test_likeness_is_exact_where_it_is_known():
    """All alike, none alike; the twin is the one for the other."""
    likeness = template("instrument_template").likeness
    board = np.indices((4, 4)).sum(axis=0) % 2 * 2 - 1
    assert likeness(np.stack([np.ones((4, 4)), board])).tolist() == [1.0, 0.0]
