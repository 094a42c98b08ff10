"""The exact results against each other, their limits, and the tables measured in high precision."""

import itertools
import math

import closed_forms
import enumeration
import numpy as np
import pytest

from rgstep.arguments import InputError
from rgstep.exact import onsager, torus

KC = onsager.CRITICAL_COUPLING
TC = 1.0 / KC
INF = math.inf
COUPLINGS = [1e-6, 1e-3, 0.1, 0.3, KC, 0.5, 1.0, 1.499, 1.501, 2.5, 5.0]

# sampling.md section 4 (mpmath, 40 digits): T, L, f, u, c.
KAUFMAN = [
    (1.5, 4, -2.073470054223, -1.9506425614595, 0.200349872975),
    (1.5, 8, -2.024688862889, -1.9511154308549, 0.197296124566),
    (1.5, 32, -2.009458537740, -1.9511165730784, 0.197274540177),
    (2.0, 4, -2.138170889841, -1.7553802887774, 0.605532657210),
    (2.0, 8, -2.073268183726, -1.7456831702932, 0.714122602855),
    (2.0, 16, -2.057001644016, -1.7455306689909, 0.725508767737),
    (2.0, 32, -2.052939428935, -1.7455645270346, 0.724873978199),
    (TC, 4, -2.201381412966, -1.5656237876383, 0.783266825929),
    (TC, 8, -2.132388214643, -1.4915891074397, 1.145559239890),
    (TC, 16, -2.115326187918, -1.4530648528135, 1.498704959400),
    (TC, 32, -2.111069366919, -1.4336584661462, 1.846767590040),
    (TC, 64, -2.110005667038, -1.4239383898330, 2.192211393140),
    (TC, 128, -2.109739773152, -1.4190762720850, 2.536331335110),
    (3.0, 4, -2.490193772922, -1.0170696269551, 0.603134714254),
    (3.0, 8, -2.449753577792, -0.8413154278519, 0.483966471436),
    (3.0, 16, -2.447663966735, -0.8176893678696, 0.404332574165),
    (3.0, 32, -2.447648198541, -0.8173097389342, 0.401381947504),
    (5.0, 4, -3.678584487044, -0.4561353695429, 0.119546188787),
    (5.0, 8, -3.672667767374, -0.4283680589441, 0.097914171980),
    (5.0, 32, -3.672654061382, -0.4282288332404, 0.0976521775885),
]

# The same section: T, L, <|m|>, <m²>, U4, by enumeration (L = 4) and transfer matrix (L = 8).
MOMENTS = [
    (1.5, 4, 0.9861732978, 0.9753024931, 0.6639587030),
    (1.5, 8, 0.9864983455, 0.9738146703, 0.6658597329),
    (2.0, 4, 0.9189432674, 0.8689216816, 0.6448107912),
    (2.0, 8, 0.9114522661, 0.8416711846, 0.6546186493),
    (TC, 4, 0.8438604448, 0.7613589086, 0.6171993184),
    (TC, 8, 0.7773310928, 0.6469115750, 0.6130453849),
    (3.0, 4, 0.6012913260, 0.4509881408, 0.4805406601),
    (3.0, 8, 0.3460346133, 0.1703122090, 0.2798399026),
    (5.0, 4, 0.3427656276, 0.1751994781, 0.2078597651),
    (5.0, 8, 0.1696065801, 0.0446732508, 0.0568999266),
]


def close(value, expected, rel=0.0, abs_=0.0):
    return value == pytest.approx(expected, rel=rel, abs=abs_)


# --- the infinite lattice


def test_onsager_at_the_critical_point():
    assert close(KC, 0.440686793509772, rel=1e-14)
    assert onsager.energy(KC) == -math.sqrt(2.0)
    assert onsager.specific_heat(KC) == INF
    assert onsager.magnetisation(KC) == 0.0


def test_onsager_is_continuous_at_the_critical_point():
    for shift in (-1e-9, 1e-9):
        assert close(onsager.energy(KC + shift), -math.sqrt(2.0), abs_=1e-7)
        assert 8.0 < onsager.specific_heat(KC + shift) < 20.0  # −(8/π) K_c² ln|K − K_c| and a constant


