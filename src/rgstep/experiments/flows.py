"""Does the flow v → h → v of a trained network end at T_c, and at the critical dimensions? (p4, p5, p6)

The three claims read the same flows. A part is one network of L = 16 iterated from T = 0, from T = ∞ and from critical
configurations that it was not trained on: a network whose law is the Ising model at T_c leaves the last as they are,
however slowly it forgets the first two. What is read at the end is read of equilibrium configurations of T_c, too, as
many of the same side: the baseline. Nulls: an untrained network with weights as large, and one trained alike on T = 0
and T = ∞ alone, which saw nothing of T_c.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rgstep.controls import trained_on, untrained_like
from rgstep.dimensions import scaling_dimensions
from rgstep.ensemble import Ensemble, Level
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    AGREES,
    CONFIRMED,
    REFUTED,
    UNDECIDED,
    Conclusion,
    Experiment,
    Row,
    agreement,
    all_of,
    apart,
    critical,
    few_counted_as_few,
    over_seeds,
)
from rgstep.experiments.networks import FRESH, MEASURED_SEED, PUBLISHED, SAME_SIZE, SEPARATED, SOURCE
from rgstep.flows import Flow, flow
from rgstep.ising import CRITICAL_TEMPERATURE, Ising
from rgstep.nets.rbm import RBM
from rgstep.nets.training import train_rbm
from rgstep.parts import Part, Settings, Values, as_estimate, stored
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.temperatures import UNLIKELY, consistency, finite, peak_temperature, table, thermometers
from rgstep.types import Progress

SIZE, SEEDS = 16, {True: 2, False: 10}
STEPS, LENGTH = 200, 29  # at most; the longest that was published
SHORT = 2500  # updates, a quarter of the preset's
BRIEF, ORDER_AND_DISORDER, BASELINE = f"{PUBLISHED}, {SHORT} updates", "trained on T = 0 and ∞", "equilibrium at T_c"
STARTS = {"zero": "T = 0", "infinite": "T = ∞", "critical": "T_c"}
ENDS = ("zero", "infinite")  # the starts of the claims
THERMOMETERS = {"abs_m": "magnetisation", "u": "energy", "K_nn": "K_nn", "xi": "ξ/L", "U4": "U₄"}  # each has one T
EQUILIBRIUM = "equilibrium states"
DIMENSIONS = {"σ": Ising.DELTA_SIGMA, "ε": Ising.DELTA_EPSILON}


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: per seed the baseline and four networks.

    A quick run has the first seeds of a full one, and of their networks those that the rules need.
    """
    needed = (BASELINE, PUBLISHED, ORDER_AND_DISORDER)
    kinds = needed if quick else (BASELINE, PUBLISHED, BRIEF, ORDER_AND_DISORDER, FRESH)
    base = {"size": SIZE, "samples": 20_000, "chains": 1000, "steps": STEPS}
    return [{**base, "map": kind, "seed": seed + s} for s in range(SEEDS[quick]) for kind in kinds]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return what is read where the flows of one network end, with the network of the paper those of its null too."""
    size, chains, seed, name = (settings[key] for key in ("size", "chains", "seed", "map"))
    untouched = sample(size, CRITICAL_TEMPERATURE, chains, seed + MEASURED_SEED, mode="thin", progress=progress)
    if name == BASELINE:
        return {name: {"critical": state_of(untouched)}}
    rbm = trained(settings, progress)
    maps = {name: rbm, SAME_SIZE: untrained_like(rbm, seed)} if name == PUBLISHED else {name: rbm}
    return {label: flows_of(one, untouched, settings, progress) for label, one in maps.items()}


def trained(settings: Settings, progress: Progress | None) -> RBM:
    """Return the network of a part."""
    size, seed, name = settings["size"], settings["seed"], settings["map"]
    if name == FRESH:
        stream = IsingStream(size, CRITICAL_TEMPERATURE, seed)
        return train_rbm(stream, size**2 // 4, seed, preset=FRESH, progress=progress)
    data = critical(settings, progress)
    if name == ORDER_AND_DISORDER:
        return trained_on("zero_and_infinite", data, size**2 // 4, seed, preset=PUBLISHED, progress=progress)
    steps = SHORT if name == BRIEF else None
    return train_rbm(data, size**2 // 4, seed, preset=PUBLISHED, steps=steps, progress=progress)


def flows_of(rbm: RBM, untouched: Ensemble, settings: Settings, progress: Progress | None) -> dict[str, Any]:
    """Return what is read at the end of the flow from each start, and whether those of T = 0 and T = ∞ end alike."""
    found: dict[str, Flow] = {}
    for start in STARTS:
        source = untouched if start == "critical" else start
        how = {"samples": settings["chains"], "steps": settings["steps"], "seed": settings["seed"]}
        found[start] = flow(rbm, source, **how, progress=progress)
    zero, infinite = (found[start] for start in ENDS)
    read = {start: {**state_of(one.end), **way_of(one)} for start, one in found.items()}
    return {**read, "alike": zero.same_end(infinite), "z": {n: finite(z) for n, z in zero.z(infinite).items()}}


def way_of(one: Flow) -> dict[str, Any]:
    """Return where a flow came to rest, and of the published length whether it is at an equilibrium state."""
    p = consistency(one.seen[min(LENGTH, one.steps)], table(one.end.side))[2]
    return {"steps": one.steps, "converged_at": one.converged_at, "p_at_length": finite(p)}


def state_of(state: Ensemble | Level) -> dict[str, Any]:
    """Return T by each thermometer, p of an equilibrium state, and both dimensions; None where there is none."""
    read = thermometers(state)
    single = {name: read.readings[name].temperatures for name in THERMOMETERS}
    T = {name: stored(found[0]) if found else [None, None] for name, found in single.items()}
    return {"T": T, "p": finite(read.p_value), "best": finite(read.best), "dimensions": dimensions_of(state)}


def dimensions_of(state: Ensemble | Level) -> dict[str, Any]:
    """Return Δ_σ and Δ_ε, p of the fit, and what speaks against them."""
    found = scaling_dimensions(state)
    return {
        one.name: {"value": stored(one.estimate), "p": finite(one.p), "remark": one.remark}
        for one in (found.sigma, found.epsilon)
    }


# --- what the parts say


class Seen:
    """All flows of a run: of each family, seed by seed, what was read."""

    def __init__(self, found: Sequence[Part]) -> None:
        """Gather the parts by family."""
        self.families: dict[str, list[Mapping[str, Any]]] = {}
        for part in found:
            for label, entry in part.values.items():
                self.families.setdefault(label, []).append(entry)
        self.size, self.seeds = found[0].settings["size"], len(self.families[PUBLISHED])

    @property
    def extent(self) -> str:
        """Size and seeds in words."""
        return f"L = {self.size}, {self.seeds} networks of each kind"

    def at(self, name: str, start: str, *keys: str) -> list[Any]:
        """Return a stored value of every seed of a family; the baseline has one state, whatever the start."""
        found: list[Any] = [entry["critical" if name == BASELINE else start] for entry in self.families[name]]
        for key in keys:
            found = [one[key] for one in found]
        return found

    def pooled(self, name: str, start: str, *keys: str) -> Estimate:
        """Return a number over the seeds; NaN if one of them has none."""
        return over_seeds([as_estimate(pair) for pair in self.at(name, start, *keys)])

    def for_few(self, name: str, start: str, *keys: str) -> Estimate:
        """Return a number over the seeds, few seeds counted as few."""
        return few_counted_as_few(self.pooled(name, start, *keys), self.seeds)

    def beside(self, start: str, *keys: str) -> dict[str, Estimate]:
        """Return a number of all families but the published one."""
        return {name: self.pooled(name, start, *keys) for name in self.families if name != PUBLISHED}

    def row(self, quantity: str, start: str, against: Estimate, exact: Estimate, *keys: str) -> Row:
        """Return the row of a number of the published preset, held against another; it decides from T = 0 and ∞."""
        ours, control = (self.for_few(name, start, *keys) for name in (PUBLISHED, ORDER_AND_DISORDER))
        z = apart(ours, against)
        verdict = UNDECIDED if abs(z) <= SEPARATED else agreement(z)
        if abs(z) < AGREES and not abs(apart(ours, control)) < AGREES:
            verdict = CONFIRMED
        shown = verdict if start in ENDS else ""
        return Row(quantity, self.pooled(PUBLISHED, start, *keys), exact, self.beside(start, *keys), shown, z)

    def share(self, quantity: str, start: str, holds: Callable[[Any], bool], *keys: str, baseline: bool = False) -> Row:
        """Return the row that says of which share of the seeds something holds, of every family that has it."""
        shares = {}
        for name in self.families:
            if name != BASELINE or baseline:
                every = self.at(name, start, *keys)
                shares[name] = Estimate(sum(map(holds, every)) / len(every), 0.0)
        return Row(quantity, shares.pop(PUBLISHED), None, shares)


def likely(p: float | None) -> bool:
    """Whether a fit is not excluded; where there is none, there is none that holds."""
    return p is not None and p >= UNLIKELY


def possible(p: float | None) -> bool:
    """Whether an equilibrium state is not excluded: ground states, for which there is no test, are one of T = 0."""
    return p is None or p >= UNLIKELY


def at_rest(converged_at: int | None) -> bool:
    """Whether a flow has converged."""
    return converged_at is not None


def has(row: Row, share: float) -> bool:
    """Whether a share is that of the published preset."""
    return float(row.ours.value) == share


def where_all(rows: Sequence[Row], shares: Sequence[Row]) -> list[Row]:
    """Return rows without a verdict where a share is below 1: their mean is over what is no end, or no number."""
    return [
        replace(row, verdict=UNDECIDED) if row.verdict and not has(held, 1.0) else row
        for row, held in zip(rows, shares, strict=True)
    ]


def rests(seen: Seen) -> list[Row]:
    """Return which share of the flows comes to rest, by start."""
    return [seen.share(f"come to rest, from {words}", s, at_rest, "converged_at") for s, words in STARTS.items()]


def verdict_of(seen: Seen, numbers: Sequence[Row], shares: Sequence[Row], needed: Sequence[Row]) -> str:
    """Return the verdict of the three claims.

    Args:
        seen: all flows.
        numbers: the rows that are held against the published number.
        shares: how many ends are of the kind that has such a number at all, those of `ENDS` first; refuted if none is.
        needed: what else must hold of every network for the claim to be confirmed.
    """
    if float(shares[0].beside[BASELINE].value) < 1 / 2:  # a test that equilibrium itself fails
        return UNDECIDED
    decided = [row.verdict for row in numbers if row.verdict]
    if (seen.seeds > 1 and all(has(row, 0.0) for row in shares)) or REFUTED in decided:
        return REFUTED
    return all_of(decided) if all(has(row, 1.0) for row in [*shares[: len(ENDS)], *needed]) else UNDECIDED


def conclude_p4(found: Sequence[Part]) -> Conclusion:
    """Return temperatures at the ends, and how many ends are equilibrium states, are alike, have come to rest."""
    seen, T_c = Seen(found), Estimate(CRITICAL_TEMPERATURE, 0.0)
    rows = [
        seen.row(f"T by {words}, from {STARTS[start]}", start, T_c, T_c, "T", name)
        for start in STARTS
        for name, words in THERMOMETERS.items()
    ]
    ends, early = (
        [seen.share(f"{EQUILIBRIUM} {when}, from {STARTS[s]}", s, possible, key, baseline=key == "p") for s in STARTS]
        for when, key in (("at the end", "p"), (f"after {LENGTH} steps", "p_at_length"))
    )
    alike = seen.share("ends from T = 0 and from T = ∞ alike", "alike", bool)
    rest = rests(seen)
    rows = where_all(rows, [of_start for of_start in rest for _ in THERMOMETERS])
    verdict = verdict_of(seen, rows, [*ends, *early], [alike, *rest[: len(ENDS)]])
    tested = [p for start in STARTS for key in ("p", "p_at_length") for p in seen.at(PUBLISHED, start, key)]
    read = [
        f"{' and '.join(str(seen.pooled(PUBLISHED, start, 'T', name)) for start in ENDS)} by {THERMOMETERS[name]}"
        for name in ("abs_m", "u", "K_nn")
    ]
    why = (
        f"from T = 0 and from T = ∞ to T = {', '.join(read)} in {STEPS} steps at most, where T_c = {T_c.value:.4f} and "
        f"the specific heat is largest at {peak_temperature(seen.size):.4f}; equilibrium states: {percent(*ends)} of "
        f"the ends from T = 0, T = ∞ and T_c, largest p of these and of those after {LENGTH} steps "
        f"{max(p or 0.0 for p in tested):.1g}; both ends alike: {percent(alike)}; come to rest: {percent(*rest)}; "
        f"{seen.extent}"
    )
    return Conclusion([*rows, *ends, *early, alike, *rest], verdict, why, "σ from T_c, few seeds counted as few")


def percent(*rows: Row) -> str:
    """Return shares in words."""
    return ", ".join(f"{float(row.ours.value):.0%}" for row in rows)


def of_dimension(name: str, found: Sequence[Part]) -> Conclusion:
    """Return Δ at the ends beside the baseline's, and of which share of the networks it is a critical dimension."""
    seen, keys, exact = Seen(found), ("dimensions", name), Estimate(DIMENSIONS[name], 0.0)
    baseline = seen.pooled(BASELINE, "critical", *keys, "value")
    against = few_counted_as_few(baseline, seen.seeds)

    def fits(state: Mapping[str, Any]) -> bool:
        return likely(state["dimensions"][name]["p"])

    def agrees(state: Mapping[str, Any]) -> bool:
        delta = as_estimate(state["dimensions"][name]["value"])
        nothing = Estimate(0.0, 0.0)
        return fits(state) and abs(apart(delta, baseline)) < AGREES < apart(delta, nothing)

    fit = [seen.share(f"fits that hold, from {words}", s, fits, baseline=True) for s, words in STARTS.items()]
    both = [
        seen.share(f"fits that hold and agree with equilibrium, from {words}", s, agrees, baseline=True)
        for s, words in STARTS.items()
    ]
    rows = [
        seen.row(f"Δ_{name}, from {words}", start, against, exact, *keys, "value") for start, words in STARTS.items()
    ]
    rows = where_all(where_all(rows, fit), rests(seen))
    verdict = verdict_of(seen, rows, both, fit[: len(ENDS)])
    said = ", ".join(f"{row.ours} from {words}" for row, words in zip(rows, STARTS.values(), strict=True))
    why = (
        f"Δ_{name} = {said}, of equilibrium configurations {baseline}, exactly {DIMENSIONS[name]:g}; the fit holds for "
        f"{percent(*fit)} of the ends and agrees with equilibrium in {percent(*both)}; {seen.extent}"
    )
    return Conclusion([*rows, *fit, *both], verdict, why, "σ from equilibrium, few seeds counted as few")


