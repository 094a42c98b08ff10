"""How an RBM is trained, as data: the settings and their named choices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import optax

from rgstep.arguments import (
    FLAG,
    LARGEST_PARAMETER,
    SCALE,
    InputError,
    broken,
    checked,
    is_number,
    number_in,
    one_of,
    unknown_name,
    whole,
)

OPTIMISERS = ("sgd", "momentum", "adam")
T = TypeVar("T", bound=Any)  # a dataclass of settings


CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "method": ("cd", "pcd"),
        "chains_start": ("ordered", "fair"),
        "tempering": ("none", "temperature", "trajectory"),
        "schedule": ("constant", "cosine"),
        "units": ("spin", "binary"),
        "gradient_h": ("mean", "sampled"),
    }
)
STEPS = whole(1, 2**31 - 1, floats=True)  # counted in 32 bits in the compiled loops
RATE = "must be a finite number above 0, or an optax schedule, a function of the number of the update"


def read_optimiser(name: str, value: object) -> object:
    """Check a name of `OPTIMISERS`, or any optax gradient transformation."""
    if isinstance(value, optax.GradientTransformation):
        return value
    if not isinstance(value, str):
        names = ", ".join(sorted(OPTIMISERS))
        raise broken(name, value, f"must be one of the names {names}, or an optax gradient transformation")
    if value not in OPTIMISERS:
        raise unknown_name(name, value, OPTIMISERS)
    return str(value)


def read_rate(name: str, value: object) -> object:
    """Check a learning rate, or a schedule, by what it gives for the first update."""
    if not callable(value):
        rate = number_in(value)
        if not is_number(rate) or not 0 < rate <= LARGEST_PARAMETER:
            raise broken(name, value, RATE)
        return float(rate)
    try:
        first = None if isinstance(value, type) else number_in(value(np.int32(0)))
    except Exception:
        first = None
    if not is_number(first) or not np.isfinite(float(first)):
        raise broken(name, value, RATE)
    return value


@checked(
    **dict.fromkeys(("k", "chains", "levels", "batch", "steps"), STEPS),
    **{name: one_of(names) for name, names in CHOICES.items()},
    **dict.fromkeys(("momentum", "epsilon", "weights_sd", "l1", "l2"), SCALE),
    **dict.fromkeys(("biases", "centred"), FLAG),
    optimiser=read_optimiser,
    learning_rate=read_rate,
)
@dataclass(frozen=True)
class Training:
    """Everything that decides a training run but the data, the hidden units and the seed.

    Attributes:
        method: "cd" starts each negative phase at the batch, "pcd" keeps `chains` Markov chains (Tieleman 2008).
        k: Gibbs steps v → h → v in the negative phase.
        chains: persistent chains; without effect for "cd".
        chains_start: "ordered", half all up and half all down, or "fair", independent fair spins.
        tempering: "none"; "temperature", chains at `levels` inverse temperatures 0 … 1 that exchange configurations
            (parallel tempering); "trajectory", the lower levels earlier networks of the run (arXiv:2405.15376).
        levels: networks in the ladder of tempering, the trained one among them; 1 without tempering.
        batch: configurations in the positive phase.
        steps: parameter updates.
        optimiser: "sgd", "momentum", "adam", or any optax gradient transformation.
        learning_rate: the step of the optimiser, nothing is normalised; a number, or an optax schedule of the update.
        schedule: "constant", or "cosine" for a decay to 0 over the run.
        momentum: of the optimiser "momentum".
        epsilon: Adam's denominator offset.
        weights_sd: W starts as N(0, weights_sd²), in the units of the training.
        units: "spin", ±1, or "binary": descent in the parameters of the same network on units 0 and 1.
        biases: whether they are trained; they start at 0, in the units of the training.
        gradient_h: the h in the statistics of both phases: "mean" (tanh) or "sampled" (±1).
        centred: descend along the centred gradient (Melchior, Fischer and Wiskott 2016).
        l1, l2: penalties l1 Σ|W| and ½ l2 ΣW² on the weights.
    """

    method: Literal["cd", "pcd"] = "pcd"
    k: int = 1
    chains: int = 100
    chains_start: Literal["ordered", "fair"] = "ordered"
    tempering: Literal["none", "temperature", "trajectory"] = "none"
    levels: int = 1
    batch: int = 100
    steps: int = 10_000
    optimiser: str | optax.GradientTransformation = "adam"
    learning_rate: float | optax.Schedule = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    momentum: float = 0.9
    epsilon: float = 1e-8
    weights_sd: float = 0.01
    units: Literal["spin", "binary"] = "spin"
    biases: bool = True
    gradient_h: Literal["mean", "sampled"] = "mean"
    centred: bool = False
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        """Check what settings have to do with each other."""
        if self.centred and not self.biases:  # with fixed biases it vanishes elsewhere than the likelihood's gradient
            message = "centred = True with biases = False: centring moves the biases, train them or leave it out"
            raise InputError(message)
        self._check_tempering()

    def _check_tempering(self) -> None:
        """Raise `InputError` unless levels, tempering and method belong together."""
        if (self.levels > 1) != (self.tempering != "none"):
            remedy = "give levels = 2 or more" if self.levels == 1 else "name 'temperature' or 'trajectory'"
            message = f"tempering = {self.tempering!r} with levels = {self.levels}: {remedy}"
            raise InputError(message)
        if self.tempering != "none" and self.method != "pcd":
            message = f"tempering = {self.tempering!r} with method = {self.method!r}: it needs the chains of 'pcd'"
            raise InputError(message)

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation that turns gradients into updates."""
        if not isinstance(self.optimiser, str):
            return self.optimiser
        rate = self.learning_rate
        if self.schedule == "cosine" and not callable(rate):
            rate = optax.cosine_decay_schedule(rate, self.steps)
        if self.optimiser == "adam":
            return optax.adam(rate, eps=self.epsilon)
        return optax.sgd(rate, momentum=self.momentum if self.optimiser == "momentum" else None)

    def plain(self) -> dict[str, Any]:
        """Return the settings as plain values for a record; functions by name, which is all that can be kept."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: value if isinstance(value, str | int | float) else re.sub(" at 0x[0-9a-f]+", "", repr(value))
            for name, value in values.items()
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
            chains_start="fair",
            gradient_h="sampled",
        ),
        # Veiga and Vicente (arXiv:2006.10176): 0/1 units without bias, N_h = N_v, 8000 epochs of 25 temperatures there.
        "veiga2020": Training(
            method="cd",
            k=1,
            batch=100,
            steps=10_000,
            optimiser="sgd",
            learning_rate=0.01,
            weights_sd=0.1,
            units="binary",
            biases=False,
            gradient_h="mean",
        ),
        # Mehta and Schwab (arXiv:1410.3831): CD, momentum, L1, 200 epochs of 20,000 configurations in batches of 100.
        "mehta2014": Training(
            method="cd",
            k=1,
            batch=100,
            steps=40_000,
            optimiser="momentum",
            momentum=0.5,
            learning_rate=0.1,
            weights_sd=0.01,
            units="binary",
            gradient_h="mean",
            l1=2e-4,
        ),
        # The search is in docs/design-notes.md: near the best KL to the Ising law, on fresh data and on a fixed set.
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


@checked(preset=one_of(PRESETS))
def settings(preset: str, overrides: Mapping[str, Any]) -> Training:
    """Return a preset with some settings replaced.

    Raises:
        InputError: for an unknown preset or setting (the nearest name is suggested) or a value out of range.
    """
    return overridden(PRESETS[preset], overrides)


def overridden(preset: T, overrides: Mapping[str, Any]) -> T:
    """Return settings of any kind of training, some replaced; None leaves one as it is.

    Raises:
        InputError: for an unknown setting (the nearest name is suggested) or a value out of range.
    """
    known = [f.name for f in fields(preset)]
    for name in overrides:
        if name not in known:
            kind = "training setting"
            raise unknown_name(kind, name, known)
    return replace(preset, **{k: v for k, v in overrides.items() if v is not None})
