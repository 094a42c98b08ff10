"""How often is a verdict wrong, or undecided? Some hundred and forty maps of known answer at each ratio, by kind.

    python docs/calibrate_verdict.py run [L …]      measure, all sizes or these; goes on where it was cut
    python docs/calibrate_verdict.py tables         print the tables of docs/verdict.md
    python docs/calibrate_verdict.py detections     print by how many σ each switch of whole samples is found
    python docs/calibrate_verdict.py fates          print what iteration of each map was said to lead to
    python docs/calibrate_verdict.py outcomes       print every verdict and row, for tests/data/calibration_outcomes.txt

The maps, and which verdicts are right for each: docs/calibration_maps.py. Each line of docs/calibration.jsonl.gz is one
map on one set of configurations: the numbers that the criteria look at, with their errors. Verdicts are reached from
them anew each time: a change of the criteria needs no new measurement.
"""

import gzip
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rgstep as rg
from rgstep import results
from rgstep.adapters import as_maps
from rgstep.battery import conclude, decide, measured
from rgstep.estimates import Estimate
from rgstep.fate import fate
from rgstep.instruments import DECIDING, LOCALITY
from rgstep.instruments.base import prepare
from rgstep.results import Diagnostic, Quantity

sys.path.insert(0, str(Path(__file__).parent))
from calibration_maps import KINDS, MAPS, Known

FILE = Path(__file__).parent / "calibration.jsonl.gz"
PLAN = {  # (L, samples): how many seeds, in the order of measuring; maps of ratio 3 at L = 18, 36 and 54, else 2
    (32, 20_000): 20,
    (16, 20_000): 20,
    (64, 20_000): 20,
    (32, 2_000): 20,
    (16, 2_000): 20,
    (64, 2_000): 20,
    (16, 100_000): 20,
    (32, 100_000): 20,
    (64, 100_000): 20,
    (36, 20_000): 20,
    (18, 20_000): 20,
    (54, 20_000): 20,
    (36, 2_000): 20,
}
KEPT = re.compile(
    r"(tile_radius|local_units|extended_units|crowded_units|faint_units|constant_units|core_share|g_half_ratio|gain_edge"
    r"|shape_deviation|locality_q|stationarity|K_nnn?|y_[th](_sign)?|U4_drift|delta_m|rho_\d|omega_\d|noise_\d|gain"
    r"|noise_ratio_\w+|shared_\d|field|flip_breaking|translation|gain_margin)(\[\d\])?"
)
DIGITS = 5
FIRST = 300  # seed; the bands were set while looking at others below 20
ERROR = "error"
VERDICTS = {results.RG_STEP: "R", results.LOCAL: "L", results.FEATURES: "F", results.UNDECIDED: "U", ERROR: "E"}
PASSED = {True: "+", False: "-", None: "?"}
ABSENT = "."  # a row that was not measured
NOT_ASKED = "o"
Record = dict[str, Any]


def ratio(size: int) -> int:
    """Return the ratio whose maps are measured at a side."""
    return 3 if size % 3 == 0 else 2


def records() -> list[Record]:
    """Return all lines."""
    if not FILE.exists():
        return []
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(sizes: Sequence[int] = ()) -> None:
    """Measure what is missing, for all lattice sizes or for some, the first seed of every set before the second."""
    done: dict[tuple[int, int, int], set[str]] = defaultdict(set)
    for r in records():
        done[r["size"], r["samples"], r["seed"]].add(r["map"])
    for turn in range(max(PLAN.values())):
        for (size, samples), seeds in PLAN.items():
            if turn < seeds and (not sizes or size in sizes):
                one_set(size, samples, FIRST + turn, done[size, samples, FIRST + turn])


