"""What the symbols and the names of numbers mean: one list for the page, the documentation and what is printed.

`SYMBOLS` are the signs of formulas and of the heads of tables, with subscripts written as y_t; `NUMBERS` are the names
under which `report.json` has what criteria look at. A name there may end in [n], of level n, and have _sign in it, of
a real h read by its sign: `said_of` knows both.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

OF_LEVEL_1 = ("locality_q", "field")  # of which level 1 is h itself, and needs no mention


class Number(NamedTuple):
    """A number that a criterion looks at.

    Attributes:
        name: in words.
        meaning: one sentence.
        wrong: what a map does whose number is outside its band, of "{its}" units or h.
        share: whether it is a share, to be written in per cent.
    """

    name: str
    meaning: str
    wrong: str
    share: bool = False


SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "v": "a spin of the configurations, +1 or −1; v_i is the one at site i",
        "h": "the coarse variables that a map makes of v; h_a is one of them, a unit",
        "p(h|v)": "the law from which a map draws h when v is given: what makes it a coarse graining",
        "L": "side of the lattice of the spins, in sites",
        "l": "side of the coarse lattice, in units",
        "b": "factor by which a map divides lengths, L/l",
        "r": "distance between two sites, on the periodic lattice",
        "T": "temperature in J/k_B; T_c = 2.269185 is the critical one",
        "⟨v h⟩": "average over configurations of spin times unit: for each unit a picture over the lattice",
        "⟨v h⟩ connected": "⟨v h⟩ without what h has by the total magnetisation alone",
        "W": "weights of a network, W_ia between spin i and unit a",
        "β": "what a unit takes of each spin itself, C⁻¹⟨v h⟩ with C the correlations of the spins",
        "core": "share of a unit's β² within two coarse spacings of its centre; ¾ or more is a local unit",
        "ω_1": "what h lacks of the longest wave of its v, times l^(7/4); the same at every size if units are local",
        "ν": "noise that a map adds to the field of v; the same on all long waves if units are local",
        "δ": "relative deviation of h's two-point function from that of the critical point on a torus; 0 far above "
        "the lattice spacing for every local map",
        "G": "two-point function, average of the product of two spins, or two units, at a distance",
        "Δ_m": "how the magnetisation is rescaled in a step: ⟨|m|⟩ grows by b^Δ_m; 1/8 at the Ising fixed point",
        "U_4": "Binder cumulant 1 − ⟨m⁴⟩/3⟨m²⟩² of the magnetisation m",
        "ΔU_4": "change of the Binder cumulant in a step; 0 at a fixed point",
        "y_t": "thermal exponent: the distance from T_c grows by b^y_t in a step; 1 at the Ising fixed point",
        "y_h": "magnetic exponent: a field grows by b^y_h in a step; 15/8 at the Ising fixed point",
        "K": "coupling between nearest neighbours, of the spins or of the units, in units of k_B T; 0.4407 at T_c",
        "Q": "share of the pair couplings of h that reach beyond the diagonal neighbour",
        "J": "coupling of two units, fitted pair by pair",
        "⟨m⟩": "mean of h over lattice and configurations in units of its rms; 0 where a map treats up and down alike",
        "g": "gain: by how much a weak field on fair spins grows in h; below b^(1/8) iteration washes the field out, "
        "the majority rule of 2×2 blocks has 1.5",
        "I": "what a unit knows of its surroundings over what its tile of spins knows, I(h:E)/I(V:E), from mutual "
        "information in nats",
        "H": "entropy of a unit when the spins are given, in nats: how much of h the map draws at random",
        "KL": "Kullback–Leibler divergence of a network's law from the Ising law, in nats for each spin; 0 for a "
        "perfect model",
        "m": "magnetisation, mean of the spins or of h over the lattice; |m| its modulus",
        "u": "energy per site in units of J",
        "c": "specific heat per site in units of k_B",
        "χ": "susceptibility N⟨m²⟩, N the number of sites",
        "ξ": "correlation length in sites",
        "τ": "autocorrelation time, in sweeps of the chain that the samples come from",
        "z": "distance of a number from its exact value in standard errors",
        "σ": "one standard error",
        "1.234(56)": "a number with its standard error in the last digits: 1.234 ± 0.056",
        "(?)": "the error of this number is not known: it was read once, or from too few samples",
        "band": "where a number must lie for an RG step: two standard errors inside it passes, four outside fails",
        "level": "level 0 are the spins, level 1 is h, level n what n steps make",
    }
)

NUMBERS: Mapping[str, Number] = MappingProxyType(
    {
        "extended_units": Number(
            "units that are not local",
            "Share of the units with less than ¾ of their input within two coarse spacings of their centre.",
            "too many of {its} units are not local, with more than ¼ of their input beyond two coarse spacings",
            share=True,
        ),
        "local_units": Number(
            "units that are local",
            "Share of the units with more than ¾ of their input within two coarse spacings of their centre.",
            "too few of {its} units are seen to be local",
            share=True,
        ),
        "crowded_units": Number(
            "units that share a place with another",
            "Share of the units within half a coarse spacing of another; 0 for a tiling.",
            "too many of {its} units share a place with another",
            share=True,
        ),
        "constant_units": Number(
            "units that never change",
            "Share of the units that are the same for every configuration.",
            "too many of {its} units never change",
            share=True,
        ),
        "faint_units": Number(
            "units without a place that can be seen",
            "Share of the units whose dependence on single spins is below its noise, as of units that follow the total "
            "magnetisation.",
            "too many of {its} units follow no spins that stand out of the noise",
            share=True,
        ),
        "rho_0": Number(
            "coherence of h with v over the whole lattice",
            "Correlation of the magnetisation of h with that of its own v; 1 if one gives the other.",
            "h does not follow the magnetisation of its own configuration",
        ),
        "noise_ratio_rows": Number(
            "noise of h, longest wave to mean, along rows",
            "Independent local units add the same noise to all long waves, a ratio of 1.",
            "the noise in h is not that of independent local units",
        ),
        "noise_ratio_columns": Number(
            "noise of h, longest wave to mean, along columns",
            "Independent local units add the same noise to all long waves, a ratio of 1.",
            "the noise in h is not that of independent local units",
        ),
        "shared_0": Number(
            "noise that all units share",
            "Of two draws of h for one v, what the units have in common, in units of the noise of one; 0 if they are "
            "drawn one by one.",
            "{its} units are not drawn one by one: they share noise",
        ),
        "shared_1": Number(
            "noise that units share over long waves",
            "As the noise that all units share, over waves of the lattice.",
            "{its} units are not drawn one by one: they share noise",
        ),
        "shape_deviation": Number(
            "deviation of h's correlations from critical ones",
            "Relative deviation of h's two-point function from that of the critical point on a torus.",
            "h does not correlate with itself as critical spins do",
        ),
        "locality_q": Number(
            "share of the couplings of h that reach far",
            "Of the pair couplings between units, the share beyond the diagonal neighbour.",
            "the couplings between {its} units reach too far",
        ),
        "stationarity": Number(
            "change of the couplings in a further step",
            "|ΔK|/|K| from one level to the next; 0 at a fixed point.",
            "the couplings of h still change from step to step",
        ),
        "y_h": Number(
            "magnetic exponent y_h",
            "A field grows by b^y_h in a step; 15/8 at the Ising fixed point.",
            "a field does not grow from step to step as at the Ising fixed point",
        ),
        "y_t": Number(
            "thermal exponent y_t",
            "The distance from T_c grows by b^y_t in a step; 1 at the Ising fixed point.",
            "the distance from T_c does not grow from step to step as at the Ising fixed point",
        ),
        "U4_drift": Number(
            "change of the Binder cumulant",
            "Change of U_4 of the magnetisation in a step; the majority rule's on the same lattice at a fixed point.",
            "the distribution of the magnetisation changes from step to step",
        ),
        "delta_m": Number(
            "rescaling Δ_m of the magnetisation",
            "⟨|m|⟩ grows by b^Δ_m in a step; 1/8 at the Ising fixed point.",
            "the magnetisation is not rescaled as at the Ising fixed point",
        ),
        "field": Number(
            "mean of h",
            "Mean of h in units of its rms; 0 by symmetry where up and down are treated alike.",
            "h prefers one sign, which acts as a magnetic field",
        ),
        "own_field": Number(
            "mean of h by this map alone",
            "As the mean of h, of one map of a sequence on what it reads.",
            "h prefers one sign, which acts as a magnetic field",
        ),
        "flip_breaking": Number(
            "difference between v and −v",
            "How far h(v) and −h(−v) differ, in units of the variation of h; 0 by symmetry.",
            "the map treats up and down differently",
        ),
        "translation": Number(
            "difference between places",
            "How far h of a moved configuration differs from h moved, in units of h; 0 by symmetry.",
            "the map treats places differently",
        ),
        "gain_margin": Number(
            "gain above the edge",
            "Gain of a weak field less b^(1/8), below which iteration washes it out, in units of the majority rule's.",
            "a weak field dies out when the map is repeated",
        ),
    }
)


def said_of(quantity: str) -> Number:
    """Return what is known of a number under its name in a report, its level in words; the bare name of others."""
    base, level = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", quantity).groups()  # type: ignore[union-attr]  # matches all
    base = base.replace("_sign", "")
    if base not in NUMBERS:
        return Number(quantity.replace("_", " "), "", f"{quantity.replace('_', ' ')} is outside its band")
    number = NUMBERS[base]
    of_first = level is None or (level == "1" and base in OF_LEVEL_1)
    return number if of_first else number._replace(name=f"{number.name} (level {level})")
