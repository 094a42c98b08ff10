"""What is stored comes back, in every format; what is damaged or hostile is one line that names the file.

Every file of today is read again after one of its bits was turned, after it was cut, and as random bytes: it is
refused, or (a bit that carries nothing, such as a time in a zip) gives the very same thing.
"""

import io
import json
import math
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rgstep as rg
from rgstep import parts, schema
from rgstep.estimates import Estimate
from rgstep.experiments import EXPERIMENTS
from rgstep.files import FLOOR, SEAL, read_arrays, write_arrays
from rgstep.nets.checkpoints import read_checkpoint
from rgstep.nets.conversion import save_rbms
from rgstep.parts import Part
from rgstep.report import Report
from rgstep.results import Diagnostic, MapReport, Quantity
from rgstep.stack import Layer, Stack
from rgstep.store import load_network, record_of
from rgstep.zarr_files import hash_of_store

ANY = next(iter(EXPERIMENTS.values())).measurement
OLD = Path(__file__).parent / "data/formats"
FLIPS, CUTS, RANDOM = 60, 12, 12  # of each kind of file


# --- things


def network(seed=0, visible=16, hidden=4):
    draw = np.random.default_rng(seed)
    arrays = (draw.normal(size=shape).astype(np.float32) for shape in ((visible, hidden), visible, hidden))
    return rg.RBM(*arrays, {"seed": seed, "preset": "by hand"}, {"step": np.arange(3), "u": draw.normal(size=3)})


def ensemble(seed=0, samples=20, size=4):
    spins = np.random.default_rng(seed).choice([-1, 1], (samples, size, size))
    return rg.ensemble_from_array(spins, 2.5, {"source": "by hand", "seed": seed})


def stack(seed=0):
    order, sign = np.array([0, 2, 1, 3]), np.array([1, -1, 1, 1], np.int8)
    return Stack((Layer(network(seed), order, sign, (1,), (2,), (0.5, 1.5)),), {"seed": seed})


def kernel(seed=0):
    return rg.SharedKernel(np.random.default_rng(seed).normal(size=(3, 3)), 2, 0.1, 0.5, {"seed": seed}, {})


def report(names=("majority",), seed=0):
    draw = np.random.default_rng(seed)
    numbers = {
        "K_nn[0]": Quantity(Estimate(0.44, 0.01), 0.4407),
        "K_nn[1]": Quantity(Estimate(float(draw.normal()), math.nan)),
        "locality": Quantity(Estimate(math.nan, math.nan)),
    }
    rows = {"hidden_hamiltonian": Diagnostic(None, "why", numbers), "gain": Diagnostic(False, "", {})}
    arrays = {"hidden_hamiltonian": {"K": draw.normal(size=(1, 2)), "distance": np.arange(2)}}
    entry = MapReport("undecided", "judged", "a map", rows, arrays, "as said", "washes out", "so it is")
    return Report({"size": 4, "temperature": 2.5, "samples": 20, "seed": seed}, dict.fromkeys(names, entry))


def state(thing):
    """All that something says, comparable."""
    if isinstance(thing, list):
        return [state(one) for one in thing]
    if isinstance(thing, Report):
        arrays = {
            f"{name}/{row}/{key}": values
            for name, entry in thing.maps.items()
            for row, more in entry.arrays.items()
            for key, values in more.items()
        }
        return json.dumps(thing.to_dict()), plain_bytes(arrays)
    kind, meta, arrays = record_of(thing)
    return kind, json.dumps(meta), plain_bytes(arrays)


def plain_bytes(arrays):
    """Arrays as they are compared here: by none of the hashes that are under test."""
    return {name: (array.dtype.str, np.shape(array), np.asarray(array).tobytes()) for name, array in arrays.items()}


# --- one file of each kind


def checkpoints(folder):
    """Checkpoints of format 1, written again as those of today."""
    for path in sorted((OLD / "checkpoints_1").iterdir()):
        meta, arrays = read_checkpoint(path)
        folder.mkdir(exist_ok=True)
        write_arrays(folder / path.name, {"meta": np.array(json.dumps({**meta, "format": 2})), **arrays})


