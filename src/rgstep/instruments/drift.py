"""Do the levels of a critical configuration look alike? Observables that a fixed point keeps from level to level.

    U₄ = 1 − ⟨m⁴⟩ / (3⟨m²⟩²),    ⟨|m|⟩,    ⟨h h'⟩ of nearest neighbours,        m the mean of h over the lattice,

and how the magnetisation is rescaled from a level to the next, Δ_m = ln(⟨m²⟩'/⟨m²⟩) / (2 ln b): a fixed point takes the
same field of spins to the same one on a lattice smaller by b, and ⟨m²⟩ ∝ L^(−2Δ_σ) at T_c, so that Δ_m → Δ_σ = 1/8.
U₄ of the critical Ising model on a square torus tends to 0.61069 (Kamieniarz and Blöte 1993).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from rgstep.drawing import Axes, Plate, aside, legend_above, look, null_band, parted, sheet, text, whole_ticks
from rgstep.estimates import Estimate, Groups, binder, estimated, ratio
from rgstep.instruments.base import NO_PLACES, Instrument, Row, Subject
from rgstep.ising import Ising
from rgstep.operators import EVEN_TERMS, Sums
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured

FEW_SAMPLES = 200  # below, the errors of errors are too large to be quoted without a word
PANELS = {"U4": r"$U_4 = 1 - \langle m^4\rangle / 3\langle m^2\rangle^2$", "nn": r"$\langle h h'\rangle$, neighbours"}
RESCALING_SHOWN = (-0.1, 0.4)  # of Δ_m; that of feature extractors may be far below
SPREAD = 0.4  # of the abscissa that the maps of one level share
CAPTION = (
    "What iterating each map does to critical configurations; bars: one standard error. Dashed: U₄ of large critical "
    "lattices, 0.61069. Levels become smaller, and U₄ and the product of neighbours rise a little on the smallest: "
    "compare with the majority rule at the same level. A map that leaves the critical surface bends away. Right: how "
    "each step rescales the magnetisation, 1/8 at the Ising fixed point, 0 where it is kept; below −0.1 and above 0.4 "
    "nothing is shown. Dotted lines, open symbols: the majority rule applied from level 1 on. Real h are scaled to "
    "unit variance."
)


def observables(level: Sums) -> dict[str, Estimate]:
    """Return U₄, ⟨|m|⟩, ⟨h h'⟩ of nearest neighbours and ⟨h²⟩ per site of a level, with jackknife errors."""
    return {name: estimated(values) for name, values in of_sets(level).items()}


def of_sets(level: Sums) -> dict[str, np.ndarray]:
    """Return the observables of all samples, then of those outside each group, `(set,)`."""

    def columns(a: int, b: int) -> np.ndarray:
        m = level.odd[a:b, 0] / level.side**2
        return np.stack([m**2, m**4, np.abs(m), level.even[a:b, 0], level.square[a:b]], axis=1)

    m2, m4, abs_m, bonds, square = Groups.of(len(level.square)).means_of(columns).T
    nn, square = bonds / (EVEN_TERMS[0] * level.side**2), square / level.side**2
    return {
        "m2": m2,
        "U4": binder(m2, m4),
        "abs_m": abs_m,
        "nn": nn,
        "square": square,
        "abs_m_unit": ratio(abs_m, np.sqrt(square)),
        "nn_unit": ratio(nn, square),
    }


def measure(subject: Subject) -> Row:
    """Return U₄, ⟨|m|⟩ and the nearest neighbours' product, level by level."""
    if subject.placed is None:
        return Diagnostic(None, NO_PLACES, {}), {}
    quantities: dict[str, Quantity] = {}
    arrays: dict[str, np.ndarray] = {}
    levels = [of_sets(level) for level in subject.sums]
    names = ["U4", "abs_m", "nn", *(["abs_m_unit", "nn_unit"] if subject.real else [])]
    further = [of_sets(level) for level in subject.sums_by_majority]
    for name in names:
        keep(name, levels, quantities, arrays)
    for name in names[:3] if further else []:
        keep(name, further, quantities, arrays, first=1, suffix="_majority")
        del quantities[f"{name}_majority[1]"]  # its own sign, in the arrays as the start of the curve
    for suffix, later in (("", list(enumerate(levels))[1:]), ("_majority", list(enumerate(further, start=1))[1:])):
        for n, level in later:  # of the same configurations: known better than either
            quantities[f"U4_drift{suffix}[{n}]"] = Quantity(estimated(level["U4"] - levels[0]["U4"]))
    rescaled = [] if subject.real else rescalings(subject, levels)  # real h would give that of its unit
    quantities |= {f"delta_m[{n}]": Quantity(estimate) for n, estimate in enumerate(rescaled)}
    if rescaled:
        arrays |= as_arrays("delta_m", rescaled)
    quantities["nn[0]"] = Quantity(quantities["nn[0]"].estimate, subject.system.nn_correlation)
    return Diagnostic(None, "; ".join(remarks(subject, bool(further))), quantities), arrays


def rescalings(subject: Subject, levels: Sequence[dict[str, np.ndarray]]) -> list[Estimate]:
    """Return Δ_m of every step; none of a step that does not change the scale."""
    found = []
    for (before, after), (fine, coarse) in zip(pairwise(levels), pairwise(subject.sums), strict=True):
        if fine.side != coarse.side:
            with np.errstate(divide="ignore", invalid="ignore"):
                growth = np.log(after["m2"] / before["m2"])
            found.append(estimated(growth / (2 * math.log(fine.side / coarse.side))))
    return found


