# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what is kept is what the person wanted: schbench's own count decides.

schbench serves requests that compute and hold a lock meanwhile; a preemption cuts them. A person
asks for shorter and for more requests. The schedulers that give that also make the run queue
longer, so a judgement by run-queue delay rejects them.

The real daemon and the real agent work on three episodes: in two the choice is fixed (`PROPOSALS`),
and in one the offline advisor chooses, asked by `schedpilot ask`. Then schbench runs alone, in turn
under the kernel's default and under what was kept, and its own figures are compared. Nothing of
ours measures there.
"""

import asyncio
import json
import os
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.children import agent, reaching, running
from benchmarks.schbench import LOAD, QUIET, SCOPE, WORKLOAD, Count, counted, find
from benchmarks.service import Service, service
from daemon.api.models import EpisodeRequest, EpisodeView, EventKind, HoldRequest, RollbackRequest
from daemon.decide.settings import TrialSettings
from process import Fault, FaultType, run, within
from process import measure as measure_pace
from process.pace import REFERENCE_S

GOAL = "lower request latency (p99) and more requests a second"
# The line that is best here by schbench's count, and the first idea of a real model.
PROPOSALS = {
    "to the end": "policy order fifo; slice 100ms",
    "first idea": 'policy thread_name ~ "schbench-work*" { order fifo; slice 60ms }; '
    "* { slice 3ms }",
}
ASKED = "asked"
KEYS = """
autonomy = "auto"
interval_s = 1.0
"""
TABLES = """
[trial]
others_floor_us = {floor_us}
window_s = 10.0
settle_s = 2.0
min_windows = 4
max_windows = 12

[limits]
trials_per_hour = 1000
cooldown_s = 0.0
cooldown_max_s = 0.0
"""
# Responses of other workloads below this are too short to guard, on a machine of usual speed.
# Emulated CPUs take several times as long for each of schbench's requests, and others wait for
# whole requests.
OTHERS_FLOOR_US = TrialSettings().others_floor_us
# One run of schbench alone, seconds. Each arm runs four times, forwards and backwards: the requests
# of single runs vary too much under emulation.
RUN_S = 20
ARMS = (False, True, True, False) * 2
# The daemon has to see the workload for some intervals before an episode opens, seconds.
SEEN_S = 25.0
EPISODE_S = 900.0
FOREVER_S = "100000"


def slower() -> float:
    """How many times slower these CPUs are than those for which the daemon's bounds were chosen."""
    return max(1.0, measure_pace().cpu_s / REFERENCE_S)


async def measure() -> dict[str, object]:
    """For each scene: what was kept, by which verdict, and schbench's own count under it."""
    program = find()
    scenes: dict[str, object] = {}
    tables = TABLES.format(floor_us=OTHERS_FLOOR_US * slower())
    for name in (*PROPOSALS, ASKED):
        # Each scene has its own memory: the lessons of one must not decide the next.
        async with service(KEYS, tables) as daemon:
            scenes[name] = await _scene(daemon, program, PROPOSALS.get(name, ""))
    return {"load": " ".join(LOAD), "goal": GOAL, "scenes": scenes}


async def _scene(daemon: Service, program: Path, proposal: str) -> dict[str, object]:
    # With a fixed proposal; otherwise as on an installed machine.
    module = ("benchmarks.told_agent", proposal) if proposal else ("agent.main",)
    async with agent(daemon, *module), running(*SCOPE, program, *LOAD, *QUIET, "-r", FOREVER_S):
        await _seen(daemon)
        episode = await (_opened(daemon) if proposal else _asked(daemon))
    status = await daemon.client.status()
    kept = status.loaded
    found: dict[str, object] = {
        "outcome": episode.outcome,
        "trials": [
            {
                "scheduler": each.scheduler,
                "objective": each.objective,
                "state": each.state.value,
                "reason": each.reason,
                "ratio": each.verdict.ratio if each.verdict else None,
            }
            for each in episode.trials
        ],
        "kept": kept.name if kept else "",
    }
    if kept is not None:
        candidate = next(each.candidate for each in episode.trials if each.state.value == "kept")
        view = await daemon.client.candidate(candidate)
        found["policy"] = view.policy or ""
        await daemon.client.rollback(RollbackRequest(reason="measured by hand from here on"))
        found["count"] = await _counts(daemon, program, candidate)
    return found


async def _counts(daemon: Service, program: Path, candidate: str) -> dict[str, object]:
    """schbench's own count under both, and the ratios."""
    runs: dict[bool, list[Count]] = {False: [], True: []}
    for held in ARMS:
        if held:
            await daemon.client.hold(HoldRequest(candidate=candidate))
        runs[held].append(await asyncio.to_thread(counted, program, RUN_S))
        if held:
            await daemon.client.release("benchmark")
    return {
        "default": [asdict(each) for each in runs[False]],
        "kept": [asdict(each) for each in runs[True]],
        "requests": _ratio(runs, "requests_per_s"),
        "p99": _ratio(runs, "p99_us"),
    }


def _ratio(runs: dict[bool, list[Count]], figure: str) -> float:
    default, kept = (
        statistics.geometric_mean(getattr(each, figure) for each in runs[held])
        for held in (False, True)
    )
    return round(kept / default, 3)


async def _seen(daemon: Service) -> None:
    """Return when the daemon has measured the workload for long enough."""
    async with within(EPISODE_S):
        while True:
            seen = await daemon.client.workloads()
            if any(each.id == WORKLOAD and each.last for each in seen):
                break
            await asyncio.sleep(1.0)
    await asyncio.sleep(SEEN_S)


async def _opened(daemon: Service) -> EpisodeView:
    """The finished episode for this goal."""
    opened = await daemon.client.open_episode(EpisodeRequest(workload=WORKLOAD, goal=GOAL))
    return await _closed(daemon, opened.id)


async def _asked(daemon: Service) -> EpisodeView:
    """The same, asked for on the command line."""
    words = ["-m", "cli.main", "ask", "--json", "--goal", GOAL, "--workload", WORKLOAD]
    done = await asyncio.to_thread(
        run,
        [sys.executable, *words],
        timeout=EPISODE_S,
        env={**os.environ, **reaching(daemon)},
        check=False,
    )
    try:
        id = json.loads(done.text)["id"]
    except (ValueError, KeyError):
        raise Fault(
            FaultType.CHILD_FAILED, "`schedpilot ask` did not answer", details=(done.error_text,)
        ) from None
    return await _closed(daemon, id)


async def _closed(daemon: Service, id: str) -> EpisodeView:
    async with within(EPISODE_S):
        async for event in daemon.client.events(0):
            if event.episode == id and event.kind is EventKind.EPISODE_CLOSED:
                break
    return await daemon.client.episode(id)


def last_line(scenes: Mapping[str, Mapping[str, Any]]) -> str:
    """The result for the person who asked, in one line."""
    count = scenes.get(ASKED, {}).get("count")
    if not count:
        return "schbench by its own count: nothing was kept"
    return (
        "schbench by its own count, under what was kept: "
        f"requests x{count['requests']:.2f}, p99 x{count['p99']:.2f}"
    )
