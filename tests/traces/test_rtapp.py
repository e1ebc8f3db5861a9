# SPDX-License-Identifier: GPL-2.0-only
"""Workloads for rt-app: what its grammar says becomes steps, and what cannot be said is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from process import Fault
from simulator.scenario import Affine, Fork, Machine, Repeat, Run, S, Scenario, Sleep, Wait, Wake
from simulator.traces import machine_for, read_trace, replay_of

US = 1_000
Rtapp = Callable[[str], Path]


def scenario(path: Path) -> Scenario:
    trace = read_trace(path)
    return replay_of(trace, machine_for(trace, Machine(cpus=4)), seed=1).scenario


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
    """Keys are taken in their order, repeated ones and suffixes too; times are µs."""
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
    """Phases follow each other as often as each says; an affinity of a phase is set then."""
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
    """suspend and resume, conditions with their mutex, and a fork, name the other task."""
    path = rtapp(
        """{"tasks": {
            "a": {"run": 5, "resume": "b", "suspend": "a", "fork": "c"},
            "b": {"suspend": "b", "run": 7, "resume": "a",
                  "lock": "m", "wait": {"ref": "q", "mutex": "m"}, "unlock": "m"},
            "c": {"loop": 1, "run": 1, "lock": "m", "signal": "q", "unlock": "m"}}}"""
    )
    assert steps_of(path, "a") == (Run(5 * US), Wake("b"), Wait(), Fork("c"), Repeat())
    assert steps_of(path, "b") == (Wait(), Run(7 * US), Wake("a"), Wait(), Repeat())
    assert steps_of(path, "c") == (Run(US), Wake("b"))
    forked = next(each for each in scenario(path).tasks if each.name == "c")
    assert forked.start_ns is None


def test_a_barrier_holds_all_until_the_last(rtapp: Rtapp) -> None:
    """Each tells all others that it is here, and waits for as many."""
    path = rtapp(
        """{"tasks": {"a": {"run": 1, "barrier": "x"}, "b": {"run": 2, "barrier": "x"},
            "c": {"run": 3, "barrier": "x"}}}"""
    )
    assert steps_of(path, "a") == (Run(US), Wake("b"), Wake("c"), Wait(), Wait(), Repeat())


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ('{"tasks": {"a": {"run": 1, "policy": "SCHED_FIFO"}}}', "tasks.a.policy", "SCHED_FIFO"),
        ('{"tasks": {"a": {"run": 1, "dl-runtime": 5}}}', "tasks.a.dl-runtime", "SCHED_DEADLINE"),
        ('{"tasks": {"a": {"mem": 5}}}', "tasks.a.mem", "memory traffic"),
        ('{"tasks": {"a": {"runn": 5, "slep": 1}}}', "tasks.a.slep", "not known"),
        ('{"tasks": {"a": {"run": -5}}}', "tasks.a.run", "out of bounds"),
        ('{"tasks": {"a": {"lock": "m", "run": 5}}}', "tasks.a.run", "under the lock"),
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
        ('{"tasks": {"a b": {"run": 1}}}', "tasks", "no name"),
        ('{"global": {"durtion": 1}, "tasks": {"a": {"run": 1}}}', "global.durtion", "not known"),
        ('{"tasks": \n{"a": }}', "line 2", "not JSON"),
        ("{" * 100, "app.json", "nests 100 deep"),
    ],
)
def test_what_cannot_be_said_names_its_key(rtapp: Rtapp, text: str, where: str, words: str) -> None:
    """The fault has the key's place in the file, and why it cannot be simulated."""
    path = rtapp(text)
    with pytest.raises(Fault) as caught:
        replay_of(read_trace(path), Machine(cpus=2), seed=1)
    assert words in str(caught.value)
    assert where in caught.value.where
