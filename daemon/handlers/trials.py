# SPDX-License-Identifier: GPL-2.0-or-later
"""Trials: started, fed, approved by a person, and shown."""

import secrets
import time
from dataclasses import replace

from daemon.api.models import (
    ApprovalRequest,
    Autonomy,
    EventKind,
    TrialRequest,
    TrialView,
    WindowValue,
)
from daemon.config import Config
from daemon.decide import backoff
from daemon.decide.criteria import Criteria
from daemon.decide.objective import guarding
from daemon.decide.settings import TrialSettings
from daemon.decide.trial_states import TrialChange
from daemon.gates.candidates import Candidate, Candidates, Publish
from daemon.handlers.beliefs import BeliefsHandler
from daemon.handlers.judging import Judging
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trial, Trials
from daemon.memory.history_writer import HistoryWriter
from daemon.understanding.profiles import Profiles
from process import Fault, FaultType


class TrialsHandler:
    def __init__(
        self,
        *,
        config: Config,
        trials: Trials,
        episodes: Episodes,
        candidates: Candidates,
        history_writer: HistoryWriter,
        backoff_store: BackoffStore,
        loader: SchedulerLoader,
        profiles: Profiles,
        judging: Judging,
        beliefs: BeliefsHandler,
        publish: Publish,
    ) -> None:
        self._config = config
        self._trials = trials
        self._episodes = episodes
        self._candidates = candidates
        self._history_writer = history_writer
        self._backoff_store = backoff_store
        self._loader = loader
        self._profiles = profiles
        self._judging = judging
        self._beliefs = beliefs
        self._publish = publish

    async def trial(self, id: str) -> TrialView:
        try:
            return self._trials.get(id).view()
        except Fault:
            view = self._history_writer.trial_view(id)
            if view is None:
                raise
            return view

    async def start_trial(self, request: TrialRequest) -> TrialView:
        criteria = self._criteria(request)
        view = await self._started(request, criteria)
        warnings = await self._beliefs.warnings(
            request.candidate,
            request.workload or "",
            request.episode or "",
            criteria.objective.canonical if request.objective else "",
        )
        return view.model_copy(update={"warnings": [*criteria.warnings, *warnings]})

    async def _started(self, request: TrialRequest, criteria: Criteria) -> TrialView:
        candidate = await self._candidates.current(request.candidate)
        now = time.time()
        self._backoff_store.state.check_quarantine(candidate.id, now)
        candidate.loadable()
        objective = self._judging.with_units(criteria.objective)
        criteria = replace(criteria, objective=objective)
        settings = self._config.trial.asked(request.window_s, request.max_windows)
        if request.episode:
            self._episodes.get_open(request.episode)
        by_hand = request.fed_by_client
        self._trials.refuse_if_busy()
        self._refuse_same(candidate)
        if not by_hand:
            if self._config.daemon.autonomy is Autonomy.OBSERVE:
                raise Fault(
                    FaultType.NOT_ALLOWED,
                    "no trial was started",
                    why="the operator lets schedpilot observe and advise only",
                    hint='set `autonomy = "ask"` or `"auto"` in schedpilot.toml, or try it by '
                    "hand: schedpilot tune -- COMMAND",
                )
            self._backoff_store.state.check_trial(candidate.id, now, self._backoff_store.limits)
        if self._config.daemon.autonomy is Autonomy.ASK and not by_hand:
            # If a client repeats the request, or lost the answer, the person still has only one
            # question.
            if waits := self._trials.asked_before(request):
                return waits.view()
            trial = self._propose(request, candidate, criteria, settings, f"a-{_fresh()}")
            self._publish(
                EventKind.APPROVAL_WANTED,
                f"{candidate.name} would be tried on {objective.title}{guarding(trial.guards)}; "
                f"`schedpilot approve {trial.approval}` allows it",
                trial=trial.id,
                episode=trial.request.episode or "",
                candidate=candidate.id,
                scheduler=candidate.name,
                workload=trial.workload,
            )
            return trial.view()
        trial = self._propose(request, candidate, criteria, settings, "")
        self._begin(trial)
        if by_hand:
            await trial.changed.wait()
        return trial.view()

    def _propose(
        self,
        request: TrialRequest,
        candidate: Candidate,
        criteria: Criteria,
        settings: TrialSettings,
        approval: str,
    ) -> Trial:
        """Note the trial in its episode; a trial by hand gets an episode of its own."""
        objective = criteria.objective
        if not request.episode:
            profile = self._profiles.profile(request.workload) if request.workload else None
            episode = self._episodes.begin_by_hand(
                request.workload or "", f"by hand: {candidate.name} on {objective.title}", profile
            )
            request = request.model_copy(update={"episode": episode.id})
        if request.episode and (request.objective or request.guards):
            self._episodes.judge_by(self._episodes.get(request.episode), criteria)
        trial = self._trials.propose(
            request,
            candidate,
            objective,
            settings,
            guards=criteria.guards,
            approval=approval,
        )
        self._history_writer.candidate(candidate)
        self._history_writer.trial_started(trial.view())
        self._episodes.note_trial(self._episodes.get(trial.request.episode or ""), trial.view())
        return trial

    def _begin(self, trial: Trial) -> None:
        try:
            self._trials.begin(trial)
        except Fault as fault:
            trial.end(TrialChange.NOT_STARTED, str(fault))
            self._not_begun(trial)
            raise
        if not trial.request.fed_by_client:
            self._backoff_store.become(
                backoff.trial_started(self._backoff_store.state, time.time())
            )

    def _not_begun(self, trial: Trial) -> None:
        """Note the end of a trial that never ran."""
        episode = self._episodes.get(trial.request.episode or "")
        self._episodes.note_trial(episode, trial.view())
        self._history_writer.trial_ended(trial.view())
        if episode.by_hand:
            self._episodes.end_by_hand(episode, trial.reason)

    def _refuse_same(self, candidate: Candidate) -> None:
        loaded = self._loader.loaded
        if loaded is not None and loaded.what.candidate == candidate.id:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"{candidate.name} ({candidate.id}) is running now",
                why="a trial compares a candidate with something else",
                hint="`schedpilot stop` first, to compare it with the kernel's default",
            )

    def _criteria(self, request: TrialRequest) -> Criteria:
        """How a trial is judged."""
        episode = self._episodes.get_open(request.episode) if request.episode else None
        workload = request.workload or ""
        return self._judging.judged(episode, workload, request.objective, request.guards)

    async def feed_window(self, trial: str, request: WindowValue) -> TrialView:
        found = self._trials.get(trial)
        await self._trials.feed(found, request.value)
        return found.view()

    async def approve(self, id: str, request: ApprovalRequest) -> TrialView:
        trial = self._trials.by_approval(id)
        if not request.approve:
            self._trials.decline(trial, request.reason)
            self._not_begun(trial)
            return trial.view()
        # Before it counts as started: it keeps waiting if it cannot start at this moment.
        self._trials.refuse_if_busy()
        self._refuse_same(trial.candidate)
        self._backoff_store.state.check_trial(
            trial.candidate.id, time.time(), self._backoff_store.limits
        )
        self._begin(trial)
        return trial.view()


def _fresh() -> str:
    return secrets.token_hex(5)
