# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups' weights, quotas and idle groups: what schedulers hear of them, and what they get."""

from dataclasses import replace

import pytest

from process import Fault, FaultType
from simulator.run import Ended
from simulator.scenario import (
    MAX_QUOTA_NS,
    MS,
    Bandwidth,
    BandwidthChange,
    Cgroup,
    CgroupChange,
    IdleChange,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Task,
    WeightChange,
)
from tests.simulator.conftest import Workbench

BUSY = (Run(MS), Repeat())
ONE = SimulatedMachine(1)
FIFTH = Bandwidth(20 * MS)


def changing(*changes: CgroupChange, idle: bool = False) -> Scenario:
    return Scenario(
        "changing",
        (Task("a", BUSY, cgroup="/a"),),
        ONE,
        changes,
        S,
        cgroups=(Cgroup("/a", 300, idle=idle),),
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Bandwidth(MS - 1000), "a quota is 1 ms at least"),
        (Bandwidth(MAX_QUOTA_NS + 1000), "203 days"),
        (Bandwidth(20 * MS, MS - 1000), "1 ms to 1 s"),
        (Bandwidth(None, S + 1000), "1 ms to 1 s"),
        (Bandwidth(20 * MS, burst_ns=20 * MS + 1000), "burst"),
        (Bandwidth(20 * MS, burst_ns=-1000), "burst"),
        (Bandwidth(MAX_QUOTA_NS, burst_ns=1000), "together"),
        (Bandwidth(20 * MS + 1), "microseconds"),
    ],
)
def test_a_quota_that_the_kernel_refuses_is_refused(bad: Bandwidth, why: str) -> None:
    """The bounds of cpu.max and cpu.max.burst are the kernel's, at the start and later."""
    start = replace(changing(), cgroups=(Cgroup("/a", bandwidth=bad),))
    for each in (start, changing(BandwidthChange(MS, "/a", bad))):
        with pytest.raises(Fault) as fault:
            each.text()
        assert fault.value.type is FaultType.BAD_REQUEST
        assert why in fault.value.what


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (changing(BandwidthChange(MS, "/b", FIFTH)), "does not exist"),
        (changing(IdleChange(MS, "/", idle=True)), "root"),
        (changing(BandwidthChange(MS, "/", FIFTH)), "root"),
        (changing(WeightChange(MS, "/", 200)), "root"),
        (changing(WeightChange(MS, "/a", 200), idle=True), "while it is idle"),
        (changing(WeightChange(2 * MS, "/a", 200), IdleChange(MS, "/a", idle=True)), "idle"),
        (changing(IdleChange(-1, "/a", idle=True)), "negative"),
    ],
)
def test_a_change_of_a_cgroup_that_the_kernel_refuses_is_refused(bad: Scenario, why: str) -> None:
    """The root has no such files, and the weight of an idle cgroup cannot be written."""
    with pytest.raises(Fault) as fault:
        bad.text()
    assert fault.value.type is FaultType.BAD_REQUEST
    assert why in fault.value.what


def test_a_scheduler_hears_of_weights_quotas_and_idle_as_from_the_kernel(bench: Workbench) -> None:
    """It hears of the values at first and of each that differs; `max` is -1 as in the kernel."""
    candidate = bench.beside("cgroup_settings")
    scenario = replace(
        changing(
            WeightChange(100 * MS, "/a", 300),
            BandwidthChange(200 * MS, "/a", Bandwidth(20 * MS, 50 * MS, 5 * MS)),
            BandwidthChange(250 * MS, "/a", Bandwidth(20 * MS, 50 * MS, 5 * MS)),
            IdleChange(300 * MS, "/a", idle=True),
            IdleChange(350 * MS, "/a", idle=False),
            WeightChange(400 * MS, "/a", 500),
            BandwidthChange(450 * MS, "/a", Bandwidth()),
            IdleChange(800 * MS, "/later", idle=False),
        ),
        cgroups=(
            Cgroup("/a", 300),
            Cgroup("/later", 50, 500 * MS, idle=True, bandwidth=Bandwidth(150 * MS, 100 * MS)),
        ),
    )
    heard: list[tuple[int, str]] = []
    while True:
        number = ("end_at", str(len(heard) + 1))
        ended = bench.run(replace(candidate, parameters=(number,)), scenario).ejection
        if ended is None:
            break
        assert ended.kind is Ended.BY_ITSELF
        heard.append((ended.at_ns // MS, ended.message))
    assert heard == [
        (0, "init weight 300 idle 0 quota -1 period 100000 burst 0"),
        (200, "quota 20000 period 50000 burst 5000"),
        (300, "idle 1"),
        (350, "idle 0"),
        (400, "weight 500"),
        (450, "quota -1 period 100000 burst 0"),
        (500, "init weight 50 idle 1 quota 150000 period 100000 burst 0"),
        (800, "idle 0"),
    ]


def test_the_cpu_time_of_cgroups_is_counted_with_and_without_those_below(bench: Workbench) -> None:
    """Own times add up to the machine's, and each has its own and those of its descendants."""
    scenario = Scenario(
        "tree",
        (
            Task("top", BUSY),
            Task("a", BUSY, cgroup="/a"),
            Task("b", BUSY, cgroup="/a/b"),
            Task("c", (Run(50 * MS),), cgroup="/a/b/c"),
        ),
        SimulatedMachine(2),
        duration_ns=S,
        cgroups=(Cgroup("/a"), Cgroup("/a/b"), Cgroup("/a/b/c"), Cgroup("/empty")),
    )
    for candidate in (None, bench.library("fifo")):
        figures = bench.run(candidate, scenario)
        own = {each.path: each.own_run_ns for each in figures.cgroups}
        assert list(own) == ["/", "/a", "/a/b", "/a/b/c", "/empty"]
        assert sum(own.values()) == figures.run_ns == figures.cgroup("/").run_ns
        assert figures.cgroup("/a/b").run_ns == own["/a/b"] + own["/a/b/c"]
        assert figures.cgroup("/a").run_ns == own["/a"] + figures.cgroup("/a/b").run_ns
        assert (figures.cgroup("/empty").run_ns, own["/a"]) == (0, figures.group("a").run_ns)


def test_a_scenario_without_cgroups_has_no_figures_of_them(bench: Workbench) -> None:
    """Where there is only the root, its CPU time is the machine's."""
    figures = bench.run(None, Scenario("plain", (Task("a", BUSY),), ONE, duration_ns=S))
    assert figures.cgroups == ()
