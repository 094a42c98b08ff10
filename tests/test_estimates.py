"""Errors, autocorrelation times and their print against closed forms."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.signal import lfilter

from rgstep.estimates import (
    GROUPS,
    Estimate,
    Groups,
    autocorrelation_time,
    bracket,
    estimated,
    group_bounds,
    grouped_mean,
    jackknife,
    with_rest,
)


def ar1(rng, alpha, chains, length):
    """Return stationary chains x_{t+1} = α x_t + √(1 − α²) ξ_t of unit variance: ρ(t) = α^t, τ = ½ (1+α)/(1−α)."""
    noise = rng.normal(size=(chains, length))
    noise[:, 1:] *= math.sqrt(1 - alpha**2)
    return lfilter([1.0], [1.0, -alpha], noise, axis=1)


def tau_of(alpha):
    return 0.5 * (1 + alpha) / (1 - alpha)


# --- autocorrelation


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8, 0.9, 0.97])
def test_tau_of_ar1(rng, alpha):
    tau = autocorrelation_time(ar1(rng, alpha, 8, 20_000))
    assert tau.value == pytest.approx(tau_of(alpha), rel=0.1)
    assert abs(tau.value - tau_of(alpha)) < 4 * tau.error
    assert tau.error < 0.1 * tau.value


def tau_by_definition(series):
    """Return τ and its error from plain sums: the window is the first W with W ≥ 6τ, τ at least ½."""
    chains, length = series.shape
    mean = sum(map(sum, series.tolist())) / series.size

    def covariance(t):
        products = ((x[i] - mean) * (x[i + t] - mean) for x in series.tolist() for i in range(length - t))
        return sum(products) / (chains * (length - t))

    tau, variance = 0.5, covariance(0)
    for window in range(1, length):
        tau += covariance(window) / variance
        if window >= 6 * max(tau, 0.5):
            break
    value = max(tau, 0.5)
    return value, value * math.sqrt(2 * (2 * window + 1) / (chains * length))


@pytest.mark.parametrize(("alpha", "chains", "length"), [(0.0, 1, 60), (0.5, 3, 50), (0.9, 2, 300), (0.95, 1, 40)])
def test_tau_is_the_sum_of_its_definition(rng, alpha, chains, length):
    """To the last digits, the window and the error too: the last case is shorter than its window."""
    series = ar1(rng, alpha, chains, length)
    tau = autocorrelation_time(series)
    assert (tau.value, tau.error) == pytest.approx(tau_by_definition(series), rel=1e-9)


def test_the_window_is_wide_enough(rng):
    """A window of 6τ leaves out e^−6 of the sum, 0.2 %; one of 3τ would leave out 5 %, four times the error here."""
    tau = autocorrelation_time(ar1(rng, 0.9, 64, 20_000))
    assert tau.error < 0.015 * tau_of(0.9)
    assert tau.value == pytest.approx(tau_of(0.9), rel=0.02)


def test_the_error_of_tau_is_honest(rng):
    """The z-scores of 80 measurements spread as their errors say (Madras and Sokal's is good to 20 %)."""
    taus = [autocorrelation_time(ar1(rng, 0.8, 1, 8000)) for _ in range(80)]
    z = np.array([(tau.value - tau_of(0.8)) / tau.error for tau in taus])
    assert 0.7 < z.std() < 1.3
    assert abs(z.mean()) < 0.6  # the window cuts a part e^−6 off


def test_one_chain_is_a_row_of_chains(rng):
    x = ar1(rng, 0.5, 1, 4000)
    assert autocorrelation_time(x[0]).value == autocorrelation_time(x).value


def test_chains_share_one_mean(rng):
    """Chains stuck at different levels are correlated for as long as they last."""
    stuck = ar1(rng, 0.0, 8, 400) + 5.0 * np.arange(8)[:, None]
    assert autocorrelation_time(stuck).value > 50


def test_tau_is_never_below_one_half(rng):
    assert autocorrelation_time(ar1(rng, -0.5, 4, 20_000)).value == 0.5  # τ = 1/6: the errors stay those of white noise


@pytest.mark.parametrize("level", [0.0, -2.0, 0.1, 1e6 / 3])
def test_a_constant_series_has_no_memory(level):
    assert autocorrelation_time(np.full(1000, level)).value == 0.5


def test_tiny_numbers_have_a_tau_too(rng):
    x = ar1(rng, 0.8, 4, 10_000)
    assert autocorrelation_time(1e-9 * x).value == pytest.approx(autocorrelation_time(x).value, rel=1e-9)


# --- errors of means


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9])
def test_error_of_a_correlated_mean(rng, alpha):
    """error² = 2τσ²/N by contiguous groups, on average over 40 chains; the naive error is wrong."""
    length = 20_000
    means = [grouped_mean(x) for x in ar1(rng, alpha, 40, length)]
    error = math.sqrt(np.mean([mean.error**2 for mean in means]))
    assert error == pytest.approx(math.sqrt(2 * tau_of(alpha) / length), rel=0.08)
    assert 0.7 < np.std([mean.value / mean.error for mean in means]) < 1.35
    if alpha:
        assert error > 1.5 * math.sqrt(1 / length)


