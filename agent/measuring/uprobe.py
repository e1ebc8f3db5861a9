# SPDX-License-Identifier: GPL-2.0-or-later
"""How long calls of a function take in a running program, measured by the kernel; microseconds.

    uprobe = { binary = "/usr/bin/redis-server", enter = "processCommand", exit = "processCommand" }
    usdt = { binary = "/opt/shop", enter = "shop:request__start", exit = "shop:request__done" }

The daemon counts them, because that needs privileges; at the end of each interval this process asks
it for the counts over the control socket.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Self

from pydantic import model_validator

from agent.measuring.reading import MeasurementReading, Momentary
from agent.measuring.samples import SHORTEST_S, unit_of
from agent.measuring.table import QUANTILES, AgentTable, FilePath, Take
from daemon.api.display import displayable
from daemon.api.models import CallPoints, CallsRequest, CallsView, ProbePoint
from process import Fault, FaultType

UNIT = "us"


class _Calls(AgentTable):
    @model_validator(mode="after")
    def _points_fit(self) -> Self:
        # Values that the daemon would refuse are refused when the configuration is read.
        _ = self.points
        return self

    @property
    def points(self) -> CallPoints:
        raise NotImplementedError


class Uprobe(_Calls):
    """From the entry of the function `enter` to the return of `exit`, in the same thread."""

    binary: FilePath
    enter: ProbePoint
    exit: ProbePoint | None = None

    @property
    def points(self) -> CallPoints:
        return CallPoints(binary=self.binary, enter=self.enter, exit=self.exit or self.enter)


class Usdt(_Calls):
    """From one marker that the program was built with to another, in the same thread; each is
    `provider:name`."""

    binary: FilePath
    enter: ProbePoint
    exit: ProbePoint

    @property
    def points(self) -> CallPoints:
        return CallPoints(binary=self.binary, enter=self.enter, exit=self.exit, markers=True)


# Asks the daemon for the calls since the last request.
AskForCalls = Callable[[CallsRequest], Awaitable[CallsView]]


class CallTimes(Momentary):
    """The calls of each interval, as the kernel counted them."""

    def __init__(
        self, points: CallPoints, take: Take, interval_s: float, ask: AskForCalls | None
    ) -> None:
        self.where = f"{displayable(points.binary)}, {points.enter} to {points.exit}"
        self._request = CallsRequest(points=points, keep_s=max(30.0, 3 * interval_s))
        self._take = take
        self._ask = ask

    async def take(self) -> MeasurementReading:
        if self._ask is None:
            raise Fault(
                FaultType.UNREACHABLE,
                "the daemon's control socket is not open to this process",
                where=self.where,
                why="the daemon counts calls, because it has the privileges",
            )
        view = await self._ask(self._request)
        since = time.time() - view.seconds
        notes = list(view.notes)
        if view.seconds < SHORTEST_S:
            return MeasurementReading(
                since, None, notes=("the probe was attached just now", *notes)
            )
        if not view.count:
            notes.append("no call ended in this time")
        value: float | None = None
        if self._take is Take.RATE:
            value = view.count / view.seconds
        elif self._take is Take.COUNT:
            value = float(view.count)
        elif view.count:
            value = _of_calls(view, self._take)
        return MeasurementReading(
            since, value, unit_of(self._take, UNIT), view.count, notes=tuple(notes)
        )


def _of_calls(view: CallsView, take: Take) -> float | None:
    if take is Take.MEAN:
        return view.total_us / view.count
    if take is Take.MAX:
        return view.max_us
    if take is Take.MIN:
        return view.buckets[0].upper if view.buckets else None
    # Durations are read a moment after the number of calls, while calls go on.
    wanted, seen = QUANTILES[take] * sum(each.count for each in view.buckets), 0
    for each in view.buckets:
        seen += each.count
        if seen >= wanted:
            return each.upper
    return None
