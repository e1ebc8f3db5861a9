# SPDX-License-Identifier: GPL-2.0-or-later
"""One question to the model, through the Anthropic SDK: streamed, bounded, timed, retried.

Replies are assembled here instead of by the SDK's helper, which takes half a tool call for a whole
one if a stream was cut. Everything that arrives is counted, so that neither an endless reply nor an
endless line fills the memory.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
from anthropic.types import (
    MessageDeltaUsage,
    RawMessageStreamEvent,
)
from anthropic.types import Usage as Usage_

from agent.claude.budget import TokenUsage, tokens_of
from agent.claude.replies import Meter, Question, Reply, ToolCall
from agent.claude.settings import Claude
from agent.delegation import HandedOn

# Limits of one reply: characters that are kept, and bytes on the wire, which are many times more.
MOST_CHARACTERS = 256 * 1024
MOST_BYTES = 8 * 1024 * 1024
# The longest pause between two attempts, seconds. If a server asks for a longer one, the call
# fails.
LONGEST_PAUSE_S = 60.0
CONNECT_S = 10.0
# Errors that are not the request's fault: rate limit, overload, time-out, conflict, server errors.
_AGAIN = frozenset({408, 409, 429})
# The same errors in the middle of a stream that began well.
_AGAIN_TYPES = frozenset({"overloaded_error", "api_error", "rate_limit_error", "timeout_error"})


class _Failed(Exception):
    """One attempt failed; `usage` is what it cost nevertheless."""

    def __init__(self, why: str, usage: TokenUsage, *, again: bool, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.usage = usage
        self.again = again
        self.after_s = after_s


class _Counted(httpx2.AsyncByteStream):
    """A body that ends in an error if it becomes too large."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream
        self._bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._bytes += len(chunk)
            if self._bytes > MOST_BYTES:
                raise _TooLong
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _TooLong(Exception):
    """More than anybody would read."""


async def _count(response: httpx2.Response) -> None:
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    response.stream = _Counted(stream)


@dataclass
class _Block:
    kind: str
    text: str = ""
    id: str = ""
    name: str = ""


