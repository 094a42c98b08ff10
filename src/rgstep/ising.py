"""The two-dimensional Ising model on a periodic L-by-L lattice.

    H = −J Σ_<ij> s_i s_j,        P(s) ∝ exp(K Σ_<ij> s_i s_j),        K = J / k_B T.

Inside the package the coupling K is the variable; temperatures T = 1/K (in units J/k_B) appear only where users
type and read. Energies are per site in units of J. T_c = 2 / ln(1+√2) (Onsager 1944).

All that is known of the model exactly is asked of `Ising`: the thermodynamics of its torus (Kaufman 1949), the
two-point function at T_c, the exponents and the Binder cumulant of its fixed point, and its short-range operators.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import LARGEST_WHOLE, broken, checked, is_number, is_whole, number_in, real
from rgstep.exact import torus
from rgstep.exact.onsager import CRITICAL_COUPLING as CRITICAL_COUPLING
from rgstep.types import Field, Spins

CRITICAL_TEMPERATURE = 1.0 / CRITICAL_COUPLING
SMALLEST_SIZE = 4
CRITICAL_WITHIN = 0.01  # |t| L
M2_AMPLITUDE, M2_BACKGROUND, M2_CORRECTION = 1.09195, -0.104133, -0.0765  # see `Ising.critical_m2`
M2_SLOPE, M2_SLOPE_CORRECTION = -0.473, 0.58
LARGEST_COUNTED = 8  # side up to which the law of the magnetisation is computed by transfer matrices

Sector: TypeAlias = Literal["even", "odd"]  # under the flip of all spins


Site: TypeAlias = tuple[int, int]  # an offset, (row, column)
Shape: TypeAlias = tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """A short-range interaction S_α: a product of spins near one another, summed over all sites and orientations.

    `shape` holds the sites of one product. All else follows: what rotations and reflections make of the shape.
    """

    name: str
    shape: Shape

    @property
    def images(self) -> tuple[Shape, ...]:
        """What the symmetries of the square make of the shape, each once up to a translation, its first site (0, 0)."""
        turned = (
            [((p * x, q * y), (p * y, q * x))[swapped] for x, y in self.shape]
            for p in (1, -1)
            for q in (1, -1)
            for swapped in (False, True)
        )
        return tuple(sorted({from_first(sites) for sites in turned}))

    @property
    def around(self) -> tuple[Shape, ...]:
        """The terms that contain one site, as the offsets of their other sites from it: they make the field on it."""
        return tuple(
            tuple((x - i, y - j) for x, y in image if (x, y) != (i, j)) for image in self.images for i, j in image
        )

    @property
    def terms(self) -> int:
        """How many products there are a site."""
        return len(self.images)

    @property
    def spins(self) -> int:
        """How many spins each product has."""
        return len(self.shape)


def from_first(sites: Sequence[Site]) -> Shape:
    """Return sites in order, as offsets from the first of them."""
    ordered = sorted(sites)
    return tuple((x - ordered[0][0], y - ordered[0][1]) for x, y in ordered)


OPERATORS: dict[Sector, tuple[Operator, ...]] = {  # in the order in which `rgstep.operators` counts them
    "even": (
        Operator("nn", ((0, 0), (1, 0))),
        Operator("nnn", ((0, 0), (1, 1))),
        Operator("plaquette", ((0, 0), (1, 0), (0, 1), (1, 1))),
        Operator("20", ((0, 0), (2, 0))),
        Operator("21", ((0, 0), (2, 1))),
        Operator("22", ((0, 0), (2, 2))),
        Operator("sublattice", ((1, 0), (-1, 0), (0, 1), (0, -1))),  # a plaquette of one of the two sublattices
    ),
    "odd": (
        Operator("field", ((0, 0),)),
        Operator("corner", ((0, 0), (1, 0), (0, 1))),
        Operator("line", ((0, 0), (1, 0), (2, 0))),
        Operator("diagonal", ((0, 0), (1, 1), (2, 2))),
    ),
}


@dataclass(frozen=True, slots=True)
class Ising:
    """The model at one size L and coupling K = J/k_BT; K = 0 is infinite, K = ∞ zero temperature.

    Of its fixed point: `Y_T` and `Y_H`, how temperature and field grow under a change of scale; `DELTA_SIGMA` = 2 − y_h
    and `DELTA_EPSILON` = 2 − y_t, the scaling dimensions of spin and energy (Onsager 1944, Yang 1952); `BINDER`, U₄ of
    large critical tori (Kamieniarz and Blöte 1993). `TIES` is the share of 2×2 blocks of large critical lattices whose
    spins sum to 0: 1 − P(|S| = 4) − P(|S| = 2), by ⟨ss⟩ of neighbours and the plaquette (Kaufman and Onsager 1949).
    """

    size: int
    coupling: float

    Y_T: ClassVar[float] = 1.0
    Y_H: ClassVar[float] = 15 / 8
    DELTA_SIGMA: ClassVar[float] = 1 / 8
    DELTA_EPSILON: ClassVar[float] = 1.0
    BINDER: ClassVar[float] = 0.61069
    TIES: ClassVar[float] = 1 - (1 + math.sqrt(2)) / 4 - 1 / (2 * math.pi) - 3 / (2 * math.pi**2)

    @property
    def temperature(self) -> float:
        """T = 1/K in units of J/k_B."""
        return math.inf if self.coupling == 0 else 1.0 / self.coupling

    @property
    def critical_distance(self) -> float:
        """|t| L with t = (T − T_c)/T_c: how far from criticality a lattice of this side is."""
        return abs(CRITICAL_COUPLING / self.coupling - 1) * self.size if self.coupling else math.inf

    @property
    def is_critical(self) -> bool:
        """Whether the lattice cannot tell K from the critical coupling: |t| L ≤ 0.01.

        Everything depends on t by t L (ν = 1), and is linear in it near 0. So T = 2.269 is critical up to L = 64.
        """
        return self.critical_distance <= CRITICAL_WITHIN

    @property
    def log_partition(self) -> float:
        """ln Z of the torus (Kaufman 1949)."""
        return torus.log_partition(self.size, self.coupling)

    @property
    def energy(self) -> float:
        """The exact energy per site u in units of J."""
        return torus.energy(self.size, self.coupling)

    @property
    def energy_variance(self) -> float:
        """The exact variance of the energy per site."""
        return torus.energy_variance(self.size, self.coupling)

    @property
    def specific_heat(self) -> float:
        """The exact specific heat per site c in units of k_B."""
        return torus.specific_heat(self.size, self.coupling)

    @property
    def nn_correlation(self) -> float:
        """The exact ⟨s_i s_j⟩ of nearest neighbours, −u/2."""
        return torus.nn_correlation(self.size, self.coupling)

    @property
    def mean_abs_m(self) -> float | None:
        """The exact ⟨|m|⟩ per site where L ≤ 8, None elsewhere."""
        if self.size > LARGEST_COUNTED:
            return None
        return float(torus.magnetisation_moments(self.size, self.coupling).abs_m)

    @property
    def critical_m2(self) -> float | None:
        """⟨m²⟩ = Σ_r G(r)/N where the lattice is critical, None elsewhere: exact where L ≤ 8, else within 1e-4 of it.

        L^(1/4) ⟨m²⟩ = C + D L^(−7/4) + E L^(−2), to first order in t L. C is the mean of the torus function
        (`two_point_shape`) times the 0.70338 of G(r) = 0.70338 r^(−1/4) (Wu 1966), D the background of the
        susceptibility (Orrick et al. 2001); E, and how it depends on t L, are read off the exact law at L ≤ 10.
        """
        if not self.is_critical:
            return None
        L = self.size
        if L <= LARGEST_COUNTED:
            return float(torus.magnetisation_moments(L, self.coupling).m2)
        t = CRITICAL_COUPLING / self.coupling - 1
        at_tc = L**-0.25 * (M2_AMPLITUDE + M2_BACKGROUND * L**-1.75 + M2_CORRECTION * L**-2.0)
        return float(at_tc) * (1 + (M2_SLOPE + M2_SLOPE_CORRECTION / L) * t * L)

    @staticmethod
    def two_point_shape(row_fraction: ArrayLike, column_fraction: ArrayLike) -> np.ndarray:
        """Return ⟨s_0 s_r⟩ on the critical torus in the scaling limit, up to one amplitude (`exact.torus`)."""
        return np.asarray(torus.two_point_shape(row_fraction, column_fraction))

    @staticmethod
    def energy_two_point_shape(row_fraction: ArrayLike, column_fraction: ArrayLike) -> np.ndarray:
        """Return ⟨ε_0 ε_r⟩ − ⟨ε⟩² on the critical torus in the scaling limit, up to one amplitude (`exact.torus`)."""
        return np.asarray(torus.energy_two_point_shape(row_fraction, column_fraction))


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
