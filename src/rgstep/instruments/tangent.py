"""Which changes of the couplings keep the model critical? The tangent of the critical manifold at the Ising model.

The left leading eigenvector u of T^(n,0) = ∂K^(n)/∂K^(0) is normal to the critical manifold, and with growing n every
row of T becomes a multiple of it, so that (Swendsen 1979, 1984)

    u_β / u_nn = ⟨S_nn^(n) S_β^(0)⟩_c / ⟨S_nn^(n) S_nn^(0)⟩_c,

and in the odd sector, with the field in the place of nn, the direction in which the field acts.

Couplings count once for each term of their operator in the Hamiltonian Σ_α K_α S_α. On the infinite lattice u_β is the
amplitude of |t| ln |t| in ⟨S_β⟩, of odd operators that of ⟨S_β⟩ in units of the magnetisation: exactly

    nn : nnn : plaquette : 20 : 22 : sublattice = 1 : √2 : √2 (1 − 2/π) : 4√2/π : 16√2/(3π) : 2√2 (4/π − 1),
    field : corner : line = 1 : 8 (√2 − 1) : 4 (√2 − 1).

20 and 22 are determinants of the critical coefficients 2/(π(2n + 1)) (Wu 1966); what has a spin σ among its neighbours
follows from ⟨σ f⟩ = ⟨f tanh(K Σ_j σ_j)⟩, tanh(K Σ_j σ_j) = a Σ_j σ_j + b Σ_{j<k<l} σ_j σ_k σ_l.
"""

import math
from collections.abc import Mapping

import numpy as np

from rgstep.arguments import InputError
from rgstep.ensemble import Source
from rgstep.estimates import Estimate, estimated
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.instruments.mcrg import hindrance, without_each_group
from rgstep.ising import OPERATORS, Sector
from rgstep.operators import Sums, sums
from rgstep.results import Diagnostic, Quantity

TANGENT: Mapping[str, float] = {
    "nn": 1.0,
    "nnn": math.sqrt(2),
    "plaquette": math.sqrt(2) * (1 - 2 / math.pi),
    "20": 4 * math.sqrt(2) / math.pi,
    "22": 16 * math.sqrt(2) / (3 * math.pi),
    "sublattice": 2 * math.sqrt(2) * (4 / math.pi - 1),
    "field": 1.0,
    "corner": 8 * (math.sqrt(2) - 1),
    "line": 4 * (math.sqrt(2) - 1),
}
"""u of the operators for which it is known on the infinite lattice."""


def tangent(fine: Source, coarse: Source, sector: Sector = "even") -> Estimate:
    """Return u_β in units of that of the first, in the order of `ising.OPERATORS`, with jackknife errors.

    Args:
        fine: configurations of the critical Ising model, an `Ensemble` or `(sample, row, column)`.
        coarse: the coarse variables of each, `(sample, l, l)`.
        sector: "even" for the tangent, "odd" for the direction of the field.

    Raises:
        InputError: if the levels do not belong together.
    """
    if len(fine) != len(coarse):
        message = f"{len(coarse)} coarse configurations of {len(fine)} fine ones: one for each is needed"
        raise InputError(message)
    return of_sums(sums(fine), sums(coarse), sector)


def of_sums(fine: Sums, coarse: Sums, sector: Sector = "even") -> Estimate:
    """Return the tangent from the operators of two levels; not a number where their first ones are uncorrelated."""
    columns = [getattr(coarse, sector)[:, :1], getattr(fine, sector)]
    ratios = without_each_group(columns, centred=sector == "even")[:, 0, 1:]
    first = ratios[:, :1]
    return estimated(np.divide(ratios, first, where=first != 0, out=np.full(ratios.shape, np.nan)))


def measure(subject: Subject) -> Row:
    """Return the tangent of the critical manifold, and the direction of the field, as seen from every level."""
    missing = hindrance(subject)
    if missing:
        return Diagnostic(None, missing, {}), {}
    first, *levels = subject.sums
    found = {sector: [of_sums(first, level, sector) for level in levels] for sector in OPERATORS}
    quantities = {
        f"tangent_{operator.name}[{n}]": Quantity(estimate[i])
        for sector, estimates in found.items()
        for n, estimate in enumerate(estimates, start=1)
        for i, operator in enumerate(OPERATORS[sector])
        if i and np.isfinite(np.asarray(estimate.value)[i])
    }
    known = [f"{name} {u:.4f}" for name, u in TANGENT.items() if u != 1]
    why = (
        f"u of even operators beside that of nn, of odd ones beside that of the field, as seen from level n of h as "
        f"drawn; on the infinite lattice {', '.join(known)}; checks operators and configurations, not the map"
    )
    if not quantities:
        why = f"not measured: v and h are uncorrelated or constant; {why}"
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
