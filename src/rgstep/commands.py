"""What the smaller commands do: from what a user types to files and lines; `compare` has a module of its own (`jobs`).

Everything that can be wrong with a request is said before the work starts; results appear when complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rgstep import memory
from rgstep.arguments import InputError, unknown_name
from rgstep.controls import HAND_MADE
from rgstep.ensemble import Ensemble
from rgstep.files import check_folder, write_or_keep
from rgstep.flows import STARTS, Flows, flow
from rgstep.folders import output_folder, require_file
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.jobs import HELD_OUT_SEED, PACKAGES, map_from_file, names_a_file, reserved
from rgstep.learned import KERNEL_PRESETS, train_kernel
from rgstep.nets.assessment import Assessment, assess, with_assessment
from rgstep.nets.localisation import require_square
from rgstep.nets.presets import PRESETS
from rgstep.nets.rbm import RBM
from rgstep.nets.training import load_checkpoints, train_rbm
from rgstep.page import write_page
from rgstep.progress import renamed
from rgstep.report import Report, load_report
from rgstep.samplers.sample import HOUR, sample
from rgstep.samplers.stream import IsingStream
from rgstep.scaling import Exponents, exponents
from rgstep.sizes import Table, merged, read_table, size_tables
from rgstep.stack import Layer, Stack, train_stack, with_first
from rgstep.store import (
    check_name,
    load_configurations,
    load_trained,
    save_ensemble,
    save_kernel,
    save_rbm,
    save_stack,
)
from rgstep.studies.collect import collect_study, write_collected
from rgstep.studies.run import run_study, study_status
from rgstep.types import Progress

STUDIES = Path("runs/studies")
FEWEST_HELD_OUT = 100  # configurations for an assessment with errors
TABLE, CONFIGURATION_FILES = ".csv", (".npz", ".npy", ".mat", ".h5", ".hdf5", ".txt")  # that a folder is searched for


def parse_temperature(text: str) -> float:
    """Return a temperature from what a user types: a number, `critical` or `inf`.

    Raises:
        InputError: for any other word.
    """
    if text == "critical":
        return CRITICAL_TEMPERATURE
    try:
        return float(text)
    except ValueError as error:
        message = f"temperature = {text!r}: give a number in units of J/k_B, 'critical' or 'inf'"
        raise InputError(message) from error


def redraw(directory: Path, progress: Progress | None = None) -> Report:
    """Draw the figures and the page of a saved report again, from its numbers."""
    report = load_report(directory)
    with output_folder(directory, force=True, whole=False) as folder:
        write_page(report, folder, progress)
    return report


def environment() -> dict[str, Any]:
    """Return versions, cores, and the names that `--map` and `--preset` know."""
    return {
        **{package: version(package) for package in PACKAGES},
        "maps": sorted(reserved()),
        "presets": sorted(PRESETS),
        "presets of kernels": sorted(KERNEL_PRESETS),
        "free memory": memory.readable(memory.available()),
    }


def sample_to_file(
    out: Path,
    size: int,
    temperature: float,
    samples: int,
    seed: int,
    *,
    mode: str = "iid",
    kernel: str = "auto",
    threads: int | None = None,
    time_limit: float = HOUR,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Sample one temperature into a file; returns the certificate as plain values."""
    check_file(out, force)
    ensemble = sample(
        size,
        temperature,
        samples,
        seed,
        mode=mode,
        kernel=kernel,
        threads=threads,
        time_limit=time_limit,
        progress=progress,
    )
    write_or_keep(lambda path: save_ensemble(path, ensemble), out)
    return {"file": str(out), **ensemble.certificate.to_dict()}


