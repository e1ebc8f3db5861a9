# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of perf: runs, sleeps and wakers in its text."""

import re
from pathlib import Path

import pytest

from process import Fault
from simulator.scenario import SimulatedMachine, Sleep, Wait
from simulator.traces import machine_for, read_trace, scenario_of
from simulator.traces.model import How, RecordedTrace, Runs, TracedExit, TracedFork, TracedWake
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


def read(path: Path) -> RecordedTrace:
    trace = read_trace(path)
    assert isinstance(trace, RecordedTrace)
    return trace


def test_runs_sleeps_and_wakers_are_found(write: Write) -> None:
    """CPU time is the time between switches; a preemption is not the task's own action."""
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
    assert [type(each) for each in trace.events[:3]] == [TracedWake, TracedWake, TracedExit]
    woken = trace.events[1]
    assert isinstance(woken, TracedWake)
    assert (woken.task, woken.ran_ns, woken.slept_ns) == (names["a"], 160_000, 40_000)
    assert (woken.how, woken.waker, woken.offset_ns) == (How.TASK, names["c"], 40_000)
    assert any(isinstance(each, Runs) and each.ran_ns == 40_000 for each in trace.events)


def test_forks_are_found(write: Write) -> None:
    """A child begins at the point of its parent's work where the parent forked."""
    text = "comm=sh pid=5 child_comm=sh child_pid=6"
    trace = read(
        write(
            switch(0, "swapper/0:0", "R", "sh:5"),
            line(30, "sched:sched_process_fork", text, comm="sh", tid=5),
            switch(50, "sh:5", "S", "sh:6"),
            switch(90, "sh:6", "X", "swapper/0:0"),
        )
    )
    assert isinstance(trace.events[0], TracedFork)
    assert trace.events[0].offset_ns == 30_000


def test_a_timer_beside_a_running_task_is_no_wakeup_by_it(write: Write) -> None:
    """If perf recorded interrupts, a task that one of them wakes had slept by itself."""
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
    assert not any("interrupts" in note for note in trace.notes)
    steps = next(
        each.steps
        for each in scenario_of(trace, machine_for(trace, SimulatedMachine()), 1).tasks
        if each.comm == "sleeper"
    )
    assert any(isinstance(each, Sleep) for each in steps)
    blind = read(write(*(each for each in lines if "hrtimer" not in each)))
    assert "did not record interrupts" in blind.notes[0]


def test_an_interrupt_whose_end_was_lost_ends_with_the_next_switch(write: Write) -> None:
    """perf loses events, so no interrupt lasts for the rest of the recording."""
    trace = read(
        write(
            line(0, "irq:softirq_entry", "vec=9 [action=RCU]"),
            switch(10, "swapper/0:0", "R", "a:5"),
            switch(100, "a:5", "S", "b:6"),
            waking(150, "a", 5, ("b", 6)),
            switch(160, "b:6", "S", "a:5"),
        )
    )
    (woken,) = (each for each in trace.events if isinstance(each, TracedWake) and each.ran_ns)
    assert woken.how is How.TASK


def test_what_a_real_perf_printed_is_read() -> None:
    """A part of a real recording: two processes play ping-pong, and each wakes the other."""
    trace = read(DATA / "perf_script.txt")
    scenario = scenario_of(trace, machine_for(trace, SimulatedMachine()), seed=1)
    pair = [each for each in scenario.tasks if each.comm == "sched-pipe"]
    assert scenario.machine.cpus == 2
    assert len(pair) == 2
    assert all(any(isinstance(step, Wait) for step in each.steps) for each in pair)


def test_hostile_command_names_do_not_lead_astray(write: Write) -> None:
    """Even if a command name looks like the rest of the line, the numbers are found."""
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
    """The fault has the line's number, and says how to get the right text."""
    with pytest.raises(Fault, match=words) as caught:
        read_trace(write(switch(0, "a:1", "R", "b:2"), text))
    assert caught.value.where.endswith("line 2")
    assert caught.value.hint


PAIR = (
    switch(0, "swapper/0:0", "R", "a:5"),
    switch(100, "a:5", "S", "b:6"),
    waking(150, "a", 5, ("b", 6)),
    switch(160, "b:6", "S", "a:5"),
    switch(180, "a:5", "S", "swapper/0:0"),
    switch(400, "swapper/0:0", "R", "a:5"),
)


