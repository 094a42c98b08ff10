"""How is the magnetisation of an L-by-L torus distributed, up to L = 10?

Every up spin is given a fugacity ω on the unit circle. With row states σ, σ′ the transfer matrix is

    T(σ, σ′) = exp(K Σ_j σ_j σ′_j) exp(K Σ_j σ′_j σ′_{j+1}) ω^{n_up(σ′)},      Z(ω) = tr T^L = Σ_n Z_n ω^n,

and a discrete Fourier transform over the N + 1 roots of unity gives the weight Z_n of the states with n spins
up (the transfer matrix: Kramers and Wannier 1941). T commutes with shifts along the row, so it splits into
blocks, one per momentum. The probabilities have an absolute error near 1e-15; smaller ones are not resolved.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rgstep.errors import InputError
from rgstep.exact.onsager import check_coupling, check_size

LARGEST_SIZE = 10


class Moments(NamedTuple):
    """⟨|m|⟩, ⟨m²⟩, ⟨m⁴⟩ per site and Binder's U₄ = 1 − ⟨m⁴⟩/(3⟨m²⟩²)."""

    abs_m: float
    m2: float
    m4: float
    binder: float


def magnetisation_law(size: int, coupling: float) -> tuple[Int64[np.ndarray, " value"], Float[np.ndarray, " value"]]:
    """Return the values −N, −N + 2, …, N of the total magnetisation and their probabilities.

    Raises:
        InputError: unless 3 ≤ L ≤ 10.
    """
    _check_size(size)
    check_coupling(coupling)
    sites = size * size
    values = np.arange(-sites, sites + 1, 2)
    if coupling == math.inf:
        return values, np.where(np.abs(values) == sites, 0.5, 0.0)
    # Z(ω*) = Z(ω)*: half of the circle is enough, and `hfft` supplies the other half.
    fugacities = np.exp(2j * np.pi * np.arange((sites + 1) // 2 + 1) / (sites + 1))
    weights = np.fft.hfft(_generating_function(size, coupling, fugacities), n=sites + 1)
    weights = weights + weights[::-1]  # the flip symmetry, exactly
    weights = np.maximum(weights, 0.0)  # rounding leaves ±1e-16 where p is tiny
    return values, weights / weights.sum()


def magnetisation_moments(size: int, coupling: float) -> Moments:
    """Return ⟨|m|⟩, ⟨m²⟩, ⟨m⁴⟩ and Binder's U₄ of the magnetisation per site."""
    values, p = magnetisation_law(size, coupling)
    m = values / (size * size)
    abs_m, m2, m4 = (float(p @ np.abs(m) ** power) for power in (1, 2, 4))
    return Moments(abs_m, m2, m4, 1.0 - m4 / (3.0 * m2**2))


def _generating_function(size: int, coupling: float, fugacities: np.ndarray) -> np.ndarray:
    """Return Z(ω) e^{−2NK} at each fugacity: measured from the ground state, no weight exceeds 1."""
    rows, representatives, orbit_sizes = _orbits(size)
    kept = rows[representatives]
    shifted = np.stack([np.roll(kept, shift, axis=1) for shift in range(size)])
    between = np.exp(coupling * (np.einsum("oj,dpj->dop", kept, shifted) - size))
    within = np.exp(coupling * ((kept * np.roll(kept, 1, axis=1)).sum(axis=1) - size))
    # ⟨o, k| T |p, k⟩ = √(n_o n_p)/L Σ_d e^{−2πi kd/L} T(o, shift^d p); zero where an orbit lacks momentum k.
    blocks = np.fft.fft(between, axis=0) * np.sqrt(np.outer(orbit_sizes, orbit_sizes)) / size
    n_up = (kept.sum(axis=1) + size) // 2
    return np.array(
        [
            np.trace(np.linalg.matrix_power(blocks * (within * fugacity**n_up), size), axis1=1, axis2=2).sum()
            for fugacity in fugacities
        ]
    )


def _orbits(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all rows of ±1, one representative index per class under shifts, and the size of each class."""
    codes = np.arange(2**size)
    bits = (codes[:, None] >> np.arange(size)) & 1
    shifted = [np.roll(bits, shift, axis=1) @ (1 << np.arange(size)) for shift in range(size)]
    representatives, counts = np.unique(np.min(shifted, axis=0), return_counts=True)
    return 2 * bits - 1, representatives, counts


def _check_size(size: int) -> None:
    """Raise `InputError` unless 3 ≤ L ≤ 10."""
    if size == 2:
        message = "size = 2: a torus of side 2 counts each bond twice; use a size from 3 to 10"
        raise InputError(message)
    check_size(size, smallest=3)
    if size > LARGEST_SIZE:
        message = f"size = {size}: the transfer matrix has 2^{size} rows; use size ≤ 10, or sample"
        raise InputError(message)
