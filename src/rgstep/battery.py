"""The battery: every map through the same instruments, then the criteria beside the majority rule, then the verdict."""

import functools
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import cast

import numpy as np

from rgstep import results
from rgstep.adapters import as_maps, by_channel
from rgstep.arguments import PROGRESS, SEED, SIDE_OF_BLOCKS, InputError, broken, checked, each, mapping, one_of
from rgstep.blocking import Majority
from rgstep.controls import HAND_MADE, STANDARD, UNTRAINED, control_map, is_control, with_nulls
from rgstep.ensemble import ENSEMBLE, Ensemble
from rgstep.estimates import Estimate
from rgstep.fate import Fate, fate
from rgstep.forecast import forecast
from rgstep.instruments import DECIDING, FIXED_POINT, INSTRUMENTS, LOCALITY
from rgstep.instruments.base import Row, Subject, prepare
from rgstep.instruments.draws import require_coarse
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.lattice import check_tiling
from rgstep.nets.rbm import RBM
from rgstep.report import Report
from rgstep.results import NOT_JUDGED, RG_STEP, Diagnostic, MapReport, Outcome, Rows, Scale, Verdict
from rgstep.types import Progress

ONE_STEP = "by one step alone, what a second would make is not known"
LOOKED_AT = 64  # configurations that tell whether h is v itself
PLACINGS = 3  # of the units of a network, for the errors of places
NO_MAP = "not measured: it needs the map, asked for h of other configurations, and an array of h was given"
MAPS = mapping("give a name for each map, {'majority': rgstep.Majority()}", filled=True)


def read_controls(name: str, value: object) -> Sequence[str]:
    """Check which controls are wanted: names, True for those of `rgstep compare`, False for none."""
    if isinstance(value, bool | np.bool_):
        return STANDARD if value else ()
    if isinstance(value, str):
        raise broken(name, value, "must be True, False or a list of names")
    wanted: Sequence[str] = each(one_of({*HAND_MADE, UNTRAINED}, "name among controls"))(name, value)
    return wanted


@checked(ensemble=ENSEMBLE, maps=MAPS, seed=SEED, controls=read_controls, block=SIDE_OF_BLOCKS, progress=PROGRESS)
def judge(
    ensemble: Ensemble,
    maps: Mapping[str, object],
    seed: int = 0,
    *,
    controls: bool | Sequence[str] = (),
    block: int = 2,
    progress: Progress | None = None,
) -> Report:
    """Measure every map on the same configurations and return the report.

    Args:
        ensemble: the configurations.
        maps: a name for each coarse graining or function v → h; for a sequence of them, each is applied to the h of
            the one before. An array of h, one for each configuration, gets all rows that need no map. A map whose h has
            channels, `(sample, channel, l, l)`, is judged channel by channel.
        seed: decides every draw of h, and the untrained networks.
        controls: maps of known answer to judge beside them: names, or True for those of `rgstep compare` (block rules,
            an untrained network, and one as large in its weights as each network that is given).
        block: side of the blocks of these controls.
        progress: called as the work goes on.

    Raises:
        InputError: for an empty table of maps, a map that raises or answers nonsense, an unknown control, or a map that
            has the name of one and is none.

    Examples:
        >>> ensemble = rg.sample(8, samples=3_000, seed=0)
        >>> report = rg.judge(ensemble, {"majority": rg.Majority(), "mine": lambda v: v[:, ::2, ::2]})
        >>> report.maps["majority"].verdict
        'RG step'
    """
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    if controls:
        maps = beside_controls(maps, cast(Sequence[str], controls), ensemble.system.size, block, seed)

    reference = reference_on(ensemble, seed)
    entries = {
        name: judge_map(ensemble, name, given, seed, reference, progress)
        for name, given in one_by_one(ensemble, maps).items()
    }
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


