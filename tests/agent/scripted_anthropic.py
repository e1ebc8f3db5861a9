# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake of the Anthropic API on loopback: real HTTP, server-sent events, tool use; no model.

What it answers is a script, one entry for each request. It exists so that the agent around a
model can be shown to work; it says nothing about how well any model would do. Tokens are
counted as characters / 4, the prefix up to the last mark of the cache as read from it when the
same was marked before.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted-fake"
KEY = "sk-fake-for-tests"
# What a request asks for, as the script sees it.
Asked = dict[str, Any]


@dataclass(frozen=True)
class Use:
    """A tool call. `raw`, if given, is sent instead of the arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None


@dataclass(frozen=True)
class Says:
    """A reply: text and tool calls, streamed in small pieces. With `cut_after` events the
    connection is closed; with `pause_s` it waits before each of them."""

    text: str = ""
    uses: Sequence[Use] = ()
    stop: str = ""
    cut_after: int | None = None
    pause_s: float = 0.0

    @property
    def reason(self) -> str:
        return self.stop or ("tool_use" if self.uses else "end_turn")


@dataclass(frozen=True)
class Refuses:
    """A status and an error body, as the API has them."""

    status: int
    kind: str = "api_error"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Breaks:
    """A stream that begins well and has an error in its middle."""

    kind: str = "overloaded_error"


@dataclass(frozen=True)
class Sends:
    """These bytes as the body, whatever they are, this many times."""

    body: bytes
    times: int = 1


@dataclass(frozen=True)
class Hangs:
    """Nothing at all, until the client gives up."""


Entry = Says | Refuses | Breaks | Sends | Hangs
# An entry, or one that is made from the request (ids that the machine gave, for one).
Scripted = Entry | Callable[[Asked], Entry]


def said(asked: Asked) -> str:
    """The whole text of a request."""
    return json.dumps([asked.get("system"), asked.get("messages")], ensure_ascii=False)


def newest(asked: Asked) -> str:
    """The newest message of a request, as text."""
    return json.dumps(asked["messages"][-1]["content"], ensure_ascii=False)


def _tokens(what: object) -> int:
    return len(json.dumps(what)) // 4


class ScriptedAnthropic:
    """The server. `asked` are the bodies of all requests, `keys` what they were signed with."""

    def __init__(self, script: Sequence[Scripted], *, again: Scripted | None = None) -> None:
        self.script = list(script)
        self.again = again
        self.asked: list[Asked] = []
        self.keys: list[str] = []
        self.seconds = 0.0
        self._cached: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "scripted-fake-no-model"

            def do_POST(self) -> None:
                owner._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _next(self, asked: Asked) -> Entry:
        with self._lock:
            self.asked.append(asked)
            entry = self.script.pop(0) if self.script else self.again
        if entry is None:
            return Refuses(400, "invalid_request_error", {"x-scripted": "the script is at its end"})
        return entry(asked) if callable(entry) else entry

    def _answer(self, http: BaseHTTPRequestHandler) -> None:
        began = time.monotonic()
        raw = http.rfile.read(int(http.headers.get("content-length", "0")))
        bearer = http.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys.append(http.headers.get("x-api-key", bearer))
        asked = json.loads(raw)
        if http.path != "/v1/messages" or not asked.get("stream"):
            self._refuse(http, Refuses(404, "not_found_error"))
            return
        entry = self._next(asked)
        try:
            if isinstance(entry, Hangs):
                self._ended.wait(30)
                http.close_connection = True
            elif isinstance(entry, Refuses):
                self._refuse(http, entry)
            else:
                self._stream(http, asked, entry)
        except OSError:
            # The client has gone; some tests are about that.
            http.close_connection = True
        finally:
            self.seconds += time.monotonic() - began

    def _refuse(self, http: BaseHTTPRequestHandler, entry: Refuses) -> None:
        body = json.dumps(
            {"type": "error", "error": {"type": entry.kind, "message": "as scripted"}}
        ).encode()
        http.send_response(entry.status)
        http.send_header("content-type", "application/json")
        http.send_header("content-length", str(len(body)))
        for name, value in entry.headers.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(body)

    def _stream(
        self, http: BaseHTTPRequestHandler, asked: Asked, entry: Says | Breaks | Sends
    ) -> None:
        http.send_response(200)
        http.send_header("content-type", "text/event-stream")
        # The end of the stream is the end of the connection, as where a proxy cuts one.
        http.send_header("connection", "close")
        http.end_headers()
        http.close_connection = True
        if isinstance(entry, Sends):
            for _ in range(entry.times):
                http.wfile.write(entry.body)
            return
        says = entry if isinstance(entry, Says) else Says("half of")
        for number, event in enumerate(self._events(asked, says)):
            if isinstance(entry, Breaks) and number == 3:
                event = {"type": "error", "error": {"type": entry.kind, "message": "as scripted"}}
            if says.cut_after is not None and number >= says.cut_after:
                http.wfile.flush()
                http.connection.shutdown(socket.SHUT_RDWR)
                return
            if says.pause_s and self._ended.wait(says.pause_s):
                return
            http.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            http.wfile.flush()
            if event["type"] == "error":
                return

    def _usage(self, asked: Asked) -> dict[str, int]:
        prefix = json.dumps([asked.get("tools"), asked.get("system")])
        whole = _tokens([asked.get("tools"), asked.get("system"), asked["messages"]])
        if '"cache_control"' not in prefix:
            return {"input_tokens": whole}
        cached = _tokens(prefix)
        with self._lock:
            known = prefix in self._cached
            self._cached.add(prefix)
        return {
            "input_tokens": max(0, whole - cached),
            "cache_read_input_tokens": cached if known else 0,
            "cache_creation_input_tokens": 0 if known else cached,
        }

    def _events(self, asked: Asked, says: Says) -> Iterator[dict[str, Any]]:
        usage = self._usage(asked)
        yield {
            "type": "message_start",
            "message": {
                "id": "msg_scripted",
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**usage, "output_tokens": 1},
            },
        }
        yield {"type": "ping"}
        blocks: list[tuple[dict[str, Any], str, str]] = []
        if says.text:
            blocks.append(({"type": "text", "text": ""}, "text", says.text))
        for number, use in enumerate(says.uses):
            id = f"toolu_{len(self.asked):03d}_{number}"
            text = json.dumps(dict(use.arguments)) if use.raw is None else use.raw
            blocks.append(
                ({"type": "tool_use", "id": id, "name": use.name, "input": {}}, "json", text)
            )
        for index, (start, kind, text) in enumerate(blocks):
            yield {"type": "content_block_start", "index": index, "content_block": start}
            for piece in _pieces(text):
                delta = (
                    {"type": "text_delta", "text": piece}
                    if kind == "text"
                    else {"type": "input_json_delta", "partial_json": piece}
                )
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": says.reason, "stop_sequence": None},
            "usage": {"output_tokens": sum(len(text) // 4 + 8 for _, _, text in blocks)},
        }
        yield {"type": "message_stop"}


def _pieces(text: str) -> Iterator[str]:
    size = max(16, len(text) // 50)
    for begin in range(0, len(text), size):
        yield text[begin : begin + size]


@contextmanager
def scripted(*script: Scripted, again: Scripted | None = None) -> Iterator[ScriptedAnthropic]:
    """The fake with a script; when the script is over, it answers `again`."""
    server = ScriptedAnthropic(script, again=again)
    server.start()
    try:
        yield server
    finally:
        server.stop()
