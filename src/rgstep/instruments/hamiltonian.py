"""Is the Hamiltonian of the coarse variables local, and does it come to rest? (D1)

The couplings K of the spins and of h, level by level (`pseudolikelihood`), and from them

    locality       Q = Σ_{|r|>√2} n_r |K_r| / Σ_r n_r |K_r|,        n_r pairs a site at distance r,
    stationarity   |K^{(n+1)} − K^{(n)}| / |K^{(n)}|, over the six couplings (Swendsen 1984).

An RG step gives short-ranged couplings, and at T_c the same ones at each level after the first. Networks without given
places also get the couplings of all pairs of units (`pairwise`); four units get every coupling.
"""

from collections.abc import Sequence

import numpy as np

from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority
from rgstep.diagnostics import pairwise
from rgstep.diagnostics.pairwise import Pairs
from rgstep.diagnostics.pseudolikelihood import DISTANCES, KINDS, Couplings, constant_units, couplings
from rgstep.diagnostics.subject import SMALLEST_SIDE, Row, Subject, signs
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, group_bounds, jackknife
from rgstep.exact import enumeration, hidden
from rgstep.lattice import shells
from rgstep.nets.rbm import RBM
from rgstep.report import Diagnostic, Quantity
from rgstep.types import Samples

TELLS = (
    "The couplings between the coarse variables say whether they are again a short-ranged Ising model, and whether "
    "further steps leave it as it is: the two things that an RG step at T_c must do. They are fitted with six kinds of "
    "terms and averaged over sites, so that a long-ranged or uneven Hamiltonian shows only by its part in these six, "
    "and a map that leaves a local model far from any fixed point can still pass the test of locality."
)
STREAM = 0xD1
GROUPS_OF_STATES = 64
SAMPLES_A_UNIT = 10  # fewer do not determine the couplings of all pairs
COINCIDE = "(2,0), (2,1) and (2,2) are met by their own images, each counted"
SUBSETS_OF_FOUR = {"J_nn": (3, 5, 10, 12), "J_diagonal": (6, 9), "J_four": (15,)}  # units 0 1 / 2 3 of the 2×2 lattice


def row(subject: Subject) -> Row | None:
    """The couplings of the spins and of h level by level, their locality and their change; pairs for dense networks."""
    measured, remarks = by_level(subject)
    quantities = invariant(measured, subject.ensemble.system.coupling)
    arrays: dict[str, np.ndarray] = {
        "hamiltonian_distance": DISTANCES,
        "hamiltonian_K": np.stack([np.asarray(m.estimate.value) for m in measured]),
        "hamiltonian_K_error": np.stack([np.asarray(m.estimate.error) for m in measured]),
        "hamiltonian_K_left_out": np.stack([m.left_out for m in measured]),
    }
    hidden_lattice = len(measured) > 1
    if not hidden_lattice:
        remarks.append(without_lattice(subject))
    if subject.moments.hidden_shape == (2, 2):
        four = of_four(subject)
        quantities |= four
        remarks.append("J_nn[1], J_diagonal[1] and J_four[1] count the 16 states of four units")
        if not all(np.isfinite(quantity.estimate.error) for quantity in four.values()):
            remarks[-1] += ", of which some occur too rarely for couplings or their errors"
    if not subject.given_places:
        more, drawn, remark = of_pairs(subject)
        quantities, arrays = quantities | more, arrays | drawn
        remarks.append(remark)
    return Diagnostic(None, "; ".join(filter(None, remarks)), quantities), arrays


def by_level(subject: Subject) -> tuple[list[Couplings], list[str]]:
    """Return the couplings of every level, the spins first, and what must be said about them."""
    measured, remarks = [], []
    for level, source in enumerate(subject.levels):
        rng = np.random.default_rng([STREAM, subject.seed, level])
        constant = None if isinstance(source, Ensemble) else constant_units(source)
        found = couplings(source, rng, keep=None if constant is None else ~constant)
        measured.append(found)
        remarks += warnings(level, found, constant)
    sides = ", ".join(str(m.side) for m in measured)
    what = f"K by pseudolikelihood at levels 0 to {len(measured) - 1} (sides {sides})"
    h = subject.levels[1] if len(measured) > 1 else None
    if isinstance(h, np.ndarray):
        what += f"; h is read as {'sampled' if h.dtype == np.int8 else 'its sign, a 0 by a fair coin'}"
    if not subject.given_places and h is not None:
        what += ", on found places, averaged over sites"
    return measured, [what, *remarks]


