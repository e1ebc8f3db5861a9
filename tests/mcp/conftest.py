# SPDX-License-Identifier: GPL-2.0-or-later
"""The MCP server on a fake machine, with a client in the same process."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.types import CallToolResult, TextContent

from mcp_server.access import Access, to_act
from mcp_server.server import build_server
from tests.agent.machine import ServedMachine, served_machine
from tests.mcp.rich import served_rich

Connect = Callable[..., AbstractAsyncContextManager[Client]]


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def told(result: CallToolResult) -> dict[str, Any]:
    """A tool's answer, which must be no error; its text and its data must be the same."""
    text = text_of(result)
    assert not result.is_error, text
    content: dict[str, Any] = json.loads(text)
    assert result.structured_content == content
    return content


def trouble(result: CallToolResult) -> dict[str, Any]:
    """The parts of a tool's error."""
    text = text_of(result)
    assert result.is_error, text
    parts: dict[str, Any] = json.loads(text)
    return parts


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_machine(tmp_path / "run", {"latency": 0.4, "batch": 1.6}) as served:
        yield served


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[ServedMachine]:
    """A machine on which a lot happens."""
    with served_rich(tmp_path / "run") as served:
        yield served


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Opens a client; `access` is what the server may do, and the rest goes to the client."""

    @asynccontextmanager
    async def opened(access: Access | None = None, **options: Any) -> AsyncIterator[Client]:
        used = access or to_act(tmp_path / "run")
        try:
            async with Client(build_server(used), **options) as client:
                yield client
        finally:
            await used.close()

    return opened
