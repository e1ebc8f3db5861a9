# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools that change something: start_trial, set_parameters, rollback, record_lesson."""

import contextlib
import functools
import json

import anyio
import mcp_types as types
from pydantic import Field

from daemon.api.client import AsyncClient
from daemon.api.models import (
    ApprovalRequest,
    Autonomy,
    LessonRequest,
    ParametersRequest,
    ParameterValue,
    RecordId,
    RollbackRequest,
    StatusView,
    TrialRequest,
    TrialState,
    TrialView,
)
from mcp_server.approval import ApprovalReply, Consent, answer_given, ask
from mcp_server.tool import Arguments, Parameters, Tool, ToolAnswer, ToolCallContext, changes
from mcp_server.tools.judging import GuardsArgument, ObjectiveArgument, guards_asked
from mcp_server.tools.shared import WorkloadArgument, told
from mcp_server.tools.trials import TrialAnswer, settled, trial_of
from mcp_server.untrusted import Said, Word, marked, word
from process import Fault, FaultType

# How long a trial is waited for by default, seconds: clients commonly give up after a minute.
_WAIT_S = 45.0
# Polling interval for a decision by the command while a form is open, seconds.
_LOOK_S = 1.0


class TrialArguments(Arguments):
    candidate: RecordId = Field(description="The id that check_candidate gave, proven")
    workload: WorkloadArgument = Field("", description="Its objective decides")
    objective: ObjectiveArgument = ""
    guards: GuardsArgument = Field(default_factory=list)
    episode: RecordId | None = None
    window_s: float | None = Field(None, ge=0.5, le=600, description="Length of one window")
    max_windows: int | None = Field(None, ge=4, le=64)
    wait_s: float = Field(
        _WAIT_S, ge=0, le=600, description="Wait this long for the verdict; the trial goes on after"
    )


def _question(view: TrialView) -> str:
    scheduler = word(view.scheduler)
    settings = ", ".join(f"{name}={value}" for name, value in told(view.parameters).items())
    return (
        f"May schedpilot try the CPU scheduler {scheduler}"
        + (f" ({settings})" if settings else "")
        + f" on this machine? It is compared with what runs now by {marked(view.objective, 200)}"
        + (f" of {marked(view.workload, 200)}" if view.workload else "")
        + "".join(
            f", with {marked(each.workload, 200)} guarded ({marked(each.text, 100)})"
            for each in view.guards
        )
        + ", under a lease, and taken back unless it is better."
        + "".join(f" Against it: {marked(each, 300)}." for each in view.warnings)
        + f" Candidate {word(view.candidate)}, trial {word(view.id)}."
    )


async def _decide(acting: AsyncClient, view: TrialView, answered: ApprovalReply) -> TrialView:
    """Pass on the answer of the person at the client; returns the trial's new state."""
    if answered.consent is Consent.OPEN:
        return await acting.trial(view.id)
    approve = answered.consent is Consent.YES
    reason = answered.reason or ("" if approve else "declined by the person at the MCP client")
    try:
        return await acting.approve(view.approval, ApprovalRequest(approve=approve, reason=reason))
    except Fault as fault:
        if fault.type is not FaultType.NOT_FOUND:
            raise
        # Somebody else has decided in the meantime.
        return await acting.trial(view.id)


async def _decided(acting: AsyncClient, id: str) -> None:
    """Returns when the trial no longer waits for a person, whoever decided."""
    with contextlib.suppress(Fault):
        while (await acting.trial(id)).state is TrialState.AWAITING_APPROVAL:  # noqa: ASYNC110
            await anyio.sleep(_LOOK_S)


def _next(view: TrialView) -> str:
    if view.state is TrialState.AWAITING_APPROVAL:
        approval = word(view.approval)
        return (
            f"awaiting a person's approval: ask the person to run `schedpilot approve {approval}` "
            f"or `schedpilot decline {approval}`; you cannot"
        )
    if view.state is TrialState.RUNNING:
        return f"it goes on: get_episode with id {word(view.id)} and wait_s"
    return ""


async def _start_trial(
    call: ToolCallContext, wanted: TrialArguments
) -> TrialAnswer | types.InputRequiredResult:
    acting = call.access.acting()
    warnings: list[str] = []
    if call.state:
        # The repeated call, with the person's answer.
        view = await acting.trial(json.loads(call.state)["trial"])
        if view.state is TrialState.AWAITING_APPROVAL:
            view = await _decide(acting, view, answer_given(call))
    else:
        id = await call.workload(wanted.workload)
        request = TrialRequest(
            candidate=wanted.candidate,
            workload=id or None,
            objective=wanted.objective or None,
            guards=await guards_asked(call, wanted.guards),
            episode=wanted.episode,
            window_s=wanted.window_s,
            max_windows=wanted.max_windows,
        )
        view = await acting.start_trial(request)
        warnings = view.warnings
        if view.state is TrialState.AWAITING_APPROVAL:
            state = json.dumps({"trial": view.id})
            decided = functools.partial(_decided, acting, view.id)
            asked = await ask(call, _question(view), state, decided)
            if isinstance(asked, types.InputRequiredResult):
                return asked
            view = await _decide(acting, view, asked)
    if view.state is TrialState.RUNNING:
        view = await settled(call, acting, view.id, wanted.wait_s)
    tick_us = (await call.access.reading.status()).kernel.tick_us if view.verdict else 0.0
    return trial_of(view.model_copy(update={"warnings": warnings}), call, _next(view), tick_us)


