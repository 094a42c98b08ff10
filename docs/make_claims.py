"""Write docs/claims.md from stored parts: python docs/make_claims.py [FOLDER], docs/reproduce by default.

Nothing is measured. The parts in docs/reproduce are those of `rgstep reproduce all --quick` and of the full runs; a run
of `rgstep reproduce all --out docs/reproduce` measures whatever is missing there.
"""

import sys
from pathlib import Path

from rgstep.reproduction import from_stored, page

HERE = Path(__file__).parent
HEAD = """# Published claims, one by one

`rgstep reproduce list` names the claims, `rgstep reproduce NAME` tests one, `rgstep reproduce all --quick` all of
them with fewer seeds and samples. Each is measured part by part; parts are stored as they are measured, so that a run
that was killed goes on, and a part that is damaged is named and measured again. This page was made from the parts in
docs/reproduce by `python docs/make_claims.py`.

*Confirmed*, *refuted* and *undecided* follow from the rule that stands with each claim, with the errors of both
numbers. No claim is confirmed by a test that a control of another answer passes, too: decimation, a random tiling,
another temperature, networks that saw no data. Errors in brackets: of the samples, or of networks over their seeds.

The seconds are those that the parts took on two cores that were shared with four to sixteen other processes; of some
stacks of L = 16 they were not kept; the full runs of chung-kao and veiga-vicente had one core each. The processor
time of the quick runs is 10 s for p1, 9 s for swendsen1984, 13 s for wu-car-tangent, 17 s for kim-jane, 73 s for p2,
p3 and p8 together, which read the same networks, 51 s for p4, p5 and p6, which read the same flows, 55 s for p7, 68 s
for chung-kao, 73 s for veiga-vicente, and 40 s for stacks: seven minutes in all. The table has all runs, the sections
below it the longest one of each claim."""

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "reproduce"
    (HERE / "claims.md").write_text(page(from_stored(folder), HEAD), encoding="utf-8")
