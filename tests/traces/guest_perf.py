# SPDX-License-Identifier: GPL-2.0-or-later
"""A scene of guest.py: perf's own recordings of the real kernel, read by our importer."""

import subprocess
from pathlib import Path

from simulator.scenario import SimulatedMachine
from simulator.traces import machine_for, read_trace, replay_of
from simulator.traces.model import RecordedTrace, TracedWake

# On one CPU, where a reader always sleeps before the other side writes. On two CPUs its data may
# be there already, so that nobody wakes it.
WORK = ["taskset", "-c", "0", "perf", "bench", "sched", "pipe", "-l", "100"]
FULL = (
    "sched:sched_switch,sched:sched_waking,sched:sched_wakeup_new,sched:sched_process_fork,"
    "timer:hrtimer_expire_entry,timer:hrtimer_expire_exit,irq:softirq_entry,irq:softirq_exit"
)
ATTEMPTS = 3


def _read(path: Path) -> dict[str, object]:
    trace = read_trace(path)
    assert isinstance(trace, RecordedTrace)
    replay = replay_of(trace, machine_for(trace, SimulatedMachine()), seed=1)
    pipe = {number for number, task in trace.tasks.items() if task.comm == "sched-pipe"}
    wakes = [each for each in trace.events if isinstance(each, TracedWake) and each.task in pipe]
    return {
        "records": len(trace.events),
        "tasks": len(replay.scenario.tasks),
        "pipe": len(pipe),
        "by_each_other": sum(each.waker in pipe for each in wakes),
        "notes": replay.notes,
        "lost": trace.lost > 0 or any("lost" in note for note in trace.notes),
    }


def recordings() -> object:
    """The usual recordings, and the same with interrupts."""
    usual, full = Path("/out/usual.data"), Path("/out/full.data")
    commands: tuple[list[str | Path], ...] = (
        ["perf", "sched", "record", "-o", usual, "--", *WORK],
        ["perf", "record", "-q", "-a", "-e", FULL, "-o", full, "--", *WORK],
    )
    return {
        name: _recorded(words, path)
        for name, words, path in zip(("usual", "full"), commands, (usual, full), strict=True)
    }


def _recorded(words: list[str | Path], path: Path) -> dict[str, object]:
    """Record and read; repeat if the guest was too slow for perf and events were lost."""
    for _ in range(ATTEMPTS):
        subprocess.run(words, check=True, capture_output=True)
        seen = _read(path)
        if not seen["lost"]:
            break
    return seen
