"""The search behind the preset `default`: divergence from the Ising law for each of a declared list of settings.

    python benchmarks/presets.py [SIZE] [SECONDS] [SEEDS] [NAME …]

Each setting trains for so many seconds (default 60) of one core on fresh critical configurations (L = SIZE, 32 by
default; L²/4 hidden units), then its KL per spin to the exact Ising law is measured on 4000 held-out configurations.
Steps are chosen from the speed of the first updates; the cosine schedule ends with the time. Names select settings.
"""

import one_core  # noqa: F401  # first, before anything starts threads

# isort: split
import sys
import time

import rgstep as rg
from rgstep.nets.annealing import log_partition_interval
from rgstep.nets.assessment import kl_to_ising
from rgstep.nets.equilibrium import equilibrium
from rgstep.nets.localisation import localisation

COMMON = {"method": "pcd", "chains": 100, "batch": 100, "weights_sd": 0.01, "gradient_h": "mean", "schedule": "cosine"}
SGD = {**COMMON, "optimiser": "sgd"}
SETTINGS = {
    "pcd-1 sgd 0.01": {**SGD, "learning_rate": 0.01},
    "pcd-1 sgd 0.02": {**SGD, "learning_rate": 0.02},
    "pcd-1 sgd 0.05": {**SGD, "learning_rate": 0.05},
    "pcd-1 sgd 0.1": {**SGD, "learning_rate": 0.1},
    "pcd-1 sgd 0.2": {**SGD, "learning_rate": 0.2},
    "pcd-1 momentum 0.005": {**COMMON, "optimiser": "momentum", "learning_rate": 0.005},
    "pcd-1 adam 0.001": {**COMMON, "optimiser": "adam", "learning_rate": 1e-3},
    "pcd-1 adam 0.003": {**COMMON, "optimiser": "adam", "learning_rate": 3e-3},
    "pcd-1 centred 0.05": {**SGD, "learning_rate": 0.05, "centred": True},
    "pcd-1 no biases 0.05": {**SGD, "learning_rate": 0.05, "biases": False},
    "pcd-1 500 chains 0.05": {**SGD, "learning_rate": 0.05, "chains": 500},
    "pcd-5 sgd 0.05": {**SGD, "learning_rate": 0.05, "k": 5},
    "pcd-10 sgd 0.1": {**SGD, "learning_rate": 0.1, "k": 10},
    "cd-1 sgd 0.05": {**SGD, "learning_rate": 0.05, "method": "cd"},
    "cd-10 sgd 0.05": {**SGD, "learning_rate": 0.05, "method": "cd", "k": 10},
    "pcd-1 l1 0.05": {**SGD, "learning_rate": 0.05, "l1": 1e-4},
    "pcd-1 batch 500 0.1": {**SGD, "learning_rate": 0.1, "batch": 500, "chains": 500},
    "pcd-1 batch 20 0.02": {**SGD, "learning_rate": 0.02, "batch": 20, "chains": 20},
    "pcd-1 batch 20 0.05": {**SGD, "learning_rate": 0.05, "batch": 20, "chains": 20},
    "pcd-1 batch 10 0.02": {**SGD, "learning_rate": 0.02, "batch": 10, "chains": 10},
    "tempered x5 0.05": {**SGD, "learning_rate": 0.05, "tempering": "temperature", "levels": 5},
    "trajectory x5 0.05": {**SGD, "learning_rate": 0.05, "tempering": "trajectory", "levels": 5},
}


def steps_in(seconds: float, data: rg.IsingStream, hidden: int, changed: dict[str, object]) -> int:
    """Return how many updates fit into a time, from 200 of them; the first runs compile and are left out."""
    marks: list[tuple[float, int]] = []
    rg.train_rbm(
        data, hidden, 0, **{**changed, "steps": 400}, progress=lambda *a: marks.append((time.perf_counter(), a[1]))
    )
    marks = [mark for mark in marks if mark[1] >= 100]
    return max(100, int(seconds * (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])))


def main() -> None:
    """Train with each setting and print a line."""
    size, seconds, seeds = (int(a) if a else d for a, d in zip([*sys.argv[1:4], "", "", ""], (32, 60, 1), strict=False))
    chosen = {name: SETTINGS[name] for name in sys.argv[4:]} or SETTINGS
    hidden = size**2 // 4
    held_out = rg.sample(size, samples=4_000, seed=77, mode="thin")
    for name, changed in chosen.items():
        for seed in range(seeds):
            data = rg.IsingStream(size, rg.CRITICAL_TEMPERATURE, seed=1 + seed)
            steps = steps_in(seconds, data, hidden, changed)
            start = time.perf_counter()
            rbm = rg.train_rbm(data, hidden, seed, **{**changed, "steps": steps})
            took = time.perf_counter() - start
            divergence = kl_to_ising(rbm, held_out, log_partition_interval(rbm, seed, temperatures=4000, chains=200))
            balance = equilibrium(rbm, held_out, seed, sweeps=2048, chains=32)
            print(
                f"{name:24} seed {seed}: {took:4.0f} s, {steps:6d} steps, "
                f"KL {1e3 * float(divergence.per_spin.value):6.2f} "
                f"[{1e3 * divergence.low:.2f}, {1e3 * divergence.high:.2f}]e-3, "
                f"PR {localisation(rbm).median_participation:4.0f}, "
                f"τ {max(float(t.value) for t in balance.tau.values()):5.0f}, {balance.verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
