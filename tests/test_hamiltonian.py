"""The couplings of coarse variables: by pseudolikelihood against laws known exactly, and by enumeration of 2×2."""

import functools
import itertools
from dataclasses import replace

import enumeration
import exact_hamiltonian
import numpy as np
import pytest
from scipy import special
from subjects import subject

import rgstep as rg
from rgstep.ensemble import Level, ensemble_from_array
from rgstep.estimates import Estimate, Groups
from rgstep.instruments import hamiltonian, pairwise, pseudolikelihood
from rgstep.instruments.draws import draw, signs
from rgstep.instruments.pseudolikelihood import couplings
from rgstep.ising import OPERATORS
from rgstep.lattice import block_sums, shells
from rgstep.results import MapReport

K_C = 0.5 * np.log(1 + np.sqrt(2))
KNOWN = np.array([0.3, 0.08, -0.02, 0.015, -0.01, 0.03, -0.02])  # of a law that has all seven couplings
TABLE = {operator.name: operator for operator in OPERATORS["even"]}


def slow_fields(s):
    """Return u of every site, `(sample, row, column, 7)`, from shifted copies: the table's terms that contain it."""

    def term(others):
        return s * np.prod([np.roll(s, (-i, -j), (1, 2)) for i, j in others], axis=0)

    return np.stack([sum(term(others) for others in TABLE[kind].around) for kind in pseudolikelihood.KINDS], axis=-1)


@functools.cache
def fields_of_all():
    """Return u of every site of every state of the 4×4 torus."""
    return slow_fields(enumeration.states(4).astype(np.int16))


@functools.cache
def law_of(K):
    """Return the probability of every state of the 4×4 torus under seven couplings, each image of a pair counted."""
    sums = fields_of_all().sum(axis=(1, 2)) / np.array([2, 2, 2, 2, 2, 4, 4])
    weight = sums @ np.asarray(K)
    p = np.exp(weight - weight.max())
    return p / p.sum()


def drawn(K, samples, seed):
    """Return independent configurations of the 4×4 torus."""
    rng = np.random.default_rng(seed)
    return enumeration.states(4)[rng.choice(2**16, samples, p=law_of(tuple(map(float, K))))]


def chi_squared(found, K):
    """Return Δᵀ C⁻¹ Δ of measured couplings against others."""
    d = np.asarray(found.estimate.value) - K
    return d @ np.linalg.solve(found.covariance, d)


@pytest.mark.parametrize("side", [4, 5, 8])
def test_the_kernel_counts_what_shifted_copies_say(side, rng):
    s = rng.choice(np.array([-1, 1], np.int8), (30, side, side))
    keep = rng.random((side, side)) < 0.7
    counts, zeros = pseudolikelihood.histogram(s, Groups(((0, 10), (10, 30))), keep, None)
    assert zeros == 0
    for found, part in zip(counts, (s[:10], s[10:]), strict=True):
        u = slow_fields(part.astype(int))[:, keep].reshape(-1, 7)
        expected, times = np.unique(u, axis=0, return_counts=True)
        occupied = np.flatnonzero(found)
        order = np.lexsort(pseudolikelihood.u_of(occupied).T[::-1])
        np.testing.assert_array_equal(pseudolikelihood.u_of(occupied)[order], expected)
        np.testing.assert_array_equal(found[occupied][order], times)
        plain = sum(s[:10] * np.roll(s[:10], (i, 0), (1, 2)) for i in (1, -1))  # the twin: one orientation
        assert not np.array_equal(np.unique(plain), np.unique(u[:, 0]))


def test_what_is_fitted_is_in_the_table():
    assert [operator.name for operator in pseudolikelihood.FITTED] == list(pseudolikelihood.KINDS)
    assert pseudolikelihood.KINDS[:5] == tuple(pair.name for pair in pseudolikelihood.PAIRS)
    np.testing.assert_allclose(pseudolikelihood.DISTANCES, np.sqrt([1, 2, 4, 5, 8]))
    np.testing.assert_array_equal(pseudolikelihood.BONDS, [2, 2, 2, 4, 2])
    np.testing.assert_array_equal(pseudolikelihood.FAR, [False, False, True, True, True])
    assert pseudolikelihood.U_VALUES == (5, 5, 5, 9, 5, 5, 5)


