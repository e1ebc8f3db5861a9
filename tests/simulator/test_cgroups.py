# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups' weights, quotas and idle groups: what schedulers hear about them, and the CPU time that
results."""

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
    CpuChange,
    Enter,
    IdleChange,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
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
    """cpu.max and cpu.max.burst have the kernel's bounds, at the start and later."""
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
    """The root has no such files, and nobody can write the weight of an idle cgroup."""
    with pytest.raises(Fault) as fault:
        bad.text()
    assert fault.value.type is FaultType.BAD_REQUEST
    assert why in fault.value.what


def test_a_scheduler_hears_of_weights_quotas_and_idle_as_from_the_kernel(bench: Workbench) -> None:
    """A scheduler hears the first values and each change; `max` is -1 as in the kernel."""
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
        (500, "init weight 100 idle 0 quota -1 period 100000 burst 0"),
        (500, "weight 50"),
        (500, "idle 1"),
        (500, "quota 150000 period 100000 burst 0"),
        (800, "idle 0"),
    ]


def test_the_cpu_time_of_cgroups_is_counted_with_and_without_those_below(bench: Workbench) -> None:
    """A group's own times sum to the machine's; each group also has its own time and that of its
    descendants."""
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
    """If only the root exists, its CPU time is the machine's."""
    figures = bench.run(None, Scenario("plain", (Task("a", BUSY),), ONE, duration_ns=S))
    assert figures.cgroups == ()


# ---- the kernel's own scheduler ----

NAPS = (Run(3 * MS, 2 * MS), Sleep(2 * MS, MS), Repeat())
LIGHT = (Run(MS, MS), Sleep(9 * MS, 3 * MS), Repeat())


def shares_of(bench: Workbench, scenario: Scenario, *paths: str) -> list[float]:
    """The CPU time of these cgroups, in percent of their sum."""
    figures = bench.run(None, scenario)
    times = [figures.cgroup(path).run_ns for path in paths]
    return [100 * each / sum(times) for each in times]


@pytest.mark.parametrize("cpus", [1, 2, 3, 8])
@pytest.mark.parametrize("kind", ["busy", "sleeping", "mixed"])
def test_the_default_divides_cpu_time_by_the_weights_of_cgroups(
    bench: Workbench, cpus: int, kind: str
) -> None:
    """Three groups with more than enough work get 100:300:900, whatever their tasks do."""
    busy, naps = kind == "busy", kind == "sleeping"
    tasks = tuple(
        Task(name, steps, comm=f"{name}{at}", cgroup=f"/{name}", count=count * cpus)
        for name in "abc"
        for at, (steps, count) in enumerate(
            ((BUSY, 1),) if busy else ((NAPS, 4),) if naps else ((BUSY, 1), (NAPS, 1), (LIGHT, 1))
        )
    )
    groups = (Cgroup("/a", 100), Cgroup("/b", 300), Cgroup("/c", 900))
    scenario = Scenario("weights", tasks, SimulatedMachine(cpus), duration_ns=5 * S, cgroups=groups)
    assert shares_of(bench, scenario, "/a", "/b", "/c") == pytest.approx(
        [100 / 13, 300 / 13, 900 / 13], abs=3
    )


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_the_default_divides_by_weight_at_each_level(bench: Workbench, cpus: int) -> None:
    """A group's time is divided among its child groups, and each child's time among its own."""
    tree = {"/a": 100, "/b": 400, "/b/c": 100, "/b/d": 400, "/b/d/e": 300, "/b/d/f": 100}
    tasks = tuple(
        Task(name, BUSY, cgroup=path, count=cpus)
        for name, path in (("a", "/a"), ("c", "/b/c"), ("e", "/b/d/e"), ("f", "/b/d/f"))
    )
    groups = tuple(Cgroup(path, weight) for path, weight in tree.items())
    scenario = Scenario("tree", tasks, SimulatedMachine(cpus), duration_ns=5 * S, cgroups=groups)
    assert shares_of(bench, scenario, "/a", "/b") == pytest.approx([20, 80], abs=3)
    assert shares_of(bench, scenario, "/b/c", "/b/d") == pytest.approx([20, 80], abs=3)
    assert shares_of(bench, scenario, "/b/d/e", "/b/d/f") == pytest.approx([75, 25], abs=3)


def test_the_number_of_tasks_in_a_cgroup_does_not_count(bench: Workbench) -> None:
    """Ten tasks of a group get together as much as a single one in another group."""
    scenario = Scenario(
        "many",
        (Task("one", BUSY, cgroup="/a"), Task("ten", BUSY, cgroup="/b", count=10)),
        ONE,
        duration_ns=5 * S,
        cgroups=(Cgroup("/a"), Cgroup("/b")),
    )
    assert shares_of(bench, scenario, "/a", "/b") == pytest.approx([50, 50], abs=2)


