"""A user's own map as a coarse graining: any object with `mean_h` and `sample_h`, or any function v → h.

A function gets float32 configurations `(sample, row, column)` of ±1 and returns h, `(sample, unit)` or `(sample, row,
column)`, as an array of NumPy, JAX or PyTorch. A function's h counts as deterministic: E[h | v] and a draw from
p(h | v) are the same. Encoders are taken as they are:

    a PyTorch module     called without gradients and in evaluation mode, with (sample, L, L), with a channel axis,
                         (sample, 1, L, L), or with (sample, L²): the first that it takes
    scikit-learn         an object with `transform`, called with (sample, L²)
    several outputs      `Output(encoder, 1)` is the second of a tuple; without it one line says which there are

Every map that is measured passes through `Checked`, so that a wrong shape or a NaN is one clear error.
"""

import importlib.util
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rgstep.arguments import CONFIGURATIONS, InputError, checked, first_line, not_finite, shown, to_numpy
from rgstep.types import CoarseGraining, Field, Rng, Samples


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A function v → h as a coarse graining without noise."""

    function: Callable[[Any], Any]  # the user's: arrays of any library
    layouts: list[str] = field(default_factory=list)  # of `LAYOUTS`, the one that a module took, once it is known

    def mean_h(self, v: Samples) -> Any:
        """Return h as the function gives it for float32 configurations."""
        values = v.astype(np.float32)
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(self.function, torch.nn.Module):
            answer = self.function(values)
        else:
            answer = call_module(torch, self.function, values, self.layouts)
        return answer if several(answer, len(v)) else to_numpy(answer)

    def sample_h(self, v: Samples, rng: Rng) -> Any:
        """Return h: nothing is random."""
        return self.mean_h(v)


LAYOUTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {  # how a module may want the configurations
    "lattice": lambda v: v,
    "channel": lambda v: v[:, None],
    "vector": lambda v: v.reshape(len(v), -1),
}
WITH_CHANNELS = ("Conv2d", "LazyConv2d", "BatchNorm2d", "GroupNorm", "InstanceNorm2d")  # parts that read such an axis


def call_module(torch: Any, module: Any, values: np.ndarray, layouts: list[str]) -> Any:
    """Call a PyTorch module without gradients, every part of it in evaluation mode, and put its flags back.

    It gets the configurations in the first layout that it takes without an error, which is noted in `layouts`. With a
    convolution in it a channel axis comes first: without one PyTorch would take the samples for channels.
    """
    flags = [(part, part.training) for part in module.modules()]
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))  # its device and type
    convolves = any(type(part).__name__ in WITH_CHANNELS for part, _ in flags)
    order = layouts or (["channel", "lattice", "vector"] if convolves else ["lattice", "channel", "vector"])
    problem: Exception | None = None
    try:
        module.eval()
        for layout in order:
            try:
                with torch.no_grad():
                    answer = module(torch.from_numpy(LAYOUTS[layout](values)).to(like))
            except Exception as error:
                problem = problem or error
                continue
            layouts[:] = [layout]
            return answer
    finally:
        for part, training in flags:
            part.training = training
    raise problem or RuntimeError


@dataclass(frozen=True, eq=False, slots=True)
class Transformer:
    """An object with `transform`, as scikit-learn has them, as a coarse graining without noise."""

    model: Any  # scikit-learn's, or alike

    def mean_h(self, v: Samples) -> np.ndarray:
        """Return h as the model makes it of ±1, `(sample, L²)` in float64."""
        h = self.model.transform(v.reshape(len(v), -1).astype(np.float64))
        return to_numpy(h.toarray() if hasattr(h, "toarray") else h)

    def sample_h(self, v: Samples, rng: Rng) -> np.ndarray:
        """Return h: nothing is random."""
        return self.mean_h(v)


@dataclass(frozen=True, eq=False, slots=True)
class Output:
    """One of several things that a map returns: `Output(vae, 1)` the second of a tuple, `Output(net, "z")` by its key.

    Attributes:
        encoder: the map, a function or a PyTorch module that returns a tuple, a list of arrays or a mapping.
        which: number from 0, or key, or the name of an attribute.

    Examples:
        >>> encoder = lambda v: (v[:, ::2, ::2] * 0.5, v[:, ::2, ::2])
        >>> rg.Output(encoder, 1).mean_h(rg.sample(4, samples=3, seed=0).unpack()).shape
        (3, 2, 2)
    """

    encoder: Any  # the user's
    which: int | str
    inner: Function = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the map callable as all are."""
        if not callable(self.encoder):
            message = f"encoder is a {type(self.encoder).__name__}: expected a function or a module of several outputs"
            raise InputError(message)
        if isinstance(self.which, bool) or not isinstance(self.which, int | str):
            message = f"which = {shown(self.which)}: must be a number from 0, or a key in quotes"
            raise InputError(message)
        object.__setattr__(self, "inner", Function(self.encoder))

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Samples) -> np.ndarray:
        """Return the chosen output."""
        answer, key = self.inner.mean_h(v), str(self.which)
        parts = parts_of(answer) if several(answer, len(v)) else {}
        if key not in parts:
            held = listed(parts) if parts else f"one array of shape {np.shape(answer)}"
            message = f"output {self.which!r} is asked for, and the map returns {held}"
            raise InputError(message)
        return to_numpy(parts[key])

    def sample_h(self, v: Samples, rng: Rng) -> np.ndarray:
        """Return the chosen output: nothing counts as random."""
        return self.mean_h(v)


