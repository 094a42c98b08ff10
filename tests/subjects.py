"""A map made ready to be measured, as `judge` makes it."""

from rgstep.adapters import as_map
from rgstep.instruments.base import prepare


def subject(ensemble, given, seed=0):
    """Return the subject that a map is to the instruments."""
    return prepare(ensemble, [as_map(given, "m")], given, "m", seed)
