# SPDX-License-Identifier: GPL-2.0-or-later
"""The sockets: who may open them, and who may have the folder."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from daemon.api.client import AsyncClient
from daemon.api.models import CandidateRequest
from daemon.service import server
from daemon.service.server import listen
from process import Fault, FaultType
from tests.api.fake import Served, serving


def test_sockets_have_their_modes(served: Served) -> None:
    """Everybody may open the observe socket; only its owner and group may open the other."""
    assert stat.S_IMODE(served.observe_path.stat().st_mode) == 0o666
    assert stat.S_IMODE(served.control_path.stat().st_mode) == 0o660
    assert served.control_path.stat().st_uid == os.geteuid()


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    """The server sets the modes itself, whatever the umask is."""
    before = os.umask(0o077)
    try:
        with listen(tmp_path / "run"):
            assert stat.S_IMODE((tmp_path / "run/observe.sock").stat().st_mode) == 0o666
    finally:
        os.umask(before)


def test_a_second_daemon_is_refused_and_the_first_goes_on(served: Served) -> None:
    """Two daemons cannot have one folder; the second learns who has it."""
    with pytest.raises(Fault) as raised, serving(served.run_dir):
        pass
    assert raised.value.type is FaultType.BUSY
    assert f"another schedpilotd answers at {served.control_path}" in raised.value.what
    assert str(os.getpid()) in raised.value.why
    with served.observer() as client:
        assert client.status().version == "1"


def test_sockets_of_a_dead_daemon_are_replaced(tmp_path: Path) -> None:
    """The remains of a killed daemon do not stop the next one."""
    for name in ("observe.sock", "control.sock", "control.new"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / name))
    with serving(tmp_path) as served, served.controller() as client:
        assert client.status().version == "1"
    assert [each.name for each in tmp_path.iterdir()] == ["lock"]


def test_a_folder_can_be_claimed_again_after_the_end(tmp_path: Path) -> None:
    """The folder is free again when the daemon ends."""
    for _ in range(2):
        with serving(tmp_path / "run") as served, served.observer() as client:
            assert client.status().version == "1"


def test_a_folder_that_cannot_be_is_a_fault(tmp_path: Path) -> None:
    """A file in place of the folder is a fault with its path."""
    (tmp_path / "run").write_text("")
    with pytest.raises(Fault) as raised, listen(tmp_path / "run"):
        pass
    assert raised.value.type is FaultType.STATE
    assert raised.value.where == str(tmp_path / "run")


def test_clients_may_connect_before_the_daemon_answers(tmp_path: Path) -> None:
    """After `listen`, a connection waits and is not refused."""
    with listen(tmp_path), socket.socket(socket.AF_UNIX) as early:
        early.connect(str(tmp_path / "control.sock"))


def test_an_error_inside_is_not_taken_for_one_of_the_sockets(tmp_path: Path) -> None:
    """Only making the sockets is reported as such."""
    with pytest.raises(ConnectionResetError), listen(tmp_path):
        raise ConnectionResetError


def test_many_clients_at_once_are_all_answered(served: Served) -> None:
    """Concurrent requests on one event loop do not get in each other's way."""

    async def use() -> list[str]:
        async with AsyncClient(served.observe_path) as client:
            answers = await asyncio.gather(*(client.workload(f"comm:{n}") for n in range(50)))
            return [each.id for each in answers]

    assert asyncio.run(use()) == [f"comm:{n}" for n in range(50)]


def test_who_waits_for_an_answer_is_told_that_the_daemon_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that outlasts the daemon ends in a fault, not in a broken connection."""
    monkeypatch.setattr(server, "GRACE_S", 1)
    with serving(tmp_path / "run") as served:
        served.service.slow = True

        async def use() -> Fault:
            async with AsyncClient(served.control_path) as client:
                asking = asyncio.create_task(
                    client.create_candidate(CandidateRequest(library="fifo"))
                )
                await asyncio.to_thread(served.until, lambda: bool(served.service.asked))
                await asyncio.to_thread(served.stop)
                with pytest.raises(Fault) as raised:
                    await asking
                return raised.value

        fault = asyncio.run(use())
    assert fault.type is FaultType.UNREACHABLE
    assert "stopping" in fault.why
    assert caplog.messages == ["Cancel 1 running task(s), timeout graceful shutdown exceeded"]


def test_an_idle_server_sleeps(served: Served) -> None:
    """An idle event loop has no timer: uvicorn's tick is switched off."""
    with served.observer() as client:
        client.status()
        assert served.call(served.timers) > 0  # the open connection's
    served.until(lambda: served.timers() == 0)
