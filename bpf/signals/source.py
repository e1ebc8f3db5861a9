# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of `schedpilot-signals`: their models, and their sources.

A line is one interval. For each workload it has histograms, first of all `response_us`: how long
its threads took from a wakeup to the next sleep. `delay_us` is how long they waited on a run queue
before they got a CPU (after a wakeup, or after an involuntary switch), `slice_us` how long they
then kept it. A wait is reported in the interval in which the following stay ended; `open_us` and
`longest` cover unfinished ones.

Histograms have sixteen linear buckets in each power of two of nanoseconds, from 1.024 µs on; each
is given by its upper edge in µs. A percentile is off by 6.25 % at most.

A reader that asks for it gets, between these, a line for each process that executed a program or
ended. Those contain command lines, and so possibly secrets: they are for learning from, not for
storing.
"""

import gzip
import math
import os
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bpf.common.last_words import LastWords
from bpf.common.workload_id import MAX_LENGTH
from process import Fault, FaultType, LineChild, first_problem, start_lines
from process.effort import set_autogroup
from process.run import LINE_LIMIT

PROGRAM = Path("/usr/lib/schedpilot/schedpilot-signals")
DEFAULT_INTERVAL_S = 5.0
MAX_WORKLOADS = 512
MIN_INTERVAL_S = 0.05
MAX_INTERVAL_S = 3600.0

# Shorter times are not distinguished: the first bucket ends here (bpf/signals/signals.h).
_FIRST_EDGE_NS = 1024
FINEST_US = _FIRST_EDGE_NS / 1000
_PER_OCTAVE = 16
_BUCKETS = 401

Count = Annotated[int, Field(ge=0, lt=2**64)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=256)]
# Each of 256 bytes may need four characters.
Argument = Annotated[str, Field(max_length=1024)]


class _Model(BaseModel):
    # `extra` is ignored so that a newer program can send more to an older reader.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Histogram(_Model):
    """The distribution of durations, µs. `hist` has (upper edge, count) of non-empty buckets."""

    count: Count
    sum: Amount
    p50: Amount
    p90: Amount
    p99: Amount
    max: Amount
    hist: Annotated[tuple[tuple[Amount, Count], ...], Field(max_length=_BUCKETS)]

    @property
    def mean(self) -> float:
        """The arithmetic mean, µs; 0 if nothing was counted."""
        return self.sum / self.count if self.count else 0.0


EMPTY = Histogram(count=0, sum=0, p50=0, p90=0, p99=0, max=0, hist=())


class LongestWait(_Model):
    """The thread of a workload with the longest wait for a CPU, and its duration.

    The owner chooses `comm`.
    """

    comm: Name
    pid: Annotated[int, Field(ge=0, lt=2**32)]
    delay_us: Amount


class WorkloadSignals(_Model):
    """The activity of one workload's tasks in one interval.

    `threads`: how many of them left a CPU at least once; `wakeups`: how often one went to sleep and
    so will have been woken; `involuntary`: how often one left the CPU although it wanted to
    continue; `run_us`: CPU time of the stays that ended; `exits`: processes that ended.

    An activation is a thread's time from its wakeup (or its birth) to its next sleep (or its end),
    with all waits between. For those that ended: `response_us` is their duration, `burst_us` their
    CPU time, `waited_us` the sum of their waits after the wakeup, and `preempted_us` of their waits
    after losing the CPU. An event loop handles several requests in one
    activation: its `response_us` has one entry per event, the duration of the turn that handled it
    (docs/signals.md). `open_us` has the time so far of the activations and turns that are
    unfinished at the interval's end. `turnaround_us`: the processes that ended, from fork to exit;
    `open_jobs_us`: the age of those with a thread that runs or waits to. `longest` is the longest
    wait for a CPU, including unfinished ones.
    """

    id: Annotated[str, Field(max_length=MAX_LENGTH)]
    threads: Count
    delay_us: Histogram
    slice_us: Histogram
    wakeups: Count
    migrations: Count
    involuntary: Count
    run_us: Amount
    exits: Count = 0
    response_us: Histogram = EMPTY
    burst_us: Histogram = EMPTY
    open_us: Histogram = EMPTY
    waited_us: Amount = 0.0
    preempted_us: Amount = 0.0
    turnaround_us: Histogram = EMPTY
    open_jobs_us: Histogram = EMPTY
    longest: LongestWait | None = None

    @property
    def completions(self) -> int:
        """How many activations ended; of an event loop, how many events were handled."""
        return self.response_us.count


class CpuPressure(_Model):
    """PSI of the CPU: ten-second averages in per cent, stalled time in the interval in µs."""

    some_avg10: Amount
    some_us: Count
    full_avg10: Amount
    full_us: Count


class PerfCounters(_Model):
    """Hardware counters over all CPUs in the interval; None if there is no such counter."""

    cycles: Count | None
    instructions: Count | None
    cache_misses: Count | None


class SchedExtSignals(_Model):
    """The kernel's state of sched_ext; `events` are increases within the interval."""

    state: Name
    ops: Name | None
    enable_seq: Count
    nr_rejected: Count
    events: Annotated[dict[Name, Count], Field(max_length=64)]


