# SPDX-License-Identifier: GPL-2.0-or-later
"""When work may be done ahead: while the machine has idle CPU time. Pure.

Work done ahead uses CPUs itself, so an interval in which it ran is judged by how many tasks wanted
to run, of which it is only a few; every other one by the idle time.
"""

from dataclasses import dataclass

# From this many idle CPUs on an interval is calm, and below the second it is busy; between them the
# state stays, so that a load at the limit does not make it flap.
CALM_SPARE = 0.5
BUSY_SPARE = 0.2
# Shares of the time in which some task waited for a CPU (PSI): as above.
CALM_STALLED = 0.25
BUSY_STALLED = 0.5
# More runnable tasks per CPU than our own work can cause.
BUSY_RUNNABLE = 3
# How many intervals in a row it takes to begin, and to pause.
CALM_INTERVALS = 2
BUSY_INTERVALS = 2
# How often work that was too slow on this machine is tried.
MOST_TRIES = 3


@dataclass(frozen=True)
class Interval:
    """The machine's state in one interval.

    `stalled` 0 to 1, None without PSI; `own`: our own work ran in it.
    """

    utilisation: float
    cpus: int
    runnable: int
    stalled: float | None = None
    own: bool = False

    @property
    def spare(self) -> float:
        """Idle CPUs."""
        return max(0.0, 1.0 - self.utilisation) * self.cpus


@dataclass(frozen=True)
class Turn:
    """Whether work may be done now, and how many intervals in a row have said otherwise.

    `seen` is false until there was any interval.
    """

    open: bool = False
    against: int = 0
    seen: bool = False


def is_calm(interval: Interval) -> bool:
    if interval.own:
        return interval.runnable <= BUSY_RUNNABLE * interval.cpus
    stalled = interval.stalled or 0.0
    return interval.spare >= CALM_SPARE and stalled <= CALM_STALLED


def is_busy(interval: Interval) -> bool:
    if interval.own:
        return interval.runnable > BUSY_RUNNABLE * interval.cpus
    stalled = interval.stalled or 0.0
    return interval.spare < BUSY_SPARE or stalled > BUSY_STALLED


def step(turn: Turn, interval: Interval) -> Turn:
    """The state after one more interval."""
    opposed = is_busy(interval) if turn.open else is_calm(interval)
    against = turn.against + 1 if opposed else 0
    if against >= (BUSY_INTERVALS if turn.open else CALM_INTERVALS):
        return Turn(not turn.open, 0, seen=True)
    return Turn(turn.open, against, seen=True)


def again(tries: int) -> bool:
    """Whether work that was not finished in time is tried once more."""
    return tries < MOST_TRIES
