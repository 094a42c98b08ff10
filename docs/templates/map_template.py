"""A template of a map: copy it, rename it, change what h is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Corner:
    """One spin of each block, and with probability `noise` its opposite: h_x = ± v_{bx}."""

    block: int = 2
    noise: float = 0.0

    def mean_h(self, v: np.ndarray) -> np.ndarray:
        """Return E[h | v], `(sample, L/b, L/b)`, of float32 or int8 ±1 `(sample, row, column)`."""
        return (1 - 2 * self.noise) * v[:, :: self.block, :: self.block].astype(np.float32)

    def sample_h(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a draw of h, ±1; whatever is random comes from `rng`, so that a seed gives the same report."""
        h = v[:, :: self.block, :: self.block].astype(np.int8)
        return np.where(rng.random(h.shape) < self.noise, -h, h)
