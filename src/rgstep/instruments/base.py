"""What an instrument is, and what it is given: one map under judgement, with its draws of h level by level.

Level 0 are the configurations. Level 1 is h on its coarse lattice: at its given places, or at those that `gauge` finds
for a dense network. Level n + 1 is the map applied to level n, for maps that take lattices of any size, or the next map
of a sequence applied to it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from rgstep import gauge
from rgstep.adapters import Recorded, as_floats
from rgstep.arguments import InputError
from rgstep.blocking import Majority
from rgstep.correlators import Means, Moments, measure, weighted_sum
from rgstep.drawing import Plate
from rgstep.ensemble import Ensemble, Level, Source, compact, is_spin, pieces, read
from rgstep.estimates import Estimate
from rgstep.gauge import Gauge, Written
from rgstep.instruments.draws import ORIGIN_SAMPLES, draw, drawn, signs
from rgstep.ising import Ising
from rgstep.nets.rbm import RBM
from rgstep.operators import Sums, sums
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity
from rgstep.streams import stream
from rgstep.types import CoarseGraining, Progress, Rng, Samples

Arrays: TypeAlias = Mapping[str, np.ndarray]
Row: TypeAlias = tuple[Diagnostic, Arrays]  # the numbers of one instrument for one map, and what its figures show
Axes: TypeAlias = Any  # of matplotlib, which is loaded when the page is drawn and not before
SMALLEST_SIDE = 4  # of a level: on 2×2 all couplings but one coincide
OTHER_SEEDS = 2**64  # apart: of the streams of another placing of the same units
NO_PLACES = "not measured: h has no places; return (sample, l, l), or as many units as fill a square lattice"


@dataclass(frozen=True)
class Instrument:
    """One row of the battery: what it asks, how it is measured, what it decides, how it is drawn.

    Attributes:
        name: of the row in report.json.
        question: what the row tells and what it cannot tell, for the page; empty for rows that explain themselves.
        measure: returns the row of a map and the arrays behind its figures; None where it does not apply.
        headline: the quantities that the table shows, with short labels.
        criteria: the bands that its quantities are held against.
        decides: what the verdict needs the row for, if anything.
        needs_map: whether the map must answer for other configurations than those that are given.
        by_place: returns the quantities that depend on where found units are put, measured for other placings too.
        figures: yields the figures of all maps by name; only the page calls it, and matplotlib is loaded then.
        legend: what the labels of the headline stand for, for the page.
    """

    name: str
    question: str
    measure: Callable[["Subject"], Row | None]
    headline: Mapping[str, str] = field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()
    decides: Literal["locality", "fixed point"] | None = None
    needs_map: bool = False
    by_place: Callable[["Subject"], Mapping[str, Quantity]] | None = None
    figures: Callable[[Mapping[str, MapReport]], Iterator[Plate]] | None = None
    legend: str = ""


@dataclass(frozen=True, eq=False)
class Step:
    """What one map makes of the level that it reads: its h, written as `gauge` has it, and where its units sit.

    Attributes:
        source: the level, the configurations or h of the map before.
        coarse: the map, its h written from its origin.
        hidden: a draw of h for each sample, `(sample, unit)` or `(sample, row, column)`; int8 where all are ±1.
        moments: of (v, h), from E[h | v].
        gauge: sign, life and site of each unit.
        number: of the level that it makes, 1 for a map of the configurations.
    """

    source: Ensemble | Level
    coarse: Written
    hidden: Samples
    moments: Moments
    gauge: Gauge
    number: int = 1

    @property
    def suffix(self) -> str:
        """What the names of its quantities end in: nothing for the first map, [n] for the one that makes level n."""
        return "" if self.number == 1 else f"[{self.number}]"

    @cached_property
    def placed(self) -> Samples | None:
        """h on the coarse lattice, `(sample, l, l)`, signs put right; None where the units fill none."""
        return None if self.gauge.order is None else self.gauge.apply(self.hidden)

    @property
    def recorded(self) -> bool:
        """Whether h was given as an array, so that there is no map to ask."""
        return isinstance(self.coarse.inner, Recorded)

    @property
    def block(self) -> int | None:
        """The ratio of the sides of the fine and the coarse lattice; None where h has no lattice that tiles."""
        side = self.gauge.side
        return None if not side or self.moments.size % side else self.moments.size // side

    @property
    def ratio(self) -> float:
        """The factor b by which lengths are divided, √(sites/units), with or without a coarse lattice."""
        return self.block or self.moments.size / math.sqrt(len(self.gauge.sign))

    @cached_property
    def translation(self) -> float:
        """How far the map is from commuting with translations, ½⟨|E[h | Tv] − T E[h | v]|²⟩/⟨|E[h | v]|²⟩.

        T moves v by a block and h by a site, along rows and columns; for units that came as a lattice that tiles.
        """
        v = read(self.source, 0, ORIGIN_SAMPLES)

        def h_of(spins: Samples) -> np.ndarray:
            return self.gauge.apply(self.coarse.mean_h(spins)).astype(np.float64)

        here = h_of(v)
        block = self.moments.size // here.shape[1]
        moved = [h_of(np.ascontiguousarray(np.roll(v, block, axis))) for axis in (1, 2)]
        differ = sum(float(((h - np.roll(here, 1, axis)) ** 2).mean()) for axis, h in zip((1, 2), moved, strict=True))
        power = float((here**2).mean())
        return differ / 4 / power if power > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Subject:
    """One map, or a sequence of maps each applied to the h of the one before, under judgement.

    Attributes:
        ensemble: the configurations.
        maps: the checked maps, h as the user's code writes it.
        original: what the user gave.
        first: what the first map makes of the configurations.
    """

    ensemble: Ensemble
    maps: Sequence[CoarseGraining]
    original: object
    first: Step
    name: str = "h"
    seed: int = 0

    def rng(self, purpose: str, *which: int | str) -> Rng:
        """Return the random stream of one purpose of this judgement."""
        return stream(self.seed, purpose, *which)

    @property
    def system(self) -> Ising:
        """The model that the configurations are of."""
        return self.ensemble.system

    @property
    def recorded(self) -> bool:
        """Whether h was given as an array, so that there is no map to ask."""
        return self.first.recorded

    @property
    def coarse(self) -> Written:
        """The first map."""
        return self.first.coarse

    @property
    def hidden(self) -> Samples:
        """Draws of the first map's h as it gives its units, signs not put right."""
        return self.first.hidden

    @property
    def moments(self) -> Moments:
        """The moments of the configurations and the first map's E[h | v]."""
        return self.first.moments

    @property
    def gauge(self) -> Gauge:
        """Sign, life and site of the first map's units."""
        return self.first.gauge

    @property
    def placed(self) -> Samples | None:
        """The first map's h on the coarse lattice, signs put right; None where its units fill none."""
        return self.first.placed

    @property
    def pictures(self) -> np.ndarray:
        """⟨v h⟩ of all samples, `(hidden, row, column)`."""
        return pictures_of(self.moments)

    @property
    def weight_pictures(self) -> np.ndarray | None:
        """The weights of a network as pictures `(hidden, row, column)`, None for any other map."""
        if not isinstance(self.original, RBM):
            return None
        return np.asarray(self.original.weights.T.reshape(-1, self.system.size, self.system.size))

    @property
    def found(self) -> bool:
        """Whether h has places, and these had to be found."""
        return self.placed is not None and not self.gauge.given

    @property
    def block(self) -> int | None:
        """The ratio of the sides of the first two lattices; None where h has no lattice that tiles."""
        return self.first.block

    @property
    def ratio(self) -> float:
        """The factor b by which the first map divides lengths."""
        return self.first.ratio

    @property
    def real(self) -> bool:
        """Whether h of a map, or of any of a sequence, has places and other values than ±1."""
        return any(step.placed is not None and step.placed.dtype != np.int8 for step in self.steps)

    def placed_again(self, number: int) -> "Subject":
        """Return the same map and draws, its units put where a bootstrap of the samples finds them."""
        groups = len(self.moments.counts)
        which = self.rng("places", number).integers(0, groups, groups)
        share = self.moments.counts[which] / self.moments.counts[which].sum()
        every = Means(*(weighted_sum(share, part[which]) for part in self.moments.groups))
        found = gauge.find(connected_pictures(every, self.moments.size), every.hh - every.h**2)
        return replace(self, first=replace(self.first, gauge=found), seed=(self.seed + 1) * OTHER_SEEDS + number)

    @cached_property
    def steps(self) -> Sequence[Step]:
        """What each map of a sequence makes of the level that it reads, the first of the configurations.

        Of one map its one step. A sequence goes on while there is a lattice to read and one of side 4 or more is made.
        """
        found = [self.first]
        while len(found) < len(self.maps) and (h := lattice_of(found[-1])) is not None:
            step = self.step_of_sequence(Level.of(h), len(found) + 1, "h")
            if step.placed is not None and step.placed.shape[1] < SMALLEST_SIDE:
                break
            found.append(step)
        return found

    @cached_property
    def levels(self) -> Sequence[Level]:
        """Lattice-valued variables level by level, the configurations first, down to a side of 4.

        A map with given places is applied to its own h, as drawn, while that works; a dense network has one step, a
        sequence of maps one for each.
        """
        found = [Level(self.ensemble.packed)]
        found += [Level.of(h) for step in self.steps if (h := lattice_of(step)) is not None]
        if len(found) == 1 or len(self.maps) > 1:
            return found
        while (h := self.next_level(found[-1], len(found), "h")) is not None:
            found.append(Level.of(h))
        return found

    @cached_property
    def sign_levels(self) -> Sequence[Level]:
        """The levels from 1 on of the map v → sign(h), a fair coin for each 0, as far as it can be iterated."""
        found: list[Level] = []
        h = self.placed
        while h is not None:
            found.append(Level.of(signs(h, self.rng("coins for the sign of h", len(found) + 1))))
            h = self.next_level(found[-1], len(found) + 1, "h of signs")
        return found

    @cached_property
    def majority_levels(self) -> Sequence[Level]:
        """The levels that the majority rule makes of level 1, from level 1 itself to a side of 4.

        Empty where the levels go on by themselves, or the side of level 1 is odd or below 8. Real h are replaced by
        their signs first.
        """
        found: list[Level] = []
        h = self.levels[1] if len(self.levels) == 2 else None
        while h is not None and h.side % 2 == 0 and h.side // 2 >= SMALLEST_SIDE:
            if not found:
                coins = self.rng("coins before majority levels")
                found.append(h if h.packed is not None else Level.of(signs(h.unpack(), coins)))
            h = Level.of(draw(found[-1], Majority(), self.rng("majority levels", len(found))))
            found.append(h)
        return found

    @cached_property
    def sums(self) -> Sequence[Sums]:
        """The operators of every level."""
        return [sums(level) for level in self.levels]

    @cached_property
    def sums_of_signs(self) -> Sequence[Sums]:
        """The operators of the configurations, and of the levels of the map v → sign(h)."""
        return [self.sums[0], *(sums(level) for level in self.sign_levels)]

    @cached_property
    def sums_by_majority(self) -> Sequence[Sums]:
        """The operators of the levels that the majority rule makes of level 1, where the map itself goes no further."""
        return [sums(h) for h in self.majority_levels]

    def next_level(self, level: Level, number: int, purpose: str) -> Samples | None:
        """Return h of level `number`, put on its lattice, from the level before; None where there is no such level."""
        if len(self.maps) > 1:
            return lattice_of(self.step_of_sequence(level, number, purpose)) if number <= len(self.maps) else None
        block = self.moments.size / self.moments.hidden_shape[0]
        if (
            self.recorded
            or not self.gauge.given
            or block <= 1
            or level.side / block < SMALLEST_SIDE
            or level.side % block
        ):
            return None
        try:
            coarse, h = drawn(level, self.maps[0], self.rng(purpose, number), self.name)
        except InputError:  # made for one size
            return None
        if h.ndim != 3 or h.shape[1] != level.side / block:
            return None
        return turned_alike(level, coarse, h, self.gauge)

    def step_of_sequence(self, level: Level, number: int, purpose: str) -> Step:
        """Return what the map of a sequence that makes level `number` makes of the level before."""
        named = f"{self.name}, map {number}"
        return take_step(level, self.maps[number - 1], self.rng(purpose, number), named, number=number)

    @property
    def sides(self) -> tuple[float, ...]:
        """The sides of the levels of a sequence of maps, that of the spins first; empty for one map."""
        made = tuple(step.moments.size / step.ratio for step in self.steps)
        return (float(self.system.size), *made) if len(self.maps) > 1 else ()

    @property
    def not_read(self) -> Iterator[str]:
        """Yield why maps of a sequence have no step, in a clause."""
        if (number := len(self.steps) + 1) > len(self.maps):
            return
        before = self.steps[-1].placed
        why = "no square lattice" if before is None else f"a lattice of {before.shape[1]}×{before.shape[1]}"
        yield (
            f"map {number} of {len(self.maps)} is not asked: h of map {number - 1} fills {why}, and what it reads and "
            f"what it makes must have a side of {SMALLEST_SIDE} at least"
        )


