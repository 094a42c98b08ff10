"""Can a set of configurations be trusted? What is known about how it was made, and how it compares with exact facts.

Three kinds of evidence, each a distance z in standard errors: the energy u and specific heat c beside Kaufman's (1949)
for the torus of the same L; the fair sign of the magnetisation; and, for chains, e and m² of those started hot against
those started cold, which differ while the burn-in is too short. A set is called good if every |z| ≤ 4, and if its
samples are neither repeated nor correlated so that errors from them are wrong (`independence`).

Below T_c a chain that flips single spins stays in one phase: all magnetisations have one sign. That is named as what it
is, with the numbers that it spoils and its remedy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rgstep.arguments import is_number, is_whole
from rgstep.estimates import Estimate
from rgstep.independence import FLIP, Independence
from rgstep.ising import CRITICAL_COUPLING, Ising

CRITICAL_TO_ROUNDING = 1e-9  # |t| L of what is T_c to all digits
DISTRUST = 4.0  # |z| above which a set is called bad
PERFECT = ("exact", "closed form")  # modes whose samples are drawn from the law itself
SINGLE = (*PERFECT, "iid")  # modes whose samples share no chain
MODES = {
    "iid": "independent: a start of its own for each sample",
    "thin": "thinned",
    "exact": "perfect samples",
    "closed form": "perfect samples",
}
MENDED = f"a fair global flip of each configuration, an exact symmetry, mends it: {FLIP}"
NAMES = {"sign_balance": "sign balance", "e": "e", "m2": "m²"}


@dataclass(frozen=True, slots=True)
class Check:
    """A measured number beside its exact value; z is their distance in standard errors."""

    measured: Estimate
    exact: float

    @property
    def z(self) -> float:
        """(measured − exact) / error; 0 where both agree without noise."""
        difference = float(self.measured.value) - self.exact
        error = float(self.measured.error)
        if error > 0:
            return difference / error
        return 0.0 if abs(difference) < 1e-9 else math.copysign(math.inf, difference)


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """How a set was made and whether it is good; printed as a table.

    `origin` is what the sampler recorded; `checks` are the comparisons with exact values; `independence` is what the
    order of the samples and copies among them say; `phase` is the sign that all magnetisations have, 0 for both.
    """

    system: Ising
    samples: int
    checks: Mapping[str, Check]
    origin: Mapping[str, Any]
    independence: Independence | None = None
    phase: int = 0

    @property
    def good(self) -> bool:
        """Whether every |z| ≤ 4, and errors from the samples are right."""
        return not self.faults()

    def faults(self) -> list[str]:
        """Return a line for each z beyond 4, and one for samples that are repeated or too correlated."""
        at = f"L={self.system.size}, T={self.system.temperature:.6g}"
        lines = [] if self.independence is None else self.independence.faults()
        lines += [self.said_of_check(name, at) for name, check in self.checks.items() if distrusted(check.z)]
        starts = "chains started hot and cold"
        for name, z in self.hot_cold.items():
            if math.isnan(z):
                lines.append(f"{name} of {starts} could not be compared at {at}: their z is not a number")
            elif distrusted(z):
                lines.append(f"{name} of {starts} is {z:+.1f} standard errors apart at {at}: the burn-in is too short")
        return lines

    @property
    def one_phase(self) -> bool:
        """Whether all magnetisations have one sign below T_c, where chance does not make them so."""
        check = self.checks.get("sign_balance")
        below = self.system.coupling > CRITICAL_COUPLING and not self.system.is_critical
        return below and bool(self.phase) and check is not None and distrusted(check.z)

    def said_of_check(self, name: str, at: str) -> str:
        """Return what is wrong with one check, and the remedy where the sign alone is off."""
        check = self.checks[name]
        if name == "sign_balance" and self.one_phase:
            return (
                f"one phase: all {self.samples} magnetisations are {'>' if self.phase > 0 else '<'} 0 at {at}, as a "
                "chain below T_c leaves them; it spoils the sign balance and whatever is odd in the spins, ⟨m⟩, ⟨v⟩ "
                "and ⟨h⟩, and with these connected correlators; what is even, u, c, m² and ⟨v h⟩, it leaves alone; "
                f"{MENDED}"
            )
        line = f"{name} = {check.measured} is {check.z:+.1f} standard errors from the exact {check.exact:.6f} at {at}"
        alone = name == "sign_balance" and not any(distrusted(c.z) for n, c in self.checks.items() if n != name)
        return f"{line}; {MENDED}" if alone else line

    @property
    def mode(self) -> str | None:
        """How independence was reached: iid, thin, exact or closed form."""
        if "mode" in self.origin:
            return str(self.origin["mode"])
        if self.origin.get("method") == "closed form":
            return "closed form"
        return "thin" if "spacing_sweeps" in self.origin else None

    @property
    def kernel(self) -> str | None:
        """The Markov chain, or what is used in its place."""
        name = self.origin.get("kernel", self.origin.get("method"))
        return None if name is None else str(name)

    @property
    def tau_e(self) -> Estimate | None:
        """The integrated autocorrelation time of e, in `tau_unit`."""
        return as_estimate(self.origin.get("tau_e"))

    @property
    def tau_m2(self) -> Estimate | None:
        """The integrated autocorrelation time of m², in `tau_unit`."""
        return as_estimate(self.origin.get("tau_m2"))

    @property
    def tau_unit(self) -> str:
        """The unit of τ."""
        return str(self.origin.get("tau_unit", "sweeps"))

    @property
    def burn_in_sweeps(self) -> float | None:
        """How many sweeps each chain made before its first sample."""
        return self.number("burn_in_sweeps")

    @property
    def spacing_sweeps(self) -> float | None:
        """How many sweeps lie between two samples of a chain."""
        return self.number("spacing_sweeps")

    @property
    def n_eff(self) -> float | None:
        """How many independent samples the set is worth."""
        recorded = self.number("n_eff")
        if recorded is None and self.mode in SINGLE:
            recorded = float(self.samples)
        if recorded is None and self.independence is not None:
            recorded = self.independence.n_eff
        return recorded

    @property
    def hot_cold(self) -> dict[str, float]:
        """z of e and of m² between chains started hot and cold, those that were compared."""
        given = self.origin.get("hot_cold")
        if not isinstance(given, Mapping):
            return {}
        return {str(name): float(z) for name, z in given.items() if z is not None}

    def in_tau(self, sweeps: float | None) -> float | None:
        """Return a number of sweeps in units of the slower τ."""
        times = [float(tau.value) for tau in (self.tau_e, self.tau_m2) if tau is not None]
        return sweeps / max(times) if times and sweeps is not None and self.tau_unit == "sweeps" else None

    def number(self, key: str) -> float | None:
        """Return a recorded number, None if there is none."""
        value = self.origin.get(key)
        if not is_number(value) or not math.isfinite(value):
            return None
        return int(value) if is_whole(value) else float(value)

    def why_missing(self, key: str) -> str:
        """Return in words why an entry has no value."""
        if key == "c":
            return "not checked: " + ("0 at T = ∞" if self.system.coupling == 0 else "too few excitations")
        if key in ("tau_e", "tau_m2", "burn_in_sweeps", "spacing_sweeps", "hot_cold") and self.mode in PERFECT:
            return "not needed: perfect samples"
        if key == "spacing_sweeps" and self.mode == "iid":
            return "not needed: one sample a start"
        return "unknown: " + ("from an array" if self.origin.get("source") == "array" else "not recorded")

    def __str__(self) -> str:
        """Return the certificate as a table, the verdict in the last line."""
        rows = {**self.lines_of_origin(), **self.lines_of_evidence()}
        width = max(map(len, rows)) + 2
        return "\n".join([*(f"{label:{width}}{text}" for label, text in rows.items()), self.verdict()])

    __repr__ = __str__

    def lines_of_origin(self) -> dict[str, str]:
        """Return what is known about how the set was made, a label for each text."""
        temperature = "∞" if self.system.coupling == 0 else f"{self.system.temperature:.6g}"
        seed = f", seed {self.origin['seed']}" if "seed" in self.origin else ""
        chains = f", {self.origin['chains']} chains" if "chains" in self.origin else ""
        return {
            "size": f"{self.system.size} × {self.system.size}",
            "temperature": f"{temperature} J/k_B{self.said_of_criticality()}",
            "samples": str(self.samples),
            "source": f"{self.origin.get('source', self.why_missing('source'))}{seed}",
            "kernel": self.kernel or self.why_missing("kernel"),
            "mode": self.why_missing("mode") if self.mode is None else MODES.get(self.mode, self.mode) + chains,
            "random numbers": str(self.origin.get("random_numbers", self.why_missing("random_numbers"))),
            "τ of e": self.time("tau_e", self.tau_e),
            "τ of m²": self.time("tau_m2", self.tau_m2),
            "burn-in": self.duration("burn_in_sweeps"),
            "spacing": self.duration("spacing_sweeps"),
            "n_eff": self.why_missing("n_eff") if self.n_eff is None else f"{self.n_eff:.6g}",
        }

    def said_of_criticality(self) -> str:
        """Return that T is T_c, or taken as T_c, in brackets; nothing elsewhere."""
        if not self.system.is_critical:
            return ""
        distance = self.system.critical_distance
        return " (critical)" if distance < CRITICAL_TO_ROUNDING else f" (taken as critical: |t| L = {distance:.2g})"

    def lines_of_evidence(self) -> dict[str, str]:
        """Return the z-scores beside what they are made of, a label for each text."""
        scores = ", ".join(f"z({NAMES.get(name, name)}) = {said(z)}" for name, z in self.hot_cold.items())
        lines = {} if self.independence is None else self.independence.lines()
        lines["hot − cold start"] = scores or self.why_missing("hot_cold")
        for name in ("u", "c", "sign_balance"):
            check = self.checks.get(name)
            lines[NAMES.get(name, name)] = (
                self.why_missing(name)
                if check is None
                else f"{check.measured}, exact {check.exact:.6g}, z = {said(check.z)}"
            )
        return lines

    def verdict(self) -> str:
        """Return "good" or what is not, in a line."""
        scores = {NAMES.get(name, name): check.z for name, check in self.checks.items()}
        scores |= {f"hot − cold {NAMES.get(name, name)}": z for name, z in self.hot_cold.items()}
        if self.one_phase:
            scores.pop(NAMES["sign_balance"])
        bad = [] if self.independence is None else self.independence.summary()
        bad += [f"{name} (z = {said(z)})" for name, z in scores.items() if distrusted(z)]
        if self.one_phase:
            phase = (
                f"ONE PHASE: every m {'>' if self.phase > 0 else '<'} 0; ⟨m⟩, ⟨v⟩ and ⟨h⟩ are not those of the model"
            )
            return f"{phase}; a fair flip mends it" + (f"; NOT GOOD: {', '.join(bad)}" if bad else "")
        return f"NOT GOOD: {', '.join(bad)}" if bad else f"good: every |z| ≤ {DISTRUST:.0f}"

    def time(self, key: str, tau: Estimate | None) -> str:
        """Return an autocorrelation time with its error and unit."""
        return self.why_missing(key) if tau is None else f"{tau} {self.tau_unit}"

    def duration(self, key: str) -> str:
        """Return a number of sweeps, and what it is in τ."""
        sweeps = self.number(key)
        if sweeps is None:
            return self.why_missing(key)
        in_tau = self.in_tau(sweeps)
        return f"{sweeps:.6g} sweeps" + ("" if in_tau is None else f" = {in_tau:.3g} τ")

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Return the certificate as plain values; None where `missing` says in words why there is none."""
        checks = {
            name: {"measured": plain(c.measured.value), "error": plain(c.measured.error), "exact": c.exact}
            | {"z": plain(c.z)}
            for name, c in self.checks.items()
        }
        entries = {
            "source": self.origin.get("source"),
            "kernel": self.kernel,
            "mode": self.mode,
            "random_numbers": self.origin.get("random_numbers"),
            "chains": self.number("chains"),
            "tau_e": pair(self.tau_e),
            "tau_m2": pair(self.tau_m2),
            "burn_in_sweeps": self.burn_in_sweeps,
            "burn_in_tau": self.in_tau(self.burn_in_sweeps),
            "spacing_sweeps": self.spacing_sweeps,
            "n_eff": self.n_eff,
            "hot_cold": {name: plain(z) for name, z in self.hot_cold.items()} or None,
        }
        missing = [name for name, value in {**entries, "c": self.checks.get("c")}.items() if value is None]
        return {
            "size": self.system.size,
            "temperature": plain(self.system.temperature),
            "samples": self.samples,
            "seed": self.origin.get("seed"),
            **entries,
            "tau_unit": self.tau_unit,
            "checks": checks,
            "missing": {name: self.why_missing(name.replace("_tau", "_sweeps")) for name in missing},
            "good": self.good,
            "faults": self.faults(),
            "text": str(self),
        }


def distrusted(z: float) -> bool:
    """Return whether a z-score condemns a set; one that is not a number does."""
    return not abs(z) <= DISTRUST


def said(z: float) -> str:
    """Return a z-score as text."""
    return "not a number" if math.isnan(z) else f"{z:+.1f}"


def as_estimate(given: object) -> Estimate | None:
    """Return a recorded [value, error], or a value alone, as an `Estimate`; None for anything else."""
    value, error = given if isinstance(given, list | tuple) and len(given) == 2 else (given, math.nan)
    if not is_number(value) or not math.isfinite(value):
        return None
    return Estimate(float(value), float(error) if is_number(error) else math.nan)


def pair(estimate: Estimate | None) -> list[Any] | None:
    """Return an estimate as plain [value, error]."""
    return None if estimate is None else [plain(estimate.value), plain(estimate.error)]


def plain(value: Any) -> float | str:  # a float of Python or NumPy
    """Return a number as a plain one, or as a word where JSON has none for it."""
    number = float(value)
    return number if math.isfinite(number) else str(number)
