# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens a source of a measure and does something between two readings of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agent.measuring.measure import MeasureEntry
from agent.measuring.reading import MeasurementReading, MeasurementSource
from agent.measuring.sources import source_of
from tests.waiting import in_time

Happens = Callable[[], Awaitable[None]]


def measure_of(**given: Any) -> MeasureEntry:
    """The measure that the configuration describes, checked."""
    return MeasureEntry.model_validate({"name": "m", **given})


async def nothing() -> None:
    """Do nothing."""


def second_reading(measure: MeasureEntry, happens: Happens = nothing) -> MeasurementReading:
    """The second reading of a server with counters: what was added while this happened."""

    async def look() -> MeasurementReading:
        async with source_of(measure) as source:
            await source.take()
            await happens()
            # An interval has to be long enough for a rate.
            await asyncio.sleep(0.06)
            return await source.take()

    return asyncio.run(look())


def samples(measure: MeasureEntry, happens: Happens, count: int) -> list[float]:
    """The first `count` samples that arrive during this and afterwards."""

    async def look() -> list[float]:
        async with source_of(measure) as source:
            await source.take()
            await happens()
            return await in_time(until(source, count), 20)

    return asyncio.run(look())


async def until(source: MeasurementSource, count: int) -> list[float]:
    """Read until `count` samples have come."""
    found: list[float] = []
    while len(found) < count:
        reading = await source.take()
        assert reading.count == len(reading.examples), "more at once than are shown"
        found += reading.examples
        await asyncio.sleep(0.02)
    return found
