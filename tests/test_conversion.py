"""Networks of {0,1} units against those of ±1 units: free energies of all states, means, files of other programs."""

import runpy
import sys

import h5py
import numpy as np
import pytest
from networks import network, random_parameters, states
from scipy.special import expit, logsumexp
from sklearn.neural_network import BernoulliRBM

from rgstep import RBM, InputError
from rgstep.nets import annealing, conversion
from rgstep.nets.conversion import (
    binary_parameters,
    load_rbms,
    rbm_from_binary,
    rbm_from_sklearn,
    save_rbms,
    sklearn_from_rbm,
)

NETWORKS = [(9, 4, 0.1), (9, 4, 1.0), (4, 9, 0.5), (10, 6, 3.0)]  # visible, hidden, sd of all parameters
ROUNDING = 2.0**-24  # of float32
FLOAT64 = 1e-11


def binary_free_energy(w, a, b, v):
    """F'(v) of {0,1} units: minus the log of the sum over all hidden states, as the energy is written."""
    h = states(len(b), (0, 1)).astype(float)
    return -logsumexp(v @ w @ h.T + (v @ a)[:, None] + h @ b, axis=1)


def difference(rbm, parameters):
    """Largest |F(v) − F'(v') − offset| over all states."""
    v = states(rbm.visible, (0, 1))
    *binary, offset = parameters
    return np.abs(rbm.free_energy(2 * v - 1) - binary_free_energy(*binary, v) - offset).max()


