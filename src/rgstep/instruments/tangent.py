"""Which changes of the couplings keep the model critical? The tangent of the critical manifold at the Ising model.

The left leading eigenvector u of T^(n,0) = ∂K^(n)/∂K^(0) is normal to the critical manifold, and with growing n every
row of T becomes a multiple of it, so that (Swendsen 1979, 1984)

    u_β / u_nn = ⟨S_nn^(n) S_β^(0)⟩_c / ⟨S_nn^(n) S_nn^(0)⟩_c.

Couplings count once for each term of their operator in the Hamiltonian Σ_α K_α S_α. On the infinite lattice u_β is the
amplitude of |t| ln |t| in ⟨S_β⟩: exactly

    nn : nnn : plaquette : 20 = 1 : √2 : √2 (1 − 2/π) : 4√2/π = 1 : 1.4142 : 0.5139 : 1.8006.
"""

import math

import numpy as np

from rgstep.arguments import InputError
from rgstep.ensemble import Source
from rgstep.estimates import Estimate, estimated
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.instruments.mcrg import hindrance, without_each_group
from rgstep.operators import EVEN, Sums, sums
from rgstep.results import Diagnostic, Quantity

LEADING = 4  # operators whose tangent is known: nn, nnn, plaquette, 20
TANGENT = (1.0, math.sqrt(2), math.sqrt(2) * (1 - 2 / math.pi), 4 * math.sqrt(2) / math.pi)
"""u of nn, nnn, plaquette and 20 on the infinite lattice."""


def tangent(fine: Source, coarse: Source) -> Estimate:
    """Return u_β/u_nn for nn, nnn, plaquette and 20, with jackknife errors.

    Args:
        fine: configurations of the critical Ising model, an `Ensemble` or `(sample, row, column)`.
        coarse: the coarse variables of each, `(sample, l, l)`.

    Raises:
        InputError: if the levels do not belong together.
    """
    if len(fine) != len(coarse):
        message = f"{len(coarse)} coarse configurations of {len(fine)} fine ones: one for each is needed"
        raise InputError(message)
    return of_sums(sums(fine), sums(coarse))


def of_sums(fine: Sums, coarse: Sums) -> Estimate:
    """Return the tangent from the operators of two levels; not a number where the energies are uncorrelated."""
    moments = without_each_group(np.column_stack([coarse.even[:, :1], fine.even[:, :LEADING]]), centred=True)
    ratios = moments[:, 0, 1:]
    energy = ratios[:, :1]
    u = np.divide(ratios, energy, where=energy != 0, out=np.full(ratios.shape, np.nan))
    return estimated(u)


def measure(subject: Subject) -> Row:
    """Return the tangent of the critical manifold as seen from every level."""
    missing = hindrance(subject)
    if missing:
        return Diagnostic(None, missing, {}), {}
    first, *levels = subject.sums
    found = [of_sums(first, level) for level in levels]
    quantities = {
        f"tangent_{name}[{n}]": Quantity(estimate[i])
        for n, estimate in enumerate(found, start=1)
        for i, name in enumerate(EVEN[:LEADING])
        if i and np.isfinite(np.asarray(estimate.value)[i])
    }
    expected = " : ".join(f"{u:.4f}".rstrip("0").rstrip(".") for u in TANGENT)
    why = (
        f"u of nnn, plaquette and 20 beside that of nn as seen from level n of h as drawn, {expected} on the infinite "
        f"lattice; checks operators and configurations, not the map"
    )
    if not quantities:
        why = f"not measured: the energies of v and h are uncorrelated or constant; {why}"
    elif not subject.system.is_critical:
        why += "; the configurations are not critical"
    return Diagnostic(None, why, quantities), {}


INSTRUMENT = Instrument(
    name="tangent",
    question=(
        "Whether the operators and the configurations are right: any coarse variable that feels the temperature gives "
        "the tangent of the critical manifold. It tells nothing about the map, and maps that are not local pass it too."
    ),
    measure=measure,
)
