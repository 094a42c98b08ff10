"""Parallel tempering of RBMs: replica exchange along a ladder of networks, the easiest first.

A ladder is a stack of networks of one shape: `Weights` whose arrays have a leading level axis. One step is k Gibbs
steps at every level, then an exchange of the configurations of neighbouring levels, accepted with probability

    min(1, exp(F_l(v_l) + F_{l+1}(v_{l+1}) − F_l(v_{l+1}) − F_{l+1}(v_l))),

which leaves the product of the p_l(v) invariant (Geyer 1991; Hukushima and Nemoto 1996). Pairs that begin at an even
level and those at an odd one take turns, so that configurations travel rather than diffuse (Syed et al. 2022). Levels
are one network at several temperatures, or checkpoints of one training run (parallel trajectory tempering: Béreux,
Decelle, Furtlehner, Rosset, Seoane 2024, arXiv:2405.15376). Where W = 0 a Gibbs step draws afresh from p(v). Chains,
each with its own copy of all levels, do not exchange with one another: errors here come from their scatter.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from rgstep import memory
from rgstep.arguments import InputError, is_number, require_positive, require_seed
from rgstep.estimates import Estimate, autocorrelation_time, grouped_mean
from rgstep.nets.rbm import RBM, Weights, gibbs_steps, log_2cosh, uniform
from rgstep.types import Progress, Rng, Spins

STEPS_IN_LOOP = 100  # steps in one compiled loop, at most
STEPS_BEFORE_CUT = 400  # chains × steps without one accepted exchange of a pair, from which the ladder counts as cut
FROM_FIRST, FROM_LAST = 1, 2  # the end of the ladder where a configuration was last; 0 before it was at the first
Seed: TypeAlias = int | Rng | jax.Array  # a seed, a generator, or a JAX key


class LadderState(NamedTuple):
    """What one step hands to the next: a run that goes on from it gives what a longer run would have given."""

    v: jax.Array  # (level, chain, visible), float32 ±1
    trip: jax.Array  # (level, chain), int8, carried along by exchanges
    step: jax.Array  # int32, steps since the start


class LoopCounts(NamedTuple):
    """What a loop of steps counted, and measured at the last level."""

    accepted: jax.Array  # (level − 1, chain)
    trips: jax.Array  # (chain,)
    m: jax.Array  # (STEPS_IN_LOOP, chain), Σ v_i / visible
    energy: jax.Array  # (STEPS_IN_LOOP, chain), F(v)
    v: jax.Array  # (chain, visible), int8, after the loop


@dataclass(frozen=True, eq=False)
class Tempered:
    """What a run of `temper` gives.

    samples       int8 `(sample, visible)` of the last level; the draws of one chain stand together, oldest first
    state         where the run ended
    acceptances   share of exchanges accepted, one for each pair of neighbours; NaN where none was tried
    round_trips   first level → last → first, counted over all chains; `trip_rate` per 1000 steps and chain
    tau           integrated autocorrelation times in steps at the last level, of `m`, `abs_m` and `free_energy`;
                  they know of modes only that the run visited
    """

    samples: Spins
    state: LadderState
    acceptances: Estimate
    round_trips: int
    trip_rate: Estimate
    tau: Mapping[str, Estimate]

    def __str__(self) -> str:
        """Return the sizes, acceptances, round trips and autocorrelation times in four lines."""
        levels, chains, _ = self.state.v.shape
        rates = np.nan_to_num(np.asarray(self.acceptances.value), nan=np.inf)
        pair = int(rates.argmin()) if rates.size else 0
        least = f"{self.acceptances[pair]} between levels {pair} and {pair + 1}" if rates.size else "no pairs"
        return (
            f"tempering: {levels} levels, {chains} chains, {int(self.state.step)} steps\n"
            f"lowest acceptance: {least}\n"
            f"round trips: {self.round_trips}, {self.trip_rate} per 1000 steps and chain\n"
            f"autocorrelation times in steps: {', '.join(f'{name} {tau}' for name, tau in self.tau.items())}"
        )


def stacked(rbms: Sequence[RBM]) -> Weights:
    """Return networks of one shape as a ladder, in the order given.

    Raises:
        InputError: if there are none, if shapes differ, or if the stack does not fit in memory.
    """
    if not rbms:
        message = "a ladder of 0 networks: give at least one, the easiest first"
        raise InputError(message)
    shape = rbms[0].weights.shape
    other = next((level for level, rbm in enumerate(rbms) if rbm.weights.shape != shape), None)
    if other is not None:
        message = f"level {other} has weights {rbms[other].weights.shape}, level 0 {shape}: leave out other shapes"
        raise InputError(message)
    require_ladder(len(rbms), *shape)
    arrays = zip(*((rbm.weights, rbm.visible_bias, rbm.hidden_bias) for rbm in rbms), strict=True)
    return Weights(*(jnp.asarray(np.stack(array)) for array in arrays))


def temperature_ladder(rbm: RBM, betas: Sequence[float] | np.ndarray) -> Weights:
    """Return the networks (βW, βa, βb), one level for each β.

    Raises:
        InputError: unless the β increase from at least 0 to 1, or if the ladder does not fit in memory.
    """
    beta = np.asarray(betas, dtype=np.float64)
    if beta.ndim != 1 or len(beta) < 2 or not (beta[0] >= 0 and beta[-1] == 1 and (np.diff(beta) > 0).all()):
        message = f"betas = {betas!r}: must be at least two numbers that increase from 0 or more to 1"
        raise InputError(message)
    require_ladder(len(beta), rbm.visible, rbm.hidden)
    arrays = (rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    return Weights(*(jnp.asarray(np.multiply.outer(beta.astype(np.float32), array)) for array in arrays))


def trajectory_ladder(rbms: Sequence[RBM]) -> Weights:
    """Return checkpoints of one run, earliest first, as the ladder `stacked(from_independent(rbms))`."""
    return stacked(from_independent(rbms))


def from_independent(rbms: Sequence[RBM]) -> list[RBM]:
    """Return networks after one with W = 0 and the biases of the first, unless W = 0 in the first already."""
    if not rbms or not rbms[0].weights.any():
        return list(rbms)
    return [RBM(0 * rbms[0].weights, rbms[0].visible_bias, rbms[0].hidden_bias, {"preset": "independent"}), *rbms]


def require_ladder(levels: int, visible: int, hidden: int) -> None:
    """Raise `InputError` unless a ladder, and the copy made of it on the way, fit in memory."""
    what = f"a ladder of {levels} networks of {visible} visible and {hidden} hidden units"
    each = 8 * (visible * hidden + visible + hidden)
    memory.require(levels * each, what, f"at most {memory.available() // each} levels fit")


def free_energies(ladder: Weights, v: jax.Array) -> jax.Array:
    """Return F_l(v_l), float32 `(level, chain)`, for v `(level, chain, visible)`.

    At 1024 × 256, F ~ 1000 is off by 10⁻⁴, the chance of an exchange by less than 10⁻³; for ln Z use `RBM.free_energy`.
    """
    exact = jax.lax.Precision.HIGHEST  # accelerators may otherwise round W to ten bits
    inputs = jnp.einsum("lcv,lvh->lch", v, ladder.w, precision=exact) + ladder.b[:, None]
    fields = jnp.einsum("lcv,lv->lc", v, ladder.a, precision=exact)
    energies: jax.Array = -fields - log_2cosh(inputs, jnp).sum(axis=2)
    return energies


def with_exchanged(x: jax.Array, accepted: jax.Array) -> jax.Array:
    """Return x `(level, chain, ...)` with levels l and l + 1 exchanged where `accepted[l]`, `(level − 1, chain)`."""
    shape = (*x.shape[:2], *[1] * (x.ndim - 2))
    up = jnp.pad(accepted, ((0, 1), (0, 0))).reshape(shape)
    down = jnp.pad(accepted, ((1, 0), (0, 0))).reshape(shape)
    return jnp.where(up, jnp.roll(x, -1, axis=0), jnp.where(down, jnp.roll(x, 1, axis=0), x))


def exchange(ladder: Weights, v: jax.Array, key: jax.Array, parity: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    """Exchange the configurations of the pairs of levels (l, l + 1) with l ≡ parity mod 2; the equation is above.

    Args:
        ladder: the networks, a leading level axis on every array.
        v: float32 ±1, `(level, chain, visible)`.
        key: decides what is accepted.
        parity: 0 or 1, may be traced.

    Returns:
        v after the exchange, and which were accepted, bool `(level − 1, chain)`, False for pairs not tried.
    """
    level = jnp.arange(len(v))
    partner = level + jnp.where((level - parity) % 2 == 0, 1, -1)
    partner = jnp.where((partner < 0) | (partner >= len(v)), level, partner)
    gain = jnp.subtract(*jnp.split(free_energies(ladder, jnp.concatenate([v, v[partner]], axis=1)), 2, axis=1))
    chance = jnp.exp(jnp.minimum(gain + gain[partner], 0.0))  # the same number at both levels of a pair
    drawn = (1 + uniform(key, chance.shape)) / 2 < chance
    accepted = (drawn & (partner > level)[:, None])[:-1]
    return with_exchanged(v, accepted), accepted


def tempering_step(
    ladder: Weights, v: jax.Array, key: jax.Array, k: jax.Array | int, parity: jax.Array | int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Do k Gibbs steps at every level, then one `exchange`; `k` and `parity` may be traced.

    Without a parity it is drawn: as correct, but configurations diffuse along the ladder rather than travel.
    """
    keys = jax.random.split(key, len(v) + 2)
    if parity is None:
        parity = jax.random.key_data(keys[-1])[0].astype(jnp.int32) & 1
    v = jax.vmap(gibbs_steps, (0, 0, None, 0))(ladder, v, jnp.int32(k), keys[:-2])
    return exchange(ladder, v.astype(jnp.float32), keys[-2], parity)  # a cast away from JAX's weak type


