"""How an RBM is trained, as data: the settings and their named choices."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import optax

from rgstep.errors import InputError, require_positive, unknown_name

OPTIMISERS = ("sgd", "momentum", "adam")


@dataclass(frozen=True)
class Training:
    """Everything that decides a training run but the data, the hidden units and the seed.

    Attributes:
        method: "cd" starts each negative phase at the batch, "pcd" keeps `chains` Markov chains (Tieleman 2008).
        k: Gibbs steps v → h → v in the negative phase.
        chains: persistent chains, started as independent fair spins; without effect for "cd".
        batch: configurations in the positive phase.
        steps: parameter updates.
        optimiser: "sgd", "momentum" (0.9), "adam", or any optax gradient transformation.
        learning_rate: the step of the optimiser, nothing is normalised.
        schedule: "constant", or "cosine" for a decay to 0 over the run.
        epsilon: Adam's denominator offset.
        weights_sd: W starts as N(0, weights_sd²); biases start at 0.
        gradient_h: the h in the statistics of both phases: "mean" (tanh) or "sampled" (±1).
        l1, l2: penalties l1 Σ|W| and ½ l2 ΣW² on the weights.
    """

    method: Literal["cd", "pcd"] = "pcd"
    k: int = 1
    chains: int = 100
    batch: int = 100
    steps: int = 10_000
    optimiser: str | optax.GradientTransformation = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    epsilon: float = 1e-8
    weights_sd: float = 0.01
    gradient_h: Literal["mean", "sampled"] = "mean"
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        """Check every setting."""
        for name in ("k", "chains", "batch", "steps"):
            require_positive(name, getattr(self, name))
        for name, known in (
            ("method", ("cd", "pcd")),
            ("gradient_h", ("mean", "sampled")),
            ("schedule", ("constant", "cosine")),
        ):
            if getattr(self, name) not in known:
                raise unknown_name(name, str(getattr(self, name)), known)
        if isinstance(self.optimiser, str) and self.optimiser not in OPTIMISERS:
            kind = "optimiser"
            raise unknown_name(kind, self.optimiser, OPTIMISERS)
        for name, low in (("learning_rate", 0), ("epsilon", 0), ("weights_sd", 0), ("l1", 0), ("l2", 0)):
            value = getattr(self, name)
            if not np.isfinite(value) or value < low or (name == "learning_rate" and value == 0):
                message = f"{name} = {value}: must be a finite number {'above' if name == 'learning_rate' else '≥'} 0"
                raise InputError(message)

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation that turns gradients into updates."""
        if not isinstance(self.optimiser, str):
            return self.optimiser
        rate: float | optax.Schedule = self.learning_rate
        if self.schedule == "cosine":
            rate = optax.cosine_decay_schedule(self.learning_rate, self.steps)
        if self.optimiser == "adam":
            return optax.adam(rate, eps=self.epsilon)
        return optax.sgd(rate, momentum=0.9 if self.optimiser == "momentum" else None)

    def plain(self) -> dict[str, Any]:
        """Return the settings as plain values for a record."""
        return {
            f.name: value if isinstance(value := getattr(self, f.name), str | int | float) else repr(value)
            for f in fields(self)
        }


PRESETS: Mapping[str, Training] = MappingProxyType(
    {
        # E. and R. de Mello Koch and Cheng (arXiv:1906.05212), the settings of their training scripts.
        "koch2020": Training(
            method="pcd",
            k=1,
            chains=1,
            batch=100,
            steps=10_000,
            optimiser="adam",
            learning_rate=1e-3,
            epsilon=1e-2,
            weights_sd=0.05,
            gradient_h="sampled",
        ),
        # The best held-out pseudo-likelihood a minute of training reached at L = 32, T_c (docs/design-notes.md).
        "default": Training(
            method="pcd",
            k=1,
            chains=100,
            batch=100,
            steps=15_000,
            optimiser="sgd",
            learning_rate=0.02,
            schedule="cosine",
            weights_sd=0.01,
            gradient_h="mean",
        ),
    }
)


def settings(preset: str, overrides: Mapping[str, Any]) -> Training:
    """Return a preset with some settings replaced.

    Raises:
        InputError: for an unknown preset or setting (the nearest name is suggested) or a value out of range.
    """
    if preset not in PRESETS:
        kind = "preset"
        raise unknown_name(kind, preset, PRESETS)
    known = [f.name for f in fields(Training)]
    for name in overrides:
        if name not in known:
            kind = "training setting"
            raise unknown_name(kind, name, known)
    return replace(PRESETS[preset], **{k: v for k, v in overrides.items() if v is not None})
