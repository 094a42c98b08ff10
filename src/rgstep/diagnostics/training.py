"""How well a network learned its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rgstep.diagnostics.subject import Row, Subject
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, grouped_mean
from rgstep.nets.assessment import stored_assessment
from rgstep.nets.curves import goodness_of_fit
from rgstep.nets.rbm import RBM
from rgstep.report import Diagnostic, Quantity
from rgstep.types import Spins


def row(subject: Subject) -> Row | None:
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
    why = f"a perfect network would reach the pseudo-likelihood of the Ising law itself, {truth}"
    if found := stored_assessment(network, subject.ensemble.system.temperature):
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
