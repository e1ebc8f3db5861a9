# SPDX-License-Identifier: GPL-2.0-or-later
"""The loaded scheduler, changed by the operator."""

import time

from daemon.api.models import EventKind, HoldRequest, ParametersRequest, RollbackRequest, StatusView
from daemon.autopilot import Autopilot
from daemon.gates.candidates import Candidates, Publish
from daemon.handlers.status import StatusHandler
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.keeping import Keeping
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.trials import Trials
from daemon.memory.saved_policies import SavedPolicies
from process import Fault, FaultType
from scheduler_library.parameters import check_parameters


class SchedulerHandler:
    def __init__(
        self,
        *,
        loader: SchedulerLoader,
        trials: Trials,
        candidates: Candidates,
        backoff_store: BackoffStore,
        autopilot: Autopilot,
        saved_policies: SavedPolicies,
        keeping: Keeping,
        status: StatusHandler,
        publish: Publish,
    ) -> None:
        self._loader = loader
        self._trials = trials
        self._candidates = candidates
        self._backoff_store = backoff_store
        self._autopilot = autopilot
        self._saved_policies = saved_policies
        self._keeping = keeping
        self._status = status
        self._publish = publish

    async def hold(self, request: HoldRequest) -> StatusView:
        self._trials.refuse_if_busy()
        candidate = await self._candidates.current(request.candidate)
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
        return await self._status.status()

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
        return await self._status.status()

    async def rollback(self, request: RollbackRequest) -> StatusView:
        if await self._trials.end(request.reason):
            return await self._status.status()
        if self._loader.loaded is None:
            if self._keeping.ended(request.reason):
                return await self._status.status()
            raise Fault(
                FaultType.NOT_FOUND,
                "there is nothing to roll back",
                why="no scheduler of ours is in the kernel",
            )
        await self._autopilot.roll_back(request.reason)
        return await self._status.status()

    async def set_parameters(self, request: ParametersRequest) -> StatusView:
        loaded = self._loader.loaded
        parameters = dict(request.parameters)
        if parameters:
            # The verdict would be on something other than the candidate. Maps may be filled.
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
        return await self._status.status()
