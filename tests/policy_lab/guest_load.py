# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: each policy of the cookbook under hackbench, stress-ng and CPU hotplug.

    python -m tests.policy_lab.guest_load [--seconds 5]

Prints one JSON line for each policy. The facts that the daemon would report are random: half of all
processes match every selector, and each has some expected runtime or none.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from process import Fault
from tests.library.guest_stress import STRESSORS, Monitor, hotplug, out
from tests.policy_lab.held import Held, held, index

# One run of this takes a second or two on an emulated machine under this load.
HACKBENCH = ("hackbench", "-g", "1", "-l", "50")
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
# Processes about which facts are given between two hotplugs.
TOLD = 40
# How much longer the first hackbench may take, seconds.
LONGER_S = 20.0


class Hackbench(threading.Thread):
    """hackbench over and over; `runs` counts those that ended well."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.runs = 0
        self._over = threading.Event()
        self._now: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self._over.is_set():
            self._now = subprocess.Popen(HACKBENCH, start_new_session=True, **QUIET)
            self.runs += self._now.wait() == 0

    def end(self) -> None:
        self._over.set()
        while self.is_alive():
            if self._now is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._now.pid, signal.SIGKILL)
            self.join(0.1)


@contextlib.contextmanager
def load() -> Iterator[Hackbench]:
    """Stressors of many kinds that keep running, and hackbench."""
    stress = subprocess.Popen(["stress-ng", *STRESSORS], start_new_session=True, **QUIET)
    bench = Hackbench()
    bench.start()
    try:
        yield bench
    finally:
        os.killpg(stress.pid, signal.SIGKILL)
        stress.wait()
        bench.end()


async def tell(policy: Held, dice: random.Random) -> None:
    """Give random facts about some of the running processes, even if they have ended meanwhile."""
    # Not about ourselves: the monitor stands for processes without facts, and would wait for the
    # interpreter's lock as long as one of our threads, as a job, waits for its turn.
    pids = [pid for pid in psutil.pids() if pid != os.getpid()]
    some = dice.sample(pids, min(TOLD, len(pids)))
    for field in policy.bits:
        await policy.select(field, some[: TOLD // 2])
    if policy.expects:
        # Not about the monitor: a runtime is learned only from something that ends well.
        await policy.expect({p: dice.randrange(1, 10**10) for p in some if p != os.getpid()})


async def strain(policy: dict[str, Any], seconds: float) -> dict[str, object]:
    """Strain one policy; return what happened."""
    dice = random.Random(policy["line"])  # noqa: S311 - repeatable, not secret
    seen: dict[str, object] = {"line": policy["line"], "name": policy["name"]}
    plugs = 0
    monitor = Monitor()
    try:
        async with held(policy) as running:
            with load() as bench:
                monitor.start()
                begin = time.monotonic()
                while time.monotonic() - begin < seconds or bench.runs == 0:
                    await tell(running, dice)
                    await asyncio.to_thread(hotplug, dice)
                    plugs += 1
                    if running.trouble or time.monotonic() - begin > seconds + LONGER_S:
                        break
                seen["seconds"] = round(time.monotonic() - begin, 1)
                seen["hackbench_runs"] = bench.runs
            await asyncio.to_thread(monitor.end)
        seen["trouble"] = running.trouble
    except Fault as fault:
        seen["trouble"] = [fault.report()]
    return {
        **seen,
        "hotplugs": plugs,
        "monitor_wakeups": monitor.wakeups,
        "monitor_latest_s": round(monitor.latest_s, 3),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    for policy in index().values():
        seen = await strain(policy, options.seconds)
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
    messages = [line for line in out("dmesg").splitlines() if "sched_ext" in line or "BUG" in line]
    sys.stdout.write(json.dumps({"kernel": messages}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
