# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot tune --agent` against a pretended machine, and an agent that deals with it."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.offline import OfflineAdvisor
from daemon.api.models import (
    EpisodeState,
    StepKind,
    StepRequest,
    StepRole,
)
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Completed
from tests.agent.machine import WORKLOAD, ServedMachine
from tests.agent.test_loop import once
from tests.cli.conftest import Schedpilot


@pytest.fixture
def agent(
    served: ServedMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Future[None]"]:
    """The agent beside the command, until it has dealt with one episode."""
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(once, OfflineAdvisor())


def test_a_command_is_a_workload_until_the_episode_is_closed(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """It runs again and again, each run measured; what the agent keeps is the answer."""
    done = schedpilot("tune", "--agent", "--goal", "sooner", "--", "true")
    assert done.status == 0, done.error_text
    (episode,) = served.machine.kept_episodes.values()
    assert episode.state is EpisodeState.CLOSED
    assert episode.goal.startswith("sooner (each run's seconds are posted")
    assert episode.workload.startswith(("cgroup:/", "comm:"))
    assert "kept latency" in done.text
    assert f"schedpilot explain {episode.id}" in done.text
    posted = served.machine.measurements
    assert posted
    assert {each.name for each in posted} == {"tune.seconds"}
    assert all(each.value > 0 for each in posted)


def test_what_runs_already_can_be_asked_for(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """With --workload nothing is run; --json has the episode."""
    done = schedpilot("tune", "--agent", "--workload", WORKLOAD, "--json")
    assert done.status == 0, done.error_text
    told = json.loads(done.stdout)
    assert told["kept"]
    assert told["episode"]["workload"] == WORKLOAD
    assert told["seconds"] == []
    assert served.machine.measurements == []


def test_a_command_that_fails_ends_the_episode(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """Its status is 5, and no episode is left open."""
    done = schedpilot("tune", "--agent", "--", "false")
    assert done.status == 5
    assert all(each.state is EpisodeState.CLOSED for each in served.machine.kept_episodes.values())


@pytest.mark.parametrize(
    "words",
    [
        ("--agent",),
        ("--agent", "--workload", WORKLOAD, "--", "true"),
        ("--agent", "-c", "latency", "--", "true"),
        ("--workload", WORKLOAD, "--", "true"),
        (),
    ],
)
def test_words_that_contradict_are_refused(schedpilot: Schedpilot, words: tuple[str, ...]) -> None:
    """Wrong usage is told before anything runs."""
    assert schedpilot("tune", *words).status == 2


def test_explain_tells_the_transcript(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """Who said and did what, in its order; hostile text acts on nothing."""
    episode = served.call(served.machine.degrade)

    def record(kind: StepKind, text: str, tool: str = "", tokens: int = 0) -> None:
        step = StepRequest(
            at=1.0, role=StepRole.DECIDE, kind=kind, text=text, tool=tool, tokens=tokens
        )
        served.do(served.machine.record_step(episode, step))

    record(StepKind.TEXT, "I look at \x1b]0;it\x07\nand think", tokens=42)
    record(StepKind.TOOL_CALL, '{"policy": "slice 3ms"}', "check_candidate")
    record(StepKind.TOOL_RESULT, "[bold]proven[/bold]", "check_candidate")
    done: Completed = schedpilot("explain", episode)
    assert done.status == 0, done.error_text
    assert "\x1b]0" not in done.text
    assert 'check_candidate(policy="slice 3ms")' in done.text
    assert "= [bold]proven[/bold]" in done.text
    assert "(42 tokens)" in done.text
    told = json.loads(schedpilot("explain", episode, "--json").stdout)
    assert [each["kind"] for each in told["steps"]] == ["text", "tool-call", "tool-result"]
