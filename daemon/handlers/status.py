# SPDX-License-Identifier: GPL-2.0-or-later
"""`GET /v1/status`: the state of the daemon and of the machine."""

import asyncio
import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from bpf.kernel import config as kernel_config
from daemon.api.models import Degradation, KernelView, LoadedScheduler, StatusView
from daemon.config import Config
from daemon.gates.candidates import Candidates
from daemon.gates.preparation import Preparation
from daemon.handlers.objectives import Objectives
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.keeping import Keeping
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trials
from process import Fault
from scheduler_library.topology import named_sets
from scheduler_library.topology_here import topology_here


class StatusHandler:
    """`degraded`: the current degradations; `notes`: trouble that the daemon tolerates."""

    def __init__(
        self,
        *,
        config: Config,
        loader: SchedulerLoader,
        trials: Trials,
        episodes: Episodes,
        candidates: Candidates,
        backoff_store: BackoffStore,
        preparation: Preparation,
        objectives: Objectives,
        keeping: Keeping,
        degraded: Callable[[], list[Degradation]],
        notes: Callable[[], list[str]],
    ) -> None:
        self._config = config
        self._loader = loader
        self._trials = trials
        self._episodes = episodes
        self._candidates = candidates
        self._backoff_store = backoff_store
        self._preparation = preparation
        self._objectives = objectives
        self._keeping = keeping
        self._degraded = degraded
        self._notes = notes
        self._since = time.time()
        self._tick_us = kernel_config.tick_us(kernel_config.find(os.uname().release).text())

    async def status(self) -> StatusView:
        now = time.time()
        kernel = self._loader.kernel()
        trial = self._trials.running
        backoff = self._backoff_store.state
        episode = self._episodes.open
        topology = await asyncio.to_thread(topology_here)
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
            kept=self._keeping.views(),
            power=self._keeping.regime,
            foreign=self._loader.foreign(),
            trial=trial.id if trial else "",
            episode=episode.id if episode else "",
            approvals=self._trials.waiting(),
            degraded=self._degraded(),
            objectives=self._objectives.views(),
            quarantine=backoff.quarantined(now),
            preparation=self._preparation.view(),
            cpu_sets=named_sets(topology),
            smt=topology.smt,
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


def _version() -> str:
    """Of the installed package; a bare checkout has none."""
    try:
        return version("schedpilot")
    except PackageNotFoundError:
        return "checkout"
