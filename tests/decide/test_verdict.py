# SPDX-License-Identifier: GPL-2.0-or-later
import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.api.models import Arm, Decision, VerdictView, WindowView
from daemon.decide.objective import Objective, parse_objective
from daemon.decide.settings import TrialSettings
from daemon.decide.verdict import conclude, harm, judge, stopped, unmeasured
from daemon.decide.windows import Live, next_arm, schedule
from tests.decide.synthetic import seeded, window

LATENCY = parse_objective("latency p99")
THROUGHPUT = parse_objective("throughput")
SETTINGS = TrialSettings()


def trial(
    dice: random.Random,
    ratio: float,
    noise: float,
    objective: Objective = LATENCY,
    drift: float = 0.0,
) -> tuple[str, list[WindowView], VerdictView]:
    """A whole trial as the daemon runs it: how it ended, its windows, and the verdict.

    `ratio` is the true candidate / baseline, `noise` the deviation of the logarithm of a
    window's value, `drift` the change of the logarithm from one window to the next.
    """
    windows: list[WindowView] = []
    while True:
        arm = next_arm(windows, SETTINGS)
        assert arm is not None
        value = 5000 * math.exp(dice.gauss(0, noise) + drift * len(windows))
        windows.append(window(arm, value * (ratio if arm is Arm.CANDIDATE else 1)))
        if reason := harm(windows, [], objective, SETTINGS):
            return "harm", windows, stopped(windows, objective, reason)
        if verdict := judge(windows, objective, SETTINGS):
            return verdict.decision, windows, verdict


@pytest.mark.parametrize("noise", [0.03, 0.1, 0.2, 0.4])
def test_the_same_against_itself_is_seldom_kept(noise: float) -> None:
    """If nothing differs, at most one trial in twenty ends in a keep, with all its early looks."""
    dice = seeded(17)
    ends = Counter(trial(dice, 1.0, noise)[0] for _ in range(500))
    assert ends["keep"] <= 25, ends


def test_a_drift_is_not_taken_for_a_gain() -> None:
    """A machine that speeds up steadily through the trial does not make the candidate better."""
    dice = seeded(17)
    ends = Counter(trial(dice, 1.0, 0.05, drift=-0.05)[0] for _ in range(200))
    assert ends["keep"] <= 10, ends


@pytest.mark.parametrize(("ratio", "noise"), [(0.5, 0.05), (0.5, 0.2), (0.8, 0.05)])
def test_a_big_gain_is_kept_and_early(ratio: float, noise: float) -> None:
    """A clearly better candidate is nearly always kept, mostly without all windows."""
    dice = seeded(23)
    ends = [trial(dice, ratio, noise) for _ in range(100)]
    assert sum(end == "keep" for end, _, _ in ends) >= 97
    assert sum(len(windows) < SETTINGS.max_windows for _, windows, _ in ends) >= 60
    kept = next(verdict for end, _, verdict in ends if end == "keep")
    assert kept.gain == pytest.approx(1 - kept.ratio)
    assert kept.low < kept.ratio < kept.high < 1


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_harm_is_stopped_within_the_first_windows(noise: float) -> None:
    """Three times worse is over when both arms have had two windows, at the latest."""
    dice = seeded(29)
    for _ in range(100):
        end, windows, verdict = trial(dice, 3.0, noise)
        assert end == "harm"
        assert len(windows) <= 4
        assert verdict.decision is Decision.ROLLBACK
        assert "times worse" in verdict.reason


def test_a_moderate_loss_is_rolled_back() -> None:
    """A fifth worse is never kept."""
    dice = seeded(31)
    ends = Counter(trial(dice, 1.2, 0.1)[0] for _ in range(200))
    assert ends["keep"] == 0


def test_more_throughput_is_better() -> None:
    """The same rules hold in reverse if higher is better."""
    dice = seeded(37)
    better = [trial(dice, 1.6, 0.1, THROUGHPUT) for _ in range(50)]
    assert all(end == "keep" for end, _, _ in better)
    verdict = better[0][2]
    assert verdict.ratio > 1
    assert verdict.low > 1
    assert verdict.gain == pytest.approx(verdict.ratio - 1)
    assert all(trial(dice, 0.4, 0.1, THROUGHPUT)[0] == "harm" for _ in range(50))


