"""Can a local map wash out the field? Its gain on fair spins, and what iteration leads to.

Feed independent fair spins that carry a weak critical field. To first order h carries it with the gain

    g = (1/N_h) Σ_a Σ_i s_a E[v_i h_a],        E over fair spins (T = ∞), s_a the sign of the unit,

and the field's part grows by g b^{−Δ_σ} a step, since on a lattice coarser by b the critical field itself is larger by
b^{Δ_σ}. White noise is unstable under the map, so that h cannot wash out under iteration, if and only if

    g > b^{Δ_σ},        2^{1/8} = 1.0905 at b = 2

(derived here; measured in docs/diagnostics/gain.md). Of maps of a block's sum S = Σ v_i alone, g = E[S E[h | S]] by the
binomial law of S. For b = 2: majority 3/2; decimation 1, which always washes out; a Bernoulli block of weight w
½ tanh 4w + tanh 2w, so that w_c = 0.376797; a site and its four neighbours 15/8. Of others g is measured on fair
spins, from the sites about the place of each unit. `gain_margin` sets g between what it must exceed and what the
majority rule of the same block has,

    gain_margin = (g − b^{Δ_σ}) / (g_majority − b^{Δ_σ}),        0 at the edge, 1 for the majority rule.

A map above 0 is on its way to the fixed point; one above ½ is nearer to the majority rule than to the edge, and is
there after a step or two. Windows that overlap have another fixed point of noise, since h of fair spins is correlated:
there g is a first estimate. Real h are read by their sign. An h that follows v with the same gain from anywhere has it
too: whether the map is local, other rows say.
"""

import math
from collections.abc import Iterator, Mapping
from functools import singledispatch

import numpy as np

from rgstep.adapters import given
from rgstep.blocking import (
    LARGEST_WEIGHT,
    Average,
    BernoulliBlock,
    CrossMajority,
    Decimation,
    FarMajority,
    Majority,
    RandomTiling,
    Scrambled,
    WindowMajority,
)
from rgstep.drawing import ABOVE, Plate, look, null_span, parted, sheet, text
from rgstep.estimates import Estimate, Groups, estimated
from rgstep.gauge import Gauge
from rgstep.instruments.base import Instrument, Row, Step, Subject, by_step
from rgstep.ising import Ising
from rgstep.nets.kernel import SharedKernel
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity
from rgstep.roles import coloured
from rgstep.types import Rng, Samples

SPINS_DRAWN = 2**24  # fair spins in all: an error of 0.003 of g at 256 units
CAPTION = (
    "The gain of each map on fair spins that carry a weak field; bars: one standard error, none where exact. Left "
    "of the dashed line, b^(1/8), the field is washed out by iteration, right of it h cannot wash out; the majority "
    "rule of 2×2 blocks has 1.5."
)
MOST_DRAWN = 2**16  # configurations
MOST_WEIGHTS = 16  # of a kernel whose gain is summed over all 2^16 states of its sites
LEAST_BLOCK = 3  # sites, of the least block whose majority rule does not wash out the field
REACH = 2.0  # coarse spacings about a unit, at least, from which its gain is read
WIDER = 2.0  # times the rms radius of what the units respond to
CLEAR = 4.5  # standard errors of a response that counts for that radius


def of_sum(spins: int, mean: np.ndarray) -> float:
    """Return E[S m(S)] over fair spins, m the mean of h at S = −n, −n + 2, …, n, `(n + 1,)`."""
    ups = np.arange(spins + 1)
    chance = np.array([math.comb(spins, int(k)) for k in ups], dtype=np.float64) / 2.0**spins
    return float(chance @ ((2 * ups - spins) * mean))


def of_majority(spins: int) -> float:
    """Return E|S| of so many fair spins: the gain of a majority rule."""
    return of_sum(spins, np.sign(2.0 * np.arange(spins + 1) - spins))


@singledispatch
def exact_gain(coarse: object) -> float | None:
    """Return the exact gain of a map of this package, up to a sign; None for any other.

    Of windows on a torus that they do not wrap around.
    """
    return None


