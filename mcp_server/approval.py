# SPDX-License-Identifier: GPL-2.0-or-later
"""Asking the person at the client: a model never decides what waits for a person.

Clients of the older protocol are asked while the call is under way. With the newer one the
call ends with a question and is made once more with the answer; what was asked about comes
back sealed (`RequestStateBoundary`), so that no client can answer another question with it.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import is_version_at_least

from mcp_server.tool import Call

# The first protocol in which a question is an answer.
_QUESTION_IS_AN_ANSWER = "2026-07-28"
_KEY = "approval"
# How long a person may take, seconds. What was asked about waits on after that.
_PATIENCE_S = 600.0
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {
            "type": "boolean",
            "title": "Approve",
            "description": "Yes lets it happen; no leaves everything as it is",
        },
        "reason": {"type": "string", "title": "Reason", "description": "For the record"},
    },
    "required": ["approve"],
}


class Consent(StrEnum):
    """What the person said. OPEN: nothing yet, or the client cannot ask."""

    YES = "yes"
    NO = "no"
    OPEN = "open"


@dataclass(frozen=True)
class Answered:
    consent: Consent
    reason: str = ""


def can_ask(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client can put a form before a person."""
    capabilities = context.session.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    # A bare `{}`, the only shape before there were modes, means forms.
    return asking is not None and (asking.form is not None or asking.url is None)


def _read(result: types.ElicitResult) -> Answered:
    if result.action == "cancel":
        return Answered(Consent.OPEN)
    content = result.content or {}
    reason = content.get("reason")
    said = reason[:500] if isinstance(reason, str) else ""
    agreed = result.action == "accept" and content.get("approve") is True
    return Answered(Consent.YES if agreed else Consent.NO, said)


def answer_given(call: Call) -> Answered:
    """The person's answer that this call came back with."""
    result = call.responses.get(_KEY)
    return _read(result) if isinstance(result, types.ElicitResult) else Answered(Consent.OPEN)


async def ask(
    call: Call, question: str, state: str, until: Callable[[], Awaitable[None]] | None = None
) -> Answered | types.InputRequiredResult:
    """Ask the person, where the client can.

    Args:
        question: for a person to read; what it quotes is marked.
        state: what comes back with the answer, where the call is made once more for it.
        until: returns when there is nothing to ask any more.
    """
    if not can_ask(call.context):
        return Answered(Consent.OPEN)
    if is_version_at_least(call.context.protocol_version, _QUESTION_IS_AN_ANSWER):
        form = types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
        return types.InputRequiredResult(
            input_requests={_KEY: types.ElicitRequest(params=form)}, request_state=state
        )
    result: list[types.ElicitResult] = []
    # Nobody may be there.
    with anyio.move_on_after(_PATIENCE_S):
        async with anyio.create_task_group() as group:

            async def put_the_form() -> None:
                # The client may have said that it can, and then cannot.
                with contextlib.suppress(MCPError):
                    session, id = call.context.session, call.context.request_id
                    result.append(await session.elicit_form(question, _SCHEMA, id))
                group.cancel_scope.cancel()

            async def watch() -> None:
                if until is not None:
                    await until()
                    group.cancel_scope.cancel()

            group.start_soon(put_the_form)
            group.start_soon(watch)
    return _read(result[0]) if result else Answered(Consent.OPEN)
