"""The battery: every map through the same instruments, one row each.

A row is a function of a `Subject` that returns a `Diagnostic` and the arrays behind its figure, or None where it does
not apply. Adding one takes a function here and its line in `BATTERY`. No criterion is applied to the patterns yet:
such rows have `passed` None, and the verdict reads "not judged".
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from rgstep import patterns
from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority
from rgstep.certificate import DISTRUST
from rgstep.correlators import Means, Moments, measure
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError, require_seed
from rgstep.estimates import Estimate, grouped_mean
from rgstep.exact import enumeration, transfer
from rgstep.lattice import shells
from rgstep.nets.adapters import as_map
from rgstep.nets.assessment import stored
from rgstep.nets.rbm import RBM
from rgstep.nets.readings import goodness_of_fit
from rgstep.report import NOT_JUDGED, Diagnostic, MapReport, Quantity, Report
from rgstep.types import CoarseGraining, Field, Progress, Spins

MEASURED = "measured; no criterion applies to it yet"
SMALL_LATTICE = 8  # up to here the law of the magnetisation is known exactly
ENUMERABLE = 4
TRIAL = 64


@dataclass(frozen=True, eq=False)
class Subject:
    """One map under judgement: the configurations, the map, the moments of (v, h)."""

    ensemble: Ensemble
    coarse: CoarseGraining
    original: object  # what the user gave; `coarse` is its checked form
    moments: Moments

    @property
    def pictures(self) -> np.ndarray:
        """⟨v h⟩ of all samples, `(hidden, row, column)`."""
        return self.moments.all().vh.reshape(-1, self.moments.size, self.moments.size)


Row = tuple[Diagnostic, Mapping[str, np.ndarray]]


def judge(
    ensemble: Ensemble,
    maps: Mapping[str, object],
    seed: int = 0,
    *,
    progress: Progress | None = None,
) -> Report:
    """Measure every map on the same configurations and return the report.

    Args:
        ensemble: the configurations.
        maps: a name for each coarse graining or function v → h.
        seed: decides every draw of h.
        progress: called as the work goes on.

    Raises:
        InputError: for an empty table of maps, or a map that raises or answers nonsense.
    """
    require_seed(seed)
    check_request(ensemble, maps)
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    entries = {name: judge_map(ensemble, name, given, progress) for name, given in maps.items()}
    origin = {
        "version": version("rgstep"),
        "command": "rgstep.judge",
        "seed": int(seed),
        "size": ensemble.system.size,
        "temperature": ensemble.system.temperature,
        "samples": len(ensemble),
        "started": started,
        "seconds": time.perf_counter() - clock,
        "ensemble": dict(ensemble.origin),
        "certificate": ensemble.certificate.to_dict(),
    }
    return Report(origin, entries)


def check_request(ensemble: object, maps: object) -> None:
    """Raise `InputError` unless there is an ensemble and a table of named maps."""
    if not isinstance(ensemble, Ensemble):
        message = f"ensemble is a {type(ensemble).__name__}: use rgstep.sample(…) or rgstep.ensemble_from_array(…)"
        raise InputError(message)
    if not isinstance(maps, Mapping) or not maps or not all(isinstance(name, str) and name for name in maps):
        message = f"maps = {maps!r}: give a name for each map, {{'majority': rgstep.Majority()}}"
        raise InputError(message)


def judge_map(ensemble: Ensemble, name: str, given: object, progress: Progress | None) -> MapReport:
    """Run the battery on one map."""
    coarse = as_map(given, name)
    coarse.mean_h(ensemble.unpack(0, TRIAL))  # more rows at once than a group may have
    subject = Subject(ensemble, coarse, given, measure(ensemble, coarse, name=name, progress=progress))
    rows = {row: answer for row, run in BATTERY.items() if (answer := run(subject)) is not None}
    arrays = {key: value for _, more in rows.values() for key, value in more.items()}
    return MapReport(NOT_JUDGED, kind(given), about(given), {row: answer[0] for row, answer in rows.items()}, arrays)


def kind(given: object) -> str:
    """Return "control" for a map whose answer is known, "judged" for every other."""
    hand_made = isinstance(given, Average | Majority | Decimation | BernoulliBlock)
    untrained = isinstance(given, RBM) and given.origin.get("preset") == "untrained"
    return "control" if hand_made or untrained else "judged"


def about(given: object) -> str:
    """Return what a map is, in a few words; the dataclasses of this package print their settings."""
    return repr(given) if type(given).__module__.startswith("rgstep.") else f"user's {type(given).__name__}"


def sampling(subject: Subject) -> Row:
    """Energy, specific heat and |m| of the configurations beside the exact values at this L (Kaufman 1949)."""
    ensemble = subject.ensemble
    system = ensemble.system
    quantities = {name: Quantity(check.measured, check.exact) for name, check in ensemble.checks.items()}
    exact_m = None
    if system.size <= SMALL_LATTICE:
        exact_m = float(transfer.magnetisation_moments(system.size, system.coupling).abs_m)
    quantities["abs_m"] = Quantity(grouped_mean(np.abs(ensemble.magnetisations)), exact_m)
    scores = ", ".join(f"z({name}) = {check.z:+.2f}" for name, check in ensemble.checks.items())
    faults = ensemble.faults()
    why = f"{scores}; each must be within {DISTRUST:.0f}" if not faults else "; ".join(faults)
    arrays = {"energies": ensemble.energies, "magnetisations": ensemble.magnetisations}
    return Diagnostic(not faults, why, quantities), arrays


def training(subject: Subject) -> Row | None:
    """How well a network learned its data: reconstruction error and pseudo-likelihood beside the true law's."""
    network = subject.original
    if not isinstance(network, RBM) or not network.history:
        return None
    rng = np.random.default_rng([len(subject.ensemble), network.visible, network.hidden])
    fit = goodness_of_fit(network, subject.ensemble, rng)
    truth = ising_pseudo_likelihood(subject.ensemble)
    quantities = {
        "reconstruction": Quantity(fit["reconstruction"]),
        "pseudo_likelihood": Quantity(fit["pseudo_likelihood"]),
        "pseudo_likelihood_ising": Quantity(truth),
        "weights_sd": Quantity(Estimate(float(network.weights.std()), 0.0)),
        "steps": Quantity(Estimate(float(network.history["step"][-1]), 0.0)),
    }
    why = f"{MEASURED}; a perfect network would reach the pseudo-likelihood of the Ising law itself, {truth}"
    if found := stored(network, subject.ensemble.system.temperature):
        more, verdict = from_assessment(found)
        quantities, why = {**quantities, **more}, f"{verdict}; {why}"
    else:
        why = f"not assessed at this temperature: no likelihood, no equilibrium; {why}"
    return Diagnostic(None, why, quantities), {f"history_{name}": curve for name, curve in network.history.items()}


