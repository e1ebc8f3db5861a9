# SPDX-License-Identifier: GPL-2.0-or-later
"""Response times, completions and turnarounds are exact in small schedules, and a worse schedule
never improves them."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.run import GroupFigures
from simulator.scenario import (
    MS,
    US,
    Ending,
    Lock,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Unlock,
    Wait,
    Wake,
    requests,
)

from .conftest import Workbench

# A switch, and the way out of idleness; no tick comes within a test's schedule.
SWITCH, WAY = 1000, 500
QUIET = SimulatedMachine(1, switch_ns=SWITCH, wake_ns=WAY, tick_ns=S)
EXAMPLES = settings(max_examples=12, deadline=None)


def _run(
    bench: Workbench, tasks: tuple[Task, ...], machine: SimulatedMachine = QUIET
) -> GroupFigures:
    """Run under first come, first served; return the figures of the first task's group."""
    scenario = Scenario("test", tasks, machine)
    return bench.run(bench.library("fifo"), scenario).group(tasks[0].group)


def test_an_activation_is_from_the_wakeup_to_the_next_sleep(bench: Workbench) -> None:
    """For a task alone it has the way out of idleness, the switch and the work, and no sleep."""
    group = _run(bench, (Task("a", (Run(3 * MS), Sleep(MS), Run(2 * MS), Sleep(MS))),))
    assert group.response_ns is not None
    assert group.burst_ns is not None
    # The end comes with a third wakeup, which has no work.
    assert (group.completions, group.response_ns.count, group.response_ns.open) == (3, 3, 0)
    assert group.response_ns.max == 3 * MS + SWITCH + WAY
    assert group.response_ns.p50 == 2 * MS + SWITCH + WAY
    assert group.burst_ns.max == 3 * MS + SWITCH
    assert (group.waited_ns, group.preempted_ns) == (3 * WAY, 0)
    assert group.turnaround_ns is not None
    assert group.turnaround_ns.max == 7 * MS + 3 * (SWITCH + WAY)


def test_the_wait_behind_another_is_part_of_the_response(bench: Workbench) -> None:
    """Of two tasks that wake at once the second takes the time of both, and its wait is
    reported."""
    one = (Run(3 * MS),)
    group = _run(bench, (Task("a", one, comm="first"), Task("a", one, comm="second")))
    assert group.response_ns is not None
    assert group.response_ns.p50 == 3 * MS + SWITCH + WAY
    assert group.response_ns.max == 6 * MS + 2 * SWITCH + WAY
    assert group.response_ns.mean * 2 == group.response_ns.p50 + group.response_ns.max
    assert group.waited_ns == WAY + (3 * MS + SWITCH + WAY)
    assert group.preempted_ns == 0


def test_a_preemption_is_told_apart_from_the_wait_before(bench: Workbench) -> None:
    """Of two tasks that alternate by ticks the response has the same sum, in other parts."""
    machine = replace(QUIET, tick_ns=MS)
    work = (Run(30 * MS),)
    group = _run(bench, (Task("a", work, comm="first"), Task("a", work, comm="second")), machine)
    assert group.response_ns is not None
    assert group.burst_ns is not None
    assert group.completions == 2
    whole = group.response_ns.mean * 2
    assert whole == group.waited_ns + group.preempted_ns + group.burst_ns.mean * 2
    assert group.preempted_ns > 20 * MS
    # Nobody waits for a first turn longer than a slice and a tick.
    assert group.waited_ns < 10 * MS


@EXAMPLES
@given(duration=st.integers(2, 60), others=st.integers(0, 4))
def test_a_task_that_never_sleeps_has_a_response(
    bench: Workbench, duration: int, others: int
) -> None:
    """It counts with all of its time, under any load, and completes nothing."""
    hogs = Task("hogs", (Run(MS), Repeat()), count=others + 1)
    scenario = Scenario("hogs", (hogs,), SimulatedMachine(1), duration_ns=duration * MS)
    for candidate in (None, bench.library("fifo")):
        group = bench.run(candidate, scenario).group("hogs")
        assert group.response_ns is not None
        assert group.response_ns.count == group.response_ns.open == others + 1
        assert group.response_ns.p50 == group.response_ns.max == duration * MS
        assert group.completions == 0
        assert group.turnaround_ns is None