def test_jackknife_of_a_mean_is_the_standard_error(rng):
    x = rng.normal(size=(50, 3))
    left_out = [np.delete(x, k, axis=0).mean(axis=0) for k in range(50)]
    estimate = jackknife(x.mean(axis=0), left_out)
    np.testing.assert_allclose(estimate.value, x.mean(axis=0))
    np.testing.assert_allclose(estimate.error, x.std(axis=0, ddof=1) / math.sqrt(50))
    one_by_one = grouped_mean(x, groups=50)
    np.testing.assert_allclose(one_by_one.value, estimate.value)
    np.testing.assert_allclose(one_by_one.error, estimate.error)


def test_jackknife_of_a_ratio(rng):
    """Against first-order propagation of the errors of numerator and denominator, with their covariance."""
    n = 4000
    a, b = rng.multivariate_normal([2.0, 5.0], [[1.0, 0.6], [0.6, 1.0]], size=n).T
    ratio = a.mean() / b.mean()
    left_out = ((a.sum() - a[k]) / (b.sum() - b[k]) for k in range(n))
    estimate = jackknife(ratio, left_out)
    assert estimate.value == ratio
    assert estimate.error == pytest.approx(np.std((a - ratio * b) / b.mean(), ddof=1) / math.sqrt(n), rel=1e-3)


def test_jackknife_removes_the_bias_of_a_square(rng):
    """⟨x⟩² exceeds the square of the mean by σ²/n, which the jackknife takes off to the last digit."""
    x = rng.normal(size=20)
    left_out = [np.delete(x, k).mean() ** 2 for k in range(20)]
    assert jackknife(x.mean() ** 2, left_out).value == pytest.approx(x.mean() ** 2, rel=1e-15)
    corrected = jackknife(x.mean() ** 2, left_out, correct_bias=True)
    assert corrected.value == pytest.approx(x.mean() ** 2 - x.var(ddof=1) / 20, rel=1e-12)


def test_one_group_has_no_error():
    assert math.isnan(jackknife(1.0, [1.0]).error)
    alone = grouped_mean(np.array([3.0]))
    assert alone.value == 3.0
    assert math.isnan(alone.error)


def test_group_means_of_uneven_groups(rng):
    x = rng.normal(size=103)
    estimate = grouped_mean(x, groups=10)
    bounds = group_bounds(103, 10)
    rest = np.array([np.delete(x, np.s_[a:b]).mean() for a, b in bounds])
    assert estimate.value == pytest.approx(x.mean(), rel=1e-13)
    assert estimate.error == pytest.approx(math.sqrt(0.9 * ((rest - rest.mean()) ** 2).sum()), rel=1e-12)