def prepare(
    ensemble: Ensemble,
    maps: Sequence[CoarseGraining],
    original: object,
    name: str = "h",
    seed: int = 0,
    progress: Progress | None = None,
) -> Subject:
    """Return a map, or a sequence of maps, made ready to be measured: h of the first drawn, its gauge found.

    Raises:
        InputError: for a map that raises, answers nonsense, or answers the same v in two ways.
    """
    one = maps[0]
    if isinstance(one, Recorded):
        coarse, hidden = as_recorded(ensemble, one)
        first = step_of(ensemble, hidden, coarse, hidden, name, progress=progress)
    else:
        first = take_step(ensemble, one, stream(seed, "h", 1), name, progress)
    return Subject(ensemble, maps, original, first, name, seed)


def take_step(
    source: Ensemble | Level,
    coarse: CoarseGraining,
    rng: Rng,
    name: str,
    progress: Progress | None = None,
    number: int = 1,
) -> Step:
    """Return what a map makes of a level: its draws, written from their origin, and the gauge of its units."""
    written, hidden = drawn(source, coarse, rng, name)
    return step_of(source, written, written, hidden, name, number, progress)


def lattice_of(step: Step) -> Samples | None:
    """Return h of a step on its lattice; None where its units fill none, or one below 4×4."""
    h = step.placed
    return h if h is not None and h.shape[1] >= SMALLEST_SIDE else None


