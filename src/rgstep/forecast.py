"""How many samples would decide? One forecast over all numbers of a map that is undecided, as a range.

With N = r n samples of which n are measured, a number x ± σ with the true value θ becomes

    x(r) = [x + (r − 1) θ + σ B(r − 1)] / r,        σ(r) = σ / √r,        B a Brownian motion,

and θ is as uncertain as x is. So θ is drawn from the normal law of x ± σ, σ from that of a jackknife's error, and each
number is followed as the set grows by factors of √2, until one fails or all pass, as `results` has it.

What is known of θ beforehand matters, for N goes as the inverse square of its distance d from the edge: if every θ were
as likely, an endless N would be too. In the calibration (docs/verdict.md, 5,895 numbers with errors) 1 % lie within a
tenth of w of an edge, w half the width of a band, or its edge where it has only one; three of four are inside, most of
them by more than 0.8 w; outside they are half as dense near the edge, and fall off as 1/d beyond w. A draw of θ
therefore weighs min(d/w, 1) inside and ½ min(d/w, w/d) outside. How often the range is right: docs/verdict.md.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rgstep.estimates import GROUPS
from rgstep.results import FAILS, PASSES, UNDECIDED, Forecast, Outcome, Verdict
from rgstep.streams import stream
from rgstep.types import Rng

DRAWS = 2000  # of all true values: quantiles within some 3 % of the draws
LARGEST = 1000.0  # times as many samples: beyond, none is promised
FACTORS = 2.0 ** (np.arange(1, 1 + int(2 * math.log2(LARGEST))) / 2)  # by which the set grows
RANGE = (0.16, 0.5, 0.84)  # quantiles: two times in three within, as for one standard error


class Growth(NamedTuple):
    """What becomes of numbers as the set grows: `(draw, factor)`, or what broadcasts to it."""

    fails: np.ndarray
    passes: np.ndarray


def forecast(verdict: Verdict, rows: Mapping[str, Sequence[Outcome]], samples: int) -> Forecast | None:
    """Return how many samples would decide an undecided verdict; None for any other.

    Args:
        verdict: on the map.
        rows: the outcomes of every row that the verdict needs and the map is asked for; a row without any was not
            measured.
        samples: the number of configurations.
    """
    if verdict.name != UNDECIDED:
        return None
    decided = factors_that_decide(rows)
    low, likely, high = (float(np.quantile(decided, q, method="inverted_cdf")) for q in RANGE)
    if not math.isfinite(high if kept_open(rows) else likely):
        return Forecast(None, None, None, why_none(rows, samples))
    return Forecast(
        rounded(low * samples), rounded(likely * samples), rounded(high * samples) if math.isfinite(high) else None
    )


def factors_that_decide(rows: Mapping[str, Sequence[Outcome]]) -> np.ndarray:
    """Return by how much the set must grow until it decides, a number for each draw of the true values; inf: never."""
    rng = stream(0, "forecast")
    fails = np.zeros((DRAWS, len(FACTORS)), bool)
    passes = np.full_like(fails, all(rows.values()))
    for found in rows.values():
        for outcome in found:
            one = grown(outcome, rng)
            fails |= one.fails
            passes &= one.passes
    decides = fails | passes
    return np.where(decides.any(axis=1), FACTORS[decides.argmax(axis=1)], math.inf)


def kept_open(rows: Mapping[str, Sequence[Outcome]]) -> bool:
    """Whether something that the samples do not tell keeps the map from passing, so that it can only fail."""
    return not all(rows.values()) or any(o.passed is None and stays(o) for found in rows.values() for o in found)


def grown(outcome: Outcome, rng: Rng) -> Growth:
    """Return whether a number fails, and passes, as the set grows; one that samples do not move stays what it is."""
    if stays(outcome):
        return Growth(np.array(outcome.passed is False), np.array(outcome.passed is True))
    factors, value, error = FACTORS, float(outcome.estimate.value), float(outcome.estimate.error)
    known = GROUPS - 1  # degrees of freedom of a jackknife's error
    sigma = error * np.sqrt(known / rng.chisquare(known, DRAWS))
    theta = value + sigma * rng.standard_normal(DRAWS)
    weight = beforehand(room(theta, outcome) / scale(outcome))
    drawn = rng.choice(DRAWS, DRAWS, p=weight / weight.sum())
    theta, sigma = theta[drawn, None], sigma[drawn, None]
    steps = np.sqrt(np.diff(factors, prepend=1.0)) * rng.standard_normal((DRAWS, len(factors)))
    inside = room((value + theta * (factors - 1) + sigma * np.cumsum(steps, axis=1)) / factors, outcome)
    spread = sigma / np.sqrt(factors)
    fails = np.zeros_like(inside, bool) if outcome.doubt else inside <= -FAILS * spread
    return Growth(fails, inside >= PASSES * spread)


def beforehand(inside: np.ndarray) -> np.ndarray:
    """Return how much a true value weighs by how far inside its band it is, in units of the band's scale."""
    near = np.minimum(np.abs(inside), 1.0)
    return np.asarray(np.where(inside > 0, near, near / np.maximum(-inside, 1.0) / 2))


def stays(outcome: Outcome) -> bool:
    """Whether nothing can be told of how a number changes with more samples: it has no error, or one of its own."""
    error = float(outcome.estimate.error)
    unseen = outcome.doubt and outcome.room < 0  # units come into sight at once, not by an error that shrinks
    return not outcome.sampled or unseen or not (math.isfinite(outcome.room) and 0 < error < math.inf)


def room(value: np.ndarray, outcome: Outcome) -> np.ndarray:
    """Return how far inside its band a value lies; negative outside."""
    return np.minimum(value - outcome.low, outcome.high - value)


def scale(outcome: Outcome) -> float:
    """Return half the width of a band; of one without an end, the distance of its edge from 0."""
    width = outcome.high - outcome.low
    edge = outcome.low if math.isfinite(outcome.low) else outcome.high
    return width / 2 if math.isfinite(width) else abs(edge) or float(outcome.estimate.error)


def why_none(rows: Mapping[str, Sequence[Outcome]], samples: int) -> str:
    """Return why no number of samples can be named."""
    if absent := [row for row, found in rows.items() if not found]:
        return f"no number of samples decides: nothing that a criterion looks at is measured in {', '.join(absent)}"
    undecided = [outcome for found in rows.values() for outcome in found if outcome.passed is None]
    if own := [o.quantity for o in undecided if not o.sampled]:
        return f"no number of samples decides: the error of {', '.join(own)} is not of the samples"
    if unseen := [o.quantity for o in undecided if stays(o)]:
        return f"more than {samples:,} samples would decide; how many, {', '.join(unseen)} cannot tell"
    names = ", ".join(outcome.quantity for outcome in undecided)
    return f"no number of samples up to {LARGEST:,.0f} times as many decides: {names} may be at an edge"


def rounded(count: float) -> int:
    """Return a number of samples to two digits."""
    return int(float(f"{count:.2g}"))
