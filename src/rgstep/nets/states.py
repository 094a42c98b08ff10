"""Networks as tensors by name, as the state dicts of PyTorch are: which tensor is what, and which way round W is.

Such a mapping says neither which tensor is what, nor which way round W is (PyTorch and scikit-learn keep the hidden
units first), nor whether units are ±1 or 0/1. Every *reading* that the names and lengths of its tensors allow is
considered, and what is left open is asked for. Which way round W is, data can tell as well: the reading that fits best
is taken, by

    (1/N) Σ_i ln p(v_i | all other v)      (pseudo-likelihood, Besag 1975; −ln 2 for independent fair spins)

averaged over configurations of the law that the network was trained on, if it exceeds that of every other reading by
four standard errors and that of fair spins by `LEAST_GAIN`. At T_c networks of L = 4, 8 and 16 with N_h = N are told
from their transposes after 30 updates of the default preset, by 0.2 to 0.4, and at T = 4 after 300. An untrained one
has no right way round, and few exceed `LEAST_GAIN` by chance: at T_c none of 90 as `untrained_rbm` makes them (at most
0.04). Units are not told by data: read as ±1, 0/1 parameters are a network of four times the weights, which fits better
if it was trained for a short time only.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rgstep.arguments import PLAIN, InputError, checked, mapping, one_of, optional, read_array, read_text
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, grouped_mean
from rgstep.nets.batches import as_bits
from rgstep.nets.conversion import UNITS, rbm_of_units
from rgstep.nets.curves import chosen_data, fit_of_each
from rgstep.nets.rbm import RBM
from rgstep.streams import stream

ORDERS = ("visible_hidden", "hidden_visible")
PARTS = ("weights", "visible_bias", "hidden_bias")

# What others call them, without capitals, points and underscores. "a" and "b" are the visible and the hidden bias for
# some and the other way round for others, and so are asked for.
WEIGHT_NAMES = {"w", "weight", "weights", "weightmatrix", "components", "kernel"}
BIAS_NAMES = {
    "visible_bias": {"visiblebias", "biasvisible", "vbias", "biasv", "bv", "vb", "visbias", "interceptvisible"},
    "hidden_bias": {"hiddenbias", "biashidden", "hbias", "biash", "bh", "hb", "hidbias", "intercepthidden"},
}
INNER = ("state_dict", "model_state_dict", "model")  # of a checkpoint: where the tensors of its model are

ERRORS_APART = 4.0  # by which the best reading must exceed the next
LEAST_GAIN = 0.05  # nats a site over independent fair spins

NAMES = mapping(f"must be a mapping of {', '.join(PARTS)} to names of tensors", read_text)
STATE = mapping("must be a mapping from names to tensors, as module.state_dict() gives one")
CHOICES = {"units": optional(one_of(UNITS)), "order": optional(one_of(ORDERS)), "names": optional(NAMES)}


class Reading(NamedTuple):
    """One way to understand a mapping of tensors: units, which way round W is, which tensors, and the network then."""

    units: str
    order: str
    names: tuple[str, str, str]  # of W, the visible and the hidden bias
    rbm: RBM


class Orientation(NamedTuple):
    """Which way round W fits, None if the data do not tell; by how much, as ln p(v_i | rest) per site."""

    order: str | None
    gain: Estimate


@checked(state=STATE, origin=optional(PLAIN), **CHOICES)
def rbm_from_state(
    state: Mapping[str, Any],  # tensors of PyTorch, arrays of NumPy or JAX, and what else a checkpoint holds
    *,
    units: str | None = None,
    order: str | None = None,
    names: Mapping[str, str] | None = None,
    data: Ensemble | ArrayLike | None = None,
    origin: Mapping[str, Any] | None = None,
) -> RBM:
    """Return the network that a mapping of tensors holds, as of `module.state_dict()`.

    W and the biases are found by their names and lengths; W of (hidden, visible) is transposed. What is left open is
    asked for, or decided by data.

    Args:
        state: the tensors by name; with a text `units`, "±1" or "0/1", it says its units itself.
        units: "spin", ±1, E = −vᵀWh − aᵀv − bᵀh, or "binary", 0/1, which is converted to ±1; to be given unless the
            mapping says it.
        order: of W: "visible_hidden" or "hidden_visible".
        names: those of some or all of the tensors: `{"weights": "W", "visible_bias": "a", "hidden_bias": "b"}`.
        data: configurations of ±1 of the law that it was trained on, to tell which way round W is.
        origin: how it was made, in plain values.

    Raises:
        InputError: if the tensors do not belong together or are not finite, or several readings are left.
    """
    tensors = _tensors(state)
    visible = None if data is None else as_bits(data)[1]
    units = units or units_of(state.get("units"))
    readings = _readings(tensors, dict(names or {}), units, order, visible)
    chosen = readings[0]
    if len(readings) > 1:
        questions = _open_questions(readings)
        if data is None or len({reading.units for reading in readings}) > 1:
            message = (
                f"state can be read in {len(readings)} ways: {questions} to rgstep.nets.states.rbm_from_state or "
                f"rgstep.nets.tensor_files.load_state"
            )
            raise InputError(message)
        best, gain = _best([reading.rbm for reading in readings], data)
        if best is None:
            message = (
                f"data do not tell in which of {len(readings)} ways state is to be read (the best is above the next by "
                f"{gain} nats a site): {questions}"
            )
            raise InputError(message)
        chosen = readings[best]
    rbm = chosen.rbm
    record = {"units": UNITS[chosen.units], "order": chosen.order, "tensors": list(chosen.names)}
    return RBM(rbm.weights, rbm.visible_bias, rbm.hidden_bias, {**record, **(origin or {})})


@checked(units=one_of(UNITS))
def orientation(
    weights: ArrayLike, visible_bias: ArrayLike, hidden_bias: ArrayLike, data: Ensemble | ArrayLike, units: str = "spin"
) -> Orientation:
    """Return which way round a square W fits data: the way it is given, or transposed.

    Args:
        weights: W, as many visible as hidden units; "visible_hidden" says that its rows are visible units.
        visible_bias: a.
        hidden_bias: b.
        data: configurations of ±1 of the law that it was trained on; a thousand are used.
        units: of the parameters, "spin" or "binary".

    Returns:
        The order, and the pseudo-likelihood per site of W (visible, hidden) less that of (hidden, visible). None if
        that is within four standard errors, or neither fits better than independent fair spins.

    Raises:
        InputError: if W is not square, or the shapes do not belong together or to the data.
    """
    ways = [rbm_of_units(units, w, visible_bias, hidden_bias, {}) for w in (weights, np.transpose(np.asarray(weights)))]
    if ways[0].visible != as_bits(data)[1]:
        message = f"configurations of {as_bits(data)[1]} sites given to a network of {ways[0].visible} visible units"
        raise InputError(message)
    best, gain = _best(ways, data)
    signed = gain if best == 0 else Estimate(-gain.value, gain.error)
    return Orientation(None if best is None else ORDERS[best], signed)


# --- the readings of a mapping


def _tensors(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the tensors of real numbers, float64; those of its model, if it is a checkpoint."""
    inner = [state[name] for name in INNER if isinstance(state.get(name), Mapping)]
    found = {}
    for name, value in (inner[0] if len(inner) == 1 else state).items():
        if hasattr(value, "is_floating_point"):  # PyTorch, whose bfloat16 NumPy does not know
            value = value.detach().double() if value.is_floating_point() else None
        array = read_array(f"tensor {name!r}", value) if hasattr(value, "shape") else np.empty(0, int)
        if array.dtype.kind == "f":
            found[str(name)] = array.astype(np.float64)
    return found


