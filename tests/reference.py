"""Slow, obvious versions of what the package does fast, and the check that every coarse graining must pass."""

import itertools
import math
from fractions import Fraction

import numpy as np
from scipy.stats import poisson

import rgstep as rg

WORD, HALF = 2**64 - 1, 2**32 - 1
WEYL = 0x9E3779B97F4A7C15

QUICK_TRAINING = {
    "hidden": 4,
    "method": "pcd",
    "k": 1,
    "chains": 20,
    "batch": 50,
    "steps": 230,
    "optimiser": "sgd",
    "learning_rate": 0.05,
    "schedule": "constant",
    "weights_sd": 0.01,
    "gradient_h": "mean",
}
"""PCD-1 of a small network: tests that share these settings share a compiled program."""


# --- configurations


def random_spins(rng, samples, size):
    """Return independent fair spins, int8 `(sample, row, column)`."""
    return (2 * rng.integers(0, 2, (samples, size, size)) - 1).astype(np.int8)


def energy(v):
    """Return −(1/N) Σ_<ij> s_i s_j of one periodic configuration, bond by bond."""
    size, total = len(v), 0
    for x, y in itertools.product(range(size), repeat=2):
        total += int(v[x][y]) * int(v[(x + 1) % size][y])
        total += int(v[x][y]) * int(v[x][(y + 1) % size])
    return -total / size**2


