# SPDX-License-Identifier: GPL-2.0-or-later
"""Every scheduler of the library, on a real kernel, under everything at once."""

import json
import os

import pytest

from lab.vm import run_in_lab

# All tests together have half an hour. Run a scheduler for 60 s after you changed it:
# SCHEDPILOT_STRESS_SECONDS=60 make test TESTS=tests/library/test_stress.py
SECONDS = float(os.environ.get("SCHEDPILOT_STRESS_SECONDS", "12"))
SCHEDULERS = ("fifo", "fair", "latency", "batch", "locality", "jobs")
CPUS = 3


@pytest.mark.vm
def test_every_scheduler_survives_load_and_hotplug_without_starving_anyone() -> None:
    """Under hackbench, stress-ng and CPU hotplug nothing is ejected, and no wakeup is 5 s late."""
    done = run_in_lab(
        ["python", "tests/library/guest_stress.py", "--seconds", str(SECONDS)],
        cpus=CPUS,
        timeout=len(SCHEDULERS) * (SECONDS + 30) + 120,
    )
    assert done.status == 0, done.error_text + done.text
    *runs, kernel = [json.loads(line) for line in done.text.splitlines()]
    assert [run["scheduler"] for run in runs] == list(SCHEDULERS)
    for run in runs:
        assert run["state"] == "enabled", (run, kernel)
        assert run["in_force"] == run["scheduler"], run
        assert run["enabled_times"] == 1, run
        assert run["seconds"] >= SECONDS, run
        assert run["hotplugs"] >= SECONDS / 6, run
        assert run["hackbench_runs"] >= 1, run
        assert run["monitor_wakeups"] > SECONDS, run
        assert run["monitor_latest_s"] < 5, run
    ends = [line for line in kernel["kernel"] if "disabled" in line]
    assert all("unregistered from user space" in line for line in ends), kernel
