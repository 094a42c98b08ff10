"""Is a deep stack of trained networks an RG flow, level by level?

A stack (L = 16: two networks, 16×16 → 8×8 → 4×4) is trained at T_c, each network on h drawn by the last, and judged
(`battery.judge`) on configurations that it was not trained on, each level by its own exponents. A part is the stack of
one seed and preset with its nulls (`stack.nulls`): a second network on majority blocks, a second network that is
untrained, a stack that is untrained, a first network that saw the sites in another order. What a null shares with the
stack says nothing of the training that the null leaves out.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rgstep.battery import judge
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
    few_counted_as_few,
    over_seeds,
)
from rgstep.ising import CRITICAL_TEMPERATURE, Ising
from rgstep.parts import Part, Settings, Values, as_estimate, plain_numbers
from rgstep.results import RG_STEP, MapReport
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.stack import Stack, nulls, train_stack
from rgstep.types import Progress

PUBLISHED, FRESH = "mehta2014", "default"  # presets: that of the paper decides
FULL = {16: 10, 32: 5}  # seeds of each side L
SAMPLES = 20_000
QUICK_SIZE, QUICK_SEEDS, QUICK_SAMPLES, QUICK_STEPS = 16, 2, 5000, 5000
JUDGED_SEED = 5000  # added to the seed: configurations that the stack was not trained on
DIGITS = 5  # that are kept
NETWORKS = ("", "[2]", "[3]")  # the first network of a stack, and the further ones
NUMBERS: Mapping[str, Sequence[str]] = {  # of each row of the battery
    "vh_pattern": tuple(f"{name}_units{n}" for name in ("crowded", "extended", "local") for n in NETWORKS),
    "coherence": tuple(
        f"{name}{n}" for name in ("noise_0", "noise_ratio_rows", "noise_ratio_columns") for n in NETWORKS
    ),
    "hidden_hamiltonian": tuple(f"{name}[{n}]" for name in ("locality_q", "stationarity", "K_nn") for n in (1, 2)),
    "mcrg": tuple(f"{y}[{n}]" for y in ("y_t", "y_h") for n in range(3)),
    "drift": tuple(f"{name}[{n}]" for name in ("delta_m", "U4_drift") for n in range(4)),
    "symmetry": (*(f"field[{n}]" for n in (1, 2, 3)), "own_field[2]", "own_field[3]"),
    "gain": tuple(f"{name}{n}" for name in ("gain", "gain_margin") for n in NETWORKS),
}
STACK = "stack"
LABELS = {
    "majority_first": "first is the majority rule",
    "second_untrained": "second untrained",
    "untrained": "untrained",
    "permuted": "sites in another order",
}
MUST_FAIL = ("second_untrained", "untrained")
EXACT = {"y_t": Ising.Y_T, "y_h": Ising.Y_H, "delta_m": Ising.DELTA_SIGMA}
SYMBOLS = {"y_t": "y_t", "y_h": "y_h", "delta_m": "Δ_m"}
NEAR = {
    "y_t": 0.06,
    "y_h": 0.015,
    "delta_m": 0.015,
}  # granted to corrections: the majority rule needs up to 2/3 of each


def settings_of(size: int, presets: Sequence[str], seeds: Sequence[int], samples: int) -> list[Settings]:
    """Return the settings of stacks, the first seed of every preset before the second."""
    return [{"size": size, "preset": preset, "seed": s, "samples": samples} for s in seeds for preset in presets]


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: both presets over seeds; quick, short trainings of that of the paper alone."""
    if quick:
        seeds = range(seed, seed + QUICK_SEEDS)
        return [{**one, "steps": QUICK_STEPS} for one in settings_of(QUICK_SIZE, [PUBLISHED], seeds, QUICK_SAMPLES)]
    return [
        one
        for size, many in FULL.items()
        for one in settings_of(size, (PUBLISHED, FRESH), range(seed, seed + many), SAMPLES)
    ]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return verdict, fate and numbers of a stack and of each of its nulls."""
    size, seed, preset, samples = (settings[key] for key in ("size", "seed", "preset", "samples"))
    shorter = {"steps": settings["steps"]} if "steps" in settings else {}
    data = sample(size, samples=samples, seed=seed, progress=progress)
    source = IsingStream(size, CRITICAL_TEMPERATURE, seed) if preset == FRESH else data
    stack = train_stack(source, seed=seed, preset=preset, progress=progress, **shorter)
    maps: dict[str, Stack] = {STACK: stack, **nulls(stack, data, seed + 1, progress=progress, **shorter)}
    report = judge(sample(size, samples=samples, seed=seed + JUDGED_SEED), maps, seed, progress=progress)
    return {name: of_map(report.maps[name], one) for name, one in maps.items()}


def of_map(entry: MapReport, stack: Stack) -> dict[str, Any]:
    """Return verdict, fate and numbers of a stack in plain values, and its units that are no tiles level by level."""
    numbers = {}
    for row, names in NUMBERS.items():
        estimates = entry.estimates(row)
        for name in names:
            if name in estimates:
                e = estimates[name].estimate
                numbers[name] = [plain_numbers(float(f"{x:.{DIGITS}g}")) for x in (e.value, e.error)]
    levels = [[len(layer.dead), len(layer.extended), *layer.residual] for _, layer in stack.networks()]
    failed = [row for row, found in entry.diagnostics.items() if found.passed is False]
    return {"verdict": entry.verdict, "fate": entry.fate, "failed": failed, "numbers": numbers, "levels": levels}


# --- what the parts say


def kinds_of(found: Sequence[Part], preset: str) -> list[list[Part]]:
    """Return the parts of one preset, those of each side together."""
    of_preset = [part for part in found if part.settings["preset"] == preset]
    sides = dict.fromkeys(part.settings["size"] for part in of_preset)
    return [[part for part in of_preset if part.settings["size"] == side] for side in sides]


def named(found: Sequence[Part]) -> str:
    """Return side and preset of stacks of one kind."""
    return f"L = {found[0].settings['size']}, {found[0].settings['preset']}"


def pooled(found: Sequence[Part], name: str, quantity: str) -> Estimate:
    """Return a number of the stacks, or of one of their nulls, over the seeds."""
    return over_seeds([as_estimate(part.values[name]["numbers"][quantity]) for part in found])


def near(kind: str, ours: Estimate) -> str:
    """Return what the distance from the fixed point's value decides, beyond what corrections to scaling are granted."""
    if not math.isfinite(float(ours.value)):
        return UNDECIDED
    beyond = max(0.0, abs(float(ours.value) - EXACT[kind]) - NEAR[kind])
    return agreement(apart(Estimate(beyond, ours.error), Estimate(0.0, 0.0)))


