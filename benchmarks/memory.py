"""Memory and CPU time against the number of samples: sample, train, judge, each in a process of its own.

    python benchmarks/memory.py 1e4 1e5 1e6 1e7      measures what docs/memory.csv lacks, and draws docs/memory.png
    python benchmarks/memory.py                      draws it again

Of each process the peak of its anonymous memory, which nothing but itself can free, is read from /proc every 10 ms;
the peak of all that is resident counts the pages of files that it reads, too, which the system takes back when it needs
them. L = 32 at T = 4, where chains forget fast: memory does not depend on T. The row `import` is the libraries alone.
"""

import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rgstep as rg
from rgstep.drawing import COLOURS, MARKERS, legend_above, plain_log_labels, sheet

DOCS = Path(__file__).parent.parent / "docs"
TABLE, FIGURE = DOCS / "memory.csv", DOCS / "memory.png"
COLUMNS = ("job", "samples", "anonymous_MB", "resident_MB", "seconds", "cpu_seconds")
SIZE, TEMPERATURE, STEPS, UNITS = 32, 4.0, 200, 64
CHEAP = ("coherence", "conditional_law", "mcrg", "drift", "symmetry")
FEW = ("coherence", "drift", "symmetry")
JOBS = {
    "import": "libraries alone",
    "sample": "sample",
    "train": f"train, {STEPS} updates",
    "judge_few": "judge, three rows of 4×4 blocks",
    "judge": "judge, five rows",
    "judge_all": "judge, all rows",
}
MOST = {"judge": 10**6, "judge_all": 10**5}  # samples: more would take too long on two shared cores
MEGA = 1e6


def do(job, samples, path):
    """Do one job; this is the process that is measured."""
    from rgstep.battery import judge_map, reference_on
    from rgstep.nets.training import train_rbm

    if job == "sample":
        rg.save(path, rg.sample(SIZE, TEMPERATURE, samples, seed=1, mode="thin", time_limit=1e6))
    elif job == "train":
        train_rbm(rg.load(path), UNITS, steps=STEPS)
    elif job == "judge":
        ensemble = rg.load(path)
        judge_map(ensemble, "majority", rg.Majority(), 0, reference_on(ensemble, 0), None, CHEAP)
    elif job == "judge_few":
        ensemble = rg.load(path)
        judge_map(ensemble, "majority", rg.Majority(4), 0, reference_on(ensemble, 0), None, FEW)
    elif job == "judge_all":
        rg.judge(rg.load(path), {"majority": rg.Majority()})


def measured(job, samples, path):
    """Return peaks, in megabytes, and the time, also that of a core, of a job in a process of its own."""
    command = [sys.executable, __file__, "--do", job, str(samples), str(path)]
    started, before, anonymous, resident = time.perf_counter(), seconds_of_children(), 0, 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            found = status(process.pid)
            anonymous, resident = max(anonymous, found.get("RssAnon", 0)), max(resident, found.get("VmHWM", 0))
            time.sleep(0.01)
    if process.returncode:
        raise SystemExit(process.returncode)
    took = time.perf_counter() - started, seconds_of_children() - before
    return 1024 * anonymous / MEGA, 1024 * resident / MEGA, *took


def seconds_of_children():
    """Return the time of a core that all processes which this one started, and which ended, took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def status(pid):
    """Return what /proc says of the memory of a process, in kB; nothing if it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    split = (line.split() for line in lines if line.startswith(("RssAnon", "VmHWM")))
    return {name.rstrip(":"): int(value) for name, value, *_ in split}


def table():
    """Return what has been measured, `(job, samples)` → numbers."""
    if not TABLE.exists():
        return {}
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    return {(row["job"], int(row["samples"])): tuple(float(row[c] or "nan") for c in COLUMNS[2:]) for row in rows}


def write(found):
    """Write the table."""
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (job, samples), numbers in sorted(found.items(), key=lambda item: (list(JOBS).index(item[0][0]), item[0])):
            cells = (f"{number:.{digits}f}" for number, digits in zip(numbers, (0, 0, 1, 1), strict=True))
            writer.writerow([job, samples, *("" if cell == "nan" else cell for cell in cells)])


def measure(counts):
    """Measure what is missing."""
    folder = Path(tempfile.gettempdir()) / "rgstep-memory"
    folder.mkdir(exist_ok=True)
    for samples in counts:
        path = folder / f"{samples}.npz"
        for job in JOBS:
            point = job, 0 if job == "import" else samples
            needed = job == "sample" and not path.exists()
            if (point in table() and not needed) or samples > MOST.get(job, samples):
                continue
            numbers = measured(job, samples, path)
            write({**table(), point: numbers})
            sys.stdout.write(f"{job} of {samples}: {numbers[0]:.0f} MB, {numbers[1]:.0f} MB, {numbers[3]:.1f} s\n")
            sys.stdout.flush()


def draw(found):
    """Draw peaks and times against the number of samples."""
    libraries = found.get(("import", 0), (0, 0, 0))[0]
    with sheet(1, 2, size=(9.4, 3.9)) as (figure, (left, right)):
        for (job, title), colour, marker in zip(list(JOBS.items())[1:], COLOURS, MARKERS, strict=False):
            points = sorted((n, *numbers) for (j, n), numbers in found.items() if j == job)
            if not points:
                continue
            n, anonymous, resident, seconds, of_core = zip(*points, strict=True)
            left.plot(n, anonymous, color=colour, marker=marker, markersize=5, label=title)
            left.plot(n, resident, color=colour, marker=marker, markersize=5, markerfacecolor="none", linestyle=":")
            right.plot(n, of_core, color=colour, marker=marker, markersize=5)
            right.plot(n, seconds, color=colour, marker=marker, markersize=5, markerfacecolor="none", linestyle=":")
        bits = [n for n in sorted({n for _, n in found}) if n]
        left.axhline(libraries, color="0.6", linewidth=0.8)
        left.text(bits[0], libraries, "libraries", fontsize="x-small", color="0.4", va="bottom")
        left.plot(bits, [n * SIZE**2 / 8 / MEGA for n in bits], color="0.6", linestyle="--", linewidth=0.8)
        at = bits[-1] / 8
        left.text(at, at * SIZE**2 / 10 / MEGA, "the bits", fontsize="x-small", color="0.4", ha="left")
        left.set(xscale="log", yscale="log", xlabel="samples", ylabel="peak memory, MB", ylim=(100, None))
        right.set(xscale="log", yscale="log", xlabel="samples", ylabel="time, s (full: of one core)")
        plain_log_labels(right)
        plain_log_labels(left)
        legend_above(figure, [left], columns=5, fontsize="small")
        figure.savefig(FIGURE, dpi=150)


def main():
    """Measure and draw, or do one job."""
    if sys.argv[1:2] == ["--do"]:
        job, samples, path = sys.argv[2:]
        do(job, int(samples), Path(path))
        return
    measure([int(float(count)) for count in sys.argv[1:]])
    draw(table())


if __name__ == "__main__":
    main()
