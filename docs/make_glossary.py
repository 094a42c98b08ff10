"""Write docs/glossary.md from the one list of symbols and names, `rgstep.glossary`: python docs/make_glossary.py."""

from collections.abc import Mapping
from pathlib import Path

from rgstep import glossary

HERE = Path(__file__).parent
HEAD = """# Glossary

What the symbols and the names of numbers mean, on the page of a report, in what is printed, and here. This page was
made from `rgstep.glossary` by `python docs/make_glossary.py`.
"""


def table(head: str, meanings: Mapping[str, str]) -> list[str]:
    """Return the lines of a table of names and what they mean."""
    lines = ["", f"| {head} | meaning |", "|---|---|"]
    return [*lines, *(f"| {cell(name)} | {cell(meaning)} |" for name, meaning in meanings.items())]


def cell(text: str) -> str:
    """Return a text as a cell of a Markdown table: a stroke or an underscore in it means itself."""
    return text.replace("|", r"\|").replace("_", r"\_")


def lines() -> list[str]:
    """Return the lines of the page."""
    numbers = {f"{number.name}, `{key}`": number.meaning for key, number in glossary.NUMBERS.items()}
    numbers = {name.replace("_", "\0"): meaning for name, meaning in numbers.items()}  # code is not escaped
    rows = [line.replace("\0", "_") for line in table("number (in report.json)", numbers)]
    return [*HEAD.splitlines(), *table("symbol", glossary.SYMBOLS), "", "## Numbers that decide", *rows]


if __name__ == "__main__":
    (HERE / "glossary.md").write_text("\n".join(lines()) + "\n", encoding="utf-8")