def test_onsager_in_the_doubles_next_to_the_critical_point():
    """Each of 60 on either side: u is −√2, c its leading logarithm; `1 / T_c` as a user writes it is one of them.

    c ≈ (8/π) K_c² [ln(√2/|K − K_c|) − 1 − π/4] (Onsager 1944), but for the rounding of sinh 2K − 1.
    """
    couplings = [KC]
    for _ in range(60):
        couplings = [math.nextafter(couplings[0], 0.0), *couplings, math.nextafter(couplings[-1], 1.0)]
    assert 1.0 / (1.0 / KC) in couplings
    for coupling in couplings:
        assert close(onsager.energy(coupling), -math.sqrt(2.0), abs_=4e-13)
        assert 0.0 <= onsager.magnetisation(coupling) < 0.03
        if coupling != KC:
            distance = abs(coupling - KC + 1.1252729464129331e-17)  # K_c is not a double
            logarithm = 8 / math.pi * KC**2 * (math.log(math.sqrt(2) / distance) - 1 - math.pi / 4)
            assert close(onsager.specific_heat(coupling), logarithm, abs_=0.2)
    assert close(onsager.specific_heat(math.nextafter(KC, 0.0)), 17.9110311971187, abs_=1e-8)  # mpmath, 40 digits


def test_onsager_limits():
    for f in (onsager.energy, onsager.specific_heat, onsager.magnetisation):
        assert f(0.0) == 0.0
    assert (onsager.energy(INF), onsager.specific_heat(INF), onsager.magnetisation(INF)) == (-2.0, 0.0, 1.0)
    assert (onsager.energy(1e200), onsager.specific_heat(1e200), onsager.magnetisation(1e200)) == (
        -2.0,
        0.0,
        1.0,
    )
    assert close(onsager.energy(1e-9), -2e-9, rel=1e-14)
    assert close(onsager.specific_heat(1e-9), 2e-18, rel=1e-14)
    assert close(onsager.specific_heat(5.0), 64 * 25 * math.exp(-40.0), rel=1e-7)


@pytest.mark.parametrize(
    ("temperature", "u", "c"),
    [(2.0, -1.7455645753126, 0.724871448602), (3.0, -0.8173095925024, 0.401379575896)],
)
def test_onsager_table(temperature, u, c):
    assert close(onsager.energy(1 / temperature), u, abs_=1e-13)
    assert close(onsager.specific_heat(1 / temperature), c, abs_=1e-12)


def test_yang_magnetisation_table():
    assert close(onsager.magnetisation(0.5), 0.911319377877, abs_=1e-12)


@pytest.mark.parametrize("limit", [-0.25 * math.log(onsager.EXPANSION_LIMIT), math.atanh(math.exp(-3.0))])
def test_onsager_closed_form_meets_its_expansion(limit):
    below, above = limit * (1 - 1e-13), limit * (1 + 1e-13)
    assert close(onsager.energy(below), onsager.energy(above), rel=2e-12)
    assert close(onsager.specific_heat(below), onsager.specific_heat(above), rel=1e-11)


# --- the torus


@pytest.mark.parametrize(("temperature", "size", "f", "u", "c"), KAUFMAN)
def test_kaufman_table(temperature, size, f, u, c):
    coupling = KC if temperature == TC else 1 / temperature
    assert close(-torus.log_partition(size, coupling) / (coupling * size**2), f, abs_=2e-12)
    assert close(torus.energy(size, coupling), u, abs_=2e-13)
    assert close(torus.specific_heat(size, coupling), c, abs_=6e-12)  # at T_c the table has eleven decimals


def test_log_partition_at_criticality_table():
    # reference.md section 2
    assert close(torus.log_partition(16, KC), 238.64225663513287, rel=1e-15)
    assert close(torus.log_partition(32, KC), 952.6480795485427, rel=1e-15)
    assert close(torus.log_partition(4, KC), 15.521915459, abs_=1e-9)
    assert close(torus.nn_correlation(4, KC), 0.782811894, abs_=1e-9)
    assert close(torus.log_partition(512, KC) - 512**2 * 0.92969539834161, 0.6399119, abs_=1e-5)
    assert close(math.log(2**0.25 + 2**-0.5), 0.6399119, abs_=1e-7)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_kaufman_equals_enumeration(size, coupling):
    energies = enumeration.energies(size).astype(float)
    n = size * size
    # Excitations, not energies: at large K the variance is a small difference otherwise.
    mean = float(enumeration.expectation(energies, size, coupling))
    excitation = energies - energies.min()
    mean_excitation = float(enumeration.expectation(excitation, size, coupling))
    variance = float(enumeration.expectation((excitation - mean_excitation) ** 2, size, coupling))
    assert close(torus.log_partition(size, coupling), enumeration.log_partition(size, coupling), rel=1e-14)
    assert close(torus.energy(size, coupling), mean / n, rel=1e-11, abs_=1e-15)
    assert close(torus.specific_heat(size, coupling), coupling**2 * variance / n, rel=6e-11)


