"""Does h correlate over distance as critical spins on a torus do? The hidden two-point function.

At T_c, in the scaling limit, the spins of an L-by-L torus have (Di Francesco, Saleur and Zuber 1987)

    G(d) = (1/N) Σ_x ⟨h_x h_{x+d}⟩ = A F(d/L),        F(z) → |z|^(−2Δ) as z → 0, Δ_σ = 1/8,

with one amplitude A (`exact.torus.two_point_shape`), and so has every local coarse graining of them, beyond a few
lattice spacings. Three numbers are read from G: the ratio G(½, 0)/G(½, ½) = 1.02437; Δ from ln G = ln A + 8Δ ln F,
which has the power and the period right for every Δ, and the torus function itself for Δ = 1/8; and how far the shape
is from A F. ⟨h⟩ = 0 by symmetry at T_c, so that nothing is subtracted. Units of a dense network have an amplitude each
(`amplitudes`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority
from rgstep.correlators import Source, correlation_sums, read
from rgstep.diagnostics.amplitudes import distances, own_amplitudes, pair_weights, torus_function, weighted_sums
from rgstep.diagnostics.subject import Row, Subject
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, jackknife, with_rest
from rgstep.exact import enumeration, torus
from rgstep.nets.rbm import RBM
from rgstep.report import Diagnostic, Quantity

TELLS = (
    "It tells whether h correlates with itself as critical spins do, at all distances with one amplitude, as every "
    "local coarse graining of them must. It does not tell on which tiles h lives or where it flows: decimation keeps "
    "the function exactly, and is no step to the fixed point."
)
GROUPS = 64
NEAREST = 2.0  # lattice spacings of h: nearer, the lattice shows (docs/diagnostics/two_point.md)
SMALLEST_SIDE = 4  # for a fit: on 2×2 there is nothing beyond `NEAREST`
LOPSIDED = 4.0  # standard errors of ⟨h⟩
FEW = 100  # samples
ROUNDING = 1e-12
EXACT_SIZE = 4
NAMES = ("g_half_ratio", "delta_sigma", "shape_deviation")


@dataclass(frozen=True, eq=False)
class Curve:
    """A two-point function and what is read from it.

    Attributes:
        value: G(d), `(row, column)` of d, and its error.
        mean: ⟨h⟩ over sites and samples.
        readings: `g_half_ratio`, `delta_sigma`, `shape_deviation`, those that can be had.
        amplitude: A of the fit with Δ = 1/8; NaN where there is nothing to fit.
    """

    value: Estimate
    mean: Estimate
    readings: Mapping[str, Estimate]
    amplitude: float


def curve(field: Source, nearest: float = NEAREST, own: np.ndarray | None = None) -> Curve:
    """Return the two-point function of a lattice-valued field and its comparison with the torus.

    `g_half_ratio` is the mean of G(½, 0) and G(0, ½) over G(½, ½), sides halved and rounded down; `delta_sigma` the
    slope of ln G on ln F over all displacements with |d| ≥ `nearest`, over 8; `shape_deviation` the rms of
    G/(A F) − 1 over the same, A the mean of G/F, its noise subtracted. Errors by jackknife over 64 groups.

    Cost: a Fourier transform a sample: 10 μs for 32×32; with amplitudes l⁴ operations.

    Args:
        field: an `Ensemble`, or `(sample, row, column)`.
        nearest: the shortest displacement in the fits, in lattice spacings.
        own: the amplitude of each site, `(row, column)`, where they are not alike (`amplitudes.own_amplitudes`).

    Raises:
        InputError: if the field is not on a square lattice, or the amplitudes are not those of its sites.
    """
    one = read(field, 0, 1)
    if one.ndim != 3 or one.shape[1] != one.shape[2] or not len(field):
        message = f"a field of shape {(len(field), *one.shape[1:])}: expected (sample, l, l), h with places"
        raise InputError(message)
    if own is not None and own.shape != one.shape[1:]:
        message = f"amplitudes of shape {own.shape}: expected {one.shape[1:]}, one for each site"
        raise InputError(message)
    sums_of = correlation_sums if own is None else partial(weighted_sums, weights=pair_weights(own))
    bounds = group_bounds(len(field), GROUPS)
    parts = [sums_of(field, a, b) for a, b in bounds]
    products, sums = np.stack([part[0] for part in parts]), np.array([float(part[1]) for part in parts])
    counts = np.array([float(b - a) for a, b in bounds])
    correlation, mean = averages(products, counts), averages(sums, counts)
    found = {name: values for name, values in read_all(correlation, nearest).items() if np.isfinite(values[0])}
    return Curve(
        jackknife(correlation[0], correlation[1:]),
        jackknife(mean[0], mean[1:]),
        {name: concluded(name, values) for name, values in found.items() if name in NAMES},
        float(found["amplitude"][0]) if "amplitude" in found else math.nan,
    )


def averages(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the average over all groups, then without each (if there are two): `(set, …)`."""
    total = with_rest(sums)
    return np.asarray(total / with_rest(counts).reshape(-1, *(1,) * (sums.ndim - 1)))


