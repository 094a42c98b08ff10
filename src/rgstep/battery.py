"""The battery: every map through the same instruments, one row each.

A row is a function of a `Subject` that returns a `Diagnostic` and the arrays behind its figure, or None where it does
not apply. Adding one takes a module in `diagnostics` and its line in `BATTERY`. The criteria (`criteria`) are applied
to the rows afterwards, beside the majority rule on the same configurations.
"""

import functools
import time
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version

import numpy as np

from rgstep.arguments import PROGRESS, SEED, checked, mapping
from rgstep.blocking import Majority
from rgstep.controls import is_control
from rgstep.correlators import measure
from rgstep.criteria import CRITERIA, Rows, Scale, Verdict, conclude, decide
from rgstep.diagnostics import (
    decoy,
    drift,
    entropy,
    hamiltonian,
    information,
    kadanoff,
    mcrg,
    pictures,
    sampling,
    tangent,
    tiles,
    training,
    two_point,
)
from rgstep.diagnostics.subject import Row, Subject
from rgstep.ensemble import ENSEMBLE, Ensemble
from rgstep.errors import InputError
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.nets.adapters import as_map
from rgstep.report import DECIDING, NOT_JUDGED, Diagnostic, MapReport, Report
from rgstep.types import CoarseGraining, Progress, Spins

TRIAL = 64
REPEATS = 1e-3  # of the largest h: what a network may differ by when it is asked again


MAPS = mapping("give a name for each map, {'majority': rgstep.Majority()}", filled=True)


@checked(ensemble=ENSEMBLE, maps=MAPS, seed=SEED, progress=PROGRESS)
def judge(
    ensemble: Ensemble,
    maps: Mapping[str, object],
    seed: int = 0,
    *,
    progress: Progress | None = None,
) -> Report:
    """Measure every map on the same configurations and return the report.

    Args:
        ensemble: the configurations.
        maps: a name for each coarse graining or function v → h.
        seed: decides every draw of h.
        progress: called as the work goes on.

    Raises:
        InputError: for an empty table of maps, or a map that raises or answers nonsense.
    """
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()

    @functools.cache
    def reference(block: int) -> Rows:
        """Return the rows of the majority rule on the same configurations that criteria look at."""
        rows = {criterion.row for criterion in CRITERIA if criterion.about == "majority"}
        return measure_map(ensemble, "majority", Majority(block), seed, rows)

    entries = {name: judge_map(ensemble, name, given, seed, reference, progress) for name, given in maps.items()}
    origin = {
        "version": version("rgstep"),
        "command": "rgstep.judge",
        "seed": seed,
        "size": ensemble.system.size,
        "temperature": ensemble.system.temperature,
        "samples": len(ensemble),
        "started": started,
        "seconds": time.perf_counter() - clock,
        "ensemble": dict(ensemble.origin),
        "certificate": ensemble.certificate.to_dict(),
    }
    return Report(origin, entries)


def judge_map(
    ensemble: Ensemble,
    name: str,
    given: object,
    seed: int,
    reference: Callable[[int], Rows],
    progress: Progress | None,
) -> MapReport:
    """Run the battery on one map, apply the criteria and state the verdict."""
    subject = prepare(ensemble, name, given, seed, progress)
    found = measured(subject, BATTERY, progress)
    plain = {row: diagnostic for row, (diagnostic, _) in found.items()}
    arrays = {key: value for _, more in found.values() for key, value in more.items()}
    rows, verdict = judged(plain, subject, reference)
    return MapReport(verdict.name, kind(given), about(given), rows, arrays, verdict.reason)


def measure_map(
    ensemble: Ensemble, name: str, given: object, seed: int = 0, rows: Collection[str] = tuple(DECIDING)
) -> dict[str, Diagnostic]:
    """Return some rows of the battery for one map, no criterion applied."""
    subject = prepare(ensemble, name, given, seed, None)
    return {row: diagnostic for row, (diagnostic, _) in measured(subject, rows, None).items()}


