"""What do trained networks look like beside block spins and beside networks that saw no data? (p2, p3, p8)

The three claims of the first post read the same networks, which are trained and measured once. A part is one network,
or the majority rule, through the describing and the deciding rows of the battery; every trained one brings an untrained
one with weights as large. All of a run are measured on the same configurations, which `koch2020` was not trained on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rgstep import claims
from rgstep.battery import about, kind, measure_map
from rgstep.blocking import Majority
from rgstep.controls import untrained_like
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    AGREES,
    CONFIRMED,
    REFUTED,
    UNDECIDED,
    Conclusion,
    Experiment,
    Row,
    apart,
    critical,
    few_counted_as_few,
    over_seeds,
)
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.nets.rbm import untrained_rbm
from rgstep.nets.training import train_rbm
from rgstep.parts import Part, Settings, Values, as_estimate, stored
from rgstep.report import Report
from rgstep.results import NOT_JUDGED, Diagnostic, MapReport, Quantity
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.types import Progress

ROWS = (
    *("vh_pattern", "spatial_correlator", "two_point", "coherence", "conditional_law", "symmetry", "gain"),
    *("mcrg", "drift", "conditional_entropy"),
)
PUBLISHED, FRESH = "koch2020", "default"  # presets: that of the paper decides, the other is trained on fresh data
RULE, NULL, SAME_SIZE = "majority", "untrained", "untrained, weights as large"
MEASURED_SEED = 1_000_000  # added to the seed of the run: configurations that no network of a fixed set was trained on
SOURCE = "E. and R. de Mello Koch and Cheng (2020), arXiv:1906.05212"
SEPARATED = 5.0  # σ: the largest of some 60 numbers reaches 4 by chance once in 300
ROUNDING = 1e-9


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: the majority rule on two sets, then per seed an untrained network and one of each preset."""
    size, samples, seeds = (16, 5000, 4) if quick else (32, 20_000, 10)
    base = {"size": size, "samples": samples, "measured_on": seed + MEASURED_SEED}
    rules = [{**base, "map": RULE, "seed": seed}, {**base, "map": RULE, "seed": seed, "measured_on": seed + 1}]
    nets = [{**base, "map": m, "seed": seed + s} for m in (NULL, PUBLISHED, FRESH) for s in range(seeds)]
    return [*rules, *nets]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return every number of the rows for one map, for a trained network those of its null too, and what it is."""
    ensemble = sample(
        settings["size"], samples=settings["samples"], seed=settings["measured_on"], mode="thin", progress=progress
    )
    maps = made(settings, progress)
    return {
        label: {"about": about(given), "kind": kind(given), "rows": numbers_of(ensemble, given, settings["seed"])}
        for label, given in maps.items()
    }


def made(settings: Settings, progress: Progress | None) -> dict[str, object]:
    """Return the map of a part, and beside a trained network an untrained one with weights as large."""
    sites, seed, name = settings["size"] ** 2, settings["seed"], settings["map"]
    if name == RULE:
        return {RULE: Majority()}
    if name == NULL:
        return {NULL: untrained_rbm(sites, sites // 4, seed)}
    data = IsingStream(settings["size"], CRITICAL_TEMPERATURE, seed) if name == FRESH else critical(settings, progress)
    rbm = train_rbm(data, sites // 4, seed, preset=name, progress=progress)
    return {name: rbm, SAME_SIZE: untrained_like(rbm, seed)}


def numbers_of(ensemble: Ensemble, given: object, seed: int) -> dict[str, dict[str, list[float | None]]]:
    """Return value and error of every number of the rows of one map."""
    rows = measure_map(ensemble, "map", given, seed, ROWS)
    return {row: {q: stored(x.estimate) for q, x in found.estimates.items()} for row, found in rows.items()}


# --- what the parts say


@dataclass(frozen=True)
class Seen:
    """All maps of a run: of each family, seed by seed, its numbers by (row, quantity)."""

    families: Mapping[str, Sequence[Mapping[tuple[str, str], Estimate]]]
    report: Report

    def pooled(self, name: str, key: tuple[str, str]) -> Estimate:
        """Return a number of a family over its seeds."""
        return over_seeds([numbers[key] for numbers in self.families[name] if key in numbers])

    def has(self, name: str, key: tuple[str, str]) -> bool:
        """Whether every seed of a family has a number, and finite."""
        of_seeds = self.families[name]
        return all(key in numbers and math.isfinite(float(numbers[key].value)) for numbers in of_seeds)


def seen(found: Sequence[Part]) -> Seen:
    """Return what was measured, the control set of the majority rule under a name of its own."""
    families: dict[str, list[dict[tuple[str, str], Estimate]]] = {}
    maps: dict[str, MapReport] = {}
    first = found[0].settings["measured_on"]
    for part in found:
        for label, entry in part.values.items():
            name = label if part.settings["measured_on"] == first else f"{label}, other configurations"
            if label == SAME_SIZE:
                name = f"{part.settings['map']}, {SAME_SIZE}"
            numbers = {
                (row, quantity): as_estimate(pair)
                for row, of_row in entry["rows"].items()
                for quantity, pair in of_row.items()
            }
            families.setdefault(name, []).append(numbers)
            maps[f"{name}~{len(families[name])}"] = map_report(entry["about"], entry["kind"], numbers)
    return Seen(families, Report({}, maps))


def map_report(about_it: str, kind_of: str, numbers: Mapping[tuple[str, str], Estimate]) -> MapReport:
    """Return a map's entry in a report, from its numbers."""
    rows = {
        row: Diagnostic(None, "", {q: Quantity(e) for (r, q), e in numbers.items() if r == row}) for row, _ in numbers
    }
    return MapReport(NOT_JUDGED, kind_of, about_it, rows)


