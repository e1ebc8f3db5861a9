# SPDX-License-Identifier: GPL-2.0-or-later
from collections.abc import Sequence
from dataclasses import replace

import pytest

from daemon.api.models import Arm, WindowView
from daemon.decide.objective import Measurement, parse_objective
from daemon.decide.settings import TrialSettings
from daemon.decide.windows import (
    GuardedFigure,
    guarded_of,
    live_of,
    next_arm,
    schedule,
    settled,
    stay_of,
    window_of,
)
from tests.decide.synthetic import BATCH, SERVICE, START, interval, seeded, window, workload

LATENCY = parse_objective("latency p99")
SETTINGS = TrialSettings(window_s=10, settle_s=2, max_windows=8)


def test_the_order_is_abba_then_baab() -> None:
    """Each block of four has two of each arm, and the next one is its mirror."""
    letters = "".join("A" if arm is Arm.BASELINE else "B" for arm in schedule(12))
    assert letters == "ABBABAABABBA"


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_a_steady_drift_cancels_out(blocks: int) -> None:
    """The mean place in time of both arms is the same after every whole block."""
    arms = schedule(4 * blocks)
    places = {arm: [n for n, each in enumerate(arms) if each is arm] for arm in Arm}
    assert sum(places[Arm.BASELINE]) == sum(places[Arm.CANDIDATE])


def test_an_excluded_window_is_run_again() -> None:
    """Its arm is repeated, and a trial that has only such windows still ends."""
    windows = [window(Arm.BASELINE, 1), window(Arm.CANDIDATE, 1, excluded="too few samples")]
    assert next_arm(windows, SETTINGS) is Arm.CANDIDATE
    hopeless = [window(Arm.BASELINE, 0, excluded="nothing")] * 16
    assert next_arm(hopeless, SETTINGS) is None


def test_after_the_last_window_there_is_none() -> None:
    """A trial has at most this many windows."""
    windows = [window(arm, 1) for arm in schedule(8)]
    assert next_arm(windows[:7], SETTINGS) is Arm.CANDIDATE
    assert next_arm(windows, SETTINGS) is None


def test_only_whole_settled_intervals_count() -> None:
    """An interval that began before the scheduler had settled, or ended after the window, is left
    out."""
    dice = seeded(1)
    seen = [interval(n, workload(dice), seconds=1) for n in range(20)]
    kept = settled(seen, START + 4.5, START + 15, SETTINGS)
    assert [each.began - START for each in kept] == [7, 8, 9, 10, 11, 12, 13, 14]


def test_a_window_says_how_long_a_stay_on_a_cpu_was() -> None:
    """The real slice of the workload's tasks: the mean over all their stays on a CPU, not over
    intervals, and without other tasks."""
    dice = seeded(2)
    own = workload(dice)
    seen = [
        interval(2, replace(own, slice_mean_us=4000.0, slice_count=300), seconds=1),
        interval(3, replace(own, slice_mean_us=1000.0, slice_count=100), workload(dice, BATCH)),
        interval(4, workload(dice, BATCH, run_share=1.5), seconds=1),
    ]
    assert stay_of(SERVICE, seen) == pytest.approx(3250.0)
    assert stay_of("comm:x", seen) == 0


def test_a_window_has_its_value_samples_and_guarded_figures() -> None:
    """The value is that of the workload, and the guarded figures are those of all."""
    dice = seeded(1)
    seen = [
        interval(
            n,
            workload(dice, p99_us=4000, run_share=0.5),
            workload(dice, BATCH, run_share=1.5, wakeups_per_s=0.1, involuntary_per_s=300),
            seconds=1,
        )
        for n in range(12)
    ]
    found = window_of(Arm.CANDIDATE, START, START + 12, LATENCY, SERVICE, seen, SETTINGS)
    assert found.excluded == ""
    assert found.value == pytest.approx(4000, rel=0.2)
    assert found.samples == 5000
    assert found.guarded["machine_run_share"] == pytest.approx(2.0)
    assert found.guarded["others_run_share"] == pytest.approx(1.5)
    assert found.guarded["own_throughput"] == pytest.approx(100)
    assert found.guarded["delay_max_us"] > 4000
    # The batch job is made to leave its CPU; how long it waits for the next slice is no harm.
    assert "others_delay_p99_us" not in found.guarded


