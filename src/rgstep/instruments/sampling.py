"""The configurations themselves beside exact results at their size."""

import numpy as np

from rgstep.certificate import DISTRUST
from rgstep.diagnostics.subject import Row, Subject
from rgstep.estimates import grouped_mean
from rgstep.exact import transfer
from rgstep.report import Diagnostic, Quantity

SMALL_LATTICE = 8  # up to here the law of the magnetisation is known exactly


def row(subject: Subject) -> Row:
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
