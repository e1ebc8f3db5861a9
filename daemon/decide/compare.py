# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares two small samples: Welch's interval, and a permutation test that checks it.

Welch, B. L. (1947), "The generalization of 'Student's' problem when several different
population variances are involved", Biometrika 34. Degrees of freedom by Satterthwaite (1946).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean, variance

# Panels of Simpson's rule; the integrand is smooth, and 200 give nine digits.
_PANELS = 200
# Up to this many permutations, all are tried; above it, this many at random.
_PERMUTATIONS = 13_000
# The minimum spread of a sample of windows (standard deviation of the logarithm, 1 %): equal values
# come from the histogram's buckets and not from a machine without noise.
NOISE_MIN = 0.01


def within(t: float, freedom: float) -> float:
    """The probability that Student's t with so many degrees of freedom lies within ±t.

    With t = √f·tan θ the density becomes a power of a cosine (Abramowitz and Stegun, Handbook
    of Mathematical Functions, 26.7.3), integrated here by Simpson's rule. freedom >= 1.
    """
    end = math.atan(t / math.sqrt(freedom))
    step = end / _PANELS
    inner = math.fsum(
        (4 if i % 2 else 2) * math.pow(math.cos(i * step), freedom - 1) for i in range(1, _PANELS)
    )
    integral = (1 + inner + math.pow(math.cos(end), freedom - 1)) * step / 3
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    return min(1.0, 2 * scale / math.sqrt(math.pi) * integral)


@lru_cache(maxsize=512)
def critical(confidence: float, freedom: float) -> float:
    """The t within which Student's t lies with this confidence (two-sided)."""
    low, high = 0.0, 1.0
    while within(high, freedom) < confidence and high < 1e6:
        low, high = high, high * 2
    for _ in range(50):
        middle = (low + high) / 2
        if within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class Ratio:
    """candidate / baseline: the ratio of geometric means, and its interval."""

    value: float
    low: float
    high: float
    confidence: float

    def inverse(self) -> "Ratio":
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low, self.confidence)


def ratio_of(baseline: Sequence[float], candidate: Sequence[float], confidence: float) -> Ratio:
    """Welch's interval on logarithms; each arm has at least two values above zero."""
    a, b = [math.log(x) for x in baseline], [math.log(x) for x in candidate]
    difference = fmean(b) - fmean(a)
    share_a = max(variance(a), NOISE_MIN**2) / len(a)
    share_b = max(variance(b), NOISE_MIN**2) / len(b)
    freedom = (share_a + share_b) ** 2 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    reach = critical(confidence, round(freedom, 2)) * math.sqrt(share_a + share_b)
    return Ratio(
        math.exp(difference),
        math.exp(difference - reach),
        math.exp(difference + reach),
        confidence,
    )


def permutation_p(baseline: Sequence[float], candidate: Sequence[float]) -> float:
    """The probability of a candidate mean this low if the arms were only labels (one-sided).

    Computed on logarithms. Exact if that is cheap, else sampled with a fixed seed, so that a replay
    gives the same answer.
    """
    logs = [math.log(x) for x in (*candidate, *baseline)]
    size = len(candidate)
    # Rounding must not make an equal sum a smaller one.
    limit = math.fsum(logs[:size]) + 1e-9
    ways = math.comb(len(logs), size)
    if ways <= _PERMUTATIONS:
        as_low = sum(math.fsum(each) <= limit for each in combinations(logs, size))
        return as_low / ways
    dice = random.Random(1)  # noqa: S311 - a statistic, not a secret
    as_low = sum(math.fsum(dice.sample(logs, size)) <= limit for _ in range(_PERMUTATIONS))
    return (as_low + 1) / (_PERMUTATIONS + 1)
