# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that prints one number.

command = ["/usr/local/bin/queue-length", "--shop"]
"""

import asyncio
import math
import time
from collections.abc import Sequence

from agent.measuring.reading import MeasurementReading, Momentary
from process import Fault, FaultType, Fixed, run


def parse_number(text: str, where: str) -> float:
    """The finite number in `text`, which may have white space around it.

    Raises:
        Fault: BAD_REQUEST, with the text found instead.
    """
    word = text.strip()
    shown = word[:60].encode("unicode_escape").decode()
    try:
        value = float(word)
    except ValueError:
        what = f"it printed {shown!r}" if word else "it printed nothing"
        raise Fault(
            FaultType.BAD_REQUEST,
            "the measurement is not a number",
            where=where,
            why=what,
            hint="print exactly one number, and everything else to standard error",
        ) from None
    if not math.isfinite(value):
        raise Fault(
            FaultType.BAD_REQUEST,
            "the measurement is not a finite number",
            where=where,
            why=f"it printed {shown!r}",
        )
    return value


class CommandOutput(Momentary):
    """Runs it at the end of each interval."""

    def __init__(self, argv: Sequence[str], timeout_s: float, unit: str, where: str) -> None:
        self.where = where
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._unit = unit

    async def take(self) -> MeasurementReading:
        began = time.time()
        done = await asyncio.to_thread(run, self._argv, timeout=Fixed(self._timeout_s))
        value = parse_number(done.text, self.where)
        return MeasurementReading(began, value, self._unit, 1, (value,))
