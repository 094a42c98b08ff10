"""Is ⟨v h⟩ of block spins at T_c one periodic blob for each coarse site?

For each unit: whether the largest value of its picture and the next three lie in one 2×2 block, and over all units,
how many blocks hold such a blob. For the height of the blob: the mean of ⟨v h⟩ over a unit's own block, at three sides,
led to L = ∞ along A + a/L, as energies go on critical tori (Ferdinand and Fisher 1969); there it is exactly

    (1 + √2)/4 + 1/(2π) for the average,        1/(2π²) more for the majority with random ties,

by ⟨ss⟩ of neighbours and the plaquette (Kaufman and Onsager 1949). Nulls: a random tiling, which reads four sites far
apart, and a network that saw no data.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rgstep.blocking import Average, Majority, RandomTiling
from rgstep.correlators import measure as moments_of
from rgstep.ensemble import Ensemble, pieces
from rgstep.estimates import Estimate, grouped_mean
from rgstep.experiments.base import (
    CONFIRMED,
    REFUTED,
    UNDECIDED,
    Conclusion,
    Experiment,
    Row,
    agreement,
    all_of,
    apart,
    averaged,
    critical,
)
from rgstep.lattice import block_sums
from rgstep.nets.rbm import untrained_rbm
from rgstep.parts import Part, Settings, Values, stored
from rgstep.types import CoarseGraining, Progress

OF_AVERAGE = (1 + math.sqrt(2)) / 4 + 1 / (2 * math.pi)
EXACT = {"average": OF_AVERAGE, "majority": OF_AVERAGE + 1 / (2 * math.pi**2)}
RULES: dict[str, CoarseGraining] = {"average": Average(), "majority": Majority()}
NULLS = ("random tiling", "untrained network")
SMALLEST = 16  # the side whose pictures are looked at one by one
ALL, NOT_ALL = 0.99, 0.9  # share of blobs of an RG step at least, of a null at most


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: sets of configurations of three sides."""
    number, many = (1, {16: 20_000, 32: 20_000, 64: 4000}) if quick else (10, {16: 50_000, 32: 50_000, 64: 10_000})
    return [
        {"size": size, "samples": samples, "seed": seed + s} for size, samples in many.items() for s in range(number)
    ]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return ⟨v h⟩ over the own, the adjacent and the farthest blocks, and on the smallest side the share of blobs."""
    ensemble = critical(settings, progress)
    found: dict[str, Any] = {}
    for name, rule in RULES.items():
        found |= {f"{name}, {where}": stored(e) for where, e in by_distance(ensemble, rule).items()}
    if settings["size"] == SMALLEST:
        sites, seed = SMALLEST**2, settings["seed"]
        every = {**RULES, NULLS[0]: RandomTiling(seed=seed), NULLS[1]: untrained_rbm(sites, sites // 4, seed)}
        for name, given in every.items():
            pictures = moments_of(ensemble, given).all().vh.reshape(-1, SMALLEST, SMALLEST)
            found[f"{name}, blobs"], found[f"{name}, blocks"] = blobs(pictures)
    return found


def by_distance(ensemble: Ensemble, rule: CoarseGraining) -> dict[str, Estimate]:
    """Return ⟨v h⟩ averaged over units and over the sites of the own block, of the adjacent ones, of the farthest."""
    side = ensemble.system.size // 2
    moves = {
        "own block": [(0, 0)],
        "adjacent": [(0, 1), (0, -1), (1, 0), (-1, 0)],
        "farthest": [(side // 2, side // 2)],
    }
    every: dict[str, list[np.ndarray]] = {where: [] for where in moves}
    for _, v in pieces(ensemble):
        h, own = rule.mean_h(v).astype(np.float64), block_sums(v, 2) / 4.0
        for where, steps in moves.items():
            every[where].append(np.mean([(np.roll(own, s, (1, 2)) * h).mean(axis=(1, 2)) for s in steps], axis=0))
    return {where: grouped_mean(np.concatenate(values)) for where, values in every.items()}


def blobs(pictures: np.ndarray) -> tuple[float, float]:
    """Return which share of the pictures has its four largest values in one 2×2 block, and which share of blocks one.

    Args:
        pictures: ⟨v h⟩, `(unit, row, column)`, as many units as blocks; the sign of a picture does not count.
    """
    side = pictures.shape[1]
    top = np.argsort(-np.abs(pictures).reshape(len(pictures), -1), axis=1)[:, :4]
    blocks = top // side // 2 * (side // 2) + top % side // 2
    together = (blocks == blocks[:, :1]).all(axis=1)
    return float(together.mean()), len(np.unique(blocks[together, 0])) / len(pictures)


def at_infinity(sizes: Sequence[int], heights: Sequence[Estimate]) -> tuple[Estimate, float]:
    """Return A of the fit A + a/L, and χ² of the fit, which has one degree of freedom for three sides."""
    x, y, sigma = (np.array(part, float) for part in (sizes, [h.value for h in heights], [h.error for h in heights]))
    fit, covariance = np.polyfit(1 / x, y, 1, w=1 / sigma, cov="unscaled")
    left = (y - np.polyval(fit, 1 / x)) / sigma
    return Estimate(float(fit[1]), float(np.sqrt(covariance[1, 1]))), float(left @ left)


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return the share of blobs beside those of the nulls, and their heights beside the exact ones."""
    sizes = sorted({part.settings["size"] for part in found})
    of_size = {size: [part for part in found if part.settings["size"] == size] for size in sizes}
    rows, fits = [], []
    shares = {
        f"{name}, {what}": float(np.mean([part.values[f"{name}, {what}"] for part in of_size[SMALLEST]]))
        for name in (*RULES, *NULLS)
        for what in ("blobs", "blocks")
    }
    words = {"blobs": "units with one compact blob", "blocks": "blocks with a blob"}
    for what, label in words.items():
        beside = {null: Estimate(shares[f"{null}, {what}"], 0.0) for null in NULLS}
        least = max(float(e.value) for e in beside.values())
        for name in RULES:
            share = shares[f"{name}, {what}"]
            verdict = CONFIRMED if share > ALL and least < NOT_ALL else REFUTED if share < least else UNDECIDED
            rows.append(Row(f"{label}, {name}, L = {SMALLEST}", Estimate(share, 0.0), None, beside, verdict))
    for name, exact in EXACT.items():
        heights = [averaged([part.estimate(f"{name}, own block") for part in of_size[size]]) for size in sizes]
        for size, height in zip(sizes, heights, strict=True):
            others = {
                f"{where} block": averaged([part.estimate(f"{name}, {where}") for part in of_size[size]])
                for where in ("adjacent", "farthest")
            }
            rows.append(Row(f"⟨v h⟩ in the own block, {name}, L = {size}", height, None, others))
        led, chi = at_infinity(sizes, heights)
        fits.append(f"{name} {apart(led, Estimate(exact, 0.0)):+.1f}σ (χ² of the fit {chi:.1f})")
        verdict = agreement(apart(led, Estimate(exact, 0.0)))
        rows.append(Row(f"the same, {name}, L → ∞", led, Estimate(exact, 0.0), {}, verdict))
    why = (
        f"one compact blob in each block for both rules, {shares[f'{NULLS[0]}, blobs']:.2f} and "
        f"{shares[f'{NULLS[1]}, blobs']:.2f} of the units of the nulls; heights against the exact ones: "
        f"{', '.join(fits)}"
    )
    return Conclusion(rows, all_of([row.verdict for row in rows if row.verdict]), why)


EXPERIMENT = Experiment(
    name="p1",
    claim="⟨v h⟩ of block spins at T_c is one blob for each coarse site; its height is known exactly.",
    source="E. and R. de Mello Koch and Cheng (2020), arXiv:1906.05212; heights: Kaufman and Onsager (1949)",
    rule=(
        f"Confirmed if more than {ALL:.0%} of the units have one compact blob, in as many blocks, less than "
        f"{NOT_ALL:.0%} of the nulls', and both heights led to L = ∞ are within 3σ of the exact ones; "
        "refuted beyond 4σ."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(10.0, 150.0),
)
