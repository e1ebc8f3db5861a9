# SPDX-License-Identifier: GPL-2.0-or-later

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.histogram import half_of_the_sum, merged, quantile, total
from tests.decide.synthetic import histogram, seeded


@given(
    st.lists(st.floats(2, 1e7), min_size=1, max_size=300),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_a_quantile_is_off_by_a_bucket_at_most(delays: list[float], fraction: float) -> None:
    """A quantile from the buckets is within 6.25 % of the one from the samples."""
    rank = max(0, -int(-fraction * len(delays) // 1) - 1)
    exact = sorted(delays)[rank]
    assert exact / 1.063 <= quantile(histogram(delays), fraction) <= exact * 1.063


@given(st.lists(st.floats(2, 1e7), min_size=1, max_size=300))
def test_half_of_the_sum_is_in_samples_of_at_least_that(samples: list[float]) -> None:
    """Read from buckets it is within 26 % of the sample in which the middle of the sum lies; a
    crowd of small ones beside a few large ones does not hide those."""
    found = half_of_the_sum(histogram(samples))
    lighter = sum(each for each in samples if each < found / 1.26)
    heavier = sum(each for each in samples if each > found * 1.26)
    assert lighter <= 0.63 * sum(samples)
    assert heavier <= 0.63 * sum(samples)
    assert half_of_the_sum(()) == 0


@given(st.lists(st.lists(st.floats(2, 1e6), min_size=1, max_size=50), min_size=1, max_size=5))
def test_merging_is_the_same_as_one_histogram_of_all(parts: list[list[float]]) -> None:
    """Merged intervals equal one interval over the whole time."""
    whole = histogram([each for part in parts for each in part])
    assert merged(histogram(part) for part in parts) == whole
    assert total(whole) == sum(map(len, parts))


def test_a_percentile_of_a_window_is_not_the_mean_of_percentiles() -> None:
    """One slow interval of ten with few samples hardly moves the window's median."""
    dice = seeded(1)
    quick = [histogram(dice.uniform(90, 110) for _ in range(1000)) for _ in range(9)]
    slow = histogram(dice.uniform(9000, 11000) for _ in range(10))
    value = quantile(merged([*quick, slow]), 0.5)
    assert value == pytest.approx(100, rel=0.1)


def test_an_empty_histogram_has_no_quantile() -> None:
    """Nothing seen reads as zero, without an error."""
    assert quantile((), 0.99) == 0
    assert total(()) == 0


def test_quantiles_rise_with_the_fraction() -> None:
    """A higher percentile is never a lower value."""
    dice = seeded(2)
    found = histogram(dice.lognormvariate(5, 1) for _ in range(500))
    values = [quantile(found, step / 100) for step in range(101)]
    assert values == sorted(values)


def test_no_quantile_is_above_the_largest_sample() -> None:
    """The last bucket is read only as far as the longest delay that was seen."""
    found = histogram([100.0] * 10)
    assert quantile(found, 0.99) > 101
    assert quantile(found, 0.99, longest=100.0) <= 100
