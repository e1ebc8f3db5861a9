# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel half of the signals program, built natively, with a small kernel around it."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from bpf.build.clang import find_clang
from process import run

HERE = Path(__file__).parent
BPF = HERE.parents[2] / "bpf"
BUCKETS = 401
# Values of `__state` (include/linux/sched.h).
INTERRUPTIBLE = 1
STOPPED = 4
DEAD = 0x80


class Duration(IntEnum):
    """`enum duration` of bpf/signals/signals.h."""

    DELAY = 0
    SLICE = 1
    RESPONSE = 2
    BURST = 3


@dataclass(frozen=True)
class Durations:
    count: int
    sum_ns: int
    max_ns: int


@dataclass(frozen=True)
class Figures:
    delay: Durations
    slice: Durations
    response: Durations
    burst: Durations
    waited_ns: int
    preempted_ns: int
    sleeps: int
    migrations: int


@dataclass(frozen=True)
class Open:
    age_ns: int
    wait_ns: int


def build(folder: Path) -> ctypes.CDLL:
    """Build the library."""
    made = folder / "signals_native.so"
    words: list[str | Path] = [
        find_clang().path,
        "-shared",
        "-fPIC",
        "-O0",
        "-g",
        "-Wall",
        "-Werror",
    ]
    words += ["-Wno-unused-function", f"-I{HERE}", f"-I{BPF}", "-o", made, HERE / "native.c"]
    run(words, timeout=120)
    library = ctypes.CDLL(str(made))
    library.new_task.restype = ctypes.c_void_p
    library.look.restype = ctypes.c_bool
    return library


class Kernel:
    """One task on a kernel that keeps `sched_info` as kernel/sched/stats.h does.

    Time passes in nanoseconds, and only in `wait`, `run` and `sleep`.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._half = library
        self._half.start()
        self.now = 1_000_000
        self._task = ctypes.c_void_p(library.new_task(7))
        self._pcount = self._run_delay = self._arrival = self._queued = 0
        self._exec = self._migrations = 0
        self._delayed = self._on_rq = self._on_cpu = False

    def close(self) -> None:
        self._half.free_task(self._task)

    def _show(self) -> None:
        fields = (ctypes.c_uint64 * 9)(
            self._pcount,
            self._run_delay,
            self._arrival,
            self._queued,
            self._exec,
            self._migrations,
            self._delayed,
            self._on_rq,
            self._on_cpu,
        )
        self._half.set_task(self._task, fields)

    def _enqueue(self) -> None:
        self._queued = self._queued or self.now

    def _dequeue(self) -> None:
        if self._queued:
            self._run_delay += self.now - self._queued
        self._queued = 0

    def wake(self) -> None:
        """Wake up from sleep, or be born."""
        self._delayed = False
        self._on_rq = True
        self._enqueue()

    def move(self) -> None:
        """Move to another CPU, while it waits or while its dequeue is delayed."""
        self._dequeue()
        self._show()
        self._half.move(self._task)
        self._migrations += 1
        self._enqueue()

    def wait(self, ns: int) -> None:
        self.now += ns

    def run(self, ns: int) -> None:
        """Get a CPU and keep it for this long."""
        if self._queued:
            self._dequeue()
            self._arrival = self.now
            self._pcount += 1
        self._on_cpu = True
        self.now += ns
        self._exec += ns

    def leave(self, *, preempt: bool = False, state: int = 0) -> None:
        """Lose the CPU, or leave it in a state of sleep."""
        self._show()
        self._half.leave(self._task, ctypes.c_uint64(self.now), ctypes.c_bool(preempt), state)
        self._on_cpu = False
        if state == 0:
            self._enqueue()
        self._on_rq = preempt or state == 0

    def events(self, count: int) -> None:
        """A wait for events returns while the task is on a CPU: with a number of events, with none,
        or with an error (< 0)."""
        self._show()
        self._half.events_come(self._task, ctypes.c_uint64(self.now), count)

    def leave_unseen(self) -> None:
        """Lose the CPU before the program is there to see it."""
        self._on_cpu = False
        self._enqueue()

    def sleep(self, ns: int, *, moved: bool = False) -> None:
        """Sleep; `moved`: to another CPU, while its run queue believes that it is still there."""
        if moved:
            self._delayed = self._on_rq = True
            self.now += ns // 2
            self.move()
            ns -= ns // 2
        self.now += ns

    def next_interval(self) -> None:
        self._half.next_interval()

    def look(self) -> Open | None:
        """What the walk over all tasks reports about it now."""
        self._show()
        out = (ctypes.c_uint64 * 2)()
        told = self._half.look(self._task, ctypes.c_uint64(self.now), out)
        self._half.first_look_is_over()
        return Open(out[0], out[1]) if told else None

    def figures(self) -> Figures:
        out = (ctypes.c_uint64 * 16)()
        self._half.read_out(out)
        delay, stay, response, burst = (
            Durations(*out[each * 3 : each * 3 + 3]) for each in Duration
        )
        return Figures(delay, stay, response, burst, out[12], out[13], out[14], out[15])

    def counts(self, which: Duration) -> Sequence[int]:
        """The count in each bucket."""
        out = (ctypes.c_uint32 * BUCKETS)()
        self._half.read_counts(int(which), out)
        return list(out)
