"""Fresh configurations without end: functions of their numbers, of the right law, and a training on them."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference

from rgstep import CRITICAL_TEMPERATURE, InputError, IsingStream, train_rbm
from rgstep.exact import torus
from rgstep.nets.batches import BATCHES_IN_CHUNK, STREAM_SAMPLE, FixedSet, StreamBatches, batch_source
from rgstep.packed import PackedSpins
from rgstep.samplers.stream import FEWEST_PER_ROUND, ROUNDS_PER_START

SIZE = 8
QUICK = reference.QUICK_TRAINING


@pytest.fixture(scope="module")
def critical():
    return IsingStream(SIZE, CRITICAL_TEMPERATURE, seed=5)


def codes(bits):
    """One number for each configuration of 64 sites."""
    return np.ascontiguousarray(bits).view(np.uint64)[:, 0]


# --- a function of the numbers


def test_a_configuration_depends_on_its_number_alone(critical):
    """In one piece, in pieces, backwards, across rounds, and from another stream of the same name."""
    n = critical.round_size
    whole = critical.bits(0, 3 * n)
    assert whole.shape == (3 * n, 8)
    for first, count in ((2 * n, 5), (n - 3, 7), (0, 1), (n, n), (1, 2 * n), (3 * n - 1, 1)):
        np.testing.assert_array_equal(critical.bits(first, count), whole[first : first + count])
    again = IsingStream(SIZE, CRITICAL_TEMPERATURE, seed=5)
    np.testing.assert_array_equal(again.bits(2 * n + 9, 20), whole[2 * n + 9 : 2 * n + 29])
    other = IsingStream(SIZE, CRITICAL_TEMPERATURE, seed=6)
    assert (other.bits(0, n) != whole[:n]).any()
    assert len({stream.name for stream in (critical, again, other)}) == 2


def test_threads_may_ask_at_once(critical):
    """A training draws ahead in a thread, which may still run when the next one asks for the same stream."""
    n = critical.round_size
    places = [(0, n), (2 * n, n), (n, n), (2 * n + 5, 10), (ROUNDS_PER_START * n, n), (3, 4)] * 3
    expected = [critical.bits(*place) for place in places]
    with ThreadPoolExecutor(4) as pool:
        for measured, right in zip(pool.map(lambda place: critical.bits(*place), places), expected, strict=True):
            np.testing.assert_array_equal(measured, right)


# --- the law


def first_rounds(stream, starts=8):
    """The first round after each of several starts: one configuration of every chain, all independent."""
    n = stream.round_size
    bits = np.concatenate([stream.bits(start * ROUNDS_PER_START * n, n) for start in range(starts)])
    return PackedSpins(bits, stream.system.size)


def scores(packed, temperature):
    """How many standard errors u and c are from Kaufman's, and m from 0; the configurations are independent."""
    e, m, n, coupling = packed.energies(), packed.magnetisations(), len(packed), 1 / temperature
    u, c = torus.energy(SIZE, coupling), torus.specific_heat(SIZE, coupling)
    heat = coupling**2 * SIZE**2 * (e - u) ** 2
    return np.array(
        [
            (e.mean() - u) / (e.std() / math.sqrt(n)),
            (heat.mean() - c) / (heat.std() / math.sqrt(n)),
            m.mean() / (m.std() / math.sqrt(n)),
        ]
    )


@pytest.mark.parametrize("temperature", [CRITICAL_TEMPERATURE, 3.0])
def test_energy_and_specific_heat_are_kaufmans(temperature):
    stream = IsingStream(SIZE, temperature, seed=1)
    packed = first_rounds(stream)
    assert len(packed) >= 8 * FEWEST_PER_ROUND
    assert np.abs(scores(packed, temperature)).max() < 4.5
    assert np.abs(scores(packed, 1.02 * temperature)[:2]).max() > 4.5


def test_chains_that_did_not_burn_in_are_noticed():
    stream = IsingStream(SIZE, 3.0, seed=1)
    stream.burn_in = 1
    assert np.abs(scores(first_rounds(stream), 3.0)[:2]).max() > 4.5


def correlation(stream, later=1):
    """Correlation of m² of a chain at one round and some rounds later, and its standard error."""
    n = stream.round_size
    first, second = (PackedSpins(stream.bits(k * n, n), SIZE).magnetisations() ** 2 for k in (0, later))
    return np.corrcoef(first, second)[0, 1], 1 / math.sqrt(n)


def test_successive_rounds_are_as_far_apart_as_the_spacing_says():
    """e^−2 at the default, whole sweeps rounded up; next to none at 8, much at a fiftieth of τ."""
    usual, far, near = (IsingStream(SIZE, CRITICAL_TEMPERATURE, seed=3, spacing=s) for s in (2.0, 8.0, 0.02))
    value, error = correlation(usual)
    assert -4.5 * error < value < math.exp(-2) + 4.5 * error
    value, error = correlation(far)
    assert abs(value) < 4.5 * error
    value, error = correlation(near)
    assert near.sweeps == 1
    assert value > math.exp(-2) + 4.5 * error


