# SPDX-License-Identifier: GPL-2.0-or-later
"""Permissions: the sockets decide, whatever a client calls; a daemon may come and go."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.types import ToolListChangedNotification

from daemon.api.paths import OBSERVE_SOCKET
from mcp_server.access import Access, to_act, to_read
from tests.agent.machine import ServedMachine, served_machine
from tests.mcp.calls import ACTING, CALLS
from tests.mcp.conftest import Connect, told, trouble
from tests.mcp.rich import EPISODE
from tests.waiting import in_time

# What the fake daemon notes of clients that read.
READING = {"signals", "workload", "workload_profile", "library", "episodes", "outcomes", "learned"}


def only_observe(folder: Path, run_dir: Path) -> Access:
    """For a user outside the group: the control socket cannot be opened."""
    folder.mkdir()
    (folder / OBSERVE_SOCKET).symlink_to(run_dir / OBSERVE_SOCKET)
    return to_act(folder)


@pytest.mark.parametrize("how", ["the group's socket is closed", "--read-only"])
def test_without_the_control_socket_nothing_can_be_changed(
    busy: ServedMachine, connect: Connect, tmp_path: Path, how: str
) -> None:
    """No acting tool is listed, and calling each by name, forwards and backwards, changes
    nothing."""
    access = to_read(busy.run_dir)
    if how != "--read-only":
        access = only_observe(tmp_path / "other", busy.run_dir)

    async def use() -> None:
        async with connect(access) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == set(CALLS) - ACTING
            assert told(await client.call_tool("get_status", {}))["may_act"] is False
            for name in [*CALLS, *reversed(CALLS)]:
                result = await client.call_tool(name, CALLS[name])
                if name in ACTING:
                    assert trouble(result)["error"] in ("not-allowed", "unreachable")
                else:
                    told(result)
            for resource in (await client.list_resources()).resources:
                await client.read_resource(resource.uri)
            await client.read_resource(f"schedpilot://episodes/{EPISODE}")
            for prompt in (await client.list_prompts()).prompts:
                await client.get_prompt(prompt.name, {})

    asyncio.run(use())
    assert {name for name, _ in busy.machine.asked} <= READING
    assert busy.machine.trials == {}
    assert busy.machine.known_lessons == []


def test_no_tool_can_approve(served: ServedMachine, connect: Connect) -> None:
    """Only a person can approve: no tool has such a name, and no argument of a tool does it."""

    async def use() -> None:
        async with connect() as client:
            for tool in (await client.list_tools()).tools:
                words = [tool.name, *tool.input_schema["properties"]]
                assert not any("appro" in word or "autonomy" in word for word in words)

    asyncio.run(use())


def test_without_a_daemon_each_tool_says_so_and_works_when_it_is_there(
    connect: Connect, tmp_path: Path
) -> None:
    """The server starts anyway, and finds a daemon that starts, ends and starts again."""

    async def use() -> None:
        async with connect() as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == set(CALLS) - ACTING
            for name, arguments in CALLS.items():
                parts = trouble(await client.call_tool(name, arguments))
                assert parts["error"] == "unreachable"
                assert "systemctl start schedpilotd" in parts["hint"]
            for _ in range(2):
                with served_machine(tmp_path / "run") as served:
                    assert told(await client.call_tool("get_status", {}))["may_act"] is True
                    assert {tool.name for tool in (await client.list_tools()).tools} == set(CALLS)
                    await asyncio.to_thread(served.stop)
                assert trouble(await client.call_tool("get_status", {}))["error"] == "unreachable"

    asyncio.run(use())


def test_a_client_hears_that_the_tools_have_changed(connect: Connect, tmp_path: Path) -> None:
    """If the control socket opens after the tools were listed, the client hears that the list
    changed."""
    heard = asyncio.Event()

    async def on_message(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            heard.set()

    async def use(client: Client) -> None:
        tools = client.server_capabilities.tools
        assert tools is not None
        assert tools.list_changed
        await client.list_tools()
        with served_machine(tmp_path / "run") as served:
            told(await client.call_tool("get_status", {}))
            await in_time(heard.wait(), 10)
            await asyncio.to_thread(served.stop)

    async def main() -> None:
        async with connect(mode="legacy", message_handler=on_message) as client:
            await use(client)

    asyncio.run(main())
