"""How much of a coarse variable is noise of the map itself? The conditional entropy H(h | v), and what sharpening does.

For ±1 units that are independent given v, with means m_a = E[h_a | v] and H₂(p) = −p ln p − (1−p) ln(1−p),

    H(h | v) / N_h = (1/N_h) Σ_a ⟨H₂((1 + m_a)/2)⟩    in nats, between 0 and ln 2 = 0.693.

Units that depend on each other given v have less: the number is then an upper bound. A rule without coins has 0; the
majority rule with random ties has ln 2 · P(tie), 0.0591 on the infinite lattice at T_c.

The ladder s: the network whose inputs x_a = Σ_i W_ia v_i + b_a are s times as large, m_a = tanh(s x_a); at s = ∞, h_a =
sign x_a. A noisy block spin becomes the majority rule on the way (Swendsen 1984 has the noisy one); a filter that is no
block spin stays one.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import entr

from rgstep import scratch
from rgstep.blocking import BernoulliBlock
from rgstep.drawing import (
    Axes,
    Plate,
    bars,
    legend_above,
    look,
    null_band,
    null_span,
    parted,
    sheet,
    text,
)
from rgstep.ensemble import Source, pieces, read
from rgstep.estimates import Estimate, Groups, grouped_mean
from rgstep.instruments.base import SMALLEST_SIDE, Arrays, Instrument, Row, Subject
from rgstep.instruments.pseudolikelihood import KINDS, couplings
from rgstep.ising import Ising
from rgstep.lattice import as_vectors, block_sums
from rgstep.nets.rbm import RBM
from rgstep.results import Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured
from rgstep.types import CoarseGraining, Field, Rng, Samples

Inputs: TypeAlias = Callable[[Samples], Field]
ROW = "conditional_entropy"
SCALES = (0.5, 1.0, 2.0, 4.0, math.inf)
LADDER_GROUPS = 32  # of samples, whose couplings are fitted one by one: half the groups, half the time
LADDER_UNITS = 2**21  # draws of a unit at each s: 8192 configurations at L = 32
ROUNDING = 1e-5  # of a mean of ±1 in float32
OF_MAJORITY = math.log(2) * Ising.TIES  # H(h | v) per unit of the majority rule with random ties
LABELS = {  # of the axis, by what is drawn
    "entropy": "H(h | v) per unit (nats)",
    "K_nn": r"hidden coupling $K_{nn}$",
    "K_nnn": r"hidden coupling $K_{nnn}$",
}
CAPTION = (
    "Noise of the maps themselves. First panel: conditional entropy per unit of h as drawn, at most ln 2 = 0.693; "
    "dotted: the majority rule with random ties on the infinite lattice at T_c, 0.0591. Others: the same networks and "
    "Bernoulli blocks with their inputs s times as large, ∞ their sign. If sharpening were all that a network "
    "lacked, its couplings would reach those of the majority rule (dashed)."
)


class Entropies(NamedTuple):
    """H(h_a | v) in nats, averaged over units `(sample,)` and over samples `(unit,)`; `largest` is max |E[h | v]|."""

    by_sample: Field
    by_unit: np.ndarray
    largest: float


def binary_entropy(mean: Field) -> Field:
    """Return H₂((1 + m)/2) in nats of ±1 variables of given means m, of any shape."""
    half = np.clip(mean, -1, 1) / 2
    return np.asarray(entr(0.5 + half) + entr(0.5 - half))


def conditional_entropy(v: Source, coarse: CoarseGraining, alive: np.ndarray | None = None) -> Entropies:
    """Return the conditional entropies of the ±1 units of a map, streaming the configurations once.

    The mean with its error is `rgstep.estimates.grouped_mean` of `by_sample`.

    Args:
        v: an `Ensemble`, or configurations ±1 `(sample, row, column)`.
        coarse: the map, whose h is ±1.
        alive: which units the average over units is of, bool `(unit,)`; all by default, and if none is.
    """
    by_sample, filled, totals, largest = scratch.empty(len(v)), 0, [], 0.0
    counted = slice(None) if alive is None or alive.all() or not alive.any() else alive
    for _, part in pieces(v):
        mean = as_vectors(coarse.mean_h(part))
        entropy = binary_entropy(mean)
        by_sample[filled : filled + len(part)] = entropy[:, counted].mean(axis=1, dtype=np.float64)
        filled += len(part)
        totals.append(entropy.sum(axis=0, dtype=np.float64))
        largest = max(largest, float(np.abs(mean).max()))
    return Entropies(by_sample, np.sum(totals, axis=0) / len(v), largest)


class Ladder(NamedTuple):
    """What sharpening does: estimates by name, each over the scales s of `SCALES` (last s = ∞).

    `entropy`: H(h | v) per unit in nats. `nn`: ⟨h h⟩ of nearest neighbours; `K_nn`, `K_nnn`: couplings of the hidden
    Hamiltonian; these only where h has places.
    """

    scales: np.ndarray
    estimates: Mapping[str, Estimate]


def inputs_of(original: object) -> Inputs | None:
    """Return the function v → x with E[h | v] = tanh x of a network or a Bernoulli block, None of any other map."""
    if isinstance(original, RBM):
        w, b = original.weights, original.hidden_bias
        return lambda v: np.asarray(as_vectors(v).astype(np.float32) @ w + b)
    if isinstance(original, BernoulliBlock):
        weight, block = np.float32(original.weight), original.block
        return lambda v: np.asarray(weight * block_sums(v, block))
    return None


def ladder(v: Source, inputs: Inputs, rng: Rng, place: Callable[[Samples], Samples] | None = None) -> Ladder:
    """Return the ladder of a map with E[h | v] = tanh x, at each s on the same configurations and random numbers.

    Args:
        v: an `Ensemble`, or configurations ±1 `(sample, row, column)`; as many are read as make 2²¹ units, from
            equally many in each of 64 groups.
        inputs: the function v → x, `(sample, ...)`.
        rng: decides the draws.
        place: puts h on a coarse lattice, `(sample, l, l)`, if anything does.
    """
    x = few_inputs(v, inputs)
    uniform = 2 * rng.random(x.shape, dtype=np.float32) - 1
    found: dict[str, list[Estimate]] = {}
    for scale in SCALES:
        mean, entropy = sharpened(x, scale)
        estimates = {"entropy": grouped_mean(as_vectors(entropy).mean(axis=1, dtype=np.float64))}
        if place is not None:
            h = place(np.where(uniform < mean, np.int8(1), np.int8(-1)))
            estimates |= neighbours(h)
        for name, estimate in estimates.items():
            found.setdefault(name, []).append(estimate)
    stacked = {name: Estimate(*np.array([[e.value, e.error] for e in row]).T) for name, row in found.items()}
    return Ladder(np.array(SCALES), stacked)


def few_inputs(v: Source, inputs: Inputs) -> Field:
    """Return x for as many configurations as the ladder reads, from each group of samples its first ones."""
    groups, units = Groups.of(len(v)), inputs(read(v, 0, 1)).size
    each = max(1, LADDER_UNITS // (len(groups) * units))
    return np.concatenate([inputs(read(v, a, min(b, a + each))) for a, b in groups.bounds])


def sharpened(x: Field, scale: float) -> tuple[Field, Field]:
    """Return E[h | v] and the entropy in nats of units with inputs s x, s = ∞ included.

    With a = s|x|, H₂ = ln(1 + e^{−2a}) + 2a/(1 + e^{2a}): no digits are lost where the mean is close to ±1.
    """
    if math.isinf(scale):
        return np.sign(x), np.where(x == 0, np.float32(math.log(2)), np.float32(0))
    a = np.float32(scale) * np.abs(x)
    odds = np.exp(-2 * a)
    entropy = np.log1p(odds) + 2 * a * odds / (1 + odds)
    return np.copysign((1 - odds) / (1 + odds), x), entropy


def neighbours(h: Samples) -> dict[str, Estimate]:
    """Return ⟨h h⟩ of nearest neighbours of ±1 spins on a torus, `(sample, l, l)`, and K_nn, K_nnn from a side of 4."""
    products = [(h * np.roll(h, 1, axis)).mean(axis=(1, 2), dtype=np.float64) for axis in (1, 2)]
    estimates = {"nn": grouped_mean((products[0] + products[1]) / 2)}
    if h.shape[1] >= SMALLEST_SIDE:
        K = couplings(h, groups=LADDER_GROUPS).estimate
        estimates |= {f"K_{kind}": K[KINDS.index(kind)] for kind in ("nn", "nnn")}
    return estimates


def measure(subject: Subject) -> Row:
    """Return the conditional entropy per unit, and for networks and Bernoulli blocks the ladder."""
    if subject.hidden.dtype != np.int8:
        return real_valued(subject)
    entropies = conditional_entropy(subject.ensemble, subject.coarse, subject.gauge.alive)
    if entropies.largest > 1 + ROUNDING:
        why = f"h is ±1 but E[h | v] reaches {entropies.largest:.3g}: it is not the mean of h, so there is no entropy"
        return Diagnostic(None, why, {}), {}
    entropy = grouped_mean(entropies.by_sample)
    numbers, arrays, more = sharpening(subject)
    quantities = {"entropy": Quantity(entropy), **numbers}
    why = "; ".join([*remarks(subject, entropy), *more])
    return Diagnostic(None, why, quantities), {"unit_entropy": entropies.by_unit, **arrays}


def remarks(subject: Subject, entropy: Estimate) -> list[str]:
    """Return what the entropy is, and of which units, in clauses."""
    says = [
        "nats per unit, of h as drawn, from E[h | v]; exact for units that are independent given v, an upper bound for "
        "others; describes, decides nothing by itself"
    ]
    constant, units = len(subject.gauge.constant), len(subject.gauge.alive)
    if subject.system.is_critical:
        says.append(f"majority rule with random ties on the infinite lattice: {OF_MAJORITY:.4f}")
    if constant == units:
        says.append("no unit varies with v: all are counted")
    elif constant:
        says.append(f"{constant} of {units} units do not vary with v and are left out")
    if not np.isfinite(float(entropy.error)):
        says.append("too few configurations for an error")
    return says


def real_valued(subject: Subject) -> Row:
    """Return the row of a map whose h is not ±1: entropy 0 if h is a function of v, not defined if it is drawn."""
    for start, v in pieces(subject.ensemble):
        drawn, mean = subject.hidden[start : start + len(v)], subject.coarse.mean_h(v)
        if not np.allclose(drawn, mean, rtol=0, atol=ROUNDING * max(1.0, float(np.abs(mean).max()))):
            why = "h is drawn and not ±1: its entropy needs the law p(h | v), which a map does not give"
            return Diagnostic(None, why, {}), {}
    why = "h takes other values than ±1 and is a function of v: nothing is left to chance, entropy 0 exactly"
    return Diagnostic(None, why, {"entropy": Quantity(Estimate(0.0, 0.0), 0.0)}), {}


def sharpening(subject: Subject) -> tuple[Mapping[str, Quantity], Arrays, list[str]]:
    """Return the quantities, arrays and remarks of a map's ladder; nothing for maps without one."""
    inputs = inputs_of(subject.original) if len(subject.maps) == 1 else None
    if inputs is None:
        return {}, {}, []
    place = None if subject.placed is None else subject.gauge.apply
    found = ladder(subject.ensemble, inputs, subject.rng("h on the ladder of sharpened maps"), place)
    arrays = {"sharpening_s": found.scales}
    for name, e in found.estimates.items():
        arrays |= {f"sharpening_{name}": np.asarray(e.value), f"sharpening_{name}_error": np.asarray(e.error)}
    numbers = {
        f"{name}_sharp[{s:g}]": Quantity(e[i])
        for name, e in found.estimates.items()
        for i, s in enumerate(SCALES)
        if s != 1 and (name == "entropy" or math.isinf(s))
    }
    remark = "sharp[s]: the same map with inputs s times as large, inf: their sign"
    if place is None:
        remark += "; its units have no places, so that neither neighbours nor couplings are known"
    elif not all(np.isfinite(np.asarray(e.value)).all() for e in found.estimates.values()):
        remark += "; couplings that the configurations do not determine are left out"
    return {name: q for name, q in numbers.items() if np.isfinite(q.estimate.value)}, arrays, [remark]


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the entropy of every map, and beside it entropy and couplings along the ladder where there is one."""
    entropies = {name: rows["entropy"].estimate for name, m in maps.items() if "entropy" in (rows := m.estimates(ROW))}
    if not entropies:
        return
    ladders = arrays_of(maps, ROW, "sharpening_s")
    drawn = [q for q in LABELS if any(f"sharpening_{q}" in arrays for arrays in ladders.values())]
    order = coloured(maps)
    columns = min(2, 1 + len(drawn))
    lines_of = -(-(1 + len(drawn)) // columns)
    with sheet(lines_of, columns, size=(7.2, 2.9 * lines_of + 0.6)) as (figure, (first, *others)):
        lines(first, entropies, order)
        for axes in others[len(drawn) :]:
            axes.set_axis_off()
        others = others[: len(drawn)]
        for axes, quantity in zip(others, drawn, strict=True):
            curves(axes, ladders, quantity, order)
            if quantity != "entropy":
                block_spins(axes, maps, quantity)
        if others:
            legend_above(figure, others, fontsize="small")
        yield Plate(ROW, CAPTION, figure)


def lines(axes: Axes, entropies: Mapping[str, Estimate], order: Sequence[str]) -> None:
    """Draw the entropy of each map on a line of its own, the first map on top."""
    entropies, nulls = parted(entropies, order)
    null_span(axes, [float(entropy.value) for entropy in nulls.values()])
    for place, (name, entropy) in enumerate(entropies.items()):
        style = look(name, order)
        bar = bars(np.atleast_1d(entropy.error))
        axes.errorbar(entropy.value, -place, xerr=bar, color=style["color"], fmt=style["marker"], markersize=5)
    axes.axvline(OF_MAJORITY, color="0.4", linestyle=":", linewidth=1.0)
    axes.set_yticks(-np.arange(len(entropies)), [text(name) for name in entropies])
    axes.set(xlabel=LABELS["entropy"], xlim=(-0.03, 0.72), ylim=(-len(entropies) + 0.4, 0.6))


def curves(axes: Axes, ladders: Mapping[str, Arrays], quantity: str, order: Sequence[str]) -> None:
    """Draw one quantity of each map against s, at equal steps."""
    scales = next(iter(ladders.values()))["sharpening_s"]
    own, nulls = parted({name: a for name, a in ladders.items() if f"sharpening_{quantity}" in a}, order)
    named = f"sharpening_{quantity}", f"sharpening_{quantity}_error"
    null_band(axes, [(np.arange(len(a[named[0]])), *(a[one] for one in named)) for a in nulls.values()])
    for name, arrays in own.items():
        if f"sharpening_{quantity}" in arrays:
            value, error = arrays[f"sharpening_{quantity}"], bars(arrays[f"sharpening_{quantity}_error"])
            shape = {"label": text(name), "markersize": 4, "linewidth": 1.2}
            axes.errorbar(np.arange(len(value)), value, error, **shape, **look(name, order))
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xticks(np.arange(len(scales)), ["∞" if np.isinf(s) else f"{s:g}" for s in scales])
    axes.set(xlabel="inputs times s", ylabel=LABELS[quantity])


def block_spins(axes: Axes, maps: Mapping[str, MapReport], quantity: str) -> None:
    """Draw the coupling that the hidden Hamiltonian's row found for the majority rule, if it is in the report."""
    found = maps["majority"].estimates("hidden_hamiltonian") if "majority" in maps else {}
    if f"{quantity}[1]" in found:
        value = float(found[f"{quantity}[1]"].estimate.value)
        axes.axhline(value, color="0.4", linestyle="--", linewidth=1.0, label="majority rule")


INSTRUMENT = Instrument(
    name=ROW,
    question=(
        "It tells how much of h the map itself draws at random, per unit, and whether making the map less noisy moves "
        "the couplings of h towards those of block spins. It cannot tell whether what is left is a block spin: "
        "decimation, a random tiling and an average all have little noise or none."
    ),
    measure=measure,
    needs_map=True,
    headline={"entropy": "H"},
    legend="H: entropy of a unit given the spins, in nats",
    figures=figures,
)
