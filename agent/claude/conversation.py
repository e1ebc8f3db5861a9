# SPDX-License-Identifier: GPL-2.0-or-later
"""The tool loop of one episode: ask the model, carry out its tool calls, return the results.

Deciding and implementing are one conversation, whose beginning the model's server caches: tools,
then the system prompt, then the first message, each the same in all calls. The model may only name
tools that were offered; any other call gets an error as its answer.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from mcp_types import Tool

from agent.claude.replies import Asked, Question, Reply, ToolCall
from agent.claude.spending import Spending
from agent.claude.transcript import Transcript
from agent.delegation import HandedOn
from daemon.api.models import StepRole

if TYPE_CHECKING:
    from anthropic.types import (
        MessageParam,
        TextBlockParam,
        ToolChoiceParam,
        ToolParam,
        ToolResultBlockParam,
        ToolUseBlockParam,
    )


# Useless replies in a row before the conversation ends.
MOST_NONSENSE = 3
# A repeated question is answered this many times; then the answer refers to the earlier one.
MOST_REPEATS = 2
# How many tool calls of one reply are carried out.
MOST_CALLS = 6

_CACHED: Any = {"type": "ephemeral"}

# Carries out one call: returns the answer for the model, and whether it is an error.
CarryOut = Callable[[ToolCall], Awaitable[tuple[str, bool]]]


def offered(tools: Sequence[Tool]) -> "list[ToolParam]":
    """The MCP server's tools in the form of the model's API, in a fixed order."""
    params: list[ToolParam] = [
        {
            "name": each.name,
            "description": (each.description or each.name)[:2000],
            "input_schema": each.input_schema,
        }
        for each in sorted(tools, key=lambda tool: tool.name)
    ]
    if params:
        params[-1]["cache_control"] = _CACHED
    return params


def _block(text: str, *, cached: bool = False) -> "TextBlockParam":
    block: TextBlockParam = {"type": "text", "text": text}
    if cached:
        block["cache_control"] = _CACHED
    return block


class Conversation:
    """One conversation, until its own end or its budget's."""

    def __init__(
        self,
        *,
        model: Asked,
        spending: Spending,
        transcript: Transcript,
        system: str,
        tools: Sequence[Tool],
        first: str,
        choice: "ToolChoiceParam | None" = None,
    ) -> None:
        self._model = model
        self._spending = spending
        self._transcript = transcript
        self._system = [_block(system, cached=True)]
        self._tools = offered(tools)
        self._names = [each["name"] for each in self._tools]
        self._choice = choice
        self._messages: list[MessageParam] = [
            {"role": "user", "content": [_block(first, cached=True)]}
        ]
        self._asked: Counter[str] = Counter()
        self._nonsense = 0

    async def turn(self, role: StepRole, carry_out: CarryOut) -> Reply:
        """One reply, with its tool calls carried out; a reply without any ends the conversation.

        Raises:
            HandedOn: the model fails, refuses, or gives useless replies for too long.
        """
        reply = await self._model.ask(
            Question(self._system, self._tools, self._messages, self._choice), self._spending
        )
        await self._transcript.text(role, reply.text, self._spending.last.tokens)
        if reply.stop == "refusal":
            raise HandedOn("the model refused")
        if not reply.calls:
            if reply.text and reply.stop != "max_tokens":
                return reply
            await self._wasted(reply)
            return await self.turn(role, carry_out)
        results, useful = await self._carry_out(role, reply, carry_out)
        self._said(reply)
        self._messages.append({"role": "user", "content": results})
        self._keep_cached()
        self._judge(useful)
        return reply

    def tell(self, text: str) -> None:
        """Add to the next message for the model."""
        last = self._messages[-1]
        content = last["content"]
        assert last["role"] == "user"
        assert isinstance(content, list)
        content.append(_block(text))

    def _judge(self, useful: bool) -> None:
        self._nonsense = 0 if useful else self._nonsense + 1
        if self._nonsense >= MOST_NONSENSE:
            raise HandedOn(f"the model gave {MOST_NONSENSE} useless replies in a row")

    async def _wasted(self, reply: Reply) -> None:
        """The reply was empty or was cut off."""
        self._judge(useful=False)
        why = (
            "Your reply was cut off at its maximum length. Be brief."
            if reply.stop == "max_tokens"
            else "You said nothing. Call a tool, or end with a sentence on what you decided."
        )
        await self._transcript.note(why)
        self._said(reply)
        self._messages.append({"role": "user", "content": [_block(why)]})

    def _said(self, reply: Reply) -> None:
        content: list[TextBlockParam | ToolUseBlockParam] = []
        if reply.text.strip() or not reply.calls:
            content.append(_block(reply.text.strip() or "(nothing)"))
        content += [
            {"type": "tool_use", "id": each.id, "name": each.name, "input": each.arguments or {}}
            for each in reply.calls
        ]
        self._messages.append({"role": "assistant", "content": content})

    async def _carry_out(
        self, role: StepRole, reply: Reply, carry_out: CarryOut
    ) -> "tuple[list[ToolResultBlockParam | TextBlockParam], bool]":
        """The results of all calls of a reply, and whether any of them was useful."""
        results: list[ToolResultBlockParam | TextBlockParam] = []
        useful = False
        for number, call in enumerate(reply.calls):
            await self._transcript.call(role, call.name, call.arguments)
            refusal = self._refusal(call, number, cut=reply.stop == "max_tokens")
            if refusal:
                text, failed = refusal, True
            else:
                text, failed = await carry_out(call)
                useful = True
            await self._transcript.result(role, call.name, text)
            results.append(
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": text,
                    "is_error": failed,
                }
            )
        return results, useful

    def _refusal(self, call: ToolCall, number: int, *, cut: bool) -> str:
        """Why a call is not carried out; "" if it is."""
        if call.name not in self._names:
            return f"error: there is no such tool here; there are {', '.join(self._names)}"
        if call.arguments is None:
            why = (
                ("they were cut off with your reply; be brief")
                if cut
                else "they are not a JSON object"
            )
            return f"error: the arguments cannot be read: {why}"
        if number >= MOST_CALLS:
            return f"error: at most {MOST_CALLS} calls in one reply are carried out"
        same = json.dumps([call.name, call.arguments], sort_keys=True)
        self._asked[same] += 1
        if self._asked[same] > MOST_REPEATS:
            return "error: you asked exactly this before; use that answer, or end the episode"
        return ""

    def _keep_cached(self) -> None:
        """Move the cache mark to the newest message; the server allows few marks."""
        for message in self._messages[1:]:
            content = message["content"]
            if message["role"] == "user" and isinstance(content, list):
                for block in content:
                    cast(dict[str, Any], block).pop("cache_control", None)
        newest = self._messages[-1]["content"]
        assert isinstance(newest, list)
        cast(dict[str, Any], newest[-1])["cache_control"] = _CACHED
