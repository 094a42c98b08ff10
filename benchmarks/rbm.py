"""Training and sampling of an RBM beside other libraries, in one run on one core.

    pip install '.[bench]'
    python benchmarks/rbm.py [epochs] [gibbs] [numbers] [--rounds N]

An epoch is 20,000 critical configurations, 1024 → 256, batch 100: 200 updates, plain SGD; the ways of `rbm_peers` and
ours take turns, and the first epoch, which compiles, stands apart. Times are CPU seconds of the process, all threads:
on one core wall time is the same plus what others took of it, and the last line says how much that was. The yardstick
is 3 + 2k products of 100 × 1024 × 256, multiplied out in float32 at the best speed that XLA or NumPy reach here for
each shape; PCD-k that keeps v of its chains and not h, as ours, needs one more. Ours looks sums up in tables
(`rgstep.nets.products`) and may be faster. Five CPU minutes with all peers and three rounds.
"""

import os

os.environ.pop("OPENBLAS_CORETYPE", None)  # so that OpenBLAS chooses its kernels by the processor; read when NumPy
os.environ.pop("OPENBLAS_L2_SIZE", None)  # is imported

import one_core  # noqa: F401  # before anything starts threads

# isort: split
import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rbm_peers import BATCH, HIDDEN, PEERS, RATE, WEIGHTS_SD, Rule, Way, version_of

import rgstep as rg
from rgstep.nets import products, updates
from rgstep.nets.presets import Training
from rgstep.nets.rbm import gibbs_steps, signs, uniform

SAMPLES, SIZE = 20_000, 32
VISIBLE = SIZE**2
RULES = (Rule(False, 1), Rule(True, 1), Rule(False, 10))
SWEEPS, DRAWS = 50, 200  # in one timed call
REPEATS = 15
PRODUCT = 2 * BATCH * VISIBLE * HIDDEN  # FLOP of any of the products


def rgstep_way(v: np.ndarray, rule: Rule) -> Way:
    """Ours, readings left out: the only lines here that know the inside of `rgstep.nets.updates`."""
    settings = Training(
        method="pcd" if rule.persistent else "cd",
        k=rule.k,
        chains=BATCH,
        batch=BATCH,
        steps=len(v) // BATCH,
        optimiser="sgd",
        learning_rate=RATE,
    )
    rng, compiled = np.random.default_rng(0), updates.compiled_settings(settings)
    data, rows = jnp.asarray(np.packbits(v > 0, axis=1)), np.zeros((updates.LONGEST_LOOP, BATCH), np.int32)
    box = [updates.first_state(rg.untrained_rbm(VISIBLE, HIDDEN, 0, WEIGHTS_SD).parameters, settings, 0)]

    def epoch() -> None:
        rows[: settings.steps] = rng.permutation(len(v)).reshape(-1, BATCH)
        count, k = jnp.int32(settings.steps), jnp.int32(settings.k)
        box[0] = updates.run_updates(box[0], data, jnp.asarray(rows.copy()), count, k, compiled)
        jax.block_until_ready(box[0].parameters)

    return Way(epoch, lambda: rg.RBM(*(np.asarray(x) for x in box[0].parameters)))


class Stopwatch:
    """CPU seconds of calls, and the wall seconds of all of them together."""

    def __init__(self) -> None:
        """Start at zero."""
        self.cpu = self.wall = 0.0

    def __call__(self, run: Callable[[], object]) -> float:
        """Return the CPU seconds of a call."""
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        cpu = time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        self.cpu += cpu
        return cpu


def pseudo_likelihood(network: rg.RBM, v: np.ndarray, sites: int = 8) -> float:
    """Return the mean of ln p(v_i | rest) over 500 configurations and 8 random sites of each, from free energies."""
    v = v[:500]
    at = np.random.default_rng(2).integers(0, VISIBLE, (sites, len(v)))
    before, terms = network.free_energy(v), []
    for columns in at:
        flipped = v.copy()
        flipped[np.arange(len(v)), columns] *= -1
        terms.append(-np.logaddexp(0.0, before - network.free_energy(flipped)))
    return float(np.mean(terms))


