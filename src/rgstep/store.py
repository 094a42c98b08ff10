"""What is stored: `save` writes it, `load` reads it back, whatever it is.

Ensembles, networks, stacks of networks and shared kernels are one `.npz` file each, versioned, written whole, checked
on reading; a report is a folder. Networks are `.safetensors` files as well, and are read from files of other programs.

Spins are stored as bits, 128 bytes for a 32×32 configuration. What is not an array (model, origin) is one JSON text
in the array `meta`.

All of them are zarr stores, too, where the name ends in `.zarr` or is a URL (`zarr_files`).

Configurations of other programs are read, too (`load_configurations`).
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile, is_zipfile

import numpy as np

from rgstep import schema
from rgstep.arguments import (
    COUNT,
    FLAG,
    PATH,
    PLAIN,
    SCALE,
    InputError,
    Rule,
    checked,
    each,
    optional,
    read_text,
    real,
    whole,
)
from rgstep.ensemble import ENSEMBLE, Ensemble, ensemble_from_array
from rgstep.files import read_sealed, reading, write_arrays
from rgstep.folders import holds
from rgstep.foreign import parted, read_configurations, refuse_array, require_same
from rgstep.ising import TEMPERATURE, Ising, even_side, ising
from rgstep.nets.conversion import load_rbms
from rgstep.nets.kernel import BIAS, KERNEL, SharedKernel
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.nets.tensor_files import SAFETENSORS, STATE_FILES, load_safetensors, load_state, save_safetensors
from rgstep.nets.training import load_checkpoints
from rgstep.packed import PackedSpins
from rgstep.report import Report, by_row, load_report, map_report
from rgstep.report_schema import SCHEMA, checked_document
from rgstep.stack import STACK, Layer, Stack
from rgstep.zarr_files import is_place, library, read_store, write_store

FORMAT = 2  # of the `.npz` files; those of format 1 have no checksum
READABLE, WITHOUT_CHECKSUM = (1, 2), (1,)
CURVE = "history_"  # begins the name of a training curve
ARRAYS = {
    "ensemble": ("bits",),
    "rbm": ("weights", "visible_bias", "hidden_bias"),
    "kernel": ("weights",),
    "stack": (),  # those of a network for each level
}
TYPES = {"bits": "u", "order": "iu", "sign": "i"}  # the kinds of NumPy's types; others are of real numbers
STORE_FORMAT = 1  # of zarr stores
DIMENSIONS = {
    "bits": ("sample", "byte"),
    "weights": ("visible", "hidden"),
    "visible_bias": ("visible",),
    "hidden_bias": ("hidden",),
    "order": ("site",),
    "sign": ("hidden",),
}
HOW_TO_UNPACK = "v = 2 * numpy.unpackbits(bits, axis=1)[:, :L*L].reshape(-1, L, L).astype('int8') - 1"
COUPLING = real("must be a number ≥ 0, J/(k_B T)", lambda x: x >= 0)
SIDE = whole(1, 2**16)
UNITS = each(whole(0))
LEVEL = schema.record({"origin": PLAIN, "dead": UNITS, "extended": UNITS, "residual": each(SCALE)})
ARCHIVES_OF_RBMS = (".h5", ".hdf5")
NETWORK_FILES = (".npz", *ARCHIVES_OF_RBMS, *STATE_FILES)
MADE_BY = {
    "ensemble": "; 'rgstep sample' writes one",
    "rbm": "; 'rgstep train' writes one",
    "stack": "; 'rgstep train --stack' writes one",
    "kernel": "; 'rgstep train --kernel' writes one",
}


def read_place(name: str, value: object) -> str | Path:
    """Check the name of a file, a folder, or a store at a URL."""
    return value if isinstance(value, str) and "://" in value and "\0" not in value else cast(Path, PATH(name, value))


PLACE: Rule = read_place


@checked(path=PLACE, force=FLAG)
def save(path: str | Path, thing: Ensemble | RBM | Stack | SharedKernel | Report, *, force: bool = False) -> None:
    """Write an ensemble, a network, a stack of networks or a shared kernel into a file, a report into a folder.

    Args:
        path: a file ending in `.npz`, for a network also in `.safetensors`; for a report a folder; for any of them a
            zarr store, `x.zarr` or a URL of fsspec.
        thing: what to write.
        force: for a report, replace one that is there. A file is replaced anyway.

    Raises:
        InputError: for anything else than these, or a path that cannot be written.

    Examples:
        >>> rg.save("set.npz", rg.sample(8, samples=100, seed=0))
        >>> rg.load("set.npz").spins.shape
        (100, 8, 8)
    """
    if is_place(path) and isinstance(thing, Ensemble | RBM | Stack | SharedKernel | Report):
        write_store(path, labelled_tree(thing))
    elif isinstance(thing, Ensemble):
        save_ensemble(path, thing)
    elif isinstance(thing, RBM):
        save_rbm(path, thing)
    elif isinstance(thing, Stack):
        save_stack(path, thing)
    elif isinstance(thing, SharedKernel):
        save_kernel(path, thing)
    elif isinstance(thing, Report):
        thing.save(path, force)
    else:
        kinds = "an Ensemble, an RBM, a Stack, a SharedKernel or a Report"
        message = f"thing is a {type(thing).__name__}: what is stored is {kinds}"
        raise InputError(message)


@checked(path=PLACE)
def load(path: str | Path) -> Ensemble | RBM | Stack | SharedKernel | Report | list[RBM]:
    """Read what `save` wrote, and what else holds networks.

    Args:
        path: a file or store of `save`; the folder of a report; a folder of checkpoints, whose networks are returned as
            a list, the first first; an HDF5 archive of the package rbms, of which the last network is returned; or
            tensors of a network in a file `.safetensors`, `.pt` or `.pth`. What such a file leaves open, whether units
            are ±1 or 0/1 and which way round W is, `rgstep.nets.tensor_files.load_state` takes.

    Raises:
        InputError: if there is nothing there, or something else, or it is damaged, or can be read in several ways.

    Examples:
        >>> rg.save("network.npz", rg.untrained_rbm(64, 16, seed=0))
        >>> rg.load("network.npz").weights.shape
        (64, 16)
    """
    if is_place(path):
        return load_store(path)
    place = Path(path)
    if place.is_dir():
        return load_report(place) if holds(place, "report.json") else load_checkpoints(place)
    if place.suffix in (*ARCHIVES_OF_RBMS, *STATE_FILES):
        return load_network(place)
    with reading(path, "is damaged"):
        return as_stored(path, *contents(path))


def as_stored(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> Ensemble | RBM | Stack | SharedKernel:
    """Return whatever a file holds."""
    if meta.get("kind") in ("rbm", "stack", "kernel"):
        return as_trained(path, meta, arrays)
    return as_ensemble(path, meta, arrays)


@checked(path=PATH, ensemble=ENSEMBLE)
def save_ensemble(path: str | Path, ensemble: Ensemble) -> None:
    """Write an ensemble, its spins as the bits they are, and all that its certificate needs."""
    write(path, *record_of(ensemble))


@checked(path=PATH)
def load_ensemble(path: str | Path) -> Ensemble:
    """Read an ensemble.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    with reading(path, "is damaged"):
        return as_ensemble(path, *contents(path))


