# SPDX-License-Identifier: GPL-2.0-or-later
"""How a machine's measured costs change the figures, and how the model of the kernel's own
scheduler balances load."""

from dataclasses import replace

import pytest

from process import Fault
from simulator.run import run_engine
from simulator.scenario import (
    MS,
    US,
    Fork,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    service,
)

from .conftest import Workbench

ALONE = SimulatedMachine(1, switch_ns=1000, wake_ns=500)


def _sleeper(machine: SimulatedMachine) -> Scenario:
    return Scenario("sleeper", (Task("a", (Sleep(MS), Run(MS), Repeat(100))),), machine)


def test_a_late_timer_is_part_of_the_delay(bench: Workbench) -> None:
    """Delays count from when the timer was due, so they include its lateness."""
    late = replace(ALONE, late_ns=(20 * US, 20 * US))
    fifo = bench.library("fifo")
    group = bench.run(fifo, _sleeper(late)).group("a")
    assert group.delay_p50_ns == group.delay_max_ns == 20 * US + 1500


def test_lateness_is_drawn_between_the_quantiles(bench: Workbench) -> None:
    """The minimum and the maximum bound it, and half of it is below the measured median."""
    late = replace(ALONE, late_ns=(10 * US, 20 * US, 300 * US))
    group = bench.run(bench.library("fifo"), _sleeper(late)).group("a")
    assert 15 * US < group.delay_p50_ns < 60 * US < group.delay_max_ns <= 300 * US + 1500


def test_lateness_is_the_same_by_the_same_seed(bench: Workbench) -> None:
    """The same seed gives the same bytes, and another seed gives others."""
    scenario = service(SimulatedMachine(2, late_ns=tuple(range(0, 200_000, 2000))))
    first, again, other = (
        run_engine(None, each, btf=bench.target.btf, cache_folder=bench.target.cache)
        for each in (scenario, scenario, scenario.seeded(2))
    )
    assert first == again != other


def test_quantiles_that_fall_are_refused() -> None:
    """A table with falling quantiles is not simulated."""
    with pytest.raises(Fault):
        _sleeper(replace(ALONE, late_ns=(2, 1))).text()


def test_a_fork_costs_the_one_who_forks(bench: Workbench) -> None:
    """Its CPU time is longer by the cost, and the new task's delay begins before it."""
    tasks = (
        Task("parent", (Run(MS), Fork("child"), Repeat(10))),
        Task("child", (Run(MS),), name="child", start_ns=None),
    )
    usual = bench.run(None, Scenario("forks", tasks, ALONE))
    slow = bench.run(None, Scenario("forks", tasks, replace(ALONE, fork_ns=300 * US)))
    assert slow.group("parent").run_ns - usual.group("parent").run_ns == pytest.approx(
        10 * 300 * US, rel=0.01
    )
    assert slow.group("child").tasks == 10
    assert slow.group("child").delay_p50_ns >= 300 * US


def test_the_kernels_own_scheduler_balances_by_weight(bench: Workbench) -> None:
    """A heavy task ends up alone on a CPU, and the light tasks share the other one."""
    run = (Run(10 * MS), Repeat())
    tasks = (Task("heavy", run), Task("light", run, nice=10, count=5))
    figures = bench.run(None, Scenario("weights", tasks, SimulatedMachine(2)))
    assert figures.group("heavy").run_ns > 0.9 * figures.time_ns


def test_the_kernels_own_scheduler_looks_at_load_over_time(bench: Workbench) -> None:
    """Once the light tasks are together they stay there, even while their neighbour sleeps for a
    moment."""
    hog = (Run(10 * MS), Repeat())
    naps = (Run(6 * MS, 3 * MS), Sleep(2 * MS, MS), Repeat())
    tasks = (
        Task("heavy", hog),
        Task("light", hog, nice=5, count=2),
        Task("lighter", hog, nice=10, count=2),
        Task("naps", naps, count=2),
    )
    figures = bench.run(None, Scenario("loads", tasks, SimulatedMachine(2), duration_ns=4000 * MS))
    assert sum(group.migrations for group in figures.groups) <= 4
