# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports about the gates: events as they answer, and one sentence about what is missing."""

import pytest

from daemon.api.models import Event, EventKind, Gate, GateMessage, GateResult
from daemon.gates.candidates import Candidate
from daemon.gates.proof import Proof
from daemon.gates.telling import GateEvents, stopped_reason
from daemon.service.events import EventLog
from process import Fault, FaultType
from scheduler_library.manifest import EntryKind

PASSED = GateResult(gate=Gate.BUILD, passed=True, seconds=0.25, figures={"seconds": 0.25})
LATE = GateMessage(severity="error", message="it waited 9 s", cause="others go first")
FAILED = GateResult(gate=Gate.SIMULATE, passed=False, seconds=1, messages=[LATE])
UNASKED = GateResult(gate=Gate.VERIFY, passed=False, seconds=0, skipped="no sched_ext")
LEFT_OUT = GateResult(gate=Gate.CANARY, passed=True, seconds=0, skipped="no KVM here")


@pytest.fixture
def told() -> tuple[GateEvents, list[Event]]:
    events: list[Event] = []
    return GateEvents(EventLog(events.append).append, "c-1", "mine"), events


def test_each_answer_is_one_event_with_its_figures(told: tuple[GateEvents, list[Event]]) -> None:
    """The events are passed, failed with the first error and its cause, and not run with the
    reason."""
    telling, events = told
    telling.started(Gate.BUILD)
    for result in (PASSED, FAILED, UNASKED, LEFT_OUT):
        telling.answered(result)
    assert [event.kind for event in events] == [
        EventKind.GATE_STARTED,
        EventKind.GATE_PASSED,
        EventKind.GATE_FAILED,
        EventKind.GATE_SKIPPED,
        EventKind.GATE_SKIPPED,
    ]
    assert {(event.candidate, event.scheduler) for event in events} == {("c-1", "mine")}
    assert events[1].figures == {"seconds": 0.25}
    assert events[2].reason == "it waited 9 s: others go first"
    assert events[3].message == "mine: verify was not run: no sched_ext"


def test_progress_is_told_now_and_then(told: tuple[GateEvents, list[Event]]) -> None:
    """Of a burst of steps only the first is reported, because the journal keeps every event."""
    telling, events = told
    for done in range(1, 17):
        telling.progress(Gate.SIMULATE, f"scenario {done}", done, 16)
    assert events[0].kind is EventKind.GATE_PROGRESS
    assert events[0].figures == {"done": 1, "of": 16}
    assert "1 of 16" in events[0].message
    assert len(events) < 16


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((PASSED, FAILED, UNASKED), ("'simulate' stopped it", "others go first")),
        ((PASSED, UNASKED), ("'verify' was not run", "no sched_ext")),
    ],
)
def test_what_is_not_proven_says_which_gate_is_to_blame(
    results: tuple[GateResult, ...], words: tuple[str, ...]
) -> None:
    """A refusal comes before a gate that did not run; neither candidate may be loaded."""
    candidate = Candidate("c-1", "mine", EntryKind.BPF, {}, proof=Proof(results))
    with pytest.raises(Fault) as caught:
        candidate.loadable()
    assert caught.value.type is FaultType.NOT_ALLOWED
    for word in words:
        assert word in caught.value.why


def test_a_gate_that_may_be_left_out_stands_in_nobodys_way() -> None:
    """If no machine boots for a canary, the candidate is proven all the same."""
    proof = Proof((PASSED, LEFT_OUT))
    assert proof.proven
    assert stopped_reason(proof) == ""
