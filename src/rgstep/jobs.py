"""The main job, `compare`: sample, coarse-grain by hand and by learning, measure all alike, and report.

Everything that can be wrong with a request is said before the work starts; results appear when complete. What the
other commands do is in `commands`.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from rgstep import memory, scratch
from rgstep.adapters import as_map, load_map
from rgstep.arguments import (
    COUNT,
    FLAG,
    PATH,
    PROGRESS,
    SEED,
    SIDE_OF_BLOCKS,
    InputError,
    checked,
    each,
    first_line,
    one_of,
    optional,
    read_text,
    unknown_name,
)
from rgstep.battery import judge
from rgstep.controls import (
    HAND_MADE,
    SHOWN,
    TRAINING_DATA,
    UNTRAINED,
    control_map,
    is_control,
    trained_on,
    with_nulls,
)
from rgstep.correlators import number_of_groups
from rgstep.ensemble import Ensemble
from rgstep.files import check_space, clashing, file_name, kept, said_of
from rgstep.folders import check_output, output_folder
from rgstep.instruments.decoy import decoy_test, with_decoy
from rgstep.ising import CRITICAL_TEMPERATURE, TEMPERATURE, even_side, ising
from rgstep.lattice import check_tiling
from rgstep.nets.assessment import assess, stored_assessment, with_assessment
from rgstep.nets.kernel import SharedKernel
from rgstep.nets.presets import PRESETS, settings
from rgstep.nets.rbm import RBM
from rgstep.nets.training import train_rbm
from rgstep.page import write_page
from rgstep.progress import renamed
from rgstep.report import Report, files_without_manifest
from rgstep.samplers.sample import sample
from rgstep.samplers.stream import IsingStream
from rgstep.stack import BLOCK, Stack, fitting, nulls, train_stack
from rgstep.store import (
    NETWORK_FILES,
    PLACE,
    load_configurations,
    load_network,
    load_trained,
    save_ensemble,
    save_kernel,
    save_rbm,
    save_stack,
)
from rgstep.types import Progress

PACKAGES = ("rgstep", "numpy", "scipy", "numba", "jax", "optax", "matplotlib")
PREFIX = "rbm_"
LOCALISED = "localised"  # the network of the preset `mehta2014` that comes with the package, of docs/store_localised.py
LOCALISED_FILE = Path(__file__).parent / "data" / "localised.npz"
LOCALISED_SIZE = 32  # the side it was trained at, with a hidden unit for each 2×2 block
DEFAULT_MAPS = (f"{PREFIX}default", f"{PREFIX}koch2020")
STACK = "stack"  # a stack of networks of the preset `default`; stack_koch2020 of another
SIZE, SAMPLES = 32, 20_000  # of a comparison, unless others are asked for
ON_FRESH = "default"  # the preset that trains on fresh configurations; those of the literature had fixed sets
HELD_OUT_SEED = 2**32  # added to the seed of the comparison
HELD_OUT = 4000  # configurations that no network is trained on, to assess them with
SECONDS, TEMPERATURES = 10.0, 2000  # of an assessment here; `rgstep assess` takes longer
BYTES_PER_SPIN = 5.0  # measured by tests/peak_memory.py as `judge` works: 1,100 bytes a sample at L = 8 and
BYTES_PER_SAMPLE = 800  # 1,980 at L = 16; packed spins, h as float32 and int8, sorted words, numbers of each sample
TRAINING_COPIES = 8  # matrices of the shape of W in an update: parameters, optimiser, statistics
FILES = ("report.json", "report.html", "manifest.json")
FOLDERS = ("figures", "data", "data/maps", "data/networks")
Finished: TypeAlias = tuple[Report, Ensemble, Mapping[str, object]]  # with the maps by name
ARRAYS = 32  # with an entry for each sample, at most as `judge` works, of which the long ones lie on disk
LIBRARIES = 6 * 10**8  # resident size with everything loaded and compiled


@checked(
    size=even_side,
    temperature=TEMPERATURE,
    samples=COUNT,
    block=SIDE_OF_BLOCKS,
    seed=SEED,
    maps=each(read_text),
    seeds=COUNT,
    hidden=optional(COUNT),
    steps=optional(COUNT),
    controls=each(one_of(TRAINING_DATA, "training control")),
    decoy=FLAG,
)
@dataclass(frozen=True)
class Comparison:
    """What is compared, and on which configurations.

    Attributes:
        maps: the judged maps: a preset's network ("rbm_koch2020"), a rule made by hand,
            `file.py:object`, or the file of a network.
        block: side of the blocks; networks get as many hidden units as there are blocks unless `hidden` says otherwise.
        controls: data of known answer (`controls.TRAINING_DATA`) to train one more network of each preset on.
        decoy: whether to train each preset once more on a lattice with decoys (`instruments.decoy`).
        seeds: how many networks of each preset, with seeds seed, seed + 1, …
        steps: updates of every training, instead of the preset's own.
        given: whether the configurations are the user's; all networks are then trained on these.
    """

    size: int
    temperature: float
    samples: int
    block: int
    seed: int
    maps: Sequence[str]
    seeds: int
    hidden: int | None
    steps: int | None
    controls: Sequence[str]
    decoy: bool
    given: bool = False

    @property
    def units(self) -> int:
        """The number of hidden units of a network."""
        return self.hidden if self.hidden is not None else (self.size // self.block) ** 2


@checked(
    out=PATH,
    size=optional(even_side),
    temperature=optional(TEMPERATURE),
    samples=optional(COUNT),
    data=optional(PLACE),
    array=optional(read_text),
    configurations=optional(PLACE),
    force=FLAG,
    command=read_text,
    progress=PROGRESS,
)
def compare(
    out: str | Path,
    *,
    size: int | None = None,
    temperature: float | None = None,
    samples: int | None = None,
    data: str | Path | None = None,
    array: str | None = None,
    block: int = 2,
    seed: int = 0,
    maps: Sequence[str] | None = None,
    seeds: int = 1,
    hidden: int | None = None,
    steps: int | None = None,
    controls: Sequence[str] = (),
    decoy: bool = False,
    force: bool = False,
    command: str = "rgstep.compare",
    progress: Progress | None = None,
    configurations: str | Path | None = None,
) -> Report:
    """Do the whole job and write `report.html`, `report.json`, `figures/` and `data/` into a folder.

    Args:
        out: the folder.
        size: the lattice side L; 32 by default.
        temperature: in units of J/k_B; T_c by default.
        samples: number of independent configurations; 20,000 by default.
        data: a file of given configurations in place of sampled ones, by `save` or by another program
            (`store.load_configurations`; "FILE.npz:name" names an array). Size, samples and temperature are then those
            of the file.
        array: the name of the array in it, where several hold configurations.
        block: side of the blocks.
        seed: of everything random.
        maps: what is judged beside the controls; see `Comparison`. By default networks of the presets `default` and
            `koch2020`, and at T_c and L = 32 the localised one that comes with the package.
        seeds: how many networks of each preset.
        hidden: units of a network, instead of one for each block.
        steps: updates of every training, instead of the preset's own.
        controls: data of known answer to train one more network of each preset on.
        decoy: whether to train each preset on a lattice with decoys too.
        force: replace results that are there.
        command: recorded as what was run.
        progress: called as the work goes on.
        configurations: the old name of `data`.

    Raises:
        InputError: for anything wrong with the request, before the work starts where it can be known.

    Examples:
        >>> report = rg.compare("out", size=8, samples=500, maps=["majority"])
        >>> report.maps["majority"].verdict
        'undecided'
        >>> from pathlib import Path
        >>> sorted(path.name for path in Path("out").iterdir())
        ['data', 'figures', 'manifest.json', 'report.html', 'report.json']
    """
    file = one_file(data, configurations, array)
    given = None if file is None else given_configurations(file, size, temperature, samples, array)
    side, T, number = described(given, size, temperature, samples)
    choice = (seeds, hidden, steps, controls, decoy, given is not None)
    chosen = default_maps(side, T, block) if maps is None else maps
    comparison = Comparison(side, T, number, block, seed, chosen, *choice)
    return run(comparison, Path(out), given, force=force, command=command, progress=progress)


def default_maps(size: int, temperature: float, block: int) -> Sequence[str]:
    """Return the maps of a comparison that names none: trained networks, and the stored one where it belongs."""
    belongs = (size, block) == (LOCALISED_SIZE, BLOCK) and temperature == CRITICAL_TEMPERATURE
    return (*DEFAULT_MAPS, LOCALISED) if belongs else DEFAULT_MAPS


def one_file(data: str | Path | None, old: str | Path | None, array: str | None) -> str | Path | None:
    """Return the file of given configurations, by either of its names; raises `InputError` where they contradict."""
    if data is not None and old is not None:
        message = f"data = {str(data)!r} and configurations = {str(old)!r}: these are one setting, give data alone"
        raise InputError(message)
    if data is None and old is None and array is not None:
        message = f"array = {array!r} without a file: give its configurations with --data FILE (data=…)"
        raise InputError(message)
    return old if data is None else data


def given_configurations(
    path: str | Path, size: int | None, temperature: float | None, samples: int | None, array: str | None = None
) -> Ensemble:
    """Read a user's configurations, or raise `InputError` where size or number are asked for and others."""
    ensemble = load_configurations(path, temperature, array=array, size=size)
    for name, asked, found in (("size", size, ensemble.system.size), ("samples", samples, len(ensemble))):
        if asked is not None and asked != found:
            message = f"{name} = {asked}: the configurations in {str(path)!r} have {found}; leave it out"
            raise InputError(message)
    return ensemble


