# SPDX-License-Identifier: GPL-2.0-or-later
"""Percentiles and merging, compared with the durations that went into the histograms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf.signals.source import EMPTY, Histogram, merge, percentile

# Nanoseconds: from zero to the end of the last bucket.
durations = st.lists(st.integers(0, 2**35 - 1), min_size=1, max_size=60)


def _upper_ns(ns: int) -> int:
    """The upper edge of the bucket into which the kernel half puts this duration."""
    if ns < 1024:
        return 1024
    width = 1 << (ns.bit_length() - 5)
    return (ns // width + 1) * width


def _histogram(values_ns: list[int]) -> Histogram:
    counts: dict[float, int] = {}
    for ns in values_ns:
        edge = _upper_ns(ns) / 1000
        counts[edge] = counts.get(edge, 0) + 1
    return Histogram(
        count=len(values_ns),
        sum=sum(values_ns) / 1000,
        p50=0,
        p90=0,
        p99=0,
        max=max(values_ns) / 1000,
        hist=tuple(sorted(counts.items())),
    )


@given(durations, st.floats(0, 1))
def test_a_percentile_is_off_by_a_sixteenth_at_most(values: list[int], q: float) -> None:
    """The answer is in the bucket of the true duration of that rank. Its width is at most a
    sixteenth of its lower edge (or 1.024 µs, below that)."""
    true_us = sorted(values)[max(math.ceil(q * len(values)) - 1, 0)] / 1000
    answer = percentile(_histogram(values), q)
    assert abs(answer - true_us) <= max(true_us / 16, 1.024) + 1e-6


@given(durations)
def test_percentiles_rise_with_the_share_up_to_the_maximum(values: list[int]) -> None:
    """A larger share never gives a shorter duration, and none exceeds the maximum."""
    histogram = _histogram(values)
    answers = [percentile(histogram, step / 20) for step in range(21)]
    assert answers == sorted(answers)
    assert answers[-1] <= histogram.max + 1e-6


@given(st.lists(durations, min_size=1, max_size=4))
def test_merging_is_as_if_counted_together(parts: list[list[int]]) -> None:
    """The merged histogram is that of all durations, including its percentiles."""
    whole = _histogram([ns for part in parts for ns in part])
    merged = merge(_histogram(part) for part in parts)
    assert merged.hist == whole.hist
    assert merged.count == whole.count
    assert merged.max == whole.max
    assert merged.sum == pytest.approx(whole.sum)
    assert merged.p99 == percentile(whole, 0.99)


def test_nothing_counted_is_zero_everywhere() -> None:
    """Empty histograms merge to an empty one, and its percentiles and mean are 0."""
    assert merge([]) == EMPTY
    assert merge([EMPTY, EMPTY]) == EMPTY
    assert percentile(EMPTY, 0.99) == 0
    assert EMPTY.mean == 0


def test_a_share_outside_zero_to_one_is_refused() -> None:
    """99 instead of 0.99 is a mistake, not a percentile."""
    with pytest.raises(ValueError, match="share"):
        percentile(EMPTY, 99)
