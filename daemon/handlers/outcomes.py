# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of earlier trials."""

from daemon.api.models import OutcomeView
from daemon.memory.history_writer import HistoryWriter


class OutcomesHandler:
    def __init__(
        self,
        history_writer: HistoryWriter,
    ) -> None:
        self._history_writer = history_writer

    async def outcomes(self, scheduler: str) -> list[OutcomeView]:
        return self._history_writer.outcomes(scheduler)