@pytest.mark.parametrize("coupling", [0.01, 0.2, KC, 0.6, 1.6])
def test_kaufman_of_side_two_counts_each_bond_twice(coupling):
    states = np.array(list(itertools.product([-1, 1], repeat=4))).reshape(-1, 2, 2)
    energy = -2 * (states[:, 0] * states[:, 1]).sum(1) - 2 * (states[..., 0] * states[..., 1]).sum(1)
    weights = np.exp(-coupling * energy)
    assert close(torus.log_partition(2, coupling), math.log(weights.sum()), rel=1e-13)
    assert close(torus.energy(2, coupling), energy @ weights / weights.sum() / 4, rel=1e-12)


@pytest.mark.parametrize("size", [5, 16, 64])
@pytest.mark.parametrize("coupling", [0.2, 0.43, KC, 0.45, 0.8, 1.7])
def test_derivatives_are_those_of_the_log_partition(size, coupling):
    # Five-point differences; the step balances truncation against the rounding of ln Z.
    h, n = 2e-3 / size, size * size
    log_z = [torus.log_partition(size, coupling + k * h) for k in (-2, -1, 1, 2)]
    slope = (log_z[0] - 8 * log_z[1] + 8 * log_z[2] - log_z[3]) / (12 * h)
    assert close(torus.energy(size, coupling), -slope / n, abs_=1e-9)
    u = [torus.energy(size, coupling + k * h) for k in (-2, -1, 1, 2)]
    slope = (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)
    assert close(torus.specific_heat(size, coupling), -(coupling**2) * slope, abs_=1e-8)


@pytest.mark.parametrize("coupling", [0.05, 0.2, 1 / 3, 0.6, 1.0, 2.0, 4.0])
def test_large_torus_equals_infinite_lattice_off_criticality(coupling):
    assert close(torus.energy(128, coupling), onsager.energy(coupling), rel=1e-12)
    assert close(torus.specific_heat(128, coupling), onsager.specific_heat(coupling), rel=1e-11)


@pytest.mark.parametrize("limit", [torus.HOT_LIMIT, -0.25 * math.log(onsager.EXPANSION_LIMIT)])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7, 8, 33])
def test_kaufman_meets_its_expansions(size, limit):
    below, above = limit * (1 - 1e-13), limit * (1 + 1e-13)
    for f in (torus.log_partition, torus.energy, torus.specific_heat):
        assert close(f(size, below), f(size, above), rel=1e-10)


def test_torus_is_smooth_through_the_critical_point():
    # γ_0 changes sign there; the branch below ends and the branch above begins.
    for f in (torus.log_partition, torus.energy, torus.specific_heat):
        values = [f(16, KC + k * 1e-13) for k in (-2, -1, 0, 1, 2)]
        assert max(values) - min(values) < 1e-9


def test_energy_at_criticality_tends_to_onsager_as_one_over_size():
    excess = [-math.sqrt(2) - torus.energy(size, KC) for size in (256, 512, 1024)]
    assert close(excess[0] / excess[1], 2.0, rel=1e-4)
    assert close(excess[1] / excess[2], 2.0, rel=1e-4)


@pytest.mark.parametrize("size", [2, 3, 16, 1024])
def test_torus_limits(size):
    n = size * size
    assert close(torus.log_partition(size, 0.0), n * math.log(2.0), rel=1e-15)
    assert torus.energy(size, 0.0) == 0.0
    assert torus.specific_heat(size, 0.0) == 0.0
    assert (torus.log_partition(size, INF), torus.energy(size, INF)) == (INF, -2.0)
    assert (torus.specific_heat(size, INF), torus.specific_heat(size, 1e200)) == (0.0, 0.0)
    assert torus.nn_correlation(size, INF) == 1.0
    assert close(torus.log_partition(size, 12.0), 24.0 * n + math.log(2.0), rel=1e-15)


# --- the two-point function on the torus


def test_two_point_shape_reference_ratio():
    ratio = torus.two_point_shape(0.5, 0.0) / torus.two_point_shape(0.5, 0.5)
    assert close(float(ratio), 1.02437, abs_=5e-6)


