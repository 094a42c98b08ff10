"""Does a stack of trained networks take temperatures the way that RG takes them, away from T_c and as fast? (p7)

A stack of two networks, 16×16 → 8×8 → 4×4, is trained at T_c and then given equilibrium configurations of other
temperatures. At every level each observable gives a temperature, by the equilibrium curves of that level's own side
(`temperatures`). RG leads away from T_c on both sides, and near it K − K_c grows by b^{y_t} = 2 in a step. A part is
the stack of one seed, trained by one preset, that of the paper with an untrained stack of weights as large beside it;
or the majority rule and decimation, on the same configurations. A level that is no equilibrium state of the model has
no one temperature: whether it is one is tested, and what the thermometers say is compared one by one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rgstep.blocking import Decimation, Majority
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
    all_of,
    apart,
    critical,
    few_counted_as_few,
    over_seeds,
)
from rgstep.experiments.networks import FRESH, MEASURED_SEED, PUBLISHED, SAME_SIZE, SEPARATED, SOURCE
from rgstep.flows import flow
from rgstep.ising import CRITICAL_TEMPERATURE, Ising
from rgstep.parts import Part, Settings, Values, stored
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.stack import BLOCK, nulls, train_stack
from rgstep.temperatures import LARGEST_COUPLING, SYMBOLS, UNLIKELY, Reading, consistency, finite, readings_of, table
from rgstep.types import Progress

SIZE, SEEDS = 16, {True: 2, False: 10}
BELOW, ABOVE = 2.0, 2.6  # starts that are led away, each to its side
NEAR = 0.1  # of T_c, on either side: starts between which K − K_c grows by b^{y_t}
STARTS = (BELOW, CRITICAL_TEMPERATURE - NEAR, CRITICAL_TEMPERATURE, CRITICAL_TEMPERATURE + NEAR, ABOVE)
WORDS = dict(zip(STARTS, ("T = 2", "T_c − 0.1", "T_c", "T_c + 0.1", "T = 2.6"), strict=True))
SHOWN = (BELOW, CRITICAL_TEMPERATURE, ABOVE)
THERMOMETERS = ("abs_m", "u", "K_nn", "xi", "U4")  # each has one T
RULES = {"majority": Majority(), "decimation": Decimation()}
RULE, RULES_PART = "majority", "rules"
CONTROLS = ("decimation", SAME_SIZE)  # that must not pass
GROWTH = Estimate(float(BLOCK**Ising.Y_T), 0.0)
CRITICAL_ENERGY = -math.sqrt(2)  # per site, of the infinite lattice


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: per seed the rules and a stack of each preset.

    A quick run has the first seeds of a full one, and only the first stack of the preset that does not decide.
    """
    base = {"size": SIZE, "samples": 20_000, "chains": 2000}
    return [
        {**base, "map": kind, "seed": seed + s}
        for s in range(SEEDS[quick])
        for kind in (RULES_PART, PUBLISHED, FRESH)
        if not (quick and s and kind == FRESH)
    ]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return the coupling K of every level by each thermometer, from each start, of one stack or of the rules."""
    size, seed, name = settings["size"], settings["seed"], settings["map"]
    given = sample(size, STARTS, settings["chains"], seed + MEASURED_SEED, mode="thin", progress=progress)
    maps = RULES if name == RULES_PART else stacks_of(settings, progress)
    return {
        label: {WORDS[T]: levels_of(one, start, seed) for T, start in zip(STARTS, given, strict=True)}
        for label, one in maps.items()
    }


def stacks_of(settings: Settings, progress: Progress | None) -> Mapping[str, object]:
    """Return the trained stack of a part, for the paper's preset with an untrained one beside it."""
    size, seed, name = settings["size"], settings["seed"], settings["map"]
    if name == FRESH:
        stream = IsingStream(size, CRITICAL_TEMPERATURE, seed)
        return {name: train_stack(stream, seed=seed, preset=name, progress=progress)}
    data = critical(settings, progress)
    stack = train_stack(data, seed=seed, preset=name, progress=progress)
    return {name: stack, SAME_SIZE: nulls(stack, data, seed, which=["untrained"])["untrained"]}


