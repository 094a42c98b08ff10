"""Arrays from outside: of NumPy, JAX or PyTorch, or nested lists, read and checked.

The rules here are for `arguments.checked`. A tensor with gradients gives its values; a tensor without values, a masked
array, and what is no array of numbers are refused in one line.
"""

from collections.abc import Mapping

import numpy as np

from rgstep.arguments import LARGEST_PARAMETER, Rule, broken, shown
from rgstep.errors import InputError


def read_array(name: str, value: object) -> np.ndarray:
    """Check an array of numbers, of NumPy, JAX or PyTorch or in nested lists; one with gradients gives its values."""
    if isinstance(value, np.ma.MaskedArray):
        message = f"{name} is a masked array: give its values without the mask, as a plain array"
        raise InputError(message)
    if isinstance(value, np.ndarray):
        found: np.ndarray = value
    elif value is None or callable(value) or isinstance(value, str | bytes | Mapping):
        raise broken(name, value, "must be an array of numbers")
    else:
        try:
            found = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except Exception as error:  # lists of unequal lengths, tensors without values
            reason = shown((str(error).strip().splitlines() or ["it cannot be read"])[0])
            message = f"{name} is no array of numbers: {reason[1:-1]}"
            raise InputError(message) from error
    return found


def read_reals(name: str, value: object) -> np.ndarray:
    """Check an array of real numbers."""
    found = read_array(name, value)
    if found.dtype.kind not in "fiu":
        message = f"{name} has values of type {found.dtype}: expected real numbers"
        raise InputError(message)
    return found


def read_parameters(name: str, value: object) -> np.ndarray:
    """Check an array of real numbers that fit into float32; NaN and ∞ pass, as a training that exploded leaves them."""
    found = read_reals(name, value)
    large = (np.abs(found) > np.float64(LARGEST_PARAMETER)) & np.isfinite(found)
    if large.any():
        message = f"{name} contains {found[large].flat[0]:.3g}: numbers up to {LARGEST_PARAMETER:g} fit"
        raise InputError(message)
    return found


def read_configurations(name: str, value: object) -> np.ndarray:
    """Check spins, or other variables, sample axis first, as a map takes them.

    Integers are not looked at one by one, since maps are called on many pieces; of floats the smallest and the largest
    are.
    """
    found = read_array(name, value)
    if found.ndim < 2:
        message = f"{name} has shape {found.shape}: expected the sample axis first, (sample, row, column)"
        raise InputError(message)
    if found.dtype.kind not in "if":
        remedy = f"; for 0/1 arrays use {as_signed(name, value)}" if found.dtype.kind in "bu" else ""
        message = f"{name} has type {found.dtype}: spins are numbers ±1{remedy}"
        raise InputError(message)
    if (wrong := not_finite(found)) is not None:
        message = f"{name} contains {wrong:.3g}: every value must be a finite number, at most {LARGEST_PARAMETER:g}"
        raise InputError(message)
    return found


def not_finite(found: np.ndarray) -> float | None:
    """Return the first value that is not finite, or too large for float32; None if there is none.

    Integers are none. Of floats the smallest and the largest are looked at, and all only if one of these is wrong.
    """
    if found.dtype.kind != "f" or found.size == 0:
        return None
    if -LARGEST_PARAMETER <= float(found.min()) <= float(found.max()) <= LARGEST_PARAMETER:
        return None
    return float(found[~(np.abs(found) <= np.float64(LARGEST_PARAMETER))].flat[0])


def as_signed(name: str, value: object) -> str:
    """Return the code that turns 0/1 values of the given type into ±1."""
    code = name if isinstance(value, np.ndarray) else f"np.asarray({name})"
    kind = read_array(name, value).dtype.kind
    return f"2 * {code}.astype('int8') - 1" if kind in "bu" else f"2 * {code} - 1"


REALS: Rule = read_reals
PARAMETERS: Rule = read_parameters
CONFIGURATIONS: Rule = read_configurations
