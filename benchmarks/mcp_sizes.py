# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of a model's attention the MCP server takes: the size of each tool's answer.

    python -m benchmarks.mcp_sizes

On a busy fake machine (tests/mcp/rich.py). The estimate of tokens is UTF-8 bytes divided by 3.5,
which is more than today's tokenizers need for such text.
"""

import asyncio
import json
import tempfile
from pathlib import Path

from mcp.client import Client
from mcp.types import TextContent

from mcp_server.access import to_act
from mcp_server.resources import guide
from mcp_server.server import build_server
from tests.agent.machine import WORKLOAD
from tests.mcp.calls import CALLS
from tests.mcp.rich import served_rich

BYTES_A_TOKEN = 3.5
# The text that a model reads before it decides anything, and the goal for all of it.
FIRST = {
    "get_status": {},
    "profile_workload": {"workload": WORKLOAD},
    "search_schedulers": {"workload": WORKLOAD},
}
FIRST_TOKENS = 3000


def tokens_in(text: str) -> int:
    return round(len(text.encode()) / BYTES_A_TOKEN)


async def sizes(client: Client) -> dict[str, int]:
    """Tokens of each tool's answer, of the beginning of all sessions, and of the guides."""
    found = {}
    for name, arguments in {**CALLS, **FIRST}.items():
        result = await client.call_tool(name, arguments)
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert not result.is_error, content.text
        found[name] = tokens_in(content.text)
    # Models get the name, the description and the schema of the arguments.
    tools = (await client.list_tools()).tools
    found["(definitions of all tools)"] = sum(
        tokens_in(f"{each.name}{each.description}{json.dumps(each.input_schema)}") for each in tools
    )
    found["(instructions)"] = tokens_in(client.instructions or "")
    for file in ("policy-language.md", "sched-ext.md"):
        found[f"(guide {file})"] = tokens_in(guide(file))
    return found


async def measure() -> dict[str, object]:
    """Tokens by tool, and `first_three` together."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-mcp-") as place:
        run_dir = Path(place) / "run"
        with served_rich(run_dir) as served:
            access = to_act(run_dir)
            async with Client(build_server(access)) as client:
                found = await sizes(client)
            await access.close()
            await asyncio.to_thread(served.stop)
    return {"tokens": found, "first_three": sum(found[name] for name in FIRST)}


def main() -> None:
    measured = asyncio.run(measure())
    found = measured["tokens"]
    assert isinstance(found, dict)
    for name, tokens in found.items():
        print(f"{tokens:6} tokens  {name}")
    print(f"{measured['first_three']:6} tokens  {', '.join(FIRST)} (goal: {FIRST_TOKENS})")


if __name__ == "__main__":
    main()
