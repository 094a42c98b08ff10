"""What h and its tile know of the spins around."""

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rgstep.figures import ABOVE, COLOURS, STYLE, text
from rgstep.page.plate import Plate

from rgstep.report import Diagnostic, MapReport

SECTION = "information"
CAPTION = (
    "Left: mutual information in nats with E, the spins that have a bond with a unit's tile: filled, that of the "
    "unit's draw h; hollow, that of the whole tile V, which a block map cannot exceed; bar, exact where known. The "
    "number at the right is the share that h keeps. Right: what h knows of E that its tile does not; a map that reads "
    "its tile alone lies at 0 within errors. The axis is linear in the grey strip of ±10⁻⁴. Error bars: one standard "
    "error."
)
LINEAR = 1e-4  # nats about 0
TICKS = (-0.1, -0.01, -0.001, 0, 1e-4, 0.001, 0.01, 0.1, 1)
SPARE = 0.4  # rows below and above


def plate(maps: Mapping[str, MapReport]) -> Plate | None:
    """Return I(h:E), I(V:E), their ratio and I(h:E | V) of every map that has them; None if none has."""
    rows = {name: entry.diagnostics[SECTION] for name, entry in maps.items() if SECTION in entry.diagnostics}
    rows = {name: row for name, row in rows.items() if row.estimates}
    return Plate(SECTION, SECTION, CAPTION, draw(rows)) if rows else None


def draw(rows: Mapping[str, Diagnostic]) -> Figure:
    """Draw the quantities of each map on a line of its own."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.3 + 0.34 * len(rows)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        points(left, rows, "I_VE", "I(V:E)", COLOURS[0], "none")
        points(left, rows, "I_hE", "I(h:E)", COLOURS[1], COLOURS[1])
        points(right, rows, "I_hE_given_V", None, COLOURS[1], COLOURS[1])
        for line, row in enumerate(rows.values()):
            if "I_ratio" in row.estimates:
                share = f"{float(row.estimates['I_ratio'].estimate.value):.1%}"
                left.text(1.01, line, share, transform=left.get_yaxis_transform(), va="center", size="small")
        left.text(1.01, 1.02, "kept", transform=left.transAxes, size="small")
        left.set_yticks(range(len(rows)), [text(name) for name in rows])
        left.set(xlabel="mutual information with E (nats)", ylim=(len(rows) - 1 + SPARE, -SPARE))
        left.set_xlim(min(0.0, left.get_xlim()[0]), None)
        right.set_xscale("symlog", linthresh=LINEAR)
        right.axvspan(-LINEAR, LINEAR, color="0.93", zorder=0)
        right.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        beyond = [row.estimates["I_hE_given_V"].estimate for row in rows.values() if "I_hE_given_V" in row.estimates]
        lowest = min((float(e.value) - float(np.nan_to_num(e.error)) for e in beyond), default=0.0)
        right.set(xlabel="I(h:E | V) (nats)", xticks=TICKS, xlim=(min(-3 * LINEAR, 2 * lowest), 1.0))
        left.legend(**ABOVE)
        return figure


def points(axes: Axes, rows: Mapping[str, Diagnostic], name: str, label: str | None, colour: str, inside: str) -> None:
    """Draw one quantity of each map with its error, and its exact value as a bar."""
    found = [(line, row.estimates[name]) for line, row in enumerate(rows.values()) if name in row.estimates]
    if not found:
        return
    lines = [line for line, _ in found]
    values, errors = (np.array([float(getattr(q.estimate, part)) for _, q in found]) for part in ("value", "error"))
    axes.errorbar(
        values,
        lines,
        xerr=np.nan_to_num(errors),
        fmt="o",
        color=colour,
        mfc=inside,
        markersize=5,
        capsize=2,
        label=label,
    )
    known = [(line, q.exact) for line, q in found if q.exact is not None]
    if known:
        at, heights = [x for _, x in known], [line for line, _ in known]
        axes.scatter(at, heights, marker="|", s=220, color="0.4", zorder=0, label="exact" if name == "I_hE" else None)
