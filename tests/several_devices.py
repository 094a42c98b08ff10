"""Print, as JSON, what one, two and four devices make of the same work: `several_devices.py CASE …`.

Of a training the parameters after `STEPS` updates, of one gradient the gradient, of ⟨v h⟩ the moments, and where arrays
lie. Beside each some that must differ: of other seeds or data, and of shares whose sums are not added up.
"""

import json
import sys
from tempfile import TemporaryDirectory
from unittest.mock import patch

import jax
import numpy as np

from rgstep import RBM, train_rbm
from rgstep.correlators import measure
from rgstep.nets import devices
from rgstep.nets.batches import batch_source
from rgstep.nets.presets import Training
from rgstep.nets.training import TrainingRun
from rgstep.nets.updates import loss_gradient, run_updates, run_updates_of_many

COUNTS = (1, 2, 4)
SIDE, HIDDEN, SAMPLES, STEPS = 4, 5, 203, 20  # 203 samples make no equal shares
BASE = {"k": 1, "batch": 40, "chains": 24, "optimiser": "sgd", "learning_rate": 0.05, "weights_sd": 0.1}
# What `Training` takes, and where they are others the seeds, hidden units, side and steps.
CASES = {
    "CD": {"method": "cd"},
    "PCD": {"method": "pcd", "gradient_h": "sampled"},
    "CD, units 0 and 1": {"method": "cd", "units": "binary", "optimiser": "momentum"},
    "PCD, units 0 and 1": {"method": "pcd", "units": "binary", "centred": True, "learning_rate": 1.0},
    "several seeds": {"method": "pcd", "seeds": (0, 1)},
    "trajectory": {"method": "pcd", "tempering": "trajectory", "levels": 3},
    "tables": {"method": "pcd", "batch": 256, "chains": 128, "hidden": 40, "side": 8, "steps": 5},  # of `products`
}


def spins(samples, side):
    """Configurations whose columns have means of their own, so that there is something to learn."""
    rng = np.random.default_rng(0)
    return np.where(rng.random((samples, side, side)) < np.linspace(0.2, 0.8, side), 1, -1).astype(np.int8)


def trained(count, case, seed=0):
    """A training on so many devices, after a loop of updates."""
    own = {"seeds": (0,), "hidden": HIDDEN, "side": SIDE, "steps": STEPS, **case}
    seeds, hidden, side = [seed + s for s in own.pop("seeds")], own.pop("hidden"), own.pop("side")
    training = Training(**{**BASE, **own})
    source = batch_source(spins(2 * training.batch, side), training.batch, seeds)
    run = TrainingRun(source, hidden, training, seeds, None, devices.mesh_of(count))
    run.advance(0, training.steps)
    return run


def parameters(run):
    """The parameters as one list."""
    return np.concatenate([np.ravel(x) for x in run.state.parameters]).tolist()


def places(array):
    """On how many devices an array lies, and the length of its axis of samples on each."""
    return [len(array.sharding.device_set), *(shard.data.shape[-2] for shard in array.addressable_shards)]


def training_of(case):
    """All that is printed of a training."""
    runs = {count: trained(count, case) for count in COUNTS}
    with patch.object(devices, "psum", lambda x, axis: x):
        for program in (run_updates, run_updates_of_many):
            program.clear_cache()  # of programs that add up
        unreduced = parameters(trained(2, case))
    return {
        "same": {count: parameters(run) for count, run in runs.items()},
        "other": {"seed": parameters(trained(2, case, seed=7)), "sums of one share": unreduced},
        "chains": {count: places(run.state.chains) for count, run in runs.items()},
        "weights": {count: places(run.state.parameters.w) for count, run in runs.items()},
    }


def continued():
    """All that is printed of a training begun on four devices that goes on from its checkpoints on others."""
    v, rest = spins(80, SIDE), {**BASE, "method": "pcd", "schedule": "constant"}

    def after(*stages, seed=0):
        with TemporaryDirectory() as folder:
            for count, last in stages:
                rbm = train_rbm(v, HIDDEN, seed, devices=count, steps=last, checkpoints=folder, **rest)
        return [*np.ravel(rbm.weights).tolist(), *rbm.history["reconstruction"].tolist()]

    same = {1: after((1, 10)), "4, 1": after((4, 5), (1, 10))}
    return {
        "same": {**same, **{count: after((4, 5), (count, 10)) for count in (2, 4)}},
        "other": {"seed": after((4, 5), (2, 10), seed=1), "another": after((2, 10), seed=2)},
    }


def gradient_of_shares():
    """All that is printed of one gradient."""
    rng = np.random.default_rng(0)
    phases = [rng.choice([-1, 1], (n, units)).astype(np.float32) for n in (40, 24) for units in (SIDE**2, HIDDEN)]

    def gradient(count, *arrays):
        mesh = devices.mesh_of(count)
        with devices.at_work(mesh):
            found = jax.jit(lambda *x: loss_gradient(*x))(*(devices.split(x, mesh, axis=0) for x in arrays))
        return np.concatenate([np.ravel(x) for x in found]).tolist()

    with patch.object(devices, "psum", lambda x, axis: x):
        unreduced = gradient(2, *phases)
    return {
        "same": {count: gradient(count, *phases) for count in COUNTS},
        "other": {"data": gradient(2, -phases[0], *phases[1:]), "sums of one share": unreduced},
        "shares": {count: places(devices.split(phases[0], devices.mesh_of(count), axis=0)) for count in COUNTS},
    }


def moments(count, network, v):
    """All moments of ⟨v h⟩, group by group, as one list."""
    return np.concatenate([np.ravel(x) for x in measure(v, network, devices=count).groups]).tolist()


def moments_of_network():
    """All that is printed of ⟨v h⟩: of units near their bounds too, whose moments are summed from elsewhere."""
    v, rng = spins(SAMPLES, SIDE), np.random.default_rng(1)
    w, a, b = rng.normal(0, 0.3, (SIDE**2, HIDDEN)), np.zeros(SIDE**2), np.array([0, 0.5, -0.5, 4, -9])
    network = RBM(w, a, b)
    return {
        "same": {count: moments(count, network, v) for count in COUNTS},
        "other": {"weights": moments(2, RBM(1.01 * w, a, b), v), "samples": moments(2, network, v[:-1])},
    }


def main():
    """Print what the cases of the command line give."""
    others = {"moments": moments_of_network, "gradient": gradient_of_shares, "checkpoints": continued}
    found = {name: others[name]() if name in others else training_of(CASES[name]) for name in sys.argv[1:]}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
