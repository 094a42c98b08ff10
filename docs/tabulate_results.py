"""Print tables of docs/results.md: python docs/tabulate_results.py [FOLDER].

Without a folder those of the reports in docs/results, which are the `report.json` of the commands on that page; the
page must hold them line by line. With the folder of a report of several seeds, its table, verdicts and findings.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import rgstep as rg
from rgstep.claims import findings, pooled
from rgstep.report import map_report
from rgstep.roles import family, members

STORED = Path(__file__).parent / "results"
MADE_BY_HAND = ("average", "majority", "decimation", "random_tiling")
LOCALISED = "rbm_mehta2014"
NEAREST = ("extended_units", "crowded_units", "field[1]", "noise_ratio_rows", "noise_ratio_columns")
NEAREST += ("shape_deviation", "gain")
BANDS = ("≤ 0.1", "≤ 0.1", "± 0.0008", "0.7 … 1.5", "0.7 … 1.5", "≤ 0.0125", "")

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


def stored(name: str) -> rg.Report:
    """Return a report of docs/results, without the arrays of its figures."""
    found = json.loads(gzip.decompress((STORED / f"{name}.json.gz").read_bytes()))
    return rg.Report(found["origin"], {key: map_report(entry, {}) for key, entry in found["maps"].items()})


def number(report: rg.Report, name: str, quantity: str) -> str:
    """Return a number of a map, or of the mean of its family, as it is printed; a dash where there is none."""
    return str(pooled(report, name, quantity)) if has(report, name, quantity) else "–"


def table(report: rg.Report, names: Sequence[str]) -> list[str]:
    """Return the lines of a table of all quantities."""
    head = " | ".join(f"{n} ({len(members(report.maps, n))})" for n in names)
    lines = [f"| | {head} |", "|---" * (len(names) + 1) + "|"]
    return lines + [f"| `{q}` | " + " | ".join(number(report, n, q) for n in names) + " |" for q in QUANTITIES]


def by_seed(report: rg.Report, name: str) -> list[str]:
    """Return the lines of a table of each network of a family: what decides on it, with the bands."""
    head = [f"`{q}`" + (f" ({band})" if band else "") for q, band in zip(NEAREST, BANDS, strict=True)]
    lines = ["| seed | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for seed, member in enumerate(members(report.maps, name)):
        rows = report.maps[member].diagnostics.values()
        found = {q: row.estimates[q].estimate for row in rows for q in NEAREST if q in row.estimates}
        lines.append(f"| {seed} | " + " | ".join(str(found[q]) for q in NEAREST) + " |")
    return lines


def tables() -> list[str]:
    """Return the lines of docs/results.md that the stored reports give."""
    return [*table(stored("demo"), MADE_BY_HAND), "", *by_seed(stored("mehta"), LOCALISED)]


def report_of(folder: str) -> None:
    """Print table, verdicts and findings of a report."""
    report = rg.load(folder)
    print("\n".join(table(report, list(dict.fromkeys(family(name) for name in report.maps)))))
    print("\n| map | verdict | because |\n|---|---|---|")
    for name, entry in report.maps.items():
        print(f"| {name} | {entry.verdict} | {entry.reason} |")
    for finding in findings(report):
        print(f"\n- {finding.sentence}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        report_of(sys.argv[1])
    else:
        print("\n".join(tables()))
