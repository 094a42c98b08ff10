"""Other ways to train an RBM, each by the fastest way its public interface offers, on one core.

    pip install --no-deps rbms learnergy tqdm     # into an environment that has torch

A way is made from configurations, the update rule and the sizes; it trains an epoch at each call, plain SGD, and shows
its parameters in ±1 units, so that all can be held to one likelihood. Units of the libraries are 0/1:
v₀₁ = (1 + v)/2 gives W = W₀₁/4, a = a₀₁/2 + W₀₁1/4, b = b₀₁/2 + W₀₁ᵀ1/4.
"""

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rgstep import RBM

HIDDEN, BATCH = 256, 100
RATE, WEIGHTS_SD = 0.01, 0.01


class Rule(NamedTuple):
    """CD-k starts its chains at the batch, PCD-k goes on with BATCH chains of its own."""

    persistent: bool
    k: int

    def __str__(self) -> str:
        """Return the usual name."""
        return f"{'PCD' if self.persistent else 'CD'}-{self.k}"


class Way(NamedTuple):
    """A network in training: one call of `epoch` per epoch; `machine` shows it as it is."""

    epoch: Callable[[], object]
    machine: Callable[[], RBM]


@dataclass(frozen=True)
class Peer:
    """A library, the rules it knows (None: all) and how it trains by one of them."""

    package: str
    make: Callable[[np.ndarray, Rule], Way]
    rules: tuple[Rule, ...] | None = None

    @property
    def version(self) -> str | None:
        """The version installed, or None."""
        return version_of(self.package)

    def knows(self, rule: Rule) -> bool:
        """Whether the library is installed and trains by this rule."""
        return self.version is not None and (self.rules is None or rule in self.rules)


def version_of(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    return next((found.version for found in importlib.metadata.distributions(name=package)), None)


def from_zero_one(weights: Any, visible_bias: Any, hidden_bias: Any) -> RBM:
    """Return the ±1 machine that is the same law as a 0/1 one."""
    w, a, b = (np.asarray(x, dtype=np.float64) for x in (weights, visible_bias, hidden_bias))
    return RBM(w / 4, a / 2 + w.sum(axis=1) / 4, b / 2 + w.sum(axis=0) / 4)


def zero_one(v: np.ndarray) -> np.ndarray:
    """Return ±1 configurations as float32 0/1."""
    return ((v + 1) / 2).astype(np.float32)


def plain_numpy(v: np.ndarray, rule: Rule) -> Way:
    """±1 units, tanh means, buffers reused, SFC64: what a careful person writes with NumPy alone."""
    data, rng = v.astype(np.float32), np.random.Generator(np.random.SFC64(0))
    n, visible = data.shape
    w = rng.normal(0, WEIGHTS_SD, (visible, HIDDEN)).astype(np.float32)
    a, b, step = np.zeros(visible, np.float32), np.zeros(HIDDEN, np.float32), np.empty_like(w)
    mean_v, mean_h, kept_h, u_v, u_h = (
        np.empty((BATCH, units), np.float32) for units in (visible, HIDDEN, HIDDEN, visible, HIDDEN)
    )
    chains = np.sign(rng.random((BATCH, visible), np.float32) - np.float32(0.5))

    def means(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, out: np.ndarray) -> np.ndarray:
        np.matmul(x, weights, out=out)
        out += bias
        return np.tanh(out, out=out)

    def signs(mean: np.ndarray, u: np.ndarray) -> np.ndarray:  # +1 where 2 u − 1 < mean
        rng.random(dtype=np.float32, out=u)
        u *= -2
        u += 1
        u += mean
        return np.copysign(np.float32(1), u, out=u)

    def update(batch: np.ndarray) -> None:
        means(batch, w, b, kept_h)
        np.matmul(batch.T, kept_h, out=step)
        h = means(chains, w, b, mean_h) if rule.persistent else kept_h
        for _ in range(rule.k):
            v = signs(means(signs(h, u_h), w.T, a, mean_v), u_v)
            h = means(v, w, b, mean_h)
        step.__isub__(v.T @ h)
        w.__iadd__(step.__imul__(RATE / BATCH))
        a.__iadd__(RATE * (batch.mean(axis=0) - v.mean(axis=0)))
        b.__iadd__(RATE * (kept_h.mean(axis=0) - h.mean(axis=0)))
        if rule.persistent:
            chains[...] = v

    def epoch() -> None:
        for rows in rng.permutation(n).reshape(-1, BATCH):
            update(data[rows])

    return Way(epoch, lambda: RBM(w, a, b))


def sklearn_fit(v: np.ndarray, rule: Rule) -> Way:
    """`fit` of one epoch; it starts anew at each call and keeps 100 chains."""
    from sklearn.neural_network import BernoulliRBM

    model, data = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0), zero_one(v)
    return Way(
        lambda: model.fit(data),
        lambda: from_zero_one(model.components_.T, model.intercept_visible_, model.intercept_hidden_),
    )


