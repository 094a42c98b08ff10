"""Does h carry the long-wavelength field of its own v? The coherence of the two, and the noise that the map adds.

With h_k and v_k the Fourier components of wave vector k, by sites, and l the side of the coarse lattice,

    ρ(k)² = |⟨h_k v_k*⟩|² / ⟨|h_k|²⟩⟨|v_k|²⟩,   ω(k) = l^{7/4} (1 − ρ(k)²),   ν(k) = l² ⟨|v_k|²⟩ (1/ρ(k)² − 1):

h_k is A(k) (v_k + n_k) with a noise n_k that has no part in v_k, and ν is its spectrum, for one coarse site, in units
of v's own field.

**What a local map must give.** The spin is the one odd primary field of the Ising fixed point (Belavin, Polyakov and
Zamolodchikov 1984): a local odd function of v near x is A σ(x) + derivatives of σ + a remainder that correlates over
a short range alone. A derivative is a factor at wave number k, so that all long-ranged correlation of h is in v_k, and
the remainder is white at long wavelengths:

    ν(2π/l) / ν(0) → 1,        1 − ρ(k)² ∝ l^{−7/4},        ω → a constant of the map,

with corrections of the order (range/l)². What is not local is red: a part f of the samples whose h is that of another
v, or is flipped, moved or turned as a whole, adds f-fold the spectrum of the field itself, ⟨|v_k|²⟩, which is some 34
times larger at k = 0 than at 2π/l and grows as l^{7/4} beside the noise. Flips and other v spoil k = 0, moves and turns
2π/l.

Units that fill no lattice have their waves at their centres. Irregular places mix wave vectors a little; ρ² is
therefore the share of h_k that all waves of v up to √2 · 2π/l explain together, the same thing for a map that commutes
with translations.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from rgstep.drawing import Plate, aside, look, name_lines, null_band, parted, sheet, text
from rgstep.ensemble import Source, pieces, read
from rgstep.estimates import Groups, estimated
from rgstep.instruments.base import Instrument, Row, Step, Subject, by_step
from rgstep.results import Criterion, Diagnostic, MapReport, Quantity, arrays_of
from rgstep.roles import coloured
from rgstep.types import Samples

WAVES = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))  # in units of 2π/l: along the rows, along the columns, diagonal
EXPONENT = 7 / 4  # ⟨|v_k|²⟩ at k ~ 1/l grows as l^(2 − 2Δ_σ)
LEAST_NOISE = 0.02  # ν below which it does not matter; the majority rule of 2×2 blocks has 0.105
ROUNDING = 1e-10  # of ρ²
REDDEST_OF_4 = 3.0  # ν(2π/l)/ν(0) of 4×4 units: what is above 1 goes as (range/l)², four times that of 8×8
CAPTION = (
    "The noise ν(k) that each map adds to the field of its own configurations, at k = 0, at 2π/l along rows and "
    "columns and on the diagonals; bars: one standard error. A local map gives a level line. A part of h that is not "
    "of its own v, or is flipped, moved or turned as a whole, lifts one end."
)


def coefficients(side: int) -> np.ndarray:
    """Return cosines and sines of `WAVES` over an l-by-l lattice, `(site, 9)`, divided by the number of sites."""
    return coefficients_at(np.stack(np.divmod(np.arange(side**2), side), axis=1), side)


def coefficients_at(places: np.ndarray, size: int) -> np.ndarray:
    """Return cosines and sines of `WAVES` at places on a torus of a side, `(place, 2)`, divided by their number."""
    phases = [2 * np.pi * (places @ wave) / size for wave in WAVES]
    columns = [part for phase in phases for part in (np.cos(phase), np.sin(phase))]
    return np.stack([columns[0], *columns[2:]], axis=1).astype(np.float32) / np.float32(len(places))


def components(wave: int) -> list[int]:
    """Return which columns of `coefficients` belong to one of `WAVES`."""
    return [0] if wave == 0 else [2 * wave - 1, 2 * wave]


def second_moments(v: Source, h: Samples, waves: np.ndarray) -> np.ndarray:
    """Return ⟨x xᵀ⟩ − ⟨x⟩⟨x⟩ᵀ of all samples, then without each group, x the waves of v and h, `(set, 9 + m, 9 + m)`.

    The means are 0 by symmetry; a map that makes a field has one, and row `symmetry` says so.

    Args:
        v: the configurations.
        h: `(sample, …)`, one value for each row of `waves`.
        waves: the coefficients of h, `(unit, m)`.
    """
    of_v = coefficients(read(v, 0, 1).shape[1])
    groups, sums, means = Groups.of(len(v)), [], []
    for bounds in groups.bounds:
        total = np.zeros((of_v.shape[1] + waves.shape[1],) * 2)
        mean = np.zeros(len(total))
        for start, part in pieces(v, *bounds):
            flat = part.reshape(len(part), -1).astype(np.float32)
            units = h[start : start + len(part)].reshape(len(part), -1).astype(np.float32)
            x = np.concatenate([flat @ of_v, units @ waves], axis=1).astype(np.float64)
            total += x.T @ x
            mean += x.sum(axis=0)
        sums.append(total)
        means.append(mean)
    middle = groups.over_counts(np.stack(means))
    return np.asarray(groups.over_counts(np.stack(sums)) - middle[:, :, None] * middle[:, None, :])


def shares(moments: np.ndarray, waves: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ρ² of the first so many waves of h, and ⟨|v_k|²⟩, `(set, wave)`, from `second_moments`."""
    of_v = 2 * len(WAVES) - 1
    vv, hv, hh = moments[:, :of_v, :of_v], moments[:, of_v:, :of_v], moments[:, of_v:, of_v:]
    explained = hv @ np.linalg.pinv(vv, hermitian=True) @ hv.transpose(0, 2, 1)
    rho, power = [], []
    for wave in range(waves):
        own = components(wave)
        total, known, fine = (np.trace(m[:, own][:, :, own], axis1=1, axis2=2) for m in (hh, explained, vv))
        rho.append(np.divide(known, total, out=np.zeros_like(known), where=total > 0))
        power.append(fine)
    share = np.clip(np.stack(rho, axis=1), 0.0, 1.0)
    return np.where(share > 1 - ROUNDING, 1.0, share), np.stack(power, axis=1)


