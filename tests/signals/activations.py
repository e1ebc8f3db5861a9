# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of guest.py about activations: programs whose response time is known."""

import asyncio
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bpf.signals.source import SignalsLine, SignalsSource

# Lines come on request.
NEVER_S = 3000.0
PR_SET_NAME = 15
# All measured processes share this CPU.
CPU = 1
ROUNDS = 20
FOREVER_S = 600.0


def _burn(seconds: float) -> None:
    """Use this much CPU time without sleeping."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@dataclass(frozen=True)
class Child:
    """A process with its own name on the CPU, asleep until it is released."""

    pid: int
    gate: int

    def go(self) -> None:
        os.write(self.gate, b".")
        os.close(self.gate)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    @property
    def asleep(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0] == "S"

    @property
    def run_delay_s(self) -> float:
        """How long it has waited, by the kernel's count."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9


def _child(name: bytes, work: Callable[[], None], *, priority: int = 0, niceness: int = 0) -> Child:
    """The child, with a real-time priority if one is given."""
    gate, ours = os.pipe()
    pid = os.fork()
    if pid:
        os.close(gate)
        return Child(pid, ours)
    try:
        os.close(ours)
        ctypes.CDLL(None).prctl(PR_SET_NAME, name, 0, 0, 0)
        os.sched_setaffinity(0, {CPU})
        os.nice(niceness)
        if priority:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        os.read(gate, 1)
        work()
    finally:
        os._exit(0)


