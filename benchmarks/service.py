# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the real daemon during a measurement, as its service does, with the defaults."""

import asyncio
import contextlib
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from daemon.api.client import AsyncClient
from daemon.api.paths import CONTROL_SOCKET
from process import Fault, FaultType, LineChild, start_lines

# Ample for a start under emulation, seconds.
START_S = 120.0
POLL_S = 0.1
CONFIG = """
[daemon]
{keys}
state_dir = "{place}/state"
run_dir = "{place}/run"
cache_dir = "{place}/cache"

# Measured by itself (simulator_speed.py); emulated, its engine alone takes a minute to compile.
[gates]
simulate = false

# What is measured begins when the measurement says so.
[prepare]
enabled = false
"""


@dataclass(frozen=True)
class Service:
    """A daemon that answers. `start_s`: wall seconds from its start to its first answer."""

    pid: int
    client: AsyncClient
    start_s: float

    def helper(self, name: str) -> int:
        """The process id of the daemon's C helper of this name."""
        for child in psutil.Process(self.pid).children(recursive=True):
            if Path(child.exe()).name == name:
                return child.pid
        raise Fault(FaultType.NOT_FOUND, f"the daemon runs no {name}", hint="see what it says")


@contextlib.asynccontextmanager
async def service(keys: str = "", tables: str = "") -> AsyncIterator[Service]:
    """Start the daemon in its own folders; it ends with the block.

    `keys` go into the table `[daemon]` of its configuration, `tables` after all others.

    Its cache is empty, as after an installation: the first candidate waits until the parts that all
    of them share are compiled.

    Raises:
        Fault: when the daemon does not come up, with its last lines.
    """
    with TemporaryDirectory(prefix="schedpilot-bench-") as name:
        place = Path(name)
        config = _furnish(place, keys, tables)
        began = time.monotonic()
        said: deque[str] = deque(maxlen=20)
        child = await start_lines(
            [sys.executable, "-m", "benchmarks.as_service", "--config", config],
            on_error_line=said.append,
        )
        drain = asyncio.create_task(_drain(child, said))
        try:
            async with AsyncClient(place / "run" / CONTROL_SOCKET) as client:
                await _answering(client, child, said)
                yield Service(child.pid, client, time.monotonic() - began)
        finally:
            await child.end()
            await drain


def _furnish(place: Path, keys: str, tables: str) -> Path:
    """Fill the folder of a daemon; returns its configuration file."""
    # clang runs as its own user, and has to reach the daemon's cache in here.
    place.chmod(0o755)
    (place / "cache").mkdir(mode=0o755)
    config = place / "schedpilot.toml"
    config.write_text(CONFIG.format(place=place, keys=keys) + tables, encoding="utf-8")
    return config


async def _drain(child: LineChild, said: deque[str]) -> None:
    async for line in child.lines():
        said.append(line.decode("utf-8", "replace").rstrip("\n"))


async def _answering(client: AsyncClient, child: LineChild, said: deque[str]) -> None:
    limit = time.monotonic() + START_S
    while True:
        try:
            await client.status()
            return
        except Fault as fault:
            if fault.type is not FaultType.UNREACHABLE:
                raise
            if child.status is not None or time.monotonic() > limit:
                raise Fault(
                    FaultType.CHILD_FAILED, "the daemon did not come up", details=tuple(said)
                ) from None
        await asyncio.sleep(POLL_S)


def memory_kb(pid: int) -> dict[str, int]:
    """Resident memory of a process in KiB: all of it, and the anonymous part."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    found = dict(re.findall(r"^(\w+): +(\d+) kB$", text, flags=re.MULTILINE))
    return {"resident": int(found["Rss"]), "anonymous": int(found["Anonymous"])}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system, without its children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
