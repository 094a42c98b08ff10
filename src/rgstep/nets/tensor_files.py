"""Networks in files of tensors: safetensors, ours and of other programs, and state dicts that PyTorch has saved.

A file of ours holds W (visible, hidden), both biases and the training curves under the names that an `RBM` has for
them, and beside them in text the units, ±1, and how the network was made, as JSON. The tensors of another program's
file are read as `states` reads a mapping of them. Nothing is unpickled: PyTorch reads tensors alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rgstep import schema
from rgstep.arguments import PATH, PLAIN, InputError, checked
from rgstep.ensemble import Ensemble
from rgstep.files import reading, replacing, require_modest
from rgstep.nets.conversion import UNITS, rbm_of_units
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.nets.states import CHOICES, ORDERS, PARTS, rbm_from_state, units_of

SAFETENSORS, TORCH = ".safetensors", (".pt", ".pth")
STATE_FILES = (SAFETENSORS, *TORCH)
KIND, FORMAT = "rgstep rbm", "1"  # of our own files, in the text beside the tensors
ENERGY = "E = -v.W.h - a.v - b.h"
CURVE = "history_"  # begins the name of a training curve


@checked(path=PATH, **CHOICES)
def load_state(
    path: str | Path,
    *,
    units: str | None = None,
    order: str | None = None,
    names: Mapping[str, str] | None = None,
    data: Ensemble | ArrayLike | None = None,
) -> RBM:
    """Read a network from a file of tensors: `.safetensors`, or `.pt` and `.pth` of PyTorch, which is not unpickled.

    A file that `save_safetensors` wrote says everything itself. For the arguments see `rbm_from_state`.

    Raises:
        InputError: if the library or the file is missing, or the file is something else, damaged, holds more than
            tensors or no network, or one that is not finite, or can be read in several ways.
    """
    place = Path(path)
    state: Mapping[str, Any]
    text: Mapping[str, str] = {}
    if place.suffix in TORCH:
        state, source = _read_torch(place), "PyTorch"
    else:
        (state, text), source = _read_safetensors(place), "safetensors"
    with reading(place, ""):
        if _is_ours(text):
            return _ours(state, text)
        origin = {"source": source, "file": place.name}
        given = units or units_of(text.get("units"))
        return rbm_from_state(state, units=given, order=order, names=names, data=data, origin=origin)


@checked(path=PATH)
def load_safetensors(path: str | Path) -> RBM:
    """Read a network from a file that `save_safetensors` wrote, and no other.

    Raises:
        InputError: if the library or the file is missing, or the file is something else or damaged.
    """
    place = Path(path)
    state, text = _read_safetensors(place)
    if not _is_ours(text):
        message = (
            f"file {str(path)!r} holds tensors of another program: read it with rgstep.load or "
            f"rgstep.nets.tensor_files.load_state, and save the network under another name with rgstep.save"
        )
        raise InputError(message)
    with reading(place, ""):
        return _ours(state, text)


@checked(path=PATH, rbm=NETWORK)
def save_safetensors(path: str | Path, rbm: RBM) -> None:
    """Write a network as `.safetensors`: its parameters, training curves, origin as JSON, and its units.

    Raises:
        InputError: if the library is missing, a parameter is not finite, or the file cannot be written.
    """
    numpy_of = _safetensors(f"writing {str(path)!r}")[1]
    for part in PARTS:
        if not np.isfinite(getattr(rbm, part)).all():
            message = f"{part} is not finite: safetensors files are for networks of finite parameters; use .npz"
            raise InputError(message)
    arrays = {part: getattr(rbm, part) for part in PARTS} | {CURVE + n: np.asarray(x) for n, x in rbm.history.items()}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = {"kind": KIND, "format": FORMAT, "units": UNITS["spin"], "order": ORDERS[0], "energy": ENERGY}
    text["origin"] = json.dumps(dict(rbm.origin))
    content = numpy_of.save(arrays, {**text, "checksum": schema.hash_of_arrays(arrays, text)})
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            beside.write_bytes(content)
    except OSError as error:
        message = f"file {str(path)!r} cannot be written: {error.strerror or error}"
        raise InputError(message) from error


def _is_ours(text: Mapping[str, str]) -> bool:
    """Whether we wrote a file, as two of its texts say: one wrong letter does not make it another program's."""
    return text.get("kind") == KIND or text.get("energy") == ENERGY


def _ours(state: Mapping[str, Any], text: Mapping[str, str]) -> RBM:
    """Return the network of a file that we wrote, held to what we write."""
    if (text.get("kind"), text.get("format"), text.get("units")) != (KIND, FORMAT, UNITS["spin"]):
        found = f"{text.get('kind')} of format {text.get('format')} of units {text.get('units')}"
        message = f"it holds {found}; expected {KIND} of format {FORMAT} of {UNITS['spin']}"
        raise InputError(message)
    if missing := [part for part in PARTS if part not in state]:
        message = f"it has no tensor {missing[0]!r}"
        raise InputError(message)
    if text.get("checksum") != schema.hash_of_arrays(state, text):
        message = "it does not hold what was written, by its checksum"
        raise InputError(message)
    wrong = [n for n, x in state.items() if (n not in PARTS and not n.startswith(CURVE)) or x.dtype.kind not in "fiu"]
    if wrong:
        message = f"its tensor {wrong[0]!r} of type {state[wrong[0]].dtype} is none of ours"
        raise InputError(message)
    try:
        origin = PLAIN("origin", schema.parse(text["origin"], constants=True))
    except (KeyError, ValueError, RecursionError) as error:
        message = "it has no record of how the network was made"
        raise InputError(message) from error
    rbm = rbm_of_units("spin", state["weights"], state["visible_bias"], state["hidden_bias"], {})
    history = {name.removeprefix(CURVE): x for name, x in sorted(state.items()) if name.startswith(CURVE)}
    return RBM(rbm.weights, rbm.visible_bias, rbm.hidden_bias, origin, history)


def _require(path: Path) -> None:
    if not path.is_file():
        message = f"no file {str(path)!r}: check the name; a file of tensors is read, {', '.join(STATE_FILES)}"
        raise InputError(message)


def _safetensors(task: str) -> tuple[Any, Any]:  # modules, loaded when first needed
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        message = f"{task} needs safetensors: pip install 'rgstep[safetensors]'"
        raise InputError(message) from error
    return safetensors, safetensors.numpy


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors of a file, and the text beside them."""
    _require(path)
    library, _ = _safetensors(f"reading {str(path)!r}")
    with reading(path, "is no safetensors file, or is damaged"), library.safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _read_torch(path: Path) -> Mapping[str, Any]:
    """Return the mapping in a file of PyTorch, read without running any code that is in it."""
    _require(path)
    try:
        import torch
    except ImportError as error:
        message = f"reading {str(path)!r} needs PyTorch: pip install 'rgstep[torch]'"
        raise InputError(message) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, by what the file is instead
        message = (
            f"file {str(path)!r} is no file of tensors of PyTorch, is damaged, or holds more than tensors, which is "
            f"not unpickled: torch.save(model.state_dict(), …) writes one"
        )
        raise InputError(message) from error
    if not isinstance(state, Mapping):
        message = (
            f"file {str(path)!r} holds a {type(state).__name__}: torch.save(model.state_dict(), …) writes a mapping"
        )
        raise InputError(message)
    with reading(path, "is no file of tensors of PyTorch, or is damaged"):
        tensors = [tensor for tensor in state.values() if isinstance(tensor, torch.Tensor)]
        require_modest(sum(tensor.numel() * tensor.element_size() for tensor in tensors), path.stat().st_size)
    return state
