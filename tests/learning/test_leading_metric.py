# SPDX-License-Identifier: GPL-2.0-or-later
"""Results measured by run-queue delay, the old objective, stay and are marked; they weigh
little."""

from pathlib import Path

import pytest

from daemon.memory.beliefs import BeliefQuestion
from scheduler_library.learning.leading_metric import (
    DELAY_WEIGHT,
    LeadingMetric,
    leading_metric_of,
    leading_metric_said,
    worth,
)
from scheduler_library.learning.lessons import (
    Claim,
    LessonEvidence,
    MeasuredVerdict,
    Says,
    judged,
    learned,
)
from tests.learning.remembering import NOW, WEB, remembering

TAGS = ("latency-sensitive", "short-bursts")


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        ("response p99 < 20ms; completions not worse than 2%", LeadingMetric.RESPONSE),
        ("latency p99", LeadingMetric.DELAY),
        ("delay mean", LeadingMetric.DELAY),
        ("throughput", LeadingMetric.COMPLETIONS),
        ("measurement frame_time lower", LeadingMetric.MEASUREMENT),
        ("a rise of delay_p99_us", LeadingMetric.UNKNOWN),
        ("", LeadingMetric.UNKNOWN),
    ],
)
def test_an_objective_has_a_leading_metric(objective: str, found: LeadingMetric) -> None:
    """An objective's first term gives its leading metric, old names included."""
    assert leading_metric_of(objective) is found


def test_old_evidence_names_its_leading_metric() -> None:
    """Evidence from before objectives were noted still gives its metric."""
    assert (
        leading_metric_said("keep: latency p99 x0.82 (0.75 to 0.9 at 95%)") is LeadingMetric.DELAY
    )
    assert leading_metric_said("a person's word") is LeadingMetric.UNKNOWN


def test_delay_counts_in_full_only_for_who_wants_it() -> None:
    """Delay counts in full only if somebody declared it as the objective."""
    assert worth(LeadingMetric.DELAY) == DELAY_WEIGHT
    assert worth(LeadingMetric.DELAY, LeadingMetric.RESPONSE) == DELAY_WEIGHT
    assert worth(LeadingMetric.DELAY, LeadingMetric.DELAY) == 1
    assert worth(LeadingMetric.RESPONSE) == worth(LeadingMetric.UNKNOWN) == 1


def test_a_belief_from_delays_weighs_little_and_says_so(tmp_path: Path) -> None:
    """A belief from delays changes less than one from responses and does not silence a page's
    warning, and the history shows why."""
    with remembering(tmp_path / "old") as old, remembering(tmp_path / "new") as new:
        old.tried("batch", 0.5, objective="latency p99")
        new.tried("batch", 0.5)
        (by_delay,) = (
            each
            for each in old.beliefs.beliefs(BeliefQuestion(WEB), NOW).beliefs
            if each.scheduler == "batch"
        )
        (by_response,) = (
            each
            for each in new.beliefs.beliefs(BeliefQuestion(WEB), NOW).beliefs
            if each.scheduler == "batch"
        )
        assert by_delay.mean < by_response.mean
        assert by_delay.weight == pytest.approx(DELAY_WEIGHT * by_response.weight, abs=0.001)
        assert any("run-queue delay, which counts for 20%" in each for each in by_delay.why)
        assert old.beliefs.warning(BeliefQuestion(WEB), "batch", "")
        assert not new.beliefs.warning(BeliefQuestion(WEB), "batch", "")
        assert [each.objective for each in old.history_writer.outcomes("")] == ["latency p99"]


def test_what_failed_by_delay_may_be_tried_again(tmp_path: Path) -> None:
    """What failed by delay may be tried again at once: by response it may be the best scheduler."""
    with remembering(tmp_path) as memory:
        memory.tried("latency", -0.4, objective="latency p99")
        found = memory.beliefs.beliefs(BeliefQuestion(WEB), NOW + 60).beliefs
        assert not next(each for each in found if each.scheduler == "latency").refused


def test_a_lesson_says_by_which_objective_it_holds(tmp_path: Path) -> None:
    """A lesson names its objective and its policy, without names of workloads, even if the policy
    is known only by its text."""
    with remembering(tmp_path) as memory:
        policy = 'comm = "web" { order fifo; slice 100ms }'
        trial = memory.tried("policy-0a1b2c3d", 0.6, policy=policy)
        text = 'comm = "…" { order fifo; slice 100ms } halves the response of long requests'
        view = memory.lessons.record(text, "advisor", trial.episode, trial.id, NOW)
        assert view.objective == "response p99"
        assert view.policy == 'comm = "…" { order fifo; slice 100ms }'
        assert view.about == "policy-0a1b2c3d"
        assert view.weight == 1
    with remembering(tmp_path) as memory:
        (again,) = memory.lessons.views()
        assert (again.objective, again.policy) == (view.objective, view.policy)


def test_a_lesson_by_delay_weighs_little(tmp_path: Path) -> None:
    """A lesson weighs little if only its evidence mentions delay, and a search does not use it."""
    with remembering(tmp_path) as memory:
        trial = memory.tried("latency", 0.2, objective="latency p99")
        view = memory.lessons.record(
            "latency helps requests", "advisor", trial.episode, trial.id, NOW
        )
        assert view.weight == DELAY_WEIGHT
    old = LessonEvidence(NOW, "e-1", "t-1", "keep: latency p99 x0.82 (0.75 to 0.9 at 95%)")
    claim = Claim("short slices help", NOW, about="latency", says=Says.BETTER, evidence=old)
    _, lesson = learned([], claim)
    assert lesson.weight == DELAY_WEIGHT


def test_a_verdict_counts_only_for_lessons_by_the_same_metric() -> None:
    """A worse response does not contradict a better delay, but it contradicts an old lesson that
    does not say its objective."""
    proof = LessonEvidence(NOW, "e-1", "t-1", "keep: delay p99 40% better")
    by_delay = Claim(
        "latency helps", NOW, "advisor", "latency", TAGS, Says.BETTER, proof, "", "delay p99"
    )
    unnoted = Claim("latency is good", NOW, "advisor", "latency", TAGS, Says.BETTER, proof)
    for claim, contradicted in ((by_delay, 0), (unnoted, 1)):
        lessons, _ = learned([], claim)
        against = LessonEvidence(NOW + 9, "e-2", "t-2", "rollback: response p99 30% worse")
        measured = MeasuredVerdict("latency", TAGS, False, against, "response p99")
        assert judged(lessons, measured)[0].contradicted == contradicted
