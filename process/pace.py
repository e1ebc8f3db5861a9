# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast this machine is right now, and limits of time that follow it.

Every limit in this project was chosen on one machine with nothing else to do. On a slower or a
busier one the same work takes longer and is as good. So a limit here is a number of seconds of
*that* machine: when it has passed, the speed of this one is measured by a small fixed piece of
work, and the limit lasts longer by that factor. Nothing is measured as long as nothing is late.

Work is started as a child, as most of what is limited is, and timed by the clock on the wall, so
that slow CPUs, other processes and a host that takes the CPU away all count.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# The fixed work: a Python that counts. Its CPU time on the machine that the limits were made on,
# and by how much that machine's emulation of a machine (QEMU's TCG) is slower.
_TURNS = 200_000
_WORK = f"t=0\nfor i in range({_TURNS}):\n t+=i*i%7\n"
REFERENCE_S = 0.030
EMULATION = 12.0
# A limit never lasts longer by more than this: what hangs has to end some time.
MOST = 20.0
# Who runs when others do is luck in one short piece of work.
_ROUNDS = 3
# The fixed work itself is given up after so much; the machine is as slow as can be then.
_MEASURE_MOST_S = 30.0
_LOOK_S = 0.002
# Less than this is not worth a word.
WORTH_TELLING = 1.5
# What is left of a limit, as a part of it, that is not worth another measurement.
_REST = 0.05


@dataclass(frozen=True)
class Fixed:
    """A limit that a person gave, in seconds: it is kept to, however slow the machine is."""

    seconds: float


@dataclass(frozen=True)
class Pace:
    """What the fixed work took: seconds of CPU time, and on the wall.

    `reference_s` is what it takes on the machine that the limits were made on; in an emulated
    machine, on an emulated one there.
    """

    cpu_s: float
    wall_s: float
    reference_s: float = REFERENCE_S

    @property
    def slower(self) -> float:
        """By how much the CPUs are slower; at least 1."""
        return max(1.0, self.cpu_s / self.reference_s)

    @property
    def factor(self) -> float:
        """By how much work takes longer here and now, in 1 to `MOST`."""
        return min(MOST, max(1.0, self.wall_s / self.reference_s))

    def words(self) -> str:
        """What to tell a person, who waits; empty where the machine is as fast as it should be."""
        if self.factor < WORTH_TELLING:
            return ""
        times = _times(self.factor)
        if self.slower < WORTH_TELLING:
            return f"this machine is busy: work takes about {times} times longer, and so may this"
        return (
            f"this machine is about {times} times slower than the one that the limits of time "
            f"were made on; they are {times} times longer"
        )


def _times(factor: float) -> str:
    return f"{factor:.1f}".removesuffix(".0") if factor < 3 else f"{factor:.0f}"


@cache
def emulated() -> bool:
    """Whether this machine is one that QEMU emulates, by the name of its CPU."""
    try:
        return "TCG" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _reference_s() -> float:
    return REFERENCE_S * (EMULATION if emulated() else 1.0)


def measure() -> Pace:
    """Do the fixed work some times, in children of ordinary priority; a tenth of a second."""
    each = [_measure_once() for _ in range(_ROUNDS)]
    return Pace(
        sum(pace.cpu_s for pace in each) / _ROUNDS,
        sum(pace.wall_s for pace in each) / _ROUNDS,
        _reference_s(),
    )


def _measure_once() -> Pace:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    words = [sys.executable, "-I", "-S", "-c", _WORK]
    if nice < 0:
        # The daemon comes before others, its children do not.
        words = ["/usr/bin/nice", "-n", str(-nice), *words]
    begun = time.monotonic()
    try:
        child = os.posix_spawn(words[0], words, {"PATH": "/usr/bin:/bin"})
    except OSError:
        return Pace(_reference_s(), _reference_s(), _reference_s())
    while True:
        ended, _, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - begun > _MEASURE_MOST_S:
            os.kill(child, signal.SIGKILL)
            os.wait4(child, 0)
            break
        time.sleep(_LOOK_S)
    wall_s = time.monotonic() - begun
    return Pace(usage.ru_utime + usage.ru_stime, wall_s, _reference_s())


