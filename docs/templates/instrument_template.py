"""A template of an instrument: copy it, rename it, change the formula.

How alike are neighbours among the units? With the units on their coarse lattice,

    like = ½ (1 + ⟨h_x h_{x+e}⟩),    the share of pairs of nearest neighbours with the same sign,

of ±1 units. For critical spins on the infinite lattice it is ½ (1 + 1/√2).
"""

from collections.abc import Iterator, Mapping

import numpy as np

from rgstep.drawing import Plate, look, sheet, text
from rgstep.estimates import grouped_mean
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.results import Diagnostic, MapReport, Quantity, arrays_of

ROW = "likeness"
CAPTION = "Share of pairs of neighbouring units with the same sign. Dashed: critical spins on the infinite lattice."
OF_SPINS = 0.5 * (1 + 1 / np.sqrt(2))


def likeness(h: np.ndarray) -> np.ndarray:
    """Return the share of like pairs of each sample, `(sample,)`, of ±1 `(sample, row, column)`."""
    pairs = [(h * np.roll(h, 1, axis)).mean(axis=(1, 2), dtype=np.float64) for axis in (1, 2)]
    return 0.5 * (1 + 0.5 * (pairs[0] + pairs[1]))


def measure(subject: Subject) -> Row | None:
    """Return the row of a map, and what its figure shows; None for maps whose units have no places."""
    h = subject.first.placed
    if h is None:
        return None
    estimate = grouped_mean(likeness(np.sign(h)))
    arrays = {"like": np.array([estimate.value, estimate.error])}
    return Diagnostic(None, "of the first step", {"like": Quantity(estimate)}), arrays


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the likeness of all maps, one above the other."""
    shown = arrays_of(maps, ROW, "like")
    if not shown:
        return
    with sheet(size=(6.0, 0.6 + 0.3 * len(shown))) as (figure, (axes,)):
        axes.axvline(OF_SPINS, color="0.4", linestyle="--", linewidth=1.0)
        for place, (name, arrays) in enumerate(shown.items()):
            value, error = arrays["like"]
            axes.errorbar(value, place, xerr=error, **look(name, list(maps)))
        axes.set(xlabel="share of like neighbours", yticks=range(len(shown)), yticklabels=[text(n) for n in shown])
        yield Plate(ROW, CAPTION, figure)


INSTRUMENT = Instrument(
    name=ROW,
    question="Are neighbouring units as alike as critical spins? Alike on short distances says nothing of long ones.",
    measure=measure,
    headline={"like": "like"},
    figures=figures,
)
