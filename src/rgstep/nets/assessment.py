"""Is a trained RBM a model of the Ising law at all? Its likelihood, its equilibrium, its couplings, in one place.

Everything said about what a network learned hangs on this: how far its law is from the Ising law (KL per spin, with
Kaufman's ln Z), whether its samples are those of its own equilibrium law, what couplings its marginals have, and how
far its weights have localised.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rgstep.arguments import PROGRESS, SEED, checked, each, real, whole
from rgstep.ensemble import ENSEMBLE, Ensemble
from rgstep.errors import InputError
from rgstep.estimates import Estimate
from rgstep.nets.annealing import QUANTILE, LogPartition, NotConverged, log_partition_interval
from rgstep.nets.bennett import bennett_log_partition, thin_trajectory
from rgstep.nets.couplings import CouplingTable, coupling_table
from rgstep.nets.divergence import Divergence, kl_to_ising
from rgstep.nets.equilibrium import Equilibrium, equilibrium
from rgstep.nets.localisation import Localisation, localisation
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.nets.tempering import trajectory_ladder
from rgstep.types import Progress

SECONDS_A_SWEEP = 1e-8  # of 256 chains, for each weight (AMD Zen 4, one core)
OVERHEAD = 10_000  # weights that cost as much as a sweep of a small network
FEW, STEPS = 0.2, 300  # acceptance between neighbouring checkpoints, and steps of tempering, for Bennett's ratios
MOST_TEMPERATURES = 10**7  # days of annealing
KEY = "assessment"  # where `RBM.origin` keeps it
SHOWN = ("verdict", "reason", "k", "k_over_tau", "tau", "sweeps", "chains", "stationary", "data", "z_data")


@dataclass(frozen=True, eq=False)
class Assessment:
    """What `assess` found; prints as a report of some thirty lines.

    `bennett` is a second ln Z, along the checkpoints of the training, where they were given. `notes` say what is to be
    doubted.
    """

    log_partition: LogPartition
    bennett: Estimate | None
    divergence: Divergence
    equilibrium: Equilibrium
    localisation: Localisation
    couplings: CouplingTable
    temperature: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, as they are stored with the network."""
        everything, visible = self.equilibrium.to_dict(), self.couplings.visible
        nearest = visible.at(1, 0)
        return {
            "temperature": self.temperature if math.isfinite(self.temperature) else "inf",
            "kl_per_spin": [float(self.divergence.per_spin.value), half(self.divergence.high, self.divergence.low)],
            "kl_interval": [self.divergence.low, self.divergence.high],
            "log_likelihood_per_spin": float(self.divergence.log_likelihood.value),
            "log_likelihood_optimum": self.divergence.optimum,
            "log_z": [self.log_partition.centre, half(self.log_partition.high, self.log_partition.low)],
            "log_z_interval": [self.log_partition.low, self.log_partition.high],
            "log_z_method": self.log_partition.method,
            "log_z_bennett": None if self.bennett is None else [float(self.bennett.value), float(self.bennett.error)],
            "equilibrium": {name: everything[name] for name in SHOWN},
            "participation_w": self.localisation.median_participation,
            "localised": self.localisation.localised,
            "K_nn_visible": [float(nearest.value), float(nearest.error)],
            "K_rest_visible": float(visible.rest.value),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Return verdict, likelihood, couplings and localisation."""
        place = self.localisation
        return "\n".join(
            [
                str(self.equilibrium),
                "",
                str(self.log_partition),
                *([f"ln Z = {self.bennett} along the checkpoints (Bennett)"] if self.bennett else []),
                str(self.divergence),
                *self.notes,
                "",
                f"participation ratio of W: median {place.median_participation:.4g} of {place.sites} sites, "
                f"{place.localised:.0%} of the units localised",
                str(self.couplings),
            ]
        )

    __repr__ = __str__


@checked(
    rbm=NETWORK,
    held_out=ENSEMBLE,
    seed=SEED,
    temperatures=whole(1, MOST_TEMPERATURES, floats=True),
    seconds=real("must be a finite number above 0", lambda s: 0 < s < math.inf),
    trajectory=each(NETWORK),
    progress=PROGRESS,
)
def assess(
    rbm: RBM,
    held_out: Ensemble,
    seed: int = 0,
    *,
    temperatures: int = 4000,
    seconds: float = 60.0,
    trajectory: Sequence[RBM] = (),
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
        trajectory: the networks of the training's checkpoints, earliest first (`load_checkpoints`), for a second ln Z.
        progress: called as the work goes on.

    Raises:
        InputError: if the sizes do not fit, or a number is out of range.
    """
    if rbm.visible != held_out.system.size**2:
        message = (
            f"held_out has configurations of {held_out.system.size**2} sites, the network {rbm.visible} visible units: "
            "sample the size that it was trained on"
        )
        raise InputError(message)
    sizes = {(one.visible, one.hidden) for one in trajectory} - {(rbm.visible, rbm.hidden)}
    if sizes:
        message = (
            f"trajectory has networks of (visible, hidden) = {sizes.pop()}, rbm is of {(rbm.visible, rbm.hidden)}: "
            "give the checkpoints of its own training"
        )
        raise InputError(message)
    balance = equilibrium(rbm, held_out, seed, sweeps=sweeps_in(seconds, rbm), progress=progress)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NotConverged)
        log_partition = log_partition_interval(
            rbm, seed, temperatures=temperatures, chains=len(balance.ends), start=balance.ends, progress=progress
        )
    notes = [str(warning.message) for warning in caught]
    bennett = along(trajectory, rbm, seed, notes, progress) if trajectory else None
    return Assessment(
        log_partition=log_partition,
        bennett=bennett,
        divergence=kl_to_ising(rbm, held_out, log_partition),
        equilibrium=balance,
        localisation=localisation(rbm),
        couplings=coupling_table(rbm, held_out.system.coupling),
        temperature=held_out.system.temperature,
        notes=tuple(notes),
    )


