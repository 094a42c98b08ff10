"""Finite-size scaling: against data of known exponents, against exact moments, with errors that cover."""

import json
import math

import numpy as np
import pytest
from scipy import optimize

import rgstep as rg
from rgstep import cli, data_collapse, scaling, sizes
from rgstep.exact import torus

SIDES = (8, 16, 32, 64)
EXACT = (4, 5, 6, 8)  # sides whose moments are known by transfer matrices


def pulls(values, errors, truth):
    """How many standard errors estimates are from the truth: their mean and spread must be 0 and 1."""
    return (np.asarray(values) - truth) / np.asarray(errors)


def fair(z):
    """Whether pulls are those of a standard normal law, by their mean and their mean square, each within 3.5 σ."""
    n = len(z)
    return abs(z.mean()) < 3.5 / math.sqrt(n) and abs((z**2).mean() - 1) < 3.5 * math.sqrt(2 / n)


# --- power laws


def test_a_power_law_is_found():
    L = np.array(SIDES, float)
    found = rg.power_law(L, -3.0 * L**1.75, 0.01 * L**1.75)
    assert found.exponent.value == pytest.approx(1.75)
    assert found.amplitude.value == pytest.approx(-3.0)
    assert (found.dof, found.window, found.remark) == (2, (8.0, 64.0), "")
    assert found.chi2 == pytest.approx(0, abs=1e-12)


def power_pulls(claimed):
    rng, L = np.random.default_rng(1), np.repeat(SIDES, 2).astype(float)
    fits = [
        rg.power_law(L, L**-0.125 * (1 + 0.01 * rng.normal(size=8)), 0.01 * claimed * L**-0.125) for _ in range(200)
    ]
    chi2 = np.mean([fit.chi2 for fit in fits])
    return pulls([f.exponent.value for f in fits], [f.exponent.error for f in fits], -0.125), chi2


def test_errors_of_power_laws_cover():
    z, chi2 = power_pulls(1.0)
    assert fair(z)
    assert abs(chi2 - 6) < 4 * math.sqrt(12 / 200)
    broken, chi2 = power_pulls(0.7)  # errors that are claimed too small
    assert not fair(broken)
    assert chi2 > 10


def test_the_window_leaves_sizes_out():
    L = np.array(SIDES, float)
    bent = L**0.5 * (1 + 3 / L**2)
    wide, narrow = (rg.power_law(L, bent, 1e-3 * bent, w) for w in (None, (16, 64)))
    assert wide.window, narrow.window == ((8, 64), (16, 64))
    assert "do not follow a power law" in wide.remark
    assert abs(narrow.exponent.value - 0.5) < abs(wide.exponent.value - 0.5) / 2
    table = sizes.Table(L, np.full(4, 2.0), bent, 3e-3 * bent)
    assert scaling.widest_window(table).window == (16, 64)


@pytest.mark.parametrize(
    ("values", "errors", "window", "says"),
    [
        ([1, 2, 3], [1, 1, 1], (64, 128), "sizes has 0 different ones in the window 64 … 128"),
        ([1, -2, 3], [1, 1, 1], None, "values of one sign"),
        ([1, 2, 3], [1, 0, 1], None, "errors contains 0"),
        ([1, 2], [1, 1, 1], None, "sizes has 3, values has 2, errors has 3 points"),
        ([1, math.nan, 3], [1, 1, 1], None, "values contains nan"),
        ([1, 2, 3], [1, 1, 1], (8, 8), "two sizes"),
    ],
)
def test_power_laws_say_what_is_wrong(values, errors, window, says):
    with pytest.raises(rg.InputError, match=says):
        rg.power_law([8, 16, 32], values, errors, window)


def test_what_a_power_law_rests_on_is_said():
    assert "two points" in rg.power_law([8, 16], [1, 2], [0.01, 0.01]).remark
    assert "rough" in rg.power_law([8, 16, 32], [1, 2, 4], [0.5, 0.5, 0.5]).remark


# --- crossings, against exact moments