def best_products() -> dict[str, float]:
    """Return the least seconds of each product, in XLA or NumPy, and print the speeds, with that of tables."""
    rng = np.random.default_rng(0)
    x, y, w = (rng.standard_normal(s, np.float32) for s in ((BATCH, VISIBLE), (BATCH, HIDDEN), (VISIBLE, HIDDEN)))
    cases = {"v W": (x, w), "h Wᵀ": (y, w.T), "vᵀ h": (x.T, y)}
    ours = {"v W": (products.times, x, w), "h Wᵀ": (products.times_transposed, y, w), "vᵀ h": (products.outer, x, y)}
    product, best = jax.jit(lambda a, b: a @ b), {}
    print("\nGFLOP/s of float32 products (best of 300): XLA, NumPy, and what tables of signs are worth")
    for name, (left, right) in cases.items():
        on_device, out = (jnp.asarray(left), jnp.asarray(right)), np.empty((len(left), right.shape[1]), np.float32)
        ways = (
            lambda on_device=on_device: product(*on_device).block_until_ready(),
            lambda left=left, right=right, out=out: np.matmul(left, right, out=out),
        )
        function, *factors = ours[name]
        by_tables, factors = jax.jit(function), [jnp.asarray(factor) for factor in factors]
        ways += (lambda by_tables=by_tables, factors=factors: by_tables(*factors).block_until_ready(),)
        seconds = [min(wall_seconds(way) for _ in range(300)) for way in ways]
        print(
            f"    {name:6s} {left.shape[0]}×{left.shape[1]}×{right.shape[1]}",
            *(f"{PRODUCT / s / 1e9:7.0f}" for s in seconds),
        )
        best[name] = min(seconds[:2])
    return best


