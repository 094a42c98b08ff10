"""Print the table of docs/results.md from a report of several seeds: python docs/tabulate.py runs/five."""

import sys

import rgstep as rg
from rgstep.claims import findings, pooled
from rgstep.estimates import Estimate
from rgstep.roles import family, members

QUANTITIES = (
    "own_block",
    "adjacent",
    "farthest",
    "pattern_mean_abs",
    "pattern_range",
    "pattern_sd",
    "peak_over_background",
    "participation_vh",
    "participation_w",
    "correlation_m_abs",
    "C[1]",
    "C[2]",
    "C[4]",
    "C_pooled[1]",
    "C_pooled[2]",
    "C_pooled[4]",
    "pseudo_likelihood",
    "kl_per_spin",
    "core_share",
    "local_units",
    "extended_units",
    "faint_units",
    "shape_deviation",
    "K_nn[1]",
    "locality_q[1]",
    "y_t[0]",
    "y_h[0]",
    "U4_drift[1]",
    "delta_m[0]",
    "I_ratio",
    "I_hE_given_V",
    "entropy",
)


def has(report: rg.Report, name: str, quantity: str) -> bool:
    """Whether a map has a quantity."""
    return any(quantity in row.estimates for row in report.maps[name].diagnostics.values())


if __name__ == "__main__":
    report = rg.load(sys.argv[1])
    names = list(dict.fromkeys(family(name) for name in report.maps))
    print("| | " + " | ".join(f"{n} ({len(members(report.maps, n))})" for n in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for quantity in QUANTITIES:
        cells: list[Estimate | str] = [pooled(report, n, quantity) if has(report, n, quantity) else "–" for n in names]
        print(f"| `{quantity}` | " + " | ".join(map(str, cells)) + " |")
    print("\n| map | verdict | because |\n|---|---|---|")
    for name, entry in report.maps.items():
        print(f"| {name} | {entry.verdict} | {entry.reason} |")
    for finding in findings(report):
        print(f"\n- {finding.sentence}")
