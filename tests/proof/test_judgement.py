# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings, scores and gains that depend only on figures."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.explain import explain, explain_message
from simulator.run import Ejection, Ended, GroupFigures, ObservedWait, SimulationFigures
from simulator.scenario import MS, Leave, Repeat, Run, S, Scenario, SimulatedMachine, Sleep, Task
from simulator.stress import wait_bound_ns
from simulator.stress_verdict import Finding, ScenarioOutcome, StressVerdict, gains, judge, score_of

SCENARIO = Scenario(
    "two",
    (
        Task("busy", (Run(5 * MS), Repeat()), count=4),
        Task("waking", (Sleep(MS), Run(MS), Repeat()), count=2),
    ),
    SimulatedMachine(2),
    duration_ns=10 * S,
)
BOUND = wait_bound_ns(SCENARIO, "busy")
SOURCE = """\
#include <scx/common.bpf.h>
void BPF_STRUCT_OPS(one_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, 7, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(one_dispatch, s32 cpu, struct task_struct *prev)
{
}
"""


def group(name: str, **changed: object) -> GroupFigures:
    usual = GroupFigures(
        name=name, tasks=2, finished=0, cycles=100, run_ns=8 * S, wakeups=100, delay_p50_ns=MS,
        delay_p99_ns=4 * MS, delay_max_ns=5 * MS, longest_wait_ns=20 * MS, switches=500,
        migrations=10, makespan_ns=None, mean_completion_ns=None, fairness=0.9,
    )  # fmt: skip
    return usual.model_copy(update=changed)


def figures(*groups: GroupFigures, **changed: object) -> SimulationFigures:
    usual = SimulationFigures(
        scheduler="one", seed=1, cpus=2, time_ns=10 * S, run_ns=20 * S, idle_ns=0, switches=1000,
        events=5000, ringbuf_bytes=0, ejection=None,
        groups=groups or (group("busy"), group("waking")),
    )  # fmt: skip
    return usual.model_copy(update=changed)


def judged(**changed: object) -> tuple[Finding, ...]:
    return judge(ScenarioOutcome(SCENARIO, figures(**changed), figures()), SOURCE, "one.bpf.c")


def test_usual_figures_leave_nothing_to_say() -> None:
    """A scheduler with the default's figures has no finding."""
    assert judged() == ()


def test_who_waits_longer_than_the_bound_is_starved() -> None:
    """The finding says who starves, for how long, who went first, and what to change."""
    seen = ObservedWait(
        task="busy[1]", ns=BOUND + 1, ended=True, place="created", queue=7, passed=9
    )
    long = (group("busy", longest_wait_ns=BOUND + 1, wait=seen), group("waking"))
    (found,) = judged(groups=long)
    assert found.severity == "error"
    assert "'busy' waited" in found.message
    assert "starvation: busy[1] waited, and 9 others went before it from the queue 7" in found.cause
    assert "turn" in found.fix
    assert (found.file, found.line) == ("one.bpf.c", 2)
    at_the_bound = (group("busy", longest_wait_ns=BOUND), group("waking"))
    assert judged(groups=at_the_bound) == ()


def test_who_stands_where_nobody_looks_is_lost() -> None:
    """Groups with the same remedy become one finding, and idle CPUs beside them none."""
    seen = ObservedWait(task="waking[3]", ns=10 * S, ended=False, place="created", queue=7,
                fate="left", allowed=(0, 1), asked=(0, 1), idle=(0, 1))  # fmt: skip
    never = (
        group("busy", longest_wait_ns=9 * S, wait=seen),
        group("waking", longest_wait_ns=10 * S, run_ns=0, wait=seen),
    )
    (found,) = judged(groups=never, run_ns=0)
    assert "'waking' waited 10 s for a CPU and never ran" in found.message
    assert "(so did others: 'busy')" in found.message
    assert found.cause.startswith("the task is lost: waking[3] is in the queue 7")
    assert (found.file, found.line) == ("one.bpf.c", 7)


def test_cpus_that_idle_beside_work_are_told_of() -> None:
    """A little is a warning, because some schedulers keep a CPU for themselves; half is too
    much."""
    (some,) = judged(run_ns=15 * S, idle_ns=5 * S)
    (much,) = judged(run_ns=8 * S, idle_ns=12 * S)
    assert (some.severity, much.severity) == ("warning", "error")
    assert "0.80 of 2 CPUs were busy" in much.message
    assert "SCX_KICK_IDLE" in much.fix


def test_tasks_that_may_not_begin_are_told_of() -> None:
    """If CPUs idle because init_task refuses tasks, the finding does not ask for a kick."""
    (found,) = judged(run_ns=8 * S, idle_ns=12 * S, forks_refused=30)
    assert found.severity == "error"
    assert found.message.startswith("30 tasks could not be started")


def test_interrupts_without_end_are_told_of() -> None:
    """Many times the default's number of events is a storm of kicks."""
    (found,) = judged(events=5_000_000)
    assert found.severity == "error"
    assert "kicked without end" in found.cause
    assert judged(events=20_000) == ()


