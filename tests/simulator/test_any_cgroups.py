# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups of any shape, with any settings and changes: nothing is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.run import Ended
from simulator.scenario import (
    MS,
    Affine,
    Bandwidth,
    BandwidthChange,
    Cgroup,
    CgroupChange,
    CpuChange,
    Enter,
    Fork,
    IdleChange,
    Renice,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    WeightChange,
    Yield,
)
from tests.simulator.conftest import Workbench


def trees() -> st.SearchStrategy[tuple[Cgroup, ...]]:
    """A few cgroups, up to three levels deep, with all settings."""
    bandwidths = st.one_of(
        st.just(Bandwidth()),
        st.builds(
            lambda quota, period, burst: Bandwidth(quota * MS, period * MS, min(burst, quota) * MS),
            st.integers(1, 200),
            st.integers(1, 200),
            st.integers(0, 50),
        ),
    )
    one = st.tuples(st.integers(0, 9), st.integers(1, 10000), st.booleans(), bandwidths)

    def build(parts: list[tuple[int, int, bool, Bandwidth]]) -> tuple[Cgroup, ...]:
        paths = [""]
        groups = []
        for at, (above, weight, idle, bandwidth) in enumerate(parts):
            parent = paths[above % len(paths)]
            if parent.count("/") == 3:
                parent = ""
            paths.append(f"{parent}/g{at}")
            groups.append(Cgroup(paths[-1], weight, idle=idle, bandwidth=bandwidth))
        return tuple(groups)

    return st.lists(one, min_size=1, max_size=6).map(build)


@st.composite
def grouped(draw: st.DrawFn) -> Scenario:
    """Jobs that end, in groups; they move, sleep and fork, and all settings change for 2 s."""
    groups = draw(trees())
    paths = ["/", *(each.path for each in groups)]
    cpus = draw(st.integers(1, 4))
    where = st.sampled_from(paths)
    times = st.integers(1, 9)
    step = st.one_of(
        st.integers(1, 60).map(lambda ms: Run(ms * MS, ms * MS // 2)),
        st.integers(1, 60).map(lambda ms: Sleep(ms * MS, ms * MS // 2)),
        where.map(Enter),
        st.builds(Enter, where, st.sampled_from(["job0", "job1"])),
        st.integers(-20, 19).map(Renice),
        st.builds(Renice, st.integers(-20, 19), st.just("job0")),
        st.integers(0, cpus - 1).map(lambda cpu: Affine((cpu,))),
        st.just(Affine(tuple(range(cpus)))),
        st.builds(Affine, st.just((0,)), st.just("job0")),
        st.just(Yield()),
        st.just(Fork("child")),
    )
    jobs = tuple(
        Task(
            "jobs",
            (
                *draw(st.lists(step, min_size=1, max_size=6)),
                Run(MS),
                Repeat(draw(times)),
            ),
            name=f"job{at}",
            comm=f"job{at}",
            count=draw(st.integers(1, 4)),
            cgroup=draw(where),
            nice=draw(st.sampled_from([0, 0, 5, -5])),
            kthread=draw(st.sampled_from([False, False, True])),
        )
        for at in range(draw(st.integers(2, 4)))
    )
    child = Task("jobs", (Run(2 * MS),), name="child", comm="child", cgroup=draw(where),
                 start_ns=None)  # fmt: skip
    at = st.integers(1, 2000).map(lambda ms: ms * MS)
    changed = st.sampled_from(paths[1:])
    changes: list[CpuChange | CgroupChange] = draw(
        st.lists(
            st.one_of(
                st.builds(
                    lambda at, path, ms: BandwidthChange(at, path, Bandwidth(ms * MS)),
                    at,
                    changed,
                    st.integers(1, 100),
                ),
                st.builds(IdleChange, at, changed, st.booleans()),
                st.builds(lambda at, online: CpuChange(at, cpus - 1, online or cpus == 1), at,
                          st.booleans()),
            ),
            max_size=8,
        )
    )  # fmt: skip
    end = 2 * S + MS
    changes += [IdleChange(end, path, idle=False) for path in paths[1:]]
    changes += [WeightChange(end + MS, path, draw(st.integers(1, 10000))) for path in paths[1:]]
    changes += [BandwidthChange(end + MS, path, Bandwidth()) for path in paths[1:]]
    changes.append(CpuChange(end, cpus - 1, online=True))
    return Scenario(
        "any", (*jobs, child), SimulatedMachine(cpus), tuple(changes), 120 * S, cgroups=groups
    )


@settings(max_examples=40, deadline=None)
@given(scenario=grouped())
def test_no_task_and_no_cpu_time_is_lost_whatever_groups_do(
    bench: Workbench, scenario: Scenario
) -> None:
    """All jobs end once no quota is left, and the CPU times of the groups sum to the machine's."""
    for candidate in (None, bench.library("fifo")):
        figures = bench.run(candidate, scenario)
        assert figures.ejection is None or figures.ejection.kind is Ended.BY_KERNEL
        assert sum(each.own_run_ns for each in figures.cgroups) == figures.run_ns
        assert figures.run_ns + figures.idle_ns == figures.time_ns * figures.cpus
        assert sum(group.run_ns for group in figures.groups) == figures.run_ns
        if figures.ejection is None:
            assert all(group.finished == group.tasks for group in figures.groups)