def steps_of(found: Sequence[Part]) -> range:
    """Return the numbers of the steps that have exponents."""
    return range(sum(f"y_t[{n}]" in found[0].values[STACK]["numbers"] for n in range(3)))


def rows_of_scaling(found: Sequence[Part], name: str = STACK) -> list[Row]:
    """Return y_t, y_h and Δ_m step by step beside the fixed point's and the nulls'."""
    rows, preset, size = [], found[0].settings["preset"], found[0].settings["size"]
    for kind in EXACT:
        for n in steps_of(found):
            ours, exact = pooled(found, name, f"{kind}[{n}]"), Estimate(EXACT[kind], 0.0)
            beside = {label: pooled(found, null, f"{kind}[{n}]") for null, label in LABELS.items()}
            mean = few_counted_as_few(ours, len(found))
            verdict = near(kind, mean) if preset == PUBLISHED else ""
            label = f"{SYMBOLS[kind]}, {size >> n}×{size >> n} → {size >> n + 1}×{size >> n + 1}, {named(found)}"
            rows.append(Row(label, ours, exact, beside, verdict, apart(mean, exact)))
    return rows


def rows_of_couplings(found: Sequence[Part]) -> list[Row]:
    """Return how far the couplings of each level are from those of the level before, which at a fixed point is 0."""
    names = [f"stationarity[{n}]" for n in (1, 2)]
    return [
        Row(
            f"{name}, {named(found)}",
            pooled(found, STACK, name),
            Estimate(0.0, 0.0),
            {label: pooled(found, null, name) for null, label in LABELS.items()},
        )
        for name in names
        if all(name in part.values[one]["numbers"] for part in found for one in part.values)
    ]


