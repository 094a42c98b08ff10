"""The words of the package: spins, fields, and what a coarse graining is.

A coarse graining is a conditional law p(h | v): given a configuration v it draws coarse variables h. A block-spin
rule, the hidden layer of an RBM and the encoder of an autoencoder are all of this kind, and everything measured
here is a function of pairs (v, h).
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int8, Shaped

Rng = np.random.Generator

Spins = Int8[np.ndarray, "n ..."]
"""±1 variables, the sample axis first: `(sample, row, column)` on a lattice, `(sample, unit)` without places."""

Field = Float[np.ndarray, "n ..."]
"""Real variables with the axes of `Spins`."""

Samples = Shaped[np.ndarray, "n ..."]
"""`Spins` or `Field`: what a map that draws h may return."""


@runtime_checkable
class CoarseGraining(Protocol):
    """A conditional law p(h | v) of coarse variables h given configurations v of shape `(sample, row, column)`.

    A result of shape `(n, l, l)` has given places: h[:, x, y] sits at site (x, y) of a coarse lattice. A result of
    shape `(n, m)` has none.

    Examples:
        >>> isinstance(rg.Majority(), rg.CoarseGraining)
        True
        >>> isinstance(np.sign, rg.CoarseGraining)  # a function is taken as it is by `judge`
        False
    """

    def mean_h(self, v: Spins) -> Field:
        """Return E[h | v], one row per configuration."""
        ...

    def sample_h(self, v: Spins, rng: Rng) -> Samples:
        """Draw h from p(h | v), one row per configuration."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Where a long function says how far it is; `None` in its place means silence."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are done; `note` is a short live reading."""
        ...
