# SPDX-License-Identifier: GPL-2.0-or-later
"""The two sockets, and HTTP on them.

The kernel decides who may do what when a socket is opened: everybody may open the observe socket;
root and the group `schedpilot` may open the control socket. The servers are uvicorn's, without the
timer that wakes it ten times a second: an idle daemon sleeps.
"""

import asyncio
import contextlib
import fcntl
import grp
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.api.paths import CONTROL_SOCKET, GROUP, OBSERVE_SOCKET
from daemon.api.routing import PEER
from process import Fault, FaultType

OBSERVE_MODE = 0o666
CONTROL_MODE = 0o660

# Limits on connections of one socket: in all, and of one user other than root. Everybody may open
# the observe socket, so nobody may use up the daemon's file descriptors with it.
CONNECTION_LIMIT = 128
CONNECTION_LIMIT_OF_A_USER = 32
# A connection that has not sent a whole request header within this time is closed, seconds.
HEADER_LIMIT_S = 10.0
# The request line contains a workload's id: 4096 characters of up to four bytes, each of which is
# three when percent-encoded.
HEADER_LIMIT_BYTES = 64 * 1024
# Idle connections are kept longer than any client reuses one (httpx: 5 s), so that no request is
# sent into a closing connection, seconds.
IDLE_LIMIT_S = 30
# How long open requests may take to end once the daemon stops, seconds; after that, clients that
# wait for an answer are notified, and clients that do not read are cut off.
GRACE_S = 2

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n"
    b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n%s"
)
_FULL_PROBLEM = (
    b'{"type":"urn:schedpilot:fault:busy","title":"Busy","status":503,'
    b'"detail":"too many connections are open","hint":"close some, or try again later"}'
)


@dataclass(frozen=True)
class Listeners:
    """Both sockets, bound and listening; the folder is claimed while they are open."""

    observe: socket.socket
    control: socket.socket


@contextlib.contextmanager
def listen(run_dir: Path) -> Iterator[Listeners]:
    """Claim the folder and listen; clients may connect from here on and wait.

    Sockets left by a dead daemon are replaced. Ours are removed at the end.

    Raises:
        Fault: BUSY if another daemon has the folder, STATE if it cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
            stack.enter_context(_claimed(run_dir))
            observe = stack.enter_context(_bound(run_dir / OBSERVE_SOCKET, OBSERVE_MODE, None))
            control = stack.enter_context(
                _bound(run_dir / CONTROL_SOCKET, CONTROL_MODE, _group_id())
            )
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                "the sockets cannot be made",
                where=str(run_dir),
                why=error.strerror or str(error),
                hint="run as root, or name a folder that you may write in SCHEDPILOT_RUN_DIR",
            ) from error
        yield Listeners(observe, control)


@contextlib.contextmanager
def _claimed(run_dir: Path) -> Iterator[None]:
    """Hold the lock that says a daemon lives here; the kernel releases it when we die."""
    lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            raise Fault(
                FaultType.BUSY,
                f"another schedpilotd answers at {run_dir / CONTROL_SOCKET}",
                why=f"its process is {holder}" if holder.isdecimal() else "",
                hint="stop it first (`systemctl stop schedpilotd`), or use its sockets",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _bound(path: Path, mode: int, group: int | None) -> Iterator[socket.socket]:
    """A listening socket that appears at `path` with its owner and mode already right."""
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # bind() takes the mode of the unbound socket: closed to others until it is renamed into
        # place, over the leftover of a dead daemon if there is one.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(made))
        if group is not None:
            os.chown(made, -1, group)
        made.chmod(mode)
        listener.listen(64)
        listener.setblocking(False)
        made.rename(path)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _group_id() -> int | None:
    """The group of the control socket if it exists and we may give files to it."""
    if os.geteuid() != 0:
        return None
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _user_of(connection: asyncio.BaseTransport) -> int:
    """The user id at the other end, as the kernel recorded it."""
    peer: socket.socket = connection.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    return int(struct.unpack("iII", raw)[1])


class _Protocol(H11Protocol):
    """uvicorn's, with limits on the number of connections per user and their duration."""

    user = 0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.user = _user_of(transport)
        self.app_state = {**self.app_state, PEER: self.user}
        held = Counter(each.user for each in self.connections if isinstance(each, _Protocol))
        if held.total() > CONNECTION_LIMIT or (
            self.user != 0 and held[self.user] > CONNECTION_LIMIT_OF_A_USER
        ):
            transport.write(_FULL % (len(_FULL_PROBLEM), _FULL_PROBLEM))
            transport.close()
            return
        self._patience = self.loop.call_later(HEADER_LIMIT_S, self._expect_request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self.cycle is None:
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn's server, asleep until `stop`; the daemon handles signals itself."""

    def __init__(self, app: Starlette, stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # The caller has the same clock.
            date_header=False,
            h11_max_incomplete_event_size=HEADER_LIMIT_BYTES,
            timeout_keep_alive=IDLE_LIMIT_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn's own limit, which would end these with a traceback.
        cut = asyncio.get_running_loop().call_later(GRACE_S * 0.8, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        for each in list(self.server_state.connections):
            if isinstance(each, _Protocol) and each.flow.write_paused:
                each.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_on(
    listeners: Listeners,
    observe_app: Starlette,
    control_app: Starlette,
    stop: asyncio.Event,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Answer on the sockets from `listen`, until `stop`; streams of events end with it.

    `on_ready` is called once; clients that connect from then on are answered.
    """
    # Below level error it logs malformed requests, with which anybody could fill the journal.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    pairs = ((observe_app, listeners.observe), (control_app, listeners.control))
    async with asyncio.TaskGroup() as group:
        for app, listener in pairs:
            app.state.stopping = stop
            group.create_task(_Server(app, stop).serve(sockets=[listener]))
        if on_ready:
            on_ready()


async def serve(
    observe_app: Starlette,
    control_app: Starlette,
    run_dir: Path,
    stop: asyncio.Event,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Listen in `run_dir` and answer until `stop`. Raises as `listen` does."""
    with listen(run_dir) as listeners:
        await serve_on(listeners, observe_app, control_app, stop, on_ready)
