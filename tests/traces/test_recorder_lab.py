# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorder on a real kernel: its record of processes with known behaviour."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.vm import run_in_lab
from simulator.traces.model import Event, How, RecordedTrace, TracedExit, TracedFork, TracedWake
from simulator.traces.text import read_text

pytestmark = pytest.mark.vm
TICK_NS = 4_000_000


@dataclass(frozen=True)
class Guest:
    """The output of guest.py, and its traces."""

    said: dict[str, Any]
    folder: Path

    def trace(self, name: str) -> RecordedTrace:
        return read_text(self.folder / f"{name}.trace.gz")


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    folder = tmp_path_factory.mktemp("recorder")
    result = run_in_lab(["python", "-m", "tests.traces.guest"], timeout=300, out=folder)
    assert result.status == 0, result.error_text
    return Guest(json.loads(result.text), folder)


def ran_ns(event: Event) -> int:
    return 0 if isinstance(event, TracedFork) else event.ran_ns


def events_of(trace: RecordedTrace, pid: int) -> list[Event]:
    numbers = {number for number, task in trace.tasks.items() if task.pid == pid}
    return [each for each in trace.events if each.task in numbers]


def test_cpu_time_adds_up_to_the_kernels_own(guest: Guest) -> None:
    """The CPU time of a process in its phases equals that in /proc, and nothing is lost."""
    scene = guest.said["phases"]
    trace = guest.trace("phases")
    assert scene["done"]["lost"] == 0
    for name, pid in scene["pids"].items():
        ran = sum(map(ran_ns, events_of(trace, pid)))
        # One reading of /proc was inside of the recording, one around all of it. /proc knows the
        # time of a running task only to the last tick.
        inside, around = scene["cpu_ns"][name]
        assert 0.99 * inside <= ran <= 1.01 * around + 2 * TICK_NS, name
    # Every CPU was always in demand, and no CPU gives more than all of its time.
    total = sum(map(ran_ns, trace.events))
    assert 0.8 <= total / (trace.machine.cpus * trace.duration_ns) <= 1.01


def test_a_timer_is_told_from_a_task_that_runs(guest: Guest) -> None:
    """Nobody wakes a task that sleeps by the clock, although a hog runs on its CPU."""
    scene = guest.said["phases"]
    wakes = events_of(guest.trace("phases"), scene["pids"]["periodic"])
    by_clock = [each for each in wakes if isinstance(each, TracedWake) and each.how is How.OUTSIDE]
    assert len(by_clock) > 20
    assert len(by_clock) >= len([each for each in wakes if isinstance(each, TracedWake)]) - 2
    # It asks for 10 ms and wakes a little later; the machine decides how much later.
    assert 10 <= sorted(each.slept_ns for each in by_clock)[len(by_clock) // 2] / 1e6 < 40


def test_those_that_wake_each_other_are_paired(guest: Guest) -> None:
    """Each wakeup in a pipe's ping-pong names the other side and is marked as synchronous."""
    scene = guest.said["phases"]
    trace = guest.trace("phases")
    ping = {number for number, task in trace.tasks.items() if task.comm == "ping"}
    wakes = [
        each for each in events_of(trace, scene["pids"]["pong"]) if isinstance(each, TracedWake)
    ]
    assert len(wakes) > 20
    assert sum(each.waker in ping for each in wakes) >= 0.9 * len(wakes)
    assert sum(each.how is How.SYNC for each in wakes) >= 0.9 * len(wakes)


def test_who_a_task_is(guest: Guest) -> None:
    """Names, nice, affinity and workload are recorded, hostile names included; so are children and
    their ends."""
    scene = guest.said["phases"]
    trace = guest.trace("phases")
    tasks = {task.pid: task for task in trace.tasks.values()}
    assert tasks[scene["pids"]["burner"]].nice == 5
    assert tasks[scene["pids"]["periodic"]].cpus == (1,)
    assert tasks[scene["pids"]["periodic"]].workload == 'comm:"}\n\\ \\xff]'
    assert trace.machine.cpus == 2
    forked = {each.task for each in trace.events if isinstance(each, TracedFork)}
    gone = {each.task for each in trace.events if isinstance(each, TracedExit)}
    assert {trace.tasks[number].comm for number in forked & gone} == {"sh"}


def test_one_cgroup_is_recorded_with_what_is_forked_in_it(guest: Guest) -> None:
    """The file has nothing of any other workload."""
    trace = guest.trace("scoped")
    assert trace.scope == "cgroup:/watched"
    assert {task.workload for task in trace.tasks.values()} == {"cgroup:/watched/inner"}
    assert "sleep" in {task.comm for task in trace.tasks.values()}


def test_bounds_hold(guest: Guest) -> None:
    """Tasks above the bound are counted; the bound on records ends the recording."""
    few, short = guest.said["bounded"]["few"], guest.said["bounded"]["short"]
    assert few["tasks"] == 5
    assert few["left_out"] > 0
    assert guest.trace("few").left_out == few["left_out"]
    assert short["cut"] == guest.trace("short").cut == "records"


def test_no_file_is_overwritten(guest: Guest) -> None:
    """An existing file and a missing cgroup are reported before anything is recorded."""
    (there, why), (nowhere, missing) = guest.said["refused"]
    assert (there, nowhere) == (1, 1)
    assert "File exists" in why
    assert "/nowhere" in missing


def test_the_command_gets_its_file_from_the_daemon(guest: Guest) -> None:
    """The daemon records, reports its progress, refuses a second recording, and keeps one that is
    stopped."""
    scene = guest.said["through_the_daemon"]
    assert (scene["status"], scene["first"], scene["busy"]) == (0, "running", "busy")
    assert scene["said"]["state"] == "done"
    assert "comm:ping" in scene["said"]["workloads"]
    assert len(guest.trace("command").events) == scene["said"]["records"]
    assert scene["stopped"]["cut"] == "stopped"
    assert len(scene["kept"]) == 4


def test_recordings_of_perf_are_read(guest: Guest) -> None:
    """perf.data goes through that machine's perf; both ways see the same wakers."""
    usual, full = (guest.said["recordings"][name] for name in ("usual", "full"))
    for each in (usual, full):
        assert each["pipe"] == 2
        assert each["by_each_other"] >= 40
    assert any("interrupts" in note for note in usual["notes"])
    assert not any("interrupts" in note for note in full["notes"])
