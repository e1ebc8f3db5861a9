# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes, which look closer for a while."""

import asyncio

from daemon.api.models import CallsRequest, CallsView, ProbeKindView, ProbeRequest, ProbeView
from daemon.lifecycle.trials import Trials
from daemon.signals.watch import Watch
from daemon.understanding.calls import CallCounts
from daemon.understanding.probing import Probing, there_are


class ProbesHandler:
    def __init__(
        self,
        trials: Trials,
        watch: Watch,
    ) -> None:
        self._trials = trials
        self._watch = watch
        self._probing = Probing()
        self._calls = CallCounts()

    async def probes(self) -> list[ProbeKindView]:
        return await asyncio.to_thread(there_are)

    async def run_probe(self, request: ProbeRequest) -> ProbeView:
        # Its cost would fall into the windows of only one arm.
        self._trials.refuse_if_busy()
        return await self._probing.run(request, self._watch.line)

    async def count_calls(self, request: CallsRequest) -> CallsView:
        # An attached one continues through a trial, in both arms alike.
        return await self._calls.take(request, self._trials.refuse_if_busy)

    async def close(self) -> None:
        """Nothing that was started here continues."""
        await self._calls.close()
