"""How often is the forecast of an undecided verdict right? Sets of configurations that grow until the verdict decides.

    python docs/measure_forecast.py run [SECONDS]   measure; goes on where it was cut, ends after so many (900)
    python docs/measure_forecast.py table           write docs/forecast.csv and print what docs/verdict.md says of it

Maps of known answer (docs/calibration_maps.py) are judged on the first n of a set, n growing by √2 until the verdict
decides: each undecided one on the way has a forecast, and the n at which the same set decided is the truth. The
numbers that criteria look at are kept in docs/forecast.jsonl.gz, a line for each map and set: a change of
`rgstep.forecast` needs no new measurement. How it weighs true values was chosen on seeds below 100.

Made-up numbers are followed likewise, their true values drawn from the law that the forecast assumes, and from one that
it does not: as likely at the edge of a band as anywhere.
"""

import csv
import gzip
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import rgstep as rg
from rgstep.adapters import as_maps
from rgstep.battery import conclude, decide, held, measured, reference_on, scale_of
from rgstep.estimates import Estimate
from rgstep.forecast import beforehand, forecast
from rgstep.instruments import DECIDING
from rgstep.instruments.base import prepare
from rgstep.results import FAILS, PASSES, UNDECIDED, Outcome, Verdict

sys.path.insert(0, str(Path(__file__).parent))
from calibration_maps import MAPS

FOLDER = Path(__file__).parent
FILE, TABLE = FOLDER / "forecast.jsonl.gz", FOLDER / "forecast.csv"
FIRST, SEEDS = 100, 20
PLAN: Mapping[int, tuple[int, int, Sequence[str]]] = {  # L: smallest and largest n, maps
    8: (
        *(354, 46_000),
        (
            *("majority", "majority_first", "average", "bernoulli_1.0", "bernoulli_0.7", "noise_0.02", "noise_0.04"),
            *("gaussian_1_soft", "flipped_0.02", "shifted_0.05", "shifted_0.1", "mixed_0.02", "mixed_0.05"),
            *("turned_0.05", "turned_0.1", "decimation"),
        ),
    ),
    16: (500, 16_000, ("majority", "bernoulli_0.7", "noise_0.04", "window_3", "shifted_0.02")),
}
SYNTHETIC = 500  # verdicts of each law
WITHIN = 3.0
COLUMNS = ("source", "size", "map", "seed", "samples", "low", "likely", "high", "decided", "followed_to")
Record = dict[str, Any]


class Case(NamedTuple):
    """One undecided verdict: its forecast, the n that decided (inf: none up to the last), how far it was followed."""

    source: str
    size: int
    map: str
    seed: int
    samples: int
    low: float
    likely: float
    high: float
    decided: float
    followed_to: int


def records() -> list[Record]:
    """Return all lines."""
    if not FILE.exists():
        return []
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def sizes_of(first: int, last: int) -> list[int]:
    """Return the numbers of samples of a path."""
    return [round(first * 2 ** (k / 2)) for k in range(1 + int(2 * math.log2(last / first)))]


