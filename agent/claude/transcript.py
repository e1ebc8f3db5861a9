# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's side of a transcript: it sends each step to the daemon, which keeps it."""

import json
import logging
from collections.abc import Callable
from typing import Any

from agent.connection import ActingClient
from daemon.api.models import StepKind, StepRequest, StepRole
from process import Fault, FaultType

log = logging.getLogger("schedpilot-agent")

# The API's limit for one step, characters.
LONGEST = 4000
_CUT = " … (cut)"


def cut(text: str, most: int = LONGEST) -> str:
    """At most this many characters; a mark shows that a text was cut."""
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


class Transcript:
    """Records steps of one episode. A step that cannot be recorded does not stop the work."""

    def __init__(self, actor: ActingClient, episode: str, clock: Callable[[], float]) -> None:
        self._actor = actor
        self._episode = episode
        self._clock = clock
        self._told = False

    async def note(self, text: str) -> None:
        await self._record(StepRole.HARNESS, StepKind.NOTE, text)

    async def text(self, role: StepRole, text: str, tokens: int) -> None:
        await self._record(role, StepKind.TEXT, text, tokens=tokens)

    async def call(self, role: StepRole, tool: str, arguments: dict[str, Any] | None) -> None:
        written = "(not a JSON object)" if arguments is None else json.dumps(arguments)
        await self._record(role, StepKind.TOOL_CALL, written, tool=tool)

    async def result(self, role: StepRole, tool: str, text: str) -> None:
        await self._record(role, StepKind.TOOL_RESULT, text, tool=tool)

    async def _record(
        self, role: StepRole, kind: StepKind, text: str, *, tool: str = "", tokens: int = 0
    ) -> None:
        # JSON text from the API contains no half of a surrogate pair.
        whole = text.encode("utf-8", "replace").decode()
        name = tool.encode("utf-8", "replace").decode()[:64]
        step = StepRequest(
            at=self._clock(), role=role, kind=kind, tool=name, text=cut(whole), tokens=tokens
        )
        try:
            await self._actor.record_step(self._episode, step)
        except Fault as fault:
            if fault.type is FaultType.UNREACHABLE:
                raise
            if not self._told:
                self._told = True
                log.info("episode %s: the transcript is incomplete: %s", self._episode, fault)
