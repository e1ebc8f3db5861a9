# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's own trace files, read and written. docs/traces.md is their definition."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process import Fault, FaultType, first_problem
from simulator.traces.model import (
    MAX_CPUS,
    MAX_NS,
    MAX_RECORDS,
    MAX_TASKS,
    MAX_WORKLOADS,
    Event,
    How,
    RecordedTrace,
    Runs,
    Sleeps,
    TracedExit,
    TracedFork,
    TracedMachine,
    TracedTask,
    TracedWake,
)

VERSION = 1
MAX_LINE_BYTES = 16 * 1024
# Limit of the unpacked text: twice the size of a million records.
MAX_TEXT_BYTES = 256 << 20

Number = Annotated[int, Field(ge=0, lt=MAX_NS)]
Name = Annotated[str, Field(max_length=4 * 4096 + 16)]
Model = TypeVar("Model", bound=BaseModel)


class _TraceLine(BaseModel):
    # A newer recorder may write more.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _Machine(_TraceLine):
    cpus: Annotated[int, Field(ge=1, le=MAX_CPUS)]
    llc_cpus: Annotated[int, Field(ge=0, le=MAX_CPUS)] = 0
    tick_ns: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    kernel: Annotated[str, Field(max_length=256)] = ""


class _Header(_TraceLine):
    schedpilot_trace: Literal[1]
    machine: _Machine
    source: Annotated[str, Field(max_length=256)] = ""
    scope: Name = ""
    began: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class _Workload(_TraceLine):
    workload: Annotated[int, Field(ge=0, lt=MAX_WORKLOADS)]
    id: Name


class _Task(_TraceLine):
    task: Annotated[int, Field(ge=0, lt=MAX_TASKS)]
    pid: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    tgid: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    # 15 bytes, each of which may have become \xNN.
    comm: Annotated[str, Field(max_length=64)]
    workload: Annotated[int, Field(ge=0, lt=MAX_WORKLOADS)]
    uid: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    nice: Annotated[int, Field(ge=-20, le=19)] = 0
    policy: Annotated[int, Field(ge=0, le=255)] = 0
    kthread: bool = False
    cpus: Annotated[str, Field(max_length=2048, pattern=r"^[0-9,-]*$")] = ""


class _End(_TraceLine):
    end_ns: Number
    records: Number
    lost: Number = 0
    left_out: Number = 0
    cut: Annotated[str, Field(max_length=64)] = ""


_N = r"(\d{1,19})"
_SHAPES = {
    "w": re.compile(rf"w {_N} {_N} {_N} {_N} (?:([iu])|([ts]) {_N} {_N})"),
    "f": re.compile(rf"f {_N} {_N} {_N} {_N}"),
    "x": re.compile(rf"x {_N} {_N} {_N}"),
    "r": re.compile(rf"r {_N} {_N} {_N}"),
    "z": re.compile(rf"z {_N} {_N} {_N} {_N}"),
}
# The fields of a record in its line; for messages.
_MEANING = {
    "w": "w AFTER TASK RAN SLEPT i|u, or w AFTER TASK RAN SLEPT t|s WAKER OFFSET",
    "f": "f AFTER TASK PARENT OFFSET",
    "x": "x AFTER TASK RAN",
    "r": "r AFTER TASK RAN",
    "z": "z AFTER TASK RAN SLEPT",
}


def _bad(where: str, what: str, why: str = "", hint: str = "") -> Fault:
    return Fault(
        FaultType.BAD_REQUEST,
        what,
        where=where,
        why=why,
        hint=hint or "record it again; docs/traces.md has the format",
    )