def test_the_delay_of_others_is_of_those_that_sleep() -> None:
    """Another service's delay is guarded."""
    dice = seeded(1)
    seen = [interval(0, workload(dice), workload(dice, "comm:db", p99_us=20_000))]
    figures = guarded_of(SERVICE, seen)
    assert figures[GuardedFigure.OTHERS_DELAY_P99_US] == pytest.approx(20_000, rel=0.3)


def test_a_window_with_little_in_it_is_excluded_with_the_reason() -> None:
    """A window with too few samples or none says so and is not judged."""
    dice = seeded(1)
    few = [interval(n, workload(dice, count=3), seconds=1) for n in range(12)]
    assert "24 samples, of which 50" in (
        window_of(
            Arm.BASELINE,
            START,
            START + 10,
            LATENCY,
            SERVICE,
            few,
            TrialSettings(window_s=10, settle_s=2),
        ).excluded
    )
    none = window_of(Arm.BASELINE, START, START + 10, LATENCY, "comm:x", few, SETTINGS)
    assert "nothing was seen" in none.excluded


def test_measurements_of_the_settling_time_do_not_count() -> None:
    """A number counts when it was measured wholly within the settled window."""
    objective = parse_objective("measurement rps higher")
    numbers = [
        Measurement(START + 1, "rps", 1),
        Measurement(START + 3, "rps", 2, started=START + 1),
        Measurement(START + 5, "rps", 100, started=START + 3),
        Measurement(START + 11, "rps", 4, started=START + 9),
    ]
    found = window_of(Arm.BASELINE, START, START + 10, objective, "", [], SETTINGS, numbers)
    assert (found.value, found.samples, found.excluded) == (100, 1, "")


def test_live_figures_are_those_of_one_interval() -> None:
    """The value of the workload, and the longest wait of anybody."""
    dice = seeded(1)
    seen = interval(
        0, workload(dice, p99_us=4000), workload(dice, BATCH, longest_us=2_000_000, count=50)
    )
    live = live_of(LATENCY, SERVICE, seen)
    assert live.value == pytest.approx(4000, rel=0.3)
    assert live.delay_max_us == 2_000_000
    gone = live_of(LATENCY, "comm:gone", seen)
    assert (gone.value, gone.samples) == (None, 0)


def test_a_client_may_ask_for_other_windows() -> None:
    """A short window keeps most of itself, and the least never exceeds the most."""
    asked = SETTINGS.asked(1.5, 4)
    assert (asked.window_s, asked.settle_s, asked.max_windows, asked.min_windows) == (
        1.5,
        0.5,
        4,
        4,
    )
    assert SETTINGS.asked(None, None) == SETTINGS


def stolen_window(
    arm: Arm, stolen: float, late_s: float = 0, earlier: Sequence[WindowView] = ()
) -> WindowView:
    """A window of ten seconds with a disturbance by the host in its fifth interval."""
    dice = seeded(3)
    seen = [interval(n, workload(dice), seconds=1) for n in range(12)]
    seen[5] = replace(seen[5], stolen=stolen, late_s=late_s)
    return window_of(arm, START, START + 12, LATENCY, SERVICE, seen, SETTINGS, earlier=earlier)


@pytest.mark.parametrize("arm", list(Arm))
def test_a_window_of_which_the_host_took_a_part_does_not_count(arm: Arm) -> None:
    """Steal time is the host's, whichever scheduler ran."""
    spoiled = stolen_window(arm, 0.9)
    assert spoiled.disturbed
    assert "the host took 9% of the CPU time" in spoiled.excluded
    assert not stolen_window(arm, 0.2).excluded


def test_a_machine_that_stood_still_spoils_a_window_of_the_baseline() -> None:
    """Late signals mean that the clock went on without the machine."""
    spoiled = stolen_window(Arm.BASELINE, 0, late_s=2.5)
    assert spoiled.disturbed
    assert "stood still for 2.5 s" in spoiled.excluded
    assert not stolen_window(Arm.BASELINE, 0, late_s=0.3).excluded


def test_lateness_is_the_candidates_own_unless_the_baseline_has_it_too() -> None:
    """A scheduler may starve the signals program itself."""
    assert not stolen_window(Arm.CANDIDATE, 0, late_s=2.5).excluded
    before = [stolen_window(Arm.BASELINE, 0, late_s=2.5)]
    assert stolen_window(Arm.CANDIDATE, 0, late_s=2.5, earlier=before).disturbed
    assert not stolen_window(Arm.CANDIDATE, 0, late_s=9.0, earlier=before).excluded
