# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress set: its contents, and that it asks nobody for the impossible."""

import pytest

from simulator.run import simulate
from simulator.scenario import MS, Repeat, Run, S, Scenario, SimulatedMachine, Task
from simulator.stress import (
    GRACE_NS,
    LONGEST_WAIT_NS,
    STRESS,
    STRESS_MACHINE,
    stress_set,
    wait_bound_ns,
)
from simulator.stress_verdict import ScenarioOutcome, judge
from tests.target import Target

ASKED_FOR = {
    "fork_storm", "wake_storm", "ping_pong", "mixed_nice", "pinned", "pinned_to_one", "hotplug",
    "long_sleepers", "kernel_threads", "bursty_rpc", "overload", "uneven_batch", "every_nice",
    "policies", "yielding", "exiting", "tides", "masks", "cgroups", "spread",
}  # fmt: skip


def test_the_set_has_what_is_asked_for() -> None:
    """It has at least twelve kinds of load, each under its name."""
    assert set(STRESS) >= ASKED_FOR
    assert all(make(STRESS_MACHINE).name == name for name, make in STRESS.items())


@pytest.mark.parametrize("cpus", [1, 2, 65, 256])
def test_the_set_fits_every_machine(cpus: int) -> None:
    """On small and large machines each scenario is within the engine's bounds."""
    for make in STRESS.values():
        assert make(SimulatedMachine(cpus)).text()


def test_other_sizes_of_machine_are_in_it() -> None:
    """By default it has at least one CPU and more than 64; every scenario runs on each requested
    size."""
    usual = stress_set()
    assert {1, 4, 16} < {each.machine.cpus for each in usual}
    assert max(each.machine.cpus for each in usual) > 64
    asked = stress_set((2, 64, 2, 4))
    assert len({each.name for each in asked}) == len(asked) == len(usual) + 2 * len(STRESS)
    assert sum(each.machine.cpus == 64 for each in asked) == len(STRESS)


def test_starvation_has_time_to_show() -> None:
    """After its last change each scenario lasts longer than anybody in it may wait."""
    for scenario in stress_set():
        changed = max((each.at_ns for each in scenario.changes), default=0)
        for task in scenario.tasks:
            bound = wait_bound_ns(scenario, task.group)
            assert GRACE_NS < bound <= LONGEST_WAIT_NS
            assert scenario.duration_ns > changed + bound


def test_the_bound_grows_with_the_load() -> None:
    """A task on a CPU with more or heavier tasks may wait longer; a heavier task may wait less."""

    def bound(count: int, nice: int, of: str = "crowd") -> int:
        steps = (Run(MS), Repeat())
        tasks = (Task("crowd", steps, count=count, nice=nice), Task("one", steps))
        return wait_bound_ns(Scenario("bound", tasks, SimulatedMachine(2)), of)

    assert bound(4, 0) < bound(40, 0)
    assert bound(4, 0, "one") < bound(4, -10, "one")
    assert bound(4, -10) < bound(4, 0)


@pytest.mark.parametrize("machine", [STRESS_MACHINE, SimulatedMachine(2)], ids=["4 CPUs", "2 CPUs"])
def test_the_default_scheduler_survives_all_of_it(
    target: Target, machine: SimulatedMachine
) -> None:
    """The model of the kernel's own scheduler has no finding, even compared with itself."""
    for make in STRESS.values():
        scenario = make(machine)
        figures = simulate(None, scenario, btf=target.btf, cache_folder=target.cache)
        assert judge(ScenarioOutcome(scenario, figures, figures)) == (), scenario.name
        assert figures.time_ns <= scenario.duration_ns <= 40 * S
