"""The training curves: what is read while a network trains, and how well it fits the data at the end.

Readings are taken on a logarithmic grid of steps, on the same configurations and sites every time, so that successive
ones compare. The *fit* to the data:

    reconstruction      mean of (v − ⟨v⟩_⟨h⟩)² per site, ⟨h⟩ = ⟨h⟩_v
    pseudo_likelihood   mean of ln p(v_i | all other v) per site, −ln 2 for independent fair spins (Besag 1975)

The *physics* of samples of the model, beside that of the data, over configurations v on the L×L torus, N = L² sites,
with m = (1/N) Σ_x v_x:

    u, |m|      −(1/N) Σ_<xy> ⟨v_x v_y⟩ in units of J, and ⟨|m|⟩
    G(r)        (1/N) Σ_x ⟨v_x v_{x+r}⟩ along the axes, mean of both; r = 1, 2, 4, … and L/2
    χ           N ⟨m²⟩, nothing subtracted: the susceptibility in the symmetric phase, times k_BT
    F           (1/N) ⟨|Σ_x v_x e^{ikx}|²⟩ at the smallest momentum |k| = 2π/L, mean of both axes
    ξ           √(χ/F − 1) / (2 sin(π/L)), the second-moment correlation length in lattice spacings
                (Cooper, Freedman and Preston, Nucl. Phys. B 210, 210 (1982)); 0 where χ ≤ F

The *modes* that a network has learnt are the singular values of W that have left the bulk; each leaves it in a
continuous transition (Bachtis, Biroli, Decelle and Seoane, arXiv:2405.14689). They come from the eigenvalues of the
smaller of WᵀW and WWᵀ, at half the cost of a decomposition of W; the smallest are lost to rounding, below some
10⁻³ of the largest. Where the weights sit is read by `localisation.localisation_curves`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, grouped_mean
from rgstep.nets.batches import Bits, as_bits, spins_of_bits
from rgstep.nets.localisation import localisation_curves, square_side
from rgstep.nets.rbm import RBM, Weights, inputs_h_from_v, inputs_v_from_h
from rgstep.types import Rng

CONFIGURATIONS_READ = 1000  # of the data, in a reading
SITES_READ = 8  # of each of them, for the pseudo-likelihood
READING_SPACING = 1.15  # ratio of the steps of neighbouring readings
SMALLEST_STRUCTURE = 1e-12  # F/χ below this is rounding of aligned spins


def next_reading(step: int, last: int) -> int:
    """Return the step of the next reading: 1, 2, 3 …, later each 15 % on, and the last."""
    return min(max(step + 1, int(step * READING_SPACING)), last)


class CurveReader:
    """Reads the training curves, always on the same data; the observables of these are computed once."""

    def __init__(self, bits: Bits, visible: int, rng: Rng) -> None:
        """Choose the configurations and, in each, the sites."""
        self.v, self.sites = chosen_data(bits, visible, rng)
        self.data = as_floats(observables(self.v), "_data")

    def read(self, weights: Weights, step: int, samples: jax.Array) -> dict[str, float]:
        """Return all readings by name after `step` updates.

        step, reconstruction, pseudo_likelihood; weights_sd, the root mean square of W; participation_w, … of
        `localisation_curves`; u, abs_m, chi, xi, G1, G2, G4, …, each as `…_model` and `…_data`, or |m| alone unless
        the visible units are a square above 1; sv_1, sv_2 (the two largest singular values of W; sv_2 if there are
        two) and sv_median.

        Args:
            weights: the parameters.
            step: the number of updates.
            samples: of the model, ±1 `(n, visible)`: the persistent chains, or chains that left the data k Gibbs
                steps ago.
        """
        fit = as_floats(readings_of_data(weights, self.v, self.sites))
        model, modes = readings_of_model(weights, jnp.asarray(samples, jnp.float32))  # of one type: one compilation
        return {"step": step, **fit, **as_floats(model, "_model"), **self.data, **as_floats(modes)}


def as_floats(values: dict[str, jax.Array], suffix: str = "") -> dict[str, float]:
    """Return readings as floats, fetched together."""
    return {name + suffix: float(value) for name, value in jax.device_get(values).items()}


def chosen_data(bits: Bits, visible: int, rng: Rng) -> tuple[jax.Array, jax.Array]:
    """Return some configurations `(n, visible)` and, for each, sites `(n, SITES_READ)`."""
    rows = rng.choice(len(bits), size=min(CONFIGURATIONS_READ, len(bits)), replace=False)
    sites = rng.integers(0, visible, (len(rows), SITES_READ))
    return spins_of_bits(jnp.asarray(bits[rows]), visible), jnp.asarray(sites)


def goodness_of_fit(rbm: RBM, data: Ensemble | ArrayLike, rng: Rng) -> dict[str, Estimate]:
    """Return reconstruction error and pseudo-likelihood per site with their errors, from 1000 of the configurations."""
    each = fit_of_each(rbm.parameters, *chosen_data(*as_bits(data), rng))
    return {name: grouped_mean(np.asarray(values, dtype=np.float64)) for name, values in each.items()}


@jax.jit
def readings_of_data(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return the readings that need no samples of the model."""
    each = fit_of_each(weights, v, sites)
    return {
        **{name: values.mean() for name, values in each.items()},
        **localisation_curves(weights),
        "weights_sd": jnp.sqrt((weights.w**2).mean()),
    }