def described(
    given: Ensemble | None, size: int | None, temperature: float | None, samples: int | None
) -> tuple[int, float, int]:
    """Return size, temperature and number of the given configurations, or of those to be sampled."""
    if given is not None:
        return given.system.size, given.system.temperature, len(given)
    return (
        SIZE if size is None else size,
        CRITICAL_TEMPERATURE if temperature is None else temperature,
        SAMPLES if samples is None else samples,
    )


def run(
    comparison: Comparison, out: Path, given: Ensemble | None, *, force: bool, command: str, progress: Progress | None
) -> Report:
    """Do what `compare` is asked for."""
    user_maps = check(comparison)
    check_output(out, force, FILES, FOLDERS)
    check_space(out, space_needed(comparison), "the result")
    older = files_without_manifest(out)
    finished: Finished | None = None
    try:
        with output_folder(out, force, older=older) as folder:
            finished = work(comparison, given, user_maps, command, progress)
            undrawn = write_result(folder, *finished, progress)
    except (OSError, InputError) as error:
        if finished is None:
            raise
        result = finished
        message = f"{said_of(error, out)}; {kept(lambda path: save_result(path, *result), out)}"
        raise InputError(message) from error
    if undrawn is not None:
        note = f"{first_line(undrawn)}; the numbers are in {str(out)!r}, 'rgstep report' draws the page from them"
        raise RuntimeError(note) from undrawn
    return finished[0]


