# SPDX-License-Identifier: GPL-2.0-or-later
"""How much CPU a piece of work may take from others, for all of its child processes.

    with at_priority(Priority.AHEAD) as work:
        …            # every child that is started in here, in threads too
    work.give_up()   # from elsewhere: its children end now, and it can start no more

The daemon comes before others (its unit has nice -10); its children usually do not. Work that is
done ahead takes only idle time; work for a degraded workload comes before the neighbours that cause
the trouble.
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
    """The nice value of children; never below the parent's own.

    AHEAD: also SCHED_IDLE and idle I/O. URGENT: before neighbours at nice 0, after the daemon and
    real-time tasks.
    """

    AHEAD = 19
    ORDINARY = 0
    URGENT = -5


_IDLE = ("chrt", "--idle", "0", "ionice", "--class", "3", "--ignore")


@dataclass
class Effort:
    """One piece of work. `late`: some child of it missed its time limit."""

    priority: Priority
    late: bool = False
    given_up: bool = False
    _groups: set[int] = field(default_factory=set)

    def prefix(self) -> list[str]:
        """The command prefix that sets a child's priority."""
        own = os.getpriority(os.PRIO_PROCESS, 0)
        up = max(self.priority.value - own, 0)
        nice = ["nice", "-n", str(up)] if up else []
        return [*(_IDLE if self.priority is Priority.AHEAD else ()), *nice]

    def check(self) -> None:
        """Raises Fault BUSY if the work was given up."""
        if self.given_up:
            raise Fault(FaultType.BUSY, "this work was given up", why="something else goes first")

    def began(self, group: int) -> None:
        """A child has started; it leads its own session and process group."""
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
    """Make the nice value count against other sessions, too.

    Where no cgroup divides the CPUs, the kernel's autogroups do: each session gets the same share,
    and a nice value counts only within the session, unless the session has its own (sched(7)).
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), "ascii")


def settle_session() -> None:
    """Make this process's nice value count against other sessions, not only within its own.

    Only if the process leads its session, as a service does: in a terminal others share the
    session.
    """
    if os.getsid(0) == os.getpid():
        set_autogroup(os.getpid(), os.getpriority(os.PRIO_PROCESS, 0))


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


# Priority of the whole process, from any thread.
_inherited: list[Effort] = []


def current() -> Effort | None:
    """The current work; None outside of any."""
    work = _current.get()
    return work if work is not None or not _inherited else _inherited[-1]


@contextlib.contextmanager
def at_priority(priority: Priority) -> Iterator[Effort]:
    """A piece of work of this priority; tasks and threads that start in the block belong to it.

    An exception in the block gives the work up. Otherwise a thread of a cancelled task would wait
    for its child, and the process for the thread.
    """
    work = Effort(priority)
    token = _current.set(work)
    try:
        yield work
    except BaseException:
        work.give_up()
        raise
    finally:
        _current.reset(token)


def inherit() -> None:
    """For a program that is itself such a child: all its children already have the priority."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice in (Priority.AHEAD.value, Priority.URGENT.value):
        _inherited.append(Effort(Priority(nice)))