@jax.jit
def run_steps(
    ladder: Weights, state: LadderState, key: jax.Array, k: jax.Array, steps: jax.Array
) -> tuple[LadderState, LoopCounts]:
    """Do `steps` steps, at most `STEPS_IN_LOOP`, compiled; k, steps are traced, the number of a step picks its key."""
    last = Weights(*(array[-1:] for array in ladder))

    def one(i: jax.Array, carry: tuple[LadderState, LoopCounts]) -> tuple[LadderState, LoopCounts]:
        (v, trip, step), seen = carry
        v, accepted = tempering_step(ladder, v, jax.random.fold_in(key, step), k, step % 2)
        trip, home = travelled(with_exchanged(trip, accepted))
        m, energy = v[-1].mean(axis=1), free_energies(last, v[-1:])[0]
        counts = seen.accepted + accepted, seen.trips + home
        series = seen.m.at[i].set(m), seen.energy.at[i].set(energy)
        return LadderState(v, trip, step + 1), LoopCounts(*counts, *series, v[-1].astype(jnp.int8))

    counts, series = jnp.zeros_like(state.trip, jnp.int32), jnp.zeros((STEPS_IN_LOOP, state.v.shape[1]))
    none = LoopCounts(counts[1:], counts[0], series, series, state.v[-1].astype(jnp.int8))
    result: tuple[LadderState, LoopCounts] = jax.lax.fori_loop(0, steps, one, (state, none))
    return result


