# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: what a real kernel does with each object, under a mixed load.

    python -m tests.corpus.guest_run FOLDER --names a,b,… [--seconds 3] [--hotplug a,b,…]

One JSON line for each object: why the kernel refused it, or how it ended, and how late an ordinary
task woke up meanwhile. This program is real-time, so it survives a scheduler that serves nobody.
"""

import argparse
import asyncio
import contextlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpf.runner.lines import Exited
from bpf.runner.process import Runner, verify
from process import Fault

STRESSORS = (
    *("stress-ng", "--fork", "1", "--switch", "1", "--futex", "1"),
    *("--nanosleep", "1", "--affinity", "1"),
)
# Wakes up every 20 ms and notes in a mapped file, until that is cleared, how late it was at most.
MONITOR = """
import mmap, struct, sys, time
with open(sys.argv[1], "r+b") as file:
    place = mmap.mmap(file.fileno(), 16)
while True:
    due = time.monotonic() + 0.02
    time.sleep(0.02)
    late, woken = struct.unpack("dq", place[:])
    place[:] = struct.pack("dq", max(late, time.monotonic() - due), woken + 1)
"""
# How the kernel's messages about a scheduler's end begin.
SAYS = "sched_ext: "
LEASE_S = 20.0
PAUSE_S = 0.05


def ordinary(argv: list[str], *, nice: int = 0, cpus: set[int] | None = None) -> int:
    """A child that the scheduler under test serves, in its own session."""

    def prepare() -> None:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        if cpus:
            os.sched_setaffinity(0, cpus)

    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=prepare,
    )
    return child.pid


@dataclass(frozen=True)
class Load:
    """The hogs' ids, and the lateness of an ordinary task in shared memory."""

    hogs: list[int]
    place: mmap.mmap


@contextlib.contextmanager
def load() -> Iterator[Load]:
    """Hogs of several weights, two of them pinned, stressors, and a task that sleeps and wakes."""
    last = (os.cpu_count() or 1) - 1
    hog = ["sh", "-c", "while :; do :; done"]
    places = ((0, None), (0, None), (5, None), (10, None), (-5, None), (0, {0}), (0, {last}))
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(16))
        file.flush()
        place = mmap.mmap(file.fileno(), 16)
        others = [
            ordinary(list(STRESSORS)),
            ordinary([sys.executable, "-S", "-c", MONITOR, file.name]),
        ]
        hogs = [ordinary(hog, nice=nice, cpus=cpus) for nice, cpus in places]
        try:
            yield Load(hogs, place)
        finally:
            for pid in (*hogs, *others):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


async def unplug(over: asyncio.Event) -> None:
    """The last CPU goes and comes back, in a program of its own: a scheduler may hold it up."""
    last = (os.cpu_count() or 1) - 1
    file = Path(f"/sys/devices/system/cpu/cpu{last}/online")
    for state in ("0", "1") * 100:
        if over.is_set() and state == "0":
            return
        child = await asyncio.create_subprocess_exec(
            "sh", "-c", f"echo {state} > {file}", stderr=asyncio.subprocess.DEVNULL
        )
        await child.wait()
        await asyncio.sleep(0.3)


def disturb(hogs: list[int], dice: random.Random) -> None:
    """Changes the affinity and priority of waiting tasks."""
    pid = dice.choice(hogs[:5])
    cpus = range(os.cpu_count() or 1)
    # Refused where the CPU is away.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(pid, dice.choice([set(cpus), {dice.choice(cpus)}]))
    if dice.random() < 0.5:
        os.setpriority(os.PRIO_PROCESS, pid, dice.choice([0, 1, 5]))


async def held(file: Path, seconds: float, hotplug: bool, work: Load) -> dict[str, object]:
    """One object under load: how it ended, empty if we ended it."""
    dice = random.Random(file.name)  # noqa: S311 - repeatable, not secret
    said()
    try:
        runner = await Runner.start(file, lease_s=LEASE_S)
    except Fault as fault:
        return {"end": f"{fault.type.value}: {fault.why}", "log": said(), "seconds": 0.0}
    work.place[:] = bytes(16)
    over = asyncio.Event()
    begin = time.monotonic()
    plugs = asyncio.create_task(unplug(over)) if hotplug else None
    ended = asyncio.create_task(_end(runner))
    while time.monotonic() - begin < seconds and not ended.done():
        disturb(work.hogs, dice)
        await asyncio.wait([ended], timeout=PAUSE_S)
    lasted = time.monotonic() - begin
    late, woken = struct.unpack("dq", work.place[:16])
    over.set()
    if not ended.done():
        await runner.detach()
    end = await ended
    if plugs:
        await plugs
    seen = {"end": end, "seconds": round(lasted, 1), "late_s": round(late, 2), "woken": woken}
    return {**seen, "log": said() if end else []}


async def _end(runner: Runner) -> str:
    async for event in runner.events():
        if isinstance(event, Exited):
            return "" if event.by_request else f"{event.kind} {event.explain()}"
    return ""


def said() -> list[str]:
    """The new lines about schedulers in the kernel's log; a few."""
    words = ["dmesg", "--read-clear", "--notime"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return [line for line in done.stdout.splitlines() if SAYS in line][:4]


async def judge(file: Path, options: argparse.Namespace, work: Load) -> dict[str, object]:
    name = file.name.removesuffix(".bpf.o")
    try:
        await verify(file)
    except Fault as fault:
        why = fault.why.splitlines()[0] if fault.why else fault.what
        return {"name": name, "refused": why, "log": list(fault.details[-12:])}
    if name not in options.names.split(","):
        return {"name": name, "refused": ""}
    hotplug = name in options.hotplug.split(",")
    seen = await held(file, options.seconds, hotplug, work)
    return {"name": name, "refused": "", **seen}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--names", default="", help="these are run; others only shown to it")
    parser.add_argument("--hotplug", default="", help="those under which a CPU goes and comes")
    options = parser.parse_args()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with load() as work:
        for file in sorted(options.folder.glob("*.bpf.o")):
            sys.stdout.write(json.dumps(await judge(file, options, work)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