def test_a_changed_weight_divides_anew(bench: Workbench) -> None:
    """The ratio changes from 100:100 to 100:900 after half of the time."""
    scenario = Scenario(
        "changed",
        (Task("a", BUSY, cgroup="/a", count=2), Task("b", BUSY, cgroup="/b", count=2)),
        SimulatedMachine(2),
        (WeightChange(2 * S, "/b", 900),),
        4 * S,
        cgroups=(Cgroup("/a"), Cgroup("/b")),
    )
    assert shares_of(bench, scenario, "/a", "/b") == pytest.approx([30, 70], abs=2)


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_an_idle_cgroup_gets_nearly_nothing_beside_a_busy_one(bench: Workbench, cpus: int) -> None:
    """Alone it gets everything; beside busy tasks it gets a few thousandths, and delays no light
    task."""
    machine = SimulatedMachine(cpus)
    idle = Task("idle", BUSY, cgroup="/idle", count=2 * cpus)
    groups = (Cgroup("/idle", 10000, idle=True), Cgroup("/usual"))
    alone = Scenario("alone", (idle,), machine, duration_ns=5 * S, cgroups=groups)
    assert bench.run(None, alone).cgroup("/idle").run_ns == pytest.approx(5 * S * cpus, rel=0.001)
    busy = Task("busy", BUSY, cgroup="/usual", count=2 * cpus)
    share, _ = shares_of(bench, replace(alone, tasks=(idle, busy)), "/idle", "/usual")
    assert 0 < share < 1
    light = Task("light", LIGHT, cgroup="/usual")
    beside = bench.run(None, replace(alone, tasks=(idle, light)))
    assert beside.group("light").delay_p99_ns < 3 * MS
    assert beside.run_ns == pytest.approx(5 * S * cpus, rel=0.001)


def test_a_cgroup_that_is_idle_for_a_while_loses_its_weight(bench: Workbench) -> None:
    """As in the kernel, its weight is 100 afterwards."""
    scenario = Scenario(
        "for a while",
        (Task("a", BUSY, cgroup="/a"), Task("b", BUSY, cgroup="/b")),
        ONE,
        (IdleChange(0, "/a", idle=True), IdleChange(2 * S, "/a", idle=False)),
        4 * S,
        cgroups=(Cgroup("/a", 900), Cgroup("/b")),
    )
    assert shares_of(bench, scenario, "/a", "/b") == pytest.approx([25, 75], abs=2)


@pytest.mark.parametrize("cpus", [1, 2, 8])
@pytest.mark.parametrize("percent", [20, 50, 150])
def test_a_quota_is_used_and_not_exceeded(bench: Workbench, percent: int, cpus: int) -> None:
    """Busy and sleeping tasks get the quota within 3 % over ten seconds, and then wait."""
    if percent > 100 * cpus:
        return
    for steps in (BUSY, NAPS):
        limited = Task("limited", steps, cgroup="/limited", count=3 * cpus)
        others = Task("others", LIGHT, cgroup="/others", count=cpus)
        figures = bench.run(
            None,
            Scenario(
                "quota",
                (limited, others),
                SimulatedMachine(cpus),
                duration_ns=10 * S,
                cgroups=(Cgroup("/limited", bandwidth=Bandwidth(percent * MS)), Cgroup("/others")),
            ),
        )
        it = figures.cgroup("/limited")
        assert it.run_ns == pytest.approx(percent * 100 * MS, rel=0.03)
        assert it.periods == 100
        assert it.throttled_periods == pytest.approx(100, abs=1)
        assert it.throttled_ns > S
        assert figures.cgroup("/others").throttled_ns == 0
        assert figures.group("others").delay_p99_ns < 8 * MS


def test_the_smallest_quota_above_a_task_counts(bench: Workbench) -> None:
    """A group gets no more than its parent has, and its siblings may use what it leaves."""
    figures = bench.run(
        None,
        Scenario(
            "nested",
            (Task("c", BUSY, cgroup="/a/b/c", count=4), Task("d", BUSY, cgroup="/a/b/d", count=4)),
            SimulatedMachine(2),
            duration_ns=10 * S,
            cgroups=(
                Cgroup("/a"),
                Cgroup("/a/b", bandwidth=Bandwidth(50 * MS)),
                Cgroup("/a/b/c", bandwidth=Bandwidth(20 * MS)),
                Cgroup("/a/b/d", bandwidth=Bandwidth(150 * MS)),
            ),
        ),
    )
    used = {each.path: each.run_ns for each in figures.cgroups}
    assert used["/"] == used["/a"] == used["/a/b"] == pytest.approx(5 * S, rel=0.03)
    assert used["/a/b/c"] == pytest.approx(2 * S, rel=0.03)


