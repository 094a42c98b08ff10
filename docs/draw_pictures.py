"""Draw the picture of the README from a report: python docs/draw_pictures.py runs/demo."""

import sys
from pathlib import Path

import rgstep as rg
from rgstep import figures

SHOWN = ("majority", "rbm_untrained", "rbm_koch2020", "rbm_default")

if __name__ == "__main__":
    report = rg.load_report(sys.argv[1])
    maps = {name: report.maps[name].arrays["vh"] for name in SHOWN}
    figures.gallery(maps, limit=1.0).savefig(Path(__file__).parent / "pictures.png", dpi=110)
