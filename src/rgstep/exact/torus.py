"""What are ln Z, energy, specific heat and the law of m of the L-by-L torus, and how do its spins correlate at T_c?

With N = L², S = sinh 2K and cosh γ_l = S + 1/S − cos(πl/L), Kaufman (1949) found

    Z = ½ (2S)^{N/2} [Π 2cosh(Lγ_{2r+1}/2) + Π 2sinh(Lγ_{2r+1}/2) + Π 2cosh(Lγ_{2r}/2) + Π 2sinh(Lγ_{2r}/2)],

r = 0 … L−1, where γ_0 = 2K + ln tanh K keeps its sign. Everything is differentiated by hand. The variable is
s = min(S, 1/S), of which all |γ_l| are functions. As s e^{|γ|} = q + R, with q = 1 + s² − s cos(πl/L) and
R² = q² − s², stays finite in both limits, the divergent factor S^{N/2} cancels before a number is formed. At
extreme couplings u and c are small differences even so, and come from expansions. Valid for L ≥ 2; L = 2
counts each bond twice.

**The law of the magnetisation**, up to L = 10, by transfer matrices. Every up spin is given a fugacity ω on the unit
circle. With row states σ, σ′ the transfer matrix is

    T(σ, σ′) = exp(K Σ_j σ_j σ′_j) exp(K Σ_j σ′_j σ′_{j+1}) ω^{n_up(σ′)},      Z(ω) = tr T^L = Σ_n Z_n ω^n,

and a discrete Fourier transform over the N + 1 roots of unity gives the weight Z_n of the states with n spins
up (the transfer matrix: Kramers and Wannier 1941). T commutes with shifts along the row, so it splits into
blocks, one per momentum. The probabilities have an absolute error near 1e-15; smaller ones are not resolved.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int64
from numpy.typing import ArrayLike

from rgstep.arguments import InputError
from rgstep.exact.onsager import EXPANSION, EXPANSION_LIMIT, check_coupling, check_size, expansion

# Here the terms dropped by the hot expansion, 5 K² of c, equal the rounding of the products, 1e-16 / K of u.
HOT_LIMIT = 3e-6

# a_2 … a_7 of ln Z = 2NK + ln 2 + N Σ a_n e^{−4nK}, from exact state counts (overturned rows begin at n = L);
# from L = 8 on they are those of the infinite lattice.
COLD_EXPANSIONS = {
    2: (3 / 2, 0.0, -17 / 4, 0.0, 33 / 2, 0.0),
    3: (1.0, 8 / 3, 13 / 2, -16.0, -295 / 3, -120.0),
    4: (1.0, 2.0, 21 / 4, 22.0, 151 / 3, -352.0),
    5: (1.0, 2.0, 9 / 2, 64 / 5, 178 / 3, 320.0),
    6: (1.0, 2.0, 9 / 2, 12.0, 229 / 6, 168.0),
    7: (1.0, 2.0, 9 / 2, 12.0, 112 / 3, 916 / 7),
}


LARGEST_TRANSFER = 10  # side up to which the transfer matrix, of 2^L rows, is multiplied out


class _Jet(NamedTuple):
    """A function with its first and second derivative."""

    value: float
    first: float
    second: float


class _Modes(NamedTuple):
    """G = ln(q + R) = ln s + |γ| and |γ| for one or several l, with their derivatives in s."""

    growth: Float[np.ndarray, "3 mode"]
    gamma: Float[np.ndarray, "3 mode"]


def log_partition(size: int, coupling: float) -> float:
    """Return ln Z: N ln 2 at K = 0, infinite at K = ∞."""
    return _log_partition(size, coupling).value


def energy(size: int, coupling: float) -> float:
    """Return u = −(1/N) d ln Z / dK, the energy per site."""
    return -_log_partition(size, coupling).first


def specific_heat(size: int, coupling: float) -> float:
    """Return c = (K²/N) d² ln Z / dK², the specific heat per site."""
    second = _log_partition(size, coupling).second
    return 0.0 if second == 0.0 else coupling * (coupling * second)  # K² alone overflows at K = 1e200


def energy_variance(size: int, coupling: float) -> float:
    """Return the variance of the energy per site, (1/N²) d² ln Z / dK²: finite at both ends."""
    return _log_partition(size, coupling).second / size**2


def nn_correlation(size: int, coupling: float) -> float:
    """Return ⟨s_i s_j⟩ of nearest neighbours, −u/2."""
    return energy(size, coupling) / -2.0


def _log_partition(size: int, coupling: float) -> _Jet:
    """Return ln Z, and its first two derivatives in K *per site*."""
    check_size(size, smallest=2)
    check_coupling(coupling)
    if coupling < HOT_LIMIT:
        return _hot(size, coupling)
    if math.exp(-4.0 * coupling) < EXPANSION_LIMIT:
        return _cold(size, coupling)
    return _kaufman(size, coupling)


def _hot(size: int, coupling: float) -> _Jet:
    """Return the leading orders, ln Z = N (ln 2 + K²) + 2L K^L; the last counts loops around the torus."""
    return _Jet(
        size**2 * (math.log(2.0) + coupling**2) + 2.0 * size * coupling**size,
        2.0 * coupling + 2.0 * coupling ** (size - 1),
        2.0 + 2.0 * (size - 1) * coupling ** (size - 2),
    )


def _cold(size: int, coupling: float) -> _Jet:
    """Return ln Z = 2NK + ln 2 + N Σ a_n e^{−4nK}: few overturned spins on one of two ground states."""
    f, first, second = expansion(math.exp(-4.0 * coupling), COLD_EXPANSIONS.get(size, EXPANSION))
    return _Jet(size**2 * (2.0 * coupling + f) + math.log(2.0), 2.0 - 4.0 * first, 16.0 * second)


def _kaufman(size: int, coupling: float) -> _Jet:
    """Return ln Z from the four products, carried from s to K by the chain rule."""
    n = size**2
    sinh, cosh = math.sinh(2.0 * coupling), math.cosh(2.0 * coupling)
    constant = (0.5 * n - 1.0) * math.log(2.0)
    if sinh <= 1.0:  # s = S: s′ = 2 cosh 2K, s″ = 4S
        products = _sum_of_products(size, sinh, sign=-1.0)
        return _Jet(
            constant + products.value,
            2.0 * cosh * products.first / n,
            (4.0 * cosh**2 * products.second + 4.0 * sinh * products.first) / n,
        )
    # s = 1/S, and a factor S^N stays: (ln S)′ = 2 coth 2K, (ln S)″ = −4/S²
    products = _sum_of_products(size, 1.0 / sinh, sign=1.0)
    slope, curvature = -2.0 * cosh / sinh**2, 4.0 / sinh + 8.0 / sinh**3  # s′, s″
    return _Jet(
        constant + n * math.log(sinh) + products.value,
        2.0 * cosh / sinh + slope * products.first / n,
        -4.0 / sinh**2 + (slope**2 * products.second + curvature * products.first) / n,
    )


def _sum_of_products(size: int, s: float, sign: float) -> _Jet:
    """Return ln of s^{N/2} times the bracket of the four products; `sign` is that of γ_0.

    Each term is e^{a(s)} m(s): m = 1 but for the last, whose l = 0 factor changes sign at K_c. The exponent
    of the first term, continued linearly, is divided out of all four: the large parts of the logarithmic
    derivatives, of order N, then cancel before they are squared.
    """
    odd, even = np.arange(1, 2 * size, 2), np.arange(2, 2 * size, 2)
    zero, odd_modes, even_modes = _zero_mode(s), _modes(size, s, odd), _modes(size, s, even)
    one = _Jet(1.0, 0.0, 0.0)
    half = size / 2.0 * zero.growth[:, 0]
    terms = [
        (_log_product(size, [odd_modes], 1.0), one),
        (_log_product(size, [odd_modes], -1.0), one),
        (_log_product(size, [even_modes, zero], 1.0), one),
        (_add(_log_product(size, [even_modes], -1.0), half), _zero_sinh(size, zero, sign)),
    ]
    reference = terms[0][0]
    total = np.zeros(3)
    for a, m in terms:
        slope = a.first - reference.first
        total += math.exp(a.value - reference.value) * np.array(
            [
                m.value,
                m.first + slope * m.value,
                m.second + 2.0 * slope * m.first + (slope**2 + a.second) * m.value,
            ]
        )
    ratio = float(total[1] / total[0])
    return _Jet(
        reference.value + math.log(total[0]),
        reference.first + ratio,
        float(total[2] / total[0]) - ratio**2,
    )


def _modes(size: int, s: float, l: np.ndarray) -> _Modes:
    """Return G and γ of the modes l > 0, from cosh γ = q/s and sinh γ = R/s.

    γ′ = A′/sinh γ and γ″ = (A″ − cosh γ γ′²)/sinh γ, where A = s + 1/s.
    """
    angle = np.pi * np.minimum(l, 2 * size - l) / size
    sine2 = np.sin(angle / 2.0) ** 2
    q_minus, q_plus = (1.0 - s) ** 2 + 2.0 * s * sine2, 1.0 + s * s + 2.0 * s * sine2
    q, r = q_minus + s, np.sqrt(q_minus * q_plus)
    q_first = 2.0 * s - np.cos(angle)
    r_first = (q * q_first - s) / r
    g_first = (q_first - s / (q + r)) / r
    g_second = (2.0 - q_first * r_first / r - (1.0 - s * g_first - s * r_first / r) / (q + r)) / r
    gamma_first = (s - 1.0) * (s + 1.0) / (s * r)
    gamma_second = (2.0 / s**2 - q * gamma_first**2) / r
    gamma = 2.0 * np.arcsinh(np.sqrt((1.0 - s) ** 2 / (2.0 * s) + sine2))
    return _Modes(np.stack([np.log(q + r), g_first, g_second]), np.stack([gamma, gamma_first, gamma_second]))


def _zero_mode(s: float) -> _Modes:
    """Return G and |γ_0| = 2 asinh((1 − s)/√(2s)), written so that R = (1 − s)√(1 + s²) may vanish at K_c."""
    root = math.sqrt(1.0 + s * s)
    product = root * (root + 1.0 + s)
    product_first = 2.0 * s + root + s * (1.0 + s) / root
    gamma = [
        2.0 * math.asinh((1.0 - s) / math.sqrt(2.0 * s)),
        -(1.0 + s) / (s * root),
        (1.0 + s) * (1.0 / (s**2 * root) + 1.0 / root**3) - 1.0 / (s * root),
    ]
    q = 1.0 - s + s * s
    growth = [math.log(q + (1.0 - s) * root), -2.0 / product, 2.0 * product_first / product**2]
    return _Modes(np.array(growth)[:, None], np.array(gamma)[:, None])


def _log_product(size: int, parts: list[_Modes], sign: float) -> _Jet:
    """Return ln Π_l s^{L/2} e^{Lγ/2} (1 ± e^{−Lγ}), the upper sign for 2cosh, the lower for 2sinh."""
    growth = np.concatenate([part.growth for part in parts], axis=1)
    gamma, gamma_first, gamma_second = np.concatenate([part.gamma for part in parts], axis=1)
    small = sign * np.exp(-size * gamma)
    share = small / (1.0 + small)
    value = 0.5 * size * growth[0] + np.log1p(small)
    first = 0.5 * size * growth[1] - size * gamma_first * share
    second = 0.5 * size * growth[2] - size * gamma_second * share
    second += (size * gamma_first) ** 2 * share * (1.0 - share)
    # The four products share their leading digits at large L, and only differences matter: hence fsum.
    return _Jet(math.fsum(value), math.fsum(first), math.fsum(second))


def _zero_sinh(size: int, zero: _Modes, sign: float) -> _Jet:
    """Return ±(1 − e^{−L|γ_0|}), the l = 0 factor of the last product without its growth."""
    gamma, first, second = (float(x) for x in size * zero.gamma[:, 0])
    decay = math.exp(-gamma)
    return _Jet(-sign * math.expm1(-gamma), sign * first * decay, sign * (second - first**2) * decay)


def _add(jet: _Jet, other: np.ndarray) -> _Jet:
    """Return the sum of two functions."""
    return _Jet(*(float(x) for x in np.array(jet) + other))


def two_point_shape(row_fraction: ArrayLike | float, column_fraction: ArrayLike | float) -> Float[np.ndarray, "..."]:
    """Return ⟨s_0 s_r⟩ on the square torus at T_c in the scaling limit, up to one amplitude.

    With the displacement as fractions of the period, z = column + i row, and theta functions at τ = i,

        F(z) = |θ₁′(0)/θ₁(z)|^{1/4} Σ_{ν=1..4} |θ_ν(z/2)| / Σ_{ν=2..4} |θ_ν(0)|

    (Di Francesco, Saleur and Zuber 1987). F → |z|^{−1/4} as z → 0, where it is infinite.
    """
    row, column = (np.asarray(x, dtype=np.float64) for x in (row_fraction, column_fraction))
    # F has period 1 in both directions; near the origin the theta series converge at once.
    z = np.asarray((column - np.rint(column)) + 1j * (row - np.rint(row)))
    numerator = np.abs(_thetas(np.asarray(z / 2.0))).sum(axis=0)
    denominator = np.abs(_thetas(np.zeros_like(z))[1:]).sum(axis=0)
    with np.errstate(divide="ignore"):  # z = 0
        return np.asarray((_slope() / np.abs(_thetas(z)[0])) ** 0.25 * numerator / denominator)


def energy_two_point_shape(
    row_fraction: ArrayLike | float, column_fraction: ArrayLike | float, connected: bool = True
) -> Float[np.ndarray, "..."]:
    """Return ⟨ε_0 ε_r⟩ on the square torus at T_c in the scaling limit, up to one amplitude.

    ε = iψ̄ψ of a free Majorana fermion. In each even spin structure ν = 2, 3, 4, of weight Z_ν ∝ |θ_ν(0)|, Wick's rule
    gives the square of the propagator S_ν(z) = θ₁′(0) θ_ν(z)/(θ_ν(0) θ₁(z)), so that

        F(z) = Σ_{ν=2..4} |θ_ν(0)| |S_ν(z)|² / Σ_{ν=2..4} |θ_ν(0)|

    (Di Francesco, Saleur and Zuber 1987), → |z|^{−2} as z → 0. The odd structure ν = 1 adds nothing: duality turns the
    sign of ε and that of its weight, so that it makes averages of an odd number of ε alone, above all
    ⟨ε⟩ = `energy_shape`, which is not 0 on a finite torus. Connected: F − ⟨ε⟩².
    """
    row, column = (np.asarray(x, dtype=np.float64) for x in (row_fraction, column_fraction))
    z = np.asarray((column - np.rint(column)) + 1j * (row - np.rint(row)))
    at_zero, here = np.abs(_thetas(np.zeros((), complex))), np.abs(_thetas(z))
    with np.errstate(divide="ignore"):  # z = 0
        propagators = (_slope() * here[1:] / here[0]) ** 2
    weights = at_zero[1:].reshape(3, *(1,) * z.ndim)
    F = (propagators / weights).sum(axis=0) / at_zero[1:].sum()
    return np.asarray(F - energy_shape() ** 2 if connected else F)


def energy_shape() -> float:
    """Return ⟨ε⟩ on the square torus at T_c, L = 1, in the units of `energy_two_point_shape`.

    It comes from the zero modes of ψ and ψ̄ in the odd spin structure and is π θ₂θ₃θ₄/(θ₂ + θ₃ + θ₄) = 0.97773, the sign
    that of more order; −u − √2 = (2/π) ⟨ε⟩/L is what Ferdinand and Fisher (1969) found of the energy.
    """
    thetas = np.abs(_thetas(np.zeros((), complex)))[1:]
    return float(np.pi * thetas.prod() / thetas.sum())


def _slope() -> float:
    """Return θ₁′(0)."""
    n = np.arange(4)
    return 2.0 * np.pi * float(np.sum((-1.0) ** n * (2 * n + 1) * np.exp(-np.pi * (n + 0.5) ** 2)))


def _thetas(z: Complex[np.ndarray, "..."]) -> Complex[np.ndarray, "4 ..."]:
    """Return θ₁ … θ₄ at nome e^{−π}, of unit period up to a sign; four terms reach 1e-16 for |Im z| ≤ ½."""
    n = np.arange(4)
    half, whole = np.exp(-np.pi * (n + 0.5) ** 2), np.exp(-np.pi * (n + 1.0) ** 2)
    odd, even = (2 * n + 1) * np.pi * z[..., None], 2 * (n + 1) * np.pi * z[..., None]
    return np.stack(
        [
            2.0 * np.sum((-1.0) ** n * half * np.sin(odd), axis=-1),
            2.0 * np.sum(half * np.cos(odd), axis=-1),
            1.0 + 2.0 * np.sum(whole * np.cos(even), axis=-1),
            1.0 + 2.0 * np.sum((-1.0) ** (n + 1) * whole * np.cos(even), axis=-1),
        ]
    )


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
    _check_transfer(size)
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


def _check_transfer(size: int) -> None:
    """Raise `InputError` unless 3 ≤ L ≤ 10."""
    if size == 2:
        message = "size = 2: a torus of side 2 counts each bond twice; use a size from 3 to 10"
        raise InputError(message)
    check_size(size, smallest=3)
    if size > LARGEST_TRANSFER:
        message = f"size = {size}: the transfer matrix has 2^{size} rows; use size ≤ 10, or sample"
        raise InputError(message)