def test_times_between_lines_are_no_times(write: Write) -> None:
    """Output of `--deltatime` is refused and named, however few lines it has."""
    deltas = [re.sub(r"\d+\.\d{9}:", f"0.{at:09}:", each) for each, at in zip(
        PAIR, (0, 100_000, 50_000, 10_000, 20_000, 220_000), strict=True)]  # fmt: skip
    with pytest.raises(Fault) as caught:
        read_trace(write(*deltas))
    assert "--deltatime" in str(caught.value)
    assert "do not rise" in str(caught.value)


def test_a_little_disorder_is_said(write: Write) -> None:
    """One line among many that is late by microseconds does not mean another clock."""
    lines = [switch(10 * at, "a:5", "R", "a:5") for at in range(60)]
    lines[30] = switch(298, "a:5", "R", "a:5")
    lines[31] = switch(297, "a:5", "R", "a:5")
    assert any("1 lines are earlier" in note for note in read(write(*lines)).notes)


def test_two_recordings_in_one_file_are_refused(write: Write) -> None:
    """If the clock starts again even once, the file is refused."""
    later = [switch(500_000 + 10 * at, "a:5", "R", "a:5") for at in range(60)]
    with pytest.raises(Fault, match="do not rise"):
        read_trace(write(*later, *PAIR))


def test_times_since_the_first_line_and_microseconds_are_read(write: Write) -> None:
    """`--reltime` and six digits mean the same as nanoseconds of the clock."""
    relative = [re.sub(r" 1\.(\d{6})\d{3}:", r" 0.\1:", each) for each in PAIR]
    assert read(write(*relative)).events == read(write(*PAIR)).events


def test_a_recording_without_wakeups_says_what_is_missing(write: Write) -> None:
    """Runs and sleeps are simulated, and a note says what counts as a wait."""
    trace = read(write(*(each for each in PAIR if "waking" not in each)))
    assert any("did not record wakeups" in note for note in trace.notes)
    assert all(each.how is How.UNKNOWN for each in trace.events if isinstance(each, TracedWake))


def test_a_recording_without_switches_is_refused(write: Write) -> None:
    """Wakeups alone do not show when a task ran."""
    with pytest.raises(Fault, match="sched_switch"):
        read_trace(write(*(each for each in PAIR if "waking" in each)))


def test_lines_without_a_command_or_with_a_process_are_read(write: Write) -> None:
    """The number of a waker is enough; its name comes from the events."""
    usual = read(write(*PAIR))
    for pattern in (r"\3 [", r"\3/\3 [", r"  \1 \3/\3 ["):
        other = read(write(*(re.sub(r"^(\s*)(\S+) (\d+) \[", pattern, each) for each in PAIR)))
        assert other.events == usual.events


def test_call_chains_and_other_events_are_passed_over(write: Write) -> None:
    """Other records change nothing; lost events are counted."""
    more = [
        *PAIR[:2],
        "\tffffffff8107b2a1 schedule+0x2d ([kernel.kallsyms])",
        "\t    55d0c0ffee00 main+0x10 (/usr/bin/a b)",
        line(110, "cycles", "ffffffff8107b2a1 schedule"),
        line(120, "", "").replace(": : ", ": PERF_RECORD_LOST lost 42"),
        line(121, "", "").replace(": : ", ": PERF_RECORD_COMM exec: b:6/6"),
        *PAIR[2:],
    ]
    trace = read(write(*more))
    assert trace.events == read(write(*PAIR)).events
    assert trace.lost == 42


def test_switches_that_do_not_fit_show_that_events_are_missing(write: Write) -> None:
    """If a CPU leaves another task than the one it switched to, the events between are lost."""
    assert not any("do not follow" in note for note in read(write(*PAIR)).notes)
    torn = read(write(*PAIR[:3], *PAIR[4:]))
    assert any("1 switches do not follow" in note for note in torn.notes)


def test_a_first_wakeup_is_a_birth_where_forks_were_not_recorded(write: Write) -> None:
    """Then a thread begins when its maker first wakes it, not with the recording."""
    text = "comm=child pid=8 prio=120 target_cpu=000"
    trace = read(
        write(
            PAIR[0],
            line(40, "sched:sched_wakeup_new", text, comm="a", tid=5),
            switch(100, "a:5", "S", "child:8"),
            switch(150, "child:8", "X", "swapper/0:0"),
        )
    )
    made = trace.events[0]
    assert isinstance(made, TracedFork)
    assert (trace.tasks[made.task].comm, made.offset_ns) == ("child", 40_000)
