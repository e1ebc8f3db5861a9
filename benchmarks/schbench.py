# SPDX-License-Identifier: GPL-2.0-or-later
"""schbench and its own figures: requests a second, and how long the slowest take.

It is not part of this project. It is used if it is on the path or `SCHBENCH` names it
(https://github.com/masoncl/schbench, built outside the tree).
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.children import scope, workload_of
from process import Fault, FaultType, run

# The lab finds the program in its folder of files under this name.
NAME = "schbench"
# It runs in its own control group, as a service does, so it is a workload by itself.
SCOPE = scope(NAME)
WORKLOAD = workload_of(NAME)
VARIABLE = "SCHBENCH"
# One thread hands out the work, and four do it on two CPUs. Meta's runs, whose numbers are to beat,
# also have two workers for each CPU.
LOAD = ("-m", "1", "-t", "4")
# Its intermediate output is thrown away.
QUIET = ("-i", "100000")
# The program runs a little longer than requested, seconds.
SLACK_S = 60.0
_RATE = re.compile(r"^average rps: ([0-9.]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Count:
    """Requests a second, and the 99th percentile of their length in microseconds."""

    requests_per_s: float
    p99_us: float


def find() -> Path:
    """The program.

    Raises:
        Fault: MISSING_TOOL.
    """
    named = os.environ.get(VARIABLE)
    found = named or shutil.which(NAME)
    if found and os.access(found, os.X_OK):
        return Path(found).resolve()
    raise Fault(
        FaultType.MISSING_TOOL,
        "schbench is not there",
        why=f"{named} is no program" if named else "it is not on the path",
        hint=f"build it outside of this tree and name it: {VARIABLE}=/path/to/schbench",
    )


def counted(program: Path, seconds: int) -> Count:
    """Run it for this long, and read its own count.

    Raises:
        Fault: it does not run, or prints something else.
    """
    with TemporaryDirectory(prefix="schedpilot-schbench-") as place:
        said = Path(place) / "said.json"
        words: list[str | Path] = [
            *SCOPE,
            program,
            *LOAD,
            *QUIET,
            "-r",
            str(seconds),
            "-w",
            "2",
            "-j",
            said,
        ]
        done = run(words, timeout=seconds + SLACK_S)
        figures = json.loads(said.read_text("utf-8"))["int"]
    rate = _RATE.search(done.stderr.decode("utf-8", "replace"))
    if rate is None or "request_latency_pct99.0" not in figures:
        raise Fault(FaultType.CHILD_FAILED, "schbench did not say what it counted")
    return Count(float(rate[1]), float(figures["request_latency_pct99.0"]))
