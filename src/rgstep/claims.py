"""What the numbers say about two published claims, in one sentence each.

P2: the pictures ⟨v h⟩ of a trained RBM show patches like those of block spins. P3: their spatial correlators match
those of block spins. Both were read off figures in arXiv:1906.05212. Here a trained network supports a claim only if
it is nearer to the majority rule than the network that saw no data, by more than three standard errors.

Majority rule and untrained network are known by what they are, whatever they are called: the first control of the
report that is a `Majority`, and the first that is a network without training, with its further seeds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rgstep.estimates import Estimate
from rgstep.report import Report
from rgstep.results import family

RG = re.compile(r"Majority\(")  # how a report describes the majority rule, of any block, however ties are broken
NULL = re.compile(r"RBM\(.*preset=untrained\b")  # and a network that saw no data
CLAIMS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # what is claimed, and the quantities it is read from
    "P2": (
        "patches like block spins'",
        ("pattern_range", "pattern_sd", "participation_vh", "peak_over_background"),
    ),
    "P3": (
        "spatial correlators like block spins'",
        ("C[1]", "C[2]", "C[4]", "C_pooled[1]", "C_pooled[2]", "C_pooled[4]"),
    ),
}
LABELS = {
    "pattern_range": "range within a picture",
    "pattern_sd": "spread within a picture",
    "participation_vh": "participation ratio",
    "peak_over_background": "peak over background",
}
SIGMAS = 3.0
CONTROL, JUDGED = "control", "judged"  # kinds of maps in a report


@dataclass(frozen=True)
class Likeness:
    """One quantity of a trained network beside the untrained one and the majority rule.

    `gain` is by how many standard errors the trained network is nearer to the majority rule than the untrained one.
    """

    quantity: str
    trained: Estimate
    untrained: Estimate
    majority: Estimate
    gain: float


@dataclass(frozen=True)
class Finding:
    """A claim, the network it is about, the sentence, and the numbers it rests on."""

    claim: str
    network: str
    supported: bool
    sentence: str
    likenesses: Sequence[Likeness]


def findings(report: Report) -> list[Finding]:
    """Return a finding on P2 and on P3 for each family of judged maps in the report.

    None where the report has no majority rule or no untrained network among its controls.
    """
    rg, null = control(report, RG), control(report, NULL)
    if rg is None or null is None:
        return []
    families = sorted({family(name) for name, entry in report.maps.items() if entry.kind == JUDGED})
    return [about(report, claim, name, rg, null) for name in families for claim in CLAIMS]


def control(report: Report, role: re.Pattern[str]) -> str | None:
    """Return the family of the first control of the report that is of some kind, None if none is."""
    found = (name for name, entry in report.maps.items() if entry.kind == CONTROL and role.match(entry.about))
    return next((family(name) for name in found), None)


def members(report: Report, name: str) -> list[str]:
    """Return the maps of one family."""
    return [other for other in report.maps if family(other) == name]


def pooled(report: Report, name: str, quantity: str) -> Estimate:
    """Return a quantity of a family: the mean over its seeds and the standard error of that mean.

    With one seed the error is that of the samples alone.
    """
    rows = (row for member in members(report, name) for row in report.maps[member].diagnostics.values())
    each = [row.estimates[quantity].estimate for row in rows if quantity in row.estimates]
    values = np.array([float(e.value) for e in each])
    if len(each) == 1:
        return each[0]
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def nearer(trained: Estimate, null: Estimate, rg: Estimate) -> float:
    """Return by how many standard errors a trained network is nearer to RG than the null; negative if farther."""
    t, n, r = (float(e.value) for e in (trained, null, rg))
    gain = abs(n - r) - abs(t - r)
    same_side = (n - r) * (t - r) > 0
    share = (0.0 if same_side else 2.0) * float(rg.error)
    error = math.sqrt(sum(x * x for x in (float(trained.error), float(null.error), share)))
    return gain / error if error > 0 else math.copysign(math.inf, gain) if gain else 0.0


def distance(x: Estimate, y: Estimate) -> float:
    """Return how many standard errors lie between two estimates."""
    error = math.hypot(float(x.error), float(y.error))
    gap = abs(float(x.value) - float(y.value))
    return gap / error if error > 0 else math.inf if gap else 0.0


def about(report: Report, claim: str, name: str, rg: str, null: str) -> Finding:
    """Return the finding on one claim for one family, beside the families of the majority rule and of the null."""
    what, quantities = CLAIMS[claim]
    found = [likeness(report, name, quantity, rg, null) for quantity in quantities if has(report, rg, quantity)]
    wins = sum(r.gain > SIGMAS for r in found)
    losses = sum(r.gain < -SIGMAS for r in found)
    equal = sum(distance(r.trained, r.majority) < SIGMAS for r in found)
    seeds = len(members(report, name))
    supported = wins == len(found) > 0
    mixed = "supports it only in part" if losses == 0 else "is mixed: it comes nearer in some numbers, not in others"
    judgement = "supports it" if supported else mixed if wins else "does not support it"
    count = (
        f"Of {len(found)} numbers {wins} are nearer to the majority rule than the untrained network's and {losses} "
        f"farther, by more than {SIGMAS:.0f}σ; {equal} equal the majority rule within {SIGMAS:.0f}σ."
    )
    if seeds == 1:
        sentence = (
            f"{what}: one map, {name}, from which nothing follows about a training (σ is that of the samples; networks "
            f"of other seeds differ by more). {count}"
        )
    else:
        sentence = f"{what}: {name} ({seeds} seeds) {judgement}. {count}"
    return Finding(claim, name, supported, sentence, found)


def has(report: Report, name: str, quantity: str) -> bool:
    """Whether a family has a quantity: small lattices lack the large distances."""
    rows = (row for member in members(report, name) for row in report.maps[member].diagnostics.values())
    return any(quantity in row.estimates for row in rows)


def likeness(report: Report, name: str, quantity: str, rg: str, null: str) -> Likeness:
    """Return one quantity of a family beside the null and the majority rule."""
    trained, untrained, majority = (pooled(report, one, quantity) for one in (name, null, rg))
    return Likeness(LABELS.get(quantity, quantity), trained, untrained, majority, nearer(trained, untrained, majority))
