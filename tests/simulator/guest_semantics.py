# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: ASYNC240 - small files of /proc and /sys
"""Schedulers of the simulator's tests on a real kernel; test_semantics.py runs it in the lab.

    python tests/simulator/guest_semantics.py OUT.json

A few processes do what the scenarios' tasks do. Meanwhile each object in `semantics/` is attached,
and the output says how it ended. An object that does not end by itself is detached.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bpf.kernel import sysfs
from bpf.runner.lines import Stats
from bpf.runner.process import Runner
from process import Fault

HERE = Path("semantics")
CGROUP = Path("/sys/fs/cgroup")
# Seconds for which a good one stays in force.
PATIENCE_S = 6.0
LEASE_S = 60.0
HOGS_S = 5.0
NICE = (0, 0, 5)


def _hog() -> None:
    while True:
        pass


def _sleeper() -> None:
    while True:
        time.sleep(0.003)
        for _ in range(2000):
            pass


def _wanderer() -> None:
    while True:
        for cpu in (0, 1):
            os.sched_setaffinity(0, {cpu})
            os.sched_yield()
            time.sleep(0.002)


def _forker() -> None:
    while True:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.01)


def _pinned(cpu: int) -> Callable[[], None]:
    def run() -> None:
        os.sched_setaffinity(0, {cpu})
        _sleeper()

    return run


def _start(what: Callable[[], None]) -> int:
    child = os.fork()
    if not child:
        try:
            what()
        finally:
            os._exit(0)
    return child


@contextlib.contextmanager
def _playing(*parts: Callable[[], None]) -> Iterator[list[int]]:
    children = [_start(each) for each in parts]
    try:
        yield children
    finally:
        for child in children:
            os.kill(child, 9)
        for child in children:
            os.waitpid(child, 0)


def _named(name: str, what: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        Path("/proc/self/comm").write_text(name)
        time.sleep(0.02)
        what()

    return run


def _roam() -> None:
    for cpu in (0, 1):
        os.sched_setaffinity(0, {cpu})


def _renice() -> None:
    os.nice(3)


def _nothing() -> None:
    pass


def _move() -> None:
    (CGROUP / "semantics" / "cgroup.procs").write_text("0")


# The actions that `sequence` watches, one after the other.
WATCHED: tuple[tuple[str, Callable[[], None]], ...] = (
    ("w_affine", _roam),
    ("w_nice", _renice),
    ("w_yield", os.sched_yield),
    ("w_cgroup", _move),
    ("w_end", _nothing),
)


def _watched() -> None:
    while sysfs.read().state != "enabled":
        time.sleep(0.05)
    for name, what in WATCHED:
        os.waitpid(_start(_named(name, what)), 0)
    time.sleep(1000)


async def _end(path: Path, seconds: float = PATIENCE_S) -> dict[str, Any]:
    """How it ended, or that it did not end."""
    try:
        runner = await Runner.start(path, lease_s=LEASE_S)
    except Fault as fault:
        details = [fault.what, *fault.details]
        return {"refused": fault.type.value, "message": fault.why, "details": details}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in runner.events():
                if not isinstance(event, Stats):
                    return event.model_dump()
    await runner.detach()
    return {"kind": 0, "message": ""}


def _run_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _nice_hog(nice: int) -> Callable[[], None]:
    def run() -> None:
        os.nice(nice)
        _hog()

    return run


async def _shares(path: Path) -> list[float]:
    """The share of two CPUs that each of three hogs of unequal weight gets."""
    with _playing(*(_nice_hog(nice) for nice in NICE)) as children:
        async with await Runner.start(path, lease_s=LEASE_S):
            await asyncio.sleep(1)
            before = [_run_ns(child) for child in children]
            await asyncio.sleep(HOGS_S)
            ran = [_run_ns(child) - was for child, was in zip(children, before, strict=True)]
    return [each / sum(ran) for each in ran]


async def main() -> None:
    # Without the controller the scheduler does not see that processes move.
    (CGROUP / "cgroup.subtree_control").write_text("+cpu")
    (CGROUP / "semantics").mkdir(exist_ok=True)
    seen: dict[str, Any] = {}
    for path in sorted(HERE.glob("*.bpf.o")):
        name = path.name.removesuffix(".bpf.o")
        if name == "shares":
            seen[name] = await _shares(path)
        else:
            parts = (_hog, _hog, _sleeper, _wanderer, _forker, _pinned(0), _pinned(1))
            with _playing(*((_watched,) if name == "sequence" else parts)):
                seen[name] = await _end(path)
        while sysfs.read().state != "disabled":  # noqa: ASYNC110 - a file of sysfs has no event
            await asyncio.sleep(0.01)
        print(name, json.dumps(seen[name])[:300], flush=True)
    Path(sys.argv[1]).write_text(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
