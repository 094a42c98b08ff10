"""What the exact results accept: a coupling K = J/k_BT in [0, ∞] and a whole lattice side L."""

from rgstep.arguments import is_whole
from rgstep.errors import InputError


def check_coupling(coupling: float) -> None:
    """Raise `InputError` unless 0 ≤ K ≤ ∞."""
    if not coupling >= 0:  # written so that NaN fails too
        message = f"coupling = {coupling}: K = J/k_BT must lie between 0 (T = ∞) and inf (T = 0)"
        raise InputError(message)


def check_size(size: int, smallest: int) -> None:
    """Raise `InputError` unless L is a whole number of at least `smallest`."""
    if not is_whole(size) or size < smallest:
        message = f"size = {size}: the lattice side must be a whole number ≥ {smallest}; try {smallest}"
        raise InputError(message)
