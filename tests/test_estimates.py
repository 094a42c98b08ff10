"""Errors, autocorrelation times and their print against closed forms."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.signal import lfilter

from rgstep.estimates import Estimate, autocorrelation_time, bracket, group_bounds, grouped_mean, jackknife


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
