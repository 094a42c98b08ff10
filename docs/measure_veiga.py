"""Veiga and Vicente's network (arXiv:2006.10176) at L = 10: trained as they did, iterated as they did, read apart.

    python docs/measure_veiga.py train FOLDER [--data ising|mean-field|two] [--epochs 200 500 8000] [--seed 0]

Their settings in full: 25 temperatures, 1e-6, 0.25, 0.5, … 6, 2000 configurations each; 0/1 units, 100 hidden ones, no
bias, W ~ N(0, 0.1²), CD-1 with mean hidden units, plain descent at rate 0.01, batches of 100, 8000 epochs of 500
updates. Data sets beside theirs: "mean-field", independent spins of the mean-field m(T) at the same temperatures, and
"two", half T = 0, half T = ∞. A killed training goes on from its last checkpoint.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

import rgstep as rg
from rgstep.streams import stream

SIZE, SAMPLES = 10, 2000
TEMPERATURES = (1e-6, *(0.25 * n for n in range(1, 25)))
BATCH = 100
UPDATES = len(TEMPERATURES) * SAMPLES // BATCH  # an epoch


def ising(seed: int) -> np.ndarray:
    """Return configurations of all temperatures, int8 `(sample, row, column)`."""
    return np.concatenate([e.unpack() for e in rg.sample(SIZE, TEMPERATURES, SAMPLES, seed)])


def mean_field(seed: int) -> np.ndarray:
    """Return independent spins of the mean-field m(T), m = tanh(4m/T), each configuration with a fair sign."""
    rng, parts = stream(seed, "mean-field spins"), []
    for T in TEMPERATURES:
        m = 0.0 if T >= 4 else 1.0 if T < 0.1 else brentq(lambda x, T=T: x - np.tanh(4 * x / T), 1e-9, 1.0)
        sign = 2 * rng.integers(0, 2, (SAMPLES, 1, 1)) - 1
        parts.append(sign * np.where(rng.random((SAMPLES, SIZE, SIZE)) < (1 + m) / 2, 1, -1))
    return np.concatenate(parts).astype(np.int8)


def two(seed: int) -> np.ndarray:
    """Return half all up or all down, half fair spins."""
    half = len(TEMPERATURES) * SAMPLES // 2
    return np.concatenate([e.unpack() for e in rg.sample(SIZE, (0.0, np.inf), half, seed)])


DATA = {"ising": ising, "mean-field": mean_field, "two": two}


def train(folder: Path, data: str, epochs: list[int], seed: int) -> None:
    """Train to each of the numbers of epochs in turn, one run; write a network for each."""
    v = DATA[data](seed)
    checkpoints = folder / f"{data}-{seed}"
    for number in sorted(epochs):
        started = time.perf_counter()
        rbm = rg.train_rbm(
            v, SIZE**2, seed, preset="veiga2020", steps=number * UPDATES, batch=BATCH, checkpoints=checkpoints
        )
        rg.save(folder / f"{data}-{seed}-{number}.npz", rbm)
        print(f"{data}, seed {seed}: {number} epochs, {time.perf_counter() - started:.0f} s since the last", flush=True)


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("train",))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", choices=sorted(DATA), default="ising")
    parser.add_argument("--epochs", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    train(given.folder, given.data, given.epochs, given.seed)


if __name__ == "__main__":
    main()
