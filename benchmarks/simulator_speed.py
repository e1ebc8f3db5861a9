# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the simulator is, and how much memory a task takes.

Events a second of one core for a plain scheduler and for a policy with expressions, the time from
a candidate's source to its verdict over the stress set with both compilations, and the memory of
a simulated task. Measured on the host: emulation would measure the emulator.
"""

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bpf.build import cache, vmlinux
from bpf.build.objects import build_object
from lab.chroot import in_root
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from process import Fault, FaultType, run
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from simulator.build import build_native, engine_for
from simulator.scenario import (
    MS,
    US,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    overload,
    ping_pong,
    service,
)
from simulator.stress_verdict import prove

POLICY = "order vtime; slice clamp(wait / 4, 500us, 8ms)"
TURNS = 5
# Enough for some seconds of work.
SIMULATED_S = {"service": 400, "overload": 200, "ping_pong": 20}
MACHINE = SimulatedMachine(4)
FEW, MANY = 1_000, 100_000
LIMIT_S = 300.0
# Runs the engine alone in a process, to measure its CPU time and its peak of memory.
_METER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_kb": used.ru_maxrss,
                  "events": json.loads(done.stdout)["events"]}))
"""


async def measure() -> dict[str, object]:
    """Events a second, seconds to the verdict, and bytes for each task."""
    return await asyncio.to_thread(_measure)


def _measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-speed-") as place:
        bench = _SpeedBench(Path(place))
        schedulers = {"fifo": _library("fifo"), "policy": _policy()}
        events = {
            name: {
                each.__name__: bench.rate(name, source, each(MACHINE))
                for each in (service, overload, ping_pong)
            }
            for name, source in schedulers.items()
        }
        return {
            "policy": POLICY,
            "events_per_s": events,
            "verdict_s": [bench.verdict(schedulers["policy"], turn) for turn in range(TURNS)],
            "bytes_per_task": bench.memory("fifo"),
            "tasks": MANY,
        }


def _library(name: str) -> str:
    folder = project_root() / "scheduler_library" / "schedulers" / name
    return (folder / f"{name}.bpf.c").read_text()


def _policy() -> str:
    compiled = compile_policy(POLICY, machine=TargetMachine(MACHINE.cpus, lambda _: None))
    if not isinstance(compiled, CompiledPolicy):
        raise Fault(FaultType.BUILD_FAILED, "the policy does not compile", where=POLICY)
    return compiled.source


def lab_types(cache_folder: Path) -> Path:
    """The types of the lab's kernel, with the header that builds take from this cache."""
    root = ensure(recipe_for(project_root()), lambda _: None)
    header = vmlinux.header_path(cache_folder, root.btf)
    words = ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"]
    dump = in_root(root.tree, words, timeout=LIMIT_S, btf=root.btf)
    cache.write(header, vmlinux.complete(dump.text).encode())
    return root.btf


class _SpeedBench:
    """Builds for the lab's kernel, whose types any host can have."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder = folder
        self.btf = lab_types(folder)
        self.program = engine_for(self.btf, cache_folder=folder).program

    def rate(self, name: str, source: str, scenario: Scenario) -> float:
        """Events for each second of CPU time, including the start."""
        seconds = SIMULATED_S[scenario.name]
        used = self._run(name, source, replace(scenario, duration_ns=seconds * 1000 * MS))
        return round(used["events"] / used["cpu_s"])

    def memory(self, name: str) -> int:
        """Bytes for each additional task, if many sleep and wake."""
        steps = (Run(100 * US), Sleep(1000 * MS, 500 * MS), Repeat())
        peaks = [
            self._run(
                name,
                _library(name),
                Scenario("crowd", (Task("crowd", steps, count=count),), SimulatedMachine(64)),
            )["peak_kb"]
            for count in (FEW, MANY)
        ]
        return round((peaks[1] - peaks[0]) * 1024 / (MANY - FEW))

    def _run(self, name: str, source: str, scenario: Scenario) -> dict[str, float]:
        file, text = f"{name}.bpf.c", self.folder / "scenario"
        options = {"name": file, "btf": self.btf, "cache_folder": self.folder}
        library = build_native(source, self.folder, **options).require()  # type: ignore[arg-type]
        built = build_object(source, self.folder, **options).require()  # type: ignore[arg-type]
        text.write_text(scenario.text())
        words = [self.program, "--scenario", text, "--library", library, "--object", built]
        done = run([sys.executable, "-c", _METER, *map(str, words)], timeout=LIMIT_S)
        used: dict[str, float] = json.loads(done.text)
        return used

    def verdict(self, source: str, turn: int) -> float:
        """Seconds from a new source to the verdict of the whole stress set."""
        path = self.folder / f"turn{turn}.bpf.c"
        path.write_text(f"{source}\n/* {turn} */\n")
        began = time.monotonic()
        built = build_object(path, self.folder, btf=self.btf, cache_folder=self.folder).require()
        proof = prove(path, built, {}, btf=self.btf, cache_folder=self.folder)
        seconds = time.monotonic() - began
        if not proof.passed:
            raise Fault(FaultType.STATE, "the benchmark's policy is not proven")
        return round(seconds, 2)
