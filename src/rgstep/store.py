"""Ensembles and networks on disk: one `.npz` file each, versioned, written whole, checked on reading.

Spins are stored as bits, 128 bytes for a 32×32 configuration. What is not an array (model, origin) is one JSON text
in the array `meta`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.files import write_arrays
from rgstep.ising import Ising
from rgstep.nets.rbm import RBM

FORMAT = 1


def save_ensemble(path: str | Path, ensemble: Ensemble) -> None:
    """Write an ensemble, its spins as bits."""
    bits = np.packbits(ensemble.spins.reshape(len(ensemble), -1) > 0, axis=1)
    meta = {
        "size": ensemble.system.size,
        "coupling": ensemble.system.coupling,
        "origin": dict(ensemble.origin),
        "independent": ensemble.independent,
    }
    write(path, "ensemble", meta, {"bits": bits})


def load_ensemble(path: str | Path) -> Ensemble:
    """Read an ensemble.

    Raises:
        InputError: if the file is missing, broken, or holds something else.
    """
    meta, arrays = read(path, "ensemble", ("bits",))
    size = int(meta["size"])
    flat = np.unpackbits(arrays["bits"], axis=1, count=size * size).astype(np.int8)
    spins = (2 * flat - 1).reshape(-1, size, size)
    return Ensemble(spins, Ising(size, float(meta["coupling"])), meta["origin"], bool(meta["independent"]))


def save_rbm(path: str | Path, rbm: RBM) -> None:
    """Write a network with its origin and training curves."""
    arrays = {"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
    curves = {f"history_{name}": values for name, values in rbm.history.items()}
    write(path, "rbm", {"origin": dict(rbm.origin)}, {**arrays, **curves})


def load_rbm(path: str | Path) -> RBM:
    """Read a network.

    Raises:
        InputError: if the file is missing, broken, or holds something else.
    """
    meta, arrays = read(path, "rbm", ("weights", "visible_bias", "hidden_bias"))
    history = {name.removeprefix("history_"): values for name, values in arrays.items() if name.startswith("history_")}
    return RBM(arrays["weights"], arrays["visible_bias"], arrays["hidden_bias"], meta["origin"], history)


def write(path: str | Path, kind: str, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and plain values under a kind and a format number."""
    target = Path(path)
    if target.suffix != ".npz":
        message = f"file {str(path)!r}: the name must end in .npz"
        raise InputError(message)
    text = json.dumps({"kind": kind, "format": FORMAT, **meta})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(target, {"meta": np.array(text), **arrays})
    except OSError as error:
        message = f"file {str(path)!r} cannot be written: {error.strerror}"
        raise InputError(message) from error


def read(path: str | Path, kind: str, needed: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the plain values and the arrays of a file of one kind, checked."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta")))
    except FileNotFoundError as error:
        message = f"no file {str(path)!r}"
        raise InputError(message) from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        message = f"file {str(path)!r} is not an rgstep file, or is damaged: {error}"
        raise InputError(message) from error
    if meta.get("kind") != kind or meta.get("format") != FORMAT or any(name not in arrays for name in needed):
        found = f"{meta.get('kind')} of format {meta.get('format')}"
        message = f"file {str(path)!r} holds {found}; expected {kind} of format {FORMAT}"
        raise InputError(message)
    return meta, arrays
