"""Coupling from the past: draws from the law itself, and twins that are not."""

import math

import numpy as np
import pytest

import rgstep as rg
from rgstep.arguments import InputError
from rgstep.exact import torus
from rgstep.ising import Ising, ising
from rgstep.packed import PackedSpins
from rgstep.samplers import perfect
from rgstep.samplers.chains import KINDS

TC = rg.CRITICAL_TEMPERATURE


def source(*name):
    return np.random.SeedSequence(name)


def energy_score(e, system):
    """Return the z-score of the mean energy of independent samples."""
    exact, variance = (of(system.size, system.coupling) for of in (torus.energy, torus.energy_variance))
    return (e.mean() - exact) / math.sqrt(variance / len(e))


@pytest.mark.parametrize(
    ("temperature", "u", "c", "abs_m", "m2"),
    [
        (TC, -1.4915891074397, 1.145559239890, 0.7773310928, 0.6469115750),
        (3.0, -0.8413154278519, 0.483966471436, 0.3460346133, 0.1703122090),
    ],
)
def test_moments_are_the_exact_ones(temperature, u, c, abs_m, m2):
    """Kaufman's u and c and the transfer matrix's |m| and m² at L = 8, to 40 digits elsewhere."""
    n, ensemble = 20_000, rg.sample(8, temperature, 20_000, seed=1, mode="exact")
    assert len(ensemble) == n
    e, m = ensemble.energies, ensemble.magnetisations
    for values, exact in ((e, u), (64 * (e - u) ** 2 / temperature**2, c), (abs(m), abs_m), (m**2, m2)):
        assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(n)
    assert abs(np.sign(m).sum()) < 4 * math.sqrt(n)
    for values in (e, np.sign(m)):  # consecutive samples of a set, and those of one triple, 1024 apart
        for lag in (1, 1024):
            x = values - values.mean()
            assert abs((x[lag:] * x[:-lag]).sum()) < 4 * x.var() * math.sqrt(n - lag)


def test_the_states_keep_their_order_until_they_meet():
    """No state overtakes: down ≤ any ≤ up, in each of 64 W triples; where up and down meet, all do."""
    triples = perfect.Triples(ising(8, 2.5), source(1))
    triples.advance(20)
    triples.restart()
    met_before = np.zeros(64 * triples.width, bool)
    for _ in range(60):
        triples.advance(1)
        any_state, up, down = triples.states
        assert not (down & ~any_state).any()
        assert not (any_state & ~up).any()
        met = triples.met()
        assert not (met_before & ~met).any()
        apart = np.bitwise_or.reduce((any_state ^ up).reshape(-1, triples.width), axis=0)
        np.testing.assert_array_equal(np.unpackbits((~apart).view(np.uint8), bitorder="little")[met], 1)
        met_before = met
    assert met_before.mean() > 0.5


def test_a_map_costs_least():
    """About half of the triples and more meet in one; more at higher temperatures, in fewer sweeps."""
    tau = KINDS["heat-bath"].tau
    hot, critical = (perfect.sweeps_per_map(ising(8, t), source(2), tau(ising(8, t))) for t in (4.0, TC))
    assert hot < critical
    triples = perfect.Triples(ising(8, TC), source(3))
    triples.restart()
    triples.advance(critical)
    assert 0.3 < triples.met().mean() < 1


def test_samples_taken_when_they_are_ready_are_biased():
    """Maps so short that few make all states meet: assigned samples are fair, states just after a meeting are not."""
    system, sweeps = ising(4, TC), 8
    out = np.empty((30_000, 2), np.uint8)
    perfect.sample_group(system, source(4), sweeps, out)
    assert abs(energy_score(PackedSpins(out, 4).energies(), system)) < 4

    triples, taken = perfect.Triples(system, source(5)), []
    for _ in range(400):
        triples.restart()
        triples.advance(sweeps)
        triples.spins[...] = triples.states[1]
        taken.append(triples.read().energies()[triples.met()])
    assert energy_score(np.concatenate(taken), system) < -5


def test_states_taken_before_a_meeting_are_too_ordered():
    """The twin that takes the state after a few sweeps, met or not, from the ordered start."""
    system = ising(8, TC)
    triples = perfect.Triples(system, source(6))
    triples.advance(5)
    triples.spins[...] = triples.states[0]
    assert energy_score(triples.read().energies(), system) < -6


def test_few_samples_are_the_first_of_many():
    """Every length of a group gives the first rows of the whole group."""
    system, whole = Ising(8, 0.4), np.zeros((2500, 8), np.uint8)
    perfect.sample_group(system, source(7), 40, whole)
    for n in (1, 2, 3, 40, 63, 64, 65, 1023, 1024, 1025, 2000):
        part = np.zeros((n, 8), np.uint8)
        perfect.sample_group(system, source(7), 40, part)
        np.testing.assert_array_equal(part, whole[:n])


@pytest.mark.parametrize("temperature", [0.5, 2.0, TC * (1 - 1e-6)])
def test_below_t_c_there_is_another_mode(temperature):
    with pytest.raises(InputError, match=r"mode = 'exact' at T = .*below T_c = 2\.269185.*use mode = 'iid'"):
        rg.sample(8, temperature, 10, mode="exact")


def test_t_c_itself_is_served():
    for temperature in (TC, 2.269185314213022, TC * (1 - 1e-12)):
        assert rg.sample(4, temperature, 10, mode="exact").certificate.mode == "exact"


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_the_ends_have_a_closed_form(temperature):
    closed = rg.sample(8, temperature, 100, seed=1, mode="exact")
    assert closed.certificate.mode == "closed form"
    np.testing.assert_array_equal(closed.spins, rg.sample(8, temperature, 100, seed=1).spins)


@pytest.mark.parametrize("kernel", ["metropolis", "swendsen-wang", "metropolis-philox"])
def test_only_the_heat_bath_couples(kernel):
    with pytest.raises(InputError, match=f"kernel = '{kernel}': mode 'exact' runs the heat bath"):
        rg.sample(8, 3.0, 10, mode="exact", kernel=kernel)


def test_the_certificate_of_a_perfect_set():
    certificate = rg.sample(8, 3.0, 500, seed=1, mode="exact").certificate
    assert certificate.good
    assert certificate.kernel == perfect.TITLE
    assert certificate.n_eff == 500
    assert certificate.tau_e is None
    assert "perfect samples" in str(certificate)
    assert certificate.origin["sweeps_a_map"] >= 1


def test_the_heat_bath_at_the_wrong_coupling_is_seen(monkeypatch):
    right = perfect.heat_bath_law
    monkeypatch.setattr(perfect, "heat_bath_law", lambda coupling: right(0.97 * coupling))
    with pytest.warns(UserWarning, match="do not trust this set"):
        ensemble = rg.sample(8, TC, 8000, seed=1, mode="exact")
    assert not ensemble.certificate.good
