"""How long must chains run, and was it long enough? A pilot measures τ; chains started hot check the burn-in.

A burn-in of 20 τ leaves e^−20 of where a chain started, if τ is right. If a slow mode hides from e and m², chains that
started from independent fair spins differ from those that started ordered: the comparison needs no τ.
"""

import math
from functools import partial

import numpy as np

from rgstep.estimates import Estimate, autocorrelation_time, rank_sum_score
from rgstep.exact import torus
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.ising import Ising
from rgstep.packed import PackedSpins
from rgstep.samplers.chains import KINDS, Chains
from rgstep.samplers.jobs import Job, Maker
from rgstep.samplers.request import BURN_IN, EXTRA_SWEEPS, READINGS, Request, start
from rgstep.samplers.streams import Purpose

FEWEST_EXCITATIONS = 20.0  # flipped spins among the hot chains below which the comparison says nothing


def pilot(request: Request) -> Maker[tuple[Estimate, Estimate]]:
    """Return τ of e and of m², in sweeps, of one or two groups of chains; runs until its readings span 20 τ."""
    expected = request.kind.tau(request.system)
    number, size = request.kind.trial(request.system.size)
    stride = 2 ** max(0, math.floor(math.log2(BURN_IN * expected / READINGS)))  # small beside both τ
    groups = yield [Job(partial(start, request, Purpose.PILOT, g, chains=size)) for g in range(number)]
    yield [Job(partial(chains.advance, EXTRA_SWEEPS + math.ceil(BURN_IN * expected / 2))) for chains in groups]
    while True:
        series = yield [Job(partial(follow, chains, stride)) for chains in groups]
        energies, squares = np.concatenate(series, axis=1)
        taus = [autocorrelation_time(readings) for readings in (energies, squares)]
        if BURN_IN * max(float(tau.value) for tau in taus) <= READINGS:
            tau_e, tau_m2 = (Estimate(float(t.value) * stride, float(t.error) * stride) for t in taus)
            return tau_e, tau_m2
        stride *= 2


def follow(chains: Chains, stride: int) -> np.ndarray:
    """Return e and m² of each chain at each reading, `(2, chain, reading)`."""
    readings = []
    for _ in range(READINGS):
        chains.advance(stride)
        packed = chains.read()
        readings.append((packed.energies(), packed.magnetisations() ** 2))
    return np.stack(readings, axis=-1)


def hot_chains(request: Request, burn_in: int) -> Maker[PackedSpins]:
    """Return the ends of chains that started from independent fair spins, after the same burn-in.

    Below T_c, where local updates would leave them in stripes, they are Swendsen–Wang chains: another algorithm, too.
    """
    system, kind, sweeps = request.system, request.kind, burn_in
    if system.coupling > CRITICAL_COUPLING:
        kind = KINDS["swendsen-wang"]
        sweeps = 100 + math.ceil(BURN_IN * kind.tau(system))
    number, size = kind.trial(system.size)

    def run(group: int) -> PackedSpins:
        chains = kind.start(system, request.stream(Purpose.HOT, group), True, size)
        chains.advance(sweeps)
        return chains.read()

    parts = yield [Job(partial(run, group)) for group in range(number)]
    return PackedSpins(np.concatenate([part.bits for part in parts]), system.size)


def hot_against_cold(system: Ising, hot: PackedSpins, cold: PackedSpins) -> dict[str, float]:
    """Return z of the rank sums of e and of m², positive where hot chains are higher; nothing where nothing is excited.

    Ranks, since the hot chains are few and m² is skewed: with its own variance, one good set in 300 had |z| > 4.
    """
    u = torus.energy(system.size, system.coupling)
    if len(hot) * system.size**2 * (u + 2) / 8 < FEWEST_EXCITATIONS:
        return {}
    squares = (hot.magnetisations() ** 2, cold.magnetisations() ** 2)
    return {"e": rank_sum_score(hot.energies(), cold.energies()), "m2": rank_sum_score(*squares)}
