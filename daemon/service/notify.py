# SPDX-License-Identifier: GPL-2.0-or-later
"""The service manager's notification protocol (sd_notify(3)), without libsystemd."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Self


class Notifier:
    """Reports the daemon's state to the service manager; silent if there is none.

    Args:
        address: of the manager's datagram socket: a path, or `@NAME` in the abstract namespace;
            empty if there is none.
        watchdog_s: the manager acts after this time without a sign of life, seconds; 0: never.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them."""
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            address = ""
        microseconds = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(microseconds) / 1e6 if microseconds.isdecimal() and ours else 0.0
        return cls(address, watchdog_s)

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={_line(text)}")

    def stopping(self, status: str = "") -> None:
        self._send("STOPPING=1", f"STATUS={_line(status)}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    async def watch(self, healthy: Callable[[], bool]) -> None:
        """Send a sign of life twice in each watchdog interval while `healthy`, for ever.

        Returns at once if the manager requested none. A daemon that answers but no longer does its
        work sends none: then the manager restarts it.
        """
        if not self._address or not self.watchdog_s:
            return
        while True:
            if healthy():
                self.alive()
            await asyncio.sleep(self.watchdog_s / 2)

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        # An error here must neither fail nor delay anything: the manager draws its own conclusions
        # from silence.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
        ):
            manager.setblocking(False)
            manager.sendto("\n".join(assignments).encode("utf-8", "replace"), self._address)


def _line(text: str) -> str:
    """A status is one line; a line end in it would start another assignment."""
    return " ".join(text.split())
