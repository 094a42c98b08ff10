"""Effective couplings: the pair interactions of the visible and of the hidden marginal of an RBM.

As a function of ±1 spins, ln p(v) = −F(v) − ln Z has one expansion in products of different spins,

    −F(v) = const + Σ_i H_i v_i + Σ_{i<j} J_ij v_i v_j + Σ_{i<j<k} …,        J_ij = 2^−n Σ_v v_i v_j (−F(v)),
    J_ij = Σ_a E_x ¼ ln [cosh(x+W_ia+W_ja) cosh(x−W_ia−W_ja) / (cosh(x+W_ia−W_ja) cosh(x−W_ia+W_ja))],

x = b_a + Σ_{k≠i,j} W_ka v_k with fair spins v_k (Decelle, Furtlehner, Navas Gómez and Seoane, arXiv:2309.02292). The
mean over the other spins is a product in Fourier space: with sech² x = ½ ∫ dω ω e^{iωx} / sinh(πω/2),

    J_ij = Σ_a ∫_0^∞ dω cos(ωb_a) sin(ωW_ia) sin(ωW_ja) C_ij(ω) / (ω sinh(πω/2)),

    exact       C_ij = Π_{k≠i,j} cos(ωW_ka), for any number of spins
    gaussian    C_ij = exp(−½ω² Σ_{k≠i,j} W_ka²): x taken as normal, the approximation of arXiv:2309.02292
    leading     J_ij = Σ_a (1 − tanh² b_a) W_ia W_ja: lowest order in W, good where Σ_k W_ka² ≪ 1 for every unit

The integral becomes a sum over ω = (m+½)h. Its error is the logarithm at x shifted by multiples of 2π/h (Poisson
summation), so that h follows from how far x reaches: below 1e-8 for each hidden unit. The hidden marginal is the same
with the layers exchanged. Couplings of more than two spins are left out; they vanish only in leading order.

Root mean square errors relative to the couplings, for 14 spins and 8 units without biases (tests/test_couplings.py):
weights of standard deviation 0.1, gaussian 0.2 % and leading 12 %; 0.5, 3 % and 150 %; four weights of 0.8 beside
others of 0.1, 4 % and 110 %. Exact costs no more than gaussian: 5 s for 1024 × 256 units on one core.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rgstep import memory
from rgstep.arguments import InputError, require_positive, unknown_name
from rgstep.estimates import Estimate
from rgstep.nets.localisation import localisation, require_square
from rgstep.nets.rbm import RBM
from rgstep.types import Progress

LARGEST_FREQUENCY = 12.0  # 1 / (ω sinh(πω/2)) is 1e-9 there
LARGEST_DEVIATION = 6.5  # of x from b_a, in units of (Σ W²)^½: beyond with a chance < 2 exp(−6.5²/2) = 1e-9 (Hoeffding)
GAP_BETWEEN_IMAGES = 10.0  # of x: the logarithm falls off as exp(−2|x|)
LARGEST_EXPONENT = 700.0  # of exp in float64
ARRAYS_AT_ONCE = 5  # (spin, frequency)
DISPLACEMENTS_SHOWN = 6  # in a printed table


def visible_couplings(rbm: RBM, method: str = "exact", progress: Progress | None = None) -> np.ndarray:
    """Return J_ij of the visible units after the hidden ones are summed over.

    Args:
        rbm: the network; any number of units.
        method: "exact", "gaussian" or "leading", see the module.
        progress: called after each hidden unit; not for "leading", which is one product.

    Returns:
        float64 `(visible, visible)`, symmetric, zero on the diagonal; p(v) has the factor exp(Σ_{i<j} J_ij v_i v_j).

    Raises:
        InputError: for an unknown method, parameters that are not finite, or too little memory.
    """
    return _couplings(rbm.weights, rbm.hidden_bias, method, progress, "visible couplings")


def hidden_couplings(rbm: RBM, method: str = "exact", progress: Progress | None = None) -> np.ndarray:
    """Return J_ab of the hidden units after the visible ones are summed over, float64 `(hidden, hidden)`.

    As `visible_couplings` with W transposed and the visible biases in the place of the hidden ones.
    """
    return _couplings(rbm.weights.T, rbm.visible_bias, method, progress, "hidden couplings")


def _couplings(w: np.ndarray, b: np.ndarray, method: str, progress: Progress | None, stage: str) -> np.ndarray:
    """Return the couplings of the first axis of w `(n, m)`; the m units that are summed over have the biases b."""
    w, b = w.astype(np.float64), b.astype(np.float64)
    if method not in METHODS:
        kind = "method"
        raise unknown_name(kind, method, METHODS)
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        message = "the network has weights or biases that are not finite numbers: it has no couplings, train it again"
        raise InputError(message)
    _check_memory(w, b)
    if method == "leading":
        total = np.asarray((w * (1 - np.tanh(b) ** 2)) @ w.T)
    else:
        total = np.zeros((len(w), len(w)))
        for unit, (column, bias) in enumerate(zip(w.T, b, strict=True)):
            left, weight = INTEGRANDS[method](column, float(bias))
            total += (left * weight) @ left.T
            if progress:
                progress(stage, unit + 1, len(b))
    total = np.asarray((total + total.T) / 2)
    np.fill_diagonal(total, 0.0)
    return total


def _check_memory(w: np.ndarray, b: np.ndarray) -> None:
    """Raise `InputError` unless two matrices of couplings and the arrays of one unit fit in memory."""
    period = max((_period(column, float(bias)) for column, bias in zip(w.T, b, strict=True)), default=0.0)
    frequencies = math.ceil(LARGEST_FREQUENCY * period / (2 * math.pi))
    memory.require(
        8 * len(w) * (2 * len(w) + ARRAYS_AT_ONCE * frequencies),
        f"couplings of {len(w)} units with weights up to {np.abs(w).max(initial=0.0):.3g}",
        "judge a smaller network, or one with smaller weights",
    )


def _period(w: np.ndarray, b: float) -> float:
    """Return 2π/h: a shift of x that puts the logarithm out of reach."""
    return (
        abs(b)
        + LARGEST_DEVIATION * math.sqrt(float(w @ w))
        + 2 * float(np.abs(w).max(initial=0.0))
        + GAP_BETWEEN_IMAGES
    )


def _frequencies(w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ω and h cos(ωb) / (ω sinh(πω/2))."""
    step = 2 * math.pi / _period(w, b)
    frequency = (np.arange(math.ceil(LARGEST_FREQUENCY / step)) + 0.5) * step
    return frequency, step * np.cos(frequency * b) / (frequency * np.sinh(math.pi * frequency / 2))


