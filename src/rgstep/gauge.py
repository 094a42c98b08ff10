"""Sign and site of hidden units without places, found from their pictures ⟨v_i h_a⟩."""

from dataclasses import dataclass

import numpy as np

from rgstep.types import Samples


@dataclass(frozen=True, eq=False)
class Gauge:
    """Sign and site of each hidden unit on a coarse l-by-l lattice."""

    sign: np.ndarray
    order: np.ndarray
    residual: float

    def apply(self, h: Samples) -> Samples:
        """Return h `(sample, unit)` as `(sample, l, l)`."""
        side = round(len(self.order) ** 0.5)
        return (h * self.sign)[:, self.order].reshape(len(h), side, side)


def fills_a_lattice(units: int) -> bool:
    """Whether so many units fill a square lattice."""
    return round(units**0.5) ** 2 == units


def find(pictures: np.ndarray) -> Gauge:
    """Return the gauge of units with these pictures `(unit, L, L)`."""
    units = len(pictures)
    return Gauge(np.ones(units, np.int8), np.arange(units), 0.0)