def beside_controls(
    maps: Mapping[str, object], controls: Sequence[str], size: int, block: int, seed: int
) -> Mapping[str, object]:
    """Return the controls, then the maps, then the nulls of networks; a control that is given stands for itself."""
    check_tiling(size, block)
    for name in controls:
        if name in maps and not is_control(maps[name]):
            message = f"map {name!r} has the name of a control and is none: rename it, or leave that control out"
            raise InputError(message)
    found = {name: control_map(name, size, block, seed=seed) for name in controls if name not in maps}
    every = {**found, **maps}
    beside = with_nulls(every, seed) if UNTRAINED in controls else every
    if lost := [name for name, given in maps.items() if beside[name] is not given]:
        message = f"map {lost[0]!r} has the name of the null of another: rename it, or ask for controls by name"
        raise InputError(message)
    return beside


def reference_on(ensemble: Ensemble, seed: int) -> Callable[[int], Rows]:
    """Return the function block → the rows of the majority rule on these configurations that criteria look at."""

    @functools.cache
    def reference(block: int) -> Rows:
        beside = [i.name for i in INSTRUMENTS.values() if any(c.about == "majority" for c in i.criteria)]
        return measure_map(ensemble, "majority", Majority(block), seed, beside)

    return reference


def one_by_one(ensemble: Ensemble, maps: Mapping[str, object]) -> dict[str, object]:
    """Return the maps by name, one whose h has channels as one map for each: mine[0], mine[1], ….

    Raises:
        InputError: where another map has the name of a channel.
    """
    found: dict[str, object] = {}
    for name, given in maps.items():
        channels = by_channel(given, ensemble.unpack(0, 2))
        own = {f"{name}[{c}]": channel for c, channel in enumerate(channels)} if channels else {name: given}
        if taken := sorted(own.keys() & (found.keys() | (maps.keys() - {name}))):
            message = f"map {name!r} has channels, and one is called {taken[0]!r} as another map is: rename one of them"
            raise InputError(message)
        found |= own
    return found


def judge_map(
    ensemble: Ensemble,
    name: str,
    given: object,
    seed: int,
    reference: Callable[[int], Rows],
    progress: Progress | None,
    rows_measured: Collection[str] = tuple(INSTRUMENTS),
) -> MapReport:
    """Run the battery, or some of its rows, on one map, apply the criteria and state the verdict."""
    subject = prepare(ensemble, as_maps(given, name), given, name, seed, progress)
    require_coarse(ensemble.unpack(0, LOOKED_AT), subject.first.hidden[:LOOKED_AT], name)
    found = measured(subject, rows_measured, progress)
    arrays = {row: dict(more) for row, (_, more) in found.items() if more}
    plain = {row: diagnostic for row, (diagnostic, _) in found.items()}
    rows, verdict = judged(plain, subject, reference)
    led = Fate(None, verdict.reason) if verdict.name == NOT_JUDGED else fate(rows, LOCALITY)
    outlook = forecast(verdict, held(plain, subject, reference), len(ensemble))
    return MapReport(verdict.name, kind(given), about(given), rows, arrays, verdict.reason, *led, outlook)


def measure_map(
    ensemble: Ensemble, name: str, given: object, seed: int = 0, rows: Collection[str] = DECIDING
) -> dict[str, Diagnostic]:
    """Return some rows of the battery for one map, no criterion applied."""
    subject = prepare(ensemble, as_maps(given, name), given, name, seed)
    return {row: diagnostic for row, (diagnostic, _) in measured(subject, rows, None).items()}


def measured(subject: Subject, rows: Collection[str], progress: Progress | None) -> dict[str, Row]:
    """Return the rows that apply to a map."""
    found: dict[str, Row] = {}
    for done, name in enumerate(rows):
        if progress:
            progress(f"battery of {subject.name}", done, len(rows), name)
        instrument = INSTRUMENTS[name]
        if instrument.needs_map and subject.recorded:
            found[name] = Diagnostic(None, NO_MAP, {}), {}
        elif (answer := instrument.measure(subject)) is not None:
            found[name] = answer
    if subject.found:
        found |= with_errors_of_places(subject, found)
    if progress:
        progress(f"battery of {subject.name}", len(rows), len(rows))
    return found


