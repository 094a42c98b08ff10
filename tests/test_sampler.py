"""Sets as users ask for them: the same bits whatever the threads and company, closed forms, certificates, refusals."""

import hashlib
import json
import math
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import mannwhitneyu

import rgstep as rg
from rgstep.arguments import InputError
from rgstep.estimates import rank_sum_score
from rgstep.exact import torus
from rgstep.ising import energy, ising, magnetisation
from rgstep.samplers import chains, multispin
from rgstep.samplers import sample as sampling
from rgstep.samplers.chains import KINDS
from rgstep.samplers.rng import Purpose, seed_sequence, words
from rgstep.samplers.sample import Job, run_all

pytestmark = pytest.mark.usefixtures("as_users_run")  # the checks of types take most of the time here

TC = rg.CRITICAL_TEMPERATURE
MADE = [*((kernel, mode) for kernel in KINDS for mode in ("iid", "thin")), ("auto", "exact")]
"""Every kernel and mode."""


# --- the same bits


@pytest.mark.parametrize(("kernel", "mode"), MADE)
def test_the_number_of_threads_changes_no_bit(kernel, mode):
    one, two, five = (rg.sample(6, 3.0, 700, 3, kernel=kernel, mode=mode, threads=threads) for threads in (1, 2, 5))
    np.testing.assert_array_equal(one.packed.bits, two.packed.bits)
    np.testing.assert_array_equal(one.packed.bits, five.packed.bits)
    assert one.origin == two.origin == five.origin


@pytest.mark.parametrize(("kernel", "mode"), MADE)
def test_a_set_begins_as_any_longer_one(kernel, mode):
    many = rg.sample(6, 3.0, 1400, 3, kernel=kernel, mode=mode)
    for n in (1, 65, 1025):
        few = rg.sample(6, 3.0, n, 3, kernel=kernel, mode=mode)
        np.testing.assert_array_equal(few.packed.bits, many.packed.bits[:n], err_msg=str(n))


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_a_closed_form_begins_as_any_longer_one(monkeypatch, temperature):
    many = rg.sample(64, temperature, 1300, seed=3)  # more than a group of 1024
    for n in (1, 63, 65, 1024, 1025):
        np.testing.assert_array_equal(rg.sample(64, temperature, n, seed=3).packed.bits, many.packed.bits[:n])


@pytest.mark.parametrize("mode", ["iid", "thin", "exact"])
def test_the_company_and_order_of_temperatures_change_no_bit(mode):
    alone = {t: rg.sample(8, t, 100, 3, mode=mode) for t in (0.0, 2.5, 4.0)}
    for order in ((4.0, 2.5, 0.0), (2.5, math.inf, 4.0, 2.5)):
        among = rg.sample(8, order, 100, 3, mode=mode, threads=2)
        assert [e.system.temperature for e in among] == list(order)
        for ensemble in among:
            if ensemble.system.temperature in alone:
                single = alone[ensemble.system.temperature]
                np.testing.assert_array_equal(ensemble.packed.bits, single.packed.bits)
                assert ensemble.origin == single.origin


def test_one_temperature_gives_a_set_and_several_give_a_tuple():
    assert isinstance(rg.sample(4, 2.5, 10), rg.Ensemble)
    for several in ([2.5], np.array([2.5]), (t for t in (2.5,))):
        sets = rg.sample(4, several, 10)
        assert isinstance(sets, tuple)
        np.testing.assert_array_equal(sets[0].spins, rg.sample(4, 2.5, 10).spins)


