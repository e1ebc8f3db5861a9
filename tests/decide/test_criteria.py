# SPDX-License-Identifier: GPL-2.0-or-later
"""The criteria of trials, and whole trials judged by them: better is what the person wants."""

import math
import random
from collections.abc import Callable, Sequence

import pytest

from daemon.api.models import Arm, Decision, GuardRequest, ProfileView, VerdictView, WindowView
from daemon.decide.criteria import criteria_of
from daemon.decide.defaults import default_objective, warnings_of
from daemon.decide.objective import Declared, Guard, Objective, parse_guard, parse_objective
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.settings import TrialSettings
from daemon.decide.verdict import beyond_measure, harm, judge, stopped, who
from daemon.decide.windows import live_of, next_arm, sleepers_of, window_of
from process import Fault
from tests.decide.synthetic import (
    BATCH,
    SERVICE,
    START,
    interval,
    seeded,
    serving,
    workload,
)
from tests.decide.synthetic import window as window_made

SETTINGS = TrialSettings(window_s=20, settle_s=0)
REQUESTS = parse_objective("response p99; completions not worse than 5%")
OLD = parse_objective("delay p99")

Scene = Callable[[Arm, random.Random], Sequence[WorkloadObservation]]


def play(
    scene: Scene, objective: Objective, guards: Sequence[Guard] = ()
) -> tuple[VerdictView, list[WindowView]]:
    """A whole trial of recorded intervals, as the daemon runs it."""
    dice = seeded(11)
    windows: list[WindowView] = []
    sleepers: frozenset[str] | None = None
    number = 0
    while True:
        arm = next_arm(windows, SETTINGS)
        assert arm is not None
        seen: list[Observation] = []
        started = START + number * 5
        for _ in range(4):
            seen.append(interval(number, *scene(arm, dice)))
            number += 1
            if arm is Arm.CANDIDATE:
                live = [live_of(objective, SERVICE, each, started, SETTINGS) for each in seen]
                if reason := harm(windows, live, objective, SETTINGS, guards):
                    return stopped(windows, objective, reason), windows
        if sleepers is None:
            sleepers = sleepers_of(SERVICE, seen)
        window = window_of(
            arm, started, seen[-1].at, objective, SERVICE, seen, SETTINGS,
            earlier=windows, guards=guards, sleepers=sleepers,
        )  # fmt: skip
        windows.append(window)
        if reason := harm(windows, [], objective, SETTINGS, guards):
            return stopped(windows, objective, reason), windows
        if verdict := judge(windows, objective, SETTINGS, guards):
            return verdict, windows


