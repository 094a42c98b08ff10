"""What is read while a network trains: its fit to the data, the physics of its samples, and where its weights sit.

Readings are taken on a logarithmic grid of steps, on the same configurations and sites every time, so that successive
ones compare.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, grouped_mean
from rgstep.nets.localisation import localisation_readings
from rgstep.nets.monitor import Monitor
from rgstep.nets.rbm import RBM, Weights, mean_v_from_h
from rgstep.nets.sources import as_bits
from rgstep.nets.updates import Bits, unpacked
from rgstep.types import Rng

ROWS = 1000  # configurations in a reading
SITES = 8  # sites of each of them at which the pseudo-likelihood is read
GROWTH = 1.15  # from one reading's step to the next


def next_reading(step: int, last: int) -> int:
    """Return the step of the next reading: 1, 2, 3 …, later each 15 % on, and the last."""
    return min(max(step + 1, int(step * GROWTH)), last)


class Reader:
    """Reads the training curves.

    reconstruction      mean of (v − ⟨v⟩_⟨h⟩)² per site, ⟨h⟩ = ⟨h⟩_v
    pseudo_likelihood   mean of ln p(v_i | all other v) per site, −ln 2 for independent fair spins (Besag 1975)
    weights_sd          root mean square of W
    participation_w, … of `localisation.localisation_readings`; u_model, u_data, … of `monitor.Monitor`
    """

    def __init__(self, bits: Bits, visible: int, rng: Rng) -> None:
        """Choose the configurations and, in each, the sites."""
        self.v, self.sites = chosen(bits, visible, rng)
        self.monitor = Monitor(self.v, visible)

    def read(self, weights: Weights, step: int, chains: jax.Array) -> dict[str, float]:
        """Return the readings after `step` updates; `chains` are the model's samples `(n, visible)`."""
        values = {name: float(value) for name, value in jax.device_get(readings(weights, self.v, self.sites)).items()}
        return {"step": step, **values, **self.monitor.read(weights, chains)}


def chosen(bits: Bits, visible: int, rng: Rng) -> tuple[jax.Array, jax.Array]:
    """Return some configurations `(n, visible)` and, for each, sites `(n, SITES)`."""
    rows = rng.choice(len(bits), size=min(ROWS, len(bits)), replace=False)
    return unpacked(jnp.asarray(bits[rows]), visible), jnp.asarray(rng.integers(0, visible, (len(rows), SITES)))


@jax.jit
def readings(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return the readings of `Reader` that need no samples of the model."""
    each = fit_of_each(weights, v, sites)
    return {
        **{name: values.mean() for name, values in each.items()},
        **localisation_readings(weights),
        "weights_sd": jnp.sqrt((weights.w**2).mean()),
    }


@jax.jit
def fit_of_each(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return reconstruction error and pseudo-likelihood of each configuration, `(n,)`."""
    inputs = v @ weights.w + weights.b
    rebuilt = mean_v_from_h(weights, jnp.tanh(inputs))
    return {
        "reconstruction": ((v - rebuilt) ** 2).mean(axis=1),
        "pseudo_likelihood": pseudo_likelihood(weights, v, inputs, sites),
    }


def goodness_of_fit(rbm: RBM, data: Ensemble | ArrayLike, rng: Rng) -> dict[str, Estimate]:
    """Return reconstruction error and pseudo-likelihood per site with their errors, from 1000 of the configurations."""
    each = fit_of_each(rbm.parameters, *chosen(*as_bits(data), rng))
    return {name: grouped_mean(np.asarray(values, dtype=np.float64)) for name, values in each.items()}


def pseudo_likelihood(weights: Weights, v: jax.Array, inputs: jax.Array, sites: jax.Array) -> jax.Array:
    """Return ln p(v_i | rest) of each configuration, averaged over the sites `(n, sites)` chosen in it.

    With F the free energy, p(v_i | rest) = 1 / (1 + exp(F(v) − F(v with i flipped))).
    """

    def log_2cosh(x: jax.Array) -> jax.Array:
        return jnp.logaddexp(x, -x)

    def at(column: jax.Array) -> jax.Array:
        spin = jnp.take_along_axis(v, column[:, None], axis=1)[:, 0]
        flipped = inputs - 2 * spin[:, None] * weights.w[column]
        gain = 2 * spin * weights.a[column] + (log_2cosh(inputs) - log_2cosh(flipped)).sum(axis=1)
        return -jnp.logaddexp(0.0, -gain)

    columns: jax.Array = jax.lax.map(at, sites.T)
    return columns.mean(axis=0)