def several(answer: object, samples: int) -> bool:
    """Whether an answer is a mapping, a tuple or a list of arrays, and not one array or a list of its rows."""
    if isinstance(answer, list) and len(answer) != samples:
        return any(len(getattr(part, "shape", ())) > 1 and part.shape[0] == samples for part in answer)
    return isinstance(answer, Mapping) or (isinstance(answer, tuple) and any(hasattr(x, "shape") for x in answer))


def parts_of(answer: Any) -> dict[str, Any]:
    """Return the outputs in an answer by number or key, and in a named tuple by both."""
    if isinstance(answer, Mapping):
        return {str(key): part for key, part in answer.items()}
    numbered = {str(i): part for i, part in enumerate(answer)}
    return {**numbered, **(answer._asdict() if hasattr(answer, "_asdict") else {})}


def listed(parts: Mapping[str, Any]) -> str:
    """Return what outputs there are, in a line: "[0] (12, 16, 16), [1] (12, 64)"."""
    return ", ".join(
        f"[{key}] {tuple(getattr(part, 'shape', ())) or type(part).__name__}" for key, part in parts.items()
    )


def require_one(answer: object, v: Samples, name: str) -> None:
    """Raise `InputError` if an answer has several outputs, with those that could be h."""
    if not several(answer, len(v)):
        return
    parts = parts_of(answer)
    shapes = {key: tuple(getattr(part, "shape", ())) for key, part in parts.items()}
    could = [key for key, shape in shapes.items() if len(shape) > 1 and shape[0] == len(v) and shape[1:] != v.shape[1:]]
    key = next((key for key in could if math.prod(shapes[key]) < v.size), next(iter(could or parts), "0"))
    which = key if key.isdecimal() else repr(key)
    message = (
        f"map {name!r} returned {len(parts)} outputs, {listed(parts)}: h must be one; say which, as in "
        f"rgstep.Output({name.partition('[')[0]}, {which}) or --map file.py:{name.partition('[')[0]}[{key}] "
        "(of a variational autoencoder the mean)"
    )
    raise InputError(message)


@dataclass(frozen=True, eq=False, slots=True)
class Checked:
    """A coarse graining whose every answer is checked: sample count, shape, finite values, no exception.

    The map gets views that it cannot write into: what it is asked about is the caller's.
    """

    inner: CoarseGraining
    name: str
    shapes: dict[tuple[str, tuple[int, ...]], tuple[int, ...]] = field(default_factory=dict)  # of h, by that of v

    @property
    def irregular(self) -> bool:
        """Whether h comes on a lattice whose units do not all do the same, as the placed units of a network."""
        return bool(getattr(self.inner, "irregular", False))

    def mean_h(self, v: Samples) -> Field:
        """Return the map's E[h | v], checked."""
        return as_floats(self.call(self.inner.mean_h, v))

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Return the map's draw of h, checked."""
        return self.call(self.inner.sample_h, v, rng)

    def call(self, method: Callable[..., Any], v: Samples, *rest: Rng) -> np.ndarray:
        """Call the map, turning whatever it raises into one line that names the map."""
        try:
            answer = method(protected(v), *rest)
            require_one(answer, v, self.name)
            h = one_channel(to_numpy(answer))
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            where = place(error)
            message = (
                f"map {self.name!r} raised {type(error).__name__}{where} on configurations of shape {v.shape}: "
                f"{first_line(error)}; a map takes (sample, row, column) and returns (sample, unit) or "
                f"(sample, row, column)"
            )
            raise InputError(message) from error
        if answer is None:
            message = f"map {self.name!r} returned None: is a return statement missing?"
            raise InputError(message)
        found = sound_answer(h, len(v), f"map {self.name!r} returned")
        return require_shape(found, self.shapes.setdefault((method.__name__, v.shape[1:]), found.shape[1:]), self.name)


