"""A figure with its place in the report."""

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plate:
    """A figure with its place in the report: file name, section, what it shows, and whether it is a bitmap."""

    name: str
    section: str
    caption: str
    figure: Figure
    bitmap: bool = False
