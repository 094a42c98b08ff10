"""Is a trained RBM a model of the Ising law at all? Its likelihood, its equilibrium, its couplings, in one place.

Everything said about what a network learned hangs on this: how far its law is from the Ising law (KL per spin, with
Kaufman's ln Z), whether its samples are those of its own equilibrium law, what couplings its marginals have, and how
far its weights have localised.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rgstep.ensemble import Ensemble
from rgstep.errors import InputError, is_number, require_seed
from rgstep.nets.annealing import LogPartition, log_partition_interval
from rgstep.nets.couplings import CouplingTable, coupling_table
from rgstep.nets.divergence import Divergence, kl_to_ising
from rgstep.nets.equilibrium import Equilibrium, equilibrium
from rgstep.nets.localisation import Localisation, localisation
from rgstep.nets.rbm import RBM
from rgstep.types import Progress

SECONDS_A_SWEEP = 1e-8  # of 256 chains, for each weight (AMD Zen 4, one core)
OVERHEAD = 10_000  # weights that cost as much as a sweep of a small network
KEY = "assessment"  # where `RBM.origin` keeps it
SHOWN = ("verdict", "reason", "k", "k_over_tau", "tau", "sweeps", "chains", "stationary", "data", "z_data")


@dataclass(frozen=True, eq=False)
class Assessment:
    """What `assess` found; prints as a report of some thirty lines."""

    log_partition: LogPartition
    divergence: Divergence
    equilibrium: Equilibrium
    localisation: Localisation
    couplings: CouplingTable

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, as they are stored with the network."""
        everything, visible = self.equilibrium.to_dict(), self.couplings.visible
        nearest = visible.at(1, 0)
        return {
            "kl_per_spin": [float(self.divergence.per_spin.value), float(self.divergence.per_spin.error)],
            "kl_interval": [self.divergence.low, self.divergence.high],
            "log_likelihood_per_spin": float(self.divergence.log_likelihood.value),
            "log_likelihood_optimum": self.divergence.optimum,
            "log_z_interval": [self.log_partition.low, self.log_partition.high],
            "log_z_method": self.log_partition.method,
            "equilibrium": {name: everything[name] for name in SHOWN},
            "participation_w": self.localisation.median_participation,
            "localised": self.localisation.localised,
            "K_nn_visible": [float(nearest.value), float(nearest.error)],
            "K_rest_visible": float(visible.rest.value),
        }

    def __str__(self) -> str:
        """Return verdict, likelihood, couplings and localisation."""
        place = self.localisation
        return "\n".join(
            [
                str(self.equilibrium),
                "",
                str(self.log_partition),
                str(self.divergence),
                "",
                f"participation ratio of W: median {place.median_participation:.4g} of {place.sites} sites, "
                f"{place.localised:.0%} of the units localised",
                str(self.couplings),
            ]
        )

    __repr__ = __str__


def assess(
    rbm: RBM,
    held_out: Ensemble,
    seed: int = 0,
    *,
    temperatures: int = 4000,
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> Assessment:
    """Return how good a model of the Ising law a network is, and whether it is an equilibrium model.

    The walks that bound ln Z from above start where the equilibrium's chains ended.

    With the defaults two minutes for 1024 → 256 on one core if the chains are slow, less if not.

    Args:
        rbm: a network whose visible units are the sites of the lattice.
        held_out: configurations that it was not trained on; they name the law to compare with.
        seed: decides every draw.
        temperatures: of the annealing that encloses ln Z; see `annealing.annealed_log_partition`.
        seconds: about how long the chains may run on one core, if they are slow; turned into a number of sweeps by the
            size of the network alone, so that a seed gives the same numbers everywhere.
        progress: called as the work goes on.

    Raises:
        InputError: if the sizes do not fit, or a number is out of range.
    """
    require_seed(seed)
    if not is_number(seconds) or seconds <= 0:
        message = f"seconds = {seconds!r}: must be a number above 0"
        raise InputError(message)
    if rbm.visible != held_out.system.size**2:
        message = (
            f"held_out has configurations of {held_out.system.size**2} sites, the network {rbm.visible} visible units: "
            "sample the size that it was trained on"
        )
        raise InputError(message)
    balance = equilibrium(rbm, held_out, seed, sweeps=sweeps_in(seconds, rbm), progress=progress)
    log_partition = log_partition_interval(
        rbm, seed, temperatures=temperatures, chains=len(balance.ends), start=balance.ends, progress=progress
    )
    return Assessment(
        log_partition=log_partition,
        divergence=kl_to_ising(rbm, held_out, log_partition),
        equilibrium=balance,
        localisation=localisation(rbm),
        couplings=coupling_table(rbm, held_out.system.coupling),
    )


def sweeps_in(seconds: float, rbm: RBM) -> int:
    """Return how many sweeps of all chains take about so many seconds: 512 times a power of two."""
    one = SECONDS_A_SWEEP * (rbm.visible * rbm.hidden + OVERHEAD)
    return int(2 ** min(max(0, math.floor(math.log2(max(1.0, seconds / one / 512)))), 10) * 512)


def with_assessment(rbm: RBM, assessment: Assessment) -> RBM:
    """Return the network with what was found in its record, so that it is stored and printed with it."""
    return replace(rbm, origin={**rbm.origin, KEY: assessment.to_dict()})


def stored(rbm: RBM) -> Mapping[str, Any] | None:
    """Return what a network's record says of it, or None if it was never assessed."""
    found = rbm.origin.get(KEY)
    return found if isinstance(found, Mapping) else None
