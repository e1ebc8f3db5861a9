# SPDX-License-Identifier: GPL-2.0-or-later
"""A StatsD listener on loopback: timers, counters, gauges.

    statsd = { metric = "shop.request" }

`name:value|type[|@rate]`, one per line; DogStatsD's tags and multiple values are understood.
Measures that name the same port share its listener.
"""

import asyncio
import math
import time
from typing import Annotated, Self

from pydantic import StringConstraints

from agent.measuring.reading import MeasurementReading
from agent.measuring.samples import SHORTEST_S, Samples, unit_of
from agent.measuring.table import AgentTable, Port, Take
from daemon.api.display import displayable
from process import Fault, FaultType

HOST = "127.0.0.1"
DATAGRAM_LIMIT = 65_535
MOST_LINES = 1_000
# Timers, histograms and distributions, under all their names.
_TIMERS = frozenset({"ms", "h", "d"})


class StatsD(AgentTable):
    """One metric. UDP `port` on 127.0.0.1."""

    metric: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^:|@#\s]+$")]
    port: Port = 8125


def parse(line: str) -> tuple[str, list[float], str, float, bool] | None:
    """Name, values, type, its sampling rate, and whether a gauge changes by them."""
    name, colon, rest = line.partition(":")
    parts = rest.split("|")
    if not colon or not name or len(parts) < 2:
        return None
    rate = 1.0
    for part in parts[2:]:
        if part.startswith("@"):
            rate = _number(part[1:])
    values = [_number(each) for each in parts[0].split(":")[:MOST_LINES]]
    relative = parts[1] == "g" and parts[0][:1] in ("+", "-")
    if not all(map(math.isfinite, values)) or not 0 < rate <= 1:
        return None
    return name, values, parts[1], rate, relative


def _number(text: str) -> float:
    try:
        return float(text) if len(text) <= 40 else math.nan
    except ValueError:
        return math.nan


class _Listener(asyncio.DatagramProtocol):
    """The listener of one port; passes each line to every measure that listens."""

    def __init__(self) -> None:
        self.of: set[StatsDSamples] = set()
        self.transport: asyncio.BaseTransport | None = None

    def datagram_received(self, data: bytes, addr: object) -> None:
        for line in data[:DATAGRAM_LIMIT].decode("utf-8", "replace").split("\n", MOST_LINES):
            for each in self.of:
                each.heard(line)


# Listeners by port, in one process.
_listeners: dict[int, _Listener] = {}


class StatsDSamples:
    """One metric's values. A counter has `rate` and `count` (and `sum`), a gauge `last`."""

    def __init__(self, table: StatsD, take: Take, unit: str) -> None:
        self.where = f"udp {HOST}:{table.port}, metric {displayable(table.metric)}"
        self._table = table
        self._take = take
        self._unit = unit
        self._samples = Samples(time.time())
        self._gauge: float | None = None
        self._kind = ""
        self._others = 0
        self._other = ""

    async def __aenter__(self) -> Self:
        listener = _listeners.get(self._table.port)
        if listener is None:
            listener = _listeners[self._table.port] = _Listener()
            try:
                listener.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: listener, (HOST, self._table.port)
                )
            except OSError as error:
                del _listeners[self._table.port]
                raise Fault(
                    FaultType.BUSY,
                    "this port cannot be used",
                    where=self.where,
                    why=error.strerror or str(error),
                    hint="another StatsD server has it: name another `port`, and let that server "
                    "repeat to it (its backend `repeater`), or let the application send there",
                ) from None
        listener.of.add(self)
        self._samples = Samples(time.time())
        return self

    async def __aexit__(self, *error: object) -> None:
        listener = _listeners.get(self._table.port)
        if listener is None or self not in listener.of:
            return
        listener.of.discard(self)
        if not listener.of:
            del _listeners[self._table.port]
            if listener.transport is not None:
                listener.transport.close()

    def heard(self, line: str) -> None:
        found = parse(line.strip())
        if found is None or found[0] != self._table.metric:
            if line:
                self._others += 1
                self._other = line[:200]
            return
        _, values, self._kind, rate, relative = found
        if self._kind == "c":
            # Its value is how often something happened.
            for value in values:
                self._samples.add(value, 1 / rate)
        elif self._kind == "g":
            for value in values:
                self._gauge = (self._gauge or 0.0) + value if relative else value
                self._samples.add(self._gauge)
        elif self._kind in _TIMERS:
            for value in values:
                self._samples.add(value, 1 / rate)
        else:
            self._others += 1
            self._other = line[:200]

    async def take(self) -> MeasurementReading:
        listener = _listeners.get(self._table.port)
        if listener is None or self not in listener.of:
            raise Fault(FaultType.STATE, "no listener on the port", where=self.where)
        now = time.time()
        samples, self._samples = self._samples, Samples(now)
        notes = []
        if not samples.count:
            notes.append(
                f"nothing of this metric came; {self._others} other lines did, the last was: "
                f"{displayable(self._other, 160)}"
                if self._others
                else "nothing came to this port"
            )
        self._others, self._other = 0, ""
        held = self._gauge if self._kind == "g" and not samples.count else None
        if held is not None and self._take is Take.LAST:
            # A gauge keeps its value until it is set again.
            return MeasurementReading(samples.since, held, self._unit, 0, (), tuple(notes))
        unit = self._unit or ("ms" if self._kind == "ms" else "")
        if self._kind == "c":
            return self._counted(samples, now, notes)
        return samples.reading(self._take, now, unit, notes)

    def _counted(self, samples: Samples, now: float, notes: list[str]) -> MeasurementReading:
        """A counter's samples are counts."""
        seconds = now - samples.since
        value: float | None = samples.sum
        if self._take is Take.RATE:
            value = samples.sum / seconds if seconds >= SHORTEST_S else None
        elif self._take not in (Take.COUNT, Take.SUM):
            value = None
            notes.append(f"a counter has no {self._take}: take = rate, count or sum")
        shown = samples.reading(self._take, now, "", notes)
        return MeasurementReading(
            shown.since, value, unit_of(self._take, ""), round(samples.sum), shown.examples,
            tuple(notes),
        )  # fmt: skip
