# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers for those who read: everything here looks, nothing changes."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from bpf.kernel import config as kernel_config
from bpf.signals.source import SignalsLine
from daemon.api.models import (
    CandidateView,
    Degradation,
    EpisodeView,
    Event,
    GoalView,
    KernelView,
    LearnedView,
    LessonView,
    LoadedScheduler,
    ObjectiveView,
    OutcomeView,
    ParameterView,
    ProbeKindView,
    ProfileView,
    ProgramKind,
    RecordingView,
    SchedulerDetail,
    SchedulerView,
    SignalPoint,
    SignalsView,
    StatusView,
    StepView,
    TrialView,
    WorkloadDetail,
    WorkloadProfileView,
    WorkloadView,
)
from daemon.autopilot import Autopilot
from daemon.config import Config
from daemon.decide import detect
from daemon.decide.defaults import warnings_of
from daemon.decide.jobs import Jobs
from daemon.decide.values import value_of
from daemon.gates.candidates import Candidates
from daemon.gates.preparation import Preparation
from daemon.handlers import goals
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trials
from daemon.memory.beliefs import BeliefQuestion, Beliefs, is_installed
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import Lessons
from daemon.service import metrics
from daemon.service.events import EventLog
from daemon.signals.recordings import Recordings
from daemon.signals.watch import Watch
from daemon.understanding.inventory import last_level_caches, names_of, processes_of
from daemon.understanding.probing import there_are
from daemon.understanding.profile import NOTHING, Besides, profile_of
from process import Fault, FaultType
from process.run import PATH
from scheduler_library import external
from scheduler_library.catalog import Catalog, Entry
from scheduler_library.manifest import Kind, Parameter
from scheduler_library.this_machine import compile_here

if TYPE_CHECKING:
    from daemon.decide.goals import Understood
    from daemon.understanding.programs import Known, Programs

# The intervals a profile is made from: what it is like now, and not what it was like.
PROFILE_INTERVALS = 20
PROCESSES_SHOWN = 20
# Profiles in the making at once.
MOST_LOOKING = 2


