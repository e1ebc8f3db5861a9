# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches the threads of a workload for a part of a second.

The look is bounded: processes, threads, samples. Those that vanish meanwhile are skipped.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest

from bpf.common.workload_id import WorkloadId, WorkloadKind, readable, workload_of
from daemon.understanding.proc import Proc, Process, ThreadUsage
from daemon.understanding.threads import Thread

# How long it looks, seconds, and how many samples it takes.
LOOK_S = 0.4
LOOKS = 8
MOST_PROCESSES = 512
MOST_THREADS = 256
# How many threads' place of sleep is read.
MOST_PLACES = 64
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Eye:
    """Where to look and by which clock; tests have their own."""

    proc: Proc = field(default_factory=Proc)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class WatchedStretch:
    """The workload in one period. Threads by (process, thread)."""

    processes: dict[int, Process]
    threads_total: int
    threads: dict[tuple[int, int], Thread]
    looks: list[Mapping[int, str]]
    cpu_s: dict[int, float]
    io: tuple[int, int] | None
    seconds: float


def members(wanted: WorkloadId, eye: Eye, until: float) -> tuple[dict[int, Process], bool]:
    """Its processes, lowest id first, and whether that is all of them: the list is cut when the
    time or the room is used up.
    """
    found: dict[int, Process] = {}
    # The highest first: the kernel's own threads, of which there are hundreds, are the lowest.
    for pid in reversed(eye.proc.pids()):
        if len(found) >= MOST_PROCESSES or eye.clock() > until:
            return dict(sorted(found.items())), False
        # One file of each rules most of them out.
        if _may_be(wanted, pid, eye.proc) and workload_of(pid, eye.proc.root) == wanted:
            process = eye.proc.process(pid)
            if process is not None:
                found[pid] = process
    return dict(sorted(found.items())), True


def _may_be(wanted: WorkloadId, pid: int, proc: Proc) -> bool:
    if wanted.kind is WorkloadKind.CGROUP:
        return readable(proc.cgroup(pid)) == wanted.name
    return proc.comm(pid).startswith(wanted.name)


def watched(processes: dict[int, Process], eye: Eye, until: float) -> WatchedStretch:
    """The threads of these processes for `LOOK_S`, or as long as there is time."""
    all_threads = {pid: eye.proc.threads(pid) for pid in processes}
    chosen = islice(_in_turn(all_threads), MOST_THREADS)
    names = {key: stat.comm for key in chosen if (stat := eye.proc.thread_stat(*key))}
    before = {key: eye.proc.thread_usage(*key) for key in names}
    cpu_before = {pid: _cpu_s(eye.proc, pid) for pid in processes}
    io_before = _io(processes, eye.proc)
    began = eye.clock()
    looks: list[Mapping[int, str]] = []
    places: dict[tuple[int, int], str] = {}
    for number in range(LOOKS):
        eye.sleep(LOOK_S / LOOKS)
        if eye.clock() > until:
            break
        states = {key: eye.proc.thread_stat(*key) for key in names}
        looks.append({key[1]: stat.state for key, stat in states.items() if stat})
        if number == LOOKS // 2:
            asleep = [key for key, stat in states.items() if stat and stat.state in "SD"]
            places = {key: eye.proc.thread_sleeps_in(*key) for key in asleep[:MOST_PLACES]}
    after = {key: eye.proc.thread_usage(*key) for key in names}
    io_after = _io(processes, eye.proc)
    cpu_after = {pid: _cpu_s(eye.proc, pid) for pid in processes}
    seconds = eye.clock() - began
    return WatchedStretch(
        processes=processes,
        threads_total=sum(len(each) for each in all_threads.values()),
        threads={
            key: Thread(names[key], begin, end, seconds, places.get(key, ""))
            for key in names
            if (begin := before[key]) and (end := after[key])
        },
        looks=looks,
        cpu_s=_used(processes, names, before, after, cpu_before, cpu_after),
        io=_difference(io_before, io_after),
        seconds=seconds,
    )


def _in_turn(threads: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, int]]:
    """The first thread of each process, then the second of each: one process with a thousand must
    not hide all others."""
    for row in zip_longest(*threads.values()):
        for pid, thread in zip(threads, row, strict=True):
            if thread is not None:
                yield pid, thread


def _used(
    processes: Mapping[int, Process],
    names: Mapping[tuple[int, int], str],
    before: Mapping[tuple[int, int], ThreadUsage | None],
    after: Mapping[tuple[int, int], ThreadUsage | None],
    ticks_before: Mapping[int, float],
    ticks_after: Mapping[int, float],
) -> dict[int, float]:
    """CPU seconds of each process: exact if all its threads were read, else by ticks."""
    exact = dict.fromkeys(processes, 0.0)
    for key in names:
        begin, end = before[key], after[key]
        if begin and end:
            exact[key[0]] += max(0, end.run_ns - begin.run_ns) / 1e9
    return {pid: max(exact[pid], ticks_after[pid] - ticks_before[pid]) for pid in processes}


def _cpu_s(proc: Proc, pid: int) -> float:
    stat = proc.stat(pid)
    return (stat.user_ticks + stat.system_ticks) / _TICKS_PER_S if stat else 0.0


def _io(processes: Mapping[int, Process], proc: Proc) -> tuple[int, int] | None:
    """Bytes that all of them moved until now; None if the kernel reports none."""
    told = [found for pid in list(processes)[:MOST_THREADS] if (found := proc.io(pid))]
    return (sum(each[0] for each in told), sum(each[1] for each in told)) if told else None


def _difference(
    before: tuple[int, int] | None, after: tuple[int, int] | None
) -> tuple[int, int] | None:
    if before is None or after is None:
        return None
    return max(0, after[0] - before[0]), max(0, after[1] - before[1])
