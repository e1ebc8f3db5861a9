# SPDX-License-Identifier: GPL-2.0-or-later
"""How the samples of one interval become one number, however many there are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.measuring.deltas import RESET, Totals, difference
from agent.measuring.samples import MOST_VALUES, Samples, quantile
from agent.measuring.table import Take

FINITE = st.floats(-1e12, 1e12)


def samples(*values: float) -> Samples:
    made = Samples(100.0)
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize(
    ("take", "value"),
    [
        (Take.P50, 2.0),
        (Take.P99, 9.0),
        (Take.MEAN, 4.0),
        (Take.MIN, 1.0),
        (Take.MAX, 9.0),
        (Take.SUM, 12.0),
        (Take.COUNT, 3.0),
        (Take.RATE, 1.5),
        (Take.LAST, 9.0),
    ],
)
def test_each_take_of_three_samples_in_two_seconds(take: Take, value: float) -> None:
    """The unit is that of a sample, or that of a rate."""
    reading = samples(2.0, 1.0, 9.0).reading(take, 102.0, "ms")
    assert reading.value == value
    assert reading.unit == {Take.RATE: "/s", Take.COUNT: ""}.get(take, "ms")
    assert (reading.since, reading.count, reading.examples) == (100.0, 3, (2.0, 1.0, 9.0))


def test_nothing_has_a_rate_and_no_percentile() -> None:
    """In no time at all there is no value."""
    assert samples().reading(Take.RATE, 102.0, "ms").value == 0
    assert samples().reading(Take.P99, 102.0, "ms").value is None
    for take in (Take.RATE, Take.COUNT, Take.SUM):
        assert samples(1.0).reading(take, 100.0, "ms").value is None


@given(st.lists(FINITE, min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_a_sample_with_as_many_below(values: list[float], share: float) -> None:
    """It is the smallest sample that this share of the samples does not exceed."""
    found = quantile(values, share)
    assert found in values
    assert sum(each <= found for each in values) >= share * len(values) - 1e-9
    assert sum(each < found for each in values) < share * len(values) + 1e-9


@given(st.lists(FINITE, min_size=1, max_size=100))
def test_no_figure_lies_outside_of_the_samples(values: list[float]) -> None:
    """Percentiles and mean lie between the smallest and the largest sample."""
    made = samples(*values)
    for take in (Take.P50, Take.P99, Take.MEAN, Take.LAST):
        value = made.reading(take, 101.0, "").value
        assert value is not None
        slack = 1e-9 * max(map(abs, values))
        assert min(values) - slack <= value <= max(values) + slack


def test_many_samples_are_counted_and_some_are_kept() -> None:
    """Number, sum and extremes come from all samples, percentiles from a fair part of them."""
    count = 10 * MOST_VALUES
    made = samples(*map(float, range(count)))
    assert made.reading(Take.COUNT, 101.0, "").value == count
    assert made.reading(Take.MAX, 101.0, "").value == count - 1
    for take, share in ((Take.P50, 0.5), (Take.P99, 0.99)):
        value = made.reading(take, 101.0, "").value
        assert value is not None
        assert math.isclose(value, share * count, rel_tol=0.03)


def test_totals_become_what_came_between() -> None:
    """Mean and rate come from the difference; a total that went back means a restart."""
    before, now = Totals(100, 1000.0), Totals(110, 1500.0)
    assert difference(before, now, Take.MEAN, 0.0, 5.0, "us").value == 50.0
    assert difference(before, now, Take.RATE, 0.0, 5.0, "us").value == 2.0
    assert difference(before, now, Take.RATE, 0.0, 0.0, "us").value is None
    assert difference(now, before, Take.RATE, 0.0, 5.0, "us").notes == (RESET,)
