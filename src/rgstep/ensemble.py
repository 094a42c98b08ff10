"""Configurations, where they came from, and whether they look right.

Every set can be held against two exact facts: Kaufman's (1949) energy and specific heat on the torus of its own L,
and the fair sign of the magnetisation. Whether its samples hang together is asked of the set itself (`independence`).
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from rgstep import memory, scratch
from rgstep.arguments import FLAG, PLAIN, InputError, broken, checked, instance, is_whole, number_in, optional
from rgstep.certificate import Certificate, Check
from rgstep.estimates import Estimate, Groups, deviation, estimated, grouped_mean
from rgstep.independence import Independence, independence, memory_of
from rgstep.ising import TEMPERATURE, Ising, even_side, ising
from rgstep.notebook import card
from rgstep.packed import PIECE_SITES, PackedSpins, pack, spin_type
from rgstep.types import Field, Samples, Spins


@dataclass(frozen=True, eq=False, init=False)
class Ensemble:
    """Configurations of one model, held as bits in `packed`; `spins` unpacks them all, `pieces` a part at a time.

    `origin` says how they were made (sampler, seed, autocorrelation times, spacing), in plain values. `independent`
    says that the samples are so by construction; the checks then hold them to it.

    Examples:
        >>> ensemble = rg.sample(8, temperature=3.0, samples=1_000, seed=0)
        >>> ensemble.spins.shape
        (1000, 8, 8)
        >>> ensemble.certificate.good
        True
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

    @overload
    def __getitem__(self, which: int) -> Samples: ...
    @overload
    def __getitem__(self, which: slice | ArrayLike) -> "Ensemble": ...
    def __getitem__(self, which: Any) -> "Samples | Ensemble":  # whatever NumPy takes as an index of one axis
        """Return one configuration, int8 ±1 `(row, column)`, or the ensemble of several.

        Args:
            which: a number, from the end where it is negative; or a slice, numbers, or True and False for each.

        Raises:
            InputError: for a number that is not there, another kind of index, or none of the configurations.
        """
        index = number_in(which)
        if is_whole(index):
            if not -len(self) <= index < len(self):
                name, rule = "configuration", f"there are {len(self)}, numbers {-len(self)} to {len(self) - 1}"
                raise broken(name, which, rule)
            number = int(index) % len(self)
            return np.asarray(self.unpack(number, number + 1)[0])
        return Ensemble(self.packed.take(chosen(which, len(self))), self.system, self.origin, self.independent)

    def __iter__(self) -> Iterator[Samples]:
        """Yield the configurations one by one, int8 ±1 `(row, column)`."""
        for piece in self.pieces():
            yield from piece

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return all configurations, ±1 `(sample, row, column)`, for `np.asarray`; see `spins`."""
        return np.array(self.spins, dtype=dtype, copy=copy)

    def _repr_html_(self) -> str:
        """Return the ensemble as a notebook shows it."""
        system, made = self.system, ", ".join(f"{k} = {v}" for k, v in self.origin.items() if isinstance(v, str | int))
        facts = [
            ("samples", f"{len(self):,}"),
            ("lattice", f"{system.size}×{system.size}"),
            ("T", f"{system.temperature:.6g}" + (" = T_c" if system.is_critical else "")),
            *(
                (name, f"{check.measured}, exact {check.exact:.6g}, z = {check.z:+.1f}")
                for name, check in self.checks.items()
            ),
            ("made", made or "not recorded"),
        ]
        return card("Ensemble", facts)

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
            "read a part at a time: ensemble.pieces() or ensemble.unpack(start, stop)",
        )
        return self.unpack()

    def unpack(self, start: int = 0, stop: int | None = None, dtype: DTypeLike = np.int8) -> Samples:
        """Return configurations start … stop, ±1 in int8, float32 or float64, read-only, `(sample, row, column)`."""
        return read_only(self.packed.unpack(start, stop, dtype))

    @checked(dtype=spin_type)
    def pieces(self, dtype: DTypeLike = np.int8) -> Iterator[Samples]:
        """Yield the configurations a piece of the set at a time, as `unpack` returns them."""
        for start, stop in self.packed.bounds():
            yield self.unpack(start, stop, dtype)

    def blocks(self, dtype: DTypeLike = np.int8) -> Iterator[Samples]:
        """Yield what `pieces` yields: the old name, which goes with the next release."""
        warnings.warn("Ensemble.blocks is now called Ensemble.pieces", DeprecationWarning, stacklevel=2)
        return self.pieces(dtype)

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
        less independent than claimed show as large z. For samples that claim nothing the variance is 2τ times that,
        τ measured along the sample axis, and the jackknife's error is taken where it is larger. c is left out where
        there are too few excitations to estimate it.
        """
        n, N, K = len(self), self.system.size**2, self.system.coupling
        u, u_error = self.system.energy, math.sqrt(self.system.energy_variance / n)
        checks = {
            "u": Check(self._mean(self.energies, u_error), u),
            "sign_balance": Check(self._mean(in_pieces(np.sign, self.magnetisations), 1 / math.sqrt(n)), 0.0),
        }
        excitations = n * N * (u + 2) / 8  # a single flipped spin costs 8 J
        if n >= 100 and excitations > 100 and K > 0:
            c, mean = specific_heat(self.energies, self.system.size, K), self.energies.mean()
            squares = in_pieces(lambda e: (e - mean) ** 2, self.energies)
            error = K**2 * N * deviation(squares) * math.sqrt(self._inflation(squares) / n)
            checks["c"] = Check(Estimate(c.value, float(np.fmax(c.error, error))), self.system.specific_heat)
        return checks

    @cached_property
    def independence(self) -> Independence:
        """What the order of the samples, and copies among them, say of how many independent ones the set is worth."""
        return independence(self.packed, self.system, self.energies, self.magnetisations)

    @property
    def phase(self) -> int:
        """The sign, 1 or −1, that all magnetisations have that are not 0; 0 where both occur, or none."""
        up, down = bool(self.magnetisations.max() > 0), bool(self.magnetisations.min() < 0)
        return int(up) - int(down)

    @cached_property
    def certificate(self) -> Certificate:
        """How the set was made and how it compares with exact facts, as a table with a verdict."""
        return Certificate(self.system, len(self), self.checks, self.origin, self.independence, self.phase)

    def faults(self) -> list[str]:
        """Return a line for each check, and each comparison of hot and cold starts, that is more than 4 σ off.

        And one for samples that are repeated, or correlated so that errors from them are wrong.
        """
        return self.certificate.faults()

    def mean(self, values: np.ndarray) -> Estimate:
        """Return the mean of a quantity of each configuration, `(sample,)`; the error carries τ along the sample axis.

        It is the jackknife's, or √(2τ σ²/n) where that is larger.
        """
        return self._mean(values, deviation(values) / math.sqrt(len(self)))

    def _mean(self, values: np.ndarray, error_if_independent: float) -> Estimate:
        mean = grouped_mean(values)
        error = error_if_independent * math.sqrt(self._inflation(values))
        return Estimate(mean.value, float(error if self.independent else np.fmax(error, mean.error)))

    def _inflation(self, values: np.ndarray) -> float:
        """Return the variance of a mean over the samples in units of that of independent ones: 2τ, 1 if claimed so."""
        return 1.0 if self.independent else memory_of(values).inflation