@functools.cache
def distinct_fields():
    """Return the different u of the 4×4 torus, and which of them every site of every state has."""
    digits = (fields_of_all().reshape(-1, 7) + np.array(pseudolikelihood.U_VALUES) - 1) // 2
    numbers = digits @ np.cumprod([1, *pseudolikelihood.U_VALUES[:-1]])
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    return fields_of_all().reshape(-1, 7)[first].astype(float), place.ravel()


def exact_counts(K):
    """Return how often each bin of u occurs under seven couplings on 4×4, without noise, `(1, bin)`, and its u."""
    u, place = distinct_fields()
    return np.bincount(place, np.repeat(law_of(tuple(map(float, K))), 16))[None], u


def test_infinitely_many_samples_give_the_couplings_exactly():
    weights, u = exact_counts(KNOWN)
    np.testing.assert_allclose(pseudolikelihood.fit(weights, u)[0], KNOWN, atol=1e-9)
    assert np.abs(pseudolikelihood.fit(weights, u[:, :-1])[0] - KNOWN[:-1]).max() > 1e-3  # the twin: a kind too few


def test_the_truncation_without_noise():
    """Where the last coupling is 0 a fit without it gives the same others, elsewhere those of summed-up counts."""
    none = exact_counts(np.array([*KNOWN[:-1], 0.0]))
    np.testing.assert_allclose(pseudolikelihood.fit(none[0], none[1][:, :-1])[0], KNOWN[:-1], atol=1e-9)
    weights, u = exact_counts(KNOWN)
    seven, six = (pseudolikelihood.fit(weights, part)[0] for part in (u, u[:, :-1]))
    few, place = np.unique(u[:, :-1], axis=0, return_inverse=True)
    summed = np.bincount(place.ravel(), weights[0])
    np.testing.assert_allclose(six, pseudolikelihood.fit(summed[None], few)[0], atol=1e-9)
    found = couplings(drawn(KNOWN, 20_000, 1)).truncation
    assert found.value.shape == found.error.shape == (6,)
    pull = (np.asarray(found.value) - (seven[:-1] - six)) / np.asarray(found.error)
    assert np.abs(pull).max() < 4
    assert np.abs(np.asarray(found.value) / np.asarray(found.error)).max() > 5  # it is seen
    off = couplings(drawn(np.array([*KNOWN[:-1], 0.0]), 20_000, 1)).truncation  # the twin: no such coupling
    assert np.abs(np.asarray(off.value) / np.asarray(off.error)).max() < 3


def test_errors_of_the_truncation_are_its_scatter():
    found = [couplings(drawn(KNOWN, 640, seed)).truncation for seed in range(24)]
    values, errors = (np.array([getattr(f, name) for f in found]) for name in ("value", "error"))
    ratio = values.std(axis=0) / errors.mean(axis=0)
    assert ((ratio > 0.6) & (ratio < 1.5)).all()
    apart = np.hypot(0.02, 0.02)  # the twin: of two fits to other samples the errors are larger by far
    assert errors[:, 0].mean() < apart / 5


def test_samples_give_the_couplings_within_errors():
    found = couplings(drawn(KNOWN, 20_000, 1))
    assert chi_squared(found, KNOWN) < 25
    assert chi_squared(found, KNOWN + 0.015 * np.eye(7)[0]) > 50  # a bond 5 % too strong is seen
    shuffled = drawn(KNOWN, 20_000, 1)[:, :, [0, 2, 1, 3]]
    assert chi_squared(couplings(shuffled), KNOWN) > 1000


