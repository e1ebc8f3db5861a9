# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes, and the actions of advisors and persons on them."""

from dataclasses import replace

from daemon.api.models import (
    ANY_GOAL,
    AdviceRequest,
    CloseRequest,
    EpisodeRequest,
    EpisodeView,
    GuardRequest,
    StepRequest,
    StepView,
    TrialState,
)
from daemon.autopilot import Autopilot
from daemon.handlers.goals import GoalsHandler
from daemon.handlers.judging import Judging
from daemon.handlers.workloads import WorkloadsHandler
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.trials import Trials
from daemon.memory.history_writer import HistoryWriter
from daemon.service.events import EventLog
from process import Fault, FaultType


class EpisodesHandler:
    def __init__(
        self,
        *,
        episodes: Episodes,
        trials: Trials,
        history_writer: HistoryWriter,
        log: EventLog,
        autopilot: Autopilot,
        workloads: WorkloadsHandler,
        goals: GoalsHandler,
        judging: Judging,
    ) -> None:
        self._episodes = episodes
        self._trials = trials
        self._history_writer = history_writer
        self._log = log
        self._autopilot = autopilot
        self._workloads = workloads
        self._goals = goals
        self._judging = judging

    async def episodes(self, last: int) -> list[EpisodeView]:
        return [self._live(view) for view in self._history_writer.episodes(last)]

    async def episode(self, id: str) -> EpisodeView:
        view = self._history_writer.episode_view(id)
        if view is None:
            view = self._episodes.get(id).view()
        events = [event for event in self._log.recorded() if event.episode == id]
        return self._live(view).model_copy(update={"events": events})

    def _live(self, view: EpisodeView) -> EpisodeView:
        """With the current state of the running trial."""
        running = self._trials.running
        if running is None or running.request.episode != view.id:
            return view
        others = [trial for trial in view.trials if trial.id != running.id]
        return view.model_copy(update={"trials": [*others, running.view()]})

    async def steps(self, episode: str) -> list[StepView]:
        if self._history_writer.episode_view(episode) is None:
            self._episodes.get(episode)
        return self._history_writer.steps(episode)

    async def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        seen = await self._workloads.workload(request.workload)
        goal = None
        if request.goal != ANY_GOAL:
            goal = await self._goals.understood(request.goal, request.workload)
        guards = request.guards
        if goal is not None and not guards:
            guards = [GuardRequest(workload=each.workload, text=each.text) for each in goal.guards]
        asked = request.objective
        if goal is not None and not goal.question:
            asked = asked or goal.objective
        criteria = self._judging.asked(request.workload, asked, guards, seen.profile)
        notes = list(goal.notes) if goal else []
        question = goal.question if goal else ""
        if question and (request.objective or self._judging.declared_for(request.workload)):
            # The goal says less than other sources.
            notes.append(f"unclear in the goal: {question}")
            question = ""
        criteria = replace(criteria, warnings=(*notes, *criteria.warnings))
        episode = self._episodes.begin_asked(
            request.workload,
            request.goal,
            seen.profile,
            criteria,
            question=question,
            settled=request.objective is not None,
        )
        return episode.view()

    async def record_step(self, episode: str, request: StepRequest) -> None:
        self._history_writer.step(self._episodes.get_open(episode).id, request)

    async def advise(self, episode: str, request: AdviceRequest) -> EpisodeView:
        found = self._episodes.get_open(episode)
        self._episodes.advise(found, request.text, request.candidate or "")
        return found.view()

    async def close_episode(self, episode: str, request: CloseRequest) -> EpisodeView:
        found = self._episodes.get_open(episode)
        running = self._trials.running
        if running is not None and running.request.episode == episode:
            raise Fault(
                FaultType.BUSY,
                f"episode {episode} has a trial under way",
                hint="close it after the verdict",
            )
        self._episodes.close(found, request)
        kept = any(trial.state is TrialState.KEPT for trial in found.trials.values())
        self._autopilot.episode_closed(found.workload, kept)
        return found.view()