def wall_seconds(run: Callable[[], object]) -> float:
    """Return the wall seconds of a call too short for the CPU clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def epochs(rounds: int) -> None:
    """Seconds an epoch by every way and rule, its ratio to ours, and beside the products multiplied out."""
    best = best_products()
    v = rg.sample(SIZE, rg.CRITICAL_TEMPERATURE, SAMPLES, seed=1).spins.reshape(SAMPLES, VISIBLE)
    ways = {(rule, "rgstep"): rgstep_way(v, rule) for rule in RULES}
    ways |= {(rule, name): peer.make(v, rule) for name, peer in PEERS.items() for rule in RULES if peer.knows(rule)}
    watch, first, learnt = Stopwatch(), {}, {}
    for which, way in ways.items():
        first[which] = watch(way.epoch)
        learnt[which] = pseudo_likelihood(way.machine(), v)
    times: dict[tuple[Rule, str], list[float]] = {which: [] for which in ways}
    for _ in range(rounds):
        for which, way in ways.items():
            times[which].append(watch(way.epoch))
    for rule in RULES:
        least = SAMPLES // BATCH * ((1 + rule.k) * best["v W"] + rule.k * best["h Wᵀ"] + 2 * best["vᵀ h"])
        work = SAMPLES // BATCH * (3 + 2 * rule.k) * PRODUCT
        print(f"\n{rule}: {work / 1e9:.1f} GFLOP an epoch, {least:.3f} s multiplied out; median [range] of {rounds}")
        rows = [which for which in ways if which[0] == rule]
        if rule == Rule(False, 1) and (other := (Rule(True, 1), "scikit-learn, fit")) in ways:
            rows.append(other)
        ours = statistics.median(times[rule, "rgstep"])
        for which in rows:
            median = statistics.median(times[which])
            name = which[1] if which[0] == rule else f"{which[1]} ({which[0]})"
            print(
                f"    {name:28s}{median:7.3f} s [{min(times[which]):.3f}, {max(times[which]):.3f}]"
                f"  first {first[which]:6.2f} s  {median / ours:5.2f} × rgstep  {least / median:4.0%} of their speed"
                f"  ln p(v_i | rest) after the first: {learnt[which]:.3f}"
            )
    print(f"\nwall / CPU time of all epochs: {watch.wall / watch.cpu:.2f}")


def sweeps(rounds: int) -> None:
    """Microseconds of a Gibbs sweep v → h → v, for each chain."""
    weights = rg.untrained_rbm(VISIBLE, HIDDEN, 0, 0.05).parameters
    run = jax.jit(gibbs_steps)
    print("\nµs for a Gibbs sweep of a chain, 1024 and 256 units: median [range]")
    for chains in (100, 1000):
        v = jnp.ones((chains, VISIBLE))
        steps = jnp.int32(SWEEPS * 100 // chains)
        each = per_unit(lambda v=v, n=steps: run(weights, v, n, jax.random.key(0)).block_until_ready(), SWEEPS * 100)
        print(f"    {chains:5d} chains {each(1e6, rounds)}")


def numbers(rounds: int) -> None:
    """Nanoseconds of a uniform number and of a tanh, written to memory."""
    keys = {"threefry": jax.random.key(0), "rbg": jax.random.key(0, impl="rbg")}

    def threefry_or_rbg(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-1.0)

    cases: dict[str, tuple[Callable[..., jax.Array], jax.Array]] = {
        "nets.rbm.uniform": (lambda key, x: uniform(key, x.shape), keys["threefry"]),
        "jax.random.uniform, threefry": (lambda key, x: threefry_or_rbg(key, x.shape), keys["threefry"]),
        "jax.random.uniform, rbg": (lambda key, x: threefry_or_rbg(key, x.shape), keys["rbg"]),
        "nets.rbm.signs of tanh": (lambda key, x: signs(key, jnp.tanh(x)), keys["threefry"]),
        "tanh": (lambda key, x: jnp.tanh(x), keys["threefry"]),
    }
    print("\nns for a number, compiled, in a loop that keeps the larger of old and new: median [range]")
    for rows in (BATCH, 10 * BATCH):
        print(f"    {rows} × {VISIBLE}")
        x, draws = jnp.zeros((rows, VISIBLE)), DRAWS * BATCH // rows
        for name, (draw, key) in cases.items():

            @jax.jit
            def loop(key: jax.Array, x: jax.Array, draw=draw, draws=draws) -> jax.Array:
                return jax.lax.fori_loop(0, draws, lambda i, x: jnp.maximum(x, draw(jax.random.fold_in(key, i), x)), x)

            each = per_unit(lambda loop=loop, key=key, x=x: loop(key, x).block_until_ready(), draws * x.size)
            print(f"        {name:30s}{each(1e9, rounds)}")


def per_unit(run: Callable[[], object], work: int) -> Callable[[float, int], str]:
    """Return a function that times a call several times and writes the time of a unit of work in parts of a second."""

    def measured(parts: float, rounds: int) -> str:
        watch = Stopwatch()
        run()
        times = [watch(run) / work * parts for _ in range(3 * rounds)]
        return f"{statistics.median(times):7.3f} [{min(times):.3f}, {max(times):.3f}]"

    return measured


def machine() -> None:
    """Print the processor, the versions, and which kernels OpenBLAS runs."""
    import llvmlite.binding

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    print(f"{name} ({llvmlite.binding.get_host_cpu_name()}), Python {platform.python_version()}")
    packages = ("rgstep", "jax", "torch", *dict.fromkeys(peer.package for peer in PEERS.values()))
    for package in packages:
        version = version_of(package)
        print(f"    {package} {version}" if version else f"    {package} is skipped: pip install {package}")
    try:
        import threadpoolctl
    except ImportError:
        return
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas":
            kernel = pool.get("architecture", "unknown kernel")
            print(f"    {pool['internal_api']} {pool['version']}: {kernel}, {pool['num_threads']} thread")


PARTS = {"epochs": epochs, "gibbs": sweeps, "numbers": numbers}


def main() -> None:
    """Run the parts asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each way after the first")
    arguments = parser.parse_args()
    machine()
    for name in arguments.parts or PARTS:
        PARTS[name](arguments.rounds)


if __name__ == "__main__":
    main()
