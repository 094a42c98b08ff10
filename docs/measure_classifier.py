"""The numbers of docs/flows.md on the classifier: what it reads of equilibrium sets it has not seen, and of others.

    python docs/measure_classifier.py SIDE [SEED …]

For each seed a classifier is trained on other configurations, with other first weights. Some seconds a seed.
"""

import sys
import time

import numpy as np

import rgstep as rg
from rgstep.classifier import classified, classifier

TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0, rg.CRITICAL_TEMPERATURE, 2.5, 3.0, 4.0, 5.0, 5.9, 10.0, np.inf)
SAMPLES, HELD_OUT = 2_000, 20_000


def main(side: int, seeds: list[int]) -> None:
    """Print the readings of one side."""
    sets = {f"T = {T:.4g}": rg.sample(side, T, SAMPLES, HELD_OUT).unpack() for T in TEMPERATURES}
    rng, critical = np.random.default_rng(0), sets[f"T = {rg.CRITICAL_TEMPERATURE:.4g}"]
    sets["half T = 1, half T = 4"] = rng.permutation(np.concatenate([sets["T = 1"][::2], sets["T = 4"][::2]]))
    sets["critical, sites shuffled"] = rng.permuted(critical.reshape(SAMPLES, -1), axis=1).reshape(critical.shape)
    sets["stripes"] = np.broadcast_to(np.where(np.arange(side) % 2, 1, -1), critical.shape).astype(np.int8)
    for seed in seeds:
        started = time.perf_counter()
        classifier(side, seed)
        print(f"L = {side}, seed {seed}: trained in {time.perf_counter() - started:.0f} s", flush=True)
    for name, v in sets.items():
        print(f"{name:26}", "   ".join(str(classified(v, seed)).partition(";")[0] for seed in seeds), flush=True)
    for name in ("half T = 1, half T = 4", "critical, sites shuffled"):
        print(name, rg.thermometers(sets[name]).verdict)


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(seed) for seed in sys.argv[2:]] or [0])
