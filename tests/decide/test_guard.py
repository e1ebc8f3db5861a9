# SPDX-License-Identifier: GPL-2.0-or-later
from collections.abc import Iterable
from dataclasses import replace

import pytest

from daemon.api.models import Arm
from daemon.decide import detect, guard
from daemon.decide.detect import DetectState
from daemon.decide.guard import GuardCause, GuardDecision, GuardState, Kept, KeptTerm
from daemon.decide.objective import Measurement, parse_guard, parse_objective
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.settings import DetectSettings, GuardSettings, TrialSettings
from tests.decide.synthetic import (
    BATCH,
    SERVICE,
    START,
    interval,
    recording,
    seeded,
    serving,
    window,
    workload,
)

SETTINGS, TRIAL, DETECT = GuardSettings(), TrialSettings(), DetectSettings()


def kept(text: str = "latency p99", value: float = 2000, default: float = 10_000) -> Kept:
    """A kept scheduler: 2 ms instead of the default's 10 ms."""
    return Kept("c-1", SERVICE, parse_objective(text), START, value, default, 50_000)


def run(
    what: Kept,
    observations: Iterable[Observation],
    state: DetectState | None = None,
    measured: float | None = None,
) -> tuple[int, GuardDecision] | None:
    """The number of the interval of the first decision, and the decision."""
    memory = GuardState()
    for number, each in enumerate(observations):
        numbers = [] if measured is None else [Measurement(each.at, "rps", measured)]
        memory, decision = guard.step(
            memory, what, each, state or DetectState(), SETTINGS, TRIAL, DETECT, numbers
        )
        if decision:
            return number, decision
    return None


def test_what_is_as_good_as_when_kept_stays() -> None:
    """An hour of ordinary noise is no reason to roll back."""
    assert run(kept(), recording([2000.0] * 720, noise=0.3)) is None


def test_worse_than_the_default_is_rolled_back() -> None:
    """If it is lastingly worse than when it was kept, and than the default was, it is rolled
    back."""
    found = run(kept(), recording([2000.0] * 20 + [15_000.0] * 10))
    assert found is not None
    number, decision = found
    assert number == 23
    assert decision.cause is GuardCause.REGRESSION
    assert decision.workload == SERVICE
    assert "when kept it was 2 ms, and under the default 10 ms" in decision.reason


def test_what_the_host_took_is_no_reason_to_roll_back() -> None:
    """Intervals with more steal time than usual say nothing about the scheduler."""
    bad = [replace(each, stolen=0.3) for each in recording([15_000.0] * 30)]
    assert run(kept(), [*recording([2000.0] * 20), *bad]) is None


def test_worse_than_when_kept_but_better_than_the_default_stays() -> None:
    """A heavier load does not count against the scheduler."""
    assert run(kept(), recording([2000.0] * 20 + [6000.0] * 60)) is None


def test_a_spike_does_not_roll_back() -> None:
    """Two terrible intervals pass."""
    assert run(kept(), recording([2000.0] * 20 + [100_000.0] * 2 + [2000.0] * 20)) is None


def test_an_objective_that_was_met_and_breaks_is_rolled_back() -> None:
    """The declared limit held before, and no longer does."""
    found = run(kept("latency p99 < 5ms"), recording([2000.0] * 20 + [7000.0] * 10))
    assert found is not None
    assert found[1].cause is GuardCause.OBJECTIVE
    assert "`latency p99 < 5ms` was met and is broken" in found[1].reason


def test_an_objective_that_was_never_met_is_no_reason() -> None:
    """Better than the default is still better, even above the limit."""
    assert run(kept("latency p99 < 1ms"), recording([2000.0] * 60)) is None


def test_a_measured_objective_is_guarded_too() -> None:
    """Lastingly fewer requests than when it was kept, and than under the default, lead to a
    rollback."""
    what = kept("measurement rps higher", value=100, default=60)
    assert run(what, recording([2000.0] * 20), measured=80) is None
    found = run(what, recording([2000.0] * 20), measured=50)
    assert found is not None
    assert found[1].cause is GuardCause.REGRESSION


def learnt(p99_us: float, name: str) -> DetectState:
    """Detection that knows another workload under the default."""
    dice, state = seeded(1), DetectState()
    for number in range(30):
        state, _ = detect.step(state, interval(number, workload(dice, name, p99_us)), DETECT)
    return state


def crowd(p99_us: float, involuntary_per_s: float) -> list[Observation]:
    dice = seeded(2)
    return [
        interval(
            number,
            workload(dice, p99_us=2000),
            workload(dice, BATCH, p99_us, wakeups_per_s=10, involuntary_per_s=involuntary_per_s),
        )
        for number in range(20)
    ]


def test_harm_to_another_workload_is_rolled_back() -> None:
    """A bystander that sleeps and waits many times longer than under the default is harmed."""
    found = run(kept(), crowd(300_000, involuntary_per_s=1), learnt(3000, BATCH))
    assert found is not None
    assert (found[1].cause, found[1].workload) == (GuardCause.BYSTANDER, BATCH)


def test_a_bystander_with_a_guard_of_its_own_is_judged_by_that() -> None:
    """A workload whose guard tolerates any wait causes no rollback by a long wait while it makes
    progress."""
    own = KeptTerm(BATCH, parse_guard(BATCH, "cpu not worse than 75%").term, 100.0, 100.0)
    guarded = replace(kept(), besides=(own,))
    found = run(guarded, crowd(300_000, involuntary_per_s=1), learnt(3000, BATCH))
    assert found is None or found[1].cause is not GuardCause.BYSTANDER


