"""A small report with all that the explorer shows: block rules with levels, a network, its null, and an odd name."""

from dataclasses import replace

import numpy as np

import rgstep as rg
from rgstep.battery import judge_map

ROWS = ("vh_pattern", "two_point")  # all that the explorer reads
ODD = "mine </script> & \"<b>'"


def small_ensemble():
    """Return 600 critical configurations of side 16."""
    return rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=600, seed=5)


def small_maps():
    """Return the maps by name; the network's units each read one tile, the last is dead."""
    untrained = rg.untrained_rbm(256, 16, seed=1)
    weights = np.zeros((16, 16, 16), np.float32)
    for unit in range(15):
        row, column = divmod(unit, 4)
        weights[unit, 4 * row : 4 * row + 3, 4 * column : 4 * column + 3] = 0.3
    local = replace(untrained, weights=weights.reshape(16, 256).T.copy(), origin={})
    return {
        "average": rg.Average(),
        "majority": rg.Majority(),
        "rbm": local,
        "rbm@untrained": untrained,
        ODD: lambda v: v[:, ::4, ::4],
    }


def small_report(ensemble):
    """Return the report of these rows on these maps, no criterion asked."""
    maps = {
        name: judge_map(ensemble, name, given, 0, lambda block: {}, None, ROWS) for name, given in small_maps().items()
    }
    return rg.Report({"size": 16, "samples": len(ensemble), "temperature": rg.CRITICAL_TEMPERATURE}, maps)
