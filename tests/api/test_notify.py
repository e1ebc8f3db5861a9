# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages to the service manager, read back from real datagram sockets."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.service.notify import Notifier
from tests.waiting import in_time


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A manager's socket and what it puts into NOTIFY_SOCKET."""
    name = (
        str(tmp_path / "notify") if request.param == "path" else f"@schedpilot-test-{os.getpid()}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(10)
        yield receiver, name


def test_the_manager_learns_each_state(manager: tuple[socket.socket, str]) -> None:
    """Ready, status and stopping arrive on both kinds of address."""
    receiver, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("watching")
    notifier.status("trial of fifo\nREADY=0")
    notifier.stopping("putting back what was there")
    assert [receiver.recv(4096) for _ in range(3)] == [
        b"READY=1\nSTATUS=watching",
        b"STATUS=trial of fifo READY=0",
        b"STOPPING=1\nSTATUS=putting back what was there",
    ]


def test_signs_of_life_come_while_healthy_and_stop_with_health(
    manager: tuple[socket.socket, str],
) -> None:
    """A daemon that hangs no longer feeds the watchdog."""
    receiver, address = manager
    notifier = Notifier.from_environment(
        {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())}
    )
    assert notifier.watchdog_s == 0.02
    asked = 0

    def healthy() -> bool:
        nonlocal asked
        asked += 1
        if asked == 6:
            raise asyncio.CancelledError
        return asked <= 3

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(notifier.watch(healthy))
    assert [receiver.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(100)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "20000"},
        {"NOTIFY_SOCKET": "@nobody-there-at-all"},
        {"NOTIFY_SOCKET": "/nonexistent/notify"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"},
    ],
)
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    """Without a manager, with a foreign watchdog or with a dead manager there is no error and no
    wait."""
    notifier = Notifier.from_environment(environ)
    notifier.ready("x")
    notifier.alive()
    asyncio.run(in_time(notifier.watch(lambda: True), 10))
