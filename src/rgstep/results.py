"""What is said of one map: measured numbers, whether they meet their criteria, and the verdict.

A criterion asks whether a number lies in a band. The answer is yes where the number is more than two standard errors
inside, no where it is more than four outside, and "undecided" between; how many samples would decide: `forecast`.
A map passes only if all its numbers do, so that one wrong number of a wrong map suffices, with the chance of a single
comparison, 2.3 %. It fails by any of some 25, most of them far inside: by chance once in a thousand maps (Šidák 1967).
Bands are constants, shrink with the lattice, or lie about the value that the majority rule has on the same
configurations. Each band and its reason: docs/verdict.md.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from rgstep.estimates import Estimate
from rgstep.notebook import card, table

RG_STEP = "RG step"
LOCAL = "local coarse graining, not near a fixed point"
FEATURES = "feature extractor, not RG"
UNDECIDED = "undecided"
PASSES = 2.0  # standard errors inside its band from which on a number passes
FAILS = 4.0  # and outside, from which on it fails: 1 − (1 − 3.2e-5)^25 = 0.08 %
FATES = ("reaches the fixed point", "washes out", "leads elsewhere")
NOT_JUDGED = "not judged"
NOT_ASKED = "not asked of"  # begins the `why` of a row all of whose criteria are for levels that the map does not have


@dataclass(frozen=True)
class Quantity:
    """A measured number, and the exact value where one is known."""

    estimate: Estimate
    exact: float | None = None

    @property
    def z(self) -> float | None:
        """How many standard errors the number is from its exact value; None where that or the error is not known."""
        value, error = float(self.estimate.value), float(self.estimate.error)
        return (value - self.exact) / error if self.exact is not None and error > 0 else None

    def to_dict(self) -> dict[str, float | None]:
        """Return value, error and exact; what is not finite is null."""
        return {
            "value": finite(self.estimate.value),
            "error": finite(self.estimate.error),
            "exact": finite(self.exact),
        }


@dataclass(frozen=True)
class Diagnostic:
    """One row of the battery for one map: `passed` is None where no criterion applies, or where it is undecided."""

    passed: bool | None
    why: str
    estimates: Mapping[str, Quantity]

    @property
    def asked(self) -> bool:
        """Whether the map has the levels that the row's criteria are for; the verdict does without the row if not."""
        return not self.why.startswith(NOT_ASKED)

    @property
    def answer(self) -> str:
        """Whether the row passed, in a word."""
        return "no criterion, or undecided" if self.passed is None else "passed" if self.passed else "failed"

    def __repr__(self) -> str:
        """Return whether it passed, how many numbers it has, and why."""
        return f"Diagnostic({self.answer}, {len(self.estimates)} numbers: {self.why.partition(';')[0]})"

    def _repr_html_(self) -> str:
        """Return the row's numbers as a notebook shows them."""
        rows = [(name, q.estimate, "" if q.exact is None else f"{q.exact:.6g}") for name, q in self.estimates.items()]
        return table(f"{self.answer}: {self.why}", ("number", "value(error)", "exact"), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        quantities = {name: quantity.to_dict() for name, quantity in self.estimates.items()}
        return {"passed": self.passed, "why": self.why, "estimates": quantities}


@dataclass(frozen=True)
class Forecast:
    """From how many samples on an undecided verdict may be expected to be decided, two times in three low to high.

    `likely` is the median; `high` is None where it is out of reach. All three are None where no number can be named,
    and `why` says why.
    """

    low: int | None
    likely: int | None
    high: int | None
    why: str = ""

    @property
    def sentence(self) -> str:
        """The forecast in words."""
        if self.likely is None:
            return self.why
        to = f"{self.low:,} to {self.high:,}" if self.high is not None else f"{self.low:,} or more, without end"
        return f"about {self.likely:,} samples would decide, two times in three {to}"

    def to_dict(self) -> dict[str, int | str | None]:
        """Return the forecast as plain values."""
        return {"low": self.low, "likely": self.likely, "high": self.high, "why": self.why}


@dataclass(frozen=True, eq=False)
class MapReport:
    """All rows for one map; `kind` is "control" or "judged", `about` says what the map is in a few words.

    `reason` says which rows decided the verdict, and how. `fate` is what iteration leads to, one of `FATES` or None,
    and `fate_reason` says why. `arrays` holds what the figures show, by the names of the rows. `forecast` says how many
    samples would decide an undecided verdict; None for others.
    """

    verdict: str
    kind: str
    about: str
    diagnostics: Mapping[str, Diagnostic]
    arrays: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    reason: str = ""
    fate: str | None = None
    fate_reason: str = ""
    forecast: Forecast | None = None

    def __repr__(self) -> str:
        """Return the verdict, the fate and how many rows there are."""
        fate = f", {self.fate}" if self.fate else ""
        return f"MapReport({self.verdict}{fate}; {self.kind}: {self.about}; {len(self.diagnostics)} rows)"

    def _repr_html_(self) -> str:
        """Return what is said of the map as a notebook shows it, a line for each row."""
        facts = [
            ("verdict", self.verdict),
            ("why", self.reason),
            ("fate", f"{self.fate or 'none'}: {self.fate_reason}"),
            *([("forecast", self.forecast.sentence)] if self.forecast else []),
        ]
        rows = [(name, row.answer, row.why.partition(";")[0]) for name, row in self.diagnostics.items()]
        return card(self.about, facts) + table("rows", ("row", "answer", "why"), rows)

    def estimates(self, row: str) -> Mapping[str, Quantity]:
        """Return the quantities of a row, none where the map has no such row."""
        return self.diagnostics[row].estimates if row in self.diagnostics else {}

    def to_dict(self) -> dict[str, Any]:
        """Return the map's rows as plain values."""
        rows = {name: row.to_dict() for name, row in self.diagnostics.items()}
        words = {
            "verdict": self.verdict,
            "reason": self.reason,
            "fate": self.fate,
            "fate_reason": self.fate_reason,
            "kind": self.kind,
            "about": self.about,
        }
        later = {} if self.forecast is None else {"forecast": self.forecast.to_dict()}
        return {**words, **later, "diagnostics": rows}


def arrays_of(maps: Mapping[str, MapReport], row: str, needed: str) -> dict[str, Mapping[str, np.ndarray]]:
    """Return by map the arrays of one row, of the maps that have the array `needed` among them."""
    found = {name: entry.arrays.get(row, {}) for name, entry in maps.items()}
    return {name: arrays for name, arrays in found.items() if needed in arrays}


def finite(value: Any) -> float | None:
    """Return a finite number as a float, everything else as None (JSON has no NaN)."""
    return float(value) if value is not None and math.isfinite(value) else None


# --- criteria

Rows = Mapping[str, Diagnostic]


@dataclass(frozen=True)
class Scale:
    """The side L of the spins' lattice, the factor b of a map, whether its h is other than ±1, and how many steps.

    Of a sequence of maps also how many there are, and the sides of the levels that they make, that of the spins first:
    b is that of the first.
    """

    side: int
    block: float
    real: bool = False
    steps: int = 1
    maps: int = 1
    sides: tuple[float, ...] = ()

    def reaches(self, side: int, level: int) -> bool:
        """Whether a level has a lattice of at least this side."""
        if level < len(self.sides):
            return self.sides[level] >= side
        return self.side >= side * self.block**level


@dataclass(frozen=True)
class Criterion:
    """A band for one quantity of a row; `[n]` in its name stands for every level from `first` on.

    `about` says where the band lies: "value" between low and high; "majority" that far from the majority rule's value
    on the same configurations. With `shrinking`, low and high are divided by the side of the first coarse lattice.
    Levels of a smaller side than `side`, or of one of `below` or more, are left out, and with `last` all but the last
    that is left: a map is judged where it has arrived. A number outside its band fails the row, or leaves it undecided
    (`doubt`). A quantity that is not `needed` may be missing; the error of one that is not `sampled` does not shrink
    with the number of configurations. Where h is real, `of_real` stands for `quantity` ("": none). With `each_map` the
    levels are those that the further maps of a sequence make, and each of them must have been measured.
    """

    quantity: str
    low: float
    high: float
    about: Literal["value", "majority"] = "value"
    first: int = 0
    side: int = 0
    doubt: bool = False
    of_real: str | None = None
    shrinking: bool = False
    last: bool = False
    needed: bool = True
    below: int = 0
    each_map: bool = False
    sampled: bool = True

    def of_maps(self, **changes: Any) -> "Criterion":
        """Return the same criterion for the further maps of a sequence, by the levels that they make, from 2 on."""
        return replace(self, quantity=f"{self.quantity}[n]", first=2, each_map=True, **changes)

    def wanted(self, scale: Scale) -> str:
        """Return the quantity that the criterion looks at, `[n]` for levels, "" for none."""
        return self.of_real if scale.real and self.of_real is not None else self.quantity

    def matches(self, name: str, scale: Scale) -> bool:
        """Whether the criterion applies to a quantity of its row."""
        pattern = re.escape(self.wanted(scale)).replace(r"\[n\]", r"\[(\d+)\]")
        match = re.fullmatch(pattern, name)
        level = int(match[1]) if match and match.groups() else self.first
        if match is None or level < self.first or (self.below and scale.reaches(self.below, level)):
            return False
        return scale.reaches(self.side, level)

    def among(self, names: Iterable[str], scale: Scale) -> list[str]:
        """Return the quantities that the criterion looks at, in the order of their levels."""
        found = [name for name in names if self.matches(name, scale)]
        return found[-1:] if self.last else found

    def asked(self, scale: Scale) -> bool:
        """Whether the map has the levels that the criterion is for."""
        name = self.wanted(scale)
        if self.first >= 1 and "[n]" in name:
            return scale.steps > self.first and scale.reaches(self.side, self.first)
        return bool(name)

    def band(self, scale: Scale) -> tuple[float, float]:
        """Return low and high for a lattice."""
        unit = scale.block / scale.side if self.shrinking else 1.0
        return self.low * unit, self.high * unit


@dataclass(frozen=True)
class Outcome:
    """A measured number and the band that it is held against; see `Criterion` for `doubt` and `sampled`."""

    quantity: str
    estimate: Estimate
    low: float
    high: float
    doubt: bool = False
    sampled: bool = True

    @property
    def room(self) -> float:
        """How far inside the band the number lies; negative outside."""
        value = float(self.estimate.value)
        return min(value - self.low, self.high - value)

    @property
    def passed(self) -> bool | None:
        """Whether the number lies in the band; None too near an edge for its error, or without an error."""
        error = float(self.estimate.error)
        if not (math.isfinite(self.room) and math.isfinite(error)):
            return None
        if self.room >= 0:
            return True if self.room >= PASSES * error else None
        return None if self.doubt or -self.room < FAILS * error else False

    def sentence(self, samples: int) -> str:
        """Return the outcome in words."""
        band = f"[{self.low:.4g}, {self.high:.4g}]".replace("[-inf, ", "(−∞, ").replace(", inf]", ", ∞)")
        number, error = f"{self.quantity} = {self.estimate}", float(self.estimate.error)
        if math.isnan(self.room):
            return f"{self.quantity} could not be measured"
        if not (math.isfinite(self.room) and math.isfinite(error)):
            return f"{number}, without an error bar"
        if self.doubt and self.room < 0:
            return f"{number}, outside {band}: not enough is seen of the units with {samples:,} samples"
        if self.passed is None:
            where, needed = ("inside", PASSES) if self.room >= 0 else ("outside", FAILS)
            return f"{number}, too near an edge of {band}: {where} by {abs(self.room) / error:.1f} σ of {needed:g}"
        how = "inside" if self.passed else "outside"
        return f"{number}, {how} {band}" + (f" by {abs(self.room) / error:.0f} σ" if error > 0 else "")


@dataclass(frozen=True)
class Verdict:
    """What the rows of a map say together, and the rows that decided it."""

    name: str
    rows: Sequence[str]
    reason: str


def outcomes(
    criteria: Sequence[Criterion], measured: Diagnostic, reference: Diagnostic | None, scale: Scale
) -> Iterator[Outcome]:
    """Yield the outcomes of one row: every criterion, at every level that was measured."""
    for criterion in criteria:
        for name in criterion.among(measured.estimates, scale):
            (low, high), estimate = criterion.band(scale), measured.estimates[name].estimate
            if criterion.about == "majority":
                if reference is None or name not in reference.estimates:
                    continue
                centre = reference.estimates[name].estimate
                low, high = low + float(centre.value), high + float(centre.value)
                estimate = replace(estimate, error=math.hypot(float(estimate.error), float(centre.error)))
            yield Outcome(name, estimate, low, high, criterion.doubt, criterion.sampled)


def lacking(criteria: Sequence[Criterion], measured: Diagnostic, scale: Scale) -> Iterator[Outcome]:
    """Yield an outcome without a number for each quantity that every map must have and this one has not."""
    for criterion in criteria:
        names = [criterion.wanted(scale)] if criterion.needed else []
        if criterion.each_map:
            every = [name.replace("[n]", f"[{n}]") for name in names for n in range(2, scale.maps + 1)]
            names = [name for name in every if criterion.matches(name, scale)]
        for name in names:
            if name and not name.endswith("[n]") and name not in measured.estimates:
                yield Outcome(name, Estimate(math.nan, math.nan), *criterion.band(scale))


def held(
    criteria: Sequence[Criterion], measured: Diagnostic, reference: Diagnostic | None, scale: Scale
) -> list[Outcome]:
    """Return every outcome of one row, those that lack their number among them; none if all do."""
    found = list(outcomes(criteria, measured, reference, scale))
    return [*found, *lacking(criteria, measured, scale)] if found else []


def apply(
    criteria: Sequence[Criterion], measured: Diagnostic, reference: Diagnostic | None, samples: int, scale: Scale
) -> Diagnostic:
    """Return a row with its criteria applied: failed if one number is outside its band, passed if all are inside.

    Args:
        criteria: of the row; without any it is returned as it is.
        measured: the row without criteria.
        reference: the same row of the majority rule on the same configurations; None where there is none.
        samples: the number of configurations.
        scale: of the lattice and the map.
    """
    if not criteria:
        return measured
    found = held(criteria, measured, reference, scale)
    if not found and not any(criterion.asked(scale) for criterion in criteria):
        return replace(measured, why=f"{NOT_ASKED} {counted(scale.steps)}; {measured.why}")
    if not found and not measured.estimates:
        return measured
    if not found:
        none = (
            f"nothing that a criterion looks at was measured at L = {scale.side} from {samples:,} samples: more, "
            "a larger lattice or a map with places would give it"
        )
        return replace(measured, why=f"{none}; {measured.why}")
    answers = [outcome.passed for outcome in found]
    passed = False if False in answers else None if None in answers else True
    telling = [outcome for outcome in found if outcome.passed is passed]
    shown = telling if passed is not True else [min(telling, key=margin)]
    return replace(
        measured, passed=passed, why="; ".join([*(outcome.sentence(samples) for outcome in shown), measured.why])
    )


def counted(steps: int) -> str:
    """Return a number of steps in words."""
    return "one step" if steps == 1 else f"{steps} steps at this size"


def margin(outcome: Outcome) -> float:
    """Return by how many standard errors a number is inside its band."""
    error = float(outcome.estimate.error)
    return outcome.room / error if error > 0 else math.inf


def conclusion(rows: Rows, locality: Collection[str], fixed_point: Collection[str]) -> Verdict:
    """Return the verdict on rows whose criteria have been applied, all of them heard before any is left undecided.

    A map that fails a row of locality extracts features; one that fails a row of the fixed point alone coarse-grains
    locally, or at any rate is no RG step; an RG step passes all. What is needed and undecided leaves the verdict
    undecided only if no row fails.

    Args:
        rows: by name.
        locality: the names of the rows that ask whether h is local.
        fixed_point: of those that ask whether iteration stays near a fixed point.
    """
    if (sampling := rows.get("sampling")) and sampling.passed is False:
        return Verdict(NOT_JUDGED, ("sampling",), f"the configurations are not to be trusted: {sampling.why}")
    for names, verdict in ((locality, FEATURES), (fixed_point, LOCAL)):
        if failed := [name for name in names if name in rows and rows[name].passed is False]:
            return Verdict(verdict, failed, said(rows, failed))
    every = [name for name in (*locality, *fixed_point) if name not in rows or rows[name].asked]
    if unknown := [name for name in every if name not in rows or rows[name].passed is None]:
        return Verdict(UNDECIDED, unknown, said(rows, unknown))
    return Verdict(RG_STEP, every, said(rows, every))


def said(rows: Rows, names: Sequence[str]) -> str:
    """Return what the rows that decided say, the first clause of each."""
    return "; ".join(
        f"{name}: {rows[name].why.partition(';')[0] if name in rows else 'not measured'}" for name in names
    )