def read_all(correlation: np.ndarray, nearest: float = NEAREST) -> dict[str, np.ndarray]:
    """Return the ratio, Δ, mean square deviation and amplitude of each of several G(d), `(set, row, column)`."""
    size = correlation.shape[1]
    half = size // 2
    corner = correlation[:, half, half]
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        found["g_half_ratio"] = np.asarray((correlation[:, half, 0] + correlation[:, 0, half]) / 2 / corner)
    if size < SMALLEST_SIDE:
        return found
    shape, far = torus_function(size), distances(size) >= max(nearest, 1e-9)
    if len(np.unique(np.round(distances(size)[far], 9))) < 2:
        return found
    G, F = correlation[:, far], shape[far]
    x = np.log(F) - np.log(F).mean()
    amplitude = (G / F).mean(axis=1)
    found["amplitude"] = amplitude
    if (amplitude != 0).all():
        found["shape_deviation"] = np.asarray(((G / F / amplitude[:, None] - 1) ** 2).mean(axis=1))
    if (G > 0).all():
        found["delta_sigma"] = np.asarray(np.log(G) @ x / (x @ x) / 8)
    return found


def concluded(name: str, values: np.ndarray) -> Estimate:
    """Return a reading with its jackknife error; of the deviation the root, without the part that noise adds."""
    if not np.isfinite(values).all():  # a group decides whether there is a number at all
        return Estimate(math.nan, math.nan)
    if name != "shape_deviation":
        estimate = jackknife(values[0], values[1:])
        return Estimate(estimate.value, 0.0 if estimate.error < ROUNDING else estimate.error)
    squared = jackknife(values[0], values[1:], correct_bias=True)
    value, error = max(float(squared.value), 0.0), float(squared.error)
    return Estimate(math.sqrt(value), error / (math.sqrt(value) + math.sqrt(value + error)) if error else 0.0)


