"""What the arguments of public functions must be: declared rules, checked in one place, where a call comes in.

A rule is a function of an argument's name and value. It returns the value in the one form that the code inside uses
(np.int64(8) as 8, 1e5 samples as 100000, a path as a `Path`), or raises `InputError`, one line with the name, the
value, the rule and the remedy. `checked` applies rules to the arguments of a function, a method or a dataclass:

    @checked(size=SIZE, samples=COUNT, seed=SEED)
    def sample(size, samples=20_000, seed=0): ...

Rules that look at several arguments at once, or at the values of a large array, stay in the functions.

An array without axes, of any library, counts as the number in it: np.array(8) is 8. An unknown keyword or a missing
argument is a slip in the calling code and stays Python's own TypeError.
"""

import difflib
import functools
import inspect
import math
import os
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

Rule: TypeAlias = Callable[[str, Any], Any]
Checked = TypeVar("Checked", bound=Callable[..., Any])

LARGEST_WHOLE = 2**63 - 1  # of a count: what a 64-bit integer of NumPy holds
LARGEST_SEED = 2**128 - 1  # NumPy's advice is to draw seeds of 128 bits
LARGEST_PARAMETER = 1e30  # of a float32, with room for sums of many: its own limit is 3.4e38
LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes: what file systems take
MOST_BITS = 1000  # of a whole number in a record
WIDEST = 60  # characters of a value in a message


class InputError(ValueError):
    """A value from outside breaks a rule; the message names the value, the rule and, where possible, the remedy.

    Examples:
        >>> try:
        ...     rg.sample(7)
        ... except rg.InputError as error:
        ...     print(error)
        size = 7: the lattice side must be an even whole number ≥ 4; try 8
    """


def checked(**rules: Rule) -> Callable[[Checked], Checked]:
    """Return a decorator that puts a function's arguments, or the fields of a dataclass, through their rules first.

    Only what a caller gives is checked; defaults are not. Signature and types of what is decorated stay.

    Raises:
        TypeError: where it decorates, if there is no argument of a rule's name.
    """

    def decorate(target: Checked) -> Checked:
        if isinstance(target, type):
            target.__init__ = checked(**rules)(target.__init__)  # type: ignore[misc]  # wraps the one that it has
            return target
        signature = inspect.signature(target)
        if unknown := rules.keys() - signature.parameters.keys():
            message = f"{target.__qualname__} has no arguments {sorted(unknown)}"
            raise TypeError(message)

        @functools.wraps(target)
        def call(*args: Any, **kwargs: Any) -> Any:  # the wrapped function's own
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return target(*args, **kwargs)  # Python says what is wrong with the call
            for name, value in bound.arguments.items():
                if name in rules:
                    bound.arguments[name] = rules[name](name, value)
            return target(*bound.args, **bound.kwargs)

        return cast(Checked, call)

    return decorate


# --- what messages show


def shown(value: object) -> str:
    """Return a value as it stands in a message: one line, not long, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"a whole number of about {round(value.bit_length() * math.log10(2))} digits"
    printer = reprlib.Repr()
    printer.maxstring = printer.maxother = WIDEST
    try:
        text = printer.repr(value.item() if isinstance(value, np.generic) else value)
    except Exception:  # the user's own __repr__, or Python's for 10**5000 in a list
        return f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def printable(text: str) -> str:
    """Return a text as it is printed in one line: what is no letter, a line end or an escape, as Python writes it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def broken(name: str, value: object, rule: str) -> InputError:
    """Return the error for an argument that breaks a rule: "seed = -1: must be a whole number ≥ 0"."""
    return InputError(f"{name} = {shown(value)}: {rule}")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a table, with the nearest name that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:WIDEST], names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {shown(name)}; {hint}known: {', '.join(names)}")


# --- numbers


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number of Python's or NumPy's; True and 2.0 are not."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a real number and not NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:  # 10**400
        return True


