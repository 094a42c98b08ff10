"""How do small changes of the couplings grow from one level to the next? The linearised RG matrix (Swendsen 1979).

With S_α^(n) the operators (`rgstep.operators`) of level n and ⟨ ⟩_c connected averages,

    T = ⟨S^(n+1) S^(n+1)⟩_c⁻¹ ⟨S^(n+1) S^(n)⟩_c = ∂K^(n+1)/∂K^(n),        y = ln |λ| / ln b,

λ the eigenvalue of T of largest modulus, b the ratio of the sides: y_t from the even operators, y_h from the odd ones,
whose means are zero by symmetry and are not subtracted. At the fixed point of the Ising model y_t = 1 and y_h = 15/8.

T of infinitely many operators is cut off at five even and three odd ones. What the further ones of `ising.OPERATORS`
would change, y with all of them minus y with those, is the *truncation* of y, an error that more samples do not reduce.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rgstep.arguments import InputError
from rgstep.drawing import Axes, Plate, aside, legend_above, look, null_band, parted, sheet, text, whole_ticks
from rgstep.ensemble import Source
from rgstep.estimates import Estimate, Groups, estimated, grouped_mean
from rgstep.instruments.base import NO_PLACES, SMALLEST_SIDE, Instrument, Row, Subject
from rgstep.ising import OPERATORS, Ising, Sector
from rgstep.operators import Sums, sums
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity
from rgstep.roles import coloured

ROUNDING = 1e-12  # of y: an error below is that of floating-point numbers
SINGULAR_CONDITION = 1e10  # of the operators' correlation matrix, which has 10³ … 10⁵ at T_c
IMAGINARY = 1e-9  # part of λ, in units of |λ|, below which λ is real
FEW_SAMPLES = 200  # with so many the errors are right within a tenth, with 50 y_t is off by a fifth of its error
CLEAR_MEAN = 4.0  # standard errors of ⟨h⟩ from 0: a bias of the map, not chance
SYMBOLS: Mapping[Sector, str] = {"even": "y_t", "odd": "y_h"}
QUOTED: Mapping[Sector, int] = {
    "even": 5,
    "odd": 3,
}  # operators that y is read with; the further ones give its truncation
PANELS = {
    "y_t": (Ising.Y_T, 0.4, 1.6, r"$y_t$, even operators"),
    "y_h": (Ising.Y_H, 1.78, 2.02, r"$y_h$, odd operators"),
}
SPREAD = 0.5  # of the abscissa that the maps of one level share
CAPTION = (
    "Exponents of the linearised RG, step by step, five even and three odd operators; bars: one standard error; faint: "
    "fewer of them. Dashed: the Ising fixed point, y_t = 1 and y_h = 15/8. An RG step comes close after a step "
    "or two and stays. Dotted lines, open symbols: the majority rule applied from level 1 on, for maps that are not "
    "applied to their own h. Real h are shown by their signs. No bar: λ is complex or "
    "negative."
)


class Exponents(NamedTuple):
    """One sector of one step with 1, 2, … operators: exponents, leading eigenvalues, condition numbers."""

    sets: np.ndarray  # (set, operators), y from all samples, then without each group
    y: Estimate  # (operators,)
    eigenvalue: np.ndarray  # (operators,) complex
    condition: np.ndarray  # (operators,) of the correlations of the coarse operators

    def first(self, operators: int) -> "Exponents":
        """Return what is known with up to so many operators."""
        return Exponents(
            *(self.sets[:, :operators], self.y[:operators], self.eigenvalue[:operators], self.condition[:operators])
        )

    def truncation(self, operators: int) -> Estimate:
        """Return y with all operators minus y with so many; not a number where either λ is complex or negative."""
        if turns(self.eigenvalue[[operators - 1, -1]]).any():
            return Estimate(np.nan, np.nan)
        return estimated(self.sets[:, -1] - self.sets[:, operators - 1])


def exponent(fine: Source, coarse: Source, sector: Sector = "even", operators: int | None = None) -> Estimate:
    """Return y = ln |λ| / ln b between two levels with its jackknife error; not a number where T cannot be had.

    Where λ is complex or negative, ln |λ| / ln b is no exponent and its error not a number.

    Args:
        fine: the level before, an `Ensemble` or `(sample, row, column)`.
        coarse: the level after, sample by sample, on a smaller lattice.
        sector: "even" for y_t, "odd" for y_h.
        operators: how many, in the order of `ising.OPERATORS`; by default those of the row, 5 even and 3 odd.

    Raises:
        InputError: if the levels do not belong together, or there are not so many operators.
    """
    if len(fine) != len(coarse):
        message = f"{len(coarse)} coarse configurations of {len(fine)} fine ones: one for each is needed"
        raise InputError(message)
    operators = QUOTED[sector] if operators is None else operators
    if not 1 <= operators <= len(OPERATORS[sector]):
        message = f"operators = {operators}: the {sector} sector has 1 to {len(OPERATORS[sector])}"
        raise InputError(message)
    before, after = sums(fine), sums(coarse)
    if after.side >= before.side:
        message = f"sides {before.side} and {after.side}: an exponent needs a change of scale, the smaller lattice last"
        raise InputError(message)
    return linearised(before, after, sector, operators=operators).y[operators - 1]


def linearised(fine: Sums, coarse: Sums, sector: Sector, unit: bool = False, operators: int | None = None) -> Exponents:
    """Return one sector of a step with 1, 2, … operators, by default all; `unit` scales both levels to ⟨h²⟩ = 1."""
    operators = getattr(coarse, sector).shape[1] if operators is None else operators
    parts = [getattr(coarse, sector)[:, :operators], getattr(fine, sector)[:, :operators]]
    moments = without_each_group(parts, centred=sector == "even")
    if unit:  # an operator of k variables is divided by the k-th power of their root mean square
        powers = np.array([operator.spins / 2 for operator in OPERATORS[sector][:operators]])
        squares = [mean_square(level)[:, None] for level in (coarse, fine)]
        scales = [np.where(square > 0, square, 1.0) ** -powers for square in squares]  # h that is 0 stays 0
        factors = np.concatenate(scales, axis=1)
        moments *= factors[:, :, None] * factors[:, None, :]
    ratio = math.log(fine.side / coarse.side) if fine.side != coarse.side else math.nan
    found = [leading(moments, k) for k in range(1, operators + 1)]
    values, conditions = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    size = np.abs(values)
    y = np.log(size, where=size > 0, out=np.full(size.shape, np.nan)) / ratio
    estimate = estimated(y)
    exact = np.abs(estimate.error) < ROUNDING * np.abs(estimate.value)  # where h is a sum of v, S^(n+1) is one of S^(n)
    error = np.where(turns(values[0]), np.nan, np.where(exact, 0.0, estimate.error))
    return Exponents(y, Estimate(estimate.value, error), values[0], conditions[0])


def turns(eigenvalue: np.ndarray) -> np.ndarray:
    """Return where λ is complex or negative: ln |λ| / ln b is no exponent then, and has no error."""
    return np.asarray((np.abs(eigenvalue.imag) > IMAGINARY * np.abs(eigenvalue)) | (eigenvalue.real <= 0))


def without_each_group(parts: Sequence[np.ndarray], centred: bool) -> np.ndarray:
    """Return the second moments of columns: of all samples, then of those outside each group.

    Where `centred`, connected ones. What is below rounding is set to zero, so that constants have no variance.

    Args:
        parts: `(sample, column)` each, side by side; a group of samples is looked at at a time.
        centred: whether the means are subtracted.
    """
    groups, middle = Groups.of(len(parts[0])), np.zeros(1)

    def columns(a: int, b: int) -> np.ndarray:
        return np.concatenate([part[a:b] for part in parts], axis=1) - middle

    noise = 1e-14 * groups.means_of(lambda a, b: columns(a, b) ** 2)[0]
    if centred:
        middle = groups.means_of(columns)[0]
    of_groups = (columns(a, b) for a, b in groups.bounds)
    moments = groups.over_counts(np.stack([x.T @ x for x in of_groups]))
    if centred:
        means = groups.means_of(columns)
        moments -= means[:, :, None] * means[:, None, :]
    constant = np.einsum("gii->gi", moments) <= noise
    moments[constant[:, :, None] | constant[:, None, :]] = 0.0
    return np.asarray(moments)


def mean_square(level: Sums) -> np.ndarray:
    """Return ⟨h²⟩ of a level from all samples, then without each group."""
    return np.asarray(Groups.of(len(level.square)).means(level.square) / level.side**2)


def leading(moments: np.ndarray, operators: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalue of largest modulus of T, and the condition of the correlations that T divides by.

    Not a number where these are singular.

    Args:
        moments: `(set, 2k, 2k)`, second moments of the k coarse operators, then of the k fine ones.
        operators: how many of each to use.
    """
    every = moments.shape[1] // 2
    own, cross = moments[:, :operators, :operators], moments[:, :operators, every : every + operators]
    scale = np.sqrt(np.einsum("gii->gi", own))
    scale = np.where(scale > 0, scale, 1.0)
    correlations = own / (scale[:, :, None] * scale[:, None, :])
    correlations = np.where(np.isfinite(correlations).all(axis=(1, 2), keepdims=True), correlations, 0.0)
    condition = np.linalg.cond(correlations)
    usable = condition < SINGULAR_CONDITION
    correlations = np.where(usable[:, None, None], correlations, np.eye(operators))
    # T in operators of unit variance has the same eigenvalues up to a similarity
    matrix = np.linalg.solve(correlations, cross / (scale[:, :, None] * scale[:, None, :]))
    values = np.linalg.eigvals(matrix).astype(np.complex128)
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(usable, largest, np.nan), condition


