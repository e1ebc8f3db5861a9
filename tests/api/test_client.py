# SPDX-License-Identifier: GPL-2.0-or-later
"""The clients against the real server: every route, and every way in which it can fail."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.api.client import AsyncClient, Client, control_client, control_opens, observe_client
from daemon.api.models import (
    AdviceRequest,
    ApprovalRequest,
    CandidateRequest,
    CloseRequest,
    CostReport,
    HoldRequest,
    LessonRequest,
    MeasurementRequest,
    ParametersRequest,
    RollbackRequest,
    TrialRequest,
    WindowValue,
)
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Fault, FaultType
from tests.api.fake import Served


def test_every_reading_route_answers_its_model_on_both_sockets(served: Served) -> None:
    """A client reads the same on the observe and on the control socket."""
    for client in (served.observer(), served.controller()):
        with client:
            assert client.status().version == "1"
            assert client.signals("cgroup:/a", 5.5).workload == "cgroup:/a"
            assert [each.id for each in client.workloads()] == ["comm:a\nb", "cgroup:/x"]
            assert client.workload("comm:x").profile.workload == "comm:x"
            assert client.library("fast & small?")[0].name == "fifo"
            assert client.scheduler("fifo").name == "fifo"
            assert client.candidate("c-0001").id == "c-0001"
            assert client.trial("t-0001").id == "t-0001"
            assert client.episodes(3)[0].id == "e-0001"
            assert client.episode("e-0002").id == "e-0002"
            assert client.outcomes("fifo") == []
            assert client.lessons()[0].text == "be brief"
            assert "schedpilot_start_time_seconds 1.0" in client.metrics()
    assert ("signals", ("cgroup:/a", 5.5)) in served.service.asked
    assert ("library", "fast & small?") in served.service.asked
    assert ("episodes", 3) in served.service.asked


def test_every_acting_route_delivers_its_request_unchanged(served: Served) -> None:
    """The daemon gets exactly the request of the client."""
    candidate = CandidateRequest(library="fifo", parameters={"a": True, "b": 2, "c": 0.5, "d": "x"})
    trial = TrialRequest(candidate="c-0001", workload="comm:ü/\n", window_s=1.5)
    window = WindowValue(value=3.5)
    hold = HoldRequest(candidate="c-0001")
    parameters = ParametersRequest(maps={"expected": {"4294967295": 2**64 - 1}})
    rollback = RollbackRequest(reason="because")
    approval = ApprovalRequest(approve=True)
    lesson = LessonRequest(text="short slices")
    measurement = MeasurementRequest(name="p99", value=-1.5)
    advice = AdviceRequest(text="do nothing")
    close = CloseRequest(summary="done", advisor="offline", cost=CostReport(calls=7))
    with served.controller() as client:
        assert client.create_candidate(candidate).id == "c-0001"
        client.start_trial(trial)
        client.feed_window("t-0001", window)
        client.hold(hold)
        client.set_parameters(parameters)
        client.rollback(rollback)
        client.release("enough & over")
        client.approve("t-0001", approval)
        assert client.record_lesson(lesson).text == "short slices"
        client.record_measurement(measurement)
        client.advise("e-0001", advice)
        assert client.close_episode("e-0001", close).cost.calls == 7
    assert served.service.asked == [
        ("create_candidate", candidate),
        ("start_trial", trial),
        ("feed_window", ("t-0001", window)),
        ("hold", hold),
        ("set_parameters", parameters),
        ("rollback", rollback),
        ("release", "enough & over"),
        ("approve", ("t-0001", approval)),
        ("record_lesson", lesson),
        ("record_measurement", measurement),
        ("advise", ("e-0001", advice)),
        ("close_episode", ("e-0001", close)),
    ]


@pytest.mark.parametrize(
    "id",
    [
        "cgroup:/system.slice/a b.service",
        "cgroup:/system.slice/system-x\\x2dy.slice",
        "cgroup:/100%/?q=1#f",
        "cgroup:/../../etc",
        "cgroup:/",
        "comm:kworker/0:1",
        "comm:two\nlines\n",
        "comm:\x1b[31mred",
        "comm:\u202eabc",
        "comm:a//b/./..",
        "cgroup:/" + "ü" * 2000,
    ],
)
def test_any_workload_id_reaches_the_daemon_unchanged(served: Served, id: str) -> None:
    """Slashes, colons, percent signs, line ends and marks in an id arrive unchanged."""
    with served.observer() as client:
        assert client.workload(id).id == id
    assert served.service.asked[-1] == ("workload", id)


def test_what_is_no_text_or_too_long_ends_in_a_fault(served: Served) -> None:
    """The arguments of a command line may be any bytes, and any number of them."""
    odd = b"\xff".decode("utf-8", "surrogateescape")
    with served.observer() as client:
        client.library(odd)
        assert served.service.asked[-1] == ("library", "?")
        for id in (f"pid:{odd}", "cgroup:/" + "x" * 20_000, "cgroup:/" + "x" * 200_000):
            with pytest.raises(Fault):
                client.workload(id)


def test_a_fault_arrives_as_it_was_raised_with_its_lines_made_safe(served: Served) -> None:
    """Type, sentence, place, cause, hint and lines are the same on both sides."""
    with served.observer() as client, pytest.raises(Fault) as raised:
        client.scheduler("nothing")
    fault = raised.value
    assert fault.type is FaultType.UNKNOWN_SCHEDULER
    assert fault.what == "no scheduler is called nothing"
    assert fault.where == "the library"
    assert fault.why == "it has `fifo` alone"
    assert fault.hint == "see `schedpilot library list`"
    assert fault.details == ("fifo", "        and nothing\\x1b[31m else")


def test_a_defect_is_told_without_its_insides(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is logged with its traceback; the client learns only that."""
    served.service.trouble = ZeroDivisionError("secret")
    with served.observer() as client, pytest.raises(Fault) as raised:
        client.status()
    assert raised.value.type is FaultType.INTERNAL
    assert "secret" not in raised.value.report()
    assert "journalctl" in raised.value.hint
    assert "ZeroDivisionError: secret" in caplog.text