def run(seconds: float) -> None:
    """Measure what is missing, a seed of every size after the other, until the time is over."""
    done = {(r["size"], r["seed"], r["map"]) for r in records()}
    clock = time.perf_counter()
    for seed in range(FIRST, FIRST + SEEDS):
        for size, (first, last, names) in PLAN.items():
            missing = [name for name in names if (size, seed, name) not in done]
            grid = sizes_of(first, last)
            every = rg.sample(size, rg.CRITICAL_TEMPERATURE, grid[-1], seed) if missing else None
            for name in missing:
                if time.perf_counter() - clock > seconds:
                    return
                line = {"size": size, "seed": seed, "map": name, "path": list(path(every, name, seed, grid))}
                with gzip.open(FILE, "at", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def path(every: rg.Ensemble, name: str, seed: int, grid: Sequence[int]) -> Iterator[Record]:
    """Yield the numbers and the verdict on the first n configurations, until one is decided."""
    given = MAPS[2][name].make(every.system.size, 2)
    for n in grid:
        ensemble = rg.Ensemble(every.packed.take(range(n)), every.system, every.origin, every.independent)
        subject, reference = prepare(ensemble, as_maps(given, name), given, name, seed), reference_on(ensemble, seed)
        rows = {row: diagnostic for row, (diagnostic, _) in measured(subject, DECIDING, None).items()}
        beside = reference(subject.block) if subject.block else {}
        scale = scale_of(subject)
        verdict = conclude({row: decide(row, d, beside.get(row), n, scale) for row, d in rows.items()})
        numbers = {row: [plain(o) for o in found] for row, found in held(rows, subject, reference).items()}
        yield {"samples": n, "verdict": verdict.name, "numbers": numbers}
        if verdict.name != UNDECIDED:
            return


def plain(outcome: Outcome) -> list[Any]:
    """Return an outcome as plain values, five digits of each number; what is not finite as a word."""
    numbers = outcome.estimate.value, outcome.estimate.error, outcome.low, outcome.high
    shown = [float(f"{x:.5g}") if math.isfinite(x) else str(x) for x in map(float, numbers)]
    return [outcome.quantity, *shown, outcome.doubt, outcome.sampled]


def outcome_of(plain_values: Sequence[Any]) -> Outcome:
    """Return an outcome from its plain values."""
    name, value, error, low, high, doubt, sampled = plain_values
    return Outcome(name, Estimate(float(value), float(error)), float(low), float(high), doubt, sampled)


def measured_cases(everything: Sequence[Record]) -> Iterator[Case]:
    """Yield a case for each undecided verdict that has a forecast; likely is 0 where it says that none can be named."""
    for record in everything:
        steps = record["path"]
        end = steps[-1]["samples"]
        decided = end if steps[-1]["verdict"] != UNDECIDED else math.inf
        for step in steps:
            if step["verdict"] == UNDECIDED:
                rows = {row: [outcome_of(o) for o in found] for row, found in step["numbers"].items()}
                where = ("measured", record["size"], record["map"], record["seed"], step["samples"])
                yield case(where, rows, decided, end)


def case(
    where: tuple[str, int, str, int, int], rows: Mapping[str, Sequence[Outcome]], decided: float, end: int
) -> Case:
    """Return a case from its outcomes."""
    found = forecast(Verdict(UNDECIDED, (), ""), rows, where[-1])
    if found is None or found.low is None or found.likely is None:
        return Case(*where, 0, 0, 0, decided, end)
    return Case(*where, found.low, found.likely, found.high or math.inf, decided, end)


def synthetic_cases(law: str) -> Iterator[Case]:
    """Yield undecided verdicts on one to four made-up numbers in the band −1 … 1, and where they were decided."""
    seed, count = 0, 0
    while count < SYNTHETIC:
        seed += 1
        rng = np.random.default_rng([seed, len(law)])
        numbers = int(rng.integers(1, 5))
        theta = np.array([true_value(rng, law) for _ in range(numbers)])
        sigma = 10 ** rng.uniform(-1, 0, numbers) * math.sqrt(1000)  # of one sample
        grid = sizes_of(1000, 1_024_000)
        noise = np.cumsum(
            rng.standard_normal((len(grid), numbers)) * np.sqrt(np.diff(grid, prepend=0))[:, None], axis=0
        )
        value, error = theta + sigma * noise / np.array(grid)[:, None], sigma / np.sqrt(grid)[:, None]
        error = error * np.sqrt(rng.chisquare(63, error.shape) / 63)  # as a jackknife of 64 groups knows it
        rooms = 1 - np.abs(value)
        ends = (rooms <= -FAILS * error).any(axis=1) | (rooms >= PASSES * error).all(axis=1)
        if ends[0]:
            continue
        count += 1
        decided = grid[int(ends.argmax())] if ends.any() else math.inf
        rows = {"made up": [Outcome("x", Estimate(*pair), -1.0, 1.0) for pair in zip(value[0], error[0], strict=True)]}
        yield case((f"made up, {law}", 0, "", seed, grid[0]), rows, decided, grid[-1])


def true_value(rng: np.random.Generator, law: str) -> float:
    """Draw a true value between −2 and 2, weighed as the forecast assumes or evenly."""
    while True:
        theta = float(rng.uniform(-2, 2))
        if law == "evenly" or rng.random() < float(beforehand(np.array(1 - abs(theta)))):
            return theta


def said_of(cases: Sequence[Case]) -> str:
    """Return how often forecasts were right."""
    named = [c for c in cases if c.likely]
    known = [c for c in named if math.isfinite(c.decided) or c.followed_to >= WITHIN * c.likely]
    near = [1 / WITHIN <= c.decided / c.likely <= WITHIN for c in known]
    inside = [c.low * 0.97 <= c.decided <= c.high * 1.03 for c in known]  # two digits are kept of them
    early = np.mean([c.decided < c.low * 0.97 for c in known])
    late = np.mean([c.decided > c.high * 1.03 for c in known])
    return (
        f"{len(cases)} undecided verdicts, {len(named)} with a forecast, {len(known)} of them followed to an end; "
        f"within a factor {WITHIN:g}: {np.mean(near):.3f}; in the range: {np.mean(inside):.3f} ({early:.3f} before, "
        f"{late:.3f} after); median of high/low {np.median([c.high / c.low for c in named]):.1f}"
    )


def table() -> None:
    """Write the table of all cases and print how often the forecasts were right."""
    groups = {"measured": list(measured_cases(records()))}
    groups |= {f"made up, {law}": list(synthetic_cases(law)) for law in ("as assumed", "evenly")}
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(c for cases in groups.values() for c in cases)
    for name, cases in groups.items():
        print(f"{name}: {said_of(cases)}")
    paths = {(c.size, c.map, c.seed) for c in groups["measured"]}
    first = {(c.size, c.map, c.seed): c for c in reversed(groups["measured"]) if c.likely}
    print(f"measured: {len(paths)} sets and maps; the first forecast of each alone: {said_of(list(first.values()))}")
    by_map: dict[tuple[int, str], list[Case]] = defaultdict(list)
    for c in groups["measured"]:
        by_map[c.size, c.map].append(c)
    for (size, name), cases in by_map.items():
        print(f"  L = {size} {name}: {said_of(cases) if any(c.likely for c in cases) else f'{len(cases)}, none named'}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(float(sys.argv[2]) if len(sys.argv) > 2 else 900.0)
    elif sys.argv[1:] == ["table"]:
        table()
    else:
        print(__doc__)
