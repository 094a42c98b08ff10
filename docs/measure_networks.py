"""Train and assess the networks of docs/networks.md, and write its numbers.

    python docs/measure_networks.py small | published | long | all     # train what is missing, on one core
    python docs/measure_networks.py tables                             # print the tables, draw the figure

Every network is one line of docs/networks.jsonl, written when it is assessed; a network that is there is not trained
again, so that the work can be cut and go on. The names say what a network was trained on: "20000", a fixed set of so
many configurations, or "stream", fresh ones throughout. All at T_c.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np  # noqa: E402

import rgstep as rg  # noqa: E402
from rgstep.drawing import Axes, Figure, legend_above, look, sheet, text  # noqa: E402
from rgstep.estimates import Estimate  # noqa: E402
from rgstep.patterns import pattern_statistics  # noqa: E402

RECORDS = Path(__file__).with_name("networks.jsonl")
FIXED = 20_000
HELD_OUT = 4_000
PUBLISHED = (10_000, 30_000, 50_000)  # the second takes a minute
A_MINUTE = 16_000  # updates of the preset default
CURVES = ("step", "participation_w", "participation_w_25", "participation_w_75")


class Task(NamedTuple):
    """One training; assessed after each number of steps in `ends`."""

    size: int
    hidden: int
    preset: str
    seed: int
    data: str  # "20000" or "stream"
    ends: tuple[str, ...]  # "10000 steps"; "" for the preset's own number


def small() -> Iterator[Task]:
    """Every preset at L = 8 and 16 with three numbers of hidden units and three seeds; fixed set and stream."""
    for size in (8, 16):
        for seed in range(3):
            for preset in ("koch2020", "veiga2020", "mehta2014", "default"):
                for share in (4, 2, 1):
                    yield Task(size, size**2 // share, preset, seed, str(FIXED), ("",))
            yield Task(size, size**2 // 4, "default", seed, "stream", ("",))


def published() -> Iterator[Task]:
    """L = 32: koch2020 for 10,000, 30,000 (a minute) and 50,000 steps, the default for a minute, and mehta2014.

    Minutes are of one core of an AMD Zen 4 that does nothing else.
    """
    for seed in range(5):
        yield Task(32, 256, "koch2020", seed, str(FIXED), tuple(f"{steps} steps" for steps in PUBLISHED))
        yield Task(32, 256, "default", seed, "stream", (f"{A_MINUTE} steps",))
        if seed < 3:
            yield Task(32, 256, "mehta2014", seed, str(FIXED), ("",))
            yield Task(32, 256, "default", seed, str(FIXED), (f"{A_MINUTE} steps",))


def long() -> Iterator[Task]:
    """Ten minutes at L = 32, five seeds."""
    for seed in range(5):
        yield Task(32, 256, "default", seed, "stream", (f"{10 * A_MINUTE} steps",))
        yield Task(32, 256, "koch2020", seed, str(FIXED), (f"{10 * PUBLISHED[1]} steps",))


def name_of(task: Task, end: str) -> str:
    """Return the name of a record."""
    return f"L={task.size} {task.preset} {task.hidden} {task.data} seed {task.seed} {end}".strip()


def records() -> dict[str, dict[str, Any]]:
    """Return all records by name."""
    lines = RECORDS.read_text("utf-8").splitlines() if RECORDS.exists() else []
    return {record["name"]: record for record in map(json.loads, lines)}


def run(task: Task) -> None:
    """Train and assess what is missing of a task."""
    held_out = rg.sample(task.size, samples=HELD_OUT, seed=77, mode="thin")
    data = rg.IsingStream(task.size, rg.CRITICAL_TEMPERATURE, seed=task.seed) if task.data == "stream" else None
    data = data or rg.sample(task.size, samples=int(task.data), seed=0, mode="thin")
    for end in task.ends:
        if name_of(task, end) in records():
            continue
        settings = {} if not end else {"steps": int(end.split()[0])}
        start = time.perf_counter()
        rbm = rg.train_rbm(data, task.hidden, task.seed, preset=task.preset, checkpoints=checkpoints(task), **settings)
        seconds = time.perf_counter() - start
        found = rg.assess(rbm, held_out, task.seed, seconds=20.0 if task.size == 32 else 8.0)
        record = {
            **{"name": name_of(task, end), **task._asdict(), "end": end},
            **{"steps": int(rbm.origin["steps"]), "assessment": found.to_dict()},
            "curves": {name: [round(float(x), 1) for x in rbm.history[name]] for name in CURVES},
            **({"pictures": pictures(rbm)} if task.size == 32 else {}),
        }
        with RECORDS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        print(f"{record['name']}: {seconds:.0f} s, {found.divergence}, {found.equilibrium.verdict}", flush=True)


def checkpoints(task: Task) -> Path | None:
    """Return where a run of no schedule keeps its state, to go on to a later end; others start afresh."""
    slug = "-".join(map(str, task[:5]))
    return Path("runs", "networks", slug) if task.preset == "koch2020" and task.size == 32 else None


def pictures(rbm: rg.RBM) -> dict[str, list[float]]:
    """Return, for the units' pictures ⟨v h⟩ of 20,000 configurations, quartiles over units of what tells them apart."""
    ensemble = rg.sample(32, samples=FIXED, seed=5, mode="thin")
    found = pattern_statistics(ensemble, rbm)
    squares = rbm.weights.astype(np.float64) ** 2
    values = {
        "mean, modulus": np.abs(np.asarray(found["mean"].value)),
        **{name: np.asarray(found[name].value) for name in ("sd", "range")},
        "correlation with sign(M), modulus": np.abs(correlation_with_sign(ensemble, rbm)),
        "participation_w": squares.sum(axis=0) ** 2 / (squares**2).sum(axis=0),
    }
    return {name: [float(q) for q in np.quantile(x, (0, 0.25, 0.5, 0.75, 1))] for name, x in values.items()}


