# SPDX-License-Identifier: GPL-2.0-or-later
"""The part that runs on the sched_ext kernel, as root.

    python -m benchmarks.agreement.guest FOLDER REPETITIONS [WORKLOAD…]

FOLDER has what prepare.py put there. Prints one JSON object a line: `{"rounds": …}` (calibrate.c),
`{"ext_rounds": …}` (the same under sched_ext), and for each run `{"run": …}`.
"""

import asyncio
import contextlib
import json
import struct
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.agreement.plan import DEFAULT, KernelRun, Prepared, read_prepared, turns
from bpf.runner.process import Runner
from process import Fault, FaultType, run, start_lines
from simulator.calibration import Rounds, costs_of

# Longer than all runs of one scheduler.
LEASE_S = 600.0
# The cost of a switch under sched_ext is measured under the scheduler that does the least.
PLAINEST = "fifo"
CALIBRATION_S = 60.0
CGROUPS = Path("/sys/fs/cgroup")
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def with_cgroups() -> None:
    """Mount the tree of cgroups; a guest without systemd has none."""
    if not (CGROUPS / "cgroup.procs").exists():
        run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], timeout=30)


@contextlib.contextmanager
def without_autogroups() -> Iterator[None]:
    """All tasks in one group, as in the simulator."""
    before = AUTOGROUP.read_text("ascii") if AUTOGROUP.exists() else ""
    if before:
        AUTOGROUP.write_text("0", "ascii")
    try:
        yield
    finally:
        if before:
            AUTOGROUP.write_text(before, "ascii")


@contextlib.asynccontextmanager
async def in_force(
    folder: Path, scheduler: str, prepared: Prepared
) -> AsyncIterator[Runner | None]:
    """Loads the scheduler during the block; the kernel's own needs nothing."""
    if scheduler == DEFAULT:
        yield None
        return
    object = folder / prepared.objects[scheduler].file
    async with await Runner.start(object, lease_s=LEASE_S) as runner:
        yield runner


async def replay(
    folder: Path, text: str, switch_ns: int, runner: Runner | None = None
) -> dict[str, Any]:
    """Perform one scenario; `runner` is for schedulers that get expected runtimes.

    Args:
        switch_ns: the part of a switch that the simulator charges a task in addition to its work.

    Raises:
        Fault: CHILD_FAILED.
    """
    complaints: list[str] = []
    child = await start_lines([folder / "replay", str(switch_ns)], on_error_line=complaints.append)
    found: dict[str, Any] = {}
    for line in (*text.splitlines(), "end"):
        await child.send(line)
    async for raw in child.lines():
        line = json.loads(raw)
        if "tasks" in line:
            for task in line["tasks"] if runner else ():
                if runner and task["expected_ns"]:
                    key, value = (struct.pack("=I", task["pid"]), task["expected_ns"])
                    await runner.put("expected_runtime", key, struct.pack("=Q", value))
            await child.send("go")
        else:
            found = line
    if await child.end() or not found:
        why = complaints[-1] if complaints else ""
        raise Fault(FaultType.CHILD_FAILED, "a scenario was not performed", why=why)
    return found


async def measure(folder: Path, repetitions: int, workloads: Sequence[str]) -> None:
    """All runs, each time with the schedulers in a different order."""
    prepared = read_prepared(folder)
    chosen = {name: texts for name, texts in prepared.texts.items() if name in workloads}
    # Emulated code is slow the first time, and a machine that has just booted is still busy.
    for texts in chosen.values():
        await replay(folder, texts[0], 0)
    switch_ns = {}
    for key, scheduler in (("rounds", DEFAULT), ("ext_rounds", PLAINEST)):
        async with in_force(folder, scheduler, prepared):
            found = json.loads(run([folder / "calibrate"], timeout=CALIBRATION_S).text)
        say({key: found})
        # Half of it is charged to no task, in the engine as well.
        switch_ns[scheduler] = costs_of(Rounds.model_validate(found)).switch_ns // 2
    for repetition, order in enumerate(turns([DEFAULT, *prepared.objects], repetitions)):
        for scheduler in order:
            async with in_force(folder, scheduler, prepared) as runner:
                expects = scheduler != DEFAULT and prepared.objects[scheduler].expects
                charged = switch_ns.get(scheduler, switch_ns[PLAINEST])
                for workload, texts in chosen.items():
                    told = runner if expects else None
                    found = await replay(folder, texts[repetition], charged, told)
                    one = KernelRun(
                        scheduler, workload, repetition, found["time_ns"], found["groups"]
                    )
                    say({"run": one.__dict__})


def main() -> None:
    folder, repetitions, *workloads = sys.argv[1:]
    place = Path(folder).resolve()
    try:
        with_cgroups()
        with without_autogroups():
            asyncio.run(measure(place, int(repetitions), workloads))
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