def test_sums_of_small_integers_do_not_overflow():
    assert grouped_mean(np.full(1000, 100, np.int8)).value == 100.0


@given(samples=st.integers(1, 10_000), groups=st.integers(1, 300))
@example(samples=1, groups=64)
@example(samples=64, groups=64)
def test_groups_cover_the_samples(samples, groups):
    bounds = group_bounds(samples, groups)
    assert len(bounds) == min(samples, groups)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == samples
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    lengths = [stop - start for start, stop in bounds]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1


# --- groups of samples, and sets without one of them


def by_hand(values, bounds):
    """The mean of all samples, then of those without each group."""
    without = [np.delete(values, np.s_[a:b], axis=0).mean(axis=0) for a, b in bounds]
    return np.stack([values.mean(axis=0), *(without if len(bounds) > 1 else [])])


@pytest.mark.parametrize(("samples", "groups"), [(64, 64), (100, 64), (1000, 7), (5, 64), (2, 2)])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_means_of_all_sets_are_those_of_the_samples(rng, samples, groups, shape):
    values = rng.normal(size=(samples, *shape))
    found = Groups.of(samples, groups)
    assert list(found.bounds) == group_bounds(samples, groups)
    assert len(found) == min(samples, groups)
    np.testing.assert_array_equal(found.counts, [b - a for a, b in found.bounds])
    means = found.means(values)
    assert means.shape == (len(found) + 1, *shape)
    np.testing.assert_allclose(means, by_hand(values, found.bounds), rtol=1e-12)
    sums = np.stack([values[a:b].sum(axis=0) for a, b in found.bounds])
    np.testing.assert_allclose(found.over_counts(sums), means, rtol=1e-12)


def test_sums_with_the_rest_are_all_and_all_but_each(rng):
    sums = rng.normal(size=(5, 3))
    found = with_rest(sums)
    np.testing.assert_allclose(found[0], sums.sum(axis=0))
    for g in range(5):
        np.testing.assert_allclose(found[1 + g], np.delete(sums, g, axis=0).sum(axis=0))


def test_one_group_has_no_rest_and_no_error():
    groups = Groups.of(1)
    assert groups.means(np.array([3.0])).tolist() == [3.0]
    for estimate in (estimated(groups.means(np.array([3.0]))), grouped_mean(np.array([3.0]))):
        assert estimate.value == 3.0
        assert math.isnan(estimate.error)
    assert len(Groups.of(10)) == 10
    assert len(Groups.of(1000)) == GROUPS == 64


def test_groups_of_small_integers_do_not_overflow():
    values = np.full((1000, 2), 100, np.int8)
    np.testing.assert_array_equal(Groups.of(1000, 4).means(values), np.full((5, 2), 100.0))


def test_estimated_is_the_jackknife_of_its_sets(rng):
    """Of a nonlinear statistic, corrected for bias and not; a statistic of a mean alone has the standard error."""
    x = rng.normal(2.0, 1.0, size=(640, 3))
    groups = Groups.of(640)
    sets = groups.means(x) ** 2
    for correct in (False, True):
        found, expected = estimated(sets, correct), jackknife(sets[0], list(sets[1:]), correct)
        np.testing.assert_array_equal(found.value, expected.value)
        np.testing.assert_array_equal(found.error, expected.error)
    bias = 63 * (sets[1:].mean(axis=0) - sets[0])
    np.testing.assert_allclose(estimated(sets, correct_bias=True).value, sets[0] - bias)
    np.testing.assert_allclose(bias, x.var(axis=0) / 640, rtol=0.7)
    of_groups = x.reshape(64, 10, 3).mean(axis=1)
    np.testing.assert_allclose(estimated(groups.means(x)).error, of_groups.std(axis=0, ddof=1) / 8)