def test_errors_are_the_scatter():
    scores = [chi_squared(couplings(drawn(KNOWN, 640, seed)), KNOWN) for seed in range(24)]
    assert 4.7 < np.mean(scores) < 11.0  # 7, a little more with 64 groups; ± 0.8
    halved = [chi_squared(couplings(np.repeat(drawn(KNOWN, 320, seed), 4, axis=0)[::2]), KNOWN) for seed in range(9)]
    assert 4.5 < np.mean(halved) < 14.0  # samples that come twice, side by side in a group, do not shrink the error
    strewn = [chi_squared(couplings(np.tile(drawn(KNOWN, 320, seed), (4, 1, 1))), KNOWN) for seed in range(9)]
    assert np.mean(strewn) > 15  # the twin: strewn over the groups, they do


def test_critical_spins_have_the_coupling_that_made_them(critical4, critical8):
    for ensemble in (critical4, critical8):
        found = couplings(ensemble)
        assert chi_squared(found, np.array([K_C, 0, 0, 0, 0, 0, 0])) < 25
        assert chi_squared(found, np.array([0.9 * K_C, 0, 0, 0, 0, 0, 0])) > 50
        np.testing.assert_array_equal(found.left_out, couplings(ensemble.spins).left_out)


def test_locality_has_no_bias_where_no_coupling_is():
    near = np.array([0.3, 0.08, 0, 0, 0, 0, 0])
    found = [couplings(drawn(near, 640, seed)) for seed in range(40)]
    q = np.array([(f.locality().value, f.locality().error) for f in found])
    plain = [np.abs(np.asarray(f.estimate.value)[:5]) * pseudolikelihood.BONDS for f in found]
    naive = np.array([p[pseudolikelihood.FAR].sum() / p.sum() for p in plain])
    assert abs(q[:, 0].mean()) < 4 * q[:, 0].std() / np.sqrt(40)
    assert naive.mean() > 10 * naive.std() / np.sqrt(40)  # the twin: plain moduli
    assert 0.5 < q[:, 0].std() / q[:, 1].mean() < 1.1


def test_the_modulus_of_a_noisy_number():
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    for K, error in ((0.0, 0.3), (0.2, 0.3), (-1.0, 0.3), (5.0, 0.3)):
        size, slope = pseudolikelihood.modulus(K + error * z, np.full(80, error))
        mean = (weight * size).sum() / np.sqrt(2 * np.pi)
        assert mean == pytest.approx(abs(K) * special.erf(abs(K) / (2 * error)), abs=1e-9)
        spread = (weight * (size - mean) ** 2).sum() / np.sqrt(2 * np.pi)
        assert np.sqrt(spread) < 1.05 * error * np.sqrt((weight * slope**2).sum() / np.sqrt(2 * np.pi))
    naive = (weight * np.abs(0.3 * z)).sum() / np.sqrt(2 * np.pi)
    assert naive > 0.2  # the twin: of pure noise


def test_locality_of_known_couplings():
    size = np.array([2, 2, 2, 4, 2]) * np.abs(KNOWN[:5])  # bonds a site
    found = couplings(drawn(KNOWN, 20_000, 3))
    q = found.locality()
    assert abs(q.value - size[2:].sum() / size.sum()) < 4 * q.error < 0.15
    exact = replace(found, estimate=Estimate(KNOWN, np.full(7, 1e-9)), left_out=np.tile(KNOWN, (2, 1)))
    assert exact.locality().value == pytest.approx(size[2:].sum() / size.sum())
    free = couplings(drawn(np.zeros(7), 2_000, 3))
    assert np.isnan(free.locality().value)  # noise over noise


def test_the_change_between_levels_without_its_noise():
    pairs = [(couplings(drawn(KNOWN, 640, s)), couplings(drawn(KNOWN, 640, 100 + s))) for s in range(40)]
    squares = [d @ d - np.trace(c) for d, c in (a.change(b) for a, b in pairs)]
    assert abs(np.mean(squares)) < 4 * np.std(squares) / np.sqrt(40)
    plain = [d @ d for d, _ in (a.change(b) for a, b in pairs)]
    distances = [a.distance(b).value for a, b in pairs]
    np.testing.assert_allclose(distances, np.sqrt(np.maximum(squares, 0)))
    assert np.mean(plain) > 5 * np.std(plain) / np.sqrt(40)  # the twin: the noise alone
    moved = couplings(drawn(KNOWN, 20_000, 1)).distance(couplings(drawn(0.8 * KNOWN, 20_000, 2)))
    assert abs(moved.value - 0.2 * np.linalg.norm(KNOWN)) < 4 * moved.error < 0.04
    first, second = (couplings(drawn(scale * KNOWN, 20_000, seed)) for scale, seed in ((1.0, 1), (0.8, 2)))
    share = first.relative_change(second)
    assert abs(share.value - 0.2) < 4 * share.error < 0.15
    assert np.isnan(couplings(drawn(np.zeros(7), 2_000, 3)).relative_change(first).value)  # of nothing
    same = pairs[0][0].distance(pairs[0][0])
    assert (same.value, same.error) == (0, 0)
    with pytest.raises(rg.InputError, match="same groups"):
        pairs[0][0].change(couplings(drawn(KNOWN, 10, 0)))


