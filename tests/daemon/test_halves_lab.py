# SPDX-License-Identifier: GPL-2.0-or-later
"""Both halves of a goal are judged by name, on a real sched_ext kernel (guest_halves.py)."""

import json
from typing import Any

import pytest

# Four minutes of a quiet machine.
pytestmark = [pytest.mark.vm, pytest.mark.long]

PLAY_S = 900.0
BACKUP = "comm:backup"


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    from lab.vm import run_in_lab

    done = run_in_lab(["python", "-m", "tests.daemon.guest_halves"], timeout=PLAY_S)
    assert done.status == 0, done.error_text
    found: dict[str, Any] = json.loads(done.text.strip().splitlines()[-1])
    for scene in found.values():
        assert "trouble" not in scene, scene["trouble"]
    return found


def guards(trial: dict[str, Any]) -> dict[str, Any]:
    return {each["workload"]: each for each in trial["guards"]}


def test_the_goal_is_an_objective_and_a_guard_by_name(seen: dict[str, Any]) -> None:
    """Typing is judged by response time, and the backup by its CPU time."""
    episode = seen["good"]["episode"]
    assert episode["question"] == ""
    assert episode["objective"].startswith("response p99")
    assert set(guards(episode)) == {BACKUP}


def test_a_line_that_serves_the_editor_first_is_kept(seen: dict[str, Any]) -> None:
    """The text says that the editor answers sooner and that the backup goes on."""
    trial = seen["good"]["trial"]
    assert trial["state"] == "kept", trial["reason"]
    assert guards(trial)[BACKUP]["state"] == "held"


def test_a_line_that_starves_the_backup_is_rolled_back_for_that(seen: dict[str, Any]) -> None:
    """A line that starves the backup is rolled back, however soon the editor answers."""
    trial = seen["starves the backup"]["trial"]
    assert trial["state"] == "rolled-back"
    assert "backup" in trial["reason"]


def test_a_scheduler_that_starves_one_kernel_thread_is_rolled_back_for_that(
    seen: dict[str, Any],
) -> None:
    """The text names the thread, and how long it waited."""
    trial = seen["starves one thread"]["trial"]
    assert trial["state"] == "rolled-back"
    assert "khugepaged" in trial["reason"]