def with_errors_of_places(subject: Subject, rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows that depend on where found units are put, their errors with the spread over other placings.

    Places are found from pictures with noise, and of units that sit close together any may be put on a site: found on a
    bootstrap of the samples, others are. The numbers' spread over `PLACINGS` of them is added to their errors.
    """
    again = [subject.placed_again(number) for number in range(PLACINGS)]
    found = {}
    for name, (diagnostic, arrays) in rows.items():
        by_place = INSTRUMENTS[name].by_place
        if by_place is None or not diagnostic.estimates:
            continue
        others = [by_place(other) for other in again]
        estimates = {
            quantity: replace(own, estimate=spread_out(own.estimate, [other[quantity].estimate for other in others]))
            if all(quantity in other for other in others)
            else own
            for quantity, own in diagnostic.estimates.items()
        }
        why = f"{diagnostic.why}; errors hold the spread over {PLACINGS} placings of the units"
        found[name] = replace(diagnostic, why=why, estimates=estimates), arrays
    return found


def spread_out(own: Estimate, others: Sequence[Estimate]) -> Estimate:
    """Return an estimate with the spread of others about it in its error; without an error where one has no value."""
    spread = math.sqrt(math.fsum((float(other.value) - float(own.value)) ** 2 for other in others) / len(others))
    return replace(own, error=math.hypot(float(own.error), spread))


def judged(rows: Rows, subject: Subject, reference: Callable[[int], Rows]) -> tuple[Rows, Verdict]:
    """Return the rows with their criteria applied, and the verdict; criteria hold at the critical point alone."""
    system = subject.system
    if not system.is_critical:
        reason = f"T = {system.temperature:.6g}: a verdict needs configurations at T_c = {CRITICAL_TEMPERATURE:.6f}"
        return rows, Verdict(NOT_JUDGED, (), reason)
    beside = reference(subject.block) if subject.block else {}
    samples, scale = len(subject.ensemble), scale_of(subject)
    decided = {name: decide(name, row, beside.get(name), samples, scale) for name, row in rows.items()}
    verdict = conclude(decided)
    if verdict.name == RG_STEP and scale.steps == 1:
        verdict = replace(verdict, reason=f"{ONE_STEP}; {verdict.reason}")
    return decided, verdict


def scale_of(subject: Subject) -> Scale:
    """Return the sizes that decide which criteria a map is asked for."""
    steps = max(1, len(subject.levels) - 1)
    return Scale(subject.system.size, subject.ratio, subject.real, steps, len(subject.maps), subject.sides)


def held(rows: Rows, subject: Subject, reference: Callable[[int], Rows]) -> dict[str, list[Outcome]]:
    """Return the outcomes of every row that a verdict needs and the map is asked for, from rows without criteria."""
    beside, scale = reference(subject.block) if subject.block else {}, scale_of(subject)
    asked = [name for name in DECIDING if any(c.asked(scale) for c in INSTRUMENTS[name].criteria)]
    return {
        name: results.held(INSTRUMENTS[name].criteria, rows[name], beside.get(name), scale) if name in rows else []
        for name in asked
    }


def decide(name: str, row: Diagnostic, reference: Diagnostic | None, samples: int, scale: Scale) -> Diagnostic:
    """Return a row with the criteria of its instrument applied; see `results.apply`."""
    return results.apply(INSTRUMENTS[name].criteria, row, reference, samples, scale)


def conclude(rows: Rows) -> Verdict:
    """Return the verdict on rows whose criteria have been applied; see `results.conclusion`."""
    return results.conclusion(rows, LOCALITY, FIXED_POINT)


def kind(given: object) -> str:
    """Return "control" for a map whose answer is known, "judged" for every other."""
    return "control" if is_control(given) else "judged"


def about(given: object) -> str:
    """Return what a map is, in a few words; the dataclasses of this package print their settings."""
    if isinstance(given, list | tuple):
        return f"{len(given)} maps in sequence: {', '.join(about(one) for one in given)}"
    if isinstance(given, RBM) and "made_by" in given.origin:
        return f"{given!r}, which comes with rgstep; made by: {given.origin['made_by']}"
    return repr(given) if type(given).__module__.startswith("rgstep.") else f"user's {type(given).__name__}"
