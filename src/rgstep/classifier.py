"""Which temperature does a network that was trained to tell temperatures give? The classifier of arXiv:1906.05212.

    p(T | v) = softmax(B tanh(A v + a) + b),        T = 0, 0.1, … 5.9,

one hidden layer, trained by cross-entropy on equilibrium configurations of all 60 temperatures, of one lattice side. Of
a set of configurations the mean p̄ of p(T | v) is taken; what is read is its mean, Σ_T T p̄(T), or its largest class.

It is there to compare with published numbers, and decides nothing: p is always normalised, so that whatever it is
shown has a temperature. Below T = 1.5 and far above T_c sets look alike to it, and where p(T | v) of one configuration
is broad its mean is no mean of temperatures (docs/flows.md has the numbers). `temperatures` has thermometers with
errors, and a test of whether there is a temperature at all.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rgstep.ensemble import Source, pieces
from rgstep.estimates import Estimate, grouped_mean
from rgstep.nets.batches import spins_of_bits
from rgstep.samplers.sample import sample
from rgstep.streams import stream
from rgstep.types import Progress, Samples

CLASSES = np.arange(60) / 10  # T = 0, 0.1, … 5.9, as published
CONFIGURATIONS = 1000  # at each of them
HIDDEN = 100
BATCH, STEPS, RATE = 200, 6_000, 2e-3  # 20 epochs of Adam, its rate falling to 0 along a cosine


class Layers(NamedTuple):
    """The parameters of the network."""

    A: jax.Array  # (site, HIDDEN)
    a: jax.Array
    B: jax.Array  # (HIDDEN, class)
    b: jax.Array


@dataclass(frozen=True)
class Classified:
    """What the classifier says of a set of configurations.

    Attributes:
        mean: Σ_T T p̄(T) in units of J/k_B, with the jackknife error of the configurations alone.
        likely: the class of largest p̄.
        share: p̄ of that class.
    """

    mean: Estimate
    likely: float
    share: float

    def __str__(self) -> str:
        """Return both temperatures in a line."""
        return f"T = {self.mean} (mean), {self.likely:.1f} (most likely, p = {self.share:.2f}); it decides nothing"

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return it as plain values."""
        mean = {"value": float(self.mean.value), "error": float(self.mean.error)}
        return {"mean": mean, "likely": self.likely, "share": self.share}


def logits(layers: Layers, v: jax.Array) -> jax.Array:
    """Return ln p(T | v) up to a constant, `(sample, class)`, for v `(sample, site)`."""
    hidden: jax.Array = jnp.tanh(v @ layers.A + layers.a)
    return hidden @ layers.B + layers.b


@jax.jit
def probabilities(layers: Layers, v: jax.Array) -> jax.Array:
    """Return p(T | v), `(sample, class)`."""
    p: jax.Array = jax.nn.softmax(logits(layers, v))
    return p


@partial(jax.jit, static_argnames="sites")
def fitted(layers: Layers, data: jax.Array, labels: jax.Array, rows: jax.Array, *, sites: int) -> Layers:
    """Return the network after an update with each row of `rows`, int32 `(update, batch)`, of bits `data`."""
    adam = optax.adam(optax.cosine_decay_schedule(RATE, len(rows)))

    def loss(now: Layers, batch: jax.Array) -> jax.Array:
        found = logits(now, spins_of_bits(data[batch], sites))
        mean: jax.Array = optax.softmax_cross_entropy_with_integer_labels(found, labels[batch]).mean()
        return mean

    def update(carry: tuple[Layers, optax.OptState], batch: jax.Array) -> tuple[tuple[Layers, optax.OptState], None]:
        now, state = carry
        change, state = adam.update(jax.grad(loss)(now, batch), state, now)
        return (optax.apply_updates(now, change), state), None

    (trained, _), _ = jax.lax.scan(update, (layers, adam.init(layers)), rows)
    return trained


def first_layers(sites: int, rng: np.random.Generator) -> Layers:
    """Return a network before any update."""
    drawn = (
        rng.standard_normal((sites, HIDDEN)) / np.sqrt(sites),
        rng.uniform(-1, 1, HIDDEN),
        rng.standard_normal((HIDDEN, len(CLASSES))) / np.sqrt(HIDDEN),
        np.zeros(len(CLASSES)),
    )
    return Layers(*(jnp.asarray(x, jnp.float32) for x in drawn))


CLASSIFIERS: dict[tuple[int, int], Layers] = {}  # by side and seed: trained once in a process


def classifier(side: int, seed: int = 0, progress: Progress | None = None) -> Layers:
    """Return the network of a side, trained when first asked for.

    Raises:
        InputError: for a side that the sampler does not take.
    """
    if (side, seed) not in CLASSIFIERS:
        CLASSIFIERS[side, seed] = trained(side, seed, progress)
    return CLASSIFIERS[side, seed]


def trained(side: int, seed: int, progress: Progress | None) -> Layers:
    """Train the network of a side."""
    own = int(stream(seed, "configurations of a classifier", side).integers(2**31))
    ensembles = sample(side, list(CLASSES), CONFIGURATIONS, own, progress=progress)
    bits = np.concatenate([ensemble.packed.bits for ensemble in ensembles])
    labels = np.repeat(np.arange(len(CLASSES)), CONFIGURATIONS)
    rng = stream(seed, "training of a classifier", side)
    an_epoch = len(bits) // BATCH
    epochs = [rng.permutation(len(bits))[: an_epoch * BATCH] for _ in range(-(-STEPS // an_epoch))]
    rows = np.concatenate(epochs).reshape(-1, BATCH)[:STEPS]
    start, data = first_layers(side**2, rng), (jnp.asarray(bits), jnp.asarray(labels), jnp.asarray(rows, jnp.int32))
    layers: Layers = fitted(start, *data, sites=side**2)
    return layers


def classified(source: Source, seed: int = 0, progress: Progress | None = None) -> Classified:
    """Return what the classifier of their side says of ±1 configurations.

    Raises:
        InputError: for a side that the sampler does not take.
    """
    layers = classifier(next(pieces(source, 0, 1))[1].shape[1], seed, progress)
    found = np.concatenate([answers(layers, v) for _, v in pieces(source)])
    p = found.mean(axis=0)
    return Classified(grouped_mean(found @ CLASSES), float(CLASSES[p.argmax()]), float(p.max()))


def answers(layers: Layers, v: Samples) -> np.ndarray:
    """Return p(T | v) of configurations, `(sample, class)`."""
    return np.asarray(probabilities(layers, jnp.asarray(v.reshape(len(v), -1), jnp.float32)), np.float64)
