# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's schedulers keep what control groups grant, in simulation as in the lab."""

import pytest

from simulator.scenario import (
    MS,
    Bandwidth,
    Cgroup,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
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