def along(
    trajectory: Sequence[RBM], rbm: RBM, seed: int, notes: list[str], progress: Progress | None
) -> Estimate | None:
    """Return ln Z by Bennett's ratios along the checkpoints; None, and a note, if they are too far apart."""
    machines = [one for one in trajectory if one.origin.get("steps") != rbm.origin.get("steps")]
    try:
        ladder = trajectory_ladder(thin_trajectory([*machines, rbm], FEW, seed, steps=STEPS))
        return bennett_log_partition(ladder, seed, steps=STEPS, progress=progress)
    except InputError as error:
        notes.append(f"no ln Z along the checkpoints, which lie too far apart: {str(error).partition(':')[0]}")
        return None


def half(high: float, low: float) -> float:
    """Return the standard error that a 95 % interval stands for."""
    return (high - low) / (2 * QUANTILE)


def sweeps_in(seconds: float, rbm: RBM) -> int:
    """Return how many sweeps of all chains take about so many seconds: 512 times a power of two."""
    one = SECONDS_A_SWEEP * (rbm.visible * rbm.hidden + OVERHEAD)
    return int(2 ** min(max(0, math.floor(math.log2(max(1.0, seconds / one / 512)))), 10) * 512)


def with_assessment(rbm: RBM, assessment: Assessment) -> RBM:
    """Return the network with what was found in its record, so that it is stored and printed with it."""
    return replace(rbm, origin={**rbm.origin, KEY: assessment.to_dict()})


def stored(rbm: RBM, temperature: float) -> Mapping[str, Any] | None:
    """Return what a network's record says of it as a model of this temperature's law, or None."""
    return at_temperature(rbm.origin.get(KEY), temperature)


def at_temperature(found: object, temperature: float) -> Mapping[str, Any] | None:
    """Return an entry of a network's record if it was made at this temperature, None otherwise."""
    if not isinstance(found, Mapping) or not math.isclose(float(found.get("temperature", math.nan)), temperature):
        return None
    return found
