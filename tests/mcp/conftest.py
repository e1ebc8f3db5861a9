# SPDX-License-Identifier: GPL-2.0-only
"""The MCP server over a pretended machine, with a client in the same process."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from mcp_server.access import Access, to_act
from mcp_server.server import build_server
from tests.agent.machine import ServedMachine, served_machine

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_machine(tmp_path / "run", {"latency": 0.4, "batch": 1.6}) as served:
        yield served


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Opens a client; `access` is what the server may do, the rest is the client's."""

    @asynccontextmanager
    async def opened(access: Access | None = None, **options: Any) -> AsyncIterator[Client]:
        used = access or to_act(tmp_path / "run")
        try:
            async with Client(build_server(used), **options) as client:
                yield client
        finally:
            await used.close()

    return opened
