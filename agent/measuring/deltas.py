# SPDX-License-Identifier: GPL-2.0-or-later
"""A server's own counters, read at the end of each interval: the increase during it."""

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

from agent.measuring.reading import MeasurementReading, Momentary
from agent.measuring.samples import SHORTEST_S, unit_of
from agent.measuring.table import Take

FIRST = "first reading: a rate or a mean needs two"
RESET = "the counters decreased: the server was restarted, or they were reset"
NOTHING = "nothing happened in this time"


@dataclass(frozen=True)
class Totals:
    """Counts since an unknown start: how often, and the sum (usually of time)."""

    count: float
    sum: float


class Polled(Momentary):
    """A server with `Totals`; `mean` and `rate` of their increase."""

    where = ""

    def __init__(self, take: Take, unit: str) -> None:
        self._take = take
        self._unit = unit
        self._before: tuple[float, Totals] | None = None

    @abstractmethod
    async def totals(self) -> Totals:
        """The server's current totals.

        Raises:
            Fault.
        """

    async def __aenter__(self) -> Self:
        self._before = None
        return self

    async def take(self) -> MeasurementReading:
        asked = time.time()
        totals = await self.totals()
        before, self._before = self._before, (asked, totals)
        if before is None:
            return MeasurementReading(asked, None, notes=(FIRST,))
        return difference(before[1], totals, self._take, before[0], asked, self._unit)


def difference(
    before: Totals, now: Totals, take: Take, since: float, until: float, unit: str
) -> MeasurementReading:
    """The increase of the totals from `since` to `until`, Unix seconds. `unit` is the
    sum's unit.
    """
    count, amount = now.count - before.count, now.sum - before.sum
    named = unit_of(take, unit)
    if count < 0 or amount < 0:
        return MeasurementReading(since, None, named, notes=(RESET,))
    seconds = until - since
    value: float | None
    if take is Take.RATE:
        value = count / seconds if seconds >= SHORTEST_S else None
    elif take is Take.COUNT:
        value = count
    else:
        value = amount / count if count else None
    notes = () if count else (NOTHING,)
    return MeasurementReading(since, value, named, round(count), notes=notes)
