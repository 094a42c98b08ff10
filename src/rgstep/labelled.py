"""Measured numbers with labels: the rows of a report as a tree of xarray, or as one long table of pandas.

A quantity `K_nn[2]` is the quantity `K_nn` at level 2 (of the row `spatial_correlator` the number is a distance); one
without a number in brackets has none, which is level −1 in a tree and missing in a table.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rgstep.results import Diagnostic, MapReport
from rgstep.zarr_files import library

NO_LEVEL = -1
PASSED = {True: 1, False: 0, None: NO_LEVEL}
WORDS = ("verdict", "kind", "about", "reason", "fate", "fate_reason")


def split(quantity: str) -> tuple[str, int | None]:
    """Return a quantity without its level, and the level, None where it has none."""
    found = re.fullmatch(r"(.*)\[(\d+)\]", quantity)
    return (found[1], int(found[2])) if found else (quantity, None)


def texts(values: Any) -> np.ndarray:
    """Return texts as an array that files hold as texts of any length."""
    return np.array(list(values), dtype=object)


def tree_of(origin: Mapping[str, Any], maps: Mapping[str, MapReport]) -> Any:
    """Return a report as an `xarray.DataTree`: words by map in the root, and a node for each row.

    A node has `value`, `error` and `exact` as (map, quantity, level), and `passed` and `why` by map.
    """
    xarray = library("xarray", "Report.to_xarray")
    words = {name: ("map", texts(str(getattr(entry, name) or "") for entry in maps.values())) for name in WORDS}
    about = {"origin": json.dumps(dict(origin))}
    names = list(dict.fromkeys(row for entry in maps.values() for row in entry.diagnostics))
    nodes = {row: row_of(row, maps) for row in names}
    return xarray.DataTree.from_dict({"/": xarray.Dataset(words, {"map": texts(maps)}, about), **nodes})


def row_of(row: str, maps: Mapping[str, MapReport]) -> Any:
    """Return one row of all maps as an `xarray.Dataset`; NaN where a map has no such number."""
    xarray = library("xarray", "Report.to_xarray")
    found = [entry.diagnostics.get(row, Diagnostic(None, "", {})) for entry in maps.values()]
    places = [split(name) for one in found for name in one.estimates]
    quantities = list(dict.fromkeys(quantity for quantity, _ in places))
    levels = sorted({NO_LEVEL if level is None else level for _, level in places})
    numbers = np.full((3, len(found), len(quantities), len(levels)), np.nan)
    for i, one in enumerate(found):
        for name, quantity in one.estimates.items():
            base, level = split(name)
            place = i, quantities.index(base), levels.index(NO_LEVEL if level is None else level)
            exact = np.nan if quantity.exact is None else quantity.exact
            numbers[(slice(None), *place)] = float(quantity.estimate.value), float(quantity.estimate.error), exact
    meaning = {"meaning": "1 passed, 0 failed, -1 undecided, or no criterion applies"}
    axes = ("map", "quantity", "level")
    return xarray.Dataset(
        {
            **{name: (axes, values) for name, values in zip(("value", "error", "exact"), numbers, strict=True)},
            "passed": ("map", np.array([PASSED[one.passed] for one in found], np.int8), meaning),
            "why": ("map", texts(one.why for one in found)),
        },
        {"map": texts(maps), "quantity": texts(quantities), "level": np.array(levels, np.int64)},
    )


def numbers_of(entry: MapReport, row: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what the figures of a row show of one map, by name, with errors (NaN: none): its arrays, else its numbers.

    The array `x_error` holds the errors of the array `x` of the same shape.
    """
    arrays = {name: np.asarray(values) for name, values in entry.arrays.get(row, {}).items()}
    if not arrays:
        found = {name: quantity.estimate for name, quantity in entry.estimates(row).items()}
        return {name: (np.asarray(e.value), np.asarray(e.error)) for name, e in found.items()}
    errors = {
        name: arrays[f"{name}_error"]
        for name, values in arrays.items()
        if f"{name}_error" in arrays and arrays[f"{name}_error"].shape == values.shape
    }
    shown = [name for name in arrays if name.removesuffix("_error") not in errors or not name.endswith("_error")]
    return {name: (arrays[name], errors.get(name, np.full(arrays[name].shape, np.nan))) for name in shown}


def arrays_table(maps: Mapping[str, MapReport], row: str) -> Any:
    """Return what the figures of a row show as a `pandas.DataFrame`, a line for each number.

    Columns: map, array, i, j, k (where the number is in the array; missing beyond its axes), value, error.
    """
    pandas = library("pandas", "Report.numbers")
    columns = {"map": str, "array": str, "i": "Int64", "j": "Int64", "k": "Int64", "value": float, "error": float}
    parts = []
    for name, entry in maps.items():
        for key, (values, errors) in numbers_of(entry, row).items():
            places = dict(zip("ijk", np.indices(values.shape).reshape(values.ndim, values.size), strict=False))
            numbers = {"value": values.ravel().astype(float), "error": errors.ravel().astype(float)}
            lines = pandas.DataFrame({"map": [name] * values.size, "array": key, **places, **numbers})
            parts.append(lines.reindex(columns=list(columns)).astype(columns))
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=list(columns))


def table_of(maps: Mapping[str, MapReport]) -> Any:
    """Return a report as a `pandas.DataFrame`, a line for each number."""
    pandas = library("pandas", "Report.to_pandas")
    columns = ("map", "row", "quantity", "level", "value", "error", "exact", "passed")
    lines = []
    for name, entry in maps.items():
        for row, one in entry.diagnostics.items():
            for key, quantity in one.estimates.items():
                numbers = quantity.estimate.value, quantity.estimate.error, quantity.exact
                lines.append((name, row, *split(key), *numbers, one.passed))
    table = pandas.DataFrame(lines, columns=list(columns))
    kinds = {"level": "Int64", "value": float, "error": float, "exact": float, "passed": "boolean"}
    return table.astype(kinds)
