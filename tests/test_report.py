"""The report: what judge measures, what findings say of it, and files that are whole or not there."""

import dataclasses
import json
import math
import os
import tempfile
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgstep as rg
from rgstep.battery import BATTERY
from rgstep.estimates import Estimate
from rgstep.exact import blocks, enumeration
from rgstep.files import check_output, output_folder, write_arrays
from rgstep.findings import CORRELATORS, PATCHES, findings
from rgstep.nets.sources import as_bits
from rgstep.report import Diagnostic, MapReport, Quantity, Report, headline, load_report

COUPLING = 1 / rg.CRITICAL_TEMPERATURE
U4 = -1.5656237876383  # sampling.md section 4: energy per site, L = 4, T_c
ABS_M4 = 0.8438604448  # and ⟨|m|⟩
C4 = 0.783266825929
SIGMAS = 4.5  # of some thirty numbers with fixed seeds

ROOTS = {"tile_radius", "tile_radius_mean"}  # of numbers with the rounding of float32
SAMPLING = {"u", "c", "abs_m"}
PLACED = {"own_block", "adjacent", "farthest"}
PICTURE = {"pattern_mean_abs", "pattern_sd", "pattern_range", "participation_vh"}


def tiny_rbm(ensemble):
    return rg.train_rbm(
        ensemble, 4, method="cd", batch=50, steps=100, optimiser="sgd", learning_rate=0.05, schedule="constant"
    )


@pytest.fixture(scope="module")
def report4(critical4):
    """Maps of every kind on the 4×4 torus."""
    maps = {
        "average": rg.Average(),
        "majority": rg.Majority(),
        "decimation": rg.Decimation(),
        "bernoulli": rg.BernoulliBlock(0.5),
        "rbm_untrained": rg.untrained_rbm(16, 4),
        "rbm_mine": tiny_rbm(critical4),
        "function": lambda v: v.reshape(len(v), -1)[:, :3],
        "every site": lambda v: v,
    }
    return rg.judge(critical4, maps, seed=3)


# --- what judge measures


def test_every_map_has_the_rows_and_names_of_the_contract(report4):
    for name, entry in report4.maps.items():
        rows = entry.diagnostics
        network, trained = name.startswith("rbm"), name == "rbm_mine"
        left_out = {"decoy"} | (set() if network else {"kadanoff_gap"}) | (set() if trained else {"training"})
        assert set(rows) == set(BATTERY) - left_out
        assert set(rows["sampling"].estimates) >= SAMPLING
        assert set(rows["vh_pattern"].estimates) >= PICTURE
        assert (set(rows["vh_pattern"].estimates) >= PLACED) == (not name.startswith("rbm") and name != "function")
        assert ("participation_w" in rows["vh_pattern"].estimates) == name.startswith("rbm")
        assert {"C[1]", "C[2]"} <= set(rows["spatial_correlator"].estimates)
        assert entry.verdict in {
            "undecided",
            "local coarse graining, not near a fixed point",
            "feature extractor, not RG",
        }
        assert entry.reason
        assert all(row.why for row in rows.values())
    kinds = {name: entry.kind for name, entry in report4.maps.items()}
    controls = {"average", "majority", "decimation", "bernoulli", "rbm_untrained"}
    assert kinds == {name: "control" if name in controls else "judged" for name in report4.maps}


def test_the_origin_says_where_the_numbers_come_from(report4):
    origin = report4.to_dict()["origin"]
    assert {"version", "command", "seed", "size", "temperature", "samples", "started", "seconds"} <= set(origin)
    assert (origin["size"], origin["samples"], origin["seed"]) == (4, 20_000, 3)
    assert origin["temperature"] == pytest.approx(rg.CRITICAL_TEMPERATURE)


def exact_numbers(report):
    for name, entry in report.maps.items():
        for row, diagnostic in entry.diagnostics.items():
            for quantity, q in diagnostic.estimates.items():
                if q.exact is not None:
                    yield (name, row, quantity), float(q.estimate.value), float(q.estimate.error), q.exact


