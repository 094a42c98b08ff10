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
from numpy.typing import ArrayLike, DTypeLike

from rgstep import memory
from rgstep.arguments import FLAG, PLAIN, checked, instance, optional
from rgstep.certificate import Certificate, Check
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, grouped_mean, jackknife
from rgstep.exact import torus
from rgstep.ising import TEMPERATURE, Ising, even_side, ising
from rgstep.packed import PackedSpins, pack, spin_type
from rgstep.types import Field, Samples, Spins


@dataclass(frozen=True, eq=False, init=False)
class Ensemble:
    """Configurations of one model, held as bits in `packed`; `spins` unpacks them all, `blocks` a part at a time.

    `origin` says how they were made (sampler, seed, autocorrelation times, spacing), in plain values. `independent`
    says that the samples are so by construction; the checks then hold them to it.
    """

    packed: PackedSpins = field(init=False)
    system: Ising
    origin: Mapping[str, Any]
    independent: bool

    @checked(
        system=instance(Ising, "give the model, rgstep.ising.ising(size, temperature)"),
        origin=optional(PLAIN),
        independent=FLAG,
    )
    def __init__(
        self,
        spins: PackedSpins | Spins,
        system: Ising,
        origin: Mapping[str, Any] | None = None,
        independent: bool = False,
    ) -> None:
        """Check the spins and pack them, unless they are already.

        Args:
            spins: `PackedSpins`, or ±1, `(sample, row, column)` or `(sample, site)`.
            system: the model.
            origin: how they were made.
            independent: whether they are independent by construction.

        Raises:
            InputError: if an entry is not ±1 or the sites do not make the lattice of the model.
        """
        packed = spins if isinstance(spins, PackedSpins) else pack(spins)
        if packed.size != system.size:
            message = f"spins of side {packed.size} given for a system of size {system.size}"
            raise InputError(message)
        for name, value in (("packed", packed), ("system", system), ("independent", independent)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "origin", {} if origin is None else origin)

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(self.packed)

    def __repr__(self) -> str:
        """Return a line with size, temperature, number of samples and the z-scores of the checks."""
        line = f"Ensemble({len(self)} samples, L={self.system.size}, T={self.system.temperature:.6g}"
        return line + "".join(f", z({name})={check.z:+.1f}" for name, check in self.checks.items()) + ")"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what it was made of, not what was computed from it."""
        return type(self), (self.packed, self.system, self.origin, self.independent)

    @cached_property
    def spins(self) -> Spins:
        """All configurations, int8 ±1, read-only, `(sample, row, column)`; unpacked when first asked for, and kept.

        Raises:
            InputError: if they do not fit in memory.
        """
        memory.require(
            len(self) * self.system.size**2,
            f"{len(self)} configurations of {self.system.size}×{self.system.size} spins, unpacked,",
            "read a part at a time: ensemble.blocks() or ensemble.unpack(start, stop)",
        )
        return self.unpack()

    def unpack(self, start: int = 0, stop: int | None = None, dtype: DTypeLike = np.int8) -> Samples:
        """Return configurations start … stop, ±1 in int8, float32 or float64, read-only, `(sample, row, column)`."""
        return read_only(self.packed.unpack(start, stop, dtype))

    @checked(dtype=spin_type)
    def blocks(self, dtype: DTypeLike = np.int8) -> Iterator[Samples]:
        """Yield the configurations a block at a time, as `unpack` returns them."""
        for start, stop in self.packed.bounds():
            yield self.unpack(start, stop, dtype)

    @cached_property
    def energies(self) -> Field:
        """The energy per site of each configuration."""
        return read_only(self.packed.energies())

    @cached_property
    def magnetisations(self) -> Field:
        """The magnetisation per site of each configuration."""
        return read_only(self.packed.magnetisations())

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

    @cached_property
    def certificate(self) -> Certificate:
        """How the set was made and how it compares with exact facts, as a table with a verdict."""
        return Certificate(self.system, len(self), self.checks, self.origin)

    def faults(self) -> list[str]:
        """Return a line for each check, and each comparison of hot and cold starts, that is more than 4 σ off."""
        return self.certificate.faults()

    def _mean(self, values: np.ndarray, error_if_independent: float) -> Estimate:
        mean = grouped_mean(values)
        error = error_if_independent if self.independent else np.fmax(error_if_independent, mean.error)
        return Estimate(mean.value, float(error))


ENSEMBLE = instance(Ensemble, "use rgstep.sample(…) or rgstep.ensemble_from_array(…)")


@checked(temperature=TEMPERATURE, origin=optional(PLAIN))
def ensemble_from_array(spins: ArrayLike, temperature: float, origin: Mapping[str, Any] | None = None) -> Ensemble:
    """Return an `Ensemble` of a user's own configurations, ±1, `(sample, row, column)` or `(sample, site)`.

    Raises:
        InputError: if an entry is not ±1 or the sites do not make an even square of side ≥ 4.
    """
    packed = pack(spins)
    return Ensemble(packed, ising(even_side("spins of size", packed.size), temperature), origin or {"source": "array"})


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the array, no longer writable."""
    array.setflags(write=False)
    return array


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