def test_a_burst_is_saved_and_spent(bench: Workbench) -> None:
    """A group may later use what it left unused, up to its burst and no more."""
    sudden = (Sleep(887 * MS), Run(99 * MS), Repeat())
    throttled = []
    for burst in (0, 20, 50):
        scenario = Scenario(
            "burst",
            (Task("a", sudden, cgroup="/a"),),
            ONE,
            duration_ns=10 * S,
            cgroups=(Cgroup("/a", bandwidth=Bandwidth(50 * MS, burst_ns=burst * MS)),),
        )
        throttled.append(bench.run(None, scenario).cgroup("/a").throttled_periods)
    assert throttled[0] > throttled[1] > throttled[2] == 0


def test_a_quota_that_changes_counts_from_then_on(bench: Workbench) -> None:
    """No quota for 2 s, a fifth of a CPU for 4 s, one CPU for 2 s, and no quota again."""
    scenario = Scenario(
        "changes",
        (Task("a", BUSY, cgroup="/a", count=4),),
        SimulatedMachine(2),
        (
            BandwidthChange(2 * S, "/a", FIFTH),
            BandwidthChange(6 * S, "/a", Bandwidth(100 * MS)),
            BandwidthChange(8 * S, "/a", Bandwidth()),
        ),
        10 * S,
        cgroups=(Cgroup("/a"),),
    )
    want = 2 * 2 * S + 4 * S // 5 + 2 * S + 2 * 2 * S
    assert bench.run(None, scenario).run_ns == pytest.approx(want, rel=0.03)


def test_a_task_that_leaves_a_used_up_cgroup_runs_on(bench: Workbench) -> None:
    """This holds wherever the task waited; a task that comes in waits with the others."""
    scenario = Scenario(
        "moves",
        (
            Task("in", BUSY, cgroup="/limited", count=2),
            Task("leaver", BUSY, cgroup="/limited"),
            Task("comer", BUSY, cgroup="/free"),
            Task(
                "manager",
                (
                    Sleep(S),
                    Enter("/free", of="leaver"),
                    Enter("/limited", of="comer"),
                    Sleep(9 * S),
                ),
            ),
        ),
        SimulatedMachine(4),
        duration_ns=5 * S,
        cgroups=(Cgroup("/limited", bandwidth=Bandwidth(10 * MS)), Cgroup("/free")),
    )
    figures = bench.run(None, scenario)
    assert figures.group("leaver").run_ns == pytest.approx(4 * S, rel=0.05)
    assert figures.group("comer").run_ns == pytest.approx(S, rel=0.2)
    assert figures.cgroup("/limited").run_ns == pytest.approx(500 * MS, rel=0.05)


def test_a_kernel_thread_does_not_wait_for_a_quota(bench: Workbench) -> None:
    """It uses up the quota, and the other tasks of its group wait for it."""
    scenario = Scenario(
        "kernel",
        (
            Task("thread", BUSY, cgroup="/a", comm="kworker/0:0", kthread=True),
            Task("task", BUSY, cgroup="/a"),
        ),
        ONE,
        duration_ns=5 * S,
        cgroups=(Cgroup("/a", bandwidth=Bandwidth(20 * MS)),),
    )
    figures = bench.run(None, scenario)
    assert figures.run_ns == pytest.approx(5 * S, rel=0.01)
    assert figures.group("task").run_ns < 100 * MS


def test_a_throttled_cgroup_holds_no_cpu_that_goes_away(bench: Workbench) -> None:
    """Its tasks go on elsewhere and use the whole quota."""
    scenario = Scenario(
        "hotplug",
        (Task("a", BUSY, cgroup="/a", count=8),),
        SimulatedMachine(4),
        tuple(
            CpuChange(at * 100 * MS + 37 * MS, at % 3, online=at // 3 % 2 == 1) for at in range(90)
        ),
        10 * S,
        cgroups=(Cgroup("/a", bandwidth=Bandwidth(100 * MS)),),
    )
    figures = bench.run(None, scenario)
    assert figures.run_ns == pytest.approx(10 * S, rel=0.05)


def test_a_candidate_without_the_callbacks_ignores_weights_and_quotas(bench: Workbench) -> None:
    """It treats tasks as if there were no groups; the default, for comparison, does not."""
    scenario = Scenario(
        "ignored",
        (Task("a", BUSY, cgroup="/a", count=2), Task("b", BUSY, cgroup="/b", count=2)),
        SimulatedMachine(2),
        duration_ns=5 * S,
        cgroups=(Cgroup("/a", 100, bandwidth=FIFTH), Cgroup("/b", 900, idle=True)),
    )
    fifo = bench.run(bench.policy("cgroups ignore; order fifo; slice 5ms"), scenario)
    assert fifo.cgroup("/a").run_ns == pytest.approx(5 * S, rel=0.05)
    assert fifo.cgroup("/a").throttled_ns == fifo.cgroup("/a").periods == 0
    default = bench.run(None, scenario)
    assert default.cgroup("/a").run_ns == pytest.approx(S, rel=0.03)
    assert default.cgroup("/b").run_ns == pytest.approx(9 * S, rel=0.03)
