"""The two-dimensional Ising model on a periodic L-by-L lattice.

    H = −J Σ_<ij> s_i s_j,        P(s) ∝ exp(K Σ_<ij> s_i s_j),        K = J / k_B T.

Inside the package the coupling K is the variable; temperatures T = 1/K (in units J/k_B) appear only where users
type and read. Energies are per site in units of J. T_c = 2 / ln(1+√2) (Onsager 1944).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rgstep.arguments import LARGEST_WHOLE, broken, checked, is_number, is_whole, number_in, real
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


def even_side(name: str, value: object) -> int:
    """Check a lattice side."""
    size: Any = number_in(value)
    if not is_whole(size) or not SMALLEST_SIZE <= size <= LARGEST_WHOLE or size % 2:
        near = SMALLEST_SIZE
        if is_number(size) and SMALLEST_SIZE < size < LARGEST_WHOLE:
            near = 2 * math.ceil(size / 2)
        must = f"the lattice side must be an even whole number ≥ {SMALLEST_SIZE}; try {near}"
        raise broken(name, value, must)
    return int(size)


TEMPERATURE = real("must be between 0 and infinity, in units of J/k_B (T_c = 2.269185)", lambda t: t >= 0)


@checked(size=even_side, temperature=TEMPERATURE)
def ising(size: int, temperature: float) -> Ising:
    """Return the model at a temperature in units of J/k_B, checked.

    Raises:
        InputError: for odd L or L < 4 (a checkerboard needs even L; L = 2 counts each bond twice), for T < 0 or NaN.
    """
    coupling = math.inf if temperature == 0 else 1.0 / temperature
    if coupling == math.inf or not math.isclose(temperature, CRITICAL_TEMPERATURE, rel_tol=1e-12):
        return Ising(size, coupling)
    return Ising(size, CRITICAL_COUPLING)


def energy(v: Spins) -> Field:
    """Return the energy per site of each configuration, −(1/N) Σ_<ij> s_i s_j, float64 `(sample,)`."""
    bonds = sum((v * np.roll(v, 1, axis)).sum(axis=(1, 2), dtype=np.int64) for axis in (1, 2))
    return np.asarray(bonds / np.float64(-v[0].size))


def magnetisation(v: Spins) -> Field:
    """Return the magnetisation per site of each configuration, (1/N) Σ_i s_i, float64 `(sample,)`."""
    return np.asarray(v.mean(axis=(1, 2), dtype=np.float64))
