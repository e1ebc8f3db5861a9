# SPDX-License-Identifier: GPL-2.0-or-later
"""The MCP server as the agent uses it: a child process, whose tools are all that a model can use.

The SDK starts the child, because its transport owns the pipes: it runs in its own process group and
ends with the session. Its environment contains neither the key nor the key's folder. It lives as
long as the agent, because its start takes longer than all its work in an episode.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CONNECTION_CLOSED, CallToolResult, TextContent, TextResourceContents, Tool
from pydantic import ValidationError

from agent.claude.transcript import cut
from agent.delegation import HandedOn
from daemon.api.paths import RUN_DIR_VARIABLE
from mcp_server.voice import POLICY_GUIDE
from process.run import PATH

log = logging.getLogger("schedpilot-agent")

# Only reading, proving and acting tools go to the model; tools that a server may add later do not.
# `rollback` always belongs to those that act.
READING = frozenset(
    {
        "get_status",
        "list_workloads",
        "profile_workload",
        "get_signals",
        "search_schedulers",
        "get_scheduler",
        "get_history",
        "get_episode",
    }
)
PROVING = frozenset({"run_probe", "check_candidate"})
ACTING = frozenset({"start_trial", "set_parameters", "rollback"})
LEARNING = frozenset({"record_lesson"})
# The longest answer of a tool that goes to the model, characters: some 5,000 tokens.
LONGEST_ANSWER = 16_000
# The longest time for a tool, seconds: all gates, including a virtual machine.
LONGEST_CALL_S = 1900.0
LONGEST_START_S = 120.0
# How long its end may take, seconds: the SDK asks, then kills.
LONGEST_END_S = 10.0
# How often the child is restarted in one episode.
MOST_RESTARTS = 2
# What the child inherits: the daemon's sockets, and Python's module path.
INHERITED = (RUN_DIR_VARIABLE, "LANG", "LC_ALL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class ToolReply:
    """A tool's answer; `structured` is the same for programs, if the tool has it."""

    text: str
    failed: bool
    structured: Mapping[str, Any]


def server_command() -> StdioServerParameters:
    """`schedpilot mcp`, with the current interpreter."""
    return StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "mcp_server.main"], env=scrubbed(os.environ)
    )


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for the child; the SDK adds HOME, SHELL and similar variables."""
    kept = {name: environment[name] for name in INHERITED if name in environment}
    return {**kept, "PATH": PATH}


class Toolbox:
    """A session with the server; the child is restarted if it dies."""

    def __init__(self, server: StdioServerParameters) -> None:
        self._server = server
        self._client: Client | None = None
        self._end = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._restarts = 0
        self._opening = asyncio.Lock()
        self.tools: tuple[Tool, ...] = ()
        self.guide = ""

    async def ready(self) -> None:
        """A child that answers, and its current tools, which may have changed.

        Raises:
            HandedOn: it does not start.
        """
        async with self._opening:
            self._restarts = 0
            if self._client is not None:
                try:
                    self.tools = tuple((await self._client.list_tools(cache_mode="bypass")).tools)
                except (MCPError, *_GONE):
                    await self.close()
                else:
                    return
            await self._open()

    async def close(self) -> None:
        """End the child."""
        self._client = None
        life, self._life = self._life, None
        if life is None:
            return
        self._end.set()
        _, late = await asyncio.wait({life}, timeout=LONGEST_END_S)
        for each in late:
            each.cancel()

    async def _open(self) -> None:
        opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._end = asyncio.Event()
        self._life = asyncio.create_task(self._live(opened, self._end))
        try:
            async with asyncio.timeout(LONGEST_START_S):
                self._client = await opened
        except Exception as error:
            await self.close()
            raise HandedOn(f"the MCP server does not start ({type(error).__name__})") from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _live(self, opened: "asyncio.Future[Client]", end: asyncio.Event) -> None:
        """The session's whole life in one task, as the SDK's scopes require."""
        try:
            client = Client(self._server, read_timeout_seconds=LONGEST_START_S)
            async with client:
                self.tools = tuple((await client.list_tools()).tools)
                self.guide = await _guide(client)
                if not opened.done():
                    opened.set_result(client)
                await end.wait()
        except Exception as error:  # noqa: BLE001 - any server error; reported where it matters
            if not opened.done():
                opened.set_exception(error)
            else:
                log.info("the MCP server's session ended badly: %s", type(error).__name__)

    def offers(self, name: str) -> Tool | None:
        return next((each for each in self.tools if each.name == name), None)

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolReply:
        """Call a tool. The tool's own error is an answer, too.

        Raises:
            HandedOn: the server is gone and does not come back.
        """
        if self._client is None:
            await self._again()
        assert self._client is not None
        try:
            found = await self._client.call_tool(
                name, arguments, read_timeout_seconds=LONGEST_CALL_S
            )
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                return _failed(f"error: {error.message}")
        except _GONE:
            pass
        except (ValidationError, RuntimeError) as error:
            # A malformed answer.
            return _failed(f"error: the answer was not understood ({type(error).__name__})")
        else:
            return _answer(found)
        await self.close()
        return _failed(
            "error: the tool server died in the middle of this call and is started again; "
            "look at get_status before you go on"
        )

    async def _again(self) -> None:
        if self._restarts >= MOST_RESTARTS:
            raise HandedOn("the MCP server died repeatedly")
        self._restarts += 1
        await self._open()


# What the pipes of a dead child raise.
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


def _failed(text: str) -> ToolReply:
    return ToolReply(cut(text, LONGEST_ANSWER), True, {})


def _answer(found: CallToolResult) -> ToolReply:
    structured = found.structured_content
    text = "\n".join(each.text for each in found.content if isinstance(each, TextContent))
    return ToolReply(
        cut(text or json.dumps(structured, default=str), LONGEST_ANSWER),
        found.is_error,
        structured if isinstance(structured, dict) else {},
    )


async def _guide(client: Client) -> str:
    """The guide to policies, if the server offers it."""
    try:
        found = await client.read_resource(POLICY_GUIDE)
    except MCPError:
        return ""
    return "\n".join(each.text for each in found.contents if isinstance(each, TextResourceContents))
