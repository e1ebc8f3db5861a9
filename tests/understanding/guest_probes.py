# SPDX-License-Identifier: GPL-2.0-or-later
"""Every probe, and the profile, on a real kernel with BCC; test_probes_lab.py runs it in the lab.

    python -m tests.understanding.guest_probes

The workload is a redis server with clients, four threads that share a lock, and three processes
that wake one another in a row. It is in a cgroup with a quota, so that compiling has the rest of
the machine. In another cgroup three threads share a mutex, and one CPU with a hog. Prints the
observations as one line of JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from agent.measuring.measure import MeasureEntry
from agent.measuring.redis import Redis
from agent.measuring.sources import source_of
from agent.measuring.table import Take
from daemon.api.models import CallPoints, CallsRequest, ProbeKind, ProbeRequest, ProfileView
from daemon.understanding.calls import CallCounts
from daemon.understanding.look import MeasuredWorkload, understand
from daemon.understanding.probing import Probing, there_are
from process import Fault
from tests.waiting import until

CGROUPS = Path("/sys/fs/cgroup")
SHOP, LOCKED = "shop.service", "locked.service"
WORKLOAD = f"cgroup:/{SHOP}"
# Microseconds of CPU time in each 100,000.
QUOTAS = {SHOP: 50_000, LOCKED: 30_000}
SECONDS = 2
LOCKS = """
import threading, time
lock = threading.Lock()
def work():
    while True:
        with lock:
            sum(range(5000))
            time.sleep(0.002)
for number in range(4):
    threading.Thread(target=work, name=f"worker-{number}").start()
"""
# A glibc mutex whose holder has the CPU for half of the time. `pbkdf2_hmac` and functions of
# libraries run without the interpreter's own lock.
MUTEX = """
import ctypes, hashlib, os, threading, time
libc = ctypes.CDLL(None)
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
mutex = ctypes.create_string_buffer(64)
def work():
    while True:
        libc.pthread_mutex_lock(mutex)
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 1000)
        libc.pthread_mutex_unlock(mutex)
        time.sleep(0.001)
open("/proc/self/comm", "w").write("holder")
if os.fork() == 0:
    while True:
        pass
for _ in range(3):
    threading.Thread(target=work, name="holder").start()
"""
# One begins by a timer, and each wakes the next.
CHAIN = """
import os, time
ends = [os.pipe(), os.pipe()]
def called(name):
    open("/proc/self/comm", "w").write(name)
if os.fork() == 0:
    called("chain-b")
    while os.read(ends[0][0], 1):
        os.write(ends[1][1], b"x")
if os.fork() == 0:
    called("chain-c")
    while os.read(ends[1][0], 1):
        pass
called("chain-a")
while True:
    time.sleep(0.02)
    os.write(ends[0][1], b"x")
"""
# In the root cgroup, under its own name: only the name identifies it.
LOOPER = """
import os, time
open("/proc/self/comm", "w").write("looper")
while True:
    os.getppid()
    time.sleep(0.01)