def from_assessment(found: Mapping[str, Any]) -> tuple[dict[str, Quantity], str]:
    """Return the numbers and the verdict of a network's stored assessment."""
    balance = found["equilibrium"]
    names = ("kl_per_spin", "log_z", "log_z_bennett", "K_nn_visible")
    quantities = {name: Quantity(Estimate(*found[name])) for name in names if found[name]}
    quantities |= {f"tau_{name}": Quantity(Estimate(t["value"], t["error"])) for name, t in balance["tau"].items()}
    return quantities, f"{balance['verdict']} ({balance['reason']})"


def ising_pseudo_likelihood(ensemble: Ensemble) -> Estimate:
    """Return the mean of ln p(s_i | its neighbours) per site under the true law: −ln(1 + exp(−2K s_i Σ_nn s_j))."""

    def per_sample(v: Spins) -> np.ndarray:
        field = sum(np.roll(v, shift, axis) for axis in (1, 2) for shift in (1, -1))
        log_p = -np.logaddexp(0.0, -2 * ensemble.system.coupling * (v * field))
        return np.asarray(log_p.mean(axis=(1, 2)))

    return grouped_mean(np.concatenate([per_sample(block) for block in ensemble.blocks()]))


def vh_pattern(subject: Subject) -> Row:
    """The pictures ⟨v_i h_a⟩: their contrast, extent and, for maps with given places, their values at known sites."""
    moments, size = subject.moments, subject.ensemble.system.size
    masks = given_masks(moments)

    def summary(means: Means) -> dict[str, np.ndarray]:
        placed = patterns.over_masks(means, masks) if masks else {}
        return {**placed, **patterns.summary(means)}

    exact = exact_values(subject, masks) if size <= ENUMERABLE else {}
    quantities = {name: Quantity(e, exact.get(name)) for name, e in moments.estimates(summary).items()}
    means = moments.all()
    arrays = {f"unit_{name}": values for name, values in patterns.statistics(means).items()}
    arrays["unit_centroid"] = patterns.centroid(subject.pictures)
    errors = moments.estimate(lambda m: m.vh).error
    arrays["vh"] = subject.pictures.astype(np.float32)
    arrays["vh_error"] = np.reshape(errors, subject.pictures.shape).astype(np.float32)
    weights = weight_pictures(subject)
    if weights is not None:
        ratio = patterns.participation_ratio(weights.reshape(len(weights), -1))
        quantities["participation_w"] = Quantity(Estimate(float(np.median(ratio)), 0.0))
        arrays |= {"weights": weights, "unit_participation_w": ratio}
        arrays["momentum_spectrum_w"] = patterns.momentum_spectrum(weights)
    places = "" if masks else "; the units have no given places, so own block, adjacent and farthest are not defined"
    return Diagnostic(None, MEASURED + places, quantities), arrays