def test_real_values_are_read_by_sign(critical8, rng):
    h = rg.Average().sample_h(critical8.spins, rng)
    with pytest.raises(rg.InputError, match="fair coin"):
        couplings(h)
    found = couplings(h, rng)
    assert found.zeros == (h == 0).sum() > 0
    whole = (2 * h).astype(np.int8)  # whole numbers of type int8 are no spins yet
    assert couplings(whole, rng).zeros == found.zeros
    read = signs(h, rng)
    np.testing.assert_array_equal(read[h != 0], np.sign(h[h != 0]))
    assert abs(read[h == 0].mean()) < 4 / np.sqrt(found.zeros)


def test_what_has_no_couplings_is_refused(rng):
    with pytest.raises(rg.InputError, match="side 3"):
        couplings(rng.choice(np.array([-1, 1], np.int8), (10, 3, 3)))
    with pytest.raises(rg.InputError):
        couplings(np.full((10, 4, 4), np.nan))
    aligned = np.repeat(np.array([1, -1], np.int8), 20)[:, None, None] * np.ones((4, 4), np.int8)
    assert np.isnan(couplings(aligned).estimate.value).all()
    assert np.isnan(couplings(aligned).locality().value)
    one = couplings(rng.choice(np.array([-1, 1], np.int8), (1, 16, 16)))
    assert np.isfinite(one.estimate.value).all()
    assert np.isnan(one.estimate.error).all()


def test_units_that_never_change_are_found(rng):
    h = rng.choice(np.array([-1, 1], np.int8), (200, 4, 4))
    h[:, 1, 2] = 1
    assert np.argwhere(hamiltonian.sites_that_never_flip(h)).tolist() == [[1, 2]]
    np.testing.assert_array_equal(hamiltonian.sites_that_never_flip(Level.of(h)), hamiltonian.sites_that_never_flip(h))
    assert not hamiltonian.sites_that_never_flip(h[:10]).any()  # may be an accident
    assert hamiltonian.sites_that_never_flip(np.ones_like(h)).all()


# Published

ORDER = [pseudolikelihood.KINDS.index(kind) for kind in ("nn", "nnn", "20", "plaquette", "sublattice", "21", "22")]
SWENDSEN = np.array(  # levels 1, 2, 3 of the majority rule on 32×32 at K_c, in this order (Swendsen 1984)
    [
        [0.3643, 0.0814, -0.0068, -0.0075, 0.0026, -0.0038, -0.0023],
        [0.3527, 0.0944, -0.0094, -0.0075, 0.0043, -0.0046, -0.0019],
        [0.353, 0.095, -0.013, -0.004, 0.005, -0.002, -0.005],
    ]
)
HIS_ERRORS = 1e-4 * np.array([[3, 2, 2, 2, 2, 1, 2], [7, 10, 6, 9, 5, 4, 9], [30, 30, 20, 30, 20, 20, 20]])


