"""Annealed importance sampling against exact ln Z: coverage, both directions, rounding, and what it says of itself."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from networks import ising_network, network, states
from scipy.special import logsumexp
from scipy.stats import binom

from rgstep import RBM, InputError, untrained_rbm
from rgstep.exact import onsager, torus
from rgstep.nets import annealing
from rgstep.nets.annealing import NotConverged, annealed_log_partition, log_partition_interval
from rgstep.nets.rbm import log_2cosh

SHAPES = [(12, 8), (20, 10)]
QUICK = {"temperatures": 200, "chains": 200, "sweeps": 50}


def exact_draws(rbm, n, seed=0):
    """Independent configurations of a network's own law, by enumeration of its visible layer."""
    v = states(rbm.visible)
    log_p = -rbm.free_energy(v)
    rng = np.random.default_rng(seed)
    return v[rng.choice(len(v), n, p=np.exp(log_p - logsumexp(log_p)))]


def quietly(rbm, seed, **settings):
    """The interval without its warnings, for networks and settings on which it need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        return annealed_log_partition(rbm, seed, **settings)


# --- coverage


@pytest.fixture(scope="module")
def hundred():
    """(network, exact ln Z, interval) of 100 random networks, weights and biases of sd 0.1 to 3."""
    found = []
    for visible, hidden in SHAPES:
        for seed, sd in enumerate(np.geomspace(0.1, 3.0, 50)):
            rbm = network(visible, hidden, sd, seed)
            found.append((rbm, annealing.log_partition(rbm), quietly(rbm, seed, **QUICK)))
    return found


def covered(cases, of=lambda rbm, exact: exact):
    return sum(interval.low <= of(rbm, exact) <= interval.high for rbm, exact, interval in cases)


@pytest.mark.slow
def test_the_interval_covers_the_exact_value_of_random_networks(hundred):
    assert covered(hundred) >= 95
    assert np.median([interval.width for *_, interval in hundred]) < 0.3
    assert all(interval.method == "AIS" for *_, interval in hundred)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        lambda rbm: RBM(0.95 * rbm.weights, rbm.visible_bias, rbm.hidden_bias),
        lambda rbm: RBM(rbm.weights, np.zeros(rbm.visible), rbm.hidden_bias),
        lambda rbm: RBM(rbm.weights, rbm.visible_bias, np.zeros(rbm.hidden)),
        lambda rbm: RBM(rbm.weights[::-1], rbm.visible_bias, rbm.hidden_bias),
    ],
    ids=["weights 5 % off", "visible bias dropped", "hidden bias dropped", "weights in wrong order"],
)
def test_the_intervals_do_not_cover_another_network(hundred, broken):
    assert covered(hundred, lambda rbm, exact: annealing.log_partition(broken(rbm))) < 30


@pytest.mark.slow
@pytest.mark.parametrize("units", [1, -1])
def test_the_intervals_do_not_cover_a_base_that_lacks_a_unit(hundred, units):
    assert covered(hundred, lambda rbm, exact: exact + units * np.log(2)) < 30


@pytest.mark.slow
def test_repeated_intervals_cover_at_their_rate_and_errors_are_right():
    """40 seeds on one network: at least 95 % but for chance, and both estimates z-distributed."""
    rbm, runs = network(12, 8, 0.4), 40
    exact = annealing.log_partition(rbm)
    found = [annealed_log_partition(rbm, seed, **QUICK) for seed in range(runs)]
    assert sum(x.low <= exact <= x.high for x in found) >= binom.ppf(1e-3, runs, 0.95)
    for name in ("forward", "reverse"):
        z = np.array([(getattr(x, name).value - exact) / getattr(x, name).error for x in found])
        assert abs(z.mean()) * np.sqrt(runs) < 4
        assert 0.6 < z.std() < 1.5
    off = annealing.log_partition(RBM(0.95 * rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    assert sum(x.low <= off <= x.high for x in found) < binom.ppf(1e-3, runs, 0.95)


def ising_network_and_log_z(coupling, size):
    """The network that is the Ising model; ln Z by Kaufman's formula."""
    log_z = 2 * size**2 * (np.log(2) + coupling) + torus.log_partition(size, coupling)
    return ising_network(size, coupling), log_z


