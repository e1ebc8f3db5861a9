# SPDX-License-Identifier: GPL-2.0-only
"""A trial as tools tell it, and how they wait for one."""

import asyncio
import contextlib
import time

import anyio
from pydantic import Field

from daemon.api.client import AsyncClient
from daemon.api.models import Arm, Direction, EventKind, ParameterValue, TrialState, TrialView
from mcp_server.tool import Answer, Call, Number, beside
from mcp_server.tools.shared import told
from mcp_server.untrusted import Name, Said, Word, word
from process import Fault

# Events after which a trial's state may be another.
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
# Between two looks where no event told of the end, seconds.
_LOOK_S = 5.0
OPEN = (TrialState.AWAITING_APPROVAL, TrialState.RUNNING)


class Verdict(Answer):
    decision: Word
    gain: Number = Field(description="0.2: a fifth better; negative: worse")
    ratio: Number = Field(description="candidate / baseline")
    low: Number
    high: Number
    confidence: Number
    reason: Said
    windows_baseline: int
    windows_candidate: int
    stopped_early: bool = False
    guarded: dict[str, str] = Field(default_factory=dict)


class Trial(Answer):
    trial: Word
    state: Word
    candidate: Word
    scheduler: Word
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    workload: Word = ""
    name: Name = ""
    objective: Name
    unit: Word = ""
    lower_is_better: bool
    windows: int = 0
    baseline: list[Number] = Field(default_factory=list, description="Values, newest last")
    tried: list[Number] = Field(default_factory=list, description="The candidate's values")
    excluded: int = 0
    verdict: Verdict | None = None
    reason: Said = ""
    episode: Word = ""
    age_s: Number
    approval: Word = ""
    warnings: list[Said] = Field(
        default_factory=list, description="What speaks against trying it for this objective"
    )
    next: str = ""


def trial_of(view: TrialView, call: Call, next: str = "") -> Trial:
    verdict = view.verdict
    values = {
        arm: [each.value for each in view.windows if each.arm is arm and not each.excluded][-6:]
        for arm in Arm
    }
    return Trial(
        trial=view.id,
        state=view.state.value,
        candidate=view.candidate,
        scheduler=view.scheduler,
        parameters=told(view.parameters),
        workload=call.handles.of(view.workload),
        name=view.workload,
        objective=view.objective,
        unit=view.unit,
        lower_is_better=view.direction is Direction.LOWER,
        windows=len(view.windows),
        baseline=values[Arm.BASELINE],
        tried=values[Arm.CANDIDATE],
        excluded=sum(bool(each.excluded) for each in view.windows),
        verdict=Verdict(
            decision=verdict.decision.value,
            gain=verdict.gain,
            ratio=verdict.ratio,
            low=verdict.low,
            high=verdict.high,
            confidence=verdict.confidence,
            reason=verdict.reason,
            windows_baseline=verdict.windows_baseline,
            windows_candidate=verdict.windows_candidate,
            stopped_early=verdict.early,
            guarded={word(name): word(said) for name, said in verdict.guarded.items()},
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


async def settled(call: Call, client: AsyncClient, id: str, wait_s: float) -> TrialView:
    """The trial when it is over, or as it is after `wait_s` seconds. Tells of each window.

    Raises:
        Fault: the daemon's, or UNREACHABLE where it went away.
    """
    view = await client.trial(id)
    if wait_s <= 0 or view.state not in OPEN:
        return view
    stirred = asyncio.Event()
    async with beside(_listen(client, id, stirred)):
        with anyio.move_on_after(wait_s):
            await call.progress(len(view.windows), None, f"{id} runs")
            while view.state in OPEN:
                # No event tells that a person declined: look now and then without one.
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
    """Set `stirred` with each event of the trial. Without a daemon it is silent."""
    with contextlib.suppress(Fault):
        async for event in client.events(0):
            if event.trial == id and event.kind in _STEPS:
                stirred.set()
