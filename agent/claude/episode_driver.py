# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives one episode with a model: first looks, deciding and implementing, trials, the lesson.

The first looks (status, profile, library) happen before the model is asked, and a candidate that
passes the gates goes to trial at once: in the simple case one call is enough, in which the model
answers with one policy line.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from mcp_types import Tool

from agent.bandit_advisor import nameless
from agent.claude import prompting
from agent.claude.conversation import Conversation
from agent.claude.replies import Asked, Reply, ToolCall
from agent.claude.settings import Claude
from agent.claude.spending import Spending
from agent.claude.tools import ACTING, LEARNING, PROVING, READING, Toolbox, ToolReply
from agent.claude.transcript import Transcript, cut
from agent.delegation import Delegation, HandedOn
from agent.episode import (
    BUSY_PAUSE_S,
    LONGEST_BUSY_S,
    LONGEST_COOLDOWN_S,
    held_back,
    nothing_kept,
    outcome_of,
)
from daemon.api.models import (
    AdviceRequest,
    EpisodeState,
    LessonRequest,
    SignalPoint,
    StatusView,
    StepRole,
    TrialState,
    TrialView,
    WorkloadView,
)
from daemon.api.situation import Facts
from mcp_server.voice import ModelSurface
from process import Fault, FaultType

_TRYING = "start_trial"
# How much of a profile and how many schedulers the first message contains: it must stay within
# 3,000 tokens, however busy the machine is.
LOOK_AT = {"processes": 2, "threads": 3}
SUGGESTED = 4
# How far back the objective's current value is looked for, seconds.
LATELY_S = 60.0


@dataclass
class EpisodeProgress:
    """The progress of an episode: its trials, checks, candidates proven by the last
    reply, advice.
    """

    tried: list[TrialView] = field(default_factory=list)
    checks: int = 0
    proven: list[str] = field(default_factory=list)
    advised: str = ""


