"""What is stored: `save` writes it, `load` reads it back, whatever it is.

Ensembles, networks, stacks of networks and shared kernels are one `.npz` file each, versioned, written whole, checked
on reading; a report is a folder. Networks are `.safetensors` files as well, and are read from files of other programs.

Spins are stored as bits, 128 bytes for a 32×32 configuration. What is not an array (model, origin) is one JSON text
in the array `meta`.

Configurations of another program are read from a plain `.npy` or `.npz` file, too (`load_configurations`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rgstep.arguments import FLAG, PATH, InputError, checked, optional
from rgstep.ensemble import ENSEMBLE, Ensemble, ensemble_from_array
from rgstep.files import read_arrays, write_arrays
from rgstep.folders import holds
from rgstep.ising import TEMPERATURE, Ising, ising
from rgstep.nets.conversion import load_rbms
from rgstep.nets.kernel import KERNEL, SharedKernel
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.nets.tensor_files import SAFETENSORS, STATE_FILES, load_safetensors, load_state, save_safetensors
from rgstep.nets.training import load_checkpoints
from rgstep.packed import PackedSpins
from rgstep.report import Report, load_report
from rgstep.stack import STACK, Layer, Stack

FORMAT = 1
ARCHIVES_OF_RBMS = (".h5", ".hdf5")
NETWORK_FILES = (".npz", *ARCHIVES_OF_RBMS, *STATE_FILES)
TEMPERATURES = {"temp", "temps", "temperature", "temperatures"}  # names of arrays of them, in any case, and T
SAME_TEMPERATURE = 1e-5  # relative: files hold float32, and users type six digits
MADE_BY = {
    "ensemble": "; 'rgstep sample' writes one",
    "rbm": "; 'rgstep train' writes one",
    "stack": "; 'rgstep train --stack' writes one",
    "kernel": "; 'rgstep train --kernel' writes one",
}


@checked(path=PATH, force=FLAG)
def save(path: str | Path, thing: Ensemble | RBM | Stack | SharedKernel | Report, *, force: bool = False) -> None:
    """Write an ensemble, a network, a stack of networks or a shared kernel into a file, a report into a folder.

    Args:
        path: a file ending in `.npz`, for a network also in `.safetensors`; for a report a folder.
        thing: what to write.
        force: for a report, replace one that is there. A file is replaced anyway.

    Raises:
        InputError: for anything else than these, or a path that cannot be written.
    """
    if isinstance(thing, Ensemble):
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


@checked(path=PATH)
def load(path: str | Path) -> Ensemble | RBM | Stack | SharedKernel | Report | list[RBM]:
    """Read what `save` wrote, and what else holds networks.

    Args:
        path: a file of `save`; the folder of a report; a folder of checkpoints, whose networks are returned as a list,
            the first first; an HDF5 archive of the package rbms, of which the last network is returned; or tensors of
            a network in a file `.safetensors`, `.pt` or `.pth`. What such a file leaves open, whether units are ±1 or
            0/1 and which way round W is, `rgstep.nets.tensor_files.load_state` takes.

    Raises:
        InputError: if there is nothing there, or something else, or it is damaged, or can be read in several ways.
    """
    place = Path(path)
    if place.is_dir():
        return load_report(place) if holds(place, "report.json") else load_checkpoints(place)
    if place.suffix in (*ARCHIVES_OF_RBMS, *STATE_FILES):
        return load_network(place)
    with damaged(path):
        meta, arrays = contents(path)
        if meta.get("kind") in ("rbm", "stack", "kernel"):
            return as_trained(path, meta, arrays)
        return as_ensemble(path, meta, arrays)


@checked(path=PATH, ensemble=ENSEMBLE)
def save_ensemble(path: str | Path, ensemble: Ensemble) -> None:
    """Write an ensemble, its spins as the bits they are, and all that its certificate needs."""
    meta = {
        "size": ensemble.system.size,
        "coupling": ensemble.system.coupling,
        "origin": dict(ensemble.origin),
        "independent": ensemble.independent,
    }
    write(path, "ensemble", meta, {"bits": ensemble.packed.bits})


@checked(path=PATH)
def load_ensemble(path: str | Path) -> Ensemble:
    """Read an ensemble.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    with damaged(path):
        return as_ensemble(path, *contents(path))


