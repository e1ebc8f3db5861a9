# SPDX-License-Identifier: GPL-2.0-or-later
"""Polling the numbers of objectives: commands, Prometheus, and what is not a number."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agent.measure import keep_polling, poll
from agent.measuring.command import parse_number
from agent.measuring.measure import MeasureEntry
from agent.measuring.query import Prometheus, parse_answer
from daemon.api.models import MeasurementRequest
from process import Fault, FaultType


def command(code: str, timeout_s: float = 10.0) -> MeasureEntry:
    return MeasureEntry(name="queue", command=[sys.executable, "-c", code], timeout_s=timeout_s)


def test_a_command_that_prints_a_number_is_a_measurement() -> None:
    """White space around the number does not matter, its unit and name come along."""
    measure = command("print(' 42.5 ')").model_copy(update={"unit": "ms"})
    found = asyncio.run(poll(measure))
    assert found is not None
    assert (found.name, found.value, found.unit) == ("queue", 42.5, "ms")
    assert found.started is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it printed nothing"),
        ("12 ms", "it printed '12 ms'"),
        ("1\n2", "it printed '1\\\\n2'"),
        ("nan", "not a finite number"),
        ("1e999", "not a finite number"),
        ("\x1b[31m5", "it printed '\\\\x1b[31m5'"),
    ],
)
def test_anything_else_is_said_as_it_stood_there(text: str, says: str) -> None:
    """The text that was printed instead of a number is shown, without control characters."""
    with pytest.raises(Fault) as caught:
        parse_number(text, "measure 'queue'")
    assert says in str(caught.value)


def test_a_command_that_fails_or_hangs_is_a_fault() -> None:
    """The fault distinguishes an exit status from a time-out."""
    with pytest.raises(Fault) as caught:
        asyncio.run(poll(command("raise SystemExit(3)")))
    assert caught.value.type is FaultType.CHILD_FAILED
    with pytest.raises(Fault) as caught:
        asyncio.run(poll(command("import time; time.sleep(60)", timeout_s=0.3)))
    assert caught.value.type is FaultType.TIMEOUT


def vector(*values: str) -> bytes:
    series = [{"metric": {}, "value": [1.0, value]} for value in values]
    answer = {"status": "success", "data": {"resultType": "vector", "result": series}}
    return json.dumps(answer).encode()


def test_prometheus_answers_are_read_strictly() -> None:
    """One series or a scalar is a number; none, several, errors and other things are not."""
    assert parse_answer(vector("0.25"), "here") == 0.25
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "7"]}}
    assert parse_answer(json.dumps(scalar).encode(), "here") == 7.0
    refused = {"status": "error", "error": "parse error"}
    for raw, says in (
        (vector(), "a vector of 0 series"),
        (vector("1", "2"), "a vector of 2 series"),
        (vector("NaN"), "not a finite number"),
        (json.dumps(refused).encode(), "parse error"),
        (b"<html>", "not an answer from Prometheus"),
        (b"[]", "not an answer from Prometheus"),
    ):
        with pytest.raises(Fault, match=says):
            parse_answer(raw, "here")


@contextmanager
def prometheus(body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers every query with `body`; gives its URL and the queries."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_query_is_asked_of_the_server() -> None:
    """The query is escaped, and its one number comes back."""
    with prometheus(vector("3.5")) as (url, asked):
        source = Prometheus(url=url, query="sum(rate(x[1m]))")
        found = asyncio.run(poll(MeasureEntry(name="rate", prometheus=source)))
    assert found is not None
    assert found.value == 3.5
    assert asked == ["/api/v1/query?query=sum%28rate%28x%5B1m%5D%29%29"]


def test_a_server_that_is_not_there_or_says_too_much_is_a_fault() -> None:
    """Neither a closed port nor an endless answer ends the agent."""
    with prometheus(b" " * 300 * 1024) as (url, _), pytest.raises(Fault) as caught:
        asyncio.run(poll(MeasureEntry(name="rate", prometheus=Prometheus(url=url, query="x"))))
    assert caught.value.type is FaultType.TOO_LARGE
    with pytest.raises(Fault) as caught:
        asyncio.run(poll(MeasureEntry(name="rate", prometheus=Prometheus(url=url, query="x"))))
    assert caught.value.type is FaultType.UNREACHABLE


def test_polling_goes_on_after_failures_and_mentions_each_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same trouble is logged once, and so is its end."""
    measure = command("print(1)").model_copy(update={"interval_s": 0.2})
    answers: list[Fault | None] = [Fault(FaultType.UNREACHABLE, "gone")] * 3 + [None]
    pushed: list[MeasurementRequest] = []

    async def push(request: MeasurementRequest) -> None:
        answer = answers.pop(0) if answers else None
        if answer:
            raise answer
        pushed.append(request)
        if len(pushed) == 2:
            raise asyncio.CancelledError

    with caplog.at_level(logging.INFO, "schedpilot-agent"), pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_polling(measure, push))
    assert caplog.text.count("failed") == 1
    assert caplog.text.count("works again") == 1
