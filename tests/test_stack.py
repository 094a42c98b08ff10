"""Stacks of networks: places between levels against block rules written as networks, nulls, files, bad input."""

import json

import numpy as np
import pytest

import rgstep as rg
from rgstep import stack as stacks
from rgstep.battery import measure_map
from rgstep.blocking import permutation
from rgstep.controls import permuted
from rgstep.files import read_arrays, write_arrays
from rgstep.nets.rbm import RBM
from rgstep.stack import Layer, Stack, built, nulls, train_stack
from rgstep.store import save_stack

WEIGHT = 0.8


@pytest.fixture(scope="module")
def critical16():
    return rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=4000, seed=61)


def block_network(size, seed, weight=WEIGHT):
    """A Bernoulli block as a network, W = w on each 2×2 block, its units in another order and with signs."""
    units = (size // 2) ** 2
    row, column = np.divmod(np.arange(size**2), size)
    w = np.zeros((size**2, units), np.float32)
    w[np.arange(size**2), row // 2 * (size // 2) + column // 2] = weight
    order = permutation(units, seed)
    sign = np.where(permutation(units, seed, "signs") % 2, 1, -1)
    return RBM(w[:, order] * sign, np.zeros(size**2), np.zeros(units))


def of_blocks(ensemble, levels=2):
    """A stack of such networks, placed as trained ones are."""

    def network(level, units, number):
        return block_network(2 * int(units**0.5), number)

    return built(ensemble, [network] * levels, 0, {"preset": "default"})


def numbers(ensemble, given, seed=0):
    """Exponents and drift, level by level."""
    rows = measure_map(ensemble, "m", given, seed, ("mcrg", "drift"))
    return {name: q.estimate for row in rows.values() for name, q in row.estimates.items()}


@pytest.fixture(scope="module")
def small():
    data = rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=500, seed=3)
    return data, train_stack(data, seed=1, preset="mehta2014", steps=40)


# --- places


def test_networks_that_are_block_rules_come_back_as_block_rules(critical16):
    """Order and signs of both levels are put right: each layer is the Bernoulli block itself, to rounding."""
    found = of_blocks(critical16)
    rule = rg.BernoulliBlock(WEIGHT)
    v = critical16.unpack(0, 50)
    assert [layer.side for _, layer in found.networks()] == [8, 4]
    for layer in found:
        h = layer.mean_h(v)
        shifts = [np.roll(rule.mean_h(v), s, (1, 2)) for s in np.ndindex(h.shape[1], h.shape[1])]
        off = min(np.abs(h - other).max() for other in shifts)
        assert off < 1e-5
        assert np.abs(layer.rbm.mean_h(v).reshape(h.shape) - h).max() > 0.5  # the twin: as the network gives its units
        v = layer.sample_h(v, np.random.default_rng(0))
        assert v.dtype == np.int8


def test_a_stack_is_judged_level_by_level_like_the_rule_that_it_is(critical16):
    stack, rule = numbers(critical16, of_blocks(critical16)), numbers(critical16, [rg.BernoulliBlock(WEIGHT)] * 2, 5)
    for name in ("y_t[0]", "y_h[0]", "y_t[1]", "y_h[1]", "delta_m[0]", "delta_m[1]", "U4_drift[1]"):
        assert abs(stack[name].value - rule[name].value) < 4 * np.hypot(stack[name].error, rule[name].error), name


def test_without_places_between_levels_the_second_step_is_none(critical16):
    """The twin: the first network's units as it gives them. The second then averages spins from anywhere."""
    stack = of_blocks(critical16)
    first, second = stack
    lost = Stack((Layer(first.rbm, np.arange(64), np.ones(64, np.int8)), second))
    found, right = numbers(critical16, lost), numbers(critical16, stack)
    assert abs(found["y_h[1]"].value - right["y_h[1]"].value) > 8 * found["y_h[1]"].error


def test_a_stack_by_itself_is_its_first_level(critical16):
    found, v = of_blocks(critical16), critical16.unpack(0, 5)
    assert len(found) == 2
    np.testing.assert_array_equal(found.mean_h(v), found[0].mean_h(v))
    np.testing.assert_array_equal(
        found.sample_h(v, np.random.default_rng(1)), found[0].sample_h(v, np.random.default_rng(1))
    )
    assert "Layer(RBM(256 visible, 64 hidden" in repr(found)


def test_translations_are_not_asked_of_units_that_lie_as_they_like(critical16):
    """A regular lattice is asked; the same units as a layer of a network are not."""
    for given, asked in ((rg.BernoulliBlock(WEIGHT), True), (of_blocks(critical16), False)):
        row = measure_map(critical16, "m", given, 0, ("symmetry",))["symmetry"]
        assert ("translation" in row.estimates) is asked


def test_dead_and_extended_units_are_named_and_carried(critical16):
    def network(level, units, number):
        rbm = block_network(16, number)
        w = rbm.weights.copy()
        w[:, 5] = 0
        w[:, 9] = 0
        w[[17, 90, 140, 253], 9] = 0.8  # sites thrown anywhere
        return RBM(w, rbm.visible_bias, rbm.hidden_bias)

    (layer,) = built(critical16, [network], 0, {})
    assert layer.dead == (5,)
    assert 9 in layer.extended
    assert len(layer.extended) < 4
    assert np.array_equal(np.sort(layer.order), np.arange(64))
    assert "1 dead" in repr(layer)
    (whole,) = built(critical16, [lambda *_: block_network(16, 1)], 0, {})
    assert whole.dead == whole.extended == ()


# --- training


def test_a_stack_is_trained_level_by_level(small):
    data, stack = small
    assert [layer.rbm.weights.shape for _, layer in stack.networks()] == [(64, 16)]
    other = train_stack(data, seed=2, preset="mehta2014", steps=40)
    again = train_stack(data, seed=1, preset="mehta2014", steps=40)
    np.testing.assert_array_equal(stack[0].rbm.weights, again[0].rbm.weights)
    assert not np.array_equal(stack[0].rbm.weights, other[0].rbm.weights)


def test_the_second_network_is_trained_on_h_of_the_first(monkeypatch):
    """What each network is given: the configurations, then h, a lattice of half the side, drawn from the first."""
    seen = []

    def train(data, units, seed, **rest):
        seen.append(data)
        return block_network(2 * int(units**0.5), 1)

    monkeypatch.setattr(stacks, "train_rbm", train)
    data = rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=300, seed=3)
    stack = train_stack(data, seed=1)
    assert seen[0] is data
    assert seen[1].shape == (300, 8, 8)
    mean = stack[0].mean_h(data.unpack())
    assert abs((seen[1] * mean).mean() - (mean**2).mean()) < 0.01  # a draw follows its own mean
    other = seen[1][np.roll(np.arange(300), 1)]
    assert abs((other * mean).mean() - (mean**2).mean()) > 0.1  # and not that of another configuration


