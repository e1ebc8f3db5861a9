# SPDX-License-Identifier: GPL-2.0-or-later
"""search_schedulers and get_scheduler: the schedulers to choose from."""

import time

from pydantic import Field

from daemon.api.models import (
    OutcomeView,
    ParameterValue,
    ParameterView,
    SchedulerName,
    SchedulerView,
)
from daemon.api.telling import outcome_gain
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.shared import WorkloadArgument, told
from mcp_server.untrusted import Body, Name, Said, Word, marked
from process import Fault, FaultType


class SearchArguments(Arguments):
    query: str = Field(
        "", max_length=500, description="Words: what the workload is like, or what is wanted"
    )
    workload: WorkloadArgument = Field(
        "", description=("Fit to this workload, with what was measured")
    )
    limit: int = Field(5, ge=1, le=20)
    all: bool = Field(False, description="Include those that are not installed here")


class FoundAnswer(ToolAnswer):
    name: Word
    kind: Word
    summary: Said
    good_for: Said = ""
    bad_for: Said = ""
    score: Number | None = None
    why: list[Said] = Field(default_factory=list)
    not_installed: bool = False


class Search(ToolAnswer):
    schedulers: list[FoundAnswer] = Field(description="Best first")
    total: int
    not_installed: int = Field(0, description="This many more fit and are not installed here")
    hint: str = ""


def _found(each: SchedulerView) -> FoundAnswer:
    return FoundAnswer(
        name=each.name,
        kind=each.kind,
        summary=each.summary,
        good_for=", ".join(each.good_for),
        bad_for=", ".join(each.bad_for),
        score=each.score,
        why=each.why[:2],
        not_installed=not each.installed,
    )


async def _search(call: ToolCallContext, wanted: SearchArguments) -> Search:
    if not wanted.query and not wanted.workload:
        raise Fault(
            FaultType.BAD_REQUEST,
            "nothing to search for",
            hint="give query, workload or both",
        )
    id = await call.workload(wanted.workload)
    fitting = await call.access.reading.library(wanted.query, id)
    found = [each for each in fitting if wanted.all or each.installed]
    return Search(
        schedulers=[_found(each) for each in found[: wanted.limit]],
        total=len(found),
        not_installed=len(fitting) - len(found),
        hint="" if found else "no installed scheduler fits: you can write a policy line",
    )


search_schedulers = Tool(
    name="search_schedulers",
    title="Search the scheduler library",
    description=(
        "Installed schedulers that fit words or a workload, best first, with reasons. Search "
        "before you write one."
    ),
    arguments=SearchArguments,
    answer=Search,
    run=_search,
    annotations=reads("Search the scheduler library"),
)


# ---------------------------------------------------------------- one scheduler


class SchedulerArguments(Arguments):
    name: SchedulerName = Field(description="As search_schedulers shows it")


class ParameterAnswer(ToolAnswer):
    name: Word
    type: Word
    default: ParameterValue
    min: Number | None = None
    max: Number | None = None
    unit: Word = ""
    when: Word = Field(description="live: can be set while it runs")
    description: Said = ""


class OutcomeAnswer(ToolAnswer):
    decision: Word
    found: str = Field(description="How much better or worse")
    by: Name = Field("", description="The figure that decided")
    tags: list[Word]
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    days_ago: Number


class SchedulerAnswer(ToolAnswer):
    name: Word
    kind: Word
    summary: Said
    description: Body = ""
    algorithm: Body = ""
    good_for: Said = ""
    bad_for: Said = ""
    origin: Name = ""
    not_installed: bool = False
    policy: Body = ""
    parameters: list[ParameterAnswer] = Field(default_factory=list)
    parameters_total: int = 0
    outcomes: list[OutcomeAnswer] = Field(default_factory=list, description="Newest first")
    outcomes_total: int = 0


_PARAMETERS, _OUTCOMES = 24, 5


def outcome_of(each: OutcomeView, now: float) -> OutcomeAnswer:
    return OutcomeAnswer(
        decision=each.decision.value,
        found=outcome_gain(each),
        by=each.objective,
        tags=each.tags,
        parameters=told(each.parameters),
        days_ago=max(0.0, now - each.at) / 86_400,
    )


def _parameter(each: ParameterView) -> ParameterAnswer:
    return ParameterAnswer(
        name=each.name,
        type=each.type,
        default=marked(each.default) if isinstance(each.default, str) else each.default,
        min=each.min,
        max=each.max,
        unit=each.unit,
        when=each.when,
        description=each.description,
    )


async def _get_scheduler(call: ToolCallContext, wanted: SchedulerArguments) -> SchedulerAnswer:
    reading = call.access.reading
    detail = await reading.scheduler(wanted.name)
    outcomes = sorted(await reading.outcomes(detail.name), key=lambda each: -each.at)
    now = time.time()
    return SchedulerAnswer(
        name=detail.name,
        kind=detail.kind,
        summary=detail.summary,
        description=detail.description,
        algorithm=detail.algorithm,
        good_for=", ".join(detail.good_for),
        bad_for=", ".join(detail.bad_for),
        origin=detail.origin,
        not_installed=not detail.installed,
        policy=detail.policy,
        parameters=[_parameter(each) for each in detail.parameters[:_PARAMETERS]],
        parameters_total=len(detail.parameters),
        outcomes=[outcome_of(each, now) for each in outcomes[:_OUTCOMES]],
        outcomes_total=len(outcomes),
    )


get_scheduler = Tool(
    name="get_scheduler",
    title="One scheduler of the library",
    description="How a scheduler works, its parameters, and how trials of it ended.",
    arguments=SchedulerArguments,
    answer=SchedulerAnswer,
    run=_get_scheduler,
    annotations=reads("One scheduler of the library"),
)
