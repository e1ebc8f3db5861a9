# SPDX-License-Identifier: GPL-2.0-or-later
"""Workloads for rt-app become steps; what cannot be simulated is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from process import Fault
from simulator.scenario import (
    Affine,
    Enter,
    Fork,
    Lock,
    Policy,
    Renice,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Unlock,
    Wait,
    Wake,
    Yield,
)
from simulator.traces import machine_for, read_trace, replay_of
from simulator.traces.replay import ReplayedTrace

US = 1_000
Rtapp = Callable[[str], Path]


def scenario(path: Path) -> Scenario:
    trace = read_trace(path)
    return replay_of(trace, machine_for(trace, SimulatedMachine(cpus=4)), seed=1).scenario


@pytest.fixture
def rtapp(tmp_path: Path) -> Rtapp:
    def write(text: str) -> Path:
        path = tmp_path / "app.json"
        path.write_text(text, "utf-8")
        return path

    return write


def steps_of(path: Path, name: str) -> tuple[object, ...]:
    return next(each.steps for each in scenario(path).tasks if each.name == name)


def test_runs_sleeps_and_loops(rtapp: Rtapp) -> None:
    """Keys count in their order, including repeated ones and suffixes; times are µs."""
    path = rtapp(
        """
        /* an example as rt-app's own are: comments, and a comma too many */
        {
            "global": {"duration": 2, "calibration": "CPU0", "logdir": "./",},
            "tasks": {
                "thread0": {
                    "instance": 2, "loop": 3, "priority": -5, "cpus": [0, 1],
                    "run": 1000, "sleep": 2000, "run": 10, "sleep_b": 20, // twice
                }
            }
        }
        """
    )
    made = scenario(path)
    assert made.duration_ns == 2 * S
    assert [each.name for each in made.tasks] == ["thread0-0", "thread0-1"]
    first = made.tasks[0]
    assert (first.nice, first.cpus, first.group) == (-5, (0, 1), "thread0")
    assert first.steps == (
        Run(1000 * US),
        Sleep(2000 * US),
        Run(10 * US),
        Sleep(20 * US),
        Repeat(3),
    )


def test_phases_and_a_delay(rtapp: Rtapp) -> None:
    """Each phase repeats as often as it says, and sets its affinity when it begins."""
    path = rtapp(
        """{"tasks": {"a": {"delay": 500, "loop": 1, "phases": {
            "light": {"loop": 2, "run": 10, "timer": {"ref": "unique", "period": 100}},
            "heavy": {"cpus": [2], "run": 50}}}}}"""
    )
    made = scenario(path).tasks[0]
    assert made.start_ns == 500 * US
    light = (Run(10 * US), Sleep(90 * US))
    assert made.steps == (*light, *light, Affine((2,)), Run(50 * US))


def test_waking_each_other(rtapp: Rtapp) -> None:
    """suspend and resume, conditions with their mutex, and fork name the other task."""
    path = rtapp(
        """{"tasks": {
            "a": {"run": 5, "resume": "b", "suspend": "a", "fork": "c"},
            "b": {"suspend": "b", "run": 7, "resume": "a",
                  "lock": "m", "wait": {"ref": "q", "mutex": "m"}, "unlock": "m"},
            "c": {"instance": 0, "loop": 1, "run": 1,
                  "lock": "m", "signal": "q", "unlock": "m"}}}"""
    )
    assert steps_of(path, "a") == (Run(5 * US), Wake("b"), Wait(), Fork("c"), Repeat())
    assert steps_of(path, "b") == (Wait(), Run(7 * US), Wake("a"), Wait(), Repeat())
    assert steps_of(path, "c") == (Run(US), Wake("b"))
    forked = next(each for each in scenario(path).tasks if each.name == "c")
    assert forked.start_ns is None


def test_a_barrier_holds_all_until_the_last(rtapp: Rtapp) -> None:
    """Each task wakes all others when it arrives, and waits for as many wakeups."""
    path = rtapp(
        """{"tasks": {"a": {"run": 1, "barrier": "x"}, "b": {"run": 2, "barrier": "x"},
            "c": {"run": 3, "barrier": "x"}}}"""
    )
    assert steps_of(path, "a") == (Run(US), Wake("b"), Wake("c"), Wait(), Wait(), Repeat())


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ('{"tasks": {"a": {"run": 1, "policy": "SCHED_FIFO"}}}', "tasks.a.policy", "SCHED_FIFO"),
        ('{"tasks": {"a": {"mem": 5}}}', "tasks.a.mem", "memory traffic"),
        ('{"tasks": {"a": {"runn": 5, "slep": 1}}}', "tasks.a.slep", "not known"),
        ('{"tasks": {"a": {"run": -5}}}', "tasks.a.run", "out of bounds"),
        (
            '{"tasks": {"a": {"instance": 2, "lock": "m", "run": 5}}}',
            "tasks.a",
            "keeps the lock 'm'",
        ),
        (
            '{"tasks": {"a": {"lock": "m", "run": 5, "unlock": "m"}, "b": {"phases": {'
            '"p": {"lock": "m"}, "q": {"run": 1}}}}}',
            "tasks.b",
            "keeps the lock 'm'",
        ),
        (
            '{"tasks": {"a": {"suspend": "", "run": 1, "policy": "SCHED_RR"}, "b": {"run": 1}}}',
            "tasks.a.policy",
            "others wait",
        ),
        (
            '{"tasks": {"a": {"run": 1, "policy": "SCHED_RR"}, "b": {"run": 1, "resume": "a"}}}',
            "tasks.a.policy",
            "others wait",
        ),
        ('{"tasks": {"a": {"run": 1, "policy": "SCHED_IDEL"}}}', "tasks.a.policy", "not a policy"),
        (
            '{"tasks": {"a": {"phases": {"p": {"run": 1, "policy": "SCHED_FIFO"}}}}}',
            "phases.p.policy",
            "SCHED_FIFO",
        ),
        ('{"global": {"default_policy": "FIFO"}, "tasks": {}}', "tasks", "no tasks"),
        ('{"tasks": {"a": {"memrun": {"type": "read"}}}}', "tasks.a.memrun", "memory traffic"),
        ('{"tasks": {"a": {"resume": "bb"}, "b": {"run": 1}}}', "tasks.a.resume", "no task"),
        ('{"tasks": {"a": {"run": 1, "cpus": [77]}}}', "tasks.a.cpus", "no CPU 77"),
        (
            '{"tasks": {"a": {"signal": "q"}, "b": {"wait": "q"}, "c": {"wait": "q"}}}',
            "tasks.a.signal",
            "one of 2",
        ),
        (
            '{"tasks": {"a": {"loop": 1, "phases": {"p": {"loop": -1, "resume": "a"}, "q": {}}}}}',
            "tasks.a.phases",
            "takes no time",
        ),
        ('{"tasks": {}}', "tasks", "no tasks"),
        ('{"tasks": {"a b": {"run": 1}}}', "tasks", "not a name"),
        ('{"global": {"durtion": 1}, "tasks": {"a": {"run": 1}}}', "global.durtion", "not known"),
        ('{"tasks": \n{"a": }}', "line 2", "not JSON"),
        ("{" * 100, "app.json", "nests 100 deep"),
    ],
)
def test_what_cannot_be_said_names_its_key(rtapp: Rtapp, text: str, where: str, words: str) -> None:
    """The fault has the key's place in the file, and why it cannot be simulated."""
    path = rtapp(text)
    with pytest.raises(Fault) as caught:
        replay_of(read_trace(path), SimulatedMachine(cpus=2), seed=1)
    assert words in str(caught.value)
    assert where in caught.value.where