def keep(
    name: str,
    levels: Sequence[dict[str, np.ndarray]],
    quantities: dict[str, Quantity],
    arrays: dict[str, np.ndarray],
    first: int = 0,
    suffix: str = "",
) -> None:
    """Add one observable of all levels to the quantities and to the arrays of the figure."""
    found = [estimated(level[name]) for level in levels]
    quantities |= {f"{name}{suffix}[{n}]": Quantity(estimate) for n, estimate in enumerate(found, start=first)}
    arrays |= as_arrays(f"{name}{suffix}", found)
    arrays[f"level{suffix}"] = np.arange(first, first + len(levels))


def as_arrays(name: str, estimates: Sequence[Estimate]) -> dict[str, np.ndarray]:
    """Return values and errors as two arrays."""
    value, error = (np.array([float(getattr(e, part)) for e in estimates]) for part in ("value", "error"))
    return {name: value, f"{name}_error": error}


def remarks(subject: Subject, further: bool) -> list[str]:
    """Return what the numbers are, in clauses."""
    says = ["U₄, ⟨|m|⟩ and nearest neighbours of h as drawn, level by level"]
    if len(subject.levels) == 1:
        says.append("h is below 4×4, so that only the configurations are shown; use a larger lattice")
    if subject.real:
        says.append("h is real: abs_m and nn shrink with its scale, _unit divides by that of h at unit variance")
    if subject.found:
        says.append("h has no given places: those found from its pictures")
    if further:
        says.append("_majority: the majority rule applied from level 1 on")
    if len(subject.ensemble) < FEW_SAMPLES:
        says.append(f"only {len(subject.ensemble)} samples: the errors are guesses, use {FEW_SAMPLES} or more")
    return says


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield U₄ and the product of neighbours of all maps against the level, and how each step rescales m."""
    shown = arrays_of(maps, "drift", "U4")
    if not shown:
        return
    order = coloured(maps)
    own_maps, nulls = parted(shown, order)
    with sheet(1, 3, size=(7.2, 3.7)) as (figure, panels):
        panels[0].axhline(Ising.BINDER, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
        panels[2].axhline(Ising.DELTA_SIGMA, color="0.4", linestyle="--", linewidth=1.0, zorder=0)
        for axes, quantity in zip(panels, (*PANELS, "delta_m"), strict=True):
            null_band(axes, [of_level(arrays, quantity) for arrays in nulls.values() if quantity in arrays])
        for i, (name, arrays) in enumerate(own_maps.items()):
            shift, style = aside(i, len(own_maps), SPREAD), look(name, order)
            for axes, quantity in zip(panels, PANELS, strict=False):
                curve(axes, arrays, scaled(arrays, quantity), shift, text(name), style)
                if f"{quantity}_majority" in arrays:
                    curve(axes, arrays, f"{quantity}_majority", shift, None, style)
            if "delta_m" in arrays:
                curve(panels[2], arrays, "delta_m", shift, text(name), style)
        for axes, label in zip(panels, PANELS.values(), strict=False):
            axes.set(xlabel="level n", ylabel=label)
        panels[2].set(xlabel="step from level n", ylabel=r"$\Delta_m$, rescaling of $m$", ylim=RESCALING_SHOWN)
        for axes in panels:
            whole_ticks(axes)
        legend_above(figure, panels[:1], fontsize="small")
        yield Plate("drift", CAPTION, figure)


def scaled(arrays: Mapping[str, np.ndarray], quantity: str) -> str:
    """Return the name of a quantity's array, of a real h the one scaled to unit variance."""
    return f"{quantity}_unit" if f"{quantity}_unit" in arrays else quantity


def of_level(arrays: Mapping[str, np.ndarray], quantity: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return level, value and error of one quantity of one map."""
    name = scaled(arrays, quantity)
    return np.arange(len(arrays[name])), arrays[name], arrays[f"{name}_error"]


def curve(
    axes: Axes, arrays: Mapping[str, np.ndarray], key: str, shift: float, label: str | None, style: Mapping[str, str]
) -> None:
    """Draw one observable of one map; without a label as a continuation."""
    level = np.arange(len(arrays[key])) + (0 if label else 1) + shift
    line = {"linestyle": "-"} if label else {"linestyle": ":", "markerfacecolor": "white"}
    axes.errorbar(
        *(level, arrays[key], arrays[f"{key}_error"]),
        **{**style, **line},
        label=label,
        linewidth=1.0,
        markersize=5,
        capsize=2,
    )


INSTRUMENT = Instrument(
    name="drift",
    question=(
        "Whether h stays critical while the map is iterated: U₄ and the product of nearest neighbours settle at a "
        "fixed point and run off away from it; the magnetisation is rescaled by the same factor at each step. It does "
        "not see a change of the couplings that leaves these where they are, and every level is smaller than the one "
        "before, so compare with the majority rule at the same level."
    ),
    measure=measure,
    by_place=lambda subject: measure(subject)[0].estimates,
    headline={"delta_m[0]": "Δ_m", "U4_drift[1]": "ΔU₄"},
    legend=(
        "Δ_m: how h's magnetisation is rescaled in the first step (1/8 at the fixed point), ΔU₄: how its Binder "
        "cumulant changes"
    ),
    criteria=(
        Criterion("U4_drift[n]", -0.04, 0.04, "majority", first=1, side=8, last=True),
        Criterion(
            "delta_m[n]", Ising.DELTA_SIGMA - 0.05, Ising.DELTA_SIGMA + 0.05, first=1, side=16, last=True, of_real=""
        ),
    ),
    decides="fixed point",
    figures=figures,
)