def exact_table(error, rng=None, sides=EXACT, low=2.18, high=2.36):
    """U₄ of small tori, exact but for errors that are drawn."""
    L, T = np.repeat(sides, 7).astype(float), np.tile(np.linspace(low, high, 7), len(sides))
    exact = np.array([torus.magnetisation_moments(int(l), 1 / t).binder for l, t in zip(L, T, strict=True)])
    noise = 0.0 if rng is None else error * rng.normal(size=len(L))
    return sizes.Table(L, T, exact + noise, np.full(len(L), error))


@pytest.fixture(scope="module")
def exact_moments():
    return exact_table(1e-4)


def exact_crossing(a, b):
    return optimize.brentq(
        lambda t: torus.magnetisation_moments(a, 1 / t).binder - torus.magnetisation_moments(b, 1 / t).binder,
        2.19,
        2.35,
    )


def test_crossings_are_where_the_exact_curves_cross(exact_moments):
    found = rg.crossings(*exact_moments)
    for pair in found.pairs:
        assert pair.temperature.value == pytest.approx(exact_crossing(*map(int, pair.sizes)), abs=3e-4)
    assert [pair.sizes for pair in found.pairs] == [(4, 5), (5, 6), (6, 8)]
    assert found.critical_temperature.value == pytest.approx(rg.CRITICAL_TEMPERATURE, abs=0.01)
    swapped = exact_moments._replace(sizes=12 - exact_moments.sizes)  # the twin: curves of other sizes
    wrong = rg.crossings(*swapped)
    assert abs(wrong.critical_temperature.value - rg.CRITICAL_TEMPERATURE) > 0.02


def crossing_pulls(exact, claimed):
    """Pulls of the crossing of 4 and 8, which is known, with values drawn anew."""
    rng, truth = np.random.default_rng(2), exact_crossing(4, 8)
    last = sizes.Table(*(column[(exact.sizes == 4) | (exact.sizes == 8)] for column in exact))
    drawn = [last.values + 2e-4 * rng.normal(size=len(last.values)) for _ in range(100)]
    errors = np.full(len(last.values), 2e-4 * claimed)
    found = [rg.crossings(last.sizes, last.temperatures, y, errors, degree=4).pairs[0].temperature for y in drawn]
    return pulls([T.value for T in found], [T.error for T in found], truth)


def test_errors_of_crossings_cover(exact_moments):
    assert fair(crossing_pulls(exact_moments, 1.0))
    assert not fair(crossing_pulls(exact_moments, 0.6))


def test_the_same_seed_gives_the_same_errors(exact_moments):
    one, same, other = (rg.crossings(*exact_moments, seed=seed).critical_temperature.error for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t._replace(sizes=np.full(len(t.sizes), 8.0)), "sizes has 1 different one"),
        (lambda t: t._replace(values=t.values + t.sizes), "do not cross between T = 2.18 and 2.36"),
        (lambda t: t._replace(errors=1e3 * t.errors), "errors are too large"),
        (lambda t: sizes.Table(*(c[::3] for c in t)), "a polynomial of degree 3 needs 4"),
        (lambda t: t._replace(temperatures=t.temperatures + (t.sizes > 4)), "no range in common"),
    ],
)
def test_crossings_say_what_is_wrong(exact_moments, change, says):
    with pytest.raises(rg.InputError, match=says):
        rg.crossings(*change(exact_moments))


def test_remarks_of_crossings(exact_moments):
    pair = sizes.Table(*(column[exact_moments.sizes > 5] for column in exact_moments))
    assert "one pair of sizes" in rg.crossings(*pair).remark
    assert "of the polynomial at L = 4" in rg.crossings(*exact_moments, degree=1).remark


# --- data collapse

TRUE_T, TRUE_NU, TRUE_A = 2.3, 0.9, -0.2