def run_to_completion(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
    """First come, first served, with a slice that is long enough for a request: twice the requests
    in a third of the time, and a queue nearly five times as long."""
    if arm is Arm.BASELINE:
        return [serving(dice, response_us=190_000, ended=200, delay_p99_us=9760)]
    return [serving(dice, response_us=65_000, ended=430, delay_p99_us=46_400)]


def test_requests_that_finish_are_better_however_long_the_queue() -> None:
    """The first idea of a real model; by the length of the queue it would have ended after one
    window."""
    verdict, _ = play(run_to_completion, REQUESTS)
    assert verdict.decision is Decision.KEEP
    assert verdict.ratio == pytest.approx(0.34, abs=0.05)
    old, windows = play(run_to_completion, OLD)
    assert old.decision is Decision.ROLLBACK
    assert len(windows) <= 2


def shorter_slices(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
    """Each wait is shorter, and there are more of them."""
    if arm is Arm.BASELINE:
        return [serving(dice, response_us=100_000, ended=200, delay_p99_us=10_000)]
    return [serving(dice, response_us=135_000, ended=205, delay_p99_us=6000)]


def fewer_requests(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
    """Less work is done, so nobody waits long."""
    if arm is Arm.BASELINE:
        return [serving(dice, response_us=100_000, ended=200, delay_p99_us=10_000)]
    return [serving(dice, response_us=97_000, ended=183, delay_p99_us=3000)]


def some_never_served(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
    """A few tasks hardly run, and the others are better off."""
    if arm is Arm.BASELINE:
        return [serving(dice, response_us=100_000, ended=200, delay_p99_us=10_000)]
    return [
        serving(dice, response_us=70_000, ended=198, delay_p99_us=4000, open_us=[4_800_000.0] * 12)
    ]


@pytest.mark.parametrize("scene", [shorter_slices, fewer_requests, some_never_served])
def test_what_only_looks_better_by_the_queue_is_rolled_back(scene: Scene) -> None:
    """Shorter run-queue delays by shorter turns, by less work, or by leaving some out: kept by
    the old criteria, and rolled back by the default one."""
    assert play(scene, OLD)[0].decision is Decision.KEEP
    verdict, _ = play(scene, REQUESTS)
    assert verdict.decision is Decision.ROLLBACK
    assert "response p99" in verdict.reason or "completions" in verdict.reason


def test_a_loss_is_told_as_a_range_in_words() -> None:
    """`24% to 44% worse`, never `-44% to -24%`."""
    verdict, _ = play(shorter_slices, REQUESTS)
    [first, *_] = verdict.compared
    assert first.state == "worse"
    assert "% worse" in first.said
    assert " before, " in first.said
    assert "-" not in first.said


# ---------------------------------------------------------------- several terms

BOTH = parse_objective("response p99; completions")


def test_one_better_and_none_worse_is_kept() -> None:
    """More requests in the same time."""

    def scene(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
        more = arm is Arm.CANDIDATE
        return [serving(dice, response_us=97_000 if more else 100_000, ended=280 if more else 200)]

    verdict, _ = play(scene, BOTH)
    assert verdict.decision is Decision.KEEP
    assert "completions" in verdict.reason


def test_one_better_and_one_worse_is_rolled_back() -> None:
    """If two targets disagree, the candidate is rolled back, and both are named."""

    def scene(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
        more = arm is Arm.CANDIDATE
        return [serving(dice, response_us=125_000 if more else 100_000, ended=280 if more else 200)]

    verdict, _ = play(scene, BOTH)
    assert verdict.decision is Decision.ROLLBACK
    assert "response p99" in verdict.reason
    assert "completions" in verdict.reason


# ---------------------------------------------------------------- guards and starvation


def beside_backup(
    runs: float, ended: int, longest_us: float | None = None
) -> Callable[[Arm, random.Random], Sequence[WorkloadObservation]]:
    """A better response, and a backup that gets this much under the candidate."""

    def scene(arm: Arm, dice: random.Random) -> Sequence[WorkloadObservation]:
        with_it = arm is Arm.CANDIDATE
        return [
            serving(dice, response_us=20_000 if with_it else 60_000, ended=200, run_share=0.3),
            serving(
                dice, BATCH, response_us=100_000, ended=ended if with_it else 100,
                run_share=runs if with_it else 1.6,
            ) if not with_it or runs else workload(
                dice, BATCH, count=0, run_share=0.0, wakeups_per_s=0.0, involuntary_per_s=0.0
            ),
            workload(
                dice, "kthread:khugepaged", p99_us=1000, wakeups_per_s=1.0, run_share=0.01,
                longest_us=longest_us if with_it else 558_000.0,
            ),
        ]  # fmt: skip

    return scene


BACKUP = parse_guard(BATCH, "completions not worse than 30%")


def test_a_guarded_workload_that_goes_on_is_held_by_name() -> None:
    """A tenth less is tolerated, and reported with both figures."""
    verdict, windows = play(beside_backup(1.5, 92), REQUESTS, [BACKUP])
    assert verdict.decision is Decision.KEEP
    assert windows[0].figures[BACKUP.key] == pytest.approx(20, rel=0.2)
    [said] = [each for each in verdict.compared if each.name == BACKUP.key]
    assert said.baseline is not None


def test_a_guarded_workload_that_is_starved_is_named_and_ends_it() -> None:
    """A broken guard decides, however much better the objective is."""
    verdict, _ = play(beside_backup(1.5, 20), REQUESTS, [BACKUP])
    assert verdict.decision is Decision.ROLLBACK
    assert BACKUP.key in verdict.reason


def test_a_guarded_workload_that_no_longer_runs_ends_it_at_once() -> None:
    """A guarded workload that gets nothing ends the trial without a comparison."""
    verdict, windows = play(beside_backup(0.0, 0), REQUESTS, [BACKUP])
    assert verdict.decision is Decision.ROLLBACK
    assert len(windows) <= 2
    assert BATCH in verdict.reason


def test_who_may_lose_much_is_not_one_of_the_others() -> None:
    """Half of its CPU time is more than others may lose, and less than this one may."""
    may_lose = parse_guard(BATCH, "cpu not worse than 75%")
    assert play(beside_backup(0.8, 100), REQUESTS)[0].decision is Decision.ROLLBACK
    verdict, _ = play(beside_backup(0.8, 100), REQUESTS, [may_lose])
    assert "machine run share" in verdict.reason
    assert "others run share" not in verdict.reason


def test_who_waits_longer_than_anything_may_is_named() -> None:
    """It waited several seconds, and the longest wait of the baseline was half a second."""
    verdict, _ = play(beside_backup(1.5, 95, longest_us=4_900_000.0), REQUESTS, [BACKUP])
    assert verdict.decision is Decision.ROLLBACK
    assert "kthread:khugepaged waited" in verdict.reason
    assert "under the baseline none waited longer than 558 ms" in verdict.reason


# ---------------------------------------------------------------- the default, and what was asked


def profile(purpose: str = "", tags: Sequence[str] = (), **figures: float) -> ProfileView:
    said = [{"purpose": purpose, "by": "program", "certainty": "sure", "why": "so"}]
    return ProfileView.model_validate(
        {
            "workload": SERVICE,
            "tags": list(tags),
            "purposes": said if purpose else [],
            "figures": {"wakeups_per_s": 100.0, **figures},
        }
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (profile("latency", ["service"]), "response p99; completions not worse than 5%"),
        (profile("latency", ["interactive"]), "response p99"),
        (profile("", ["latency-sensitive"]), "response p99; completions not worse than 5%"),
        (profile("throughput", ["batch"], forks_per_s=20.0), "turnaround mean"),
        (profile("throughput", ["batch"]), "completions"),
        (profile("throughput", ["cpu-bound"]), "cpu"),
        (profile("makespan", ["uneven-jobs"]), "makespan"),
        (profile("", ["fork-heavy"]), "turnaround mean"),
        (profile("", ["cpu-bound"]), "cpu"),
        (profile(""), "response p95; completions"),
        (None, "response p95; completions"),
    ],
)
def test_the_default_follows_the_kind_of_workload(given: ProfileView | None, text: str) -> None:
    """No default objective is about run-queue delay."""
    found = default_objective(given)
    assert found.title == text
    assert "delay" not in found.title


def test_delay_is_warned_about_where_activations_are_longer_than_a_slice() -> None:
    """The warning says why, and what to write instead."""
    [said] = warnings_of(parse_objective("latency p99"), {"mean_burst_us": 25_000.0})
    assert "25 ms" in said
    assert "`response p99`" in said
    assert not warnings_of(parse_objective("latency p99"), {"mean_burst_us": 200.0})
    assert not warnings_of(REQUESTS, {"mean_burst_us": 25_000.0})


def test_what_was_asked_for_comes_first() -> None:
    """Without a request, the order is: the episode's objective, a declared one (a broken one
    first), the kind."""
    declared = [Declared(SERVICE, parse_objective(text)) for text in ("cpu", "delay p99 < 5ms")]
    given = profile("latency", ["service"])
    assert criteria_of(SERVICE, asked="makespan", declared=declared).objective.title == "makespan"
    episode = parse_objective("turnaround mean")
    assert criteria_of(SERVICE, before=episode, declared=declared).objective is episode
    assert criteria_of(SERVICE, declared=declared).objective.title == "cpu"
    broken = criteria_of(SERVICE, declared=declared, broken="delay p99 < 5ms")
    assert broken.objective.title == "delay p99"
    assert criteria_of("comm:x", declared=declared, profile=given).objective == REQUESTS
    with pytest.raises(Fault) as caught:
        criteria_of(SERVICE, guards=[GuardRequest(workload=SERVICE, text=BACKUP.term.canonical)])
    assert "into the objective" in caught.value.hint


def test_a_window_without_enough_requests_says_what_would_do() -> None:
    """With four requests in twenty seconds, the baseline's own window shows how long it would
    take."""
    dice = seeded(1)
    seen = [interval(n, serving(dice, response_us=9000, ended=1)) for n in range(4)]
    window = window_of(Arm.BASELINE, START, START + 20, REQUESTS, SERVICE, seen, SETTINGS)
    assert window.excluded == "4 activations ended, of which 30 are needed"
    said = beyond_measure([window], REQUESTS, SETTINGS)
    assert said.startswith("cannot be measured in this time (20 s)")
    assert "windows of 180 s would do" in said
    assert beyond_measure([window.model_copy(update={"excluded": ""})], REQUESTS, SETTINGS) == ""


def test_names_in_a_reason_move_no_cursor() -> None:
    """The name of a thread or a group cannot act in the journal."""
    said = who("\x1b[2Jx\n", "comm:\u202evil")
    assert said == r"a thread '\x1b[2Jx\n' of comm:\u202evil"


def noisy(dice: random.Random, guarded: float, guards: Sequence[Guard]) -> VerdictView:
    """A trial of two figures, the first halved, with much noise; the guarded one changes so."""
    windows: list[WindowView] = []
    while (arm := next_arm(windows, SETTINGS)) is not None:
        with_it = arm is Arm.CANDIDATE
        value = 5000 * math.exp(dice.gauss(0, 0.2)) * (0.5 if with_it else 1)
        figures = {
            "response p99": value,
            "completions": 100 * math.exp(dice.gauss(0, 0.1)),
            BACKUP.key: 50 * math.exp(dice.gauss(0, 0.2)) * (guarded if with_it else 1),
            BACKUP.time_key: 50.0,
        }
        windows.append(window_made(arm, value, figures=figures))
        if reason := harm(windows, [], BOTH, SETTINGS, guards):
            return stopped(windows, BOTH, reason)
        if verdict := judge(windows, BOTH, SETTINGS, guards):
            return verdict
    raise AssertionError


def test_a_guard_that_may_be_broken_is_looked_at_to_the_end() -> None:
    """Nothing is kept early while a guard looks worse than tolerated; one that is not, is no
    hindrance."""
    dice = seeded(17)
    lost = [noisy(dice, 0.45, [BACKUP]).decision for _ in range(100)]
    assert lost.count(Decision.KEEP) <= 3
    fine = [noisy(dice, 1.0, [BACKUP]).decision for _ in range(100)]
    assert fine.count(Decision.KEEP) >= 90


def test_two_figures_that_do_not_differ_are_seldom_kept() -> None:
    """Two targets share the error, because either may seem better by chance."""
    dice = seeded(17)
    kept = 0
    for _ in range(200):
        windows: list[WindowView] = []
        verdict = None
        while verdict is None:
            arm = next_arm(windows, SETTINGS)
            assert arm is not None
            value = 5000 * math.exp(dice.gauss(0, 0.1))
            figures = {"response p99": value, "completions": 100 * math.exp(dice.gauss(0, 0.1))}
            windows.append(window_made(arm, value, figures=figures))
            verdict = judge(windows, BOTH, SETTINGS)
        kept += verdict.decision is Decision.KEEP
    assert kept <= 10


def test_a_guard_of_what_is_not_there_is_warned_about() -> None:
    """A misspelt name guards nobody; the warning has the nearest one."""
    asked = [GuardRequest(workload="comm:backupp", text="cpu not worse than 50%")]
    [said] = criteria_of(SERVICE, asked="cpu", guards=asked, present=["comm:backup"]).warnings
    assert said.startswith("nothing was seen of comm:backupp")
    assert said.endswith("did you mean comm:backup?")
    asked = [GuardRequest(workload="comm:back*", text="cpu not worse than 50%")]
    assert not criteria_of(SERVICE, asked="cpu", guards=asked, present=["comm:backup"]).warnings


def test_how_a_starved_workload_behaves_decides_nothing() -> None:
    """Requests that are always interrupted look like batch; their completions count
    nevertheless."""
    given = ProfileView.model_validate(
        {
            "workload": SERVICE,
            "tags": ["cpu-bound", "batch", "contended"],
            "doubtful": ["cpu-bound", "batch"],
            "purposes": [
                {"purpose": "throughput", "by": "now", "certainty": "guess", "why": "starved"}
            ],
            "figures": {"wakeups_per_s": 24.0},
        }
    )
    assert default_objective(given).title == "response p95; completions"
