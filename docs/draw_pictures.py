"""Draw the picture of the README from a report: python docs/draw_pictures.py runs/demo."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import rgstep as rg
from rgstep.drawing import PICTURES, Figure, sheet, text

SHOWN = ("majority", "rbm_untrained", "rbm_koch2020", "rbm_default")


def gallery(maps: Mapping[str, np.ndarray], limit: float) -> Figure:
    """Draw the first pictures of several maps, sixteen at most, one mosaic each, on one symmetric scale of ± limit."""
    with sheet(1, len(maps), size=(2.7 * len(maps) + 0.6, 2.9)) as (figure, grid):
        for axes, (name, vh) in zip(grid, maps.items(), strict=True):
            side = min(4, int(np.sqrt(len(vh))))
            framed = np.pad(vh[: side**2], ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
            rows = framed.reshape(side, side, *framed.shape[1:]).transpose(0, 2, 1, 3)
            mosaic = rows.reshape(side * framed.shape[1], -1)
            image = axes.imshow(mosaic, cmap=PICTURES, vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set_title(text(name))
            axes.set_axis_off()
        figure.colorbar(image, ax=grid, shrink=0.8, label=r"$\langle v_i h_a\rangle$")
        return figure


if __name__ == "__main__":
    report = rg.load(sys.argv[1])
    maps = {name: report.maps[name].arrays["vh_pattern"]["vh"] for name in SHOWN}
    gallery(maps, limit=1.0).savefig(Path(__file__).parent / "pictures.png", dpi=110)
