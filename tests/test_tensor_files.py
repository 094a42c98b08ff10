"""Networks in files of tensors: safetensors, ours and of others, state dicts of PyTorch; what is damaged is refused."""

import json
import pickle
import runpy
import sys
import types

import numpy as np
import pytest
from networks import network, random_parameters, states
from scipy.special import logsumexp

import rgstep as rg
from rgstep import RBM, InputError, schema
from rgstep.nets import tensor_files
from rgstep.nets.tensor_files import load_safetensors, load_state, save_safetensors
from rgstep.store import NETWORK_FILES, load_network, load_rbm, save_rbm

PARTS = ("weights", "visible_bias", "hidden_bias")
FLOAT32 = 1e-5


@pytest.fixture
def library():
    """The library's functions on arrays of NumPy."""
    pytest.importorskip("safetensors")
    import safetensors.numpy

    return safetensors.numpy


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def same(one, other):
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def free_energy(w, a, b, values=(-1, 1)):
    """F(v) of every state of the visible units as the source writes it: all hidden states summed."""
    v, h = (states(len(x), values).astype(float) for x in (a, b))
    return -logsumexp(v @ w @ h.T + (v @ a)[:, None] + h @ b, axis=1)


def off(rbm, w, a, b, values=(-1, 1)):
    return np.ptp(rbm.free_energy(states(len(a))) - free_energy(w, a, b, values))


# --- files of ours


@pytest.fixture
def rbm():
    plain = network(9, 4, 0.5)
    origin = {"preset": "default", "seed": [1, 2], "none": None, "sign": "±", "deep": {"lr": 0.1}}
    history = {"step": np.arange(5), "u_model": np.linspace(-1, 0, 5), "G1": np.ones(5, np.float32)}
    return RBM(plain.weights, plain.visible_bias, plain.hidden_bias, origin, history)


@pytest.mark.usefixtures("library")
def test_a_network_survives_the_disk(tmp_path, rbm):
    path = tmp_path / "new" / "r.safetensors"
    rg.save(path, network(4, 2, 1.0))
    rg.save(path, rbm)  # over the first
    for load in (rg.load, load_rbm, load_network, load_state, load_safetensors):
        back = load(path)
        assert same(back, rbm)
        assert back.origin == rbm.origin
        assert set(back.history) == set(rbm.history)
        for name, curve in rbm.history.items():
            np.testing.assert_array_equal(back.history[name], curve)
            assert back.history[name].dtype == curve.dtype
    assert [p.name for p in path.parent.iterdir()] == ["r.safetensors"]
    np.testing.assert_array_equal(back.free_energy(states(9)), rbm.free_energy(states(9)))