def given_masks(moments: Moments) -> patterns.Masks | None:
    """Return the masks of a map whose units sit on a coarse lattice that tiles the fine one, None for any other."""
    shape = moments.hidden_shape
    if len(shape) != 2 or moments.size % shape[0]:
        return None
    return patterns.block_masks(moments.size, shape[0])


def exact_values(subject: Subject, masks: patterns.Masks | None) -> dict[str, float]:
    """Return the exact ⟨v h⟩ at known sites by enumeration of all states of a 4×4 lattice."""
    if masks is None:
        return {}
    system = subject.ensemble.system
    pictures = enumeration.visible_hidden(subject.coarse.mean_h, system.size, system.coupling)
    flat = pictures.reshape(len(pictures), -1)
    return {name: float(flat[mask].mean()) for name, mask in masks._asdict().items() if mask.any()}


def weight_pictures(subject: Subject) -> Field | None:
    """Return the weights of a network as pictures `(hidden, row, column)`, None for any other map."""
    if not isinstance(subject.original, RBM):
        return None
    size = subject.ensemble.system.size
    return np.asarray(subject.original.weights.T.reshape(-1, size, size))


def spatial_correlator(subject: Subject) -> Row:
    """The autocorrelation of each picture, averaged over units, against periodic distance; the same for W."""
    moments, size = subject.moments, subject.ensemble.system.size
    distance = shells(size).distance
    arrays: dict[str, np.ndarray] = {"distance": distance}
    quantities = {}
    for label, subtract, pooled in (("C", True, False), ("C_plain", False, False), ("C_pooled", True, True)):

        def curve(means: Means, subtract: bool = subtract, pooled: bool = pooled) -> np.ndarray:
            pictures = means.vh.reshape(-1, size, size)
            return patterns.correlator_by_distance(pictures, subtract, pooled)

        estimate = moments.estimate(curve, correct_bias=pooled)
        arrays |= {label: np.asarray(estimate.value), f"{label}_error": np.asarray(estimate.error)}
        for r in (1, 2, 3, 4, 8, 16):
            if r <= size // 2:
                at = int(np.flatnonzero(np.isclose(distance, r))[0])
                quantities[f"{label}[{r}]"] = Quantity(
                    Estimate(float(arrays[label][at]), float(arrays[f"{label}_error"][at]))
                )
    weights = weight_pictures(subject)
    if weights is not None:
        arrays["C_weights"] = patterns.correlator_by_distance(weights, mean_subtracted=True)
    why = (
        f"{MEASURED}; C subtracts each picture's mean and weighs all units alike, C_plain subtracts nothing, C_pooled "
        f"weighs each unit by its contrast and is corrected for sampling noise"
    )
    return Diagnostic(None, why, quantities), arrays


BATTERY: Mapping[str, Callable[[Subject], Row | None]] = {
    "sampling": sampling,
    "training": training,
    "vh_pattern": vh_pattern,
    "spatial_correlator": spatial_correlator,
}
