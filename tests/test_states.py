"""Networks in mappings of tensors: which tensor is what, which way round W is, ±1 or 0/1, and what data can tell."""

import jax.numpy as jnp
import numpy as np
import pytest
from networks import ising_network, random_parameters, states
from scipy.special import logsumexp

import rgstep as rg
from rgstep import RBM, InputError
from rgstep.nets.conversion import binary_parameters
from rgstep.nets.states import ERRORS_APART, ORDERS, orientation, rbm_from_state

FLOAT32 = 1e-5


def free_energy(w, a, b, values):
    """F(v) of every state of the visible units as the source writes it: all hidden states summed."""
    v, h = (states(len(x), values).astype(float) for x in (a, b))
    return -logsumexp(v @ w @ h.T + (v @ a)[:, None] + h @ b, axis=1)


def off(rbm, w, a, b, values=(-1, 1)):
    """How far the differences of F(v) between states are from those of the source."""
    return np.ptp(rbm.free_energy(states(len(a))) - free_energy(w, a, b, values))


def same(one, other):
    return all(np.array_equal(getattr(one, x), getattr(other, x)) for x in ("weights", "visible_bias", "hidden_bias"))


# --- which tensor is what


NAMES = [
    ("W", "v_bias", "h_bias"),
    ("weight_matrix", "vbias", "hbias"),
    ("rbm.weight", "rbm.visible_bias", "rbm.hidden_bias"),
    ("module.weights", "visible.bias", "hidden.bias"),
    ("components_", "intercept_visible_", "intercept_hidden_"),
    ("fc.weight", "b_v", "fc.bias"),  # the one that is left is the hidden one
    ("fc.weight", "fc.bias", "bh"),
    ("anything", "bv", "other"),
]


@pytest.mark.parametrize("hidden", [3, 6])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("names", NAMES)
def test_tensors_are_found_by_their_names_and_w_by_the_lengths(names, turned, hidden):
    """Exact F(v) on four visible units, whichever layer is the larger; the broken twin swaps the biases' names."""
    w, a, b = random_parameters(4, hidden, 0.7)
    tensors = dict(zip(names, (w.T if turned else w, a, b), strict=True))
    rbm = rbm_from_state({"steps": 3, **tensors}, units="spin")
    assert off(rbm, w, a, b) < FLOAT32
    assert rbm.origin == {"units": "±1", "order": ORDERS[turned], "tensors": list(names)}
    swapped = rbm_from_state({names[0]: tensors[names[0]], names[1]: b, names[2]: a}, units="spin")
    assert (swapped.visible, swapped.hidden) == (hidden, 4)


@pytest.mark.parametrize("turned", [False, True])
def test_units_of_0_and_1_are_converted(turned):
    w, a, b = random_parameters(4, 3, 0.7)
    tensors = {"W": w.T if turned else w, "vbias": a, "hbias": b}
    assert off(rbm_from_state(tensors, units="binary"), w, a, b, (0, 1)) < FLOAT32
    assert off(rbm_from_state(tensors, units="spin"), w, a, b, (0, 1)) > 0.1


@pytest.mark.parametrize(("said", "values"), [("±1", (-1, 1)), ("spin", (-1, 1)), ("0/1", (0, 1)), ("binary", (0, 1))])
def test_a_mapping_may_say_its_units(said, values):
    w, a, b = random_parameters(4, 3, 0.7)
    assert off(rbm_from_state({"W": w, "vbias": a, "hbias": b, "units": said}), w, a, b, values) < FLOAT32


def test_other_forms_of_tensors():
    """Rows and columns for biases, one hidden unit, half precision, other tensors, the part of a checkpoint."""
    w, a, b = (np.float32(x) for x in random_parameters(4, 3, 0.7))
    plain = RBM(w, a, b)
    assert same(rbm_from_state({"W": w, "vbias": a[None], "hbias": b[:, None]}, units="spin"), plain)
    extra = {"step": np.array(3), "sigma": np.ones(7), "batches": np.arange(4), "chains": np.ones((60, 4), np.int8)}
    assert same(rbm_from_state({**extra, "W": w, "vbias": a, "hbias": b}, units="spin"), plain)
    inner = {"W": w.T, "vbias": a, "hbias": b}
    checkpoint = {"epoch": 3, "model_state_dict": inner, "optimizer_state_dict": {"state": {0: {"W": w}}}}
    assert same(rbm_from_state(checkpoint, units="spin"), plain)
    one = RBM(w[:, :1], a, b[:1])
    for turned in (w[:, :1], w[:, :1].T):
        assert same(rbm_from_state({"W": turned, "vbias": a[None], "hbias": b[None, :1]}, units="spin"), one)
    half = {"W": np.float16(w), "vbias": np.float16(a), "hbias": np.float16(b)}
    np.testing.assert_allclose(rbm_from_state(half, units="spin").weights, w, atol=1e-3)


