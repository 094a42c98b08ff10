"""Which shared kernel leaves the couplings as they are, from the first step on?

On the majority rule's way from the nearest-neighbour Ising model to its fixed point the couplings change for two or
three steps, and the first exponents are off. The rule may be chosen so that they do not change at all (the idea of Ron,
Swendsen and Brandt, Phys. Rev. Lett. 89, 275701, 2002): of kernels with the symmetry of the square, drawn as in
`nets.kernel`, the one is taken that makes

    χ² = Σ_n ΔKᵀ (b^(2n+2) C)⁻¹ ΔK,        ΔK = K^(n+1) − K^(n),        least, over the levels n = 0, 1, … asked for,

K the seven couplings of `instruments.hamiltonian`, C their jackknife covariance in the configurations given, b^(2n+2)
the loss of sites: χ counts standard errors. A plain sum of squares does not see that the seven are known to very
different degrees: at T_c each of them to .001, the combination that leads off T_c far better, and that one grows.
Exponents are not looked at: they test the result.

Every trial draws h with the same uniform numbers, so that small changes of the kernel make small changes of the
couplings, and Gauss–Newton steps (SciPy's `least_squares`) are taken with differences of finite steps. A search may end
in a worse minimum, so that it is made from several starts, block rules of different sharpness, and the kernel of
least χ is kept. `history` holds all searches, one after the other, that of the kernel kept last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rgstep import memory
from rgstep.arguments import COUNT, SCALE, InputError, checked, each, whole
from rgstep.ensemble import Ensemble
from rgstep.instruments.base import SMALLEST_SIDE
from rgstep.instruments.pseudolikelihood import Couplings, couplings
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.lattice import as_lattice, as_spins, check_tiling
from rgstep.nets.batches import Data, digest
from rgstep.nets.checkpoints import Checkpoints
from rgstep.nets.kernel import WIDEST_KERNEL, SharedKernel
from rgstep.packed import PackedSpins
from rgstep.samplers.stream import IsingStream
from rgstep.streams import stream
from rgstep.types import Progress, Samples

DIFFERENCE = 0.03  # of a weight, for a slope: large against the jumps of draws, small against the curvature
UNDETERMINED = 3.0  # in the place of the change of a coupling that the draws do not determine
NEAR_CRITICAL = 0.01  # in T: farther off the flow leaves T_c at once and no rule is stationary


@checked(
    kernel=whole(1, WIDEST_KERNEL, floats=True),
    block=COUNT,
    levels=COUNT,
    samples=COUNT,
    steps=COUNT,
    starts=each(SCALE),
)
@dataclass(frozen=True)
class StationaryTraining:
    """Everything that decides the search for a stationary kernel but the data and the seed.

    Attributes:
        kernel: the side of the kernel, in sites.
        block: the stride.
        levels: steps v → h at which the couplings are to stay.
        samples: configurations that are used, the first ones of the data.
        steps: Gauss–Newton steps from each start, at most.
        starts: weights on the block where the searches start; 0 around it.
    """

    kernel: int = 8
    block: int = 2
    levels: int = 1
    samples: int = 40_000
    steps: int = 20
    starts: Sequence[float] = (0.5, 1.0, 1.5)

    def __post_init__(self) -> None:
        """Check that there is a start."""
        if not self.starts:
            message = f"starts = {self.starts!r}: give at least one weight to start from"
            raise InputError(message)


def rings(side: int) -> np.ndarray:
    """Return which weights of a kernel the symmetry of the square makes equal, `(k, k)`, numbered from the middle."""
    away = np.abs(2 * np.arange(side) - (side - 1))
    far, near = np.maximum.outer(away, away), np.minimum.outer(away, away)
    return np.unique(far * (2 * side) + near, return_inverse=True)[1].reshape(side, side)


@dataclass(frozen=True, eq=False)
class Trial:
    """The configurations, and the numbers that every trial kernel draws h with.

    Attributes:
        v: int8 `(sample, L, L)`.
        uniform: on (−1, 1), one array `(sample, l, l)` for each level.
    """

    training: StationaryTraining
    v: Samples
    uniform: list[np.ndarray]

    @cached_property
    def thresholds(self) -> list[np.ndarray]:
        """The input above which each unit is up: u < tanh x where artanh u < x."""
        with np.errstate(divide="ignore"):  # u = −1 is drawn once in 10⁷ times: such a unit is always up
            return [np.arctanh(uniform) for uniform in self.uniform]

    @cached_property
    def masks(self) -> list[SharedKernel]:
        """A kernel of ones for each ring of equal weights."""
        ring = rings(self.training.kernel)
        return [SharedKernel(np.where(ring == i, 1.0, 0.0), self.training.block) for i in range(ring.max() + 1)]

    @cached_property
    def block_rule(self) -> np.ndarray:
        """The block rule: weight 1 on the block, 0 around it."""
        ring = rings(self.training.kernel)
        inside = (self.training.kernel - self.training.block) // 2
        middle = ring[max(inside, 0) : len(ring) - max(inside, 0), max(inside, 0) : len(ring) - max(inside, 0)]
        return np.isin(np.arange(ring.max() + 1), middle).astype(np.float64)

    @cached_property
    def sums_of_v(self) -> np.ndarray:
        """The sum of v over each ring about each unit, `(ring, sample, l, l)`."""
        return self.ring_sums(self.v)

    def ring_sums(self, v: Samples) -> np.ndarray:
        """Return the sums of a level over each ring about each unit, float32 `(ring, sample, l, l)`."""
        return np.stack([mask.inputs(v) for mask in self.masks])

    @cached_property
    def known(self) -> Couplings:
        """The seven couplings of the configurations."""
        return couplings(self.v)

    @cached_property
    def whitening(self) -> np.ndarray:
        """The matrix that makes errors of the couplings independent and of unit size, `(7, 7)`."""
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self.known.covariance)))

    def changes(self, weights: np.ndarray) -> np.ndarray:
        """Return K^(n+1) − K^(n) of all levels in standard errors, end to end, for one weight a ring."""
        before, sums, found = np.asarray(self.known.estimate.value), self.sums_of_v, []
        for level, threshold in enumerate(self.thresholds):
            inputs = np.tensordot(weights.astype(np.float32), sums, axes=1)
            h = (2 * (threshold < inputs).view(np.int8) - 1).astype(np.int8, copy=False)
            now = np.asarray(couplings(h, groups=1).estimate.value)
            moved = np.nan_to_num(now - before, nan=UNDETERMINED)
            found.append(self.whitening @ moved / self.training.block ** (level + 1))
            before = now
            if level + 1 < len(self.uniform):
                sums = self.ring_sums(h)
        return np.concatenate(found)

    def slopes(self, weights: np.ndarray) -> np.ndarray:
        """Return the slope of every change in every weight, from symmetric differences."""
        moves = DIFFERENCE * np.eye(len(weights))
        differences = [self.changes(weights + move) - self.changes(weights - move) for move in moves]
        return np.stack(differences, axis=1) / (2 * DIFFERENCE)


def train_stationary(
    data: Data, training: StationaryTraining, seed: int, progress: Progress | None, folder: Path | None = None
) -> SharedKernel:
    """Return the kernel that changes the couplings of critical configurations least.

    Each search that is finished is a checkpoint, if there is a folder for it.

    Raises:
        InputError: if the data are not critical, not on a lattice large enough for the levels, or too few, or the
            checkpoints are of another training.
    """
    v = critical_configurations(data, training.samples)
    check_levels(v.shape[1], training)
    trial = Trial(training, v, uniform_numbers(training, v, seed))
    if not determined(trial.known):
        message = f"data of {len(v)} configurations do not determine seven couplings: give more"
        raise InputError(message)
    data_hash = digest(np.packbits(v.reshape(len(v), -1) > 0, axis=1), v[0].size)
    tried = searched(trial, Checkpoints(folder, vars(training), seed, v[0].size, data_hash), progress)
    tried.sort(key=lambda one: -one.curve[-1])  # the best one last
    rows = np.concatenate([one.rows for one in tried])
    history = dict(zip(("start", "step", "changes"), rows.T, strict=True))
    origin = {"trained_on": len(v), **vars(training), "starts": [float(start) for start in training.starts]}
    return SharedKernel(tried[-1].weights[rings(training.kernel)], training.block, origin=origin, history=history)


def determined(found: Couplings) -> bool:
    """Whether couplings and their errors are known, so that changes can be counted in these."""
    return bool(np.isfinite(found.covariance).all() and np.linalg.eigvalsh(found.covariance)[0] > 0)


def uniform_numbers(training: StationaryTraining, v: Samples, seed: int) -> list[np.ndarray]:
    """Return the numbers on (−1, 1) that all trials draw h with, `(sample, l, l)` for each level.

    Raises:
        InputError: if the sums over v and h do not fit in memory.
    """
    sides = [v.shape[1] // training.block ** (n + 1) for n in range(training.levels)]
    room = 12 * len(v) * len(np.unique(rings(training.kernel))) * sides[0] ** 2
    memory.require(room, f"sums over {len(v)} configurations", "give fewer samples, or a smaller kernel")
    draws = (stream(seed, "draws of a trial kernel", n).random((len(v), s, s), np.float32) for n, s in enumerate(sides))
    return [2 * draw - 1 for draw in draws]


@dataclass(frozen=True, eq=False)
class Search:
    """A search from one start: the weights that it found, one a ring, and χ step by step."""

    start: float
    weights: np.ndarray
    curve: list[float]

    @property
    def rows(self) -> np.ndarray:
        """The start, the step and χ, `(step, 3)`."""
        return np.array([(self.start, step, change) for step, change in enumerate(self.curve)])


def search(trial: Trial, start: float, tell: Callable[[float, int, float], None]) -> Search:
    """Return what is found from a block rule with so large a weight."""
    from scipy.optimize import least_squares

    curve: list[float] = []

    def slopes(weights: np.ndarray) -> np.ndarray:
        curve.append(float(np.linalg.norm(trial.changes(weights))))
        tell(start, len(curve), curve[-1])
        return trial.slopes(weights)

    found = least_squares(trial.changes, start * trial.block_rule, slopes, max_nfev=trial.training.steps)
    return Search(start, found.x, [*curve, float(np.linalg.norm(found.fun))])


def searched(trial: Trial, checkpoints: Checkpoints, progress: Progress | None) -> list[Search]:
    """Return what is found from every start; those that checkpoints hold are not searched again."""
    starts = trial.training.starts
    nothing = np.full((len(starts), len(trial.masks)), np.nan)
    weights, curves = checkpoints.begin(nothing, [], len(starts))
    for i, start in enumerate(starts[len(curves) :], start=len(curves)):
        found = search(trial, start, told(progress))
        weights[i] = found.weights
        curves = [*curves, found.curve]
        checkpoints.save(i + 1, weights, curves, len(starts))
    return [Search(*one) for one in zip(starts, weights, curves, strict=True)]


def told(progress: Progress | None) -> Callable[[float, int, float], None]:
    """Return what a search reports to; how many steps it takes is not known before."""

    def tell(start: float, step: int, change: float) -> None:
        if progress:
            progress(f"making the couplings stay, from {start:g}", step, step, f"they change by {change:.1f} errors")

    return tell


def critical_configurations(data: Data, most: int) -> Samples:
    """Return the first of the configurations, int8 `(sample, L, L)`.

    Raises:
        InputError: if their temperature is known and is not T_c.
    """
    if not isinstance(data, Ensemble | IsingStream):
        return as_lattice(as_spins(data, "data"), "data")[:most]
    T = data.system.temperature
    if not abs(T - CRITICAL_TEMPERATURE) < NEAR_CRITICAL:
        message = f"data of T = {T:.6g}: couplings can stay at T_c = {CRITICAL_TEMPERATURE:.6f} alone"
        raise InputError(message)
    if isinstance(data, Ensemble):
        return data.unpack(0, most)
    return PackedSpins(data.bits(0, most), data.system.size).unpack()


def check_levels(size: int, training: StationaryTraining) -> None:
    """Raise `InputError` unless every level has a lattice on which the seven couplings differ."""
    check_tiling(size, training.block)
    ratio = training.block ** min(training.levels, 64)
    if size % ratio or size // ratio < SMALLEST_SIDE:
        message = (
            f"levels = {training.levels} of stride {training.block} from data of L = {size}: the last needs a side of "
            f"at least {SMALLEST_SIDE}; give fewer levels, or larger lattices"
        )
        raise InputError(message)
