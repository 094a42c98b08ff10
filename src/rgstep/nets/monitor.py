"""What physics a network has learnt, read while it trains: its samples beside the data, and the singular values of W.

Over configurations v on the L×L torus, N = L² sites, with m = (1/N) Σ_x v_x:

    u, |m|      −(1/N) Σ_<xy> ⟨v_x v_y⟩ in units of J, and ⟨|m|⟩
    G(r)        (1/N) Σ_x ⟨v_x v_{x+r}⟩ along the axes, mean of both; r = 1, 2, 4, … and L/2
    χ           N ⟨m²⟩, nothing subtracted: the susceptibility in the symmetric phase, times k_BT
    F           (1/N) ⟨|Σ_x v_x e^{ikx}|²⟩ at the smallest momentum |k| = 2π/L, mean of both axes
    ξ           √(χ/F − 1) / (2 sin(π/L)), the second-moment correlation length in lattice spacings
                (Cooper, Freedman and Preston, Nucl. Phys. B 210, 210 (1982)); 0 where χ ≤ F

The modes that a network has learnt are the singular values of W that have left the bulk; each leaves it in a
continuous transition (Bachtis, Biroli, Decelle and Seoane, arXiv:2405.14689). They come from the eigenvalues of the
smaller of WᵀW and WWᵀ, at half the cost of a decomposition of W; the smallest are lost to rounding, below some
10⁻³ of the largest.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from rgstep.errors import InputError
from rgstep.nets.localisation import square_side
from rgstep.nets.rbm import Weights

ROUNDING = 1e-12  # F/χ below this is rounding of aligned spins


class Monitor:
    """Reads samples of a model beside a fixed set of data; compiled at the first reading."""

    def __init__(self, data_rows: ArrayLike, visible: int) -> None:
        """Read the data, once.

        Args:
            data_rows: configurations ±1 `(n, visible)`, or as bits `(n, byte)` of type uint8; about a thousand do.
            visible: the number of visible units; unless it is a square above 1, only |m| and singular values are read.

        Raises:
            InputError: if the rows are of another length.
        """
        rows = np.asarray(data_rows) if not isinstance(data_rows, jax.Array) else data_rows
        if rows.dtype == np.uint8:
            rows = 2.0 * np.unpackbits(np.asarray(rows), axis=1, count=visible) - 1
        if rows.ndim != 2 or rows.shape[1] != visible or not len(rows):
            message = f"data of shape {rows.shape} for {visible} visible units: expected (n, {visible}), n ≥ 1"
            raise InputError(message)
        self.visible = visible
        self.data = plain(observables(jnp.asarray(rows, jnp.float32)), "_data")

    def read(self, weights: Weights, chains: jax.Array) -> dict[str, float]:
        """Return all readings by name.

        u, abs_m, chi, xi, G1, G2, G4, …, each as `…_model` and `…_data`; sv_1, sv_2 (the two largest singular values
        of W; sv_2 if there are two) and sv_median.

        Args:
            weights: the parameters.
            chains: samples of the model, ±1 `(n, visible)`: the persistent chains, or chains that left the data k
                Gibbs steps ago.
        """
        model, values = readings(weights, jnp.asarray(chains, jnp.float32))  # of one type: one compilation
        return {**plain(model, "_model"), **self.data, **plain(values)}


def plain(values: dict[str, jax.Array], suffix: str = "") -> dict[str, float]:
    """Return readings as floats, fetched together."""
    return {name + suffix: float(value) for name, value in jax.device_get(values).items()}


@jax.jit
def readings(weights: Weights, chains: jax.Array) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Return the observables of the chains and the singular values of W."""
    return observables(chains), singular_values(weights.w)


@jax.jit
def observables(v: jax.Array) -> dict[str, jax.Array]:
    """Return the observables of configurations `(n, visible)`, float32: those above, or |m| alone off the lattice."""
    magnetisation = v.mean(axis=1)
    values = {"abs_m": jnp.abs(magnetisation).mean()}
    if size := square_side(v.shape[1]):
        chi = v.shape[1] * (magnetisation**2).mean()
        correlation, structure_factor = along_axes(v.reshape(-1, size, size))
        values |= {
            "u": -2 * correlation[1],
            "chi": chi,
            "xi": correlation_length(chi, structure_factor, size),
            **{f"G{r}": correlation[r] for r in distances(size)},
        }
    return values


def distances(size: int) -> list[int]:
    """Return the distances at which G is read: powers of two up to L/2, and L/2 itself."""
    half = size // 2
    return sorted({1 << i for i in range(half.bit_length())} | {half})


def along_axes(v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return G(r), r = 0 … L−1, and F, both along the axes, mean of both axes: `(n, L, L)` → `(L,)` and a scalar."""
    size = v.shape[1]
    waves = jnp.fft.rfft(jnp.concatenate([v, v.swapaxes(1, 2)]))  # of every row, then of every column
    correlation = jnp.fft.irfft((jnp.abs(waves) ** 2).mean(axis=(0, 1)), n=size) / size
    structure_factor = (jnp.abs(waves[:, :, 1].sum(axis=1)) ** 2).mean() / size**2
    return correlation, structure_factor


def correlation_length(chi: jax.Array, structure_factor: jax.Array, size: int) -> jax.Array:
    """Return ξ from χ and F; 0 where χ ≤ F, as noise makes it where there is no order, infinite where F = 0."""
    ratio = jnp.where(structure_factor > ROUNDING * chi, chi / structure_factor, jnp.inf)
    excess = jnp.where(chi > structure_factor, ratio - 1, 0)
    return jnp.asarray(jnp.sqrt(excess) / (2 * math.sin(math.pi / size)))


def singular_values(w: jax.Array) -> dict[str, jax.Array]:
    """Return the two largest singular values of W and the median of all min(visible, hidden)."""
    w = w.T if w.shape[0] < w.shape[1] else w
    gram = jnp.matmul(w.T, w, precision="highest")  # not TF32, which an NVIDIA GPU would take
    values = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram), 0))[::-1]
    largest = {f"sv_{i + 1}": values[i] for i in range(min(2, len(values)))}
    return {**largest, "sv_median": jnp.median(values)}
