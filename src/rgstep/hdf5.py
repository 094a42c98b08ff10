"""HDF5 files of other programs, read with care: h5py when it is needed, and values that lie in the file itself."""

from types import ModuleType
from typing import Any

from rgstep.arguments import InputError
from rgstep.files import require_modest


def library(task: str) -> ModuleType:
    """Return h5py, loaded when first needed; `task` says what for.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        message = f"{task} needs h5py: pip install 'rgstep[hdf5]'"
        raise InputError(message) from error
    module: ModuleType = h5py
    return module


def dataset(file: Any, place: str, size: int) -> Any:  # of an open h5py.File
    """Return a dataset whose values lie in the file itself, a file of so many bytes; None where there is none.

    Raises:
        InputError: for a link out of the file, or more values than the size of the file accounts for.
    """
    parts = place.split("/")
    for end in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:end]), getlink=True)
        if link is None:
            return None
        if type(link).__name__ != "HardLink":
            message = f"{place!r} lies elsewhere than in the file"
            raise InputError(message)
    data = file[place]
    if data.external or data.is_virtual:
        message = f"the values of {place!r} lie in another file"
        raise InputError(message)
    require_modest(data.nbytes, size)
    return data