@jax.jit
def readings_of_model(weights: Weights, samples: jax.Array) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Return the observables of samples of the model and the singular values of W."""
    return observables(samples), singular_values(weights.w)


# --- the fit to the data


@jax.jit
def fit_of_each(weights: Weights, v: jax.Array, sites: jax.Array) -> dict[str, jax.Array]:
    """Return reconstruction error and pseudo-likelihood of each configuration, `(n,)`."""
    inputs = inputs_h_from_v(weights, v)
    rebuilt = jnp.tanh(inputs_v_from_h(weights, jnp.tanh(inputs)))
    return {
        "reconstruction": ((v - rebuilt) ** 2).mean(axis=1),
        "pseudo_likelihood": pseudo_likelihood(weights, v, inputs, sites),
    }


def pseudo_likelihood(weights: Weights, v: jax.Array, inputs: jax.Array, sites: jax.Array) -> jax.Array:
    """Return ln p(v_i | rest) of each configuration, averaged over the sites `(n, sites)` chosen in it.

    With F the free energy, p(v_i | rest) = 1 / (1 + exp(F(v) − F(v with i flipped))).
    """

    def log_2cosh(x: jax.Array) -> jax.Array:  # not that of `rbm`, which rounds otherwise: curves keep their bits
        return jnp.logaddexp(x, -x)

    def at(column: jax.Array) -> jax.Array:
        spin = jnp.take_along_axis(v, column[:, None], axis=1)[:, 0]
        flipped = inputs - 2 * spin[:, None] * weights.w[column]
        gain = 2 * spin * weights.a[column] + (log_2cosh(inputs) - log_2cosh(flipped)).sum(axis=1)
        return -jnp.logaddexp(0.0, -gain)

    columns: jax.Array = jax.lax.map(at, sites.T)
    return columns.mean(axis=0)


# --- the physics of samples


@jax.jit
def observables(v: jax.Array) -> dict[str, jax.Array]:
    """Return the observables of configurations `(n, visible)`, float32: those above, or |m| alone off the lattice."""
    magnetisation = v.mean(axis=1)
    values = {"abs_m": jnp.abs(magnetisation).mean()}
    if size := square_side(v.shape[1]):
        chi = v.shape[1] * (magnetisation**2).mean()
        correlation, structure_factor = correlation_along_axes(v.reshape(-1, size, size))
        values |= {
            "u": -2 * correlation[1],
            "chi": chi,
            "xi": correlation_length(chi, structure_factor, size),
            **{f"G{r}": correlation[r] for r in axis_distances(size)},
        }
    return values


def axis_distances(size: int) -> list[int]:
    """Return the distances at which G is read: powers of two up to L/2, and L/2 itself."""
    half = size // 2
    return sorted({1 << i for i in range(half.bit_length())} | {half})


def correlation_along_axes(v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return G(r), r = 0 … L−1, and F, both along the axes, mean of both axes: `(n, L, L)` → `(L,)` and a scalar."""
    size = v.shape[1]
    waves = jnp.fft.rfft(jnp.concatenate([v, v.swapaxes(1, 2)]))  # of every row, then of every column
    correlation = jnp.fft.irfft((jnp.abs(waves) ** 2).mean(axis=(0, 1)), n=size) / size
    structure_factor = (jnp.abs(waves[:, :, 1].sum(axis=1)) ** 2).mean() / size**2
    return correlation, structure_factor


def correlation_length(chi: jax.Array, structure_factor: jax.Array, size: int) -> jax.Array:
    """Return ξ from χ and F; 0 where χ ≤ F, as noise makes it where there is no order, infinite where F = 0."""
    ratio = jnp.where(structure_factor > SMALLEST_STRUCTURE * chi, chi / structure_factor, jnp.inf)
    excess = jnp.where(chi > structure_factor, ratio - 1, 0)
    return jnp.asarray(jnp.sqrt(excess) / (2 * math.sin(math.pi / size)))


# --- the modes


def singular_values(w: jax.Array) -> dict[str, jax.Array]:
    """Return the two largest singular values of W and the median of all min(visible, hidden)."""
    w = w.T if w.shape[0] < w.shape[1] else w
    gram = jnp.matmul(w.T, w, precision="highest")  # not TF32, which an NVIDIA GPU would take
    values = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram), 0))[::-1]
    largest = {f"sv_{i + 1}": values[i] for i in range(min(2, len(values)))}
    return {**largest, "sv_median": jnp.median(values)}