# When the CPUs' speed was measured last, and what it was.
_speed: list[tuple[float, float]] = []
_SPEED_LASTS_S = 60.0


def cpu_factor() -> float:
    """By how much the CPUs are slower than those the limits were made on, in 1 to `MOST`.

    For limits of CPU time. Measured in this very thread, for some thousandths of a second, and
    remembered for a minute.
    """
    now = time.monotonic()
    if not _speed or now - _speed[-1][0] > _SPEED_LASTS_S:
        part = 10
        begun = time.thread_time()
        total = 0
        for number in range(_TURNS // part):
            total += number * number % 7
        spent = (time.thread_time() - begun) * part
        _speed[:] = [(now, min(MOST, max(1.0, spent / _reference_s())))]
    return _speed[-1][1]


class Limit:
    """A limit of time that a slow machine puts off.

    What counts is the work that could be done: each stretch of time is divided by the factor
    measured at its end. The limit is reached when that comes to `seconds`, or after `MOST` times
    as long in any case. A `Fixed` limit is kept to as it is.
    """

    def __init__(
        self,
        seconds: float | Fixed,
        *,
        measured: Callable[[], Pace] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = isinstance(seconds, Fixed)
        self.seconds = seconds.seconds if isinstance(seconds, Fixed) else seconds
        self._measured = measured or measure
        self._clock = clock
        self._began = self._stretch_began = clock()
        self._stretch_s = self.seconds
        self._done_s = 0.0
        self.pace: Pace | None = None

    @property
    def waited_s(self) -> float:
        return self._clock() - self._began

    def left(self) -> float:
        """Seconds after which to ask again; 0 when the limit is reached.

        Once `seconds` have passed this measures the machine, which takes a moment.
        """
        now = self._clock()
        if now - self._stretch_began < self._stretch_s:
            return self._stretch_s - (now - self._stretch_began)
        most = MOST * self.seconds - (now - self._began)
        if self._fixed or most <= 0:
            return 0.0
        self.pace = self._measured()
        factor = self.pace.factor
        now = self._clock()
        self._done_s += (now - self._stretch_began) / factor
        rest = self.seconds - self._done_s
        if rest <= _REST * self.seconds:
            return 0.0
        self._stretch_began = now
        self._stretch_s = min(rest * factor, max(most, 0.0))
        return self._stretch_s

    def passed(self) -> bool:
        return self.left() <= 0

    def words(self) -> str:
        """How long was waited and why it may have been too short, for a message."""
        return f"{self.waited_s:.3g} s{_busy(self.pace)}"


def _busy(pace: Pace | None) -> str:
    """In brackets, what this machine has to do besides; empty where it has not."""
    cpus = len(os.sched_getaffinity(0))
    try:
        load = os.getloadavg()[0]
    except OSError:
        # A confined child has no /proc.
        load = 0.0
    said = []
    if pace is not None and pace.slower >= WORTH_TELLING:
        said.append(f"machine is slow: {_times(pace.slower)} times slower than usual")
    if load > 1.25 * cpus:
        said.append(f"machine is busy: load {load:.1f} on {cpus} {'CPU' if cpus == 1 else 'CPUs'}")
    return f" ({', '.join(said)})" if said else ""


@asynccontextmanager
async def within(seconds: float | Fixed) -> AsyncIterator[Limit]:
    """As `asyncio.timeout`, by a limit that a slow machine puts off.

    Raises:
        TimeoutError: the limit was reached.
    """
    limit = Limit(seconds)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:

        async def watch() -> None:
            left = limit.left()
            while left:
                await asyncio.sleep(left)
                # It may measure, and the loop has others to serve.
                left = await asyncio.to_thread(limit.left)
            scope.reschedule(loop.time())

        watching = asyncio.create_task(watch())
        try:
            yield limit
        finally:
            watching.cancel()
