"""Which published claims are tested here? One file for each experiment, one line for each in the table below."""

from collections.abc import Mapping

from rgstep.experiments import (
    chung_kao,
    flows,
    kim_jane,
    networks,
    p1,
    p7,
    stacks,
    swendsen1984,
    veiga_vicente,
    wu_car_tangent,
)
from rgstep.experiments.base import Experiment

EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one
    for one in (
        p1.EXPERIMENT,
        networks.P2,
        networks.P3,
        flows.P4,
        flows.P5,
        flows.P6,
        p7.EXPERIMENT,
        networks.P8,
        swendsen1984.EXPERIMENT,
        wu_car_tangent.EXPERIMENT,
        kim_jane.EXPERIMENT,
        chung_kao.EXPERIMENT,
        veiga_vicente.EXPERIMENT,
        stacks.EXPERIMENT,
    )
}
