# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast this machine is right now, and time limits that follow it.

Every limit in this project was chosen on one idle machine. On a slower or a busier one the same
work takes longer and is just as good. A limit here is therefore a number of seconds of *that*
machine: when it has passed, a small fixed piece of work measures the speed of this one, and the
limit is extended by that factor. Nothing is measured as long as nothing is late.

Work runs in a child, as most limited work does, and is timed by the wall clock, so that slow CPUs,
other processes and a hypervisor that takes the CPU away all count.
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

# The fixed work: a counting loop in Python. Its CPU time on the reference machine, and the factor
# by which QEMU's emulation (TCG) on that machine is slower.
_TURNS = 200_000
_WORK = f"t=0\nfor i in range({_TURNS}):\n t+=i*i%7\n"
REFERENCE_S = 0.030
EMULATION = 12.0
# Upper bound of the factor: a hanging child has to end some time.
MOST = 20.0
# Repeated, because one short run depends on what else happens to run.
_ROUNDS = 3
# The fixed work is given up after this time; the machine then counts as slow as possible.
_MEASURE_MOST_S = 30.0
_LOOK_S = 0.002
# Smaller factors are not mentioned.
WORTH_TELLING = 1.5
# If less than this fraction of a limit is left, the machine is not measured again.
_REST = 0.05


@dataclass(frozen=True)
class Fixed:
    """A limit that a person gave, in seconds: it is kept exactly, however slow the machine is."""

    seconds: float


@dataclass(frozen=True)
class Pace:
    """The fixed work's duration: seconds of CPU time and of wall time.

    `reference_s` is its duration on the reference machine; in an emulated machine, that of an
    emulated one there.
    """

    cpu_s: float
    wall_s: float
    reference_s: float = REFERENCE_S

    @property
    def slower(self) -> float:
        """How many times slower the CPUs are; at least 1."""
        return max(1.0, self.cpu_s / self.reference_s)

    @property
    def factor(self) -> float:
        """How many times longer work takes here and now, in 1 to `MOST`."""
        return min(MOST, max(1.0, self.wall_s / self.reference_s))

    def words(self) -> str:
        """A message for a waiting person; empty if the machine is as fast as expected."""
        if self.factor < WORTH_TELLING:
            return ""
        times = _times(self.factor)
        if self.slower < WORTH_TELLING:
            return f"this machine is busy: work takes about {times} times longer, and so may this"
        return (
            f"this machine is about {times} times slower than the one for which the time limits "
            f"were chosen; they are {times} times longer"
        )


def _times(factor: float) -> str:
    return f"{factor:.1f}".removesuffix(".0") if factor < 3 else f"{factor:.0f}"


@cache
def emulated() -> bool:
    """Whether QEMU emulates this machine, by the name of its CPU."""
    try:
        return "TCG" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _reference_s() -> float:
    return REFERENCE_S * (EMULATION if emulated() else 1.0)


def measure() -> Pace:
    """Run the fixed work several times, in children of ordinary priority; takes a tenth of a
    second.
    """
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
        # The daemon has a higher priority, its children do not.
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


# The last measurement of the CPUs' speed: when, and its result.
_speed: list[tuple[float, float]] = []
_SPEED_LASTS_S = 60.0


def cpu_factor() -> float:
    """How many times slower the CPUs are than the reference machine's, in 1 to `MOST`.

    For limits of CPU time. Measured in this very thread, in a few milliseconds, and remembered for
    a minute.
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


def at_once(seconds: float) -> float:
    """A limit for waiting that cannot be extended later: longer if the machine is slow, or busy
    by now, up to `MOST` times.
    """
    cpus = len(os.sched_getaffinity(0))
    return seconds * min(MOST, cpu_factor() * max(1.0, _load() / cpus))


def _load() -> float:
    try:
        return os.getloadavg()[0]
    except OSError:
        # A confined child has no /proc.
        return 0.0


class Limit:
    """A time limit that a slow machine extends.

    The work that could be done counts: each stretch of time is divided by the factor measured at
    its end. The limit is reached when the sum comes to `seconds`, or after `MOST` times as long in
    any case. A `Fixed` limit is kept exactly.
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
        """Seconds until the next check; 0 when the limit is reached.

        Once `seconds` have passed, this measures the machine, which takes a moment.
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
    """In brackets, what else the machine does; empty if nothing."""
    cpus = len(os.sched_getaffinity(0))
    load = _load()
    said = []
    if pace is not None and pace.slower >= WORTH_TELLING:
        said.append(f"machine is slow: {_times(pace.slower)} times slower than usual")
    if load > 1.25 * cpus:
        said.append(f"machine is busy: load {load:.1f} on {cpus} {'CPU' if cpus == 1 else 'CPUs'}")
    return f" ({', '.join(said)})" if said else ""


@asynccontextmanager
async def within(seconds: float | Fixed) -> AsyncIterator[Limit]:
    """Like `asyncio.timeout`, with a limit that a slow machine extends.

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
                # In a thread, because it may measure and the loop serves others.
                left = await asyncio.to_thread(limit.left)
            scope.reschedule(loop.time())

        watching = asyncio.create_task(watch())
        try:
            yield limit
        finally:
            watching.cancel()