def measure(subject: Subject) -> Row:
    """Return y_t and y_h of every step, and their truncation; with 1, 2, … operators in the arrays."""
    missing = hindrance(subject)
    if missing:
        return Diagnostic(None, missing, {}), {}
    arrays: dict[str, np.ndarray] = {}
    results: dict[str, Exponents] = {}
    cut: dict[str, Estimate] = {}
    found = sequences(subject)
    for suffix, (first, levels) in found.items():
        for sector, y in SYMBOLS.items():
            every = [linearised(*pair, sector, unit=suffix == "_unit") for pair in pairwise(levels)]
            steps = [step.first(QUOTED[sector]) for step in every]
            if suffix == ("_sign" if subject.real else ""):
                cut |= {f"{y}{suffix}_truncation[{n}]": s.truncation(QUOTED[sector]) for n, s in enumerate(every)}
            results |= {f"{y}{suffix}[{n}]": result for n, result in enumerate(steps, start=first)}
            arrays |= {f"{y}{suffix}{name}": values for name, values in curves(steps, first).items()}
    known = {name: result for name, result in results.items() if np.isfinite(np.asarray(result.y.value)[-1])}
    quantities = {name: Quantity(result.y[-1]) for name, result in known.items()}
    quantities |= {name: Quantity(estimate) for name, estimate in cut.items() if np.isfinite(estimate.value)}
    warnings = [*warned(results), *(asymmetry(found[""][1]) if "" in found else [])]
    return Diagnostic(None, "; ".join([*remarks(subject, found), *warnings]), quantities), arrays


