"""Configurations in text: numbers ±1 or 0/1, with or without spaces or commas between them, or + and − signs alone.

A configuration is one line of L² numbers, or L lines of L. Where a file can be read in both ways, blank lines between
the configurations decide, or the side L that the caller asks for; it is never guessed. What stands behind # or % is
comment.
"""

import math
import re
from itertools import accumulate, pairwise

import numpy as np

from rgstep.arguments import InputError, shown

COMMENT = re.compile(rb"[#%].*")
FRACTION = re.compile(rb"\.0*(?:[eE][+-]?00)?(?![^\s,;])")  # of 1.0, and of 1.000e+00 as NumPy's savetxt has it
AS_SAVETXT = b"." + 18 * b"0" + b"e+00"
JOINED = re.compile(rb"[01][01]")
APART = b" \t,;\r\f\v"  # what may stand between numbers
DOWN = b"m"  # one letter for −1
SMALLEST = 4  # side of a lattice


def spins_of_text(text: bytes, size: int | None = None) -> np.ndarray:
    """Return configurations of ±1, int8 `(sample, L, L)`.

    Args:
        text: the contents of a file.
        size: the side L, for a file that can be read in two ways.

    Raises:
        InputError: for anything else than these numbers, lines of unequal length, or a layout that is no lattice, or
            can be read in two ways.
    """
    bare = COMMENT.sub(b"", text) if b"#" in text or b"%" in text else text
    lines = without_fractions(bare).split(b"\n")
    rows = [letters(line) for line in lines]
    filled = [row for row in rows if row]
    check_letters(lines, rows)
    check_joined(lines)
    width = check_widths(rows)
    groups = group_lengths(rows)
    written = np.frombuffer(b"".join(filled), np.uint8)
    values = np.where((written == ord("1")) | (written == ord("+")), np.int8(1), np.int8(-1))
    side = side_of(width, len(filled), groups, size)
    return values.reshape(-1, side, side)


def without_fractions(text: bytes) -> bytes:
    """Return 1 for 1.0 and 1.000000000000000000e+00, which is most of the time that such a file takes."""
    short = text.replace(AS_SAVETXT, b"")
    return FRACTION.sub(b"", short) if b"." in short else short


def letters(line: bytes) -> bytes:
    """Return a line with a letter for each number: 1 and + are up, 0, m and - are down."""
    return line.translate(None, APART).replace(b"-1", DOWN).replace(b"+1", b"1")


def check_letters(lines: list[bytes], rows: list[bytes]) -> None:
    """Raise `InputError` unless all rows are of one alphabet: ±1, 0/1, or + and − signs."""
    found = set(b"".join({bytes(set(row)) for row in rows}))
    for alphabet in (b"1m", b"01", b"+-"):
        if found <= set(alphabet):
            if not found:
                message = "it holds no numbers: expected ±1 or 0/1, a configuration a line or a row a line"
                raise InputError(message)
            return
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        if not set(row) <= set(b"01m") and not set(row) <= set(b"+-"):
            raise strange(number, line)
    message = "it holds -1, 0 and 1: expected ±1 or 0/1, spins of two values"
    if found & set(b"+-"):
        message = "it holds signs without numbers beside numbers: expected ±1, 0/1, or + and - alone"
    raise InputError(message)


def check_joined(lines: list[bytes]) -> None:
    """Raise `InputError` for a line like "1 10 1", where spaces part numbers and 10 is no spin."""
    for number, line in enumerate(lines, start=1):
        if JOINED.search(line) and len(line.split()) + line.count(b",") > 1:
            raise strange(number, line)


def strange(number: int, line: bytes) -> InputError:
    """Return the error for a line that is not of spins."""
    text = line.decode("utf-8", "replace").strip()
    return InputError(f"line {number} reads {shown(text)}: expected numbers ±1 or 0/1 alone (comments start with #)")


def check_widths(rows: list[bytes]) -> int:
    """Return how many numbers each line has, or raise `InputError` if lines differ."""
    width = 0
    for number, row in enumerate(rows, start=1):
        if row and width and len(row) != width:
            message = f"line {number} has {len(row)} numbers, those before it {width}: every line must have as many"
            raise InputError(message)
        width = len(row) or width
    return width


def group_lengths(rows: list[bytes]) -> set[int]:
    """Return how many lines stand together between blank lines."""
    runs = accumulate(rows, lambda before, row: before + 1 if row else 0, initial=0)
    counts = [*runs, 0]
    return {here for here, after in pairwise(counts) if here and not after}


def side_of(width: int, lines: int, groups: set[int], size: int | None) -> int:
    """Return the side L of lattices in so many lines of so many numbers, or raise `InputError` if it is not told."""
    root = math.isqrt(width)
    a_line = root if root * root == width and root >= SMALLEST else 0  # L, if each line is a configuration
    rows = width if width >= SMALLEST and lines % width == 0 else 0  # L, if each line is a row
    if rows and len(groups) == 1 and groups == {width} and lines > width:
        return rows  # blank lines between the configurations
    found = [side for side in (a_line, rows) if side and (size is None or side == size)]
    if len(found) == 1:
        return found[0]
    told = f"{lines} lines of {width} numbers"
    if not found:
        asked = "" if size is None else f" of side {size}"
        message = f"{told}: expected L² numbers a line, or L lines of L numbers for each configuration{asked}"
        raise InputError(message)
    message = (
        f"{told} are {lines} configurations of {a_line}×{a_line} or {lines // rows} of {rows}×{rows}: say which with "
        f"--size (size=…), or put a blank line between configurations"
    )
    raise InputError(message)
