"""The training curves: their physics against loops over sites, enumeration, Kaufman's energy and NumPy."""

import math

import enumeration
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

import rgstep as rg
from rgstep.estimates import grouped_mean, jackknife
from rgstep.exact import torus
from rgstep.nets import curves
from rgstep.nets.batches import as_bits
from rgstep.nets.curves import CurveReader, observables, singular_values

LATTICE = {"u", "abs_m", "chi", "xi"}
XI_OVER_L = 0.9050488292  # at T_c on the square torus, L → ∞ (Salas and Sokal, J. Stat. Phys. 98, 551, 2000)


def reader_of(v):
    return CurveReader(*as_bits(v), np.random.default_rng(0))


def read(v):
    """The observables of configurations as floats."""
    return {name: float(value) for name, value in observables(jnp.asarray(v.reshape(len(v), -1), jnp.float32)).items()}


def lopsided(rng, samples, size):
    """Configurations that are magnetised, differ along the two axes and from sample to sample."""
    v = reference.random_spins(rng, samples, size)
    for row in range(1, size):
        v[:, row] = np.where(rng.random((samples, size)) < 0.6, v[:, row - 1], v[:, row])
    return np.where(rng.random(v.shape) < 0.2, 1, v).astype(np.int8)


def by_loops(v, axes=(0, 1), subtract=False):
    """The observables by loops over samples and sites; broken for one axis alone or with the mean subtracted."""
    n, size, sites = len(v), v.shape[1], v.shape[1] ** 2
    mean = v.mean() if subtract else 0.0
    m, power, correlation = [], 0.0, np.zeros(size)
    for one in v:
        s = one - mean
        m.append(s.sum() / sites)
        for axis in axes:
            amplitude = sum(s[x] * np.exp(2j * np.pi * x[axis] / size) for x in np.ndindex(size, size))
            power += abs(amplitude) ** 2 / (n * len(axes) * sites)
            for r in range(size):
                correlation[r] += (s * np.roll(s, -r, axis)).sum() / (n * len(axes) * sites)
    chi = sites * np.mean(np.square(m))
    values = {"u": -2 * correlation[1], "abs_m": np.mean(np.abs(m)), "chi": chi}
    values["xi"] = math.sqrt(max(chi / power - 1, 0)) / (2 * math.sin(math.pi / size))
    return values, correlation


# --- against loops


@pytest.mark.parametrize(("size", "distances"), [(4, (1, 2)), (5, (1, 2)), (8, (1, 2, 4)), (12, (1, 2, 4, 6))])
def test_observables_are_those_of_loops_over_sites(rng, size, distances):
    v = lopsided(rng, 7, size)
    values, correlation = by_loops(v)
    values |= {f"G{r}": correlation[r] for r in distances}
    found = read(v)
    assert found == pytest.approx(values, rel=2e-5, abs=1e-6)
    assert found["u"] == pytest.approx(np.mean([reference.energy(one) for one in v]), rel=1e-5)
    assert found["xi"] > 0.1


@pytest.mark.parametrize("broken", [{"axes": (0,)}, {"axes": (1,)}, {"subtract": True}])
def test_one_axis_or_a_mean_subtracted_is_noticed(rng, broken):
    """The twin: on these configurations each slip shows in ξ and in G far above rounding."""
    v = lopsided(rng, 7, 8)
    values, correlation = by_loops(v, **broken)
    found = read(v)
    for name, value in (("xi", values["xi"]), ("G1", correlation[1]), ("G2", correlation[2])):
        assert abs(found[name] - value) > 1e-3 * abs(value)


def test_the_modulus_is_taken_of_each_configuration(rng):
    v = reference.random_spins(rng, 40, 4)
    both = read(np.concatenate([v, -v]))
    assert both == pytest.approx(read(v), abs=1e-6)
    assert both["abs_m"] > 0.1  # and not 0, as |⟨m⟩| would be


# --- against exact answers


def test_all_states_of_a_torus_are_infinite_temperature():
    """65,536 states, each once: χ = F = 1, G = 0, ⟨|m|⟩ that of 16 fair coins."""
    ups = np.arange(17)
    exact = sum(math.comb(16, k) * abs(2 * k - 16) / 16 for k in ups) / 2**16
    found = read(enumeration.states(4))
    assert found.pop("xi") < 1e-2  # √ of rounding
    assert found == pytest.approx({"u": 0, "abs_m": exact, "chi": 1, "G1": 0, "G2": 0}, abs=2e-6)