def units_of(said: object) -> str | None:
    """Return the units that a mapping or a file says it has, by our name."""
    return next((name for name, sign in UNITS.items() if said in (name, sign)), None)


def _readings(
    tensors: Mapping[str, np.ndarray],
    names: dict[str, str],
    units: str | None,
    order: str | None,
    visible: int | None,
) -> list[Reading]:
    """Return every reading that names, lengths and the number of sites of the data allow; equal networks once."""
    if wrong := [name for name in names if name not in PARTS]:
        message = f"names[{wrong[0]!r}]: the parts of a network are {', '.join(PARTS)}"
        raise InputError(message)
    if missing := [name for name in names.values() if name not in tensors]:
        message = f"state has no tensor {missing[0]!r} of real numbers; {_listed(tensors)}"
        raise InputError(message)
    weights = names.get("weights") or _weights_of(tensors)
    vectors = {n: x.reshape(-1) for n, x in tensors.items() if n != weights and x.size == max((0, *x.shape))}
    known = {part: names.get(part) or _named(part, vectors) for part in PARTS[1:]}
    readings: list[Reading] = []
    for way, (a, b) in itertools.product((order,) if order else ORDERS, itertools.permutations(vectors, 2)):
        w = tensors[weights] if way == ORDERS[0] else tensors[weights].T
        if (vectors[a].shape, vectors[b].shape) != (w.shape[:1], w.shape[1:]) or visible not in (None, len(w)):
            continue
        if known["visible_bias"] not in (None, a) or known["hidden_bias"] not in (None, b):
            continue
        for unit in (units,) if units else UNITS:
            rbm = rbm_of_units(unit, w, vectors[a], vectors[b], {})
            if not any(_equal(rbm, other.rbm) for other in readings):
                readings.append(Reading(unit, way, (weights, a, b), rbm))
    if not readings:
        sites = "" if visible is None else f", and {visible} sites as the data have"
        turned = f" {order}" if order else ""
        message = (
            f"state holds no two biases that belong to weights {weights!r} of shape {tensors[weights].shape}{turned}"
            f"{sites}: (visible,) and (hidden,) are needed, zeros if there are none; {_listed(tensors)}"
        )
        raise InputError(message)
    return readings


