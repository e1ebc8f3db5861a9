# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's API from the other side of the socket: `Client` blocks, `AsyncClient` awaits.

Both have one method for each function of `calls.py`, with its arguments, and return its
model. Every trouble is a `process.Fault`: the daemon's own, as it was raised there, or
UNREACHABLE, TIMEOUT or INTERNAL where the talking itself failed.
"""

import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NoReturn, ParamSpec, Self, TypeVar, overload

import httpx
from pydantic import ValidationError

from daemon.api import calls
from daemon.api.calls import Call
from daemon.api.models import Event, Problem
from daemon.api.paths import CONTROL_SOCKET, GROUP, OBSERVE_SOCKET, run_dir
from daemon.api.problems import fault_of
from daemon.api.stream_reading import EventDecoder
from process import Fault, FaultType

P = ParamSpec("P")
T = TypeVar("T")

# Longer than four heartbeats of the event stream without a byte: the daemon is gone or stuck.
_SILENCE_S = 65.0
_CONNECT_S = 10.0
# The host of a URL has no meaning on a Unix socket; this is what the daemon sees as `Host`.
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
    """Whether this process may act: the control socket lets it connect."""
    return opens(run_dir() / CONTROL_SOCKET)


def opens(path: Path) -> bool:
    """Whether the socket lets this process connect."""
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


# `InvalidURL` is httpx's for one that is too long, and apart from its other errors.
_FAILURES = (httpx.HTTPError, httpx.InvalidURL)


def _trouble(error: Exception, path: Path) -> NoReturn:
    """A failure of the transport as a fault."""
    if isinstance(error, httpx.InvalidURL):
        raise Fault(
            FaultType.BAD_REQUEST, "the request cannot be sent", why=str(error)[:200]
        ) from error
    if isinstance(error, httpx.TimeoutException):
        raise Fault(
            FaultType.TIMEOUT,
            "the daemon did not answer in time",
            where=str(path),
            hint="see what it does: `journalctl -t schedpilotd -n 20`",
        ) from error
    raise _unreachable(path) from error


def _read(call: Call[T], status: int, raw: bytes, path: Path) -> T:
    """The answer of one call, or the fault it carries."""
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


class _Method(Generic[P, T]):
    """A function of `calls` as a method: blocking on one client, awaitable on the other."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: "Client", owner: object) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, client: "AsyncClient", owner: object
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    def __get__(self, client: "Client | AsyncClient | None", owner: object) -> Any:
        if client is None:
            return self

        build = self._build

        def method(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client.send(build(*args, **kwargs))

        return method


class _Methods:
    """One for each route."""

    status = _Method(calls.status)
    signals = _Method(calls.signals)
    workloads = _Method(calls.workloads)
    workload = _Method(calls.workload)
    library = _Method(calls.library)
    scheduler = _Method(calls.scheduler)
    candidate = _Method(calls.candidate)
    trial = _Method(calls.trial)
    episodes = _Method(calls.episodes)
    episode = _Method(calls.episode)
    steps = _Method(calls.steps)
    outcomes = _Method(calls.outcomes)
    learned = _Method(calls.learned)
    lessons = _Method(calls.lessons)
    recorded_events = _Method(calls.recorded_events)
    metrics = _Method(calls.metrics)
    create_candidate = _Method(calls.create_candidate)
    start_trial = _Method(calls.start_trial)
    feed_window = _Method(calls.feed_window)
    hold = _Method(calls.hold)
    release = _Method(calls.release)
    set_parameters = _Method(calls.set_parameters)
    rollback = _Method(calls.rollback)
    approve = _Method(calls.approve)
    record_lesson = _Method(calls.record_lesson)
    record_measurement = _Method(calls.record_measurement)
    open_episode = _Method(calls.open_episode)
    record_step = _Method(calls.record_step)
    advise = _Method(calls.advise)
    close_episode = _Method(calls.close_episode)
    goal = _Method(calls.goal)
    recordings = _Method(calls.recordings)
    recording = _Method(calls.recording)
    record = _Method(calls.record)
    stop_recording = _Method(calls.stop_recording)
    trace = _Method(calls.trace)
    profile = _Method(calls.profile)
    probes = _Method(calls.probes)
    run_probe = _Method(calls.run_probe)
    count_calls = _Method(calls.count_calls)


def _arguments(call: Call[Any]) -> dict[str, Any]:
    """What httpx is told of a call."""
    return {
        "method": call.method,
        "url": call.path,
        # Arguments of a command line may be no text at all.
        "params": {
            name: value.encode("utf-8", "replace").decode()
            for name, value in call.parameters.items()
        },
        "content": call.body.model_dump_json() if call.body is not None else None,
        "headers": {"content-type": "application/json"} if call.body is not None else {},
        "timeout": httpx.Timeout(call.timeout_s, connect=_CONNECT_S),
    }


def _stream_arguments(after: int) -> dict[str, Any]:
    return {
        "method": "GET",
        "url": "/v1/events",
        "params": {"after": str(after)},
        "timeout": httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
    }


def _no_events(raw: bytes) -> None:
    return None


_EVENTS: Call[None] = Call("GET", "/v1/events", _no_events)


class Client(_Methods):
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
            response = self._http.request(**_arguments(call))
        except _FAILURES as error:
            _trouble(error, self.path)
        return _read(call, response.status_code, response.content, self.path)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Events after number `after`, then new ones; ends when the daemon stops.

        Raises:
            Fault: as `send`; UNREACHABLE where the daemon vanished in the middle.
        """
        decoder = EventDecoder()
        try:
            with self._http.stream(**_stream_arguments(after)) as response:
                if response.status_code != 200:
                    _read(_EVENTS, response.status_code, response.read(), self.path)
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


class AsyncClient(_Methods):
    """Awaits. Use as an asynchronous context manager, or `await close()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        self._http = httpx.AsyncClient(transport=transport, base_url=_BASE, trust_env=False)

    async def send(self, call: Call[T]) -> T:
        """As `Client.send`."""
        try:
            response = await self._http.request(**_arguments(call))
        except _FAILURES as error:
            _trouble(error, self.path)
        return _read(call, response.status_code, response.content, self.path)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """As `Client.events`."""
        decoder = EventDecoder()
        try:
            async with self._http.stream(**_stream_arguments(after)) as response:
                if response.status_code != 200:
                    _read(_EVENTS, response.status_code, await response.aread(), self.path)
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
