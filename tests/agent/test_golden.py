# SPDX-License-Identifier: GPL-2.0-only
"""What a model is told, as files to be read: the first message and what it is told after a trial.

A change of words shows there. To write them anew, and then read the difference:

    SCHEDPILOT_GOLDEN=write .venv/bin/python -m pytest tests/agent/test_golden.py
"""

import json
import os
import re
from pathlib import Path

import pytest

from agent.claude import prompting
from benchmarks.mcp_sizes import tokens_in
from daemon.api.models import EpisodeRequest
from tests.agent.claude_agent import LEARNS, whole_agent
from tests.agent.scripted_anthropic import Asked, Says, Use
from tests.agent.told_situations import SITUATIONS, TICK_US, Situation, ToldMachine

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("SCHEDPILOT_GOLDEN") == "write"
FIRST_TOKENS, AFTER_TOKENS, EPISODE_TOKENS = 3000, 400, 15_000
# What differs from run to run.
_PASSING = re.compile(r'("(?:for_s|age_s|ago_s|days_ago)":)[0-9.e+-]+')

each_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)


def golden(name: str, text: str) -> None:
    """That a text is the one on file; with the switch, that becomes it."""
    path = GOLDEN / f"{name}.txt"
    steady = _PASSING.sub(r"\g<1>0", text).strip() + "\n"
    if WRITE:
        path.write_text(steady)
    assert path.read_text() == steady


@each_situation
def test_the_first_message_is_the_one_on_file(
    situation: Situation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By what is judged, what is guarded, what a scheduler can change, who else runs: within 3,000
    tokens, and an episode that succeeds at once within 15,000 tokens in."""
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
    """All that one request says: tools, system prompt and messages."""
    return tokens_in(json.dumps([asked[key] for key in ("tools", "system", "messages")]))


@each_situation
def test_what_is_told_after_a_trial_is_on_file(situation: Situation) -> None:
    """What moved and what did not, as ranges, with guards by name: within 400 tokens."""
    told = prompting.account_of(situation.after, TICK_US)
    golden(f"{situation.name}.after", told)
    assert tokens_in(told) <= AFTER_TOKENS
