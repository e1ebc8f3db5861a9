# SPDX-License-Identifier: GPL-2.0-or-later
"""From an episode to the first window of a scheduler that nobody had loaded before.

The real daemon and the real agent, of which only the choice is fixed. Each episode is opened by a
person (`ask`), which is what a degradation does in the interval in which it is detected; so what is
measured is all that comes beside the detection. It goes through profile, advice, candidate,
gates and trial, and is rolled back once the scheduler has had a window.

A trial begins with a window of what runs already, which takes as long as windows are configured to
take. It is left out: the time is from the opening until that first window begins, and from its end
until the scheduler's own begins.

Prepared: a scheduler of the library that was proven before. Cold: a line that nobody has seen,
which is compiled, checked, built and shown to the verifier, without the simulation. Idle: nothing
else runs. Overloaded: four endless loops for each CPU, each in a session of its own.
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
# Before a time is taken the load has to be there, and what was before has to be over, seconds.
SETTLE_S = 3.0
LIMIT_S = 300.0
KEYS = """
autonomy = "auto"
interval_s = 0.5
"""
# Only the time until a window is measured here: nothing but the end of the episode is to end a
# trial, not even that the sleeper, which never waits otherwise, waits while a scheduler is loaded.
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
# Wakeups a second of a workload that every window sees enough of.
LIVELY = 10.0
POLL_S = 0.5
# What the service is: it wakes often and does next to nothing.
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
    """There are eighty episodes: whoever waits sees that it goes on, and how it went so far."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def _episode(daemon: Service, workload: str, goal: str) -> tuple[float, float]:
    """From the opening to the trial's first window, and from its end to the scheduler's."""
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
            # It ended before anybody asked for it; its windows are the same.
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
    """End the trial, which may have ended by itself in this moment."""
    try:
        await daemon.client.rollback(RollbackRequest(reason="measured"))
    except Fault as fault:
        if fault.type is not FaultType.NOT_FOUND:
            raise


async def _workload(daemon: Service) -> str:
    """The one that wakes up most, which is the sleeper or the group that it is in."""
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
