# SPDX-License-Identifier: GPL-2.0-or-later
"""What the model is asked, and what it answers.

Apart from `model.py`, so that what uses these need not wait for the SDK to be imported.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agent.claude.budget import Room, Usage, tokens_of

if TYPE_CHECKING:
    from anthropic.types import MessageParam, TextBlockParam, ToolChoiceParam, ToolParam


@dataclass(frozen=True)
class ToolCall:
    """`arguments` is None where they are no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True)
class Reply:
    """What the model said. `stop` is the API's stop reason."""

    text: str
    calls: tuple[ToolCall, ...]
    stop: str
    usage: Usage


@dataclass(frozen=True)
class Question:
    """What the model is asked; the parts before `messages` are the same for many questions."""

    system: "Sequence[TextBlockParam]"
    tools: "Sequence[ToolParam]"
    messages: "Sequence[MessageParam]"
    tool_choice: "ToolChoiceParam | None" = None

    def tokens(self) -> int:
        """An upper estimate of what it costs to ask."""
        return tokens_of(json.dumps([self.system, self.tools, self.messages], default=str))


class Meter(Protocol):
    """Who pays."""

    def allow(self, input_tokens: int, wanted_tokens: int) -> Room:
        """What the next call may take. Raises HandedOn where nothing is left."""
        ...

    def charge(self, usage: Usage, seconds: float) -> None: ...


class Asked(Protocol):
    """The model, for whoever talks with it."""

    async def ask(self, question: Question, meter: Meter) -> Reply:
        """The reply to a question.

        Raises:
            HandedOn: there is none.
        """
        ...
