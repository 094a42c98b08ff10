"""What do stacks do level by level, beside their nulls? The tables of docs/stacks.md.

    python docs/tabulate_stacks.py

They are made from the parts in docs/reproduce/stacks, which `rgstep reproduce stacks --out docs/reproduce` measures.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rgstep.experiments.stacks import EXPERIMENT, LABELS, STACK, kinds_of, pooled
from rgstep.parts import Part, read_part
from rgstep.results import FEATURES, LOCAL, RG_STEP, UNDECIDED

PARTS = Path(__file__).parent / "reproduce"
SHORT = {RG_STEP: "RG step", LOCAL: "local", FEATURES: "features", UNDECIDED: "undecided"}
NUMBERS = {
    16: ("y_t[0]", "y_t[1]", "y_h[0]", "y_h[1]", "delta_m[0]", "delta_m[1]", "stationarity[1]"),
    32: tuple(f"{name}[{n}]" for name in ("y_t", "y_h", "delta_m") for n in range(3)),
}
CROWDED = ("crowded_units", "crowded_units[2]")


def tables() -> list[str]:
    """Return the lines of a table for each side."""
    read = [read_part(PARTS, EXPERIMENT.measurement, settings)[0] for settings in EXPERIMENT.parts(0, False)]
    parts = [part for part in read if part is not None]
    lines = []
    for side, numbers in NUMBERS.items():
        quantities = (*CROWDED, *numbers)
        lines += [f"| stack, L = {side} | verdict | {' | '.join(quantities).replace('delta_m', 'Δ_m')} |"]
        lines += ["|---" * (2 + len(quantities)) + "|"]
        for preset in ("mehta2014", "default"):
            (found,) = (kind for kind in kinds_of(parts, preset) if kind[0].settings["size"] == side)
            lines += [line(found, name, quantities) for name in (STACK, *LABELS)]
        lines.append("")
    return lines[:-1]


def line(found: Sequence[Part], name: str, quantities: Sequence[str]) -> str:
    """Return the line of one kind of stack, or of one of its nulls."""
    said = Counter(SHORT[part.values[name]["verdict"]] for part in found)
    words = ", ".join(f"{verdict} {count}" for verdict, count in said.most_common())
    cells = [mean(found, name, quantity) for quantity in quantities]
    preset = found[0].settings["preset"]
    label = f"`{preset}`" if name == STACK else f"… {name.replace('_', ' ')}"
    return f"| {label} | {words} | {' | '.join(cells)} |"


def mean(found: Sequence[Part], name: str, quantity: str) -> str:
    """Return the mean of a number over seeds with its standard error; – where some have none."""
    if not all(quantity in part.values[name]["numbers"] for part in found):
        return "–"
    return str(pooled(found, name, quantity))


if __name__ == "__main__":
    print("\n".join(tables()))
