"""Maps whose answer is known, by name, and data to train on for which what may be learnt is known.

Every table carries some of them, so that a number of a map under judgement stands beside what it is for maps that are
RG steps, for local ones that lead away from the fixed point, and for those that extract features. `KNOWN` says which
is which; why: docs/diagnostics/controls.md.

**Training data.** A claim that a network learned to coarse-grain stands against networks trained alike on data that
lack one thing:

    permuted              the pixels in another order: everything but the places; the same answers once put back
    infinite temperature  fair spins: nothing to learn
    zero and infinite     half T = 0, half T = ∞: order and disorder, nothing critical
    dichotomised Gaussian signs of a Gaussian field with the same ⟨s_x s_y⟩: all pairs and nothing beyond them

What is not a law of the Ising model comes as an int8 array, which `train_rbm` takes too: an `Ensemble` would be held
against Kaufman's energy and fail.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import fft

from rgstep import scratch
from rgstep.arguments import InputError, require_positive, require_seed, unknown_name
from rgstep.blocking import (
    Average,
    BernoulliBlock,
    CrossMajority,
    Decimation,
    FarMajority,
    Majority,
    RandomTiling,
    Scrambled,
    WindowMajority,
    permutation,
)
from rgstep.correlators import two_point
from rgstep.ensemble import Ensemble, pieces
from rgstep.nets.rbm import RBM, untrained_rbm
from rgstep.nets.training import train_rbm
from rgstep.packed import PIECE_SITES, per_piece
from rgstep.results import FEATURES, LOCAL, RG_STEP
from rgstep.roles import OF_NULL, family
from rgstep.samplers.sample import sample
from rgstep.streams import stream
from rgstep.types import CoarseGraining, Progress, Spins

LADDER = (0.1, 0.25, 0.5, 1.0, 2.0)  # weights of the Bernoulli block: from little but noise to nearly the majority rule

HAND_MADE: Mapping[str, Callable[[int], CoarseGraining]] = MappingProxyType(
    {
        "average": Average,
        "majority": Majority,
        "decimation": Decimation,
        "bernoulli": lambda block: BernoulliBlock(block=block),
        **{f"bernoulli_{weight}": partial(BernoulliBlock, weight) for weight in LADDER},
        "cross_majority": CrossMajority,
        "window_majority": lambda block: WindowMajority(2 * block, block),
        "scrambled_majority": lambda block: Scrambled(Majority(block)),
        "random_tiling": RandomTiling,
        "far_majority": FarMajority,
    }
)
HAND_MADE_CLASSES = tuple({type(make(2)) for make in HAND_MADE.values()} - {Scrambled})
SHOWN = ("average", "majority", "decimation", "random_tiling")
UNTRAINED = "rbm_untrained"
STANDARD = (*SHOWN, UNTRAINED)  # beside which a command shows every map

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "majority": RG_STEP,
        "average": RG_STEP,  # by its sign, the majority rule
        "cross_majority": RG_STEP,
        "window_majority": RG_STEP,
        "scrambled_majority": RG_STEP,
        "bernoulli_2.0": RG_STEP,
        "bernoulli_1.0": RG_STEP,
        "bernoulli": RG_STEP,
        "decimation": LOCAL,
        **{f"bernoulli_{weight}": LOCAL for weight in LADDER if weight <= 0.5},
        "random_tiling": FEATURES,
        "far_majority": FEATURES,
        UNTRAINED: FEATURES,
    }
)


def expected(about: str) -> str | None:
    """Return the verdict that is known of a control, whatever it is called, None where none is known.

    Args:
        about: what a report says it is, "Majority(block=2, ties='random')"; side of the block and seed change nothing.
    """
    if "preset=untrained" in about:
        return KNOWN[UNTRAINED]
    block = re.search(r"block=(\d+)", about)
    if block is None:
        return None
    made = {
        unseeded(repr(HAND_MADE[known](int(block[1])))): verdict
        for known, verdict in KNOWN.items()
        if known in HAND_MADE
    }
    return made.get(unseeded(about))


def unseeded(about: str) -> str:
    """Return what a report says of a map without its seed and without how ties are broken, which change no answer."""
    return re.sub(r", (seed|ties)=[^,)]*", "", about)


def is_control(given: object) -> bool:
    """Whether a map is one whose answer is known, whatever its settings; a scrambled one if the map within is."""
    if isinstance(given, Scrambled):
        return is_control(given.coarse)
    if isinstance(given, RBM):
        return given.origin.get("preset") == "untrained" or "control" in given.origin
    return isinstance(given, HAND_MADE_CLASSES)


def untrained_like(rbm: RBM, seed: int = 0) -> RBM:
    """Return an untrained network of the same layers and the same norm of W, √Σ W², zero biases.

    Weights grow in training, and with them every ⟨v h⟩: the null of a trained network has weights as large as its own.

    Raises:
        InputError: for a seed that is not a whole number ≥ 0.
    """
    drawn = untrained_rbm(rbm.visible, rbm.hidden, seed)
    norm = float(np.linalg.norm(rbm.weights.astype(np.float64)))
    scale = norm / float(np.linalg.norm(drawn.weights.astype(np.float64)))
    sd = norm / rbm.weights.size**0.5
    return replace(drawn, weights=drawn.weights * np.float32(scale), origin={**drawn.origin, "weights_sd": sd})


def control_map(name: str, size: int, block: int, units: int | None = None, seed: int = 0) -> CoarseGraining:
    """Return the control of a name of `STANDARD` or `HAND_MADE` for a lattice.

    Args:
        name: of the control.
        size: the side L of the lattice.
        block: the side of a block.
        units: hidden units of the untrained network; one for each block by default.
        seed: of the untrained network.
    """
    if name == UNTRAINED:
        return untrained_rbm(size**2, (size // block) ** 2 if units is None else units, seed)
    return HAND_MADE[name](block)


def with_nulls(maps: Mapping[str, object], seed: int) -> dict[str, object]:
    """Return the maps, and beside the first network of each kind an untrained one with weights as large as its own."""
    trained = {name: given for name, given in maps.items() if isinstance(given, RBM) and not is_control(given)}
    first = {name + OF_NULL: rbm for name, rbm in trained.items() if family(name) == name}
    return {**maps, **{name: untrained_like(rbm, seed) for name, rbm in first.items()}}


class Dichotomised(NamedTuple):
    """Signs of a Gaussian field, int8 `(sample, row, column)`, and which share of its spectrum had to be clipped."""

    spins: Spins
    clipped: float


def permuted(ensemble: Ensemble, seed: int = 0) -> tuple[Spins, np.ndarray]:
    """Return the configurations with their sites in another order, and that order π: data[:, x] = v[:, π(x)].

    Sites count with rows put end to end. `unpermuted` turns a network trained on them into one of the real lattice.
    """
    require_seed(seed)
    order = permutation(ensemble.system.size**2, int(seed), "pixels")
    out = scratch.empty((len(ensemble), *ensemble.unpack(0, 1).shape[1:]), np.int8)
    for start, piece in pieces(ensemble):
        out[start : start + len(piece)] = piece.reshape(len(piece), -1)[:, order].reshape(piece.shape)
    return out, order


def unpermuted(rbm: RBM, order: np.ndarray) -> RBM:
    """Return the network on the real lattice that does what `rbm` does on the permuted one: W'_π(x)a = W_xa.

    Raises:
        InputError: unless `order` is a permutation of the visible units.
    """
    if not np.array_equal(np.sort(order), np.arange(rbm.visible)):
        message = f"order of shape {order.shape} is no permutation of {rbm.visible} sites: give what permuted returned"
        raise InputError(message)
    back = np.argsort(order)
    origin = {**rbm.origin, "unpermuted": True}
    return replace(rbm, weights=rbm.weights[back], visible_bias=rbm.visible_bias[back], origin=origin)


def infinite_temperature(size: int, samples: int, seed: int = 0) -> Ensemble:
    """Return fair, independent spins: the Ising model at T = ∞.

    Raises:
        InputError: for a bad size, number of samples or seed.
    """
    return sample(size, math.inf, samples, seed)


def zero_and_infinite(size: int, samples: int, seed: int = 0) -> Spins:
    """Return configurations half of T = 0 (all up or all down) and half of T = ∞, in random order.

    Raises:
        InputError: for a bad size, number of samples (2 at least) or seed.
    """
    samples = require_positive("samples", samples)
    if samples < 2:
        message = "samples = 1: two temperatures need two samples"
        raise InputError(message)
    cold, hot = sample(size, 0.0, samples // 2, seed), sample(size, math.inf, samples - samples // 2, seed)
    both = np.concatenate([cold.unpack(), hot.unpack()])
    stream(seed, "order of two temperatures", size).shuffle(both)
    return both


def dichotomised_gaussian(ensemble: Ensemble, seed: int = 0) -> Dichotomised:
    """Return ±1 fields with the two-point function of the configurations and no other structure of theirs.

        s_x = sign φ_x,   ⟨φ_x φ_{x+d}⟩ = sin(π G(d)/2),   so that ⟨s_x s_{x+d}⟩ = G(d)

    G averaged over the lattice; φ drawn by FFT (Macke, Berens, Ecker, Tolias and Bethge 2009). Where the sine makes the
    spectrum negative it is set to 0 and the variance put back to 1; `clipped` is that part over the sum of moduli, and
    G is met up to as much.

    Raises:
        InputError: for a seed that is not a whole number ≥ 0.
    """
    require_seed(seed)
    spectrum, clipped = gaussian_spectrum(np.asarray(two_point(ensemble).value))
    return Dichotomised(signs_of_field(spectrum, len(ensemble), int(seed)), clipped)


def gaussian_spectrum(two_point_of_signs: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the spectrum of φ, `(row, column)` of k, mean 1, and the share of it that was clipped."""
    covariance = np.sin(np.pi / 2 * np.clip(two_point_of_signs, -1, 1))
    spectrum = fft.fft2(covariance).real
    clipped = float(np.maximum(-spectrum, 0).sum() / np.abs(spectrum).sum())
    kept = np.maximum(spectrum, 0)
    return kept / kept.mean(), clipped


