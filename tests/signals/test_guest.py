# SPDX-License-Identifier: GPL-2.0-only
"""The signals program on the real kernel. One boot runs guest.py; each test looks at a part."""

import json
from typing import Any

import pytest

from lab.vm import run_in_lab

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What each scenario of guest.py saw."""
    result = run_in_lab(["python", "-m", "tests.signals.guest"], timeout=400)
    assert result.status == 0, result.error_text
    answer: dict[str, Any] = json.loads(result.text)
    return answer


def test_hostile_names_arrive_whole(seen: dict[str, Any]) -> None:
    """Quotes, control characters, other scripts and bytes that are not UTF-8 in command and
    cgroup names end up in the ids, readable and told apart."""
    ids = seen["names"]["ids"]
    assert {'comm:"}]\n\\u0041\\xff', "comm:naïve 🐢", "comm:\x01\x7f<script>"} <= set(ids)
    assert {'cgroup:/"}]-\\u0041\\xff', "cgroup:/naïve 🐢", "cgroup:/\x01\x7f<script>"} <= set(ids)


def test_both_sides_name_workloads_alike(seen: dict[str, Any]) -> None:
    """`workload_of` gives a process the id under which the kernel half accounts it."""
    ids = set(seen["names"]["ids"])
    assert set(seen["names"]["loose"]) <= ids
    assert set(seen["names"]["inside"]) <= ids


def test_a_moved_process_counts_for_its_new_cgroup(seen: dict[str, Any]) -> None:
    """A change of cgroup takes effect at once, not with the next interval; so does exec."""
    assert {"comm:mover", "cgroup:/moved", "comm:sleep"} <= set(seen["moves"])


def test_a_crowd_of_names_is_bounded(seen: dict[str, Any]) -> None:
    """More workloads than accounts: the list is cut, the rest counted, nothing lost; accounts
    of the silent go to newcomers."""
    crowd = seen["crowd"]
    assert crowd["listed"] == 100
    # 128 accounts, 100 listed; on a crowded machine a process or two may not have run yet.
    assert 20 <= crowd["left_out"] <= 28
    assert crowd["lost"] == 0
    assert "comm:latecomer" in crowd["after"]


def test_the_interval_changes_while_it_runs(seen: dict[str, Any]) -> None:
    """A shorter interval takes effect without waiting for the old one to pass."""
    times = seen["faster"]
    assert len(times) == 3
    assert times == sorted(set(times))


def test_it_ends_with_its_input_and_its_reader(seen: dict[str, Any]) -> None:
    """The end of standard input is the end, silently; so is a reader that went away."""
    assert seen["ends"]["eof"] == [0, ""]
    assert seen["ends"]["deaf"] == 0


def test_wrong_options_and_commands_are_refused(seen: dict[str, Any]) -> None:
    """A wrong option ends it with status 2; a wrong command is told on standard error only."""
    status, out, error = seen["ends"]["wrong"]
    assert (status, out) == (2, "")
    assert "usage:" in error
    status, out, error = seen["ends"]["confused"]
    assert (status, out) == (0, "")
    assert error.count("not understood") >= 2


@pytest.mark.parametrize("regime", ["default", "global_queue"])
@pytest.mark.parametrize("name", ["yes", "hackbench"])
def test_waits_agree_with_hooks_on_wakeups(seen: dict[str, Any], regime: str, name: str) -> None:
    """Count and sum of the waits are those of an independent measurement, also where waiting
    tasks are moved between CPUs by a shared queue."""
    figures = seen["accuracy"][regime]["workloads"][name]
    ours, independent = figures["waits"]
    # Waits that were under way when one of the two began or ended to count.
    assert ours == pytest.approx(independent, rel=0.02, abs=30)
    ours, independent = figures["waited_us"]
    assert ours == pytest.approx(independent, rel=0.05)


def test_a_shared_queue_moves_what_waits(seen: dict[str, Any]) -> None:
    """The comparison above is of waits that moved: most of the hogs' did."""
    hogs = seen["accuracy"]["global_queue"]["workloads"]["yes"]
    assert hogs["migrations"] > hogs["waits"][0] / 4


def test_hogs_leave_unwillingly_and_messengers_sleep(seen: dict[str, Any]) -> None:
    """Hogs are preempted and hardly sleep; message passing is mostly sleeping."""
    figures = seen["accuracy"]["default"]["workloads"]
    assert figures["yes"]["involuntary"] > 10 * figures["yes"]["wakeups"]
    assert figures["hackbench"]["wakeups"] > figures["hackbench"]["involuntary"]


def test_the_loaded_scheduler_is_named(seen: dict[str, Any]) -> None:
    """The machine section tells the state and the name of what is loaded."""
    assert seen["accuracy"]["default"]["sched_ext"]["state"] == "disabled"
    assert seen["accuracy"]["default"]["sched_ext"]["ops"] is None
    assert seen["accuracy"]["global_queue"]["sched_ext"]["state"] == "enabled"
    assert seen["accuracy"]["global_queue"]["sched_ext"]["ops"] == "global_queue"
