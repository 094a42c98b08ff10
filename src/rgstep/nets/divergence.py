"""How far is the law of an RBM from the Ising model's? The Kullback–Leibler divergence per spin, with both ln Z.

    KL(p_Ising ‖ p_RBM) / N = (1/N) ⟨F(v) − K E(v)⟩_Ising + (ln Z_RBM − ln Z_Ising) / N,    E = −Σ_<ij> s_i s_j,

F the free energy of the RBM, ln Z_Ising Kaufman's (1949) on the torus of side L. F and K E fluctuate together where
the machine is good, so that their difference, taken in each configuration, is known far better than either mean.
"""

import math
from dataclasses import dataclass

import numpy as np

from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate, bracket, grouped_mean
from rgstep.exact import torus
from rgstep.ising import Ising
from rgstep.nets.annealing import QUANTILE, LogPartition
from rgstep.nets.rbm import RBM
from rgstep.types import Field, Progress

GROUND_STATES = 2


@dataclass(frozen=True)
class Divergence:
    """KL(p_Ising ‖ p_RBM) per spin in nats; prints as a line.

    `per_spin` takes ln Z_RBM from the middle of its interval, and its error is that of the sampling alone. `low` and
    `high` are the 95 % interval of both: sampling error and the interval of ln Z_RBM added. A negative value within
    its error is noise. `optimum` is the largest log-likelihood per spin any model can have: −entropy per spin of the
    Ising law, exact.
    """

    per_spin: Estimate
    low: float
    high: float
    optimum: float
    samples: int

    @property
    def log_likelihood(self) -> Estimate:
        """⟨ln p_RBM⟩ per spin over the exact Ising law, `optimum` − `per_spin`: the energy's noise is not in it."""
        return Estimate(self.optimum - float(self.per_spin.value), self.per_spin.error)

    def __str__(self) -> str:
        """Return the divergence and the log-likelihood, with errors that include ln Z, and the optimum."""
        error = (self.high - self.low) / (2 * QUANTILE)
        kl, likelihood = float(self.per_spin.value), float(self.log_likelihood.value)
        return (
            f"KL(Ising ‖ RBM) = {bracket(kl, error)} per spin, in [{self.low:.3g}, {self.high:.3g}] at 95 % "
            f"({self.samples} configurations); log-likelihood {bracket(likelihood, error)} per spin, "
            f"at best {self.optimum:.6g}"
        )


def kl_to_ising(
    rbm: RBM, ensemble: Ensemble, log_partition: LogPartition, progress: Progress | None = None
) -> Divergence:
    """Return the Kullback–Leibler divergence of the exact Ising law from the machine's, per spin.

    Args:
        rbm: the machine, with L² visible units.
        ensemble: independent configurations that the machine was not trained on; on its own training set a machine
            looks better than it is. The error is that of contiguous groups of them.
        log_partition: ln Z of the machine, from `annealing.log_partition_interval`.
        progress: called after each block of configurations.

    Raises:
        InputError: if the sizes do not fit, there are fewer than 2 configurations, or some are not ground states at
            T = 0, where the law has no others.
    """
    system = ensemble.system
    sites = system.size**2
    if rbm.visible != sites:
        message = (
            f"configurations of {system.size}×{system.size} = {sites} sites given to a network of {rbm.visible} "
            "visible units: take an ensemble of the size that it was trained on"
        )
        raise InputError(message)
    if len(ensemble) < 2:
        message = f"{len(ensemble)} configuration given: the error of a mean needs at least 2; sample more"
        raise InputError(message)
    log_p = _log_law(ensemble.energies, system)  # ln p_Ising of each configuration
    mean = grouped_mean((log_p + _free_energies(rbm, ensemble, progress)) / sites)
    error = float(mean.error)
    value, low, high = (
        float(mean.value) + log_z / sites for log_z in (log_partition.centre, log_partition.low, log_partition.high)
    )
    return Divergence(
        per_spin=Estimate(value, error),
        low=low - QUANTILE * error,
        high=high + QUANTILE * error,
        optimum=log_likelihood_optimum(system),
        samples=len(ensemble),
    )


def log_likelihood_optimum(system: Ising) -> float:
    """Return ⟨ln p⟩ per spin of the Ising law itself: −entropy per spin, (−K N u − ln Z) / N; −ln 2 at K = 0.

    Source: Kaufman (1949). At K = ∞ the two ground states leave −(ln 2) / N.
    """
    sites = system.size**2
    if system.coupling == math.inf:
        return -math.log(GROUND_STATES) / sites
    energy = torus.energy(system.size, system.coupling)
    return -system.coupling * energy - torus.log_partition(system.size, system.coupling) / sites


def _log_law(energies: Field, system: Ising) -> Field:
    """Return ln p_Ising of configurations of given energies per site."""
    sites = system.size**2
    if system.coupling < math.inf:
        log_z = torus.log_partition(system.size, system.coupling)
        return np.asarray(-system.coupling * sites * energies - log_z)
    excited = int((energies > -2).sum())
    if excited:
        message = (
            f"{excited} of {len(energies)} configurations are not ground states: at T = 0 the law has no others; "
            "give the temperature that they were sampled at"
        )
        raise InputError(message)
    return np.full(len(energies), -math.log(GROUND_STATES))


def _free_energies(rbm: RBM, ensemble: Ensemble, progress: Progress | None) -> Field:
    """Return F of every configuration, unpacking a piece at a time."""
    values: list[Field] = []
    done = 0
    for part in ensemble.pieces():
        values.append(rbm.free_energy(part))
        done += len(part)
        if progress:
            progress("divergence", done, len(ensemble))
    return np.concatenate(values)
