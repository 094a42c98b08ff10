"""Configurations in text: every way of writing them, and the one line that refuses the rest."""

import io

import numpy as np
import pytest

import rgstep as rg
from rgstep.spin_text import spins_of_text
from rgstep.store import load_configurations

pytestmark = pytest.mark.usefixtures("as_users_run")
V = np.where(np.random.default_rng(3).random((9, 6, 6)) < 0.5, -1, 1).astype(np.int8)


def written(values, **how):
    out = io.StringIO()
    np.savetxt(out, values, **how)
    return out.getvalue()


FLAT = V.reshape(9, 36)
ROWS = V.reshape(54, 6)
WAYS = {
    "savetxt as it is": written(FLAT),
    "integers": written(FLAT, fmt="%d"),
    "one decimal": written(FLAT, fmt="%.1f"),
    "points": written(FLAT, fmt="%d."),
    "commas": written(FLAT, fmt="%d", delimiter=","),
    "signed": written(FLAT, fmt="%+d", delimiter="\t"),
    "0/1": written(FLAT > 0, fmt="%d"),
    "0/1, floats": written(FLAT > 0),
    "0/1 without spaces": written(FLAT > 0, fmt="%d", delimiter=""),
    "signs": "\n".join("".join("+" if x > 0 else "-" for x in row) for row in FLAT),
    "rows": written(ROWS, fmt="%d"),
    "rows with blank lines": "\n".join(written(one, fmt="%d") for one in V),
    "comments": "# L = 6\n" + written(FLAT, fmt="%d") + "% end\n\n",
    "another line end": written(FLAT, fmt="%d", newline="\r\n"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_read(way, tmp_path):
    np.testing.assert_array_equal(spins_of_text(WAYS[way].encode()), V)
    (tmp_path / "v.txt").write_text(WAYS[way], newline="")
    found = load_configurations(tmp_path / "v.txt", 2.5)
    np.testing.assert_array_equal(found.spins, V)
    assert dict(found.origin) == {"source": "array", "file": "v.txt"}


def test_one_configuration_is_a_line_or_a_square(tmp_path):
    np.testing.assert_array_equal(spins_of_text(written(FLAT[:1], fmt="%d").encode()), V[:1])
    np.testing.assert_array_equal(spins_of_text(written(V[0], fmt="%d").encode()), V[:1])


def test_what_can_be_read_in_two_ways_is_asked_for():
    """Sixteen lines of sixteen: sixteen of 4×4, or one of 16×16; a size or blank lines tell."""
    values = np.where(np.random.default_rng(0).random((32, 16)) < 0.5, -1, 1)
    text = written(values, fmt="%d").encode()
    with pytest.raises(rg.InputError, match=r"32 configurations of 4×4 or 2 of 16×16: say which with --size"):
        spins_of_text(text)
    assert spins_of_text(text, 4).shape == (32, 4, 4)
    assert spins_of_text(text, 16).shape == (2, 16, 16)
    np.testing.assert_array_equal(spins_of_text(text, 16).reshape(32, 16), values)
    apart = written(values[:16], fmt="%d") + "\n" + written(values[16:], fmt="%d")
    assert spins_of_text(apart.encode()).shape == (2, 16, 16)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1 1 1 1\n1 -1 2 1\n", "line 2 reads '1 -1 2 1': expected numbers ±1 or 0/1 alone"),
        ("spin_1,spin_2\n1,1\n", "line 1 reads 'spin_1,spin_2'"),
        ("1 0.5 1 1\n", r"line 1 reads '1 0\.5 1 1'"),
        ("1 nan 1 1\n", "line 1"),
        ("1 1 1 1\n1 10 1\n", "line 2 reads '1 10 1'"),
        ("1,10,1\n", "line 1 reads '1,10,1'"),
        ("11111\n1111\n", "line 2 has 4 numbers"),
        ("1 0 -1 1\n", "it holds -1, 0 and 1"),
        ("+ - 1 1\n", "line 1 reads"),
        ("+-+-\n1 1 1 1\n", "signs without numbers"),
        ("1 1 1 1\n1 1 1\n", "line 2 has 3 numbers, those before it 4"),
        ("1 1 1 1\n" * 6, "6 lines of 4 numbers: expected L² numbers a line, or L lines"),
        ("1 1 1\n" * 3, "3 lines of 3 numbers"),
        ("# nothing\n\n", "it holds no numbers"),
    ],
)
def test_other_text_is_one_line_that_says_where(text, rule, tmp_path):
    with pytest.raises(rg.InputError, match=rule):
        spins_of_text(text.encode())
    (tmp_path / "v.txt").write_text(text)
    with pytest.raises(rg.InputError, match=r"file '.*v\.txt': ") as caught:
        load_configurations(tmp_path / "v.txt", 2.5)
    assert "\n" not in str(caught.value)


def test_a_size_that_the_text_has_not_is_said(tmp_path):
    with pytest.raises(rg.InputError, match=r"9 lines of 36 numbers: .* of side 8"):
        spins_of_text(WAYS["integers"].encode(), 8)
    (tmp_path / "v.txt").write_text(WAYS["integers"])
    with pytest.raises(rg.InputError, match="is text and has no arrays"):
        load_configurations(tmp_path / "v.txt", 2.5, array="a")
    with pytest.raises(rg.InputError, match="has no temperatures: give one with --temperature"):
        load_configurations(tmp_path / "v.txt")


def test_the_order_of_numbers_is_kept():
    """The twin of reading: one spin flipped in the text is one spin flipped in what is read."""
    text = WAYS["0/1 without spaces"]
    flipped = ("1" if text[7] == "0" else "0").join((text[:7], text[8:]))
    differ = spins_of_text(text.encode()) != spins_of_text(flipped.encode())
    assert np.argwhere(differ).tolist() == [[0, 1, 1]]
