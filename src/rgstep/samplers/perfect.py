"""Perfect samples: coupling from the past with the multi-spin heat bath.

The heat bath keeps order: of two states, one nowhere above the other, neither overtakes if both see the same random
numbers. If after some sweeps F the all-up and the all-down state have met, every state has. Wilson's (2000) read-once
form of Propp and Wilson's (1996) algorithm runs such maps F_1, F_2, … forward: the state just before a map that makes
all states meet, once one has done so before, is a draw from the Boltzmann law itself, and such states are independent.
There is no burn-in and no τ.

A group runs 64 W triples of chains: the state that becomes a sample, all-up and all-down, with the same random numbers;
the triples are independent of each other. Stopping at some time and taking the samples that are there would prefer
those that came quickly, and these are not typical. So every sample is assigned to a triple before it is made, and
waited for. Feasible for T ≥ T_c: below, the meeting of all-up and all-down takes e^{2σL/T} sweeps.
"""

import math

import numpy as np

from rgstep.ising import Ising
from rgstep.samplers import multispin
from rgstep.samplers.multispin import WORD
from rgstep.samplers.rng import ONES, heat_bath_law

TITLE = "coupling from the past"
MEETING_TAUS = 15.0  # time until all-up and all-down meet, in τ of the heat bath: a model, for estimates of time alone
NANOSECONDS = 0.36  # of one core for a sweep of one site in three states; see `chains.Kind`
SAMPLES_PER_TRIPLE = 64  # in a group: waiting for the slowest triple is then one map in fifteen
CHECKS_PER_MEETING = 64  # how often `sweeps_per_map` counts the triples that have met, in one time of meeting


def width(size: int) -> int:
    """Return W, the words of triples in a group: rows of 64 words up to L = 128."""
    return max(1, 128 // size)


def samples_per_group(size: int) -> int:
    """Return how many samples a group makes."""
    return SAMPLES_PER_TRIPLE * WORD * width(size)


def expected_seconds(system: Ising, samples: int, tau: float) -> float:
    """Return the model's estimate of the time that samples take on one core; `tau` is that of the heat bath."""
    waiting = samples + 8 * WORD * width(system.size)
    return 2.0 * MEETING_TAUS * tau * system.size**2 * NANOSECONDS * 1e-9 * waiting


class Triples(multispin.Replicas):
    """A group of triples: a state, and the all-up and all-down states to see whether they meet."""

    def __init__(self, system: Ising, source: np.random.SeedSequence) -> None:
        """Start from the ordered state; the first meeting makes it irrelevant."""
        super().__init__(system, source, False, WORD * width(system.size), heat_bath_law(system.coupling))
        self.states = np.stack([self.spins, self.spins, ~self.spins])

    def restart(self) -> None:
        """Set the second state all up and the third all down."""
        self.states[1], self.states[2] = ONES, 0

    def advance(self, sweeps: int) -> None:
        """Sweep the three states of every triple with the same random numbers."""
        multispin.heat_bath(self.states, self.lanes, self.counter, self.law, self.tails, sweeps, self.width)

    def met(self) -> np.ndarray:
        """Return for each triple whether all-up and all-down have met, bool `(64 W,)`."""
        apart = np.bitwise_or.reduce((self.states[1] ^ self.states[2]).reshape(-1, self.width), axis=0)
        return np.unpackbits((~apart).view(np.uint8), bitorder="little").astype(bool)


def sweeps_per_map(system: Ising, source: np.random.SeedSequence, tau: float) -> int:
    """Return the number of sweeps B of a map that costs least, B over the share of triples that meet within B.

    `tau` is the autocorrelation time of the heat bath in sweeps: it sets how often the triples are looked at.
    """
    triples = Triples(system, source)
    triples.restart()
    step = max(1, math.ceil(MEETING_TAUS * tau / CHECKS_PER_MEETING))
    cheapest, best, swept = math.inf, step, 0
    while swept < 2 * best or math.isinf(cheapest):
        triples.advance(step)
        swept += step
        share = triples.met().mean()
        if share > 0 and swept / share < cheapest:
            cheapest, best = swept / share, swept
    return best


def sample_group(system: Ising, source: np.random.SeedSequence, sweeps: int, out: np.ndarray) -> None:
    """Fill rows of packed spins with perfect samples, each assigned to a triple before it is made."""
    triples = Triples(system, source)
    row_of = np.full(WORD * triples.width, -1)  # for each triple, the row that its next sample goes to; −1: none
    begun = np.zeros(len(row_of), bool)
    next_row, missing = 0, len(out)
    while missing:
        triples.spins[...] = triples.states[0]  # what `read` reads
        triples.restart()
        triples.advance(sweeps)
        met = triples.met()
        done = np.flatnonzero(met & (row_of >= 0))
        if (met & begun).any():  # whatever is asked for: `read` moves the random numbers on
            out[row_of[done]] = triples.read().bits[done]
            row_of[done] = -1
            missing -= done.size
        begun |= met
        free = np.flatnonzero(begun & (row_of < 0))[: len(out) - next_row]
        row_of[free] = np.arange(next_row, next_row + free.size)
        next_row += free.size