def prepare(ensemble: Ensemble, name: str, given: object, seed: int, progress: Progress | None) -> Subject:
    """Return a map made ready: checked, its moments with the spins measured."""
    coarse = as_map(given, name)
    try_out(coarse, ensemble.unpack(0, TRIAL), name)
    moments = measure(ensemble, coarse, name=name, progress=progress)
    return Subject(ensemble, coarse, given, moments, name, seed)


def try_out(coarse: CoarseGraining, v: Spins, name: str) -> None:
    """Raise `InputError` for a map that draws h where it should give its mean, or whose h is 0 and 1.

    More rows are given at once than a group of samples may have.
    """
    both = np.concatenate([v, -v])  # an h of ±1 whose v are all up may be 1 and 0 by its ties
    h = coarse.mean_h(both)
    if not np.allclose(h, coarse.mean_h(both), rtol=0, atol=REPEATS * float(np.abs(h).max())):
        message = (
            f"map {name!r} answers the same v in two ways: draw h in sample_h(v, rng), return E[h | v] in mean_h(v)"
        )
        raise InputError(message)
    if set(np.unique(h)) == {0.0, 1.0}:
        message = f"map {name!r} returns h of 0 and 1: hidden spins are ±1 here, return 2 * h - 1"
        raise InputError(message)


def measured(subject: Subject, rows: Collection[str], progress: Progress | None) -> dict[str, Row]:
    """Return the rows that apply to a map."""
    found = {}
    for done, name in enumerate(rows):
        if progress:
            progress(f"battery of {subject.name}", done, len(rows), name)
        if (answer := BATTERY[name](subject)) is not None:
            found[name] = answer
    if progress:
        progress(f"battery of {subject.name}", len(rows), len(rows))
    return found


def judged(rows: Rows, subject: Subject, reference: Callable[[int], Rows]) -> tuple[Rows, Verdict]:
    """Return the rows with their criteria applied, and the verdict; criteria hold at the critical point alone."""
    system = subject.ensemble.system
    if not system.is_critical:
        reason = f"T = {system.temperature:.6g}: a verdict needs configurations at T_c = {CRITICAL_TEMPERATURE:.6f}"
        return rows, Verdict(NOT_JUDGED, (), reason)
    beside = reference(subject.block) if subject.block else {}
    samples = len(subject.ensemble)
    scale = Scale(system.size, subject.block or system.size, subject.real)
    decided = {name: decide(name, row, beside.get(name), samples, scale) for name, row in rows.items()}
    return decided, conclude(decided)


def kind(given: object) -> str:
    """Return "control" for a map whose answer is known, "judged" for every other."""
    return "control" if is_control(given) else "judged"


def about(given: object) -> str:
    """Return what a map is, in a few words; the dataclasses of this package print their settings."""
    return repr(given) if type(given).__module__.startswith("rgstep.") else f"user's {type(given).__name__}"


def vh_pattern(subject: Subject) -> Row:
    """The pictures ⟨v h⟩, and the geometry of the partial correlations behind them."""
    description, arrays = pictures.vh_pattern(subject)
    geometry, more, remarks = tiles.row(subject)
    quantities = {**description.estimates, **geometry}
    return Diagnostic(None, f"{remarks}; {description.why}", quantities), {**arrays, **more}


BATTERY: Mapping[str, Callable[[Subject], Row | None]] = {
    "sampling": sampling.row,
    "training": training.row,
    "vh_pattern": vh_pattern,
    "spatial_correlator": pictures.spatial_correlator,
    "two_point": two_point.row,
    "hidden_hamiltonian": hamiltonian.row,
    "mcrg": mcrg.row,
    "drift": drift.row,
    "information": information.row,
    "conditional_entropy": entropy.row,
    "kadanoff_gap": kadanoff.row,
    "decoy": decoy.row,
    "tangent": tangent.row,
}
TELLS: Mapping[str, str] = {
    "vh_pattern": tiles.TELLS,
    "two_point": two_point.TELLS,
    "hidden_hamiltonian": hamiltonian.TELLS,
    "mcrg": mcrg.TELLS,
    "drift": drift.TELLS,
    "information": information.TELLS,
    "conditional_entropy": entropy.TELLS,
    "kadanoff_gap": kadanoff.TELLS,
    "decoy": decoy.TELLS,
    "tangent": tangent.TELLS,
}