def curves(steps: Sequence[Exponents], first: int) -> dict[str, np.ndarray]:
    """Return y, its error and the condition numbers, `(step, operators)`, and the steps' first levels."""
    return {
        "": np.stack([np.asarray(result.y.value) for result in steps]),
        "_error": np.stack([np.asarray(result.y.error) for result in steps]),
        "_condition": np.stack([result.condition for result in steps]),
        "_level": np.arange(first, first + len(steps)),
    }


def hindrance(subject: Subject) -> str:
    """Return why a map has no step whose exponents could be measured, and what would give it one; empty if it has."""
    if subject.placed is None:
        return NO_PLACES
    side = subject.placed.shape[1]
    if side < SMALLEST_SIDE:
        return f"not measured: h is {side}×{side}, and couplings cannot be told apart below 4×4; use a larger lattice"
    return ""


def sequences(subject: Subject) -> dict[str, tuple[int, Sequence[Sums]]]:
    """Return the sequences of levels whose exponents are measured, each with the number of its first level.

    They are named by the suffix of their quantities: h as it is, at unit variance, its signs, majority from level 1 on.
    """
    own = subject.sums
    found: dict[str, tuple[int, Sequence[Sums]]] = {}
    if own[1].side < own[0].side:
        found[""] = (0, own)
        if subject.real:
            found |= {"_unit": (0, own), "_sign": (0, subject.sums_of_signs)}
    if subject.sums_by_majority:
        found["_majority"] = (1, subject.sums_by_majority)
    return found


