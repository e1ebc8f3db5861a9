# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one probe as a child process with limits on time, memory and output, and a certain end.

The child ends by itself, with its standard input (which closes when we die), by its own alarm, or
with the block here. It needs the daemon's rights, because it loads programs into the kernel; its
only input from others is numbers.
"""

import json
import os
from collections import deque
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from bpf.probes.found import ProbeFindings, ProbeLine
from bpf.probes.kinds import PYTHON, BccProbe
from bpf.probes.whose import Whose
from process import Fault, FaultType, LineChild, ResourceLimits, first_problem, start_lines, within

PLACE = Path(__file__).parent
# Clang and LLVM map several hundred megabytes and use a third of them; symbols come on top.
MEMORY_BYTES = 3 << 30
# Time limit of compiling, seconds: below a second, twenty times that on an emulated machine.
START_S = 100.0
# Time for reading the maps and looking up symbols.
READ_S = 40.0


async def probe(kind: BccProbe, of: Whose, seconds: int, *, python: Path = PYTHON) -> ProbeFindings:
    """Observe for this many seconds, and return the counts.

    Args:
        python: an interpreter that has BCC.

    Raises:
        Fault: MISSING_TOOL, CHILD_FAILED with the child's message, TIMEOUT.
    """
    said: deque[str] = deque(maxlen=20)
    limits = ResourceLimits(memory=MEMORY_BYTES, cpu=int(START_S + seconds))
    # The daemon comes before others; its child does not.
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    ordinary = ["nice", "-n", str(-usual)] if usual < 0 else []
    argv: list[str | Path] = [*ordinary, *limits.arguments(), python, "-I", PLACE / "child.py"]
    child = await start_lines(argv, on_error_line=said.append)
    wish = {"kind": kind.value, "seconds": seconds, "place": str(PLACE), **asdict(of)}
    try:
        async with within(START_S + seconds + READ_S) as limit:
            await child.send(json.dumps(wish))
            found = await _found(child)
    except TimeoutError:
        raise Fault(
            FaultType.TIMEOUT,
            f"the probe {kind} did not answer in time",
            why=f"it was ended after {limit.words()}",
            details=tuple(said),
        ) from None
    finally:
        # Its last output is its reason.
        await child.end()
    if found is None:
        raise Fault(
            FaultType.CHILD_FAILED,
            f"the probe {kind} failed",
            why=reason(said),
            hint="see `schedpilot probe --list` and docs/workloads.md",
            details=tuple(said),
        )
    return found


async def _found(child: LineChild) -> ProbeFindings | None:
    """The answer, None if the child ended without one."""
    try:
        async for raw in child.lines():
            line = ProbeLine.model_validate_json(raw)
            if line.found is not None:
                return line.found.model_copy(update={"seconds": line.seconds})
    except (ValidationError, ValueError) as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the probe's answer is not understood",
            why=_first(error),
        ) from None
    return None


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error)
    return "a line of it is longer than any should be"


def reason(said: deque[str]) -> str:
    """The last line that is not part of a traceback's frames."""
    lines = [line.strip() for line in said if line.strip() and not line.startswith(" ")]
    return lines[-1][:300] if lines else "it ended without a message"