"""
COMMANDS_OF_REDIS = CallPoints(
    binary="/usr/bin/redis-server", enter="processCommand", exit="processCommand"
)
COMMANDS = (
    (SHOP, ("redis-server", "--port", "6379", "--save", "", "--daemonize", "no")),
    (SHOP, (sys.executable, "-c", LOCKS)),
    (SHOP, (sys.executable, "-c", CHAIN)),
    # It never ends.
    (SHOP, ("redis-benchmark", "-l", "-c", "8", "-t", "set", "-n", "1000000")),
    (LOCKED, (sys.executable, "-c", MUTEX)),
)
# A process that a probe observes while it observes another one.
OF = {
    ProbeKind.SYSCALLS: "comm:looper",
    ProbeKind.PREEMPTED_LOCKS: f"cgroup:/{LOCKED}",
}


@contextmanager
def workload() -> Iterator[None]:
    (CGROUPS / "cgroup.subtree_control").write_text("+cpu")
    for name, quota in QUOTAS.items():
        (CGROUPS / name).mkdir(exist_ok=True)
        (CGROUPS / name / "cpu.max").write_text(f"{quota} 100000")

    def enter(name: str) -> None:
        (CGROUPS / name / "cgroup.procs").write_text("0")

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    children = []
    try:
        for name, argv in COMMANDS:
            into = partial(enter, name)
            children.append(subprocess.Popen(argv, preexec_fn=into, **quiet))  # type: ignore[call-overload]
            time.sleep(0.5)
        children.append(subprocess.Popen([sys.executable, "-c", LOOPER]))
        # On a slow guest the last of three processes that wake one another comes late.
        until(lambda: len((CGROUPS / SHOP / "cgroup.procs").read_text().split()) == 6, 60.0)
        yield
    finally:
        for name in QUOTAS:
            (CGROUPS / name / "cgroup.kill").write_text("1")
        for child in children:
            child.kill()
            child.wait()


async def probed(kind: ProbeKind, of: str) -> dict[str, Any]:
    """The answer of one probe, or the reason for none. Each probe has its own runner, so that some
    compile while others measure."""
    began = time.monotonic()
    try:
        points = COMMANDS_OF_REDIS if kind is ProbeKind.UPROBE else None
        whose = None if points else of
        request = ProbeRequest(kind=kind, workload=whose, points=points, seconds=SECONDS)
        view = await Probing().run(request, None)
    except Fault as fault:
        return {"trouble": fault.report()}
    return {**view.model_dump(mode="json"), "whole_s": time.monotonic() - began}


async def all_probes() -> dict[str, Any]:
    kinds = list(ProbeKind)
    seen: dict[str, Any] = {}
    for some in (kinds[at : at + 3] for at in range(0, len(kinds), 3)):
        of = [OF.get(kind, WORKLOAD) for kind in some]
        answers = await asyncio.gather(*map(probed, some, of))
        seen |= {kind.value: answer for kind, answer in zip(some, answers, strict=True)}
    return seen


async def counted(where: CallPoints) -> dict[str, Any]:
    """The counts of the shop's requests in some intervals, beside the shop's own."""
    own = CallCounts()
    try:
        await own.take(CallsRequest(points=where), lambda: None)
        views = []
        for _ in range(2):
            await asyncio.sleep(SECONDS)
            views.append(await own.take(CallsRequest(points=where), lambda: None))
    except Fault as fault:
        return {"trouble": fault.report()}
    finally:
        await own.close()
    return {"views": [each.model_dump(mode="json") for each in views]}


async def both(places: list[CallPoints]) -> list[dict[str, Any]]:
    return await asyncio.gather(*map(counted, places))


async def own_count() -> dict[str, Any]:
    """What a measurement reads of the real server's own counts, while its client works."""
    measure = MeasureEntry(name="redis", redis=Redis(), take=Take.RATE)
    try:
        async with source_of(measure) as source:
            await source.take()
            await asyncio.sleep(SECONDS)
            return asdict(await source.take())
    except Fault as fault:
        return {"trouble": fault.report()}


def shop() -> dict[str, Any]:
    """Calls of a function and between two markers, in a program that already runs."""
    binary = Path("/tmp/shop")  # noqa: S108 - of a machine that is thrown away
    source = Path(__file__).parent / "programs/shop.c"
    subprocess.run(["clang", "-O1", "-o", binary, source], check=True)
    whole: dict[str, Any] = {"binary": str(binary)}
    pairs: dict[str, dict[str, Any]] = {
        "function": {"enter": "serve", "exit": "serve"},
        "markers": {"enter": "shop:request__start", "exit": "shop:request__done", "markers": True},
    }
    with Path("/tmp/shop.said").open("wb") as said:  # noqa: S108
        child = subprocess.Popen([binary], stdout=said)
        try:
            seen = asyncio.run(
                both([CallPoints.model_validate({**whole, **points}) for points in pairs.values()])
            )
        finally:
            child.kill()
            child.wait()
    lines = Path("/tmp/shop.said").read_text().splitlines()  # noqa: S108
    return {
        **dict(zip(pairs, seen, strict=True)),
        "semaphores": sorted({line.split()[1] for line in lines[:-1]}),
    }


def main() -> None:
    with workload():
        profile = understand(
            WORKLOAD, MeasuredWorkload(ProfileView(workload=WORKLOAD, tags=[]), None, 5.0)
        )
        seen = {
            "there_are": [each.model_dump(mode="json") for each in there_are()],
            "profile": profile.model_dump(mode="json"),
            "probes": asyncio.run(all_probes()),
        }
        seen["redis"] = asyncio.run(own_count())
    seen["shop"] = shop()
    left = subprocess.run(["pgrep", "-fc", "bpf/probes/child"], capture_output=True, text=True)
    print(json.dumps({**seen, "left": left.stdout.strip()}), flush=True)


if __name__ == "__main__":
    main()
