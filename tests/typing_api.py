"""Type-checked, never run: the public types are part of the contract."""

from pathlib import Path
from typing import assert_type

import numpy as np

import rgstep as rg

# configurations
ensemble = rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=20_000, seed=0)
assert_type(rg.CRITICAL_TEMPERATURE, float)
assert_type(ensemble, rg.Ensemble)
assert_type(rg.sample(32, (2.0, 3.0)), tuple[rg.Ensemble, ...])
assert_type(rg.ensemble_from_array(np.ones((3, 4, 4), np.int8), 2.0), rg.Ensemble)
stream = rg.IsingStream(32, 2.5, 1)

# maps
rbm = rg.train_rbm(ensemble, hidden=256, seed=0, preset="koch2020", steps=100)
assert_type(rbm, rg.RBM)
assert_type(rg.train_rbm(stream, seed=[0, 1]), list[rg.RBM])
assert_type(rg.untrained_rbm(visible=1024, hidden=256, seed=0), rg.RBM)
maps: list[rg.CoarseGraining] = [
    rg.Average(),
    rg.Majority(2),
    rg.Decimation(),
    rg.BernoulliBlock(weight=1.0),
    rg.WindowMajority(2, 4),
    rg.CrossMajority(),
    rg.FarMajority(),
    rg.RandomTiling(),
    rg.Scrambled(rg.Average()),
    rbm,
    rg.train_kernel(ensemble, "chung2020", seed=1, steps=10),
    rg.SharedKernel(np.ones((2, 2))),
]

# what is measured
assert_type(rg.visible_hidden(ensemble, rbm, connected=True), rg.Estimate)
assert_type(rg.visible_hidden(np.ones((2, 16)), np.ones((2, 4))), rg.Estimate)
two_point: rg.Estimate = rg.two_point(ensemble)
with rg.progress_bars() as progress:
    found = rg.judge(ensemble, {"rbm": rbm, "majority": rg.Majority(), "mine": np.sign}, seed=0, progress=progress)
    assert_type(found, rg.Report)
    assert_type(
        rg.compare("out", size=16, temperature=2.5, maps=["majority"], force=True, progress=progress), rg.Report
    )
assert_type(rg.judge(ensemble, {"twice": [rg.Majority(), rg.Majority()]}), rg.Report)
assert_type(rg.assess(rbm, ensemble).bennett, rg.Estimate | None)

# finite-size scaling
assert_type(rg.exponents([ensemble])["β/ν"], rg.Estimate)
assert_type(rg.power_law([8, 16], [1.0, 2.0], [0.1, 0.1]).exponent, rg.Estimate)
table = rg.size_tables([ensemble])["U4"]
assert_type(rg.crossings(*table).critical_temperature, rg.Estimate)
assert_type(rg.collapse(*table, exponent=0.0).inverse_nu, rg.Estimate)
assert_type(rg.scaling_dimensions(ensemble).epsilon.estimate, rg.Estimate)

# where iteration goes
flowed = rg.flow(rbm, "zero", steps=40)
assert_type(flowed, rg.Flow)
assert_type(flowed.z(rg.flow(rbm, ensemble)), dict[str, float])
assert_type(flowed.temperatures, rg.Temperatures)
assert_type(rg.thermometers(ensemble).is_equilibrium, bool | None)

# what is stored
for thing in (ensemble, rbm, found):
    rg.save(Path("file.npz"), thing, force=True)
assert_type(rg.load("file.npz"), rg.Ensemble | rg.RBM | rg.Stack | rg.SharedKernel | rg.Report | list[rg.RBM])

try:
    rg.load("nothing")
except rg.InputError as error:
    assert_type(error, rg.InputError)
assert_type(rg.__version__, str)
