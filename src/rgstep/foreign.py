"""Configurations in files of other programs: which array holds them, and at which temperature they are.

    .npy, .npz     arrays of NumPy
    .mat           MATLAB, to version 7 by SciPy; 7.3, which is HDF5, by h5py. Samples may come last
    .h5, .hdf5     mcising, a group `T=…` for each temperature; or any other with arrays
    text           see `spin_text`

A file is told by how it begins, not by its name. Nothing is unpickled. Spins are ±1 or 0/1, `(sample, L, L)`,
`(sample, 1, L, L)` or `(sample, site)`. A temperature is an array, or in HDF5 an attribute, named T or temperature: one
number, or one for each configuration.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rgstep import hdf5
from rgstep.arguments import InputError, shown
from rgstep.files import read_arrays, reading, require_modest
from rgstep.spin_text import spins_of_text

TEMPERATURES = {"temp", "temps", "temperature", "temperatures"}  # names of arrays of them, in any case, and T
SAME_TEMPERATURE = 1e-5  # relative: files hold float32, and users type six digits
BEGINNINGS = {  # of files, and what they are
    b"\x93NUMPY": "numpy",
    b"PK\x03\x04": "numpy",
    b"PK\x05\x06": "numpy",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"MATLAB 7.3": "matlab 7.3",
    b"MATLAB 5.0": "matlab",
    b"\x80": "pickle",
}
MATLAB_TYPES = {  # of arrays of numbers, by the class that MATLAB has for them
    "logical": "bool",
    "single": "float32",
    "double": "float64",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
FEWEST_SITES = 16  # of a lattice
SHOWN = 8  # arrays of a file that a message names
SETTINGS = {"lattice_type": "square", "j1": 1.0, "j2": 0.0, "j3": 0.0, "h": 0.0}  # of mcising, for the model here


@dataclass(frozen=True)
class Held:
    """An array in a file: its shape, its type, and how it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]

    @property
    def lattices(self) -> int:
        """How many axes an array of configurations would have, 3 or 2; 0 if it can be none."""
        axes = len(self.shape)
        if self.dtype.kind not in "biuf" or axes not in (2, 3, 4) or math.prod(self.shape) < FEWEST_SITES:
            return 0
        return min(axes, 3) if axes < 4 or self.shape[1] == 1 else 0


class Configurations(NamedTuple):
    """Spins of another program, ±1, sample axis first; their temperature; the name of their array, "" in text."""

    spins: np.ndarray
    temperature: float
    array: str


def parted(path: str | Path) -> tuple[Path, str | None]:
    """Return the file and the array of "FILE.npz:name", or the file and None."""
    text = str(path)
    file, colon, array = text.rpartition(":")
    if colon and array and Path(file).suffix and not Path(text).exists():
        return Path(file), array
    return Path(path), None


def read_configurations(
    path: Path, temperature: float | None = None, array: str | None = None, size: int | None = None
) -> Configurations:
    """Read configurations from a file of another program.

    Args:
        path: the file.
        temperature: in units of J/k_B; needed if the file has none, or several.
        array: which one, where several hold configurations.
        size: the side L, for text that can be read in two ways.

    Raises:
        InputError: if there are no such configurations, or more than one array of them; without a temperature, or with
            one that the file contradicts.
    """
    name, kind = str(path), kind_of(path)
    if kind == "text":
        refuse_array(name, array, "is text")
        with reading(path, ""):
            spins = spins_of_text(path.read_bytes(), size)
        return Configurations(*at_temperature(name, spins, None, temperature), "")
    with reading(path, ""), OPENED[kind](path) as held:
        key = array if array is not None else the_array(name, held, temperature)
        if key not in held:
            message = f"file {name!r} has no array {shown(key)}; it holds {listed(held, held)}"
            raise InputError(message)
        spins = held[key].read()
        require_two_values(name, key, spins)
        spins = spins[:, 0] if spins.ndim == 4 and spins.shape[1] == 1 else spins
        return Configurations(*at_temperature(name, as_signs(spins), beside(key, held, len(spins)), temperature), key)


def refuse_array(name: str, array: str | None, what: str) -> None:
    """Raise `InputError` where an array is asked for by name and the file has none."""
    if array is not None:
        message = f"array = {shown(array)}: file {name!r} {what} and has no arrays with names; leave it out"
        raise InputError(message)


def kind_of(path: Path) -> str:
    """Return what a file is by how it begins, "text" for anything that is text.

    Raises:
        InputError: if there is no such file, or it is none of these.
    """
    with reading(path, ""), path.open("rb") as file:
        start = file.read(4096)
    kind = next((kind for begin, kind in BEGINNINGS.items() if start.startswith(begin)), None)
    if kind is None and path.suffix == ".mat":
        return "matlab"  # version 4 has no mark of its own
    if kind is None and start and b"\0" not in start:
        return "text"
    if kind in (None, "pickle"):
        why = (
            "is a pickle, which runs code when it is read"
            if kind
            else "is empty"
            if not start
            else "is of no kind known"
        )
        message = f"file {str(path)!r} {why}: give .npy, .npz, .mat, .h5 or text of ±1 or 0/1 (numpy.save writes .npy)"
        raise InputError(message)
    return str(kind)


