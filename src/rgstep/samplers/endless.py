"""Fresh configurations without end: a source of training data that never comes round again.

A group of chains burns in for 20 τ and is then read every few τ; after so many readings another group begins. Any
configuration can be made again from its number, at the cost of the group's readings before it. The configurations of
one reading are independent of each other; a chain comes back a reading later, correlated e^−spacing with itself.
"""

import math
from dataclasses import replace
from threading import Lock

import numpy as np

from rgstep import memory
from rgstep.arguments import SEED, checked, real, whole
from rgstep.ising import TEMPERATURE
from rgstep.samplers.chains import Chains
from rgstep.samplers.jobs import run_all
from rgstep.samplers.plan import closed_form
from rgstep.samplers.request import BURN_IN, EXTRA_SWEEPS, check, sampled_side, start
from rgstep.samplers.streams import Purpose
from rgstep.samplers.trial import pilot

READINGS = 64  # of a group: the burn-in is a seventh of its work at the default spacing
WIDEST = 1000.0  # spacing: e^−745 is 0 in double precision
SPACING = real(
    f"must be a number of autocorrelation times above 0, at most {WIDEST:g}", lambda spacing: 0 < spacing <= WIDEST
)
LEAST = 256  # configurations in a reading


class IsingStream:
    """Fresh configurations of the periodic L-by-L Ising model at one temperature, numbered from 0.

    >>> stream = rgstep.IsingStream(32, rgstep.CRITICAL_TEMPERATURE, seed=0)
    >>> rbm = rgstep.train_rbm(stream, hidden=256)
    """

    @checked(size=sampled_side, temperature=TEMPERATURE, seed=SEED, spacing=SPACING)
    def __init__(self, size: int, temperature: float, seed: int = 0, *, spacing: float = 2.0) -> None:
        """Measure τ by a pilot run.

        Args:
            size: the even lattice side L.
            temperature: T in units of J/k_B, in [0, ∞].
            seed: the same seed gives the same configurations.
            spacing: distance of two readings of a chain, in units of the larger τ of e and m².

        Raises:
            InputError: if an argument is out of range.
        """
        self.request = check(size, temperature, 1, seed, "thin", "auto")
        self.system, self.spacing, self.seed = self.request.system, spacing, seed
        tau = 0.5
        if not self.request.closed:
            ((tau_e, tau_m2),) = run_all([pilot(self.request)], threads=1)
            tau = max(float(tau_e.value), float(tau_m2.value))
        self.burn_in = EXTRA_SWEEPS + math.ceil(BURN_IN * tau)
        self.sweeps = math.ceil(self.spacing * tau)
        group = self.request.kind.group(self.system.size) if not self.request.closed else LEAST
        self.groups = max(1, -(-LEAST // group))
        self.reading_size = group * self.groups
        self._at, self._chains = (-1, -1), list[Chains]()
        self._bits = np.empty((0, 0), np.uint8)
        self._one_at_a_time = Lock()  # a training draws ahead in a thread, which may outlive it

    def __repr__(self) -> str:
        """Return a line with what it makes."""
        return f"IsingStream(L={self.system.size}, T={self.system.temperature:.6g}, seed={self.seed})"

    @property
    def name(self) -> str:
        """All that decides the configurations."""
        parts = (self.system.size, self.system.coupling.hex(), self.seed, self.spacing, self.request.kernel)
        return f"IsingStream{parts}"

    @checked(first=whole(0), count=whole(1))
    def bits(self, first: int, count: int) -> np.ndarray:
        """Return configurations `first`, `first` + 1, … as packed bits `(count, byte)`; see `PackedSpins`."""
        memory.require(
            2 * count * -(-(self.system.size**2) // 8),
            f"count = {count} configurations of side {self.system.size}",
            "take fewer at a time",
        )
        numbers = range(first // self.reading_size, (first + count - 1) // self.reading_size + 1)
        with self._one_at_a_time:
            together = np.concatenate([self._reading(number) for number in numbers])
        return together[first - numbers[0] * self.reading_size :][:count]

    def _reading(self, number: int) -> np.ndarray:
        """Return one reading of all chains, going on from the last one where that is on the way."""
        segment, place = divmod(number, READINGS)
        if self._at[0] != segment or self._at[1] > place:
            self._at, self._chains = (segment, -1), []
        while self._at[1] < place:
            self._bits = self._next(segment)
            self._at = (segment, self._at[1] + 1)
        return self._bits

    def _next(self, segment: int) -> np.ndarray:
        if self.request.closed:
            out = np.empty((self.reading_size, -(-(self.system.size**2) // 8)), np.uint8)
            number = segment * READINGS + self._at[1] + 1
            closed_form(replace(self.request, seed=self.seed + ((number + 1) << 64)), out)
            return out
        if not self._chains:
            numbers = range(segment * self.groups, (segment + 1) * self.groups)
            self._chains = [start(self.request, Purpose.STREAM, number) for number in numbers]
            for chains in self._chains:
                chains.advance(self.burn_in)
        else:
            for chains in self._chains:
                chains.advance(self.sweeps)
        return np.concatenate([chains.read().bits for chains in self._chains])
