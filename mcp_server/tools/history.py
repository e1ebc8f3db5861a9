# SPDX-License-Identifier: GPL-2.0-or-later
"""get_history: what was tried on this machine before, and what was learned."""

import time
from typing import Literal

from pydantic import Field

from daemon.api.models import (
    BeliefView,
    EpisodeView,
    LessonView,
    OutcomeView,
    ParameterValue,
    SchedulerName,
)
from daemon.api.telling import outcome_gain
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.shared import WorkloadArgument, told
from mcp_server.untrusted import Name, Said, ShortName, Word, word
from process import Fault, FaultType

# How many episodes are requested from the daemon; older ones leave their outcomes.
_EPISODES = 200


class HistoryArguments(Arguments):
    of: Literal["episodes", "outcomes", "lessons", "beliefs"] = Field(
        "episodes",
        description="outcomes: verdicts on schedulers; lessons: one line each; beliefs: what each "
        "scheduler is expected to gain on such a workload",
    )
    workload: WorkloadArgument = Field("", description="Only its episodes; whose beliefs")
    scheduler: SchedulerName | None = Field(None, description="Only outcomes of this one")
    offset: int = Field(0, ge=0, le=100_000, description="Where to continue: next_offset")
    limit: int = Field(6, ge=1, le=50)


class Past(ToolAnswer):
    episode: Word = Field(description="get_episode has the details")
    state: Word
    workload: Word = ""
    name: ShortName = ""
    trigger: Said = ""
    goal: Said = ""
    outcome: Said = ""
    trials: list[str] = Field(default_factory=list, description="scheduler: how it ended")
    advisor: Word = ""
    ago_s: Number


class PastVerdictAnswer(ToolAnswer):
    scheduler: Word
    decision: Word
    found: str = Field(description="How much better or worse")
    by: Name = Field("", description="The figure that decided")
    tags: list[Word]
    parameters: list[str] = Field(default_factory=list)
    ago_s: Number


class LessonAnswer(ToolAnswer):
    lesson: Said
    by: Name = Field("", description="The figure that decided, and to which it applies")
    weight: Number = Field(1, description="Below 1: judged by run-queue delay, which says little")
    policy: Said = ""
    about: Word = ""
    tags: list[Word] = Field(default_factory=list)
    author: Word = ""
    confirmed: int = 0
    contradicted: int = 0
    weakened: bool = False
    episode: Word = ""
    ago_s: Number


class BeliefAnswer(ToolAnswer):
    scheduler: Word
    gain: Number = Field(description="Expected; 0.2: a fifth better")
    low: Number = Field(description="low to high contain it with 95 %")
    high: Number
    chance: Number = Field(description="Chance of any gain")
    observations: int
    kept: int = 0
    failures: int = 0
    policy: Said = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    why: list[Said] = Field(default_factory=list)
    refused: Said = Field("", description="Why it would not be proposed now")


class HistoryAnswer(ToolAnswer):
    episodes: list[Past] = Field(default_factory=list, description="Newest first")
    outcomes: list[PastVerdictAnswer] = Field(default_factory=list, description="Newest first")
    lessons: list[LessonAnswer] = Field(default_factory=list)
    beliefs: list[BeliefAnswer] = Field(default_factory=list, description="Best first")
    total: int
    next_offset: int | None = None


def _past(each: EpisodeView, call: ToolCallContext, now: float) -> Past:
    return Past(
        episode=each.id,
        state=each.state.value,
        workload=call.handles.of(each.workload),
        name=each.workload,
        trigger=each.trigger.reason if each.trigger else "",
        goal=each.goal,
        outcome=each.outcome,
        trials=[f"{word(trial.scheduler)}: {trial.state.value}" for trial in each.trials[-4:]],
        advisor=each.advisor,
        ago_s=max(0.0, now - each.at),
    )


def _verdict(each: OutcomeView, now: float) -> PastVerdictAnswer:
    return PastVerdictAnswer(
        scheduler=each.scheduler,
        decision=each.decision.value,
        found=outcome_gain(each),
        by=each.objective,
        tags=each.tags,
        parameters=[f"{name}={value}" for name, value in told(each.parameters).items()],
        ago_s=max(0.0, now - each.at),
    )


def _lesson(each: LessonView, now: float) -> LessonAnswer:
    return LessonAnswer(
        lesson=each.text,
        by=each.objective,
        weight=each.weight,
        policy=each.policy,
        about=each.about,
        tags=each.tags,
        author=each.author,
        confirmed=each.confirmed,
        contradicted=each.contradicted,
        weakened=each.weakened,
        episode=each.episode,
        ago_s=max(0.0, now - each.at),
    )


def _belief(each: BeliefView) -> BeliefAnswer:
    return BeliefAnswer(
        scheduler=each.scheduler,
        gain=each.mean,
        low=each.low,
        high=each.high,
        chance=each.chance,
        observations=each.observations,
        kept=each.kept,
        failures=each.failures,
        policy=each.policy,
        parameters=told(each.parameters),
        why=each.why[:2],
        refused=each.refused or each.warned,
    )


async def _beliefs(call: ToolCallContext, workload: str) -> list[BeliefView]:
    if not workload:
        raise Fault(
            FaultType.BAD_REQUEST,
            "beliefs are about a workload",
            hint="give workload: a handle that list_workloads shows",
        )
    learned = await call.access.reading.learned(await call.workload(workload))
    return [belief for each in learned.classes[:1] for belief in each.beliefs]


async def _get_history(call: ToolCallContext, wanted: HistoryArguments) -> HistoryAnswer:
    reading = call.access.reading
    now = time.time()
    start, end = wanted.offset, wanted.offset + wanted.limit

    def paged(total: int) -> dict[str, int | None]:
        return {"total": total, "next_offset": end if end < total else None}

    if wanted.of == "outcomes":
        outcomes = sorted(await reading.outcomes(wanted.scheduler or ""), key=lambda each: -each.at)
        told_of = [_verdict(each, now) for each in outcomes[start:end]]
        return HistoryAnswer.model_validate({"outcomes": told_of, **paged(len(outcomes))})
    if wanted.of == "beliefs":
        beliefs = await _beliefs(call, wanted.workload)
        page = [_belief(each) for each in beliefs[start:end]]
        return HistoryAnswer.model_validate({"beliefs": page, **paged(len(beliefs))})
    if wanted.of == "lessons":
        lessons = await reading.lessons()
        shown = [_lesson(each, now) for each in lessons[start:end]]
        return HistoryAnswer.model_validate({"lessons": shown, **paged(len(lessons))})
    id = await call.workload(wanted.workload)
    episodes = await reading.episodes(_EPISODES)
    chosen = [each for each in episodes if not id or each.workload == id]
    past = [_past(each, call, now) for each in chosen[start:end]]
    return HistoryAnswer.model_validate({"episodes": past, **paged(len(chosen))})


get_history = Tool(
    name="get_history",
    title="What was tried before",
    description="Episodes on this machine, verdicts on schedulers, lessons, or what is believed "
    "of each scheduler, a page at a time. Read it before you try something: it may have failed "
    "already.",
    arguments=HistoryArguments,
    answer=HistoryAnswer,
    run=_get_history,
    annotations=reads("What was tried before"),
)
