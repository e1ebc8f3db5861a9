# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the guest: one scheduler on a real kernel, first idle, then under every kind of load.

    python -m lab.canary_guest OBJECT SECONDS [NAME=VALUE]...

Prints two lines of JSON: how the kernel accepted the scheduler, then what was observed.
lab/canary.py on the host judges. The load: hackbench in a loop, stress-ng, and a CPU that goes
offline and online.
"""

import asyncio
import contextlib
import json
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process import Fault, LineChild, run, start_lines

RUNNER = "/usr/lib/schedpilot/schedpilot-runner"
CPUS = Path("/sys/devices/system/cpu")
# A process that gets no CPU for this long cannot renew the lease: the real-time runner then ends
# the scheduler.
LEASE_S = 10.0
# An idle machine shows what a loaded one hides: CPUs that nobody wakes up.
IDLE_S = 2.0
PERIOD_S = 0.1
# No real-time stressors: on the CPUs that hotplug leaves online they would keep every other task
# from running, which says nothing about a scheduler.
STRESSORS = (
    *("--cpu", "3", "--fork", "1", "--switch", "1"),
    *("--futex", "1", "--nanosleep", "1", "--affinity", "1"),
)
HACKBENCH = ("hackbench", "-g", "1", "-l", "100")
# The kernel log's messages about stuck CPUs and tasks.
LOCKUPS = ("soft lockup", "hard LOCKUP", "rcu: INFO: rcu", "blocked for more than", "BUG:")
# How many lines of the kernel's dump after an ejection are kept.
DUMP_LINES = 40


class Monitor(threading.Thread):
    """An ordinary task that wakes up every 100 ms; `latest_s` is its largest delay."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.latest_s = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            due = time.monotonic() + PERIOD_S
            time.sleep(PERIOD_S)
            self.latest_s = max(self.latest_s, time.monotonic() - due)

    def end(self) -> None:
        self._over.set()
        self.join()


@dataclass
class CanaryScheduler:
    """The scheduler, as its runner reports it; `ended` is the runner's last line."""

    command: Sequence[str]
    ended: dict[str, Any] | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    child: LineChild | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def load(self) -> dict[str, Any]:
        """Load it, or load it again after it ended; returns the runner's answer."""
        await self.end()
        self.child = child = await start_lines(self.command)
        self.ended = None
        self.gone.clear()
        lines = child.lines()
        taken = await _taken(lines)
        self.tasks = [asyncio.create_task(self._read(lines)), asyncio.create_task(self._renew())]
        return taken

    async def _read(self, lines: AsyncIterator[bytes]) -> None:
        async for raw in lines:
            line = json.loads(raw)
            if line["event"] in ("exited", "detached"):
                self.ended = line
                break
        self.gone.set()

    async def _renew(self) -> None:
        while self.child:
            await self.child.send("renew")
            await asyncio.sleep(LEASE_S / 8)

    async def last(self, seconds: float) -> None:
        """Wait this long, or until the scheduler is gone."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)

    async def end(self) -> None:
        """Detach it, if it is still attached."""
        child, self.child = self.child, None
        if child is None:
            return
        await child.send("detach")
        await self.gone.wait()
        for task in self.tasks:
            task.cancel()
        await child.end()


async def _taken(lines: AsyncIterator[bytes]) -> dict[str, Any]:
    async for raw in lines:
        line: dict[str, Any] = json.loads(raw)
        if line["event"] in ("attached", "failed"):
            return line
    return {"event": "nothing"}


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


async def hackbench(runs: list[int]) -> None:
    while True:
        with contextlib.suppress(Fault):
            await asyncio.to_thread(run, HACKBENCH, timeout=60)
            runs[0] += 1


def replug(dice: random.Random) -> bool:
    """Take a CPU other than the first offline and online again; whether there is one."""
    others = sorted(CPUS.glob("cpu[1-9]*/online"))
    if not others:
        return False
    chosen = dice.choice(others)
    chosen.write_text("0")
    time.sleep(dice.uniform(0.2, 1.0))
    chosen.write_text("1")
    return True


def plug_all() -> None:
    for each in CPUS.glob("cpu[1-9]*/online"):
        each.write_text("1")


async def strain(held: CanaryScheduler, seconds: float) -> dict[str, object]:
    """Load the machine until the time is up or the scheduler is gone.

    A scheduler that the kernel ends because of hotplug is loaded again; after that all CPUs stay
    online.
    """
    dice = random.Random(0)  # noqa: S311 - repeatable, not secret
    begun = time.monotonic()
    monitor, runs, plugs, restarts = Monitor(), [0], 0, 0
    monitor.start()
    await held.last(min(IDLE_S, seconds))
    stress = await start_lines(["stress-ng", "--quiet", *STRESSORS])
    bench = asyncio.create_task(hackbench(runs))
    try:
        while time.monotonic() - begun < seconds:
            await held.last(0.5)
            if held.gone.is_set():
                if restarts or not (held.ended or {}).get("restart"):
                    break
                restarts += 1
                await held.load()
            if not restarts:
                plugs += await asyncio.to_thread(replug, dice)
    finally:
        bench.cancel()
        await stress.end()
        await asyncio.to_thread(plug_all)
    monitor.end()
    return {
        "seconds": round(time.monotonic() - begun, 1),
        "hackbench_runs": runs[0],
        "hotplugs": plugs,
        "restarts": restarts,
        "latest_wakeup_s": round(monitor.latest_s, 3),
    }


async def try_out(words: Sequence[str]) -> None:
    object, seconds, *settings = words
    sets = [word for each in settings for word in ("--set", each)]
    held = CanaryScheduler([RUNNER, "--object", object, *sets, "--lease", f"{LEASE_S:g}"])
    taken = await held.load()
    say(**taken)
    if taken["event"] == "attached":
        figures = await strain(held, float(seconds))
        # If it ended meanwhile, we did not ask for it; from now on an end is intended.
        ended = dict(held.ended) if held.ended else None
        dump = str((ended or {}).pop("dump", "")).splitlines()[:DUMP_LINES]
        await held.end()
        log = run(["dmesg"], timeout=60).text.splitlines()
        stuck = [line for line in log if any(each in line for each in LOCKUPS)]
        say(event="tried", figures=figures, ended=ended, dump=dump, kernel_log=stuck[-DUMP_LINES:])
    await held.end()


if __name__ == "__main__":
    asyncio.run(try_out(sys.argv[1:]))