WRITERS = {
    "ensemble.npz": lambda path: rg.save(path, ensemble()),
    "rbm.npz": lambda path: rg.save(path, network()),
    "rbm.safetensors": lambda path: rg.save(path, network()),
    "rbm.h5": lambda path: save_rbms(path, network()),
    "stack.npz": lambda path: rg.save(path, stack()),
    "kernel.npz": lambda path: rg.save(path, kernel()),
    "report": lambda path: rg.save(path, report()),
    "checkpoints": checkpoints,
    "ensemble.zarr": lambda path: rg.save(path, ensemble()),
    "report.zarr": lambda path: rg.save(path, report()),
    "parts": lambda path: parts.write_part(path, ANY, Part({"L": 4, "seed": 1}, {"x": [0.1, None]}, 2.5)),
}


def read(path):
    if path.name == "parts":
        (one,) = path.rglob("*.json")
        return {**rg.info(one), "path": ""}
    thing = rg.load(path)
    return state(thing)


def files_of(path):
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def outcome(path, before):
    """Return whether a changed file is refused, in one line with its name; if not, it must give the same."""
    message = ""
    try:
        found = read(path)
    except rg.InputError as error:
        message = str(error)
    if not message:
        assert found == before
        return False
    assert path.name in message
    assert "\n" not in message
    assert len(message) < 800
    return True


def damaged(path, kind, count, rng):
    """Damage a file, or one of a folder's, in one way many times; return how many were refused."""
    before, refused = read(path), 0
    whole = {file: file.read_bytes() for file in files_of(path)}
    files, sizes = list(whole), [len(content) for content in whole.values()]
    for _ in range(count):
        file = files[rng.choice(len(files), p=np.array(sizes) / sum(sizes))]
        content = bytearray(whole[file])
        place = int(rng.integers(len(content)))
        if kind == "flip":
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == "cut":
            del content[place:]
        else:
            content = bytearray(rng.bytes(int(rng.integers(1, 2000))))
        file.write_bytes(content)
        refused += outcome(path, before)
        file.write_bytes(whole[file])
    assert read(path) == before
    return refused


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("name", WRITERS)
def test_one_wrong_bit_anywhere_is_an_error_or_nothing(tmp_path, name, rng):
    WRITERS[name](tmp_path / name)
    refused = damaged(tmp_path / name, "flip", FLIPS, rng)
    assert refused >= FLIPS // 5  # an archive of HDF5 is mostly room that is not used
    if name.endswith((".zarr", ".safetensors")):
        assert refused == FLIPS


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("name", WRITERS)
def test_files_that_are_cut_or_something_else_are_refused(tmp_path, name, rng):
    WRITERS[name](tmp_path / name)
    cut = damaged(tmp_path / name, "cut", CUTS, rng)
    other = damaged(tmp_path / name, "other", RANDOM, rng)
    assert other == RANDOM
    assert cut >= CUTS - 2  # what is cut away may have been room that is not used


@pytest.mark.slow
@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("name", WRITERS)
def test_many_wrong_bits(tmp_path, name):
    WRITERS[name](tmp_path / name)
    damaged(tmp_path / name, "flip", 400, np.random.default_rng(1))


def test_the_fuzz_sees_a_reader_that_does_not_look(tmp_path, rng, monkeypatch):
    """Without its checksum a safetensors file has other weights after one wrong bit, and the test above fails."""
    WRITERS["rbm.safetensors"](tmp_path / "rbm.safetensors")
    monkeypatch.setattr(schema, "hash_of_arrays", lambda *_: read_checksum(tmp_path / "rbm.safetensors"))
    with pytest.raises(AssertionError):
        damaged(tmp_path / "rbm.safetensors", "flip", FLIPS, rng)


def read_checksum(path):
    content = path.read_bytes()
    start = content.find(b'"checksum":"') + 12
    return content[start : start + 32].decode("latin-1")


# --- files of every format there was


@pytest.mark.parametrize(
    ("name", "kind", "version"),
    [
        ("ensemble_1.npz", "ensemble", 1),
        ("rbm_1.npz", "network", 1),
        ("rbm_1.safetensors", "network", 1),
        ("rbms.h5", "network", None),
        ("kernel_1.npz", "kernel", 1),
        ("stack_1.npz", "stack", 1),
        ("checkpoints_1", "checkpoints", 1),
        ("report_2", "report", 2),
        ("../report_schema_1", "report", 1),
        ("ensemble_2.npz", "ensemble", 2),
        ("rbm_2.npz", "network", 2),
        ("kernel_2.npz", "kernel", 2),
        ("stack_2.npz", "stack", 2),
        ("report_3", "report", 3),
        ("ensemble_1.zarr", "ensemble", 1),
    ],
)
def test_files_of_every_format_still_open(name, kind, version):
    found = rg.info(OLD / name)
    assert (found["kind"], found["format"]) == (kind, version)
    without = {"report": 2, None: 0}.get(kind if kind == "report" else version, 1)
    if not name.endswith((".safetensors", ".zarr")):
        assert (found["checksum"] == "verified") == ((version or 0) > without)