def _exact(w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return factors `(n, ω)` and weights `(ω,)`: tan(ωW_i), and Π_k cos(ωW_k) with the rest of the integrand."""
    frequency, weight = _frequencies(w, b)
    phase = w[:, None] * frequency
    cosine = np.cos(phase)  # of a double: never exactly 0
    return np.sin(phase) / cosine, weight * cosine.prod(axis=0)


def _gaussian(w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return factors `(n, ω)` and weights `(ω,)`: sin(ωW_i) exp(½ω²W_i² − ¼ω² Σ_k W_k²), and 1 / (ω sinh(πω/2))."""
    frequency, weight = _frequencies(w, b)
    exponent = (w**2 - w @ w / 2)[:, None] / 2 * frequency**2
    if exponent.max(initial=0.0) > LARGEST_EXPONENT:
        message = (
            f"method 'gaussian': a unit has a weight of {np.abs(w).max():.3g} beside small ones, "
            "and their sum is far from normal; use method 'exact'"
        )
        raise InputError(message)
    return np.sin(w[:, None] * frequency) * np.exp(exponent), weight


INTEGRANDS: dict[str, Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]] = {
    "exact": _exact,
    "gaussian": _gaussian,
}
METHODS = (*INTEGRANDS, "leading")


@dataclass(frozen=True, eq=False)
class CouplingsByDisplacement:
    """Couplings of the sites of an L×L torus, averaged over translations, rotations and reflections.

    The error of an average is the spread of its pairs over √pairs: how far the network is from the symmetry, not the
    error of its training.

    Attributes:
        size: L.
        displacements: int `(k, 2)`, (dx, dy) with dx ≥ dy ≥ 0 on the shortest way around the torus, shortest first.
        pairs: int `(k,)`, how many pairs of sites have each displacement.
        couplings: J by displacement, `(k,)`.
        rest: the root mean square of J over all pairs that are not nearest neighbours.
        coupling: the true K, where one is known; every J but the nearest neighbours' is then 0.
    """

    size: int
    displacements: np.ndarray
    pairs: np.ndarray
    couplings: Estimate
    rest: Estimate
    coupling: float | None = None

    def at(self, dx: int, dy: int) -> Estimate:
        """Return J at a displacement in lattice spacings, of any order and sign: at(1, 0) is the nearest neighbours'.

        Raises:
            InputError: for (0, 0), which is no pair.
        """
        steps = sorted((min(d % self.size, -d % self.size) for d in (dx, dy)), reverse=True)
        found = np.flatnonzero((self.displacements == steps).all(axis=1))
        if not found.size:
            message = f"displacement ({dx}, {dy}) on a lattice of side {self.size} leads from a site to itself: no pair"
            raise InputError(message)
        return self.couplings[int(found[0])]

    def __str__(self) -> str:
        """Return the first displacements as a table."""
        known = "" if self.coupling is None else f", true K = {self.coupling:.6g}"
        shown = range(min(DISPLACEMENTS_SHOWN, len(self.pairs)))
        rows = [
            (f"({dx}, {dy})", str(self.couplings[k])) for k, (dx, dy) in zip(shown, self.displacements, strict=False)
        ]
        rows.append(("root mean square beyond (1, 0)", str(self.rest)))
        width = max(len(label) for label, _ in rows) + 2
        head = f"couplings of the visible units by displacement{known}"
        return "\n".join([head, *(f"{label:{width}}{text}" for label, text in rows)])

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class CouplingsByDistance:
    """Couplings of the hidden units against the distance of their places, which are circular centroids of W².

    A place means little for a unit whose weights are spread over the lattice: `concentration` says how much.

    Attributes:
        edges: `(bin + 1,)`, in lattice spacings; the bins without pairs are left out of the arrays below.
        distance: `(k,)`, the mean distance of the pairs of a bin.
        pairs: int `(k,)`.
        median: the median of |J| in each bin, with half the width of its 68 % interval from order statistics.
        rms: the root mean square of J in each bin.
        concentration: the median over units of |Σ_x W² e^{2πix/L}| / Σ_x W², the smaller of the two axes': 1 for one
            site, 0 for equal weights.
    """

    edges: np.ndarray
    distance: np.ndarray
    pairs: np.ndarray
    median: Estimate
    rms: Estimate
    concentration: float

    def __str__(self) -> str:
        """Return the bins as a table."""
        head = f"couplings of the hidden units by distance; concentration of a unit's weights {self.concentration:.2f}"
        rows = [f"{'distance':>8}{'pairs':>8}{'median |J|':>18}{'root mean square':>18}"]
        for k, distance in enumerate(self.distance):
            rows.append(f"{distance:8.2f}{self.pairs[k]:8d}{self.median[k]!s:>18}{self.rms[k]!s:>18}")
        return "\n".join([head, *rows])

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class NetworkCouplings:
    """The couplings of both marginals of a network trained on a square lattice; `method` is how they were computed."""

    method: str
    visible: CouplingsByDisplacement
    hidden: CouplingsByDistance

    def __str__(self) -> str:
        """Return both tables."""
        return f"method {self.method}\n{self.visible}\n{self.hidden}"

    __repr__ = __str__


