"""Type-checked, never run: the public types are part of the contract."""

from typing import assert_type

import numpy as np

import rgstep as rg

ensemble = rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=20_000, seed=0)
assert_type(ensemble, rg.Ensemble)
assert_type(rg.sample(32, (2.0, 3.0)), tuple[rg.Ensemble, ...])
rbm = rg.train_rbm(ensemble, hidden=256, seed=0, preset="koch2020", steps=100)
assert_type(rbm, rg.RBM)
assert_type(rg.untrained_rbm(visible=1024, hidden=256, seed=0), rg.RBM)
maps: list[rg.CoarseGraining] = [rg.Average(), rg.Majority(), rg.Decimation(), rg.BernoulliBlock(weight=1.0), rbm]
assert_type(rg.visible_hidden(ensemble, rbm, connected=True), rg.Estimate)
assert_type(rg.visible_hidden(np.ones((2, 16)), np.ones((2, 4))), rg.Estimate)
assert_type(rg.judge(ensemble, {"rbm": rbm, "majority": rg.Majority(), "mine": np.sign}, seed=0), rg.Report)
