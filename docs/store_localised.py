"""Make the localised network that comes with rgstep: src/rgstep/data/localised.npz.

    python docs/store_localised.py [NETWORK.npz]

Without a file the network is trained, as `rgstep train` with the preset `mehta2014` does (L = 32, 20,000 critical
configurations of seed 0, 40,000 updates, three minutes). Its parameters are rounded to 1/1024, so that the file is
small; it is assessed on 4,000 configurations that it was not trained on.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import rgstep as rg
from rgstep.nets.assessment import with_assessment

FILE = Path(rg.__file__).parent / "data" / "localised.npz"
UNIT = 2.0**-10
COMMAND = (
    "rgstep sample critical.npz --size 32 --samples 20000 --seed 0; rgstep train critical.npz network.npz "
    "--preset mehta2014 --seed 0"
)


def rounded(array: np.ndarray) -> np.ndarray:
    """Return an array in multiples of `UNIT`."""
    return np.asarray(np.round(array / UNIT) * UNIT, np.float32)


def main() -> None:
    """Train or read the network, round it, assess it, write it."""
    data = rg.sample(32, samples=20_000, seed=0)
    rbm = rg.load(sys.argv[1]) if sys.argv[1:] else rg.train_rbm(data, 256, seed=0, preset="mehta2014")
    origin = {**rbm.origin, "rounded": UNIT, "made_by": COMMAND}
    parts = {name: rounded(getattr(rbm, name)) for name in ("weights", "visible_bias", "hidden_bias")}
    stored = replace(rbm, **parts, origin=origin)
    held_out = rg.sample(32, samples=4000, seed=2**32, mode="thin")
    print(found := rg.assess(stored, held_out, 0, temperatures=2000, seconds=10.0))
    rg.save(FILE, with_assessment(stored, found))
    print(FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