def test_a_bystander_that_always_waited_long_is_not_harmed() -> None:
    """Long waits that are not many times longer than under the default are no harm."""
    assert run(kept(), crowd(300_000, involuntary_per_s=1), learnt(100_000, BATCH)) is None


def test_a_batch_job_that_waits_longer_is_not_harmed() -> None:
    """Long waits for the next slice cost a batch job nothing."""
    assert run(kept(), crowd(300_000, involuntary_per_s=500), learnt(3000, BATCH)) is None


def test_starvation_is_rolled_back() -> None:
    """Tasks that wait over a second are harm if none did under the default."""
    dice = seeded(3)
    seen = [
        interval(n, workload(dice, p99_us=2000), workload(dice, BATCH, longest_us=2e6))
        for n in range(10)
    ]
    found = run(kept(), seen)
    assert found is not None
    number, decision = found
    assert number == 1
    assert (decision.cause, decision.workload) == (GuardCause.STARVATION, BATCH)


def test_what_was_kept_comes_from_the_windows() -> None:
    """Medians of each arm, and the longest wait under the default."""
    windows = [
        window(Arm.BASELINE, 10_000, guarded={"delay_max_us": 40_000.0}),
        window(Arm.CANDIDATE, 2000, guarded={"delay_max_us": 90_000.0}),
        window(Arm.CANDIDATE, 3000),
        window(Arm.BASELINE, 12_000, guarded={"delay_max_us": 60_000.0}),
        window(Arm.CANDIDATE, 1e9, excluded="few samples"),
    ]
    found = guard.kept_of("c-1", SERVICE, parse_objective("latency p99"), START, windows)
    assert found.kept_value == pytest.approx(2500)
    assert found.default_value == pytest.approx(11_000)
    assert found.default_delay_max_us == 60_000


def beside(ended: int, delay_us: float) -> list[Observation]:
    """The service as it was kept, and a guarded backup that does this much and waits this long for
    a CPU."""
    dice = seeded(2)
    return [
        interval(
            number,
            serving(dice, response_us=2000, ended=500),
            serving(dice, BATCH, response_us=50_000, ended=ended, delay_p99_us=delay_us),
        )
        for number in range(20)
    ]


def guarded_kept() -> Kept:
    guard_of = parse_guard(BATCH, "completions not worse than 20%")
    windows = [
        window(arm, 2000 if arm is Arm.CANDIDATE else 9000, figures={guard_of.key: 20.0})
        for arm in (Arm.BASELINE, Arm.CANDIDATE, Arm.CANDIDATE, Arm.BASELINE)
    ]
    return guard.kept_of(
        "c-1", SERVICE, parse_objective("response p99"), START, windows, [guard_of]
    )


def test_a_guarded_workload_that_is_kept_from_its_work_rolls_back() -> None:
    """If it lastingly has a tenth of its completions and waits for a CPU, it is harmed and
    named."""
    found = run(guarded_kept(), beside(10, delay_us=400_000))
    assert found is not None
    assert (found[1].cause, found[1].workload) == (GuardCause.GUARD, BATCH)
    assert "completions not worse than 20%" in found[1].reason


def test_a_guarded_workload_that_has_less_to_do_is_no_reason() -> None:
    """As few completions without a wait are no harm: nobody asked for more."""
    assert run(guarded_kept(), beside(10, delay_us=100)) is None
    assert run(guarded_kept(), beside(98, delay_us=400_000)) is None


def test_a_guarded_event_loop_that_is_always_busy_wants_what_it_gets() -> None:
    """It waits for nothing and is open with a short turn only, but it never sleeps: that it handles
    a tenth of its events is no lack of work."""

    def loop(each: WorkloadObservation, run_share: float) -> WorkloadObservation:
        turn = ((1_024.0, 1),)
        return replace(each, burst_count=0, burst_mean_us=0, open_hist=turn, run_share=run_share)

    for run_share, wants in ((0.98, True), (0.3, False)):
        seen = [
            replace(
                each, workloads={**each.workloads, BATCH: loop(each.workloads[BATCH], run_share)}
            )
            for each in beside(10, delay_us=100)
        ]
        assert (run(guarded_kept(), seen) is not None) == wants


def test_another_that_answers_many_times_later_is_harmed() -> None:
    """Its response time decides, if it was known under the default."""
    dice, state = seeded(1), DetectState()

    def other(us: float) -> WorkloadObservation:
        each = serving(dice, BATCH, response_us=us, ended=300)
        return replace(each, involuntary_per_s=1.0)

    for number in range(30):
        state, _ = detect.step(state, interval(number, other(3000)), DETECT)
    seen = [interval(n, workload(dice, p99_us=2000), other(300_000)) for n in range(20)]
    found = run(kept(), seen, state)
    assert found is not None
    assert (found[1].cause, found[1].workload) == (GuardCause.BYSTANDER, BATCH)
    assert "response p99" in found[1].reason


def test_a_guarded_workload_that_is_never_let_run_rolls_back() -> None:
    """It waits all the time, so no wait ends."""
    dice = seeded(2)
    never = WorkloadObservation(id=BATCH, open_hist=((60e6, 4),))
    seen = [
        interval(number, serving(dice, response_us=2000, ended=500), never) for number in range(20)
    ]
    found = run(guarded_kept(), seen)
    assert found is not None
    assert (found[1].cause, found[1].workload) == (GuardCause.GUARD, BATCH)