# --- what is in a file


@contextmanager
def open_numpy(path: Path) -> Iterator[dict[str, Held]]:
    """Yield the arrays of a `.npy` or `.npz` file."""
    arrays = read_arrays(path, single=True)
    yield {key: Held(a.shape, a.dtype, partial(as_it_is, a)) for key, a in arrays.items()}


def as_it_is(array: np.ndarray) -> np.ndarray:
    """Return an array that has been read."""
    return array


@contextmanager
def open_matlab(path: Path) -> Iterator[dict[str, Held]]:
    """Yield the arrays of numbers of a MATLAB file of a version up to 7."""
    from scipy import io  # here, as importing the package must not load it

    size, found = path.stat().st_size, {}
    for key, shape, kind in io.whosmat(path):
        if kind in MATLAB_TYPES:
            dtype = np.dtype(MATLAB_TYPES[kind])
            declared = math.prod(shape) * dtype.itemsize
            found[key] = samples_first(Held(shape, dtype, partial(load_matlab, path, key, declared, size)))
    yield found


def load_matlab(path: Path, key: str, declared: int, size: int) -> np.ndarray:
    """Return an array of so many bytes from a MATLAB file of so many."""
    from scipy import io

    require_modest(declared, size)
    return np.asarray(io.loadmat(path, variable_names=[key])[key])


def samples_first(held: Held) -> Held:
    """Return an array of MATLAB's with its samples first, where they are last: (L, L, sample), as is usual there."""
    if len(held.shape) != 3 or held.shape[0] != held.shape[1]:
        return held
    side, samples = held.shape[1:]
    return Held((samples, side, side), held.dtype, partial(turned, held))


def turned(held: Held) -> np.ndarray:
    """Read an array with its samples last, and put them first.

    Raises:
        InputError: where there are as many as rows and columns, so that they may be first already.
    """
    if len(set(held.shape)) == 1:
        message = (
            f"an array of shape {held.shape} of MATLAB does not say which axis is the samples: add or leave out one"
        )
        raise InputError(message)
    return np.moveaxis(held.read(), -1, 0)


@contextmanager
def open_hdf5(path: Path) -> Iterator[dict[str, Held]]:
    """Yield the arrays of an HDF5 file by their places in it, and the attributes that are temperatures."""
    h5py = hdf5.library(f"reading {str(path)!r}")
    with h5py.File(path, "r") as file:
        require_square_lattice(file)
        found: dict[str, Held] = {}
        size = path.stat().st_size

        def note(place: str, node: Any) -> None:  # a group or a dataset of h5py
            if isinstance(node, h5py.Dataset):
                found[place] = Held(node.shape or (), node.dtype, partial(dataset_in, file, place, size))
            for key, value in node.attrs.items():
                if is_temperature(key):
                    number = np.asarray(value)
                    found[f"{place}/{key}".lstrip("/")] = Held(number.shape, number.dtype, partial(as_it_is, number))

        note("", file)
        file.visititems(note)
        yield found


def dataset_in(file: Any, place: str, size: int) -> np.ndarray:
    """Return the values of a dataset of an open HDF5 file of so many bytes."""
    return np.asarray(hdf5.dataset(file, place, size)[()])


@contextmanager
def open_matlab_hdf5(path: Path) -> Iterator[dict[str, Held]]:
    """Yield the arrays of a MATLAB file of version 7.3: in HDF5 their axes stand in reverse order."""
    with open_hdf5(path) as held:
        yield {key: samples_first(Held(h.shape[::-1], h.dtype, partial(transposed, h))) for key, h in held.items()}


def transposed(held: Held) -> np.ndarray:
    """Read an array with its axes in reverse order."""
    return held.read().T


OPENED = {"numpy": open_numpy, "matlab": open_matlab, "matlab 7.3": open_matlab_hdf5, "hdf5": open_hdf5}


def require_square_lattice(file: Any) -> None:  # an open h5py.File
    """Raise `InputError` if a file of mcising is of another lattice, or has other couplings than J = 1 and no field."""
    text = file["metadata"].attrs.get("config_json") if "metadata" in file else None
    record = json.loads(text) if isinstance(text, str | bytes) else {}
    lattice = record.get("lattice", {}) if isinstance(record, Mapping) else {}
    for key, must in SETTINGS.items():
        if lattice.get(key, must) != must:
            message = f"it is of {key} = {shown(lattice[key])}: the model here is the square lattice, J = 1, no field"
            raise InputError(message)


# --- which array


