# SPDX-License-Identifier: GPL-2.0-or-later
"""What clients of the control socket may have done, each checked whole before it is begun."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daemon.api.display import displayable
from daemon.api.models import (
    ANY_GOAL,
    AdviceRequest,
    ApprovalRequest,
    Autonomy,
    CallsRequest,
    CallsView,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    EpisodeRequest,
    EpisodeView,
    EventKind,
    GuardRequest,
    HoldRequest,
    LessonRequest,
    LessonView,
    MeasurementRequest,
    ParametersRequest,
    ProbeRequest,
    ProbeView,
    RecordingRequest,
    RecordingView,
    RollbackRequest,
    StatusView,
    StepRequest,
    TrialRequest,
    TrialState,
    TrialView,
    WindowValue,
)
from daemon.autopilot import Autopilot
from daemon.config import Config
from daemon.decide import backoff
from daemon.decide.objective import Objective, guarding
from daemon.decide.settings import TrialSettings
from daemon.decide.trial_states import TrialChange
from daemon.decide.yardstick import Yardstick, yardstick_of
from daemon.gates.candidates import Candidate, Candidates, Publish
from daemon.gates.preparation import Preparation
from daemon.handlers.reading import Reader
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episode, Episodes
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trial, Trials
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import Lessons
from daemon.memory.saved_policies import SavedPolicies
from daemon.signals.recordings import Recordings
from daemon.signals.watch import Watch
from daemon.understanding.calls import CallCounts
from daemon.understanding.probing import Probing
from process import Fault, FaultType
from scheduler_library.parameters import check_parameters
from simulator.gates import Judged


class Actor:
    """Implements `daemon.api.service.Acting`."""

    def __init__(
        self,
        *,
        config: Config,
        reader: Reader,
        loader: SchedulerLoader,
        watch: Watch,
        trials: Trials,
        episodes: Episodes,
        candidates: Candidates,
        autopilot: Autopilot,
        backoff_store: BackoffStore,
        history_writer: HistoryWriter,
        lessons: Lessons,
        recordings: Recordings,
        saved_policies: SavedPolicies,
        preparation: Preparation,
        publish: Publish,
    ) -> None:
        self._config = config
        self._reader = reader
        self._loader = loader
        self._watch = watch
        self._trials = trials
        self._episodes = episodes
        self._candidates = candidates
        self._autopilot = autopilot
        self._backoff_store = backoff_store
        self._history_writer = history_writer
        self._lessons = lessons
        self._recordings = recordings
        self._saved_policies = saved_policies
        self._preparation = preparation
        self._probing = Probing()
        self._calls = CallCounts()
        self._publish = publish

    # ------------------------------------------------------------ candidates

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        episode = self._episodes.get_open(request.episode) if request.episode else None
        judged = None
        if request.objective or request.guards:
            # A mistake in it is told before any gate is met.
            workload = episode.workload if episode else request.workload or ""
            judged = self._judged(episode, workload, request.objective, request.guards)
            if episode is not None:
                self._episodes.judge_by(episode, judged)
        workload = request.workload or (episode.workload if episode else "")
        predicted = judged or self._expected(episode, workload)
        with self._preparation.making_way():
            candidate = await self._candidates.create(
                request, workload, _judged_by(workload, predicted) if predicted else None
            )
        self._history_writer.candidate(candidate)
        self._autopilot.gates_met(candidate)
        if episode is not None:
            self._episodes.note_candidate(episode, candidate.id)
        view = await self._reader.candidate(candidate.id)
        warnings = await self._reader.warnings(
            candidate.id,
            request.workload or "",
            episode.id if episode else "",
            judged.objective.canonical if judged else "",
        )
        told = {"warnings": warnings}
        if judged is None:
            return view.model_copy(update=told)
        guards = [each.view() for each in judged.guards]
        read = {"objective": judged.objective.canonical, "guards": guards}
        return view.model_copy(update={**told, **read})

    # ------------------------------------------------------------ trials

    async def start_trial(self, request: TrialRequest) -> TrialView:
        yardstick = self._yardstick(request)
        view = await self._started(request, yardstick)
        warnings = await self._reader.warnings(
            request.candidate,
            request.workload or "",
            request.episode or "",
            yardstick.objective.canonical if request.objective else "",
        )
        return view.model_copy(update={"warnings": [*yardstick.warnings, *warnings]})

    async def _started(self, request: TrialRequest, yardstick: Yardstick) -> TrialView:
        candidate = self._candidates.get(request.candidate)
        now = time.time()
        self._backoff_store.state.check_quarantine(candidate.id, now)
        candidate.loadable()
        objective = self._with_units(yardstick.objective)
        yardstick = replace(yardstick, objective=objective)
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
            # A client that asks again, or lost the answer, leaves a person one question.
            if waits := self._trials.asked_before(request):
                return waits.view()
            trial = self._propose(request, candidate, yardstick, settings, f"a-{_fresh()}")
            self._publish(
                EventKind.APPROVAL_WANTED,
                f"{candidate.name} would be tried on {objective.title}{guarding(trial.guards)}; "
                f"`schedpilot approve {trial.approval}` lets it",
                trial=trial.id,
                episode=trial.request.episode or "",
                candidate=candidate.id,
                scheduler=candidate.name,
                workload=trial.workload,
            )
            return trial.view()
        trial = self._propose(request, candidate, yardstick, settings, "")
        self._begin(trial)
        if by_hand:
            await trial.changed.wait()
        return trial.view()

    def _propose(
        self,
        request: TrialRequest,
        candidate: Candidate,
        yardstick: Yardstick,
        settings: TrialSettings,
        approval: str,
    ) -> Trial:
        """Note the trial in its episode; a trial by hand gets an episode of its own."""
        objective = yardstick.objective
        if not request.episode:
            profile = self._reader.profile(request.workload) if request.workload else None
            episode = self._episodes.begin_by_hand(
                request.workload or "", f"by hand: {candidate.name} on {objective.title}", profile
            )
            request = request.model_copy(update={"episode": episode.id})
        if request.episode and (request.objective or request.guards):
            self._episodes.judge_by(self._episodes.get(request.episode), yardstick)
        trial = self._trials.propose(
            request,
            candidate,
            objective,
            settings,
            guards=yardstick.guards,
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
                f"{candidate.name} ({candidate.id}) is what runs now",
                why="a trial compares a candidate with something else",
                hint="`schedpilot stop` first, to compare it with the kernel's default",
            )

    def _expected(self, episode: Episode | None, workload: str) -> Yardstick | None:
        """By what a trial would be judged as things stand; None without a workload."""
        if not workload:
            return None
        own = episode is not None and episode.workload == workload
        return yardstick_of(
            workload,
            before=episode.objective if episode and own else None,
            guards_before=episode.guards if episode else (),
            declared=self._config.declared,
            profile=self._reader.profile(workload),
        )

    def _yardstick(self, request: TrialRequest) -> Yardstick:
        """By what a trial is judged."""
        episode = self._episodes.get_open(request.episode) if request.episode else None
        workload = request.workload or ""
        return self._judged(episode, workload, request.objective, request.guards)

    def _judged(
        self,
        episode: Episode | None,
        workload: str,
        asked: str | None,
        guards: Sequence[GuardRequest],
    ) -> Yardstick:
        """By what a trial of this workload is judged, in an episode or in none.

        Raises:
            Fault: a text that cannot be understood, a goal that is not clear yet, or an objective
                that is another one than a person gave.
        """
        own = episode is not None and episode.workload == workload
        found = yardstick_of(
            workload,
            asked=asked,
            guards=guards,
            before=episode.objective if episode and own else None,
            guards_before=episode.guards if episode else (),
            declared=self._config.declared,
            profile=self._reader.profile(workload) if workload else None,
            present=self._watch.series.workloads(),
        )
        if episode is None or not own:
            return found
        if episode.question and not asked:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"it is not clear by what episode {episode.id} is judged",
                why=f"its goal is {displayable(episode.goal, 200)!r}: {episode.question}",
                hint="give the objective that the goal means, as `objective`, or ask the person",
            )
        given = episode.objective if episode.settled else None
        if given and found.objective.canonical != given.canonical:
            raise Fault(
                FaultType.NOT_ALLOWED,
                f"episode {episode.id} is judged by `{given.canonical}`",
                why="a person said so",
                hint="leave `objective` out",
            )
        return found.beside(episode.guards, settled=episode.settled)

    def _with_units(self, objective: Objective) -> Objective:
        """With the units of what is posted, where the objective's text names none."""
        posted = {name: self._watch.measurements(name, 0.0) for name in objective.measured}
        return objective.with_units(
            {name: found[-1].unit for name, found in posted.items() if found}
        )

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
        # Before it counts as begun: it waits on where it cannot start at this moment.
        self._trials.refuse_if_busy()
        self._refuse_same(trial.candidate)
        self._backoff_store.state.check_trial(
            trial.candidate.id, time.time(), self._backoff_store.limits
        )
        self._begin(trial)
        return trial.view()

    # ------------------------------------------------------------ by the operator's hand

    async def hold(self, request: HoldRequest) -> StatusView:
        self._trials.refuse_if_busy()
        candidate = self._candidates.get(request.candidate)
        self._backoff_store.state.check_quarantine(candidate.id, time.time())
        before, what = self._loader.loaded, candidate.loadable()
        try:
            loaded = await self._loader.load(what, "operator")
        except Fault as fault:
            await self._autopilot.hold_failed(candidate, fault, before)
            raise
        self._autopilot.changed()
        self._publish(
            EventKind.LOADED,
            f"{candidate.name} was loaded by hand and is held",
            candidate=candidate.id,
            scheduler=loaded.what.name,
        )
        await self._saved_policies.held(candidate)
        return await self._reader.status()

    async def release(self, reason: str) -> StatusView:
        await self._trials.end(reason)
        loaded = await self._loader.unload()
        self._autopilot.changed()
        if loaded is not None:
            self._publish(
                EventKind.UNLOADED,
                f"{loaded.what.name} was unloaded, the kernel default runs: {reason}",
                candidate=loaded.what.candidate,
                scheduler=loaded.what.name,
                reason=reason,
            )
        return await self._reader.status()

    async def rollback(self, request: RollbackRequest) -> StatusView:
        if await self._trials.end(request.reason):
            return await self._reader.status()
        if self._loader.loaded is None:
            raise Fault(
                FaultType.NOT_FOUND,
                "there is nothing to roll back",
                why="no scheduler of ours is in the kernel",
            )
        await self._autopilot.roll_back(request.reason)
        return await self._reader.status()

    async def set_parameters(self, request: ParametersRequest) -> StatusView:
        loaded = self._loader.loaded
        parameters = dict(request.parameters)
        if parameters:
            # The verdict would be on something else than the candidate. Maps may be filled.
            self._trials.refuse_if_busy()
        if loaded is not None:
            candidate = self._candidates.get(loaded.what.candidate)
            if candidate.manifest is not None and parameters:
                parameters = dict(check_parameters(candidate.manifest, parameters, live=True))
        maps = {
            name: {int(key): value for key, value in entries.items()}
            for name, entries in request.maps.items()
        }
        await self._loader.set_parameters(parameters, maps)
        return await self._reader.status()

    # ------------------------------------------------------------ what others know

    async def record_lesson(self, request: LessonRequest) -> LessonView:
        view = self._lessons.record(
            request.text, "advisor", request.episode or "", request.trial or "", time.time()
        )
        self._publish(EventKind.LESSON, f"lesson: {view.text}", episode=view.episode)
        return view

    async def record_measurement(self, request: MeasurementRequest) -> None:
        self._watch.measure(request.name, request.value, request.unit, request.started)

    async def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        seen = await self._reader.workload(request.workload)
        goal = None
        if request.goal != ANY_GOAL:
            goal = await self._reader.understood(request.goal, request.workload)
        guards = request.guards
        if goal is not None and not guards:
            guards = [GuardRequest(workload=each.workload, text=each.text) for each in goal.guards]
        asked = request.objective
        if goal is not None and not goal.question:
            asked = asked or goal.objective
        yardstick = yardstick_of(
            request.workload,
            asked=asked,
            guards=guards,
            declared=self._config.declared,
            profile=seen.profile,
            present=self._watch.series.workloads(),
        )
        notes = list(goal.notes) if goal else []
        question = goal.question if goal else ""
        if question and (request.objective or self._declared(request.workload)):
            # The goal says less than what is known from elsewhere.
            notes.append(f"of the goal this is open: {question}")
            question = ""
        yardstick = replace(yardstick, warnings=(*notes, *yardstick.warnings))
        episode = self._episodes.begin_asked(
            request.workload,
            request.goal,
            seen.profile,
            yardstick,
            question=question,
            settled=request.objective is not None,
        )
        return episode.view()

    def _declared(self, workload: str) -> bool:
        """Whether the operator said what counts for a workload."""
        return any(each.of([workload]) == [workload] for each in self._config.declared)

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

    # ------------------------------------------------------------ recordings

    async def record(self, request: RecordingRequest) -> RecordingView:
        return await self._recordings.start(request)

    async def run_probe(self, request: ProbeRequest) -> ProbeView:
        # What it costs would be in the windows of one arm and not of the other.
        self._trials.refuse_if_busy()
        return await self._probing.run(request, self._watch.line)

    async def count_calls(self, request: CallsRequest) -> CallsView:
        # One that is in place goes on through a trial, in both of its arms alike.
        return await self._calls.take(request, self._trials.refuse_if_busy)

    async def close(self) -> None:
        """Nothing that was begun here goes on."""
        await self._calls.close()

    async def stop_recording(self, id: str) -> RecordingView:
        return await self._recordings.stop(id)

    async def trace(self, id: str) -> Path:
        return self._recordings.trace(id)


def _judged_by(workload: str, yardstick: Yardstick) -> Judged:
    """The same, as the simulator takes it."""
    guards = tuple((each.workload, each.term.canonical) for each in yardstick.guards)
    return Judged(workload, yardstick.objective.canonical, guards)


def _fresh() -> str:
    return secrets.token_hex(5)
