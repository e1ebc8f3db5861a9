# SPDX-License-Identifier: GPL-2.0-or-later
"""`GET /metrics`: the page that Prometheus scrapes."""

from daemon.handlers.status import StatusHandler
from daemon.handlers.workloads import WorkloadsHandler
from daemon.service import metrics


class MetricsHandler:
    def __init__(
        self,
        status: StatusHandler,
        workloads: WorkloadsHandler,
    ) -> None:
        self._status = status
        self._workloads = workloads

    async def metrics(self) -> str:
        return metrics.render(await self._status.status(), await self._workloads.workloads())
