"""The search behind the preset `default`: pseudo-likelihood on held-out configurations for many settings.

    python benchmarks/presets.py

About twelve minutes on two cores. L = 32, T_c, 20,000 configurations to train on and others to judge by; one seed.
"""

import time

import numpy as np

import rgstep as rg
from rgstep.battery import ising_pseudo_likelihood
from rgstep.nets.readings import goodness_of_fit

SETTINGS = (
    {"method": "cd", "optimiser": "sgd", "learning_rate": 0.05, "schedule": "constant", "steps": 5_000},
    {"method": "cd", "optimiser": "adam", "learning_rate": 1e-3, "steps": 5_000},
    {"method": "cd", "optimiser": "adam", "learning_rate": 3e-3, "steps": 5_000},
    {"method": "cd", "optimiser": "sgd", "learning_rate": 0.2, "steps": 5_000},
    {"method": "cd", "optimiser": "momentum", "learning_rate": 0.05, "steps": 5_000},
    {"learning_rate": 0.02, "steps": 5_000},
    {"learning_rate": 0.05, "steps": 5_000},
    {"optimiser": "adam", "learning_rate": 1e-3, "steps": 5_000},
    {"optimiser": "adam", "learning_rate": 3e-3, "steps": 5_000},
    {"optimiser": "momentum", "learning_rate": 0.01, "steps": 5_000},
    {"k": 3, "learning_rate": 0.05, "steps": 5_000},
    {"learning_rate": 0.02, "steps": 15_000},
    {"learning_rate": 0.01, "steps": 15_000},
    {"learning_rate": 0.02, "steps": 15_000, "l1": 1e-4},
    {"learning_rate": 0.02, "steps": 15_000, "l1": 3e-4},
    {"learning_rate": 0.015, "steps": 20_000, "batch": 50, "chains": 50},
    {"method": "cd", "optimiser": "adam", "learning_rate": 1e-3, "steps": 15_000},
)


def main() -> None:
    """Train with each setting (what it leaves out is `default`'s) and print a line."""
    data, held_out = rg.sample(32, seed=0), rg.sample(32, samples=4_000, seed=77)
    print(f"Ising law itself: {ising_pseudo_likelihood(held_out)}")
    for changed in SETTINGS:
        start = time.perf_counter()
        rbm = rg.train_rbm(data, 256, 0, **changed)
        seconds = time.perf_counter() - start
        fit = goodness_of_fit(rbm, held_out, np.random.default_rng(1))["pseudo_likelihood"]
        ratio = (rbm.weights**2).sum(axis=0) ** 2 / (rbm.weights**4).sum(axis=0)
        last = float(rbm.history["pseudo_likelihood"][-1])
        shown = ", ".join(f"{name}={value}" for name, value in changed.items())
        print(
            f"{shown}: {seconds:.0f} s, held out {fit}, training set {last:.3f}, "
            f"PR median {np.median(ratio):.0f}, smallest {ratio.min():.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
