"""What do networks make of what networks made? Stacks: each network trained on h of the one before.

The first network is trained on the configurations, its units get sign and place from their pictures (`gauge`), and h
is drawn, a lattice of half the side; the next is trained on that, and so on. A level is thus what it is for a block
rule, and a stack is judged like one: `judge` takes its levels as they are, in place of majority blocks of the first.

Units that follow nothing (`dead`) or are spread over the lattice (`extended`) are named and carried along: a dead unit
sits on a site that is left and adds noise there, as it does for the network that reads it.

Beside each stack stand its nulls (`nulls`), which say what its parts are worth:

    majority_first      the later networks trained on majority blocks: what the first network does is left out
    second_untrained    the first network, and later ones that saw no data, with weights as large as their own
    untrained           no network saw any data
    permuted            the first trained with the sites in another order, which a dense network cannot tell
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, overload

import numpy as np

from rgstep.adapters import as_map
from rgstep.arguments import (
    COUNT,
    PATH,
    PLAIN,
    PROGRESS,
    SEED,
    InputError,
    checked,
    each,
    instance,
    optional,
    read_text,
)
from rgstep.blocking import Majority
from rgstep.controls import permuted, unpermuted, untrained_like
from rgstep.ensemble import ENSEMBLE, Ensemble, Level
from rgstep.estimates import Estimate
from rgstep.gauge import Gauge
from rgstep.instruments.base import SMALLEST_SIDE, Step, take_step
from rgstep.instruments.tiles import FEWEST_SAMPLES, LOCAL_SHARE, geometry
from rgstep.lattice import as_vectors
from rgstep.nets.rbm import RBM
from rgstep.nets.training import train_rbm
from rgstep.notebook import card
from rgstep.progress import renamed
from rgstep.results import PASSES
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.streams import stream
from rgstep.types import CoarseGraining, Field, Progress, Rng, Samples

BLOCK = 2  # the ratio of neighbouring levels
FROM_STREAM = 50_000  # configurations of a stream, of whose h the later networks are trained
Source = Ensemble | Level | Samples
Maker = Callable[[Source, int, int], CoarseGraining]  # of a level, the units, and the number of the network
Trainer = Callable[[Source, int, int], RBM]


@dataclass(frozen=True, eq=False)
class Layer:
    """A network whose units sit on a lattice, signs put right: h is `(sample, l, l)`.

    Attributes:
        rbm: the network.
        order: the unit on each site, rows put end to end, `(l²,)`.
        sign: ±1 of each unit, int8 `(unit,)`.
        dead: units whose h does not depend on v.
        extended: units with less than ¾ of their weight within two coarse spacings.
        residual: weighted rms distance of the units from their sites, in lattice spacings of what the network reads,
            and what it is for centres at random.
    """

    rbm: RBM
    order: np.ndarray
    sign: np.ndarray
    dead: tuple[int, ...] = ()
    extended: tuple[int, ...] = ()
    residual: tuple[float, float] = (0.0, 0.0)
    irregular: ClassVar[bool] = True  # its units do not all do the same

    @property
    def side(self) -> int:
        """The side l of its lattice of units."""
        return math.isqrt(len(self.order))

    def placed(self, h: Samples) -> Samples:
        """Return h `(sample, unit)` on the lattice."""
        return np.asarray((h[:, self.order] * self.sign[self.order]).reshape(len(h), self.side, self.side))

    def mean_h(self, v: Samples) -> Field:
        """Return E[h | v], `(sample, l, l)`."""
        return self.placed(self.rbm.mean_h(v))

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Draw h from p(h | v), int8 ±1, `(sample, l, l)`."""
        return self.placed(self.rbm.sample_h(v, rng))

    def __repr__(self) -> str:
        """Return the network and its units that are no tiles, in a line."""
        found = [f"{len(units)} {what}" for units, what in ((self.dead, "dead"), (self.extended, "extended")) if units]
        return f"Layer({', '.join([repr(self.rbm), *found])})"


