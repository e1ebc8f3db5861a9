# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes: from a degradation to its result, one open at a time."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.api.models import (
    CloseRequest,
    Cost,
    Degradation,
    EpisodeState,
    EpisodeView,
    EventKind,
    GuardView,
    ProfileView,
    TrialView,
)
from daemon.decide.criteria import Criteria
from daemon.decide.episode_states import EPISODE_LIFE, EpisodeChange
from daemon.decide.objective import Guard, Objective, guarding
from daemon.gates.candidates import Publish
from process import Fault, FaultType

# How many episodes are kept in memory; all are in the history.
MOST_EPISODES = 64
# How many notes of advice one episode may have.
MOST_ADVICE = 32


@dataclass
class Episode:
    """One episode, open or over."""

    id: str
    workload: str
    reason: str
    at: float
    trigger: Degradation | None = None
    goal: str = ""
    objective: Objective | None = None
    guards: tuple[Guard, ...] = ()
    warnings: tuple[str, ...] = ()
    # The open question about the goal; until it is answered there is no objective.
    question: str = ""
    # A person gave the objective: no advisor may change it.
    settled: bool = False
    profile: ProfileView | None = None
    ended: float = 0.0
    advisor: str = ""
    advice: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    trials: "OrderedDict[str, TrialView]" = field(default_factory=OrderedDict)
    outcome: str = ""
    cost: Cost = field(default_factory=Cost)
    _state: EpisodeState = field(init=False)

    def __post_init__(self) -> None:
        first = EpisodeChange.TRIED_BY_HAND if self.by_hand else EpisodeChange.ASKED
        self._state = EPISODE_LIFE.begin(EpisodeChange.DEGRADED if self.trigger else first)

    @property
    def by_hand(self) -> bool:
        """Whether it is only the record of a person's action."""
        return self.trigger is None and not self.goal

    @property
    def state(self) -> EpisodeState:
        return self._state

    def end(self, change: EpisodeChange, outcome: str, at: float) -> None:
        """Raises NoSuchTransition if it is over already."""
        self._state = EPISODE_LIFE.after(self._state, change)
        self.ended, self.outcome = at, outcome

    def view(self) -> EpisodeView:
        return EpisodeView(
            id=self.id,
            state=self.state,
            at=self.at,
            ended=self.ended,
            workload=self.workload,
            goal=self.goal,
            objective=self.objective.canonical if self.objective else "",
            guards=self._guards(),
            question=self.question,
            warnings=list(self.warnings),
            trigger=self.trigger,
            profile=self.profile,
            advisor=self.advisor,
            advice=list(self.advice),
            candidates=list(self.candidates),
            trials=list(self.trials.values()),
            outcome=self.outcome,
            cost=self.cost,
        )

    def _guards(self) -> list[GuardView]:
        """Each in the state in which the last trial with it left it."""
        judged = {
            (each.workload, each.text): each
            for trial in self.trials.values()
            for each in trial.guards
        }
        views = [each.view() for each in self.guards]
        return [judged.get((each.workload, each.text), each) for each in views]


