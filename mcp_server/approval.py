# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the person at the client: a model never approves what needs a person's approval.

Clients of the older protocol are asked during the call. With the newer protocol the call ends with
a question and is repeated with the answer; the request comes back sealed (`RequestStateBoundary`),
so that no client can answer another question with it.
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

from mcp_server.tool import ToolCallContext

# The first protocol version in which an answer may be a question.
_QUESTION_IS_AN_ANSWER = "2026-07-28"
_KEY = "approval"
# How long a person may take, seconds. The request stays open after that.
_PATIENCE_S = 600.0
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {
            "type": "boolean",
            "title": "Approve",
            "description": "Yes allows it; no leaves everything as it is",
        },
        "reason": {"type": "string", "title": "Reason", "description": "For the record"},
    },
    "required": ["approve"],
}


class Consent(StrEnum):
    """The person's answer. OPEN: none yet, or the client cannot ask."""

    YES = "yes"
    NO = "no"
    OPEN = "open"


@dataclass(frozen=True)
class ApprovalReply:
    consent: Consent
    reason: str = ""


def can_ask(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client can show a form to a person."""
    capabilities = context.session.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    # A bare `{}`, the only form before modes existed, means forms.
    return asking is not None and (asking.form is not None or asking.url is None)


def _read(result: types.ElicitResult) -> ApprovalReply:
    if result.action == "cancel":
        return ApprovalReply(Consent.OPEN)
    content = result.content or {}
    reason = content.get("reason")
    said = reason[:500] if isinstance(reason, str) else ""
    agreed = result.action == "accept" and content.get("approve") is True
    return ApprovalReply(Consent.YES if agreed else Consent.NO, said)


def answer_given(call: ToolCallContext) -> ApprovalReply:
    """The person's answer that came with this call."""
    result = call.responses.get(_KEY)
    return _read(result) if isinstance(result, types.ElicitResult) else ApprovalReply(Consent.OPEN)


async def ask(
    call: ToolCallContext,
    question: str,
    state: str,
    until: Callable[[], Awaitable[None]] | None = None,
) -> ApprovalReply | types.InputRequiredResult:
    """Ask the person, if the client can.

    Args:
        question: for a person to read; quotes in it are marked.
        state: comes back with the answer, if the call is repeated with it.
        until: returns as soon as there is nothing to ask any more.
    """
    if not can_ask(call.context):
        return ApprovalReply(Consent.OPEN)
    if is_version_at_least(call.context.protocol_version, _QUESTION_IS_AN_ANSWER):
        form = types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
        return types.InputRequiredResult(
            input_requests={_KEY: types.ElicitRequest(params=form)}, request_state=state
        )
    result: list[types.ElicitResult] = []
    # Possibly nobody is there.
    with anyio.move_on_after(_PATIENCE_S):
        async with anyio.create_task_group() as group:

            async def put_the_form() -> None:
                # A client may announce this ability and still fail.
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
    return _read(result[0]) if result else ApprovalReply(Consent.OPEN)