@checked(
    layers=each(instance(CoarseGraining, "give maps, in the order of their levels, as of rgstep.train_stack")),
    origin=PLAIN,
)
@dataclass(frozen=True, eq=False)
class Stack(Sequence[CoarseGraining]):
    """Maps of neighbouring levels, the first of the configurations: `judge` takes their levels as they are.

    As a map by itself, with `mean_h` and `sample_h`, it is its first level.

    Attributes:
        layers: networks on lattices; the first may be a block rule.
        origin: how it was made, in plain values.

    Raises:
        InputError: for no layers, or one that is no map.

    Examples:
        >>> stack = rg.Stack((rg.Majority(), rg.Majority(ties="first")))
        >>> len(stack), stack[1].ties
        (2, 'first')
    """

    layers: tuple[CoarseGraining, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a stack of nothing."""
        if not self.layers:
            message = "layers = (): a stack has one map at least, as of rgstep.train_stack"
            raise InputError(message)

    def __len__(self) -> int:
        """Return the number of levels above the configurations."""
        return len(self.layers)

    @overload
    def __getitem__(self, number: int) -> CoarseGraining: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[CoarseGraining]: ...
    def __getitem__(self, number: int | slice) -> CoarseGraining | Sequence[CoarseGraining]:
        """Return a level's map."""
        return self.layers[number]

    def mean_h(self, v: Samples) -> Field:
        """Return E[h | v] of the first level."""
        return self.layers[0].mean_h(v)

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Draw h of the first level."""
        return self.layers[0].sample_h(v, rng)

    def networks(self) -> Iterator[tuple[int, Layer]]:
        """Yield the number of each level that a network makes, the first 1, and its layer."""
        for number, layer in enumerate(self.layers, start=1):
            if isinstance(layer, Layer):
                yield number, layer

    @property
    def first(self) -> RBM | None:
        """The first network; None where the first level is that of a block rule."""
        return self.layers[0].rbm if isinstance(self.layers[0], Layer) else None

    @property
    def trained(self) -> bool:
        """Whether every map is a network, so that the stack can be stored."""
        return all(isinstance(layer, Layer) for layer in self.layers)

    def __repr__(self) -> str:
        """Return the maps in order."""
        return f"Stack({', '.join(map(repr, self.layers))})"

    def _repr_html_(self) -> str:
        """Return the stack as a notebook shows it."""
        rows = [(f"level {number}", layer) for number, layer in enumerate(self.layers, start=1)]
        return card(f"Stack of {len(self)}", rows)


PLACED = instance(
    (Ensemble, IsingStream),
    "a stack needs configurations with places: give an Ensemble (rgstep.sample, rgstep.ensemble_from_array) or an "
    "IsingStream",
)
STACK = instance(Stack, "give a stack, as of rgstep.train_stack or rgstep.load")


@checked(data=PLACED, levels=optional(COUNT), seed=SEED, checkpoints=optional(PATH), progress=PROGRESS)
def train_stack(
    data: Ensemble | IsingStream,
    levels: int | None = None,
    seed: int = 0,
    *,
    preset: str = "default",
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
    **overrides: Any,  # the fields of `Training`
) -> Stack:
    """Return networks trained one after another, each on h drawn by the one before, at a ratio of sides of 2.

    Args:
        data: an `Ensemble`, or an `IsingStream`; of a stream the first network sees fresh configurations, and the later
            ones h of `FROM_STREAM` fixed ones of the same law.
        levels: how many networks; by default as many as end on a lattice of side 4 or more (L = 32: 16, 8, 4).
        seed: decides everything random; each network has a seed of its own, from this one and its number.
        preset: a name of `PRESETS`, for all networks.
        checkpoints: a folder with one for each network in it, `level-1`, `level-2`, …; if they hold checkpoints of the
            same runs, training goes on from there, to the bits of a run that was never cut.
        progress: called as the work goes on.
        **overrides: settings of `Training` that replace the preset's, for all networks.

    Raises:
        InputError: for data on no lattice, levels that do not fit, or whatever `train_rbm` refuses.

    Examples:
        >>> stack = rg.train_stack(rg.sample(8, samples=500, seed=0), levels=1, steps=20)
        >>> stack[0].rbm.weights.shape
        (64, 16)
    """
    source = as_source(data, seed)
    count = fitting(source.system.size, levels)

    def network(level: Source, units: int, number: int) -> RBM:
        return train_rbm(
            data if number == 1 else spins_of(level),
            units,
            seed_of(seed, number),
            preset=preset,
            checkpoints=None if checkpoints is None else Path(checkpoints) / f"level-{number}",
            progress=numbered(progress, number),
            **overrides,
        )

    origin = {"preset": preset, "seed": seed, "samples": len(source), **overrides}
    return built(source, [network] * count, seed, origin)


def as_source(data: Ensemble | IsingStream, seed: int) -> Ensemble:
    """Return the configurations of whose h the later networks are trained."""
    if isinstance(data, Ensemble):
        return data
    return sample(data.system.size, data.system.temperature, FROM_STREAM, seed_of(seed, 0), mode="thin")


def spins_of(level: Source) -> Ensemble | Samples:
    """Return what a network of the next level is trained on."""
    return level.unpack() if isinstance(level, Level) else level


def fitting(size: int, levels: int | None) -> int:
    """Return how many networks a stack has.

    Raises:
        InputError: for a lattice that cannot be halved so often down to a side of 4.
    """
    most, side = 0, size
    while side % BLOCK == 0 and side // BLOCK >= SMALLEST_SIDE:
        most, side = most + 1, side // BLOCK
    if not most or (levels is not None and levels > most):
        sides = ", ".join(str(size // BLOCK**n) for n in range(1, most + 1)) or "none"
        message = (
            f"levels = {levels}: of L = {size} the levels above have sides {sides} (halves down to {SMALLEST_SIDE}); "
            + (f"at most levels = {most}" if most else "take L = 8, 16, 32, 64, …")
        )
        raise InputError(message)
    return most if levels is None else levels


def seed_of(seed: int, number: int) -> int:
    """Return the seed of a network of a stack; 0 for the configurations of a stream."""
    return int(stream(seed, "stack", number).integers(2**31))


def built(source: Ensemble, makers: Sequence[Maker], seed: int, origin: Mapping[str, Any]) -> Stack:
    """Return the stack of maps that the makers make, one level after another, from h drawn of the one before."""
    layers: list[CoarseGraining] = []
    level: Ensemble | Level = source
    for number, make in enumerate(makers, start=1):
        side = (level.system.size if isinstance(level, Ensemble) else level.side) // BLOCK
        coarse = make(level, side**2, number)
        rng = stream(seed, "h of a stack", number)
        step = take_step(level, as_map(coarse, f"level {number}"), rng, f"level {number}")
        if isinstance(coarse, RBM):
            coarse = layer_of(coarse, level, step)
            h = coarse.placed(as_vectors(step.hidden))
        else:
            h = np.asarray(step.placed)
        layers.append(coarse)
        level = Level.of(h)
    return Stack(tuple(layers), dict(origin))


def layer_of(rbm: RBM, level: Ensemble | Level, step: Step) -> Layer:
    """Return a network with the places and signs that its pictures have on a level, and its units that are no tiles."""
    gauge = step.gauge
    order = np.arange(rbm.hidden) if gauge.order is None else gauge.order
    return Layer(
        rbm,
        order,
        gauge.sign,
        gauge.constant,
        extended_of(level, step, gauge),
        (gauge.residual, gauge.expected_at_random),
    )


def extended_of(level: Ensemble | Level, step: Step, gauge: Gauge) -> tuple[int, ...]:
    """Return the units that have less than ¾ of their weight within two coarse spacings, by two standard errors."""
    if len(level) < FEWEST_SAMPLES or not gauge.alive.any():
        return ()
    core: Estimate = geometry(level, step.moments, gauge).core
    with np.errstate(invalid="ignore"):
        far = np.asarray(core.value) + PASSES * np.asarray(core.error) < LOCAL_SHARE
    return tuple(int(unit) for unit in np.flatnonzero(far))


def numbered(progress: Progress | None, number: int) -> Progress | None:
    """Return a progress whose stages say which network of the stack is trained."""
    return renamed(progress, lambda stage: f"{stage}, level {number}")


@checked(stack=STACK, data=ENSEMBLE, seed=SEED, progress=PROGRESS, which=optional(each(read_text)))
def nulls(
    stack: Stack,
    data: Ensemble,
    seed: int = 0,
    *,
    which: Sequence[str] | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> dict[str, Stack]:
    """Return what a stack is to be compared with, by name: see the head of this module.

    Args:
        stack: made by `train_stack`; its preset is that of the nulls that are trained.
        data: configurations to train on, and to find places by.
        seed: of everything random.
        which: some of the names "majority_first", "second_untrained", "untrained", "permuted"; by default all that a
            stack of its height has.
        progress: called as the work goes on.
        **overrides: settings of `Training` that replace the preset's, as given to `train_stack`.

    Raises:
        InputError: for an unknown name, or a stack of one network where a second is asked for.
    """
    kinds = {name: make for name, make in NULLS.items() if len(stack) > 1 or name not in OF_TWO}
    chosen = list(kinds) if which is None else list(which)
    for name in chosen:
        if name not in kinds:
            message = f"null {name!r}: a stack of {len(stack)} has {', '.join(kinds)}"
            raise InputError(message)
    preset = str(stack.origin.get("preset", "default"))

    def trained(level: Source, units: int, number: int) -> RBM:
        stage = numbered(progress, number)
        return train_rbm(spins_of(level), units, seed_of(seed, number), preset=preset, progress=stage, **overrides)

    return {
        name: built(data, kinds[name](stack, data, trained, seed), seed, {**stack.origin, "null": name, "seed": seed})
        for name in chosen
    }


def network_of(stack: Stack, number: int) -> RBM:
    """Return the network of a level.

    Raises:
        InputError: if it has none.
    """
    found = dict(stack.networks()).get(number)
    if found is None:
        message = f"level {number} of the stack is {stack.layers[number - 1]!r}: a null needs a network there"
        raise InputError(message)
    return found.rbm


def majority_first(stack: Stack, data: Ensemble, train: Trainer, seed: int) -> list[Maker]:
    """Return makers of majority blocks, and of networks trained on them."""
    return [lambda level, units, number: Majority(BLOCK), *[train] * (len(stack) - 1)]


def second_untrained(stack: Stack, data: Ensemble, train: Trainer, seed: int) -> list[Maker]:
    """Return makers of the first network, and of untrained ones with weights as large as those of the others."""
    return [lambda level, units, number: network_of(stack, 1), *untrained(stack, data, train, seed)[1:]]


def untrained(stack: Stack, data: Ensemble, train: Trainer, seed: int) -> list[Maker]:
    """Return makers of untrained networks with weights as large as those of the stack."""
    return [lambda level, units, number: untrained_like(network_of(stack, number), seed_of(seed, number))] * len(stack)


def on_permuted(stack: Stack, data: Ensemble, train: Trainer, seed: int) -> list[Maker]:
    """Return makers of a network trained with the sites in another order, put back, and of those trained on its h."""

    def first(level: Source, units: int, number: int) -> RBM:
        other, order = permuted(data, seed)
        return unpermuted(train(other, units, number), order)

    return [first, *[train] * (len(stack) - 1)]


NULLS: Mapping[str, Callable[[Stack, Ensemble, Trainer, int], list[Maker]]] = {
    "majority_first": majority_first,
    "second_untrained": second_untrained,
    "untrained": untrained,
    "permuted": on_permuted,
}
OF_TWO = ("majority_first", "second_untrained")  # that need a second network


def with_first(stack: Stack, rbm: RBM) -> Stack:
    """Return the stack with another record of its first network, the same weights."""
    first = stack.layers[0]
    if not isinstance(first, Layer):
        return stack
    return replace(stack, layers=(replace(first, rbm=rbm), *stack.layers[1:]))
