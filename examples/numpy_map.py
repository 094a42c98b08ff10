"""Judge a map of your own, written in NumPy: the majority of each 3×3 neighbourhood's cross, kept at every second site.

    python examples/numpy_map.py
    rgstep compare --map examples/numpy_map.py:cross_majority

A map is any function v → h, or any object with `mean_h(v)` and `sample_h(v, rng)`. v has shape (sample, row, column);
this h has (sample, row, column) too, so its units have given places, and since it takes lattices of any even size the
battery applies it again and again.
"""

import numpy as np

import rgstep as rg


def cross_majority(v: np.ndarray) -> np.ndarray:
    """Return the sign of a site and its four neighbours (five spins: no ties), at every second site."""
    total = v + sum(np.roll(v, shift, axis) for axis in (1, 2) for shift in (1, -1))
    return np.sign(total)[:, ::2, ::2]


def main() -> None:
    """Judge it beside the majority rule and decimation, on critical configurations."""
    ensemble = rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=10_000, seed=0)
    maps = {"cross": cross_majority, "majority": rg.Majority(), "decimation": rg.Decimation()}
    print(rg.judge(ensemble, maps, seed=0))


if __name__ == "__main__":
    main()