def replayed(path: Path) -> ReplayedTrace:
    trace = read_trace(path)
    return replay_of(trace, machine_for(trace, SimulatedMachine(cpus=4)), seed=1)


def test_a_taskgroup_is_the_cgroup_of_its_tasks(rtapp: Rtapp) -> None:
    """Taskgroups become cgroups of the same paths, including those that a phase enters or
    leaves."""
    made = replayed(
        rtapp(
            """{"tasks": {
                "web": {"run": 1, "sleep": 1, "instance": 2, "taskgroup": "/app.slice/web"},
                "job": {"run": 1, "taskgroup": "app.slice//job/"},
                "mover": {"loop": 1, "phases": {
                    "out": {"run": 1, "taskgroup": "/other"}, "home": {"run": 1, "taskgroup": ""}}},
                "none": {"run": 1, "taskgroup": ""}}}"""
        )
    )
    tasks = {task.name: task for task in made.scenario.tasks}
    assert [each.path for each in made.scenario.cgroups] == [
        "/app.slice",
        "/app.slice/job",
        "/app.slice/web",
        "/other",
    ]
    assert tasks["web-0"].cgroup == tasks["web-1"].cgroup == "/app.slice/web"
    assert tasks["job"].cgroup == "/app.slice/job"
    assert tasks["none"].cgroup == tasks["mover"].cgroup == "/"
    assert tasks["mover"].steps == (Enter("/other"), Run(US), Enter("/"), Run(US))
    assert made.workloads[tasks["web-0"].group] == "cgroup:/app.slice/web"
    assert made.workloads[tasks["none"].group] == "none"
    assert any("cgroups all have a weight of 100" in note for note in made.notes)


