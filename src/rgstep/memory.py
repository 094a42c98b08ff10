"""Whether a job fits in memory, said before it starts."""

import psutil

from rgstep.arguments import InputError

SHARE = 0.8  # of what is free now; the rest is for everything else on the machine


def available() -> int:
    """Return the bytes that a job may take."""
    return int(SHARE * psutil.virtual_memory().available)


def require(needed: int, what: str, remedy: str) -> None:
    """Raise `InputError` if `needed` bytes are more than this machine has free.

    Args:
        needed: bytes.
        what: the job, the subject of the sentence: "20 samples of 8×8 spins".
        remedy: what would fit.
    """
    free = available()
    if needed > free:
        message = f"{what} would take {readable(needed)} of memory, {readable(free)} is free; {remedy}"
        raise InputError(message)


def readable(size: float) -> str:
    """Return a number of bytes as text: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