def test_the_interval_covers_kaufmans_ln_z_at_criticality():
    """64 visible and 128 hidden units, far beyond any sum; 2 % of the temperature away it does not."""
    rbm, exact = ising_network_and_log_z(onsager.CRITICAL_COUPLING, 8)
    found = annealed_log_partition(rbm, 0, temperatures=500, chains=200)
    assert found.low < exact < found.high
    assert found.width < 1
    _, off = ising_network_and_log_z(1.02 * onsager.CRITICAL_COUPLING, 8)
    assert not found.low < off < found.high


# --- the two directions


def test_few_temperatures_widen_the_interval_on_both_sides():
    """Forward falls short, reverse from exact draws overshoots, and the value stays between."""
    rbm = network(12, 8, 1.5, biases=0)
    exact, start = annealing.log_partition(rbm), exact_draws(rbm, 200)
    few, many = (quietly(rbm, 0, temperatures=t, chains=200, start=start) for t in (3, 1000))
    assert few.forward.value < exact - 0.2
    assert few.reverse.value > exact + 0.2
    assert few.low <= exact <= few.high
    assert many.low <= exact <= many.high
    assert many.width < 0.2 * few.width


def test_a_start_that_is_not_of_the_law_is_noticed():
    """The least probable configuration as start: the reverse estimate then falls below the forward one."""
    rbm = network(12, 8, 0.5)
    v = states(12)
    worst = np.repeat(v[[np.argmax(rbm.free_energy(v))]], 200, axis=0)
    with pytest.warns(NotConverged, match=r"exceeds the reverse one.* not of the network's law"):
        annealed_log_partition(rbm, 0, temperatures=50, chains=200, start=worst)
    right = annealed_log_partition(rbm, 0, temperatures=50, chains=200, start=exact_draws(rbm, 200))  # silent
    assert right.start == "200 given configurations"


def test_lattices_and_vectors_start_the_same():
    rbm = network(9, 4, 0.3)
    start = exact_draws(rbm, 200)
    rows, lattices = (annealed_log_partition(rbm, 0, start=v, **QUICK) for v in (start, start.reshape(-1, 3, 3)))
    assert (rows.low, rows.high) == (lattices.low, lattices.high)


def test_the_network_without_weights_is_known_but_for_its_biases():
    """W = 0 leaves independent units: exact with biases of zero, and covered with others."""
    free = annealed_log_partition(RBM(np.zeros((12, 8)), np.zeros(12), np.zeros(8)), 0, **QUICK)
    assert free.low == pytest.approx(20 * np.log(2), abs=1e-12)
    assert free.width == 0
    assert "ln Z in [13.862944, 13.862944]" in str(free)
    a, b = np.linspace(-1, 1, 12, dtype=np.float32), np.linspace(0, 1, 8, dtype=np.float32)
    biased = annealed_log_partition(RBM(np.zeros((12, 8)), a, b), 0, **QUICK)
    assert biased.low <= log_2cosh(a).sum() + log_2cosh(b).sum() <= biased.high
    assert biased.width < 0.1


# --- rounding


def terms(x, rungs, change):
    """Σ_a of a change of ln cosh between neighbouring β, one configuration for each, float64 `(temperature,)`."""
    each = change(jnp.asarray(x), jnp.asarray(rungs[:-1, None]), jnp.asarray(rungs[1:, None]))
    return np.asarray(each.sum(axis=1), dtype=np.float64)


