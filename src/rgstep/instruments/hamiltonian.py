"""Is the Hamiltonian of the coarse variables local, and does it stay the same from level to level?

The couplings are those of `pseudolikelihood`. What is asked of them, for the spins and for h level by level:

    locality       Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r|,
    stationarity   |K^{(n+1)} − K^{(n)}| / |K^{(n)}|, over the seven couplings (Swendsen 1984).

An RG step gives short-ranged couplings, and at T_c the same ones at each level after the first. Networks without given
places also get the couplings of all pairs of units (`pairwise`); four units on a 2×2 lattice get every coupling.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rgstep.arguments import InputError
from rgstep.drawing import Axes, Plate, aside, legend_above, look, null_band, parted, sheet, text
from rgstep.ensemble import Source, in_pieces, pieces
from rgstep.estimates import Estimate, Groups, estimated, with_rest
from rgstep.instruments import pairwise
from rgstep.instruments.base import SMALLEST_SIDE, Instrument, Row, Subject
from rgstep.instruments.draws import signs
from rgstep.instruments.pseudolikelihood import DISTANCES, KINDS, PAIRS, Couplings, couplings, of_spins
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured
from rgstep.types import Samples

FLIPS_EXPECTED = 20  # of a site that never flips, by the typical one: so that it is no accident
LARGEST_COUNTED = 8  # units whose states are counted, 256
PAIRED = 2**24  # values of h, at most, from which the couplings of all pairs are fitted: 0.4 GB as it works
SAMPLES_A_UNIT = 10  # fewer do not determine the couplings of all pairs
TRUNCATED = ("nn", "nnn")  # kinds whose truncation is quoted; the others' are in the arrays
COINCIDE = "(2,0), (2,1) and (2,2) are met by their own images, each counted"
SUBSETS_OF_FOUR = {"J_nn": (3, 5, 10, 12), "J_diagonal": (6, 9), "J_four": (15,)}  # units 0 1 / 2 3 of the 2×2 lattice

LINEAR_BELOW = 0.01  # the axis of K is linear up to here, logarithmic beyond
FARTHEST_PAIRS = 4.0  # shown of the couplings of a network's pairs of units
SPREAD = {"distance": 0.18, "level": 0.3}  # of the abscissa that the points of all maps share
TICKS = np.array([-0.1, -0.01, 0.0, 0.01, 0.1, 0.5])
TICK_LABELS = ("1", r"$\sqrt{2}$", "2", r"$\sqrt{5}$", r"$\sqrt{8}$")
CAPTION = (
    "The couplings of the coarse variables. Above: pair couplings K against distance after one step (circles and other "
    "marks, one-σ bars), the spins' own as crosses, their exact values dashed; thin dash-dotted lines: the mean of a "
    "network's couplings between pairs of units. Below: the nearest-neighbour (solid) and diagonal (dotted) coupling "
    "at each level; an RG step at T_c brings them to rest. The axis of the upper panel is linear below "
    f"{LINEAR_BELOW}. The points of different maps are set side by side."
)


def measure(subject: Subject) -> Row:
    """Return the couplings of the spins and of h level by level, their locality and change; pairs for networks."""
    measured, remarks = by_level(subject)
    quantities = of_levels(measured, subject.system.coupling)
    arrays: dict[str, np.ndarray] = {
        "distance": DISTANCES,
        "K": np.stack([np.asarray(m.estimate.value) for m in measured]),
        "K_error": np.stack([np.asarray(m.estimate.error) for m in measured]),
        "K_left_out": np.stack([m.left_out for m in measured]),
        "K_truncation": np.stack([np.asarray(m.truncation.value) for m in measured]),
        "K_truncation_error": np.stack([np.asarray(m.truncation.error) for m in measured]),
    }
    if len(measured) == 1:
        remarks.append(why_no_lattice(subject))
    if subject.gauge.given and subject.placed is not None and subject.gauge.side == 2:
        four = of_four(signs(subject.placed, subject.rng("coins for the signs of four units")))
        quantities |= four
        remarks.append("J_nn[1], J_diagonal[1] and J_four[1] count the 16 states of four units")
        if not all(np.isfinite(quantity.estimate.error) for quantity in four.values()):
            remarks[-1] += ", of which some occur too rarely for couplings or their errors"
    if not subject.gauge.given:
        h = subject.hidden if subject.placed is None else subject.placed
        more, drawn, remark = of_pairs(signs(h, subject.rng("coins for the signs of pairs of units")))
        quantities, arrays = quantities | more, arrays | drawn
        remarks.append(remark)
    return Diagnostic(None, "; ".join(remarks), quantities), arrays


def by_level(subject: Subject) -> tuple[list[Couplings], list[str]]:
    """Return the couplings of every level, the spins first, and what must be said about them."""
    measured, remarks = [], []
    for n, level in enumerate(subject.levels):
        frozen = sites_that_never_flip(level) if n else np.zeros((level.side, level.side), bool)
        rng = subject.rng("coins for the signs of a level", n)
        found = couplings(level, rng, keep=~frozen) if n else of_spins(subject.ensemble)
        measured.append(found)
        remarks += warnings(n, found, frozen)
    sides = ", ".join(str(m.side) for m in measured)
    what = f"K by pseudolikelihood at levels 0 to {len(measured) - 1} (sides {sides})"
    if len(measured) > 1:
        what += f"; h is read as {'its sign, a 0 by a fair coin' if subject.real else 'sampled'}"
        what += ", on found places, averaged over sites" if subject.found else ""
    what += "; truncation: K less K of a fit without the sublattice plaquette"
    return measured, [what, *remarks]


def sites_that_never_flip(level: Source) -> np.ndarray:
    """Return which sites never change their sign though a typical site does so often, bool `(l, l)`.

    Where the typical site has changed less than some 20 times, one that never did may be an accident, and none counts.
    """
    up = sum((part > 0).sum(axis=0) for _, part in pieces(level)) / len(level)
    rarer = np.minimum(up, 1.0 - up)
    never = rarer == 0
    often = np.median(rarer[~never]) * len(level) > FLIPS_EXPECTED if (~never).any() else True
    return np.asarray(never & often)


def warnings(n: int, found: Couplings, frozen: np.ndarray) -> list[str]:
    """Return what is wrong with the couplings of level n, in words."""
    lines = []
    if not np.isfinite(found.estimate.value).all():
        lines.append(f"level {n}: the samples determine no couplings (too few, or all spins alike)")
    elif not np.isfinite(found.estimate.error).all():
        lines.append(f"level {n}: no error bars, too few samples")
    elif not np.isfinite(found.locality().value):
        lines.append(f"level {n}: no locality, the couplings are within their noise or the samples too few")
    if found.side == SMALLEST_SIDE:
        lines.append(f"level {n}: on a side of {SMALLEST_SIDE} {COINCIDE}")
    if frozen.any():
        lines.append(f"level {n}: left out as centres, {constant_ones(np.flatnonzero(frozen), frozen.size, 'sites')}")
    return lines


def constant_ones(units: np.ndarray, total: int, what: str = "units") -> str:
    """Return how many units, or sites, never change, and the numbers of the first few."""
    names = ", ".join(str(unit) for unit in units[:8]) + (", …" if len(units) > 8 else "")
    return f"{len(units)} of {total} {what} are constant ({names})"


def of_levels(measured: Sequence[Couplings], coupling: float) -> dict[str, Quantity]:
    """Return the couplings, localities and changes by their names in the report; the spins' own are known exactly."""
    quantities = {}
    for n, found in enumerate(measured):
        known = n == 0 and np.isfinite(coupling)
        for i, kind in enumerate(KINDS):
            quantities[f"K_{kind}[{n}]"] = Quantity(found.estimate[i], coupling * (kind == "nn") if known else None)
        for i, kind in enumerate(TRUNCATED):
            quantities[f"K_{kind}_truncation[{n}]"] = Quantity(found.truncation[i], 0.0 if known else None)
        exact_locality = 0.0 if n == 0 and coupling > 0 else None
        quantities[f"locality_q[{n}]"] = Quantity(found.locality(), exact_locality)
        if n + 1 < len(measured):
            quantities[f"stationarity[{n}]"] = Quantity(found.relative_change(measured[n + 1]))
    return quantities