def levels_of(one: object, start: Ensemble, seed: int) -> list[dict[str, Any]]:
    """Return side, couplings and p of an equilibrium state of each level, the configurations first."""
    found = []
    for seen in flow(one, start, kind="coarse", seed=seed).seen:
        curves = table(seen.side)
        readings = readings_of(seen.estimates(), curves)
        u = float(readings["u"].observable.value)
        K = {name: stored(coupling(readings[name], u)) for name in THERMOMETERS}
        found.append({"side": seen.side, "K": K, "p": finite(consistency(seen, curves)[2])})
    return found


def coupling(reading: Reading, u: float) -> Estimate:
    """Return K = 1/T of a reading, at most the largest K of the curves, at least 0.

    Where there is no temperature, K is that of the end of the curves that the energy is nearer to.
    """
    if not reading.temperatures:
        return Estimate(LARGEST_COUPLING if u < CRITICAL_ENERGY else 0.0, 0.0)
    T = reading.temperatures[0]
    K = 1 / float(T.value)
    return Estimate(min(K, LARGEST_COUPLING), float(T.error) * K**2 if K < LARGEST_COUPLING else 0.0)


# --- what the parts say


class Seen:
    """All stacks and rules of a run: of each family, seed by seed, the levels from each start."""

    def __init__(self, found: Sequence[Part]) -> None:
        """Gather the parts by family."""
        self.families: dict[str, list[Mapping[str, Any]]] = {}
        for part in found:
            for label, entry in part.values.items():
                self.families.setdefault(label, []).append(entry)
        self.seeds = len(self.families[PUBLISHED])
        self.sides = [level["side"] for level in self.families[RULE][0][WORDS[BELOW]]]

    @property
    def steps(self) -> range:
        """The numbers of the steps, which are those of the levels that they end at."""
        return range(1, len(self.sides))

    def level(self, step: int) -> str:
        """Return the level of a step in words."""
        return f"{self.sides[step]}×{self.sides[step]}"

    def others(self) -> list[str]:
        """Return the families beside the published one."""
        return [name for name in self.families if name != PUBLISHED]

    def temperature(self, name: str, start: float, step: int, thermometer: str) -> Estimate:
        """Return T of a level, that of the mean K over the seeds."""
        return hot(over_seeds([coupling_of(one, start, step, thermometer) for one in self.families[name]]))

    def growth(self, name: str, step: int, thermometer: str) -> Estimate:
        """Return by what factor a step makes the difference in K of the two starts near T_c larger, over the seeds."""
        return over_seeds([growth_of(one, step, thermometer) for one in self.families[name]])

    def share(self, name: str, start: float, step: int, way: int) -> Estimate:
        """Return for which share of the seeds every thermometer says that a step leads away from T_c (1) or to it (−1).

        A thermometer says so by three standard errors of the samples.
        """
        led = [led_away(one, start, step) for one in self.families[name]]
        return Estimate(sum(all(way * z > AGREES for z in of_seed) for of_seed in led) / len(led), 0.0)

    def contrary(self, name: str) -> float:
        """Return the largest share of seeds that one of the steps leads toward T_c from one of the two sides."""
        return max(float(self.share(name, start, step, -1).value) for start in (BELOW, ABOVE) for step in self.steps)

    def all_away(self, name: str) -> bool:
        """Whether each step leads away from T_c on both sides, of every seed and by every thermometer."""
        return all(self.share(name, start, step, 1).value == 1 for start in (BELOW, ABOVE) for step in self.steps)

    def equilibrium(self, name: str, level: int) -> Estimate:
        """Return which share of the seeds and starts has at a level a state that may be one of equilibrium."""
        p = [one[words][level]["p"] for one in self.families[name] for words in WORDS.values()]
        return Estimate(sum(x is None or x >= UNLIKELY for x in p) / len(p), 0.0)


