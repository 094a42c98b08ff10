"""Print the peak of the resident memory, in bytes, of one job: `peak_memory.py JOB SIZE SAMPLES [all in memory]`."""

import resource
import sys

import rgstep as rg
from rgstep import scratch
from rgstep.controls import HAND_MADE, SHOWN


def main():
    """Do the job and print the peak."""
    job, size, samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if sys.argv[4:]:
        scratch.LONGEST = 2**40
    ensemble = rg.sample(size, samples=samples, mode="thin", seed=1)
    if job == "train":
        rg.train_rbm(ensemble, 16, steps=20)
    if job == "judge":
        maps = {name: HAND_MADE[name](2) for name in SHOWN}
        rg.judge(ensemble, {**maps, "rbm_untrained": rg.untrained_rbm(size**2, size**2 // 4)})
    sys.stdout.write(f"{1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")


if __name__ == "__main__":
    main()
