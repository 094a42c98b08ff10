"""Maps by name: those made by hand, and the untrained network, whose answers are known.

Every table carries them: majority and average coarse-grain as an RG step should, decimation is local but leaves the
critical surface, an untrained network shows what any filter of the data would show.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rgstep.blocking import Average, BernoulliBlock, Decimation, Majority
from rgstep.types import CoarseGraining

HAND_MADE: Mapping[str, Callable[[int], CoarseGraining]] = MappingProxyType(
    {
        "average": lambda block: Average(block),
        "majority": lambda block: Majority(block),
        "decimation": lambda block: Decimation(block),
        "bernoulli": lambda block: BernoulliBlock(block=block),
    }
)
SHOWN = ("average", "majority", "decimation")
UNTRAINED = "rbm_untrained"
