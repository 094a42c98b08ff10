"""How much faster is a study on two processes, or two workers of Dask, than on one, and is what it collects the same?

    python benchmarks/studies.py [--seeds N] [--workers N]     default: 54 seeds, 216 tasks; 2 workers

All runs do every task from nothing, configurations included, with workers of their own. Ideal is the time of one
process divided by the number of workers. Run it with nothing beside it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import rgstep as rg
from rgstep.studies.collect import DATA, TABLE, write_collected
from rgstep.studies.plan import Plan, plan_of


def study(seeds: int) -> Plan:
    """Return the study: trainings on L = 8, two lengths and two L1 penalties of each seed."""
    fixed = {"size": 8, "preset": "mehta2014", "samples": 5_000, "judged_samples": 5_000, "hidden": 16}
    grid = {"seed": list(range(seeds)), "l1": [0.0, 0.003], "steps": [1_000, 3_000]}
    return plan_of({"title": "A benchmark of studies", "fixed": fixed, "grid": grid})


def files(folder: Path) -> dict[str, bytes]:
    """Return all that was collected: the table, and every file of the data set."""
    found = [folder / TABLE, *sorted(path for path in (folder / DATA).rglob("*") if path.is_file())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def timed(plan: Plan, folder: Path, **engine: object) -> tuple[float, dict[str, bytes]]:
    """Run a study; return its wall time in seconds and what it collected."""
    clock = time.perf_counter()
    rg.run_study(plan, folder, **engine)  # type: ignore[arg-type]
    seconds = time.perf_counter() - clock
    write_collected(rg.collect_study(folder), folder / "collected")
    return seconds, files(folder / "collected")


def main() -> None:
    """Run it on one process, then on several, then on Dask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=54)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    plan = study(arguments.seeds)
    with tempfile.TemporaryDirectory() as place:
        one, serial = timed(plan, Path(place, "one"), workers=1)
        print(f"{len(plan.tasks)} tasks, one process: {one:.1f} s", flush=True)
        ideal = one / arguments.workers
        for name, engine in (("processes", {}), ("workers of Dask", {"dask": "local"})):
            many, collected = timed(plan, Path(place, name), workers=arguments.workers, **engine)
            print(f"{arguments.workers} {name}: {many:.1f} s, ideal {ideal:.1f} s: {many / ideal - 1:+.1%}", flush=True)
            same = "the same bits" if serial == collected else "NOT the same"
            print(f"    collected: {len(serial)} files, {same}")


if __name__ == "__main__":
    main()