def test_measured_numbers_agree_with_exact_ones(report4):
    """All that is known exactly at L = 4: u, c, ⟨|m|⟩, and ⟨v h⟩ in, beside and far from the own block."""
    known = list(exact_numbers(report4))
    for key, value, error, exact in known:
        rounding = 1e-3 if key[2] in ROOTS else 1e-5 if key[1] == "vh_pattern" else 1e-7  # float32 pictures
        assert abs(value - exact) <= SIGMAS * error + rounding, key
    for name in ("average", "majority", "decimation", "bernoulli"):
        assert {q for (m, _, q), *_ in known if m == name} >= SAMPLING | PLACED


def test_exact_numbers_are_the_literature_s(report4):
    exact = {key: value for key, _, _, value in exact_numbers(report4)}
    assert exact["majority", "sampling", "u"] == pytest.approx(U4, abs=1e-10)
    assert exact["majority", "sampling", "c"] == pytest.approx(C4, abs=1e-9)
    assert exact["majority", "sampling", "abs_m"] == pytest.approx(ABS_M4, abs=1e-9)
    s, p = enumeration.states(4).astype(float), enumeration.probabilities(4, COUPLING)
    diagonal = p @ (s[:, 0, 0] * s[:, 1, 1])
    own = blocks.average_own_block(-U4 / 2, diagonal)
    assert exact["average", "vh_pattern", "own_block"] == pytest.approx(own, abs=1e-6)
    majority = p @ np.abs(np.sign(s[:, :2, :2].sum(axis=(1, 2))) * s[:, :2, :2].mean(axis=(1, 2)))
    assert exact["majority", "vh_pattern", "own_block"] == pytest.approx(majority, abs=1e-6)


def test_configurations_of_another_temperature_are_noticed(critical4):
    """The twin: samples of T = 2 under the label T_c fail the check and lie far from the exact numbers."""
    wrong = rg.ensemble_from_array(rg.sample(4, 2.0, 2000, seed=1).spins, rg.CRITICAL_TEMPERATURE)
    report = rg.judge(wrong, {"majority": rg.Majority()})
    row = report.maps["majority"].diagnostics["sampling"]
    assert row.passed is False
    assert "standard errors" in row.why
    away = [abs(value - exact) / error for _, value, error, exact in exact_numbers(report) if error > 0]
    assert max(away) > 10
    right = rg.judge(critical4, {"majority": rg.Majority()}).maps["majority"].diagnostics["sampling"]
    assert right.passed is True


def test_a_block_may_be_the_whole_lattice(critical4):
    """Nothing is adjacent then, and that is no number and no warning; ⟨v h⟩ is ⟨m²⟩ everywhere."""
    row = rg.judge(critical4, {"all": rg.Average(block=4)}).to_dict()["maps"]["all"]["diagnostics"]["vh_pattern"]
    s, p = enumeration.states(4).astype(float), enumeration.probabilities(4, COUPLING)
    assert row["estimates"]["own_block"]["exact"] == pytest.approx(p @ s.mean(axis=(1, 2)) ** 2, abs=1e-6)
    assert row["estimates"].get("adjacent", {"value": None})["value"] is None


def test_a_trained_network_is_held_against_the_law_of_its_data(report4):
    row = report4.maps["rbm_mine"].diagnostics["training"].estimates
    assert float(row["steps"].estimate.value) == 100
    assert -math.log(2) < float(row["pseudo_likelihood"].estimate.value) < 0
    assert 0 < float(row["weights_sd"].estimate.value) < 1


