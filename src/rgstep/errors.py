"""What the user got wrong, in one line: the value, the rule and the remedy.

Every check of user input in this package raises `InputError`; the command line turns it into exit status 2.
Any other exception is a failure of ours.
"""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral


class InputError(ValueError):
    """A value from outside breaks a rule; the message names the value, the rule and, where possible, the remedy."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a table, with the nearest name that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {name!r}; {hint}known: {', '.join(names)}")


def require_positive(name: str, value: float) -> int:
    """Return `value` as an int, or raise `InputError` unless it is a whole number above zero."""
    if isinstance(value, bool) or not math.isfinite(value) or int(value) != value or value <= 0:
        message = f"{name} = {value}: must be a whole number above 0"
        raise InputError(message)
    return int(value)


def require_seed(seed: int) -> None:
    """Raise `InputError` unless the seed is a whole number ≥ 0."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        message = f"seed = {seed}: must be a whole number ≥ 0"
        raise InputError(message)
