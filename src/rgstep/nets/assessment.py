"""Is a trained RBM a model of the Ising law at all? Its likelihood, its equilibrium, its couplings, in one place.

Everything said about what a network learned hangs on this: how far its law is from the Ising law, whether its samples
are those of its own equilibrium law, what couplings its marginals have, and how far its weights have localised.

The distance of the laws is the Kullback–Leibler divergence per spin, with both ln Z,

    KL(p_Ising ‖ p_RBM) / N = (1/N) ⟨F(v) − K E(v)⟩_Ising + (ln Z_RBM − ln Z_Ising) / N,    E = −Σ_<ij> s_i s_j,

F the free energy of the RBM, ln Z_Ising Kaufman's (1949) on the torus of side L. F and K E fluctuate together where
the network is good, so that their difference, taken in each configuration, is known far better than either mean.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rgstep.arguments import PROGRESS, SEED, InputError, checked, each, real, whole
from rgstep.ensemble import ENSEMBLE, Ensemble
from rgstep.estimates import Estimate, bracket, grouped_mean
from rgstep.ising import Ising
from rgstep.nets.annealing import QUANTILE_95, LogPartition, NotConverged, log_partition_interval
from rgstep.nets.bennett import bennett_log_partition, thin_trajectory
from rgstep.nets.couplings import NetworkCouplings, network_couplings
from rgstep.nets.equilibrium import Equilibrium, equilibrium
from rgstep.nets.localisation import Localisation, localisation
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.nets.tempering import trajectory_ladder
from rgstep.types import Field, Progress

SECONDS_A_SWEEP = 1e-8  # of 256 chains, for each weight (AMD Zen 4, one core)
WEIGHTS_OF_OVERHEAD = 10_000  # weights that cost as much as a sweep of a small network
ACCEPTANCE, STEPS = 0.2, 300  # between neighbouring checkpoints, and steps of tempering, for Bennett's ratios
MOST_TEMPERATURES = 10**7  # days of annealing
GROUND_STATES = 2  # of the Ising model: all up and all down
ASSESSMENT_KEY = "assessment"  # where `RBM.origin` keeps it
OF_EQUILIBRIUM = (  # what is stored of it
    *("verdict", "reason", "k", "k_over_tau", "tau"),
    *("sweeps", "chains", "stationary", "data", "z_data"),
)


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
        error = standard_error(self.high, self.low)
        kl, likelihood = float(self.per_spin.value), float(self.log_likelihood.value)
        return (
            f"KL(Ising ‖ RBM) = {bracket(kl, error)} per spin, in [{self.low:.3g}, {self.high:.3g}] at 95 % "
            f"({self.samples} configurations); log-likelihood {bracket(likelihood, error)} per spin, "
            f"at best {self.optimum:.6g}"
        )


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
    couplings: NetworkCouplings
    temperature: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, as they are stored with the network."""
        balance, kl, visible = self.equilibrium.to_dict(), self.divergence, self.couplings.visible
        nearest = visible.at(1, 0)
        return {
            "temperature": self.temperature if math.isfinite(self.temperature) else "inf",
            "kl_per_spin": [float(kl.per_spin.value), standard_error(kl.high, kl.low)],
            "kl_interval": [kl.low, kl.high],
            "log_likelihood_per_spin": float(kl.log_likelihood.value),
            "log_likelihood_optimum": kl.optimum,
            "log_z": [self.log_partition.centre, standard_error(self.log_partition.high, self.log_partition.low)],
            "log_z_interval": [self.log_partition.low, self.log_partition.high],
            "log_z_method": self.log_partition.method,
            "log_z_bennett": None if self.bennett is None else [float(self.bennett.value), float(self.bennett.error)],
            "equilibrium": {name: balance[name] for name in OF_EQUILIBRIUM},
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

    Examples:
        >>> ensemble = rg.sample(4, samples=2_000, seed=0)
        >>> found = rg.assess(rg.untrained_rbm(16, 4, seed=0), ensemble, temperatures=100, seconds=0.1)
        >>> found.to_dict()["kl_per_spin"][0] > 0.1  # far from the Ising law
        True
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
    bennett = log_partition_along(trajectory, rbm, seed, notes, progress) if trajectory else None
    return Assessment(
        log_partition=log_partition,
        bennett=bennett,
        divergence=kl_to_ising(rbm, held_out, log_partition),
        equilibrium=balance,
        localisation=localisation(rbm),
        couplings=network_couplings(rbm, held_out.system.coupling),
        temperature=held_out.system.temperature,
        notes=tuple(notes),
    )


def log_partition_along(
    trajectory: Sequence[RBM], rbm: RBM, seed: int, notes: list[str], progress: Progress | None
) -> Estimate | None:
    """Return ln Z by Bennett's ratios along the checkpoints; None, and a note, if they are too far apart."""
    earlier = [one for one in trajectory if one.origin.get("steps") != rbm.origin.get("steps")]
    try:
        ladder = trajectory_ladder(thin_trajectory([*earlier, rbm], ACCEPTANCE, seed, steps=STEPS))
        return bennett_log_partition(ladder, seed, steps=STEPS, progress=progress)
    except InputError as error:
        notes.append(f"no ln Z along the checkpoints, which lie too far apart: {str(error).partition(':')[0]}")
        return None


def standard_error(high: float, low: float) -> float:
    """Return the standard error that a 95 % interval stands for."""
    return (high - low) / (2 * QUANTILE_95)


def sweeps_in(seconds: float, rbm: RBM) -> int:
    """Return how many sweeps of all chains take about so many seconds: 512 times a power of two."""
    one = SECONDS_A_SWEEP * (rbm.visible * rbm.hidden + WEIGHTS_OF_OVERHEAD)
    return int(2 ** min(max(0, math.floor(math.log2(max(1.0, seconds / one / 512)))), 10) * 512)


# --- the divergence from the Ising law


def kl_to_ising(
    rbm: RBM, ensemble: Ensemble, log_partition: LogPartition, progress: Progress | None = None
) -> Divergence:
    """Return the Kullback–Leibler divergence of the exact Ising law from the network's, per spin.

    Args:
        rbm: the network, with L² visible units.
        ensemble: independent configurations that the network was not trained on; on its own training set a network
            looks better than it is. The error is that of contiguous groups of them.
        log_partition: ln Z of the network, from `annealing.log_partition_interval`.
        progress: called after each piece of the ensemble.

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
        low=low - QUANTILE_95 * error,
        high=high + QUANTILE_95 * error,
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
    energy = system.energy
    return -system.coupling * energy - system.log_partition / sites


def _log_law(energies: Field, system: Ising) -> Field:
    """Return ln p_Ising of configurations of given energies per site."""
    sites = system.size**2
    if system.coupling < math.inf:
        log_z = system.log_partition
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
    for v in ensemble.pieces():
        values.append(rbm.free_energy(v))
        done += len(v)
        if progress:
            progress("divergence", done, len(ensemble))
    return np.concatenate(values)


# --- the record of a network


def with_assessment(rbm: RBM, assessment: Assessment) -> RBM:
    """Return the network with what was found in its record, so that it is stored and printed with it."""
    return replace(rbm, origin={**rbm.origin, ASSESSMENT_KEY: assessment.to_dict()})


def stored_assessment(rbm: RBM, temperature: float) -> Mapping[str, Any] | None:
    """Return what a network's record says of it as a model of this temperature's law, or None."""
    return at_temperature(rbm.origin.get(ASSESSMENT_KEY), temperature)


def at_temperature(found: object, temperature: float) -> Mapping[str, Any] | None:
    """Return an entry of a network's record if it was made at this temperature, None otherwise."""
    if not isinstance(found, Mapping) or not math.isclose(float(found.get("temperature", math.nan)), temperature):
        return None
    return found
