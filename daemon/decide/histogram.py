# SPDX-License-Identifier: GPL-2.0-or-later
"""Percentiles of histograms, of one interval or of several merged ones.

A window's percentile is read from the sum of its histograms. The mean of the intervals' percentiles
is different, and wrong by as much as the intervals differ.
"""

import math
from collections.abc import Iterable

from bpf.signals.source import lower_edge

# (upper edge, count) in rising order of edges; empty buckets may be left out.
Histogram = tuple[tuple[float, int], ...]


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All counts by upper edge."""
    counts: dict[float, int] = {}
    for histogram in histograms:
        for upper, count in histogram:
            counts[upper] = counts.get(upper, 0) + count
    return tuple(sorted(counts.items()))


def total(histogram: Histogram) -> int:
    return sum(count for _, count in histogram)


def quantile(histogram: Histogram, fraction: float, longest: float = math.inf) -> float:
    """The value below which `fraction` (0 to 1) of the samples lie; 0 for an empty histogram.

    Linear within the bucket, so that the bucket's width does not hide a small change, and never
    above `longest`, the largest sample, if known.
    """
    wanted = fraction * total(histogram)
    seen = 0
    for upper, count in histogram:
        if count > 0 and seen + count >= wanted:
            lower = lower_edge(upper)
            width = max(0.0, min(upper, longest) - lower)
            return lower + width * max(0.0, wanted - seen) / count
        seen += count
    return 0.0


def clipped(histogram: Histogram, most: float) -> Histogram:
    """With every sample above `most` counted as `most`."""
    if not histogram or histogram[-1][0] <= most:
        return histogram
    if most <= 0:
        return ()
    within = [(upper, count) for upper, count in histogram if upper <= most]
    above = sum(count for upper, count in histogram if upper > most)
    return (*within, (most, above))


def mean(histogram: Histogram) -> float:
    """The mean of the samples, each taken as the middle of its bucket; 0 for an empty one."""
    count = total(histogram)
    if not count:
        return 0.0
    return sum((lower_edge(upper) + upper) / 2 * of for upper, of in histogram) / count


def half_of_the_sum(histogram: Histogram) -> float:
    """The value for which half of the sum of all samples is in samples of at least that; 0 for an
    empty histogram. For bursts: the length at which half of the CPU time is spent.
    """
    weighed = [((lower_edge(upper) + upper) / 2 * count, upper) for upper, count in histogram]
    left = sum(each for each, _ in weighed) / 2
    for each, upper in weighed:
        if each > 0 and each >= left:
            lower = lower_edge(upper)
            return lower + (upper - lower) * left / each
        left -= each
    return 0.0
