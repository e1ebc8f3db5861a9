# SPDX-License-Identifier: GPL-2.0-or-later
"""The criteria of a trial as a model gives them: typed, checked by the grammar, answered as they
were read."""

import asyncio
import tomllib
from pathlib import Path
from typing import Any

from daemon.api.models import CandidateRequest, GuardRequest, TrialRequest
from daemon.decide.objective import parse_guard, parse_objective
from mcp_server.handles import handle_of
from tests.agent.machine import WORKLOAD, ServedMachine
from tests.mcp.conftest import Connect, told

GOALS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "decide" / "goals.toml").read_text("utf-8")
)["goal"]
CALM = "cgroup:/calm"


def test_objective_and_guards_reach_the_daemon(served: ServedMachine, connect: Connect) -> None:
    """They reach the check and the trial. Handles become ids, and a list may also come as its
    text."""
    typed = {
        "objective": "response p99 < 20ms",
        "guards": [{"workload": handle_of(CALM), "text": "cpu not worse than 50%"}],
    }

    async def use() -> None:
        async with connect() as client:
            wanted = {"policy": "slice 3ms", "workload": WORKLOAD, **typed}
            checked = told(await client.call_tool("check_candidate", wanted))
            assert checked["objective"] == "⟦response p99 < 20ms⟧"
            (guard,) = checked["guards"]
            assert guard == {
                "workload": handle_of(CALM),
                "name": f"⟦{CALM}⟧",
                "text": "⟦cpu not worse than 50%⟧",
            }
            as_text = f'[{{"workload": "{CALM}", "text": "cpu not worse than 50%"}}]'
            trial = {"candidate": checked["candidate"], "workload": WORKLOAD, "wait_s": 20}
            said = told(
                await client.call_tool("start_trial", {**trial, **typed, "guards": as_text})
            )
            assert said["guards"][0]["text"] == "⟦cpu not worse than 50%⟧"

    asyncio.run(use())
    asked = dict(served.machine.asked)
    guards = [GuardRequest(workload=CALM, text="cpu not worse than 50%")]
    judged: dict[str, Any] = {"objective": "response p99 < 20ms", "guards": guards}
    assert asked["create_candidate"] == CandidateRequest(
        policy="slice 3ms", workload=WORKLOAD, **judged
    )
    assert asked["start_trial"] == TrialRequest(candidate="c-0000", workload=WORKLOAD, **judged)


def test_what_an_expert_writes_for_each_goal_is_taken_and_told(
    served: ServedMachine, connect: Connect
) -> None:
    """If a model gives an expert's words for a goal, the answer has them as they were read."""
    wanted = [each for each in GOALS if "objective" in each]
    assert len(wanted) >= 20

    async def use() -> list[dict[str, Any]]:
        async with connect() as client:
            return [
                told(
                    await client.call_tool(
                        "check_candidate",
                        {
                            "library": "latency",
                            "workload": WORKLOAD,
                            "objective": each["objective"],
                            "guards": [
                                {"workload": id, "text": text}
                                for id, text in each.get("guards", {}).items()
                            ],
                        },
                    )
                )
                for each in wanted
            ]

    for goal, answer in zip(wanted, asyncio.run(use()), strict=True):
        assert answer["objective"] == f"⟦{parse_objective(goal['objective']).canonical}⟧"
        assert [(each["name"], each["text"]) for each in answer.get("guards", [])] == [
            (f"⟦{id}⟧", f"⟦{parse_guard(id, text).term.canonical}⟧")
            for id, text in goal.get("guards", {}).items()
        ]


def test_an_episode_tells_what_is_open(served: ServedMachine, connect: Connect) -> None:
    """The answer has its goal, the criteria of its trials, and the question that nobody
    answered."""
    machine = served.machine
    id = served.call(machine.degrade)
    machine.kept_episodes[id] = machine.kept_episodes[id].model_copy(
        update={"goal": "make it better", "question": "what is to become better?"}
    )

    async def use() -> dict[str, Any]:
        async with connect() as client:
            return told(await client.call_tool("get_episode", {"id": id}))

    said = asyncio.run(use())
    assert said["question"] == "⟦what is to become better?⟧"
    assert "objective" not in said
