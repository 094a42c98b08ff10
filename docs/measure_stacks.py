"""Does a stack of networks go on as an RG step would? The numbers of docs/stacks.md, level by level, beside the nulls.

    python docs/measure_stacks.py run [L …]     train and judge what is missing, L = 16 and 32 or these
    python docs/measure_stacks.py tables        print the tables of docs/stacks.md

Each line of docs/stacks.jsonl is one stack, or one of its nulls, judged on 20,000 configurations that it was not
trained on. A run that is cut goes on where it was. Ten seeds at L = 16 take some 90 minutes on one core, five at L = 32
three hours.
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import rgstep as rg
from rgstep.stack import Stack, nulls, train_stack

FILE = Path(__file__).parent / "stacks.jsonl"
PLAN = {16: ("mehta2014", "default"), 32: ("mehta2014", "default")}
SEEDS = {16: 10, 32: 5}
SAMPLES = 20_000
HELD_OUT = 5_000  # added to the seed: of the configurations that the judgement uses
MAPS = ("", "[2]", "[3]")  # the first network, and the further ones
ROWS = {
    "vh_pattern": tuple(f"{name}_units{n}" for name in ("crowded", "extended", "local") for n in MAPS),
    "coherence": tuple(f"{name}{n}" for name in ("noise_0", "noise_ratio_rows", "noise_ratio_columns") for n in MAPS),
    "hidden_hamiltonian": (
        "locality_q[1]",
        "locality_q[2]",
        "stationarity[1]",
        "stationarity[2]",
        "K_nn[1]",
        "K_nn[2]",
    ),
    "mcrg": tuple(f"{y}[{n}]" for y in ("y_t", "y_h") for n in range(3)),
    "drift": tuple(f"{name}[{n}]" for name in ("delta_m", "U4_drift") for n in range(4)),
    "symmetry": (*(f"field[{n}]" for n in (1, 2, 3)), "own_field[2]", "own_field[3]"),
    "gain": tuple(f"{name}{n}" for name in ("gain", "gain_margin") for n in MAPS),
}


def lines() -> list[dict]:
    """Return all lines."""
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()] if FILE.exists() else []


def run(sizes: list[int]) -> None:
    """Train and judge what is missing, the first seed of every preset before the second."""
    done = {(r["size"], r["preset"], r["seed"]) for r in lines()}
    for size in sizes:
        for seed in range(SEEDS[size]):
            for preset in PLAN[size]:
                if (size, preset, seed) not in done:
                    one(size, preset, seed)


def one(size: int, preset: str, seed: int) -> None:
    """Train a stack and its nulls, judge them on fresh configurations, and add a line for each."""
    clock = time.perf_counter()
    data = rg.sample(size, samples=SAMPLES, seed=seed)
    source = rg.IsingStream(size, rg.CRITICAL_TEMPERATURE, seed) if preset == "default" else data
    stack = train_stack(source, seed=seed, preset=preset)
    maps: dict[str, Stack] = {"stack": stack, **nulls(stack, data, seed + 1)}
    report = rg.judge(rg.sample(size, samples=SAMPLES, seed=seed + HELD_OUT), maps, seed)
    found = [
        {"size": size, "preset": preset, "seed": seed, "map": name, **of_map(report.maps[name], maps[name])}
        for name in maps
    ]
    with FILE.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in found))
    print(f"L = {size}, {preset}, seed {seed}: {time.perf_counter() - clock:.0f} s", flush=True)


def of_map(entry: rg.Report, stack: Stack) -> dict:
    """Return verdict, fate and numbers of a stack in plain values."""
    numbers = {}
    for row, names in ROWS.items():
        estimates = entry.estimates(row)
        for name in names:
            if name in estimates:
                e = estimates[name].estimate
                numbers[name] = [float(f"{x:.5g}") for x in (e.value, e.error)]
    levels = [[len(layer.dead), len(layer.extended), *layer.residual] for _, layer in stack.networks()]
    failed = [row for row, d in entry.diagnostics.items() if d.passed is False]
    return {"verdict": entry.verdict, "fate": entry.fate, "failed": failed, "numbers": numbers, "levels": levels}


def tables() -> None:
    """Print verdicts, and the mean over seeds with its standard error of each number."""
    groups = defaultdict(list)
    for r in lines():
        groups[r["size"], r["preset"], r["map"]].append(r)
    shown = (
        "crowded_units",
        "crowded_units[2]",
        "locality_q[1]",
        "y_t[0]",
        "y_t[1]",
        "y_t[2]",
        "y_h[0]",
        "y_h[1]",
        "y_h[2]",
    )
    shown += ("delta_m[0]", "delta_m[1]", "delta_m[2]", "stationarity[1]", "stationarity[2]", "field[1]", "field[2]")
    for (size, preset, name), found in sorted(groups.items()):
        verdicts = defaultdict(int)
        for r in found:
            verdicts[r["verdict"]] += 1
        print(f"\nL = {size}, {preset}, {name}, {len(found)} seeds: {dict(verdicts)}")
        for q in shown:
            x = np.array([r["numbers"][q][0] for r in found if q in r["numbers"]])
            x = np.abs(x) if q.startswith("field") else x
            if len(x) > 1:
                print(f"    {q}: {rg.Estimate(x.mean(), x.std(ddof=1) / len(x) ** 0.5)}  spread {x.std(ddof=1):.3f}")
            elif len(x):
                print(f"    {q}: {x[0]:.4g}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["tables"]:
        tables()
    else:
        run([int(size) for size in sys.argv[2:]] or list(PLAN))
