# SPDX-License-Identifier: GPL-2.0-only
"""Percentiles of histograms, of one interval or of many merged.

A percentile of a window is read from the sum of its histograms. The mean of the intervals'
percentiles is something else, and wrong by as much as the intervals differ.
"""

from collections.abc import Iterable

# (upper edge, count) in rising order of edges; empty buckets may be left out.
Histogram = tuple[tuple[float, int], ...]

# Where a bucket begins, as a fraction of where it ends. The signals program has four linear
# buckets to each power of two, of which the first is the widest: from 1 to 1.25.
BUCKET_BEGIN = 0.8


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All counts by upper edge."""
    counts: dict[float, int] = {}
    for histogram in histograms:
        for upper, count in histogram:
            counts[upper] = counts.get(upper, 0) + count
    return tuple(sorted(counts.items()))


def total(histogram: Histogram) -> int:
    return sum(count for _, count in histogram)


def quantile(histogram: Histogram, fraction: float) -> float:
    """The value below which `fraction` (0 to 1) of the samples lie; 0 of an empty histogram.

    Linear within the bucket, so that a small change is not hidden by the bucket's width.
    """
    wanted = fraction * total(histogram)
    seen = 0
    before = 0.0
    for upper, count in histogram:
        if count > 0 and seen + count >= wanted:
            lower = max(before, BUCKET_BEGIN * upper)
            return lower + (upper - lower) * max(0.0, wanted - seen) / count
        seen += count
        before = upper
    return before
