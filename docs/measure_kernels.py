"""The numbers of docs/kernels.md: shared kernels, trained in three ways and judged.

python docs/measure_kernels.py chung2020 [SEEDS]        some three minutes a seed
"""

import sys
import time
from collections.abc import Iterator

import rgstep as rg

SIDE, TRAINED_ON, JUDGED_ON = 32, 10_000, 20_000
FRESH = 10_000  # added to a seed: configurations that no training saw


def judged(maps: dict[str, object]) -> Iterator[str]:
    """Yield a line for each map: exponents, Δ_m and stationarity by level, and the verdict."""
    report = rg.judge(rg.sample(SIDE, samples=JUDGED_ON, seed=FRESH, mode="thin"), maps)
    for name, entry in report.maps.items():
        found = entry.estimates("gain", "mcrg", "drift", "coherence", "hidden_hamiltonian", "two_point", "vh_pattern")
        yield f"{name}: {entry.verdict}"
        yield "; ".join(f"{key} {quantity.estimate}" for key, quantity in found.items())


def main(preset: str, seeds: int = 5) -> None:
    """Print what a preset gives for each seed."""
    data = rg.sample(SIDE, samples=TRAINED_ON, seed=1)
    maps: dict[str, object] = {"majority": rg.Majority()}
    for seed in range(seeds):
        started = time.perf_counter()
        maps[f"{preset}~{seed}"] = kernel = rg.train_kernel(data, preset, seed)
        rg.save(f"{preset}-{seed}.npz", kernel)
        print(f"{kernel}: {time.perf_counter() - started:.0f} s\n{kernel.weights.round(3)}", flush=True)
    for line in judged(maps):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
