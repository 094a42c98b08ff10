"""A user's own map: what is accepted from NumPy, JAX and PyTorch, and the one line that refuses the rest."""

import sys
import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rgstep import CoarseGraining, Ensemble, InputError, Majority, visible_hidden
from rgstep.adapters import Checked, Function, as_map, load_map
from rgstep.correlators import LOOKED_AT

V = (2 * np.random.default_rng(0).integers(0, 2, (12, 4, 4)) - 1).astype(np.int8)
V.setflags(write=False)
W = np.random.default_rng(1).standard_normal((16, 3)).astype(np.float32)
EXPECTED = np.tanh(V.reshape(12, 16) @ W)


def dense(v):
    return np.tanh(v.reshape(len(v), -1) @ W)


@dataclass
class Mine:
    """A map with the two methods, h given by any function."""

    function: object = dense

    def mean_h(self, v):
        return self.function(v)

    def sample_h(self, v, rng):
        return self.function(v) * (2 * rng.integers(0, 2) - 1)


def mean(given, v=V):
    return as_map(given, "mine").mean_h(v)


# --- what is accepted


@pytest.mark.parametrize(
    "given",
    [
        dense,
        lambda v: dense(v).tolist(),
        lambda v: dense(v).astype(np.float64),
        lambda v: jnp.tanh(v.reshape(len(v), -1) @ W),
        jax.jit(lambda v: jnp.tanh(v.reshape(len(v), -1) @ W)),
        Mine(),
        Mine(lambda v: jnp.tanh(v.reshape(len(v), -1) @ W)),
        Mine(lambda v: dense(v).tolist()),
    ],
    ids=["numpy", "list", "float64", "jax", "jitted", "object", "object of jax", "object of lists"],
)
def test_arrays_of_any_kind_become_fields(given):
    coarse = as_map(given, "mine")
    assert isinstance(coarse, CoarseGraining)
    h = coarse.mean_h(V)
    assert isinstance(h, np.ndarray)
    assert h.dtype.kind == "f"
    np.testing.assert_allclose(h, EXPECTED, atol=2e-6)
    np.testing.assert_allclose(np.abs(coarse.sample_h(V, np.random.default_rng(0))), np.abs(EXPECTED), atol=2e-6)


def test_a_function_gets_float32_of_its_own_and_is_not_random():
    seen = []

    def spoil(v):
        seen.append(v.copy())
        v[:] = 0
        return seen[-1].reshape(len(v), -1)[:, :3]

    coarse = as_map(spoil, "mine")
    first, second = (coarse.sample_h(V, np.random.default_rng(seed)) for seen_by, seed in enumerate((0, 1)))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(seen[0], V)
    assert seen[0].dtype == np.float32
    assert set(np.unique(V)) == {-1, 1}


def test_places_and_precision_are_kept():
    placed = mean(lambda v: v[:, ::2, ::2])
    assert placed.shape == (12, 2, 2)
    assert mean(lambda v: v.astype(np.float64).sum(axis=2)).dtype == np.float64
    assert mean(Mine(lambda v: v[:, ::2, ::2])).dtype == np.float32  # int8 from an object becomes floats


def test_a_checked_map_is_not_wrapped_again():
    coarse = as_map(Majority(), "majority")
    assert isinstance(coarse, Checked)
    assert as_map(coarse, "another") is coarse


def test_objects_draw_with_the_rng_they_are_given():
    draws = {float(as_map(Mine(), "mine").sample_h(V, np.random.default_rng(s))[0, 0]) for s in range(20)}
    assert len(draws) == 2


# --- PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def linear(torch, *middle):
    layer = torch.nn.Linear(16, 3, bias=False)
    layer.weight.data = torch.from_numpy(W.T.copy())
    return torch.nn.Sequential(torch.nn.Flatten(), *middle, layer, torch.nn.Tanh())


