"""Are the configurations of a set independent of each other, or how many independent ones are they worth?

Nothing is asked of who made them. Two things in the set itself tell:

**Their order.** τ = ½ + Σ_{t≥1} ρ(t) of m, m² and e along the sample axis. A chain shows as τ above ½; chains that were
written by turns, one configuration of each, show as a ρ(P) after P − 1 lags without any, and τ is then that within
each. Errors here are jackknife errors of contiguous groups. Groups of B samples give 1 − O(τ/B) of the variance that
correlated samples have: from B = 20 τ on errors are right within three percent, and below the set is refused, with the
thinning that would do. What was shuffled afterwards has no order left and is not noticed by it.

**Copies.** P(s) is known for every configuration: 2 e^(−K N e)/Z up to the global flip, Z Kaufman's (1949). Among the
n_A configurations with n P < 1, ½ (n − 1) Σ P pairs are expected to be equal, with a variance of at most three times
that. So repeats that are legitimate, the two states at T = 0 or the common ones of a 4×4 lattice, are not looked at,
and from L = 16 at T_c on not one pair is expected.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rgstep import scratch
from rgstep.estimates import GROUPS, LAGS, SOKAL_WINDOW, Estimate, autocorrelation_time, autocovariance
from rgstep.ising import Ising
from rgstep.packed import PackedSpins
from rgstep.types import Field

GROUP_TAUS = 20.0  # τ that a jackknife group must span
THINNING_TAUS = 4.0  # between samples that count as independent: e^−4 of ρ is left, 2τ = 1.04
WORTH_SAYING = 1.1  # 2τ, or what copies do to a variance, from which on errors are off by more than 5 %
CLEAR = 5.0  # standard errors that τ must be above ½
CLEAR_LAG = 6.0  # standard errors that one ρ(t) of all lags must be above 0
CARRIERS = 5.0  # a few samples far out may be neighbours by chance: τ must be so many of them above ½
SAME_LAG = 0.9  # of the largest ρ(t): the first lag so high is the distance between two readings of a chain
FEWEST = 64  # samples, below which τ says nothing
RARE = 1.0  # how often a configuration is expected in the whole set, at most, so that equal ones tell something
CHANCE_PAIRS = 4.0  # so many equal pairs, and so many standard deviations of them, may be chance
ALONG = {"m": "m", "m2": "m²", "e": "e"}
FLIP = "spins * rng.choice([-1, 1], len(spins))[:, None, None]"
UNIQUE = "spins[np.sort(np.unique(spins, axis=0, return_index=True)[1])]"
MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64
SORTED = 2**19  # keys that are sorted together
STEP = 0x9E3779B97F4A7C15  # of SplitMix64


@dataclass(frozen=True)
class Memory:
    """How long a quantity remembers along the sample axis.

    Attributes:
        tau: in readings of one chain.
        turns: how many chains the samples come from by turns; 1 where each sample follows the one before.
        clear: whether τ is above ½ beyond chance, by enough to matter.
    """

    tau: Estimate
    turns: int = 1
    clear: bool = False

    @property
    def inflation(self) -> float:
        """What the variance of a mean is, in units of that of independent samples: 2τ, or 1 where τ is not clear."""
        return 2 * float(self.tau.value) if self.clear else 1.0


@dataclass(frozen=True)
class Copies:
    """Equal configurations, up to the global flip, among those that should hardly occur twice.

    Attributes:
        rare: the number of configurations expected less than `RARE` times in the set.
        repeated: how many of these occur more than once.
        pairs: how many pairs of these are equal.
        expected: how many pairs would be by chance.
    """

    rare: int
    repeated: int
    pairs: int
    expected: float

    @property
    def inflation(self) -> float:
        """What the variance of a mean is, in units of that of independent samples: 1 + 2 (excess pairs)/n_A."""
        excess = self.pairs - self.expected
        if excess <= CHANCE_PAIRS * (1 + math.sqrt((1 + 2 * RARE) * self.expected)):
            return 1.0
        return 1 + 2 * excess / self.rare

    @property
    def clear(self) -> bool:
        """Whether there are more than chance makes, by enough to matter."""
        return self.inflation > WORTH_SAYING


@dataclass(frozen=True)
class Independence:
    """What the order of a set's samples, and copies among them, say about how many independent ones it is worth."""

    samples: int
    memories: Mapping[str, Memory]
    copies: Copies

    @property
    def slowest(self) -> str:
        """The one of m, m2 and e that remembers longest."""
        return max(self.memories, key=lambda name: self.memories[name].inflation)

    @property
    def n_eff(self) -> float:
        """How many independent samples the set is worth: n/(2τ), or what copies leave."""
        return self.samples / (self.copies if self.copies.clear else self.memories[self.slowest]).inflation

    @property
    def needed(self) -> int:
        """How many samples of this kind would make jackknife groups long enough."""
        memory = self.memories[self.slowest]
        return math.ceil(GROUPS * GROUP_TAUS * float(memory.tau.value) * memory.turns)

    def faults(self) -> list[str]:
        """Return in a sentence what makes errors from this set wrong; nothing where they are right."""
        if self.copies.clear:
            return [self.said_of_copies()]
        memory = self.memories[self.slowest]
        return [self.said_of_order(memory)] if memory.clear and self.samples < self.needed else []

    def said_of_copies(self) -> str:
        """Return what is wrong with repeated configurations, and the remedy."""
        chance = "none" if self.copies.expected < 0.5 else f"{self.copies.expected:.0f}"
        return (
            f"{self.copies.repeated} of {self.samples} configurations are repeated, up to the global flip: "
            f"{self.copies.pairs} equal pairs where {chance} are expected in the Ising model at this T; the set "
            f"is worth n_eff = {self.n_eff:.0f}, so that errors would be too small: give each once, {UNIQUE}"
        )

    def said_of_order(self, memory: Memory) -> str:
        """Return how long the samples remember, what they are worth, and the thinning that would do."""
        at_most = float(memory.tau.value) + float(memory.tau.error)
        every = math.ceil(THINNING_TAUS * at_most)
        enough = math.ceil(GROUPS * GROUP_TAUS * at_most * memory.turns)
        thinned = f"keep every {every}th, spins[::{every}]"
        if memory.turns > 1:
            thinned = f"of these {memory.turns} chains by turns keep every {every}th reading"
        flip = "" if self.slowest != "m" else self.said_of_flip()
        return (
            f"the samples are correlated in their order: τ of {ALONG[self.slowest]} = {memory.tau} samples"
            f"{f' of each of {memory.turns} chains' if memory.turns > 1 else ''}, so that {self.samples} are worth "
            f"n_eff = {self.n_eff:.0f}, and a group of the jackknife, {self.samples / GROUPS:.0f} samples, is shorter "
            f"than {GROUP_TAUS:.0f} τ: {thinned}, or give {enough} samples{flip}"
        )

    def said_of_flip(self) -> str:
        """Return what a fair flip would do where m remembers longest."""
        even = max(self.memories["m2"].inflation, self.memories["e"].inflation) / 2
        every = math.ceil(THINNING_TAUS * even) if even > 0.5 else 1
        return f"; or first {FLIP}, an exact symmetry, which leaves τ = {even:.3g}, so that every {every}th does"

    def lines(self) -> dict[str, str]:
        """Return what was found as texts by label, for a certificate."""
        numbers = ", ".join(str(memory.tau) for memory in self.memories.values())
        turns = self.memories[self.slowest].turns
        order = f"τ of {', '.join(ALONG[name] for name in self.memories)} = {numbers} samples"
        pairs = f"{self.copies.pairs} equal pairs, {said_number(self.copies.expected)} expected"
        return {
            "order of samples": order + (f", {turns} chains by turns" if turns > 1 else ""),
            "repeats": f"{pairs}, among {self.copies.rare} rare configurations",
        }

    def summary(self) -> list[str]:
        """Return the faults in a few words each."""
        if not self.faults():
            return []
        if self.copies.clear:
            return [f"{self.copies.repeated} repeated configurations"]
        return [f"correlated samples (τ of {ALONG[self.slowest]} = {self.memories[self.slowest].tau})"]


