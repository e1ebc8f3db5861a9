# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads: their measurements, and a closer look at one."""

import asyncio
import time

from bpf.signals.source import SignalsLine
from daemon.api.models import (
    ProfileView,
    SignalsView,
    WorkloadDetail,
    WorkloadProfileView,
    WorkloadView,
)
from daemon.autopilot import Autopilot
from daemon.decide import detect
from daemon.signals.watch import Watch
from daemon.understanding.inventory import processes_of
from daemon.understanding.profiles import Profiles
from process import Fault, FaultType

PROCESSES_SHOWN = 20


class WorkloadsHandler:
    """`looking` limits how many looks at workloads and readings of goals run at once."""

    def __init__(
        self,
        *,
        watch: Watch,
        profiles: Profiles,
        autopilot: Autopilot,
        looking: asyncio.Semaphore,
    ) -> None:
        self._watch = watch
        self._profiles = profiles
        self._autopilot = autopilot
        self._looking = looking

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
            tags=self._profiles.profile(id).tags,
        )

    async def workload(self, id: str) -> WorkloadDetail:
        if self._watch.series.last(id) is None:
            raise _unseen(id)
        processes = await asyncio.to_thread(processes_of, id, PROCESSES_SHOWN)
        return WorkloadDetail(
            **self._workload(id).model_dump(),
            profile=self._profiles.profile(id),
            processes=processes,
        )

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        # Everybody may ask, and each look costs CPU time of the machine.
        async with self._looking:
            view = await asyncio.to_thread(
                _understood,
                id,
                self._profiles.profile(id),
                self._watch.line,
                self._watch.interval_s,
            )
        if not view.processes_total and self._watch.series.last(id) is None:
            raise _unseen(id)
        return view


def _understood(
    id: str, profile: ProfileView, line: SignalsLine | None, interval_s: float
) -> WorkloadProfileView:
    # Imported late, and not in the daemon's loop: a daemon that nobody asks does without its
    # tables.
    from daemon.understanding.look import MeasuredWorkload, understand

    return understand(id, MeasuredWorkload(profile=profile, line=line, interval_s=interval_s))


def _unseen(workload: str) -> Fault:
    return Fault(
        FaultType.NOT_FOUND,
        "there is no data for this workload",
        where=workload[:200],
        hint="`schedpilot top --once` lists the workloads",
    )