def test_others_read_what_we_write(tmp_path, rbm, library):
    """The names, float32, the units and the convention, by the library alone."""
    save_rbm(tmp_path / "r.safetensors", rbm)
    tensors = library.load_file(tmp_path / "r.safetensors")
    assert {name: (x.shape, x.dtype) for name, x in tensors.items() if name in PARTS} == {
        "weights": ((9, 4), np.float32),
        "visible_bias": ((9,), np.float32),
        "hidden_bias": ((4,), np.float32),
    }
    assert off(rbm, *(tensors[part].astype(float) for part in PARTS)) < FLOAT32
    content = (tmp_path / "r.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert header["units"] == "±1"
    assert header["order"] == "visible_hidden"
    assert json.loads(header["origin"]) == rbm.origin


def rewritten(library, path, tensors=None, **text):
    """Write a file of ours again with other tensors or text, None to leave one out, and a checksum that is right."""
    import safetensors

    with safetensors.safe_open(path, framework="numpy") as file:
        old, kept = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    new = {name: x for name, x in {**old, **(tensors or {})}.items() if x is not None}
    kept = {name: value for name, value in {**kept, **text}.items() if value is not None}
    if "checksum" not in text:
        kept["checksum"] = schema.hash_of_arrays(new, kept)
    library.save_file(new, path, kept)


@pytest.mark.parametrize(
    ("tensors", "text", "match"),
    [
        ({"weights": np.zeros((4, 9), np.float32)}, {}, "transposed"),
        ({"weights": np.zeros(4, np.float32)}, {}, r"expected \(visible, hidden\)"),
        ({"visible_bias": None}, {}, "no tensor 'visible_bias'"),
        ({"hidden_bias": np.full(4, np.nan, np.float32)}, {}, "hidden_bias contains nan"),
        ({"weights": np.full((9, 4), 1e300)}, {}, r"weights contains 1e\+300"),
        ({"weights": np.zeros((9, 4), bool)}, {}, "'weights' of type bool is none of ours"),
        ({"momentum": np.zeros(4)}, {}, "'momentum' of type float64 is none of ours"),
        ({}, {"format": "2"}, "format 2 of units ±1; expected rgstep rbm of format 1 of ±1"),
        ({}, {"units": "0/1"}, "format 1 of units 0/1"),
        ({}, {"units": None}, "units None"),
        ({}, {"origin": None}, "no record of how"),
        ({}, {"origin": "{"}, "no record of how"),
        ({}, {"origin": "[1]"}, "no record of how"),
        ({}, {"checksum": None}, "checksum"),
        ({}, {"checksum": "0"}, "checksum"),
        ({}, {"kind": None}, "None of format 1"),
        ({}, {"kind": None, "energy": None}, "holds tensors of another program"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_a_file_that_contradicts_itself_is_refused(tmp_path, rbm, library, tensors, text, match):
    path = tmp_path / "r.safetensors"
    save_safetensors(path, rbm)
    rewritten(library, path)
    assert same(load_safetensors(path), rbm)  # the rewriting alone is no contradiction
    rewritten(library, path, tensors, **text)
    with pytest.raises(InputError, match=match) as caught:
        load_safetensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_anywhere_is_noticed(tmp_path, rbm, damage):
    path = tmp_path / "r.safetensors"
    save_safetensors(path, rbm)
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 120).astype(int):
        changed = bytes([whole[place] ^ 0x15])
        path.write_bytes(whole[:place] + (changed + whole[place + 1 :] if damage == "flip" else b""))
        with pytest.raises(InputError, match=r"r\.safetensors"):
            load_safetensors(path)
    path.write_bytes(whole)
    assert same(load_safetensors(path), rbm)


@pytest.mark.usefixtures("library")
def test_what_cannot_be_written_is_said(tmp_path, rbm):
    exploded = RBM(np.full((4, 2), np.nan), np.zeros(4), np.zeros(2))
    with pytest.raises(InputError, match="weights is not finite"):
        rg.save(tmp_path / "r.safetensors", exploded)
    rg.save(tmp_path / "r.npz", exploded)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_safetensors(tmp_path / "file" / "r.safetensors", rbm)
    with pytest.raises(InputError, match=r"must end in \.npz"):
        rg.save(tmp_path / "e.safetensors", rg.sample(4, 3.0, 20, seed=0))
    assert {p.name for p in tmp_path.iterdir()} == {"r.npz", "file"}


# --- files of others


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("said", "values"), [("±1", (-1, 1)), ("0/1", (0, 1))])
def test_a_file_of_another_program_is_read(tmp_path, library, said, values, turned):
    w, a, b = random_parameters(4, 3, 0.7)
    path = tmp_path / "theirs.safetensors"
    library.save_file({"rbm.W": w.T.copy() if turned else w, "rbm.v_bias": a, "rbm.h_bias": b}, path, {"units": said})
    for load in (rg.load, load_network, load_state):
        assert off(load(path), w, a, b, values) < FLOAT32
    assert off(load(path), w, a, b, (0, 1) if said == "±1" else (-1, 1)) > 0.1
    assert load(path).origin["file"] == "theirs.safetensors"
    with pytest.raises(InputError, match=r"another program: read it with rgstep\.load"):
        load_rbm(path)  # assess would write its record into it


def test_what_a_file_leaves_open_is_asked_for(tmp_path, library):
    w, a, b = random_parameters(4, 4, 0.7)
    path = tmp_path / "theirs.safetensors"
    library.save_file({"W": w.T.copy(), "v_bias": a, "h_bias": b}, path)
    with pytest.raises(InputError, match=r"theirs.* 4 ways: give units=.* order=.*rgstep.nets.tensor_files.load_state"):
        rg.load(path)
    assert off(load_state(path, units="binary", order="hidden_visible"), w, a, b, (0, 1)) < FLOAT32
    names = {"visible_bias": "h_bias", "hidden_bias": "v_bias"}
    assert off(load_state(path, units="spin", order="visible_hidden", names=names), w.T, b, a) < FLOAT32


def state_dict(torch, w, a, b):
    """The state of a module as users write one: a linear layer to the hidden units, and a bias of the visible ones."""
    module = torch.nn.Module()
    module.fc = torch.nn.Linear(len(a), len(b))
    module.v_bias = torch.nn.Parameter(torch.from_numpy(a).float())
    module.norm = torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        module.fc.weight.copy_(torch.from_numpy(w.T.copy()))
        module.fc.bias.copy_(torch.from_numpy(b))
    return module, {name: x for name, x in module.state_dict().items() if not name.startswith("norm")}


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_state_dict_of_pytorch_is_read(tmp_path, torch, suffix):
    w, a, b = random_parameters(4, 3, 0.7)
    module, state = state_dict(torch, w, a, b)
    path = tmp_path / f"net{suffix}"
    torch.save(state, path)
    with pytest.raises(InputError, match=r"net\.pth?': state can be read in 2 ways: give units="):
        rg.load(path)
    rbm = load_state(path, units="spin")
    assert off(rbm, w, a, b) < FLOAT32
    with torch.no_grad():
        means = torch.tanh(module.fc(torch.from_numpy(states(4)).float())).numpy()
    np.testing.assert_allclose(rbm.mean_h(states(4)), means, atol=1e-6)
    torch.save({"epoch": 3, "model_state_dict": state, "units": "0/1"}, path)
    for load in (rg.load, load_network):
        assert off(load(path), w, a, b, (0, 1)) < FLOAT32
    torch.save({name: x.bfloat16() for name, x in state.items()}, path)
    np.testing.assert_allclose(load_state(path, units="spin").weights, w, rtol=0.01)


class Code:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (Code.run, ())

    @staticmethod
    def run():
        Code.ran = True
        return {}

    ran = False


def test_no_code_in_a_file_is_run(tmp_path, torch):
    """Nor are modules unpickled; the broken twin is the same file read as pickle reads it."""
    path = tmp_path / "net.pt"
    torch.save({"W": Code()}, path)
    with pytest.raises(InputError, match=r"net\.pt' is no file of tensors .* is not unpickled: torch.save"):
        rg.load(path)
    assert not Code.ran
    torch.load(path, weights_only=False)
    assert Code.ran
    torch.save(state_dict(torch, *random_parameters(4, 3, 0.7))[0], path)
    with pytest.raises(InputError, match="is not unpickled"):
        rg.load(path)
    torch.save(torch.ones(3), path)
    with pytest.raises(InputError, match="holds a Tensor"):
        rg.load(path)


def test_torch_is_told_to_read_tensors_alone(tmp_path, monkeypatch):
    """Without PyTorch: a stand-in that unpickles unless it is told not to."""

    def load(path, map_location, weights_only=False):
        assert weights_only, "unpickled"
        with path.open("rb") as file:
            return pickle.load(file)

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load, Tensor=type("Tensor", (), {})))
    w, a, b = random_parameters(4, 3, 0.7)
    with (tmp_path / "net.pt").open("wb") as file:
        pickle.dump({"W": w, "v_bias": a, "h_bias": b, "units": "±1"}, file)
    assert off(rg.load(tmp_path / "net.pt"), w, a, b) < FLOAT32


