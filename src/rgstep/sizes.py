"""How do magnetisation and Binder's cumulant depend on size and temperature? The tables of finite-size scaling.

Of every set of configurations, of one side L at one temperature T, with m the mean over the lattice and N = L²:

    abs_m = ⟨|m|⟩,    chi = N⟨m²⟩,    U4 = 1 − ⟨m⁴⟩/(3⟨m²⟩²),    U4_slope = dU₄/dK.

In equilibrium d⟨O⟩/dK = ⟨O S⟩ − ⟨O⟩⟨S⟩ with S the sum of s s′ over all bonds, so that the slope needs no second
temperature; it is known for an `Ensemble` alone, since S is the energy that the configurations were drawn with. Errors
are those of a jackknife over 64 groups of samples. A table of other programs is a CSV file (`read_table`).
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import (
    LARGEST_PARAMETER,
    InputError,
    broken,
    checked,
    each,
    first_line,
    is_number,
    read_configurations,
    read_reals,
    shown,
)
from rgstep.ensemble import Ensemble, Level, pieces
from rgstep.estimates import Estimate, Groups, binder, estimated
from rgstep.ising import CRITICAL_TEMPERATURE, CRITICAL_WITHIN, TEMPERATURE

QUANTITIES = ("abs_m", "chi", "U4", "U4_slope")
FEWEST_IN_A_SET = 100  # of fewer samples the spread of the groups is no error
SMALLEST_ERROR = 1e-30  # its square must stay a number


class Table(NamedTuple):
    """One quantity at several sizes and temperatures, a point in each row; every field `(point,)`, float64."""

    sizes: np.ndarray
    temperatures: np.ndarray
    values: np.ndarray
    errors: np.ndarray

    def at(self, temperature: float) -> "Table":
        """Return the points at one temperature, or so near to it that a lattice of their side cannot tell."""
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(self.temperatures / temperature - 1) * self.sizes
        here = (self.temperatures == temperature) | (off <= CRITICAL_WITHIN)
        return Table(*(column[here] for column in self))


def columns(**given: ArrayLike) -> list[np.ndarray]:
    """Return the columns of a table, checked: each `(point,)`, finite, equally long, sizes and errors above 0.

    Raises:
        InputError: with the names of the columns that are not.
    """
    found = {name: read_reals(name, values).astype(np.float64) for name, values in given.items()}
    for name, column in found.items():
        if column.ndim != 1:
            message = f"{name} has shape {column.shape}: expected one number for each point, (point,)"
            raise InputError(message)
        if not (np.abs(column) <= LARGEST_PARAMETER).all():
            wrong = column[~(np.abs(column) <= LARGEST_PARAMETER)][0]
            message = f"{name} contains {wrong:.3g}: every number must be finite, at most {LARGEST_PARAMETER:g}"
            raise InputError(message)
        least = SMALLEST_ERROR if name == "errors" else 0.0
        if name in ("sizes", "errors") and (column <= least).any():
            message = f"{name} contains {column.min():.3g}: every size and every error must be above 0"
            raise InputError(message)
    if len({len(column) for column in found.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(column)}" for name, column in found.items())
        message = f"{lengths} points: each point needs all of them"
        raise InputError(message)
    return list(found.values())


def read_sets(name: str, value: Any) -> Sequence[Any]:
    """Check a list of sets of configurations."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | range) or not value:
        raise broken(name, value, "must be a list of sets of configurations, one for each size and temperature")
    return value


def read_temperatures(name: str, value: Any) -> float | tuple[float, ...]:
    """Check one temperature, or a list of them."""
    several = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if isinstance(several, list | tuple):
        return tuple(float(one) for one in each(TEMPERATURE)(name, several))
    return float(TEMPERATURE(name, value))


@checked(sets=read_sets, temperatures=read_temperatures)
def size_tables(
    sets: Sequence[Ensemble | Level | ArrayLike], temperatures: float | Sequence[float] = CRITICAL_TEMPERATURE
) -> dict[str, Table]:
    """Return the table of each of `QUANTITIES` that can be had from sets of configurations.

    Args:
        sets: an `Ensemble` for each size and temperature; or spins or hidden variables `(sample, l, l)`, ±1 or real,
            which give no slope. All of one kind.
        temperatures: of sets that do not know it, in units of J/k_B: one of all, or one of each.

    Raises:
        InputError: if there is no set, or one of them has fewer than 100 samples or is not on a square lattice.

    Examples:
        >>> tables = rg.size_tables([rg.sample(size, samples=500, seed=0) for size in (4, 8)])
        >>> list(tables)
        ['abs_m', 'chi', 'U4', 'U4_slope']
        >>> tables["U4"].sizes
        array([4., 8.])
    """
    asked = temperatures if isinstance(temperatures, Sequence) else [temperatures] * len(sets)
    if len(asked) != len(sets):
        message = f"temperatures has {len(asked)} for {len(sets)} sets: give one of all, or one of each"
        raise InputError(message)
    points: dict[str, list[tuple[float, float, Estimate]]] = {name: [] for name in QUANTITIES}
    for n, (given, T) in enumerate(zip(sets, asked, strict=True)):
        side, T, m, energies = readings(f"sets[{n}]", given, T)
        for name, estimate in moments(side, m, energies).items():
            points[name].append((side, T, estimate))
    return {name: as_table(rows) for name, rows in points.items() if len(rows) == len(sets)}