def coupling_of(one: Mapping[str, Any], start: float, step: int, thermometer: str) -> Estimate:
    """Return the stored K of a level."""
    return Estimate(*one[WORDS[start]][step]["K"][thermometer])


def hot(K: Estimate) -> Estimate:
    """Return T = 1/K, infinite where K is 0."""
    value = float(K.value)
    return Estimate(1 / value, float(K.error) / value**2) if value else Estimate(math.inf, math.nan)


def growth_of(one: Mapping[str, Any], step: int, thermometer: str) -> Estimate:
    """Return the factor by which a step makes the difference in K of the two starts near T_c larger."""
    gaps = []
    for n in (step - 1, step):
        cold, warm = (coupling_of(one, CRITICAL_TEMPERATURE + way * NEAR, n, thermometer) for way in (-1, 1))
        gaps.append(Estimate(float(cold.value) - float(warm.value), math.hypot(float(cold.error), float(warm.error))))
    before, after = (float(gap.value) for gap in gaps)
    if not before:
        return Estimate(math.nan, math.nan)
    factor = after / before
    return Estimate(factor, math.hypot(float(gaps[1].error), factor * float(gaps[0].error)) / abs(before))


def led_away(one: Mapping[str, Any], start: float, step: int) -> list[float]:
    """Return by how many standard errors each thermometer says that a step leads away from T_c, to the start's side."""
    way = 1 if start == BELOW else -1
    pairs = [[coupling_of(one, start, n, name) for n in (step, step - 1)] for name in THERMOMETERS]
    return [way * apart(after, before) for after, before in pairs]


def rows_of_temperature(seen: Seen) -> list[Row]:
    """Return T of each level by each thermometer, from below, at and above T_c."""
    rows = []
    for step in seen.steps:
        for start in SHOWN:
            for name in THERMOMETERS:
                beside = {other: seen.temperature(other, start, step, name) for other in seen.others()}
                ours = seen.temperature(PUBLISHED, start, step, name)
                rows.append(Row(f"T at {seen.level(step)} by {SYMBOLS[name]}, from {WORDS[start]}", ours, None, beside))
    return rows


def rows_of_growth(seen: Seen, family: str) -> list[Row]:
    """Return the growth of K − K_c of each step by each thermometer, and whether it is that of the majority rule.

    It agrees with it only where it is told from 1, no growth, too.
    """
    rows = []
    for step in seen.steps:
        for name in THERMOMETERS:
            ours = seen.growth(family, step, name)
            beside = {other: seen.growth(other, step, name) for other in seen.families if other != family}
            mean, of_rule = (few_counted_as_few(x, seen.seeds) for x in (ours, seen.growth(RULE, step, name)))
            z = apart(mean, of_rule)
            verdict = REFUTED if abs(z) > SEPARATED else UNDECIDED
            if abs(z) < AGREES < apart(mean, Estimate(1.0, 0.0)):
                verdict = CONFIRMED
            label = f"growth of K − K_c to {seen.level(step)} by {SYMBOLS[name]}"
            rows.append(Row(label, ours, GROWTH, beside, verdict, z))
    return rows


def rows_of_shares(seen: Seen) -> list[Row]:
    """Return which share of the stacks each step leads away from T_c and toward it, and of equilibrium states."""
    rows = []
    for way, words in ((1, "away from"), (-1, "toward")):
        for start in (BELOW, ABOVE):
            for step in seen.steps:
                beside = {name: seen.share(name, start, step, way) for name in seen.others()}
                label = f"led {words} T_c to {seen.level(step)}, from {WORDS[start]}, by every thermometer"
                rows.append(Row(label, seen.share(PUBLISHED, start, step, way), None, beside))
    for level in range(len(seen.sides)):
        beside = {name: seen.equilibrium(name, level) for name in seen.others()}
        rows.append(Row(f"equilibrium states at {seen.level(level)}", seen.equilibrium(PUBLISHED, level), None, beside))
    return rows


