# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as this process may use it: which of its sockets opens.

Nothing is decided once and for all: a daemon that starts later, or again, is found by the next
call.
"""

from dataclasses import dataclass
from pathlib import Path

from daemon.api.client import AsyncClient, opens
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET, run_dir
from process import Fault, FaultType


@dataclass(frozen=True)
class Access:
    """`reading` is there for everybody; `control` is None where acting was ruled out."""

    reading: AsyncClient
    control: AsyncClient | None

    @property
    def may_act(self) -> bool:
        """Whether the control socket lets this process connect, now."""
        return self.control is not None and opens(self.control.path)

    def acting(self) -> AsyncClient:
        """The client that acts; whether the socket opens shows when it is used.

        Raises:
            Fault: NOT_ALLOWED where acting was ruled out.
        """
        if self.control is None:
            raise Fault(
                FaultType.NOT_ALLOWED,
                "this server only reads",
                why="it was started with --read-only",
                hint="a person can start it without, or act with the command `schedpilot`",
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
    """Reads only, whoever calls."""
    return Access(AsyncClient((folder or run_dir()) / OBSERVE_SOCKET), None)
