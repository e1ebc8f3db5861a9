# SPDX-License-Identifier: GPL-2.0-or-later
"""Streamable HTTP for MCP clients of this machine: loopback, a bearer token, no other origin.

Anybody on the machine can connect to loopback, and a web page can make a browser do so. The token
stops the former, the SDK's check of Host and Origin the latter.
"""

import hmac
import json
import os
import secrets
import socket
import stat
import sys
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.access import to_act, to_read
from mcp_server.server import build_server
from process import Fault, FaultType, printable

HOST = "127.0.0.1"
PATH = "/mcp"
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 512


def default_token_file() -> Path:
    """Below the user's state folder, because a client's configuration survives a reboot."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "schedpilot" / "mcp-token"


def token_in(path: Path) -> str:
    """The token from the file; made if the file does not exist.

    Raises:
        Fault: STATE, if the file is not readable by its owner alone.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            file.write(token + "\n")
            return token
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error


def _read(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)) as file:
            about = os.fstat(file.fileno())
            text = file.read(_LONGEST_TOKEN + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, str(getattr(error, "strerror", "") or error)) from error
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise _bad(path, "others can read it, or it is not yours", f"chmod 600 {path}")
    token = text.strip()
    if not 16 <= len(token) <= _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise _bad(path, "it does not hold a token of 16 to 512 printable characters")
    return token


def _bad(path: Path, why: str, hint: str = "") -> Fault:
    return Fault(
        FaultType.STATE,
        "the token file cannot be used",
        where=str(path),
        why=why,
        hint=hint or "name another one with --token-file, or remove it: a new one is made",
    )


class TokenGuard:
    """Passes on requests that have the token; answers the others with what is missing."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, rest = given.partition(b" ")
        normal = b"Bearer " + rest.strip() if scheme.lower() == b"bearer" else given
        if hmac.compare_digest(normal, self._expected):
            await self._app(scope, receive, send)
            return
        why = "the token is not the right one" if given else "no token was given"
        body = {
            "error": "unauthorized",
            "what": why,
            "hint": (
                "send the header `Authorization: Bearer TOKEN`; the server named the token's "
                "file on its standard error"
            ),
        }
        await _answer(send, 401, body, (b"www-authenticate", b'Bearer error="invalid_token"'))


async def _answer(send: Send, status: int, body: object, *headers: tuple[bytes, bytes]) -> None:
    raw = json.dumps(body).encode()
    length = (b"content-length", str(len(raw)).encode())
    kind = (b"content-type", b"application/json")
    await send(
        {"type": "http.response.start", "status": status, "headers": [kind, length, *headers]}
    )
    await send({"type": "http.response.body", "body": raw})


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        # From here on a client can connect: the address is printed before the server is ready.
        listener.listen()
    except OSError as error:
        listener.close()
        raise Fault(
            FaultType.BUSY,
            "the port cannot be opened",
            where=f"{HOST}:{port}",
            why=error.strerror or str(error),
            hint="name another one: --http PORT, or 0 for any free port",
        ) from error
    return listener


async def serve(port: int, token_file: Path | None, read_only: bool) -> None:
    """Serve until the process receives a signal to end.

    Raises:
        Fault: STATE (the token's file) or BUSY (the port).
    """
    path = token_file or default_token_file()
    token = token_in(path)
    access = to_read() if read_only else to_act()
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        names = [f"{HOST}:{port}", f"localhost:{port}"]
        app = build_server(access).streamable_http_app(
            streamable_http_path=PATH,
            transport_security=TransportSecuritySettings(
                allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names]
            ),
        )
        config = uvicorn.Config(
            TokenGuard(app, token), log_config=None, access_log=False, lifespan="on", ws="none"
        )
        sys.stderr.write(
            f"schedpilot mcp: http://{HOST}:{port}{PATH}, the token is in {printable(str(path))}\n"
        )
        sys.stderr.flush()
        try:
            await uvicorn.Server(config).serve([listener])
        finally:
            await access.close()
