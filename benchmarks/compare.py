"""The whole of `rgstep compare` with its defaults, cold and warm, with where the time goes and the peak memory.

    python benchmarks/compare.py [--samples N]

Cold: a fresh process with empty kernel caches; warm: a fresh process that finds numba's kernels compiled.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, resource, sys, time
start = time.perf_counter()
from pathlib import Path
from rgstep.jobs import compare
marks = [("import", 0.0), ("between stages", time.perf_counter() - start)]
def progress(stage, done, total, note=""):
    name = stage.split(" of ")[0].replace("training ", "train ") if "⟨" in stage else stage
    if marks[-1][0] != name:
        marks.append((name, time.perf_counter() - start))
compare(Path(sys.argv[1]), samples=int(sys.argv[2]), progress=progress)
end = time.perf_counter() - start
spans = {}
for (name, begin), (_, stop) in zip(marks, [*marks[1:], ("", end)]):
    spans[name] = spans.get(name, 0.0) + stop - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": end, "peak": peak, "spans": spans}))
"""


def run(cache: str, samples: int) -> dict[str, object]:
    """Run the job in a fresh process and return its times and peak memory."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(Path(out) / "report"), str(samples)],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print both runs, stage by stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            result = run(cache, samples)
            print(f"{name}: {result['seconds']:.1f} s, peak memory {result['peak'] / 1e9:.2f} GB, {samples} samples")
            for stage, seconds in result["spans"].items():
                print(f"    {stage:28s} {seconds:7.1f} s  {seconds / result['seconds']:5.0%}", flush=True)


if __name__ == "__main__":
    main()
