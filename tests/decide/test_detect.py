# SPDX-License-Identifier: GPL-2.0-or-later
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from daemon.api.models import Degradation
from daemon.decide import detect
from daemon.decide.detect import DetectState, Recovery
from daemon.decide.objective import Declared, Measurement, parse_objective
from daemon.decide.observation import Observation
from daemon.decide.settings import DetectSettings
from tests.decide.synthetic import (
    BATCH,
    SERVICE,
    interval,
    recording,
    seeded,
    serving,
    workload,
)

SETTINGS = DetectSettings()
QUIET = [1000.0] * 40


def run(
    observations: Iterable[Observation],
    settings: DetectSettings = SETTINGS,
    state: DetectState | None = None,
    regime: str = "",
    declared: Sequence[Declared] = (),
    ignored: tuple[str, ...] = (),
) -> tuple[DetectState, list[tuple[float, Degradation | Recovery]]]:
    """The state at the end, and all changes with the time of their interval."""
    state = state or DetectState()
    told: list[tuple[float, Degradation | Recovery]] = []
    for each in observations:
        state, happened = detect.step(
            state, each, settings, regime=regime, declared=declared, ignored=ignored
        )
        told += [(each.at, what) for what in happened]
    return state, told


@pytest.mark.parametrize("seed", range(10))
def test_quiet_stays_quiet(seed: int) -> None:
    """An hour of ordinary noise is no degradation."""
    _, told = run(recording([1000.0] * 720, seed, noise=0.1, count=100))
    assert told == []


@pytest.mark.parametrize("seed", range(10))
def test_noisy_is_known_as_noisy(seed: int) -> None:
    """A workload whose p99 always swings by factors is not degraded when it does so again."""
    _, told = run(recording([5000.0] * 400, seed, noise=0.8, count=100))
    assert told == []


def test_a_step_is_told_once_with_its_figures() -> None:
    """A lasting delay of ten times the usual gives one event that says since when, how much and
    why."""
    seen = recording(QUIET + [10_000.0] * 20)
    state, told = run(seen)
    [(at, what)] = told
    assert isinstance(what, Degradation)
    assert what.workload == SERVICE
    assert what.since == seen[40].began
    assert at == seen[42].at
    assert what.ratio == pytest.approx(10, rel=0.3)
    assert what.baseline == pytest.approx(1000, rel=0.2)
    assert what.value == pytest.approx(10_000, rel=0.2)
    assert "times the usual" in what.reason
    assert [each.workload for each in state.degraded()] == [SERVICE]


def test_the_end_of_it_is_told_as_well() -> None:
    """After enough calm intervals in a row it is over, and the state is empty again."""
    seen = recording(QUIET + [10_000.0] * 10 + [1000.0] * 10)
    state, told = run(seen)
    begin, end = told
    assert isinstance(end[1], Recovery)
    assert isinstance(begin[1], Degradation)
    assert end[1].since == begin[1].since
    assert end[0] == seen[50 + SETTINGS.calm_intervals - 1].at
    assert state.degraded() == []


def test_a_ramp_is_noticed_before_it_becomes_normal() -> None:
    """A delay that grows tenfold within five minutes is reported."""
    ramp = [1000.0 * math.exp(step / 60 * math.log(10)) for step in range(60)]
    _, told = run(recording([*QUIET, *ramp]))
    assert [type(what) for _, what in told] == [Degradation]


@pytest.mark.parametrize("length", [1, 2])
def test_a_spike_is_not_a_degradation(length: int) -> None:
    """One or two terrible intervals pass without an event."""
    _, told = run(recording(QUIET + [500_000.0] * length + QUIET))
    assert told == []


def test_flapping_makes_no_flapping_events() -> None:
    """A workload that is bad in every other interval is degraded once, not on and off."""
    _, told = run(recording(QUIET + [10_000.0, 1000.0] * 30))
    assert len(told) == 1


def test_on_the_line_nothing_flaps() -> None:
    """Around the threshold, at most one event begins and none ends."""
    _, told = run(recording(QUIET + [2000.0, 3300.0] * 40, noise=0.15))
    assert sum(isinstance(what, Recovery) for _, what in told) == 0
    assert len(told) <= 1


def test_small_in_microseconds_is_not_worth_an_event() -> None:
    """Ten times almost nothing is no degradation."""
    _, told = run(recording([50.0] * 40 + [500.0] * 40))
    assert told == []


def test_few_samples_say_nothing() -> None:
    """Intervals with too few delays neither teach a baseline nor raise an event."""
    state, told = run(recording(QUIET + [100_000.0] * 20, count=10))
    assert told == []
    baseline = state.baseline(SERVICE)
    assert baseline is None or baseline.count == 0


def test_a_batch_job_is_not_degraded_by_long_slices() -> None:
    """A workload that is mostly preempted waits longer between slices, and loses nothing."""
    dice = seeded(1)
    seen = [
        interval(
            n,
            workload(
                dice, BATCH, 5000 if n < 40 else 80_000, wakeups_per_s=5, involuntary_per_s=400
            ),
        )
        for n in range(60)
    ]
    state, told = run(seen)
    assert told == []
    assert state.baseline(BATCH) is None


