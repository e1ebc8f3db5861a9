# SPDX-License-Identifier: GPL-2.0-or-later
"""Redis' (Valkey's) own counts, from `INFO commandstats`: commands per second, and microseconds per
command.

    redis = { address = "127.0.0.1:6379" }

The server measures a command from its first to its last instruction: preemption during it counts,
waiting before it does not. So the rate says more about a scheduler.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from agent.measuring.deltas import Polled, Totals
from agent.measuring.table import AgentTable, FilePath, Take
from daemon.api.display import displayable
from process import Fault, FaultType
from process.text_file import read_text

UNIT = "us"
# `INFO commandstats` has a line for each of some 400 commands.
ANSWER_LIMIT_BYTES = 1 << 20
# Commands of our own and of monitors; not the application's work.
_NOT_WORK = frozenset({"info", "auth", "hello", "ping", "client", "config", "command", "select"})
_SECRET_LIMIT = 4096


class Redis(AgentTable):
    """`address`: host:port, or the path of a socket.

    `command`: only this one (`get`); default: all. `password_file`: contains only the password;
    with `user`, that user's.
    """

    address: Annotated[
        str, StringConstraints(pattern=r"^(/[^\x00]+|[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5})$")
    ] = "127.0.0.1:6379"
    command: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.|-]{0,63}$")] | None = None
    user: Annotated[str, StringConstraints(pattern=r"^[^\s\x00]{1,128}$")] = "default"
    password_file: FilePath | None = None


class RedisCounts(Polled):
    """Reconnects for each reading, so that a restarted server is no special case."""

    def __init__(self, table: Redis, take: Take, unit: str, timeout_s: float) -> None:
        super().__init__(take, unit)
        self.where = f"redis {displayable(table.address)}"
        self._table = table
        self._timeout_s = timeout_s

    async def totals(self) -> Totals:
        password = None
        if self._table.password_file is not None:
            password = await asyncio.to_thread(_password, Path(self._table.password_file))
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._ask(password)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
            denied = isinstance(error, PermissionError)
            why = getattr(error, "strerror", None) or str(error)
            raise Fault(
                FaultType.NOT_ALLOWED if denied else FaultType.UNREACHABLE,
                "Redis does not answer",
                where=self.where,
                why=why or f"no answer within {self._timeout_s:g} s",
                hint="give the agent the socket's group: SupplementaryGroups=redis in "
                "`systemctl edit schedpilot-agent`"
                if denied
                else "check `address`, and that the server runs",
            ) from None
        return counts(text, self._table.command)

    async def _ask(self, password: bytes | None) -> str:
        reader, writer = await self._connect()
        try:
            if password is not None:
                writer.write(_request(b"AUTH", self._table.user.encode(), password))
                await self._reply(reader)
            writer.write(_request(b"INFO", b"commandstats"))
            return await self._reply(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._table.address
        if address.startswith("/"):
            return await asyncio.open_unix_connection(address, limit=65_536)
        host, _, port = address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=65_536)

    async def _reply(self, reader: asyncio.StreamReader) -> str:
        """One reply of the protocol (RESP2): a simple string, a bulk string or an error."""
        line = (await reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "replace")
        if kind == b"-":
            said = displayable(rest.decode("utf-8", "replace"), 200)
            denied = rest.startswith((b"NOAUTH", b"WRONGPASS", b"NOPERM", b"ERR AUTH"))
            raise Fault(
                FaultType.NOT_ALLOWED if denied else FaultType.BAD_REQUEST,
                "Redis refuses",
                where=self.where,
                why=said,
                hint="name a `password_file` (and `user`) that may call INFO: "
                "ACL SETUSER schedpilot on >PASSWORD +info"
                if denied
                else "",
            )
        if kind != b"$":
            raise ValueError("this is not an answer from Redis")
        size = int(rest)
        if not 0 <= size <= ANSWER_LIMIT_BYTES:
            raise ValueError(f"its answer is not between 0 and {ANSWER_LIMIT_BYTES} bytes")
        return (await reader.readexactly(size + 2))[:-2].decode("utf-8", "replace")


def _request(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(each), each) for each in words
    )


def _password(path: Path) -> bytes:
    try:
        text = read_text(
            path,
            largest_bytes=_SECRET_LIMIT,
            type=FaultType.BAD_CONFIG,
            what="the password's file",
        )
    except FileNotFoundError:
        raise Fault(
            FaultType.NOT_FOUND, "there is no such password file", where=str(path)
        ) from None
    return text.strip().encode()


def counts(text: str, command: str | None) -> Totals:
    """Calls and microseconds, from the text of `INFO commandstats`.

    Lines are `cmdstat_get:calls=21,usec=175,usec_per_call=8.33,…`; a subcommand is
    `cmdstat_client|list`.
    """
    calls = microseconds = 0.0
    for line in text.splitlines():
        name, colon, fields = line.removeprefix("cmdstat_").partition(":")
        if not colon or not line.startswith("cmdstat_"):
            continue
        wanted = (
            name == command or name.startswith(f"{command}|")
            if command is not None
            else name.partition("|")[0] not in _NOT_WORK
        )
        if not wanted:
            continue
        pairs = dict(each.partition("=")[::2] for each in fields.split(","))
        with contextlib.suppress(KeyError, ValueError):
            called, took = int(pairs["calls"]), int(pairs["usec"])
            calls, microseconds = calls + called, microseconds + took
    return Totals(calls, microseconds)