def row(subject: Subject) -> Row:
    """G of h as drawn at all levels against the torus, and that of the spins beside it."""
    if subject.placed is None:
        why = "not measured: h has no places; return (sample, l, l), or as many units as fill a square lattice"
        return Diagnostic(None, why, {}), {}
    levels = [subject.ensemble, subject.placed, *subject.levels[2:]]
    own = amplitudes_of(subject)
    curves = [curve(level, own=own if n == 1 else None) for n, level in enumerate(levels)]
    arrays: dict[str, np.ndarray] = {} if own is None else {"two_point_own": own}
    for n, found in enumerate(curves):
        key = f"two_point_{n}"
        arrays |= {key: np.asarray(found.value.value), f"{key}_error": np.asarray(found.value.error)}
        arrays[f"{key}_amplitude"] = np.asarray(found.amplitude)
    if not subject.ensemble.system.is_critical:
        why = "curves only: the torus function is that of T_c, and the configurations are not critical"
        return Diagnostic(None, "; ".join([why, *warned(subject, curves)]), {}), arrays
    quantities = {}
    for n, found in enumerate(curves):
        suffix = {0: "_v", 1: ""}.get(n, f"[{n}]")
        known = exact_ratio(subject, n)
        for name, estimate in found.readings.items():
            trusted = estimate if len(subject.ensemble) >= FEW else Estimate(estimate.value, math.nan)
            quantities[name + suffix] = Quantity(trusted, known if name == "g_half_ratio" else None)
    fractions = {side for found in curves[:2] if (side := len(np.asarray(found.value.value))) > 1}
    expected = " and ".join(f"{half_ratio(size):.5f} on {size}×{size}" for size in sorted(fractions))
    says = (
        f"G of h as drawn, nothing subtracted, against the critical torus with one amplitude; G(½,0)/G(½,½) would be "
        f"{expected} in the scaling limit, Δ_σ 1/8 and the deviation 0, both over distances of at least {NEAREST:g}; "
        f"_v: the spins themselves, [n]: h after n steps"
    )
    if own is not None:
        says += f"; units have amplitudes of their own, from {own.min():.2f} to {own.max():.2f} (rms 1)"
    return Diagnostic(None, "; ".join([says, *warned(subject, curves)]), quantities), arrays


def amplitudes_of(subject: Subject) -> np.ndarray | None:
    """Return the amplitude of the unit on each coarse site, `(l, l)`; None where h came with places or T is not T_c."""
    if subject.gauge is None or subject.placed is None or not subject.ensemble.system.is_critical:
        return None
    return own_amplitudes(subject.placed, NEAREST, ~np.isin(subject.gauge.order, subject.gauge.constant))


def half_ratio(size: int) -> float:
    """Return the torus's G(½, 0)/G(½, ½), the sides halved and rounded down."""
    half = (size // 2) / size
    return float(torus.two_point_shape(half, 0.0) / torus.two_point_shape(half, half))


def warned(subject: Subject, curves: list[Curve]) -> list[str]:
    """Return what is to be minded, in clauses."""
    says = []
    if subject.gauge is not None:
        says.append(f"places found from the pictures, those of units off by {subject.gauge.residual:.2f} spacings rms")
        if subject.gauge.constant:
            says.append(f"{len(subject.gauge.constant)} constant units do not count")
    for n, found in enumerate(curves):
        mean, error = float(found.mean.value), float(found.mean.error)
        if abs(mean) > LOPSIDED * error and abs(mean) > 1e-9:
            says.append(f"⟨h⟩ = {found.mean} at level {n}, not 0 as the symmetry has it, and G holds its square")
        if subject.ensemble.system.is_critical and n < 2 and "delta_sigma" not in found.readings:
            small = len(np.asarray(found.value.value)) < SMALLEST_SIDE
            reason = "the lattice is too small" if small else "G is not positive everywhere"
            says.append(f"no fit at level {n}: {reason}")
    if len(subject.ensemble) < FEW:
        says.append(
            f"only {len(subject.ensemble)} samples, most of them all up or all down: no errors, give {FEW} or more"
        )
    return says


def exact_ratio(subject: Subject, level: int) -> float | None:
    """Return the exact g_half_ratio on 4×4: of the spins, and of h where its sites are independent given v."""
    system = subject.ensemble.system
    if system.size != EXACT_SIZE or level > 1 or not math.isfinite(system.coupling):
        return None
    if level == 1 and not isinstance(subject.original, Average | Majority | Decimation | BernoulliBlock | RBM):
        return None
    v, p = enumeration.states(EXACT_SIZE), enumeration.probabilities(EXACT_SIZE, system.coupling)
    h = v if level == 0 else subject.coarse.mean_h(v)
    if h.ndim != 3:
        if subject.gauge is None:
            return None
        h = subject.gauge.apply(h)
    power = np.abs(np.fft.fft2(h.astype(np.float64))) ** 2
    correlation = np.fft.ifft2(np.tensordot(p, power, axes=1)).real
    return float(read_all(correlation[None])["g_half_ratio"][0])