def test_tensors_of_other_libraries():
    w, a, b = (np.float32(x) for x in random_parameters(4, 3, 0.7))
    assert same(rbm_from_state({"W": jnp.array(w), "vbias": jnp.array(a), "hbias": b}, units="spin"), RBM(w, a, b))
    torch = pytest.importorskip("torch")
    tensors = {"W": torch.nn.Parameter(torch.from_numpy(w.T.copy())), "vbias": torch.from_numpy(a)}
    found = rbm_from_state({**tensors, "hbias": torch.from_numpy(b).double(), "n": torch.arange(4)}, units="spin")
    assert same(found, RBM(w, a, b))
    for unreadable in (tensors["W"].detach().to_sparse(), torch.empty(4, 3, device="meta")):
        with pytest.raises(InputError, match="tensor 'W' is no array of numbers"):
            rbm_from_state({**tensors, "hbias": b, "W": unreadable}, units="spin")


def test_names_may_be_given():
    w, a, b = random_parameters(4, 3, 0.7)
    tensors = {"one": w, "two": a, "three": b, "four": np.ones((3, 3)), "five": np.ones(3)}
    names = {"weights": "one", "visible_bias": "two", "hidden_bias": "three"}
    assert off(rbm_from_state(tensors, units="spin", names=names), w, a, b) < FLOAT32
    with pytest.raises(InputError, match="several matrices for W: name one"):
        rbm_from_state(tensors, units="spin")
    with pytest.raises(InputError, match=r"names=\{'visible_bias': …"):
        rbm_from_state(tensors, units="spin", names={"weights": "one", "visible_bias": "two"})


def test_a_and_b_are_not_guessed():
    """They are the visible and the hidden bias for some, the other way round for others: the order decides."""
    w, a, b = random_parameters(4, 3, 0.7)
    with pytest.raises(InputError, match=r"read in 2 ways: give order='visible_hidden' or 'hidden_visible'"):
        rbm_from_state({"W": w, "a": a, "b": b}, units="spin")
    for tensors, order in (({"W": w, "a": a, "b": b}, ORDERS[0]), ({"W": w.T, "a": b, "b": a}, ORDERS[1])):
        assert off(rbm_from_state(tensors, units="spin", order=order), w, a, b) < FLOAT32
        assert rbm_from_state(tensors, units="spin", order=ORDERS[order == ORDERS[0]]).visible == 3
        assert off(rbm_from_state(tensors, units="spin", data=states(4)), w, a, b) < FLOAT32  # four sites
        assert rbm_from_state(tensors, units="spin", data=states(3)).visible == 3


# --- what the shapes cannot tell


def test_square_weights_are_asked_about():
    w, a, b = random_parameters(4, 4, 0.7)
    tensors = {"W": w.T, "v_bias": a, "h_bias": b}
    with pytest.raises(
        InputError, match=r"2 ways: give order='visible_hidden' or 'hidden_visible' of weights 'W' \(or"
    ):
        rbm_from_state(tensors, units="spin")
    assert off(rbm_from_state(tensors, units="spin", order="hidden_visible"), w, a, b) < FLOAT32
    assert off(rbm_from_state(tensors, units="spin", order="visible_hidden"), w, a, b) > 0.1
    with pytest.raises(InputError) as caught:
        rbm_from_state({"W": w, "one": a, "two": b})
    questions = "units='spin' (±1) or 'binary' (0/1), and order=.*, and names={'visible_bias': …, 'hidden_bias': …}"
    assert all(part in str(caught.value) for part in questions.split(".*"))
    assert "8 ways" in str(caught.value)


def test_units_are_asked_for_even_where_there_are_data():
    w, a, b = random_parameters(4, 3, 0.7)
    for data in (None, states(4)):
        with pytest.raises(InputError, match=r"2 ways: give units='spin' \(±1\) or 'binary' \(0/1\)"):
            rbm_from_state({"W": w, "vbias": a, "hbias": b}, data=data)


def test_readings_that_are_one_network_are_not_asked_about():
    """Biases that are zero, a W that is its own transpose."""
    w = random_parameters(4, 4, 0.7)[0]
    zero = np.zeros(4)
    assert same(rbm_from_state({"W": w, "one": zero, "two": zero}, units="spin", order=ORDERS[0]), RBM(w, zero, zero))
    symmetric = rbm_from_state({"W": w + w.T, "one": zero, "two": zero}, units="spin")
    assert same(symmetric, RBM(w + w.T, zero, zero))


@pytest.fixture
def rings(critical8):
    """The network of all bonds along the rows, its hidden units in another order, and critical configurations.

    The transpose has as many bonds, between other sites.
    """
    order = np.random.default_rng(0).permutation(64)
    return RBM(ising_network(8, 0.44).weights[:, :64][:, order], np.full(64, 0.01), np.zeros(64)), critical8


@pytest.mark.slow
def test_data_tell_a_trained_network_from_its_transpose():
    """Barely trained, too."""
    data, held_out = rg.sample(8, samples=2_000, seed=1), rg.sample(8, samples=1_000, seed=2)
    for steps in (30, 1_000):
        rbm = rg.train_rbm(data, hidden=64, steps=steps, seed=0)
        for weights, order in zip((rbm.weights, rbm.weights.T), ORDERS, strict=True):
            assert orientation(weights, rbm.visible_bias, rbm.hidden_bias, held_out).order == order


