# SPDX-License-Identifier: GPL-2.0-or-later
"""The client side of the daemon's API: `Client` blocks, `AsyncClient` awaits.

Both have the methods of `endpoints.py`, with their parameters, and return their models. Every
trouble is a `process.Fault`: the daemon's own, as it was raised there, or UNREACHABLE, TIMEOUT or
INTERNAL if the communication failed.
"""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import httpx
from pydantic import ValidationError

from daemon.api.endpoint import Awaiting, Blocking, Call
from daemon.api.endpoints import Endpoints
from daemon.api.models import Event, Problem
from daemon.api.paths import CONTROL_SOCKET, GROUP, OBSERVE_SOCKET, run_dir
from daemon.api.problems import fault_of
from daemon.api.stream_reading import EventDecoder
from process import Fault, FaultType, within
from process.pace import at_once

T = TypeVar("T")

# Longer than four heartbeats of the event stream without a byte: the daemon is gone or stuck.
_SILENCE_S = 65.0
_CONNECT_S = 10.0
# A URL's host has no meaning on a Unix socket; the daemon sees this as `Host`.
_BASE = "http://schedpilot"


def observe_client() -> "Client":
    """A client that reads; everybody may."""
    return Client(run_dir() / OBSERVE_SOCKET)


def control_client() -> "Client":
    """A client that reads and acts; root and the group may."""
    return Client(run_dir() / CONTROL_SOCKET)


def observe_async_client() -> "AsyncClient":
    return AsyncClient(run_dir() / OBSERVE_SOCKET)


def control_async_client() -> "AsyncClient":
    return AsyncClient(run_dir() / CONTROL_SOCKET)


def control_opens() -> bool:
    """Whether this process may act: the control socket accepts its connection."""
    return opens(run_dir() / CONTROL_SOCKET)


def opens(path: Path) -> bool:
    """Whether the socket accepts a connection of this process."""
    return _refusal(path) is None


def _refusal(path: Path) -> OSError | None:
    """Why the socket cannot be connected to, in the kernel's words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error
    return None


def _unreachable(path: Path) -> Fault:
    error = _refusal(path)
    what = "the daemon cannot be reached"
    if isinstance(error, FileNotFoundError):
        return Fault(
            FaultType.UNREACHABLE,
            what,
            where=str(path),
            why="there is no such socket: schedpilotd is not running",
            hint="start it: `systemctl start schedpilotd`",
        )
    if isinstance(error, PermissionError):
        return Fault(
            FaultType.UNREACHABLE,
            what,
            where=str(path),
            why="this user may not open the socket",
            hint=f"add yourself to the group {GROUP} (`sudo usermod -aG {GROUP} $USER`) and log in"
            " again, or run the command as root",
        )
    if isinstance(error, ConnectionRefusedError):
        return Fault(
            FaultType.UNREACHABLE,
            what,
            where=str(path),
            why="nobody listens on the socket: schedpilotd ended without tidying up",
            hint="see why: `systemctl status schedpilotd`; start it: `systemctl start schedpilotd`",
        )
    return Fault(
        FaultType.UNREACHABLE,
        what,
        where=str(path),
        why=(error.strerror or str(error)) if error else "it hung up; it may be stopping",
        hint="see what it does: `systemctl status schedpilotd`",
    )


# httpx raises `InvalidURL` for a URL that is too long; it is separate from its other errors.
_FAILURES = (httpx.HTTPError, httpx.InvalidURL)


def _too_late(path: Path) -> Fault:
    return Fault(
        FaultType.TIMEOUT,
        "the daemon did not answer in time",
        where=str(path),
        hint="see what it does: `journalctl -t schedpilotd -n 20`",
    )


def _trouble(error: Exception, path: Path) -> NoReturn:
    """A transport failure as a fault."""
    if isinstance(error, httpx.InvalidURL):
        raise Fault(
            FaultType.BAD_REQUEST, "the request cannot be sent", why=str(error)[:200]
        ) from error
    if isinstance(error, httpx.TimeoutException):
        raise _too_late(path) from error
    raise _unreachable(path) from error


def _read(call: Call[T], status: int, raw: bytes, path: Path) -> T:
    """The answer of one call, or the fault that it contains."""
    try:
        if status < 400:
            return call.read(raw)
        problem = Problem.model_validate_json(raw)
    except (ValidationError, UnicodeDecodeError) as error:
        raise Fault(
            FaultType.INTERNAL,
            f"the answer to {call.method} {call.path} is not understood",
            where=str(path),
            why=f"status {status} and a body of another shape",
            hint="client and daemon may be of different versions: compare `schedpilot --version`"
            " with `schedpilot status`",
        ) from error
    raise fault_of(problem)


def _arguments(call: Call[Any], timeout_s: float | None) -> dict[str, Any]:
    """The parts of a call for httpx."""
    return {
        "method": call.method,
        "url": call.path,
        # Command-line arguments may be invalid text.
        "params": {
            name: value.encode("utf-8", "replace").decode()
            for name, value in call.parameters.items()
        },
        "content": call.body.model_dump_json() if call.body is not None else None,
        "headers": {"content-type": "application/json"} if call.body is not None else {},
        "timeout": httpx.Timeout(timeout_s, connect=_CONNECT_S),
    }


class Client(Blocking, Endpoints):
    """Blocks. Use as a context manager, or `close()` it. Not shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        transport = httpx.HTTPTransport(uds=str(path))
        self._http = httpx.Client(transport=transport, base_url=_BASE, trust_env=False)

    def send(self, call: Call[T]) -> T:
        """Send one call and read its answer.

        Raises:
            Fault: the daemon's, or UNREACHABLE, TIMEOUT, INTERNAL.
        """
        try:
            response = self._http.request(**_arguments(call, at_once(call.timeout_s)))
        except _FAILURES as error:
            _trouble(error, self.path)
        return _read(call, response.status_code, response.content, self.path)

    def follow(self, call: Call[None]) -> Iterator[Event]:
        """The events of a stream as they come; ends when the daemon stops.

        Raises:
            Fault: as `send`; UNREACHABLE if the daemon vanished in the middle.
        """
        decoder = EventDecoder()
        try:
            with self._http.stream(**_arguments(call, _SILENCE_S)) as response:
                if response.status_code != 200:
                    _read(call, response.status_code, response.read(), self.path)
                for chunk in response.iter_raw():
                    yield from decoder.feed(chunk)
        except _FAILURES as error:
            _trouble(error, self.path)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Awaiting, Endpoints):
    """Awaits. Use as an asynchronous context manager, or `await close()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        self._http = httpx.AsyncClient(transport=transport, base_url=_BASE, trust_env=False)

    async def send(self, call: Call[T]) -> T:
        """See `Client.send`."""
        try:
            async with within(call.timeout_s):
                response = await self._http.request(**_arguments(call, None))
        except _FAILURES as error:
            _trouble(error, self.path)
        except TimeoutError as error:
            raise _too_late(self.path) from error
        return _read(call, response.status_code, response.content, self.path)

    async def follow(self, call: Call[None]) -> AsyncIterator[Event]:
        """See `Client.follow`."""
        decoder = EventDecoder()
        try:
            async with self._http.stream(**_arguments(call, _SILENCE_S)) as response:
                if response.status_code != 200:
                    _read(call, response.status_code, await response.aread(), self.path)
                async for chunk in response.aiter_raw():
                    for event in decoder.feed(chunk):
                        yield event
        except _FAILURES as error:
            _trouble(error, self.path)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
