# SPDX-License-Identifier: GPL-2.0-or-later
"""The Claude agent against a scripted model: who decides, what is offered, what is recorded."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.claude.tools import ACTING, PROVING, READING
from daemon.api.models import (
    ApprovalRequest,
    Autonomy,
    CandidateRequest,
    CandidateView,
    EpisodeRequest,
    EpisodeState,
    EventKind,
    Limitation,
    StatusView,
    StepKind,
    StepRole,
    TrialState,
)
from mcp_server.untrusted import outside_marks
from tests.agent.claude_agent import (
    CHECKS,
    EFFECT,
    GOOD,
    LEARNS,
    POLICY,
    POLICY_NAME,
    Agent,
    whole_agent,
)
from tests.agent.machine import HOSTILE, WORKLOAD, Machine
from tests.agent.scripted_anthropic import Asked, Entry, Says, Use, newest, said


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with whole_agent(tmp_path_factory.mktemp("claude"), Machine(EFFECT)) as agent:
        yield agent


def tools_of(asked: Asked) -> list[str]:
    return [each["name"] for each in asked.get("tools", [])]


def test_one_line_in_one_call_is_tried_and_kept(agent: Agent) -> None:
    """The simple case: the first reply decides; the second call is for the lesson."""
    closed = agent.episode(*GOOD)
    assert closed.advisor == "claude"
    assert closed.outcome == (
        f"kept {POLICY_NAME}: latency p99 47% to 52% better (95%, 4+4 windows)"
    )
    assert [each.state for each in closed.trials] == [TrialState.KEPT]
    assert closed.cost.calls == 2
    assert agent.served.machine.known_lessons[-1].text == "short slices help short bursts"
    assert agent.served.machine.known_lessons[-1].episode == closed.id


def test_the_first_message_has_the_first_looks(agent: Agent) -> None:
    """The agent calls status, profile and search before the model, and puts them into the
    prompt."""
    agent.episode(*GOOD)
    first = said(agent.model.asked[0])
    for part in ("get_status said", "profile_workload said", "search_schedulers said"):
        assert part in first
    assert "delay_p99_us is 9 ms instead of 300 µs" in first


def test_a_refused_line_is_fixed_from_its_message(agent: Agent) -> None:
    """The gate's message reaches the model, whose second line passes."""

    def fixes(asked: Asked) -> Entry:
        message = newest(asked)
        assert "did you mean 'age'?" in message
        assert "column 7" in message
        return CHECKS

    wrong = Says("", [Use("check_candidate", {"policy": "slice fase 3ms"})])
    closed = agent.episode(wrong, fixes, LEARNS)
    assert closed.outcome.startswith(f"kept {POLICY_NAME}")
    roles = [each.role for each in agent.steps(closed.id) if each.kind is StepKind.TOOL_CALL]
    assert roles == [
        *[StepRole.HARNESS] * 3,
        StepRole.DECIDE,
        StepRole.IMPLEMENT,
        StepRole.HARNESS,
        StepRole.LEARN,
    ]


def test_what_is_rolled_back_is_told_and_followed_by_another_idea(agent: Agent) -> None:
    """The verdict reaches the model; the lesson covers both trials."""
    worse = Says("", [Use("check_candidate", {"library": "batch"})])

    def another(asked: Asked) -> Entry:
        assert "rolled back" in newest(asked)
        assert "54% to 70% worse" in newest(asked)
        return CHECKS

    def learns(asked: Asked) -> Entry:
        assert "rolled back" in said(asked)
        assert "kept" in said(asked)
        return LEARNS

    closed = agent.episode(worse, another, learns)
    assert [each.state for each in closed.trials] == [TrialState.ROLLED_BACK, TrialState.KEPT]


def test_what_is_warned_of_is_not_tried_by_itself(agent: Agent) -> None:
    """A proven candidate with a warning goes back to the model, with the reason."""
    machine = agent.served.machine
    plain = machine.create_candidate

    async def warned(request: CandidateRequest) -> CandidateView:
        view = await plain(request)
        said = ["batch: its page calls it bad for latency-sensitive"] if request.library else []
        return view.model_copy(update={"warnings": said})

    def another(asked: Asked) -> Entry:
        assert "bad for latency-sensitive" in newest(asked)
        assert "propose something else" in newest(asked)
        return CHECKS

    machine.create_candidate = warned  # type: ignore[method-assign]
    checks = Says("", [Use("check_candidate", {"library": "batch"})])
    try:
        closed = agent.episode(checks, another, LEARNS)
    finally:
        machine.create_candidate = plain  # type: ignore[method-assign]
    assert [each.scheduler for each in closed.trials] == [POLICY_NAME]
    assert any("warned of" in each.text for each in agent.steps(closed.id))


