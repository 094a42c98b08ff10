"""The rules for arguments: what they take, in which form they pass it on, what they say of the rest."""

import inspect
import math
import pickle
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rgstep import arguments
from rgstep.arguments import COUNT, FLAG, PATH, SEED, SEEDS, InputError, checked, one_of, optional, real, shown, whole

POSITIVE = real("must be above 0", lambda x: x > 0)


@checked(size=COUNT, seed=SEED)
def asked(size, seed=0, *, note=None):
    """Return what was asked for."""
    return size, seed, note


# --- numbers


@pytest.mark.parametrize("value", [8, np.int8(8), np.uint64(8), 8.0, np.float32(8), np.array(8), np.array(8.0)])
def test_a_count_comes_in_many_forms(value):
    found = COUNT("n", value)
    assert found == 8
    assert type(found) is int


def test_an_array_without_axes_counts_as_its_number_in_any_library():
    jnp = pytest.importorskip("jax.numpy")
    assert COUNT("n", jnp.asarray(8)) == 8
    torch = pytest.importorskip("torch")
    assert COUNT("n", torch.tensor(8)) == 8
    for value in (torch.tensor(8, device="meta"), torch.tensor(8.0, requires_grad=True), torch.tensor([8])):
        with pytest.raises(InputError, match="n = tensor"):
            COUNT("n", value)


@pytest.mark.parametrize(
    "value",
    [0, -1, 1.5, math.nan, math.inf, True, np.True_, "8", None, [8], np.array([8]), 1j, Fraction(1, 2)],
)
def test_what_is_no_count(value):
    with pytest.raises(InputError, match=r"^n = .*: must be a whole number above 0$"):
        COUNT("n", value)


def test_numbers_that_no_counter_holds():
    assert COUNT("n", 2**63 - 1) == 2**63 - 1
    with pytest.raises(InputError, match=r"^n = 9223372036854775808: .* above 0, at most 2\^63 - 1$"):
        COUNT("n", 2**63)
    with pytest.raises(InputError, match=r"^n = a whole number of about 400 digits: .* at most 2\^63 - 1$"):
        COUNT("n", 10**400)
    with pytest.raises(InputError, match=r"above 0, at most 100$"):
        whole(1, 100)("n", 101)
    with pytest.raises(InputError, match=r"^n = 1e\+300"):
        COUNT("n", 1e300)


def test_floats_are_whole_numbers_only_where_it_says_so():
    assert COUNT("n", 1e5) == 100_000
    with pytest.raises(InputError, match=r"seed = 1\.0: must be a whole number ≥ 0"):
        SEED("seed", 1.0)
    assert whole(None)("start", -3) == -3
    with pytest.raises(InputError, match="must be a whole number"):
        whole(None)("start", -(2**63))


def test_real_numbers_become_floats():
    for value in (2, 2.0, np.float32(2), np.int64(2), np.array(2.0), Fraction(4, 2)):
        found = POSITIVE("x", value)
        assert (found, type(found)) == (2.0, float)
    assert POSITIVE("x", math.inf) == math.inf
    for value in (0, -1, math.nan, np.float32("nan"), True, "2", None, 1j, [2.0], np.array([2.0])):
        with pytest.raises(InputError, match=r"^x = .*: must be above 0$"):
            POSITIVE("x", value)
    for value in (10**400, -(10**400), Fraction(10**400)):
        with pytest.raises(InputError, match=r"^x = .*: must be above 0, below 1.8e308$"):
            POSITIVE("x", value)


def test_one_seed_or_several():
    assert SEEDS("seed", np.int64(3)) == 3
    for value in ([1, 2], (1, 2), range(1, 3), np.array([1, 2])):
        assert SEEDS("seed", value) == [1, 2]
    for value in ([], [1, 1], [True], [1, -1], "12", None, 1.0, [[1]], np.array([[1]]), {1, 2}):
        with pytest.raises(InputError, match=r"^seed = .*whole number"):
            SEEDS("seed", value)