def noise_of(rho2: np.ndarray, power: np.ndarray, units: int) -> np.ndarray:
    """Return ν of every set and wave from ρ² and ⟨|v_k|²⟩, `(set, wave)`, of so many units; not finite where ρ is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(units * power * (1 / rho2 - 1))


def numbers(rho2: np.ndarray, noise: np.ndarray, units: int) -> dict[str, np.ndarray]:
    """Return the row's numbers of every set from ρ² and ν, `(set, wave)`, of so many units."""
    side = math.sqrt(units)
    found = {"rho_0": np.sqrt(rho2[:, 0]), "omega_0": side**EXPONENT * (1 - rho2[:, 0]), "noise_0": noise[:, 0]}
    if rho2.shape[1] > 1:
        along = rho2[:, 1:3].mean(axis=1)
        found |= {"rho_1": np.sqrt(along), "omega_1": side**EXPONENT * (1 - along)}
        found["noise_1"] = noise[:, 1:3].mean(axis=1)
        for name, wave in (("rows", 1), ("columns", 2)):
            with np.errstate(invalid="ignore"):
                found[f"noise_ratio_{name}"] = (noise[:, wave] + LEAST_NOISE) / (noise[:, 0] + LEAST_NOISE)
    return found


def of_step(step: Step) -> tuple[dict[str, Quantity], np.ndarray]:
    """Return the numbers of one map's h and the level it reads, and ν of all sets, `(set, wave)`.

    At k = 0 and at 2π/l; by centres where units fill no lattice.
    """
    h, gauge = step.placed, step.gauge
    units = len(gauge.sign)
    if h is not None:
        waves = coefficients(h.shape[1])
    else:
        h, waves = step.hidden, coefficients_at(gauge.centre, gauge.size) * gauge.sign[:, None]
    rho2, power = shares(second_moments(step.source, h, waves), len(WAVES))
    noise = noise_of(rho2, power, units)
    sets = numbers(rho2, noise, units)
    found = {name: Quantity(estimated(values)) for name, values in sets.items() if np.isfinite(values).all()}
    return found, noise