def correlation_with_sign(ensemble: rg.Ensemble, rbm: rg.RBM) -> np.ndarray:
    """Return the correlation of every ⟨h_a⟩_v with the sign of the magnetisation, `(unit,)`."""
    sign = np.sign(ensemble.magnetisations)
    h = np.concatenate([rbm.mean_h(piece) for piece in ensemble.pieces()]).astype(np.float64)
    h, sign = h - h.mean(axis=0), sign - sign.mean()
    return (sign @ h) / np.sqrt((sign @ sign) * (h**2).sum(axis=0))


def over_seeds(values: list[float]) -> str:
    """Return the mean over seeds with its standard error."""
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    return str(Estimate(float(np.mean(values)), error))


def in_order(entry: tuple[tuple[Any, ...], list[dict[str, Any]]]) -> tuple[Any, ...]:
    """Return the place of a group: by L, preset, number of hidden units, data and steps."""
    size, hidden, preset, data, _ = entry[0]
    return size, preset, hidden, data, entry[1][0]["steps"]


def tables() -> None:
    """Print a line for every group of seeds, the published settings' pictures, and draw the figure."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records().values():
        key = (record["size"], record["hidden"], record["preset"], record["data"], record["end"])
        groups.setdefault(key, []).append(record)
    print(
        "| L | hidden | preset | data | steps | seeds | 10³ KL per spin | PR of W | K_nn | τ | verdicts |\n"
        + "|---" * 11
        + "|"
    )
    for key, group in sorted(groups.items(), key=in_order):
        found = [record["assessment"] for record in group]
        taus = [max(t["value"] for t in one["equilibrium"]["tau"].values()) for one in found]
        good = sum(one["equilibrium"]["verdict"] == "equilibrium model" for one in found)
        at = sorted(int(w) for one in found for w in one["equilibrium"]["verdict"].split() if w.isdigit())
        cells = [
            *(str(x) for x in key[:4]),
            *(f"{np.mean([r['steps'] for r in group]):.0f}", str(len(group))),
            over_seeds([1e3 * one["kl_per_spin"][0] for one in found]),
            over_seeds([one["participation_w"] for one in found]),
            over_seeds([one["K_nn_visible"][0] for one in found]),
            f"{min(taus):.0f} … {max(taus):.0f}",
            f"{good} of {len(group)} in equilibrium" + (f"; k = {', '.join(map(str, at))}" if at else ""),
        ]
        print("| " + " | ".join(cells) + " |")
    print_pictures(groups)
    draw(groups)


def print_pictures(groups: dict[tuple[Any, ...], list[dict[str, Any]]]) -> None:
    """Print quartiles over units of the pictures' numbers, averaged over seeds."""
    for key, group in sorted(groups.items(), key=in_order):
        if "pictures" in group[0]:
            print(f"\n{key}, {len(group)} seeds: smallest, quartiles, largest over units")
            for name in group[0]["pictures"]:
                columns = zip(*(record["pictures"][name] for record in group), strict=True)
                print(f"| {name} | " + " | ".join(over_seeds(list(column)) for column in columns) + " |")


