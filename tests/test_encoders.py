"""Encoders as they are: PyTorch with a channel axis or vectors, several outputs, scikit-learn; and the identity."""

from collections import namedtuple

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neural_network import BernoulliRBM

import rgstep as rg
from rgstep.adapters import as_map, by_channel, load_map
from rgstep.battery import one_by_one
from rgstep.instruments.draws import require_coarse

pytestmark = pytest.mark.usefixtures("as_users_run")
V = (2 * np.random.default_rng(0).integers(0, 2, (12, 4, 4)) - 1).astype(np.int8)
W = np.random.default_rng(1).standard_normal((16, 3))


def mean(given, name="mine"):
    return as_map(given, name).mean_h(V)


@pytest.fixture(scope="module")
def nn():
    """PyTorch's layers."""
    return pytest.importorskip("torch").nn


# --- PyTorch


def test_a_convolution_gets_its_channel_axis(nn):
    """For any number of samples: without the axis PyTorch would take samples for channels, or one sample for none."""
    layer = nn.Conv2d(1, 1, 2, stride=2, bias=False)
    layer.weight.data[:] = 0.25
    blocks = V.reshape(12, 2, 2, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(mean(layer), blocks, atol=1e-6)
    coarse = as_map(layer, "mine")
    np.testing.assert_allclose(coarse.mean_h(V[:1]), blocks[:1], atol=1e-6)
    assert by_channel(layer, V) == []


def test_channels_and_single_sites(nn):
    assert len(by_channel(nn.Conv2d(1, 3, 2, stride=2), V)) == 3
    assert mean(nn.Conv2d(1, 5, 4)).shape == (12, 5)  # one site a channel: units without places


def test_a_linear_layer_gets_vectors(nn):
    layer = nn.Linear(16, 3)
    assert mean(layer).shape == (12, 3)
    with pytest.raises(rg.InputError, match="'mine' raised RuntimeError"):  # the twin: of another size
        mean(nn.Linear(15, 3))


# --- several outputs


def pair(v):
    h = v.reshape(len(v), -1) @ W
    return v, h, 0 * h


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (pair, r"3 outputs, \[0\] \(12, 4, 4\), \[1\] \(12, 3\), \[2\] \(12, 3\): .*rgstep\.Output\(mine, 1\)"),
        (lambda v: list(pair(v)), r"3 outputs"),
        (lambda v: dict(zip("xzs", pair(v), strict=True)), r"Output\(mine, 'z'\) or --map file\.py:mine\[z\]"),
    ],
    ids=["tuple", "list", "mapping"],
)
def test_several_outputs_are_one_line_that_says_which_to_take(given, rule):
    with pytest.raises(rg.InputError, match=rule) as caught:
        mean(given)
    assert "\n" not in str(caught.value)


def test_one_of_several_outputs_is_a_map(tmp_path):
    h = pair(V)[1]
    named = namedtuple("Coded", "recon z")
    for given in (
        rg.Output(pair, 1),
        rg.Output(lambda v: {"z": pair(v)[1]}, "z"),
        rg.Output(lambda v: named(*pair(v)[:2]), "z"),
    ):
        np.testing.assert_allclose(mean(given), h, rtol=1e-5)
    np.testing.assert_allclose(mean(lambda v: [x.ravel() @ W for x in v]), h, rtol=1e-5)  # the twin: a list of rows
    (tmp_path / "maps.py").write_text("def both(v):\n    return v[:, ::2, ::2], -v\n")
    np.testing.assert_array_equal(mean(load_map(f"{tmp_path}/maps.py:both[0]")), V[:, ::2, ::2])


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (lambda: rg.Output(pair, 3), r"output 3 is asked for, and the map returns \[0\]"),
        (
            lambda: rg.Output(lambda v: v, 1),
            r"output 1 is asked for, and the map returns one array of shape \(12, 4, 4\)",
        ),
        (lambda: rg.Output(3.0, 1), "encoder is a float: expected a function or a module"),
    ],
)
def test_outputs_that_are_not_there(given, rule):
    with pytest.raises(rg.InputError, match=rule):
        mean(given())


# --- scikit-learn


def test_a_transformer_is_a_map():
    vectors = V.reshape(12, 16).astype(float)
    fitted = PCA(3).fit(vectors)
    np.testing.assert_allclose(mean(fitted), fitted.transform(vectors), rtol=1e-6)
    with pytest.raises(rg.InputError, match=r"'mine' raised NotFittedError .*not fitted yet"):
        mean(PCA(3))
    with pytest.raises(rg.InputError, match=r"is a BernoulliRBM of 0/1 units: give .*rbm_from_sklearn\(model\)"):
        mean(BernoulliRBM(2, n_iter=1).fit(vectors > 0))


# --- no coarse graining, and names


@pytest.mark.parametrize(
    ("h", "same"),
    [
        (V, True),
        (-V[:, ::-1].reshape(12, 16), True),  # other signs, another order
        (V[:, ::2, ::2], False),
        (V * np.roll(V, 1, 1), False),
        (V * np.where(np.arange(12) == 5, -1, 1)[:, None, None].astype(np.int8), False),  # one sample flipped
    ],
)
def test_the_identity_is_refused_with_the_reason(h, same):
    if same:
        with pytest.raises(rg.InputError, match=r"'mine' returns its own v, .* 4×4 spins \(b = 1\): nothing is coarse"):
            require_coarse(V, h, "mine")
    else:
        require_coarse(V, h, "mine")


def test_judge_refuses_the_identity(critical4):
    few = rg.ensemble_from_array(critical4.unpack(0, 60), rg.CRITICAL_TEMPERATURE)
    for given in (lambda v: v, lambda v: (1 + v) / 2, few.spins):
        with pytest.raises(rg.InputError, match="returns its own v"):
            rg.judge(few, {"mine": given})


def test_a_channel_never_takes_the_name_of_another_map(critical4):
    """The twin: other names are all kept."""
    channels = {"a": lambda v: np.stack([v[:, ::2, ::2], v[:, 1::2, ::2]], axis=1)}
    with pytest.raises(rg.InputError, match=r"map 'a' has channels, and one is called 'a\[1\]' as another map is"):
        one_by_one(critical4, {**channels, "a[1]": rg.Majority()})
    assert list(one_by_one(critical4, {**channels, "b[1]": rg.Majority()})) == ["a[0]", "a[1]", "b[1]"]
