# SPDX-License-Identifier: GPL-2.0-or-later
"""What honouring control groups costs where none is used: hackbench and `perf bench sched pipe`
under `fair` as it is, and under `fair` without the callbacks for groups.

Runs in the lab, as root. Without the callbacks is as on a kernel that has none
(CONFIG_EXT_GROUP_SCHED unset): they are left out when it is compiled. Each round runs both in
alternating order, so that slow drifts of the machine affect both equally.
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.signals_overhead.run import hackbench, pipe, summary
from bpf.build.objects import build_object
from bpf.kernel.controls import MOUNTS
from bpf.runner.process import Runner
from scheduler_library.catalog import load_catalog

SCHEDULER = "fair"
ROUNDS = 8
# Longer runs instead of more attachments, which cost seconds under emulation.
GROUPS, HACKBENCH_LOOPS, PIPE_LOOPS = 1, 100, 6000
ARMS = ("off", "on")
# The kernel's types, of which the schedulers' headers ask whether there are callbacks for groups.
WITHOUT_GROUPS = """\
#include <scx/common.bpf.h>
#undef KERNEL_HAS_CGROUP_INIT
#undef KERNEL_HAS_CGROUP_SET_BANDWIDTH
#undef KERNEL_HAS_CGROUP_SET_IDLE
"""
# A round takes a minute at most; a hung one ends here.
LEASE_S = 600.0


def groups_with_controller() -> int:
    """How many groups below the root have the cpu controller: each one is seen by the callbacks."""
    return sum(1 for mount in MOUNTS for _ in mount.glob("*/**/cpu.weight"))


def _built(folder: Path) -> dict[str, Path]:
    """Both forms of the scheduler, by arm."""
    source = load_catalog(Path("/nonexistent")).get(SCHEDULER).source
    assert source is not None
    text = source.read_text("utf-8")
    forms = {"on": text, "off": WITHOUT_GROUPS + text}
    return {
        arm: build_object(form, folder / arm, name=source.name).require()
        for arm, form in forms.items()
    }


async def measure() -> dict[str, object]:
    """Both arms of each workload."""
    workloads: Mapping[str, Callable[[], float]] = {
        "hackbench": lambda: hackbench(GROUPS, HACKBENCH_LOOPS),
        "pipe": lambda: pipe(PIPE_LOOPS),
    }
    times: dict[str, dict[str, list[float]]] = {
        name: {arm: [] for arm in ARMS} for name in workloads
    }
    with tempfile.TemporaryDirectory(prefix="schedpilot-groups-") as place:
        objects = await asyncio.to_thread(_built, Path(place))
        for number in range(-1, ROUNDS):
            for step in range(len(ARMS)):
                arm = ARMS[(number + step) % len(ARMS)]
                async with await Runner.start(objects[arm], lease_s=LEASE_S):
                    for name, work in workloads.items():
                        took = await asyncio.to_thread(work)
                        if number >= 0:  # the first round only warms up
                            times[name][arm].append(took)
    return {
        "scheduler": SCHEDULER,
        "rounds": ROUNDS,
        "groups": groups_with_controller(),
        **{name: summary(seconds) for name, seconds in times.items()},
    }
