# SPDX-License-Identifier: GPL-2.0-or-later
"""The objective and guards of an episode that a person asked for."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.api.models import (
    ANY_GOAL,
    CandidateRequest,
    CandidateView,
    EpisodeRequest,
    EpisodeView,
    Event,
    EventKind,
    GuardRequest,
    ProfileView,
    ProgramKind,
    TrialRequest,
    WorkloadDetail,
)
from daemon.decide.goals import UnderstoodGoal
from daemon.decide.objective import Declared, parse_objective
from daemon.handlers import goals
from daemon.handlers.candidates import CandidatesHandler
from daemon.handlers.episodes import EpisodesHandler
from daemon.handlers.judging import Judging
from daemon.handlers.trials import TrialsHandler
from daemon.lifecycle.episodes import Episodes
from process import Fault, FaultType

EDITOR, BACKUP = "comm:editor", "comm:backup"
GOAL = "typing must not lag; the backup may take as long as it likes, but must still go on"
TYPING = "response p99"
GOES_ON = (BACKUP, "cpu not worse than 75%")


class Profiles:
    """What the daemon sees of two workloads."""

    def profile(self, id: str) -> ProfileView:
        return ProfileView(workload=id, tags=[])


async def seen(id: str) -> WorkloadDetail:
    return WorkloadDetail(id=id, profile=Profiles().profile(id))


async def understood(goal: str, workload: str) -> UnderstoodGoal:
    kinds = {EDITOR: ProgramKind.UNKNOWN, BACKUP: ProgramKind.UNKNOWN}
    return goals.understood(goal, workload, kinds, {}, ())


async def no_warnings(*asked: str) -> list[str]:
    return []


class Machine:
    """The acting side, with real episodes and nothing behind them."""

    def __init__(self, *declared: Declared) -> None:
        self.said: list[str] = []
        self.episodes = Episodes(publish=self.publish, on_change=lambda episode: None)

        async def create(
            request: CandidateRequest, workload: str, judged: object
        ) -> SimpleNamespace:
            return SimpleNamespace(
                id="c-0001",
                proven=False,
                view=lambda quarantined: CandidateView(id="c-0001", name="fifo", kind="bpf"),
            )

        none = SimpleNamespace()
        judging = Judging(
            declared=declared,
            watch=SimpleNamespace(series=SimpleNamespace(workloads=lambda: [EDITOR, BACKUP])),  # type: ignore[arg-type]
            profiles=Profiles(),  # type: ignore[arg-type]
        )
        history_writer: Any = SimpleNamespace(candidate=lambda candidate: None)
        beliefs: Any = SimpleNamespace(warnings=no_warnings)
        self.episodes_handler = EpisodesHandler(
            episodes=self.episodes,
            trials=none,  # type: ignore[arg-type]
            history_writer=history_writer,
            log=none,  # type: ignore[arg-type]
            autopilot=none,  # type: ignore[arg-type]
            workloads=SimpleNamespace(workload=seen),  # type: ignore[arg-type]
            goals=SimpleNamespace(understood=understood),  # type: ignore[arg-type]
            judging=judging,
        )
        made = asyncio.run(create(CandidateRequest(library="fifo"), "", None))
        self.candidates_handler = CandidatesHandler(
            candidates=SimpleNamespace(create=create, get=lambda id: made),  # type: ignore[arg-type]
            episodes=self.episodes,
            history_writer=history_writer,
            backoff_store=SimpleNamespace(  # type: ignore[arg-type]
                state=SimpleNamespace(quarantine_of=lambda id, now: None)
            ),
            autopilot=SimpleNamespace(gates_met=lambda candidate: None),  # type: ignore[arg-type]
            preparation=SimpleNamespace(making_way=nullcontext),  # type: ignore[arg-type]
            judging=judging,
            beliefs=beliefs,
        )
        self.trials_handler = TrialsHandler(
            **dict.fromkeys(
                ("config", "trials", "candidates", "backoff_store", "loader", "profiles"),
                none,
            ),  # type: ignore[arg-type]
            episodes=self.episodes,
            history_writer=history_writer,
            judging=judging,
            beliefs=beliefs,
            publish=self.publish,
        )

    def publish(self, kind: EventKind, message: str, **fields: Any) -> Event:
        self.said.append(message)
        return Event(seq=len(self.said), at=1.0, kind=kind, message=message)

    def open(
        self, goal: str, objective: str | None = None, *guards: tuple[str, str]
    ) -> EpisodeView:
        request = EpisodeRequest(
            workload=EDITOR,
            goal=goal,
            objective=objective,
            guards=[GuardRequest(workload=who, text=text) for who, text in guards],
        )
        return asyncio.run(self.episodes_handler.open_episode(request))

    def check(self, objective: str | None, *guards: tuple[str, str]) -> EpisodeView:
        """A candidate is checked in the open episode, with this objective for its trial."""
        episode = self.episodes.open
        assert episode is not None
        request = CandidateRequest(
            library="fifo",
            episode=episode.id,
            objective=objective,
            guards=[GuardRequest(workload=who, text=text) for who, text in guards],
        )
        told = asyncio.run(self.candidates_handler.create_candidate(request))
        view = episode.view()
        # What it was given is told as it was read.
        assert told.objective == view.objective
        assert [each.text for each in told.guards] == [each.text for each in view.guards]
        return view

    def refused(self, objective: str | None = None) -> Fault:
        """Why a trial in the open episode is not started."""
        episode = self.episodes.open
        assert episode is not None
        request = TrialRequest(
            candidate="c-0001", workload=EDITOR, episode=episode.id, objective=objective
        )
        with pytest.raises(Fault) as refused:
            asyncio.run(self.trials_handler.start_trial(request))
        return refused.value


def guards(view: EpisodeView) -> list[tuple[str, str]]:
    return [(each.workload, each.text) for each in view.guards]


def test_a_goal_becomes_an_objective_and_guards() -> None:
    """Objective and guards are in the view and in the journal."""
    machine = Machine()
    view = machine.open(GOAL)
    assert (view.objective, view.question) == (TYPING, "")
    assert guards(view) == [GOES_ON]
    assert f"judged by {TYPING}, with {BACKUP} cpu not worse than 75%" in machine.said[0]


def test_what_a_person_gives_so_that_it_can_be_measured_wins() -> None:
    """Each works alone: a given objective keeps the guards of the words, and the other way
    round."""
    view = Machine().open(GOAL, "response p95 < 20ms")
    assert view.objective == "response p95 < 20ms"
    assert guards(view) == [GOES_ON]
    view = Machine().open(GOAL, None, (BACKUP, "completions not worse than 20%"))
    assert view.objective == TYPING
    assert guards(view) == [(BACKUP, "completions not worse than 20%")]


@pytest.mark.parametrize(
    ("objective", "guard", "column"),
    [("respnse p99", None, "column 1"), (None, "cpu not worse", "column 14")],
)
def test_a_text_that_cannot_be_understood_opens_nothing(
    objective: str | None, guard: str | None, column: str
) -> None:
    """The fault has the column and a suggestion."""
    machine = Machine()
    with pytest.raises(Fault) as bad:
        machine.open(GOAL, objective, *([(BACKUP, guard)] if guard else []))
    assert bad.value.type is FaultType.BAD_PARAMETER
    assert column in bad.value.where
    assert bad.value.hint
    assert machine.episodes.open is None


def test_an_open_question_is_told_and_no_trial_is_started_before_it_is_answered() -> None:
    """Nothing is judged by a guess; an advisor that gives an objective may continue."""
    machine = Machine()
    view = machine.open("make it better, but do not starve the backup")
    assert view.objective == ""
    assert "what is to become better?" in view.question
    assert guards(view) == [(BACKUP, "cpu not worse than 50%")]
    assert "open question: " in machine.said[0]
    refused = machine.refused()
    assert refused.type is FaultType.BAD_REQUEST
    assert "what is to become better?" in refused.why
    view = machine.check("response p99 lower")
    assert (view.objective, view.question) == ("response p99", "")
    assert guards(view) == [(BACKUP, "cpu not worse than 50%")]


def test_an_advisor_corrects_how_the_words_were_read() -> None:
    """From then on its objective is in the episode's view, and the guards of the words stay."""
    machine = Machine()
    machine.open(GOAL)
    view = machine.check(
        "response p95; completions not worse than 10%", ("comm:x", "cpu not worse than 20%")
    )
    assert view.objective == "response p95; completions not worse than 10%"
    assert guards(view) == [GOES_ON, ("comm:x", "cpu not worse than 20%")]


def test_no_advisor_corrects_what_a_person_said() -> None:
    """Neither another objective nor a weaker guard is accepted."""
    machine = Machine()
    machine.open(GOAL, "response p99", GOES_ON)
    refused = machine.refused("cpu")
    assert refused.type is FaultType.NOT_ALLOWED
    assert "judged by `response p99`" in str(refused)
    view = machine.check("response p99 lower", (BACKUP, "cpu not worse than 99%"))
    assert guards(view) == [GOES_ON]


def test_a_goal_in_no_words_is_what_suits_the_workload() -> None:
    """The default for the workload decides, or the objective that the operator declared."""
    assert Machine().open(ANY_GOAL).objective == "response p95; completions"
    declared = Declared(EDITOR, parse_objective("response p90 < 1ms"))
    view = Machine(declared).open("make it better")
    assert view.objective == "response p90 < 1ms"
    assert view.question == ""
    assert "unclear in the goal" in " ".join(view.warnings)
