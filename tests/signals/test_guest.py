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


def _of(seen: dict[str, Any], which: str, name: str, kind: str) -> list[dict[str, Any]]:
    """What was told of one process of a scenario."""
    pid = seen["processes"][which]["result"][name]
    told = seen["processes"][which]["told"]
    return [each for each in told if each["pid"] == pid and each["kind"] == kind]


def test_a_process_is_told_when_it_executes_and_when_it_ends(seen: dict[str, Any]) -> None:
    """Program, arguments and workload in both; the CPU time and how it ended in the second."""
    (executed,) = _of(seen, "all", "burner", "ProcessExec")
    (ended,) = _of(seen, "all", "burner", "ProcessExit")
    assert executed["arguments"][-2:] == ["part-07", "naïve 🐢"]
    assert executed["program"] == ended["program"]
    assert executed["arguments"] == ended["arguments"]
    assert ended["workload"].startswith("comm:python")
    assert 290_000 <= ended["cpu_us"] <= 2_000_000
    assert ended["wall_us"] >= 250_000
    assert (ended["status"], ended["signal"], ended["cut"]) == (0, 0, False)


def test_the_end_of_a_process_tells_how_it_ended(seen: dict[str, Any]) -> None:
    """An exit status and a signal arrive as wait(2) would tell them."""
    (failed,) = _of(seen, "all", "failed", "ProcessExit")
    assert (failed["status"], failed["signal"]) == (3, 0)
    (killed,) = _of(seen, "all", "killed", "ProcessExit")
    assert (killed["status"], killed["signal"]) == (0, 9)


def test_all_threads_count_also_when_they_end_together(seen: dict[str, Any]) -> None:
    """The CPU time of a process is that of all its threads, told once."""
    (ended,) = _of(seen, "all", "threaded", "ProcessExit")
    assert 390_000 <= ended["cpu_us"] <= 2_000_000


def test_a_copy_of_its_parent_has_no_arguments(seen: dict[str, Any]) -> None:
    """A process that never executed a program is told without arguments when it ends."""
    bare = [each for each in seen["processes"]["all"]["told"] if each["arguments"] is None]
    assert len(bare) == 1
    assert bare[0]["kind"] == "ProcessExit"
    assert 90_000 <= bare[0]["cpu_us"] <= 1_000_000


def test_hostile_and_long_arguments_arrive_readable(seen: dict[str, Any]) -> None:
    """Quotes, empty arguments and bytes that are not UTF-8 come escaped; a long command line is
    cut and says so."""
    (hostile,) = _of(seen, "all", "hostile", "ProcessExec")
    assert hostile["arguments"] == ["/bin/sh", "-c", ": '\"\\'", "", "\\xff\n", "end"]
    (long,) = _of(seen, "all", "long", "ProcessExec")
    assert long["cut"]
    assert len("\0".join(long["arguments"])) == 256


def test_only_what_was_asked_for_is_told(seen: dict[str, Any]) -> None:
    """Execs at once, exits with the next line where only they are asked for, nothing unasked; of
    those that ended, the ones that used CPU time worth a word."""
    told = seen["processes"]
    assert told["all"]["at_once"] > 0
    assert told["exits"]["at_once"] == 0
    assert {each["kind"] for each in told["exits"]["told"]} == {"ProcessExit"}
    assert told["none"]["told"] == []
    assert _of(seen, "all", "idle", "ProcessExec")
    ended = [each for each in told["exits"]["told"] if each["kind"] == "ProcessExit"]
    assert min(each["cpu_us"] for each in ended) >= 5000


def test_every_end_of_a_process_counts_for_its_workload(seen: dict[str, Any]) -> None:
    """Ended processes are counted by workload, whether they are told or not."""
    exits = seen["processes"]["exits"]["exits"]
    assert exits["comm:sleep"] == 2
    assert exits["comm:sh"] == 1


def test_no_exec_of_a_stampede_goes_unnoticed(seen: dict[str, Any]) -> None:
    """Each is told or counted as lost, and the program stays small."""
    stampede = seen["stampede"]
    assert stampede["execs"] + stampede["lost"][0] >= 401
    assert stampede["exits"]["comm:true"] + stampede["lost"][1] >= 400
    assert stampede["resident_kb"] < 6 * 1024


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
