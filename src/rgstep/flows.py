"""Where does iteration take configurations: v → h → v of a network again and again, or v → h, level after level?

These are two different maps, never mixed:

    reconstruction   v → h → v of an RBM on one lattice. A continued Gibbs chain; or, with `restart`, for each length n
                     a chain of its own from the start (arXiv:1906.05212).
    coarse           v → h, then the same map on h, or the next of a sequence: each level has a lattice of its own.

Sampled, every unit is drawn from its conditional law. Otherwise every unit is the sign of its mean given the layer
before, a fair coin where that is 0: h = sign(tanh(Wᵀv + b)), v = sign(tanh(Wh + a)). Layers are never the means
themselves.

At each step stand the observables of `temperatures`. A reconstruction flow has converged when nothing moved over its
second half: cut into four windows, no observable differs between the means of any two of them by more than three
jackknife errors, the same groups of samples in both; and when sampled chains have forgotten in that time where they
were: over the chains, neither |m| nor e at the end correlates with what it was at half time, by more than 0.1 beyond
noise. Of a mode that decays as exp(−t/τ), in the mean as in the correlation, 0.01 of the start is then left; without
the second rule a slow drift may be taken for rest. This is looked for every 8 steps from the 40th on, and at the last.
What no chain leaves is not seen by it: flows from several starts tell (`Flow.z`). Levels have sides of their own, and
are compared by their temperatures only.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rgstep.adapters import as_maps, is_array
from rgstep.arguments import COUNT, FLAG, PROGRESS, SEED, InputError, checked, one_of, optional, shown
from rgstep.ensemble import Ensemble, Level, pieces
from rgstep.estimates import Estimate, estimated
from rgstep.instruments.base import prepare
from rgstep.instruments.draws import signs
from rgstep.ising import CRITICAL_TEMPERATURE, even_side
from rgstep.lattice import as_vectors
from rgstep.nets.batches import digest
from rgstep.nets.localisation import require_square
from rgstep.nets.rbm import RBM, Weights, gibbs_steps, inputs_h_from_v, inputs_v_from_h, uniform
from rgstep.samplers.sample import sample
from rgstep.streams import stream
from rgstep.temperatures import (
    FEWEST,
    NAMES,
    SYMBOLS,
    Observed,
    Temperatures,
    columns_of,
    estimate_of,
    finite,
    observed,
    peak_temperature,
    plain,
    readings_of,
    table,
    tabulates,
    thermometers,
)
from rgstep.types import CoarseGraining, Field, Progress, Rng, Samples

KINDS = ("reconstruction", "coarse")
STARTS: Mapping[str, float] = {"zero": 0.0, "infinite": math.inf}
WINDOWS = 4  # of the second half of a flow, that must agree
REMEMBERED = 0.1  # correlation of the end with half time
EARLIEST, EVERY = 40, 2 * WINDOWS  # steps: when it is first looked for, and how often
MOVED = 3.0  # errors
STEPS = 200  # at most
ROUNDING = 1e-12
LARGEST_Z = 4.0  # errors between the ends of two flows, of six observables


@dataclass(frozen=True, eq=False)
class Flow:
    """A flow: what was seen at each step, and whether it came to rest; printed as a table.

    Attributes:
        kind: "reconstruction" or "coarse".
        sampled, restart: see the module.
        start: "zero", "infinite" or "ensemble".
        seen: the observables at each step, the start first.
        end: the last configurations.
        converged_at: the step at which it had converged; None if it had not, or is a coarse flow.
        moving: the observables that still moved at the end, with by how many errors.
        remembered: |m| and u where their values over the chains at the end still correlate with those at half time, and
            how much.
        classifier: whether the end is also shown to the classifier of arXiv:1906.05212.

    Examples:
        >>> flow = rg.flow(rg.Majority(), "infinite", kind="coarse", size=8, samples=64)
        >>> flow.kind, flow.start
        ('coarse', 'infinite')
    """

    kind: str
    sampled: bool
    restart: bool
    start: str
    seen: Sequence[Observed]
    end: Level
    converged_at: int | None
    moving: Mapping[str, float]
    remembered: Mapping[str, float] = field(default_factory=dict)
    classifier: bool = False

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.seen) - 1

    @functools.cached_property
    def observables(self) -> Mapping[str, Estimate]:
        """|m|, u, K_nn, N var e, ξ/L and U₄ of every step, by the names of `temperatures.NAMES`, `(step,)` each."""
        each = [seen.estimates() for seen in self.seen]
        values, errors = (
            {name: np.array([float(getattr(row[name], part)) for row in each]) for name in NAMES}
            for part in ("value", "error")
        )
        return {name: Estimate(values[name], errors[name]) for name in NAMES}

    @functools.cached_property
    def temperatures(self) -> Temperatures:
        """The thermometers at the last step."""
        return thermometers(self.end, classifier=self.classifier)

    def z(self, other: "Flow") -> dict[str, float]:
        """Return how many errors the last window of this flow lies above that of another, by observable.

        Two ends that do not fluctuate differ by 0 or by infinitely many. NaN where either is not determined.
        """
        return {name: z_of(last_window(self.seen, name), last_window(other.seen, name)) for name in NAMES}

    def same_end(self, other: "Flow") -> bool:
        """Whether no observable tells the ends of two flows apart, by more than `LARGEST_Z` errors."""
        return all(not abs(z) > LARGEST_Z for z in self.z(other).values())

    @property
    def reason(self) -> str:
        """Whether it converged and where, in a sentence."""
        if self.kind == "coarse":
            sides = " → ".join(str(seen.side) for seen in self.seen)
            return f"levels of side {sides}: they are compared by their temperatures"
        if self.converged_at is not None:
            return f"converged after {self.converged_at} steps: in the second half nothing moved by {MOVED:g} errors"
        if self.steps < EVERY:
            return f"not converged: {self.steps} steps are fewer than {EVERY}, give more"
        moved = [f"{SYMBOLS[name]} by {z:.1f} errors" for name, z in self.moving.items()]
        kept = [f"{SYMBOLS[name]} of half time, correlation {r:.2f}" for name, r in self.remembered.items()]
        what = [f"in the second half still moving {', '.join(moved)}"] if moved else []
        what += [f"the chains remember {' and '.join(kept)}"] if kept else []
        return f"not converged after {self.steps} steps: {'; '.join(what)}"

    @property
    def verdict(self) -> str:
        """Where it ended: converged or not, an equilibrium state or not, and the temperatures to compare with."""
        side = self.end.side
        if not tabulates(side):
            return f"{self.reason}; no thermometers for an odd side, L = {side}"
        beside = f"T_c = {CRITICAL_TEMPERATURE:.4f}, the specific heat at L = {side} is largest at T = "
        also = f"; the classifier says {self.temperatures.classified}" if self.classifier else ""
        return f"{self.reason}; {self.temperatures.verdict}; {beside}{peak_temperature(side):.4f}{also}"

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return everything but the configurations as plain values."""
        rows = [{name: plain(e) for name, e in seen.estimates().items()} | {"side": seen.side} for seen in self.seen]
        how = {name: getattr(self, name) for name in ("kind", "sampled", "restart", "start", "converged_at", "reason")}
        moving = {name: finite(z) for name, z in self.moving.items()}
        return {**how, "moving": moving, "remembered": dict(self.remembered), "steps": rows, **self._read()}

    def _read(self) -> dict[str, Any]:
        read = self.temperatures.to_dict() if tabulates(self.end.side) else None
        return {"temperatures": read, "verdict": self.verdict}

    def __repr__(self) -> str:
        """Return a line: what was iterated, and whether it converged."""
        return f"Flow({self.kind} from {self.start}: {self.reason})"