def test_larger_lattices_have_distances_and_no_enumeration(critical8):
    report = rg.judge(critical8, {"majority": rg.Majority()})
    rows = report.maps["majority"].diagnostics
    assert {"C[1]", "C[2]", "C[3]", "C[4]"} <= set(rows["spatial_correlator"].estimates)
    assert "C[8]" not in rows["spatial_correlator"].estimates
    assert rows["vh_pattern"].estimates["own_block"].exact is None
    assert rows["sampling"].estimates["abs_m"].exact == pytest.approx(0.7773310928, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_both_ends_of_temperature_work(temperature, tmp_path):
    """T = 0: flat pictures; T = ∞: none but noise. The file is JSON all the same."""
    ensemble = rg.sample(4, temperature, 100, seed=2)
    report = rg.judge(ensemble, {"majority": rg.Majority(), "rbm_untrained": rg.untrained_rbm(16, 4)})
    report.save(tmp_path / "out")
    assert plain(load_report(tmp_path / "out")) == plain(report)
    own = float(report.maps["majority"].diagnostics["vh_pattern"].estimates["own_block"].estimate.value)
    if temperature == 0:
        assert own == pytest.approx(1, abs=1e-12)
    else:  # ⟨v sign S⟩ of fair spins: P(|S|=4) + P(|S|=2)/2 = 1/8 + 1/4
        assert own == pytest.approx(0.375, abs=SIGMAS * 0.4 / np.sqrt(100 * 4 * 4))


@pytest.mark.parametrize(
    "odd",
    [
        lambda v: np.zeros((len(v), 3)),
        lambda v: np.ones((len(v), 2, 2)),
        lambda v: np.sign(v.sum(axis=(1, 2), keepdims=True)),
        lambda v: v.reshape(len(v), -1)[:, :1],
        lambda v: np.repeat(np.repeat(v, 2, axis=1), 2, axis=2),
        lambda v: v[:, :3, :3],
    ],
    ids=["nothing", "a constant", "one unit for the lattice", "one spin", "finer than the lattice", "not tiling"],
)
def test_odd_maps_are_measured_without_a_warning(critical8, odd):
    report = rg.judge(rg.ensemble_from_array(critical8.spins[:130], rg.CRITICAL_TEMPERATURE), {"odd": odd})
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report)


def test_one_sample_is_enough(critical4):
    one = rg.ensemble_from_array(critical4.spins[:1], rg.CRITICAL_TEMPERATURE)
    entry = rg.judge(one, {"majority": rg.Majority()}).to_dict()["maps"]["majority"]
    assert entry["diagnostics"]["vh_pattern"]["estimates"]["own_block"]["error"] is None


def test_judging_nothing_is_refused(critical4):
    for maps in ({}, rg.Majority(), [rg.Majority()], {1: rg.Majority()}, {"": rg.Majority()}):
        with pytest.raises(rg.InputError, match="give a name for each map"):
            rg.judge(critical4, maps)
    with pytest.raises(rg.InputError, match="ensemble is a ndarray"):
        rg.judge(critical4.spins, {"majority": rg.Majority()})
    with pytest.raises(rg.InputError, match="'broken' is a float"):
        rg.judge(critical4, {"broken": 1.0})
    with pytest.raises(rg.InputError, match="seed = -1"):
        rg.judge(critical4, {"majority": rg.Majority()}, seed=-1)


def test_a_network_for_another_lattice_is_refused(critical4):
    with pytest.raises(rg.InputError, match=r"16 sites .* 64 visible"):
        rg.judge(critical4, {"rbm": rg.untrained_rbm(64, 4)})


# --- the document


def check_schema(document):
    """The structure of design.md section 3, key by key."""
    assert set(document) == {"schema", "origin", "maps"}
    assert document["schema"] == 1
    assert {"version", "command", "seed", "size", "temperature", "samples", "started", "seconds"} <= set(
        document["origin"]
    )
    for entry in document["maps"].values():
        assert {"verdict", "kind", "diagnostics"} <= set(entry)
        assert isinstance(entry["verdict"], str)
        assert entry["kind"] in ("control", "judged")
        for row in entry["diagnostics"].values():
            assert set(row) == {"passed", "why", "estimates"}
            assert row["passed"] in (True, False, None)
            assert isinstance(row["why"], str)
            for quantity in row["estimates"].values():
                assert set(quantity) == {"value", "error", "exact"}
                assert all(x is None or (isinstance(x, float) and math.isfinite(x)) for x in quantity.values())


def test_the_document_is_json_of_the_documented_schema(report4):
    text = json.dumps(report4.to_dict(), allow_nan=False)
    check_schema(json.loads(text))


def test_the_table_names_every_map(report4, critical4):
    text = str(rg.judge(critical4, {name: rg.Majority() for name in ("majority", "mine", "δεκα")}))
    for word in ("majority", "mine", "δεκα", "drift", "vh", "pattern", "undecided"):
        assert word in text
    for name in report4.maps:
        assert name in str(report4).replace("\n", " ")


# --- files


def plain(report):
    """The document with one NaN equal to another."""
    return json.dumps(report.to_dict(), sort_keys=True)