def work(
    comparison: Comparison,
    given: Ensemble | None,
    user_maps: Mapping[str, object],
    command: str,
    progress: Progress | None,
) -> Finished:
    """Return the report, the configurations and the maps of a comparison."""
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    law = (comparison.size, comparison.temperature)
    ensemble = given
    if ensemble is None:
        ensemble = sample(*law, comparison.samples, comparison.seed, progress=progress)
    maps = build(comparison, ensemble, user_maps, progress)
    report = judge(ensemble, maps, comparison.seed, progress=progress)
    origin = {
        **report.origin,
        "command": command,
        "block": comparison.block,
        "started": started,
        "seconds": time.perf_counter() - clock,
        "versions": {package: version(package) for package in PACKAGES},
    }
    return replace(report, origin=origin), ensemble, maps


def write_result(
    folder: Path, report: Report, ensemble: Ensemble, maps: Mapping[str, object], progress: Progress | None = None
) -> RuntimeError | ValueError | None:
    """Write everything into an existing folder; returns what went wrong with the page, which numbers do without."""
    report.write(folder)
    save_inputs(folder / "data", ensemble, maps)
    try:
        write_page(report, folder, progress)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        return error
    return None


def save_result(out: Path, report: Report, ensemble: Ensemble, maps: Mapping[str, object]) -> None:
    """Write everything into a new folder."""
    with output_folder(out) as folder:
        write_result(folder, report, ensemble, maps)


