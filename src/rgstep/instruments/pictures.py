"""The pictures ⟨v_i h_a⟩ and their spatial correlators."""

import numpy as np

from rgstep import patterns
from rgstep.correlators import Means, Moments
from rgstep.diagnostics.subject import Row, Subject
from rgstep.estimates import Estimate
from rgstep.exact import enumeration
from rgstep.lattice import shells
from rgstep.nets.rbm import RBM
from rgstep.report import Diagnostic, Quantity
from rgstep.types import Field

ENUMERABLE = 4
CORRELATORS = {"C": (True, False), "C_plain": (False, False), "C_pooled": (True, True)}  # mean subtracted, pooled
DESCRIBES = "describes; decides nothing by itself"


def vh_pattern(subject: Subject) -> Row:
    """The pictures ⟨v_i h_a⟩: their contrast, extent and, for maps with given places, their values at known sites."""
    moments, size = subject.moments, subject.ensemble.system.size
    masks = given_masks(moments)

    def summary(means: Means) -> dict[str, np.ndarray]:
        placed = patterns.over_masks(means, masks) if masks else {}
        return {**placed, **patterns.summary(means)}

    exact = exact_values(subject, masks) if size <= ENUMERABLE else {}
    quantities = {name: Quantity(e, exact.get(name)) for name, e in moments.estimates(summary).items()}
    means = moments.all()
    arrays = {f"unit_{name}": values for name, values in patterns.statistics(means).items()}
    arrays["unit_centroid"] = patterns.centroid(subject.pictures)
    errors = moments.estimate(lambda m: m.vh).error
    arrays["vh"] = subject.pictures.astype(np.float32)
    arrays["vh_error"] = np.reshape(errors, subject.pictures.shape).astype(np.float32)
    weights = weight_pictures(subject)
    if weights is not None:
        ratio = patterns.participation_ratio(weights.reshape(len(weights), -1))
        quantities["participation_w"] = Quantity(Estimate(float(np.median(ratio)), 0.0))
        arrays |= {"weights": weights, "unit_participation_w": ratio}
        arrays["momentum_spectrum_w"] = patterns.momentum_spectrum(weights)
    places = "" if masks else "; the units have no given places, so own block, adjacent and farthest are not defined"
    return Diagnostic(None, "the pictures ⟨v h⟩ beside the tiles decide nothing" + places, quantities), arrays


def given_masks(moments: Moments) -> patterns.Masks | None:
    """Return the masks of a map whose units sit on a coarse lattice that tiles the fine one, None for any other."""
    shape = moments.hidden_shape
    if len(shape) != 2 or moments.size % shape[0]:
        return None
    return patterns.block_masks(moments.size, shape[0])


def exact_values(subject: Subject, masks: patterns.Masks | None) -> dict[str, float]:
    """Return the exact ⟨v h⟩ at known sites by enumeration of all states of a 4×4 lattice."""
    if masks is None:
        return {}
    system = subject.ensemble.system
    pictures = enumeration.visible_hidden(subject.coarse.mean_h, system.size, system.coupling)
    flat = pictures.reshape(len(pictures), -1)
    return {name: float(flat[mask].mean()) for name, mask in masks._asdict().items() if mask.any()}


def weight_pictures(subject: Subject) -> Field | None:
    """Return the weights of a network as pictures `(hidden, row, column)`, None for any other map."""
    if not isinstance(subject.original, RBM):
        return None
    size = subject.ensemble.system.size
    return np.asarray(subject.original.weights.T.reshape(-1, size, size))


def spatial_correlator(subject: Subject) -> Row:
    """The autocorrelation of each picture, averaged over units, against periodic distance; the same for W."""
    moments, size = subject.moments, subject.ensemble.system.size
    grid = shells(size)

    def curves(means: Means) -> dict[str, np.ndarray]:
        power = patterns.power_spectra(means.vh.reshape(-1, size, size))
        return {
            label: grid.average(patterns.correlator_of_power(power, mean_subtracted, pooled))
            for label, (mean_subtracted, pooled) in CORRELATORS.items()
        }

    arrays: dict[str, np.ndarray] = {"distance": grid.distance}
    quantities = {}
    for label, estimate in moments.estimates(curves, corrected=["C_pooled"]).items():
        arrays |= {label: np.asarray(estimate.value), f"{label}_error": np.asarray(estimate.error)}
        for r in (1, 2, 3, 4, 8, 16):
            if r <= size // 2:
                at = int(np.flatnonzero(np.isclose(grid.distance, r))[0])
                value, error = float(arrays[label][at]), float(arrays[f"{label}_error"][at])
                quantities[f"{label}[{r}]"] = Quantity(Estimate(value, error))
    weights = weight_pictures(subject)
    if weights is not None:
        arrays["C_weights"] = patterns.correlator_by_distance(weights, mean_subtracted=True)
    why = (
        f"{DESCRIBES}; C subtracts each picture's mean and weighs all units alike, C_plain subtracts nothing, C_pooled "
        f"weighs each unit by its contrast and is corrected for sampling noise"
    )
    return Diagnostic(None, why, quantities), arrays