def as_recorded(ensemble: Ensemble, recorded: Recorded) -> tuple[Written, Samples]:
    """Return h that was given as an array, written from its origin: the middle of two values, or the mean of others.

    Raises:
        InputError: if it has not one row for each configuration.
    """
    h = recorded.h
    if len(h) != len(ensemble):
        message = (
            f"h of {recorded.name!r} has {len(h)} rows for {len(ensemble)} configurations: one row for each is needed"
        )
        raise InputError(message)
    plain = compact(h) if is_spin(h) else as_floats(h)
    mean = plain.mean(axis=0, dtype=np.float64)[None]
    origin = gauge.origin_of(plain, mean, mean)
    return Written(recorded, origin), plain if plain.dtype == np.int8 else origin.apply_to_draws(plain)


def step_of(
    source: Ensemble | Level,
    means: Written | Samples,
    written: Written,
    hidden: Samples,
    name: str,
    number: int = 1,
    progress: Progress | None = None,
) -> Step:
    """Return a step from its draws and from E[h | v]: the map itself, or h where that is all there is."""
    moments = measure(source, means, name=name, progress=progress)
    every, given = moments.all(), len(moments.hidden_shape) == 2
    pictures = connected_pictures(every, moments.size)
    clear = clear_signs(pictures.sum(axis=(1, 2)), every.hh * every.mm, len(source))
    found = gauge.find(pictures, every.hh - every.h**2, given=given, clear=clear)
    if given and getattr(written.inner, "irregular", False):
        found = replace(found, regular=False)
    return Step(source, written, hidden, moments, found, number)


