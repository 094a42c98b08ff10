"""What is in a file or folder? Its kind, its format, what was made how; reading it checks all of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgstep.arguments import InputError, checked
from rgstep.ensemble import Ensemble
from rgstep.files import reading
from rgstep.nets.checkpoints import checkpoint_path, checkpoint_steps, read_checkpoint
from rgstep.nets.kernel import SharedKernel
from rgstep.nets.rbm import RBM
from rgstep.nets.tensor_files import FORMAT, SAFETENSORS, load_safetensors
from rgstep.parts import FORMAT as PART_FORMAT
from rgstep.parts import read_content
from rgstep.report import Report
from rgstep.report_schema import WITHOUT_CHECKSUM, read_document
from rgstep.stack import Stack
from rgstep.store import PLACE, contents, load, load_configurations
from rgstep.zarr_files import is_place, read_store

VERIFIED, ABSENT = "verified", "none: a file of an older format, or of another program"
OF_OTHERS = (".npy", ".mat", ".txt")  # names of files that are never ours
MADE = ("source", "preset", "method", "steps", "seed", "version", "started")  # of an origin, what is shown


@checked(path=PLACE)
def info(path: str | Path) -> dict[str, Any]:
    """Say what a file or folder holds, having read and checked all of it.

    Returns:
        Plain values by name: `path`, `kind`, `format` (None for files of other programs), `checksum`, whether one was
        verified, and what there is to say of the kind: `size`, `temperature` and `samples`, `visible` and `hidden`,
        `preset`, the `verdicts` of a report.

    Raises:
        InputError: if there is nothing there, or something else than what rgstep reads, or it is damaged.

    Examples:
        >>> rg.save("set.npz", rg.sample(8, samples=100, seed=0))
        >>> found = rg.info("set.npz")
        >>> found["kind"], found["size"], found["samples"]
        ('ensemble', 8, 100)
    """
    found = part_of(Path(path)) if Path(path).suffix == ".json" else {**version_of(path), **told(thing_in(path))}
    return {"path": str(path), **found}


def thing_in(path: str | Path) -> object:
    """Return what a file holds; configurations of another program, too, where they say their temperature."""
    if is_place(path) or Path(path).suffix not in OF_OTHERS:
        try:
            return load(path)
        except InputError as error:
            if not any(words in str(error) for words in ("has no record of what it holds", "is no archive of rbms")):
                raise
    return load_configurations(path)


def version_of(path: str | Path) -> dict[str, Any]:
    """Return the format of a file or folder, and whether it has a checksum, which reading verifies."""
    place = Path(path)
    version: int | None = None
    sealed = False
    if is_place(path):
        version, sealed = read_store(path)[0].get("format"), True
    elif (place / "report.json").is_file():
        version = read_document(place / "report.json")["schema"]
        sealed = version not in WITHOUT_CHECKSUM
    elif place.is_dir() and (steps := checkpoint_steps(place)):
        version = read_checkpoint(checkpoint_path(place, steps[-1]))[0]["format"]
        sealed = version > 1
    elif place.suffix == SAFETENSORS:
        try:
            load_safetensors(place)
            version, sealed = int(FORMAT), True
        except InputError:  # of another program, or damaged, which reading will say
            pass
    elif place.suffix == ".npz":
        try:
            version = contents(place)[0].get("format")
            sealed = version is not None and version > 1
        except InputError:
            pass
    return {"format": version, "checksum": VERIFIED if sealed else ABSENT}


def told(thing: object) -> dict[str, Any]:
    """Return what there is to say of something that is stored."""
    if isinstance(thing, Ensemble):
        facts = {"size": thing.system.size, "temperature": thing.system.temperature, "samples": len(thing)}
        return {"kind": "ensemble", **facts, "independent": thing.independent, **made(thing.origin)}
    if isinstance(thing, RBM):
        return {"kind": "network", "visible": thing.visible, "hidden": thing.hidden, **made(thing.origin)}
    if isinstance(thing, Stack):
        sides = [f"{layer.rbm.visible} to {layer.rbm.hidden}" for _, layer in thing.networks()]
        return {"kind": "stack", "levels": len(thing), "networks": sides, **made(thing.origin)}
    if isinstance(thing, SharedKernel):
        facts = {"side": thing.side, "block": thing.block, "temperature": thing.temperature}
        return {"kind": "kernel", **facts, **made(thing.origin)}
    if isinstance(thing, Report):
        facts = {name: thing.origin[name] for name in ("size", "temperature", "samples") if name in thing.origin}
        return {"kind": "report", **facts, "verdicts": verdicts(thing), **made(thing.origin)}
    networks = list(thing) if isinstance(thing, list) else []
    steps = [network.origin["steps"] for network in networks]
    return {"kind": "checkpoints", "networks": len(networks), **told_of_run(networks), "at": steps}


def told_of_run(networks: list[RBM]) -> dict[str, Any]:
    """Return the sizes of the networks of a run."""
    return {"visible": networks[0].visible, "hidden": networks[0].hidden} if networks else {}


def verdicts(report: Report) -> dict[str, str]:
    """Return the verdict of each map."""
    return {name: entry.verdict for name, entry in report.maps.items()}


def made(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lines of an origin that are shown."""
    return {name: origin[name] for name in MADE if origin.get(name) is not None}


def part_of(path: Path) -> dict[str, Any]:
    """Return what a part of `rgstep reproduce` or of a study is, by itself; whether it counts, these say."""
    with reading(path, "is no part of rgstep reproduce or of a study, or is damaged"):
        measurement, part = read_content(path)
    facts = {"measurement": measurement.name, "edition": measurement.edition, "settings": dict(part.settings)}
    return {"kind": "part", "format": PART_FORMAT, "checksum": VERIFIED, **facts, "seconds": part.seconds}