@pytest.mark.slow
def test_swendsens_couplings():
    """21 couplings, χ² with our errors and his; on the 4×4 lattice of level 3 he too counts each image of a pair."""
    level, rng = (
        rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=400_000, seed=1),
        np.random.default_rng(1),
    )
    measured = []
    for _ in SWENDSEN:
        level = draw(level, rg.Majority(), rng)
        measured.append(couplings(level))
    K, error = (
        np.array([np.asarray(getattr(m.estimate, part))[ORDER] for m in measured]) for part in ("value", "error")
    )

    def chi_squared_of(values, errors, part=slice(None)):
        return (((values - SWENDSEN) ** 2 / (errors**2 + HIS_ERRORS**2))[part]).sum()

    assert chi_squared_of(K, error) / 21 < 1.5
    images = np.ones((3, 7))
    images[2, [2, 5, 6]] = 2, 2, 4  # the twin: on a side of 4 so many displacements lead to one site, each pair once
    assert chi_squared_of(images * K, images * error, 2) > chi_squared_of(K, error, 2) + 10
    shift = np.asarray(measured[0].truncation.value)
    assert (((K[0, :2] - shift[:2] - SWENDSEN[0, :2]) / np.hypot(error[0, :2], HIS_ERRORS[0, :2])) ** 2).sum() > 20
    # the twin: six operators; K_nnn is 0.0026 too large


# Pairs


def pair_law(units, seed):
    """Return couplings and fields of a small system, symmetric, and p of all its states."""
    rng = np.random.default_rng(seed)
    J = np.triu(rng.normal(0, 0.4, (units, units)), 1)
    theta = rng.normal(0, 0.2, units)
    states = np.array(list(itertools.product((-1, 1), repeat=units)), np.int8)
    weight = np.exp(np.einsum("sa,ab,sb->s", states, J, states) + states @ theta)
    return J + J.T, states, weight / weight.sum()


def test_pairs_of_a_small_system():
    J, states, p = pair_law(7, 5)
    upper = np.triu_indices(7, 1)
    pulls = []
    for seed in range(12):
        found = pairwise.pairwise(states[np.random.default_rng(seed).choice(len(p), 4_000, p=p)])
        assert found.converged
        pulls.append((found.J - J)[upper] / found.error[upper])
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4.5
    assert 0.6 < pulls.std() < 1.1  # the errors are no smaller than the scatter
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(12)
    wrong = (found.J - 1.2 * J)[upper] / found.error[upper]  # the twin
    assert (wrong**2).sum() > 50 + (pulls[-1] ** 2).sum()
    noiseless = np.sqrt((J**2).sum() / 42)
    strength = found.estimate_of_halves(pairwise.strength)
    assert abs(strength.value - noiseless) < 4 * strength.error < 0.2


def test_constant_units_have_no_pairs(rng):
    h = rng.choice(np.array([-1, 1], np.int8), (500, 6))
    h[:, 2] = 1
    found = pairwise.pairwise(h)
    assert found.constant.tolist() == [2]
    assert found.units.tolist() == [0, 1, 3, 4, 5]
    h[:, 5] = h[:, 4]  # one unit follows from another: large, but finite
    assert np.isfinite(pairwise.pairwise(h).J).all()
    for wrong in (h * 0, h[:1], rng.choice(np.array([-1, 1], np.int8), (4, 600))):
        with pytest.raises(rg.InputError):
            pairwise.pairwise(wrong)


def test_partners_are_counted():
    ring = np.roll(np.eye(12), 1, axis=1) + np.roll(np.eye(12), -1, axis=1)
    assert pairwise.partners(np.stack([ring, ring])) == pytest.approx(2)
    assert np.isnan(pairwise.partners(np.zeros((2, 3, 3))))


# Exact couplings of a 2×2 coarse lattice

TILING = np.random.default_rng(3).permutation(16)
MEANS = {
    "majority": lambda v: np.sign(block_sums(v, 2)),
    "decimation": lambda v: v[:, ::2, ::2].astype(np.float64),
    "bernoulli": lambda v: np.tanh(0.7 * block_sums(v, 2).astype(np.float64)),
    "tiling": lambda v: np.sign(block_sums(v.reshape(-1, 16)[:, TILING].reshape(-1, 4, 4), 2)),
}
STATES = np.array([[1 if k >> a & 1 else -1 for a in range(4)] for k in range(16)])


