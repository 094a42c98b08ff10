"""Do the couplings of block spins come out as in the first measurement by this estimator?

Swendsen (1984) fitted seven couplings to the block spins of the 2×2 majority rule, started on 32×32 at K_c, by the
score of the pseudolikelihood: the estimator of `instruments.hamiltonian`. On the 4×4 lattice of level 3 he counts each
image of a displacement, as is done here (docs/diagnostics/hamiltonian.md).
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from rgstep.blocking import Decimation, Majority
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    CONFIRMED,
    REFUTED,
    UNDECIDED,
    Conclusion,
    Experiment,
    Row,
    averaged,
    chi_squared,
    critical,
    iterated,
)
from rgstep.instruments.pseudolikelihood import KINDS, couplings
from rgstep.parts import Part, Settings, Values, stored
from rgstep.types import CoarseGraining, Progress

ORDER = ("nn", "nnn", "20", "plaquette", "sublattice", "21", "22")  # of the published table
PUBLISHED = {  # of level 1, 2, 3
    1: ((0.3643, 0.0814, -0.0068, -0.0075, 0.0026, -0.0038, -0.0023), (3, 2, 2, 2, 2, 1, 2), 1e-4),
    2: ((0.3527, 0.0944, -0.0094, -0.0075, 0.0043, -0.0046, -0.0019), (7, 10, 6, 9, 5, 4, 9), 1e-4),
    3: ((0.353, 0.095, -0.013, -0.004, 0.005, -0.002, -0.005), (3, 3, 2, 3, 2, 2, 2), 1e-3),
}
LATER = {  # level 1 of González-Arroyo and Salas (1988), fitted to conditional counts: another estimator
    "nn": Estimate(0.3640, 2e-4),
    "nnn": Estimate(0.0820, 2e-4),
    "20": Estimate(-0.0072, 1e-4),
    "plaquette": Estimate(-0.0107, 1e-4),
    "sublattice": Estimate(0.0014, 1e-4),
    "21": Estimate(-0.0034, 1e-4),
    "22": Estimate(-0.0021, 1e-4),
}
AGREES, DIFFERS = 1.5, 1e-4  # χ² a number below which the tables agree; chance of a larger one from which they differ
RULES: dict[str, CoarseGraining] = {"majority": Majority(), "decimation": Decimation()}


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: sets of configurations of their own."""
    number, samples = (2, 40_000) if quick else (10, 100_000)
    return [{"size": 32, "samples": samples, "seed": seed + s} for s in range(number)]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return the couplings of three levels of the majority rule, and of decimation beside it."""
    ensemble = critical(settings, progress)
    found = {}
    for name, rule in RULES.items():
        levels = iterated(ensemble, rule, len(PUBLISHED), settings["seed"])
        for n in PUBLISHED:
            fit = couplings(levels[n])
            found[f"{name}[{n}]"] = stored(fit.estimate)
            found[f"{name}_truncation[{n}]"] = stored(fit.truncation)
    return found


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return the 21 couplings beside the published ones, and χ²."""
    rows, wrong = [], []
    for level, (values, errors, unit) in PUBLISHED.items():
        ours, control = (averaged([part.estimate(f"{name}[{level}]") for part in found]) for name in RULES)
        shift = averaged([part.estimate(f"majority_truncation[{level}]") for part in found])
        for kind, value, error in zip(ORDER, values, errors, strict=True):
            at, published = KINDS.index(kind), Estimate(value, error * unit)
            beside = {"decimation": control[at]}
            if level == 1:
                beside["published 1988, other estimator"] = LATER[kind]
            if at < np.size(shift.value):
                beside["seven kinds minus six"] = shift[at]
            rows.append(Row(f"K_{kind}, level {level}", ours[at], published, beside))
            wrong.append(Row(kind, control[at], published))
    total, of_control, count = chi_squared(rows), chi_squared(wrong), len(rows)
    chance = float(stats.chi2.sf(total, count))
    told_apart = stats.chi2.sf(of_control, count) < DIFFERS
    verdict = CONFIRMED if total / count < AGREES and told_apart else REFUTED if chance < DIFFERS else UNDECIDED
    by_level = ", ".join(f"{chi_squared(rows[i : i + len(ORDER)]):.1f}" for i in range(0, count, len(ORDER)))
    samples = sum(part.settings["samples"] for part in found)
    farthest = max(rows, key=lambda row: abs(float(row.z or 0.0)))
    why = (
        f"χ² = {total:.1f} of {count} couplings with both errors (level by level {by_level}; a larger one by chance in "
        f"{chance:.2g}); the couplings of decimation have χ² = {of_control:.3g}; the farthest is {farthest.quantity}, "
        f"{farthest.z:+.1f}σ; {samples} configurations"
    )
    return Conclusion(rows, verdict, why)


EXPERIMENT = Experiment(
    name="swendsen1984",
    claim="The seven couplings of three levels of the 2×2 majority rule from 32×32 spins at K_c, 21 numbers.",
    source="Swendsen (1984), Phys. Rev. Lett. 52, 1165",
    rule=(
        f"Confirmed if χ² < {AGREES} a coupling with both errors and decimation's couplings are refuted by the same "
        f"test; refuted if so large a χ² has a chance below {DIFFERS:g}."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(9.0, 60.0),
)
