# SPDX-License-Identifier: GPL-2.0-or-later
"""The real daemon as a separate process, for tests on the host and in the lab."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from daemon.api.client import AsyncClient, Client
from daemon.api.models import Event, EventKind, LessonRequest
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET
from process import Limit, within
from tests.waiting import ended

ROOT = Path(__file__).parents[2]
# Ample for a start under emulation, seconds.
START_S = 90.0
# Ample for anything an event is awaited for, seconds.
EVENT_S = 90.0


@dataclass
class Place:
    """Where a daemon lives: its three folders and its configuration."""

    folder: Path
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def configured(self, text: str = "") -> Path:
        """The configuration file of this place; `text`, if given, replaces it."""
        tables = {
            # Tests say themselves when something is compiled.
            "prepare": {"enabled": False},
            **self.tables,
            "daemon": {
                "state_dir": str(self.state),
                "run_dir": str(self.run),
                "cache_dir": str(self.cache),
                **self.tables.get("daemon", {}),
            },
        }
        path = self.folder / "schedpilot.toml"
        path.write_text(text or tomlkit.dumps(tables), "utf-8")
        return path


@dataclass
class Running:
    """A daemon that has said it is ready. `log` is what it prints."""

    process: "subprocess.Popen[bytes]"
    place: Place
    log: Path

    def control(self) -> Client:
        return Client(self.place.run / CONTROL_SOCKET)

    def observe(self) -> Client:
        return Client(self.place.run / OBSERVE_SOCKET)

    def events(self, after: int = 0) -> list[Event]:
        """All its events so far, after number `after`."""
        mark = f"events are read here: {secrets.token_hex(4)}"
        with self.control() as client:
            client.record_lesson(LessonRequest(text=mark))
        found: list[Event] = []

        def until_mark(event: Event) -> bool:
            found.append(event)
            return event.kind is EventKind.LESSON and mark in event.message

        asyncio.run(self._read(until_mark, after))
        return found[:-1]

    def until(self, kind: EventKind, after: int = 0) -> Event:
        """Wait for the first event of this kind after number `after`."""
        return asyncio.run(self._read(lambda event: event.kind is kind, after))

    async def _read(self, wanted: Callable[[Event], bool], after: int) -> Event:
        client = AsyncClient(self.place.run / OBSERVE_SOCKET)
        async with client, within(EVENT_S):
            async for event in client.events(after):
                if wanted(event):
                    return event
        raise AssertionError(f"the daemon ended without the event:\n{self.said()}")

    def last_event(self) -> int:
        """The number of the newest event."""
        return max((event.seq for event in self.events()), default=0)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def end(self, how: signal.Signals = signal.SIGTERM, timeout: float = 60.0) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.process.send_signal(how)
        return ended(self.process, timeout)


@contextlib.contextmanager
def running(
    place: Place,
    *,
    prefix: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    text: str = "",
) -> Iterator[Running]:
    """Starts the daemon and waits until it is ready; ends it with the block. `text`, if given, is
    its whole configuration."""
    place.folder.mkdir(parents=True, exist_ok=True)
    log = Path(tempfile.mkstemp(prefix="daemon-", suffix=".log", dir=place.folder)[1])
    # systemd's own way to await a start: the daemon says READY=1 to this socket.
    with (
        tempfile.TemporaryDirectory(prefix="sp-notify-") as notify,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said,
        log.open("wb") as out,
    ):
        Path(notify).chmod(0o755)
        said.bind(f"{notify}/socket")
        Path(f"{notify}/socket").chmod(0o666)
        said.settimeout(0.2)
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "daemon.main", "--config", str(place.configured(text))],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": f"{notify}/socket", **(environ or {})},
        )
        try:
            deadline = Limit(START_S)
            while b"READY=1" not in _heard(said):
                if process.poll() is not None or deadline.passed():
                    raise AssertionError(f"it did not start:\n{log.read_text()}")
            yield Running(process, place, log)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    ended(process, 30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _heard(said: socket.socket) -> bytes:
    try:
        return said.recv(4096)
    except TimeoutError:
        return b""