RANKS = Scenario(
    "ranks",
    (
        Task("heavy", (Run(5 * MS), Repeat()), count=2, nice=-5),
        Task("usual", (Run(5 * MS), Repeat()), count=2),
        Task("nearly", (Run(5 * MS), Repeat()), count=2, nice=1),
    ),
    SimulatedMachine(2),
    duration_ns=10 * S,
)


@pytest.mark.parametrize(
    ("heavy", "usual", "nearly", "inverted"),
    [
        (12, 6, 2, False),
        (7, 7, 6, False),
        (5, 9, 6, False),
        (2, 12, 6, True),
        (9, 2, 9, False),
    ],
)
def test_who_is_heavier_may_not_get_less(
    heavy: int, usual: int, nearly: int, inverted: bool
) -> None:
    """Shares in the wrong order are an error; equal shares, or those of similar weights, are
    none."""
    seen = figures(
        group("heavy", run_ns=heavy * S),
        group("usual", run_ns=usual * S),
        group("nearly", run_ns=nearly * S),
    )
    found = judge(ScenarioOutcome(RANKS, seen, seen), SOURCE, "one.bpf.c")
    assert [each.severity for each in found] == ["error"] * inverted
    assert all("nice is inverted" in each.cause for each in found)


def test_tasks_that_exit_and_are_looked_for_by_pid_are_lost_by_that() -> None:
    """The engine's observation gives the cause; without it, this is an ordinary lost task."""
    steps = (Run(5 * MS), Leave(), Run(MS))
    scenario = replace(SCENARIO, tasks=(*SCENARIO.tasks, Task("leavers", steps)))
    late = group("leavers", run_ns=S, longest_wait_ns=9 * S)
    for seen in (3, 0):
        outcome = ScenarioOutcome(
            scenario,
            figures(group("busy"), group("waking"), late, exiting_not_found=seen),
            figures(group("busy"), group("waking"), group("leavers")),
        )
        found = judge(outcome, SOURCE, "one.bpf.c")
        assert ("SCX_OPS_ENQ_EXITING" in found[0].cause) == (seen > 0)


@pytest.mark.parametrize(
    ("name", "kind", "at_ns", "severity"),
    [
        ("spread@72", Ended.ERROR_BY_ITSELF, 0, "warning"),
        ("spread@72", Ended.ERROR_BY_ITSELF, S, "error"),
        ("spread@72", Ended.ERROR, 0, "error"),
        ("spread", Ended.ERROR_BY_ITSELF, 0, "error"),
        ("quiet@72", Ended.ERROR_BY_ITSELF, 0, "error"),
    ],
)
def test_a_scheduler_may_decline_a_size_that_nobody_asked_for(
    name: str, kind: Ended, at_ns: int, severity: str
) -> None:
    """If it says at its start that it does not support this number of CPUs, that is reported and no
    failure."""
    ejection = Ejection(kind=kind, code=0, at_ns=at_ns, message="too many CPUs")
    outcome = ScenarioOutcome(replace(SCENARIO, name=name), figures(ejection=ejection), figures())
    assert [each.severity for each in judge(outcome)] == [severity]


def test_late_wakeups_are_a_warning() -> None:
    """A tail that is much longer than the default's is reported and stops nobody."""
    (found,) = judged(groups=(group("busy"), group("waking", delay_p99_ns=400 * MS)))
    assert found.severity == "warning"
    assert "takes 400 ms from its wakeup" in found.message


@pytest.mark.parametrize(
    ("kind", "message", "cause", "line"),
    [
        (Ended.ERROR, "sp-x[1000] already direct-dispatched", "inserted twice", 4),
        (Ended.ERROR, "invalid DSQ ID 0x0000000000000007", "scx_bpf_create_dsq()", 4),
        (Ended.ERROR, "invalid CPU -16 from ops.select_cpu()", "select_cpu returns", None),
        (Ended.ERROR, "ops.init() failed (-17)", "-EEXIST", None),
        (Ended.ERROR, "dispatch buffer overflow", ".dispatch_max_batch", 7),
        (Ended.ERROR_BY_ITSELF, "one.bpf.c:23: no such level", "scx_bpf_error()", 23),
        (Ended.STALL, "sp-x[1000] failed to run for 5.0s", "got no CPU", 7),
        (Ended.CRASHED, "division by zero in ops.enqueue()", "a divisor is 0", 2),
        (Ended.CRASHED, "division by zero in ops.x() at one.bpf.c:4", "a divisor is 0", 4),
        (Ended.CRASHED, "ops.dispatch() does not end", "a loop goes on", 7),
        (Ended.NOT_MODELLED, "not modelled: bpf_new()", "the simulator lacks", None),
        (Ended.ERROR, "words of a kernel to come", "the kernel's own checks", None),
    ],
)
def test_an_ejection_is_mapped_to_cause_fix_and_place(
    kind: Ended, message: str, cause: str, line: int | None
) -> None:
    """The kernel's message comes with its meaning, what to change, and where to look."""
    (found,) = judged(ejection=Ejection(kind=kind, code=0, at_ns=5 * MS, message=message))
    assert found.severity == "error"
    assert found.message.startswith(message.removeprefix("one.bpf.c:23: "))
    assert cause in found.cause
    assert found.fix
    assert (found.file, found.line) == ("one.bpf.c", line)


