# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to the model, and its replies.

Separate from `model.py`, so that users of these need not wait for the SDK's import.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agent.claude.budget import Room, TokenUsage, tokens_of

if TYPE_CHECKING:
    from anthropic.types import MessageParam, TextBlockParam, ToolChoiceParam, ToolParam


@dataclass(frozen=True)
class ToolCall:
    """`arguments` is None if they are not a JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True)
class Reply:
    """The model's reply. `stop` is the API's stop reason."""

    text: str
    calls: tuple[ToolCall, ...]
    stop: str
    usage: TokenUsage


@dataclass(frozen=True)
class Question:
    """A question to the model; the parts before `messages` are the same for many questions."""

    system: "Sequence[TextBlockParam]"
    tools: "Sequence[ToolParam]"
    messages: "Sequence[MessageParam]"
    tool_choice: "ToolChoiceParam | None" = None

    def tokens(self) -> int:
        """An upper estimate of the question's input tokens."""
        return tokens_of(json.dumps([self.system, self.tools, self.messages], default=str))


class Meter(Protocol):
    """Pays for calls."""

    def allow(self, input_tokens: int, wanted_tokens: int) -> Room:
        """The limits of the next call. Raises HandedOn if nothing is left."""
        ...

    def charge(self, usage: TokenUsage, seconds: float) -> None: ...


class Asked(Protocol):
    """The model, as a conversation uses it."""

    async def ask(self, question: Question, meter: Meter) -> Reply:
        """The reply to a question.

        Raises:
            HandedOn: there is no reply.
        """
        ...