def test_what_is_never_run_counts_with_its_wait(bench: Workbench) -> None:
    """If a scheduler loses a task, its response is as long as the simulation, and it has no
    burst."""
    tasks = (Task("lost", (Run(MS), Sleep(MS), Repeat()), comm="lost", count=3),)
    scenario = Scenario("lost", tasks, SimulatedMachine(1), duration_ns=500 * MS)
    group = bench.run(bench.beside("orphans"), scenario).group("lost")
    good = bench.run(bench.library("fifo"), scenario).group("lost")
    assert group.response_ns is not None
    assert good.response_ns is not None
    assert group.response_ns.max > 100 * good.response_ns.max
    assert group.completions < good.completions


@EXAMPLES
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), min_size=1, max_size=8),
    late=st.tuples(st.integers(0, 20), st.integers(1, 30)),
    slower=st.integers(1, 500),
)
def test_nobodys_response_falls_when_work_is_delayed(
    bench: Workbench,
    arrivals: list[tuple[int, int]],
    late: tuple[int, int],
    slower: int,
) -> None:
    """First come, first served on one CPU: one more task, or a slower machine, shortens no
    response."""
    tasks = tuple(
        Task("a", (Run(work * MS),), comm=f"t{number}", start_ns=at * MS + 1 + number)
        for number, (at, work) in enumerate(arrivals)
    )
    more = Task("more", (Run(late[1] * MS),), start_ns=late[0] * MS)
    usual = _run(bench, tasks)
    slow = replace(QUIET, switch_ns=SWITCH + slower * US)
    for worse in (_run(bench, (*tasks, more)), _run(bench, tasks, slow)):
        for which in ("response_ns", "turnaround_ns"):
            before, after = getattr(usual, which), getattr(worse, which)
            for figure in ("mean", "p50", "p75", "p90", "p95", "p99", "p99_9", "max"):
                assert getattr(after, figure) >= getattr(before, figure)
        assert worse.completions == usual.completions == len(arrivals)


@EXAMPLES
@given(
    slices=st.lists(st.integers(1, 40), min_size=2, max_size=2, unique=True),
    work=st.integers(1, 30),
    times=st.integers(1, 5),
    tasks=st.integers(1, 4),
)
def test_completions_do_not_change_with_how_often_somebody_is_preempted(
    bench: Workbench, slices: list[int], work: int, times: int, tasks: int
) -> None:
    """The same work in slices of any length has as many completions as sleeps and ends."""
    steps = (Run(work * MS), Sleep(2 * MS), Repeat(times))
    scenario = Scenario("same", (Task("a", steps, count=tasks),), SimulatedMachine(1, tick_ns=MS))
    groups = [
        bench.run(bench.policy(f"order fifo; slice {each}ms"), scenario).group("a")
        for each in sorted(slices)
    ]
    assert [each.completions for each in groups] == [tasks * (times + 1)] * 2
    # Longer slices do not always preempt less: of 10 ms of work, slices of 3 and 4 ms leave 1 and
    # 2 ms for the last turn. Only a task that ends within a slice is never preempted.
    if max(slices) >= work + 2:
        assert groups[1].preempted_ns == 0


@pytest.mark.parametrize("ending", Ending)
def test_what_a_recording_cut_off_is_no_completion(bench: Workbench, ending: Ending) -> None:
    """A task with more work counts with the work it did; one that slept has no turnaround."""
    group = _run(bench, (Task("a", (Run(3 * MS),), ending=ending),))
    assert group.response_ns is not None
    assert group.response_ns.max == 3 * MS + SWITCH + WAY
    assert group.completions == (ending is not Ending.BUSY)
    assert group.response_ns.open == (ending is Ending.BUSY)
    assert (group.turnaround_ns is not None) == (ending is Ending.EXIT)