def per_sample(v):
    """u, |m|, N m², F and G(2) of each configuration, `(sample,)`, in float64."""
    size = v.shape[1]
    s = v.astype(float)
    m = s.mean(axis=(1, 2))
    transform = np.abs(np.fft.fft2(s)) ** 2 / size**2

    def along(r):
        return sum((s * np.roll(s, r, axis)).mean(axis=(1, 2)) for axis in (1, 2)) / 2

    return {
        "u": -2 * along(1),
        "abs_m": np.abs(m),
        "chi": size**2 * m**2,
        "F": (transform[:, 1, 0] + transform[:, 0, 1]) / 2,
        "G2": along(2),
    }


def second_moment(chi, structure_factor, size):
    return math.sqrt(max(chi / structure_factor - 1, 0)) / (2 * math.sin(math.pi / size))


def exact4(coupling):
    """The same averaged over all states of the 4×4 torus, and ξ."""
    values = {
        name: float(enumeration.expectation(each, 4, coupling))
        for name, each in per_sample(enumeration.states(4)).items()
    }
    return {**values, "xi": second_moment(values["chi"], values["F"], 4)}


def errors(v):
    """Jackknife errors of the observables of configurations, by name."""
    each = per_sample(v)
    found = {name: grouped_mean(values).error for name, values in each.items()}
    chi, structure_factor = (each[name].reshape(50, -1).mean(axis=1) for name in ("chi", "F"))

    def without(g):
        return second_moment(np.delete(chi, g).mean(), np.delete(structure_factor, g).mean(), v.shape[1])

    found["xi"] = jackknife(
        second_moment(chi.mean(), structure_factor.mean(), v.shape[1]), map(without, range(50))
    ).error
    return found


def z_scores(v, coupling):
    found, exact, error = read(v), exact4(coupling), errors(v)
    return {name: (found[name] - exact[name]) / error[name] for name in ("u", "abs_m", "chi", "xi", "G2")}


def test_critical_configurations_against_enumeration(critical4):
    scores = z_scores(critical4.spins, critical4.system.coupling)
    assert max(abs(z) for z in scores.values()) < 4, scores


def test_another_temperature_is_noticed_by_every_observable(critical4):
    """The twin: 3 % off in K."""
    scores = z_scores(critical4.spins, 0.97 * critical4.system.coupling)
    assert min(abs(z) for z in scores.values()) > 4, scores


