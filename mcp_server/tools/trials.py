# SPDX-License-Identifier: GPL-2.0-or-later
"""A trial as tools show it, and how they wait for one."""

import asyncio
import contextlib
import time

import anyio
from pydantic import Field

from daemon.api import telling
from daemon.api.client import AsyncClient
from daemon.api.models import Arm, Direction, EventKind, ParameterValue, TrialState, TrialView
from mcp_server.tool import Number, ToolAnswer, ToolCallContext, beside
from mcp_server.tools.judging import GuardAnswer, guards_of
from mcp_server.tools.shared import told
from mcp_server.untrusted import Body, Name, Said, Word, marked
from process import Fault

# Events after which a trial's state may have changed.
_STEPS = {
    EventKind.TRIAL_STARTED,
    EventKind.WINDOW,
    EventKind.VERDICT,
    EventKind.KEPT,
    EventKind.ROLLBACK,
    EventKind.UNMEASURED,
    EventKind.EJECTED,
    EventKind.QUARANTINED,
}
# Polling interval if no event announced the end, seconds.
_LOOK_S = 5.0
OPEN = (TrialState.AWAITING_APPROVAL, TrialState.RUNNING)


class VerdictAnswer(ToolAnswer):
    decision: Word
    found: str = Field(description="Of the objective, in words")
    ratio: Number | None = Field(None, description="candidate / baseline; absent: not compared")
    low: Number | None = None
    high: Number | None = None
    confidence: Number | None = None
    stopped_early: bool = False
    told: list[str] = Field(
        default_factory=list, description="Why; what moved and what did not, as ranges; guards"
    )


class TrialAnswer(ToolAnswer):
    trial: Word
    state: Word
    candidate: Word
    scheduler: Word
    policy: Body = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    workload: Word = ""
    name: Name = ""
    objective: Name
    guards: list[GuardAnswer] = Field(default_factory=list)
    unit: Word = ""
    lower_is_better: bool
    windows: int = 0
    baseline: list[Number] = Field(default_factory=list, description="Values, newest last")
    tried: list[Number] = Field(default_factory=list, description="The candidate's values")
    excluded: int = 0
    verdict: VerdictAnswer | None = None
    reason: Said = ""
    episode: Word = ""
    age_s: Number
    approval: Word = ""
    warnings: list[Said] = Field(
        default_factory=list, description="What speaks against trying it for this objective"
    )
    next: str = ""


def trial_of(
    view: TrialView, call: ToolCallContext, next: str = "", tick_us: float = 0.0
) -> TrialAnswer:
    """A trial as tools show it; `tick_us`, if known, explains the slices it got."""
    verdict = view.verdict
    compared = verdict is not None and not telling.nothing_compared(verdict)
    values = {
        arm: [each.value for each in view.windows if each.arm is arm and not each.excluded][-6:]
        for arm in Arm
    }
    return TrialAnswer(
        trial=view.id,
        state=view.state.value,
        candidate=view.candidate,
        scheduler=view.scheduler,
        policy=view.policy,
        parameters=told(view.parameters),
        workload=call.handles.of(view.workload),
        name=view.workload,
        objective=view.objective,
        guards=guards_of(call, view.guards),
        unit=view.unit,
        lower_is_better=view.direction is Direction.LOWER,
        windows=len(view.windows),
        baseline=values[Arm.BASELINE],
        tried=values[Arm.CANDIDATE],
        excluded=sum(bool(each.excluded) for each in view.windows),
        verdict=VerdictAnswer(
            decision=verdict.decision.value,
            found=telling.outcome(verdict, view.direction),
            ratio=verdict.ratio if compared else None,
            low=verdict.low if compared else None,
            high=verdict.high if compared else None,
            confidence=verdict.confidence if compared else None,
            stopped_early=verdict.early,
            told=telling.details(view, tick_us, marked),
        )
        if verdict
        else None,
        reason=view.reason,
        episode=view.episode,
        age_s=max(0.0, time.time() - view.at),
        approval=view.approval if view.state is TrialState.AWAITING_APPROVAL else "",
        warnings=view.warnings,
        next=next,
    )


async def settled(call: ToolCallContext, client: AsyncClient, id: str, wait_s: float) -> TrialView:
    """The trial when it is over, or as it is after `wait_s` seconds. Reports each window.

    Raises:
        Fault: the daemon's, or UNREACHABLE if it went away.
    """
    view = await client.trial(id)
    if wait_s <= 0 or view.state not in OPEN:
        return view
    stirred = asyncio.Event()
    async with beside(_listen(client, id, stirred)):
        with anyio.move_on_after(wait_s):
            await call.progress(len(view.windows), None, f"{id} runs")
            while view.state in OPEN:
                # No event announces that a person declined, so poll now and then.
                with anyio.move_on_after(_LOOK_S):
                    await stirred.wait()
                stirred.clear()
                windows = len(view.windows)
                view = await client.trial(id)
                if len(view.windows) > windows:
                    await call.progress(len(view.windows), None, _newest(view))
    return view


def _newest(view: TrialView) -> str:
    last = view.windows[-1]
    return f"window {len(view.windows)}: {last.arm.value} {last.value:.4g} {view.unit}"


async def _listen(client: AsyncClient, id: str, stirred: asyncio.Event) -> None:
    """Set `stirred` at each event of the trial. Silent without a daemon."""
    with contextlib.suppress(Fault):
        async for event in client.events(0):
            if event.trial == id and event.kind in _STEPS:
                stirred.set()