def test_a_job_that_has_not_ended_counts_with_its_age(bench: Workbench) -> None:
    """A scheduler that never lets it end therefore gets no short turnarounds."""
    tasks = (Task("jobs", (Run(MS),), comm="short"), Task("jobs", (Run(9 * S),), comm="long"))
    group = _run(bench, tasks)
    assert group.turnaround_ns is not None
    assert (group.turnaround_ns.count, group.turnaround_ns.open) == (2, 1)
    assert group.turnaround_ns.max == 5 * S


# ---------------------------------------------------------------- locks


def test_who_sleeps_for_a_lock_uses_no_cpu_time(bench: Workbench) -> None:
    """A mutex on two CPUs: one task works at a time, and the other sleeps, which ends its
    activation."""
    steps = (Lock("m"), Run(5 * MS), Unlock("m"))
    group = _run(bench, (Task("a", steps, count=2),), replace(QUIET, cpus=2))
    assert group.spun_ns == 0
    assert group.run_ns == 10 * MS + 3 * SWITCH
    assert group.makespan_ns == 10 * MS + 2 * SWITCH + 2 * WAY
    assert group.completions == 3


def test_who_spins_for_a_lock_burns_the_cpu(bench: Workbench) -> None:
    """A spinlock on two CPUs: the second task spins until the first is done, and takes it at
    once."""
    steps = (Lock("s", spins=True), Run(5 * MS), Unlock("s"))
    group = _run(bench, (Task("a", steps, count=2),), replace(QUIET, cpus=2))
    assert group.spun_ns == 5 * MS
    assert group.run_ns == 15 * MS + 2 * SWITCH
    assert group.makespan_ns == 10 * MS + SWITCH + WAY
    assert group.completions == 2


def test_a_holder_that_is_preempted_makes_others_spin(bench: Workbench) -> None:
    """On one CPU nobody spins if a slice is long enough for the work; otherwise somebody does."""
    steps = (Lock("s", spins=True, per_cpu=True), Run(10 * MS), Unlock("s"))
    scenario = Scenario("holders", (Task("a", steps, count=2),), SimulatedMachine(1, tick_ns=MS))
    long, short = (
        bench.run(bench.policy(f"order fifo; slice {ms}ms"), scenario).group("a") for ms in (40, 4)
    )
    assert long.spun_ns == 0
    # During three turns of the first, the other burns two of its own.
    assert 8 * MS <= short.spun_ns <= 12 * MS
    assert short.makespan_ns is not None
    assert long.makespan_ns is not None
    assert short.makespan_ns - long.makespan_ns >= short.spun_ns


def test_each_cpu_has_a_lock_of_its_own_where_that_is_asked_for(bench: Workbench) -> None:
    """Two tasks on two CPUs do not meet, although the lock has one name."""
    steps = (Lock("s", per_cpu=True), Run(5 * MS), Unlock("s"))
    machine = replace(QUIET, cpus=2)
    apart = _run(bench, (Task("a", steps, count=2),), machine)
    assert apart.makespan_ns == 5 * MS + SWITCH + WAY
    assert apart.completions == 2


def test_locks_do_not_change_what_is_done(bench: Workbench) -> None:
    """With and without locks the same seed gives the same work in the same cycles."""
    steps = (Lock("m"), Run(2 * MS, MS), Unlock("m"), Sleep(MS), Repeat(20))
    free = tuple(each for each in steps if not isinstance(each, Lock | Unlock))
    for cpus in (1, 2, 4):
        machine = replace(QUIET, cpus=cpus)
        locked = _run(bench, (Task("a", steps, count=3),), machine)
        without = _run(bench, (Task("a", free, count=3),), machine)
        assert (locked.cycles, locked.finished) == (without.cycles, without.finished) == (60, 3)
        assert locked.makespan_ns is not None
        assert without.makespan_ns is not None
        assert locked.makespan_ns >= without.makespan_ns


