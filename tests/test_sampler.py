"""The sampler against enumeration, Kaufman and the transfer matrix; and each test against a sampler that is wrong."""

import inspect
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import reference
from scipy.special import chdtrc

import rgstep as rg
from rgstep.ensemble import Ensemble
from rgstep.errors import InputError
from rgstep.exact import enumeration, transfer
from rgstep.exact.onsager import CRITICAL_COUPLING
from rgstep.ising import Ising, energy, magnetisation
from rgstep.samplers import cluster, plan

TC = rg.CRITICAL_TEMPERATURE
REJECT = 1e-4


# --- the kernel and its slow twin


def counter_at(place):
    return np.array([place], np.uint64)


@pytest.mark.parametrize(("size", "coupling"), [(4, 0.44), (6, 0.3), (10, 0.44), (10, 0.7), (4, 0.0), (6, math.inf)])
def test_the_kernel_does_what_the_slow_one_does(rng, size, coupling):
    """Same random numbers, equal bits: three configurations, two sweeps apart, each with a global flip."""
    start = reference.random_spins(rng, 1, size)[0]
    spins, slow, counter, place = start.copy(), start.tolist(), counter_at(2**64 - 100), 2**64 - 100
    threshold = cluster.bond_threshold(coupling)
    out = np.empty((3, 1, size, size), np.int8)
    cluster.emit(spins, threshold, counter, 2, out[:, 0])
    for drawn in out[:, 0]:
        for _ in range(2):
            place = reference.swendsen_wang(slow, int(threshold), place)
        coin = 1 if reference.splitmix(place) >> 63 else -1
        place = (place + reference.WEYL) & reference.WORD
        np.testing.assert_array_equal(drawn, coin * np.array(slow))
    np.testing.assert_array_equal(spins, slow)
    assert counter.item() == place


def test_record_reads_the_states_that_it_makes(rng):
    size, threshold = 6, cluster.bond_threshold(0.44)
    spins, counter, place = reference.random_spins(rng, 1, size)[0], counter_at(7), 7
    slow = spins.tolist()
    energies, squares = np.empty(5), np.empty(5)
    cluster.record(spins, threshold, counter, energies, squares)
    for e, m2 in zip(energies, squares, strict=True):
        place = reference.swendsen_wang(slow, int(threshold), place)
        assert e == pytest.approx(reference.energy(slow), abs=1e-14)
        assert m2 == pytest.approx(np.mean(slow) ** 2, abs=1e-14)
    np.testing.assert_array_equal(spins, slow)


@pytest.mark.parametrize(("coupling", "p"), [(0.0, 0.0), (0.44, 1 - math.exp(-0.88)), (20.0, 1.0), (math.inf, 1.0)])
def test_bonds_open_with_their_probability(coupling, p):
    assert int(cluster.bond_threshold(coupling)) / 2**32 == pytest.approx(p, abs=2**-32)


