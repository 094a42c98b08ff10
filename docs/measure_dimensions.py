"""Print the tables of docs/scaling.md: exponents of hidden magnetisations, and Δ_σ and Δ_ε, of maps of known answer.

Run `python docs/measure_dimensions.py`; it takes ten minutes of one core.
"""

import numpy as np

import rgstep as rg
from rgstep.instruments.draws import draw
from rgstep.streams import stream

SAMPLES = {8: 50_000, 16: 50_000, 32: 50_000, 64: 20_000}
MAPS = {
    "majority": rg.Majority(),
    "decimation": rg.Decimation(),
    "Bernoulli, weight 0.25": rg.BernoulliBlock(0.25),
    "random tiling": rg.RandomTiling(),
}


def shuffled(v: np.ndarray) -> np.ndarray:
    """Return configurations whose sites are permuted anew in each."""
    flat = v.reshape(len(v), -1)
    return stream(0, "shuffled sites").permuted(flat, axis=1).reshape(v.shape)


def main() -> None:
    """Print both tables."""
    sets = {L: rg.sample(L, samples=n, seed=11, mode="thin") for L, n in SAMPLES.items()}
    fields: dict[str, dict[int, object]] = {"spins": dict(sets)}
    for name, coarse in MAPS.items():
        fields[name] = {L: draw(v, coarse, stream(0, "h", name, L)) for L, v in sets.items()}
    fields["spins, shuffled"] = {L: shuffled(v.unpack()) for L, v in sets.items()}
    print("| h of | β/ν | γ/ν | χ²/dof |\n|---|---|---|---|")
    for name, of_size in fields.items():
        tables = rg.size_tables(list(of_size.values()))
        laws = [rg.power_law(*(tables[q][i] for i in (0, 2, 3))) for q in ("abs_m", "chi")]
        beta = rg.Estimate(-laws[0].exponent.value, laws[0].exponent.error)
        print(f"| {name} | {beta} | {laws[1].exponent} | " + ", ".join(f"{x.chi2:.1f}/{x.dof}" for x in laws) + " |")
    print("| field | L | Δ_σ | χ²/dof | Δ_ε | χ²/dof |\n|---|---|---|---|---|---|")
    for name, of_size in fields.items():
        for L in (32, 64):
            found = rg.scaling_dimensions(of_size[L])
            cells = [f"{x.estimate} | {x.chi2:.1f}/{x.dof}" for x in (found.sigma, found.epsilon)]
            print(f"| {name} | {L} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