def test_a_fresh_process_gives_the_same_bits():
    cases = [("metropolis", "iid"), ("swendsen-wang", "thin"), ("auto", "exact")]
    program = (
        "import hashlib, rgstep as rg\n"
        f"for kernel, mode in {cases}:\n"
        "    bits = rg.sample(8, 2.5, 200, 3, kernel=kernel, mode=mode).packed.bits\n"
        "    print(hashlib.sha256(bits.tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    here = [rg.sample(8, 2.5, 200, 3, kernel=kernel, mode=mode).packed.bits for kernel, mode in cases]
    assert run.stdout.split() == [hashlib.sha256(bits.tobytes()).hexdigest() for bits in here]


def test_seeds_and_temperatures_have_their_own_numbers():
    sets = [rg.sample(8, 2.5, 200, seed) for seed in (3, 4, 3 + 2**32, 2**64 + 3)] + [rg.sample(8, 2.5 + 1e-9, 200, 3)]
    for k, one in enumerate(sets):
        for other in sets[:k]:
            same = (one.spins == other.spins).mean(axis=(1, 2))
            assert abs(same.mean() - 0.5) < 4 * same.std() / math.sqrt(200)


def test_each_source_has_its_own_numbers():
    """Seed, size, coupling, purpose and group are all in its name; successive words of one source differ."""
    at = ising(8, 2.5)
    named = [(at, 3), (at, 4), (ising(10, 2.5), 3), (ising(8, np.nextafter(2.5, 3)), 3), (at, 2**32 + 3)]
    named += [(at, 3, Purpose.PILOT), (at, 3, Purpose.HOT), (at, 3, Purpose.DATA, 1), (at, 3, Purpose.DATA, 0, "x")]
    sources = [seed_sequence(*name) for name in named]
    drawn = [word for source in sources for _ in range(2) for word in words(source, 2, 3).ravel().tolist()]
    assert len(set(drawn)) == 12 * len(sources)
    np.testing.assert_array_equal(words(seed_sequence(at, 3), 5), words(seed_sequence(at, 3), 9)[:5])


@pytest.mark.parametrize(("kernel", "mode"), MADE)
def test_configurations_of_a_set_are_independent(kernel, mode):
    """Overlaps of 300 free-ish configurations, from the first groups of chains, and their neighbours' energies."""
    ensemble = rg.sample(8, 50.0, 300, seed=3, kernel="heat-bath" if mode == "exact" else kernel, mode=mode)
    flat = ensemble.spins.reshape(300, -1).astype(float)
    overlaps = (flat @ flat.T)[np.triu_indices(300, 1)] / 8
    assert np.abs(overlaps).max() < 5.8  # 6·10⁻⁹ for a normal variable, 45,000 of them
    assert abs((overlaps**2).mean() - 1) < 0.05


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
    assert ensemble.certificate.good


@pytest.mark.parametrize("temperature", [1e9, 1e200, 1.7e308, math.inf])
def test_the_hot_end_is_free_spins(temperature):
    n, ensemble = 2000, rg.sample(8, temperature, 2000, seed=4)
    spins = ensemble.spins.astype(float)
    assert abs(ensemble.energies.mean()) < 4 * math.sqrt(2 / 64 / n)
    assert ensemble.energies.var() == pytest.approx(2 / 64, rel=0.15)
    assert (ensemble.magnetisations**2).mean() == pytest.approx(1 / 64, rel=0.15)
    assert np.abs(spins.mean(axis=0)).max() < 4.5 / math.sqrt(n)
    assert np.abs((spins[1:] * spins[:-1]).mean(axis=0)).max() < 4.5 / math.sqrt(n)
    assert ensemble.certificate.good
    assert "nan" not in repr(ensemble)


@pytest.mark.parametrize("temperature", [0.0, math.inf])
@pytest.mark.parametrize(("kernel", "mode"), [("auto", "iid"), ("single", "thin"), ("auto", "exact")])
def test_the_ends_are_the_same_whatever_is_asked(temperature, kernel, mode):
    closed = rg.sample(6, temperature, 70, 5, kernel=kernel, mode=mode)
    assert closed.certificate.mode == closed.certificate.kernel == "closed form"
    np.testing.assert_array_equal(closed.spins, rg.sample(6, temperature, 70, 5).spins)


# --- consecutive configurations


def chain_scores(spins, chains, lag):
    """Return the z-scores of the autocorrelation of e, m² and the sign of m at a lag along each chain."""
    m = magnetisation(spins)
    z = {}
    for name, values in (("e", energy(spins)), ("m²", m**2), ("sign", np.sign(m))):
        x = (values - values.mean()).reshape(-1, chains)  # (time, chain)
        pairs = x[lag:] * x[:-lag]
        z[name] = pairs.mean() / max(pairs.std(), 1e-9) * math.sqrt(pairs.size)
    return z


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("temperature", [1.5, TC, 4.0])
def test_consecutive_configurations_are_independent(kernel, temperature):
    group = chains.THIN_GROUPS * KINDS[kernel].group(8)
    ensemble = rg.sample(8, temperature, 12 * group, seed=5, mode="thin", kernel=kernel)
    assert ensemble.origin["chains"] == group
    for lag in (1, 2):
        assert all(abs(z) < 4.5 for z in chain_scores(ensemble.spins, group, lag).values())


def test_configurations_two_sweeps_apart_are_not(monkeypatch):
    monkeypatch.setattr(sampling, "SPACING_TAUS", 0.3)
    group = chains.THIN_GROUPS * KINDS["metropolis"].group(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the certificate may see it, too
        ensemble = rg.sample(8, TC, 12 * group, seed=5, mode="thin", kernel="metropolis")
    z = chain_scores(ensemble.spins, group, 1)
    assert z["e"] > 15
    assert z["m²"] > 15
    assert abs(z["sign"]) < 4.5  # of its own coin: independent whatever the spacing
    assert ensemble.certificate.n_eff < 0.5 * len(ensemble)


def test_an_alternating_sign_is_seen():
    spins = rg.sample(8, 1.0, 640, seed=5).spins
    up = spins * np.sign(magnetisation(spins)).astype(np.int8)[:, None, None]
    alternating = up * np.repeat([1, -1] * 5, 64).astype(np.int8)[:, None, None]
    assert chain_scores(alternating, 64, 1)["sign"] < -20


# --- the certificate


def test_the_certificate_of_a_critical_set():
    """τ at L = 32: 22.4 for e, 38.0 for m², as measured over a long run elsewhere."""
    ensemble = rg.sample(32, TC, 1024, seed=1, kernel="metropolis")
    certificate = ensemble.certificate
    assert certificate.good
    assert certificate.mode == "iid"
    assert certificate.kernel == "multi-spin Metropolis"
    assert abs(certificate.tau_e.value - 22.4) < 5
    assert abs(certificate.tau_m2.value - 38.0) < 8
    assert certificate.burn_in_sweeps >= 20 * certificate.tau_m2.value + 10
    assert certificate.n_eff == 1024
    assert certificate.origin["chains"] == 1024
    assert certificate.spacing_sweeps is None


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("mode", ["iid", "thin"])
@pytest.mark.parametrize("temperature", [2.0, 3.0])
def test_every_set_says_how_it_was_made(kernel, mode, temperature):
    certificate = rg.sample(8, temperature, 1500, seed=6, kernel=kernel, mode=mode).certificate
    assert certificate.good
    assert certificate.mode == mode
    assert certificate.kernel == KINDS[kernel].title
    assert certificate.origin["random_numbers"] == KINDS[kernel].random_numbers
    tau = max(certificate.tau_e.value, certificate.tau_m2.value)
    assert 0.3 < tau < 15
    assert certificate.burn_in_sweeps >= 20 * tau
    assert set(certificate.hot_cold) == {"e", "m2"}
    assert max(map(abs, certificate.hot_cold.values())) < 4
    if mode == "thin":
        assert certificate.spacing_sweeps >= 10 * tau
        assert 0.999 * 1500 < certificate.n_eff <= 1500
    else:
        assert certificate.n_eff == 1500


def test_a_burn_in_too_short_is_seen(monkeypatch):
    monkeypatch.setattr(sampling, "BURN_IN_TAUS", 0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ensemble = rg.sample(32, TC, 2048, seed=1, kernel="metropolis")
    assert any("the burn-in is too short (seed=1): do not trust this set" in str(w.message) for w in caught)
    assert not ensemble.certificate.good
    assert max(map(abs, ensemble.certificate.hot_cold.values())) > 4
    assert "NOT GOOD" in str(ensemble.certificate)


def test_thirty_sweeps_at_t_c_are_too_few():
    """From the ordered start at L = 32, z of e; with the sampler's own burn-in of 20 τ there is none."""
    system, n = ising(32, TC), 4096
    error = math.sqrt(torus.energy_variance(32, system.coupling) / n)
    z = {}
    for sweeps in (30, 900):
        cold = KINDS["metropolis"].start(system, seed_sequence(system, 8), False, n)
        cold.advance(sweeps)
        z[sweeps] = (cold.read().energies().mean() - torus.energy(32, system.coupling)) / error
    assert z[30] < -10
    assert abs(z[900]) < 4


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_bad_set_says_so(monkeypatch, factor):
    """A kernel at the wrong temperature: the set is made, with a warning for each fault."""
    right = multispin.metropolis_law
    monkeypatch.setattr(multispin, "metropolis_law", lambda coupling: right(factor * coupling))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ensemble = rg.sample(8, TC, 8000, seed=9)
    assert len(ensemble) == 8000
    said = [str(warning.message) for warning in caught]
    assert said == [f"{fault} (seed=9): do not trust this set" for fault in ensemble.certificate.faults()]
    assert said[0].startswith("u = ")
    assert not ensemble.certificate.good


# --- which kernel


@pytest.mark.parametrize(
    ("size", "temperature", "samples", "kernel"),
    [
        *((8, 1.5, 1000, "metropolis"), (32, TC, 50_000, "metropolis"), (64, TC, 5000, "metropolis")),
        *((32, 9.0, 1000, "heat-bath"), (1024, TC, 2, "swendsen-wang"), (512, 1.5, 2, "single")),
    ],
)
def test_what_auto_takes(size, temperature, samples, kernel):
    """Many lattices in words for data sets; clusters or one lattice at a time for a few large ones."""
    assert chains.check(size, temperature, samples, 0, "iid", "auto").kernel == kernel


def test_fastest_believes_what_it_measures(monkeypatch):
    """And draws as the kernel that it takes."""
    monkeypatch.setattr(chains, "measured_nanoseconds", lambda name, size: 1e-3 if name == "single" else 1.0)
    fastest = rg.sample(8, 2.5, 20, 3, kernel="fastest")
    assert fastest.certificate.kernel == KINDS["single"].title
    np.testing.assert_array_equal(fastest.spins, rg.sample(8, 2.5, 20, 3, kernel="single").spins)


def test_fastest_measures():
    assert rg.sample(8, 2.5, 20, 3, kernel="fastest").certificate.good
    assert 0 < chains.measured_nanoseconds("metropolis", 8) < 1000


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("size", [4, 6, 10, 34])
def test_odd_sizes(kernel, size):
    """Sides that fill no byte or word."""
    ensemble = rg.sample(size, 3.0, 130, 1, kernel=kernel)
    assert ensemble.spins.shape == (130, size, size)
    assert ensemble.certificate.good


# --- progress


@pytest.mark.parametrize(("mode", "samples"), [("iid", 1200), ("thin", 1200), ("exact", 40_000)])
def test_progress(mode, samples):
    """Counts rise to all samples, in the caller's thread, and change no bit."""
    seen, threads = [], set()

    def progress(stage, done, total, note=""):
        seen.append((stage, done, total, note))
        threads.add(threading.current_thread())

    heard = rg.sample(8, [2.5, 3.0], samples, 3, mode=mode, progress=progress, threads=2)
    for ensemble in heard:
        stage = f"sampling L=8 T={ensemble.system.temperature:.5g}"
        counts = [done for name, done, _, _ in seen if name == stage]
        assert counts == sorted(counts)
        assert counts[0] == 0
        assert counts[-1] == samples
        alone = rg.sample(8, ensemble.system.temperature, samples, 3, mode=mode)
        np.testing.assert_array_equal(ensemble.packed.bits, alone.packed.bits)
    assert {total for _, _, total, _ in seen} == {samples}
    assert threads == {threading.current_thread()}
    assert any(note.startswith(("τ = ", "maps of ")) for *_, note in seen)


# --- the jobs of many generators in few threads


def test_jobs_come_back_in_order():
    def work(k):
        slow = yield [Job(lambda place=place: (time.sleep(0.002 * (5 - place)), place)[1]) for place in range(5)]
        nothing = yield []
        last = yield [Job(lambda: k)]
        return slow, nothing, last

    def idle():
        return "idle"
        yield

    made = run_all([work(0), idle(), work(2)], threads=3)
    assert made == [([0, 1, 2, 3, 4], [], [0]), "idle", ([0, 1, 2, 3, 4], [], [2])]
    assert run_all([], threads=1) == []


def test_jobs_run_in_threads_and_reports_do_not():
    ran, reported = [], []

    def work():
        yield [
            Job(lambda: ran.append(threading.current_thread()), lambda: reported.append(threading.current_thread()))
            for _ in range(4)
        ]

    assert run_all([work()], threads=2) == [None]
    assert threading.current_thread() not in ran
    assert reported == [threading.current_thread()] * 4


def test_a_job_that_fails_stops_everything():
    started = []

    def fail():
        message = "no such luck"
        raise OSError(message)

    def work(jobs):
        yield jobs
        started.append("later")
        yield [Job(fail)]

    with pytest.raises(OSError, match="no such luck"):
        run_all([work([Job(fail)]), work([Job(lambda: time.sleep(0.05))])], threads=1)
    assert started == []


# --- input


@pytest.fixture
def no_work(monkeypatch):
    """Whatever starts to sample fails."""

    def work(*_):
        message = "the work began"
        raise AssertionError(message)

    monkeypatch.setattr(sampling, "run_all", work)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 7}, "size = 7: .*even whole number ≥ 4; try 8"),
        ({"size": 2}, "size = 2: .*even whole number ≥ 4; try 4"),
        ({"size": -4}, "size = -4: .*try 4"),
        ({"size": 1026}, "size = 1026: the largest side that is sampled is 1024"),
        ({"temperature": -0.1}, r"temperature = -0\.1: must be between 0 and infinity"),
        ({"temperature": math.nan}, "temperature = nan: must be between 0 and infinity"),
        ({"temperature": [2.0, math.nan]}, "temperature = nan"),
        ({"temperature": []}, "no temperatures: at least one is needed"),
        ({"samples": 0}, "samples = 0: must be a whole number above 0"),
        ({"samples": -1}, "samples = -1: must be a whole number above 0"),
        ({"seed": -1}, "seed = -1: must be a whole number ≥ 0"),
        ({"threads": 0}, "threads = 0: must be a whole number above 0"),
        ({"mode": "perfect"}, "unknown mode 'perfect'; .*known: exact, iid, thin"),
        ({"mode": "thinned"}, "unknown mode 'thinned'; did you mean 'thin'"),
        ({"kernel": "foo"}, "unknown kernel 'foo'; known: auto, fastest, heat-bath, metropolis"),
        ({"kernel": "metropolys"}, "unknown kernel 'metropolys'; did you mean 'metropolis'"),
        ({"time_limit": 0}, "time_limit = 0: must be a number of seconds above 0"),
        ({"time_limit": math.nan}, "time_limit = nan: must be a number of seconds above 0"),
        ({"samples": 10**13}, r"10000000000000 samples of 8×8 spins would take \d+ TB .*at most samples = \d+ fit"),
        ({"samples": 10**13, "temperature": [2.0, 3.0]}, r"8×8 spins at 2 temperatures would take \d+ TB"),
        (
            {"size": 1024, "temperature": TC, "samples": 10**4, "time_limit": 3600},
            r"10000 samples of 1024×1024 spins at T = 2\.26919 would take about .* (minutes|hours) with mode = 'iid' "
            r"\(.*\), more than time_limit = 3600 s; about samples = \d+ would fit, "
            r"mode = 'thin' takes less, or raise time_limit",
        ),
        ({"size": 1024, "temperature": TC, "samples": 10**4, "mode": "exact"}, "would take about .* days with mode"),
        ({"size": 64, "temperature": [TC, 3.0], "time_limit": 1e-6}, "samples of 64×64 spins at 2 temperatures would"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        rg.sample(**{"size": 8, "temperature": 2.5, "samples": 10, **arguments})


def test_a_million_large_lattices_are_refused_at_once(monkeypatch):
    """By time on a machine with the disk, by the disk on others."""
    monkeypatch.setattr(chains.scratch, "available", lambda: 10**15)
    with pytest.raises(InputError, match=r"1000000 samples of 1024×1024 spins .*would take about .* (days|years)"):
        rg.sample(1024, TC, 10**6)
    monkeypatch.setattr(chains.scratch, "available", lambda: 10**9)
    with pytest.raises(InputError, match=r"would take 1\d\d GB on the disk"):
        rg.sample(1024, TC, 10**6)


def test_close_calls_are_decided_by_a_measurement(monkeypatch):
    """Where the estimate is within ten times the limit, kernels are timed; this machine is told to be slow, or fast."""
    estimate = chains.expected_seconds(chains.check(64, TC, 500, 0, "iid", "metropolis"))
    monkeypatch.setattr(chains, "measured_nanoseconds", lambda name, size: 5 * KINDS[name].nanoseconds)
    with pytest.raises(InputError, match="would take about"):
        chains.check_time([chains.check(64, TC, 500, 0, "iid", "metropolis")], 1, 2 * estimate)
    monkeypatch.setattr(chains, "measured_nanoseconds", lambda name, size: KINDS[name].nanoseconds / 5)
    chains.check_time([chains.check(64, TC, 500, 0, "iid", "metropolis")], 1, estimate / 2)


def test_bad_types_get_one_line_too():
    """Without the shape checker of these tests, as a user calls it."""
    cases = {
        "size = 8.5": "size=8.5",
        "size = nan": "size=math.nan",
        "size = inf": "size=math.inf",
        "temperature = 'hot'": "temperature='hot'",
        "samples = 2.5": "samples=2.5",
        "samples = nan": "samples=math.nan",
        "samples = True": "samples=True",
        "seed = 1.5": "seed=1.5",
        "threads = 1.5": "threads=1.5",
        "time_limit = 'long'": "time_limit='long'",
        "mode = None": "mode=None",
        "kernel = 3": "kernel=3",
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
        assert said[rule].startswith(rule), rule
        assert "must be" in said[rule] or "known: " in said[rule]


def test_whole_floats_are_numbers_of_samples():
    assert len(rg.sample(8, 2.5, 1e2, 0)) == 100


# --- hot against cold


def skewed(rng, count, bias=0.0):
    """Return values distributed like m² of free spins, with a bias in standard deviations."""
    return rng.standard_normal(count) ** 2 + bias * math.sqrt(2)


def test_the_rank_sum_is_scipys(rng):
    x, y = skewed(rng, 64), skewed(rng, 1024, 0.3)
    for a, b in ((x, y), (y, x), (np.round(x, 1), np.round(y, 1)), (np.round(3 * x), np.round(3 * y))):  # with ties
        p = mannwhitneyu(a, b, use_continuity=False, method="asymptotic").pvalue
        z = rank_sum_score(a, b)
        assert 2 * ndtr(-abs(z)) == pytest.approx(p, rel=1e-9)
        assert (z > 0) == (a.mean() > b.mean())
    assert rank_sum_score(np.ones(5), np.ones(7)) == 0.0


def test_skewed_readings_of_few_hot_chains_raise_no_alarm(rng):
    """64 hot against 1,024 cold, equal in law; the twin: means in their own errors reach −4 once in 300."""
    ranks, means = [], []
    for _ in range(3000):
        hot, cold = skewed(rng, 64), skewed(rng, 1024)
        ranks.append(rank_sum_score(hot, cold))
        means.append((hot.mean() - cold.mean()) / math.sqrt(hot.var() / 64 + cold.var() / 1024))
    assert 0.95 < np.std(ranks) < 1.05
    assert (np.abs(ranks) > 4).sum() <= 2  # 0.2 expected
    assert (np.array(means) < -4).sum() > 2  # 10 expected


def test_a_bias_of_a_standard_deviation_is_seen(rng):
    assert all(rank_sum_score(skewed(rng, 64, 1.0), skewed(rng, 1024)) > 4 for _ in range(20))


@pytest.mark.parametrize("kernel", KINDS)
@pytest.mark.parametrize("temperature", [1e-200, 1e-3, 0.05])
def test_every_kernel_is_frozen_at_the_cold_end(kernel, temperature):
    ensemble = rg.sample(4, temperature, 64, seed=1, kernel=kernel)
    assert (ensemble.energies == -2.0).all()
    assert ensemble.certificate.good
