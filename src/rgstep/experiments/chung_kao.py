"""Is a kernel that is trained to fit critical configurations, and told nothing else, an RG step?

The RBM of Chung and Kao has one kernel for all its units and is trained by contrastive divergence of its free energy
(`nets.shared_rbm`). A part is one kernel: trained, then judged (`battery.judge`) on configurations of its own that it
was not trained on. Beside it stand the majority rule, the same training on T = ∞, where nothing is to be learned, and
on data with permuted pixels, where no place is near another: that kernel is no map of lattices and is only looked at.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rgstep.battery import judge
from rgstep.blocking import Majority
from rgstep.controls import infinite_temperature, permuted
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    AGREES,
    CONFIRMED,
    DIFFERS,
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
    over_seeds,
)
from rgstep.ising import Ising
from rgstep.learned import train_kernel
from rgstep.nets.batches import Data
from rgstep.nets.kernel import SharedKernel, compactness
from rgstep.parts import Part, Settings, Values, stored
from rgstep.results import RG_STEP
from rgstep.samplers.sample import sample
from rgstep.types import CoarseGraining, Progress

PRESET = "chung2020"
KERNEL, RULE, PERMUTED, INFINITE = "critical", "majority", "permuted", "infinite"  # what a part is of
LABELS = {RULE: "majority", PERMUTED: "permuted pixels", INFINITE: "T = ∞"}
MEASURED_SEED = 1_000_000  # added to the seed of a part: configurations that no kernel was trained on
EXACT = {"y_t": Ising.Y_T, "y_h": Ising.Y_H}
NEAR = {"y_t": 0.02, "y_h": 0.01}  # granted to corrections to scaling
FIRST = 1  # the step from which on exponents decide, as long as the lattice is wider than the kernel
SPOT = 4  # side of the spot that a local kernel has its weight in
COMPACT, SPREAD = 0.9, 0.75  # share of Σ w² in it: of a local kernel at least, of a null at most


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: kernels over seeds, then the same training without structure, and the majority rule."""
    steps, samples, seeds, nulls = (2000, 4000, 2, 1) if quick else (20_000, 20_000, 5, 2)
    base = {"size": 32, "samples": samples}
    trained = {**base, "steps": steps, "trained_on": 10_000}
    kinds = [(KERNEL, seeds), (PERMUTED, nulls), (INFINITE, nulls)]
    kernels = [{**trained, "map": kind, "seed": seed + s} for kind, number in kinds for s in range(number)]
    return [*kernels, *({**base, "map": RULE, "seed": seed + s} for s in range(nulls))]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return where the kernel's weight is, and of a map of lattices the exponents step by step and the verdict."""
    seed, name = settings["seed"], settings["map"]
    found: dict[str, Any] = {}
    given: CoarseGraining = Majority()
    if name != RULE:
        given = kernel_of(settings, progress)
        found |= {"compact": compactness(given.weights, SPOT), "weights": given.weights.astype(float).round(4).tolist()}
    if name == PERMUTED:
        return found
    ensemble = sample(settings["size"], samples=settings["samples"], seed=seed + MEASURED_SEED, mode="thin")
    entry = judge(ensemble, {name: given}, seed, progress=progress).maps[name]
    exponents = {q: stored(x.estimate) for q, x in entry.estimates("mcrg").items() if q.split("[")[0] in EXACT}
    return {**found, **exponents, "verdict": entry.verdict, "reason": entry.reason}


def kernel_of(settings: Settings, progress: Progress | None) -> SharedKernel:
    """Return the kernel that a part's training makes."""
    seed = settings["seed"]
    data = data_of(settings, progress)
    return train_kernel(data, PRESET, seed, steps=settings["steps"], progress=progress)


def data_of(settings: Settings, progress: Progress | None) -> Data:
    """Return what a part's kernel is trained on."""
    size, many, seed = settings["size"], settings["trained_on"], settings["seed"]
    if settings["map"] == INFINITE:
        return infinite_temperature(size, many, seed)
    data: Ensemble = critical({**settings, "samples": many}, progress)
    return permuted(data, seed)[0] if settings["map"] == PERMUTED else data


# --- what the parts say


def pooled(found: Sequence[Part], name: str) -> Estimate:
    """Return the mean of a number over parts; with the larger error of that of the samples and that over seeds."""
    estimates = [part.estimate(name) for part in found if name in part.values]
    if not estimates:
        return Estimate(math.nan, math.nan)
    of_samples, of_seeds = averaged(estimates), over_seeds(estimates)
    return Estimate(of_samples.value, max(float(of_samples.error), float(of_seeds.error)))


def near(kind: str, ours: Estimate) -> str:
    """Return what the distance of an exponent from the exact one decides, beyond what corrections are granted."""
    if not is_finite(ours):
        return UNDECIDED
    beyond = max(0.0, abs(float(ours.value) - EXACT[kind]) - NEAR[kind])
    return agreement(apart(Estimate(beyond, ours.error), Estimate(0.0, 0.0)))