def lines_of(path: Path, *, most_bytes: int, longest: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """The lines of a file, plain or gzipped, one at a time and within limits.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, or BAD_REQUEST if it cannot be unpacked.
    """
    number = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            read = 0
            while raw := file.readline(longest + 1):
                number += 1
                read += len(raw)
                if len(raw) > longest or read > most_bytes:
                    raise Fault(
                        FaultType.TOO_LARGE,
                        "a line is too long" if len(raw) > longest else "the trace is too large",
                        where=f"{path}, line {number}",
                        why=f"more than {longest if len(raw) > longest else most_bytes} bytes",
                        hint="record for a shorter time",
                    )
                yield raw
    except FileNotFoundError:
        raise Fault(FaultType.NOT_FOUND, "the trace does not exist", where=str(path)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise _bad(
            f"{path}, after line {number}",
            "the trace cannot be read",
            getattr(error, "strerror", None) or str(error),
        ) from None


def _parsed(model: type[Model], raw: bytes, where: str, what: str) -> Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _bad(where, what, first_problem(error)) from None


def _cpus_of(text: str, where: str) -> tuple[int, ...]:
    """`0-3,6` as numbers. Empty if it names none."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= MAX_CPUS or len(found) > MAX_CPUS:
            raise _bad(where, f"{part!a} is not a range of CPUs")
        found += range(first, last + 1)
    return tuple(found)


class _TraceReader:
    """The content read so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.workloads: dict[int, str] = {}
        self.tasks: dict[int, TracedTask] = {}
        self.events: list[Event] = []
        self.now = 0

    def where(self) -> str:
        return f"{self.path}, line {self.number}"

    def define(self, raw: bytes) -> _End | None:
        """A line of JSON: a workload, a task, or the end."""
        if raw.startswith(b'{"workload"'):
            known = _parsed(_Workload, raw, self.where(), "this is not a workload")
            self.workloads[known.workload] = known.id
        elif raw.startswith(b'{"task"'):
            task = _parsed(_Task, raw, self.where(), "this is not a task")
            if task.workload not in self.workloads:
                raise _bad(self.where(), f"there is no workload {task.workload} before this line")
            self.tasks[task.task] = TracedTask(
                comm=task.comm,
                workload=self.workloads[task.workload],
                pid=task.pid,
                tgid=task.tgid,
                uid=task.uid,
                nice=task.nice,
                policy=task.policy,
                kthread=task.kthread,
                cpus=_cpus_of(task.cpus, self.where()),
            )
        else:
            return _parsed(_End, raw, self.where(), "this line does not belong to a trace")
        return None

    def record(self, raw: bytes) -> None:
        """Any other line: a task's activity."""
        text = raw.decode("ascii", "replace").rstrip("\n")
        shape = _SHAPES.get(text[:1])
        match = shape.fullmatch(text) if shape else None
        if match is None:
            why = _MEANING.get(text[:1], "a record begins with w, f, x, r or z")
            raise _bad(self.where(), "this record cannot be read", f"expected: {why}")
        fields = match.groups()
        self.now += self._number(fields[0])
        self.events.append(self._event(text[0], fields))

    def _event(self, what: str, fields: tuple[str | None, ...]) -> Event:
        task = self._task(fields[1])
        match what:
            case "w":
                ran, slept = self._number(fields[2]), self._number(fields[3])
                if fields[4]:
                    return TracedWake(self.now, task, ran, slept, How(fields[4]))
                waker, offset = self._task(fields[6]), self._number(fields[7])
                return TracedWake(self.now, task, ran, slept, How(fields[5] or ""), waker, offset)
            case "f":
                return TracedFork(self.now, task, self._task(fields[2]), self._number(fields[3]))
            case "x":
                return TracedExit(self.now, task, self._number(fields[2]))
            case "r":
                return Runs(self.now, task, self._number(fields[2]))
            case _:
                return Sleeps(self.now, task, self._number(fields[2]), self._number(fields[3]))

    def _number(self, text: str | None) -> int:
        value = int(text or 0)
        if value + self.now >= MAX_NS:
            raise _bad(self.where(), "a time is out of bounds", f"{value} ns")
        return value

    def _task(self, text: str | None) -> int:
        number = int(text or 0)
        if number >= MAX_TASKS:
            raise _bad(self.where(), f"there is no task {number}", f"they are below {MAX_TASKS}")
        return number


def read_text(path: Path) -> RecordedTrace:
    """A trace of our own.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, or BAD_REQUEST with the line that is wrong.
    """
    lines = lines_of(path, most_bytes=MAX_TEXT_BYTES)
    reader = _TraceReader(path)
    reader.number = 1
    header = _parsed(
        _Header, next(lines, b""), reader.where(), f"this is not a trace of version {VERSION}"
    )
    end: _End | None = None
    cut = ""
    for raw in lines:
        reader.number += 1
        if end is not None:
            raise _bad(reader.where(), "the trace continues after its end")
        if raw.startswith(b"{"):
            end = reader.define(raw)
        elif len(reader.events) < MAX_RECORDS:
            reader.record(raw)
        else:
            cut = "records"
            break
    if end is None and not cut:
        raise _bad(
            f"{path}, after line {reader.number}",
            "the trace is cut off",
            "its last line, with `end_ns`, is missing",
            "record it again, and let the recording end",
        )
    machine = header.machine
    return RecordedTrace(
        machine=TracedMachine(machine.cpus, machine.llc_cpus, machine.tick_ns, machine.kernel),
        tasks=reader.tasks,
        events=tuple(reader.events),
        duration_ns=max(end.end_ns if end else 0, reader.now),
        source=header.source,
        scope=header.scope,
        began=header.began,
        lost=end.lost if end else 0,
        left_out=end.left_out if end else 0,
        cut=cut or (end.cut if end else ""),
    )


def _record(event: Event, after: int) -> str:
    match event:
        case TracedWake():
            line = f"w {after} {event.task} {event.ran_ns} {event.slept_ns} {event.how.value}"
            return f"{line} {event.waker} {event.offset_ns}" if event.how.by_task else line
        case TracedFork():
            return f"f {after} {event.task} {event.parent} {event.offset_ns}"
        case TracedExit():
            return f"x {after} {event.task} {event.ran_ns}"
        case Runs():
            return f"r {after} {event.task} {event.ran_ns}"
        case Sleeps():
            return f"z {after} {event.task} {event.ran_ns} {event.slept_ns}"


def _ranges(cpus: tuple[int, ...]) -> str:
    parts: list[str] = []
    left = sorted(set(cpus))
    while left:
        first = last = left.pop(0)
        while left and left[0] == last + 1:
            last = left.pop(0)
        parts.append(f"{first}-{last}" if last > first else f"{first}")
    return ",".join(parts)


def write_text(trace: RecordedTrace, path: Path) -> None:
    """The trace as a gzipped file; recordings of other tools become ours."""
    header = {
        "schedpilot_trace": VERSION,
        "machine": {
            "cpus": trace.machine.cpus,
            "llc_cpus": trace.machine.llc_cpus,
            "tick_ns": trace.machine.tick_ns,
            "kernel": trace.machine.kernel,
        },
        "source": trace.source,
        "scope": trace.scope,
        "began": trace.began,
    }
    ids = dict.fromkeys(task.workload for task in trace.tasks.values())
    workloads = {id: number for number, id in enumerate(ids)}
    lines: list[str] = [json.dumps(header)]
    lines += (json.dumps({"workload": number, "id": id}) for id, number in workloads.items())
    for number, task in trace.tasks.items():
        about = {
            "task": number,
            "pid": task.pid,
            "tgid": task.tgid,
            "comm": task.comm,
            "workload": workloads[task.workload],
            "uid": task.uid,
            "nice": task.nice,
            "policy": task.policy,
            "kthread": task.kthread,
            "cpus": _ranges(task.cpus),
        }
        lines.append(json.dumps(about))
    now = 0
    for event in trace.events:
        lines.append(_record(event, event.at_ns - now))
        now = event.at_ns
    end = {
        "end_ns": trace.duration_ns,
        "records": len(trace.events),
        "lost": trace.lost,
        "left_out": trace.left_out,
        "cut": trace.cut,
    }
    lines.append(json.dumps(end))
    text = "".join(f"{line}\n" for line in lines)
    # The same bytes for the same trace: no time of packing, no name.
    with path.open("wb") as plain, gzip.GzipFile("", "wb", 6, plain, mtime=0) as file:
        file.write(text.encode())
