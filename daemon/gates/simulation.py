# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate `simulate`, in a child: its memory is freed with it, and it can be ended at
any moment.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from daemon.api.models import Gate, GateResult
from process import Fault, FaultType, start_lines, within
from process.effort import current
from scheduler_library.policy.facts import PolicyFacts
from simulator import gates as work

# Two seconds natively, half a minute under emulation; a hundred times that means it hangs.
SIMULATE_LIMIT_S = 300.0
# The degraded workloads themselves come first.
_NICE = ("nice", "-n", "10")
_LAST_LINES = 20
NOTHING = PolicyFacts()


async def simulation_gate(
    source: Path,
    object: Path,
    values: Mapping[str, str],
    *,
    trace: Path | None,
    btf: Path,
    cache: Path,
    progress: Callable[[str, int, int], None],
    cpus: Sequence[int] = (),
    facts: PolicyFacts = NOTHING,
    judged: work.JudgedBy | None = None,
) -> GateResult:
    """The stress set, also on machines of `cpus`, and the recorded workload, whose tasks are
    selected by the scheduler's facts (`facts`).

    `progress` gets a text, and how much is done.

    Raises:
        Fault: the simulator cannot do its work.
    """
    known = await asyncio.to_thread(
        work.remembered,
        source,
        object,
        values,
        trace=trace,
        cpus=cpus,
        cache_folder=cache,
        judged=judged,
    )
    if known is not None:
        return GateResult.model_validate(asdict(known))
    start = time.monotonic()
    work_now = current()
    words: list[str | Path] = ["setpriv", "--pdeathsig", "TERM", "--"]
    words += _NICE if work_now is None else ()
    words += [sys.executable, "-P", "-m", "simulator.gates"]
    words += ["--source", source, "--object", object, "--btf", btf, "--cache", cache]
    words += [f"--set={name}={value}" for name, value in values.items()]
    words += ["--trace", trace] if trace else []
    words += ["--cpus", ",".join(map(str, cpus))] if cpus else []
    words += ["--facts", json.dumps(asdict(facts))] if facts != NOTHING else []
    if trace and judged:
        words += [f"--workload={judged.workload}", f"--objective={judged.objective}"]
        words += [f"--guard={id}={text}" for id, text in judged.guards]
    said: list[str] = []
    # This folder also collects the leftovers of a child that had to be killed.
    with tempfile.TemporaryDirectory(prefix="schedpilot-gate-") as place:
        # The confined compiler is another user, and must be able to reach its input through this
        # folder.
        os.chmod(place, 0o711)  # noqa: PTH101, S103 - what is in it is handed out on purpose
        child = await start_lines(words, env={"TMPDIR": place}, on_error_line=said.append)
        try:
            async with within(SIMULATE_LIMIT_S) as limit:
                async for raw in child.lines():
                    line = json.loads(raw)
                    if "progress" in line:
                        progress(line["text"], line["done"], line["of"])
                    elif "fault" in line:
                        raise fault_from(line["fault"])
                    elif "gate" in line:
                        return GateResult.model_validate(line)
        except TimeoutError:
            if work_now is not None:
                work_now.late = True
            late = Fault(
                FaultType.TIMEOUT,
                f"the simulation did not finish within {limit.words()}",
                hint="look for loops without a bound",
            )
            refused = work.refused(Gate.SIMULATE, late, time.monotonic() - start)
            return GateResult.model_validate(asdict(refused))
        finally:
            await child.end()
    if work_now is not None:
        work_now.check()
    raise Fault(
        FaultType.CHILD_FAILED,
        "the simulation ended without an answer",
        details=tuple(said[-_LAST_LINES:]),
    )


def fault_from(raw: Mapping[str, object]) -> Fault:
    """Rebuilds a fault that a child reported."""
    details = raw["details"]
    assert isinstance(details, list)
    return Fault(
        FaultType(str(raw["type"])),
        str(raw["what"]),
        where=str(raw["where"]),
        why=str(raw["why"]),
        hint=str(raw["hint"]),
        details=tuple(map(str, details)),
    )
