"""What is an experiment: a published claim, how it is measured part by part, and the rule that decides it.

An experiment is cut into *parts*, one for each seed or setting. A part's settings and its values are plain values, so
that it can be stored when it is measured (`parts`) and none is measured twice. `conclude` turns the parts into rows,
each a number of ours beside the published one and beside what controls and nulls give, and into one verdict.

No claim is confirmed by a test that could not have refuted it: beside agreement every rule asks that a control of
another answer is told apart by the same numbers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from rgstep.ensemble import Ensemble, Level
from rgstep.estimates import Estimate, scalar
from rgstep.instruments.draws import draw
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.parts import Measurement, Part, Settings, Values
from rgstep.samplers.sample import sample
from rgstep.streams import stream
from rgstep.types import CoarseGraining, Progress

CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"
AGREES = 3.0  # standard errors of both numbers, up to which two agree
DIFFERS = 4.0  # and from which on they differ; between them nothing is decided
CHANCE = float(stats.norm.sf(AGREES))
BY_CHANCE = 1e-4  # that a control must not be as near by


@dataclass(frozen=True)
class Row:
    """A number of ours beside the published one.

    Attributes:
        quantity: what it is.
        ours: with its error.
        published: with its error, 0 where it is exact or none was printed; None where only likeness is claimed.
        beside: what controls and nulls give, by name.
        verdict: of this row, empty where it decides nothing.
        distance: in standard errors, where the claim is not that ours is the published number.
    """

    quantity: str
    ours: Estimate
    published: Estimate | None = None
    beside: Mapping[str, Estimate] = field(default_factory=dict)
    verdict: str = ""
    distance: float | None = None

    @property
    def z(self) -> float | None:
        """How many standard errors of both numbers ours lies above the published one; None without one."""
        if self.distance is not None or self.published is None:
            return self.distance
        return apart(self.ours, self.published)


@dataclass(frozen=True)
class Conclusion:
    """The rows of an experiment, its verdict, and the sentence that says why; `distances` is what `Row.z` counts."""

    rows: Sequence[Row]
    verdict: str
    why: str
    distances: str = "σ apart"


@dataclass(frozen=True)
class Experiment:
    """A published claim and how it is tested.

    Attributes:
        name: what a user types.
        claim: in one sentence.
        source: author, year, place.
        rule: what decides, in one sentence.
        parts: `(seed, quick)` → the settings of every part, plain values.
        measure: settings → values, plain values; everything random comes from the seed in the settings.
        conclude: all parts, in the order of their settings → rows and verdict.
        seconds: of processor time, of all quick parts and of all full ones: about what they take on an idle machine.
        measures: the name that its parts are stored under, where several experiments read the same ones.
        edition: changes when what `measure` returns for the same settings changes: older parts do not count then.
    """

    name: str
    claim: str
    source: str
    rule: str
    parts: Callable[[int, bool], Sequence[Settings]]
    measure: Callable[[Settings, Progress | None], Values]
    conclude: Callable[[Sequence[Part]], Conclusion]
    seconds: tuple[float, float]
    measures: str = ""
    edition: int = 1

    @property
    def measurement(self) -> Measurement:
        """What its parts are stored as."""
        return Measurement(self.measures or self.name, self.edition)


def apart(x: Estimate, y: Estimate) -> float:
    """Return how many standard errors x lies above y; NaN where one of them, or its error, is."""
    error = math.hypot(float(x.error), float(y.error))
    gap = float(x.value) - float(y.value)
    if error == 0 and not math.isnan(gap):
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / error if error else math.nan


def agreement(z: float) -> str:
    """Return what a distance in standard errors decides."""
    if abs(z) < AGREES:
        return CONFIRMED
    return REFUTED if abs(z) > DIFFERS else UNDECIDED


def all_of(verdicts: Sequence[str]) -> str:
    """Return the verdict on a claim that holds only if each of these does."""
    if REFUTED in verdicts:
        return REFUTED
    return CONFIRMED if verdicts and set(verdicts) == {CONFIRMED} else UNDECIDED


def against_control(verdicts: Sequence[str], controls: Sequence[Row]) -> tuple[str, float]:
    """Return the verdict on numbers that must all agree, and by what chance a control's would be as near.

    What a control of another answer agrees with, too, confirms nothing.
    """
    chance = float(stats.chi2.sf(chi_squared(controls), len(controls)))
    verdict = all_of(verdicts)
    return (UNDECIDED if verdict == CONFIRMED and chance > BY_CHANCE else verdict), chance


def chi_squared(rows: Sequence[Row]) -> float:
    """Return Σ z² over rows, the correlations between them neglected."""
    return math.fsum(float(row.z or 0.0) ** 2 for row in rows)


def averaged(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent estimates of one number, whose errors are those of their samples."""
    values, errors = (np.stack([np.asarray(part, float) for part in parts]) for parts in both_of(estimates))
    return Estimate(scalar(values.mean(axis=0)), scalar(np.sqrt((errors**2).sum(axis=0)) / len(estimates)))


def both_of(estimates: Sequence[Estimate]) -> tuple[list[float | np.ndarray], list[float | np.ndarray]]:
    """Return the values and the errors of several estimates."""
    return [e.value for e in estimates], [e.error for e in estimates]


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds whose numbers differ by more than their samples' noise, with the error of that mean.

    With one seed the error is that of the samples alone.
    """
    if len(estimates) == 1:
        return estimates[0]
    values = np.array([float(e.value) for e in estimates])
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def few_counted_as_few(mean: Estimate, seeds: int) -> Estimate:
    """Return a mean over seeds, its error as much larger as Student's t of three σ is; infinite for one seed.

    The error of a mean over n seeds is known from n − 1 differences only.
    """
    wider = float(stats.t.isf(CHANCE, seeds - 1)) / AGREES if seeds > 1 else math.inf
    return Estimate(mean.value, wider * float(mean.error))


def critical(settings: Settings, progress: Progress | None) -> Ensemble:
    """Return the configurations that a part's settings ask for: size, samples, seed, temperature (T_c by default)."""
    T = settings.get("temperature", CRITICAL_TEMPERATURE)
    return sample(settings["size"], float(T), settings["samples"], settings["seed"], mode="thin", progress=progress)


def iterated(ensemble: Ensemble, rule: CoarseGraining, steps: int, seed: int) -> list[Ensemble | Level]:
    """Return the configurations and what a rule made by hand makes of them, step by step."""
    levels: list[Ensemble | Level] = [ensemble]
    for n in range(1, steps + 1):
        levels.append(Level.of(draw(levels[-1], rule, stream(seed, "levels of an experiment", n))))
    return levels
