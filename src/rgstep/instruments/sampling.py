"""Are the configurations what they are said to be? Their energy, specific heat and |m| beside exact results.

Kaufman (1949) has energy and specific heat of the torus of every side; the law of m is known up to L = 8.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from rgstep.certificate import DISTRUST
from rgstep.drawing import COLOURS, Plate, sheet
from rgstep.estimates import grouped_mean
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.results import Diagnostic, MapReport, Quantity


def measure(subject: Subject) -> Row:
    """Return energy, specific heat and |m| of the configurations beside the exact values at this L."""
    ensemble = subject.ensemble
    quantities = {name: Quantity(check.measured, check.exact) for name, check in ensemble.checks.items()}
    quantities["abs_m"] = Quantity(grouped_mean(np.abs(ensemble.magnetisations)), subject.system.mean_abs_m)
    scores = ", ".join(f"z({name}) = {check.z:+.2f}" for name, check in ensemble.checks.items())
    faults = ensemble.faults()
    why = f"{scores}; each must be within {DISTRUST:.0f}" if not faults else "; ".join(faults)
    arrays = {"energies": ensemble.energies, "magnetisations": ensemble.magnetisations}
    arrays["sites"] = np.array(subject.system.size**2)
    return Diagnostic(not faults, why, quantities), arrays


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the distributions of u and m of the configurations, and the z-scores of the checks."""
    entry = next(iter(maps.values()))
    row, arrays = entry.diagnostics["sampling"], entry.arrays["sampling"]
    scores = {name.replace("_", " "): q.z for name, q in row.estimates.items() if q.z is not None}
    energy, energies = row.estimates["u"].exact, arrays["energies"]
    with sheet(1, 3, size=(10.2, 3.2)) as (figure, (left, middle, right)):
        left.hist(energies, bins=energy_bins(energies, int(arrays["sites"])), density=True, color=COLOURS[5])
        if energy is not None:
            left.axvline(energy, color=COLOURS[1])
            left.set_title(f"line: exact mean {energy:.5f}", size="medium")
        left.set(xlabel="energy per site u (J)", ylabel="density")
        middle.hist(arrays["magnetisations"], bins=np.linspace(-1, 1, 62), density=True, color=COLOURS[5])
        middle.set(xlabel="magnetisation per site m", ylabel="density")
        right.axvspan(-DISTRUST, DISTRUST, color="0.93")
        right.plot(list(scores.values()), list(scores), "o", color=COLOURS[0])
        right.axvline(0, color="0.6", linewidth=0.8)
        right.set(xlabel="z = (measured − exact) / error", xlim=(-5.5, 5.5), ylim=(-0.6, len(scores) - 0.4))
        right.set_title("grey: accepted", size="medium")
        yield Plate("sampling", f"The configurations against exact results at this size: {row.why}.", figure)


def energy_bins(energies: np.ndarray, sites: int) -> np.ndarray:
    """Return edges of about 50 bins, each of equally many of the energies that exist, 4/N apart."""
    step = 4 / sites
    first, last = np.round(energies.min() / step), np.round(energies.max() / step)
    width = max(1, round((last - first) / 50))
    return np.asarray((np.arange(first, last + width + 1, width) - 0.5) * step)


INSTRUMENT = Instrument(
    name="sampling",
    question=(
        "Whether the configurations are those of the Ising model at this size and temperature: their energy and "
        "specific heat beside Kaufman's exact ones for the torus, the fair sign of m, and chains started hot beside "
        "chains started cold. z is a distance in standard errors."
    ),
    measure=measure,
    figures=figures,
)
