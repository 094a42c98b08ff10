"""How long the full battery takes on six maps, row by row; training and sampling excluded.

    python benchmarks/battery.py [SIZE …] [--samples N]     default: 32 64, 20,000

Wall and CPU seconds of `rgstep.judge`, the reference majority rule included; a first judgement on a small lattice loads
and compiles what there is to compile and stands apart. Run it with nothing beside it.
"""

import argparse
import time
from collections import defaultdict

import rgstep as rg
from rgstep.adapters import as_maps
from rgstep.controls import HAND_MADE
from rgstep.instruments import INSTRUMENTS
from rgstep.instruments.base import prepare

NAMES = ("majority", "average", "decimation", "random_tiling", "scrambled_majority")


def maps(size: int) -> dict[str, object]:
    """Return five maps made by hand and an untrained network."""
    network = rg.untrained_rbm(size**2, size**2 // 4, seed=0)
    return {**{name: HAND_MADE[name](2) for name in NAMES}, "untrained network": network}


def main() -> None:
    """Time the whole, then each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[32, 64])
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    clock = time.perf_counter()
    rg.judge(rg.sample(16, rg.CRITICAL_TEMPERATURE, 200, seed=0), maps(16))
    print(f"first judgement, L = 16, 200 samples: {time.perf_counter() - clock:.1f} s")
    for size in arguments.sizes:
        ensemble = rg.sample(size, rg.CRITICAL_TEMPERATURE, arguments.samples, seed=0)
        wall, cpu = time.perf_counter(), time.process_time()
        rg.judge(ensemble, maps(size))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"L = {size}, {arguments.samples:,} samples, six maps: {wall:.1f} s wall, {cpu:.1f} s CPU")
        rows(ensemble, size)


def rows(ensemble: rg.Ensemble, size: int) -> None:
    """Print the CPU seconds of each row, summed over the maps."""
    spent: dict[str, float] = defaultdict(float)
    for name, given in maps(size).items():
        clock = time.process_time()
        subject = prepare(ensemble, as_maps(given, name), given, name)
        spent["⟨v h⟩"] += time.process_time() - clock
        for row, instrument in INSTRUMENTS.items():
            clock = time.process_time()
            instrument.measure(subject)
            spent[row] += time.process_time() - clock
    total = sum(spent.values())
    for row, seconds in sorted(spent.items(), key=lambda entry: -entry[1]):
        print(f"    {row:20s} {seconds:7.2f} s  {seconds / total:4.0%}")


if __name__ == "__main__":
    main()
