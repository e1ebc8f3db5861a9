# SPDX-License-Identifier: GPL-2.0-or-later
"""How much CPU time and memory the daemon and its two C helpers use.

The real daemon runs at its default interval with a library scheduler loaded and leased: first on an
idle machine, then under hackbench beside busy loops.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

from benchmarks.service import Service, cpu_seconds, memory_kb, service
from daemon.api.models import CandidateRequest, HoldRequest
from process import start_lines

SCHEDULER = "fair"
HELPERS = ("schedpilot-signals", "schedpilot-runner")
# The length of each part, seconds: twelve and seven of the daemon's intervals.
IDLE_S = 60.0
LOADED_S = 35.0
# Intervals before the measurement, so that one-time work is over.
WARM_UP = 3


async def measure() -> dict[str, object]:
    """CPU shares in per cent of one CPU, memory in KiB."""
    async with service() as daemon:
        start = {"wall_s": round(daemon.start_s, 2), "cpu_s": round(cpu_seconds(daemon.pid), 2)}
        candidate = await daemon.client.create_candidate(CandidateRequest(library=SCHEDULER))
        await daemon.client.hold(HoldRequest(candidate=candidate.id))
        processes = {
            "schedpilotd": daemon.pid,
            **{name: daemon.helper(name) for name in HELPERS},
        }
        interval_s = (await daemon.client.signals()).interval_s
        await asyncio.sleep(WARM_UP * interval_s)
        idle = await _shares(processes, IDLE_S)
        memory_idle = {name: memory_kb(pid) for name, pid in processes.items()}
        quiet = await _workloads(daemon)
        async with _load(LOADED_S + interval_s):
            await asyncio.sleep(interval_s)
            loaded = await _shares(processes, LOADED_S)
            busy = await _workloads(daemon)
            # The daemon may take such a load for a degradation, and an episode costs CPU time as
            # well.
            episode = (await daemon.client.status()).episode
        return {
            "scheduler": SCHEDULER,
            "interval_s": interval_s,
            "start": start,
            "idle": {"seconds": IDLE_S, "cpu_percent": idle, "workloads": quiet},
            "loaded": {
                "seconds": LOADED_S,
                "cpu_percent": loaded,
                "workloads": busy,
                "episode": episode,
            },
            "memory_kb": memory_idle,
            "memory_after_load_kb": {name: memory_kb(pid) for name, pid in processes.items()},
        }


async def _shares(processes: Mapping[str, int], seconds: float) -> dict[str, float]:
    """CPU time of each process over `seconds`, in per cent of one CPU."""
    began = time.monotonic()
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    await asyncio.sleep(seconds)
    span = time.monotonic() - began
    return {
        name: round(100 * (cpu_seconds(pid) - before[name]) / span, 3)
        for name, pid in processes.items()
    }


async def _workloads(daemon: Service) -> int:
    """The number of workloads in the newest interval."""
    workloads = ((await daemon.client.signals()).line or {}).get("workloads")
    return len(workloads) if isinstance(workloads, list) else 0


@contextlib.asynccontextmanager
async def _load(seconds: float) -> AsyncIterator[None]:
    """Gives the machine far more work than it has CPUs, for at most `seconds`."""
    limit = f"{seconds:.0f}"
    children = [
        await start_lines(["timeout", limit, "hackbench", "-g", "1", "-l", "100000000"]),
        await start_lines(["stress-ng", "--quiet", "--cpu", "2", "--timeout", limit]),
    ]
    try:
        yield
    finally:
        for child in children:
            await child.end()
