"""ln Z of an RBM: exactly where the smaller layer can be summed over, elsewhere as an interval by annealing both ways.

Exactly, by 2^m terms for m units in the smaller layer, in float64,

    Z = Σ_h exp(bᵀh) Π_i 2 cosh(Σ_a W_ia h_a + a_i),        ln p(v) = −F(v) − ln Z,

or the same with the layers exchanged. Otherwise by annealed importance sampling, forward and in reverse.

The path of laws is that of the network with its energy scaled by β = β_0 … β_T, from 0, fair independent units, to 1:

    F_β(v) = −β aᵀv − Σ_a ln 2 cosh(β x_a),    x = Wᵀv + b,    ln Z_0 = (visible + hidden) ln 2.

A chain drawn from β_0 collects ln w = Σ_k [F_{β_k}(v_k) − F_{β_{k+1}}(v_k)], where v_{k+1} is a Gibbs step from v_k
at β_{k+1} (Neal 2001; Salakhutdinov and Murray 2008). The mean of w is an unbiased estimate of Z / Z_0, so that its
logarithm falls short of ln Z on average. The same walk down the path, from configurations of the network's own law,
has mean Z_0 / Z and gives a value too large on average (Burda, Grosse and Salakhutdinov 2015; Grosse, Ghahramani and
Adams 2015). Few temperatures, few chains or skewed weights move the two apart: they widen the interval between them.

The number of temperatures is that of the steps, T. They stand where a pilot run puts them: at equal distance in
∫ √Var(dF_β/dβ) dβ, the thermodynamic length. Walks are float32 on the device, sums of log weights float64 on the host.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from rgstep import memory
from rgstep.arguments import InputError, is_number, is_whole, require_positive, require_seed
from rgstep.estimates import Estimate
from rgstep.lattice import as_spins, as_vectors
from rgstep.nets.rbm import RBM, Weights, gibbs_steps, inputs_h_from_v, inputs_v_from_h, log_2cosh, signs
from rgstep.types import Field, Progress, Rng, Samples

TEMPERATURES = 2000
CHAINS = 512
SWEEPS = 100
TEMPERATURES_IN_SCAN = 100  # temperatures in one compiled scan, and in the pilot run
SMALLEST_DENSITY = 0.2  # of temperatures on any part of the path, in units of the mean, whatever the pilot run found
QUANTILE_95 = 1.959964  # of the normal law: 95 % lie within ± this many σ
LARGEST_CONTRADICTION = 4.0  # σ by which the forward estimate may exceed the reverse one before a warning
NEEDED_MARGIN = 1.5  # factor on the number of temperatures said to do
LARGEST_LAYER = 25  # units that are summed over exactly, at most
LARGEST_SUM = 2**29  # terms ln 2 cosh of an exact ln Z worth summing: 5 to 8 s on one core
STATES_AT_ONCE = 2**14  # in the exact sum


class NotConverged(UserWarning):
    """An interval of ln Z is wider than asked for, or its two ends contradict each other."""


@dataclass(frozen=True)
class LogPartition:
    """ln Z of a network as an interval; prints as a line.

    `low` and `high` enclose the 95 % intervals of both estimates, `forward` and `reverse`, whose errors are those
    of the mean weight over chains. `method` is "exact" (width 0) or "AIS", `start` says where the reverse walks began
    and hence what the upper end assumes. `needed_temperatures` is set where the interval is wider than asked for: the
    number that would do.
    """

    low: float
    high: float
    forward: Estimate
    reverse: Estimate
    temperatures: int
    chains: int
    method: str
    start: str = ""
    needed_temperatures: int | None = None

    @property
    def width(self) -> float:
        """The width of the interval."""
        return self.high - self.low

    @property
    def centre(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        """Return the interval and how it was found."""
        if self.method == "exact":
            return f"ln Z = {self.low:.10g} (exact)"
        digits = max(0, 2 - math.floor(math.log10(self.width))) if self.width > 0 else 6
        line = (
            f"ln Z in [{self.low:.{digits}f}, {self.high:.{digits}f}] at 95 % (AIS, {self.temperatures} temperatures, "
            f"{self.chains} chains: forward {self.forward}, reverse {self.reverse} from {self.start})"
        )
        needed = self.needed_temperatures
        return line if needed is None else f"{line}; about {needed} temperatures would be as narrow as asked"


# --- the exact sum


def log_partition(rbm: RBM) -> float:
    """Return ln Z exactly.

    Raises:
        InputError: if the smaller layer has more than 25 units.
    """
    w, a, b = (np.asarray(x, dtype=np.float64) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    if rbm.visible < rbm.hidden:
        w, a, b = w.T, b, a
    units = w.shape[1]
    if units > LARGEST_LAYER:
        message = (
            f"the exact ln Z sums over 2^{units} states of the smaller layer: at most {LARGEST_LAYER} units, use fewer"
        )
        raise InputError(message)
    block = min(1 << units, STATES_AT_ONCE)
    terms = []
    for start in range(0, 1 << units, block):
        codes = np.arange(start, start + block)
        h = 2.0 * ((codes[:, None] >> np.arange(units)) & 1) - 1.0
        terms.append(logsumexp(h @ b + log_2cosh(h @ w.T + a).sum(axis=1)))
    return float(logsumexp(terms))


def log_likelihood(rbm: RBM, v: Samples) -> Field:
    """Return ln p(v) of each configuration exactly, float64 `(sample,)`; see `log_partition` for the limit."""
    return -rbm.free_energy(v) - log_partition(rbm)


# --- the interval


def log_partition_interval(
    rbm: RBM,
    seed: int = 0,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    wanted: float | None = None,
    start: Samples | None = None,
    sweeps: int = SWEEPS,
    progress: Progress | None = None,
) -> LogPartition:
    """Return ln Z: exactly where the sum over the smaller layer takes 10 s at most, else `annealed_log_partition`.

    The choice depends on the sizes of the layers alone; the arguments are those of `annealed_log_partition`.
    """
    small, large = sorted((rbm.visible, rbm.hidden))
    if small <= LARGEST_LAYER and large << small <= LARGEST_SUM:
        value = log_partition(rbm)
        exact = Estimate(value, 0.0)
        return LogPartition(value, value, exact, exact, temperatures=0, chains=0, method="exact")
    return annealed_log_partition(
        rbm,
        seed,
        temperatures=temperatures,
        chains=chains,
        wanted=wanted,
        start=start,
        sweeps=sweeps,
        progress=progress,
    )


def annealed_log_partition(
    rbm: RBM,
    seed: int = 0,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    wanted: float | None = None,
    start: Samples | None = None,
    sweeps: int = SWEEPS,
    progress: Progress | None = None,
) -> LogPartition:
    """Return an interval of ln Z by annealed importance sampling in both directions.

    The lower end needs no assumption. The upper end holds if the reverse walks start from the network's own law.
    Without `start` they start from the ends of the forward walks, resampled by their weights and moved on by
    `sweeps` Gibbs steps, and their error is that of as many chains as the weights are worth, (Σw)² / Σw²: a mode
    that no forward walk has found is then missing from both ends.

    Args:
        rbm: the network.
        seed: decides every draw; the same seed gives the same interval.
        temperatures: the number of steps from β = 0 to 1.
        chains: the number of walks each way, at least 2.
        wanted: the largest width asked for; beyond it a `NotConverged` warning names the number of temperatures that
            would do.
        start: independent configurations of the network's law, ±1, at least 2, `(n, visible)` or `(n, row, column)`;
            the first `chains` of them are used.
        sweeps: the Gibbs steps from the resampled ends; unused with `start`.
        progress: called after each scan of temperatures.

    Raises:
        InputError: for numbers out of range, parameters that are not finite, or `start` of another size.
    """
    temperatures, chains = require_positive("temperatures", temperatures), require_positive("chains", chains)
    _check(rbm, seed, chains, wanted, sweeps)
    given = None if start is None else _checked_start(rbm, start)[:chains]
    rng = np.random.default_rng([int(seed), rbm.visible, rbm.hidden, 2])
    report = _Counter(progress, TEMPERATURES_IN_SCAN + 2 * temperatures)
    weights = rbm.parameters

    pilot = np.linspace(0.0, 1.0, TEMPERATURES_IN_SCAN + 1)
    spread = _walk(weights, _base(rbm.visible, chains, rng), pilot, rng, report).spread
    ladder = _equal_length(pilot, spread, temperatures)
    ends, forward_weights, _ = _walk(weights, _base(rbm.visible, chains, rng), ladder, rng, report)
    if given is None:
        ends = ends[_resampled(forward_weights, rng)]
        first = _relaxed(weights, ends, jnp.int32(sweeps), _key(rng))
        worth, origin = _effective(forward_weights), f"their ends, resampled, {sweeps} sweeps later"
    else:
        first = jnp.asarray(given, jnp.float32)
        worth, origin = float(len(given)), f"{len(given)} given configurations"
    reverse_weights = _walk(weights, first, ladder[::-1], rng, report).log_weights

    log_base = (rbm.visible + rbm.hidden) * math.log(2.0)
    up, down = _log_mean(forward_weights, len(forward_weights)), _log_mean(reverse_weights, worth)
    forward, reverse = Estimate(log_base + up.value, up.error), Estimate(log_base - down.value, down.error)
    low, high = _hull(forward, reverse)
    result = LogPartition(low, high, forward, reverse, temperatures, chains, "AIS", origin)
    dissipation = float(-forward_weights.mean() - reverse_weights.mean())
    return _judged(result, wanted, dissipation)


def _check(rbm: RBM, seed: int, chains: int, wanted: float | None, sweeps: int) -> None:
    """Raise `InputError` for arguments that break a rule."""
    require_seed(seed)
    if chains < 2:
        message = f"chains = {chains}: an error needs at least 2; try {CHAINS}"
        raise InputError(message)
    if not is_whole(sweeps) or sweeps < 0:
        message = f"sweeps = {sweeps!r}: must be a whole number ≥ 0"
        raise InputError(message)
    if wanted is not None and not (is_number(wanted) and wanted > 0):
        message = f"wanted = {wanted!r}: the width asked for must be above 0; leave it out to take any"
        raise InputError(message)
    if not all(np.isfinite(x).all() for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias)):
        message = "the network has parameters that are not finite: it has no ln Z; train it again at a smaller rate"
        raise InputError(message)
    each = 16 * (rbm.visible + rbm.hidden) + 4 * TEMPERATURES_IN_SCAN
    memory.require(chains * each, f"{chains} chains", f"at most {memory.available() // each} fit")


def _checked_start(rbm: RBM, start: Samples) -> Samples:
    """Return `start` as rows of ±1, or raise `InputError`."""
    rows = as_vectors(as_spins(start, "start"))
    if rows.shape[1] != rbm.visible or len(rows) < 2:
        message = (
            f"start of {len(rows)} configurations of {rows.shape[1]} sites: the network has {rbm.visible} visible "
            "units, and an error needs at least 2 configurations"
        )
        raise InputError(message)
    return rows


class _Counter:
    """Counts temperatures for a `Progress`."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, steps: int) -> None:
        self.done += steps
        if self.progress:
            self.progress("annealing", self.done, self.total)