def network_couplings(
    rbm: RBM, coupling: float | None = None, method: str = "exact", progress: Progress | None = None
) -> NetworkCouplings:
    """Return the couplings of the visible and of the hidden marginal of a network on the lattice.

    Args:
        rbm: a network whose visible units are the sites of a square lattice, rows end to end.
        coupling: the true K, for the table; `ensemble.system.coupling`.
        method: "exact", "gaussian" or "leading".
        progress: called after each unit.

    Raises:
        InputError: as `visible_couplings`, or if the visible units do not make a square.
    """
    size = require_square(rbm)
    visible = couplings_by_displacement(visible_couplings(rbm, method, progress), size, coupling)
    hidden = couplings_by_distance(rbm, hidden_couplings(rbm, method, progress))
    return NetworkCouplings(method, visible, hidden)


def couplings_by_displacement(
    couplings: np.ndarray, size: int, coupling: float | None = None
) -> CouplingsByDisplacement:
    """Return J averaged over the symmetries of the L×L torus.

    Args:
        couplings: symmetric J `(site, site)`, rows of the lattice end to end.
        size: L.
        coupling: the true K, for the table.

    Raises:
        InputError: if the matrix is not that of L² sites.
    """
    size = require_positive("size", size)
    if couplings.shape != (size**2, size**2) or size < 2:
        message = f"couplings of shape {couplings.shape} for size = {size}: expected (L², L²) with L ≥ 2"
        raise InputError(message)
    first, second = np.triu_indices(size**2, 1)
    step = np.abs(np.stack([first // size - second // size, first % size - second % size], axis=1))
    step = np.sort(np.minimum(step, size - step), axis=1)[:, ::-1]
    order = (step**2).sum(axis=1) * size + step[:, 1]  # by length, then by dy
    _, start, index = np.unique(order, return_index=True, return_inverse=True)
    values = couplings[first, second].astype(np.float64)
    pairs = np.bincount(index)
    mean = np.bincount(index, values) / pairs
    spread = np.sqrt(np.bincount(index, (values - mean[index]) ** 2) / pairs)
    averages = Estimate(mean, spread / np.sqrt(pairs))
    return CouplingsByDisplacement(size, step[start], pairs, averages, _rms(values[index > 0]), coupling)


def couplings_by_distance(rbm: RBM, couplings: np.ndarray) -> CouplingsByDistance:
    """Return couplings of hidden units `(hidden, hidden)` against the distance of their places.

    The bins are as wide as the distance of `hidden` units spread evenly, L / √hidden.

    Raises:
        InputError: if the visible units do not make a square, or the matrix is not that of the hidden units.
    """
    size = require_square(rbm)
    if couplings.shape != (rbm.hidden, rbm.hidden):
        message = f"couplings of shape {couplings.shape} for {rbm.hidden} hidden units: expected one row for each unit"
        raise InputError(message)
    where = localisation(rbm)
    place, concentration = where.centroid, float(np.median(where.resultant))
    first, second = np.triu_indices(rbm.hidden, 1)
    step = np.abs(place[first] - place[second])
    distance = np.hypot(*np.minimum(step, size - step).T)
    width = size / math.sqrt(rbm.hidden)
    edges = width * np.arange(math.ceil(size / math.sqrt(2) / width) + 1)
    index = np.digitize(distance, edges) - 1
    bins = [np.flatnonzero(index == k) for k in np.unique(index)]
    values = [couplings[first[members], second[members]].astype(np.float64) for members in bins]
    return CouplingsByDistance(
        edges=edges,
        distance=np.array([distance[members].mean() for members in bins]),
        pairs=np.array([len(members) for members in bins], dtype=np.int64),
        median=_stack([_median(np.abs(v)) for v in values]),
        rms=_stack([_rms(v) for v in values]),
        concentration=concentration,
    )


def _rms(values: np.ndarray) -> Estimate:
    """Return the root mean square, with the error of the mean square carried over."""
    if not values.size:
        return Estimate(math.nan, math.nan)
    squares = values**2
    root = math.sqrt(squares.mean())
    return Estimate(root, float(squares.std() / math.sqrt(values.size) / (2 * root)) if root > 0 else 0.0)


def _median(values: np.ndarray) -> Estimate:
    """Return the median, with half the distance of the quantiles ½ ± ½/√n: one standard deviation of its rank."""
    reach = min(0.5, 0.5 / math.sqrt(values.size))
    low, middle, high = np.quantile(values, [0.5 - reach, 0.5, 0.5 + reach])
    return Estimate(float(middle), float(high - low) / 2)


def _stack(estimates: list[Estimate]) -> Estimate:
    """Return scalars as one array estimate."""
    return Estimate(np.array([e.value for e in estimates]), np.array([e.error for e in estimates]))