def test_a_run_that_is_cut_goes_on_to_the_same_bits(tmp_path, small):
    data, stack = small
    train_stack(data, seed=1, preset="mehta2014", steps=20, checkpoints=tmp_path)
    resumed = train_stack(data, seed=1, preset="mehta2014", steps=40, checkpoints=tmp_path)
    assert (tmp_path / "level-1").is_dir()
    np.testing.assert_array_equal(resumed[0].rbm.weights, stack[0].rbm.weights)


def test_nulls_differ_from_the_stack_where_they_say(monkeypatch):
    data = rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=300, seed=3)
    given = []

    def train(source, units, seed, **rest):
        given.append(source)
        return block_network(2 * int(units**0.5), 1)

    stack = of_blocks(data)
    monkeypatch.setattr(stacks, "train_rbm", train)
    found = nulls(stack, data, 4)
    assert set(found) == {"majority_first", "second_untrained", "untrained", "permuted"}
    assert found["majority_first"][0] == rg.Majority(2)
    np.testing.assert_array_equal(found["second_untrained"][0].rbm.weights, stack[0].rbm.weights)
    for name, number in (("second_untrained", 1), ("untrained", 0), ("untrained", 1)):
        norm, own = (np.linalg.norm(s[number].rbm.weights) for s in (found[name], stack))
        assert norm == pytest.approx(own, rel=1e-5)
        assert (found[name][number].rbm.weights != 0).all()  # nothing of the blocks is left
    data_permuted, order = permuted(data, 4)
    np.testing.assert_array_equal(given[-2], data_permuted)
    back = found["permuted"][0].rbm.weights
    np.testing.assert_array_equal(back[order], block_network(16, 1).weights)
    assert all(s.origin["null"] == name for name, s in found.items())