@exact_gain.register
def _(coarse: Majority | Average | RandomTiling | FarMajority) -> float:
    return of_majority(coarse.block**2)


@exact_gain.register
def _(coarse: BernoulliBlock) -> float:
    spins = coarse.block**2
    return of_sum(spins, np.tanh(abs(coarse.weight) * (2.0 * np.arange(spins + 1) - spins)))


@exact_gain.register
def _(coarse: Decimation) -> float:
    return 1.0


@exact_gain.register
def _(coarse: CrossMajority) -> float:
    return of_majority(5)


@exact_gain.register
def _(coarse: WindowMajority) -> float:
    return of_majority(coarse.width**2)


@exact_gain.register
def _(coarse: SharedKernel) -> float | None:
    weights = coarse.weights[coarse.weights != 0].astype(np.float64)
    if len(weights) > MOST_WEIGHTS:
        return None
    states = 2.0 * ((np.arange(2 ** len(weights))[:, None] >> np.arange(len(weights))) & 1) - 1
    inputs = np.round(states @ weights + coarse.bias, 12)  # ties of equal weights are exact
    scaled = np.clip(inputs / coarse.temperature, -LARGEST_WEIGHT, LARGEST_WEIGHT) if coarse.temperature else inputs
    mean = np.tanh(scaled) if coarse.temperature else np.sign(inputs)
    return abs(float((states.sum(axis=1) * mean).mean()))


@exact_gain.register
def _(coarse: Scrambled) -> float | None:
    return exact_gain(coarse.coarse)


def margin(gain: np.ndarray | float, block: float) -> np.ndarray:
    """Return how far a gain is from the edge at which fields wash out, 1 for the majority rule of the block.

    Blocks of less than three sites are held against three: majority of two spins has ties in half of all cases, a gain
    of 1, and washes out itself.
    """
    edge = block**Ising.DELTA_SIGMA
    return np.asarray((np.asarray(gain) - edge) / (of_majority(max(LEAST_BLOCK, round(block**2))) - edge))