def test_data_tell_which_way_round_w_is(rings):
    rbm, held_out = rings
    w, a, b = rbm.weights, rbm.visible_bias, rbm.hidden_bias
    right, turned = orientation(w, a, b, held_out), orientation(w.T, a, b, held_out)
    assert (right.order, turned.order) == ORDERS
    assert right.gain.value > ERRORS_APART * right.gain.error > 0
    assert (turned.gain.value, turned.gain.error) == (-right.gain.value, right.gain.error)
    for given in (w, w.T):
        assert same(rbm_from_state({"W": given, "v_bias": a, "h_bias": b}, units="spin", data=held_out), rbm)
    binary = binary_parameters(rbm)
    tensors = {"W": binary.weights.T, "v_bias": binary.visible_bias, "h_bias": binary.hidden_bias}
    again = rbm_from_state(tensors, units="binary", data=held_out.spins)
    np.testing.assert_allclose(again.weights, rbm.weights, rtol=1e-6)
    assert orientation(*binary[:3], held_out, units="binary").order == ORDERS[0]


def test_data_do_not_tell_what_they_cannot(rings):
    """An untrained network, one whose W is its own transpose, and configurations of another law."""
    rbm, held_out = rings
    fresh = rg.untrained_rbm(64, 64, seed=0)
    w, zero = rbm.weights, np.zeros(64)
    fair = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (1_000, 8, 8))
    assert orientation(fresh.weights, zero, zero, held_out).order is None
    assert orientation(w + w.T, zero, zero, held_out).order is None
    assert orientation(w, rbm.visible_bias, rbm.hidden_bias, fair).order is None
    with pytest.raises(InputError, match=r"data do not tell in which of 2 ways .* give order='visible_hidden' or"):
        rbm_from_state({"W": fresh.weights, "v_bias": zero, "h_bias": zero}, units="spin", order=None, data=fair)


def test_data_must_be_of_the_network(rings):
    rbm, _ = rings
    with pytest.raises(InputError, match="16 sites given to a network of 64"):
        orientation(rbm.weights, rbm.visible_bias, rbm.hidden_bias, states(4).repeat(4, axis=1))
    with pytest.raises(InputError, match="transposed"):
        orientation(np.zeros((3, 4)), np.zeros(4), np.zeros(3), states(4))
    w, a, b = random_parameters(4, 3, 0.7)
    with pytest.raises(InputError, match=r"16 sites as the data have"):
        rbm_from_state({"W": w, "vbias": a, "hbias": b}, units="spin", data=states(4).repeat(4, axis=1))


# --- what is refused


PLAIN = {"W": np.zeros((4, 3)), "vbias": np.zeros(4), "hbias": np.zeros(3)}


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("state", "options", "match"),
    [
        ([1, 2], {}, "must be a mapping from names to tensors"),
        ({}, {}, "no matrix for W.*it has: none"),
        ({"vbias": np.zeros(4), "hbias": np.zeros(3)}, {}, r"no matrix for W.*it has: vbias \(4,\), hbias \(3,\)"),
        ({"W": np.zeros((4, 3), int), "vbias": np.zeros(4)}, {}, "no matrix for W"),
        ({**PLAIN, "vbias": np.zeros(5)}, {}, r"no two biases that belong to weights 'W' of shape \(4, 3\)"),
        ({"W": np.zeros((4, 3)), "vbias": np.zeros(4)}, {}, "zeros if there are none"),
        (PLAIN, {"order": "hidden_visible"}, r"of shape \(4, 3\) hidden_visible"),
        ({**PLAIN, "W": np.full((4, 3), np.nan)}, {}, "weights contains nan"),
        ({**PLAIN, "hbias": np.full(3, np.inf)}, {}, "hidden_bias contains inf"),
        ({**PLAIN, "vbias": np.full(4, 1e300)}, {}, r"visible_bias contains 1e\+300"),
        (PLAIN, {"units": "potts"}, "unknown units 'potts'"),
        (PLAIN, {"order": "up"}, "unknown order 'up'"),
        (PLAIN, {"names": {"w": "W"}}, r"names\['w'\]: the parts of a network are weights, visible_bias"),
        (PLAIN, {"names": {"weights": "V"}}, "no tensor 'V' of real numbers; it has: W"),
        (PLAIN, {"names": {"weights": 3}}, "must be a name, as text"),
        (PLAIN, {"names": {"weights": "vbias"}}, "no two biases"),
        (PLAIN, {"names": {"visible_bias": "hbias", "hidden_bias": "hbias"}}, "no two biases"),
    ],
)
def test_what_is_no_network_is_refused(state, options, match):
    with pytest.raises(InputError, match=match) as caught:
        rbm_from_state(state, **{"units": "spin", **options})
    assert "\n" not in str(caught.value)


def test_origin_is_kept():
    assert rbm_from_state(PLAIN, units="spin", origin={"seed": 3, "units": "mine"}).origin["seed"] == 3
    assert same(rbm_from_state(PLAIN, units="spin"), RBM(*PLAIN.values()))