def test_what_counts_comes_in_an_order_that_the_model_is_told(agent: Agent) -> None:
    """The prompt begins with what the operator declared, and says that a starved service looks like
    a batch."""
    agent.episode(*GOOD)
    system = json.dumps(agent.model.asked[0]["system"])
    assert "The operator's declarations come first" in system
    assert "looks like a batch" in system


def test_a_cooldown_is_waited_out(agent: Agent) -> None:
    """The daemon's pause after a rollback costs time, and neither a call nor the idea."""
    machine = agent.served.machine
    plain = machine.status

    async def cooling() -> StatusView:
        status = await plain()
        limit = Limitation(reason="after a rollback", until=time.time() + 0.2)
        machine.status = plain  # type: ignore[method-assign]
        return status.model_copy(update={"cooldown": limit})

    def begins(asked: Asked) -> Entry:
        machine.status = cooling  # type: ignore[method-assign]
        return CHECKS

    closed = agent.episode(begins, LEARNS)
    assert closed.outcome.startswith(f"kept {POLICY_NAME}")
    assert closed.cost.calls == 2
    assert any("cooldown" in each.text for each in agent.steps(closed.id))


def test_doing_nothing_is_an_answer(agent: Agent) -> None:
    """A reply without a tool call ends the episode, with what it said."""
    closed = agent.episode(Says("It waits for its disk; no scheduler changes that."))
    assert closed.advisor == "claude"
    assert closed.trials == []
    assert "waits for its disk" in closed.outcome
    assert closed.advice == ["It waits for its disk; no scheduler changes that."]
    assert closed.cost.calls == 1


def test_several_candidates_in_one_reply_are_only_compared(agent: Agent) -> None:
    """The model chooses one of them with start_trial, and the answer is the verdict."""
    both = Says(
        "",
        [
            Use("check_candidate", {"policy": POLICY}),
            Use("check_candidate", {"library": "latency"}),
        ],
    )

    def chooses(asked: Asked) -> Entry:
        assert "ended:" not in newest(asked)
        results = asked["messages"][-1]["content"]
        ids = [json.loads(each["content"])["candidate"] for each in results]
        return Says("", [Use("start_trial", {"candidate": ids[1], "workload": "comm:another"})])

    closed = agent.episode(both, chooses, LEARNS)
    assert closed.outcome.startswith("kept latency")
    # Whatever the model named: an episode is about its own workload.
    assert [each.workload for each in closed.trials] == [WORKLOAD]


def test_only_what_the_role_may_use_is_offered(agent: Agent) -> None:
    """The deciding model cannot write lessons, the learning one can do nothing else, and neither
    can approve."""
    agent.episode(*GOOD)
    deciding, learning = agent.model.asked
    assert set(tools_of(deciding)) <= READING | PROVING | ACTING
    assert {"get_status", "check_candidate", "start_trial", "rollback"} <= set(tools_of(deciding))
    assert tools_of(learning) == ["record_lesson"]
    assert not [name for name in tools_of(deciding) if "approve" in name]


def test_the_beginning_of_a_conversation_is_the_same_in_all_calls(agent: Agent) -> None:
    """Tools, system prompt and first message are marked for the cache and never change, so later
    calls are cheaper."""
    wrong = Says("", [Use("check_candidate", {"policy": "slice fase 3ms"})])
    closed = agent.episode(wrong, CHECKS, LEARNS)
    one, two = agent.model.asked[:2]
    assert one["tools"] == two["tools"]
    assert one["system"] == two["system"]
    assert one["messages"][0] == two["messages"][0]
    for asked in (one, two):
        marks = json.dumps(asked).count('"cache_control"')
        assert 3 <= marks <= 4
    assert closed.cost.money < closed.cost.input_tokens * 3.75e-6


def test_names_of_the_system_are_marked_in_every_prompt(agent: Agent) -> None:
    """A workload's hostile name never appears outside of the marks."""
    agent.model.script[:] = GOOD
    agent.model.asked.clear()
    closed = agent.closed(agent.served.call(lambda: agent.served.machine.degrade(HOSTILE)))
    assert closed.advisor == "claude"
    for asked in agent.model.asked:
        for text in texts_of(asked):
            assert "<script>" not in outside_marks(text)
            assert "\x1b" not in text
    assert "<script>" in said(agent.model.asked[0])


