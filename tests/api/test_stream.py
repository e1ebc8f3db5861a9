# SPDX-License-Identifier: GPL-2.0-or-later
"""`GET /v1/events` and the event log behind it."""

import asyncio
import json
import socket
from pathlib import Path

import httpx
import pytest

from daemon.api import client as client_module
from daemon.api import stream
from daemon.api.client import AsyncClient
from daemon.api.models import Event, EventKind
from daemon.api.stream_reading import LINE_LIMIT_BYTES, EventDecoder
from daemon.service import server
from daemon.service.events import EventLog
from process import Fault, FaultType
from tests.api.fake import Served, serving


def test_recorded_events_come_first_and_new_ones_follow(served: Served) -> None:
    """A client sees earlier events, then new ones, each once and in order."""
    served.record("one", workload="comm:\u2028odd\x85")
    served.record("two", figures={"ratio": 1.5})
    with served.observer() as client:
        events = client.events()
        first, second = next(events), next(events)
        served.record("three")
        third = next(events)
    assert [each.message for each in (first, second, third)] == ["one", "two", "three"]
    assert [each.seq for each in (first, second, third)] == [1, 2, 3]
    assert first.workload == "comm:\u2028odd\x85"
    assert second.figures == {"ratio": 1.5}


def test_a_client_goes_on_where_it_stopped(served: Served) -> None:
    """`after` and Last-Event-ID both leave out what was already seen; the latter wins."""
    for number in range(4):
        served.record(str(number))
    with served.observer() as client:
        assert next(client.events(after=3)).seq == 4
    transport = httpx.HTTPTransport(uds=str(served.observe_path))
    with (
        httpx.Client(transport=transport, base_url="http://any", trust_env=False) as plain,
        plain.stream("GET", "/v1/events?after=1", headers={"last-event-id": "2"}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        seen = b""
        for chunk in response.iter_raw():
            seen += chunk
            if b"id: 4" in seen:
                break
    assert b"id: 3\nevent: window\ndata: {" in seen
    assert b"id: 2" not in seen


def test_a_quiet_stream_beats(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments come while nothing happens, and events are not lost between them."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.02)
    transport = httpx.HTTPTransport(uds=str(served.observe_path))
    with (
        httpx.Client(transport=transport, base_url="http://any", trust_env=False) as plain,
        plain.stream("GET", "/v1/events") as response,
    ):
        seen = b""
        recorded = False
        for chunk in response.iter_raw():
            seen += chunk
            if seen.count(b":\n\n") >= 2 and not recorded:
                served.record("after some beats")
                recorded = True
            if b"after some beats" in seen:
                break
    assert b"id: 1\n" in seen


def test_a_stream_ends_cleanly_when_the_daemon_stops(tmp_path: Path) -> None:
    """Followers see an end, not an error, and the stop does not wait for them."""
    with serving(tmp_path / "run") as served:
        served.record("last words")
        with served.observer() as client:
            events = client.events()
            assert next(events).message == "last words"
            served.stop()
            assert list(events) == []
    assert not served.observe_path.exists()


def test_a_follower_that_leaves_is_forgotten(served: Served) -> None:
    """A closed connection ends its subscription at once."""
    with served.observer() as client:
        served.record("x")
        events = client.events()
        next(events)
        served.until(lambda: served.service.subscribers == 1)
    served.until(lambda: served.service.subscribers == 0)


def test_a_slow_follower_misses_events_but_holds_no_memory(served: Served) -> None:
    """A client that stops reading gets the held events when it reads again, and a note about the
    gap."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(str(served.observe_path))
        raw.sendall(b"GET /v1/events HTTP/1.1\r\nhost: any\r\n\r\n")
        raw.recv(1)
        for _ in range(20):

            def burst() -> None:
                for _ in range(100):
                    served.service.log.append(EventKind.WINDOW, "x" * 4000)

            served.call(burst)
        assert len(served.service.log.recorded()) == 50
        served.record("the end")
        seen = b""
        while b"the end" not in seen:
            seen += raw.recv(65536)
    assert b"events are no longer held" in seen
    assert seen.count(b"\nevent: ") < 1000


def test_a_follower_that_never_reads_does_not_stop_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon ends cleanly even if a client's connection is full."""
    monkeypatch.setattr(server, "GRACE_S", 1)
    with serving(tmp_path / "run") as served, socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(served.observe_path))
        raw.sendall(b"GET /v1/events HTTP/1.1\r\nhost: any\r\n\r\n")
        raw.recv(1)
        for _ in range(300):
            served.record("x" * 4000)
        served.stop()
    assert caplog.records == []


def test_the_asynchronous_client_follows_too(served: Served) -> None:
    """`AsyncClient.events` gives the same events."""
    served.record("one")

    async def first() -> Event:
        async with AsyncClient(served.control_path) as client:
            async for event in client.events():
                return event
        raise AssertionError("no event")

    assert asyncio.run(first()).message == "one"


def test_a_daemon_that_dies_is_told_from_one_that_stops(tmp_path: Path) -> None:
    """A stream that breaks off in the middle is a fault, after the events that came."""
    path = tmp_path / "observe.sock"
    alive = stream.frame(Event(seq=1, at=1.0, kind=EventKind.STARTED, message="alive"))

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%s\r\n" % (len(alive), alive))
        await writer.drain()
        writer.transport.abort()

    async def follow() -> Fault:
        async with await asyncio.start_unix_server(die, path), AsyncClient(path) as client:
            events = client.events()
            assert (await anext(events)).message == "alive"
            with pytest.raises(Fault) as raised:
                await anext(events)
            return raised.value

    assert asyncio.run(follow()).type is FaultType.UNREACHABLE


def test_silence_without_a_heartbeat_is_a_timeout(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stuck daemon does not leave its followers waiting for ever."""
    monkeypatch.setattr(client_module, "_SILENCE_S", 0.1)
    with served.observer() as client, pytest.raises(Fault) as raised:
        next(client.events())
    assert raised.value.type is FaultType.TIMEOUT


def test_events_survive_any_cutting_of_the_stream() -> None:
    """Pieces of any size give the same events; unknown kinds are skipped."""
    events = [
        Event(seq=number, at=1.0, kind=EventKind.ADVICE, message=f"ü\u2029{number}")
        for number in (1, 2, 3)
    ]
    unknown = json.dumps({"seq": 9, "at": 1, "kind": "from-the-future", "message": ""})
    wire = b": hello\n\n" + stream.frame(events[0]) + b":\n\n" + stream.frame(events[1])
    wire += f"id: 9\ndata: {unknown}\n\n".encode() + stream.frame(events[2])
    for size in (1, 2, 7, len(wire)):
        decoder = EventDecoder()
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        assert [event for piece in pieces for event in decoder.feed(piece)] == events


def test_a_line_without_end_is_refused() -> None:
    """A stream cannot fill the client's memory."""
    decoder = EventDecoder()
    assert decoder.feed(b"x" * LINE_LIMIT_BYTES) == []
    with pytest.raises(Fault) as raised:
        decoder.feed(b"x")
    assert raised.value.type is FaultType.TOO_LARGE


def test_the_log_numbers_stamps_and_tells_its_sink() -> None:
    """Numbers go on from an earlier run; the sink gets each event once."""
    told: list[Event] = []
    log = EventLog(told.append, first_seq=41, held=2, clock=lambda: 7.0)
    assert log.last_seq == 40
    assert log.recorded() == []
    for message in ("a", "b", "c"):
        log.append(EventKind.LESSON, message)
    assert [(event.seq, event.at, event.message) for event in told] == [
        (41, 7.0, "a"),
        (42, 7.0, "b"),
        (43, 7.0, "c"),
    ]
    assert log.recorded() == told[1:]
    assert log.recorded(42) == told[2:]
    assert log.recorded(99) == []


def test_a_reader_from_before_a_restart_gets_everything() -> None:
    """A number that no event has yet cannot be the place to continue."""

    async def read() -> list[int]:
        log = EventLog(lambda event: None)
        log.append(EventKind.STARTED, "again")
        log.close()
        return [event.seq async for event in log.subscribe(after=500)]

    assert asyncio.run(read()) == [1]


def test_two_readers_get_every_event_and_close_ends_both() -> None:
    """Readers do not take events from each other."""

    async def read() -> list[list[int]]:
        log = EventLog(lambda event: None)

        async def follow() -> list[int]:
            return [event.seq async for event in log.subscribe()]

        readers = [asyncio.create_task(follow()) for _ in range(2)]
        for _ in range(3):
            log.append(EventKind.WINDOW, "")
            await asyncio.sleep(0)
        log.close()
        return list(await asyncio.gather(*readers))

    assert asyncio.run(read()) == [[1, 2, 3], [1, 2, 3]]
