"""Stores of zarr, in a folder or at a URL of fsspec (memory://, s3://): written through xarray, read with a checksum.

Plain xarray opens them (`open_zarr`, `open_datatree`). Values are stored uncompressed, so that no store holds more than
its size; the checksum in the root's attributes is a hash of every file of the store, so that one wrong bit anywhere,
a missing file or one too many is an error. It is written last: a store without one is unfinished.

A reader that trusts a store runs whatever codecs its metadata name, the one that unpickles among them. Here metadata
are read first, as JSON, and only arrays of plain numbers are decoded, with the one codec that we write.
"""

import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from rgstep import scratch
from rgstep.arguments import InputError, first_line
from rgstep.files import check_folder, reading, require_modest
from rgstep.schema import CHECKSUM, canonical, parse

SUFFIX = ".zarr"
ROOT = "zarr.json"
CHUNK = 2**24  # bytes of a chunk, about
CODECS = ("bytes",)
NOT_OURS = "is no zarr store of rgstep, or is damaged"
KINDS = ("bool", "int8", "uint8", *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (16, 32, 64)))


def is_place(path: str | Path) -> bool:
    """Whether a path names a zarr store: it ends in .zarr, or is a URL."""
    return "://" in str(path) or Path(path).suffix == SUFFIX


def library(name: str, task: str) -> Any:  # a module, loaded when first needed
    """Return xarray, zarr, pandas or fsspec, or raise `InputError` that says what to install."""
    try:
        return __import__(name)
    except ImportError as error:
        message = f"{task} needs {name}: pip install 'rgstep[data]'"
        raise InputError(message) from error