def test_switches_names_and_paths():
    assert FLAG("f", np.True_) is True
    with pytest.raises(InputError, match="f = 1: must be True or False"):
        FLAG("f", 1)
    rule = one_of(("first", "random"), "rule for ties")
    assert rule("ties", np.str_("first")) == "first"
    with pytest.raises(InputError, match="unknown rule for ties 'frist'; did you mean 'first'"):
        rule("ties", "frist")
    with pytest.raises(InputError, match="ties = 5: must be one of the names first, random"):
        rule("ties", 5)
    assert PATH("path", "a/b") == PATH("path", Path("a/b")) == Path("a/b")
    for value in ("", "a\0b", b"a", 5, None, Path):
        with pytest.raises(InputError, match=r"^path = .*: must be the name of a file or folder"):
            PATH("path", value)
    assert optional(FLAG)("f", None) is None


# --- arrays


def test_arrays_of_every_library_are_read():
    torch = pytest.importorskip("torch")
    for value in ([[1, -1]], np.array([[1, -1]]), torch.tensor([[1.0, -1.0]], requires_grad=True)):
        np.testing.assert_array_equal(arguments.CONFIGURATIONS("v", value), [[1, -1]])
    with pytest.raises(InputError, match=r"^v is no array of numbers: Cannot copy out of meta tensor"):
        arguments.CONFIGURATIONS("v", torch.ones(2, 2, device="meta"))
    with pytest.raises(InputError, match=r"^v is no array of numbers: setting an array element"):
        arguments.CONFIGURATIONS("v", [[1], [1, -1]])


def test_integers_are_passed_on_without_a_copy():
    v = np.ones((2, 3), np.int8)
    assert arguments.CONFIGURATIONS("v", v) is v


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float32, list])
def test_the_remedy_for_zeros_and_ones_works(dtype):
    bits = np.eye(4, dtype=np.int8)
    v = bits.tolist() if dtype is list else bits.astype(dtype)
    turned = eval(arguments.as_signed("v", v), {"v": v, "np": np})  # the message's own words
    np.testing.assert_array_equal(turned, 2 * bits - 1)


# --- the decorator


def test_arguments_arrive_in_one_form():
    size, seed, note = asked(np.array(8), seed=np.int64(3), note="as it is")
    assert (size, type(size), seed, type(seed), note) == (8, int, 3, int, "as it is")


def test_signature_and_documentation_stay():
    assert str(inspect.signature(asked)) == "(size, seed=0, *, note=None)"
    assert asked.__doc__ == "Return what was asked for."
    assert pickle.loads(pickle.dumps(asked)) is asked


def test_a_wrong_call_is_pythons_own_error():
    with pytest.raises(TypeError, match=r"asked\(\) missing 1 required positional argument: 'size'"):
        asked()
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        asked(sise=3)


def test_a_rule_for_no_argument_is_a_slip_that_shows_at_once():
    with pytest.raises(TypeError, match=r"has no arguments \['sise'\]"):
        checked(sise=COUNT)(lambda size: size)


@checked(block=COUNT)
@dataclass(frozen=True, slots=True)
class Record:
    """A dataclass whose field keeps a rule."""

    block: int = 2


def test_fields_of_a_dataclass_are_arguments_too():
    assert type(Record(np.int64(4)).block) is int
    assert str(inspect.signature(Record)) == "(block: int = 2) -> None"
    assert pickle.loads(pickle.dumps(Record(3))) == replace(Record(), block=3) == Record(np.array(3))
    for wrong in (lambda: Record("two"), lambda: replace(Record(), block=0)):
        with pytest.raises(InputError, match=r"block = .*: must be a whole number above 0"):
            wrong()


# --- what messages show


class Rude:
    """An object that does not print."""

    def __repr__(self):
        raise RuntimeError


def test_a_value_is_shown_in_a_short_line():
    for value in (
        10**400,
        -(10**5000),
        [10**5000],
        "x" * 10**5,
        list(range(10**5)),
        np.zeros((50, 50)),
        Rude(),
        "a\nb",
    ):
        text = shown(value)
        assert len(text) <= arguments.WIDEST + 1
        assert "\n" not in text


def test_plain_values_are_shown_as_they_are():
    assert [shown(x) for x in (7, 1.5, "two", None, np.float64(2), [1, 2])] == [
        "7",
        "1.5",
        "'two'",
        "None",
        "2.0",
        "[1, 2]",
    ]