def as_ensemble(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Ensemble:
    """Return the ensemble that a file holds."""
    check_kind(path, meta, arrays, "ensemble", ("bits",))
    size, bits = int(meta["size"]), arrays["bits"]
    if bits.ndim != 2 or bits.shape[1] != -(-(size**2) // 8):
        message = f"file {str(path)!r} is damaged: {bits.shape} bytes of spins for a lattice of side {size}"
        raise InputError(message)
    system = Ising(ising(size, 1.0).size, float(meta["coupling"]))
    return Ensemble(PackedSpins(bits, size), system, dict(meta["origin"]), bool(meta["independent"]))


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
    with damaged(path):
        return as_trained(path, *contents(path))


def as_trained(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> RBM | Stack | SharedKernel:
    """Return the network, stack or kernel that a file holds."""
    if meta.get("kind") == "stack":
        return as_stack(path, meta, arrays)
    return (as_kernel if meta.get("kind") == "kernel" else as_network)(path, meta, arrays)


@checked(path=PATH, temperature=optional(TEMPERATURE))
def load_configurations(path: str | Path, temperature: float | None = None) -> Ensemble:
    """Read configurations from a file of `save`, or from a plain `.npy` or `.npz` file of another program.

    Of an `.npz` the one array is read that holds ±1 or 0/1 as `(sample, L, L)`, or as `(sample, site)` if none does. An
    array named T or temperature beside it, one number or one for each configuration, is that of the configurations;
    where it holds several, those at `temperature` are taken.

    Args:
        path: the file.
        temperature: in units of J/k_B; needed if the file has none, or several.

    Raises:
        InputError: if there are no such configurations, or more than one array of them; without a temperature, or with
            one that the file contradicts.
    """
    name = str(path)
    arrays = read_arrays(Path(path), single=True)
    if "meta" in arrays:
        ensemble = load_ensemble(path)
        require_same(name, ensemble.system.temperature, temperature)
        return ensemble
    key, spins = the_spins(name, arrays)
    spins, found = at_temperature(name, spins, arrays, temperature)
    origin = {"source": "array", "file": Path(path).name}
    try:
        return ensemble_from_array(as_signs(spins), found, origin)
    except InputError as error:
        message = f"file {name!r}, array {key!r}: {error}"
        raise InputError(message) from error


def the_spins(name: str, arrays: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Return the one array of configurations in a file, and its name."""
    for axes in (3, 2):
        found = {key: array for key, array in arrays.items() if array.ndim == axes and is_two_valued(array)}
        if len(found) == 1:
            return next(iter(found.items()))
        if found:
            break
    held = ", ".join(f"{key} {array.dtype} {array.shape}" for key, array in arrays.items()) or "nothing"
    message = (
        f"file {name!r} holds {held}: expected one array of ±1 or 0/1, (sample, L, L), and if it has temperatures an "
        "array T, one for each sample"
    )
    raise InputError(message)


def is_two_valued(array: np.ndarray) -> bool:
    """Return whether an array holds numbers of ±1, or of 0 and 1, alone."""
    if array.dtype.kind not in "biuf" or not array.size:
        return False
    return bool(((array == 1) | (array == 0)).all() or ((array == 1) | (array == -1)).all())


def as_signs(spins: np.ndarray) -> np.ndarray:
    """Return spins of ±1 or 0/1 as ±1, int8."""
    small = spins.astype(np.int8)
    return small if (small == -1).any() or not (small == 0).any() else 2 * small - 1


def at_temperature(
    name: str, spins: np.ndarray, arrays: Mapping[str, np.ndarray], wanted: float | None
) -> tuple[np.ndarray, float]:
    """Return the configurations at one temperature, and which it is."""
    found = [
        np.ravel(array).astype(np.float64)
        for key, array in arrays.items()
        if (key == "T" or key.lower() in TEMPERATURES) and array.dtype.kind in "fiu" and array.size in (1, len(spins))
    ]
    if not found:
        if wanted is None:
            message = f"file {name!r} has no temperatures: give one with --temperature (temperature=…)"
            raise InputError(message)
        return spins, wanted
    each = np.broadcast_to(found[0], (len(spins),))
    several = np.unique(each)
    if wanted is None and len(several) > 1:
        span = f"{len(several)} temperatures, {several[0]:.6g} to {several[-1]:.6g}"
        message = f"file {name!r} has {span}: choose one with --temperature (temperature=…)"
        raise InputError(message)
    if wanted is None:
        return spins, float(several[0])
    near = np.isclose(each, wanted, rtol=SAME_TEMPERATURE, atol=0)
    if not near.any():
        require_same(name, float(several[np.argmin(np.abs(several - wanted))]), wanted)
    return spins[near], wanted


def require_same(name: str, found: float, wanted: float | None) -> None:
    """Raise `InputError` if configurations are of another temperature than is asked for."""
    if wanted is not None and found != wanted and not abs(found - wanted) <= SAME_TEMPERATURE * wanted:
        message = f"temperature = {wanted:.6g}: the configurations in {name!r} are of T = {found:.6g}"
        raise InputError(message)


@checked(path=PATH, rbm=NETWORK)
def save_rbm(path: str | Path, rbm: RBM) -> None:
    """Write a network with its origin and training curves, as `.npz` or `.safetensors`."""
    if Path(path).suffix == SAFETENSORS:
        save_safetensors(path, rbm)
        return
    arrays = {"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
    curves = {f"history_{name}": values for name, values in rbm.history.items()}
    write(path, "rbm", {"origin": dict(rbm.origin)}, {**arrays, **curves})


@checked(path=PATH)
def load_rbm(path: str | Path) -> RBM:
    """Read a network that `save_rbm` wrote.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    if Path(path).suffix == SAFETENSORS:
        return load_safetensors(path)
    with damaged(path):
        return as_network(path, *contents(path))


def as_network(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> RBM:
    """Return the network that a file holds."""
    check_kind(path, meta, arrays, "rbm", ("weights", "visible_bias", "hidden_bias"))
    parameters = (arrays["weights"], arrays["visible_bias"], arrays["hidden_bias"])
    return RBM(*parameters, dict(meta["origin"]), curves_in(arrays))


@checked(path=PATH, kernel=KERNEL)
def save_kernel(path: str | Path, kernel: SharedKernel) -> None:
    """Write a shared kernel with its origin and training curves."""
    meta = {
        "block": kernel.block,
        "bias": kernel.bias,
        "temperature": kernel.temperature,
        "origin": dict(kernel.origin),
    }
    curves = {f"history_{name}": values for name, values in kernel.history.items()}
    write(path, "kernel", meta, {"weights": kernel.weights, **curves})


def as_kernel(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SharedKernel:
    """Return the shared kernel that a file holds."""
    check_kind(path, meta, arrays, "kernel", ("weights",))
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
    arrays: dict[str, np.ndarray] = {}
    levels: list[dict[str, Any]] = []
    for number, layer in stack.networks():
        rbm = layer.rbm
        held = {"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
        held |= {"order": layer.order, "sign": layer.sign}
        held |= {f"history_{name}": values for name, values in rbm.history.items()}
        arrays |= {f"level_{number}_{name}": values for name, values in held.items()}
        units = {"dead": list(layer.dead), "extended": list(layer.extended), "residual": list(layer.residual)}
        levels.append({"origin": dict(rbm.origin), **units})
    write(path, "stack", {"origin": dict(stack.origin), "levels": levels}, arrays)


def as_stack(path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Stack:
    """Return the stack that a file holds."""
    check_kind(path, meta, arrays, "stack", ("level_1_weights",))
    layers = []
    for number, level in enumerate(meta["levels"], start=1):
        start = f"level_{number}_"
        held = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        rbm = as_network(path, {**meta, "kind": "rbm", "origin": level["origin"]}, held)
        order, sign = held["order"], held["sign"]
        if not np.array_equal(np.sort(order), np.arange(rbm.hidden)) or not np.isin(sign, (-1, 1)).all():
            message = f"file {str(path)!r} is damaged: order or signs of level {number} are none of {rbm.hidden} units"
            raise InputError(message)
        units = (tuple(level["dead"]), tuple(level["extended"]), tuple(level["residual"]))
        layers.append(Layer(rbm, order, sign, *units))
    return Stack(tuple(layers), dict(meta["origin"]))


@contextmanager
def damaged(path: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong with the contents of a file into one `InputError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError) and str(path) in str(error):
            raise
        message = f"file {str(path)!r} is damaged: {error}"
        raise InputError(message) from error


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
    arrays = read_arrays(Path(path))
    if "meta" not in arrays:
        message = f"file {str(path)!r} is not an rgstep file, or is damaged: it has no record of what it holds"
        raise InputError(message)
    return json.loads(str(arrays.pop("meta"))), arrays


def check_kind(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kind: str, needed: tuple[str, ...]
) -> None:
    """Raise `InputError` unless a file is of one kind and has the arrays of it."""
    if meta.get("kind") != kind or meta.get("format") != FORMAT or any(name not in arrays for name in needed):
        found = f"{meta.get('kind')} of format {meta.get('format')}"
        message = f"file {str(path)!r} holds {found}; expected {kind} of format {FORMAT}{MADE_BY.get(kind, '')}"
        raise InputError(message)
