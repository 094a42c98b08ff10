"""The compiled kernels: bit for bit what slow ones do, stationary in the exact law, and twins that must be rejected."""

import functools
import math

import enumeration
import numpy as np
import pytest
import reference
from scipy.special import chdtrc
from scipy.stats import poisson

import rgstep as rg
from rgstep import compiled
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.ising import Ising, energy, ising, magnetisation
from rgstep.samplers import cluster, multispin, single
from rgstep.samplers.chains import KINDS
from rgstep.samplers.rng import DIGITS, heat_bath_law, hit_tails, mask_law, poisson_tail, split, words

TC = rg.CRITICAL_TEMPERATURE
REJECT = 1e-4
MULTISPIN = ("metropolis", "heat-bath", "metropolis-philox")


def source(*name):
    return np.random.SeedSequence(name)


def started(kernel, system, chains, *name, hot=False):
    """Start chains of a kernel."""
    return KINDS[kernel].start(system, source(*name), hot, chains)


# --- random numbers


def test_splitmix64_is_the_published_one():
    """The first outputs of the published generator seeded with 1234567: the state is advanced, then mixed."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [reference.splitmix((1234567 + k * reference.WEYL) & reference.WORD) for k in (1, 2, 3)] == published
    for x in (0, 1, 2**63, 2**64 - 1):
        assert int(cluster.draw(np.uint64(x))) == reference.splitmix(x)
        assert int(multispin.mix(np.uint64(x))) == reference.splitmix(x)


def test_xoshiro_is_the_published_one():
    """The state 1, 2, 3, 4 and its first ten outputs, as other implementations publish them."""
    published = [5, 211106232532999, 211106635186183, 9223759065350669058, 9250833439874351877]
    published += [13862484359527728515, 2346507365006083650, 1168864526675804870, 34095955243042024]
    published += [3466914240207415127]
    state = [1, 2, 3, 4]
    assert [reference.xoshiro(state) for _ in range(10)] == published
    lanes = np.array([[1, 7], [2, 7], [3, 7], [4, 7]], np.uint64)
    out, drawn = np.empty(2, np.uint64), []
    for _ in range(10):
        single.draw(lanes, out)
        drawn.append(int(out[0]))
    assert drawn == published


@pytest.mark.parametrize(
    ("counter", "key", "published"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers(counter, key, published):
    """The vectors of Salmon et al.'s Random123 for Philox4x32-10."""
    counter, key, published = ([int(word, 16) for word in text.split()] for text in (counter, key, published))
    assert list(reference.philox(counter, key)) == published
    low, high, k = (np.uint64(a | b << 32) for a, b in (counter[:2], counter[2:], key))
    assert reference.halves(int(word) for word in multispin.philox(k, high, low)) == published


# --- masks of two probabilities: nine digits and rare places


PATTERNS = {0: (), 1: ((0, 1), (2, 3)), 2: ((0, 1), (2, 3), (0, 3), (2, 1))}
"""Sites of colour 1 of the 4×4 torus: each site of colour 0 has so many of them as neighbours."""


