"""The two-dimensional Ising model on a periodic L-by-L lattice.

    H = −J Σ_<ij> s_i s_j,        P(s) ∝ exp(K Σ_<ij> s_i s_j),        K = J / k_B T.

Inside the package the coupling K is the variable; temperatures T = 1/K (in units J/k_B) appear only where users
type and read. Energies are per site in units of J. T_c = 2 / ln(1+√2) (Onsager 1944).
"""

import math
from dataclasses import dataclass

import numpy as np

from rgstep.arguments import is_number, is_whole
from rgstep.errors import InputError
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.types import Field, Spins

CRITICAL_TEMPERATURE = 1.0 / CRITICAL_COUPLING
SMALLEST_SIZE = 4


@dataclass(frozen=True, slots=True)
class Ising:
    """The model at one size L and coupling K = J/k_BT; K = 0 is infinite, K = ∞ zero temperature."""

    size: int
    coupling: float

    @property
    def temperature(self) -> float:
        """T = 1/K in units of J/k_B."""
        return math.inf if self.coupling == 0 else 1.0 / self.coupling

    @property
    def is_critical(self) -> bool:
        """Whether K is the critical coupling of the infinite lattice, as far as 1000×1000 sites can tell."""
        return math.isclose(self.coupling, CRITICAL_COUPLING, rel_tol=1e-5)


def ising(size: int, temperature: float) -> Ising:
    """Return the model at a temperature in units of J/k_B, checked.

    Raises:
        InputError: for odd L or L < 4 (a checkerboard needs even L; L = 2 counts each bond twice), for T < 0 or NaN.
    """
    if not is_whole(size) or size < SMALLEST_SIZE or size % 2:
        usable = is_number(size) and math.isfinite(size)
        near = max(SMALLEST_SIZE, 2 * math.ceil(size / 2)) if usable else SMALLEST_SIZE
        message = f"size = {size!r}: the lattice side must be an even whole number ≥ {SMALLEST_SIZE}; try {near}"
        raise InputError(message)
    if not is_number(temperature) or temperature < 0:
        message = f"temperature = {temperature!r}: must be between 0 and infinity, in units of J/k_B (T_c = 2.269185)"
        raise InputError(message)
    coupling = math.inf if temperature == 0 else 1.0 / temperature
    if coupling == math.inf or not math.isclose(temperature, CRITICAL_TEMPERATURE, rel_tol=1e-12):
        return Ising(int(size), coupling)
    return Ising(int(size), CRITICAL_COUPLING)


def energy(v: Spins) -> Field:
    """Return the energy per site of each configuration, −(1/N) Σ_<ij> s_i s_j, float64 `(sample,)`."""
    bonds = sum((v * np.roll(v, 1, axis)).sum(axis=(1, 2), dtype=np.int64) for axis in (1, 2))
    return np.asarray(bonds / np.float64(-v[0].size))


def magnetisation(v: Spins) -> Field:
    """Return the magnetisation per site of each configuration, (1/N) Σ_i s_i, float64 `(sample,)`."""
    return np.asarray(v.mean(axis=(1, 2), dtype=np.float64))
