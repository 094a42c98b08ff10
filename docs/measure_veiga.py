"""Veiga and Vicente's network (arXiv:2006.10176) at L = 10: trained as they did, iterated as they did, read apart.

    python docs/measure_veiga.py train FOLDER [--data ising|mean-field|two] [--epochs 200 500 8000] [--seed 0]
    python docs/measure_veiga.py read FOLDER [--data …] [--epochs …] [--seed 0]

Their settings in full: 25 temperatures, 1e-6, 0.25, 0.5, … 6, 2000 configurations each; 0/1 units, 100 hidden ones, no
bias, W ~ N(0, 0.1²), CD-1 with mean hidden units, plain descent at rate 0.01, batches of 100, 8000 epochs of 500
updates. Data sets beside theirs: "mean-field", independent spins of the mean-field m(T) at the same temperatures, and
"two", half T = 0, half T = ∞. A killed training goes on from its last checkpoint.

`read` iterates v → h → v from 1000 configurations all up and from 1000 of fair spins: 40 steps sampled, as published,
then until the flow has converged (2000 steps at most), then 40 steps with every unit the sign of its mean. It prints
|m|, u and K_nn of the last configurations, the temperature by each thermometer at L = 10, and whether any temperature
explains all of them. K_nn alone is the coupling of the nearest neighbours; "of 7" is that beside six others. ⟨ss′⟩ of
neighbours stands beside that of any two spins: they are equal where spins depend on each other by the magnetisation
alone.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import rgstep as rg
from rgstep.ensemble import Level
from rgstep.experiments.veiga_vicente import DATA, SIZE, WAYS, flows_of, trained
from rgstep.instruments.pseudolikelihood import couplings
from rgstep.streams import stream


def train(folder: Path, data: str, epochs: list[int], seed: int) -> None:
    """Train to each of the numbers of epochs in turn, one run; write a network for each."""
    started = time.perf_counter()
    for number, rbm in trained(DATA[data](seed), epochs, seed, folder / f"{data}-{seed}"):
        rg.save(folder / f"{data}-{seed}-{number}.npz", rbm)
        print(f"{data}, seed {seed}: {number} epochs, {time.perf_counter() - started:.0f} s", flush=True)


def line(label: str, level: Level, converged: str = "") -> None:
    """Print what configurations show."""
    found = rg.thermometers(level)
    shown = "  ".join(f"{name} {r.observable} T={r if r.temperatures else '–'}" for name, r in found.readings.items())
    of_seven = np.asarray(couplings(level).estimate[0].value)
    m2 = np.mean(level.unpack().mean(axis=(1, 2)) ** 2)
    near, any_pair = -float(found.readings["u"].observable.value) / 2, (SIZE**2 * m2 - 1) / (SIZE**2 - 1)
    pairs = f"neighbours {near:.3f}, any pair {any_pair:.3f}"
    print(f"{label}: {shown}  K_nn of 7 {of_seven:.3f}  {pairs}  p={found.p_value:.1g} {converged}", flush=True)


def ends(level: Level) -> str:
    """Return how many different configurations there are, and |m| of the commonest."""
    which, counts = np.unique(level.unpack().reshape(len(level), -1), axis=0, return_counts=True)
    order = np.argsort(-counts)[:4]
    common = ", ".join(f"m = {which[i].mean():.2f} ({counts[i]})" for i in order)
    return f"{len(which)} different configurations: {common}"


def read(folder: Path, data: str, epochs: list[int], seed: int) -> None:
    """Print where the networks take all-up and random configurations."""
    mixed = stream(seed, "order of the training data").permutation(DATA[data](seed))  # groups of samples are alike
    line(f"{data}, the training data", Level.of(mixed))
    for number in sorted(epochs):
        rbm = rg.load(folder / f"{data}-{seed}-{number}.npz")
        for way, (sampled, _) in WAYS.items():
            flows = flows_of(rbm, way, seed)
            for name, one in flows.items():
                line(f"{data} {number} {way} from {name}", one.end, one.reason)
                if not sampled:
                    print(f"    {ends(one.end)}")
            apart = flows["up"].z(flows["random"])
            print(f"    up − random: {', '.join(f'{name} {z:+.1f}' for name, z in apart.items())} errors", flush=True)


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("train", "read"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", choices=sorted(DATA), default="ising")
    parser.add_argument("--epochs", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    job = train if given.job == "train" else read
    job(given.folder, given.data, given.epochs, given.seed)


if __name__ == "__main__":
    main()
