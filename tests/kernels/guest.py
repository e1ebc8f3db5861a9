# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: ASYNC240 - small files in memory
"""Runs inside the lab, as root: what works on its kernel.

Tries the objects in /run/lab/files, which `tests.kernels.looked` built for this kernel, and our own
programs. Prints one JSON object; nothing is judged here.
"""

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bpf.kernel import doctor, sysfs
from bpf.kernel.doctor_facts import gather
from bpf.probes.kinds import BccProbe, missing
from bpf.recorder.process import Recorder, RecordingOptions
from bpf.runner.lines import Stats
from bpf.runner.process import Runner, verify
from bpf.signals.source import SignalsSource
from process import Fault

FILES = Path("/run/lab/files")
LIBRARY, POLICY = "library-", "policy-"
BUSY = 4
HELD_S = 1.5
# Lines of signals come on request.
NEVER_S = 3000.0
WATCHED_S = 1.5
MOST_BYTES = 8 << 20
Seen = dict[str, Any]


@contextmanager
def busy() -> Iterator[None]:
    """More hogs than CPUs, and one task that sleeps in turns."""
    pids = []
    for number in range(BUSY + 1):
        pid = os.fork()
        if not pid:
            while True:
                if not number:
                    time.sleep(0.002)
        pids.append(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


async def held(object: Path) -> Seen:
    """Attached for a while under load: what the kernel said meanwhile, and how it ended."""
    async with await Runner.start(object, lease_s=60) as runner:
        with busy():
            await asyncio.sleep(HELD_S)
            during = sysfs.read()
        await runner.detach()
        async for event in runner.events():
            if not isinstance(event, Stats):
                return {
                    "ops": during.ops,
                    "counters": len(during.events),
                    "end": event.event,
                    "why": getattr(event, "why", ""),
                }
    return {"ops": during.ops, "end": "none"}


async def verified(object: Path) -> Seen:
    return {"ops": (await verify(object)).ops}


async def signals() -> Seen:
    with busy():
        async with SignalsSource(NEVER_S) as source:
            lines = source.lines()
            # The first line comes once it is loaded.
            await source.flush()
            await anext(lines)
            await asyncio.sleep(WATCHED_S)
            await source.flush()
            line = await anext(lines)
    return {
        "workloads": sum(each.delay_us.count > 0 for each in line.workloads),
        "lost": line.lost,
        "open": line.sees_open,
        "turns": line.sees_turns,
    }


async def recorder() -> Seen:
    with tempfile.TemporaryDirectory() as folder, busy():
        options = RecordingOptions(Path(folder) / "trace", WATCHED_S, MOST_BYTES)
        async with Recorder(options) as running:
            async for progress in running.progress():
                done = progress
    return {"records": done.records, "lost": done.lost}


async def tried(what: Awaitable[Seen]) -> Seen:
    """What it answered, or why it did not."""
    try:
        return await what
    except Fault as fault:
        return {"trouble": f"{fault.what}: {fault.why}", "hint": fault.hint}


async def main() -> None:
    checks = doctor.examine(gather())
    seen: Seen = {
        "release": platform.release(),
        "failing": {each.name: each.found for each in checks if each.verdict == "fail"},
        "warned": {each.name: each.found for each in checks if each.verdict == "warn"},
        "probes": {kind.value: missing(kind) for kind in BccProbe},
        "signals": await tried(signals()),
        "recorder": await tried(recorder()),
    }
    ways: dict[str, Callable[[Path], Awaitable[Seen]]] = {LIBRARY: held, POLICY: verified}
    for prefix, way in ways.items():
        for object in sorted(FILES.glob(f"{prefix}*.bpf.o")):
            name = object.name.removeprefix(prefix).removesuffix(".bpf.o")
            seen.setdefault(prefix, {})[name] = await tried(way(object))
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