def space_needed(comparison: Comparison) -> int:
    """Return the bytes on the disk of the configurations and the networks, which chance leaves incompressible."""
    networks = len(comparison.maps) * (comparison.seeds + 1 + len(comparison.controls))
    spins, sites = comparison.samples * comparison.size**2 // 8, comparison.size**2
    return spins + 4 * networks * sites * comparison.units


def check(comparison: Comparison) -> dict[str, object]:
    """Check the whole request; returns the user's maps by name, loaded."""
    system = ising(comparison.size, comparison.temperature)
    check_tiling(system.size, comparison.block)
    user_maps: dict[str, object] = {}
    for name in comparison.maps:
        if names_a_file(name) or name == LOCALISED:
            label, given = (LOCALISED, load_network(LOCALISED_FILE)) if name == LOCALISED else map_from_file(name)
            as_map(given, label)
            visible = visible_of(given)
            if visible not in (None, system.size**2):
                message = (
                    f"map {name!r} is a network of {visible} visible units, a lattice of side {system.size} has "
                    f"{system.size**2} sites: compare at the size that it was trained on"
                )
                raise InputError(message)
            if isinstance(given, SharedKernel):
                check_tiling(system.size, given.block)
            taken = reserved() | user_maps.keys()
            free = label == name or not (generated(label) or clashing([label], taken))
            own = label if free else name
            if own not in taken and (clash := clashing([own], taken)):
                message = f"map {name!r} and map {clash!r} would have one file {file_name(own)!r}: rename one of them"
                raise InputError(message)
            user_maps[own] = given
        elif stacked(name):
            require_stack(comparison, stacked(name))
        elif name not in HAND_MADE and preset_of(name) not in PRESETS and name != UNTRAINED:
            kind = "map"
            raise unknown_name(kind, name, reserved())
        elif preset_of(name) in PRESETS:
            settings(preset_of(name), {"steps": comparison.steps})
    check_memory(comparison)
    return user_maps


def generated(label: str) -> bool:
    """Return whether a name looks like those that are made here: `…@untrained`, `…@permuted`, `…~2`.

    A user's map of such a name is called by its whole file instead, as no name that is made ends in that.
    """
    return "@" in label or "~" in label


def visible_of(given: object) -> int | None:
    """Return how many visible units a network has, or the first of a stack; None for any other map."""
    network = given.first if isinstance(given, Stack) else given
    return network.visible if isinstance(network, RBM) else None


def stacked(name: str) -> str:
    """Return the preset of a stack that a map's name refers to, `stack` or `stack_koch2020`; "" for other names."""
    preset = "default" if name == STACK else name.removeprefix(f"{STACK}_") if name.startswith(f"{STACK}_") else ""
    return preset if preset in PRESETS else ""


def require_stack(comparison: Comparison, preset: str) -> None:
    """Raise `InputError` unless a stack of a preset can be trained for a comparison."""
    settings(preset, {"steps": comparison.steps})
    fitting(comparison.size, None)
    if comparison.block != BLOCK or comparison.hidden is not None:
        asked = f"block = {comparison.block}" if comparison.block != BLOCK else f"hidden = {comparison.hidden}"
        message = f"{asked} with a stack: its networks halve the lattice, a unit for each 2×2 block; leave it out"
        raise InputError(message)


def names_a_file(name: str) -> bool:
    """Return whether a map's name is that of a file, or of an object in one."""
    return ":" in name or name.endswith((".py", *NETWORK_FILES))