def draw(groups: dict[tuple[Any, ...], list[dict[str, Any]]]) -> None:
    """Draw localisation against updates, the longest run of each network, N/4 hidden units."""
    runs: dict[int, dict[str, list[dict[str, np.ndarray]]]] = {}
    for size in (16, 32):
        longest: dict[tuple[str, int], dict[str, Any]] = {}
        for key, group in groups.items():
            if key[0] == size and key[1] == size**2 // 4:
                for record in group:
                    label = record["preset"] if record["data"] != "stream" else f"{record['preset']}, fresh data"
                    place = (label, record["seed"])
                    if place not in longest or record["steps"] > longest[place]["steps"]:
                        longest[place] = record
        for (label, _), record in sorted(longest.items()):
            curves = {name: np.array(values) for name, values in record["curves"].items()}
            runs.setdefault(size, {}).setdefault(label, []).append(curves)
    order = sorted({label for of_size in runs.values() for label in of_size})
    localisation_curves(runs, order).savefig(RECORDS.with_name("networks-localisation.png"), dpi=120)


def localisation_curves(
    runs: Mapping[int, Mapping[str, Sequence[Mapping[str, np.ndarray]]]], order: Sequence[str]
) -> Figure:
    """Draw the median participation ratio of W against updates, one panel for each L, one colour for each preset.

    A thin line for each seed; a thick line for their median where there are several; the quartiles over units, their
    median over seeds, as a band. References: N/3 for Gaussian weights, 4 for a 2×2 block.

    Args:
        runs: by L and by preset the histories of all seeds: `step`, `participation_w` and its quartiles `…_25`, `…_75`.
        order: the names of all presets, which decides their colours.
    """
    with sheet(1, len(runs), size=(3.6 * len(runs) + 0.6, 3.9), sharey=True) as (figure, panels):
        for axes, (size, presets) in zip(panels, runs.items(), strict=True):
            for name, histories in presets.items():
                localisation_of_seeds(axes, histories, name, look(name, order)["color"])
            for height, label in ((size**2 / 3, "N/3"), (4, "2×2")):
                axes.axhline(height, color="0.4", linestyle=":", linewidth=1.0)
                axes.text(1.01, height, label, transform=axes.get_yaxis_transform(), va="center", size="small")
            axes.set(xlabel="updates", title=f"L = {size}", xscale="log", yscale="log")
        panels[0].set_ylabel("participation of W, median over units (sites)")
        legend_above(figure, panels)
        return figure


def localisation_of_seeds(axes: Axes, histories: Sequence[Mapping[str, np.ndarray]], name: str, colour: str) -> None:
    """Draw the runs of one preset in one panel, over the readings that all of them have."""
    steps = [h["step"][h["step"] > 0] for h in histories]
    common = steps[0][np.all([np.isin(steps[0], other) for other in steps], axis=0)]

    def over_seeds(quantity: str) -> np.ndarray:
        return np.asarray(np.median([h[quantity][np.isin(h["step"], common)] for h in histories], axis=0))

    if len(histories) > 1:
        for history, step in zip(histories, steps, strict=True):
            axes.plot(step, history["participation_w"][history["step"] > 0], color=colour, linewidth=0.6, alpha=0.6)
    axes.plot(common, over_seeds("participation_w"), color=colour, linewidth=1.8, label=text(name))
    low, high = (over_seeds(f"participation_w_{q}") for q in (25, 75))
    axes.fill_between(common, low, high, color=colour, alpha=0.2, lw=0)


if __name__ == "__main__":
    PARTS = {"small": small, "published": published, "long": long}
    wanted = sys.argv[1:] or ["all"]
    for part, tasks in PARTS.items():
        if part in wanted or "all" in wanted:
            for task in tasks():
                run(task)
    if "tables" in wanted:
        tables()
