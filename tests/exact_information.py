"""What does h know of the rest of the lattice? Mutual information on the 4×4 torus, summed over all its states.

With V a 2×2 tile, E the other twelve spins and h a unit that belongs to the tile, in nats,

    I(V:E) = H(V) + H(E) − H(V, E),      I(h:E),      I(h:E | V) = H(h, V) + H(V, E) − H(h, V, E) − H(V),

the last 0 for every map that reads its tile alone. The eight of E that have a bond with the tile make it independent of
the other four, so that for such a map they may stand for all. At T_c I(V:E) = 0.70203, and I(h:E) is 0.53507 for the
majority rule with fair ties and 0.45398 for decimation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import enumeration
import numpy as np

from rgstep.instruments import information as row
from rgstep.instruments.base import Subject
from rgstep.instruments.information import NAMES
from rgstep.types import Samples, Spins

SIZE = 4
TILE = 2
TILE_SITES = (0, 1, 4, 5)
DIAGONAL = (10, 11, 14, 15)  # all others have a bond with the tile
BLOCK = 8192  # states handed to a map at once


class Information(NamedTuple):
    """Mutual information in nats; `ratio` is h_E / V_E, NaN where V_E is 0."""

    h_E: float
    V_E: float
    h_E_given_V: float
    ratio: float


def information(
    mean_h: Callable[[Spins], Samples],
    coupling: float,
    *,
    drawn: bool = True,
    bonded: bool = False,
    places: Sequence[tuple[int, int]] | None = None,
    signs: Sequence[int] | None = None,
) -> Information:
    """Return I(h:E), I(V:E), I(h:E | V) and I(h:E)/I(V:E) of a map on the 4×4 torus.

    The pairs of all units are pooled, each seen from its own tile, and with them their images under the global flip.
    For units that are alike up to a shift, and flip with the spins, that is the information of each; for others, the
    mutual information being convex in p(h | v), it is less than their mean.

    Args:
        mean_h: E[h | v], takes `(sample, 4, 4)`, returns the sample axis first.
        coupling: K = J/k_BT.
        drawn: h is ±1, drawn with that mean; otherwise h is the mean itself, every distinct value a letter of its own.
        bonded: let E be the eight spins that have a bond with the tile, not all twelve.
        places: the first corner (row, column) of each unit's tile; row by row on the 2×2 coarse lattice by default.
        signs: ±1 for each unit; 1 by default.
    """
    v, p = enumeration.states(SIZE), enumeration.probabilities(SIZE, coupling)
    parts = [np.asarray(mean_h(v[a : a + BLOCK])).reshape(min(BLOCK, len(v) - a), -1) for a in range(0, len(v), BLOCK)]
    h = np.concatenate(parts).astype(np.float64)
    corners = [(TILE * i, TILE * j) for i in range(2) for j in range(2)] if places is None else list(places)
    assert len(corners) == h.shape[1]
    h = h if signs is None else h * np.asarray(signs, dtype=np.float64)
    letters, code = np.unique(np.append(h, -h), return_inverse=True)
    code = code[: h.size].reshape(h.shape)
    joint = np.zeros((2 if drawn else len(letters), len(v)))
    for unit, corner in enumerate(corners):
        seen = numbers(np.roll(v, (-corner[0], -corner[1]), axis=(1, 2)))  # which state it is, from the unit's tile
        if drawn:
            up = (1 + h[:, unit]) / 2
            joint[0, seen] += p * (1 - up)
            joint[1, seen] += p * up
        else:
            joint[code[:, unit], seen] += p
    joint = (joint + joint[::-1, ::-1]) / (2 * len(corners))  # state 2^16 − 1 − k is state k flipped
    return of_joint(joint, DIAGONAL if bonded else ())


def of_subject(subject: Subject) -> Mapping[str, float]:
    """Return the exact values of the row of a map whose h is ±1, or its own mean with few values."""
    gauge = subject.gauge
    found = information(
        lambda v: subject.coarse.mean_h(v).reshape(len(v), -1)[:, gauge.alive],
        subject.system.coupling,
        drawn=subject.hidden.dtype == np.int8,
        bonded=True,
        places=[(int(x), int(y)) for x, y in row.corners(gauge, TILE)[gauge.alive]],
        signs=[int(s) for s in gauge.sign[gauge.alive]],
    )
    return dict(zip(NAMES, (found.h_E, found.V_E, found.ratio, found.h_E_given_V), strict=True))


def of_joint(joint: np.ndarray, unseen: tuple[int, ...] = ()) -> Information:
    """Return the information of a joint law of h and the state, `(value, state)`; sites `unseen` are not part of E."""
    axes = joint.reshape(-1, *[2] * SIZE**2)  # site 15 first, the highest bit of the state's number
    axes = axes.sum(axis=tuple(SIZE**2 - site for site in unseen), keepdims=True)
    tile = tuple(SIZE**2 - site for site in TILE_SITES)
    ring = tuple(a for a in range(1, SIZE**2 + 1) if a not in tile)
    h_e, v_e = entropy(axes.sum(axis=tile)), entropy(axes.sum(axis=0))
    h, e, v = (
        entropy(axes.sum(axis=tile + ring)),
        entropy(axes.sum(axis=(0, *tile))),
        entropy(axes.sum(axis=(0, *ring))),
    )
    h_v = entropy(axes.sum(axis=ring))
    outer, inner = h + e - h_e, v + e - v_e
    given_tile = h_v + v_e - entropy(axes) - v
    return Information(outer, inner, given_tile, outer / inner if inner > 1e-12 else np.nan)


def entropy(probabilities: np.ndarray) -> float:
    """Return −Σ p ln p in nats."""
    p = probabilities[probabilities > 0]
    return float(-(p @ np.log(p)))


def numbers(states: Spins) -> np.ndarray:
    """Return the place of each 4×4 configuration in `enumeration.states`, `(state,)`."""
    return np.asarray((states.reshape(len(states), -1) > 0) @ (1 << np.arange(SIZE**2)))