def test_a_restart_on_hotplug_is_a_warning() -> None:
    """Userspace restarts a scheduler without callbacks for hotplug, and that is allowed."""
    words = "cpu 3 going offline, exiting scheduler"
    gone = Ejection(kind=Ended.BY_KERNEL, code=1 << 48 | 1 << 32, at_ns=MS, message=words)
    (found,) = judged(ejection=gone)
    assert found.severity == "warning"
    assert ".cpu_online" in found.fix


def test_a_real_kernels_message_is_explained_as_well() -> None:
    """The same table explains a kernel's message, and invents nothing for an unknown one."""
    known = explain_message("stress-ng[412] failed to run for 5.1s")
    assert known is not None
    assert known.fix
    assert explain_message("nothing of the kind") is None
    assert explain(Ejection(kind=Ended.ERROR, code=0, at_ns=0, message="?")).fix


def test_remedies_fit_the_queue_and_the_memory() -> None:
    """The remedy never creates the kernel's own queue, and asks for a smaller table if memory is
    short."""
    own = explain_message("invalid DSQ ID 0x8000000000000001")
    other = explain_message("invalid DSQ ID 0x000000000000004d")
    assert own
    assert other
    assert "create" not in own.fix
    assert "leave the call out" in own.fix
    assert "create each queue" in other.fix
    large = explain_message("out of memory")
    assert large
    assert "max_entries" in large.fix


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.data(),
)
def test_a_score_never_rises_when_more_fails(waits: list[float], data: st.DataObject) -> None:
    """One more failed scenario, in whatever way, lowers the score or leaves it unchanged."""

    def outcome(wait: float) -> ScenarioOutcome:
        slow = group("busy", longest_wait_ns=int(wait * BOUND))
        return ScenarioOutcome(SCENARIO, figures(slow, group("waking")), figures())

    outcomes = [outcome(each) for each in waits]
    before = score_of(outcomes, len(outcomes))
    assert 0 < before <= 1
    at = data.draw(st.integers(0, len(outcomes) - 1))
    ended = Ejection(kind=Ended.STALL, code=0, at_ns=1, message="x[1] failed to run for 5s")
    worse: dict[str, object] = data.draw(
        st.sampled_from(
            [
                {"ejection": ended},
                # It ended early, with figures that look good: few events, short waits.
                {"ejection": ended, "time_ns": 1, "run_ns": 2, "events": 1},
                {"groups": (group("busy", longest_wait_ns=BOUND + 1), group("waking"))},
                {"run_ns": S},
                {"events": 50_000_000},
            ]
        )
    )
    fails = replace(outcomes[at], figures=outcomes[at].figures.model_copy(update=worse))
    after = score_of([*outcomes[:at], fails, *outcomes[at + 1 :]], len(outcomes))
    assert after < before
    # A scenario that never ran counts as failed.
    assert score_of([*outcomes[:at], fails], len(outcomes)) <= after


@given(st.integers(0, BOUND), st.integers(0, 2 * BOUND))
def test_waiting_longer_never_scores_better(wait: int, more: int) -> None:
    """If only the longest wait differs, the scheduler with the longer one scores no better."""

    def score(longest: int) -> float:
        slow = (group("busy", longest_wait_ns=longest), group("waking"))
        return score_of([ScenarioOutcome(SCENARIO, figures(*slow), figures())], 1)

    assert score(wait + more) <= score(wait)


def test_gains_are_positive_where_it_is_better() -> None:
    """Half the delay and twice the work are gains; a longer makespan is a loss."""
    ours = figures(group("busy", delay_p99_ns=2 * MS, cycles=200, makespan_ns=3 * S))
    theirs = figures(group("busy", delay_p99_ns=4 * MS, cycles=100, makespan_ns=2 * S))
    found = gains(ours, theirs)
    assert found["gain_delay_p99_percent"] == 50
    assert found["gain_throughput_percent"] == 100
    assert found["gain_makespan_percent"] == -50
    assert found["gain_makespan_percent[busy]"] == -50
    assert found["gain_fairness_percent"] == 0


def test_what_did_not_finish_has_no_gain() -> None:
    """A makespan that was never reached is not compared with one that was."""
    ours = figures(group("busy", makespan_ns=None))
    theirs = figures(group("busy", makespan_ns=2 * S))
    assert not [name for name in gains(ours, theirs) if "makespan" in name]


def test_a_proof_with_an_error_has_not_passed() -> None:
    """Warnings stop nobody; one error does."""
    warning = Finding("two", "warning", "", "", "")
    assert StressVerdict((warning,), {}).passed
    assert not StressVerdict((warning, replace(warning, severity="error")), {}).passed
