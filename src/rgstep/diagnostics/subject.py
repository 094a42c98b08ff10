"""One map under judgement: its draws of h, their places, and the levels that iterating it gives.

Level 0 are the configurations. Level 1 is h where it is lattice-valued: by its given places, or by those that `gauge`
finds for a dense network. Level n + 1 is the map applied to level n, for maps that take lattices of any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rgstep import gauge
from rgstep.blocking import Majority
from rgstep.correlators import BLOCK_SITES, Moments, Source, read
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.operators import Sums, sums
from rgstep.report import Diagnostic
from rgstep.types import CoarseGraining, Field, Rng, Samples

Row = tuple[Diagnostic, Mapping[str, np.ndarray]]
SMALLEST_SIDE = 4  # of a level: on 2×2 all couplings but one coincide
CLEAR = 5.0  # standard errors
STREAM = 0x5EED  # sets the draws of h apart from other uses of the seed


@dataclass(frozen=True, eq=False)
class Subject:
    """One map under judgement: the configurations, the map, the moments of (v, h)."""

    ensemble: Ensemble
    coarse: CoarseGraining
    original: object  # what the user gave; `coarse` is its checked form
    moments: Moments
    name: str = "h"
    seed: int = 0

    @property
    def pictures(self) -> np.ndarray:
        """⟨v h⟩ of all samples, `(hidden, row, column)`."""
        return self.moments.all().vh.reshape(-1, self.moments.size, self.moments.size)

    @cached_property
    def hidden(self) -> Samples:
        """A draw of h for each configuration, `(sample, unit)` or `(sample, row, column)`; int8 where all are ±1."""
        return draw(self.ensemble, self.coarse, np.random.default_rng([STREAM, self.seed, 1]))

    @property
    def given_places(self) -> bool:
        """Whether h comes as a lattice."""
        return len(self.moments.hidden_shape) == 2

    @property
    def block(self) -> int | None:
        """The ratio of the sides of the fine and the coarse lattice; None where h has no lattice that tiles."""
        side = None if self.placed is None else self.placed.shape[1]
        return None if side is None or self.moments.size % side else self.moments.size // side

    @cached_property
    def gauge(self) -> gauge.Gauge | None:
        """Sign and site of each unit of a map without places; None where its units do not fill a square lattice."""
        if self.given_places or not gauge.fills_a_lattice(self.moments.hidden_shape[0]):
            return None
        means = self.moments.all()
        return gauge.find(self.pictures, means.hh - means.h**2)

    @cached_property
    def given_sign(self) -> np.ndarray:
        """The sign of each unit of a lattice-valued h, int8 `(l, l)`: −1 for those against v where others follow it.

        The sign of Σ_x ⟨v_x h⟩, where it is `CLEAR` standard errors of independent v and h from 0; all +1 where no
        two units have different ones: −h of a map is as good as h.
        """
        means, side = self.moments.all(), self.moments.hidden_shape[0]
        total = means.vh.reshape(side, side, -1).sum(axis=2)
        square = means.hh.reshape(side, side) * means.mm
        clear = total**2 > CLEAR**2 * square / len(self.ensemble)
        differ = (clear & (total < 0)).any() and (clear & (total > 0)).any()
        return np.where(clear & (total < 0) & differ, -1, 1).astype(np.int8)

    @property
    def mixed_signs(self) -> bool:
        """Whether h has given places and units of both signs, so that h is not what the map takes for v."""
        return self.given_places and bool((self.given_sign < 0).any())

    @cached_property
    def placed(self) -> Samples | None:
        """h on the coarse lattice, `(sample, l, l)`, from given or found places, signs put right; None without."""
        if self.given_places:
            return self.hidden * self.given_sign if self.mixed_signs else self.hidden
        return None if self.gauge is None else self.gauge.apply(self.hidden)

    @property
    def real(self) -> bool:
        """Whether h has places and other values than ±1."""
        return self.placed is not None and self.placed.dtype != np.int8

    @cached_property
    def sums(self) -> Sequence[Sums]:
        """The operators of every level."""
        return [sums(level) for level in self.levels]

    @cached_property
    def sums_by_majority(self) -> Sequence[Sums]:
        """The operators of the levels that the majority rule makes of level 1, where the map itself goes no further."""
        return [sums(h) for h in continued(self.levels, self.seed)]

    @cached_property
    def levels(self) -> Sequence[Source]:
        """Lattice-valued variables level by level, the configurations first, down to a side of 4.

        A map with given places is applied to its own h, as drawn, while that works; a dense network, or a map whose
        units have both signs, has one step.
        """
        levels: list[Source] = [self.ensemble]
        if self.placed is None or self.placed.shape[1] < SMALLEST_SIDE:
            return levels
        levels.append(self.placed)
        while self.given_places and not self.mixed_signs:
            last = levels[-1]
            further = self.iterate(last, len(levels)) if isinstance(last, np.ndarray) else None
            if further is None:
                break
            levels.append(further)
        return levels

    def iterate(self, h: Samples, level: int) -> Samples | None:
        """Return the map's draw for a lattice of its own h, None where it does not take that size, or ends below 4."""
        side, block = h.shape[1], self.moments.size / self.moments.hidden_shape[0]
        if block <= 1 or side / block < SMALLEST_SIDE or side % block:
            return None
        rng = np.random.default_rng([STREAM, self.seed, level])
        try:
            further = draw(h, self.coarse, rng)
        except InputError:  # made for one size
            return None
        return further if further.ndim == 3 and further.shape[1] == side / block else None