def travelled(trip: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the marks of all configurations after a step, and where one came home to the first level."""
    home = (trip[0] == FROM_LAST) & (len(trip) > 1)
    trip = trip.at[0].set(FROM_FIRST)
    return trip.at[-1].set(jnp.where(trip[-1] == FROM_FIRST, FROM_LAST, trip[-1])), home


def ladder_state(v: np.ndarray | jax.Array) -> LadderState:
    """Return the state before the first step, from configurations of all levels, `(level, chain, visible)`."""
    units = jnp.asarray(v, jnp.float32)
    trip = np.zeros(units.shape[:2], np.int8)
    trip[0] = FROM_FIRST
    return LadderState(units, jnp.asarray(trip), jnp.int32(0))


def as_key(seed: Seed) -> jax.Array:
    """Return a JAX key: of a seed, of the next numbers of a generator, or the key given."""
    if isinstance(seed, jax.Array):
        return seed
    if not isinstance(seed, np.random.Generator):
        require_seed(seed)
    words = np.random.default_rng(seed).integers(2**32, size=2, dtype=np.uint32)
    key: jax.Array = jax.random.wrap_key_data(jnp.asarray(words))
    return key


def fair_spins(ladder: Weights, chains: int, key: jax.Array) -> LadderState:
    """Return a start from independent fair spins at every level."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return ladder_state(2 * rng.integers(0, 2, (len(ladder.w), chains, ladder.w.shape[1]), dtype=np.int8) - 1)


def temper(
    ladder: Weights,
    seed: Seed = 0,
    *,
    chains: int,
    steps: int,
    sweeps: int = 1,
    start: LadderState | None = None,
    keep: int = 10,
    allow_cut: bool = False,
    progress: Progress | None = None,
) -> Tempered:
    """Run parallel tempering and return configurations of the last level.

    No step is thrown away: to begin in equilibrium, run once, and again from the `state` of the first run.

    Args:
        ladder: the networks, from `temperature_ladder` or `trajectory_ladder`.
        seed: the same seed gives the same numbers, in one run or in several that go on from one another.
        chains: independent copies of the ladder.
        steps: steps, each of `sweeps` Gibbs steps at every level and one exchange.
        sweeps: Gibbs steps between exchanges.
        start: where to go on from; independent fair spins by default.
        keep: steps between the configurations kept.
        allow_cut: whether to go on where neighbours exchange nothing.
        progress: called after each loop of steps with the speed.

    Raises:
        InputError: for numbers that are not whole and above 0, a start of another shape, a run too large for memory,
            or two neighbours between which no exchange was accepted.
    """
    chains, steps = require_positive("chains", chains), require_positive("steps", steps)
    sweeps, keep = require_positive("sweeps", sweeps), require_positive("keep", keep)
    require_run(ladder, chains, steps, keep, start)
    key = as_key(seed)
    state = fair_spins(ladder, chains, key) if start is None else start
    tried = attempts(len(ladder.w) - 1, int(state.step), steps)
    accepted, trips, clock, done = np.zeros((len(tried), chains)), np.zeros(chains), time.perf_counter(), 0
    kept, series = [np.empty((chains, 0, ladder.w.shape[1]), np.int8)], []
    while done < steps:
        take = min(STEPS_IN_LOOP, keep - done % keep, steps - done)
        state, seen = run_steps(ladder, state, key, jnp.int32(sweeps), jnp.int32(take))
        done += take
        accepted, trips = accepted + np.asarray(seen.accepted), trips + np.asarray(seen.trips)
        series.append(np.stack([seen.m, seen.energy])[:, :take])
        if done % keep == 0:
            kept.append(np.asarray(seen.v)[:, None])
        if progress:
            progress("tempering", done, steps, f"{done / (time.perf_counter() - clock):.0f} steps/s")
    if not allow_cut and chains * steps >= STEPS_BEFORE_CUT:
        require_exchange(accepted)
    m, energy = np.concatenate(series, axis=1).transpose(0, 2, 1)
    return Tempered(
        samples=np.concatenate(kept, axis=1).reshape(-1, ladder.w.shape[1]),
        state=state,
        acceptances=grouped_mean((accepted / tried).T),
        round_trips=int(trips.sum()),
        trip_rate=grouped_mean(1000 * trips / steps),
        tau={name: autocorrelation_time(x) for name, x in (("m", m), ("abs_m", abs(m)), ("free_energy", energy))},
    )


def attempts(pairs: int, begun: int, steps: int) -> np.ndarray:
    """Return how often each pair was tried in the steps that follow step `begun`, `(pair, 1)`; NaN for never."""
    odd = (begun + steps) // 2 - begun // 2
    tried = np.where(np.arange(pairs) % 2, odd, steps - odd)[:, None].astype(np.float64)
    return np.where(tried > 0, tried, np.nan)


def require_run(ladder: Weights, chains: int, steps: int, keep: int, start: LadderState | None) -> None:
    """Raise `InputError` unless a run fits in memory, and its start is of the shape that it needs."""
    levels, visible, hidden = ladder.w.shape
    each = 16 * levels * (visible + hidden) + 2 * (steps // keep) * visible + 80 * steps  # series, their spectra
    what = f"a run of {chains} chains, {levels} levels and {steps} steps"
    memory.require(chains * each, what, f"at most {memory.available() // each} chains fit, or take fewer steps")
    if start is not None and start.v.shape != (levels, chains, visible):
        message = f"start of shape {start.v.shape}: (level, chain, visible) must be {(levels, chains, visible)}"
        raise InputError(message)


def require_exchange(accepted: np.ndarray) -> None:
    """Raise `InputError` if a pair of levels exchanged nothing; `accepted` is `(level − 1, chain)`."""
    closed = np.flatnonzero(accepted.sum(axis=1) == 0)
    if closed.size:
        message = f"0 exchanges between levels {closed[0]} and {closed[0] + 1} were accepted: put levels between them"
        raise InputError(message)


def require_acceptance(acceptance: object) -> None:
    """Raise `InputError` unless an acceptance is a number between 0 and 1."""
    if not is_number(acceptance) or not 0 < acceptance < 1:
        message = f"acceptance = {acceptance!r}: must be a number between 0 and 1, such as 0.3"
        raise InputError(message)
