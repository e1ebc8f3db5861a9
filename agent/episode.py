# SPDX-License-Identifier: GPL-2.0-or-later
"""One episode, driven by an advisor: ask, try, learn, until one is kept or nothing is left."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.advisor import Advice, Advisor, EpisodeResult, Proposal, RefusedProposal, Situation
from agent.connection import ActingClient, ReadingClient
from daemon.api import telling
from daemon.api.models import (
    AdviceRequest,
    Autonomy,
    CandidateRequest,
    CandidateView,
    CostReport,
    EpisodeState,
    EpisodeView,
    LearnedClass,
    LessonRequest,
    ProfileView,
    StatusView,
    TrialRequest,
    TrialState,
    TrialView,
)
from process import Fault, FaultType

log = logging.getLogger("schedpilot-agent")

UNFINISHED = (TrialState.RUNNING, TrialState.AWAITING_APPROVAL)
# If a cooldown ends later than this from now, seconds, it is not waited for.
LONGEST_COOLDOWN_S = 600.0
# Another client's trial is waited for this long, polling this often, seconds.
LONGEST_BUSY_S = 900.0
BUSY_PAUSE_S = 1.0

# Awaits the end of a trial by its id.
Finished = Callable[[str], Awaitable[TrialView]]


@dataclass
class Spent:
    """The cost of an episode so far."""

    began: float = field(default_factory=time.monotonic)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0

    def add(self, cost: CostReport) -> None:
        self.calls += cost.calls
        self.input_tokens += cost.input_tokens
        self.output_tokens += cost.output_tokens
        self.money += cost.money

    def report(self) -> CostReport:
        return CostReport(
            calls=self.calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            money=self.money,
            seconds=time.monotonic() - self.began,
        )


def advice_text(advice: Advice) -> str:
    """Advice as text for the record, within the API's limit."""
    if not advice.proposals:
        return f"do nothing: {advice.reason}"[:2000]
    lines = [
        f"{number}. {each.title}: {each.reason}; expected: {each.expectation}"
        for number, each in enumerate(advice.proposals, 1)
    ]
    return "\n".join([advice.reason, *lines])[:2000]


def held_back(status: StatusView) -> str:
    """Why the daemon would not start a trial for an advisor now; "" if it would."""
    if status.autonomy is Autonomy.OBSERVE:
        return "the daemon is set to observe only"
    if status.advice_only is not None:
        return f"the daemon takes advice only: {status.advice_only.reason}"
    return ""


def outcome_of(trial: TrialView) -> str:
    """How a finished trial ended, in a line."""
    return telling.line(trial)


def nothing_kept(tried: list[TrialView], refused: list[RefusedProposal], reason: str) -> str:
    parts = [outcome_of(trial) for trial in tried]
    parts += [f"{each.proposal.scheduler}: {each.why}" for each in refused]
    if not parts:
        return f"nothing tried: {reason}"
    return "nothing kept; " + "; ".join(parts) + (f"; {reason}" if reason else "")


def _gates_said(candidate: CandidateView) -> str:
    """The first failed gate and its first message."""
    for result in candidate.gates:
        if not result.passed and result.skipped:
            return f"gate {result.gate.value} was not run: {result.skipped}"
        if not result.passed:
            message = result.messages[0].message if result.messages else "no message"
            return f"gate {result.gate.value} failed: {message}"
    return "not proven"


