# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon believes after its trials, why, and what the advisor does with it."""

from pathlib import Path

import pytest

from agent.advisor import Proposal, Situation
from agent.bandit_advisor import advise
from daemon.api.models import (
    Autonomy,
    BeliefView,
    EpisodeState,
    EpisodeView,
    KernelView,
    LearnedClass,
    ProfileView,
    StatusView,
)
from daemon.decide.backoff import Quarantine
from daemon.memory.beliefs import BeliefQuestion
from scheduler_library.learning.templates import templates
from scheduler_library.learning.weights import MEASURED, PRIOR
from tests.learning.remembering import NOW, WEB, Memory, remembering

LATER = NOW + 2 * 3600
SOLVER = ProfileView(workload="comm:solver", tags=["cpu-bound", "batch"])


def believed(memory: Memory, profile: ProfileView = WEB, at: float = LATER) -> LearnedClass:
    return memory.beliefs.beliefs(BeliefQuestion(profile), at)


def of(held: LearnedClass, scheduler: str) -> BeliefView:
    return next(each for each in held.beliefs if each.scheduler == scheduler)


def advised(held: LearnedClass, episode: str = "e-9999") -> tuple[Proposal, ...]:
    return advise(
        Situation(
            at=LATER,
            episode=EpisodeView(id=episode, state=EpisodeState.OPEN, at=NOW, workload="comm:web"),
            profile=WEB,
            status=StatusView(
                version="1",
                pid=1,
                since=1.0,
                autonomy=Autonomy.AUTO,
                kernel=KernelView(supported=True),
            ),
            beliefs=held,
        )
    ).proposals


def test_a_verdict_becomes_a_belief_with_its_reasons(tmp_path: Path) -> None:
    """A belief has mean, interval, chance and the number of its verdicts, also after a restart."""
    with remembering(tmp_path) as memory:
        before = of(believed(memory), "locality")
        memory.tried("locality", 0.45)
    with remembering(tmp_path) as memory:
        after = of(believed(memory), "locality")
        assert before.observations == 0
        assert before.mean < after.low < after.mean < after.high
        assert (after.observations, after.kept) == (1, 1)
        assert any("1 verdict" in each for each in after.why)
        assert believed(memory).episodes == 1


def test_lines_of_policy_take_part(tmp_path: Path) -> None:
    """A line for this workload is one of the proposals; a line that won elsewhere is believed to
    help here, because of its shape."""
    with remembering(tmp_path) as memory:
        (line,) = templates(WEB.tags, "comm:web")
        (other,) = templates(WEB.tags, "comm:db")
        found = next(each for each in believed(memory).beliefs if each.policy)
        assert found.policy == line.policy
        elsewhere = WEB.model_copy(update={"workload": "comm:db"})
        memory.tried("policy-of-db", 0.5, profile=elsewhere, policy=other.policy)
        again = next(each for each in believed(memory).beliefs if each.policy)
        assert again.mean > found.mean
        assert any(each.policy == line.policy for each in advised(believed(memory)))


def test_what_is_known_to_help_is_the_only_proposal(tmp_path: Path) -> None:
    """Once a scheduler was kept twice, nothing else is tried."""
    with remembering(tmp_path) as memory:
        assert len(advised(believed(memory))) > 1
        for number in (1, 2):
            memory.tried("latency", 0.6, number=number)
        assert [each.scheduler for each in advised(believed(memory))] == ["latency"]


def test_where_nothing_helped_nothing_is_proposed(tmp_path: Path) -> None:
    """If no scheduler helped a workload, nothing is tried when it comes again."""
    with remembering(tmp_path) as memory:
        number = 0
        for _ in range(4):
            for each in advised(believed(memory, SOLVER)):
                number += 1
                memory.tried(each.scheduler, 0.0, number=number, profile=SOLVER, policy=each.policy)
        assert number > 0
        assert advised(believed(memory, SOLVER)) == ()


def test_a_failure_is_remembered_after_its_quarantine(tmp_path: Path) -> None:
    """A scheduler that the kernel ejected is believed to be worse; this is reported, and it
    fades."""
    with remembering(tmp_path) as memory:
        before = of(believed(memory), "latency")
        memory.quarantines.append(
            Quarantine(
                candidate="c-1", scheduler="latency", reason="stalled", since=NOW, until=NOW + 60
            )
        )
        after = of(believed(memory), "latency")
        assert after.mean < before.mean
        assert after.failures == 1
        assert any("remembered" in each for each in after.why)
        (failure,) = memory.beliefs.view(None, memory.lessons.all()).failures
        assert (failure.scheduler, failure.reason) == ("latency", "stalled")
        year_later = of(believed(memory, at=NOW + 365 * 86400), "latency")
        assert year_later.mean == pytest.approx(before.mean, abs=1e-6)