start_trial = Tool(
    name="start_trial",
    title="Start a trial",
    description=(
        "Compare a proven candidate with what runs now, in alternating windows on the running "
        "machine. It is kept only if better with confidence, else rolled back. If the operator "
        "wants to be asked, a person approves it first."
    ),
    arguments=TrialArguments,
    answer=TrialAnswer,
    run=_start_trial,
    annotations=changes("Start a trial", destructive=True, idempotent=False),
    acts=True,
)


# ---------------------------------------------------------------- the running scheduler


class ParametersArguments(Arguments):
    parameters: Parameters = Field(
        min_length=1, max_length=64, description="NAME: value; get_scheduler says which are live"
    )


class Changed(ToolAnswer):
    scheduler: Word = Field("", description="Absent: the kernel's default runs")
    candidate: Word = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    sched_ext: Word = ""
    next: str = ""


def _changed(status: StatusView, next: str = "") -> Changed:
    loaded = status.loaded
    return Changed(
        scheduler=loaded.name if loaded else "",
        candidate=loaded.candidate if loaded else "",
        parameters=told(loaded.parameters) if loaded else {},
        sched_ext=status.kernel.state,
        next=next,
    )


async def _permitted(
    call: ToolCallContext, wanted: ParametersArguments
) -> types.InputRequiredResult | None:
    """Ask the person if the operator requires it; returns the question if that is the answer.

    Raises:
        Fault: NOT_ALLOWED.
    """
    status = await call.access.reading.status()
    if status.autonomy is Autonomy.AUTO:
        return None
    way = "propose it: check_candidate with these parameters, then start_trial"
    if status.autonomy is Autonomy.OBSERVE:
        raise Fault(
            FaultType.NOT_ALLOWED,
            "nothing was set",
            why="the operator lets schedpilot observe and advise only",
        )
    running = status.loaded.name if status.loaded else "the running scheduler"
    settings = ", ".join(f"{name}={value}" for name, value in told(wanted.parameters).items())
    if call.state:
        answered: ApprovalReply | types.InputRequiredResult = answer_given(call)
    else:
        question = f"May schedpilot set {settings} of {word(running)}, which runs now?"
        answered = await ask(call, question, "asked")
    if isinstance(answered, types.InputRequiredResult):
        return answered
    if answered.consent is Consent.YES:
        return None
    raise Fault(
        FaultType.NOT_ALLOWED,
        "nothing was set",
        why="the person at the client declined"
        if answered.consent is Consent.NO
        else "the operator wants to be asked, and nobody answered here",
        hint="" if answered.consent is Consent.NO else way,
    )


async def _set_parameters(
    call: ToolCallContext, wanted: ParametersArguments
) -> Changed | types.InputRequiredResult:
    acting = call.access.acting()
    question = await _permitted(call, wanted)
    if question is not None:
        return question
    status = await acting.set_parameters(ParametersRequest(parameters=wanted.parameters))
    return _changed(status, "watch get_signals; rollback if it becomes worse")


set_parameters = Tool(
    name="set_parameters",
    title="Set parameters of the running scheduler",
    description=(
        "Change live parameters of the running scheduler, without loading another. Not during a "
        "trial."
    ),
    arguments=ParametersArguments,
    answer=Changed,
    run=_set_parameters,
    annotations=changes(
        "Set parameters of the running scheduler", destructive=True, idempotent=True
    ),
    acts=True,
)


class RollbackArguments(Arguments):
    reason: str = Field("", max_length=500, description="For the record")


async def _rollback(call: ToolCallContext, wanted: RollbackArguments) -> Changed:
    acting = call.access.acting()
    reason = wanted.reason or "asked for through MCP"
    return _changed(await acting.rollback(RollbackRequest(reason=reason)))


rollback = Tool(
    name="rollback",
    title="Roll back",
    description=(
        "Go back to what ran before the last change; ends a trial. Always allowed, and right "
        "when in doubt."
    ),
    arguments=RollbackArguments,
    answer=Changed,
    run=_rollback,
    annotations=changes("Roll back", destructive=True, idempotent=True),
    acts=True,
)


# ---------------------------------------------------------------- lessons


class LessonArguments(Arguments):
    text: str = Field(
        min_length=1, max_length=500, description="One line: what worked or not, where, why"
    )
    episode: RecordId | None = Field(None, description="Where it was learned")
    trial: RecordId | None = Field(None, description="Evidence for it")


class RecordedLessonAnswer(ToolAnswer):
    lesson: Said
    episode: Word = ""
    about: Word = ""


async def _record_lesson(call: ToolCallContext, wanted: LessonArguments) -> RecordedLessonAnswer:
    acting = call.access.acting()
    request = LessonRequest(text=wanted.text, episode=wanted.episode, trial=wanted.trial)
    view = await acting.record_lesson(request)
    return RecordedLessonAnswer(lesson=view.text, episode=view.episode, about=view.about)


record_lesson = Tool(
    name="record_lesson",
    title="Record a lesson",
    description=(
        "Keep one line for the next person or model that works on this machine, with its evidence."
    ),
    arguments=LessonArguments,
    answer=RecordedLessonAnswer,
    run=_record_lesson,
    annotations=changes("Record a lesson", destructive=False, idempotent=True),
    acts=True,
)