def warnings(level: int, found: Couplings, constant: np.ndarray | None) -> list[str]:
    """Return what is wrong with the couplings of a level, in words."""
    lines = []
    if not np.isfinite(found.estimate.value).all():
        lines.append(f"level {level}: the samples determine no couplings (too few, or all spins alike)")
    elif not np.isfinite(found.estimate.error).all():
        lines.append(f"level {level}: no error bars, too few samples")
    elif not np.isfinite(found.locality().value):
        lines.append(f"level {level}: no locality, the couplings are within their noise or the samples too few")
    if found.side == SMALLEST_SIDE:
        lines.append(f"level {level}: on a side of {SMALLEST_SIDE} {COINCIDE}")
    if constant is not None and constant.any():
        lines.append(
            f"level {level}: left out as centres, {constant_ones(np.flatnonzero(constant), constant.size, 'sites')}"
        )
    return lines


def constant_ones(units: np.ndarray, total: int, what: str = "units") -> str:
    """Return how many units, or sites, never change, and the numbers of the first few."""
    names = ", ".join(str(unit) for unit in units[:8]) + (", …" if len(units) > 8 else "")
    return f"{len(units)} of {total} {what} are constant ({names})"


def invariant(measured: Sequence[Couplings], coupling: float) -> dict[str, Quantity]:
    """Return the couplings, localities and changes by their names in the report; the spins' own are known exactly."""
    quantities = {}
    for n, found in enumerate(measured):
        for i, kind in enumerate(KINDS):
            exact = None if n or not np.isfinite(coupling) else coupling * (kind == "nn")
            quantities[f"K_{kind}[{n}]"] = Quantity(found.estimate[i], exact)
        exact_locality = 0.0 if n == 0 and coupling > 0 else None
        quantities[f"locality_q[{n}]"] = Quantity(found.locality(), exact_locality)
        if n + 1 < len(measured):
            quantities[f"stationarity[{n}]"] = Quantity(found.relative_change(measured[n + 1]))
    return quantities


def without_lattice(subject: Subject) -> str:
    """Return why h has no couplings by distance, and what would give it some."""
    shape = subject.moments.hidden_shape
    if subject.placed is None:
        return f"{shape[0]} units without places do not fill a square lattice: a square number of units would"
    side = subject.placed.shape[1]
    return f"the coarse side {side} is below {SMALLEST_SIDE}, where couplings coincide: use a larger lattice"


def of_four(subject: Subject) -> dict[str, Quantity]:
    """Return the couplings of a 2×2 coarse lattice from how often its 16 states occur; exact on 4×4 where h allows it.

    `J_nn`, `J_diagonal` and `J_four` belong to a pair of neighbours, a diagonal pair and all four, each met once.
    """
    rng = np.random.default_rng([STREAM, subject.seed, len(subject.levels)])
    h = signs(subject.hidden, rng)
    value, left_out = counted(h)
    exact = exact_of_four(subject)
    quantities = {}
    for name, subsets in SUBSETS_OF_FOUR.items():
        own = list(subsets)
        known = None if exact is None else float(exact[own].mean())
        quantities[f"{name}[1]"] = Quantity(jackknife(value[own].mean(), left_out[:, own].mean(axis=1)), known)
    return quantities


def counted(h: Samples, groups: int = GROUPS_OF_STATES) -> tuple[np.ndarray, np.ndarray]:
    """Return the couplings of every subset of at most 8 units by counting states, K_S = 2^−m Σ_h ln p(h) Π_{a∈S} h_a.

    Args:
        h: ±1, `(sample, unit)`, or places flattened row by row.
        groups: contiguous groups of samples for the jackknife.

    Returns:
        K `(subset,)` in the order of `rgstep.exact.hidden`, and K without each group, `(group, subset)`; NaN where a
        state has not occurred.

    Raises:
        InputError: for more than 8 units.
    """
    flat = h.reshape(len(h), -1)
    units = flat.shape[1]
    if units > hidden.LARGEST_UNITS:
        message = f"{units} units: counting 2^{units} states is for at most {hidden.LARGEST_UNITS}; use pairwise()"
        raise InputError(message)
    states = (flat > 0) @ (1 << np.arange(units))
    parts = np.stack([np.bincount(states[a:b], minlength=2**units) for a, b in group_bounds(len(h), groups)])
    total = parts.sum(axis=0)
    counts = np.concatenate([total[None], total - parts]).astype(np.float64)
    counts[counts == 0] = np.nan
    K = hidden.transform(np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))) / 2**units
    return K[0], K[1:]