def of_claim(claim: str, found: Sequence[Part]) -> Conclusion:
    """Return what `claims.findings` says on P2 or P3: the published preset decides, the other stands beside it."""
    every = seen(found)
    by_network = {f.network: f for f in claims.findings(every.report) if f.claim == claim}
    rows, counts = [], []
    for name in (PUBLISHED, FRESH):
        finding = by_network[name]
        of_null = claims.about(every.report, claim, name, RULE, f"{name}, {SAME_SIZE}").likenesses
        for one, same in zip(finding.likenesses, of_null, strict=True):
            beside = {"majority": one.majority, "untrained": one.untrained, SAME_SIZE: same.untrained}
            verdict = CONFIRMED if one.gain > AGREES else REFUTED if falls_short(one) else UNDECIDED
            label = f"{one.quantity}, {name}"
            rows.append(Row(label, one.trained, None, beside, verdict if name == PUBLISHED else "", one.gain))
        likenesses = finding.likenesses
        nearer = sum(one.gain > AGREES for one in likenesses)
        than_same = sum(one.gain > AGREES for one in of_null)
        equal = sum(abs(apart(one.trained, one.majority)) < AGREES for one in likenesses)
        counts.append(
            f"{name}: of {len(likenesses)} numbers {nearer} are nearer to the majority rule than the untrained "
            f"network's by more than {AGREES:.0f}σ ({than_same} than those of one with weights as large), "
            f"{equal} equal it"
        )
    decided = [row for row in rows if row.verdict]
    wins = sum(row.verdict == CONFIRMED for row in decided)
    short = any(row.verdict == REFUTED for row in decided)
    verdict = CONFIRMED if wins == len(decided) else REFUTED if wins == 0 and short else UNDECIDED
    return Conclusion(rows, verdict, f"{'; '.join(counts)}; {extent(found)}", "σ nearer to majority")