def remarks(subject: Subject, found: Mapping[str, object]) -> list[str]:
    """Return what the numbers of these sequences of levels are, in clauses."""
    even, odd = QUOTED.values()
    further = [operator.name for sector in SYMBOLS for operator in OPERATORS[sector][QUOTED[sector] :]]
    says = [f"y = ln λ/ln b of h as drawn, {even} even and {odd} odd operators"]
    says.append(f"truncation: how {', '.join(further)} would change it")
    if "" not in found:
        says = ["not measured: h has as many sites as v or more, no change of scale; use fewer units"]
    if not subject.system.is_critical:
        says.append("the configurations are not critical: the numbers are no exponents of the fixed point")
    if subject.found:
        residual = f"{subject.gauge.residual:.2f} lattice spacings off (rms)"
        says.append(f"one step, since h has no given places: those found from its pictures, {residual}")
    if "_unit" in found:
        says.append(
            "h is real: y_h = 2 for any sum without rescaling, _unit scales h to unit variance, _sign is the map to "
            "sign(h), a fair coin for 0; y_t of real h lacks operators of single sites, read it from _sign"
        )
    if "_majority" in found:
        says.append("_majority: the majority rule applied from level 1 on, since the map is not applied to its own h")
    if len(subject.ensemble) < FEW_SAMPLES:
        says.append(f"only {len(subject.ensemble)} samples: the errors are guesses, use {FEW_SAMPLES} or more")
    return says


def warned(results: Mapping[str, Exponents]) -> list[str]:
    """Return what is wrong with the numbers that the row quotes."""
    singular, turning, bare = [], [], []
    for name, result in results.items():
        value = complex(result.eigenvalue[-1])
        if not result.condition[-1] < SINGULAR_CONDITION:
            singular.append(name)
        elif turns(result.eigenvalue)[-1]:
            pair = f" ± {abs(value.imag):.3g}i" if abs(value.imag) > IMAGINARY * abs(value) else ""
            turning.append(f"{name} ({value.real:.3g}{pair})")
        elif not np.isfinite(np.asarray(result.y.error)[-1]):
            bare.append(name)
    says = []
    if singular:
        says.append(f"not given, since the correlations of the operators are singular: {', '.join(singular)}")
    if turning:
        says.append(
            f"no error bars, since ln |λ|/ln b is no exponent where λ is complex or negative: {', '.join(turning)}"
        )
    if bare:
        says.append(f"no error bars, since a few samples decide: {', '.join(bare)}")
    return says


