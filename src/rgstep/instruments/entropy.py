"""How much of a coarse variable is noise of the map itself? The conditional entropy H(h | v), and what sharpening does.

For ±1 units that are independent given v, with means m_a = E[h_a | v] and H₂(p) = −p ln p − (1−p) ln(1−p),

    H(h | v) / N_h = (1/N_h) Σ_a ⟨H₂((1 + m_a)/2)⟩    in nats, between 0 and ln 2 = 0.693.

Units that depend on each other given v have less: the number is then an upper bound. A rule without coins has 0; the
majority rule with random ties has ln 2 · P(tie), 0.0591 on the infinite lattice at T_c.

The ladder s: the machine whose inputs x_a = Σ_i W_ia v_i + b_a are s times as large, m_a = tanh(s x_a); at s = ∞, h_a =
sign x_a. A noisy block spin becomes the majority rule on the way (Swendsen 1984 has the noisy one); a filter that is no
block spin stays one.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import entr

from rgstep.blocking import BernoulliBlock
from rgstep.correlators import BLOCK_SITES, Source, read
from rgstep.diagnostics import pseudolikelihood
from rgstep.diagnostics.subject import SMALLEST_SIDE, STREAM, Row, Subject
from rgstep.estimates import Estimate, group_bounds, grouped_mean
from rgstep.exact import blocks, enumeration
from rgstep.lattice import as_vectors, block_sums
from rgstep.nets.rbm import RBM
from rgstep.report import Diagnostic, Quantity
from rgstep.types import CoarseGraining, Field, Rng, Samples

TELLS = (
    "It tells how much of h is a coin of the map's own, per unit, and whether making the map less noisy moves the "
    "couplings of h towards those of block spins. It cannot tell whether what is left is a block spin: decimation, a "
    "random tiling and an average all have little noise or none."
)
Inputs: TypeAlias = Callable[[Samples], Field]
SCALES = (0.5, 1.0, 2.0, 4.0, math.inf)
GROUPS = 64
LADDER_GROUPS = 32  # whose couplings are fitted one by one
LADDER_UNITS = 2**21  # draws of a unit at each s: 8192 configurations at L = 32
CONSTANT = 1e-6  # a unit whose E[h | v] varies less is constant
ROUNDING = 1e-5  # of a mean of ±1 in float32
ENUMERABLE = 4


class Entropies(NamedTuple):
    """H(h_a | v) in nats, averaged over units `(sample,)` and over samples `(unit,)`.

    `varies` `(unit,)` says which units depend on v; the average over units leaves out the others, unless none does.
    `largest` is the largest |E[h | v]|.
    """

    by_sample: Field
    by_unit: np.ndarray
    varies: np.ndarray
    largest: float


def binary_entropy(mean: Field) -> Field:
    """Return H₂((1 + m)/2) in nats of ±1 variables of given means m, of any shape."""
    half = np.clip(mean, -1, 1) / 2
    return np.asarray(entr(0.5 + half) + entr(0.5 - half))


def conditional_entropy(v: Source, coarse: CoarseGraining) -> Entropies:
    """Return the conditional entropies of the ±1 units of a map, streaming the configurations once.

    The mean with its error is `rgstep.estimates.grouped_mean` of `by_sample`.

    Args:
        v: an `Ensemble`, or configurations ±1 `(sample, row, column)`.
        coarse: the map, whose h is ±1.
    """
    step = max(1, BLOCK_SITES // read(v, 0, 1).size)
    sums, totals, low, high = [], [], [], []
    for start in range(0, len(v), step):
        mean = as_vectors(coarse.mean_h(read(v, start, min(start + step, len(v)))))
        entropy = binary_entropy(mean)
        sums.append(entropy.sum(axis=1, dtype=np.float64))
        totals.append(entropy.sum(axis=0, dtype=np.float64))
        low.append(mean.min(axis=0))
        high.append(mean.max(axis=0))
    lowest, highest = np.min(low, axis=0), np.max(high, axis=0)
    by_unit, varies = np.sum(totals, axis=0) / len(v), highest - lowest > CONSTANT
    left_out = ~varies if varies.any() else np.zeros_like(varies)
    by_sample = np.concatenate(sums) - by_unit[left_out].sum()  # what is constant has it in every sample
    by_sample /= len(varies) - left_out.sum()
    return Entropies(by_sample, by_unit, varies, float(max(-lowest.min(), highest.max())))


class Ladder(NamedTuple):
    """What sharpening does: estimates by name, each over the scales s of `SCALES` (last s = ∞).

    `entropy`: H(h | v) per unit in nats. `nn`: ⟨h h⟩ of nearest neighbours; `K_nn`, `K_nnn`: couplings of the hidden
    Hamiltonian; these only where h has places.
    """

    scales: np.ndarray
    estimates: Mapping[str, Estimate]


def inputs_of(given: object) -> Inputs | None:
    """Return the function v → x with E[h | v] = tanh x of a network or a Bernoulli block, None of any other map."""
    if isinstance(given, RBM):
        w, b = given.weights, given.hidden_bias
        return lambda v: np.asarray(as_vectors(v).astype(np.float32) @ w + b)
    if isinstance(given, BernoulliBlock):
        weight, block = np.float32(given.weight), given.block
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
        estimates = {"entropy": grouped_mean(as_vectors(entropy).mean(axis=1, dtype=np.float64), GROUPS)}
        if place is not None:
            h = place(np.where(uniform < mean, np.int8(1), np.int8(-1)))
            estimates |= neighbours(h)
        for name, estimate in estimates.items():
            found.setdefault(name, []).append(estimate)
    stacked = {name: Estimate(*np.array([[e.value, e.error] for e in row]).T) for name, row in found.items()}
    return Ladder(np.array(SCALES), stacked)


def few_inputs(v: Source, inputs: Inputs) -> Field:
    """Return x for as many configurations as the ladder reads, from each group of samples its first ones."""
    units = inputs(read(v, 0, 1)).size
    each = max(1, LADDER_UNITS // (GROUPS * units))
    return np.concatenate([inputs(read(v, a, min(b, a + each))) for a, b in group_bounds(len(v), GROUPS)])


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
    estimates = {"nn": grouped_mean((products[0] + products[1]) / 2, GROUPS)}
    if h.shape[1] >= SMALLEST_SIDE:
        K = pseudolikelihood.couplings(h, groups=LADDER_GROUPS).estimate
        estimates |= {f"K_{kind}": K[pseudolikelihood.KINDS.index(kind)] for kind in ("nn", "nnn")}
    return estimates


def row(subject: Subject) -> Row:
    """Return the conditional entropy per unit, and for networks and Bernoulli blocks the ladder."""
    if subject.hidden.dtype != np.int8:
        return real_valued(subject)
    entropies = conditional_entropy(subject.ensemble, subject.coarse)
    if entropies.largest > 1 + ROUNDING:
        why = f"h is ±1 but E[h | v] reaches {entropies.largest:.3g}: it is not the mean of h, so there is no entropy"
        return Diagnostic(None, why, {}), {}
    constant = int((~entropies.varies).sum())
    entropy = grouped_mean(entropies.by_sample, GROUPS)
    quantities = {"entropy": Quantity(entropy, exact_entropy(subject, entropies.varies))}
    arrays = {"unit_entropy": entropies.by_unit}
    remarks = [
        "nats per unit, of h as drawn, from E[h | v]; exact for units that are independent given v, an upper bound for "
        "others; describes, decides nothing by itself"
    ]
    if subject.ensemble.system.is_critical:
        remarks.append(
            f"majority rule with random ties on the infinite lattice: {math.log(2) * blocks.TIE_PROBABILITY:.4f}"
        )
    if constant == len(entropies.varies):
        remarks.append("no unit varies with v: all are counted")
    elif constant:
        remarks.append(f"{constant} of {len(entropies.varies)} units do not vary with v and are left out")
    if not np.isfinite(float(entropy.error)):
        remarks.append("too few configurations for an error")
    more = sharpening(subject)
    if more is not None:
        numbers, curves, remark = more
        quantities, arrays = {**quantities, **numbers}, {**arrays, **curves}
        remarks.append(remark)
    return Diagnostic(None, "; ".join(remarks), quantities), arrays


def real_valued(subject: Subject) -> Row:
    """Return the row of a map whose h is not ±1: entropy 0 if h is a function of v, not defined if it is drawn."""
    step = max(1, BLOCK_SITES // subject.ensemble.system.size**2)
    for start in range(0, len(subject.ensemble), step):
        drawn = subject.hidden[start : start + step]
        mean = subject.coarse.mean_h(subject.ensemble.unpack(start, min(start + step, len(subject.ensemble))))
        if not np.allclose(drawn, mean, rtol=0, atol=ROUNDING * max(1.0, float(np.abs(mean).max()))):
            why = "h is drawn and not ±1: its entropy needs the law p(h | v), which a map does not give"
            return Diagnostic(None, why, {}), {}
    why = "h takes other values than ±1 and is a function of v: nothing is left to chance, entropy 0 exactly"
    return Diagnostic(None, why, {"entropy": Quantity(Estimate(0.0, 0.0), 0.0)}), {}


def exact_entropy(subject: Subject, varies: np.ndarray) -> float | None:
    """Return the entropy per unit over all states of the 4×4 torus, of the units that are counted; None elsewhere."""
    system = subject.ensemble.system
    if system.size > ENUMERABLE:
        return None
    counted = varies if varies.any() else ~varies
    states, p = enumeration.states(system.size), enumeration.probabilities(system.size, system.coupling)
    total = 0.0
    for start in range(0, len(states), enumeration.BLOCK):
        mean = as_vectors(subject.coarse.mean_h(states[start : start + enumeration.BLOCK]))
        total += float(p[start : start + enumeration.BLOCK] @ binary_entropy(mean)[:, counted].mean(axis=1))
    return total


def sharpening(subject: Subject) -> tuple[dict[str, Quantity], dict[str, np.ndarray], str] | None:
    """Return the quantities, arrays and the remark of a map's ladder; None for maps without one."""
    inputs = inputs_of(subject.original)
    if inputs is None:
        return None
    place = placing(subject)
    rng = np.random.default_rng([STREAM, subject.seed, 0xE])
    found = ladder(subject.ensemble, inputs, rng, place)
    arrays = {"sharpening_s": found.scales}
    for name, e in found.estimates.items():
        arrays |= {f"sharpening_{name}": np.asarray(e.value), f"sharpening_{name}_error": np.asarray(e.error)}
    numbers = {
        f"{name}_sharp[{label(s)}]": Quantity(e[i])
        for name, e in found.estimates.items()
        for i, s in enumerate(SCALES)
        if s != 1 and (name == "entropy" or math.isinf(s))
    }
    remark = "sharp[s]: the same map with inputs s times as large, inf: their sign"
    if place is None:
        remark += "; its units have no places, so that neither neighbours nor couplings are known"
    elif not all(np.isfinite(np.asarray(e.value)).all() for e in found.estimates.values()):
        remark += "; couplings that the configurations do not determine are left out"
    return {name: q for name, q in numbers.items() if np.isfinite(q.estimate.value)}, arrays, remark


def label(scale: float) -> str:
    """Return a scale as it stands in a name: 0.5, 2, 4, inf."""
    return f"{scale:g}"


def placing(subject: Subject) -> Callable[[Samples], Samples] | None:
    """Return the function that puts h on the coarse lattice as the subject's places have it; None without places."""
    if subject.given_places:
        return lambda h: np.asarray(h * subject.given_sign)
    return None if subject.gauge is None else subject.gauge.apply
