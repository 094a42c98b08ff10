"""Configurations, where they came from, and whether they look right.

Every set can be held against two exact facts: Kaufman's (1949) energy and specific heat on the torus of its own L,
and the fair sign of the magnetisation.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, grouped_mean, jackknife
from rgstep.exact import torus
from rgstep.ising import Ising, energy, ising, magnetisation
from rgstep.lattice import as_lattice, as_spins
from rgstep.types import Spins

DISTRUST = 4.0  # |z| above which a set is called bad
BLOCK_SITES = 2**24  # spins read at once


@dataclass(frozen=True, slots=True)
class Check:
    """A measured number beside its exact value; z is their distance in standard errors."""

    measured: Estimate
    exact: float

    @property
    def z(self) -> float:
        """(measured − exact) / error; 0 where both agree without noise."""
        difference = float(self.measured.value) - self.exact
        error = float(self.measured.error)
        if error > 0:
            return difference / error
        return 0.0 if abs(difference) < 1e-9 else math.copysign(math.inf, difference)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Configurations of one model: `spins` is int8 ±1, read-only, `(sample, row, column)`.

    `origin` says how they were made (sampler, seed, autocorrelation times, spacing), in plain values. `independent`
    says that the samples are so by construction; the checks then hold them to it.
    """

    spins: Spins
    system: Ising
    origin: Mapping[str, Any] = field(default_factory=dict)
    independent: bool = False

    def __post_init__(self) -> None:
        """Check the spins and keep a read-only view of them."""
        spins = as_lattice(as_spins(self.spins, "spins")).view()
        if spins.shape[1] != self.system.size:
            message = f"spins of side {spins.shape[1]} given for a system of size {self.system.size}"
            raise InputError(message)
        spins.setflags(write=False)
        object.__setattr__(self, "spins", spins)

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(self.spins)

    def __repr__(self) -> str:
        """Return a line with size, temperature, number of samples and the z-scores of the checks."""
        line = f"Ensemble({len(self)} samples, L={self.system.size}, T={self.system.temperature:.6g}"
        return line + "".join(f", z({name})={check.z:+.1f}" for name, check in self.checks.items()) + ")"

    def blocks(self) -> Iterator[Spins]:
        """Yield the configurations a block at a time."""
        step = max(1, BLOCK_SITES // self.spins[0].size)
        for start in range(0, len(self), step):
            yield self.spins[start : start + step]

    @cached_property
    def energies(self) -> np.ndarray:
        """The energy per site of each configuration."""
        return np.concatenate([energy(block) for block in self.blocks()])

    @cached_property
    def magnetisations(self) -> np.ndarray:
        """The magnetisation per site of each configuration."""
        return np.concatenate([magnetisation(block) for block in self.blocks()])

    @cached_property
    def checks(self) -> Mapping[str, Check]:
        """The energy u and specific heat c beside Kaufman's at this L, and the fair sign of the magnetisation.

        The errors of u and of the sign are those of independent samples, from the exact variance, so that samples
        less independent than claimed show as large z; samples that claim nothing get the larger of that and the
        jackknife's. c is left out where there are too few excitations to estimate it.
        """
        n, N, K = len(self), self.system.size**2, self.system.coupling
        u, u_error = torus.energy(self.system.size, K), math.sqrt(torus.energy_variance(self.system.size, K) / n)
        checks = {
            "u": Check(self._mean(self.energies, u_error), u),
            "sign_balance": Check(self._mean(np.sign(self.magnetisations), 1 / math.sqrt(n)), 0.0),
        }
        excitations = n * N * (u + 2) / 8  # a single flipped spin costs 8 J
        if n >= 100 and excitations > 100 and K > 0:
            c = specific_heat(self.energies, self.system.size, K)
            checks["c"] = Check(c, torus.specific_heat(self.system.size, K))
        return checks

    def faults(self) -> list[str]:
        """Return a line for each check that is more than 4 standard errors off."""
        return [
            f"{name} = {check.measured} is {check.z:+.1f} standard errors from the exact {check.exact:.6f} at "
            f"L={self.system.size}, T={self.system.temperature:.6g}"
            for name, check in self.checks.items()
            if abs(check.z) > DISTRUST
        ]

    def _mean(self, values: np.ndarray, error_if_independent: float) -> Estimate:
        mean = grouped_mean(values)
        error = error_if_independent if self.independent else np.fmax(error_if_independent, mean.error)
        return Estimate(mean.value, float(error))


def ensemble_from_array(spins: ArrayLike, temperature: float, origin: Mapping[str, Any] | None = None) -> Ensemble:
    """Return an `Ensemble` of a user's own configurations, ±1, `(sample, row, column)` or `(sample, site)`.

    Raises:
        InputError: if an entry is not ±1 or the sites do not make an even square of side ≥ 4.
    """
    lattice = as_lattice(as_spins(spins, "spins")).copy()
    return Ensemble(lattice, ising(lattice.shape[1], temperature), origin or {"source": "array"})


def specific_heat(energies: np.ndarray, size: int, coupling: float, groups: int = 64) -> Estimate:
    """Return c = K² N (⟨e²⟩ − ⟨e⟩²) per site with its jackknife error, bias corrected."""
    shifted = energies - energies.mean()
    bounds = group_bounds(len(energies), groups)
    sums = np.array([[b - a, shifted[a:b].sum(), (shifted[a:b] ** 2).sum()] for a, b in bounds])

    def heat(s: np.ndarray) -> np.ndarray:
        variance = s[..., 2] / s[..., 0] - (s[..., 1] / s[..., 0]) ** 2
        return np.asarray(coupling**2 * size**2 * variance)

    left_out = heat(sums.sum(axis=0) - sums) if len(bounds) > 1 else heat(sums)
    return jackknife(heat(sums.sum(axis=0)), left_out, correct_bias=len(bounds) > 1)
