# SPDX-License-Identifier: GPL-2.0-or-later
"""How trials are judged, as tools take and show it: an objective, and guards of others."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from daemon.api.models import MOST_GUARDS, GuardRequest, GuardView
from mcp_server.tool import Arguments, ToolAnswer, ToolCallContext, parsed
from mcp_server.untrusted import Name, Said, Word

ObjectiveArgument = Annotated[
    str,
    Field(
        max_length=500,
        description="What the person wants, as `response p99 < 20ms; completions not worse than "
        "5%`. Terms: response|delay|turnaround pNN|mean, completions, makespan, cpu, measurement "
        "NAME lower|higher. Default: the episode's, else declared, else by the workload's kind",
    ),
]


class GuardArgument(Arguments):
    workload: str = Field(max_length=4200, description="Handle, id, or glob over ids")
    text: str = Field(max_length=500, description="Like `cpu not worse than 50%`")


GuardsArgument = Annotated[
    list[GuardArgument],
    BeforeValidator(parsed),
    Field(
        max_length=MOST_GUARDS, description=("Others that the goal names and that must not suffer")
    ),
]


class GuardAnswer(ToolAnswer):
    workload: Word
    name: Name
    text: Name
    state: Word = ""
    said: Said = ""


async def guards_asked(
    call: ToolCallContext, guards: Sequence[GuardArgument]
) -> list[GuardRequest]:
    """The guards, with ids instead of handles.

    Raises:
        Fault: an unknown workload.
    """
    return [
        GuardRequest(workload=await call.workload(each.workload), text=each.text) for each in guards
    ]


def guards_of(call: ToolCallContext, guards: Sequence[GuardView]) -> list[GuardAnswer]:
    return [
        GuardAnswer(
            workload=call.handles.of(each.workload),
            name=each.workload,
            text=each.text,
            state=each.state if each.said else "",
            said=each.said,
        )
        for each in guards
    ]
