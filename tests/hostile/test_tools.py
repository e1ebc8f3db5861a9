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

# Each argument that takes text, of each tool that has one; what else the call needs.
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
# The tools that tell what strangers are called, asked with every name; the others, whose answers
# are made of the same parts, with some.
TELLING = ("get_status", "list_workloads", "profile_workload", "get_episode")
EVERY = 9
# What of the daemon these may be led to, by any name at all.
HARMLESS = {"workload", "workload_profile", "signals", "library", "outcomes", "run_probe"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_rich(tmp_path / "run") as served:
        yield served


def text_of(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


def check(result: CallToolResult, name: Hostile, where: str) -> None:
    """Nothing of the name stands outside of marks, and nothing in the answer acts."""
    texts = list(strings_in(json.loads(text_of(result))))
    for text in texts:
        assert not unmarked(text), f"{where}, {name.reason}: {text[:300]!r}"
        assert not acts(text), f"{where}, {name.reason}: {text[:300]!r}"


def test_no_answer_has_a_hostile_name_unmarked(served: ServedMachine, tmp_path: Path) -> None:
    """Every text of a machine quotes the name; the tools' answers have it between marks alone,
    without control characters, and are still JSON."""

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
    """A name given as an argument starts nothing, loads nothing and stops nothing; where an answer
    quotes it, it is marked."""

    async def use() -> None:
        async with Client(build_server(to_act(tmp_path / "run"))) as client:
            for name in CORPUS:
                for tool, argument, rest in ARGUMENTS:
                    result = await client.call_tool(tool, {**rest, argument: name.signed})
                    check(result, name, f"{tool}({argument})")

    asyncio.run(use())
    assert {what for what, _ in served.machine.asked} <= HARMLESS


def test_text_that_is_recorded_stays_text(served: ServedMachine, tmp_path: Path) -> None:
    """A lesson, a reason and a parameter's value may be anything: they arrive as they were given
    or are refused for their length, and lead to that one request."""

    async def use() -> None:
        async with Client(build_server(to_act(tmp_path / "run"))) as client:
            for name in CORPUS:
                before = len(served.machine.asked)
                result = await client.call_tool("rollback", {"reason": name.signed})
                check(result, name, "rollback")
                asked = served.machine.asked[before:]
                assert [what for what, _ in asked] in (["rollback"], [])

    asyncio.run(use())
