"""Data to train a network on, for which what it may learn is known.

A claim that a network learned to coarse-grain stands against networks trained alike on data that lack one thing:

    permuted              the pixels in another order: everything but the places; the same answers once put back
    infinite temperature  fair spins: nothing to learn
    zero and infinite     half T = 0, half T = ∞: order and disorder, nothing critical
    dichotomised Gaussian signs of a Gaussian field with the same ⟨s_x s_y⟩: all pairs and nothing beyond them

What is not a law of the Ising model comes as an int8 array, which `train_rbm` takes too: an `Ensemble` would be held
against Kaufman's energy and fail.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import fft

from rgstep.arguments import require_positive, require_seed, unknown_name
from rgstep.blocking import permutation
from rgstep.correlators import BLOCK_SITES, two_point
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.nets.rbm import RBM
from rgstep.nets.training import train_rbm
from rgstep.samplers.plan import sample
from rgstep.types import Progress, Spins

PIXELS, ORDER, FIELD = 2, 3, 4  # what a seed is used for


class Dichotomised(NamedTuple):
    """Signs of a Gaussian field, int8 `(sample, row, column)`, and which share of its spectrum had to be clipped."""

    spins: Spins
    clipped: float


CONTROLS = ("permuted", "infinite", "zero_and_infinite", "gaussian")


def permuted(ensemble: Ensemble, seed: int = 0) -> tuple[Spins, np.ndarray]:
    """Return the configurations with their sites in another order, and that order π: data[:, x] = v[:, π(x)].

    Sites count with rows put end to end. `unpermuted` turns a network trained on them into one of the real lattice.
    """
    require_seed(seed)
    order = permutation(ensemble.system.size**2, int(seed), PIXELS)
    out = np.empty((len(ensemble), *ensemble.unpack(0, 1).shape[1:]), dtype=np.int8)
    start = 0
    for block in ensemble.blocks():
        out[start : start + len(block)] = block.reshape(len(block), -1)[:, order].reshape(block.shape)
        start += len(block)
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
    np.random.default_rng([int(seed), size, ORDER]).shuffle(both)
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
    rng, size = np.random.default_rng([seed, len(spectrum), FIELD]), len(spectrum)
    amplitude = np.sqrt(spectrum[:, : size // 2 + 1]).astype(np.float32)
    out = np.empty((samples, size, size), dtype=np.int8)
    step = max(1, BLOCK_SITES // size**2)
    for start in range(0, samples, step):
        noise = rng.standard_normal((min(step, samples - start), size, size), dtype=np.float32)
        field = fft.irfft2(fft.rfft2(noise) * amplitude, s=(size, size))
        out[start : start + step] = np.where(field < 0, np.int8(-1), np.int8(1))
    return out


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
    """Return a network trained as another, on a fixed set of data whose answer is known; `CONTROLS` are their names.

    On permuted pixels a dense network must do as well as on the lattice, which it does not know; its weights are put
    back before it is returned. On the others it must not come out as an RG step.

    Raises:
        InputError: for an unknown name.
    """
    if control not in CONTROLS:
        kind = "training control"
        raise unknown_name(kind, control, CONTROLS)
    size, samples = ensemble.system.size, len(ensemble)
    order: np.ndarray | None = None
    data: Ensemble | Spins
    if control == "permuted":
        data, order = permuted(ensemble, seed)
    elif control == "infinite":
        data = infinite_temperature(size, samples, seed)
    elif control == "zero_and_infinite":
        data = zero_and_infinite(size, samples, seed)
    else:
        data = dichotomised_gaussian(ensemble, seed).spins
    rbm = train_rbm(data, hidden, seed, preset=preset, steps=steps, progress=progress)
    rbm = rbm if order is None else unpermuted(rbm, order)
    return replace(rbm, origin={**rbm.origin, "control": control})