def file_system(place: str | Path, task: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a path or URL, and the path on it."""
    library("fsspec", task)
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(str(place))
    except Exception as error:  # of an unknown protocol, or a package that it needs
        message = f"{task}: {first_line(error)}"
        raise InputError(message) from error
    return system, str(root).rstrip("/")


# --- writing


def write_store(place: str | Path, tree: Any) -> None:  # an xarray.DataTree
    """Write a tree into a folder, whole or not at all, or to a URL; a store that is there is replaced.

    Raises:
        InputError: if a package is missing, something else is there, or the place cannot be written.
    """
    task = f"writing {str(place)!r}"
    library("zarr", task)
    try:
        if "://" in str(place):
            system, root = file_system(place, task)
            refuse_other(place, system, root)
            if system.exists(root):
                system.rm(root, recursive=True)
            fill(str(place), tree)
        else:
            with replaced_folder(Path(place)) as beside:
                fill(str(beside), tree)
    except InputError:
        raise
    except Exception as error:  # of the file system or the network, of many kinds
        message = f"store {str(place)!r} cannot be written: {first_line(error)}"
        raise InputError(message) from error


def refuse_other(place: str | Path, system: Any, root: str) -> None:
    """Raise `InputError` if at a place there is something else than a zarr store."""
    if system.exists(root) and not system.exists(f"{root}/{ROOT}"):
        message = f"output {str(place)!r} exists and is no zarr store: choose another name"
        raise InputError(message)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder that takes a folder's place at the end, and nothing on any failure."""
    refuse_other(folder, *file_system(folder, f"writing {str(folder)!r}"))
    check_folder(folder.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        yield hidden / "new"
        if folder.exists():
            folder.rename(hidden / "old")
        (hidden / "new").rename(folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def fill(url: str, tree: Any) -> None:  # an xarray.DataTree
    """Write a tree and its checksum."""
    encoding: dict[str, dict[str, Any]] = {}
    for node in tree.subtree:
        own = node.to_dataset(inherit=False).variables
        encoding[node.path] = {name: {"compressors": None, **chunks(own[name])} for name in own}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own, that other programs may not read texts or consolidated metadata
        tree.to_zarr(url, mode="w", zarr_format=3, consolidated=True, write_empty_chunks=True, encoding=encoding)
    system, root = file_system(url, "writing")
    document = json.loads(system.cat_file(f"{root}/{ROOT}"))
    document["attributes"][CHECKSUM] = hash_of_store(system, root, document)
    system.pipe_file(f"{root}/{ROOT}", json.dumps(document, indent=1).encode())


def chunks(variable: Any) -> dict[str, Any]:
    """Return how a long array is cut, along its first axis."""
    if variable.dtype.kind == "O" or variable.nbytes <= CHUNK:
        return {}
    rows = max(1, CHUNK * len(variable) // variable.nbytes)
    return {"chunks": (rows, *variable.shape[1:])}


def hash_of_store(system: Any, root: str, document: Mapping[str, Any]) -> str:
    """Return a hash of all files of a store, and of what its root says beside the checksum."""
    attributes = {name: value for name, value in document["attributes"].items() if name != CHECKSUM}
    hashed = blake2b(canonical({**document, "attributes": attributes}), digest_size=16)
    for path in sorted(system.find(root)):
        name = path[len(root) + 1 :]
        if name != ROOT:
            content = system.cat_file(path)
            hashed.update(f"{name}\n{len(content)}\n".encode() + content)
    return hashed.hexdigest()


# --- reading


def read_store(place: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the attributes of a store's root, and its arrays of plain numbers by path; texts stay unread.

    Raises:
        InputError: if a package is missing, or there is no store, or a damaged or hostile one.
    """
    task = f"reading {str(place)!r}"
    zarr = library("zarr", task)
    system, root = file_system(place, task)
    with reading(place, NOT_OURS, "store"):
        if not system.exists(f"{root}/{ROOT}"):
            raise FileNotFoundError
        require_plain_files(place)
        document = parse(system.cat_file(f"{root}/{ROOT}").decode("utf-8"))
        if document["attributes"].get(CHECKSUM) != hash_of_store(system, root, document):
            message = "it does not hold what was written, by its checksum, or is unfinished"
            raise InputError(message)
        names = plain_arrays(system, root)
        group = zarr.open_group(str(place), mode="r", zarr_format=3, use_consolidated=False)
        return dict(document["attributes"]), {name: whole(group[name]) for name in names}


def whole(array: Any) -> np.ndarray:  # of zarr
    """Return an array of a store, read a chunk at a time where it is long."""
    if not scratch.on_disk(array.shape, array.dtype):
        return np.asarray(array[...])
    step, rows = array.chunks[0], array.shape[0]
    return scratch.joined((np.asarray(array[a : a + step]) for a in range(0, rows, step)), rows)


def require_plain_files(place: str | Path) -> None:
    """Raise `InputError` if a folder's store leads out of the folder by a link."""
    if "://" not in str(place):
        for path in Path(place).rglob("*"):
            if path.is_symlink():
                message = f"its entry {path.name!r} is a link"
                raise InputError(message)


def plain_arrays(system: Any, root: str) -> list[str]:
    """Return the paths of the arrays of plain numbers, each held to the size of the store and to our one codec."""
    sizes = {path[len(root) + 1 :]: entry["size"] for path, entry in system.find(root, detail=True).items()}
    found, declared = [], 0
    for name in sorted(sizes):
        if not name.endswith(f"/{ROOT}"):
            continue
        meta = parse(system.cat_file(f"{root}/{name}").decode("utf-8"))
        if meta.get("node_type") != "array" or meta.get("data_type") not in KINDS:
            continue
        used = [codec.get("name") for codec in meta["codecs"]]
        if tuple(used) != CODECS or meta.get("storage_transformers"):
            message = f"array {name.removesuffix('/' + ROOT)!r} needs codecs {used}: {', '.join(CODECS)} is read"
            raise InputError(message)
        bits = int("".join(filter(str.isdigit, meta["data_type"])) or 8)
        grid = meta["chunk_grid"]["configuration"]["chunk_shape"]
        declared += (math.prod(meta["shape"]) + math.prod(grid)) * bits // 8
        found.append(name.removesuffix(f"/{ROOT}"))
    require_modest(declared, sum(sizes.values()))
    return found
