# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile names on their way to a model, and back as arguments: every MCP tool, every name."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.types import CallToolResult, TextContent

from mcp_server.access import to_act
from mcp_server.server import build_server
from tests.agent.machine import ServedMachine
from tests.hostile.corpus import CORPUS, Hostile, acts, strings_in, unmarked
from tests.mcp.calls import CALLS
from tests.mcp.rich import RichMachine, served_rich

# Each argument that takes text, of each tool that has one, and the other arguments of the call.
ARGUMENTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("profile_workload", "workload", {}),
    ("get_signals", "workload", {}),
    ("run_probe", "workload", {"kind": "runqlat", "seconds": 1}),
    ("run_probe", "kind", {}),
    ("search_schedulers", "query", {}),
    ("get_scheduler", "name", {}),
    ("get_episode", "id", {}),
    ("check_candidate", "library", {}),
    ("check_candidate", "workload", {"library": "latency"}),
    ("start_trial", "candidate", {"wait_s": 0}),
    ("start_trial", "workload", {"candidate": "c-1a2b3c4d5e", "wait_s": 0}),
)
# The tools whose answers contain strangers' names are called with every name. The others build
# their answers from the same parts and are called with some names.
TELLING = ("get_status", "list_workloads", "profile_workload", "get_episode")
EVERY = 9
# The only requests to the daemon that these calls may cause, whatever the name.
HARMLESS = {"workload", "workload_profile", "signals", "library", "outcomes", "run_probe"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_rich(tmp_path / "run") as served:
        yield served


def text_of(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


def check(result: CallToolResult, name: Hostile, where: str) -> None:
    """No part of the name is outside of marks, and nothing in the answer acts."""
    texts = list(strings_in(json.loads(text_of(result))))
    for text in texts:
        assert not unmarked(text), f"{where}, {name.reason}: {text[:300]!r}"
        assert not acts(text), f"{where}, {name.reason}: {text[:300]!r}"


def test_no_answer_has_a_hostile_name_unmarked(served: ServedMachine, tmp_path: Path) -> None:
    """Every text of a machine quotes the name; the tools' answers contain it only between marks,
    have no control characters, and are still JSON."""

    async def use() -> None:
        async with Client(build_server(to_act(tmp_path / "run"))) as client:
            for number, name in enumerate(CORPUS):
                machine = served.machine
                assert isinstance(machine, RichMachine)
                machine.name = name.signed[:3900]
                for tool in CALLS if number % EVERY == 0 else TELLING:
                    result = await client.call_tool(tool, CALLS[tool])
                    check(result, name, tool)

    asyncio.run(use())


def test_a_hostile_argument_is_refused_or_data(served: ServedMachine, tmp_path: Path) -> None:
    """A name as an argument starts, loads and stops nothing, and an answer that quotes it marks
    it."""

    async def use() -> None:
        async with Client(build_server(to_act(tmp_path / "run"))) as client:
            for name in CORPUS:
                for tool, argument, rest in ARGUMENTS:
                    result = await client.call_tool(tool, {**rest, argument: name.signed})
                    check(result, name, f"{tool}({argument})")

    asyncio.run(use())
    assert {what for what, _ in served.machine.asked} <= HARMLESS


def test_text_that_is_recorded_stays_text(served: ServedMachine, tmp_path: Path) -> None:
    """A lesson, a reason and a parameter's value may be any text: each arrives unchanged or is
    refused for its length, and causes only that one request."""

    async def use() -> None:
        async with Client(build_server(to_act(tmp_path / "run"))) as client:
            for name in CORPUS:
                before = len(served.machine.asked)
                result = await client.call_tool("rollback", {"reason": name.signed})
                check(result, name, "rollback")
                asked = served.machine.asked[before:]
                assert [what for what, _ in asked] in (["rollback"], [])

    asyncio.run(use())
