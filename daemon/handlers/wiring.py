# SPDX-License-Identifier: GPL-2.0-or-later
"""All handlers, each with only the parts of the daemon that it needs."""

import asyncio
from collections.abc import Callable

from daemon.api.models import Degradation
from daemon.autopilot import Autopilot
from daemon.config import Config
from daemon.gates.candidates import Candidates
from daemon.gates.preparation import Preparation
from daemon.handlers.beliefs import BeliefsHandler
from daemon.handlers.candidates import CandidatesHandler
from daemon.handlers.episodes import EpisodesHandler
from daemon.handlers.events import EventsHandler
from daemon.handlers.goals import GoalsHandler
from daemon.handlers.judging import Judging
from daemon.handlers.lessons import LessonsHandler
from daemon.handlers.library import LibraryHandler
from daemon.handlers.measurements import MeasurementsHandler
from daemon.handlers.metrics import MetricsHandler
from daemon.handlers.objectives import Objectives
from daemon.handlers.outcomes import OutcomesHandler
from daemon.handlers.probes import ProbesHandler
from daemon.handlers.questions import Questions
from daemon.handlers.recordings import RecordingsHandler
from daemon.handlers.scheduler import SchedulerHandler
from daemon.handlers.status import StatusHandler
from daemon.handlers.trials import TrialsHandler
from daemon.handlers.workloads import WorkloadsHandler
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.keeping import Keeping
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trials
from daemon.memory.beliefs import Beliefs
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import Lessons
from daemon.memory.saved_policies import SavedPolicies
from daemon.service.events import EventLog
from daemon.signals.recordings import Recordings
from daemon.signals.watch import Watch
from daemon.understanding.profiles import Profiles
from scheduler_library.catalog import Catalog

# How many looks at workloads and readings of goals may run at once.
MOST_LOOKING = 2


class Handlers:
    """Together they answer every endpoint of `daemon/api/endpoints.py`."""

    def __init__(
        self,
        *,
        config: Config,
        log: EventLog,
        catalog: Callable[[], Catalog],
        notes: Callable[[], list[str]],
        profiles: Profiles,
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
        saved_policies: SavedPolicies,
        preparation: Preparation,
        keeping: Keeping,
    ) -> None:
        def degraded() -> list[Degradation]:
            return autopilot.detection.degraded()

        looking = asyncio.Semaphore(MOST_LOOKING)
        judging = Judging(declared=config.declared, watch=watch, profiles=profiles)
        questions = Questions(profiles, degraded)
        objectives = Objectives(
            declared=config.declared, watch=watch, profiles=profiles, degraded=degraded
        )
        self.events = EventsHandler(log)
        self.lessons = LessonsHandler(lessons, log.append)
        self.outcomes = OutcomesHandler(history_writer)
        self.measurements = MeasurementsHandler(watch)
        self.recordings = RecordingsHandler(recordings)
        self.probes = ProbesHandler(trials, watch)
        self.status = StatusHandler(
            config=config,
            loader=loader,
            trials=trials,
            episodes=episodes,
            candidates=candidates,
            backoff_store=backoff_store,
            preparation=preparation,
            objectives=objectives,
            keeping=keeping,
            degraded=degraded,
            notes=notes,
        )
        self.workloads = WorkloadsHandler(
            watch=watch, profiles=profiles, autopilot=autopilot, looking=looking
        )
        self.metrics = MetricsHandler(self.status, self.workloads)
        self.goals = GoalsHandler(watch=watch, profiles=profiles, looking=looking)
        self.library = LibraryHandler(
            catalog=catalog, beliefs=beliefs, lessons=lessons, questions=questions
        )
        self.episodes = EpisodesHandler(
            episodes=episodes,
            trials=trials,
            history_writer=history_writer,
            log=log,
            autopilot=autopilot,
            workloads=self.workloads,
            goals=self.goals,
            judging=judging,
        )
        self.beliefs = BeliefsHandler(
            beliefs=beliefs,
            lessons=lessons,
            questions=questions,
            candidates=candidates,
            episodes=self.episodes,
        )
        self.candidates = CandidatesHandler(
            candidates=candidates,
            episodes=episodes,
            history_writer=history_writer,
            backoff_store=backoff_store,
            autopilot=autopilot,
            preparation=preparation,
            judging=judging,
            beliefs=self.beliefs,
        )
        self.trials = TrialsHandler(
            config=config,
            trials=trials,
            episodes=episodes,
            candidates=candidates,
            history_writer=history_writer,
            backoff_store=backoff_store,
            loader=loader,
            profiles=profiles,
            judging=judging,
            beliefs=self.beliefs,
            publish=log.append,
        )
        self.scheduler = SchedulerHandler(
            loader=loader,
            trials=trials,
            candidates=candidates,
            backoff_store=backoff_store,
            autopilot=autopilot,
            saved_policies=saved_policies,
            keeping=keeping,
            status=self.status,
            publish=log.append,
        )

    @property
    def all(self) -> tuple[object, ...]:
        """The parts of both sockets' applications."""
        return tuple(vars(self).values())