# ---------------------------------------------------------------- requests under locks


@pytest.fixture(scope="module")
def kept(bench: Workbench) -> dict[str, GroupFigures]:
    """The requests of a workload like `schbench`, under schedulers that were measured with it."""
    scenario = requests(SimulatedMachine(2))
    lines = {
        "default": None,
        "fifo 100ms": bench.policy("order fifo; slice 100ms"),
        "fifo 60ms": bench.policy("order fifo; slice 60ms"),
        "fifo 1500us": bench.policy("order fifo; slice 1500us"),
        "batch": bench.library("batch"),
        "latency": bench.library("latency"),
    }
    return {name: bench.run(each, scenario).group("requests") for name, each in lines.items()}


def test_a_slice_that_lasts_for_a_request_doubles_them(kept: dict[str, GroupFigures]) -> None:
    """As with the real program, twice as many requests take half the time each, although queues are
    longer."""
    usual, let = kept["default"], kept["fifo 100ms"]
    assert let.cycles > 1.8 * usual.cycles
    assert let.response_ns is not None
    assert usual.response_ns is not None
    assert let.response_ns.p99 < 0.6 * usual.response_ns.p99
    assert let.delay_p99_ns > 5 * usual.delay_p99_ns
    assert usual.spun_ns > 0.4 * usual.run_ns
    assert let.spun_ns < 0.01 * let.run_ns


def test_requests_are_ranked_as_the_real_program_ranks_them(kept: dict[str, GroupFigures]) -> None:
    """Requests a second, from the most: slices of 60 ms and more, `batch`, then schedulers that cut
    requests."""
    assert kept["fifo 60ms"].cycles == pytest.approx(kept["fifo 100ms"].cycles, rel=0.02)
    order = ("fifo 100ms", "batch", "fifo 1500us")
    for more, fewer in pairwise(order):
        assert kept[more].cycles > 1.1 * kept[fewer].cycles
    for name in ("fifo 1500us", "latency"):
        assert kept[name].cycles == pytest.approx(kept["default"].cycles, rel=0.15)
        answer, usual = kept[name].response_ns, kept["default"].response_ns
        assert answer is not None
        assert usual is not None
        assert answer.p99 > usual.p99


def test_without_locks_no_slice_makes_more_requests(bench: Workbench) -> None:
    """The only cause is the lock that a preempted task holds."""
    scenario = requests(SimulatedMachine(2))
    free = replace(
        scenario,
        tasks=tuple(
            replace(task, steps=tuple(s for s in task.steps if not isinstance(s, Lock | Unlock)))
            for task in scenario.tasks
        ),
    )
    usual = bench.run(None, free).group("requests")
    let = bench.run(bench.policy("order fifo; slice 100ms"), free).group("requests")
    assert let.cycles == pytest.approx(usual.cycles, rel=0.02)


def test_a_wakeup_before_the_wait_is_not_lost_to_a_lock(bench: Workbench) -> None:
    """If a task sleeps for a lock and is woken by name meanwhile, that wakeup ends its next
    wait."""
    tasks = (
        Task("a", (Lock("m"), Run(4 * MS), Unlock("m")), comm="holder"),
        Task("b", (Run(MS), Lock("m"), Unlock("m"), Wait(), Run(MS)), name="waiter"),
        Task("c", (Run(2 * MS), Wake("waiter")), comm="waker"),
    )
    figures = bench.run(bench.library("fifo"), Scenario("late", tasks, replace(QUIET, cpus=3)))
    assert all(figures.group(name).finished == 1 for name in "abc")