def map_from_file(name: str) -> tuple[str, object]:
    """Return a short name and the map: an object of a Python file, or a network or kernel of a file that holds one."""
    if name.endswith(NETWORK_FILES):
        return Path(name).stem, load_trained(name)
    return name.rpartition(":")[2], load_map(name)


def reserved() -> set[str]:
    """Return the names of all built-in maps."""
    stacks = (f"{STACK}_{preset}" for preset in PRESETS)
    return {*HAND_MADE, UNTRAINED, LOCALISED, *(PREFIX + preset for preset in PRESETS), STACK, *stacks}


def preset_of(name: str) -> str:
    """Return the preset that a map's name refers to; `koch2020` is short for `rbm_koch2020`."""
    return name.removeprefix(PREFIX)


def check_memory(comparison: Comparison) -> None:
    """Raise `InputError` if spins, networks and group means together would not fit."""
    request = f"comparing on {comparison.samples} samples of {comparison.size}×{comparison.size} spins"
    free = memory.available()
    step = math.lcm(2, comparison.block)
    smaller = range(max(step, 4), comparison.size, step)
    fitting = bisect_left(smaller, free, key=lambda size: bytes_needed(replace(comparison, size=size)))
    fixed = bytes_needed(comparison) - in_memory(comparison)
    fit = math.floor((free - fixed) / bytes_per_sample(comparison.size))
    few = f"at most samples = {fit} fit" if fit > 0 else ""
    small = f"size = {smaller[fitting - 1]} fits" if fitting else ""
    memory.require(bytes_needed(comparison), request, ", or ".join(filter(None, (few, small))) or "give it more memory")
    each = bytes_per_sample(comparison.size)
    on_disk = math.ceil(each * comparison.samples) - in_memory(comparison)
    scratch.require(on_disk, request, f"at most samples = {math.floor(scratch.available() / each)} fit")


def bytes_needed(comparison: Comparison) -> int:
    """Return an estimate of the peak memory of a comparison."""
    sites, units = comparison.size**2, comparison.units
    networks = 2 + comparison.seeds + len(comparison.maps) * (comparison.seeds + 1 + len(comparison.controls))
    matrices = 2 * number_of_groups(sites, units) + TRAINING_COPIES + 3 * networks
    return LIBRARIES + in_memory(comparison) + 4 * matrices * sites * units


def in_memory(comparison: Comparison) -> int:
    """Return how much of what the configurations take lies in memory; where they are many, the rest lies on disk."""
    return min(math.ceil(bytes_per_sample(comparison.size) * comparison.samples), ARRAYS * scratch.LONGEST)


def bytes_per_sample(size: int) -> float:
    """Return an estimate of the memory that each configuration takes, or the disk (`scratch`)."""
    return BYTES_PER_SPIN * size**2 + BYTES_PER_SAMPLE


def build(
    comparison: Comparison, ensemble: Ensemble, user_maps: Mapping[str, object], progress: Progress | None
) -> dict[str, object]:
    """Return every map by name: controls first, then what is judged; networks are trained here."""
    judged = [preset_of(n) if preset_of(n) in PRESETS else n for n in comparison.maps]
    by_hand = [*SHOWN, *(n for n in judged if n in HAND_MADE and n not in SHOWN)]
    layers = comparison.size, comparison.block, comparison.units
    maps = {name: control_map(name, *layers) for name in by_hand}
    for s in range(comparison.seeds):
        suffix = "" if s == 0 else f"~{s + 1}"
        maps[UNTRAINED + suffix] = control_map(UNTRAINED, *layers, comparison.seed + s)
    for preset in dict.fromkeys(n for n in judged if n in PRESETS):
        maps |= trained(preset, comparison, ensemble, progress)
    for preset in dict.fromkeys(filter(None, map(stacked, judged))):
        maps |= trained_stacks(preset, comparison, ensemble, progress)
    return with_nulls(assessed({**maps, **user_maps}, comparison, progress), comparison.seed)


