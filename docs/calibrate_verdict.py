"""How often is a verdict wrong, or undecided? Every control, many seeds, three sizes, three numbers of samples.

    python docs/calibrate_verdict.py run [L …]      measure, all sizes or these; goes on where it was cut
    python docs/calibrate_verdict.py tables         print the tables of docs/verdict.md
    python docs/calibrate_verdict.py outcomes       print every verdict and row, for tests/data/calibration_outcomes.txt

Each line of docs/calibration.jsonl.gz is one map on one set of configurations: the numbers that the criteria look at,
with their errors. Verdicts are reached from them anew each time: a change of the criteria needs no new measurement.
"""

import gzip
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rgstep as rg
from rgstep import results
from rgstep.battery import conclude, decide, measure_map
from rgstep.controls import HAND_MADE, KNOWN, UNTRAINED
from rgstep.estimates import Estimate
from rgstep.instruments import DECIDING
from rgstep.results import Diagnostic, Quantity

FILE = Path(__file__).parent / "calibration.jsonl.gz"
PLAN = {  # (L, samples): how many seeds, in the order of measuring; those that the bands were set on are others
    (32, 20_000): 20,
    (16, 20_000): 20,
    (64, 20_000): 20,
    (32, 2_000): 20,
    (16, 2_000): 20,
    (64, 2_000): 20,
    (16, 100_000): 20,
    (32, 100_000): 20,
    (64, 100_000): 20,  # ten minutes each
}
KEPT = re.compile(
    r"(tile_radius|local_units|extended_units|faint_units|constant_units|coverage|core_share|g_half_ratio|shape_deviation|locality_q|stationarity|K_nnn?|y_[th](_sign)?|U4_drift|delta_m)"
    r"(\[\d\])?"
)
LEFT_OUT = ("bernoulli", "bernoulli_0.1", "bernoulli_2.0")
DIGITS = 5
FIRST = 100  # seed; the bands were set on seeds below 10
VERDICTS = {results.RG_STEP: "R", results.LOCAL: "L", results.FEATURES: "F", results.UNDECIDED: "U"}
PASSED = {True: "+", False: "-", None: "?"}
ABSENT = "."  # a row that was not measured
Record = dict[str, Any]


def records() -> list[Record]:
    """Return all lines."""
    if not FILE.exists():
        return []
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(sizes: Sequence[int] = ()) -> None:
    """Measure what is missing, for all lattice sizes or for some."""
    done: dict[tuple[int, int, int], set[str]] = defaultdict(set)
    for r in records():
        done[r["size"], r["samples"], r["seed"]].add(r["map"])
    for (size, samples), seeds in PLAN.items():
        for seed in range(FIRST, FIRST + seeds) if not sizes or size in sizes else ():
            one_set(size, samples, seed, done[size, samples, seed])


def calibration(size: int, seed: int) -> dict[str, object]:
    """Return the controls by name."""
    names = [name for name in HAND_MADE if name not in LEFT_OUT]
    return {**{name: HAND_MADE[name](2) for name in names}, UNTRAINED: rg.untrained_rbm(size**2, size**2 // 4, seed)}


def one_set(size: int, samples: int, seed: int, done: set[str]) -> None:
    """Measure every control that is not done on one set of configurations, and add the lines."""
    clock, controls = time.perf_counter(), calibration(size, seed)
    if not controls.keys() - done:
        return
    ensemble = rg.sample(size, rg.CRITICAL_TEMPERATURE, samples, seed)
    lines = []
    for name in [name for name in controls if name not in done]:
        rows = measure_map(ensemble, name, controls[name], seed, DECIDING)
        lines.append(
            json.dumps({"size": size, "samples": samples, "seed": seed, "map": name, "rows": dict(numbers(rows))})
        )
    with gzip.open(FILE, "at", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print(f"L={size} n={samples} seed {seed}: {time.perf_counter() - clock:.0f} s", flush=True)


def numbers(rows: results.Rows) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Yield the numbers of each row that criteria may look at."""
    for row, diagnostic in rows.items():
        yield (
            row,
            {
                name: [float(f"{x:.{DIGITS}g}") for x in (q.estimate.value, q.estimate.error)]
                for name, q in diagnostic.estimates.items()
                if KEPT.fullmatch(name)
            },
        )


def judged(record: Record, majority: Record) -> dict[str, Diagnostic]:
    """Return the rows of one line with their criteria applied, beside the majority rule on the same configurations."""
    rows, reference = as_rows(record), as_rows(majority)
    scale = results.Scale(record["size"], 2, real=record["map"] == "average")
    return {
        row: decide(row, diagnostic, reference.get(row), record["samples"], scale) for row, diagnostic in rows.items()
    }


def verdict(record: Record, majority: Record) -> results.Verdict:
    """Return the verdict on one line."""
    return conclude(judged(record, majority))


def as_rows(record: Record) -> dict[str, Diagnostic]:
    """Return the rows of one line."""
    return {
        row: Diagnostic(None, "", {name: Quantity(Estimate(*pair)) for name, pair in entry.items()})
        for row, entry in record["rows"].items()
    }


def beside_majority(everything: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Yield each line with the line of the majority rule on the same configurations."""
    majority = {(r["size"], r["samples"], r["seed"]): r for r in everything if r["map"] == "majority"}
    for record in everything:
        yield record, majority[record["size"], record["samples"], record["seed"]]


def outcomes() -> Iterator[str]:
    """Yield a line for each lattice size, number of samples and map: a word for each seed, in their order.

    A word has a letter for the verdict (VERDICTS) and one for each row in the order of DECIDING (PASSED).
    """
    words: dict[tuple[int, int, str], dict[int, str]] = defaultdict(dict)
    for record, majority in beside_majority(records()):
        rows = judged(record, majority)
        letters = [PASSED[rows[row].passed] if row in rows else ABSENT for row in DECIDING]
        word = VERDICTS[conclude(rows).name] + "".join(letters)
        words[record["size"], record["samples"], record["map"]][record["seed"]] = word
    for (size, samples, name), by_seed in sorted(words.items()):
        yield f"{size} {samples} {name}: {' '.join(by_seed[seed] for seed in sorted(by_seed))}"


def tables() -> None:
    """Print how many verdicts were right, undecided and wrong."""
    counts: dict[tuple[int, int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for record, majority in beside_majority(records()):
        counts[record["size"], record["samples"], record["map"]][verdict(record, majority).name] += 1
    sets = sorted({place[:2] for place in counts}, key=lambda place: place[::-1])
    names = sorted({place[2] for place in counts}, key=lambda name: (KNOWN[name], name))
    heads = [f"L = {size}, {samples:,}" for size, samples in sets]
    print("| control | known answer | " + " | ".join(heads) + " |\n" + "|---" * (2 + len(sets)) + "|")
    for name in names:
        cells = [cell(counts.get((*s, name), {}), KNOWN[name]) for s in sets]
        print(f"| `{name}` | {KNOWN[name]} | " + " | ".join(cells) + " |")


def cell(found: dict[str, int], known: str) -> str:
    """Return right / undecided / wrong."""
    total, right, undecided = sum(found.values()), found.get(known, 0), found.get(results.UNDECIDED, 0)
    return f"{right} / {undecided} / {total - right - undecided}" if total else "–"


if __name__ == "__main__":
    if sys.argv[1:2] == ["tables"]:
        tables()
    elif sys.argv[1:2] == ["outcomes"]:
        print("\n".join(outcomes()))
    else:
        run([int(size) for size in sys.argv[2:]])