# --- {0,1} units


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_free_energies_differ_by_the_offset(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    assert difference(rbm, binary_parameters(rbm)) < FLOAT64


def halved(w, a, b, offset):
    return w / 2, a, b, offset


def without_sums(w, a, b, offset):
    return w, a + w.sum(axis=1) / 2, b, offset


def without_offset(w, a, b, offset):
    return w, a, b, 0.0


def hidden_sums_added(w, a, b, offset):
    return w, a, b + w.sum(axis=0), offset


@pytest.mark.parametrize("broken", [halved, without_sums, hidden_sums_added, without_offset])
def test_a_broken_conversion_is_noticed(broken):
    """2W for 4W, −2W·1 forgotten, its sign wrong for the hidden biases, the constant forgotten."""
    rbm = network(9, 4, 0.1)
    assert difference(rbm, broken(*binary_parameters(rbm))) > 1e-3


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_networks_of_binary_units_agree_to_the_rounding_of_float32(visible, hidden, sd):
    """F(v) up to a constant, within the bound that the module states; E[h] = 2 p(h = 1) − 1."""
    w, a, b = random_parameters(visible, hidden, sd)
    rbm = rbm_from_binary(w, a, b)
    v = states(visible, (0, 1))
    constant = w.sum() / 4 + a.sum() / 2 + b.sum() / 2
    gap = rbm.free_energy(2 * v - 1) - binary_free_energy(w, a, b, v) - constant
    bound = ROUNDING * sum(np.abs(x).sum() for x in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    assert 0 < np.abs(gap).max() < bound
    np.testing.assert_allclose(rbm.mean_h(2 * v - 1), 2 * expit(v @ w + b) - 1, atol=5e-6)
    h = states(hidden, (0, 1))
    np.testing.assert_allclose(rbm.mean_v(2 * h - 1), 2 * expit(h @ w.T + a) - 1, atol=5e-6)


def test_the_law_is_the_same():
    """ln p(v) of the ±1 network is −F'(v') − ln Z'."""
    w, a, b = random_parameters(9, 4, 0.5)
    v = states(9, (0, 1))
    log_p = -binary_free_energy(w, a, b, v)
    log_p -= logsumexp(log_p)
    rbm, wrong = rbm_from_binary(w, a, b), RBM(w / 4, a / 2, b / 2)
    np.testing.assert_allclose(annealing.log_likelihood(rbm, 2 * v - 1), log_p, atol=1e-5)
    assert np.abs(annealing.log_likelihood(wrong, 2 * v - 1) - log_p).max() > 0.1


@pytest.mark.parametrize(("visible", "hidden", "sd"), NETWORKS)
def test_there_and_back_is_the_same_network(visible, hidden, sd):
    rbm = network(visible, hidden, sd)
    again = rbm_from_binary(*binary_parameters(rbm)[:3])
    np.testing.assert_array_equal(again.weights, rbm.weights)
    np.testing.assert_allclose(again.visible_bias, rbm.visible_bias, rtol=2 * ROUNDING, atol=1e-13)
    np.testing.assert_allclose(again.hidden_bias, rbm.hidden_bias, rtol=2 * ROUNDING, atol=1e-13)


def test_zero_biases_stay_exactly_zero():
    """A Z2-symmetric network stays one: no rounding is left in its biases."""
    rbm = RBM(random_parameters(64, 16, 0.3)[0], np.zeros(64), np.zeros(16))
    again = rbm_from_binary(*binary_parameters(rbm)[:3])
    assert not again.visible_bias.any()
    assert not again.hidden_bias.any()


def test_origin_is_kept():
    assert rbm_from_binary(*random_parameters(4, 2, 1.0), origin={"seed": 3}).origin == {"seed": 3}


@pytest.mark.parametrize(
    ("w", "a", "b", "match"),
    [
        (np.zeros((4, 2)), np.zeros(3), np.zeros(2), r"expected \(visible, hidden\)"),
        (np.zeros((4, 2)), np.zeros(4), np.zeros(4), r"expected \(visible, hidden\)"),
        (np.zeros((2, 4)), np.zeros(4), np.zeros(2), "transposed"),
        (np.zeros(4), np.zeros(4), np.zeros(1), r"expected \(visible, hidden\)"),
        (np.full((4, 2), np.nan), np.zeros(4), np.zeros(2), "weights contains nan"),
        (np.zeros((4, 2)), np.full(4, -np.inf), np.zeros(2), "visible_bias contains -inf"),
        (np.zeros((4, 2)), np.zeros(4), np.full(2, 1e300), r"hidden_bias contains 1e\+300"),
        (np.full((4, 2), "a"), np.zeros(4), np.zeros(2), "real numbers"),
        (np.full((4, 2), 1j), np.zeros(4), np.zeros(2), "real numbers"),
    ],
)
def test_bad_parameters_are_refused(w, a, b, match):
    with pytest.raises(InputError, match=match):
        rbm_from_binary(w, a, b)


# --- scikit-learn


@pytest.fixture(scope="module")
def fitted():
    data = states(9, (0, 1))[np.random.default_rng(0).integers(0, 512, 300)]
    return BernoulliRBM(n_components=4, n_iter=10, learning_rate=0.2, random_state=0).fit(data)


def test_a_fitted_bernoulli_rbm_is_read(fitted):
    """Its own hidden probabilities and free energies, which it computes in {0,1} units."""
    rbm, v = rbm_from_sklearn(fitted), states(9, (0, 1))
    np.testing.assert_allclose(rbm.mean_h(2 * v - 1), 2 * fitted.transform(v) - 1, atol=1e-5)
    gap = rbm.free_energy(2 * v - 1) - fitted._free_energy(v)
    assert np.ptp(gap) < 1e-5
    assert np.ptp(fitted._free_energy(v)) > 0.1
    assert rbm.origin["k"] == 1


def test_a_bernoulli_rbm_is_made(fitted):
    rbm, v = network(9, 4, 0.7), states(9, (0, 1))
    model = sklearn_from_rbm(rbm)
    np.testing.assert_allclose(2 * model.transform(v) - 1, rbm.mean_h(2 * v - 1), atol=1e-5)
    np.testing.assert_allclose(model._free_energy(v) + binary_parameters(rbm).offset, rbm.free_energy(2 * v - 1))
    assert model.components_.shape == (4, 9)
    assert model.get_feature_names_out().shape == (4,)
    again = sklearn_from_rbm(rbm_from_sklearn(fitted))
    np.testing.assert_allclose(again.components_, fitted.components_, rtol=2 * ROUNDING)
    np.testing.assert_allclose(again.intercept_hidden_, fitted.intercept_hidden_, atol=1e-5)
    before = model.components_.copy()
    model.partial_fit(v)  # its training goes on from there
    assert 0 < np.abs(model.components_ - before).max() < 1


@pytest.mark.parametrize("model", [BernoulliRBM(), 3.0])
def test_what_is_not_fitted_is_refused(model):
    with pytest.raises(InputError, match="after its fit"):
        rbm_from_sklearn(model)


def test_missing_scikit_learn_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.neural_network", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        sklearn_from_rbm(network(4, 2, 1.0))


# --- archives of rbms


SETTINGS = {
    "0.5": {"hyperparameters": {"batch_size": 50, "gibbs_steps": 5, "num_chains": 60, "learning_rate": 0.1}},
    "0.6": {
        "hyperparameters": {"num_visibles": 9, "num_hiddens": 4, "num_chains": 60},
        "sampling_args": {"gibbs_steps": 5, "beta": 1.0},
        "train_args": {"batch_size": 50, "learning_rate": np.array([0.1]), "training_type": "pcd"},
        "sampler": {"name": "PCD", "model_type": "IIRBM", "weight_matrix": np.ones((9, 4)), "num_steps": 5},
    },
}


def write_archive(path, networks, model_type="BBRBM", version="0.5"):
    """Write parameters `{update: (w, a, b)}` as `io.save_model` of a version of rbms lays them out, 0.5.0 or 0.6.0."""
    with h5py.File(path, "w") as file:
        for group, settings in SETTINGS[version].items():
            for name, value in settings.items():
                file[f"{group}/{name}"] = value
        file["hyperparameters/filename"] = str(path)
        file["model_type"] = model_type
        file["parallel_chains"] = np.zeros((60, 9), np.float32)
        file["learning_rate"] = np.full(199, 0.1)
        for update, parameters in networks.items():
            group = file.create_group(f"update_{update}")
            for name, values in zip(("weight_matrix", "vbias", "hbias"), parameters, strict=True):
                group[f"params/{name}"] = np.asarray(values, np.float32)
                group[name] = group[f"params/{name}"]
            group["numpy_rng_arg0"] = "MT19937"
            group["flags/checkpoint"] = group["save_checkpoint"] = True
            group["time"] = 1.5
            if version == "0.6":
                group["learning_rate"], group["effective_time"] = np.array([0.1]), np.array([0.1 * update])


@pytest.fixture
def archive(tmp_path):
    """Three updates, which are in another order by number than by name."""
    path = tmp_path / "network.h5"
    write_archive(path, {n: random_parameters(9, 4, 0.5, seed=n) for n in (1, 27, 103)})
    return path


@pytest.mark.parametrize(("update", "seed"), [(None, 103), (27, 27), (1, 1)])
def test_an_archive_is_read(archive, update, seed):
    rbm, v = load_rbms(archive, update), states(9, (0, 1))
    w, a, b = (x.astype(np.float32).astype(float) for x in random_parameters(9, 4, 0.5, seed=seed))
    np.testing.assert_allclose(rbm.mean_h(2 * v - 1), 2 * expit(v @ w + b) - 1, atol=5e-6)
    assert np.ptp(rbm.free_energy(2 * v - 1) - binary_free_energy(w, a, b, v)) < 5e-6
    assert rbm.origin == {
        "source": "archive of rbms",
        "file": "network.h5",
        "steps": seed,
        "k": 5,
        "chains": 60,
        "batch": 50,
        "learning_rate": 0.1,
    }


def spin_free_energy(w, a, b, v):
    """F(v) of the source, E = −a·v − b·h − vᵀWh with v and h of ±1: the sum over all hidden states as it is written."""
    h = states(len(b)).astype(float)
    return -logsumexp(v @ w @ h.T + (v @ a)[:, None] + h @ b, axis=1)


def read_in(path, parameters, model_type):
    """The largest |F(v) − F of the source| over the 16 states of four ±1 units, of an archive of a type."""
    write_archive(path, {103: parameters}, model_type, "0.6")
    v = states(4)
    return np.abs(load_rbms(path).free_energy(v) - spin_free_energy(*parameters, v)).max()


def test_an_archive_of_spins_is_read_as_it_is(tmp_path):
    """The same F(v), constant and all, and not that of the same numbers on {0,1} units, nor of W transposed."""
    w, a, b = (x.astype(np.float32).astype(float) for x in random_parameters(4, 3, 0.7))
    assert read_in(tmp_path / "spins.h5", (w, a, b), "IIRBM") < FLOAT64
    assert read_in(tmp_path / "bits.h5", (w, a, b), "BBRBM") > 0.1
    w, a, b = random_parameters(4, 4, 0.7)
    write_archive(tmp_path / "transposed.h5", {103: (w.T, a, b)}, "IIRBM", "0.6")
    gap = load_rbms(tmp_path / "transposed.h5").free_energy(states(4)) - spin_free_energy(w, a, b, states(4))
    assert np.abs(gap).max() > 0.1


@pytest.mark.parametrize("model_type", ["BBRBM", "IIRBM"])
def test_an_archive_of_the_newer_layout_is_read(tmp_path, model_type):
    path = tmp_path / "network.h5"
    write_archive(path, {n: random_parameters(9, 4, 0.5, seed=n) for n in (1, 27, 103)}, model_type, "0.6")
    assert load_rbms(path).origin == {
        "source": "archive of rbms",
        "file": "network.h5",
        "steps": 103,
        "k": 5,
        "chains": 60,
        "batch": 50,
        "learning_rate": 0.1,
    }


@pytest.mark.parametrize(("rates", "found"), [([0.1, 0.1, 0.1], 0.1), ([0.1, 0.1, 0.2], None), ([], None)])
def test_a_learning_rate_of_each_parameter_is_kept_where_all_are_one(tmp_path, rates, found):
    path = tmp_path / "network.h5"
    write_archive(path, {1: random_parameters(9, 4, 0.5)}, "IIRBM", "0.6")
    with h5py.File(path, "a") as file:
        del file["train_args/learning_rate"]
        file["train_args/learning_rate"] = np.array(rates)
    assert load_rbms(path).origin.get("learning_rate") == found


def test_an_archive_without_settings_is_read(archive):
    with h5py.File(archive, "a") as file:
        del file["hyperparameters"]
    assert "k" not in load_rbms(archive).origin


@pytest.mark.parametrize(("origin", "steps"), [({"steps": 300}, 300), ({}, 1), ({"steps": 0}, 1)])
def test_what_is_written_is_read(tmp_path, origin, steps):
    written = network(9, 4, 0.5)
    rbm = RBM(written.weights, written.visible_bias, written.hidden_bias, origin)
    path = tmp_path / "new" / "network.h5"
    for _ in range(2):  # the second time over the first
        save_rbms(path, rbm)
    again = load_rbms(path)
    np.testing.assert_array_equal(again.weights, rbm.weights)
    np.testing.assert_allclose(again.visible_bias, rbm.visible_bias, rtol=2 * ROUNDING)
    assert again.origin["steps"] == steps
    assert [p.name for p in path.parent.iterdir()] == ["network.h5"]
    with h5py.File(path) as file:  # what rbms.io.load_params and rbms.utils.get_flagged_updates look for
        group = file[f"update_{steps}"]
        assert {name: group["params"][name].shape for name in group["params"]} == {
            "weight_matrix": (9, 4),
            "vbias": (9,),
            "hbias": (4,),
        }
        assert file["model_type"][()] == b"BBRBM"
        assert group["flags"]["checkpoint"][()]
        np.testing.assert_allclose(group["params/weight_matrix"][()], 4.0 * rbm.weights)


def test_updates_that_are_not_there_are_listed(archive):
    with pytest.raises(InputError, match=r"network.h5' has no update 2; it has: 1, 27, 103"):
        load_rbms(archive, 2)


def test_files_that_are_no_archives_are_refused(tmp_path):
    text, other, empty = (tmp_path / name for name in ("text.h5", "other.h5", "empty.h5"))
    text.write_text("weights")
    with h5py.File(other, "w") as file:
        file["model_type"], file["200"] = "BBRBM", 1
    h5py.File(empty, "w").close()
    with pytest.raises(InputError, match=r"no file .*missing.h5"):
        load_rbms(tmp_path / "missing.h5")
    with pytest.raises(InputError, match=r"text.h5' is not an HDF5 archive"):
        load_rbms(text)
    with pytest.raises(InputError, match=r"other.h5' is no archive of rbms.*found: 200, model_type"):
        load_rbms(other)
    with pytest.raises(InputError, match=r"empty.h5' is no archive of rbms.*found: nothing"):
        load_rbms(empty)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("IGRBM", "Gaussian hidden units are not supported, "),
        ("BGRBM", "Gaussian hidden units are not supported, "),
        ("PBRBM", "Potts visible units are not supported, "),
        ("PBM", "a machine without hidden units is not supported, "),
        ("QQRBM", ""),
    ],
)
def test_other_types_are_refused_and_what_is_missing_is_said(tmp_path, model_type, reason):
    path = tmp_path / "other.h5"
    write_archive(path, {1: (np.zeros((9, 3, 4)), np.zeros((9, 3)), np.zeros(4))}, model_type)
    with pytest.raises(InputError) as caught:
        load_rbms(path)
    known = "only units of two values on both layers, BBRBM (0/1), IIRBM (±1)"
    assert str(caught.value) == f"archive {str(path)!r} holds a model of type {model_type!r}: {reason}{known}"


@pytest.mark.parametrize(
    "broken", [("weight_matrix", np.zeros((4, 9))), ("vbias", np.full(9, np.nan)), ("hbias", None), ("hbias", "text")]
)
def test_damaged_parameters_are_refused(archive, broken):
    name, values = broken
    with h5py.File(archive, "a") as file:
        del file["update_103"]["params"][name]
        if values is not None:
            file["update_103"]["params"][name] = values
    with pytest.raises(InputError, match=r"network.h5' is not an HDF5 archive of rbms, or is damaged"):
        load_rbms(archive)
    load_rbms(archive, 27)


def test_a_truncated_archive_is_refused(archive):
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        load_rbms(archive)


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_rbms(tmp_path / "file" / "network.h5", network(4, 2, 1.0))


def test_missing_h5py_is_said(archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for call in (load_rbms, lambda path: save_rbms(path, network(4, 2, 1.0))):
        with pytest.raises(InputError, match=r"rgstep\[hdf5\]"):
            call(archive)


def test_the_module_needs_neither_library(monkeypatch):
    for name in ("h5py", "sklearn", "sklearn.neural_network"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "load_rbms" in runpy.run_path(conversion.__file__)