def test_a_service_that_is_pushed_aside_remains_a_service() -> None:
    """A workload that a neighbour preempts more often than it sleeps is still judged."""
    dice = seeded(1)
    seen = [
        interval(
            n,
            workload(
                dice, p99_us=1000 if n < 40 else 20_000, involuntary_per_s=1 if n < 40 else 400
            ),
        )
        for n in range(60)
    ]
    _, told = run(seen)
    assert [type(what) for _, what in told] == [Degradation]


def test_a_new_workload_is_learnt_first() -> None:
    """A workload that is slow from its first interval on has no better past for a comparison."""
    _, told = run(recording([50_000.0] * 60))
    assert told == []


def test_a_degraded_time_does_not_become_the_baseline() -> None:
    """Twenty minutes of degradation do not change the baseline."""
    state, _ = run(recording(QUIET + [10_000.0] * 240))
    baseline = state.baseline(SERVICE)
    assert baseline is not None
    assert baseline.typical < 1500


def test_what_lasts_long_enough_is_the_new_normal() -> None:
    """A degradation is accepted after the configured time, and the new level is then quiet."""
    settings = DetectSettings(accept_after_s=300)
    _, told = run(recording(QUIET + [10_000.0] * 300), settings)
    assert [type(what) for _, what in told] == [Degradation, Recovery]
    assert isinstance(told[1][1], Recovery)
    assert "new normal" in told[1][1].reason


def test_skipped_intervals_neither_teach_nor_accuse() -> None:
    """Intervals during a trial or right after a change do not count."""
    seen = recording(QUIET + [500_000.0] * 50 + QUIET)
    state, _ = run(seen[:40])
    for each in seen[40:90]:
        state = detect.skip(state, each)
    state, told = run(seen[90:], state=state)
    assert told == []
    baseline = state.baseline(SERVICE)
    assert baseline is not None
    assert baseline.typical < 1500


def test_a_streak_does_not_run_across_a_gap() -> None:
    """Two bad intervals before skipped ones and one after are not three in a row."""
    seen = recording(QUIET + [50_000.0] * 3 + QUIET)
    state, _ = run(seen[:42])
    state = detect.skip(state, seen[42])
    _, told = run(seen[42:], state=state)
    assert told == []


def test_a_kept_scheduler_has_a_baseline_of_its_own() -> None:
    """A kept scheduler's improvement becomes the expectation, and the default's past is not
    lost."""
    seen = recording([8000.0] * 40 + [1000.0] * 40 + [5000.0] * 10 + [8000.0] * 20)
    state, told = run(seen[:40])
    state, more = run(seen[40:80], state=state, regime="c-1234")
    assert told + more == []
    state, told = run(seen[80:90], state=state, regime="c-1234")
    assert [type(what) for _, what in told] == [Degradation]
    default, kept = state.baseline(SERVICE), state.baseline(SERVICE, "c-1234")
    assert default is not None
    assert kept is not None
    assert default.typical == pytest.approx(8000, rel=0.2)
    assert kept.typical == pytest.approx(1000, rel=0.2)
    # Back to the default: 8 ms is what it is like, so the degradation ends.
    state, told = run(seen[90:], state=state)
    assert [type(what) for _, what in told] == [Recovery]
    assert state.baseline(SERVICE, "c-1234") is None


def test_a_broken_objective_is_told_without_any_baseline() -> None:
    """A declared limit counts from the first intervals on."""
    declared = [Declared(SERVICE, parse_objective("latency p99 < 5ms"))]
    seen = recording([20_000.0] * 10 + [1000.0] * 10)
    state, told = run(seen, declared=declared)
    begin, end = (what for _, what in told)
    assert isinstance(begin, Degradation)
    assert begin.objective == "latency p99 < 5ms"
    assert begin.since == seen[0].began
    assert begin.baseline == 5000
    assert isinstance(end, Recovery)
    assert end.objective == begin.objective
    assert state.degraded() == []


def test_a_glob_objective_is_judged_for_each_workload() -> None:
    """Each workload that matches has its own verdict."""
    dice = seeded(1)
    declared = [Declared("cgroup:/system.slice/*", parse_objective("latency p99 < 5ms"))]
    seen = [
        interval(n, workload(dice, p99_us=1000), workload(dice, BATCH, p99_us=50_000))
        for n in range(10)
    ]
    _, told = run(seen, declared=declared)
    assert [what.workload for _, what in told] == [BATCH]


def test_a_measured_objective_is_judged_by_what_was_posted() -> None:
    """A measurement beyond its limit in lasting intervals is a broken objective."""
    declared = [Declared(SERVICE, parse_objective("measurement rps higher > 100"))]
    state = DetectState()
    told: list[Degradation | Recovery] = []
    for each in recording([1000.0] * 20):
        numbers = [Measurement(each.at, "rps", 80.0)]
        state, happened = detect.step(
            state, each, SETTINGS, declared=declared, measurements=numbers
        )
        told += happened
    [what] = told
    assert isinstance(what, Degradation)
    assert what.signal == "measurement rps"
    assert what.value == 80


