# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as this process may use it: depends on which of its sockets opens.

Each call looks again, so that a daemon that starts later, or restarts, is found by the next call.
"""

from dataclasses import dataclass
from pathlib import Path

from daemon.api.client import AsyncClient, opens
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET, run_dir
from process import Fault, FaultType


@dataclass(frozen=True)
class Access:
    """`reading` always exists; `control` is None if acting was ruled out."""

    reading: AsyncClient
    control: AsyncClient | None

    @property
    def may_act(self) -> bool:
        """Whether the control socket lets this process connect, now."""
        return self.control is not None and opens(self.control.path)

    def acting(self) -> AsyncClient:
        """The client that acts; a socket that does not open shows up when the client is used.

        Raises:
            Fault: NOT_ALLOWED if acting was ruled out.
        """
        if self.control is None:
            raise Fault(
                FaultType.NOT_ALLOWED,
                "this server only reads",
                why="it was started with --read-only",
                hint="a person can start it without --read-only, or use the command `schedpilot`",
            )
        return self.control

    async def close(self) -> None:
        await self.reading.close()
        if self.control is not None:
            await self.control.close()


def to_act(folder: Path | None = None) -> Access:
    """Reads, and acts where the control socket opens."""
    folder = folder or run_dir()
    return Access(AsyncClient(folder / OBSERVE_SOCKET), AsyncClient(folder / CONTROL_SOCKET))


def to_read(folder: Path | None = None) -> Access:
    """Reads only, whatever this process may do."""
    return Access(AsyncClient((folder or run_dir()) / OBSERVE_SOCKET), None)