def test_two_point_shape_has_the_symmetries_of_the_square_torus():
    x, y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 100))
    f = torus.two_point_shape(x, y)
    for image in ((y, x), (-x, y), (x + 1, y - 2), (x, -y)):
        np.testing.assert_allclose(torus.two_point_shape(*image), f, rtol=1e-13)


def test_two_point_shape_at_short_distance():
    assert close(float(torus.two_point_shape(0.0, 1e-4)), 10.0, rel=1e-3)  # |z|^(-1/4)
    assert torus.two_point_shape(0.0, 0.0) == INF
    assert torus.two_point_shape(np.zeros((3, 1)), np.full(5, 0.25)).shape == (3, 5)


@pytest.mark.parametrize("site", [(2, 0), (2, 1), (2, 2)])
def test_two_point_shape_describes_a_small_torus(site):
    # ⟨s_0 s_r⟩ → 0.70338 |r|^(-1/4) on the infinite lattice (Wu 1966); at L = 4 lattice corrections are 2 %.
    row, column = site
    s = enumeration.states(4).astype(float)
    exact = float(enumeration.expectation(s[:, 0, 0] * s[:, row, column], 4, KC))
    scaling = 0.70338 * 4**-0.25 * float(torus.two_point_shape(row / 4, column / 4))
    assert close(exact, scaling, rel=0.025)


# --- enumeration


def test_states_are_all_different_and_read_only():
    for size in (3, 4):
        s = enumeration.states(size)
        assert s.shape == (2 ** (size * size), size, size)
        assert s.dtype == np.int8
        assert len(np.unique(s.reshape(len(s), -1), axis=0)) == len(s)
        assert not s.flags.writeable
        assert s is enumeration.states(size)


def test_number_of_states_at_each_energy():
    # The 4×4 histogram: E = −32, −24, −20, …, symmetric in E.
    values, counts = np.unique(enumeration.energies(4), return_counts=True)
    assert values.tolist() == [-32, *range(-24, 25, 4), 32]
    assert counts.tolist()[:8] == [2, 32, 64, 424, 1728, 6688, 13568, 20524]


@pytest.mark.parametrize("size", [3, 4])
def test_enumeration_limits(size):
    p = enumeration.probabilities(size, 0.0)
    np.testing.assert_allclose(p, 2.0 ** -(size * size), rtol=1e-13)
    for coupling in (INF, 1e6):
        p = enumeration.probabilities(size, coupling)
        assert (p[0], p[-1], p.sum()) == (0.5, 0.5, 1.0)
    assert enumeration.log_partition(size, INF) == INF
    assert close(enumeration.log_partition(size, 0.0), size * size * math.log(2), rel=1e-14)


def test_expectation_keeps_trailing_axes():
    s = enumeration.states(3)
    assert enumeration.expectation(s, 3, 0.4).shape == (3, 3)
    np.testing.assert_allclose(enumeration.expectation(s, 3, 0.4), 0.0, atol=1e-15)
    assert close(float(enumeration.expectation(np.ones(512), 3, 0.4)), 1.0, rel=1e-14)


@pytest.mark.parametrize("coupling", [0.0, KC, INF])
def test_visible_hidden_of_the_average_rule(coupling):
    def average(v):
        return v.reshape(-1, 2, 2, 2, 2).mean(axis=(2, 4))

    s = enumeration.states(4).astype(float)
    p = enumeration.probabilities(4, coupling)
    nn, diagonal = (float(p @ (s[:, 0, 0] * s[:, r, c])) for r, c in ((0, 1), (1, 1)))
    vh = enumeration.visible_hidden(average, 4, coupling)
    assert vh.shape == (4, 4, 4)
    np.testing.assert_allclose(vh[0, :2, :2], closed_forms.average_own_block(nn, diagonal), rtol=1e-12)
    np.testing.assert_allclose(vh[3], np.roll(vh[0], (2, 2), (0, 1)), atol=1e-12)


def test_visible_hidden_of_a_dense_map():
    weights = np.random.default_rng(1).normal(size=(16, 3))
    s = enumeration.states(4).reshape(-1, 16)
    h = np.tanh(s @ weights)
    direct = np.einsum("s,sa,si->ai", enumeration.probabilities(4, 0.3), h, s).reshape(3, 4, 4)
    streamed = enumeration.visible_hidden(lambda v: np.tanh(v.reshape(-1, 16) @ weights), 4, 0.3)
    np.testing.assert_allclose(streamed, direct, rtol=1e-12, atol=1e-14)


# --- the law of the magnetisation


