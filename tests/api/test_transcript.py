# SPDX-License-Identifier: GPL-2.0-or-later
"""Transcripts: what is recorded, limited, kept and shown; and who may approve."""

import getpass
from pathlib import Path

import pytest

from daemon.api import paths
from daemon.api.models import (
    ApprovalRequest,
    EpisodeRequest,
    StepKind,
    StepRequest,
    StepRole,
)
from daemon.memory.history_writer import HistoryWriter
from process import Fault, FaultType
from scheduler_library.history import EpisodeRecord, open_history
from scheduler_library.transcript import FIRST_KEPT, MOST_CHARACTERS, MOST_STEPS
from tests.api.fake import Served

EPISODE = "e-0001"


def step(text: str, **fields: object) -> StepRequest:
    told = {"at": 1.0, "role": StepRole.DECIDE, "kind": StepKind.TEXT, "text": text, **fields}
    return StepRequest.model_validate(told)


@pytest.fixture
def recall(tmp_path: Path) -> HistoryWriter:
    store = open_history(tmp_path / "history.sqlite").history
    store.add_episode(EpisodeRecord(EPISODE, 1.0, "comm:x", "it was slow"))
    return HistoryWriter(store, lambda text: pytest.fail(text))


def test_steps_are_kept_in_their_order(recall: HistoryWriter) -> None:
    """The record is read back with numbers from 1."""
    recall.step(EPISODE, step("think", tokens=7))
    recall.step(EPISODE, step("{}", kind=StepKind.TOOL_CALL, tool="get_status"))
    seen = recall.steps(EPISODE)
    assert [(each.number, each.text, each.tool) for each in seen] == [
        (1, "think", ""),
        (2, "{}", "get_status"),
    ]
    assert seen[0].tokens == 7


def test_a_long_transcript_loses_its_middle(recall: HistoryWriter) -> None:
    """The beginning and the end stay, and a note says how much is missing between them."""
    for number in range(1, MOST_STEPS + 51):
        recall.step(EPISODE, step(str(number)))
    seen = recall.steps(EPISODE)
    assert [each.text for each in seen[:FIRST_KEPT]] == [
        str(each) for each in range(1, FIRST_KEPT + 1)
    ]
    assert seen[-1].text == str(MOST_STEPS + 50)
    assert seen[FIRST_KEPT].text.startswith("50 steps are left out")
    assert len(seen) == MOST_STEPS + 1


def test_a_large_transcript_is_bounded_in_size(recall: HistoryWriter) -> None:
    """However long the texts are, the transcript stays within its limit and has the newest step."""
    for number in range(MOST_STEPS):
        recall.step(EPISODE, step(f"{number}" + "x" * 3900))
    seen = recall.steps(EPISODE)
    assert sum(len(each.text) for each in seen) <= MOST_CHARACTERS + 4000
    assert seen[-1].text.startswith(str(MOST_STEPS - 1))


def test_a_step_of_no_episode_changes_nothing(tmp_path: Path) -> None:
    """It is reported as trouble and raises nothing."""
    told: list[str] = []
    recall = HistoryWriter(open_history(tmp_path / "history.sqlite").history, told.append)
    recall.step("e-9999", step("x"))
    assert told
    assert recall.steps("e-9999") == []


def test_the_routes_record_and_read(served: Served) -> None:
    """The control socket records a step and opens an episode; the observe socket reads steps."""
    with served.controller() as control, served.observer() as observer:
        control.record_step(EPISODE, step("hello", tokens=3))
        (seen,) = observer.steps(EPISODE)
        assert (seen.text, seen.tokens) == ("hello", 3)
        view = control.open_episode(EpisodeRequest(workload="comm:x", goal="sooner"))
        assert view.id == EPISODE
        with pytest.raises(Fault) as refused:
            observer.record_step(EPISODE, step("no"))
        assert refused.value.type is FaultType.NOT_ALLOWED


def test_the_advisor_approves_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advisor's user is refused on every socket that it can open."""
    with served.controller() as control:
        control.approve("a-1", ApprovalRequest(approve=True))
        monkeypatch.setattr(paths, "AGENT_USER", getpass.getuser())
        for approve in (True, False):
            with pytest.raises(Fault) as refused:
                control.approve("a-1", ApprovalRequest(approve=approve))
            assert refused.value.type is FaultType.NOT_ALLOWED
    assert sum(name == "approve" for name, _ in served.service.asked) == 1
