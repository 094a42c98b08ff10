"""Is this coarse graining a renormalization-group step?

Samples the two-dimensional Ising model, coarse-grains it by block spins and by trained networks, and measures both
with the same instruments. Names load when first used, so that importing the package is light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
