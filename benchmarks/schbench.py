# SPDX-License-Identifier: GPL-2.0-or-later
"""schbench, and what it says of itself: requests a second, and how long the slowest take.

It is not part of this project: it is used where it is on the path, or where `SCHBENCH` names it
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

# Under this name the lab finds the program in its folder of files.
NAME = "schbench"
# It runs in a control group of its own, as a service does; so it is a workload by itself.
SCOPE = scope(NAME)
WORKLOAD = workload_of(NAME)
VARIABLE = "SCHBENCH"
# One thread hands out the work, and four do it on two CPUs: the runs of Meta's that the numbers to
# beat are from have two workers for each CPU as well.
LOAD = ("-m", "1", "-t", "4")
# What it says in between goes nowhere.
QUIET = ("-i", "100000")
# From the program's own start to its end it takes a little longer than it is told to run, seconds.
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
    """Run it for so long, and read what it counted itself.

    Raises:
        Fault: where it does not run, or says something else.
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