class MachineSignals(_Model):
    """The machine as a whole. `utilisation` is the busy share of its CPUs, 0 to 1."""

    cpus: Annotated[int, Field(ge=1, le=65536)]
    utilisation: Annotated[float, Field(ge=0, le=1)]
    context_switches_per_s: Amount
    runnable: Count
    loadavg: tuple[Amount, Amount, Amount]
    perf: PerfCounters | None
    perf_note: Name | None
    psi_cpu: CpuPressure | None
    sched_ext: SchedExtSignals | None


class SignalsLine(_Model):
    """One interval. `t_ns` is CLOCK_BOOTTIME at its end, `time` the same in Unix seconds.

    `workloads` are sorted by CPU time, most first; `left_out` more were active but not
    listed; `lost` switches could not be accounted; `lost_execs` and `lost_exits` were not reported
    because there were too many at once; `sees_open`: whether this kernel reports unfinished
    activations; `sees_turns`: whether the turns of event loops are seen.
    """

    v: Literal[1]
    t_ns: Count
    time: Amount
    interval_s: Amount
    machine: MachineSignals
    workloads: Annotated[tuple[WorkloadSignals, ...], Field(max_length=4097)]
    left_out: Count
    lost: Count
    lost_execs: Count = 0
    lost_exits: Count = 0
    sees_open: bool = False
    sees_turns: bool = False
    # Linear buckets in each power of two; older lines, which do not say so, have four.
    per_octave: Literal[4, 16] = 4

    @model_validator(mode="after")
    def _of_one_resolution(self) -> Self:
        """With histograms in the current form, so that the age of a line does not matter."""
        if self.per_octave == _PER_OCTAVE:
            return self
        parts = _PER_OCTAVE // self.per_octave
        finer = tuple(
            each.model_copy(
                update={
                    "delay_us": _finer(each.delay_us, parts),
                    "slice_us": _finer(each.slice_us, parts),
                }
            )
            for each in self.workloads
        )
        return self.model_copy(update={"workloads": finer, "per_octave": _PER_OCTAVE})

    def workload(self, id: str) -> WorkloadSignals | None:
        """The signals of one workload, None if it did nothing (or was left out)."""
        return next((each for each in self.workloads if each.id == id), None)


# How many bytes of a command line are reported; a longer one is cut there.
ARGUMENTS_BYTES = 256


class Processes(StrEnum):
    """Which single processes the program reports."""

    NONE = "none"
    EXITS = "exits"  # those that end, when the next interval does
    ALL = "all"  # and each exec, at once


class ProcessExec(_Model):
    """A process that now runs another program.

    `arguments` are those it was given, `cut` if there is more than `ARGUMENTS_BYTES` of them. The
    owner chooses all names and arguments.
    """

    pid: Annotated[int, Field(gt=0, lt=2**32)]
    uid: Annotated[int, Field(ge=0, lt=2**32)]
    workload: Annotated[str, Field(max_length=MAX_LENGTH)]
    program: Name
    arguments: Annotated[tuple[Argument, ...], Field(max_length=ARGUMENTS_BYTES)]
    cut: bool


