# SPDX-License-Identifier: GPL-2.0-or-later
"""get_episode: the story of one episode."""

import time

from pydantic import Field

from daemon.api.models import CandidateView, EpisodeView, Event, StepView
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.judging import GuardAnswer, guards_of
from mcp_server.tools.status import Degraded, degraded_of
from mcp_server.tools.trials import TrialAnswer, settled, trial_of
from mcp_server.untrusted import Name, Said, Word
from process import Fault, FaultType


class EpisodeArguments(Arguments):
    id: str = Field(
        pattern=r"^[et]-[0-9a-z]{4,32}$", description="Of an episode, or of one of its trials"
    )
    wait_s: float = Field(0, ge=0, le=600, description="Wait this long for a running trial's end")
    events: int = Field(6, ge=0, le=100, description="Events shown, the last ones")
    steps: int = Field(0, ge=0, le=100, description="Steps of the advisor shown, the last ones")


class Happened(ToolAnswer):
    kind: Word
    said: Said
    after_s: Number = Field(description="Since the episode began")


class StepAnswer(ToolAnswer):
    number: int
    role: Word
    kind: Word
    tool: Word = ""
    text: Said = ""


class Proposed(ToolAnswer):
    candidate: Word
    name: Word
    proven: bool
    quarantined: Said = ""
    policy: Said = ""
    failed_gate: Word = ""
    message: Said = ""
    fix: Said = ""


class EpisodeAnswer(ToolAnswer):
    episode: Word
    state: Word
    workload: Word = ""
    name: Name = ""
    goal: Said = ""
    objective: Name = Field("", description="How its trials are judged")
    guards: list[GuardAnswer] = Field(default_factory=list)
    question: Said = Field("", description="Open: nothing is tried before it is answered")
    trigger: Degraded | None = None
    tags: list[Word] = Field(default_factory=list)
    advisor: Word = ""
    advice: list[Said] = Field(default_factory=list)
    candidates: list[Proposed] = Field(default_factory=list, description="The last ones")
    candidates_total: int = 0
    trials: list[TrialAnswer] = Field(default_factory=list, description="The last ones")
    trials_total: int = 0
    outcome: Said = ""
    calls: int = 0
    tokens: int = 0
    age_s: Number
    events: list[Happened] = Field(default_factory=list)
    events_total: int = 0
    steps: list[StepAnswer] = Field(default_factory=list)
    steps_total: int = 0


# How many of an episode's last ones are shown.
_TRIALS, _CANDIDATES, _ADVICE = 2, 3, 2


async def _candidates(call: ToolCallContext, episode: EpisodeView) -> list[CandidateView]:
    """The ones that the daemon still remembers."""
    found = []
    for id in episode.candidates[-_CANDIDATES:]:
        try:
            found.append(await call.access.reading.candidate(id))
        except Fault as fault:
            if fault.type is not FaultType.NOT_FOUND:
                raise
    return found


def _proposed(view: CandidateView) -> Proposed:
    failed = next((each for each in view.gates if not each.passed), None)
    first = failed.messages[0] if failed and failed.messages else None
    return Proposed(
        candidate=view.id,
        name=view.name,
        proven=view.proven,
        quarantined=view.quarantined,
        policy=view.policy,
        failed_gate=failed.gate.value if failed else "",
        message=(first.message if first else failed.skipped) if failed else "",
        fix=first.fix if first else "",
    )


def _happened(event: Event, began: float) -> Happened:
    return Happened(kind=event.kind.value, said=event.message, after_s=max(0.0, event.at - began))


def _step(each: StepView) -> StepAnswer:
    return StepAnswer(
        number=each.number,
        role=each.role.value,
        kind=each.kind.value,
        tool=each.tool,
        text=each.text,
    )


async def _get_episode(call: ToolCallContext, wanted: EpisodeArguments) -> EpisodeAnswer:
    reading = call.access.reading
    id = wanted.id
    if id.startswith("t-"):
        id = (await settled(call, reading, id, wanted.wait_s)).episode
    elif wanted.wait_s:
        running = (await reading.status()).trial
        if running and (await reading.trial(running)).episode == id:
            await settled(call, reading, running, wanted.wait_s)
    view = await reading.episode(id)
    # The whole transcript is requested only if it is wanted.
    steps = await reading.steps(id) if wanted.steps else []
    now = time.time()
    tick_us = (await reading.status()).kernel.tick_us if view.trials else 0.0
    return EpisodeAnswer(
        episode=view.id,
        state=view.state.value,
        workload=call.handles.of(view.workload),
        name=view.workload,
        goal=view.goal,
        objective=view.objective,
        guards=guards_of(call, view.guards),
        question=view.question,
        trigger=degraded_of(view.trigger, call, now) if view.trigger else None,
        tags=view.profile.tags if view.profile else [],
        advisor=view.advisor,
        advice=view.advice[-_ADVICE:],
        candidates=[_proposed(each) for each in await _candidates(call, view)],
        candidates_total=len(view.candidates),
        trials=[trial_of(each, call, tick_us=tick_us) for each in view.trials[-_TRIALS:]],
        trials_total=len(view.trials),
        outcome=view.outcome,
        calls=view.cost.calls,
        tokens=view.cost.input_tokens + view.cost.output_tokens,
        age_s=max(0.0, now - view.at),
        events=[_happened(each, view.at) for each in view.events[-wanted.events :]]
        if wanted.events
        else [],
        events_total=len(view.events),
        steps=[_step(each) for each in steps[-wanted.steps :]],
        steps_total=len(steps),
    )


get_episode = Tool(
    name="get_episode",
    title="One episode",
    description="What was seen, proposed, tried, measured and decided in one episode. With "
    "wait_s it also waits for a trial that runs.",
    arguments=EpisodeArguments,
    answer=EpisodeAnswer,
    run=_get_episode,
    annotations=reads("One episode"),
)