def train_to_file(
    data: Path,
    out: Path,
    hidden: int | None,
    seed: int,
    preset: str,
    settings: Mapping[str, Any],
    *,
    kernel: str | None = None,
    temperature: float | None = None,
    fresh: bool = False,
    stack: bool = False,
    levels: int | None = None,
    checkpoints: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a network on configurations from a file, or on fresh ones of the same model, into another file.

    The temperature is needed where the file, of another program, has none or several. With `stack`, networks are
    trained one on h of another, `levels` of them; with `kernel`, a preset of `learned.KERNEL_PRESETS`, one shared
    kernel in place of a network. Returns the settings and last readings.
    """
    check_file(out, force)
    if stack and hidden is not None:
        message = f"hidden = {hidden} with a stack: its networks have a unit for each 2×2 block; leave it out"
        raise InputError(message)
    if levels is not None and not stack:
        message = f"levels = {levels} without a stack: add --stack, or leave it out"
        raise InputError(message)
    ensemble = load_configurations(data, temperature)
    source = IsingStream(ensemble.system.size, ensemble.system.temperature, seed) if fresh else ensemble
    if kernel is not None:
        return kernel_to_file(source, out, kernel, seed, settings, checkpoints, progress)
    rest: dict[str, Any] = {"preset": preset, "checkpoints": checkpoints, "progress": progress, **settings}
    if stack:
        found = train_stack(source, levels, seed, **rest)
        write_or_keep(lambda path: save_stack(path, found), out)
        return {**found.origin, "levels": [about_level(layer) for _, layer in found.networks()], "file": str(out)}
    rbm = train_rbm(source, hidden, seed, **rest)
    write_or_keep(lambda path: save_rbm(path, rbm), out)
    last = {f"final_{name}": float(curve[-1]) for name, curve in rbm.history.items() if name != "step"}
    return {**rbm.origin, **last, "file": str(out)}


def about_level(layer: Layer) -> dict[str, Any]:
    """Return what became of a network of a stack, in plain values."""
    residual, at_random = layer.residual
    return {
        "units": layer.rbm.hidden,
        "dead": len(layer.dead),
        "extended": len(layer.extended),
        "from_site": residual,
        "from_site_at_random": at_random,
        **{f"final_{name}": float(curve[-1]) for name, curve in layer.rbm.history.items() if name != "step"},
    }


def summary_of_stack(summary: Mapping[str, Any]) -> str:
    """Return what the training of a stack did and what to do next, in a few lines."""
    lines = [
        f"level {number}: {level['units']} units, {level['dead']} dead, {level['extended']} spread over the lattice; "
        f"{level['from_site']:.2f} spacings from their sites ({level['from_site_at_random']:.2f} at random)"
        for number, level in enumerate(summary["levels"], start=1)
    ]
    return "\n".join([*lines, f"file: {summary['file']}", f"next: rgstep compare --map {summary['file']}"])


def kernel_to_file(
    data: Ensemble | IsingStream,
    out: Path,
    preset: str,
    seed: int,
    settings: Mapping[str, Any],
    checkpoints: Path | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Train a shared kernel into a file; returns its settings, weights and last readings."""
    kernel = train_kernel(data, preset, seed, checkpoints=checkpoints, progress=progress, **settings)
    write_or_keep(lambda path: save_kernel(path, kernel), out)
    last = {f"final_{name}": float(curve[-1]) for name, curve in kernel.history.items() if name != "step"}
    return {**kernel.origin, **last, "weights": kernel.weights.tolist(), "file": str(out)}


def refuse_with_kernel(**asked: object) -> None:
    """Raise `InputError` where an option of a dense network's training is given with `--kernel`."""
    for name, value in asked.items():
        if value is not None:
            message = f"{name} = {value}: a shared kernel has no such setting; leave it out, or leave out --kernel"
            raise InputError(message)


def summary_of_kernel(summary: Mapping[str, Any]) -> str:
    """Return what the training of a shared kernel found and what to do next, in a few lines."""
    named = [name for name in ("preset", "seed", "kernel", "block", "steps") if name in summary]
    rows = (" ".join(f"{weight:7.3f}" for weight in row) for row in summary["weights"])
    last = (f"{name.removeprefix('final_')}: {x:.4g}" for name, x in summary.items() if name.startswith("final_"))
    return "\n".join(
        [
            f"trained: {', '.join(f'{name} {summary[name]}' for name in named)}",
            *last,
            *rows,
            f"file: {summary['file']}",
            f"next: rgstep compare --map {summary['file']}",
        ]
    )


def summary_of_training(summary: Mapping[str, Any]) -> str:
    """Return what a training did and what to do next, in a few lines; `--json` prints every setting."""
    if "levels" in summary and isinstance(summary["levels"], list):
        return summary_of_stack(summary)
    if "weights" in summary:
        return summary_of_kernel(summary)
    named = ["preset", "method", "k", "chains", "batch", "steps", "optimiser", "learning_rate", "schedule"]
    readings = {
        "pseudo-likelihood per site": summary["final_pseudo_likelihood"],
        "participation ratio of the weights, median": summary["final_participation_w"],
        "reconstruction error": summary["final_reconstruction"],
    }
    return "\n".join(
        [
            f"trained: {', '.join(f'{name} {summary[name]}' for name in named)}",
            *(f"{name}: {value:.4g}" for name, value in readings.items()),
            f"file: {summary['file']}",
            f"next: rgstep assess {summary['file']}   or   rgstep compare --map {summary['file']}",
        ]
    )


def assess_file(
    network: Path,
    temperature: float,
    samples: int,
    seed: int,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Assessment:
    """Assess a network, or the first of a stack, by fresh configurations, and write the result into its record."""
    if samples < FEWEST_HELD_OUT:
        message = f"samples = {samples}: an assessment needs at least {FEWEST_HELD_OUT} configurations for its errors"
        raise InputError(message)
    given = load_trained(network)
    check_folder(network.parent)
    rbm = given.first if isinstance(given, Stack) else given
    if not isinstance(rbm, RBM):
        message = f"file {str(network)!r} holds a shared kernel: what is assessed is a network, or the first of a stack"
        raise InputError(message)
    side = require_square(rbm)
    trajectory = load_checkpoints(checkpoints) if checkpoints is not None else []
    held_out = sample(side, temperature, samples, seed + HELD_OUT_SEED, mode="thin", progress=progress)
    found = assess(rbm, held_out, seed, trajectory=trajectory, progress=progress)
    told = with_assessment(rbm, found)
    if isinstance(given, Stack):
        stack = with_first(given, told)
        write_or_keep(lambda path: save_stack(path, stack), network)
    else:
        write_or_keep(lambda path: save_rbm(path, told), network)
    return found


def exponents_of_files(
    paths: Sequence[Path],
    *,
    quantity: str | None = None,
    temperature: float = CRITICAL_TEMPERATURE,
    window: str | None = None,
    seed: int = 0,
) -> Exponents:
    """Return the exponents of finite-size scaling from files of configurations, tables, or folders of both.

    Args:
        paths: files of configurations, of any kind that is read; tables, `.csv`; folders with such files.
        quantity: what the values of a table without a column quantity are.
        temperature: of the power laws; of configurations whose file does not say it, too.
        window: the smallest and the largest size to fit, as "8:64".
        seed: of the repetitions that give errors of crossings.
    """
    files = files_of_sizes(paths)
    tables: list[Mapping[str, Table]] = [read_table(path, quantity) for path in files if path.suffix == TABLE]
    sets = [load_sizes(path, temperature) for path in files if path.suffix != TABLE]
    if sets:
        tables.append(size_tables(sets))
    return exponents(merged(tables), temperature, window=None if window is None else parse_window(window), seed=seed)


def files_of_sizes(paths: Sequence[Path]) -> list[Path]:
    """Return the files of configurations and tables that are named, or are in folders that are."""
    found = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix in (*CONFIGURATION_FILES, TABLE)) if path.is_dir() else []
        if path.is_dir() and not inside:
            kinds = ", ".join(CONFIGURATION_FILES)
            message = f"folder {str(path)!r} has no files {kinds} or {TABLE}: expected configurations or tables"
            raise InputError(message)
        found += inside or [path]
    return found


def load_sizes(path: Path, temperature: float) -> Ensemble:
    """Read configurations at the temperature that their file has, or else at the given one."""
    try:
        return load_configurations(path)
    except InputError as error:
        if "has no temperatures" not in str(error):
            raise
    return load_configurations(path, temperature)


def parse_window(text: str) -> tuple[float, float]:
    """Return the two sizes of "8:64"."""
    parts = text.split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError as error:
        message = f"window = {text!r}: give the smallest and the largest size, 8:64"
        raise InputError(message) from error
    return low, high


def flow_of_file(
    name: str,
    start: str | None,
    *,
    kind: str,
    temperature: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **how: Any,  # the rest of what `flow` takes
) -> Flows:
    """Iterate a network of a file, or a map by name, from one start, or from both T = 0 and T = ∞ where none is named.

    Args:
        name: a network's file, `file.py:object`, or the name of a rule made by hand.
        start: a name of `flows.STARTS`, a file of configurations, or None for both.
        kind: see `flow`.
        temperature: of the configurations of a file that does not say it.
        seed: of everything random.
        progress: called as the work goes on.
        how: the rest of what `flow` takes.
    """
    if names_a_file(name):
        coarse = map_from_file(name)[1]
    elif name in HAND_MADE:
        coarse = HAND_MADE[name](2)
    else:
        kind_of_name = "map"
        raise unknown_name(kind_of_name, name, HAND_MADE)
    starts: list[Any] = list(STARTS) if start is None else [start]
    if start is not None and start not in STARTS:
        if not Path(start).suffix:
            kind_of_name = "start"
            raise unknown_name(kind_of_name, start, STARTS)
        starts = [load_configurations(start, temperature)]
    return Flows([flow(coarse, one, kind=kind, seed=seed, progress=from_start(progress, one), **how) for one in starts])


def from_start(progress: Progress | None, start: Any) -> Progress | None:  # a name of `STARTS`, or an ensemble
    """Return a progress whose stages say where a flow starts."""
    where = start if isinstance(start, str) else "a file"
    return renamed(progress, lambda stage: f"{stage} from {where}")


@dataclass(frozen=True)
class OfStudy:
    """What a command on a study prints, as plain values and in words."""

    plain: Mapping[str, Any]
    words: str


def do_study(
    action: str,
    path: Path,
    out: Path | None = None,
    *,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> OfStudy:
    """Run a study, say how far it is, or collect it.

    Args:
        action: "run", "status" or "collect".
        path: the study's TOML file; for the last two its folder will do.
        out: its folder, by default `runs/studies/` and the name of the file.
        workers: processes.
        dask: the address of a scheduler, or "local".
        progress: called as the work goes on.
    """
    if action not in ("run", "status", "collect"):
        kind = "action"
        raise unknown_name(kind, action, ("run", "status", "collect"))
    folder = out or (STUDIES / path.stem if path.suffix == ".toml" else path)
    if action == "run":
        status = run_study(path, folder, workers=workers, dask=dask, progress=progress)
        return OfStudy(status.plain, f"{status}\nnext: rgstep study collect {folder}")
    if action == "status":
        status = study_status(folder)
        return OfStudy(status.plain, str(status))
    found = collect_study(folder)
    files = [str(file) for file in write_collected(found, folder / "collected")]
    words = [str(found), *(f"file: {file}" for file in files)]
    return OfStudy({"tasks": len(found.parts), "notes": list(found.notes), "files": files}, "\n".join(words))


def check_file(path: Path, force: bool) -> None:
    """Raise `InputError` if a file cannot be written, or is there already and `force` is not set."""
    check_name(path)
    check_folder(path.parent)
    require_file(path.parent, path.name)
    if path.exists() and not force:
        message = f"file {str(path)!r} exists: choose another, or replace it with --force"
        raise InputError(message)