@pytest.mark.parametrize(("size", "temperature"), [(8, rg.CRITICAL_TEMPERATURE), (16, 2.6)])
def test_energy_against_kaufman_and_a_sheared_lattice(size, temperature):
    """The twin rolls every other row by half the lattice: bonds along one axis are gone, and u is far off."""
    ensemble = rg.sample(size, temperature, 2000, seed=5)
    v = ensemble.spins
    exact, error = torus.energy(size, 1 / temperature), errors(v)["u"]
    sheared = np.stack([np.roll(v[:, j], j % 2 * size // 2, axis=1) for j in range(size)], axis=1)
    assert abs(read(v)["u"] - exact) < 4 * error
    assert abs(read(sheared)["u"] - exact) > 10 * error
    assert read(sheared)["abs_m"] == pytest.approx(read(v)["abs_m"], rel=1e-6)


def test_correlations_and_length_on_a_critical_lattice():
    """G(r) against the two-point function; ξ/L against its value at T_c, which L = 16 has reached to 1 %."""
    ensemble = rg.sample(16, rg.CRITICAL_TEMPERATURE, 2000, seed=6)
    found = read(ensemble.spins)
    two_point = rg.two_point(ensemble).value
    for r in (1, 2, 4, 8):
        assert found[f"G{r}"] == pytest.approx((two_point[r, 0] + two_point[0, r]) / 2, rel=1e-5)
    error = errors(ensemble.spins)["xi"]
    assert error < 0.05 * 16
    assert abs(found["xi"] - XI_OVER_L * 16) < 4 * error + 0.01 * 16


@pytest.mark.parametrize(
    ("pattern", "chi", "xi"), [("up", 64, math.inf), ("checkerboard", 0, 0), ("halves", 0, 0), ("one down", None, None)]
)
def test_configurations_without_noise(pattern, chi, xi):
    v = np.ones((3, 8, 8), np.int8)
    if pattern == "checkerboard":
        v[:, (np.arange(8)[:, None] + np.arange(8)) % 2 == 1] = -1
    elif pattern == "halves":
        v[:, 4:] = -1
    elif pattern == "one down":
        v[:, 2, 3] = -1
        chi = 62**2 / 64
        xi = second_moment(chi, 4 / 64, 8)
    found = read(v)
    assert found["chi"] == pytest.approx(chi, abs=1e-5)
    assert found["xi"] == pytest.approx(xi, rel=1e-5)


def test_aligned_spins_have_an_infinite_length():
    """At L = 7 the Fourier sum of equal spins is not 0 but rounding."""
    assert 0 < curves.correlation_along_axes(jnp.ones((3, 7, 7)))[1] < 1e-9
    assert read(np.ones((3, 7, 7), np.int8))["xi"] == math.inf


# --- singular values


@pytest.mark.parametrize("shape", [(16, 4), (4, 16), (9, 9), (256, 64)])
def test_singular_values_are_those_of_numpy(rng, shape):
    w = rng.standard_normal(shape)
    exact = np.linalg.svd(w, compute_uv=False)
    found = {name: float(x) for name, x in singular_values(jnp.asarray(w, jnp.float32)).items()}
    assert found == pytest.approx({"sv_1": exact[0], "sv_2": exact[1], "sv_median": np.median(exact)}, rel=2e-4)


def test_singular_values_of_a_learnt_mode(rng):
    """One strong direction, 100 above a small bulk: √ of the Gram matrix's eigenvalues still resolves the bulk."""
    u, v = np.linalg.qr(rng.standard_normal((64, 16)))[0], np.linalg.qr(rng.standard_normal((16, 16)))[0]
    w = u @ np.diag([100.0, 2.0, *np.full(14, 1.0)]) @ v.T
    found = {name: float(x) for name, x in singular_values(jnp.asarray(w, jnp.float32)).items()}
    assert found == pytest.approx({"sv_1": 100, "sv_2": 2, "sv_median": 1}, rel=1e-2)


def test_one_hidden_unit_has_one_singular_value():
    found = singular_values(jnp.full((16, 1), 0.5))
    assert {name: float(x) for name, x in found.items()} == pytest.approx({"sv_1": 2, "sv_median": 2})
    assert all(float(x) == 0 for x in singular_values(jnp.zeros((4, 4))).values())


# --- the reader


FIT = {"step", "reconstruction", "pseudo_likelihood", "weights_sd"}
LOCALISATION = {"participation_w", "participation_w_25", "participation_w_75"}


def test_a_reading_is_of_the_model_beside_the_data(critical8, rng):
    """All 300 configurations are chosen, in another order; a thousand of more."""
    data, model = critical8.spins[:300].reshape(300, -1), reference.random_spins(rng, 50, 8).reshape(50, -1)
    rbm = rg.untrained_rbm(64, 16)
    found = reader_of(data).read(rbm.parameters, 7, jnp.asarray(model, jnp.float32))
    names = LATTICE | {"G1", "G2", "G4"}
    expected = {f"{name}_{kind}" for name in names for kind in ("model", "data")} | {"sv_1", "sv_2", "sv_median"}
    assert set(found) == expected | FIT | LOCALISATION | {"spread_w"}
    assert found.pop("step") == 7
    assert all(type(value) is float for value in found.values())
    for v, kind in ((model, "model"), (data, "data")):
        for name, value in read(v).items():
            assert found[f"{name}_{kind}"] == pytest.approx(value, rel=1e-5)
    assert found["u_data"] < -1 < found["u_model"]
    assert found["sv_1"] == pytest.approx(np.linalg.norm(rbm.weights, 2), rel=1e-4)
    assert found["weights_sd"] == pytest.approx(np.sqrt((rbm.weights.astype(float) ** 2).mean()), rel=1e-5)


@pytest.mark.parametrize("visible", [1, 24, 63])
def test_off_the_lattice_only_what_needs_no_places_is_read(rng, visible):
    v = 2 * rng.integers(0, 2, (30, visible), dtype=np.int8) - 1
    found = reader_of(v).read(rg.untrained_rbm(visible, 6).parameters, 0, jnp.asarray(v))
    values = {"sv_1", "sv_median"} if visible == 1 else {"sv_1", "sv_2", "sv_median"}
    assert set(found) == {"abs_m_model", "abs_m_data"} | values | FIT | LOCALISATION
    assert found["abs_m_model"] == pytest.approx(np.abs(v.mean(axis=1)).mean(), rel=1e-6)
    assert found["abs_m_data"] == pytest.approx(found["abs_m_model"], rel=1e-6)


def test_readings_compile_once(monkeypatch):
    traced = []
    original = curves.singular_values
    monkeypatch.setattr(curves, "singular_values", lambda w: traced.append(w.shape) or original(w))
    v = jnp.ones((5, 49))
    reader = reader_of(np.ones((5, 49), np.int8))
    weak = jax.jit(lambda v: jnp.where(v > 0, 1.0, -1.0))(v)  # the type of chains that come from a sampler
    for seed, chains in enumerate((v, -v, v.astype(jnp.int8), weak)):
        reader.read(rg.untrained_rbm(49, 5, seed).parameters, seed, chains)
    assert weak.weak_type
    assert traced == [(49, 5)]