# --- the walk


class _Walk(NamedTuple):
    """Where chains end `(chain, visible)`, their ln w `(chain,)`, and the spread of its terms `(temperature,)`."""

    v: jax.Array
    log_weights: np.ndarray
    spread: np.ndarray


def _key(rng: Rng) -> jax.Array:
    return jax.random.key(int(rng.integers(2**32)))


def _base(visible: int, chains: int, rng: Rng) -> jax.Array:
    """Draw independent fair units: the law at β = 0."""
    return signs(_key(rng), jnp.zeros((chains, visible), jnp.float32))


def _walk(weights: Weights, v: jax.Array, ladder: np.ndarray, rng: Rng, report: Callable[[int], None]) -> _Walk:
    """Take chains along the ladder of β, either way."""
    rungs = ladder.astype(np.float32)
    log_weights, spread = np.zeros(len(v)), []
    for a in range(0, len(rungs) - 1, TEMPERATURES_IN_SCAN):
        block = rungs[a : a + TEMPERATURES_IN_SCAN + 1]
        padded = np.pad(block, (0, TEMPERATURES_IN_SCAN + 1 - len(block)), mode="edge")  # β stays: terms of exactly 0
        v, terms = _scan_temperatures(weights, v, jnp.asarray(padded), _key(rng))
        terms64 = np.asarray(terms, dtype=np.float64)
        log_weights += terms64.sum(axis=0)
        spread.append(terms64.std(axis=1)[: len(block) - 1])
        report(len(block) - 1)
    return _Walk(v, log_weights, np.concatenate(spread))