def synthetic(rng, sharper=1.0, points=6):
    """O = L^a f((K_c − K) L^{1/ν}) with errors; `sharper` bends f differently at each size."""
    L = np.repeat(SIDES, points).astype(float)
    x = np.tile(np.linspace(-1.5, 1.5, points), len(SIDES))
    T = 1 / (1 / TRUE_T - x / L**TRUE_NU)
    bend = np.where(L < 20, sharper, 1.0)
    O = L**TRUE_A / (1 + np.exp(2 * x * bend))
    error = 0.01 * L**TRUE_A * np.ones_like(O)
    return L, T, O + error * rng.normal(size=len(O)), error


def collapse_pulls():
    rng = np.random.default_rng(3)
    found = [rg.collapse(*synthetic(rng)) for _ in range(16)]
    truth = {"critical_temperature": TRUE_T, "inverse_nu": TRUE_NU, "exponent": TRUE_A}
    return {
        name: pulls([getattr(f, name).value for f in found], [getattr(f, name).error for f in found], value)
        for name, value in truth.items()
    }, found


def test_a_collapse_finds_what_was_put_in_with_errors_that_cover():
    z, found = collapse_pulls()
    for name, each in z.items():
        assert fair(each), name
    assert np.mean([f.chi2 / f.dof for f in found]) == pytest.approx(1, abs=0.2)
    assert max(f.critical_temperature.error for f in found) < 0.01
    assert sum(bool(f.remark) for f in found) <= 2  # one in a hundred by chance


def test_curves_that_do_not_collapse_are_found_out():
    """The twin: at the small sizes f is another function."""
    rng, said = np.random.default_rng(3), []
    for _ in range(4):
        try:
            found = rg.collapse(*synthetic(rng, sharper=2.0))
            said.append("scatter of its own" in found.remark and found.scatter > 0)
        except rg.InputError as error:
            said.append("no minimum" in str(error))
    assert all(said)


def test_the_gradient_is_that_of_the_likelihood():
    rng = np.random.default_rng(4)
    for exponent, at in ((None, [0.1, 0.9, -0.3, 0.2, -0.4, -1.0]), (0.3, [0.1, 0.9, 0.2, -0.4, -1.0])):
        L, T = np.repeat([0.25, 0.5, 1.0], 6), np.tile(np.linspace(-1, 1, 6), 3)
        points = data_collapse.Points(L, T, rng.normal(size=18), np.full(18, 0.3), exponent, True)
        x, value = np.array(at), lambda p, points=points: data_collapse.minus_log_likelihood(p, points)[0]
        numeric = [(value(x + 1e-5 * u) - value(x - 1e-5 * u)) / 2e-5 for u in np.eye(len(x))]
        np.testing.assert_allclose(data_collapse.minus_log_likelihood(x, points)[1], numeric, rtol=1e-6)


def test_the_likelihood_is_that_of_a_normal_law():
    """Against the density from its definition, up to the constant."""
    points = data_collapse.Points(
        np.array([0.5, 1.0, 1.0]), np.array([-1.0, 0.2, 1.0]), np.array([0.3, 0.5, 0.9]), np.full(3, 0.1), None, False
    )
    x = np.array([0.1, 0.8, -0.3, 0.4, -0.2])
    X, scale = (points.T - 0.1) * points.L**0.8, points.L**-0.3
    C = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            smooth = 10 + math.exp(-((X[i] - X[j]) ** 2) / 2 / math.exp(-0.4))
            C[i, j] = scale[i] * scale[j] * math.exp(0.8) * smooth + (0.01 if i == j else 0)
    expected = (math.log(np.linalg.det(C)) + points.O @ np.linalg.inv(C) @ points.O) / 2
    assert data_collapse.minus_log_likelihood(x, points)[0] == pytest.approx(expected)


