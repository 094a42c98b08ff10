"""What the user got wrong, in one line: the value, the rule and the remedy.

Every check of user input in this package raises `InputError`; the command line turns it into exit status 2.
Any other exception is a failure of ours.
"""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TypeGuard


class InputError(ValueError):
    """A value from outside breaks a rule; the message names the value, the rule and, where possible, the remedy."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a table, with the nearest name that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {name!r}; {hint}known: {', '.join(names)}")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number of Python's or NumPy's; True and 2.0 are not."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a real number and not NaN."""
    return not isinstance(value, bool) and isinstance(value, Real) and not math.isnan(value)


def require_positive(name: str, value: object) -> int:
    """Return `value` as an int, or raise `InputError` unless it is a whole number above zero (1e5 counts as one)."""
    if not is_number(value) or value % 1 != 0 or value <= 0:
        message = f"{name} = {value!r}: must be a whole number above 0"
        raise InputError(message)
    return int(value)


def require_seed(seed: object) -> None:
    """Raise `InputError` unless the seed is a whole number ≥ 0."""
    if not is_whole(seed) or seed < 0:
        message = f"seed = {seed!r}: must be a whole number ≥ 0"
        raise InputError(message)