class Episodes:
    """Opens, updates and closes them; `on_change` stores each new state."""

    def __init__(self, *, publish: Publish, on_change: Callable[[Episode], None]) -> None:
        self._publish = publish
        self._on_change = on_change
        self._known: OrderedDict[str, Episode] = OrderedDict()
        self._open: Episode | None = None

    @property
    def open(self) -> Episode | None:
        return self._open

    def get(self, id: str) -> Episode:
        """Raises Fault NOT_FOUND."""
        if id not in self._known:
            raise Fault(
                FaultType.NOT_FOUND,
                f"there is no episode {id!r}",
                hint="`schedpilot history` lists them",
            )
        return self._known[id]

    def get_open(self, id: str) -> Episode:
        """Raises Fault NOT_FOUND, or BAD_REQUEST when it is over."""
        episode = self.get(id)
        if episode.state is not EpisodeState.OPEN:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"episode {id} is closed",
                why=episode.outcome,
                hint="a new one opens with the next degradation",
            )
        return episode

    def last(self, count: int) -> list[Episode]:
        """The newest first."""
        return list(reversed(self._known.values()))[:count]

    def begin(
        self, trigger: Degradation, profile: ProfileView, criteria: Criteria | None = None
    ) -> Episode:
        """Open one for a degradation; an advisor handles it from here on."""
        episode = self._add(trigger.workload, trigger.reason, trigger, profile, criteria=criteria)
        self._open = episode
        self._publish(
            EventKind.EPISODE_OPENED,
            f"episode {episode.id}: {trigger.reason}{judged_by(episode)}",
            episode=episode.id,
            workload=trigger.workload,
            reason=trigger.reason,
        )
        return episode

    def begin_asked(
        self,
        workload: str,
        goal: str,
        profile: ProfileView,
        criteria: Criteria | None = None,
        *,
        question: str = "",
        settled: bool = False,
    ) -> Episode:
        """Open one because a person wants it; an advisor handles it from here on.

        With a `question` the objective is open; the guards hold nevertheless.

        Raises:
            Fault: BUSY if one is open.
        """
        if self._open is not None:
            raise Fault(
                FaultType.BUSY,
                f"episode {self._open.id} is open",
                why="episodes are handled one after the other",
                hint="wait for its end: `schedpilot status`",
            )
        episode = self._add(
            workload,
            f"asked for: {goal}",
            None,
            profile,
            goal,
            criteria=criteria,
            question=question,
        )
        episode.settled = settled
        self._open = episode
        self._publish(
            EventKind.EPISODE_OPENED,
            f"episode {episode.id}: {episode.reason}{judged_by(episode)}",
            episode=episode.id,
            workload=workload,
            reason=episode.reason,
        )
        return episode

    def begin_by_hand(self, workload: str, reason: str, profile: ProfileView | None) -> Episode:
        """The record of a person's request; it does not belong to the advisor."""
        return self._add(workload, reason, None, profile)

    def end_by_hand(self, episode: Episode, outcome: str) -> None:
        """Its trial is over. If somebody has closed it before, that stands."""
        if episode.state is EpisodeState.OPEN:
            episode.advisor = "by-hand"
            self._end(episode, EpisodeChange.TRIAL_ENDED, outcome)

    def _add(
        self,
        workload: str,
        reason: str,
        trigger: Degradation | None,
        profile: ProfileView | None,
        goal: str = "",
        *,
        criteria: Criteria | None = None,
        question: str = "",
    ) -> Episode:
        episode = Episode(
            id=f"e-{secrets.token_hex(5)}",
            workload=workload,
            reason=reason,
            at=time.time(),
            trigger=trigger,
            goal=goal,
            profile=profile,
        )
        if criteria is not None:
            _measure_by(episode, criteria)
        if question:
            episode.objective, episode.question = None, question
        self._known[episode.id] = episode
        while len(self._known) > MOST_EPISODES:
            self._known.popitem(last=False)
        self._on_change(episode)
        return episode

    def advise(self, episode: Episode, text: str, candidate: str) -> None:
        """Note an advisor's recommendation.

        Raises:
            Fault: TOO_LARGE if there is too much of it already.
        """
        if len(episode.advice) >= MOST_ADVICE:
            raise Fault(
                FaultType.TOO_LARGE,
                f"episode {episode.id} has {MOST_ADVICE} notes of advice already",
            )
        episode.advice.append(text)
        self._on_change(episode)
        self._publish(
            EventKind.ADVICE,
            f"advice: {text}",
            episode=episode.id,
            workload=episode.workload,
            candidate=candidate,
        )

    def note_candidate(self, episode: Episode, candidate: str) -> None:
        if candidate not in episode.candidates:
            episode.candidates.append(candidate)
            self._on_change(episode)

    def judge_by(self, episode: Episode, criteria: Criteria) -> None:
        """From here on its trials are judged by this: a person or an advisor corrected it."""
        if (episode.objective, episode.guards) != (criteria.objective, criteria.guards):
            _measure_by(episode, criteria)
            self._on_change(episode)

    def note_trial(self, episode: Episode, trial: TrialView) -> None:
        episode.trials[trial.id] = trial
        self._on_change(episode)

    def close(self, episode: Episode, request: CloseRequest) -> None:
        episode.advisor = request.advisor
        episode.cost = Cost(**request.cost.model_dump())
        self._end(episode, EpisodeChange.CLOSED, request.summary)

    def close_abandoned(self, now: float, patience_s: float, busy: bool) -> None:
        """End an episode that no advisor handled. `busy`: a trial of it is running."""
        episode = self._open
        if episode is not None and not busy and now - episode.at > patience_s:
            self._end(episode, EpisodeChange.ABANDONED, "no advisor handled it in time")

    def _end(self, episode: Episode, change: EpisodeChange, outcome: str) -> None:
        episode.end(change, outcome, time.time())
        if self._open is episode:
            self._open = None
        self._on_change(episode)
        self._publish(
            EventKind.EPISODE_CLOSED,
            f"episode {episode.id} closed: {outcome}",
            episode=episode.id,
            workload=episode.workload,
            reason=outcome,
        )


def judged_by(episode: Episode) -> str:
    """How its trials are judged, for the journal."""
    if episode.objective is None:
        return f"; open question: {episode.question}" if episode.question else ""
    return f"; judged by {episode.objective.title}{guarding(episode.guards)}"


def _measure_by(episode: Episode, criteria: Criteria) -> None:
    episode.objective, episode.guards = criteria.objective, criteria.guards
    episode.warnings = criteria.warnings
    episode.question = ""