@jax.jit
def _scan_temperatures(weights: Weights, v: jax.Array, rungs: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Take chains through a scan of temperatures; returns them and the terms of ln w, `(temperature, chain)`."""

    def step(v: jax.Array, at: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        before, after, keys = at
        x = inputs_h_from_v(weights, v)
        of_visible = (after - before) * jnp.matmul(v, weights.a, precision="highest")
        term = of_visible + log_cosh_change(x, before, after).sum(axis=1)
        h = signs(keys[0], jnp.tanh(after * x))
        return signs(keys[1], jnp.tanh(after * inputs_v_from_h(weights, h))), term

    keys = jax.random.split(key, (len(rungs) - 1, 2))
    result: tuple[jax.Array, jax.Array] = jax.lax.scan(step, v, (rungs[:-1], rungs[1:], keys))
    return result


@jax.jit
def _relaxed(weights: Weights, v: jax.Array, sweeps: jax.Array, key: jax.Array) -> jax.Array:
    """Return chains after Gibbs steps at β = 1."""
    return gibbs_steps(weights, v, sweeps, key)


def log_cosh_change(x: jax.Array, before: jax.Array, after: jax.Array) -> jax.Array:
    """Return ln cosh(β′x) − ln cosh(βx) without the rounding of either.

    With y the smaller of β|x|, β′|x| and d their distance, it is ± [d + ln(1 + (e^{−2d} − 1) / (1 + e^{2y}))]: its
    rounding is relative to d, which is small where temperatures are dense, and nothing overflows.
    """
    size, step = jnp.abs(x), after - before  # of neighbouring β: exact in float32
    d, y = jnp.abs(step) * size, jnp.minimum(before, after) * size
    return jnp.sign(step) * (d + jnp.log1p(jnp.expm1(-2 * d) * jax.nn.sigmoid(-2 * y)))


def _equal_length(pilot: np.ndarray, spread: np.ndarray, temperatures: int) -> np.ndarray:
    """Return a ladder of β at equal thermodynamic length, from the standard deviations of a pilot's steps."""
    mean = spread.mean()
    length = spread + SMALLEST_DENSITY * mean if mean > 0 else np.ones_like(spread)
    passed = np.concatenate([[0.0], np.cumsum(length)])
    return np.asarray(np.interp(np.linspace(0.0, passed[-1], temperatures + 1), passed, pilot))


# --- from weights to an interval


def _effective(log_weights: np.ndarray) -> float:
    """Return (Σw)² / Σw², the number of chains that the weights are worth."""
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (w**2).sum())


