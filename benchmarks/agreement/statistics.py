# SPDX-License-Identifier: GPL-2.0-or-later
"""How well two lists of measurements of the same schedulers agree. Pure.

All of this was fixed before any correlation or error was computed:

- A scheduler's value is the median over the repetitions, which have the same seeds on both sides.
- Two schedulers tie, on either side, if their ranges over the repetitions overlap, or if their
  medians differ by less than 5 % of the larger: nobody would choose by that.
- Rank correlation is Kendall's tau-b (Kendall 1945): the pairs in the same order minus those in
  the opposite order, divided by the geometric mean of the pairs that do not tie on one side and on
  the other.
- A gain is the difference to the default in percent of the larger value. So it lies between -100
  and 100, and twice as good is as far from 0 as half as good. Its error is in points.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

TIE_PERCENT = 5.0
# The goals: the least rank correlation, and the largest error of a gain in points.
TAU_GOAL = 0.8
GAIN_GOAL = 15.0

# By scheduler, one value for each repetition; less is better.
Values = Mapping[str, Sequence[float]]


def order(a: Sequence[float], b: Sequence[float]) -> int:
    """-1 if `a` is less, 1 if it is more, 0 if they tie."""
    middle_a, middle_b = statistics.median(a), statistics.median(b)
    near = abs(middle_a - middle_b) <= max(middle_a, middle_b) * TIE_PERCENT / 100
    if near or (min(a) <= max(b) and min(b) <= max(a)):
        return 0
    return -1 if middle_a < middle_b else 1


@dataclass(frozen=True)
class Pairs:
    """Pairs of schedulers: in the same order on both sides, in the opposite one, tied on one side
    only, and tied on both."""

    same: int = 0
    opposite: int = 0
    tied_real: int = 0
    tied_predicted: int = 0
    tied_both: int = 0

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(
            self.same + other.same,
            self.opposite + other.opposite,
            self.tied_real + other.tied_real,
            self.tied_predicted + other.tied_predicted,
            self.tied_both + other.tied_both,
        )

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b; None if all schedulers tie on one side."""
        ordered = self.same + self.opposite
        all_real = ordered + self.tied_predicted
        all_predicted = ordered + self.tied_real
        if not all_real or not all_predicted:
            return None
        return (self.same - self.opposite) / math.sqrt(all_real * all_predicted)


def compare(real: Values, predicted: Values) -> Pairs:
    """All pairs of the schedulers of both sides."""
    found = Pairs()
    for a, b in combinations(sorted(real.keys() & predicted.keys()), 2):
        ours, theirs = order(real[a], real[b]), order(predicted[a], predicted[b])
        if not ours or not theirs:
            found += Pairs(
                tied_real=int(not ours and theirs != 0),
                tied_predicted=int(ours != 0 and not theirs),
                tied_both=int(not ours and not theirs),
            )
        else:
            found += Pairs(same=int(ours == theirs), opposite=int(ours != theirs))
    return found


def gain(default: Sequence[float], candidate: Sequence[float]) -> float:
    """Percent of the larger median; positive if the candidate is better."""
    before, after = statistics.median(default), statistics.median(candidate)
    larger = max(before, after)
    return 100 * (before - after) / larger if larger else 0.0


def gain_errors(real: Values, predicted: Values, default: str) -> dict[str, float]:
    """For each scheduler except the default: the error of the predicted gain, points."""
    return {
        name: abs(gain(real[default], real[name]) - gain(predicted[default], predicted[name]))
        for name in sorted(real.keys() & predicted.keys())
        if name != default
    }


@dataclass(frozen=True)
class Errors:
    """The errors of this many predicted gains, points."""

    count: int
    within: int
    mean: float
    median: float
    worst: float


def summary(errors: Iterable[float]) -> Errors:
    """Raises StatisticsError if there are none."""
    found = list(errors)
    within = sum(each <= GAIN_GOAL for each in found)
    return Errors(len(found), within, statistics.fmean(found), statistics.median(found), max(found))
