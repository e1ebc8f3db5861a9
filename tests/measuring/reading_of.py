# SPDX-License-Identifier: GPL-2.0-or-later
"""A source of a measure, opened, with something done between two looks at it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agent.measuring.measure import MeasureEntry
from agent.measuring.reading import MeasurementReading, MeasurementSource
from agent.measuring.sources import source_of
from tests.waiting import in_time

Happens = Callable[[], Awaitable[None]]


def measure_of(**given: Any) -> MeasureEntry:
    """As the configuration would have it, checked."""
    return MeasureEntry.model_validate({"name": "m", **given})


async def nothing() -> None:
    """Happens."""


def second_reading(measure: MeasureEntry, happens: Happens = nothing) -> MeasurementReading:
    """Of a server with counters: what came to them while this happened."""

    async def look() -> MeasurementReading:
        async with source_of(measure) as source:
            await source.take()
            await happens()
            # An interval has to be long enough for a rate.
            await asyncio.sleep(0.06)
            return await source.take()

    return asyncio.run(look())


def samples(measure: MeasureEntry, happens: Happens, count: int) -> list[float]:
    """The first samples that come while and after this happens, `count` of them."""

    async def look() -> list[float]:
        async with source_of(measure) as source:
            await source.take()
            await happens()
            return await in_time(until(source, count), 20)

    return asyncio.run(look())


async def until(source: MeasurementSource, count: int) -> list[float]:
    """The first `count` samples that come."""
    found: list[float] = []
    while len(found) < count:
        reading = await source.take()
        assert reading.count == len(reading.examples), "more at once than are shown"
        found += reading.examples
        await asyncio.sleep(0.02)
    return found
