# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that nobody should send, and what comes back, by plain HTTP."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from daemon.api.models import BODY_LIMIT_BYTES
from daemon.api.problems import STATUS
from daemon.service import server
from process import FaultType
from tests.api.fake import Served


@pytest.fixture
def control(served: Served) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(served.control_path))
    with httpx.Client(transport=transport, base_url="http://any", trust_env=False) as client:
        yield client


def problem(response: httpx.Response, status: int, type: FaultType) -> dict[str, Any]:
    """The problem details of a refusal."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["type"] == f"urn:schedpilot:fault:{type}"
    assert found["status"] == status
    assert len(response.content) < 8192
    return found


def test_every_fault_has_a_status_of_an_error() -> None:
    """Every type of fault has its HTTP status."""
    assert set(STATUS) == set(FaultType)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize(
    "body",
    [b"{", b"no", b"\xff\xfe", b'{"reason": "\\ud800"}', b"[" * 100_000, b"{}{}", b"NaN"],
)
def test_a_body_that_is_not_json_is_refused(
    control: httpx.Client, served: Served, body: bytes
) -> None:
    """Incomplete, wrong, endlessly nested and doubled JSON gets a problem, and nothing is done."""
    response = control.post("/v1/rollback", content=body)
    found = problem(response, 400, FaultType.BAD_REQUEST)
    assert "JSON" in found["detail"] + found["why"] or "object" in found["why"]
    assert found["instance"] == "/v1/rollback"
    assert served.service.asked == []


def test_a_body_that_is_no_object_is_refused(control: httpx.Client) -> None:
    """A list in place of an object gets a problem that says so."""
    found = problem(control.post("/v1/rollback", json=[1]), 400, FaultType.BAD_REQUEST)
    assert "object" in found["lines"][0]


def test_an_empty_body_takes_the_defaults(control: httpx.Client) -> None:
    """A rollback needs no body at all."""
    assert control.post("/v1/rollback").status_code == 200


def test_an_unknown_field_is_named_with_the_nearest_known_one(control: httpx.Client) -> None:
    """The answer to a typing error has the probable name, in nested objects as well."""
    body = {"candidate": "c-0001", "windw_s": 2}
    found = problem(control.post("/v1/trials", json=body), 400, FaultType.BAD_REQUEST)
    assert found["lines"] == ["windw_s: unknown field; the nearest known one is window_s"]
    assert "max_windows" in found["hint"]
    nested = {"summary": "", "advisor": "me", "cost": {"mony": 1}}
    found = problem(
        control.post("/v1/episodes/e-0001/close", json=nested), 400, FaultType.BAD_REQUEST
    )
    assert found["lines"] == ["cost.mony: unknown field; the nearest known one is money"]


def test_each_wrong_field_has_its_own_line(control: httpx.Client) -> None:
    """One answer reports all problems, and a value of four possible types is one field."""
    body = {"library": "../etc/passwd", "parameters": {"slice_us": [1]}, "episode": 5}
    found = problem(control.post("/v1/candidates", json=body), 400, FaultType.BAD_REQUEST)
    assert [line.partition(":")[0] for line in found["lines"]] == [
        "library",
        "parameters.slice_us",
        "episode",
    ]
    assert found["why"] == "3 fields are wrong"


def test_hostile_and_countless_fields_are_cut_and_escaped(control: httpx.Client) -> None:
    """Megabytes of nonsense come back as a page, with nothing in it that moves a cursor."""
    body = {f"\x1b[2J\u202e{number}" + "x" * 500: 1 for number in range(2000)}
    response = control.post("/v1/rollback", json=body)
    found = problem(response, 400, FaultType.BAD_REQUEST)
    assert len(found["lines"]) == 21
    assert found["lines"][-1] == "and 1980 more"
    assert all(line.isprintable() for line in found["lines"])


def test_a_declared_body_that_is_too_large_is_refused_unread(control: httpx.Client) -> None:
    """The declared length alone is enough to refuse."""
    body = b'{"reason": "' + b"x" * BODY_LIMIT_BYTES + b'"}'
    found = problem(control.post("/v1/rollback", content=body), 413, FaultType.TOO_LARGE)
    assert str(BODY_LIMIT_BYTES) in found["why"]


def test_a_streamed_body_is_cut_off_where_it_becomes_too_large(control: httpx.Client) -> None:
    """A body of unknown length is read no further than the limit."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 64 * BODY_LIMIT_BYTES:
            sent += 65536
            yield b" " * 65536

    problem(control.post("/v1/rollback", content=endless()), 413, FaultType.TOO_LARGE)
    assert sent < 4 * BODY_LIMIT_BYTES