def is_finite(one: Estimate) -> bool:
    """Whether a number and its error are known."""
    return math.isfinite(float(one.value)) and math.isfinite(float(one.error))


def exponent_rows(of: Mapping[str, Sequence[Part]]) -> list[Row]:
    """Return the exponents step by step beside the exact ones, and what those decide that may.

    At the first step corrections to scaling are large, and no unit may see all of the lattice that a step starts from.
    """
    rows, first = [], of[KERNEL][0]
    names = [name for name in first.values if name.split("[")[0] in EXACT]
    for name in sorted(names, key=lambda name: (name.split("[")[0] == "y_h", name)):
        kind, step = name.rstrip("]").split("[")
        ours, exact = pooled(of[KERNEL], name), Estimate(EXACT[kind], 0.0)
        others = {LABELS[other]: pooled(of[other], name) for other in (RULE, INFINITE)}
        beside = {label: one for label, one in others.items() if is_finite(one)}  # of noise there may be none
        side = first.settings["size"] >> int(step)
        wider = side > len(first.values["weights"])
        verdict = near(kind, ours) if int(step) >= FIRST and wider else ""
        label = f"{kind}, step {int(step) + 1}, from {side}×{side}"
        rows.append(Row(label, ours, exact, beside, verdict, apart(ours, exact)))
    return rows


def share_row(of: Mapping[str, Sequence[Part]]) -> Row:
    """Return which share of the kernels is judged an RG step; the rule must be one, and no kernel of T = ∞."""
    shares = {
        name: sum(part.values["verdict"] == RG_STEP for part in of[name]) / len(of[name])
        for name in (KERNEL, RULE, INFINITE)
    }
    told = shares[RULE] == 1 and shares[INFINITE] == 0
    verdict = UNDECIDED
    if told and shares[KERNEL] in {0, 1}:
        verdict = CONFIRMED if shares[KERNEL] else REFUTED
    beside = {LABELS[name]: Estimate(shares[name], 0.0) for name in (RULE, INFINITE)}
    return Row("share that is judged an RG step", Estimate(shares[KERNEL], 0.0), None, beside, verdict)


def compact_row(of: Mapping[str, Sequence[Part]]) -> Row:
    """Return how much of Σ w² lies in one spot: of every kernel most, of the nulls less."""
    shares = {name: [part.values["compact"] for part in of[name]] for name in (KERNEL, PERMUTED, INFINITE)}
    least, largest = min(shares[KERNEL]), max(*shares[PERMUTED], *shares[INFINITE])
    verdict = CONFIRMED if least > COMPACT and largest < SPREAD else REFUTED if least < largest else UNDECIDED
    means = {name: over_seeds([Estimate(share, 0.0) for share in of_kind]) for name, of_kind in shares.items()}
    beside = {LABELS[name]: means[name] for name in (PERMUTED, INFINITE)}
    return Row(f"share of Σ w² in a {SPOT}×{SPOT} spot", means[KERNEL], None, beside, verdict)


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return exponents, verdicts and places of the kernels beside those of the majority rule and of the nulls."""
    of = {name: [part for part in found if part.settings["map"] == name] for name in (KERNEL, *LABELS)}
    exponents, share, compact = exponent_rows(of), share_row(of), compact_row(of)
    kernels = of[KERNEL]
    numbers = "; ".join(f"{row.quantity}: {row.ours}" for row in exponents if row.verdict)
    why = (
        f"{share.ours.value:.0%} of {len(kernels)} kernels are judged RG steps, "
        f"{share.beside[LABELS[INFINITE]].value:.0%} of those of T = ∞; {numbers}; a {SPOT}×{SPOT} spot has "
        f"{compact.ours.value:.2f} of Σ w², {compact.beside[LABELS[PERMUTED]].value:.2f} with permuted pixels; "
        f"L = {kernels[0].settings['size']}, {kernels[0].settings['steps']} updates"
    )
    rows = [*exponents, share, compact]
    return Conclusion(rows, all_of([row.verdict for row in rows if row.verdict]), why)


EXPERIMENT = Experiment(
    name="chung-kao",
    claim="An RBM with one kernel for all units, trained on critical configurations alone, makes an RG step.",
    source="Chung and Kao (2021), arXiv:2010.05703",
    rule=(
        "Confirmed if every kernel is judged an RG step and none of T = ∞, if from the second step on, as long as the "
        f"lattice is wider than the kernel, y_t is within {NEAR['y_t']} of 1 and y_h within {NEAR['y_h']} of 15/8, up "
        f"to {AGREES:.0f}σ, and if each kernel has {COMPACT:.0%} of Σ w² in a {SPOT}×{SPOT} spot and no null has "
        f"{SPREAD:.0%}; refuted if none is judged one, an exponent is {DIFFERS:.0f}σ farther, or a null's weight is as "
        "compact."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(68.0, 1400.0),
)
