# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/mcp.md: what people paste from it is valid, and what it names exists."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mcp_server.main import DEFAULT_PORT, parsed
from mcp_server.prompts import PROMPTS
from mcp_server.resources import RESOURCES, TEMPLATES
from mcp_server.server import TOOLS
from mcp_server.web import HOST, PATH, default_token_file
from tests.mcp.test_inspector import PACKAGE

TEXT = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text()
CONFIGURATIONS = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
# The options used here for which `claude mcp add` takes a value.
CLAUDE_OPTIONS = {"--transport": {"stdio", "http"}, "--header": None, "--scope": {"project"}}


def ours(words: list[str]) -> None:
    """Check that a command line is one of ours, with existing options."""
    assert words[:2] == ["schedpilot", "mcp"]
    parsed(words[2:])


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_each_configuration_starts_the_server(text: str) -> None:
    """Each is JSON as Claude Desktop and Claude Code read it, and the program takes its options."""
    configuration = json.loads(text)
    assert set(configuration) == {"mcpServers"}
    for name, server in configuration["mcpServers"].items():
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
        assert set(server) <= {"type", "command", "args", "env"}
        assert server.get("type", "stdio") == "stdio"
        words = [server["command"], *server["args"]]
        assert all(isinstance(word, str) for word in words)
        if words[0] == "ssh":
            # Without a terminal, because a terminal would change what is sent.
            assert words[1] == "-T"
            words = words[3:]
        ours(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_can_be_run(command: str) -> None:
    """`schedpilot` has the options, and `claude mcp add` and the Inspector take these forms."""
    words = shlex.split(command)
    if words[0] == "schedpilot":
        ours(words)
    elif words[0] == "claude":
        assert words[1:3] == ["mcp", "add"]
        rest = _without_options(words[3:])
        assert rest[0] == "schedpilot"
        if rest[1] == "--":
            ours(rest[2:])
        else:
            assert rest[1:] == [f"http://{HOST}:{DEFAULT_PORT}{PATH}"]
    else:
        assert words[:3] == ["npx", PACKAGE, "--cli"]
        ours(words[3:5])
        assert words[5] == "--method"


def _without_options(words: list[str]) -> list[str]:
    rest: list[str] = []
    while words:
        word, *words = words
        if word == "--":
            return [*rest, word, *words]
        if word.startswith("--"):
            values = CLAUDE_OPTIONS[word]
            value, *words = words
            assert values is None or value in values
        else:
            rest.append(word)
    return rest


def test_the_token_is_where_the_document_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is right in the text and in the command."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    place = f"~/{default_token_file().relative_to(Path.home())}"
    assert f"`{place}`" in TEXT
    assert f"$(cat {place})" in TEXT
    assert f"port {DEFAULT_PORT}" in TEXT


def test_everything_there_is_is_named() -> None:
    """The document names each tool with what it needs, each resource and each prompt."""
    rows = {
        name: cells[-1]
        for cells in re.findall(r"^\| (`.*?) \|.*\| (observe|control) \|$", TEXT, re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", cells[0])
    }
    assert rows == {tool.name: "control" if tool.acts else "observe" for tool in TOOLS}
    for uri in [*(each.uri for each in RESOURCES), *(each.uri_template for each in TEMPLATES)]:
        assert f"`{uri}`" in TEXT
    for prompt in PROMPTS:
        assert f"`{prompt.name}`" in TEXT
