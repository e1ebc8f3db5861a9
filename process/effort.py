# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of the machine a piece of work may take from others, for all children started in it.

    with at_priority(Priority.AHEAD) as work:
        …            # every child that is started in here, in threads too
    work.give_up()   # from elsewhere: its children end now, and it can start no more

The daemon comes before others (its unit has nice -10), and its children usually do not. What is
done ahead takes only what nobody else wants; what somebody in trouble waits for goes before the
neighbours that make the trouble.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from process.fault import Fault, FaultType


class Priority(Enum):
    """The nice value that children get; never one below the parent's own.

    AHEAD: besides, SCHED_IDLE and idle input and output. URGENT: before neighbours at nice 0, and
    after the daemon and real-time tasks.
    """

    AHEAD = 19
    ORDINARY = 0
    URGENT = -5


_IDLE = ("chrt", "--idle", "0", "ionice", "--class", "3", "--ignore")


@dataclass
class Effort:
    """One piece of work. `late`: some child of it did not end in time."""

    priority: Priority
    late: bool = False
    given_up: bool = False
    _groups: set[int] = field(default_factory=set)

    def prefix(self) -> list[str]:
        """The words before a command that put it in its place."""
        own = os.getpriority(os.PRIO_PROCESS, 0)
        up = max(self.priority.value - own, 0)
        nice = ["nice", "-n", str(up)] if up else []
        return [*(_IDLE if self.priority is Priority.AHEAD else ()), *nice]

    def check(self) -> None:
        """Raises Fault BUSY where the work was given up."""
        if self.given_up:
            raise Fault(FaultType.BUSY, "this work was given up", why="something else goes first")

    def began(self, group: int) -> None:
        """A child has started, which leads a session and a process group of its own."""
        self._groups.add(group)
        set_autogroup(group, self.priority.value)
        if self.given_up:
            _end(group)

    def ended(self, group: int) -> None:
        self._groups.discard(group)

    def give_up(self) -> None:
        """End all children now. From any thread."""
        self.given_up = True
        for group in tuple(self._groups):
            _end(group)


def set_autogroup(pid: int, nice: int) -> None:
    """Let the nice value count against other sessions, too.

    Where no cgroup divides the CPUs, the kernel's autogroups do: each session gets the same
    share, and a nice value counts within it alone, unless the session has got its own (sched(7)).
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), "ascii")


def settle_session() -> None:
    """Let this process's nice value count against other sessions, and not within its own alone.

    Only where the session is its own, as a service's is: in a terminal others are in it.
    """
    if os.getsid(0) == os.getpid():
        set_autogroup(os.getpid(), os.getpriority(os.PRIO_PROCESS, 0))


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


# Of the whole process, whatever thread it is.
_inherited: list[Effort] = []


def current() -> Effort | None:
    """The work that is being done; None outside of any."""
    work = _current.get()
    return work if work is not None or not _inherited else _inherited[-1]


@contextlib.contextmanager
def at_priority(priority: Priority) -> Iterator[Effort]:
    """A piece of work of this priority; tasks and threads begun in the block belong to it."""
    work = Effort(priority)
    token = _current.set(work)
    try:
        yield work
    finally:
        _current.reset(token)


def inherit() -> None:
    """For a program that is itself such a child: all of its own children are in its place."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice in (Priority.AHEAD.value, Priority.URGENT.value):
        _inherited.append(Effort(Priority(nice)))