def asymmetry(levels: Sequence[Sums]) -> list[str]:
    """Return a warning for each level whose mean magnetisation does not vanish, as that of unbiased maps does."""
    says = []
    for n, level in enumerate(levels[1:], start=1):
        mean = grouped_mean(level.odd[:, 0])
        mean = Estimate(float(mean.value) / level.side**2, float(mean.error) / level.side**2)
        if abs(float(mean.value)) > CLEAR_MEAN * float(mean.error):
            says.append(f"⟨h⟩ = {mean} at level {n}: y_h assumes the symmetry h → −h")
    return says


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the exponents of all maps against the level that the step starts from."""
    every = {name: entry.arrays.get("mcrg", {}) for name, entry in maps.items()}
    shown = {name: arrays for name, arrays in every.items() if "y_t" in arrays or "y_t_majority" in arrays}
    if not shown:
        return
    order = coloured(maps)
    own_maps, nulls = parted(shown, order)
    beyond: list[str] = []
    with sheet(1, 2, size=(7.2, 4.2)) as (figure, panels):
        for axes, (y, (exact, low, high, label)) in zip(panels, PANELS.items(), strict=True):
            axes.axhline(exact, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
            first = [float(arrays[y][0, -1]) for arrays in nulls.values() if y in arrays and len(arrays[y])]
            inside = [value for value in first if low <= value <= high]
            null_band(axes, [(np.array([-0.4, 0.4]), np.full(2, value), np.zeros(2)) for value in inside])
            beyond += spanned(y, [value for value in first if not low <= value <= high])
            for i, (name, arrays) in enumerate(own_maps.items()):
                shift, style = aside(i, len(own_maps), SPREAD), look(name, order)
                own = f"{y}_sign" if f"{y}_sign" in arrays else y
                for key in (key for key in (own, f"{y}_majority") if key in arrays):
                    beyond += curve(axes, arrays, key, shift, (low, high), name, style)
            axes.set(xlabel="step from level n to n + 1: n", ylabel=label, ylim=(low, high))
            whole_ticks(axes)
        legend_above(figure, panels, fontsize="small")
        off = f" Beyond the axes: {'; '.join(beyond)}." if beyond else ""
        yield Plate("mcrg", f"{CAPTION}{off}", figure)


def spanned(y: str, values: Sequence[float]) -> list[str]:
    """Return in words where exponents of the untrained networks lie that are not drawn; nothing without any."""
    if not values:
        return []
    low, high = (f"{end:.2f}".replace("-", "−") for end in (min(values), max(values)))
    return [f"untrained networks {y} = {low}" + (f" to {high}" if high != low else "") + " at n = 0"]


def curve(
    axes: Axes,
    arrays: Mapping[str, np.ndarray],
    key: str,
    shift: float,
    limits: tuple[float, float],
    name: str,
    style: Mapping[str, str],
) -> list[str]:
    """Draw one exponent of one map: all operators with errors, fewer of them faint; return in words what is outside."""
    level, values, errors = arrays[f"{key}_level"] + shift, arrays[key], arrays[f"{key}_error"]
    y, further = values[:, -1], key.endswith("_majority")
    low, high = limits
    inside = (y >= low) & (y <= high)
    colour, marker = style["color"], style["marker"]
    axes.plot(level, np.where(inside, y, np.nan), ":" if further else "-", color=colour, alpha=0.6, linewidth=1.0)
    axes.errorbar(
        *(level[inside], y[inside], errors[inside, -1]),
        color=colour,
        marker=marker,
        markerfacecolor="white" if further else colour,
        linestyle="none",
        markersize=5,
        capsize=2,
        label=None if further else text(name),
    )
    for count in range(values.shape[1] - 1):
        axes.plot(level, values[:, count], marker, color=colour, alpha=0.3, markersize=3)
    symbol, how = key.partition("_majority")[0].replace("_sign", ""), " by the majority rule" if further else ""
    return [
        f"{name} {symbol} = {value:.2f} at n = {step}{how}".replace("-", "−")
        for value, step in zip(y[~inside], arrays[f"{key}_level"][~inside], strict=True)
        if np.isfinite(value)
    ]


INSTRUMENT = Instrument(
    name="mcrg",
    question=(
        "Whether couplings grow by b^y_t and b^y_h from each level to the next, as at the Ising fixed point (1 and "
        "15/8), once transients have died out. It does not tell whether h lives on tiles, and a single step can have "
        "any exponent."
    ),
    measure=measure,
    by_place=lambda subject: measure(subject)[0].estimates,
    headline={"y_t[0]": "y_t", "y_h[0]": "y_h"},
    legend=(
        "y_t, y_h: exponents of the first step (1 and 15/8 at the fixed point of a large lattice), of a real h those "
        "of its sign"
    ),
    criteria=(
        Criterion("y_h[n]", Ising.Y_H - 0.075, Ising.Y_H + 0.075, first=1, side=8, last=True, of_real="y_h_sign[n]"),
        Criterion("y_t[n]", Ising.Y_T - 0.15, Ising.Y_T + 0.15, first=1, side=16, last=True, of_real="y_t_sign[n]"),
    ),
    decides="fixed point",
    figures=figures,
)
