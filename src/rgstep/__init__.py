"""Is this coarse graining a renormalization-group step?

Samples the two-dimensional Ising model, coarse-grains it by block spins and by trained networks, and measures both
with the same instruments. Names load when first used, so that importing the package is light.
"""

import importlib
import warnings
from typing import Any

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.2.0"

_OLD_NAMES = {  # where each old name is, and what takes its place; they go with the next release
    "save_ensemble": ("rgstep.store", "rgstep.save"),
    "save_rbm": ("rgstep.store", "rgstep.save"),
    "load_ensemble": ("rgstep.store", "rgstep.load"),
    "load_rbm": ("rgstep.store", "rgstep.load"),
    "load_report": ("rgstep.report", "rgstep.load"),
    "load_rbms": ("rgstep.nets.conversion", "rgstep.load"),
    "load_checkpoints": ("rgstep.nets.training", "rgstep.load"),
    "pattern_statistics": ("rgstep.patterns", "rgstep.patterns.pattern_statistics"),
    "pattern_correlator": ("rgstep.patterns", "rgstep.patterns.pattern_correlator"),
    "Assessment": ("rgstep.nets.assessment", "rgstep.nets.assessment.Assessment"),
    "Certificate": ("rgstep.certificate", "rgstep.certificate.Certificate"),
}


def __getattr__(name: str) -> Any:  # whatever the name stands for
    """Return a public name, loaded when first asked for; an old one with a warning."""
    if name in _OLD_NAMES:
        module, new = _OLD_NAMES[name]
        warnings.warn(f"rgstep.{name} goes with the next release: use {new}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(module), name)
    return _public(name)