def test_the_command_says_what_a_file_is(tmp_path, capsys, monkeypatch):
    from rgstep import cli

    rg.save(tmp_path / "e.npz", ensemble())
    for words, code in ((["e.npz"], 0), (["e.npz", "--json"], 0), (["absent.npz"], 2), ([str(OLD)], 2)):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["rgstep", "info", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == code
        printed = capsys.readouterr()
        assert ("checksum" in printed.out) == (code == 0)
        assert len(printed.err.splitlines()) == (code == 2)


def test_old_and_new_say_the_same():
    for name in ("ensemble", "rbm", "kernel", "stack"):
        assert state(rg.load(OLD / f"{name}_1.npz")) == state(rg.load(OLD / f"{name}_2.npz"))
    assert state(rg.load(OLD / "report_2")) == state(rg.load(OLD / "report_3"))
    assert state(rg.load(OLD / "ensemble_1.zarr")) == state(rg.load(OLD / "ensemble_2.npz"))


# --- round trips

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ORIGINS = st.dictionaries(st.text(max_size=6), PLAIN, max_size=4)
MANY, SOME = settings(max_examples=12), settings(max_examples=4)


def round_trip(thing, *places):
    for place in places:
        rg.save(place, thing)
        assert state(rg.load(place)) == state(thing)


@MANY
@given(origin=ORIGINS, seed=st.integers(0, 99), size=st.sampled_from([4, 6, 8]), independent=st.booleans())
def test_ensembles_come_back(tmp_path_factory, origin, seed, size, independent):
    one = ensemble(seed, 1 + seed, size)
    thing = rg.Ensemble(one.packed, one.system, origin, independent)
    round_trip(thing, tmp_path_factory.mktemp("e") / "e.npz", "memory://e.zarr")


@MANY
@given(origin=ORIGINS, seed=st.integers(0, 99), hidden=st.integers(1, 9), curve=st.lists(st.floats(), max_size=4))
def test_networks_come_back(tmp_path_factory, origin, seed, hidden, curve):
    one, folder = network(seed, 9, hidden), tmp_path_factory.mktemp("r")
    thing = rg.RBM(one.weights, one.visible_bias, one.hidden_bias, origin, {"step": np.array(curve), "n": np.arange(2)})
    round_trip(thing, folder / "r.npz", folder / "r.safetensors", "memory://r.zarr")


@SOME
@given(origin=ORIGINS, seed=st.integers(0, 99), block=st.integers(1, 4), bias=st.floats(-2, 2), T=st.floats(0, 5))
def test_kernels_and_stacks_come_back(tmp_path_factory, origin, seed, block, bias, T):
    thing = rg.SharedKernel(kernel(seed).weights, block, bias, T, origin, {"step": np.arange(seed % 4)})
    folder = tmp_path_factory.mktemp("k")
    round_trip(thing, folder / "k.npz", "memory://k.zarr")
    round_trip(Stack(stack(seed).layers * (1 + seed % 3), origin), folder / "s.npz", "memory://s.zarr")


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=3
)


@SOME
@given(names=NAMES.map(lambda found: list(dict.fromkeys(found))), seed=st.integers(0, 99))
def test_reports_come_back(tmp_path_factory, names, seed):
    round_trip(report(names, seed), tmp_path_factory.mktemp("o") / "out", "memory://o.zarr")


@MANY
@given(
    settings_of=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=4), max_size=3), x=st.floats(0, 9)
)
def test_parts_come_back(tmp_path_factory, settings_of, x):
    out, part = tmp_path_factory.mktemp("p"), Part(settings_of, {"x": x, "y": [x]}, x)
    rg.info(parts.write_part(out, ANY, part))
    assert parts.read_part(out, ANY, settings_of) == (part, "")


# --- opened without us