def one_channel(h: np.ndarray) -> np.ndarray:
    """Return h without the axis of its one channel, `(sample, 1, l, l)`; of channels of one site, as units."""
    if h.ndim != 4:
        return h
    return h[:, 0] if h.shape[1] == 1 else h[:, :, 0, 0] if h.shape[2:] == (1, 1) else h


def protected(v: Samples) -> Samples:
    """Return a view that cannot be written into, which costs nothing beside a copy."""
    view = v.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False, slots=True)
class Recorded:
    """The h of each configuration as an array, all that is left of a map: it answers for no other v."""

    h: np.ndarray  # (sample, unit) or (sample, l, l)
    name: str

    def mean_h(self, v: Samples) -> Field:
        """Refuse: there is no map to ask."""
        message = f"{self.name!r} is an array of h and no map: it cannot be asked for the h of other configurations"
        raise InputError(message)

    def sample_h(self, v: Samples, rng: Rng) -> Samples:
        """Refuse: there is no map to ask."""
        return self.mean_h(v)


@dataclass(frozen=True, eq=False, slots=True)
class Channel:
    """One channel of a map whose h is `(sample, channel, l, l)`."""

    inner: CoarseGraining
    channel: int

    def mean_h(self, v: Samples) -> Any:
        """Return E[h | v] of the channel."""
        return to_numpy(self.inner.mean_h(v))[:, self.channel]

    def sample_h(self, v: Samples, rng: Rng) -> Any:
        """Return a draw of the channel."""
        return to_numpy(self.inner.sample_h(v, rng))[:, self.channel]


def is_array(value: object) -> bool:
    """Whether a value is an array of NumPy, JAX or PyTorch, and no map."""
    return hasattr(value, "__array__") and not callable(value)


def by_channel(value: object, v: Samples) -> Sequence[object]:
    """Return the channels of a map, or of an array, whose h has four axes, `(sample, channel, l, l)`; else none.

    A map that raises has none: `Checked` says what is wrong when it is asked in earnest.
    """
    if is_array(value):
        h = one_channel(to_numpy(value))
        return list(np.moveaxis(h, 1, 0)) if h.ndim == 4 else []
    inner = wrapped(value)
    if inner is None:
        return []
    try:
        answer = inner.mean_h(v)
        shape = () if several(answer, len(v)) else one_channel(to_numpy(answer)).shape
    except (Exception, SystemExit):
        return []
    return [Channel(inner, c) for c in range(shape[1])] if len(shape) == 4 else []


def as_map(value: object, name: str) -> CoarseGraining:
    """Return an object with `mean_h` and `sample_h`, a function v → h, or an array of h, as a checked coarse graining.

    Raises:
        InputError: if it is none of these.
    """
    if isinstance(value, Checked | Recorded):
        return value
    if is_array(value):
        h = one_channel(to_numpy(value))
        return Recorded(sound_answer(h, len(h) if h.ndim else 0, f"map {name!r} is an array and has"), name)
    if isinstance(value, type):
        message = f"map {name!r} is the class {value.__name__}: give an instance, {value.__name__}()"
        raise InputError(message)
    if all(hasattr(value, part) for part in BERNOULLI):
        message = f"map {name!r} is a {type(value).__name__} of 0/1 units: give {FROM_BERNOULLI}, which asks it as such"
        raise InputError(message)
    if (inner := wrapped(value)) is not None:
        return Checked(inner, name)
    message = (
        f"map {name!r} is a {type(value).__name__}: expected an object with mean_h(v) and sample_h(v, rng), "
        f"a function v -> h, an object with transform(x), or an array of h, one for each configuration"
    )
    raise InputError(message)