FEW = "few seeds counted as few by Student's t"
DIMENSION_RULE = (
    f"By the published preset. An end reproduces Δ if the fit holds (p of χ² ≥ {UNLIKELY:g}; otherwise no Δ describes "
    f"it) and gives, within {AGREES:.0f}σ, what it gives for equilibrium configurations, since L = 16 has corrections "
    f"of its own, and more than {AGREES:.0f}σ above 0. Confirmed if all flows from T = 0 and from T = ∞ come to rest, "
    f"every fit holds, and both means over networks are as near and {AGREES:.0f}σ from those of networks trained on "
    "T = 0 and ∞ alone; refuted if no end of at least two networks reproduces Δ, not even from T_c, or if all flows "
    f"from T = 0 or all from T = ∞ come to rest, their fits hold, and the mean is farther than {SEPARATED:.0f}σ, {FEW}."
)
P4 = Experiment(
    name="p4",
    claim="The flow v → h → v of a trained RBM, from T = 0 and from T = ∞, tends to T_c.",
    source=SOURCE,
    rule=(
        "By the published preset. Confirmed if all flows come to rest, both ends are alike, each is an equilibrium "
        f"state (p ≥ {UNLIKELY:g} that one temperature explains all observables; otherwise it has none), and every "
        f"temperature is within {AGREES:.0f}σ of T_c over networks and {AGREES:.0f}σ from that of networks trained on "
        "T = 0 and ∞ alone; refuted if none of at least two networks is at an equilibrium state, from T = 0, from "
        f"T = ∞ or even from T_c, neither after {LENGTH} steps, the published length, nor at the end, or, where all "
        f"flows come to rest, one of the temperatures is farther than {SEPARATED:.0f}σ from T_c, {FEW}."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude_p4,
    seconds=(51.0, 520.0),
    measures="flows",
)
P5 = replace(
    P4,
    name="p5",
    claim="The flow v → h → v of a trained RBM reproduces Δ_σ = 1/8.",
    rule=DIMENSION_RULE,
    conclude=partial(of_dimension, "σ"),
)
P6 = replace(
    P5,
    name="p6",
    claim="The flow v → h → v of a trained RBM reproduces Δ_ε = 1.",
    conclude=partial(of_dimension, "ε"),
)