def number_in(value: object) -> object:
    """Return the number in an array without axes, of any library; anything else as it is."""
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "__array__") or isinstance(value, type):
        return value
    try:
        return np.asarray(cast(ArrayLike, value))[()]
    except Exception:  # a tensor without values, or with a gradient
        return value


def whole(least: int | None = 1, most: int = LARGEST_WHOLE, *, floats: bool = False, must: str | None = None) -> Rule:
    """Return the rule for a whole number.

    Args:
        least: the smallest that is taken; None for any.
        most: the largest that is taken.
        floats: whether 1e5 counts as one.
        must: the rule in words, where it is more than the range.
    """
    above = "" if least is None else " above 0" if least == 1 else f" ≥ {least}"
    words = must or f"must be a whole number{above}"

    def rule(name: str, value: object) -> int:
        number = number_in(value)
        if floats and isinstance(number, float | np.floating) and float(number).is_integer():
            number = int(number)
        if not is_whole(number) or (least is not None and number < least):
            raise broken(name, value, words)
        if not -most <= number <= most:
            raise broken(name, value, f"{words}, at most {shown(most) if most < 2**62 else round_power(most)}")
        return int(number)

    return rule


def round_power(most: int) -> str:
    """Return the limit 2^n − 1 in words."""
    return f"2^{most.bit_length()} - 1"


COUNT: Rule = whole(floats=True)
SIDE_OF_BLOCKS: Rule = whole(2, floats=True, must="must be a whole number from 2: a block of one is the spin itself")
SEED: Rule = whole(0, LARGEST_SEED)


def require_positive(name: str, value: object) -> int:
    """Return `value` as an int, or raise `InputError` unless it is a whole number above zero (1e5 counts as one)."""
    return cast(int, COUNT(name, value))


def require_seed(seed: object) -> None:
    """Raise `InputError` unless the seed is a whole number ≥ 0."""
    SEED("seed", seed)


def read_seeds(name: str, value: object) -> int | list[int]:
    """Check one seed, or several different ones in a sequence or an array."""
    several = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if not isinstance(several, Sequence) or isinstance(several, str | bytes):
        return cast(int, SEED(name, value))
    found = [SEED(name, one) for one in several]
    if not found or len(set(found)) < len(found):
        raise broken(name, value, "one or several different whole numbers ≥ 0")
    return found


def real(must: str, allowed: Callable[[float], bool]) -> Rule:
    """Return the rule for a real number, not NaN, that a condition allows; `must` is the rule in words."""

    def rule(name: str, value: object) -> float:
        number = number_in(value)
        try:
            found = float(number) if is_number(number) else math.nan
        except OverflowError:
            raise broken(name, value, f"{must}, below 1.8e308") from None
        if math.isnan(found) or not allowed(found):
            raise broken(name, value, must)
        return found

    return rule


def read_flag(name: str, value: object) -> bool:
    """Check a choice between True and False."""
    found = number_in(value)
    if not isinstance(found, bool | np.bool_):
        raise broken(name, value, "must be True or False")
    return bool(found)


# --- names, paths, objects


def optional(rule: Rule) -> Rule:
    """Return the rule that takes None as well."""
    return lambda name, value: None if value is None else rule(name, value)


def one_of(names: Collection[str], kind: str | None = None) -> Rule:
    """Return the rule for a name of a table; `kind` says what the names are, if the argument's own name does not."""

    def rule(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise broken(name, value, f"must be one of the names {', '.join(sorted(names))}")
        if value not in names:
            raise unknown_name(kind or name, value, names)
        return str(value)

    return rule


def read_text(name: str, value: object) -> str:
    """Check a name: text that is not empty."""
    if not isinstance(value, str) or not value:
        raise broken(name, value, "must be a name, as text")
    return value


def read_path(name: str, value: object) -> Path:
    """Check the name of a file or folder, as text or a path object."""
    try:
        text = os.fspath(value)  # type: ignore[call-overload]  # what is no path raises
        size = len(os.fsencode(text))
    except Exception:
        text, size = None, 0
    if not isinstance(text, str) or not text or "\0" in text:
        raise broken(name, value, "must be the name of a file or folder, as text or a pathlib.Path")
    found = Path(text)
    if size > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in found.parts):
        raise broken(name, value, f"must be at most {LONGEST_NAME} bytes a name and {LONGEST_PATH} in all")
    return found


