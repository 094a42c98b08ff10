"""How far is a network's own law of the spins from the Ising model's? The Kadanoff gap.

A coarse graining p(h | v) keeps the law of the spins: Σ_h p(h | v) = 1, so that summing p(v, h) = p(h | v) p(v) over
h gives back e^{−K E(v)}/Z. Mehta and Schwab (arXiv:1410.3831) asked this of an RBM, Σ_h e^{−E(v, h)} ∝ e^{−K E(v)}.
With F its free energy and x = −K E(v), the regression over configurations,

    −F(v) = const + slope · x(v) + residual,    slope = 1 and residual = 0 if the network has the Ising law,

says how far it is from that. Its p(h | v) is normalised whatever its weights are, so the gap measures the generative
fit, not whether h is a block spin. With d = −F − x, KL(p_Ising ‖ p_RBM) = Var(d)/2 to second order in d.
"""

import math
from collections.abc import Mapping

import numpy as np

from rgstep import scratch
from rgstep.arguments import InputError
from rgstep.ensemble import Ensemble, in_pieces
from rgstep.estimates import Estimate, Groups, estimated
from rgstep.instruments.base import Instrument, Row, Subject, of_all
from rgstep.lattice import as_vectors
from rgstep.nets.assessment import stored_assessment
from rgstep.nets.batches import digest
from rgstep.nets.rbm import RBM, log_2cosh
from rgstep.results import Diagnostic
from rgstep.types import Field, Samples

FEWEST_SAMPLES = 3  # for a regression with a residual
WITHOUT_ENERGY = ("residual_sd", "gap_sd")  # what is left where the energy does not vary


def gap(rbm: RBM, ensemble: Ensemble) -> Mapping[str, Estimate]:
    """Return the regression of ln p̃_RBM = −F(v) on ln p̃_Ising = −K E(v), with jackknife errors.

    slope         Cov(−F, x) / Var(x), x = −K E; left out where x does not vary, at T = ∞ and T = 0
    residual_sd   √(Var(residual) / N): both logarithms are extensive, their fluctuations of order √N
    gap_sd        √(Var(d) / N), d = −F − x: as residual_sd with the slope held at 1
    explained     the share of Var(F) that the energy accounts for, its squared correlation with x; left out as slope

    Args:
        rbm: a network with L² visible units.
        ensemble: independent configurations of the Ising model of side L.

    Raises:
        InputError: if the sizes do not fit, or there are fewer than 3 configurations.
    """
    if rbm.visible != ensemble.system.size**2:
        message = (
            f"configurations of {ensemble.system.size**2} sites given to a network of {rbm.visible} visible units: "
            "take an ensemble of the size that it was trained on"
        )
        raise InputError(message)
    if len(ensemble) < FEWEST_SAMPLES:
        message = f"{len(ensemble)} configurations given: a regression needs at least {FEWEST_SAMPLES}; sample more"
        raise InputError(message)
    log_weight = scratch.joined((log_weights(rbm, v) for v in ensemble.pieces(np.float32)), len(ensemble))
    return regression(log_weight, ising_weight(ensemble.energies, ensemble), rbm.visible)


def log_weights(rbm: RBM, v: Samples) -> Field:
    """Return −F of float32 configurations `(sample, row, column)`, float64 `(sample,)`.

    The product is taken in 32 bits, half the time of `RBM.free_energy`; rounding is some 1e-6 a hidden unit.
    """
    rows = as_vectors(v)
    inputs = rows @ rbm.weights + rbm.hidden_bias
    return np.asarray((rows @ rbm.visible_bias).astype(np.float64) + log_2cosh(inputs).sum(axis=1, dtype=np.float64))


def ising_weight(energies: Field, ensemble: Ensemble) -> Field | None:
    """Return −K E of configurations of given energies per site; None at T = 0, where it is infinite."""
    coupling = ensemble.system.coupling
    return None if math.isinf(coupling) else in_pieces(lambda e: -coupling * ensemble.system.size**2 * e, energies)


