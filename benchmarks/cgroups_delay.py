# SPDX-License-Identifier: GPL-2.0-or-later
"""How long tasks that run briefly wait for a CPU, when control groups divide the machine.

Two CPUs. Three tasks that sleep 5 ms and run 0.3 ms share a group with two endless loops. The
situations differ by what is beside them. Simulated on the host, so that every scheduler meets the
same arrivals; docs/agreement.md says how close simulated delays are to the kernel's.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.simulator_speed import lab_types
from bpf.build.objects import build_object
from lab.tree import project_root
from process import Fault, FaultType
from simulator.build import build_native
from simulator.run import NativeScheduler, simulate
from simulator.scenario import (
    MS,
    US,
    Bandwidth,
    Cgroup,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
)

DEFAULT = "the kernel's own"
SCHEDULERS = (DEFAULT, "fair", "fifo", "jobs", "batch", "latency", "locality")
BRIEF = "brief"
LASTS_NS = 10 * S
_LOOP = (Run(MS), Repeat())
_THERE = (
    Task("loop", _LOOP, cgroup="/there", count=2),
    Task(
        BRIEF, (Sleep(5 * MS, 2 * MS), Run(300 * US, 100 * US), Repeat()), cgroup="/there", count=3
    ),
)
_BESIDE = Task("beside", _LOOP, cgroup="/beside", count=3)


def situations() -> Mapping[str, Scenario]:
    """What is beside the tasks, in words, and the scenario."""
    everyone = (*_THERE, _BESIDE)
    machine = SimulatedMachine(2)
    there = Cgroup("/there")

    def scenario(tasks: tuple[Task, ...], *groups: Cgroup) -> Scenario:
        return Scenario("delay", tasks, machine, duration_ns=LASTS_NS, cgroups=groups)

    return {
        "no groups": scenario(tuple(replace(each, cgroup="/") for each in everyone)),
        "a group of the same weight": scenario(everyone, there, Cgroup("/beside")),
        "a group of 9 times the weight": scenario(everyone, there, Cgroup("/beside", 900)),
        "a group with a quota of 20 %": scenario(
            everyone, there, Cgroup("/beside", bandwidth=Bandwidth(20 * MS))
        ),
    }


async def measure() -> dict[str, object]:
    """For each situation and scheduler: p50, p99 and the longest delay, ms.

    Raises:
        Fault: what keeps a scheduler from being built, STATE if the simulated kernel ends one.
    """
    return await asyncio.to_thread(_measure)


def _measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-delay-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        btf = lab_types(folder)
        found: dict[str, dict[str, dict[str, float]]] = {each: {} for each in situations()}
        for name in SCHEDULERS:
            candidate = None if name == DEFAULT else _native(name, folder, btf)
            for situation, scenario in situations().items():
                figures = simulate(candidate, scenario, btf=btf, cache_folder=folder)
                if figures.ejection:
                    raise Fault(FaultType.STATE, "the scheduler was ejected", where=name)
                brief = figures.group(BRIEF)
                found[situation][name] = {
                    "p50_ms": round(brief.delay_p50_ns / MS, 2),
                    "p99_ms": round(brief.delay_p99_ns / MS, 2),
                    "longest_ms": round(brief.delay_max_ns / MS, 1),
                }
        return {"situations": found}


def _native(name: str, folder: Path, btf: Path) -> NativeScheduler:
    file = f"{name}.bpf.c"
    source = project_root() / "scheduler_library" / "schedulers" / name / file
    native = build_native(source, folder, name=file, btf=btf, cache_folder=folder)
    built = build_object(source, folder, name=file, btf=btf, cache_folder=folder)
    return NativeScheduler(native.require(), built.require())