class EpisodeDriver:
    """One episode, handled by a model."""

    def __init__(
        self,
        settings: Claude,
        delegation: Delegation,
        transcript: Transcript,
        spending: Spending,
        model: Asked,
        box: Toolbox,
        progress: EpisodeProgress,
    ) -> None:
        self._settings = settings
        self._delegation = delegation
        self._transcript = transcript
        self._spending = spending
        self._model = model
        self._box = box
        self._progress = progress
        self._id = delegation.episode.id
        self._workload = delegation.episode.workload
        self._may_try = True
        self._tick_us = 0.0

    async def deal(self) -> str:
        """Handle the whole episode; returns its summary."""
        ended = self._ended()
        if ended:
            return ended
        status = await self._delegation.reader.status()
        self._tick_us = status.kernel.tick_us
        held = held_back(status)
        self._may_try = not held and self._box.offers(_TRYING) is not None
        conversation = Conversation(
            model=self._model,
            spending=self._spending,
            transcript=self._transcript,
            system=prompting.system(self._surface(), self._box.guide),
            tools=self._offered(),
            first=await self._first(status, held),
        )
        reply = await self._decide(conversation)
        # What was tried becomes a lesson, whether it was kept or not.
        if self._progress.tried:
            await self._learn()
        if held:
            return f"advice recorded; {held}"
        return self._ended() or nothing_kept(self._progress.tried, [], cut(reply, 1500))

    def _ended(self) -> str:
        """The summary of an episode that is decided already, or ""."""
        last = self._progress.tried[-1] if self._progress.tried else None
        if last is not None and last.state is TrialState.KEPT:
            return outcome_of(last)
        if last is not None and last.state is TrialState.DECLINED:
            return nothing_kept(self._progress.tried, [], "the operator declined")
        if len(self._progress.tried) >= self._delegation.most_trials:
            return nothing_kept(self._progress.tried, [], "")
        return ""

    def _offered(self) -> list[Tool]:
        names = READING | PROVING | (ACTING if self._may_try else frozenset())
        return [each for each in self._box.tools if each.name in names]

    def _surface(self) -> ModelSurface:
        return ModelSurface(
            frozenset(each.name for each in self._offered()),
            resources=False,
            guided=bool(self._box.guide),
            most_checks=self._settings.most_checks,
            tried_at_once=self._may_try,
            looked=True,
        )

    async def _first(self, status: StatusView, held: str) -> str:
        """The first message, with the looks that every episode begins with."""
        tags = self._delegation.episode.profile.tags if self._delegation.episode.profile else []
        looks: list[tuple[str, dict[str, Any]]] = [
            ("get_status", {}),
            ("profile_workload", {"workload": self._workload, **LOOK_AT}),
            (
                "search_schedulers",
                {"workload": self._workload, "query": " ".join(tags)[:400], "limit": SUGGESTED},
            ),
        ]
        seen = []
        for name, arguments in looks:
            await self._transcript.call(StepRole.HARNESS, name, arguments)
            answer = await self._box.call(name, arguments)
            await self._transcript.result(StepRole.HARNESS, name, answer.text)
            seen.append((name, answer.text))
        earlier = "\n".join(
            prompting.account_of(each, self._tick_us) for each in self._progress.tried
        )
        return prompting.situation(await self._facts(status), seen, held, earlier)

    async def _facts(self, status: StatusView) -> Facts:
        """Further facts for the first message; what is not available is left out."""
        reader, episode = self._delegation.reader, self._delegation.episode
        points: list[SignalPoint] = []
        workloads: list[WorkloadView] = []
        with contextlib.suppress(Fault):
            points = (await reader.signals(self._workload, LATELY_S)).series
            workloads = await reader.workloads()
        return Facts(episode, status, episode.profile, points, workloads)

    # ------------------------------------------------------------ deciding, implementing

    async def _decide(self, conversation: Conversation) -> str:
        """Run the conversation; returns the model's last words, or why it ended."""
        progress = self._progress
        while True:
            fresh = await self._delegation.reader.episode(self._id)
            if fresh.state is not EpisodeState.OPEN:
                return "closed meanwhile"
            role = StepRole.IMPLEMENT if progress.checks else StepRole.DECIDE
            progress.proven.clear()
            reply = await conversation.turn(role, self._carry_out)
            if not reply.calls:
                await self._advise(reply.text)
                return reply.text
            if progress.proven and not self._may_try:
                await self._advise(self._proposal(reply))
                return f"{progress.proven[0]} would be tried"
            if len(progress.proven) == 1 and not _asked_for_trial(reply):
                conversation.tell(await self._try(progress.proven[0]))
            if self._ended():
                return ""

    def _proposal(self, reply: Reply) -> str:
        checks = [each.arguments for each in reply.calls if each.name == "check_candidate"]
        return "\n".join(
            [reply.text, f"{', '.join(self._progress.proven)} passed the gates:", *map(str, checks)]
        ).strip()

    async def _advise(self, text: str) -> None:
        if text and not self._progress.advised:
            self._progress.advised = text
            request = AdviceRequest(text=cut(text, 2000))
            await self._delegation.actor.advise(self._id, request)

    async def _try(self, candidate: str) -> str:
        """Start a trial of a proven candidate and report its result."""
        arguments = {"candidate": candidate}
        await self._transcript.call(StepRole.HARNESS, _TRYING, arguments)
        text, _ = await self._carry_out(ToolCall("", _TRYING, arguments))
        await self._transcript.result(StepRole.HARNESS, _TRYING, text)
        return text

    async def _carry_out(self, call: ToolCall) -> tuple[str, bool]:
        """Carry out one tool call of the model; a trial that it starts is awaited here."""
        if call.name == "check_candidate":
            self._progress.checks += 1
            if self._progress.checks > self._settings.most_checks + 1:
                raise HandedOn(f"the model goes on after {self._settings.most_checks} checks")
            if self._progress.checks > self._settings.most_checks:
                return "error: no check is left; end the episode", True
        if call.name == _TRYING:
            await self._await_turn()
        answer = await self._box.call(call.name, self._bound(call))
        if call.name == "check_candidate" and not answer.failed:
            await self._note_proven(answer)
        if call.name != _TRYING:
            return self._told(answer), answer.failed
        trials = await self._await_trials()
        if not trials:
            return answer.text, answer.failed
        return "\n".join(prompting.account_of(each, self._tick_us) for each in trials), False

    def _told(self, answer: ToolReply) -> str:
        """An answer without the server's hints at the next step, if that step happens here: a
        proven candidate goes to trial by itself.
        """
        content = dict(answer.structured)
        if answer.failed or not content.get("proven") or "next" not in content:
            return answer.text
        if not content.get("warnings") or not self._may_try:
            del content["next"]
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    async def _await_turn(self) -> None:
        """Wait for a limited time while a cooldown passes or another's trial runs, because a model
        cannot wait.
        """
        give_up = self._delegation.clock() + LONGEST_BUSY_S
        while (now := self._delegation.clock()) < give_up:
            status = await self._delegation.reader.status()
            if status.cooldown is not None:
                pause_s = max(0.1, status.cooldown.until - now)
                if pause_s > LONGEST_COOLDOWN_S:
                    return
                await self._transcript.note(f"waiting {pause_s:.0f} s for a cooldown to pass")
            elif status.trial:
                pause_s = BUSY_PAUSE_S
            else:
                return
            await asyncio.sleep(pause_s)

    def _bound(self, call: ToolCall) -> dict[str, Any]:
        """The arguments, with this episode and its workload filled in if the tool takes them and
        acts.
        """
        arguments = dict(call.arguments or {})
        tool = self._box.offers(call.name)
        if tool is None or call.name in READING:
            return arguments
        known = tool.input_schema.get("properties", {})
        ours: dict[str, Any] = {"episode": self._id, "workload": self._workload}
        if call.name == _TRYING:
            # Waiting happens here, for as long as it takes.
            ours["wait_s"] = 0
        if call.name in LEARNING and self._progress.tried:
            ours["trial"] = self._progress.tried[-1].id
        return arguments | {name: value for name, value in ours.items() if name in known}

    async def _note_proven(self, answer: ToolReply) -> None:
        id = answer.structured.get("candidate") or answer.structured.get("id")
        if not isinstance(id, str):
            return
        try:
            candidate = await self._delegation.reader.candidate(id)
        except Fault as fault:
            if fault.type is FaultType.UNREACHABLE:
                raise
            return
        if not candidate.proven or candidate.quarantined or id in self._progress.proven:
            return
        if (
            answer.structured.get("warnings")
            and candidate.name not in self._delegation.episode.goal
        ):
            # The model reads the reason. It may start a trial itself, as a deliberate choice.
            await self._transcript.note(f"{id} carries a warning and is not tried automatically")
            return
        self._progress.proven.append(id)

    async def _await_trials(self) -> list[TrialView]:
        """The trials of this episode that were started since, in their final state."""
        known = {each.id for each in self._progress.tried}
        fresh = await self._delegation.reader.episode(self._id)
        ended = [
            await self._delegation.finished(each.id)
            for each in fresh.trials
            if each.id not in known
        ]
        self._progress.tried += ended
        return ended

    # ------------------------------------------------------------ learning

    async def _learn(self) -> None:
        """One lesson. If the model gives none, the figures make one."""
        tried = self._progress.tried
        tags = self._delegation.episode.profile.tags if self._delegation.episode.profile else []
        recorded = False

        async def carry_out(call: ToolCall) -> tuple[str, bool]:
            nonlocal recorded
            answer = await self._box.call(call.name, self._bound(call))
            recorded = recorded or not answer.failed
            return answer.text, answer.failed

        tools = [each for each in self._box.tools if each.name in LEARNING]
        conversation = Conversation(
            model=self._model,
            spending=self._spending,
            transcript=self._transcript,
            system=prompting.learner(),
            tools=tools,
            first=prompting.learning(self._delegation.episode, tags, tried, self._tick_us),
            choice={"type": "tool", "name": "record_lesson"},
        )
        try:
            for _ in range(2):
                await conversation.turn(StepRole.LEARN, carry_out)
                if recorded:
                    return
        except HandedOn as handed:
            await self._transcript.note(f"no lesson from the model: {handed}")
        words = ", ".join(tags) or "no particular tag"
        text = f"on workloads that are {words}: {nameless(outcome_of(tried[-1]))}"
        await self._delegation.actor.record_lesson(
            LessonRequest(text=cut(text, 500), episode=self._id)
        )


def _asked_for_trial(reply: Reply) -> bool:
    return any(each.name == _TRYING for each in reply.calls)