@dataclass
class EpisodeWork:
    """One episode in progress. `deal` returns its summary."""

    reader: ReadingClient
    actor: ActingClient
    advisor: Advisor
    finished: Finished
    most_trials: int
    clock: Callable[[], float] = time.time
    spent: Spent = field(default_factory=Spent)

    async def deal(self, episode: EpisodeView) -> str:
        """Do everything possible for this episode; returns the result in words for people.

        Raises:
            Fault: an error that ends the episode or the connection.
        """
        # A trial of an earlier run of this agent may still be running.
        tried = [
            await self.finished(trial.id) if trial.state in UNFINISHED else trial
            for trial in episode.trials
        ]
        refused: list[RefusedProposal] = []
        plan: deque[Proposal] = deque()
        reason = ""
        situation: Situation | None = None
        while True:
            if tried and tried[-1].state is TrialState.KEPT:
                return outcome_of(tried[-1])
            if tried and tried[-1].state is TrialState.DECLINED:
                return nothing_kept(tried, refused, "the operator declined")
            if len(tried) + len(refused) >= self.most_trials:
                return nothing_kept(tried, refused, "")
            fresh = await self.reader.episode(episode.id)
            if fresh.state is not EpisodeState.OPEN:
                return "closed meanwhile"
            if fresh.question and not fresh.objective:
                # An advisor that follows rules cannot guess what a person meant.
                return f"nothing tried: the goal is not clear enough: {fresh.question}"[:2000]
            if situation is None or not plan:
                situation = await see(self.reader, fresh, self.clock(), tried, refused)
                advice = await self.advisor.propose(situation)
                self.spent.add(advice.cost)
                reason = advice.reason
                await self.actor.advise(episode.id, AdviceRequest(text=advice_text(advice)))
                held = held_back(situation.status)
                if held:
                    return f"advice recorded; {held}"
                if not advice.proposals:
                    return nothing_kept(tried, refused, reason)
                plan.extend(advice.proposals)
            proposal = plan.popleft()
            log.info("episode %s: trying %s: %s", episode.id, proposal.title, proposal.reason)
            outcome = await self._try(situation, proposal)
            if isinstance(outcome, RefusedProposal):
                log.warning("episode %s: %s: %s", episode.id, proposal.title, outcome.why)
                refused.append(outcome)
            else:
                tried.append(outcome)

    async def _try(self, situation: Situation, proposal: Proposal) -> TrialView | RefusedProposal:
        """Candidate, trial, lesson.

        Raises:
            Fault: UNREACHABLE, or a COOLDOWN or BUSY that lasts too long.
        """
        episode = situation.episode
        try:
            candidate = await self.actor.create_candidate(
                CandidateRequest(
                    library=None if proposal.policy else proposal.scheduler,
                    policy=proposal.policy or None,
                    parameters=proposal.parameters,
                    episode=episode.id,
                )
            )
            if not candidate.proven:
                return RefusedProposal(proposal, _gates_said(candidate))
            trial = await self._start(
                TrialRequest(candidate=candidate.id, workload=episode.workload, episode=episode.id)
            )
        except Fault as fault:
            if fault.type in (FaultType.UNREACHABLE, FaultType.COOLDOWN, FaultType.BUSY):
                raise
            return RefusedProposal(proposal, str(fault))
        trial = await self.finished(trial.id)
        lesson = await self.advisor.learn(EpisodeResult(situation, proposal, trial))
        if lesson:
            await self.actor.record_lesson(
                LessonRequest(text=lesson[:500], episode=episode.id, trial=trial.id)
            )
        return trial

    async def _start(self, request: TrialRequest) -> TrialView:
        """Start a trial; waits a limited time for a cooldown or for another's trial."""
        give_up = self.clock() + LONGEST_BUSY_S
        while True:
            try:
                return await self.actor.start_trial(request)
            except Fault as fault:
                now = self.clock()
                if fault.type is FaultType.BUSY and now < give_up:
                    pause_s = BUSY_PAUSE_S
                elif fault.type is FaultType.COOLDOWN and now < give_up:
                    cooldown = (await self.reader.status()).cooldown
                    pause_s = max(0.1, cooldown.until - now) if cooldown else BUSY_PAUSE_S
                    if pause_s > LONGEST_COOLDOWN_S:
                        raise
                    log.info("waiting %.0f s: %s", pause_s, fault)
                else:
                    raise
            await asyncio.sleep(pause_s)


async def see(
    reader: ReadingClient,
    episode: EpisodeView,
    at: float,
    tried: list[TrialView],
    refused: list[RefusedProposal],
) -> Situation:
    """Gather the facts for an advisor.

    Raises:
        Fault: the daemon's; a workload that has ended raises none.
    """
    profile = episode.profile or await _profile(reader, episode.workload)
    beliefs = (await reader.learned(episode=episode.id)).classes
    return Situation(
        at=at,
        episode=episode,
        profile=profile or ProfileView(workload=episode.workload, tags=[]),
        status=await reader.status(),
        beliefs=beliefs[0] if beliefs else LearnedClass(tags=[]),
        tried=tuple(tried),
        refused=tuple(refused),
    )


async def _profile(reader: ReadingClient, workload: str) -> ProfileView | None:
    """Only for an episode without tags: the daemon looks at all processes for them."""
    try:
        return (await reader.workload(workload)).profile
    except Fault as fault:
        if fault.type is not FaultType.NOT_FOUND:
            raise
        return None