def block_sums(v, block):
    """Return the sum over each block of one configuration, spin by spin."""
    coarse = len(v) // block
    sums = np.zeros((coarse, coarse))
    for x, y in itertools.product(range(coarse * block), repeat=2):
        sums[x // block, y // block] += v[x][y]
    return sums


def two_point(samples):
    """Return G(d) = ⟨s_x s_{x+d}⟩ over sites x and samples on the torus, pair by pair."""
    size = len(samples[0])
    result = np.zeros((size, size))
    for v, x, y, dx, dy in itertools.product(samples, *[range(size)] * 4):
        result[dx, dy] += v[x][y] * v[(x + dx) % size][(y + dy) % size]
    return result / (len(samples) * size**2)


def visible_hidden(v, h):
    """Return ⟨v_i h_a⟩ = (1/n) Σ_k v_i h_a, `(hidden, row, column)`, pair by pair."""
    n, size, hidden = len(v), len(v[0]), np.reshape(h, (len(v), -1))
    result = np.zeros((hidden.shape[1], size, size))
    for k, a, x, y in itertools.product(range(n), range(hidden.shape[1]), range(size), range(size)):
        result[a, x, y] += v[k][x][y] * hidden[k, a] / n
    return result


# --- random numbers of the samplers, in plain whole numbers


def splitmix(counter):
    """Return the 64-bit word at a place of the Weyl sequence (Steele, Lea and Flood 2014)."""
    z = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def xoshiro(s):
    """Return the next word of xoshiro256+ (Blackman and Vigna 2021); `s` is its state, a list of four words."""
    word = (s[0] + s[3]) & WORD
    t = (s[1] << 17) & WORD
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = ((s[3] << 45) | (s[3] >> 19)) & WORD
    return word


def philox(counter, key):
    """Return the four words of Philox4x32-10 (Salmon et al. 2011) for four 32-bit words and a key of two."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & HALF, (a >> 32) ^ c3 ^ k1, a & HALF
        k0, k1 = (k0 + 0x9E3779B9) & HALF, (k1 + 0xBB67AE85) & HALF
    return c0, c1, c2, c3


def halves(words):
    """Return the 32-bit halves of words, the lower one of each first."""
    return [half for word in words for half in (word & HALF, word >> 32)]


# --- many lattices in words: bit r of word w of a site is replica 64 w + r


def to_words(spins):
    """Return replicas `(64 W, L, L)` of ±1 as the words of `samplers.multispin`, `(2, L, L/2 · W)` uint64.

    Site (i, j) is in colour (i + j) mod 2, row i, place j // 2.
    """
    replicas, size, _ = spins.shape
    bits = np.packbits(np.moveaxis(spins > 0, 0, -1), axis=-1, bitorder="little")
    words = np.ascontiguousarray(bits).view(np.uint64)  # (row, column, word)
    i, j = np.indices((size, size))
    group = np.empty((2, size, size // 2, replicas // 64), np.uint64)
    group[(i + j) % 2, i, j // 2] = words
    return group.reshape(2, size, -1)


def from_words(group, replicas):
    """Return the replicas, int8 `(64 W, L, L)`, of a group of words."""
    size = group.shape[1]
    i, j = np.indices((size, size))
    words = group.reshape(2, size, size // 2, replicas // 64)[(i + j) % 2, i, j // 2]
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
    return (2 * np.moveaxis(bits, -1, 0).astype(np.int8) - 1).astype(np.int8)


def two_laws(p, q):
    """Return the nine digits of p and of q as whole numbers, and the probabilities of their rare places."""
    narrow, rare_q = digits_and_rest(Fraction(q))
    wide, rare_p = digits_and_rest(1 - (1 - Fraction(p)) / (1 - rare_q))
    return wide, narrow, float(rare_p), float(rare_q)


def digits_and_rest(p):
    """Return p's nine digits and the probability ε with 1 − p = (1 − p₉)(1 − ε)."""
    digits = math.floor(p * 512)
    return digits, Fraction(0) if digits == 512 else (p - Fraction(digits, 512)) / (1 - Fraction(digits, 512))


def masks(lanes, counter, law, nested):
    """Return two rows of bits that are set with probabilities p and q: nine digits, least first, then rare places.

    A random bit counts as 0 where it is the complement of the digit of p (of q, for q, unless the masks are nested).
    """
    wide_digits, narrow_digits, *rare = law
    wide, narrow = [], []
    for lane in lanes:
        words = [xoshiro(lane) for _ in range(9)]
        for r in range(64):
            wide.append(below(wide_digits, words, r, wide_digits))
            narrow.append(below(narrow_digits, words, r, wide_digits if nested else narrow_digits))
    for place in rare_places(counter, len(wide), rare[0]):
        wide[place] = True
    for place in rare_places(counter, len(wide), rare[1]):
        wide[place] = narrow[place] = True
    return wide, narrow


def below(digits, words, r, turned):
    """Return whether u < digits/512: from the last digit on, a digit 1 allows what is below it, and 0 asks for it.

    Bit r of a word says that u's digit is 0; where `turned` has a 1, it says the opposite.
    """
    less = digits == 512
    for j, word in enumerate(words):
        zero = (word >> r & 1) ^ (min(turned, 511) >> j & 1)
        less = bool(zero or less) if min(digits, 511) >> j & 1 else bool(zero and less)
    return less


def rare_places(counter, count, chance):
    """Return where a Poisson number of hits falls among so many bits, each bit hit with a given probability."""
    draw = splitmix(counter[0]) / 2**64
    mean = -count * math.log1p(-chance)
    hits = 0
    while draw < poisson.sf(hits, mean):
        hits += 1
    words = [splitmix((counter[0] + k * WEYL) & WORD) for k in range(1, hits + 1)]
    counter[0] = (counter[0] + (hits + 1) * WEYL) & WORD
    return [(word >> 11) * count >> 53 for word in words]


def multispin(v, lanes, counter, law, rule):
    """Sweep replicas `(64 W, L, L)` in place; `lanes` has a generator for each word of a row, `counter` one number.

    `rule` is `metropolis` or `heat_bath` of this file.
    """
    replicas, size, _ = v.shape
    width = replicas // 64
    for colour, i in itertools.product(range(2), range(size)):
        wide, narrow = masks(lanes, counter, law, nested=rule is heat_bath)
        coins = [xoshiro(lane) for lane in lanes] if rule is heat_bath else lanes
        for x, (k, r) in enumerate(itertools.product(range(len(lanes)), range(64))):
            place, word = divmod(k, width)
            j, replica = 2 * place + (i + colour) % 2, 64 * word + r
            total = neighbours(v[replica], i, j)
            v[replica, i, j] = rule(v[replica, i, j], total, wide[x], narrow[x], coins[k], r)


def metropolis(s, total, wide, narrow, _coin, _bit):
    """Return the spin after a proposal: e^−4K is the probability of `wide`, e^−8K that of `narrow`."""
    cost = int(s) * int(total)
    return -s if cost <= 0 or (cost == 2 and wide) or (cost == 4 and narrow) else s


def heat_bath(_s, total, wide, narrow, coin, bit):
    """Return a fresh spin: tanh 4K is the probability of `wide`, tanh 2K that of `narrow`."""
    follows = wide if abs(total) == 4 else narrow if abs(total) == 2 else False
    return np.sign(total) if follows else 2 * (coin >> bit & 1) - 1


def neighbours(v, i, j):
    """Return the sum of the four neighbours of a site."""
    size = len(v)
    sites = ((i - 1, j), ((i + 1) % size, j), (i, j - 1), (i, (j + 1) % size))
    return sum(int(v[site]) for site in sites)


def philox_metropolis(v, key, sweep, coupling):
    """Sweep replicas `(64 W, L, L)` in place as `multispin.philox_metropolis` does: all 64 digits of u, from the first.

    The four words number h of a site, and of its second probability, have the counter of 128 bits (sweep, place·256
    + h), h counting from 0 and from 64.
    """
    replicas, size, _ = v.shape
    row = size // 2 * (replicas // 64)
    digits = {2: int(Fraction(math.exp(-4 * coupling)) * 2**64), 4: int(Fraction(math.exp(-8 * coupling)) * 2**64)}
    for colour, i, k in itertools.product(range(2), range(size), range(row)):
        place, word = divmod(k, replicas // 64)
        j, low = 2 * place + (i + colour) % 2, ((colour * size + i) * row + k) * 256
        words = {2: philox_words(key, sweep, low), 4: philox_words(key, sweep, low + 64)}
        for r in range(64):
            replica = 64 * word + r
            cost = int(v[replica, i, j]) * neighbours(v[replica], i, j)
            if cost <= 0 or sum((w >> r & 1) << (63 - d) for d, w in enumerate(words[cost])) < digits[cost]:
                v[replica, i, j] *= -1


def philox_words(key, sweep, low):
    """Return the 64 words, 64 bits each, of which bit r are the digits of replica r."""
    out = []
    for h in range(32):
        c0, c1, c2, c3 = philox(halves([low + h, sweep]), halves([key]))
        out += [c0 | c1 << 32, c2 | c3 << 32]
    return out


def shared_metropolis(v, coupling, sweeps, rng, shared):
    """Sweep replicas `(replica, L, L)` in place; `shared` gives all of them the same random numbers, which is wrong."""
    i, j = np.indices(v.shape[1:])
    for _, colour in itertools.product(range(sweeps), range(2)):
        total = sum(np.roll(v, shift, axis) for shift in (1, -1) for axis in (1, 2))
        u = rng.random((1 if shared else len(v), *v.shape[1:]))
        v[(u < np.exp(-2 * coupling * v * total)) & ((i + j) % 2 == colour)] *= -1


# --- one lattice at a time


def single_metropolis(v, lanes, thresholds):
    """Sweep one lattice in place: 32 bits a spin, from a generator for every two of a row's sites of one colour."""
    size = len(v)
    for colour, i in itertools.product(range(2), range(size)):
        u = halves([xoshiro(lane) for lane in lanes])
        for place in range(size // 2):
            j = 2 * place + (i + colour) % 2
            cost = int(v[i, j]) * neighbours(v, i, j)
            if cost <= 0 or u[place] < thresholds[cost // 2 - 1]:
                v[i, j] *= -1


def bond_law(coupling):
    """Return the digits and rare probability of an open bond, or of a closed one where that is rarer, and which."""
    closed = coupling > math.log(2) / 2
    return two_laws(math.exp(-2 * coupling) if closed else -math.expm1(-2 * coupling), 0.0), closed


def swendsen_wang(v, lanes, counter, law, forgotten=None):
    """Sweep one lattice (a list of rows) in place; `counter` has one number. `forgotten` is a bond never opened.

    All bonds to the right come first, then all downward. A cluster's coin is that of its first run: runs are sites of a
    row joined by bonds to the right, and a row begins one.
    """
    size, linked = len(v), {}
    sites = list(itertools.product(range(size), repeat=2))
    right, down = (open_bonds(lanes, counter, law, size) for _ in range(2))
    runs, closed = {}, True
    for x, y in sites:
        beside, below = (x, (y + 1) % size), ((x + 1) % size, y)
        joined = False
        for other, drawn in ((beside, right), (below, down)):
            if drawn[x][y] and v[x][y] == v[other[0]][other[1]] and ((x, y), other) != forgotten:
                linked.setdefault((x, y), []).append(other)
                linked.setdefault(other, []).append((x, y))
                joined = joined or other is beside
        if closed or y == 0:
            runs[x, y] = len(runs)
        closed = not joined
    words = [splitmix((counter[0] + k * WEYL) & WORD) for k in range(-(-len(runs) // 64))]
    counter[0] = (counter[0] + len(words) * WEYL) & WORD
    seen = set()
    for first in sites:  # the first site of a cluster begins its first run
        if first in seen:
            continue
        coin = words[runs[first] // 64] >> runs[first] % 64 & 1
        todo = [first]
        seen.add(first)
        while todo:
            x, y = todo.pop()
            v[x][y] *= 1 - 2 * coin
            fresh = [site for site in linked.get((x, y), []) if site not in seen]
            seen.update(fresh)
            todo.extend(fresh)


def open_bonds(lanes, counter, law, size):
    """Return which bonds of one direction are open, `[row][column]`; a row has a generator for each 64 sites.

    Rows with more words than there are generators go on with the first.
    """
    (digits, _, chance, _), inverted = law
    width = -(-size // 64)
    drawn = []
    for word in range(size * width):
        words = [xoshiro(lanes[word % len(lanes)]) for _ in range(9)]
        used = min(64, size - word % width * 64)
        drawn.append([below(digits, words, x, digits) for x in range(used)] + [False] * (64 - used))
    flat = list(itertools.chain(*drawn))
    for place in rare_places(counter, len(flat), chance):
        flat[place] = True
    return [[bit != inverted for bit in flat[x * 64 * width : x * 64 * width + size]] for x in range(size)]


def wolff(v, counter, threshold):
    """Flip one cluster of a lattice (a list of rows) in place; returns the advanced counter."""
    size = len(v)
    x, y = divmod(((splitmix(counter) >> 32) * size**2) >> 32, size)
    counter = (counter + WEYL) & WORD
    s, todo = v[x][y], [(x, y)]
    v[x][y] = -s
    while todo:
        x, y = todo.pop()
        for i, j in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)):
            if v[i % size][j % size] == s:
                if splitmix(counter) >> 32 < threshold:
                    v[i % size][j % size] = -s
                    todo.append((i % size, j % size))
                counter = (counter + WEYL) & WORD
    return counter


# --- chains of `samplers.chains`, as tests use them


def put(chains, spins):
    """Set the configurations of a group of chains, int8 `(chain, L, L)`, whatever kind they are."""
    if hasattr(chains, "width"):
        chains.spins[...] = to_words(spins)
    elif hasattr(chains, "columns"):
        for colour, at in enumerate(chains.columns):
            chains.lattices[:, colour] = np.take_along_axis(spins, at[None], 2)
    else:
        chains.lattices[...] = spins


# --- the check of a map


def check_map(coarse, ensemble, *, block=None, values=(-1, 1)):
    """Assert what holds for every coarse graining p(h | v).

    Args:
        coarse: the map.
        ensemble: configurations to try it on.
        block: the side of its blocks, where h has given places: fixes the shape and the translations.
        values: what `sample_h` may return; `None` for anything real.
    """
    v = ensemble.spins[:7]
    check_call(coarse, v, block, values)
    check_counts(coarse, v)
    check_randomness(coarse, v, values)
    check_mean(coarse, v, values)
    check_symmetries(coarse, v, block)


def check_call(coarse, v, block, values):
    """Shape, type, values, and an input that is left as it was."""
    assert isinstance(coarse, rg.CoarseGraining)
    before = v.copy()
    mean, drawn = coarse.mean_h(v), coarse.sample_h(v, np.random.default_rng(1))
    np.testing.assert_array_equal(v, before)
    assert mean.dtype == np.float32
    assert drawn.shape == mean.shape
    assert np.isfinite(mean).all()
    if block:
        assert mean.shape == (len(v), v.shape[1] // block, v.shape[2] // block)
    if values is None:
        assert drawn.dtype == np.float32
    else:
        assert drawn.dtype == np.int8
        assert np.isin(drawn, values).all()
        assert np.abs(mean).max() <= max(values)
    writable = v.copy()
    coarse.mean_h(writable)
    coarse.sample_h(writable, np.random.default_rng(1))[...] = 0  # the result is the caller's own
    np.testing.assert_array_equal(writable, before)


def check_counts(coarse, v):
    """No, one and many configurations; each is coarse-grained by itself."""
    together = coarse.mean_h(v)
    for n in (0, 1, 3):
        np.testing.assert_array_equal(coarse.mean_h(v[:n]), together[:n])
        assert coarse.sample_h(v[:n], np.random.default_rng(0)).shape == (n, *together.shape[1:])


def check_randomness(coarse, v, values):
    """The same generator gives the same h; where h is random another one gives another."""
    many = np.repeat(v, 40, axis=0)
    first, again, other = (coarse.sample_h(many, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    mean = coarse.mean_h(many)
    uncertain = is_random(mean, values)
    np.testing.assert_array_equal(first[~uncertain], other[~uncertain])
    changes = ((1 - mean[uncertain] ** 2) / 2).sum()  # expected
    assert (first != other).sum() > 0.5 * changes - 20


def check_mean(coarse, v, values, repeats=2000):
    """The mean of many draws is `mean_h`; without noise each draw is."""
    mean = coarse.mean_h(v).astype(np.float64)
    uncertain = is_random(mean, values)
    draws = coarse.sample_h(np.repeat(v, repeats, axis=0), np.random.default_rng(3))
    draws = draws.reshape(len(v), repeats, *mean.shape[1:])
    certain = np.moveaxis(draws, 1, -1)[~uncertain]
    np.testing.assert_array_equal(certain, np.repeat(mean[~uncertain, None], repeats, axis=1))
    error = np.sqrt((1 - mean**2) / repeats + 4 / repeats**2)  # h = ±1; rare flips are Poisson
    z = (draws.mean(axis=1) - mean)[uncertain] / error[uncertain]
    assert np.abs(z).max(initial=0) < 5


def is_random(mean, values):
    """Return where a ±1 variable of this mean is random; maps with other values, here, have no noise."""
    return np.abs(mean) < 1 if values == (-1, 1) else np.zeros(mean.shape, bool)


def check_symmetries(coarse, v, block):
    """E[h | −v] = −E[h | v]; a translation of v by whole blocks translates E[h | v] by as many sites."""
    mean = coarse.mean_h(v)
    np.testing.assert_allclose(coarse.mean_h(-v), -mean, atol=1e-6)
    if block:
        for shift in ((1, 0), (0, 1), (1, 2)):
            moved = np.roll(v, np.multiply(shift, block), axis=(1, 2))
            np.testing.assert_array_equal(coarse.mean_h(moved), np.roll(mean, shift, axis=(1, 2)))


def chains_of_metropolis(seed, size, temperature, sweeps, chains=1, burn_in=200):
    """Return all sweeps of Metropolis chains from the ordered state after the burn-in, `(chain, time, …)`."""
    rng = np.random.default_rng(seed)
    spins = np.ones((chains, size, size), np.int8)
    colours = np.indices((size, size)).sum(axis=0) % 2
    accept = np.exp(-2 / temperature * np.arange(-4, 5))
    kept = np.empty((chains, sweeps, size, size), np.int8)
    for t in range(-burn_in, sweeps):
        for colour in (0, 1):
            field = sum(np.roll(spins, d, a) for a in (1, 2) for d in (1, -1))
            flip = (rng.random(spins.shape) < accept[spins * field + 4]) & (colours == colour)
            spins = np.where(flip, -spins, spins)
        kept[:, max(t, 0)] = spins
    return kept


def fair(spins, rng):
    """Return the configurations, each flipped by a fair coin."""
    return spins * rng.choice(np.array([-1, 1], np.int8), len(spins))[:, None, None]