def test_a_body_of_just_the_limit_is_taken(control: httpx.Client) -> None:
    """The limit itself is allowed."""
    body = b"{}".ljust(BODY_LIMIT_BYTES)
    assert control.post("/v1/rollback", content=body).status_code == 200


def test_unknown_paths_and_methods_are_problems(control: httpx.Client) -> None:
    """A path without a route gets an answer that helps."""
    found = problem(control.get("/v1/stauts"), 404, FaultType.NOT_FOUND)
    assert "/v1/status" in found["hint"]
    problem(control.get("/v1/status/"), 404, FaultType.NOT_FOUND)
    problem(control.get("/"), 404, FaultType.NOT_FOUND)
    problem(control.get("/v1/library/..%2f..%2fetc"), 404, FaultType.NOT_FOUND)
    response = control.put("/v1/status", json={})
    found = problem(response, 405, FaultType.NOT_ALLOWED)
    assert "GET" in response.headers["allow"]
    problem(control.get("/%1b%5b2J%0a"), 404, FaultType.NOT_FOUND)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/library/UPPER", 400),
        ("/v1/library/..", 404),
        ("/v1/candidates/x%0ay", 400),
        ("/v1/workloads/pid:1", 400),
        ("/v1/workloads/", 400),
        ("/v1/workloads/cgroup:/" + "x" * 5000, 400),
        ("/v1/trials/" + "t-" + "9" * 40, 400),
    ],
)
def test_ids_that_can_name_nothing_are_refused_at_the_edge(
    control: httpx.Client, path: str, status: int
) -> None:
    """The daemon's own code never sees an id of a wrong form."""
    assert control.get(path).status_code == status


def test_queries_are_checked_as_bodies_are(control: httpx.Client) -> None:
    """A parameter that is unknown or out of range is named with the reason."""
    found = problem(control.get("/v1/episodes?lst=3"), 400, FaultType.BAD_REQUEST)
    assert found["lines"] == ["lst: unknown parameter; the nearest known one is last"]
    for wrong in ("last=0", "last=nan", "last=x", "last=1e9"):
        problem(control.get(f"/v1/signals?{wrong}"), 400, FaultType.BAD_REQUEST)
    problem(control.get("/v1/outcomes?scheduler=../x"), 400, FaultType.BAD_REQUEST)
    problem(control.get("/v1/events?after=-1"), 400, FaultType.BAD_REQUEST)


def test_the_observe_socket_answers_405_where_the_control_socket_would_act(served: Served) -> None:
    """A plain HTTP client also hears which methods exist."""
    transport = httpx.HTTPTransport(uds=str(served.observe_path))
    with httpx.Client(transport=transport, base_url="http://any", trust_env=False) as client:
        response = client.post("/v1/lessons", json={"text": "x"})
        problem(response, 405, FaultType.NOT_ALLOWED)
        assert response.headers["allow"] == "GET, HEAD"
        response = client.post("/v1/approvals/t-0001", content=b"not json")
        problem(response, 405, FaultType.NOT_ALLOWED)
        assert response.headers["allow"] == ""


def test_what_is_not_http_does_not_disturb_the_server(served: Served) -> None:
    """Noise gets an error and a closed connection; the next client is served."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(served.observe_path))
        raw.sendall(b"\x00\xff" * 100 + b"\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 400")
    with served.observer() as client:
        assert client.status().version == "1"


@pytest.mark.parametrize("limit", ["CONNECTION_LIMIT", "CONNECTION_LIMIT_OF_A_USER"])
def test_more_connections_than_allowed_are_turned_away(
    served: Served, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """The connections of one socket are limited, and so are those of one ordinary user; each socket
    has its own count."""
    monkeypatch.setattr(server, limit, 3)
    monkeypatch.setattr(server, "_user_of", lambda connection: 1000)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    try:
        for each in idle:
            each.connect(str(served.observe_path))
        with socket.socket(socket.AF_UNIX) as extra:
            extra.settimeout(10)
            extra.connect(str(served.observe_path))
            reply = b"".join(iter(lambda: extra.recv(65536), b""))
        head, _, body = reply.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert json.loads(body)["type"] == "urn:schedpilot:fault:busy"
        with served.controller() as client:
            assert client.status().version == "1"
    finally:
        for each in idle:
            each.close()


def test_a_connection_that_asks_nothing_is_closed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holding a connection without a request ends after the limit."""
    monkeypatch.setattr(server, "HEADER_LIMIT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(served.observe_path))
        raw.sendall(b"GET /v1/sta")
        assert raw.recv(1) == b""
