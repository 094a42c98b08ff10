"""Judge a transformer of scikit-learn: the first principal components of critical configurations.

    pip install scikit-learn
    python examples/sklearn_map.py

Anything fitted with a method `transform` is a map; it gets ±1 as (sample, L²). The components of a
translation-invariant model are plane waves: they read the whole lattice, and are no RG step however well they compress.
"""

from sklearn.decomposition import PCA

import rgstep as rg

SIZE, UNITS = 16, 64


def main() -> None:
    """Fit on one set of configurations, judge on another, beside the majority rule."""
    fitted_on = rg.sample(SIZE, rg.CRITICAL_TEMPERATURE, 10_000, seed=1)
    components = PCA(UNITS).fit(fitted_on.spins.reshape(len(fitted_on), -1))
    ensemble = rg.sample(SIZE, rg.CRITICAL_TEMPERATURE, 10_000, seed=0)
    print(rg.judge(ensemble, {"components": components, "majority": rg.Majority()}, seed=0))


if __name__ == "__main__":
    main()
