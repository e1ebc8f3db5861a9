# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from a line of policy to a proven candidate on the machine itself, by step.

Everything but the verifier and the loading, which need a kernel with sched_ext. The lab's figures
(`policy_steps`) show what these add, fifteen times as slow. The static check and clang work at the
same time, as in the daemon; the simulator comes after both.
"""

import asyncio
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.simulator_speed import lab_types
from bpf.build.objects import build_object
from bpf.static.check import check_source
from process import Fault, FaultType
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from simulator.build import engine_for
from simulator.stress_verdict import prove

# A new line each time, so that nothing comes from a cache.
LINE = 'comm ~ "service*" {{ latency; preempt; slice {us}us }}'
TIMES = 9
CPUS = 2


async def measure() -> dict[str, object]:
    """Seconds of each step, one for each repetition.

    `built` is from the line to an object that could be loaded, `proven` to the simulator's result.
    """
    return await asyncio.to_thread(_measure)


def _measure() -> dict[str, object]:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="schedpilot-steps-") as place:
        folder = Path(place)
        # The sandboxed compiler runs as another user.
        folder.chmod(0o755)
        btf = lab_types(folder)
        engine_for(btf, cache_folder=folder)
        for number in range(TIMES + 1):
            took = _once(LINE.format(us=500 + number), folder, btf)
            # The very first one waits for the parts that all of them share.
            for step, each in took.items() if number else ():
                seconds.setdefault(step, []).append(round(each, 4))
    return {"line": LINE.format(us=500), "seconds": seconds}


def _once(line: str, folder: Path, btf: Path) -> dict[str, float]:
    began = time.monotonic()
    compiled = compile_policy(line, machine=TargetMachine(CPUS, lambda _: None))
    if not isinstance(compiled, CompiledPolicy):
        raise Fault(FaultType.BUILD_FAILED, "the policy does not compile", where=line)
    source = folder / "policy.bpf.c"
    source.write_text(compiled.source)
    to_c = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        checking = beside.submit(_timed_check, source)
        built = build_object(source, folder, btf=btf, cache_folder=folder).require()
        clang = time.monotonic()
        static_s = checking.result()
    ready = time.monotonic()
    if not prove(source, built, {}, btf=btf, cache_folder=folder).passed:
        raise Fault(FaultType.STATE, "the benchmark's policy is not proven", where=line)
    proven = time.monotonic()
    return {
        "compile": to_c - began,
        "static": static_s,
        "build": clang - to_c,
        "simulate": proven - ready,
        "built": ready - began,
        "proven": proven - began,
    }


def _timed_check(source: Path) -> float:
    began = time.monotonic()
    found = [each for each in check_source(source) if each.severity == "error"]
    if found:
        raise Fault(FaultType.STATE, "the static check stops the benchmark's policy")
    return time.monotonic() - began