def why_no_lattice(subject: Subject) -> str:
    """Return why h has no couplings by distance, and what would give it some."""
    if subject.placed is None:
        units = len(subject.gauge.alive)
        return f"{units} units without places do not fill a square lattice: a square number of units would"
    side = subject.gauge.side
    return f"the coarse side {side} is below {SMALLEST_SIDE}, where couplings coincide: use a larger lattice"


def of_four(h: Samples) -> dict[str, Quantity]:
    """Return the couplings of ±1 units on a 2×2 lattice from how often their 16 states occur.

    `J_nn`, `J_diagonal` and `J_four` belong to a pair of neighbours, a diagonal pair and all four, each met once.
    """
    K = counted(h)
    return {f"{name}[1]": Quantity(estimated(K[:, own].mean(axis=1))) for name, own in SUBSETS_OF_FOUR.items()}


def counted(h: Samples) -> np.ndarray:
    """Return the couplings of every subset of at most 8 units by counting states, K_S = 2^−m Σ_h ln p(h) Π_{a∈S} h_a.

    State and subset k have unit a up, or in, where bit a of k is 1.

    Args:
        h: ±1, `(sample, unit)`, or places flattened row by row.

    Returns:
        K of all samples, then without each group, `(set, subset)`; NaN where a state has not occurred.

    Raises:
        InputError: for more than 8 units.
    """
    flat = h.reshape(len(h), -1)
    units = flat.shape[1]
    if units > LARGEST_COUNTED:
        message = f"{units} units: counting 2^{units} states is for at most {LARGEST_COUNTED}; use pairwise()"
        raise InputError(message)
    states = in_pieces(lambda part: (part > 0) @ (1 << np.arange(units)), flat)
    bounds = Groups.of(len(h)).bounds
    counts = with_rest(np.stack([np.bincount(states[a:b], minlength=2**units) for a, b in bounds])).astype(np.float64)
    counts[counts == 0] = np.nan
    up = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    products = 1.0 - 2.0 * ((up @ (1 - up).T) & 1)  # (subset, state): −1 for an odd number of units that are down
    log_p = np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))
    return np.asarray(log_p @ products.T / 2**units)


