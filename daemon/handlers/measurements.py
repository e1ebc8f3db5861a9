# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers that applications and the agent measure."""

from daemon.api.models import MeasurementRequest
from daemon.signals.watch import Watch


class MeasurementsHandler:
    def __init__(
        self,
        watch: Watch,
    ) -> None:
        self._watch = watch

    async def record_measurement(self, request: MeasurementRequest) -> None:
        self._watch.measure(request.name, request.value, request.unit, request.started)