async def _until(true: Callable[[], bool]) -> None:
    """Poll for it, because the kernel sends no event when a process gets there."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _gone(*children: Child) -> None:
    for child in children:
        await asyncio.to_thread(os.waitpid, child.pid, 0)


class Watched:
    """Lines of the time from one call to the next."""

    def __init__(self, source: SignalsSource) -> None:
        self._source = source
        self._lines = source.lines()

    async def line(self) -> SignalsLine:
        await self._source.flush()
        return await anext(self._lines)

    async def release(self, *children: Child) -> None:
        """Release them at the beginning of a line, once each has its name and sleeps."""
        for child in children:
            await _until(lambda child=child: child.asleep)  # type: ignore[misc]
        await self.line()
        for child in children:
            child.go()


@asynccontextmanager
async def _watched() -> AsyncIterator[Watched]:
    async with SignalsSource(NEVER_S) as source:
        watched = Watched(source)
        # Once it answers, it sees everything.
        await watched.line()
        yield watched


def _seen(line: SignalsLine, id: str) -> dict[str, object] | None:
    found = line.workload(id)
    return found.model_dump() if found else None


def _periodic() -> None:
    for _ in range(ROUNDS):
        time.sleep(0.02)
        _burn(0.005)


async def periodic() -> object:
    """A program that sleeps and works in turns, alone and beside a hog on the same CPU."""
    seen = {}
    for scene in ("alone", "beside"):
        async with _watched() as watched:
            hog = _child(b"hog", lambda: _burn(FOREVER_S))
            child = _child(b"periodic", _periodic)
            await watched.release(*([hog, child] if scene == "beside" else [child]))
            await _gone(child)
            seen[scene] = _seen(await watched.line(), "comm:periodic")
            hog.kill()
            await _gone(hog)
    return seen


async def hogs() -> object:
    """Two programs on one CPU that never sleep, read once while they run and once at their end."""
    async with _watched() as watched:
        rivals = [_child(b"rival", lambda: _burn(1.0)) for _ in range(2)]
        began = time.monotonic()
        await watched.release(*rivals)
        await asyncio.sleep(0.7)
        during = _seen(await watched.line(), "comm:rival")
        await _gone(*rivals)
        took_s = time.monotonic() - began
        after = _seen(await watched.line(), "comm:rival")
    return {"during": during, "after": after, "took_s": took_s}


async def older() -> object:
    """A program that ran before the measurement began and never sleeps."""
    elder = _child(b"elder", lambda: _burn(FOREVER_S))
    await _until(lambda: elder.asleep)
    elder.go()
    async with _watched() as watched:
        await asyncio.sleep(0.5)
        during = _seen(await watched.line(), "comm:elder")
        elder.kill()
        await _gone(elder)
        after = _seen(await watched.line(), "comm:elder")
    return {"during": during, "after": after}


async def starved() -> object:
    """A thread that wakes up while one of higher priority has its CPU."""
    async with _watched() as watched:
        tyrant = _child(b"tyrant", lambda: _burn(1.5), priority=20)
        victim = _child(b"victim", lambda: _burn(0.05), priority=10)
        await watched.release(tyrant, victim)
        await asyncio.sleep(1)
        during = _seen(await watched.line(), "comm:victim")
        await _gone(victim, tyrant)
        after = _seen(await watched.line(), "comm:victim")
    return {"during": during, "after": after, "pid": victim.pid}


async def stopped() -> object:
    """A program that is stopped for a while during its work."""
    async with _watched() as watched:
        child = _child(b"halted", lambda: _burn(0.5))
        await watched.release(child)
        await asyncio.sleep(0.2)
        os.kill(child.pid, signal.SIGSTOP)
        await asyncio.sleep(2)
        os.kill(child.pid, signal.SIGCONT)
        await _gone(child)
        return _seen(await watched.line(), "comm:halted")


LEAVING = """
import ctypes, threading, time
def rest(): time.sleep(0.5)
threading.Thread(target=rest).start()
ctypes.CDLL(None).pthread_exit(None)
"""


async def jobs() -> object:
    """Processes of known length, and one whose first thread ends before its last."""
    async with _watched() as watched:
        for _ in range(5):
            await asyncio.to_thread(subprocess.Popen(["sleep", "0.1"]).wait)  # noqa: ASYNC220
        slept = _seen(await watched.line(), "comm:sleep")
        left = subprocess.Popen(["/usr/bin/env", "python3", "-c", LEAVING])  # noqa: ASYNC220
        await asyncio.to_thread(left.wait)
        outlived = _seen(await watched.line(), "comm:python3")
    return {"slept": slept, "outlived": outlived}


def _sleeper() -> None:
    _burn(0.01)
    time.sleep(2)


async def moved_asleep() -> object:
    """A task of little weight that moves to another CPU while it sleeps and, for its run queue, has
    not left yet."""
    async with _watched() as watched:
        hog = _child(b"hog", lambda: _burn(FOREVER_S))
        sleeper = _child(b"sleeper", _sleeper, niceness=19)
        await watched.release(hog, sleeper)
        asleep_s = sleeper.run_delay_s
        await _until(lambda: sleeper.run_delay_s > asleep_s and sleeper.asleep)
        before_s = sleeper.run_delay_s
        os.sched_setaffinity(sleeper.pid, {0})
        await watched.line()
        await asyncio.to_thread(os.waitid, os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        kernel_s = sleeper.run_delay_s - before_s
        await _gone(sleeper)
        after = _seen(await watched.line(), "comm:sleeper")
        hog.kill()
        await _gone(hog)
    return {"after": after, "kernel_s": kernel_s}


EVENTS = 4
TURNS = 3
TURN_S = 0.002


class _Events:
    """This many events at a time, sent on request."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._pipes = dict(os.pipe() for _ in range(EVENTS))
        for reader in self._pipes:
            self._poll.register(reader, select.EPOLLIN)

    def cause(self) -> None:
        for writer in self._pipes.values():
            os.write(writer, b".")

    def take(self) -> None:
        for reader, _ in self._poll.poll():
            os.read(reader, 1)


def _turning() -> None:
    events = _Events()
    for _ in range(ROUNDS):
        time.sleep(0.02)
        for _ in range(TURNS):
            events.cause()
            events.take()
            _burn(TURN_S)


def _restless() -> None:
    events = _Events()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        events.cause()
        events.take()
        _burn(TURN_S)


async def event_loops() -> object:
    """A program that sleeps and then handles four events three times; and one that always has four
    more."""
    async with _watched() as watched:
        turning = _child(b"turning", _turning)
        await watched.release(turning)
        await _gone(turning)
        turns = await watched.line()
        restless = _child(b"restless", _restless)
        await watched.release(restless)
        await asyncio.sleep(0.7)
        during = await watched.line()
        await _gone(restless)
    return {
        "sees_turns": turns.sees_turns,
        "turning": _seen(turns, "comm:turning"),
        "restless": _seen(during, "comm:restless"),
    }


SCENARIOS = (periodic, hogs, older, starved, stopped, jobs, moved_asleep, event_loops)
