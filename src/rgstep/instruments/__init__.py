"""The rows of the battery, one file and one `Instrument` each, in the order of report and page: their only list."""

from importlib import import_module

from rgstep.instruments.base import Instrument

FILES = (
    "sampling",
    "training",
    "vh_pattern",
    "spatial_correlator",
    "coherence",
    "conditional_law",
    "two_point",
    "hamiltonian",
    "mcrg",
    "drift",
    "symmetry",
    "gain",
    "information",
    "entropy",
    "kadanoff",
    "decoy",
    "tangent",
)
_found: list[Instrument] = [import_module(f"rgstep.instruments.{file}").INSTRUMENT for file in FILES]
INSTRUMENTS = {instrument.name: instrument for instrument in _found}
LOCALITY = [name for name, instrument in INSTRUMENTS.items() if instrument.decides == "locality"]
FIXED_POINT = [name for name, instrument in INSTRUMENTS.items() if instrument.decides == "fixed point"]
DECIDING = (*LOCALITY, *FIXED_POINT)