def exact_of_four(subject: Subject) -> np.ndarray | None:
    """Return the exact couplings of the units where they are independent given v, with signs as `signs` takes them."""
    of_signs = isinstance(subject.original, Average | Majority)
    if not of_signs and not isinstance(subject.original, BernoulliBlock | Decimation | RBM):
        return None
    system, mean_h = subject.ensemble.system, subject.coarse.mean_h
    if not np.isfinite(system.coupling) or system.size > enumeration.LARGEST_SIZE:
        return None
    law = hidden.law(lambda v: np.sign(mean_h(v)) if of_signs else mean_h(v), system.size, system.coupling)
    return hidden.couplings(law) if law.min() > 0 else None


def of_pairs(subject: Subject) -> tuple[dict[str, Quantity], dict[str, np.ndarray], str]:
    """Return the couplings of all pairs of units of a network, against distance where places were found."""
    rng = np.random.default_rng([STREAM, subject.seed])
    placed = subject.placed is not None
    h = signs(subject.placed if subject.placed is not None else subject.hidden, rng)
    flat = h.reshape(len(h), -1)
    varying = int((flat != flat[0]).any(axis=0).sum())
    if varying < 2 or varying > pairwise.LARGEST_UNITS or len(h) < SAMPLES_A_UNIT * varying:
        need = f"needs 2 to {pairwise.LARGEST_UNITS} units that vary and {SAMPLES_A_UNIT} samples for each"
        return {}, {}, f"no couplings of all pairs of units: {need}, here {varying} and {len(h)}"
    pairs = pairwise.pairwise(flat)
    quantities = {
        "J_rms": Quantity(pairs.estimate_of_halves(pairwise.strength)),
        "J_partners": Quantity(pairs.estimate_of_halves(pairwise.partners)),
    }
    arrays = {"hamiltonian_J": pairs.J.astype(np.float32), "hamiltonian_J_units": pairs.units}
    remark = "J between all pairs of units by pseudolikelihood"
    if len(pairs.constant):
        remark += f", without those of which {constant_ones(pairs.constant, flat.shape[1])}"
    if not pairs.converged:
        remark += ", NOT converged"
    if placed:
        curve = against_distance(pairs, h.shape[1])
        arrays |= {f"hamiltonian_J_{name}": values for name, values in curve.items()}
        if h.shape[1] > 2:  # a nearest pair there is
            at = int(np.argmin(np.abs(curve["distance"] - 1.0)))
            nearest = Estimate(float(curve["mean"][at]), float(curve["error"][at]))
            quantities["J_nn"] = Quantity(nearest)
            spread = Estimate(float(curve["spread"][at]), float(curve["spread_error"][at]))
            quantities["J_nn_spread"] = Quantity(spread)
            remark += "; J_nn and J_nn_spread are its mean and its spread from pair to pair of nearest neighbours"
    return quantities, arrays, remark


def against_distance(pairs: Pairs, side: int) -> dict[str, np.ndarray]:
    """Return mean and spread of J over the pairs at each distance of a coarse torus, with errors.

    The spread is √cov(J₁, J₂) over pairs, J₁ and J₂ from the two halves of the samples, in which noise averages out;
    its error is that of the covariance of independent noises.
    """
    shell = shells(side)
    row, column = np.divmod(pairs.units, side)
    index = shell.index[(row[:, None] - row) % side, (column[:, None] - column) % side]
    count = np.bincount(index.ravel(), minlength=len(shell.distance))
    seen = np.flatnonzero((count > 0) & (shell.distance > 0))

    def mean(J: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(index.ravel(), J.ravel(), len(count))[seen] / count[seen])

    curve = pairs.estimate(mean)
    first, second = pairs.halves
    both = mean(first * second) - mean(first) * mean(second)
    noise = np.sqrt((mean(first**2) - mean(first) ** 2) * (mean(second**2) - mean(second) ** 2) / (count[seen] / 2))
    spread = np.sqrt(np.maximum(both, 0.0))
    return {
        "distance": shell.distance[seen],
        "mean": np.asarray(curve.value),
        "error": np.asarray(curve.error),
        "spread": spread,
        "spread_error": noise / np.maximum(2.0 * spread, np.sqrt(noise)),
    }