def test_a_gain_too_small_to_be_worth_it_is_rolled_back() -> None:
    """A certain gain below `min_gain` is not enough."""
    verdict = conclude(made([1000, 1001, 1002, 1003] * 2, 0.97), LATENCY, SETTINGS)
    assert verdict.decision is Decision.ROLLBACK
    assert "less than the 5%" in verdict.reason


def test_an_interval_that_the_order_does_not_bear_out_is_not_enough() -> None:
    """Welch's interval misses 1 by a hair, yet four of seventy orders are as good: rolled back."""
    baseline, candidate = [1017.6, 772.7, 1142.7, 954.2], [775.2, 635.2, 786.1, 799.3]
    windows = [window(Arm.BASELINE, value) for value in baseline]
    windows += [window(Arm.CANDIDATE, value) for value in candidate]
    verdict = conclude(windows, LATENCY, SETTINGS)
    assert verdict.high < 1
    assert verdict.gain > 0.2
    assert verdict.decision is Decision.ROLLBACK
    assert "order does not bear it out" in verdict.reason


def made(
    values: list[float],
    ratio: float,
    baseline: dict[str, float] | None = None,
    candidate: dict[str, float] | None = None,
) -> list[WindowView]:
    """Windows in order with these values, the candidate's times `ratio`."""
    return [
        window(arm, value, guarded=baseline)
        if arm is Arm.BASELINE
        else window(arm, value * ratio, guarded=candidate)
        for arm, value in zip(schedule(len(values)), values, strict=True)
    ]


VALUES = [1000.0, 1010, 990, 1005, 995, 1000, 1008, 992]


def test_nothing_is_decided_within_a_block() -> None:
    """Only whole blocks are judged, and only from the second on."""
    windows = made(VALUES, 0.3)
    assert all(judge(windows[:count], LATENCY, SETTINGS) is None for count in range(8))
    verdict = judge(windows, LATENCY, SETTINGS)
    assert verdict is not None
    assert verdict.early
    assert verdict.confidence == pytest.approx(0.99)
    assert (verdict.windows_baseline, verdict.windows_candidate) == (4, 4)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("machine_run_share", 2.0, 1.6),
        ("others_run_share", 1.5, 1.0),
        ("others_delay_p99_us", 5000.0, 60_000.0),
        ("own_throughput", 1000.0, 800.0),
    ],
)
def test_a_gain_bought_with_a_guarded_figure_is_rolled_back(
    name: str, before: float, after: float
) -> None:
    """However much better the objective is, the loss of others ends the trial and is named."""
    windows = made(VALUES, 0.3, {name: before}, {name: after})
    verdict = judge(windows, LATENCY, SETTINGS)
    assert verdict is not None
    assert verdict.decision is Decision.ROLLBACK
    assert name.removesuffix("_us").replace("_", " ") in verdict.reason
    assert "worse than tolerated" in verdict.guarded[name]


def test_what_others_lose_ends_a_trial_after_its_first_block() -> None:
    """A neighbour that loses most of its CPU time does not have to wait for a second block."""
    name = "others_run_share"
    verdict = judge(made(VALUES[:4], 0.3, {name: 1.5}, {name: 0.2}), LATENCY, SETTINGS)
    assert verdict is not None
    assert verdict.decision is Decision.ROLLBACK
    assert "others run share" in verdict.reason


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("machine_run_share", 2.0, 1.95),
        ("others_run_share", 1.5, 3.0),
        ("others_delay_p99_us", 5000.0, 12_000.0),
        ("others_delay_p99_us", 50.0, 2000.0),
        ("others_run_share", 0.01, 0.001),
    ],
)
def test_what_is_tolerated_or_trivial_does_not_stop_a_keep(
    name: str, before: float, after: float
) -> None:
    """A loss within its tolerance, a gain, or a loss of almost nothing is no reason."""
    verdict = judge(made(VALUES, 0.3, {name: before}, {name: after}), LATENCY, SETTINGS)
    assert verdict is not None
    assert verdict.decision is Decision.KEEP
    assert name in verdict.guarded


def test_how_short_is_too_short_to_guard_can_be_set() -> None:
    """Where the CPUs are slow, what would be nothing elsewhere takes as many times longer."""
    name = "others_response_p99_us"
    windows = made(VALUES, 0.3, {name: 7000.0}, {name: 49_000.0})
    slow = SETTINGS.model_copy(update={"others_floor_us": 120_000.0})
    for bounds, decision in ((SETTINGS, Decision.ROLLBACK), (slow, Decision.KEEP)):
        verdict = judge(windows, LATENCY, bounds)
        assert verdict is not None
        assert verdict.decision is decision


