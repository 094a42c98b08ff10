"""The battery: every map through the same instruments, one row each.

A row is a function of a `Subject` that returns a `Diagnostic` and the arrays behind its figure, or None where it does
not apply. Adding one takes a function here and its line in `BATTERY`. No criterion is applied to the patterns yet:
such rows have `passed` None, and the verdict reads "not judged".
"""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority
from rgstep.correlators import measure
from rgstep.diagnostics import pictures, sampling, training
from rgstep.diagnostics.subject import Row, Subject
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError, require_seed
from rgstep.nets.adapters import as_map
from rgstep.nets.rbm import RBM
from rgstep.report import NOT_JUDGED, MapReport, Report
from rgstep.types import Progress

TRIAL = 64


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
    require_seed(seed)
    check_request(ensemble, maps)
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    entries = {name: judge_map(ensemble, name, given, seed, progress) for name, given in maps.items()}
    origin = {
        "version": version("rgstep"),
        "command": "rgstep.judge",
        "seed": int(seed),
        "size": ensemble.system.size,
        "temperature": ensemble.system.temperature,
        "samples": len(ensemble),
        "started": started,
        "seconds": time.perf_counter() - clock,
        "ensemble": dict(ensemble.origin),
        "certificate": ensemble.certificate.to_dict(),
    }
    return Report(origin, entries)


def check_request(ensemble: object, maps: object) -> None:
    """Raise `InputError` unless there is an ensemble and a table of named maps."""
    if not isinstance(ensemble, Ensemble):
        message = f"ensemble is a {type(ensemble).__name__}: use rgstep.sample(…) or rgstep.ensemble_from_array(…)"
        raise InputError(message)
    if not isinstance(maps, Mapping) or not maps or not all(isinstance(name, str) and name for name in maps):
        message = f"maps = {maps!r}: give a name for each map, {{'majority': rgstep.Majority()}}"
        raise InputError(message)


def judge_map(ensemble: Ensemble, name: str, given: object, seed: int, progress: Progress | None) -> MapReport:
    """Run the battery on one map."""
    coarse = as_map(given, name)
    coarse.mean_h(ensemble.unpack(0, TRIAL))  # more rows at once than a group may have
    moments = measure(ensemble, coarse, name=name, progress=progress)
    subject = Subject(ensemble, coarse, given, moments, name, seed)
    rows = {row: answer for row, run in BATTERY.items() if (answer := run(subject)) is not None}
    arrays = {key: value for _, more in rows.values() for key, value in more.items()}
    return MapReport(NOT_JUDGED, kind(given), about(given), {row: answer[0] for row, answer in rows.items()}, arrays)


def kind(given: object) -> str:
    """Return "control" for a map whose answer is known, "judged" for every other."""
    hand_made = isinstance(given, Average | Majority | Decimation | BernoulliBlock)
    untrained = isinstance(given, RBM) and given.origin.get("preset") == "untrained"
    return "control" if hand_made or untrained else "judged"


def about(given: object) -> str:
    """Return what a map is, in a few words; the dataclasses of this package print their settings."""
    return repr(given) if type(given).__module__.startswith("rgstep.") else f"user's {type(given).__name__}"


BATTERY: Mapping[str, Callable[[Subject], Row | None]] = {
    "sampling": sampling.row,
    "training": training.row,
    "vh_pattern": pictures.vh_pattern,
    "spatial_correlator": pictures.spatial_correlator,
}
