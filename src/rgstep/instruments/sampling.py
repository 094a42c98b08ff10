"""Are the configurations what they are said to be? Their energy, specific heat, couplings and |m| beside exact results.

Kaufman (1949) has energy and specific heat of the torus of every side; the law of m is known up to L = 8. The
couplings of the spins by pseudolikelihood (`hamiltonian`) are those of the model: K between neighbours, 0 elsewhere.
They see what u and c do not, a law with the right energy and other interactions. At T_c ⟨m²⟩, the mean of the
two-point function over all distances, is known too: it sees a burn-in long enough for u and too short for the largest
clusters.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from scipy import special

from rgstep.certificate import CRITICAL_TO_ROUNDING, DISTRUST, NAMES, Check
from rgstep.drawing import COLOURS, Plate, sheet
from rgstep.ensemble import Ensemble
from rgstep.estimates import GROUPS, grouped_mean
from rgstep.instruments.base import Instrument, Row, Subject
from rgstep.instruments.pseudolikelihood import KINDS, of_spins
from rgstep.results import Diagnostic, MapReport, Quantity

FEWEST_GROUPS = 20  # of the jackknife, below which an error is too uncertain to condemn a coupling
FEWEST_EXCITATIONS = 1000.0  # flipped spins in the whole set, below which couplings are far from Gaussian
SHOWN = ("m2", "K_nn")  # of the further checks; the other couplings are in the row of the Hamiltonian


def measure(subject: Subject) -> Row:
    """Return energy, specific heat, couplings, |m| and m² of the configurations beside the exact values at this L."""
    ensemble, system = subject.ensemble, subject.system
    quantities = {name: Quantity(check.measured, check.exact) for name, check in ensemble.checks.items()}
    quantities["abs_m"] = Quantity(grouped_mean(np.abs(ensemble.magnetisations)), system.mean_abs_m)
    scores = ", ".join(f"z({name}) = {check.z:+.2f}" for name, check in ensemble.checks.items())
    more = further_checks(ensemble)
    quantities |= {name: Quantity(check.measured, check.exact) for name, check in more.items() if name in SHOWN}
    said, contradiction = said_of(more, len(ensemble))
    faults = ensemble.faults() + [contradiction] * bool(contradiction)
    why = f"{scores}; each must be within {DISTRUST:.0f}; {said}" if not faults else "; ".join(faults)
    if system.is_critical and system.critical_distance > CRITICAL_TO_ROUNDING:
        why += f"; T = {system.temperature:.6g} is taken as critical: |t| L = {system.critical_distance:.2g}"
    arrays = {"energies": ensemble.energies, "magnetisations": ensemble.magnetisations}
    arrays["sites"] = np.array(system.size**2)
    return Diagnostic(not faults, why, quantities), arrays


def further_checks(ensemble: Ensemble) -> dict[str, Check]:
    """Return the couplings, and at T_c m², beside their exact values; nothing where errors would not be Gaussian.

    That is where too few samples make too few groups for the jackknife, or too little is excited.
    """
    system = ensemble.system
    excitations = len(ensemble) * system.size**2 * (system.energy + 2) / 8  # a single flipped spin costs 8 J
    if excitations < FEWEST_EXCITATIONS or len(ensemble) < FEWEST_GROUPS:
        return {}
    found = {}
    if (m2 := system.critical_m2) is not None:
        found["m2"] = Check(ensemble.mean(ensemble.magnetisations**2), m2)
    measured = of_spins(ensemble).estimate
    if np.isfinite(measured.value).all() and (np.asarray(measured.error) > 0).all():
        exact = {"nn": system.coupling}
        found |= {f"K_{kind}": Check(measured[i], exact.get(kind, 0.0)) for i, kind in enumerate(KINDS)}
    return found


def said_of(checks: Mapping[str, Check], samples: int) -> tuple[str, str]:
    """Return what couplings and m² say in a clause, and what contradicts the model, empty where nothing does.

    The farthest of them counts. Its limit is where Student's t of the jackknife's groups is as rare, in all of them
    together, as a Gaussian beyond `DISTRUST`.
    """
    if not checks:
        return "couplings not looked at: too few excitations or samples", ""
    limit = -float(special.stdtrit(min(samples, GROUPS) - 1, special.ndtr(-DISTRUST) / len(checks)))
    name, worst = max(checks.items(), key=lambda item: abs(item[1].z))
    number = f"{NAMES.get(name, name)} = {worst.measured}"
    if abs(worst.z) <= limit:
        what = " and m²" if "m2" in checks else ""
        return f"the farthest of the couplings{what} is {number}, z = {worst.z:+.2f}, within {limit:.1f}", ""
    how = "by pseudolikelihood" if name.startswith("K_") else "the mean of G(r) over all distances,"
    return "", (
        f"{number} {how} is {worst.z:+.1f} standard errors from the model's {worst.exact:.6g}, beyond {limit:.1f}: "
        "the configurations are of another law or temperature, or not yet in equilibrium"
    )


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the distributions of u and m of the configurations, and the z-scores of the checks."""
    entry = next(iter(maps.values()))
    row, arrays = entry.diagnostics["sampling"], entry.arrays["sampling"]
    scores = {name.replace("_", " "): q.z for name, q in row.estimates.items() if q.z is not None}
    energy, energies = row.estimates["u"].exact, arrays["energies"]
    with sheet(1, 3, size=(7.2, 2.8)) as (figure, (left, middle, right)):
        bars = {"density": True, "color": COLOURS[0], "alpha": 0.55}
        left.hist(energies, bins=energy_bins(energies, int(arrays["sites"])), **bars)
        if energy is not None:
            left.axvline(energy, color=COLOURS[1])
            left.set_title(f"line: exact mean {energy:.5f}".replace("-", "−"), size="small")
        left.set(xlabel="energy per site u (J)", ylabel="density")
        middle.hist(arrays["magnetisations"], bins=np.linspace(-1, 1, 62), **bars)
        middle.set(xlabel="magnetisation per site m", ylabel="density")
        right.axvspan(-DISTRUST, DISTRUST, color="0.93")
        right.plot(list(scores.values()), list(scores), "o", color=COLOURS[0])
        right.axvline(0, color="0.6", linewidth=0.8)
        right.set(xlabel="z (standard errors)", xlim=(-5.5, 5.5), ylim=(-0.6, len(scores) - 0.4))
        right.set_title("grey: accepted", size="small")
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
        "specific heat beside Kaufman's exact ones for the torus, the fair sign of m, chains started hot beside chains "
        "started cold, and the couplings between the spins. z is a distance in standard errors. And whether they are "
        "so correlated in their order, or repeated, that errors from them are too small."
    ),
    measure=measure,
    figures=figures,
)
