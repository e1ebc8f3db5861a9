# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the benchmarks that runs on the sched_ext kernel, as root.

    python -m benchmarks.guest NAME[=COUNT]...

Prints one JSON object a line: first the machine, then the result of each measurement as soon as it
exists, so that a later failure cannot lose it.
"""

import asyncio
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import (
    cgroups_overhead,
    daemon_cost,
    emergency,
    kept_is_wanted,
    load_times,
    own_numbers,
    policy_steps,
    recorder_overhead,
    schbench,
    uneven_jobs,
)
from bpf.build.clang import find_clang
from process import Fault, run

# Longer runs of each benchmark instead of more attachments: see signals_overhead/run.py.
OVERHEAD = (
    *("--rounds", "8", "--repeat", "3"),
    *("--groups", "2", "--hackbench-loops", "240", "--pipe-loops", "24000"),
)
OVERHEAD_LIMIT_S = 900.0
# Where the lab puts the files for its guest (lab/vm.py).
FILES = Path("/run/lab/files")


async def signals_overhead() -> dict[str, object]:
    """The slowdown by the signals program and by BCC, as its own module prints it."""
    words = [sys.executable, "-m", "benchmarks.signals_overhead.run", *OVERHEAD]
    done = await asyncio.to_thread(run, words, timeout=OVERHEAD_LIMIT_S)
    found: dict[str, object] = json.loads(done.text)
    return {"arguments": " ".join(OVERHEAD), **found}


MEASUREMENTS: dict[str, Callable[[], Awaitable[dict[str, object]]]] = {
    "daemon_cost": daemon_cost.measure,
    "load_times": load_times.measure,
    "emergency": emergency.measure,
    "uneven_jobs": uneven_jobs.measure,
    "kept_is_wanted": kept_is_wanted.measure,
    "own_numbers": own_numbers.measure,
    "policy_steps": policy_steps.measure,
    "signals_overhead": signals_overhead,
    "recorder_overhead": recorder_overhead.measure,
    "cgroups_overhead": cgroups_overhead.measure,
}


def machine() -> dict[str, object]:
    """The measured machine."""
    return {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "clang": find_clang().version,
    }


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _take_over() -> None:
    """Make a file from the host a program on the path."""
    sent = FILES / schbench.NAME
    if sent.exists():
        own = Path("/usr/local/bin", schbench.NAME)
        own.write_bytes(sent.read_bytes())
        own.chmod(0o755)


def main() -> None:
    _take_over()
    _say({"machine": machine()})
    for word in sys.argv[1:]:
        name, _, count = word.partition("=")
        began = time.monotonic()
        line: dict[str, object] = {"name": name}
        try:
            line["result"] = asyncio.run(_awaited(name, count))
        except Fault as fault:
            line["fault"] = fault.report()
        except Exception:  # noqa: BLE001 - a defect of one measurement, told; the next goes on
            line["fault"] = traceback.format_exc()
        line["took_s"] = round(time.monotonic() - began, 1)
        _say(line)


async def _awaited(name: str, count: str) -> dict[str, object]:
    if count:
        return await emergency.measure(int(count))
    return await MEASUREMENTS[name]()


if __name__ == "__main__":
    main()
