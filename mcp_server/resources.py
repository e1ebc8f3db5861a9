# SPDX-License-Identifier: GPL-2.0-or-later
"""The readable resources beside the tools: the library, signals, episodes, and two guides."""

import json
import re
from importlib.resources import files

import mcp_types as types

from mcp_server.tool import Result, ToolCallContext, content_of
from mcp_server.tools.episodes import get_episode
from mcp_server.tools.signals import get_signals
from mcp_server.tools.workloads import list_workloads
from mcp_server.untrusted import marked, word
from process import Fault, FaultType

_MARKDOWN, _JSON = "text/markdown", "application/json"
_EPISODE = re.compile(r"schedpilot://episodes/([et]-[0-9a-z]{4,32})")

_GUIDES = {
    "schedpilot://guide/policy-language": "policy-language.md",
    "schedpilot://guide/sched-ext": "sched-ext.md",
}

RESOURCES = [
    types.Resource(
        uri="schedpilot://library",
        name="library",
        title="The scheduler library",
        description="Every scheduler in a line: what it is for, and what it is bad for.",
        mime_type=_MARKDOWN,
    ),
    types.Resource(
        uri="schedpilot://signals",
        name="signals",
        title="Signals now",
        description="The machine's figures and the workloads that wait longest.",
        mime_type=_JSON,
    ),
    types.Resource(
        uri="schedpilot://guide/policy-language",
        name="policy-language",
        title="How to write a policy",
        description="The language in which a scheduler is one line.",
        mime_type=_MARKDOWN,
    ),
    types.Resource(
        uri="schedpilot://guide/sched-ext",
        name="sched-ext",
        title="How to write a scheduler in C",
        description="For what no policy can express: a sched_ext scheduler in BPF C.",
        mime_type=_MARKDOWN,
    ),
]

TEMPLATES = [
    types.ResourceTemplate(
        uri_template="schedpilot://episodes/{id}",
        name="episode",
        title="An episode",
        description="What was seen, proposed, tried, measured and decided. Ids: get_history.",
        mime_type=_JSON,
    )
]


def guide(file: str) -> str:
    """The text of a guide; it is part of the package."""
    return files("mcp_server").joinpath("guides", file).read_text("utf-8")


async def _library(call: ToolCallContext) -> str:
    lines = ["# Schedulers", ""]
    for each in sorted(await call.access.reading.library(), key=lambda each: each.name):
        # A model or a stranger may have written an entry, whatever it claims.
        summary = marked(each.summary, 300)
        fits, unfit = marked(", ".join(each.good_for), 200), marked(", ".join(each.bad_for), 200)
        line = f"- `{word(each.name)}` ({each.kind}): {summary}"
        line += f" Good for: {fits}." if fits else ""
        line += f" Bad for: {unfit}." if unfit else ""
        lines.append(line + ("" if each.installed else " Not installed."))
    return "\n".join(lines) + "\n"


def _data(result: Result) -> dict[str, object]:
    assert not isinstance(result, types.InputRequiredResult)
    return content_of(result)


async def _signals(call: ToolCallContext) -> str:
    machine = await get_signals.call(call, {})
    workloads = await list_workloads.call(call, {})
    return json.dumps({**_data(machine), **_data(workloads)}, ensure_ascii=False)


async def read(call: ToolCallContext, uri: str) -> types.TextResourceContents:
    """The content of a URI.

    Raises:
        Fault: NOT_FOUND, or the daemon's.
    """
    if uri in _GUIDES:
        return types.TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=guide(_GUIDES[uri]))
    if uri == "schedpilot://library":
        return types.TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=await _library(call))
    if uri == "schedpilot://signals":
        return types.TextResourceContents(uri=uri, mime_type=_JSON, text=await _signals(call))
    if match := _EPISODE.fullmatch(uri):
        episode = await get_episode.call(call, {"id": match[1], "events": 50, "steps": 50})
        text = json.dumps(_data(episode), ensure_ascii=False)
        return types.TextResourceContents(uri=uri, mime_type=_JSON, text=text)
    raise Fault(
        FaultType.NOT_FOUND,
        "there is no such resource",
        hint="list resources and resource templates to see what there is",
    )