def test_excluded_windows_do_not_count() -> None:
    """An excluded window changes nothing in the verdict."""
    windows = made(VALUES, 0.3)
    more = [*windows[:3], window(Arm.CANDIDATE, 1e9, excluded="too few samples"), *windows[3:]]
    assert judge(more, LATENCY, SETTINGS) == judge(windows, LATENCY, SETTINGS)


def test_too_few_windows_are_no_verdict_to_keep_on() -> None:
    """A trial cut short is rolled back, says so, and claims no confidence."""
    verdict = conclude(made(VALUES[:3], 0.1)[:2], LATENCY, SETTINGS)
    assert verdict.decision is Decision.ROLLBACK
    assert "too few windows" in verdict.reason
    assert verdict.confidence == 0
    empty = conclude([], LATENCY, SETTINGS)
    assert (empty.decision, empty.ratio) == (Decision.ROLLBACK, 1.0)


def test_a_short_trial_can_still_keep() -> None:
    """Four windows, which a client requests, suffice if the difference is plain."""
    few = SETTINGS.asked(5, 4)
    verdict = judge(made(VALUES[:4], 0.3), LATENCY, few)
    assert verdict is not None
    assert verdict.decision is Decision.KEEP
    assert not verdict.early


def test_throughput_of_nothing_is_harm_and_no_defect() -> None:
    """A candidate under which nothing is done is stopped: its value has no logarithm."""
    windows = [window(Arm.BASELINE, 100), window(Arm.CANDIDATE, 0)]
    assert "times worse" in harm(windows, [], THROUGHPUT, SETTINGS)
    verdict = conclude(
        [window(arm, 100 if arm is Arm.BASELINE else 0) for arm in schedule(8)],
        THROUGHPUT,
        SETTINGS,
    )
    assert verdict.decision is Decision.ROLLBACK


def test_one_bad_window_within_the_noise_is_not_harm() -> None:
    """The trial goes on if the candidate is a little worse, once."""
    windows = [window(Arm.BASELINE, 1000), window(Arm.CANDIDATE, 1800)]
    assert harm(windows, [], LATENCY, SETTINGS) == ""
    assert harm([*windows, window(Arm.CANDIDATE, 1700)], [], LATENCY, SETTINGS) != ""


def test_no_worse_than_a_bad_baseline_window_is_not_harm() -> None:
    """The candidate gets no blame for what the baseline did as well."""
    windows = [
        window(Arm.BASELINE, 1000),
        window(Arm.CANDIDATE, 1000),
        window(Arm.CANDIDATE, 1000),
        window(Arm.BASELINE, 6000),
        window(Arm.BASELINE, 900),
        window(Arm.CANDIDATE, 5000),
    ]
    assert harm(windows, [], LATENCY, SETTINGS) == ""


BASELINE = [window(Arm.BASELINE, 1000, guarded={"delay_max_us": 20_000.0})]


def test_a_live_catastrophe_needs_two_intervals() -> None:
    """One interval may be chance; two in a row stop the trial inside its window."""
    bad, fine = Live(6000, 100, 30_000), Live(1100, 100, 30_000)
    assert harm(BASELINE, [bad], LATENCY, SETTINGS) == ""
    assert harm(BASELINE, [bad, fine, bad], LATENCY, SETTINGS) == ""
    assert "2 intervals" in harm(BASELINE, [fine, bad, bad], LATENCY, SETTINGS)


def test_a_starving_task_stops_it_at_once() -> None:
    """If any task waits over a second, and none did before, the trial ends."""
    live = Live(1000, 100, 1_500_000)
    assert "waited 1.5 s" in harm(BASELINE, [live], LATENCY, SETTINGS)
    used_to_it = [window(Arm.BASELINE, 1000, guarded={"delay_max_us": 900_000.0})]
    assert harm(used_to_it, [live], LATENCY, SETTINGS) == ""
    after = [*BASELINE, window(Arm.CANDIDATE, 1000, guarded={"delay_max_us": 3e6})]
    assert "waited 3 s" in harm(after, [], LATENCY, SETTINGS)