def rbms_dataset(v: np.ndarray) -> Any:
    """Return configurations as rbms takes them, all of one weight."""
    from rbms.dataset.dataset_class import RBMDataset

    n = len(v)
    return RBMDataset(zero_one(v), np.zeros(n), np.ones(n), np.arange(n).astype(str), "Ising", True, device="cpu")


def rbms_update(v: np.ndarray, rule: Rule) -> Way:
    """Its `fit_batch_pcd` and torch's SGD, as its own loop calls them; it normalises the gradient, always."""
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    torch.manual_seed(0)
    data = rbms_dataset(v)
    params = BBRBM.init_parameters(HIDDEN, data, torch.device("cpu"), torch.float32)
    params.init_grad()
    optimiser = torch.optim.SGD(params.parameters(), lr=RATE, maximize=True)
    box = [params.init_chains(BATCH)]

    @torch.no_grad()
    def epoch() -> None:
        for rows in torch.randperm(len(data)).reshape(-1, BATCH):
            batch = (data.data[rows], data.weights[rows])
            if not rule.persistent:
                box[0] = params.init_chains(BATCH, weights=batch[1], start_v=batch[0])
            box[0], _ = fit_batch_pcd(batch, box[0], params, gibbs_steps=rule.k, beta=1.0, centered=False)
            optimiser.step()

    return Way(epoch, lambda: from_zero_one(params.weight_matrix, params.vbias, params.hbias))


def rbms_train(v: np.ndarray, rule: Rule) -> Way:
    """Its `train`, which keeps an archive in HDF5; one epoch from the start at each call."""
    import torch
    from rbms.io import load_params
    from rbms.training.pcd import train

    data, folder = rbms_dataset(v), tempfile.TemporaryDirectory()
    updates = len(v) // BATCH + 1  # the first counted one is the start
    plan = {
        **{"filename": str(Path(folder.name) / "rbm.h5"), "overwrite": True, "restore": False, "log": False},
        **{"num_hiddens": HIDDEN, "num_chains": BATCH, "batch_size": BATCH, "num_updates": updates, "beta": 1.0},
        **{"gibbs_steps": rule.k, "learning_rate": RATE, "no_center": True, "L1": 0.0, "L2": 0.0, "seed": 0},
        **{"training_type": "pcd" if rule.persistent else "cd", "train_size": 1.0, "test_size": None},
        **{"device": torch.device("cpu"), "dtype": torch.float32},
    }

    def epoch() -> None:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):  # its progress bar
            train(data, data, "BBRBM", dict(plan), torch.float32, checkpoints=np.array([updates]))

    def machine() -> RBM:
        assert folder.name  # the folder lives as long as the way
        params = load_params(plan["filename"], updates, torch.device("cpu"), torch.float32)
        return from_zero_one(params.weight_matrix, params.vbias, params.hbias)

    return Way(epoch, machine)


def learnergy_model(visible: int, rule: Rule) -> Any:
    """Return its Bernoulli RBM with our start."""
    import torch
    from learnergy.models.bernoulli import RBM as Model

    torch.manual_seed(0)
    return Model(n_visible=visible, n_hidden=HIDDEN, steps=rule.k, learning_rate=RATE)


def learnergy_machine(model: Any) -> RBM:
    """Return its parameters in ±1 units."""
    return from_zero_one(*(x.detach().numpy() for x in (model.W, model.a, model.b)))


def learnergy_fit(v: np.ndarray, rule: Rule) -> Way:
    """Its `fit`: a DataLoader, and readings at every update."""
    import torch

    model = learnergy_model(v.shape[1], rule)
    data = torch.utils.data.TensorDataset(torch.from_numpy(zero_one(v)), torch.zeros(len(v)))
    return Way(lambda: model.fit(data, batch_size=BATCH, epochs=1), lambda: learnergy_machine(model))


def learnergy_update(v: np.ndarray, rule: Rule) -> Way:
    """The update inside its `fit` (sampling, energies, autograd, SGD) without its DataLoader and readings."""
    import torch

    model, data = learnergy_model(v.shape[1], rule), torch.from_numpy(zero_one(v))

    def epoch() -> None:
        for rows in torch.randperm(len(data)).reshape(-1, BATCH):
            batch = data[rows]
            model_v = model.gibbs_sampling(batch)[-1].detach()
            cost = model.energy(batch).mean() - model.energy(model_v).mean()
            model.optimizer.zero_grad()
            cost.backward()
            model.optimizer.step()

    return Way(epoch, lambda: learnergy_machine(model))


CD = (Rule(False, 1), Rule(False, 10))
PEERS = {
    "plain NumPy": Peer("numpy", plain_numpy),
    "scikit-learn, fit": Peer("scikit-learn", sklearn_fit, (Rule(True, 1),)),
    "rbms, its update": Peer("rbms", rbms_update),
    "rbms, its train": Peer("rbms", rbms_train),
    "learnergy, its update": Peer("learnergy", learnergy_update, CD),
    "learnergy, its fit": Peer("learnergy", learnergy_fit, CD),
}
