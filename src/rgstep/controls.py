"""Maps whose answer is known, by name: made by hand, and the untrained network.

Every table carries some of them, so that a number of a map under judgement stands beside what it is for maps that are
RG steps, for local ones that lead away from the fixed point, and for those that extract features. `KNOWN` says which
is which; why: docs/diagnostics/controls.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from rgstep.blocking import (
    Average,
    BernoulliBlock,
    CrossMajority,
    Decimation,
    FarMajority,
    Majority,
    RandomTiling,
    Scrambled,
    WindowMajority,
)
from rgstep.criteria import FEATURES, LOCAL, RG_STEP
from rgstep.nets.rbm import RBM, untrained_rbm
from rgstep.types import CoarseGraining

HAND_MADE_CLASSES = (
    Average,
    Majority,
    CrossMajority,
    WindowMajority,
    Decimation,
    BernoulliBlock,
    RandomTiling,
    FarMajority,
)
LADDER = (0.1, 0.25, 0.5, 1.0, 2.0)  # weights of the Bernoulli block: from little but noise to nearly the majority rule

HAND_MADE: Mapping[str, Callable[[int], CoarseGraining]] = MappingProxyType(
    {
        "average": lambda block: Average(block),
        "majority": lambda block: Majority(block),
        "decimation": lambda block: Decimation(block),
        "bernoulli": lambda block: BernoulliBlock(block=block),
        **{f"bernoulli_{weight}": partial(BernoulliBlock, weight) for weight in LADDER},
        "cross_majority": lambda block: CrossMajority(block),
        "window_majority": lambda block: WindowMajority(2 * block, block),
        "scrambled_majority": lambda block: Scrambled(Majority(block)),
        "random_tiling": lambda block: RandomTiling(block),
        "far_majority": lambda block: FarMajority(block),
    }
)
SHOWN = ("average", "majority", "decimation", "random_tiling")
UNTRAINED = "rbm_untrained"

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "majority": RG_STEP,
        "average": RG_STEP,  # by its sign, the majority rule
        "cross_majority": RG_STEP,
        "window_majority": RG_STEP,
        "scrambled_majority": RG_STEP,
        "bernoulli_2.0": RG_STEP,
        "bernoulli_1.0": RG_STEP,
        "bernoulli": RG_STEP,
        "decimation": LOCAL,
        **{f"bernoulli_{weight}": LOCAL for weight in LADDER if weight <= 0.5},
        "random_tiling": FEATURES,
        "far_majority": FEATURES,
        UNTRAINED: FEATURES,
    }
)


def is_control(given: object) -> bool:
    """Whether a map is one whose answer is known, whatever its settings; a scrambled one if the map within is."""
    if isinstance(given, Scrambled):
        return is_control(given.coarse)
    if isinstance(given, RBM):
        return given.origin.get("preset") == "untrained" or "control" in given.origin
    return isinstance(given, HAND_MADE_CLASSES)


def untrained_like(rbm: RBM, seed: int = 0) -> RBM:
    """Return an untrained network of the same layers and the same norm of W, √Σ W², zero biases.

    Weights grow in training, and with them every ⟨v h⟩: the null of a trained network has weights as large as its own.

    Raises:
        InputError: for a seed that is not a whole number ≥ 0.
    """
    drawn = untrained_rbm(rbm.visible, rbm.hidden, seed)
    norm = float(np.linalg.norm(rbm.weights.astype(np.float64)))
    scale = norm / float(np.linalg.norm(drawn.weights.astype(np.float64)))
    sd = norm / rbm.weights.size**0.5
    return replace(drawn, weights=drawn.weights * np.float32(scale), origin={**drawn.origin, "weights_sd": sd})