def test_acting_on_the_observe_socket_names_the_control_socket(served: Served) -> None:
    """An action on the wrong socket has no effect, and the fault names the right one."""
    with served.observer() as client:
        for act in (
            lambda: client.rollback(RollbackRequest()),
            lambda: client.release(),
            lambda: client.record_lesson(LessonRequest(text="x")),
            lambda: client.close_episode("e-0001", CloseRequest(summary="", advisor="me")),
        ):
            with pytest.raises(Fault) as raised:
                act()
            assert raised.value.type is FaultType.NOT_ALLOWED
            assert "control.sock" in raised.value.hint
    assert served.service.asked == []


def test_an_absent_socket_says_how_to_start_the_daemon(tmp_path: Path) -> None:
    """Without a socket, the daemon is not running."""
    with Client(tmp_path / "observe.sock") as client, pytest.raises(Fault) as raised:
        client.status()
    assert raised.value.type is FaultType.UNREACHABLE
    assert raised.value.where == str(tmp_path / "observe.sock")
    assert "systemctl start schedpilotd" in raised.value.hint


def test_a_socket_that_nobody_listens_on_says_that_the_daemon_died(tmp_path: Path) -> None:
    """The fault distinguishes a stale socket from a missing one."""
    path = tmp_path / "observe.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Client(path) as client, pytest.raises(Fault) as raised:
        next(iter(client.events()))
    assert raised.value.type is FaultType.UNREACHABLE
    assert "nobody listens" in raised.value.why


@contextmanager
def without_rights_on(path: Path) -> Iterator[None]:
    """Become a user who is neither root nor in the group of `path`'s socket."""
    if os.geteuid() != 0:
        path.chmod(0)
        yield
        return
    for folder in path.parents:
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o055)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_a_socket_that_may_not_be_opened_says_which_group_may(served: Served) -> None:
    """Outside the group everybody can read; the fault for an action says how to join the group."""
    with without_rights_on(served.control_path):
        with served.observer() as client:
            assert client.status().version == "1"
        with served.controller() as client, pytest.raises(Fault) as raised:
            client.status()
    assert raised.value.type is FaultType.UNREACHABLE
    assert "may not open" in raised.value.why
    assert "usermod -aG schedpilot" in raised.value.hint


def test_the_folder_of_the_sockets_comes_from_the_environment(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCHEDPILOT_RUN_DIR leads both default clients to another daemon."""
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(served.run_dir))
    with observe_client() as reader, control_client() as actor:
        assert reader.path == served.observe_path
        assert actor.path == served.control_path
        assert reader.status() == actor.status()
    assert control_opens()
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(served.run_dir / "elsewhere"))
    assert not control_opens()


def test_the_asynchronous_client_has_the_same_methods(served: Served) -> None:
    """Awaited calls give the same answers and faults."""

    async def use() -> None:
        async with AsyncClient(served.control_path) as client:
            assert (await client.status()).version == "1"
            await client.rollback(RollbackRequest(reason="async"))
            with pytest.raises(Fault) as raised:
                await client.scheduler("nothing")
            assert raised.value.type is FaultType.UNKNOWN_SCHEDULER
        async with AsyncClient(served.run_dir / "none") as client:
            with pytest.raises(Fault) as raised:
                await client.status()
            assert raised.value.type is FaultType.UNREACHABLE

    asyncio.run(use())
    assert served.service.asked == [("rollback", RollbackRequest(reason="async"))]


@pytest.mark.parametrize("reply", [b"<html>", b'{"version": 1}', b"\xff\xfe"])
def test_an_answer_of_another_shape_is_a_fault_about_versions(tmp_path: Path, reply: bytes) -> None:
    """Another program behind the socket leads to a fault, not to a traceback."""
    path = tmp_path / "observe.sock"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(reply), reply))
        await writer.drain()
        writer.close()

    async def use() -> Fault:
        async with (
            await asyncio.start_unix_server(answer, path),
            AsyncClient(path) as client,
        ):
            with pytest.raises(Fault) as raised:
                await client.status()
            return raised.value

    fault = asyncio.run(use())
    assert fault.type is FaultType.INTERNAL
    assert "version" in fault.hint


def test_a_daemon_that_hangs_up_is_unreachable(tmp_path: Path) -> None:
    """A connection that closes without an answer is a fault with the socket's path."""
    path = tmp_path / "observe.sock"

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def use() -> Fault:
        async with (
            await asyncio.start_unix_server(hang_up, path),
            AsyncClient(path) as client,
        ):
            with pytest.raises(Fault) as raised:
                await client.status()
            return raised.value

    fault = asyncio.run(use())
    assert fault.type is FaultType.UNREACHABLE
    assert fault.where == str(path)