def the_array(name: str, held: Mapping[str, Held], temperature: float | None) -> str:
    """Return the name of the one array of configurations; of several that differ in temperature the one at this."""
    for axes in (3, 2):
        fitting = [key for key, one in held.items() if one.lattices == axes and not is_temperature(key)]
        fitting = at_one_temperature(name, fitting, held, temperature)
        found = [key for key in fitting if is_two_valued(held[key].read())]
        if len(found) == 1:
            return found[0]
        if found:
            message = (
                f"file {name!r} holds {listed(held, found)}, each of which may be the configurations: choose one with "
                f"--array {found[0]} (array=…), or write {f'{name}:{found[0]}'!r}"
            )
            raise InputError(message)
    message = (
        f"file {name!r} holds {listed(held, held)}: expected one array of ±1 or 0/1, (sample, L, L), and if it has "
        "temperatures an array T, one for each sample"
    )
    raise InputError(message)


def listed(held: Mapping[str, Held], names: Collection[str]) -> str:
    """Return what arrays are, in a line: "a int8 (640, 8, 8), b float64 (640, 64)"."""
    told = [f"{key} {held[key].dtype} {held[key].shape}" for key in names]
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more or "no arrays"


def is_two_valued(array: np.ndarray) -> bool:
    """Return whether an array holds numbers of ±1, or of 0 and 1, alone."""
    if array.dtype.kind not in "biuf" or not array.size:
        return False
    return bool(((array == 1) | (array == 0)).all() or ((array == 1) | (array == -1)).all())


def require_two_values(name: str, key: str, array: np.ndarray) -> None:
    """Raise `InputError` unless an array holds ±1, or 0 and 1, alone."""
    if is_two_valued(array):
        return
    held = f"type {array.dtype}"
    if array.dtype.kind in "biuf" and array.size:
        values = np.unique(np.ravel(array)[: 2**20])
        held = ", ".join(f"{x:.4g}" for x in values[:4]) + (", …" if len(values) > 4 else "")
    message = f"file {name!r}, array {key!r} holds {held}: expected spins, ±1 or 0/1 alone"
    raise InputError(message)


def as_signs(spins: np.ndarray) -> np.ndarray:
    """Return spins of ±1 or 0/1 as ±1, int8."""
    small = spins.astype(np.int8)
    return small if (small == -1).any() or not (small == 0).any() else 2 * small - 1


# --- at which temperature


def is_temperature(key: str) -> bool:
    """Return whether an array's name says that it holds temperatures."""
    last = key.rpartition("/")[2]
    return last == "T" or last.lower() in TEMPERATURES


def beside(key: str, held: Mapping[str, Held], samples: int | None = None) -> np.ndarray | None:
    """Return the temperatures of an array, the nearest in the file: one, or as many as samples; None if it has none."""
    place = key
    while True:
        for other, one in held.items():
            if is_temperature(other) and other.rpartition("/")[0] == place and one.dtype.kind in "fiu":
                values = np.ravel(one.read()).astype(np.float64)
                if values.size in (1, samples):
                    return values
        if not place:
            return None
        place = place.rpartition("/")[0]


def at_one_temperature(name: str, keys: list[str], held: Mapping[str, Held], wanted: float | None) -> list[str]:
    """Return those of several arrays that are at the temperature wanted, where they have temperatures that differ."""
    found = [beside(key, held) for key in keys]
    if len(keys) < 2 or any(values is None for values in found):
        return keys
    each = np.concatenate([values for values in found if values is not None])
    if len(set(each)) == 1:
        return keys
    at = chosen(name, each, wanted)
    return [key for key, near in zip(keys, same(each, at), strict=True) if near]


def at_temperature(
    name: str, spins: np.ndarray, temperatures: np.ndarray | None, wanted: float | None
) -> tuple[np.ndarray, float]:
    """Return the configurations at one temperature, and which it is."""
    if temperatures is None:
        if wanted is None:
            message = f"file {name!r} has no temperatures: give one with --temperature (temperature=…)"
            raise InputError(message)
        return spins, wanted
    each = np.broadcast_to(temperatures, (len(spins),))
    at = chosen(name, each, wanted)
    near = same(each, at)
    return (spins if near.all() else spins[near]), at if wanted is None else wanted


def chosen(name: str, each: np.ndarray, wanted: float | None) -> float:
    """Return the temperature that is wanted, or the only one, or raise `InputError` where there is none such."""
    several = np.unique(each)
    if wanted is None and len(several) > 1:
        span = f"{len(several)} temperatures, {several[0]:.6g} to {several[-1]:.6g}"
        message = f"file {name!r} has {span}: choose one with --temperature (temperature=…)"
        raise InputError(message)
    if wanted is None:
        return float(several[0])
    if wanted in several:  # ∞ among them, from which nothing can be subtracted
        return wanted
    nearest = float(several[np.argmin(np.abs(several - wanted))])
    require_same(name, nearest, wanted)
    return nearest


def same(each: np.ndarray, at: float) -> np.ndarray:
    """Return which temperatures are one, as files and users write it."""
    return np.asarray(np.isclose(each, at, rtol=SAME_TEMPERATURE, atol=0))


def require_same(name: str, found: float, wanted: float | None) -> None:
    """Raise `InputError` if configurations are of another temperature than is asked for."""
    if wanted is not None and not same(np.asarray(found), wanted):
        message = f"temperature = {wanted:.6g}: the configurations in {name!r} are of T = {found:.6g}"
        raise InputError(message)
