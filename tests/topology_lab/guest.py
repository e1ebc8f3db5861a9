# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab, on machines with several last-level caches.

    python -m tests.topology_lab.guest machine
    python -m tests.topology_lab.guest load LINE…

A line is one of the index of tests/policy_lab/held.py: a policy, or a scheduler of the library.
Prints one JSON line for each.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from typing import Any

from process import Fault
from scheduler_library.topology_here import topology_here
from tests.library.guest_stress import hotplug, out
from tests.policy_lab.held import held, index

QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
# Longer than a run of hackbench on many emulated CPUs.
LEASE_S = 600.0


def say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def machine() -> None:
    """What the kernel knows of the topology, and which CPUs its domains put into an LLC."""
    found = topology_here()
    spans = re.findall(r"domain-\d+: span=(\S+) level=MC", out("dmesg"))
    say(
        {
            "cpus": len(found.online),
            "nodes": {number: sorted(cpus) for number, cpus in found.nodes.items()},
            "llcs": [sorted(cpus) for cpus in found.llcs],
            "cores": [sorted(cpus) for cpus in found.cores],
            "domains": sorted(set(spans)),
        }
    )


# ---- load ----


def hackbench(loops: int) -> int:
    return subprocess.run(
        ["hackbench", "-g", "1", "-l", str(loops)], check=False, **QUIET
    ).returncode


async def strain(policy: dict[str, Any]) -> dict[str, object]:
    """One run of hackbench, while a CPU goes away and comes back."""
    dice = random.Random(policy["line"])  # noqa: S311 - repeatable, not secret
    began = time.monotonic()
    trouble: list[str] = []
    status = -1
    try:
        async with held(policy, LEASE_S) as running:
            status, _ = await asyncio.gather(
                asyncio.to_thread(hackbench, 20), asyncio.to_thread(hotplug, dice)
            )
        trouble = running.trouble
    except Fault as fault:
        trouble = [fault.report()]
    return {
        "line": policy["line"],
        "trouble": trouble,
        "hackbench": status,
        "seconds": round(time.monotonic() - began, 1),
    }


async def main(what: str, *words: str) -> None:
    if what == "machine":
        machine()
    for line in words:
        say(await strain(index()[line]))
    messages = [line for line in out("dmesg").splitlines() if "sched_ext" in line or "BUG" in line]
    say({"kernel": messages})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