def test_units_do_not_matter():
    """T and O in other units give the same exponents, and T_c in its unit; K and T agree near T_c."""
    L, T, O, error = synthetic(np.random.default_rng(5))
    one, other = rg.collapse(L, T, O, error), rg.collapse(3 * L, 10 * T, 1e6 * O, 1e6 * error)
    assert other.critical_temperature.value == pytest.approx(10 * one.critical_temperature.value, rel=1e-5)
    assert other.inverse_nu.value == pytest.approx(one.inverse_nu.value, abs=1e-3)
    assert other.exponent.value == pytest.approx(one.exponent.value, abs=1e-3)
    assert other.exponent.error == pytest.approx(one.exponent.error, rel=0.02)
    in_T = rg.collapse(L, -1 / T, O, error, in_coupling=False)
    assert -1 / in_T.critical_temperature.value == pytest.approx(one.critical_temperature.value, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda L, T, O, e: (L[:11], T[:11], O[:11], e[:11]), "11 points: a collapse needs at least 12"),
        (lambda L, T, O, e: (L * 0 + 8, T, O, e), "sizes has 1 different one"),
        (lambda L, T, O, e: (L, T * 0 + 2, O, e), "temperatures are all the same"),
        (lambda L, T, O, e: (L, T, O * 0 + 2, e), "values are all the same"),
        (lambda L, T, O, e: (L, T - T.max(), O, e), "T above 0"),
    ],
)
def test_a_collapse_says_what_is_wrong(change, says):
    with pytest.raises(rg.InputError, match=says):
        rg.collapse(*change(*synthetic(np.random.default_rng(6))))


# --- tables from configurations, and from files


def test_moments_of_all_states_are_exact(critical4):
    """⟨|m|⟩, N⟨m²⟩ and U₄ by transfer matrices, and dU₄/dK as their derivative."""
    tables, K = rg.size_tables([critical4]), critical4.system.coupling
    exact = torus.magnetisation_moments(4, K)
    slope = (torus.magnetisation_moments(4, K + 1e-5).binder - torus.magnetisation_moments(4, K - 1e-5).binder) / 2e-5
    for name, truth in (("abs_m", exact.abs_m), ("chi", 16 * exact.m2), ("U4", exact.binder), ("U4_slope", slope)):
        table = tables[name]
        assert abs(table.values[0] - truth) < 4 * table.errors[0], name
        assert abs(table.values[0] - 1.1 * truth) > 4 * table.errors[0], name
    assert "U4_slope" not in rg.size_tables([critical4.unpack()])


def test_hidden_configurations_have_their_own_side(critical8):
    h = rg.Decimation().mean_h(critical8.unpack())
    table = rg.size_tables([h, critical8.unpack()], [2.0, 3.0])["abs_m"]
    assert list(table.sizes) == [4, 8]
    assert list(table.temperatures) == [2.0, 3.0]
    assert table.values[0] == pytest.approx(np.abs(h.mean(axis=(1, 2))).mean())


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_tables_are_read(tmp_path):
    long = write(
        tmp_path / "a.csv", "L, T, quantity, value, error\n16,2.0,U4,0.5,0.01\n8,2.0,U4,0.4,0.02\n8,,chi,3,1\n"
    )
    found = sizes.read_table(long)
    assert list(found["U4"].sizes) == [8, 16]
    assert list(found["U4"].errors) == [0.02, 0.01]
    assert found["chi"].temperatures[0] == rg.CRITICAL_TEMPERATURE
    short = write(tmp_path / "b.csv", "L,value,error\n8,1,0.1\n")
    assert sizes.read_table(short, "chi")["chi"].values[0] == 1
    both = sizes.merged([found, sizes.read_table(short, "chi")])
    assert list(both["chi"].values) == [3, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("L,T,value,error\n8,2,1,1\n", "quantity is missing; without a column quantity give --quantity"),
        ("L,quantity,error\n8,U4,1\n", "value is missing"),
        ("L,quantity,value,error\n", "no rows"),
        ("L,quantity,value,error\n8,U4,much,1\n", "line 2: value = 'much': must be a finite number"),
        ("L,quantity,value,error\n8,U4,1\n", "line 2: error = None"),
        ("L,quantity,value,error\n8,U4,1,0\n", "error = 0 must both be above 0"),
        ("L,quantity,value,error\n8,,1,1\n", "the column quantity is empty"),
        ("", "is missing"),
    ],
)
def test_tables_that_cannot_be_read_say_why(tmp_path, text, says):
    with pytest.raises(rg.InputError, match=says) as caught:
        sizes.read_table(write(tmp_path / "a.csv", text))
    assert "a.csv" in str(caught.value)


