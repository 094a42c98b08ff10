"""How figures look: style, colours, names on them, and a figure with its place in the report.

matplotlib is loaded when the first sheet is opened, here and nowhere else: who only measures does without it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Figure: TypeAlias = Any  # of matplotlib, which is not loaded until something is drawn
Axes: TypeAlias = Any

# Okabe and Ito (2008): distinguishable without full colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
STYLE = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "rgstep",
    "svg.fonttype": "path",
}
ABOVE: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 8, "fontsize": "x-small", "columnspacing": 0.9}
PICTURES = "RdBu_r"  # colours of pictures, white at 0


@dataclass(frozen=True)
class Plate:
    """A figure with its place in the report: file name, what it shows, whether it is a bitmap, and one of several.

    Plates of one `group` stand side by side on the page.
    """

    name: str
    caption: str
    figure: Figure
    bitmap: bool = False
    group: str = ""


@contextlib.contextmanager
def sheet(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float], layout: Any = "constrained", **options: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield a figure and its axes, row by row, to be drawn on in the style of this package.

    Args:
        rows: of axes.
        columns: of axes.
        size: width and height in inches.
        layout: matplotlib's layout engine.
        **options: of `Figure.subplots`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    with rc_context(STYLE):  # type: ignore[arg-type]  # matplotlib types the keys one by one
        figure = Sheet(figsize=size, layout=layout)
        yield figure, list(figure.subplots(rows, columns, squeeze=False, **options).ravel())


def legend_above(figure: Figure, axes: Sequence[Axes], columns: int = 4, **options: Any) -> None:
    """Put one legend above the axes, each label once."""
    handles = {label: h for a in axes for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=columns, **options)


def whole_ticks(axes: Axes) -> None:
    """Let the ticks of the horizontal axis be whole numbers."""
    axes.xaxis.get_major_locator().set_params(integer=True)


def plain_log_labels(axes: Axes) -> None:
    """Label the ticks of a logarithmic vertical axis as 0.2, not as 2e-01, those between decades too."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        """Labels the ticks that matplotlib would label."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            """Return the label of the tick at x, empty for one without."""
            return f"{x:g}" if super().__call__(x, pos) else ""

    axes.yaxis.set_major_formatter(Plain())
    axes.yaxis.set_minor_formatter(Plain(minor_thresholds=(1.0, 0.5)))


def look(name: str, order: Sequence[str]) -> dict[str, str]:
    """Return the colour and marker of a map: the same in every figure that is given the same order of maps.

    The ninth map has the first colour with the second marker, so that 64 maps look different.
    """
    turn, i = divmod(list(order).index(name) if name in order else 0, len(COLOURS))
    return {"color": COLOURS[i], "marker": MARKERS[(i + turn) % len(MARKERS)]}


def text(name: str) -> str:
    """Return a map's name as matplotlib must be given it: no mathematics, and shown though it begins with _."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def aside(i: int, count: int, width: float) -> float:
    """Return how far the points of one of several maps are moved aside, so that none hides another."""
    return width * ((i + 0.5) / count - 0.5) if count > 1 else 0.0


def bars(error: np.ndarray) -> np.ndarray:
    """Return errors as bars can be drawn: none where there is no error."""
    return np.asarray(np.nan_to_num(error))