def as_ensemble(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Ensemble:
    """Return the ensemble that a file holds."""
    rules = {"size": SIDE, "coupling": COUPLING, "origin": PLAIN, "independent": FLAG}
    check_kind(path, meta, arrays, "ensemble", rules)
    size, bits = int(meta["size"]), arrays["bits"]
    if bits.ndim != 2 or bits.shape[1] != -(-(size**2) // 8):
        message = f"file {str(path)!r} is damaged: {bits.shape} bytes of spins for a lattice of side {size}"
        raise InputError(message)
    system = Ising(ising(size, 1.0).size, float(meta["coupling"]))
    return Ensemble(PackedSpins(bits, size), system, dict(meta["origin"]), meta["independent"])


@checked(path=PATH)
def load_network(path: str | Path) -> RBM:
    """Read a network from a file of any of `NETWORK_FILES`, ours or of another program.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    place = Path(path)
    if place.suffix in ARCHIVES_OF_RBMS:
        return load_rbms(place)
    return load_state(place) if place.suffix in STATE_FILES else load_rbm(place)


@checked(path=PATH)
def load_trained(path: str | Path) -> RBM | Stack | SharedKernel:
    """Read what was trained: a network of any of `NETWORK_FILES`, a stack of networks or a shared kernel.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    if Path(path).suffix != ".npz":
        return load_network(path)
    with reading(path, "is damaged"):
        return as_trained(path, *contents(path))


def as_trained(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> RBM | Stack | SharedKernel:
    """Return the network, stack or kernel that a file holds."""
    if meta.get("kind") == "stack":
        return as_stack(path, meta, arrays)
    return (as_kernel if meta.get("kind") == "kernel" else as_network)(path, meta, arrays)


@checked(path=PLACE, temperature=optional(TEMPERATURE), array=optional(read_text), size=optional(even_side))
def load_configurations(
    path: str | Path, temperature: float | None = None, *, array: str | None = None, size: int | None = None
) -> Ensemble:
    """Read configurations from a file of `save`, or of another program: `.npy`, `.npz`, `.mat`, HDF5 or text.

    Of a file with several arrays the one is read that holds ±1 or 0/1 as `(sample, L, L)`, or as `(sample, site)` if
    none does. An array named T or temperature beside it, one number or one for each configuration, is that of the
    configurations; where it holds several, those at `temperature` are taken. The kinds of files: docs/own-data.md.

    Args:
        path: the file; "FILE.npz:name" names an array in it.
        temperature: in units of J/k_B; needed if the file has none, or several.
        array: the name of the array, where several hold configurations.
        size: the side L, for a file of text that can be read in two ways.

    Raises:
        InputError: if there are no such configurations, or more than one array of them; without a temperature, or with
            one that the file contradicts.
    """
    place, named = (path, None) if is_place(path) else parted(path)
    key = array or named
    if ours(place):
        refuse_array(str(place), key, "is an ensemble of rgstep")
        found = load_store(place) if is_place(place) else load_ensemble(place)
        if not isinstance(found, Ensemble):
            message = f"store {str(place)!r} holds a {type(found).__name__}: expected configurations"
            raise InputError(message)
        require_same(str(place), found.system.temperature, temperature)
        return found
    spins, T, key = read_configurations(Path(place), temperature, key, size)
    try:
        return ensemble_from_array(spins, T, {"source": "array", "file": Path(place).name})
    except InputError as error:
        message = f"file {str(place)!r}{key and f', array {key!r}'}: {error}"
        raise InputError(message) from error


def ours(path: str | Path) -> bool:
    """Return whether a file is of `save`, sound or not: a zarr store, or an archive with a record of what it holds."""
    if is_place(path):
        return True
    with reading(path, ""), Path(path).open("rb") as file:
        if not is_zipfile(file):
            return False
        with ZipFile(file) as archive:
            return "meta.npy" in archive.namelist()


@checked(path=PATH, rbm=NETWORK)
def save_rbm(path: str | Path, rbm: RBM) -> None:
    """Write a network with its origin and training curves, as `.npz` or `.safetensors`."""
    if Path(path).suffix == SAFETENSORS:
        save_safetensors(path, rbm)
        return
    write(path, *record_of(rbm))


@checked(path=PATH)
def load_rbm(path: str | Path) -> RBM:
    """Read a network that `save_rbm` wrote.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    if Path(path).suffix == SAFETENSORS:
        return load_safetensors(path)
    with reading(path, "is damaged"):
        return as_network(path, *contents(path))


def as_network(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> RBM:
    """Return the network that a file holds."""
    check_kind(path, meta, arrays, "rbm", {"origin": PLAIN})
    return network_in(arrays, meta["origin"])


def network_in(arrays: Mapping[str, np.ndarray], origin: Mapping[str, Any]) -> RBM:
    """Return the network that arrays are the parameters and training curves of."""
    weights, visible_bias, hidden_bias = (arrays[name] for name in ARRAYS["rbm"])
    return RBM(weights, visible_bias, hidden_bias, dict(origin), curves_in(arrays))


@checked(path=PATH, kernel=KERNEL)
def save_kernel(path: str | Path, kernel: SharedKernel) -> None:
    """Write a shared kernel with its origin and training curves."""
    write(path, *record_of(kernel))


def as_kernel(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SharedKernel:
    """Return the shared kernel that a file holds."""
    rules = {"block": COUNT, "bias": BIAS, "temperature": SCALE, "origin": PLAIN}
    check_kind(path, meta, arrays, "kernel", rules)
    kept = meta["block"], meta["bias"], meta["temperature"], dict(meta["origin"])
    return SharedKernel(arrays["weights"], *kept, curves_in(arrays))


def curves_in(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the training curves among the arrays of a file, by name."""
    names = sorted(name for name in arrays if name.startswith("history_"))
    return {name.removeprefix("history_"): arrays[name] for name in names}


@checked(path=PATH, stack=STACK)
def save_stack(path: str | Path, stack: Stack) -> None:
    """Write a stack of networks, each with its places and signs, its origin and training curves.

    Raises:
        InputError: for one whose first map is no network, or a path that cannot be written.
    """
    if not stack.trained:
        message = f"{stack!r}: only networks are stored, and not all maps of this stack are"
        raise InputError(message)
    write(path, *record_of(stack))


def as_stack(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Stack:
    """Return the stack that a file holds."""
    check_kind(path, meta, {}, "stack", {"origin": PLAIN, "levels": each(LEVEL)})
    layers = [layer_in(arrays, level, number) for number, level in enumerate(meta["levels"], start=1)]
    held = {f"level_{number}_" for number in range(1, len(layers) + 1)}
    if extra := [name for name in arrays if not any(name.startswith(start) for start in held)]:
        message = f"file {str(path)!r} is damaged: array {extra[0]!r} is of none of its {len(layers)} levels"
        raise InputError(message)
    return Stack(tuple(layers), dict(meta["origin"]))


def layer_in(arrays: Mapping[str, np.ndarray], level: Mapping[str, Any], number: int) -> Layer:
    """Return a network on a lattice, of one level of a stack."""
    start = f"level_{number}_"
    held = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
    check_arrays(held, (*ARRAYS["rbm"], "order", "sign"))
    rbm, order, sign = network_in(held, level["origin"]), held["order"], held["sign"]
    places = order.ndim == 1 and np.array_equal(np.sort(order), np.arange(rbm.hidden))
    if not places or sign.shape != (rbm.hidden,) or not np.isin(sign, (-1, 1)).all():
        message = f"order or signs of level {number} are none of {rbm.hidden} units"
        raise InputError(message)
    if not set(level["dead"]) | set(level["extended"]) <= set(range(rbm.hidden)) or len(level["residual"]) != 2:
        message = f"dead or extended units or the residual of level {number} are none of {rbm.hidden} units"
        raise InputError(message)
    return Layer(rbm, order, sign, *(tuple(level[name]) for name in ("dead", "extended", "residual")))


# --- what is written of a thing: its kind, plain values, arrays

Record = tuple[str, dict[str, Any], dict[str, np.ndarray]]


def record_of(thing: Ensemble | RBM | Stack | SharedKernel) -> Record:
    """Return what is written of something."""
    if isinstance(thing, Ensemble):
        meta = {
            "size": thing.system.size,
            "coupling": thing.system.coupling,
            "origin": dict(thing.origin),
            "independent": thing.independent,
        }
        return "ensemble", meta, {"bits": thing.packed.bits}
    if isinstance(thing, RBM):
        return "rbm", {"origin": dict(thing.origin)}, parameters_of(thing)
    if isinstance(thing, SharedKernel):
        meta = {"block": thing.block, "bias": thing.bias, "temperature": thing.temperature}
        return "kernel", {**meta, "origin": dict(thing.origin)}, {"weights": thing.weights, **curves_of(thing)}
    return record_of_stack(thing)


def record_of_stack(stack: Stack) -> Record:
    """Return what is written of a stack: its networks with their places and signs."""
    if not stack.trained:
        message = f"{stack!r}: only networks are stored, and not all maps of this stack are"
        raise InputError(message)
    arrays: dict[str, np.ndarray] = {}
    levels: list[dict[str, Any]] = []
    for number, layer in stack.networks():
        held = {**parameters_of(layer.rbm), "order": layer.order, "sign": layer.sign}
        arrays |= {f"level_{number}_{name}": values for name, values in held.items()}
        units = {"dead": list(layer.dead), "extended": list(layer.extended), "residual": list(layer.residual)}
        levels.append({"origin": dict(layer.rbm.origin), **units})
    return "stack", {"origin": dict(stack.origin), "levels": levels}, arrays


def parameters_of(rbm: RBM) -> dict[str, np.ndarray]:
    """Return the parameters and the training curves of a network by name."""
    arrays = {"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
    return {**arrays, **curves_of(rbm)}


def curves_of(thing: RBM | SharedKernel) -> dict[str, np.ndarray]:
    """Return the training curves under the names that files have for them."""
    return {f"{CURVE}{name}": values for name, values in thing.history.items()}


# --- zarr


def labelled_tree(thing: Ensemble | RBM | Stack | SharedKernel | Report) -> Any:
    """Return what is written of something as an `xarray.DataTree`, its plain values as JSON in `record`."""
    xarray = library("xarray", "a zarr store")
    if isinstance(thing, Report):
        tree = thing.to_xarray()
        tree.attrs |= {"kind": "report", "format": STORE_FORMAT, "record": json.dumps(thing.to_dict())}
        for i, (name, entry) in enumerate(thing.maps.items()):
            for row, arrays in entry.arrays.items():
                held = {key: (axes(key, values), values) for key, values in arrays.items()}
                tree[f"data/{i}/{row}"] = xarray.DataTree(xarray.Dataset(held, attrs={"map": name, "row": row}))
        return tree
    kind, meta, arrays = record_of(thing)
    held = {name: (dimensions(kind, name, arrays), values) for name, values in arrays.items()}
    about = {"kind": kind, "format": STORE_FORMAT, **({"about": HOW_TO_UNPACK} if kind == "ensemble" else {})}
    return xarray.DataTree(xarray.Dataset(held, attrs={**about, "record": json.dumps(meta)}))


def dimensions(kind: str, name: str, arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the names of the axes of an array; training curves of one length have one axis in common."""
    level = re.match(r"level_\d+_|", name)[0]  # type: ignore[index]  # which matches anything
    base, steps = name.removeprefix(level), arrays.get(f"{level}{CURVE}step")
    if base == "weights" and kind == "kernel":
        return ("row", "column")
    if base in DIMENSIONS:
        return tuple(level + axis for axis in DIMENSIONS[base])
    if steps is not None and arrays[name].shape == steps.shape and steps.ndim == 1:
        return (f"{level}reading",)
    return axes(name, arrays[name])


def axes(name: str, values: np.ndarray) -> tuple[str, ...]:
    """Return names for the axes of an array that has none of its own."""
    return tuple(f"{name}_axis_{i}" for i in range(np.ndim(values)))


@checked(path=PLACE)
def load_store(path: str | Path) -> Ensemble | RBM | Stack | SharedKernel | Report:
    """Read what `save` wrote into a zarr store.

    Raises:
        InputError: if there is none, or a damaged one, or one of another program.
    """
    attributes, arrays = read_store(path)
    with reading(path, "is damaged", "store"):
        kind, version, record = (attributes.get(name) for name in ("kind", "format", "record"))
        if version != STORE_FORMAT or not isinstance(record, str):
            message = f"it holds {kind} of format {version}; format {STORE_FORMAT} is read"
            raise InputError(message)
        if kind == "report":
            return report_in(path, record, arrays)
        return as_stored(path, {**schema.parse(record, constants=True), "kind": kind, "format": FORMAT}, arrays)


def report_in(path: str | Path, record: str, arrays: Mapping[str, np.ndarray]) -> Report:
    """Return the report of a store, from its document and the arrays behind its figures."""
    document = checked_document(path, record)
    maps = {}
    for i, (name, entry) in enumerate(document["maps"].items()):
        start = f"data/{i}/"
        held = {key.removeprefix(start): values for key, values in arrays.items() if key.startswith(start)}
        maps[name] = map_report(entry, by_row(held, SCHEMA, document["origin"]))
    return Report(document["origin"], maps)


# --- npz


def write(path: str | Path, kind: str, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and plain values under a kind and a format number."""
    target = Path(path)
    check_name(target)
    text = json.dumps({"kind": kind, "format": FORMAT, **meta})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(target, {"meta": np.array(text), **arrays})
    except OSError as error:
        message = f"file {str(path)!r} cannot be written: {error.strerror}"
        raise InputError(message) from error


def check_name(path: Path) -> None:
    """Raise `InputError` unless a file name ends in .npz."""
    if path.suffix != ".npz":
        message = f"file {str(path)!r}: the name must end in .npz"
        raise InputError(message)


def contents(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the plain values and the arrays of a file."""
    arrays, sealed = read_sealed(Path(path))
    if "meta" not in arrays:
        message = f"file {str(path)!r} is not an rgstep file, or is damaged: it has no record of what it holds"
        raise InputError(message)
    meta = PLAIN("record", schema.parse(str(arrays.pop("meta")), constants=True))
    if not sealed and meta.get("format") not in WITHOUT_CHECKSUM:
        message = f"file {str(path)!r} is damaged: it has lost its checksum"
        raise InputError(message)
    return meta, arrays


def check_kind(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kind: str, rules: Mapping[str, Rule]
) -> None:
    """Raise `InputError` unless a file is of one kind, its record keeps its rules and it has the arrays of its kind."""
    if meta.get("kind") != kind or meta.get("format") not in READABLE:
        found = f"{meta.get('kind')} of format {meta.get('format')}"
        message = f"file {str(path)!r} holds {found}; expected {kind} of format 1 to {FORMAT}{MADE_BY.get(kind, '')}"
        raise InputError(message)
    schema.record({"kind": schema.text, "format": whole(1), **rules})("record", meta)
    check_arrays(arrays, ARRAYS[kind])


def check_arrays(arrays: Mapping[str, np.ndarray], needed: Collection[str]) -> None:
    """Raise `InputError` unless there are the arrays of a kind, and beside them none but training curves."""
    if missing := [name for name in needed if name not in arrays]:
        message = f"it has no array {missing[0]!r}"
        raise InputError(message)
    for name, array in arrays.items():
        if name not in needed and (needed == ARRAYS["ensemble"] or not name.startswith(CURVE)):
            message = f"its array {name!r} is none of {', '.join(needed)}"
            raise InputError(message)
        kinds = TYPES.get(name, "fiu" if name.startswith(CURVE) else "f")
        if array.dtype.kind not in kinds:
            message = f"its array {name!r} is of type {array.dtype}"
            raise InputError(message)
