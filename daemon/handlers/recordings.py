# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of the machine's activity."""

from pathlib import Path

from daemon.api.models import RecordingRequest, RecordingView
from daemon.signals.recordings import Recordings


class RecordingsHandler:
    def __init__(
        self,
        recordings: Recordings,
    ) -> None:
        self._recordings = recordings

    async def recordings(self) -> list[RecordingView]:
        return self._recordings.all()

    async def recording(self, id: str) -> RecordingView:
        return self._recordings.get(id)

    async def record(self, request: RecordingRequest) -> RecordingView:
        return await self._recordings.start(request)

    async def stop_recording(self, id: str) -> RecordingView:
        return await self._recordings.stop(id)

    async def trace(self, id: str) -> Path:
        return self._recordings.trace(id)
