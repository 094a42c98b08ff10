"""What amplitudes of their own change in the two-point function of units that are not alike.

    python docs/measure_amplitudes.py [NETWORK.npz …]       the table of docs/diagnostics/two_point.md

Maps made by hand and untrained networks on 20,000 configurations; networks of 16×16 spins on four sets of them.
"""

import sys

import numpy as np

import rgstep as rg
from rgstep.adapters import as_map
from rgstep.instruments import two_point
from rgstep.instruments.base import prepare

SAMPLES, SEED = 20_000, 6
NETWORK_SETS = ((100_000, 999), (100_000, 7), (20_000, 999), (20_000, 6))  # samples, seed
DEAD = [3, 20, 41]  # of 64 units


def with_dead_units(v: np.ndarray) -> np.ndarray:
    """The majority rule scrambled, a tie to the first spin, three units +1 to every v."""
    h = rg.Scrambled(rg.Majority(ties="first"), seed=1).mean_h(v).copy()
    h[:, DEAD] = 1
    return h


def show(name: str, ensemble: rg.Ensemble, coarse: object) -> np.ndarray:
    """Print the deviation by the plain mean and with amplitudes; return the unit on each site."""
    subject = prepare(ensemble, [as_map(coarse, "h")], coarse)
    own = two_point.amplitudes_of(subject)
    plain, better = (two_point.curve(subject.placed, amplitudes=a).numbers["shape_deviation"] for a in (None, own))
    print(f"{name}: plain mean {plain}, with amplitudes {better}", flush=True)
    return subject.gauge.order


def main(paths: list[str]) -> None:
    """Measure all maps."""
    for size in (16, 32, 64):
        ensemble = rg.sample(size, rg.CRITICAL_TEMPERATURE, SAMPLES, SEED)
        if size == 16:
            show("three dead units", ensemble, with_dead_units)
            show("random tiling, scrambled", ensemble, rg.Scrambled(rg.RandomTiling(2, seed=1), seed=1))
        show(f"untrained, L = {size}", ensemble, rg.untrained_rbm(size**2, size**2 // 4, seed=0))
    places: dict[str, np.ndarray] = {}
    for samples, seed in NETWORK_SETS if paths else ():
        ensemble = rg.sample(16, rg.CRITICAL_TEMPERATURE, samples, seed)
        for path in paths:
            order = show(f"{path}, {samples:,} samples of seed {seed}", ensemble, rg.load(path))
            print(f"  {(order != places.setdefault(path, order)).sum()} sites with another unit than on the first set")


if __name__ == "__main__":
    main(sys.argv[1:])