def trained(preset: str, comparison: Comparison, ensemble: Ensemble, progress: Progress | None) -> dict[str, RBM]:
    """Return the networks of one preset by name: one for each seed, and one for each training control."""
    units, seed, steps = comparison.units, comparison.seed, comparison.steps
    networks = {}
    for s in range(comparison.seeds):
        suffix = "" if s == 0 else f"~{s + 1}"
        data = fresh(comparison, s) if preset == ON_FRESH and not comparison.given else ensemble
        name = PREFIX + preset + suffix
        networks[name] = train_rbm(data, units, seed + s, preset=preset, steps=steps, progress=labelled(progress, name))
    if comparison.decoy:
        stage_of = labelled(progress, f"{PREFIX}{preset} with decoys")
        test = decoy_test(ensemble, units, seed, preset=preset, steps=steps, progress=stage_of)
        networks = {name: with_decoy(rbm, test) for name, rbm in networks.items()}
    for control in comparison.controls:
        name = f"{PREFIX}{preset}@{control}"
        networks[name] = trained_on(
            control, ensemble, units, seed, preset=preset, steps=steps, progress=labelled(progress, name)
        )
    return networks


def trained_stacks(
    preset: str, comparison: Comparison, ensemble: Ensemble, progress: Progress | None
) -> dict[str, Stack]:
    """Return the stacks of one preset by name, one for each seed, and beside the first its nulls."""
    name, stacks = f"{STACK}_{preset}", {}
    for s in range(comparison.seeds):
        suffix = "" if s == 0 else f"~{s + 1}"
        data = fresh(comparison, s) if preset == ON_FRESH and not comparison.given else ensemble
        stage, seed = labelled(progress, name + suffix), comparison.seed + s
        stacks[name + suffix] = train_stack(data, seed=seed, preset=preset, steps=comparison.steps, progress=stage)
    stage = labelled(progress, f"{name}, its nulls")
    beside = nulls(stacks[name], ensemble, comparison.seed, steps=comparison.steps, progress=stage)
    return {**stacks, **{f"{name}@{null}": stack for null, stack in beside.items()}}


def fresh(comparison: Comparison, s: int) -> IsingStream:
    """Return fresh configurations for the s-th network: none that it is measured with."""
    return IsingStream(comparison.size, comparison.temperature, comparison.seed + s)


def assessed(maps: Mapping[str, object], comparison: Comparison, progress: Progress | None) -> dict[str, object]:
    """Return the maps, each trained network with its likelihood and equilibrium in its record.

    They are assessed by configurations that none of them saw; one that brings its record is not assessed again.
    """
    networks = {
        name: given
        for name, given in maps.items()
        if isinstance(given, RBM) and not is_control(given) and not stored_assessment(given, comparison.temperature)
    }
    if not networks:
        return dict(maps)
    seed, law = comparison.seed, (comparison.size, comparison.temperature)
    stage = labelled(progress, "to assess networks")
    held_out = sample(*law, HELD_OUT, seed + HELD_OUT_SEED, mode="thin", progress=stage)
    how: dict[str, Any] = {"temperatures": TEMPERATURES, "seconds": SECONDS}
    found = {}
    for name, rbm in networks.items():
        found[name] = with_assessment(rbm, assess(rbm, held_out, seed, **how, progress=labelled(progress, name)))
    return {**maps, **found}


def labelled(progress: Progress | None, name: str) -> Progress | None:
    """Return a progress whose stages begin with the map that they work on, so that each has bars of its own."""
    return renamed(progress, lambda stage: f"{name}: {stage}")


def save_inputs(folder: Path, ensemble: Ensemble, maps: Mapping[str, Any]) -> None:
    """Write the configurations and the networks beside the results, for whoever wants to go on from them."""
    save_ensemble(folder / "ensemble.npz", ensemble)
    for name, given in maps.items():
        path = folder / "networks" / f"{file_name(name)}.npz"
        if isinstance(given, RBM):
            save_rbm(path, given)
        elif isinstance(given, SharedKernel):
            save_kernel(path, given)
        elif isinstance(given, Stack) and given.trained:
            save_stack(path, given)