def test_phases_without_cpus_have_those_of_their_task(rtapp: Rtapp) -> None:
    """The affinity of a phase ends with it, even if the phases repeat."""
    path = rtapp(
        """{"tasks": {"a": {"cpus": [3], "phases": {
            "x": {"run": 1}, "y": {"cpus": [0, 1], "run": 2}, "z": {"run": 3}}},
          "b": {"phases": {"x": {"run": 1}, "y": {"cpus": [0], "run": 2}}}}}"""
    )
    assert steps_of(path, "a") == (
        Run(1 * US),
        Affine((0, 1)),
        Run(2 * US),
        Affine((3,)),
        Run(3 * US),
        Repeat(),
    )
    assert steps_of(path, "b") == (Affine(()), Run(US), Affine((0,)), Run(2 * US), Repeat())


def test_a_priority_of_a_phase_stays_until_the_next(rtapp: Rtapp) -> None:
    """Nice values are set where a phase says one."""
    path = rtapp(
        """{"tasks": {"a": {"loop": 1, "priority": 3, "phases": {
            "x": {"run": 1, "priority": -4}, "y": {"run": 2}, "z": {"run": 3, "priority": 0}}}}}"""
    )
    assert scenario(path).tasks[0].nice == 3
    assert steps_of(path, "a") == (
        Renice(-4),
        Run(US),
        Run(2 * US),
        Renice(0),
        Run(3 * US),
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ('"phases": {"p": {"run": 1, "policy": "SCHED_IDLE"}}', "keeps its first policy"),
        ('"run": 1, "util_min": 512', "clamps"),
        ('"run": 1, "nodes_membind": [0]', "nodes_membind"),
        ('"run": 1, "dl-runtime": 500', "dl-runtime"),
        ('"phases": {"p": {"run": 1, "util_max": 9}}', "clamps"),
        ('"run": 1, "timer": {"ref": "unique", "period": 10}', "timers"),
        ('"run": 1, "instance": 2, "timer": {"ref": "t", "period": 10}', "instances of a task"),
        ('"run": 1, "suspend": "", "sem_wait": "s"', "several things"),
        ('"run": 1, "suspend": "", "resume": "a"', "kept, and not lost"),
    ],
)
def test_what_is_simulated_otherwise_is_said(rtapp: Rtapp, task: str, words: str) -> None:
    """If a task does not do exactly what was requested, there is a note."""
    assert any(words in note for note in replayed(rtapp(f'{{"tasks": {{"a": {{{task}}}}}}}')).notes)


def test_policies_are_those_of_the_tasks(rtapp: Rtapp) -> None:
    """The global policy is that of every task without its own."""
    text = """{"global": {"default_policy": "SCHED_IDLE", "duration": 1},
        "tasks": {"a": {"run": 1}, "b": {"run": 1, "policy": "SCHED_OTHER"},
            "c": {"run": 1, "policy": "SCHED_BATCH", "priority": 5}}}"""
    made = replayed(rtapp(text))
    assert [task.policy for task in made.scenario.tasks] == [
        Policy.IDLE,
        Policy.NORMAL,
        Policy.BATCH,
    ]
    assert [task.nice for task in made.scenario.tasks] == [0, 0, 5]


def test_real_time_tasks_that_nobody_needs_are_left_out(rtapp: Rtapp) -> None:
    """No loaded scheduler gets them; a note has their number."""
    made = replayed(
        rtapp(
            """{"tasks": {"a": {"run": 1}, "rt": {"instance": 2, "run": 5, "policy": "SCHED_FIFO",
                "priority": 50}, "dl": {"policy": "SCHED_DEADLINE", "dl-runtime": 1, "period": 9,
                "run": 1}}}"""
        )
    )
    assert [task.name for task in made.scenario.tasks] == ["a"]
    assert any("3 real-time tasks (SCHED_DEADLINE, SCHED_FIFO)" in note for note in made.notes)


