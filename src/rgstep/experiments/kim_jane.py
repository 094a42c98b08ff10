"""Do the eigenvalues of the linearised RG come out as in the longest runs that were published?

Two even operators, nn and nnn, of the 2×2 majority rule at T_c, step by step down to 2×2 (`instruments.mcrg`).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from rgstep.blocking import Decimation, Majority
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
    chi_squared,
    critical,
    iterated,
)
from rgstep.instruments.mcrg import exponent
from rgstep.parts import Part, Settings, Values, stored
from rgstep.types import CoarseGraining, Progress

PUBLISHED = {16: (1.95090, 1.99194, 2.02369), 32: (1.95184, 1.99665, 1.99435, 2.02591)}  # λ of step 0, 1, …
OF_TEN_MILLION = 4e-4  # no error is printed; that of 10⁷ configurations, ours at L = 16 scaled by √n
SMALLEST_STEP = 4  # side that the last step starts from
RULES: dict[str, CoarseGraining] = {"majority": Majority(), "decimation": Decimation()}


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: sets of configurations of three sides."""
    many = {16: (2, 100_000), 32: (2, 40_000), 64: (1, 3000)}
    if not quick:
        many = {16: (10, 200_000), 32: (10, 100_000), 64: (4, 20_000)}
    return [
        {"size": size, "samples": samples, "seed": seed + s}
        for size, (number, samples) in many.items()
        for s in range(number)
    ]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return λ of every step of the majority rule, and of decimation beside it."""
    ensemble = critical(settings, progress)
    steps = int(math.log2(settings["size"] // SMALLEST_STEP)) + 1
    found = {}
    for name, rule in RULES.items():
        for n, pair in enumerate(pairwise(iterated(ensemble, rule, steps, settings["seed"]))):
            y = exponent(*pair, "even", operators=2)
            value = 2 ** float(y.value)
            found[f"{name}[{n}]"] = stored(Estimate(value, value * math.log(2) * float(y.error)))
    return found


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return λ step by step beside the published ones."""
    rows, controls, numbers = [], [], []
    for size in sorted({part.settings["size"] for part in found}):
        of_size = [part for part in found if part.settings["size"] == size]
        numbers.append(f"{sum(part.settings['samples'] for part in of_size)} at L = {size}")
        for n in range(len(of_size[0].values) // len(RULES)):
            ours, control = (averaged([part.estimate(f"{name}[{n}]") for part in of_size]) for name in RULES)
            published = Estimate(PUBLISHED[size][n], OF_TEN_MILLION) if size in PUBLISHED else None
            verdict = "" if published is None else agreement(apart(ours, published))
            rows.append(Row(f"λ, L = {size}, step {n}", ours, published, {"decimation": control}, verdict))
            controls.append(Row("decimation", control, published))
    decided = [row for row in rows if row.published]
    verdict, chance = against_control([row.verdict for row in decided], [row for row in controls if row.published])
    largest = max(abs(float(row.z or 0.0)) for row in decided)
    why = (
        f"{len(decided)} eigenvalues, at most {largest:.1f}σ apart, χ² = {chi_squared(decided):.1f}; decimation's "
        f"would be as near by chance in {chance:.2g}; configurations: {', '.join(numbers)}; at L = 64 none is published"
    )
    return Conclusion(rows, verdict, why)


EXPERIMENT = Experiment(
    name="kim-jane",
    claim="Leading even eigenvalues of the linearised RG of the 2×2 majority rule, two operators, L = 16 and 32.",
    source="Kim and Jane, from 10⁷ configurations; no errors are printed, 4e-4 is taken for each",
    rule=(
        f"Confirmed if each is within {AGREES:.0f}σ and decimation's are not; refuted if one is farther than "
        f"{DIFFERS:.0f}σ."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(17.0, 200.0),
)
