"""What is a study? A file that names a grid, and the tasks that the grid is made of.

    title = "What makes a dense network local?"

    [fixed]                      # the same for all tasks
    size = 16
    preset = "mehta2014"

    [grid]                       # an axis each: every combination is a task
    temperature = [2.0, "critical", 3.0]
    steps = [1_000, 10_000]
    seed = [0, 1, 2]

A task is plain values, with the defaults written out, and its name is their hash: it is the same task in whatever file,
order or process it is met. Everything random in it comes from that hash.
"""

import hashlib
import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from rgstep.arguments import (
    COUNT,
    FLAG,
    SEED,
    InputError,
    Rule,
    broken,
    one_of,
    optional,
    read_text,
    shown,
    unknown_name,
    whole,
)
from rgstep.controls import HAND_MADE
from rgstep.ising import CRITICAL_TEMPERATURE, TEMPERATURE
from rgstep.learned import KERNEL_PRESETS
from rgstep.nets.presets import PRESETS, Training, overridden
from rgstep.parts import Measurement, Settings, canonical, key_of

TRAINED = ("rbm", "stack", "kernel")
UNTRAINED = "untrained"
MAPS = (*TRAINED, UNTRAINED, *HAND_MADE)
ONLY_OF = {"hidden": "rbm", "levels": "stack"}  # of maps that are trained
TASK = Measurement("tasks")
TABLES = ("title", "fixed", "grid", "show")
MOST_TASKS = 1_000_000


def read_temperature(name: str, value: object) -> float | str:
    """Check a temperature: a number in J/k_B, "critical", or "inf", which stays a word since JSON has no ∞."""
    if isinstance(value, str) and value not in ("critical", "inf"):
        raise broken(name, value, "must be a number in units of J/k_B, 'critical' or 'inf'")
    if value == "critical":
        return CRITICAL_TEMPERATURE
    return "inf" if value in ("inf", math.inf) else float(TEMPERATURE(name, value))


RULES: Mapping[str, Rule] = {
    "map": one_of(MAPS, "map"),
    "size": whole(4, 1024),
    "temperature": read_temperature,
    "samples": COUNT,
    "data_seed": SEED,
    "fresh": FLAG,
    "preset": read_text,
    "hidden": optional(COUNT),
    "levels": optional(COUNT),
    "seed": SEED,
    "judged_samples": COUNT,
    "judged_seed": SEED,
}
DEFAULTS: Mapping[str, Any] = {
    "map": "rbm",
    "size": 16,
    "temperature": CRITICAL_TEMPERATURE,
    "samples": 20_000,
    "data_seed": 0,
    "fresh": False,
    "preset": "default",
    "hidden": None,
    "levels": None,
    "seed": 0,
    "judged_samples": 20_000,
    "judged_seed": 1_000_000,  # configurations that no network is trained on
}


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        title: what it asks; a folder of results belongs to one title.
        fixed: values that all tasks share, as given.
        grid: the values of each axis.
        show: quantities that tables and figures show, as "row/quantity".
    """

    title: str
    fixed: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]
    show: Sequence[str] = ()

    @cached_property
    def tasks(self) -> list[dict[str, Any]]:
        """The settings of every task, in the order of the grid, the first values of all later axes first."""
        combinations = itertools.product(*self.grid.values())
        return [task({**self.fixed, **dict(zip(self.grid, values, strict=True))}) for values in combinations]

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes."""
        return tuple(self.grid)


def read_plan(path: str | Path) -> Plan:
    """Read a study's file.

    Raises:
        InputError: if the file is missing or no TOML, names an unknown axis or a value that no task takes (the nearest
            name is suggested), or has no tasks.
    """
    place = Path(path)
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"no file {str(path)!r}: give the TOML file of a study"
        raise InputError(message) from error
    except (OSError, ValueError, RecursionError) as error:
        message = f"file {str(path)!r} is no TOML: {shown(str(error))}"
        raise InputError(message) from error
    return plan_of(found)


