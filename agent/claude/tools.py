# SPDX-License-Identifier: GPL-2.0-only
"""The MCP server as the agent uses it: a child of its own, whose tools are all a model can do.

The child is the SDK's, since its transport owns the pipes: it starts in a process group of its
own and is ended with the session. Its environment has no key in it, and not the folder either.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CONNECTION_CLOSED, TextContent, TextResourceContents, Tool
from pydantic import ValidationError

from agent.claude.transcript import cut
from agent.errand import HandedOn
from daemon.api.paths import RUN_DIR_VARIABLE
from process.run import PATH

# Reading, proving and acting are all there is; what else a server may come to have is not for a
# model. `rollback` is always among what acts.
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
# The longest a tool may take, seconds: all gates, a virtual machine among them.
LONGEST_CALL_S = 1900.0
LONGEST_START_S = 60.0
GUIDE = "schedpilot://guide/policy-language"
# Times the child is started again in one episode.
MOST_RESTARTS = 2
# What the child inherits: where the daemon is, and how Python finds its modules.
INHERITED = (RUN_DIR_VARIABLE, "LANG", "LC_ALL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Answer:
    """What a tool said; `structured` is the same for programs, where it has that."""

    text: str
    failed: bool
    structured: Mapping[str, Any]


def server_command() -> StdioServerParameters:
    """`schedpilot mcp`, by the interpreter that runs here."""
    return StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "mcp_server.main"], env=scrubbed(os.environ)
    )


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for the child; the SDK adds HOME, SHELL and their like."""
    kept = {name: environment[name] for name in INHERITED if name in environment}
    return {**kept, "PATH": PATH}


class Toolbox:
    """One session with the server; the child is started again when it dies."""

    def __init__(self, server: StdioServerParameters) -> None:
        self._server = server
        self._stack = contextlib.AsyncExitStack()
        self._client: Client | None = None
        self._restarts = 0
        self.tools: tuple[Tool, ...] = ()
        self.instructions = ""
        self.guide = ""

    async def open(self) -> None:
        """Start the child and learn what it offers.

        Raises:
            HandedOn: it does not start.
        """
        client = Client(self._server, read_timeout_seconds=LONGEST_START_S)
        try:
            # Not a scope of anyio: the session that is entered here outlives it.
            async with asyncio.timeout(LONGEST_START_S):
                self._client = await self._stack.enter_async_context(client)
                self.tools = tuple((await client.list_tools()).tools)
                self.instructions = client.instructions or ""
                self.guide = await _guide(client)
        except (OSError, ValueError, TimeoutError, MCPError, ValidationError) as error:
            await self.close()
            raise HandedOn(f"the MCP server does not start ({type(error).__name__})") from error

    async def close(self) -> None:
        """End the child. Not by leaving a block with an exception: that would come out wrapped."""
        self._client = None
        await self._stack.aclose()

    def offers(self, name: str) -> Tool | None:
        return next((each for each in self.tools if each.name == name), None)

    async def call(self, name: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool. Its own trouble is an answer, too.

        Raises:
            HandedOn: the server is gone, and does not come back.
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
                return Answer(cut(f"error: {error.message}", LONGEST_ANSWER), True, {})
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            pass
        except (ValidationError, RuntimeError) as error:
            # An answer that is none.
            return Answer(
                f"error: the answer was not understood ({type(error).__name__})", True, {}
            )
        else:
            text = "\n".join(
                each.text for each in found.content if isinstance(each, TextContent)
            ) or json.dumps(found.structured_content, default=str)
            structured = found.structured_content
            return Answer(
                cut(text, LONGEST_ANSWER),
                found.is_error,
                structured if isinstance(structured, dict) else {},
            )
        await self.close()
        return Answer(
            "error: the tool server died in the middle of this call and is started again; "
            "look at get_status before you go on",
            True,
            {},
        )

    async def _again(self) -> None:
        if self._restarts >= MOST_RESTARTS:
            raise HandedOn("the MCP server died again and again")
        self._restarts += 1
        await self.open()


async def _guide(client: Client) -> str:
    """How policies are written, where the server has that to read."""
    try:
        found = await client.read_resource(GUIDE)
    except MCPError:
        return ""
    return "\n".join(each.text for each in found.contents if isinstance(each, TextResourceContents))


@contextlib.asynccontextmanager
async def toolbox(server: StdioServerParameters) -> AsyncIterator[Toolbox]:
    """A session for the length of the block."""
    box = Toolbox(server)
    await box.open()
    try:
        yield box
    finally:
        await box.close()
