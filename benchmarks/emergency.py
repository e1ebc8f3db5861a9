# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from an episode to the first window of a scheduler that was never loaded
before.

The daemon and the agent are real; only the agent's choice is fixed. A person opens each episode
(`ask`), just as a degradation does in the interval in which it is detected. So everything but the
detection is measured. The episode goes through profile, advice, candidate, gates and trial, and is
rolled back when the scheduler has had a window.

A trial begins with a window of what already runs, which takes as long as the configuration says. It
does not count: the time is from the opening to the beginning of that first window, plus from its
end to the beginning of the scheduler's own window.

Prepared: a scheduler of the library that was proven before. Cold: a new line, which is compiled,
checked, built and given to the verifier, without the simulation. Idle: nothing else runs.
Overloaded: four endless loops for each CPU run as well, each in its own session.
"""

import asyncio
import contextlib
import os
import sys
import time

from benchmarks.children import agent, running
from benchmarks.service import Service, service
from daemon.api.models import (
    Arm,
    CandidateRequest,
    EpisodeRequest,
    EventKind,
    RollbackRequest,
    TrialView,
)
from process import Fault, FaultType
from process import measure as measure_pace

SCHEDULER = "fair"
EPISODES = 20
LOOPS_A_CPU = 4
# Before a measurement the load has to run, and earlier work has to be over, seconds.
SETTLE_S = 3.0
LIMIT_S = 300.0
KEYS = """
autonomy = "auto"
interval_s = 0.5
"""
# Only the time until a window is measured here, so only the end of the episode may end a trial. The
# sleeper never waits otherwise; while a scheduler is loaded it does, and that may not end the
# trial.
TABLES = """
[[objective]]
workload = "cgroup:/*"
text = "cpu"

[[objective]]
workload = "comm:*"
text = "cpu"

[trial]
window_s = 1.0
settle_s = 0.0
samples_min = 1
harm_ratio = 100.0
catastrophe_ratio = 1000.0
starved_us = 30000000.0

[limits]
trials_per_hour = 1000
cooldown_s = 0.0
cooldown_max_s = 0.0
"""
# Wakeups a second that are enough for every window.
LIVELY = 10.0
POLL_S = 0.5
# The service: it wakes often and does next to nothing.
SLEEPER = "import time\nwhile True: time.sleep(0.02)"


async def measure(episodes: int = EPISODES) -> dict[str, object]:
    """Seconds of each episode, by kind and load; `gates` are those of the cold ones."""
    seconds: dict[str, list[float]] = {}
    parts: dict[str, list[float]] = {}
    piece = measure_pace()
    number = 0
    async with (
        service(KEYS, TABLES) as daemon,
        agent(daemon, "benchmarks.told_agent"),
        running("python3", "-c", SLEEPER),
    ):
        proven = await daemon.client.create_candidate(CandidateRequest(library=SCHEDULER))
        if not proven.proven:
            raise Fault(FaultType.BUILD_FAILED, f"{SCHEDULER} was not proven", why=str(proven))
        workload = await _workload(daemon)
        for load in ("idle", "overloaded"):
            async with contextlib.AsyncExitStack() as stack:
                if load == "overloaded":
                    for _ in range(LOOPS_A_CPU * (os.cpu_count() or 1)):
                        await stack.enter_async_context(running("sh", "-c", "while :; do :; done"))
                await asyncio.sleep(SETTLE_S)
                for kind in ("prepared", "cold"):
                    for _ in range(episodes):
                        number += 1
                        goal = f"library {SCHEDULER}"
                        if kind == "cold":
                            goal = f"policy slice {3000 + number}us"
                        times = await _episode(daemon, workload, goal)
                        _say(f"{kind}, {load}: {sum(times):.2f} s")
                        seconds.setdefault(f"{kind}, {load}", []).append(sum(times))
                        parts.setdefault(f"{kind}, {load}: to the trial", []).append(times[0])
                        parts.setdefault(f"{kind}, {load}: to load it", []).append(times[1])
    return {
        "scheduler": SCHEDULER,
        "episodes": episodes,
        "seconds": {name: [round(each, 3) for each in found] for name, found in seconds.items()},
        "parts": {name: [round(each, 3) for each in found] for name, found in parts.items()},
        "piece_cpu_s": piece.cpu_s,
    }


def _say(line: str) -> None:
    """There are eighty episodes, so this shows the progress and the figures so far."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def _episode(daemon: Service, workload: str, goal: str) -> tuple[float, float]:
    """From the opening to the trial's first window, and from the end of that to the scheduler's."""
    client = daemon.client
    async with asyncio.timeout(LIMIT_S):
        opened = await client.open_episode(EpisodeRequest(workload=workload, goal=goal))
        trial: TrialView | None = None
        async for event in client.events(0):
            if event.episode != opened.id:
                continue
            if event.kind is EventKind.EPISODE_CLOSED:
                break
            if event.kind is EventKind.WINDOW and trial is None:
                view = await client.trial(event.trial)
                if _met(view):
                    trial = view
                    await _ended(daemon)
        if trial is None:
            # It ended before this request; its windows are the same.
            closed = await client.episode(opened.id)
            trial = next((each for each in closed.trials if _met(each)), None)
            if trial is None:
                raise Fault(
                    FaultType.STATE,
                    "an episode ended without a window",
                    why=closed.outcome,
                    details=tuple(each.model_dump_json() for each in closed.trials),
                )
    at = next(n for n, each in enumerate(trial.windows) if each.arm is Arm.CANDIDATE)
    first, own = trial.windows[0], trial.windows[at]
    return first.started - opened.at, own.started - trial.windows[at - 1].ended


def _met(trial: TrialView) -> bool:
    """Whether the scheduler has had a window."""
    return any(each.arm is Arm.CANDIDATE for each in trial.windows)


async def _ended(daemon: Service) -> None:
    """End the trial, unless it has just ended by itself."""
    try:
        await daemon.client.rollback(RollbackRequest(reason="measured"))
    except Fault as fault:
        if fault.type is not FaultType.NOT_FOUND:
            raise


async def _workload(daemon: Service) -> str:
    """The workload that wakes most often, which is the sleeper or its group."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        seen = await daemon.client.workloads()
        rates = {
            each.id: each.last.wakeups_per_s
            for each in seen
            if each.last and not each.id.startswith("kthread:")
        }
        most = max(rates, key=lambda id: rates[id], default="")
        if most and rates[most] > LIVELY:
            return most
        await asyncio.sleep(POLL_S)
    raise Fault(FaultType.TIMEOUT, "the workload was not seen")
