"""How figures look: style, colours, names on them, and a figure with its place in the report.

matplotlib is loaded when the first sheet is opened, here and nowhere else: who only measures does without it.
"""

import colorsys
import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

Figure: TypeAlias = Any  # of matplotlib, which is not loaded until something is drawn
Axes: TypeAlias = Any

# Told apart without full colour vision, and dark enough to be read as text on white (contrast 4.5 at least).
COLOURS = ("#0072B2", "#C2410C", "#00704F", "#A3327E", "#111111", "#806000", "#5B3FA8", "#007380")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">", "p", "h", "d", "8")
NULL = {"color": "0.55", "marker": "."}  # how networks look that saw no data, all alike
UNTRAINED = "untrained networks"  # what they are called in figures
DARK_ENOUGH = 4.5  # contrast of a colour on white, from which on its letters can be read (WCAG 2)
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

    Plates of one `group` stand side by side on the page. One that is not `inline` is written into `figures/` and only
    named on the page.
    """

    name: str
    caption: str
    figure: Figure
    bitmap: bool = False
    group: str = ""
    inline: bool = True

    @property
    def alt(self) -> str:
        """What stands for the picture where it cannot be seen: the first sentence of its caption."""
        return re.split(r"(?<=[a-z0-9)\]”²][.])\s", self.caption, maxsplit=1)[0]


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

    No two maps of the order have one colour or one marker. A map that is not in it looks as an untrained network.
    """
    if name not in order:
        return dict(NULL)
    i = list(order).index(name)
    return {"color": colour(i), "marker": MARKERS[i] if i < len(MARKERS) else f"${letter(i - len(MARKERS))}$"}


def colour(i: int) -> str:
    """Return the colour of the i-th map: of `COLOURS`, then hues a golden angle apart, each dark enough for text."""
    if i < len(COLOURS):
        return COLOURS[i]
    rgb = np.array(colorsys.hls_to_rgb((i * 0.381966) % 1.0, 0.36 - 0.05 * (i % 3), 0.75))
    while contrast(rgb) < DARK_ENOUGH:
        rgb = rgb * 0.95
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgb)


def letter(i: int) -> str:
    """Return the i-th marker after those with a shape: a … z, then a1 …."""
    turn, place = divmod(i, 26)
    return chr(ord("a") + place) + (str(turn) if turn else "")


def contrast(rgb: np.ndarray) -> float:
    """Return the contrast of a colour, three numbers from 0 to 1, on white, as WCAG 2 defines it."""
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def parted(shown: Mapping[str, Any], order: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is shown of the maps of the order, and of the untrained networks, which are not in it.

    Where nothing else is shown, untrained networks are shown as other maps are.
    """
    own = {name: value for name, value in shown.items() if name in order}
    if not own:
        return dict(shown), {}
    return own, {name: value for name, value in shown.items() if name not in order}


def null_band(axes: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Draw one grey band over the curves (x, value, error) of the untrained networks, from lowest to highest.

    Curves of other lengths than the first are left out; without a curve nothing is drawn.
    """
    alike = [curve for curve in curves if len(curve[0]) == len(curves[0][0])]
    if not alike:
        return
    low = np.fmin.reduce([y - bars(e) for _, y, e in alike])  # nothing where no curve has a value
    high = np.fmax.reduce([y + bars(e) for _, y, e in alike])
    x, y = alike[0][0], (low + high) / 2
    axes.fill_between(x, low, high, color="0.7", alpha=0.6, lw=0, zorder=0.5)
    axes.plot(x, y, color=NULL["color"], linewidth=2.0, zorder=0.6, label=UNTRAINED)


def null_span(axes: Axes, values: Sequence[float], label: str | None = UNTRAINED) -> None:
    """Draw one upright grey band over numbers of the untrained networks, from the smallest to the largest."""
    if values:
        axes.axvspan(min(values), max(values), color="0.7", alpha=0.6, lw=2, zorder=0.5, label=label)


def name_lines(axes: Axes, gap: float = 9.5) -> None:
    """Write the label of each line beside its last point, in its colour, `gap` points apart at least.

    To be called when everything is drawn and the limits of the axes are set.
    """
    ends = [(line, *last_point(line)) for line in axes.get_lines() if not line.get_label().startswith("_")]
    ends += [(box.lines[0], *last_point(box.lines[0])) for box in axes.containers if box.lines[0] is not None]
    labels = {id(box.lines[0]): box.get_label() for box in axes.containers if box.lines[0] is not None}
    right = max((x for _, x, _ in ends), default=0.0)
    axes.margins(x=0.02)
    axes.get_figure().draw_without_rendering()  # lays the axes out, and sets their limits
    points = axes.get_figure().dpi / 72
    heights = [(axes.transData.transform((x, y))[1] / points, line, y) for line, x, y in ends if np.isfinite(y)]
    wanted = sorted(heights, key=itemgetter(0))
    placed = spread(np.array([at for at, *_ in wanted]), gap)
    for to, (at, line, y) in zip(placed, wanted, strict=True):
        axes.annotate(
            labels.get(id(line), line.get_label()).strip(),
            (right, y),
            xytext=(7, to - at),
            textcoords="offset points",
            color=line.get_color() if line.get_color() != NULL["color"] else "0.35",
            size="small",
            va="center",
            annotation_clip=False,
        )


def last_point(line: Any) -> tuple[float, float]:
    """Return the last point of a line that can be drawn, NaN where it has none."""
    x, y = (np.asarray(part, dtype=float) for part in (line.get_xdata(), line.get_ydata()))
    seen = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    return (float(x[seen[-1]]), float(y[seen[-1]])) if len(seen) else (math.nan, math.nan)


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """Return places in ascending order, `gap` apart at least, as near to the wanted ones as a least-squares fit is.

    With gaps taken off, the order is one that may not fall: pool adjacent violators (Ayer et al. 1955).
    """
    pools: list[list[float]] = []
    for i, at in enumerate(wanted):
        pools.append([float(at) - i * gap, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            before, more = pools.pop()
            pools.append([(mean * count + before * more) / (count + more), count + more])
    fitted = [mean for mean, count in pools for _ in range(int(count))]
    return np.asarray(np.array(fitted) + gap * np.arange(len(wanted)))


def text(name: str) -> str:
    """Return a map's name as matplotlib must be given it: no mathematics, and shown though it begins with _."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def aside(i: int, count: int, width: float) -> float:
    """Return how far the points of one of several maps are moved aside, so that none hides another."""
    return width * ((i + 0.5) / count - 0.5) if count > 1 else 0.0


def bars(error: np.ndarray) -> np.ndarray:
    """Return errors as bars can be drawn: none where there is no error."""
    return np.asarray(np.nan_to_num(error))