def said_number(expected: float) -> str:
    """Return an expected number in two digits, "0" below 0.05."""
    return f"{expected:.2g}" if expected >= 0.05 else "0"


def independence(packed: PackedSpins, system: Ising, energies: Field, magnetisations: Field) -> Independence:
    """Return what order and copies say of a set; energies and magnetisations are per site, `(sample,)`.

    Cost: 2 µs a sample, nearly all in FFTs; 1 ns a byte of packed spins for the copies.
    """
    squares = scratch.empty(len(packed))
    for a, b in scratch.ranges(len(packed)):
        squares[a:b] = magnetisations[a:b] ** 2
    memories = {n: memory_of(x) for n, x in (("m", magnetisations), ("m2", squares), ("e", energies))}
    return Independence(len(packed), memories, copies_of(packed, system, energies))


def memory_of(series: np.ndarray) -> Memory:
    """Return how long a quantity remembers along the sample axis, `(sample,)`.

    For independent samples Σ_{t≤W} ρ(t) has the standard deviation √(W/n), whatever their law; but where the variance
    is carried by few samples far out, two of which are neighbours by chance, it is far from Gaussian. So τ must exceed
    ½ by as much as `CARRIERS` of them would make, too.
    """
    x = np.asarray(series, np.float64)
    n, mean = len(x), float(x.mean())
    power, fourth = (math.fsum(float(((x[a:b] - mean) ** k).sum()) for a, b in scratch.ranges(n)) for k in (2, 4))
    if n < FEWEST or power <= n * (1e-12 * max(-float(x.min()), float(x.max()))) ** 2:
        return Memory(Estimate(0.5, 0.0))
    by_few = CARRIERS * fourth / power**2
    by_turns = turns_of(x, by_few)
    found = [(autocorrelation_time(x[: n // turns * turns].reshape(-1, turns).T), turns) for turns in {1, by_turns}]
    tau, turns = max(found, key=lambda one: float(one[0].value))
    return Memory(tau, turns, clear=True) if is_clear(tau, n, by_few) else Memory(autocorrelation_time(x))


def turns_of(x: np.ndarray, by_few: float) -> int:
    """Return the lag of the strongest ρ(t) of a series, if it is above chance at any lag; 1 where none is.

    Up to half the length of the series, and up to `LAGS`.
    """
    lags = min(len(x) // 2 + 1, LAGS)
    rho = autocovariance(x[None], float(x.mean()), max(lags, 1) if len(x) > LAGS else len(x))[:lags]
    rho = rho / rho[0]
    strong = np.flatnonzero(rho[1:] > CLEAR_LAG / np.sqrt(len(x) - np.arange(1, len(rho))) + by_few) + 1
    if not strong.size:
        return 1
    return int(strong[rho[strong] > SAME_LAG * rho[strong].max()][0])


def is_clear(tau: Estimate, samples: int, by_few: float) -> bool:
    """Return whether τ is above ½ beyond chance, and enough above to matter."""
    excess = float(tau.value) - 0.5
    by_chance = CLEAR * math.sqrt((SOKAL_WINDOW * float(tau.value) + 1) / samples)
    return excess > by_chance + by_few and 2 * float(tau.value) > WORTH_SAYING


def copies_of(packed: PackedSpins, system: Ising, energies: Field) -> Copies:
    """Return the equal configurations, up to the global flip, among those expected less than `RARE` times."""
    if math.isinf(system.coupling):
        return Copies(0, 0, 0, 0.0)
    n, every, found, probabilities = len(packed), keys(packed), 0, []
    for a, b in scratch.ranges(n):
        log_p = math.log(2) - system.coupling * (system.size**2 * energies[a:b]) - system.log_partition
        rare = log_p < math.log(RARE / n)
        probabilities.append(float(np.exp(log_p[rare]).sum()))
        kept = every[a:b][rare]
        every[found : found + len(kept)] = kept  # no later than where it was read
        found += len(kept)
    if found < 2:
        return Copies(found, 0, 0, 0.0)
    repeated, pairs = equal_among(every[:found])
    return Copies(found, repeated, pairs, (n - 1) / 2 * math.fsum(probabilities))


def equal_among(numbers: np.ndarray) -> tuple[int, int]:
    """Return how many of some numbers, uint64, occur more than once, and how many pairs are equal.

    They are sorted a share at a time, by their remainder.
    """
    shares, repeated, pairs = -(-len(numbers) // SORTED), 0, 0
    for share in range(shares):
        ranges = scratch.ranges(len(numbers))
        some = [part[part % np.uint64(shares) == share] for part in (numbers[a:b] for a, b in ranges)]
        _, times = np.unique(np.concatenate(some), return_counts=True)
        repeated += int(times[times > 1].sum())
        pairs += int((times * (times - 1) // 2).sum())
    return repeated, pairs


def keys(packed: PackedSpins) -> np.ndarray:
    """Return 64 bits for each configuration, uint64 `(sample,)`: equal for it and its global flip, else different.

    The words of a row are mixed as SplitMix64 mixes its counter, each with a constant of its own, and added: two of a
    million different rows have the same key in one set of 10⁷.
    """
    found = scratch.empty(len(packed), np.uint64)
    width = packed.bits.shape[1]
    last = np.uint8((0xFF << (8 * width - packed.size**2)) & 0xFF)  # without the padding
    seeds = np.array([(word + 1) * STEP % 2**64 for word in range(-(-width // 8))], np.uint64)
    for start, stop in packed.bounds():
        rows = np.zeros((stop - start, 8 * len(seeds)), np.uint8)
        rows[:, :width] = packed.bits[start:stop]
        rows[:, :width] ^= (0 - (rows[:, :1] >> 7)).astype(np.uint8)  # the first spin down
        rows[:, width - 1] &= last
        words = rows.view(np.uint64) ^ seeds
        for shift, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
            words ^= words >> np.uint64(shift)
            words *= multiplier
        found[start:stop] = (words ^ (words >> np.uint64(31))).sum(axis=1, dtype=np.uint64)
    return found
