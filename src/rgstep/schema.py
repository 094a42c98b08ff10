"""What may a stored record hold? JSON read strictly, rules for records, and the checksum of what a file says.

JSON as Python reads it takes the last of two equal keys and NaN for a number; here both are errors. A record keeps a
rule for each of its entries, those of `arguments`, and has no others.
"""

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from rgstep import scratch
from rgstep.arguments import InputError, Rule, broken, unknown_name

CHECKSUM = "checksum"  # its name in a record


def parse(text: str, *, constants: bool = False) -> Any:  # whatever JSON holds
    """Return what JSON says.

    Args:
        text: the JSON.
        constants: whether NaN and Infinity are numbers, as the records beside arrays have them.

    Raises:
        InputError: for a key that is there twice, or NaN where it is no number.
        ValueError: for what is no JSON; RecursionError where it is nested too deeply.
    """

    def constant(name: str) -> float:
        if not constants:
            message = f"{name} is no number of JSON"
            raise InputError(message)
        return float(name)

    return json.loads(text, object_pairs_hook=without_twins, parse_constant=constant)


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, or raise `InputError` if a key is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        message = f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice"
        raise InputError(message)
    return found


def canonical(value: Any) -> bytes:
    """Return plain values as JSON in one way only; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the checksum of all its other entries."""
    kept = {name: value for name, value in document.items() if name != CHECKSUM}
    return {**kept, CHECKSUM: blake2b(canonical(kept), digest_size=16).hexdigest()}


def check_seal(document: Mapping[str, Any]) -> None:
    """Raise `InputError` unless a record holds what was written, by its checksum."""
    if document.get(CHECKSUM) != sealed(document)[CHECKSUM]:
        message = "it does not hold what was written, by its checksum"
        raise InputError(message)


def hash_of_arrays(arrays: Mapping[str, np.ndarray], text: Mapping[str, str] | None = None) -> str:
    """Return a hash of named arrays, their types, shapes and values, and of texts beside them."""
    hashed = blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(repr((name, array.dtype.str, np.shape(arrays[name]))).encode())
        if array.nbytes:
            flat = array.reshape(-1).view(np.uint8)
            for a, b in scratch.ranges(len(flat)):
                hashed.update(flat[a:b].data)
    if text is not None:
        hashed.update(json.dumps({name: text[name] for name in sorted(text) if name != CHECKSUM}).encode())
    return hashed.hexdigest()


# --- rules


def record(rules: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """Return the rule for a mapping with an entry for each rule, perhaps one for each optional one, and no other."""
    every = {**rules, **(optional or {})}

    def rule(name: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise broken(name, value, "must be a mapping from names to values")
        if missing := [key for key in rules if key not in value]:
            message = f"{name} has no entry {missing[0]!r}"
            raise InputError(message)
        if unknown := [key for key in value if key not in every]:
            kind = f"entry of {name}"
            raise unknown_name(kind, unknown[0], every)
        return {key: every[key](f"{name}.{key}", entry) for key, entry in value.items()}

    return rule


def by_name(rule: Rule, known: Callable[[], Mapping[str, Any]] | None = None) -> Rule:
    """Return the rule for a mapping from names, of a table where there is one, to values that keep a rule."""

    def rule_of_all(name: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise broken(name, value, "must be a mapping from names to values")
        table = None if known is None else known()
        for key in value:
            if table is not None and key not in table:
                kind = f"name in {name}"
                raise unknown_name(kind, key, table)
        return {key: rule(f"{name}.{key}", entry) for key, entry in value.items()}

    return rule_of_all


def text(name: str, value: object) -> str:
    """Check a text, which may be empty."""
    if not isinstance(value, str):
        raise broken(name, value, "must be a text")
    return value


def reading(name: str, value: object) -> float:
    """Check a number of a curve, which is NaN where nothing could be read."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise broken(name, value, "must be a number")
    return float(value)
