# SPDX-License-Identifier: GPL-2.0-or-later
"""Events: those that are held, and those to come."""

from collections.abc import AsyncIterator

from daemon.api.models import Event
from daemon.service.events import EventLog


class EventsHandler:
    def __init__(
        self,
        log: EventLog,
    ) -> None:
        self._log = log

    async def recorded_events(self, after: int) -> list[Event]:
        return self._log.recorded(after)

    def events(self, after: int) -> AsyncIterator[Event]:
        return self._log.subscribe(after)