def instance(kind: type | tuple[type, ...], remedy: str) -> Rule:
    """Return the rule for an object of a class; `remedy` says where to get one."""

    def rule(name: str, value: object) -> object:
        if not isinstance(value, kind):
            what = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
            message = f"{name} is {what}: {remedy}"
            raise InputError(message)
        return value

    return rule


GENERATOR: Rule = instance(np.random.Generator, "give a generator of random numbers, numpy.random.default_rng(seed)")


def each(rule: Rule) -> Rule:
    """Return the rule for a list or tuple whose entries keep another rule."""

    def rule_of_all(name: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise broken(name, value, "must be a list or tuple")
        return tuple(rule(f"{name}[{i}]", entry) for i, entry in enumerate(value))

    return rule_of_all


def mapping(must: str, rule: Rule | None = None, *, filled: bool = False) -> Rule:
    """Return the rule for a mapping from names to values that keep a rule of their own.

    Args:
        must: the rule in words.
        rule: of the values; None takes any.
        filled: whether there must be one at least, and no name without letters.
    """

    def rule_of_all(name: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) and (key or not filled) for key in value):
            raise broken(name, value, must)
        if filled and not value:
            raise broken(name, value, must)
        if rule is None:
            return value
        return {key: rule(f"{name}[{shown(key)}]", entry) for key, entry in value.items()}

    return rule_of_all


def read_plain(name: str, value: object) -> Mapping[str, Any]:
    """Check a record of plain values by name, as files hold it: texts, numbers, None, and lists and mappings of these.

    A number of NumPy becomes one of Python, an array a list.
    """
    try:
        if isinstance(value, Mapping):
            return cast(Mapping[str, Any], plain_value(value))
    except (TypeError, RecursionError):
        pass
    raise broken(name, value, "must be a mapping from names to plain values, {'source': 'my program'}")


def plain_value(value: object) -> object:
    """Return a value as JSON may hold it, or raise TypeError."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError
        return {key: plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain_value, value)) if type(value) in (list, tuple) else [*map(plain_value, value)]
    if value is None or isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() <= MOST_BITS):
        return value
    raise TypeError


def read_progress(name: str, value: object) -> Callable[..., None]:
    """Check a function that is called as work goes on."""
    rule = "must be a function of (stage, done, total, note), as rgstep.progress_bars gives"
    if isinstance(value, type) or not callable(value):
        raise broken(name, value, rule)
    try:
        inspect.signature(value).bind("stage", 0, 1, "note")
    except TypeError:
        raise broken(name, value, rule) from None
    except ValueError:  # a function of C that does not say what it takes
        pass
    return value


# --- the rules as decorators name them

SEEDS: Rule = read_seeds
FLAG: Rule = read_flag
PATH: Rule = read_path
PLAIN: Rule = read_plain
PROGRESS: Rule = optional(read_progress)
SCALE: Rule = real(f"must be a finite number ≥ 0, at most {LARGEST_PARAMETER:g}", lambda x: 0 <= x <= LARGEST_PARAMETER)


# --- arrays


def to_numpy(values: Any) -> np.ndarray:
    """Return an array of NumPy, JAX or PyTorch (on any device, with or without gradients) as a NumPy array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def first_line(error: BaseException, otherwise: str = "no message") -> str:
    """Return the first line of an exception's message."""
    return next(iter(str(error).strip().splitlines()), otherwise)


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
            found = to_numpy(value)
        except Exception as error:  # lists of unequal lengths, tensors without values
            reason = shown(first_line(error, "it cannot be read"))
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