def test_resume_wakes_every_instance_that_suspends(rtapp: Rtapp) -> None:
    """A task is found by its name, as in rt-app; if no task has it, by the name that `suspend`
    gives."""
    text = """{"tasks": {
        "a": {"run": 1, "resume": "pool"}, "c": {"run": 1, "resume": "b"},
        "b": {"instance": 2, "suspend": "pool", "run": 1},
        "d": {"suspend": "other", "run": 1, "resume": "a"}}}"""
    both = (Run(US), Wake("b-0"), Wake("b-1"), Repeat())
    path = rtapp(text)
    assert steps_of(path, "a") == both
    assert steps_of(path, "c") == both
    assert steps_of(path, "d") == (Wait(), Run(US), Repeat())
    notes = replayed(path).notes
    assert any("would wake nobody" in note for note in notes)
    assert any("never suspends" in note for note in notes)


def test_forked_tasks_begin_as_instances_too(rtapp: Rtapp) -> None:
    """A forked task starts at the beginning in any case, unless it has no instances."""
    path = rtapp(
        """{"tasks": {"a": {"run": 1, "fork": "b", "forkx": "c", "fork_y": "d"},
            "b": {"loop": 1, "run": 1}, "c": {"loop": 1, "instance": 0, "run": 1},
            "d": {"loop": 1, "instance": 2, "run": 1}}}"""
    )
    begun = {task.name: task.start_ns for task in scenario(path).tasks}
    assert begun == {"a": 0, "b": 0, "c": None, "d-0": 0, "d-1": 0}
    assert steps_of(path, "a") == (Run(US), Fork("b"), Fork("c"), Fork("d-0"), Repeat())


def test_semaphores_count_what_comes_early(rtapp: Rtapp) -> None:
    """A semaphore with one waiter is a wakeup that is kept. It is not a condition of the same
    name."""
    path = rtapp(
        """{"tasks": {"a": {"run": 1, "sem_post": "s"}, "b": {"sem_wait": "s", "run": 2},
            "c": {"wait": "s", "run": 1}}}"""
    )
    assert steps_of(path, "a") == (Run(US), Wake("b"), Repeat())
    assert steps_of(path, "b") == (Wait(), Run(2 * US), Repeat())


def test_a_lock_makes_others_wait(rtapp: Rtapp) -> None:
    """A task that works with a mutex holds it; a wait for a condition gives its mutex back."""
    path = rtapp(
        """{"tasks": {
            "a": {"lock": "m", "run": 5, "wait": {"ref": "q", "mutex": "m"}, "unlock": "m"},
            "b": {"lock": "n", "lock1": "m", "signal": "q", "run": 2, "unlock": "m",
                  "unlock1": "n", "sleep": 1}}}"""
    )
    assert steps_of(path, "a") == (
        Lock("m"), Run(5 * US), Unlock("m"), Wait(), Lock("m"), Unlock("m"), Repeat()
    )  # fmt: skip
    # No other task has `n`.
    assert steps_of(path, "b") == (
        Lock("m"), Wake("a"), Run(2 * US), Unlock("m"), Sleep(US), Repeat()
    )  # fmt: skip


def test_a_lock_of_one_task_alone_changes_nothing(rtapp: Rtapp) -> None:
    """No other task waits for it."""
    path = rtapp('{"tasks": {"a": {"lock": "m", "run": 5, "unlock": "m"}}}')
    assert steps_of(path, "a") == (Run(5 * US), Repeat())


def test_no_loops_at_all_is_an_end_at_once(rtapp: Rtapp) -> None:
    """`loop` 0 of a task does nothing and ends; `loop` 0 of a phase repeats without end."""
    path = rtapp(
        """{"global": {"duration": 1}, "tasks": {"a": {"loop": 0, "run": 5},
            "b": {"loop": 1, "phases": {"p": {"loop": 0, "run": 500000}, "q": {"run": 1}}}}}"""
    )
    assert steps_of(path, "a") == (Run(0),)
    assert steps_of(path, "b") == (*[Run(500000 * US)] * 3, Run(US))


def test_events_without_a_value_have_none(rtapp: Rtapp) -> None:
    """As in rt-app's own examples for workgen."""
    path = rtapp('{"tasks": {"a": {"suspend", "run": 5, "yield"}}}')
    assert steps_of(path, "a") == (Wait(), Run(5 * US), Yield(), Repeat())


@pytest.mark.parametrize("round", ['"run": 0', '"yield": ""', '"resume": "b", "sleep": 0'])
def test_rounds_without_any_time_take_a_little(rtapp: Rtapp, round: str) -> None:
    """Otherwise such a task would keep the simulation busy for ever; a note says so."""
    made = replayed(rtapp(f'{{"tasks": {{"a": {{{round}}}, "b": {{"suspend": "", "run": 1}}}}}}'))
    assert made.scenario.tasks[0].steps[0] == Run(US)
    assert any("1 µs" in note for note in made.notes)
