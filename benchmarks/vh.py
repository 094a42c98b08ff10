"""⟨v h⟩ against the matrix-product roofline of the same core.

    python benchmarks/vh.py

20,000 configurations of 32×32 spins with 256 hidden units; 10.5 GFLOP. The roofline is the same product hᵀv of float32
arrays that are ready in memory, in the groups that `measure` uses; what `measure` adds is the conversion of the spins,
the map itself where one is given, and the sums. Medians over interleaved rounds.
"""

import one_core  # noqa: F401  # first, before anything starts threads

# isort: split
import statistics
import time

import numpy as np

import rgstep as rg
from rgstep.correlators import measure
from rgstep.estimates import group_bounds

ROUNDS = 7
SAMPLES, SITES, HIDDEN = 20_000, 1024, 256


def main() -> None:
    """Time the product alone, `measure` with given h, `measure` with a majority map, and the naive way."""
    rng = np.random.default_rng(0)
    spins = (2 * rng.integers(0, 2, (SAMPLES, 32, 32), dtype=np.int8) - 1).astype(np.int8)
    ensemble = rg.ensemble_from_array(spins, temperature=float("inf"))
    h = np.tanh(rng.standard_normal((SAMPLES, HIDDEN), dtype=np.float32))
    v32 = spins.reshape(SAMPLES, SITES).astype(np.float32)
    bounds = group_bounds(SAMPLES, 64)

    def product() -> None:
        for a, b in bounds:
            h[a:b].T @ v32[a:b]

    ways = {
        "matrix product alone, 64 groups, float32 ready": product,
        "measure(v, h), 64 groups with all moments": lambda: measure(ensemble, h),
        "measure(v, Majority())": lambda: measure(ensemble, rg.Majority()),
        "naive: one product of converted arrays, no error": lambda: (
            h.T @ spins.reshape(SAMPLES, SITES).astype(np.float32)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    roof = statistics.median(times["matrix product alone, 64 groups, float32 ready"])
    flops = 2 * SAMPLES * SITES * HIDDEN
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:52s} {median:7.3f} s  {flops / median / 1e9:6.1f} GFLOP/s  {roof / median:5.2f} of the roofline")


if __name__ == "__main__":
    main()
