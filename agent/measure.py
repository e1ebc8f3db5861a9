# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the measurements that objectives name, and sends them to the daemon.

The root process opens no network socket and runs no program that an operator's query names, so this
unprivileged one does. The sources are in `agent/measuring/`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from agent.measuring.measure import MeasureEntry
from agent.measuring.reading import MeasurementReading
from agent.measuring.sources import source_of
from agent.measuring.uprobe import AskForCalls
from daemon.api.models import MeasurementRequest
from process import Fault

log = logging.getLogger("schedpilot-agent")

# A continuing failure is logged again after this time.
REMIND_S = 600.0

Push = Callable[[MeasurementRequest], Awaitable[None]]


async def poll(measure: MeasureEntry) -> MeasurementRequest | None:
    """One measurement, now; None from a source that needs an interval.

    Raises:
        Fault: the source cannot be read.
    """
    async with source_of(measure) as source:
        return _measured(measure, await source.take())


def _measured(measure: MeasureEntry, reading: MeasurementReading) -> MeasurementRequest | None:
    if reading.value is None:
        return None
    return MeasurementRequest(
        name=measure.name,
        value=reading.value,
        unit=measure.unit or reading.unit,
        started=reading.since,
    )


class _Trouble:
    """The trouble of one measure: logged when it begins, now and then while it lasts, and when it
    is over.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = ""
        self._mentioned = 0.0

    def met(self, fault: Fault) -> None:
        now = time.monotonic()
        if str(fault) != self._said or now - self._mentioned > REMIND_S:
            log.warning("measure %s failed: %s", self._name, fault)
            self._mentioned = now
        self._said = str(fault)

    def over(self) -> None:
        if self._said:
            log.warning("measure %s works again", self._name)
        self._said = ""


async def keep_polling(measure: MeasureEntry, push: Push, ask: AskForCalls | None = None) -> None:
    """Poll for ever; no failure ends it.

    An interval without a value sends no measurement. A source that cannot be read is reopened; if
    nobody takes the number, that is not the source's fault.
    """
    trouble = _Trouble(measure.name)
    while True:
        began = time.monotonic()
        try:
            async with source_of(measure, ask) as source:
                while True:
                    began = time.monotonic()
                    measured = _measured(measure, await source.take())
                    await _hand_on(measured, push, trouble)
                    await asyncio.sleep(max(0.0, measure.interval_s - (time.monotonic() - began)))
        except Fault as fault:
            trouble.met(fault)
        await asyncio.sleep(max(0.0, measure.interval_s - (time.monotonic() - began)))


async def _hand_on(measured: MeasurementRequest | None, push: Push, trouble: _Trouble) -> None:
    try:
        if measured is not None:
            await push(measured)
    except Fault as fault:
        trouble.met(fault)
    else:
        trouble.over()