def chosen(which: Any, length: int) -> np.ndarray:  # whatever a user writes in brackets
    """Return the numbers of the configurations that an index stands for, at least one, `(configuration,)`."""
    name, rule = "configurations", "give a number, a slice, a list of numbers or a mask; for others: ensemble.spins[…]"
    if isinstance(which, tuple | str | bytes) or which is None or which is Ellipsis:
        raise broken(name, which, rule)
    try:
        rows = np.asarray(np.arange(length)[which])
    except (IndexError, TypeError, ValueError) as error:
        raise broken(name, which, f"{error}; {rule}") from error
    if not rows.size:
        raise broken(name, which, f"none of the {length} are left: an ensemble has one at least")
    if rows.ndim != 1:
        raise broken(name, which, rule)
    return rows


ENSEMBLE = instance(Ensemble, "use rgstep.sample(…) or rgstep.ensemble_from_array(…)")


@checked(temperature=TEMPERATURE, origin=optional(PLAIN))
def ensemble_from_array(spins: ArrayLike, temperature: float, origin: Mapping[str, Any] | None = None) -> Ensemble:
    """Return an `Ensemble` of a user's own configurations, ±1, `(sample, row, column)` or `(sample, site)`.

    Raises:
        InputError: if an entry is not ±1 or the sites do not make an even square of side ≥ 4.

    Examples:
        >>> mine = np.random.default_rng(0).choice([-1, 1], size=(100, 8, 8))
        >>> ensemble = rg.ensemble_from_array(mine, temperature=np.inf)
        >>> ensemble.system.size, len(ensemble)
        (8, 100)
    """
    packed = pack(spins)
    return Ensemble(packed, ising(even_side("spins of size", packed.size), temperature), origin or {"source": "array"})


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the array, no longer writable."""
    array.setflags(write=False)
    return array


def specific_heat(energies: np.ndarray, size: int, coupling: float) -> Estimate:
    """Return c = K² N (⟨e²⟩ − ⟨e⟩²) per site with its jackknife error, bias corrected."""
    middle, groups = energies.mean(), Groups.of(len(energies))

    def columns(a: int, b: int) -> np.ndarray:
        shifted = energies[a:b] - middle
        return np.stack([shifted, shifted**2], axis=1)

    mean, square = groups.means_of(columns).T
    return estimated(np.asarray(coupling**2 * size**2 * (square - mean**2)), correct_bias=len(groups) > 1)


@dataclass(frozen=True, eq=False)
class Level:
    """Variables on an l-by-l lattice, one lattice for each configuration: the spins, or h after some steps.

    `values` are bits where all variables are ±1, floats `(sample, row, column)` elsewhere.
    """

    values: PackedSpins | Field

    @classmethod
    def of(cls, h: Samples) -> "Level":
        """Return the level of variables `(sample, row, column)`; those of type int8 are ±1, as `compact` has them."""
        return cls(pack(h) if h.dtype == np.int8 else h)

    @property
    def packed(self) -> PackedSpins | None:
        """The bits where all variables are ±1, None elsewhere."""
        return self.values if isinstance(self.values, PackedSpins) else None

    @property
    def side(self) -> int:
        """The side l of the lattice."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.values)

    def unpack(self, start: int = 0, stop: int | None = None) -> Samples:
        """Return samples start … stop, `(sample, row, column)`, int8 where all are ±1."""
        return self.values.unpack(start, stop) if isinstance(self.values, PackedSpins) else self.values[start:stop]