@pytest.mark.parametrize("name", MEANS)
def test_exact_couplings_of_four_units(name):
    K = exact_hamiltonian.couplings(exact_hamiltonian.law(MEANS[name], 4, K_C))
    mean = MEANS[name](enumeration.states(4)).reshape(-1, 4)
    products = np.stack([np.prod(mean[:, [a for a in range(4) if k >> a & 1]], axis=1) for k in range(16)], axis=1)
    moments = enumeration.expectation(products, 4, K_C)
    characters = np.array([[np.prod([h[a] for a in range(4) if k >> a & 1]) for k in range(16)] for h in STATES])
    p = characters @ moments / 16  # p(h) from its moments
    np.testing.assert_allclose(K, np.log(p) @ characters / 16, atol=1e-9)
    np.testing.assert_allclose(np.exp(characters @ K), p, rtol=1e-9)
    odd = [k for k in range(16) if k.bit_count() % 2]
    np.testing.assert_allclose(K[odd], 0, atol=1e-12)
    assert abs(exact_hamiltonian.couplings(exact_hamiltonian.law(MEANS[name], 4, 0.99 * K_C))[3] - K[3]) > 1e-4


def test_decimation_of_4x4_summed_by_hand():
    even = [(x, y) for x in range(4) for y in range(4) if (x + y) % 2 == 0]
    odd = [(x, y) for x in range(4) for y in range(4) if (x + y) % 2]
    kept = [(0, 0), (0, 2), (2, 0), (2, 2)]
    p = np.zeros(16)
    for spins in itertools.product((-1, 1), repeat=8):
        s = dict(zip(even, spins, strict=True))
        fields = [s[(x - 1) % 4, y] + s[(x + 1) % 4, y] + s[x, (y - 1) % 4] + s[x, (y + 1) % 4] for x, y in odd]
        p[sum((s[site] > 0) << a for a, site in enumerate(kept))] += np.prod(2 * np.cosh(K_C * np.array(fields)))
    found = exact_hamiltonian.law(MEANS["decimation"], 4, K_C)
    np.testing.assert_allclose(found, p / p.sum(), atol=1e-12)
    np.testing.assert_allclose(exact_hamiltonian.couplings(found), exact_hamiltonian.couplings(p / p.sum()), atol=1e-9)


def test_counted_couplings_are_the_exact_ones(critical4, rng):
    for name, coarse in (("majority", rg.Majority()), ("bernoulli", rg.BernoulliBlock(0.7))):
        exact = exact_hamiltonian.couplings(exact_hamiltonian.law(MEANS[name], 4, K_C))
        K, *left_out = hamiltonian.counted(coarse.sample_h(critical4.spins, rng).reshape(-1, 4))
        spread = pseudolikelihood.covariance(np.array(left_out)[:, 1:])
        assert (((K - exact)[1:] / np.sqrt(np.diag(spread))) ** 2).sum() < 40  # 15 numbers
        warmer = exact_hamiltonian.couplings(exact_hamiltonian.law(MEANS[name], 4, 0.93 * K_C))
        assert (((K - warmer)[1:] / np.sqrt(np.diag(spread))) ** 2).sum() > 60
    with pytest.raises(rg.InputError, match="16 units"):
        hamiltonian.counted(critical4.spins)


# The row and its figure


class Flat:
    """Majority without its places, and without those that are not wanted."""

    def __init__(self, units, constant=0):
        self.units, self.constant = units, constant

    def mean_h(self, v):
        return self.cut(rg.Majority().mean_h(v))

    def sample_h(self, v, rng):
        return self.cut(rg.Majority().sample_h(v, rng))

    def cut(self, h):
        h = h.reshape(len(h), -1)[:, : self.units].copy()
        h[:, : self.constant] = 1
        return h


def row_of(ensemble, given):
    """Return the row of a map on an ensemble."""
    return hamiltonian.measure(subject(ensemble, given))


