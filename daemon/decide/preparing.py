# SPDX-License-Identifier: GPL-2.0-or-later
"""When work may be done ahead: while the machine has CPU time that nobody wants. Pure.

What is done ahead uses CPUs itself, so an interval in which it did is judged by how many tasks
wanted to run, of which it is only a few; every other one by what was left over.
"""

from dataclasses import dataclass

# CPUs left over from which on an interval is calm, and below which it is busy; between them
# everything stays as it is, so that a load on the line does not make it flap.
CALM_SPARE = 0.5
BUSY_SPARE = 0.2
# Shares of the time in which some task waited for a CPU (PSI): as above.
CALM_STALLED = 0.25
BUSY_STALLED = 0.5
# Runnable tasks for each CPU that are more than our own work can be.
BUSY_RUNNABLE = 3
# Intervals in a row that it takes to begin, and to pause.
CALM_INTERVALS = 2
BUSY_INTERVALS = 2
# A piece of work that this slow a machine did not finish in time is tried so often.
MOST_TRIES = 3


@dataclass(frozen=True)
class Interval:
    """What the machine said of one interval. `stalled` 0 to 1, None where there is no PSI;
    `own`: work of ours was under way in it."""

    utilisation: float
    cpus: int
    runnable: int
    stalled: float | None = None
    own: bool = False

    @property
    def spare(self) -> float:
        """CPUs left over."""
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
    """The turn after one more interval."""
    opposed = is_busy(interval) if turn.open else is_calm(interval)
    against = turn.against + 1 if opposed else 0
    if against >= (BUSY_INTERVALS if turn.open else CALM_INTERVALS):
        return Turn(not turn.open, 0, seen=True)
    return Turn(turn.open, against, seen=True)


def again(tries: int) -> bool:
    """Whether what was not finished in time is tried once more."""
    return tries < MOST_TRIES
