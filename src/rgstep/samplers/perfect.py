"""Perfect samples: coupling from the past with the bit-sliced heat bath.

The heat bath keeps order: of two states, one nowhere above the other, neither overtakes if both see the same random
numbers. If after some sweeps F the all-up and the all-down state have met, every state has. Wilson's (2000) read-once
form of Propp and Wilson's (1996) algorithm runs such maps F_1, F_2, … forward: the state just before a map that makes
all states meet, once one has done so before, is a draw from the Boltzmann law itself, and such states are independent.
There is no burn-in and no τ.

A block runs 64 W couplings, independent of each other. Whoever stops a clock and takes the samples that are there
prefers those that came quickly, and these are not typical; so every sample is promised to a coupling before it is
made, and waited for. Feasible for T ≥ T_c: below, the meeting of both states takes e^{2σL/T} sweeps.
"""

import math

import numpy as np

from rgstep.ising import Ising
from rgstep.samplers import multispin
from rgstep.samplers.chains import KINDS
from rgstep.samplers.chances import ONES, heat_bath_chances
from rgstep.samplers.multispin import GROUP

TITLE = "coupling from the past"
MEETING_TIME = 15.0  # in units of τ of the heat bath: a model, for estimates of time alone
NANOSECONDS = 0.36  # of one core for a sweep of one site in three states; see `chains.Kind`
SAMPLES_A_COUPLING = 64  # in a block; one block waits for its slowest coupling, one map in fifteen
PIECES = 64  # readings of how many couplings have met


def width(size: int) -> int:
    """Return W, the words of couplings in a block: rows of 64 words up to L = 128."""
    return max(1, 128 // size)


def block_samples(size: int) -> int:
    """Return how many samples a block makes."""
    return SAMPLES_A_COUPLING * GROUP * width(size)


def expected_seconds(system: Ising, samples: int) -> float:
    """Return the model's estimate of the time that samples take on one core."""
    meeting = MEETING_TIME * KINDS["heat-bath"].tau(system)
    waiting = samples + 8 * GROUP * width(system.size)
    return 2.0 * meeting * system.size**2 * NANOSECONDS * 1e-9 * waiting


class Couplings(multispin.Block):
    """A block of couplings: each carries a state, and the all-up and all-down states to see whether they meet."""

    def __init__(self, system: Ising, source: np.random.SeedSequence) -> None:
        """Start from the ordered state; the first meeting makes it irrelevant."""
        law = heat_bath_chances(system.coupling)
        super().__init__(system, source, False, GROUP * width(system.size), law)
        self.states = np.stack([self.spins, self.spins, ~self.spins])

    def restart(self) -> None:
        """Set the second state all up and the third all down."""
        self.states[1], self.states[2] = ONES, 0

    def advance(self, sweeps: int) -> None:
        """Sweep the three states of every coupling with the same random numbers."""
        multispin.heat_bath(self.states, self.lanes, self.counter, self.law, self.darts, sweeps, self.width)

    def met(self) -> np.ndarray:
        """Return for each coupling whether all-up and all-down have met, bool `(64 W,)`."""
        apart = np.bitwise_or.reduce((self.states[1] ^ self.states[2]).reshape(-1, self.width), axis=0)
        return np.unpackbits((~apart).view(np.uint8), bitorder="little").astype(bool)


def sweeps_a_map(system: Ising, source: np.random.SeedSequence) -> int:
    """Return the number of sweeps B of a map that costs least, B over the share of couplings that meet within B."""
    couplings = Couplings(system, source)
    couplings.restart()
    piece = max(1, math.ceil(MEETING_TIME * KINDS["heat-bath"].tau(system) / PIECES))
    cheapest, best, swept = math.inf, piece, 0
    while swept < 2 * best or math.isinf(cheapest):
        couplings.advance(piece)
        swept += piece
        share = couplings.met().mean()
        if share > 0 and swept / share < cheapest:
            cheapest, best = swept / share, swept
    return best


def sample_block(system: Ising, source: np.random.SeedSequence, sweeps: int, out: np.ndarray) -> None:
    """Fill rows of packed spins with perfect samples, each promised to a coupling before it is made."""
    couplings = Couplings(system, source)
    promised = np.full(GROUP * couplings.width, -1)  # the row that a coupling's next sample goes to
    begun = np.zeros(len(promised), bool)
    next_row, missing = 0, len(out)
    while missing:
        couplings.spins[...] = couplings.states[0]  # what `read` reads
        couplings.restart()
        couplings.advance(sweeps)
        met = couplings.met()
        done = np.flatnonzero(met & (promised >= 0))
        if (met & begun).any():  # whatever is asked for: `read` moves the random numbers on
            out[promised[done]] = couplings.read().bits[done]
            promised[done] = -1
            missing -= done.size
        begun |= met
        free = np.flatnonzero(begun & (promised < 0))[: len(out) - next_row]
        promised[free] = np.arange(next_row, next_row + free.size)
        next_row += free.size
