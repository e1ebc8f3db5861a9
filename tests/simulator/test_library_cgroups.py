# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's schedulers keep what control groups grant, in simulation as in the lab."""

import pytest

from simulator.scenario import (
    MS,
    US,
    Bandwidth,
    Cgroup,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
)
from tests.simulator.conftest import Workbench

BUSY = (Run(MS), Repeat())
LIBRARY = ("fair", "latency", "batch", "fifo", "locality", "jobs")
# In hundredths of the whole machine.
POINTS = 5.0


@pytest.mark.parametrize(
    ("name", "cpus"), [*((name, 2) for name in LIBRARY), ("fair", 1), ("fair", 8), ("locality", 8)]
)
def test_siblings_share_by_weight(bench: Workbench, name: str, cpus: int) -> None:
    """Three groups with more hogs than CPUs get 100:300:900."""
    weights = {"/a": 100, "/b": 300, "/c": 900}
    scenario = Scenario(
        "weights",
        tuple(Task(f"t{path[1:]}", BUSY, cgroup=path, count=cpus) for path in weights),
        SimulatedMachine(cpus),
        duration_ns=5 * S,
        cgroups=tuple(Cgroup(path, weight) for path, weight in weights.items()),
    )
    run = bench.run(bench.library(name), scenario)
    assert run.ejection is None, run.ejection
    whole = sum(run.cgroup(path).run_ns for path in weights)
    assert whole == pytest.approx(cpus * 5 * S, rel=0.01)
    for path, weight in weights.items():
        part = 100 * run.cgroup(path).run_ns / whole
        assert part == pytest.approx(100 * weight / 1300, abs=POINTS), path


@pytest.mark.parametrize(
    ("name", "percent"), [*((name, 20) for name in LIBRARY), ("fair", 50), ("fair", 150)]
)
def test_a_quota_is_kept_and_the_rest_is_for_others(
    bench: Workbench, name: str, percent: int
) -> None:
    scenario = Scenario(
        "quota",
        (Task("a", BUSY, cgroup="/a", count=3), Task("b", BUSY, cgroup="/b", count=2)),
        SimulatedMachine(2),
        duration_ns=5 * S,
        cgroups=(Cgroup("/a", 1000, bandwidth=Bandwidth(percent * MS)), Cgroup("/b")),
    )
    run = bench.run(bench.library(name), scenario)
    limited = run.cgroup("/a").run_ns
    assert limited == pytest.approx(percent * S / 20, rel=0.03)
    assert run.cgroup("/b").run_ns == pytest.approx(10 * S - limited, rel=0.02)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_sleeper_does_not_wait_for_the_whole_hold_of_its_group(
    bench: Workbench, name: str
) -> None:
    """A task that runs briefly is among the first of its group, however often that is held."""
    brief = (Sleep(5 * MS, 2 * MS), Run(300 * US, 100 * US), Repeat())
    scenario = Scenario(
        "beside hogs",
        (
            Task("rival", BUSY, cgroup="/a", count=3),
            Task("hog", BUSY, cgroup="/b", count=2),
            Task("sleeper", brief, cgroup="/b", count=3),
        ),
        SimulatedMachine(2),
        duration_ns=5 * S,
        cgroups=(Cgroup("/a"), Cgroup("/b")),
    )
    run = bench.run(bench.library(name), scenario)
    sleepers = run.group("sleeper")
    # Under a hog's slice or two; a hold can last for two seconds.
    assert sleepers.delay_p99_ns < 25 * MS
    assert sleepers.delay_max_ns < 60 * MS
    assert run.cgroup("/a").run_ns == pytest.approx(5 * S, rel=0.05)