@pytest.mark.parametrize("reverse", [False, True])
def test_float32_terms_agree_with_float64_at_1024_by_256(reverse):
    """10^4 temperatures, another configuration at each, so that errors of rounding do not telescope away."""
    rng = np.random.default_rng(0)
    w = (0.05 * rng.standard_normal((1024, 256))).astype(np.float32)
    v = np.sign(rng.standard_normal((10_000, 1024))).astype(np.float32)
    rungs = np.linspace(0, 1, 10_001).astype(np.float32)[:: -1 if reverse else 1]
    wide, beta = v.astype(np.float64) @ w.astype(np.float64), rungs.astype(np.float64)[:, None]
    exact = (log_2cosh(beta[1:] * wide) - log_2cosh(beta[:-1] * wide)).sum(axis=1)

    def plain(x, before, after):
        def log_cosh(y):
            return jnp.abs(y) + jnp.log1p(jnp.exp(-2 * jnp.abs(y)))

        return log_cosh(after * x) - log_cosh(before * x)

    x = v @ w
    ours, differences = (terms(x, rungs, change) - exact for change in (annealing.log_cosh_change, plain))
    assert abs(ours.sum()) < 1e-5
    assert np.abs(ours).max() < 1e-8
    assert np.abs(differences).max() > 1e-7  # the difference of two rounded numbers would not do


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (1.0, 0.0), (0.3, 0.3), (0.5, 0.6)])
def test_changes_of_log_cosh_do_not_overflow(before, after):
    x = np.array([0.0, 1e-20, 1e-3, -0.1, 1.0, -30.0, 500.0, -1e6])
    expected = log_2cosh(after * x) - log_2cosh(before * x)
    measured = annealing.log_cosh_change(jnp.asarray(x, jnp.float32), jnp.float32(before), jnp.float32(after))
    np.testing.assert_allclose(np.asarray(measured), expected, rtol=2e-6, atol=2e-7)


def test_a_walk_collects_the_free_energy_difference_of_the_ends():
    """Where β alone moves and v cannot, ln w is F_0 − F_1 in float64: huge visible biases hold v."""
    rbm = network(12, 8, 0.3)
    held = RBM(rbm.weights, np.full(12, 1e4), rbm.hidden_bias)
    ladder = np.linspace(0.5, 1.0, 351)
    v = jnp.ones((200, 12), jnp.float32)
    report = annealing._Counter(None, 0)
    walk = annealing._walk(held.parameters, v, ladder, np.random.default_rng(0), report)
    half = RBM(0.5 * held.weights, 0.5 * held.visible_bias, 0.5 * held.hidden_bias)
    rows = np.ones((200, 12), np.int8)
    np.testing.assert_array_equal(walk.v, rows)
    np.testing.assert_allclose(walk.log_weights, half.free_energy(rows) - held.free_energy(rows), rtol=1e-6)
    assert report.done == 350


# --- parts


def test_temperatures_stand_where_the_free_energy_fluctuates():
    pilot = np.linspace(0, 1, 101)
    spread = np.where((pilot[1:] > 0.4) & (pilot[1:] <= 0.5), 5.0, 0.5)
    ladder = annealing._equal_length(pilot, spread, 1000)
    assert ladder[0] == 0
    assert ladder[-1] == 1
    assert (np.diff(ladder) > 0).all()
    inside = ((ladder > 0.4) & (ladder < 0.5)).mean()
    mean = spread.mean()
    assert inside == pytest.approx((0.5 + 0.02 * mean) / (mean + 0.2 * mean), abs=0.005)
    np.testing.assert_allclose(annealing._equal_length(pilot, np.zeros(100), 7), np.linspace(0, 1, 8), atol=1e-12)


def test_resampling_keeps_the_weights():
    log_weights = np.random.default_rng(0).normal(300.0, 2.0, 500)
    w = np.exp(log_weights - logsumexp(log_weights))
    counts = np.zeros(500)
    for seed in range(200):
        counts += np.bincount(annealing._resampled(log_weights, np.random.default_rng(seed)), minlength=500)
    rounds = counts / 200
    assert np.abs(rounds - 500 * w).max() < 0.2  # systematic: each count is within one of its mean
    assert np.abs(rounds - 1).max() > 1


def test_a_log_mean_has_the_error_of_its_weights():
    log_weights = np.random.default_rng(1).normal(-1000.0, 0.3, 10_000)
    estimate = annealing._log_mean(log_weights, 10_000)
    assert estimate.value == pytest.approx(logsumexp(log_weights) - np.log(10_000), abs=1e-10)
    assert estimate.error == pytest.approx(np.sqrt(np.expm1(0.3**2)) / 100, rel=0.05)
    assert annealing._log_mean(log_weights, 2500).error == pytest.approx(2 * estimate.error)
    assert annealing._effective(log_weights) == pytest.approx(10_000 / np.exp(0.3**2), rel=0.02)


# --- what it says


