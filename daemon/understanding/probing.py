# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes that the daemon runs for its clients: one at a time, because each changes what it
measures.
"""

import asyncio
import time
from collections.abc import Sequence

from bpf.probes import kinds
from bpf.probes.calls import Calls
from bpf.probes.probe import probe
from bpf.probes.whose import whose
from bpf.signals.source import SignalsLine, WorkloadSignals, merge
from daemon.api.models import CallPoints, ProbeKind, ProbeKindView, ProbeRequest, ProbeView
from daemon.understanding.calls import CallCounts
from daemon.understanding.probe_answer import answer, from_signals, of_calls
from process import Fault, FaultType


def there_are() -> list[ProbeKindView]:
    """The probes, and what each lacks here. Reads a few files: call it in a thread."""
    found = []
    for kind in kinds.BccProbe:
        about = kinds.ABOUT[kind]
        lacks = kinds.missing(kind)
        found.append(
            ProbeKindView(
                kind=ProbeKind(kind.value),
                question=about.question,
                available=not lacks,
                missing=lacks,
                instead=about.instead if lacks else "",
            )
        )
    return found


class Probing:
    """Runs the probes."""

    def __init__(self) -> None:
        self._running: ProbeRequest | None = None

    async def run(self, request: ProbeRequest, line: SignalsLine | None) -> ProbeView:
        """Run the requested probe. It ends with the daemon, whoever still waits for it.

        Args:
            line: the newest interval of the signals, which can stand in.

        Raises:
            Fault: BUSY, MISSING_TOOL, BAD_NAME, NOT_FOUND, CHILD_FAILED, TIMEOUT.
        """
        if self._running is not None:
            raise Fault(
                FaultType.BUSY,
                f"the probe {self._running.kind} runs already",
                why="each one costs time on the machine that it measures",
                hint=f"ask again in {self._running.seconds} s",
            )
        self._running = request
        try:
            return await self._look(request, line)
        finally:
            self._running = None

    async def _look(self, request: ProbeRequest, line: SignalsLine | None) -> ProbeView:
        began = time.monotonic()
        kind = kinds.BccProbe(request.kind.value)
        lacks = await asyncio.to_thread(kinds.missing, kind)
        if lacks:
            return _instead(request, line, lacks)
        if request.points is not None:
            seconds, calls = await _calls(request.points, request.seconds)
            return of_calls(request, seconds, calls, time.monotonic() - began)
        of = await asyncio.to_thread(whose, request.workload)
        found = await probe(kind, of, request.seconds)
        return answer(request, found, time.monotonic() - began)


async def _calls(where: CallPoints, seconds: int) -> tuple[float, Calls]:
    counting = await CallCounts.start(where, seconds)
    try:
        await asyncio.sleep(seconds)
        return await counting.take()
    finally:
        await counting.end()


def _instead(request: ProbeRequest, line: SignalsLine | None, lacks: list[str]) -> ProbeView:
    """The answer from the daemon's own figures, if they can give one.

    Raises:
        Fault: MISSING_TOOL if they cannot.
    """
    if request.kind is ProbeKind.RUNQLAT and line is not None:
        found = _own(request, line)
        delays = merge(each.delay_us for each in found)
        responses = merge(each.response_us for each in found)
        if delays.count:
            return from_signals(request, delays, responses, line.interval_s, "; ".join(lacks))
    about = kinds.ABOUT[kinds.BccProbe(request.kind.value)]
    raise Fault(
        FaultType.MISSING_TOOL,
        f"the probe {request.kind} cannot run here",
        why=f"missing: {'; '.join(lacks)}",
        hint=f"what remains: {about.instead}",
    )


def _own(request: ProbeRequest, line: SignalsLine) -> Sequence[WorkloadSignals]:
    """The signals of the requested workload."""
    if request.workload is None:
        return line.workloads
    signals = line.workload(request.workload)
    return [signals] if signals else []
