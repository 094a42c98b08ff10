"""Slow, obvious versions of what the package does fast, and the check that every coarse graining must pass."""

import itertools

import numpy as np

import rgstep as rg

WORD = 2**64 - 1
WEYL = 0x9E3779B97F4A7C15


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


# --- Swendsen and Wang (1987), with the random numbers of `samplers.cluster`


def splitmix(counter):
    """Return the 64-bit word at a place of the Weyl sequence (Steele, Lea and Flood 2014)."""
    z = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def swendsen_wang(v, threshold, counter, forgotten=None):
    """Sweep one lattice (a list of rows) in place; returns the advanced counter. `forgotten` is a bond never opened."""
    size, linked = len(v), {}
    sites = list(itertools.product(range(size), repeat=2))
    for x, y in sites:
        word, counter = splitmix(counter), (counter + WEYL) & WORD
        right, down = (x, (y + 1) % size), ((x + 1) % size, y)
        for other, number in ((right, word >> 32), (down, word & 0xFFFFFFFF)):
            equal = v[x][y] == v[other[0]][other[1]]
            if equal and number < threshold and ((x, y), other) != forgotten:
                linked.setdefault((x, y), []).append(other)
                linked.setdefault(other, []).append((x, y))
    seen = set()
    for place, first in enumerate(sites):  # the coin of a cluster is that of its first site
        if first in seen:
            continue
        coin = splitmix((counter + place // 64 * WEYL) & WORD) >> (place % 64) & 1
        todo = [first]
        seen.add(first)
        while todo:
            x, y = todo.pop()
            v[x][y] *= 1 - 2 * coin
            fresh = [site for site in linked.get((x, y), []) if site not in seen]
            seen.update(fresh)
            todo.extend(fresh)
    return (counter + -(-len(sites) // 64) * WEYL) & WORD


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
