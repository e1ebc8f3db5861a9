# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the offline advisor learns: regret and trials over replayed episodes, and how long a
belief takes.

Each run is 30 episodes of mixed workloads in its own order, with memory and, for comparison,
without. Regret is the gain of the best choice minus the gain that was reached, plus the cost of
failed trials.
"""

import asyncio
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.learning.replay import EPISODES, Dealt, Memory, episodes, recorded, replay
from daemon.memory.beliefs import BeliefQuestion

RUNS = 20
THIRD = EPISODES // 3
# The meetings with a workload that have their own figures.
MEETINGS = (1, 2, 3)


def _mean(values: Sequence[float]) -> dict[str, float]:
    """The mean, and half the width of its 95 % interval over the runs."""
    half = 1.96 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return {"mean": round(fmean(values), 4), "half_95": round(half, 4)}


def _by_run(
    runs: Sequence[Sequence[Dealt]],
    chosen: Callable[[int, Dealt], bool],
    value: Callable[[Dealt], float],
) -> dict[str, float]:
    found = []
    for run in runs:
        values = [value(each) for number, each in enumerate(run) if chosen(number, each)]
        if values:
            found.append(fmean(values))
    return _mean(found)


def summary(runs: Sequence[Sequence[Dealt]]) -> dict[str, Any]:
    """Regret in each third of the episodes, and trials in the first meetings with a workload."""
    return {
        "regret": [
            _by_run(runs, lambda number, _: number // THIRD == third, lambda each: each.regret)  # noqa: B023
            for third in range(3)
        ],
        "trials": [
            _by_run(runs, lambda _, each: each.meeting == meeting, lambda each: each.trials)  # noqa: B023
            for meeting in MEETINGS
        ],
    }


def compared(runs: int = RUNS) -> dict[str, Any]:
    """With memory and without, over the same sequences and with the same random numbers."""
    workloads = recorded()
    sequences = [(episodes(workloads, seed), seed) for seed in range(runs)]
    with_memory = [replay(sequence, seed) for sequence, seed in sequences]
    without = [replay(sequence, seed, memory=False) for sequence, seed in sequences]
    by_workload = {
        each.name: {
            "best": round(each.best, 3),
            "regret": [
                round(fmean(d.regret for run in with_memory for d in run
                            if d.workload == each.name and d.meeting == meeting), 4)
                for meeting in MEETINGS
            ],
            "trials": [
                round(fmean(d.trials for run in with_memory for d in run
                            if d.workload == each.name and d.meeting == meeting), 2)
                for meeting in MEETINGS
            ],
        }
        for each in workloads
    }  # fmt: skip
    return {
        "runs": runs,
        "episodes": EPISODES,
        "memory": summary(with_memory),
        "no memory": summary(without),
        "workloads": by_workload,
        "belief_ms": round(belief_ms(), 1),
    }


def belief_ms() -> float:
    """Milliseconds for the beliefs on one workload, after one run; the median of 20."""
    workloads = recorded()
    with tempfile.TemporaryDirectory(prefix="schedpilot-beliefs-") as place:
        replay(episodes(workloads, 0), 0, folder=Path(place))
        memory = Memory(Path(place))
        took = []
        for _ in range(20):
            began = time.perf_counter()
            memory.beliefs.beliefs(BeliefQuestion(workloads[0].profile), time.time())
            took.append((time.perf_counter() - began) * 1000)
        memory.history_writer.close()
    return sorted(took)[len(took) // 2]


async def measure() -> dict[str, Any]:
    return await asyncio.to_thread(compared)