def test_a_workload_that_no_longer_runs_stops_it() -> None:
    """A workload that does not appear for three intervals is harmed."""
    silent = Live(None, 0, 0)
    assert harm(BASELINE, [silent] * 2, LATENCY, SETTINGS) == ""
    assert "nothing of the workload" in harm(BASELINE, [silent] * 3, LATENCY, SETTINGS)


def test_windows_with_hardly_anything_in_them_are_harm() -> None:
    """Candidate windows excluded for want of samples that the baseline has are a collapse."""
    windows = [
        window(Arm.BASELINE, 1000, samples=5000),
        window(Arm.CANDIDATE, 1000, samples=20, excluded="20 samples"),
        window(Arm.CANDIDATE, 1000, samples=10, excluded="10 samples"),
    ]
    assert "hardly runs" in harm(windows, [], LATENCY, SETTINGS)


@given(
    st.lists(st.floats(1e-3, 1e9), min_size=0, max_size=16),
    st.lists(st.booleans(), min_size=16, max_size=16),
    st.sampled_from([LATENCY, THROUGHPUT]),
)
@settings(deadline=None, max_examples=200)
def test_any_windows_have_a_consistent_verdict(
    values: list[float], excluded: list[bool], objective: Objective
) -> None:
    """The answer is always finite and ordered, and keeps only better candidates."""
    windows = [
        window(arm, value, excluded="so" if out else "")
        for arm, value, out in zip(schedule(len(values)), values, excluded, strict=False)
    ]
    harm(windows, [], objective, SETTINGS)
    verdict = conclude(windows, objective, SETTINGS)
    assert 0 < verdict.low <= verdict.ratio <= verdict.high
    if verdict.decision is Decision.KEEP:
        assert verdict.gain >= SETTINGS.min_gain
        assert verdict.high < 1 if objective is LATENCY else verdict.low > 1


@given(st.lists(st.floats(10, 1e5), min_size=8, max_size=8), st.floats(0.01, 1000))
@settings(deadline=None)
def test_the_unit_does_not_matter(values: list[float], factor: float) -> None:
    """The same windows in another unit get the same decision and ratio."""
    once = conclude(made(values, 0.7), LATENCY, SETTINGS)
    again = conclude(made([value * factor for value in values], 0.7), LATENCY, SETTINGS)
    assert again.decision is once.decision
    assert again.ratio == pytest.approx(once.ratio, rel=1e-6)


def spoiled(count: int) -> list[WindowView]:
    """Windows with steal time."""
    each = window(Arm.BASELINE, 9000, excluded="the host took 40% of the CPU time away")
    return [each.model_copy(update={"disturbed": True})] * count


def test_too_few_good_windows_are_no_verdict_but_could_not_be_measured() -> None:
    """The verdict says how many windows counted, and why others did not."""
    reason = unmeasured([*made([1000.0, 1010], 0.5), *spoiled(30)], LATENCY, SETTINGS)
    assert reason.startswith("could not be measured: of 32 windows 2 were good enough")
    assert "the host took 40%" in reason


def test_what_the_few_good_windows_show_for_certain_still_counts() -> None:
    """Much worse in four windows is worse, however many others were spoiled."""
    few = [1000.0, 1001, 1002, 1000]
    assert unmeasured([*made(few, 1.45), *spoiled(28)], LATENCY, SETTINGS) == ""
    assert unmeasured([*made(few, 1.0), *spoiled(28)], LATENCY, SETTINGS)


def test_a_trial_with_enough_good_windows_was_measured() -> None:
    """A few windows that do not count do no harm."""
    assert unmeasured([*made(VALUES, 1.0), *spoiled(24)], LATENCY, SETTINGS) == ""
    assert unmeasured(made(VALUES[:4], 1.0), LATENCY, SETTINGS) == ""


def test_what_the_host_did_is_no_harm() -> None:
    """A task that waited while the host had the CPU was not starved by the candidate."""
    good = made([1000.0, 1000, 1000], 1.0, {"delay_max_us": 900.0}, {"delay_max_us": 900.0})
    bad = spoiled(1)[0].model_copy(
        update={"arm": Arm.CANDIDATE, "value": 90000.0, "guarded": {"delay_max_us": 3e6}}
    )
    assert harm([*good, bad], [], LATENCY, SETTINGS) == ""
    live = [Live(90000.0, 100, 3e6, disturbed=True)] * 3
    assert harm(good, live, LATENCY, SETTINGS) == ""
    assert harm(good, [replace(each, disturbed=False) for each in live], LATENCY, SETTINGS)
