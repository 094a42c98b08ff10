"""A training epoch against scikit-learn's BernoulliRBM on the same shapes and the same core.

    python benchmarks/training.py

20,000 configurations, 1024 → 256, batch 100, 200 updates; plain SGD. BernoulliRBM does PCD-1 on 0/1 units, so PCD-1
with 100 chains is the like-for-like row. Medians over interleaved rounds; the first epoch compiles, and is apart.
"""

import one_core  # noqa: F401  # first, before anything starts threads

# isort: split
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.neural_network import BernoulliRBM

import rgstep as rg
from rgstep.nets.presets import Training
from rgstep.nets.training import BLOCK, batches, first_state, updates

ROUNDS = 5
SAMPLES, VISIBLE, HIDDEN, BATCH = 20_000, 1024, 256, 100


def epoch_of(v: np.ndarray, training: Training) -> Callable[[], None]:
    """Return a function that trains for one epoch, readings left out."""
    rng = np.random.default_rng(0)
    start = rg.untrained_rbm(VISIBLE, HIDDEN, 0, 0.01)
    box = [first_state(start.parameters, training, rng)]
    data = jnp.asarray(np.packbits(v > 0, axis=1))

    def epoch() -> None:
        for rows in batches(SAMPLES, training, rng):
            box[0] = updates(box[0], data, jnp.asarray(rows), jnp.int32(training.k), training)
        jax.block_until_ready(box[0].weights)

    return epoch


def sklearn_epoch(v: np.ndarray) -> Callable[[], None]:
    """Return a function that trains scikit-learn's RBM for one epoch on the same data as 0/1."""
    zero_one = ((v + 1) / 2).astype(np.float32)
    model = BernoulliRBM(HIDDEN, learning_rate=0.01, batch_size=BATCH, n_iter=1, random_state=0)
    return lambda: model.fit(zero_one)


def roofline() -> float:
    """Return the speed of the training's matrix product, 100×1024×256 float32, in FLOP/s."""
    product = jax.jit(lambda v, w: v @ w)
    v, w = jnp.ones((BATCH, VISIBLE)), jnp.ones((VISIBLE, HIDDEN))
    jax.block_until_ready(product(v, w))
    best = min(_timed(lambda: jax.block_until_ready(product(v, w))) for _ in range(300))
    return 2 * BATCH * VISIBLE * HIDDEN / best


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print seconds an epoch, ratios to scikit-learn, and the fraction of the roofline."""
    v = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (SAMPLES, VISIBLE))
    steps = SAMPLES // BATCH
    plain = {"optimiser": "sgd", "learning_rate": 0.01, "steps": steps, "batch": BATCH}
    ways = {
        "scikit-learn BernoulliRBM (PCD-1)": sklearn_epoch(v),
        "rgstep PCD-1, 100 chains": epoch_of(v, Training(method="pcd", chains=100, **plain)),
        "rgstep CD-1": epoch_of(v, Training(method="cd", **plain)),
        "rgstep CD-10": epoch_of(v, Training(method="cd", k=10, **plain)),
    }
    work = {"rgstep PCD-1, 100 chains": 52.4e9, "rgstep CD-1": 52.4e9, "rgstep CD-10": 241.2e9}
    first = {name: _timed(run) for name, run in ways.items()}
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            times[name].append(_timed(run))
    peak = roofline()
    peer = statistics.median(times["scikit-learn BernoulliRBM (PCD-1)"])
    print(f"matrix product 100×1024×256: {peak / 1e9:.0f} GFLOP/s; {BLOCK} updates a scan")
    for name, values in times.items():
        median = statistics.median(values)
        share = f"{work[name] / peak / median:5.0%} of the roofline" if name in work else ""
        ratio = f"{peer / median:5.2f} × scikit-learn"
        print(f"{name:36s} {median:6.3f} s an epoch (first {first[name]:5.2f} s)  {ratio}  {share}")


if __name__ == "__main__":
    main()