def measure(subject: Subject) -> Row:
    """Return coherence and noise of each map's h; the arrays are those of the first."""
    quantities, noise = of_step(subject.first)
    quantities |= by_step(subject.steps[1:], lambda step: of_step(step)[0])
    says = "coherence of h as drawn with its own v; noise ν in units of v's field, white for a local map"
    if subject.placed is None:
        says += "; the units fill no square lattice, and their waves are taken at the centres of what they look at"
    says = "; ".join([says, *subject.not_read])
    spectrum = estimated(np.where(np.isfinite(noise), noise, 0.0))
    arrays = {"noise": np.asarray(spectrum.value), "noise_error": np.asarray(spectrum.error)}
    return Diagnostic(None, says, quantities), arrays


def figures(maps: Mapping[str, MapReport]) -> Iterator[Plate]:
    """Yield the noise of all maps against the wave."""
    shown = arrays_of(maps, "coherence", "noise")
    shown = {name: arrays for name, arrays in shown.items() if (arrays["noise"] > 0).any()}
    if not shown:
        return
    order = coloured(maps)
    own, nulls = parted(shown, order)
    with sheet(size=(7.2, 4.2)) as (figure, (axes,)):
        waves = np.arange(len(WAVES))
        null_band(axes, [(waves, a["noise"], a["noise_error"]) for a in nulls.values() if (a["noise"] > 0).all()])
        for i, (name, arrays) in enumerate(own.items()):
            at = waves + aside(i, len(own), 0.4)
            kept = arrays["noise"] > 0
            bars = np.minimum(arrays["noise_error"], 0.9 * np.abs(arrays["noise"]))
            points = at[kept], arrays["noise"][kept], bars[kept]
            axes.errorbar(*points, label=text(name), linewidth=0.9, markersize=5, capsize=2, **look(name, order))
        axes.set_xticks(range(len(WAVES)), ["0", "2π/l, rows", "2π/l, columns", "diagonal", "other\ndiagonal"])
        axes.set(xlabel="wave vector k", ylabel="noise ν(k), one coarse site", yscale="log")
        name_lines(axes)
        yield Plate("coherence", CAPTION, figure)


FOLLOWS = Criterion("rho_0", 0.5, math.inf)
WHITE = tuple(Criterion(f"noise_ratio_{way}", 0.7, 1.5, side=16) for way in ("rows", "columns"))  # side of v
INSTRUMENT = Instrument(
    name="coherence",
    question=(
        "Whether each h carries the long-wavelength field of its own configuration, with a noise that is white as that "
        "of a local map must be. It hears what invariant sums cannot: that a part of the samples is flipped, moved, "
        "turned or exchanged as a whole. It does not see where single units sit, nor where iteration leads."
    ),
    measure=measure,
    by_place=lambda subject: of_step(subject.first)[0],
    headline={"omega_1": "ω₁"},
    legend=(
        "ω₁: what h lacks of the longest wave of its own v, times l^(7/4); that of a local map does not depend on the "
        "lattice"
    ),
    criteria=(
        FOLLOWS,
        *WHITE,
        FOLLOWS.of_maps(),
        *(criterion.of_maps(side=4, below=8, high=REDDEST_OF_4) for criterion in WHITE),  # sides of h
        *(criterion.of_maps(side=8) for criterion in WHITE),
    ),
    decides="locality",
    figures=figures,
)