def signs_of_field(spectrum: np.ndarray, samples: int, seed: int) -> Spins:
    """Return the signs of Gaussian fields of a spectrum, int8 `(sample, row, column)`."""
    size = len(spectrum)
    rng = stream(seed, "dichotomised Gaussian field", size)
    amplitude = np.sqrt(spectrum[:, : size // 2 + 1]).astype(np.float32)
    out = np.empty((samples, size, size), dtype=np.int8)
    step = per_piece(size, PIECE_SITES)
    for start in range(0, samples, step):
        noise = rng.standard_normal((min(step, samples - start), size, size), dtype=np.float32)
        field = fft.irfft2(fft.rfft2(noise) * amplitude, s=(size, size))
        out[start : start + step] = np.where(field < 0, np.int8(-1), np.int8(1))
    return out


Data: TypeAlias = tuple[Ensemble | Spins, Callable[[RBM], RBM]]


def permuted_data(ensemble: Ensemble, seed: int) -> Data:
    """Return the configurations with their sites in another order, and what puts a network's weights back."""
    data, order = permuted(ensemble, seed)
    return data, lambda rbm: unpermuted(rbm, order)


def infinite_data(ensemble: Ensemble, seed: int) -> Data:
    """Return as many fair, independent spins; nothing is to be put back."""
    return infinite_temperature(ensemble.system.size, len(ensemble), seed), as_it_is


def zero_and_infinite_data(ensemble: Ensemble, seed: int) -> Data:
    """Return as many configurations, half of T = 0 and half of T = ∞; nothing is to be put back."""
    return zero_and_infinite(ensemble.system.size, len(ensemble), seed), as_it_is


def gaussian_data(ensemble: Ensemble, seed: int) -> Data:
    """Return signs of a Gaussian field with the same pair correlations; nothing is to be put back."""
    return dichotomised_gaussian(ensemble, seed).spins, as_it_is


def as_it_is(rbm: RBM) -> RBM:
    """Return the network unchanged."""
    return rbm


TRAINING_DATA: Mapping[str, Callable[[Ensemble, int], Data]] = {
    "permuted": permuted_data,
    "infinite": infinite_data,
    "zero_and_infinite": zero_and_infinite_data,
    "gaussian": gaussian_data,
}


def trained_on(
    control: str,
    ensemble: Ensemble,
    hidden: int,
    seed: int = 0,
    *,
    preset: str = "default",
    steps: int | None = None,
    progress: Progress | None = None,
) -> RBM:
    """Return a network trained as another, on a fixed set of data whose answer is known, named in `TRAINING_DATA`.

    On permuted pixels a dense network must do as well as on the lattice, which it does not know; its weights are put
    back before it is returned. On the others it must not come out as an RG step.

    Raises:
        InputError: for an unknown name.
    """
    if control not in TRAINING_DATA:
        kind = "training control"
        raise unknown_name(kind, control, TRAINING_DATA)
    data, undo = TRAINING_DATA[control](ensemble, seed)
    rbm = train_rbm(data, hidden, seed, preset=preset, steps=steps, progress=progress)
    rbm = undo(rbm)
    return replace(rbm, origin={**rbm.origin, "control": control})