def readings(name: str, given: Any, temperature: float) -> tuple[int, float, np.ndarray, np.ndarray | None]:
    """Return L, T, m of each sample and, where the set knows it, its energy per site."""
    if isinstance(given, Ensemble):
        side, T, m, energies = given.system.size, given.system.temperature, given.magnetisations, given.energies
    else:
        source = given if isinstance(given, Level) else read_configurations(name, given)
        if isinstance(source, np.ndarray) and (source.ndim != 3 or source.shape[1] != source.shape[2]):
            message = f"{name} has shape {source.shape}: expected (sample, row, column), rows = columns"
            raise InputError(message)
        parts = [part.mean(axis=(1, 2), dtype=np.float64) for _, part in pieces(source)] if len(source) else []
        side = source.side if isinstance(source, Level) else source.shape[1]
        T, m, energies = temperature, np.concatenate([np.zeros(0), *parts]), None
    if len(m) < FEWEST_IN_A_SET:
        message = f"{name} has {len(m)} samples: an error needs at least {FEWEST_IN_A_SET}"
        raise InputError(message)
    return side, T, m, energies


def moments(side: int, m: np.ndarray, energies: np.ndarray | None) -> dict[str, Estimate]:
    """Return `QUANTITIES` from the magnetisation and, for the slope, the energy per site of every sample."""
    powers = np.stack([np.abs(m), m**2, m**4], axis=1)
    groups = Groups.of(len(m))
    abs_m, m2, m4 = groups.means(powers).T
    U4 = binder(m2, m4)
    found = {"abs_m": abs_m, "chi": side**2 * m2, "U4": U4}
    if energies is not None:
        bonds = -(side**2) * (energies - energies.mean())  # from their mean: fewer digits are lost
        S, m2S, m4S = groups.means(np.stack([bonds, m**2 * bonds, m**4 * bonds], axis=1)).T
        with np.errstate(divide="ignore", invalid="ignore"):
            found["U4_slope"] = (1 - U4) * (2 * (m2S - m2 * S) / m2 - (m4S - m4 * S) / m4)
    return {name: estimated(values) for name, values in found.items()}


def as_table(rows: Sequence[tuple[float, float, Estimate]]) -> Table:
    """Return points (L, T, estimate) as a table, in the order of L, then T."""
    ordered = sorted(rows, key=lambda row: row[:2])
    numbers = [(side, T, float(estimate.value), float(estimate.error)) for side, T, estimate in ordered]
    return Table(*np.array(numbers, np.float64).reshape(-1, 4).T)


def merged(tables: Iterable[Mapping[str, Table]]) -> dict[str, Table]:
    """Return several tables of the same quantities as one."""
    found: dict[str, list[Table]] = {}
    for some in tables:
        for name, table in some.items():
            found.setdefault(name, []).append(table)
    joined = {name: Table(*map(np.concatenate, zip(*several, strict=True))) for name, several in found.items()}
    return {name: Table(*(c[np.lexsort((table[1], table[0]))] for c in table)) for name, table in joined.items()}


def read_table(path: str | Path, quantity: str | None = None) -> dict[str, Table]:
    """Read tables from a CSV file with a header: L, value, error, and where there are several T and quantity.

    Without a column T all is at T_c; without a column quantity, `quantity` says what the values are.

    Raises:
        InputError: with the line that cannot be read, or the column that is missing.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [(name or "").strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            rows = list(reader)
    except FileNotFoundError as error:
        message = f"no file {str(path)!r}: check the name"
        raise InputError(message) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"file {str(path)!r} cannot be read as a table: {first_line(error)}"
        raise InputError(message) from error
    needed = ["L", "value", "error", *([] if quantity else ["quantity"])]
    if missing := [name for name in needed if name not in header]:
        remedy = "; without a column quantity give --quantity (quantity=…)" if missing == ["quantity"] else ""
        message = f"file {str(path)!r} has columns {shown(', '.join(header))}: {', '.join(missing)} is missing{remedy}"
        raise InputError(message)
    points: dict[str, list[tuple[float, float, Estimate]]] = {}
    for line, row in enumerate(rows, start=2):
        name, point = read_point(f"file {str(path)!r}, line {line}", row, quantity)
        points.setdefault(name, []).append(point)
    if not points:
        message = f"file {str(path)!r} has a header and no rows"
        raise InputError(message)
    return {name: as_table(rows) for name, rows in points.items()}


def read_point(where: str, row: Mapping[str, str | None], quantity: str | None) -> tuple[str, Any]:
    """Return the name of a row's quantity and its point (L, T, estimate), checked."""
    numbers = {}
    for name in ("L", "T", "value", "error"):
        text = row.get(name)
        if name == "T" and (text is None or "T" not in row or text.strip() in ("", "critical")):
            numbers[name] = CRITICAL_TEMPERATURE
            continue
        try:
            numbers[name] = float(text or "")
        except ValueError:
            numbers[name] = math.nan
        if not (is_number(numbers[name]) and math.isfinite(numbers[name])):
            message = f"{where}: {broken(name, text, 'must be a finite number')}"
            raise InputError(message)
    if numbers["L"] <= 0 or numbers["error"] <= 0:
        message = f"{where}: L = {numbers['L']:g} and error = {numbers['error']:g} must both be above 0"
        raise InputError(message)
    name = (row.get("quantity") or quantity or "").strip()
    if not name:
        message = f"{where}: the column quantity is empty"
        raise InputError(message)
    return name, (numbers["L"], numbers["T"], Estimate(numbers["value"], numbers["error"]))
