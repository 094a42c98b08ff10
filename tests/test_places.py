"""Places of found units carry an error: none for a tiling, the spread over placings for units that crowd."""

import numpy as np
import pytest
from subjects import subject

import rgstep as rg
from rgstep.battery import measure_map, spread_out
from rgstep.estimates import Estimate
from rgstep.instruments import INSTRUMENTS

BY_PLACE = {name for name, instrument in INSTRUMENTS.items() if instrument.by_place}


@pytest.fixture(scope="module")
def critical8():
    return rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=1500, seed=88)


def doubled(v):
    """Majority units, every second one in the place of its neighbour: which of the two is put where is chance."""
    h = rg.Majority(ties="first").mean_h(v).reshape(len(v), -1).copy()
    h[:, 1::2] = h[:, ::2]
    return h


def test_rows_that_depend_on_places_say_so():
    assert {"coherence", "two_point", "hidden_hamiltonian", "mcrg", "drift"} == BY_PLACE


def test_a_tiling_is_placed_alike_whatever_the_samples(critical8):
    given = subject(critical8, rg.Scrambled(rg.Majority()))
    for number in range(3):
        other = given.placed_again(number)
        assert np.array_equal(other.gauge.order, given.gauge.order)
        assert np.array_equal(other.gauge.sign, given.gauge.sign)
        assert other.seed != given.seed


def test_crowded_units_are_placed_otherwise_and_errors_know_it(critical8):
    given = subject(critical8, doubled)
    orders = [given.placed_again(number).gauge.order for number in range(4)]
    assert any(not np.array_equal(order, given.gauge.order) for order in orders)
    plain = INSTRUMENTS["two_point"].measure(given)[0].estimates["shape_deviation"].estimate
    row = measure_map(critical8, "m", doubled, 0, ("two_point",))["two_point"]
    assert row.estimates["shape_deviation"].estimate.error > plain.error
    assert "placings" in row.why


def test_the_spread_is_added_in_quadrature():
    found = spread_out(Estimate(1.0, 0.3), [Estimate(1.4, 0.1), Estimate(0.6, 0.1)])
    assert (found.value, found.error) == (1.0, pytest.approx(0.5))
    assert np.isnan(spread_out(Estimate(1.0, 0.3), [Estimate(np.nan, 0.1), Estimate(1.0, 0.1)]).error)
