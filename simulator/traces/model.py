# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded workload as values: the tasks, and their activity, record by record.

docs/traces.md defines the records. Times are ns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Limits of a trace. A machine of a hundred CPUs with 10 000 wakeups a second on each fills a
# second; a quiet one an hour.
MAX_RECORDS = 1_000_000
MAX_TASKS = 200_000
MAX_WORKLOADS = 20_000
MAX_CPUS = 4096
# Two to the power of 62: no sum comes near the 64 bits of the engine.
MAX_NS = 1 << 62


class How(StrEnum):
    """What ended a sleep. Everything but tasks is outside: timers, devices, and unseen causes."""

    OUTSIDE = "i"
    TASK = "t"
    SYNC = "s"  # a task that announced that it is about to sleep
    UNKNOWN = "u"

    @property
    def by_task(self) -> bool:
        return self in (How.TASK, How.SYNC)


@dataclass(frozen=True, slots=True)
class TracedWake:
    """The task ran for `ran_ns`, slept for `slept_ns`, and is woken at `at_ns`.

    `waker` had then run for `offset_ns` since it was itself woken (or made, or first seen).
    """

    at_ns: int
    task: int
    ran_ns: int
    slept_ns: int
    how: How
    waker: int = -1
    offset_ns: int = 0


@dataclass(frozen=True, slots=True)
class TracedFork:
    """`parent` made the task, `offset_ns` of CPU time into its own phase."""

    at_ns: int
    task: int
    parent: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class TracedExit:
    """The task ran for `ran_ns` more and ended."""

    at_ns: int
    task: int
    ran_ns: int


@dataclass(frozen=True, slots=True)
class Runs:
    """The recording ends, and the task wants to continue."""

    at_ns: int
    task: int
    ran_ns: int


@dataclass(frozen=True, slots=True)
class Sleeps:
    """The recording ends, and the task sleeps."""

    at_ns: int
    task: int
    ran_ns: int
    slept_ns: int


Event = TracedWake | TracedFork | TracedExit | Runs | Sleeps


@dataclass(frozen=True, slots=True)
class TracedTask:
    """One thread. `comm` and `workload` are hostile text. `cpus` empty: all.

    `policy` is the kernel's number: 0 usual, 3 batch, 5 idle, 7 sched_ext; all others come
    before every scheduler that can be loaded.
    """

    comm: str
    workload: str
    pid: int = 0
    tgid: int = 0
    uid: int = 0
    nice: int = 0
    policy: int = 0
    kthread: bool = False
    cpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TracedMachine:
    """The recorded machine; 0 and empty if unknown."""

    cpus: int
    llc_cpus: int = 0
    tick_ns: int = 0
    kernel: str = ""


@dataclass(frozen=True)
class RecordedTrace:
    """A trace. `events` are in the order of time; `cut` names the reason if it ended early.

    `lost` events were not recorded because there was no room, `left_out` tasks because there were
    too many. `notes` are what a reader should know about its origin.
    """

    machine: TracedMachine
    tasks: Mapping[int, TracedTask]
    events: tuple[Event, ...]
    duration_ns: int
    source: str = ""
    scope: str = ""
    began: float = 0.0
    lost: int = 0
    left_out: int = 0
    cut: str = ""
    notes: tuple[str, ...] = ()