def small_report(names):
    rows = {"sampling": Diagnostic(True, "why", {"u": Quantity(Estimate(-1.5, np.nan), -1.4)})}
    maps = {
        name: MapReport("not judged", "judged", "about", rows, {"vh": np.full((1, 2, 2), i)})
        for i, name in enumerate(names)
    }
    origin = {"version": "0", "command": "test", "seed": 0, "size": 4, "temperature": 2.0, "samples": 1}
    return Report({**origin, "started": "now", "seconds": 0.0}, maps)


def test_a_report_survives_the_disk(report4, tmp_path):
    report4.save(tmp_path / "deep" / "down")
    back = load_report(tmp_path / "deep" / "down")
    assert plain(back) == plain(report4)
    for name, entry in report4.maps.items():
        assert set(back.maps[name].arrays) == set(entry.arrays)
        for key, array in entry.arrays.items():
            np.testing.assert_array_equal(back.maps[name].arrays[key], array)
    check_schema(json.loads((tmp_path / "deep" / "down" / "report.json").read_text()))


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4, unique=True))
def test_any_names_of_maps_survive_the_disk(names):
    report = small_report(names)
    with tempfile.TemporaryDirectory() as folder:
        report.save(Path(folder) / "out")
        back = load_report(Path(folder) / "out")
        assert {p.name for p in Path(folder).iterdir()} == {"out"}
    assert list(back.maps) == names
    assert plain(back) == plain(report)
    for i, name in enumerate(names):
        assert back.maps[name].arrays["vh"][0, 0, 0] == i


@pytest.mark.parametrize("names", [["a b", "a_b", "a/b", "../a"], ["", ".", ".."], ["Ω" * 70], ["x" * 300]])
def test_odd_names_of_maps_survive_the_disk(names, tmp_path):
    small_report(names).save(tmp_path / "out")
    back = load_report(tmp_path / "out")
    assert [int(back.maps[name].arrays["vh"][0, 0, 0]) for name in names] == list(range(len(names)))
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_results_are_not_replaced_unless_asked(tmp_path):
    small_report(["a"]).save(tmp_path / "out")
    before = (tmp_path / "out" / "report.json").read_bytes()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(rg.InputError, match=r"exists: .*--force"):
        small_report(["b"]).save(tmp_path / "out")
    assert (tmp_path / "out" / "report.json").read_bytes() == before
    small_report(["b"]).save(tmp_path / "out", force=True)
    assert list(load_report(tmp_path / "out").maps) == ["b"]
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(rg.InputError, match="output"):
            small_report(["a"]).save(out)
    with pytest.raises(rg.InputError, match="cannot be written"):
        small_report(["a"]).save("/proc/rgstep/out")
    assert {p.name for p in tmp_path.iterdir()} == {"file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(rg.InputError, match="no permission"):
        check_output(tmp_path / "out", force=False)
    tmp_path.chmod(0o700)


def fail_while_writing(out, failure, force=False):
    with output_folder(out, force) as folder:
        (folder / "data").mkdir()
        (folder / "data" / "half.npz").write_text("half")
        (folder / "report.json").write_text("new")
        raise failure


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("out", ["out", "deep/down/out"])
def test_a_failed_run_leaves_nothing(tmp_path, failure, out):
    with pytest.raises(failure):
        fail_while_writing(tmp_path / out, failure)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_run_leaves_old_results_alone(tmp_path, failure):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("old")
    with pytest.raises(failure):
        fail_while_writing(tmp_path / "out", failure, force=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.json"]
    assert (tmp_path / "out" / "report.json").read_text() == "old"


def test_a_folder_that_was_there_and_empty_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError):
        fail_while_writing(tmp_path / "out", RuntimeError)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_arrays_are_written_whole_or_not_at_all(tmp_path):
    class Explodes:
        def __array__(self, dtype=None, copy=None):
            raise KeyboardInterrupt

    write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a.npz", {"x": np.arange(4), "y": Explodes()})
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["x"], np.arange(3))