def test_stores_open_with_plain_xarray(tmp_path):
    import xarray

    for place in (tmp_path / "e.zarr", "memory://plain/e.zarr"):
        thing = ensemble()
        rg.save(place, thing)
        opened = xarray.open_zarr(place)
        bits = opened["bits"].values
        assert opened["bits"].dims == ("sample", "byte")
        spins = 2 * np.unpackbits(bits, axis=1)[:, :16].reshape(-1, 4, 4).astype("int8") - 1
        np.testing.assert_array_equal(spins, thing.spins)
        rg.save(place, network())  # another takes its place
        assert xarray.open_zarr(place)["weights"].dims == ("visible", "hidden")
        rg.save(place, report(("a", "b/c")))
        tree = xarray.open_datatree(place, engine="zarr")
        node = tree["hidden_hamiltonian"].to_dataset()
        assert float(node["value"].sel(map="b/c", quantity="K_nn", level=0)) == 0.44
        assert float(node["error"].sel(map="a", quantity="K_nn", level=0)) == 0.01
        assert int(tree["gain"]["passed"].sel(map="a")) == 0
        assert str(tree["verdict"].sel(map="a").values) == "undecided"


def test_a_report_is_a_table():
    table = report(("a", "b")).to_pandas()
    assert list(table) == ["map", "row", "quantity", "level", "value", "error", "exact", "passed"]
    assert len(table) == 6
    first = table.iloc[0]
    assert (first["map"], first["row"], first["quantity"], first["level"]) == ("a", "hidden_hamiltonian", "K_nn", 0)
    assert (first["value"], first["error"], first["exact"]) == (0.44, 0.01, 0.4407)
    assert table["level"].isna().sum() == 2
    assert table["passed"].isna().all()


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    import sys

    for name in ("xarray", "zarr", "pandas", "fsspec"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (report().to_xarray, report().to_pandas, lambda: rg.save(tmp_path / "e.zarr", ensemble())):
        with pytest.raises(rg.InputError, match=r"pip install 'rgstep\[data\]'"):
            call()
    with pytest.raises(rg.InputError, match=r"pip install 'rgstep\[data\]'"):
        rg.load(tmp_path / "e.zarr")


# --- hostile files


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def changed_report(path, **changes):
    """A report whose `report.json` says something else, with a checksum that is right."""
    report().save(path, force=True)
    document = json.loads((path / "report.json").read_text())
    row = document["maps"]["majority"]["diagnostics"]["hidden_hamiltonian"]
    for name, value in changes.items():
        if name in ("passed", "why", "estimates"):
            row[name] = value
        elif name in ("value", "error", "exact", "extra"):
            row["estimates"]["K_nn[0]"][name] = value
        elif name in ("verdict", "kind", "about", "fate", "reason", "diagnostics"):
            document["maps"]["majority"][name] = value
        else:
            document[name] = value
    kept = {name: value for name, value in document.items() if name != "checksum"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            schema, "canonical", lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        )
        document = schema.sealed(kept) if "checksum" not in changes else document
    (path / "report.json").write_text(json.dumps(document))
    (path / "manifest.json").unlink(missing_ok=True)


HOSTILE_REPORTS = [
    {"error": -0.1}, {"error": "0.1"}, {"error": math.inf}, {"value": math.nan}, {"value": [1.0]}, {"value": True},
    {"exact": "x"}, {"extra": 1}, {"passed": "yes"}, {"passed": 1}, {"passed": []}, {"why": None}, {"estimates": []},
    {"estimates": {"x": {}}}, {"verdict": "RG Step"}, {"verdict": ["RG step"]}, {"verdict": None}, {"kind": "null"},
    {"about": 3}, {"fate": "nowhere"}, {"reason": None}, {"diagnostics": {"gian": {}}}, {"diagnostics": []},
    {"maps": {}}, {"maps": []}, {"maps": {"a": 1}}, {"origin": []}, {"origin": {}}, {"origin": {"temperature": "hot"}},
    {"origin": {"temperature": -1}}, {"origin": {"temperature": 1, "size": 0}}, {"schema": True}, {"schema": "3"},
    {"schema": 4}, {"schema": None}, {"checksum": None}, {"checksum": "0"}, {"more": 1},
]  # fmt: skip


@pytest.mark.usefixtures("as_users_run")
def test_a_report_is_held_to_its_schema(tmp_path):
    changed_report(tmp_path / "out", about="another map")  # the changing alone is no fault
    assert rg.load(tmp_path / "out").maps["majority"].about == "another map"
    for changes in HOSTILE_REPORTS:
        changed_report(tmp_path / "out", **changes)
        with pytest.raises(rg.InputError, match=r"report\.json") as caught:
            rg.load(tmp_path / "out")
        assert "\n" not in str(caught.value), changes


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50_000, '{"schema": 2, "schema": 2}', "1" * 10_000, '{"schema": 1e999}', "\ud800"],
)
def test_hostile_json_is_refused(tmp_path, text):
    report().save(tmp_path / "out")
    (tmp_path / "out/report.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(rg.InputError, match=r"report\.json"):
        rg.load(tmp_path / "out")
    (tmp_path / "part.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(rg.InputError, match=r"part\.json"):
        rg.info(tmp_path / "part.json")
    write_arrays(tmp_path / "x.npz", {"meta": np.array(text.replace("\ud800", "{"))})
    with pytest.raises(rg.InputError, match=r"x\.npz"):
        rg.load(tmp_path / "x.npz")


def npy(header, version=b"\x01\x00", data=b""):
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode("latin-1") + data


HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (), }\n",
    "{'descr': '<f8', 'fortran_order': 3, 'shape': (1,), }\n",
    "(" * 5000,
    "[1,\n 2",
    "\x00",
    "'" * 99,
    "__import__('os').system('touch executed')",
]


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)


