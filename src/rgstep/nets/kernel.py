"""One kernel shared by all units: a coarse graining that commutes with translations, and so can be applied to its h.

    p(h_a = ±1 | v) ∝ exp(± (Σ_x w_x v_{b a + x + f} + c)/T),        ⟨h_a⟩_v = tanh((Σ_x w_x v_{b a + x + f} + c)/T)

a a site of the coarse lattice, x a site of the k-by-k kernel w, b the stride, c a bias, T the temperature of the draw.
The first site f = −⌊(k − b)/2⌋ in both directions puts the middle of the kernel on the middle of the b-by-b block of a,
so that k = b with equal weights is a block rule. The lattice is periodic: on one smaller than the kernel a site counts
as often as it is met. This is p(h | v) of a translation-invariant RBM (Chung and Kao 2021, arXiv:2010.05703).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rgstep.arguments import (
    CONFIGURATIONS,
    COUNT,
    GENERATOR,
    PARAMETERS,
    PLAIN,
    REALS,
    SCALE,
    InputError,
    checked,
    instance,
    mapping,
    not_finite,
    real,
)
from rgstep.blocking import LARGEST_WEIGHT, fair_ties, signs_with_mean
from rgstep.lattice import check_blocks
from rgstep.types import Field, Rng, Samples, Spins

WIDEST_KERNEL = 64  # sites along a side: its sums take as many passes over the lattice as it has sites
BIAS = real("must be a finite number, at most 1e+30", lambda x: abs(x) <= 1e30)


@checked(
    weights=PARAMETERS,
    block=COUNT,
    bias=BIAS,
    temperature=SCALE,
    origin=PLAIN,
    history=mapping("give the training curves by name, one array each", REALS),
)
@dataclass(frozen=True, eq=False)
class SharedKernel:
    """A map whose every unit sees v about its place through one kernel, h drawn as ±1.

    Attributes:
        weights: w, `(k, k)`, float32 and read-only.
        block: b, the ratio of the sides of the lattices of v and h.
        bias: c, on all units; 0 keeps the symmetry h(−v) = −h(v).
        temperature: T of the draw; at 0 h is the sign of its input, a fair coin where that is 0.
        origin: how it was made, in plain values.
        history: the training curves, one array a name.

    Examples:
        >>> kernel = rg.SharedKernel(np.full((2, 2), 1.0), temperature=0.0)
        >>> kernel.mean_h(np.ones((1, 4, 4)))
        array([[[1., 1.],
                [1., 1.]]], dtype=float32)
    """

    weights: np.ndarray
    block: int = 2
    bias: float = 0.0
    temperature: float = 1.0
    origin: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the kernel is square and finite, and make it read-only."""
        weights = np.array(self.weights, dtype=np.float32)
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not 0 < len(weights) <= WIDEST_KERNEL:
            message = f"weights of shape {weights.shape}: a kernel is square, (k, k), k from 1 to {WIDEST_KERNEL}"
            raise InputError(message)
        if (wrong := not_finite(weights)) is not None:
            message = f"weights contain {wrong}: every weight of a kernel must be a finite number"
            raise InputError(message)
        weights.setflags(write=False)
        object.__setattr__(self, "weights", weights)

    @property
    def side(self) -> int:
        """The side k of the kernel."""
        return len(self.weights)

    def __repr__(self) -> str:
        """Return a line with the kernel's side, the stride and how it was made."""
        made = ", ".join(f"{key}={self.origin[key]}" for key in ("preset", "seed") if key in self.origin)
        return f"SharedKernel({self.side}×{self.side}, block={self.block}{', ' + made if made else ''})"

    @checked(v=CONFIGURATIONS)
    def inputs(self, v: Samples) -> Field:
        """Return Σ_x w_x v_{b a + x + f} + c, float32 `(sample, L/b, L/b)`.

        Raises:
            InputError: unless v is `(sample, L, L)` with L a multiple of the stride.
        """
        check_blocks(v, self.block)
        rows = sites_along(v.shape[1], self.side, self.block)
        total = np.full((len(v), len(rows), len(rows)), np.float32(self.bias))
        for i, j in zip(*np.nonzero(self.weights), strict=True):  # a strided pass a weight
            total += self.weights[i, j] * v[:, rows[:, i, None], rows[None, :, j]]
        return total

    def mean_h(self, v: Samples) -> Field:
        """Return E[h | v], `(sample, L/b, L/b)`."""
        inputs = self.inputs(v)
        if self.temperature == 0:
            return np.asarray(np.sign(inputs))
        with np.errstate(over="ignore"):  # ∞ is clipped, too
            scaled = inputs / np.float32(self.temperature)
        return np.asarray(np.tanh(np.clip(scaled, -LARGEST_WEIGHT, LARGEST_WEIGHT)))

    @checked(rng=GENERATOR)
    def sample_h(self, v: Samples, rng: Rng) -> Spins:
        """Draw h, int8 ±1, `(sample, L/b, L/b)`."""
        mean = self.mean_h(v)
        return fair_ties(mean, rng).astype(np.int8) if self.temperature == 0 else signs_with_mean(mean, rng)


KERNEL = instance(SharedKernel, "give a kernel, as of rgstep.train_kernel or rgstep.SharedKernel(weights)")


def sites_along(size: int, side: int, block: int) -> np.ndarray:
    """Return the row, or column, that each row of the kernel of each unit lies on, `(L/b, k)`."""
    first = -((side - block) // 2)
    return np.asarray((np.arange(0, size, block)[:, None] + first + np.arange(side)) % size)


def sites_of(size: int, side: int, block: int) -> np.ndarray:
    """Return the site of each weight of each unit, rows put end to end, int32 `(unit, weight)`."""
    rows = sites_along(size, side, block)
    sites = rows[:, None, :, None] * size + rows[None, :, None, :]
    return np.asarray(sites.reshape(len(rows) ** 2, side**2), np.int32)


def compactness(weights: np.ndarray, spot: int) -> float:
    """Return the largest share of Σ w² that a spot-by-spot square of the kernel has, its edges put together."""
    power = np.asarray(weights, np.float64) ** 2
    around = np.pad(power, (0, spot - 1), mode="wrap")
    shares = np.lib.stride_tricks.sliding_window_view(around, (spot, spot)).sum(axis=(2, 3)) / power.sum()
    return float(shares.max())