def test_nobody_is_proposed_without_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scx_layered cannot run without layers, so it is never proposed, installed or not."""
    for name in ("scx_layered", "scx_lavd"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setattr("daemon.memory.beliefs.PATH", str(tmp_path))
    with remembering(tmp_path / "state") as memory:
        held = believed(memory)
    assert "layers" in of(held, "scx_layered").refused
    assert of(held, "scx_lavd").refused == ""


def test_what_failed_within_the_hour_is_refused(tmp_path: Path) -> None:
    """The refusal names the belief, so that every advisor knows it."""
    with remembering(tmp_path) as memory:
        memory.tried("latency", -0.2)
        assert "within the hour" in of(believed(memory, at=NOW + 600), "latency").refused
        assert of(believed(memory, at=NOW + 7200), "latency").refused == ""


def test_the_weights_of_a_search_move_and_say_by_what(tmp_path: Path) -> None:
    """Features that predicted the verdicts count for more afterwards, also after a restart."""
    with remembering(tmp_path) as memory:
        for number in range(1, 6):
            trial = memory.tried("locality", 0.4, number=number)
            memory.beliefs.trial_ended(trial, WEB)
    with remembering(tmp_path) as memory:
        weights = {
            each.name: each for each in memory.beliefs.view(None, memory.lessons.all()).weights
        }
        assert weights[MEASURED].weight > PRIOR[MEASURED] == weights[MEASURED].prior
        assert weights[MEASURED].moved >= 1
        assert "when locality was kept (t-0005)" in weights[MEASURED].why
        assert sum(each.weight for each in weights.values()) == pytest.approx(1.0, abs=1e-3)


def test_a_search_for_a_workload_knows_what_was_measured_on_it(tmp_path: Path) -> None:
    """What won on the workload comes first, whatever its page says, and the reason has the
    figure."""
    with remembering(tmp_path) as memory:
        first = memory.beliefs.search("", BeliefQuestion(WEB), memory.lessons.all())[0]
        assert first.entry.name == "latency"
        for number in range(1, 5):
            memory.beliefs.trial_ended(memory.tried("locality", 0.5, number=number), WEB)
            memory.beliefs.trial_ended(memory.tried("latency", -0.5, number=10 + number), WEB)
        found = memory.beliefs.search("", BeliefQuestion(WEB), memory.lessons.all())
        assert found[0].entry.name == "locality"
        assert any("measured on workloads like this" in each for each in found[0].reasons)


def test_everything_is_told_by_kind_of_workload(tmp_path: Path) -> None:
    """Without a workload, the answer has a class for each kind of workload, and what was tried on
    it."""
    with remembering(tmp_path) as memory:
        memory.tried("latency", 0.5, number=1)
        memory.tried("batch", 0.1, number=2, profile=SOLVER, at=NOW + 10)
        line = 'comm = "web" { latency; preempt; slice 500us }; * { slice 3ms }'
        memory.tried("policy-x", -0.1, number=3, profile=SOLVER, policy=line, at=NOW + 5)
        view = memory.beliefs.view(None, memory.lessons.all())
        assert [each.tags for each in view.classes] == [sorted(SOLVER.tags), sorted(WEB.tags)]
        assert [each.scheduler for each in view.classes[0].beliefs] == ["batch", "policy-x"]
        assert "web" not in view.classes[0].beliefs[1].policy
        assert view.lessons_file == str(memory.file)


def test_a_complaint_about_delays_makes_a_service_of_it(tmp_path: Path) -> None:
    """What a person complained about counts beside the measurements."""
    with remembering(tmp_path) as memory:
        plain = ProfileView(workload="comm:x", tags=["contended"])
        held = memory.beliefs.beliefs(BeliefQuestion(plain, "delay p99"), NOW)
        assert held.tags == ["contended", "latency-sensitive"]


def test_who_tries_what_a_page_warns_of_is_told(tmp_path: Path) -> None:
    """The warning appears for schedulers and policies. It does not appear if the same scheduler was
    kept here before, or if the workload is the one that it is made for."""
    with remembering(tmp_path) as memory:
        warning = memory.beliefs.warning(BeliefQuestion(WEB), "batch", "")
        assert "bad for latency-sensitive" in warning
        assert "nothing measured here" in warning
        assert memory.beliefs.warning(BeliefQuestion(WEB), "latency", "") == ""
        assert memory.beliefs.warning(BeliefQuestion(SOLVER), "batch", "") == ""
        assert "latency-sensitive" in memory.beliefs.warning(
            BeliefQuestion(WEB), "policy-1", "slice 20ms"
        )
        assert memory.beliefs.warning(BeliefQuestion(WEB), "policy-1", "slice 1ms") == ""
        assert memory.beliefs.warning(BeliefQuestion(SOLVER, "latency p99"), "batch", "")
        memory.tried("batch", 0.5)
        assert memory.beliefs.warning(BeliefQuestion(WEB), "batch", "") == ""


def test_a_search_puts_last_what_its_page_calls_bad_for_what_counts(tmp_path: Path) -> None:
    """The scheduler comes last however well its words fit, and the answer says why."""
    with remembering(tmp_path) as memory:
        found = memory.beliefs.search("long slices batch", BeliefQuestion(WEB), ())
        batch = next(each for each in found if each.entry.name == "batch")
        assert batch.score < 0
        assert "nothing measured here" in batch.reasons[0]
        first = memory.beliefs.search("long slices batch", BeliefQuestion(SOLVER), ())[0]
        assert first.entry.name == "batch"
