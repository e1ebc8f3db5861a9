# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded workload as values: who ran, and what each did, record by record.

docs/traces.md says what the records mean. Times are ns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# What a trace may hold. A machine of a hundred CPUs that does 10 000 wakeups a second on each
# fills a second; a quiet one an hour.
MAX_RECORDS = 1_000_000
MAX_TASKS = 200_000
MAX_WORKLOADS = 20_000
MAX_CPUS = 4096
# Two raised to 62: nothing that is added up comes near the 64 bits of the engine.
MAX_NS = 1 << 62


class How(StrEnum):
    """Who ended a sleep. All but tasks are outside: timers, devices, and what was not seen."""

    OUTSIDE = "i"
    TASK = "t"
    SYNC = "s"  # a task that said it is about to sleep
    UNKNOWN = "u"

    @property
    def by_task(self) -> bool:
        return self in (How.TASK, How.SYNC)


@dataclass(frozen=True, slots=True)
class Wake:
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
class Fork:
    """`parent` made the task, `offset_ns` of CPU time into its own phase."""

    at_ns: int
    task: int
    parent: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class Exit:
    """The task ran for `ran_ns` more and ended."""

    at_ns: int
    task: int
    ran_ns: int


@dataclass(frozen=True, slots=True)
class Runs:
    """The recording ends, and the task wants to go on."""

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


Event = Wake | Fork | Exit | Runs | Sleeps


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
    """Where it was recorded; 0 and empty where that is not known."""

    cpus: int
    llc_cpus: int = 0
    tick_ns: int = 0
    kernel: str = ""


@dataclass(frozen=True)
class Recorded:
    """A trace. `events` are in the order of time; `cut` names what ended it early, if anything.

    `lost` events were not recorded for want of room, `left_out` tasks as being too many.
    `notes` are what a reader should know about how it came to be.
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