class Reader:
    """Implements `daemon.api.service.Reading`."""

    def __init__(
        self,
        *,
        config: Config,
        loader: SchedulerLoader,
        watch: Watch,
        trials: Trials,
        episodes: Episodes,
        candidates: Candidates,
        autopilot: Autopilot,
        backoff_store: BackoffStore,
        history_writer: HistoryWriter,
        lessons: Lessons,
        beliefs: Beliefs,
        recordings: Recordings,
        jobs: Jobs,
        preparation: Preparation,
        log: EventLog,
        catalog: Callable[[], Catalog],
        notes: Callable[[], list[str]],
    ) -> None:
        self._config = config
        self._loader = loader
        self._watch = watch
        self._trials = trials
        self._episodes = episodes
        self._candidates = candidates
        self._autopilot = autopilot
        self._backoff_store = backoff_store
        self._history_writer = history_writer
        self._lessons = lessons
        self._beliefs = beliefs
        self._recordings = recordings
        self._jobs = jobs
        self._preparation = preparation
        self._log = log
        self._catalog = catalog
        self._notes = notes
        self._programs: Programs | None = None
        self._caches = last_level_caches()
        self._looking = asyncio.Semaphore(MOST_LOOKING)
        self._since = time.time()
        self._tick_us = kernel_config.tick_us(kernel_config.find(os.uname().release).text())

    async def status(self) -> StatusView:
        now = time.time()
        kernel = self._loader.kernel()
        trial = self._trials.running
        backoff = self._backoff_store.state
        episode = self._episodes.open
        return StatusView(
            version=_version(),
            pid=os.getpid(),
            since=self._since,
            autonomy=self._config.daemon.autonomy,
            advice_only=backoff.advice_only(now),
            cooldown=backoff.cooldown(now, self._backoff_store.limits),
            kernel=KernelView(
                supported=kernel.supported,
                state=kernel.state,
                tick_us=self._tick_us,
                ops=kernel.ops,
                enable_seq=kernel.enable_seq,
                nr_rejected=kernel.nr_rejected,
            ),
            loaded=self._loaded(),
            foreign=self._loader.foreign(),
            trial=trial.id if trial else "",
            episode=episode.id if episode else "",
            approvals=self._trials.waiting(),
            degraded=self._autopilot.detection.degraded(),
            objectives=self._objectives(),
            quarantine=backoff.quarantined(now),
            preparation=self._preparation.view(),
            tolerated={
                **self._config.trial.tolerance.model_dump(),
                "starved_us": self._config.trial.starved_us,
            },
            notes=self._notes(),
        )

    def _loaded(self) -> LoadedScheduler | None:
        loaded = self._loader.loaded
        if loaded is None:
            return None
        return LoadedScheduler(
            name=loaded.what.name,
            candidate=loaded.what.candidate,
            policy=self._policy(loaded.what.candidate),
            parameters=dict(loaded.what.parameters),
            since=loaded.since,
            why=loaded.why,
            lease_s=self._loader.lease_s,
        )

    def _policy(self, candidate: str) -> str:
        """The text of a candidate that is a policy, as long as the candidate is remembered."""
        try:
            return self._candidates.get(candidate).policy
        except Fault:
            return ""

    def _objectives(self) -> list[ObjectiveView]:
        observation = self._watch.observation
        broken = {
            (each.workload, each.objective)
            for each in self._autopilot.detection.degraded()
            if each.objective
        }
        views = []
        ids = list(observation.workloads) if observation else []
        for declared in self._config.declared:
            objective = declared.objective
            for workload in declared.of(ids) or [declared.workload]:
                value = None
                if observation is not None:
                    found = [
                        each
                        for name in objective.measured
                        for each in self._watch.measurements(name, observation.began)
                    ]
                    value = value_of(objective, workload, [observation], found)
                view = objective.view(
                    workload,
                    value.value if value else None,
                    (workload, objective.text) in broken,
                )
                figures = self._lately(workload, self._began()).figures
                warned = "; ".join(warnings_of(objective, figures))
                views.append(view.model_copy(update={"warning": warned}))
        return views

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        line = self._watch.line
        return SignalsView(
            interval_s=self._watch.interval_s,
            at=line.time if line else 0.0,
            line=line.model_dump() if line else None,
            workload=workload,
            series=self._watch.series.since(workload, time.time() - last_s) if workload else [],
        )

    async def workloads(self) -> list[WorkloadView]:
        return [self._workload(id) for id in self._watch.series.workloads()]

    def _workload(self, id: str) -> WorkloadView:
        baseline = self._autopilot.detection.baseline(id, detect.KERNEL_DEFAULT)
        response = self._autopilot.detection.response(id, detect.KERNEL_DEFAULT)
        degraded = [each for each in self._autopilot.detection.degraded() if each.workload == id]
        return WorkloadView(
            id=id,
            last=self._watch.series.last(id),
            baseline_delay_p99_us=baseline.typical if baseline and baseline.count else None,
            baseline_response_p99_us=response.typical if response and response.count else None,
            degraded=degraded[0] if degraded else None,
            tags=self.profile(id).tags,
        )

    def profile(self, id: str) -> ProfileView:
        """What a workload is like, from its last minutes, and what is known of it besides."""
        began = self._began()
        before = [each for each in self._watch.series.since(id, 0.0) if each.at < began]
        return self._lately(id, began, self._besides(id, before))

    def _began(self) -> float:
        """When the last minutes began, that a workload is judged by."""
        return time.time() - PROFILE_INTERVALS * self._watch.interval_s

    def _lately(self, id: str, began: float, besides: Besides = NOTHING) -> ProfileView:
        """What a workload was like in its last minutes: its figures are those of `profile`."""
        line = self._watch.line
        return profile_of(
            id,
            self._watch.series.since(id, began),
            self._watch.observation,
            machine_cpus=line.machine.cpus if line else (os.cpu_count() or 1),
            machine_utilisation=line.machine.utilisation if line else 0.0,
            machine_caches=self._caches,
            finished=self._jobs.finished(id, time.time()),
            besides=besides,
        )

    def _besides(self, id: str, before: list[SignalPoint]) -> Besides:
        """What is known of a workload beside its last minutes."""
        declared = self._declared(id)
        if self._watch.series.last(id) is None:
            # Its cgroup is looked for only where the signals tell of it.
            return Besides(declared)
        known = self._known(id)
        return Besides(declared, known.said, known.of_the_kernel, before)

    def _known(self, id: str) -> "Known":
        """What the program of a workload that is there is known to be."""
        # Late: a daemon that nobody asks does without its tables.
        from daemon.understanding.programs import Programs

        if self._programs is None:
            self._programs = Programs()
        return self._programs.known(id)

    async def goal(self, goal: str, workload: str) -> GoalView:
        # Everybody may ask, and many mistyped words are compared with many names.
        async with self._looking:
            return goals.view_of(goal, await self.understood(goal, workload))

    async def understood(self, goal: str, workload: str) -> "Understood":
        """What a goal in words means, for a workload or for one that the words name."""
        ids = self._watch.series.workloads()
        kinds = {
            id: known.kind if (known := self._known(id).kind) else ProgramKind.UNKNOWN for id in ids
        }
        names = await asyncio.to_thread(names_of, [id for id in ids if id.startswith("cgroup:")])
        measured = self._watch.measured()
        return await asyncio.to_thread(goals.understood, goal, workload, kinds, names, measured)

    def _declared(self, id: str) -> list[str]:
        """The text of the objectives that were declared for a workload, broken ones first."""
        broken = {
            each.objective
            for each in self._autopilot.detection.degraded()
            if each.workload == id and each.objective
        }
        texts = [each.objective.text for each in self._config.declared if id in each.of([id])]
        return sorted(texts, key=lambda text: text not in broken)

    async def workload(self, id: str) -> WorkloadDetail:
        if self._watch.series.last(id) is None:
            raise _unseen(id)
        processes = await asyncio.to_thread(processes_of, id, PROCESSES_SHOWN)
        return WorkloadDetail(
            **self._workload(id).model_dump(), profile=self.profile(id), processes=processes
        )

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        # Everybody may ask, and each look costs CPU time of the machine that is looked at.
        async with self._looking:
            view = await asyncio.to_thread(
                _understood, id, self.profile(id), self._watch.line, self._watch.interval_s
            )
        if not view.processes_total and self._watch.series.last(id) is None:
            raise _unseen(id)
        return view

    async def probes(self) -> list[ProbeKindView]:
        return await asyncio.to_thread(there_are)

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        catalog = self._catalog()
        if not query and not workload:
            return [await self._scheduler_view(entry) for entry in catalog]
        met = self._met(workload) if workload else None
        return [
            (await self._scheduler_view(found.entry)).model_copy(
                update={"score": found.score, "why": list(found.reasons)}
            )
            for found in await asyncio.to_thread(
                self._beliefs.search, query, met, self._lessons.all()
            )
        ]

    def _met(self, workload: str) -> BeliefQuestion:
        """A workload as it is now, with what is complained about."""
        degraded = [
            each for each in self._autopilot.detection.degraded() if each.workload == workload
        ]
        return BeliefQuestion(self.profile(workload), _complaint(degraded[0] if degraded else None))

    async def learned(self, workload: str, episode: str) -> LearnedView:
        met = self._met(workload) if workload else None
        if episode:
            met = _met_in(await self.episode(episode), self.profile)
        return await asyncio.to_thread(self._beliefs.view, met, self._lessons.all())

    async def warnings(
        self, candidate: str, workload: str, episode: str, objective: str = ""
    ) -> list[str]:
        """What speaks against trying a candidate on a workload, or that of an episode."""
        if not workload and not episode:
            return []
        met = _met_in(await self.episode(episode), self.profile) if episode else self._met(workload)
        if objective:
            met = replace(met, complaint=objective, goal="")
        held = self._candidates.get(candidate)
        said = await asyncio.to_thread(self._beliefs.warning, met, held.name, held.policy)
        return [f"{held.name}: {said}"] if said else []

    async def _scheduler_view(self, entry: Entry) -> SchedulerView:
        manifest = entry.manifest
        return SchedulerView(
            name=entry.name,
            kind=manifest.kind.value,
            summary=manifest.summary,
            tags=list(manifest.tags),
            good_for=list(manifest.good_for),
            bad_for=list(manifest.bad_for),
            origin=manifest.origin,
            installed=is_installed(entry),
        )

    async def scheduler(self, name: str) -> SchedulerDetail:
        entry = self._catalog().get(name)
        manifest = entry.manifest
        policy = await asyncio.to_thread(entry.policy)
        params = await asyncio.to_thread(_policy_params, policy) if policy else manifest.params
        parameters = [
            ParameterView(
                name=each.name,
                type=each.type.value,
                default=each.default,
                min=each.min,
                max=each.max,
                unit=each.unit.value,
                description=each.description,
                when=each.when.value,
            )
            for each in params
        ]
        version = note = ""
        if manifest.kind is Kind.EXTERNAL:
            found = await asyncio.to_thread(external.inspect_external, entry)
            version, note = found.version, found.note
            parameters = [
                ParameterView(
                    name=option.name,
                    type="switch" if option.is_switch else option.placeholder,
                    default=option.default,
                    description=option.description,
                )
                for option in found.options
            ]
        return SchedulerDetail(
            **(await self._scheduler_view(entry)).model_dump(),
            description=manifest.description,
            algorithm=manifest.algorithm,
            parameters=parameters,
            page=await asyncio.to_thread(_page, entry),
            license=manifest.license,
            parent=manifest.parent or "",
            policy=policy,
            version=version,
            note=note,
        )

    async def candidate(self, id: str) -> CandidateView:
        held = self._backoff_store.state.quarantine_of(id, time.time())
        candidate = self._candidates.get(id)
        # What a gate said of one that is not proven is told in full with the gate.
        return candidate.view(held.reason if held and candidate.proven else "")

    async def trial(self, id: str) -> TrialView:
        try:
            return self._trials.get(id).view()
        except Fault:
            view = self._history_writer.trial_view(id)
            if view is None:
                raise
            return view

    async def episodes(self, last: int) -> list[EpisodeView]:
        return [self._live(view) for view in self._history_writer.episodes(last)]

    async def episode(self, id: str) -> EpisodeView:
        view = self._history_writer.episode_view(id)
        if view is None:
            view = self._episodes.get(id).view()
        events = [event for event in self._log.recorded() if event.episode == id]
        return self._live(view).model_copy(update={"events": events})

    def _live(self, view: EpisodeView) -> EpisodeView:
        """With the trial that is under way as it stands now."""
        running = self._trials.running
        if running is None or running.request.episode != view.id:
            return view
        others = [trial for trial in view.trials if trial.id != running.id]
        return view.model_copy(update={"trials": [*others, running.view()]})

    async def steps(self, episode: str) -> list[StepView]:
        if self._history_writer.episode_view(episode) is None:
            self._episodes.get(episode)
        return self._history_writer.steps(episode)

    async def outcomes(self, scheduler: str) -> list[OutcomeView]:
        return self._history_writer.outcomes(scheduler)

    async def lessons(self) -> list[LessonView]:
        return self._lessons.views()

    async def recordings(self) -> list[RecordingView]:
        return self._recordings.all()

    async def recording(self, id: str) -> RecordingView:
        return self._recordings.get(id)

    async def metrics(self) -> str:
        return metrics.render(await self.status(), await self.workloads())

    async def recorded_events(self, after: int) -> list[Event]:
        return self._log.recorded(after)

    def events(self, after: int) -> AsyncIterator[Event]:
        return self._log.subscribe(after)


