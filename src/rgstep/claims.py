"""What the numbers say about two published claims, in one sentence each.

P1: ⟨v h⟩ of block spins at T_c is one spot for each coarse site, periodic as the coarse lattice. P2: the pictures ⟨v h⟩
of a trained RBM show patches like those of block spins. P3: their spatial correlators match those of block spins. All
were read off figures in arXiv:1906.05212.

P1 is asked of the majority rule, by the tiles of its units. A trained network supports P2 or P3 only if it is nearer to
the majority rule than the network that saw no data, by more than three standard errors, in every number. Each finding
ends in one word: supported, not supported, or mixed. One network is one network: `of_training` says in how far its
finding tells of a training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rgstep.estimates import Estimate
from rgstep.report import Report
from rgstep.roles import NULL, RG, control, family, is_trained, judged, members

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
SUPPORTED, NOT_SUPPORTED, MIXED = "supported", "not supported", "mixed"


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
    """A claim, the map it is about, its outcome in a word and in a sentence, and the numbers it rests on.

    `outcome` is "supported", "not supported" or "mixed"; `of_training` says what follows about a training, if anything.
    """

    claim: str
    network: str
    supported: bool
    sentence: str
    likenesses: Sequence[Likeness]
    outcome: str = NOT_SUPPORTED
    of_training: str = ""


def findings(report: Report) -> list[Finding]:
    """Return a finding on P2 and on P3 for each family of judged maps in the report.

    None where the report has no majority rule or no untrained network among its controls.
    """
    rg, null = control(report.maps, RG), control(report.maps, NULL)
    if rg is None or null is None:
        return []
    families = sorted({family(name) for name in judged(report.maps)})
    return [about(report, claim, name, rg, null) for name in families for claim in CLAIMS]


def of_block_spins(report: Report) -> Finding | None:
    """Return the finding on P1, None without a majority rule whose units were placed.

    Supported if nine units of ten read one neighbourhood, and no more than one of ten sits where another sits.
    """
    name = control(report.maps, RG)
    if name is None:
        return None
    found = report.maps[name].estimates("vh_pattern")
    if not {"local_units", "crowded_units"} <= found.keys():
        return None
    local, crowded = (found[q].estimate for q in ("local_units", "crowded_units"))
    holds = [float(local.value) >= 0.9, float(crowded.value) <= 0.1]
    outcome = SUPPORTED if all(holds) else MIXED if any(holds) else NOT_SUPPORTED
    sentence = (
        f"Of the units of {name} {percent(local)} read one neighbourhood of their own, and {percent(crowded)} sit "
        f"where another sits."
    )
    return Finding("P1", name, outcome == SUPPORTED, sentence, (), outcome)


def percent(share: Estimate) -> str:
    """Return a share in per cent, with its error."""
    return f"{Estimate(100 * float(share.value), 100 * float(share.error))} %".replace("-", "−")


def pooled(report: Report, name: str, quantity: str) -> Estimate:
    """Return a quantity of a family: the mean over its seeds and the standard error of that mean.

    With one seed the error is that of the samples alone.
    """
    rows = (row for member in members(report.maps, name) for row in report.maps[member].diagnostics.values())
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
    supported = wins == len(found) > 0
    outcome = SUPPORTED if supported else MIXED if wins else NOT_SUPPORTED
    sentence = (
        f"{what[0].upper()}{what[1:]}: of {len(found)} numbers {wins} are nearer to the majority rule than the "
        f"untrained network's and {losses} farther, by more than {SIGMAS:.0f}σ; {equal} equal the majority rule within "
        f"{SIGMAS:.0f}σ."
    )
    return Finding(claim, name, supported, sentence, found, outcome, of_seeds(report, name))


def of_seeds(report: Report, name: str) -> str:
    """Return what a finding on one family tells of its training, in a sentence."""
    seeds = members(report.maps, name)
    if not all(is_trained(report.maps[one]) for one in seeds):
        return "This holds for this map; whether it was trained, and how, the report does not know."
    if len(seeds) > 1:
        return f"Mean over {len(seeds)} trainings that differ by their seed; σ is that of the mean over seeds."
    return (
        "This holds for this one trained network; σ is the error of its samples. Another seed of the same training "
        "gives other numbers: --seeds 5 trains five and takes the error from them."
    )


def has(report: Report, name: str, quantity: str) -> bool:
    """Whether a family has a quantity: small lattices lack the large distances."""
    rows = (row for member in members(report.maps, name) for row in report.maps[member].diagnostics.values())
    return any(quantity in row.estimates for row in rows)


def likeness(report: Report, name: str, quantity: str, rg: str, null: str) -> Likeness:
    """Return one quantity of a family beside the null and the majority rule."""
    trained, untrained, majority = (pooled(report, one, quantity) for one in (name, null, rg))
    return Likeness(LABELS.get(quantity, quantity), trained, untrained, majority, nearer(trained, untrained, majority))