def swept_once(nested, law, against, lanes, counter):
    """Return the words of colour 0 after a sweep from all up, but for so many neighbours of each site."""
    width = lanes.shape[1] // 2
    tails = hit_tails(law, 64 * 2 * width)
    spins = np.full((2, 4, 2 * width), multispin.ONES)
    for i, j in PATTERNS[against]:
        spins[1, i, j // 2 * width : (j // 2 + 1) * width] = 0
    if nested:
        multispin.heat_bath(spins[None], lanes.copy(), counter.copy(), law, tails, 1, width)
    else:
        multispin.metropolis(spins, lanes.copy(), counter.copy(), law, tails, 1, width)
    return spins[0]


PROBABILITIES = [
    *((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (1.0, 0.3), (0.5, 0.0), (0.5, 0.5), (0.7, 0.7), (0.7, 0.6999)),
    *((1 - 1e-4, 0.3), (1 - 1e-4, 1 - 2e-4), (0.3, 1e-4), (1e-4, 5e-5), (1e-13, 1e-300), (2.0**-10, 2.0**-11)),
    *((math.exp(-4 * k), math.exp(-8 * k)) for k in (0.05, CRITICAL_COUPLING, 1.0)),
    *((math.tanh(4 * k), math.tanh(2 * k)) for k in (0.05, 0.2)),
]


def mask_scores(p, q, law, nested, width=2**12):
    """Return the z-scores of how often both masks are set, and these numbers; all as the sweeps show them.

    Metropolis flips a spin with one neighbour against it where `wide` is set, and with none where `narrow` is. The heat
    bath sets a spin by the coin if two neighbours are up, and if four (three), also where `wide` (`narrow`) is set:
    the masks are seen where the coin shows tails.
    """
    stream = source(7, int(p * 2**40), int(q * 2**40))
    lanes, counter = words(stream, 4, 2 * width), words(stream, 1)
    none, one, two = (swept_once(nested, law, against, lanes, counter) for against in (0, 1, 2))
    wide, narrow = (none & ~two, one & ~two) if nested else (~one, ~none)
    if nested:
        assert not (narrow & ~wide).any(), (p, q)
    counts = [int(np.bitwise_count(mask).sum()) for mask in (wide, narrow)]
    tails = int(np.bitwise_count(~two).sum()) if nested else wide.size * 64
    errors = [math.sqrt(max(tails * x * (1 - x), 0.25)) for x in (p, q)]  # where nothing is random, nothing differs
    return [(k - tails * x) / error for k, x, error in zip(counts, (p, q), errors, strict=True)], counts


@pytest.mark.parametrize("nested", [False, True])
def test_masks_are_set_with_their_probabilities(nested):
    scores = []
    for p, q in PROBABILITIES:
        z, counts = mask_scores(p, q, mask_law(p, q), nested)
        assert np.abs(z).max() < 4.5, (p, q)
        assert [k > 0 for k in counts] == [x > 1e-9 for x in (p, q)], (p, q)
        scores += [score for score, x in zip(z, (p, q), strict=True) if 1e-9 < x < 1]
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.3


@pytest.mark.parametrize("nested", [False, True])
def test_digits_alone_are_not_enough(nested):
    """Without its rare places 0.3 becomes 153/512; and 0.7005 is not 0.7."""
    law = mask_law(0.3, 0.3)
    cut = law._replace(wide_rate=0.0, narrow_rate=0.0)
    right, without, other = (
        mask_scores(p, p, given, nested, width=2**18)[0]
        for p, given in ((0.3, law), (0.3, cut), (0.7005, mask_law(0.7, 0.7)))
    )
    assert np.abs(right).max() < 4.5
    assert max(without) < -2
    assert max(other) < -4.5


def test_digits_and_rare_places_add_up():
    """1 − q = (1 − q₉)(1 − ε_q), 1 − p = (1 − p₉)(1 − ε_q)(1 − ε_p), in exact arithmetic and from the rates of hits."""
    for p, q in PROBABILITIES:
        law = mask_law(p, q)
        q_digits, q_rare = split(q, 0.0)
        p_digits, p_rare = split(p, q_rare)
        assert (1 - q_digits / 512) * (1 - q_rare) == pytest.approx(1 - q, rel=1e-13, abs=1e-16)
        assert (1 - p_digits / 512) * (1 - q_rare) * (1 - p_rare) == pytest.approx(1 - p, rel=1e-12, abs=1e-16)
        for rare, rate in ((p_rare, law.wide_rate), (q_rare, law.narrow_rate)):
            assert 0 <= rare < 1
            assert -math.expm1(-rate) == pytest.approx(rare, rel=1e-9, abs=2e-17)


@pytest.mark.parametrize("mean", [0.0, 1e-15, 0.02, 7.0, 400.0])
def test_the_number_of_hits_is_poisson(mean):
    tail = poisson_tail(mean)
    exact = poisson.sf(np.arange(len(tail)), mean)
    np.testing.assert_allclose(tail / 2.0**64, exact, rtol=1e-9, atol=2.0**-60)
    assert poisson.sf(len(tail), mean) < 2.0**-64


# --- fast and slow kernels, equal bits


def slow_law(kernel, coupling):
    """Return the digits and rare probabilities of a rule, in exact fractions."""
    if kernel == "metropolis":
        return reference.two_laws(math.exp(-4 * coupling), math.exp(-8 * coupling))
    return reference.two_laws(math.tanh(4 * coupling), math.tanh(2 * coupling))


@pytest.mark.parametrize(
    ("kernel", "size", "width", "coupling"),
    [
        *(("metropolis", 4, 1, 0.44), ("metropolis", 6, 1, 0.3), ("metropolis", 4, 2, 0.02)),
        *(("heat-bath", 4, 1, 0.1), ("heat-bath", 6, 1, 0.15), ("heat-bath", 4, 2, 0.02)),
    ],
)
def test_multispin_does_what_the_slow_one_does(rng, kernel, size, width, coupling):
    """Three sweeps, with rare places, and the state of every generator afterwards."""
    chains = started(kernel, Ising(size, coupling), 64 * width, 3, size)
    v = reference.random_spins(rng, 64 * width, size)
    reference.put(chains, v)
    lanes, counter = chains.lanes.T.tolist(), chains.counter.tolist()
    chains.advance(3)
    for _ in range(3):
        rule = reference.metropolis if kernel == "metropolis" else reference.heat_bath
        reference.multispin(v, lanes, counter, slow_law(kernel, coupling), rule)
    np.testing.assert_array_equal(reference.from_words(chains.spins, len(v)), v)
    assert chains.lanes.T.tolist() == lanes
    assert chains.counter.tolist() == counter


def test_the_heat_bath_from_complements_has_the_same_law():
    """At low temperatures the masks stand for 1 − tanh 4K and 1 − tanh 2K."""
    for coupling in (0.3, CRITICAL_COUPLING, 1.0, 5.0):
        law = heat_bath_law(coupling)
        assert law.inverted
        inside = mask_law(1 - math.tanh(2 * coupling), 1 - math.tanh(4 * coupling))
        assert law.wide == inside.wide
        assert law.narrow == inside.narrow
        assert law.wide_rate == pytest.approx(inside.wide_rate, rel=1e-6)


def test_philox_metropolis_does_what_the_slow_one_does(rng):
    chains = started("metropolis-philox", Ising(4, 0.3), 128, 3)
    v = reference.random_spins(rng, 128, 4)
    reference.put(chains, v)
    chains.advance(1)
    chains.advance(1)
    for sweep in range(2):
        reference.philox_metropolis(v, int(chains.key[0]), sweep, 0.3)
    np.testing.assert_array_equal(reference.from_words(chains.spins, 128), v)


@pytest.mark.parametrize(("size", "coupling"), [(4, 0.44), (6, 0.3), (10, 0.44), (10, 2.0), (4, 1e-3)])
def test_single_lattices_do_what_the_slow_one_does(rng, size, coupling):
    chains = started("single", Ising(size, coupling), 3, 5)
    v = reference.random_spins(rng, 3, size)
    reference.put(chains, v)
    lanes = chains.lanes.transpose(0, 2, 1).tolist()
    chains.advance(4)
    thresholds = [min(math.exp(-4 * n * coupling) * 2**32, 2**32 - 1) for n in (1, 2)]
    for lattice, lane in zip(v, lanes, strict=True):
        for _ in range(4):
            reference.single_metropolis(lattice, lane, [int(threshold) for threshold in thresholds])
    swept = np.empty_like(v)
    for colour, at in enumerate(chains.columns):
        np.put_along_axis(swept, at[None], chains.lattices[:, colour], 2)
    np.testing.assert_array_equal(swept, v)
    assert chains.lanes.transpose(0, 2, 1).tolist() == lanes


@pytest.mark.parametrize(
    ("size", "chains", "sweeps", "coupling"),
    [
        *((4, 3, 3, 0.44), (6, 3, 3, 0.3), (10, 3, 3, 0.44), (10, 3, 3, 0.7), (4, 3, 3, 0.0), (6, 3, 3, math.inf)),
        *((64, 1, 2, 0.44), (66, 1, 2, 0.44), (130, 1, 1, 0.44)),  # one, two and three words a row
    ],
)
def test_swendsen_wang_does_what_the_slow_one_does(rng, size, chains, sweeps, coupling):
    fast = started("swendsen-wang", Ising(size, coupling), chains, 6)
    v = reference.random_spins(rng, chains, size)
    v[:, : size // 2] = 1  # large clusters too
    fast.lattices[...] = v
    lanes, counters = fast.lanes.transpose(0, 2, 1).tolist(), fast.counters[:, None].tolist()
    fast.advance(sweeps)
    law = reference.bond_law(coupling)
    for lattice, lane, counter, swept in zip(v.tolist(), lanes, counters, fast.lattices, strict=True):
        for _ in range(sweeps):
            reference.swendsen_wang(lattice, lane, counter, law)
        np.testing.assert_array_equal(swept, lattice)
    assert fast.lanes.transpose(0, 2, 1).tolist() == lanes
    assert fast.counters[:, None].tolist() == counters


@pytest.mark.parametrize(("size", "coupling"), [(4, 0.44), (10, 0.3), (10, 0.7), (4, 0.0), (6, math.inf)])
def test_wolff_does_what_the_slow_one_does(rng, size, coupling):
    v, threshold = reference.random_spins(rng, 2, size), cluster.bond_threshold(coupling)
    fast, counters = v.copy(), np.array([17, 2**64 - 100], np.uint64)
    flipped, changed = cluster.wolff(fast, counters, threshold, 20), 0
    for k, start in enumerate((17, 2**64 - 100)):
        lattice, counter = v[k].tolist(), start
        for _ in range(20):
            before = np.array(lattice)
            counter = reference.wolff(lattice, counter, int(threshold))
            changed += int((before != lattice).sum())
        np.testing.assert_array_equal(fast[k], lattice)
        assert int(counters[k]) == counter
    assert flipped == changed


@pytest.mark.parametrize("size", [4, 6, 8, 10, 16, 34])
@pytest.mark.parametrize("kernel", MULTISPIN)
def test_read_gives_what_was_put(rng, kernel, size):
    """Bit r of word w of a site is replica 64 w + r; each replica is flipped by a coin of its own."""
    chains = started(kernel, Ising(size, 0.4), 192, size)
    v = reference.random_spins(rng, 192, size)
    reference.put(chains, v)
    np.testing.assert_array_equal(reference.from_words(chains.spins, 192), v)
    counter = int(chains.counter[0])
    words = [reference.splitmix((counter + w * reference.WEYL) & reference.WORD) for w in range(3)]
    signs = [1 - 2 * (words[r // 64] >> r % 64 & 1) for r in range(192)]
    read = chains.read()
    np.testing.assert_array_equal(read.unpack(), v * np.array(signs, np.int8)[:, None, None])
    assert int(chains.counter[0]) == counter + 3 * reference.WEYL & reference.WORD
    again = magnetisation(chains.read().unpack()) * magnetisation(read.unpack())
    assert (again > 0).any()
    assert (again < 0).any()


@pytest.mark.parametrize("kernel", ["single", "swendsen-wang", "wolff"])
def test_single_chains_are_read_with_a_fair_flip(rng, kernel):
    chains = started(kernel, Ising(6, 0.4), 400, 1)
    v = reference.random_spins(rng, 400, 6)
    reference.put(chains, v)
    signs = (chains.read().unpack() * v).reshape(400, -1)
    assert (signs == signs[:, :1]).all()
    assert abs(int(signs[:, 0].sum(dtype=int))) < 4 * 20


def test_transpose(rng):
    words = rng.integers(0, 2**64, (64, 3), np.uint64)
    bits = np.stack([words >> np.uint64(r) & np.uint64(1) for r in range(64)])  # (bit, row, matrix)
    multispin.transpose(words)
    np.testing.assert_array_equal(np.stack([words >> np.uint64(r) & np.uint64(1) for r in range(64)], axis=1), bits)


@pytest.mark.parametrize(("coupling", "p"), [(0.0, 0.0), (0.44, 1 - math.exp(-0.88)), (20.0, 1.0), (math.inf, 1.0)])
def test_bonds_open_with_their_probability(coupling, p):
    assert int(cluster.bond_threshold(coupling)) / 2**32 == pytest.approx(p, abs=2**-32)


# --- stationarity: chains that start from the exact law stay in it


@functools.cache
def classes():
    """Return the (E, |M|) class of every state of the 4×4 torus."""
    magnetisations = enumeration.states(4).sum(axis=(1, 2), dtype=int)
    return np.unique(enumeration.energies(4) * 100 + abs(magnetisations), return_inverse=True)[1]


def p_value(states, law):
    """χ² of the (E, |M|) classes of `states` (codes) against a law over all states; rare classes count as one."""
    expected = len(states) * np.bincount(classes(), weights=law)
    observed = np.bincount(classes()[states], minlength=len(expected))
    rare = expected < 5
    expected = np.append(expected[~rare], expected[rare].sum())
    observed = np.append(observed[~rare], observed[rare].sum())
    if expected[-1] < 5:
        expected, observed = (np.append(x[:-2], x[-2] + x[-1]) for x in (expected, observed))
    return chdtrc(len(expected) - 1, ((observed - expected) ** 2 / expected).sum())


def codes(spins):
    """Return the number of each configuration in the order of `enumeration.states`."""
    return (spins.reshape(-1, 16) > 0) @ (1 << np.arange(16))


def swept(kernel, starts, coupling, sweeps, *name):
    """Return the state of each start after some sweeps of the compiled kernel."""
    chains = started(kernel, Ising(4, coupling), len(starts), *name)
    reference.put(chains, enumeration.states(4)[starts])
    chains.advance(sweeps)
    return codes(chains.read().unpack())


def law_without_bond(coupling):
    """Return the Boltzmann law of the 4×4 torus with the bond between its first two sites cut."""
    s = enumeration.states(4).astype(np.float64)
    weights = np.exp(-coupling * (enumeration.energies(4) + s[:, 0, 0] * s[:, 0, 1]))
    return weights / weights.sum()


STARTS = dict.fromkeys(KINDS, 2**16) | {"swendsen-wang": 40_960}


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("coupling", [CRITICAL_COUPLING, 0.2, 0.6])
def test_the_exact_law_is_stationary(rng, kernel, coupling):
    law = enumeration.probabilities(4, coupling)
    starts = rng.choice(len(law), STARTS[kernel], p=law)
    assert p_value(starts, law) > REJECT
    for sweeps in (1, 4):
        assert p_value(swept(kernel, starts, coupling, sweeps, sweeps), law) > REJECT


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_a_wrong_coupling_is_not_stationary(rng, kernel, factor):
    law = enumeration.probabilities(4, CRITICAL_COUPLING)
    starts = rng.choice(len(law), STARTS[kernel], p=law)
    assert p_value(swept(kernel, starts, factor * CRITICAL_COUPLING, 4, 1), law) < REJECT


@pytest.mark.parametrize("kernel", KINDS)
def test_a_bond_too_many_is_not_stationary(rng, kernel):
    """The law of a torus with one bond cut, swept with all bonds."""
    law = law_without_bond(CRITICAL_COUPLING)
    starts = rng.choice(len(law), STARTS[kernel], p=law)
    assert p_value(starts, law) > REJECT
    assert p_value(swept(kernel, starts, CRITICAL_COUPLING, 4, 1), law) < REJECT


def bond_scores(states, law):
    """Return the z-scores of ⟨s_i s_j⟩ on each of the 32 bonds, of `states` (codes) against a law over all states."""
    s = enumeration.states(4).astype(np.int8)
    bonds = np.stack([s * np.roll(s, -1, axis) for axis in (1, 2)], axis=1).reshape(len(s), 32)
    exact = law @ bonds
    return (bonds[states].mean(axis=0) - exact) / np.sqrt((1 - exact**2) / len(states))


def test_masks_that_are_not_nested_are_not_stationary(rng):
    """The heat bath sets a spin with four neighbours up where p or q is set: p alone only if q lies within it."""
    coupling = 0.125
    law, p = enumeration.probabilities(4, coupling), {}
    starts = rng.choice(len(law), 2**18, p=law)
    for nested in (True, False):
        chains = started("heat-bath", Ising(4, coupling), len(starts), 1)
        if not nested:
            chains.law = chains.law._replace(turn=(np.uint64(0),) * DIGITS)
        reference.put(chains, enumeration.states(4)[starts])
        chains.advance(4)
        p[nested] = p_value(codes(chains.read().unpack()), law)
    assert p[True] > REJECT
    assert p[False] < REJECT


def test_a_forgotten_bond_is_not_stationary(rng):
    """The slow Swendsen–Wang sweep, as it should be and with a bond that it never opens."""
    law = enumeration.probabilities(4, CRITICAL_COUPLING)
    bonds, z = reference.bond_law(CRITICAL_COUPLING), {}
    for forgotten in (None, ((0, 0), (0, 1))):
        starts = rng.choice(len(law), 800, p=law)
        lanes, counter = words(source(2), 4, 4).tolist(), [1]
        lattices = enumeration.states(4)[starts].tolist()
        for v in lattices:
            for _ in range(2):
                reference.swendsen_wang(v, lanes, counter, bonds, forgotten)
        z[forgotten] = bond_scores(codes(np.array(lattices)), law)
    assert np.abs(z[None]).max() < 4.5
    assert z[(0, 0), (0, 1)].argmin() == 16  # the first bond along a row
    assert z[(0, 0), (0, 1)].min() < -4.5


@pytest.mark.parametrize("kernel", KINDS)
def test_every_bond_counts_the_same(rng, kernel):
    """All 32 bonds agree with enumeration; the one that the law lacks stands out."""
    law, cut = enumeration.probabilities(4, CRITICAL_COUPLING), law_without_bond(CRITICAL_COUPLING)
    n = STARTS[kernel] // 2
    right = bond_scores(swept(kernel, rng.choice(len(law), n, p=law), CRITICAL_COUPLING, 4, 3), law)
    wrong = bond_scores(swept(kernel, rng.choice(len(cut), n, p=cut), CRITICAL_COUPLING, 4, 3), cut)
    assert np.abs(right).max() < 4.5
    assert np.abs(wrong).argmax() == 16  # the first bond along a row
    assert wrong[16] > 10


# --- twins: what makes wrong sets without a word


def inflation(series):
    """Return replicas · Var(mean of the replicas)/Var(one) of e and m²; 1 if the replicas share nothing.

    `series` holds configurations `(read, replica, L, L)`.
    """
    reads, replicas, size, _ = series.shape
    flat = series.reshape(-1, size, size)
    values = [x.reshape(reads, replicas) for x in (energy(flat), magnetisation(flat) ** 2)]
    return np.array([replicas * x.mean(axis=1).var(ddof=1) / x.var() for x in values])


def followed(chains, reads, sweeps):
    """Return configurations some sweeps apart, `(read, replica, L, L)`."""
    return np.stack([(chains.advance(sweeps), chains.read().unpack())[1] for _ in range(reads)])


@pytest.mark.parametrize("kernel", MULTISPIN)
@pytest.mark.parametrize("temperature", [1.5, 3.0])
def test_replicas_share_no_random_numbers(kernel, temperature):
    """512 replicas are worth 512 samples: 1 ± 0.16 for 80 reads."""
    chains = started(kernel, ising(8, temperature), 512, 11)
    chains.advance(200)
    assert np.abs(inflation(followed(chains, 80, 40)) - 1).max() < 5 * math.sqrt(2 / 80)


@pytest.mark.parametrize("kernel", ["metropolis", "heat-bath"])
def test_words_with_the_same_generators_are_seen(kernel):
    """All eight words of a site get the numbers of the first: groups of eight replicas move together."""
    chains = started(kernel, ising(8, 3.0), 512, 11)
    chains.lanes[...] = np.repeat(chains.lanes[:, ::8], 8, axis=1)
    chains.advance(200)
    assert inflation(followed(chains, 80, 40))[0] > 1 + 5 * math.sqrt(2 / 80)


@pytest.mark.parametrize(("temperature", "least"), [(1.5, 50.0), (3.0, 10.0)])
def test_one_random_number_for_all_replicas_is_seen(rng, temperature, least):
    """The slow twin: 64 replicas are worth a few."""
    measured = {}
    for shared in (False, True):
        v = reference.random_spins(rng, 64, 8) if temperature > TC else np.ones((64, 8, 8), np.int8)
        series = np.empty((60, *v.shape), np.int8)
        for k in range(-5, 60):
            reference.shared_metropolis(v, 1 / temperature, 10, rng, shared)
            series[max(k, 0)] = v
        measured[shared] = inflation(series)[0]
    assert abs(measured[False] - 1) < 5 * math.sqrt(2 / 60)
    assert measured[True] > least


def test_wolff_alternates_and_the_fair_flip_heals_it():
    """Below T = 0.1 the cluster is the lattice: every second configuration has one sign."""
    chains = started("wolff", ising(8, 0.1), 64, 12)
    assert chains.clusters_per_sweep == 1
    bare, read = [], []
    for _ in range(40):
        chains.advance(1)
        bare.append(np.sign(magnetisation(chains.lattices)))
        read.append(np.sign(magnetisation(chains.read().unpack())))
    bare, read = np.array(bare), np.array(read)
    assert (bare[1:] == -bare[:-1]).all()
    assert abs((read[1:] * read[:-1]).sum()) < 4.5 * math.sqrt(read[1:].size)
    assert abs(read.sum()) < 4.5 * math.sqrt(read.size)


@pytest.mark.parametrize("kernel", ["metropolis", "heat-bath"])
def test_a_random_start_below_t_c_ends_in_stripes(kernel):
    """The ordered start does not; this is why chains start from it."""
    share = {}
    for hot in (False, True):
        chains = started(kernel, ising(32, 0.5), 512, 13, hot=hot)
        chains.advance(100)
        share[hot] = (abs(chains.read().magnetisations()) < 0.5).mean()
    assert share[False] == 0.0
    assert share[True] > 0.2


def test_metropolis_without_a_temperature_turns_the_lattice_over():
    """Why the heat bath takes over at high T: checkerboard Metropolis accepts everything."""
    chains = started("metropolis", ising(8, 1e9), 64, 14)
    chains.advance(1)
    assert (reference.from_words(chains.spins, 64) == -1).all()
    heat = started("heat-bath", ising(8, 1e9), 64, 14)
    heat.advance(1)
    assert abs(reference.from_words(heat.spins, 64).mean()) < 4.5 / 64


# --- compiling


def test_a_kernel_is_compiled_where_nothing_can_be_kept(monkeypatch):
    asked = []

    def no_place(**options):
        asked.append(options)

        def compile(function):
            if options.get("cache"):
                message = "cannot cache function: no locator available"
                raise RuntimeError(message)
            return function

        return compile

    monkeypatch.setattr(compiled, "njit", no_place)
    assert compiled.kernel(abs)(-3) == 3
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
