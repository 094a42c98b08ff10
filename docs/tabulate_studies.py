"""How many networks of each temperature, number of units and length are RG steps? The table of docs/studies.md.

    python docs/tabulate_studies.py

It reads docs/studies/phase_diagram.csv, which `rgstep study collect` wrote. The figure, docs/phase_diagram.png, is its
phases.png.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rgstep.results import RG_STEP

FILE = Path(__file__).parent / "studies/phase_diagram.csv"
COLUMNS = ("temperature", "hidden", "steps")


def table() -> list[str]:
    """Return the lines of the table: RG steps of all networks, for each temperature and number of units, by length."""
    lines = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
    values = {name: list(dict.fromkeys(line[name] for line in lines)) for name in COLUMNS}
    steps, every = Counter(), Counter()
    for line in lines:
        place = tuple(line[name] for name in COLUMNS)
        every[place] += 1
        steps[place] += line["verdict"] == RG_STEP
    head = ["T of training", "hidden", *(f"{int(length):,} updates" for length in values["steps"])]
    found = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for T in values["temperature"]:
        for hidden in values["hidden"]:
            places = [(T, hidden, length) for length in values["steps"]]
            cells = [f"{float(T):.4g}", hidden, *(f"{steps[place]} of {every[place]}" for place in places)]
            found.append(f"| {' | '.join(cells)} |")
    said = (f"T = {float(T):.4g}: {share(T, steps)} of {share(T, every)}" for T in values["temperature"])
    return [*found, "", f"RG steps: {'; '.join(said)}."]


def share(T: str, counted: Mapping[tuple[str, ...], int]) -> int:
    """Return how many of the networks that were counted were trained at a temperature."""
    return sum(number for (temperature, *_), number in counted.items() if temperature == T)


if __name__ == "__main__":
    print("\n".join(table()))
