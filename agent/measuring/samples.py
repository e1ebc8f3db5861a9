# SPDX-License-Identifier: GPL-2.0-or-later
"""The samples of one interval, and their statistics. Bounded in memory; pure."""

import math
import random
from collections.abc import Sequence

from agent.measuring.reading import MeasurementReading
from agent.measuring.table import OF_VALUES, QUANTILES, Take

# How many values of one interval are kept. If there are more, a random sample of this size stays
# (algorithm R; Vitter, "Random sampling with a reservoir", 1985), so that percentiles stay right.
MOST_VALUES = 16_384
_EXAMPLES = 5
# A shorter interval, seconds, gives no rate.
SHORTEST_S = 0.05


class Samples:
    """Samples since `since`; each may stand for more than one (`weight`)."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0.0
        self.sum = 0.0
        self.min = math.inf
        self.max = -math.inf
        self.last: float | None = None
        self._values: list[float] = []
        self._seen = 0
        # Fixed seed: the same samples give the same answer.
        self._chance = random.Random(1)  # noqa: S311 - no secret

    def add(self, value: float, weight: float = 1.0) -> None:
        """Add one finite value."""
        self.count += weight
        self.sum += value * weight
        self.min, self.max, self.last = min(self.min, value), max(self.max, value), value
        self._seen += 1
        if len(self._values) < MOST_VALUES:
            self._values.append(value)
        elif (place := self._chance.randrange(self._seen)) < MOST_VALUES:
            self._values[place] = value

    def reading(
        self, take: Take, now: float, unit: str, notes: Sequence[str] = ()
    ) -> MeasurementReading:
        """The statistic at the Unix time `now`. `unit` is a value's unit."""
        seconds = now - self.since
        value = self._value(take, seconds)
        return MeasurementReading(
            since=self.since,
            value=value if value is not None and math.isfinite(value) else None,
            unit=unit_of(take, unit),
            count=round(self.count),
            examples=tuple(self._values[:_EXAMPLES]),
            notes=tuple(notes),
        )

    def _value(self, take: Take, seconds: float) -> float | None:
        if take in (Take.COUNT, Take.RATE, Take.SUM):
            if seconds < SHORTEST_S:
                return None
            amount = self.sum if take is Take.SUM else self.count
            return amount / seconds if take is Take.RATE else amount
        if not self.count:
            return None
        if take in QUANTILES:
            return quantile(self._values, QUANTILES[take])
        return {
            Take.MEAN: self.sum / self.count,
            Take.MIN: self.min,
            Take.MAX: self.max,
            Take.LAST: self.last,
        }[take]


def unit_of(take: Take, unit: str) -> str:
    """The statistic's unit, given the unit of one sample."""
    if take is Take.RATE:
        return "/s"
    return unit if take in OF_VALUES else ""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