# --- all together


@pytest.fixture(scope="module")
def critical_sets():
    return [rg.sample(L, samples=n, seed=7, mode="thin") for L, n in ((8, 8_000), (16, 8_000), (32, 4_000))]


def test_exponents_of_critical_configurations(critical_sets):
    found = rg.exponents(critical_sets)
    for name, exact in (("β/ν", 1 / 8), ("γ/ν", 7 / 4), ("1/ν", 1.0)):
        assert abs(found[name].value - exact) < 4 * found[name].error, name
        assert found[name].error < 0.1
    with pytest.raises(rg.InputError, match="one temperature only"):
        found["T_c"]
    with pytest.raises(rg.InputError, match="known: β/ν"):
        found["α/ν"]
    hot = rg.exponents([rg.sample(L, 3.0, 2_000, seed=1) for L in (8, 16, 32)], 3.0)  # the twin
    assert abs(hot["γ/ν"].value - 7 / 4) > 20 * hot["γ/ν"].error


def test_exponents_of_hidden_configurations(critical_sets):
    """h of the majority rule scales like the spins; that of independent coins does not."""
    h = [rg.Majority().sample_h(v.unpack(), np.random.default_rng(0)) for v in critical_sets]
    found = rg.exponents(h)
    assert abs(found["β/ν"].value - 1 / 8) < 4 * found["β/ν"].error
    coins = [np.random.default_rng(0).choice([-1, 1], v.shape).astype(np.int8) for v in h]
    assert rg.exponents(coins)["β/ν"].value == pytest.approx(1, abs=0.1)


def test_t_c_and_nu_from_exact_tables():
    """Corrections of sides up to 8 are seen, and said; T_c comes within two percent all the same."""
    found = rg.exponents({"U4": exact_table(2e-3, np.random.default_rng(8))})
    assert abs(found["T_c"].value / rg.CRITICAL_TEMPERATURE - 1) < 0.02
    assert [row.remark for row in found.rows if row.name == "β/ν"] == ["no abs_m in the data"]
    assert "Ising 2.269185" in str(found)


@pytest.fixture
def run(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli.app, ["exponents", *map(str, arguments)])


def test_the_command_reads_files_folders_and_tables(run, tmp_path, critical_sets):
    (tmp_path / "sets").mkdir()
    for v in critical_sets[:2]:
        rg.save(tmp_path / "sets" / f"L{v.system.size}.npz", v)
    table = sizes.size_tables(critical_sets[2:])
    rows = [f"{t.sizes[0]},{t.temperatures[0]},{q},{t.values[0]},{t.errors[0]}" for q, t in table.items()]
    write(tmp_path / "L32.csv", "L,T,quantity,value,error\n" + "\n".join(rows) + "\n")
    done = run("sets", "L32.csv", "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    printed = {row["name"]: row for row in reversed(json.loads(done.stdout)["exponents"])}
    assert printed["γ/ν"]["value"] == pytest.approx(rg.exponents(critical_sets)["γ/ν"].value)
    assert printed["γ/ν"]["exact"] == 1.75
    assert printed["T_c"]["value"] is None
    text = run("sets", "--window", "8:16")
    assert "two points: nothing tests" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["absent.csv"], "absent.csv"),
        (["absent.npz"], "absent.npz"),
        (["."], "has no files .npz, .npy, "),
        (["a.csv", "--window", "8-64"], "window = '8-64': give the smallest and the largest size, 8:64"),
        (["a.csv", "--window", "64:8"], "two sizes, the smallest and the largest"),
        (["a.csv", "--temperature", "warm"], "temperature = 'warm'"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(run, tmp_path, arguments, says):
    if arguments[0] == "a.csv":
        write(tmp_path / "a.csv", "L,quantity,value,error\n8,U4,1,0.1\n")
    done = run(*arguments, "--quiet")
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("rgstep: ")
    assert says in line