# --- what is no such file


@pytest.mark.usefixtures("library")
def test_files_that_are_something_else_are_refused(tmp_path, torch):
    for suffix in (".safetensors", ".pt", ".pth"):
        path = tmp_path / f"net{suffix}"
        for load in (rg.load, load_state):
            with pytest.raises(InputError, match=rf"no file .*net{suffix}"):
                load(path)
            for content in (b"", b"weights", b"\x80\x04N.", bytes(100), b"PK\x03\x04" + bytes(40)):
                path.write_bytes(content)
                with pytest.raises(InputError, match=rf"net{suffix}") as caught:
                    load(path)
                assert "\n" not in str(caught.value)
            path.unlink()
    torch.save({"W": torch.ones(300, 200)}, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        rg.load(path)


def test_missing_libraries_are_said(tmp_path, rbm, monkeypatch):
    for name in ("safetensors", "safetensors.numpy", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "r.safetensors").write_bytes(b"")
    (tmp_path / "r.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"reading .*rgstep\[safetensors\]"):
        rg.load(tmp_path / "r.safetensors")
    with pytest.raises(InputError, match=r"writing .*rgstep\[safetensors\]"):
        rg.save(tmp_path / "r.safetensors", rbm)
    with pytest.raises(InputError, match=r"rgstep\[torch\]"):
        rg.load(tmp_path / "r.pt")
    assert "load_state" in runpy.run_path(tensor_files.__file__)


def test_every_kind_of_file_is_read_as_a_network(tmp_path, rbm):
    assert NETWORK_FILES == (".npz", ".h5", ".hdf5", ".safetensors", ".pt", ".pth")
    rg.save(tmp_path / "r.npz", rbm)
    assert same(load_network(tmp_path / "r.npz"), rbm)
