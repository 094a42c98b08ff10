"""Which published claims are tested here? One file for each experiment, one line for each in the table below."""

from collections.abc import Mapping

from rgstep.experiments import swendsen1984
from rgstep.experiments.base import Experiment

EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one
    for one in (
        swendsen1984.EXPERIMENT,
    )
}