Source: TypeAlias = Ensemble | Level | Samples  # what is read a piece at a time


def read(source: Source, start: int, stop: int | None) -> np.ndarray:
    """Return some of the samples."""
    return source[start:stop] if isinstance(source, np.ndarray) else source.unpack(start, stop)


def pieces(source: Source, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Samples]]:
    """Yield samples start … stop in pieces of at most `PIECE_SITES` variables, each with the number of its first."""
    stop = len(source) if stop is None else stop
    step = max(1, PIECE_SITES // max(1, read(source, 0, 1).size))
    for a in range(start, stop, step):
        yield a, read(source, a, min(a + step, stop))
        scratch.release()


def in_pieces(function: Callable[[np.ndarray], np.ndarray], source: Source) -> np.ndarray:
    """Return a function of samples that looks at each for itself, of all of them, asked a piece at a time."""
    return scratch.joined((function(part) for _, part in pieces(source)), len(source))


def is_spin(h: Samples) -> bool:
    """Whether every value is ±1."""
    return all(bool(np.all(np.abs(h[a:b]) == 1)) for a, b in scratch.ranges(len(h), h[:1].size))


def compact(h: Samples) -> Samples:
    """Return variables as int8 where all are ±1, as float32 elsewhere."""
    return as_type(h, np.int8 if is_spin(h) else np.float32)


def as_type(h: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Return samples as numbers of a type; themselves if they are."""
    return h if h.dtype == dtype else in_pieces(lambda part: part.astype(dtype), h)
