# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded workload becomes steps that keep its work and leave its scheduling out."""

from pathlib import Path

import pytest

from simulator.scenario import (
    Ending,
    Fork,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Wait,
    Wake,
)
from simulator.traces import ReplayedTrace, machine_for, model, read_trace, replay_of, scenario_of
from simulator.traces.model import RecordedTrace
from tests.traces.conftest import DATA, HEADER, Write, defined, ended

MS = 1_000_000


def replayed(path: Path, cpus: int = 0) -> ReplayedTrace:
    trace = read_trace(path)
    return replay_of(trace, machine_for(trace, SimulatedMachine(), cpus), seed=1)


def task(scenario: Scenario, comm: str) -> Task:
    return next(each for each in scenario.tasks if each.comm == comm)


def kinds(of: Task) -> list[str]:
    return [type(each).__name__ for each in of.steps]


def test_a_sleep_by_a_timer_keeps_its_length(write: Write) -> None:
    """CPU time and timer sleeps keep their length, within a hundredth that the seed decides."""
    path = write(HEADER, *defined("a"), "w 900 0 300 500 i", "x 300 0 200", ended(1200))
    steps = task(replayed(path).scenario, "a").steps
    assert steps == (Run(300, 3), Sleep(500, 5), Run(200, 2))


def test_a_sleeper_waits_for_its_waker_at_the_same_point_of_its_work(write: Write) -> None:
    """If a task woke it, it waits for that task, which wakes it after the same CPU time as
    before."""
    path = write(
        HEADER,
        *defined("a", "b"),
        "w 1000 0 300 600 s 1 400",
        "w 1000 1 1500 100 i",
        "x 10 0 50",
        "x 10 1 70",
        ended(2020),
    )
    scenario = replayed(path).scenario
    assert task(scenario, "a").steps == (Run(300, 3), Wait(), Run(50))
    waker = task(scenario, "b").steps
    assert waker[:3] == (Run(400, 4), Wake("t0", sync=True), Run(1100, 11))


def test_one_that_slept_at_the_beginning_starts_with_its_first_wakeup(write: Write) -> None:
    """It does not exist before its first wakeup, and its waker then waits for nobody."""
    path = write(HEADER, *defined("a", "b"), "w 700 0 0 700 t 1 200", "x 5 0 4", ended(705))
    scenario = replayed(path).scenario
    assert task(scenario, "a").start_ns == 700
    assert task(scenario, "a").steps == (Run(4),)


def test_how_a_task_is_left_is_kept(write: Write) -> None:
    """A task that was born and ended during the recording is a job; one that wanted to continue
    continues."""
    path = write(
        HEADER, *defined("sh", "cc1", "busy", "idle"), "f 100 1 0 80", "x 50 1 40", "x 5 0 90",
        "r 5 2 30", "z 0 3 40 10", ended(200),
    )  # fmt: skip
    scenario = replayed(path).scenario
    assert {each.comm: each.ending for each in scenario.tasks} == {
        "cc1": Ending.EXIT,
        # Its beginning is unknown.
        "sh": Ending.ASLEEP,
        "busy": Ending.BUSY,
        "idle": Ending.ASLEEP,
    }


def test_children_are_forked_where_they_were(write: Write) -> None:
    """A fork is a step of the parent; the child has no start of its own."""
    path = write(
        HEADER, *defined("sh", "cc1"), "f 100 1 0 80", "x 50 1 40", "x 50 0 90", ended(200)
    )
    scenario = replayed(path).scenario
    assert task(scenario, "sh").steps == (Run(80), Fork("t1"), Run(10))
    assert task(scenario, "cc1").start_ns is None


def test_real_time_tasks_are_left_out_and_said_so(write: Write) -> None:
    """No loaded scheduler gets them. A task that one of them woke sleeps as long as it did."""
    irq = '{"task":1,"comm":"irq","workload":0,"policy":1}'
    path = write(HEADER, *defined("a"), irq, "w 900 0 300 500 t 1 5", "x 9 0 9", ended(909))
    replay = replayed(path)
    assert [each.comm for each in replay.scenario.tasks] == ["a"]
    assert kinds(replay.scenario.tasks[0]) == ["Run", "Sleep", "Run"]
    assert any("real-time" in note for note in replay.notes)


def test_affinity_is_kept_where_the_cpus_are(write: Write) -> None:
    """On a smaller machine a task bound to a missing CPU may use all CPUs, with a note."""
    path = write(HEADER, *defined("a", cpus="1"), "x 9 0 9", ended(9))
    assert replayed(path).scenario.tasks[0].cpus == (1,)
    small = replayed(path, cpus=1)
    assert small.scenario.tasks[0].cpus == ()
    assert small.scenario.machine.cpus == 1
    assert len(small.notes) == 2


def test_hostile_names_reach_the_engine_as_harmless_ones(write: Write) -> None:
    """Whatever a process is called, the scenario's text has one line for each step."""
    path = write(HEADER, *defined("a b\nrun 1 1\n\x1b[2J", "é|💥", "a b"), "x 9 0 9", ended(9))
    with path.open("a") as file:
        file.truncate(len(path.read_text().encode()) - len(ended(9)) - 1)
        file.write(f"x 1 1 1\nx 1 2 1\n{ended(11)}\n")
    replay = replayed(path)
    text = replay.scenario.text()
    assert text.isascii()
    assert text.count("\nrun ") == 3
    assert len(replay.workloads) == 3


def test_tasks_are_in_their_cgroups(write: Write) -> None:
    """Cgroups have their paths, so that a scheduler sees what it would see on the machine."""
    workload = '{"workload":0,"id":"cgroup:/system.slice/redis@1.service"}'
    one = '{"task":0,"comm":"redis","workload":0}'
    scenario = replayed(write(HEADER, workload, one, "x 9 0 9", ended(9))).scenario
    paths = [each.path for each in scenario.cgroups]
    assert paths == ["/system.slice", "/system.slice/redis_1.service"]
    assert scenario.tasks[0].cgroup == paths[1]
    assert scenario.tasks[0].group == "redis_1.service"
    scenario.text()


def test_a_long_recording_is_cut_and_says_where(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More steps than a scenario may have are cut for all tasks at the same moment."""
    monkeypatch.setattr("simulator.traces.replay.MOST_STEPS", 1000)
    lines = [f"w {MS} {n % 2} 1000 1000 t {1 - n % 2} 500" for n in range(5000)]
    replay = replayed(write(HEADER, *defined("a", "b"), *lines, ended(5000 * MS)))
    assert sum(len(each.steps) for each in replay.scenario.tasks) < 1100
    assert any(note.startswith("cut after") for note in replay.notes)
    replay.scenario.text()


def test_the_same_seed_gives_the_same_text() -> None:
    """A real recording gives the same scenario each time, and another one for another seed."""
    trace = read_trace(DATA / "phases.trace.gz")
    machine = machine_for(trace, SimulatedMachine())
    first, again, other = (scenario_of(trace, machine, seed).text() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_work_of_a_real_recording_is_all_there() -> None:
    """The CPU time of the steps equals that of the records, except for what was left out."""
    trace = read_trace(DATA / "phases.trace.gz")
    scenario = scenario_of(trace, machine_for(trace, SimulatedMachine()), seed=1)
    steps = sum(step.ns for each in scenario.tasks for step in each.steps if isinstance(step, Run))
    assert isinstance(trace, RecordedTrace)
    recorded = sum(
        0 if isinstance(each, model.TracedFork) else each.ran_ns for each in trace.events
    )
    assert steps == pytest.approx(recorded, rel=0.01)