# --- files


def test_a_stack_is_stored_and_read_back(tmp_path, small):
    data, stack = small
    rg.save(tmp_path / "s.npz", stack)
    found = rg.load(tmp_path / "s.npz")
    assert isinstance(found, Stack)
    assert found.origin == json.loads(json.dumps(dict(stack.origin)))
    for (_, a), (_, b) in zip(found.networks(), stack.networks(), strict=True):
        np.testing.assert_array_equal(a.rbm.weights, b.rbm.weights)
        np.testing.assert_array_equal(a.order, b.order)
        np.testing.assert_array_equal(a.sign, b.sign)
        assert (a.dead, a.extended, a.residual) == (b.dead, b.extended, b.residual)
        assert a.rbm.history.keys() == b.rbm.history.keys()
    v = data.unpack(0, 20)
    np.testing.assert_array_equal(found.mean_h(v), stack.mean_h(v))


@pytest.mark.parametrize("broken", ["order", "sign", "missing"])
def test_a_damaged_stack_is_refused(tmp_path, small, broken):
    path = tmp_path / "s.npz"
    save_stack(path, small[1])
    arrays = read_arrays(path)
    if broken == "missing":
        del arrays["level_1_order"]
    else:
        arrays[f"level_1_{broken}"] = np.zeros_like(arrays[f"level_1_{broken}"])
    write_arrays(path, arrays)
    with pytest.raises(rg.InputError, match=r"s\.npz' is damaged"):
        rg.load(path)


def test_a_stack_of_another_format_and_one_of_rules_are_refused(tmp_path, small):
    path = tmp_path / "s.npz"
    save_stack(path, small[1])
    arrays = read_arrays(path)
    arrays["meta"] = np.array(str(arrays["meta"]).replace('"format": 2', '"format": 9'))
    write_arrays(path, arrays)
    with pytest.raises(rg.InputError, match="expected stack of format 1 to 2; 'rgstep train --stack' writes one"):
        rg.load(path)
    with pytest.raises(rg.InputError, match="only networks are stored"):
        save_stack(tmp_path / "m.npz", Stack((rg.Majority(),)))


# --- what is refused


@pytest.mark.parametrize(
    ("size", "levels", "message"),
    [
        (16, 3, r"levels = 3: of L = 16 the levels above have sides 8, 4 \(halves down to 4\); at most levels = 2"),
        (10, None, r"of L = 10 the levels above have sides 5"),
        (6, None, r"sides none .*take L = 8, 16, 32, 64"),
        (16, 0, "levels = 0"),
    ],
)
def test_levels_that_do_not_fit_are_refused(size, levels, message):
    data = rg.sample(size=size, temperature=3.0, samples=20, seed=0)
    if size == 10:
        assert stacks.fitting(10, None) == 1  # 5×5 units are a lattice
        return
    with pytest.raises(rg.InputError, match=message):
        train_stack(data, levels, steps=1)


def test_data_without_places_and_unknown_nulls_are_refused(small):
    data, stack = small
    with pytest.raises(rg.InputError, match="a stack needs configurations with places"):
        train_stack(data.unpack())
    with pytest.raises(rg.InputError, match="null 'second_untrained': a stack of 1 has untrained, permuted"):
        nulls(stack, data, which=["second_untrained"])
    with pytest.raises(rg.InputError, match="a null needs a network there"):
        nulls(Stack((rg.Majority(), stack[0])), data, which=["untrained"])
