"""The numbers of docs/kernels.md: shared kernels, trained in three ways, their nulls, and the verdict on each.

    python docs/measure_kernels.py FOLDER NAME SEED [SEED …]

NAME is a preset; or short, permuted or infinite, chung2020 of 3,000 updates on the data, on data without places, or
without structure; or filters, which trains kochjanusz2018 at three temperatures; or first, which reads the exponents
of the first step of stationary kernels, and of variants of the first seed, on 100,000 configurations. Kernels are
written into FOLDER, and not trained again where they are there. Some three minutes a seed for chung2020, two for
stationary. All else is judged on the same 20,000 fresh critical configurations of L = 32, beside the majority rule.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import rgstep as rg
from rgstep.controls import infinite_temperature, permuted
from rgstep.instruments.information import count
from rgstep.instruments.mcrg import exponent
from rgstep.instruments.pseudolikelihood import couplings
from rgstep.nets.kernel import SharedKernel, compactness
from rgstep.store import load_trained

SIDE, TRAINED_ON, JUDGED_ON = 32, 10_000, 20_000
HELD_STILL_ON = 40_000  # stationary: the errors that its changes are counted in fall with the number
PRECISE, PRECISE_SEED = 100_000, 77
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "4×4": {"kernel": 4},
    "6×6": {"kernel": 6},
    "10,000": {"samples": 10_000},
}
SHORT = 3_000  # updates of the nulls, and of what they are held against
DATA_SEED, FRESH_SEED = 1, 10_000
ROWS = {"mcrg": ("y_t", "y_h"), "drift": ("delta_m",), "hidden_hamiltonian": ("stationarity",)}
TEMPERATURES = {"2.0": 2.0, "critical": rg.CRITICAL_TEMPERATURE, "3.0": 3.0}


def trained(folder: Path, name: str, seed: int) -> SharedKernel:
    """Return the kernel of a name and seed, from its file where there is one."""
    path = folder / f"{name}-{seed}.npz"
    if not path.exists():
        data = rg.sample(SIDE, samples=HELD_STILL_ON if name == "stationary" else TRAINED_ON, seed=DATA_SEED)
        if name == "permuted":
            kernel = rg.train_kernel(permuted(data, seed)[0], "chung2020", seed, steps=SHORT)
        elif name == "short":
            kernel = rg.train_kernel(data, "chung2020", seed, steps=SHORT)
        elif name == "infinite":
            kernel = rg.train_kernel(infinite_temperature(SIDE, TRAINED_ON, seed), "chung2020", seed, steps=SHORT)
        else:
            kernel = rg.train_kernel(data, name, seed)
        rg.save(path, kernel)
    return load_trained(path)


def show(maps: Mapping[str, object]) -> None:
    """Judge the maps and print their exponents, Δ_m and stationarity by level, the gain and the verdict."""
    fresh = rg.sample(SIDE, samples=JUDGED_ON, seed=FRESH_SEED, mode="thin")
    for name, entry in rg.judge(fresh, maps).maps.items():
        print(f"{name}: {entry.verdict}; {entry.fate}; gain {entry.estimates('gain')['gain'].estimate}")
        for row, quantities in ROWS.items():
            for one in quantities:
                levels = {k: q.estimate for k, q in entry.estimates(row).items() if k.split("[")[0] == one}
                print(f"    {one}: {'  '.join(f'{k} {estimate}' for k, estimate in levels.items())}")
        print(f"    {entry.reason}", flush=True)


def places(kernel: SharedKernel) -> str:
    """Return how many weights carry the kernel's power, and the share of it in the best 4×4 spot."""
    power = kernel.weights.astype(np.float64) ** 2
    number = float(power.sum() ** 2 / (power**2).sum())
    return f"participation {number:.1f} of {kernel.weights.size}, in a 4×4 spot {compactness(kernel.weights, 4):.3f}"


def filters(folder: Path, seeds: list[int]) -> None:
    """Train filters at three temperatures; print weights and information, beside the majority rule's."""
    maps: dict[str, object] = {}
    for label, temperature in TEMPERATURES.items():
        data = rg.sample(SIDE, temperature, TRAINED_ON, DATA_SEED)
        fresh = rg.sample(SIDE, temperature, JUDGED_ON, FRESH_SEED, mode="thin")
        rivals = {
            "majority": rg.Majority(),
            "majority, first": rg.Majority(ties="first"),
            "decimation": rg.Decimation(),
        }
        found = {f"T={label}~{seed}": filter_of(folder, label, data, seed) for seed in seeds}
        for name, one in {**rivals, **found}.items():
            h = np.concatenate([one.sample_h(v, np.random.default_rng(i)) for i, v in enumerate(fresh.pieces())])
            known = count(fresh, h).estimates()
            print(f"T={label} {name}: I(h:E) {known['I_hE']}, share {known['I_ratio']}", end="")
            if isinstance(one, SharedKernel):
                print(
                    f", bound {one.history['information'][-5:].mean():.4f}, weights {one.weights.round(2).tolist()}",
                    end="",
                )
            print(flush=True)
        maps |= found
    show({"majority": rg.Majority(), **{name: one for name, one in maps.items() if name.endswith(f"~{seeds[0]}")}})


def filter_of(folder: Path, label: str, data: rg.Ensemble, seed: int) -> SharedKernel:
    """Return the filter of one temperature and seed, from its file where there is one."""
    path = folder / f"filter-{label}-{seed}.npz"
    if not path.exists():
        rg.save(path, rg.train_kernel(data, "kochjanusz2018", seed))
    return load_trained(path)


def first_steps(folder: Path, seeds: list[int]) -> None:
    """Print the exponents of the first step and the couplings it moves, on many configurations."""
    fresh = rg.sample(SIDE, samples=PRECISE, seed=PRECISE_SEED, mode="thin")
    before = couplings(fresh)
    found: dict[str, Any] = {"majority": rg.Majority()}
    found |= {f"stationary~{seed}": trained(folder, "stationary", seed) for seed in seeds}
    found |= {label: variant(folder, label, seeds[0]) for label in VARIANTS}
    for label, one in found.items():
        h = np.concatenate([one.sample_h(v, np.random.default_rng(i)) for i, v in enumerate(fresh.pieces())])
        y = [exponent(fresh, h, sector) for sector in ("even", "odd")]
        searched = (
            f", χ {one.history['changes'][-1]:.2f} from {one.history['start'][-1]}" if label != "majority" else ""
        )
        print(f"{label}: y_t {y[0]} y_h {y[1]}, |ΔK|/|K| {before.relative_change(couplings(h))}{searched}", flush=True)


def variant(folder: Path, label: str, seed: int) -> SharedKernel:
    """Return the stationary kernel of other settings, from its file where there is one."""
    path = folder / f"variant-{label}-{seed}.npz"
    if not path.exists():
        data = rg.sample(SIDE, samples=HELD_STILL_ON, seed=DATA_SEED)
        rg.save(path, rg.train_kernel(data, "stationary", seed, **VARIANTS[label]))
    return load_trained(path)


def main(folder: Path, name: str, seeds: list[int]) -> None:
    """Print the numbers of one part."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "filters":
        filters(folder, seeds)
        return
    if name == "first":
        first_steps(folder, seeds)
        return
    kernels = {f"{name}~{seed}": trained(folder, name, seed) for seed in seeds}
    for label, kernel in kernels.items():
        curves = {k: float(c[-1]) for k, c in kernel.history.items()}
        print(f"{label}: {places(kernel)}, {curves}\n{kernel.weights.round(3)}", flush=True)
    show({"majority": rg.Majority(), **kernels})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(seed) for seed in sys.argv[3:]])
