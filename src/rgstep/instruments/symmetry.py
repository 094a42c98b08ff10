"""Does the map commute with the symmetries of its model? The global flip, and translations by a block.

A coarse graining of the Ising model must commute in law with the global flip, h(−v) = −h(v) up to how h is written. One
that does not makes a magnetic field, the most relevant perturbation of its fixed point (y_h = 15/8), however small. Two
numbers, 0 by symmetry:

    field[n]        ⟨m⟩ of level n in units of √⟨m²⟩, m the mean of h over the lattice
    flip_breaking   rms over v of ½ (E[h | v] + E[h | −v]) about its mean, in units of the rms variation of E[h | v]

At level 1 ⟨m⟩ is that of ½ (E[h | v] + E[h | −v]), which is 0 for every v where the map commutes with the flip, and at
further levels, or where h was given as an array, that of h with the configurations' own magnetisation as a control
variate, whose mean is exactly 0. Each level adds to the field what the first one did.

Where h comes on a lattice that tiles that of v, a translation of v by one block must move h by one site:

    translation     ½ ⟨|E[h | T v] − T E[h | v]|²⟩ / ⟨|E[h | v]|²⟩ over rows and columns, 0 for a map that commutes,
                    1 for one whose E[h | T v] has nothing to do with T E[h | v]

Reflections are not asked for: a fair decimation or a tie broken by the first spin is a step without them.
"""

import math
from functools import partial

import numpy as np

from rgstep.ensemble import in_pieces, pieces
from rgstep.estimates import Estimate, Groups, estimated
from rgstep.instruments.base import Instrument, Row, Step, Subject, by_step
from rgstep.lattice import as_vectors
from rgstep.results import Criterion, Diagnostic, Quantity
from rgstep.types import Samples

MOST_FIELD = 2.0**-11 / 0.6  # of the rms of m, some 0.6: what means of h rounded to half precision leave of an exact 0
LATER_FIELD = 0.03
ASKED = 1024  # configurations that are flipped
ROUNDING = 1e-7  # of the rms magnetisation


def fields(of_v: np.ndarray, of_h: np.ndarray) -> np.ndarray:
    """Return ⟨m⟩/√⟨m²⟩ of h of all samples, then without each group, from the means of v and h, `(sample,)` each."""

    def columns(a: int, b: int) -> np.ndarray:
        v, h = of_v[a:b], of_h[a:b]
        return np.stack([v, h, v * v, v * h, h * h], axis=1)

    m_v, m_h, vv, vh, hh = Groups.of(len(of_v)).means_of(columns).T
    follows = np.divide(vh, vv, out=np.zeros_like(vh), where=vv > 0)
    found = np.divide(m_h - follows * m_v, np.sqrt(hh), out=np.zeros_like(hh), where=hh > 0)
    return np.zeros_like(found) if (np.abs(found) < ROUNDING).all() else np.asarray(found)


def of_flipped(step: Step, rms: float) -> Estimate:
    """Return ⟨m⟩ that one map makes from E[h | v] and E[h | −v] of some configurations, in units of the rms of m."""
    sign = step.gauge.sign.astype(np.float64)
    parts = []
    for _, v in pieces(step.source, 0, min(len(step.source), ASKED)):
        up, down = (as_vectors(step.coarse.mean_h(spins)).astype(np.float64) @ sign for spins in (v, -v))
        parts.append((up + down) / 2 / len(sign))
    sets = Groups.of(sum(map(len, parts))).means(np.concatenate(parts)) / (rms or 1.0)
    return estimated(np.where(np.abs(sets) < ROUNDING, 0.0, sets))


def magnetisations(subject: Subject) -> list[np.ndarray]:
    """Return the mean of h over its units of every level from 1 on, signs put right, `(sample,)` each."""
    if subject.placed is None:
        return [of_units(subject.hidden, subject.gauge.sign)]
    of_levels = [in_pieces(partial(of_field, side=level.side), level.odd) for level in subject.sums[1:]]
    return of_levels or [in_pieces(lambda h: h.mean(axis=(1, 2)), subject.placed)]


def of_field(odd: np.ndarray, side: int) -> np.ndarray:
    """Return the mean over a lattice of each sample from its odd operators, of which the field is the first."""
    return np.asarray(odd[:, 0] / side**2)


def of_units(h: Samples, sign: np.ndarray) -> np.ndarray:
    """Return the mean over units, signs put right, of each draw `(sample, …)`."""
    return in_pieces(lambda part: as_vectors(part) @ sign.astype(np.float64) / len(sign), h)


def rms(values: np.ndarray) -> float:
    """Return √⟨x²⟩ of values `(sample,)`."""
    return math.sqrt(float(Groups.of(len(values)).means_of(lambda a, b: values[a:b] ** 2)[0]))


def measure(subject: Subject) -> Row:
    """Return the field that the map makes, level by level, and how far it breaks the flip and translations."""
    of_v, of_h = subject.ensemble.magnetisations, magnetisations(subject)
    quantities = {f"field[{n}]": Quantity(estimated(fields(of_v, m))) for n, m in enumerate(of_h, start=1)}
    says = "⟨m⟩ of h by level in units of its rms, 0 by the global flip"
    if subject.recorded:
        return Diagnostic(None, f"{says}; the rest needs the map, and arrays were given", quantities), {}
    quantities["field[1]"] = Quantity(of_flipped(subject.first, rms(of_h[0])))
    quantities |= by_step(subject.steps, of_step)
    if subject.gauge.tiles:
        says += "; translation: how far v moved by a block does not move h by a site"
    return Diagnostic(None, "; ".join([says, *subject.not_read]), quantities), {}


def of_step(step: Step) -> dict[str, Quantity]:
    """Return how far one map breaks the flip and translations; of a later one also the field that it makes itself."""
    found = {"flip_breaking": Quantity(Estimate(step.coarse.origin.flip_breaking, 0.0))}
    if step.gauge.tiles:
        found["translation"] = Quantity(Estimate(step.translation, 0.0))
    if step.number > 1:
        found["own_field"] = Quantity(of_flipped(step, rms(of_units(step.hidden, step.gauge.sign))))
    return found


BROKEN = tuple(Criterion(name, -math.inf, 0.1, needed=False) for name in ("flip_breaking", "translation"))
INSTRUMENT = Instrument(
    name="symmetry",
    question=(
        "Whether the map treats up and down alike, and all places alike. A map that prefers one sign makes a magnetic "
        "field, which grows at every step. Units of a network have places of their own, so that translations are asked "
        "of maps with a lattice alone."
    ),
    measure=measure,
    headline={"field[1]": "⟨m⟩"},
    legend="⟨m⟩: mean of h in units of its rms, 0 where the map treats up and down alike",
    criteria=(
        Criterion("field[1]", -MOST_FIELD, MOST_FIELD),
        Criterion("field[n]", -LATER_FIELD, LATER_FIELD, first=2),
        Criterion("own_field", -MOST_FIELD, MOST_FIELD).of_maps(),
        *BROKEN,
        *(criterion.of_maps() for criterion in BROKEN),
    ),
    decides="fixed point",
)
