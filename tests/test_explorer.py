"""What the explorer is given is what the report holds: read back here by a slow decoder, letter by letter."""

import html
import json
import re
import sys
import zlib

import numpy as np
import pytest
from explored import ODD, small_ensemble, small_report

import rgstep as rg
from rgstep import explorer, patterns
from rgstep.page import write_page
from rgstep.results import Diagnostic, MapReport


@pytest.fixture(scope="module")
def ensemble():
    return small_ensemble()


@pytest.fixture(scope="module")
def report(ensemble):
    return small_report(ensemble)


@pytest.fixture(scope="module")
def told(report):
    return json.loads(rg.explore(report, widget=False).data)


def bytes_of(pair):
    """Return the inflated bytes of a text: thirteen bits in two letters."""
    count, text = pair
    numbers = [
        explorer.LETTERS.index(a) * 91 + explorer.LETTERS.index(b) for a, b in zip(text[::2], text[1::2], strict=True)
    ]
    bits = "".join(f"{number:013b}" for number in numbers)
    data = bytes(int(bits[8 * i : 8 * i + 8], 2) for i in range(count))
    return zlib.decompress(data, -15)


def whole(pack):
    """Return the whole numbers of a pack."""
    low = bytes_of(pack["low"])
    high = bytes_of(pack["high"]) if "high" in pack else bytes(len(low))
    folded = np.array([a + 256 * b for a, b in zip(low, high, strict=True)])
    return np.where(folded % 2, -(folded + 1) // 2, folded // 2)


def pictures_told(data, one):
    """Return ⟨v h⟩ `(unit, row, column)`, site by site from what the forecast missed."""
    size, units = one["size"], one["shown"]
    rest, gains = whole(one["vh"]).reshape(units, size, size), whole(one["gains"]).reshape(units, -1)
    out, missed = np.zeros((units, size, size), int), np.zeros((len(gains[0]), size, size), int)
    for unit, row, column in np.ndindex(out.shape):
        told = 0
        for coefficient, (dy, dx) in zip(one["coefficients"], data["own"], strict=False):
            if row + dy >= 0 and (dy < 0 or column + dx >= 0):
                told += coefficient * out[unit, row + dy, (column + dx) % size]
        for coefficient, (dy, dx) in zip(one["coefficients"][len(data["own"]) :], data["beside"], strict=True):
            if unit > 0:
                told += coefficient * out[unit - 1, (row + dy) % size, (column + dx) % size]
        common = sum(int(gains[unit, k]) * int(missed[k, row, column]) for k in range(min(unit, data["leaders"])))
        forecast = (told + common // data["gain"] + data["fixed"] // 2) // data["fixed"]
        out[unit, row, column] = rest[unit, row, column] + forecast
        if unit < data["leaders"]:
            missed[unit, row, column] = data["fixed"] * out[unit, row, column] - told
    return out * one["step"]


def by_name(data, name, level=1):
    """Return what is told of a map."""
    (found,) = (one for one in data["maps"] if (one["name"], one["level"]) == (name, level))
    return found


def off_by(told_values, arrays):
    """Return how far values are from the report's, in units of what is allowed: 0.001, or a tenth of the error."""
    allowed = np.maximum(1e-3, 0.1 * np.median(arrays["vh_error"]))
    return float(np.abs(told_values - arrays["vh"]).max() / allowed)


@pytest.mark.parametrize("name", ["majority", "rbm"])
def test_every_value_is_the_reports_within_a_tenth_of_its_error(report, told, name):
    arrays = report.maps[name].arrays["vh_pattern"]
    one = by_name(told, name)
    units = 3  # of the slow decoder's reading; the browser reads all
    part = {
        **one,
        "shown": units,
        "vh": cut(one["vh"], units * 256),
        "gains": cut(one["gains"], units * told["leaders"]),
    }
    some = {key: arrays[key][:units] for key in ("vh", "vh_error")}
    found = pictures_told(told, part)
    assert off_by(found, some) < 1 + 1e-3
    assert off_by(found, {**some, "vh": some["vh"][::-1]}) > 5  # units in another order are found


def cut(pack, count):
    """Return the first numbers of a pack as a pack."""
    return explorer.packed(whole(pack)[:count])


def test_a_wrong_letter_is_found(told):
    count, text = by_name(told, "majority")["vh"]["low"]
    whole_bytes = bytes_of([count, text])

    def differs(at):
        other = explorer.LETTERS[explorer.LETTERS.index(text[at]) - 1]
        try:
            return bytes_of([count, text[:at] + other + text[at + 1 :]]) != whole_bytes
        except zlib.error:
            return True

    assert all(differs(at) for at in range(4, 40))


@pytest.mark.parametrize("values", [[0], [1, -1, 255, -256, 32_000, -32_000], list(range(-300, 300))])
def test_whole_numbers_come_back(values):
    np.testing.assert_array_equal(whole(explorer.packed(np.array(values))), values)


def test_errors_have_the_form_of_independent_configurations(report, told):
    """Fitted unit by unit; the jackknife's own noise, 1/√(2·64), is all that is between form and jackknife."""
    arrays = report.maps["majority"].arrays["vh_pattern"]
    errors = arrays["vh_error"].astype(float)
    assert 0.05 < by_name(told, "majority")["roughness"] < 0.15
    crossed = errors * np.where(np.arange(16) % 2, 2, 1)
    assert explorer.error_forms(arrays["vh"], crossed, {})[1] > 0.3  # errors of another form are said to be so


def test_levels_are_pictures_of_the_configurations_with_h_of_the_level(report, ensemble):
    v = ensemble.spins.astype(np.float32)
    h2 = v.reshape(len(v), 4, 4, 4, 4).mean(axis=(2, 4))  # the average of averages
    arrays = report.maps["average"].arrays["vh_pattern"]
    expected = np.einsum("nij,nkl->ijkl", h2, v).reshape(16, 16, 16) / len(v)
    np.testing.assert_allclose(arrays["level_2_vh"], expected, atol=1e-5)
    assert not np.allclose(arrays["level_2_vh"], arrays["vh"][:16], atol=1e-2)
    np.testing.assert_allclose(arrays["level_2_example_h"], h2[:3].reshape(3, 16), atol=1e-6)


def test_examples_are_configurations_and_their_h(report, ensemble):
    arrays = report.maps["majority"].arrays["vh_pattern"]
    np.testing.assert_array_equal(arrays["example_v"], ensemble.spins[:3])
    sums = ensemble.spins[:3].reshape(3, 8, 2, 8, 2).sum(axis=(2, 4)).reshape(3, -1)
    clear = sums != 0
    np.testing.assert_array_equal(arrays["example_h"][clear], np.sign(sums)[clear])
    assert set(np.unique(arrays["example_h"])) == {-1, 1}


def test_connected_pictures_can_be_made_of_means(report, ensemble):
    arrays = report.maps["majority"].arrays["vh_pattern"]
    made = arrays["vh"] - arrays["unit_mean_h"][:, None, None] * arrays["mean_v"]
    exact = rg.visible_hidden(ensemble, rg.Majority(), connected=True)
    np.testing.assert_allclose(made, exact.value, atol=1e-5)
    rms = np.sqrt((np.asarray(exact.error) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(arrays["unit_connected_error"], rms, rtol=1e-4)


def test_the_inverse_gives_the_coefficients(report, told):
    arrays = report.maps["average"].arrays
    inverse, picture = np.array(told["inverse"]), arrays["vh_pattern"]["vh"][5].astype(float)
    beta = np.zeros((16, 16))
    for y, x in np.ndindex(16, 16):
        beta += picture[y, x] * np.roll(inverse, (y, x), axis=(0, 1))
    expected = patterns.partial_correlations(picture[None], arrays["two_point"]["G_0"])[0]
    np.testing.assert_allclose(beta, expected, atol=2e-3)
    assert np.abs(beta - picture).max() > 0.1


def test_what_is_dead_is_named(told):
    assert by_name(told, "rbm")["dead"] == [15]
    assert by_name(told, "majority")["dead"] == []


def test_the_worked_example_is_that_of_the_docs(told):
    first, ruled = told["example"]
    vh = pictures_told(told, first)
    assert vh[0, 0, 0] == pytest.approx(1)
    assert vh[3, 3, 3] == pytest.approx(0)
    v = np.array(explorer.EXAMPLE_V)
    exact = np.einsum("na,nx->ax", np.array(explorer.EXAMPLE_H), v) / 2
    np.testing.assert_allclose(vh.reshape(4, 16), exact, atol=1e-4)
    blocks = np.sign(v.reshape(2, 2, 2, 2, 2).sum(axis=(2, 4))).reshape(2, 4)
    np.testing.assert_allclose(
        pictures_told(told, ruled).reshape(4, 16), np.einsum("na,nx->ax", blocks, v) / 2, atol=1e-4
    )


@pytest.mark.parametrize("letters", [40_000, 25_000])
def test_a_page_has_room_for_so_many_letters(report, letters):
    """Of maps under judgement all units come first; of others a part, a corner of the lattice of a block rule."""
    everything = json.loads(explorer.page_explorer(report, letters=10**7).data)
    assert all(one["shown"] == one["units"] for one in everything["maps"])
    made = explorer.page_explorer(report, letters=letters)
    assert len(made.data) <= letters
    shown = {(one["name"], one["level"]): one for one in json.loads(made.data)["maps"]}
    assert shown.keys() == {(one["name"], one["level"]) for one in everything["maps"]}
    assert any(one["shown"] < one["units"] for one in shown.values())
    if letters == 40_000:
        assert shown["rbm", 1]["shown"] == 16
        assert shown[ODD, 1]["shown"] == 16
    for one in shown.values():
        if which := one["which"]:
            side, part = round(one["units"] ** 0.5), round(one["shown"] ** 0.5)
            assert which == [row * side + column for row in range(part) for column in range(part)]


def test_no_room_leaves_the_worked_example(report):
    assert json.loads(explorer.page_explorer(report, letters=100).data)["maps"] == []


def test_plain_html_fetches_nothing_and_is_escaped(report):
    made = rg.explore(report, widget=False)
    page = made.to_html()
    assert page.count("</script>") == 2
    assert "<b>" not in made.data
    assert not re.search(r"""(?:src|href)\s*=\s*["']?http|@import|url\(|\bfetch\(|XMLHttpRequest""", page)
    frame = made._repr_html_()
    (srcdoc,) = re.findall(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(srcdoc) == page


def test_further_seeds_of_a_network_are_left_out(report):
    doubled = rg.Report(report.origin, {**report.maps, "rbm~2": report.maps["rbm"]})
    assert [pictures.name for pictures in explorer.pictures_of(doubled)].count("rbm") == 1
    assert "rbm~2" not in {pictures.name for pictures in explorer.pictures_of(doubled)}


def test_an_older_report_is_explored_without_what_it_lacks(report):
    """Without means, levels and examples, as reports of version 0.1 are."""
    new = ("mean_", "unit_mean_h", "unit_connected", "unit_flattened", "example", "level_")
    arrays = report.maps["majority"].arrays["vh_pattern"]
    old = {"vh_pattern": {key: values for key, values in arrays.items() if not key.startswith(new)}}
    entry = MapReport("not judged", "control", "old", {}, old)
    data = json.loads(explorer.page_explorer(rg.Report(report.origin, {"majority": entry})).data)
    assert data["inverse"] is None
    assert not {"meanH", "exampleH", "connected"} & data["maps"][0].keys()


def test_a_report_without_pictures_has_no_explorer(tmp_path):
    none = rg.Report({"size": 4, "samples": 1, "temperature": 1.0}, {"a": MapReport("undecided", "judged", "a", {})})
    assert explorer.page_explorer(none) is None
    with pytest.raises(rg.InputError, match="no pictures"):
        rg.explore(none)


def test_what_is_no_report_is_refused(as_users_run):
    with pytest.raises(rg.InputError, match="report"):
        rg.explore("runs/demo")


def test_the_widget_shows_the_same_data(report):
    pytest.importorskip("anywidget")
    made = rg.explore(report)
    assert made.data == rg.explore(report, widget=False).data
    assert "export default" in made._esm
    assert made.keys.count("data") == 1  # it is sent to the notebook
    assert type(rg.explore(report, widget=True)).__name__ == type(made).__name__


def test_without_anywidget_there_is_plain_html_unless_the_widget_is_asked_for(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert isinstance(rg.explore(report), explorer.Explorer)
    with pytest.raises(rg.InputError, match=r"pip install 'rgstep\[notebook\]'"):
        rg.explore(report, widget=True)


def test_the_page_of_a_report_holds_it_hidden_until_the_script_runs(report, tmp_path, monkeypatch):
    monkeypatch.setattr("rgstep.page.plates_of", lambda report, row: iter(()))
    monkeypatch.setattr("rgstep.page.findings", lambda report: [])
    entry = report.maps["majority"]
    rows = {"vh_pattern": Diagnostic(None, "fine", {})}
    origin = {"version": "0", "started": "now", "command": "c", "seed": 0, "seconds": 1.0, **report.origin}
    write_page(rg.Report(origin, {"majority": MapReport(entry.verdict, entry.kind, "a", rows, entry.arrays)}), tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    (inside,) = re.findall(r'<section id="pictures"[^>]*>(.*?)</section>', text, re.DOTALL)
    assert '<div id="explorer" class="rgx" hidden></div>' in inside
    assert explorer.asset("explorer.js") in inside