def turned_alike(source: Source, coarse: Written, h: Samples, like: Gauge) -> Samples:
    """Return h `(sample, l, l)` of a smaller lattice, turned as the same map's h on a larger one, signs put right."""
    units = h[0].size
    total, power, of_v = np.zeros(units), np.zeros(units), 0.0
    for _, v in pieces(source):
        magnetisation = v.sum(axis=(1, 2), dtype=np.float64)
        mean = coarse.mean_h(v).reshape(len(v), units)  # less noise than h
        total += magnetisation @ mean
        power += np.einsum("na,na->a", mean, mean, dtype=np.float64)
        of_v += float(magnetisation @ magnetisation)
    clear = clear_signs(total / len(h), power * of_v / len(h) ** 2, len(h))
    sign = gauge.signs_of(total, power > 0, clear)
    if like.turn == 0 and (sign == 1).all():
        return h
    order = gauge.symmetries(h.shape[1])[like.turn]
    return np.asarray((h.reshape(len(h), units)[:, order] * sign[order]).reshape(h.shape))


def pictures_of(moments: Moments) -> np.ndarray:
    """Return ⟨v h⟩ of all samples, `(hidden, row, column)`."""
    return moments.all().vh.reshape(-1, moments.size, moments.size)


def connected_pictures(means: Means, size: int) -> np.ndarray:
    """Return ⟨v h⟩ − ⟨v⟩⟨h⟩, `(hidden, row, column)`: ⟨v⟩ is 0 by symmetry, and ⟨v⟩⟨h⟩ the noise of the sample."""
    return means.connected.reshape(-1, size, size)


def clear_signs(total: np.ndarray, power: np.ndarray, samples: int) -> np.ndarray:
    """Return which units' ⟨M h_a⟩ is clear of 0, by `CLEAR_SIGN` standard errors of independent M and h.

    Args:
        total: ⟨M h_a⟩, M = Σ_x v_x, `(unit,)`.
        power: ⟨h_a²⟩⟨M²⟩, `(unit,)`.
        samples: how many these are means over.
    """
    return np.asarray(total**2 > gauge.CLEAR_SIGN**2 * power / samples)


def by_step(steps: Sequence[Step], numbers: Callable[[Step], Mapping[str, Quantity]]) -> dict[str, Quantity]:
    """Return what is measured of each map of a sequence, by names that end in the level that it makes, from 2 on."""
    return {f"{name}{step.suffix}": quantity for step in steps for name, quantity in numbers(step).items()}


def of_all(values: Mapping[str, Estimate], exact: Mapping[str, float] | None = None) -> dict[str, Quantity]:
    """Return estimates as quantities, with the exact values of those whose are known."""
    known = exact or {}
    return {name: Quantity(estimate, known.get(name)) for name, estimate in values.items()}
