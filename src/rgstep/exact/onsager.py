"""What are the energy, specific heat and magnetisation of the infinite lattice?

With κ = 2 sinh 2K / cosh² 2K, κ″ = 2 tanh² 2K − 1 and the complete elliptic integrals K₁(κ), E₁(κ),

    u = −coth 2K [1 + (2/π) κ″ K₁],
    c = (2/π) (K coth 2K)² {2K₁ − 2E₁ − (1 − κ″)(π/2 + κ″ K₁)},
    m = (1 − sinh⁻⁴ 2K)^{1/8} above K_c, 0 below                        (Onsager 1944; Yang 1952).

u and c are per site, in units J = k_B = 1. Deep in either phase the brackets cancel to a few digits, so there
the expansion Σ a_n x^n of ln Z per site is used: in x = e^{−4K} at low temperature and, by the duality of
Kramers and Wannier (1941) with the same a_n, in x = tanh² K at high temperature.
"""

import math

import scipy  # its parts load when first used; sampling needs none of them

from rgstep.arguments import InputError, is_whole

CRITICAL_COUPLING = 0.5 * math.log1p(math.sqrt(2.0))
"""K_c = ½ ln(1 + √2), where sinh 2K = 1."""

CRITICAL_REST = -1.1252729464129331e-17
"""K_c minus the double above, a fifth of the distance to the next one."""

EXPANSION = (1.0, 2.0, 9 / 2, 12.0, 112 / 3, 130.0)
"""a_2 … a_7 in ln Z / N = 2K + Σ a_n e^{−4nK}, from exact state counts of 8×8: windings begin at n = 8."""

# Measured at x = e^-6: the terms dropped cost c 2e-12 of itself, the cancellation in the closed form 6e-13.
EXPANSION_LIMIT = math.exp(-6.0)


def check_coupling(coupling: float) -> None:
    """Raise `InputError` unless 0 ≤ K ≤ ∞."""
    if not coupling >= 0:  # written so that NaN fails too
        message = f"coupling = {coupling}: K = J/k_BT must lie between 0 (T = ∞) and inf (T = 0)"
        raise InputError(message)


def check_size(size: int, smallest: int) -> None:
    """Raise `InputError` unless L is a whole number of at least `smallest`."""
    if not is_whole(size) or size < smallest:
        message = f"size = {size}: the lattice side must be a whole number ≥ {smallest}; try {smallest}"
        raise InputError(message)


def expansion(x: float, coefficients: tuple[float, ...] = EXPANSION) -> tuple[float, float, float]:
    """Return f = Σ_{n≥2} a_n xⁿ, x f′ and x (x f′)′."""
    terms = [a * x**n for n, a in enumerate(coefficients, start=2)]
    return (
        sum(terms),
        sum(n * term for n, term in enumerate(terms, start=2)),
        sum(n * n * term for n, term in enumerate(terms, start=2)),
    )


def _modulus(coupling: float) -> tuple[float, float]:
    """Return κ″ = 2 tanh² 2K − 1 and κ″², the complementary parameter 1 − κ² of the elliptic integrals."""
    s = math.sinh(2.0 * coupling)
    excess = s - 1.0
    if excess == 0.0:  # rounded off in a neighbour of K_c, where s − 1 = 2√2 (K − K_c)
        excess = 2.0 * math.sqrt(2.0) * (coupling - CRITICAL_COUPLING - CRITICAL_REST)
    complementary = excess * (s + 1.0) / (s * s + 1.0)  # keeps its digits near K_c, where it vanishes
    return complementary, complementary * complementary


def energy(coupling: float) -> float:
    """Return u, the energy per site: 0 at K = 0, −√2 at K_c, −2 at K = ∞."""
    check_coupling(coupling)
    if coupling == CRITICAL_COUPLING:
        return -math.sqrt(2.0)
    t, x = math.tanh(coupling), math.exp(-4.0 * coupling)
    if x < EXPANSION_LIMIT:
        return -2.0 + 4.0 * expansion(x)[1]
    if t == 0.0:
        return 0.0
    if t * t < EXPANSION_LIMIT:
        return -2.0 * t - 2.0 * expansion(t * t)[1] * (1.0 - t * t) / t
    complementary, parameter = _modulus(coupling)
    return -(1.0 + 2.0 / math.pi * complementary * float(scipy.special.ellipkm1(parameter))) / math.tanh(2.0 * coupling)


def specific_heat(coupling: float) -> float:
    """Return c, the specific heat per site: 0 at K = 0 and K = ∞, infinite at K_c."""
    check_coupling(coupling)
    if coupling == math.inf:
        return 0.0
    if coupling == CRITICAL_COUPLING:
        return math.inf
    x = math.exp(-4.0 * coupling)
    if x < EXPANSION_LIMIT:
        return coupling * (coupling * 16.0 * expansion(x)[2])  # in this order K = 1e200 gives 0, not ∞ · 0
    if math.tanh(coupling) ** 2 < EXPANSION_LIMIT:
        return _hot_specific_heat(coupling)
    complementary, parameter = _modulus(coupling)
    k1, e1 = float(scipy.special.ellipkm1(parameter)), float(scipy.special.ellipe(1.0 - parameter))
    bracket = 2.0 * (k1 - e1) - (1.0 - complementary) * (math.pi / 2 + complementary * k1)
    return 2.0 / math.pi * (coupling / math.tanh(2.0 * coupling)) ** 2 * bracket


def _hot_specific_heat(coupling: float) -> float:
    """Return c from ln Z / N = ln 2 + 2 ln cosh K + Σ a_n t^{2n}, t = tanh K."""
    x = math.tanh(coupling) ** 2
    if x == 0.0:
        return 0.0
    decay = 1.0 - x  # dt/dK
    _, first, second = expansion(x)
    # The derivative in K of −u = 2t + 2 (x f′)(1 − t²)/t, with x = t² and so dx/dK = 2x (1 − t²)/t.
    slope = 2.0 * decay + 4.0 * second / x * decay**2 - 2.0 * first / x * decay * (1.0 + x)
    return coupling * coupling * slope


def magnetisation(coupling: float) -> float:
    """Return the spontaneous magnetisation m per site: 0 up to K_c, 1 at K = ∞."""
    check_coupling(coupling)
    if coupling <= CRITICAL_COUPLING:
        return 0.0
    z2 = math.exp(-4.0 * coupling)
    inverse_sinh = 2.0 * math.sqrt(z2) / (1.0 - z2)
    if inverse_sinh == 0.0:
        return 1.0
    return float(max(0.0, -math.expm1(4.0 * math.log(inverse_sinh))) ** 0.125)
