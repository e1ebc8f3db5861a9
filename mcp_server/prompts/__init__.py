# SPDX-License-Identifier: GPL-2.0-or-later
"""Prompts for people who use an MCP client, as templates."""

from collections.abc import Mapping

import mcp_types as types

from daemon.api.display import displayable
from daemon.api.models import TrialState
from mcp_server.tool import ToolCallContext, answered
from mcp_server.tools.episodes import get_episode
from mcp_server.tools.profile import profile_workload
from mcp_server.untrusted import marked
from process import Fault, FaultType

PROMPTS = [
    types.Prompt(
        name="optimize-workload",
        title="Make a workload run better",
        description=(
            "Find out what a workload waits for, and improve its scheduling if that is the cause."
        ),
        arguments=[
            types.PromptArgument(
                name="workload",
                description="Its handle or id; else the worst served",
                required=False,
            ),
            types.PromptArgument(
                name="goal", description="What should improve, in your words", required=False
            ),
        ],
    ),
    types.Prompt(
        name="explain-rollback",
        title="Explain a rollback",
        description="Why a scheduler was taken back, and what to conclude.",
        arguments=[
            types.PromptArgument(
                name="episode",
                description="Of an episode or trial; else the last rollback",
                required=False,
            )
        ],
    ),
]
_ARGUMENTS = {each.name: {one.name for one in each.arguments or []} for each in PROMPTS}
_MOST_GOAL = 500
_LOOKED_AT = 50


def _rendered(template: str, **values: object) -> str:
    # Imported late: most sessions use no prompt, and the import takes time.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mcp_server", "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - text for a model; hostile parts go through `marked`
    )
    environment.filters["marked"] = marked
    return environment.get_template(template).render(**values)


def _text(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


async def _last_rollback(call: ToolCallContext) -> str:
    for episode in await call.access.reading.episodes(_LOOKED_AT):
        if any(trial.state is TrialState.ROLLED_BACK for trial in episode.trials):
            return episode.id
    raise Fault(
        FaultType.NOT_FOUND,
        "nothing was rolled back lately",
        hint="name an episode: get_history lists them",
    )


async def _optimize(call: ToolCallContext, arguments: Mapping[str, str]) -> str:
    wanted, profile = arguments.get("workload", ""), ""
    handle = ""
    if wanted:
        id = await call.workload(wanted)
        handle = call.handles.of(id)
        shown = await profile_workload.call(call, {"workload": handle})
        assert not isinstance(shown, types.InputRequiredResult)
        profile = _text(answered(shown))
    # The person's own words: they are not marked as data, but may contain no marks or line breaks.
    goal = displayable(arguments.get("goal", ""), _MOST_GOAL).translate({0x27E6: "[", 0x27E7: "]"})
    return _rendered(
        "optimize-workload.j2",
        handle=handle,
        profile=profile,
        goal=goal,
        may_act=call.access.may_act,
    )


async def _explain(call: ToolCallContext, arguments: Mapping[str, str]) -> str:
    id = arguments.get("episode", "") or await _last_rollback(call)
    shown = await get_episode.call(call, {"id": id, "events": 20})
    assert not isinstance(shown, types.InputRequiredResult)
    return _rendered("explain-rollback.j2", id=marked(id), episode=_text(answered(shown)))


async def prompt(
    call: ToolCallContext, name: str, arguments: Mapping[str, str]
) -> types.GetPromptResult:
    """A prompt with its subject filled in.

    Raises:
        Fault: BAD_REQUEST, NOT_FOUND, or the daemon's.
    """
    if name not in _ARGUMENTS:
        raise Fault(FaultType.NOT_FOUND, "there is no such prompt", hint=", ".join(_ARGUMENTS))
    unknown = sorted(set(arguments) - _ARGUMENTS[name])
    if unknown:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"unknown argument {displayable(unknown[0], 60)!r}",
            hint=f"known: {', '.join(sorted(_ARGUMENTS[name]))}",
        )
    text = await (_optimize if name == "optimize-workload" else _explain)(call, arguments)
    found = next(each for each in PROMPTS if each.name == name)
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=found.description, messages=[message])
