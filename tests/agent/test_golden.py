# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts for a model, as files: the first message, and the message after a trial.

A change of words shows there. To write the files again, and then read the difference:

    SCHEDPILOT_GOLDEN=write .venv/bin/python -m pytest tests/agent/test_golden.py
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.claude import prompting
from benchmarks.agent_cost import BusyMachine
from benchmarks.mcp_sizes import tokens_in
from daemon.api.models import (
    EpisodeRequest,
    GuardView,
    SchedulerView,
    StatusView,
    WorkloadProfileView,
    WorkloadView,
)
from tests.agent.claude_agent import LEARNS, whole_agent
from tests.agent.scripted_anthropic import Asked, Says, Use
from tests.agent.told_situations import SITUATIONS, TICK_US, Situation, ToldMachine
from tests.mcp.rich import RichMachine

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("SCHEDPILOT_GOLDEN") == "write"
FIRST_TOKENS, AFTER_TOKENS, EPISODE_TOKENS = 3000, 400, 15_000
# These differ from run to run.
_PASSING = re.compile(r'("(?:for_s|age_s|ago_s|days_ago)":)[0-9.e+-]+')

each_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)


def golden(name: str, text: str) -> None:
    """Check that a text equals the stored one; with the switch, store it."""
    path = GOLDEN / f"{name}.txt"
    steady = _PASSING.sub(r"\g<1>0", text).strip() + "\n"
    if WRITE:
        path.write_text(steady)
    assert path.read_text() == steady


@each_situation
def test_the_first_message_is_the_one_on_file(
    situation: Situation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Objective, guards, what a scheduler can change and who else runs take at most 3,000 tokens,
    and an episode that succeeds at once takes at most 15,000 tokens in."""
    checks = Says("", [Use("check_candidate", {"policy": situation.policy})])
    machine = ToldMachine(situation)
    with whole_agent(tmp_path_factory.mktemp(situation.name), machine, timeout_s=60.0) as agent:
        agent.model.script[:] = [checks, LEARNS, LEARNS]
        agent.model.again = Says("Nothing else to try.")
        with agent.served.controller() as client:
            request = EpisodeRequest(workload=situation.workload, goal=situation.goal)
            closed = agent.closed(client.open_episode(request).id)
        assert closed.advisor == "claude", closed.outcome
        asked = agent.model.asked
    first = asked[0]["messages"][0]["content"][0]["text"]
    golden(f"{situation.name}.first", first)
    assert tokens_in(first) <= FIRST_TOKENS
    if closed.outcome.startswith("kept"):
        assert len(asked) == 2
        assert sum(map(tokens_of, asked)) <= EPISODE_TOKENS
        assert closed.cost.input_tokens <= EPISODE_TOKENS


def tokens_of(asked: Asked) -> int:
    """The whole text of one request: tools, system prompt and messages."""
    return tokens_in(json.dumps([asked[key] for key in ("tools", "system", "messages")]))


class CrowdedMachine(ToldMachine):
    """A machine on which all texts are long, with many guards."""

    def __init__(self) -> None:
        guards = [
            GuardView(
                workload=f"cgroup:/system.slice/request-server-of-somebody-{number}.service",
                text="completions not worse than 20%",
            )
            for number in range(12)
        ]
        warnings = ["what speaks against it, at some length, " * 5] * 3
        super().__init__(replace(SITUATIONS[0], guards=guards, warnings=warnings))
        self._busy = BusyMachine()

    async def status(self) -> StatusView:
        ours, theirs = await super().status(), await self._busy.status()
        update = {"tolerated": ours.tolerated, "kernel": ours.kernel, "trial": ours.trial}
        return theirs.model_copy(update=update)

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        ours, theirs = await super().workload_profile(id), await self._busy.workload_profile(id)
        told = {name: getattr(ours, name) for name in self.situation.responses}
        return theirs.model_copy(update=told)

    async def workloads(self) -> list[WorkloadView]:
        return await RichMachine().workloads()

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        return await self._busy.library(query, workload)


def test_however_busy_the_machine_the_first_message_stays_short(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """3,000 tokens are enough even if every name is long, with a dozen guards, degradations and
    objectives."""
    machine, situation = CrowdedMachine(), SITUATIONS[0]
    with whole_agent(tmp_path_factory.mktemp("crowded"), machine, timeout_s=60.0) as agent:
        agent.model.script[:] = [Says("Nothing to do.")]
        with agent.served.controller() as client:
            request = EpisodeRequest(workload=situation.workload, goal=situation.goal)
            agent.closed(client.open_episode(request).id)
        first = agent.model.asked[0]["messages"][0]["content"][0]["text"]
    assert "8 more" in first
    assert tokens_in(first) <= FIRST_TOKENS


@each_situation
def test_what_is_told_after_a_trial_is_on_file(situation: Situation) -> None:
    """What changed and what did not, as ranges, and the guards by name, take at most 400 tokens."""
    told = prompting.account_of(situation.after, TICK_US)
    golden(f"{situation.name}.after", told)
    assert tokens_in(told) <= AFTER_TOKENS