class ProcessExit(_Model):
    """A process that ended, having used at least 5 ms of CPU time since its last exec.

    `arguments` is None if its exec was not seen: it is older than the request, or a copy of its
    parent. `cpu_us` is the CPU time of all its threads since its exec (short by a tick at most),
    `wall_us` the time since then. `status` and `signal` are those of wait(2).
    """

    pid: Annotated[int, Field(gt=0, lt=2**32)]
    uid: Annotated[int, Field(ge=0, lt=2**32)]
    workload: Annotated[str, Field(max_length=MAX_LENGTH)]
    program: Name
    arguments: Annotated[tuple[Argument, ...], Field(max_length=ARGUMENTS_BYTES)] | None
    cut: bool
    cpu_us: Amount
    wall_us: Amount
    status: Annotated[int, Field(ge=0, lt=256)]
    signal: Annotated[int, Field(ge=0, lt=128)]

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself and without an error."""
        return self.status == 0 and self.signal == 0


class _ExecLine(_Model):
    exec: ProcessExec


class _ExitLine(_Model):
    exit: ProcessExit


def is_process(raw: bytes) -> bool:
    """Whether this line is about a single process."""
    return raw.startswith((b'{"exec":', b'{"exit":'))


def parse_process(raw: bytes) -> ProcessExec | ProcessExit:
    """A line for which `is_process` holds.

    Raises:
        ValidationError: it is something else after all.
    """
    if raw.startswith(b'{"exec":'):
        return _ExecLine.model_validate_json(raw).exec
    return _ExitLine.model_validate_json(raw).exit


def _finer(histogram: Histogram, parts: int) -> Histogram:
    """The same with each bucket split into this many parts, its count spread evenly over them."""
    hist: list[tuple[float, int]] = []
    for upper, count in histogram.hist:
        upper_ns = round(upper * 1000)
        if upper_ns <= _FIRST_EDGE_NS:
            hist.append((upper, count))
            continue
        width = parts << ((upper_ns - 1).bit_length() - 1) - (_PER_OCTAVE.bit_length() - 1)
        for part in range(parts):
            share = count * (part + 1) // parts - count * part // parts
            if share:
                hist.append(((upper_ns - width + width * (part + 1) // parts) / 1000, share))
    return histogram.model_copy(update={"hist": tuple(hist)})


def lower_edge(upper_us: float) -> float:
    """The lower edge of the bucket with this upper edge, µs."""
    upper_ns = round(upper_us * 1000)
    if upper_ns <= _FIRST_EDGE_NS:
        return 0.0
    octave = 1 << ((upper_ns - 1).bit_length() - 1)
    return (upper_ns - octave // _PER_OCTAVE) / 1000


def _rank(hist: Iterable[tuple[float, int]], total: int, most: float, q: float) -> float:
    rank = q * total
    before = 0
    for upper, count in hist:
        if before + count >= rank:
            lower = lower_edge(upper)
            width = max(min(upper, most) - lower, 0.0)
            return lower + width * (rank - before) / count
        before += count
    return most


def percentile(histogram: Histogram, q: float) -> float:
    """The duration, µs, below which the share `q` (0 to 1) lies; linear within a bucket.

    0 if nothing was counted.
    """
    if not 0 <= q <= 1:
        raise ValueError("q is a share between 0 and 1")
    if not histogram.count:
        return 0.0
    return _rank(histogram.hist, histogram.count, histogram.max, q)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """All of them as one, with percentiles of the whole (those of the parts do not add up)."""
    counts: Counter[float] = Counter()
    total = 0.0
    most = 0.0
    for each in histograms:
        total += each.sum
        most = max(most, each.max)
        for upper, count in each.hist:
            counts[upper] += count
    hist = tuple(sorted((upper, count) for upper, count in counts.items() if count))
    number = sum(counts.values())
    if not number:
        return EMPTY
    return Histogram(
        count=number,
        sum=total,
        p50=_rank(hist, number, most, 0.50),
        p90=_rank(hist, number, most, 0.90),
        p99=_rank(hist, number, most, 0.99),
        max=most,
        hist=hist,
    )


class SignalsSource:
    """A running `schedpilot-signals`, as an async context manager.

    Args:
        interval_s: seconds between lines.
        max_workloads: how many workloads a line may list.
        on_process: gets each process that is reported while `lines` is read, in order; none before
            `set_processes`.
        program: the program.
    """

    def __init__(
        self,
        interval_s: float = DEFAULT_INTERVAL_S,
        *,
        max_workloads: int = MAX_WORKLOADS,
        on_process: Callable[[ProcessExec | ProcessExit], None] | None = None,
        program: Path = PROGRAM,
    ) -> None:
        _check_interval(interval_s)
        self._on_process = on_process
        self._interval_s = interval_s
        self._max_workloads = max_workloads
        self._program = program
        self._child: LineChild | None = None
        self._last_words = LastWords()

    @property
    def interval_s(self) -> float:
        """Seconds between lines, as last requested."""
        return self._interval_s

    @property
    def pid(self) -> int | None:
        """The process, once it is started."""
        return self._child.pid if self._child else None

    async def __aenter__(self) -> Self:
        self._child = await start_lines(
            [
                self._program,
                "--interval",
                f"{self._interval_s:g}",
                "--max-workloads",
                str(self._max_workloads),
            ],
            on_error_line=self._last_words.listen,
        )
        # It has our priority over others: late signals are late reports.
        set_autogroup(self._child.pid, os.getpriority(os.PRIO_PROCESS, 0))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child:
            await self._child.end()

    async def set_interval(self, interval_s: float) -> None:
        """Report every `interval_s` seconds from now on; the next line comes after that time."""
        _check_interval(interval_s)
        self._interval_s = interval_s
        if self._child:
            await self._child.send(f"interval {interval_s:g}")

    async def set_processes(self, processes: Processes) -> None:
        """Report these single processes from now on."""
        if self._child:
            await self._child.send(f"processes {processes.value}")

    async def flush(self) -> None:
        """Ask for a line now, with everything since the last; the next one a full interval later.

        Bounds a window exactly.
        """
        if self._child:
            await self._child.send("flush")

    async def lines(self) -> AsyncIterator[SignalsLine]:
        """Each interval as it comes; ends only by raising. Processes go to `on_process`.

        Raises:
            Fault: CHILD_FAILED if the program ends or prints something else.
        """
        if self._child is None:
            raise RuntimeError("not started: use it in `async with`")
        try:
            async for raw in self._child.lines():
                if not is_process(raw):
                    yield SignalsLine.model_validate_json(raw)
                elif self._on_process:
                    self._on_process(parse_process(raw))
        except ValidationError as error:
            raise Fault(
                FaultType.CHILD_FAILED,
                "the signals program printed something that is not a line of signals",
                where=self._program.name,
                why=first_problem(error),
                hint="install the program and the daemon from the same version",
            ) from None
        except ValueError:
            raise Fault(
                FaultType.CHILD_FAILED,
                f"the signals program printed a line of more than {LINE_LIMIT} bytes",
                where=self._program.name,
            ) from None
        status = await self._child.wait()
        if status:
            await self._last_words.arrived()
        what = f"the signals program ended with status {status}"
        raise self._last_words.fault(what, self._program.name)


def _check_interval(interval_s: float) -> None:
    if math.isnan(interval_s) or not MIN_INTERVAL_S <= interval_s <= MAX_INTERVAL_S:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{interval_s:g} s is not an interval for signals",
            why=f"it has to be between {MIN_INTERVAL_S:g} and {MAX_INTERVAL_S:g} s",
        )


async def signals(
    interval_s: float = DEFAULT_INTERVAL_S, *, program: Path = PROGRAM
) -> AsyncGenerator[SignalsLine, None]:
    """The lines of a program of one's own. Close the iterator (`aclosing`) to end it.

    Raises:
        Fault: MISSING_TOOL, CHILD_FAILED, BAD_PARAMETER.
    """
    async with SignalsSource(interval_s, program=program) as source:
        async for line in source.lines():
            yield line


def recorded(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a recording as they are in it, each with its place (`path:number`).

    Plain or gzip, one at a time; empty lines are left out.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE or BAD_REQUEST.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            number = 0
            while raw := file.readline(LINE_LIMIT + 1):
                number += 1
                if len(raw) > LINE_LIMIT:
                    raise Fault(
                        FaultType.TOO_LARGE,
                        f"a line is longer than {LINE_LIMIT} bytes",
                        where=f"{path}:{number}",
                        hint="is this a recording of schedpilot-signals?",
                    )
                if raw.strip():
                    yield f"{path}:{number}", raw
    except (OSError, EOFError, zlib.error) as error:
        raise Fault(
            FaultType.NOT_FOUND if isinstance(error, FileNotFoundError) else FaultType.BAD_REQUEST,
            "the recording cannot be read",
            where=str(path),
            why=getattr(error, "strerror", None) or str(error),
            hint="give a file with the output of schedpilot-signals, plain or gzip",
        ) from error


def read_recording(path: Path) -> Iterator[SignalsLine]:
    """A recording: the program's output, plain or gzip, one interval at a time.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE or BAD_REQUEST, with the line's number.
    """
    for where, raw in recorded(path):
        if is_process(raw):
            continue
        try:
            line = SignalsLine.model_validate_json(raw)
        except ValidationError as error:
            raise Fault(
                FaultType.BAD_REQUEST,
                "this line is not a line of signals",
                where=where,
                why=first_problem(error),
                hint="a recording contains the output of schedpilot-signals, unchanged",
            ) from None
        yield line
