# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot-recorder` as a child: it writes a trace file, and reports its progress."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bpf.common.last_words import LastWords
from bpf.common.workload_id import WorkloadKind, parse_workload_id
from bpf.paths import helper
from process import Fault, FaultType, LineChild, start_lines

NAME = "schedpilot-recorder"
# As in recorder.c.
MAX_SECONDS = 3600.0
MAX_BYTES = 1 << 30
_OPTIONS = {
    WorkloadKind.CGROUP: "--cgroup",
    WorkloadKind.COMM: "--comm",
    WorkloadKind.KTHREAD: "--kthread",
}

Count = Annotated[int, Field(ge=0, lt=2**64)]


class RecordingProgress(BaseModel):
    """The progress of a recording. `lost` events were not recorded for lack of room, `left_out`
    tasks because there were too many.

    `cut` names what ended it early: `stopped`, `bytes`, `records` or `tasks`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    records: Count = 0
    tasks: Count = 0
    bytes: Count = 0
    lost: Count = 0
    left_out: Count = 0
    cut: Annotated[str, Field(max_length=64)] = ""


class _RecorderLine(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    started: RecordingProgress | None = None
    progress: RecordingProgress | None = None
    done: RecordingProgress | None = None


@dataclass(frozen=True)
class RecordingOptions:
    """What to record: a workload, or everything if `workload` is empty."""

    output: Path
    seconds: float
    most_bytes: int
    workload: str = ""

    def words(self) -> list[str]:
        """The recorder's arguments for it.

        Raises:
            Fault: BAD_NAME, or BAD_REQUEST for a workload that no name identifies.
        """
        words = ["--output", str(self.output), "--seconds", f"{self.seconds:g}"]
        words += ["--most-bytes", str(self.most_bytes)]
        if not self.workload:
            return words
        id = parse_workload_id(self.workload)
        option = _OPTIONS.get(id.kind)
        if option is None or "\0" in id.name:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"{ascii(self.workload)[:80]} cannot be recorded separately",
                why="only a cgroup or a name can be",
                hint="record everything, and look at its group",
            )
        return [*words, option, id.name]


class Recorder:
    """A running recorder, as an async context manager; leaving it ends the recording."""

    def __init__(self, wanted: RecordingOptions, *, program: Path | None = None) -> None:
        self._words = wanted.words()
        self._program = program
        self._child: LineChild | None = None
        self._last_words = LastWords()

    async def __aenter__(self) -> Self:
        program = self._program or helper(NAME)
        self._child = await start_lines(
            [program, *self._words], on_error_line=self._last_words.listen
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child:
            await self._child.end()

    async def stop(self) -> None:
        """Ask for the end; the file is complete once `progress` has ended."""
        if self._child:
            await self._child.send("stop")

    async def progress(self) -> AsyncIterator[RecordingProgress]:
        """The progress, twice a second; the last one is of the finished file.

        Raises:
            Fault: CHILD_FAILED if it ends without a finished file.
        """
        assert self._child is not None, "use it in `async with`"
        finished = False
        try:
            async for raw in self._child.lines():
                line = _RecorderLine.model_validate_json(raw)
                finished = line.done is not None
                now = line.done or line.progress or line.started
                if now and not finished:
                    yield now
                elif now:
                    last = now
        except (ValidationError, ValueError):
            raise Fault(
                FaultType.CHILD_FAILED,
                "the recorder printed something that is not understood",
                where=NAME,
                hint="install the program and the daemon from the same version",
            ) from None
        status = await self._child.wait()
        if finished and status == 0:
            yield last
            return
        await self._last_words.arrived()
        raise self._last_words.fault(f"the recorder ended with status {status}", NAME)
