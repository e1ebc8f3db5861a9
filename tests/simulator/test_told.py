# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts from userspace for a policy, for the tasks of a scenario."""

import json

import pytest

from process import Fault
from simulator.scenario import Cgroup, Repeat, Run, Scenario, SimulatedMachine, Task
from simulator.told import RequestedFacts

HOG = (Run(1000), Repeat())


def facts(*selectors: tuple[str, str], expected_runtime: bool = False) -> str:
    made = [
        {"bit": bit, "field": field, "patterns": [pattern]}
        for bit, (field, pattern) in enumerate(selectors)
    ]
    return json.dumps({"selectors": made, "expected_runtime": expected_runtime})


def scenario(*tasks: Task) -> Scenario:
    paths = ("/a.slice", "/a.slice/web.service")
    return Scenario("it", tasks, SimulatedMachine(2), cgroups=tuple(Cgroup(path) for path in paths))


def test_tasks_are_selected_as_the_daemon_does_it() -> None:
    """Tasks are selected by cgroup, by unit and by the command's name; a kernel thread has no
    command."""
    told = RequestedFacts.read(facts(("cgroup", "/a.slice/*"), ("unit", "web"), ("cmd", "nginx*")))
    made = told.scenario(
        scenario(
            Task("g", HOG, comm="nginx", cgroup="/a.slice/web.service"),
            Task("g", HOG, comm="nginx-x"),
            Task("g", HOG, comm="nginx-k", kthread=True),
            Task("g", HOG, comm="other", cgroup="/a.slice"),
        )
    )
    assert [task.selected for task in made.tasks] == [0b111, 0b100, 0, 0]


def test_what_cannot_be_known_is_said() -> None:
    """Scenarios have no command lines, and have finished runs only if they say so."""
    told = RequestedFacts.read(facts(("cmd", "x"), expected_runtime=True))
    unknown = scenario(Task("g", HOG))
    assert len(told.notes([unknown])) == 2
    known = scenario(Task("g", HOG, expected_ns=5))
    assert len(told.notes([known])) == 1
    assert RequestedFacts.read("").notes([unknown]) == []


@pytest.mark.parametrize("text", ["[", '{"selectors": [{"bit": "x"}]}', '{"selectors": 3}'])
def test_facts_that_are_none_are_a_fault(text: str) -> None:
    """The facts come from another program."""
    with pytest.raises(Fault, match="not understood"):
        RequestedFacts.read(text)