@dataclass
class _Partial:
    """A reply, as far as it has arrived."""

    blocks: dict[int, _Block] = field(default_factory=dict)
    stop: str = ""
    whole: bool = False
    started: bool = False
    characters: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0

    def take(self, event: RawMessageStreamEvent) -> None:
        """Raises whatever a malformed reply of a server raises; `ask` expects that."""
        if event.type == "message_start":
            self.started = True
            self._counted(event.message.usage)
        elif event.type == "content_block_start":
            block = event.content_block
            self.blocks[event.index] = (
                _Block("call", id=str(block.id)[:256], name=str(block.name)[:256])
                if block.type == "tool_use"
                else _Block(str(block.type), text=str(getattr(block, "text", "") or ""))
            )
        elif event.type == "content_block_delta":
            delta = event.delta
            more = ""
            if delta.type == "text_delta":
                more = delta.text
            elif delta.type == "input_json_delta":
                more = delta.partial_json
            self.characters += len(more)
            if self.characters > MOST_CHARACTERS:
                raise _TooLong
            self.blocks[event.index].text += more
        elif event.type == "message_delta":
            self.stop = str(event.delta.stop_reason or "")
            self._counted(event.usage)
        elif event.type == "message_stop":
            self.whole = True

    def _counted(self, usage: Usage_ | MessageDeltaUsage) -> None:
        for name, theirs in (
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
            ("cache_write_tokens", "cache_creation_input_tokens"),
            ("cache_read_tokens", "cache_read_input_tokens"),
        ):
            value = getattr(usage, theirs, None)
            if isinstance(value, int) and 0 <= value < 2**40:
                setattr(self, name, max(value, getattr(self, name)))

    def usage(self, asked_tokens: int) -> TokenUsage:
        """The usage by the server's count; our estimate if the reply did not get that far."""
        if not self.started:
            return TokenUsage()
        counted = TokenUsage(
            self.input_tokens, self.output_tokens, self.cache_write_tokens, self.cache_read_tokens
        )
        said = tokens_of("".join(each.text for each in self.blocks.values()))
        return TokenUsage(
            counted.input_tokens if counted.all_input_tokens else asked_tokens,
            counted.output_tokens if self.whole else max(counted.output_tokens, said),
            counted.cache_write_tokens,
            counted.cache_read_tokens,
        )

    def reply(self, usage: TokenUsage) -> Reply:
        ordered = [self.blocks[index] for index in sorted(self.blocks)]
        return Reply(
            "\n".join(each.text for each in ordered if each.kind == "text" and each.text.strip()),
            tuple(
                ToolCall(each.id, each.name, _arguments(each.text))
                for each in ordered
                if each.kind == "call"
            ),
            self.stop,
            usage,
        )


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Model:
    """The configured model, with the operator's key.

    Args:
        first_pause_s: before the second attempt, seconds; doubled with each.
    """

    def __init__(self, settings: Claude, key: str, *, first_pause_s: float) -> None:
        self._settings = settings
        self._first_pause_s = first_pause_s
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=settings.base_url,
            # We count the attempts ourselves, since each one costs money.
            max_retries=0,
            # Prompts describe this machine and go to the model alone.
            open_telemetry=False,
            timeout=anthropic.Timeout(settings.timeout_s, connect=CONNECT_S),
            http_client=anthropic.DefaultAsyncHttpxClient(
                # The key goes only to the operator's address; redirects are not followed.
                follow_redirects=False,
                event_hooks={"response": [_count]},
            ),
        )

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, question: Question, meter: Meter) -> Reply:
        """The reply to a question; each attempt is paid for.

        Raises:
            HandedOn: no reply, because of the model, the network or the budget.
        """
        asked_tokens = question.tokens()
        pause_s = self._first_pause_s
        for left in reversed(range(self._settings.attempts)):
            room = meter.allow(asked_tokens, self._settings.max_tokens)
            limit_s = min(self._settings.timeout_s, room.seconds)
            began = time.monotonic()
            try:
                reply = await self._attempt(question, room.max_tokens, limit_s, asked_tokens)
            except _Failed as failed:
                wait_s = max(failed.after_s, pause_s * random.uniform(0.8, 1.2))  # noqa: S311
                again = failed.again and left > 0 and wait_s <= LONGEST_PAUSE_S
                # Time spent waiting counts against the episode.
                if again:
                    await asyncio.sleep(min(wait_s, max(0.0, room.seconds - limit_s)))
                meter.charge(failed.usage, time.monotonic() - began)
                if not again:
                    raise HandedOn(f"the model does not answer: {failed}") from failed
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
                continue
            meter.charge(reply.usage, time.monotonic() - began)
            return reply
        raise AssertionError

    async def _attempt(
        self, question: Question, max_tokens: int, limit_s: float, asked_tokens: int
    ) -> Reply:
        partial = _Partial()
        try:
            async with asyncio.timeout(limit_s):
                await self._stream(question, max_tokens, partial)
        except (TimeoutError, anthropic.APITimeoutError):
            raise _Failed(
                f"no data within {limit_s:.3g} s", partial.usage(asked_tokens), again=True
            ) from None
        except anthropic.APIStatusError as error:
            raise self._refused(error, partial.usage(asked_tokens)) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            why = "the stream was cut" if partial.started else "it cannot be reached"
            raise _Failed(
                f"{why} ({type(error).__name__})", partial.usage(asked_tokens), again=True
            ) from None
        except _TooLong:
            raise _Failed(
                f"its reply is longer than {MOST_CHARACTERS // 1024} KiB",
                partial.usage(asked_tokens),
                again=False,
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError, anthropic.AnthropicError) as error:
            # The SDK does not validate what a server sends.
            raise _Failed(
                f"its reply is not understood ({type(error).__name__})",
                partial.usage(asked_tokens),
                again=False,
            ) from None
        usage = partial.usage(asked_tokens)
        if not partial.whole:
            raise _Failed("the stream was cut", usage, again=True)
        return partial.reply(usage)

    async def _stream(self, question: Question, max_tokens: int, partial: _Partial) -> None:
        stream = await self._client.messages.create(
            model=self._settings.model,
            max_tokens=max_tokens,
            system=question.system,
            messages=question.messages,
            tools=question.tools or anthropic.omit,
            tool_choice=question.tool_choice or anthropic.omit,
            stream=True,
        )
        async with stream:
            async for event in stream:
                partial.take(event)

    def _refused(self, error: anthropic.APIStatusError, usage: TokenUsage) -> _Failed:
        status = error.status_code
        again = status in _AGAIN or status >= 500 or error.type in _AGAIN_TYPES
        # The server's own text may be anything; its status and type are from a fixed set.
        kind = error.type if error.type in _KNOWN_TYPES else ""
        why = f"status {status}" if status != 200 else "an error in the middle of its reply"
        return _Failed(
            f"{why} ({kind})" if kind else why, usage, again=again, after_s=_retry_after(error)
        )


_KNOWN_TYPES = _AGAIN_TYPES | {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
}


def _retry_after(error: anthropic.APIStatusError) -> float:
    """The server's requested pause, seconds; dates are not parsed."""
    try:
        asked_s = float(error.response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
    return asked_s if 0 <= asked_s < 1e6 else 0.0
