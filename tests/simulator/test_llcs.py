# SPDX-License-Identifier: GPL-2.0-or-later
"""Several last-level caches: shares stay equal, no CPU idles, nobody is left behind."""

from dataclasses import replace

import pytest

from simulator.run import NativeScheduler, SimulationFigures
from simulator.scenario import (
    MS,
    CpuChange,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
)

from .conftest import Workbench

# Each with queues for LLCs. `locality` and `local` have queues for CPUs.
SPREAD = ("fair", "batch", "fifo", "latency", "jobs", "slice 3ms", "order fifo")
TIERS = 'comm ~ "first*" { latency }; comm ~ "last*" { idle }'
SHARES = 'comm ~ "some*" { share >= 30% }; comm ~ "few*" { share <= 20% }'
FEW = 'comm ~ "free*" { cpus 0-2 }'
TWO_BY_TWO = SimulatedMachine(4, 2)
FOUR_BY_FOUR = SimulatedMachine(16, 4, core_cpus=2, node_cpus=8)
DURATION_S = 5


def made(bench: Workbench, name: str) -> NativeScheduler:
    return bench.policy(name) if " " in name else bench.library(name)


def hogs(name: str, count: int, *, nice: int = 0, cpus: tuple[int, ...] = ()) -> list[Task]:
    """Tasks that always want a CPU, each a group of its own."""
    steps = (Run(10 * MS), Repeat())
    return [
        Task(f"{name}{each}", steps, comm=f"{name}{each}", nice=nice, cpus=cpus)
        for each in range(count)
    ]


def run(
    bench: Workbench,
    name: str,
    tasks: list[Task],
    machine: SimulatedMachine = TWO_BY_TWO,
    changes: tuple[CpuChange, ...] = (),
) -> SimulationFigures:
    scenario = Scenario("llcs", tuple(tasks), machine, changes, duration_ns=DURATION_S * S)
    figures = bench.run(made(bench, name), scenario)
    assert figures.ejection is None
    return figures


def shares(figures: SimulationFigures, name: str) -> list[float]:
    """CPUs that each group of this name had."""
    return [each.run_ns / figures.time_ns for each in figures.groups if each.name.startswith(name)]


def spread(found: list[float]) -> float:
    """How many times as much the luckiest had as the unluckiest."""
    return max(found) / min(found)


@pytest.mark.parametrize("count", [5, 6, 7, 9])
@pytest.mark.parametrize("name", [*SPREAD, TIERS, SHARES, FEW])
def test_equal_tasks_get_equal_shares(bench: Workbench, name: str, count: int) -> None:
    """Equal tasks that the LLCs cannot share evenly get the same over seconds, within 15%."""
    figures = run(bench, name, hogs("hog", count))
    assert spread(shares(figures, "hog")) < 1.15
    assert figures.idle_ns < 0.01 * figures.time_ns


@pytest.mark.parametrize("name", SPREAD)
def test_four_llcs_on_two_nodes(bench: Workbench, name: str) -> None:
    """It holds for 37 tasks on 16 CPUs as well."""
    figures = run(bench, name, hogs("hog", 37), FOUR_BY_FOUR)
    assert spread(shares(figures, "hog")) < 1.15
    assert figures.idle_ns < 0.01 * figures.time_ns


@pytest.mark.parametrize("name", SPREAD)
def test_tasks_that_may_use_one_cpu_alone(bench: Workbench, name: str) -> None:
    """Four on one CPU share that CPU; those that may run anywhere share the other three."""
    tasks = [*hogs("pinned", 4, cpus=(0,)), *hogs("free", 7)]
    figures = run(bench, name, tasks)
    assert sum(shares(figures, "pinned")) == pytest.approx(1, abs=0.02)
    assert spread(shares(figures, "free")) < 1.25


@pytest.mark.parametrize("name", SPREAD)
def test_tasks_of_one_llc_alone(bench: Workbench, name: str) -> None:
    """Tasks that may leave a crowded LLC do so."""
    tasks = [*hogs("pinned", 4, cpus=(0, 1)), *hogs("free", 3)]
    figures = run(bench, name, tasks)
    assert min(shares(figures, "free")) > 0.63
    assert spread(shares(figures, "pinned")) < 1.15