def test_a_torch_module_is_a_map(torch):
    module = linear(torch)
    np.testing.assert_allclose(mean(module), EXPECTED, atol=2e-6)
    estimate = visible_hidden(V, module)
    np.testing.assert_allclose(estimate.value, visible_hidden(V, dense).value, atol=2e-6)
    assert all(p.grad is None for p in module.parameters())


def test_a_torch_module_without_parameters_is_a_map(torch):
    np.testing.assert_allclose(mean(torch.nn.AvgPool2d(2)), V.reshape(12, 2, 2, 2, 2).mean(axis=(2, 4)))


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_while_measuring_and_the_flag_comes_back(torch, training):
    module = linear(torch, torch.nn.Dropout(0.5)).train(training)
    np.testing.assert_allclose(mean(module), EXPECTED, atol=2e-6)
    assert module.training == training
    assert module[1].training == training


def test_each_part_of_a_module_gets_its_own_flag_back(torch):
    """Frozen parts of a network that is being trained stay frozen."""
    module = linear(torch, torch.nn.Dropout(0.5)).train()
    module[1].eval()
    mean(module)
    assert module.training
    assert not module[1].training


def test_the_flag_comes_back_after_an_exception(torch):
    module = torch.nn.Sequential(torch.nn.Linear(5, 3)).train()
    with pytest.raises(InputError, match="mine"):
        mean(module)
    assert module.training


def test_torch_tensors_with_gradients_and_of_double_precision(torch):
    parameter = torch.from_numpy(W).requires_grad_()
    np.testing.assert_allclose(
        mean(lambda v: torch.tanh(torch.from_numpy(v).flatten(1) @ parameter)), EXPECTED, atol=2e-6
    )
    double = mean(lambda v: torch.from_numpy(v).double().flatten(1))
    assert double.dtype == np.float64


# --- what is refused: one line that names the map


def raises(v):
    message = "this map is broken\nsecond line"
    raise ZeroDivisionError(message)


ANSWERS = {
    "raises": (raises, r"ZeroDivisionError .*test_adapters.py, line \d+.*this map is broken"),
    "nan": (lambda v: np.where(np.arange(3) == 1, np.nan, dense(v)), "nan"),
    "inf": (lambda v: dense(v) * np.float32(np.inf), "inf"),
    "too few rows": (lambda v: dense(v)[:-1], "11 rows for 12|n"),
    "too many rows": (lambda v: np.concatenate([dense(v)] * 2), "24 rows for 12|n"),
    "a number": (lambda v: 1.0, ""),
    "nothing": (lambda v: None, ""),
    "one-dimensional": (lambda v: v.mean(axis=(1, 2)), r"\(12,\)"),
    "four-dimensional": (lambda v: v.reshape(12, 2, 2, 4), r"\(12, 2, 2, 4\)"),
    "not square": (lambda v: v[:, ::2], r"\(12, 2, 4\)"),
    "no units": (lambda v: np.zeros((12, 0)), r"\(12, 0\)"),
    "ragged": (lambda v: [[1.0], [1.0, 2.0]], ""),
    "complex": (lambda v: dense(v) * 1j, "complex"),
    "strings": (lambda v: np.full((12, 3), "up"), ""),
    "strings of numbers": (lambda v: np.full((12, 3), "1.0"), "U3"),
    "bools": (lambda v: dense(v) > 0, "bool"),
    "objects": (lambda v: dense(v).astype(object), "object"),
}


