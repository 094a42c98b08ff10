"""The counter-based uniform numbers as a generator, and Gibbs sampling against enumerated laws.

Every p-value is two-sided: numbers more even than chance are as wrong as uneven ones. With M p-values in all, each may
be as small as 1 % / M; the broken twins must fall below that.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import network, states
from scipy.special import logsumexp
from scipy.stats import binomtest, chi2, kstest, poisson

from rgstep.nets.rbm import (
    COUNTER_STEP,
    HASH_LAST_SHIFT,
    HASH_ROUNDS,
    Weights,
    gibbs_steps,
    sample_h_from_v,
    sample_v_from_h,
    signs,
    uniform,
)

SIDE = 1024
N = SIDE**2  # numbers in a test of one sequence
KEYS, LENGTH = 64, 4096  # draws and numbers in each, in a test of many draws
BITS = 24
LAGS = (*range(1, 65), 255, 256, 257, 512, 1023, 1024, 1025, 2048)  # a hidden layer has 256 units, a visible one 1024
CHAINS = 200_000

compiled = jax.jit(uniform, static_argnums=1)
run_gibbs = jax.jit(gibbs_steps)


# --- generators: (key, shape) → numbers


def hashed(words, rounds=HASH_ROUNDS, last=HASH_LAST_SHIFT, second=0):
    """The hash in NumPy; a second word of a key goes in as it is, after the shift of round two, which is too late."""
    for turn, (shift, factor) in enumerate(rounds):
        words = words ^ words >> np.uint32(shift)
        words = (words ^ np.uint32(second if turn == 1 else 0)) * np.uint32(factor)
    return words ^ words >> np.uint32(last)


def words_of(key):
    return (int(word) for word in jax.random.key_data(key))


def key_of(first, second):
    return jax.random.wrap_key_data(jnp.array([first, second], jnp.uint32))


def from_counter(key, shape, law=hashed, **how):
    first, second = words_of(key)
    counter = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(COUNTER_STEP) + np.uint32(first)
    words = law(counter, second=second, **how) if law is hashed else law(counter)
    return ((words.view(np.int32).reshape(shape) >> 7) | 1) * 2.0**-BITS


def good(key, shape):
    return np.asarray(compiled(key, shape), np.float64)


def no_rounds(key, shape):
    return from_counter(key, shape, law=lambda words: words)


def one_round(key, shape):
    return from_counter(key, shape, rounds=HASH_ROUNDS[:1])


def late_key(key, shape):
    return from_counter(key, shape)


def no_key(_key, shape):
    return good(jax.random.key(0), shape)


def narrow(key, shape):
    return 0.99 * good(key, shape)


def stuck_bit(key, shape):
    return from_digits(digits_of(good(key, shape)) | 1).reshape(shape)


def repeats(key, shape):
    u = good(key, shape).ravel()
    u[1::64] = u[::64]
    return u.reshape(shape)


def paired_rows(key, shape):
    u = good(key, shape)
    u[1::2, ::64] = u[::2, ::64]
    return u


def digits_of(u):
    """The 24 digits of each number, as a whole number."""
    return ((u.ravel() * 2**BITS + 2**BITS - 1) / 2).astype(np.int64)


def from_digits(digits):
    return (2 * digits - 2**BITS + 1) * 2.0**-BITS


# --- two-sided p-values


def two_sided(below, above):
    return min(1.0, 2 * min(below, above))


def chi_square(counts, expected):
    counts, expected = np.ravel(counts), np.broadcast_to(expected, np.shape(counts)).ravel()
    if expected.min() < 5:
        return 0.0  # as of numbers among which what is counted hardly occurs
    law = chi2(counts.size - 1)
    value = ((counts - expected) ** 2 / expected).sum()
    return two_sided(law.cdf(value), law.sf(value))


def normal(z):
    """p of independent standard normal numbers, from the sum of their squares."""
    law, value = chi2(np.size(z)), (np.asarray(z) ** 2).sum()
    return two_sided(law.cdf(value), law.sf(value))


def balance(digits):
    """z of the number of ones, for each of the 24 bits."""
    ones = np.array([np.count_nonzero(digits >> j & 1) for j in range(BITS)])
    return (2 * ones - len(digits)) / np.sqrt(len(digits))


def correlation(x, y):
    """z of Σ x y, each uniform on (−1, 1)."""
    return 3 * (x @ y) / np.sqrt(len(x))


def boxes(x, y, bits):
    """p of the counts in the boxes of a square, by the first bits of x and y."""
    box = x >> (BITS - bits) << bits | y >> (BITS - bits)
    return chi_square(np.bincount(box, minlength=1 << 2 * bits), len(box) / (1 << 2 * bits))


# --- tests of one sequence: numbers u and their digits d


def first_bits(u, d):
    return chi_square(np.bincount(d >> 14, minlength=1024), N / 1024)


def middle_bits(u, d):
    return chi_square(np.bincount(d >> 7 & 1023, minlength=1024), N / 1024)


def last_bits(u, d):
    return chi_square(np.bincount(d & 1023, minlength=1024), N / 1024)


def each_bit(u, d):
    return normal(balance(d))


def bits_of_a_number(u, d):
    """Any two bits of a number are equal half the time."""
    return normal(np.concatenate([balance(d ^ d >> j)[: BITS - j] for j in range(1, BITS)]))


def avalanche(u, d):
    """Numbers whose places differ in one bit differ in half their bits."""
    place = np.arange(N)
    return normal([balance((d ^ d[place ^ 1 << b])[place >> b & 1 == 0]) for b in range(20)])


def serial(u, d):
    return normal([correlation(u[lag:], u[:-lag]) for lag in LAGS])


def serial_bits(u, d):
    return normal([balance(d[lag:] ^ d[:-lag]) for lag in (1, 2, 3, 4, 8, 16, 32, 64, 256, 1024)])


def pairs(u, d):
    return boxes(d[::2], d[1::2], 6)


def pairs_of_last_bits(u, d):
    last = (d & 63) << (BITS - 6)
    return boxes(last[::2], last[1::2], 6)


def triples(u, d):
    boxes_of_three = (d[: N // 3 * 3] >> (BITS - 4)).reshape(-1, 3) @ [256, 16, 1]
    return chi_square(np.bincount(boxes_of_three, minlength=4096), N // 3 / 4096)


def pairs_of_rows(u, d):
    rows = d.reshape(-1, 2, SIDE)
    return boxes(rows[:, 0].ravel(), rows[:, 1].ravel(), 6)


def gaps(u, d):
    """Numbers below −3/4 are a geometric number of places apart."""
    gap = np.minimum(np.diff(np.flatnonzero(u < -0.75)), 60)
    chance = 0.125 * 0.875 ** np.arange(60)
    chance[-1] = 0.875**59
    return chi_square(np.bincount(gap, minlength=61)[1:], len(gap) * chance)


def runs(u, d):
    """Runs of one sign have geometric lengths."""
    run = np.minimum(np.diff(np.flatnonzero(np.diff(u < 0))), 14)
    chance = 0.5 ** np.arange(1, 15)
    chance[-1] *= 2
    return chi_square(np.bincount(run, minlength=15)[1:], len(run) * chance)


def birthdays(u, d):
    """Equal spacings of n = 512 birthdays in a year of 2^24 days are Poisson, mean n³/4 · 2^−24 (Marsaglia 1985)."""
    days = np.sort(d.reshape(-1, 512), axis=1)
    spacings = np.sort(np.diff(days, axis=1, append=days[:, :1] + 2**BITS), axis=1)
    equal = np.count_nonzero(np.diff(spacings, axis=1) == 0)
    law = poisson(len(days) * 512**3 / 4 / 2**BITS)
    return two_sided(law.cdf(equal), law.sf(equal - 1))


def kolmogorov_smirnov(u, d):
    p = kstest(u, "uniform", (-1, 2)).pvalue
    return two_sided(1 - p, p)


def moments(u, d):
    """Mean 0 and mean square 1/3 of 256 pieces; the variance of u² is 4/45."""
    pieces = u.reshape(256, -1)
    n = pieces.shape[1]
    return normal([np.sqrt(3 * n) * pieces.mean(axis=1), np.sqrt(45 * n / 4) * ((pieces**2).mean(axis=1) - 1 / 3)])


LAW = (first_bits, middle_bits, last_bits, each_bit, kolmogorov_smirnov, moments)
ORDER = (
    bits_of_a_number,
    avalanche,
    serial,
    serial_bits,
    pairs,
    pairs_of_last_bits,
    triples,
    pairs_of_rows,
    gaps,
    runs,
)
SEQUENCE = (*LAW, *ORDER, birthdays)


def one_draw(draw):
    return draw(jax.random.split(jax.random.key(1))[0], (SIDE, SIDE))


def first_of_many_draws(draw):
    """The first four numbers of 2^18 draws, as a step of Gibbs sampling makes its keys."""
    return by_key(draw, jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(2)))(jnp.arange(N // 4)))


def first_of_successive_seeds(draw):
    return by_key(draw, jax.vmap(jax.random.key)(jnp.arange(N // 4)))


def by_key(draw, keys):
    if draw is no_key:
        keys = jnp.broadcast_to(keys[0], keys.shape)
    return np.asarray(jax.jit(jax.vmap(lambda key: uniform(key, (4,))))(keys), np.float64).T


SOURCES = (one_draw, first_of_many_draws, first_of_successive_seeds)


@functools.cache
def sequence(source, draw):
    u = source(draw).ravel()
    return u, digits_of(u)


# --- tests of many draws: numbers u (draw, place) and their digits


def cross(u, d):
    return normal(3 * (u @ u.T)[np.triu_indices(len(u), 1)] / np.sqrt(LENGTH))


def cross_at_a_lag(u, d):
    apart = ~np.eye(len(u), dtype=bool)
    return normal([3 * (u[:, lag:] @ u[:, :-lag].T)[apart] / np.sqrt(LENGTH - lag) for lag in (1, 2, 256)])


def cross_bits(u, d):
    return normal([balance(x ^ y) for x, y in zip(d[1:], d[:-1], strict=True)])


def cross_bits_with_the_first(u, d):
    return normal([balance(d[0] ^ x) for x in d[1:]])


def cross_pairs(u, d):
    return boxes(d[:-1].ravel(), d[1:].ravel(), 5)


DRAWS = (cross, cross_at_a_lag, cross_bits, cross_bits_with_the_first, cross_pairs)


def split():
    return list(jax.random.split(jax.random.key(3), KEYS))


def two_layers_of_steps():
    return [k for i in range(KEYS // 2) for k in jax.random.split(jax.random.fold_in(jax.random.key(4), i))]


def successive_seeds():
    return [jax.random.key(5 + i) for i in range(KEYS)]


def one_bit_of_the_first_word():
    first, second = words_of(jax.random.split(jax.random.key(6))[0])
    return [key_of(first, second), *(key_of(first ^ 1 << b, second) for b in range(32))]


def one_bit_of_the_second_word():
    first, second = words_of(jax.random.split(jax.random.key(7))[0])
    return [key_of(first, second), *(key_of(first, second ^ 1 << b) for b in range(32))]


FAMILIES = (split, two_layers_of_steps, successive_seeds, one_bit_of_the_first_word, one_bit_of_the_second_word)


@functools.cache
def family(keys, draw):
    u = np.stack([draw(key, (LENGTH,)) for key in keys()])
    return u, np.stack([digits_of(row) for row in u])


ALARM = 0.01 / (len(SEQUENCE) * len(SOURCES) + len(DRAWS) * len(FAMILIES))


# --- the generator passes, its broken twins do not


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("test", SEQUENCE)
def test_numbers_look_independent_and_uniform(test, source):
    assert test(*sequence(source, good)) > ALARM


@pytest.mark.parametrize("keys", FAMILIES)
@pytest.mark.parametrize("test", DRAWS)
def test_draws_of_different_keys_look_independent(test, keys):
    assert test(*family(keys, good)) > ALARM


@pytest.mark.parametrize(
    ("draw", "tests"),
    [
        (no_rounds, SEQUENCE),
        (one_round, (avalanche, serial_bits, pairs_of_rows)),
        (narrow, (first_bits, kolmogorov_smirnov, moments)),
        (stuck_bit, (last_bits, each_bit, pairs_of_last_bits)),
        (repeats, (serial, serial_bits, pairs, pairs_of_last_bits)),
        (paired_rows, (serial, serial_bits, pairs_of_rows)),
    ],
)
def test_a_broken_sequence_is_noticed(draw, tests):
    for test in tests:
        assert test(*sequence(one_draw, draw)) < ALARM, test.__name__


def test_draws_without_a_key_are_noticed():
    for test in SEQUENCE:
        assert test(*sequence(first_of_many_draws, no_key)) < ALARM, test.__name__
    for test in DRAWS:
        assert test(*family(split, no_key)) < ALARM, test.__name__


@pytest.mark.parametrize(
    ("draw", "keys"),
    [(no_rounds, split), (one_round, successive_seeds), (late_key, one_bit_of_the_second_word)],
)
def test_draws_of_badly_mixed_keys_are_noticed(draw, keys):
    for test in (cross, cross_bits, cross_bits_with_the_first, cross_pairs):
        assert test(*family(keys, draw)) < ALARM, test.__name__


# --- its values


def test_numbers_are_the_hash_of_their_places():
    """Compiled or not, in any shape, and the same again."""
    key = key_of(123456789, 0)
    u = good(key, (64, 96))
    np.testing.assert_array_equal(u, from_counter(key, (64, 96)))
    np.testing.assert_array_equal(u, np.asarray(uniform(key, (96, 64))).reshape(64, 96))
    np.testing.assert_array_equal(u.ravel()[:100], good(key, (100,)))
    assert (u != good(jax.random.key(0), (64, 96))).mean() > 0.999
    assert compiled(key, (3,)).dtype == jnp.float32


def place_of(word):
    """The counter whose hash is this word: each step of the hash undone."""

    def unshifted(x, shift):
        y = x
        for _ in range(32 // shift):
            y = x ^ y >> shift
        return y

    word = unshifted(word, HASH_LAST_SHIFT)
    for shift, factor in reversed(HASH_ROUNDS):
        word = unshifted(word * pow(factor, -1, 2**32) % 2**32, shift)
    return word


@pytest.mark.parametrize(
    ("word", "value"),
    [(2**31 - 1, 1 - 2**-24), (2**31, 2**-24 - 1), (0, 2**-24), (127, 2**-24), (2**32 - 1, -(2**-24))],
)
def test_extreme_words_give_neither_one_nor_zero(word, value):
    assert good(key_of(place_of(word), 0), (1,))[0] == value


def is_odd_multiple(u):
    """Whether every number is an odd multiple of 2^−24 inside (−1, 1)."""
    whole = np.asarray(u, np.float64).ravel() * 2**BITS
    return bool((whole % 2 == 1).all() and (np.abs(whole) < 2**BITS).all())


def test_numbers_are_odd_multiples():
    assert is_odd_multiple(sequence(one_draw, good)[0])
    assert not is_odd_multiple(jax.random.uniform(jax.random.key(0), (N,), minval=-1))


# --- signs of given means


@pytest.mark.parametrize("chance", [2**-3, 2**-12, 2**-17])
def test_rare_signs_have_their_chance(chance):
    """A mean of 1 − 2c gives −1 with chance c, and by symmetry for +1; means of ±1 leave no choice."""

    def p_value(drawn, wanted):
        return binomtest(np.count_nonzero(np.asarray(drawn) == wanted), N, chance).pvalue

    draw, shape = jax.jit(signs), (SIDE, SIDE)
    for sign in (1, -1):
        key, mean = jax.random.key(8), jnp.full(shape, sign * (1 - 2 * chance), jnp.float32)
        assert p_value(draw(key, mean), -sign) > 1e-3
        assert p_value(np.where(np.round(good(key, shape) * 8) / 8 < mean, 1, -1), -sign) < 1e-3  # u of four bits
        assert (draw(key, jnp.full(shape, float(sign))) == sign).all()


# --- Gibbs sampling of networks whose laws are enumerated


def codes(v):
    return ((np.asarray(v) > 0) @ (1 << np.arange(v.shape[1]))).astype(int)


def off(weights, factor=0.9):
    return weights._replace(w=factor * weights.w)


def laws(weights):
    """p(v), p(h | v) and p(v | h) of a network, by enumeration."""
    w, a, b = (np.asarray(x, np.float64) for x in weights)
    v, h = states(len(a)).astype(float), states(len(b)).astype(float)
    joint = v @ w @ h.T + (v @ a)[:, None] + h @ b
    normalised = [np.exp(joint - logsumexp(joint, axis=axis, keepdims=True)) for axis in (1, 0)]
    return np.exp(logsumexp(joint, axis=1) - logsumexp(joint)), normalised[0], normalised[1].T


def started(weights, seed=0):
    p = laws(weights)[0]
    rows = np.random.default_rng(seed).choice(len(p), CHAINS, p=p)
    return jnp.asarray(states(len(weights.a))[rows], jnp.float32)


@pytest.mark.parametrize("layer", ["h", "v"])
def test_a_layer_given_the_other_has_its_law(layer):
    """χ² over all 64 states of a layer of six units, for three states of the other."""
    weights = network(6, 6, 0.15).parameters
    draw, law = (sample_h_from_v, laws(weights)[1]) if layer == "h" else (sample_v_from_h, laws(weights)[2])
    for given in (0, 21, 62):
        other = jnp.broadcast_to(jnp.asarray(states(6)[given], jnp.float32), (CHAINS, 6))

        def p_value(network, other=other, given=given):
            drawn = draw(network, other, jax.random.key(given))
            return chi_square(np.bincount(codes(drawn), minlength=64), CHAINS * law[given])

        assert p_value(weights) > 1e-3
        assert p_value(off(weights)) < 1e-3


def as_it_is(weights, v, k, key):
    return run_gibbs(weights, v, jnp.int32(k), key)


def one_key_for_both_layers(weights, v, k, key):
    for i in range(k):
        step = jax.random.fold_in(key, i)
        v = sample_v_from_h(weights, sample_h_from_v(weights, v, step), step)
    return v


def one_key_for_all_steps(weights, v, k, key):
    key_h, key_v = jax.random.split(key)
    for _ in range(k):
        v = sample_v_from_h(weights, sample_h_from_v(weights, v, key_h), key_v)
    return v


def means_of_h(weights, v, k, key):
    for i in range(k):
        v = sample_v_from_h(weights, jnp.tanh(v @ weights.w + weights.b), jax.random.fold_in(key, i))
    return v


def one_step_more(weights, v, k, key):
    return as_it_is(weights, v, k + 1, key)


def p_of_succession(kernel, k):
    """χ² of (v before, v after k steps) from exact draws, against p(v) Pᵏ(v, v′) with P = p(h | v) p(v′ | h)."""
    weights = network(4, 4, 0.3).parameters
    p, h_of_v, v_of_h = laws(weights)
    v = started(weights)
    after = kernel(weights, v, k, jax.random.key(9))
    expected = p[:, None] * np.linalg.matrix_power(h_of_v @ v_of_h, k)
    return chi_square(np.bincount(codes(v) * 16 + codes(after), minlength=256), CHAINS * expected.ravel())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_successive_states_have_their_joint_law(k):
    assert p_of_succession(as_it_is, k) > 1e-3


@pytest.mark.parametrize(
    ("kernel", "k"),
    [
        (one_key_for_both_layers, 1),
        (one_key_for_all_steps, 2),
        (means_of_h, 1),
        (one_step_more, 1),
        (lambda weights, *rest: as_it_is(off(weights), *rest), 1),
    ],
    ids=["one key for both layers", "one key for all steps", "means of h", "one step more", "weights 10 % off"],
)
def test_a_broken_step_is_noticed(kernel, k):
    assert p_of_succession(kernel, k) < 1e-3


def shared_by_chains(weights, v, k, key):
    """The same numbers for every other chain."""
    half = [as_it_is(weights, part, k, key) for part in (v[::2], v[1::2])]
    return jnp.stack(half, axis=1).reshape(v.shape)


def p_of_neighbours(kernel):
    """χ² of the states of neighbouring chains, independent at the start, against p(v) p(v′)."""
    weights = network(4, 4, 0.3).parameters
    p = laws(weights)[0]
    pair = codes(kernel(weights, started(weights), 3, jax.random.key(10))).reshape(-1, 2)
    return chi_square(np.bincount(pair @ [16, 1], minlength=256), CHAINS / 2 * np.outer(p, p).ravel())


def test_chains_are_independent_of_each_other():
    assert p_of_neighbours(as_it_is) > 1e-3
    assert p_of_neighbours(shared_by_chains) < 1e-3


def p_of_layout(kernel):
    """z² of the sums over chains and over units, 100 × 1024, of a network without couplings."""
    a = np.linspace(-1, 1, SIDE, dtype=np.float32)
    weights = Weights(jnp.zeros((SIDE, 256)), jnp.asarray(a), jnp.zeros(256))
    v = np.asarray(kernel(weights, jnp.ones((100, SIDE)), 2, jax.random.key(11)), np.float64)
    z = (v - np.tanh(a)) * np.cosh(a)
    return min(normal(z.sum(axis=0) / 10), normal(z.sum(axis=1) / np.sqrt(SIDE)))


def test_sums_over_chains_and_units_fluctuate_as_they_should():
    assert p_of_layout(as_it_is) > 1e-3
    assert p_of_layout(shared_by_chains) < 1e-3


def test_one_compilation_serves_every_number_of_steps():
    """Chains that go on from where they were are of the same type as at the start, and do not compile again."""
    weights = network(4, 4, 0.3).parameters
    run = jax.jit(lambda *arguments: gibbs_steps(*arguments))  # with a cache of its own
    v = start = jnp.ones((100, 4))
    for k in (1, 7, 7):
        v = run(weights, v, jnp.int32(k), jax.random.key(k))
    assert run._cache_size() == 1
    ends = [run(weights, start, jnp.int32(k), jax.random.key(s)) for k, s in ((1, 0), (7, 0), (7, 1))]
    assert all((x != y).any() for x, y in ((ends[0], ends[1]), (ends[1], ends[2])))
    np.testing.assert_array_equal(ends[2], gibbs_steps(weights, start, jnp.int32(7), jax.random.key(1)))
