"""Units 0 and 1 in place of ±1, and networks of other programs: scikit-learn's BernoulliRBM, archives of `rbms`.

With v = 2v' − 1 and h = 2h' − 1, the energy of ±1 units is that of {0,1} units with other parameters and a constant,

    E(v, h) = −v'ᵀW'h' − a'ᵀv' − b'ᵀh' + offset,
    W' = 4W,    a' = 2a − 2W·1,    b' = 2b − 2Wᵀ·1,    offset = Σ_i a_i + Σ_a b_a − Σ_ia W_ia,

so that F(v) = F'(v') + offset, p(v) = p'(v') and E[h_a | v] = 2 p'(h'_a = 1 | v') − 1. Training in {0,1} units descends
in W', a', b'. Networks of other programs are converted in float64; an `RBM` is float32, and rounding a network into one
moves F by at most 2^−24 (Σ|W| + Σ|a| + Σ|b|).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from numpy.typing import ArrayLike

from rgstep import hdf5
from rgstep.arguments import PATH, InputError, checked, is_whole, optional, read_reals, whole
from rgstep.files import reading, replacing
from rgstep.nets.rbm import NETWORK, RBM
from rgstep.schema import hash_of_arrays

# The units of a network's two layers, by the names that training has for them, and as files say them.
UNITS = {"spin": "±1", "binary": "0/1"}

# Of archives of rbms: the units of each model_type, and what is in the way of the others; the group of the parameters
# after n updates, and their names; the settings that are kept, by their names here, and where versions 0.5 and 0.6 keep
# them.
MODEL_TYPES = {"BBRBM": "binary", "IIRBM": "spin"}
NOT_TWO_VALUED = {
    "BGRBM": "Gaussian hidden units are",
    "IGRBM": "Gaussian hidden units are",
    "PBRBM": "Potts visible units are",
    "PBM": "a machine without hidden units is",
}
UPDATE_GROUP = "update_"
OUR_MARK = "rgstep_checksum"  # an attribute of archives that we wrote: the format itself guards no values
PARAMETER_NAMES = ("weight_matrix", "vbias", "hbias")
SETTINGS = {
    "k": ("hyperparameters/gibbs_steps", "sampling_args/gibbs_steps"),
    "chains": ("hyperparameters/num_chains",),
    "batch": ("hyperparameters/batch_size", "train_args/batch_size"),
    "learning_rate": ("hyperparameters/learning_rate", "train_args/learning_rate"),
}

Array = TypeVar("Array", np.ndarray, jax.Array)


def to_binary(w: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return W', a', b' of the same network on units 0 and 1."""
    return 4 * w, 2 * a - 2 * w.sum(axis=1), 2 * b - 2 * w.sum(axis=0)