def fair_spins(samples: int, size: int, rng: Rng) -> Samples:
    """Return independent fair spins, int8 `(sample, L, L)`."""
    bits = np.unpackbits(np.frombuffer(rng.bytes(samples * size * size // 8 + 1), np.uint8))
    return (2 * bits[: samples * size * size].astype(np.int8) - 1).reshape(samples, size, size)


def places(gauge: Gauge) -> np.ndarray:
    """Return row and column of the site nearest to each unit's place, `(unit, 2)`; its own where it came with one."""
    centre = gauge.centre
    if gauge.site is not None and gauge.tiles:
        centre = (gauge.site + 0.5) * (gauge.size / gauge.side) - 0.5 + gauge.offset
    return np.floor(centre + 0.5).astype(np.int64) % gauge.size


def responses(step: Step, rng: Rng) -> np.ndarray:
    """Return s_a E[v_{x + x_a} h_a] over fair spins, averaged over units, of all samples, then without each group.

    Returns:
        `(set, row, column)` of x, the first site that of the unit.
    """
    size = step.moments.size
    samples = min(max(SPINS_DRAWN // size**2, 64), MOST_DRAWN)
    row, column = np.divmod(np.arange(size**2), size)
    at = places(step.gauge)
    moved = (row + at[:, :1]) % size * size + (column + at[:, 1:]) % size
    sign, groups, sums = step.gauge.sign.astype(np.float64), Groups.of(samples), []
    for start, stop in groups.bounds:
        v = fair_spins(stop - start, size, rng)
        h = np.sign(step.coarse.sample_h(v, rng)) if step.coarse.real else step.coarse.mean_h(v)
        pictures = h.reshape(len(v), -1).T.astype(np.float32) @ v.reshape(len(v), -1).astype(np.float32)
        sums.append(sign @ np.take_along_axis(pictures, moved, axis=1) / len(sign))
    return groups.over_counts(np.stack(sums)).reshape(-1, size, size)


def window(response: Estimate, block: float) -> tuple[np.ndarray, float]:
    """Return which sites belong to a unit, `(row, column)`, and the rms distance of those that it responds to."""
    value, error = np.asarray(response.value), np.asarray(response.error)
    size = len(value)
    step = np.minimum(np.arange(size), size - np.arange(size))
    squared = step[:, None] ** 2.0 + step**2.0
    weight = np.where(np.abs(value) > CLEAR * error, value, 0.0) ** 2
    reach = math.sqrt(float((weight * squared).sum() / weight.sum())) if weight.any() else 0.0
    return squared <= min(max(REACH * block, WIDER * reach), size / 2) ** 2, reach


def measure(subject: Subject) -> Row:
    """Return the gain of each map, and where it lies between the edge and the majority rule."""
    quantities, says = of_step(subject.first, subject.rng("fair spins"))
    quantities |= by_step(subject.steps[1:], lambda step: of_step(step, subject.rng("fair spins", step.number))[0])
    return Diagnostic(None, "; ".join([says, *subject.not_read]), quantities), {}


def of_step(step: Step, rng: Rng) -> tuple[dict[str, Quantity], str]:
    """Return the gain of one map, exact where it is known, its margin, and how they were measured."""
    block = step.ratio
    if block <= 1:
        return {}, "not measured: h has as many units as v has sites, no change of scale"
    if not step.gauge.alive.any():
        return {}, "not measured: every unit is constant"
    edge = block**Ising.DELTA_SIGMA
    says = f"gain on fair spins; h washes out below b^(1/8) = {edge:.4f}"
    known = exact_gain(given(step.coarse.inner))
    if known is not None:
        gain, above = Estimate(known, 0.0), Estimate(float(margin(known, block)), 0.0)
    else:
        response = responses(step, rng)
        kept, reach = window(estimated(response), block)
        sets = response[:, kept].sum(axis=1)
        gain, above = estimated(sets), estimated(margin(sets, block))
        if reach > block:
            says += f"; units read {reach:.1f} sites about them, windows overlap, so that this is a first estimate"
    edges = Quantity(Estimate(edge, 0.0))
    return {"gain": Quantity(gain, known), "gain_edge": edges, "gain_margin": Quantity(above)}, says


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the gains of all maps beside the edge below which h washes out."""
    found = {name: entry.estimates("gain") for name, entry in maps.items()}
    shown = {name: q for name, q in found.items() if "gain" in q}
    if not shown:
        return
    edge = next(iter(shown.values()))["gain_edge"].estimate.value
    order = coloured(maps)
    shown, nulls = parted(shown, order)
    with sheet(size=(7.2, 1.6 + 0.28 * len(shown))) as (figure, (axes,)):
        null_span(axes, [float(q["gain"].estimate.value) for q in nulls.values()])
        axes.axvline(edge, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
        for at, (name, q) in enumerate(shown.items()):
            style = {**look(name, order), "linestyle": "none"}
            axes.errorbar(q["gain"].estimate.value, at, xerr=q["gain"].estimate.error, markersize=5, capsize=2, **style)
        axes.set_yticks(range(len(shown)), [text(name) for name in shown])
        axes.set(xlabel="gain g on fair spins", ylim=(len(shown) - 0.5, -0.5))
        axes.margins(x=0.1)
        if nulls:
            axes.legend(**ABOVE)
        yield Plate("gain", CAPTION, figure)


MARGIN = Criterion("gain_margin", 0.5, math.inf)
INSTRUMENT = Instrument(
    name="gain",
    question=(
        "Whether a weak field in noise grows or dies under the map, which decides whether iteration can end at the "
        "fixed point at all. It is measured on fair spins, needs no iteration, and is exact for block rules. It does "
        "not ask whether the map is local."
    ),
    measure=measure,
    needs_map=True,
    headline={"gain": "g"},
    legend="g: gain on fair spins; below b^(1/8) = 1.09 (b = 2) h washes out, the majority rule has 1.5",
    criteria=(MARGIN, MARGIN.of_maps()),
    decides="fixed point",
    figures=figures,
)
