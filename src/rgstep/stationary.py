"""Which shared kernel leaves the couplings as they are, from the first step on?

On the majority rule's way from the nearest-neighbour Ising model to its fixed point the couplings change for two or
three steps, and the first exponents are off. The rule may be chosen so that they do not change at all (the idea of Ron,
Swendsen and Brandt, Phys. Rev. Lett. 89, 275701, 2002): of kernels with the symmetry of the square, drawn as in
`nets.kernel`, the one is taken that makes

    Σ_n Σ_α n_α (K_α^(n+1) − K_α^(n))²        least, over the levels n = 0, 1, … that are asked for,

K_α the seven couplings of `instruments.hamiltonian`, n_α their terms a site. Exponents are not looked at: they test the
result.

Every trial draws h with the same uniform numbers, so that small changes of the kernel make small changes of the
couplings, and Gauss–Newton steps (SciPy's `least_squares`) are taken with differences of finite steps. The search may
end in a sharp rule whose couplings stay less well: `history["changes"]` tells, and another seed or start helps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rgstep import memory
from rgstep.arguments import COUNT, SCALE, InputError, checked, whole
from rgstep.ensemble import Ensemble
from rgstep.instruments.base import SMALLEST_SIDE
from rgstep.instruments.hamiltonian import FITTED, couplings
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.lattice import as_lattice, as_spins, check_tiling
from rgstep.nets.batches import Data
from rgstep.nets.kernel import WIDEST_KERNEL, SharedKernel
from rgstep.packed import PackedSpins
from rgstep.samplers.stream import IsingStream
from rgstep.streams import stream
from rgstep.types import Progress, Samples

TERMS = np.array([float(operator.terms) for operator in FITTED])
DIFFERENCE = 0.03  # of a weight, for a slope: large against the jumps of draws, small against the curvature
UNDETERMINED = 3.0  # in the place of the change of a coupling that the draws do not determine
NEAR_CRITICAL = 0.01  # in T: farther off the flow leaves T_c at once and no rule is stationary


@checked(
    kernel=whole(1, WIDEST_KERNEL, floats=True), block=COUNT, levels=COUNT, samples=COUNT, steps=COUNT, start=SCALE
)
@dataclass(frozen=True)
class StationaryTraining:
    """Everything that decides the search for a stationary kernel but the data and the seed.

    Attributes:
        kernel: the side of the kernel, in sites.
        block: the stride.
        levels: steps v → h at which the couplings are to stay.
        samples: configurations that are used, the first ones of the data.
        steps: Gauss–Newton steps, at most.
        start: weight on the block where the search starts; 0 around it.
    """

    kernel: int = 6
    block: int = 2
    levels: int = 1
    samples: int = 8_000
    steps: int = 12
    start: float = 1.0


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
    def couplings_of_v(self) -> np.ndarray:
        """The seven couplings of the configurations."""
        return np.asarray(couplings(self.v, groups=1).estimate.value)

    def changes(self, weights: np.ndarray) -> np.ndarray:
        """Return √n_α (K_α^(n+1) − K_α^(n)) of all levels, end to end, for one weight a ring."""
        before, sums, found = self.couplings_of_v, self.sums_of_v, []
        for level, uniform in enumerate(self.uniform):
            inputs = np.tensordot(weights.astype(np.float32), sums, axes=1)
            h = np.where(uniform < np.tanh(inputs), np.int8(1), np.int8(-1))
            now = np.asarray(couplings(h, groups=1).estimate.value)
            found.append(np.sqrt(TERMS) * (now - before))
            before = now
            if level + 1 < len(self.uniform):
                sums = self.ring_sums(h)
        return np.asarray(np.nan_to_num(np.concatenate(found), nan=UNDETERMINED))

    def slopes(self, weights: np.ndarray) -> np.ndarray:
        """Return the slope of every change in every weight, from symmetric differences."""
        moves = DIFFERENCE * np.eye(len(weights))
        differences = [self.changes(weights + move) - self.changes(weights - move) for move in moves]
        return np.stack(differences, axis=1) / (2 * DIFFERENCE)


def train_stationary(data: Data, training: StationaryTraining, seed: int, progress: Progress | None) -> SharedKernel:
    """Return the kernel that changes the couplings of critical configurations least.

    Raises:
        InputError: if the data are not critical, not on a lattice large enough for the levels, or too few.
    """
    v = critical_configurations(data, training.samples)
    check_levels(v.shape[1], training)
    trial = Trial(training, v, uniform_numbers(training, v, seed))
    if not np.isfinite(trial.couplings_of_v).all():
        message = f"data of {len(v)} configurations do not determine seven couplings: give more"
        raise InputError(message)
    weights, curve = search(trial, training.start * trial.block_rule, told(progress))
    history = {"step": np.arange(float(len(curve))), "changes": np.array(curve)}
    origin = {"trained_on": len(v), **vars(training)}
    return SharedKernel(weights[rings(training.kernel)], training.block, origin=origin, history=history)


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


def search(trial: Trial, start: np.ndarray, tell: Callable[[int, float], None]) -> tuple[np.ndarray, list[float]]:
    """Return the best weights, one a ring, that are found from a start, and √Σ of the changes step by step."""
    from scipy.optimize import least_squares

    curve: list[float] = []

    def slopes(weights: np.ndarray) -> np.ndarray:
        curve.append(float(np.linalg.norm(trial.changes(weights))))
        tell(len(curve), curve[-1])
        return trial.slopes(weights)

    found = least_squares(trial.changes, start, slopes, max_nfev=trial.training.steps)
    return found.x, [*curve, float(np.linalg.norm(found.fun))]


def told(progress: Progress | None) -> Callable[[int, float], None]:
    """Return what a search reports to; how many steps it takes is not known before."""

    def tell(step: int, change: float) -> None:
        if progress:
            progress("making the couplings stay", step, step, f"they change by {change:.4f}")

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