def passes(seen: Seen, family: str) -> bool:
    """Whether a family flows as the majority rule does: away from T_c at each step, and as fast."""
    return seen.all_away(family) and all_of([row.verdict for row in rows_of_growth(seen, family)]) == CONFIRMED


def verdict_of(seen: Seen, growth: Sequence[Row]) -> str:
    """Return the verdict: see the rule of the experiment."""
    if not seen.all_away(RULE) or seen.contrary(RULE) > 0:  # thermometers that do not see the flow of RG
        return UNDECIDED
    by_step = [growth[n : n + len(THERMOMETERS)] for n in range(0, len(growth), len(THERMOMETERS))]
    other_speed = any(all(row.verdict == REFUTED for row in of_step) for of_step in by_step)
    if seen.seeds > 1 and (seen.contrary(PUBLISHED) > 1 / 2 or other_speed):
        return REFUTED
    told = not any(passes(seen, control) for control in CONTROLS)
    return CONFIRMED if told and passes(seen, PUBLISHED) else UNDECIDED


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return temperatures of the levels, the growth of K − K_c, and whether both are as the majority rule's."""
    seen = Seen(found)
    growth, shares = rows_of_growth(seen, PUBLISHED), rows_of_shares(seen)
    verdict = verdict_of(seen, growth)
    why = (
        f"{'; '.join(path_of(seen, name) for name in (PUBLISHED, RULE, FRESH))}; of the stacks of {PUBLISHED} at most "
        f"{seen.contrary(PUBLISHED):.0%} are led toward T_c in one step by every thermometer, of {FRESH} "
        f"{seen.contrary(FRESH):.0%}; equilibrium states, level by level: {states_of(seen, PUBLISHED)}, of "
        f"{FRESH} {states_of(seen, FRESH)}, of the majority rule {states_of(seen, RULE)}, where any other level has no "
        f"one temperature: from T_c to {seen.level(1)} {disagreement(seen)}; L = {seen.sides[0]}, {seen.seeds} stacks "
        f"of {PUBLISHED}"
    )
    return Conclusion([*rows_of_temperature(seen), *growth, *shares], verdict, why, "σ from majority, few seeds as few")


def path_of(seen: Seen, name: str) -> str:
    """Return the temperatures of a family level by level, by |m|, in words."""
    ways = []
    for start in (BELOW, ABOVE):
        levels = [f"{seen.temperature(name, start, n, 'abs_m').value:.2f}" for n in seen.steps]
        ways.append(f"from {WORDS[start]} to {' → '.join(levels)}")
    return f"by |m| {name} leads {' and '.join(ways)}"


def disagreement(seen: Seen) -> str:
    """Return what the thermometers say of the first level from T_c, of the published stacks, in words."""
    said = [
        f"{seen.temperature(PUBLISHED, CRITICAL_TEMPERATURE, 1, n).value:.2f} by {SYMBOLS[n]}" for n in THERMOMETERS
    ]
    return f"{PUBLISHED} is at {', '.join(said)}"


def states_of(seen: Seen, name: str) -> str:
    """Return which shares of the levels of a family are equilibrium states, in words."""
    return ", ".join(f"{seen.equilibrium(name, level).value:.0%}" for level in range(len(seen.sides)))


EXPERIMENT = Experiment(
    name="p7",
    claim="A stack of trained RBMs and RG flow the same way: away from T_c, and as fast.",
    source=SOURCE,
    rule=(
        "By the published preset. Confirmed if each step of every stack leads T = 2 to lower and T = 2.6 to higher "
        f"temperatures by every thermometer, by more than {AGREES:.0f}σ, and the growth of K − K_c between T_c ± "
        f"{NEAR} is the majority rule's within {AGREES:.0f}σ and not 1, few seeds counted as few by Student's t, and "
        "neither decimation nor the untrained stack does all that; refuted if the majority rule leads as RG does and "
        "one step leads more than half of two or more stacks toward T_c by every thermometer, or its growth is "
        f"farther than {SEPARATED:.0f}σ by every one."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(55.0, 220.0),
)
