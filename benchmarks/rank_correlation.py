# SPDX-License-Identifier: GPL-2.0-or-later
"""Do two ways of measuring put schedulers, or runs, in the same order?

Each pair of figures is of one run: the application's own figure and ours.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Pair: TypeAlias = tuple[float, float]


def of_schedulers(runs: Mapping[str, Sequence[Pair]], apart: float) -> tuple[float, int]:
    """Somers' D of our figures over the pairs of schedulers that the application distinguishes, and
    the number of these pairs; nan for none.

    It distinguishes two if each run of the one is beyond each run of the other and their medians
    differ by at least this share. Four runs each of two equal schedulers are in such an order once
    in 35 times.
    """
    compared = []
    for one, other in itertools.combinations(runs.values(), 2):
        own, other_own = ([own for own, _ in each] for each in (one, other))
        if max(own) < min(other_own) or max(other_own) < min(own):
            compared.append((_medians(one), _medians(other)))
    told = [pair for pair in compared if _differs(pair, apart)]
    return _somers_d(told), len(told)


def of_runs(pairs: Sequence[Pair], apart: float) -> float:
    """Somers' D of our figures over the pairs of runs whose own figures differ by at least this
    share."""
    compared = itertools.combinations(pairs, 2)
    return _somers_d([pair for pair in compared if _differs(pair, apart)])


def _medians(pairs: Sequence[Pair]) -> Pair:
    own, ours = zip(*pairs, strict=True)
    return statistics.median(own), statistics.median(ours)


def _differs(pair: tuple[Pair, Pair], apart: float) -> bool:
    own = [each[0] for each in pair]
    return max(own) >= min(own) * (1 + apart)


def _somers_d(compared: Sequence[tuple[Pair, Pair]]) -> float:
    """The share of pairs in the same order minus the share in the opposite order.

    R. H. Somers, A new asymmetric measure of association for ordinal variables (1962).
    """
    if not compared:
        return math.nan
    signs = [
        0 if ours == other_ours else 1 if (own > other_own) == (ours > other_ours) else -1
        for (own, ours), (other_own, other_ours) in compared
    ]
    return round(sum(signs) / len(signs), 3)


def spearman(pairs: Sequence[Pair]) -> float:
    """Spearman's rank correlation, 1 if the orders are the same."""
    own, ours = (ranks(side) for side in zip(*pairs, strict=True))
    return round(statistics.correlation(own, ours), 3)


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value; equal values share the mean of their ranks."""
    ordered = sorted(values)
    first = {value: ordered.index(value) for value in values}
    count = {value: ordered.count(value) for value in values}
    return [first[value] + (count[value] - 1) / 2 for value in values]
