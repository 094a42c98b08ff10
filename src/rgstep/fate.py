"""What does iteration of a map lead to? Three fates, from the gain, the field that it makes and the levels at hand.

    reaches the fixed point    the gain exceeds b^{Δ_σ}, no field is made, and Δ_m, level by level, comes towards 1/8
    washes out                 the gain is below: h forgets v, and Δ_m of further levels tends to log_b g
    leads elsewhere            the map makes a field, or the levels move away although the gain would not have it

None where the map is not local, so that there is no flow of short-ranged couplings to speak of, or where the errors
leave it open. A verdict says where the levels at hand have arrived; the fate says where they go.
"""

import math
import re
from collections.abc import Collection
from typing import NamedTuple

from rgstep.estimates import Estimate
from rgstep.ising import Ising
from rgstep.results import FAILS, FATES, Rows

REACHES, WASHES_OUT, ELSEWHERE = FATES


class Fate(NamedTuple):
    """One of `results.FATES`, or None, and why."""

    name: str | None
    reason: str


def fate(rows: Rows, locality: Collection[str]) -> Fate:
    """Return what iteration of a map leads to, from its rows with their criteria applied.

    Args:
        rows: by name.
        locality: the names of the rows that ask whether h is local.
    """
    if failed := [name for name in locality if name in rows and rows[name].passed is False]:
        return Fate(None, f"no flow of a local map: {', '.join(failed)} failed")
    symmetry = rows.get("symmetry")
    if symmetry is not None and symmetry.passed is False:
        return Fate(ELSEWHERE, f"the map breaks a symmetry of the model: {symmetry.why.partition(';')[0]}")
    found = rows["gain"].estimates if "gain" in rows else {}
    if "gain_margin" not in found:
        return Fate(None, "the gain is not known")
    gain, edge = found["gain"].estimate, found["gain_edge"].estimate
    margin = found["gain_margin"].estimate
    compared = f"gain {gain} against b^(1/8) = {edge}"
    if abs(float(margin.value)) < FAILS * float(margin.error):
        return Fate(None, f"{compared}: too near to tell")
    steps = rescalings(rows)
    read = f"; Δ_m by level {', '.join(str(step) for step in steps)}" if steps else "; by the gain alone"
    if margin.value < 0:
        limit = math.log(abs(float(gain.value))) / (8 * math.log(float(edge.value))) if gain.value else -math.inf
        return Fate(WASHES_OUT, f"{compared}{read}, tends to log_b g = {limit:.3f}" if steps else f"{compared}{read}")
    if len(steps) > 1 and leaving(steps):
        return Fate(ELSEWHERE, f"{compared}, but Δ_m moves away from 1/8{read}")
    return Fate(REACHES, f"{compared}{read}")


def rescalings(rows: Rows) -> list[Estimate]:
    """Return Δ_m of every step that was measured, in their order."""
    found = rows["drift"].estimates if "drift" in rows else {}
    return [found[name].estimate for name in sorted(found) if re.fullmatch(r"delta_m\[\d+\]", name)]


def leaving(steps: list[Estimate]) -> bool:
    """Whether the second step is further from Δ_σ than the first, beyond their errors and the 0.05 of a criterion."""
    away = [abs(float(step.value) - Ising.DELTA_SIGMA) for step in steps[:2]]
    noise = math.hypot(*(float(step.error) for step in steps[:2]))
    return away[1] > max(away[0], 0.05) + FAILS * noise
