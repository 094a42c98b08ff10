"""The sampler beside others, in one run on one core: rates, effective configurations, the main job, perfect samples.

    pip install '.[bench]'     # in an environment of its own: constraints.txt holds an older typer than mcising wants
    python benchmarks/sampler.py [rates | job | cores | perfect | large | start]

Without an argument everything, in about ten minutes. The other samplers are called as `sampler_peers` says, each by its
fastest public way. All times are wall times of one process; compare within one run.
"""

import one_core  # noqa: F401  # first, before anything starts threads

# isort: split
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from sampler_peers import PEERS

import rgstep as rg
from rgstep.ising import CRITICAL_TEMPERATURE, ising
from rgstep.samplers.chains import KINDS, Request, measured_nanoseconds
from rgstep.samplers.sample import pilot, run_all

SIZE = 32
FOUR = (1.5, CRITICAL_TEMPERATURE, 3.0, 5.0)
TWENTY_FIVE = tuple(0.25 * k for k in range(25))
JOB_SAMPLES, PEER_SAMPLES = 50_000, 1_000
MCISING = ("mcising metropolis", "mcising swendsen_wang", "mcising wolff")


def seconds_of(run: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def tau_of(kernel: str, temperature: float, size: int = SIZE) -> float:
    """Return τ of the slower of e and m², in sweeps."""
    request = Request(ising(size, temperature), 1, 7, "iid", kernel)
    return max(float(tau.value) for tau in run_all([pilot(request)], 1)[0])


def table(title: str, rows: dict[str, list[str]], heads: list[str]) -> None:
    """Print a table."""
    print(f"\n{title}\n{'':34s}" + "".join(f"{head:>16s}" for head in heads))
    for name, cells in rows.items():
        print(f"{name:34s}" + "".join(f"{cell:>16s}" for cell in cells))


def instruction_set() -> str:
    """Return the widest vector instructions of this core."""
    import llvmlite.binding

    features = llvmlite.binding.get_host_cpu_features()
    wide = next((name for name in ("avx512f", "avx2", "avx", "sse2", "neon") if features.get(name)), "unknown")
    return f"{llvmlite.binding.get_host_cpu_name()} ({wide})"


def rates() -> None:
    """Raw updates, and effective configurations per second, at four temperatures."""
    ours = {name: 1 / measured_nanoseconds(name, SIZE) for name in KINDS if name != "wolff"}
    peers = {name: [peer.updates_per_ns(SIZE, t) for t in FOUR] for name, peer in PEERS.items() if peer.version}
    heads = [f"T = {t:.4g}" for t in FOUR]
    rows = {f"rgstep {name}": [f"{rate:.3f}"] * 4 for name, rate in ours.items()}  # no branch depends on the spins
    table(
        f"spin updates per ns, L = {SIZE}",
        rows | {name: [f"{r:.4f}" for r in row] for name, row in peers.items()},
        heads,
    )
    ratio = ours["metropolis"] / peers["mcising metropolis"][1]
    print(f"rgstep metropolis / mcising metropolis at T_c: {ratio:.0f}")

    per_second = {
        name: [1e9 / (measured_nanoseconds(name, SIZE) * SIZE**2) / (2 * tau_of(name, t)) for t in FOUR]
        for name in ("metropolis", "swendsen-wang")
    }
    others = {name: [float(PEERS[name].effective_per_second(SIZE, t).value) for t in FOUR] for name in MCISING}
    rows = {f"rgstep {name}": [f"{x:,.0f}" for x in row] for name, row in per_second.items()}
    rows |= {name: [f"{x:,.0f}" for x in row] for name, row in others.items()}
    best = [max(row[k] for row in others.values()) for k in range(4)]
    rows["rgstep / best of mcising"] = [f"{x / y:.0f}" for x, y in zip(per_second["metropolis"], best, strict=True)]
    table(f"effective configurations per second, L = {SIZE}", rows, heads)


def job() -> None:
    """Sample 50,000 configurations at each of 25 temperatures, own chains and thinned; and mcising's best, thinned."""
    rg.sample(SIZE, (1.0, 10.0, 3.0), 10)  # compile
    own = seconds_of(lambda: rg.sample(SIZE, TWENTY_FIVE, JOB_SAMPLES, threads=1))
    thin = seconds_of(lambda: rg.sample(SIZE, TWENTY_FIVE, JOB_SAMPLES, threads=1, mode="thin"))
    peer = 0.0
    for t in TWENTY_FIVE[1:]:
        ways = []
        for name, kernel in zip(MCISING[:2], ("metropolis", "swendsen-wang"), strict=True):
            spacing = int(np.ceil(10 * tau_of(kernel, t)))
            ways.append(PEERS[name].thinned(SIZE, t, PEER_SAMPLES, spacing, 2 * spacing).seconds)
        peer += min(ways) * JOB_SAMPLES / PEER_SAMPLES
    print(f"\n{JOB_SAMPLES:,} configurations at each of 25 temperatures 0 … 6, L = {SIZE}, one core, certified")
    print(f"rgstep, a chain each: {own:.1f} s; rgstep thinned at 10 τ: {thin:.1f} s")
    print(f"mcising, the faster of Metropolis and Swendsen–Wang at each T, thinned at 10 τ: {peer:.0f} s (from 1/50)")
    print(f"ratios: {peer / own:.1f} (a chain each), {peer / thin:.1f} (thinned)")


def cores() -> None:
    """Compare one thread with two, in turns, on the same bits."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    arguments = (SIZE, CRITICAL_TEMPERATURE, 40_000)
    one, two = rg.sample(*arguments, threads=1), rg.sample(*arguments, threads=2)
    assert (one.packed.bits == two.packed.bits).all()
    times = [[seconds_of(lambda n=n: rg.sample(*arguments, threads=n)) for n in (1, 2)] for _ in range(3)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"\n40,000 at T_c, L = {SIZE}: {first:.2f} s with one thread, {second:.2f} s with two: {first / second:.2f} ×"
    )
    os.sched_setaffinity(0, {0})


def perfect() -> None:
    """Perfect samples per second, with their certificates."""
    rg.sample(8, 3.0, 10, mode="exact")  # compile
    print()
    for t, count in ((5.0, 100_000), (3.0, 60_000), (2.6, 20_000), (CRITICAL_TEMPERATURE, 4_096)):
        start = time.perf_counter()
        certificate = rg.sample(SIZE, t, count, threads=1, mode="exact").certificate
        seconds = time.perf_counter() - start
        scores = ", ".join(f"z({name}) = {check.z:+.1f}" for name, check in certificate.checks.items())
        print(f"perfect samples, L = {SIZE}, T = {t:.4g}: {count / seconds:,.0f} per second; {scores}")


def large() -> None:
    """Critical lattices of side 128 and 512, certified."""
    rg.sample(8, 3.0, 10, kernel="swendsen-wang")  # compile
    print()
    for size, count, mode in ((128, 1000, "thin"), (128, 1000, "iid"), (512, 32, "thin")):
        start = time.perf_counter()
        certificate = rg.sample(size, CRITICAL_TEMPERATURE, count, threads=1, mode=mode).certificate
        seconds = time.perf_counter() - start
        print(f"{count} configurations, L = {size}, T_c, {mode}, one core: {seconds:.1f} s ({certificate.kernel})")
        print(f"    τ(e) = {certificate.tau_e}, τ(m²) = {certificate.tau_m2} sweeps; good: {certificate.good}")


def start() -> None:
    """Import and first call in fresh processes: kernels compiled before, and none."""
    program = """
import time
start = time.perf_counter()
import rgstep
rgstep.sample
imported = time.perf_counter()
rgstep.sample(32, 3.0, 1000)
print(imported - start, time.perf_counter() - imported)
"""

    def fresh(**environment: str) -> list[float]:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
        return [float(seconds) for seconds in done.stdout.split()]

    fresh()
    imported, called = (statistics.median(column) for column in zip(*(fresh() for _ in range(5)), strict=True))
    print(f"\nfresh process, kernels cached: {imported:.2f} s to import, {called:.2f} s for the first call")
    with tempfile.TemporaryDirectory() as empty:
        imported, called = fresh(NUMBA_CACHE_DIR=empty)
    print(f"fresh process, none cached: {imported:.2f} s to import, {called:.1f} s for the first call")


PARTS = {run.__name__: run for run in (rates, job, cores, perfect, large, start)}


def main() -> None:
    """Run the parts asked for."""
    print(
        f"{instruction_set()}; " + ", ".join(sorted({f"{p.package} {p.version or 'missing'}" for p in PEERS.values()}))
    )
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