def one_set(size: int, samples: int, seed: int, done: set[str]) -> None:
    """Measure every map that is not done on one set of configurations, and add a line for each as it is done."""
    clock, missing = time.perf_counter(), [name for name in MAPS[ratio(size)] if name not in done]
    if not missing:
        return
    ensemble = rg.sample(size, rg.CRITICAL_TEMPERATURE, samples, seed)
    for name in missing:
        line = {"size": size, "samples": samples, "seed": seed, "map": name, **measure(ensemble, name, seed)}
        with gzip.open(FILE, "at", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    print(f"L={size} n={samples} seed {seed}: {time.perf_counter() - clock:.0f} s", flush=True)


def measure(ensemble: rg.Ensemble, name: str, seed: int) -> Record:
    """Return the numbers of one map, or the error that it ends in."""
    try:
        size = ensemble.system.size
        given = MAPS[ratio(size)][name].make(size, ratio(size))
        subject = prepare(ensemble, as_maps(given, name), given, name, seed)
        rows = {row: diagnostic for row, (diagnostic, _) in measured(subject, DECIDING, None).items()}
    except rg.InputError as error:
        return {ERROR: str(error)}
    return {"steps": max(1, len(subject.levels) - 1), "real": subject.real, "rows": dict(numbers(rows))}


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
    scale = results.Scale(record["size"], ratio(record["size"]), record["real"], record["steps"])
    return {
        row: decide(row, diagnostic, reference.get(row), record["samples"], scale) for row, diagnostic in rows.items()
    }


def verdict(record: Record, majority: Record) -> results.Verdict:
    """Return the verdict on one line."""
    if ERROR in record:
        return results.Verdict(ERROR, (), record[ERROR])
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
        word = VERDICTS[verdict(record, majority).name]
        if ERROR not in record:
            rows = judged(record, majority)
            word += "".join(letter(rows.get(row)) for row in DECIDING)
        words[record["size"], record["samples"], record["map"]][record["seed"]] = word
    for (size, samples, name), by_seed in sorted(words.items()):
        yield f"{size} {samples} {name}: {' '.join(by_seed[seed] for seed in sorted(by_seed))}"


def letter(row: Diagnostic | None) -> str:
    """Return what a row came to as a letter."""
    if row is None:
        return ABSENT
    return PASSED[row.passed] if row.asked else NOT_ASKED


def known(record: Record) -> Known:
    """Return what is known of the map of a line."""
    return MAPS[ratio(record["size"])][record["map"]]


def tables() -> None:
    """Print for each ratio how many verdicts of each kind were right, undecided and wrong; and which were not right."""
    counts: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    astray: list[str] = []
    for record, majority in beside_majority(records()):
        answer, found = known(record), verdict(record, majority)
        which = 0 if found.name in answer.right else 1 if found.name == results.UNDECIDED else 2
        counts[record["size"], record["samples"], answer.kind][which] += 1
        if which:
            place = f"L={record['size']} n={record['samples']} seed {record['seed']} {record['map']}"
            astray.append(f"{('right', 'undecided', 'WRONG')[which]:10}{place}: {found.name}: {found.reason[:200]}")
    for b, kinds in KINDS.items():
        sets = in_order(place[:2] for place in counts if ratio(place[0]) == b)
        if not sets:
            continue
        print("\n" + "\n".join(heading(f"| b = {b}: kind | right is", sets)))
        for kind, right, maps in kinds:
            cells = [" / ".join(map(str, counts[(*s, kind)])) for s in sets]
            print(f"| {kind} ({len(maps)}) | {in_short(right)} | " + " | ".join(cells) + " |")
        totals = [[sum(counts[(*s, kind)][i] for kind, _, _ in kinds) for i in range(3)] for s in sets]
        print("| all | | " + " | ".join(" / ".join(map(str, total)) for total in totals) + " |")
    print("\n".join(astray))


def in_short(right: Sequence[str]) -> str:
    """Return verdicts in the words of the table."""
    if set(right) == {results.LOCAL, results.FEATURES}:
        return "not an RG step"
    return " or ".join({results.LOCAL: "local", results.FEATURES: "features"}.get(name, name) for name in right)


def in_order(sets: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the kinds of sets, (L, samples), by samples and side."""
    return sorted(set(sets), key=lambda place: place[::-1])


def heading(first: str, sets: Sequence[tuple[int, int]]) -> list[str]:
    """Return the two first lines of a table with a column for each kind of set."""
    top = f"{first} | " + " | ".join(f"L = {size}, {samples:,}" for size, samples in sets) + " |"
    return [top, "|---" * (top.count("|") - 1) + "|"]


def detections() -> Iterator[str]:
    """Yield, for each switch of whole samples, by how many σ the farthest of its numbers is outside its band."""
    sigmas: dict[str, dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for record, majority in beside_majority(records()):
        if "as a whole" in known(record).kind:
            why = "; ".join(row.why for row in judged(record, majority).values() if row.passed is False)
            most = max((int(found) for found in re.findall(r"outside [^;]* by (\d+) σ", why)), default=0)
            sigmas[record["map"]][record["size"], record["samples"]].append(most)
    sets = in_order(key for found in sigmas.values() for key in found)
    yield from heading("| switch", sets)
    for name, found in sigmas.items():
        cells = [f"{min(found[key]):.0f}" if min(found[key], default=0) else "undecided" for key in sets]
        yield f"| {name} | {' | '.join(cells)} |"


def fates() -> Iterator[str]:
    """Yield how often each map came to each fate."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for record, majority in beside_majority(records()):
        if ERROR not in record:
            found[f"b={ratio(record['size'])} {record['map']}"][str(fate(judged(record, majority), LOCALITY).name)] += 1
    for name, counted in found.items():
        yield f"{name}: {', '.join(f'{fate_} {times}' for fate_, times in counted.items())}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["tables"]:
        tables()
    elif sys.argv[1:2] == ["detections"]:
        print("\n".join(detections()))
    elif sys.argv[1:2] == ["fates"]:
        print("\n".join(fates()))
    elif sys.argv[1:2] == ["outcomes"]:
        print("\n".join(outcomes()))
    elif sys.argv[1:2] == ["run"]:
        run([int(size) for size in sys.argv[2:]])
    else:
        sys.exit(__doc__)