def test_a_promise_is_not_judged_by_a_handful_of_delays() -> None:
    """Fewer than ten delays in an interval have no percentile worth the name."""
    declared = [Declared(SERVICE, parse_objective("latency p99 < 5ms"))]
    _, told = run(recording([20_000.0] * 10, count=9), declared=declared)
    assert told == []
    _, told = run(recording([20_000.0] * 10, count=20), declared=declared)
    assert len(told) == 1


def test_an_objective_without_limit_cannot_break() -> None:
    """It only says what trials compare."""
    declared = [Declared(SERVICE, parse_objective("latency p99"))]
    _, told = run(recording([50_000.0] * 20), declared=declared)
    assert told == []


def test_ignored_workloads_are_not_judged() -> None:
    """A glob excludes a workload from judging, and other workloads are judged as before."""
    _, told = run(recording(QUIET + [10_000.0] * 20), ignored=("cgroup:/system.slice/*",))
    assert told == []
    _, told = run(recording(QUIET + [10_000.0] * 20), ignored=("comm:*",))
    assert len(told) == 1


def test_a_degraded_workload_that_ends_is_no_longer_degraded() -> None:
    """When the workload is gone, the event ends and says so."""
    dice = seeded(1)
    seen = recording(QUIET + [10_000.0] * 10)
    gone = [interval(n, workload(dice, BATCH)) for n in range(50, 70)]
    state, told = run([*seen, *gone])
    assert [type(what) for _, what in told] == [Degradation, Recovery]
    assert isinstance(told[1][1], Recovery)
    assert told[1][1].reason == "gone"
    assert state.degraded() == []


def test_memory_is_bounded_and_keeps_those_that_matter() -> None:
    """With too many workloads, those unseen for the longest go first, and degraded ones last."""
    settings = DetectSettings(max_workloads=10)
    state, _ = run(recording(QUIET + [10_000.0] * 10), settings)
    dice = seeded(1)
    crowd = [
        interval(50 + n, *(workload(dice, f"comm:job{n}-{i}", count=40) for i in range(8)))
        for n in range(6)
    ]
    state, _ = run(crowd, settings, state)
    assert len(state.workloads) <= 10
    assert SERVICE in state.workloads


def test_the_long_unseen_are_forgotten() -> None:
    """A workload not seen for the configured time leaves nothing behind."""
    settings = DetectSettings(forget_after_s=60)
    dice = seeded(1)
    state, _ = run(recording(QUIET), settings)
    state, _ = run([interval(n, workload(dice, BATCH)) for n in range(40, 60)], settings, state)
    assert list(state.workloads) == [BATCH]


def test_a_replay_gives_the_same_events() -> None:
    """The same recording gives the same decisions, and an old state is not changed by them."""
    seen = recording(QUIET + [10_000.0] * 20)
    before, _ = run(seen[:40])
    first = run(seen[40:], state=before)[1]
    second = run(seen[40:], state=before)[1]
    assert first == second


def responses(each_us: Iterable[float], waits: float = 0.5) -> list[Observation]:
    """A service whose requests take this long in each interval, with this part spent waiting; its
    queue is always short."""
    dice = seeded(4)
    return [
        interval(
            number,
            replace(
                serving(dice, response_us=us, ended=300, delay_p99_us=500),
                involuntary_per_s=1.0,
                burst_mean_us=us * (1 - waits),
                waited_us=us * 300 * waits,
                preempted_us=0.0,
            ),
        )
        for number, us in enumerate(each_us)
    ]


def test_a_longer_response_is_a_degradation_however_short_the_queue() -> None:
    """Run-queue delay does not decide if response time is known; the event says how much of it is
    waiting."""
    _, told = run(responses([20_000.0] * 40 + [80_000.0] * 10))
    happened = [each for _, each in told]
    [begin] = happened
    assert isinstance(begin, Degradation)
    assert begin.signal == "response p99"
    assert "of it is waiting for a CPU" in begin.reason


def test_a_longer_queue_is_none_where_responses_are_as_short() -> None:
    """Ten times the delay without a longer response is no degradation."""
    dice = seeded(4)
    seen = [
        interval(
            number,
            replace(
                serving(dice, response_us=20_000, ended=300, delay_p99_us=us),
                involuntary_per_s=1.0,
            ),
        )
        for number, us in enumerate([3000.0] * 40 + [30_000.0] * 20)
    ]
    assert run(seen)[1] == []


def test_requests_that_are_longer_by_themselves_are_no_schedulers_doing() -> None:
    """Four times the response with almost no wait for a CPU is no degradation."""
    assert run(responses([20_000.0] * 40 + [80_000.0] * 20, waits=0.03))[1] == []