BERNOULLI = ("components_", "intercept_visible_", "intercept_hidden_")  # what a BernoulliRBM of scikit-learn has
FROM_BERNOULLI = "rgstep.nets.conversion.rbm_from_sklearn(model)"


def wrapped(value: object) -> CoarseGraining | None:
    """Return what a user gave as a coarse graining, unchecked; None if it is none."""
    if isinstance(value, type):
        return None
    if isinstance(value, CoarseGraining):
        return value
    if callable(value):
        return Function(value)
    return Transformer(value) if callable(getattr(value, "transform", None)) else None


def given(coarse: CoarseGraining) -> CoarseGraining:
    """Return what the user gave of a checked map: an object of this package can be asked what is known of it."""
    return coarse.inner if isinstance(coarse, Checked) else coarse


def as_maps(value: object, name: str) -> list[CoarseGraining]:
    """Return one map, or a sequence of maps each of which is applied to the h of the one before, as checked maps.

    Raises:
        InputError: for an empty sequence, or if one of them is no map.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return [as_map(value, name)]
    if not value:
        message = f"map {name!r} is an empty sequence: give one map, or several in the order of their levels"
        raise InputError(message)
    return [as_map(one, f"{name}[{n}]") for n, one in enumerate(value)]


def sound_answer(h: np.ndarray, samples: int, subject: str) -> Samples:
    """Return h, or raise `InputError` if its sample count, shape or values make no sense.

    `subject` begins the message: "map 'mine' returned", "h has".
    """
    if h.ndim not in (2, 3) or h.size == 0 or (h.ndim == 3 and h.shape[1] != h.shape[2]):
        message = f"{subject} shape {h.shape}: expected (sample, unit) or (sample, l, l)"
        raise InputError(message)
    if len(h) != samples:
        message = f"{subject} {len(h)} rows for {samples} configurations: one row for each is needed"
        raise InputError(message)
    if not (np.issubdtype(h.dtype, np.floating) or np.issubdtype(h.dtype, np.integer)):
        message = f"{subject} values of type {h.dtype}: expected real numbers (±1, or means between them)"
        raise InputError(message)
    if (wrong := not_finite(h)) is not None:
        message = f"{subject} {wrong}: every hidden variable must be a finite number"
        raise InputError(message)
    return h


def require_shape(h: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return h, or raise `InputError` if h of one configuration has not the shape that it had before."""
    if h.shape[1:] != shape:
        message = (
            f"map {name!r} returns h of shape {h.shape[1:]} for {len(h)} configurations and of shape {shape} for more: "
            "h of one configuration must have one shape, whatever it is asked with"
        )
        raise InputError(message)
    return h


def as_floats(h: np.ndarray) -> Field:
    """Return h as floats; float32 unless it is wider already."""
    return h.astype(np.result_type(h.dtype, np.float32), copy=False) if h.dtype.kind == "f" else h.astype(np.float32)


def place(error: BaseException) -> str:
    """Return ` (file.py, line n)` of where the user's code raised, the innermost frame."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace else ""


def load_map(reference: str) -> object:
    """Return the object that `file.py:object` names, by running the file; of `file.py:object[1]` one of its outputs.

    Raises:
        InputError: if the file cannot be found or run, or has no such object.
    """
    if match := re.fullmatch(r"(.+:\w+)\[(\w+)\]", reference):
        return Output(load_map(match[1]), match[2])
    path_text, _, attribute = reference.rpartition(":")
    path = Path(path_text)
    if path.suffix != ".py" or not attribute:
        message = f"map {reference!r}: write file.py:object, the object a map or a function v -> h"
        raise InputError(message)
    if not path.is_file():
        message = f"map {reference!r}: no file {path_text!r} here ({Path.cwd()})"
        raise InputError(message)
    spec = importlib.util.spec_from_file_location(f"rgstep_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        message = f"map {reference!r}: {path_text!r} cannot be read as Python"
        raise InputError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        message = f"map {reference!r}: running {path_text!r} raised {type(error).__name__}: {first_line(error)}"
        raise InputError(message) from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, attribute):
        names = sorted(name for name in vars(module) if not name.startswith("_"))
        message = f"map {reference!r}: {path_text!r} has no {attribute!r}; it has: {', '.join(names)}"
        raise InputError(message)
    return getattr(module, attribute)
