"""Do the tangent of the critical manifold and the direction of the field come out as published, and as exact?

Wu and Car (2019) read the even row from the nn row of ∂K⁽⁴⁾/∂K⁽⁰⁾ and the odd one from the field row of the fifth step,
2×2 majority rule, L = 256. Here the same is read on smaller lattices, of which the largest decides: the direction
belongs to the infinite lattice, and what is left of the size is seen beside it.
"""

from collections.abc import Sequence

from rgstep.blocking import Majority
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    AGREES,
    DIFFERS,
    Conclusion,
    Experiment,
    Row,
    against_control,
    agreement,
    apart,
    averaged,
    critical,
    iterated,
)
from rgstep.instruments.tangent import TANGENT, of_sums
from rgstep.ising import OPERATORS, Sector
from rgstep.operators import sums
from rgstep.parts import Part, Settings, Values, stored
from rgstep.types import Progress

PUBLISHED: dict[Sector, dict[str, Estimate]] = {
    "even": {"nnn": Estimate(1.4134, 3e-4), "plaquette": Estimate(0.5135, 3e-4), "20": Estimate(1.7963, 5e-4)},
    "odd": {"corner": Estimate(3.31248, 8e-5), "line": Estimate(1.65629, 4e-5), "diagonal": Estimate(1.49852, 6e-5)},
}
UNITS: dict[Sector, str] = {"even": "nn", "odd": "field"}
OFF_CRITICAL = 2.4  # temperature of the control
LEVELS = {64: 4, 128: 5}  # down to 4×4


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: sets of critical configurations, and one away from T_c."""
    many = {64: (2, 4000)} if quick else {64: (4, 40_000), 128: (4, 10_000)}
    found: list[Settings] = [
        {"size": size, "samples": samples, "seed": seed + s}
        for size, (number, samples) in many.items()
        for s in range(number)
    ]
    off = {"size": 64, "samples": 4000 if quick else 20_000, "seed": seed, "temperature": OFF_CRITICAL}
    return [*found, off]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return u of every operator at every level, in units of the first of its sector."""
    levels = iterated(critical(settings, progress), Majority(), LEVELS[settings["size"]], settings["seed"])
    first, *later = (sums(level) for level in levels)
    return {
        f"{sector}[{n}]": stored(of_sums(first, level, sector))
        for sector in OPERATORS
        for n, level in enumerate(later, start=1)
    }


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return both rows at the last level of every size beside the published and the exact ones."""
    at_tc = [part for part in found if "temperature" not in part.settings]
    off = [part for part in found if "temperature" in part.settings]
    sizes = sorted({part.settings["size"] for part in at_tc})
    rows, controls = [], []
    for size in sizes:
        of_size = [part for part in at_tc if part.settings["size"] == size]
        for sector, published in PUBLISHED.items():
            level = 4 if sector == "even" else LEVELS[size]
            ours = averaged([part.estimate(f"{sector}[{level}]") for part in of_size])
            control = averaged([part.estimate(f"{sector}[4]") for part in off])
            for name, expected in published.items():
                at = [operator.name for operator in OPERATORS[sector]].index(name)
                beside = {f"T = {OFF_CRITICAL}, L = 64": control[at]}
                if name in TANGENT:
                    beside["exact"] = Estimate(TANGENT[name], 0.0)
                verdict = agreement(apart(ours[at], expected)) if size == sizes[-1] else ""
                label = f"{name} / {UNITS[sector]}, L = {size}, level {level}"
                rows.append(Row(label, ours[at], expected, beside, verdict))
                controls.append(Row(name, control[at], expected))
    decided = [row for row in rows if row.verdict]
    verdict, chance = against_control([row.verdict for row in decided], controls[-len(decided) :])
    return Conclusion(rows, verdict, reason(decided, sizes[-1], chance))


def reason(decided: Sequence[Row], size: int, chance: float) -> str:
    """Return why: how far both rows are from the published ones, and both tables from the exact numbers."""
    known = [row for row in decided if "exact" in row.beside]
    ours = ", ".join(f"{row.quantity.split(',')[0]} {apart(row.ours, row.beside['exact']):+.1f}" for row in known)
    theirs = ", ".join(f"{apart(row.published, row.beside['exact']):+.1f}" for row in known if row.published)
    even, odd = (
        max(abs(float(row.z or 0.0)) for row in decided if row.quantity.split(",")[0].endswith(f"/ {unit}"))
        for unit in UNITS.values()
    )
    return (
        f"at L = {size} the even row is at most {even:.1f}σ from the published one, the odd row {odd:.1f}σ; from the "
        f"exact numbers ours are {ours}σ, the published ones {theirs} of their own σ; the numbers at "
        f"T = {OFF_CRITICAL} would be as near by chance in {chance:.2g}"
    )


EXPERIMENT = Experiment(
    name="wu-car-tangent",
    claim="Tangent of the critical manifold (nnn, plaquette, third neighbour) and direction of the field (triples).",
    source="Wu and Car (2019), arXiv:1903.08231, L = 256",
    rule=(
        f"At the largest lattice: confirmed if all six numbers are within {AGREES:.0f}σ and those away from T_c are "
        f"not; refuted if one is farther than {DIFFERS:.0f}σ."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(13.0, 300.0),
)