@pytest.mark.parametrize("name", ["fair", "batch", "latency", "jobs", "slice 3ms"])
def test_shares_follow_weights_across_llcs(bench: Workbench, name: str) -> None:
    """Three heavy tasks and nine light ones get CPU time by weight, whatever LLC they are in."""
    figures = run(bench, name, [*hogs("heavy", 3, nice=-5), *hogs("light", 9)])
    heavy, light = shares(figures, "heavy"), shares(figures, "light")
    assert spread(heavy) < 1.15
    assert spread(light) < 1.25
    assert sum(heavy) / 3 / (sum(light) / 9) == pytest.approx(3.05, rel=0.2)


@pytest.mark.parametrize("name", [*SPREAD, SHARES])
def test_beside_a_heavy_task(bench: Workbench, name: str) -> None:
    """One task that needs a CPU for itself does not leave the rest of its LLC to one other."""
    figures = run(bench, name, [*hogs("heavy", 1, nice=-10), *hogs("light", 6)])
    assert spread(shares(figures, "light")) < 1.25


def test_a_tier_is_spread_by_itself(bench: Workbench) -> None:
    """Tasks of the first tier have a CPU each; the rest share what is left, in each LLC."""
    tasks = [*hogs("first", 2), *hogs("hog", 5)]
    figures = run(bench, TIERS, tasks)
    assert min(shares(figures, "first")) > 0.75
    assert spread(shares(figures, "hog")) < 1.25


def test_a_limit_is_one_of_the_machine(bench: Workbench) -> None:
    """A heavy task that may have a fifth of four CPUs gets that, not a fifth of its LLC's two."""
    figures = run(bench, SHARES, [*hogs("few", 1, nice=-10), *hogs("hog", 8)])
    assert shares(figures, "few")[0] == pytest.approx(0.8, abs=0.1)


def test_a_promise_is_one_of_the_machine(bench: Workbench) -> None:
    """Two tasks that were promised 30% of four CPUs get that beside twenty others."""
    figures = run(bench, SHARES, [*hogs("some", 2), *hogs("hog", 20)])
    assert sum(shares(figures, "some")) == pytest.approx(1.2, abs=0.15)


@pytest.mark.parametrize("name", [*SPREAD, "locality", TIERS, FEW, "sticky; slice 3ms"])
def test_no_cpu_idles_while_somebody_waits(bench: Workbench, name: str) -> None:
    """Tasks that all start in one LLC use the other one, too, and sleepers leave no gap."""
    steps = (Run(3 * MS), Sleep(MS), Repeat())
    tasks = [Task("sleeper", steps, count=12)]
    figures = run(bench, name, tasks)
    assert figures.idle_ns < 0.02 * figures.time_ns * figures.cpus


@pytest.mark.parametrize("name", [*SPREAD, "locality", TIERS, FEW, "local; slice 3ms"])
def test_an_llc_goes_offline_and_comes_back(bench: Workbench, name: str) -> None:
    """Nobody is lost with the CPUs of an LLC, and they are used again."""
    changes = tuple(
        CpuChange(at, cpu, online=online)
        for at, online in ((S, False), (3 * S, True))
        for cpu in (2, 3)
    )
    figures = run(bench, name, [*hogs("hog", 7)], changes=changes)
    assert max(each.longest_wait_ns for each in figures.groups) < 1_500 * MS
    assert figures.run_ns > 0.98 * (DURATION_S * 4 - 2 * 2) * S


def test_an_llc_that_was_offline_at_the_start(bench: Workbench) -> None:
    """CPUs that come online later are an LLC of their own, and are used."""
    changes = tuple(CpuChange(0, cpu, online=False) for cpu in (2, 3)) + tuple(
        CpuChange(S, cpu, online=True) for cpu in (2, 3)
    )
    figures = run(bench, "fair", hogs("hog", 7), changes=changes)
    assert spread(shares(figures, "hog")) < 1.15
    assert figures.run_ns > 0.98 * (DURATION_S * 4 - 2) * S


@pytest.mark.parametrize("name", ["fair", "latency", "slice 3ms"])
def test_one_llc_costs_nothing(bench: Workbench, name: str) -> None:
    """Where all CPUs share one cache, nothing moves between queues."""
    machine = replace(TWO_BY_TWO, llc_cpus=0)
    assert spread(shares(run(bench, name, hogs("hog", 7), machine), "hog")) < 1.05
