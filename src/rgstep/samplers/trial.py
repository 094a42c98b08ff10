"""How long must chains run, and was it long enough? A pilot measures τ; chains started hot check the burn-in.

A burn-in of 20 τ leaves e^−20 of where a chain started, if τ is right. If a slow mode hides from e and m², chains that
started from independent fair spins differ from those that started ordered: the comparison needs no τ.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np

from rgstep.estimates import Estimate, autocorrelation_time
from rgstep.exact import torus
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.ising import Ising
from rgstep.packed import PackedSpins
from rgstep.samplers.chains import Chains
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
    system = request.system
    sweeps = burn_in
    if system.coupling > CRITICAL_COUPLING:
        request = replace(request, kernel="swendsen-wang")
        sweeps = 100 + math.ceil(BURN_IN * request.kind.tau(system))
    number, size = request.kind.trial(system.size)

    def run(group: int) -> PackedSpins:
        chains = start(request, Purpose.HOT, group, hot=True, chains=size)
        chains.advance(sweeps)
        return chains.read()

    parts = yield [Job(partial(run, group)) for group in range(number)]
    return PackedSpins(np.concatenate([part.bits for part in parts]), system.size)


def hot_against_cold(system: Ising, hot: PackedSpins, cold: PackedSpins) -> dict[str, float]:
    """Return z of the differences of ⟨e⟩ and ⟨m²⟩, in exact standard errors for e; nothing where nothing is excited."""
    u, variance = torus.energy(system.size, system.coupling), torus.energy_variance(system.size, system.coupling)
    if len(hot) * system.size**2 * (u + 2) / 8 < FEWEST_EXCITATIONS:
        return {}
    share = 1 / len(hot) + 1 / len(cold)
    m2_hot, m2_cold = hot.magnetisations() ** 2, cold.magnetisations() ** 2
    m2_variance = m2_hot.var(ddof=1) / len(hot) + (m2_cold.var(ddof=1) / len(cold) if len(cold) > 1 else m2_hot.var())
    z_e = (hot.energies().mean() - cold.energies().mean()) / math.sqrt(variance * share)
    z_m2 = (m2_hot.mean() - m2_cold.mean()) / math.sqrt(m2_variance) if m2_variance > 0 else 0.0
    return {"e": float(z_e), "m2": float(z_m2)}