def falls_short(one: claims.Likeness) -> bool:
    """Whether a network came less than half of the way from the untrained one to the majority rule, by three σ."""
    gap, left = (abs(float(x.value) - float(one.majority.value)) for x in (one.untrained, one.trained))
    came = gap - left
    error = came / one.gain if math.isfinite(one.gain) and one.gain else 0.0
    return came + AGREES * error < gap / 2


def conclude_p8(found: Sequence[Part]) -> Conclusion:
    """Return the number of each row that separates the published networks from the majority rule most clearly."""
    every = seen(found)
    other = f"{RULE}, other configurations"
    rows = []
    for row in ROWS:
        keys = [key for key in every.families[RULE][0] if key[0] == row]
        keys = [key for key in keys if all(every.has(name, key) for name in (PUBLISHED, RULE, other))]
        scored = [(separation(every, PUBLISHED, key), key) for key in keys]
        scored = [(z, key) for z, key in scored if math.isfinite(z)]
        if not scored:
            continue
        z, key = max(scored, key=lambda pair: abs(pair[0]))
        shown = (RULE, other, FRESH, NULL, f"{PUBLISHED}, {SAME_SIZE}")
        beside = {name: every.pooled(name, key) for name in shown if every.has(name, key)}
        null = abs(apart(beside[other], beside[RULE]))
        verdict = CONFIRMED if abs(z) > SEPARATED > null else UNDECIDED
        rows.append(Row(f"{row}: {key[1]}", every.pooled(PUBLISHED, key), None, beside, verdict, z))
    rows.sort(key=lambda one: -abs(one.distance or 0.0))
    clear = [row for row in rows if row.verdict == CONFIRMED]
    null = max(abs(apart(row.beside[other], row.beside[RULE])) for row in rows)
    best = ", ".join(f"{row.quantity} {row.distance:+.0f}σ" for row in clear[:3])
    why = (
        f"{len(clear)} of {len(rows)} rows separate {PUBLISHED} from the majority rule by more than {SEPARATED:.0f}σ, "
        f"best {best or 'none'}; the majority rule on other configurations is at most {null:.1f}σ from itself in the "
        f"same numbers; {extent(found)}"
    )
    return Conclusion(rows, CONFIRMED if clear else UNDECIDED, why, "σ from majority")


def separation(every: Seen, name: str, key: tuple[str, str]) -> float:
    """Return how many σ a number of a family lies above the majority rule's, few seeds counted as few."""
    ours, rule = every.pooled(name, key), every.pooled(RULE, key)
    if abs(float(ours.value) - float(rule.value)) < ROUNDING:  # a constant
        return 0.0
    return apart(few_counted_as_few(ours, len(every.families[name])), rule)


def extent(found: Sequence[Part]) -> str:
    """Return size and seeds in words."""
    seeds = sum(part.settings["map"] == PUBLISHED for part in found)
    return f"L = {found[0].settings['size']}, {seeds} seeds of each"


NEARER = (
    f"By the published preset: confirmed if every number is nearer to the majority rule's than the untrained "
    f"network's, by more than {AGREES:.0f}σ over seeds; refuted if none is and one has come less than half of "
    "the way, by as much."
)
P2 = Experiment(
    name="p2",
    claim="⟨v h⟩ of a trained RBM shows patches like those of block spins.",
    source=SOURCE,
    rule=NEARER,
    parts=parts,
    measure=measure,
    conclude=partial(of_claim, "P2"),
    seconds=(73.0, 1800.0),
    measures="networks",
)
P3 = replace(
    P2,
    name="p3",
    claim="The spatial correlators of a trained RBM's pictures match those of block spins.",
    conclude=partial(of_claim, "P3"),
)
P8 = replace(
    P2,
    name="p8",
    claim="A trained RBM and block spins differ: which diagnostic separates them, and by how many σ.",
    rule=(
        f"Confirmed if a number separates the networks of the published preset from the majority rule by more than "
        f"{SEPARATED:.0f}σ (few seeds counted as few), and does not separate the rule from itself on other "
        "configurations."
    ),
    conclude=conclude_p8,
)
