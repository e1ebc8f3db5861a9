# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of a program's own functions, which stay attached as long as somebody reads
their counts.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from bpf.probes import kinds
from bpf.probes.calls import Calls, Counting, points, upper_us
from daemon.api.models import CallPoints, CallsRequest, CallsView, HistogramBucket
from process import Fault, FaultType

# At the same time: each costs every call a moment, and 170 MB for its compiler.
MOST = 4


@dataclass
class _InPlace:
    """One probe. `lock`: one caller at a time; `end`: detaches it when nobody asks any more."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    counting: Counting | None = None
    end: asyncio.TimerHandle | None = None


class CallCounts:
    """The attached probes."""

    def __init__(self) -> None:
        self._in_place: dict[CallPoints, _InPlace] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def take(self, request: CallsRequest, may_start: Callable[[], None]) -> CallsView:
        """The calls since the last request; zero for the first one, which attaches the probe.

        Args:
            may_start: raises Fault if none may be attached now.

        Raises:
            Fault: MISSING_TOOL, NOT_FOUND, BUSY, …; the probe is detached then.
        """
        where = request.points
        own = self._in_place.get(where)
        if own is None:
            may_start()
            if len(self._in_place) >= MOST:
                raise Fault(
                    FaultType.BUSY,
                    f"{MOST} programs are probed already",
                    why="each probe costs the calls that it counts",
                )
            own = self._in_place[where] = _InPlace()
        async with own.lock:
            if own.end is not None:
                own.end.cancel()
            try:
                view = await self._take(own, request)
            except BaseException:
                self._in_place.pop(where, None)
                if own.counting is not None:
                    await own.counting.end()
                raise
            own.end = asyncio.get_running_loop().call_later(
                request.keep_s, self._forget, where, own
            )
            return view

    async def _take(self, own: _InPlace, request: CallsRequest) -> CallsView:
        if own.counting is None:
            own.counting = await self.start(request.points, request.keep_s)
            return CallsView(seconds=0.0)
        seconds, calls = await own.counting.take()
        return calls_view(seconds, calls)

    @staticmethod
    async def start(where: CallPoints, keep_s: float) -> Counting:
        """An attached probe.

        Raises:
            Fault: what it lacks here, or the trouble with the program.
        """
        lacks = await asyncio.to_thread(kinds.missing, kinds.BccProbe.UPROBE)
        if lacks:
            raise Fault(
                FaultType.MISSING_TOOL,
                "calls cannot be counted here",
                why=f"missing: {'; '.join(lacks)}",
                hint=f"what remains: {kinds.ABOUT[kinds.BccProbe.UPROBE].instead}",
            )
        found = await asyncio.to_thread(
            points, where.binary, where.enter, where.exit, markers=where.markers
        )
        return await Counting.start(found, keep_s)

    def _forget(self, where: CallPoints, own: _InPlace) -> None:
        if own.lock.locked() or self._in_place.get(where) is not own:
            return
        del self._in_place[where]
        if own.counting is not None:
            task = asyncio.get_running_loop().create_task(own.counting.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Detach all."""
        for where, own in list(self._in_place.items()):
            if own.end is not None:
                own.end.cancel()
            self._forget(where, own)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._ending, return_exceptions=True)


def calls_view(seconds: float, calls: Calls) -> CallsView:
    """As clients see it, microseconds. Pure."""
    notes = (
        [f"{calls.lost} calls were lost for lack of room and are not counted"] if calls.lost else []
    )
    return CallsView(
        seconds=round(seconds, 4),
        count=calls.count,
        total_us=calls.total_ns / 1000,
        max_us=calls.max_ns / 1000,
        buckets=[HistogramBucket(upper=upper_us(at), count=count) for at, count in calls.lengths],
        lost=calls.lost,
        notes=notes,
    )