def test_an_interval_too_wide_says_how_many_temperatures_would_do():
    rbm = network(20, 10, 0.6, seed=1)
    with pytest.warns(NotConverged, match=r"0\.2 was asked for: about \d+ temperatures would do in place of 60"):
        short = annealed_log_partition(rbm, 0, temperatures=60, chains=200, wanted=0.2)
    assert short.width > 0.3
    assert short.needed_temperatures > 60
    assert "would be as narrow as asked" in str(short)
    enough = annealed_log_partition(rbm, 1, temperatures=short.needed_temperatures, chains=200, wanted=0.2)  # silent
    assert enough.width <= 0.2
    assert enough.needed_temperatures is None
    assert short.needed_temperatures < 2000  # and it is not out of proportion


def test_the_result_is_a_line():
    found = annealed_log_partition(network(9, 4, 0.3), 0, **QUICK)
    assert "\n" not in str(found)
    assert str(found).startswith("ln Z in [")
    assert "200 temperatures, 200 chains" in str(found)
    assert "50 sweeps later" in str(found)
    assert found.width == found.high - found.low > 0
    assert found.low < found.centre < found.high


def test_the_same_seed_gives_the_same_interval():
    rbm = network(9, 4, 0.5)
    first, again, other = (annealed_log_partition(rbm, seed, **QUICK) for seed in (0, 0, 1))
    assert (first.low, first.high) == (again.low, again.high)
    assert first.low != other.low


def test_progress_counts_every_temperature():
    seen = []
    annealed_log_partition(
        network(9, 4, 0.1),
        temperatures=250,
        chains=200,
        progress=lambda stage, done, total, note="": seen.append((stage, done, total)),
    )
    assert seen[-1] == ("annealing", 600, 600)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_one_compilation_serves_all_ladders():
    rbm = network(9, 4, 0.1)
    annealed_log_partition(rbm, 0, temperatures=10, chains=200)
    before = annealing._scan_temperatures._cache_size(), annealing._relaxed._cache_size()
    annealed_log_partition(network(9, 4, 0.7), 1, temperatures=350, chains=200, sweeps=7)
    assert (annealing._scan_temperatures._cache_size(), annealing._relaxed._cache_size()) == before


# --- exact or annealed


@pytest.mark.parametrize(("visible", "hidden"), [(12, 8), (6, 14)])
def test_small_networks_are_summed(visible, hidden):
    rbm = network(visible, hidden, 0.5)
    found = log_partition_interval(rbm)
    assert found.method == "exact"
    assert found.width == 0
    assert found.low == annealing.log_partition(rbm)
    assert str(found) == f"ln Z = {found.low:.10g} (exact)"


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("visible", "hidden"), [(26, 27), (64, 24), (1024, 256)])
def test_large_networks_are_annealed(visible, hidden, monkeypatch):
    """More than 25 units in the smaller layer, or a sum that would take minutes; what was asked for is passed on."""
    asked = {"temperatures": 50, "chains": 60, "wanted": 0.1, "start": None, "sweeps": 5, "progress": None}
    monkeypatch.setattr(annealing, "annealed_log_partition", lambda rbm, seed, **settings: (seed, settings))
    assert log_partition_interval(untrained_rbm(visible, hidden), 3, **asked) == (3, asked)


# --- bad input


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperatures": 0}, "temperatures = 0"),
        ({"chains": 0}, "chains = 0"),
        ({"chains": 1}, "chains = 1: an error needs at least 2"),
        ({"chains": 10**12}, r"chains would take .* at most"),
        ({"sweeps": -1}, "sweeps = -1"),
        ({"wanted": 0.0}, r"wanted = 0\.0"),
        ({"wanted": float("nan")}, "wanted = nan"),
        ({"seed": -1}, "seed = -1"),
        ({"start": np.ones((5, 16), np.int8)}, "16 sites: the network has 9"),
        ({"start": np.ones((1, 9), np.int8)}, "at least 2 configurations"),
        ({"start": np.zeros((5, 9), np.int8)}, "start"),
    ],
)
def test_bad_arguments_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        annealed_log_partition(network(9, 4, 0.1), **settings)


def test_parameters_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        annealed_log_partition(RBM(np.full((9, 4), np.nan), np.zeros(9), np.zeros(4)))
