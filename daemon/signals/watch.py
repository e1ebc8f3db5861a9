# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the signals, keeps the recent past, and passes each interval to its listeners."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bpf.signals.source import Processes, SignalsLine
from daemon.decide.objective import Measurement
from daemon.decide.observation import Observation, QuotaUse, observation_of
from daemon.signals.series import SignalSeries
from daemon.signals.steal_time import StolenTime
from daemon.signals.suspended import SuspendedTime
from process import Fault

# How many measurements of each name are kept, and how many names: an hour of one per second.
MOST_MEASUREMENTS = 3600
MOST_NAMES = 64

_log = logging.getLogger("schedpilotd.watch")
# How many observations one listener may be behind before it loses the oldest.
MOST_BEHIND = 64
# Pauses before the signals program is restarted, seconds: doubled, up to the last.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# After this many intervals without a line something is stuck.
SILENCE_INTERVALS = 20


class LinesSource(Protocol):
    """The part of `bpf.signals.source.SignalsSource` that is used here."""

    def lines(self) -> AsyncIterator[SignalsLine]: ...
    async def set_interval(self, interval_s: float) -> None: ...
    async def set_processes(self, processes: Processes) -> None: ...


class Watch:
    """The only reader of the signals program; restarts it with increasing pauses when it ends.

    `processes` decides which single processes a newly started program has to report. `quotas` reads
    the use of cgroups with a quota since it last did.
    """

    def __init__(
        self,
        *,
        start: Callable[[float], AbstractAsyncContextManager[LinesSource]],
        interval_s: float,
        processes: Callable[[], Processes],
        scheduler: Callable[[], str],
        on_observation: Callable[[Observation], Awaitable[None]],
        on_trouble: Callable[[str], None],
        stolen: Callable[[], float] | None = None,
        suspended: SuspendedTime | None = None,
        quotas: Callable[[], Awaitable[tuple[QuotaUse, ...]]] | None = None,
    ) -> None:
        self._start = start
        self._stolen = stolen or StolenTime().share
        self.suspended = suspended or SuspendedTime()
        self._quotas = quotas
        # The intended length of the current interval: the longest requested meanwhile.
        self._asked_s = interval_s
        self._usual_s = self.interval_s = interval_s
        self._processes = processes
        self._scheduler = scheduler
        self._on_observation = on_observation
        self._on_trouble = on_trouble
        self._source: LinesSource | None = None
        self._heard = 0.0
        self._listeners: set[asyncio.Queue[Observation]] = set()
        self._measurements: dict[str, deque[Measurement]] = {}
        self.series = SignalSeries()
        self.line: SignalsLine | None = None
        self.observation: Observation | None = None

    async def run(self) -> None:
        """Read until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with self._start(self.interval_s) as self._source:
                    self._heard = time.monotonic()
                    await self._source.set_processes(self._processes())
                    async for line in self._source.lines():
                        pause = FIRST_PAUSE_S
                        await self._take(line)
            except (Fault, OSError) as trouble:
                self._on_trouble(f"{trouble}; the signals program is started again in {pause:g} s")
            finally:
                self._source = None
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def healthy(self) -> bool:
        """Whether this loop does its work, for the watchdog: it reads, or waits to try again.

        A signals program that cannot run is reported, and is not a reason to restart the daemon.
        """
        if self._source is None:
            return True
        return time.monotonic() - self._heard < SILENCE_INTERVALS * max(self.interval_s, 1.0)

    async def _take(self, line: SignalsLine) -> None:
        self._heard = time.monotonic()
        quotas = await self._quotas() if self._quotas else ()
        observation = observation_of(
            line,
            stolen=self._stolen(),
            asked_s=self._asked_s,
            suspended_s=self.suspended.since_last(),
            quotas=quotas,
        )
        self._asked_s = self.interval_s
        self.line, self.observation = line, observation
        scheduler = self._scheduler()
        for each in observation.workloads.values():
            self.series.add(each.id, each.point(observation.at, scheduler))
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(observation)
        try:
            await self._on_observation(observation)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # A defect in one judgement must not end all of them: nobody would watch any more.
            _log.exception("a defect while judging an interval")

    async def set_interval(self, seconds: float) -> None:
        """Set the interval of the signals; `usual_interval` resets it."""
        self.interval_s = seconds
        self._asked_s = max(self._asked_s, seconds)
        if self._source is not None:
            await self._source.set_interval(seconds)

    async def set_processes(self, processes: Processes) -> None:
        """The single processes that the running program reports."""
        if self._source is not None:
            await self._source.set_processes(processes)

    async def usual_interval(self) -> None:
        await self.set_interval(self._usual_s)

    @contextlib.contextmanager
    def subscribed(self) -> Iterator["asyncio.Queue[Observation]"]:
        """Each observation from now on, in order."""
        queue: asyncio.Queue[Observation] = asyncio.Queue(maxsize=MOST_BEHIND)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def measure(self, name: str, value: float, unit: str, started: float | None) -> None:
        """Store a number that an unprivileged process measured."""
        ring = self._measurements.get(name)
        if ring is None:
            if len(self._measurements) >= MOST_NAMES:
                self._measurements.pop(next(iter(self._measurements)))
            ring = self._measurements[name] = deque(maxlen=MOST_MEASUREMENTS)
        ring.append(Measurement(time.time(), name, value, unit, started))

    def measured(self) -> list[str]:
        """The names of the stored measurements."""
        return list(self._measurements)

    def measurements(self, names: Iterable[str], since: float) -> list[Measurement]:
        """Those that ended at or after Unix time `since`: name by name, oldest first."""
        return [each for name in names for each in self._since(name, since)]

    def _since(self, name: str, since: float) -> list[Measurement]:
        found: list[Measurement] = []
        for each in reversed(self._measurements.get(name, ())):
            if each.at < since:
                break
            found.append(each)
        return found[::-1]