@checked(
    kind=one_of(KINDS),
    sampled=FLAG,
    steps=COUNT,
    restart=FLAG,
    classifier=FLAG,
    samples=COUNT,
    size=optional(even_side),
    seed=SEED,
    progress=PROGRESS,
)
def flow(
    coarse: object,
    start: str | Ensemble = "zero",
    *,
    kind: str = "reconstruction",
    sampled: bool = True,
    steps: int = STEPS,
    restart: bool = False,
    classifier: bool = False,
    samples: int = 1000,
    size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Flow:
    """Iterate a map from a start and return what is seen at every step.

    Args:
        coarse: an `RBM` for kind "reconstruction"; for "coarse" a map that takes lattices of any side, or a sequence of
            maps, as `rgstep.judge` takes them.
        start: "zero" (T = 0: all up or all down, a fair coin), "infinite" (fair spins), or an `Ensemble`.
        kind: "reconstruction", v → h → v on one lattice, or "coarse", v → h level by level.
        sampled: draw every unit; otherwise every unit is the sign of its mean, a fair coin where that is 0.
        steps: the largest number of steps; a reconstruction flow ends when it has converged.
        restart: of a reconstruction: each length is a chain of its own from the start, as published.
        classifier: also say what temperature a network trained to tell temperatures gives the end, as published
            (arXiv:1906.05212); it decides nothing.
        samples: how many configurations, of a start by name.
        size: the lattice side L of a start by name; that of the network by default.
        seed: of everything random.
        progress: called after each step.

    Raises:
        InputError: for a map that the kind does not take, a start of another side, or fewer than 64 configurations.

    Examples:
        >>> flow = rg.flow(rg.untrained_rbm(16, 4, seed=0), "zero", steps=20, samples=64)
        >>> flow.kind, flow.converged_at
        ('reconstruction', 20)
    """
    if restart and kind != "reconstruction":
        message = "restart = True: levels are not restarted, it is for kind = 'reconstruction'"
        raise InputError(message)
    network = network_of(coarse) if kind == "reconstruction" else None
    source, name = start_of(coarse, start, kind, size, samples, seed)
    if network is None:
        levels = levels_of(coarse, source, sampled, seed, progress)[: steps + 1]
        seen = [observed(level) for level in levels]
        return Flow(kind, sampled, restart, name, seen, levels[-1], None, {}, classifier=classifier)
    seen, end, remembered = reconstructed(network, source, sampled, steps, restart, seed, progress)
    converged, moving = at_rest(seen)
    at = len(seen) - 1 if converged and not remembered else None
    return Flow(kind, sampled, restart, name, seen, end, at, moving, remembered, classifier)


def start_of(
    coarse: object, start: object, kind: str, size: int | None, samples: int, seed: int
) -> tuple[Ensemble, str]:
    """Return the configurations to start from, and the name of the start."""
    if isinstance(start, Ensemble):
        ensemble, name = start, "ensemble"
    else:
        name = one_of(STARTS)("start", start) if isinstance(start, str) else ""
        if not name:
            message = f"start = {shown(start)}: give 'zero', 'infinite' or an Ensemble, as of rgstep.sample"
            raise InputError(message)
        side = size if size is not None else require_square(coarse) if isinstance(coarse, RBM) else None
        if side is None:
            message = f"size = None: a start by name, {name!r}, needs the lattice side of the first level"
            raise InputError(message)
        ensemble = sample(even_side("size", side), STARTS[name], max(samples, 1), seed)
    if len(ensemble) < FEWEST:
        message = f"samples = {len(ensemble)}: a flow needs at least {FEWEST} configurations for its errors"
        raise InputError(message)
    sites = ensemble.system.size**2
    if kind == "reconstruction" and isinstance(coarse, RBM) and coarse.visible != sites:
        message = f"start, size: configurations of {sites} sites for a network of {coarse.visible} visible units"
        raise InputError(message)
    return ensemble, name


def network_of(coarse: object) -> RBM:
    """Return the network of a reconstruction flow, or say what it takes."""
    if isinstance(coarse, RBM):
        return coarse
    kind = type(coarse).__name__
    message = f"coarse is a {kind}: v → h → v needs a network, an RBM; maps v → h are iterated by kind 'coarse'"
    raise InputError(message)


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows of one map from several starts, and whether they end alike."""

    flows: Sequence[Flow]

    @property
    def pairs(self) -> list[tuple[Flow, Flow]]:
        """The pairs whose ends are compared: of flows v → h → v, which have ends."""
        return [(a, b) for a, b in combinations(self.flows, 2) if a.kind == b.kind == "reconstruction"]

    @property
    def verdict(self) -> str:
        """A sentence for each flow, and one on whether two of them end alike."""
        lines = [f"from {one.start}: {one.verdict}" for one in self.flows]
        for a, b in self.pairs:
            z = {name: value for name, value in a.z(b).items() if not math.isnan(value)}
            worst = max(z, key=lambda name: abs(z[name]), default=None)
            by = f", at most {abs(z[worst]):.1f} errors apart, in {SYMBOLS[worst]}" if worst else ""
            same = "end at the same state" if a.same_end(b) else "end at different states"
            lines.append(f"the flows from {a.start} and from {b.start} {same}{by}")
        return "\n".join(lines)

    def tables(self) -> list[Table]:
        """Return for each flow what is seen at steps of a logarithmic grid, and the temperatures, as tables."""
        return [table for one in self.flows for table in tables_of(one)]

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return all of them as plain values, and how many errors apart two of them end."""
        apart = {f"{a.start} − {b.start}": {name: finite(z) for name, z in a.z(b).items()} for a, b in self.pairs}
        return {"flows": [one.to_dict() for one in self.flows], "z": apart, "verdict": self.verdict}


def tables_of(one: Flow) -> list[Table]:
    """Return what is seen at steps of a logarithmic grid, and the temperatures there."""
    shown = shown_steps(one.steps) if one.kind == "reconstruction" else range(one.steps + 1)
    seen, read = (
        Table(
            *(f"{label} from {one.start}: step", "L", *(SYMBOLS[name] for name in NAMES)),
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for label in ("seen", "T")
    )
    for n in shown:
        estimates, side = one.seen[n].estimates(), one.seen[n].side
        seen.add_row(str(n), str(side), *(str(estimates[name]) for name in NAMES))
        temperatures = readings_of(estimates, table(side)).values() if tabulates(side) else ()
        cells = ["/".join(map(str, reading.temperatures)) or "–" for reading in temperatures]
        read.add_row(str(n), str(side), *(cells or ["–"] * len(NAMES)))
    return [seen, read]


def shown_steps(last: int) -> list[int]:
    """Return the steps 0, 1, 2, 3, 4, 6, 9, 13, … and the last: those of the table that is printed."""
    found, n = [0], 1
    while n < last:
        found.append(n)
        n = max(n + 1, int(1.5 * n))
    return [*found, last]


# --- v → h → v


def reconstructed(
    rbm: RBM, source: Ensemble, sampled: bool, steps: int, restart: bool, seed: int, progress: Progress | None
) -> tuple[list[Observed], Level, dict[str, float]]:
    """Return what is seen after 0, 1, … steps until the flow has converged, its last state, and what it remembers."""
    weights, side = rbm.parameters, source.system.size
    first = jnp.asarray(as_vectors(source.unpack()), jnp.float32)
    name = "reconstruction, restarted" if restart else "reconstruction"
    of_start = digest(source.packed.bits, rbm.visible)  # chains that share random numbers would meet and stay together
    key = jax.random.key(int(stream(seed, name, of_start).integers(2**32)))
    run = compiled_gibbs if sampled else compiled_signs
    seen, level, v = [observed(source)], Level(source.packed), first
    chains, remembered = [level], dict[str, float]()
    for n in range(1, steps + 1):
        v = run(weights, first if restart else v, jnp.int32(n if restart else 1), jax.random.fold_in(key, n))
        level = Level.of(np.asarray(v, np.int8).reshape(-1, side, side))
        seen.append(observed(level))
        chains.append(level)
        if progress:
            progress("flow", n, steps)
        if n == steps or (n >= EARLIEST and n % EVERY == 0):
            remembered = correlations(chains[n // 2], level) if sampled and not restart else {}
            if at_rest(seen)[0] and not remembered:
                break
    return seen, level, remembered


def correlations(before: Level, after: Level) -> dict[str, float]:
    """Return the correlation of |m| and of e over the chains between two times, where it is above the limit."""
    found = {}
    for name, column in (("abs_m", 0), ("u", 4)):
        a, b = (np.concatenate([columns_of(v)[:, column] for _, v in pieces(level)]) for level in (before, after))
        both = a.std() * b.std()
        r = float(((a - a.mean()) * (b - b.mean())).mean() / both) if both > ROUNDING else 0.0
        if r > REMEMBERED + 1 / math.sqrt(len(a)):
            found[name] = r
    return found


compiled_gibbs = jax.jit(gibbs_steps)


@jax.jit
def compiled_signs(weights: Weights, v: jax.Array, k: jax.Array, key: jax.Array) -> jax.Array:
    """Return v after k steps v → h → v, every unit the sign of its mean, a fair coin where that is 0."""

    def step(i: jax.Array, v: jax.Array) -> jax.Array:
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        h = signs_of(key_h, inputs_h_from_v(weights, v))
        return signs_of(key_v, inputs_v_from_h(weights, h))

    result: jax.Array = jax.lax.fori_loop(0, k, step, v)
    return result


def signs_of(key: jax.Array, inputs: jax.Array) -> jax.Array:
    """Return the signs of inputs, float32, a fair coin for each 0."""
    result: jax.Array = jnp.where(inputs == 0, jnp.sign(uniform(key, inputs.shape)), jnp.sign(inputs))
    return result


# --- v → h


@dataclass(frozen=True, eq=False, slots=True)
class Signs:
    """A map whose every unit is the sign of its mean, a fair coin where that is 0."""

    inner: CoarseGraining

    def mean_h(self, v: Samples) -> Field:
        """Return sign(E[h | v]), 0 where that is 0."""
        return np.asarray(np.sign(self.inner.mean_h(v)), np.float32)

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Return sign(E[h | v]), a coin for each 0."""
        return signs(self.mean_h(v), rng)


def levels_of(coarse: object, source: Ensemble, sampled: bool, seed: int, progress: Progress | None) -> Sequence[Level]:
    """Return the configurations and the levels that a map, or a sequence of maps, makes of them; real h by their sign.

    Raises:
        InputError: if there is not even one.
    """
    if is_array(coarse):
        message = "coarse is an array of h: a flow needs the map, to ask it again"
        raise InputError(message)
    maps = as_maps(coarse, "coarse")
    if not sampled:
        maps = as_maps([Signs(one) for one in maps], "coarse")
    subject = prepare(source, maps, coarse, "coarse", seed, progress)
    if len(subject.levels) == 1:
        message = "coarse: its h fills no lattice of side 4 or more, so that there is no level to go on from"
        raise InputError(message)
    return [subject.levels[0], *subject.sign_levels]


# --- has it come to rest


def windows_of(seen: Sequence[Observed]) -> list[dict[str, np.ndarray]]:
    """Return the means of each observable's sets over the windows of the second half; none if a window has no step."""
    width = (len(seen) - 1) // EVERY
    if width < 1:
        return []
    last = seen[-width * WINDOWS :]
    parts = [last[width * i : width * (i + 1)] for i in range(WINDOWS)]
    return [{name: np.mean([one.sets[name] for one in part], axis=0) for name in NAMES} for part in parts]


def at_rest(seen: Sequence[Observed]) -> tuple[bool, dict[str, float]]:
    """Return whether the last windows agree, and what moves between them, by how many errors at most.

    An observable that is not determined in two windows, as K_nn of ordered spins, does not move between them; one that
    is in one alone does.
    """
    windows = windows_of(seen)
    moving: dict[str, float] = {}
    for name in NAMES:
        moved = [moved_by(a[name], b[name]) for a, b in combinations(windows, 2)]
        if moved and max(moved) > MOVED:
            moving[name] = max(moved)
    return bool(windows) and not moving, moving


def moved_by(a: np.ndarray, b: np.ndarray) -> float:
    """Return by how many errors two means over the same groups of samples differ."""
    known = [bool(np.isfinite(one).all()) for one in (a, b)]
    if not all(known):
        return math.inf if any(known) else 0.0
    return abs(errors_apart(estimated(b - a)))


def errors_apart(difference: Estimate) -> float:
    """Return a difference in its errors; 0 for none, infinite for one without error."""
    value, error = float(difference.value), float(difference.error)
    if abs(value) <= ROUNDING:
        return 0.0
    return value / error if error > ROUNDING else math.copysign(math.inf, value)


def last_window(seen: Sequence[Observed], name: str) -> Estimate:
    """Return the mean of an observable over the last window, or at the last step where there is none."""
    windows = windows_of(seen)
    return estimate_of(windows[-1][name] if windows else seen[-1].sets[name])


def z_of(a: Estimate, b: Estimate) -> float:
    """Return how many errors one estimate lies above another, of other samples."""
    if not math.isfinite(float(a.value)) or not math.isfinite(float(b.value)):
        return math.nan
    return errors_apart(Estimate(float(a.value) - float(b.value), math.hypot(float(a.error), float(b.error))))