def refused(path, name=None):
    """A file is refused, with no more memory than the floor."""
    tracemalloc.start()
    try:
        with pytest.raises(rg.InputError, match=name or Path(path).name) as caught:
            rg.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * FLOOR
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.filterwarnings("ignore:Duplicate name", "ignore:invalid escape")
def test_hostile_archives_are_refused(tmp_path):
    path, executed = tmp_path / "x.npz", tmp_path / "executed"
    rg.save(path, network())
    arrays = read_arrays(path)
    for header in HEADERS:
        for version in (b"\x01\x00", b"\x03\x00", b"\x09\x00"):
            archive(path, [("meta.npy", npy(header, version, b"\0" * 8))])
            refused(path)
    objects = io.BytesIO()
    np.save(objects, np.array([Bomb(executed)], dtype=object), allow_pickle=True)
    archive(path, [("weights.npy", objects.getvalue())])
    refused(path)
    path.write_bytes(pickle.dumps(Bomb(executed)))
    refused(path)
    shape = "{'descr': '|u1', 'fortran_order': False, 'shape': (100000000,), }\n"
    archive(path, [("weights.npy", npy(shape, data=bytes(10**8)))])  # 100 MB in 100 kB
    assert path.stat().st_size < 200_000
    refused(path)
    for lost in arrays:
        np.savez(path, **{name: values for name, values in arrays.items() if name != lost})
        refused(path)
    sealed = {**arrays, SEAL: np.array(schema.hash_of_arrays(arrays))}
    for lost in sealed:  # the seal itself among them
        np.savez(path, **{name: values for name, values in sealed.items() if name != lost})
        refused(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("weights.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", data=bytes(8)))
    refused(path)
    archive(path, [("meta.npy", b"x")], zipfile.ZIP_LZMA)
    refused(path)
    assert not executed.exists()


CHANGED_RECORDS = {
    "ensemble": [{"size": 5}, {"size": 6}, {"size": "4"}, {"coupling": -1}, {"coupling": None}, {"independent": 1},
                 {"origin": []}, {"more": 1}, {"format": 3}, {"format": True}],
    "kernel": [{"block": 0}, {"block": 1.5}, {"bias": "x"}, {"temperature": -1}, {"origin": None}],
    "stack": [{"levels": []}, {"levels": [{}]}, {"levels": {}}, {"levels": [3]}],
    "rbm": [{"origin": 1}, {"kind": "ensemble"}, {"kind": []}, {"format": None}],
}  # fmt: skip


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("kind", CHANGED_RECORDS)
def test_records_beside_arrays_are_held_to_their_rules(tmp_path, kind):
    path = tmp_path / "x.npz"
    rg.save(path, {"ensemble": ensemble, "kernel": kernel, "stack": stack, "rbm": network}[kind]())
    arrays = read_arrays(path)
    meta = json.loads(str(arrays["meta"]))
    for changes in CHANGED_RECORDS[kind]:
        write_arrays(path, {**arrays, "meta": np.array(json.dumps({**meta, **changes}))})
        refused(path)
    write_arrays(path, {**arrays, "extra": np.ones(2)})
    refused(path)
    write_arrays(path, arrays)
    rg.load(path)