def test_couplings_of_pairs_have_no_bias_of_order_one_over_n(rng):
    """An open chain of 8 units with J = 0.4, 64 samples at a time: plain fits are too strong, m/n of J and more."""
    found = []
    for _ in range(100):
        follow = np.where(rng.random((64, 7)) < (1 + np.tanh(0.4)) / 2, 1, -1)
        first = rng.choice([-1, 1], (64, 1))
        pairs = pairwise.pairwise(np.concatenate([first, first * np.cumprod(follow, axis=1)], axis=1), groups=2)
        found.append([np.diagonal(J, 1).mean() for J in (pairs.J, *pairs.halves)])
    J, half, _ = np.mean(found, axis=0)
    error = np.std(found, axis=0)[0] / np.sqrt(len(found))
    assert abs(J - 0.4) < 0.02
    assert error < 0.01
    assert half > 0.45  # the twin: without the correction, 32 samples; with 64 half of that


def test_the_spread_of_neighbours_is_that_of_the_couplings_and_not_of_their_noise(rng):
    """Couplings of 0.3 ± 0.1 on 8×8, measured in two halves with an independent noise of 0.2."""
    side, units = 8, np.arange(64)

    def symmetric(sd):
        half = np.triu(sd * rng.standard_normal((64, 64)), 1)
        return half + half.T

    nearest = shells(side).index[
        np.subtract.outer(units // side, units // side), np.subtract.outer(units, units) % side
    ]
    J = np.where(nearest == 1, 0.3, 0.0) + symmetric(0.1)
    halves = np.stack([J + symmetric(0.2), J + symmetric(0.2)])
    curve = pairwise.against_distance(pairwise.Pairs(J, halves, np.zeros((2, 64, 64)), units, units[:0], True), side)
    assert curve["distance"][0] == 1
    assert curve["mean"][0] == pytest.approx(J[nearest == 1].mean())
    assert abs(np.median(curve["spread"]) - 0.1) < 0.03
    assert abs(curve["spread"][0] - 0.1) < 3 * curve["spread_error"][0] < 0.1
    assert halves[0][nearest == 1].std() > 0.2  # the twin: either half alone


def few(samples, size, seed=0):
    """Return a few critical configurations."""
    return rg.sample(size=size, temperature=rg.CRITICAL_TEMPERATURE, samples=samples, seed=seed)


def test_the_row_of_a_majority_rule(critical8):
    diagnostic, arrays = row_of(critical8, rg.Majority())
    names = {f"K_{kind}[{n}]" for kind in pseudolikelihood.KINDS for n in (0, 1)} | {"locality_q[0]", "locality_q[1]"}
    names |= {f"K_{kind}_truncation[{n}]" for kind in ("nn", "nnn") for n in (0, 1)}
    assert set(diagnostic.estimates) == names | {"stationarity[0]"}
    assert diagnostic.passed is None
    assert diagnostic.estimates["K_nn[0]"].exact == pytest.approx(K_C)
    assert diagnostic.estimates["K_nn[1]"].exact is None
    assert "read as sampled" in diagnostic.why
    assert "side of 4" in diagnostic.why
    assert diagnostic.estimates["K_nnn_truncation[0]"].exact == 0
    assert diagnostic.estimates["K_nnn_truncation[1]"].exact is None
    assert arrays["K"].shape == (2, 7)
    assert arrays["K_left_out"].shape == (2, 64, 7)
    assert arrays["K_truncation"].shape == arrays["K_truncation_error"].shape == (2, 6)
    assert arrays["K_truncation"][1, 1] == diagnostic.estimates["K_nnn_truncation[1]"].estimate.value
    again = row_of(critical8, rg.Majority())[0]
    assert again.to_dict() == diagnostic.to_dict()
    assert "by a fair coin" in row_of(critical8, rg.Average())[0].why


def test_the_row_of_a_network(critical8):
    diagnostic, arrays = row_of(critical8, Flat(16))
    assert "on found places" in diagnostic.why
    assert {"K_nn[1]", "J_rms", "J_partners", "J_nn", "J_nn_spread"} <= set(diagnostic.estimates)
    assert arrays["J"].shape == (16, 16)
    assert arrays["J_distance"][0] == 1
    assert {a.shape for n, a in arrays.items() if n.startswith("J_") and "units" not in n} == {(5,)}
    dead = row_of(critical8, Flat(16, constant=2))[0]
    assert "2 of 16 units are constant" in dead.why
    assert np.isfinite(dead.estimates["K_nn[1]"].estimate.value)
    unplaced, arrays = row_of(critical8, Flat(11))
    assert "do not fill a square lattice" in unplaced.why
    assert "J_rms" in unplaced.estimates
    assert "K_nn[1]" not in unplaced.estimates
    assert "J_nn" not in unplaced.estimates
    assert "J_mean" not in arrays


def test_the_row_of_a_2x2_lattice(critical4):
    maps = (rg.Majority(), "majority"), (rg.Average(), "majority"), (rg.Decimation(), "decimation")
    for coarse, name in (*maps, (rg.BernoulliBlock(0.7), "bernoulli")):
        diagnostic, _ = row_of(critical4, coarse)
        assert "below 4" in diagnostic.why
        K = exact_hamiltonian.couplings(exact_hamiltonian.law(MEANS[name], 4, K_C))
        for quantity, exact in (("J_nn[1]", K[3]), ("J_diagonal[1]", K[6]), ("J_four[1]", K[15])):
            estimate = diagnostic.estimates[quantity].estimate
            assert abs(estimate.value - exact) < 4.5 * estimate.error < 0.2


def test_minus_a_map_has_the_same_four_couplings(critical4):
    plain, turned = (row_of(critical4, m)[0] for m in (rg.Decimation(), lambda v: -rg.Decimation().mean_h(v)))
    assert turned.estimates["J_nn[1]"].estimate.value == plain.estimates["J_nn[1]"].estimate.value


def test_four_units_of_a_larger_lattice(critical8):
    assert "some occur too rarely" in row_of(critical8, rg.Majority(block=4))[0].why
    diagnostic, _ = row_of(few(6_000, 8), rg.Majority(block=4))
    assert np.isfinite(diagnostic.estimates["J_nn[1]"].estimate.error)
    assert "some occur too rarely" not in diagnostic.why


@pytest.mark.parametrize("samples", [1, 2, 10])
def test_few_samples_give_a_row(samples):
    for given in (rg.Majority(), rg.Average(), Flat(16), Flat(11), Flat(16, constant=16)):
        diagnostic, _ = row_of(few(samples, 8), given)
        assert diagnostic.why
        assert diagnostic.to_dict()
    assert "some occur too rarely" in row_of(few(samples, 4), rg.Majority())[0].why


def test_frozen_spins_give_a_row():
    spins = np.repeat(np.array([1, -1], np.int8), 20)[:, None, None] * np.ones((8, 8), np.int8)
    diagnostic, _ = row_of(ensemble_from_array(spins, 0.5), rg.Majority())
    assert "determine no couplings" in diagnostic.why
    assert np.isnan(diagnostic.estimates["K_nn[1]"].estimate.value)
    frozen = rg.sample(size=8, temperature=0.0, samples=20, seed=0)
    assert row_of(frozen, rg.Decimation())[0].estimates["K_nn[0]"].exact is None
    assert "within their noise" in row_of(rg.sample(size=8, temperature=1e9, samples=64, seed=0), rg.Majority())[0].why


def test_the_figure_shows_the_numbers(critical8):
    maps = {
        name: MapReport("", "", "", {"hidden_hamiltonian": row[0]}, {"hidden_hamiltonian": row[1]})
        for name, given in (("majority", rg.Majority()), ("net", Flat(16)), ("odd", Flat(11)))
        if (row := row_of(critical8, given))
    }
    (plate,) = hamiltonian.figures(maps)
    left, right = plate.figure.axes
    heights = [line.get_ydata() for line in left.get_lines()]
    for name in ("majority", "net"):
        assert any(np.array_equal(y, maps[name].arrays["hidden_hamiltonian"]["K"][1, :5]) for y in heights)
    (names,) = plate.figure.legends
    labels = [label.get_text() for label in names.get_texts()]
    assert labels == ["spins, exact", "spins", "majority", "net"]
    assert any(np.allclose(line.get_ydata(), K_C) for line in right.get_lines())
    assert list(hamiltonian.figures({"odd": maps["odd"]})) == []
