# SPDX-License-Identifier: GPL-2.0-or-later
"""A third-party client: the command-line mode of the MCP Inspector lists and calls the tools.

`packaging/inspector` installs it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.api.paths import RUN_DIR_VARIABLE
from tests.agent.machine import ServedMachine, served_machine
from tests.mcp.calls import ACTING, CALLS
from tests.mcp.serving import SCHEDPILOT, over_http

# The newest version that runs on Node 18, which Debian 12 has.
PACKAGE = "@modelcontextprotocol/inspector@0.21.2"

Inspect = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedMachine]:
    with served_machine(tmp_path_factory.mktemp("daemon") / "run", {"latency": 0.4}) as served:
        yield served


@pytest.fixture(scope="module")
def inspect() -> Inspect:
    """Run the Inspector with these words, and read its output."""
    here = Path(__file__).parents[2] / ".venv/inspector/node_modules/.bin/mcp-inspector"
    if here.exists():
        argv = [str(here)]
    elif installed := shutil.which("mcp-inspector"):
        argv = [installed]
    else:
        pytest.skip(f"needs the MCP Inspector: packaging/inspector brings {PACKAGE}")

    def call(*words: str) -> dict[str, Any]:
        done = subprocess.run(
            [*argv, "--cli", *words],
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return call


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    assert not answer.get("isError"), answer
    content: dict[str, Any] = answer["structuredContent"]
    assert json.loads(answer["content"][0]["text"]) == content
    return content


def test_the_inspector_uses_it_over_standard_input_and_output(
    machine: ServedMachine, inspect: Inspect
) -> None:
    """It starts the program, lists the tools, calls some with arguments, reads a resource."""
    start = ["-e", f"{RUN_DIR_VARIABLE}={machine.run_dir}", str(SCHEDPILOT), "mcp"]
    tools = inspect(*start, "--method", "tools/list")["tools"]
    assert [each["name"] for each in tools] == list(CALLS)
    call = [*start, "--method", "tools/call", "--tool-name"]
    checked = _told(inspect(*call, "check_candidate", "--tool-arg", "policy=slice 3ms"))
    assert checked["proven"]
    guide = ["--method", "resources/read", "--uri", "schedpilot://guide/policy-language"]
    assert "Writing a policy" in inspect(*start, *guide)["contents"][0]["text"]


def test_the_inspector_uses_it_over_http(
    machine: ServedMachine, inspect: Inspect, tmp_path: Path
) -> None:
    """With the token in a header; read-only, it sees no acting tool."""
    with over_http(machine.run_dir, tmp_path / "token", "--read-only") as web:
        reach = [web.url, "--transport", "http", "--header", f"Authorization: Bearer {web.token}"]
        tools = inspect(*reach, "--method", "tools/list")["tools"]
        assert {each["name"] for each in tools} == set(CALLS) - ACTING
        wanted = ["--method", "tools/call", "--tool-name", "search_schedulers"]
        found = _told(inspect(*reach, *wanted, "--tool-arg", "query=batch"))
        assert found["schedulers"][0]["name"] == "batch"