def texts_of(value: Any) -> Iterator[str]:
    """All texts of a prompt, except for those of the model itself."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, dict) and value.get("role") != "assistant":
        for each in value.values():
            yield from texts_of(each)


def test_while_only_advice_is_taken_nothing_acts(agent: Agent) -> None:
    """The model gets no acting tool; a candidate that passed the gates is recorded as advice."""
    agent.served.machine.autonomy = Autonomy.OBSERVE
    try:
        closed = agent.episode(CHECKS)
    finally:
        agent.served.machine.autonomy = Autonomy.AUTO
    assert not ACTING & set(tools_of(agent.model.asked[0]))
    assert closed.outcome.startswith("advice recorded; the daemon is set to observe only")
    assert "passed the gates" in closed.advice[0]
    assert closed.trials == []


@pytest.mark.parametrize("approve", [True, False])
def test_in_ask_mode_a_person_decides(agent: Agent, approve: bool) -> None:
    """The trial waits; a decline ends the episode, and nothing was loaded."""
    machine = agent.served.machine
    machine.autonomy = Autonomy.ASK
    try:
        agent.model.script[:] = GOOD
        agent.model.again = None
        agent.served.call(agent._forget)
        number = agent.served.call(lambda: len(machine.log.recorded(0)))
        episode = agent.served.call(machine.degrade)

        async def wanted() -> str:
            async for event in machine.events(number):
                if event.kind is EventKind.APPROVAL_WANTED and event.episode == episode:
                    return machine.trials[event.trial].approval
            raise AssertionError

        approval = agent.served.do(wanted(), 30)
        assert machine.loaded is None
        agent.served.do(machine.approve(approval, ApprovalRequest(approve=approve)))
        closed = agent.closed(episode)
    finally:
        machine.autonomy = Autonomy.AUTO
    assert closed.outcome.startswith("kept" if approve else "nothing kept; declined")
    assert (machine.loaded is not None) == approve


def test_a_person_asks_for_an_episode(agent: Agent) -> None:
    """The goal is in the prompt, and the agent treats the episode like any other."""
    agent.model.script[:] = GOOD
    agent.model.asked.clear()
    agent.served.call(agent._forget)
    with agent.served.controller() as client:
        view = client.open_episode(EpisodeRequest(workload=WORKLOAD, goal="answer sooner, please"))
    closed = agent.closed(view.id)
    assert closed.state is EpisodeState.CLOSED
    assert closed.advisor == "claude"
    assert "answer sooner, please" in said(agent.model.asked[0])


def test_a_model_says_what_a_goal_means_so_that_it_can_be_measured(agent: Agent) -> None:
    """The grammar checks the objective and the guards that the model types. A mistake comes back
    with its column; a correct text becomes that of the episode and its trial."""
    guard = {"workload": "cgroup:/calm", "text": "cpu not worse than 75%"}
    wrong = Use("check_candidate", {"library": "latency", "objective": "respnse p99 lower"})
    right = Use(
        "check_candidate",
        {"library": "latency", "objective": "response p99 lower", "guards": [guard]},
    )
    agent.model.script[:] = [Says("", [wrong]), Says("", [right]), LEARNS]
    agent.model.asked.clear()
    agent.served.call(agent._forget)
    goal = "clicks must not lag, calm may take as long as it likes"
    with agent.served.controller() as client:
        view = client.open_episode(EpisodeRequest(workload=WORKLOAD, goal=goal))
    closed = agent.closed(view.id)
    assert "did you mean 'response'?" in said(agent.model.asked[1])
    assert closed.objective == "response p99"
    assert [(each.workload, each.text) for each in closed.guards] == [tuple(guard.values())]
    (trial,) = closed.trials
    assert trial.objective == "response p99"
    assert [each.text for each in trial.guards] == [guard["text"]]


def test_the_transcript_tells_the_whole_story(agent: Agent) -> None:
    """Each look, reply, call and result is one step with its role and its tokens."""
    closed = agent.episode(Says("A short slice should do.", CHECKS.uses), LEARNS)
    steps = agent.steps(closed.id)
    told = [(each.role, each.kind, each.tool) for each in steps]
    assert (StepRole.DECIDE, StepKind.TOOL_CALL, "check_candidate") in told
    assert (StepRole.LEARN, StepKind.TOOL_CALL, "record_lesson") in told
    replies = [each for each in steps if each.kind is StepKind.TEXT]
    assert replies[0].text == "A short slice should do."
    assert sum(each.tokens for each in replies) == (
        closed.cost.input_tokens + closed.cost.output_tokens
    )
