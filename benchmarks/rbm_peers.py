"""Other ways to train an RBM, each by the fastest way its public interface offers, on one core.

    pip install --no-deps rbms learnergy tqdm     # into an environment that has torch; rbms 0.6 needs Python 3.12

A way is made from configurations, the update rule and the sizes; it trains an epoch at each call, plain SGD, and shows
its parameters in ±1 units, so that all can be held to one likelihood. Units of the libraries are 0/1:
v₀₁ = (1 + v)/2 gives W = W₀₁/4, a = a₀₁/2 + W₀₁1/4, b = b₀₁/2 + W₀₁ᵀ1/4.
"""

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Iterator
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
    """A library, the rules it knows (None: all), how it trains by one of them, and the version from which it does."""

    package: str
    make: Callable[[np.ndarray, Rule], Way]
    rules: tuple[Rule, ...] | None = None
    least: tuple[int, ...] = ()

    @property
    def version(self) -> str | None:
        """The version installed, or None."""
        return version_of(self.package)

    def knows(self, rule: Rule) -> bool:
        """Whether the library is installed and trains by this rule."""
        return newer(self.package, self.least) and (self.rules is None or rule in self.rules)


def version_of(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    return next((found.version for found in importlib.metadata.distributions(name=package)), None)


def newer(package: str, least: tuple[int, ...]) -> bool:
    """Return whether a package is installed in a version or a later one."""
    version = version_of(package)
    return version is not None and tuple(map(int, version.split(".")[:2])) >= least


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


def rbms_dataset(v: np.ndarray, kind: str = "bernoulli") -> Any:
    """Return configurations as rbms takes them, all of one weight: "bernoulli", 0/1, or "ising", ±1, from 0.6 on."""
    from rbms.dataset.dataset_class import RBMDataset

    n = len(v)
    units = zero_one(v) if kind == "bernoulli" else v.astype(np.float32)
    told = kind if rbms_is_newer() else True  # 0.5 asks whether data are binary
    return RBMDataset(units, np.zeros(n), np.ones(n), np.arange(n).astype(str), "Ising", told, device="cpu")


def rbms_is_newer() -> bool:
    """Return whether the rbms that is installed is 0.6 or later: samplers are objects, gradients as they are."""
    return newer("rbms", (0, 6))


def rbms_start(v: np.ndarray, kind: str = "bernoulli") -> tuple[Any, Any, Any]:
    """Return data, a network and torch's SGD."""
    import torch

    if kind == "bernoulli":
        from rbms.bernoulli_bernoulli.classes import BBRBM as Model
    else:
        from rbms.ising_ising.classes import IIRBM as Model

    torch.manual_seed(0)
    data = rbms_dataset(v, kind)
    params = Model.init_parameters(HIDDEN, data, torch.device("cpu"), torch.float32)
    params.init_grad()
    return data, params, torch.optim.SGD(params.parameters(), lr=RATE, maximize=True)


def rbms_sampler(params: Any, rule: Rule, kind: str = "bernoulli") -> Any:
    """Return a sampler of rbms 0.6; chains start at random, which those of ±1 units do not by themselves (all down)."""
    import torch
    from rbms.sampler.cd import CD
    from rbms.sampler.pcd import PCD

    if not rule.persistent:
        return CD(params, rule.k)
    coins = torch.randint(0, 2, (BATCH, params.num_visibles)).float()
    return PCD(params, params.init_chains(BATCH, start_v=coins if kind == "bernoulli" else 2 * coins - 1), rule.k)


def rbms_machine(params: Any, kind: str = "bernoulli") -> RBM:
    """Return its parameters in ±1 units."""
    found = (params.weight_matrix, params.vbias, params.hbias)
    return from_zero_one(*found) if kind == "bernoulli" else RBM(*(np.asarray(x) for x in found))


def rbms_update(v: np.ndarray, rule: Rule) -> Way:
    """The update of its own loop. 0.5: `fit_batch_pcd`, which normalises the gradient, always; 0.6 does not."""
    return rbms_newer_update(v, rule) if rbms_is_newer() else rbms_older_update(v, rule)


def rbms_older_update(v: np.ndarray, rule: Rule) -> Way:
    """Of rbms 0.5."""
    import torch
    from rbms.training.pcd import fit_batch_pcd

    data, params, optimiser = rbms_start(v)
    box = [params.init_chains(BATCH)]

    @torch.no_grad()
    def epoch() -> None:
        for rows in torch.randperm(len(data)).reshape(-1, BATCH):
            batch = (data.data[rows], data.weights[rows])
            if not rule.persistent:
                box[0] = params.init_chains(BATCH, weights=batch[1], start_v=batch[0])
            box[0], _ = fit_batch_pcd(batch, box[0], params, gibbs_steps=rule.k, beta=1.0, centered=False)
            optimiser.step()

    return Way(epoch, lambda: rbms_machine(params))


def rbms_newer_update(v: np.ndarray, rule: Rule, kind: str = "bernoulli") -> Way:
    """Of rbms 0.6, on 0/1 or ±1 units."""
    import torch

    data, params, optimiser = rbms_start(v, kind)
    sampler = rbms_sampler(params, rule, kind)

    @torch.no_grad()
    def epoch() -> None:
        for rows in torch.randperm(len(data)).reshape(-1, BATCH):
            batch = data.data[rows]
            chains = sampler.get_conf_grad(batch=batch)
            states = params.init_chains(BATCH, weights=data.weights[rows], start_v=batch)
            params.compute_gradient(data=states, chains=chains, centered=False)
            optimiser.step()
            sampler.post_grad_update(params=params)

    return Way(epoch, lambda: rbms_machine(params, kind))


def rbms_spins(v: np.ndarray, rule: Rule) -> Way:
    """The update of rbms 0.6 on ±1 units: the model and the plain descent of ours."""
    return rbms_newer_update(v, rule, "ising")


def rbms_train(v: np.ndarray, rule: Rule) -> Way:
    """Its `train`, which keeps an archive in HDF5; one epoch from the start at each call."""
    return rbms_newer_train(v, rule) if rbms_is_newer() else rbms_older_train(v, rule)


def rbms_older_train(v: np.ndarray, rule: Rule) -> Way:
    """Of rbms 0.5."""
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
        with in_silence():
            train(data, data, "BBRBM", dict(plan), torch.float32, checkpoints=np.array([updates]))

    def machine() -> RBM:
        assert folder.name  # the folder lives as long as the way
        return rbms_machine(load_params(plan["filename"], updates, torch.device("cpu"), torch.float32))

    return Way(epoch, machine)


def rbms_newer_train(v: np.ndarray, rule: Rule) -> Way:
    """Of rbms 0.6, whose `train` is given a network, a sampler and optimisers."""
    import torch
    from rbms.training.pcd import train

    updates, box = len(v) // BATCH, [rbms_start(v)]

    @torch.no_grad()
    def epoch() -> None:
        data, params, optimiser = box[0] = rbms_start(v)
        with tempfile.TemporaryDirectory() as folder, in_silence():
            train(
                *(data, data, params, rbms_sampler(params, rule), [optimiser], BATCH),
                **{"centered": False, "curr_update": 0, "pre_grad_update": torch.nn.Sequential(), "elapsed_time": 0.0},
                **{"checkpoints": np.array([updates]), "num_updates": updates, "filename": f"{folder}/rbm.h5"},
            )

    return Way(epoch, lambda: rbms_machine(box[0][1]))


@contextlib.contextmanager
def in_silence() -> Iterator[None]:
    """Send progress bars, and what they write, nowhere."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
    ):
        yield


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
    "rbms, its update, ±1 units": Peer("rbms", rbms_spins, least=(0, 6)),
    "rbms, its train": Peer("rbms", rbms_train),
    "learnergy, its update": Peer("learnergy", learnergy_update, CD),
    "learnergy, its fit": Peer("learnergy", learnergy_fit, CD),
}