def plan_of(found: Mapping[str, Any]) -> Plan:
    """Return the study that a mapping of plain values declares, every task of it checked.

    Raises:
        InputError: as `read_plan`.
    """
    for name in found:
        if name not in TABLES:
            kind = "entry of a study"
            raise unknown_name(kind, name, TABLES)
    title = read_text("title", found.get("title"))
    fixed, grid = table(found, "fixed"), table(found, "grid")
    for name, values in grid.items():
        axis = f"grid.{name}"
        if not isinstance(values, list) or not values:
            raise broken(axis, values, "must be a list of at least one value")
        if len({canonical(one) for one in values}) < len(values):
            raise broken(axis, values, "must be different values")
        if name in fixed:
            message = f"{name} is both fixed and an axis of the grid: leave one out"
            raise InputError(message)
    tasks = 1
    for values in grid.values():
        tasks *= len(values)
    if not grid or tasks > MOST_TASKS:
        message = f"the grid has {tasks if grid else 'no'} tasks: give axes with 1 to {MOST_TASKS:,} combinations"
        raise InputError(message)
    plan = Plan(title, fixed, grid, tuple(read_shown("show", found.get("show", []))))
    if len({key_of(TASK, one) for one in plan.tasks}) < len(plan.tasks):
        message = "two combinations of the grid are the same task: an axis has one value twice, written in two ways"
        raise InputError(message)
    return plan


def table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a table of a study's file, empty where there is none."""
    value = found.get(name, {})
    if not isinstance(value, Mapping):
        raise broken(name, value, f"must be a table, [{name}]")
    return value


def read_shown(name: str, value: object) -> list[str]:
    """Check the names of quantities."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one.count("/") == 1 for one in value):
        raise broken(name, value, 'must be a list of names "row/quantity", as "vh_pattern/crowded_units"')
    return value


def task(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of one task, checked, every default written out.

    Raises:
        InputError: for an unknown name or a value that is not taken.
    """
    known = [*RULES, *(f.name for f in fields(Training))]
    kernel = given.get("map") == "kernel"
    for name, value in given.items():
        if name not in known and not kernel:
            kind = "setting of a study"
            raise unknown_name(kind, name, known)
        if isinstance(value, Mapping | list):
            raise broken(name, value, "must be one plain value")
    found = {**DEFAULTS, **given}
    found |= {name: rule(name, found[name]) for name, rule in RULES.items()}
    for name, kind in ONLY_OF.items():
        if found[name] is not None and found["map"] in TRAINED and found["map"] != kind:
            message = f"{name} = {found[name]} with map = {found['map']!r}: only {kind} has it; leave it out"
            raise InputError(message)
    presets: Mapping[str, Any] = KERNEL_PRESETS if kernel else PRESETS
    one_of(presets, "preset")("preset", found["preset"])
    overridden(presets[found["preset"]], overrides(found))
    return dict(sorted(found.items()))


def overrides(settings: Settings) -> dict[str, Any]:
    """Return what replaces the preset's settings."""
    return {name: value for name, value in settings.items() if name not in RULES}


def training_of(settings: Settings) -> dict[str, Any]:
    """Return what decides a task's training: tasks that differ in the length of one training share it, where they can.

    With a constant learning rate 10,000 updates are the first ones of 40,000.
    """
    found = {name: value for name, value in settings.items() if not name.startswith("judged_")}
    if can_go_on(settings):
        found.pop("steps", None)
    return found


def can_go_on(settings: Settings) -> bool:
    """Whether a training is one of dense networks whose updates do not depend on how many there are to be."""
    if settings["map"] != "rbm":
        return False
    training = overridden(PRESETS[settings["preset"]], overrides(settings))
    return training.schedule == "constant" and training.tempering != "trajectory"


def steps_of(settings: Settings) -> int:
    """Return how many updates a task's training does; 0 where it has none."""
    if settings["map"] not in ("rbm", "stack"):
        return 0
    return int(overridden(PRESETS[settings["preset"]], overrides(settings)).steps)


def chains(tasks: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the tasks by their training, the shorter ones of each first: what one worker does one after another."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in tasks:
        found.setdefault(canonical(training_of(one)), []).append(one)
    return [sorted(chain, key=steps_of) for chain in found.values()]


def number_of(settings: Settings) -> int:
    """Return the seed of everything random for some settings, from their hash."""
    return int.from_bytes(hashlib.sha256(canonical(dict(settings)).encode()).digest()[:8])
