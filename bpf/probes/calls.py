# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts calls of a program's own functions for as long as somebody asks, in a child process.

The kernel stops the program for an instant at the start and end of each call, in all processes that
run it; its file is not changed. Needs Linux 6.6.
"""

import json
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bpf.probes.elf import MarkerPlace, opened
from bpf.probes.kinds import PYTHON
from bpf.probes.probe import MEMORY_BYTES, PLACE, READ_S, START_S, reason
from process import Fault, FaultType, LineChild, ResourceLimits, start_lines, within

# Limit of CPU time, seconds, for a child that may run for days; then another one replaces it.
CPU_S = 3600
PARTS, BUCKETS = 16, 640

Count = Annotated[int, Field(ge=0, lt=2**64)]


@dataclass(frozen=True)
class Points:
    """The places where calls begin and end, checked against the program.

    `returns`: they end when the functions at `leave` return. `nested`: calls may be nested.
    """

    path: Path
    enter: tuple[MarkerPlace, ...]
    leave: tuple[MarkerPlace, ...]
    returns: bool
    nested: bool


class Calls(BaseModel):
    """The counts of one interval; nanoseconds. `lengths` are (bucket, count) of calls.c."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: Count
    total_ns: Count
    max_ns: Count
    lost: Count
    lengths: Annotated[
        list[tuple[Annotated[int, Field(ge=0, lt=BUCKETS)], Count]], Field(max_length=BUCKETS)
    ]


class _CallsLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    started: bool = False
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    calls: Calls | None = None


def upper_us(bucket: int) -> float:
    """The upper edge of a bucket of calls.c, microseconds."""
    if bucket < PARTS:
        return (bucket + 1) / 1000
    return float((PARTS + bucket % PARTS + 1) << (bucket // PARTS - 1)) / 1000


def points(binary: str, enter: str, leave: str, *, markers: bool) -> Points:
    """Their offsets in the program. Reads its file: call it in a thread.

    Args:
        binary: an absolute path.

    Raises:
        Fault: the file cannot be read, is not a program, or has no such function or marker.
    """
    try:
        path = Path(binary).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise Fault(
            FaultType.NOT_FOUND,
            "this program does not exist",
            where=binary[:200],
            why=getattr(error, "strerror", None) or str(error),
        ) from None
    with opened(path) as program:
        find = program.markers if markers else program.functions
        return Points(
            path=path,
            enter=tuple(find(enter)),
            leave=tuple(find(leave)),
            returns=not markers,
            nested=enter == leave and not markers,
        )


class Counting:
    """An attached probe."""

    def __init__(self, child: LineChild, said: deque[str]) -> None:
        self._child = child
        self._said = said
        self._lines = child.lines()

    @classmethod
    async def start(cls, where: Points, keep_s: float, *, python: Path = PYTHON) -> Self:
        """Attach it; takes seconds. It ends some time after it was not read for `keep_s`.

        Raises:
            Fault: MISSING_TOOL, CHILD_FAILED with the child's message, TIMEOUT.
        """
        said: deque[str] = deque(maxlen=20)
        usual = os.getpriority(os.PRIO_PROCESS, 0)
        ordinary = ["nice", "-n", str(-usual)] if usual < 0 else []
        limits = ResourceLimits(memory=MEMORY_BYTES, cpu=CPU_S)
        argv: list[str | Path] = [*ordinary, *limits.arguments(), python, "-I", PLACE / "child.py"]
        own = cls(await start_lines(argv, on_error_line=said.append), said)
        wish = {
            "kind": "calls",
            "seconds": round(keep_s),
            "place": str(PLACE),
            "processes": [],
            "path": str(where.path),
            "enter": [[each.offset, each.counter] for each in where.enter],
            "leave": [[each.offset, each.counter] for each in where.leave],
            "returns": where.returns,
            "nested": int(where.nested),
        }
        try:
            async with within(START_S + READ_S):
                await own._child.send(json.dumps(wish))
                await own._answer()
        except TimeoutError:
            await own.end()
            raise Fault(FaultType.TIMEOUT, "the probe was not attached in time") from None
        except BaseException:
            await own.end()
            raise
        return own

    async def take(self) -> tuple[float, Calls]:
        """Seconds, and the calls that ended in them, since the last call of this.

        Raises:
            Fault: CHILD_FAILED, TIMEOUT.
        """
        try:
            async with within(READ_S):
                await self._child.send("take")
                line = await self._answer()
        except TimeoutError:
            raise Fault(FaultType.TIMEOUT, "the probe does not answer") from None
        if line.calls is None:
            raise Fault(FaultType.CHILD_FAILED, "the probe's answer is not understood")
        return line.seconds, line.calls

    async def end(self) -> None:
        """Detach it."""
        await self._child.end()

    async def _answer(self) -> _CallsLine:
        try:
            async for raw in self._lines:
                return _CallsLine.model_validate_json(raw)
        except (ValidationError, ValueError):
            raise Fault(FaultType.CHILD_FAILED, "the probe's answer is not understood") from None
        await self._child.end()
        raise Fault(
            FaultType.CHILD_FAILED,
            "the probe failed",
            why=reason(self._said),
            hint="see `schedpilot probe --list` and docs/workloads.md",
            details=tuple(self._said),
        )