@pytest.mark.parametrize("temperature", [0.0, np.inf])
def test_the_ends_of_the_temperature_axis(temperature):
    stream = IsingStream(SIZE, temperature, seed=1)
    n = 10 * stream.round_size
    bits = stream.bits(0, n)
    v = np.unpackbits(bits, axis=1).astype(float) * 2 - 1
    up = (v[:, 0] > 0).mean()
    assert abs(up - 0.5) < 4.5 * 0.5 / math.sqrt(n)
    first, second = v[: n // 2, 0], v[n // 2 :, 0]
    assert abs((first * second).mean()) < 4.5 / math.sqrt(n // 2)  # another round, other draws
    if temperature == 0:
        assert (v == v[:, :1]).all()
    else:
        assert np.abs(v.mean(axis=0)).max() < 5.5 / math.sqrt(n)
        assert np.abs((v[:, 1:] * v[:, :-1]).mean(axis=0)).max() < 5.5 / math.sqrt(n)
        assert len(set(codes(bits))) == n
    np.testing.assert_array_equal(stream.bits(300, 10), bits[300:310])


# --- as a source of batches


def test_batches_are_the_stream_in_order(critical):
    """However they are cut; each seed sees the same; a chunk ends where `available` says."""
    source = batch_source(critical, 10, [0, 1])
    assert isinstance(source, StreamBatches)
    assert (source.samples, source.visible) == (None, 64)
    np.testing.assert_array_equal(source.sample, critical.bits(0, STREAM_SAMPLE))
    for first, count in ((0, 3), (98, 2), (100, 100), (3, 4)):
        assert count <= source.available(first)
        data, rows = source.batches(first, count)
        assert rows.shape == (2, count, 10)
        np.testing.assert_array_equal(rows[0], rows[1])
        expected = critical.bits(10 * first, 10 * count).reshape(count, 10, 8)
        np.testing.assert_array_equal(np.asarray(data)[rows[0]], expected)
    assert BATCHES_IN_CHUNK == 100
    assert [source.available(first) for first in (0, 1, 99, 100)] == [100, 99, 1, 100]


def seen(source, chunks):
    """All configurations of so many chunks of batches, as numbers."""
    parts = (source.batches(n * BATCHES_IN_CHUNK, BATCHES_IN_CHUNK) for n in range(chunks))
    return np.concatenate([codes(np.asarray(data)[rows[0].ravel()]) for data, rows in parts])


def test_no_configuration_comes_back():
    """At T = ∞, where two equal ones of 64 spins are not to be expected; a fixed set comes back every epoch."""
    stream = IsingStream(SIZE, np.inf, seed=0)
    fresh = seen(batch_source(stream, 10, [0]), chunks=3)
    assert len(set(fresh)) == len(fresh) == 3 * BATCHES_IN_CHUNK * 10
    fixed = seen(FixedSet(stream.bits(0, 1000), 64, 10, [0]), chunks=3)
    assert len(set(fixed)) == 1000


# --- training


@pytest.fixture(scope="module")
def network():
    """A network trained on the stream of seed 0."""
    return train_rbm(IsingStream(4, CRITICAL_TEMPERATURE, seed=0), seed=1, **QUICK)


def test_a_network_learns_from_a_stream(network):
    """The same from two streams of one name, other from another seed's; it says where its data came from."""
    one = network
    again, other = (train_rbm(IsingStream(4, CRITICAL_TEMPERATURE, seed=seed), seed=1, **QUICK) for seed in (0, 1))
    np.testing.assert_array_equal(one.weights, again.weights)
    for name, curve in one.history.items():
        np.testing.assert_array_equal(again.history[name], curve)
    assert one.origin["samples"] == "stream"
    assert one.origin["data"] == again.origin["data"] != other.origin["data"]
    assert (one.weights != other.weights).any()
    curve = one.history["pseudo_likelihood"]
    assert curve[0] == pytest.approx(-math.log(2), abs=1e-3)
    assert curve[-1] > -0.6


def test_one_stream_may_train_twice(network):
    """The second training asks for the first batches while a thread of the first may still draw the last ones."""
    stream = IsingStream(4, CRITICAL_TEMPERATURE, seed=0)
    for _ in range(2):
        np.testing.assert_array_equal(train_rbm(stream, seed=1, **QUICK).weights, network.weights)


def test_several_networks_see_one_stream():
    rbms = train_rbm(IsingStream(4, np.inf), seed=[0, 1], **{**QUICK, "steps": 20})
    assert [rbm.origin["samples"] for rbm in rbms] == ["stream", "stream"]
    assert (rbms[0].weights != rbms[1].weights).any()


# --- what it says and refuses


def test_a_stream_says_what_it_is(critical):
    assert repr(critical) == "IsingStream(L=8, T=2.26919, seed=5)"
    names = [
        IsingStream(*arguments, spacing=spacing).name
        for arguments, spacing in itertools.product(
            ((4, np.inf, 0), (6, np.inf, 0), (4, 0.0, 0), (4, np.inf, 1)), (1, 2)
        )
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("spacing", [0, -1.0, np.nan, np.inf])
def test_a_spacing_that_is_no_distance_is_refused(spacing):
    with pytest.raises(InputError, match=f"spacing = {spacing!r}: must be a number of autocorrelation times above 0"):
        IsingStream(SIZE, 3.0, spacing=spacing)


@pytest.mark.parametrize(
    ("arguments", "rule"), [((5, 3.0), "size = 5"), ((8, -1.0), "temperature = -1"), ((8, 3.0, -2), "seed = -2")]
)
def test_arguments_out_of_range_are_refused(arguments, rule):
    with pytest.raises(InputError, match=rule):
        IsingStream(*arguments)