def row_of_verdicts(found: Sequence[Part]) -> Row:
    """Return which share of the stacks is judged an RG step: all must be, and no null without the training.

    Less decides nothing, since no null has two networks of which both are known to be steps.
    """
    shares = {
        name: sum(part.values[name]["verdict"] == RG_STEP for part in found) / len(found) for name in (STACK, *LABELS)
    }
    told = len(found) > 1 and all(shares[name] == 0 for name in MUST_FAIL)
    preset, verdict = found[0].settings["preset"], CONFIRMED if told and shares[STACK] == 1 else UNDECIDED
    beside = {label: Estimate(shares[name], 0.0) for name, label in LABELS.items()}
    shown = verdict if preset == PUBLISHED else ""
    return Row(f"share that is judged an RG step, {named(found)}", Estimate(shares[STACK], 0.0), None, beside, shown)


def rows_of(found: Sequence[Part]) -> list[Row]:
    """Return all rows of stacks of one kind."""
    return [*rows_of_scaling(found), *rows_of_couplings(found), row_of_verdicts(found)]


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return the numbers of every level beside the fixed point's, and whether the stacks are judged RG steps."""
    ours = kinds_of(found, PUBLISHED)
    rows = [row for kind in (*ours, *kinds_of(found, FRESH)) for row in rows_of(kind)]
    verdict = all_of([row.verdict for row in rows if row.verdict])
    same = any(
        all_of([row.verdict for row in rows_of_scaling(kind, null)]) != REFUTED for kind in ours for null in MUST_FAIL
    )
    if verdict == CONFIRMED and same:  # without the training it comes out as well
        verdict = UNDECIDED
    return Conclusion(rows, verdict, reason(found), "σ from the fixed point, few seeds as few")


def reason(found: Sequence[Part]) -> str:
    """Return in words what the stacks of each kind are judged to be, and why."""
    said = []
    for of_it in (*kinds_of(found, PUBLISHED), *kinds_of(found, FRESH)):
        failed = [row for part in of_it for row in part.values[STACK]["failed"]]
        most = ", ".join(f"{row} {count}" for row, count in Counter(sorted(failed)).most_common())
        numbers = [f"{SYMBOLS[kind]} {by_step(of_it, kind)}" for kind in EXACT]
        settings, share = of_it[0].settings, float(row_of_verdicts(of_it).ours.value)
        length = f", {settings['steps']} updates for each network" if "steps" in settings else ""
        said.append(
            f"{named(of_it)}{length}: {share:.0%} of {len(of_it)} stacks are judged RG steps (rows that fail, and in "
            f"how many: {most or 'none'}), step by step {', '.join(numbers)}"
        )
    return "; ".join(said)


def by_step(found: Sequence[Part], kind: str) -> str:
    """Return an exponent of the stacks step by step in words."""
    return " → ".join(str(pooled(found, STACK, f"{kind}[{n}]")) for n in steps_of(found))


EXPERIMENT = Experiment(
    name="stacks",
    claim="A deep stack of trained RBMs is an RG flow.",
    source="Mehta and Schwab (2014), arXiv:1410.3831; stacked networks: arXiv:1906.05212",
    rule=(
        f"By the preset of Mehta and Schwab. Confirmed if every stack is judged an RG step and at each level y_t is "
        f"within {NEAR['y_t']} of 1, y_h within {NEAR['y_h']} of 15/8 and Δ_m within {NEAR['delta_m']} of 1/8, up to "
        f"{AGREES:.0f}σ over seeds, few counted as few by Student's t, where stacks without the training, or without "
        f"that of the second network, are not; refuted if one of them is {DIFFERS:.0f}σ farther."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(40.0, 3700.0),
    edition=2,
)
