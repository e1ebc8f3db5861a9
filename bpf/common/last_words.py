# SPDX-License-Identifier: GPL-2.0-or-later
"""What a helper program prints to standard error before it ends: the cause, for the fault."""

import asyncio
import contextlib
from collections import deque

from process import Fault, FaultType

_LINES = 20
# The program prints the cause before it ends, but that may take a moment longer to arrive.
_ARRIVE_S = 1.0


class LastWords:
    """The last lines of a program's standard error."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._spoke = asyncio.Event()

    def listen(self, line: str) -> None:
        self._lines.append(line)
        self._spoke.set()

    async def arrived(self) -> None:
        """Return when there is a line, or when none came in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._spoke.wait(), _ARRIVE_S)

    def fault(self, what: str, where: str) -> Fault:
        """CHILD_FAILED, with the last line as its cause."""
        return Fault(
            FaultType.CHILD_FAILED,
            what,
            where=where,
            why=self._lines[-1] if self._lines else "",
            hint="run `schedpilot doctor`: the kernel may lack what it needs",
            details=tuple(self._lines),
        )