@pytest.mark.parametrize(("temperature", "size", "abs_m", "m2", "binder"), MOMENTS)
def test_moments_table(temperature, size, abs_m, m2, binder):
    moments = torus.magnetisation_moments(size, KC if temperature == TC else 1 / temperature)
    assert close(moments.abs_m, abs_m, abs_=1e-10)
    assert close(moments.m2, m2, abs_=1e-10)
    assert close(moments.binder, binder, abs_=1e-10)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("coupling", [0.0, 0.1, KC, 1.0, 50.0, INF])
def test_transfer_equals_enumeration(size, coupling):
    values, p = torus.magnetisation_law(size, coupling)
    magnetisation = enumeration.states(size).sum(axis=(1, 2))
    weights = enumeration.probabilities(size, coupling)
    expected = np.array([weights[magnetisation == value].sum() for value in values])
    np.testing.assert_allclose(p, expected, atol=1e-14)
    np.testing.assert_array_equal(p, p[::-1])


def test_free_spins_are_binomial():
    _, p = torus.magnetisation_law(8, 0.0)
    np.testing.assert_allclose(p, [math.comb(64, n) / 2**64 for n in range(65)], atol=1e-15)


def test_binder_at_criticality_tends_to_its_universal_value():
    # reference.md section 2: U4* = 0.61069
    distances = [torus.magnetisation_moments(size, KC).binder - 0.61069 for size in (4, 6, 8)]
    assert distances[0] > distances[1] > distances[2] > 0


# --- blocks


def test_block_constants():
    assert close(closed_forms.AVERAGE_OWN_BLOCK, 0.7627083, abs_=5e-8)
    assert close(closed_forms.MAJORITY_OWN_BLOCK, 0.8133689, abs_=5e-8)
    assert close(closed_forms.SUM_FOUR_PROBABILITY, 0.7120477, abs_=5e-8)
    assert close(closed_forms.SUM_TWO_PROBABILITY, 0.2026424, abs_=5e-8)
    assert close(closed_forms.TIE_PROBABILITY, 0.0853099, abs_=5e-8)
    assert np.allclose(closed_forms.DECIMATION_OWN_BLOCK, [[1, 2**-0.5], [2**-0.5, 2 / math.pi]], rtol=1e-15)


def test_block_constants_agree_with_each_other():
    average = closed_forms.average_own_block(closed_forms.NN_CORRELATION, closed_forms.DIAGONAL_CORRELATION)
    assert close(average, closed_forms.AVERAGE_OWN_BLOCK, rel=1e-15)
    majority = closed_forms.SUM_FOUR_PROBABILITY + closed_forms.SUM_TWO_PROBABILITY / 2
    assert close(majority, closed_forms.MAJORITY_OWN_BLOCK, rel=1e-15)
    assert close(closed_forms.NN_CORRELATION, -onsager.energy(KC) / 2, rel=1e-15)


# --- what is refused


@pytest.mark.parametrize("coupling", [-0.1, math.nan, -INF])
def test_couplings_refused(coupling):
    for call in (
        lambda: onsager.energy(coupling),
        lambda: onsager.specific_heat(coupling),
        lambda: onsager.magnetisation(coupling),
        lambda: torus.log_partition(8, coupling),
        lambda: enumeration.probabilities(3, coupling),
        lambda: torus.magnetisation_law(4, coupling),
    ):
        with pytest.raises(InputError, match=r"coupling = .*between 0"):
            call()


@pytest.mark.parametrize(
    ("function", "size", "message"),
    [
        (torus.energy, 1, "must be a whole number ≥ 2; try 2"),
        (enumeration.probabilities, 2, "each bond twice; use size = 3 or 4"),
        (enumeration.probabilities, 0, "must be a whole number ≥ 3"),
        (enumeration.probabilities, 5, r"2\^25 states; use size = 3 or 4, or"),
        (torus.magnetisation_law, 2, "each bond twice; use a size from 3 to 10"),
        (torus.magnetisation_law, 11, r"2\^11 rows; use size ≤ 10, or sample"),
    ],
)
def test_sizes_refused(function, size, message):
    with pytest.raises(InputError, match=message):
        function(size, 0.4)


def test_wrong_first_axis_refused():
    with pytest.raises(InputError, match="must run over 512 states"):
        enumeration.expectation(np.ones(10), 3, 0.4)
    with pytest.raises(InputError, match="must run over 512 states"):
        enumeration.visible_hidden(lambda v: v[:5].reshape(5, -1), 3, 0.4)