def covered(sets_of, repeats=400):
    """How often the truth, 1, is within one error of (mean of x)², x of mean 1."""
    rng = np.random.default_rng(11)
    found = [estimated(sets_of(rng.normal(1.0, 1.0, 512))) for _ in range(repeats)]
    return np.mean([abs(estimate.value - 1) < estimate.error for estimate in found])


def test_errors_of_sets_cover_the_truth():
    """68 % within one error, 4 σ of 400 repeats are 9 %."""
    groups = Groups.of(512)
    assert covered(lambda x: groups.means(x) ** 2) == pytest.approx(0.68, abs=0.09)


def test_sets_that_are_not_all_but_one_group_are_found_out():
    """The twins: the groups themselves in place of all but each, and left-out sums over the number of all samples."""
    groups = Groups.of(512)

    def of_each(x):
        sums = x.reshape(64, 8).sum(axis=1)
        return np.append(sums.sum() / 512, sums / 8) ** 2

    def over_all(x):
        return (with_rest(x.reshape(64, 8).sum(axis=1)) / 512) ** 2

    copies = Groups.of(4 * 512)
    assert covered(of_each) > 0.99  # 63 times too large
    assert covered(lambda x: copies.means(np.tile(x, 4)) ** 2) < 0.5  # copies in other groups: half as large
    x = np.random.default_rng(0).normal(1.0, 1.0, 512)
    right = estimated(groups.means(x) ** 2)
    assert estimated(over_all(x), correct_bias=True).value > right.value + 20 * right.error  # 63 times 2/64 too large


# --- print


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.9961, 0.0021, "0.9961(21)"),
        (-1.4142136, 0.00031, "-1.41421(31)"),
        (12.3, 1.5, "12.3(1.5)"),
        (123.4, 12.0, "123(12)"),
        (1234.5, 345.6, "1234(346)"),
        (0.5, 0.0996, "0.50(10)"),  # 9.96 hundredths are ten of them
        (5.0, 0.996, "5.0(10)"),
        (50.0, 9.96, "50(10)"),
        (2.0, 0.0, "2"),
        (1 / 3, math.nan, "0.333333(?)"),
        (math.nan, 0.1, "–"),
        (math.inf, 0.1, "inf"),
    ],
)
def test_bracket(value, error, text):
    assert bracket(value, error) == text
    assert str(Estimate(value, error)) == repr(Estimate(value, error)) == text


def parse(text):
    """Return value and error of `0.9961(21)`: the error counts the last digits, unless it has a point of its own."""
    value, error = re.fullmatch(r"(-?[\d.]+)\(([\d.]+)\)", text).groups()
    decimals = len(value.partition(".")[2])
    return float(value), float(error) if "." in error else int(error) * 10.0**-decimals


@given(value=st.floats(-1e6, 1e6), error=st.floats(-30, 6).map(lambda exponent: 10.0**exponent))
@example(value=1.0, error=1.0)
@example(value=1.0, error=0.0995)
@example(value=1.0, error=0.00999999)
@example(value=0.0, error=9.95)
@example(value=0.0, error=99.5)
def test_bracket_reads_back(value, error):
    assume(error > 1e-15 * abs(value))
    read_value, read_error = parse(bracket(value, error))
    assert read_error == pytest.approx(error, rel=0.0501)  # two digits: half a unit of ten
    assert abs(read_value - value) <= 0.0501 * error + 1e-15 * abs(value)


@pytest.mark.parametrize("error", [1e-17, 1e-300, 5e-324])
def test_errors_below_rounding_print_as_none(error):
    assert bracket(1.0, error) == "1"
    assert bracket(0.0, min(error, 1e-300)) == "0"


def test_array_estimates():
    estimate = Estimate(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, math.nan]))
    assert str(estimate) == "Estimate of shape (3,), median error 0.15"
    assert str(estimate[1]) == "2.00(20)"
    assert str(estimate[2]) == "3(?)"
    assert estimate[:2].value.shape == (2,)
    assert "unknown" in str(Estimate(np.ones(2), np.full(2, math.nan)))