def _resampled(log_weights: np.ndarray, rng: Rng) -> np.ndarray:
    """Return row numbers drawn in proportion to the weights, by one uniform number (systematic resampling)."""
    w = np.exp(log_weights - log_weights.max())
    points = (rng.random() + np.arange(len(w))) / len(w)
    rows: np.ndarray = np.minimum(np.searchsorted(np.cumsum(w) / w.sum(), points), len(w) - 1)
    return rows


def _log_mean(log_weights: np.ndarray, worth: float) -> Estimate:
    """Return ln of the mean weight, with the error of as many independent weights as `worth`."""
    top = log_weights.max()
    w = np.exp(log_weights - top)
    return Estimate(float(top + np.log(w.mean())), float(w.std(ddof=1) / w.mean() / math.sqrt(worth)))


def _hull(forward: Estimate, reverse: Estimate) -> tuple[float, float]:
    """Return the ends of the smallest interval that holds the 95 % intervals of both estimates."""
    ends = [float(e.value + sign * QUANTILE_95 * e.error) for e in (forward, reverse) for sign in (-1, 1)]
    return min(ends), max(ends)


def _judged(result: LogPartition, wanted: float | None, dissipation: float) -> LogPartition:
    """Return the result, with a warning where it is too wide or contradicts itself."""
    excess = float(result.forward.value - result.reverse.value)
    if excess > LARGEST_CONTRADICTION * math.hypot(float(result.forward.error), float(result.reverse.error)) + 1e-3:
        message = (
            f"the forward estimate of ln Z, {result.forward}, exceeds the reverse one, {result.reverse}: "
            f"{result.start} are not of the network's law; use independent configurations or more sweeps"
        )
        warnings.warn(message, NotConverged, stacklevel=3)
    if wanted is None or result.width <= wanted:
        return result
    result = replace(result, needed_temperatures=_needed(result, wanted, dissipation))
    message = (
        f"ln Z is known to {result.width:.3g}, {wanted:.3g} was asked for: "
        f"about {result.needed_temperatures} temperatures would do in place of {result.temperatures}"
    )
    warnings.warn(message, NotConverged, stacklevel=3)
    return result


def _needed(result: LogPartition, wanted: float, dissipation: float) -> int:
    """Return the number of temperatures for a width, for chains that follow the path.

    The sum of the mean work lost both ways, and with it the variance σ² of ln w, falls as 1 / temperatures. Over n
    chains normal ln w have mean weights of relative variance q = (e^{σ²} − 1) / n, which makes the width
    (2 · 1.96 + 2/√π) √q of the errors and of the chance distance of the two estimates, and q of their biases. The
    margin is for weights that are not normal, and for the width's own scatter.
    """
    errors = 2 * QUANTILE_95 + 2 / math.sqrt(math.pi)
    root = (-errors + math.sqrt(errors**2 + 4 * wanted)) / 2
    normal = dissipation / math.log1p(result.chains * root**2)
    needed = NEEDED_MARGIN * result.temperatures * max(normal, result.width / wanted)
    digit = 10.0 ** (math.floor(math.log10(needed)) - 1)
    return math.ceil(math.ceil(needed / digit) * digit)  # two digits are known at most
