"""How a shared kernel is trained, by the name of the paper: `train_kernel`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from rgstep.arguments import PATH, PROGRESS, SEED, checked, one_of, optional
from rgstep.nets.batches import Data
from rgstep.nets.information_filter import InformationTraining, train_filter
from rgstep.nets.kernel import SharedKernel
from rgstep.nets.presets import overridden
from rgstep.nets.shared_rbm import SharedTraining, train_shared
from rgstep.stationary import StationaryTraining, train_stationary
from rgstep.types import Progress

KernelTraining: TypeAlias = SharedTraining | StationaryTraining | InformationTraining

KERNEL_PRESETS: Mapping[str, KernelTraining] = MappingProxyType(
    {
        # Chung and Kao (arXiv:2010.05703): L = 32, 100 epochs of 10,000 critical configurations.
        "chung2020": SharedTraining(),
        # After Ron, Swendsen and Brandt (2002): the couplings are to stay from the first step on.
        "stationary": StationaryTraining(),
        # Koch-Janusz and Ringel (arXiv:1704.06279): windows of 2×2 in the Ising model, here by InfoNCE.
        "kochjanusz2018": InformationTraining(),
    }
)


TRAINED_BY: Mapping[type, Callable[..., SharedKernel]] = {
    SharedTraining: train_shared,
    StationaryTraining: train_stationary,
    InformationTraining: train_filter,
}


@checked(preset=one_of(KERNEL_PRESETS, "preset"), seed=SEED, checkpoints=optional(PATH), progress=PROGRESS)
def train_kernel(
    data: Data,
    preset: str = "chung2020",
    seed: int = 0,
    *,
    checkpoints: str | Path | None = None,
    progress: Progress | None = None,
    **overrides: Any,  # the fields of the preset's settings
) -> SharedKernel:
    """Return a shared kernel trained on configurations.

    Args:
        data: an `Ensemble`, an array of ±1 `(sample, L, L)`, or an `IsingStream` of fresh configurations.
        preset: a name of `KERNEL_PRESETS`, which says what is asked of the kernel and by which settings.
        seed: decides the first weights, the order of the data and every draw; the same seed gives the same kernel.
        checkpoints: a folder for the state of the training on a logarithmic grid of steps; of `stationary`, after each
            start. If it holds checkpoints of the same training, it goes on from the last one, to the same bits.
        progress: called as the training goes on.
        **overrides: settings that replace the preset's; None leaves one as it is.

    Raises:
        InputError: for bad settings or data, weights that explode, or checkpoints of another training.

    Examples:
        >>> ensemble = rg.sample(8, samples=500, seed=0)
        >>> kernel = rg.train_kernel(ensemble, "chung2020", seed=0, steps=20)
        >>> kernel.weights.shape
        (8, 8)
    """
    training = overridden(KERNEL_PRESETS[preset], overrides)
    folder = Path(checkpoints) if checkpoints is not None else None
    kernel = TRAINED_BY[type(training)](data, training, seed, progress, folder)
    return replace(kernel, origin={"preset": preset, "seed": seed, **kernel.origin})
