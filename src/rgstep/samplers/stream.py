"""Fresh configurations without end: training data that never repeats.

Chains burn in for 20 τ and are then read every few τ, each time one configuration of every chain: a round. After 64
rounds new chains begin. Any configuration can be made again from its number, at the cost of the rounds of the same
chains before it. The configurations of one round are independent of each other; a chain is read again a round later,
when its correlation with the last time is e^−spacing.
"""

import math
from dataclasses import replace
from threading import Lock

import numpy as np

from rgstep import memory
from rgstep.arguments import SEED, checked, real, whole
from rgstep.ising import TEMPERATURE
from rgstep.samplers.chains import BURN_IN_TAUS, EXTRA_SWEEPS, Chains, check, sampled_side
from rgstep.samplers.rng import Purpose
from rgstep.samplers.sample import closed_form, pilot, run_all

ROUNDS_PER_START = 64  # of the same chains: the burn-in is a seventh of the work at the default spacing
FEWEST_PER_ROUND = 256  # configurations
WIDEST = 1000.0  # spacing: e^−745 is 0 in double precision
SPACING = real(
    f"must be a number of autocorrelation times above 0, at most {WIDEST:g}", lambda spacing: 0 < spacing <= WIDEST
)


class IsingStream:
    """Fresh configurations of the periodic L-by-L Ising model at one temperature, numbered from 0.

    Examples:
        >>> stream = rg.IsingStream(8, rg.CRITICAL_TEMPERATURE, seed=0)
        >>> rbm = rg.train_rbm(stream, hidden=16, steps=20)  # no configuration is seen twice
        >>> rbm.weights.shape
        (64, 16)
    """

    @checked(size=sampled_side, temperature=TEMPERATURE, seed=SEED, spacing=SPACING)
    def __init__(self, size: int, temperature: float, seed: int = 0, *, spacing: float = 2.0) -> None:
        """Measure τ by a pilot run.

        Args:
            size: the even lattice side L.
            temperature: T in units of J/k_B, in [0, ∞].
            seed: the same seed gives the same configurations.
            spacing: distance of two rounds, in units of the larger τ of e and m².

        Raises:
            InputError: if an argument is out of range.
        """
        self.request = check(size, temperature, 1, seed, "thin", "auto")
        self.system, self.spacing, self.seed = self.request.system, spacing, seed
        tau = 0.5
        if not self.request.closed:
            ((tau_e, tau_m2),) = run_all([pilot(self.request)], threads=1)
            tau = max(float(tau_e.value), float(tau_m2.value))
        self.burn_in = EXTRA_SWEEPS + math.ceil(BURN_IN_TAUS * tau)
        self.sweeps = math.ceil(self.spacing * tau)
        group = self.request.kind.group(self.system.size) if not self.request.closed else FEWEST_PER_ROUND
        self.groups = max(1, -(-FEWEST_PER_ROUND // group))
        self.round_size = group * self.groups
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
        numbers = range(first // self.round_size, (first + count - 1) // self.round_size + 1)
        with self._one_at_a_time:
            together = np.concatenate([self._round(number) for number in numbers])
        return together[first - numbers[0] * self.round_size :][:count]

    def _round(self, number: int) -> np.ndarray:
        """Return one round, going on from the last one where that is on the way."""
        start, place = divmod(number, ROUNDS_PER_START)
        if self._at[0] != start or self._at[1] > place:
            self._at, self._chains = (start, -1), []
        while self._at[1] < place:
            self._bits = self._next(start)
            self._at = (start, self._at[1] + 1)
        return self._bits

    def _next(self, start: int) -> np.ndarray:
        if self.request.closed:
            out = np.empty((self.round_size, -(-(self.system.size**2) // 8)), np.uint8)
            number = start * ROUNDS_PER_START + self._at[1] + 1
            closed_form(replace(self.request, seed=self.seed + ((number + 1) << 64)), out)
            return out
        if not self._chains:
            numbers = range(start * self.groups, (start + 1) * self.groups)
            self._chains = [self.request.start(Purpose.STREAM, number) for number in numbers]
            for chains in self._chains:
                chains.advance(self.burn_in)
        else:
            for chains in self._chains:
                chains.advance(self.sweeps)
        return np.concatenate([chains.read().bits for chains in self._chains])