def _weights_of(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the name of the one matrix, or of the one that is called as weights are."""
    matrices = [name for name, x in tensors.items() if x.ndim == 2]
    wide = [name for name in matrices if min(tensors[name].shape) > 1]
    called = [name for name in matrices if _short(name) & WEIGHT_NAMES]
    for found in (called, wide, matrices):
        if len(found) == 1:
            return found[0]
    which = "several matrices" if matrices else "no matrix"
    message = f"state holds {which} for W: name one, names={{'weights': …}}; {_listed(tensors)}"
    raise InputError(message)


def _named(part: str, vectors: Mapping[str, np.ndarray]) -> str | None:
    """Return the one vector that is called as a bias of this layer is."""
    found = [name for name in vectors if _short(name) & BIAS_NAMES[part]]
    return found[0] if len(found) == 1 else None


def _short(name: str) -> set[str]:
    """Return the last part of a name, and its last two, without capitals and signs: {"bias", "hiddenbias"}."""
    parts = [part.lower().replace("_", "").replace("-", "") for part in name.split(".")]
    return {"".join(parts[-1:]), "".join(parts[-2:])}


def _equal(one: RBM, other: RBM) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def _listed(tensors: Mapping[str, np.ndarray]) -> str:
    """Return names and shapes for a message."""
    shown = [f"{name} {x.shape}" for name, x in itertools.islice(tensors.items(), 8)]
    more = f", and {len(tensors) - 8} more" if len(tensors) > 8 else ""
    return f"it has: {', '.join(shown) or 'none'}{more}"


def _open_questions(readings: Sequence[Reading]) -> str:
    """Return what the readings differ in, as the arguments that decide it."""
    questions = []
    if len({reading.units for reading in readings}) > 1:
        questions.append("units='spin' (±1) or 'binary' (0/1)")
    if len({reading.order for reading in readings}) > 1:
        w = readings[0].names[0]
        questions.append(f"order='visible_hidden' or 'hidden_visible' of weights {w!r} (or data)")
    if len({(r.order, r.names) for r in readings}) > len({r.order for r in readings}):
        questions.append("names={'visible_bias': …, 'hidden_bias': …}")
    return f"give {', and '.join(questions)}"


def _best(networks: Sequence[RBM], data: Ensemble | ArrayLike) -> tuple[int | None, Estimate]:
    """Return which network fits best, None if that is not certain, and how far it is above the next."""
    v, sites = chosen_data(*as_bits(data), stream(0, "which reading of a network fits"))
    each = [np.asarray(fit_of_each(rbm.parameters, v, sites)["pseudo_likelihood"], np.float64) for rbm in networks]
    best = int(np.argmax([values.mean() for values in each]))
    gains = [grouped_mean(each[best] - values) for n, values in enumerate(each) if n != best]
    next_best = min(gains, key=lambda gain: gain.value)
    certain = all(gain.value > ERRORS_APART * gain.error for gain in gains)
    fits = each[best].mean() > LEAST_GAIN - math.log(2)
    return best if certain and fits else None, next_best
