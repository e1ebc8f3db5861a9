# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters that a server keeps, read at the end of each interval: what came to them in it."""

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

from agent.measuring.reading import Momentary, Reading
from agent.measuring.samples import SHORTEST_S, unit_of
from agent.measuring.table import Take

FIRST = "the first look: a rate or a mean needs two"
RESET = "the counters went back: the server was restarted, or they were reset"
NOTHING = "nothing happened in this time"


@dataclass(frozen=True)
class Totals:
    """Since whenever: how often, and how much in all (of time, mostly)."""

    count: float
    sum: float


class Polled(Momentary):
    """A server with `Totals`; `mean` and `rate` of what came to them."""

    where = ""

    def __init__(self, take: Take, unit: str) -> None:
        self._take = take
        self._unit = unit
        self._before: tuple[float, Totals] | None = None

    @abstractmethod
    async def totals(self) -> Totals:
        """What the server says now.

        Raises:
            Fault.
        """

    async def __aenter__(self) -> Self:
        self._before = None
        return self

    async def take(self) -> Reading:
        asked = time.time()
        totals = await self.totals()
        before, self._before = self._before, (asked, totals)
        if before is None:
            return Reading(asked, None, notes=(FIRST,))
        return difference(before[1], totals, self._take, before[0], asked, self._unit)


def difference(
    before: Totals, now: Totals, take: Take, since: float, until: float, unit: str
) -> Reading:
    """What came to the totals from `since` to `until`, Unix seconds. `unit` is that of the sum."""
    count, amount = now.count - before.count, now.sum - before.sum
    named = unit_of(take, unit)
    if count < 0 or amount < 0:
        return Reading(since, None, named, notes=(RESET,))
    seconds = until - since
    value: float | None
    if take is Take.RATE:
        value = count / seconds if seconds >= SHORTEST_S else None
    elif take is Take.COUNT:
        value = count
    else:
        value = amount / count if count else None
    notes = () if count else (NOTHING,)
    return Reading(since, value, named, round(count), notes=notes)