BROKEN_REPORTS = {
    "no folder": lambda folder: (folder / "report.json").unlink(),
    "no JSON": lambda folder: (folder / "report.json").write_text("{"),
    "not text": lambda folder: (folder / "report.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda folder: (folder / "report.json").write_text("[]"),
    "another schema": lambda folder: (folder / "report.json").write_text('{"schema": 99}'),
    "no maps": lambda folder: (folder / "report.json").write_text('{"schema": 1, "origin": {}}'),
    "numbers as maps": lambda folder: (folder / "report.json").write_text(
        '{"schema": 1, "origin": {}, "maps": {"a": 1}}'
    ),
    "no arrays": lambda folder: (folder / "data" / "maps" / "a.npz").unlink(),
    "no archive": lambda folder: (folder / "data" / "maps" / "a.npz").write_bytes(b"no archive"),
    "half an archive": lambda folder: (folder / "data" / "maps" / "a.npz").write_bytes(
        (folder / "data" / "maps" / "a.npz").read_bytes()[:100]
    ),
}


@pytest.fixture
def as_users_run():
    """Without the checks of types at run time, which only tests have: they would speak before the package does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("damage", BROKEN_REPORTS)
def test_a_damaged_report_is_one_line(tmp_path, damage):
    small_report(["a"]).save(tmp_path / "out")
    load_report(tmp_path / "out")
    BROKEN_REPORTS[damage](tmp_path / "out")
    with pytest.raises(rg.InputError, match="report") as caught:
        load_report(tmp_path / "out")
    assert "out" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- ensembles and networks on disk


def test_nothing_unpacks_all_configurations(critical8, tmp_path):
    """Training, judging, two-point functions and files read a block at a time; `spins` is for users."""
    ensemble = rg.Ensemble(critical8.packed, critical8.system, critical8.origin, critical8.independent)
    assert as_bits(ensemble)[0] is ensemble.packed.bits  # all that training and its readings see
    rg.judge(ensemble, {"majority": rg.Majority()})
    rg.two_point(ensemble)
    rg.save_ensemble(tmp_path / "e.npz", ensemble)
    back = rg.load_ensemble(tmp_path / "e.npz")
    assert "spins" not in vars(ensemble) | vars(back)
    np.testing.assert_array_equal(back.packed.bits, ensemble.packed.bits)
    assert ensemble.spins is vars(ensemble)["spins"]  # where they would have been seen


@pytest.mark.parametrize(("size", "temperature"), [(4, 0.0), (6, 2.5), (4, math.inf)])
def test_an_ensemble_survives_the_disk(tmp_path, size, temperature):
    ensemble = rg.sample(size, temperature, 33, seed=5)
    rg.save_ensemble(tmp_path / "deep" / "e.npz", ensemble)
    back = rg.load_ensemble(tmp_path / "deep" / "e.npz")
    np.testing.assert_array_equal(back.spins, ensemble.spins)
    assert back.spins.dtype == np.int8
    assert not back.spins.flags.writeable
    assert back.system == ensemble.system
    assert dict(back.origin) == dict(ensemble.origin)
    assert back.independent == ensemble.independent


def test_a_network_survives_the_disk(tmp_path, report4, critical4):
    rbm = tiny_rbm(critical4)
    rg.save_rbm(tmp_path / "r.npz", rbm)
    back = rg.load_rbm(tmp_path / "r.npz")
    for name in ("weights", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(back, name), getattr(rbm, name))
    assert dict(back.origin) == dict(rbm.origin)
    assert set(back.history) == set(rbm.history)
    for name, curve in rbm.history.items():
        np.testing.assert_array_equal(back.history[name], curve)
    np.testing.assert_array_equal(back.mean_h(critical4.spins), rbm.mean_h(critical4.spins))


@pytest.fixture
def saved(tmp_path):
    rg.save_ensemble(tmp_path / "e.npz", rg.sample(4, math.inf, 20, seed=0))
    rg.save_rbm(tmp_path / "r.npz", rg.untrained_rbm(16, 4))
    return tmp_path


def test_files_are_not_mistaken_for_each_other(saved):
    with pytest.raises(rg.InputError, match="holds rbm of format 1; expected ensemble"):
        rg.load_ensemble(saved / "r.npz")
    with pytest.raises(rg.InputError, match="holds ensemble of format 1; expected rbm"):
        rg.load_rbm(saved / "e.npz")
    with pytest.raises(rg.InputError, match="no file"):
        rg.load_rbm(saved / "absent.npz")
    with pytest.raises(rg.InputError):
        rg.load_rbm(saved)
    np.savez(saved / "other.npz", weights=np.ones(3))
    np.save(saved / "array.npy", np.ones(3))
    (saved / "empty.npz").write_bytes(b"")
    (saved / "text.npz").write_text("weights")
    for name in ("other.npz", "array.npy", "empty.npz", "text.npz"):
        with pytest.raises(rg.InputError, match=name):
            rg.load_rbm(saved / name)


META = {"kind": "ensemble", "format": 1, "size": 4, "coupling": 0.4, "origin": {}, "independent": True}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "rbm"},
        {"size": None},
        {"size": 6},
        {"size": 5},
        {"coupling": None},
        {"coupling": "warm"},
        {"origin": None},
        {"independent": None},
        {"bits": np.zeros(3, np.uint8)},
        {"bits": np.zeros((3, 2), np.float64)},
        {"bits": None},
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_an_ensemble_file_that_contradicts_itself_is_refused(tmp_path, change):
    """None takes the entry away."""
    bits = {"bits": np.zeros((3, 2), np.uint8)}
    entries = {key: value for key, value in {**META, **bits, **change}.items() if value is not None}
    arrays = {"bits": entries.pop("bits")} if "bits" in entries else {}
    np.savez(tmp_path / "e.npz", meta=np.array(json.dumps(entries)), **arrays)
    with pytest.raises(rg.InputError, match=r"e\.npz"):
        rg.load_ensemble(tmp_path / "e.npz")


@pytest.mark.parametrize("name", ["e.npz", "r.npz"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_anywhere_is_noticed(saved, name, damage):
    """Cut short or with one byte wrong: refused, or (a byte that carries nothing) read without a change."""
    whole = (saved / name).read_bytes()
    load = rg.load_ensemble if name == "e.npz" else rg.load_rbm
    reference = load(saved / name)
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 80).astype(int):
        changed = bytes([whole[place] ^ 0x55])
        (saved / name).write_bytes(whole[:place] + (changed + whole[place + 1 :] if damage == "flip" else b""))
        try:
            back = load(saved / name)
        except rg.InputError:
            refused += 1
            continue
        values = ("spins",) if name == "e.npz" else ("weights", "visible_bias", "hidden_bias")
        for value in values:
            np.testing.assert_array_equal(getattr(back, value), getattr(reference, value))
    assert refused > 40


def test_files_need_the_right_name_and_a_place(saved):
    with pytest.raises(rg.InputError, match=r"must end in \.npz"):
        rg.save_rbm(saved / "r.npy", rg.untrained_rbm(16, 4))
    with pytest.raises(rg.InputError, match="cannot be written"):
        rg.save_rbm(saved / "e.npz" / "r.npz", rg.untrained_rbm(16, 4))
    assert {p.name for p in saved.iterdir()} == {"e.npz", "r.npz"}


# --- findings


def synthetic(values, trained=("rbm_x",), error=0.01, quantities=(*PATCHES, *CORRELATORS)):
    """A report in which every quantity of a map has one value (a number, or one for each quantity)."""
    maps = {}
    for name, value in values.items():
        each = dict.fromkeys(quantities, value) if not isinstance(value, dict) else value
        rows = {
            row: Diagnostic(
                None, "why", {q: Quantity(Estimate(float(x), error)) for q, x in each.items() if belongs(q)}
            )
            for row, belongs in (
                ("vh_pattern", lambda q: not q.startswith("C")),
                ("spatial_correlator", lambda q: q.startswith("C")),
            )
        }
        if name in trained:
            rows["training"] = Diagnostic(None, "why", {})
        maps[name] = MapReport("not judged", "judged", name, rows)
    return Report({}, maps)


BASE = {"majority": 1.0, "rbm_untrained": 0.0}


def test_a_network_like_block_spins_supports_both_claims():
    for value in (1.0, 0.95, 1.1):
        found = findings(synthetic({**BASE, "rbm_x": value, "rbm_x~2": value}))
        assert [(f.claim, f.network, f.supported) for f in found] == [("P2", "rbm_x", True), ("P3", "rbm_x", True)]
        assert all(" supports it" in f.sentence and "not support" not in f.sentence for f in found)


@pytest.mark.parametrize("value", [0.0, 0.02, -1.0, 2.0, 5.0])
def test_a_network_no_nearer_than_the_untrained_one_supports_nothing(value):
    found = findings(synthetic({**BASE, "rbm_x": value, "rbm_x~2": value}))
    assert [f.supported for f in found] == [False, False]
    assert all("does not support it" in f.sentence for f in found)


def test_one_network_says_nothing_about_training():
    """Its sentence counts, but claims nothing, however good the numbers are."""
    for finding in findings(synthetic({**BASE, "rbm_x": 1.0})):
        assert "one map" in finding.sentence
        assert "support" not in finding.sentence


def test_nearer_here_and_farther_there_is_mixed():
    quantities = [*PATCHES, *CORRELATORS]
    values = {q: 1.0 if q in (PATCHES[0], CORRELATORS[0]) else -1.0 for q in quantities}
    found = findings(synthetic({**BASE, "rbm_x": values, "rbm_x~2": values}))
    assert all("is mixed" in f.sentence and not f.supported for f in found)


def test_one_quantity_of_many_is_not_enough():
    quantities = [*PATCHES, *CORRELATORS]
    values = {q: 1.0 if q in (PATCHES[0], CORRELATORS[0]) else 0.0 for q in quantities}
    found = findings(synthetic({**BASE, "rbm_x": values, "rbm_x~2": values}))
    assert [f.supported for f in found] == [False, False]
    assert all("in part" in f.sentence for f in found)


def test_a_difference_within_the_errors_supports_nothing():
    """0.9 with errors of 0.5: nearer by less than 3σ."""
    assert not any(f.supported for f in findings(synthetic({**BASE, "rbm_x": 0.9}, error=0.5)))
    assert all(f.supported for f in findings(synthetic({**BASE, "rbm_x": 0.9}, error=0.1)))


def test_seeds_are_one_family_whose_spread_is_the_error():
    """Mean 0.5 over seeds that scatter by 0.5: too uncertain; four that scatter little: support."""
    scattered = {**BASE, "rbm_x": 0.0, "rbm_x~2": 1.0}
    assert not any(f.supported for f in findings(synthetic(scattered, trained=scattered.keys() - BASE.keys())))
    steady = {**BASE, "rbm_untrained~2": 0.01, "rbm_x": 0.9, "rbm_x~2": 0.92, "rbm_x~3": 0.91}
    found = findings(synthetic(steady, trained=steady.keys() - BASE.keys() - {"rbm_untrained~2"}))
    assert [(f.network, f.supported) for f in found] == [("rbm_x", True)] * 2
    assert all("3 seeds" in f.sentence for f in found)


@pytest.mark.parametrize("missing", ["majority", "rbm_untrained", "rbm_x"])
def test_without_controls_or_networks_nothing_is_said(missing):
    values = {**BASE, "rbm_x": 1.0}
    del values[missing]
    assert findings(synthetic(values)) == []


def test_small_lattices_lack_some_distances(report4):
    """At L = 4 there is no C[4]: what is missing is left out, not a warning and not a NaN."""
    quantities = [q for q in (*PATCHES, *CORRELATORS) if "[4]" not in q]
    found = findings(synthetic({**BASE, "rbm_x": 1.0}, quantities=quantities))
    assert [f.supported for f in found] == [True, True]
    for finding in (*found, *findings(report4)):
        assert "nan" not in finding.sentence
        assert not any(math.isnan(float(r.trained.value)) for r in finding.readings)


def test_numbers_that_are_none_support_nothing():
    """Flat pictures have no correlator: NaN is not near anything."""
    assert not any(f.supported for f in findings(synthetic({**BASE, "rbm_x": math.nan})))
    assert not any(f.supported for f in findings(synthetic({"majority": math.nan, "rbm_untrained": 0.0, "rbm_x": 0.0})))


def test_findings_are_frozen():
    (first, _) = findings(synthetic({**BASE, "rbm_x": 1.0}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.supported = False


def test_tables_show_what_is_judged(critical8):
    """Of real h the exponents of its sign; of ±1 its own."""
    report = rg.judge(critical8, {"average": rg.Average(), "majority": rg.Majority()})
    rows = {name: entry.diagnostics["mcrg"] for name, entry in report.maps.items()}
    assert headline("mcrg", rows["average"])["y_h"] is rows["average"].estimates["y_h_sign[0]"]
    assert headline("mcrg", rows["majority"])["y_h"] is rows["majority"].estimates["y_h[0]"]
    assert list(headline("vh_pattern", report.maps["majority"].diagnostics["vh_pattern"])) == ["core"]
    text = str(report)
    for name, entry in report.maps.items():
        assert f"{name}: {entry.verdict}; {entry.reason}" in text