def to_spin(w: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return W, a, b on ±1 units, given W', a', b' on units 0 and 1."""
    return w / 4, a / 2 + w.sum(axis=1) / 4, b / 2 + w.sum(axis=0) / 4


def gradient_in_binary(w: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return a gradient with respect to W', a', b', given that with respect to W, a, b: `to_spin` transposed."""
    return (w + a[:, None] + b) / 4, a / 2, b / 2


class BinaryParameters(NamedTuple):
    """A network in {0,1} units, float64: W' (visible, hidden), a', b', and the offset of its energy; see the module."""

    weights: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray
    offset: float


def rbm_from_binary(
    weights: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, origin: Mapping[str, Any] | None = None
) -> RBM:
    """Return a network of {0,1} units as one of ±1 units.

    Args:
        weights: W' `(visible, hidden)`, with energy −v'ᵀW'h' − a'ᵀv' − b'ᵀh'.
        visible_bias: a' `(visible,)`.
        hidden_bias: b' `(hidden,)`.
        origin: how it was made, in plain values.

    Raises:
        InputError: for shapes that do not belong together, or values that are not finite real numbers.
    """
    return rbm_of_units("binary", weights, visible_bias, hidden_bias, origin or {})


def rbm_of_units(
    units: str, weights: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, origin: Mapping[str, Any]
) -> RBM:
    """Return a network of units of `UNITS` as one of ±1 units; what an archive may hold wrong is checked."""
    w, a, b = _finite("weights", weights), _finite("visible_bias", visible_bias), _finite("hidden_bias", hidden_bias)
    if w.ndim != 2 or a.shape != w.shape[:1] or b.shape != w.shape[1:]:
        transposed = w.ndim == 2 and (a.shape, b.shape) == (w.shape[1:], w.shape[:1])
        remedy = "; give the weights transposed" if transposed else ""
        message = (
            f"weights, visible_bias, hidden_bias of shapes {(w.shape, a.shape, b.shape)}: "
            f"expected (visible, hidden), (visible,), (hidden,){remedy}"
        )
        raise InputError(message)
    return RBM(*(to_spin(w, a, b) if units == "binary" else (w, a, b)), dict(origin))


def binary_parameters(rbm: RBM) -> BinaryParameters:
    """Return the parameters for {0,1} units and the offset with F(v) = F'(v') + offset."""
    w, a, b = (x.astype(np.float64) for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    offset = float(a.sum() + b.sum() - w.sum())
    return BinaryParameters(*to_binary(w, a, b), offset)


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    """Return an array in float64, checked to fit into float32."""
    array = read_reals(name, values).astype(np.float64)
    wrong = array[~(np.abs(array) < float(np.finfo(np.float32).max))]
    if wrong.size:
        message = f"{name} contains {wrong.flat[0]}: every parameter must be a finite number (float32)"
        raise InputError(message)
    return array


# --- scikit-learn


def rbm_from_sklearn(model: Any) -> RBM:  # a BernoulliRBM; scikit-learn need not be installed
    """Return a fitted `sklearn.neural_network.BernoulliRBM` (PCD-1, {0,1} units) as a network of ±1 units.

    Raises:
        InputError: if the model is not fitted, or is something else.
    """
    needed = ("components_", "intercept_visible_", "intercept_hidden_")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing:
        message = f"{type(model).__name__} without {', '.join(missing)}: give a BernoulliRBM after its fit"
        raise InputError(message)
    origin = {"source": "scikit-learn BernoulliRBM", "method": "pcd", "k": 1}
    weights, visible, hidden = (np.asarray(getattr(model, name)) for name in needed)
    return rbm_from_binary(weights.T, visible, hidden, origin)


def sklearn_from_rbm(rbm: RBM) -> Any:
    """Return a network as a fitted `sklearn.neural_network.BernoulliRBM`, for {0,1} data (1 + v) / 2.

    Its `transform` gives p'(h' = 1 | v') = (1 + E[h | v]) / 2, and its chains start at 0 if it is trained further.

    Raises:
        InputError: if scikit-learn is not installed.
    """
    try:
        from sklearn.neural_network import BernoulliRBM
    except ImportError as error:
        message = "a BernoulliRBM needs scikit-learn: pip install scikit-learn"
        raise InputError(message) from error
    binary = binary_parameters(rbm)
    model = BernoulliRBM(n_components=rbm.hidden)
    model.components_ = binary.weights.T.copy()
    model.intercept_visible_, model.intercept_hidden_ = binary.visible_bias, binary.hidden_bias
    model.h_samples_ = np.zeros((model.batch_size, rbm.hidden))
    model.n_features_in_, model._n_features_out = rbm.visible, rbm.hidden
    return model


# --- archives of rbms


@checked(path=PATH, update=optional(whole(0)))
def load_rbms(path: str | Path, update: int | None = None) -> RBM:
    """Read a network of two-valued units from an HDF5 archive of the package rbms, of its version 0.5.0 or 0.6.0.

    A BBRBM, {0,1} units, is converted; an IIRBM, ±1 units, has the energy of an `RBM` as it is.

    Args:
        path: the archive, in which the group `update_<n>` holds the parameters after n updates.
        update: which one; the last by default.

    Returns:
        The network; `origin` records the update as `steps`, and the archive's k, chains, batch and learning_rate (that
        of rbms, which divides every gradient by its length).

    Raises:
        InputError: if h5py or the file is missing, the file is something else or damaged, or has no such update.
    """
    if not Path(path).is_file():
        message = f"no file {str(path)!r}: check the name; an HDF5 file of 'rbms' is read"
        raise InputError(message)
    h5py = hdf5.library(f"reading {str(path)!r}")
    with reading(path, "is not an HDF5 archive of rbms, or is damaged"), h5py.File(path, "r") as file:
        updates = _updates(path, file)
        chosen = updates[-1] if update is None else update
        if chosen not in updates:
            message = f"archive {str(path)!r} has no update {chosen}; it has: {', '.join(map(str, updates))}"
            raise InputError(message)
        units = MODEL_TYPES[file["model_type"].asstr()[()]]
        size = Path(path).stat().st_size
        origin = {"source": "archive of rbms", "file": Path(path).name, "steps": chosen, **_settings(file, size)}
        places = [f"{UPDATE_GROUP}{chosen}/params/{name}" for name in PARAMETER_NAMES]
        weights, visible, hidden = (np.asarray(hdf5.dataset(file, place, size)[()]) for place in places)
        check_record(file, dict(zip(PARAMETER_NAMES, (weights, visible, hidden), strict=True)))
        return rbm_of_units(units, weights, visible, hidden, origin)


def check_record(file: Any, parameters: Mapping[str, np.ndarray]) -> None:  # file: an open h5py.File
    """Raise `InputError` if an archive that we wrote does not hold what was written, by its checksum."""
    if OUR_MARK in file.attrs and file.attrs[OUR_MARK] != hash_of_arrays(parameters):
        message = "it does not hold what was written, by its checksum"
        raise InputError(message)


def _settings(file: Any, size: int) -> dict[str, Any]:  # file: an open h5py.File
    """Return the settings that an archive has and we keep; a learning rate of each parameter, where all are equal."""
    found = {}
    for name, places in SETTINGS.items():
        for place in places:
            data = hdf5.dataset(file, place, size)
            values = np.empty(0) if data is None else np.unique(data[()])
            if len(values) == 1:
                found[name] = values.item()
    return found


@checked(path=PATH, rbm=NETWORK)
def save_rbms(path: str | Path, rbm: RBM) -> None:
    """Write a network as an archive whose parameters rbms reads (`rbms.io.load_params`), a BBRBM in {0,1} units.

    The update is `origin["steps"]`, or 1. The archive has no chains and no random state: rbms cannot train it further.

    Raises:
        InputError: if h5py is missing or the file cannot be written.
    """
    h5py = hdf5.library(f"writing {str(path)!r}")
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside, h5py.File(beside, "w", libver="latest") as file:
            _write(file, rbm)
    except OSError as error:
        message = f"file {str(path)!r} cannot be written: {error.strerror or error}"
        raise InputError(message) from error


def _write(file: Any, rbm: RBM) -> None:  # file: an open h5py.File
    steps = rbm.origin.get("steps")
    file["model_type"] = "BBRBM"
    group = file.create_group(f"{UPDATE_GROUP}{steps if is_whole(steps) and steps > 0 else 1}")
    group["flags/checkpoint"] = True
    parameters = dict(zip(PARAMETER_NAMES, binary_parameters(rbm)[:3], strict=True))
    for name, values in parameters.items():
        group[f"params/{name}"] = values
    file.attrs[OUR_MARK] = hash_of_arrays(parameters)


def _updates(path: str | Path, file: Any) -> list[int]:  # file: an open h5py.File
    """Return the updates that an archive holds, in ascending order; checks what it is an archive of."""
    updates = sorted(int(key.removeprefix(UPDATE_GROUP)) for key in file if _counts_updates(key))
    kinds = hdf5.dataset(file, "model_type", Path(path).stat().st_size)
    if kinds is None or not updates:
        message = (
            f"file {str(path)!r} is no archive of rbms: expected model_type and groups {UPDATE_GROUP}<n>, "
            f"found: {', '.join(file) or 'nothing'}"
        )
        raise InputError(message)
    kind = kinds.asstr()[()]
    if kind not in MODEL_TYPES:
        reason = f"{NOT_TWO_VALUED[kind]} not supported, " if kind in NOT_TWO_VALUED else ""
        known = ", ".join(f"{name} ({UNITS[units]})" for name, units in MODEL_TYPES.items())
        message = (
            f"archive {str(path)!r} holds a model of type {kind!r}: {reason}only units of two values on both layers, "
            f"{known}"
        )
        raise InputError(message)
    return updates


def _counts_updates(key: str) -> bool:
    return key.startswith(UPDATE_GROUP) and key.removeprefix(UPDATE_GROUP).isdecimal()