def of_pairs(h: Samples) -> tuple[dict[str, Quantity], dict[str, np.ndarray], str]:
    """Return the couplings of all pairs of ±1 units, against distance where they have places; arrays; a remark."""
    flat = h.reshape(len(h), -1)
    varying = int(np.count_nonzero(flat.min(axis=0) != flat.max(axis=0)))
    if varying < 2 or varying > pairwise.LARGEST_UNITS or len(h) < SAMPLES_A_UNIT * varying:
        need = f"needs 2 to {pairwise.LARGEST_UNITS} units that vary and {SAMPLES_A_UNIT} samples for each"
        return {}, {}, f"no couplings of all pairs of units: {need}, here {varying} and {len(h)}"
    every = -(-flat.size // PAIRED)
    pairs = pairwise.pairwise(flat[::every])
    quantities = {
        "J_rms": Quantity(pairs.estimate_of_halves(pairwise.strength)),
        "J_partners": Quantity(pairs.estimate_of_halves(pairwise.partners)),
    }
    arrays = {"J": pairs.J.astype(np.float32), "J_units": pairs.units}
    remark = "J between all pairs of units by pseudolikelihood"
    if every > 1:
        remark += f", from every {every}th configuration"
    if len(pairs.constant):
        remark += f", without those of which {constant_ones(pairs.constant, flat.shape[1])}"
    if not pairs.converged:
        remark += ", NOT converged"
    if h.ndim == 3:
        curve = pairwise.against_distance(pairs, h.shape[1])
        arrays |= {f"J_{name}": values for name, values in curve.items()}
        if h.shape[1] > 2:  # a nearest pair there is
            at = int(np.argmin(np.abs(curve["distance"] - 1.0)))
            for name, part, error in (("J_nn", "mean", "error"), ("J_nn_spread", "spread", "spread_error")):
                quantities[name] = Quantity(Estimate(float(curve[part][at]), float(curve[error][at])))
            remark += "; J_nn and J_nn_spread are its mean and its spread from pair to pair of nearest neighbours"
    return quantities, arrays, remark


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield K against |r| at level 1 for every map, beside K_nn and K_nnn by level."""
    found = arrays_of(maps, "hidden_hamiltonian", "K")
    shown = {name: arrays for name, arrays in found.items() if len(arrays["K"]) > 1}
    if not shown:
        return
    exact = maps[next(iter(shown))].estimates("hidden_hamiltonian")["K_nn[0]"].exact
    order = coloured(maps)
    own, nulls = parted(shown, order)
    with sheet(2, 1, size=(7.2, 7.4), height_ratios=(1.3, 1.0)) as (figure, (left, right)):
        for axes in (left, right):
            axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        draw_spins(left, right, next(iter(shown.values())), exact)
        pairs = len(PAIRS)
        null_band(left, [(a["distance"], a["K"][1, :pairs], a["K_error"][1, :pairs]) for a in nulls.values()])
        null_band(right, [(np.arange(len(a["K"])), a["K"][:, 0], a["K_error"][:, 0]) for a in nulls.values()])
        for i, (name, arrays) in enumerate(own.items()):
            style = look(name, order)
            draw_by_distance(left, arrays, aside(i, len(own), SPREAD["distance"]), text(name), style)
            draw_by_level(right, arrays, aside(i, len(own), SPREAD["level"]), style)
        label_distances(left, pairs=any("J_mean" in arrays for arrays in own.values()))
        legend_above(figure, [left], fontsize="small")
        right.set_xticks(range(max(len(arrays["K"]) for arrays in shown.values())))
        right.set(xlabel="level (coarse-graining steps)", ylabel=r"$K_{nn}$ (solid), $K_{nnn}$ (dotted)")
        yield Plate("hidden_hamiltonian", CAPTION, figure)


def draw_spins(left: Axes, right: Axes, arrays: Mapping[str, np.ndarray], exact: float | None) -> None:
    """Draw the couplings of the spins against distance, and what they are exactly in both panels."""
    distance = arrays["distance"]
    if exact is not None:
        left.plot(distance, exact * (distance < 1.2), "--", color="0.4", linewidth=1.0, zorder=1, label="spins, exact")
        right.axhline(exact, color="0.4", linestyle="--", linewidth=1.0)
    points = distance, arrays["K"][0, : len(PAIRS)], arrays["K_error"][0, : len(PAIRS)]
    left.errorbar(*points, fmt="x", color="0.4", label="spins", markersize=5)


def draw_by_distance(
    axes: Axes, arrays: Mapping[str, np.ndarray], shift: float, label: str, style: Mapping[str, str]
) -> None:
    """Draw the pair couplings of level 1 of one map, and the mean of those between all pairs of a network's units."""
    points = arrays["distance"] + shift, arrays["K"][1, : len(PAIRS)], arrays["K_error"][1, : len(PAIRS)]
    axes.errorbar(*points, label=label, linewidth=0.9, markersize=5, **style)
    if "J_mean" in arrays:
        near = arrays["J_distance"] <= FARTHEST_PAIRS
        line = arrays["J_distance"][near] + shift, arrays["J_mean"][near]
        axes.plot(*line, color=style["color"], linewidth=0.7, linestyle="-.")


def draw_by_level(axes: Axes, arrays: Mapping[str, np.ndarray], shift: float, style: Mapping[str, str]) -> None:
    """Draw K_nn and K_nnn of one map against the level."""
    levels = np.arange(len(arrays["K"])) + shift
    for column, line in ((0, "-"), (1, ":")):
        points = levels, arrays["K"][:, column], arrays["K_error"][:, column]
        axes.errorbar(*points, linestyle=line, linewidth=1.0, markersize=4, **style)


def label_distances(axes: Axes, pairs: bool) -> None:
    """Scale and label the panel of couplings against distance."""
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
    low, high = axes.get_ylim()
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([*DISTANCES, *[FARTHEST_PAIRS] * pairs], [*TICK_LABELS, *[f"{FARTHEST_PAIRS:g}"] * pairs])
    axes.set(xlabel="distance |r| on the lattice of each level (lattice spacings)", ylabel="pair coupling K = J/k_BT")


INSTRUMENT = Instrument(
    name="hidden_hamiltonian",
    question=(
        "The couplings between the coarse variables say whether they are again a short-ranged Ising model, and whether "
        "further steps leave it as it is: the two things that an RG step at T_c must do. They are fitted with seven "
        "kinds of terms and averaged over sites, so that a long-ranged or uneven Hamiltonian shows only by its part in "
        "these seven, and a map that leaves a local model far from any fixed point can still pass the test of locality."
    ),
    measure=measure,
    by_place=lambda subject: of_levels(by_level(subject)[0], subject.system.coupling),
    headline={"K_nn[1]": "K", "locality_q[1]": "Q"},
    legend="K, Q: nearest-neighbour coupling of h, and the share of its pair couplings beyond the diagonal",
    criteria=(
        Criterion("locality_q[1]", -math.inf, 0.5),
        Criterion("stationarity[n]", -math.inf, 1 / 3, first=1, side=16, last=True, of_real=""),
    ),
    decides="fixed point",
    figures=figures,
)