def test_random_words_are_those_of_splitmix64():
    """The first outputs of the published generator seeded with 1234567: the state is advanced, then mixed."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [reference.splitmix((1234567 + k * reference.WEYL) & reference.WORD) for k in (1, 2, 3)] == published
    for x in (0, 1, 2**63, 2**64 - 1):
        assert int(cluster.draw(np.uint64(x))) == reference.splitmix(x)


# --- stationarity: chains that start from the exact law stay in it


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


def swept(starts, coupling, sweeps, seed):
    """Return the state of each start after some sweeps of the compiled kernel."""
    spins = enumeration.states(4)[starts].copy()
    out = np.empty((1, len(starts), 4, 4), np.int8)
    counter, threshold = counter_at(seed), cluster.bond_threshold(coupling)
    for k in range(len(starts)):
        cluster.emit(spins[k], threshold, counter, sweeps, out[:, k])
    return codes(out[0])


def law_without_bond(coupling):
    """Return the Boltzmann law of the 4×4 torus with the bond between its first two sites cut."""
    s = enumeration.states(4).astype(np.float64)
    weights = np.exp(-coupling * (enumeration.energies(4) + s[:, 0, 0] * s[:, 0, 1]))
    return weights / weights.sum()


STARTS = 20_000


@pytest.mark.parametrize("sweeps", [1, 4])
@pytest.mark.parametrize("coupling", [CRITICAL_COUPLING, 0.3, 0.6])
def test_the_exact_law_is_stationary(rng, coupling, sweeps):
    law = enumeration.probabilities(4, coupling)
    starts = rng.choice(len(law), STARTS, p=law)
    assert p_value(starts, law) > REJECT
    assert p_value(swept(starts, coupling, sweeps, seed=sweeps), law) > REJECT


@pytest.mark.parametrize("factor", [0.95, 0.98, 1.02, 1.05])
def test_a_wrong_coupling_is_not_stationary(rng, factor):
    law = enumeration.probabilities(4, CRITICAL_COUPLING)
    starts = rng.choice(len(law), STARTS if abs(factor - 1) > 0.03 else 3 * STARTS, p=law)
    assert p_value(swept(starts, factor * CRITICAL_COUPLING, 4, seed=1), law) < REJECT


def test_a_bond_too_many_is_not_stationary(rng):
    """The law of a torus with one bond cut, swept with all bonds."""
    law = law_without_bond(CRITICAL_COUPLING)
    starts = rng.choice(len(law), STARTS, p=law)
    assert p_value(starts, law) > REJECT
    assert p_value(swept(starts, CRITICAL_COUPLING, 4, seed=1), law) < REJECT


def test_a_forgotten_bond_is_not_stationary(rng):
    """The slow sweep, as it should be and with a bond that it never opens."""
    law = enumeration.probabilities(4, CRITICAL_COUPLING)
    threshold, p = int(cluster.bond_threshold(CRITICAL_COUPLING)), {}
    for forgotten in (None, ((0, 0), (0, 1))):
        starts, counter = rng.choice(len(law), 2500, p=law), 1
        lattices = enumeration.states(4)[starts].tolist()
        for v in lattices:
            for _ in range(4):
                counter = reference.swendsen_wang(v, threshold, counter, forgotten)
        p[forgotten] = p_value(codes(np.array(lattices)), law)
    assert p[None] > REJECT
    assert p[(0, 0), (0, 1)] < REJECT


def bond_scores(states, law):
    """Return the z-scores of ⟨s_i s_j⟩ on each of the 32 bonds, of `states` (codes) against a law over all states."""
    s = enumeration.states(4).astype(np.int8)
    bonds = np.stack([s * np.roll(s, -1, axis) for axis in (1, 2)], axis=1).reshape(len(s), 32)
    exact = law @ bonds
    return (bonds[states].mean(axis=0) - exact) / np.sqrt((1 - exact**2) / len(states))


def test_every_bond_counts_the_same(rng):
    """All 32 bonds agree with enumeration; the one that the law lacks stands out."""
    law, cut = enumeration.probabilities(4, CRITICAL_COUPLING), law_without_bond(CRITICAL_COUPLING)
    right = bond_scores(swept(rng.choice(len(law), STARTS, p=law), CRITICAL_COUPLING, 4, seed=3), law)
    wrong = bond_scores(swept(rng.choice(len(cut), STARTS, p=cut), CRITICAL_COUPLING, 4, seed=3), cut)
    assert np.abs(right).max() < 4.5
    assert np.abs(wrong).argmax() == 16  # the first bond along a row
    assert wrong[16] > 10


# --- moments against exact ones

TEMPERATURES = (1.5, 2.0, TC, 3.0, 5.0)
SIZES = (4, 8, 16)


def scores(ensemble):
    """Return the z-scores of u and c (Kaufman), and of |m|, m² (transfer matrix, L ≤ 8) of one set."""
    z = {name: ensemble.checks[name].z for name in ("u", "c")}
    if ensemble.system.size <= 8:
        exact = transfer.magnetisation_moments(ensemble.system.size, ensemble.system.coupling)
        m = ensemble.magnetisations
        for name, values, expected in (("|m|", abs(m), exact.abs_m), ("m²", m**2, exact.m2)):
            z[name] = (values.mean() - expected) / (values.std() / math.sqrt(len(values)))
    return z


def all_scores(seed, samples=2500, relabel=lambda ensemble: ensemble):
    """Return the 50 z-scores of sets at five temperatures and three sizes, as an array."""
    sets = [e for size in SIZES for e in rg.sample(size, TEMPERATURES, samples * 8 // max(8, size), seed)]
    return np.array([z for ensemble in sets for z in scores(relabel(ensemble)).values()])


def test_moments_are_the_exact_ones():
    z = all_scores(seed=11)
    assert len(z) == 50
    assert 0.7 < np.sqrt(np.mean(z**2)) < 1.35
    assert np.abs(z).max() < 4.5


def test_moments_at_another_temperature_are_not():
    def warmer(ensemble):
        return Ensemble(ensemble.spins, Ising(ensemble.system.size, 0.98 * ensemble.system.coupling), independent=True)

    z = all_scores(seed=11, samples=1500, relabel=warmer)
    assert np.sqrt(np.mean(z**2)) > 1.35
    assert np.abs(z).max() > 4.5


@pytest.mark.slow
def test_moments_with_fresh_seeds():
    """1000 z-scores; u, c and |m|, m² of one set are correlated, so that about 500 are independent."""
    seed = np.random.SeedSequence().entropy % 2**32
    z = np.concatenate([all_scores(seed=seed + k) for k in range(20)])
    assert 0.9 < np.sqrt(np.mean(z**2)) < 1.1, f"seed {seed}"
    assert abs(z.mean()) < 0.15, f"seed {seed}"
    assert np.abs(z).max() < 5.5, f"seed {seed}"


# --- the same bits


def test_the_number_of_threads_changes_no_bit():
    one, two, five = (rg.sample(8, 2.5, 300, seed=3, threads=threads) for threads in (1, 2, 5))
    np.testing.assert_array_equal(one.spins, two.spins)
    np.testing.assert_array_equal(one.spins, five.spins)
    assert one.origin == two.origin


@pytest.mark.parametrize("temperature", [0.0, 2.5, math.inf])
def test_a_set_begins_as_any_longer_one(temperature):
    many = rg.sample(8, temperature, 300, seed=3).spins
    for n in (1, 63, 64, 65, 200):
        np.testing.assert_array_equal(rg.sample(8, temperature, n, seed=3).spins, many[:n])


def test_chunks_change_no_bit(monkeypatch):
    whole = rg.sample(8, 2.5, 300, seed=3)
    monkeypatch.setattr(plan, "CHUNK", 1)
    seen = []
    parts = rg.sample(8, 2.5, 300, seed=3, progress=lambda stage, done, total, note="": seen.append((done, total)))
    np.testing.assert_array_equal(whole.spins, parts.spins)
    assert [done for done, _ in seen] == [0, 64, 128, 192, 256, 300]
    assert {total for _, total in seen} == {300}


def test_other_temperatures_of_a_call_change_no_bit():
    alone = rg.sample(8, 2.5, 100, seed=3)
    among = rg.sample(8, [2.0, 2.5, 0.0, math.inf], 100, seed=3)
    assert isinstance(among, tuple)
    assert [e.system.temperature for e in among] == [2.0, 2.5, 0.0, math.inf]
    np.testing.assert_array_equal(among[1].spins, alone.spins)


def test_seeds_and_temperatures_have_their_own_numbers():
    sets = [rg.sample(8, 2.5, 200, seed=3)]
    sets += [rg.sample(8, 2.5, 200, seed=seed) for seed in (4, 3 + 2**32, 2**64 + 3)]
    sets += [rg.sample(8, 2.5 + 1e-9, 200, seed=3)]
    for other in sets[1:]:
        same = (sets[0].spins == other.spins).mean(axis=(1, 2))
        assert abs(same.mean() - 0.5) < 4 * same.std() / math.sqrt(200)


def test_chains_have_their_own_numbers():
    first = rg.sample(8, math.inf, 2, seed=3).spins
    assert (first[0] != first[1]).any()
    spins = rg.sample(8, 50.0, 64, seed=3).spins.reshape(64, -1).astype(float)
    overlaps = (spins @ spins.T)[np.triu_indices(64, 1)] / 64
    assert np.abs(overlaps).max() < 0.75  # 6 standard deviations of independent spins


# --- the ends


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-200, 1e-12, 0.05])
def test_the_cold_end_is_a_fair_coin(temperature):
    ensemble = rg.sample(8, temperature, 400, seed=2)
    assert (ensemble.spins == ensemble.spins[:, :1, :1]).all()
    assert (ensemble.energies == -2.0).all()
    assert abs(ensemble.magnetisations.sum()) < 4 * math.sqrt(400)
    signs = ensemble.magnetisations
    assert abs((signs[1:] * signs[:-1]).sum()) < 4 * math.sqrt(400)
    assert ensemble.checks["u"].z == 0.0
    assert all(math.isfinite(check.z) for check in ensemble.checks.values())
    assert "nan" not in repr(ensemble)


@pytest.mark.parametrize("temperature", [1e9, 1e200, 1.7e308, math.inf])
def test_the_hot_end_is_free_spins(temperature):
    n, ensemble = 2000, rg.sample(8, temperature, 2000, seed=2)
    spins = ensemble.spins.astype(float)
    assert abs(ensemble.energies.mean()) < 4 * math.sqrt(2 / 64 / n)
    assert ensemble.energies.var() == pytest.approx(2 / 64, rel=0.15)
    assert (ensemble.magnetisations**2).mean() == pytest.approx(1 / 64, rel=0.15)
    assert np.abs(spins.mean(axis=0)).max() < 4.5 / math.sqrt(n)
    assert np.abs((spins[1:] * spins[:-1]).mean(axis=0)).max() < 4.5 / math.sqrt(n)
    assert all(abs(check.z) < 4 for check in ensemble.checks.values())
    assert "nan" not in repr(ensemble)


# --- consecutive configurations


def chain_scores(spins, chains, lag):
    """Return the z-scores of the autocorrelation of e, m² and the sign of m at a lag along each chain."""
    m = magnetisation(spins)
    z = {}
    for name, values in (("e", energy(spins)), ("m²", m**2), ("sign", np.sign(m))):
        x = (values - values.mean()).reshape(-1, chains)  # (time, chain)
        pairs = x[lag:] * x[:-lag]
        z[name] = pairs.mean() / x.var() * math.sqrt(pairs.size)
    return z


@pytest.mark.parametrize("temperature", [1.5, TC, 4.0])
def test_consecutive_configurations_are_independent(temperature):
    chains = plan.number_of_chains(8)
    ensemble = rg.sample(8, temperature, 100 * chains, seed=5)
    assert ensemble.origin["chains"] == chains
    for lag in (1, 2):
        assert all(abs(z) < 4 for z in chain_scores(ensemble.spins, chains, lag).values())


def test_configurations_one_sweep_apart_are_not():
    chains, spins = 64, np.ones((64, 8, 8), np.int8)
    out = np.empty((100, chains, 8, 8), np.int8)
    for c in range(chains):
        cluster.emit(spins[c], cluster.bond_threshold(CRITICAL_COUPLING), counter_at(c * 2**40), 1, out[:, c])
    z = chain_scores(out.reshape(-1, 8, 8), chains, 1)
    assert z["e"] > 20
    assert z["m²"] > 20
    assert abs(z["sign"]) < 4  # of its own coin: independent whatever the spacing


def test_an_alternating_sign_is_seen():
    spins = rg.sample(8, 1.0, 640, seed=5).spins
    up = spins * np.sign(magnetisation(spins)).astype(np.int8)[:, None, None]
    alternating = up * np.repeat([1, -1] * 5, 64).astype(np.int8)[:, None, None]
    assert chain_scores(alternating, 64, 1)["sign"] < -20


def test_how_a_set_was_made(critical8):
    made = critical8.origin
    tau = max(made["tau_e"][0], made["tau_m2"][0])
    assert 1.0 < tau < 4.0  # Swendsen–Wang at T_c, L = 8
    assert made["spacing_sweeps"] >= 10 * tau
    assert made["burn_in_sweeps"] >= 20 * tau
    assert made["method"] == "Swendsen-Wang"
    assert rg.sample(8, 0.0, 10).origin["method"] == "closed form"


def test_a_bad_set_says_so(monkeypatch):
    """A kernel at the wrong temperature: the set is made, with a warning for each fault."""
    right = cluster.bond_threshold
    monkeypatch.setattr(cluster, "bond_threshold", lambda coupling: right(1.05 * coupling))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ensemble = rg.sample(8, TC, 2000, seed=9)
    assert len(ensemble) == 2000
    said = [str(warning.message) for warning in caught]
    assert said == [f"{fault} (seed=9): do not trust this set" for fault in ensemble.faults()]
    assert said[0].startswith("u = ")


# --- input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 7}, "size = 7: .*even whole number ≥ 4; try 8"),
        ({"size": 2}, "size = 2: .*even whole number ≥ 4; try 4"),
        ({"size": -4}, "size = -4: .*try 4"),
        ({"temperature": -0.1}, r"temperature = -0\.1: must be between 0 and infinity"),
        ({"temperature": math.nan}, "temperature = nan: must be between 0 and infinity"),
        ({"temperature": [2.0, math.nan]}, "temperature = nan"),
        ({"temperature": []}, "temperature"),
        ({"samples": 0}, "samples = 0: must be a whole number above 0"),
        ({"samples": -1}, "samples = -1: must be a whole number above 0"),
        ({"seed": -1}, "seed = -1: must be a whole number ≥ 0"),
        ({"threads": 0}, "threads = 0: must be a whole number above 0"),
        ({"samples": 10**13}, r"10000000000000 samples of 8×8 spins would take 640 TB .*at most samples = \d+ fit"),
        ({"samples": 10**13, "temperature": [2.0, 3.0]}, r"8×8 spins at 2 temperatures would take 1\.28e\+03 TB"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        rg.sample(**{"size": 8, "samples": 10, **arguments})


def test_bad_types_get_one_line_too():
    """Without the shape checker of these tests, as a user calls it."""
    cases = {
        "size = 8.5": "size=8.5",
        "size = nan": "size=math.nan",
        "size = inf": "size=math.inf",
        "samples = 2.5": "samples=2.5",
        "samples = nan": "samples=math.nan",
        "samples = True": "samples=True",
        "seed = 1.5": "seed=1.5",
        "threads = 1.5": "threads=1.5",
    }
    program = ["import json, math", "import rgstep as rg", "said = {}"]
    for rule, argument in cases.items():
        call = f"rg.sample(**{{'size': 8, 'samples': 10, **dict({argument})}})"
        program += ["try:", f"    {call}", "except rg.InputError as error:", f"    said[{rule!r}] = str(error)"]
    program += ["print(json.dumps(said))"]
    run = subprocess.run([sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    for rule in cases:
        assert said[rule].startswith(f"{rule}: "), rule
        assert "must be" in said[rule]


def test_whole_floats_are_numbers_of_samples():
    unhooked = inspect.unwrap(rg.sample)
    assert len(unhooked(8, 2.5, 1e2, 0)) == 100
