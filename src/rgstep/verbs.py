"""What the verbs of the command line do with files, one function each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgstep.compare import HELD_OUT_SEED
from rgstep.errors import InputError
from rgstep.files import check_folder
from rgstep.nets.assessment import Assessment, assess, with_assessment
from rgstep.nets.localisation import require_square
from rgstep.nets.training import load_checkpoints, train_rbm
from rgstep.samplers.endless import IsingStream
from rgstep.samplers.plan import HOUR, sample
from rgstep.store import check_name, load_ensemble, load_rbm, save_ensemble, save_rbm
from rgstep.types import Progress

FEWEST_HELD_OUT = 100


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
    save_ensemble(out, ensemble)
    return {"file": str(out), **ensemble.certificate.to_dict()}


def train_to_file(
    data: Path,
    out: Path,
    hidden: int | None,
    seed: int,
    preset: str,
    settings: Mapping[str, Any],
    *,
    fresh: bool = False,
    checkpoints: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a network on configurations from a file, or on fresh ones of the same model, into another file.

    Returns its settings and last readings.
    """
    check_file(out, force)
    ensemble = load_ensemble(data)
    source = IsingStream(ensemble.system.size, ensemble.system.temperature, seed) if fresh else ensemble
    rbm = train_rbm(source, hidden, seed, preset=preset, checkpoints=checkpoints, progress=progress, **settings)
    save_rbm(out, rbm)
    last = {f"final_{name}": float(curve[-1]) for name, curve in rbm.history.items() if name != "step"}
    return {**rbm.origin, **last, "file": str(out)}


def summary_of_training(summary: Mapping[str, Any]) -> str:
    """Return what a training did and what to do next, in a few lines; `--json` prints every setting."""
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
    """Assess a network by fresh configurations at a temperature, and write the result into its record."""
    if samples < FEWEST_HELD_OUT:
        message = f"samples = {samples}: an assessment needs at least {FEWEST_HELD_OUT} configurations for its errors"
        raise InputError(message)
    rbm = load_rbm(network)
    side = require_square(rbm)
    trajectory = load_checkpoints(checkpoints) if checkpoints is not None else []
    held_out = sample(side, temperature, samples, seed + HELD_OUT_SEED, mode="thin", progress=progress)
    found = assess(rbm, held_out, seed, trajectory=trajectory, progress=progress)
    save_rbm(network, with_assessment(rbm, found))
    return found


def check_file(path: Path, force: bool) -> None:
    """Raise `InputError` if a file cannot be written, or is there already and `force` is not set."""
    check_name(path)
    check_folder(path.parent)
    if path.exists() and not force:
        message = f"file {str(path)!r} exists: choose another, or replace it with --force"
        raise InputError(message)
