# SPDX-License-Identifier: GPL-2.0-or-later
"""The Claude agent: handles episodes with a model and the MCP server's tools.

The transcript records its steps, and if it cannot go on, the offline advisor takes over.
"""

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING

from mcp import StdioServerParameters

from agent.claude.credentials import read_key, state_folder
from agent.claude.episode_driver import EpisodeDriver, EpisodeProgress
from agent.claude.ledger import Ledger
from agent.claude.settings import Claude
from agent.claude.spending import Spending
from agent.claude.tools import Toolbox, server_command
from agent.claude.transcript import Transcript
from agent.delegation import Delegation, HandedOn
from agent.episode import UNFINISHED
from process import Fault, FaultType

if TYPE_CHECKING:
    from agent.claude.model import Model

log = logging.getLogger("schedpilot-agent")

NAME = "claude"
# Pause before the model is asked a second time, seconds.
FIRST_PAUSE_S = 1.0


def _model_class() -> "type[Model]":
    from agent.claude.model import Model

    return Model


class ClaudeRunner:
    """An `agent.delegation.EpisodeRunner`.

    Args:
        server: the command that starts the MCP server.
        first_pause_s: pause before the model is asked a second time.
    """

    name = NAME

    def __init__(
        self,
        settings: Claude,
        *,
        server: StdioServerParameters | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._settings = settings
        self._box = Toolbox(server or server_command())
        self._first_pause_s = first_pause_s

    async def prepare(self) -> None:
        """Start the MCP server before it is needed; an error appears when it is used."""
        with contextlib.suppress(HandedOn):
            # The SDK's import takes as long as the server's start.
            await asyncio.gather(self._box.ready(), asyncio.to_thread(_model_class))
            log.info("the MCP server is ready, with %d tools", len(self._box.tools))

    async def close(self) -> None:
        await self._box.close()

    async def deal(self, delegation: Delegation) -> str:
        """See `agent.delegation.EpisodeRunner.deal`."""
        transcript = Transcript(delegation.actor, delegation.episode.id, delegation.clock)
        try:
            return await self._deal(delegation, transcript)
        except HandedOn as handed:
            await transcript.note(f"{NAME} hands the episode on: {handed}")
            raise
        except Fault as fault:
            if fault.type is FaultType.UNREACHABLE:
                raise
            await transcript.note(f"{NAME} hands the episode on: {fault}")
            raise HandedOn(str(fault)) from fault
        except Exception as defect:
            # A defect here must not keep the offline advisor from its work.
            log.exception("episode %s: a defect of ours", delegation.episode.id)
            await transcript.note(f"{NAME} hands the episode on: a defect")
            raise HandedOn(f"a defect of ours ({type(defect).__name__})") from defect

    async def _deal(self, delegation: Delegation, transcript: Transcript) -> str:
        environment = os.environ
        key = read_key(self._settings, environment)
        ledger = Ledger(state_folder(self._settings, environment), delegation.clock)
        # Checked before anything is started for a model that will not be asked.
        ledger.spent()
        spending = Spending(self._settings, ledger, delegation.spent)
        progress = EpisodeProgress()
        for trial in delegation.episode.trials:
            # Trials of an earlier run of this agent.
            progress.tried.append(
                await delegation.finished(trial.id) if trial.state in UNFINISHED else trial
            )
        make = await asyncio.to_thread(_model_class)
        model = make(self._settings, key, first_pause_s=self._first_pause_s)
        try:
            await self._box.ready()
            return await EpisodeDriver(
                self._settings, delegation, transcript, spending, model, self._box, progress
            ).deal()
        finally:
            await model.close()