@pytest.mark.parametrize("kind", ["function", "object"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_wrong_answer_is_one_line_that_names_the_map(answer, kind):
    function, rule = ANSWERS[answer]
    given = function if kind == "function" else Mine(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong must be refused where warnings are none, too
        with pytest.raises(InputError, match=rule) as caught:
            mean(given)
    assert "'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_messages_say_what_was_expected():
    """Objects' answers reach the check unchanged, so that the messages are those of the design."""
    cases = {
        "too few rows": r"returned 11 rows for 12 configurations: one row for each is needed",
        "too many rows": r"returned 24 rows for 12 configurations",
        "not square": r"returned shape \(12, 2, 4\): expected \(sample, unit\) or \(sample, l, l\)",
        "nan": r"returned nan: every hidden variable must be a finite number",
        "strings": r"returned values of type <U2: expected real numbers",
    }
    for answer, message in cases.items():
        with pytest.raises(InputError, match=message):
            mean(Mine(ANSWERS[answer][0]))


def test_draws_are_checked_like_means():
    @dataclass
    class BadDraws(Mine):
        def sample_h(self, v, rng):
            return np.full((len(v), 3), np.nan)

    with pytest.raises(InputError, match="'mine' returned nan"):
        as_map(BadDraws(), "mine").sample_h(V, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (Mine, r"the class Mine: give an instance, Mine\(\)"),
        (Majority, r"the class Majority: give an instance, Majority\(\)"),
        (3.0, "is a float: expected an object with mean_h"),
        (np.ones(4), r"is an array and has shape \(4,\)"),
        ("majority", "is a str"),
        (None, "is a NoneType"),
    ],
)
def test_what_is_no_map_is_refused(given, rule):
    with pytest.raises(InputError, match=rule) as caught:
        as_map(given, "mine")
    assert "'mine'" in str(caught.value)


def test_half_a_map_is_refused():
    class Half:
        def mean_h(self, v):
            return dense(v)

    with pytest.raises(InputError, match=r"sample_h\(v, rng\)"):
        as_map(Half(), "mine")


def test_interrupts_are_not_swallowed():
    def interrupted(v):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mean(interrupted)


# --- maps from files


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_text(text, name="maps.py"):
        (tmp_path / name).write_text(text)
        return name

    return write_text


def test_a_map_is_loaded_from_a_file(write):
    write("FACTOR = 2.0", "beside.py")
    write(
        "from beside import FACTOR\n"
        "def twice(v):\n    return FACTOR * v[:, ::2, ::2]\n"
        "class Kept:\n"
        "    def mean_h(self, v):\n        return v[:, ::2, ::2] * 1.0\n"
        "    def sample_h(self, v, rng):\n        return v[:, ::2, ::2]\n"
        "kept = Kept()\n"
    )
    path = list(sys.path)
    np.testing.assert_array_equal(mean(load_map("maps.py:twice")), 2.0 * V[:, ::2, ::2])
    np.testing.assert_array_equal(mean(load_map("./maps.py:kept")), V[:, ::2, ::2])
    assert sys.path == path
    with pytest.raises(InputError, match="the class Kept"):
        as_map(load_map("maps.py:Kept"), "Kept")


@pytest.mark.parametrize(
    ("text", "reference", "rule"),
    [
        ("", "absent.py:f", "no file 'absent.py'"),
        ("", "maps.py", "write file.py:object"),
        ("", "maps.py:", "write file.py:object"),
        ("", "maps.txt:f", "write file.py:object"),
        ("", ".:f", "write file.py:object"),
        ("def here(v): pass\n", "maps.py:their", "has no 'their'; it has: here"),
        ("1 / 0\n", "maps.py:f", r"running 'maps.py' raised ZeroDivisionError: division by zero"),
        ("def f(v:\n", "maps.py:f", "raised SyntaxError"),
        ("import no_such_module\n", "maps.py:f", "raised ModuleNotFoundError"),
        ("raise SystemExit(0)\n", "maps.py:f", "raised SystemExit"),
    ],
)
def test_a_map_that_cannot_be_loaded_is_one_line(write, text, reference, rule):
    write(text)
    with pytest.raises(InputError, match=rule) as caught:
        load_map(reference)
    assert repr(reference) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_map_of_an_ensemble_sees_its_configurations(critical8):
    assert isinstance(critical8, Ensemble)
    seen = []
    visible_hidden(critical8, lambda v: seen.append(len(v)) or v[:, ::2, ::2])
    assert sum(seen) == len(critical8) + 1 + LOOKED_AT  # rows are looked at first, for shape and origin
    assert isinstance(Function(dense).mean_h(V), np.ndarray)
