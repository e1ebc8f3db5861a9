# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples from lines: a task reads them as they come; they are handed over at the end of each
interval.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Self

from agent.measuring.journal import journal
from agent.measuring.reading import MeasurementReading
from agent.measuring.samples import Samples
from agent.measuring.table import Lines, Take
from agent.measuring.tail import Tail, follow
from daemon.api.display import displayable
from process import Fault, FaultType

SHOWN_OF_A_LINE = 160

# The number in one line, None if it has none.
Parse = Callable[[str], float | None]


def lines_of(place: Lines) -> AsyncGenerator[str, None]:
    """Yields the lines that are added to a file, or that a unit logs, from now on."""
    if place.unit is not None:
        return journal(place.unit)
    assert place.log is not None
    path = Path(place.log)
    return follow(Tail(lambda: path))


class LineSamples:
    """A source in which each line with a number, found by `parse`, is a sample.

    Args:
        open_lines: begins to read; its iterator ends only with a Fault.
        missing: why a line may have no number, for people.
    """

    def __init__(
        self,
        where: str,
        open_lines: Callable[[], AsyncGenerator[str, None]],
        parse: Parse,
        take: Take,
        unit: str,
        missing: str,
    ) -> None:
        self.where = where
        self._open_lines = open_lines
        self._parse = parse
        self._take = take
        self._unit = unit
        self._missing = missing
        self._samples = Samples(time.time())
        self._lines = 0
        self._missed = ""
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        lines = self._open_lines()
        self._samples = Samples(time.time())
        self._reader = asyncio.create_task(self._read(lines))
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
            # If it ends, its source ended, a child for instance.
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, lines: AsyncGenerator[str, None]) -> None:
        count = 0
        async with contextlib.aclosing(lines):
            async for line in lines:
                self._take_in(line)
                count += 1
                if count % 256 == 0:
                    # A log that never pauses must not block everything else.
                    await asyncio.sleep(0)

    def _take_in(self, line: str) -> None:
        self._lines += 1
        value = self._parse(line)
        if value is None:
            self._missed = line[: SHOWN_OF_A_LINE + 1]
        else:
            self._samples.add(value)

    async def take(self) -> MeasurementReading:
        reader = self._reader
        if reader is not None and reader.done():
            if (error := reader.exception()) is not None:
                raise error
            raise Fault(FaultType.STATE, "the source ended", where=self.where)
        now = time.time()
        samples, self._samples = self._samples, Samples(now)
        notes = [] if samples.count else [self._why_nothing()]
        self._lines, self._missed = 0, ""
        return samples.reading(self._take, now, self._unit, notes)

    def _why_nothing(self) -> str:
        if not self._lines:
            return "no line came in this time"
        shown = displayable(self._missed, SHOWN_OF_A_LINE)
        lines = "1 line" if self._lines == 1 else f"{self._lines} lines"
        return f"{lines} came, and {self._missing}; the last was: {shown}"
