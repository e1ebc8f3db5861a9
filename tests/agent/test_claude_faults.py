# SPDX-License-Identifier: GPL-2.0-or-later
"""A model, a server or a daemon fails: the episode is closed with the reason, the machine is in a
known state, and the next episode works as if nothing had happened."""

import json
from collections.abc import Iterator

import pytest

from agent.claude.runner import ClaudeRunner
from daemon.api.models import EpisodeState, StepKind
from tests.agent.claude_agent import (
    CHECKS,
    EFFECT,
    GOOD,
    LEARNS,
    POLICY,
    POLICY_NAME,
    Agent,
    at,
    mcp_children,
    running_agent,
    settings,
    whole_agent,
)
from tests.agent.machine import Machine, served_machine
from tests.agent.scripted_anthropic import (
    KEY,
    Asked,
    Breaks,
    Entry,
    Hangs,
    Refuses,
    Says,
    Scripted,
    Sends,
    Use,
    newest,
    scripted,
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One agent for all tests: they show that it still works after each fault."""
    with whole_agent(tmp_path_factory.mktemp("claude"), Machine(EFFECT)) as agent:
        yield agent


NONSENSE = "useless replies"
SAYS_NOTHING = Says("")
LOUD = Says("x" * (10 << 20))
ENDLESS = b"data: " + b"x" * (1 << 20)

# What the model does, for as long as it is asked; a part of why it was given up; requests made.
LASTING: dict[str, tuple[Scripted, str, int]] = {
    "429": (Refuses(429, "rate_limit_error"), "status 429", 2),
    "429 for an hour": (
        Refuses(429, "rate_limit_error", {"retry-after": "3600"}),
        "status 429",
        1,
    ),
    "500": (Refuses(500), "status 500", 2),
    "529": (Refuses(529, "overloaded_error"), "status 529", 2),
    "401": (Refuses(401, "authentication_error"), "status 401 (authentication_error)", 1),
    "another place": (Refuses(307, "moved", {"location": "/v1/elsewhere"}), "status 307", 1),
    "a cut stream": (Says("I think that", cut_after=4), "the stream was cut", 2),
    "a cut tool call": (
        Says("", [Use("check_candidate", {"policy": "slice 3ms" * 20})], cut_after=12),
        "the stream was cut",
        2,
    ),
    "trouble in the middle": (Breaks(), "overloaded_error", 2),
    "no events": (Sends(b"<html>Bad gateway</html>"), "the stream was cut", 2),
    "broken events": (Sends(b"event: message_start\ndata: {nonsense\n\n"), "not understood", 1),
    "events of another shape": (
        Sends(b'event: message_start\ndata: {"type": "message_start", "message": 7}\n\n'),
        "not understood",
        1,
    ),
    "10 MB of text": (LOUD, "longer than", 1),
    "10 MB in one line": (Sends(ENDLESS, 10), "longer than", 1),
    "a refusal": (Says("I would rather not.", stop="refusal"), "refused", 1),
    "silence": (SAYS_NOTHING, NONSENSE, 3),
    "replies without end": (Says("so " * 40, stop="max_tokens"), NONSENSE, 3),
    "malformed tool calls": (
        Says("", [Use("check_candidate", raw='{"policy": "slice 3ms')]),
        NONSENSE,
        3,
    ),
    "arguments that are a list": (Says("", [Use("check_candidate", raw="[1]")]), NONSENSE, 3),
    "unknown tools": (Says("", [Use("run_shell", {"command": "id"})]), NONSENSE, 3),
    "the same question again and again": (Says("", [Use("get_status")]), NONSENSE, 5),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_model_that_fails_hands_the_episode_on(agent: Agent, name: str) -> None:
    """The offline advisor takes over; advice, summary and transcript say who gave up, and why."""
    trouble, why, requests = LASTING[name]
    closed = agent.episode(again=trouble)
    assert closed.advisor == "offline"
    assert closed.outcome.startswith("claude handed it on (")
    assert why in closed.outcome
    assert "offline: kept latency" in closed.outcome
    assert any("handed the episode on to offline" in each for each in closed.advice)
    notes = [each.text for each in agent.steps(closed.id) if each.kind is StepKind.NOTE]
    assert any(why in each for each in notes)
    assert len(agent.model.asked) == requests
    assert closed.cost.calls == requests
    agent.assert_well()


PASSING: dict[str, Entry] = {
    "429": Refuses(429, "rate_limit_error", {"retry-after": "0.05"}),
    "529": Refuses(529, "overloaded_error"),
    "a cut stream": Says("I think", cut_after=4),
    "trouble in the middle": Breaks(),
    "silence": SAYS_NOTHING,
    "a malformed tool call": Says("", [Use("check_candidate", raw='{"policy": ')]),
    "an unknown tool": Says("", [Use("approve", {"id": "a-1"})]),
}


@pytest.mark.parametrize("name", PASSING)
def test_trouble_that_passes_costs_one_attempt(agent: Agent, name: str) -> None:
    """After a single failure the model is asked again, or hears what was wrong; then the episode
    goes on."""
    closed = agent.episode(PASSING[name], *GOOD)
    assert closed.advisor == "claude"
    assert closed.outcome.startswith(f"kept {POLICY_NAME}")
    assert closed.cost.calls == 3


def test_an_endless_tool_loop_ends_with_the_budget(agent: Agent) -> None:
    """A model that always has another question is cut off after the episode's calls."""

    def asks(asked: Asked) -> Entry:
        return Says("", [Use("get_history", {"limit": len(agent.model.asked)})])

    closed = agent.episode(again=asks)
    assert "16 calls is used up" in closed.outcome
    assert closed.cost.calls == 16
    assert closed.advisor == "offline"
    agent.assert_well()


def test_a_model_that_never_stops_checking_is_stopped(agent: Agent) -> None:
    """A model has few attempts at a candidate; further ones are ignored."""
    number = 0

    def fails(asked: Asked) -> Entry:
        nonlocal number
        number += 1
        return Says("", [Use("check_candidate", {"policy": f"slice fase {number}ms"})])

    closed = agent.episode(again=fails)
    assert "goes on after 6 checks" in closed.outcome
    assert closed.advisor == "offline"
    agent.assert_well()


def test_the_mcp_server_dies_in_the_middle(agent: Agent) -> None:
    """The agent restarts the child and informs the model; the episode ends as if nothing had
    happened."""

    def dies(asked: Asked) -> Entry:
        for child in mcp_children():
            child.kill()
        return CHECKS

    closed = agent.episode(dies, CHECKS, LEARNS)
    assert closed.advisor == "claude"
    assert closed.outcome.startswith(f"kept {POLICY_NAME}")
    assert "died in the middle" in newest(agent.model.asked[1])
    agent.assert_well()


def test_an_mcp_server_that_dies_always_is_given_up(agent: Agent) -> None:
    """After a few restarts the offline advisor takes the episode; the next episode has a server
    again."""

    def dies(asked: Asked) -> Entry:
        for child in mcp_children():
            child.kill()
        return Says("", [Use("get_history", {"limit": len(agent.model.asked)})])

    closed = agent.episode(again=dies)
    assert "died repeatedly" in closed.outcome
    assert closed.advisor == "offline"
    agent.assert_well()


def test_the_key_goes_to_the_model_and_nowhere_else(agent: Agent) -> None:
    """Every request is signed with the key; the child's environment and the record do not contain
    it."""
    closed = agent.episode(*GOOD)
    assert set(agent.model.keys) == {KEY}
    (child,) = mcp_children()
    assert KEY not in json.dumps(child.environ())
    assert "CREDENTIALS_DIRECTORY" not in child.environ()
    assert KEY not in json.dumps([each.text for each in agent.steps(closed.id)])


def test_the_daemon_restarts_in_the_middle(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent finds the new daemon, in which the episode is closed, and works on the next one."""
    folder = tmp_path_factory.mktemp("restart")
    run_dir = at(monkeypatch, folder)
    with scripted() as model:
        runner = ClaudeRunner(settings(model.url, folder), first_pause_s=0.01)
        with served_machine(run_dir, EFFECT) as first, running_agent(first, runner, model) as agent:

            def stops(asked: Asked) -> Entry:
                first.stop()
                return Says("", [Use("check_candidate", {"policy": POLICY})])

            model.script[:] = [stops]
            episode = first.call(first.machine.degrade)
            before = first.machine.kept_episodes
            first._thread.join(20)
            with served_machine(run_dir, EFFECT) as second:
                # What the daemon does with what an earlier life of it left open.
                view = before[episode].model_copy(
                    update={"state": EpisodeState.CLOSED, "outcome": "the daemon ended before it"}
                )
                second.machine.kept_episodes[episode] = view
                agent.served = second
                agent.assert_well()
                assert second.machine.kept_episodes[episode] == view


# ---------------------------------------------------------------- budgets, key, account


@pytest.mark.parametrize(
    ("others", "spent", "why"),
    [
        ({"timeout_s": 0.4}, None, "no data within 0.4 s"),
        ({"episode": {"seconds": 0.4}}, None, "the episode's budget of 0.4 seconds"),
        ({"episode": {"calls": 1}}, None, "the episode's budget of 1 calls"),
        ({"episode": {"tokens": 12_000}}, None, "the episode's budget of 12000 tokens"),
        ({"day": {"money": 0.0}}, None, "the day's budget of 0 in money"),
        ({"key_file": "/nonexistent/key"}, None, "there is no key"),
        ({}, "{nonsense", "is not known"),
    ],
)
def test_the_time_or_the_budget_runs_out(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    others: dict[str, object],
    spent: str | None,
    why: str,
) -> None:
    """The offline advisor takes the episode, in its middle or before the first call."""
    folder = tmp_path_factory.mktemp("budget")
    run_dir = at(monkeypatch, folder)
    if spent is not None:
        (folder / "spent.json").write_text(spent)
    with scripted() as model:
        runner = ClaudeRunner(settings(model.url, folder, **others), first_pause_s=0.01)
        with (
            served_machine(run_dir, EFFECT) as served,
            running_agent(served, runner, model) as agent,
        ):
            asks = Says("", [Use("get_history", {})])
            late = "seconds" in why or "within" in why
            closed = agent.episode(again=Hangs() if late else asks)
            assert why in closed.outcome
            assert closed.advisor == "offline"
            assert "offline: kept latency" in closed.outcome


def test_a_lesson_that_cannot_be_paid_is_made_of_figures(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kept scheduler stays; the lesson is one line with the measured figures."""
    folder = tmp_path_factory.mktemp("budget")
    run_dir = at(monkeypatch, folder)
    with scripted() as model:
        runner = ClaudeRunner(settings(model.url, folder, episode={"calls": 1}))
        with (
            served_machine(run_dir, EFFECT) as served,
            running_agent(served, runner, model) as agent,
        ):
            closed = agent.episode(*GOOD)
            assert closed.advisor == "claude"
            assert closed.outcome.startswith(f"kept {POLICY_NAME}")
            (lesson,) = served.machine.known_lessons
            assert "latency p99 47% to 52% better" in lesson.text
