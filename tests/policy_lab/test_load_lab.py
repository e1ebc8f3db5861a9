# SPDX-License-Identifier: GPL-2.0-or-later
"""Every line of the cookbook on a real kernel, under everything at once."""

import json
from pathlib import Path

import pytest

from lab.vm import run_in_lab
from tests.policy_lab.cookbook import CPUS, lines

SECONDS = 5.0


@pytest.mark.long
@pytest.mark.vm
def test_every_line_survives_load_and_hotplug_without_starving_anyone(tree: Path) -> None:
    """Under hackbench, stress-ng and a CPU that comes and goes nothing is ejected, and no wakeup is
    5 s late."""
    done = run_in_lab(
        ["python", "-m", "tests.policy_lab.guest_load", "--seconds", str(SECONDS)],
        tree=tree,
        cpus=CPUS,
        timeout=len(lines()) * (SECONDS + 10) + 60,
    )
    assert done.status == 0, done.error_text + done.text
    *runs, kernel = [json.loads(line) for line in done.text.splitlines()]
    assert [run["line"] for run in runs] == lines()
    assert [run for run in runs if run["monitor_latest_s"] >= 5] == []
    for run in runs:
        assert run["trouble"] == [], (run, kernel)
        assert run["seconds"] >= SECONDS, run
        assert run["hotplugs"] >= 1, run
        assert run["hackbench_runs"] >= 1, run
        assert run["monitor_wakeups"] > SECONDS, run
    ends = [line for line in kernel["kernel"] if "disabled" in line]
    assert all("unregistered from user space" in line for line in ends), kernel