def _understood(
    id: str, profile: ProfileView, line: SignalsLine | None, interval_s: float
) -> WorkloadProfileView:
    # Late, and not in the daemon's loop: one that nobody asks does without its tables.
    from daemon.understanding.look import Measured, understand

    return understand(id, Measured(profile=profile, line=line, interval_s=interval_s))


def _unseen(workload: str) -> Fault:
    return Fault(
        FaultType.NOT_FOUND,
        "nothing was seen of this workload",
        where=workload[:200],
        hint="`schedpilot top --once` lists those there are",
    )


def _met_in(episode: EpisodeView, profile: Callable[[str], ProfileView]) -> BeliefQuestion:
    """The workload of an episode as it was when that was opened; as it is now, where that was
    not recorded."""
    seen = episode.profile or profile(episode.workload)
    if episode.goal and episode.objective:
        # What the goal means says more than its words do.
        return BeliefQuestion(seen, episode.objective)
    return BeliefQuestion(seen, _complaint(episode.trigger), episode.goal)


def _complaint(of: Degradation | None) -> str:
    """The objective that is broken, else the signal that rose, which nobody declared."""
    return (of.objective or f"a rise of {of.signal}") if of else ""


def _version() -> str:
    """Of the installed package; a bare checkout has none."""
    try:
        return version("schedpilot")
    except PackageNotFoundError:
        return "checkout"


def _policy_params(text: str) -> tuple[Parameter, ...]:
    """Those of a policy; none where it configures another scheduler, or is no longer understood."""
    from scheduler_library.policy.compiler import Compiled

    try:
        compiled = compile_here(text)
    except Fault:
        return ()
    return compiled.manifest.params if isinstance(compiled, Compiled) else ()


def _on_path(command: str | None) -> bool:
    return command is not None and shutil.which(command, path=PATH) is not None


def _page(entry: Entry) -> str:
    try:
        return (entry.folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
