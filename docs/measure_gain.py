"""At which weight does a Bernoulli block stop to wash out the field? The table of docs/diagnostics/gain.md.

    python docs/measure_gain.py [L] [configurations]        by default 256 and 1,000; ten minutes

Critical configurations σ, of which a share ε of the sites is kept and the others are made fair spins, are
coarse-grained by 2×2 Bernoulli blocks again and again. For each step: log₂ of the growth of ⟨m_h m_σ⟩ less 1/8,
which is 0 where the field in h keeps its strength, with a jackknife error over 25 groups of configurations.
"""

import sys

import numpy as np

import rgstep as rg

WEIGHTS = (0.30, 0.34, 0.36, 0.37, 0.38, 0.39, 0.42)
SHARES = (1.0, 0.3, 0.1)
GROUPS = 25
AT_ONCE = 50  # configurations


def growth(ensemble: rg.Ensemble, weight: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return growth and its error of each step, `(2, step)`."""
    rule, levels = rg.BernoulliBlock(weight), []
    for start in range(0, len(ensemble), AT_ONCE):
        v = ensemble.unpack(start, start + AT_ONCE)
        if share < 1:
            v = np.where(rng.random(v.shape) < share, v, 2 * rng.integers(0, 2, v.shape, dtype=np.int8) - 1)
        means = [v.mean(axis=(1, 2))]
        while v.shape[1] > 4:
            v = rule.sample_h(v, rng)
            means.append(v.mean(axis=(1, 2)))
        levels.append(np.array(means))
    products = np.concatenate(levels, axis=1) * ensemble.magnetisations
    parts = np.array([part.sum(axis=1) for part in np.array_split(products, GROUPS, axis=1)])
    sets = np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts])
    found = np.log2(sets[:, 1:] / sets[:, :-1]) - 1 / 8
    return np.array([found[0], np.sqrt((GROUPS - 1) * found[1:].var(axis=0))])


def main(size: int = 256, samples: int = 1000) -> None:
    """Print a line for each share and weight."""
    ensemble, rng = rg.sample(size, samples=samples, seed=5, mode="thin"), np.random.default_rng(1)
    for share in SHARES:
        for weight in WEIGHTS:
            steps = zip(*growth(ensemble, weight, share, rng), strict=True)
            print(f"ε = {share:g}, w = {weight:.2f}: {' '.join(f'{x:+.3f}({e:.3f})' for x, e in steps)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