def regression(log_weight: Field, x: Field | None, sites: int) -> Mapping[str, Estimate]:
    """Return the quantities of `gap` from both logarithms, `(sample,)` each; x None stands for one that is constant."""
    x = np.broadcast_to(0.0, log_weight.shape) if x is None else x
    varies, middle = bool(np.ptp(x) > 0), (x.mean(), log_weight.mean() - x.mean())

    def columns(a: int, b: int) -> np.ndarray:  # d is regressed in the place of −F: where the fit is good none cancels
        own, d = x[a:b] - middle[0], (log_weight[a:b] - x[a:b]) - middle[1]
        return np.stack([own, d, own * own, own * d, d * d], axis=1)

    sets = Groups.of(len(x)).means_of(columns)
    sets = sets if len(x) > FEWEST_SAMPLES else sets[:1]  # without one of three a line leaves no residual
    summaries = [summary(means, sites, varies) for means in sets]
    names = summaries[0] if varies else WITHOUT_ENERGY
    return {name: estimated(np.array([of_set[name] for of_set in summaries])) for name in names}


def summary(means: np.ndarray, sites: int, varies: bool) -> dict[str, float]:
    """Return slope, residual, gap and explained share from the means of x, d, x², x d and d²."""
    x, d, xx, xd, dd = means
    var_x, cov, var_d = max(xx - x**2, 0.0), xd - x * d, max(dd - d**2, 0.0)
    excess = cov / var_x if varies and var_x > 0 else 0.0
    residual = max(var_d - excess * cov, 0.0)
    var_f = var_d + 2 * cov + var_x
    return {
        "slope": 1.0 + excess,
        "residual_sd": math.sqrt(residual / sites),
        "gap_sd": math.sqrt(var_d / sites),
        "explained": (cov + var_x) ** 2 / (var_x * var_f) if var_x > 0 and var_f > 0 else 0.0,
    }


def measure(subject: Subject) -> Row | None:
    """Return the Kadanoff gap of a network on the ensemble's configurations; None for maps without a model."""
    network, ensemble = subject.original, subject.ensemble
    if not isinstance(network, RBM):
        return None
    lead = (
        "a covariate, the generative fit and not RG-ness: ln p̃ of the network, −F(v), against −K E(v) of the Ising law"
    )
    if len(ensemble) < FEWEST_SAMPLES:
        return Diagnostic(None, f"{lead}; too few configurations, give at least {FEWEST_SAMPLES}", {}), {}
    estimates, temperature = dict(gap(network, ensemble)), subject.system.temperature
    remarks = [lead, on_what(network, ensemble)]
    if "slope" in estimates:
        remarks.append("a perfect fit has slope 1, residual 0; residual_sd and gap_sd (slope held at 1) are per √N")
    else:
        remarks.append(f"K E is constant at T = {temperature:g}, so there is no slope; per √N, 0 is perfect")
    if not np.isfinite(float(estimates["residual_sd"].error)):
        remarks.append("too few configurations for an error")
    found = stored_assessment(network, temperature)
    if found and found.get("kl_per_spin"):
        estimates["kl_per_spin"] = Estimate(*found["kl_per_spin"])
    else:
        remarks.append("no KL: the network was not assessed at this temperature (rgstep.assess)")
    return Diagnostic(None, "; ".join(remarks), of_all(estimates)), {}


def on_what(network: RBM, ensemble: Ensemble) -> str:
    """Return whether the configurations are those that the network was trained on, as far as its record tells."""
    data = network.origin.get("data")
    if data is None:
        return "on the ensemble's configurations, which an untrained or foreign network has no record of"
    same = digest(ensemble.packed.bits, network.visible) == data
    return f"on {'the very configurations it was trained on' if same else 'configurations other than its training set'}"


INSTRUMENT = Instrument(
    name="kadanoff_gap",
    question=(
        "It tells how well a network models the law of the spins, by comparing the logarithms of the two weights in "
        "every configuration. It cannot tell whether its hidden units are block spins: every conditional law, a "
        "useless one too, leaves the law of the spins as it is, so this is a covariate and never a verdict."
    ),
    measure=measure,
)