def test_what_packs_well_is_written_so_that_it_can_be_read(tmp_path):
    cold = np.full((600_000, 128), 255, np.uint8)  # 77 MB, which deflate packs into 75 kB
    write_arrays(tmp_path / "cold.npz", {"bits": cold})
    np.testing.assert_array_equal(read_arrays(tmp_path / "cold.npz")["bits"][:: 2**18], cold[:: 2**18])


def resealed(path):
    """Give a store the checksum of what it holds now."""
    import fsspec

    system, document = fsspec.filesystem("file"), json.loads((path / "zarr.json").read_text())
    document["attributes"]["checksum"] = hash_of_store(system, str(path), document)
    (path / "zarr.json").write_text(json.dumps(document))


def changed_array(path, **changes):
    meta = json.loads((path / "bits/zarr.json").read_text())
    (path / "bits/zarr.json").write_text(json.dumps({**meta, **changes}))


HUGE = {"chunk_shape": [10**12, 2]}
HOSTILE_STORES = {
    "unpickles": lambda path: changed_array(path, codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
    "huge": lambda path: changed_array(path, shape=[10**12, 2]),
    "huge chunks": lambda path: changed_array(path, chunk_grid={"name": "regular", "configuration": HUGE}),
    "other type": lambda path: changed_array(path, data_type="float64"),
    "texts": lambda path: changed_array(path, data_type="string"),
    "no array": lambda path: shutil.rmtree(path / "bits"),
    "a link": lambda path: (path / "more").symlink_to("/etc"),
    "no JSON": lambda path: (path / "bits/zarr.json").write_text("["),
    "deep": lambda path: (path / "bits/zarr.json").write_text("[" * 100_000),
}  # fmt: skip


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("change", HOSTILE_STORES)
def test_hostile_stores_are_refused(tmp_path, change):
    path = tmp_path / "e.zarr"
    rg.save(path, ensemble())
    resealed(path)
    assert state(rg.load(path)) == state(ensemble())  # the sealing alone is no fault
    HOSTILE_STORES[change](path)
    refused(path)
    if change != "a link":
        resealed(path)
    refused(path)


@pytest.mark.usefixtures("as_users_run")
def test_unfinished_stores_and_those_of_others_are_refused(tmp_path):
    path = tmp_path / "e.zarr"
    rg.save(path, ensemble())
    document = json.loads((path / "zarr.json").read_text())
    del document["attributes"]["checksum"]
    (path / "zarr.json").write_text(json.dumps(document))
    refused(path)
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr/notes").write_text("mine")
    with pytest.raises(rg.InputError, match="is no zarr store"):
        rg.save(tmp_path / "mine.zarr", ensemble())
    assert (tmp_path / "mine.zarr/notes").read_text() == "mine"
    for place in ("nowhere://x/e.zarr", "memory://absent/e.zarr"):
        with pytest.raises(rg.InputError, match=r"e\.zarr"):
            rg.load(place)


@pytest.mark.usefixtures("as_users_run")
def test_hostile_tensors_are_refused(tmp_path):
    path = tmp_path / "r.safetensors"
    rg.save(path, network())
    whole = path.read_bytes()
    for header in (
        b"{" * 1000,
        b"[" * 100_000,
        b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}',
        b"\xff",
    ):
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
        refused(path)
    path.write_bytes((2**62).to_bytes(8, "little") + whole[8:])
    refused(path)
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    refused(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("as_users_run")
def test_archives_of_rbms_lead_nowhere_and_declare_no_more_than_they_hold(tmp_path):
    h5py = pytest.importorskip("h5py")
    path, other = tmp_path / "r.h5", tmp_path / "other.h5"
    save_rbms(other, network())
    for change in ("link", "external", "huge", "nan", "changed"):
        save_rbms(path, network())
        with h5py.File(path, "r+") as file:
            place = "update_1/params/weight_matrix"
            if change == "changed":
                file[place][0, 0] += 1
                continue
            del file[place]
            if change == "link":
                file[place] = h5py.ExternalLink(str(other), place)
            elif change == "external":
                file.create_dataset(place, (16, 4), "f8", external=[(str(tmp_path / "raw"), 0, 512)])
            elif change == "huge":
                file.create_dataset(place, (10**6, 10**6), "f8", chunks=(10, 10))
            else:
                file[place] = np.full((16, 4), np.nan)
        refused(path)
    refused(path)
    assert load_network(other).visible == 16
