# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of perf: what its text says of runs, sleeps and who woke whom."""

from pathlib import Path

import pytest

from process import Fault
from simulator.scenario import Machine, Sleep, Wait
from simulator.traces import machine_for, read_trace, scenario_of
from simulator.traces.model import Exit, Fork, How, Recorded, Runs, Wake
from tests.traces.conftest import DATA, Write

START = 1_000_000_000


def line(at_us: int, event: str, text: str, *, comm: str = "x", tid: int = 9, cpu: int = 0) -> str:
    at = START + at_us * 1000
    return f"{comm:>16} {tid} [{cpu:03}] {at // 10**9}.{at % 10**9:09}: {event}: {text}"


def switch(at_us: int, prev: str, state: str, following: str) -> str:
    """`prev` and `following` as COMM:TID."""
    (one, a), (two, b) = prev.rsplit(":", 1), following.rsplit(":", 1)
    return line(
        at_us,
        "sched:sched_switch",
        f"prev_comm={one} prev_pid={a} prev_prio=120 prev_state={state} ==> "
        f"next_comm={two} next_pid={b} next_prio=120",
        comm=one,
        tid=int(a),
    )


def waking(at_us: int, comm: str, pid: int, by: tuple[str, int]) -> str:
    text = f"comm={comm} pid={pid} prio=120 target_cpu=000"
    return line(at_us, "sched:sched_waking", text, comm=by[0], tid=by[1])


def read(path: Path) -> Recorded:
    trace = read_trace(path)
    assert isinstance(trace, Recorded)
    return trace


def test_runs_sleeps_and_wakers_are_found(write: Write) -> None:
    """CPU time is the time between switches; preemption is none of the task's doing."""
    trace = read(
        write(
            switch(0, "swapper/0:0", "R", "a:5"),
            switch(100, "a:5", "R+", "b:6"),
            waking(150, "c", 7, ("b", 6)),
            switch(200, "b:6", "S", "a:5"),
            switch(260, "a:5", "S", "c:7"),
            waking(300, "a", 5, ("c", 7)),
            switch(310, "c:7", "X", "a:5"),
            switch(350, "a:5", "R", "swapper/0:0"),
        )
    )
    names = {trace.tasks[number].comm: number for number in trace.tasks}
    assert [type(each) for each in trace.events[:3]] == [Wake, Wake, Exit]
    woken = trace.events[1]
    assert isinstance(woken, Wake)
    assert (woken.task, woken.ran_ns, woken.slept_ns) == (names["a"], 160_000, 40_000)
    assert (woken.how, woken.waker, woken.offset_ns) == (How.TASK, names["c"], 40_000)
    assert any(isinstance(each, Runs) and each.ran_ns == 40_000 for each in trace.events)


def test_forks_are_found(write: Write) -> None:
    """A child is the parent's doing, at the point of its work where it was."""
    text = "comm=sh pid=5 child_comm=sh child_pid=6"
    trace = read(
        write(
            switch(0, "swapper/0:0", "R", "sh:5"),
            line(30, "sched:sched_process_fork", text, comm="sh", tid=5),
            switch(50, "sh:5", "S", "sh:6"),
            switch(90, "sh:6", "X", "swapper/0:0"),
        )
    )
    assert isinstance(trace.events[0], Fork)
    assert trace.events[0].offset_ns == 30_000


def test_a_timer_beside_a_running_task_is_no_wakeup_by_it(write: Write) -> None:
    """Where perf recorded interrupts, what they wake sleeps by itself."""
    lines = [
        switch(0, "swapper/0:0", "R", "hog:5"),
        switch(10, "hog:5", "R+", "sleeper:6"),
        switch(20, "sleeper:6", "S", "hog:5"),
        line(50, "timer:hrtimer_expire_entry", "hrtimer=0x1 function=f", comm="hog", tid=5),
        waking(51, "sleeper", 6, ("hog", 5)),
        line(52, "timer:hrtimer_expire_exit", "hrtimer=0x1", comm="hog", tid=5),
        switch(60, "hog:5", "R+", "sleeper:6"),
        switch(70, "sleeper:6", "S", "hog:5"),
    ]
    trace = read(write(*lines))
    assert trace.notes == ()
    steps = next(
        each.steps
        for each in scenario_of(trace, machine_for(trace, Machine()), 1).tasks
        if each.comm == "sleeper"
    )
    assert any(isinstance(each, Sleep) for each in steps)
    blind = read(write(*(each for each in lines if "hrtimer" not in each)))
    assert "did not record interrupts" in blind.notes[0]


def test_an_interrupt_whose_end_was_lost_ends_with_the_next_switch(write: Write) -> None:
    """perf loses events; nobody is in an interrupt for the rest of the recording for that."""
    trace = read(
        write(
            line(0, "irq:softirq_entry", "vec=9 [action=RCU]"),
            switch(10, "swapper/0:0", "R", "a:5"),
            switch(100, "a:5", "S", "b:6"),
            waking(150, "a", 5, ("b", 6)),
            switch(160, "b:6", "S", "a:5"),
        )
    )
    (woken,) = (each for each in trace.events if isinstance(each, Wake) and each.ran_ns)
    assert woken.how is How.TASK


def test_what_a_real_perf_printed_is_read() -> None:
    """A piece of a real recording: two that play ping-pong, each woken by the other."""
    trace = read(DATA / "perf_script.txt")
    scenario = scenario_of(trace, machine_for(trace, Machine()), seed=1)
    pair = [each for each in scenario.tasks if each.comm == "sched-pipe"]
    assert scenario.machine.cpus == 2
    assert len(pair) == 2
    assert all(any(isinstance(step, Wait) for step in each.steps) for each in pair)


def test_hostile_command_names_do_not_lead_astray(write: Write) -> None:
    """A command name may look like the rest of the line; the numbers are found all the same."""
    evil = "a b 1 [000] 1.0: x"
    trace = read(
        write(
            switch(0, "swapper/0:0", "R", f"{evil}:5"),
            switch(10, f"{evil}:5", "S", "==> next_comm=z:6"),
            switch(30, "==> next_comm=z:6", "X", "swapper/0:0"),
        )
    )
    assert {each.comm for each in trace.tasks.values()} == {evil, "==> next_comm=z"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what is this sched:sched_switch", "not one of `perf script`"),
        (line(0, "sched:sched_switch", "prev_comm=a"), "cannot be read"),
    ],
)
def test_a_line_that_is_not_perfs_is_named(write: Write, text: str, words: str) -> None:
    """The fault says which line it is, and how to get the right text."""
    with pytest.raises(Fault, match=words) as caught:
        read_trace(write(switch(0, "a:1", "R", "b:2"), text))
    assert caught.value.where.endswith("line 2")
    assert caught.value.hint