def draw(source: Source, coarse: CoarseGraining, rng: np.random.Generator) -> Samples:
    """Return a draw of h for each configuration, a block at a time; int8 where every value is ±1."""
    step = max(1, BLOCK_SITES // read(source, 0, 1).size)
    parts = []
    for start in range(0, len(source), step):
        parts.append(compact(coarse.sample_h(read(source, start, min(start + step, len(source))), rng)))
    kinds = {part.dtype for part in parts}
    return np.concatenate(parts if len(kinds) == 1 else [part.astype(np.float32) for part in parts])


def compact(h: Samples) -> Samples:
    """Return draws as int8 where all are ±1, as float32 elsewhere."""
    return h.astype(np.int8 if is_spin(h) else np.float32, copy=False)


def is_spin(h: Samples | Field) -> bool:
    """Whether every value is ±1."""
    return bool(np.all(np.abs(h) == 1))


def continued(levels: Sequence[Source], seed: int) -> list[Samples]:
    """Return the levels that the majority rule makes of level 1, from level 1 itself to a side of 4.

    Empty where the levels go on by themselves, or the side of level 1 is odd or below 8. Real h are replaced by their
    signs first.

    Args:
        levels: the configurations, then h, `(sample, l, l)`.
        seed: decides the ties.
    """
    if len(levels) != 2 or not isinstance(h := levels[1], np.ndarray):
        return []
    found: list[Samples] = []
    while h.shape[1] % 2 == 0 and h.shape[1] // 2 >= SMALLEST_SIDE:
        rng = np.random.default_rng([STREAM, seed, len(found), 2])
        found = found or [signs(h, rng)]
        h = draw(found[-1], Majority(), rng)
        found.append(h)
    return found


def signs(h: Samples, rng: Rng) -> Samples:
    """Return the signs of h, a fair coin for each 0, int8; ±1 spins as they are."""
    if h.dtype == np.int8 and is_spin(h):
        return h
    out = np.empty(h.shape, np.int8)
    block = max(1, BLOCK_SITES // h[0].size)
    for start in range(0, len(h), block):
        part, signed = h[start : start + block], out[start : start + block]
        signed[:] = np.sign(part)
        signed[part == 0] = 2 * rng.integers(0, 2, int((part == 0).sum()), dtype=np.int8) - 1
    return out
