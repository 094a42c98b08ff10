"""What the instruments say of one map: measured numbers, whether they pass, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rgstep.estimates import Estimate

NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Quantity:
    """A measured number, and the exact value where one is known."""

    estimate: Estimate
    exact: float | None = None

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

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        quantities = {name: quantity.to_dict() for name, quantity in self.estimates.items()}
        return {"passed": self.passed, "why": self.why, "estimates": quantities}


@dataclass(frozen=True, eq=False)
class MapReport:
    """All rows for one map; `kind` is "control" or "judged", `about` says what the map is in a few words.

    `reason` says which rows decided the verdict, and how. `arrays` holds what the figures show, by the names of the
    rows.
    """

    verdict: str
    kind: str
    about: str
    diagnostics: Mapping[str, Diagnostic]
    arrays: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    reason: str = ""

    def estimates(self, row: str) -> Mapping[str, Quantity]:
        """Return the quantities of a row, none where the map has no such row."""
        return self.diagnostics[row].estimates if row in self.diagnostics else {}

    def to_dict(self) -> dict[str, Any]:
        """Return the map's rows as plain values."""
        rows = {name: row.to_dict() for name, row in self.diagnostics.items()}
        words = {"verdict": self.verdict, "reason": self.reason, "kind": self.kind, "about": self.about}
        return {**words, "diagnostics": rows}


def arrays_of(maps: Mapping[str, MapReport], row: str, needed: str) -> dict[str, Mapping[str, np.ndarray]]:
    """Return by map the arrays of one row, of the maps that have the array `needed` among them."""
    found = {name: entry.arrays.get(row, {}) for name, entry in maps.items()}
    return {name: arrays for name, arrays in found.items() if needed in arrays}


def finite(value: Any) -> float | None:
    """Return a finite number as a float, everything else as None (JSON has no NaN)."""
    return float(value) if value is not None and math.isfinite(value) else None
